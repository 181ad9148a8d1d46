//! Re-INVITE and UPDATE both ways, and their glare (RFC 3261 §14, RFC 3311; FAULTS 9, 10).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use pair::{A, B, IntoStatus as _, Net, PATIENCE, invite_b, ms, sdp, secs};
use sip_core::endpoint::{Event, Failure, REOFFER_TIMEOUT, ReofferId, SessionId};
use sip_core::header::Warning;
use sip_core::message::{Message, Name};

fn talking(seed: u64) -> (Net, SessionId, SessionId) {
    let mut net = Net::new(seed);
    net.auto_answer(B);
    let a = net.place(A, invite_b());
    net.run_for(secs(1));
    let b = net.nodes[B].incoming().unwrap();
    for node in [A, B] {
        net.nodes[node].events.clear();
        net.nodes[node].effects.clear();
    }
    (net, a, b)
}

fn question(net: &Net, node: usize) -> ReofferId {
    let found = net.nodes[node].events.iter().rev().find_map(|event| match event {
        Event::Reoffer { id, .. } => Some(*id),
        _ => None,
    });
    found.unwrap()
}

#[test]
fn a_re_invite_is_asked_answered_and_acknowledged_both_ways() {
    for (from, to) in [(A, B), (B, A)] {
        let (mut net, a, b) = talking(1);
        let (asker, asked) = if from == A { (a, b) } else { (b, a) };
        net.with(from, |e, now| e.reoffer(asker, Some(sdp()), now));
        net.run_for(ms(50));
        let id = question(&net, to);
        net.with(to, |e, now| e.respond(asked, id, 200.into_status(), Some(sdp()), now));
        net.run_for(secs(1));
        assert_eq!(net.nodes[from].story(), ["reoffered 200"]);
        assert_eq!(net.nodes[to].story(), ["reoffer INVITE", "reoffer acked"]);
        assert_eq!(net.ladder(from), ["> INVITE", "< 200 INVITE", "> ACK"]);
        net.with(from, |e, now| e.hangup(asker, Vec::new(), now));
        net.run_for(secs(1));
        net.assert_at_rest();
    }
}

#[test]
fn the_ack_of_a_re_invite_that_had_the_offer_is_no_answer_whatever_it_carries() {
    for carries in [false, true] {
        let (mut net, a, b) = talking(13);
        net.filter = Some(Box::new(|_, _, message| message.method().as_str() != "ACK"));
        net.with(A, |e, now| e.reoffer(a, Some(sdp()), now));
        net.run_for(ms(50));
        let id = question(&net, B);
        net.with(B, |e, now| e.respond(b, id, 200.into_status(), Some(sdp()), now));
        net.run_for(ms(50));
        net.filter = None;
        let ack = String::from_utf8(net.nodes[A].sent_requests("ACK")[0].raw().to_vec()).unwrap();
        let body = String::from_utf8_lossy(&sdp().1).into_owned();
        let described = format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        let ack = if carries { ack.replace("Content-Length: 0\r\n\r\n", &described) } else { ack };
        net.datagram("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap(), ack.into());
        net.run_for(ms(50));
        let acked = net.nodes[B].events.iter().find_map(|event| match event {
            Event::ReofferAck { ack, answers, .. } => Some((!ack.body().is_empty(), *answers)),
            _ => None,
        });
        assert_eq!(acked, Some((carries, false)));
    }
}

/// Why the last change that this node has asked for was refused.
fn warning_to(net: &Net, node: usize) -> Option<Warning> {
    let refusal = net.nodes[node].events.iter().rev().find_map(|event| match event {
        Event::ReofferDone { result: Err(Failure::Response(response)), .. } => Some(response),
        _ => None,
    });
    Warning::parse(&refusal?.values(Name::Warning).next()?).ok()
}

#[test]
fn a_refused_re_invite_leaves_the_session() {
    let (mut net, a, b) = talking(2);
    net.with(A, |e, now| e.reoffer(a, Some(sdp()), now));
    net.run_for(ms(50));
    let id = question(&net, B);
    let why = vec![("Warning".to_owned(), "305 tandem \"no codec in common\"".to_owned())];
    net.with(B, |e, now| e.decline(b, id, 488.into_status(), why, now));
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story(), ["reoffer failed 488"]);
    assert_eq!(warning_to(&net, A).unwrap().code(), 305);
    assert_eq!(net.nodes[A].endpoint.load().sessions, 1);
}

#[test]
fn a_question_that_nobody_answers_is_488_and_the_session_stands() {
    let (mut net, a, _) = talking(3);
    net.with(A, |e, now| e.reoffer(a, Some(sdp()), now));
    net.run_for(REOFFER_TIMEOUT + ms(100));
    assert_eq!(net.nodes[A].story(), ["reoffer failed 488"]);
    assert_eq!(warning_to(&net, A).unwrap(), Warning::new(399, "the offer was not answered here in time"));
    assert_eq!(net.nodes[B].endpoint.load().sessions, 1);
}

#[test]
fn glare_is_491_both_ways_and_both_get_through() {
    for seed in 0..50 {
        let (mut net, a, b) = talking(seed);
        for node in [A, B] {
            let session = if node == A { a } else { b };
            net.nodes[node].app = Some(Box::new(move |endpoint, event, now| {
                if let Event::Reoffer { id, .. } = event {
                    endpoint.respond(session, *id, 200.into_status(), Some(sdp()), now);
                }
            }));
        }
        net.with(A, |e, now| e.reoffer(a, Some(sdp()), now));
        net.with(B, |e, now| e.reoffer(b, Some(sdp()), now));
        net.run_for(secs(10));
        for node in [A, B] {
            assert!(net.ladder(node).contains(&"> 491 INVITE".to_owned()));
            let done: Vec<_> = net.nodes[node].story().into_iter().filter(|word| word.contains("reoffered")).collect();
            assert_eq!(done, ["reoffered 200"], "seed {seed}");
        }
        net.with(A, |e, now| e.hangup(a, Vec::new(), now));
        net.run_for(secs(1));
        net.assert_at_rest();
    }
}

#[test]
fn a_second_question_before_the_first_is_answered_is_500_and_another_of_ours_is_refused() {
    let (mut net, a, _) = talking(4);
    net.with(A, |e, now| e.reoffer(a, Some(sdp()), now));
    net.with(A, |e, now| e.reoffer(a, Some(sdp()), now));
    assert_eq!(net.nodes[A].story(), ["reoffer failed Canceled"]);
    net.run_for(ms(50));
    let first = net.nodes[A].sent_requests("INVITE")[0].clone();
    let second = String::from_utf8(first.raw().to_vec()).unwrap();
    let second = second.replace("z9hG4bK", "z9hG4bKagain").replace("CSeq: 2 ", "CSeq: 3 ");
    net.datagram("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap(), second.into());
    net.run_for(ms(50));
    assert!(net.ladder(B).contains(&"> 500 INVITE".to_owned()), "{:?}", net.ladder(B));
}

#[test]
fn without_the_ack_of_a_re_invite_the_session_is_lost() {
    let (mut net, a, b) = talking(5);
    net.filter = Some(Box::new(|_, _, message| message.method().as_str() != "ACK"));
    net.with(A, |e, now| e.reoffer(a, Some(sdp()), now));
    net.run_for(ms(50));
    let id = question(&net, B);
    net.with(B, |e, now| e.respond(b, id, 200.into_status(), Some(sdp()), now));
    net.run_for(PATIENCE + ms(100));
    assert_eq!(net.nodes[B].story(), ["reoffer INVITE", "ended Lost NoAck"]);
    assert_eq!(net.nodes[A].story(), ["reoffered 200", "ended Peer"]);
    net.filter = None;
    net.assert_at_rest();
}

#[test]
fn a_peer_that_knows_the_dialog_no_more_ends_the_session() {
    let (mut net, a, _) = talking(6);
    // B is replaced by one that has just started.
    let config = sip_core::endpoint::Config::new(pair::locals("192.0.2.2"));
    net.nodes[B].endpoint = sip_core::endpoint::Endpoint::new(config, base::Rng::from_u64(1));
    net.with(A, |e, now| e.reoffer(a, Some(sdp()), now));
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story(), ["reoffer failed 481", "ended Lost Gone"]);
    net.assert_at_rest();
}

#[test]
fn a_bye_in_the_middle_of_a_question_ends_both() {
    let (mut net, a, _) = talking(7);
    net.with(A, |e, now| e.reoffer(a, Some(sdp()), now));
    net.run_for(ms(50));
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    assert_eq!(net.nodes[B].story(), ["reoffer INVITE", "ended Peer"]);
    assert_eq!(net.nodes[A].story().last().unwrap(), "ended Us");
    assert!(net.ladder(B).contains(&"> 487 INVITE".to_owned()), "§15.1.2: {:?}", net.ladder(B));
    net.assert_at_rest();
}

#[test]
fn byes_that_cross_are_both_answered() {
    let (mut net, a, b) = talking(8);
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.with(B, |e, now| e.hangup(b, Vec::new(), now));
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story(), ["ended Us"]);
    assert_eq!(net.nodes[B].story(), ["ended Us"]);
    net.assert_at_rest();
}

#[test]
fn the_contact_of_a_re_invite_moves_the_remote_target_and_its_record_route_does_not_move_the_routes() {
    let (mut net, a, b) = talking(9);
    net.with(A, |e, now| e.reoffer(a, Some(sdp()), now));
    net.run_for(ms(5));
    let sent = net.nodes[A].sent_requests("INVITE")[0].clone();
    let moved = String::from_utf8(sent.raw().to_vec()).unwrap();
    let moved = moved.replace("CSeq: 2 ", "CSeq: 5 ").replace("z9hG4bK", "z9hG4bKmoved").replace(
        "Contact: <sip:+15550001@192.0.2.1:5060>",
        "Contact: <sip:moved@192.0.2.88>\r\nRecord-Route: <sip:192.0.2.66;lr>",
    );
    net.filter = Some(Box::new(|_, _, message| message.cseq().unwrap().seq != 2));
    net.datagram("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap(), moved.into());
    net.run_for(ms(50));
    let id = question(&net, B);
    net.with(B, |e, now| e.respond(b, id, 200.into_status(), Some(sdp()), now));
    net.with(B, |e, now| e.hangup(b, Vec::new(), now));
    net.run_for(ms(50));
    let (_, to, bye) = net.mail.iter().rev().find(|(_, _, m)| m.method().as_str() == "BYE").unwrap();
    assert_eq!(to.to_string(), "192.0.2.88:5060");
    assert_eq!(bye.routes().unwrap(), []);
}

#[test]
fn a_re_invite_that_only_gets_a_provisional_is_taken_back_and_the_session_stands() {
    let (mut net, a, _) = talking(10);
    // B's own limit is out of reach: nothing of its final answers arrives.
    net.filter = Some(Box::new(|_, _, message| message.status().is_none_or(|status| status.is_provisional())));
    net.with(A, |e, now| e.reoffer(a, Some(sdp()), now));
    net.run_for(PATIENCE * 2 + ms(1));
    assert!(net.ladder(A).contains(&"> CANCEL".to_owned()), "{:?}", net.ladder(A));
    assert_eq!(net.nodes[A].story(), ["reoffer failed Canceled"]);
    assert_eq!(net.nodes[A].endpoint.load().sessions, 1);
    net.filter = None;
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    net.assert_at_rest();
}

#[test]
fn a_hangup_takes_an_open_re_invite_back() {
    let (mut net, a, b) = talking(11);
    net.with(B, |e, now| e.reoffer(b, Some(sdp()), now));
    net.run_for(secs(1));
    assert!(net.ladder(B).contains(&"< 100 INVITE".to_owned()));
    // From now on A is deaf and dumb, and B hangs up.
    net.filter = Some(Box::new(|_, _, _| false));
    net.with(B, |e, now| e.hangup(b, Vec::new(), now));
    net.run_for(PATIENCE * 2);
    assert_eq!(net.nodes[B].story(), ["ended Us"]);
    net.filter = None;
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    net.assert_at_rest();
}

#[test]
fn a_200_to_a_re_invite_that_is_lost_comes_again_and_so_does_its_ack() {
    let (mut net, a, b) = talking(12);
    net.auto_respond(B, 200, Some(sdp()));
    let mut lost = 0;
    net.filter = Some(Box::new(move |_, to, message| {
        let is_answer = to.ip().to_string() == "192.0.2.1" && message.status() == Some(200.into_status());
        lost += i32::from(is_answer);
        !is_answer || lost > 2
    }));
    net.with(A, |e, now| e.reoffer(a, Some(sdp()), now));
    net.run_for(secs(4));
    assert_eq!(net.nodes[A].story(), ["reoffered 200"]);
    assert_eq!(net.nodes[B].story(), ["reoffer INVITE", "reoffer acked"]);
    let last: Vec<_> = net.ladder(B).into_iter().filter(|line| !line.starts_with("< INVITE")).collect();
    assert_eq!(last, ["> 200 INVITE", "> 200 INVITE *", "> 200 INVITE *", "< ACK"]);
    net.with(B, |e, now| e.hangup(b, Vec::new(), now));
    net.run_for(secs(1));
    net.assert_at_rest();
}

/// A description of this version (RFC 4566 §5.2).
fn versioned(version: u64) -> Option<(String, bytes::Bytes)> {
    let (kind, body) = sdp();
    let text = String::from_utf8(body.to_vec()).unwrap().replace("o=- 1 1 ", &format!("o=- 1 {version} "));
    Some((kind, text.into()))
}

fn version(message: &Message) -> Option<u64> {
    let body = std::str::from_utf8(message.body()).ok()?;
    body.lines().find_map(|line| line.strip_prefix("o="))?.split(' ').nth(2)?.parse().ok()
}

#[test]
fn an_offer_that_has_waited_out_a_glare_comes_after_what_was_answered_meanwhile() {
    for seed in 0..20 {
        let (mut net, a, b) = talking(seed);
        for node in [A, B] {
            // Its own offer is the second description, its answer the third.
            net.auto_respond(node, 200, versioned(3));
        }
        net.with(A, |e, now| e.reoffer(a, versioned(2), now));
        net.with(B, |e, now| e.reoffer(b, versioned(2), now));
        net.run_for(secs(10));
        for (node, session) in [(A, a), (B, b)] {
            assert_eq!(
                net.nodes[node].story().iter().filter(|word| *word == "reoffered 200").count(),
                1,
                "seed {seed}"
            );
            // And so does the next one, whose user has not counted along.
            let held = versioned(4).map(|(kind, text)| (kind, [&text[..], b"a=sendonly\r\n"].concat().into()));
            net.with(node, |e, now| e.reoffer(session, held, now));
            net.run_for(secs(1));
            let sent = net.nodes[node].sent();
            let mut versions: Vec<u64> = sent.iter().filter_map(version).collect();
            versions.dedup();
            // The caller waits longer (RFC 3261 §14.1): its offer comes after its answer.
            let expected = if node == A { vec![2, 3, 4, 5] } else { vec![2, 3, 4] };
            assert_eq!(versions, expected, "seed {seed} (RFC 3264 §8)");
        }
    }
}
