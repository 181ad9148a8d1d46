//! Encoders and decoders as values: samples of one of 8, 16 or 48 kHz on one side, payloads on the other.
//!
//! G.722 and Opus remember what came before, so that one value is one stream. Where a codec does not sample at the rate
//! that is wanted, its own resampler stands between; Opus takes and gives every rate itself (RFC 6716 §2.1.3). After
//! they are made they do not allocate.

use super::{Codec, opus};
use crate::resample::Resampler;
use audio_codec::Encoder as _;
use audio_codec::g722::{G722Decoder, G722Encoder};
use opus_rs::{Application, OpusDecoder, OpusEncoder};
use std::fmt;

/// Bits a second of our Opus stream: speech at 16 kHz and above without audible loss.
const OPUS_BITRATE: i32 = 32_000;

/// Loss that in-band FEC is made for, in percent (RFC 6716 §2.1.7).
const OPUS_EXPECTED_LOSS: i32 = 10;

/// How hard Opus works, of 10: beyond it, telephony gains nothing one can hear.
const OPUS_COMPLEXITY: i32 = 5;

/// Samples of the longest packet: 120 ms of Opus at 48 kHz.
pub(crate) const MAX_SAMPLES: usize = 5_760;

/// Makes payloads of samples.
pub struct Encoder {
    codec: Codec,
    rate: u32,
    coder: EncoderKind,
    /// Samples of the packets so far.
    length: usize,
    resampler: Option<Resampler>,
    resampled: Box<[i16]>,
}

enum EncoderKind {
    G711,
    G722(Box<G722Encoder>),
    Opus(Box<OpusEncoder>),
}

/// Makes samples of payloads.
pub struct Decoder {
    codec: Codec,
    rate: u32,
    coder: DecoderKind,
    resampler: Option<Resampler>,
    decoded: Box<[i16]>,
}

enum DecoderKind {
    G711,
    G722(Box<G722Decoder>),
    Opus(Box<OpusDecoder>, Box<[f32]>),
}

/// What is not one of the three rates is taken for the nearest below it.
fn rate_of(rate: u32) -> u32 {
    match rate {
        48_000.. => 48_000,
        16_000..48_000 => 16_000,
        _ => 8_000,
    }
}

impl Encoder {
    /// An encoder of samples at `rate`: 8,000, 16,000 or 48,000 a second.
    #[must_use]
    pub fn new(codec: Codec, rate: u32) -> Self {
        let rate = rate_of(rate);
        let (coder, own) = match codec {
            Codec::Pcmu | Codec::Pcma => (EncoderKind::G711, 8_000),
            Codec::G722 => (EncoderKind::G722(Box::new(G722Encoder::new())), 16_000),
            Codec::Opus => (opus_encoder(rate), rate),
        };
        let resampler = Resampler::new(rate, own);
        let room = if resampler.is_some() { MAX_SAMPLES / 2 } else { 0 };
        Self { codec, rate, coder, length: 0, resampler, resampled: vec![0; room].into() }
    }

    /// The codec of its payloads.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Samples a second that it takes.
    #[must_use]
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Encodes one packet's samples ([`Codec::has_ptime`]); returns the octets written, 0 where that cannot be done.
    pub fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        let Self { codec, rate, coder, length: before, resampler, resampled } = self;
        // opus-rs cannot change its packets' length in mid-stream: another length begins anew.
        if std::mem::replace(before, samples.len()) != samples.len() && *before > 0 && *codec == Codec::Opus {
            *coder = opus_encoder(*rate);
        }
        let samples = match resampler {
            Some(resampler) => {
                let length = resampler.process(samples, resampled);
                resampled.get(..length).unwrap_or_default()
            }
            None => samples,
        };
        match coder {
            EncoderKind::G711 => codec.encode(samples, payload),
            EncoderKind::G722(coder) => coder.encode_into(samples, payload).unwrap_or(0),
            EncoderKind::Opus(coder) => {
                if !codec.has_ptime((samples.len() * 1_000 / *rate as usize) as u16) {
                    return 0;
                }
                let room = payload.len().min(opus::MAX_PACKET);
                let payload = payload.get_mut(..room).unwrap_or_default();
                coder.encode_i16(samples, samples.len(), payload).unwrap_or(0)
            }
        }
    }
}

/// The rates that [`rate_of`] gives are Opus's own, so that it is always made.
fn opus_encoder(rate: u32) -> EncoderKind {
    match OpusEncoder::new(rate as i32, 1, Application::Voip) {
        Ok(mut coder) => {
            coder.bitrate_bps = OPUS_BITRATE;
            coder.complexity = OPUS_COMPLEXITY;
            coder.use_inband_fec = true;
            coder.packet_loss_perc = OPUS_EXPECTED_LOSS;
            EncoderKind::Opus(Box::new(coder))
        }
        Err(_) => EncoderKind::G711,
    }
}

impl Decoder {
    /// A decoder that gives samples at `rate`: 8,000, 16,000 or 48,000 a second.
    #[must_use]
    pub fn new(codec: Codec, rate: u32) -> Self {
        let rate = rate_of(rate);
        let (coder, own) = match codec {
            Codec::Pcmu | Codec::Pcma => (DecoderKind::G711, 8_000),
            Codec::G722 => (DecoderKind::G722(Box::new(G722Decoder::new())), 16_000),
            Codec::Opus => (opus_decoder(rate), rate),
        };
        let resampler = Resampler::new(own, rate);
        let room = if resampler.is_some() { MAX_SAMPLES / 2 } else { 0 };
        Self { codec, rate, coder, resampler, decoded: vec![0; room].into() }
    }

    /// The codec of the payloads.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.codec
    }

    /// Samples a second that it gives.
    #[must_use]
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Decodes one payload; returns the samples written, 0 where it is none of this codec's or does not fit.
    pub fn decode(&mut self, payload: &[u8], samples: &mut [i16]) -> usize {
        let Self { codec, rate, coder, resampler, decoded } = self;
        if let DecoderKind::Opus(coder, floats) = coder {
            return decode_opus(coder, floats, *rate, payload, samples);
        }
        let raw: &mut [i16] = if resampler.is_some() { decoded } else { samples };
        let length = match coder {
            DecoderKind::G722(coder) => coder.decode_frame_into(payload, raw).unwrap_or(0),
            DecoderKind::G711 | DecoderKind::Opus(..) => codec.decode(payload, raw),
        };
        match resampler {
            Some(resampler) => resampler.process(decoded.get(..length).unwrap_or_default(), samples),
            None => length,
        }
    }

    /// Whether it conceals by itself: Opus does (RFC 6716 §4.4).
    pub(crate) fn conceals(&self) -> bool {
        matches!(self.coder, DecoderKind::Opus(..))
    }

    /// Fills `samples` for a packet that was lost, out of `next`, the one behind it, where that has come and carries it
    /// (in-band FEC, RFC 6716 §2.1.7), else as the codec goes on by itself. Returns the samples written, 0 for a codec
    /// that cannot.
    pub(crate) fn conceal(&mut self, next: Option<&[u8]>, samples: &mut [i16]) -> usize {
        let DecoderKind::Opus(coder, floats) = &mut self.coder else { return 0 };
        let length = samples.len().min(floats.len());
        let floats = floats.get_mut(..length).unwrap_or_default();
        let done = match next {
            Some(next) => coder.decode_fec(next, length, floats),
            None => coder.decode(&[], length, floats),
        };
        if done.is_err() {
            return 0;
        }
        to_i16(floats, samples)
    }
}

fn opus_decoder(rate: u32) -> DecoderKind {
    match OpusDecoder::new(rate as i32, 1) {
        Ok(coder) => DecoderKind::Opus(Box::new(coder), vec![0.0; MAX_SAMPLES].into()),
        Err(_) => DecoderKind::G711,
    }
}

fn decode_opus(coder: &mut OpusDecoder, floats: &mut [f32], rate: u32, payload: &[u8], samples: &mut [i16]) -> usize {
    let Some(ticks) = opus::ticks(payload) else { return 0 };
    let length = (ticks * u64::from(rate) / 48_000) as usize;
    let Some(floats) = floats.get_mut(..length).filter(|_| length <= samples.len()) else { return 0 };
    match coder.decode(payload, length, floats) {
        Ok(length) => to_i16(floats.get(..length).unwrap_or_default(), samples),
        Err(_) => 0,
    }
}

fn to_i16(floats: &[f32], samples: &mut [i16]) -> usize {
    // As `round` does it, which is a call for each sample.
    let round = |from: f32| (from + 0.5f32.copysign(from)) as i16;
    samples.iter_mut().zip(floats).map(|(to, &from)| *to = round(from * 32_768.0)).count()
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Encoder({:?} at {})", self.codec, self.rate)
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Decoder({:?} at {})", self.codec, self.rate)
    }
}
