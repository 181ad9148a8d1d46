//! What is counted equals what the wire did; reports cross; silence is noticed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]

mod lab;

use lab::{Lab, Rules, address, packet};
use media::{Channel, EndpointId, Event, Quality};
use rtcp_types::prelude::*;
use std::time::Duration;

const FAR: u16 = 20_000;

/// An endpoint on port 10000 whose far end is played by the test.
fn alone(lab: &mut Lab, change: impl Fn(&mut media::StreamConfig)) -> EndpointId {
    let id = EndpointId(1);
    lab.command(media::Command::Create { id, rtp_port: 10_000 });
    lab.configure(id, FAR, change);
    id
}

/// The far end sends one packet, heard in the same millisecond.
fn send(lab: &mut Lab, payload_type: u8, sequence: u16, timestamp: u32, ssrc: u32) {
    let bytes = packet(payload_type, false, sequence, timestamp, ssrc, &[0xFF; 160]);
    lab.wire.carry(address(FAR), address(10_000), &bytes, 0);
    lab.turn();
}

#[test]
fn loss_duplicates_and_reordering_equal_what_the_wire_did() {
    for seed in 0..40 {
        let mut lab = Lab::new(seed);
        lab.wire.rules = Rules { loss: 0.05, duplicate: 0.03, ..Rules::default() };
        let (left, right) = lab.pair(|_| {});
        // The last packets arrive for certain, so that no loss hides behind the end; so does the first.
        lab.wire.rules.loss = 0.0;
        lab.run(40);
        lab.wire.rules.loss = 0.05;
        lab.run(20_000);
        lab.wire.rules.loss = 0.0;
        lab.run(40);
        let truth = lab.wire.truth;
        let (left, _) = lab.close(left);
        let (right, _) = lab.close(right);
        let sum = |count: fn(&Quality) -> u64| count(&left) + count(&right);
        assert_eq!(sum(|q| q.sent.packets), truth.sent, "seed {seed}");
        assert_eq!(sum(|q| q.received.expected), truth.sent);
        assert_eq!(sum(|q| q.received.lost), truth.lost);
        assert_eq!(sum(|q| q.received.duplicates), truth.duplicated);
        assert_eq!(sum(|q| q.received.packets), truth.sent - truth.lost);
        let ppm = left.received.lost * 1_000_000 / left.received.expected;
        assert!(u64::from(left.received.loss_ppm).abs_diff(ppm) <= 1);
        assert!(left.received.mos.unwrap() < 4.2 && left.received.mos.unwrap() > 2.5);
    }
}

#[test]
fn every_packet_held_back_is_one_reordered() {
    let mut lab = Lab::new(1);
    let (left, right) = lab.pair(|_| {});
    lab.run(100);
    // 30 ms: behind exactly one other packet, which is reordered if it was not held back itself.
    lab.wire.rules = Rules { hold_back: 0.02, held_ms: 30, ..Rules::default() };
    lab.run(20_000);
    lab.wire.rules = Rules::default();
    lab.run(100);
    let held = lab.wire.truth.held_back;
    let (left, right) = (lab.close(left).0.received, lab.close(right).0.received);
    let reordered = left.reordered + right.reordered;
    assert!(reordered <= held && reordered >= held * 9 / 10, "{reordered} of {held}");
    assert_eq!((left.lost, right.lost, left.duplicates), (0, 0, 0));
}

#[test]
fn reports_cross_and_give_round_trip_and_the_far_ends_view() {
    let mut lab = Lab::new(5);
    lab.wire.rules = Rules { loss: 0.1, ..Rules::default() };
    let (left, right) = lab.pair(|config| config.rtcp_mux = true);
    lab.run(40_000);
    let (left, right) = (lab.close(left).0, lab.close(right).0);
    assert!(left.rtt_ms.unwrap() < 5.0 && right.rtt_ms.unwrap() < 5.0);
    let far = left.sent.far.unwrap();
    assert!((far.lost as u64).abs_diff(right.received.lost) <= 60, "{} {}", far.lost, right.received.lost);
    assert!(left.sent.mos.unwrap() < 4.0);
    assert!(!lab.wire.sent.iter().any(|sent| sent.channel == Channel::Rtcp), "rtcp-mux: one port only");
}

#[test]
fn rtcp_goes_to_the_port_above_or_to_the_signalled_one_and_ends_in_bye() {
    let mut lab = Lab::new(6);
    let (left, right) = lab.pair(|_| {});
    lab.configure(right, 10_000, |config| config.remote_rtcp = Some(address(10_777)));
    lab.run(30_000);
    lab.close(left);
    lab.close(right);
    let reports = |id: EndpointId| {
        let of = lab.wire.sent.iter().filter(move |sent| sent.id == id && sent.channel == Channel::Rtcp);
        of.map(|sent| (sent.at_ms, sent.to.port(), sent.bytes.clone())).collect::<Vec<_>>()
    };
    let sent = reports(left);
    assert!((4..=13).contains(&sent.len()), "{} reports in 30 s", sent.len());
    assert!(sent.iter().all(|(_, port, bytes)| *port == 10_003 && bytes[1] == 200));
    let gaps: Vec<_> = sent.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(gaps[..gaps.len() - 1].iter().all(|gap| (2500..=7501).contains(gap)), "{gaps:?}");
    assert!(gaps.windows(2).any(|pair| pair[0] != pair[1]), "randomised");
    assert!(reports(right).iter().all(|(_, port, _)| *port == 10_777));
    let last = &sent.last().unwrap().2;
    assert_eq!(last[last.len() - 7], 203, "BYE closes the last compound");
}

#[test]
fn an_ssrc_change_keeps_the_totals_and_no_count_goes_negative() {
    let mut lab = Lab::new(7);
    let id = alone(&mut lab, |_| {});
    for n in 0..50u16 {
        send(&mut lab, 0, n, u32::from(n) * 160, 1);
        lab.run(20);
    }
    for n in 0..50u16 {
        send(&mut lab, 0, 60_000 + n, 3_000_000_000 + u32::from(n) * 160, 2);
        lab.run(20);
    }
    let (report, _) = lab.close(id);
    let received = report.received;
    assert_eq!((received.ssrc, received.ssrc_changes, received.lost), (Some(2), 1, 0));
    assert_eq!((received.packets, received.jitter), (99, 0), "one on probation");
}

#[test]
fn unknown_payload_types_are_counted_and_never_heard() {
    let mut lab = Lab::new(8);
    let id = alone(&mut lab, |_| {});
    lab.command(media::Command::Capture { id, on: true });
    send(&mut lab, 0, 0, 0, 1);
    for payload_type in 1..=127u8 {
        for length in [0, 1, 1460, 1488] {
            let bytes = packet(payload_type, false, u16::from(payload_type), 160, 1, &vec![1; length]);
            lab.wire.carry(address(FAR), address(10_000), &bytes, 0);
            lab.turn();
        }
    }
    let (report, capture) = lab.close(id);
    assert_eq!(capture.unwrap().payload.len(), 160);
    // 126 types, three lengths each; the fourth is longer than any packet that is heard. 101 is telephone-event: its
    // empty packet is malformed, the others repeat its sequence number.
    assert_eq!((report.received.unknown_payload, report.malformed), (126 * 3, 127 + 1));
}

#[test]
fn short_and_garbled_packets_are_counted_and_ignored() {
    let mut lab = Lab::new(9);
    let id = alone(&mut lab, |config| config.rtcp_mux = true);
    let mut rng = base::Rng::from_u64(1);
    let good = packet(0, false, 1, 1, 1, &[0xFF; 160]);
    let mut sent = 0;
    for length in 0..12 {
        lab.wire.carry(address(FAR), address(10_000), &good[..length], 0);
        lab.wire.carry(address(FAR), address(10_001), &good[..length], 0);
        sent += 1;
    }
    for _ in 0..5000 {
        let mut noise = vec![0; rng.below(200) as usize];
        rng.fill(&mut noise);
        if noise.first().is_some_and(|first| first >> 6 == 2) {
            noise[0] = 0;
        }
        lab.wire.carry(address(FAR), address(10_000), &noise, 0);
        sent += 1;
    }
    lab.turn();
    let (report, _) = lab.close(id);
    assert_eq!((report.received.packets, report.malformed + report.strangers), (0, sent + 12));
}

#[test]
fn one_way_audio_is_said_after_two_seconds_and_its_end_too() {
    let mut lab = Lab::new(10);
    let id = alone(&mut lab, |config| {
        config.expects_media = true;
        config.timeout = Some(Duration::from_secs(10));
    });
    let start = lab.ms();
    lab.run(12_000);
    let at = |lab: &Lab, wanted: Event| lab.said(|event| *event == wanted);
    assert_eq!(at(&lab, Event::NoMedia { id }), [start + 2000]);
    assert_eq!(at(&lab, Event::TimedOut { id }), [start + 10_000]);
    send(&mut lab, 0, 1, 1, 1);
    let resumed = lab.ms();
    lab.run(5000);
    assert_eq!(at(&lab, Event::MediaResumed { id }), [resumed]);
    assert_eq!(at(&lab, Event::NoMedia { id }), [start + 2000, resumed + 2000]);
    // A hold: silence by agreement.
    lab.configure(id, FAR, |config| {
        (config.receive, config.expects_media, config.timeout) = (false, true, Some(Duration::from_secs(1)));
    });
    lab.run(60_000);
    assert_eq!(at(&lab, Event::TimedOut { id }).len(), 1);
}

#[test]
fn quality_is_told_every_five_seconds() {
    let mut lab = Lab::new(11);
    let (left, _) = lab.pair(|_| {});
    let start = lab.ms();
    lab.run(20_500);
    let at = lab.said(|event| matches!(event, Event::Quality { id, .. } if *id == left));
    assert_eq!(at.len(), 4);
    // Looked at when its packet leaves: at most one packet time late, each time.
    assert!(at.iter().zip(1..).all(|(at, n)| (n * 5000..=n * 5020).contains(&(at - start))), "{at:?}");
}

#[test]
fn a_clock_that_drifts_for_an_hour_is_not_late() {
    let mut lab = Lab::new(12);
    lab.wire.quiet = true;
    let id = alone(&mut lab, |config| config.send = false);
    // 200 ppm slow: a packet every 20.004 ms.
    for n in 0..180_000u64 {
        let due = 2000 + n * 20_004 / 1000;
        while lab.ms() < due {
            lab.run(1);
        }
        send(&mut lab, 0, n as u16, (n * 160) as u32, 1);
    }
    let (report, _) = lab.close(id);
    assert_eq!((report.received.late, report.received.lost), (0, 0));
    assert!(report.received.jitter_ms < 1.5);
}

#[test]
fn extended_reports_are_read_and_given_to_those_who_give_them() {
    let mut lab = Lab::new(9);
    let (left, right) = lab.pair(|_| {});
    lab.wire.rules = Rules { loss: 0.05, delay_ms: 20, ..Rules::default() };
    lab.run(10_000);
    let reports = |lab: &Lab, of: EndpointId| {
        let sent = lab.wire.sent.iter().filter(|sent| sent.id == of && sent.channel == Channel::Rtcp);
        let kinds = |bytes: &[u8]| {
            let compound = rtcp_types::Compound::parse(bytes).unwrap();
            compound.map(|packet| packet.unwrap().type_()).collect::<Vec<_>>()
        };
        sent.map(|sent| kinds(&sent.bytes)).collect::<Vec<_>>()
    };
    assert!(reports(&lab, left).iter().all(|kinds| *kinds == [200, 202]), "nobody asked for more");
    // The right one's far end reports as a phone does that has heard a tenth lost, R 70 and MOS 3.6.
    let ssrc = lab.wire.rtp(right)[0].ssrc.to_be_bytes();
    let mut said = vec![0x80, 201, 0, 1, 0, 0, 0, 9, 0x80, 207, 0, 10, 0, 0, 0, 9, 7, 0, 0, 8];
    said.extend(ssrc);
    said.extend([
        26, 0, 128, 2, 0, 100, 10, 0, 0, 40, 0, 60, 127, 127, 127, 16, 70, 127, 36, 35, 0, 0, 0, 40, 0, 0, 0, 0,
    ]);
    lab.wire.carry(address(10_001), address(10_003), &said, 0);
    lab.run(20_000);
    assert!(reports(&lab, right).iter().rev().take(2).all(|kinds| *kinds == [200, 202, 207]));
    assert!(reports(&lab, left).last().unwrap().contains(&207), "it has heard one, and answers in kind");
    let (right_report, _) = lab.close(right);
    let (left_report, _) = lab.close(left);
    let heard = right_report.sent.far_voip.unwrap();
    assert!(heard.loss_ppm > 0 && heard.mos_cq.is_some(), "the left one's own have replaced the phone's: {heard:?}");
    let told = left_report.sent.far_voip.unwrap();
    assert!((20_000..80_000).contains(&told.loss_ppm) && told.gap_ms > 0, "{told:?}");
    assert!(told.r_factor.is_some_and(|r| (50..90).contains(&r)), "{told:?}");
    assert_eq!(right_report.malformed + left_report.malformed, 0);
}

#[test]
fn a_far_end_that_sends_without_end_is_heard_five_thousand_times_a_second() {
    let mut lab = Lab::new(15);
    let id = alone(&mut lab, |_| {});
    for second in 0..3 {
        for sent in second * 6000..(second + 1) * 6000 {
            send(&mut lab, 0, sent, u32::from(sent) * 160, 1);
        }
        lab.run(1000);
    }
    let flooded = lab.shards[0].stats().flooded;
    let (report, _) = lab.close(id);
    assert_eq!((report.received.packets, flooded), (15_000, 3000));
}
