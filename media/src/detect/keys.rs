//! Keys in the sound itself (ITU-T Q.23, Q.24): for a far end that negotiated no telephone-event.
//!
//! Goertzel filters at the eight frequencies over 12.75 ms. A key is two of them, one of each group, near in level and
//! most of the sound; it counts once it has stood for two blocks, and is over when it has been gone for three: what a
//! concealed loss hides does not end it.

/// Samples of a block at 8 kHz.
const BLOCK: usize = 102;

/// By row, in the low group, and column, in the high one.
const KEYS: [[char; 4]; 4] = [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];

/// Twice the cosine of each frequency's step (697, 770, 852, 941 and 1,209, 1,336, 1,477, 1,633 Hz at 8 kHz).
static COEFFICIENTS: [f32; 8] =
    [1.7077378, 1.645_281, 1.568_687, 1.4782046, 1.164_104, 0.9963702, 0.7986184, 0.5685327];

/// The weakest tone of the two, in dB below full scale (about -30 dBm0).
const LEAST_DB: f32 = 38.0;

/// How much stronger than the other group one may be, in dB: low over high, and high over low (Q.24 §4).
const TWIST_LOW_DB: f32 = 10.0;
const TWIST_HIGH_DB: f32 = 6.0;

/// How much stronger than the others of its group each is, in dB.
const ABOVE_GROUP_DB: f32 = 7.0;

/// The share of the sound's power that the two have at least.
const SHARE: f32 = 0.7;

/// Blocks that begin a key, and blocks without it that end one.
const BEGINS: u32 = 2;
const ENDS: u32 = 3;

/// A key that was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pressed {
    /// `0`-`9`, `*`, `#`, `A`-`D`.
    pub key: char,
    /// How long it was held, in milliseconds.
    pub duration_ms: u32,
}

/// The detector of one stream.
#[derive(Clone, Debug)]
pub struct KeyDetector {
    /// The filters' states, low group first.
    filters: [[f32; 2]; 8],
    power: f32,
    filled: usize,
    /// The key that is down, and for how many blocks.
    down: Option<(char, u32)>,
    /// What was heard last, if it is not that key, and how often in a row.
    candidate: (Option<char>, u32),
}

impl Default for KeyDetector {
    fn default() -> Self {
        Self { filters: [[0.0; 2]; 8], power: 0.0, filled: 0, down: None, candidate: (None, 0) }
    }
}

impl KeyDetector {
    /// Takes samples at 8 kHz, less than two blocks; says which key has ended in them.
    pub fn push(&mut self, samples: &[i16]) -> Option<Pressed> {
        let mut pressed = None;
        for &sample in samples {
            if let Some(key) = self.block(sample) {
                pressed = self.follow(key).or(pressed);
            }
        }
        pressed
    }

    /// Takes samples at 8 kHz, instead of [`Self::push`]; whether they may belong to a key that counts, or will: the block
    /// that ended before them is one, or any that ends in them.
    pub(crate) fn sounds(&mut self, samples: &[i16]) -> bool {
        let mut sounds = self.candidate.0.is_some();
        for &sample in samples {
            if let Some(key) = self.block(sample) {
                self.candidate.0 = key;
                sounds |= key.is_some();
            }
        }
        sounds
    }

    /// Takes one sample; where a block is full, the key in it, or that there is none.
    fn block(&mut self, sample: i16) -> Option<Option<char>> {
        let sample = f32::from(sample) / 32_768.0;
        self.power += sample * sample;
        for (state, coefficient) in self.filters.iter_mut().zip(COEFFICIENTS) {
            *state = [sample + coefficient * state[0] - state[1], state[0]];
        }
        self.filled += 1;
        (self.filled == BLOCK).then(|| {
            let key = self.key();
            (self.filters, self.power, self.filled) = ([[0.0; 2]; 8], 0.0, 0);
            key
        })
    }

    /// The key in the block, if there is one.
    fn key(&self) -> Option<char> {
        let mut powers = [0.0f32; 8];
        for ((power, [newer, older]), coefficient) in powers.iter_mut().zip(self.filters).zip(COEFFICIENTS) {
            // The mean power of a sine that is all there is.
            *power = (newer * newer + older * older - coefficient * newer * older) * 2.0 / (BLOCK * BLOCK) as f32;
        }
        let (low, high) = powers.split_at(4);
        let (row, low) = strongest(low)?;
        let (column, high) = strongest(high)?;
        let least = 10f32.powf(-LEAST_DB / 10.0);
        let twisted = low > high * ratio(TWIST_LOW_DB) || high > low * ratio(TWIST_HIGH_DB);
        let mean = self.power / BLOCK as f32;
        let is_key = low.min(high) >= least && !twisted && low + high >= SHARE * mean;
        if is_key { KEYS.get(row)?.get(column).copied() } else { None }
    }

    fn follow(&mut self, key: Option<char>) -> Option<Pressed> {
        if let Some((down, blocks)) = &mut self.down
            && key == Some(*down)
        {
            // What it was gone for in between was the line's fault.
            *blocks += 1 + std::mem::take(&mut self.candidate).1;
            return None;
        }
        self.candidate =
            if self.down.is_none() && self.candidate.0 != key { (key, 1) } else { (key, self.candidate.1 + 1) };
        match self.down {
            Some((down, blocks)) if self.candidate.1 >= ENDS => {
                (self.down, self.candidate) = (None, (key, 1));
                Some(Pressed { key: down, duration_ms: blocks * BLOCK as u32 / 8 })
            }
            None if key.is_some() && self.candidate.1 >= BEGINS => {
                self.down = key.map(|key| (key, BEGINS));
                self.candidate = (None, 0);
                None
            }
            _ => None,
        }
    }
}

fn ratio(db: f32) -> f32 {
    10f32.powf(db / 10.0)
}

/// The strongest of a group, if it stands out.
fn strongest(group: &[f32]) -> Option<(usize, f32)> {
    let (index, &power) = group.iter().enumerate().max_by(|left, right| left.1.total_cmp(right.1))?;
    let others = group.iter().enumerate().filter(|(other, _)| *other != index).map(|(_, &other)| other);
    others.fold(0.0, f32::max).mul_add(ratio(ABOVE_GROUP_DB), 0.0).lt(&power).then_some((index, power))
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Rng;

    const LOW: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
    const HIGH: [f32; 4] = [1_209.0, 1_336.0, 1_477.0, 1_633.0];

    fn tone(key: char, ms: usize, low: f64, high: f64) -> Vec<i16> {
        let (row, column) = KEYS
            .iter()
            .enumerate()
            .find_map(|(row, keys)| Some((row, keys.iter().position(|known| *known == key)?)))
            .unwrap();
        let at = |n: usize, hertz: f32| (std::f64::consts::TAU * f64::from(hertz) * n as f64 / 8_000.0).sin();
        (0..ms * 8).map(|n| (low * at(n, LOW[row]) + high * at(n, HIGH[column])) as i16).collect()
    }

    fn heard(samples: &[i16]) -> Vec<Pressed> {
        let mut detector = KeyDetector::default();
        samples.chunks(80).filter_map(|frame| detector.push(frame)).collect()
    }

    fn keys(samples: &[i16]) -> String {
        heard(samples).into_iter().map(|pressed| pressed.key).collect()
    }

    #[test]
    fn the_coefficients_are_those_of_the_frequencies() {
        for (hertz, coefficient) in LOW.iter().chain(&HIGH).zip(COEFFICIENTS) {
            let exact = 2.0 * (std::f64::consts::TAU * f64::from(*hertz) / 8_000.0).cos();
            assert!((exact - f64::from(coefficient)).abs() < 1e-4, "{hertz}: {exact}");
        }
    }

    #[test]
    fn every_key_is_heard_once_at_every_level_and_twist_it_may_have() {
        let all = "123A456B789C*0#D";
        for (low, high) in [(8_000.0, 8_000.0), (800.0, 800.0), (6_000.0, 3_500.0), (4_000.0, 6_000.0)] {
            for (tone_ms, gap_ms) in [(60, 60), (100, 80), (500, 50)] {
                let mut line = vec![0; 400];
                for key in all.chars() {
                    line.extend(tone(key, tone_ms, low, high));
                    line.extend(vec![0; gap_ms * 8]);
                }
                line.extend([0; 800]);
                assert_eq!(keys(&line), all, "{low} {high} {tone_ms} {gap_ms}");
            }
        }
        let held = heard(&[tone('5', 1_000, 5_000.0, 5_000.0), vec![0; 800]].concat());
        assert!((960..=1_040).contains(&held[0].duration_ms), "{held:?}");
    }

    #[test]
    fn a_hole_in_a_key_does_not_make_it_two() {
        let mut line = tone('7', 300, 6_000.0, 6_000.0);
        line[1_000..1_160].fill(0);
        line.extend([0; 800]);
        assert_eq!(keys(&line), "7");
    }

    #[test]
    fn noise_and_single_tones_are_no_keys() {
        let mut rng = Rng::from_u64(3);
        let noise: Vec<i16> = (0..480_000).map(|_| rng.below(16_000) as i16 - 8_000).collect();
        assert_eq!(keys(&noise), "");
        for hertz in [697.0, 1_336.0, 440.0, 1_000.0] {
            let line: Vec<i16> = (0..8_000)
                .map(|n| (8_000.0 * (std::f64::consts::TAU * hertz * f64::from(n) / 8_000.0).sin()) as i16)
                .collect();
            assert_eq!(keys(&line), "", "{hertz}");
        }
        let ringback: Vec<i16> = crate::tone("440+480/2000,480+620/2000,350+440/2000").unwrap().samples().to_vec();
        assert_eq!(keys(&ringback), "");
    }

    #[test]
    fn a_voice_is_no_key() {
        let path = format!("{}/tests/voice/voice-16000.wav", env!("CARGO_MANIFEST_DIR"));
        let wide: Vec<i16> = hound::WavReader::open(path).unwrap().into_samples::<i16>().map(Result::unwrap).collect();
        let narrow: Vec<i16> = wide.iter().step_by(2).copied().collect();
        assert_eq!(keys(&narrow), "");
    }
}
