//! A prompt: audio decoded once, compressed once a codec, and shared by every call that plays it.

use crate::codec::{Codec, Encoder, opus};
use std::{fmt, sync::Arc};

mod decode;

pub use decode::{MAX_PROMPT_SECONDS, PromptError, decode};

/// Samples a second of everything in here.
pub const SAMPLE_RATE: u32 = 8_000;

/// Samples in a frame of 20 ms: what payloads are padded to.
pub const FRAME: usize = 160;

/// Samples a second of what the wider codecs are made from.
pub const WIDE_RATE: u32 = 16_000;

/// Milliseconds of the packets that Opus is rendered in.
const OPUS_MS: u16 = 20;

/// Audio that can be played without work a packet: its payloads are ready-made.
#[derive(Clone, PartialEq, Eq)]
pub struct Prompt {
    name: Arc<str>,
    samples: Arc<[i16]>,
    /// The same at 16 kHz, where its source had more than 8 kHz can hold.
    wide: Option<Arc<[i16]>>,
    pcmu: Arc<[u8]>,
    pcma: Arc<[u8]>,
    g722: Option<Arc<[u8]>>,
    opus: Option<Arc<Packets>>,
}

/// Packets one behind the other, and where each ends.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Packets {
    octets: Vec<u8>,
    ends: Vec<usize>,
}

impl Packets {
    fn get(&self, index: usize) -> Option<&[u8]> {
        let start = if index == 0 { 0 } else { *self.ends.get(index - 1)? };
        self.octets.get(start..*self.ends.get(index)?)
    }
}

/// A packet's worth of a prompt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// The payload, shared by all who hear it; the last one of G.711 and G.722 may be short.
    Ready(&'a [u8]),
    /// Samples that the endpoint encodes for itself: the prompt was not rendered for its codec and packet time.
    Raw { samples: &'a [i16], rate: u32 },
}

impl Prompt {
    /// A prompt of mono samples at 8 kHz, compressed here and now by both laws of G.711.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, samples: impl Into<Arc<[i16]>>) -> Self {
        let samples = samples.into();
        let (pcmu, pcma) = (payload(Codec::Pcmu, &samples), payload(Codec::Pcma, &samples));
        Self { name: name.into(), samples, wide: None, pcmu, pcma, g722: None, opus: None }
    }

    /// With its samples at 16 kHz too: what G.722 and Opus are made of. It says and lasts the same.
    #[must_use]
    pub fn with_wide(mut self, wide: impl Into<Arc<[i16]>>) -> Self {
        self.wide = Some(wide.into());
        (self.g722, self.opus) = (None, None);
        self
    }

    /// With ready-made payloads for that codec (Opus: for packets of 20 ms), so that whoever plays it encodes nothing.
    /// A second of Opus takes some milliseconds: on a worker pool, never on a shard.
    #[must_use]
    pub fn rendered(mut self, codec: Codec) -> Self {
        match codec {
            Codec::Pcmu | Codec::Pcma => {}
            Codec::G722 => self.g722 = Some(self.encode(codec).octets.into()),
            Codec::Opus => self.opus = Some(Arc::new(self.encode(codec))),
        }
        self
    }

    fn encode(&self, codec: Codec) -> Packets {
        let (samples, rate) = self.source(codec);
        let length = rate as usize / 1_000 * usize::from(OPUS_MS);
        let (mut encoder, mut packet) = (Encoder::new(codec, rate), [0; opus::MAX_PACKET]);
        let mut packets = Packets::default();
        for frame in samples.chunks(length) {
            let mut whole = frame.to_vec();
            whole.resize(length, 0);
            let octets = encoder.encode(&whole, &mut packet);
            packets.octets.extend_from_slice(packet.get(..octets).unwrap_or_default());
            packets.ends.push(packets.octets.len());
        }
        packets
    }

    /// What a codec is made of.
    fn source(&self, codec: Codec) -> (&[i16], u32) {
        match &self.wide {
            Some(wide) if !codec.is_g711() => (wide, WIDE_RATE),
            _ => (&self.samples, SAMPLE_RATE),
        }
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

    /// The octets of G.711: whole frames of 160, the last one padded with silence. What is not G.711 has packets, and
    /// gets μ-law's octets here.
    #[must_use]
    pub fn payload(&self, codec: Codec) -> &Arc<[u8]> {
        match codec.law() {
            Codec::Pcma => &self.pcma,
            _ => &self.pcmu,
        }
    }

    /// Octets of G.711 there are, padding included: where a round ends, in samples of 8 kHz.
    pub(crate) fn padded(&self) -> usize {
        self.pcmu.len()
    }

    /// `ms` milliseconds from `position` on (samples at 8 kHz, short of the end).
    #[inline(always)]
    pub(crate) fn frame(&self, codec: Codec, position: usize, ms: u16) -> Frame<'_> {
        let samples = usize::from(ms) * 8;
        let ready = match codec {
            Codec::Pcmu => octets(&self.pcmu, position, samples),
            Codec::Pcma => octets(&self.pcma, position, samples),
            Codec::G722 => self.g722.as_ref().and_then(|g722| octets(g722, position, samples)),
            Codec::Opus if ms != OPUS_MS || !position.is_multiple_of(FRAME) => None,
            Codec::Opus => self.opus.as_ref().and_then(|packets| packets.get(position / FRAME)),
        };
        if let Some(ready) = ready {
            return Frame::Ready(ready);
        }
        let (source, rate) = self.source(codec);
        let ratio = (rate / SAMPLE_RATE) as usize;
        let (start, end) = (position * ratio, (position + samples) * ratio);
        let samples = source.get(start.min(source.len())..end.min(source.len())).unwrap_or_default();
        Frame::Raw { samples, rate }
    }

    /// How long it lasts, in milliseconds, without the padding.
    #[must_use]
    pub fn duration_ms(&self) -> u64 {
        self.samples.len() as u64 * 1000 / u64::from(SAMPLE_RATE)
    }
}

fn octets(payload: &[u8], position: usize, samples: usize) -> Option<&[u8]> {
    payload.get(position..(position + samples).min(payload.len()))
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

    #[test]
    fn what_was_rendered_is_ready_and_the_rest_is_raw() {
        let prompt = Prompt::new("tone", vec![1000i16; 330]);
        assert_eq!(prompt.frame(Codec::G722, 0, 20), Frame::Raw { samples: &[1000; 160], rate: 8_000 });
        let wide = prompt.with_wide(vec![2000i16; 660]).rendered(Codec::G722).rendered(Codec::Opus);
        assert!(matches!(wide.frame(Codec::G722, 320, 20), Frame::Ready(octets) if octets.len() == 160));
        let Frame::Ready(packet) = wide.frame(Codec::Opus, 160, 20) else { unreachable!() };
        assert_eq!(Codec::Opus.ticks(packet), 960);
        assert_eq!(wide.frame(Codec::Opus, 160, 40), Frame::Raw { samples: &[2000; 340], rate: 16_000 });
    }
}
