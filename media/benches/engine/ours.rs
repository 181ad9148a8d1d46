//! The engine: one shard, bridged pairs or players, on the same core as the bare loop.

use super::bare::cpu_of;
use super::far::{Far, pin};
use super::{Subject, Work};
use base::Rng;
use media::{
    Codec, Command, EndpointId, Engine, EngineConfig, Event, Latch, PlayId, Prompt, ShardConfig, StreamConfig,
};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, mpsc};
use std::time::Instant;

pub struct Ours {
    _engine: Engine,
    ports: Vec<u16>,
    task: u32,
}

impl Ours {
    pub fn start(work: Work, far: &Far) -> Self {
        let (sender, events) = mpsc::channel();
        let config = EngineConfig {
            threads: 1,
            bind_ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            shard: ShardConfig::default(),
            origin: Instant::now(),
            rng: Rng::from_u64(1),
        };
        // Threads are born where their parent runs.
        pin(0);
        let mut engine = Engine::start(config, move |event| drop(sender.send(event))).unwrap();
        assert_eq!(engine.stats().len(), 1);
        let task = media_thread();
        let ports =
            far.addresses().iter().enumerate().map(|(leg, far)| open(&mut engine, &events, leg, *far)).collect();
        let prompt = Arc::new(Prompt::new("tone", vec![1000i16; 80_000]));
        for leg in 0..far.addresses().len() as u64 {
            let id = EndpointId(leg);
            let command = match work {
                Work::Play => Command::Play { id, play: PlayId(1), prompt: prompt.clone(), repeat: 0 },
                Work::Relay if leg % 2 == 0 => Command::Bridge { id, with: EndpointId(leg + 1) },
                Work::Relay => continue,
            };
            engine.send(command).unwrap();
        }
        Self { _engine: engine, ports, task }
    }
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
fn open(engine: &mut Engine, events: &mpsc::Receiver<Event>, leg: usize, far: SocketAddr) -> u16 {
    let id = EndpointId(leg as u64);
    let mut rtp_port = 10_000 + 2 * leg as u16;
    loop {
        engine.send(Command::Create { id, rtp_port }).unwrap();
        match events.recv().unwrap() {
            Event::Created { .. } => break,
            _ => rtp_port += 6_002,
        }
    }
    engine.send(Command::Configure { id, config: config(far) }).unwrap();
    rtp_port
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
