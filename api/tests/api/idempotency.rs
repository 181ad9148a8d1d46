//! `Idempotency-Key`: one call however often it is sent, also over a restart.

use crate::support::{Answer, Board, KEY, call, call_with, databases, number};
use api::idempotency::Keyed;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

async fn post(board: &Board, api_key: &str, key: &str, body: &Value) -> Answer {
    let request = Request::post("/v1/calls").header("x-api-key", api_key).header("idempotency-key", key);
    let request = request.header(header::CONTENT_TYPE, "application/json").body(Body::from(body.to_string()));
    board.send(request.unwrap()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_key_and_body_give_the_first_answer_again_and_dial_once_also_after_a_restart() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        let first = post(&board, KEY, "order-7", &call()).await;
        assert_eq!(first.status, StatusCode::CREATED);
        let again = post(&board, KEY, "order-7", &call()).await;
        assert_eq!((again.status, &again.text), (StatusCode::CREATED, &first.text));
        assert_eq!((again.header("idempotency-replayed"), first.header("idempotency-replayed")), ("true", ""));
        assert_eq!(again.header("location"), first.header("location"));
        assert_eq!(board.inbox.dialled().len(), 1);
        board.completes(first.sid());
        // From the journal alone, then from the database alone.
        let board = board.again().await;
        assert_eq!(post(&board, KEY, "order-7", &call()).await.text, first.text);
        board.settle().await;
        assert_eq!(number(&url, "SELECT count(*) FROM idempotency").await, 1);
        let dir = board.dir.clone();
        board.ledger.shutdown().await;
        std::fs::remove_dir_all(dir.path().join("journal")).unwrap();
        let board = Board::open(dir, &url, 64 << 20).await;
        assert_eq!(post(&board, KEY, "order-7", &call()).await.text, first.text);
        post(&board, KEY, "order-7", &call_with(json!({ "to": "+18325550198" })))
            .await
            .is_problem(409, "idempotency_key_reused");
        assert!(board.inbox.dialled().is_empty());
        assert_eq!(post(&board, KEY, "order-8", &call()).await.status, StatusCode::CREATED);
        assert_eq!(board.inbox.dialled().len(), 1);
    }
}

#[tokio::test]
async fn a_request_that_was_refused_uses_no_key_up_and_a_key_is_its_tenants() {
    let board = Board::new().await;
    post(&board, KEY, "k", &call_with(json!({ "to": "x y" }))).await.is_problem(400, "invalid_number");
    let first = post(&board, KEY, "k", &call()).await;
    assert_eq!(first.status, StatusCode::CREATED);
    let other = api::create_key(board.ledger.store(), "other", &[api::Scope::Calls], 1).await.unwrap();
    let theirs = post(&board, &other, "k", &call_with(json!({ "from": "+18325550101" }))).await;
    assert_eq!(theirs.status, StatusCode::CREATED);
    assert_ne!(theirs.sid(), first.sid());
    // Whoever drains still says what was done.
    board.app.drain();
    assert_eq!(post(&board, KEY, "k", &call()).await.text, first.text);
    post(&board, KEY, "new", &call()).await.is_problem(503, "draining");
    for wrong in ["", &"x".repeat(256), "\u{7f}"] {
        let request = Request::post("/v1/calls").header("x-api-key", KEY).header("idempotency-key", wrong);
        let Ok(request) = request.body(Body::from(call().to_string())) else { continue };
        board.send(request).await.is_problem(400, "invalid_idempotency_key");
    }
}

#[tokio::test]
async fn two_at_once_are_one_call() {
    let board = Board::new().await;
    board.call().await;
    board.inbox.full.store(true, Ordering::Relaxed);
    let body = call();
    let first = post(&board, KEY, "k", &body);
    tokio::pin!(first);
    crate::support::until("the call is admitted", async || {
        assert!(tokio::time::timeout(std::time::Duration::from_millis(1), &mut first).await.is_err());
        board.ledger.live().len() == 2
    })
    .await;
    let second = post(&board, KEY, "k", &body).await;
    assert_eq!(second.status, StatusCode::CREATED, "{}", second.text);
    board.inbox.full.store(false, Ordering::Relaxed);
    assert_eq!(first.await.sid(), second.sid());
    assert_eq!(board.inbox.dialled().len(), 2);
}

#[tokio::test]
async fn a_key_whose_call_never_came_to_disk_makes_the_call() {
    use sha2::{Digest, Sha256};
    let board = Board::new().await;
    let digest = Sha256::digest(call().to_string());
    let body = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    let (tenant, key, sid) = ("default".into(), "k".into(), crate::records::sid(77));
    // What a journal that was cut between the key and its admission leaves.
    board.ledger.remembered().restore(Keyed { tenant, key, body, sid, at: 1_764_000_000_000 });
    let made = post(&board, KEY, "k", &call()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert!(made.sid() != sid && board.inbox.dialled() == [made.sid()]);
    assert_eq!(post(&board, KEY, "k", &call()).await.sid(), made.sid());
}
