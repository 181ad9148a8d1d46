//! Two legs that share no codec, or have other packet times: what one far end says the other hears.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]

mod lab;

use lab::{Lab, config};
use media::detect::keys::KeyDetector;
use media::{Codec, Command, Decoder, EndpointId, PlayId, Prompt};
use std::sync::Arc;

const ALICE: EndpointId = EndpointId(1);
const LEFT: EndpointId = EndpointId(2);
const RIGHT: EndpointId = EndpointId(3);
const BOB: EndpointId = EndpointId(4);

/// Alice's phone, our two legs, Bob's phone.
fn call(seed: u64, alice: (Codec, u16), bob: (Codec, u16)) -> Lab {
    let mut lab = Lab::new(seed);
    for (id, remote, (codec, ptime)) in
        [(ALICE, 10_004, alice), (LEFT, 10_002, alice), (RIGHT, 10_008, bob), (BOB, 10_006, bob)]
    {
        let rtp_port = 10_000 + 2 * id.0 as u16;
        lab.command(Command::Create { id, rtp_port });
        let mut stream = config(remote);
        (stream.codec, stream.ptime_ms) = (codec, ptime);
        (stream.payload_type_out, stream.payload_type_in) = (codec.payload_type(), codec.payload_type());
        lab.command(Command::Configure { id, config: stream });
    }
    lab.command(Command::Bridge { id: LEFT, with: RIGHT });
    lab
}

fn voice() -> Vec<i16> {
    let path = format!("{}/tests/voice/voice-16000.wav", env!("CARGO_MANIFEST_DIR"));
    let wide: Vec<i16> = hound::WavReader::open(path).unwrap().into_samples::<i16>().map(Result::unwrap).collect();
    // Through a codec that changes the rate and little else.
    let (mut encoder, mut decoder) = (media::Encoder::new(Codec::Pcma, 16_000), Decoder::new(Codec::Pcma, 8_000));
    let (mut payload, mut out) = ([0; 160], [0; 160]);
    wide.chunks_exact(320)
        .flat_map(|frame| {
            encoder.encode(frame, &mut payload);
            decoder.decode(&payload, &mut out);
            out
        })
        .collect()
}

fn ratio(said: &[i16], heard: &[i16]) -> f64 {
    let at = |delay: usize| {
        let (mut signal, mut cross, mut power) = (0.0, 0.0, 0.0);
        for (&said, &heard) in said.iter().zip(heard.iter().skip(delay)) {
            let (said, heard) = (f64::from(said), f64::from(heard));
            signal += said * said;
            cross += said * heard;
            power += heard * heard;
        }
        10.0 * (power / (power - cross * cross / signal.max(1.0)).max(1.0)).log10()
    };
    (0..heard.len().saturating_sub(said.len())).map(at).fold(0.0, f64::max)
}

#[test]
fn what_one_says_the_other_hears_in_every_pair_of_codecs() {
    let said = voice();
    for (from, to, least) in [
        (Codec::Pcmu, Codec::G722, 25.0),
        (Codec::G722, Codec::Pcma, 17.0),
        (Codec::Pcmu, Codec::Opus, 8.0),
        (Codec::Opus, Codec::Pcmu, 8.0),
        (Codec::Opus, Codec::G722, 6.0),
        (Codec::G722, Codec::Opus, 6.0),
    ] {
        let mut lab = call(3, (from, 20), (to, 20));
        lab.command(Command::Capture { id: BOB, on: true });
        lab.run(500);
        let prompt = Arc::new(Prompt::new("voice", said.clone()));
        lab.command(Command::Play { id: ALICE, play: PlayId(1), prompt, repeat: 1 });
        lab.run(2_500);
        let heard = lab.captured(BOB).pcm();
        let ratio = ratio(&said[..said.len() - 320], &heard);
        println!("{from:?} to {to:?}: {ratio:.1} dB");
        assert!(ratio > least, "{from:?} to {to:?}: {ratio:.1} dB");
        let sent = lab.wire.rtp(RIGHT);
        let pairs = sent.windows(2);
        let steady =
            pairs.clone().filter(|pair| pair[1].timestamp.wrapping_sub(pair[0].timestamp) == to.clock_rate() / 50);
        assert_eq!(steady.count(), sent.len() - 1, "one stream without a step");
    }
}

#[test]
fn other_packet_times_are_made_anew_without_changing_a_sample() {
    let said = voice();
    for (from, to) in [(20, 30), (30, 20), (60, 10), (10, 60), (20, 40)] {
        let mut lab = call(4, (Codec::Pcma, from), (Codec::Pcma, to));
        lab.command(Command::Capture { id: BOB, on: true });
        lab.run(1_000);
        let prompt = Prompt::new("voice", said.clone());
        let expected = prompt.payload(Codec::Pcma)[..said.len()].to_vec();
        lab.command(Command::Play { id: ALICE, play: PlayId(1), prompt: Arc::new(prompt), repeat: 1 });
        lab.run(2_500);
        let octets = lab.wire.rtp(RIGHT).iter().map(|packet| packet.payload.len()).collect::<Vec<_>>();
        assert!(octets.iter().all(|&octets| octets == usize::from(to) * 8), "{octets:?}");
        assert!(lab.captured(BOB).find(&expected).is_some(), "{from} to {to} ms");
    }
}

#[test]
fn legs_that_share_a_codec_are_never_decoded() {
    for codec in [Codec::Pcmu, Codec::G722, Codec::Opus] {
        let mut lab = call(6, (codec, 20), (codec, 20));
        lab.run(300);
        let prompt = Arc::new(Prompt::new("voice", voice()));
        lab.command(Command::Play { id: ALICE, play: PlayId(1), prompt, repeat: 1 });
        lab.run(1_000);
        let payloads = |id| lab.wire.rtp(id).into_iter().map(|packet| packet.payload).collect::<Vec<_>>();
        let (said, passed) = (payloads(ALICE), payloads(RIGHT));
        let at = said.len() - 30;
        assert!(passed.windows(20).any(|window| window == &said[at..at + 20]), "{codec:?}: as it was sent");
    }
}

#[test]
fn keys_cross_once_each_between_clocks_under_loss() {
    for (from, to) in [(Codec::Pcmu, Codec::Opus), (Codec::Opus, Codec::Pcma), (Codec::G722, Codec::Pcmu)] {
        let mut lab = call(8, (from, 20), (to, 20));
        lab.wire.rules.loss = 0.05;
        lab.wire.rules.duplicate = 0.05;
        lab.run(500);
        lab.command(Command::SendDigits { id: ALICE, digits: "1234567890*#".into(), tone_ms: 100, gap_ms: 80 });
        lab.run(6_000);
        assert_eq!(lab.digits(LEFT), "1234567890*#", "{from:?} to {to:?}, our own ear");
        assert_eq!(lab.digits(BOB), "1234567890*#", "{from:?} to {to:?}");
    }
}

#[test]
fn a_reinvite_that_changes_the_codec_goes_on() {
    let mut lab = call(9, (Codec::Pcmu, 20), (Codec::Pcmu, 20));
    lab.run(500);
    for (id, remote) in [(RIGHT, 10_008), (BOB, 10_006)] {
        let mut stream = config(remote);
        stream.codec = Codec::Opus;
        (stream.payload_type_out, stream.payload_type_in) = (111, 111);
        lab.command(Command::Configure { id, config: stream });
    }
    lab.run(300);
    lab.command(Command::Capture { id: BOB, on: true });
    let said = voice();
    lab.command(Command::Play {
        id: ALICE,
        play: PlayId(1),
        prompt: Arc::new(Prompt::new("voice", said.clone())),
        repeat: 1,
    });
    lab.run(2_500);
    let ratio = ratio(&said[..said.len() - 320], &lab.captured(BOB).pcm());
    assert!(ratio > 8.0, "{ratio:.1} dB");
    let sequences: Vec<_> = lab.wire.rtp(RIGHT).iter().map(|packet| (packet.ssrc, packet.sequence)).collect();
    assert!(sequences.windows(2).all(|pair| pair[1].1 == pair[0].1.wrapping_add(1) && pair[1].0 == pair[0].0));
}

/// The keys that whoever listens to this sound hears.
fn tones(pcm: &[i16]) -> String {
    let mut detector = KeyDetector::default();
    pcm.chunks(80).filter_map(|frame| detector.push(frame)).map(|pressed| pressed.key).collect()
}

/// Alice's phone has no telephone-event and sends tones, 12 keys of 100 ms; Bob's has it, or not. What our ear on her leg
/// has heard, and what is heard in what Bob gets.
fn tones_across(alice: Codec, bob: Codec, bob_takes_events: bool) -> (String, String) {
    const KEYS: [(u32, u32); 12] = [
        (697, 1_209),
        (697, 1_336),
        (697, 1_477),
        (770, 1_209),
        (770, 1_336),
        (770, 1_477),
        (852, 1_209),
        (852, 1_336),
        (852, 1_477),
        (941, 1_336),
        (941, 1_209),
        (941, 1_477),
    ];
    let mut lab = call(11, (alice, 20), (bob, 20));
    for (id, remote, codec) in [(ALICE, 10_004, alice), (LEFT, 10_002, alice), (RIGHT, 10_008, bob), (BOB, 10_006, bob)]
    {
        let events = Some(101).filter(|_| bob_takes_events && (id == RIGHT || id == BOB));
        lab.configure(id, remote, |stream| {
            (stream.codec, stream.dtmf_in, stream.dtmf_out) = (codec, events, events);
            (stream.payload_type_out, stream.payload_type_in) = (codec.payload_type(), codec.payload_type());
        });
    }
    lab.command(Command::Capture { id: BOB, on: true });
    lab.run(507);
    let keys = KEYS.map(|(low, high)| format!("{low}+{high}/100,0/90")).join(",");
    let prompt = Arc::new(media::tone(&keys).unwrap());
    lab.command(Command::Play { id: ALICE, play: PlayId(1), prompt, repeat: 1 });
    lab.run(3_500);
    (lab.digits(LEFT), tones(&lab.captured(BOB).pcm()))
}

#[test]
fn keys_that_are_tones_are_silenced_for_a_far_end_that_is_told_of_them_by_events() {
    let all = "1234567890*#".to_owned();
    for (alice, bob) in
        [(Codec::Pcmu, Codec::Pcmu), (Codec::Pcmu, Codec::Pcma), (Codec::Pcma, Codec::G722), (Codec::G722, Codec::Pcmu)]
    {
        assert_eq!(tones_across(alice, bob, true), (all.clone(), String::new()), "{alice:?} to {bob:?}");
        assert_eq!(tones_across(alice, bob, false), (all.clone(), all.clone()), "{alice:?} to {bob:?}, without events");
    }
}

#[test]
fn a_voice_is_not_silenced_for_keys_it_does_not_hold() {
    let said = voice();
    let mut lab = call(12, (Codec::Pcma, 20), (Codec::Pcma, 20));
    for (id, remote) in [(ALICE, 10_004), (LEFT, 10_002)] {
        lab.configure(id, remote, |stream| {
            (stream.codec, stream.payload_type_out, stream.payload_type_in) = (Codec::Pcma, 8, 8);
            (stream.dtmf_in, stream.dtmf_out) = (None, None);
        });
    }
    lab.command(Command::Capture { id: BOB, on: true });
    lab.run(500);
    let prompt = Prompt::new("voice", said.clone());
    let expected = prompt.payload(Codec::Pcma)[..said.len()].to_vec();
    lab.command(Command::Play { id: ALICE, play: PlayId(1), prompt: Arc::new(prompt), repeat: 1 });
    lab.run(2_500);
    assert!(lab.captured(BOB).find(&expected).is_some(), "octet by octet as it was said");
}
