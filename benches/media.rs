//! The RTP path: a packet read and built, and what a shard adds to it.
//!
//! Each figure stands beside its floor: `rtp-rs` alone for parsing and building, a bare loop over as many sockets for
//! sending. A tick at 1,000 players is 50 packets: divide by 50 for the packet.
#![allow(missing_docs, reason = "criterion's macros make public items without them")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot be set up must stop")]

use base::{Now, Rng, millis};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use media::{
    Channel, Codec, Command, EndpointId, Latch, Leg, PacketIo, PlayId, Prompt, SendResult, Shard, ShardConfig, SrtpKey,
    SrtpKeys, SrtpSuite, StreamConfig,
};
use rtp_rs::{RtpPacketBuilder, RtpReader};
use std::hint::black_box;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

const PLAYERS: u64 = 1_000;
const PER_TICK: u64 = PLAYERS / 20;

/// A network that costs nothing: what is left is the shard.
struct Nowhere;

impl PacketIo for Nowhere {
    fn send(&mut self, _: Leg, _: Channel, _: SocketAddr, packet: &[u8]) -> SendResult {
        black_box(packet);
        SendResult::Sent
    }
}

/// A socket an endpoint, as the worker has it; what is sent, nobody takes.
struct Sockets {
    sockets: Vec<UdpSocket>,
    to: SocketAddr,
    /// Never read: once its buffer is full the kernel drops what comes, which is the cheapest end a packet can have.
    _sink: UdpSocket,
}

impl Sockets {
    fn new() -> Self {
        let bind = || UdpSocket::bind("127.0.0.1:0").unwrap();
        let sink = bind();
        Self { sockets: (0..PLAYERS).map(|_| bind()).collect(), to: sink.local_addr().unwrap(), _sink: sink }
    }
}

impl PacketIo for Sockets {
    fn send(&mut self, leg: Leg, _: Channel, _: SocketAddr, packet: &[u8]) -> SendResult {
        match self.sockets[leg.slot as usize].send_to(packet, self.to) {
            Ok(_) => SendResult::Sent,
            Err(_) => SendResult::Failed,
        }
    }
}

fn config(receive: bool) -> StreamConfig {
    StreamConfig {
        remote: SocketAddr::from(([127, 0, 0, 1], 9)),
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
        receive,
        srtp: None,
        latch: Latch::Signalled,
        timeout: Some(Duration::from_secs(60)),
        expects_media: true,
    }
}

/// A shard with that many endpoints, each playing one shared prompt for ever.
fn players(count: u64, now: Now, io: &mut dyn PacketIo) -> Shard {
    let mut shard = Shard::new(ShardConfig::default(), Rng::from_u64(1));
    let prompt = Arc::new(Prompt::new("tone", vec![1000i16; 80_000]));
    for id in (0..count).map(EndpointId) {
        shard.command(Command::Create { id, rtp_port: 10_000 }, now, io);
        shard.command(Command::Configure { id, config: config(false) }, now, io);
        shard.command(Command::Play { id, play: PlayId(1), prompt: prompt.clone(), repeat: 0 }, now, io);
    }
    shard
}

fn builder<'a>(sequence: u16, payload: &'a [u8]) -> RtpPacketBuilder<'a> {
    let timestamp = u32::from(sequence) * 160;
    RtpPacketBuilder::new().payload_type(0).sequence(sequence.into()).timestamp(timestamp).ssrc(7).payload(payload)
}

fn packet(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("rtp");
    let payload = [0x55; 160];
    let bytes = builder(1, &payload).build().unwrap();
    group.bench_function("parse (rtp-rs)", |bencher| {
        bencher.iter(|| {
            let rtp = RtpReader::new(black_box(&bytes)).unwrap();
            (rtp.payload_type(), rtp.sequence_number(), rtp.timestamp(), rtp.ssrc(), rtp.payload().len())
        });
    });
    let mut buffer = [0; 1500];
    let mut sequence = 0u16;
    group.bench_function("build (rtp-rs build_into)", |bencher| {
        bencher.iter(|| {
            sequence = sequence.wrapping_add(1);
            builder(sequence, black_box(&payload)).build_into(&mut buffer).unwrap()
        });
    });
    group.finish();
}

fn receive(criterion: &mut Criterion) {
    let now = Now::new(millis(1000), 0);
    let mut shard = players(1, now, &mut Nowhere);
    let id = EndpointId(0);
    shard.command(Command::Configure { id, config: config(true) }, now, &mut Nowhere);
    let leg = shard.leg(id).unwrap();
    let payload = [0x55; 160];
    let (mut sequence, mut now) = (0u16, now);
    let mut group = criterion.benchmark_group("shard");
    group.throughput(Throughput::Elements(1));
    group.bench_function("receive a packet (gate, statistics)", |bencher| {
        bencher.iter_batched_ref(
            || {
                sequence = sequence.wrapping_add(1);
                builder(sequence, &payload).build().unwrap()
            },
            |bytes| {
                now = now.plus(Duration::from_millis(20));
                shard.receive_at(leg, Channel::Rtp, SocketAddr::from(([127, 0, 0, 1], 9)), bytes, now, &mut Nowhere);
            },
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// The last RTP packet that somebody sent.
struct Last {
    packet: [u8; 256],
    length: usize,
}

impl PacketIo for Last {
    fn send(&mut self, _: Leg, channel: Channel, _: SocketAddr, packet: &[u8]) -> SendResult {
        if channel == Channel::Rtp {
            self.packet[..packet.len()].copy_from_slice(packet);
            self.length = packet.len();
        }
        SendResult::Sent
    }
}

/// From a phone (0) to its leg (1), across the bridge (2): one packet sent, one received and relayed.
fn relay(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("relay");
    group.throughput(Throughput::Elements(1));
    let suites = [None, Some(SrtpSuite::AesCm128HmacSha1_80), Some(SrtpSuite::AeadAes128Gcm)];
    for suite in suites {
        let mut rng = Rng::from_u64(1);
        let keys = suite.map(|suite| SrtpKeys {
            send: SrtpKey::generate(suite, &mut rng),
            receive: SrtpKey::generate(suite, &mut rng),
        });
        let mirrored = keys.map(|keys| SrtpKeys { send: keys.receive, receive: keys.send });
        let mut now = Now::new(millis(1000), 0);
        let mut io = Last { packet: [0; 256], length: 0 };
        let (mut phone, mut bridge) = (players(1, now, &mut io), Shard::new(ShardConfig::default(), Rng::from_u64(2)));
        let played = StreamConfig { srtp: keys, ..config(false) };
        phone.command(Command::Configure { id: EndpointId(0), config: played }, now, &mut io);
        for (id, srtp) in [(EndpointId(1), mirrored), (EndpointId(2), None)] {
            bridge.command(Command::Create { id, rtp_port: 10_000 }, now, &mut io);
            bridge.command(Command::Configure { id, config: StreamConfig { srtp, ..config(true) } }, now, &mut io);
        }
        bridge.command(Command::Bridge { id: EndpointId(1), with: EndpointId(2) }, now, &mut io);
        let leg = bridge.leg(EndpointId(1)).unwrap();
        let far = SocketAddr::from(([127, 0, 0, 1], 9));
        group.bench_function(suite.map_or("in clear", SrtpSuite::name), |bencher| {
            bencher.iter(|| {
                now = now.plus(Duration::from_millis(20));
                phone.tick(now, &mut io);
                let packet = io.packet;
                bridge.receive_at(leg, Channel::Rtp, far, &packet[..io.length], now, &mut io);
            });
        });
        assert!(bridge.stats().packets_sent > 100 && bridge.stats().unauthentic == 0);
    }
    group.finish();
}

fn tick(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tick at 1,000 players");
    group.throughput(Throughput::Elements(PER_TICK));
    let mut run = |name: &str, io: &mut dyn PacketIo| {
        let mut now = Now::new(millis(1000), 0);
        let mut shard = players(PLAYERS, now, io);
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                now = now.plus(Duration::from_millis(1));
                shard.tick(now, io);
                while let Some(event) = shard.poll_event() {
                    black_box(event);
                }
            });
        });
    };
    run("shard, no network", &mut Nowhere);
    let mut sockets = Sockets::new();
    run("shard, 1,000 sockets", &mut sockets);
    let bytes = builder(1, &[0x55; 160]).build().unwrap();
    let mut next = 0usize;
    group.bench_function("bare send loop, 1,000 sockets", |bencher| {
        bencher.iter(|| {
            // The sockets a tick serves lie 20 apart, as a phase's endpoints do.
            next = (next + 1) % 20;
            for socket in sockets.sockets.iter().skip(next).step_by(20) {
                let _ = black_box(socket.send_to(&bytes, sockets.to));
            }
        });
    });
    group.finish();
}

criterion_group!(benches, packet, receive, relay, tick);
criterion_main!(benches);
