//! The ledger: what everybody holds who writes facts down or looks them up.
//!
//! Signalling [`append`](Ledger::append)s and never waits; an HTTP request [`admit`](Ledger::admit)s and waits until its
//! record is on disk; `GET` reads the [`Live`] view merged over the database, which the projector brings up to the
//! journal. The ledger decides nothing about a call: at a start it closes those that the last process left open
//! (`recover`), with what they were recording, and that is all it ever says of its own.

mod count;
mod live;
mod open;
mod project;
mod recover;
mod tapes;

pub use crate::journal::Position;
pub use crate::journal::directory::{Damage, OpenError};
pub use crate::journal::writer::Event;
pub use crate::refused::Refused;
pub use count::Room;
pub use live::{FACTS_IN_MEMORY, Live, MAX_CALLS};
pub use project::Progress;

use crate::Wall;
use crate::commander::TRY_AGAIN;
use crate::idempotency::{Keyed, Remembered};
use crate::journal::daybook::Daybook;
use crate::journal::frame::Entry;
use crate::journal::space::Space;
use crate::journal::spool::Spool;
use crate::metrics::Calls;
use crate::store::{Store, StoreError};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use switch::{CallSid, Direction, Fact, Record};
use tokio::sync::{broadcast, watch};

/// Facts that a subscriber may be behind. One that is further behind is told how many it missed and goes on with the
/// next; it can read what it missed from the store.
pub const EVENTS_BEHIND: usize = 4_096;

/// How long a shutdown waits for the database to take what is in the journal. What it has not taken then is projected at
/// the next start.
pub const LAST_PROJECTION: Duration = Duration::from_secs(10);

/// The least that a journal may be given, in octets: less is raised to it.
pub const LEAST_JOURNAL: u64 = 1 << 20;

/// `[journal]` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JournalConfig {
    /// `journal.dir`, made where it is missing. One process at a time.
    pub dir: PathBuf,
    /// `journal.max_mb`, in octets; at least [`LEAST_JOURNAL`].
    pub max_octets: u64,
}

/// Why the ledger cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] OpenError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness, no thread.
    #[error("the journal: {0}")]
    System(#[from] std::io::Error),
}

/// What a start found in the journal and made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Entries read.
    pub entries: u64,
    /// Octets read.
    pub octets: u64,
    /// What could not be read.
    pub damage: Vec<Damage>,
    /// Entries of a version that this one does not understand, passed over.
    pub unreadable: u64,
    /// Calls that signalling had admitted and the journal had not been given; taken up from the daybook.
    pub noted: usize,
    /// Calls that were live when the process died, closed now with the cause `interrupted`.
    pub interrupted: Vec<CallSid>,
    /// Recordings that were being made then, closed now as their files stand.
    pub recordings: usize,
}

/// The journal, its projection and the live view. Cloning is cheap; all clones are one.
#[derive(Clone)]
pub struct Ledger {
    inner: Arc<Inner>,
}

struct Inner {
    live: Arc<Live>,
    spool: Arc<Spool>,
    daybook: Option<Arc<Daybook>>,
    space: Arc<Space>,
    store: Store,
    events: broadcast::Sender<Event>,
    durable: watch::Receiver<Position>,
    progress: watch::Receiver<Progress>,
    wanted: watch::Sender<Position>,
    remembered: Remembered,
    counts: Calls,
    wall: Wall,
    workers: Mutex<Option<Workers>>,
}

struct Workers {
    writer: std::thread::JoinHandle<()>,
    projector: tokio::task::JoinHandle<()>,
}

impl Ledger {
    /// Whether a call may be admitted now: what a trunk's INVITE is asked before anything is allocated for it.
    ///
    /// # Errors
    /// What stands against it.
    pub fn admits(&self) -> Result<(), Refused> {
        self.inner.space.admits()?;
        if self.inner.live.len() >= MAX_CALLS || self.inner.spool.len() >= crate::journal::spool::ADMIT_BELOW {
            return Err(Refused::Overloaded);
        }
        Ok(())
    }

    /// Admits a call: returns when `record` (number 0, [`Fact::Admitted`]) is on disk. Where it returns `Ok`, the caller
    /// owes the switch the call; so this future must not be dropped half-way.
    ///
    /// # Errors
    /// Where the call may not begin: nothing was written then that a client would ever see.
    pub async fn admit(&self, record: Record) -> Result<(), Refused> {
        self.admit_within(record, None, Room::BOUNDLESS).await
    }

    /// Admits a call as [`Ledger::admit`] does, together with the key that it came with, where there is `room` for it.
    ///
    /// # Errors
    /// [`Refused::TooManyCalls`], [`Refused::TooManyOfTenant`], and those of [`Ledger::admit`].
    pub async fn admit_within(&self, record: Record, keyed: Option<Keyed>, room: Room) -> Result<(), Refused> {
        self.admits()?;
        let Fact::Admitted(admission) = &record.fact else { return Err(Refused::Closed) };
        let tenant = admission.tenant.clone();
        self.inner.live.reserve(&tenant, room)?;
        let (record, with) = (Arc::new(record), keyed.map(|keyed| Entry::Keyed(Box::new(keyed))));
        let written = match self.inner.spool.admit(with, Entry::Record(record.clone())) {
            Ok(done) => done.await.unwrap_or(Err(Refused::Closed)),
            Err(refused) => Err(refused),
        };
        match written {
            Ok(()) => {
                self.inner.counts.count(&record.fact);
                self.inner.live.admit(&record);
            }
            Err(_) => self.inner.live.withdraw(&tenant),
        }
        written
    }

    /// Takes in a fact of signalling. Never waits. When the disk fails or falls behind, facts wait in memory: calls are
    /// no longer admitted long before that is much ([`crate::journal::spool::ADMIT_BELOW`]), beyond
    /// [`crate::journal::spool::LINES_BELOW`] lines of ladders are dropped with a word in the log, and every other fact
    /// is kept until the disk takes it.
    pub fn append(&self, mut record: Record) {
        only_finite(&mut record.fact);
        let record = Arc::new(record);
        // What we ask for ourselves is told to nobody before the journal has it, or is part of a call that it has.
        let note = match (&record.fact, &self.inner.daybook) {
            (Fact::Admitted(admission), Some(daybook)) if admission.direction == Direction::Inbound => {
                daybook.note(&record)
            }
            _ => 0,
        };
        self.inner.counts.count(&record.fact);
        self.inner.live.apply(&record);
        if !self.inner.spool.append_noted(Entry::Record(record.clone()), note) {
            tracing::error!(sid = %record.sid, seq = record.seq, "a fact came after the journal was closed and is lost");
        }
    }

    /// The calls that are not yet in the database as ended.
    #[must_use]
    pub fn live(&self) -> &Live {
        &self.inner.live
    }

    /// What is counted of calls.
    #[must_use]
    pub fn counts(&self) -> &Calls {
        &self.inner.counts
    }

    /// Entries that are not on disk yet.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.inner.spool.len()
    }

    /// The `Idempotency-Key`s that led to a call.
    #[must_use]
    pub fn remembered(&self) -> &Remembered {
        &self.inner.remembered
    }

    /// The database that the journal is projected into.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.inner.store
    }

    /// The wall clock, milliseconds since the Unix epoch.
    #[must_use]
    pub fn wall(&self) -> u64 {
        (self.inner.wall)()
    }

    /// Every fact from now on, as soon as it is on disk. Whoever reads too slowly is told how many were missed
    /// ([`EVENTS_BEHIND`]).
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Event> {
        self.inner.events.subscribe()
    }

    /// How far the database is, and whether it answers.
    #[must_use]
    pub fn progress(&self) -> Progress {
        *self.inner.progress.borrow()
    }

    /// Changes as [`Ledger::progress`] does, until the ledger is shut down.
    #[must_use]
    pub fn follow(&self) -> watch::Receiver<Progress> {
        self.inner.progress.clone()
    }

    /// How far the journal is on disk.
    #[must_use]
    pub fn durable(&self) -> Position {
        *self.inner.durable.borrow()
    }

    /// Writes of the journal that were synced since the start.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.inner.space.commits()
    }

    /// Octets in the journal, and how many it may hold.
    #[must_use]
    pub fn octets(&self) -> (u64, u64) {
        (self.inner.space.used(), self.inner.space.max())
    }

    /// Returns when everything appended so far is in the database; waits for as long as disk and database need.
    ///
    /// # Errors
    /// [`Refused::Closed`] after a shutdown.
    pub async fn settle(&self) -> Result<(), Refused> {
        let mark = loop {
            match self.inner.spool.admit(None, Entry::Checkpoint(self.wall())) {
                Ok(done) => match done.await.unwrap_or(Err(Refused::Closed)) {
                    Ok(()) => break self.durable(),
                    Err(Refused::Closed) => return Err(Refused::Closed),
                    Err(_) => {}
                },
                Err(Refused::Closed) => return Err(Refused::Closed),
                Err(_) => tokio::time::sleep(TRY_AGAIN).await,
            }
        };
        self.reached(mark).await
    }

    /// Returns when everything that is on disk is in the database, for which nothing waits for company any more.
    ///
    /// # Errors
    /// [`Refused::Closed`] after a shutdown.
    pub async fn projected(&self) -> Result<(), Refused> {
        self.reached(self.durable()).await
    }

    async fn reached(&self, mark: Position) -> Result<(), Refused> {
        self.hurry(mark);
        let mut progress = self.inner.progress.clone();
        let reached = progress.wait_for(|progress| progress.position >= mark).await;
        reached.map(|_| ()).map_err(|_| Refused::Closed)
    }

    /// The database is to come as far as `to` without waiting for company.
    fn hurry(&self, to: Position) {
        self.inner.wanted.send_if_modified(|wanted| {
            let later = to > *wanted;
            *wanted = to.max(*wanted);
            later
        });
    }

    /// Writes what waits to disk, projects it into the database (for at most [`LAST_PROJECTION`]: the rest is done at
    /// the next start), and closes both. What is appended afterwards is lost, with a word in the log.
    pub async fn shutdown(self) {
        self.hurry(Position { segment: u64::MAX, offset: u64::MAX });
        self.inner.spool.close();
        let workers = self.inner.workers.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(Workers { writer, mut projector }) = workers else { return };
        let joined = tokio::task::spawn_blocking(move || writer.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the journal's writer ended by a panic");
        }
        if tokio::time::timeout(LAST_PROJECTION, &mut projector).await.is_err() {
            projector.abort();
            tracing::warn!("the database did not take all of the journal; the next start goes on where it stopped");
        }
        self.inner.store.close().await;
    }
}

/// JSON has no infinities: a figure that is none would make the record unreadable.
fn only_finite(fact: &mut Fact) {
    let Fact::Ended(cdr) = fact else { return };
    let cdr = Arc::make_mut(cdr);
    for stream in [&mut cdr.received, &mut cdr.sent] {
        for figure in [&mut stream.loss_percent, &mut stream.jitter_ms] {
            if !figure.is_finite() {
                *figure = 0.0;
            }
        }
        stream.mos = stream.mos.filter(|mos| mos.is_finite());
    }
    cdr.price = cdr.price.filter(|price| price.is_finite());
}
