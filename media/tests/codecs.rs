//! The codecs against another implementation of each: G.722 against FFmpeg's (tests/voice/make.sh), Opus against libopus
//! (as unsafe-libopus carries it over), both ways; and prompts through the engine in every codec.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]
#![allow(unsafe_code, reason = "libopus has a C interface; only this comparison calls it")]

mod lab;

use lab::{Lab, config};
use media::{Codec, Command, Decoder, Encoder, EndpointId, PlayId, Prompt};
use std::sync::Arc;

fn wav(name: &str) -> Vec<i16> {
    let path = format!("{}/tests/voice/{name}", env!("CARGO_MANIFEST_DIR"));
    hound::WavReader::open(path).unwrap().into_samples::<i16>().map(Result::unwrap).collect()
}

/// The best signal-to-noise ratio, in dB, over delays of up to `reach` samples, and that delay.
fn snr(said: &[i16], heard: &[i16], reach: usize) -> (f64, usize) {
    let at = |delay: usize| {
        let (mut signal, mut cross, mut power) = (0.0, 0.0, 0.0);
        for (&said, &heard) in said.iter().zip(heard.iter().skip(delay)) {
            let (said, heard) = (f64::from(said), f64::from(heard));
            signal += said * said;
            cross += said * heard;
            power += heard * heard;
        }
        let error = power - cross * cross / signal.max(1.0);
        10.0 * (power / error.max(1.0)).log10()
    };
    (0..=reach).map(|delay| (at(delay), delay)).max_by(|left, right| left.0.total_cmp(&right.0)).unwrap()
}

fn frames(samples: &[i16], length: usize) -> impl Iterator<Item = &[i16]> {
    samples.chunks_exact(length)
}

fn coded(encoder: &mut Encoder, decoder: &mut Decoder, samples: &[i16], length: usize) -> Vec<i16> {
    let (mut payload, mut out, mut heard) = ([0; 1500], [0; 5_760], Vec::new());
    for frame in frames(samples, length) {
        let octets = encoder.encode(frame, &mut payload);
        assert!(octets > 0);
        let decoded = decoder.decode(&payload[..octets], &mut out);
        heard.extend_from_slice(&out[..decoded]);
    }
    heard
}

#[test]
fn g722_is_ffmpegs_both_ways() {
    let voice = wav("voice-16000.wav");
    let theirs = std::fs::read(format!("{}/tests/voice/voice.g722", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let mut decoder = Decoder::new(Codec::G722, 16_000);
    let mut samples = vec![0; 320];
    let mut heard = Vec::new();
    for payload in theirs.chunks_exact(160) {
        assert_eq!(decoder.decode(payload, &mut samples), 320);
        heard.extend_from_slice(&samples);
    }
    let decoded = wav("voice-g722.wav");
    let (ratio, delay) = snr(&decoded[..heard.len()], &heard, 0);
    assert!(ratio > 60.0, "what FFmpeg encoded, decoded by both: {ratio:.1} dB at {delay}");
    let (mut encoder, mut decoder) = (Encoder::new(Codec::G722, 16_000), Decoder::new(Codec::G722, 16_000));
    let ours = coded(&mut encoder, &mut decoder, &voice, 320);
    let (ours, _) = snr(&voice[..voice.len() - 320], &ours, 100);
    let (theirs, _) = snr(&voice[..voice.len() - 320], &decoded, 100);
    assert!(ours > theirs - 0.5, "the voice through our encoder: {ours:.1} dB, through FFmpeg's {theirs:.1} dB");
}

#[test]
fn every_codec_keeps_a_voice_at_its_stated_ratio() {
    let voice = wav("voice-16000.wav");
    let narrow: Vec<i16> = {
        let mut encoder = Encoder::new(Codec::Pcmu, 16_000);
        let mut decoder = Decoder::new(Codec::Pcmu, 8_000);
        coded(&mut encoder, &mut decoder, &voice, 320)
    };
    for (codec, rate, least) in [
        (Codec::Pcmu, 8_000, 35.0),
        (Codec::Pcma, 8_000, 35.0),
        (Codec::G722, 16_000, 18.0),
        (Codec::Opus, 16_000, 9.0),
        (Codec::Opus, 8_000, 9.0),
    ] {
        let said = if rate == 8_000 { &narrow } else { &voice };
        let (mut encoder, mut decoder) = (Encoder::new(codec, rate), Decoder::new(codec, rate));
        let heard = coded(&mut encoder, &mut decoder, said, rate as usize / 50);
        let (ratio, _) = snr(&said[..said.len() - 640], &heard, 400);
        assert!(ratio > least, "{codec:?} at {rate}: {ratio:.1} dB");
    }
}

/// libopus, safely held.
struct Reference(*mut unsafe_libopus::OpusEncoder, *mut unsafe_libopus::OpusDecoder);

impl Reference {
    fn new(rate: i32) -> Self {
        let mut error = 0;
        unsafe {
            let encoder =
                unsafe_libopus::opus_encoder_create(rate, 1, unsafe_libopus::OPUS_APPLICATION_VOIP, &mut error);
            let decoder = unsafe_libopus::opus_decoder_create(rate, 1, &mut error);
            Self(encoder, decoder)
        }
    }

    fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        let length = unsafe {
            unsafe_libopus::opus_encode(
                self.0,
                samples.as_ptr(),
                samples.len() as i32,
                payload.as_mut_ptr(),
                payload.len() as i32,
            )
        };
        length.try_into().unwrap()
    }

    fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> usize {
        let room = samples.len() as i32;
        let length = unsafe {
            unsafe_libopus::opus_decode(
                &mut *self.1,
                payload.as_ptr(),
                payload.len() as i32,
                samples.as_mut_ptr(),
                room,
                0,
            )
        };
        length.try_into().unwrap()
    }
}

#[test]
fn opus_is_libopuss_both_ways_at_every_rate() {
    let voice = wav("voice-16000.wav");
    for rate in [8_000u32, 16_000, 48_000] {
        // The voice at that rate, by way of the codec that changes nothing but the rate.
        let said = match rate {
            16_000 => voice.clone(),
            8_000 => coded(&mut Encoder::new(Codec::Pcmu, 16_000), &mut Decoder::new(Codec::Pcmu, 8_000), &voice, 320),
            _ => coded(&mut Encoder::new(Codec::G722, 16_000), &mut Decoder::new(Codec::G722, 48_000), &voice, 320),
        };
        for ms in [10, 20, 40, 60] {
            let length = rate as usize / 1000 * ms;
            let (mut ours, mut theirs) = (Vec::new(), Vec::new());
            let mut reference = Reference::new(rate as i32);
            let (mut encoder, mut decoder) = (Encoder::new(Codec::Opus, rate), Decoder::new(Codec::Opus, rate));
            let (mut payload, mut out) = ([0; 1275], [0; 5_760]);
            for frame in frames(&said, length) {
                let octets = encoder.encode(frame, &mut payload);
                let decoded = reference.decode(&payload[..octets], &mut out);
                assert_eq!(decoded, length);
                theirs.extend_from_slice(&out[..decoded]);
            }
            let (ratio, _) = snr(&said[..said.len() - length], &theirs, rate as usize / 50);
            assert!(ratio > 6.0, "ours at {rate}, {ms} ms, decoded by libopus: {ratio:.1} dB");
            let mut reference = Reference::new(rate as i32);
            let mut second = Reference::new(rate as i32);
            theirs.clear();
            for frame in frames(&said, length) {
                let octets = reference.encode(frame, &mut payload);
                let decoded = decoder.decode(&payload[..octets], &mut out);
                ours.extend_from_slice(&out[..decoded]);
                let decoded = second.decode(&payload[..octets], &mut out);
                theirs.extend_from_slice(&out[..decoded]);
            }
            let (ratio, _) = snr(&theirs, &ours, 0);
            assert!(ratio > 40.0, "libopus's at {rate}, {ms} ms, decoded by both: {ratio:.1} dB");
        }
    }
}

/// What a far end of each codec hears of a prompt, decoded.
fn played(codec: Codec, ms: u16, prompt: Prompt) -> Vec<i16> {
    let mut lab = Lab::new(5);
    let (alice, bob) = lab.pair(|stream| {
        stream.codec = codec;
        stream.ptime_ms = ms;
        (stream.payload_type_out, stream.payload_type_in) = (codec.payload_type(), codec.payload_type());
    });
    lab.command(Command::Capture { id: bob, on: true });
    lab.command(Command::Play { id: alice, play: PlayId(1), prompt: Arc::new(prompt), repeat: 1 });
    lab.run(2_500);
    let packets = lab.wire.rtp(alice);
    let step = codec.clock_rate() / 1000 * u32::from(ms);
    for pair in packets.windows(2) {
        assert_eq!(pair[1].timestamp.wrapping_sub(pair[0].timestamp), step, "{codec:?} at {ms} ms");
        assert_eq!(pair[1].at_ms - pair[0].at_ms, u64::from(ms));
    }
    let (quality, _) = lab.close(alice);
    assert!(quality.received.jitter_ms < 1.0 && quality.received.late == 0, "{codec:?}: {quality:?}");
    lab.captured(bob).pcm()
}

#[test]
fn a_prompt_is_heard_in_every_codec_at_every_packet_time() {
    let wide = wav("voice-16000.wav");
    let narrow = coded(&mut Encoder::new(Codec::Pcmu, 16_000), &mut Decoder::new(Codec::Pcmu, 8_000), &wide, 320);
    let prompt = Prompt::new("voice", narrow.clone()).with_wide(wide);
    for (codec, least) in [(Codec::Pcmu, 35.0), (Codec::Pcma, 33.0), (Codec::G722, 18.0), (Codec::Opus, 7.0)] {
        for ms in (10..=60).step_by(10).filter(|ms| codec.has_ptime(*ms)) {
            for prompt in [prompt.clone(), prompt.clone().rendered(codec)] {
                let heard = played(codec, ms, prompt);
                let (ratio, _) = snr(&narrow[..narrow.len() - 160], &heard, 1_200);
                assert!(ratio > least, "{codec:?} at {ms} ms: {ratio:.1} dB");
            }
        }
    }
}

#[test]
fn silence_is_silent_in_every_codec() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::Opus] {
        for ms in [10, 20, 40, 60] {
            let heard = played(codec, ms, Prompt::new("nothing", vec![0i16; 160]));
            let loudest = heard.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
            assert!(heard.len() > 10_000 && loudest <= 64, "{codec:?} at {ms} ms: {loudest}");
        }
    }
}

#[test]
fn a_packet_time_that_opus_has_not_is_refused() {
    let mut lab = Lab::new(1);
    let id = EndpointId(1);
    lab.command(Command::Create { id, rtp_port: 10_000 });
    let mut stream = config(10_002);
    (stream.codec, stream.ptime_ms) = (Codec::Opus, 30);
    lab.command(Command::Configure { id, config: stream });
    let refused = lab
        .events
        .iter()
        .any(|(_, event)| matches!(event, media::Event::Failed { error, .. } if error.contains("Opus")));
    assert!(refused, "{:?}", lab.events);
}

#[test]
fn garbage_decodes_to_something_and_never_panics() {
    let mut rng = base::Rng::from_u64(7);
    let mut out = [0; 5_760];
    for rate in [8_000, 16_000, 48_000] {
        let mut decoder = Decoder::new(Codec::Opus, rate);
        for _ in 0..20_000 {
            let length = rng.below(90) as usize;
            let payload: Vec<u8> = (0..length).map(|_| rng.u32() as u8).collect();
            assert!(decoder.decode(&payload, &mut out) <= out.len());
        }
    }
}

/// Packets of libopus in every mode, damaged, lost and given twice.
#[test]
fn damaged_packets_never_panic_a_decoder() {
    let rounds = std::env::var("TANDEM_FUZZ_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1);
    let voice = wav("voice-16000.wav");
    let mut packets = Vec::new();
    for (rate, length) in
        [(8_000, 80), (8_000, 480), (16_000, 320), (16_000, 960), (48_000, 120), (48_000, 960), (48_000, 2_880)]
    {
        let mut reference = Reference::new(rate);
        let mut payload = [0; 1275];
        for frame in voice.chunks_exact(length).take(60) {
            let octets = reference.encode(frame, &mut payload);
            packets.push(payload[..octets].to_vec());
        }
    }
    let mut rng = base::Rng::from_u64(21);
    for _ in 0..rounds {
        for rate in [8_000, 16_000, 48_000] {
            let mut decoder = Decoder::new(Codec::Opus, rate);
            let mut out = [0; 5_760];
            for _ in 0..3_000 {
                let mut packet = packets[rng.below(packets.len() as u64) as usize].clone();
                for _ in 0..rng.below(4) {
                    let at = rng.below(packet.len() as u64) as usize;
                    packet[at] = rng.u32() as u8;
                }
                if rng.chance(0.1) {
                    packet.truncate(rng.below(packet.len() as u64 + 1) as usize);
                }
                assert!(decoder.decode(&packet, &mut out) <= out.len());
            }
        }
    }
}
