//! One call through everything, with real phones (baresip): a menu of three levels, a message, a transfer to another phone,
//! a conference; once by TwiML from a Python application that checks our signature with the official `twilio` package,
//! once by a flow. What each end heard is compared as sound.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test stops where it cannot go on, and reports"
)]

mod common;

use common::baresip::Baresip;
use common::process::{Process, tcp_port_is_bound};
use common::switch::{Setup, Switch};
use common::{audio, in_package, secs, until};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What is the same sound, after two codecs: a normalised cross-correlation above this.
const SAME_SOUND: f64 = 0.9;
const PASSWORD: &str = "Correct-Horse-7-Battery";
/// How long two who are joined are left to hear each other.
const TALK: Duration = secs(4);

/// The interpreter that has the `twilio` package; where pip could not get it, the test says so and is left out.
fn python() -> Option<PathBuf> {
    let path = in_package("target/peers/twilio/bin/python");
    if !path.exists() {
        eprintln!("the twilio package is not installed (tests/run does it): left out");
    }
    path.exists().then_some(path)
}

/// A switch where these answer, and three phones that are registered with it, each with a voice of its own.
struct Stage {
    switch: Switch,
    phones: [Baresip; 3],
    voices: [Vec<i16>; 3],
    setup: Setup,
}

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

fn stage(answer: &str) -> Stage {
    let users = ["alice", "bob", "carol"];
    let mut setup = users.iter().fold(Setup::new(), |setup, user| {
        setup.section(&format!("[[user]]\nname = \"{user}\"\ntenant = \"default\"\npassword = \"{PASSWORD}\""))
    });
    setup = setup.section("[egress]\nallow = [\"127.0.0.0/8\"]").section(&format!(
        "[[number]]\nnumber = \"ivr\"\ntenant = \"default\"\nanswer = {answer}\n\n\
         [[number]]\nnumber = \"team\"\ntenant = \"default\"\nanswer = {{ conference = \"team\", beep = false, wait = \"silence\" }}"
    ));
    let switch = setup.start();
    let voices = [1, 2, 3].map(|seed| audio::babble(seed, 60));
    let mut nth = 0;
    let phones = users.map(|user| {
        nth += 1;
        Baresip::registered(user, PASSWORD, "udp", &mut setup, &voices[nth - 1])
    });
    Stage { switch, phones, voices, setup }
}

fn pass(what: &str, time: Duration) {
    let began = Instant::now();
    until(what, secs(60), || (began.elapsed() > time).then_some(()));
}

impl Stage {
    fn dial(&mut self, phone: usize, number: &str) -> String {
        let known = self.calls();
        let address = format!("sip:{number}@127.0.0.1:{}", self.switch.sip_port);
        self.phones[phone].command("dial", &address);
        until("the call in the API", secs(20), || self.calls().into_iter().find(|sid| !known.contains(sid)))
    }

    fn calls(&self) -> Vec<String> {
        let sid = |call: &Value| call["sid"].as_str().map(str::to_owned);
        self.switch.http.items("/v1/calls").iter().filter_map(sid).collect()
    }

    fn waits_for(&self, sid: &str, kind: &str, count: usize) {
        let seen = || self.switch.http.events(sid).iter().filter(|event| event["type"] == kind).count();
        until(&format!("{count} times {kind}"), secs(40), || (seen() >= count).then_some(()));
    }

    /// Alice walks the menus (`1`, `2`, `3`), leaves a message, talks to bob, and to carol in the conference.
    fn walk(&mut self) -> String {
        let room = self.dial(CAROL, "team");
        self.waits_for(&room, "joined", 1);
        let sid = self.dial(ALICE, "ivr");
        for (nth, key) in ["1", "2", "3"].iter().enumerate() {
            // Each prompt is heard whole.
            self.waits_for(&sid, "played", nth + 1);
            self.phones[ALICE].command("sndcode", key);
        }
        self.waits_for(&sid, "recording", 1);
        pass("a message", TALK);
        self.phones[ALICE].command("sndcode", "#");
        self.waits_for(&sid, "bridged", 1);
        pass("alice and bob talk", TALK);
        self.phones[BOB].command("hangup", "");
        self.waits_for(&sid, "joined", 1);
        pass("alice and carol talk", TALK);
        self.phones[ALICE].command("hangup", "");
        self.phones[CAROL].command("hangup", "");
        let ended = self.switch.http.ended(&sid, secs(20));
        assert_eq!(ended["status"], "completed", "{ended:#}");
        sid
    }

    /// Each end heard whom it was joined with, and nobody else.
    fn check(&self, sid: &str) {
        let [alice, bob, carol] = [ALICE, BOB, CAROL].map(|phone| self.phones[phone].recording());
        for prompt in ["menu", "goodbye"] {
            let (score, at) = audio::correlation(&alice, &audio::prompt(prompt));
            assert!(score > SAME_SOUND, "{prompt} is not what alice heard: {score:.3} at {at}");
        }
        // Bob and carol were heard at the end: what came before is the menus'.
        let late = alice[alice.len().saturating_sub(14 * 8_000)..].to_vec();
        let call = self.switch.http.get(&format!("/v1/calls/{sid}")).body;
        let [recording] = &call["recordings"].as_array().unwrap()[..] else { panic!("{call:#}") };
        let file = self.setup.dir().join("recordings").join(format!("{}.wav", recording.as_str().unwrap()));
        let message = audio::wav(&file);
        for (who, sound, voice) in [
            ("the message has alice", &message, ALICE),
            ("alice heard bob", &late, BOB),
            ("alice heard carol", &late, CAROL),
            ("bob heard alice", &bob, ALICE),
            ("carol heard alice", &carol, ALICE),
        ] {
            let (share, parts) = audio::share_of(&self.voices[voice], sound);
            println!("{who}: {share:.2} of {parts} parts");
            assert!(share * parts as f64 >= 10.0, "{who}: {share:.2} of {parts} parts");
        }
        for (who, sound, voice) in [("bob", &bob, CAROL), ("carol", &carol, BOB), ("the message", &message, BOB)] {
            let (share, _) = audio::share_of(&self.voices[voice], sound);
            assert!(share <= 0.02, "{who} has what was not said there: {share:.2}");
        }
    }
}

#[test]
fn a_phone_walks_through_everything_by_twiml_of_an_application_that_checks_our_signature() {
    let Some(python) = python() else { return };
    let mut lease = common::ports::Ports::lease();
    let port = lease.port();
    let mut stage = stage(&format!("{{ url = \"http://127.0.0.1:{port}/start\" }}"));
    let account = stage.switch.http.get("/v1/account").body;
    let token = account["auth_token"].as_str().unwrap().to_owned();
    let script = in_package("tests/peers/ivr.py");
    let app = Process::start("app", stage.setup.dir(), python.to_str().unwrap(), |command| {
        command.arg(&script).args([port.to_string(), token]);
    });
    until("the application listens", secs(30), || tcp_port_is_bound(port).then_some(()));
    let sid = stage.walk();
    stage.check(&sid);
    let requests =
        || -> Vec<Value> { app.output().lines().filter_map(|line| serde_json::from_str(line).ok()).collect() };
    until("the leg's last callback", secs(20), || {
        requests()
            .iter()
            .any(|request| request["path"] == "/leg" && request["form"]["CallStatus"] == "completed")
            .then_some(())
    });
    let asked = requests();
    assert!(asked.iter().all(|request| request["valid"] == true), "{asked:#?}");
    let paths: Vec<&str> =
        asked.iter().filter_map(|request| request["path"].as_str()).filter(|path| *path != "/leg").collect();
    assert_eq!(paths, ["/start", "/second", "/third", "/picked", "/recorded", "/dialed"]);
    let statuses: Vec<&str> = asked
        .iter()
        .filter(|request| request["path"] == "/leg")
        .filter_map(|request| request["form"]["CallStatus"].as_str())
        .collect();
    assert_eq!(statuses, ["initiated", "ringing", "in-progress", "completed"]);
    let dialed = asked.iter().find(|request| request["path"] == "/dialed").unwrap();
    assert_eq!(
        (&dialed["form"]["DialCallStatus"], &dialed["form"]["DialBridged"]),
        (&json!("completed"), &json!("true"))
    );
}

#[test]
fn a_phone_walks_through_everything_by_a_flow() {
    let mut stage = stage("{ flow = \"everything\" }");
    let flow = json!({
        "start": "first",
        "states": {
            "first": { "menu": "menu", "timeout_s": 20, "on": { "1": "second", "none": "end", "other": "first" } },
            "second": { "menu": "goodbye", "timeout_s": 20, "on": { "2": "third", "none": "end", "other": "first" } },
            "third": { "menu": "menu", "timeout_s": 20, "on": { "3": "message", "none": "end", "other": "first" } },
            "message": { "record": true, "finish_on": "#", "beep": false, "next": "bob" },
            "bob": { "transfer": "bob", "timeout_s": 20, "next": "team" },
            "team": { "conference": "team" },
            "end": { "hangup": true },
        },
    });
    let stored = stage.switch.http.put("/v1/flows/everything", &flow);
    assert_eq!(stored.status, 201, "{stored:?}");
    let sid = stage.walk();
    stage.check(&sid);
}
