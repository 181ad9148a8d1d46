//! Many at once.

use crate::support::{Board, call, number};
use axum::http::StatusCode;
use std::collections::BTreeSet;
use std::sync::Arc;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_posts_at_once_are_a_hundred_calls_with_a_row_each() {
    let board = Arc::new(Board::new().await);
    let mut posts = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let board = board.clone();
        posts.spawn(async move { board.post("/v1/calls", call()).await });
    }
    let mut sids = BTreeSet::new();
    while let Some(answer) = posts.join_next().await {
        let answer = answer.unwrap();
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        sids.insert(answer.sid());
    }
    assert_eq!(sids.len(), 100);
    assert_eq!(board.inbox.dialled().into_iter().collect::<BTreeSet<_>>(), sids);
    sids.iter().for_each(|sid| board.completes(*sid));
    board.settle().await;
    assert_eq!(number(&board.url, "SELECT count(*) FROM cdrs").await, 100);
    assert_eq!(number(&board.url, "SELECT count(*) FROM calls WHERE status = 'completed'").await, 100);
    assert_eq!(number(&board.url, "SELECT count(*) FROM events").await, 500);
    assert!(board.ledger.live().is_empty() && board.ledger.live().active() == 0);
}
