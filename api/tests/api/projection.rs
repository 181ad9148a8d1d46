//! The database as a projection: idempotent, in step with the journal, away and back. On SQLite and on
//! PostgreSQL.

use crate::records;
use crate::support::{Board, PATIENCE, databases, execute, execute_text, number, until};

async fn counts(url: &str) -> [i64; 4] {
    [
        number(url, "SELECT count(*) FROM calls").await,
        number(url, "SELECT count(*) FROM cdrs").await,
        number(url, "SELECT count(*) FROM events").await,
        number(url, "SELECT count(DISTINCT sid) FROM cdrs").await,
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn projecting_again_from_the_beginning_changes_nothing() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        for _ in 0..20 {
            let sid = board.call().await;
            board.completes(sid);
        }
        board.settle().await;
        assert_eq!(counts(&url).await, [20, 20, 100, 20]);
        let before = board.get("/v1/calls").await.text;
        execute(&url, "UPDATE projection SET segment = 0, segment_offset = 0").await;
        let board = board.again().await;
        board.settle().await;
        assert_eq!(counts(&url).await, [20, 20, 100, 20]);
        assert_eq!(board.get("/v1/calls").await.text, before);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_lost_is_rebuilt_from_what_the_journal_holds() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        let (live, ended) = (board.call().await, board.call().await);
        board.completes(ended);
        board.settle().await;
        for statement in ["DELETE FROM calls", "DELETE FROM facts", "DELETE FROM projection"] {
            execute(&url, statement).await;
        }
        // The call that lives goes on; its end makes its row, admission or not.
        board.completes(live);
        board.settle().await;
        assert_eq!(number(&url, "SELECT count(*) FROM cdrs").await, 1);
        execute(&url, "DELETE FROM projection").await;
        let board = board.again().await;
        board.settle().await;
        assert_eq!(counts(&url).await, [2, 2, 10, 2]);
        assert_eq!(board.recovered.interrupted, []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_database_away_calls_go_on_and_afterwards_each_has_one_row() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        let before = board.call().await;
        board.settle().await;
        execute(&url, "ALTER TABLE facts RENAME TO elsewhere").await;
        for _ in 0..30 {
            let sid = board.call().await;
            board.completes(sid);
        }
        board.completes(before);
        until("the outage is noticed", async || !board.ledger.progress().connected).await;
        assert_eq!(board.get("/health").await.json()["status"], "degraded");
        assert_eq!(board.get("/v1/calls?status=completed&limit=100").await.sids().len(), 31);
        execute(&url, "ALTER TABLE elsewhere RENAME TO facts").await;
        board.settle().await;
        assert_eq!(counts(&url).await, [31, 31, 155, 31]);
        assert!(board.ledger.progress().connected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_sqlite_delays_no_call() {
    let board = Board::new().await;
    let pool = sqlx::SqlitePool::connect(&board.url).await.unwrap();
    let lock = pool.begin_with("BEGIN EXCLUSIVE").await.unwrap();
    // As long as the lock is held no statement that writes comes to an end: a call that waited for one would have no 201.
    for _ in 0..40 {
        let sid = board.call().await;
        board.completes(sid);
    }
    assert_eq!(board.get("/v1/calls?status=completed&limit=100").await.sids().len(), 40);
    lock.rollback().await.unwrap();
    board.settle().await;
    assert_eq!(counts(&board.url).await, [40, 40, 200, 40]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_that_answers_nothing_delays_no_call_and_what_it_alone_knows_gets_503() {
    // SQLite stands still by a lock: above.
    let Some((url, dir)) = databases().await.into_iter().nth(1) else { return };
    let board = Board::open(dir, &url, 64 << 20).await;
    let before = board.call().await;
    board.completes(before);
    board.settle().await;
    let pool = sqlx::PgPool::connect(&url).await.unwrap();
    let mut lock = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE calls, facts, deliveries IN ACCESS EXCLUSIVE MODE").execute(&mut *lock).await.unwrap();
    for _ in 0..40 {
        let sid = board.call().await;
        board.completes(sid);
        assert_eq!(board.get(&format!("/v1/calls/{sid}")).await.json()["status"], "completed");
    }
    board.get(&format!("/v1/calls/{before}")).await.is_problem(503, "database_unavailable");
    lock.rollback().await.unwrap();
    board.settle().await;
    assert_eq!(counts(&url).await, [41, 41, 205, 41]);
    assert_eq!(board.get(&format!("/v1/calls/{before}")).await.json()["status"], "completed");
}

/// FAULTS.md row 13. That nothing waits for a statement is shown above, where none comes to an end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgresql_that_takes_two_seconds_over_each_statement_has_every_row_once() {
    let Some((url, dir)) = databases().await.into_iter().nth(1) else { return };
    let board = Board::open(dir, &url, 64 << 20).await;
    let slow =
        "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(2); RETURN NULL; END $$";
    execute(&url, slow).await;
    for table in ["calls", "facts", "projection"] {
        let before = format!("CREATE TRIGGER slow BEFORE INSERT ON {table} FOR EACH STATEMENT EXECUTE FUNCTION slow()");
        execute_text(&url, before).await;
    }
    let mut sids = Vec::new();
    for _ in 0..40 {
        let sid = board.call().await;
        board.completes(sid);
        assert_eq!(board.get(&format!("/v1/calls/{sid}")).await.json()["status"], "completed");
        sids.push(sid.to_string());
    }
    assert_eq!(board.get("/health").await.status, 200);
    tokio::time::timeout(PATIENCE * 5, board.ledger.settle()).await.expect("it comes to an end").unwrap();
    assert_eq!(counts(&url).await, [40, 40, 200, 40]);
    sids.reverse();
    assert_eq!(board.get("/v1/cdrs").await.sids(), sids);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_goes_on_where_it_stopped_and_closes_what_was_live() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        let (queued, talking, ended) = (board.call().await, board.call().await, board.call().await);
        board.happens(talking, vec![records::answered(0, 0, 1_764_000_002_000)]);
        board.completes(ended);
        let board = board.again().await;
        let mut interrupted = board.recovered.interrupted.clone();
        interrupted.sort_unstable();
        let mut open = vec![queued, talking];
        open.sort_unstable();
        assert_eq!(interrupted, open);
        board.settle().await;
        assert_eq!(counts(&url).await[..2], [3, 3]);
        for (sid, status, sip_status) in [(queued, "failed", None), (talking, "completed", Some(200))] {
            let call = board.get(&format!("/v1/calls/{sid}")).await.json();
            assert_eq!((&call["status"], &call["cause"]["origin"]), (&status.into(), &"interrupted".into()), "{call}");
            assert_eq!(call["cause"]["sip_status"].as_u64(), sip_status);
        }
        let board = board.again().await;
        assert_eq!(board.recovered.interrupted, []);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_peer_sent_is_stored_whatever_it_is() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        let sid = records::sid(5);
        let mut admitted = records::admitted(5, 1);
        if let switch::Fact::Admitted(admission) = &mut admitted.fact {
            admission.direction = switch::Direction::Inbound;
            admission.from = format!("null\u{0}byte{}", "\u{1f600}'\"".repeat(5_000));
            admission.to = "menu".into();
        }
        board.ledger.append(admitted);
        let mut end = records::ended(5, 1, u64::MAX);
        if let switch::Fact::Ended(cdr) = &mut end.fact {
            let cdr = std::sync::Arc::make_mut(cdr);
            cdr.from = "\u{0}".into();
            cdr.cause.reason = "\u{0}\r\nX: y".into();
            cdr.received.loss_percent = f64::NAN;
            cdr.received.jitter_ms = f64::INFINITY;
            cdr.sent.mos = Some(f64::NEG_INFINITY);
            cdr.duration_ms = u64::MAX;
        }
        board.ledger.append(end);
        board.settle().await;
        assert_eq!(counts(&url).await, [1, 1, 2, 1]);
        assert_eq!(board.get(&format!("/v1/calls/{sid}")).await.json()["received"]["jitter_ms"], 0.0);
        assert_eq!(board.get("/v1/cdrs").await.sids(), [sid.to_string()]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stray_message_after_the_end_is_a_line_of_the_ladder_and_nothing_more() {
    let board = Board::new().await;
    let sid = board.call().await;
    board.completes(sid);
    board.settle().await;
    let mut stray = records::message(0, 5, 1_764_000_009_000);
    stray.sid = sid;
    board.ledger.append(stray);
    board.settle().await;
    assert_eq!(counts(&board.url).await, [1, 1, 6, 1]);
    assert_eq!(board.get(&format!("/v1/calls/{sid}/ladder")).await.json()["items"].as_array().unwrap().len(), 2);
    assert_eq!(board.get(&format!("/v1/calls/{sid}")).await.json()["status"], "completed");
}
