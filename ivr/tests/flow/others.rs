//! Transfers, recordings and web servers, also when the caller has gone.

use crate::{flow, menu, run};
use ivr::Flow;
use serde_json::{Value, json};
use std::sync::Arc;

#[test]
fn a_transfer_that_fails_leads_to_voicemail_and_its_message_is_told_of() {
    let script = json!([{ "press": "1" }, { "transfer": "busy" }, { "record_s": 12 }, { "wait_s": 60 }]);
    let lines = run(&menu(), script);
    assert_eq!(
        lines[4..],
        [
            "0 bridge 1 +15551234567(20) alice(20) answer-on-bridge",
            "1 > the transfer ends: busy",
            "1 say 2 \"All are busy.\"",
            // 13 letters.
            "1 flow 2 voicemail",
            "1 say 3 \"Leave word for the shop.\"",
            "3 record 1 silence=5 max=180 beep trim",
            // Twelve seconds of speech, five of silence.
            "20 > the recording ends: 12 s",
            "20 say 4 \"Thank you. Your message has been left. Goodbye.\"",
            "23 hangup",
        ]
    );
}

fn mailbox() -> Arc<Flow> {
    flow(json!({ "start": "a", "states": {
        "a": { "flow": "voicemail", "with": { "box": "bob", "notify": "https://a.example/new?x=1" } } } }))
}

#[test]
fn a_message_is_told_of_also_when_the_caller_hangs_up() {
    let lines = run(&mailbox(), json!([{ "record_s": 9 }, { "wait_s": 3 }, { "hangup": true }]));
    assert_eq!(lines[2], "7 record 1 silence=5 max=180 beep trim");
    // Whoever hangs up has recorded what lies before it, silence and all.
    assert_eq!(lines[3..5], ["19 > hang up", "19 > the recording ends: 12 s"]);
    assert!(lines[5].starts_with("19 fetch 3 POST https://a.example/new?x=1 "), "{lines:?}");
    for told in ["box=bob", "from=+15550000001", "call_sid=CA1", "recording_seconds=12"] {
        assert!(lines[5].contains(told), "{lines:?}");
    }
    assert_eq!(lines[6..], ["19 > the server answers: 200"]);
}

#[test]
fn a_caller_who_says_nothing_has_left_no_message() {
    for script in [json!([]), json!([{ "record_s": 0 }]), json!([{ "wait_s": 600 }])] {
        let lines = run(&mailbox(), script);
        assert_eq!(lines[2], "7 record 1 silence=5 max=180 beep trim");
        assert_eq!(lines[3], "12 > the recording ends: 0 s");
        assert!(lines[4].contains("No message was recorded"), "{lines:?}");
        assert!(lines.iter().all(|line| !line.contains("fetch")), "{lines:?}");
        assert!(lines.last().is_some_and(|line| line.ends_with(" hangup")), "{lines:?}");
    }
}

/// (its options, the script, how it ends)
#[test]
fn a_recording_ends_by_silence_its_length_a_key_and_the_caller_as_a_live_one_does() {
    let table = [
        (json!({ "timeout_s": 4, "trim": false }), json!([{ "record_s": 3 }]), "7 > the recording ends: 7 s"),
        (json!({ "timeout_s": 4 }), json!([{ "record_s": 3 }]), "7 > the recording ends: 3 s"),
        // Silence that it does not end by is part of it, and so is what was said until its greatest length.
        (json!({ "timeout_s": 0, "max_s": 20 }), json!([{ "record_s": 3 }]), "20 > the recording ends: 20 s"),
        (json!({ "max_s": 6 }), json!([{ "record_s": 30 }]), "6 > the recording ends: 6 s"),
        (json!({ "max_s": 2 }), json!([]), "2 > the recording ends: 2 s"),
        (json!({}), json!([{ "record_s": 3 }, { "press": "#" }]), "3 > the recording ends: 3 s"),
        (json!({ "finish_on": "1" }), json!([{ "record_s": 3 }, { "press": "#" }]), "8 > the recording ends: 3 s"),
        (json!({}), json!([{ "wait_s": 2 }, { "hangup": true }]), "2 > the recording ends: 2 s"),
    ];
    for (options, script, ends) in table {
        let mut state = json!({ "record": true });
        state.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
        let lines = run(&flow(json!({ "start": "r", "states": { "r": state } })), script.clone());
        assert!(lines.iter().any(|line| line == ends), "{options} {script}: {lines:?}, not {ends:?}");
    }
}

#[test]
fn a_wait_lasts_though_the_caller_speaks_into_a_recording_meanwhile() {
    let flow = flow(json!({ "start": "p", "states": { "p": { "pause": 1, "next": "r" }, "r": { "record": true } } }));
    let lines = run(&flow, json!([{ "wait_s": 4 }, { "record_s": 1 }, { "press": "#" }]));
    assert_eq!(lines[1..], ["4 > press #", "4 stop-record 1", "4 > the recording ends: 3 s", "4 hangup"]);
}

#[test]
fn a_transfer_rings_for_its_time_and_is_canceled_by_a_caller_who_hangs_up() {
    let calls = flow(json!({ "start": "t", "states": {
        "t": { "transfer": ["alice", "bob"], "mode": "sequential", "timeout_s": 12, "next": "tell" },
        "tell": { "http": "https://a.example/{{transfer_status}}" } } }));
    let told = |script: Value| -> Vec<String> {
        let lines = run(&calls, script);
        lines.into_iter().filter(|line| line.contains("transfer ends") || line.contains("fetch")).collect()
    };
    for (script, second, status) in [
        (json!([]), 30, "completed"),
        (json!([{ "transfer": "no-answer" }]), 24, "no-answer"),
        (json!([{ "transfer": "failed" }]), 1, "failed"),
        (json!([{ "transfer": "no-answer" }, { "wait_s": 5 }, { "hangup": true }]), 5, "canceled"),
        (json!([{ "wait_s": 5 }, { "hangup": true }]), 5, "completed"),
    ] {
        let lines = told(script.clone());
        assert_eq!(lines[0], format!("{second} > the transfer ends: {status}"), "{script}");
        assert!(lines[1].contains(&format!("https://a.example/{status}")), "{script}: {lines:?}");
    }
}

#[test]
fn a_web_server_answers_by_the_script_also_when_the_caller_has_gone() {
    let asks = flow(json!({ "start": "r", "states": {
        "r": { "record": true, "next": "h" },
        "h": { "http": "https://a.example/x", "on": { "500": "again" } },
        "again": { "http": "https://b.example/y" } } }));
    let lines =
        run(&asks, json!([{ "wait_s": 1 }, { "hangup": true }, { "press": "1" }, { "http": { "status": 500 } }]));
    assert!(lines.iter().any(|line| line == "1 > the server answers: 500"), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("b.example")), "{lines:?}");
}
