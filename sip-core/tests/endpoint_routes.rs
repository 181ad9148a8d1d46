//! Requests inside a dialog go by its route set, in Twilio's shape above all (TWILIO: two Record-Routes, r2=on, a private
//! Contact).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use pair::{A, B, Net, hop, invite_to, ms, sdp, secs};
use sip_core::endpoint::Event;
use sip_core::message::{Message, Method, Name};
use sip_core::transport::{Effect, Transport};

const EDGE: &str = "192.0.2.60";

fn twilio_invite(via_transport: &str) -> String {
    let (_, body) = sdp();
    format!(
        "INVITE sip:+15551110000@pbx.example SIP/2.0\n\
         Record-Route: <sip:{EDGE}:5060;r2=on;lr>\n\
         Record-Route: <sip:{EDGE};transport=tcp;r2=on;lr;twnat=sip:10.0.0.1:5060>\n\
         Via: SIP/2.0/{via_transport} {EDGE}:5060;branch=z9hG4bKed.0\n\
         Via: SIP/2.0/UDP 172.25.75.240:5060;rport=5060;branch=z9hG4bKin\n\
         From: <sip:+15552220000@x.pstn.twilio.com:5060>;tag=08601002_c3356d0b\n\
         To: <sip:+15551110000@pbx.example>\nCall-ID: 0a1b@0.0.0.0\nCSeq: 29044 INVITE\nMax-Forwards: 60\n\
         Contact: <sip:+15552220000@172.25.75.240:5060;transport=udp>\nX-Twilio-CallSid: CA1\n\
         Content-Type: application/sdp\nContent-Length: {}\n\n{}",
        body.len(),
        String::from_utf8(body.to_vec()).unwrap().replace("\r\n", "\n")
    )
}

fn values(message: &Message, name: Name) -> Vec<String> {
    message.values(name).map(|value| String::from_utf8_lossy(&value).into_owned()).collect()
}

#[test]
fn an_answer_copies_every_record_route_and_the_bye_goes_back_by_them() {
    let mut net = Net::new(1);
    net.auto_answer(B);
    net.send(&format!("{EDGE}:5060"), B, &twilio_invite("UDP"));
    net.run_for(ms(50));
    let ok = net.nodes[B].sent().into_iter().find(|m| m.status().is_some_and(|s| s.is_success())).unwrap();
    let recorded =
        [format!("<sip:{EDGE}:5060;r2=on;lr>"), format!("<sip:{EDGE};transport=tcp;r2=on;lr;twnat=sip:10.0.0.1:5060>")];
    assert_eq!(values(&ok, Name::RecordRoute), recorded);
    assert_eq!(ok.vias().unwrap().len(), 2);
    assert_eq!(ok.contacts().unwrap()[0].uri.as_str(), "sip:+15551110000@192.0.2.2:5060");
    assert_eq!(ok.header(Name::Require), None, "never Require in an answer");
    // The ACK comes by our Contact, as Twilio sends it.
    let ack = format!(
        "ACK sip:+15551110000@192.0.2.2:5060 SIP/2.0\nVia: SIP/2.0/UDP {EDGE}:5060;branch=z9hG4bKack\n\
         From: <sip:+15552220000@x.pstn.twilio.com:5060>;tag=08601002_c3356d0b\nTo: <sip:+15551110000@pbx.example>;tag={}\n\
         Call-ID: 0a1b@0.0.0.0\nCSeq: 29044 ACK\nContent-Length: 0\n\n",
        ok.to().unwrap().tag().unwrap()
    );
    net.send(&format!("{EDGE}:5060"), B, &ack);
    net.run_for(ms(50));
    assert_eq!(net.nodes[B].story(), ["incoming", "confirmed"]);
    let b = net.nodes[B].incoming().unwrap();
    net.with(B, |e, now| e.hangup(b, Vec::new(), now));
    net.run_for(ms(50));
    let (_, to, bye) = net.mail.last().unwrap();
    assert_eq!(bye.method(), Method::Bye);
    assert_eq!(to.to_string(), format!("{EDGE}:5060"), "to the top Route");
    assert_eq!(bye.request_uri().unwrap().as_str(), "sip:+15552220000@172.25.75.240:5060;transport=udp");
    assert_eq!(values(bye, Name::Route), recorded);
    assert_eq!(bye.to().unwrap().uri.as_str(), "sip:+15552220000@x.pstn.twilio.com:5060");
    assert_eq!(bye.max_forwards().unwrap(), Some(70));
}

#[test]
fn the_caller_acknowledges_by_the_route_set_with_the_private_contact_as_request_uri() {
    let mut net = Net::new(2);
    let a = net.place(A, invite_to(hop(EDGE, Transport::Udp)));
    net.run_for(ms(20));
    let invite = net.mail[0].2.clone();
    let ok = pair::response(
        &invite,
        "200 OK\nRecord-Route: <sip:192.0.2.61;r2=on;lr>\nRecord-Route: <sip:192.0.2.60:5080;r2=on;lr>",
    )
    .replace("Contact: <sip:raw@192.0.2.50>", "Contact: <sip:172.18.0.9:5060;transport=udp>");
    net.send(&format!("{EDGE}:5060"), A, &ok);
    net.run_for(ms(20));
    let (_, to, ack) = net.mail.last().unwrap().clone();
    assert_eq!(ack.method(), Method::Ack);
    assert_eq!(to.to_string(), "192.0.2.60:5080");
    assert_eq!(ack.request_uri().unwrap().as_str(), "sip:172.18.0.9:5060;transport=udp");
    assert_eq!(values(&ack, Name::Route), ["<sip:192.0.2.60:5080;r2=on;lr>", "<sip:192.0.2.61;r2=on;lr>"]);
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(ms(20));
    let (_, to, bye) = net.mail.last().unwrap();
    assert_eq!((bye.method(), to.to_string()), (Method::Bye, "192.0.2.60:5080".to_owned()));
    assert_eq!(values(bye, Name::Route), values(&ack, Name::Route));
}

#[test]
fn every_request_inside_a_dialog_goes_by_its_route_set() {
    let mut net = Net::new(12);
    let a = net.place(A, invite_to(hop(EDGE, Transport::Udp)));
    net.run_for(ms(20));
    let invite = net.mail[0].2.clone();
    let way = "Record-Route: <sip:192.0.2.61;r2=on;lr>\nRecord-Route: <sip:192.0.2.60:5080;r2=on;lr>";
    let private = |text: String| text.replace("<sip:raw@192.0.2.50>", "<sip:172.18.0.9:5060>");
    let ringing = format!("183 Session Progress\nRequire: 100rel\nRSeq: 9\nAllow: UPDATE\n{way}");
    net.send(&format!("{EDGE}:5060"), A, &private(pair::response(&invite, &ringing)));
    net.run_for(ms(20));
    net.with(A, |e, now| e.send_request(a, Method::Info, Vec::new(), None, now)).unwrap();
    net.with(A, |e, now| e.update(a, None, now));
    net.run_for(ms(20));
    net.send(&format!("{EDGE}:5060"), A, &private(pair::response(&invite, &format!("200 OK\nAllow: UPDATE\n{way}"))));
    net.run_for(ms(20));
    let carol = sip_core::header::NameAddr::new("sip:carol@example.com".parse().unwrap());
    net.with(A, |e, now| e.refer(a, &carol, Vec::new(), now)).unwrap();
    net.run_for(ms(20));
    for method in ["PRACK", "INFO", "UPDATE", "ACK", "REFER"] {
        let (_, to, sent) = net.mail.iter().find(|(_, _, m)| m.method().as_str() == method).unwrap();
        assert_eq!(to.to_string(), "192.0.2.60:5080", "{method}");
        assert_eq!(sent.request_uri().unwrap().as_str(), "sip:172.18.0.9:5060", "{method}");
        let routes = ["<sip:192.0.2.60:5080;r2=on;lr>", "<sip:192.0.2.61;r2=on;lr>"];
        assert_eq!(values(sent, Name::Route), routes, "{method}");
    }
}

#[test]
fn the_request_uri_keeps_the_trunks_name_while_the_packet_goes_to_its_address() {
    let mut net = Net::new(3);
    net.nodes[A].names.insert("x.pstn.twilio.com".to_owned(), vec!["192.0.2.60:5060".parse().unwrap()]);
    let mut invite = invite_to(hop("x.pstn.twilio.com", Transport::Udp));
    invite.uri = "sip:+15550002@x.pstn.twilio.com".parse().unwrap();
    net.place(A, invite);
    net.run_for(ms(20));
    let (_, to, invite) = &net.mail[0];
    assert_eq!(to.to_string(), "192.0.2.60:5060");
    assert_eq!(invite.request_uri().unwrap().as_str(), "sip:+15550002@x.pstn.twilio.com");
    assert_eq!(invite.routes().unwrap(), []);
}

#[test]
fn peers_inside_are_told_the_inside_address_and_others_the_advertised_one() {
    let mut net = Net::empty(4);
    let node = net.add("192.0.2.1", |config| {
        config.local_net = vec![("10.0.0.0".parse().unwrap(), 8)];
        for local in &mut config.locals {
            local.advertised = "203.0.113.5:5060".parse().unwrap();
            local.inside = "10.0.0.1:5060".parse().unwrap();
        }
    });
    for (peer, told) in [("10.9.9.9", "10.0.0.1"), ("198.51.100.7", "203.0.113.5")] {
        net.place(node, invite_to(hop(peer, Transport::Udp)));
        net.run_for(ms(20));
        let invite = net.mail.last().unwrap().2.clone();
        assert_eq!(invite.contacts().unwrap()[0].uri.to_string(), format!("sip:+15550001@{told}:5060"));
        assert_eq!(invite.top_via().unwrap().host.to_string(), told);
    }
}

#[test]
fn in_dialog_requests_of_a_dialog_on_a_stream_use_it_and_reopen_it_when_it_is_gone() {
    let mut net = Net::new(5);
    net.auto_answer(B);
    let a = net.place(A, invite_to(hop("192.0.2.2", Transport::Tcp)));
    net.run_for(secs(1));
    let opens = |net: &Net, node: usize| {
        net.nodes[node].effects.iter().filter(|effect| matches!(effect, Effect::Open { .. })).count()
    };
    assert_eq!((opens(&net, A), opens(&net, B)), (1, 0));
    net.run_for(secs(120));
    assert_eq!(net.nodes[A].endpoint.load().flows, 1, "a dialog keeps its stream");
    net.reset_streams();
    assert_eq!(net.nodes[A].endpoint.load().flows, 0);
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    assert_eq!(opens(&net, A), 2, "FAULTS 4: the next request opens a new one");
    assert_eq!(net.nodes[A].story().last().unwrap(), "ended Us");
    assert_eq!(net.nodes[B].story().last().unwrap(), "ended Peer");
    assert!(net.nodes[B].events.iter().any(|event| matches!(event, Event::Ended { request: Some(_), .. })));
    net.assert_at_rest();
}

#[test]
fn a_bye_that_is_lost_with_its_stream_comes_again_over_a_new_one() {
    let mut net = Net::new(5);
    net.auto_answer(B);
    let a = net.place(A, invite_to(hop("192.0.2.2", Transport::Tcp)));
    net.run_for(secs(1));
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    // On its way, and gone.
    net.reset_streams();
    net.run_for(secs(2));
    assert_eq!(net.nodes[A].story().last().unwrap(), "ended Us");
    assert_eq!(net.nodes[B].story().last().unwrap(), "ended Peer", "nobody is left alone on the line");
    net.assert_at_rest();
}

#[test]
fn a_call_over_ipv6_names_its_addresses_in_brackets() {
    let mut net = Net::empty(6);
    net.add("2001:db8::1", |_| {});
    net.add("2001:db8::2", |_| {});
    net.auto_answer(B);
    let a = net.place(A, invite_to(hop("[2001:db8::2]", Transport::Udp)));
    net.run_for(secs(1));
    let invite = net.nodes[A].sent_requests("INVITE")[0].clone();
    assert_eq!(invite.contacts().unwrap()[0].uri.as_str(), "sip:+15550001@[2001:db8::1]:5060");
    assert_eq!(invite.top_via().unwrap().host.to_string(), "[2001:db8::1]");
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story(), ["progress 180", "answered 200", "ended Us"]);
    net.assert_at_rest();
}

#[test]
fn a_contact_that_leads_nowhere_still_lets_the_session_end() {
    let mut net = Net::new(7);
    let a = net.place(A, invite_to(hop(EDGE, Transport::Udp)));
    net.run_for(ms(20));
    let invite = net.mail[0].2.clone();
    let ok = pair::response(&invite, "200 OK").replace("<sip:raw@192.0.2.50>", "<tel:+15550002>");
    net.send(&format!("{EDGE}:5060"), A, &ok);
    net.run_for(ms(20));
    assert_eq!(net.nodes[A].story(), ["answered 200"]);
    // §8.1.1.8: a Contact is a SIP URI, and this is none. What is left is the INVITE's Request-URI, and nobody knows that name.
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story().last().unwrap(), "ended Us");
    net.assert_at_rest();
}
