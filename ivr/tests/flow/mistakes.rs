//! What each mistake is answered with, in a flow and in the script of a caller.

use crate::errors;
use ivr::Flow;
use ivr::simulate::Step;
use serde_json::{Value, json};

/// (a step that is wrong, what it must say)
#[test]
fn says_what_to_write_instead_of_a_wrong_step() {
    let table = [
        (json!("hangup"), "a step is a table such as"),
        (json!({}), "a step does one thing"),
        (json!({ "press": "1", "hangup": true }), "a step does one thing"),
        (json!({ "pres": "1" }), "did you mean `press`?"),
        (json!({ "sleep": 1 }), "write one of press, speak"),
        (json!({ "press": "xyz" }), "keys of 0-9 * # A-D"),
        (json!({ "press": "" }), "1 to 64 keys"),
        (json!({ "press": "1".repeat(65) }), "1 to 64 keys"),
        (json!({ "press": 1 }), "found 1"),
        (json!({ "speak": true }), "found true"),
        (json!({ "speak": "a".repeat(8_193) }), "at most 8192 bytes"),
        (json!({ "wait_s": -1 }), "from 0 to 14400"),
        (json!({ "wait_s": 14_401 }), "from 0 to 14400"),
        (json!({ "wait_s": "1" }), "a whole number of seconds"),
        (json!({ "record_s": 1.5 }), "found 1.5"),
        (json!({ "hangup": false }), "write { \"hangup\": true }"),
        (json!({ "hangup": null }), "found null"),
        (json!({ "transfer": "canceled" }), "by a caller who hangs up"),
        (json!({ "transfer": "sleepy" }), "one of completed, busy, no-answer, failed"),
        (json!({ "http": 200 }), "such as { \"status\": 200"),
        (json!({ "http": { "status": 99 } }), "from 200 to 599"),
        (json!({ "http": { "status": 700 } }), "from 200 to 599"),
        (json!({ "http": { "stats": 200 } }), "`stats` means nothing here"),
        (json!({ "http": { "status": 200, "body": {} } }), "`body` is a text"),
        (json!({ "http": { "body": "x" } }), "a body comes with a status"),
    ];
    for (step, says) in table {
        let why = Step::parse(&step).expect_err("accepted");
        assert!(why.contains(says), "{step}: {why:?}, not {says:?}");
    }
}

#[test]
fn tells_everything_that_is_wrong_at_once() {
    let found = errors(json!({
        "start": "mneu", "zone": "Mars", "colour": 1,
        "variables": { "a b": "x", "n": 1 },
        "states": {
            "menu": { "menu": "menu", "on": { "1": "slaes", "x": "menu", "12": "menu" }, "max_digits": 1 },
            "sales": { "say": "{{nmae}}", "nxt": "menu" },
            "two": { "say": "a", "play": "b" },
            "none": {},
            "net": { "http": "https://{{from}}/x", "method": "PUT", "on": { "600": "menu" } },
        }
    }));
    let paths: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    for path in [
        "flow.colour",
        "flow.zone",
        "flow.variables.a b",
        "flow.variables.n",
        "flow.start",
        "flow.states.menu.on.1",
        "flow.states.menu.on.x",
        "flow.states.menu.on.12",
        "flow.states.sales.nxt",
        "flow.states.sales.say",
        "flow.states.two",
        "flow.states.none",
        "flow.states.net.http",
        "flow.states.net.method",
        "flow.states.net.on.600",
    ] {
        assert!(paths.contains(&path), "{path} is not among {paths:#?}");
    }
    let says = |path: &str| found.iter().find(|(found, _)| found == path).map(|(_, message)| message.as_str()).unwrap();
    assert!(says("flow.start").contains("did you mean `menu`?"));
    assert!(says("flow.states.menu.on.1").contains("did you mean `sales`?"));
    assert!(says("flow.states.sales.nxt").contains("did you mean `next`?"));
    assert!(says("flow.states.net.http").contains("scheme and host written out"));
}

/// (state, path within it, what the message must say)
#[test]
fn says_what_to_write_instead() {
    let table: Vec<(Value, &str, &str)> = vec![
        (json!(7), "", "a state is a table"),
        (json!({ "mneu": true }), "", "did you mean `menu`?"),
        (json!({ "say": "{{x" }), ".say", "without `}}`"),
        (json!({ "say": "{{from|loud}}" }), ".say", "there is `digits`"),
        (json!({ "play": "../x" }), ".play", "'/'"),
        (json!({ "pause": 0 }), ".pause", "from 1 to 3600"),
        (json!({ "hear": "a" }), ".hear", "an array of sounds"),
        (json!({ "menu": true }), ".on", "a menu leads somewhere"),
        (json!({ "menu": true, "on": { "#": "s" } }), ".on.#", "set `finish_on`"),
        (json!({ "menu": true, "on": { "1": 5 } }), ".on.1", "the name of a state; found 5"),
        (json!({ "menu": true, "on": { "1": "s" }, "timeout_s": 0 }), ".menu.timeout_s", "from 1 to 120"),
        (json!({ "collect": true }), ".into", "keeps what is entered"),
        (json!({ "collect": true, "into": "a-b" }), ".into", "A-Z a-z 0-9 _"),
        (json!({ "set": { "x": 1 } }), ".set.x", "a text such as"),
        (json!({ "branch": [] }), ".branch", "1 to 64 tests"),
        (json!({ "branch": [{ "var": "nope", "equals": "1" }] }), ".branch[0].var", "there is no variable `nope`"),
        (json!({ "branch": [{ "var": "from" }] }), ".branch[0]", "one comparison of"),
        (json!({ "branch": [{ "var": "from", "less": "a" }] }), ".branch[0].less", "found \"a\""),
        (json!({ "hours": [{ "from": "9", "to": "17:00" }] }), ".hours[0].from", "a time such as"),
        (json!({ "hours": [{ "days": "mo", "from": "09:00", "to": "24:00" }] }), ".hours[0].days", "mon, tue"),
        (json!({ "hours": [{ "from": "+9:00", "to": "17:00" }] }), ".hours[0].from", "a time such as"),
        (json!({ "hours": vec![json!({ "from": "09:00", "to": "17:00" }); 65] }), ".hours", "at most 64 times"),
        (json!({ "hours": [], "except": ["soon"] }), ".except", "2026-12-25"),
        (json!({ "hours": [], "zone": "Nowhere" }), ".zone", "Europe/Berlin"),
        (json!({ "http": "/x" }), ".http", "scheme and host"),
        (json!({ "http": "https://a.example", "json": {}, "form": {} }), "", "not both"),
        (json!({ "http": "https://a.example", "json": {}, "method": "GET" }), ".json", "a GET carries no body"),
        (json!({ "http": "https://a.example", "on": { "0200": "s" } }), ".on.0200", "never happens here"),
        (json!({ "http": "https://a.example", "timeout_s": 16 }), ".timeout_s", "from 1 to 15"),
        (json!({ "transfer": [] }), ".transfer", "1 to 16 targets"),
        (json!({ "transfer": "a b" }), ".transfer", "a SIP URI"),
        (json!({ "transfer": "a", "on": { "sleepy": "s" } }), ".on.sleepy", "never happens here"),
        (json!({ "record": true, "finish_on": "x" }), ".finish_on", "keys of"),
        (json!({ "record": false }), ".record", "write true"),
        (json!({ "flow": "a b" }), ".flow", "the name of a flow"),
        (json!({ "hangup": 1 }), ".hangup", "write true"),
    ];
    for (state, place, says) in table {
        let found = errors(json!({ "start": "s", "states": { "s": state.clone() } }));
        let path = format!("flow.states.s{place}");
        let message = found.iter().find(|(found, _)| *found == path).map(|(_, message)| message);
        assert!(message.is_some_and(|message| message.contains(says)), "{state}: {found:?}, not {says:?} at {path}");
    }
    for (value, path) in [
        (json!([]), "flow"),
        (json!({}), "flow.states"),
        (json!({ "states": { "s": { "hangup": true } } }), "flow.start"),
        (json!({ "start": "s", "states": [] }), "flow.states"),
    ] {
        assert!(errors(value.clone()).iter().any(|(found, _)| found == path), "{value}");
    }
}

#[test]
fn says_what_is_wrong_with_the_words_of_a_menu() {
    let menu = |extra: Value| {
        let mut state = json!({ "menu": true, "on": { "1": "s", "2": "s" } });
        state.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        errors(json!({ "start": "s", "states": { "s": state } }))
    };
    for (extra, place, says) in [
        (json!({ "words": { "1": "a" } }), ".words", "where `input` is \"speech\" or \"both\""),
        (json!({ "input": "both" }), ".words", "what is said for each choice"),
        (json!({ "input": "both", "words": {} }), ".words", "what is said for each choice"),
        (json!({ "input": "both", "words": { "3": "a" } }), ".words.3", "`on` has no choice `3`"),
        (json!({ "input": "both", "words": { "1": [] } }), ".words.1", "1 to 16 texts"),
        (json!({ "input": "both", "words": { "1": "?!" } }), ".words.1", "with a word in it"),
        (json!({ "input": "both", "words": { "1": 1 } }), ".words.1", "with a word in it"),
        (json!({ "input": "both", "words": { "1": "Yes", "2": "yes!" } }), ".words.2", "is said for `1` already"),
        (json!({ "input": "speech", "words": { "1": "a" } }), ".on.2", "give it `words`"),
        (json!({ "input": "voice" }), ".menu.input", "`keys`, `speech` or `both`"),
    ] {
        let found = menu(extra.clone());
        let path = format!("flow.states.s{place}");
        let message = found.iter().find(|(found, _)| *found == path).map(|(_, message)| message);
        assert!(message.is_some_and(|message| message.contains(says)), "{extra}: {found:?}, not {says:?} at {path}");
    }
}

#[test]
fn keeps_its_limits() {
    let states = |n: usize| -> Value {
        let states: serde_json::Map<_, _> = (0..n).map(|i| (format!("s{i}"), json!({ "hangup": true }))).collect();
        json!({ "start": "s0", "states": states })
    };
    assert!(Flow::parse(&states(500)).is_ok());
    assert!(errors(states(501))[0].1.contains("at most 500 states"));
    let wrong: serde_json::Map<_, _> = (0..150).map(|i| (format!("s{i}"), json!({ "say": 1 }))).collect();
    let found = errors(json!({ "start": "s0", "states": wrong }));
    assert_eq!((found.len(), found[100].1.as_str()), (101, "and 50 more"));
}
