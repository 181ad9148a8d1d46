//! Tones without a file: ringback, busy, reorder, beeps and silence, as prompts that any endpoint plays.
//!
//! A tone is written as cadence: `440+480/2000,0/4000` is two frequencies (Hz) for 2,000 ms, then silence for 4,000. A
//! specification without a duration (`350+440`) goes on for ever. No country is known here: its tones come in as such
//! strings (ITU-T E.180 supplement 2). Play it with `repeat: 0`.

use crate::prompt::{Prompt, SAMPLE_RATE, WIDE_RATE};

/// Level of all frequencies of a tone together, in dB below full scale (about -13 dBm0).
const LEVEL_DB: f64 = 16.0;

/// Cadences of one tone. More are refused.
const MAX_PARTS: usize = 32;

/// Frequencies that sound together. More are refused.
const MAX_FREQUENCIES: usize = 4;

/// The longest cadence in all, in milliseconds. A longer one is refused.
const MAX_TONE_MS: u32 = 60_000;

/// What a tone without duration is made of, in milliseconds: every whole frequency comes round in a second.
const ENDLESS_MS: u32 = 1_000;

/// Milliseconds in which a part fades in and out, so that it does not click.
const FADE_MS: u32 = 2;

/// Why a specification is no tone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ToneError {
    /// A part that cannot be read.
    #[error("`{0}` is no tone; write frequencies and milliseconds as in 440+480/2000,0/4000")]
    Unreadable(String),
    /// A frequency telephones do not carry.
    #[error("{0} Hz cannot be played; 20 to 3,900 can, and 0 is silence")]
    Frequency(u32),
    /// Too much of it.
    #[error(
        "a tone has at most {MAX_PARTS} parts of {MAX_FREQUENCIES} frequencies and {MAX_TONE_MS} ms in all, none of 0 ms"
    )]
    TooLong,
}

/// A stretch of a tone.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    hertz: Vec<u32>,
    ms: u32,
    endless: bool,
}

/// Makes a prompt of a tone; its name is the specification.
///
/// # Errors
/// [`ToneError`], naming what is wrong with it.
pub fn tone(specification: &str) -> Result<Prompt, ToneError> {
    let parts = parse(specification)?;
    let render = |rate| parts.iter().flat_map(|part| samples(part, rate)).collect::<Vec<i16>>();
    Ok(Prompt::new(specification, render(SAMPLE_RATE)).with_wide(render(WIDE_RATE)))
}

fn parse(specification: &str) -> Result<Vec<Part>, ToneError> {
    let unreadable = |part: &str| ToneError::Unreadable(part.into());
    let mut parts = Vec::new();
    for text in specification.split(',').map(str::trim) {
        let (hertz, ms) = text.split_once('/').map_or((text, None), |(hertz, ms)| (hertz, Some(ms)));
        let number = |digits: &str| digits.trim().parse::<u32>().map_err(|_| unreadable(text));
        let hertz = hertz.split('+').map(number).collect::<Result<Vec<_>, _>>()?;
        let duration = ms.map(number).transpose()?;
        if let Some(&bad) = hertz.iter().find(|hertz| !matches!(hertz, 0 | 20..=3_900)) {
            return Err(ToneError::Frequency(bad));
        }
        parts.push(Part { hertz, ms: duration.unwrap_or(ENDLESS_MS), endless: duration.is_none() });
    }
    let whole: u64 = parts.iter().map(|part| u64::from(part.ms)).sum();
    let too_many = parts.len() > MAX_PARTS || parts.iter().any(|part| part.hertz.len() > MAX_FREQUENCIES);
    if too_many || whole > u64::from(MAX_TONE_MS) || parts.iter().any(|part| part.ms == 0) {
        return Err(ToneError::TooLong);
    }
    Ok(parts)
}

fn samples(part: &Part, rate: u32) -> Vec<i16> {
    let length = (u64::from(part.ms) * u64::from(rate) / 1_000) as usize;
    let sounding = part.hertz.iter().filter(|hertz| **hertz > 0).count().max(1);
    // Together they have the level, each its share of the power.
    let peak = 32_768.0 * 10f64.powf(-LEVEL_DB / 20.0) * std::f64::consts::SQRT_2 / (sounding as f64).sqrt();
    let fade = (rate / 1_000 * FADE_MS) as usize;
    let at = |n: usize| {
        let t = n as f64 / f64::from(rate);
        let sound: f64 = part.hertz.iter().map(|hertz| (std::f64::consts::TAU * f64::from(*hertz) * t).sin()).sum();
        let edge = n.min(length - n) as f64 / fade as f64;
        let strength = if part.endless { 1.0 } else { edge.min(1.0) };
        (sound * peak * strength) as i16
    };
    (0..length).map(at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn crossings(samples: &[i16]) -> usize {
        samples.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count()
    }

    #[test]
    fn a_cadence_sounds_and_is_silent_as_it_is_written() {
        let ringback = tone("440+480/2000,0/4000").unwrap();
        assert_eq!(ringback.duration_ms(), 6_000);
        let samples = ringback.samples();
        assert!(samples[16_000..].iter().all(|&sample| sample == 0));
        let power: f64 = samples[..16_000].iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / 16_000.0;
        assert!((-20.0 * (power.sqrt() / 32_768.0).log10() - LEVEL_DB).abs() < 0.2);
    }

    #[test]
    fn a_tone_for_ever_has_no_seam() {
        let samples = tone("425").unwrap().samples().to_vec();
        assert_eq!(crossings(&[samples.clone(), samples.clone()].concat()), 849);
        let step = (i32::from(samples[0]) - i32::from(samples[7_999])).abs();
        let largest = samples.windows(2).map(|pair| (i32::from(pair[1]) - i32::from(pair[0])).abs()).max().unwrap();
        assert!(step <= largest);
    }

    #[test]
    fn what_is_no_tone_says_what_to_write() {
        assert_eq!(tone("440;480"), Err(ToneError::Unreadable("440;480".into())));
        assert_eq!(tone("9000/100"), Err(ToneError::Frequency(9_000)));
        for long in ["400/60001", "0/0", "1+2+3+4+5/10", &["400/10"; 40].join(",")] {
            assert!(matches!(tone(long), Err(ToneError::TooLong | ToneError::Frequency(_))), "{long}");
        }
        assert!(tone("440+480/2000,0/x").unwrap_err().to_string().contains("440+480/2000,0/4000"));
    }
}
