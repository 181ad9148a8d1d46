//! Voice activity: is somebody speaking in these ten milliseconds? By the sound's level above a noise floor that is
//! followed, with a hang-over so that a word's quiet middle is no end.

/// Who is believed to speak, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VoiceConfig {
    /// How far above the noise floor speech is, in dB.
    pub above_floor_db: f32,
    /// What is quieter than this is never speech, in dB below full scale.
    pub least_db: f32,
    /// Sound for so long is the start of speech, in milliseconds.
    pub onset_ms: u32,
    /// Silence for so long is its end, in milliseconds.
    pub hangover_ms: u32,
}

impl Default for VoiceConfig {
    fn default() -> Self {
        Self { above_floor_db: 9.0, least_db: 48.0, onset_ms: 60, hangover_ms: 240 }
    }
}

/// What changed with a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Somebody began to speak.
    Started,
    /// And has stopped.
    Ended,
}

/// Where the floor begins, in dB below full scale.
const FIRST_FLOOR: f32 = 55.0;

/// How fast the floor rises while the sound is above it, and falls while it is below, in dB a frame.
const RISE: f32 = 0.04;
const FALL: f32 = 1.0;

/// The detector of one stream.
#[derive(Clone, Debug)]
pub struct Voice {
    config: VoiceConfig,
    /// In dB below full scale: larger is quieter.
    floor: f32,
    speaking: bool,
    /// Milliseconds of sound, or of silence, that would change it.
    run: u32,
    level: f32,
}

impl Voice {
    /// A detector that has heard nothing.
    #[must_use]
    pub fn new(config: VoiceConfig) -> Self {
        Self { config, floor: FIRST_FLOOR, speaking: false, run: 0, level: 96.0 }
    }

    /// Takes ten milliseconds, of any rate.
    pub fn push(&mut self, frame: &[i16]) -> Option<Change> {
        let level = level_db(frame);
        self.level = level;
        let sound = level < self.config.least_db && level < self.floor - self.config.above_floor_db;
        self.follow(level, sound);
        if sound == self.speaking {
            self.run = 0;
            return None;
        }
        self.run += 10;
        let needed = if self.speaking { self.config.hangover_ms } else { self.config.onset_ms };
        if self.run < needed {
            return None;
        }
        (self.speaking, self.run) = (sound, 0);
        Some(if sound { Change::Started } else { Change::Ended })
    }

    fn follow(&mut self, level: f32, sound: bool) {
        let level = level.min(90.0);
        if level > self.floor {
            self.floor = (self.floor + FALL).min(level);
        } else {
            // Speech lifts it slowly, so that a noise that came to stay is the floor in some seconds.
            self.floor = (self.floor - if sound { RISE } else { 5.0 * RISE }).max(level);
        }
    }

    /// Somebody speaks, by the last frame.
    #[must_use]
    pub fn is_speaking(&self) -> bool {
        self.speaking
    }

    /// The level of the last frame, in dB below full scale.
    #[must_use]
    pub fn level_db(&self) -> f32 {
        self.level
    }
}

/// The level of a frame (RMS), in dB below full scale; 96 for digital silence.
#[must_use]
pub fn level_db(frame: &[i16]) -> f32 {
    // Whole numbers, which may be added in any order: eight at a time.
    let power: u64 = frame.iter().map(|&sample| u64::from(sample.unsigned_abs()).pow(2)).sum();
    let mean = power as f32 / frame.len().max(1) as f32;
    if mean < 1.0 { 96.0 } else { (10.0 * (32_768.0f32 * 32_768.0 / mean).log10()).clamp(0.0, 96.0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Rng;

    fn noise(rng: &mut Rng, peak: u64) -> Vec<i16> {
        (0..80).map(|_| rng.below(2 * peak + 1) as i16 - peak as i16).collect()
    }

    #[test]
    fn speech_starts_and_ends_once_each_over_noise() {
        for quiet in [0, 20, 200] {
            let mut rng = Rng::from_u64(1);
            let mut voice = Voice::new(VoiceConfig::default());
            let mut changes = Vec::new();
            for ms in (0..4_000).step_by(10) {
                // Two words with a pause of 150 ms.
                let loud = (1_000..1_400).contains(&ms) || (1_550..2_000).contains(&ms);
                let frame = noise(&mut rng, if loud { 6_000 } else { quiet });
                changes.extend(voice.push(&frame).map(|change| (ms, change)));
            }
            assert_eq!(changes, [(1_050, Change::Started), (2_230, Change::Ended)], "over {quiet}");
        }
    }

    #[test]
    fn a_noise_that_stays_becomes_the_floor() {
        let mut rng = Rng::from_u64(2);
        let mut voice = Voice::new(VoiceConfig::default());
        (0..2_000).for_each(|_| {
            voice.push(&noise(&mut rng, 1_500));
        });
        assert!(!voice.is_speaking());
        assert_eq!(level_db(&[0; 80]), 96.0);
        assert!(level_db(&[i16::MIN; 80]) < 0.1);
    }
}
