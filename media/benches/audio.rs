//! What audio costs where it is worked on: a conference of a hundred, and transcoding against the codecs alone.
//!
//! `cargo bench -p media --bench audio` prints processor time against the time of the sound: 1 % is a hundredth of a core.
//! Everything runs on a virtual clock, as fast as it can.
#![allow(clippy::print_stdout, reason = "a bench prints")]

use base::{Now, Rng};
use media::{
    Channel, Codec, Command, Decoder, Encoder, EndpointId, Latch, Leg, MemberOptions, PacketIo, PlayId, RoomId,
    RoomOptions, SendResult, Shard, ShardConfig, StreamConfig, tone,
};
use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Packets that go nowhere, or to whoever wants them.
#[derive(Default)]
struct Wire {
    kept: Vec<(Leg, Vec<u8>)>,
    keeps: bool,
}

impl PacketIo for Wire {
    fn send(&mut self, leg: Leg, channel: Channel, _: SocketAddr, packet: &[u8]) -> SendResult {
        if self.keeps && channel == Channel::Rtp {
            self.kept.push((leg, packet.to_vec()));
        }
        SendResult::Sent
    }
}

fn address(id: u64) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 10_000 + 2 * id as u16))
}

fn config(codec: Codec) -> StreamConfig {
    StreamConfig {
        remote: address(5_000),
        remote_rtcp: None,
        rtcp_mux: false,
        codec,
        payload_type_out: codec.payload_type(),
        payload_type_in: codec.payload_type(),
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

/// What this thread has had of a processor so far, in seconds: what else the machine does is not counted.
fn worked() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

struct Bench {
    shard: Shard,
    wire: Wire,
    now: Now,
}

impl Bench {
    fn new(codecs: &[Codec]) -> Self {
        let shard = Shard::new(ShardConfig::default(), Rng::from_u64(1));
        let mut bench = Self { shard, wire: Wire::default(), now: Now::new(1_000_000_000, 0) };
        for (id, &codec) in codecs.iter().enumerate() {
            let id = EndpointId(id as u64);
            bench.command(Command::Create { id, rtp_port: 10_000 });
            bench.command(Command::Configure { id, config: config(codec) });
        }
        bench
    }

    fn command(&mut self, command: Command) {
        self.shard.command(command, self.now, &mut self.wire);
    }

    fn tick(&mut self) {
        self.now = self.now.plus(Duration::from_millis(1));
        if self.shard.next_wake().is_some_and(|at| at <= self.now.mono) {
            self.shard.tick(self.now, &mut self.wire);
        }
        while self.shard.poll_event().is_some() {}
    }
}

/// Twenty seconds of packets that a far end of this codec sends: a tone, or silence.
fn talk(codec: Codec, sounds: bool) -> Vec<Vec<u8>> {
    let mut bench = Bench::new(&[codec]);
    bench.wire.keeps = true;
    if let Some(prompt) = tone("300+500+900").ok().filter(|_| sounds) {
        let play = PlayId(1);
        bench.command(Command::Play { id: EndpointId(0), play, prompt: Arc::new(prompt.rendered(codec)), repeat: 0 });
    }
    (0..20_000).for_each(|_| bench.tick());
    bench.wire.kept.into_iter().map(|(_, packet)| packet).collect()
}

/// Feeds every endpoint a packet each 20 ms; the processor's share of a core.
fn share(mut bench: Bench, streams: &[&[Vec<u8>]]) -> f64 {
    let packets = streams.iter().map(|stream| stream.len()).min().unwrap_or(0);
    let began = worked();
    for packet in 0..packets {
        for ms in 0..20 {
            for (id, stream) in streams.iter().enumerate().skip(ms).step_by(20) {
                let id = EndpointId(id as u64);
                let Bench { shard, wire, now } = &mut bench;
                shard.receive(id, Channel::Rtp, address(5_000), &stream[packet], *now, wire);
            }
            bench.tick();
        }
    }
    let share = (worked() - began) / (packets as f64 * 0.02) * 100.0;
    let stats = bench.shard.stats();
    let sent = stats.packets_sent as usize;
    assert!(stats.strangers == 0 && sent + 200 > packets * streams.len(), "{sent} of {packets} packets: {stats:?}");
    share
}

fn conference(codec: Codec, members: usize, talkers: usize, rate: u32) {
    let mut bench = Bench::new(&vec![codec; members]);
    for id in 0..members as u64 {
        let (room, options) = (RoomId(1), RoomOptions { rate, ..RoomOptions::default() });
        bench.command(Command::Join { id: EndpointId(id), room, options, member: MemberOptions::default() });
    }
    let (voice, silence) = (talk(codec, true), talk(codec, false));
    let streams: Vec<&[Vec<u8>]> =
        (0..members).map(|id| if id < talkers { &voice[..] } else { &silence[..] }).collect();
    let share = share(bench, &streams);
    println!("conference of {members} {codec:?}, {talkers} talk, mixed at {rate}: {share:.1} % of a core");
}

/// One direction of a transcoded bridge, against decoding and encoding alone.
fn transcode(from: Codec, to: Codec) {
    let voice = talk(from, true);
    let rate = from.sample_rate().min(to.sample_rate());
    let alone = {
        let (mut decoder, mut encoder) = (Decoder::new(from, rate), Encoder::new(to, rate));
        let (mut samples, mut payload) = ([0; 5_760], [0; 1_275]);
        let began = worked();
        for packet in &voice {
            let length = decoder.decode(packet.get(12..).unwrap_or_default(), &mut samples);
            black_box(encoder.encode(&samples[..length], &mut payload));
        }
        (worked() - began) / (voice.len() as f64 * 0.02) * 100.0
    };
    let bridged = |to: Codec| {
        let mut bench = Bench::new(&[from, to]);
        bench.command(Command::Bridge { id: EndpointId(0), with: EndpointId(1) });
        share(bench, &[&voice[..]])
    };
    let (whole, plain) = (bridged(to), bridged(from));
    println!(
        "{from:?} to {to:?}: {whole:.3} % of a core, {plain:.3} % of it for the legs themselves; the codecs alone {alone:.3} %: {:.2} times",
        (whole - plain) / alone
    );
}

fn main() {
    for (codec, rate) in [(Codec::Pcmu, 8_000), (Codec::Pcmu, 16_000), (Codec::G722, 16_000), (Codec::Opus, 16_000)] {
        conference(codec, 100, 3, rate);
    }
    for (from, to) in
        [(Codec::Pcmu, Codec::Opus), (Codec::Opus, Codec::Pcmu), (Codec::Pcmu, Codec::G722), (Codec::G722, Codec::Pcmu)]
    {
        transcode(from, to);
    }
}
