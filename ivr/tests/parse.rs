//! What a program may say, and what each mistake is answered with.

use ivr::limits::{MAX_BRANCHES, MAX_DEPTH, MAX_VERBS};
use ivr::{Answer, Verb};
use serde_json::{Value, json};

fn refused(value: Value) -> (String, String) {
    let error = Answer::parse(&value).expect_err("accepted");
    (error.path, error.message)
}

#[test]
fn reads_one_verb_and_several() {
    let one = Answer::parse(&json!({ "play": "welcome", "loop": 0 })).unwrap();
    assert!(matches!(one.verbs(), [Verb::Play(play)] if play.prompt.as_str() == "welcome" && play.repeat == 0));
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
        (json!({}), "answer", "`play`, `gather`, `bridge`, `echo` and `hangup`"),
        (json!([{ "echo": true }, 7]), "answer[1]", "found 7"),
        (json!([[{ "echo": true }]]), "answer[0]", "found an array"),
        (json!({ "paly": "welcome" }), "answer.paly", "did you mean `play`?"),
        (json!({ "Play": "welcome" }), "answer.Play", "did you mean `play`?"),
        (json!({ "loop": 0, "gahter": true }), "answer.gahter", "did you mean `gather`?"),
        (json!({ "zzz": 1 }), "answer", "no verb in this table"),
        (json!({ "say": "hello" }), "answer.say", "`say` is not built yet: this version runs `play`"),
        (json!([{ "conference": "team" }]), "answer[0].conference", "not built yet"),
        (json!([{ "bridge": [] }]), "answer[0].bridge", "nobody is called"),
        (json!([{ "bridge": 7 }]), "answer[0].bridge", "a target is a string"),
        (json!([{ "bridge": ["a b"] }]), "answer[0].bridge[0]", "a number (+15551234567), a user (alice)"),
        (json!([{ "bridge": [{ "number": "+1" }] }]), "answer[0].bridge[0].number", "a target has `to`"),
        (json!([{ "bridge": "a", "mode": "both" }]), "answer[0].bridge.mode", "`simultaneous` (all ring)"),
        (json!([{ "bridge": "a", "timeout_s": 0 }]), "answer[0].bridge.timeout_s", "a whole number from 1 to 600"),
        (json!([{ "bridge": "a", "timout_s": 9 }]), "answer[0].bridge.timout_s", "did you mean `timeout_s`?"),
        (json!({ "strem": "wss://x" }), "answer.strem", "did you mean `stream`?"),
        (json!({ "play": "a", "hangup": true }), "answer", "write an array of two tables"),
        (json!({ "play": "a", "say": "b" }), "answer.play.say", "a table holds one verb"),
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
