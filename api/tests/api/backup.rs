//! Backups: taken while calls come and go, and put back elsewhere with nothing lost and nothing twice.

use crate::support::{Board, KEY, number};
use api::backup::{BackupError, Places};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

fn places(dir: &Path) -> Places {
    Places {
        database: format!("sqlite://{}/test.db", dir.display()),
        journal: dir.join("journal"),
        key_file: dir.join("tandem.key"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_before_a_backup_is_in_it_once_however_busy_the_switch_is() {
    let board = Arc::new(Board::new().await);
    let account = board.get("/v1/account").await.json();
    let mut before = BTreeSet::new();
    for nth in 0..40 {
        let sid = board.call().await;
        before.insert(sid.to_string());
        if nth % 2 == 0 {
            board.completes(sid);
        }
    }
    let busy = board.clone();
    let calls = tokio::spawn(async move {
        loop {
            let sid = busy.call().await;
            busy.completes(sid);
        }
    });
    let kept = tempfile::tempdir().unwrap();
    let copy = kept.path().join("copy");
    places(board.dir.path()).back_up(&copy).await.unwrap();
    calls.abort();
    assert!(!copy.with_added_extension("partial").exists());
    let again = places(board.dir.path()).back_up(&copy).await;
    assert!(matches!(again, Err(BackupError::Exists(place)) if place == copy));

    let place = Arc::new(tempfile::tempdir().unwrap());
    places(place.path()).restore(&copy).unwrap();
    let taken = places(place.path()).restore(&copy);
    assert!(matches!(taken, Err(BackupError::Exists(_))), "{taken:?}");
    let url = places(place.path()).database;
    let restored = Board::open(place, &url, 64 << 20).await;
    restored.settle().await;
    let mut found = BTreeSet::new();
    let mut cursor = String::new();
    loop {
        let page = restored.get(&format!("/v1/cdrs?limit=1000{cursor}")).await;
        for sid in page.sids() {
            assert!(found.insert(sid), "a CDR stands twice");
        }
        match page.json()["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert!(found.is_superset(&before), "lost: {:?}", before.difference(&found).collect::<Vec<_>>());
    let rows = number(&url, "SELECT COUNT(*) FROM calls").await;
    assert_eq!(usize::try_from(rows).unwrap(), found.len(), "each call has one CDR: live ones were interrupted");
    assert_eq!(restored.get_as(KEY, "/v1/account").await.json(), account, "the key file opens what it sealed");
}

#[tokio::test]
async fn a_database_that_is_not_sqlite_is_left_to_its_own_means() {
    let dir = tempfile::tempdir().unwrap();
    let elsewhere = Places { database: "postgres://tandem@localhost/tandem".into(), ..places(dir.path()) };
    let to = dir.path().join("copy");
    assert!(matches!(elsewhere.back_up(&to).await, Err(BackupError::NotSqlite)));
    assert!(matches!(elsewhere.restore(&to), Err(BackupError::NotSqlite)));
    assert!(!to.exists());
}
