//! SIPp 3.6 as the carrier: what it meets on the wire, and what the API then says of the call (RFC 3261 §9, §13, §22).
//!
//! Each test has a switch, a carrier and ports of its own. The audio of an answered call goes to a socket that the test
//! owns.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops where it cannot go on, and reports"
)]

mod common;

use common::http::Http;
use common::rtp::{Ear, Heard, Speaks, lateness, undisturbed};
use common::sipp::{Message, Sipp, requests, transcript};
use common::switch::{CALLED, OWNED, Setup, Switch};
use common::{audio, secs, until};
use md5::{Digest, Md5};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::{Duration, Instant};

const USER: &str = "tandem-trunk";
const PASSWORD: &str = "Correct-Horse-7-Battery";
/// A call with a prompt of three seconds, on a machine that does much else.
const CALL_WITHIN: Duration = secs(30);

/// A trunk's keys: the user and this password.
fn credentials(password: &str) -> String {
    format!("username = \"{USER}\"\npassword = \"{password}\"")
}

fn call() -> Value {
    json!({ "from": OWNED, "to": CALLED, "answer": { "play": "welcome" } })
}

/// A switch whose one trunk, of Twilio's profile, leads to a SIPp with this scenario.
fn with_carrier(scenario: &str, keys: &[(&str, &str)], trunk: &str) -> (Setup, Sipp, Switch) {
    let mut setup = Setup::new();
    let sipp = Sipp::serve(scenario, &mut setup, keys);
    let setup = setup.trunk("carrier", "twilio", sipp.port, trunk);
    let switch = setup.start();
    (setup, sipp, switch)
}

/// Places a call and waits for its end.
fn run(http: &Http, call: &Value) -> Value {
    let sid = http.place(call);
    http.ended(&sid, CALL_WITHIN)
}

fn assert_ended(call: &Value, status: &str, sip_status: u16, origin: &str) {
    assert_eq!(call["status"], status, "{call:#}");
    assert_eq!(call["cause"]["sip_status"], sip_status, "{call:#}");
    assert_eq!(call["cause"]["origin"], origin, "{call:#}");
}

#[test]
fn answers_a_407_and_plays_the_prompt_sample_for_sample() {
    let heard = undisturbed(|| vec![challenged_call()]).concat();
    assert_stream_has_no_break(&heard);
    assert_says("welcome", &heard);
    let (half, most, all) = lateness(&heard);
    println!(
        "lateness of {} packets against the 20 ms grid: p50 {half:.1} ms, p99 {most:.1} ms, max {all:.1} ms",
        heard.len()
    );
}

/// One call to a carrier that challenges; what its far end heard.
fn challenged_call() -> Vec<Heard> {
    let ear = Ear::open(Speaks::Silence);
    let keys = [("rtp_port", &*ear.port.to_string())];
    let (_setup, mut sipp, switch) = with_carrier("carrier", &keys, &credentials(PASSWORD));
    let ended = run(&switch.http, &call());
    assert_ended(&ended, "completed", 200, "program");
    assert_eq!(ended["carrier_call_id"], "CA00000000000000000000000000000b0b", "{ended:#}");
    assert_digest_is_as_rfc_7616_wants(&sipp.passes(secs(10)));
    ear.close()
}

/// One attempt without credentials and one with: same Call-ID and From tag, CSeq one more (RFC 3261 §22.2).
fn assert_digest_is_as_rfc_7616_wants(messages: &[Message]) {
    let invites = requests(messages, "INVITE");
    let [first, second] = invites.as_slice() else { panic!("not two INVITEs:\n{}", transcript(messages)) };
    for name in ["Call-ID", "From", "To"] {
        assert_eq!(first.header(name), second.header(name), "{name}");
    }
    assert_eq!(cseq(second), cseq(first) + 1);
    let sent = |name| second.credential(name).unwrap_or_default();
    assert_eq!((sent("username"), sent("realm"), sent("nonce")), (USER, "sip.twilio.com", "5f0c1f3a"));
    assert_eq!((sent("qop"), sent("nc"), sent("opaque")), ("auth", "00000001", "0a1b2c3d4e5f"));
    assert!(!sent("cnonce").is_empty(), "{}", second.text);
    assert_eq!(second.start_line(), format!("INVITE {} SIP/2.0", sent("uri")));
    assert_eq!(sent("response"), response(sent("uri"), sent("cnonce")));
    assert!(!transcript(messages).contains(PASSWORD));
}

/// What the carrier computes for itself (RFC 7616 §3.4.1, with MD5 and qop=auth).
fn response(uri: &str, cnonce: &str) -> String {
    let hash = |text: String| Md5::digest(text).iter().map(|octet| format!("{octet:02x}")).collect::<String>();
    let ha1 = hash(format!("{USER}:sip.twilio.com:{PASSWORD}"));
    let ha2 = hash(format!("INVITE:{uri}"));
    hash(format!("{ha1}:5f0c1f3a:00000001:{cnonce}:auth:{ha2}"))
}

fn cseq(message: &Message) -> u32 {
    message.header("CSeq").split(' ').next().unwrap().parse().unwrap()
}

/// RFC 3550 §5.1: one source, its sequence and timestamp in step; 160 samples a packet, and a marker where speech begins.
fn assert_stream_has_no_break(heard: &[Heard]) {
    for pair in heard.windows(2) {
        let [before, after] = pair else { unreachable!() };
        assert_eq!(after.ssrc, before.ssrc);
        assert_eq!(after.sequence, before.sequence.wrapping_add(1), "at {}", before.sequence);
        assert_eq!(after.timestamp, before.timestamp.wrapping_add(160), "at {}", before.timestamp);
    }
    assert!(heard.iter().all(|packet| packet.payload_type == 0 && packet.payload.len() == 160));
    let markers: Vec<usize> =
        heard.iter().enumerate().filter(|(_, packet)| packet.marker).map(|(nth, _)| nth).collect();
    assert_eq!(markers, [0], "the packets with a marker");
    let (Some(first), Some(last)) = (heard.first(), heard.last()) else { panic!("no RTP at all") };
    let a_second = (heard.len() - 1) as f64 / last.at.duration_since(first.at).as_secs_f64();
    assert!((40.0..60.0).contains(&a_second), "{a_second} packets a second");
}

fn assert_says(prompt: &str, heard: &[Heard]) {
    let octets: Vec<u8> = heard.iter().flat_map(|packet| packet.payload.iter().copied()).collect();
    let wanted: Vec<u8> = audio::prompt(prompt).into_iter().map(audio::ulaw).collect();
    let found = audio::position(&octets, &wanted);
    assert!(found.is_some(), "{} octets heard, and {prompt} ({}) is not in them", octets.len(), wanted.len());
}

#[test]
fn answers_a_401_with_credentials_that_sipp_verifies() {
    let ear = Ear::open(Speaks::Silence);
    let port = ear.port.to_string();
    let keys = [("auth_user", USER), ("auth_password", PASSWORD), ("rtp_port", port.as_str())];
    let (_setup, mut sipp, switch) = with_carrier("carrier_401", &keys, &credentials(PASSWORD));
    assert_ended(&run(&switch.http, &call()), "completed", 200, "program");
    sipp.passes(secs(10));
}

#[test]
fn gives_up_after_two_attempts_with_the_wrong_password() {
    let (_setup, mut sipp, switch) = with_carrier("wrong_password", &[], &credentials("Another-Horse-8-Battery"));
    let ended = run(&switch.http, &call());
    assert_ended(&ended, "failed", 407, "carrier");
    assert_eq!(ended["cause"]["retry"], false, "{ended:#}");
    let messages = sipp.passes(secs(15));
    assert_eq!(requests(&messages, "INVITE").len(), 2, "{}", transcript(&messages));
}

/// What a carrier refuses with, and what the call then says.
fn assert_refusal(code: &str, phrase: &str, header: &str, status: &str, origin: &str) -> Value {
    let keys = [("code", code), ("phrase", phrase), ("header", header)];
    let (_setup, mut sipp, switch) = with_carrier("refuses", &keys, "");
    let ended = run(&switch.http, &call());
    assert_ended(&ended, status, code.parse().unwrap(), origin);
    let messages = sipp.passes(secs(10));
    assert_eq!(requests(&messages, "INVITE").len(), 1, "{}", transcript(&messages));
    ended
}

#[test]
fn is_busy_after_486() {
    let ended = assert_refusal("486", "Busy Here", "Server: Twilio", "busy", "callee");
    assert_eq!(ended["cause"]["q850"], 17, "{ended:#}");
}

#[test]
fn is_busy_after_603_and_will_not_be_retried() {
    let ended = assert_refusal("603", "Decline", "Server: Twilio", "busy", "callee");
    assert_eq!(ended["cause"]["retry"], false, "{ended:#}");
}

#[test]
fn fails_after_404_with_the_cause_for_an_unallocated_number() {
    let ended = assert_refusal("404", "Not Found", "Server: Twilio", "failed", "carrier");
    assert_eq!(ended["cause"]["q850"], 1, "{ended:#}");
}

#[test]
fn fails_after_503_and_may_be_retried() {
    let ended = assert_refusal("503", "Service Unavailable", "Retry-After: 7", "failed", "carrier");
    assert_eq!(ended["cause"]["retry"], true, "{ended:#}");
}

#[test]
fn is_no_answer_after_408() {
    assert_refusal("408", "Request Timeout", "Server: Twilio", "no-answer", "carrier");
}

#[test]
fn says_twilios_own_reason_for_a_403() {
    let error = "X-Twilio-Error: 32204 Caller ID is not verified";
    let ended = assert_refusal("403", "Forbidden", error, "failed", "carrier");
    assert!(ended["cause"]["reason"].as_str().unwrap().contains("32204"), "{ended:#}");
    assert_eq!(ended["cause"]["retry"], false, "{ended:#}");
}

#[test]
fn cancels_a_call_that_nobody_answers() {
    let (_setup, mut sipp, switch) = with_carrier("rings", &[], "");
    let mut call = call();
    call["timeout_s"] = json!(2);
    let ended = run(&switch.http, &call);
    assert_eq!(ended["status"], "no-answer", "{ended:#}");
    assert_eq!(ended["cause"]["q850"], 19, "{ended:#}");
    assert_eq!(ended["cause"]["origin"], "limit", "{ended:#}");
    let messages = sipp.passes(secs(10));
    assert_cancel_matches_its_invite(&messages);
}

/// RFC 3261 §9.1: same Request-URI, Call-ID, To, From, CSeq number and one Via, the INVITE's.
fn assert_cancel_matches_its_invite(messages: &[Message]) {
    let (invite, cancel) = (&requests(messages, "INVITE")[0], &requests(messages, "CANCEL")[0]);
    let uri = |message: &Message| message.start_line().split(' ').nth(1).map(str::to_owned);
    assert_eq!(uri(invite), uri(cancel));
    for name in ["Call-ID", "From", "To", "Via"] {
        assert_eq!(invite.header(name), cancel.header(name), "{name}");
    }
    assert_eq!(cseq(invite), cseq(cancel));
}

#[test]
fn cancels_a_ringing_call_when_the_api_asks_for_its_end() {
    let (_setup, mut sipp, switch) = with_carrier("rings", &[], "");
    let sid = switch.http.place(&call());
    switch.http.reaches(&sid, "ringing", secs(10));
    let reply = switch.http.post(&format!("/v1/calls/{sid}"), &json!({ "status": "canceled" }));
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_ended(&switch.http.ended(&sid, secs(10)), "canceled", 487, "api");
    assert_cancel_matches_its_invite(&sipp.passes(secs(10)));
}

#[test]
fn acknowledges_and_hangs_up_an_answer_that_crosses_the_cancel() {
    let ear = Ear::open(Speaks::Silence);
    let (_setup, mut sipp, switch) = with_carrier("late_200", &[("rtp_port", &ear.port.to_string())], "");
    let mut call = call();
    call["timeout_s"] = json!(2);
    let ended = run(&switch.http, &call);
    assert_eq!(ended["status"], "no-answer", "{ended:#}");
    let messages = sipp.passes(secs(10));
    assert_eq!(requests(&messages, "ACK").len(), 1, "{}", transcript(&messages));
    assert_eq!(requests(&messages, "BYE").len(), 1, "{}", transcript(&messages));
    assert!(ear.close().is_empty(), "nothing is said to somebody whose call was given up");
}

#[test]
fn fails_by_its_try_timeout_where_the_carrier_is_silent() {
    let carrier = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    carrier.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
    let port = carrier.local_addr().unwrap().port();
    let setup = Setup::new().trunk("carrier", "twilio", port, "try_timeout_ms = 1200");
    let switch = setup.start();
    let sid = switch.http.place(&call());
    let began = Instant::now();
    assert_ended(&switch.http.ended(&sid, secs(10)), "failed", 408, "carrier");
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(1_100), "{took:?}");
    // At 0, 500 and, where the machine was slow to end the call, 1,500 ms (RFC 3261 §17.1.1.2); every copy alike.
    let copies = datagrams(&carrier);
    assert!((2..=4).contains(&copies.len()), "{copies:#?}");
    assert_eq!(copies.iter().collect::<BTreeSet<_>>().len(), 1, "{copies:#?}");
    assert!(copies[0].starts_with("INVITE "), "{copies:#?}");
}

/// What has arrived at a socket.
fn datagrams(socket: &UdpSocket) -> Vec<String> {
    let mut buffer = [0; 8_192];
    let next = || socket.recv(&mut buffer).ok().map(|length| String::from_utf8_lossy(&buffer[..length]).into_owned());
    std::iter::from_fn(next).collect()
}

#[test]
fn sends_ack_and_bye_to_the_contact_along_both_recorded_routes() {
    let ear = Ear::open(Speaks::Silence);
    let (_setup, mut sipp, switch) = with_carrier("routed", &[("rtp_port", &ear.port.to_string())], "");
    let ended = run(&switch.http, &call());
    assert_ended(&ended, "completed", 200, "program");
    sipp.passes(secs(10));
}

#[test]
fn carries_a_call_over_tcp() {
    let ear = Ear::open(Speaks::Silence);
    let mut setup = Setup::new();
    let mut sipp = Sipp::serve_tcp("carrier", &mut setup, &[("rtp_port", &ear.port.to_string())]);
    let setup = setup.section(&format!(
        "[[trunk]]\nname = \"carrier\"\nprofile = \"twilio\"\nuri = \"sip:127.0.0.1:{};transport=tcp\"\n\
         media_from = [\"127.0.0.1\"]\n{}",
        sipp.port,
        credentials(PASSWORD)
    ));
    let switch = setup.start();
    assert_ended(&run(&switch.http, &call()), "completed", 200, "program");
    let messages = sipp.passes(secs(10));
    assert!(messages[0].header("Via").starts_with("SIP/2.0/TCP "), "{}", messages[0].text);
    assert_says("welcome", &ear.close());
}

/// Two trunks, the first of which refuses with this; the INVITEs that the second got.
fn second_trunk_after(code: &str, phrase: &str, ended: impl FnOnce(&Value)) -> bool {
    let ear = Ear::open(Speaks::Silence);
    let mut setup = Setup::new();
    let refusal = [("code", code), ("phrase", phrase), ("header", "Server: first")];
    let mut first = Sipp::serve("refuses", &mut setup, &refusal);
    let mut second = Sipp::serve("carrier", &mut setup, &[("rtp_port", &ear.port.to_string())]);
    let setup =
        setup.trunk("first", "twilio", first.port, "").trunk("second", "twilio", second.port, &credentials(PASSWORD));
    let switch = setup.start();
    ended(&run(&switch.http, &call()));
    first.passes(secs(10));
    let tried = !requests(&second.messages(), "INVITE").is_empty();
    if tried {
        second.passes(secs(10));
    }
    tried
}

#[test]
fn tries_the_next_trunk_after_503() {
    let tried = second_trunk_after("503", "Service Unavailable", |ended| {
        assert_ended(ended, "completed", 200, "program");
        assert_eq!(ended["trunk"], "second", "{ended:#}");
        assert_eq!(ended["sip_call_ids"].as_array().map(Vec::len), Some(2), "{ended:#}");
    });
    assert!(tried);
}

#[test]
fn does_not_try_the_next_trunk_after_the_callee_declined() {
    let tried = second_trunk_after("603", "Decline", |ended| {
        assert_ended(ended, "busy", 603, "callee");
        assert_eq!(ended["trunk"], "first", "{ended:#}");
    });
    assert!(!tried);
}

#[test]
fn says_who_hung_up_and_stops_speaking_when_it_is_the_carrier() {
    let ear = Ear::open(Speaks::Silence);
    let (_setup, mut sipp, switch) = with_carrier("hangs_up", &[("rtp_port", &ear.port.to_string())], "");
    let ended = run(&switch.http, &call());
    assert_ended(&ended, "completed", 200, "callee");
    sipp.passes(secs(10));
    let heard = ear.close();
    assert!((20..100).contains(&heard.len()), "{} packets in a call of one second", heard.len());
}

#[test]
fn answers_a_caller_with_the_numbers_prompt_and_hangs_up() {
    let heard = undisturbed(|| vec![inbound_call()]).concat();
    assert_stream_has_no_break(&heard);
    assert_says("welcome", &heard);
}

/// One call from a carrier to a number of ours; what the caller heard.
fn inbound_call() -> Vec<Heard> {
    let ear = Ear::open(Speaks::Silence);
    let mut setup = Setup::new();
    let port = setup.room().1.port();
    let mut setup = setup.trunk("carrier", "generic", port, "");
    let switch = setup.start();
    let mut sipp = Sipp::call("caller", &mut setup, OWNED, &[("rtp_port", &ear.port.to_string())]);
    sipp.passes(CALL_WITHIN);
    let call = until("the inbound call in the list", secs(10), || {
        let calls = switch.http.items("/v1/calls");
        calls.into_iter().find(|call| call["direction"] == "inbound" && call["status"] == "completed")
    });
    assert_eq!((&call["from"], &call["to"]), (&json!("+18325550111"), &json!(OWNED)), "{call:#}");
    ear.close()
}

#[test]
fn ten_calls_at_once_each_hear_the_whole_prompt() {
    for heard in undisturbed(ten_calls) {
        assert_stream_has_no_break(&heard);
        assert_says("welcome", &heard);
    }
}

/// Ten calls at once, over a carrier each; what each far end heard.
fn ten_calls() -> Vec<Vec<Heard>> {
    let mut setup = Setup::new();
    let ears: Vec<Ear> = (0..10).map(|_| Ear::open(Speaks::Silence)).collect();
    let mut carriers = Vec::new();
    for (nth, ear) in ears.iter().enumerate() {
        let carrier = Sipp::serve("carrier", &mut setup, &[("rtp_port", &ear.port.to_string())]);
        setup = setup.trunk(&format!("carrier-{nth}"), "twilio", carrier.port, &credentials(PASSWORD));
        carriers.push(carrier);
    }
    let switch = setup.start();
    let place = |nth: usize| {
        let mut call = call();
        call["trunk"] = json!(format!("carrier-{nth}"));
        call
    };
    let replies = switch.http.post_all("/v1/calls", (0..10).map(place).collect(), 10);
    for reply in replies {
        let reply = reply.expect("an answer to every POST");
        assert_eq!(reply.status, 201, "{reply:?}");
        assert_ended(&switch.http.ended(reply.body["sid"].as_str().unwrap(), CALL_WITHIN), "completed", 200, "program");
    }
    carriers.iter_mut().for_each(|carrier| drop(carrier.passes(secs(10))));
    ears.into_iter().map(Ear::close).collect()
}
