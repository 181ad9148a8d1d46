//! Recording: what a leg hears and sends, or a room, as blocks of samples on one clock, for the rim to write.
//!
//! A tape is told ten milliseconds at a time. Both directions of a leg come through a buffer of a fixed delay, which
//! follows their clocks' skew to the sample: so two channels stay in step for hours, and what never arrived is filled.
//! Nothing here opens a file, and nothing waits: a rim that cannot keep up costs the recording, never the call.

mod leg;
mod pool;
mod tape;

pub(crate) use leg::LegRecorder;
pub(crate) use pool::Records;
pub use pool::{BLOCK_SAMPLES, Block, MAX_BLOCKS, RecordOutput};
pub(crate) use tape::Tape;

use serde::{Deserialize, Serialize};
use std::{path::Path, sync::Arc};

/// A recording's name, chosen by the caller, unique for the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordId(pub u64);

/// Recordings that may run on one leg, or of one room, at a time. One more is answered by `Event::Failed`.
pub const MAX_RECORDINGS: usize = 4;

/// The longest recording, in milliseconds: four hours. A longer `max_ms` means this.
pub const MAX_RECORD_MS: u64 = 4 * 3_600_000;

/// What is on the tape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordSource {
    /// What the far end says. One channel.
    Received,
    /// What the far end says and what it hears, mixed. One channel.
    Mixed,
    /// What the far end says on the first channel, what it hears on the second: in a bridge, both parties.
    Dual,
    /// The room that the endpoint is in, everybody mixed. One channel. It goes on when the endpoint has left, until the
    /// room is empty.
    Room,
}

/// How a recording is made and when it ends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordOptions {
    /// Where the rim writes the WAV file. The engine never looks at it.
    pub file: Arc<Path>,
    /// What is recorded.
    pub source: RecordSource,
    /// Samples a second: 8,000, 16,000 or 48,000.
    pub rate: u32,
    /// The far end hears a beep first, in place of what played; the recording begins behind it.
    pub beep: bool,
    /// Ends when it has so many milliseconds.
    pub max_ms: Option<u64>,
    /// Ends when the far end was silent for so many milliseconds.
    pub silence_ms: Option<u32>,
    /// That silence is not in the file.
    pub trim: bool,
    /// Keys that end it, such as `#*`.
    pub finish: String,
}

impl RecordOptions {
    /// One mono channel of what the far end says at 8 kHz, until it is stopped.
    #[must_use]
    pub fn new(file: impl Into<Arc<Path>>) -> Self {
        Self {
            file: file.into(),
            source: RecordSource::Received,
            rate: 8_000,
            beep: false,
            max_ms: None,
            silence_ms: None,
            trim: false,
            finish: String::new(),
        }
    }

    /// How many channels the file has.
    #[must_use]
    pub fn channels(&self) -> u16 {
        if self.source == RecordSource::Dual { 2 } else { 1 }
    }
}

/// Why a recording is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordEnd {
    /// By command.
    Stopped,
    /// The endpoint is gone, or the room is empty.
    Closed,
    /// It has its `max_ms`.
    MaxLength,
    /// The far end was silent for `silence_ms`.
    Silence,
    /// The far end pressed this key of `finish`.
    Key(char),
    /// The file could not be written: why.
    Disk(String),
    /// The rim could not keep up: every block ([`MAX_BLOCKS`]) was waiting to be written.
    Slow,
}
