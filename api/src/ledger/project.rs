//! The projector: one task that follows the writer and brings the database up to the journal.
//!
//! It takes what the writer has just synced from memory ([`Tail`]), and reads the file where that no longer has it: after
//! a start, or when the database was away for long. Each step is one transaction of rows and position together; a crash
//! or a dead database in the middle leaves the database where the last step left it, and the step is done again. Steps
//! are [`EVERY`] apart, so that a call that begins and ends in between is written once; who waits for the database says
//! so and is not made to wait. Segments that the database has taken whole go, in order, as soon as no open call was
//! admitted in them; a call that outlives many segments is carried over ([`Entry::Carried`]), so that one long call does
//! not hold the whole journal.

use super::live::Live;
use crate::Wall;
use crate::idempotency::{Keyed, REMEMBERED_MS, Remembered};
use crate::journal::Position;
use crate::journal::directory;
use crate::journal::frame::{Entry, HEAD, MAX_PAYLOAD};
use crate::journal::segment::{self, Entries, HEADER, JournalId};
use crate::journal::space::Space;
use crate::journal::spool::Spool;
use crate::journal::tail::{Durable, Found, Tail};
use crate::store::batch::{Batch, ByCall, Known, Row, by_call};
use crate::store::{Store, StoreError};
use bytes::Bytes;
use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use switch::{CallSid, CallView, Fact};
use tokio::sync::watch;

/// Entries in one transaction at most; what is beyond waits for the next. Three times as many cost a call a hundredth less,
/// and keep the core for so long that calls wait.
pub const BATCH: usize = 8_192;

/// How long what is on disk waits for company before it goes to the database. Until then `GET` has it from the live view.
pub const EVERY: Duration = Duration::from_millis(500);

/// Projected segments that are kept for open calls before those calls are carried over.
pub const CARRY_AFTER: u64 = 4;

/// How long after a failed transaction the next is tried: doubled from the first to the last.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// How far the database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Everything before it is in the database.
    pub position: Position,
    /// Whether the last transaction went through.
    pub connected: bool,
}

/// What the projector works with.
pub(super) struct Around {
    pub(super) dir: PathBuf,
    pub(super) journal: JournalId,
    pub(super) store: Store,
    pub(super) live: Arc<Live>,
    pub(super) spool: Arc<Spool>,
    pub(super) space: Arc<Space>,
    pub(super) tail: Arc<Tail>,
    pub(super) durable: watch::Receiver<Position>,
    /// How far somebody waits for the database to come.
    pub(super) wanted: watch::Receiver<Position>,
    pub(super) progress: watch::Sender<Progress>,
    /// Who is given the keys of a database that was away at the start.
    pub(super) remembered: Remembered,
    pub(super) wall: Wall,
}

/// A call that the database has not as ended.
struct Open {
    /// As the database has it; `None` until a fact of it is projected.
    view: Option<CallView>,
    /// The segment that recovery needs it from.
    segment: u64,
    /// Its carrying over is on its way.
    carrying: bool,
}

pub(super) struct Projector {
    around: Around,
    position: Position,
    /// How far the database is has yet to be asked: it was away at the start.
    unasked: bool,
    /// What lay in the journal when it was opened: up to there the database may know more than its position says.
    found: Position,
    /// The first segment there is.
    first: u64,
    open: HashMap<CallSid, Open>,
}

#[derive(Debug, thiserror::Error)]
enum StepError {
    #[error("the journal: {0}")]
    Journal(#[from] io::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Projector {
    /// A projector that goes on at `position`; without one, where the database says once it is there. `interrupted` are calls whose end is about to be written: what recovery
    /// knows them by stays until that end is in the database.
    pub(super) fn new(
        around: Around,
        position: Option<Position>,
        first: u64,
        interrupted: impl Iterator<Item = CallSid>,
    ) -> Self {
        let open = interrupted.map(|sid| (sid, Open { view: None, segment: first, carrying: false })).collect();
        let found = *around.durable.borrow();
        let unasked = position.is_none();
        Self { around, position: position.unwrap_or_default(), unasked, found, first, open }
    }

    /// Projects until the writer has ended and everything that it wrote is in the database.
    pub(super) async fn run(mut self) {
        let mut wait = BACKOFF.0;
        loop {
            let end = *self.around.durable.borrow_and_update();
            if self.position >= end {
                if self.around.durable.changed().await.is_err() && self.position >= *self.around.durable.borrow() {
                    return;
                }
                continue;
            }
            self.company().await;
            let end = *self.around.durable.borrow_and_update();
            match self.go_on(end).await {
                Ok(()) => {
                    wait = BACKOFF.0;
                    self.tell(true);
                    self.tidy().await;
                }
                Err(error) => {
                    if self.tell(false) {
                        tracing::error!(%error, "the database does not take the journal: calls go on, rows wait");
                    }
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(BACKOFF.1);
                }
            }
        }
    }

    /// Publishes where the database is; true where it was connected before.
    fn tell(&self, connected: bool) -> bool {
        let next = Progress { position: self.position, connected };
        let before = self.around.progress.send_replace(next);
        if connected && !before.connected {
            tracing::warn!("the database takes the journal again");
        }
        before.connected
    }

    /// Lets what is on disk wait for more, unless there is much of it, somebody waits, or it is what a start has found: of that
    /// the live view has nothing but the calls that were live.
    async fn company(&mut self) {
        if self.position >= self.found && self.around.tail.len() < BATCH {
            let position = self.position;
            let _ = tokio::time::timeout(EVERY, self.around.wanted.wait_for(|wanted| *wanted > position)).await;
        }
    }

    async fn go_on(&mut self, end: Position) -> Result<(), StepError> {
        if self.unasked {
            self.ask().await?;
        }
        if self.position < end { self.step(end).await } else { Ok(()) }
    }

    /// Asks a database that was away at the start what the start would have asked it.
    async fn ask(&mut self) -> Result<(), StepError> {
        let Around { store, journal, remembered, wall, .. } = &self.around;
        let position = store.position(*journal).await?;
        remembered.complete(store.keyed(wall().saturating_sub(REMEMBERED_MS)).await?);
        if position > self.found {
            tracing::error!(?position, journal = ?self.found, "the journal ends before what the database has taken");
        }
        self.position = position.min(self.found);
        self.unasked = false;
        Ok(())
    }

    async fn step(&mut self, end: Position) -> Result<(), StepError> {
        let run = match self.around.tail.take(self.position, BATCH) {
            Found::Next(entries) => Run { next: entries.last().map_or(self.position, |last| last.to), entries },
            found => {
                let end = if let Found::From(from) = found { from.min(end) } else { end };
                let (dir, from) = (self.around.dir.clone(), self.position);
                tokio::task::spawn_blocking(move || Run::read(&dir, from, end)).await.map_err(io::Error::other)??
            }
        };
        let calls = by_call(&run.entries);
        let known = self.known(&calls).await?;
        let mut batch = Batch::new(self.around.journal, run.next, calls, known);
        batch.keyed.extend(run.entries.iter().filter_map(|entry| match &entry.entry {
            Entry::Keyed(keyed) => Some(Keyed::clone(keyed)),
            _ => None,
        }));
        self.around.store.project(&batch).await?;
        self.position = run.next;
        self.done(&run, batch);
        Ok(())
    }

    /// What the database has of the calls that the run speaks of.
    async fn known(&self, calls: &ByCall<'_>) -> Result<HashMap<CallSid, Known>, StoreError> {
        let (mut known, mut missing) = (HashMap::new(), Vec::new());
        let again = self.position < self.found;
        for (sid, records) in calls {
            let begins = records.first().is_some_and(|(record, _)| matches!(record.fact, Fact::Admitted(_)));
            match self.open.get(sid).and_then(|open| open.view.clone()) {
                Some(view) => drop(known.insert(*sid, Known::up_to(view))),
                // One that begins here has no row, unless the database has seen this part of the journal before.
                None if again || !begins => missing.push(*sid),
                None => {}
            }
        }
        for sids in missing.chunks(500) {
            known.extend(self.around.store.known(sids).await?);
        }
        Ok(known)
    }

    fn done(&mut self, run: &Run, batch: Batch) {
        for (sid, part) in batch.parts {
            match part.row {
                Row::Live(view) => {
                    self.around.live.projected(sid, part.last, false);
                    let open = Open { view: None, segment: part.segment, carrying: false };
                    self.open.entry(sid).or_insert(open).view = Some(*view);
                }
                Row::Ended(_) | Row::Over => {
                    self.around.live.projected(sid, part.last, true);
                    self.open.remove(&sid);
                }
                Row::Unknown => {}
            }
        }
        for entry in &run.entries {
            if let Entry::Carried(view) = &entry.entry
                && let Some(open) = self.open.get_mut(&view.sid)
            {
                open.segment = entry.to.segment;
                open.carrying = false;
            }
        }
        // A fact of a call that is in no table: its admission was lost. Nothing is kept open for it.
        self.open.retain(|_, open| open.view.is_some() || open.segment <= self.first || open.carrying);
    }

    /// Deletes the segments that nobody needs any more, and carries over who keeps too many of them.
    async fn tidy(&mut self) {
        if self.position.segment <= self.first {
            return;
        }
        let needed = self.open.values().map(|open| open.segment).min().unwrap_or(u64::MAX).min(self.position.segment);
        if needed > self.first {
            let (dir, first, space) = (self.around.dir.clone(), self.first, self.around.space.clone());
            let deleted = tokio::task::spawn_blocking(move || delete(&dir, first, needed, &space)).await;
            match deleted {
                Ok(Ok(())) => self.first = needed,
                Ok(Err(error)) => tracing::error!(%error, "a projected segment of the journal cannot be deleted"),
                Err(_) => {}
            }
        }
        if self.position.segment.saturating_sub(self.first) > CARRY_AFTER {
            self.carry();
        }
    }

    fn carry(&mut self) {
        for (sid, open) in self.open.iter_mut().filter(|(_, open)| open.segment == self.first && !open.carrying) {
            // One that has ended needs no carrying: its end is on its way to disk and to here.
            if let Some(view) = self.around.live.get(*sid).filter(|view| !view.status.is_final()) {
                open.carrying = self.around.spool.append(Entry::Carried(Box::new(view)));
            }
        }
    }
}

fn delete(dir: &Path, first: u64, needed: u64, space: &Space) -> io::Result<()> {
    for number in directory::numbers(dir)?.into_iter().filter(|number| (first..needed).contains(number)) {
        let path = segment::path(dir, number);
        let octets = std::fs::metadata(&path)?.len();
        std::fs::remove_file(&path)?;
        space.freed(octets);
    }
    Ok(())
}

/// A run of entries.
struct Run {
    entries: Vec<Durable>,
    /// Where the next run begins.
    next: Position,
}

impl Run {
    /// Reads on from `from` in one segment's file, not beyond `end`, which lies behind it.
    fn read(dir: &Path, from: Position, end: Position) -> io::Result<Self> {
        let here = if from.offset == 0 { following(dir, from.segment.max(1), end)? } else { from };
        if here >= end {
            // A segment that has only just begun.
            return Ok(Self { entries: Vec::new(), next: end });
        }
        let limit = if here.segment == end.segment { end.offset } else { u64::MAX };
        let length = (MAX_PAYLOAD + HEAD) as u64;
        let bytes = match segment::read(&segment::path(dir, here.segment), here.offset, length.min(limit - here.offset))
        {
            Ok(bytes) => bytes,
            // Somebody took it away: what comes after it is still there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut read = Entries::new(&bytes, here);
        let mut entries = Vec::new();
        while entries.len() < BATCH {
            let from = read.at;
            let Some((entry, json)) = read.next_with_payload() else { break };
            let Ok(entry) = entry else { continue };
            entries.push(Durable { entry, json: Bytes::copy_from_slice(json), from, to: read.at });
        }
        let next = match () {
            () if read.at != here => read.at,
            () if here.segment < end.segment => following(dir, here.segment + 1, end)?,
            () => {
                tracing::error!(
                    segment = here.segment,
                    offset = here.offset,
                    "the journal cannot be read back; facts there are not in the database"
                );
                end
            }
        };
        Ok(Self { entries, next })
    }
}

/// The beginning of the first segment from `number` on.
fn following(dir: &Path, number: u64, end: Position) -> io::Result<Position> {
    let next = directory::numbers(dir)?.into_iter().find(|&there| there >= number).unwrap_or(end.segment);
    Ok(Position { segment: next, offset: HEADER })
}
