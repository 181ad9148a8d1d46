//! What gets lost, and what comes twice (FAULTS 1, 2, 7, 8).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use pair::{A, B, IntoStatus as _, Net, PATIENCE, Weather, invite_b, ms, sdp, secs};
use sip_core::endpoint::{Event, Load};
use sip_core::header::NameAddr;
use sip_core::message::Method;

fn talking(seed: u64) -> (Net, sip_core::endpoint::SessionId) {
    let mut net = Net::new(seed);
    net.auto_answer(B);
    let a = net.place(A, invite_b());
    net.run_for(secs(1));
    assert_eq!(net.nodes[B].story().last().unwrap(), "confirmed");
    (net, a)
}

#[test]
fn without_an_ack_the_200_is_repeated_for_64_t1_and_then_the_callee_says_bye() {
    let mut net = Net::new(1);
    net.auto_answer(B);
    net.filter = Some(Box::new(|_, _, message| message.method().as_str() != "ACK"));
    net.place(A, invite_b());
    net.run_for(PATIENCE + ms(100));
    let ladder = net.ladder(B);
    let copies = ladder.iter().filter(|line| line.as_str() == "> 200 INVITE *").count();
    // T1, doubled up to T2: 0.5, 1.5, 3.5, then every 4 s up to 31.5.
    assert_eq!(copies, 10, "{ladder:?}");
    assert_eq!(ladder.iter().filter(|line| line.as_str() == "> BYE").count(), 1);
    assert_eq!(net.nodes[B].story(), ["incoming", "ended Lost NoAck"]);
    assert_eq!(net.nodes[A].story(), ["progress 180", "answered 200", "ended Peer"]);
    // Each copy of the 200 got its ACK again.
    assert_eq!(net.nodes[A].sent_requests("ACK").len(), 11);
    net.filter = None;
    net.assert_at_rest();
}

#[test]
fn a_lost_bye_is_repeated() {
    let (mut net, a) = talking(2);
    let mut lost = 0;
    net.filter = Some(Box::new(move |_, _, message| {
        let drop = message.is_request() && message.method().as_str() == "BYE" && lost < 3;
        lost += usize::from(drop);
        !drop
    }));
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(5));
    assert_eq!(net.nodes[A].story().last().unwrap(), "ended Us");
    assert_eq!(net.nodes[B].story().last().unwrap(), "ended Peer");
    assert_eq!(net.nodes[A].sent_requests("BYE").len(), 4);
    net.assert_at_rest();
}

#[test]
fn a_bye_that_nobody_answers_still_ends_the_session() {
    let (mut net, a) = talking(3);
    net.filter = Some(Box::new(|_, _, message| message.method().as_str() != "BYE"));
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(PATIENCE + ms(1));
    assert_eq!(net.nodes[A].story().last().unwrap(), "ended Us");
    assert_eq!(net.nodes[A].endpoint.load().sessions, 0);
}

#[test]
fn answers_481_to_a_replayed_bye() {
    let (mut net, a) = talking(4);
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    let bye = net.nodes[A].sent_requests("BYE")[0].clone();
    // Within Timer J the same bytes are the same request: the same 200.
    net.datagram("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap(), bye.raw().clone());
    net.run_for(secs(1));
    assert_eq!(net.ladder(B).last().unwrap(), "> 200 BYE *");
    net.run_for(secs(40));
    net.datagram("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap(), bye.raw().clone());
    net.run_for(secs(1));
    assert_eq!(net.ladder(B).last().unwrap(), "> 481 BYE");
    net.assert_at_rest();
}

#[test]
fn a_request_of_the_past_is_answered_500_and_changes_nothing() {
    let (mut net, _) = talking(5);
    let ack = net.nodes[A].sent_requests("ACK")[0].clone();
    let old = String::from_utf8(ack.raw().to_vec()).unwrap();
    let old = old.replace("ACK ", "BYE ").replace("1 ACK", "1 BYE").replace("z9hG4bK", "z9hG4bKreplayed");
    net.datagram("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap(), old.into());
    net.run_for(secs(1));
    assert_eq!(net.ladder(B).last().unwrap(), "> 500 BYE", "{:?}", net.ladder(B));
    assert_eq!(net.nodes[B].endpoint.load().sessions, 1);
}

/// A call every 100 ms; three seconds after each side knows that it stands, the caller hangs up, or (every third call)
/// the callee.
fn storm(seed: u64, weather: Weather, calls: usize) -> Net {
    let mut net = Net::new(seed);
    net.weather = weather;
    net.auto_answer(B);
    net.nodes[A].hang_up = Some(|event| match event {
        Event::Answered { session, .. } => Some((*session, 3_000)),
        _ => None,
    });
    net.nodes[B].hang_up = Some(|event| match event {
        Event::Confirmed { session, .. } if session.0.is_multiple_of(3) => Some((*session, 2_900)),
        _ => None,
    });
    for _ in 0..calls {
        net.place(A, invite_b());
        net.run_for(ms(100));
    }
    net.run_for(secs(120));
    net
}

fn count(net: &Net, node: usize, what: impl Fn(&Event) -> bool) -> usize {
    net.nodes[node].events.iter().filter(|event| what(event)).count()
}

#[test]
fn five_percent_loss_over_500_calls_loses_no_call_and_leaves_nothing() {
    let mut net = storm(6, Weather { delay: (5, 60), loss: 0.05, duplicates: 0.05 }, 500);
    let answered = count(&net, A, |event| matches!(event, Event::Answered { .. }));
    let incoming = count(&net, B, |event| matches!(event, Event::Incoming { .. }));
    assert_eq!((answered, incoming), (500, 500), "duplicates of an INVITE make one call");
    for node in [A, B] {
        let last = count(&net, node, |event| matches!(event, Event::Ended { .. } | Event::Failed { .. }));
        assert_eq!(last, 500, "one last word a call");
    }
    net.assert_at_rest();
}

#[test]
fn thirty_percent_loss_over_200_calls_leaves_no_stuck_call() {
    let mut net = storm(7, Weather { delay: (5, 60), loss: 0.3, duplicates: 0.0 }, 200);
    for node in [A, B] {
        let opened = count(&net, node, |event| matches!(event, Event::Incoming { .. }));
        let opened = if node == A { 200 } else { opened };
        let last = count(&net, node, |event| matches!(event, Event::Ended { .. } | Event::Failed { .. }));
        assert_eq!(last, opened);
    }
    net.run_for(secs(100));
    for node in [A, B] {
        assert_eq!(net.nodes[node].endpoint.load(), Load::default());
    }
    net.assert_at_rest();
}

/// As [`storm`], but each call does all that a call can: a reliable 183 with the answer, INFO and UPDATE while it rings,
/// a re-INVITE from the callee, and a REFER, over a network that loses, doubles and reorders (FAULTS 1, 11).
#[test]
fn five_percent_loss_over_300_calls_that_do_everything_loses_no_call_and_leaves_nothing() {
    let mut net = Net::new(8);
    net.weather = Weather { delay: (5, 60), loss: 0.05, duplicates: 0.05 };
    net.nodes[B].app = Some(Box::new(|endpoint, event, now| match event {
        Event::Incoming { session, .. } => {
            endpoint.progress(*session, 183.into_status(), Vec::new(), Some(sdp()), now);
            endpoint.accept(*session, Vec::new(), Some(sdp()), now);
        }
        Event::Request { session, id, .. } => {
            endpoint.answer_request(*session, *id, 200.into_status(), Vec::new(), None, now);
        }
        // A request that another one has overtaken is 500 (RFC 3261 §12.2.2), and that is no fault of the call's.
        Event::ReofferDone { session, result: Err(_) } => endpoint.hangup(*session, Vec::new(), now),
        Event::Reoffer { session, id, .. } => endpoint.respond(*session, *id, 200.into_status(), Some(sdp()), now),
        Event::Confirmed { session, .. } => endpoint.reoffer(*session, Some(sdp()), now),
        Event::Refer { session, id, .. } => {
            endpoint.refer_accept(*session, *id, now);
            endpoint.refer_notify(*session, *id, 200.into_status(), "OK", true, now);
        }
        _ => {}
    }));
    net.nodes[A].app = Some(Box::new(|endpoint, event, now| match event {
        Event::Progress { session, response } if response.status() == Some(183.into_status()) => {
            endpoint.update(*session, Some(sdp()), now);
            endpoint.send_request(*session, Method::Info, Vec::new(), None, now).unwrap();
        }
        Event::Reoffer { session, id, .. } => {
            endpoint.respond(*session, *id, 200.into_status(), Some(sdp()), now);
            let carol = NameAddr::new("sip:carol@example.com".parse().unwrap());
            endpoint.refer(*session, &carol, Vec::new(), now).unwrap();
        }
        Event::ReferProgress { session, terminated: true, .. } | Event::ReferDone { session, result: Err(_) } => {
            endpoint.hangup(*session, Vec::new(), now);
        }
        _ => {}
    }));
    for _ in 0..300 {
        net.place(A, invite_b());
        net.run_for(ms(100));
    }
    net.run_for(secs(180));
    let times = |node: usize, what: &str| net.nodes[node].story().iter().filter(|word| *word == what).count();
    assert_eq!((times(A, "answered 200"), times(B, "confirmed")), (300, 300));
    assert!(times(A, "refer progress 200 last") >= 280, "{}", times(A, "refer progress 200 last"));
    // PRACK, UPDATE and INFO leave together: in a third to a half of the calls the network turns them round.
    let (heard, changed) = (times(A, "request done 200"), times(A, "reoffered 200"));
    assert!(heard >= 100 && changed >= 100, "{heard} {changed}");
    for node in [A, B] {
        assert_eq!(times(node, "ended Us") + times(node, "ended Peer"), 300, "one last word a call, and none is lost");
    }
    net.assert_at_rest();
}
