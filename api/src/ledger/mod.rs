//! The ledger: what everybody holds who writes facts down or looks them up.
//!
//! Signalling [`append`](Ledger::append)s and never waits; an HTTP request [`admit`](Ledger::admit)s and waits until its
//! record is on disk; `GET` reads the [`Live`] view merged over the database, which the projector brings up to the
//! journal. The ledger decides nothing about a call: at a start it closes those that the last process left open
//! (`recover`), with what they were recording, and that is all it ever says of its own.

mod count;
mod live;
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
use crate::idempotency::{Keyed, REMEMBERED_MS, Remembered};
use crate::journal::daybook::Daybook;
use crate::journal::directory;
use crate::journal::frame::Entry;
use crate::journal::segment::{JournalId, Segment};
use crate::journal::space::Space;
use crate::journal::spool::Spool;
use crate::journal::tail::Tail;
use crate::journal::writer::Writer;
use crate::metrics::Calls;
use crate::recordings::Recordings;
use crate::store::{Store, StoreError};
use rustix::fs::{FlockOperation, flock};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
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
    /// Opens the journal in `config.dir` (or begins one), closes every call that was live when the last process ended,
    /// and begins to project what `store` has not seen. What those calls recorded lies in `recordings`.
    ///
    /// # Errors
    /// Where the directory cannot be used, is in use, or holds another format's segments; where the database is away.
    pub async fn open(
        config: JournalConfig,
        store: Store,
        recordings: &Recordings,
        wall: Wall,
    ) -> Result<(Self, Recovered), LedgerError> {
        let found = tokio::task::spawn_blocking(move || Opened::at(config)).await.map_err(std::io::Error::other)??;
        let Opened { dir, lock, id, mut segment, space, first, mut recovery, mut recovered, daybook } = found;
        let position = store.position(id).await?;
        let taken = store.last_segment().await?;
        if recovered.entries == 0 && segment.end().segment <= taken && position == Position::default() {
            // A new journal on a database that has seen another: events of this one come after those of that.
            segment = Segment::create(&dir, id, taken + 1).map_err(LedgerError::System)?;
        }
        if position > segment.end() {
            // The disk has lost what it had said was written, and the database has it. What is written from now on must
            // not lie where the database thinks it has been.
            tracing::error!(?position, journal = ?segment.end(), "the journal ends before what the database has taken");
            segment = Segment::create(&dir, id, position.segment + 1).map_err(LedgerError::System)?;
        }
        let lacking = lacking(&store, recovery.noted()).await?;
        lacking.values().for_each(|record| recovery.admit(record));
        recovered.noted = lacking.len();
        let remembered = Remembered::default();
        let keyed = store.keyed(wall().saturating_sub(REMEMBERED_MS)).await?;
        // The journal's come last: they are the newer ones.
        keyed.into_iter().chain(recovery.keyed()).for_each(|keyed| remembered.restore(keyed));
        let live = Arc::new(Live::default());
        let spool = Arc::new(Spool::default());
        let (durable, durable_seen) = watch::channel(segment.end());
        let (progress, progress_seen) = watch::channel(Progress { position, connected: true });
        let (wanted, wanted_seen) = watch::channel(Position::default());
        let tail = Arc::new(Tail::default());
        let (events, _) = broadcast::channel(EVENTS_BEHIND);
        let projector = project::Projector::new(
            project::Around {
                dir: dir.clone(),
                journal: id,
                store: store.clone(),
                live: live.clone(),
                spool: spool.clone(),
                space: space.clone(),
                tail: tail.clone(),
                durable: durable_seen.clone(),
                wanted: wanted_seen,
                progress,
            },
            position,
            first,
            recovery.live().map(|view| view.sid),
        );
        recovery.live().for_each(|view| live.restore(view));
        for (note, record) in lacking {
            spool.append_noted(Entry::Record(Arc::new(record)), note);
        }
        for end in tapes::ends(recovery, &store, recordings).await? {
            match end.fact {
                Fact::Ended(_) => recovered.interrupted.push(end.sid),
                _ => recovered.recordings += 1,
            }
            let end = Arc::new(end);
            live.apply(&end);
            spool.append(Entry::Record(end));
        }
        let (lives, whose) = (live.clone(), live.clone());
        let writer = Writer {
            dir,
            id,
            end: segment.end(),
            next_number: segment.end().segment + 1,
            segment: Some(segment),
            spool: spool.clone(),
            daybook: daybook.clone(),
            space: space.clone(),
            tail,
            durable,
            events: events.clone(),
            tenant: Box::new(move |record| whose.tenant(record)),
            lives: Box::new(move || lives.active() > 0),
            wall: wall.clone(),
        };
        let writer = std::thread::Builder::new().name("journal".to_owned()).spawn(move || {
            writer.run();
            drop(lock);
        })?;
        let projector = tokio::spawn(projector.run());
        let workers = Mutex::new(Some(Workers { writer, projector }));
        let (durable, progress, counts) = (durable_seen, progress_seen, Calls::default());
        let inner = Inner {
            live,
            spool,
            daybook,
            space,
            store,
            events,
            durable,
            progress,
            wanted,
            remembered,
            counts,
            wall,
            workers,
        };
        Ok((Self { inner: Arc::new(inner) }, recovered))
    }

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

/// What opening the journal yields before anything runs.
struct Opened {
    dir: PathBuf,
    lock: File,
    id: JournalId,
    segment: Segment,
    space: Arc<Space>,
    /// The first segment there is.
    first: u64,
    recovery: recover::Recovery,
    recovered: Recovered,
    daybook: Option<Arc<Daybook>>,
}

impl Opened {
    fn at(config: JournalConfig) -> Result<Self, LedgerError> {
        let dir = config.dir;
        let io = |error| OpenError::Io { dir: dir.display().to_string(), error };
        std::fs::create_dir_all(&dir).map_err(io)?;
        let lock = lock(&dir)?;
        let (daybook, noted) = Daybook::open_if_possible(&dir, config.max_octets);
        let mut recovery = recover::Recovery::new(noted);
        let found = directory::scan(&dir, |entry| recovery.see(entry))?;
        let id = match found.id {
            Some(id) => id,
            None => new_id()?,
        };
        let segment = match found.end() {
            Some(end) => Segment::resume(&dir, end),
            None => Segment::create(&dir, id, 1),
        };
        let segment = segment.map_err(io)?;
        for damage in &found.damage {
            report(&dir, damage);
        }
        let first = found.segments.first().map_or(1, |&(number, _)| number);
        let octets = found.octets();
        let space = Arc::new(Space::new(&dir, config.max_octets.max(LEAST_JOURNAL), octets.max(segment.end().offset)));
        let recovered = Recovered {
            entries: found.entries,
            octets,
            damage: found.damage,
            unreadable: found.unreadable,
            noted: 0,
            interrupted: Vec::new(),
            recordings: 0,
        };
        Ok(Self { dir, lock, id, segment, space, first, recovery, recovered, daybook })
    }
}

/// What the database has not got either, of admissions that the journal lacks: where the machine has lost its power, the
/// daybook may be older than both.
async fn lacking(store: &Store, mut noted: BTreeMap<u64, Record>) -> Result<BTreeMap<u64, Record>, StoreError> {
    let sids: Vec<CallSid> = noted.values().map(|record| record.sid).collect();
    for sids in sids.chunks(500) {
        let known = store.known(sids).await?;
        noted.retain(|_, record| !known.contains_key(&record.sid));
    }
    Ok(noted)
}

fn report(dir: &Path, damage: &Damage) {
    let (segment, offset, lost) = (damage.at.segment, damage.at.offset, damage.lost);
    if damage.torn_tail {
        tracing::warn!(segment, offset, lost, "the journal's last write was cut short; cut at the last whole record");
    } else {
        tracing::error!(dir = %dir.display(), segment, offset, lost, "a segment is damaged; read up to there, the file is left as it is");
    }
}

fn lock(dir: &Path) -> Result<File, OpenError> {
    let io = |error| OpenError::Io { dir: dir.display().to_string(), error };
    let file = File::create(dir.join("lock")).map_err(io)?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|_| OpenError::InUse { dir: dir.display().to_string() })?;
    Ok(file)
}

fn new_id() -> Result<JournalId, std::io::Error> {
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| std::io::Error::other(error.to_string()))?;
    Ok(JournalId(id))
}
