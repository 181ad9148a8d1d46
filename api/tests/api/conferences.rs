//! Conferences: seen by their members' records, worked on by commands, each tenant's its own.

use crate::records;
use crate::support::{Board, KEY};
use api::Scope;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use serde_json::json;
use switch::{CallSid, Command, Fact, MemberChange, RoomOrder, Steer};

const TEAM: &str = "CF00000000000000000000000000000001";
const SALES: &str = "CF00000000000000000000000000000002";

impl Board {
    /// A call that has entered this conference.
    async fn member(&self, conference: &str, name: &str) -> CallSid {
        let call = self.call().await;
        let joined = Fact::Joined { conference: conference.into(), name: name.into() };
        let facts = vec![records::answered(0, 0, 1_764_000_002_000), records::record(0, 0, 1_764_000_003_000, joined)];
        self.happens(call, facts);
        call
    }
}

#[tokio::test]
async fn conferences_are_what_their_members_records_say() {
    let board = Board::new().await;
    let (first, second) = (board.member(TEAM, "team").await, board.member(TEAM, "team").await);
    let third = board.member(SALES, "sales").await;
    assert_eq!(board.get("/v1/conferences").await.sids(), [TEAM, SALES]);
    assert_eq!(board.get("/v1/conferences?name=sales").await.sids(), [SALES]);
    let page = board.get("/v1/conferences?limit=1").await.json();
    assert_eq!(page["next_cursor"], TEAM, "{page}");
    assert_eq!(board.get(&format!("/v1/conferences?limit=1&cursor={TEAM}")).await.sids(), [SALES]);
    let one = board.get(&format!("/v1/conferences/{TEAM}")).await.json();
    assert_eq!((one["name"].clone(), one["participants"].clone()), (json!("team"), json!(2)), "{one}");
    let began = one["started_at"].clone();
    let late = board.call().await;
    let joined = Fact::Joined { conference: SALES.into(), name: "sales".into() };
    board.happens(late, vec![records::record(0, 0, 1_764_000_009_000, joined)]);
    board.ends_at(third, 3, 1_764_000_010_000);
    let sales = board.get(&format!("/v1/conferences/{SALES}")).await.json();
    assert_eq!((&sales["started_at"], &sales["participants"]), (&began, &json!(1)), "whoever began it has left");
    let third = late;
    let member = Fact::Member { conference: TEAM.into(), muted: true, deaf: false, held: false, coaches: Some(first) };
    let mut record = records::record(0, 3, 1_764_000_004_000, member);
    record.sid = second;
    board.ledger.append(record);
    let path = format!("/v1/conferences/{TEAM}/participants");
    let all = board.get(&path).await.json();
    let seen: Vec<_> = all["items"].as_array().unwrap().iter().map(|item| (&item["muted"], &item["coaches"])).collect();
    let coached = json!(first);
    assert!(seen.contains(&(&json!(false), &json!(null))) && seen.contains(&(&json!(true), &coached)), "{all:#}");
    assert_eq!(board.get(&format!("{path}/{second}")).await.json()["muted"], true);
    board.get(&format!("{path}/{third}")).await.is_problem(404, "participant_not_found");
    board.ends_at(third, 2, 1_764_000_011_000);
    board.get(&format!("/v1/conferences/{SALES}")).await.is_problem(404, "conference_not_found");
}

#[tokio::test]
async fn what_is_asked_of_a_conference_or_a_member_becomes_a_command() {
    let board = Board::new().await;
    let call = board.member(TEAM, "team").await;
    let path = format!("/v1/conferences/{TEAM}");
    for body in [json!({"announce": "welcome"}), json!({"record": true}), json!({"status": "completed"})] {
        let answer = board.post(&path, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    }
    let changed = board.post(&format!("{path}/participants/{call}"), json!({"muted": true, "held": false})).await;
    assert_eq!((changed.json()["muted"].clone(), changed.json()["deaf"].clone()), (json!(true), json!(false)));
    let kick = Request::delete(format!("{path}/participants/{call}")).header("authorization", format!("Bearer {KEY}"));
    assert_eq!(board.send(kick.body(Body::empty()).unwrap()).await.status, StatusCode::NO_CONTENT);
    let taken = board.inbox.taken();
    let orders: Vec<RoomOrder> = taken
        .iter()
        .filter_map(|command| match command {
            Command::Confer { tenant, conference, order } if tenant == "default" && conference == TEAM => {
                Some(order.clone())
            }
            _ => None,
        })
        .collect();
    assert_eq!(orders, [RoomOrder::Announce("welcome".into()), RoomOrder::Record(true), RoomOrder::End]);
    let steered = |command: &&Command| matches!(command, Command::Steer { sid, .. } if *sid == call);
    let [Command::Steer { steer: change, .. }, Command::Steer { steer: leave, .. }] =
        &taken.iter().filter(steered).collect::<Vec<_>>()[..]
    else {
        panic!("{taken:?}")
    };
    let wanted = MemberChange { muted: Some(true), held: Some(false), deaf: None };
    assert!(matches!(**change, Steer::Member(change) if change == wanted), "{change:?}");
    assert!(matches!(**leave, Steer::LeaveRoom), "{leave:?}");
}

#[tokio::test]
async fn what_cannot_be_done_is_said_and_not_sent() {
    let board = Board::new().await;
    let call = board.member(TEAM, "team").await;
    let (path, member) = (format!("/v1/conferences/{TEAM}"), format!("/v1/conferences/{TEAM}/participants/{call}"));
    let before = board.inbox.taken().len();
    board.post(&path, json!({})).await.is_problem(400, "missing_field");
    board.post(&path, json!({"record": true, "status": "completed"})).await.is_problem(400, "missing_field");
    board.post(&path, json!({"record": "yes"})).await.is_problem(400, "invalid_value");
    board.post(&path, json!({"status": "canceled"})).await.is_problem(400, "invalid_value");
    board.post(&path, json!({"anounce": "welcome"})).await.is_problem(400, "unknown_field");
    assert_eq!(board.post(&path, json!({"announce": "nothing-of-this-name"})).await.status, StatusCode::BAD_REQUEST);
    board.post(&member, json!({})).await.is_problem(400, "missing_field");
    board.post(&member, json!({"muted": 1})).await.is_problem(400, "invalid_value");
    assert_eq!(board.inbox.taken().len(), before);
}

#[tokio::test]
async fn another_tenants_conference_is_not_there() {
    let board = Board::new().await;
    let call = board.member(TEAM, "team").await;
    let other = api::create_key(board.ledger.store(), "other", &[Scope::Admin], 1).await.unwrap();
    assert!(board.get_as(&other, "/v1/conferences").await.sids().is_empty());
    let path = format!("/v1/conferences/{TEAM}");
    for path in [path.clone(), format!("{path}/participants"), format!("{path}/participants/{call}")] {
        board.get_as(&other, &path).await.is_problem(404, "conference_not_found");
    }
    board.post_as(&other, &path, json!({"status": "completed"})).await.is_problem(404, "conference_not_found");
    let member = format!("{path}/participants/{call}");
    board.post_as(&other, &member, json!({"muted": true})).await.is_problem(404, "conference_not_found");
    let kick = Request::delete(&member).header("authorization", format!("Bearer {other}"));
    board.send(kick.body(Body::empty()).unwrap()).await.is_problem(404, "conference_not_found");
    let read = api::create_key(board.ledger.store(), "default", &[Scope::Read], 1).await.unwrap();
    board.post_as(&read, &path, json!({"status": "completed"})).await.is_problem(403, "insufficient_scope");
}
