//! What bad input gets: configurations, bodies, carriers and signals that are wrong, and the answer to each.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops where it cannot go on, and reports"
)]

mod common;

use common::carrier::Carrier;
use common::http::is_final;
use common::process::Process;
use common::switch::{CALLED, OWNED, Setup, Switch, tandem};
use common::{secs, until};
use serde_json::{Value, json};
use std::net::{Ipv4Addr, TcpListener, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

/// A carrier that answers and stays.
const PICKS_UP: &str = "ring 100ms, answer 200ms";

fn call() -> Value {
    json!({ "from": OWNED, "to": CALLED, "answer": { "play": "welcome" } })
}

/// A call that lasts until somebody ends it.
fn long_call() -> Value {
    json!({ "from": OWNED, "to": CALLED, "answer": { "play": "hold-music", "loop": 0 } })
}

/// A switch with a loopback carrier that runs this script.
fn with_carrier(script: &str, more: &[&str], trunk: &str) -> (Setup, Carrier, Switch) {
    let mut setup = Setup::new();
    let (dir, ports) = setup.room();
    let carrier = Carrier::start(dir, ports, 15, script, more);
    let setup = setup.trunk("carrier", "twilio", carrier.port, trunk);
    let switch = setup.start();
    (setup, carrier, switch)
}

/// A switch that calls nobody.
fn alone() -> (Setup, Switch) {
    let setup = Setup::new().trunk("carrier", "twilio", 9, "");
    let switch = setup.start();
    (setup, switch)
}

/// Starts a configuration that must be refused; what was printed.
#[track_caller]
fn refused(setup: &Setup) -> String {
    refusal(setup.spawn())
}

#[track_caller]
fn refusal(mut process: Process) -> String {
    let status = process.end(secs(20));
    assert!(!status.success(), "started, with a mistake in its configuration:\n{}", process.output());
    process.output()
}

#[track_caller]
fn assert_says(output: &str, words: &[&str]) {
    for word in words {
        assert!(output.contains(word), "nothing says {word:?} in:\n{output}");
    }
}

/// The number of the line that holds this, as the output writes it.
fn place_of(setup: &Setup, line: &str) -> String {
    let nth = setup.text().lines().position(|text| text.contains(line)).unwrap();
    format!("tandem.toml:{}", nth + 1)
}

// The configuration.

#[test]
fn names_file_line_and_the_key_meant_for_a_typo() {
    let setup = Setup::new().limits("concurent_calls = 5");
    assert_says(&refused(&setup), &[&place_of(&setup, "concurent_calls"), "concurent_calls", "concurrent_calls"]);
}

#[test]
fn names_the_typo_in_a_trunk_and_in_the_environment() {
    let setup = Setup::new().trunk("carrier", "twilio", 9, "usrname = \"x\"");
    assert_says(&refused(&setup), &[&place_of(&setup, "usrname"), "usrname", "username"]);

    let setup = Setup::new();
    std::fs::write(setup.dir().join("tandem.toml"), setup.text()).unwrap();
    let process = tandem("tandem", setup.dir(), |command| {
        command.args(["serve", "--config", "tandem.toml"]).env("TANDEM__LIMITS__CALLS_PER_SECONDS", "5");
    });
    assert_says(&refusal(process), &["TANDEM__LIMITS__CALLS_PER_SECONDS", "calls_per_second"]);
}

#[test]
fn tells_every_mistake_of_a_file_at_once() {
    let setup = Setup::new()
        .limits("calls_per_second = 0")
        .section("[[number]]\nnumber = \"+18325550101\"\ntenant = \"nobody\"");
    let output = refused(&setup);
    assert_says(&output, &[&place_of(&setup, "calls_per_second"), &place_of(&setup, "\"nobody\"")]);
}

#[test]
fn check_refuses_what_serve_refuses_and_names_a_file_that_is_not_there() {
    let setup = Setup::new().limits("concurent_calls = 5");
    std::fs::write(setup.dir().join("tandem.toml"), setup.text()).unwrap();
    let check = |file: &str| {
        let file = file.to_owned();
        tandem("check", setup.dir(), |command| {
            command.args(["check", "--config", &file]);
        })
    };
    assert_says(&refusal(check("tandem.toml")), &[&place_of(&setup, "concurent_calls")]);
    assert_says(&refusal(check("absent.toml")), &["absent.toml"]);
}

#[test]
fn names_the_number_whose_prompt_is_not_there() {
    let setup = Setup::new().section("[[number]]\nnumber = \"menu\"\nanswer = { play = \"absent\" }");
    assert_says(&refused(&setup), &["menu", "absent"]);
}

// Ports that somebody else has.

#[test]
fn names_the_udp_port_that_is_in_use_and_its_setting() {
    let setup = Setup::new();
    let _taken = UdpSocket::bind((Ipv4Addr::LOCALHOST, setup.sip_port)).unwrap();
    assert_says(&refused(&setup), &[&setup.sip_port.to_string(), "UDP", "sip.listen"]);
}

#[test]
fn names_the_tcp_port_that_is_in_use_and_its_setting() {
    let setup = Setup::new();
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, setup.sip_port)).unwrap();
    assert_says(&refused(&setup), &[&setup.sip_port.to_string(), "TCP", "sip.listen"]);
}

#[test]
fn names_the_http_port_that_is_in_use_and_its_setting() {
    let setup = Setup::new();
    let _taken = TcpListener::bind((Ipv4Addr::LOCALHOST, setup.http_port)).unwrap();
    assert_says(&refused(&setup), &[&setup.http_port.to_string(), "http.listen"]);
}

// Requests.

/// POSTs a call that is wrong in one place; the status and the code, and no call made of it.
#[track_caller]
fn assert_refused(switch: &Switch, wrong: &Value, status: u16, code: &str, word: &str) {
    let mut call = call();
    call.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
    let reply = switch.http.post("/v1/calls", &call);
    assert_eq!((reply.status, reply.code()), (status, code), "{reply:#?}");
    assert!(reply.body.to_string().contains(word), "nothing says {word:?}: {reply:#?}");
}

#[test]
fn refuses_a_bad_call_at_the_post_with_a_code_and_the_field() {
    let (_setup, switch) = alone();
    assert_refused(&switch, &json!({ "answer": { "play": "absent" } }), 400, "unknown_prompt", "absent");
    assert_refused(&switch, &json!({ "answer": { "pley": "welcome" } }), 400, "invalid_answer", "play");
    assert_refused(&switch, &json!({ "to": "8325550199" }), 400, "invalid_number", "to");
    assert_refused(&switch, &json!({ "to": "+1 832 555 0199 ext" }), 400, "invalid_number", "to");
    assert_refused(&switch, &json!({ "from": "+18325550177" }), 403, "caller_id_not_owned", "from");
    assert_refused(&switch, &json!({ "trunk": "carier" }), 400, "unknown_trunk", "carier");
    assert_refused(&switch, &json!({ "anwser": {} }), 400, "unknown_field", "answer");
    assert_eq!(switch.http.items("/v1/calls"), [] as [Value; 0]);
}

#[test]
fn refuses_a_body_that_is_not_json_and_one_of_ten_megabytes() {
    let (_setup, switch) = alone();
    let reply = switch.http.post_bytes("/v1/calls", b"from=+18325550100".to_vec()).unwrap();
    assert_eq!((reply.status, reply.code()), (400, "bad_json"), "{reply:?}");
    // A server may close the connection before the last of ten megabytes was sent: then the client sees no answer.
    let body = format!("{{\"from\":\"{}\"}}", "1".repeat(10_000_000)).into_bytes();
    if let Ok(reply) = switch.http.post_bytes("/v1/calls", body) {
        assert_eq!((reply.status, reply.code()), (413, "body_too_large"), "{reply:?}");
    }
    assert_eq!(switch.http.get("/readyz").status, 200);
}

#[test]
fn refuses_a_key_that_it_does_not_know_and_a_call_that_is_not_there() {
    let (_setup, switch) = alone();
    let stranger = switch.http.with_key("not-a-key-of-this-switch-0123456789abcd");
    assert_eq!(stranger.post("/v1/calls", &call()).status, 401);
    let reply = switch.http.get("/v1/calls/CA00000000000000000000000000000000");
    assert_eq!(reply.status, 404, "{reply:?}");
}

// Carriers.

#[test]
fn fails_after_two_attempts_with_the_wrong_password() {
    let account = ["--username", "trunk", "--password", "the right one, Nr. 1"];
    let keys = "username = \"trunk\"\npassword = \"the wrong one, Nr. 2\"";
    let (_setup, carrier, switch) = with_carrier(PICKS_UP, &account, keys);
    let sid = switch.http.place(&call());
    let ended = switch.http.ended(&sid, secs(15));
    // This carrier says 403 to credentials that are wrong; one that says 407 again is in sipp.rs.
    assert_eq!((&ended["status"], &ended["cause"]["sip_status"]), (&json!("failed"), &json!(403)), "{ended:#}");
    let ladder = switch.http.items(&format!("/v1/calls/{sid}/ladder"));
    let invites = ladder.iter().filter(|line| {
        let is_invite = line["line"].as_str().is_some_and(|line| line.starts_with("INVITE "));
        line["direction"] == "sent" && line["retransmission"] == false && is_invite
    });
    assert_eq!(invites.count(), 2, "{ladder:#?}");
    for text in [switch.process.output(), carrier.process.output()] {
        assert!(!text.contains("Nr. 2") && !text.contains("Nr. 1"), "a password in:\n{text}");
    }
}

#[test]
fn says_within_two_seconds_that_the_far_end_sends_no_audio() {
    let (_setup, _carrier, switch) = with_carrier("no rtp, answer", &[], "");
    let sid = switch.http.place(&long_call());
    let milliseconds = |event: &Value| time_of(event["at"].as_str().unwrap_or_default());
    let (answered, silent) = until("no_media in the events", secs(20), || {
        let events = switch.http.events(&sid);
        let at = |kind: &str| events.iter().find(|event| event["type"] == kind).map(milliseconds);
        Some((at("answered")?, at("no_media")?))
    });
    let after = silent - answered;
    println!("no_media {after} ms after the answer");
    // Two seconds on the switch's clock; how promptly is a matter of virtual time, and of this machine here.
    assert!((1_500..=4_000).contains(&after), "{after} ms after the answer");
    let reply = switch.http.post(&format!("/v1/calls/{sid}"), &json!({ "status": "completed" }));
    assert_eq!(reply.status, 200, "{reply:?}");
    let ended = switch.http.ended(&sid, secs(10));
    assert_eq!((&ended["status"], &ended["cause"]["origin"]), (&json!("completed"), &json!("api")), "{ended:#}");
}

/// Milliseconds within the day of an RFC 3339 time: `…T12:34:56.789Z`.
fn time_of(text: &str) -> i64 {
    let clock = text.split(['T', 'Z']).nth(1).unwrap_or_else(|| panic!("not RFC 3339: {text:?}"));
    let parts: Vec<f64> = clock.split(':').map(|part| part.parse().unwrap()).collect();
    ((parts[0] * 3_600.0 + parts[1] * 60.0 + parts[2]) * 1_000.0).round() as i64
}

// Strangers.

/// An INVITE by hand, from an address of this machine; the final answer's status line.
fn invite_from(address: &str, port: u16, user: &str) -> String {
    let socket = UdpSocket::bind((address, 0)).unwrap();
    socket.set_read_timeout(Some(secs(10))).unwrap();
    let from = socket.local_addr().unwrap();
    let invite = format!(
        "INVITE sip:{user}@127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK-{user};rport\r\n\
         From: <sip:+18325550122@{from}>;tag=stranger\r\nTo: <sip:{user}@127.0.0.1:{port}>\r\n\
         Call-ID: {user}@{from}\r\nCSeq: 1 INVITE\r\nContact: <sip:{from}>\r\nMax-Forwards: 70\r\n\
         Content-Length: 0\r\n\r\n"
    );
    socket.send_to(invite.as_bytes(), ("127.0.0.1", port)).unwrap();
    let mut buffer = [0; 4_096];
    loop {
        let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("no final answer to {user}: {error}"));
        let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if !answer.starts_with("SIP/2.0 1") {
            return answer.lines().next().unwrap_or_default().to_owned();
        }
    }
}

#[test]
fn refuses_a_stranger_and_a_number_that_nobody_answers() {
    let (_setup, switch) = alone();
    let stranger = invite_from("127.0.0.9", switch.sip_port, OWNED);
    assert!(stranger.starts_with("SIP/2.0 403 "), "{stranger}");
    let unknown = invite_from("127.0.0.1", switch.sip_port, "+18325550188");
    assert!(unknown.starts_with("SIP/2.0 404 "), "{unknown}");
    assert_eq!(switch.http.items("/v1/calls"), [] as [Value; 0]);
}

// Ends.

/// Every row of the books for these calls: exactly one each.
#[track_caller]
fn assert_one_row_each(switch: &Switch, sids: &[String]) -> Vec<Value> {
    until("every call ended in the books", secs(60), || {
        let rows = switch.http.items("/v1/calls");
        let own = |sid: &String| rows.iter().filter(|row| row["sid"] == sid.as_str()).cloned().collect::<Vec<_>>();
        let own: Vec<Vec<Value>> = sids.iter().map(own).collect();
        assert!(own.iter().all(|rows| rows.len() <= 1), "a call twice");
        let ended: Vec<Value> = own.into_iter().flatten().filter(is_final).collect();
        (ended.len() == sids.len()).then_some(ended)
    })
}

#[test]
fn closes_each_live_call_once_after_a_kill() {
    let (setup, _carrier, mut switch) = with_carrier(PICKS_UP, &["--number", "*0111=ring only"], "");
    let answered: Vec<String> = (0..3).map(|_| switch.http.place(&long_call())).collect();
    answered.iter().for_each(|sid| drop(switch.http.reaches(sid, "in-progress", secs(20))));
    // The journal is one file in order: once this call's admission is on disk, so are those answers.
    let mut ringing = long_call();
    ringing["to"] = json!("+18325550111");
    let ringing = switch.http.place(&ringing);
    switch.http.reaches(&ringing, "ringing", secs(20));
    switch.process.kill();

    for restart in 0..2 {
        let mut again = setup.start();
        let mut sids = answered.clone();
        sids.push(ringing.clone());
        for row in assert_one_row_each(&again, &sids) {
            let was_answered = row["sid"] != ringing.as_str();
            assert_eq!(row["status"], if was_answered { "completed" } else { "failed" }, "start {restart}: {row:#}");
            assert_eq!(row["cause"]["origin"], "interrupted", "start {restart}: {row:#}");
        }
        again.process.kill();
    }
}

#[test]
fn drains_on_sigterm_and_exits_cleanly_once_the_last_call_has_ended() {
    let (setup, _carrier, mut switch) = with_carrier(PICKS_UP, &[], "");
    let sid = switch.http.place(&call());
    switch.http.reaches(&sid, "in-progress", secs(20));
    switch.process.terminate();
    until("503 to a new call, or the end", secs(10), || {
        let refused = switch.http.try_post("/v1/calls", &call()).is_ok_and(|reply| reply.status == 503);
        (refused || switch.process.ended().is_some()).then_some(())
    });
    let status = switch.process.end(secs(20));
    assert!(status.success(), "{status}");
    let ended = in_the_books(&setup, &sid);
    assert_eq!(ended["cause"]["origin"], "program", "the call was let finish: {ended:#}");
}

/// A call as the books have it after the end of the process.
fn in_the_books(setup: &Setup, sid: &str) -> Value {
    setup.start().http.ended(sid, secs(10))
}

#[test]
fn ends_live_calls_at_a_second_sigterm() {
    let (setup, _carrier, mut switch) = with_carrier(PICKS_UP, &[], "");
    let sid = switch.http.place(&long_call());
    switch.http.reaches(&sid, "in-progress", secs(20));
    switch.process.terminate();
    until("the drain", secs(10), || (switch.http.try_get("/readyz").ok()?.status == 503).then_some(()));
    assert!(switch.process.ended().is_none(), "a live call is let finish");
    let asked = Instant::now();
    switch.process.terminate();
    let status = switch.process.end(secs(15));
    assert!(status.success(), "{status}");
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    let ended = in_the_books(&setup, &sid);
    assert_eq!((&ended["status"], &ended["cause"]["origin"]), (&json!("completed"), &json!("switch")), "{ended:#}");
}

#[test]
fn makes_a_key_on_the_command_line_that_works_at_once() {
    let (setup, switch) = alone();
    let mut process = create_key(setup.dir());
    assert!(process.end(secs(20)).success(), "{}", process.output());
    let key = process.output().split_whitespace().max_by_key(|word| word.len()).unwrap_or_default().to_owned();
    let reply = switch.http.with_key(&key).get("/v1/calls");
    assert_eq!(reply.status, 200, "{reply:?}");
}

fn create_key(dir: &Path) -> Process {
    tandem("key", dir, |command| {
        command.args(["key", "create", "--config", "tandem.toml", "--tenant", "default", "--scope", "calls"]);
    })
}
