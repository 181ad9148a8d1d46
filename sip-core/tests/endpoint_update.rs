//! UPDATE in early and in confirmed dialogs, both ways, and its glare (RFC 3311).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use pair::{A, B, IntoStatus as _, Net, hop, invite_b, invite_to, ms, sdp, secs, talking, two};
use sip_core::endpoint::{Event, ReliableProvisionals, SessionId};
use sip_core::message::{Message, Name};
use sip_core::transport::Transport;

fn question(net: &Net, node: usize) -> (SessionId, sip_core::endpoint::ReofferId) {
    let mut events = net.nodes[node].events.iter().rev();
    let found = events.find_map(|event| match event {
        Event::Reoffer { session, id, .. } => Some((*session, *id)),
        _ => None,
    });
    found.unwrap()
}

/// A has called, B has answered the offer in a reliable 183.
fn early(seed: u64) -> (Net, SessionId, SessionId) {
    let mut net = Net::new(seed);
    let a = net.place(A, invite_b());
    net.run_for(ms(50));
    let b = net.nodes[B].incoming().unwrap();
    net.with(B, |e, now| e.progress(b, 183.into_status(), Vec::new(), Some(sdp()), now));
    net.run_for(ms(100));
    net.forget();
    (net, a, b)
}

#[test]
fn an_update_changes_a_session_that_stands_both_ways() {
    for (from, to) in [(A, B), (B, A)] {
        let mut net = Net::new(1);
        let (a, b) = talking(&mut net);
        net.with(from, |e, now| e.update(if from == A { a } else { b }, Some(sdp()), now));
        net.run_for(ms(50));
        let (session, id) = question(&net, to);
        net.with(to, |e, now| e.respond(session, id, 200.into_status(), Some(sdp()), now));
        net.run_for(secs(1));
        assert_eq!(net.nodes[from].story(), ["reoffered 200"]);
        assert_eq!(net.nodes[to].story(), ["reoffer UPDATE"]);
        assert_eq!(net.ladder(from), ["> UPDATE", "< 200 UPDATE"]);
        let update = &net.nodes[from].sent_requests("UPDATE")[0];
        assert_eq!((update.count(Name::Contact), update.count(Name::Allow)), (1, 0));
        net.with(A, |e, now| e.hangup(a, Vec::new(), now));
        net.run_for(secs(1));
        net.assert_at_rest();
    }
}

#[test]
fn an_update_changes_an_early_dialog_both_ways_once_its_offer_has_been_answered() {
    for (from, to) in [(A, B), (B, A)] {
        let (mut net, a, b) = early(2);
        net.with(from, |e, now| e.update(if from == A { a } else { b }, Some(sdp()), now));
        net.run_for(ms(50));
        let (session, id) = question(&net, to);
        net.with(to, |e, now| e.respond(session, id, 200.into_status(), Some(sdp()), now));
        net.run_for(ms(50));
        assert_eq!(net.nodes[from].story(), ["reoffered 200"]);
        net.with(B, |e, now| e.accept(b, Vec::new(), Some(sdp()), now));
        net.run_for(ms(100));
        assert_eq!(net.nodes[A].story().last().unwrap(), "answered 200");
        net.with(A, |e, now| e.hangup(a, Vec::new(), now));
        net.run_for(secs(1));
        net.assert_at_rest();
    }
}

#[test]
fn a_200_waits_for_our_answer_to_an_early_update() {
    let (mut net, a, b) = early(3);
    net.with(A, |e, now| e.update(a, Some(sdp()), now));
    net.run_for(ms(50));
    let (session, id) = question(&net, B);
    net.with(B, |e, now| e.accept(b, Vec::new(), Some(sdp()), now));
    net.run_for(ms(50));
    assert_eq!(net.nodes[A].story(), [""; 0]);
    net.with(B, |e, now| e.respond(session, id, 200.into_status(), Some(sdp()), now));
    net.run_for(ms(50));
    assert_eq!(net.nodes[A].story(), ["reoffered 200", "answered 200"]);
}

#[test]
fn before_the_first_offer_has_been_answered_there_is_no_update() {
    // Without 100rel nothing in a provisional is an answer (RFC 3311 §5.1).
    let no = |config: &mut sip_core::endpoint::Config| config.reliable_provisionals = ReliableProvisionals::Off;
    let mut net = two(4, no, no);
    let a = net.place(A, invite_b());
    net.run_for(ms(50));
    let b = net.nodes[B].incoming().unwrap();
    net.with(B, |e, now| e.progress(b, 183.into_status(), Vec::new(), Some(sdp()), now));
    net.run_for(ms(50));
    net.with(A, |e, now| e.update(a, Some(sdp()), now));
    net.with(B, |e, now| e.update(b, Some(sdp()), now));
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story().last().unwrap(), "reoffer failed Canceled");
    assert_eq!(net.nodes[B].story().last().unwrap(), "reoffer failed Canceled");
    for node in [A, B] {
        assert_eq!(net.nodes[node].sent_requests("UPDATE").len(), 0);
    }
}

#[test]
fn before_our_answer_has_been_acknowledged_there_is_no_update() {
    let mut net = Net::new(10);
    net.place(A, invite_b());
    net.run_for(ms(50));
    let b = net.nodes[B].incoming().unwrap();
    net.with(B, |e, now| {
        e.progress(b, 183.into_status(), Vec::new(), Some(sdp()), now);
        e.update(b, Some(sdp()), now);
    });
    assert_eq!(net.nodes[B].story(), ["incoming", "reoffer failed Canceled"]);
    net.run_for(ms(50));
    net.with(B, |e, now| e.update(b, Some(sdp()), now));
    net.run_for(ms(50));
    assert_eq!(net.nodes[A].story().last().unwrap(), "reoffer UPDATE");
}

#[test]
fn a_peer_that_does_not_allow_update_gets_a_re_invite() {
    let mut net = Net::new(5);
    let a = net.place(A, invite_to(hop("192.0.2.50", Transport::Udp)));
    net.run_for(ms(20));
    let invite = net.mail[0].2.clone();
    net.send("192.0.2.50:5060", A, &pair::response(&invite, "200 OK\nAllow: INVITE, ACK, BYE"));
    net.run_for(ms(20));
    net.with(A, |e, now| e.update(a, Some(sdp()), now));
    net.run_for(ms(20));
    assert_eq!(net.mail.last().unwrap().2.method().as_str(), "INVITE");
}

#[test]
fn an_update_without_an_offer_is_answered_at_once_and_moves_the_target() {
    let mut net = Net::new(6);
    let (a, b) = talking(&mut net);
    net.filter =
        Some(Box::new(|_, to, message| message.method().as_str() != "UPDATE" || to.ip().to_string() != "192.0.2.1"));
    net.with(A, |e, now| e.update(a, None, now));
    net.run_for(ms(5));
    let update = String::from_utf8(net.nodes[A].sent_requests("UPDATE")[0].raw().to_vec()).unwrap();
    let update = update
        .replace("@192.0.2.1:5060>", "@192.0.2.88>")
        .replace("CSeq: 2 ", "CSeq: 9 ")
        .replace("z9hG4bK", "z9hG4bKmoved");
    net.datagram("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap(), update.into());
    net.run_for(ms(50));
    assert_eq!(net.nodes[B].story(), [""; 0]);
    assert!(net.ladder(B).contains(&"> 200 UPDATE".to_owned()));
    net.with(B, |e, now| e.hangup(b, Vec::new(), now));
    net.run_for(ms(50));
    assert_eq!(net.mail.last().unwrap().1.to_string(), "192.0.2.88:5060");
}

/// A raw request of a peer's inside the dialog of A's call to 192.0.2.50.
fn inside(invite: &Message, method: &str, cseq: u32, described: bool) -> String {
    let body = if described { String::from_utf8_lossy(&sdp().1).into_owned() } else { String::new() };
    let kind = if described { "Content-Type: application/sdp\n" } else { "" };
    format!(
        "{method} sip:x@192.0.2.1 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.50;branch=z9hG4bK{method}{cseq}\n\
         From: {};tag=raw\nTo: {}\nCall-ID: {}\nCSeq: {cseq} {method}\nContact: <sip:raw@192.0.2.50>\n{kind}\
         Content-Length: {}\n\n{}",
        invite.header_str(Name::To).unwrap(),
        invite.header_str(Name::From).unwrap(),
        invite.call_id().unwrap(),
        body.len(),
        body.replace("\r\n", "\n"),
    )
}

fn last_status(net: &Net) -> (u16, usize) {
    let last = &net.mail.last().unwrap().2;
    (last.status().map_or(0, |status| status.code()), last.count(Name::RetryAfter))
}

#[test]
fn an_update_that_meets_an_offer_is_491_or_500_by_whose_it_is() {
    let mut net = Net::new(7);
    let a = net.place(A, invite_to(hop("192.0.2.50", Transport::Udp)));
    net.run_for(ms(20));
    let invite = net.mail[0].2.clone();
    let peer = "192.0.2.50:5060";
    net.send(peer, A, &pair::response(&invite, "180 Ringing"));
    net.run_for(ms(20));
    // Our offer in the INVITE has no answer (RFC 3311 §5.2).
    let send = |net: &mut Net, method: &str, cseq, described: bool| {
        let text = inside(&invite, method, cseq, described).replace('\n', "\r\n");
        net.datagram(peer.parse().unwrap(), "192.0.2.1:5060".parse().unwrap(), text.into());
        net.run_for(ms(20));
        last_status(net)
    };
    assert_eq!(send(&mut net, "UPDATE", 10, true), (491, 0));
    assert_eq!(send(&mut net, "UPDATE", 11, false), (200, 0), "without an offer there is no glare");
    assert_eq!(send(&mut net, "INVITE", 12, true).0, 500, "§14.2");
    net.send(peer, A, &pair::response(&invite, "200 OK"));
    net.run_for(ms(20));
    // Theirs waits for our user.
    assert_eq!(send(&mut net, "UPDATE", 20, true).0, 0, "asked");
    assert_eq!(send(&mut net, "UPDATE", 21, true), (500, 1));
    let (_, id) = question(&net, A);
    net.with(A, |e, now| e.respond(a, id, 200.into_status(), Some(sdp()), now));
    net.run_for(ms(20));
    assert_eq!(last_status(&net).0, 200);
    // Ours is out.
    net.with(A, |e, now| e.reoffer(a, Some(sdp()), now));
    net.run_for(ms(20));
    assert_eq!(send(&mut net, "UPDATE", 22, true), (491, 0));
}

#[test]
fn updates_that_cross_are_491_and_both_get_through() {
    for seed in 0..30 {
        let mut net = Net::new(seed);
        let (a, b) = talking(&mut net);
        net.auto_respond(A, 200, Some(sdp()));
        net.auto_respond(B, 200, Some(sdp()));
        net.with(A, |e, now| e.update(a, Some(sdp()), now));
        net.with(B, |e, now| e.update(b, Some(sdp()), now));
        net.run_for(secs(10));
        for node in [A, B] {
            assert!(net.ladder(node).contains(&"> 491 UPDATE".to_owned()), "seed {seed}");
            let done: Vec<_> = net.nodes[node].story().into_iter().filter(|word| word.contains("reoffered")).collect();
            assert_eq!(done, ["reoffered 200"], "seed {seed}");
        }
    }
}

#[test]
fn an_early_update_that_nobody_answers_ends_with_the_call() {
    let (mut net, a, _) = early(8);
    net.with(A, |e, now| e.update(a, Some(sdp()), now));
    net.run_for(ms(50));
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    assert!(net.ladder(B).contains(&"> 487 UPDATE".to_owned()), "{:?}", net.ladder(B));
    assert_eq!(net.nodes[A].story(), ["failed Canceled"]);
    net.assert_at_rest();
}

#[test]
fn an_update_in_a_fork_that_loses_is_over_when_another_one_answers() {
    let mut net = Net::new(9);
    let a = net.place(A, invite_to(hop("192.0.2.50", Transport::Udp)));
    net.run_for(ms(20));
    let invite = net.mail[0].2.clone();
    let fork = |head: &str, tag: &str| {
        let to = format!("\nTo: {};tag={tag}", invite.header_str(Name::To).unwrap());
        pair::response(&invite, &format!("{head}\nAllow: UPDATE{to}")).replacen(
            "\nTo: <sip:+15550002@example.com>\n",
            "\n",
            1,
        )
    };
    net.send("192.0.2.50:5060", A, &fork("183 Session Progress\nRequire: 100rel\nRSeq: 1", "loser"));
    net.run_for(ms(20));
    net.with(A, |e, now| e.update(a, None, now));
    net.run_for(ms(20));
    let update = net.mail.last().unwrap().2.clone();
    assert_eq!((update.method().as_str(), update.to().unwrap().tag()), ("UPDATE", Some("loser")));
    net.send("192.0.2.50:5060", A, &fork("200 OK", "winner"));
    net.run_for(ms(20));
    assert_eq!(net.nodes[A].story(), ["progress 183", "reoffer failed Canceled", "answered 200"]);
    // Its late answer means nothing, and the way is free for another.
    net.with(A, |e, now| e.reoffer(a, Some(sdp()), now));
    net.send("192.0.2.50:5060", A, &pair::response(&update, "481 Gone"));
    net.run_for(ms(20));
    let again = net.mail.iter().rev().find(|(_, _, m)| m.method().as_str() == "INVITE").unwrap().2.clone();
    assert_eq!(again.to().unwrap().tag(), Some("winner"));
    net.send("192.0.2.50:5060", A, &pair::response(&again, "200 OK"));
    net.run_for(ms(20));
    assert_eq!(net.nodes[A].story().last().unwrap(), "reoffered 200");
}
