//! What whoever runs the switch asks: metrics, a drain.

use crate::support::{Board, KEY, PATIENCE, call};
use api::Scope;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::{Value, json};

async fn metrics(board: &Board) -> String {
    let answer = board.send(Request::get("/metrics").body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.header("content-type").starts_with("application/openmetrics-text"));
    assert!(answer.text.ends_with("# EOF\n"));
    answer.text
}

#[tokio::test]
async fn metrics_count_calls_requests_and_say_how_things_are() {
    let board = Board::new().await;
    board.call().await;
    let sid = board.call().await;
    board.completes(sid);
    board.get("/v1/calls/nothing%22%0a").await;
    board.settle().await;
    let text = metrics(&board).await;
    for line in [
        "tandem_calls_admitted_total{direction=\"outbound-api\"} 2",
        "tandem_calls_ended_total{direction=\"outbound-api\",trunk=\"sim\",status=\"completed\"} 1",
        "tandem_call_billable_seconds_total{trunk=\"sim\"} 1.0",
        "tandem_rtp_lost_packets_total{trunk=\"sim\"} 1",
        "tandem_call_pdd_seconds_count{trunk=\"sim\"} 1",
        "tandem_http_requests_total{method=\"POST\",route=\"/v1/calls\",status=\"201\"} 2",
        "tandem_http_requests_total{method=\"GET\",route=\"/v1/calls/{sid}\",status=\"404\"} 1",
        "tandem_calls_live 1",
        "tandem_database_connected 1",
        "tandem_database_behind_octets 0",
        "tandem_draining 0",
        "tandem_trunk_calls{trunk=\"sim\"} 3",
        "tandem_media_packets_sent_total{shard=\"0\"} 0",
        "tandem_sip_connections 2",
        "tandem_sip_datagrams_dropped_total{cause=\"inbox_full\"} 3",
        "tandem_sip_datagrams_dropped_total{cause=\"too_many\"} 4",
        "tandem_sip_streams_paced_total 5",
        "tandem_sip_connections_refused_total 6",
        "tandem_sip_accept_errors_total 7",
        "tandem_media_packets_dropped_total{shard=\"0\",cause=\"stranger\"} 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
    }
    assert!(!text.contains("nothing") && !text.contains(KEY));
}

async fn drain(board: &Board, key: &str) -> crate::support::Answer {
    board.post_as(key, "/v1/admin/drain", Value::Null).await
}

#[tokio::test]
async fn the_switch_is_drained_by_whoever_runs_it_and_by_no_tenant() {
    let board = Board::new().await;
    let tenants = api::create_key(board.ledger.store(), "default", &[Scope::Admin], 1).await.unwrap();
    drain(&board, &tenants).await.is_problem(403, "insufficient_scope");
    board.call().await;
    let done = drain(&board, KEY).await;
    assert_eq!((done.status, done.json()), (StatusCode::ACCEPTED, json!({ "status": "draining", "live": 1 })));
    board.post("/v1/calls", call()).await.is_problem(503, "draining");
    tokio::time::timeout(PATIENCE, board.app.drain_asked()).await.expect("the program hears of it");
    assert_eq!(drain(&board, KEY).await.status, StatusCode::ACCEPTED, "asking again changes nothing");
    assert!(metrics(&board).await.contains("tandem_draining 1"));
}

#[tokio::test]
async fn the_dashboard_and_the_alerts_ask_for_metrics_that_there_are() {
    let board = Board::new().await;
    let sid = board.call().await;
    board.completes(sid);
    board.settle().await;
    let text = metrics(&board).await;
    let there: Vec<&str> = text.lines().filter_map(|line| line.split([' ', '{']).next()).collect();
    for asked in [include_str!("../../../deploy/grafana.json"), include_str!("../../../deploy/alerts.yml")] {
        let word = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
        let names: Vec<&str> = asked.split(word).filter(|word| word.starts_with("tandem_")).collect();
        assert!(names.len() > 10);
        for name in names {
            assert!(there.contains(&name), "there is no {name} in\n{text}");
        }
    }
    let dashboard: Value = serde_json::from_str(include_str!("../../../deploy/grafana.json")).unwrap();
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 10));
}
