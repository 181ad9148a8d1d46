//! What Allow and Allow-Events name against what is answered, inside a dialog and outside (RFC 3261 §8.2.1, §20.5; RFC 6665
//! §8.2.2, §8.3.2).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use pair::{A, IntoStatus as _, Net, hop, invite_to, ms};
use sip_core::endpoint::Event;
use sip_core::message::{Message, Method, Name};
use sip_core::transport::Transport;

const PEER: &str = "192.0.2.50:5060";
/// All that have a name of their own, and one that has none.
const METHODS: [&str; 15] = [
    "INVITE",
    "ACK",
    "CANCEL",
    "BYE",
    "OPTIONS",
    "PRACK",
    "UPDATE",
    "INFO",
    "REFER",
    "NOTIFY",
    "SUBSCRIBE",
    "MESSAGE",
    "REGISTER",
    "PUBLISH",
    "WEIRD",
];

/// A request of the peer's, with these header lines besides.
fn request(method: &str, from: &str, to: &str, call_id: &str, headers: &str) -> String {
    format!(
        "{method} sip:x@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.50;branch=z9hG4bKallow{method}\nFrom: {from}\n\
         To: {to}\nCall-ID: {call_id}\nCSeq: 100 {method}\nContact: <sip:raw@192.0.2.50>\n{headers}Content-Length: 0\n\n"
    )
}

/// What A sends last; a user that takes INFO and changes of the session, and has no event packages.
fn answer_of(net: &mut Net, text: &str) -> Option<Message> {
    net.nodes[A].app = Some(Box::new(|endpoint, event, now| match event {
        Event::Arrived { request, .. } => endpoint.refuse(*request, 403.into_status(), Vec::new(), now),
        Event::Reoffer { session, id, .. } => endpoint.respond(*session, *id, 200.into_status(), None, now),
        Event::Request { session, id, request } => {
            let status = match request.method() {
                Method::Info => 200,
                Method::Subscribe | Method::Notify => 489,
                _ => 405,
            };
            endpoint.answer_request(*session, *id, status.into_status(), Vec::new(), None, now);
        }
        _ => {}
    }));
    let seen = net.mail.len();
    net.send(PEER, A, text);
    net.run_for(ms(30));
    let answers = net.mail.get(seen..).unwrap_or_default();
    answers.iter().map(|(_, _, message)| message.clone()).find(|message| !message.is_request())
}

/// The answer to a request outside of dialogs.
fn outside(method: &str, headers: &str) -> Option<Message> {
    let mut net = Net::empty(1);
    net.add("192.0.2.1", |config| config.handed_up = vec![Method::Register, Method::Invite, Method::Message]);
    let text = request(method, "<sip:raw@192.0.2.50>;tag=raw", "<sip:x@192.0.2.1>", "outside", headers);
    answer_of(&mut net, &text)
}

/// The answer to a request inside a dialog, and the INVITE that has made it.
fn inside(method: &str, headers: &str) -> (Option<Message>, Message) {
    let mut net = Net::new(1);
    net.place(A, invite_to(hop("192.0.2.50", Transport::Udp)));
    net.run_for(ms(20));
    let invite = net.mail[0].2.clone();
    net.send(PEER, A, &pair::response(&invite, "200 OK"));
    net.run_for(ms(20));
    let (from, call_id) = (invite.header_str(Name::From).unwrap(), invite.call_id().unwrap());
    let text = request(method, "<sip:+15550002@example.com>;tag=raw", &from, call_id, headers);
    (answer_of(&mut net, &text), invite.clone())
}

fn code(answer: Option<&Message>) -> u16 {
    answer.and_then(Message::status).map_or(0, |status| status.code())
}

fn text(answer: &Message, name: Name) -> String {
    answer.header_str(name).unwrap_or_default().into_owned()
}

#[track_caller]
fn agrees(method: &str, allow: &str, answer: Option<&Message>) {
    let (code, allowed) = (code(answer), allow.split(", ").any(|name| name == method));
    if allowed {
        assert!(!matches!(code, 405 | 501), "{method} is named in {allow:?} and answered {code}");
        // Never answered (RFC 3261 §13.3.1.4).
        assert_eq!(code == 0, method == "ACK", "{method}");
    } else {
        assert_eq!(code, if method == "WEIRD" { 501 } else { 405 }, "{method} is not named in {allow:?}");
        assert_eq!(text(answer.unwrap(), Name::Allow), allow, "{method}");
    }
}

#[test]
fn no_method_that_allow_names_is_405_or_501_and_each_other_one_is_and_says_what_is_allowed() {
    let allow = text(&outside("OPTIONS", "").unwrap(), Name::Allow);
    for method in METHODS {
        agrees(method, &allow, outside(method, "").as_ref());
    }
    let (options, invite) = inside("OPTIONS", "");
    let allow = text(&invite, Name::Allow);
    assert_eq!(text(&options.unwrap(), Name::Allow), allow);
    for method in METHODS {
        agrees(method, &allow, inside(method, "").0.as_ref());
    }
}

#[test]
fn what_is_no_package_of_ours_is_489_with_those_that_are() {
    // RFC 6665 §4.2.3: none at all is no package of ours either.
    for event in ["Event: dialog\n", "Event: message-summary;x=y\nExpires: 60\n", ""] {
        for answer in [outside("SUBSCRIBE", event), inside("SUBSCRIBE", event).0, inside("NOTIFY", event).0] {
            assert_eq!(code(answer.as_ref()), 489, "{event:?}");
            assert_eq!(text(&answer.unwrap(), Name::AllowEvents), "refer", "{event:?}");
        }
    }
}

#[test]
fn a_subscription_to_refer_is_made_by_a_refer_inside_a_call_and_by_nothing_else() {
    assert_eq!(code(outside("SUBSCRIBE", "Event: refer\n").as_ref()), 403);
    assert_eq!(code(inside("SUBSCRIBE", "Event: refer\n").0.as_ref()), 481, "there has been no REFER");
    let refer = "Refer-To: <sip:carol@192.0.2.60>\n";
    assert_eq!(code(outside("REFER", refer).as_ref()), 403);
}
