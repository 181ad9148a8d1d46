//! Flows that go round: which are ended, which are warned of, and which go on.

use crate::{context, flow, menu, run};
use base::Now;
use ivr::{VOICEMAIL, simulate};
use serde_json::{Value, json};

#[test]
fn a_flow_that_goes_round_in_a_circle_is_ended() {
    let flow = flow(json!({ "start": "a", "states": {
        "a": { "set": { "x": "1" }, "next": "b" }, "b": { "set": { "x": "2" }, "next": "a" } } }));
    let lines = run(&flow, json!([]));
    assert!(lines[0].contains("200 states in a row without a second of the caller"), "{lines:?}");
    assert!(lines[1].contains("An application error has occurred"), "{lines:?}");
    assert_eq!(lines[2], "3 hangup");
}

#[test]
fn flows_that_call_one_another_for_ever_are_ended() {
    let deep = flow(json!({ "start": "a", "states": { "a": { "flow": "self" } } }));
    let found = deep.clone();
    let lines = simulate(&deep, &[], context(), &|_| Some(found.clone()), Now::default());
    assert!(lines.iter().any(|line| line.text.contains("at most 8 deep")), "{lines:?}");
    let missing = simulate(&deep, &[], context(), &|_| None, Now::default());
    assert!(missing.iter().any(|line| line.text.contains("there is no flow \"self\"")), "{missing:?}");
}

#[test]
fn a_flow_that_asks_for_ever_is_ended_with_the_call_and_after_it() {
    let asks = flow(json!({ "start": "r", "states": {
        "r": { "record": true, "next": "h" },
        "h": { "http": "https://a.example/x", "on": { "other": "h" } } } }));
    let afterwards = run(&asks, json!([{ "wait_s": 1 }, { "hangup": true }]));
    assert_eq!(afterwards.iter().filter(|line| line.contains("fetch")).count(), 10);
    assert!(afterwards.last().is_some_and(|line| line.contains("at most 10 requests when the caller has gone")));
    let live = run(&asks, json!([]));
    assert_eq!(live.iter().filter(|line| line.contains("fetch")).count(), 20);
    let error = live.iter().find(|line| line.contains("warning 11200")).expect("the record says why");
    assert!(error.contains("at the state \"h\"") && error.contains("put a `pause`"), "{error}");
    assert!(live.last().is_some_and(|line| line.ends_with("hangup")));
}

#[test]
fn a_flow_that_redials_whoever_is_gone_at_once_is_ended() {
    let redials = flow(json!({ "start": "t", "variables": { "who": "" },
        "states": { "t": { "transfer": "{{who}}", "next": "t" } } }));
    let lines = run(&redials, json!([]));
    assert!(lines[0].contains("20 requests, transfers and flows in a row"), "{lines:?}");
    assert_eq!(lines.last().map(String::as_str), Some("3 hangup"));
}

#[test]
fn a_second_of_the_callers_or_a_key_lets_a_flow_go_round() {
    let polls = |wait: Value| {
        let states = json!({ "h": { "http": "https://a.example/x", "next": "wait" }, "wait": wait });
        let lines = run(&flow(json!({ "start": "h", "states": states })), json!([{ "press": "1".repeat(64) }]));
        assert!(lines.iter().all(|line| !line.contains("warning")), "{lines:?}");
        lines.iter().filter(|line| line.contains("fetch")).count()
    };
    assert!(polls(json!({ "pause": 1, "next": "h" })) > 500, "it is heard for as long as the simulation lasts");
    // As many keys as are typed ahead ask at once, and then nobody presses one.
    let asked = polls(json!({ "menu": "m", "on": { "1": "h", "none": null } }));
    assert_eq!(asked, 65);
}

#[test]
fn warns_of_states_that_lead_back_to_themselves() {
    let warned = |states: Value| -> Vec<(String, String)> {
        let flow = flow(json!({ "start": "a", "states": states }));
        flow.warnings().iter().map(|warning| (warning.path.clone(), warning.message.clone())).collect()
    };
    let itself = warned(json!({ "a": { "http": "https://a.example/x", "on": { "failed": "a" }, "next": "b" },
        "b": { "hangup": true } }));
    assert_eq!(itself.len(), 1);
    assert_eq!(itself[0].0, "flow.states.a");
    assert!(itself[0].1.starts_with("leads back to itself (by `a`)"), "{itself:?}");
    assert!(itself[0].1.contains("put a `pause`"), "{itself:?}");
    // A longer one is told once, by its shortest way; the start may lead into it.
    let longer = warned(json!({ "a": { "set": { "x": "1" }, "next": "b" },
        "b": { "http": "https://a.example/x", "next": "c" },
        "c": { "branch": [{ "var": "http_status", "equals": "200", "next": "d" }], "else": "b" },
        "d": { "hours": [{ "from": "09:00", "to": "17:00" }], "open": "b", "closed": "e" }, "e": { "say": "Bye." } }));
    let paths: Vec<&str> = longer.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["flow.states.b", "flow.states.d"]);
    assert!(longer[0].1.contains("(by `b`, `c`)") && longer[1].1.contains("(by `d`, `b`, `c`)"), "{longer:?}");
    // Whoever hears something on the way is not hurried.
    assert_eq!(
        warned(json!({ "a": { "http": "https://a.example/x", "next": "b" }, "b": { "pause": 1, "next": "a" } })),
        []
    );
    assert!(menu().warnings().is_empty());
    assert!(flow(serde_json::from_str(VOICEMAIL).expect("JSON")).warnings().is_empty());
}
