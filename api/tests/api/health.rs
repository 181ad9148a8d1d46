//! `/health`, `/readyz`, `/v1/trunks`.

use crate::support::Board;
use api::{SipHealth, TrunkState};
use axum::http::StatusCode;
use serde_json::json;

#[tokio::test]
async fn health_answers_the_monitors_that_stand() {
    let board = Board::new().await;
    let sid = board.call().await;
    board.happens(sid, vec![crate::records::answered(0, 0, 5)]);
    let health = board.get("/health").await;
    assert_eq!(health.status, StatusCode::OK);
    assert_eq!(
        health.json(),
        json!({
            "status": "healthy",
            "database": { "status": "connected" },
            "redis": { "status": "disabled" },
            "sip": { "status": "connected", "trunks": { "sim": { "status": "connected", "active_calls": 3 } } },
            "freeswitch": { "status": "connected" },
            "ivr": { "activeSessions": 1 },
            "version": "0.0.0-test",
        })
    );
}

#[tokio::test]
async fn a_failing_trunk_or_database_is_degraded_and_a_dead_signalling_503() {
    let board = Board::new().await;
    let mut sip = SipHealth::clone(&board.sip.load());
    sip.trunks.get_mut("sim").unwrap().status = TrunkState::Failing;
    board.sip.store(sip.clone().into());
    let degraded = board.get("/health").await;
    assert_eq!((degraded.status, &degraded.json()["status"]), (StatusCode::OK, &json!("degraded")));
    sip.up = false;
    board.sip.store(sip.into());
    let dead = board.get("/health").await;
    assert_eq!(
        (dead.status, &dead.json()["freeswitch"]["status"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("disconnected"))
    );
    board.get("/readyz").await.is_problem(503, "sip_down");
    assert_eq!(board.get("/livez").await.status, StatusCode::OK);
}

#[tokio::test]
async fn with_the_database_away_health_is_degraded_and_calls_are_made() {
    let board = Board::new().await;
    board.ledger.store().close().await;
    let health = board.get("/health").await;
    assert_eq!((health.status, &health.json()["status"]), (StatusCode::OK, &json!("degraded")));
    assert_eq!(health.json()["database"]["status"], "disconnected");
    let sid = board.call().await;
    assert_eq!(board.get(&format!("/v1/calls/{sid}")).await.status, StatusCode::OK);
    assert_eq!(board.get(&format!("/v1/calls/{sid}/events")).await.json()["items"][0]["type"], "admitted");
    board.get("/v1/calls/CA00000000000000000000000000000001").await.is_problem(503, "database_unavailable");
    board.get("/v1/cdrs").await.is_problem(503, "database_unavailable");
}

#[tokio::test]
async fn trunks_are_listed_with_what_is_known_of_them() {
    let board = Board::new().await;
    let trunks = board.get("/v1/trunks").await.json();
    let known = |name: &str| trunks["items"][0][name].clone();
    assert_eq!(
        [known("name"), known("status"), known("active_calls"), known("managed_by")],
        [json!("sim"), json!("connected"), json!(3), json!("file")]
    );
    assert_eq!(trunks["items"].as_array().map(Vec::len), Some(1));
}
