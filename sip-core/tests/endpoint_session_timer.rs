//! Session timers, in both roles (RFC 4028; FAULTS 8: a peer that has vanished).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use pair::{A, B, IntoStatus as _, Net, hop, invite_b, invite_to, ms, sdp, secs, two};
use sip_core::endpoint::{Config, SessionId, SessionInterval};
use sip_core::message::{Message, Name};
use sip_core::transport::Transport;

fn every(session_expires: u32, min_se: u32) -> impl Fn(&mut Config) {
    move |config| config.session_timer = Some(SessionInterval { session_expires, min_se })
}

fn off(config: &mut Config) {
    config.session_timer = None;
}

fn talking(adjust_a: impl FnOnce(&mut Config), adjust_b: impl FnOnce(&mut Config)) -> (Net, SessionId, SessionId) {
    let mut net = two(1, adjust_a, adjust_b);
    net.auto_answer(B);
    let a = net.place(A, invite_b());
    net.run_for(secs(1));
    let b = net.nodes[B].incoming().unwrap();
    (net, a, b)
}

fn field(message: &Message, name: Name) -> String {
    message.header_str(name).unwrap_or_default().into_owned()
}

/// B's answer to the INVITE.
fn answer(net: &Net) -> Message {
    net.nodes[B].sent().into_iter().find(|m| m.status() == Some(200.into_status())).unwrap()
}

#[test]
fn a_caller_asks_and_the_callee_agrees_to_refresh() {
    let (mut net, a, _) = talking(every(600, 90), every(1_800, 90));
    let invite = &net.nodes[A].sent_requests("INVITE")[0];
    assert_eq!(field(invite, Name::SessionExpires), "600");
    assert_eq!(invite.count(Name::MinSe), 0, "90 is what it says by itself (§5)");
    assert!(invite.supports("timer"));
    assert_eq!(field(&answer(&net), Name::SessionExpires), "600;refresher=uas");
    assert_eq!(answer(&net).count(Name::Require), 0);
    net.forget();
    net.run_for(secs(299));
    assert_eq!(net.ladder(B), [""; 0]);
    net.run_for(secs(2));
    assert_eq!(net.ladder(B), ["> UPDATE", "< 200 UPDATE"], "half of the interval, by UPDATE (§7.2, §7.4)");
    let update = &net.nodes[B].sent_requests("UPDATE")[0];
    assert_eq!(field(update, Name::SessionExpires), "600;refresher=uac");
    assert!(update.body().is_empty());
    assert_eq!(net.nodes[A].story(), [""; 0], "nobody is asked");
    net.run_for(secs(3_000));
    assert_eq!(net.nodes[B].sent_requests("UPDATE").len(), 11, "and so on");
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    net.assert_at_rest();
}

#[test]
fn without_a_timer_on_both_sides_there_is_none() {
    for off_at in [A, B] {
        let (mut net, ..) = if off_at == A { talking(off, |_| {}) } else { talking(|_| {}, off) };
        assert_eq!(answer(&net).count(Name::SessionExpires), 0);
        net.forget();
        net.run_for(secs(4_000));
        assert_eq!(net.ladder(A), [""; 0]);
        assert_eq!(net.nodes[A].endpoint.load().timers, 0);
    }
}

#[test]
fn an_interval_below_the_least_is_422_and_is_asked_for_again_with_what_is_wanted() {
    let mut net = two(2, every(100, 90), every(1_800, 120));
    net.auto_answer(B);
    net.place(A, invite_b());
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story(), ["progress 180", "answered 200"]);
    let invites = net.nodes[A].sent_requests("INVITE");
    let asked: Vec<_> = invites.iter().map(|m| (field(m, Name::SessionExpires), field(m, Name::MinSe))).collect();
    assert_eq!(asked, [("100".into(), String::new()), ("120".into(), "120".into())]);
    assert_eq!(invites[0].call_id().unwrap(), invites[1].call_id().unwrap(), "§7.3");
    assert_eq!(invites[1].cseq().unwrap().seq, invites[0].cseq().unwrap().seq + 1);
    assert_eq!(invites[0].from().unwrap().tag(), invites[1].from().unwrap().tag());
    assert_eq!(field(&net.nodes[B].sent()[0], Name::MinSe), "120");
    assert_eq!(net.nodes[B].story(), ["incoming", "confirmed"], "the first one never reached its user");
}

#[test]
fn a_peer_that_always_wants_more_is_given_up() {
    let mut net = Net::new(3);
    net.place(A, invite_to(hop("192.0.2.50", Transport::Udp)));
    let mut seen = 0;
    for n in 1..8 {
        pair::answer_mail(&mut net, &mut seen, |request| {
            let more = format!("422 Session Interval Too Small\nMin-SE: {}", 2_000 * n);
            (request.method().as_str() == "INVITE").then_some(more)
        });
        net.run_for(ms(50));
    }
    assert_eq!(net.nodes[A].sent_requests("INVITE").len(), 3);
    assert_eq!(net.nodes[A].story(), ["failed 422"]);
    net.assert_at_rest();
}

#[test]
fn a_peer_that_refreshes_nothing_is_given_up_before_the_interval_ends() {
    // B refreshes, and vanishes; A has been told to wait.
    let (mut net, ..) = talking(every(300, 90), every(300, 90));
    net.forget();
    net.filter = Some(Box::new(|_, _, _| false));
    net.run_for(secs(267));
    assert_eq!(net.nodes[A].story(), [""; 0]);
    net.run_for(secs(2));
    let bye = &net.nodes[A].sent_requests("BYE")[0];
    assert_eq!(field(bye, Name::Reason), "SIP;cause=408;text=\"Session expired\"");
    net.run_for(secs(33));
    assert_eq!(net.nodes[A].story(), ["ended Lost Expired"], "300 s less 32 s (§10)");
    assert_eq!(net.nodes[B].story(), ["ended Lost Gone"], "its refresh got no answer");
    net.filter = None;
    net.assert_at_rest();
}

#[test]
fn the_margin_is_a_third_of_a_short_interval() {
    let (mut net, ..) = talking(every(90, 90), every(90, 90));
    net.forget();
    net.filter = Some(Box::new(|_, _, _| false));
    net.run_for(secs(58));
    assert_eq!(net.nodes[A].sent_requests("BYE").len(), 0);
    net.run_for(secs(2));
    assert!(!net.nodes[A].sent_requests("BYE").is_empty(), "90 s less 30 s");
}

/// A raw callee's 200 with this Session-Expires and Allow, and what A then sends it within ten minutes.
fn refreshes(head: &str, answer_refresh: impl Fn(&Message) -> String) -> (Net, Vec<Message>) {
    let mut net = two(4, every(600, 90), |_| {});
    net.place(A, invite_to(hop("192.0.2.50", Transport::Udp)));
    net.run_for(ms(20));
    let mut seen = 0;
    for at in 0..700 {
        pair::answer_mail(&mut net, &mut seen, |request| match request.method().as_str() {
            "ACK" => None,
            "INVITE" if at == 0 => Some(format!("200 OK\n{head}")),
            _ => Some(answer_refresh(request)),
        });
        net.run_for(secs(1));
    }
    let mail = net.mail.iter().map(|(_, _, message)| message.clone()).skip(1);
    let mut sent: Vec<_> = mail.filter(|message| message.method().as_str() != "ACK").collect();
    // This callee is slow: copies are not what is looked at here.
    sent.dedup_by_key(|message| message.raw().clone());
    (net, sent)
}

#[test]
fn a_peer_without_update_is_refreshed_by_a_re_invite_with_the_last_description() {
    let (net, sent) = refreshes("Session-Expires: 600;refresher=uac\nAllow: INVITE, ACK, BYE", |_| {
        "200 OK\nSession-Expires: 600;refresher=uac\nContent-Type: application/sdp".to_owned()
    });
    let methods: Vec<_> = sent.iter().map(|m| m.method().to_string()).collect();
    assert_eq!(methods, ["INVITE", "INVITE"]);
    assert_eq!(sent[0].body(), &sdp().1);
    assert_eq!(field(&sent[0], Name::SessionExpires), "600;refresher=uac");
    assert_eq!(net.nodes[A].story(), ["answered 200"], "nobody asked for it, and the answer says nothing");
}

#[test]
fn a_peer_that_allows_update_and_refuses_it_is_refreshed_by_a_re_invite() {
    let (_, sent) = refreshes("Session-Expires: 600;refresher=uac\nAllow: INVITE, UPDATE", |request| {
        if request.method().as_str() == "UPDATE" { "501 No".to_owned() } else { "200 OK".to_owned() }
    });
    assert_eq!(sent.iter().map(|m| m.method().to_string()).collect::<Vec<_>>(), ["UPDATE", "INVITE"]);
}

#[test]
fn a_refresh_that_fails_is_tried_again_and_then_the_session_ends() {
    let (net, sent) = refreshes("Session-Expires: 600;refresher=uac\nAllow: UPDATE", |request| {
        if request.method().as_str() == "UPDATE" { "503 Busy".to_owned() } else { "200 OK".to_owned() }
    });
    let methods: Vec<_> = sent.iter().map(|m| m.method().to_string()).collect();
    assert_eq!(methods, ["UPDATE", "UPDATE", "UPDATE", "UPDATE", "BYE"], "at 300, 375, 450, 525 s; the end at 568");
    assert_eq!(net.nodes[A].story(), ["answered 200", "ended Lost Expired"]);
}

#[test]
fn a_refresh_that_meets_422_is_sent_again_with_a_longer_interval() {
    let (_, sent) = refreshes("Session-Expires: 600;refresher=uac\nAllow: UPDATE", |request| {
        match request.header_str(Name::MinSe).as_deref() {
            Some("900") => "200 OK\nSession-Expires: 900;refresher=uac".to_owned(),
            _ => "422 Session Interval Too Small\nMin-SE: 900".to_owned(),
        }
    });
    let asked: Vec<_> = sent.iter().map(|m| field(m, Name::SessionExpires)).collect();
    assert_eq!(asked, ["600;refresher=uac", "900;refresher=uac"]);
}

/// A raw caller's INVITE to B with these header lines; B's 2xx.
fn called_with(head: &str) -> Message {
    let mut net = two(5, |_| {}, every(1_800, 100));
    net.auto_answer(B);
    let text = format!(
        "INVITE sip:b@192.0.2.2 SIP/2.0\nVia: SIP/2.0/UDP 192.0.2.99;branch=z9hG4bKx\nFrom: <sip:s@x>;tag=f\n\
         To: <sip:b@192.0.2.2>\nCall-ID: raw\nCSeq: 1 INVITE\nContact: <sip:s@192.0.2.99>\n{head}\nContent-Length: 0\n\n"
    );
    net.send("192.0.2.99:5060", B, &text);
    net.run_for(ms(100));
    let mut answers = net.nodes[B].sent().into_iter();
    answers.find(|m| m.status().is_some_and(|status| status.is_final())).unwrap()
}

#[test]
fn what_a_callee_agrees_to_follows_table_2() {
    for (head, agreed, require) in [
        ("Supported: timer\nSession-Expires: 500;refresher=uac", "500;refresher=uac", "timer"),
        ("Supported: timer\nSession-Expires: 500;refresher=uas", "500;refresher=uas", ""),
        ("Supported: timer\nSession-Expires: 500", "500;refresher=uas", ""),
        ("Require: timer\nx: 500", "500;refresher=uas", ""),
        ("Supported: timer\nSession-Expires: 7200", "1800;refresher=uas", ""),
        ("Supported: timer\nSession-Expires: 7200\nMin-SE: 3600", "3600;refresher=uas", ""),
        ("Supported: timer\nSession-Expires: 300\nMin-SE: 500", "500;refresher=uas", ""),
        ("Supported: timer", "1800;refresher=uas", ""),
        ("Supported: timer\nMin-SE: 2000", "2000;refresher=uas", ""),
        // A proxy has put it in; the caller knows nothing of it.
        ("Session-Expires: 500", "500;refresher=uas", ""),
        ("Session-Expires: 500;refresher=uac", "500;refresher=uas", ""),
        ("Session-Expires: 20", "90;refresher=uas", ""),
        ("X-Nothing: here", "", ""),
    ] {
        let ok = called_with(head);
        assert_eq!(ok.status(), Some(200.into_status()), "{head}");
        assert_eq!(field(&ok, Name::SessionExpires), agreed, "{head}");
        assert_eq!(field(&ok, Name::Require), require, "{head}");
    }
    let refused = called_with("Supported: timer\nSession-Expires: 99");
    assert_eq!((refused.status(), field(&refused, Name::MinSe)), (Some(422.into_status()), "100".to_owned()));
}

#[test]
fn a_re_invite_of_the_peers_refreshes_too() {
    let (mut net, a, _) = talking(every(300, 90), every(300, 90));
    net.forget();
    net.auto_respond(B, 200, Some(sdp()));
    for _ in 0..10 {
        net.run_for(secs(140));
        net.with(A, |e, now| e.reoffer(a, Some(sdp()), now));
    }
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].sent_requests("INVITE").len(), 10);
    assert_eq!(net.nodes[B].sent_requests("UPDATE").len(), 0, "B's turn never comes");
    assert_eq!(net.nodes[A].endpoint.load().sessions, 1);
    assert_eq!(field(&net.nodes[A].sent_requests("INVITE")[9], Name::SessionExpires), "300;refresher=uas");
}

#[test]
fn a_timer_does_not_outlive_its_session() {
    let (mut net, a, _) = talking(|_| {}, |_| {});
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    net.assert_at_rest();
}

#[test]
fn a_change_that_is_asked_for_while_a_refresh_is_out_waits_for_it() {
    for refused in [false, true] {
        let (mut net, a, b) = talking(every(600, 90), every(1_800, 90));
        net.forget();
        net.auto_respond(A, 200, Some(sdp()));
        net.filter = Some(Box::new(move |_, _, message| message.method().as_str() != "UPDATE"));
        net.run_for(secs(301));
        net.with(B, |e, now| e.reoffer(b, Some(sdp()), now));
        net.with(B, |e, now| e.reoffer(b, Some(sdp()), now));
        net.run_for(secs(1));
        assert_eq!(net.nodes[B].sent_requests("INVITE").len(), 0, "one at a time (RFC 3261 §14.1)");
        assert_eq!(net.nodes[B].story(), ["reoffer failed Canceled"], "the second one");
        if refused {
            let update = net.nodes[B].sent_requests("UPDATE")[0].clone();
            net.send("192.0.2.1:5060", B, &pair::response(&update, "500 Not Now"));
        }
        net.filter = None;
        net.run_for(secs(10));
        assert_eq!(net.nodes[B].story().last().unwrap(), "reoffered 200", "refused: {refused}");
        assert_eq!(net.nodes[B].sent_requests("INVITE").len(), 1);
        net.with(A, |e, now| e.hangup(a, Vec::new(), now));
        net.run_for(secs(1));
        net.assert_at_rest();
    }
}
