//! Reliable provisional responses, both ways (RFC 3262; FAULTS 11: PRACK lost). They must never stall an INVITE for ever.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use pair::{A, B, IntoStatus as _, Net, PATIENCE, hop, invite_b, invite_to, ms, sdp, secs, two};
use sip_core::endpoint::{Config, Event, Invite, LATE_ANSWER_TIMEOUT, ReliableProvisionals, SessionId};
use sip_core::message::{Message, Name};
use sip_core::transport::Transport;

fn ringing(config: impl Fn(&mut Config), invite: Invite) -> (Net, SessionId, SessionId) {
    let mut net = two(1, &config, &config);
    let a = net.place(A, invite);
    net.run_for(ms(50));
    let b = net.nodes[B].incoming().unwrap();
    (net, a, b)
}

fn progress(net: &mut Net, b: SessionId, status: u16, described: bool) {
    let body = described.then(sdp);
    net.with(B, |e, now| e.progress(b, status.into_status(), Vec::new(), body, now));
}

fn field(message: &Message, name: Name) -> String {
    message.header_str(name).unwrap_or_default().into_owned()
}

#[test]
fn a_description_goes_reliably_and_is_not_repeated_in_the_200() {
    let (mut net, a, b) = ringing(|_| {}, invite_b());
    progress(&mut net, b, 183, true);
    net.run_for(ms(100));
    net.with(B, |e, now| e.accept(b, Vec::new(), Some(sdp()), now));
    net.run_for(ms(100));
    assert_eq!(net.ladder(A), ["> INVITE", "< 183 INVITE", "> PRACK", "< 200 PRACK", "< 200 INVITE", "> ACK"]);
    assert_eq!(net.nodes[A].story(), ["progress 183", "answered 200"]);
    assert_eq!(net.nodes[B].story(), ["incoming", "progress acked", "confirmed"]);
    let sent = net.nodes[B].sent();
    let rseq = field(&sent[0], Name::RSeq);
    assert_eq!(field(&sent[0], Name::Require), "100rel");
    assert!(rseq.parse::<u32>().unwrap() < 1 << 31, "§3");
    assert_eq!(field(&net.nodes[A].sent_requests("PRACK")[0], Name::RAck), format!("{rseq} 1 INVITE"));
    assert!(sent[2].body().is_empty(), "the answer has been given (RFC 6337 §3.1.1)");
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    net.assert_at_rest();
}

#[test]
fn without_support_on_either_side_provisionals_go_as_they_are() {
    for off in [A, B] {
        let no = |config: &mut Config| config.reliable_provisionals = ReliableProvisionals::Off;
        let mut net = if off == A { two(2, no, |_| {}) } else { two(2, |_| {}, no) };
        net.place(A, invite_b());
        net.run_for(ms(50));
        let b = net.nodes[B].incoming().unwrap();
        progress(&mut net, b, 183, true);
        net.with(B, |e, now| e.accept(b, Vec::new(), Some(sdp()), now));
        net.run_for(secs(1));
        assert_eq!(net.nodes[A].sent_requests("PRACK").len(), 0);
        assert_eq!(net.nodes[A].story(), ["progress 183", "answered 200"]);
        assert_eq!(net.nodes[B].sent()[1].body(), &sdp().1);
    }
}

#[test]
fn what_one_side_requires_and_the_other_does_not_do_is_refused() {
    let off = |config: &mut Config| config.reliable_provisionals = ReliableProvisionals::Off;
    let required = |config: &mut Config| config.reliable_provisionals = ReliableProvisionals::Required;
    let mut net = two(3, required, off);
    net.place(A, invite_b());
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story(), ["failed 420"]);
    assert_eq!(field(&net.nodes[B].sent()[0], Name::Unsupported), "100rel");
    let mut net = two(3, off, required);
    net.place(A, invite_b());
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story(), ["failed 421"]);
    assert_eq!(field(&net.nodes[B].sent()[0], Name::Require), "100rel");
}

#[test]
fn to_a_caller_that_requires_it_every_provisional_but_100_goes_reliably_one_after_the_other() {
    let required = |config: &mut Config| config.reliable_provisionals = ReliableProvisionals::Required;
    let (mut net, _, b) = ringing(required, invite_b());
    for status in [100, 180, 183, 182] {
        progress(&mut net, b, status, status == 183);
    }
    assert_eq!(net.nodes[B].sent().len(), 2, "§3: the second waits for the PRACK of the first");
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story(), ["progress 100", "progress 180", "progress 183", "progress 182"]);
    let numbers: Vec<u32> = net.nodes[B].sent().iter().filter_map(|m| field(m, Name::RSeq).parse().ok()).collect();
    assert_eq!(numbers, [numbers[0], numbers[0] + 1, numbers[0] + 2]);
    assert_eq!(net.nodes[A].sent_requests("PRACK").len(), 3);
}

#[test]
fn a_200_waits_for_the_prack_of_a_description_and_for_no_other() {
    let (mut net, _, b) = ringing(|_| {}, invite_b());
    net.filter = Some(Box::new(|_, _, message| message.method().as_str() != "PRACK"));
    progress(&mut net, b, 183, true);
    net.with(B, |e, now| e.accept(b, Vec::new(), Some(sdp()), now));
    net.run_for(secs(3));
    assert_eq!(net.nodes[A].story(), ["progress 183"], "§3");
    net.filter = None;
    net.run_for(secs(4));
    assert_eq!(net.nodes[A].story(), ["progress 183", "answered 200"]);

    let required = |config: &mut Config| config.reliable_provisionals = ReliableProvisionals::Required;
    let (mut net, a, b) = ringing(required, invite_b());
    let mut lost = 0;
    net.filter = Some(Box::new(move |_, _, message| {
        let is_first = message.is_request() && message.method().as_str() == "PRACK" && lost < 1;
        lost += i32::from(is_first);
        !is_first
    }));
    progress(&mut net, b, 180, false);
    net.with(B, |e, now| e.accept(b, Vec::new(), Some(sdp()), now));
    net.run_for(ms(100));
    assert_eq!(net.nodes[A].story(), ["progress 180", "answered 200"]);
    net.run_for(secs(1));
    assert!(net.ladder(A).contains(&"< 200 PRACK".to_owned()), "it still matches after the 2xx: {:?}", net.ladder(A));
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    net.assert_at_rest();
}

#[test]
fn a_provisional_is_repeated_with_doubling_and_without_a_prack_the_invite_is_504() {
    let (mut net, _, b) = ringing(|_| {}, invite_b());
    net.filter = Some(Box::new(|_, _, message| message.method().as_str() != "PRACK"));
    progress(&mut net, b, 183, true);
    net.run_for(PATIENCE - ms(100));
    let copies = net.nodes[B].sent().iter().filter(|m| m.status() == Some(183.into_status())).count();
    assert_eq!(copies, 7, "T1, 2 T1, … 32 T1 (§3)");
    assert_eq!(net.nodes[A].story(), ["progress 183"], "copies are not told");
    net.run_for(secs(2));
    assert_eq!(net.nodes[A].story(), ["progress 183", "failed 504"]);
    assert_eq!(net.nodes[B].story(), ["incoming", "ended Lost NoPrack"]);
    net.filter = None;
    net.assert_at_rest();
}

#[test]
fn the_provisional_of_each_minute_has_a_number_of_its_own_and_is_repeated_until_its_prack() {
    let (mut net, a, b) = ringing(|_| {}, invite_b());
    progress(&mut net, b, 183, true);
    net.run_for(secs(50));
    let mut lost = 0;
    net.filter = Some(Box::new(move |_, _, message| {
        let is_first = message.is_request() && message.method().as_str() == "PRACK" && lost < 1;
        lost += i32::from(is_first);
        !is_first
    }));
    net.run_for(secs(100));
    let sent: Vec<_> = net.nodes[B].sent().into_iter().filter(|m| m.count(Name::RSeq) == 1).collect();
    let numbers: Vec<u32> = sent.iter().map(|m| field(m, Name::RSeq).parse().unwrap()).collect();
    let first = numbers[0];
    assert_eq!(numbers, [first, first + 1, first + 1, first + 2], "RFC 3262 §3");
    assert_eq!(sent.iter().map(|m| m.body().is_empty()).collect::<Vec<_>>(), [false, true, true, true]);
    assert!(sent.iter().all(|m| m.status() == Some(183.into_status()) && field(m, Name::Require) == "100rel"));
    assert_eq!(net.nodes[B].story(), ["incoming", "progress acked", "progress acked", "progress acked"]);
    net.with(B, |e, now| e.accept(b, Vec::new(), Some(sdp()), now));
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story().last().unwrap(), "answered 200");
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    net.assert_at_rest();
}

#[test]
fn a_re_invite_asks_for_no_reliable_provisional() {
    let mut net = Net::new(6);
    let (a, _) = pair::talking(&mut net);
    net.with(A, |e, now| e.reoffer(a, Some(sdp()), now));
    net.run_for(ms(20));
    let sent = &net.nodes[A].sent_requests("INVITE")[0];
    assert!(sent.supports("timer") && sent.supports("replaces") && !sent.supports("100rel"));
}

#[test]
fn a_prack_that_acknowledges_nothing_is_481() {
    let (mut net, _, b) = ringing(|_| {}, invite_b());
    net.filter = Some(Box::new(|_, to, message| {
        message.method().as_str() != "PRACK" || !message.is_request() || to.port() == 5060
    }));
    progress(&mut net, b, 183, true);
    net.run_for(ms(50));
    let prack = net.nodes[A].sent_requests("PRACK")[0].clone();
    let text = String::from_utf8(prack.raw().to_vec()).unwrap();
    let again = text.replace("z9hG4bK", "z9hG4bKagain").replace("CSeq: 2 ", "CSeq: 3 ");
    let (from, to) = ("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap());
    net.datagram(from, to, again.into());
    let rseq = field(&prack, Name::RAck);
    let other = text.replace("z9hG4bK", "z9hG4bKother").replace("CSeq: 2 ", "CSeq: 4 ").replace(&rseq, "1 1 INVITE");
    net.datagram(from, to, other.into());
    net.run_for(ms(50));
    let answers: Vec<_> =
        net.nodes[B].sent().iter().filter(|m| m.method().as_str() == "PRACK").map(|m| m.status()).collect();
    assert_eq!(answers, [200, 481, 481].map(|code| Some(code.into_status())));
}

#[test]
fn a_hang_up_or_a_cancel_ends_an_invite_whose_prack_is_out() {
    for by in [A, B] {
        let (mut net, a, b) = ringing(|_| {}, invite_b());
        net.filter = Some(Box::new(|_, _, message| message.method().as_str() != "PRACK"));
        progress(&mut net, b, 183, true);
        progress(&mut net, b, 183, true);
        net.with(B, |e, now| e.accept(b, Vec::new(), None, now));
        net.run_for(ms(50));
        net.with(by, |e, now| e.hangup(if by == A { a } else { b }, Vec::new(), now));
        net.run_for(secs(1));
        let want = if by == A { ["failed Canceled", "ended Peer"] } else { ["failed 480", "ended Us"] };
        assert_eq!([A, B].map(|node| net.nodes[node].story().pop().unwrap()), want);
        net.filter = None;
        net.assert_at_rest();
    }
}

/// The offer in a reliable provisional, where the INVITE had none.
#[test]
fn an_offer_in_a_provisional_is_answered_by_the_prack() {
    let (mut net, a, b) = ringing(|_| {}, Invite { body: None, ..invite_b() });
    progress(&mut net, b, 183, true);
    net.run_for(ms(100));
    assert_eq!(net.nodes[A].story(), ["progress 183"]);
    assert_eq!(net.nodes[A].sent_requests("PRACK").len(), 0, "it waits for the answer");
    net.with(A, |e, now| e.prack_answer(a, Some(sdp()), now));
    net.run_for(ms(100));
    let answer = net.nodes[B].events.iter().find_map(|event| match event {
        Event::ProgressAcked { prack, .. } => Some(prack.body().clone()),
        _ => None,
    });
    assert_eq!(answer, Some(sdp().1));
    net.with(B, |e, now| e.accept(b, Vec::new(), Some(sdp()), now));
    net.run_for(ms(100));
    assert_eq!(net.ladder(A).last().unwrap(), "> ACK", "the 2xx has no offer: nothing to wait for");
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    net.assert_at_rest();
}

#[test]
fn an_answer_whose_prack_came_out_of_order_goes_again_with_the_next_copy() {
    let (mut net, a, b) = ringing(|_| {}, Invite { body: None, ..invite_b() });
    progress(&mut net, b, 183, true);
    net.run_for(ms(100));
    // The PRACK is held up, and overtaken by a request with a higher number: 500 (RFC 3261 §12.2.2).
    let mut held = 0;
    net.filter = Some(Box::new(move |_, _, message| {
        let is_held = message.is_request() && message.method().as_str() == "PRACK" && held < 1;
        held += i32::from(is_held);
        !is_held
    }));
    net.with(A, |e, now| e.prack_answer(a, Some(sdp()), now));
    net.with(A, |e, now| e.send_request(a, sip_core::message::Method::Info, Vec::new(), None, now)).unwrap();
    net.run_for(secs(4));
    let pracks = net.nodes[A].sent_requests("PRACK");
    assert!(net.ladder(A).contains(&"< 500 PRACK".to_owned()), "{:?}", net.ladder(A));
    assert_ne!(pracks[0].cseq().unwrap(), pracks.last().unwrap().cseq().unwrap());
    assert!(pracks.iter().all(|prack| prack.body() == &sdp().1));
    assert!(net.nodes[B].story().contains(&"progress acked".to_owned()), "{:?}", net.nodes[B].story());
}

#[test]
fn an_offer_in_a_provisional_that_nobody_answers_ends_the_call() {
    let (mut net, _, b) = ringing(|_| {}, Invite { body: None, ..invite_b() });
    progress(&mut net, b, 183, true);
    net.run_for(LATE_ANSWER_TIMEOUT + secs(1));
    assert_eq!(net.nodes[A].story(), ["progress 183", "failed Canceled"]);
    assert_eq!(net.nodes[B].story(), ["incoming", "ended Peer"]);
    net.assert_at_rest();
}

#[test]
fn a_prack_may_carry_an_offer_of_its_own() {
    let (mut net, a, b) = ringing(|_| {}, invite_b());
    net.auto_respond(B, 200, Some(sdp()));
    // A's own PRACK is replaced by one with an offer (§5).
    net.filter = Some(Box::new(|_, _, message| {
        message.method().as_str() != "PRACK" || !message.is_request() || !message.body().is_empty()
    }));
    progress(&mut net, b, 183, true);
    net.with(B, |e, now| e.accept(b, Vec::new(), Some(sdp()), now));
    net.run_for(ms(50));
    let prack = net.nodes[A].sent_requests("PRACK")[0].clone();
    let (kind, body) = sdp();
    let text = String::from_utf8(prack.raw().to_vec()).unwrap();
    let text = text.replace(
        "Content-Length: 0\r\n\r\n",
        &format!("Content-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len()),
    );
    let text = format!("{text}{}", String::from_utf8_lossy(&body));
    net.datagram("192.0.2.1:5060".parse().unwrap(), "192.0.2.2:5060".parse().unwrap(), text.into());
    net.run_for(secs(1));
    assert_eq!(net.nodes[B].story(), ["incoming", "progress acked", "reoffer PRACK", "confirmed"]);
    let ok = net.nodes[B].sent().into_iter().find(|m| m.method().as_str() == "PRACK").unwrap();
    assert_eq!((ok.status(), ok.body()), (Some(200.into_status()), &body));
    net.filter = None;
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    net.assert_at_rest();
}

/// A raw callee's provisional, with a number.
fn reliable(invite: &Message, tag: &str, rseq: u32) -> String {
    let line = |name| format!("{name}: {}\n", invite.header_str(name).unwrap());
    let copied: String = [Name::Via, Name::From, Name::CallId, Name::CSeq].into_iter().map(line).collect();
    format!(
        "SIP/2.0 180 Ringing\n{copied}To: <sip:+15550002@example.com>;tag={tag}\nContact: <sip:c@192.0.2.50>\n\
         Require: 100rel\nRSeq: {rseq}\nContent-Length: 0\n\n"
    )
}

fn racks(net: &Net) -> Vec<String> {
    net.mail.iter().filter(|(_, _, m)| m.method().as_str() == "PRACK").map(|(_, _, m)| field(m, Name::RAck)).collect()
}

#[test]
fn numbers_are_taken_in_order_a_fork_and_gaps_and_old_copies_are_dropped() {
    let mut net = Net::new(4);
    net.place(A, invite_to(hop("192.0.2.50", Transport::Udp)));
    net.run_for(ms(20));
    let invite = net.mail[0].2.clone();
    for (tag, rseq) in [("x", 7), ("x", 9), ("y", 100), ("x", 8), ("x", 7), ("x", 9), ("y", 4_294_967_295)] {
        net.send("192.0.2.50:5060", A, &reliable(&invite, tag, rseq));
        net.run_for(ms(20));
        // Each PRACK is answered, so that copies of it do not blur the picture.
        let last = net.mail.last().unwrap().2.clone();
        if last.method().as_str() == "PRACK" {
            net.send("192.0.2.50:5060", A, &pair::response(&last, "200 OK"));
            net.run_for(ms(20));
        }
    }
    assert_eq!(racks(&net), ["7 1 INVITE", "100 1 INVITE", "8 1 INVITE", "9 1 INVITE"], "§4");
    assert_eq!(net.nodes[A].story(), ["progress 180"; 4]);
}

#[test]
fn a_copy_of_a_provisional_whose_prack_was_refused_is_acknowledged_again() {
    let mut net = Net::new(5);
    net.place(A, invite_to(hop("192.0.2.50", Transport::Udp)));
    net.run_for(ms(20));
    let invite = net.mail[0].2.clone();
    for status in ["500 Oops", "200 OK", "200 OK"] {
        net.send("192.0.2.50:5060", A, &reliable(&invite, "x", 7));
        net.run_for(ms(20));
        let last = net.mail.last().unwrap().2.clone();
        net.send("192.0.2.50:5060", A, &pair::response(&last, status));
        net.run_for(ms(20));
    }
    assert_eq!(racks(&net), ["7 1 INVITE", "7 1 INVITE"], "the third copy comes after a 200");
    assert_eq!(net.nodes[A].story(), ["progress 180"]);
}
