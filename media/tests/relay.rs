//! Two legs joined: what one far end says, the other hears, and each leg's RTP stays one stream through every change.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]

mod lab;

use lab::{Lab, Rtp, Rules, address, packet, speech};
use media::{Codec, Command, EndpointId, Event, Latch, PlayId, Prompt, StreamConfig};
use std::sync::Arc;

/// A phone, the switch's leg to it, the leg to the other phone, and that phone.
const ANN: EndpointId = EndpointId(1);
const LEFT: EndpointId = EndpointId(2);
const RIGHT: EndpointId = EndpointId(3);
const BOB: EndpointId = EndpointId(4);

fn port(id: EndpointId) -> u16 {
    10_000 + 2 * id.0 as u16
}

fn open(lab: &mut Lab, id: EndpointId, far: EndpointId, change: impl Fn(&mut StreamConfig)) {
    lab.command(Command::Create { id, rtp_port: port(id) });
    lab.configure(id, port(far), change);
}

/// Ann and Bob, bridged. The first change is for Ann's side, the second for Bob's.
fn bridged(seed: u64, ann: impl Fn(&mut StreamConfig), bob: impl Fn(&mut StreamConfig)) -> Lab {
    let mut lab = Lab::with_shards(seed, 2);
    open(&mut lab, ANN, LEFT, &ann);
    open(&mut lab, LEFT, ANN, &ann);
    open(&mut lab, RIGHT, BOB, &bob);
    open(&mut lab, BOB, RIGHT, &bob);
    lab.command(Command::Bridge { id: LEFT, with: RIGHT });
    lab
}

fn play(lab: &mut Lab, id: EndpointId, play: u64, prompt: &Arc<Prompt>, repeat: u32) {
    lab.command(Command::Play { id, play: PlayId(play), prompt: prompt.clone(), repeat });
}

fn prompt(samples: usize, seed: u64) -> Arc<Prompt> {
    Arc::new(Prompt::new("speech", speech(samples, seed)))
}

/// One stream: its SSRC, a sequence without a hole, audio that neither overlaps nor steps back. Gives back the longest
/// time without a packet and the longest stretch left out of the audio, both in milliseconds.
fn assert_one_stream(packets: &[Rtp]) -> (u64, u64) {
    let (mut silence, mut left_out) = (0, 0);
    for pair in packets.windows(2) {
        let [before, after] = pair else { unreachable!() };
        assert_eq!(
            (after.ssrc, after.sequence),
            (before.ssrc, before.sequence.wrapping_add(1)),
            "{before:?} {after:?}"
        );
        silence = silence.max(after.at_ms - before.at_ms);
        if before.payload_type != 101 && after.payload_type != 101 {
            let hole = after.timestamp.wrapping_sub(before.timestamp) as i32 - before.payload.len() as i32;
            assert!(hole >= 0, "overlap of {hole} at {} ms", after.at_ms);
            left_out = left_out.max(hole as u64 / 8);
        }
    }
    (silence, left_out)
}

/// A phone of the test's own: it speaks from Ann's address, packet by packet.
struct Mouth {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    marker: bool,
}

impl Mouth {
    fn new(ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Self { ssrc, sequence, timestamp, marker: true }
    }

    /// One packet of 160 samples, all of that octet, and 20 ms.
    fn say(&mut self, lab: &mut Lab, octet: u8) {
        self.say_late(lab, octet, 0);
        lab.run(20);
    }

    fn say_late(&mut self, lab: &mut Lab, octet: u8, late_ms: u64) {
        let bytes = packet(0, self.marker, self.sequence, self.timestamp, self.ssrc, &[octet; 160]);
        lab.wire.carry(address(port(ANN)), address(port(LEFT)), &bytes, late_ms);
        self.lose();
    }

    /// A packet that nobody will ever see.
    fn lose(&mut self) {
        (self.sequence, self.timestamp, self.marker) =
            (self.sequence.wrapping_add(1), self.timestamp.wrapping_add(160), false);
    }
}

/// Ann is the test's mouth; Bob is on a leg of his own.
fn spoken(seed: u64) -> Lab {
    let mut lab = Lab::new(seed);
    open(&mut lab, LEFT, ANN, |_| {});
    open(&mut lab, RIGHT, BOB, |_| {});
    lab.command(Command::Bridge { id: LEFT, with: RIGHT });
    lab
}

/// What the right leg sent of the mouth's: its octets, without silence.
fn octets(packets: &[Rtp]) -> Vec<u8> {
    let first = packets.iter().filter_map(|packet| packet.payload.first().copied());
    first.filter(|octet| *octet != Codec::Pcmu.silence()).collect()
}

#[test]
fn each_hears_the_other_sample_for_sample_under_its_own_legs_ssrc() {
    let mut lab = bridged(1, |_| {}, |_| {});
    let (from_ann, from_bob) = (prompt(16_000, 1), prompt(16_000, 2));
    for id in [ANN, BOB] {
        lab.command(Command::Capture { id, on: true });
    }
    lab.run(200);
    play(&mut lab, ANN, 1, &from_ann, 1);
    play(&mut lab, BOB, 2, &from_bob, 1);
    lab.run(3000);
    for (id, said) in [(BOB, &from_ann), (ANN, &from_bob)] {
        assert!(lab.captured(id).find(said.payload(Codec::Pcmu)).is_some(), "{id:?}");
    }
    let ssrc = |id| lab.wire.rtp(id)[0].ssrc;
    let all: std::collections::BTreeSet<u32> = [ANN, LEFT, RIGHT, BOB].map(ssrc).into();
    assert_eq!(all.len(), 4, "no SSRC crosses the bridge");
    for id in [LEFT, RIGHT] {
        let (silence, left_out) = assert_one_stream(&lab.wire.rtp(id));
        assert!(silence <= 40 && left_out <= 20, "{id:?}: {silence} {left_out}");
    }
}

#[test]
fn ulaw_and_alaw_are_transcoded_octet_for_octet_both_ways() {
    let alaw = |config: &mut StreamConfig| {
        (config.codec, config.payload_type_out, config.payload_type_in) = (Codec::Pcma, 8, 8);
    };
    let mut lab = bridged(2, |_| {}, alaw);
    let (from_ann, from_bob) = (prompt(8000, 1), prompt(8000, 2));
    for id in [ANN, BOB] {
        lab.command(Command::Capture { id, on: true });
    }
    lab.run(100);
    play(&mut lab, ANN, 1, &from_ann, 1);
    play(&mut lab, BOB, 2, &from_bob, 1);
    lab.run(2000);
    for (id, said, from, to) in [(BOB, from_ann, Codec::Pcmu, Codec::Pcma), (ANN, from_bob, Codec::Pcma, Codec::Pcmu)] {
        let mut expected = said.payload(from).to_vec();
        from.transcode(to, &mut expected);
        assert!(lab.captured(id).find(&expected).is_some(), "{id:?}");
    }
    assert!(lab.wire.rtp(RIGHT).iter().all(|packet| packet.payload_type == 8));
}

#[test]
fn packet_times_differ_and_the_clock_goes_by_samples() {
    let mut lab = bridged(3, |config| config.ptime_ms = 30, |config| config.ptime_ms = 10);
    lab.command(Command::Capture { id: BOB, on: true });
    let said = prompt(24_000, 3);
    lab.run(100);
    play(&mut lab, ANN, 1, &said, 1);
    lab.run(4000);
    assert!(lab.captured(BOB).find(said.payload(Codec::Pcmu)).is_some());
    assert_one_stream(&lab.wire.rtp(RIGHT));
}

#[test]
fn one_stream_through_prompt_bridge_hold_resume_rebridge_and_another_shard() {
    for seed in 0..100 {
        let mut lab = bridged(seed, |_| {}, |_| {});
        let (greeting, music) = (prompt(5_000, 1), prompt(80_000, 2));
        let mut rng = base::Rng::from_u64(seed);
        let cat = EndpointId(5);
        open(&mut lab, cat, EndpointId(6), |_| {});
        open(&mut lab, EndpointId(6), cat, |_| {});
        for id in [ANN, BOB, EndpointId(6)] {
            play(&mut lab, id, 100, &music, 0);
        }
        for turn in 0..60 {
            lab.run(rng.below(400));
            match rng.below(8) {
                0 => play(&mut lab, RIGHT, turn, &greeting, 1),
                1 => lab.command(Command::StopPlay { id: RIGHT, play: PlayId(turn.saturating_sub(1)) }),
                2 => lab.configure(LEFT, port(ANN), |config| config.receive = false),
                3 => lab.configure(LEFT, port(ANN), |_| {}),
                4 => lab.command(Command::Bridge { id: RIGHT, with: cat }),
                5 => lab.command(Command::Bridge { id: RIGHT, with: LEFT }),
                6 => lab.command(Command::Unbridge { id: RIGHT }),
                _ => {
                    let to = rng.below(2) as usize;
                    for id in [LEFT, RIGHT, cat] {
                        lab.relocate(id, to);
                    }
                }
            }
        }
        for id in [LEFT, RIGHT, cat] {
            let (silence, left_out) = assert_one_stream(&lab.wire.rtp(id));
            assert!(silence <= 40 && left_out <= 40, "seed {seed}, {id:?}: {silence} ms, {left_out} ms left out");
        }
    }
}

#[test]
fn a_hundred_changes_add_no_delay_that_stays() {
    let mut lab = bridged(5, |_| {}, |_| {});
    let (click, music) = (prompt(400, 1), prompt(80_000, 2));
    play(&mut lab, ANN, 1, &music, 0);
    lab.run(500);
    let lead = |lab: &Lab| {
        let packets = lab.wire.rtp(RIGHT);
        let (first, last) = (&packets[0], packets.last().unwrap());
        i64::from(last.timestamp.wrapping_sub(first.timestamp) / 8) - (last.at_ms - first.at_ms) as i64
    };
    let before = lead(&lab);
    for turn in 0..100 {
        play(&mut lab, RIGHT, turn, &click, 1);
        lab.run(313);
    }
    assert!((lead(&lab) - before).abs() <= 21, "{before} became {}", lead(&lab));
}

#[test]
fn a_prompt_is_heard_in_place_of_the_peer_and_then_the_peer_again() {
    let mut lab = spoken(6);
    let mut mouth = Mouth::new(7, 100, 5000);
    (0..10).for_each(|_| mouth.say(&mut lab, 1));
    let greeting = prompt(1600, 1);
    play(&mut lab, RIGHT, 1, &greeting, 1);
    (0..10).for_each(|_| mouth.say(&mut lab, 2));
    assert_eq!(lab.said(|event| matches!(event, Event::PlayEnded { finished: true, samples: 1600, .. })).len(), 1);
    (0..10).for_each(|_| mouth.say(&mut lab, 3));
    let packets = lab.wire.rtp(RIGHT);
    let heard: Vec<u8> = packets.iter().flat_map(|packet| packet.payload.clone()).collect();
    let at = heard.windows(1600).position(|window| window == &greeting.payload(Codec::Pcmu)[..]).unwrap();
    assert_eq!(heard[at - 1], 1, "the prompt follows the peer at once");
    assert!(heard.iter().filter(|octet| **octet == 3).count() >= 9 * 160, "the peer is heard again");
    let (silence, _) = assert_one_stream(&packets);
    assert!(silence <= 40, "{silence}");
}

#[test]
fn a_talkspurt_is_marked_where_it_starts_and_loss_is_none() {
    let mut lab = spoken(7);
    let mut mouth = Mouth::new(7, 65_530, u32::MAX - 400);
    for said in 0..12u8 {
        mouth.say(&mut lab, said);
    }
    mouth.lose();
    lab.run(20);
    (12..15).for_each(|said| mouth.say(&mut lab, said));
    let packets = lab.wire.rtp(RIGHT);
    let relayed: Vec<_> = packets.iter().skip_while(|packet| packet.payload[0] == 0xFF).collect();
    assert_eq!(octets(&packets), (0..15).collect::<Vec<_>>());
    let marked: Vec<u8> = relayed.iter().filter(|packet| packet.marker).map(|packet| packet.payload[0]).collect();
    assert_eq!(marked, [0]);
    for pair in relayed.windows(2) {
        let lost = u16::from(pair[1].payload[0] == 12);
        let steps =
            (pair[1].sequence.wrapping_sub(pair[0].sequence), pair[1].timestamp.wrapping_sub(pair[0].timestamp));
        assert_eq!(steps, (1 + lost, 160 * (1 + u32::from(lost))), "over the wraps, and the loss is passed through");
    }
}

#[test]
fn what_comes_out_of_order_keeps_its_place_and_twice_goes_once() {
    let mut lab = spoken(8);
    let mut mouth = Mouth::new(7, 10, 1000);
    (0..5).for_each(|said| mouth.say(&mut lab, said));
    mouth.say_late(&mut lab, 5, 25);
    let copy = packet(0, false, mouth.sequence.wrapping_sub(1), mouth.timestamp.wrapping_sub(160), 7, &[5; 160]);
    lab.wire.carry(address(port(ANN)), address(port(LEFT)), &copy, 30);
    lab.run(20);
    (6..10).for_each(|said| mouth.say(&mut lab, said));
    let packets = lab.wire.rtp(RIGHT);
    assert_eq!(octets(&packets), [0, 1, 2, 3, 4, 6, 5, 7, 8, 9]);
    let place =
        |said: u8| packets.iter().find(|packet| packet.payload[0] == said).map(|p| (p.sequence, p.timestamp)).unwrap();
    for said in 0..9 {
        assert_eq!(place(said + 1), (place(said).0.wrapping_add(1), place(said).1.wrapping_add(160)));
    }
}

#[test]
fn what_comes_late_from_before_a_packet_that_was_withheld_takes_nobodys_number() {
    let mut lab = spoken(19);
    let mut mouth = Mouth::new(7, 10, 1000);
    (0..5).for_each(|said| mouth.say(&mut lab, said));
    mouth.say_late(&mut lab, 5, 85);
    lab.run(20);
    mouth.say(&mut lab, 6);
    let comfort_noise = packet(13, false, mouth.sequence, mouth.timestamp, 7, &[70]);
    lab.wire.carry(address(port(ANN)), address(port(LEFT)), &comfort_noise, 0);
    mouth.lose();
    lab.run(20);
    (7..12).for_each(|said| mouth.say(&mut lab, said));
    let mut sequences: Vec<_> = lab.wire.rtp(RIGHT).iter().map(|packet| packet.sequence).collect();
    let sent = sequences.len();
    sequences.sort_unstable();
    sequences.dedup();
    assert_eq!(sequences.len(), sent);
}

#[test]
fn leaps_of_sequence_timestamp_and_ssrc_leave_our_stream_whole() {
    let mut lab = spoken(9);
    let mut mouth = Mouth::new(7, 100, 5000);
    let leaps: [fn(&mut Mouth); 6] = [
        |mouth| mouth.sequence = mouth.sequence.wrapping_add(30_000),
        |mouth| mouth.timestamp = mouth.timestamp.wrapping_add(28_800_000),
        |mouth| mouth.timestamp = mouth.timestamp.wrapping_sub(28_800_000),
        |mouth| mouth.timestamp = mouth.timestamp.wrapping_sub(4000),
        |mouth| *mouth = Mouth::new(0xDEAD_BEEF, 9, 77),
        |mouth| mouth.sequence = mouth.sequence.wrapping_add(500),
    ];
    (0..50).for_each(|_| mouth.say(&mut lab, 1));
    for leap in leaps {
        leap(&mut mouth);
        (0..50).for_each(|_| mouth.say(&mut lab, 2));
    }
    let packets: Vec<_> = lab.wire.rtp(RIGHT).into_iter().skip(1).collect();
    let (silence, left_out) = assert_one_stream(&packets);
    assert!(silence <= 60 && left_out <= 60, "{silence} {left_out}");
    assert!(octets(&packets).len() >= 50 * 7 - 4, "one packet each is spent on believing a leap");
}

#[test]
fn a_peer_that_falls_silent_is_silence_and_resumes_without_an_overlap() {
    let mut lab = spoken(10);
    let mut mouth = Mouth::new(7, 100, 5000);
    for pause_ms in [0u32, 30, 150, 170, 400, 1500, 5000] {
        lab.run(u64::from(pause_ms));
        mouth.timestamp = mouth.timestamp.wrapping_add(pause_ms * 8);
        mouth.marker = pause_ms > 0;
        (0..20).for_each(|_| mouth.say(&mut lab, 1));
    }
    let packets = lab.wire.rtp(RIGHT);
    let (silence, left_out) = assert_one_stream(&packets);
    assert!(silence <= 180 && left_out <= 180, "{silence} {left_out}");
    assert_eq!(octets(&packets).len(), 7 * 20, "no speech is lost by it");
}

#[test]
fn a_burst_behind_a_stall_is_late_and_adds_no_delay() {
    let mut lab = spoken(11);
    let mut mouth = Mouth::new(7, 100, 5000);
    (0..50).for_each(|_| mouth.say(&mut lab, 1));
    for _ in 0..20 {
        mouth.say_late(&mut lab, 2, 400);
    }
    lab.run(400);
    (0..50).for_each(|_| mouth.say(&mut lab, 3));
    let packets = lab.wire.rtp(RIGHT);
    assert_one_stream(&packets);
    let (first, last) = (&packets[0], packets.last().unwrap());
    let ahead = i64::from(last.timestamp.wrapping_sub(first.timestamp) / 8) - (last.at_ms - first.at_ms) as i64;
    assert!(ahead.abs() <= 40, "{ahead} ms of delay stay");
    assert!(octets(&packets).iter().filter(|octet| **octet == 3).count() >= 49);
}

#[test]
fn keys_cross_the_bridge_once_on_our_clock_and_are_told_too() {
    let mut lab = bridged(12, |_| {}, |config| (config.dtmf_out, config.dtmf_in) = (Some(96), Some(96)));
    lab.run(300);
    lab.command(Command::SendDigits { id: ANN, digits: "0123456789*#".into(), tone_ms: 90, gap_ms: 60 });
    lab.run(3000);
    assert_eq!((lab.digits(LEFT), lab.digits(BOB)), ("0123456789*#".into(), "0123456789*#".into()));
    let packets = lab.wire.rtp(RIGHT);
    let events: Vec<_> = packets.iter().filter(|packet| packet.payload_type == 96).collect();
    assert_eq!(events.iter().filter(|packet| packet.marker).count(), 12, "one marker a key");
    assert_eq!(events.iter().map(|packet| packet.timestamp).collect::<std::collections::BTreeSet<_>>().len(), 12);
    for pair in packets.windows(2) {
        assert_eq!((pair[1].ssrc, pair[1].sequence), (pair[0].ssrc, pair[0].sequence.wrapping_add(1)));
        assert!(pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32 >= 0, "the clock stepped back");
    }
}

#[test]
fn our_own_keys_are_pressed_into_a_bridge_and_the_peer_is_heard_again() {
    let mut lab = bridged(24, |_| {}, |_| {});
    play(&mut lab, ANN, 1, &prompt(80_000, 1), 0);
    lab.run(500);
    lab.command(Command::SendDigits { id: RIGHT, digits: "147*".into(), tone_ms: 100, gap_ms: 60 });
    lab.run(1_500);
    assert_eq!((lab.digits(BOB), lab.digits(LEFT)), ("147*".into(), String::new()));
    let packets = lab.wire.rtp(RIGHT);
    let (silence, _) = assert_one_stream(&packets);
    assert!(silence <= 40, "{silence}");
    let last = packets.iter().rposition(|packet| packet.payload_type == 101).unwrap();
    let speech = packets[last..].iter().filter(|packet| packet.payload[0] != Codec::Pcmu.silence()).count();
    assert!(speech > 30, "{speech}");
}

#[test]
fn keys_end_where_the_far_end_takes_none_and_leave_no_hole() {
    let mut lab = bridged(13, |_| {}, |config| (config.dtmf_out, config.dtmf_in) = (None, None));
    lab.run(300);
    lab.command(Command::SendDigits { id: ANN, digits: "42".into(), tone_ms: 400, gap_ms: 60 });
    lab.run(2000);
    assert_eq!(lab.digits(LEFT), "42");
    let packets = lab.wire.rtp(RIGHT);
    assert!(packets.iter().all(|packet| packet.payload_type == 0));
    let (silence, _) = assert_one_stream(&packets);
    assert!(silence <= 180, "silence is sent meanwhile: {silence}");
}

#[test]
fn a_hold_is_silent_and_a_stream_that_does_not_send_is_left_alone() {
    let mut lab = spoken(14);
    let mut mouth = Mouth::new(7, 100, 5000);
    (0..20).for_each(|_| mouth.say(&mut lab, 1));
    lab.configure(LEFT, port(ANN), |config| config.receive = false);
    (0..20).for_each(|_| mouth.say(&mut lab, 2));
    lab.configure(LEFT, port(ANN), |_| {});
    (0..20).for_each(|_| mouth.say(&mut lab, 3));
    let packets = lab.wire.rtp(RIGHT);
    let (silence, _) = assert_one_stream(&packets);
    assert!(silence <= 40 && !octets(&packets).contains(&2) && octets(&packets).contains(&3), "{silence}");
    lab.configure(RIGHT, port(BOB), |config| config.send = false);
    let sent = lab.wire.rtp(RIGHT).len();
    (0..200).for_each(|_| mouth.say(&mut lab, 4));
    assert_eq!(lab.wire.rtp(RIGHT).len(), sent);
    lab.configure(RIGHT, port(BOB), |_| {});
    (0..20).for_each(|_| mouth.say(&mut lab, 5));
    assert_one_stream(&lab.wire.rtp(RIGHT));
}

#[test]
fn a_bridge_may_come_before_the_streams_and_a_new_one_replaces_it() {
    let mut lab = Lab::new(15);
    for id in [LEFT, RIGHT, BOB] {
        lab.command(Command::Create { id, rtp_port: port(id) });
    }
    lab.command(Command::Bridge { id: RIGHT, with: LEFT });
    lab.configure(LEFT, port(ANN), |_| {});
    lab.configure(RIGHT, 9000, |_| {});
    lab.configure(BOB, 9002, |_| {});
    let mut mouth = Mouth::new(7, 100, 5000);
    let count = |lab: &Lab, id| octets(&lab.wire.rtp(id)).len();
    (0..10).for_each(|_| mouth.say(&mut lab, 1));
    assert_eq!((count(&lab, RIGHT), count(&lab, BOB)), (10, 0));
    lab.command(Command::Bridge { id: LEFT, with: BOB });
    (0..10).for_each(|_| mouth.say(&mut lab, 1));
    assert_eq!(count(&lab, RIGHT), 10);
    assert!(count(&lab, BOB) >= 9);
    lab.command(Command::Close { id: BOB });
    (0..10).for_each(|_| mouth.say(&mut lab, 1));
    assert_eq!(count(&lab, RIGHT), 10, "the first bridge does not come back");
    lab.command(Command::Bridge { id: LEFT, with: LEFT });
    lab.command(Command::Bridge { id: LEFT, with: EndpointId(99) });
    assert_eq!(lab.said(|event| matches!(event, Event::Failed { .. })).len(), 1);
    assert_eq!(lab.shards[0].stats().unknown_endpoint, 1);
}

#[test]
fn both_far_ends_with_one_ssrc_hear_each_other() {
    let mut lab = spoken(16);
    let mut ann = Mouth::new(7, 100, 5000);
    for n in 0..50u32 {
        let bytes = packet(0, n == 0, 300 + n as u16, 160 * n, 7, &[9; 160]);
        lab.wire.carry(address(port(BOB)), address(port(RIGHT)), &bytes, 3);
        ann.say(&mut lab, 1);
    }
    assert_eq!(octets(&lab.wire.rtp(RIGHT)), [1; 50]);
    assert_eq!(octets(&lab.wire.rtp(LEFT)).len(), 50);
    for id in [LEFT, RIGHT] {
        assert_one_stream(&lab.wire.rtp(id));
    }
}

#[test]
fn an_hour_of_a_clock_200_ppm_off_leaves_no_gap() {
    for slow in [false, true] {
        let mut lab = spoken(17);
        lab.wire.quiet = true;
        let mut mouth = Mouth::new(7, 100, 5000);
        for said in 0..180_000 {
            mouth.say_late(&mut lab, 1, 0);
            // 200 ppm: a millisecond in every five seconds.
            let off = u64::from(said % 250 == 0);
            lab.run(if slow { 20 + off } else { 20 - off });
        }
        lab.wire.quiet = false;
        play(&mut lab, RIGHT, 1, &prompt(400, 1), 1);
        (0..50).for_each(|_| mouth.say(&mut lab, 1));
        let (silence, left_out) = assert_one_stream(&lab.wire.rtp(RIGHT));
        assert!(silence <= 40 && left_out <= 40, "slow: {slow}: {silence} {left_out}");
    }
}

#[test]
fn loss_jitter_and_duplicates_on_the_way_in_are_not_made_worse() {
    let mut lab = bridged(18, |_| {}, |_| {});
    lab.wire.rules =
        Rules { loss: 0.02, duplicate: 0.02, hold_back: 0.05, held_ms: 30, delay_ms: 5, ..Rules::default() };
    play(&mut lab, ANN, 1, &prompt(80_000, 1), 0);
    lab.run(60_000);
    let (ear, _) = lab.close(BOB);
    let (leg, _) = lab.close(LEFT);
    // Two lossy hops of 2 %: what the bridge passed is what came.
    assert!(leg.received.loss_ppm > 10_000 && ear.received.loss_ppm < 60_000, "{:?}", ear.received);
    assert!(ear.received.packets > 2800 && ear.received.reordered > 50, "{:?}", ear.received);
}

#[test]
fn who_was_joined_before_stays_parted_wherever_the_endpoints_move() {
    let mut lab = bridged(25, |_| {}, |_| {});
    let (cat, music) = (EndpointId(5), prompt(80_000, 1));
    open(&mut lab, cat, EndpointId(6), |_| {});
    lab.relocate(cat, 1);
    play(&mut lab, BOB, 1, &music, 0);
    lab.run(500);
    // The left leg goes to the other shard and is joined with another there; nobody tells the right one.
    lab.relocate(LEFT, 1);
    lab.command(Command::Bridge { id: LEFT, with: cat });
    let moves: [(EndpointId, usize); 4] = [(LEFT, 0), (LEFT, 1), (RIGHT, 1), (cat, 0)];
    for (id, to) in moves {
        let before = lab.wire.rtp(LEFT).len();
        lab.relocate(id, to);
        lab.run(500);
        assert!(octets(&lab.wire.rtp(LEFT)[before..]).is_empty(), "{id:?} on {to}");
    }
    lab.command(Command::Bridge { id: LEFT, with: RIGHT });
    lab.run(500);
    assert!(!octets(&lab.wire.rtp(LEFT)).is_empty());
}

/// Audio that nobody on the call sends.
const POISON: u8 = 0x11;

#[test]
fn a_stranger_is_heard_on_neither_side_of_a_bridge_and_gets_nothing() {
    for (seed, latch) in [(20, Latch::Signalled), (21, Latch::FirstPacket)] {
        let secure = |config: &mut StreamConfig| config.latch = latch.clone();
        let mut lab = bridged(seed, secure, secure);
        let (mut rng, music) = (base::Rng::from_u64(seed), prompt(80_000, 1));
        for id in [ANN, BOB] {
            play(&mut lab, id, 1, &music, 0);
        }
        lab.run(200);
        for _ in 0..60_000 {
            for id in [LEFT, RIGHT] {
                // The far end's own SSRC and payload type, near its sequence: only the source is wrong.
                let far = if id == LEFT { ANN } else { BOB };
                let ssrc = if rng.chance(0.5) { ssrc_of(&lab, far) } else { rng.u32() };
                let bytes = packet(0, rng.chance(0.5), rng.u32() as u16, rng.u32(), ssrc, &[POISON; 160]);
                lab.wire.carry("127.0.0.9:4000".parse().unwrap(), address(port(id) + rng.below(2) as u16), &bytes, 0);
            }
            lab.run(1);
            if lab.wire.sent.len() > 4_000 {
                assert_unpoisoned(&lab);
                lab.wire.sent.drain(..3_000);
            }
        }
        assert_unpoisoned(&lab);
        for id in [LEFT, RIGHT] {
            let (report, _) = lab.close(id);
            assert_eq!((report.strangers, report.received.lost, report.received.ssrc_changes), (60_000, 0, 0));
        }
    }
}

fn ssrc_of(lab: &Lab, id: EndpointId) -> u32 {
    let sent = lab.wire.sent.iter().rfind(|sent| sent.id == id && sent.channel == media::Channel::Rtp).unwrap();
    u32::from_be_bytes(*sent.bytes[8..].first_chunk().unwrap())
}

fn assert_unpoisoned(lab: &Lab) {
    for sent in &lab.wire.sent {
        assert_eq!(sent.to.ip(), address(1).ip(), "a packet went to the stranger");
        assert!(!sent.bytes.ends_with(&[POISON; 32]), "the stranger was heard");
    }
}

#[test]
fn each_key_crosses_once_under_loss_and_reordering() {
    for seed in 0..100 {
        let mut lab = bridged(seed, |_| {}, |_| {});
        lab.wire.rules = Rules { loss: 0.05, duplicate: 0.05, hold_back: 0.1, held_ms: 30, ..Rules::default() };
        let mut rng = base::Rng::from_u64(seed);
        let keys: String = (0..40).map(|_| b"0123456789*#ABCD"[rng.below(16) as usize] as char).collect();
        lab.run(300);
        lab.command(Command::SendDigits { id: ANN, digits: keys.clone(), tone_ms: 100, gap_ms: 100 });
        lab.run(10_000);
        assert_eq!((lab.digits(LEFT), lab.digits(BOB)), (keys.clone(), keys), "seed {seed}");
    }
}

#[test]
fn a_minute_long_key_a_flood_and_a_key_over_a_hold_cross_as_they_came() {
    let mut lab = bridged(22, |_| {}, |_| {});
    lab.run(300);
    lab.command(Command::SendDigits { id: ANN, digits: "5".into(), tone_ms: 60_000, gap_ms: 50 });
    lab.run(62_000);
    let held = |lab: &Lab, wanted| {
        let of = |(_, event): &(u64, Event)| match event {
            Event::Digit { id, digit: '5', duration_ms } if *id == wanted => Some(*duration_ms),
            _ => None,
        };
        lab.events.iter().filter_map(of).collect::<Vec<_>>()
    };
    assert_eq!((held(&lab, LEFT), held(&lab, BOB)), (vec![60_000], vec![60_000]));
    // A hundred keys a second for three seconds, each three times.
    let mut sequence = 30_000u16;
    for key in 0..300u32 {
        for _ in 0..3 {
            sequence += 1;
            let bytes = packet(101, false, sequence, 900_000_000 + key * 80, 77, &[6, 0x8A, 0, 80]);
            lab.wire.carry(address(port(ANN)), address(port(LEFT)), &bytes, 0);
        }
        lab.run(10);
    }
    lab.run(500);
    let flood = |id| lab.digits(id).matches('6').count();
    assert!((298..=300).contains(&flood(LEFT)) && flood(BOB) == flood(LEFT), "{} {}", flood(LEFT), flood(BOB));
    // The end of a key is lost in a hold: it is over once the hold is, and is one key.
    lab.run(1_000);
    lab.command(Command::SendDigits { id: ANN, digits: "7".into(), tone_ms: 400, gap_ms: 50 });
    lab.run(200);
    lab.configure(LEFT, port(ANN), |config| config.receive = false);
    lab.run(600);
    lab.configure(LEFT, port(ANN), |_| {});
    lab.run(600);
    assert_eq!((lab.digits(LEFT).matches('7').count(), lab.digits(BOB).matches('7').count()), (1, 1));
}

#[test]
fn an_rtcp_bye_ends_no_bridge() {
    let mut lab = bridged(23, |_| {}, |_| {});
    play(&mut lab, ANN, 1, &prompt(80_000, 1), 0);
    lab.run(6_000);
    // An RR without blocks, and BYE of the far end's own SSRC.
    let ssrc = ssrc_of(&lab, ANN).to_be_bytes();
    let mut bye = vec![0x80, 201, 0, 1];
    bye.extend(ssrc);
    bye.extend([0x81, 203, 0, 1]);
    bye.extend(ssrc);
    lab.wire.carry(address(port(ANN) + 1), address(port(LEFT) + 1), &bye, 0);
    lab.run(2_000);
    let (report, _) = lab.close(BOB);
    assert!(report.received.packets >= 395 && report.received.lost == 0, "{report:?}");
}
