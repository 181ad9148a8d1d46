//! `POST /v1/routes/explain`: over which trunk a call would go, and why not over the others.

use crate::support::Board;
use api::{Scope, TrunkHealth, TrunkState, create_key};
use serde_json::{Value, json};

/// A board whose trunks are, beside "sim" that takes all numbers, these.
async fn board(trunks: &[Value]) -> Board {
    let board = Board::new().await;
    for trunk in trunks {
        let made = board.post("/v1/trunks", trunk.clone()).await;
        assert_eq!(made.status, 201, "{}", made.text);
    }
    board
}

fn trunk(name: &str, more: Value) -> Value {
    let mut trunk = json!({ "name": name, "uri": format!("sip:{name}.example.com") });
    trunk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    trunk
}

async fn explained(board: &Board, asked: Value) -> Value {
    let answer = board.post("/v1/routes/explain", asked).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json()
}

/// The trunks that would be tried, in order.
fn tried(explained: &Value) -> Vec<String> {
    let all = explained["candidates"].as_array().unwrap().iter();
    all.filter(|one| one["candidate"] == true).map(|one| one["trunk"].as_str().unwrap().to_owned()).collect()
}

/// Why, by code, of one trunk.
fn reasons(explained: &Value, trunk: &str) -> Vec<String> {
    let one = explained["candidates"].as_array().unwrap().iter().find(|one| one["trunk"] == trunk).unwrap();
    one["reasons"].as_array().unwrap().iter().map(|reason| reason["code"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn every_trunk_is_named_in_the_order_of_trial_with_why_not() {
    let trunks = [
        trunk("texas", json!({ "prefixes": ["+1832"], "number_form": "digits", "prepend": "99" })),
        trunk("dear", json!({ "prefixes": ["+1"], "costs": { "+1": "0.02" }, "group": "us" })),
        trunk(
            "cheap",
            json!({ "prefixes": ["+1"], "costs": { "+1": 0.01 }, "group": "us", "codecs": ["G722", "PCMU"] }),
        ),
        trunk("britain", json!({ "prefixes": ["+44"] })),
    ];
    let board = board(&trunks).await;
    let told = explained(&board, json!({ "to": "+18325550199", "from": "+18325550100" })).await;
    assert_eq!(tried(&told), ["texas", "cheap", "dear", "sim"]);
    assert_eq!(told["trunk"], "texas");
    assert_eq!(told["refused"], json!([]));
    assert_eq!(reasons(&told, "britain"), ["wrong_prefix"]);
    let first = &told["candidates"][0]["rank"];
    assert_eq!((&first["prefix"], &first["number"]), (&json!("+1832"), &json!("9918325550199")));
    let second = &told["candidates"][1]["rank"];
    assert_eq!((&second["cost_per_minute"], &second["codecs"]), (&json!(0.01), &json!(["G722", "PCMU"])));
    let group = explained(&board, json!({ "to": "+18325550199", "trunk": "us" })).await;
    assert_eq!(tried(&group), ["cheap", "dear"]);
    assert_eq!(reasons(&group, "texas"), ["not_asked_for"]);
}

#[tokio::test]
async fn a_trunk_that_rests_comes_last_and_one_that_is_full_is_passed_over_or_waited_for() {
    let board = board(&[trunk("first", json!({ "priority": 1 })), trunk("second", json!({ "priority": 2 }))]).await;
    let health = |change: fn(&mut TrunkHealth)| {
        let mut health = TrunkHealth { status: TrunkState::Connected, ..TrunkHealth::default() };
        change(&mut health);
        let mut sip = (**board.sip.load()).clone();
        sip.trunks.insert("first".to_owned(), health);
        board.sip.store(sip.into());
    };
    let asked = json!({ "to": "+18325550199" });
    health(|first| first.rests_until = Some(1_764_000_030_000));
    let told = explained(&board, asked.clone()).await;
    assert_eq!((tried(&told), &told["trunk"]), (vec!["second".into(), "sim".into(), "first".into()], &json!("second")));
    let first = told["candidates"][2].clone();
    assert_eq!(first["reasons"][0]["code"], "resting");
    assert_eq!(first["reasons"][0]["until"], "2025-11-24T16:00:30.000Z");
    health(|first| first.opens_at = Some(1_764_000_001_000));
    let told = explained(&board, asked.clone()).await;
    assert_eq!((reasons(&told, "first"), &told["trunk"]), (vec!["cps_full".into()], &json!("second")));
    health(|first| first.active_calls = 100);
    assert_eq!(reasons(&explained(&board, asked.clone()).await, "first"), ["calls_full"]);
    let waits = board.post("/v1/trunks/first", json!({ "when_full": "wait" })).await;
    assert_eq!(waits.status, 200, "{}", waits.text);
    assert_eq!(explained(&board, asked).await["trunk"], Value::Null, "it waits for the first");
}

#[tokio::test]
async fn what_the_call_would_be_refused_for_is_said_and_costs_nothing() {
    let board = board(&[]).await;
    let codes = |told: &Value| -> Vec<String> {
        told["refused"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap().to_owned()).collect()
    };
    let told = explained(&board, json!({ "to": "+4930901820", "from": "+18325550101", "trunk": "nosuch" })).await;
    assert_eq!(codes(&told), ["caller_id_not_owned", "country_not_open", "unknown_trunk"]);
    assert_eq!(told["trunk"], Value::Null);
    let limits = json!({ "name": "few", "limits": { "calls_per_second": 1 } });
    assert_eq!(board.post("/v1/tenants", limits).await.status, 201);
    let few = create_key(board.ledger.store(), "few", &[Scope::Read], 1).await.unwrap();
    for _ in 0..3 {
        let told = board.post_as(&few, "/v1/routes/explain", json!({ "to": "+18325550199" })).await.json();
        assert_eq!((codes(&told), &told["trunk"]), (vec![], &json!("sim")));
    }
    assert!(board.inbox.dialled().is_empty(), "something was dialled");
}

#[tokio::test]
async fn how_trunks_are_configured_is_an_operators_to_see() {
    let board = board(&[]).await;
    let other = create_key(board.ledger.store(), "other", &[Scope::Admin], 1).await.unwrap();
    let asked = json!({ "to": "+18325550199" });
    let told = board.post_as(&other, "/v1/routes/explain", asked.clone()).await.json();
    assert_eq!(told["candidates"][0]["trunk"], "sim");
    assert!(told["candidates"][0].get("rank").is_none(), "{told}");
    assert!(explained(&board, asked).await["candidates"][0].get("rank").is_some());
    board.post("/v1/routes/explain", json!({ "to": "911" })).await.is_problem(400, "invalid_number");
    board
        .post("/v1/routes/explain", json!({ "to": "+18325550199", "form": "x" }))
        .await
        .is_problem(400, "unknown_field");
}
