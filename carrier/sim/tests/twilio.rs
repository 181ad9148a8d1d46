//! Twilio's manners: the challenge, the edge, the rules about numbers, and calls in.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod world;

use base::Rng;
use bytes::Bytes;
use carrier_sim::{CarrierConfig, Outcome, What};
use sip_core::auth::Credentials;
use sip_core::message::Message;
use sip_core::transport::Transport;
use world::{PASSWORD, PhoneCommand, PhoneEvent, World, credentials, twilio};

const SCRIPT: &str = "ring 150ms, answer 500ms, say hello";

fn received(world: &World) -> Vec<Message> {
    let message = |event: &PhoneEvent| {
        if let PhoneEvent::Received(message) = event { Some(Message::clone(message)) } else { None }
    };
    world.events.iter().filter_map(|(_, event)| message(event)).collect()
}

fn text(message: &Message) -> String {
    String::from_utf8_lossy(message.raw()).into_owned()
}

fn call_to(to: &str, from: &str, credentials: Option<Credentials>, transport: Transport) -> PhoneCommand {
    let (to, from) = (to.to_owned(), from.to_owned());
    PhoneCommand::Call { to, from, credentials, transport, offers: true, try_timeout: None }
}

/// Everything that crosses the wire, both ways, as text.
fn wire(world: &mut World) -> std::sync::Arc<std::sync::Mutex<Vec<String>>> {
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let log = std::sync::Arc::clone(&seen);
    world.network.tap(Box::new(move |passing, _| {
        if let carrier_sim::virtual_network::Passing::Sip { bytes, .. } = passing {
            log.lock().unwrap().push(String::from_utf8_lossy(bytes).into_owned());
        }
        true
    }));
    seen
}

#[test]
fn an_invite_is_challenged_with_407_and_taken_with_digest() {
    let mut world = World::new(1, twilio(SCRIPT));
    let seen = wire(&mut world);
    world.phone(PhoneCommand::call_with(credentials()));
    world.run(3);
    world.phone(PhoneCommand::HangUp);
    world.run(1);
    let seen = seen.lock().unwrap();
    let first_lines: Vec<_> = seen.iter().map(|message| message.lines().next().unwrap().to_owned()).collect();
    assert!(first_lines[0].starts_with("INVITE sip:+15550001111@192.0.2.10:5060"));
    assert_eq!(first_lines[1], "SIP/2.0 100 trying -- your call is important to us");
    assert!(seen[1].contains("Server: Twilio Gateway\r\n"));
    assert_eq!(first_lines[2], "SIP/2.0 407 Proxy Authentication required");
    assert!(seen[2].contains("Server: Twilio\r\n"));
    let challenge = seen[2].lines().find(|line| line.starts_with("Proxy-Authenticate: ")).unwrap();
    assert!(
        challenge.starts_with("Proxy-Authenticate: Digest realm=\"sip.twilio.com\", qop=\"auth\", nonce=\""),
        "{challenge}"
    );
    assert!(challenge.contains("opaque=\"") && !challenge.contains("algorithm"), "{challenge}");
    assert!(first_lines[3].starts_with("ACK "));
    assert!(seen[4].contains("Proxy-Authorization: ") && seen[4].contains("CSeq: 2 INVITE"));
    let report = world.report();
    assert_eq!((&report.outcome, report.status), (&Outcome::EndedByPeer, Some(200)));
    assert_eq!(report.complaints, [] as [&str; 0]);
    let of_call = |line: &&str| line.starts_with("X-Twilio-CallSid: ");
    let sids: std::collections::BTreeSet<_> = seen.iter().flat_map(|message| message.lines().filter(of_call)).collect();
    assert_eq!(sids, [format!("X-Twilio-CallSid: {}", report.call_sid).as_str()].into());
    drop(seen);
    world.assert_idle();
}

#[test]
fn a_wrong_password_is_403_and_no_password_ends_with_the_407() {
    let wrong = Credentials { password: "Wrong-Password-1".into(), ..credentials() };
    let unknown = Credentials { username: "nobody".to_owned(), ..credentials() };
    for credentials in [wrong, unknown] {
        let mut world = World::new(1, twilio(SCRIPT));
        world.phone(PhoneCommand::call_with(credentials));
        world.run(2);
        assert_eq!((world.report().status, &world.report().outcome), (Some(403), &Outcome::Refused));
        assert_eq!(world.heard_words().last().unwrap(), "failed: SIP/2.0 403 Forbidden");
        world.assert_idle();
    }
    let mut world = World::new(1, twilio(SCRIPT));
    world.call();
    world.run(2);
    assert_eq!(world.reports().len(), 0);
    assert!(world.noted(|what| *what == What::Challenged));
    world.assert_idle();
}

#[test]
fn no_challenge_where_the_script_says_so() {
    let mut world = World::new(1, twilio("no challenge, busy"));
    world.call();
    world.run(1);
    assert_eq!(world.report().status, Some(486));
    assert!(!world.noted(|what| *what == What::Challenged));
}

#[test]
fn the_200_has_two_record_routes_and_a_private_contact_and_the_ack_follows_them() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut world = World::new(1, twilio(SCRIPT));
        world.phone(call_to(world::CALLED, world::CALLER, Some(credentials()), transport));
        world.run(2);
        let ok = received(&world).into_iter().find(|message| message.status().unwrap().code() == 200).unwrap();
        let routes: Vec<_> = ok.record_routes().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(routes.len(), 2, "{}", text(&ok));
        assert!(routes.iter().all(|route| route.contains(";r2=on") && route.contains("192.0.2.10:5060")), "{routes:?}");
        let contact = ok.contacts().unwrap()[0].uri.to_string();
        assert!(
            contact.starts_with("sip:+15550001111@172.25.") && contact.ends_with(":5060;transport=udp"),
            "{contact}"
        );
        world.phone(PhoneCommand::HangUp);
        world.run(1);
        let report = world.report();
        assert!(report.times.confirmed.is_some());
        assert_eq!((&report.outcome, report.complaints.len()), (&Outcome::EndedByPeer, 0), "{:?}", report.complaints);
        world.assert_idle();
    }
}

#[test]
fn an_ack_to_the_source_address_belongs_to_no_call_and_ends_it_with_bye() {
    let mut world = World::new(1, twilio("answer"));
    world.phone(PhoneCommand::Tamper(Box::new(|bytes| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        match text.strip_prefix("ACK sip:+15550001111@172.25.") {
            Some(rest) => {
                let rest = rest.split_once(' ').unwrap().1;
                Some(Bytes::from(format!("ACK sip:+15550001111@192.0.2.10:5060 {rest}")))
            }
            None => Some(Bytes::copy_from_slice(bytes)),
        }
    })));
    world.phone(PhoneCommand::call_with(credentials()));
    world.run(40);
    let report = world.report();
    assert_eq!((&report.outcome, report.times.confirmed), (&Outcome::Lost, None));
    assert!(report.complaints[0].contains("is not our Contact"), "{:?}", report.complaints);
    let bye = received(&world).into_iter().last().unwrap();
    assert!(text(&bye).starts_with("BYE "), "{}", text(&bye));
}

#[test]
fn a_request_without_all_routes_is_unroutable() {
    let mut world = World::new(1, twilio("answer"));
    world.phone(PhoneCommand::Tamper(Box::new(|bytes| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let second = text.lines().filter(|line| line.starts_with("Route: ")).nth(1).map(|line| format!("{line}\r\n"));
        Some(Bytes::from(second.map_or(text.clone(), |line| text.replace(&line, ""))))
    })));
    world.phone(PhoneCommand::call_with(credentials()));
    world.run(40);
    assert!(world.report().complaints[0].contains("Route"), "{:?}", world.report().complaints);
    assert_eq!(world.report().times.confirmed, None);
}

#[test]
fn numbers_that_are_not_e164_or_not_owned_are_refused_with_their_codes() {
    let owned = || CarrierConfig { caller_ids: vec![world::CALLER.to_owned()], ..twilio("answer") };
    for (to, from, status, error) in [
        ("15550001111", world::CALLER, 400, "32101"),
        (world::CALLED, "+15559990000", 403, "32204"),
        (world::CALLED, "alice", 403, "32204"),
    ] {
        let mut world = World::new(1, owned());
        world.phone(call_to(to, from, Some(credentials()), Transport::Udp));
        world.run(1);
        assert_eq!(world.report().status, Some(status), "{to} {from}");
        let refusal = received(&world).into_iter().last().unwrap();
        let code = String::from_utf8_lossy(&refusal.header_named("X-Twilio-Error").unwrap()).into_owned();
        assert!(code.starts_with(error), "{code}");
    }
}

#[test]
fn another_host_in_the_request_uri_gets_a_bare_403() {
    let mut world =
        World::new(1, CarrierConfig { domain: Some("demo.pstn.twilio.com".to_owned()), ..twilio("answer") });
    world.phone(PhoneCommand::call_with(credentials()));
    world.run(1);
    assert_eq!(world.report().status, Some(403));
    assert!(!world.noted(|what| *what == What::Challenged));
}

#[test]
fn limits_are_503_with_twilios_codes() {
    let mut world = World::new(1, CarrierConfig { max_cps: Some(1), ..twilio("answer") });
    for _ in 0..2 {
        world.phone(PhoneCommand::call_with(credentials()));
    }
    world.run(1);
    let refusal = received(&world).into_iter().find(|message| message.status().unwrap().code() == 503).unwrap();
    assert!(text(&refusal).contains("X-Twilio-Error: 32001 "));
}

#[test]
fn a_call_in_looks_like_twilios_and_takes_an_answer_that_follows_it() {
    let mut world = World::new(1, twilio("answer"));
    world.carrier_calls("say hello, press 5, hangup 1s");
    world.run(4);
    let invite = received(&world).remove(0);
    let text = text(&invite);
    for wanted in [
        "INVITE sip:+15550001111@198.51.100.20:5060 SIP/2.0\r\nRecord-Route: <sip:192.0.2.10:5060;r2=on;lr>\r\n",
        "From: <sip:+15552220000@192.0.2.10:5060>;tag=",
        "Contact: <sip:+15552220000@172.25.",
        "P-Asserted-Identity: <sip:+15552220000@192.0.2.10:5060>\r\n",
        "Diversion: <sip:+15550001111@twilio.com>;reason=unconditional\r\n",
        "X-Twilio-AccountSid: AC",
        "X-Twilio-CallSid: CA",
        "User-Agent: Twilio Gateway\r\n",
        "@0.0.0.0\r\n",
        "s=Twilio Media Gateway\r\n",
        "m=audio 10000 RTP/AVP 0 8 101\r\n",
        "a=fmtp:101 0-16\r\n",
        "a=ptime:20\r\na=maxptime:20\r\n",
    ] {
        assert!(text.contains(wanted), "{wanted}\n{text}");
    }
    assert_eq!(invite.vias().unwrap().len(), 2, "{text}");
    assert_eq!(invite.record_routes().unwrap().len(), 2);
    let report = world.report();
    assert_eq!((&report.outcome, report.status), (&Outcome::EndedByCarrier, Some(200)));
    assert_eq!(report.complaints, [] as [&str; 0]);
    assert!(world.heard_words().contains(&"key 5".to_owned()));
    let bye = received(&world).into_iter().last().unwrap();
    assert!(String::from_utf8_lossy(bye.raw()).contains("Reason: Q.850;cause=16\r\n"));
    world.assert_idle();
}

#[test]
fn the_called_party_hangs_up_a_call_in_by_both_routes() {
    let mut world = World::new(1, twilio("answer"));
    world.carrier_calls("say hello");
    world.run(2);
    world.phone(PhoneCommand::HangUp);
    world.run(1);
    let report = world.report();
    assert_eq!((&report.outcome, report.complaints.len()), (&Outcome::EndedByPeer, 0), "{:?}", report.complaints);
    world.assert_idle();
}

#[test]
fn an_answer_that_loses_a_record_route_is_not_taken() {
    let mut world = World::new(1, twilio("answer"));
    world.phone(PhoneCommand::Tamper(Box::new(|bytes| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let first = text.lines().find(|line| line.starts_with("Record-Route: ")).map(|line| format!("{line}\r\n"));
        Some(Bytes::from(first.map_or(text.clone(), |line| text.replacen(&line, "", 1))))
    })));
    world.carrier_calls("hangup 1s");
    world.run(40);
    assert!(world.noted(|what| matches!(what, What::Complaint(complaint) if complaint.contains("Record-Route"))));
    assert!(matches!(world.report().outcome, Outcome::Failed(_)), "{:?}", world.report());
}

#[test]
fn a_call_in_that_is_challenged_refused_or_not_answered_ends() {
    for (status, outcome) in [(486, Outcome::Refused), (407, Outcome::Refused), (503, Outcome::Refused)] {
        let mut world = World::new(1, twilio("answer"));
        world.phone(PhoneCommand::Refuse(status));
        world.carrier_calls("hangup");
        world.run(2);
        assert_eq!((world.report().status, &world.report().outcome), (Some(status), &outcome));
        world.assert_idle();
    }
    let mut world = World::new(1, twilio("answer"));
    world.network.unplug(world.phone, true);
    world.carrier_calls("cancel after 3s");
    world.run(40);
    assert_ne!(world.report().outcome, Outcome::EndedByCarrier);
    assert_eq!(world.report().status, None);
}

#[test]
fn a_call_in_to_nowhere_is_reported_at_once() {
    let mut world = World::new(1, CarrierConfig { originate_to: None, ..twilio("answer") });
    world.carrier_calls("hangup");
    assert!(world.reports().is_empty());
    world.run(0);
    assert!(matches!(&world.report().outcome, Outcome::Failed(why) if why.contains("nowhere")));
    assert!(world.the_carrier().is_idle());
}

#[test]
fn a_call_without_rtp_for_a_minute_is_dropped() {
    let mut world = World::new(1, twilio("answer"));
    world.network.tap(Box::new(|passing, _| {
        !matches!(passing, carrier_sim::virtual_network::Passing::Media { to, .. } if to.ip().to_string() == world::CARRIER)
    }));
    world.phone(PhoneCommand::call_with(credentials()));
    world.run(70);
    let report = world.report();
    assert_eq!((&report.outcome, report.complaints[0].as_str()), (&Outcome::EndedByCarrier, "no RTP for a minute"));
    assert!((60_000..61_000).contains(&report.talked_ms()), "{}", report.talked_ms());
    world.assert_idle();
}

#[test]
fn the_ack_of_a_call_in_can_be_lost() {
    let mut world = World::new(1, twilio("answer"));
    world.carrier_calls("lost ack");
    world.run(40);
    assert_eq!(world.heard_words().last().unwrap(), "ended: Lost(NoAck)");
    assert_eq!(world.report().outcome, Outcome::EndedByPeer);
    world.assert_idle();
}

#[test]
fn a_password_never_appears_in_a_debug_print() {
    let carrier = carrier_sim::Carrier::new(twilio("answer"), Rng::from_u64(1));
    assert!(!format!("{carrier:?}").contains(PASSWORD));
}
