//! The one thread that writes the journal.
//!
//! Group commit: what came in together goes to the file in one write. From then on it outlives this process. An
//! `fdatasync` follows at once where an admission waits for it, and otherwise when [`SYNC_AFTER`] has passed since the
//! first write that it would cover: facts that nobody waits for share it. Only what is synced counts: admissions are
//! answered, the projector told, and the events sent out behind it. When a write or a sync fails, the admissions in it
//! are refused (their callers got no 201 and nothing was dialled), the facts since the last sync are kept and tried again
//! in a new segment every [`RETRY`], and [`Space`] refuses new calls meanwhile.

use super::Position;
use super::daybook::Daybook;
use super::frame::{Entry, HEAD, encode};
use super::segment::{JournalId, Segment};
use super::space::Space;
use super::spool::{Job, Spool};
use super::tail::{Durable, Tail};
use crate::{Refused, Wall};
use bytes::Bytes;
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

/// How long what is written waits at most for the sync that others share, where nobody waits for it.
pub const SYNC_AFTER: Duration = Duration::from_millis(50);

/// How often the free room on the disk is looked at when nothing is written.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Failed writes after the journal was closed until it is given up and what was not written is named in the log.
const LAST_ATTEMPTS: u32 = 20;

/// A fact that is on disk.
#[derive(Clone, Debug)]
pub struct Event {
    /// Where the journal goes on behind it: what a reader resumes from.
    pub position: Position,
    /// Whose call it is; `None` for a stray fact of a call that is over.
    pub tenant: Option<String>,
    /// The fact.
    pub record: Arc<Record>,
}

/// Says whose call a fact is about, where that is known.
pub type TenantOf = Box<dyn Fn(&Record) -> Option<String> + Send>;

/// What the writer works with.
pub struct Writer {
    /// Where the segments lie.
    pub dir: PathBuf,
    /// Whose they are.
    pub id: JournalId,
    /// The segment it writes to; `None` after a failure.
    pub segment: Option<Segment>,
    /// The end of what is written: what comes next follows it without a gap, in this segment or the next.
    pub end: Position,
    /// The number of the segment after it.
    pub next_number: u64,
    /// What waits.
    pub spool: Arc<Spool>,
    /// Told which of its admissions are written; `None` where there is none.
    pub daybook: Option<Arc<Daybook>>,
    /// How the disk is.
    pub space: Arc<Space>,
    /// Where the projector takes from.
    pub tail: Arc<Tail>,
    /// Told how far the journal is on disk.
    pub durable: watch::Sender<Position>,
    /// Told every fact that is on disk.
    pub events: broadcast::Sender<Event>,
    /// Whose call a fact is about.
    pub tenant: TenantOf,
    /// Whether any call lives.
    pub lives: Box<dyn Fn() -> bool + Send>,
    /// The wall clock.
    pub wall: Wall,
}

/// What was taken from the spool and is not yet synced.
#[derive(Default)]
struct Backlog {
    jobs: Vec<Job>,
    /// Where each of the first jobs lies, as far as they are written; `None` for one that is too long for the journal.
    written: Vec<Option<Place>>,
    /// When the first of them was written.
    since: Option<Instant>,
    /// Somebody waits for one of them.
    awaited: bool,
}

struct Place {
    json: Bytes,
    from: Position,
    to: Position,
}

impl Backlog {
    fn extend(&mut self, jobs: Vec<Job>) {
        self.awaited |= jobs.iter().any(|job| job.waiter.is_some());
        if self.jobs.is_empty() {
            self.jobs = jobs;
        } else {
            self.jobs.extend(jobs);
        }
    }

    /// How long the sync may still wait.
    fn patience(&self) -> Duration {
        match self.since {
            Some(since) => SYNC_AFTER.saturating_sub(since.elapsed()),
            None => LOOK_EVERY,
        }
    }
}

impl Writer {
    /// Writes until the spool is closed and empty.
    pub fn run(mut self) {
        let mut backlog = Backlog::default();
        let mut timed = Instant::now();
        let mut failures = 0;
        loop {
            let patience = backlog.patience();
            let taken = if failures == 0 { self.spool.take(patience) } else { self.spool.take_after(RETRY) };
            backlog.extend(taken.jobs);
            if backlog.jobs.is_empty() {
                if taken.closed {
                    return;
                }
                self.look();
                if timed.elapsed() < CHECKPOINT_AFTER || !(self.lives)() {
                    continue;
                }
                backlog.extend(vec![Job { entry: Entry::Checkpoint((self.wall)()), waiter: None, note: 0 }]);
            }
            match self.commit(&mut backlog, taken.closed) {
                Ok(()) => {
                    timed = Instant::now();
                    failures = 0;
                }
                Err(error) => {
                    failures += 1;
                    self.segment = None;
                    self.refuse_admissions(&mut backlog, &error);
                    if taken.closed && failures > LAST_ATTEMPTS {
                        tracing::error!(facts = backlog.jobs.len(), "the journal could not be written to its end");
                        return;
                    }
                    if taken.closed {
                        std::thread::sleep(RETRY);
                    }
                }
            }
        }
    }

    /// Writes what is not written, and syncs where it is time.
    fn commit(&mut self, backlog: &mut Backlog, closing: bool) -> std::io::Result<()> {
        if self.segment.as_ref().is_some_and(|segment| segment.written().offset >= self.space.segment_length()) {
            self.sync(backlog)?;
            self.segment = None;
        }
        self.write(backlog)?;
        let due = backlog.since.is_some_and(|since| since.elapsed() >= SYNC_AFTER);
        if due || closing || backlog.awaited { self.sync(backlog) } else { Ok(()) }
    }

    fn write(&mut self, backlog: &mut Backlog) -> std::io::Result<()> {
        let Some(jobs) = backlog.jobs.get(backlog.written.len()..).filter(|jobs| !jobs.is_empty()) else {
            return Ok(());
        };
        let before = self.end;
        let segment = self.open_segment()?;
        let start = segment.written();
        let mut bytes = Vec::with_capacity(jobs.len() * 384);
        let mut ends = Vec::with_capacity(jobs.len());
        let noted = jobs.iter().map(|job| job.note).max().unwrap_or(0);
        for job in jobs {
            let begin = bytes.len();
            let fits = encode(&job.entry, &mut bytes);
            if !fits {
                tracing::error!("an entry is too long for the journal and was left out");
            }
            ends.push(fits.then_some((begin + HEAD, bytes.len())));
        }
        segment.write(&bytes)?;
        let end = segment.written();
        let (bytes, mut from) = (Bytes::from(bytes), before);
        for end in ends {
            backlog.written.push(end.map(|(payload, end)| {
                let to = Position { segment: start.segment, offset: start.offset + end as u64 };
                Place { json: bytes.slice(payload..end), from: std::mem::replace(&mut from, to), to }
            }));
        }
        self.end = end;
        backlog.since.get_or_insert_with(Instant::now);
        if let (Some(daybook), 1..) = (&self.daybook, noted) {
            daybook.written(noted);
        }
        Ok(())
    }

    fn sync(&mut self, backlog: &mut Backlog) -> std::io::Result<()> {
        let Some(segment) = self.segment.as_mut().filter(|_| !backlog.written.is_empty()) else { return Ok(()) };
        let before = segment.end().offset;
        segment.sync()?;
        self.space.grew(segment.end().offset - before);
        self.space.committed();
        let unwritten = backlog.jobs.split_off(backlog.written.len());
        let Backlog { jobs, written, .. } = std::mem::take(backlog);
        backlog.extend(unwritten);
        self.announce(jobs, written);
        Ok(())
    }

    fn open_segment(&mut self) -> std::io::Result<&mut Segment> {
        let segment = match self.segment.take() {
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

    fn announce(&mut self, jobs: Vec<Job>, places: Vec<Option<Place>>) {
        self.spool.settled(jobs.len());
        let listened = self.events.receiver_count() > 0;
        let end = places.iter().rev().find_map(|place| place.as_ref().map(|place| place.to));
        let (mut durable, mut told) = (Vec::with_capacity(jobs.len()), Vec::new());
        for (Job { entry, waiter, .. }, place) in jobs.into_iter().zip(places) {
            if let Some(waiter) = waiter {
                told.push((waiter, place.is_some()));
            }
            let Some(Place { json, from, to }) = place else { continue };
            if let (true, Entry::Record(record)) = (listened, &entry) {
                // No subscriber is no fault.
                let _ = self.events.send(Event { position: to, tenant: (self.tenant)(record), record: record.clone() });
            }
            durable.push(Durable { entry, json, from, to });
        }
        self.tail.push(durable);
        // Before the callers, so that whoever is woken finds the journal at least as far as his own entry.
        if let Some(end) = end {
            self.durable.send_replace(end);
        }
        for (waiter, fits) in told {
            // A caller that has gone away does not wait; its call is admitted all the same.
            let _ = waiter.send(if fits { Ok(()) } else { Err(Refused::JournalFailing) });
        }
        self.look();
    }

    /// What was not synced is to be written again, but for the admissions, which are refused.
    fn refuse_admissions(&mut self, backlog: &mut Backlog, error: &std::io::Error) {
        // What was handed on last is where the next entry follows.
        self.end = *self.durable.borrow();
        if self.space.failed() {
            tracing::error!(%error, dir = %self.dir.display(), "the journal cannot be written: new calls are refused, facts are kept");
        }
        let mut jobs = std::mem::take(backlog).jobs;
        let refused: Vec<Job> = jobs.extract_if(.., |job| job.waiter.is_some()).collect();
        backlog.jobs = jobs;
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
            end: segment.end(),
            segment: Some(segment),
            next_number: 2,
            spool: Arc::default(),
            daybook: None,
            space: Arc::new(Space::new(dir, 1 << 30, 0)),
            tail: Arc::default(),
            durable,
            events: broadcast::channel(16).0,
            tenant: Box::new(|_| None),
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
        let admit = |n| spool.admit(None, Entry::Record(Arc::new(calls::admitted(n, n)))).unwrap();
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
        let admission = spool.admit(None, Entry::Record(Arc::new(calls::admitted(1, 1)))).unwrap();
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
