//! Lists: pages, filters, the live view merged over the database, CSV.

use crate::records;
use crate::support::{Board, KEY, call_with, databases};
use axum::body::Body;
use axum::http::{Request, header};
use serde_json::json;
use std::collections::BTreeSet;

/// Every item of a list, page by page.
async fn all(board: &Board, list: &str, limit: usize) -> Vec<String> {
    let (mut sids, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = board.get(&format!("{list}limit={limit}{cursor}")).await;
        let body = page.json();
        assert!(page.sids().len() <= limit, "{}", page.text);
        sids.extend(page.sids());
        match body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return sids,
        }
    }
}

#[tokio::test]
async fn pages_have_every_call_once_the_newest_first_whether_live_or_ended() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        let mut made = Vec::new();
        for n in 0..25 {
            let sid = board.call().await;
            made.push(sid.to_string());
            if n % 3 == 0 {
                board.completes(sid);
            }
            if n % 7 == 0 {
                board.settle().await;
            }
        }
        made.reverse();
        for limit in [1, 2, 7, 24, 25, 26, 1000] {
            assert_eq!(all(&board, "/v1/calls?", limit).await, made, "limit {limit}");
        }
        let ended: BTreeSet<_> = all(&board, "/v1/calls?status=completed&", 2).await.into_iter().collect();
        assert_eq!(ended.len(), 9);
        board.settle().await;
        assert_eq!(all(&board, "/v1/calls?status=completed&", 2).await.len(), 9);
        assert_eq!(all(&board, "/v1/calls?status=queued&", 4).await.len(), 16);
        assert_eq!(all(&board, "/v1/cdrs?", 4).await.len(), 9);
    }
}

#[tokio::test]
async fn a_call_whose_row_is_stale_is_listed_as_it_is_live() {
    let board = Board::new().await;
    let sid = board.call().await;
    board.settle().await;
    board.happens(sid, vec![records::answered(0, 0, 5)]);
    assert_eq!(board.get("/v1/calls?status=queued").await.sids().len(), 0);
    assert_eq!(board.get("/v1/calls?status=in-progress").await.sids().len(), 1);
}

#[tokio::test]
async fn filters_take_the_calls_they_name() {
    let board = Board::new().await;
    board.call().await;
    let other = board.post("/v1/calls", call_with(json!({ "to": "+12079460000" }))).await.sid();
    board.completes(other);
    for settled in [false, true] {
        if settled {
            board.settle().await;
        }
        for (query, count) in [
            ("to=%2B12079460000", 1),
            ("to=+12079460000", 1),
            ("from=%2B18325550100", 2),
            ("from=%2B18325550101", 0),
            ("direction=outbound-api", 2),
            ("direction=inbound", 0),
            ("status=completed&to=%2B12079460000", 1),
            ("status=queued&to=%2B12079460000", 0),
        ] {
            let found = board.get(&format!("/v1/calls?{query}")).await;
            assert_eq!(found.sids().len(), count, "{query}, settled: {settled}");
        }
    }
}

#[tokio::test]
async fn cdrs_as_csv_are_complete_one_line_each_and_no_formula() {
    let board = Board::new().await;
    let sid = board.post("/v1/calls", call_with(json!({ "metadata": { "note": "=cmd|' /C calc'!A0" } }))).await.sid();
    let mut end = records::ended(0, 0, 1_764_000_009_000);
    if let switch::Fact::Ended(cdr) = &mut end.fact {
        let cdr = std::sync::Arc::make_mut(cdr);
        cdr.cause.reason = "=HYPERLINK(\"http://x\")\r\nSet-Cookie: y".into();
        cdr.from = "\u{0}=1+1".into();
    }
    board.happens(sid, vec![end]);
    for _ in 0..1_200 {
        let sid = board.call().await;
        board.completes(sid);
    }
    board.settle().await;
    let request = |query: &str| {
        let request = Request::get(format!("/v1/cdrs{query}")).header("x-api-key", KEY);
        request.header(header::ACCEPT, "text/csv;q=0.9, */*;q=0.1").body(Body::empty()).unwrap()
    };
    let csv = board.send(request("")).await;
    assert_eq!(csv.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(csv.text.lines().count(), 1_202);
    let columns = csv.text.lines().next().unwrap().split(',').count();
    let row = csv.text.lines().find(|line| line.contains(&sid.to_string())).unwrap();
    assert!(row.contains("\"'=HYPERLINK(\"\"http://x\"\")\\r\\nSet-Cookie: y\""), "{row}");
    assert!(row.contains("\"\\0=1+1\"") && row.contains("2025-11-24T"), "{row}");
    let plain = csv.text.lines().find(|line| !line.contains("note") && line.contains("callee")).unwrap();
    assert_eq!(plain.split("\",\"").count(), columns);
    assert_eq!(board.send(request("?limit=10")).await.text.lines().count(), 11);
}
