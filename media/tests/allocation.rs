//! The steady paths allocate nothing: playing, echoing, receiving, and pressing keys.
//!
//! RTCP is built every few seconds by rtcp-types, with a handful of allocations, and stands outside: what is measured
//! ends before the first report is due.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]
#![allow(unsafe_code, reason = "a counting allocator must implement GlobalAlloc; it only counts and passes on")]

use base::{Now, Rng, millis};
use media::{
    Channel, Codec, Command, EndpointId, Latch, Leg, PacketIo, PlayId, Prompt, SendResult, Shard, ShardConfig,
    StreamConfig,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;

struct Counting;

thread_local! {
    /// Of this thread: the test harness has threads of its own.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A network that keeps the last packet of each endpoint.
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

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[test]
fn playing_echoing_receiving_and_keys_allocate_nothing() {
    const PAIRS: u64 = 100;
    let mut shard = Shard::new(ShardConfig::default(), Rng::from_u64(1));
    let mut io = Loop { packets: Vec::with_capacity(10_000) };
    let mut now = Now::new(millis(1000), 0);
    let prompt = Arc::new(Prompt::new("tone", vec![1000i16; 8000]));
    let port = |id: u64| 10_000 + 2 * id as u16;
    for id in 0..2 * PAIRS {
        let config = StreamConfig {
            remote: address(port(id ^ 1)),
            remote_rtcp: None,
            rtcp_mux: false,
            codec: Codec::Pcmu,
            payload_type_out: 0,
            payload_type_in: 0,
            dtmf_out: Some(101),
            dtmf_in: Some(101),
            ptime_ms: 20,
            send: true,
            receive: true,
            srtp: None,
            latch: Latch::FirstPacket,
            timeout: None,
            expects_media: true,
        };
        let id = EndpointId(id);
        shard.command(Command::Create { id, rtp_port: port(id.0) }, now, &mut io);
        shard.command(Command::Configure { id, config }, now, &mut io);
        match id.0 % 2 {
            0 => shard.command(Command::Play { id, play: PlayId(1), prompt: prompt.clone(), repeat: 0 }, now, &mut io),
            _ => shard.command(Command::Echo { id, on: true }, now, &mut io),
        }
        if id.0.is_multiple_of(10) {
            let digits = "0123456789".to_owned();
            shard.command(Command::SendDigits { id, digits, tone_ms: 60, gap_ms: 40 }, now, &mut io);
        }
    }
    let mut digits = 0;
    let (mut before, mut sent) = (0, 0);
    // The first reports are due 2.5 s after the start: 400 ms to settle, two seconds to count.
    for ms in 0..2400 {
        if ms == 400 {
            before = ALLOCATIONS.get();
            sent = shard.stats().packets_sent;
        }
        now = now.plus(std::time::Duration::from_millis(1));
        shard.tick(now, &mut io);
        while let Some((leg, bytes, length)) = io.packets.pop() {
            let (from, to) = (address(port(leg.id.0)), EndpointId(leg.id.0 ^ 1));
            shard.receive(to, Channel::Rtp, from, &bytes[..length], now, &mut io);
        }
        while let Some(event) = shard.poll_event() {
            digits += u64::from(matches!(event, media::Event::Digit { .. }));
        }
    }
    let allocations = ALLOCATIONS.get() - before;
    let sent = shard.stats().packets_sent - sent;
    assert!(sent > 15_000 && digits > 100, "{sent} packets, {digits} digits");
    assert_eq!(allocations, 0, "in {sent} packets");
}
