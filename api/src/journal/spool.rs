//! What waits in memory for the journal's writer. Putting something in never waits for the disk.

use super::frame::Entry;
use crate::Refused;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
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
}

/// What [`Spool::take`] found.
#[derive(Debug)]
pub struct Taken {
    /// In the order in which they were put in.
    pub jobs: Vec<Job>,
    /// True where nothing more will come.
    pub closed: bool,
}

#[derive(Debug, Default)]
struct State {
    jobs: Vec<Job>,
    /// Jobs that the writer has and that are not on disk yet.
    taken: usize,
    closed: bool,
    dropped: u64,
}

impl State {
    fn waiting(&self) -> usize {
        self.jobs.len() + self.taken
    }

    fn hand_out(&mut self) -> Taken {
        self.taken += self.jobs.len();
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

    /// Puts an admission in; the receiver hears when it is on disk.
    ///
    /// # Errors
    /// [`Refused::Overloaded`] beyond [`ADMIT_BELOW`], [`Refused::Closed`] after [`Spool::close`].
    pub fn admit(&self, entry: Entry) -> Result<oneshot::Receiver<Result<(), Refused>>, Refused> {
        let (waiter, done) = oneshot::channel();
        let mut state = self.state();
        if state.closed {
            return Err(Refused::Closed);
        }
        if state.waiting() >= ADMIT_BELOW {
            return Err(Refused::Overloaded);
        }
        state.jobs.push(Job { entry, waiter: Some(waiter) });
        drop(state);
        self.ready.notify_one();
        Ok(done)
    }

    /// Puts a fact in. Beyond [`LINES_BELOW`] a ladder line is dropped; after [`Spool::close`] everything is, and false
    /// is returned.
    pub fn append(&self, entry: Entry) -> bool {
        let mut state = self.state();
        if state.closed {
            return false;
        }
        if state.waiting() >= LINES_BELOW && is_line(&entry) {
            state.dropped += 1;
            return true;
        }
        state.jobs.push(Job { entry, waiter: None });
        drop(state);
        self.ready.notify_one();
        true
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

    /// Takes all that waits, as soon as there is something, at the latest after `patience`.
    #[must_use]
    pub fn take(&self, patience: Duration) -> Taken {
        let state = self.state();
        let (mut state, _) = self
            .ready
            .wait_timeout_while(state, patience, |state| state.jobs.is_empty() && !state.closed)
            .unwrap_or_else(PoisonError::into_inner);
        if std::mem::take(&mut state.dropped) > 0 {
            tracing::error!("the journal could not keep up: lines of ladders were dropped");
        }
        state.hand_out()
    }

    /// Takes all that waits after `pause`, or at once when the spool is closed.
    #[must_use]
    pub fn take_after(&self, pause: Duration) -> Taken {
        let state = self.state();
        let (state, _) =
            self.ready.wait_timeout_while(state, pause, |state| !state.closed).unwrap_or_else(PoisonError::into_inner);
        drop(state);
        self.take(Duration::ZERO)
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
        assert_eq!(spool.admit(entry(calls::admitted(1, 1))).unwrap_err(), Refused::Overloaded);
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
        assert_eq!(spool.admit(entry(calls::admitted(2, 1))).unwrap_err(), Refused::Overloaded);
        spool.settled(taken);
        assert!(spool.is_empty());
        spool.close();
        assert!(!spool.append(Entry::Checkpoint(0)));
        assert!(spool.take(Duration::ZERO).closed);
    }
}
