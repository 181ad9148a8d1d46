//! Prompts, recordings, and whether one is heard in the other.

use super::in_package;
use std::path::Path;

/// The samples of a prompt of `sounds/`: 8 kHz, mono.
pub fn prompt(name: &str) -> Vec<i16> {
    wav(&in_package(&format!("sounds/{name}.wav")))
}

/// The samples of a WAV file of 16 bits: 8 kHz, mono. Channels of others are added up, and so are the samples that fall into
/// one of ours: what [`babble`] and voices have below 1 kHz stays.
pub fn wav(path: &Path) -> Vec<i16> {
    let mut reader = hound::WavReader::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let spec = reader.spec();
    assert_eq!((spec.sample_rate % 8_000, spec.bits_per_sample), (0, 16), "{}", path.display());
    // linphonec counts its header among the samples: the file ends before what it says.
    let samples: Vec<i16> = reader.samples::<i16>().map_while(Result::ok).collect();
    let together = (spec.sample_rate / 8_000) as usize * usize::from(spec.channels);
    let mean = |part: &[i16]| (part.iter().map(|sample| i32::from(*sample)).sum::<i32>() / part.len() as i32) as i16;
    samples.chunks_exact(together).map(mean).collect()
}

/// The samples of a WAV file, once whoever writes it has closed it: only then does its header tell its length.
pub fn closed_wav(path: &Path) -> Option<Vec<i16>> {
    let told = hound::WavReader::open(path).ok()?.len();
    let octets = std::fs::metadata(path).ok()?.len();
    (told > 0 && u64::from(told) * 2 + 44 >= octets).then(|| wav(path))
}

/// Writes a WAV file of the kind that [`wav`] reads.
pub fn write(path: &Path, samples: &[i16]) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8_000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    samples.iter().for_each(|sample| writer.write_sample(*sample).unwrap());
    writer.finalize().unwrap();
}

/// So many seconds of a voice that says nothing: noise below 1 kHz, in four syllables a second, another for each seed. Unlike
/// sentences in one voice, no tenth of a second of it is like any other, so a short piece tells whose it is and from where.
pub fn babble(seed: u64, seconds: usize) -> Vec<i16> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut noise = || {
        // xorshift64: any even noise does.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f64 / f64::from(1 << 23) - 1.0
    };
    let (mut once, mut twice) = (0.0, 0.0);
    let voice = |at: usize| {
        once += 0.5 * (noise() - once);
        twice += 0.5 * (once - twice);
        let syllable = 0.4 + 0.6 * (std::f64::consts::TAU * 4.0 * at as f64 / 8_000.0).sin().abs();
        (twice * syllable * 20_000.0) as i16
    };
    (0..seconds * 8_000).map(voice).collect()
}

/// What share of what was heard (its silent parts left out) is in what was said, a tenth of a second at a time, and how many
/// such parts were heard. Between two of them a jitter buffer may have concealed or stretched something: on a busy machine a
/// phone paces badly.
pub fn share_of(said: &[i16], heard: &[i16]) -> (f64, usize) {
    let loud = |part: &&[i16]| part.iter().filter(|sample| sample.unsigned_abs() > 200).count() > part.len() / 4;
    let parts: Vec<f64> = heard.chunks_exact(800).filter(loud).map(|part| correlation(said, part).0).collect();
    let same = parts.iter().filter(|score| **score > SAME_PART).count();
    (same as f64 / parts.len().max(1) as f64, parts.len())
}

/// One sample in μ-law, by the arithmetic of G.711 as ITU-T's Software Tool Library does it (G.191): the test's own, so
/// that a fault in the switch's tables shows.
pub fn ulaw(sample: i16) -> u8 {
    let magnitude = if sample < 0 { (!sample) >> 2 } else { sample >> 2 } + 33;
    let magnitude = magnitude.min(0x1FFF);
    let segment = (5..13).rev().find(|bit| magnitude & (1 << bit) != 0).unwrap_or(5) - 5;
    let code = (segment as u8) << 4 | ((magnitude >> (segment + 1)) & 0x0F) as u8;
    !(code | if sample < 0 { 0x80 } else { 0 })
}

/// Where `wanted` begins in `heard`, octet for octet.
pub fn position(heard: &[u8], wanted: &[u8]) -> Option<usize> {
    heard.windows(wanted.len()).position(|window| window == wanted)
}

/// The correlation above which a tenth of a second of [`babble`] is the same. Any two others stay below 0.4.
const SAME_PART: f64 = 0.6;

/// Samples that the coarse search of [`correlation`] takes together: what remains is speech below 1 kHz.
const COARSE: usize = 4;

/// The highest normalised cross-correlation of a prompt with any stretch of a recording, 1 where it is in there
/// unchanged but for its volume; and where that stretch begins, in samples (negative: before the recording began).
///
/// The place is sought in sums of [`COARSE`] samples, and then to the sample around the best of those.
pub fn correlation(recording: &[i16], prompt: &[i16]) -> (f64, isize) {
    let margin = (prompt.len() / 2).next_multiple_of(COARSE);
    let mut padded = vec![0.0; margin];
    padded.extend(recording.iter().map(|sample| f32::from(*sample)));
    padded.resize(padded.len() + margin, 0.0);
    let prompt: Vec<f32> = prompt.iter().map(|sample| f32::from(*sample)).collect();
    let (_, coarse) = best(&sums(&padded), &sums(&prompt));
    let from = (coarse * COARSE).saturating_sub(2 * COARSE);
    let until = (from + prompt.len() + 4 * COARSE).min(padded.len());
    let (score, lag) = best(&padded[from..until], &prompt);
    (score, (from + lag) as isize - margin as isize)
}

fn sums(samples: &[f32]) -> Vec<f32> {
    samples.chunks_exact(COARSE).map(|chunk| chunk.iter().sum()).collect()
}

/// The best score of all lags, and its lag.
fn best(recording: &[f32], prompt: &[f32]) -> (f64, usize) {
    let of_prompt = product(prompt, prompt);
    let score = |window: &[f32]| {
        let both = (of_prompt * product(window, window)).sqrt();
        if both > 0.0 { product(prompt, window) / both } else { 0.0 }
    };
    let scores = recording.windows(prompt.len()).map(score).enumerate();
    scores.map(|(lag, score)| (score, lag)).max_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default()
}

/// The sum of the products, in eight lanes, which is what lets the compiler use the machine's vectors.
fn product(a: &[f32], b: &[f32]) -> f64 {
    let mut lanes = [0.0_f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().map(|lane| f64::from(*lane)).sum()
}
