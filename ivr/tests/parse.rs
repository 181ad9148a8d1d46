//! What a program may say, and what each mistake is answered with.

use ivr::limits::{MAX_BRANCHES, MAX_DEPTH, MAX_VERBS};
use ivr::{Answer, Sound, Verb};
use serde_json::{Value, json};

fn refused(value: Value) -> (String, String) {
    let error = Answer::parse(&value).expect_err("accepted");
    (error.path, error.message)
}

#[test]
fn reads_one_verb_and_several() {
    let one = Answer::parse(&json!({ "play": "welcome", "loop": 0 })).unwrap();
    assert!(
        matches!(one.verbs(), [Verb::Hear(Sound::Prompt(play))] if play.prompt.as_str() == "welcome" && play.repeat == 0)
    );
    let several = Answer::parse(&json!([{ "echo": true }, { "hangup": true }])).unwrap();
    assert_eq!(several.verbs(), [Verb::Echo, Verb::Hangup]);
}

#[test]
fn a_menu_takes_as_many_digits_as_its_longest_branch() {
    let max_digits = |value| match Answer::parse(&value).unwrap().verbs() {
        [Verb::Gather(gather)] => gather.max_digits,
        other => panic!("{other:?}"),
    };
    assert_eq!(max_digits(json!({ "gather": "menu", "on": { "1": [], "22": [], "none": [] } })), 2);
    assert_eq!(max_digits(json!({ "gather": "menu", "on": { "other": [] } })), 64);
    assert_eq!(max_digits(json!({ "gather": "menu", "on": { "1": [] }, "max_digits": 3 })), 3);
}

#[test]
fn writes_every_option_and_always_an_array() {
    let written = |value| serde_json::to_value(Answer::parse(&value).unwrap()).unwrap();
    assert_eq!(written(json!({ "play": "welcome" })), json!([{ "play": "welcome", "loop": 1 }]));
    assert_eq!(
        written(json!({ "gather": true, "finish_on": "", "on": { "#": { "hangup": true } } })),
        json!([{ "gather": true, "max_digits": 1, "timeout_s": 5, "finish_on": "", "attempts": 1,
                 "on": { "#": [{ "hangup": true }] } }])
    );
}

#[test]
fn reads_back_every_verb_that_it_writes() {
    let words = json!([
        { "play": "https://a.example/x.wav", "loop": 2 }, { "say": "Hello", "voice": "anna", "language": "de-DE" },
        { "pause": 3 },
        { "gather": ["menu", { "say": "Press one" }, { "pause": 1 }], "input": "both", "hints": "yes,no",
          "action": "https://a.example/g", "method": "GET", "action_on_empty": true },
        { "record": true, "max_s": 60, "finish_on": "#", "beep": false, "action": "https://a.example/r" },
        { "bridge": ["alice", { "to": "+15551234567", "timeout_s": 9 }], "mode": "sequential", "time_limit_s": 60,
          "hangup_on_star": true, "answer_on_bridge": false, "recorded": true, "action": "https://a.example/b" },
        { "conference": "team", "muted": true, "beep": "on_exit", "wait": "silence", "label": "bob", "recorded": true },
        { "refer": "sip:bob@a.example", "action": "https://a.example/t" }, { "reject": "busy" },
        { "flow": "voicemail", "with": { "box": "alice" } },
        { "url": "https://a.example/ivr", "fallback_url": "https://b.example/ivr", "fallback_method": "GET" },
        { "twiml": "<Response><Hangup/></Response>" }, { "redirect": "https://a.example/x" },
    ]);
    let answer = Answer::parse(&words).unwrap();
    let written = serde_json::to_value(&answer).unwrap();
    assert_eq!(Answer::parse(&written).unwrap(), answer);
    assert_eq!(
        written[3]["gather"],
        json!([{ "play": "menu", "loop": 1 }, { "say": "Press one", "loop": 1 }, { "pause": 1 }])
    );
    assert_eq!(written[8], json!({ "reject": 486 }));
}

#[test]
fn reads_back_what_it_writes_through_serde() {
    let answer = Answer::parse(&json!([{ "gather": "menu", "loop": 2, "on": { "1": { "play": "a" } } }])).unwrap();
    let text = serde_json::to_string(&answer).unwrap();
    assert_eq!(serde_json::from_str::<Answer>(&text).unwrap(), answer);
    assert!(serde_json::from_str::<Answer>(r#"{"paly":"a"}"#).unwrap_err().to_string().contains("answer.paly"));
}

#[test]
fn names_every_prompt_once_in_order() {
    let answer = Answer::parse(&json!([
        { "play": "welcome" },
        { "gather": "menu", "on": {
            "2": { "play": "sales" }, "1": [{ "gather": "welcome", "on": { "none": { "play": "sorry" } } }],
            "other": { "play": "wrong" }, "none": { "play": "menu" } } },
        { "play": "goodbye" },
    ]));
    assert_eq!(answer.unwrap().prompts(), ["welcome", "menu", "sorry", "sales", "wrong", "goodbye"]);
}

/// The path of a branch that has more digits than any gather, cut short.
const TOO_LONG: &str = "answer.gather.on.1111111111111111111111111111111111111111…";

/// (program, path, what the message must say)
#[test]
fn says_where_and_what_to_write_instead() {
    let table: Vec<(Value, &str, &str)> = vec![
        (json!("welcome"), "answer", r#"found "welcome""#),
        (json!(null), "answer", "found null"),
        (json!([]), "answer", "at least one verb"),
        (
            json!({}),
            "answer",
            "`play`, `say`, `pause`, `gather`, `record`, `bridge`, `conference`, `redirect`, `refer`",
        ),
        (json!([{ "echo": true }, 7]), "answer[1]", "found 7"),
        (json!([[{ "echo": true }]]), "answer[0]", "found an array"),
        (json!({ "paly": "welcome" }), "answer.paly", "did you mean `play`?"),
        (json!({ "Play": "welcome" }), "answer.Play", "did you mean `play`?"),
        (json!({ "loop": 0, "gahter": true }), "answer.gahter", "did you mean `gather`?"),
        (json!({ "zzz": 1 }), "answer", "no verb in this table"),
        (json!({ "queue": "sales" }), "answer.queue", "`queue` is not built yet: this version runs `play`"),
        (json!([{ "stream": "wss://a.example" }]), "answer[0].stream", "not built yet"),
        (json!([{ "bridge": [] }]), "answer[0].bridge", "nobody is called"),
        (json!([{ "bridge": 7 }]), "answer[0].bridge", "a target is a string"),
        (json!([{ "bridge": ["a b"] }]), "answer[0].bridge[0]", "a number (+15551234567), a user (alice)"),
        (json!([{ "bridge": [{ "number": "+1" }] }]), "answer[0].bridge[0].number", "a target has `to`"),
        (json!([{ "bridge": "a", "mode": "both" }]), "answer[0].bridge.mode", "`simultaneous` (all ring)"),
        (json!([{ "bridge": "a", "timeout_s": 0 }]), "answer[0].bridge.timeout_s", "a whole number from 1 to 600"),
        (json!([{ "bridge": "a", "timout_s": 9 }]), "answer[0].bridge.timout_s", "did you mean `timeout_s`?"),
        (json!({ "strem": "wss://x" }), "answer.strem", "did you mean `stream`?"),
        (json!({ "play": "a", "hangup": true }), "answer", "write an array of two tables"),
        (json!({ "play": "a", "say": "b" }), "answer", "here are `play` and `say`"),
        (json!({ "play": "a", "queue": "b" }), "answer.play.queue", "a table holds one verb"),
        (json!({ "play": "http://" }), "answer.play", "is no URL"),
        (json!({ "say": "" }), "answer.say", "1 to 4096 characters are said, these are 0"),
        (json!({ "say": "a".repeat(4_097) }), "answer.say", "these are 4097"),
        (json!({ "say": "a", "voice": "" }), "answer.say.voice", "1 to 256 characters"),
        (json!({ "pause": 0 }), "answer.pause", "whole seconds from 1 to 3600"),
        (json!({ "gather": ["a", { "hangup": true }] }), "answer.gather[1].hangup", "makes no sound"),
        (json!({ "gather": "m", "method": "GET" }), "answer.gather.method", "there is none"),
        (json!({ "gather": "m", "action": "/next" }), "answer.gather.action", "is relative"),
        (json!({ "gather": "m", "input": "ears" }), "answer.gather.input", "`keys`, `speech` or `both`"),
        (json!({ "record": "me" }), "answer.record", "write true"),
        (json!({ "record": true, "finish_on": "x" }), "answer.record.finish_on", "the keys that end it"),
        (json!({ "record": true, "max_s": 86_401 }), "answer.record.max_s", "from 1 to 86400"),
        (json!({ "conference": "" }), "answer.conference", "a name such as"),
        (json!({ "conference": "a", "beep": "loud" }), "answer.conference.beep", "on_enter"),
        (json!({ "conference": "a", "max_members": 251 }), "answer.conference.max_members", "from 2 to 250"),
        (json!({ "refer": "bob smith" }), "answer.refer", "a SIP URI"),
        (json!({ "reject": 200 }), "answer.reject", "a SIP status from 400 to 699"),
        (json!({ "url": "ftp://a.example/x" }), "answer.url", "begins with https://"),
        (json!({ "url": "https://a.example", "method": "PUT" }), "answer.url.method", "\"GET\" or \"POST\""),
        (json!({ "twiml": "<Response>" }), "answer.twiml", "line 1, column"),
        (json!({ "twiml": "<Call/>" }), "answer.twiml", "the outermost element is `Response`, not `Call`"),
        (json!({ "flow": "a/b" }), "answer.flow", "the name of a flow"),
        (json!({ "flow": "a", "with": { "b": 1 } }), "answer.flow.with.b", "a text"),
        (json!({ "play": true }), "answer.play", r#"a string such as "welcome"; found true"#),
        (json!({ "play": "" }), "answer.play", "is empty"),
        (json!({ "play": "../../etc/passwd" }), "answer.play", "'/'"),
        (json!({ "play": "a", "lop": 2 }), "answer.play.lop", "did you mean `loop`?"),
        (json!({ "play": "a", "timeout_s": 2 }), "answer.play.timeout_s", "it has `loop`"),
        (json!({ "play": "a", "loop": -1 }), "answer.play.loop", "from 0 to 1000 (0: for ever); found -1"),
        (json!({ "play": "a", "loop": 1001 }), "answer.play.loop", "found 1001"),
        (json!({ "play": "a", "loop": 1.5 }), "answer.play.loop", "a whole number"),
        (json!({ "play": "a", "loop": "2" }), "answer.play.loop", r#"found "2""#),
        (json!({ "echo": false }), "answer.echo", "write true, or leave the verb out"),
        (json!({ "echo": true, "loop": 1 }), "answer.echo.loop", "it has none"),
        (json!({ "hangup": "now" }), "answer.hangup", "write true"),
        (json!({ "gather": false }), "answer.gather", "found false"),
        (json!({ "gather": true, "loop": 2 }), "answer.gather.loop", "names none"),
        (
            json!([{ "hangup": true }, { "gather": "m", "max_digits": 0 }]),
            "answer[1].gather.max_digits",
            "from 1 to 64",
        ),
        (json!({ "gather": "m", "max_digits": 65 }), "answer.gather.max_digits", "found 65"),
        (json!({ "gather": "m", "max_digits": 4294967297u64 }), "answer.gather.max_digits", "from 1 to 64"),
        (json!({ "gather": "m", "timeout": 3 }), "answer.gather.timeout", "did you mean `timeout_s`?"),
        (json!({ "gather": "m", "timeout_s": 0 }), "answer.gather.timeout_s", "from 1 to 120"),
        (json!({ "gather": "m", "timeout_s": 121 }), "answer.gather.timeout_s", "from 1 to 120"),
        (json!({ "gather": "m", "attempts": 11 }), "answer.gather.attempts", "from 1 to 10"),
        (json!({ "gather": "m", "finish_on": "##" }), "answer.gather.finish_on", "one key of 0-9"),
        (json!({ "gather": "m", "finish_on": "x" }), "answer.gather.finish_on", r#"or "" for none"#),
        (json!({ "gather": "m", "finish_on": 5 }), "answer.gather.finish_on", "found 5"),
        (json!({ "gather": "m", "on": [] }), "answer.gather.on", "found an array"),
        (json!({ "gather": "m", "on": { "nnoe": [] } }), "answer.gather.on.nnoe", "did you mean `none`?"),
        (json!({ "gather": "m", "on": { "": [] } }), "answer.gather.on.", "the keys that lead here"),
        (json!({ "gather": "m", "on": { "x": [] } }), "answer.gather.on.x", "nothing a caller can enter"),
        (json!({ "gather": "m", "on": { "1": 5 } }), "answer.gather.on.1", "found 5"),
        (json!({ "gather": "m", "on": { "1": [{ "paly": "a" }] } }), "answer.gather.on.1[0].paly", "`play`"),
        (json!({ "gather": "m", "on": { "#": [] } }), "answer.gather.on.#", "set `finish_on` to another key"),
        (json!({ "gather": "m", "max_digits": 1, "on": { "12": [] } }), "answer.gather.on.12", "which is 1"),
        (json!({ "gather": "m", "on": { "1".repeat(65): [] } }), TOO_LONG, "which is 64"),
    ];
    for (program, path, says) in table {
        let (found, message) = refused(program.clone());
        assert!(found == path, "{program}: at {found}, not at {path}");
        assert!(message.contains(says), "{program}: {message:?} does not say {says:?}");
    }
}

#[test]
fn a_long_word_is_not_repeated_in_full() {
    let (path, message) = refused(json!({ "play": "a", "x".repeat(100_000): 1 }));
    assert!(path.len() < 200 && message.len() < 300);
}

fn nested(depth: usize) -> Value {
    (1..depth).fold(json!({ "hangup": true }), |inner, _| json!({ "gather": true, "on": { "1": inner } }))
}

#[test]
fn keeps_the_limits_of_verbs_depth_and_branches() {
    assert!(Answer::parse(&json!(vec![json!({ "play": "a" }); MAX_VERBS])).is_ok());
    let (path, message) = refused(json!(vec![json!({ "play": "a" }); MAX_VERBS + 1]));
    assert_eq!((path.as_str(), message.contains("at most 256 verbs")), ("answer[256]", true));

    assert!(Answer::parse(&nested(MAX_DEPTH)).is_ok());
    assert!(refused(nested(MAX_DEPTH + 1)).1.contains("at most 8 deep"));

    let wide = |n: usize| json!({ "gather": true, "on": (0..n).map(|i| (i.to_string(), json!([]))).collect::<serde_json::Map<_, _>>() });
    assert!(Answer::parse(&wide(MAX_BRANCHES)).is_ok());
    assert!(refused(wide(MAX_BRANCHES + 1)).1.contains("at most 64 branches"));
}

#[test]
fn of_one_who_is_called_it_can_be_found_out_who_answered() {
    let target = |machine: serde_json::Value| {
        let answer = json!({ "bridge": [{ "to": "alice", "machine_detection": machine }] });
        Answer::parse(&answer).map(|answer| match answer.verbs() {
            [Verb::Bridge(bridge)] => bridge.targets[0].machine.clone().map(|machine| *machine),
            other => panic!("{other:?}"),
        })
    };
    let callback = "https://app.example/amd";
    let said = json!({ "mode": "detect_message_end", "timeout_s": 20, "callback": callback });
    let found = target(said).expect("it may be said").expect("it is said");
    assert!(found.until_end && !found.waits, "{found:?}");
    assert_eq!(found.limit, std::time::Duration::from_secs(20));
    assert_eq!(found.callback.map(|callback| callback.url.to_string()).as_deref(), Some(callback));
    for (wrong, place) in [
        (json!(true), "machine_detection"),
        (json!({ "mode": "guess" }), "machine_detection.mode"),
        (json!({ "mode": "enable", "timeout_s": 2 }), "machine_detection.timeout_s"),
        (json!({ "mode": "enable", "loud": 1 }), "machine_detection.loud"),
    ] {
        let error = target(wrong).expect_err("refused");
        assert!(error.to_string().contains(place), "{error}");
    }
}
