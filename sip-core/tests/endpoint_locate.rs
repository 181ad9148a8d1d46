//! Finding the next hop: names, addresses in turn, ICMP, silence (RFC 3263 §4; FAULTS 5).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use pair::{A, B, IntoStatus as _, Net, PATIENCE, answer_mail, hop, invite_to, ms, response, secs};
use sip_core::endpoint::{Event, Invite, OutOfDialog, RESOLVE_TIMEOUT};
use sip_core::header::NameAddr;
use sip_core::message::Method;
use sip_core::transport::{Effect, Transport};

fn to_trunk() -> Invite {
    invite_to(hop("trunk.example", Transport::Udp))
}

fn name(net: &mut Net, addresses: &[&str]) {
    let addresses = addresses.iter().map(|a| a.parse().unwrap()).collect();
    net.nodes[A].names.insert("trunk.example".to_owned(), addresses);
}

/// Whom the INVITEs went to, without their copies.
fn tried(net: &Net) -> Vec<String> {
    let ladder = net.nodes[A].ladder();
    let firsts = ladder.iter().filter(|entry| entry.sent && entry.line.starts_with("INVITE") && !entry.retransmission);
    firsts.map(|entry| entry.peer.ip().to_string()).collect()
}

#[test]
fn a_name_without_an_address_fails_at_once() {
    let mut net = Net::new(1);
    net.place(A, to_trunk());
    net.run_for(ms(2));
    assert_eq!(net.nodes[A].story(), ["failed Unresolved"]);
    net.assert_at_rest();
}

#[test]
fn a_resolver_that_never_answers_fails_in_time() {
    let mut net = Net::new(2);
    // The question is asked of nobody: the endpoint is driven by hand.
    let now = net.now;
    let endpoint = &mut net.nodes[A].endpoint;
    endpoint.invite(to_trunk(), now).unwrap();
    let mut failed = false;
    while let output = endpoint.poll()
        && !matches!(output, sip_core::endpoint::Output::Timeout(_))
    {}
    let late = now.plus(RESOLVE_TIMEOUT);
    endpoint.handle(sip_core::transport::Input::Timeout, late);
    while let output = endpoint.poll()
        && !matches!(output, sip_core::endpoint::Output::Timeout(_))
    {
        failed |= matches!(output, sip_core::endpoint::Output::Event(Event::Failed { .. }));
    }
    assert!(failed);
    assert_eq!(endpoint.load(), sip_core::endpoint::Load::default());
}

#[test]
fn an_address_is_not_asked_of_the_resolver() {
    for host in ["192.0.2.2", "[2001:db8::2]", "2001:db8::2"] {
        let mut net = Net::new(3);
        net.place(A, invite_to(hop(host, Transport::Udp)));
        assert!(!net.nodes[A].effects.iter().any(|effect| matches!(effect, Effect::Resolve { .. })), "{host}");
    }
}

#[test]
fn without_a_listener_of_the_family_the_transport_fails() {
    let mut net = Net::new(4);
    net.place(A, invite_to(hop("2001:db8::2", Transport::Udp)));
    assert_eq!(net.nodes[A].story(), ["failed transport"]);
    net.assert_at_rest();
}

#[test]
fn an_icmp_error_moves_to_the_next_address_within_100_ms() {
    let mut net = Net::new(5);
    name(&mut net, &["192.0.2.81:5060", "192.0.2.2:5060"]);
    net.unreachable.push("192.0.2.81:5060".parse().unwrap());
    net.auto_answer(B);
    net.place(A, to_trunk());
    net.run_for(ms(100));
    assert_eq!(net.nodes[A].story(), ["progress 180", "answered 200"]);
    assert_eq!(tried(&net), ["192.0.2.81", "192.0.2.2"]);
}

#[test]
fn an_icmp_error_at_the_only_address_fails_the_call() {
    let mut net = Net::new(6);
    name(&mut net, &["192.0.2.81:5060"]);
    net.unreachable.push("192.0.2.81:5060".parse().unwrap());
    net.place(A, to_trunk());
    net.run_for(ms(100));
    assert_eq!(net.nodes[A].story(), ["failed transport"]);
    net.assert_at_rest();
}

#[test]
fn a_silent_address_is_left_after_its_try_timeout_and_silence_everywhere_fails() {
    let mut net = Net::new(7);
    name(&mut net, &["192.0.2.81:5060", "192.0.2.82:5060"]);
    net.place(A, Invite { try_timeout: Some(secs(4)), ..to_trunk() });
    net.run_for(secs(4) + ms(2));
    assert_eq!(tried(&net), ["192.0.2.81", "192.0.2.82"]);
    assert!(net.nodes[A].story().is_empty());
    net.run_for(secs(4));
    assert_eq!(net.nodes[A].story(), ["failed TryTimeout"]);
    let copies = net.nodes[A].sent_requests("INVITE").len();
    net.run_for(secs(20));
    assert_eq!(net.nodes[A].sent_requests("INVITE").len(), copies, "nobody is rung after that");
    net.assert_at_rest();
}

#[test]
fn a_provisional_ends_the_try_timeout() {
    let mut net = Net::new(8);
    net.place(A, Invite { try_timeout: Some(secs(2)), ..invite_to(hop("192.0.2.2", Transport::Udp)) });
    net.run_for(secs(60));
    assert_eq!(net.nodes[A].story(), ["progress 100"]);
}

#[test]
fn without_a_try_timeout_silence_takes_64_t1() {
    let mut net = Net::new(9);
    net.place(A, invite_to(hop("192.0.2.81", Transport::Udp)));
    net.run_for(PATIENCE - ms(1));
    assert!(net.nodes[A].story().is_empty());
    net.run_for(ms(1));
    assert_eq!(net.nodes[A].story(), ["failed Timeout"]);
}

#[test]
fn a_503_tries_the_next_address_and_a_users_answer_does_not() {
    for (status, tries) in [(503, 2), (486, 1), (404, 1), (603, 1)] {
        let mut net = Net::new(10);
        name(&mut net, &["192.0.2.81:5060", "192.0.2.2:5060"]);
        net.nodes[B].app = Some(Box::new(move |endpoint, event, now| {
            if let Event::Incoming { session, .. } = event {
                endpoint.reject(*session, 486.into_status(), Vec::new(), now);
            }
        }));
        net.place(A, to_trunk());
        net.run_for(ms(20));
        let mut seen = 0;
        answer_mail(&mut net, &mut seen, |_| Some(format!("{status} No\nRetry-After: 30")));
        net.run_for(ms(100));
        assert_eq!(tried(&net).len(), tries, "{status}");
        let last = if status == 503 { 486 } else { status };
        assert_eq!(net.nodes[A].story(), [format!("failed {last}")]);
        net.assert_at_rest();
    }
}

#[test]
fn a_hangup_before_anything_was_sent_sends_nothing() {
    let mut net = Net::new(11);
    name(&mut net, &["192.0.2.2:5060"]);
    let a = net.place(A, to_trunk());
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story(), ["failed Canceled"]);
    assert!(net.nodes[A].sent().is_empty());
    net.assert_at_rest();
}

fn options() -> OutOfDialog {
    OutOfDialog {
        method: Method::Options,
        uri: "sip:192.0.2.50".parse().unwrap(),
        next_hop: hop("192.0.2.50", Transport::Udp),
        from: NameAddr::new("sip:tandem@192.0.2.1".parse().unwrap()),
        to: NameAddr::new("sip:192.0.2.50".parse().unwrap()),
        call_id: None,
        cseq: None,
        headers: Vec::new(),
        body: None,
        credentials: None,
    }
}

#[test]
fn an_options_of_ours_gets_its_reply_of_any_class() {
    for (head, word) in [("200 OK", "reply 200"), ("404 No", "reply failed 404")] {
        let mut net = Net::new(12);
        net.with(A, |e, now| e.request(options(), now)).unwrap();
        net.run_for(ms(20));
        let request = net.mail[0].2.clone();
        net.send("192.0.2.50:5060", A, &response(&request, head));
        net.run_for(ms(20));
        assert_eq!(net.nodes[A].story(), [word]);
        net.assert_at_rest();
    }
    let mut net = Net::new(13);
    net.with(A, |e, now| e.request(options(), now)).unwrap();
    net.run_for(PATIENCE);
    assert_eq!(net.nodes[A].story(), ["reply failed Timeout"]);
    assert_eq!(net.nodes[A].sent_requests("OPTIONS").len(), 11, "Timer E: T1 doubled up to T2");
}

#[test]
fn what_belongs_to_a_session_cannot_be_sent_outside_of_one() {
    let mut net = Net::new(14);
    for method in [Method::Invite, Method::Ack, Method::Cancel, Method::Bye] {
        let request = OutOfDialog { method, ..options() };
        assert!(net.with(A, |e, now| e.request(request, now)).is_err());
    }
}

#[test]
fn a_full_endpoint_refuses_to_call() {
    let mut net = Net::empty(15);
    net.add("192.0.2.1", |config| config.max_sessions = 2);
    net.place(A, invite_to(hop("192.0.2.81", Transport::Udp)));
    net.place(A, invite_to(hop("192.0.2.81", Transport::Udp)));
    let third = net.with(A, |e, now| e.invite(invite_to(hop("192.0.2.81", Transport::Udp)), now));
    assert_eq!(third, Err(sip_core::endpoint::Refused::Full));
}

/// OPTIONS to the trunk by whatever transport is found; whom it went to, over what.
fn ask_any(net: &mut Net, body: usize) -> Vec<String> {
    let before = net.nodes[A].ladder().len();
    let next_hop = hop("trunk.example", Transport::Udp).any_transport();
    let body = Some(("text/plain".to_owned(), "x".repeat(body).into()));
    net.with(A, |endpoint, now| endpoint.request(OutOfDialog { next_hop, body, ..options() }, now)).unwrap();
    net.run_for(secs(40));
    let ladder = net.nodes[A].ladder();
    let sent = ladder.iter().skip(before).filter(|entry| entry.sent && !entry.retransmission);
    sent.map(|entry| format!("{} {}", entry.transport, entry.peer.ip())).collect()
}

#[test]
fn an_address_that_was_silent_comes_last_until_it_has_rested() {
    let mut net = Net::new(31);
    name(&mut net, &["192.0.2.50:5060", "192.0.2.2:5060"]);
    assert_eq!(ask_any(&mut net, 0), ["UDP 192.0.2.50", "UDP 192.0.2.2"]);
    // 32 s of silence and an answer later it rests still.
    net.run_for(ms(1));
    name(&mut net, &["192.0.2.50:5060", "192.0.2.2:5060"]);
    net.run_for(secs(1));
    let next = ask_any(&mut net, 0);
    assert_eq!(next, ["UDP 192.0.2.2"]);
    net.run_for(sip_core::endpoint::REST);
    assert_eq!(ask_any(&mut net, 0)[0], "UDP 192.0.2.50");
}

#[test]
fn a_large_request_goes_over_tcp_and_back_to_udp_where_tcp_is_refused() {
    let mut net = Net::new(32);
    name(&mut net, &["192.0.2.2:5060"]);
    assert_eq!(ask_any(&mut net, 100), ["UDP 192.0.2.2"]);
    assert_eq!(ask_any(&mut net, 1_300), ["TCP 192.0.2.2"], "§18.1.1");
    let mut net = Net::new(33);
    name(&mut net, &["192.0.2.2:5060"]);
    net.refusing.push("192.0.2.2:5060".parse().unwrap());
    assert_eq!(ask_any(&mut net, 1_300), ["UDP 192.0.2.2"]);
}

#[test]
fn a_transport_that_is_named_stays_however_large_the_request() {
    let mut net = Net::new(34);
    name(&mut net, &["192.0.2.2:5060"]);
    let body = Some(("text/plain".to_owned(), "x".repeat(2_000).into()));
    let next_hop = hop("trunk.example", Transport::Udp);
    net.with(A, |endpoint, now| endpoint.request(OutOfDialog { next_hop, body, ..options() }, now)).unwrap();
    net.run_for(secs(1));
    assert!(net.nodes[A].ladder().iter().all(|entry| entry.transport == Transport::Udp));
}

#[test]
fn the_records_of_dns_are_put_in_order_by_the_endpoint() {
    use sip_core::transport::locate::{Naptr, Service};
    use sip_core::transport::{Input, Records};
    let mut net = Net::new(35);
    let next_hop = hop("trunk.example", Transport::Udp).any_transport();
    let now = net.now;
    let endpoint = &mut net.nodes[A].endpoint;
    endpoint.request(OutOfDialog { next_hop, ..options() }, now).unwrap();
    let drain = |endpoint: &mut sip_core::endpoint::Endpoint| {
        let mut effects = Vec::new();
        loop {
            match endpoint.poll() {
                sip_core::endpoint::Output::Effect(effect) => effects.push(effect),
                sip_core::endpoint::Output::Event(_) => {}
                sip_core::endpoint::Output::Timeout(_) => return effects,
            }
        }
    };
    let [Effect::Resolve { query, transport: None, .. }] = drain(endpoint)[..] else { panic!("no question") };
    let naptr =
        Naptr { order: 1, preference: 1, service: "SIP+D2T".into(), replacement: "_sip._tcp.trunk.example".into() };
    let service = |priority, target: &str| Service { priority, weight: 1, port: 5070, target: target.into() };
    let records = Records {
        naptr: vec![naptr],
        services: [("_sip._tcp.trunk.example".to_owned(), vec![service(2, "b"), service(1, "a")])].into(),
        hosts: [
            ("a".to_owned(), vec!["192.0.2.7".parse().unwrap()]),
            ("b".to_owned(), vec!["192.0.2.8".parse().unwrap()]),
        ]
        .into(),
    };
    endpoint.handle(Input::Located { query, records }, now);
    let effects = drain(endpoint);
    assert!(
        matches!(&effects[..], [Effect::Open { transport: Transport::Tcp, peer, .. }] if peer.to_string() == "192.0.2.7:5070"),
        "{effects:?}"
    );
}
