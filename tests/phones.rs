//! Phones that register: baresip, called and calling, held, and transferred from one to another.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it cannot go on")]

mod common;

use common::baresip::Baresip;
use common::linphone::Linphone;
use common::switch::{Setup, Switch};
use common::{audio, secs, until};
use serde_json::{Value, json};

const PASSWORD: &str = "Correct-Horse-7-Battery";
/// What is the same sound, after two codecs: a normalised cross-correlation above this.
const SAME_SOUND: f64 = 0.9;

fn town(users: &[&str]) -> (Setup, Switch) {
    let user = |name: &&str| format!("[[user]]\nname = \"{name}\"\ntenant = \"default\"\npassword = \"{PASSWORD}\"\n");
    let setup = Setup::new().tls().section(&users.iter().map(user).collect::<String>());
    let switch = setup.start();
    (setup, switch)
}

fn phone(user: &str, transport: &str, setup: &mut Setup, says: &str) -> Baresip {
    Baresip::registered(user, PASSWORD, transport, setup, &audio::prompt(says))
}

fn dial(from: &mut Baresip, to: &str, switch: &Switch) {
    from.command("dial", &format!("sip:{to}@127.0.0.1:{}", switch.sip_port));
}

#[track_caller]
fn assert_heard(prompt: &str, recording: &[i16]) {
    let (score, at) = audio::correlation(recording, &audio::prompt(prompt));
    assert!(score > SAME_SOUND, "{prompt} is not what baresip heard: {score:.3} at {at}");
}

/// The events of the call that has this direction and callee.
fn events(switch: &Switch, direction: &str, to: &str) -> Vec<Value> {
    let calls = switch.http.items("/v1/calls");
    let call = calls.iter().find(|call| call["direction"] == direction && call["to"] == to);
    call.map_or_else(Vec::new, |call| switch.http.events(call["sid"].as_str().unwrap()))
}

/// How many INVITEs the called leg of this user has been sent.
fn invites(switch: &Switch, to: &str) -> usize {
    let calls = switch.http.items("/v1/calls");
    let leg = calls.iter().find(|call| call["direction"] == "outbound-dial" && call["to"] == to).unwrap();
    let ladder = switch.http.items(&format!("/v1/calls/{}/ladder", leg["sid"].as_str().unwrap()));
    let is_invite =
        |line: &&Value| line["direction"] == "sent" && line["line"].as_str().unwrap().starts_with("INVITE ");
    ladder.iter().filter(is_invite).count()
}

fn has(events: &[Value], kind: &str) -> bool {
    events.iter().any(|event| event["type"] == kind)
}

#[test]
fn a_registered_phone_calls_another_and_each_hears_the_other() {
    let (mut setup, switch) = town(&["alice", "bob"]);
    let mut bob = phone("bob", "tcp", &mut setup, "goodbye");
    let mut alice = phone("alice", "udp", &mut setup, "welcome");
    dial(&mut alice, "bob", &switch);
    alice.event("CALL_ESTABLISHED", secs(20));
    bob.event("CALL_ESTABLISHED", secs(20));
    // Each says its piece once.
    until("both have been heard for four seconds", secs(20), || {
        let calls = switch.http.items("/v1/calls");
        (calls.len() == 2 && calls.iter().all(|call| call["status"] == "in-progress")).then_some(())
    });
    std::thread::sleep(secs(4));
    alice.command("hangup", "");
    bob.event("CALL_CLOSED", secs(10));
    assert_heard("goodbye", &alice.recording());
    assert_heard("welcome", &bob.recording());
    let rows = until("both CDRs", secs(10), || {
        let rows = switch.http.items("/v1/cdrs");
        (rows.len() == 2).then_some(rows)
    });
    assert!(rows.iter().all(|row| row["status"] == "completed"), "{rows:#?}");
    let leg = rows.iter().find(|row| row["direction"] == "outbound-dial").unwrap();
    assert_eq!((&leg["from"], &leg["to"]), (&json!("alice"), &json!("bob")), "{leg:#}");
}

#[test]
fn a_phone_on_tls_is_called_over_the_connection_that_it_registered_by() {
    let (mut setup, switch) = town(&["alice", "bob"]);
    let mut bob = phone("bob", "tls", &mut setup, "goodbye");
    let mut alice = phone("alice", "tls", &mut setup, "welcome");
    // A bare name is one of its account: the same host, port and transport.
    alice.command("dial", "bob");
    bob.event("CALL_ESTABLISHED", secs(20));
    let calls = switch.http.items("/v1/calls");
    for call in &calls {
        let ladder = switch.http.items(&format!("/v1/calls/{}/ladder", call["sid"].as_str().unwrap()));
        assert!(!ladder.is_empty() && ladder.iter().all(|line| line["transport"] == "TLS"), "{ladder:#?}");
    }
    bob.command("hangup", "");
    alice.event("CALL_CLOSED", secs(10));
}

#[test]
fn a_phone_is_called_after_a_restart_before_it_registers_again() {
    let (mut setup, mut switch) = town(&["alice", "bob"]);
    let mut bob = phone("bob", "udp", &mut setup, "goodbye");
    switch.process.terminate();
    switch.process.end(secs(20));
    drop(switch);
    let switch = setup.start();
    let mut alice = phone("alice", "udp", &mut setup, "welcome");
    dial(&mut alice, "bob", &switch);
    alice.event("CALL_ESTABLISHED", secs(20));
    bob.event("CALL_ESTABLISHED", secs(20));
    alice.command("hangup", "");
    bob.event("CALL_CLOSED", secs(10));
}

#[test]
fn sipsak_hears_that_we_are_there() {
    let (setup, switch) = town(&[]);
    let target = format!("sip:ping@127.0.0.1:{}", switch.sip_port);
    let sipsak = std::process::Command::new("sipsak").current_dir(setup.dir()).args(["-vv", "-s", &target]).output();
    let output = sipsak.unwrap();
    assert!(output.status.success() && String::from_utf8_lossy(&output.stdout).contains("200 OK"), "{output:?}");
}

#[test]
fn a_hold_is_carried_through_and_so_is_its_end() {
    let (mut setup, switch) = town(&["alice", "bob"]);
    let mut bob = phone("bob", "udp", &mut setup, "goodbye");
    let mut alice = phone("alice", "udp", &mut setup, "welcome");
    dial(&mut alice, "bob", &switch);
    alice.event("CALL_ESTABLISHED", secs(20));
    alice.command("hold", "");
    until("the hold in the events", secs(10), || has(&events(&switch, "inbound", "bob"), "held").then_some(()));
    alice.command("resume", "");
    until("its end in the events", secs(10), || has(&events(&switch, "inbound", "bob"), "resumed").then_some(()));
    until("two re-INVITEs to bob", secs(10), || (invites(&switch, "bob") == 3).then_some(()));
    bob.command("hangup", "");
    alice.event("CALL_CLOSED", secs(10));
}

#[test]
fn a_blind_transfer_joins_the_one_who_stays_with_the_one_who_is_called() {
    let (mut setup, switch) = town(&["alice", "bob", "carol"]);
    let mut carol = phone("carol", "udp", &mut setup, "goodbye");
    let mut bob = phone("bob", "udp", &mut setup, "welcome");
    let mut alice = phone("alice", "udp", &mut setup, "hold-music");
    dial(&mut alice, "bob", &switch);
    alice.event("CALL_ESTABLISHED", secs(20));
    // Alice hands bob on to carol.
    alice.command("transfer", &format!("sip:carol@127.0.0.1:{}", switch.sip_port));
    carol.event("CALL_ESTABLISHED", secs(20));
    alice.event("CALL_CLOSED", secs(20));
    std::thread::sleep(secs(4));
    carol.command("hangup", "");
    bob.event("CALL_CLOSED", secs(10));
    // What carol says comes after what alice said, in one recording of one call.
    assert_heard("goodbye", &bob.recording());
    let rows = until("three CDRs", secs(10), || {
        let rows = switch.http.items("/v1/cdrs");
        (rows.len() == 3).then_some(rows)
    });
    assert!(rows.iter().all(|row| row["status"] == "completed"), "{rows:#?}");
    let whole = rows.iter().find(|row| row["direction"] == "inbound").unwrap();
    assert_eq!(whole["cause"]["reason"], "transferred", "{whole:#}");
}

#[test]
fn a_transfer_to_nobody_is_refused_before_anything_changes() {
    let (mut setup, switch) = town(&["alice", "bob"]);
    let mut bob = phone("bob", "udp", &mut setup, "welcome");
    let mut alice = phone("alice", "udp", &mut setup, "goodbye");
    dial(&mut alice, "bob", &switch);
    alice.event("CALL_ESTABLISHED", secs(20));
    alice.command("transfer", &format!("sip:nobody@127.0.0.1:{}", switch.sip_port));
    until("the refusal", secs(10), || alice.output().contains("transfer failed: 404").then_some(()));
    // This phone hangs up then; nobody else was called.
    bob.event("CALL_CLOSED", secs(10));
    assert_eq!(switch.http.items("/v1/calls").len(), 2);
}

#[test]
fn an_attended_transfer_joins_the_two_that_the_phone_talked_to() {
    let (mut setup, switch) = town(&["alice", "bob", "carol"]);
    let bob = phone("bob", "udp", &mut setup, "welcome");
    let mut carol = phone("carol", "udp", &mut setup, "goodbye");
    let mut alice = Linphone::registered("alice", PASSWORD, &mut setup);
    let legs = |count: usize| {
        until("both legs", secs(20), || {
            let live = switch.http.items("/v1/calls");
            (live.iter().filter(|call| call["status"] == "in-progress").count() == count).then_some(())
        });
    };
    alice.command(&format!("call sip:bob@127.0.0.1:{}", switch.sip_port));
    legs(2);
    alice.says("Media streams established");
    alice.command("pause");
    until("the hold in the events", secs(10), || has(&events(&switch, "inbound", "bob"), "held").then_some(()));
    alice.command(&format!("call sip:carol@127.0.0.1:{}", switch.sip_port));
    legs(4);
    alice.says("for call 2 (audio)");
    alice.command("transfer 1 --to-call 2");
    let joined = until("the end of alice's calls", secs(20), || {
        let rows = switch.http.items("/v1/cdrs");
        (rows.len() == 2).then_some(rows)
    });
    assert!(joined.iter().all(|row| row["direction"] == "inbound" && row["cause"]["reason"] == "transferred"));
    // Bob was held; he is not any more.
    until("a re-INVITE that ends the hold", secs(10), || (invites(&switch, "bob") == 3).then_some(()));
    carol.command("hangup", "");
    let rows = until("every CDR", secs(20), || {
        let rows = switch.http.items("/v1/cdrs");
        (rows.len() == 4).then_some(rows)
    });
    let of = |to: &str| rows.iter().find(|row| row["direction"] == "outbound-dial" && row["to"] == to).unwrap();
    assert_eq!((&of("bob")["status"], &of("carol")["status"]), (&json!("completed"), &json!("completed")));
    assert!(has(&events(&switch, "outbound-dial", "bob"), "unbridged"));
    drop(bob);
}
