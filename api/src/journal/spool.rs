//! What waits in memory for the journal's writer. Putting something in never waits for the disk.

use super::frame::Entry;
use crate::Refused;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use switch::Fact;
use tokio::sync::oneshot;

/// Entries waiting beyond which no call is admitted. A healthy disk leaves a few dozen here.
pub const ADMIT_BELOW: usize = 16_384;

/// Entries waiting beyond which ladder lines ([`Fact::Message`]) are dropped, counted and logged. Everything else is
/// always taken: no call is admitted any more, and one that lives yields a handful of facts.
pub const LINES_BELOW: usize = 65_536;

/// An entry on its way to disk.
#[derive(Debug)]
pub struct Job {
    /// What is to be written.
    pub entry: Entry,
    /// Who waits for it: an admission by HTTP. Told once it is on disk, or refused.
    pub waiter: Option<oneshot::Sender<Result<(), Refused>>>,
    /// Its number in the [`Daybook`](super::daybook::Daybook); 0 where it does not stand there.
    pub note: u64,
}

/// What [`Spool::take`] found.
#[derive(Debug)]
pub struct Taken {
    /// In the order in which they were put in.
    pub jobs: Vec<Job>,
    /// True where nothing more will come.
    pub closed: bool,
}

/// How far apart writes are that nobody waits for: what comes in between goes together.
pub const COMPANY: Duration = Duration::from_millis(16);

/// What the writer is doing, as far as whoever puts something in must know it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Writer {
    /// It writes, and looks here by itself when that is done.
    #[default]
    Busy,
    /// It sleeps until there is anything.
    Idle,
    /// It lets what comes wait for company; only haste wakes it.
    Gathering,
}

#[derive(Debug, Default)]
struct State {
    jobs: Vec<Job>,
    /// Somebody waits for something here.
    haste: bool,
    writer: Writer,
    /// When the writer last took something.
    taken_at: Option<Instant>,
    /// Jobs that the writer has and that are not on disk yet.
    taken: usize,
    closed: bool,
    dropped: u64,
}

impl State {
    fn waiting(&self) -> usize {
        self.jobs.len() + self.taken
    }

    /// Takes a job in; true where the writer must be woken for it.
    fn put(&mut self, job: Job) -> bool {
        let haste = job.waiter.is_some();
        self.jobs.push(job);
        self.haste |= haste;
        match self.writer {
            Writer::Busy => false,
            Writer::Idle => true,
            Writer::Gathering => haste,
        }
    }

    fn hand_out(&mut self) -> Taken {
        self.taken += self.jobs.len();
        self.haste = false;
        self.writer = Writer::Busy;
        if !self.jobs.is_empty() {
            self.taken_at = Some(Instant::now());
        }
        Taken { jobs: std::mem::take(&mut self.jobs), closed: self.closed }
    }
}

/// The queue between everybody and the writer.
#[derive(Debug, Default)]
pub struct Spool {
    state: Mutex<State>,
    ready: Condvar,
}

impl Spool {
    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is a single push or take: a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an admission in, behind what is to be on disk with it or not at all; the receiver hears when it is on disk.
    ///
    /// # Errors
    /// [`Refused::Overloaded`] beyond [`ADMIT_BELOW`], [`Refused::Closed`] after [`Spool::close`].
    pub fn admit(&self, with: Option<Entry>, entry: Entry) -> Result<oneshot::Receiver<Result<(), Refused>>, Refused> {
        let (waiter, done) = oneshot::channel();
        let mut state = self.state();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.waiting() >= ADMIT_BELOW {
            return Err(Refused::Overloaded);
        }
        if let Some(entry) = with {
            // Somebody waits for it, as far as a failing disk is concerned: it goes when the admission goes.
            state.put(Job { entry, waiter: Some(oneshot::channel().0), note: 0 });
        }
        let wake = state.put(Job { entry, waiter: Some(waiter), note: 0 });
        drop(state);
        self.wake(wake);
        Ok(done)
    }

    /// Puts a fact in. Beyond [`LINES_BELOW`] a ladder line is dropped; after [`Spool::close`] everything is, and false
    /// is returned.
    pub fn append(&self, entry: Entry) -> bool {
        self.append_noted(entry, 0)
    }

    /// As [`Spool::append`], of a fact that has this number in the daybook.
    pub fn append_noted(&self, entry: Entry, note: u64) -> bool {
        let mut state = self.state();
        if state.closed {
            return false;
        }
        if state.waiting() >= LINES_BELOW && is_line(&entry) {
            state.dropped += 1;
            return true;
        }
        let wake = state.put(Job { entry, waiter: None, note });
        drop(state);
        self.wake(wake);
        true
    }

    fn wake(&self, wake: bool) {
        if wake {
            self.ready.notify_one();
        }
    }

    /// How many entries are not on disk yet, those that the writer has included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().waiting()
    }

    /// True where everything is on disk.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `count` of the entries that were taken are on disk, or were refused.
    pub fn settled(&self, count: usize) {
        let mut state = self.state();
        state.taken = state.taken.saturating_sub(count);
    }

    /// Takes all that waits, at the latest after `patience`: at once where somebody waits for it or nothing was taken
    /// lately, and otherwise [`COMPANY`] after what was taken last.
    #[must_use]
    pub fn take(&self, patience: Duration) -> Taken {
        let mut state = self.state();
        let since = state.taken_at.map_or(COMPANY, |at| at.elapsed());
        if since < COMPANY {
            let pause = (COMPANY - since).min(patience);
            state = self.wait(state, Writer::Gathering, pause, |state| !state.haste);
        }
        if state.jobs.is_empty() {
            state = self.wait(state, Writer::Idle, patience, |state| state.jobs.is_empty());
        }
        if std::mem::take(&mut state.dropped) > 0 {
            tracing::error!("the journal could not keep up: lines of ladders were dropped");
        }
        state.hand_out()
    }

    /// Takes all that waits after `pause`, or at once when the spool is closed.
    #[must_use]
    pub fn take_after(&self, pause: Duration) -> Taken {
        self.wait(self.state(), Writer::Busy, pause, |_| true).hand_out()
    }

    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        writer: Writer,
        patience: Duration,
        mut on: impl FnMut(&mut State) -> bool,
    ) -> MutexGuard<'a, State> {
        state.writer = writer;
        let waited = self.ready.wait_timeout_while(state, patience, |state| !state.closed && on(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }

    /// Nothing more is taken; the writer ends when all that waits is written.
    pub fn close(&self) {
        self.state().closed = true;
        self.ready.notify_all();
    }
}

fn is_line(entry: &Entry) -> bool {
    matches!(entry, Entry::Record(record) if matches!(record.fact, Fact::Message { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::calls;
    use std::sync::Arc;

    #[test]
    fn beyond_its_bound_it_refuses_admissions_drops_lines_and_keeps_every_other_fact() {
        let spool = Spool::default();
        let entry = |record| Entry::Record(Arc::new(record));
        for _ in 0..ADMIT_BELOW {
            assert!(spool.append(Entry::Checkpoint(0)));
        }
        assert_eq!(spool.admit(None, entry(calls::admitted(1, 1))).unwrap_err(), Refused::Overloaded);
        for _ in ADMIT_BELOW..LINES_BELOW {
            assert!(spool.append(Entry::Checkpoint(0)));
        }
        assert!(spool.append(entry(calls::message(1, 1, 5))));
        assert_eq!(spool.len(), LINES_BELOW);
        assert!(spool.append(entry(calls::ended(1, 2, 5))));
        assert_eq!(spool.len(), LINES_BELOW + 1);
        // What the writer cannot get rid of counts as much.
        let taken = spool.take(Duration::ZERO).jobs.len();
        assert_eq!(spool.len(), taken);
        assert_eq!(spool.admit(None, entry(calls::admitted(2, 1))).unwrap_err(), Refused::Overloaded);
        spool.settled(taken);
        assert!(spool.is_empty());
        spool.close();
        assert!(!spool.append(Entry::Checkpoint(0)));
        assert!(spool.take(Duration::ZERO).closed);
    }
}
