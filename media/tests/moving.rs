//! An endpoint that moves between shards goes on where it stood.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]

mod lab;

use lab::{Lab, Rules, speech};
use media::{Codec, Command, EndpointId, Event, PlayId, Prompt};
use std::sync::Arc;

#[test]
fn a_move_in_mid_prompt_and_mid_key_is_not_heard() {
    let mut lab = Lab::with_shards(1, 3);
    let (player, ear) = lab.pair(|_| {});
    let prompt = Arc::new(Prompt::new("speech", speech(40_000, 1)));
    lab.command(Command::Capture { id: ear, on: true });
    lab.command(Command::Play { id: player, play: PlayId(1), prompt: prompt.clone(), repeat: 1 });
    for n in 0..300 {
        lab.run(17);
        lab.relocate(player, n % 3);
        lab.relocate(ear, (n + 1) % 3);
    }
    assert_eq!(lab.said(|event| matches!(event, Event::PlayEnded { finished: true, samples: 40_000, .. })).len(), 1);
    lab.command(Command::SendDigits { id: player, digits: "0123456789".into(), tone_ms: 100, gap_ms: 60 });
    for n in 0..200 {
        lab.run(13);
        lab.relocate(player, n % 3);
        lab.relocate(ear, (n + 2) % 3);
    }
    lab.run(300);
    assert_eq!(lab.digits(ear), "0123456789");
    let packets = lab.wire.rtp(player);
    for pair in packets.windows(2) {
        assert_eq!(pair[1].at_ms - pair[0].at_ms, 20);
        assert_eq!((pair[1].sequence, pair[1].ssrc), (pair[0].sequence.wrapping_add(1), pair[0].ssrc));
    }
    let capture = lab.captured(ear);
    assert!(capture.find(prompt.payload(Codec::Pcmu)).is_some());
    let (report, _) = lab.close(ear);
    assert_eq!((report.received.lost, report.received.duplicates), (0, 0));
    lab.close(player);
    assert!(lab.shards.iter().all(|shard| shard.is_empty() && shard.next_wake().is_none()));
}

#[test]
fn a_hundred_calls_moved_at_random_lose_no_packet() {
    let mut lab = Lab::with_shards(2, 4);
    let mut rng = base::Rng::from_u64(2);
    lab.wire.rules = Rules { delay_ms: 3, ..Rules::default() };
    for n in 0..100u64 {
        let (id, rtp_port) = (EndpointId(n), 10_000 + 2 * n as u16);
        lab.command(Command::Create { id, rtp_port });
        lab.configure(id, 10_000 + 2 * (n ^ 1) as u16, |_| {});
    }
    for _ in 0..2000 {
        lab.run(1);
        let (id, to) = (EndpointId(rng.below(100)), rng.below(4) as usize);
        lab.relocate(id, to);
    }
    lab.wire.quiet = true;
    lab.run(5);
    let sent = lab.wire.truth.sent;
    let received: u64 = lab.shards.iter().map(|shard| shard.stats().packets_received).sum();
    assert!(sent >= 100 * 100 && received + 50 >= sent, "{received} of {sent}");
    for n in 0..100 {
        let (report, _) = lab.close(EndpointId(n));
        assert_eq!((report.received.lost, report.strangers, report.sent.skipped), (0, 0, 0));
    }
}

#[test]
fn what_is_unknown_or_gone_is_counted() {
    let mut lab = Lab::new(3);
    let id = EndpointId(9);
    lab.command(Command::Close { id });
    lab.command(Command::Echo { id, on: true });
    assert_eq!(lab.shards[0].stats().unknown_endpoint, 2);
    assert!(lab.shards[0].take(id).is_none() && lab.events.is_empty());
}
