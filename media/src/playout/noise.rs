//! Comfort noise (RFC 3389): white noise of the level that the far end names, softened a little.

/// Levels below this are silence: noise of less than one step of 16 bits (RFC 3389 §3.1).
const SILENT: u8 = 78;

/// Noise that goes on.
#[derive(Clone, Debug)]
pub(super) struct Noise {
    state: u32,
    /// The peak of the white noise.
    peak: f32,
    before: f32,
    /// How much of each sample is the one before.
    soft: f32,
}

impl Noise {
    /// Noise `level` dB below full scale (RFC 3389 §3.1), as an RMS value.
    pub(super) fn new(level: u8, rate: u32) -> Self {
        let level = level & 0x7F;
        let rms = if level >= SILENT { 0.0 } else { 32_768.0 * 10f32.powf(-f32::from(level) / 20.0) };
        let soft: f32 = if rate > 8_000 { 0.7 } else { 0.4 };
        // White noise between ±p has an RMS of p/√3; the low pass leaves √((1-s)/(1+s)) of it.
        let peak = rms * 3f32.sqrt() / ((1.0 - soft) / (1.0 + soft)).sqrt();
        Self { state: 0x2545_F491, peak, before: 0.0, soft }
    }

    pub(super) fn fill(&mut self, samples: &mut [i16]) {
        for sample in samples {
            self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let white = (self.state >> 8) as f32 / (1 << 23) as f32 - 1.0;
            self.before = self.soft * self.before + (1.0 - self.soft) * white * self.peak;
            *sample = self.before as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_has_the_level_that_was_named() {
        for (level, rate) in [(30u8, 8_000), (50, 8_000), (40, 16_000), (40, 48_000)] {
            let mut samples = vec![0; rate as usize];
            Noise::new(level, rate).fill(&mut samples);
            let power: f64 =
                samples.iter().map(|&sample| f64::from(sample).powi(2)).sum::<f64>() / samples.len() as f64;
            let heard = -20.0 * (power.sqrt() / 32_768.0).log10();
            assert!((heard - f64::from(level)).abs() < 1.0, "{level} at {rate}: {heard:.1}");
        }
        let mut silent = [1; 80];
        Noise::new(127, 8_000).fill(&mut silent);
        assert_eq!(silent, [0; 80]);
    }
}
