//! REFER both ways: the implicit subscription and its NOTIFYs (RFC 3515, 4488), Refer-To with Replaces (RFC 3891).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use pair::{A, B, IntoStatus as _, Net, PATIENCE, ms, secs, talking};
use sip_core::endpoint::{Event, Headers, MAX_REFERS, REFER_EXPIRES, REQUEST_TIMEOUT, ReferId, Refused, SessionId};
use sip_core::header::NameAddr;
use sip_core::message::{Message, Name};

fn target() -> NameAddr {
    NameAddr::new("sip:carol@example.com".parse().unwrap())
}

fn refer(net: &mut Net, session: SessionId, headers: Headers) -> Result<(), Refused> {
    net.with(A, |e, now| e.refer(session, &target(), headers, now))
}

/// A has sent a REFER, B has been asked.
fn referred(seed: u64, headers: Headers) -> (Net, SessionId, SessionId, ReferId) {
    let mut net = Net::new(seed);
    let (a, b) = talking(&mut net);
    refer(&mut net, a, headers).unwrap();
    net.run_for(ms(50));
    let id = asked(&net);
    (net, a, b, id)
}

fn asked(net: &Net) -> ReferId {
    let mut events = net.nodes[B].events.iter().rev();
    events.find_map(|event| if let Event::Refer { id, .. } = event { Some(*id) } else { None }).unwrap()
}

fn notify(net: &mut Net, b: SessionId, id: ReferId, status: u16, terminated: bool) {
    let status = status.into_status();
    net.with(B, |e, now| e.refer_notify(b, id, status, status.reason(), terminated, now));
}

fn field(message: &Message, name: Name) -> String {
    message.header_str(name).unwrap_or_default().into_owned()
}

#[test]
fn a_refer_is_accepted_and_its_progress_told_to_the_end() {
    let by = vec![("Referred-By".to_owned(), "<sip:alice@example.com>".to_owned())];
    let (mut net, a, b, id) = referred(1, by);
    assert_eq!(net.nodes[B].story(), ["refer sip:carol@example.com"]);
    let sent = &net.nodes[A].sent_requests("REFER")[0];
    assert_eq!((sent.count(Name::Contact), sent.count(Name::ReferTo), sent.count(Name::ReferredBy)), (1, 1, 1));
    net.with(B, |e, now| e.refer_accept(b, id, now));
    net.run_for(ms(100));
    assert_eq!(net.nodes[A].story(), ["refer done 202", "refer progress 100"]);
    notify(&mut net, b, id, 180, false);
    net.run_for(ms(100));
    notify(&mut net, b, id, 200, true);
    net.run_for(ms(100));
    assert_eq!(
        net.nodes[A].story(),
        ["refer done 202", "refer progress 100", "refer progress 180", "refer progress 200 last"]
    );
    let notifies = net.nodes[B].sent_requests("NOTIFY");
    let states: Vec<_> = notifies.iter().map(|notify| field(notify, Name::SubscriptionState)).collect();
    assert_eq!(states[0], format!("active;expires={}", REFER_EXPIRES.as_secs()));
    assert_eq!(states[2], "terminated;reason=noresource");
    assert_eq!(field(&notifies[0], Name::Event), "refer");
    assert_eq!(field(&notifies[0], Name::ContentType), "message/sipfrag;version=2.0");
    assert_eq!(&notifies[2].body()[..], b"SIP/2.0 200 OK\r\n");
    // After the last word there is nothing to tell, and another REFER may come.
    notify(&mut net, b, id, 500, true);
    refer(&mut net, a, Vec::new()).unwrap();
    net.run_for(ms(50));
    let second = asked(&net);
    net.with(B, |e, now| e.refer_accept(b, second, now));
    net.run_for(ms(50));
    let notifies = net.nodes[B].sent_requests("NOTIFY");
    assert_eq!(notifies.len(), 4);
    let cseq = net.nodes[A].sent_requests("REFER")[1].cseq().unwrap().seq;
    assert_eq!(field(&notifies[3], Name::Event), format!("refer;id={cseq}"), "RFC 3515 §2.4.6");
    assert_eq!(net.nodes[A].story().last().unwrap(), "refer progress 100");
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    net.assert_at_rest();
}

#[test]
fn notifies_that_come_together_go_one_after_the_other_and_the_newest_counts() {
    let (mut net, _, b, id) = referred(2, Vec::new());
    net.with(B, |e, now| e.refer_accept(b, id, now));
    for (status, last) in [(180, false), (183, false), (200, true), (180, false)] {
        notify(&mut net, b, id, status, last);
    }
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story(), ["refer done 202", "refer progress 100", "refer progress 200 last"]);
}

#[test]
fn a_refused_refer_and_one_that_nobody_answers_end_with_their_status() {
    let (mut net, _, b, id) = referred(3, Vec::new());
    net.with(B, |e, now| e.refer_reject(b, id, 603.into_status(), now));
    net.run_for(ms(50));
    assert_eq!(net.nodes[A].story(), ["refer failed 603"]);
    let (mut net, a, _, _) = referred(3, Vec::new());
    assert_eq!(refer(&mut net, a, Vec::new()), Err(Refused::State), "one at a time");
    net.run_for(REQUEST_TIMEOUT);
    assert_eq!(net.nodes[A].story(), ["refer failed 500"]);
    assert_eq!(refer(&mut net, a, Vec::new()), Ok(()));
}

#[test]
fn a_refer_that_wants_no_subscription_gets_none() {
    let silent = vec![("Refer-Sub".to_owned(), "false".to_owned())];
    let (mut net, a, b, id) = referred(4, silent);
    net.with(B, |e, now| e.refer_accept(b, id, now));
    notify(&mut net, b, id, 200, true);
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story(), ["refer done 202"]);
    assert_eq!(net.nodes[B].sent_requests("NOTIFY").len(), 0, "RFC 4488 §4");
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    net.assert_at_rest();
}

#[test]
fn a_notify_may_come_before_the_202() {
    let (mut net, _, b, id) = referred(5, Vec::new());
    // The 202 is lost once: the NOTIFY is there first (RFC 6665 §4.1.2.4).
    let mut dropped = false;
    net.filter = Some(Box::new(move |_, _, message| {
        let drop = !dropped && message.status() == Some(202.into_status());
        dropped |= drop;
        !drop
    }));
    net.with(B, |e, now| e.refer_accept(b, id, now));
    notify(&mut net, b, id, 200, true);
    net.run_for(secs(2));
    assert_eq!(net.nodes[A].story(), ["refer progress 100", "refer progress 200 last", "refer done 202"]);
}

#[test]
fn a_subscription_ends_by_itself_on_both_sides() {
    let (mut net, a, b, id) = referred(6, Vec::new());
    net.with(B, |e, now| e.refer_accept(b, id, now));
    net.run_for(REFER_EXPIRES + ms(100));
    assert_eq!(net.nodes[A].story(), ["refer done 202", "refer progress 100", "refer progress 100 last"]);
    let last = net.nodes[B].sent_requests("NOTIFY").pop().unwrap();
    assert_eq!(field(&last, Name::SubscriptionState), "terminated;reason=timeout");

    // A peer that has fallen silent about it.
    refer(&mut net, a, Vec::new()).unwrap();
    net.run_for(ms(50));
    let id = asked(&net);
    net.filter = Some(Box::new(|_, _, message| message.method().as_str() != "NOTIFY"));
    net.with(B, |e, now| e.refer_accept(b, id, now));
    net.run_for(REFER_EXPIRES + PATIENCE);
    assert_eq!(net.nodes[A].story().last().unwrap(), "refer progress 408 last");
    assert_eq!(net.nodes[B].endpoint.load().sessions, 1, "a NOTIFY that is not heard ends that usage alone (RFC 5057)");
    net.filter = None;
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    net.assert_at_rest();
}

/// A request of A's to B, in their dialog, made from A's REFER.
fn in_dialog(net: &mut Net, method: &str, cseq: u32, headers: &str) {
    let refer = net.nodes[A].sent_requests("REFER")[0].clone();
    let line = |name: Name| format!("{name}: {}\n", refer.header_str(name).unwrap());
    let copied: String = [Name::From, Name::To, Name::CallId, Name::Contact].into_iter().map(line).collect();
    let text = format!(
        "{method} {} SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK{method}{cseq}\n{copied}\
         CSeq: {cseq} {method}\n{headers}Content-Length: 0\n\n",
        String::from_utf8_lossy(refer.request_uri_raw())
    );
    net.send("192.0.2.1:5060", B, &text);
    net.run_for(ms(50));
}

fn last_answer(net: &Net) -> Message {
    net.nodes[B].sent().into_iter().rev().find(|message| !message.is_request()).unwrap()
}

#[test]
fn a_refer_names_exactly_one_target() {
    let (mut net, ..) = referred(7, Vec::new());
    in_dialog(&mut net, "REFER", 50, "");
    assert_eq!(last_answer(&net).status(), Some(400.into_status()), "§2.4.2");
    in_dialog(&mut net, "REFER", 51, "Refer-To: <sip:a@b>, <sip:c@d>\n");
    assert_eq!(last_answer(&net).status(), Some(400.into_status()));
    in_dialog(&mut net, "REFER", 52, "Refer-To: <sip:a@b?Replaces=x%3Bto-tag%3D1>\n");
    assert_eq!(last_answer(&net).status(), Some(400.into_status()));
    in_dialog(&mut net, "REFER", 53, "Refer-To: <sip:a@b?Replaces=x%3Bto-tag%3D1%3Bfrom-tag%3D2>\n");
    let replaces = net.nodes[B].events.iter().rev().find_map(|event| match event {
        Event::Refer { replaces, .. } => replaces.clone(),
        _ => None,
    });
    assert_eq!(replaces.unwrap().to_string(), "x;to-tag=1;from-tag=2");
    for n in 54..54 + MAX_REFERS as u32 {
        in_dialog(&mut net, "REFER", n, "Refer-To: <sip:a@b>\n");
    }
    assert_eq!(last_answer(&net).status(), Some(500.into_status()), "beyond the bound");
    assert_eq!(last_answer(&net).count(Name::RetryAfter), 1);
}

#[test]
fn a_subscription_is_ended_by_a_subscribe_with_expires_0() {
    let (mut net, _, b, id) = referred(8, Vec::new());
    net.with(B, |e, now| e.refer_accept(b, id, now));
    net.run_for(ms(50));
    in_dialog(&mut net, "SUBSCRIBE", 60, "Event: refer;id=99\nExpires: 0\n");
    assert_eq!(last_answer(&net).status(), Some(481.into_status()), "no such subscription");
    in_dialog(&mut net, "SUBSCRIBE", 61, "Event: refer\nExpires: 0\n");
    let ok = last_answer(&net);
    assert_eq!((ok.status(), field(&ok, Name::Expires)), (Some(200.into_status()), "0".to_owned()));
    let last = net.nodes[B].sent_requests("NOTIFY").pop().unwrap();
    assert_eq!(field(&last, Name::SubscriptionState), "terminated;reason=timeout");
    assert_eq!(net.nodes[A].story().last().unwrap(), "refer progress 100 last");
}

#[test]
fn a_notify_of_no_refer_is_481_and_one_of_another_package_is_handed_up() {
    let mut net = Net::new(9);
    let (_, b) = talking(&mut net);
    let headers = |event: &str| {
        vec![("Event".to_owned(), event.to_owned()), ("Subscription-State".to_owned(), "active".to_owned())]
    };
    let method = sip_core::message::Method::Notify;
    net.with(B, |e, now| e.send_request(b, method.clone(), headers("refer"), None, now)).unwrap();
    net.with(B, |e, now| e.send_request(b, method, headers("message-summary"), None, now)).unwrap();
    net.run_for(ms(50));
    assert_eq!(net.nodes[A].story(), ["request NOTIFY"]);
    assert_eq!(net.nodes[B].story(), ["request failed 481"]);
    assert_eq!(net.nodes[B].endpoint.load().sessions, 1);
}
