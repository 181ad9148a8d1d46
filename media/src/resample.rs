//! Between 8, 16 and 48 kHz: a windowed-sinc filter in phases, with its past kept from frame to frame.
//!
//! The ratios are whole, so that a frame of 10 ms is a whole number of samples on both sides and nothing accumulates. It
//! delays by a millisecond of the lower rate's 8 samples, and never allocates after it is made.

/// Filter taps a phase: 8 samples of the lower rate on either side.
const TAPS: usize = 16;

/// Samples worked on at a time: 10 ms at 48 kHz.
const CHUNK: usize = 480;

/// The largest ratio: 8 to 48 kHz.
const MAX_RATIO: usize = 6;

/// The longest past: that of a division by [`MAX_RATIO`].
const MAX_PAST: usize = TAPS * MAX_RATIO;

/// One direction's state.
#[derive(Clone, Debug)]
pub(crate) struct Resampler {
    /// Above 1: so many samples out for one in.
    up: usize,
    /// Above 1: one out for so many in.
    down: usize,
    /// Phase by phase, the newest sample's tap last.
    taps: Box<[f32]>,
    /// The past, then the chunk.
    line: Box<[f32]>,
}

impl Resampler {
    /// From one of 8,000, 16,000 and 48,000 to another; `None` where both are the same.
    pub(crate) fn new(from: u32, to: u32) -> Option<Self> {
        if from == to || from == 0 || to == 0 {
            return None;
        }
        let up = (to / from).clamp(1, MAX_RATIO as u32) as usize;
        let down = (from / to).clamp(1, MAX_RATIO as u32) as usize;
        let line = vec![0.0; MAX_PAST + CHUNK].into();
        Some(Self { up, down, taps: taps(up, down), line })
    }

    /// Converts; what does not divide by the ratio, or does not fit, is left out. Returns how many came of it.
    pub(crate) fn process(&mut self, input: &[i16], output: &mut [i16]) -> usize {
        let mut written = 0;
        for chunk in input.chunks(CHUNK) {
            written += self.chunk(chunk, output.get_mut(written..).unwrap_or_default());
        }
        written
    }

    fn chunk(&mut self, input: &[i16], output: &mut [i16]) -> usize {
        let Self { up, down, ref taps, ref mut line } = *self;
        for (to, &from) in line.iter_mut().skip(MAX_PAST).zip(input) {
            *to = f32::from(from);
        }
        let length = TAPS * down;
        let phases = taps.chunks_exact(length);
        let mut written = 0;
        for at in (0..input.len()).step_by(down) {
            // The newest sample that counts is the last of this step.
            let end = MAX_PAST + at + down;
            let Some(window) = line.get(end.saturating_sub(length)..end) else { break };
            for (phase, out) in phases.clone().zip(output.iter_mut().skip(written).take(up)) {
                *out = dot(window, phase) as i16;
                written += 1;
            }
        }
        line.copy_within(input.len()..input.len() + MAX_PAST, 0);
        written
    }
}

/// In eight lanes, so that the compiler can use them all.
fn dot(window: &[f32], taps: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    for (samples, factors) in window.chunks_exact(8).zip(taps.chunks_exact(8)) {
        for ((lane, sample), factor) in lanes.iter_mut().zip(samples).zip(factors) {
            *lane += sample * factor;
        }
    }
    let sum: f32 = lanes.iter().sum();
    sum.round()
}

/// A low pass just below half of the lower rate, under a Blackman window; one set of taps for each phase.
fn taps(up: usize, down: usize) -> Box<[f32]> {
    let (ratio, length) = (up.max(down), TAPS * up.max(down));
    let centre = (length as f64 - 1.0) / 2.0;
    let tap = |index: usize| {
        let x = (index as f64 - centre) / ratio as f64 * CUTOFF;
        let sinc = if x.abs() < 1e-9 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
        let turn = 2.0 * std::f64::consts::PI * (index as f64 + 0.5) / length as f64;
        sinc * (0.42 - 0.5 * turn.cos() + 0.08 * (2.0 * turn).cos())
    };
    let mut taps = Vec::with_capacity(length);
    for phase in 0..up {
        // A sample's own copies lie `up` apart in the filter, the newest sample under the first tap.
        let of_phase: Vec<f64> = (0..length / up).map(|at| tap(length - up * (at + 1) + phase)).collect();
        let sum: f64 = of_phase.iter().sum();
        taps.extend(of_phase.iter().map(|tap| (tap / sum) as f32));
    }
    taps.into()
}

/// Where it begins to fall, as a share of half the lower rate.
const CUTOFF: f64 = 0.93;

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, hertz: f64, samples: usize) -> Vec<i16> {
        let step = std::f64::consts::TAU * hertz / f64::from(rate);
        (0..samples).map(|n| (10_000.0 * (step * n as f64).sin()) as i16).collect()
    }

    /// Signal to error of what came out against the same tone of the best phase and level, in dB.
    fn purity(heard: &[i16], rate: u32, hertz: f64) -> f64 {
        let step = std::f64::consts::TAU * hertz / f64::from(rate);
        let (mut sine, mut cosine) = (0.0, 0.0);
        for (n, &sample) in heard.iter().enumerate() {
            sine += f64::from(sample) * (step * n as f64).sin();
            cosine += f64::from(sample) * (step * n as f64).cos();
        }
        let scale = 2.0 / heard.len() as f64;
        let model = |n: usize| scale * (sine * (step * n as f64).sin() + cosine * (step * n as f64).cos());
        let signal: f64 = (0..heard.len()).map(|n| model(n).powi(2)).sum();
        let error: f64 = heard.iter().enumerate().map(|(n, &sample)| (f64::from(sample) - model(n)).powi(2)).sum();
        10.0 * (signal / error.max(1e-9)).log10()
    }

    #[test]
    fn a_tone_stays_a_tone_of_its_level_at_every_ratio() {
        for (from, to) in [(8, 16), (8, 48), (16, 48), (16, 8), (48, 8), (48, 16)] {
            let (from, to) = (from * 1000, to * 1000);
            for hertz in [300.0, 1_000.0, 2_600.0] {
                let mut resampler = Resampler::new(from, to).unwrap();
                let input = tone(from, hertz, from as usize);
                let mut output = vec![0; to as usize];
                let mut written = 0;
                for frame in input.chunks(from as usize / 100) {
                    written += resampler.process(frame, &mut output[written..]);
                }
                assert_eq!(written, to as usize);
                let steady = &output[to as usize / 10..];
                let purity = purity(steady, to, hertz);
                assert!(purity > 45.0, "{from} to {to}, {hertz} Hz: {purity:.1} dB");
                let peak = steady.iter().map(|sample| sample.abs()).max().unwrap();
                assert!((9_700..10_300).contains(&peak), "{from} to {to}, {hertz} Hz: {peak}");
            }
        }
    }

    #[test]
    fn what_the_lower_rate_cannot_hold_is_kept_out() {
        let mut resampler = Resampler::new(16_000, 8_000).unwrap();
        let mut output = vec![0; 8_000];
        resampler.process(&tone(16_000, 6_000.0, 16_000), &mut output);
        let loudest = output[100..].iter().map(|sample| sample.abs()).max().unwrap();
        assert!(loudest < 60, "{loudest}");
    }

    #[test]
    fn the_same_rate_needs_none_and_full_scale_does_not_wrap() {
        assert!(Resampler::new(8_000, 8_000).is_none());
        let mut resampler = Resampler::new(8_000, 48_000).unwrap();
        let square: Vec<i16> = (0..800).map(|n| if n / 40 % 2 == 0 { i16::MAX } else { i16::MIN }).collect();
        let mut output = vec![0; 4_800];
        assert_eq!(resampler.process(&square, &mut output), 4_800);
        assert!(output.iter().any(|&sample| sample == i16::MAX));
    }
}
