//! Opus with a real phone (baresip, which has libopus): what it hears of a prompt, what is recorded of it, its keys, and
//! a phone of another codec that it talks with. Sounds are compared, and the codec of each leg is what its CDR says.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it cannot go on")]

mod common;

use common::baresip::Baresip;
use common::switch::{CALLED, Setup, Switch};
use common::{audio, secs, until};

/// What is the same sound, after a codec and two resamplers: a normalised cross-correlation above this.
const SAME_SOUND: f64 = 0.9;

#[track_caller]
fn only_call(switch: &Switch) -> String {
    until("the call in the API", secs(10), || Some(switch.http.items("/v1/calls").first()?["sid"].as_str()?.to_owned()))
}

#[test]
fn a_phone_that_speaks_opus_hears_a_prompt_presses_a_key_and_is_recorded() {
    let mut setup = Setup::new();
    let speech = audio::babble(1, 30);
    let mut phone = Baresip::in_opus("alice", &mut setup, &speech);
    let setup = setup.trunk("phone", "generic", phone.port, "").section(
        "[[number]]\nnumber = \"ivr\"\ntenant = \"default\"\nanswer = [{ play = \"welcome\" }, { record = true, max_s = 30, finish_on = \"#\", beep = false }]",
    );
    let switch = setup.start();
    phone.command("dial", &format!("sip:ivr@127.0.0.1:{}", switch.sip_port));
    phone.event("CALL_ESTABLISHED", secs(20));
    let sid = only_call(&switch);
    let has = |kind: &str| switch.http.events(&sid).iter().any(|event| event["type"] == kind);
    until("the recording begins", secs(40), || has("recording").then_some(()));
    let began = std::time::Instant::now();
    until("three seconds of speech", secs(10), || (began.elapsed() > secs(3)).then_some(()));
    phone.command("sndcode", "5");
    until("the key", secs(10), || has("digit").then_some(()));
    let digit = switch.http.events(&sid).into_iter().find(|event| event["type"] == "digit").unwrap();
    assert_eq!(digit["data"]["digit"], "5", "{digit:#}");
    phone.command("hangup", "");
    let ended = switch.http.ended(&sid, secs(20));
    assert_eq!(ended["codec"], "opus", "{ended:#}");
    let (score, at) = audio::correlation(&phone.recording(), &audio::prompt("welcome"));
    assert!(score > SAME_SOUND, "welcome is not what the phone heard: {score:.3} at {at}");
    let recording = ended["recordings"][0].as_str().unwrap();
    let taken = audio::wav(&setup.dir().join("recordings").join(format!("{recording}.wav")));
    let (share, parts) = audio::share_of(&speech, &taken);
    assert!(share >= 0.5 && parts >= 15, "the recording is what the phone said: {share:.2} of {parts} parts");
}

#[test]
fn opus_is_translated_for_a_phone_that_has_none_of_it() {
    let mut setup = Setup::new();
    let (of_alice, of_bob) = (audio::babble(1, 20), audio::babble(2, 20));
    let mut alice = Baresip::in_opus("alice", &mut setup, &of_alice);
    let mut bob = Baresip::start(CALLED, &mut setup, &of_bob);
    // What is bridged goes over the first trunk.
    let setup = setup
        .trunk("bob", "generic", bob.port, "")
        .trunk("alice", "generic", alice.port, "")
        .section(&format!("[[number]]\nnumber = \"bob\"\ntenant = \"default\"\nanswer = {{ bridge = \"{CALLED}\" }}"));
    let switch = setup.start();
    alice.command("dial", &format!("sip:bob@127.0.0.1:{}", switch.sip_port));
    bob.event("CALL_ESTABLISHED", secs(20));
    alice.event("CALL_ESTABLISHED", secs(20));
    let began = std::time::Instant::now();
    until("both were heard", secs(30), || (began.elapsed() > secs(5)).then_some(()));
    alice.command("hangup", "");
    bob.event("CALL_CLOSED", secs(20));
    let rows = until("both CDRs", secs(20), || {
        let rows = switch.http.items("/v1/cdrs");
        (rows.len() == 2).then_some(rows)
    });
    let mut codecs: Vec<&str> = rows.iter().map(|row| row["codec"].as_str().unwrap()).collect();
    codecs.sort_unstable();
    assert_eq!(codecs, ["PCMU", "opus"], "{rows:#?}");
    for (phone, other) in [(&alice, &of_bob), (&bob, &of_alice)] {
        let (share, parts) = audio::share_of(other, &phone.recording());
        assert!(share >= 0.5 && parts >= 20, "each hears the other: {share:.2} of {parts} parts");
    }
}
