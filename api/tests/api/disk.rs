//! The journal and the database on a disk that is full (FAULTS.md row 14): a tmpfs.

use crate::support::{Board, call_with, number, until};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A tmpfs that is unmounted when the test is over.
struct Tmpfs(PathBuf);

impl Tmpfs {
    fn mount(at: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", size, "tmpfs"]).arg(at).output();
        if done.is_ok_and(|output| output.status.success()) {
            return Some(Self(at.to_owned()));
        }
        eprintln!("SKIPPED: a tmpfs cannot be mounted here; what a full disk does is not tested");
        None
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

async fn on_a_small_disk() -> Option<(Board, Tmpfs)> {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let disk = Tmpfs::mount(&dir.path().join("journal"), "size=1m")?;
    let url = format!("sqlite://{}/test.db", dir.path().display());
    Some((Board::open(dir, &url, 1 << 20).await, disk))
}

fn heavy() -> serde_json::Value {
    call_with(json!({ "metadata": { "note": "x".repeat(15_000) } }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_nearly_full_journal_refuses_calls_takes_every_fact_of_those_that_live_and_recovers() {
    let Some((board, _disk)) = on_a_small_disk().await else { return };
    execute_away(&board).await;
    let mut admitted = Vec::new();
    let refused = loop {
        let answer = board.post("/v1/calls", heavy()).await;
        if answer.status.as_u16() != 201 {
            break answer;
        }
        admitted.push(answer.sid());
        assert!(admitted.len() < 100, "nothing is ever refused");
    };
    refused.is_problem(503, "journal_full");
    assert!(!refused.header("retry-after").is_empty() && admitted.len() > 10);
    board.get("/readyz").await.is_problem(503, "journal_full");
    for sid in admitted.iter().take(20) {
        board.happens(*sid, vec![crate::records::ringing(0, 0, 5), crate::records::answered(0, 0, 6)]);
    }
    crate::support::execute(&board.url, "ALTER TABLE elsewhere RENAME TO facts").await;
    for sid in &admitted {
        let seq = board.ledger.live().get(*sid).unwrap().last_seq;
        let mut end = crate::records::ended(0, seq + 1, 9);
        end.sid = *sid;
        if let switch::Fact::Ended(cdr) = &mut end.fact {
            Arc::make_mut(cdr).sid = *sid;
        }
        board.ledger.append(end);
    }
    board.settle().await;
    assert_eq!(number(&board.url, "SELECT count(*) FROM cdrs").await, admitted.len() as i64);
    until("calls are admitted again", async || board.post("/v1/calls", heavy()).await.status.as_u16() == 201).await;
}

/// The database takes nothing, so that the journal keeps everything.
async fn execute_away(board: &Board) {
    crate::support::execute(&board.url, "ALTER TABLE facts RENAME TO elsewhere").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_takes_nothing_loses_no_fact() {
    let Some((board, disk)) = on_a_small_disk().await else { return };
    let sid = board.call().await;
    board.settle().await;
    let ballast = disk.0.join("ballast");
    let filled = std::fs::write(&ballast, vec![0; 2 << 20]);
    assert!(filled.is_err(), "the disk is full");
    let lines = (1..400).map(|_| crate::records::message(0, 0, 5));
    board.happens(sid, lines.chain([crate::records::ended(0, 0, 9)]).collect());
    until("the failing disk is noticed", async || board.ledger.admits().is_err()).await;
    board.post("/v1/calls", heavy()).await;
    until("calls are refused", async || {
        let refused = board.post("/v1/calls", heavy()).await;
        refused.status.as_u16() == 503 && refused.json()["code"].as_str().unwrap().starts_with("journal_")
    })
    .await;
    assert_eq!(board.get(&format!("/v1/calls/{sid}")).await.json()["status"], "completed");
    std::fs::remove_file(&ballast).unwrap();
    board.settle().await;
    assert_eq!(number(&board.url, "SELECT count(*) FROM events WHERE kind = 'message'").await, 399);
    assert_eq!(number(&board.url, "SELECT count(*) FROM cdrs").await, 1);
    until("calls are admitted again", async || board.post("/v1/calls", heavy()).await.status.as_u16() == 201).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_whose_disk_is_full_costs_no_call_and_has_every_row_once_there_is_room() {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let Some(disk) = Tmpfs::mount(&dir.path().join("database"), "size=16m") else { return };
    let url = format!("sqlite://{}/database/test.db", dir.path().display());
    let board = Board::open(dir, &url, 64 << 20).await;
    let ballast = disk.0.join("ballast");
    assert!(std::fs::write(&ballast, vec![0; 32 << 20]).is_err(), "the disk is full");
    let mut made = 0;
    // Until it has run out of what it had.
    while board.ledger.progress().connected {
        assert!(made < 5_000, "a full disk takes everything");
        let sid = board.post("/v1/calls", heavy()).await.sid();
        board.completes(sid);
        made += 1;
    }
    let health = board.get("/health").await;
    assert_eq!((health.status.as_u16(), &health.json()["status"]), (200, &json!("degraded")));
    for _ in 0..10 {
        let sid = board.post("/v1/calls", heavy()).await.sid();
        board.completes(sid);
        made += 1;
    }
    std::fs::remove_file(&ballast).unwrap();
    board.settle().await;
    assert_eq!(number(&board.url, "SELECT count(*) FROM cdrs").await, made);
    until("it is healthy again", async || board.get("/health").await.json()["status"] == "healthy").await;
}
