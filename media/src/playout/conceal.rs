//! Packet-loss concealment for codecs that have none of their own, after the idea of G.711 Appendix I: the last pitch
//! period again and again, fading, and a blend where the real sound returns.

use super::stretch::blend;

/// Milliseconds of sound that are remembered.
const HISTORY_MS: usize = 40;

/// Pitch periods that are looked for, in samples at 8 kHz: 66 to 400 Hz.
const SHORTEST: usize = 20;
const LONGEST: usize = 120;

/// Samples at 8 kHz that are compared: 15 ms.
const COMPARED: usize = 120;

/// Milliseconds at full strength, and until nothing is left.
const FULL_MS: usize = 10;
const GONE_MS: usize = 60;

/// Milliseconds of the blend where real sound returns.
const RETURN_MS: usize = 4;

/// What was heard last, and what is being made of it.
#[derive(Clone, Debug)]
pub(super) struct Concealment {
    rate: usize,
    /// The sound until now, oldest first.
    history: Box<[i16]>,
    /// While concealing: the period, and how many samples of it were made.
    period: usize,
    made: usize,
}

impl Concealment {
    pub(super) fn new(rate: u32) -> Self {
        let rate = rate as usize;
        Self { rate, history: vec![0; rate / 1_000 * HISTORY_MS].into(), period: 0, made: 0 }
    }

    /// What was heard says nothing about what comes.
    pub(super) fn forget(&mut self) {
        (self.made, self.period) = (0, 0);
        self.history.fill(0);
    }

    /// This was heard.
    pub(super) fn remember(&mut self, heard: &[i16]) {
        push(&mut self.history, heard);
    }

    /// Makes up what follows.
    pub(super) fn fill(&mut self, to: &mut [i16]) {
        if self.made == 0 {
            self.period = self.pitch();
        }
        for sample in to {
            *sample = self.next();
        }
    }

    /// The next sample of the last period, fading.
    fn next(&mut self) -> i16 {
        let period = self.period.max(1);
        let at = self.history.len() - period + self.made % period;
        let (full, gone) = (self.rate * FULL_MS / 1_000, self.rate * GONE_MS / 1_000);
        let strength = (gone as f32 - self.made.max(full) as f32).max(0.0) / (gone - full) as f32;
        self.made += 1;
        (f32::from(self.history.get(at).copied().unwrap_or(0)) * strength) as i16
    }

    /// Real sound returns: its beginning is blended with what was being made up.
    pub(super) fn join(&mut self, fresh: &mut [i16]) {
        if self.made == 0 {
            return;
        }
        let seam = (self.rate * RETURN_MS / 1_000).min(fresh.len());
        for (n, sample) in fresh.iter_mut().take(seam).enumerate() {
            *sample = blend(self.next(), *sample, n, seam);
        }
        self.made = 0;
    }

    /// The period at which the history is most like itself.
    fn pitch(&self) -> usize {
        let unit = (self.rate / 8_000).max(1);
        let length = self.history.len();
        let at = |lag: usize| -> f32 {
            let (mut cross, mut power) = (0.0f32, 1.0f32);
            for n in 0..COMPARED {
                let here = length - 1 - n * unit;
                let there = here.checked_sub(lag * unit).and_then(|there| self.history.get(there));
                let there = there.map_or(0.0, |&sample| f32::from(sample));
                cross += self.history.get(here).map_or(0.0, |&sample| f32::from(sample)) * there;
                power += there * there;
            }
            cross / power.sqrt()
        };
        let best = (SHORTEST..=LONGEST).max_by(|&left, &right| at(left).total_cmp(&at(right)));
        best.unwrap_or(LONGEST) * unit
    }
}

fn push(history: &mut [i16], fresh: &[i16]) {
    let length = history.len();
    let fresh = fresh.get(fresh.len().saturating_sub(length)..).unwrap_or_default();
    history.copy_within(fresh.len().., 0);
    if let Some(tail) = history.get_mut(length - fresh.len()..) {
        tail.copy_from_slice(fresh);
    }
}
