//! A shard whose thread was not scheduled: it catches up without a burst, and its clock stays true.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]

mod lab;

use lab::{Lab, speech};
use media::{Channel, Codec, Command, EndpointId, MAX_BEHIND, PHASES, PlayId, Prompt};
use std::collections::BTreeMap;
use std::sync::Arc;

fn players(lab: &mut Lab, count: u64) {
    for n in 0..count {
        let (id, rtp_port) = (EndpointId(n), 10_000 + 2 * n as u16);
        lab.command(Command::Create { id, rtp_port });
        lab.configure(id, 9, |_| {});
    }
}

fn sent_by_ms(lab: &Lab) -> BTreeMap<u64, usize> {
    let mut counts = BTreeMap::new();
    for sent in lab.wire.sent.iter().filter(|sent| sent.channel == Channel::Rtp) {
        *counts.entry(sent.at_ms).or_default() += 1;
    }
    counts
}

#[test]
fn playback_is_spread_over_twenty_phases() {
    let mut lab = Lab::new(1);
    players(&mut lab, 400);
    lab.run(1000);
    let counts = sent_by_ms(&lab);
    assert!(counts.range(1000..).all(|(_, &count)| count == 400 / PHASES as usize));
}

#[test]
fn closed_endpoints_leave_their_phase_to_new_ones() {
    let mut lab = Lab::new(2);
    players(&mut lab, 60);
    for n in (0..60).step_by(2) {
        lab.close(EndpointId(n));
    }
    for n in 100..130 {
        lab.command(Command::Create { id: EndpointId(n), rtp_port: 20_000 + 2 * n as u16 });
        lab.configure(EndpointId(n), 9, |_| {});
    }
    lab.run(100);
    let from = lab.ms() - 40;
    assert!(sent_by_ms(&lab).range(from..).all(|(_, &count)| count == 3));
}

#[test]
fn a_late_tick_makes_no_burst_and_loses_nothing() {
    // Up to what is made up for, less what a backlog of a thousand waits besides.
    for late in [3, 15, 40, 120, MAX_BEHIND - 20] {
        let mut lab = Lab::new(3);
        players(&mut lab, 1000);
        let prompt = Arc::new(Prompt::new("speech", speech(16_000, 1)));
        let id = EndpointId(500);
        lab.command(Command::Play { id, play: PlayId(1), prompt: prompt.clone(), repeat: 1 });
        lab.run(300);
        lab.skip(late);
        lab.turn();
        lab.run(3000);
        let worst = sent_by_ms(&lab).into_values().max().unwrap();
        assert!(worst <= 125, "{late} ms late: {worst} packets in one millisecond, where 50 are usual");
        let packets = lab.wire.rtp(id);
        for pair in packets.windows(2) {
            assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), 160, "{late} ms late");
            assert!(pair[1].at_ms - pair[0].at_ms >= 10, "{late} ms late: two packets at once");
        }
        let (first, last) = (&packets[0], packets.last().unwrap());
        assert_eq!(
            u64::from(last.timestamp.wrapping_sub(first.timestamp)) / 8,
            last.at_ms - first.at_ms,
            "on its grid"
        );
        let audio: Vec<u8> = packets.into_iter().flat_map(|packet| packet.payload).filter(|o| *o != 0xFF).collect();
        assert_eq!(audio, prompt.payload(Codec::Pcmu).to_vec());
        let lateness = &lab.shards[0].stats().lateness;
        assert!(lateness.max_ns() >= base::millis(late - 1) && lab.shards[0].stats().skipped == 0);
    }
}

#[test]
fn what_is_too_late_is_let_go_and_the_timestamp_is_the_clocks() {
    let mut lab = Lab::new(4);
    players(&mut lab, 100);
    let prompt = Arc::new(Prompt::new("speech", speech(16_000, 1)));
    let id = EndpointId(50);
    lab.command(Command::Play { id, play: PlayId(1), prompt: prompt.clone(), repeat: 1 });
    lab.run(300);
    lab.skip(5000);
    lab.turn();
    lab.run(3000);
    let packets = lab.wire.rtp(id);
    let leaps: Vec<_> =
        packets.windows(2).filter(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) != 160).collect();
    assert_eq!(leaps.len(), 1);
    assert!(leaps[0][1].marker, "a talkspurt after a gap");
    assert_eq!(leaps[0][1].sequence, leaps[0][0].sequence.wrapping_add(1));
    let (first, last) = (&packets[0], packets.last().unwrap());
    assert_eq!(u64::from(last.timestamp.wrapping_sub(first.timestamp)) / 8, last.at_ms - first.at_ms);
    let audio: Vec<u8> = packets.into_iter().flat_map(|packet| packet.payload).filter(|o| *o != 0xFF).collect();
    assert_eq!(audio, prompt.payload(Codec::Pcmu).to_vec(), "no sample of the prompt is lost by it");
    let worst = sent_by_ms(&lab).into_values().max().unwrap();
    assert!(worst <= 64, "{worst}");
    let skipped = lab.shards[0].stats().skipped;
    assert!((100 * 249..=100 * 250).contains(&skipped), "{skipped}");
    assert!(lab.close(id).0.sent.skipped >= 249);
}

#[test]
fn a_shard_that_slept_an_hour_serves_at_once_what_comes() {
    let mut lab = Lab::with_shards(6, 2);
    lab.skip(3_600_000);
    players(&mut lab, 30);
    lab.run(40);
    assert_eq!(lab.wire.rtp(EndpointId(7)).len(), 2);
    lab.skip(3_600_000);
    lab.turn();
    // The other shard slept all the while.
    lab.relocate(EndpointId(7), 1);
    let before = lab.wire.rtp(EndpointId(7)).len();
    lab.run(200);
    assert!(lab.wire.rtp(EndpointId(7)).len() - before >= 10);
    assert!(lab.shards[1].stats().lateness.max_ns() <= base::millis(20));
    assert!(lab.shards[1].stats().ticks <= 15);
}

#[test]
fn an_idle_shard_asks_for_no_wake() {
    let mut lab = Lab::new(5);
    assert_eq!(lab.shards[0].next_wake(), None);
    let id = EndpointId(1);
    lab.command(Command::Create { id, rtp_port: 10_000 });
    assert_eq!(lab.shards[0].next_wake(), None);
    lab.configure(id, 9, |config| config.send = false);
    let ticks = |lab: &Lab| lab.shards[0].stats().ticks;
    lab.run(10_000);
    assert!(ticks(&lab) <= 20, "held: its reports only, looked at each second: {}", ticks(&lab));
    lab.close(id);
    assert_eq!(lab.shards[0].next_wake(), None);
    assert!(lab.shards[0].is_empty());
}
