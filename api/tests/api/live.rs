//! Live calls, steered by HTTP: what the switch is told, and what a call's state forbids.

use crate::records;
use crate::support::{Answer, Board};
use serde_json::{Value, json};
use switch::{CallSid, Command, Fact, RecordOrder, Steer};

impl Board {
    /// A call that is answered, with these facts after it.
    async fn answered(&self, facts: Vec<Fact>) -> CallSid {
        // What a bridge rings with: built into the program, and not into this board.
        let prompts = self.dir.path().join("prompts");
        std::fs::create_dir_all(&prompts).unwrap();
        std::fs::write(prompts.join("ringback.wav"), include_bytes!("../../../sounds/ringback.wav")).unwrap();
        let sid = self.call().await;
        let after = facts.into_iter().map(|fact| records::record(0, 0, 1_764_000_003_000, fact));
        self.happens(sid, std::iter::once(records::answered(0, 0, 1_764_000_002_000)).chain(after).collect());
        sid
    }

    async fn steer(&self, sid: CallSid, what: &str, body: Value) -> Answer {
        self.post(&format!("/v1/calls/{sid}/{what}"), body).await
    }

    fn last(&self) -> Command {
        self.inbox.taken().pop().unwrap()
    }
}

#[tokio::test]
async fn what_is_asked_of_a_live_call_is_accepted_and_told_to_the_switch() {
    let board = Board::new().await;
    let sid = board.answered(Vec::new()).await;
    for (what, body, told) in [
        ("play", json!({"play": "welcome", "loop": 2}), "Interject"),
        ("say", json!({"say": "Hello", "language": "en-GB"}), "Interject"),
        ("gather", json!({"gather": "welcome", "max_digits": 1, "on": {"1": {"hangup": true}}}), "Interject"),
        ("stop", json!({}), "Stop"),
        ("digits", json!({"digits": "12w3#"}), "Digits(\"12w3#\")"),
        ("hold", json!({"hold": true}), "Hold(true)"),
        ("hold", json!({"hold": false}), "Hold(false)"),
        ("mute", json!({"mute": "inbound"}), "Mute { inbound: true, outbound: false }"),
        ("mute", json!({"mute": "none"}), "Mute { inbound: false, outbound: false }"),
        (
            "record",
            json!({"record": "start", "channels": 2, "max_s": 60}),
            "Start { dual: true, beep: false, max_s: Some(60) }",
        ),
        ("transfer", json!({"transfer": "sip:bob@example.com", "by": "refer"}), "Refer(\"sip:bob@example.com\")"),
    ] {
        let answer = board.steer(sid, what, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.json()["sid"].clone()),
            (202, json!(sid.to_string())),
            "{}",
            answer.text
        );
        let last = board.last();
        let Command::Steer { sid: meant, steer } = &last else { panic!("{last:?}") };
        assert!(*meant == sid && format!("{steer:?}").contains(told), "{what}: {steer:?}");
    }
    for (what, body) in
        [("transfer", json!({"transfer": "+15557654321", "timeout_s": 9})), ("bridge", json!({"bridge": "alice"}))]
    {
        assert_eq!(board.steer(sid, what, body).await.status.as_u16(), 202);
        let last = board.last();
        let Command::Replace { sid: meant, answer } = &last else { panic!("{last:?}") };
        assert!(*meant == sid && matches!(answer.verbs(), [ivr::Verb::Bridge(_)]), "{what}");
    }
}

#[tokio::test]
async fn a_call_that_is_not_answered_or_over_is_not_steered_and_the_state_is_named() {
    let board = Board::new().await;
    let bodies = [
        ("play", json!({"play": "welcome"})),
        ("say", json!({"say": "Hello"})),
        ("stop", json!({})),
        ("gather", json!({"gather": "welcome"})),
        ("digits", json!({"digits": "1"})),
        ("hold", json!({"hold": true})),
        ("mute", json!({"mute": "both"})),
        ("record", json!({"record": "start"})),
        ("transfer", json!({"transfer": "bob"})),
        ("bridge", json!({"bridge": "bob"})),
    ];
    let queued = board.call().await;
    let ended = board.call().await;
    board.happens(ended, vec![records::answered(0, 0, 5), records::ended(0, 0, 9)]);
    let told = board.inbox.taken().len();
    for (what, body) in bodies {
        let problem = board.steer(queued, what, body.clone()).await.is_problem(409, "call_not_answered");
        assert!(problem["detail"].as_str().unwrap().contains("queued"), "{what}: {problem}");
        let problem = board.steer(ended, what, body.clone()).await.is_problem(409, "call_ended");
        assert!(problem["detail"].as_str().unwrap().contains("completed"), "{what}: {problem}");
        let nobody = "CA00000000000000000000000000000abc".parse().unwrap();
        board.steer(nobody, what, body).await.is_problem(404, "call_not_found");
    }
    assert_eq!(board.inbox.taken().len(), told, "the switch hears of none of it");
}

#[tokio::test]
async fn a_call_that_is_joined_is_asked_nothing_and_only_a_joined_one_is_transferred_to_another() {
    let board = Board::new().await;
    let other = board.answered(Vec::new()).await;
    let third = board.answered(Vec::new()).await;
    let free = board.answered(Vec::new()).await;
    let joined = board.answered(vec![Fact::Bridged { with: third }]).await;
    let room = Fact::Joined { conference: "CF00".to_owned(), name: "team".to_owned() };
    let member = board.answered(vec![room]).await;
    let question = json!({"gather": "welcome"});
    for sid in [joined, member] {
        board.steer(sid, "gather", question.clone()).await.is_problem(409, "call_joined");
        assert_eq!(board.steer(sid, "play", json!({"play": "welcome"})).await.status.as_u16(), 202);
    }
    let attended = json!({"transfer": other.to_string()});
    board.steer(free, "transfer", attended.clone()).await.is_problem(409, "call_not_joined");
    assert_eq!(board.steer(joined, "transfer", attended).await.status.as_u16(), 202);
    assert!(
        matches!(board.last(), Command::Steer { steer, .. } if matches!(*steer, Steer::Attend { with } if with == other))
    );
}

#[tokio::test]
async fn a_live_call_is_joined_with_another_answered_one_of_its_tenant_and_no_other() {
    let board = Board::new().await;
    let other = board.answered(Vec::new()).await;
    let sid = board.answered(vec![Fact::Bridged { with: other }, Fact::Unbridged { with: other }]).await;
    let ringing = board.call().await;
    let with = |other: CallSid| json!({"bridge": other.to_string()});
    assert_eq!(board.steer(sid, "bridge", with(other)).await.status.as_u16(), 202);
    board.steer(sid, "bridge", with(ringing)).await.is_problem(409, "other_call_not_answered");
    board.steer(sid, "bridge", with(sid)).await.is_problem(400, "invalid_value");
    let nobody = "CA00000000000000000000000000000abc".parse().unwrap();
    board.steer(sid, "bridge", with(nobody)).await.is_problem(404, "call_not_found");
    let joined = board.answered(vec![Fact::Bridged { with: other }]).await;
    board.steer(joined, "bridge", with(other)).await.is_problem(409, "calls_joined");
}

#[tokio::test]
async fn a_recording_that_does_not_run_is_neither_paused_nor_stopped() {
    let board = Board::new().await;
    let runs = Fact::Recording { recording: "RE01".to_owned(), channels: 1, owes: None };
    let sid = board.answered(vec![runs]).await;
    assert_eq!(board.steer(sid, "record", json!({"record": "pause", "recording": "RE01"})).await.status.as_u16(), 202);
    let paused = RecordOrder::Pause(Some("RE01".to_owned()));
    assert!(
        matches!(board.last(), Command::Steer { steer, .. } if matches!(&*steer, Steer::Record(order) if *order == paused))
    );
    board.steer(sid, "record", json!({"record": "stop", "recording": "RE02"})).await.is_problem(409, "not_recording");
    let none = board.answered(Vec::new()).await;
    for word in ["stop", "pause", "resume"] {
        board.steer(none, "record", json!({ "record": word })).await.is_problem(409, "not_recording");
    }
}

#[tokio::test]
async fn a_body_that_is_wrong_is_refused_and_says_what_to_write() {
    let board = Board::new().await;
    let sid = board.answered(Vec::new()).await;
    for (what, body, code, field) in [
        ("play", json!({"say": "Hello"}), "missing_field", "play"),
        ("play", json!({"play": "welcome", "lop": 2}), "invalid_value", "play.lop"),
        ("play", json!({"play": "unheard-of"}), "unknown_prompt", "answer"),
        ("say", json!({"say": ""}), "invalid_value", "say"),
        ("digits", json!({"digits": "12x"}), "invalid_value", "digits"),
        ("digits", json!({"digits": ""}), "invalid_value", "digits"),
        ("hold", json!({"hold": "yes"}), "invalid_value", "hold"),
        ("mute", json!({"mute": "in"}), "invalid_value", "mute"),
        ("record", json!({"record": "begin"}), "invalid_value", "record"),
        ("record", json!({"record": "start", "max_s": 0}), "invalid_value", "max_s"),
        ("record", json!({"record": "start", "recording": "RE01"}), "invalid_value", "recording"),
        ("transfer", json!({"transfer": "bob", "by": "post"}), "invalid_value", "by"),
        ("transfer", json!({"transfer": "bob, alice"}), "invalid_value", "transfer"),
        ("stop", json!({"all": true}), "unknown_field", "all"),
    ] {
        let problem = board.steer(sid, what, body.clone()).await.is_problem(400, code);
        assert_eq!(problem["field"], field, "{what} {body}: {problem}");
    }
}
