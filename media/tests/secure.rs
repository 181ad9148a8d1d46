//! SRTP on an endpoint: heard sample for sample, and what is forged, replayed or in clear is nothing (SECURITY.md rows 2,
//! 4 and 5).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]

mod lab;

use base::Rng;
use lab::{Lab, address, packet, speech};
use media::{Channel, Codec, Command, EndpointId, Event, Latch, PlayId, Prompt, SrtpKey, SrtpKeys, SrtpSuite};
use std::sync::Arc;

const ANN: EndpointId = EndpointId(1);
const BOB: EndpointId = EndpointId(2);

/// Keys as one end has them; the other has them the other way round.
fn keys(suite: SrtpSuite, seed: u64) -> SrtpKeys {
    let mut rng = Rng::from_u64(seed);
    SrtpKeys { send: SrtpKey::generate(suite, &mut rng), receive: SrtpKey::generate(suite, &mut rng) }
}

fn mirrored(keys: SrtpKeys) -> SrtpKeys {
    SrtpKeys { send: keys.receive, receive: keys.send }
}

fn configure(lab: &mut Lab, keys: SrtpKeys, mux: bool) {
    for (id, remote, keys) in [(ANN, 10_002, keys), (BOB, 10_000, mirrored(keys))] {
        lab.configure(id, remote, |config| {
            (config.srtp, config.rtcp_mux, config.latch) = (Some(keys), mux, Latch::FirstPacket);
        });
    }
}

/// Ann and Bob, who share keys.
fn call(seed: u64, suite: SrtpSuite, mux: bool) -> Lab {
    let mut lab = Lab::new(seed);
    for (id, rtp_port) in [(ANN, 10_000), (BOB, 10_002)] {
        lab.command(Command::Create { id, rtp_port });
    }
    configure(&mut lab, keys(suite, 1), mux);
    lab
}

fn prompt(samples: usize) -> Arc<Prompt> {
    Arc::new(Prompt::new("speech", speech(samples, 1)))
}

fn play(lab: &mut Lab, prompt: &Arc<Prompt>) {
    lab.command(Command::Capture { id: BOB, on: true });
    lab.command(Command::Play { id: ANN, play: PlayId(1), prompt: prompt.clone(), repeat: 1 });
}

#[test]
fn every_suite_carries_audio_keys_and_reports_over_one_port_or_two() {
    for suite in SrtpSuite::ALL {
        for mux in [false, true] {
            let mut lab = call(1, suite, mux);
            let said = prompt(16_000);
            lab.run(100);
            play(&mut lab, &said);
            lab.run(3_000);
            lab.command(Command::SendDigits { id: ANN, digits: "159".into(), tone_ms: 80, gap_ms: 60 });
            lab.run(20_000);
            assert!(lab.captured(BOB).find(said.payload(Codec::Pcmu)).is_some(), "{suite}");
            assert_eq!(lab.digits(BOB), "159", "{suite}");
            let clear = said.payload(Codec::Pcmu);
            let heard =
                |sent: &lab::Sent| clear.windows(40).step_by(160).any(|part| sent.bytes.windows(40).any(|w| w == part));
            assert!(!lab.wire.sent.iter().take(300).any(heard), "{suite}: speech in clear");
            let (report, _) = lab.close(BOB);
            assert!(report.rtt_ms.is_some() && report.sent.far.is_some(), "{suite}, mux {mux}: {report:?}");
            assert_eq!((report.unauthentic, report.replayed, report.malformed, report.received.lost), (0, 0, 0, 0));
        }
    }
}

#[test]
fn a_long_call_rolls_over_and_loses_nothing() {
    // A sequence that begins in the middle of its range rolls over after eleven minutes.
    let begins_late = |seed: &u64| {
        let mut lab = call(*seed, SrtpSuite::AesCm128HmacSha1_80, true);
        lab.run(40);
        lab.wire.rtp(ANN)[0].sequence > 32_000
    };
    let seed = (0..1_000).find(begins_late).unwrap();
    let mut lab = call(seed, SrtpSuite::AesCm128HmacSha1_80, true);
    let silent = mirrored(keys(SrtpSuite::AesCm128HmacSha1_80, 1));
    lab.configure(BOB, 10_000, |config| {
        (config.srtp, config.rtcp_mux, config.latch, config.send) = (Some(silent), true, Latch::FirstPacket, false);
    });
    lab.wire.quiet = true;
    lab.run(700_000);
    lab.wire.quiet = false;
    lab.run(20);
    assert!(lab.wire.rtp(ANN).last().unwrap().sequence < 3_000);
    let (report, _) = lab.close(BOB);
    assert_eq!((report.unauthentic, report.replayed, report.received.lost), (0, 0, 0));
}

#[test]
fn ten_thousand_forged_packets_leave_the_call_up_and_its_audio_whole() {
    for suite in SrtpSuite::ALL {
        let mut lab = call(1, suite, false);
        let (said, mut rng) = (prompt(80_000), Rng::from_u64(4));
        lab.run(100);
        play(&mut lab, &said);
        let (ssrc, start) = (lab.wire.rtp(ANN)[0].ssrc, lab.wire.rtp(ANN)[0].sequence);
        for n in 0..10_000u32 {
            let sequence = start.wrapping_add((n / 100) as u16).wrapping_add(rng.below(300) as u16);
            let forged = packet(0, false, sequence, n * 160, ssrc, &[n as u8; 170]);
            let source = if n % 2 == 0 { 10_000 } else { 666 };
            lab.wire.carry(address(source), address(10_002), &forged, 0);
            if n % 10 == 0 {
                lab.run(11);
            }
        }
        lab.run(2);
        let (report, capture) = lab.close(BOB);
        assert_eq!((report.unauthentic + report.replayed, report.strangers), (5_000, 5_000), "{suite}");
        assert_eq!((report.received.lost, report.received.ssrc_changes), (0, 0));
        assert!(capture.unwrap().find(said.payload(Codec::Pcmu)).is_some(), "{suite}");
        assert!(lab.said(|event| matches!(event, Event::TimedOut { .. } | Event::Failed { .. })).is_empty());
    }
}

#[test]
fn every_packet_ten_times_is_heard_once() {
    let mut lab = call(1, SrtpSuite::AesCm128HmacSha1_80, false);
    let said = prompt(16_000);
    lab.run(100);
    play(&mut lab, &said);
    let mut repeated = lab.wire.sent.len();
    for _ in 0..150 {
        lab.run(20);
        let fresh: Vec<_> = lab.wire.sent[repeated..].iter().filter(|sent| sent.id == ANN).cloned().collect();
        repeated = lab.wire.sent.len();
        for sent in fresh {
            let to = if sent.channel == Channel::Rtp { 10_002 } else { 10_003 };
            (0..10).for_each(|_| lab.wire.carry(address(to - 2), address(to), &sent.bytes, 1));
        }
    }
    let (report, capture) = lab.close(BOB);
    assert!(capture.unwrap().find(said.payload(Codec::Pcmu)).is_some());
    assert!(report.replayed >= 1_480, "{report:?}");
    assert_eq!((report.unauthentic, report.received.duplicates, report.received.lost), (0, 0, 0));
}

#[test]
fn a_forged_first_packet_locks_no_source_and_is_no_first_packet() {
    let mut lab = call(1, SrtpSuite::AesCm128HmacSha1_80, false);
    for n in 0..5 {
        let forged = packet(0, false, n, 160, 9, &[0; 170]);
        lab.wire.carry(address(666), address(10_002), &forged, 0);
        let clear = packet(0, false, n, 160, 9, &[0; 160]);
        lab.wire.carry(address(10_000), address(10_002), &clear, 0);
    }
    lab.turn();
    assert!(lab.said(|event| matches!(event, Event::FirstPacket { id: BOB, .. })).is_empty());
    lab.run(100);
    let first = lab.events.iter().find_map(|(_, event)| match event {
        Event::FirstPacket { id: BOB, from, .. } => Some(*from),
        _ => None,
    });
    assert_eq!(first, Some(address(10_000)));
    assert!(lab.wire.sent.iter().all(|sent| sent.to.port() != 666), "nothing went to the stranger");
}

#[test]
fn new_keys_in_mid_call_lose_nothing_though_the_far_end_takes_them_later() {
    let mut lab = call(1, SrtpSuite::AesCm128HmacSha1_80, false);
    let said = prompt(24_000);
    lab.run(100);
    play(&mut lab, &said);
    let suites = [SrtpSuite::AesCm128HmacSha1_80, SrtpSuite::AeadAes128Gcm].into_iter().cycle();
    for (turn, suite) in suites.take(6).enumerate() {
        lab.run(300);
        let new = keys(suite, 100 + turn as u64);
        let take = |lab: &mut Lab, id, remote, keys| {
            lab.configure(id, remote, |config| (config.srtp, config.latch) = (Some(keys), Latch::FirstPacket));
        };
        // Bob has sent his answer; it reaches Ann 70 ms later.
        take(&mut lab, BOB, 10_000, mirrored(new));
        lab.run(70);
        take(&mut lab, ANN, 10_002, new);
        let old = lab.wire.sent.iter().rfind(|sent| sent.id == ANN && sent.channel == Channel::Rtp).cloned().unwrap();
        lab.run(40);
        lab.wire.carry(address(10_000), address(10_002), &old.bytes, 0);
    }
    lab.run(2_000);
    let (report, capture) = lab.close(BOB);
    assert!(capture.unwrap().find(said.payload(Codec::Pcmu)).is_some());
    assert_eq!((report.unauthentic, report.received.lost, report.received.ssrc_changes), (6, 0, 0));
}

#[test]
fn a_secure_leg_and_one_in_clear_are_bridged() {
    let mut lab = Lab::new(2);
    let [phone, left, right, other] = [1, 2, 3, 4].map(EndpointId);
    for (id, rtp_port) in [(phone, 10_000), (left, 10_002), (right, 10_004), (other, 10_006)] {
        lab.command(Command::Create { id, rtp_port });
    }
    let keys = keys(SrtpSuite::AesCm128HmacSha1_32, 3);
    lab.configure(phone, 10_002, |config| config.srtp = Some(keys));
    lab.configure(left, 10_000, |config| config.srtp = Some(mirrored(keys)));
    lab.configure(right, 10_006, |_| {});
    lab.configure(other, 10_004, |_| {});
    lab.command(Command::Bridge { id: left, with: right });
    lab.run(200);
    let (ann, bob) = (prompt(16_000), Arc::new(Prompt::new("other", speech(16_000, 2))));
    for (id, said) in [(phone, &ann), (other, &bob)] {
        lab.command(Command::Capture { id, on: true });
        lab.command(Command::Play { id, play: PlayId(1), prompt: said.clone(), repeat: 1 });
    }
    lab.run(3_000);
    for (id, said) in [(other, &ann), (phone, &bob)] {
        assert!(lab.captured(id).find(said.payload(Codec::Pcmu)).is_some(), "{id:?}");
        let (report, _) = lab.close(id);
        assert_eq!((report.unauthentic, report.received.lost), (0, 0));
    }
}
