//! What an operator puts in between, stops and hands to others while a program runs.

use base::{Now, millis};
use ivr::{Answer, BridgeEnd, BridgeId, CallContext, Input, NotNow, Output, PlayId, Program};
use serde_json::{Value, json};

struct Caller {
    program: Program,
    now: Now,
}

fn answer(words: Value) -> Answer {
    Answer::parse(&words).expect("a valid program")
}

impl Caller {
    /// An answered call that runs this.
    fn of(words: Value) -> Self {
        let mut caller = Self { program: Program::new(answer(words)), now: Now::default() };
        caller.program.handle(Input::Start, caller.now);
        caller
    }

    fn hears(&mut self, input: Input) -> Vec<String> {
        self.program.handle(input, self.now);
        self.says()
    }

    fn ended(&mut self, play: u32) -> Vec<String> {
        self.hears(Input::PlayEnded { play: PlayId(play) })
    }

    fn interject(&mut self, words: Value) -> Result<Vec<String>, NotNow> {
        self.program.interject(answer(words), self.now).map(|()| self.says())
    }

    /// What it asks for, up to the next wait; a wake is not shown.
    fn says(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            match self.program.poll() {
                Output::Timeout(_) => return lines,
                output => lines.push(output.to_string()),
            }
        }
    }
}

#[test]
fn what_is_put_in_between_stops_the_prompt_and_the_program_goes_on_behind_it() {
    let mut caller = Caller::of(json!([{"play": "first"}, {"play": "second"}]));
    assert_eq!(caller.says(), ["play 1 first"]);
    assert_eq!(caller.interject(json!({"play": "notice"})).unwrap(), ["stop 1", "play 2 notice"]);
    assert_eq!(caller.ended(1), [""; 0], "the stopped one's end says nothing");
    assert_eq!(caller.ended(2), ["play 3 second"]);
}

#[test]
fn a_gather_that_is_interrupted_is_asked_again_from_its_beginning() {
    let mut caller = Caller::of(json!([{"gather": "menu", "max_digits": 2, "on": {"12": {"play": "right"}}}]));
    assert_eq!(caller.says(), ["play 1 menu"]);
    assert_eq!(caller.hears(Input::Digit('9')), ["stop 1"]);
    assert_eq!(caller.interject(json!({"say": "One moment"})).unwrap(), ["say 2 \"One moment\""]);
    assert_eq!(caller.ended(2), ["play 3 menu"]);
    assert_eq!(caller.hears(Input::Digit('1')), ["stop 3"]);
    assert_eq!(caller.hears(Input::Digit('2')), ["got \"12\" MaxDigits 1", "play 4 right"]);
}

#[test]
fn a_question_in_between_is_answered_and_its_branch_runs_before_the_program_goes_on() {
    let mut caller = Caller::of(json!([{"play": "music", "loop": 0}, {"play": "after"}]));
    caller.says();
    let question = json!({"gather": "ready", "max_digits": 1, "on": {"1": {"play": "good"}}});
    assert_eq!(caller.interject(question).unwrap(), ["stop 1", "play 2 ready"]);
    assert_eq!(caller.hears(Input::Digit('1')), ["stop 2", "got \"1\" MaxDigits 1", "play 3 good"]);
    assert_eq!(caller.ended(3), ["play 4 after"]);
}

#[test]
fn sounds_are_heard_over_a_bridge_which_goes_on_and_questions_are_not() {
    let mut caller = Caller::of(json!([{"bridge": "bob"}, {"play": "after"}]));
    assert_eq!(caller.says(), ["bridge 1 bob(30) answer-on-bridge"]);
    caller.hears(Input::BridgeAnswered { bridge: BridgeId(1) });
    assert_eq!(caller.interject(json!([{"play": "a"}, {"play": "b"}])).unwrap(), ["play 1 a"]);
    assert_eq!(caller.ended(1), ["play 2 b"]);
    assert_eq!(caller.interject(json!({"gather": "menu"})), Err(NotNow::Joined));
    let over = Input::BridgeEnded { bridge: BridgeId(1), end: BridgeEnd::default() };
    assert_eq!(caller.hears(over), ["play 3 after", "stop 2"]);
}

#[test]
fn a_silence_in_between_lasts_as_long_as_it_says_also_over_a_bridge() {
    let mut caller = Caller::of(json!([{"bridge": "bob"}]));
    caller.says();
    caller.interject(json!([{"pause": 2}, {"play": "late"}])).unwrap();
    caller.now.mono = millis(1_999);
    assert_eq!(caller.hears(Input::Timeout), [""; 0]);
    caller.now.mono = millis(2_000);
    assert_eq!(caller.hears(Input::Timeout), ["play 1 late"]);
}

#[test]
fn nothing_is_put_into_a_call_that_is_not_answered_or_over() {
    let mut ringing = Program::new(answer(json!({"play": "a"})));
    assert_eq!(ringing.interject(answer(json!({"play": "b"})), Now::default()), Err(NotNow::NotAnswered));
    let mut over = Caller::of(json!({"hangup": true}));
    assert_eq!(over.interject(json!({"play": "b"})), Err(NotNow::Over));
}

#[test]
fn what_is_put_in_between_without_end_is_refused_at_last() {
    let mut caller = Caller::of(json!({"gather": "menu"}));
    let refused = (0..1_000).find_map(|_| caller.interject(json!({"gather": "again"})).err());
    assert_eq!(refused, Some(NotNow::TooDeep));
}

#[test]
fn stopping_goes_on_to_the_next_verb_and_lets_a_gather_wait_for_keys() {
    let mut caller = Caller::of(json!([{"play": "long", "loop": 0}, {"gather": "menu", "timeout_s": 3}]));
    caller.says();
    caller.program.hush(caller.now);
    assert_eq!(caller.says(), ["stop 1", "play 2 menu"]);
    caller.now.mono = millis(100);
    caller.program.hush(caller.now);
    assert_eq!(caller.says(), ["stop 2"]);
    caller.now.mono = millis(3_099);
    assert_eq!(caller.hears(Input::Timeout), [""; 0]);
    caller.now.mono = millis(3_100);
    assert_eq!(caller.hears(Input::Timeout), ["got \"\" NoInput 1", "hangup"]);
}

#[test]
fn a_program_that_stands_by_forgets_what_it_was_to_do_and_takes_something_new() {
    let mut caller = Caller::of(json!([{"play": "music", "loop": 0}, {"play": "never"}]));
    caller.says();
    caller.program.stand_by();
    assert_eq!(caller.says(), ["stop 1"]);
    assert!(caller.program.is_standing_by());
    assert_eq!(caller.interject(json!({"play": "over-it"})).unwrap(), ["play 2 over-it"]);
    caller.program.replace(answer(json!({"play": "new"})), caller.now);
    assert_eq!(caller.says(), ["stop 2", "play 3 new"]);
    assert_eq!(caller.ended(3), ["hangup"]);
}

#[test]
fn a_program_of_a_joined_leg_is_over_when_the_call_is() {
    let mut caller = Caller { program: Program::standing_by(CallContext::default()), now: Now::default() };
    caller.interject(json!({"play": "notice"})).unwrap();
    assert_eq!(caller.hears(Input::Ended), [""; 0]);
    assert!(caller.program.is_done());
}

#[test]
fn targets_say_how_each_is_called_and_what_is_wrong_with_them() {
    let words = json!({"bridge": [{
        "to": "sip:bob@example.com", "timeout_s": 9, "send_digits": "ww12#", "screen_url": "https://a.example/screen",
        "status_callback": "https://a.example/leg", "status_callback_events": ["ringing", "completed"],
        "username": "us", "password": "secret", "headers": {"X-Order": "7"},
    }]});
    let program = Answer::parse(&words).unwrap();
    let ivr::Verb::Bridge(bridge) = &program.verbs()[0] else { panic!("a bridge") };
    let target = &bridge.targets[0];
    assert_eq!((target.timeout_s, target.send_digits.as_deref()), (9, Some("ww12#")));
    assert_eq!(target.callback.as_ref().map(|told| told.events.len()), Some(2));
    assert_eq!(target.headers, [("X-Order".to_owned(), "7".to_owned())]);
    assert!(!serde_json::to_string(&program).unwrap().contains("secret"), "a password is not shown again");
    for (wrong, path) in [
        (json!({"to": "bob", "send_digits": "12x"}), "answer.bridge.send_digits"),
        (json!({"to": "bob", "username": "us"}), "answer.bridge.username"),
        (json!({"to": "bob", "headers": {"Via": "x"}}), "answer.bridge.headers.Via"),
        (json!({"to": "bob", "headers": {"X-A": "a\r\nVia: b"}}), "answer.bridge.headers.X-A"),
        (
            json!({"to": "bob", "status_callback": "https://a.example/", "status_callback_events": ["over"]}),
            "answer.bridge.status_callback_events",
        ),
        (json!({"to": "bob", "digits": "1"}), "answer.bridge.digits"),
    ] {
        let error = Answer::parse(&json!({ "bridge": wrong })).unwrap_err();
        assert_eq!(error.path, path, "{error}");
    }
}
