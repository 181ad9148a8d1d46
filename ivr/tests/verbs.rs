//! The verbs in JSON that lead to documents, flows and others: the same machine as TwiML's.

use base::{Now, millis};
use ivr::{
    Answer, BridgeEnd, BridgeId, CallContext, FetchId, Input, ListenId, Next, Output, PlayId, Program, RecordId,
    Recording,
};
use serde_json::{Value, json};

struct Stage(Program, Option<u64>);

impl Stage {
    fn new(words: Value) -> Self {
        Self(Program::with_context(Answer::parse(&words).expect("a program"), CallContext::default()), None)
    }

    fn give(&mut self, input: Input) -> Vec<String> {
        self.give_at(input, 0)
    }

    fn give_at(&mut self, input: Input, ms: u64) -> Vec<String> {
        self.0.handle(input, Now::new(millis(ms), ms));
        let mut said = Vec::new();
        loop {
            match self.0.poll() {
                Output::Timeout(at) => break self.1 = at,
                output => said.push(output.to_string()),
            }
        }
        said
    }
}

#[test]
fn a_recording_without_an_action_leads_to_the_next_verb() {
    let mut stage = Stage::new(json!([{ "record": true, "max_s": 9, "beep": false }, { "say": "Thanks" }]));
    assert_eq!(stage.give(Input::Start), ["record 1 silence=5 max=9 trim"]);
    let ended = Input::RecordEnded { record: RecordId(1), recording: Recording::default() };
    assert_eq!(stage.give(ended), ["say 1 \"Thanks\""]);
}

#[test]
fn what_was_said_leads_to_other_and_nothing_to_none() {
    let words = || {
        json!({ "gather": [{ "say": "Yes?" }], "input": "both",
                "on": { "1": { "play": "one" }, "other": { "play": "other" }, "none": { "play": "none" } } })
    };
    let listen = ["listen 1 en-US max=60 silence=auto", "say 1 \"Yes?\""];
    let result = |text: &str| Input::SpeechResult { listen: ListenId(1), text: text.to_owned(), confidence: None };
    let mut spoken = Stage::new(words());
    assert_eq!(spoken.give(Input::Start), listen);
    assert_eq!(spoken.give(result("hello")), ["stop 1", "got \"hello\" Speech 1", "play 2 other"]);
    let mut silent = Stage::new(words());
    silent.give(Input::Start);
    assert_eq!(silent.give(result(" ")), ["stop 1", "got \"\" NoInput 1", "play 2 none"]);
    let mut pressed = Stage::new(words());
    pressed.give(Input::Start);
    assert_eq!(pressed.give(Input::Digit('1')), ["stop 1", "stop-listen 1", "got \"1\" MaxDigits 1", "play 2 one"]);
}

#[test]
fn a_result_of_another_listener_is_ignored() {
    let mut stage = Stage::new(json!({ "gather": true, "input": "speech" }));
    stage.give(Input::Start);
    let result = Input::SpeechResult { listen: ListenId(2), text: "late".to_owned(), confidence: None };
    assert!(stage.give(result).is_empty());
    assert!(stage.give(Input::SpeechStarted { listen: ListenId(9) }).is_empty());
    assert_eq!(stage.1, Some(millis(5_000)));
}

#[test]
fn only_what_is_heard_asks_for_an_answer() {
    for (words, next, first) in [
        (json!({ "say": "Hi" }), Next::Heard, "answer"),
        (json!({ "pause": 2 }), Next::Heard, ""),
        (json!({ "url": "https://a.example/x" }), Next::Early, "fetch 1"),
        (json!({ "flow": "menu" }), Next::Early, "flow 1 menu"),
        (json!({ "reject": 603 }), Next::Early, "reject 603"),
        (json!({ "bridge": "alice" }), Next::Bridge, "bridge 1 alice(30)"),
        (json!({ "bridge": "alice", "answer_on_bridge": false }), Next::Heard, "answer"),
        (json!({ "hangup": true }), Next::End, "hangup"),
        (json!({ "echo": true }), Next::Heard, "answer"),
        (json!({ "conference": "team" }), Next::Heard, "answer"),
    ] {
        let mut stage = Stage::new(words.clone());
        assert_eq!(stage.0.next(), next, "{words}");
        let said = stage.give(Input::Early);
        assert!(said.first().map_or("", String::as_str).starts_with(first), "{words}: {said:?}");
        assert_eq!(said.is_empty(), first.is_empty(), "{words}: {said:?}");
    }
}

#[test]
fn an_answer_is_asked_for_once() {
    let mut stage = Stage::new(json!([{ "say": "one" }, { "say": "two" }]));
    assert_eq!(stage.give(Input::Early), ["answer"]);
    assert!(stage.give(Input::Early).is_empty());
    assert_eq!(stage.give(Input::Start), ["say 1 \"one\""]);
    assert!(stage.give(Input::Start).is_empty());
    assert_eq!(stage.give(Input::PlayEnded { play: PlayId(1) }), ["say 2 \"two\""]);
}

#[test]
fn a_program_replaced_while_it_waits_for_its_answer_begins_with_it() {
    let mut stage = Stage::new(json!({ "say": "old" }));
    stage.give(Input::Early);
    stage.0.replace(Answer::parse(&json!({ "say": "new" })).expect("a program"), Now::default());
    assert_eq!(stage.0.poll(), Output::Timeout(None));
    assert_eq!(stage.give(Input::Start), ["say 1 \"new\""]);
}

#[test]
fn a_replaced_document_is_nobodys_current_one() {
    let mut stage = Stage::new(json!({ "url": "https://a.example/x" }));
    stage.give(Input::Start);
    stage.0.replace(Answer::parse(&json!({ "bridge": "bob" })).expect("a program"), Now::default());
    assert_eq!(stage.0.poll().to_string(), "bridge 1 bob(30) answer-on-bridge");
    let late = Input::Fetched { fetch: FetchId(1), result: Err(ivr::FetchFault::Timeout) };
    assert!(stage.give(late).is_empty());
    assert_eq!(stage.give(Input::BridgeEnded { bridge: BridgeId(1), end: BridgeEnd::default() }), ["hangup"]);
}

#[test]
fn a_flow_that_nobody_finds_fails_in_its_time() {
    let mut stage = Stage::new(json!({ "flow": "menu" }));
    assert_eq!(stage.give(Input::Start), ["flow 1 menu"]);
    assert_eq!(stage.1, Some(millis(10_000)));
    let said = stage.give_at(Input::Timeout, 10_000);
    assert_eq!(said[0], "warning 11200 there is no flow \"menu\"");
    assert!(said[1].contains("An application error has occurred"));
}
