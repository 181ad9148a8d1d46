//! Calls that are joined with others, with SIPp at both ends and real sockets between.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it cannot go on")]

mod common;

use common::rtp::{Ear, Heard, Speaks, number};
use common::sipp::{Sipp, requests};
use common::switch::{Setup, Switch};
use common::{secs, until};
use serde_json::{Value, json};

/// Answers by calling somebody else.
const BRIDGED: &str = "+18325550101";
const CALLED: &str = "+18325550199";
const CALLER: u8 = 0x11;
const CALLEE: u8 = 0x22;

/// A switch whose number calls somebody on; the SIPp that is called has the scenario `carrier`.
fn town(carrier: &str, keys: &[(&str, &str)], answer: &str) -> (Setup, Sipp, Switch) {
    let mut setup = Setup::new();
    let carrier = Sipp::serve(carrier, &mut setup, keys);
    let account = "username = \"trunk\"\npassword = \"Correct-Horse-7-Battery\"\n";
    let setup = setup
        .trunk("carrier", "twilio", carrier.port, account)
        .section(&format!("[[number]]\nnumber = \"{BRIDGED}\"\ntenant = \"default\"\nanswer = {answer}"));
    let switch = setup.start();
    (setup, carrier, switch)
}

/// The CDRs of the two legs: the caller's and the called one's.
fn cdrs(switch: &Switch) -> [Value; 2] {
    until("the CDRs of both legs", secs(10), || {
        let rows = switch.http.items("/v1/cdrs");
        let find = |direction: &str| rows.iter().find(|row| row["direction"] == direction).cloned();
        Some([find("inbound")?, find("outbound-dial")?])
    })
}

/// How many of the other's numbered packets were heard, each once and in order.
#[track_caller]
fn numbers_heard(heard: &[Heard], octet: u8) -> usize {
    let said: Vec<u16> = heard
        .iter()
        .filter(|packet| packet.payload.first() == Some(&octet))
        .map(|packet| u16::from_be_bytes([packet.payload[1], packet.payload[2]]))
        .collect();
    assert!(said.is_sorted_by(|before, after| before < after), "{said:?}");
    assert!(said.iter().all(|nth| heard.iter().any(|packet| packet.payload == number(octet, *nth))));
    said.len()
}

/// One stream: one source, no number twice, no step back.
#[track_caller]
fn assert_one_stream(heard: &[Heard]) {
    for pair in heard.windows(2) {
        let [before, after] = pair else { unreachable!() };
        assert_eq!(after.ssrc, before.ssrc);
        assert_eq!(after.sequence, before.sequence.wrapping_add(1), "at {}", before.sequence);
        assert_eq!(after.timestamp.wrapping_sub(before.timestamp) % 160, 0, "at {}", before.sequence);
    }
}

#[test]
fn both_ends_hear_each_other_and_either_ladder_is_whole() {
    let (caller, callee) = (Ear::open(Speaks::Numbers(CALLER)), Ear::open(Speaks::Numbers(CALLEE)));
    let (mut setup, mut called, switch) =
        town("carrier", &[("rtp_port", &callee.port.to_string())], &format!("{{ bridge = \"{CALLED}\" }}"));
    let mut calling = Sipp::call("talks", &mut setup, BRIDGED, &[("rtp_port", &caller.port.to_string())]);
    let own = calling.passes(secs(20));
    let theirs = called.passes(secs(10));
    let (caller, callee) = (caller.close(), callee.close());
    assert_one_stream(&caller);
    assert_one_stream(&callee);
    // Two seconds are a hundred packets each way.
    assert!(numbers_heard(&caller, CALLEE) >= 80, "{}", numbers_heard(&caller, CALLEE));
    assert!(numbers_heard(&callee, CALLER) >= 80, "{}", numbers_heard(&callee, CALLER));

    let [whole, leg] = cdrs(&switch);
    assert_eq!((&whole["status"], &leg["status"]), (&json!("completed"), &json!("completed")), "{whole:#} {leg:#}");
    assert_eq!((&leg["parent"], &leg["to"]), (&whole["sid"], &json!(CALLED)), "{leg:#}");
    assert_eq!((&whole["cause"]["origin"], &leg["cause"]["origin"]), (&json!("caller"), &json!("caller")));

    // The trunk sees the caller's own number, one hop less, and nothing else of the caller's side.
    let invite = requests(&theirs, "INVITE").pop().unwrap();
    assert_eq!(invite.header("Max-Forwards"), "59");
    assert!(invite.header("From").contains("sip:+18325550111@"), "{invite:?}");
    assert_ne!(own[0].header("Call-ID"), theirs[0].header("Call-ID"));
}

#[test]
fn the_caller_of_a_busy_number_hears_486_and_was_never_answered() {
    let answer = format!("{{ bridge = \"{CALLED}\" }}");
    let keys = [("code", "486"), ("phrase", "Busy Here"), ("header", "X-Nothing: 0")];
    let (mut setup, mut called, switch) = town("refuses", &keys, &answer);
    let mut calling = Sipp::call("refused", &mut setup, BRIDGED, &[("code", "486")]);
    calling.passes(secs(20));
    called.passes(secs(10));
    let [whole, leg] = cdrs(&switch);
    for cdr in [&whole, &leg] {
        assert_eq!((&cdr["status"], &cdr["cause"]["sip_status"]), (&json!("busy"), &json!(486)), "{cdr:#}");
        assert_eq!(cdr["billable_ms"], 0);
    }
}
