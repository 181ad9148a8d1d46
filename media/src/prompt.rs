//! A prompt: audio decoded once, compressed once a codec, and shared by every call that plays it.

use crate::codec::Codec;
use std::{fmt, sync::Arc};

mod decode;

pub use decode::{MAX_PROMPT_SECONDS, PromptError, decode};

/// Samples a second of everything in here.
pub const SAMPLE_RATE: u32 = 8_000;

/// Samples in a frame of 20 ms: what payloads are padded to.
pub const FRAME: usize = 160;

/// Audio that can be played without work a packet: its payloads are ready-made.
#[derive(Clone, PartialEq, Eq)]
pub struct Prompt {
    name: Arc<str>,
    samples: Arc<[i16]>,
    pcmu: Arc<[u8]>,
    pcma: Arc<[u8]>,
}

impl Prompt {
    /// A prompt of mono samples at 8 kHz, compressed here and now for every codec.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, samples: impl Into<Arc<[i16]>>) -> Self {
        let samples = samples.into();
        Self { name: name.into(), pcmu: payload(Codec::Pcmu, &samples), pcma: payload(Codec::Pcma, &samples), samples }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Mono samples at 8 kHz, as decoded.
    #[must_use]
    pub fn samples(&self) -> &Arc<[i16]> {
        &self.samples
    }

    /// The octets to send: whole frames of 160, the last one padded with silence.
    #[must_use]
    pub fn payload(&self, codec: Codec) -> &Arc<[u8]> {
        match codec {
            Codec::Pcmu => &self.pcmu,
            Codec::Pcma => &self.pcma,
        }
    }

    /// How long it lasts, in milliseconds, without the padding.
    #[must_use]
    pub fn duration_ms(&self) -> u64 {
        self.samples.len() as u64 * 1000 / u64::from(SAMPLE_RATE)
    }
}

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prompt({:?}, {} ms)", self.name, self.duration_ms())
    }
}

fn payload(codec: Codec, samples: &[i16]) -> Arc<[u8]> {
    let mut octets = vec![codec.silence(); samples.len().next_multiple_of(FRAME)];
    codec.encode(samples, &mut octets);
    octets.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payloads_are_whole_frames_padded_with_silence() {
        let prompt = Prompt::new("click", vec![1000i16; 161]);
        for codec in [Codec::Pcmu, Codec::Pcma] {
            let payload = prompt.payload(codec);
            assert_eq!(payload.len(), 320);
            assert_eq!(payload[160], codec.encode_sample(1000));
            assert!(payload[161..].iter().all(|&octet| octet == codec.silence()));
        }
        assert_eq!(prompt.duration_ms(), 20);
        assert!(Prompt::new("empty", Vec::new()).payload(Codec::Pcmu).is_empty());
    }
}
