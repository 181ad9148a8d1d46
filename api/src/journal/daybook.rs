//! The daybook: what signalling has admitted, noted at once, until the journal's writer has it.
//!
//! Signalling never waits, and what it appends is written when the writer comes to it: some milliseconds later, in which a
//! call that came in has been answered already. A process that is killed in between has told somebody of a call that is in
//! no book. So the admission of each call that comes in is put here first, into a file of a fixed size, by one write that
//! the operating system keeps in memory; it is never synced. (A call that the API asks for is told of when it is on disk,
//! and a leg is part of a call.) What stands here outlives the process, and a start takes up what the journal lacks. Of a
//! machine that loses its power nothing is kept that is not synced, here as there.
//!
//! A file of slots, each for the admission whose number falls on it: number, then a frame as in a segment. The first slot
//! says up to which number the journal has them.

use super::frame::{Decoded, Entry, decode, encode};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use switch::{Fact, Record};

/// Octets of a slot. An admission that does not fit is noted without its program and its metadata; one that does not fit
/// even so (a caller's name of kilobytes) is not noted.
pub const SLOT: usize = 2 << 10;

/// The least and the greatest number of slots; between them they are a sixteenth of the journal. With every slot full of
/// what is not written yet, a further admission is not noted: it is in the journal as soon as the writer comes to it.
pub const SLOTS: (u64, u64) = (32, 4_096);

const NUMBER: usize = 8;
const NAME: &str = "daybook";

/// The file.
#[derive(Debug)]
pub struct Daybook {
    file: File,
    slots: u64,
    /// The number of the last admission.
    last: AtomicU64,
    /// Up to which number the journal has them.
    written: AtomicU64,
}

impl Daybook {
    /// Opens the daybook in `dir`, or begins one, for a journal of at most `max_octets`. With it the admissions in it that
    /// may not be in the journal, each with its number, in order.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(dir: &Path, max_octets: u64) -> io::Result<(Self, Vec<(u64, Record)>)> {
        let path = dir.join(NAME);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
        let found = std::fs::read(&path)?;
        let written = number(&found).unwrap_or(0);
        let mut noted: Vec<_> = found.chunks_exact(SLOT).skip(1).filter_map(read).collect();
        noted.retain(|(number, _)| *number > written);
        noted.sort_unstable_by_key(|(number, _)| *number);
        let slots = (max_octets / 16 / SLOT as u64).clamp(SLOTS.0, SLOTS.1);
        file.set_len((slots + 1) * SLOT as u64)?;
        let last = noted.last().map_or(written, |(number, _)| *number);
        Ok((Self { file, slots, last: last.into(), written: written.into() }, noted))
    }

    /// As [`Daybook::open`]; where that fails, none, and a word of it in the log: calls are taken without one too.
    #[must_use]
    pub fn open_if_possible(dir: &Path, max_octets: u64) -> (Option<Arc<Self>>, Vec<(u64, Record)>) {
        match Self::open(dir, max_octets) {
            Ok((daybook, noted)) => (Some(Arc::new(daybook)), noted),
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "no daybook: calls that are taken just before a kill may be in no book");
                (None, Vec::new())
            }
        }
    }

    /// Notes an admission; its number.
    pub fn note(&self, record: &Arc<Record>) -> u64 {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        if number - self.written.load(Ordering::Relaxed) > self.slots {
            return number;
        }
        let mut bytes = number.to_le_bytes().to_vec();
        if !encode(&Entry::Record(record.clone()), &mut bytes) || bytes.len() > SLOT {
            bytes.truncate(NUMBER);
            if !encode(&Entry::Record(short(record)), &mut bytes) || bytes.len() > SLOT {
                return number;
            }
        }
        if let Err(error) = self.file.write_all_at(&bytes, (1 + number % self.slots) * SLOT as u64) {
            tracing::debug!(%error, sid = %record.sid, "an admission could not be noted; the journal will have it shortly");
        }
        number
    }

    /// The journal has all up to `number`.
    pub fn written(&self, number: u64) {
        self.written.store(number, Ordering::Relaxed);
        if let Err(error) = self.file.write_all_at(&number.to_le_bytes(), 0) {
            tracing::debug!(%error, "the daybook could not be written");
        }
    }
}

/// It without what may be long.
fn short(record: &Record) -> Arc<Record> {
    let mut record = record.clone();
    if let Fact::Admitted(admission) = &mut record.fact {
        admission.answer = Default::default();
        admission.metadata = Default::default();
    }
    Arc::new(record)
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk::<NUMBER>().map(|number| u64::from_le_bytes(*number))
}

/// What a slot holds; `None` for one that was never written, or not whole.
fn read(slot: &[u8]) -> Option<(u64, Record)> {
    let Decoded::Whole(Ok(Entry::Record(record)), _) = decode(slot.get(NUMBER..)?) else { return None };
    Some((number(slot)?, Arc::unwrap_or_clone(record)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::calls;

    fn open(dir: &Path) -> (Daybook, Vec<(u64, Record)>) {
        Daybook::open(dir, 1 << 20).unwrap()
    }

    fn sids(noted: &[(u64, Record)]) -> Vec<(u64, switch::CallSid)> {
        noted.iter().map(|(number, record)| (*number, record.sid)).collect()
    }

    #[test]
    fn what_the_journal_lacks_is_found_again_and_nothing_else_however_often_the_slots_were_used() {
        let dir = tempfile::tempdir().unwrap();
        let (daybook, noted) = open(dir.path());
        assert_eq!(noted, []);
        for n in 1..=100 {
            assert_eq!(daybook.note(&Arc::new(calls::admitted(n, n))), n);
            if n <= 98 {
                daybook.written(n);
            }
        }
        let (daybook, noted) = open(dir.path());
        assert_eq!(sids(&noted), [(99, calls::sid(99)), (100, calls::sid(100))]);
        assert_eq!(noted[0].1, calls::admitted(99, 99));
        assert_eq!(daybook.note(&Arc::new(calls::admitted(101, 1))), 101, "numbers go on");
        daybook.written(100);
        assert_eq!(sids(&open(dir.path()).1), [(101, calls::sid(101))]);
    }

    #[test]
    fn with_every_slot_full_the_older_ones_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (daybook, _) = open(dir.path());
        for n in 1..=SLOTS.0 + 5 {
            daybook.note(&Arc::new(calls::admitted(n, n)));
        }
        let noted = open(dir.path()).1;
        assert_eq!((noted.len() as u64, noted[0].0), (SLOTS.0, 1));
    }

    #[test]
    fn what_is_long_is_left_out_and_a_torn_slot_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let (daybook, _) = open(dir.path());
        let mut long = calls::admitted(1, 1);
        if let Fact::Admitted(admission) = &mut long.fact {
            admission.metadata = serde_json::json!({ "note": "x".repeat(SLOT) });
        }
        daybook.note(&Arc::new(long));
        daybook.note(&Arc::new(calls::admitted(2, 2)));
        daybook.file.write_all_at(&[0xff; 9], 3 * SLOT as u64 + 20).unwrap();
        let noted = open(dir.path()).1;
        assert_eq!(sids(&noted), [(1, calls::sid(1))]);
        let Fact::Admitted(admission) = &noted[0].1.fact else { panic!("no admission") };
        assert!(admission.answer.is_null() && admission.metadata.is_null() && admission.to == "+18325550199");
    }
}
