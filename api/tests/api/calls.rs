//! A call by HTTP, from its admission to its CDR.

use crate::records;
use crate::support::{Board, call, call_with, until};
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use switch::{Command, EndAs};

#[tokio::test]
async fn a_post_answers_201_with_the_call_and_the_switch_gets_it_after_its_prompt() {
    let board = Board::new().await;
    let made =
        board.post("/v1/calls", call_with(json!({ "trunk": "sim", "timeout_s": 7, "metadata": { "order": 7 } }))).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let body = made.json();
    assert_eq!(made.header("location"), format!("/v1/calls/{}", body["sid"].as_str().unwrap()));
    assert_eq!(body["status"], "queued");
    assert_eq!(body["direction"], "outbound-api");
    assert_eq!((&body["from"], &body["to"]), (&json!("+18325550100"), &json!("+18325550199")));
    assert_eq!(body["answer"], json!([{ "play": "welcome", "loop": 1 }]));
    assert_eq!((&body["metadata"], &body["trunk"]), (&json!({ "order": 7 }), &json!("sim")));
    assert!(body["queued_at"].as_str().unwrap().ends_with('Z') && body["cause"].is_null());
    match &board.inbox.taken()[..] {
        [Command::Prompt(prompt), Command::Originate(originate)] => {
            assert_eq!(prompt.name(), "welcome");
            assert_eq!((originate.sid, originate.timeout.as_secs()), (made.sid(), 7));
            assert_eq!(originate.trunk.as_deref(), Some("sim"));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_prompt_goes_to_the_switch_once_and_again_when_its_file_has_changed() {
    let board = Board::new().await;
    let prompts = || board.inbox.taken().iter().filter(|command| matches!(command, Command::Prompt(_))).count();
    board.call().await;
    board.call().await;
    assert_eq!(prompts(), 1);
    let dir = board.dir.path().join("prompts");
    std::fs::create_dir(&dir).unwrap();
    let wav = include_bytes!("../../../sounds/goodbye.wav");
    std::fs::write(dir.join("welcome.wav"), wav).unwrap();
    board.call().await;
    board.call().await;
    assert_eq!(prompts(), 2, "a file takes the place of a built-in sound of its name");
    std::fs::write(dir.join("welcome.wav"), &wav[..wav.len() / 2 * 2 - 1_000]).unwrap();
    let changed = board.post("/v1/calls", call()).await;
    assert!(changed.status == StatusCode::CREATED && prompts() == 3 || changed.json()["code"] == "unreadable_prompt");
}

#[tokio::test]
async fn a_call_is_seen_live_and_afterwards_with_its_cdr() {
    let board = Board::new().await;
    let sid = board.call().await;
    let path = format!("/v1/calls/{sid}");
    assert_eq!(board.get(&path).await.json()["status"], "queued");
    board.happens(sid, vec![records::ringing(0, 0, 1_764_000_001_000), records::answered(0, 0, 1_764_000_002_000)]);
    let live = board.get(&path).await.json();
    assert_eq!((&live["status"], &live["codec"]), (&json!("in-progress"), &json!("PCMU")));
    assert_eq!(live["answered_at"], "2025-11-24T16:00:02.000Z");
    assert!(live["ended_at"].is_null() && live["duration_ms"].is_null());
    board.happens(sid, vec![]);
    let mut end = records::ended(0, 3, 1_764_000_003_000);
    end.sid = sid;
    board.fit(&mut end);
    board.ledger.append(end);
    let ended = board.get(&path).await.json();
    board.settle().await;
    assert!(board.ledger.live().is_empty());
    assert_eq!(board.get(&path).await.json(), ended, "the database says what the live view said");
    assert_eq!(ended["status"], "completed");
    assert_eq!(ended["cause"]["sip_status"], 200);
    assert_eq!(ended["cause"]["q850"], 16);
    assert_eq!(ended["cause"]["origin"], "callee");
    assert_eq!(
        (&ended["billable_ms"], &ended["duration_ms"], &ended["pdd_ms"]),
        (&json!(1_000), &json!(2_000), &json!(120))
    );
    let quality = board.get(&format!("{path}/quality")).await.json();
    assert_eq!((&quality["received"]["mos"], &quality["sent"]["packets"]), (&json!(4.3), &json!(50)));
    let cdrs = board.get("/v1/cdrs").await.json();
    assert_eq!(cdrs["items"][0]["sid"], sid.to_string());
    assert_eq!(cdrs["items"][0]["cause"]["reason"], "OK");
}

#[tokio::test]
async fn events_and_ladder_are_the_same_live_and_from_the_database() {
    let board = Board::new().await;
    let sid = board.call().await;
    board.completes(sid);
    let paths = [format!("/v1/calls/{sid}/events"), format!("/v1/calls/{sid}/ladder")];
    let live = [board.get(&paths[0]).await.json(), board.get(&paths[1]).await.json()];
    board.settle().await;
    let stored = [board.get(&paths[0]).await.json(), board.get(&paths[1]).await.json()];
    assert_eq!(live, stored);
    let types: Vec<&str> = live[0]["items"].as_array().unwrap().iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["admitted", "ringing", "answered", "ended"]);
    assert_eq!(
        live[0]["items"][1],
        json!({ "seq": 1, "at": "2025-11-24T16:00:01.000Z", "type": "ringing", "data": { "sip_status": 180 } })
    );
    let line = &live[1]["items"][0];
    assert_eq!((&line["direction"], &line["cseq"]), (&json!("sent"), &json!("1 INVITE")));
    let first = board.get(&format!("{}?limit=3", paths[0])).await.json();
    assert_eq!(first["items"].as_array().unwrap().len(), 3);
    let rest =
        board.get(&format!("{}?limit=3&cursor={}", paths[0], first["next_cursor"].as_str().unwrap())).await.json();
    assert_eq!((rest["items"][0]["type"].as_str(), rest["next_cursor"].is_null()), (Some("ended"), true));
}

#[tokio::test]
async fn every_fact_there_is_survives_the_database() {
    use switch::{Fact, GatherEnd};
    let board = Board::new().await;
    let sid = board.call().await;
    let facts = vec![
        Fact::Dialing { trunk: "sim".into(), attempt: 1, sip_call_id: "a@b".into() },
        Fact::EarlyMedia { sip_status: 183 },
        Fact::AttemptFailed { trunk: "sim".into(), sip_status: None, reason: "silence".into() },
        Fact::Playing { prompt: "welcome".into() },
        Fact::Played { prompt: "welcome".into(), finished: false },
        Fact::Digit { digit: '#', duration_ms: 90 },
        Fact::Gathered { digits: "12".into(), reason: GatherEnd::FinishKey },
        Fact::NoMedia,
        Fact::MediaResumed,
    ];
    board.happens(sid, facts.into_iter().map(|fact| records::record(0, 0, 5, fact)).collect());
    let path = format!("/v1/calls/{sid}/events");
    let live = board.get(&path).await.json();
    board.settle().await;
    assert_eq!(board.get(&path).await.json(), live);
    assert_eq!(live["items"].as_array().unwrap().len(), 10);
}

fn ends(board: &Board) -> Vec<EndAs> {
    let how = |command| match command {
        Command::End { how, .. } => Some(how),
        _ => None,
    };
    board.inbox.taken().into_iter().filter_map(how).collect()
}

#[tokio::test]
async fn a_post_to_a_call_ends_it_cancels_it_or_replaces_its_program() {
    let board = Board::new().await;
    let sid = board.call().await;
    let path = format!("/v1/calls/{sid}");
    assert_eq!(board.post(&path, json!({ "status": "canceled" })).await.status, StatusCode::OK);
    let early = board.post(&path, json!({ "answer": { "hangup": true } })).await;
    early.is_problem(409, "call_not_answered");
    board.happens(sid, vec![records::answered(0, 0, 5)]);
    board.post(&path, json!({ "status": "canceled" })).await.is_problem(409, "call_answered");
    let replaced = board.post(&path, json!({ "answer": { "echo": true } })).await;
    assert_eq!((replaced.status, replaced.sid()), (StatusCode::OK, sid));
    assert!(
        board.inbox.taken().iter().any(|command| matches!(command, Command::Replace { sid: of, .. } if *of == sid))
    );
    assert_eq!(board.post(&path, json!({ "status": "completed" })).await.status, StatusCode::OK);
    assert_eq!(ends(&board), [EndAs::Canceled, EndAs::Completed]);
    for (body, code) in [
        (json!({}), "missing_field"),
        (json!({ "status": "ringing" }), "invalid_value"),
        (json!({ "status": "completed", "answer": { "echo": true } }), "invalid_value"),
        (json!({ "state": "completed" }), "unknown_field"),
        (json!({ "answer": { "play": "nowhere" } }), "unknown_prompt"),
    ] {
        board.post(&path, body).await.is_problem(400, code);
    }
}

#[tokio::test]
async fn an_ended_call_is_not_ended_again() {
    let board = Board::new().await;
    let sid = board.call().await;
    board.completes(sid);
    let path = format!("/v1/calls/{sid}");
    board.post(&path, json!({ "status": "completed" })).await.is_problem(409, "call_ended");
    board.settle().await;
    board.post(&path, json!({ "status": "completed" })).await.is_problem(409, "call_ended");
    assert_eq!(ends(&board), []);
}

#[tokio::test]
async fn a_full_inbox_refuses_before_the_admission_and_loses_nothing_after_it() {
    let board = Board::new().await;
    board.call().await;
    board.inbox.full.store(true, Ordering::Relaxed);
    let (router, request) = (board.router.clone(), board.post("/v1/calls", call()));
    tokio::pin!(request);
    // Admitted, and waiting for the inbox: the client hears nothing yet.
    until("the second call is admitted", async || {
        assert!(tokio::time::timeout(std::time::Duration::from_millis(1), &mut request).await.is_err());
        board.ledger.live().len() == 2
    })
    .await;
    let congested = board.post("/v1/calls", call()).await;
    congested.is_problem(503, "overloaded");
    assert_eq!(congested.header("retry-after"), "1");
    board.get("/readyz").await.is_problem(503, "overloaded");
    board.inbox.full.store(false, Ordering::Relaxed);
    let made = request.await;
    assert_eq!((made.status, board.inbox.dialled().len()), (StatusCode::CREATED, 2));
    drop(router);
}

#[tokio::test]
async fn a_client_that_goes_away_after_the_admission_leaves_no_call_undialled() {
    let board = Board::new().await;
    board.call().await;
    board.inbox.full.store(true, Ordering::Relaxed);
    {
        let request = board.post("/v1/calls", call());
        tokio::pin!(request);
        until("the call is admitted", async || {
            assert!(tokio::time::timeout(std::time::Duration::from_millis(1), &mut request).await.is_err());
            board.ledger.live().len() == 2
        })
        .await;
    }
    board.inbox.full.store(false, Ordering::Relaxed);
    until("the call is dialled", async || board.inbox.dialled().len() == 2).await;
}

#[tokio::test]
async fn draining_refuses_new_calls_and_serves_the_rest() {
    let board = Board::new().await;
    let sid = board.call().await;
    board.app.drain();
    let refused = board.post("/v1/calls", call()).await;
    refused.is_problem(503, "draining");
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(board.get(&format!("/v1/calls/{sid}")).await.status, StatusCode::OK);
    assert_eq!(board.post(&format!("/v1/calls/{sid}"), json!({ "status": "completed" })).await.status, StatusCode::OK);
    assert_eq!(board.get("/readyz").await.json()["code"], Value::from("draining"));
}

#[tokio::test]
async fn too_many_live_calls_are_refused_naming_the_limit_and_taken_when_one_ends() {
    let board = Board::new().await;
    let mut directory = crate::support::directory();
    directory.limits.concurrent_calls = 2;
    board.directory.store(directory.into());
    let first = board.call().await;
    board.call().await;
    let refused = board.post("/v1/calls", call()).await;
    let problem = refused.is_problem(429, "too_many_calls");
    assert!(problem["detail"].as_str().unwrap().contains("limits.concurrent_calls"), "{problem}");
    assert!(!refused.header("retry-after").is_empty());
    board.completes(first);
    board.call().await;
}
