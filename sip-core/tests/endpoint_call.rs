//! One whole call, from both ends.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use pair::{A, B, IntoStatus as _, Net, invite_b, ms, sdp, secs};
use sip_core::endpoint::{EndedBy, Event};
use sip_core::message::Name;

/// A calls B, who rings for a second and answers.
fn connected(net: &mut Net) -> (sip_core::endpoint::SessionId, sip_core::endpoint::SessionId) {
    let a = net.place(A, invite_b());
    net.run_until("the INVITE has come", |net| net.nodes[B].incoming().is_some());
    let b = net.nodes[B].incoming().unwrap();
    net.run_for(ms(300));
    net.with(B, |e, now| e.progress(b, 180.into_status(), Vec::new(), None, now));
    net.run_for(secs(1));
    net.with(B, |e, now| e.accept(b, Vec::new(), Some(sdp()), now));
    net.run_for(secs(1));
    (a, b)
}

#[test]
fn rings_answers_talks_and_the_caller_hangs_up() {
    let mut net = Net::new(1);
    let (a, _) = connected(&mut net);
    net.with(A, |e, now| e.hangup(a, vec![("Reason".to_owned(), "Q.850;cause=16".to_owned())], now));
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story(), ["progress 100", "progress 180", "answered 200", "ended Us"]);
    assert_eq!(net.nodes[B].story(), ["incoming", "confirmed", "ended Peer"]);
    assert_eq!(
        net.ladder(A),
        ["> INVITE", "< 100 INVITE", "< 180 INVITE", "< 200 INVITE", "> ACK", "> BYE", "< 200 BYE"]
    );
    assert_eq!(
        net.ladder(B),
        ["< INVITE", "> 100 INVITE", "> 180 INVITE", "> 200 INVITE", "< ACK", "< BYE", "> 200 BYE"]
    );
    let reason = net.nodes[B].events.iter().find_map(|event| match event {
        Event::Ended { request: Some(bye), .. } => bye.header_str(Name::Reason).map(|reason| reason.into_owned()),
        _ => None,
    });
    assert_eq!(reason.as_deref(), Some("Q.850;cause=16"));
    net.assert_at_rest();
}

#[test]
fn the_callee_hangs_up() {
    let mut net = Net::new(2);
    let (_, b) = connected(&mut net);
    net.with(B, |e, now| e.hangup(b, Vec::new(), now));
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story().last().unwrap(), "ended Peer");
    assert!(matches!(net.nodes[B].events.last(), Some(Event::Ended { by: EndedBy::Us, request: None, .. })));
    net.assert_at_rest();
}

#[test]
fn every_ladder_line_of_a_call_names_its_session() {
    let mut net = Net::new(3);
    let (a, b) = connected(&mut net);
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    for (node, id) in [(A, a), (B, b)] {
        let sessions: Vec<_> = net.nodes[node]
            .events
            .iter()
            .filter_map(|event| if let Event::Ladder { session, .. } = event { Some(*session) } else { None })
            .collect();
        assert_eq!(sessions, vec![Some(id); 7]);
    }
    let bodies: Vec<bool> = net.nodes[A].ladder().iter().map(|entry| entry.has_body).collect();
    assert_eq!(bodies, [true, false, false, true, false, false, false]);
}

#[test]
fn trying_is_sent_by_itself_after_200_ms_and_not_when_the_user_was_faster() {
    let mut net = Net::new(4);
    net.place(A, invite_b());
    net.run_for(ms(209));
    assert_eq!(net.ladder(B), ["< INVITE"]);
    net.run_for(ms(1));
    assert_eq!(net.ladder(B), ["< INVITE", "> 100 INVITE"]);

    let mut net = Net::new(4);
    net.auto_answer(B);
    net.place(A, invite_b());
    net.run_for(secs(1));
    assert_eq!(net.ladder(B), ["< INVITE", "> 180 INVITE", "> 200 INVITE", "< ACK"]);
}

#[test]
fn a_refusal_reaches_the_caller_with_its_headers_and_is_acknowledged_by_the_transaction() {
    let mut net = Net::new(5);
    net.nodes[B].app = Some(Box::new(|endpoint, event, now| {
        if let Event::Incoming { session, .. } = event {
            let headers = vec![("X-Twilio-Error".to_owned(), "32204 no".to_owned())];
            endpoint.reject(*session, 403.into_status(), headers, now);
        }
    }));
    net.place(A, invite_b());
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story(), ["failed 403"]);
    assert_eq!(net.nodes[B].story(), ["incoming", "ended Us"]);
    assert_eq!(net.ladder(A), ["> INVITE", "< 403 INVITE", "> ACK"]);
    let error = net.nodes[A].events.iter().find_map(|event| match event {
        Event::Failed { failure: sip_core::endpoint::Failure::Response(response), .. } => {
            response.header_named("x-twilio-error").map(|value| value.into_owned())
        }
        _ => None,
    });
    assert_eq!(error.as_deref(), Some(&b"32204 no"[..]));
    net.assert_at_rest();
}

#[test]
fn a_call_that_nobody_answers_is_cancelled_when_it_has_rung_long_enough() {
    let mut net = Net::new(6);
    net.place(A, sip_core::endpoint::Invite { ring_timeout: Some(secs(20)), ..invite_b() });
    net.run_until("the INVITE has come", |net| net.nodes[B].incoming().is_some());
    let b = net.nodes[B].incoming().unwrap();
    net.with(B, |e, now| e.progress(b, 183.into_status(), Vec::new(), Some(sdp()), now));
    net.run_for(secs(21));
    assert_eq!(net.nodes[A].story(), ["progress 183", "failed NoAnswer"]);
    assert_eq!(net.nodes[B].story(), ["incoming", "progress acked", "ended Peer"]);
    assert_eq!(
        net.ladder(A),
        ["> INVITE", "< 183 INVITE", "> PRACK", "< 200 PRACK", "> CANCEL", "< 200 CANCEL", "< 487 INVITE", "> ACK"]
    );
    net.assert_at_rest();
}

#[test]
fn an_unanswered_call_repeats_its_provisional_every_minute() {
    let mut net = Net::new(7);
    let a = net.place(A, invite_b());
    net.run_until("the INVITE has come", |net| net.nodes[B].incoming().is_some());
    let b = net.nodes[B].incoming().unwrap();
    net.with(B, |e, now| e.progress(b, 180.into_status(), Vec::new(), None, now));
    net.run_for(secs(125));
    let rings = net.ladder(B).iter().filter(|line| line.starts_with("> 180")).count();
    assert_eq!(rings, 3, "§13.3.1.1");
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    net.assert_at_rest();
}

#[test]
fn a_call_whose_callee_says_nothing_gets_a_provisional_every_minute() {
    let mut net = Net::new(9);
    let a = net.place(A, invite_b());
    net.run_until("the INVITE has come", |net| net.nodes[B].incoming().is_some());
    net.run_for(secs(125));
    let said = net.ladder(B).iter().filter(|line| line.starts_with("> 183")).count();
    assert_eq!(said, 2, "§13.3.1.1");
    let b = net.nodes[B].incoming().unwrap();
    net.with(B, |e, now| e.accept(b, Vec::new(), Some(sdp()), now));
    net.run_for(secs(1));
    assert!(net.nodes[A].story().iter().any(|line| line.starts_with("answered")), "{:?}", net.nodes[A].story());
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    net.assert_at_rest();
}

#[test]
fn the_same_inputs_give_the_same_bytes() {
    let run = || {
        let mut net = Net::new(8);
        net.weather = pair::Weather { delay: (5, 80), loss: 0.2, duplicates: 0.1 };
        net.auto_answer(B);
        let a = net.place(A, invite_b());
        net.run_for(secs(5));
        net.with(A, |e, now| e.hangup(a, Vec::new(), now));
        net.run_for(secs(60));
        (format!("{:?}", net.nodes[A].effects), format!("{:?}", net.nodes[B].effects), net.nodes[A].story())
    };
    assert_eq!(run(), run());
}
