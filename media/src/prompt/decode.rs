//! A file's bytes become a prompt: any rate and channel count to mono at 8 kHz, and at 16 kHz where there is more. Runs on a worker pool, never on a shard.
//!
//! It must never trust a header: length, rate and channels are bounded by what is actually decoded.

use super::{Prompt, SAMPLE_RATE, WIDE_RATE};
use rubato::{Fft, FixedSync, Resampler, audioadapter_buffers::direct::InterleavedSlice};
use std::{io::Cursor, ops::ControlFlow};
use symphonia::core::{
    audio::GenericAudioBufferRef,
    codecs::audio::{AudioDecoder, AudioDecoderOptions},
    errors::Error,
    formats::{FormatOptions, FormatReader, TrackType, probe::Hint},
    io::MediaSourceStream,
    meta::MetadataOptions,
};

/// The longest prompt, in seconds. A longer file is refused, not cut.
pub const MAX_PROMPT_SECONDS: u64 = 600;

/// Frames decoded from one file at most: [`MAX_PROMPT_SECONDS`] at 48 kHz, 115 MB while it is resampled. A file of a
/// higher rate must be as much shorter.
const MAX_FRAMES: usize = MAX_PROMPT_SECONDS as usize * 48_000;

/// Input frames the resampler works on at a time.
const RESAMPLE_CHUNK: usize = 1024;

/// Why bytes are no prompt.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// Nothing in here that we read.
    #[error("prompt `{name}` is no WAV, MP3, FLAC or OGG Vorbis that can be read: {reason}")]
    Unsupported {
        /// The prompt.
        name: String,
        /// What the decoder said.
        reason: String,
    },
    /// It began well and went wrong.
    #[error("prompt `{name}` is damaged: {reason}")]
    Damaged {
        /// The prompt.
        name: String,
        /// What the decoder said.
        reason: String,
    },
    /// No audio in it.
    #[error("prompt `{name}` holds no audio")]
    Empty {
        /// The prompt.
        name: String,
    },
    /// Longer than [`MAX_PROMPT_SECONDS`].
    #[error("prompt `{name}` is longer than {MAX_PROMPT_SECONDS} seconds; split it")]
    TooLong {
        /// The prompt.
        name: String,
    },
}

/// Decodes WAV, MP3, FLAC or OGG Vorbis of any rate and channel count. `extension` (`"mp3"`) is a hint for the probe and
/// may be empty. Audio that is 8 kHz mono 16-bit already passes through bit for bit. What has 16 kHz and more is kept at 16 kHz too, for G.722 and Opus;
/// [`Prompt::rendered`] makes their payloads.
///
/// # Errors
/// [`PromptError`], naming the prompt and what is wrong with it.
pub fn decode(name: &str, bytes: &[u8], extension: &str) -> Result<Prompt, PromptError> {
    let unsupported =
        |reason: &dyn ToString| PromptError::Unsupported { name: name.into(), reason: reason.to_string() };
    let source = MediaSourceStream::new(Box::new(Cursor::new(bytes.to_vec())), Default::default());
    let mut hint = Hint::new();
    if !extension.is_empty() {
        hint.with_extension(extension);
    }
    let mut format = symphonia::default::get_probe()
        .probe(&hint, source, FormatOptions::default(), MetadataOptions::default())
        .map_err(|error| unsupported(&error))?;
    let track = format.default_track(TrackType::Audio).ok_or_else(|| unsupported(&"it has no audio track"))?;
    let id = track.id;
    let parameters = track.codec_params.as_ref().and_then(|codec| codec.audio());
    let parameters = parameters.ok_or_else(|| unsupported(&"its codec is not known"))?;
    let mut decoder = symphonia::default::get_codecs()
        .make_audio_decoder(parameters, &AudioDecoderOptions::default())
        .map_err(|error| unsupported(&error))?;
    let audio = Mono::read(name, format.as_mut(), decoder.as_mut(), id)?;
    let wide = if audio.rate >= WIDE_RATE { Some(audio.resampled(name, WIDE_RATE)?) } else { None };
    let prompt = Prompt::new(name, audio.resampled(name, SAMPLE_RATE)?);
    Ok(match wide {
        Some(wide) => prompt.with_wide(wide),
        None => prompt,
    })
}

/// Decoded audio mixed down, at the file's own rate.
struct Mono {
    samples: Vec<f32>,
    rate: u32,
}

impl Mono {
    fn read(
        name: &str,
        format: &mut dyn FormatReader,
        decoder: &mut dyn AudioDecoder,
        track: u32,
    ) -> Result<Self, PromptError> {
        let mut mono = Self { samples: Vec::new(), rate: 0 };
        let mut interleaved = Vec::new();
        let (mut good, mut damaged) = (0u64, 0u64);
        loop {
            let packet = match format.next_packet() {
                Ok(Some(packet)) if packet.track_id == track => packet,
                Ok(Some(_)) => continue,
                Ok(None) | Err(Error::ResetRequired) => break,
                // A file cut off in mid-packet plays up to there.
                Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => break,
                Err(error) => return Err(PromptError::Damaged { name: name.into(), reason: error.to_string() }),
            };
            match decoder.decode(&packet) {
                Ok(buffer) => {
                    good += 1;
                    if mono.mix(&buffer, &mut interleaved).is_break() {
                        return Err(PromptError::TooLong { name: name.into() });
                    }
                }
                // An MP3's first frames may lean on a bit reservoir that was cut off: skipped, unless there are many.
                Err(Error::DecodeError(_)) => damaged += 1,
                Err(error) => return Err(PromptError::Damaged { name: name.into(), reason: error.to_string() }),
            }
        }
        if damaged > good {
            let reason = format!("{damaged} of {} frames cannot be decoded", damaged + good);
            return Err(PromptError::Damaged { name: name.into(), reason });
        }
        if mono.samples.is_empty() { Err(PromptError::Empty { name: name.into() }) } else { Ok(mono) }
    }

    /// Appends the mean of the channels. Breaks where the bound is reached.
    fn mix(&mut self, buffer: &GenericAudioBufferRef<'_>, interleaved: &mut Vec<f32>) -> ControlFlow<()> {
        let channels = buffer.num_planes();
        // A chained stream that changes its rate would play at the wrong speed: only the first part is the prompt.
        if channels == 0 || (self.rate != 0 && self.rate != buffer.spec().rate()) {
            return ControlFlow::Continue(());
        }
        self.rate = buffer.spec().rate();
        buffer.copy_to_vec_interleaved(interleaved);
        let mean = |frame: &[f32]| frame.iter().sum::<f32>() / channels as f32;
        self.samples.extend(interleaved.chunks_exact(channels).map(mean));
        let seconds = self.samples.len() as u64 / u64::from(self.rate.max(1));
        if self.samples.len() > MAX_FRAMES || seconds >= MAX_PROMPT_SECONDS {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn resampled(&self, name: &str, rate: u32) -> Result<Vec<i16>, PromptError> {
        if self.rate == rate {
            return Ok(self.samples.iter().copied().map(to_i16).collect());
        }
        let damaged = |reason: &dyn ToString| PromptError::Damaged { name: name.into(), reason: reason.to_string() };
        let (from, to) = (self.rate as usize, rate as usize);
        let mut resampler =
            Fft::<f32>::new(from, to, RESAMPLE_CHUNK, 1, FixedSync::Both).map_err(|error| damaged(&error))?;
        let frames = self.samples.len();
        let input = InterleavedSlice::new(&self.samples, 1, frames).map_err(|error| damaged(&error))?;
        let output = resampler.process_all(&input, frames, None).map_err(|error| damaged(&error))?;
        Ok(output.take_data().into_iter().map(to_i16).collect())
    }
}

/// Full scale is 32,768 both ways, as the decoders have it: what was 16-bit comes back the same.
fn to_i16(sample: f32) -> i16 {
    (sample * 32_768.0).round() as i16
}
