//! The steady paths allocate nothing: playing, echoing, relaying, in clear and under SRTP, receiving, and pressing keys;
//! and what an endpoint holds is little, and given back.
//!
//! RTCP is built every few seconds by rtcp-types, with a handful of allocations, and stands outside: what is measured
//! ends before the first report is due.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]
#![allow(unsafe_code, reason = "a counting allocator must implement GlobalAlloc; it only counts and passes on")]

use base::{Now, Rng, millis};
use media::{
    Channel, Codec, Command, EndpointId, Latch, Leg, MemberOptions, PacketIo, PlayId, Prompt, RecordId, RecordOptions,
    RecordOutput, RecordSource, RoomId, RoomOptions, SendResult, Shard, ShardConfig, SrtpKey, SrtpKeys, SrtpSuite,
    StreamConfig,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;

struct Counting;

// Of this thread: the test harness has threads of its own.
thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        LIVE.set(LIVE.get() + layout.size() as i64);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.set(LIVE.get() - layout.size() as i64);
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A network that keeps the last packets.
struct Loop {
    packets: Vec<(Leg, [u8; 200], usize)>,
}

impl PacketIo for Loop {
    fn send(&mut self, leg: Leg, _: Channel, _: SocketAddr, packet: &[u8]) -> SendResult {
        let mut bytes = [0; 200];
        bytes[..packet.len()].copy_from_slice(packet);
        if self.packets.len() < self.packets.capacity() {
            self.packets.push((leg, bytes, packet.len()));
        }
        SendResult::Sent
    }
}

fn port(id: u64) -> u16 {
    10_000 + 2 * id as u16
}

fn address(id: u64) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port(id)))
}

fn config(remote: u64, srtp: Option<SrtpKeys>) -> StreamConfig {
    StreamConfig {
        remote: address(remote),
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
        latch: Latch::FirstPacket,
        timeout: None,
        expects_media: true,
    }
}

/// One shard, its clock, and endpoints that talk to each other: `far` says who to whom.
struct Bench {
    shard: Shard,
    io: Loop,
    now: Now,
    far: fn(u64) -> u64,
    prompt: Arc<Prompt>,
}

impl Bench {
    fn new(far: fn(u64) -> u64) -> Self {
        Self {
            shard: Shard::new(ShardConfig::default(), Rng::from_u64(1)),
            io: Loop { packets: Vec::with_capacity(10_000) },
            now: Now::new(millis(1000), 0),
            far,
            prompt: Arc::new(Prompt::new("tone", vec![1000i16; 8000])),
        }
    }

    fn command(&mut self, command: Command) {
        self.shard.command(command, self.now, &mut self.io);
    }

    fn open(&mut self, id: u64, srtp: Option<SrtpKeys>) {
        self.open_as(id, Codec::Pcmu, srtp);
    }

    fn open_as(&mut self, id: u64, codec: Codec, srtp: Option<SrtpKeys>) {
        let mut config = config((self.far)(id), srtp);
        config.codec = codec;
        (config.payload_type_out, config.payload_type_in) = (codec.payload_type(), codec.payload_type());
        let rtp_port = port(id);
        let id = EndpointId(id);
        self.command(Command::Create { id, rtp_port });
        self.command(Command::Configure { id, config });
    }

    fn play(&mut self, id: u64) {
        let prompt = self.prompt.clone();
        self.command(Command::Play { id: EndpointId(id), play: PlayId(1), prompt, repeat: 0 });
    }

    fn press(&mut self, id: u64) {
        let digits = "0123456789".to_owned();
        self.command(Command::SendDigits { id: EndpointId(id), digits, tone_ms: 60, gap_ms: 40 });
    }

    /// A millisecond; returns how many keys were heard in it.
    fn turn(&mut self) -> u64 {
        self.now = self.now.plus(std::time::Duration::from_millis(1));
        self.shard.tick(self.now, &mut self.io);
        while let Some((leg, bytes, length)) = self.io.packets.pop() {
            let (from, to) = (address(leg.id.0), EndpointId((self.far)(leg.id.0)));
            self.shard.receive(to, Channel::Rtp, from, &bytes[..length], self.now, &mut self.io);
        }
        while let Some(output) = self.shard.poll_record() {
            if let RecordOutput::Samples { block, .. } = output {
                self.shard.recycle(block);
            }
        }
        let mut digits = 0;
        while let Some(event) = self.shard.poll_event() {
            digits += u64::from(matches!(event, media::Event::Digit { .. }));
        }
        digits
    }

    /// Two seconds after 400 ms to settle: packets sent, keys heard, allocations. The first reports are due at 2.5 s.
    fn measure(&mut self) -> (u64, u64, u64) {
        for _ in 0..400 {
            self.turn();
        }
        let (allocations, sent) = (ALLOCATIONS.get(), self.shard.stats().packets_sent);
        let digits = (0..2000).map(|_| self.turn()).sum();
        (self.shard.stats().packets_sent - sent, digits, ALLOCATIONS.get() - allocations)
    }
}

#[test]
fn playing_echoing_receiving_and_keys_allocate_nothing() {
    let mut bench = Bench::new(|id| id ^ 1);
    for id in 0..200 {
        bench.open(id, None);
        match id % 2 {
            0 => bench.play(id),
            _ => bench.command(Command::Echo { id: EndpointId(id), on: true }),
        }
        if id.is_multiple_of(10) {
            bench.press(id);
        }
    }
    let (sent, digits, allocations) = bench.measure();
    assert!(sent > 15_000 && digits > 100, "{sent} packets, {digits} digits");
    assert_eq!(allocations, 0, "in {sent} packets");
}

#[test]
fn relaying_allocates_nothing_in_clear_and_under_srtp() {
    const LEGS: u64 = 60;
    let suites = [None, Some(SrtpSuite::AesCm128HmacSha1_80), Some(SrtpSuite::AeadAes128Gcm)];
    // Phones and, behind them, the legs that they talk to: 1000 and up.
    let mut bench = Bench::new(|id| if id < 1000 { id + 1000 } else { id - 1000 });
    let mut rng = Rng::from_u64(2);
    for leg in 0..LEGS {
        let keys = suites[leg as usize % 3].map(|suite| SrtpKeys {
            send: SrtpKey::generate(suite, &mut rng),
            receive: SrtpKey::generate(suite, &mut rng),
        });
        bench.open(leg, keys);
        bench.open(1000 + leg, keys.map(|keys| SrtpKeys { send: keys.receive, receive: keys.send }));
        bench.play(leg);
        if leg.is_multiple_of(10) {
            bench.press(leg);
        }
    }
    for leg in (1000..1000 + LEGS).step_by(2) {
        bench.command(Command::Bridge { id: EndpointId(leg), with: EndpointId(leg + 1) });
    }
    let (sent, digits, allocations) = bench.measure();
    assert!(sent >= 2 * LEGS * 99 && digits > 60, "{sent} packets, {digits} digits");
    assert_eq!(bench.shard.stats().unauthentic + bench.shard.stats().replayed, 0);
    assert_eq!(allocations, 0, "in {sent} packets");
}

#[test]
fn transcoding_allocates_nothing() {
    let mut bench = Bench::new(|id| if id < 1000 { id + 1000 } else { id - 1000 });
    for (pair, codec) in [Codec::G722, Codec::Opus, Codec::Pcma, Codec::Opus].into_iter().enumerate() {
        let (left, right) = (2 * pair as u64, 2 * pair as u64 + 1);
        for (leg, codec) in [(left, Codec::Pcmu), (right, codec)] {
            bench.open_as(leg, codec, None);
            bench.open_as(1000 + leg, codec, None);
            bench.play(leg);
        }
        bench.command(Command::Bridge { id: EndpointId(1000 + left), with: EndpointId(1001 + left) });
    }
    let (sent, _, allocations) = bench.measure();
    assert!(sent >= 16 * 99, "{sent} packets");
    assert_eq!(allocations, 0, "in {sent} packets");
}

#[test]
fn conferences_and_recordings_allocate_nothing() {
    let mut bench = Bench::new(|id| if id < 1000 { id + 1000 } else { id - 1000 });
    let codecs = [Codec::Pcmu, Codec::G722, Codec::Pcma, Codec::Opus];
    for member in 0..16 {
        let codec = codecs[member as usize % 4];
        bench.open_as(member, codec, None);
        bench.open_as(1000 + member, codec, None);
        if member < 3 {
            bench.play(member);
        }
        let (id, room) = (EndpointId(1000 + member), RoomId(1));
        let (options, member) = (RoomOptions::default(), MemberOptions::default());
        bench.command(Command::Join { id, room, options, member });
    }
    for record in 0..4 {
        let mut options = RecordOptions::new(std::path::Path::new("tape.wav"));
        options.source = if record == 3 { RecordSource::Room } else { RecordSource::Dual };
        bench.command(Command::Record { id: EndpointId(1000 + record), record: RecordId(record), options });
    }
    // The first blocks are made in the first second; after that those that the rim has written come back.
    for _ in 0..1_200 {
        bench.turn();
    }
    let (before, sent) = (ALLOCATIONS.get(), bench.shard.stats().packets_sent);
    for _ in 0..1_200 {
        bench.turn();
    }
    let sent = bench.shard.stats().packets_sent - sent;
    assert!(sent >= 32 * 59, "{sent} packets");
    assert_eq!(ALLOCATIONS.get() - before, 0, "in {sent} packets");
}

#[test]
fn an_endpoint_holds_little_and_gives_it_back() {
    const ENDPOINTS: u64 = 2_000;
    let mut bench = Bench::new(|id| id ^ 1);
    let fill = |bench: &mut Bench, srtp| {
        let before = LIVE.get();
        for id in 0..ENDPOINTS {
            bench.open(id, srtp);
            bench.play(id);
        }
        for _ in 0..100 {
            bench.turn();
        }
        (LIVE.get() - before) / ENDPOINTS as i64
    };
    let empty = |bench: &mut Bench| {
        (0..ENDPOINTS).for_each(|id| bench.command(Command::Close { id: EndpointId(id) }));
        bench.turn();
        assert!(bench.shard.is_empty());
    };
    let clear = fill(&mut bench, None);
    empty(&mut bench);
    let settled = LIVE.get();
    let key = SrtpKey::generate(SrtpSuite::AesCm128HmacSha1_80, &mut Rng::from_u64(1));
    let secure = fill(&mut bench, Some(SrtpKeys { send: key, receive: key }));
    empty(&mut bench);
    assert!(clear < 2_500 && secure < 4_500, "{clear} octets in clear, {secure} under SRTP");
    for _ in 0..10 {
        fill(&mut bench, None);
        empty(&mut bench);
    }
    assert_eq!(LIVE.get(), settled, "ten times as many calls hold no more");
}
