//! A recording's file as a process that was killed has left it, made true: whole frames, and a header that says how many.

use hound::{SampleFormat, WavReader};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Octets before the samples in the files that the media engine writes: RIFF, `fmt ` and the head of `data`.
const HEADER: u64 = 44;

/// Where the header says how long the RIFF chunk is, and how long the samples are.
const LENGTHS: (u64, u64) = (4, 40);

/// What a recording's file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// How long it is.
    pub duration_ms: u64,
    /// Octets of the file; 0: there is none that holds sound.
    pub octets: u64,
    /// 1 or 2; `None` where there is no file to say so.
    pub channels: Option<u8>,
}

impl Held {
    /// No sound.
    pub const NOTHING: Self = Self { duration_ms: 0, octets: 0, channels: None };
}

/// Makes the file true, and says what it holds. One that is not there, or that ends before its header does, holds
/// nothing.
///
/// # Errors
/// Where it cannot be read or written, or is a WAV of another kind than ours.
pub fn mend(path: &Path) -> io::Result<Held> {
    let file = match File::options().read(true).write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Held::NOTHING),
        file => file?,
    };
    let length = file.metadata()?.len();
    if length < HEADER {
        return Ok(Held::NOTHING);
    }
    let spec = WavReader::new(&file).map_err(io::Error::other)?.spec();
    let pcm = (spec.bits_per_sample, spec.sample_format) == (16, SampleFormat::Int);
    if !pcm || spec.sample_rate == 0 || spec.channels == 0 {
        return Err(io::Error::other("it is no WAV of 16-bit PCM"));
    }
    let frame = u64::from(spec.channels) * 2;
    let samples = (length - HEADER) / frame * frame;
    let octets = HEADER + samples;
    let said = |octets: u64| u32::try_from(octets).unwrap_or(u32::MAX).to_le_bytes();
    file.set_len(octets)?;
    file.write_all_at(&said(octets - 8), LENGTHS.0)?;
    file.write_all_at(&said(samples), LENGTHS.1)?;
    file.sync_all()?;
    let duration_ms = samples / frame * 1_000 / u64::from(spec.sample_rate);
    Ok(Held { duration_ms, octets, channels: u8::try_from(spec.channels).ok() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file of `seconds` of stereo at 8 kHz, as the media engine lays it out.
    fn stereo(path: &Path, seconds: u32) {
        let spec =
            hound::WavSpec { channels: 2, sample_rate: 8_000, bits_per_sample: 16, sample_format: SampleFormat::Int };
        let mut wav = hound::WavWriter::create(path, spec).unwrap();
        (0..seconds * 16_000).for_each(|n| wav.write_sample(n as i16).unwrap());
        wav.finalize().unwrap();
    }

    #[test]
    fn samples_behind_the_header_s_word_are_heard_and_half_a_frame_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        stereo(&path, 1);
        let file = File::options().write(true).open(&path).unwrap();
        // A block came after the header was last made true, and the last frame of it is cut.
        file.write_all_at(&[7; 16_003], 44 + 32_000).unwrap();
        assert_eq!(mend(&path).unwrap(), Held { duration_ms: 1_500, octets: 44 + 48_000, channels: Some(2) });
        assert_eq!(hound::WavReader::open(&path).unwrap().duration(), 12_000);
        assert_eq!(std::fs::read(&path).unwrap().len(), 44 + 48_000);
        assert_eq!(mend(&path).unwrap().duration_ms, 1_500, "mended twice, it is the same");
    }

    #[test]
    fn what_is_not_there_or_has_no_header_holds_nothing_and_another_s_file_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        assert_eq!(mend(&path).unwrap(), Held::NOTHING);
        std::fs::write(&path, b"RIFF").unwrap();
        assert_eq!(mend(&path).unwrap(), Held::NOTHING);
        let notes = [b'x'; 100];
        std::fs::write(&path, notes).unwrap();
        assert!(mend(&path).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), notes);
    }
}
