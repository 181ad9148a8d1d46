//! The configuration read again while the switch runs, by SIGHUP: what is gone is gone for new calls, and no live call is
//! touched.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it cannot go on")]

mod common;

use common::carrier::Carrier;
use common::switch::{CALLED, OWNED, Setup, Switch};
use common::{secs, until};
use serde_json::json;

/// Writes the file anew and has it read.
fn reload(setup: &Setup, switch: &Switch, text: &str) {
    std::fs::write(setup.dir().join("tandem.toml"), text).unwrap();
    switch.process.reload();
}

fn is_known(switch: &Switch, path: &str) -> Option<()> {
    (switch.http.get(path).status == 200).then_some(())
}

#[test]
fn sighup_takes_away_trunk_and_number_and_leaves_their_call_alone() {
    let mut setup = Setup::new();
    let (dir, ports) = setup.room();
    let first = Carrier::start(dir, ports, 10, "answer 100ms", &[]);
    let second = Carrier::start(dir, ports, 10, "answer 100ms", &[]);
    let setup = setup.trunk("first", "generic", first.port, "");
    let switch = setup.start();
    let call = json!({ "from": OWNED, "to": CALLED, "answer": { "play": "welcome", "loop": 0 } });
    let made = switch.http.post("/v1/calls", &call);
    let path = format!("/v1/calls/{}", made.body["sid"].as_str().unwrap());
    until("the call is answered", secs(20), || (switch.http.get(&path).body["status"] == "in-progress").then_some(()));

    let other = setup
        .text()
        .replace("\"first\"", "\"second\"")
        .replace(&format!("127.0.0.1:{}", first.port), &format!("127.0.0.1:{}", second.port))
        .replace(OWNED, "+18325550107");
    reload(&setup, &switch, &other);
    until("the other trunk is known", secs(20), || is_known(&switch, "/v1/trunks/second"));
    assert_eq!(switch.http.get("/v1/trunks/first").code(), "trunk_not_found");
    assert_eq!(switch.http.post("/v1/calls", &call).code(), "caller_id_not_owned");
    let call = json!({ "from": "+18325550107", "to": CALLED, "answer": { "hangup": true } });
    let made = switch.http.post("/v1/calls", &call);
    let over_the_other = format!("/v1/calls/{}", made.body["sid"].as_str().unwrap());
    until("a call goes over the other trunk", secs(20), || {
        (switch.http.get(&over_the_other).body["status"] == "completed").then_some(())
    });
    assert_eq!(switch.http.get(&over_the_other).body["trunk"], "second");

    assert_eq!(switch.http.get(&path).body["status"], "in-progress", "the call over the trunk that is gone goes on");
    assert_eq!(switch.http.post(&path, &json!({ "status": "completed" })).status, 200);
    until("it ends in good order", secs(20), || (switch.http.get(&path).body["status"] == "completed").then_some(()));
    assert_eq!(switch.http.get(&path).body["trunk"], "first");
}

#[test]
fn a_faulty_file_is_refused_with_its_lines_and_the_old_one_goes_on() {
    let setup = Setup::new();
    let switch = setup.start();
    reload(&setup, &switch, &format!("{}\n[[nubmer]]\nnumber = \"menu\"\n", setup.text()));
    until("the mistake is said", secs(20), || switch.process.output().contains("unknown key nubmer").then_some(()));
    let missing = "\n[[number]]\nnumber = \"menu\"\nanswer = { play = \"not-there\" }\n";
    reload(&setup, &switch, &format!("{}{missing}", setup.text()));
    until("the prompt is missed", secs(20), || switch.process.output().contains("not-there").then_some(()));
    assert_eq!(switch.http.get("/v1/numbers/menu").code(), "number_not_found");
    is_known(&switch, &format!("/v1/numbers/{OWNED}")).expect("the old file is in force");
    reload(&setup, &switch, "# nothing yet\n");
    until("the empty file is said", secs(60), || switch.process.output().contains("says nothing").then_some(()));
    is_known(&switch, &format!("/v1/numbers/{OWNED}")).expect("the old file is in force");
    let restart = setup.text().replace("[media]", "[media]\ntimeout_s = 77");
    reload(&setup, &switch, &restart);
    until("what takes a restart is said", secs(20), || {
        switch.process.output().contains("[media] has changed; that takes a restart").then_some(())
    });
}

#[test]
fn what_was_made_over_http_survives_a_restart_and_answers_calls() {
    let setup = Setup::new();
    let switch = setup.start();
    let user = json!({ "name": "alice", "password": "wonderland" });
    assert_eq!(switch.http.post("/v1/users", &user).status, 201);
    let number = json!({ "number": "menu", "answer": { "echo": true } });
    assert_eq!(switch.http.post("/v1/numbers", &number).status, 201);
    switch.process.terminate();
    drop(switch);
    let switch = setup.start();
    is_known(&switch, "/v1/numbers/menu").expect("the number is there");
    is_known(&switch, "/v1/users/alice").expect("the user is there");
}

#[test]
fn a_programs_bridge_reaches_no_number_that_is_closed_and_its_call_says_which_limit_refused() {
    let mut setup = Setup::new();
    let (dir, ports) = setup.room();
    let carrier = Carrier::start(dir, ports, 10, "answer 100ms", &[]);
    let setup = setup.trunk("carrier", "generic", carrier.port, "").section(
        "[[rate]]\nprefix = \"+1\"\nper_minute = \"0.6\"\n\n[[rate]]\nprefix = \"+1832\"\nper_minute = \"1.2\"",
    );
    let switch = setup.start();
    let answer = json!([{ "bridge": "+19005551234" }, { "bridge": "+4930901820" }, { "bridge": "911" }]);
    let made = switch.http.post("/v1/calls", &json!({ "from": OWNED, "to": CALLED, "answer": answer }));
    let sid = made.body["sid"].as_str().unwrap().to_owned();
    let path = format!("/v1/calls/{sid}");
    let ended = until("the call has ended", secs(20), || {
        Some(switch.http.get(&path).body).filter(|call| call["status"] == "completed")
    });
    let said = serde_json::to_string(&switch.http.events(&sid)).unwrap();
    for limit in ["premium_not_open", "country_not_open", "emergency_not_open"] {
        assert!(said.contains(limit), "{limit} is not in {said}");
    }
    assert!(switch.http.items("/v1/calls").iter().all(|call| call["direction"] != "outbound-dial"), "a leg was made");
    assert_eq!(ended["price"], 1.2, "a minute begun, by the longest prefix");
}
