//! What an endpoint needs where audio is worked on and not only passed along. Made when first needed: a plain leg has none.

use super::ear::Ear;
use super::hush::Hush;
use super::transcode::Transcoder;
use crate::codec::{Codec, Encoder, opus};
use crate::record::LegRecorder;
use crate::room::{BLOCK_MS, Rooms, Seat, gather};
use base::Now;

/// Samples of the longest packet time, 60 ms at 48 kHz.
pub(super) const MAX_PCM: usize = 2_880;

/// The workshop of one endpoint.
#[derive(Debug)]
pub(super) struct Audio {
    encoder: Option<Encoder>,
    samples: Box<[i16]>,
    payload: Box<[u8]>,
    /// A bridged peer's stream that has to be made anew.
    pub transcoder: Option<Box<Transcoder>>,
    /// Who silences the keys in what a bridged peer says, where it is relayed as it is.
    pub hush: Option<Hush>,
    pub recorders: Vec<LegRecorder>,
    /// Who listens to the far end.
    pub ear: Option<Box<Ear>>,
    /// A place in a room.
    pub seat: Option<Box<Seat>>,
}

impl Default for Audio {
    fn default() -> Self {
        Self {
            encoder: None,
            samples: vec![0; MAX_PCM].into(),
            payload: vec![0; opus::MAX_PACKET].into(),
            transcoder: None,
            hush: None,
            recorders: Vec::new(),
            ear: None,
            seat: None,
        }
    }
}

impl Audio {
    /// Encodes `ms` milliseconds, filled up with silence, as the next of this endpoint's stream. Empty where that
    /// cannot be done.
    #[cold]
    #[inline(never)]
    pub(super) fn encode(&mut self, codec: Codec, rate: u32, ms: u16, samples: &[i16]) -> &[u8] {
        let length = length(rate, ms);
        let said = samples.len().min(length);
        if let Some((to, rest)) = self.samples.get_mut(..length).and_then(|whole| whole.split_at_mut_checked(said)) {
            to.copy_from_slice(samples.get(..said).unwrap_or_default());
            rest.fill(0);
        }
        self.encode_own(codec, rate, length)
    }

    /// `ms` milliseconds, up to `due`, of the room, or of what the endpoint is joined with. `None`: it is silent.
    #[cold]
    #[inline(never)]
    pub(super) fn next<'a>(&'a mut self, codec: Codec, ms: u16, due: Now, rooms: &'a mut Rooms) -> Option<&'a [u8]> {
        if self.seat.is_some() {
            return self.room_packet(codec, ms, due, rooms).filter(|payload| !payload.is_empty());
        }
        let transcoder = self.transcoder.as_mut().filter(|transcoder| transcoder.flows(due))?;
        let rate = transcoder.rate();
        let length = length(rate, ms);
        transcoder.pull(self.samples.get_mut(..length)?, due);
        Some(self.encode_own(codec, rate, length)).filter(|payload| !payload.is_empty())
    }

    /// The room's packet that is due: everybody's, or one of its own.
    fn room_packet<'a>(&'a mut self, codec: Codec, ms: u16, due: Now, rooms: &'a mut Rooms) -> Option<&'a [u8]> {
        let Self { seat, samples, .. } = self;
        let seat = seat.as_deref().filter(|seat| !seat.deaf)?;
        let mix = &mut rooms.get(seat.index)?.mix;
        let number = mix.number(ms, due.mono / 1_000_000)?;
        let count = u64::from(ms) / BLOCK_MS;
        let first = number * count;
        if !seat.has_own(first, count) {
            return Some(mix.packet(codec, ms, number));
        }
        let rate = mix.rate();
        let block = |block| seat.own(block).unwrap_or_else(|| mix.common(block));
        let length = gather(samples, rate as usize / 100, first, count, block);
        Some(self.encode_own(codec, rate, length))
    }

    fn encode_own(&mut self, codec: Codec, rate: u32, length: usize) -> &[u8] {
        let encoder = match &mut self.encoder {
            Some(encoder) if (encoder.codec(), encoder.rate()) == (codec, rate) => encoder,
            other => other.insert(Encoder::new(codec, rate)),
        };
        let octets = encoder.encode(self.samples.get(..length).unwrap_or_default(), &mut self.payload);
        self.payload.get(..octets).unwrap_or_default()
    }
}

fn length(rate: u32, ms: u16) -> usize {
    (rate as usize / 1_000 * usize::from(ms)).min(MAX_PCM)
}
