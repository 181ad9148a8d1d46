//! Files of every kind become the same prompt: mono at 8 kHz. `data/make.sh` made them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and says where")]

use media::{Codec, Prompt, PromptError, prompt::decode};
use std::io::Cursor;

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn wav(rate: u32, channels: u16, frames: usize, sample: impl Fn(usize, u16) -> i16) -> Vec<u8> {
    let spec =
        hound::WavSpec { channels, sample_rate: rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
    for frame in 0..frames {
        for channel in 0..channels {
            writer.write_sample(sample(frame, channel)).unwrap();
        }
    }
    writer.finalize().unwrap();
    bytes.into_inner()
}

fn tone(rate: u32, hertz: f64, frame: usize) -> f64 {
    (std::f64::consts::TAU * hertz * frame as f64 / f64::from(rate)).sin()
}

/// Amplitude of one frequency (Goertzel), 1 is full scale, without the edges where codecs ring.
fn amplitude(prompt: &Prompt, hertz: f64) -> f64 {
    let samples = prompt.samples();
    let middle = &samples[400..samples.len() - 400];
    let (mut re, mut im) = (0.0, 0.0);
    for (n, &sample) in middle.iter().enumerate() {
        let phase = std::f64::consts::TAU * hertz * n as f64 / 8000.0;
        re += f64::from(sample) * phase.cos();
        im += f64::from(sample) * phase.sin();
    }
    (re * re + im * im).sqrt() * 2.0 / middle.len() as f64 / 32_768.0
}

#[test]
fn every_format_rate_and_channel_count_gives_the_same_tone() {
    let mut seen = 0;
    for entry in std::fs::read_dir(format!("{}/tests/data", env!("CARGO_MANIFEST_DIR"))).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let (stem, extension) = name.rsplit_once('.').unwrap();
        if extension == "sh" {
            continue;
        }
        let prompt = decode(stem, &file(&name), extension).unwrap();
        // Lossy codecs pad; none may lose more than a frame of its own, 72 ms in the longest (MP3 at 8 kHz).
        // ADPCM comes in blocks; its file has two, 510 ms.
        let longest = if name.contains("adpcm") { 511 } else { 372 };
        assert!((228..=longest).contains(&prompt.duration_ms()), "{name}: {} ms", prompt.duration_ms());
        let high = amplitude(&prompt, 1000.0);
        let (wanted, low) = if stem.starts_with("stereo") { (0.25, amplitude(&prompt, 400.0)) } else { (0.5, 0.0) };
        assert!((high / wanted - 1.0).abs() < 0.12, "{name}: 1000 Hz at {high}");
        assert!(low == 0.0 || (low / 0.25 - 1.0).abs() < 0.12, "{name}: 400 Hz at {low}");
        // The hint helps the probe; without it, and with a wrong one, the bytes decide.
        assert_eq!(decode(stem, &file(&name), "").unwrap().samples(), prompt.samples(), "{name}");
        assert_eq!(decode(stem, &file(&name), "wav").unwrap().samples(), prompt.samples(), "{name}");
        seen += 1;
    }
    assert_eq!(seen, 23);
}

#[test]
fn what_is_mono_at_8_khz_passes_bit_for_bit() {
    let sample = |frame: usize, _| (frame as i32 * 7919 % 65_536 - 32_768) as i16;
    let prompt = decode("exact", &wav(8000, 1, 65_536, sample), "wav").unwrap();
    assert!(prompt.samples().iter().enumerate().all(|(frame, &got)| got == sample(frame, 0)));
    assert_eq!(prompt.samples().len(), 65_536);
    let mulaw = decode("mulaw", &file("mono-8000-mulaw.wav"), "wav").unwrap();
    let octets = &file("mono-8000-mulaw.wav")[58..58 + 2400];
    assert_eq!(&mulaw.payload(Codec::Pcmu)[..2400], octets, "mu-law from a file is mu-law on the wire");
}

#[test]
fn wav_at_any_rate_keeps_its_length_and_what_lies_above_4_khz_does_not_fold_back() {
    for rate in [8000u32, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000] {
        for channels in [1, 2, 6] {
            let audio = |frame, _| (tone(rate, 1000.0, frame) * 16_000.0) as i16;
            let prompt = decode("tone", &wav(rate, channels, rate as usize / 2, audio), "wav").unwrap();
            assert!(prompt.samples().len().abs_diff(4000) <= 2, "{rate}: {}", prompt.samples().len());
            assert!((amplitude(&prompt, 1000.0) - 16_000.0 / 32_768.0).abs() < 0.02, "{rate}");
        }
        if rate > 12_000 {
            let alias = |frame, _| (tone(rate, 5500.0, frame) * 16_000.0) as i16;
            let prompt = decode("alias", &wav(rate, 1, rate as usize / 2, alias), "wav").unwrap();
            assert!(amplitude(&prompt, 2500.0) < 0.002, "{rate}: {}", amplitude(&prompt, 2500.0));
        }
    }
}

#[test]
fn opposite_channels_cancel_and_full_scale_does_not_wrap() {
    let silent = decode(
        "opposite",
        &wav(8000, 2, 800, |frame, channel| {
            let sample = (frame as i16 * 37) % 20_000;
            if channel == 0 { sample } else { -sample }
        }),
        "wav",
    );
    assert!(silent.unwrap().samples().iter().all(|&sample| sample == 0));
    let loud = decode("loud", &wav(8000, 2, 800, |_, _| i16::MIN), "wav").unwrap();
    assert!(loud.samples().iter().all(|&sample| sample == i16::MIN));
}

#[test]
fn what_is_no_prompt_is_refused_by_name_and_reason() {
    let refused = |bytes: &[u8], extension: &str| decode("greeting", bytes, extension).unwrap_err();
    for (bytes, extension) in [(&b""[..], "wav"), (b"not audio at all", ""), (b"RIFF\xff\xff\xff\xffWAVE", "wav")] {
        let error = refused(bytes, extension);
        assert!(matches!(error, PromptError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains("greeting"));
    }
    assert!(matches!(refused(&wav(8000, 1, 0, |_, _| 0), "wav"), PromptError::Empty { .. }));
    let long = wav(8000, 1, 8000 * 601, |_, _| 0);
    assert!(matches!(refused(&long, "wav"), PromptError::TooLong { .. }));
}

#[test]
fn a_file_cut_off_or_garbled_never_panics() {
    let mut rng = base::Rng::from_u64(1);
    for name in ["mono-16000.flac", "stereo-44100.mp3", "stereo-48000.ogg", "mono-8000-adpcm.wav"] {
        let whole = file(name);
        for _ in 0..60 {
            let mut bytes = whole[..rng.below(whole.len() as u64 + 1) as usize].to_vec();
            for _ in 0..rng.below(8) {
                let at = rng.below(bytes.len() as u64) as usize;
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = rng.u32() as u8;
                }
            }
            if let Ok(prompt) = decode(name, &bytes, "") {
                assert!(prompt.duration_ms() <= 600_000);
            }
        }
    }
}
