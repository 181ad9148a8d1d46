//! G.711 (ITU-T G.711, payload types of RFC 3551 §6): tables made at compile time.
//!
//! Bit-exact with the ITU-T Software Tool Library: μ-law reads the upper 14 bits of a sample, A-law the upper 12.

use serde::{Deserialize, Serialize};

/// A codec at 8 kHz, one octet a sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Codec {
    /// μ-law, payload type 0.
    Pcmu,
    /// A-law, payload type 8.
    Pcma,
}

impl Codec {
    /// Its static payload type (RFC 3551 §6, table 4).
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
        }
    }

    /// Its name in SDP (RFC 3551 §4.5.14).
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
        }
    }

    /// The octet for silence: positive zero.
    #[must_use]
    pub const fn silence(self) -> u8 {
        match self {
            Self::Pcmu => 0xFF,
            Self::Pcma => 0xD5,
        }
    }

    /// One sample compressed.
    #[must_use]
    pub fn encode_sample(self, sample: i16) -> u8 {
        match self {
            Self::Pcmu => LINEAR_TO_ULAW[(sample as u16 >> 2) as usize],
            Self::Pcma => LINEAR_TO_ALAW[(sample as u16 >> 4) as usize],
        }
    }

    /// One octet expanded.
    #[must_use]
    pub fn decode_sample(self, octet: u8) -> i16 {
        match self {
            Self::Pcmu => ULAW_TO_LINEAR[octet as usize],
            Self::Pcma => ALAW_TO_LINEAR[octet as usize],
        }
    }

    /// Turns this codec's octets, in place, into another's of the nearest level.
    pub fn transcode(self, to: Self, octets: &mut [u8]) {
        let table = match (self, to) {
            (Self::Pcmu, Self::Pcma) => &ULAW_TO_ALAW,
            (Self::Pcma, Self::Pcmu) => &ALAW_TO_ULAW,
            (Self::Pcmu, Self::Pcmu) | (Self::Pcma, Self::Pcma) => return,
        };
        octets.iter_mut().for_each(|octet| *octet = table[usize::from(*octet)]);
    }

    /// Compresses as many samples as both slices hold; returns how many.
    pub fn encode(self, samples: &[i16], octets: &mut [u8]) -> usize {
        octets.iter_mut().zip(samples).map(|(octet, &sample)| *octet = self.encode_sample(sample)).count()
    }

    /// Expands as many octets as both slices hold; returns how many.
    pub fn decode(self, octets: &[u8], samples: &mut [i16]) -> usize {
        samples.iter_mut().zip(octets).map(|(sample, &octet)| *sample = self.decode_sample(octet)).count()
    }
}

static ULAW_TO_LINEAR: [i16; 256] = ulaw_to_linear();
static ALAW_TO_LINEAR: [i16; 256] = alaw_to_linear();
static LINEAR_TO_ULAW: [u8; 1 << 14] = linear_to_ulaw();
static LINEAR_TO_ALAW: [u8; 1 << 12] = linear_to_alaw();

static ULAW_TO_ALAW: [u8; 256] = {
    let (expanded, compressed) = (ulaw_to_linear(), linear_to_alaw());
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = compressed[(expanded[octet] as u16 >> 4) as usize];
        octet += 1;
    }
    table
};

static ALAW_TO_ULAW: [u8; 256] = {
    let (expanded, compressed) = (alaw_to_linear(), linear_to_ulaw());
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = compressed[(expanded[octet] as u16 >> 2) as usize];
        octet += 1;
    }
    table
};

/// G.711 table 2: sign, three bits of segment, four of step, all inverted; the bias is 33 in 14-bit units.
const fn ulaw_to_linear() -> [i16; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let code = !(octet as u8);
        let magnitude = ((((code & 0x0F) as i16) << 3) + 0x84) << ((code >> 4) & 7);
        table[octet] = if code & 0x80 == 0 { magnitude - 0x84 } else { 0x84 - magnitude };
        octet += 1;
    }
    table
}

/// G.711 table 1: even bits inverted; the first segment has the second's step.
const fn alaw_to_linear() -> [i16; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let code = octet as u8 ^ 0x55;
        let segment = (code >> 4) & 7;
        let step = (((code & 0x0F) as i16) << 4) + 8;
        let magnitude = if segment == 0 { step } else { (step + 0x100) << (segment - 1) };
        table[octet] = if code & 0x80 == 0 { -magnitude } else { magnitude };
        octet += 1;
    }
    table
}

const fn linear_to_ulaw() -> [u8; 1 << 14] {
    let mut table = [0; 1 << 14];
    let mut index = 0;
    while index < 1 << 14 {
        let negative = index & 0x2000 != 0;
        // One's complement for the negative half, as the STL does: -1 and 0 share a step.
        let inverted = if negative { !index & 0x1FFF } else { index };
        let magnitude = if inverted + 33 > 0x1FFF { 0x1FFF } else { inverted + 33 };
        let segment = (magnitude as u32).ilog2() - 5;
        let step = (magnitude >> (segment + 1)) & 0x0F;
        let code = (segment as u8) << 4 | step as u8;
        table[index] = if negative { !code & 0x7F } else { !code };
        index += 1;
    }
    table
}

const fn linear_to_alaw() -> [u8; 1 << 12] {
    let mut table = [0; 1 << 12];
    let mut index = 0;
    while index < 1 << 12 {
        let negative = index & 0x800 != 0;
        let magnitude = if negative { !index & 0x7FF } else { index };
        let code = if magnitude < 32 {
            magnitude as u8
        } else {
            let segment = (magnitude as u32).ilog2() - 3;
            ((segment as u8) << 4) | ((magnitude >> (segment - 1)) & 0x0F) as u8
        };
        table[index] = if negative { code ^ 0x55 } else { code ^ 0xD5 };
        index += 1;
    }
    table
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
