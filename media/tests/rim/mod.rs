//! The engine on real sockets, for a test: what it says is waited for, with a deadline.
#![allow(dead_code, reason = "each of the tests that share it uses a part")]

use base::Rng;
use media::{Codec, Command, EndpointId, Engine, EngineConfig, Event, Latch, ShardConfig, ShardReport, StreamConfig};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// More than anything here takes on a machine that does much else.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

pub struct Rig {
    pub engine: Engine,
    pub events: mpsc::Receiver<Event>,
    seen: Vec<Event>,
}

impl Rig {
    pub fn new(threads: usize) -> Self {
        let (sender, events) = mpsc::channel();
        let config = EngineConfig {
            threads,
            bind_ip: LOOPBACK,
            shard: ShardConfig::default(),
            origin: Instant::now(),
            rng: Rng::from_u64(11),
        };
        let engine = Engine::start(config, move |event| drop(sender.send(event))).unwrap();
        Self { engine, events, seen: Vec::new() }
    }

    pub fn send(&mut self, command: Command) {
        self.engine.send(command).unwrap();
    }

    /// Waits for the first event, new or seen, that `found` takes.
    pub fn wait<T>(&mut self, what: &str, found: impl Fn(&Event) -> Option<T>) -> T {
        let end = Instant::now() + DEADLINE;
        if let Some(index) = self.seen.iter().position(|event| found(event).is_some()) {
            return found(&self.seen.remove(index)).unwrap();
        }
        while let Ok(event) = self.events.recv_timeout(end.saturating_duration_since(Instant::now())) {
            if let Some(found) = found(&event) {
                return found;
            }
            self.seen.push(event);
        }
        panic!("{what} did not come; seen: {:?}", self.seen);
    }

    /// Every shard's counts: a shard that was too busy to answer is asked again.
    pub fn stats(&self) -> Vec<media::ShardStats> {
        let end = Instant::now() + DEADLINE;
        loop {
            let stats = self.engine.stats();
            if stats.len() == self.engine.shards() || Instant::now() > end {
                return stats;
            }
        }
    }

    /// Waits until the shards' reports are as wanted.
    pub fn until(&self, what: &str, wanted: impl Fn(&[ShardReport]) -> bool) {
        let (end, observer) = (Instant::now() + DEADLINE, self.engine.observer());
        let mut reports = observer.reports();
        while reports.len() < self.engine.shards() || !wanted(&reports) {
            assert!(Instant::now() < end, "{what}: {reports:?}");
            reports = observer.reports();
        }
    }

    /// Opens an endpoint on the first free pair from `port` on.
    pub fn open(&mut self, id: EndpointId, mut port: u16) -> u16 {
        loop {
            self.send(Command::Create { id, rtp_port: port });
            let created = self.wait("an answer to Create", |event| match event {
                Event::Created { rtp_port, .. } if event.id() == id => Some(Some(*rtp_port)),
                Event::Failed { .. } if event.id() == id => Some(None),
                _ => None,
            });
            match created {
                Some(port) => return port,
                None => port += 2,
            }
        }
    }
}

pub fn config(port: u16) -> StreamConfig {
    StreamConfig {
        remote: SocketAddr::new(LOOPBACK, port),
        remote_rtcp: None,
        rtcp_mux: false,
        codec: Codec::Pcmu,
        payload_type_out: 0,
        payload_type_in: 0,
        dtmf_out: Some(101),
        dtmf_in: Some(101),
        dtmf_clock: 8_000,
        ptime_ms: 20,
        send: true,
        receive: true,
        srtp: None,
        latch: Latch::Signalled,
        timeout: None,
        expects_media: true,
    }
}
