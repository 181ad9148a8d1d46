//! The engine: one shard, bridged pairs or players, on the same core as the bare loop.

use super::bare::cpu_of;
use super::far::pin;
use super::{Subject, Work};
use base::Rng;
use media::{
    Codec, Command, EndpointId, Engine, EngineConfig, Event, Latch, PlayId, Prompt, ShardConfig, SrtpKeys, StreamConfig,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::time::Instant;

pub struct Ours {
    engine: Engine,
    ports: Vec<u16>,
    task: u32,
}

impl Ours {
    /// Legs for these far ends; of a bridge the even one has the far end's keys, mirrored.
    pub fn start(work: Work, far: &[SocketAddr], keys: Option<SrtpKeys>) -> Self {
        let (mut engine, events, task) = engine(0);
        let (mut ports, prompt) = (Vec::new(), tone());
        for (leg, far) in far.iter().enumerate() {
            ports.push(open(&mut engine, &events, leg, 10_000));
            configure(&mut engine, leg, *far, keys.filter(|_| leg % 2 == 0));
        }
        for leg in 0..far.len() {
            match work {
                Work::Play => play(&mut engine, leg, prompt.clone()),
                Work::Relay if leg % 2 == 0 => {
                    let (id, with) = (EndpointId(leg as u64), EndpointId(leg as u64 + 1));
                    engine.send(Command::Bridge { id, with }).unwrap();
                }
                Work::Relay => {}
            }
        }
        Self { engine, ports, task }
    }

    /// Packets it sent so far.
    pub fn sent(&self) -> u64 {
        self.engine.stats().iter().map(|stats| stats.packets_sent).sum()
    }
}

/// One shard on that core, its events, and its thread.
pub fn engine(core: usize) -> (Engine, mpsc::Receiver<Event>, u32) {
    let (sender, events) = mpsc::channel();
    let config = EngineConfig {
        threads: 1,
        bind_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
        shard: ShardConfig::default(),
        origin: Instant::now(),
        rng: Rng::from_u64(1),
    };
    // Threads are born where their parent runs.
    pin(core);
    let engine = Engine::start(config, move |event| drop(sender.send(event))).unwrap();
    assert_eq!(engine.stats().len(), 1);
    (engine, events, media_thread())
}

pub fn tone() -> Arc<Prompt> {
    Arc::new(Prompt::new("tone", vec![1000i16; 80_000]))
}

pub fn play(engine: &mut Engine, leg: usize, prompt: Arc<Prompt>) {
    engine.send(Command::Play { id: EndpointId(leg as u64), play: PlayId(1), prompt, repeat: 0 }).unwrap();
}

impl Subject for Ours {
    fn ports(&self) -> Vec<u16> {
        self.ports.clone()
    }

    fn cpu(&self) -> u64 {
        cpu_of(self.task)
    }
}

/// Opens a leg on the first free pair.
pub fn open(engine: &mut Engine, events: &mpsc::Receiver<Event>, leg: usize, from: u16) -> u16 {
    let id = EndpointId(leg as u64);
    let mut rtp_port = from + 2 * leg as u16;
    loop {
        engine.send(Command::Create { id, rtp_port }).unwrap();
        let answer = events.iter().find(|event| matches!(event, Event::Created { .. } | Event::Failed { .. }));
        if matches!(answer.unwrap(), Event::Created { .. }) {
            return rtp_port;
        }
        rtp_port += 6_002;
    }
}

/// A leg of that codec, in clear.
pub fn configure_as(engine: &mut Engine, leg: usize, far: SocketAddr, codec: Codec) {
    let payload_type = codec.payload_type();
    let config = StreamConfig { codec, payload_type_out: payload_type, payload_type_in: payload_type, ..config(far) };
    engine.send(Command::Configure { id: EndpointId(leg as u64), config }).unwrap();
}

pub fn configure(engine: &mut Engine, leg: usize, far: SocketAddr, srtp: Option<SrtpKeys>) {
    let config = StreamConfig { srtp, ..config(far) };
    engine.send(Command::Configure { id: EndpointId(leg as u64), config }).unwrap();
}

fn config(remote: SocketAddr) -> StreamConfig {
    StreamConfig {
        remote,
        remote_rtcp: None,
        rtcp_mux: true,
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
        expects_media: false,
    }
}

fn media_thread() -> u32 {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap());
    let named = |task: &std::fs::DirEntry| {
        std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name == "media-0\n")
    };
    // The newest: an engine of an earlier run may still be closing.
    tasks.filter(named).map(|task| task.file_name().to_str().unwrap().parse().unwrap()).max().unwrap()
}
