//! The journal's directory: which segments there are, whose they are, and what each holds that can be read.

use super::Position;
use super::frame::Entry;
use super::segment::{self, Entries, HEADER, Header, JournalId};
use std::io;
use std::path::Path;

/// Why a journal cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file system refused.
    #[error("journal.dir {dir:?}: {error}")]
    Io {
        /// The directory.
        dir: String,
        /// What it said.
        error: io::Error,
    },
    /// A segment of another journal lies among this one's.
    #[error("journal.dir: {file} belongs to another journal; move it away")]
    Mixed {
        /// Which.
        file: String,
    },
    /// A segment was written by a version of this program that writes another format.
    #[error("journal.dir: {file} has format {format}, this version reads format 1; start the version that wrote it")]
    Format {
        /// Which.
        file: String,
        /// Its format.
        format: u32,
    },
    /// Another process has it open.
    #[error("journal.dir {dir:?} is in use by another process; give each its own")]
    InUse {
        /// The directory.
        dir: String,
    },
}

/// A segment whose bytes do not end with a whole entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where the last whole entry ends.
    pub at: Position,
    /// Octets behind it.
    pub lost: u64,
    /// True for the last segment: a write that the crash cut short, cut off now. False: an earlier segment, which had
    /// been synced whole; the medium is at fault, and the file is left as it is.
    pub torn_tail: bool,
}

/// What was found on disk.
#[derive(Debug, Default)]
pub struct Found {
    /// The journal's id, where a segment says one.
    pub id: Option<JournalId>,
    /// Each segment's number and length up to its last whole entry, in order.
    pub segments: Vec<(u64, u64)>,
    /// What could not be read.
    pub damage: Vec<Damage>,
    /// Entries whose JSON this version does not understand; they are passed over.
    pub unreadable: u64,
    /// Entries read.
    pub entries: u64,
}

impl Found {
    /// Where the last whole entry ends; `None` in an empty directory.
    #[must_use]
    pub fn end(&self) -> Option<Position> {
        self.segments.last().map(|&(segment, offset)| Position { segment, offset })
    }

    /// Octets in all segments.
    #[must_use]
    pub fn octets(&self) -> u64 {
        self.segments.iter().map(|(_, length)| length).sum()
    }
}

/// The numbers of the segments in `dir`, in order.
///
/// # Errors
/// What the file system says.
pub fn numbers(dir: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for file in std::fs::read_dir(dir)? {
        numbers.extend(file?.file_name().to_str().and_then(segment::number));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Reads every segment, one at a time, and hands each entry to `see`.
///
/// # Errors
/// Where the directory cannot be read, or holds what is not this journal's.
pub fn scan(dir: &Path, mut see: impl FnMut(Entry)) -> Result<Found, OpenError> {
    let io = |error| OpenError::Io { dir: dir.display().to_string(), error };
    let numbers = numbers(dir).map_err(io)?;
    let mut found = Found::default();
    for (index, &number) in numbers.iter().enumerate() {
        let path = segment::path(dir, number);
        let bytes = std::fs::read(&path).map_err(io)?;
        let file = || path.display().to_string();
        let last = index + 1 == numbers.len();
        match segment::read_header(&bytes) {
            Header::Right(id) if found.id.is_some_and(|known| known != id) => {
                return Err(OpenError::Mixed { file: file() });
            }
            Header::Right(id) => found.id = Some(id),
            Header::Foreign(format) => return Err(OpenError::Format { file: file(), format }),
            Header::Broken => {
                found.damage.push(Damage {
                    at: Position { segment: number, offset: 0 },
                    lost: bytes.len() as u64,
                    torn_tail: last,
                });
                continue;
            }
        }
        scan_segment(&bytes, number, last, &mut found, &mut see);
    }
    Ok(found)
}

fn scan_segment(bytes: &[u8], number: u64, last: bool, found: &mut Found, see: &mut impl FnMut(Entry)) {
    let from = Position { segment: number, offset: HEADER };
    let mut entries = Entries::new(bytes.get(HEADER as usize..).unwrap_or_default(), from);
    for entry in entries.by_ref() {
        found.entries += 1;
        match entry {
            Ok(entry) => see(entry),
            Err(error) => {
                found.unreadable += 1;
                tracing::error!(segment = number, %error, "the journal holds an entry that this version cannot read; passed over");
            }
        }
    }
    if !entries.all_read() {
        found.damage.push(Damage { at: entries.at, lost: entries.left(), torn_tail: last });
    }
    found.segments.push((number, entries.at.offset));
}
