//! One INVITE, many answers (RFC 3261 §13.2.2.4; FAULTS 11): every 2xx acknowledged, the surplus ones ended.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use pair::{A, Net, PATIENCE, hop, invite_to, ms, secs};
use sip_core::endpoint::{Event, Load};
use sip_core::message::{Message, Method, Name};
use sip_core::transport::Transport;

/// A raw peer's response to the INVITE, from one of its forks.
fn fork(invite: &Message, status: &str, tag: &str, contact: &str) -> String {
    let line = |name| format!("{name}: {}\n", invite.header_str(name).unwrap());
    let copied: String = [Name::Via, Name::From, Name::CallId, Name::CSeq].into_iter().map(line).collect();
    format!(
        "SIP/2.0 {status}\n{copied}To: <sip:+15550002@example.com>;tag={tag}\nContact: <{contact}>\nContent-Length: 0\n\n"
    )
}

fn called() -> (Net, Message) {
    let mut net = Net::new(1);
    net.place(A, invite_to(hop("192.0.2.50", Transport::Udp)));
    net.run_for(ms(20));
    let invite = net.mail[0].2.clone();
    (net, invite)
}

const PROXY: &str = "192.0.2.50:5060";

/// What the raw peers at this address got, as methods.
fn got(net: &Net, ip: &str) -> Vec<String> {
    net.mail.iter().filter(|(_, to, _)| to.ip().to_string() == ip).map(|(_, _, m)| m.method().to_string()).collect()
}

#[test]
fn two_forks_ring_and_both_answer_the_second_is_acknowledged_and_ended() {
    let (mut net, invite) = called();
    for (tag, ip) in [("one", "192.0.2.61"), ("two", "192.0.2.62")] {
        net.send(PROXY, A, &fork(&invite, "183 Session Progress", tag, &format!("sip:callee@{ip}")));
    }
    net.run_for(ms(20));
    assert_eq!(net.nodes[A].endpoint.load().dialogs, 2, "an early dialog a fork");
    for (tag, ip) in [("two", "192.0.2.62"), ("one", "192.0.2.61")] {
        net.send(PROXY, A, &fork(&invite, "200 OK", tag, &format!("sip:callee@{ip}")));
    }
    net.run_for(ms(100));
    assert_eq!(net.nodes[A].story(), ["progress 183", "progress 183", "answered 200"]);
    let winner = net.nodes[A].events.iter().find_map(|event| match event {
        Event::Answered { response, .. } => response.to().unwrap().tag().map(str::to_owned),
        _ => None,
    });
    assert_eq!(winner.as_deref(), Some("two"), "the first 2xx");
    assert_eq!(got(&net, "192.0.2.62"), ["ACK"]);
    assert_eq!(got(&net, "192.0.2.61")[..2], ["ACK", "BYE"]);
    let bye = net.mail.iter().map(|(_, _, m)| m).find(|m| m.method() == Method::Bye).unwrap().clone();
    assert_eq!((bye.to().unwrap().tag(), bye.cseq().unwrap().seq), (Some("one"), 2));
    assert_eq!(bye.header_str(Name::Reason).unwrap(), "SIP;cause=200;text=\"Call completed elsewhere\"");
    net.send("192.0.2.61:5060", A, &pair::response(&bye, "200 OK"));
    net.run_for(ms(100));
    assert_eq!(net.nodes[A].endpoint.load().sessions, 1);
    assert_eq!(net.nodes[A].endpoint.load().dialogs, 1);
}

#[test]
fn the_bye_of_a_fork_that_has_lost_goes_on_from_its_prack() {
    for answers in [["one", "two"], ["two", "one"]] {
        let (mut net, invite) = called();
        for (tag, ip) in [("one", "192.0.2.61"), ("two", "192.0.2.62")] {
            let ringing = fork(&invite, "183 Session Progress", tag, &format!("sip:callee@{ip}"));
            let reliable = ringing.replace("Contact:", "Require: 100rel\nRSeq: 1\nContact:");
            net.send(PROXY, A, &reliable);
            net.run_for(ms(20));
            let prack = net.mail.last().unwrap().2.clone();
            assert_eq!((prack.method().as_str(), prack.cseq().unwrap().seq), ("PRACK", 2));
            net.send(&format!("{ip}:5060"), A, &pair::response(&prack, "200 OK"));
        }
        for tag in answers {
            let last = if tag == "one" { 61 } else { 62 };
            net.send(PROXY, A, &fork(&invite, "200 OK", tag, &format!("sip:callee@192.0.2.{last}")));
            net.run_for(ms(20));
        }
        let bye = net.mail.iter().map(|(_, _, m)| m).find(|m| m.method() == Method::Bye).unwrap();
        // A lower one, or the same again, would be answered 500 (RFC 3261 §12.2.2), and the fork stay on the line.
        assert_eq!((bye.to().unwrap().tag(), bye.cseq().unwrap().seq), (Some(answers[1]), 3));
    }
}

#[test]
fn a_copy_of_each_forks_200_gets_its_own_ack_again() {
    let (mut net, invite) = called();
    for _ in 0..3 {
        net.send(PROXY, A, &fork(&invite, "200 OK", "one", "sip:c@192.0.2.61"));
        net.send(PROXY, A, &fork(&invite, "200 OK", "two", "sip:c@192.0.2.62"));
        net.run_for(ms(100));
    }
    let acks = |ip| got(&net, ip).iter().filter(|method| *method == "ACK").count();
    assert_eq!((acks("192.0.2.61"), acks("192.0.2.62")), (3, 3));
    let to_one: Vec<_> =
        net.mail.iter().filter(|(_, to, m)| to.ip().to_string() == "192.0.2.61" && m.method() == Method::Ack).collect();
    assert_eq!(to_one[0].2.raw(), to_one[2].2.raw(), "the same ACK each time");
}

#[test]
fn a_fork_that_answers_after_the_call_was_hung_up_is_ended_too() {
    let (mut net, invite) = called();
    net.send(PROXY, A, &fork(&invite, "200 OK", "one", "sip:c@192.0.2.61"));
    net.run_for(ms(100));
    let a = net.nodes[A].events.iter().find_map(|event| match event {
        Event::Answered { session, .. } => Some(*session),
        _ => None,
    });
    net.with(A, |e, now| e.hangup(a.unwrap(), Vec::new(), now));
    net.run_for(ms(100));
    let bye = net.mail.last().unwrap().2.clone();
    net.send("192.0.2.61:5060", A, &pair::response(&bye, "200 OK"));
    net.run_for(secs(2));
    assert_eq!(net.nodes[A].endpoint.load().sessions, 0);
    net.send(PROXY, A, &fork(&invite, "200 OK", "two", "sip:c@192.0.2.62"));
    net.run_for(ms(100));
    assert_eq!(got(&net, "192.0.2.62"), ["ACK", "BYE"]);
    assert_eq!(net.nodes[A].story().last().unwrap(), "ended Us", "and nothing more is said");
    net.run_for(PATIENCE * 2);
    assert_eq!(net.nodes[A].endpoint.load(), Load::default());
}

#[test]
fn an_address_left_behind_that_answers_late_is_cancelled_or_ended() {
    let mut net = Net::new(2);
    net.nodes[A].names.insert(
        "trunk.example".to_owned(),
        vec!["192.0.2.71:5060".parse().unwrap(), "192.0.2.72:5060".parse().unwrap()],
    );
    let invite =
        sip_core::endpoint::Invite { try_timeout: Some(secs(2)), ..invite_to(hop("trunk.example", Transport::Udp)) };
    net.place(A, invite);
    net.run_for(ms(2_100));
    let of = |net: &Net, ip: &str| net.mail.iter().find(|(_, to, _)| to.ip().to_string() == ip).unwrap().2.clone();
    let (first, second) = (of(&net, "192.0.2.71"), of(&net, "192.0.2.72"));
    assert_eq!(first.call_id().unwrap(), second.call_id().unwrap());
    assert_ne!(first.top_via().unwrap().branch(), second.top_via().unwrap().branch());
    net.send("192.0.2.72:5060", A, &fork(&second, "200 OK", "second", "sip:c@192.0.2.72"));
    net.send("192.0.2.71:5060", A, &fork(&first, "180 Ringing", "first", "sip:c@192.0.2.71"));
    net.run_for(ms(50));
    assert_eq!(net.nodes[A].story(), ["answered 200"]);
    assert_eq!(got(&net, "192.0.2.71").last().unwrap(), "CANCEL");
    net.send("192.0.2.71:5060", A, &fork(&first, "200 OK", "first", "sip:c@192.0.2.71"));
    net.run_for(ms(50));
    let last: Vec<String> = got(&net, "192.0.2.71").into_iter().filter(|m| m != "INVITE" && m != "CANCEL").collect();
    assert_eq!(last, ["ACK", "BYE"]);
}
