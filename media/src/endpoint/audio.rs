//! What an endpoint needs where audio is worked on and not only passed along. Made when first needed: a plain leg has none.

use crate::codec::{Codec, Encoder, opus};

/// Samples of the longest packet time, 60 ms at 48 kHz.
pub(super) const MAX_PCM: usize = 2_880;

/// The workshop of one endpoint.
#[derive(Debug)]
pub(super) struct Audio {
    encoder: Option<Encoder>,
    samples: Box<[i16]>,
    payload: Box<[u8]>,
}

impl Default for Audio {
    fn default() -> Self {
        Self { encoder: None, samples: vec![0; MAX_PCM].into(), payload: vec![0; opus::MAX_PACKET].into() }
    }
}

impl Audio {
    /// Encodes `ms` milliseconds, filled up with silence, as the next of this endpoint's stream. Empty where that
    /// cannot be done.
    pub(super) fn encode(&mut self, codec: Codec, rate: u32, ms: u16, samples: &[i16]) -> &[u8] {
        let encoder = match &mut self.encoder {
            Some(encoder) if (encoder.codec(), encoder.rate()) == (codec, rate) => encoder,
            other => other.insert(Encoder::new(codec, rate)),
        };
        let length = (rate as usize / 1_000 * usize::from(ms)).min(MAX_PCM);
        let Some(whole) = self.samples.get_mut(..length) else { return &[] };
        let said = samples.len().min(length);
        if let Some((said, rest)) = whole.split_at_mut_checked(said) {
            said.copy_from_slice(samples.get(..said.len()).unwrap_or_default());
            rest.fill(0);
        }
        let octets = encoder.encode(whole, &mut self.payload);
        self.payload.get(..octets).unwrap_or_default()
    }
}
