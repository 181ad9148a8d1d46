//! The beep of an answering machine: one frequency, by itself, for a while.
//!
//! A sine is foretold by its two last samples, `x[n] = 2 cos(w) x[n-1] - x[n-2]`: the best such line gives its frequency,
//! and how much of the sound's power a sine of that frequency has says how pure it is.

/// What a beep is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BeepConfig {
    /// The quietest, in dB below full scale.
    pub least_db: f32,
    /// The share of a frame's power that is not the one sine.
    pub impurity: f32,
    /// The lowest and the highest, in Hz.
    pub hertz: (f32, f32),
    /// How much its frequency may wander from frame to frame, as a share.
    pub wander: f32,
    /// How much its level may change from frame to frame, in dB: two tones that beat change more.
    pub swell_db: f32,
    /// The shortest, in milliseconds.
    pub least_ms: u32,
}

impl Default for BeepConfig {
    fn default() -> Self {
        Self { least_db: 36.0, impurity: 0.12, hertz: (380.0, 2_800.0), wander: 0.04, swell_db: 2.0, least_ms: 120 }
    }
}

/// The detector of one stream.
#[derive(Clone, Debug)]
pub struct BeepDetector {
    config: BeepConfig,
    hertz: f32,
    level: f32,
    lasts_ms: u32,
}

impl BeepDetector {
    /// A detector that has heard nothing.
    #[must_use]
    pub fn new(config: BeepConfig) -> Self {
        Self { config, hertz: 0.0, level: 0.0, lasts_ms: 0 }
    }

    /// Takes ten milliseconds at 8 kHz. The frequency of a beep that has just ended, in Hz.
    pub fn push(&mut self, frame: &[i16]) -> Option<u32> {
        let hertz = self.frequency(frame);
        let level = super::voice::level_db(frame);
        let swell = (level - std::mem::replace(&mut self.level, level)).abs();
        let steady = |hertz: f32| (hertz - self.hertz).abs() <= self.config.wander * hertz;
        let goes_on = swell <= self.config.swell_db && hertz.is_some_and(steady);
        if goes_on {
            self.lasts_ms += 10;
            return None;
        }
        let ended = (self.lasts_ms >= self.config.least_ms).then_some(self.hertz as u32);
        (self.hertz, self.lasts_ms) = (hertz.unwrap_or(0.0), if hertz.is_some() { 10 } else { 0 });
        ended
    }

    /// The frequency of a frame that is one sine.
    fn frequency(&self, frame: &[i16]) -> Option<f32> {
        let level = super::voice::level_db(frame);
        if level > self.config.least_db {
            return None;
        }
        let (mut cross, mut power) = (0.0f32, 1.0f32);
        let triples = || frame.array_windows::<3>().map(|triple| triple.map(f32::from));
        for [before, middle, after] in triples() {
            cross += middle * (before + after);
            power += middle * middle;
        }
        let step = (cross / power / 2.0).clamp(-1.0, 1.0).acos();
        let hertz = step * 8_000.0 / std::f32::consts::TAU;
        let (lowest, highest) = self.config.hertz;
        let pure = 1.0 - sine_share(frame, step) <= self.config.impurity;
        (pure && (lowest..=highest).contains(&hertz)).then_some(hertz)
    }
}

/// The share of a frame's power that a sine of that step a sample has.
fn sine_share(frame: &[i16], step: f32) -> f32 {
    let (mut sine, mut cosine, mut power) = (0.0f32, 0.0f32, 1.0f32);
    for (n, &sample) in frame.iter().enumerate() {
        let (sample, (sin, cos)) = (f32::from(sample), (step * n as f32).sin_cos());
        sine += sample * sin;
        cosine += sample * cos;
        power += sample * sample;
    }
    (sine * sine + cosine * cosine) * 2.0 / (power * frame.len().max(1) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Rng;

    fn heard(samples: &[i16]) -> Vec<u32> {
        let mut detector = BeepDetector::new(BeepConfig::default());
        samples.chunks_exact(80).filter_map(|frame| detector.push(frame)).collect()
    }

    #[test]
    fn beeps_of_all_machines_are_heard_over_noise_with_their_frequency() {
        for hertz in [400, 440, 850, 1_000, 1_400, 2_000, 2_500] {
            for ms in [200, 500, 1_500] {
                let mut rng = Rng::from_u64(u64::from(hertz));
                let beep = crate::tone(&format!("0/500,{hertz}/{ms},0/300")).unwrap();
                let noisy: Vec<i16> =
                    beep.samples().iter().map(|&sample| sample + rng.below(200) as i16 - 100).collect();
                let beeps = heard(&noisy);
                assert!(matches!(beeps[..], [at] if at.abs_diff(hertz) <= hertz / 25), "{hertz} for {ms}: {beeps:?}");
            }
        }
    }

    #[test]
    fn keys_noise_ringing_and_short_clicks_are_none() {
        let mut rng = Rng::from_u64(2);
        let noise: Vec<i16> = (0..80_000).map(|_| rng.below(8_000) as i16 - 4_000).collect();
        assert_eq!(heard(&noise), Vec::<u32>::new());
        for specification in ["440+480/2000,0/4000", "697+1209/400,0/100", "1000/60,0/400", "480+620/500,0/500"] {
            assert_eq!(heard(crate::tone(specification).unwrap().samples()), Vec::<u32>::new(), "{specification}");
        }
    }
}
