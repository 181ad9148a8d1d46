//! baresip 1.0 as a person with a phone: called, and calling in.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops where it cannot go on, and reports"
)]

mod common;

use common::baresip::Baresip;
use common::switch::{CALLED, OWNED, Setup};
use common::{audio, secs, until};
use serde_json::{Value, json};

/// What is the same sound, after two codecs: a normalised cross-correlation above this.
const SAME_SOUND: f64 = 0.9;

#[track_caller]
fn assert_heard(prompt: &str, recording: &[i16]) {
    let (score, at) = audio::correlation(recording, &audio::prompt(prompt));
    println!("{prompt} in {} samples: correlation {score:.4} at sample {at}", recording.len());
    assert!(score > SAME_SOUND, "{prompt} is not what baresip heard: {score:.3} at {at}");
}

fn of_type<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

#[test]
fn hears_the_prompt_and_its_keys_reach_the_events() {
    let mut setup = Setup::new();
    let mut phone = Baresip::start(CALLED, &mut setup, &audio::prompt("hold-music"));
    let setup = setup.trunk("phone", "generic", phone.port, "");
    let switch = setup.start();

    // Keys do not end a `play`; a `gather` that no key ends keeps the line open until the phone hangs up.
    let answer = json!([{ "play": "welcome" }, { "gather": true, "max_digits": 20, "timeout_s": 30 }]);
    let sid = switch.http.place(&json!({ "from": OWNED, "to": CALLED, "answer": answer }));
    phone.event("CALL_ESTABLISHED", secs(20));
    until("the prompt's end in the events", secs(20), || {
        of_type(&switch.http.events(&sid), "played").first().map(|event| assert_eq!(event["data"]["finished"], true))
    });
    for (nth, key) in ["1", "2", "#"].into_iter().enumerate() {
        phone.command("sndcode", key);
        until("the key in the events", secs(10), || {
            (of_type(&switch.http.events(&sid), "digit").len() > nth).then_some(())
        });
    }
    // `#` is the gather's finish key, so the program is at its end and the switch hangs up.
    phone.event("CALL_CLOSED", secs(10));

    let ended = switch.http.ended(&sid, secs(10));
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let events = switch.http.events(&sid);
    let digits: Vec<&Value> = of_type(&events, "digit").into_iter().map(|event| &event["data"]["digit"]).collect();
    assert_eq!(digits, ["1", "2", "#"]);
    assert_eq!(of_type(&events, "gathered")[0]["data"]["digits"], "12");
    assert_heard("welcome", &phone.recording());
}

#[test]
fn an_encrypted_call_is_heard_and_spoken_both_ways() {
    let mut setup = Setup::new();
    let mut phone = Baresip::secure(CALLED, &mut setup, &audio::prompt("hold-music"));
    let setup = setup
        .trunk("phone", "generic", phone.port, "srtp = true")
        .section("[[number]]\nnumber = \"menu\"\ntenant = \"default\"\nanswer = { play = \"menu\" }");
    let switch = setup.start();
    let sid = switch.http.place(&json!({ "from": OWNED, "to": CALLED, "answer": { "play": "welcome" } }));
    phone.event("CALL_ESTABLISHED", secs(20));
    let ended = switch.http.ended(&sid, secs(20));
    assert_eq!(ended["status"], "completed", "{ended:#}");
    assert!(ended["received"]["packets"].as_u64() > Some(50), "{ended:#}");
    phone.event("CALL_CLOSED", secs(10));
    assert_heard("welcome", &phone.recording());

    phone.said.clear();
    phone.command("dial", &format!("sip:menu@127.0.0.1:{}", switch.sip_port));
    phone.event("CALL_ESTABLISHED", secs(20));
    phone.event("CALL_CLOSED", secs(20));
    assert_heard("menu", &phone.recording());
}

#[test]
fn a_trunk_that_encrypts_takes_no_call_in_the_clear() {
    let mut setup = Setup::new();
    let mut phone = Baresip::start(CALLED, &mut setup, &[]);
    let setup = setup.trunk("phone", "generic", phone.port, "srtp = true");
    let switch = setup.start();
    let sid = switch.http.place(&json!({ "from": OWNED, "to": CALLED, "answer": { "play": "welcome" } }));
    let ended = switch.http.ended(&sid, secs(20));
    assert_eq!((&ended["status"], &ended["answered_at"]), (&json!("failed"), &Value::Null), "{ended:#}");
    phone.command("dial", &format!("sip:{OWNED}@127.0.0.1:{}", switch.sip_port));
    phone.event("CALL_CLOSED", secs(10));
    let inbound = switch.http.items("/v1/calls").into_iter().find(|call| call["direction"] == "inbound").unwrap();
    assert_eq!((&inbound["status"], &inbound["cause"]["sip_status"]), (&json!("failed"), &json!(488)), "{inbound:#}");
}

#[test]
fn hangs_up_and_the_cdr_says_so() {
    let mut setup = Setup::new();
    let mut phone = Baresip::start(CALLED, &mut setup, &audio::prompt("hold-music"));
    let setup = setup.trunk("phone", "generic", phone.port, "");
    let switch = setup.start();
    let answer = json!({ "play": "hold-music", "loop": 0 });
    let sid = switch.http.place(&json!({ "from": OWNED, "to": CALLED, "answer": answer }));
    switch.http.reaches(&sid, "in-progress", secs(20));
    phone.event("CALL_RTPESTAB", secs(10));
    phone.command("hangup", "");
    let ended = switch.http.ended(&sid, secs(10));
    assert_eq!((&ended["status"], &ended["cause"]["origin"]), (&json!("completed"), &json!("callee")), "{ended:#}");
    assert_eq!(ended["codec"], "PCMU", "{ended:#}");
}

#[test]
fn calls_in_and_hears_the_numbers_own_prompt() {
    let mut setup = Setup::new();
    let mut phone = Baresip::start("alice", &mut setup, &[]);
    let setup = setup
        .trunk("phone", "generic", phone.port, "")
        .section("[[number]]\nnumber = \"menu\"\ntenant = \"default\"\nanswer = { play = \"menu\" }");
    let switch = setup.start();
    for (number, prompt) in [("menu", "menu"), (OWNED, "welcome")] {
        phone.said.clear();
        phone.command("dial", &format!("sip:{number}@127.0.0.1:{}", switch.sip_port));
        phone.event("CALL_ESTABLISHED", secs(20));
        phone.event("CALL_CLOSED", secs(20));
        assert_heard(prompt, &phone.recording());
    }
    until("two inbound calls, completed", secs(10), || {
        let calls = switch.http.items("/v1/calls");
        let done = calls.iter().filter(|call| call["direction"] == "inbound" && call["status"] == "completed");
        (done.count() == 2).then_some(())
    });
}
