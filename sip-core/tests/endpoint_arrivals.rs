//! Requests that the endpoint's user looks at before anything is done for them (RFC 3261 §8.2.7, §9.2, §10.3; SECURITY 8).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use pair::{Net, ms, secs};
use sip_core::endpoint::{
    ARRIVAL_TIMEOUT, Event, GateRates, Headers, InboundId, Load, MAX_ARRIVALS, NextHop, OutOfDialog,
};
use sip_core::message::{Method, Name, StatusCode};
use sip_core::transport::Transport;

const STRANGER: &str = "192.0.2.99:5060";
const US: usize = 0;

/// One endpoint at 192.0.2.2 whose user is told of REGISTER, MESSAGE and INVITE.
fn door(seed: u64) -> Net {
    let mut net = Net::empty(seed);
    net.add("192.0.2.2", |config| config.handed_up = vec![Method::Register, Method::Message, Method::Invite]);
    net
}

fn request(method: &str, branch: &str, extra: &str) -> String {
    format!(
        "{method} sip:192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bK{branch}\nFrom: <sip:s@x>;tag=f\n\
         To: <sip:user@192.0.2.2>\nCall-ID: stranger\nCSeq: 7 {method}\nContact: <sip:s@192.0.2.99>\n{extra}\
         Content-Length: 0\n\n"
    )
}

fn arrived(net: &Net) -> Vec<InboundId> {
    let id = |event: &Event| if let Event::Arrived { request, .. } = event { Some(*request) } else { None };
    net.nodes[US].events.iter().filter_map(id).collect()
}

fn deliver(net: &mut Net, text: &str) {
    net.send(STRANGER, US, text);
    net.run_for(ms(20));
}

fn statuses(net: &Net) -> Vec<u16> {
    net.mail.iter().filter_map(|(_, _, message)| Some(message.status()?.code())).collect()
}

fn holds_nothing(net: &Net) -> bool {
    net.nodes[US].endpoint.load() == Load::default()
}

#[test]
fn an_answer_is_kept_for_the_copies_of_its_request() {
    let mut net = door(1);
    deliver(&mut net, &request("REGISTER", "r1", ""));
    // A copy that comes before the answer waits with the first.
    deliver(&mut net, &request("REGISTER", "r1", ""));
    assert_eq!((arrived(&net).len(), statuses(&net)), (1, vec![]));
    let id = arrived(&net)[0];
    let headers: Headers = vec![("Contact".into(), "<sip:s@192.0.2.99>;expires=60".into())];
    net.with(US, |endpoint, now| endpoint.answer(id, StatusCode::OK, headers, None, now));
    deliver(&mut net, &request("REGISTER", "r1", ""));
    assert_eq!(arrived(&net).len(), 1);
    assert_eq!(statuses(&net), [200, 200]);
    assert_eq!(net.mail[0].2.raw(), net.mail[1].2.raw());
    assert_eq!(net.mail[0].2.header_str(Name::Contact).unwrap(), "<sip:s@192.0.2.99>;expires=60");
    net.run_for(secs(40));
    assert!(holds_nothing(&net));
}

#[test]
fn a_refusal_leaves_nothing_behind_and_is_the_same_for_each_copy() {
    let mut net = door(2);
    for _ in 0..2 {
        deliver(&mut net, &request("INVITE", "i1", ""));
        let id = *arrived(&net).last().unwrap();
        net.with(US, |endpoint, now| endpoint.refuse(id, StatusCode::FORBIDDEN, Headers::new(), now));
        assert!(holds_nothing(&net));
    }
    net.run_for(secs(40));
    assert_eq!(statuses(&net), [403, 403], "no 100, and no repeats of what nobody acknowledges");
    assert_eq!(net.mail[0].2.raw(), net.mail[1].2.raw(), "§8.2.7");
    deliver(&mut net, &request("ACK", "i1", ""));
    assert_eq!(statuses(&net).len(), 2, "an ACK is never answered");
}

#[test]
fn what_is_ignored_is_not_answered() {
    let mut net = door(3);
    deliver(&mut net, &request("MESSAGE", "m1", ""));
    let id = arrived(&net)[0];
    net.with(US, |endpoint, _| endpoint.ignore(id));
    net.run_for(secs(40));
    assert!(statuses(&net).is_empty() && holds_nothing(&net));
}

#[test]
fn what_the_user_forgets_is_answered_500() {
    let mut net = door(4);
    deliver(&mut net, &request("MESSAGE", "m1", ""));
    net.run_for(ARRIVAL_TIMEOUT + ms(20));
    assert_eq!(statuses(&net), [500]);
    net.run_for(secs(40));
    assert!(holds_nothing(&net));
}

#[test]
fn an_admitted_invite_opens_its_session() {
    let mut net = door(5);
    deliver(&mut net, &request("INVITE", "i1", ""));
    let id = arrived(&net)[0];
    let session = net.with(US, |endpoint, now| endpoint.admit(id, now)).unwrap();
    let opened =
        net.nodes[US].events.iter().any(|event| matches!(event, Event::Incoming { session: s, .. } if *s == session));
    assert!(opened);
    net.run_for(ms(250));
    assert_eq!(statuses(&net), [100]);
    net.with(US, |endpoint, now| endpoint.reject(session, StatusCode::BUSY_HERE, Headers::new(), now));
    net.run_for(ms(20));
    assert_eq!(statuses(&net), [100, 486]);
}

#[test]
fn an_invite_canceled_at_the_door_gets_487_and_its_cancel_200() {
    let mut net = door(6);
    deliver(&mut net, &request("INVITE", "i1", ""));
    deliver(&mut net, &request("CANCEL", "i1", ""));
    let mut codes = statuses(&net);
    codes.sort_unstable();
    assert_eq!(codes, [200, 487]);
    assert!(holds_nothing(&net));
    let id = arrived(&net)[0];
    assert_eq!(net.with(US, |endpoint, now| endpoint.admit(id, now)), None, "it is gone");
}

#[test]
fn a_request_that_comes_by_two_ways_is_482_the_second_time() {
    let mut net = door(7);
    deliver(&mut net, &request("REGISTER", "r1", ""));
    deliver(&mut net, &request("REGISTER", "r2", ""));
    assert_eq!((arrived(&net).len(), statuses(&net)), (1, vec![482]), "§8.2.2.2");
    let id = arrived(&net)[0];
    net.with(US, |endpoint, now| endpoint.answer(id, StatusCode::OK, Headers::new(), None, now));
    deliver(&mut net, &request("REGISTER", "r3", ""));
    assert_eq!(statuses(&net), [482, 200, 482]);
}

#[test]
fn a_registration_may_require_path_and_nothing_else() {
    let mut net = door(8);
    deliver(&mut net, &request("REGISTER", "r1", "Require: path, gruu\n"));
    assert_eq!(statuses(&net), [420]);
    assert_eq!(net.mail[0].2.header_str(Name::Unsupported).unwrap(), "gruu");
    deliver(&mut net, &request("REGISTER", "r2", "Require: path\n"));
    assert_eq!(arrived(&net).len(), 1);
}

#[test]
fn beyond_the_bound_a_request_is_503() {
    let mut net = door(9);
    for n in 0..=MAX_ARRIVALS {
        let text = request("MESSAGE", &format!("m{n}"), "").replace("Call-ID: s", &format!("Call-ID: {n}"));
        net.send(STRANGER, US, &text);
    }
    net.run_for(ms(20));
    assert_eq!((arrived(&net).len(), statuses(&net)), (MAX_ARRIVALS, vec![503]));
    assert!(net.mail[0].2.header_str(Name::RetryAfter).is_some());
}

#[test]
fn a_request_over_a_connection_that_is_gone_fails_at_once() {
    let mut net = Net::new(10);
    let hop = NextHop::new("192.0.2.2", None, Transport::Tcp).over(sip_core::transport::FlowId(77));
    let to = |uri: &str| sip_core::header::NameAddr::parse(uri.as_bytes()).unwrap();
    let options = OutOfDialog {
        method: Method::Options,
        uri: to("<sip:b@192.0.2.2>").uri,
        next_hop: hop,
        from: to("<sip:a@192.0.2.1>"),
        to: to("<sip:b@192.0.2.2>"),
        call_id: None,
        cseq: None,
        headers: Headers::new(),
        body: None,
        credentials: None,
    };
    net.with(0, |endpoint, now| endpoint.request(options, now)).unwrap();
    assert!(matches!(net.nodes[0].events.last(), Some(Event::Reply { result: Err(_), .. })), "RFC 5626 §5.3");
}

#[test]
fn a_kept_connection_outlives_idleness_and_its_end_is_told() {
    let mut net = Net::empty(11);
    net.add("192.0.2.2", |config| config.handed_up = vec![Method::Register]);
    net.add("192.0.2.1", |config| config.flow_idle = secs(100_000));
    let party = sip_core::header::NameAddr::parse(b"<sip:user@192.0.2.2>").unwrap();
    let register = OutOfDialog {
        method: Method::Register,
        uri: party.uri.clone(),
        next_hop: NextHop::new("192.0.2.2", None, Transport::Tcp),
        from: party.clone(),
        to: party,
        call_id: None,
        cseq: None,
        headers: Headers::new(),
        body: None,
        credentials: None,
    };
    net.with(1, |endpoint, now| endpoint.request(register, now)).unwrap();
    net.run_for(secs(1));
    let source = net.nodes[US].events.iter().find_map(|event| match event {
        Event::Arrived { request, source, .. } => Some((*request, *source)),
        _ => None,
    });
    let (id, source) = source.unwrap();
    let flow = source.flow.unwrap();
    net.with(US, |endpoint, now| {
        endpoint.keep(flow, true, now);
        endpoint.answer(id, StatusCode::OK, Headers::new(), None, now);
    });
    net.run_for(secs(300));
    assert_eq!(net.nodes[US].endpoint.load().flows, 1);
    let closed = |net: &Net| {
        net.nodes[US].events.iter().any(|event| matches!(event, Event::FlowClosed { flow: f } if *f == flow))
    };
    assert!(!closed(&net));
    net.input(US, sip_core::transport::Input::Closed { flow, reason: "gone".into() });
    assert!(closed(&net));
}

#[test]
fn a_flood_from_one_source_is_dropped_and_leaves_nothing() {
    let mut net = Net::empty(12);
    net.add("192.0.2.2", |config| {
        config.gate = Some(GateRates { source: 10, ..GateRates::default() });
        config.handed_up = vec![Method::Register];
    });
    let methods = ["OPTIONS", "MESSAGE", "SUBSCRIBE", "NOTIFY", "BYE", "CANCEL", "PUBLISH", "nonsense \0"];
    for n in 0..1_000 {
        let text =
            request(methods[n % methods.len()], &format!("f{n}"), "").replace("Call-ID: s", &format!("Call-ID: {n}"));
        net.send(STRANGER, US, &text);
    }
    net.run_for(ms(20));
    assert_eq!(net.mail.len(), 20, "a burst of two seconds, and not a word more");
    assert_eq!(net.nodes[US].endpoint.turned_away(), 980);
    assert!(holds_nothing(&net));
    net.send("192.0.2.77:5060", US, &request("OPTIONS", "g", ""));
    net.run_for(ms(20));
    assert_eq!(net.mail.len(), 21, "others are heard meanwhile");
}

#[test]
fn answers_to_strangers_leave_out_what_makes_them_longer_than_the_request() {
    let mut net = door(13);
    deliver(
        &mut net,
        "OPTIONS sip:192.0.2.2 SIP/2.0\nv: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKq\nf: <sip:s@x>;tag=f\n\
        t: <sip:192.0.2.2>\ni: q\nCSeq: 1 OPTIONS\nl: 0\n\n",
    );
    assert_eq!(net.mail[0].2.count(Name::Server), 0);
    deliver(&mut net, &request("OPTIONS", "r", &format!("Subject: {}\n", "x".repeat(300))));
    assert_eq!(net.mail[1].2.count(Name::Server), 1);
}

#[test]
fn an_overloaded_endpoint_refuses_new_calls_and_serves_those_that_stand() {
    let mut net = Net::new(14);
    let session = net.place(0, pair::invite_b());
    net.run_for(secs(2));
    let incoming = net.nodes[1].events.iter().find_map(|event| match event {
        Event::Incoming { session, .. } => Some(*session),
        _ => None,
    });
    net.with(1, |endpoint, now| endpoint.accept(incoming.unwrap(), Headers::new(), None, now));
    net.run_for(secs(1));
    net.with(1, |endpoint, _| endpoint.set_overloaded(true));
    net.send(STRANGER, 1, &request("INVITE", "i", ""));
    net.run_for(ms(20));
    assert_eq!(statuses(&net), [503]);
    assert_eq!(net.mail[0].2.header_str(Name::RetryAfter).unwrap(), "10");
    net.with(0, |endpoint, now| endpoint.hangup(session, Headers::new(), now));
    net.run_for(secs(1));
    assert!(matches!(
        net.nodes[1].events.iter().rev().find(|event| !matches!(event, Event::Ladder { .. })),
        Some(Event::Ended { .. })
    ));
}
