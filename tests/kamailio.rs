//! A carrier behind Kamailio, which record-routes loosely and twice: in both directions, every request inside the dialog
//! takes the whole way back (RFC 3261 §12.2.1.1, §16.12).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where it cannot go on")]

mod common;

use common::kamailio::Kamailio;
use common::rtp::{Ear, Speaks};
use common::sipp::{Message, Sipp, requests};
use common::switch::{CALLED, OWNED, Setup};
use common::{secs, until};
use serde_json::json;

const ACCOUNT: &str = "username = \"trunk\"\npassword = \"Correct-Horse-7-Battery\"\n";

/// A request that has come by way of the proxy and was sent by the switch: two Vias, and no route left.
#[track_caller]
fn assert_proxied(message: &Message) {
    assert_eq!(message.headers("Via").len(), 2, "{}", message.text);
    assert!(message.headers("Route").is_empty(), "{}", message.text);
}

#[test]
fn ack_and_bye_take_both_recorded_routes_back_to_the_carrier() {
    let ear = Ear::open(Speaks::Silence);
    let mut setup = Setup::new();
    let mut carrier = Sipp::serve("proxied", &mut setup, &[("rtp_port", &ear.port.to_string())]);
    let port = setup.room().1.port();
    let proxy = Kamailio::start(&mut setup, port, carrier.port);
    let uri = format!("uri = \"sip:127.0.0.1:{}\"", proxy.port);
    let trunk = format!("uri = \"sip:127.0.0.1:{};transport=tcp\"", proxy.port);
    let setup = setup.trunk("carrier", "twilio", proxy.port, ACCOUNT).replaced(&uri, &trunk);
    let switch = setup.start();

    let sid = switch.http.place(&json!({ "from": OWNED, "to": CALLED, "answer": { "play": "digit-1" } }));
    let ended = switch.http.ended(&sid, secs(20));
    assert_eq!((&ended["status"], &ended["cause"]["sip_status"]), (&json!("completed"), &json!(200)), "{ended:#}");
    let messages = carrier.passes(secs(10));
    let invites = requests(&messages, "INVITE");
    let recorded = invites[1].headers("Record-Route");
    assert_eq!(recorded.len(), 2, "{recorded:?}");
    assert!(recorded.iter().all(|route| route.contains("r2=on") && route.contains("lr")), "{recorded:?}");
    for request in [requests(&messages, "ACK").pop(), requests(&messages, "BYE").pop()].into_iter().flatten() {
        assert_proxied(&request);
    }
    assert!(!ear.close().is_empty());
}

#[test]
fn a_caller_behind_the_proxy_is_answered_and_hung_up_on_through_it() {
    let ear = Ear::open(Speaks::Silence);
    let mut setup = Setup::new();
    let (proxy_port, own) = (setup.room().1.port(), setup.sip_port);
    // The caller's port is the carrier's: what comes from there goes to the switch.
    let caller_port = setup.room().1.port();
    let proxy = Kamailio::start(&mut setup, proxy_port, caller_port);
    let mut setup = setup.trunk("carrier", "generic", proxy.port, "");
    let switch = setup.start();
    let keys = [("rtp_port", &*ear.port.to_string())];
    let mut caller = Sipp::call_from("proxied_caller", &mut setup, caller_port, proxy.port, OWNED, &keys);
    let messages = caller.passes(secs(20));
    assert_ne!(own, proxy.port);
    assert_proxied(&requests(&messages, "BYE").pop().unwrap());
    until("the call in the books", secs(10), || {
        let calls = switch.http.items("/v1/cdrs");
        calls.into_iter().find(|call| call["direction"] == "inbound" && call["status"] == "completed")
    });
    assert!(!ear.close().is_empty());
}
