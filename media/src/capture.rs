//! What was heard, in memory: payload octets placed by RTP timestamp, with the holes named.
//!
//! For tests, `demo` and short takes; recording to disk is the rim's. Nothing here looks at a clock or writes a file.

use crate::codec::{Codec, Decoder};
use crate::prompt::SAMPLE_RATE;
use base::Now;
use std::ops::Range;

/// Samples a capture keeps: ten minutes. What comes after is not kept, and `Capture::truncated` says so.
pub const MAX_CAPTURE: usize = 600 * SAMPLE_RATE as usize;

/// Holes a capture remembers. A stream with more is not kept further, and `Capture::truncated` says so.
const MAX_GAPS: usize = 10_000;

/// A timestamp that leaps further than this, in samples, is a new timeline (another SSRC's, a restarted sender's) and
/// is placed by its arrival instead.
const MAX_LEAP: i64 = 10 * SAMPLE_RATE as i64;

/// A stretch that was never received. It holds silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Where it starts, in samples from the start of the capture.
    pub at: usize,
    /// How long it is, in samples.
    pub samples: usize,
}

/// Received audio, sample by sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capture {
    /// What the octets are: the stream's own G.711, else μ-law.
    pub codec: Codec,
    /// RTP timestamp of the first sample.
    pub first_timestamp: u32,
    /// One octet a sample, as received; silence in the gaps.
    pub payload: Vec<u8>,
    /// The holes, ascending.
    pub gaps: Vec<Gap>,
    /// A bound was reached: the stream went on, the capture did not.
    pub truncated: bool,
}

impl Capture {
    /// The samples, expanded.
    #[must_use]
    pub fn pcm(&self) -> Vec<i16> {
        self.payload.iter().map(|&octet| self.codec.decode_sample(octet)).collect()
    }

    /// Where these octets first stand, unbroken by a gap: "what was heard equals what was played".
    #[must_use]
    pub fn find(&self, octets: &[u8]) -> Option<usize> {
        let first = *octets.first()?;
        let mut from = 0;
        loop {
            let at = from + self.payload.get(from..)?.iter().position(|&octet| octet == first)?;
            let range = at..at + octets.len();
            if self.payload.get(range.clone())? == octets && !self.has_gap_in(&range) {
                return Some(at);
            }
            from = at + 1;
        }
    }

    /// Whether anything in the range was not received.
    #[must_use]
    pub fn has_gap_in(&self, range: &Range<usize>) -> bool {
        self.gaps.iter().any(|gap| gap.at < range.end && range.start < gap.at + gap.samples)
    }

    /// A WAV file: 16-bit mono PCM at 8 kHz behind the 44-octet header.
    #[must_use]
    pub fn to_wav(&self) -> Vec<u8> {
        let data = self.payload.len() as u32 * 2;
        let mut wav = Vec::with_capacity(44 + data as usize);
        wav.extend_from_slice(b"RIFF");
        wav.extend_from_slice(&(36 + data).to_le_bytes());
        wav.extend_from_slice(b"WAVEfmt ");
        wav.extend_from_slice(&16u32.to_le_bytes());
        for field in [1u16, 1] {
            wav.extend_from_slice(&field.to_le_bytes());
        }
        for field in [SAMPLE_RATE, SAMPLE_RATE * 2] {
            wav.extend_from_slice(&field.to_le_bytes());
        }
        for field in [2u16, 16] {
            wav.extend_from_slice(&field.to_le_bytes());
        }
        wav.extend_from_slice(b"data");
        wav.extend_from_slice(&data.to_le_bytes());
        wav.extend(self.payload.iter().flat_map(|&octet| self.codec.decode_sample(octet).to_le_bytes()));
        wav
    }
}

/// The packet that was placed last.
#[derive(Clone, Copy, Debug)]
struct Placed {
    ssrc: u32,
    timestamp: u32,
    offset: i64,
    arrived: Now,
}

/// A capture while it grows.
#[derive(Debug)]
pub(crate) struct Taker {
    capture: Capture,
    last: Option<Placed>,
    decoder: Option<Decoder>,
}

/// Samples of the longest packet, 120 ms at 8 kHz and what one Ethernet frame of G.711 holds.
const MAX_SAMPLES: usize = 1_500;

impl Taker {
    pub(crate) fn new(codec: Codec) -> Self {
        let codec = codec.law();
        let capture = Capture { codec, first_timestamp: 0, payload: Vec::new(), gaps: Vec::new(), truncated: false };
        Self { capture, last: None, decoder: None }
    }

    /// Takes one packet of the stream's. The take stays in the law it began with; what is no G.711 is decoded for it.
    pub(crate) fn take(&mut self, codec: Codec, ssrc: u32, timestamp: u32, payload: &[u8], now: Now) {
        let kept = self.capture.codec;
        if codec == kept {
            return self.push(ssrc, timestamp, payload, now);
        }
        let decoder = match &mut self.decoder {
            Some(decoder) if decoder.codec() == codec => decoder,
            other => other.insert(Decoder::new(codec, SAMPLE_RATE)),
        };
        let (mut samples, mut octets) = ([0; MAX_SAMPLES], [0; MAX_SAMPLES]);
        let length = decoder.decode(payload, &mut samples);
        kept.encode(samples.get(..length).unwrap_or_default(), &mut octets);
        let timestamp = (u64::from(timestamp) / (codec.per_ms() / 8)) as u32;
        self.push(ssrc, timestamp, octets.get(..length).unwrap_or_default(), now);
    }

    pub(crate) fn finish(self) -> Capture {
        self.capture
    }

    /// Places one packet's payload: behind the end, after a gap, or into one.
    pub(crate) fn push(&mut self, ssrc: u32, timestamp: u32, payload: &[u8], now: Now) {
        if payload.is_empty() || self.capture.truncated {
            return;
        }
        let offset = self.offset(ssrc, timestamp, now);
        // Earlier than the first packet: there is no place for it, and RTP cannot say what else is missing there.
        let Ok(at) = usize::try_from(offset) else { return };
        if at + payload.len() > MAX_CAPTURE || self.capture.gaps.len() >= MAX_GAPS {
            self.capture.truncated = true;
            return;
        }
        self.place(at, payload);
        if self.last.is_none_or(|last| last.ssrc != ssrc || offset >= last.offset) {
            self.last = Some(Placed { ssrc, timestamp, offset, arrived: now });
        }
    }

    fn offset(&mut self, ssrc: u32, timestamp: u32, now: Now) -> i64 {
        let Some(last) = self.last else {
            self.capture.first_timestamp = timestamp;
            return 0;
        };
        let leap = i64::from(timestamp.wrapping_sub(last.timestamp) as i32);
        if ssrc == last.ssrc && leap.abs() <= MAX_LEAP {
            return last.offset + leap;
        }
        let elapsed = now.since(last.arrived).as_micros() as i64 * i64::from(SAMPLE_RATE) / 1_000_000;
        (last.offset + elapsed).max(self.capture.payload.len() as i64)
    }

    fn place(&mut self, at: usize, payload: &[u8]) {
        let end = self.capture.payload.len();
        if at < end {
            return self.fill(at, payload);
        }
        if at > end {
            self.capture.gaps.push(Gap { at: end, samples: at - end });
            self.capture.payload.resize(at, self.capture.codec.silence());
        }
        self.capture.payload.extend_from_slice(payload);
    }

    /// A late packet fills the gap it belongs to; where nothing is missing it is a duplicate and changes nothing.
    fn fill(&mut self, at: usize, payload: &[u8]) {
        let end = at + payload.len();
        let holds = |gap: &Gap| gap.at <= at && end <= gap.at + gap.samples;
        let Some(index) = self.capture.gaps.iter().rposition(holds) else { return };
        let Some(target) = self.capture.payload.get_mut(at..end) else { return };
        target.copy_from_slice(payload);
        let gap = self.capture.gaps.remove(index);
        let after = Gap { at: end, samples: gap.at + gap.samples - end };
        let before = Gap { at: gap.at, samples: at - gap.at };
        let rest = [before, after].into_iter().filter(|gap| gap.samples > 0);
        self.capture.gaps.splice(index..index, rest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(packets: &[(u32, u32, &[u8])]) -> Capture {
        let mut taker = Taker::new(Codec::Pcmu);
        for (index, (ssrc, timestamp, payload)) in packets.iter().enumerate() {
            taker.push(*ssrc, *timestamp, payload, Now::new(base::millis(index as u64), 0));
        }
        taker.finish()
    }

    #[test]
    fn a_lost_packet_leaves_a_gap_and_a_late_one_fills_it() {
        let lost = taken(&[(1, 100, &[1, 2]), (1, 104, &[5, 6])]);
        assert_eq!(
            (lost.payload.as_slice(), lost.gaps.as_slice()),
            (&[1, 2, 255, 255, 5, 6][..], &[Gap { at: 2, samples: 2 }][..])
        );
        assert_eq!((lost.find(&[5, 6]), lost.find(&[2, 255])), (Some(4), None));
        let late = taken(&[(1, 100, &[1, 2]), (1, 104, &[5, 6]), (1, 102, &[3, 4]), (1, 106, &[7])]);
        assert_eq!((late.payload.as_slice(), late.gaps.len()), (&[1, 2, 3, 4, 5, 6, 7][..], 0));
    }

    #[test]
    fn a_duplicate_changes_nothing() {
        assert_eq!(taken(&[(1, 0, &[1]), (1, 0, &[9]), (1, 1, &[2])]).payload, [1, 2]);
    }

    #[test]
    fn a_timestamp_wraps_without_a_gap() {
        let wrapped = taken(&[(1, u32::MAX - 1, &[1, 2]), (1, 0, &[3])]);
        assert_eq!((wrapped.first_timestamp, wrapped.payload.as_slice()), (u32::MAX - 1, &[1, 2, 3][..]));
    }

    #[test]
    fn a_new_timeline_is_placed_by_its_arrival() {
        // 1 ms passes between packets: 8 samples, of which the old packet filled 2.
        for other in [(2, 7_000_000), (1, 4_000_000_000)] {
            let capture = taken(&[(1, 100, &[1, 2]), (other.0, other.1, &[3])]);
            assert_eq!((capture.payload.len(), capture.gaps.as_slice()), (9, &[Gap { at: 2, samples: 6 }][..]));
        }
    }

    #[test]
    fn the_bound_truncates_and_says_so() {
        let mut taker = Taker::new(Codec::Pcma);
        for second in 0..=600u32 {
            taker.push(1, second * SAMPLE_RATE, &[0; 8000], Now::default());
        }
        let capture = taker.finish();
        assert!(capture.truncated);
        assert_eq!(capture.payload.len(), MAX_CAPTURE);
    }

    #[test]
    fn the_wav_is_read_by_hound() {
        let capture = taken(&[(1, 0, &[0x80, 0x00, 0xFF])]);
        let mut reader = hound::WavReader::new(std::io::Cursor::new(capture.to_wav())).unwrap();
        assert_eq!((reader.spec().sample_rate, reader.spec().channels, reader.spec().bits_per_sample), (8000, 1, 16));
        assert_eq!(reader.samples::<i16>().map(Result::unwrap).collect::<Vec<_>>(), capture.pcm());
    }
}
