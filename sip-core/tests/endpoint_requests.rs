//! Requests inside a session's dialog, both ways: INFO, MESSAGE, NOTIFY, SUBSCRIBE (RFC 6086, 3428, 6665).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use bytes::Bytes;
use pair::{A, B, IntoStatus as _, Net, invite_b, ms, sdp, secs, talking};
use sip_core::endpoint::{Event, InDialogId, MAX_OPEN_REQUESTS, REQUEST_TIMEOUT, Refused, SessionId};
use sip_core::message::{Method, Name};

fn digits() -> Option<(String, Bytes)> {
    Some(("application/dtmf-relay".to_owned(), Bytes::from_static(b"Signal=5\r\nDuration=160\r\n")))
}

fn asked(net: &Net, node: usize) -> Vec<(SessionId, InDialogId)> {
    let events = net.nodes[node].events.iter();
    let asked = events.filter_map(|event| match event {
        Event::Request { session, id, .. } => Some((*session, *id)),
        _ => None,
    });
    asked.collect()
}

#[test]
fn an_info_is_handed_up_and_its_answer_comes_back_both_ways() {
    for (from, to) in [(A, B), (B, A)] {
        let mut net = Net::new(1);
        let (a, b) = talking(&mut net);
        let session = if from == A { a } else { b };
        net.with(from, |e, now| e.send_request(session, Method::Info, Vec::new(), digits(), now)).unwrap();
        net.run_for(ms(50));
        assert_eq!(net.nodes[to].story(), ["request INFO"]);
        let request = net.nodes[from].sent_requests("INFO")[0].clone();
        assert_eq!(&request.body()[..], &digits().unwrap().1[..]);
        assert_eq!(request.count(Name::Contact), 0, "INFO refreshes no target (RFC 6086 §4.2.1)");
        let (session, id) = asked(&net, to)[0];
        let headers = vec![("X-Heard".to_owned(), "yes".to_owned())];
        net.with(to, |e, now| e.answer_request(session, id, 200.into_status(), headers, None, now));
        net.run_for(ms(50));
        assert_eq!(net.nodes[from].story(), ["request done 200"]);
        net.with(A, |e, now| e.hangup(a, Vec::new(), now));
        net.run_for(secs(1));
        net.assert_at_rest();
    }
}

#[test]
fn a_method_that_our_user_refuses_is_405_with_all_others_in_allow() {
    let mut net = Net::new(9);
    let (a, _) = talking(&mut net);
    net.with(A, |e, now| e.send_request(a, Method::Message, Vec::new(), digits(), now)).unwrap();
    net.run_for(ms(50));
    let (session, id) = asked(&net, B)[0];
    net.with(B, |e, now| e.answer_request(session, id, 405.into_status(), Vec::new(), None, now));
    net.run_for(ms(50));
    assert_eq!(net.nodes[A].story(), ["request failed 405"]);
    let refusal = net.nodes[B].sent().pop().unwrap();
    let allow = refusal.header_str(Name::Allow).unwrap_or_default().into_owned();
    assert!(allow.contains("INVITE") && allow.contains("INFO") && !allow.contains("MESSAGE"), "{allow:?}");
}

#[test]
fn a_request_that_our_user_leaves_unanswered_is_500_after_its_time() {
    let mut net = Net::new(2);
    let (a, _) = talking(&mut net);
    net.with(A, |e, now| e.send_request(a, Method::Message, Vec::new(), digits(), now)).unwrap();
    net.run_for(REQUEST_TIMEOUT);
    assert_eq!(net.nodes[A].story(), [""; 0]);
    net.run_for(ms(50));
    assert_eq!(net.nodes[A].story(), ["request failed 500"]);
    assert_eq!(net.nodes[A].endpoint.load().sessions, 1);
}

#[test]
fn a_request_reaches_its_user_once_however_often_it_comes() {
    let mut net = Net::new(3);
    let (a, _) = talking(&mut net);
    net.with(A, |e, now| e.send_request(a, Method::Info, Vec::new(), None, now)).unwrap();
    net.run_for(ms(3_000));
    assert!(net.nodes[A].sent_requests("INFO").len() > 1);
    assert_eq!(net.nodes[B].story(), ["request INFO"]);
}

#[test]
fn a_bye_answers_the_requests_that_wait_with_487() {
    let mut net = Net::new(4);
    let (a, _) = talking(&mut net);
    net.with(A, |e, now| e.send_request(a, Method::Info, Vec::new(), None, now)).unwrap();
    net.run_for(ms(50));
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    assert!(net.ladder(B).contains(&"> 487 INFO".to_owned()), "{:?}", net.ladder(B));
    assert_eq!(net.nodes[A].story(), ["ended Us"], "what became of it is not told after the end");
    net.assert_at_rest();
}

#[test]
fn more_requests_than_are_kept_are_500_with_retry_after_and_ours_are_refused() {
    let mut net = Net::new(5);
    let (a, _) = talking(&mut net);
    for _ in 0..MAX_OPEN_REQUESTS {
        net.with(A, |e, now| e.send_request(a, Method::Info, Vec::new(), None, now)).unwrap();
    }
    let more = net.with(A, |e, now| e.send_request(a, Method::Info, Vec::new(), None, now));
    assert_eq!(more, Err(Refused::Full));
    net.run_for(ms(50));
    assert_eq!(asked(&net, B).len(), MAX_OPEN_REQUESTS);
    // One more, by a peer that keeps no such bound.
    let last = net.nodes[A].sent_requests("INFO").pop().unwrap();
    let text = String::from_utf8(last.raw().to_vec()).unwrap();
    let seq = last.cseq().unwrap().seq;
    let text = text.replace("z9hG4bK", "z9hG4bKmore").replace(&format!("CSeq: {seq} "), &format!("CSeq: {} ", seq + 1));
    net.datagram("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap(), text.into());
    net.run_for(ms(50));
    let refused = net.nodes[B].sent().pop().unwrap();
    assert_eq!(refused.status(), Some(500.into_status()));
    assert_eq!(refused.count(Name::RetryAfter), 1);
}

#[test]
fn methods_with_a_call_of_their_own_and_sessions_without_a_dialog_are_refused() {
    let mut net = Net::new(6);
    let a = net.place(A, invite_b());
    let send = |net: &mut Net, method| net.with(A, |e, now| e.send_request(a, method, Vec::new(), None, now));
    assert_eq!(send(&mut net, Method::Info), Err(Refused::State), "no early dialog yet");
    for method in [Method::Invite, Method::Bye, Method::Update, Method::Refer, Method::Prack, Method::Register] {
        assert_eq!(send(&mut net, method), Err(Refused::Method));
    }
    net.run_for(ms(50));
    let b = net.nodes[B].incoming().unwrap();
    net.with(B, |e, now| e.progress(b, 180.into_status(), Vec::new(), None, now));
    net.run_for(ms(50));
    send(&mut net, Method::Info).unwrap();
    net.run_for(ms(50));
    assert_eq!(net.nodes[B].story(), ["incoming", "request INFO"], "in the early dialog too");
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    net.assert_at_rest();
}

#[test]
fn a_subscription_is_answered_with_our_contact() {
    let mut net = Net::new(7);
    let (a, b) = talking(&mut net);
    let headers = vec![("Event".to_owned(), "dialog".to_owned()), ("Expires".to_owned(), "60".to_owned())];
    net.with(A, |e, now| e.send_request(a, Method::Subscribe, headers, None, now)).unwrap();
    net.run_for(ms(50));
    assert_eq!(net.nodes[A].sent_requests("SUBSCRIBE")[0].count(Name::Contact), 1);
    let (_, id) = asked(&net, B)[0];
    net.with(B, |e, now| e.answer_request(b, id, 489.into_status(), Vec::new(), None, now));
    net.run_for(ms(50));
    assert_eq!(net.nodes[A].story(), ["request failed 489"]);
}

#[test]
fn a_peer_that_answers_481_to_an_info_has_lost_the_session() {
    let mut net = Net::new(8);
    let (a, _) = talking(&mut net);
    let config = sip_core::endpoint::Config::new(pair::locals("192.0.2.2"));
    net.nodes[B].endpoint = sip_core::endpoint::Endpoint::new(config, base::Rng::from_u64(1));
    net.with(A, |e, now| e.send_request(a, Method::Info, Vec::new(), None, now)).unwrap();
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story(), ["request failed 481", "ended Lost Gone"]);
    net.assert_at_rest();
}

#[test]
fn a_user_cannot_put_words_into_the_endpoints_mouth() {
    let mut net = Net::new(9);
    let mut invite = invite_b();
    invite.headers = ["Supported", "Require", "Session-Expires", "Min-SE", "RAck", "rseq", "k"]
        .map(|name| (name.to_owned(), "smuggled".to_owned()))
        .to_vec();
    invite.body = Some(sdp());
    net.place(A, invite);
    net.run_for(ms(50));
    let sent = &net.nodes[A].sent_requests("INVITE")[0];
    assert!(!String::from_utf8_lossy(sent.raw()).contains("smuggled"));
    assert_eq!(sent.count(Name::Supported), 1);
}
