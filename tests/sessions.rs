//! What a SIP session has beside INVITE and BYE, with SIPp 3.6 at the other end: PRACK (RFC 3262), UPDATE (RFC 3311), session
//! timers (RFC 4028), late offers (RFC 3261 §13.2.1). The scenarios check each message; here stand the calls' ends.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it cannot go on")]

mod common;

use common::secs;
use common::sipp::{Sipp, requests};
use common::switch::{CALLED, OWNED, Setup};
use serde_json::json;
use std::time::Duration;

/// Speaks back whatever it hears, for as long as the caller likes.
const ECHO: &str = "+18325550102";
const CALL_WITHIN: Duration = secs(30);

#[test]
fn a_late_offer_with_a_session_timer_is_refreshed_and_changed_by_sipp() {
    let mut setup = Setup::new();
    let port = setup.room().1.port();
    let mut setup = setup
        .trunk("carrier", "generic", port, "")
        .section(&format!("[[number]]\nnumber = \"{ECHO}\"\ntenant = \"default\"\nanswer = {{ echo = true }}"));
    let switch = setup.start();
    let mut sipp = Sipp::call("session", &mut setup, ECHO, &[]);
    sipp.passes(CALL_WITHIN);
    let calls = switch.http.items("/v1/calls");
    assert_eq!(calls.len(), 1, "the INVITE that met 422 is no call: {calls:#?}");
}

#[test]
fn a_carriers_reliable_183_is_acknowledged_and_its_answer_holds_without_another() {
    let mut setup = Setup::new();
    let mut sipp = Sipp::serve("reliable", &mut setup, &[]);
    let setup = setup.trunk("carrier", "generic", sipp.port, "");
    let switch = setup.start();
    let sid = switch.http.place(&json!({ "from": OWNED, "to": CALLED, "answer": { "echo": true } }));
    let messages = sipp.passes(CALL_WITHIN);
    assert_eq!(requests(&messages, "PRACK").len(), 1);
    assert_eq!(requests(&messages, "ACK").len(), 1);
    let ended = switch.http.ended(&sid, CALL_WITHIN);
    assert_eq!((&ended["status"], &ended["cause"]["origin"]), (&json!("completed"), &json!("callee")), "{ended:#}");
}
