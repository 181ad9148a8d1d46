//! A crash at any byte: what was acknowledged is there, every call has one row and one end, however often it is killed.

use crate::records;
use crate::support::{PATIENCE, number, until};
use api::journal::daybook::Daybook;
use api::ledger::Position;
use api::{JournalConfig, Ledger, Recovered, Store, Wall};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use switch::{Fact, Record};
use tempfile::TempDir;

/// The least journal: segments of 64 KiB.
const SMALL: u64 = 1 << 20;

fn wall() -> Wall {
    Arc::new(|| 1_764_000_100_000)
}

async fn open(journal: &Path, database: &Path) -> (Ledger, Recovered) {
    let store = Store::open(&url(database)).await.unwrap();
    let config = JournalConfig { dir: journal.to_owned(), max_octets: SMALL };
    Ledger::open(config, store, &recordings(journal), wall()).await.unwrap()
}

fn recordings(journal: &Path) -> api::Recordings {
    api::Recordings::new(journal.with_file_name("recordings"), 30)
}

fn url(database: &Path) -> String {
    format!("sqlite://{}", database.display())
}

async fn settle(ledger: &Ledger) {
    tokio::time::timeout(PATIENCE, ledger.settle()).await.expect("the projection stands still").unwrap();
}

/// A journal of calls in every stage of life over several segments, and where each of its records ends.
struct History {
    dir: TempDir,
    ends: Vec<(Position, Record)>,
}

impl History {
    fn journal(&self) -> PathBuf {
        self.dir.path().join("journal")
    }

    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // A database of its own, locked for writing: nothing is projected, so no segment goes.
        let database = dir.path().join("locked.db");
        let (ledger, _) = open(&dir.path().join("journal"), &database).await;
        let mut events = ledger.subscribe();
        let locked = ledger.store().clone();
        locked.close().await;
        for n in 0..60 {
            let mut admitted = records::admitted(n, 1_000 + n);
            if let Fact::Admitted(admission) = &mut admitted.fact {
                admission.metadata = serde_json::json!({ "note": "x".repeat(2_000) });
            }
            ledger.admit(admitted).await.unwrap();
            ledger.append(records::ringing(n, 1, 2_000 + n));
            if n % 2 == 0 {
                ledger.append(records::answered(n, 2, 3_000 + n));
            }
            if n % 3 == 0 {
                ledger.append(records::ended(n, 3, 4_000 + n));
            }
        }
        let mut ends = Vec::new();
        while ends.len() < 60 + 60 + 30 + 20 {
            let event = events.recv().await.unwrap();
            ends.push((event.position, Record::clone(&event.record)));
        }
        ledger.shutdown().await;
        Self { dir, ends }
    }

    /// A copy of the journal that ends at `cut`.
    fn cut(&self, cut: Position) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_cut(&self.journal(), &copy.path().join("journal"), cut);
        copy
    }
}

fn segments(dir: &Path) -> BTreeMap<u64, PathBuf> {
    let mut found = BTreeMap::new();
    for file in std::fs::read_dir(dir).unwrap() {
        let path = file.unwrap().path();
        if path.extension().is_some_and(|ext| ext == "journal") {
            found.insert(path.file_stem().unwrap().to_str().unwrap().parse().unwrap(), path);
        }
    }
    found
}

fn copy_cut(from: &Path, to: &Path, cut: Position) {
    std::fs::create_dir_all(to).unwrap();
    for (number, path) in segments(from).into_iter().filter(|(number, _)| *number <= cut.segment) {
        let mut bytes = std::fs::read(&path).unwrap();
        if number == cut.segment {
            bytes.truncate(cut.offset as usize);
        }
        std::fs::write(to.join(path.file_name().unwrap()), bytes).unwrap();
    }
}

/// What the outside would count: calls, CDRs, CDRs of interrupted calls, CDRs of answered interrupted calls.
async fn rows(database: &Path) -> [i64; 4] {
    let url = url(database);
    [
        number(&url, "SELECT count(*) FROM calls").await,
        number(&url, "SELECT count(*) FROM cdrs").await,
        number(&url, "SELECT count(*) FROM cdrs WHERE origin = 'interrupted'").await,
        number(&url, "SELECT count(*) FROM cdrs WHERE origin = 'interrupted' AND status = 'completed'").await,
    ]
}

/// What a prefix of the journal must come to.
fn expected<'a>(records: impl Iterator<Item = &'a Record>) -> [i64; 4] {
    let (mut calls, mut ended, mut answered) = (0, 0, BTreeMap::new());
    for record in records {
        match record.fact {
            Fact::Admitted(_) => calls += 1,
            Fact::Answered { .. } => drop(answered.insert(record.sid, ())),
            Fact::Ended(_) => {
                ended += 1;
                answered.remove(&record.sid);
            }
            _ => {}
        }
    }
    [calls, calls, calls - ended, answered.len() as i64]
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

#[test]
fn cut_at_any_byte_it_recovers_a_prefix_and_each_call_has_one_row_even_when_killed_again() {
    let runtime = runtime();
    let history = runtime.block_on(History::new());
    let sizes: Vec<(u64, u64)> =
        segments(&history.journal()).into_iter().map(|(n, path)| (n, path.metadata().unwrap().len())).collect();
    assert!(sizes.len() > 2, "the history spans segments: {sizes:?}");
    let total: u64 = sizes.iter().map(|(_, size)| size).sum();
    let config = ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(place in 0..total, again in 0.0..1.0f64, keep_database: bool)| {
        let mut left = place;
        let (segment, offset) = sizes.iter().copied().find(|(_, size)| {
            let here = left < *size;
            left -= if here { 0 } else { *size };
            here
        }).map(|(number, _)| (number, left)).unwrap();
        let cut = Position { segment, offset };
        let prefix: Vec<&Record> = history.ends.iter().filter(|(end, _)| *end <= cut).map(|(_, record)| record).collect();
        let expected = expected(prefix.iter().copied());
        runtime.block_on(async {
            let copy = history.cut(cut);
            let (journal, database) = (copy.path().join("journal"), copy.path().join("a.db"));
            let (ledger, recovered) = open(&journal, &database).await;
            assert_eq!(recovered.interrupted.len() as i64, expected[2]);
            settle(&ledger).await;
            assert!(ledger.live().is_empty() && ledger.live().active() == 0);
            ledger.shutdown().await;
            assert_eq!(rows(&database).await, expected, "cut at {cut:?}");

            // Killed again, somewhere in what the recovery wrote; with the database it had, or with none.
            let (last, path) = segments(&journal).pop_last().unwrap();
            let end = path.metadata().unwrap().len();
            let from = if last == segment { offset.min(end) } else { 0 };
            let second = Position { segment: last, offset: from + ((end - from) as f64 * again) as u64 };
            let journal2 = copy.path().join("journal2");
            copy_cut(&journal, &journal2, second);
            let database2 = if keep_database { database } else { copy.path().join("b.db") };
            let (ledger, _) = open(&journal2, &database2).await;
            // It goes on as before: a call from now on is projected too.
            ledger.admit(records::admitted(999, 9_000)).await.unwrap();
            ledger.append(records::ended(999, 1, 9_500));
            settle(&ledger).await;
            assert!(ledger.live().is_empty());
            ledger.shutdown().await;
            let after = rows(&database2).await;
            assert_eq!(after[0], after[1], "a row each");
            assert_eq!(number(&url(&database2), "SELECT count(*) FROM cdrs WHERE sid = 'CA000000000000000000000000000003e7'").await, 1);
            if keep_database {
                assert_eq!(after, [expected[0] + 1, expected[1] + 1, expected[2], expected[3]]);
            }
        });
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_outlives_many_segments_is_carried_over_and_the_journal_stays_small() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, database) = (dir.path().join("journal"), dir.path().join("a.db"));
    let (ledger, _) = open(&journal, &database).await;
    ledger.admit(records::admitted(0, 1_000)).await.unwrap();
    ledger.append(records::answered(0, 1, 2_000));
    for n in 1..1_500 {
        ledger.admit(records::admitted(n, 3_000 + n)).await.unwrap();
        ledger.append(records::ended(n, 1, 4_000 + n));
        if n % 100 == 0 {
            settle(&ledger).await;
        }
    }
    settle(&ledger).await;
    until("the first segment is gone", async || !segments(&journal).contains_key(&1)).await;
    assert!(ledger.octets().0 < SMALL, "{:?}", ledger.octets());
    ledger.shutdown().await;
    // Two starts: the first may find it carried over, the second must find it closed.
    let (ledger, recovered) = open(&journal, &database).await;
    assert_eq!(recovered.interrupted, [records::sid(0)]);
    settle(&ledger).await;
    ledger.shutdown().await;
    assert_eq!(rows(&database).await, [1_500, 1_500, 1, 1]);
    let (ledger, recovered) = open(&journal, &database).await;
    assert_eq!(recovered.interrupted, []);
    ledger.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_call_ended_at_the_last_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let journal = dir.path().join("journal");
    let (ledger, _) = open(&journal, &dir.path().join("a.db")).await;
    ledger.admit(records::admitted(0, 1_764_000_000_000)).await.unwrap();
    ledger.append(records::answered(0, 1, 1_764_000_001_000));
    settle(&ledger).await;
    let written = ledger.durable();
    until("a checkpoint is written", async || {
        tokio::task::yield_now().await;
        ledger.durable() > written
    })
    .await;
    // What a killed process leaves: the files as they are.
    copy_cut(&journal, &dir.path().join("killed"), ledger.durable());
    let (second, recovered) = open(&dir.path().join("killed"), &dir.path().join("b.db")).await;
    assert_eq!(recovered.interrupted, [records::sid(0)]);
    settle(&second).await;
    let ended = number(&url(&dir.path().join("b.db")), "SELECT ended_at FROM cdrs").await;
    assert_eq!(ended, 1_764_000_100_000, "the wall clock of the checkpoint");
    second.shutdown().await;
    ledger.shutdown().await;
}

#[tokio::test]
async fn a_journal_is_one_process_and_one_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, database) = (dir.path().join("journal"), dir.path().join("a.db"));
    let (ledger, _) = open(&journal, &database).await;
    let config = JournalConfig { dir: journal.clone(), max_octets: SMALL };
    let store = Store::open(&url(&database)).await.unwrap();
    let second = Ledger::open(config.clone(), store.clone(), &recordings(&journal), wall()).await.err().unwrap();
    assert!(second.to_string().contains("in use"), "{second}");
    ledger.shutdown().await;
    let other = dir.path().join("other");
    let (ledger, _) = open(&other, &dir.path().join("b.db")).await;
    ledger.shutdown().await;
    std::fs::copy(&segments(&other)[&1], journal.join("000000000002.journal")).unwrap();
    let mixed = Ledger::open(config, store, &recordings(&journal), wall()).await.err().unwrap();
    assert!(mixed.to_string().contains("another journal"), "{mixed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_older_segment_is_read_as_far_as_it_goes_and_said() {
    let history = History::new().await;
    let files = segments(&history.journal());
    let first = &files[&1];
    let mut bytes = std::fs::read(first).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(first, bytes).unwrap();
    let database = history.dir.path().join("b.db");
    let (ledger, recovered) = open(&history.journal(), &database).await;
    assert_eq!((recovered.damage.len(), recovered.damage[0].torn_tail, recovered.damage[0].at.segment), (1, false, 1));
    settle(&ledger).await;
    ledger.shutdown().await;
    let [calls, cdrs, ..] = rows(&database).await;
    assert!(calls == cdrs && calls > 30, "{calls} calls, {cdrs} CDRs");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_was_taken_and_not_written_yet_when_the_process_died_is_booked_once() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, database) = (dir.path().join("journal"), dir.path().join("a.db"));
    let (ledger, _) = open(&journal, &database).await;
    for n in 0..3 {
        ledger.append(records::admitted(n, 1_000 + n));
        ledger.append(records::ended(n, 1, 2_000 + n));
    }
    settle(&ledger).await;
    ledger.shutdown().await;
    // As signalling leaves it that dies before the writer has come to it: what came before is in the journal.
    let (daybook, lacking) = Daybook::open(&journal, SMALL).unwrap();
    assert_eq!(lacking, []);
    for n in 3..5 {
        daybook.note(&Arc::new(records::admitted(n, 3_000 + n)));
    }
    drop(daybook);
    let (ledger, recovered) = open(&journal, &database).await;
    assert_eq!((recovered.noted, recovered.interrupted), (2, vec![records::sid(3), records::sid(4)]));
    settle(&ledger).await;
    assert!(ledger.live().is_empty());
    ledger.append(records::admitted(5, 4_000));
    ledger.shutdown().await;
    assert_eq!(rows(&database).await, [6, 5, 2, 0]);
    let (ledger, recovered) = open(&journal, &database).await;
    assert_eq!((recovered.noted, recovered.interrupted), (0, vec![records::sid(5)]));
    settle(&ledger).await;
    ledger.shutdown().await;
    assert_eq!(rows(&database).await, [6, 6, 3, 0]);
    // A daybook that is older than the journal and the database: what they have is not taken up again.
    let path = journal.join("daybook");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..8].fill(0);
    std::fs::write(&path, bytes).unwrap();
    for (_, segment) in segments(&journal) {
        std::fs::remove_file(segment).unwrap();
    }
    let (ledger, recovered) = open(&journal, &database).await;
    assert_eq!((recovered.noted, recovered.interrupted), (0, vec![]));
    ledger.shutdown().await;
}
