//! `tandem backup` beside a running switch, and `tandem restore` into an empty folder: what was acknowledged is there, once.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it cannot go on")]

mod common;

use common::carrier::Carrier;
use common::http::is_final;
use common::process::Process;
use common::switch::{CALLED, OWNED, Setup, tandem};
use common::{secs, until};
use serde_json::json;
use std::collections::BTreeSet;

fn run(setup: &Setup, words: &[&str]) -> Process {
    let mut process = tandem("command", setup.dir(), |command| {
        command.args(words);
    });
    process.end(secs(120));
    process
}

#[test]
fn a_backup_that_is_taken_while_calls_live_is_restored_elsewhere_with_every_call() {
    let mut setup = Setup::new();
    let (dir, ports) = setup.room();
    let carrier = Carrier::start(dir, ports, 10, "answer 100ms", &[]);
    let setup = setup.trunk("carrier", "generic", carrier.port, "");
    let switch = setup.start();
    let call = |answer| json!({ "from": OWNED, "to": CALLED, "answer": answer });
    let mut before = BTreeSet::new();
    for _ in 0..5 {
        before.insert(switch.http.place(&call(json!({ "hangup": true }))));
        before.insert(switch.http.place(&call(json!({ "play": "welcome", "loop": 0 }))));
    }
    until("some have ended and some are answered", secs(60), || {
        let calls = switch.http.items("/v1/calls");
        let of = |status: &str| calls.iter().filter(|call| call["status"] == status).count();
        (of("completed") == 5 && of("in-progress") == 5).then_some(())
    });
    let mut taken = run(&setup, &["backup", "copy"]);
    assert!(taken.ended().unwrap().success(), "{}", taken.output());
    let again = run(&setup, &["backup", "copy"]).output();
    assert!(again.contains("copy is there already"), "{again}");
    let live = switch.http.items("/v1/calls?status=in-progress").len();
    assert_eq!(live, 5, "no call has noticed");

    let elsewhere = Setup::new();
    std::fs::write(elsewhere.dir().join("tandem.toml"), elsewhere.text()).unwrap();
    let copy = setup.dir().join("copy");
    let mut restored = run(&elsewhere, &["restore", copy.to_str().unwrap()]);
    assert!(restored.ended().unwrap().success(), "{}", restored.output());
    let over = run(&elsewhere, &["restore", copy.to_str().unwrap()]).output();
    assert!(over.contains("is there already"), "{over}");
    let second = elsewhere.start();
    // The database has them as soon as it has taken the journal.
    let calls = until("every call is there", secs(60), || {
        Some(second.http.items("/v1/calls")).filter(|calls| calls.len() >= 10 && calls.iter().all(is_final))
    });
    let found: BTreeSet<String> = calls.iter().map(|call| call["sid"].as_str().unwrap().to_owned()).collect();
    assert_eq!((found, calls.len()), (before, 10));
    assert!(calls.iter().all(is_final));
    let interrupted = calls.iter().filter(|call| call["cause"]["origin"] == "interrupted").count();
    assert_eq!(interrupted, 5);
}
