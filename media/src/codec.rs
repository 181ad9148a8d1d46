//! The audio codecs and what each is on the wire: G.711 and G.722 (RFC 3551 §6), Opus (RFC 7587).
//!
//! The RTP clock and the sampling rate are two things: G.722 samples at 16 kHz on a clock of 8,000 (RFC 3551 §4.5.2),
//! Opus has a clock of 48,000 whatever it samples at (RFC 7587 §4.1).

mod coder;
mod g711;
pub(crate) mod g722;
pub(crate) mod opus;

pub use coder::{Decoder, Encoder};
use g711::{ALAW_TO_LINEAR, ALAW_TO_ULAW, LINEAR_TO_ALAW, LINEAR_TO_ULAW, ULAW_TO_ALAW, ULAW_TO_LINEAR};
use serde::{Deserialize, Serialize};

/// A codec, mono.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Codec {
    /// G.711 μ-law, payload type 0.
    Pcmu,
    /// G.711 A-law, payload type 8.
    Pcma,
    /// G.722 at 64 kbit/s, payload type 9.
    G722,
    /// Opus, a dynamic payload type.
    Opus,
}

impl Codec {
    /// Its static payload type (RFC 3551 §6, table 4); for Opus, which has none, 111 as everybody offers it.
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G722 => 9,
            Self::Opus => 111,
        }
    }

    /// Its name in SDP (RFC 3551 §4.5, RFC 7587 §7).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
        }
    }

    /// Ticks a second of its RTP timestamps.
    #[must_use]
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8_000,
            Self::Opus => 48_000,
        }
    }

    /// Samples a second that it codes at best.
    #[must_use]
    pub const fn sample_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 8_000,
            Self::G722 => 16_000,
            Self::Opus => 48_000,
        }
    }

    /// Ticks a millisecond of its RTP timestamps.
    pub(crate) const fn per_ms(self) -> u64 {
        match self {
            Self::Opus => 48,
            _ => 8,
        }
    }

    /// Whether a packet may last so many milliseconds: 10 to 60 in steps of 10, of which Opus has no frames of 30 and 50
    /// (RFC 6716 §2.1.4).
    #[must_use]
    pub const fn has_ptime(self, ms: u16) -> bool {
        ms >= 10 && ms <= 60 && ms.is_multiple_of(10) && !(matches!(self, Self::Opus) && (ms == 30 || ms == 50))
    }

    /// How long a payload lasts, in ticks of the RTP clock; 0 for what is no payload of this codec.
    pub(crate) fn ticks(self, payload: &[u8]) -> u64 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => payload.len() as u64,
            Self::Opus => opus::ticks(payload).unwrap_or(0),
        }
    }

    /// One octet a sample: its packets can be cut, and compared, sample by sample.
    #[must_use]
    pub const fn is_g711(self) -> bool {
        matches!(self, Self::Pcmu | Self::Pcma)
    }

    /// The G.711 law that holds this codec's audio where it is kept an octet a sample: its own, else μ-law.
    pub(crate) const fn law(self) -> Self {
        match self {
            Self::Pcma => Self::Pcma,
            _ => Self::Pcmu,
        }
    }

    /// The octet for silence in G.711: positive zero. Of the others, whose octets are no samples, that of μ-law.
    #[must_use]
    pub const fn silence(self) -> u8 {
        match self.law() {
            Self::Pcma => 0xD5,
            _ => 0xFF,
        }
    }

    /// One sample compressed by G.711 (the others: by μ-law; [`Encoder`] has their own way).
    #[must_use]
    pub fn encode_sample(self, sample: i16) -> u8 {
        match self.law() {
            Self::Pcma => LINEAR_TO_ALAW[(sample as u16 >> 4) as usize],
            _ => LINEAR_TO_ULAW[(sample as u16 >> 2) as usize],
        }
    }

    /// One octet of G.711 expanded (the others: as μ-law; [`Decoder`] has their own way).
    #[must_use]
    pub fn decode_sample(self, octet: u8) -> i16 {
        match self.law() {
            Self::Pcma => ALAW_TO_LINEAR[octet as usize],
            _ => ULAW_TO_LINEAR[octet as usize],
        }
    }

    /// Whether [`Self::transcode`] turns this codec's payloads into the other's: both are G.711, or the same.
    pub(crate) fn transcodes_by_table(self, to: Self) -> bool {
        self == to || (self.is_g711() && to.is_g711())
    }

    /// Turns G.711 octets, in place, into the other law's of the nearest level. Other codecs' are left as they are.
    pub fn transcode(self, to: Self, octets: &mut [u8]) {
        let table = match (self, to) {
            (Self::Pcmu, Self::Pcma) => &ULAW_TO_ALAW,
            (Self::Pcma, Self::Pcmu) => &ALAW_TO_ULAW,
            _ => return,
        };
        octets.iter_mut().for_each(|octet| *octet = table[usize::from(*octet)]);
    }

    /// Compresses by G.711 as many samples as both slices hold; returns how many.
    pub fn encode(self, samples: &[i16], octets: &mut [u8]) -> usize {
        octets.iter_mut().zip(samples).map(|(octet, &sample)| *octet = self.encode_sample(sample)).count()
    }

    /// Expands by G.711 as many octets as both slices hold; returns how many.
    pub fn decode(self, octets: &[u8], samples: &mut [i16]) -> usize {
        samples.iter_mut().zip(octets).map(|(sample, &octet)| *sample = self.decode_sample(octet)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_the_corners_of_the_itu_tables() {
        let ulaw = [(0xFF, 0), (0x7F, 0), (0x80, 32124), (0x00, -32124), (0xEF, 132), (0x6F, -132)];
        assert!(ulaw.iter().all(|&(octet, linear)| Codec::Pcmu.decode_sample(octet) == linear));
        let alaw = [(0xD5, 8), (0x55, -8), (0xAA, 32256), (0x2A, -32256), (0x80, 5504), (0x00, -5504)];
        assert!(alaw.iter().all(|&(octet, linear)| Codec::Pcma.decode_sample(octet) == linear));
    }

    #[test]
    fn every_octet_survives_expansion_and_compression() {
        for octet in 0..=255u8 {
            assert_eq!(Codec::Pcma.encode_sample(Codec::Pcma.decode_sample(octet)), octet);
            // μ-law has two zeros; the negative one becomes the positive.
            let expected = if octet == 0x7F { 0xFF } else { octet };
            assert_eq!(Codec::Pcmu.encode_sample(Codec::Pcmu.decode_sample(octet)), expected);
        }
    }

    #[test]
    fn compression_picks_the_nearest_step_within_half_a_step() {
        for codec in [Codec::Pcmu, Codec::Pcma] {
            for sample in i16::MIN..=i16::MAX {
                let error = (i32::from(codec.decode_sample(codec.encode_sample(sample))) - i32::from(sample)).abs();
                // The widest half step is 512 (segment 7); beyond full scale the codec clips.
                let allowed =
                    (i32::from(sample).abs() / 32 + 16).max(8) + if sample.unsigned_abs() > 32_000 { 644 } else { 0 };
                assert!(error <= allowed, "{codec:?} {sample}: {error} > {allowed}");
            }
        }
    }

    #[test]
    fn transcoding_is_expansion_and_compression_and_keeps_silence() {
        for (from, to) in [(Codec::Pcmu, Codec::Pcma), (Codec::Pcma, Codec::Pcmu)] {
            let mut octets: Vec<u8> = (0..=255).collect();
            from.transcode(to, &mut octets);
            let expected: Vec<u8> = (0..=255).map(|octet| to.encode_sample(from.decode_sample(octet))).collect();
            assert_eq!(octets, expected);
            let mut same = expected.clone();
            to.transcode(to, &mut same);
            assert_eq!(same, expected);
        }
        let mut silence = [Codec::Pcmu.silence()];
        Codec::Pcmu.transcode(Codec::Pcma, &mut silence);
        assert_eq!(silence, [Codec::Pcma.silence()]);
    }

    #[test]
    fn silence_is_zero_or_the_smallest_step() {
        assert_eq!(Codec::Pcmu.decode_sample(Codec::Pcmu.silence()), 0);
        assert_eq!(Codec::Pcma.decode_sample(Codec::Pcma.silence()), 8);
        assert_eq!(Codec::Pcmu.encode_sample(0), Codec::Pcmu.silence());
        assert_eq!(Codec::Pcma.encode_sample(0), Codec::Pcma.silence());
    }

    #[test]
    fn slices_of_unequal_length_stop_at_the_shorter() {
        let mut octets = [0; 3];
        assert_eq!(Codec::Pcmu.encode(&[0; 5], &mut octets), 3);
        assert_eq!(octets, [0xFF; 3]);
        assert_eq!(Codec::Pcma.decode(&octets, &mut [0; 2]), 2);
    }
}
