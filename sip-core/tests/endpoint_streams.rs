//! TCP and TLS (RFC 3261 §18; FAULTS 3, 4, 24; SECURITY 12, 20).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use bytes::Bytes;
use pair::{A, B, Net, hop, invite_to, ms, secs};
use sip_core::endpoint::{CONNECT_TIMEOUT, Event, FLOW_IDLE, PARTIAL_MESSAGE_TIMEOUT};
use sip_core::message::Name;
use sip_core::transport::{Effect, FlowId, Input, LocalId, Transport};

fn one_call(segment: Option<usize>) -> (Vec<String>, Vec<String>, Net) {
    let mut net = Net::new(1);
    net.segment = segment;
    net.auto_answer(B);
    let a = net.place(A, invite_to(hop("192.0.2.2", Transport::Tcp)));
    net.run_for(secs(2));
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(2));
    (net.nodes[A].story(), net.ladder(B), net)
}

#[test]
fn one_byte_a_segment_makes_the_same_call() {
    let (whole_story, whole_ladder, _) = one_call(None);
    let (story, ladder, mut net) = one_call(Some(1));
    assert_eq!(story, ["progress 180", "answered 200", "ended Us"]);
    assert_eq!((&story, &ladder), (&whole_story, &whole_ladder));
    let invite = &net.nodes[A].sent_requests("INVITE")[0];
    let via = invite.top_via().unwrap();
    assert_eq!((via.transport.as_str(), via.port), ("TCP", Some(5060)));
    net.assert_at_rest();
}

#[test]
fn nothing_is_retransmitted_on_a_stream_but_the_2xx() {
    let mut net = Net::new(2);
    net.place(A, invite_to(hop("192.0.2.2", Transport::Tcp)));
    net.run_for(secs(20));
    assert_eq!(net.nodes[A].sent_requests("INVITE").len(), 1);
    let b = net.nodes[B].incoming().unwrap();
    // A's ACK never gets out: from now on A is deaf.
    net.reset_streams();
    net.with(B, |e, now| e.accept(b, Vec::new(), None, now));
    net.run_for(ms(1_600));
    let copies = net.ladder(B).iter().filter(|line| line.starts_with("> 200 INVITE")).count();
    assert_eq!(copies, 3, "§13.3.1.4: over streams too, at 0, 0.5 and 1.5 s; {:?}", net.ladder(B));
}

fn accepted(net: &mut Net, flow: u64) -> FlowId {
    let flow = FlowId(flow);
    let peer = format!("192.0.2.77:{}", 30_000 + flow.0 % 1000).parse().unwrap();
    net.input(B, Input::Accepted { flow, local: LocalId(1), peer });
    flow
}

fn options(branch: usize) -> String {
    format!(
        "OPTIONS sip:192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.77;branch=z9hG4bK{branch}\r\nFrom: <sip:x@y>;tag=1\r\n\
         To: <sip:192.0.2.2>\r\nCall-ID: c{branch}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
    )
}

fn written(net: &Net, flow: FlowId) -> Vec<Bytes> {
    net.nodes[B]
        .effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Write { flow: f, bytes } if *f == flow => Some(bytes.clone()),
            _ => None,
        })
        .collect()
}

fn closed(net: &Net, flow: FlowId) -> bool {
    net.nodes[B].effects.iter().any(|effect| matches!(effect, Effect::Close { flow: f } if *f == flow))
}

#[test]
fn twenty_messages_in_one_segment_get_twenty_answers() {
    let mut net = Net::new(3);
    let flow = accepted(&mut net, 101);
    let all: String = (0..20).map(options).collect();
    net.input(B, Input::Received { flow, bytes: Bytes::from(format!("\r\n{all}")) });
    assert_eq!(written(&net, flow).len(), 20);
}

#[test]
fn a_ping_is_answered_with_a_pong() {
    let mut net = Net::new(4);
    let flow = accepted(&mut net, 101);
    net.input(B, Input::Received { flow, bytes: Bytes::from_static(b"\r\n\r\n") });
    assert_eq!(written(&net, flow), ["\r\n"]);
}

#[test]
fn a_message_that_is_never_finished_closes_its_stream() {
    let mut net = Net::new(5);
    let flow = accepted(&mut net, 101);
    // A byte now and then does not buy more time.
    for _ in 0..9 {
        net.input(B, Input::Received { flow, bytes: Bytes::from_static(b"O") });
        net.run_for(secs(1));
    }
    assert!(!closed(&net, flow));
    net.run_for(PARTIAL_MESSAGE_TIMEOUT - secs(9));
    assert!(closed(&net, flow));
    assert_eq!(net.nodes[B].endpoint.load().flows, 0);
}

#[test]
fn an_idle_stream_is_closed_and_the_next_one_beyond_the_bound_at_once() {
    let mut net = Net::empty(6);
    net.add("192.0.2.1", |_| {});
    net.add("192.0.2.2", |config| config.max_flows = 3);
    for flow in [101, 103, 105, 107] {
        accepted(&mut net, flow);
    }
    assert_eq!(net.nodes[B].endpoint.load().flows, 3);
    assert!(closed(&net, FlowId(107)) && !closed(&net, FlowId(105)));
    net.run_for(FLOW_IDLE);
    assert_eq!(net.nodes[B].endpoint.load().flows, 0);
    let flow = accepted(&mut net, 109);
    net.input(B, Input::Received { flow, bytes: options(1).into() });
    assert_eq!(written(&net, flow).len(), 1, "a new client is served");
}

#[test]
fn unreadable_streams_are_answered_and_closed() {
    for (text, status) in [
        (options(1).replace("Content-Length: 0", "Content-Length: 1\r\nl: 2"), "400"),
        (options(1).replace("Content-Length: 0", "Content-Length: 4294967296"), "413"),
        (options(1).replace("Content-Length: 0\r\n", ""), "400"),
    ] {
        let mut net = Net::new(7);
        let flow = accepted(&mut net, 101);
        net.input(B, Input::Received { flow, bytes: text.clone().into() });
        let answers = written(&net, flow);
        let first = answers.first().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default();
        assert!(first.starts_with(&format!("SIP/2.0 {status}")), "{text}\n{first}");
        assert!(closed(&net, flow));
    }
}

#[test]
fn a_tls_target_is_verified_by_the_name_that_was_meant() {
    let mut net = Net::new(8);
    net.nodes[A].names.insert("x.pstn.twilio.com".to_owned(), vec!["192.0.2.2:5061".parse().unwrap()]);
    net.auto_answer(B);
    let a = net.place(A, invite_to(hop("x.pstn.twilio.com", Transport::Tls)));
    net.run_for(secs(1));
    let opened = |net: &Net| -> Vec<(String, String)> {
        let opens = net.nodes[A].effects.iter().filter_map(|effect| match effect {
            Effect::Open { peer, server_name, transport: Transport::Tls, .. } => {
                Some((peer.to_string(), server_name.clone()))
            }
            _ => None,
        });
        opens.collect()
    };
    let expected = ("192.0.2.2:5061".to_owned(), "x.pstn.twilio.com".to_owned());
    assert_eq!(opened(&net), std::slice::from_ref(&expected));
    let invite = net.nodes[A].sent_requests("INVITE")[0].clone();
    assert_eq!(invite.contacts().unwrap()[0].uri.as_str(), "sip:+15550001@192.0.2.1:5061;transport=tls");
    // The stream breaks; the BYE goes to the Contact's address, which must still prove to be the trunk.
    net.reset_streams();
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    assert_eq!(opened(&net), [expected.clone(), expected]);
    assert_eq!(net.nodes[A].story().last().unwrap(), "ended Us");
}

#[test]
fn two_names_at_one_address_get_two_tls_streams_and_one_name_one() {
    let mut net = Net::new(9);
    for name in ["one.example", "two.example"] {
        net.nodes[A].names.insert(name.to_owned(), vec!["192.0.2.2:5061".parse().unwrap()]);
    }
    net.auto_answer(B);
    for name in ["one.example", "two.example", "ONE.example"] {
        net.nodes[A].names.insert("ONE.example".to_owned(), vec!["192.0.2.2:5061".parse().unwrap()]);
        net.place(A, invite_to(hop(name, Transport::Tls)));
        net.run_for(secs(1));
    }
    let names: Vec<_> = net.nodes[A]
        .effects
        .iter()
        .filter_map(
            |effect| if let Effect::Open { server_name, .. } = effect { Some(server_name.as_str()) } else { None },
        )
        .collect();
    assert_eq!(names, ["one.example", "two.example"]);
}

#[test]
fn a_connection_that_fails_or_never_stands_is_a_transport_failure() {
    for refused in [true, false] {
        let mut net = Net::new(10);
        let peer = "192.0.2.2:5060".parse().unwrap();
        if refused {
            net.refusing.push(peer)
        } else {
            net.black_holes.push(peer)
        }
        net.place(A, invite_to(hop("192.0.2.2", Transport::Tcp)));
        net.run_for(if refused { ms(11) } else { CONNECT_TIMEOUT });
        assert_eq!(net.nodes[A].story(), ["failed transport"]);
        net.assert_at_rest();
    }
}

#[test]
fn calls_at_once_share_one_connection() {
    let mut net = Net::new(11);
    net.auto_answer(B);
    for _ in 0..50 {
        net.place(A, invite_to(hop("192.0.2.2", Transport::Tcp)));
    }
    net.run_for(secs(1));
    let answered = net.nodes[A].events.iter().filter(|event| matches!(event, Event::Answered { .. })).count();
    assert_eq!(answered, 50);
    assert_eq!(net.nodes[A].endpoint.load().flows, 1);
    net.reset_streams();
    assert_eq!(net.nodes[A].endpoint.load().sessions, 50, "FAULTS 4: a dialog outlives its stream");
}

#[test]
fn a_stream_that_breaks_before_the_answer_fails_the_call() {
    let mut net = Net::new(12);
    net.place(A, invite_to(hop("192.0.2.2", Transport::Tcp)));
    net.run_for(secs(1));
    net.reset_streams();
    assert_eq!(net.nodes[A].story(), ["progress 100", "failed transport"]);
}

#[test]
fn the_first_message_says_what_listener_it_came_by() {
    let mut net = Net::new(13);
    net.auto_answer(B);
    net.place(A, invite_to(hop("192.0.2.2", Transport::Tls)));
    net.run_for(secs(1));
    let source = net.nodes[B].events.iter().find_map(|event| match event {
        Event::Incoming { source, request, .. } => Some((*source, request.header_str(Name::Via).unwrap().into_owned())),
        _ => None,
    });
    let (source, via) = source.unwrap();
    assert_eq!(
        (source.local, source.transport, source.addr.ip().to_string()),
        (LocalId(2), Transport::Tls, "192.0.2.1".to_owned())
    );
    assert!(via.starts_with("SIP/2.0/TLS 192.0.2.1:5061;"));
}
