//! How full the journal is and how well its disk is: what admissions are refused by.
//!
//! Admissions stop while there is still room for the facts of the calls that live. Those facts are written as long as
//! the disk takes them: a call that was admitted is never without its end for want of `max_mb`.

use crate::Refused;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// The share of `max_mb` that is kept for facts of calls that live: one part in this many. When only that is left,
/// admissions are refused with `journal_full`.
pub const RESERVED_PART: u64 = 8;

/// The most that is kept free on the file system for facts, in octets. When less is free, admissions are refused with
/// `journal_full`.
pub const MAX_RESERVE: u64 = 64 << 20;

/// The least and the greatest length of a segment, in octets; between them it is a sixteenth of `max_mb`. A segment that
/// has reached its length is closed and the next is begun.
pub const SEGMENT_LENGTH: (u64, u64) = (64 << 10, 16 << 20);

/// The state of the journal's disk, shared by the writer, the projector and whoever admits.
#[derive(Debug)]
pub struct Space {
    dir: PathBuf,
    max: u64,
    used: AtomicU64,
    commits: AtomicU64,
    low: AtomicBool,
    failing: AtomicBool,
}

impl Space {
    /// The state of a journal in `dir` that may hold `max` octets.
    #[must_use]
    pub fn new(dir: &Path, max: u64, used: u64) -> Self {
        let space = Self {
            dir: dir.to_owned(),
            max,
            used: AtomicU64::new(used),
            commits: AtomicU64::new(0),
            low: AtomicBool::new(false),
            failing: AtomicBool::new(false),
        };
        space.look();
        space
    }

    /// The length at which a segment is closed, in octets.
    #[must_use]
    pub fn segment_length(&self) -> u64 {
        (self.max / 16).clamp(SEGMENT_LENGTH.0, SEGMENT_LENGTH.1)
    }

    /// Octets in all segments.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Octets the journal may hold.
    #[must_use]
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Whether a call may be admitted.
    ///
    /// # Errors
    /// What stands against it.
    pub fn admits(&self) -> Result<(), Refused> {
        if self.failing.load(Ordering::Relaxed) {
            return Err(Refused::JournalFailing);
        }
        if self.low.load(Ordering::Relaxed) || self.used() >= self.max - self.max / RESERVED_PART {
            return Err(Refused::JournalFull);
        }
        Ok(())
    }

    /// Takes note of octets written.
    pub fn grew(&self, octets: u64) {
        self.used.fetch_add(octets, Ordering::Relaxed);
    }

    /// Takes note of a write that was synced.
    pub fn committed(&self) {
        self.commits.fetch_add(1, Ordering::Relaxed);
        self.failing.store(false, Ordering::Relaxed);
    }

    /// Writes synced since the start: fewer than entries, where group commit serves.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.commits.load(Ordering::Relaxed)
    }

    /// Takes note of a segment deleted.
    pub fn freed(&self, octets: u64) {
        let _ = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| Some(used.saturating_sub(octets)));
    }

    /// Takes note of a write that failed; true the first time in a row.
    pub fn failed(&self) -> bool {
        !self.failing.swap(true, Ordering::Relaxed)
    }

    /// Asks the file system how much is free; true where the answer is another than before.
    pub fn look(&self) -> bool {
        let low = match rustix::fs::statvfs(&self.dir) {
            Ok(fs) => fs.f_bavail.saturating_mul(fs.f_frsize) < (self.max / RESERVED_PART).min(MAX_RESERVE),
            Err(_) => false,
        };
        self.low.swap(low, Ordering::Relaxed) != low
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_admissions_while_an_eighth_is_left_and_takes_them_again_when_a_segment_goes() {
        let dir = tempfile::tempdir().unwrap();
        let space = Space::new(dir.path(), 8_000, 6_999);
        assert_eq!(space.admits(), Ok(()));
        space.grew(1);
        assert_eq!(space.admits(), Err(Refused::JournalFull));
        space.freed(2_000);
        assert_eq!(space.admits(), Ok(()));
    }

    #[test]
    fn a_failed_write_refuses_until_one_succeeds() {
        let dir = tempfile::tempdir().unwrap();
        let space = Space::new(dir.path(), 8_000, 0);
        assert!(space.failed() && !space.failed());
        assert_eq!(space.admits(), Err(Refused::JournalFailing));
        space.committed();
        assert_eq!(space.admits(), Ok(()));
    }
}
