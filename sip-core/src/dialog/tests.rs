//! RFC 3261 §12, rule by rule.

use super::*;
use bytes::Bytes;

fn message(text: &str) -> Message {
    Message::parse(Bytes::from(text.replace('\n', "\r\n"))).unwrap()
}

fn invite(record_routes: &str) -> Message {
    message(&format!(
        "INVITE sip:+15551110000@pbx.example;transport=tls SIP/2.0\n{record_routes}\
         Via: SIP/2.0/TLS 54.172.60.0:5061;branch=z9hG4bK1.0\n\
         From: <sip:+15552220000@x.pstn.twilio.com:5060>;tag=their\n\
         To: <sip:+15551110000@pbx.example;transport=tls>\n\
         Call-ID: c1@0.0.0.0\nCSeq: 29044 INVITE\nMax-Forwards: 60\n\
         Contact: <sip:+15552220000@172.25.75.240:5060;transport=udp>\nContent-Length: 0\n\n"
    ))
}

fn ok(record_routes: &str, tag: &str, contact: &str) -> Message {
    message(&format!(
        "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\n{record_routes}\
         From: <sip:a@192.0.2.1>;tag=ours\nTo: <sip:b@example.com>;tag={tag}\nCall-ID: c2\nCSeq: 7 INVITE\n\
         Contact: {contact}\nContent-Length: 0\n\n"
    ))
}

fn origin() -> Origin {
    Origin {
        from: NameAddr::parse(b"<sip:a@192.0.2.1>;tag=ours").unwrap(),
        uri: "sip:b@example.com".parse().unwrap(),
        cseq: 7,
    }
}

fn texts(routes: &[NameAddr]) -> Vec<String> {
    routes.iter().map(ToString::to_string).collect()
}

const TWILIO: &str =
    "Record-Route: <sip:54.172.60.0:5061;transport=tls;r2=on;lr>\nRecord-Route: <sip:54.172.60.0;r2=on;lr>\n";

#[test]
fn twilios_double_record_route_leads_back_as_it_came_and_the_private_contact_stays_the_request_uri() {
    let mut dialog = Dialog::uas(&invite(TWILIO), "ours").unwrap();
    let cseq = dialog.next_cseq();
    let bye = dialog.request(cseq);
    assert_eq!(bye.uri.as_str(), "sip:+15552220000@172.25.75.240:5060;transport=udp");
    assert_eq!(texts(&bye.routes), ["<sip:54.172.60.0:5061;transport=tls;r2=on;lr>", "<sip:54.172.60.0;r2=on;lr>"]);
    assert_eq!(bye.next_hop.as_str(), "sip:54.172.60.0:5061;transport=tls;r2=on;lr");
    assert_eq!((bye.cseq, bye.from.tag(), bye.to.tag()), (1, Some("ours"), Some("their")));
    assert_eq!(bye.to.uri.as_str(), "sip:+15552220000@x.pstn.twilio.com:5060");
}

#[test]
fn the_header_fields_of_a_contact_are_no_part_of_the_target_and_one_that_is_no_sip_uri_is_none() {
    let contact = "<sip:b@10.0.0.9;transport=udp?Route=%3Csip:evil%3E&Subject=x>";
    let mut dialog = Dialog::uac(&origin(), &ok("", "t", contact)).unwrap();
    assert_eq!(dialog.request(7).uri.as_str(), "sip:b@10.0.0.9;transport=udp");
    dialog.refresh_target(&ok("", "t", "<sip:b@10.0.0.10?Subject=x>"));
    assert_eq!(dialog.request(8).uri.as_str(), "sip:b@10.0.0.10");
    dialog.refresh_target(&ok("", "t", "<tel:+15550002>"));
    assert_eq!(dialog.request(9).uri.as_str(), "sip:b@10.0.0.10");
    let dialog = Dialog::uac(&origin(), &ok("", "t", "<tel:+15550002>")).unwrap();
    assert_eq!(dialog.request(7).uri.as_str(), "sip:b@example.com");
}

#[test]
fn the_caller_reverses_record_route() {
    let dialog =
        Dialog::uac(&origin(), &ok("Record-Route: <sip:p2;lr>, <sip:p1;lr>\n", "t", "<sip:b@10.0.0.9>")).unwrap();
    let ack = dialog.request(7);
    assert_eq!(texts(&ack.routes), ["<sip:p1;lr>", "<sip:p2;lr>"]);
    assert_eq!((ack.uri.as_str(), ack.cseq), ("sip:b@10.0.0.9", 7));
    assert_eq!(ack.next_hop.as_str(), "sip:p1;lr");
}

#[test]
fn a_strict_router_takes_the_request_uri_and_the_target_goes_last() {
    let routes = "Record-Route: <sip:p2;lr>\nRecord-Route: <sip:p1;method=INVITE>\n";
    let frame = Dialog::uac(&origin(), &ok(routes, "t", "<sip:b@10.0.0.9>")).unwrap().request(8);
    assert_eq!(frame.uri.as_str(), "sip:p1");
    assert_eq!(texts(&frame.routes), ["<sip:p2;lr>", "<sip:b@10.0.0.9>"]);
    assert_eq!(frame.next_hop.as_str(), "sip:p1;method=INVITE");
}

#[test]
fn the_2xx_of_an_early_dialog_recomputes_its_routes_and_keeps_its_numbers() {
    let mut early = Dialog::uac(&origin(), &ok("", "t", "<sip:b@10.0.0.1>")).unwrap();
    early.receive(500).unwrap();
    assert_eq!(early.next_cseq(), 8);
    let mut dialog = early.confirmed(&origin(), &ok("Record-Route: <sip:p1;lr>\n", "t", "<sip:b@10.0.0.2>")).unwrap();
    assert_eq!(dialog.remote_target().as_str(), "sip:b@10.0.0.2");
    assert!(!dialog.route_set().is_empty());
    assert_eq!(dialog.next_cseq(), 9);
    assert!(dialog.receive(500).is_err());
}

#[test]
fn forks_are_told_apart_by_the_tag_of_to() {
    let one = Dialog::uac(&origin(), &ok("", "one", "<sip:b@10.0.0.1>")).unwrap();
    let two = Dialog::uac(&origin(), &ok("", "two", "<sip:b@10.0.0.2>")).unwrap();
    assert_ne!(one.id(), two.id());
    assert_eq!((&*one.id().local_tag, &*one.id().remote_tag), ("ours", "one"));
}

#[test]
fn only_a_higher_cseq_is_in_order() {
    let mut dialog = Dialog::uas(&invite(""), "ours").unwrap();
    assert_eq!(dialog.receive(29_044), Err(OutOfOrder { last: 29_044, got: 29_044 }));
    assert_eq!(dialog.receive(3), Err(OutOfOrder { last: 29_044, got: 3 }));
    assert_eq!(dialog.receive(29_050), Ok(()), "gaps are allowed");
}

#[test]
fn a_refresh_moves_the_target_and_never_the_routes() {
    let mut dialog = Dialog::uas(&invite(TWILIO), "ours").unwrap();
    let before = dialog.route_set().clone();
    dialog.refresh_target(&ok("Record-Route: <sip:evil;lr>\n", "t", "<sip:new@10.9.9.9>"));
    assert_eq!(dialog.remote_target().as_str(), "sip:new@10.9.9.9");
    assert_eq!(dialog.route_set(), &before);
    dialog.refresh_target(&message("SIP/2.0 200 OK\nCall-ID: x\nContent-Length: 0\n\n"));
    assert_eq!(dialog.remote_target().as_str(), "sip:new@10.9.9.9", "without a Contact it stays");
}

#[test]
fn a_request_finds_its_dialog_by_both_tags() {
    let bye = message(
        "BYE sip:us@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK2\nFrom: <sip:b@h>;tag=r\n\
         To: <sip:a@h>;tag=l\nCall-ID: c\nCSeq: 2 BYE\nContent-Length: 0\n\n",
    );
    let id = DialogId::of_request(&bye).unwrap().unwrap();
    assert_eq!((&*id.call_id, &*id.local_tag, &*id.remote_tag), ("c", "l", "r"));
    assert_eq!(DialogId::of_request(&invite("")).unwrap(), None);
}
