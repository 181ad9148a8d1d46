//! Instructions a packet of the hot paths costs, counted under valgrind: the same on a busy machine as on a quiet one.
//!
//! `.ci/instructions` installs what it needs and runs it. A path that grows beyond its limit fails; the limits are 3 % above
//! what was counted with rustc 1.95.0 for x86_64. Who changes a path on purpose writes the new count below. Each benchmark
//! is [`PACKETS`] packets.
#![allow(missing_docs, reason = "gungraun's macros make public items without them")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up must stop")]

use base::{Now, Rng, millis};
use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use media::{
    Channel, Codec, Command, EndpointId, Latch, Leg, PacketIo, PlayId, Prompt, SendResult, Shard, ShardConfig, SrtpKey,
    SrtpKeys, SrtpSuite, StreamConfig,
};
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Packets of one benchmark.
const PACKETS: u64 = 1_000;

/// A network that costs nothing, and remembers the last RTP packet.
struct Nowhere {
    packet: [u8; 256],
    length: usize,
}

impl PacketIo for Nowhere {
    fn send(&mut self, _: Leg, channel: Channel, _: SocketAddr, packet: &[u8]) -> SendResult {
        if channel == Channel::Rtp && packet.len() <= self.packet.len() {
            self.packet[..packet.len()].copy_from_slice(packet);
            self.length = packet.len();
        }
        SendResult::Sent
    }
}

fn far() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

fn config(srtp: Option<SrtpKeys>) -> StreamConfig {
    StreamConfig {
        remote: far(),
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
        srtp,
        latch: Latch::Signalled,
        timeout: None,
        expects_media: false,
    }
}

/// A shard, its time and its network.
struct Bench {
    shard: Shard,
    io: Nowhere,
    now: Now,
    packets: Vec<Vec<u8>>,
}

impl Bench {
    fn new(endpoints: u64, srtp: Option<SrtpKeys>) -> Self {
        let io = Nowhere { packet: [0; 256], length: 0 };
        let shard = Shard::new(ShardConfig::default(), Rng::from_u64(1));
        let mut bench = Self { shard, io, now: Now::new(millis(1000), 0), packets: Vec::new() };
        for id in (0..endpoints).map(EndpointId) {
            bench.command(Command::Create { id, rtp_port: 10_000 });
            bench.command(Command::Configure { id, config: config(srtp) });
        }
        bench
    }

    fn command(&mut self, command: Command) {
        self.shard.command(command, self.now, &mut self.io);
    }

    fn play(&mut self, id: u64) {
        let prompt = Arc::new(Prompt::new("tone", vec![1000i16; 80_000]));
        self.command(Command::Play { id: EndpointId(id), play: PlayId(1), prompt, repeat: 0 });
    }

    /// A millisecond passes.
    fn tick(&mut self, ms: u64) {
        self.now = self.now.plus(Duration::from_millis(ms));
        self.shard.tick(self.now, &mut self.io);
        while let Some(event) = self.shard.poll_event() {
            black_box(event);
        }
    }

    /// Takes the packets that were made ready, 20 ms apart.
    fn receive(mut self) -> Self {
        let leg = self.shard.leg(EndpointId(0)).unwrap();
        for packet in &self.packets {
            self.now = self.now.plus(Duration::from_millis(20));
            self.shard.receive_at(leg, Channel::Rtp, far(), packet, self.now, &mut self.io);
        }
        self
    }
}

/// 100 players: 5 packets a millisecond.
fn players() -> Bench {
    let mut bench = Bench::new(100, None);
    (0..100).for_each(|id| bench.play(id));
    (0..100).for_each(|_| bench.tick(1));
    bench
}

/// A leg, joined with another or not, and what its far end sends.
fn leg(joined: bool, suite: Option<SrtpSuite>) -> Bench {
    let mut rng = Rng::from_u64(1);
    let keys = suite.map(|suite| SrtpKeys {
        send: SrtpKey::generate(suite, &mut rng),
        receive: SrtpKey::generate(suite, &mut rng),
    });
    let mut phone = Bench::new(1, keys.map(|keys| SrtpKeys { send: keys.receive, receive: keys.send }));
    let mut bench = Bench::new(2, keys);
    if joined {
        bench.command(Command::Bridge { id: EndpointId(0), with: EndpointId(1) });
    }
    for _ in 0..=PACKETS {
        phone.tick(20);
        bench.packets.push(phone.io.packet[..phone.io.length].to_vec());
    }
    bench
}

#[library_benchmark(config = limit(PLAY))]
#[bench::hundred(players())]
fn play(mut bench: Bench) -> Bench {
    (0..PACKETS / 5).for_each(|_| bench.tick(1));
    bench
}

#[library_benchmark(config = limit(RECEIVE))]
#[bench::one(leg(false, None))]
fn receive(bench: Bench) -> Bench {
    bench.receive()
}

#[library_benchmark(config = limit(RELAY))]
#[bench::pair(leg(true, None))]
fn relay(bench: Bench) -> Bench {
    bench.receive()
}

#[library_benchmark(config = limit(RELAY_CM))]
#[bench::pair(leg(true, Some(SrtpSuite::AesCm128HmacSha1_80)))]
fn relay_aes_cm(bench: Bench) -> Bench {
    bench.receive()
}

#[library_benchmark(config = limit(RELAY_GCM))]
#[bench::pair(leg(true, Some(SrtpSuite::AeadAes128Gcm)))]
fn relay_aes_gcm(bench: Bench) -> Bench {
    bench.receive()
}

/// Fails where a benchmark takes more than 3 % above what was counted.
fn limit(counted: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, counted * 103 / 100)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

/// What was counted, in instructions of [`PACKETS`] packets. Valgrind's processor has no instructions for SHA-1, so that
/// the HMAC weighs more here than it does.
const PLAY: u64 = 783_882;
const RECEIVE: u64 = 490_835;
const RELAY: u64 = 1_140_485;
const RELAY_CM: u64 = 14_661_952;
const RELAY_GCM: u64 = 4_312_613;

library_benchmark_group!(
    name = hot_paths;
    benchmarks = play, receive, relay, relay_aes_cm, relay_aes_gcm
);
main!(library_benchmark_groups = hot_paths);
