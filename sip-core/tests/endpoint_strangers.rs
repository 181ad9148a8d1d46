//! Requests without a session, and everything that is wrong with a message (RFC 3261 §8.2, §9.2, §17.2.3, §18.2;
//! RFC 3581; SECURITY 8 and 36): answered, without state, back where they came from.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use base::Now;
use pair::{A, B, IntoStatus as _, Net, hop, invite_b, invite_to, ms, secs};
use sip_core::endpoint::{Event, Load};
use sip_core::message::{Message, Name};
use sip_core::transport::Transport;

const STRANGER: &str = "192.0.2.99:5060";

/// A request to B, `extra` being header lines and, after an empty one, a body.
fn request(method: &str, extra: &str) -> String {
    let (headers, body) = extra.split_once("\n\n").unwrap_or((extra, ""));
    let headers = if headers.is_empty() { String::new() } else { format!("{}\n", headers.trim_end()) };
    format!(
        "{method} sip:user@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKs1\nFrom: <sip:s@x>;tag=f\n\
         To: <sip:user@192.0.2.2>\nCall-ID: stranger\nCSeq: 7 {method}\nContact: <sip:s@192.0.2.99>\n{headers}\
         Content-Length: {}\n\n{body}",
        // As it goes on the wire.
        body.replace('\n', "\r\n").len()
    )
}

/// What B answers to it; B must hold nothing afterwards.
fn answers(text: &str) -> Vec<Message> {
    let mut net = Net::new(1);
    net.send(STRANGER, B, text);
    net.run_for(ms(20));
    net.run_for(secs(40));
    assert_eq!(net.nodes[B].endpoint.load(), Load::default());
    net.mail.into_iter().map(|(_, _, message)| message).collect()
}

#[track_caller]
fn answered(text: &str, code: u16) -> Message {
    let answers = answers(text);
    assert_eq!(answers.len(), 1, "{text}\n{answers:?}");
    assert_eq!(answers[0].status(), Some(code.into_status()), "{text}");
    answers.into_iter().next().unwrap()
}

fn text(message: &Message, name: Name) -> String {
    message.header_str(name).unwrap_or_default().into_owned()
}

#[test]
fn options_are_answered_with_what_an_invite_would_find() {
    let ok = answered(&request("OPTIONS", ""), 200);
    assert!(text(&ok, Name::Allow).contains("INVITE"));
    assert_eq!(text(&ok, Name::Accept), "application/sdp");
    assert_eq!(ok.count(Name::Supported), 1);
    assert!(ok.to().unwrap().tag().is_some());
}

#[test]
fn copies_of_a_stateless_request_get_the_same_tag() {
    let mut net = Net::new(2);
    for _ in 0..2 {
        net.send(STRANGER, B, &request("OPTIONS", ""));
    }
    net.run_for(secs(1));
    assert_eq!(net.mail[0].2.raw(), net.mail[1].2.raw(), "§8.2.7");
    assert_eq!(net.nodes[B].endpoint.load(), Load::default());
}

#[test]
fn methods_are_refused_by_what_is_known_of_them() {
    for method in ["REGISTER", "MESSAGE", "PUBLISH"] {
        let answer = answered(&request(method, ""), 405);
        assert!(text(&answer, Name::Allow).contains("INVITE"), "{method}");
    }
    for method in ["RE%47IST%45R", "NEWMETHOD", "invite"] {
        answered(&request(method, ""), 501);
    }
    for method in ["BYE", "UPDATE", "PRACK", "CANCEL", "INFO", "NOTIFY"] {
        answered(&request(method, ""), 481);
    }
}

#[test]
fn a_request_in_a_dialog_we_do_not_know_is_481_whatever_its_method() {
    for method in ["BYE", "INVITE", "INFO", "NOTIFY", "OPTIONS", "UPDATE"] {
        answered(&request(method, "").replace("<sip:user@192.0.2.2>\n", "<sip:user@192.0.2.2>;tag=gone\n"), 481);
    }
}

#[test]
fn required_extensions_are_named_as_unsupported() {
    for method in ["INVITE", "OPTIONS"] {
        let answer = answered(&request(method, "Require: 100rel, nothingSupportsThis, norThis"), 420);
        assert_eq!(text(&answer, Name::Unsupported), "nothingSupportsThis, norThis");
    }
}

#[test]
fn an_invite_with_a_body_we_cannot_read_is_415() {
    let answer = answered(&request("INVITE", "Content-Type: text/plain\n\nhello"), 415);
    assert_eq!(text(&answer, Name::Accept), "application/sdp");
    answered(&request("INVITE", "\n\nhello"), 415);
    let zipped = "Content-Type: application/sdp\nContent-Encoding: gzip\n\nxxxx";
    let answer = answered(&request("INVITE", zipped), 415);
    assert_eq!(text(&answer, Name::AcceptEncoding), "identity");
}

/// A body of these parts.
fn parts(subtype: &str, parts: &[(&str, &str)]) -> String {
    let parts: String = parts.iter().map(|(headers, body)| format!("--b1\n{headers}\n\n{body}\n")).collect();
    format!("Content-Type: multipart/{subtype};boundary=\"b1\"\n\n{parts}--b1--\n")
}

/// What B's user is handed of an INVITE with this body; None where it is refused by 415.
fn described(extra: &str) -> Option<String> {
    let mut net = Net::new(1);
    net.send(STRANGER, B, &request("INVITE", extra));
    net.run_for(ms(20));
    let body = net.nodes[B].events.iter().find_map(|event| match event {
        Event::Incoming { request, .. } => Some(String::from_utf8_lossy(request.body()).into_owned()),
        _ => None,
    });
    let refused = net.mail.iter().any(|(_, _, message)| message.status() == Some(415.into_status()));
    assert_ne!(body.is_some(), refused, "{extra}");
    body
}

const SDP: (&str, &str) = ("Content-Type: application/sdp", "v=0\ns=-");
const PLACE: (&str, &str) =
    ("Content-Type: application/pidf+xml\nContent-Disposition: render ; Handling=OPTIONAL", "<presence/>");
const PLACE_BY_NAME: (&str, &str) =
    ("Content-Type: application/pidf+xml\nContent-Disposition: by-reference\nContent-ID: <a@b>", "<presence/>");
const ISUP: (&str, &str) = ("Content-Type: application/ISUP;version=itu-t92+\nContent-Disposition: signal", "xxx");

#[test]
fn the_description_is_found_among_parts_that_may_be_left_out() {
    let sdp = Some("v=0\r\ns=-".to_owned());
    for subtype in ["mixed", "related", "unheardof"] {
        assert_eq!(described(&parts(subtype, &[SDP, PLACE])), sdp);
        assert_eq!(described(&parts(subtype, &[PLACE, PLACE_BY_NAME, SDP])), sdp, "RFC 5621 §4");
        assert_eq!(described(&parts(subtype, &[SDP, ISUP])), None, "handling=required where nothing is said");
    }
    let text = ("Content-Type: text/plain", "hello");
    let old = ("Content-Type: application/sdp", "v=0\ns=old");
    assert_eq!(described(&parts("alternative", &[text, old, SDP])), sdp, "the last is the best (RFC 2046 §5.1.4)");
    assert_eq!(described(&parts("alternative", &[text])), None);
    let coded = ("Content-Type: application/sdp\nContent-Transfer-Encoding: base64", "dj0w");
    assert_eq!(described(&parts("mixed", &[coded])), None);
}

#[test]
fn parts_that_are_too_many_or_have_no_end_are_415() {
    let many = |count| std::iter::repeat_n(PLACE, count).chain([SDP]).collect::<Vec<_>>();
    assert!(described(&parts("mixed", &many(15))).is_some());
    assert_eq!(described(&parts("mixed", &many(16))), None);
    assert_eq!(described(&parts("mixed", &[SDP]).replace("--b1--\n", "")), None);
    assert_eq!(described(&parts("mixed", &[SDP]).replace("boundary", "border")), None);
    assert_eq!(described("Content-Type: multipart/mixed;boundary=b1\n\n--b1--\n"), Some(String::new()));
}

#[test]
fn a_body_that_need_not_be_understood_is_none() {
    for disposition in ["session;handling=optional", "render; handling = \"optional\"", "by-reference"] {
        let body = described(&format!("Content-Type: application/foo\nContent-Disposition: {disposition}\n\nfoo"));
        assert_eq!(body, Some(String::new()), "RFC 3261 §8.2.3: {disposition}");
    }
    for disposition in ["session", "session;handling=required", "handling=optional"] {
        let body = described(&format!("Content-Type: application/foo\nContent-Disposition: {disposition}\n\nfoo"));
        assert_eq!(body, None, "{disposition}");
    }
}

#[test]
fn an_invite_whose_contact_is_no_sip_uri_is_400() {
    for contact in ["tel:+15550001", "mailto:a@example.com"] {
        answered(&request("INVITE", "").replace("Contact: <sip:s@192.0.2.99>", &format!("Contact: <{contact}>")), 400);
    }
}

#[test]
fn an_invite_whose_sender_reads_no_session_description_is_406() {
    answered(&request("INVITE", "Accept: text/nobodyKnowsThis"), 406);
}

#[test]
fn malformed_requests_are_400_and_505_and_416() {
    answered(&request("INVITE", "").replace("Call-ID: stranger", "Call-ID: stranger\nCall-ID: other"), 400);
    answered(&request("INVITE", "").replace("CSeq: 7 INVITE", "CSeq: 7 BYE"), 400);
    answered(&request("INVITE", "").replace("CSeq: 7 INVITE", "CSeq: 36893488147419103232 INVITE"), 400);
    answered(&request("OPTIONS", "").replace(" SIP/2.0\nVia", " SIP/7.0\nVia"), 505);
    answered(&request("OPTIONS", "").replace("OPTIONS sip:user@192.0.2.2 ", "OPTIONS nobodyKnows:what "), 416);
    answered(&request("INVITE", "").replace("Contact: <sip:s@192.0.2.99>\n", ""), 400);
    answered(&request("OPTIONS", "").replace("Content-Length: 0", "Content-Length: 99"), 400);
}

#[test]
fn acks_responses_and_noise_are_never_answered() {
    let mut net = Net::new(3);
    let response = "SIP/2.0 200 OK\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bKx\nFrom: <sip:a@b>;tag=1\n\
                    To: <sip:c@d>;tag=2\nCall-ID: x\nCSeq: 1 INVITE\nContent-Length: 0\n\n";
    let broken = request("ACK", "").replace("CSeq: 7 ACK", "CSeq: nonsense");
    for text in [&request("ACK", ""), &broken, response, "\n\n", "", "hello", "\0\0\0\0", "ACK sip:x SIP/2.0\n"] {
        net.send(STRANGER, B, text);
    }
    net.run_for(secs(1));
    assert!(net.mail.is_empty(), "{:?}", net.mail);
    assert_eq!(net.nodes[B].endpoint.load(), Load::default());
}

#[test]
fn answers_go_to_the_packets_source_whatever_via_says() {
    // rport: to the port the packet came from, with received and rport filled in (RFC 3581 §4).
    let mut net = Net::new(4);
    let lying = request("OPTIONS", "").replace("192.0.2.99;branch", "10.66.66.66:7777;rport;branch");
    net.send("192.0.2.99:33333", B, &lying);
    net.run_for(secs(1));
    let (_, to, answer) = &net.mail[0];
    assert_eq!(to.to_string(), "192.0.2.99:33333");
    let via = answer.top_via().unwrap();
    assert_eq!((via.received().unwrap().to_string(), via.rport()), ("192.0.2.99".to_owned(), Some(Some(33_333))));

    // Without: the source's address, sent-by's port (§18.2.2); maddr is not followed.
    let mut net = Net::new(4);
    let lying = request("OPTIONS", "").replace("192.0.2.99;branch", "10.66.66.66:7777;maddr=192.0.2.55;branch");
    net.send("192.0.2.99:33333", B, &lying);
    net.run_for(secs(1));
    assert_eq!(net.mail[0].1.to_string(), "192.0.2.99:7777");
    assert_eq!(net.mail[0].2.top_via().unwrap().received().unwrap().to_string(), "192.0.2.99");
}

#[test]
fn an_invite_is_processed_although_its_max_forwards_is_0() {
    let mut net = Net::new(5);
    net.send(STRANGER, B, &request("INVITE", "Max-Forwards: 0"));
    net.run_for(secs(1));
    assert_eq!(net.nodes[B].story(), ["incoming"]);
}

#[test]
fn a_merged_request_is_482() {
    let mut net = Net::new(6);
    net.send(STRANGER, B, &request("INVITE", ""));
    net.send("192.0.2.98:5060", B, &request("INVITE", "").replace("z9hG4bKs1", "z9hG4bKother"));
    net.run_for(ms(50));
    let other: Vec<_> = net.mail.iter().filter(|(_, to, _)| to.ip().to_string() == "192.0.2.98").collect();
    assert_eq!(other.len(), 1);
    assert_eq!(other[0].2.status(), Some(482.into_status()));
    assert_eq!(net.nodes[B].story(), ["incoming"]);
}

#[test]
fn an_rfc_2543_peer_without_branch_and_tag_is_served() {
    let old = |method: &str| request(method, "").replace(";branch=z9hG4bKs1", "").replace(";tag=f", "");
    let mut net = Net::new(7);
    net.send(STRANGER, B, &old("INVITE"));
    net.send(STRANGER, B, &old("INVITE"));
    net.run_for(ms(50));
    assert_eq!(net.nodes[B].story(), ["incoming"], "a copy is a copy");
    net.send(STRANGER, B, &old("CANCEL"));
    net.run_for(ms(50));
    assert_eq!(net.nodes[B].story(), ["incoming", "ended Peer"]);
    let tag = net.mail.iter().find_map(|(_, _, m)| m.to().unwrap().tag().map(str::to_owned)).unwrap();
    net.send(STRANGER, B, &old("ACK").replace("<sip:user@192.0.2.2>\n", &format!("<sip:user@192.0.2.2>;tag={tag}\n")));
    net.run_for(ms(50));
    let copies = net.mail.len();
    net.run_for(secs(3));
    assert_eq!(net.mail.len(), copies, "the ACK stopped the 487");
    net.assert_at_rest();
}

#[test]
fn names_that_are_not_us_are_404_where_we_know_our_names() {
    let mut net = Net::empty(8);
    net.add("192.0.2.1", |_| {});
    net.add("192.0.2.2", |config| config.domains = vec!["voice.example.com".to_owned()]);
    for (host, code) in
        [("VOICE.example.com.", 200), ("other.example.com", 404), ("192.0.2.2", 200), ("[2001:db8::1]", 200)]
    {
        net.mail.clear();
        net.send(
            STRANGER,
            B,
            &request("OPTIONS", "").replace("OPTIONS sip:user@192.0.2.2", &format!("OPTIONS sip:user@{host}")),
        );
        net.run_for(ms(50));
        assert_eq!(net.mail[0].2.status(), Some(code.into_status()), "{host}");
    }
}

#[test]
fn draining_refuses_what_is_new_and_serves_what_stands() {
    let mut net = Net::new(9);
    net.auto_answer(B);
    let a = net.place(A, invite_b());
    net.run_for(secs(1));
    net.nodes[B].endpoint.set_accepting(false);
    for method in ["INVITE", "OPTIONS", "REGISTER"] {
        net.mail.clear();
        net.send(STRANGER, B, &request(method, ""));
        net.run_for(ms(50));
        let answer = &net.mail[0].2;
        assert_eq!(answer.status(), Some(503.into_status()), "{method}");
        assert_eq!(text(answer, Name::RetryAfter), "10");
    }
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    assert_eq!(net.nodes[B].story().last().unwrap(), "ended Peer");
    net.assert_at_rest();
}

#[test]
fn full_tables_are_503_without_state_and_a_bye_still_gets_through() {
    let mut net = Net::empty(10);
    net.add("192.0.2.1", |_| {});
    net.add("192.0.2.2", |config| config.max_sessions = 2);
    net.auto_answer(B);
    let calls: Vec<_> = (0..3).map(|_| net.place(A, invite_b())).collect();
    net.run_for(secs(1));
    let failed: Vec<_> = net.nodes[A].story().into_iter().filter(|word| word.starts_with("failed")).collect();
    assert_eq!(failed, ["failed 503"]);
    let answered: Vec<_> = net.nodes[A]
        .events
        .iter()
        .filter_map(|event| if let Event::Answered { session, .. } = event { Some(*session) } else { None })
        .collect();
    assert_eq!(answered.len(), 2);
    for call in calls {
        net.with(A, |e, now| e.hangup(call, Vec::new(), now));
    }
    net.run_for(secs(1));
    assert_eq!(net.nodes[B].endpoint.load().sessions, 0);
    net.assert_at_rest();
}

#[test]
fn a_flood_of_each_method_leaves_nothing_behind() {
    let mut net = Net::new(11);
    for method in ["OPTIONS", "REGISTER", "BYE", "CANCEL", "ACK", "SUBSCRIBE", "MESSAGE"] {
        for n in 0..200 {
            net.send(STRANGER, B, &request(method, "").replace("z9hG4bKs1", &format!("z9hG4bK{method}{n}")));
        }
    }
    net.run_for(secs(1));
    assert_eq!(net.nodes[B].endpoint.load(), Load::default());
}

#[test]
fn methods_inside_a_session_that_we_do_not_serve_are_refused() {
    let mut net = Net::new(12);
    net.place(A, invite_to(hop("192.0.2.50", Transport::Udp)));
    net.run_for(ms(20));
    let invite = net.mail[0].2.clone();
    net.send("192.0.2.50:5060", A, &pair::response(&invite, "200 OK"));
    net.run_for(ms(20));
    for (n, (method, code)) in
        [("PUBLISH", 405), ("REFER", 400), ("OPTIONS", 200), ("WEIRD", 501)].into_iter().enumerate()
    {
        let text = format!(
            "{method} sip:x@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.50;branch=z9hG4bKd{n}\nFrom: {};tag=raw\nTo: {}\n\
             Call-ID: {}\nCSeq: {} {method}\nContent-Length: 0\n\n",
            "<sip:+15550002@example.com>",
            invite.header_str(Name::From).unwrap(),
            invite.call_id().unwrap(),
            100 + n
        );
        net.send("192.0.2.50:5060", A, &text);
        net.run_for(ms(30));
        assert_eq!(net.mail.last().unwrap().2.status(), Some(code.into_status()), "{method}");
    }
}

#[test]
fn the_ladder_escapes_what_strangers_write() {
    let mut net = Net::new(13);
    net.send(STRANGER, B, &request("OPTIONS", "").replace("sip:user@", "sip:us\u{1b}er@"));
    net.run_for(ms(50));
    assert!(net.nodes[B].ladder().iter().all(|entry| !entry.line.contains('\u{1b}')));
    assert!(net.now > Now::default());
}
