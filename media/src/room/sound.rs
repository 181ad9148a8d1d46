//! A prompt in the mix of a room: a tone once, or music over and over.

use crate::prompt::{Prompt, SAMPLE_RATE};
use crate::resample::Resampler;
use std::sync::Arc;

/// Ten milliseconds at 48 kHz.
const MAX_FRAME: usize = 480;

#[derive(Debug)]
pub(super) struct Sound {
    prompt: Arc<Prompt>,
    position: usize,
    repeats: bool,
    resampler: Option<Resampler>,
}

impl Sound {
    pub(super) fn new(prompt: Arc<Prompt>, rate: u32, repeats: bool) -> Self {
        Self { prompt, position: 0, repeats, resampler: Resampler::new(SAMPLE_RATE, rate) }
    }

    pub(super) fn is_over(&self) -> bool {
        !self.repeats && self.position >= self.prompt.samples().len()
    }

    /// Adds the next ten milliseconds.
    pub(super) fn add(&mut self, total: &mut [i32]) {
        let samples = self.prompt.samples();
        let mut source = [0; SAMPLE_RATE as usize / 100];
        for to in &mut source {
            if self.position >= samples.len() && self.repeats {
                self.position = 0;
            }
            *to = samples.get(self.position).copied().unwrap_or(0);
            self.position += 1;
        }
        let mut converted = [0; MAX_FRAME];
        let frame = match &mut self.resampler {
            Some(resampler) => {
                let length = resampler.process(&source, &mut converted);
                converted.get(..length).unwrap_or_default()
            }
            None => &source[..],
        };
        total.iter_mut().zip(frame).for_each(|(total, &sample)| *total += i32::from(sample));
    }
}
