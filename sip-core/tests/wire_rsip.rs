//! rsip as the oracle: on a message that both accept, both read the same method, Request-URI, Call-ID, CSeq, From tag and
//! top Via. Where rsip refuses what is valid (IPv6 hosts, `tel:`, folding, escapes in users, `v:` and `f:`) there is nothing
//! to compare, so the generator stays within what it takes, and the test counts that it mostly did.

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rsip::prelude::*;
use sip_core::message::{Message, check_request, check_response};

/// What is compared, as text.
type Facts = [String; 8];

fn ours(text: &str) -> Option<Facts> {
    let message = Message::parse(Bytes::copy_from_slice(text.as_bytes())).ok()?;
    if message.is_request() {
        check_request(&message).ok()?;
    } else {
        check_response(&message).ok()?;
    }
    let uri = message.request_uri().ok();
    let (from, via, cseq) = (message.from().ok()?, message.top_via().ok()?, message.cseq().ok()?);
    let start = match (&uri, message.status()) {
        (Some(uri), _) => [
            message.method().to_string(),
            uri.user().unwrap_or_default().to_owned(),
            format!("{}:{:?}", uri.host()?, uri.port()),
        ],
        (None, status) => [status?.to_string(), String::new(), String::new()],
    };
    let [method, user, host] = start;
    Some([
        method,
        user,
        host,
        message.call_id().ok()?.to_owned(),
        cseq.to_string(),
        from.tag().unwrap_or_default().to_owned(),
        via.branch().unwrap_or_default().to_owned(),
        format!("{}:{:?}", via.host, via.port),
    ])
}

fn theirs(text: &str) -> Option<Facts> {
    let message = rsip::SipMessage::try_from(text.as_bytes()).ok()?;
    let place = |at: &rsip::HostWithPort| format!("{}:{:?}", at.host, at.port.as_ref().map(|port| *port.value()));
    let [method, user, host] = match &message {
        rsip::SipMessage::Request(request) => [
            request.method.to_string(),
            request.uri.user().unwrap_or_default().to_owned(),
            place(&request.uri.host_with_port),
        ],
        rsip::SipMessage::Response(response) => [response.status_code.code().to_string(), String::new(), String::new()],
    };
    let (cseq, via) = (message.cseq_header().ok()?.typed().ok()?, message.via_header().ok()?.typed().ok()?);
    Some([
        method,
        user,
        host,
        message.call_id_header().ok()?.value().to_owned(),
        format!("{} {}", cseq.seq, cseq.method),
        message.from_header().ok()?.tag().ok()?.map(|tag| tag.value().to_owned()).unwrap_or_default(),
        via.branch().map(|branch| branch.value().to_owned()).unwrap_or_default(),
        place(&via.uri.host_with_port),
    ])
}

/// One of some ways to write a name.
fn named(spellings: &'static [&'static str], value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    (proptest::sample::select(spellings), value).prop_map(|(name, value)| format!("{name}{value}\r\n"))
}

fn host() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{1,8}(\\.[a-z]{2,5}){1,2}", "(1[0-9]{2}|[1-9])\\.[1-9]\\.[1-9]\\.[1-9]{1,2}"]
}

/// Users without a dot: with one, rsip takes `user@` for a part of the host.
fn uri() -> impl Strategy<Value = String> {
    let user = prop_oneof![Just(String::new()), "[a-z0-9+-]{1,12}@"];
    let port = prop_oneof![3 => Just(String::new()), 1 => "[1-9][0-9]{1,3}".prop_map(|port| format!(":{port}"))];
    let params =
        prop_oneof![3 => Just(""), 1 => Just(";transport=udp"), 1 => Just(";lr"), 1 => Just(";x=y;user=phone")];
    (proptest::sample::select(&["sip", "sips"][..]), user, host(), port, params)
        .prop_map(|(scheme, user, host, port, params)| format!("{scheme}:{user}{host}{port}{params}"))
}

fn address(tag: &'static str) -> impl Strategy<Value = String> {
    let name = prop_oneof![Just(String::new()), "[A-Za-z]{1,8} ", "\"[A-Za-z ]{1,12}\" "];
    (name, uri(), tag).prop_map(|(name, uri, tag)| format!("{name}<{uri}>{tag}"))
}

fn message() -> impl Strategy<Value = String> {
    let method = proptest::sample::select(&["INVITE", "BYE", "OPTIONS", "REGISTER", "CANCEL", "MESSAGE", "UPDATE"][..]);
    let start = prop_oneof![uri().prop_map(Ok), (100..700_u16, "[A-Za-z ]{0,12}").prop_map(Err)];
    let via =
        ("(UDP|TCP|TLS)", host(), "(:[1-9][0-9]{3})?", "[A-Za-z0-9.-]{1,20}", "(;rport|;received=192\\.0\\.2\\.1)?")
            .prop_map(|(transport, host, port, branch, more)| {
                format!("SIP/2.0/{transport} {host}{port};branch=z9hG4bK{branch}{more}")
            });
    let headers = (
        named(&["Via: ", "VIA:"], via),
        named(&["From: ", "from:"], address(";tag=[a-z0-9]{1,12}")),
        named(&["To: ", "t: ", "TO:  "], address("(;tag=[a-z0-9]{1,12})?")),
        named(&["Call-ID: ", "i: ", "call-id:"], "[A-Za-z0-9.@-]{1,24}"),
        named(&["Max-Forwards: "], "[0-9]{1,2}"),
        proptest::option::of(named(&["Contact: ", "m: "], address(""))),
        proptest::option::of(named(&["User-Agent: ", "X-Note: "], "[ -~]{0,20}")),
    );
    (method, start, 0..1_u32 << 31, headers, any::<proptest::sample::Index>()).prop_map(
        |(method, start, seq, (via, from, to, call_id, hops, contact, note), at)| {
            let start = match start {
                Ok(uri) => format!("{method} {uri} SIP/2.0\r\n"),
                Err((code, phrase)) => format!("SIP/2.0 {code} {phrase}\r\n"),
            };
            let cseq = format!("CSeq: {seq} {method}\r\n");
            let mut lines = vec![via, from, to, call_id, hops, cseq];
            lines.extend(contact.into_iter().chain(note));
            let turn = at.index(lines.len());
            lines.rotate_left(turn);
            format!("{start}{}Content-Length: 0\r\n\r\n", lines.concat())
        },
    )
}

#[test]
fn agrees_with_rsip_on_what_both_accept() {
    const CASES: u32 = 2_000;
    let mut runner = TestRunner::new(Config { failure_persistence: None, ..Config::with_cases(CASES) });
    let (both, we_alone) = (std::cell::Cell::new(0_u32), std::cell::Cell::new(0_u32));
    let result = runner.run(&message(), |text| {
        match (ours(&text), theirs(&text)) {
            (Some(ours), Some(theirs)) => {
                both.set(both.get() + 1);
                prop_assert_eq!(ours, theirs, "{}", text);
            }
            (Some(_), None) => we_alone.set(we_alone.get() + 1),
            (None, _) => prop_assert!(false, "we refuse a valid message: {text}"),
        }
        Ok(())
    });
    if let Err(difference) = result {
        panic!("{difference}");
    }
    assert!(
        both.get() > CASES / 2,
        "only {} of {CASES} could be compared, {} we read alone",
        both.get(),
        we_alone.get()
    );
}
