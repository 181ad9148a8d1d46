//! CANCEL and what crosses it (RFC 3261 §9; FAULTS 6): never a one-legged call.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use base::Rng;
use pair::{A, B, IntoStatus as _, Net, PATIENCE, Weather, hop, invite_b, invite_to, ms, sdp, secs};
use sip_core::endpoint::{Event, Invite};
use sip_core::transport::Transport;

#[test]
fn cancel_waits_for_a_provisional() {
    let mut net = Net::new(1);
    // B's first words are lost.
    let mut dropped = 0;
    net.filter = Some(Box::new(move |_, _, message| {
        let drop = !message.is_request() && dropped < 1;
        dropped += usize::from(drop);
        !drop
    }));
    let a = net.place(A, invite_b());
    net.with(A, |e, now| e.hangup(a, vec![("Reason".to_owned(), "SIP;cause=487".to_owned())], now));
    net.run_for(ms(400));
    assert_eq!(net.ladder(A), ["> INVITE"], "no CANCEL before a provisional (§9.1)");
    net.run_for(secs(2));
    assert_eq!(
        net.ladder(A),
        ["> INVITE", "> INVITE *", "< 100 INVITE", "> CANCEL", "< 200 CANCEL", "< 487 INVITE", "> ACK"]
    );
    assert_eq!(net.nodes[A].story(), ["failed Canceled"]);
    assert_eq!(net.nodes[B].story(), ["incoming", "ended Peer"]);
    let cancel = net.nodes[B].events.iter().find_map(|event| match event {
        Event::Ended { request: Some(cancel), .. } => cancel.header_named("Reason").map(|value| value.into_owned()),
        _ => None,
    });
    assert_eq!(cancel.as_deref(), Some(&b"SIP;cause=487"[..]));
    net.assert_at_rest();
}

#[test]
fn a_cancel_has_the_branch_the_to_and_the_number_of_its_invite() {
    let mut net = Net::new(2);
    let a = net.place(A, invite_b());
    net.run_for(secs(1));
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    let invite = &net.nodes[A].sent_requests("INVITE")[0];
    let cancel = &net.nodes[A].sent_requests("CANCEL")[0];
    assert_eq!(cancel.top_via().unwrap(), invite.top_via().unwrap());
    assert_eq!(cancel.vias().unwrap().len(), 1);
    assert_eq!(cancel.to().unwrap(), invite.to().unwrap());
    assert_eq!(cancel.from().unwrap(), invite.from().unwrap());
    assert_eq!(cancel.cseq().unwrap().seq, invite.cseq().unwrap().seq);
    assert_eq!(cancel.request_uri().unwrap(), invite.request_uri().unwrap());
    assert!(cancel.body().is_empty());
}

#[test]
fn an_invite_that_nobody_answers_ends_after_64_t1_cancelled_or_not() {
    let mut net = Net::new(3);
    net.filter = Some(Box::new(|_, _, message| message.is_request()));
    let a = net.place(A, invite_b());
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(PATIENCE);
    assert_eq!(net.nodes[A].story(), ["failed Canceled"]);
    assert_eq!(net.nodes[A].sent_requests("CANCEL").len(), 0);
    assert_eq!(net.nodes[A].sent_requests("INVITE").len(), 7, "T1 doubling for 64·T1");
}

#[test]
fn a_cancelled_invite_without_a_final_response_is_given_up() {
    let mut net = Net::new(4);
    net.filter = Some(Box::new(|_, _, message| {
        message.is_request() || message.status().is_some_and(|status| status.is_provisional())
    }));
    let a = net.place(A, invite_b());
    net.run_for(secs(1));
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(PATIENCE - ms(1));
    assert_eq!(net.nodes[A].story(), ["progress 100"]);
    net.run_for(ms(2));
    assert_eq!(net.nodes[A].story(), ["progress 100", "failed Canceled"], "64·T1 after the CANCEL (§9.1)");
}

#[test]
fn a_2xx_that_crosses_the_cancel_is_acknowledged_and_ended() {
    let mut net = Net::new(5);
    let a = net.place(A, invite_b());
    net.run_for(secs(1));
    let b = net.nodes[B].incoming().unwrap();
    net.with(B, |e, now| e.accept(b, Vec::new(), Some(sdp()), now));
    net.with(A, |e, now| e.hangup(a, vec![("Reason".to_owned(), "Q.850;cause=16".to_owned())], now));
    net.run_for(secs(1));
    assert_eq!(
        net.ladder(A),
        ["> INVITE", "< 100 INVITE", "> CANCEL", "< 200 INVITE", "> ACK", "> BYE", "< 200 CANCEL", "< 200 BYE"]
    );
    for method in ["CANCEL", "BYE"] {
        let sent = &net.nodes[A].sent_requests(method)[0];
        assert_eq!(sent.header_named("Reason").unwrap().into_owned(), b"Q.850;cause=16", "{method} says why");
    }
    assert_eq!(net.nodes[A].story(), ["progress 100", "failed Canceled"]);
    assert_eq!(net.nodes[B].story(), ["incoming", "confirmed", "ended Peer"]);
    net.assert_at_rest();
}

#[test]
fn a_cancel_over_tcp_waits_for_a_provisional_and_for_its_connection() {
    let mut net = Net::new(7);
    let invite = invite_to(hop("192.0.2.2", Transport::Tcp));
    let a = net.place(A, invite.clone());
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    assert_eq!(net.ladder(A), [""; 0], "nothing has been sent that could be cancelled");
    assert_eq!(net.nodes[A].story(), ["failed Canceled"]);
    let a = net.place(A, invite);
    net.run_for(ms(35));
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    assert_eq!(net.ladder(A), ["> INVITE", "< 100 INVITE", "> CANCEL", "< 200 CANCEL", "< 487 INVITE", "> ACK"]);
    net.assert_at_rest();
}

#[test]
fn a_cancel_carries_the_route_of_its_invite_and_the_bye_that_crosses_it_that_of_the_dialog() {
    let mut net = Net::new(8);
    let a = net.place(A, invite_to(hop("192.0.2.60", Transport::Udp)));
    net.run_for(ms(20));
    let invite = net.mail[0].2.clone();
    net.send("192.0.2.60:5060", A, &pair::response(&invite, "180 Ringing\nRecord-Route: <sip:192.0.2.60;lr>"));
    net.run_for(ms(20));
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.send("192.0.2.60:5060", A, &pair::response(&invite, "200 OK\nRecord-Route: <sip:192.0.2.60;lr>"));
    net.run_for(ms(50));
    let of = |method: &str| net.mail.iter().map(|(_, _, m)| m).find(|m| m.method().as_str() == method).unwrap();
    assert_eq!(of("CANCEL").routes().unwrap(), [], "§9.1: the INVITE had none");
    for method in ["ACK", "BYE"] {
        assert_eq!(of(method).routes().unwrap()[0].uri.as_str(), "sip:192.0.2.60;lr", "{method}");
        assert_eq!(of(method).request_uri().unwrap().as_str(), "sip:raw@192.0.2.50");
    }
}

#[test]
fn a_ring_timeout_that_crosses_the_2xx_is_still_no_answer() {
    let mut net = Net::new(6);
    net.place(A, Invite { ring_timeout: Some(secs(2)), ..invite_b() });
    net.run_for(ms(1995));
    let b = net.nodes[B].incoming().unwrap();
    net.with(B, |e, now| e.accept(b, Vec::new(), Some(sdp()), now));
    net.run_for(secs(2));
    assert_eq!(net.nodes[A].story(), ["progress 100", "failed NoAnswer"]);
    assert_eq!(net.nodes[B].story(), ["incoming", "confirmed", "ended Peer"]);
}

/// One race: B answers and A hangs up within the same few hundred milliseconds, on a network that reorders, and for half
/// of the seeds loses and doubles; every fifth one over TCP. Where B rings, it does so with a description, and so with a
/// PRACK in the race, for half of the seeds. Returns the two stories.
fn race(seed: u64) -> (Vec<String>, Vec<String>) {
    let mut dice = Rng::from_u64(seed);
    let mut net = Net::new(seed);
    net.weather = if seed.is_multiple_of(2) {
        Weather { delay: (1, 150), loss: 0.0, duplicates: 0.0 }
    } else {
        Weather { delay: (1, 250), loss: 0.05, duplicates: 0.1 }
    };
    let (rings, answers, hangs_up) = (dice.chance(0.7), dice.below(600), dice.below(600));
    let described = dice.chance(0.5).then(sdp);
    let transport = if seed.is_multiple_of(5) { Transport::Tcp } else { Transport::Udp };
    let a = net.place(A, invite_to(hop("192.0.2.2", transport)));
    let (mut hung_up, mut answered) = (false, false);
    // A lost INVITE comes seconds later: B's patience counts from the start all the same.
    for at in 0..100_000 {
        net.run_for(ms(1));
        if at >= hangs_up && !hung_up {
            hung_up = true;
            net.with(A, |e, now| e.hangup(a, Vec::new(), now));
        }
        if let Some(b) = net.nodes[B].incoming().filter(|_| at >= answers && !answered) {
            answered = true;
            net.with(B, |e, now| {
                if rings {
                    e.progress(b, 180.into_status(), Vec::new(), described.clone(), now);
                }
                e.accept(b, Vec::new(), Some(sdp()), now);
            });
        }
        if hung_up && answered {
            break;
        }
    }
    net.run_for(secs(120));
    for node in [A, B] {
        assert_eq!(net.nodes[node].endpoint.load(), sip_core::endpoint::Load::default(), "seed {seed}: {node}");
    }
    for node in [A, B] {
        let last_words = net.nodes[node]
            .events
            .iter()
            .filter(|event| matches!(event, Event::Ended { .. } | Event::Failed { .. }))
            .count();
        let sessions = usize::from(node == A || net.nodes[B].incoming().is_some());
        assert_eq!(last_words, sessions, "seed {seed}: {:?}", net.nodes[node].story());
    }
    (net.nodes[A].story(), net.nodes[B].story())
}

#[test]
fn a_thousand_races_of_cancel_and_200_leave_no_one_legged_call() {
    let mut crossed = 0;
    let mut canceled = 0;
    for seed in 0..1_000 {
        let (a, b) = race(seed);
        let confirmed = b.iter().any(|word| word == "confirmed");
        let answered = a.iter().any(|word| word == "answered 200");
        match a.last().map(String::as_str) {
            // The hang-up came after the answer: an ordinary BYE.
            Some("ended Us") => assert!(answered, "seed {seed}: {a:?} {b:?}"),
            Some("failed Canceled") => {
                assert!(!answered, "seed {seed}: {a:?} {b:?}");
                if confirmed { crossed += 1 } else { canceled += 1 }
            }
            other => panic!("seed {seed}: {other:?}"),
        }
        // B's side is over too, and not by giving up on a lost peer: A said CANCEL or BYE, and B heard it.
        let ended = b.last().map_or("never called", String::as_str);
        assert!(ended == "ended Peer" || ended == "never called", "seed {seed}: {ended} {a:?} {b:?}");
    }
    assert!(crossed > 50 && canceled > 50, "both orders were seen: {crossed} crossed, {canceled} cancelled");
}
