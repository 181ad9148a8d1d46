//! What is written, byte for byte: requests in the order they were put together, responses with what they copy
//! (RFC 3261 §8.1.1, §8.2.6, §18.2.1; RFC 3581 §4).
#![allow(clippy::unwrap_used, reason = "a helper of a test fails the test")]

use bytes::Bytes;
use sip_core::header::{NameAddr, Via};
use sip_core::message::{HeaderName, Message, Method, Name, RequestBuilder, ResponseBuilder, StatusCode};
use sip_core::transport::Transport;
use sip_core::uri::Uri;
use std::net::SocketAddr;

const INVITE: &str = "INVITE sip:ben@192.0.2.4 SIP/2.0\r\n\
    Via: SIP / 2.0 / UDP pbx.example.org;branch=z9hG4bKa;rport, SIP/2.0/TCP b.example.org\r\n\
    v:\r\n SIP/2.0/UNKNOWN c.example.org;x=\"y\"\r\n\
    Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\n\
    f: \"Ada, \\\"L\\\"\"\r\n <sip:ada@example.org>;tag=a1\r\n\
    To: sip:ben@example.net\r\n\
    i: c1@pbx\r\n\
    Timestamp: 54.2\r\n\
    CSeq: 007\r\n INVITE\r\n\
    Content-Length: 0\r\n\r\n";

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}

fn lines(bytes: &Bytes, name: &str) -> Vec<String> {
    let prefix = format!("{name}: ");
    text(bytes).split("\r\n").filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect()
}

fn respond(request: &str, status: StatusCode) -> ResponseBuilder {
    let request = Message::parse(Bytes::copy_from_slice(request.as_bytes())).unwrap();
    ResponseBuilder::to_request(&request, status)
}

fn source() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 7], 4000))
}

#[test]
fn writes_a_request_in_the_order_it_was_put_together() {
    let uri: Uri = "sip:+18325550100@trunk.example.com;transport=tls".parse().unwrap();
    let from = NameAddr::new("sip:+14155550123@pbx.example.org".parse().unwrap()).with_tag("x1");
    let request = RequestBuilder::new(&Method::Invite, &uri)
        .via(&Via::new(Transport::Tls, "192.0.2.4".parse().unwrap(), Some(5061), "z9hG4bKq"))
        .route(&NameAddr::new("sip:edge.example.com;lr".parse().unwrap()))
        .from(&from.clone().with_display_name("Front \"Desk\""))
        .to(&NameAddr::new(uri.clone()))
        .call_id("c1")
        .cseq(1, &Method::Invite)
        .contact(&NameAddr::new("sip:192.0.2.4:5061;transport=tls".parse().unwrap()))
        .header("X-Note", "kept")
        .header(HeaderName::parse("X-From-Outside").unwrap(), 7_u32)
        .body("application/sdp", Bytes::from_static(b"v=0\r\n"))
        .build();
    assert_eq!(
        text(&request),
        "INVITE sip:+18325550100@trunk.example.com;transport=tls SIP/2.0\r\n\
         Via: SIP/2.0/TLS 192.0.2.4:5061;rport;branch=z9hG4bKq\r\n\
         Route: <sip:edge.example.com;lr>\r\n\
         From: \"Front \\\"Desk\\\"\" <sip:+14155550123@pbx.example.org>;tag=x1\r\n\
         To: <sip:+18325550100@trunk.example.com;transport=tls>\r\n\
         Call-ID: c1\r\n\
         CSeq: 1 INVITE\r\n\
         Contact: <sip:192.0.2.4:5061;transport=tls>\r\n\
         X-Note: kept\r\n\
         X-From-Outside: 7\r\n\
         Max-Forwards: 70\r\n\
         Content-Type: application/sdp\r\n\
         Content-Length: 5\r\n\
         \r\n\
         v=0\r\n"
    );
}

#[test]
fn writes_max_forwards_and_lengths_once_whoever_sets_them() {
    let uri: Uri = "sip:h".parse().unwrap();
    let request = RequestBuilder::new(&Method::Options, &uri)
        .header("max-forwards", "3")
        .header("l", "999")
        .header("c", "text/plain")
        .body("application/sdp", Bytes::from_static(b"hi"))
        .build();
    assert_eq!(
        text(&request),
        "OPTIONS sip:h SIP/2.0\r\nmax-forwards: 3\r\nContent-Type: application/sdp\r\nContent-Length: 2\r\n\r\nhi"
    );
}

#[test]
fn copies_what_an_ack_shares_with_its_invite() {
    let invite = Message::parse(Bytes::from_static(INVITE.as_bytes())).unwrap();
    let ack = RequestBuilder::new(&Method::Ack, &invite.request_uri().unwrap())
        .copy(&invite, Name::From)
        .copy(&invite, Name::CallId)
        .cseq(invite.cseq().unwrap().seq, &Method::Ack)
        .build();
    assert_eq!(
        text(&ack),
        "ACK sip:ben@192.0.2.4 SIP/2.0\r\nFrom: \"Ada, \\\"L\\\"\" <sip:ada@example.org>;tag=a1\r\nCall-ID: c1@pbx\r\n\
         CSeq: 7 ACK\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
    );
}

#[test]
fn copies_into_a_response_what_its_request_needs_to_be_found() {
    let response = respond(INVITE, StatusCode::OK)
        .received(source())
        .to_tag("us")
        .record_route()
        .contact(&NameAddr::new("sip:192.0.2.4".parse().unwrap()))
        .header(Name::Server, "Tandem")
        .build();
    assert_eq!(
        text(&response),
        "SIP/2.0 200 OK\r\n\
         Via: SIP/2.0/UDP pbx.example.org;branch=z9hG4bKa;rport=4000;received=198.51.100.7\r\n\
         Via: SIP/2.0/TCP b.example.org\r\n\
         Via: SIP/2.0/UNKNOWN c.example.org;x=\"y\"\r\n\
         Record-Route: <sip:p1;lr>, <sip:p2;lr>\r\n\
         From: \"Ada, \\\"L\\\"\" <sip:ada@example.org>;tag=a1\r\n\
         To: sip:ben@example.net;tag=us\r\n\
         Call-ID: c1@pbx\r\n\
         CSeq: 007 INVITE\r\n\
         Contact: <sip:192.0.2.4>\r\n\
         Server: Tandem\r\n\
         Content-Length: 0\r\n\r\n"
    );
}

#[test]
fn copies_timestamp_into_100_only_and_no_record_route_unasked() {
    let trying = respond(INVITE, StatusCode::TRYING).build();
    assert_eq!(lines(&trying, "Timestamp"), ["54.2"]);
    assert!(lines(&trying, "Record-Route").is_empty());
    assert_eq!(lines(&trying, "To"), ["sip:ben@example.net"]);
    assert!(lines(&respond(INVITE, StatusCode::RINGING).build(), "Timestamp").is_empty());
}

#[test]
fn leaves_a_tag_that_is_there() {
    let tagged = INVITE.replace("To: sip:ben@example.net", "To: <sip:ben@example.net>;TAG=theirs");
    let response = respond(&tagged, StatusCode::OK).to_tag("us").build();
    assert_eq!(lines(&response, "To"), ["<sip:ben@example.net>;TAG=theirs"]);
}

#[test]
fn marks_the_source_only_where_via_does_not_say_it_already() {
    let table = [
        ("192.0.2.9;branch=z9hG4bK1", "192.0.2.9;branch=z9hG4bK1;received=198.51.100.7"),
        ("198.51.100.7;branch=z9hG4bK1", "198.51.100.7;branch=z9hG4bK1"),
        ("198.51.100.7;rport", "198.51.100.7;rport=4000;received=198.51.100.7"),
        ("192.0.2.9:5080;received=10.0.0.1;rport=1", "192.0.2.9:5080;received=198.51.100.7;rport=4000"),
        ("pbx.example.org", "pbx.example.org;received=198.51.100.7"),
    ];
    for (given, written) in table {
        let request = format!("OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP {given}\r\nCall-ID: 1\r\n\r\n");
        let response = respond(&request, StatusCode::OK).received(source()).build();
        assert_eq!(lines(&response, "Via"), [format!("SIP/2.0/UDP {written}")]);
    }
}

#[test]
fn marks_an_ipv6_source_without_brackets_and_a_mapped_one_as_ipv4() {
    let request = "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nCall-ID: 1\r\n\r\n";
    for (from, written) in [("[2001:db8::7]:9", "2001:db8::7"), ("[::ffff:192.0.2.7]:9", "192.0.2.7")] {
        let response = respond(request, StatusCode::OK).received(from.parse().unwrap()).build();
        assert_eq!(lines(&response, "Via"), [format!("SIP/2.0/UDP h;branch=z9hG4bK1;received={written}")]);
        let response = Message::parse(response).unwrap();
        let via = response.top_via().unwrap();
        assert_eq!(via.received(), written.parse().ok());
    }
}
