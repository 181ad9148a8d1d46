//! What is wanted of a call beside its program: recordings, answering-machine detection, callbacks in Twilio's form.

use crate::records;
use crate::support::{Board, call_with};
use serde_json::{Value, json};
use std::time::Duration;
use switch::{CallbackForm, Command, Fact, Originate};

impl Board {
    /// What the switch is asked for by such a POST.
    async fn asked(&self, fields: Value) -> Originate {
        let made = self.post("/v1/calls", call_with(fields)).await;
        assert_eq!(made.status.as_u16(), 201, "{}", made.text);
        match self.inbox.taken().pop() {
            Some(Command::Originate(originate)) => *originate,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_call_that_is_to_be_recorded_is_so_in_one_channel_or_two() {
    let board = Board::new().await;
    for (said, wished) in
        [(json!(true), Some(false)), (json!(1), Some(false)), (json!(2), Some(true)), (json!(false), None)]
    {
        assert_eq!(board.asked(json!({ "record": said })).await.wishes.record, wished, "{said}");
    }
}

#[tokio::test]
async fn who_answers_is_found_out_as_the_call_asks() {
    let board = Board::new().await;
    assert_eq!(board.asked(json!({})).await.wishes.machine, None);
    let plain = board.asked(json!({ "machine_detection": "enable" })).await.wishes.machine.unwrap();
    assert_eq!((plain.waits, plain.until_end, plain.limit), (true, false, Duration::from_secs(30)));
    let said = json!({ "machine_detection": {
        "mode": "detect_message_end", "async": true, "timeout_s": 9, "speech_threshold_ms": 3000,
        "callback": "https://app.example/amd",
    } });
    let said = board.asked(said).await.wishes.machine.unwrap();
    assert_eq!((said.waits, said.until_end, said.limit, said.speech_ms), (false, true, Duration::from_secs(9), 3_000));
    assert_eq!(said.callback.unwrap().url.as_str(), "https://app.example/amd");
}

#[tokio::test]
async fn a_call_that_runs_a_document_is_told_of_in_twilios_form() {
    let board = Board::new().await;
    for answer in [json!({ "url": "https://app.example/voice" }), json!({ "twiml": "<Response><Hangup/></Response>" })]
    {
        let fields = json!({
            "answer": answer, "status_callback": "https://app.example/status",
            "status_callback_events": ["initiated", "completed"],
        });
        let asked = board.asked(fields).await;
        board.happens(asked.sid, vec![records::ringing(0, 0, 5), records::answered(0, 0, 7), records::ended(0, 0, 9)]);
    }
    board.settle().await;
    let listed = board.get("/v1/webhooks").await.json();
    let kinds: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|delivery| &delivery["type"]).collect();
    assert_eq!(kinds, ["completed", "completed"], "and in no other form: {listed:#}");
    let words = json!({ "answer": { "url": "https://app.example/voice" }, "status_callback": "https://app.example/status",
        "status_callback_events": ["call.ended"] });
    board.post("/v1/calls", call_with(words)).await.is_problem(400, "invalid_value");
    let plain = board.asked(json!({ "status_callback": "https://app.example/status" })).await;
    let admitted = board.ledger.live().get(plain.sid).unwrap().status_callback.unwrap();
    assert_eq!((admitted.form, admitted.events), (CallbackForm::Standard, vec!["call.ended".to_owned()]));
}

#[test]
fn a_callback_that_an_earlier_version_has_written_down_is_a_standard_one() {
    let fact = json!({ "type": "admitted", "data": {
        "tenant": "default", "parent": null, "direction": "outbound-api", "from": "+1", "to": "+2", "trunk": null,
        "answer": [], "metadata": {}, "status_callback": { "url": "https://a.example/", "events": ["call.ended"] },
    } });
    let Fact::Admitted(admission) = serde_json::from_value(fact).unwrap() else { panic!("an admission") };
    assert_eq!(admission.status_callback.unwrap().form, CallbackForm::Standard);
}
