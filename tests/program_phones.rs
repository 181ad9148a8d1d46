//! Programs with a real phone (baresip) and a web application (Python's own server): a menu in TwiML, a message recorded,
//! a conference. What each end heard is compared as sound.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops where it cannot go on, and reports"
)]

mod common;

use common::app::App;
use common::baresip::Baresip;
use common::switch::Setup;
use common::{audio, secs, until};

/// What is the same sound, after two codecs: a normalised cross-correlation above this.
const SAME_SOUND: f64 = 0.9;
/// What the application answers.
const PAGES: [(&str, &str); 3] = [
    ("/menu", "<Gather numDigits='1' timeout='10' action='/picked'><Play>prompt:menu</Play></Gather>"),
    (
        "/picked",
        "<Play>prompt:goodbye</Play>\
         <Record maxLength='20' timeout='3' playBeep='false' finishOnKey='#' action='/recorded'/>",
    ),
    ("/recorded", "<Say>Your message was taken. Good bye.</Say><Hangup/>"),
];

#[track_caller]
fn assert_heard(prompt: &str, recording: &[i16], enough: f64) {
    let (score, at) = audio::correlation(recording, &audio::prompt(prompt));
    println!("{prompt} in {} samples: correlation {score:.4} at sample {at}", recording.len());
    assert!(score > enough, "{prompt} is not what was heard: {score:.3} at {at}");
}

#[test]
fn a_phone_walks_a_menu_in_twiml_and_leaves_a_message() {
    let mut setup = Setup::new();
    let speech = audio::babble(1, 30);
    let mut phone = Baresip::start("alice", &mut setup, &speech);
    let (dir, ports) = setup.room();
    let web = ports.port();
    let app = App::start(dir, web, &PAGES);
    let setup = setup.trunk("phone", "generic", phone.port, "").section("[egress]\nallow = [\"127.0.0.0/8\"]").section(
        &format!(
            "[[number]]\nnumber = \"ivr\"\ntenant = \"default\"\nanswer = {{ url = \"http://127.0.0.1:{web}/menu\" }}"
        ),
    );
    let switch = setup.start();

    phone.command("dial", &format!("sip:ivr@127.0.0.1:{}", switch.sip_port));
    phone.event("CALL_ESTABLISHED", secs(20));
    let sid = until("the call in the API", secs(10), || {
        Some(switch.http.items("/v1/calls").first()?["sid"].as_str()?.to_owned())
    });
    let has = |kind: &str| switch.http.events(&sid).iter().filter(|event| event["type"] == kind).count();
    until("the menu plays", secs(20), || (has("playing") == 1).then_some(()));
    until("the menu is over", secs(30), || (has("played") == 1).then_some(()));
    phone.command("sndcode", "2");
    until("the recording begins", secs(30), || (has("recording") == 1).then_some(()));
    // Two seconds of what the phone says are enough to know it by; then a key ends it.
    let began = std::time::Instant::now();
    until("two seconds of message", secs(10), || (began.elapsed() > secs(2)).then_some(()));
    phone.command("sndcode", "#");
    phone.event("CALL_CLOSED", secs(30));

    let ended = switch.http.ended(&sid, secs(10));
    assert_eq!(ended["status"], "completed", "{ended:#}");
    let asked = app.requests();
    let paths: Vec<&str> = asked.iter().filter_map(|request| request["path"].as_str()).collect();
    assert_eq!(paths, ["/menu", "/picked", "/recorded"]);
    assert_eq!(
        (&asked[0]["form"]["CallSid"], &asked[0]["form"]["CallStatus"]),
        (&sid.clone().into(), &"ringing".into())
    );
    assert_eq!(asked[1]["form"]["Digits"], "2");
    assert_eq!(asked[2]["form"]["Digits"], "#", "{:#}", asked[2]);
    let recording = asked[2]["form"]["RecordingSid"].as_str().unwrap().to_owned();
    assert_eq!(ended["recordings"], serde_json::json!([recording]), "{ended:#}");
    let heard = phone.recording();
    assert_heard("menu", &heard, SAME_SOUND);
    assert_heard("goodbye", &heard, SAME_SOUND);
    let message = audio::wav(&setup.dir().join("recordings").join(format!("{recording}.wav")));
    let (share, parts) = audio::share_of(&speech, &message);
    println!("the message: {share:.2} of {parts} parts");
    assert!(share >= 0.5 && parts >= 10, "the message is what the phone said: {share:.2} of {parts} parts");
}

#[test]
fn two_phones_in_a_conference_hear_each_other() {
    let mut setup = Setup::new();
    let (of_alice, of_bob) = (audio::babble(1, 60), audio::babble(2, 60));
    let mut alice = Baresip::start("alice", &mut setup, &of_alice);
    let mut bob = Baresip::start("bob", &mut setup, &of_bob);
    let setup = setup.trunk("alice", "generic", alice.port, "").trunk("bob", "generic", bob.port, "").section(
        "[[number]]\nnumber = \"team\"\ntenant = \"default\"\nanswer = { conference = \"team\", beep = false, wait = \"silence\" }",
    );
    let switch = setup.start();
    for phone in [&mut alice, &mut bob] {
        phone.command("dial", &format!("sip:team@127.0.0.1:{}", switch.sip_port));
        phone.event("CALL_ESTABLISHED", secs(20));
    }
    // Five seconds of one another are enough to know them by.
    let began = std::time::Instant::now();
    until("both were heard", secs(30), || (began.elapsed() > secs(5)).then_some(()));
    alice.command("hangup", "");
    bob.command("hangup", "");
    until("both calls are over", secs(20), || {
        let calls = switch.http.items("/v1/calls");
        (calls.iter().filter(|call| call["status"] == "completed").count() == 2).then_some(())
    });
    for (phone, other, own) in [(&alice, &of_bob, &of_alice), (&bob, &of_alice, &of_bob)] {
        let heard = phone.recording();
        let (share, parts) = audio::share_of(other, &heard);
        assert!(share >= 0.5 && parts >= 20, "each hears the other: {share:.2} of {parts} parts");
        let (share, _) = audio::share_of(own, &heard);
        assert!(share <= 0.02, "nobody hears themselves: {share:.2}");
    }
}
