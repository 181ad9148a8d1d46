//! SIP over WebSocket (RFC 7118), as the core sees it: a flow whose every piece is one message, and that only its client
//! opens.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

use base::{Now, Rng};
use sip_core::endpoint::{Config, Endpoint, Event, Headers, Invite, NextHop, Output, SessionId};
use sip_core::header::NameAddr;
use sip_core::message::{Message, Method, Name, StatusCode};
use sip_core::transport::{Effect, FlowId, Input, Local, LocalId, Transport};

const FLOW: FlowId = FlowId(1);
const NOW: Now = Now::new(1_000_000_000, 1_700_000_000_000);

/// An endpoint with a WebSocket client connected.
fn connected() -> Endpoint {
    let bound = "192.0.2.2:5066".parse().unwrap();
    let local = Local { id: LocalId(0), transport: Transport::Ws, bound, advertised: bound, inside: bound };
    let mut endpoint = Endpoint::new(Config::new(vec![local]), Rng::from_u64(1));
    endpoint.handle(Input::Accepted { flow: FLOW, local: LocalId(0), peer: "203.0.113.9:40000".parse().unwrap() }, NOW);
    drain(&mut endpoint);
    endpoint
}

fn drain(endpoint: &mut Endpoint) -> (Vec<String>, Vec<Event>) {
    let (mut written, mut events) = (Vec::new(), Vec::new());
    loop {
        match endpoint.poll() {
            Output::Effect(Effect::Write { flow, bytes }) => {
                assert_eq!(flow, FLOW);
                written.push(String::from_utf8(bytes.to_vec()).unwrap());
            }
            Output::Effect(other) => panic!("{other:?}"),
            Output::Event(event) => events.push(event),
            Output::Timeout(_) => return (written, events),
        }
    }
}

fn say(endpoint: &mut Endpoint, text: &str) -> (Vec<String>, Vec<Event>) {
    let bytes = text.replace('\n', "\r\n").into_bytes().into();
    endpoint.handle(Input::Received { flow: FLOW, bytes }, NOW);
    drain(endpoint)
}

fn parse(text: &str) -> Message {
    Message::parse(text.as_bytes().to_vec().into()).unwrap()
}

#[test]
fn a_message_is_whole_without_content_length_and_answered_over_the_same_socket() {
    let mut endpoint = connected();
    let (written, _) = say(
        &mut endpoint,
        "OPTIONS sip:192.0.2.2 SIP/2.0\nVia: SIP/2.0/WS df7jal23ls0d.invalid;branch=z9hG4bK1\nFrom: <sip:a@x>;tag=1\n\
         To: <sip:192.0.2.2>\nCall-ID: o\nCSeq: 1 OPTIONS\n\n",
    );
    assert_eq!(parse(&written[0]).status(), Some(StatusCode::OK));
}

#[test]
fn two_messages_in_one_piece_are_one_and_the_rest_is_ignored() {
    let mut endpoint = connected();
    let one = "OPTIONS sip:192.0.2.2 SIP/2.0\nVia: SIP/2.0/WS x.invalid;branch=z9hG4bK1\nFrom: <sip:a@x>;tag=1\n\
               To: <sip:192.0.2.2>\nCall-ID: o\nCSeq: 1 OPTIONS\nContent-Length: 0\n\n";
    assert_eq!(say(&mut endpoint, &format!("{one}{one}")).0.len(), 1, "RFC 7118 §4.2");
}

#[test]
fn a_keep_alive_is_answered() {
    let mut endpoint = connected();
    assert_eq!(say(&mut endpoint, "\n\n").0, ["\r\n"]);
    assert!(say(&mut endpoint, "\n").0.is_empty(), "a pong is not");
}

#[test]
fn a_client_is_called_over_its_socket_and_all_of_the_call_stays_there() {
    let mut endpoint = connected();
    let party = NameAddr::parse(b"<sip:a@df7jal23ls0d.invalid;transport=ws>").unwrap();
    let invite = Invite {
        uri: party.uri.clone(),
        next_hop: NextHop::new("203.0.113.9", Some(40_000), Transport::Ws).over(FLOW),
        from: NameAddr::parse(b"<sip:b@192.0.2.2>").unwrap(),
        to: party,
        contact_user: None,
        call_id: None,
        max_forwards: 70,
        routes: Vec::new(),
        headers: Headers::new(),
        body: None,
        credentials: None,
        try_timeout: None,
        ring_timeout: None,
    };
    let session: SessionId = endpoint.invite(invite, NOW).unwrap();
    let sent = parse(&drain(&mut endpoint).0[0]);
    assert_eq!(sent.top_via().unwrap().transport, "WS");
    assert_eq!(sent.contacts().unwrap()[0].uri.param("transport"), Some("ws"));
    let copy = |name| sent.header_str(name).unwrap().into_owned();
    let (written, events) = say(
        &mut endpoint,
        &format!(
            "SIP/2.0 200 OK\nVia: {}\nFrom: {}\nTo: {};tag=t\nCall-ID: {}\nCSeq: {}\n\
             Contact: <sip:a@df7jal23ls0d.invalid;transport=ws>\n\n",
            copy(Name::Via),
            copy(Name::From),
            copy(Name::To),
            copy(Name::CallId),
            copy(Name::CSeq)
        ),
    );
    assert!(events.iter().any(|event| matches!(event, Event::Answered { .. })));
    assert_eq!(parse(&written[0]).method(), Method::Ack);
    endpoint.hangup(session, Headers::new(), NOW);
    assert_eq!(parse(&drain(&mut endpoint).0[0]).method(), Method::Bye);
}

#[test]
fn nobody_is_connected_to_over_a_websocket() {
    let mut endpoint = connected();
    let options = sip_core::endpoint::OutOfDialog {
        method: Method::Options,
        uri: NameAddr::parse(b"<sip:a@203.0.113.9>").unwrap().uri,
        next_hop: NextHop::new("203.0.113.9", None, Transport::Ws),
        from: NameAddr::parse(b"<sip:b@192.0.2.2>").unwrap(),
        to: NameAddr::parse(b"<sip:a@203.0.113.9>").unwrap(),
        call_id: None,
        cseq: None,
        headers: Headers::new(),
        body: None,
        credentials: None,
    };
    endpoint.request(options, NOW).unwrap();
    let (written, events) = drain(&mut endpoint);
    assert!(written.is_empty() && matches!(events[..], [Event::Reply { result: Err(_), .. }]), "RFC 7118 §5.3");
}
