//! Phones that name an address at which nobody reaches them: calls to them and from them go where their packets come from
//! (RFC 3581, RFC 5626 §5.3).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use pair::{Net, invite_to, ms, secs};
use sip_core::endpoint::{Event, Headers, NextHop, SessionId};
use sip_core::message::{Message, Method, StatusCode};
use sip_core::transport::{LocalId, Transport};

const NAT: &str = "203.0.113.7:31000";
const US: usize = 0;

fn phone_says(method: &str, cseq: u32, tag: &str) -> String {
    format!(
        "{method} sip:100@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.5;rport;branch=z9hG4bK{method}{cseq}\n\
         From: <sip:phone@192.0.2.2>;tag=f\nTo: <sip:100@192.0.2.2>{tag}\nCall-ID: c\nCSeq: {cseq} {method}\n\
         Contact: <sip:phone@10.0.0.5>\nContent-Length: 0\n\n"
    )
}

fn requests(net: &Net, method: Method) -> Vec<(String, Message)> {
    let of = |message: &Message| message.is_request() && message.method() == method;
    net.mail.iter().filter(|(_, _, m)| of(m)).map(|(_, to, m)| (to.to_string(), m.clone())).collect()
}

#[test]
fn the_bye_of_a_call_from_behind_a_nat_finds_its_way_back() {
    let mut net = Net::empty(1);
    net.add("192.0.2.2", |_| {});
    net.send(NAT, US, &phone_says("INVITE", 1, ""));
    net.run_for(ms(20));
    let session = net.nodes[US].events.iter().find_map(|event| match event {
        Event::Incoming { session, .. } => Some(*session),
        _ => None,
    });
    let session: SessionId = session.unwrap();
    net.with(US, |endpoint, now| endpoint.accept(session, Headers::new(), None, now));
    net.run_for(ms(20));
    let ok = net.mail.iter().map(|(_, _, m)| m).find(|m| m.status() == Some(StatusCode::OK)).unwrap();
    let tag = format!(";tag={}", ok.to().unwrap().tag().unwrap());
    net.send(NAT, US, &phone_says("ACK", 1, &tag));
    net.run_for(ms(20));
    net.with(US, |endpoint, now| endpoint.hangup(session, Headers::new(), now));
    net.run_for(secs(1));
    let (to, bye) = requests(&net, Method::Bye).remove(0);
    assert_eq!((to.as_str(), bye.request_uri().unwrap().to_string().as_str()), (NAT, "sip:phone@10.0.0.5"));
}

#[test]
fn the_ack_and_the_bye_of_a_call_to_a_device_go_where_the_invite_went() {
    let mut net = Net::empty(2);
    net.add("192.0.2.2", |_| {});
    let next_hop = NextHop::new("203.0.113.7", Some(31_000), Transport::Udp).from(LocalId(0));
    let session = net.place(US, invite_to(next_hop));
    net.run_for(ms(20));
    let (to, invite) = requests(&net, Method::Invite).remove(0);
    assert_eq!(to, NAT);
    let answer = format!(
        "SIP/2.0 200 OK\nVia: {}\nFrom: {}\nTo: {};tag=t\nCall-ID: {}\nCSeq: {}\nContact: <sip:phone@10.0.0.5>\nContent-Length: 0\n\n",
        invite.header_str(sip_core::message::Name::Via).unwrap(),
        invite.header_str(sip_core::message::Name::From).unwrap(),
        invite.header_str(sip_core::message::Name::To).unwrap(),
        invite.call_id().unwrap(),
        invite.cseq().unwrap(),
    );
    net.send(NAT, US, &answer);
    net.run_for(ms(20));
    net.with(US, |endpoint, now| endpoint.hangup(session, Headers::new(), now));
    net.run_for(ms(20));
    for method in [Method::Ack, Method::Bye] {
        let (to, request) = requests(&net, method).remove(0);
        assert_eq!((to.as_str(), request.request_uri().unwrap().to_string().as_str()), (NAT, "sip:phone@10.0.0.5"));
    }
}
