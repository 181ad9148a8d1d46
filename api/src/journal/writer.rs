//! The one thread that writes the journal.
//!
//! Group commit: everything that came in while the last sync ran goes to disk in one write and one `fdatasync`; only
//! then are the admissions in it answered, the projector told, and the events sent out. When a write fails, the
//! admissions in it are refused (their callers got no 201 and nothing was dialled), the facts are kept and tried again
//! in a new segment every [`RETRY`], and [`Space`] refuses new calls meanwhile.

use super::Position;
use super::frame::{Entry, encode};
use super::segment::{JournalId, Segment};
use super::space::Space;
use super::spool::{Job, Spool};
use crate::{Refused, Wall};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use switch::Record;
use tokio::sync::{broadcast, watch};

/// Silence after which a checkpoint is written while calls live. With what it takes to write it, the end of a call that
/// a crash interrupts is known to five seconds.
pub const CHECKPOINT_AFTER: Duration = Duration::from_secs(4);

/// How long after a failed write the next is tried.
pub const RETRY: Duration = Duration::from_millis(250);

/// How often the free room on the disk is looked at when nothing is written.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Failed writes after the journal was closed until it is given up and what was not written is named in the log.
const LAST_ATTEMPTS: u32 = 20;

/// A fact that is on disk.
#[derive(Clone, Debug)]
pub struct Event {
    /// Where the journal goes on behind it: what a reader resumes from.
    pub position: Position,
    /// The fact.
    pub record: Arc<Record>,
}

/// What the writer works with.
pub struct Writer {
    /// Where the segments lie.
    pub dir: PathBuf,
    /// Whose they are.
    pub id: JournalId,
    /// The segment it writes to; `None` after a failure.
    pub segment: Option<Segment>,
    /// The number of the segment after it.
    pub next_number: u64,
    /// What waits.
    pub spool: Arc<Spool>,
    /// How the disk is.
    pub space: Arc<Space>,
    /// Told how far the journal is on disk.
    pub durable: watch::Sender<Position>,
    /// Told every fact that is on disk.
    pub events: broadcast::Sender<Event>,
    /// Whether any call lives.
    pub lives: Box<dyn Fn() -> bool + Send>,
    /// The wall clock.
    pub wall: Wall,
}

impl Writer {
    /// Writes until the spool is closed and empty.
    pub fn run(mut self) {
        let mut backlog: Vec<Job> = Vec::new();
        let mut timed = Instant::now();
        let mut failures = 0;
        loop {
            let taken = if failures == 0 { self.spool.take(LOOK_EVERY) } else { self.spool.take_after(RETRY) };
            backlog.extend(taken.jobs);
            if backlog.is_empty() {
                if taken.closed {
                    return;
                }
                self.look();
                if timed.elapsed() < CHECKPOINT_AFTER || !(self.lives)() {
                    continue;
                }
                backlog.push(Job { entry: Entry::Checkpoint((self.wall)()), waiter: None });
            }
            match self.commit(&backlog) {
                Ok(ends) => {
                    self.announce(std::mem::take(&mut backlog), &ends);
                    timed = Instant::now();
                    failures = 0;
                }
                Err(error) => {
                    failures += 1;
                    self.refuse_admissions(&mut backlog, &error);
                    if taken.closed && failures > LAST_ATTEMPTS {
                        tracing::error!(facts = backlog.len(), "the journal could not be written to its end");
                        return;
                    }
                    if taken.closed {
                        std::thread::sleep(RETRY);
                    }
                }
            }
        }
    }

    /// Writes all of `jobs` and syncs; the end of each entry in the file, `None` for one that is too long for it.
    fn commit(&mut self, jobs: &[Job]) -> std::io::Result<Vec<Option<Position>>> {
        let segment = self.open_segment()?;
        let mut at = segment.end();
        let start = at.offset;
        let mut bytes = Vec::with_capacity(jobs.len() * 512);
        let mut ends = Vec::with_capacity(jobs.len());
        for job in jobs {
            let fits = encode(&job.entry, &mut bytes);
            if !fits {
                tracing::error!("an entry is too long for the journal and was left out");
            }
            at.offset = start + bytes.len() as u64;
            ends.push(fits.then_some(at));
        }
        if let Err(error) = segment.append(&bytes) {
            self.segment = None;
            return Err(error);
        }
        self.space.grew(bytes.len() as u64);
        self.space.committed();
        Ok(ends)
    }

    fn open_segment(&mut self) -> std::io::Result<&mut Segment> {
        let length = self.space.segment_length();
        let open = self.segment.take().filter(|segment| segment.end().offset < length);
        let segment = match open {
            Some(segment) => segment,
            None => {
                let segment = Segment::create(&self.dir, self.id, self.next_number)?;
                self.next_number += 1;
                self.space.grew(segment.end().offset);
                segment
            }
        };
        Ok(self.segment.insert(segment))
    }

    fn announce(&mut self, jobs: Vec<Job>, ends: &[Option<Position>]) {
        self.spool.settled(jobs.len());
        // First, so that whoever is woken below finds the journal at least as far as his own entry.
        if let Some(end) = ends.iter().rev().find_map(|end| *end) {
            self.durable.send_replace(end);
        }
        for (job, end) in jobs.into_iter().zip(ends) {
            if let Some(waiter) = job.waiter {
                // A caller that has gone away does not wait; its call is admitted all the same.
                let _ = waiter.send(end.map(|_| ()).ok_or(Refused::JournalFailing));
            }
            if let (Entry::Record(record), Some(position)) = (job.entry, *end) {
                // No subscriber is no fault.
                let _ = self.events.send(Event { position, record });
            }
        }
        self.look();
    }

    fn refuse_admissions(&self, backlog: &mut Vec<Job>, error: &std::io::Error) {
        if self.space.failed() {
            tracing::error!(%error, dir = %self.dir.display(), "the journal cannot be written: new calls are refused, facts are kept");
        }
        let refused: Vec<Job> = backlog.extract_if(.., |job| job.waiter.is_some()).collect();
        self.spool.settled(refused.len());
        for waiter in refused.into_iter().filter_map(|job| job.waiter) {
            let _ = waiter.send(Err(Refused::JournalFailing));
        }
    }

    fn look(&self) {
        if self.space.look() {
            match self.space.admits() {
                Ok(()) => tracing::warn!("the journal's disk has room again: calls are admitted"),
                Err(why) => tracing::error!(%why, "new calls are refused"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::calls;

    fn writer(dir: &std::path::Path) -> (Writer, watch::Receiver<Position>) {
        let id = JournalId([7; 16]);
        let segment = Segment::create(dir, id, 1).unwrap();
        let (durable, seen) = watch::channel(segment.end());
        let writer = Writer {
            dir: dir.to_owned(),
            id,
            segment: Some(segment),
            next_number: 2,
            spool: Arc::default(),
            space: Arc::new(Space::new(dir, 1 << 30, 0)),
            durable,
            events: broadcast::channel(16).0,
            lives: Box::new(|| false),
            wall: Arc::new(|| 0),
        };
        (writer, seen)
    }

    #[test]
    fn a_hundred_admissions_that_wait_share_one_sync_and_are_told_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, durable) = writer(dir.path());
        let (spool, space) = (writer.spool.clone(), writer.space.clone());
        let admit = |n| spool.admit(Entry::Record(Arc::new(calls::admitted(n, n)))).unwrap();
        let waiting: Vec<_> = (0..100).map(admit).collect();
        spool.close();
        writer.run();
        assert_eq!(space.commits(), 1);
        assert!(waiting.into_iter().all(|done| done.blocking_recv() == Ok(Ok(()))));
        let mut read = 0;
        let found = crate::journal::directory::scan(dir.path(), |_| read += 1).unwrap();
        assert_eq!((read, found.end()), (100, Some(*durable.borrow())));
    }

    #[test]
    fn a_journal_that_cannot_be_written_refuses_admissions_keeps_facts_and_gives_up_only_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let (mut writer, _durable) = writer(dir.path());
        let (spool, space) = (writer.spool.clone(), writer.space.clone());
        writer.segment = None;
        writer.dir = dir.path().join("gone");
        let admission = spool.admit(Entry::Record(Arc::new(calls::admitted(1, 1)))).unwrap();
        assert!(spool.append(Entry::Record(Arc::new(calls::ended(2, 1, 1)))));
        let there = writer.dir.clone();
        let running = std::thread::spawn(move || writer.run());
        assert_eq!(admission.blocking_recv(), Ok(Err(Refused::JournalFailing)));
        assert_eq!(space.admits(), Err(Refused::JournalFailing));
        assert_eq!(spool.len(), 1, "the fact is kept");
        std::fs::create_dir(&there).unwrap();
        spool.close();
        running.join().unwrap();
        let mut read = 0;
        crate::journal::directory::scan(&there, |_| read += 1).unwrap();
        assert_eq!((read, space.admits()), (1, Ok(())));
    }
}
