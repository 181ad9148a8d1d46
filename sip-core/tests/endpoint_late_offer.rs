//! Offers that come late, both ways: INVITE and re-INVITE without a description (RFC 3261 §13.2.1, §14; RFC 6337 §2.1;
//! FAULTS 10).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use bytes::Bytes;
use pair::{A, B, IntoStatus as _, Net, PATIENCE, invite_b, ms, sdp, secs, talking};
use sip_core::endpoint::{Event, Invite, LATE_ANSWER_TIMEOUT, SessionId};

fn answer() -> (String, Bytes) {
    let (kind, body) = sdp();
    (kind, String::from_utf8_lossy(&body).replace("192.0.2.9", "192.0.2.8").into())
}

fn late() -> Invite {
    Invite { body: None, ..invite_b() }
}

/// A has called without an offer, B's 200 carries it.
fn answered(seed: u64) -> (Net, SessionId, SessionId) {
    let mut net = Net::new(seed);
    net.auto_answer(B);
    let a = net.place(A, late());
    net.run_for(ms(100));
    let b = net.nodes[B].incoming().unwrap();
    (net, a, b)
}

#[test]
fn the_answer_to_an_offer_in_the_200_goes_into_the_ack() {
    let (mut net, a, _) = answered(1);
    assert_eq!(net.nodes[A].story(), ["progress 180", "answered 200"]);
    assert_eq!(net.nodes[A].sent_requests("ACK").len(), 0, "it waits for the answer");
    // B repeats its 200: it is a copy, not another fork.
    net.run_for(secs(2));
    assert_eq!(net.nodes[A].sent_requests("BYE").len(), 0);
    net.with(A, |e, now| e.acknowledge(a, Some(answer()), now));
    net.run_for(ms(100));
    let ack = net.nodes[B].events.iter().find_map(|event| match event {
        Event::Confirmed { ack, .. } => Some(ack.body().clone()),
        _ => None,
    });
    assert_eq!(ack, Some(answer().1));
    net.with(A, |e, now| e.acknowledge(a, None, now));
    net.run_for(secs(4));
    assert_eq!(net.nodes[A].sent_requests("ACK").len(), 1);
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    net.assert_at_rest();
}

#[test]
fn an_offer_in_the_200_that_nobody_answers_ends_the_call_and_is_acknowledged_first() {
    let (mut net, ..) = answered(2);
    net.run_for(LATE_ANSWER_TIMEOUT + secs(1));
    let sent: Vec<_> = net.nodes[A].sent().iter().filter(|m| m.is_request()).map(|m| m.method().to_string()).collect();
    assert_eq!(sent, ["INVITE", "ACK", "BYE"]);
    assert_eq!(net.nodes[A].story().last().unwrap(), "ended Us");
    assert_eq!(net.nodes[B].story(), ["incoming", "confirmed", "ended Peer"]);
    net.assert_at_rest();
}

#[test]
fn a_hang_up_before_the_answer_acknowledges_too() {
    for by in [A, B] {
        let (mut net, a, b) = answered(3);
        net.with(by, |e, now| e.hangup(if by == A { a } else { b }, Vec::new(), now));
        net.run_for(LATE_ANSWER_TIMEOUT + secs(1));
        assert_eq!(net.nodes[A].sent_requests("ACK").len(), 1);
        assert_eq!(net.nodes[B].endpoint.load().sessions, 0);
        net.assert_at_rest();
    }
}

#[test]
fn a_late_offer_that_crosses_a_hang_up_is_acknowledged_and_ended() {
    let mut net = Net::new(4);
    let a = net.place(A, late());
    net.run_for(ms(250));
    let b = net.nodes[B].incoming().unwrap();
    net.with(B, |e, now| e.accept(b, Vec::new(), Some(sdp()), now));
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story(), ["progress 100", "failed Canceled"]);
    assert_eq!(net.nodes[B].story(), ["incoming", "confirmed", "ended Peer"]);
    net.assert_at_rest();
}

#[test]
fn a_re_invite_without_an_offer_gets_ours_and_its_ack_the_answer_both_ways() {
    for (from, to) in [(A, B), (B, A)] {
        let mut net = Net::new(5);
        let (a, b) = talking(&mut net);
        let session = if from == A { a } else { b };
        net.auto_respond(to, 200, Some(sdp()));
        net.with(from, |e, now| e.reoffer(session, None, now));
        net.run_for(ms(100));
        assert_eq!(net.nodes[from].story(), ["reoffered 200"]);
        net.with(from, |e, now| e.acknowledge(session, Some(answer()), now));
        net.run_for(ms(100));
        let ack = net.nodes[to].events.iter().find_map(|event| match event {
            Event::ReofferAck { ack, answers: true, .. } => Some(ack.body().clone()),
            _ => None,
        });
        assert_eq!(ack, Some(answer().1));
        net.with(A, |e, now| e.hangup(a, Vec::new(), now));
        net.run_for(secs(1));
        net.assert_at_rest();
    }
}

#[test]
fn what_changes_while_an_offer_waits_for_its_answer_is_refused() {
    let (mut net, a, _) = answered(6);
    net.with(A, |e, now| e.reoffer(a, Some(sdp()), now));
    assert_eq!(net.nodes[A].story().last().unwrap(), "reoffer failed Canceled");
    net.with(A, |e, now| e.acknowledge(a, Some(answer()), now));
    net.auto_respond(B, 200, Some(sdp()));
    net.with(A, |e, now| e.reoffer(a, Some(sdp()), now));
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story().last().unwrap(), "reoffered 200");
}

#[test]
fn without_the_ack_of_an_offer_of_ours_the_session_is_lost() {
    let (mut net, a, _) = answered(7);
    net.filter = Some(Box::new(|_, _, message| message.method().as_str() != "ACK"));
    net.with(A, |e, now| e.acknowledge(a, Some(answer()), now));
    net.run_for(PATIENCE + ms(200));
    assert_eq!(net.nodes[B].story(), ["incoming", "ended Lost NoAck"]);
    net.filter = None;
    net.assert_at_rest();
}

#[test]
fn a_200_without_a_description_is_acknowledged_at_once() {
    let mut net = Net::new(8);
    let a = net.place(A, late());
    net.run_for(ms(50));
    let b = net.nodes[B].incoming().unwrap();
    net.with(B, |e, now| e.accept(b, Vec::new(), None, now));
    net.run_for(ms(100));
    assert_eq!(net.nodes[B].story(), ["incoming", "confirmed"]);
    net.with(B, |e, now| e.progress(b, 180.into_status(), Vec::new(), None, now));
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    net.assert_at_rest();
}
