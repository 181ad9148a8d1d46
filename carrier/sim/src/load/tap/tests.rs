//! Two taps on virtual time and a wire between them whose delays are known.

use super::*;
use base::millis;
use media::{Codec, Latch, PlayId, Prompt, SrtpKey, SrtpKeys, SrtpSuite, StreamConfig};
use std::sync::Arc;

const A: EndpointId = EndpointId(1);
const B: EndpointId = EndpointId(2);
const KEY: u64 = 0x1234_5678_9ABC_DEF0;

/// What one side has sent: when, on which channel, and what.
#[derive(Default)]
struct Line {
    now: u64,
    sent: Vec<(u64, Channel, Vec<u8>)>,
}

impl PacketIo for Line {
    fn send(&mut self, _: Leg, channel: Channel, _: SocketAddr, packet: &[u8]) -> SendResult {
        self.sent.push((self.now, channel, packet.to_vec()));
        SendResult::Sent
    }
}

impl Wire for Line {
    fn mono(&self) -> u64 {
        self.now
    }
}

struct Side {
    id: EndpointId,
    tap: Tap,
    line: Line,
    seen: Streams,
}

impl Side {
    fn new(id: EndpointId, srtp: Option<SrtpKeys>) -> Self {
        let tap = Tap::new(ShardConfig::default(), Rng::from_u64(id.0), KEY);
        let mut side = Self { id, tap, line: Line::default(), seen: Streams::default() };
        side.command(Command::Create { id, rtp_port: 4_000 }, 0);
        side.command(Command::Configure { id, config: config(srtp) }, 0);
        side
    }

    fn with(&mut self, now: u64, act: impl FnOnce(&mut Tap, Ends<'_>)) {
        self.line.now = now;
        let now = Now::new(now, 0);
        act(&mut self.tap, Ends { wire: &mut self.line, seen: &mut self.seen, now });
        while self.tap.poll_event().is_some() {}
    }

    fn command(&mut self, command: Command, now: u64) {
        self.with(now, |tap, ends| tap.command(command, ends));
    }

    fn receive(&mut self, channel: Channel, mut packet: Vec<u8>, arrived: u64, now: u64) {
        let leg = Leg { id: self.id, slot: 0 };
        let from = ([192, 0, 2, 1], 4_000).into();
        self.with(now, |tap, ends| tap.receive(leg, channel, from, &mut packet, arrived, ends));
    }
}

fn config(srtp: Option<SrtpKeys>) -> StreamConfig {
    StreamConfig {
        remote: ([192, 0, 2, 1], 4_000).into(),
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
        expects_media: false,
    }
}

/// Two seconds of a stream from A that B echoes; a packet takes `there` milliseconds to B and `back` to A, and is read
/// `unread` later than it came.
fn echoed(keys: [Option<SrtpKeys>; 2], there: impl Fn(u64) -> u64, back: u64, unread: u64) -> (Streams, Streams) {
    let [mut a, mut b] = [Side::new(A, keys[0]), Side::new(B, keys[1])];
    let prompt = Arc::new(Prompt::new("tone", vec![1_000; 8_000]));
    a.command(Command::Play { id: A, play: PlayId(1), prompt, repeat: 0 }, 0);
    b.command(Command::Echo { id: B, on: true }, 0);
    let mut under_way: Vec<(u64, bool, Channel, Vec<u8>)> = Vec::new();
    for ms in 0..2_200 {
        let now = millis(ms);
        for side in [&mut a, &mut b] {
            if side.tap.next_wake().is_some_and(|at| at <= now) && ms < 2_000 {
                side.with(now, Tap::tick);
            }
        }
        let (due, rest) = under_way.drain(..).partition::<Vec<_>, _>(|(at, ..)| *at <= now);
        under_way = rest;
        for (at, to_b, channel, packet) in due {
            let side = if to_b { &mut b } else { &mut a };
            side.receive(channel, packet, at, at + unread);
        }
        for (to_b, side) in [(true, &mut a), (false, &mut b)] {
            let after = |at: u64| millis(if to_b { there(at / millis(1)) } else { back });
            under_way
                .extend(side.line.sent.drain(..).map(|(at, channel, packet)| (at + after(at), to_b, channel, packet)));
        }
    }
    a.command(Command::Close { id: A }, millis(2_200));
    b.command(Command::Close { id: B }, millis(2_200));
    assert!(a.tap.ids().is_empty() && b.tap.ids().is_empty());
    (a.seen, b.seen)
}

fn ms(latency: &crate::load::Latency, quantile: f64) -> f64 {
    (latency.quantile_ms(quantile).unwrap() * 100.0).round() / 100.0
}

#[test]
fn what_an_echo_sends_back_tells_how_long_it_was_away() {
    let (a, b) = echoed([None; 2], |_| 3, 4, 0);
    assert!((97..=100).contains(&a.away.count()), "{a:?}");
    assert_eq!((ms(&a.away, 0.0), ms(&a.away, 1.0)), (7.0, 7.0));
    assert_eq!((a.stream_away.count(), a.stream_late.count()), (1, 1));
    // B hears A's stamps too: the load's own legs measure one way.
    assert_eq!(ms(&b.away, 1.0), 3.0);
    assert_eq!((ms(&b.late, 1.0), ms(&a.sent_late, 1.0)), (0.0, 0.0));
    assert_eq!(b.sent_late.count(), 0, "an echo has no grid of its own");
}

#[test]
fn a_stall_of_the_target_is_lateness_and_our_own_slow_reading_is_not() {
    let stall = |ms| if (1_000..1_060).contains(&ms) { 63 - (ms - 1_000) } else { 3 };
    let (a, b) = echoed([None; 2], stall, 4, millis(5));
    assert_eq!((ms(&b.late, 0.5), ms(&a.read_late, 0.5)), (0.0, 5.0));
    assert!(ms(&b.late, 1.0) > 40.0 && ms(&b.stream_late, 1.0) > 20.0, "{b:?}");
    assert!(ms(&a.away, 1.0) > 45.0, "{a:?}");
}

#[test]
fn srtp_is_measured_as_what_is_in_clear_and_a_wrong_key_measures_nothing() {
    let mut rng = Rng::from_u64(3);
    let mut key = || SrtpKey::generate(SrtpSuite::AesCm128HmacSha1_80, &mut rng);
    let (ours, theirs, wrong) = (key(), key(), key());
    let keys = [SrtpKeys { send: ours, receive: theirs }, SrtpKeys { send: theirs, receive: ours }];
    let (a, b) = echoed(keys.map(Some), |_| 3, 4, 0);
    assert_eq!((ms(&a.away, 1.0), a.refused, b.refused), (7.0, 0, 0));
    let (a, b) = echoed([Some(keys[0]), Some(SrtpKeys { receive: wrong, ..keys[1] })], |_| 3, 4, 0);
    assert!(b.refused >= 100, "{b:?}");
    assert_eq!((a.away.count(), b.late.count()), (0, 0));
}
