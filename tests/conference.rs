//! One conference of three kinds of callers: baresip in G.711, linphonec in whatever it likes best, and a caller of the
//! scripted carrier. What each phone recorded of the room is compared, as sound, with what each of the others said.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops where it cannot go on, and reports"
)]

mod common;

use common::baresip::Baresip;
use common::carrier::Carrier;
use common::linphone::Linphone;
use common::switch::{CALLED, OWNED, Setup};
use common::{audio, secs, until};
use serde_json::json;

const PASSWORD: &str = "Correct-Horse-7-Battery";
/// What is the same sound, after codecs and a mixer: a normalised cross-correlation above this.
const SAME_SOUND: f64 = 0.8;

#[test]
fn two_phones_and_a_caller_confer_and_each_hears_the_others_and_not_itself() {
    let mut setup = Setup::new();
    // Both are silent before the caller speaks.
    let (of_alice, of_bob) = (audio::babble(1, 6), audio::babble(2, 6));
    let mut alice = Baresip::start("alice", &mut setup, &of_alice);
    let (dir, ports) = setup.room();
    let carrier = Carrier::start(dir, ports, 4, "answer 100ms, wait 8s, say welcome, wait 60s", &[]);
    let mut setup =
        setup.trunk("alice", "generic", alice.port, "").trunk("sim", "generic", carrier.port, "").section(&format!(
            "[[user]]\nname = \"bob\"\ntenant = \"default\"\npassword = \"{PASSWORD}\"\n\n\
             [[number]]\nnumber = \"team\"\ntenant = \"default\"\n\
             answer = {{ conference = \"team\", beep = false, wait = \"silence\" }}"
        ));
    let switch = setup.start();
    let mut bob = Linphone::registered("bob", PASSWORD, &mut setup);
    let mut says = of_bob.clone();
    says.resize(60 * 8_000, 0);
    let taken = bob.with_files(&says);
    let team = format!("sip:team@127.0.0.1:{}", switch.sip_port);
    alice.command("dial", &team);
    alice.event("CALL_ESTABLISHED", secs(20));
    bob.command(&format!("call {team}"));
    let participants = |wanted: usize| {
        until(&format!("{wanted} in the conference"), secs(30), || {
            let held = switch.http.items("/v1/conferences");
            (held.first()?["participants"] == wanted).then(|| held[0]["sid"].as_str().unwrap().to_owned())
        })
    };
    participants(2);
    let caller = switch.http.post(
        "/v1/calls",
        &json!({ "from": OWNED, "to": CALLED, "trunk": "sim", "answer": { "conference": "team", "beep": false } }),
    );
    assert_eq!(caller.status, 201, "{}", caller.body);
    let conference = participants(3);
    // The caller speaks eight seconds after its answer, for as long as `welcome` lasts.
    let welcome = audio::prompt("welcome");
    let spoken = secs(10 + welcome.len() as u64 / 8_000);
    let began = std::time::Instant::now();
    until("all have been heard", secs(60), || (began.elapsed() > spoken).then_some(()));
    let ended = switch.http.post(&format!("/v1/conferences/{conference}"), &json!({ "status": "completed" }));
    assert_eq!(ended.status, 200, "{}", ended.body);
    alice.event("CALL_CLOSED", secs(20));
    let calls = until("all calls are over", secs(20), || {
        let calls = switch.http.items("/v1/cdrs");
        (calls.len() == 3).then_some(calls)
    });
    assert!(calls.iter().all(|call| call["status"] == "completed"), "{calls:#?}");
    let of_linphone = until("linphonec's recording, closed", secs(20), || audio::closed_wav(&taken));
    for (who, heard, own, other) in
        [("baresip", alice.recording(), &of_alice, &of_bob), ("linphonec", of_linphone, &of_bob, &of_alice)]
    {
        let (score, at) = audio::correlation(&heard, &welcome[..16_000.min(welcome.len())]);
        let (share, parts) = audio::share_of(other, &heard);
        let (echo, _) = audio::share_of(own, &heard);
        println!("{who}: the caller {score:.2} at {at}, the other phone {share:.2} of {parts} parts, itself {echo:.2}");
        assert!(parts >= 20 && share >= 0.3, "{who} hears the other phone: {share:.2} of {parts} parts");
        assert!(echo <= 0.03, "{who} does not hear itself: {echo:.2}");
        assert!(score > SAME_SOUND, "{who} hears the caller: {score:.2}");
    }
}
