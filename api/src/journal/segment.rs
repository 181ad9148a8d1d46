//! One file of the journal: a header, then frames.
//!
//! Header, 40 octets: magic, format version, the journal's id, the segment's number, CRC32 of these. A file is written
//! by one owner at its end only, and is never changed before the offset that was last synced.

use super::Position;
use super::frame::{Decoded, Entry, HEAD, Unreadable, decode};
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Octets of a segment's header.
pub const HEADER: u64 = 40;

const MAGIC: [u8; 8] = *b"tandemJ\n";
const FORMAT: u32 = 1;

/// Which journal a segment belongs to: 128 random bits drawn when the first segment was made. The database keeps its
/// position by this id, so that a journal put in another's place is never taken for projected.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct JournalId(pub [u8; 16]);

impl fmt::Display for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
    }
}

impl fmt::Debug for JournalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Where segment `number` lies.
#[must_use]
pub fn path(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("{number:012}.journal"))
}

/// The number in a segment's file name; `None` for a file that is no segment.
#[must_use]
pub fn number(name: &str) -> Option<u64> {
    let digits = name.strip_suffix(".journal")?;
    (digits.len() == 12).then(|| digits.parse().ok()).flatten()
}

fn header(id: JournalId, number: u64) -> [u8; HEADER as usize] {
    let mut out = [0; HEADER as usize];
    out[..8].copy_from_slice(&MAGIC);
    out[8..12].copy_from_slice(&FORMAT.to_le_bytes());
    out[12..28].copy_from_slice(&id.0);
    out[28..36].copy_from_slice(&number.to_le_bytes());
    let crc = crc32fast::hash(&out[..36]);
    out[36..].copy_from_slice(&crc.to_le_bytes());
    out
}

/// What a segment's header says.
#[derive(Debug, PartialEq, Eq)]
pub enum Header {
    /// A segment of this journal.
    Right(JournalId),
    /// Cut short or damaged: the process died while the file was being made.
    Broken,
    /// Whole, and of a format that this version does not read.
    Foreign(u32),
}

/// Reads a header out of a segment's first bytes.
#[must_use]
pub fn read_header(bytes: &[u8]) -> Header {
    let Some(head) = bytes.first_chunk::<{ HEADER as usize }>() else { return Header::Broken };
    let (body, crc) = head.split_at(36);
    if body[..8] != MAGIC || crc != crc32fast::hash(body).to_le_bytes() {
        return Header::Broken;
    }
    let mut format = [0; 4];
    format.copy_from_slice(&body[8..12]);
    let mut id = [0; 16];
    id.copy_from_slice(&body[12..28]);
    match u32::from_le_bytes(format) {
        FORMAT => Header::Right(JournalId(id)),
        other => Header::Foreign(other),
    }
}

/// The entries of a run of bytes, with the position after each.
#[derive(Debug)]
pub struct Entries<'a> {
    bytes: &'a [u8],
    /// Where the next frame begins.
    pub at: Position,
}

impl<'a> Entries<'a> {
    /// Reads the frames of `bytes`, the first of which lies at `at`.
    #[must_use]
    pub fn new(bytes: &'a [u8], at: Position) -> Self {
        Self { bytes, at }
    }

    /// True where every byte belonged to a whole frame. Asked when the iterator has come to its end.
    #[must_use]
    pub fn all_read(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Octets that belong to no whole frame. Asked when the iterator has come to its end.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl<'a> Entries<'a> {
    /// The next entry and its payload.
    pub fn next_with_payload(&mut self) -> Option<(Result<Entry, Unreadable>, &'a [u8])> {
        let Decoded::Whole(entry, used) = decode(self.bytes) else { return None };
        let (frame, rest) = self.bytes.split_at(used);
        self.bytes = rest;
        self.at.offset += used as u64;
        Some((entry, &frame[HEAD..]))
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Unreadable>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_with_payload().map(|(entry, _)| entry)
    }
}

/// Reads `path` from `offset`, at most `length` octets.
///
/// # Errors
/// What the file system says.
pub fn read(path: &Path, offset: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The segment that is written to.
#[derive(Debug)]
pub struct Segment {
    file: File,
    path: PathBuf,
    /// The end of what has been synced.
    end: Position,
    /// The end of what has been written.
    written: Position,
}

impl Segment {
    /// Makes segment `number`, in place of a file of that name which never held a synced entry.
    ///
    /// # Errors
    /// What the file system says; no file is left then, as far as it can be removed.
    pub fn create(dir: &Path, id: JournalId, number: u64) -> io::Result<Self> {
        let path = path(dir, number);
        let made = OpenOptions::new().write(true).create(true).truncate(true).open(&path).and_then(|file| {
            file.write_all_at(&header(id, number), 0)?;
            file.sync_all()?;
            File::open(dir)?.sync_all()?;
            Ok(file)
        });
        match made {
            Ok(file) => {
                let end = Position { segment: number, offset: HEADER };
                Ok(Self { file, path, end, written: end })
            }
            Err(error) => {
                let _ = std::fs::remove_file(&path);
                Err(error)
            }
        }
    }

    /// Opens the last segment to go on at `end`; what lies behind is cut off.
    ///
    /// # Errors
    /// What the file system says.
    pub fn resume(dir: &Path, end: Position) -> io::Result<Self> {
        let path = path(dir, end.segment);
        let file = OpenOptions::new().write(true).open(&path)?;
        file.set_len(end.offset)?;
        file.sync_all()?;
        Ok(Self { file, path, end, written: end })
    }

    /// The end of what has been synced.
    #[must_use]
    pub fn end(&self) -> Position {
        self.end
    }

    /// The end of what has been written, synced or not.
    #[must_use]
    pub fn written(&self) -> Position {
        self.written
    }

    /// Hands `bytes` to the operating system: they outlive this process from now on, and the machine after
    /// [`Segment::sync`].
    ///
    /// # Errors
    /// What the file system says. What was not synced is cut off again as far as that is possible, and the caller must
    /// write all of it to another segment: after a failure nobody knows what this file holds.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.file.write_all_at(bytes, self.written.offset) {
            Ok(()) => {
                self.written.offset += bytes.len() as u64;
                Ok(())
            }
            Err(error) => Err(self.cut(error)),
        }
    }

    /// Returns when all that was written is on disk.
    ///
    /// # Errors
    /// As [`Segment::write`].
    pub fn sync(&mut self) -> io::Result<()> {
        match self.file.sync_data() {
            Ok(()) => {
                self.end = self.written;
                Ok(())
            }
            Err(error) => Err(self.cut(error)),
        }
    }

    fn cut(&mut self, error: io::Error) -> io::Error {
        let cut = self.file.set_len(self.end.offset).and_then(|()| self.file.sync_data());
        if let Err(cut) = cut {
            tracing::warn!(file = %self.path.display(), error = %cut, "what failed to be written could not be cut off");
        }
        error
    }
}
