//! What leaves an endpoint: one stream, on one clock, whatever feeds it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]

mod lab;

use base::Rng;
use lab::{Lab, Rtp, speech};
use media::{Codec, Command, EndpointId, Event, PlayId, Prompt};
use std::sync::Arc;

fn play(lab: &mut Lab, id: EndpointId, play: u64, samples: usize, repeat: u32) -> Arc<Prompt> {
    let prompt = Arc::new(Prompt::new("speech", speech(samples, play)));
    lab.command(Command::Play { id, play: PlayId(play), prompt: prompt.clone(), repeat });
    prompt
}

fn press(lab: &mut Lab, id: EndpointId, digits: &str) {
    lab.command(Command::SendDigits { id, digits: digits.into(), tone_ms: 100, gap_ms: 60 });
}

/// Sequence without a break, timestamps that never step back, audio timestamps true to the clock.
fn assert_one_stream(packets: &[Rtp]) {
    let first = &packets[0];
    for pair in packets.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert_eq!(pair[1].ssrc, first.ssrc);
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32;
        assert!(step >= 0, "{step} between {} and {} ms", pair[0].at_ms, pair[1].at_ms);
    }
    for packet in packets.iter().filter(|packet| packet.payload_type != 101) {
        let clock = (packet.at_ms - first.at_ms) as u32 * 8;
        assert_eq!(packet.timestamp.wrapping_sub(first.timestamp), clock, "at {} ms", packet.at_ms);
    }
}

#[test]
fn a_prompt_arrives_sample_for_sample() {
    for codec in [Codec::Pcmu, Codec::Pcma] {
        for ptime_ms in [10, 20, 30, 60] {
            let mut lab = Lab::new(1);
            let (player, ear) = lab.pair(|config| (config.codec, config.ptime_ms) = (codec, ptime_ms));
            lab.command(Command::Capture { id: ear, on: true });
            lab.run(95);
            let prompt = play(&mut lab, player, 7, 12_345, 2);
            lab.run(4000);
            let capture = lab.captured(ear);
            let at = capture.find(prompt.payload(codec)).unwrap();
            let heard = &capture.pcm()[at..at + 12_345];
            let expected: Vec<i16> =
                prompt.samples().iter().map(|&sample| codec.decode_sample(codec.encode_sample(sample))).collect();
            assert_eq!(heard, expected, "{codec:?} {ptime_ms}");
            assert!(capture.gaps.is_empty());
            let ended = Event::PlayEnded { id: player, play: PlayId(7), finished: true, samples: 2 * 12_345 };
            assert_eq!(lab.said(|event| *event == ended).len(), 1, "{:?}", lab.events);
        }
    }
}

#[test]
fn prompt_silence_digits_and_prompt_are_one_stream() {
    let mut lab = Lab::new(2);
    let (player, _) = lab.pair(|_| {});
    lab.run(150);
    play(&mut lab, player, 1, 4000, 1);
    lab.run(700);
    press(&mut lab, player, "12#");
    lab.run(900);
    play(&mut lab, player, 2, 4000, 1);
    press(&mut lab, player, "9");
    lab.run(1500);
    let packets = lab.wire.rtp(player);
    assert_one_stream(&packets);
    assert!(packets.windows(2).all(|pair| pair[1].at_ms - pair[0].at_ms == 20), "50 packets a second throughout");
    let audio_marks: Vec<_> = packets.iter().filter(|packet| packet.marker && packet.payload_type == 0).collect();
    // The start, and each return from a run of keys (a pause between keys is sent as silence and is a talkspurt too).
    assert_eq!(audio_marks.len(), 1 + 4);
    assert_eq!(packets.iter().filter(|packet| packet.marker && packet.payload_type == 101).count(), 4);
}

#[test]
fn a_prompt_loses_nothing_to_a_key_pressed_in_its_middle() {
    let mut lab = Lab::new(3);
    let (player, ear) = lab.pair(|_| {});
    let prompt = play(&mut lab, player, 1, 16_000, 1);
    lab.run(510);
    press(&mut lab, player, "5");
    lab.run(3000);
    let audio: Vec<u8> =
        lab.wire.rtp(player).into_iter().filter(|p| p.payload_type == 0).flat_map(|p| p.payload).collect();
    let audio: Vec<u8> = audio.into_iter().filter(|octet| *octet != 0xFF).collect();
    assert_eq!(audio, prompt.payload(Codec::Pcmu).to_vec());
    assert_eq!(lab.digits(ear), "5");
}

#[test]
fn silence_is_sent_while_nothing_plays_and_nothing_while_held() {
    let mut lab = Lab::new(4);
    let (player, _) = lab.pair(|config| config.codec = Codec::Pcma);
    lab.run(1000);
    let silence = lab.wire.rtp(player);
    assert_eq!(silence.len(), 50);
    assert!(silence.iter().all(|packet| packet.payload == [0xD5; 160]));
    lab.configure(player, 10_002, |config| config.send = false);
    lab.run(5000);
    assert_eq!(lab.wire.rtp(player).len(), 50);
    lab.configure(player, 10_002, |_| {});
    lab.run(1000);
    let packets = lab.wire.rtp(player);
    assert_eq!(packets.len(), 100);
    assert_one_stream(&packets);
    assert!(packets[50].marker, "a talkspurt after a gap");
    assert!(!packets[51].marker);
}

#[test]
fn a_prompt_waits_for_the_stream_and_for_the_end_of_a_hold() {
    let mut lab = Lab::new(5);
    let id = EndpointId(1);
    lab.command(Command::Create { id, rtp_port: 10_000 });
    play(&mut lab, id, 1, 1600, 1);
    lab.run(500);
    assert!(lab.wire.sent.is_empty());
    lab.configure(id, 10_002, |config| config.remote = "0.0.0.0:10002".parse().unwrap());
    lab.run(500);
    assert!(lab.wire.rtp(id).is_empty(), "0.0.0.0 is hold");
    lab.configure(id, 10_002, |_| {});
    lab.run(500);
    assert_eq!(lab.said(|event| matches!(event, Event::PlayEnded { finished: true, samples: 1600, .. })).len(), 1);
}

#[test]
fn a_stop_ends_the_playback_it_names_and_no_other() {
    let mut lab = Lab::new(6);
    let (player, _) = lab.pair(|_| {});
    play(&mut lab, player, 1, 80_000, 0);
    lab.run(200);
    play(&mut lab, player, 2, 80_000, 1);
    lab.command(Command::StopPlay { id: player, play: PlayId(1) });
    lab.run(200);
    lab.command(Command::StopPlay { id: player, play: PlayId(2) });
    let ended: Vec<_> = lab
        .events
        .iter()
        .filter_map(|(_, event)| match event {
            Event::PlayEnded { play, finished, samples, .. } => Some((play.0, *finished, *samples)),
            _ => None,
        })
        .collect();
    assert_eq!(ended, [(1, false, 1600), (2, false, 1600)]);
}

#[test]
fn sequence_and_timestamp_wrap_in_mid_call() {
    // A seed whose stream begins within ten minutes of its timestamp's wrap: some 4.8 million of 4.3 billion.
    let starts = |seed: u64| {
        let mut lab = Lab::new(seed);
        let (player, _) = lab.pair(|_| {});
        lab.run(40);
        lab.wire.rtp(player)[0].timestamp > u32::MAX - 4_800_000
    };
    let seed = (0..20_000).find(|&seed| starts(seed)).unwrap();
    let mut lab = Lab::new(seed);
    let (player, ear) = lab.pair(|_| {});
    play(&mut lab, player, 1, 8000, 0);
    // 65,536 packets, and so the sequence wraps too.
    lab.run(22 * 60_000);
    let packets = lab.wire.rtp(player);
    assert_one_stream(&packets);
    assert!(packets.windows(2).any(|pair| pair[1].timestamp < pair[0].timestamp));
    assert!(packets.windows(2).any(|pair| pair[1].sequence < pair[0].sequence));
    let (report, _) = lab.close(ear);
    assert_eq!((report.received.lost, report.received.jitter, report.received.late), (0, 0, 0));
}

#[test]
fn an_echo_comes_back_sample_for_sample_on_one_clock() {
    let mut lab = Lab::new(7);
    let (caller, mirror) = lab.pair(|_| {});
    lab.wire.rules.delay_ms = 7;
    lab.command(Command::Capture { id: caller, on: true });
    lab.run(500);
    lab.command(Command::Echo { id: mirror, on: true });
    let prompt = play(&mut lab, caller, 1, 24_000, 1);
    lab.run(4000);
    lab.command(Command::Echo { id: mirror, on: false });
    lab.run(1000);
    let capture = lab.captured(caller);
    assert!(capture.find(prompt.payload(Codec::Pcmu)).is_some());
    let packets = lab.wire.rtp(mirror);
    for pair in packets.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert!((pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32) > 0);
        assert!(pair[1].at_ms - pair[0].at_ms <= 80, "silence fills in when the echo ends");
    }
}

#[test]
fn an_echo_under_loss_and_reordering_never_steps_back() {
    for seed in 0..20 {
        let mut lab = Lab::new(seed);
        let (caller, mirror) = lab.pair(|_| {});
        lab.wire.rules = lab::Rules { loss: 0.05, duplicate: 0.05, hold_back: 0.2, held_ms: 30, ..Default::default() };
        lab.command(Command::Echo { id: mirror, on: true });
        play(&mut lab, caller, 1, 40_000, 1);
        lab.run(6000);
        for pair in lab.wire.rtp(mirror).windows(2) {
            assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
            assert!((pair[1].timestamp.wrapping_sub(pair[0].timestamp) as i32) > 0, "seed {seed}");
        }
    }
}

#[test]
fn leaps_of_a_far_end_do_not_stop_its_echo() {
    let mut lab = Lab::new(10);
    let id = EndpointId(1);
    lab.command(Command::Create { id, rtp_port: 10_000 });
    lab.configure(id, 20_000, |_| {});
    lab.command(Command::Echo { id, on: true });
    let (mut sequence, mut timestamp, mut ssrc) = (65_000u16, 1000u32, 1);
    for n in 0..600u32 {
        match n {
            100 => timestamp = timestamp.wrapping_add(28_800_000),
            200 => timestamp = timestamp.wrapping_sub(28_800_000),
            300 => sequence = sequence.wrapping_add(30_000),
            400 => (sequence, timestamp, ssrc) = (1, u32::MAX - 5000, 2),
            500 => ssrc = 3,
            _ => {}
        }
        // The marker is misused: set on every packet.
        let bytes = lab::packet(0, true, sequence, timestamp, ssrc, &[n as u8 | 1; 160]);
        lab.wire.carry(lab::address(20_000), lab::address(10_000), &bytes, 0);
        lab.run(20);
        (sequence, timestamp) = (sequence.wrapping_add(1), timestamp.wrapping_add(160));
    }
    let packets = lab.wire.rtp(id);
    for pair in packets.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        let step = pair[1].timestamp.wrapping_sub(pair[0].timestamp);
        assert!((1..=1600).contains(&step), "{step} at {} ms", pair[1].at_ms);
        assert!(pair[1].at_ms - pair[0].at_ms <= 80);
    }
    let echoed = packets.iter().filter(|packet| packet.payload[0] != 0xFF).count();
    assert!(echoed >= 590, "{echoed}: at most a packet or two of each leap is lost");
}

#[test]
fn what_cannot_be_done_is_said_with_its_reason() {
    let mut lab = Lab::new(8);
    let (player, _) = lab.pair(|_| {});
    lab.command(Command::Create { id: player, rtp_port: 10_004 });
    lab.configure(player, 10_002, |config| config.ptime_ms = 25);
    lab.configure(player, 10_002, |config| config.payload_type_in = 200);
    lab.configure(player, 10_002, |config| config.dtmf_out = Some(0));
    press(&mut lab, player, "12x");
    lab.configure(player, 10_002, |config| config.dtmf_out = None);
    press(&mut lab, player, "1");
    let errors: Vec<_> = lab
        .events
        .iter()
        .filter_map(|(_, event)| if let Event::Failed { error, .. } = event { Some(error.as_str()) } else { None })
        .collect();
    let expected = ["exists already", "25 ms", "200", "payload type", "`x`", "not negotiated"];
    assert_eq!(errors.len(), expected.len(), "{errors:?}");
    assert!(errors.iter().zip(expected).all(|(error, part)| error.contains(part)), "{errors:?}");
}

#[test]
fn a_full_socket_costs_only_its_own_call() {
    let mut lab = Lab::new(9);
    let (stuck, fine) = lab.pair(|_| {});
    lab.wire.rules.blocked = vec![stuck];
    lab.run(1000);
    let (report, _) = lab.close(stuck);
    assert_eq!((report.sent.packets, report.sent.dropped), (0, 50));
    assert_eq!(lab.wire.rtp(fine).len(), 50);
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let trace = |seed: u64| {
        let mut lab = Lab::new(seed);
        let (player, _) = lab.pair(|_| {});
        lab.wire.rules = lab::Rules { loss: 0.1, duplicate: 0.1, hold_back: 0.1, held_ms: 25, ..Default::default() };
        play(&mut lab, player, 1, 20_000, 1);
        press(&mut lab, player, "0123");
        lab.run(12_000);
        lab.wire.sent.into_iter().map(|sent| (sent.at_ms, sent.id, sent.bytes)).collect::<Vec<_>>()
    };
    let seed = Rng::from_u64(99).u64();
    assert_eq!(trace(seed), trace(seed));
    assert_ne!(trace(seed), trace(seed + 1));
}
