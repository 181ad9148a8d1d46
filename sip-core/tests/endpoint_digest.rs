//! Challenges (RFC 3261 §22): answered at most twice, and only to whom the credentials are for (SECURITY 7 and 11).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use base::Rng;
use pair::{A, B, IntoStatus as _, Net, answer_mail, hop, invite_b, invite_to, ms, response, sdp, secs};
use sip_core::auth::{Algorithm, Credentials, ServerAuth, ServerPolicy, Verdict, ha1};
use sip_core::endpoint::{Event, Headers, Invite, OutOfDialog};
use sip_core::header::NameAddr;
use sip_core::message::{Message, Method, Name};
use sip_core::transport::Transport;
use std::cell::RefCell;
use std::rc::Rc;

fn credentials(password: &str) -> Option<Credentials> {
    Some(Credentials { username: "trunk".to_owned(), password: password.into(), realm: None })
}

fn with_credentials(password: &str) -> Invite {
    Invite { credentials: credentials(password), ..invite_b() }
}

/// B challenges every INVITE as Twilio does, and answers those that prove themselves.
fn challenge_with_407(net: &mut Net) {
    let mut policy = ServerPolicy::new("sip.twilio.com");
    policy.algorithms = vec![Algorithm::Md5];
    policy.name_md5 = false;
    let mut auth = ServerAuth::new(policy, &mut Rng::from_u64(99));
    net.nodes[B].app = Some(Box::new(move |endpoint, event, now| {
        let Event::Incoming { session, request, .. } = event else { return };
        let header = request.header(Name::ProxyAuthorization);
        let uri = request.request_uri().unwrap().to_string();
        let known = |user: &str, realm: &str, algorithm| Some(ha1(algorithm, user, realm, "correct horse"));
        match auth.verify(header.as_deref(), "INVITE", &uri, known, now) {
            Verdict::Accepted { .. } => endpoint.accept(*session, Vec::new(), Some(sdp()), now),
            Verdict::Challenge { headers, .. } => {
                let headers = headers.into_iter().map(|value| ("Proxy-Authenticate".to_owned(), value)).collect();
                endpoint.reject(*session, 407.into_status(), headers, now);
            }
            Verdict::Rejected { .. } => {
                let Verdict::Challenge { headers, .. } = auth.challenge(false, now) else { return };
                let headers = headers.into_iter().map(|value| ("Proxy-Authenticate".to_owned(), value)).collect();
                endpoint.reject(*session, 407.into_status(), headers, now);
            }
        }
    }));
}

#[test]
fn a_407_is_answered_with_the_same_call_id_and_tag_and_the_next_cseq() {
    let mut net = Net::new(1);
    challenge_with_407(&mut net);
    net.place(A, with_credentials("correct horse"));
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story(), ["answered 200"]);
    assert_eq!(net.ladder(A), ["> INVITE", "< 407 INVITE", "> ACK", "> INVITE", "< 200 INVITE", "> ACK"]);
    let invites = net.nodes[A].sent_requests("INVITE");
    let [first, second] = invites.as_slice() else { panic!("two INVITEs") };
    assert_eq!(first.call_id().unwrap(), second.call_id().unwrap());
    assert_eq!(first.from().unwrap(), second.from().unwrap());
    assert_eq!((first.cseq().unwrap().seq, second.cseq().unwrap().seq), (1, 2));
    assert_ne!(first.top_via().unwrap().branch(), second.top_via().unwrap().branch());
    assert_eq!(second.to().unwrap().tag(), None, "still outside of a dialog");
    assert_eq!(first.body(), second.body());
    let proof = second.header_str(Name::ProxyAuthorization).unwrap().into_owned();
    assert!(proof.contains("nc=00000001") && proof.contains("uri=\"sip:+15550002@example.com\""), "{proof}");
    assert!(!proof.contains("algorithm"), "none was named");
    // The ACK of the 2xx carries what its INVITE carried (§13.2.2.4), the ACK of the 407 does not.
    let acks = net.nodes[A].sent_requests("ACK");
    assert_eq!(acks[0].header(Name::ProxyAuthorization), None);
    assert_eq!(acks[1].header_str(Name::ProxyAuthorization).unwrap(), proof);
    assert_eq!(acks[1].cseq().unwrap().seq, 2);
}

#[test]
fn a_bye_after_a_challenged_invite_carries_its_proof_at_once() {
    let mut net = Net::new(2);
    challenge_with_407(&mut net);
    let a = net.place(A, with_credentials("correct horse"));
    net.run_for(secs(1));
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    net.run_for(secs(1));
    let bye = net.nodes[A].sent_requests("BYE")[0].clone();
    let proof = bye.header_str(Name::ProxyAuthorization).unwrap();
    assert!(proof.contains("nc=00000002"), "{proof}");
    assert_eq!(bye.cseq().unwrap().seq, 3);
    net.assert_at_rest();
}

#[test]
fn a_wrong_password_fails_after_the_second_refusal() {
    let mut net = Net::new(3);
    challenge_with_407(&mut net);
    net.place(A, with_credentials("wrong"));
    net.run_for(secs(5));
    assert_eq!(net.nodes[A].story(), ["failed auth: Rejected"]);
    assert_eq!(net.nodes[A].sent_requests("INVITE").len(), 2);
    net.assert_at_rest();
}

#[test]
fn without_credentials_a_challenge_is_the_end() {
    let mut net = Net::new(4);
    challenge_with_407(&mut net);
    net.place(A, invite_b());
    net.run_for(secs(5));
    assert_eq!(net.nodes[A].story(), ["failed auth: NoCredentials"]);
    assert_eq!(net.nodes[A].sent_requests("INVITE").len(), 1);
}

#[test]
fn credentials_for_another_realm_stay_at_home() {
    let mut net = Net::new(5);
    challenge_with_407(&mut net);
    let credentials = credentials("correct horse").map(|c| Credentials { realm: Some("elsewhere".to_owned()), ..c });
    net.place(A, Invite { credentials, ..invite_b() });
    net.run_for(secs(5));
    assert_eq!(net.nodes[A].story(), ["failed auth: RealmMismatch"]);
}

#[test]
fn fresh_nonces_for_ever_are_not_answered_for_ever() {
    for stale in ["", ",stale=true"] {
        let mut net = Net::new(6);
        net.nodes[B].app = Some(Box::new(move |endpoint, event, now| {
            if let Event::Incoming { session, request, .. } = event {
                let nonce = request.cseq().unwrap().seq;
                let value = format!("Digest realm=\"r\",qop=\"auth\",nonce=\"n{nonce}\"{stale}");
                endpoint.reject(*session, 401.into_status(), vec![("WWW-Authenticate".to_owned(), value)], now);
            }
        }));
        net.place(A, with_credentials("any"));
        net.run_for(secs(30));
        assert!(net.nodes[A].sent_requests("INVITE").len() <= 3);
        assert!(net.nodes[A].story()[0].starts_with("failed auth"), "{:?}", net.nodes[A].story());
        net.assert_at_rest();
    }
}

#[test]
fn a_callee_never_gets_the_trunks_credentials() {
    // The trunk (B) does not record its route; the callee's Contact is elsewhere, and challenges the BYE.
    let mut net = Net::new(7);
    challenge_with_407(&mut net);
    let a = net.place(A, with_credentials("correct horse"));
    net.filter = Some(Box::new(|_, _, _| true));
    // B's 200 is rewritten to have a stranger's Contact.
    net.run_until("the second INVITE", |net| net.nodes[A].sent_requests("INVITE").len() == 2);
    let invite = net.nodes[A].sent_requests("INVITE")[1].clone();
    net.filter = Some(Box::new(|_, _, message| message.is_request()));
    net.send("192.0.2.2:5060", A, &response(&invite, "200 OK"));
    net.filter = None;
    net.run_for(secs(1));
    assert_eq!(net.nodes[A].story(), ["answered 200"]);
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    let mut seen = 0;
    for _ in 0..20 {
        net.run_for(secs(1));
        let challenge = "407 No\nProxy-Authenticate: Digest realm=\"sip.twilio.com\",qop=\"auth\",nonce=\"x\"";
        answer_mail(&mut net, &mut seen, |request| (request.method() != Method::Ack).then(|| challenge.to_owned()));
    }
    let to_stranger: Vec<&Message> = net.mail.iter().map(|(_, _, message)| message).collect();
    assert!(to_stranger.iter().any(|message| message.method() == Method::Bye));
    for message in to_stranger {
        assert_eq!(message.header(Name::ProxyAuthorization), None, "{message:?}");
        assert_eq!(message.header(Name::Authorization), None, "{message:?}");
    }
    assert_eq!(net.nodes[A].story().last().unwrap(), "ended Us");
    net.assert_at_rest();
}

#[test]
fn a_challenge_in_an_inbound_call_draws_nothing() {
    let mut net = Net::new(8);
    net.auto_answer(B);
    net.place(A, invite_b());
    net.run_for(secs(1));
    let b = net.nodes[B].incoming().unwrap();
    // A answers B's BYE with 407, by way of the filter dropping A's own answer.
    net.filter = Some(Box::new(|from, _, message| message.is_request() || from.ip().to_string() == "192.0.2.2"));
    net.with(B, |e, now| e.hangup(b, Vec::new(), now));
    net.run_for(secs(1));
    net.filter = None;
    let bye = net.nodes[B].sent_requests("BYE")[0].clone();
    let challenge = "407 No\nProxy-Authenticate: Digest realm=\"sip.twilio.com\",qop=\"auth\",nonce=\"x\"";
    net.send("192.0.2.1:5060", B, &response(&bye, challenge));
    net.run_for(secs(1));
    assert!(net.nodes[B].sent_requests("BYE").iter().all(|bye| bye.header(Name::ProxyAuthorization).is_none()));
    assert_eq!(net.nodes[B].story().last().unwrap(), "ended Us");
}

fn register(headers: Headers, cseq: Option<u32>) -> OutOfDialog {
    let aor: NameAddr = NameAddr::new("sip:alice@192.0.2.50".parse().unwrap());
    OutOfDialog {
        method: Method::Register,
        uri: "sip:192.0.2.50".parse().unwrap(),
        next_hop: hop("192.0.2.50", Transport::Udp),
        from: aor.clone(),
        to: aor,
        call_id: Some("reg-1@tandem".to_owned()),
        cseq,
        headers,
        body: None,
        credentials: credentials("p"),
    }
}

#[test]
fn a_register_is_authenticated_and_says_with_which_number() {
    let mut net = Net::new(9);
    let expires = vec![("Expires".to_owned(), "300".to_owned())];
    net.with(A, |e, now| e.request(register(expires, Some(41)), now)).unwrap();
    let mut seen = 0;
    for _ in 0..3 {
        net.run_for(ms(100));
        answer_mail(&mut net, &mut seen, |request| {
            let proved = request.header(Name::Authorization).is_some();
            let challenge =
                "401 Unauthorized\nWWW-Authenticate: Digest realm=\"r\",algorithm=SHA-256,qop=\"auth\",nonce=\"x\"";
            Some(if proved { "200 OK" } else { challenge }.to_owned())
        });
    }
    let reply = net.nodes[A].events.iter().find_map(|event| match event {
        Event::Reply { cseq, result: Ok(response), .. } => Some((*cseq, response.status().unwrap().code())),
        _ => None,
    });
    assert_eq!(reply, Some((42, 200)));
    let sent = net.nodes[A].sent_requests("REGISTER");
    assert_eq!(sent.len(), 2);
    for message in &sent {
        assert_eq!(message.call_id().unwrap(), "reg-1@tandem");
        assert_eq!(message.contacts().unwrap()[0].uri.as_str(), "sip:alice@192.0.2.1:5060");
        assert_eq!(message.header_str(Name::Expires).unwrap(), "300");
    }
    assert!(sent[1].header_str(Name::Authorization).unwrap().contains("algorithm=SHA-256"));
    net.assert_at_rest();
}

#[test]
fn a_password_never_reaches_an_event_or_a_ladder() {
    let mut net = Net::new(10);
    challenge_with_407(&mut net);
    net.place(A, with_credentials("correct horse"));
    net.run_for(secs(1));
    let told = format!("{:?}{:?}", net.nodes[A].events, net.nodes[A].endpoint);
    assert!(!told.contains("correct horse"));
    let ladder = format!("{:?}", net.nodes[A].ladder());
    assert!(!ladder.contains("response=") && !ladder.contains("Digest"));
}

#[test]
fn a_challenge_after_cancel_is_not_answered() {
    let asked = Rc::new(RefCell::new(0));
    let mut net = Net::new(11);
    let a = net.place(A, Invite { credentials: credentials("p"), ..invite_to(hop("192.0.2.50", Transport::Udp)) });
    net.with(A, |e, now| e.hangup(a, Vec::new(), now));
    let mut seen = 0;
    for _ in 0..3 {
        net.run_for(secs(1));
        let asked = Rc::clone(&asked);
        answer_mail(&mut net, &mut seen, move |request| {
            *asked.borrow_mut() += 1;
            let challenge = "401 No\nWWW-Authenticate: Digest realm=\"r\",qop=\"auth\",nonce=\"x\"";
            (request.method() == Method::Invite).then(|| challenge.to_owned())
        });
    }
    assert!(net.nodes[A].sent_requests("INVITE").iter().all(|invite| invite.header(Name::Authorization).is_none()));
    assert_eq!(net.nodes[A].story(), ["failed Canceled"]);
}
