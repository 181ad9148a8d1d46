//! How a ledger is opened: the journal read, what the last process left open closed, and everything set going.

use super::live::Live;
use super::{EVENTS_BEHIND, Progress, project, recover, tapes};
use super::{Inner, JournalConfig, LEAST_JOURNAL, Ledger, LedgerError, Position, Recovered, Workers};
use crate::Wall;
use crate::idempotency::{REMEMBERED_MS, Remembered};
use crate::journal::daybook::Daybook;
use crate::journal::directory::{self, Damage, OpenError};
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
use std::sync::{Arc, Mutex};
use switch::{CallSid, Fact, Record};
use tokio::sync::{broadcast, watch};

/// Milliseconds of an hour. A journal that begins while the database is away begins with the segment of this hour, counted
/// since 1970: half a million, which no other that the database may have seen has come to.
const HOUR_MS: u64 = 3_600_000;

impl Ledger {
    /// Opens the journal in `config.dir` (or begins one), closes every call that was live when the last process ended,
    /// and begins to project what `store` has not seen. What those calls recorded lies in `recordings`.
    ///
    /// # Errors
    /// Where the directory cannot be used, is in use, or holds another format's segments; where the database goes away
    /// meanwhile. One that was away before is waited for ([`Store::awaited`]).
    pub async fn open(
        config: JournalConfig,
        store: Store,
        recordings: &Recordings,
        wall: Wall,
    ) -> Result<(Self, Recovered), LedgerError> {
        let found = tokio::task::spawn_blocking(move || Opened::at(config)).await.map_err(std::io::Error::other)??;
        let Opened { dir, lock, id, mut segment, space, first, mut recovery, mut recovered, daybook } = found;
        let there = (!store.is_awaited()).then_some(&store);
        let known = match there {
            Some(store) => Some((store.position(id).await?, store.last_segment().await?)),
            None => None,
        };
        let (position, taken) =
            known.unwrap_or_else(|| (Position::default(), (wall() / HOUR_MS).max(segment.end().segment)));
        if recovered.entries == 0 && segment.end().segment <= taken && position == Position::default() {
            // A new journal on a database that has seen another, or may have: events of this one come after those of that.
            segment = Segment::create(&dir, id, taken + 1).map_err(LedgerError::System)?;
        } else if known.is_none() {
            // How far the database has taken the last segment is not known: what is written from now on lies behind it.
            segment = Segment::create(&dir, id, segment.end().segment + 1).map_err(LedgerError::System)?;
        }
        if position > segment.end() {
            // The disk has lost what it had said was written, and the database has it. What is written from now on must
            // not lie where the database thinks it has been.
            tracing::error!(?position, journal = ?segment.end(), "the journal ends before what the database has taken");
            segment = Segment::create(&dir, id, position.segment + 1).map_err(LedgerError::System)?;
        }
        let lacking = lacking(there, recovery.noted()).await?;
        lacking.values().for_each(|record| recovery.admit(record));
        recovered.noted = lacking.len();
        let remembered = Remembered::default();
        let keyed = match there {
            Some(store) => store.keyed(wall().saturating_sub(REMEMBERED_MS)).await?,
            None => {
                remembered.lack();
                Vec::new()
            }
        };
        // The journal's come last: they are the newer ones.
        keyed.into_iter().chain(recovery.keyed()).for_each(|keyed| remembered.restore(keyed));
        let live = Arc::new(Live::default());
        let spool = Arc::new(Spool::default());
        let (durable, durable_seen) = watch::channel(segment.end());
        let (progress, progress_seen) = watch::channel(Progress { position, connected: known.is_some() });
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
                remembered: remembered.clone(),
                wall: wall.clone(),
            },
            known.map(|(position, _)| position),
            first,
            recovery.live().map(|view| view.sid),
        );
        recovery.live().for_each(|view| live.restore(view));
        for (note, record) in lacking {
            spool.append_noted(Entry::Record(Arc::new(record)), note);
        }
        for end in tapes::ends(recovery, there, recordings).await? {
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
async fn lacking(store: Option<&Store>, mut noted: BTreeMap<u64, Record>) -> Result<BTreeMap<u64, Record>, StoreError> {
    let Some(store) = store else { return Ok(noted) };
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
