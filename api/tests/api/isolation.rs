//! Keys, scopes, rates, and that a tenant sees nothing of another's.

use crate::support::{Board, KEY, call, call_with, directory};
use api::Scope;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::json;
use std::io::Write;
use std::sync::{Arc, Mutex};

async fn key(board: &Board, tenant: &str, scope: Scope) -> String {
    api::create_key(board.ledger.store(), tenant, &[scope], 1).await.unwrap()
}

#[tokio::test]
async fn without_a_key_there_is_nothing_but_the_health_routes() {
    let board = Board::new().await;
    for (name, value) in [
        ("x-nothing", String::new()),
        ("authorization", "Bearer".into()),
        ("authorization", "Bearer ".into()),
        ("authorization", format!("Basic {KEY}")),
        ("authorization", format!("Bearer {}", &KEY[1..])),
        ("x-api-key", "tandem_0123456789012345678901234567890123456789abc".into()),
    ] {
        for path in
            ["/v1/calls", "/v1/cdrs", "/v1/trunks", "/v1/events", "/v1/calls/CA00000000000000000000000000000001"]
        {
            let request = Request::get(path).header(name, &value).body(Body::empty()).unwrap();
            let refused = board.send(request).await;
            assert_eq!(refused.status, StatusCode::UNAUTHORIZED, "{path} {name}: {value}");
            assert!(refused.header("www-authenticate").starts_with("Bearer"));
            assert!(["missing_key", "invalid_key"].contains(&refused.json()["code"].as_str().unwrap()));
            assert!(value.len() < 8 || !refused.text.contains(&value), "a key is not repeated");
        }
    }
    let in_the_url = Request::get(format!("/v1/calls?api_key={KEY}")).body(Body::empty()).unwrap();
    board.send(in_the_url).await.is_problem(401, "missing_key");
    for path in ["/health", "/livez", "/readyz"] {
        assert_eq!(board.send(Request::get(path).body(Body::empty()).unwrap()).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_scope_opens_what_it_says() {
    let board = Board::new().await;
    let (read, calls) = (key(&board, "default", Scope::Read).await, key(&board, "default", Scope::Calls).await);
    board.post_as(&read, "/v1/calls", call()).await.is_problem(403, "insufficient_scope");
    let made = board.post_as(&calls, "/v1/calls", call()).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let path = format!("/v1/calls/{}", made.sid());
    board.post_as(&read, &path, json!({ "status": "completed" })).await.is_problem(403, "insufficient_scope");
    assert_eq!(board.get_as(&read, &path).await.status, StatusCode::OK);
    assert_eq!(board.get_as(&calls, "/v1/cdrs").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_tenant_sees_ends_and_counts_nothing_of_anothers() {
    let board = Board::new().await;
    let other = key(&board, "other", Scope::Admin).await;
    let (live, ended) = (board.call().await, board.call().await);
    board.completes(ended);
    board.settle().await;
    for sid in [live, ended] {
        for tail in ["", "/events", "/ladder", "/quality"] {
            board.get_as(&other, &format!("/v1/calls/{sid}{tail}")).await.is_problem(404, "call_not_found");
        }
        for body in [json!({ "status": "completed" }), json!({ "answer": { "echo": true } })] {
            board.post_as(&other, &format!("/v1/calls/{sid}"), body).await.is_problem(404, "call_not_found");
        }
    }
    for list in ["/v1/calls", "/v1/calls?status=completed", "/v1/cdrs", "/v1/calls?from=%2B18325550100"] {
        assert!(board.get_as(&other, list).await.sids().is_empty(), "{list}");
    }
    let csv = Request::get("/v1/cdrs").header("x-api-key", &other).header(header::ACCEPT, "text/csv");
    assert_eq!(board.send(csv.body(Body::empty()).unwrap()).await.text.lines().count(), 1);
    board.post_as(&other, "/v1/calls", call()).await.is_problem(403, "caller_id_not_owned");
    let own = board.post_as(&other, "/v1/calls", call_with(json!({ "from": "+18325550101" }))).await;
    assert_eq!(own.status, StatusCode::CREATED);
    assert_eq!(board.get("/v1/calls").await.sids().len(), 2);
    assert_eq!(board.get_as(&other, "/v1/calls").await.sids(), [own.sid().to_string()]);
}

#[tokio::test]
async fn a_tenant_without_trunk_access_reaches_no_trunk() {
    let board = Board::new().await;
    let inward = key(&board, "inward", Scope::Admin).await;
    let refused = board.post_as(&inward, "/v1/calls", call_with(json!({ "from": "+18325550102" }))).await;
    refused.is_problem(403, "no_trunk_access");
}

#[tokio::test]
async fn each_key_has_its_own_rate_and_every_answer_says_what_is_left_of_it() {
    let board = Board::new().await;
    let mut limited = directory();
    limited.limits.api_requests_per_minute = 3;
    limited.tenants.get_mut("other").unwrap().api_requests_per_minute = Some(5);
    board.directory.store(limited.into());
    for left in [2, 1, 0] {
        let answer = board.get("/v1/trunks").await;
        assert_eq!(answer.status, StatusCode::OK);
        assert_eq!((answer.header("ratelimit-limit"), answer.header("ratelimit-remaining")), ("3", &*left.to_string()));
        assert!(answer.header("ratelimit-reset").parse::<u64>().unwrap() <= 60);
    }
    let refused = board.post("/v1/calls", call()).await;
    refused.is_problem(429, "rate_limited");
    assert_eq!((refused.header("ratelimit-remaining"), refused.header("ratelimit-limit")), ("0", "3"));
    assert!((1..=21).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
    let (second, other) = (key(&board, "default", Scope::Read).await, key(&board, "other", Scope::Read).await);
    assert_eq!(board.get_as(&second, "/v1/trunks").await.header("ratelimit-remaining"), "2");
    assert_eq!(board.get_as(&other, "/v1/trunks").await.header("ratelimit-remaining"), "4");
    board.get("/v1/calls/CA00000000000000000000000000000001").await.is_problem(429, "rate_limited");
}

/// Where a test's log goes.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_key_is_in_any_log_at_the_lowest_level() {
    let board = Board::new().await;
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone());
    // While there is one subscriber alone, tracing asks the thread that comes by a line first whether anybody hears it; with
    // two it asks both. Other tests' threads hear nothing.
    let second = tracing::Dispatch::new(tracing_subscriber::registry());
    let logging = tracing::subscriber::set_default(subscriber.finish());
    let made = key(&board, "default", Scope::Calls).await;
    assert_eq!(board.post_as(&made, "/v1/calls", call()).await.status, StatusCode::CREATED);
    let wrong = format!("tandem_{}", "w".repeat(43));
    board.get_as(&wrong, &format!("/v1/calls?key={wrong}")).await.is_problem(401, "invalid_key");
    board.get(&format!("/v1/calls?key={KEY}")).await.is_problem(400, "unknown_parameter");
    board.get("/v1/calls/x%0d%0a%1b[31mERROR%20made%20up%0d%0a").await;
    drop((logging, second));
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("/v1/calls") && text.contains("status=201"), "the log is heard: {text}");
    assert!(!text.contains('\u{1b}') && !text.contains("\nERROR made up"), "a client writes lines of the log: {text}");
    for secret in [KEY, &made, &wrong, "+18325550199"] {
        assert!(!text.contains(secret), "{secret} in: {text}");
    }
}
