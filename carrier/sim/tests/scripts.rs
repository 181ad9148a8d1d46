//! Each word of a script, on virtual time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

mod world;

use carrier_sim::{Direction, Outcome};
use world::{PhoneCommand, World, config};

#[test]
fn a_whole_call_rings_speaks_early_answers_presses_and_hangs_up() {
    let mut world =
        World::with("ring 150ms, early ringback, answer 500ms, say hello, press 1 after 2s, hangup after 4s");
    world.call();
    world.run_ms(3_000);
    world.phone(PhoneCommand::Play("hello"));
    world.run(3);
    let times: Vec<_> = world.heard();
    let words: Vec<_> = times.iter().map(|(_, word)| word.as_str()).collect();
    assert_eq!(
        words,
        [
            "180 Ringing",
            "183 Session Progress",
            "rtp",
            "200 OK",
            "key 1",
            "BYE sip:198.51.100.20:5060 SIP/2.0",
            "ended: Peer"
        ]
    );
    // 10 ms each way.
    assert_eq!((times[0].0, times[1].0, times[3].0), (170, 170, 670));
    assert_eq!(times[5].0, 4_670);
    let report = world.report();
    assert_eq!(
        (report.status, &report.outcome, report.direction),
        (Some(200), &Outcome::EndedByCarrier, Direction::ToCarrier)
    );
    assert_eq!(report.talked_ms(), 4_000);
    assert_eq!(report.heard.len(), 1);
    assert!(report.heard[0].exact && report.heard[0].prompt == "hello");
    world.assert_idle();
}

#[test]
fn each_refusal_is_sent_with_its_status_and_reported() {
    for (script, status) in [
        ("busy", 486),
        ("not found 50ms", 404),
        ("decline", 603),
        ("timeout", 408),
        ("overloaded retry 5s", 503),
        ("ring, reject 480", 480),
    ] {
        let mut world = World::with(script);
        world.call();
        world.run(2);
        let report = world.report();
        assert_eq!((report.status, &report.outcome), (Some(status), &Outcome::Refused), "{script}");
        assert!(world.heard_words().iter().any(|word| word.starts_with(&status.to_string())), "{script}");
        world.assert_idle();
    }
}

#[test]
fn a_503_names_when_to_come_back_and_a_302_where_to_go() {
    let mut world = World::with("overloaded retry 5s");
    world.call();
    world.run(1);
    let raw = |world: &World| {
        world.events.iter().find_map(|(_, event)| match event {
            world::PhoneEvent::Received(message) => Some(String::from_utf8_lossy(message.raw()).into_owned()),
            _ => None,
        })
    };
    assert!(raw(&world).unwrap().contains("Retry-After: 5\r\n"));
    let mut world = World::with("redirect sip:other@192.0.2.77");
    world.call();
    world.run(1);
    assert!(raw(&world).unwrap().contains("Contact: <sip:other@192.0.2.77>\r\n"), "{:?}", raw(&world));
}

#[test]
fn a_silent_carrier_sends_not_even_100() {
    let mut world = World::with("silent");
    world.call();
    world.run(20);
    assert_eq!(world.heard_words(), [] as [&str; 0]);
    world.run(20);
    assert_eq!(world.heard_words(), ["failed: Timeout"]);
    assert_eq!(world.report().outcome, Outcome::Ignored);
    assert_eq!(world.network.carried().sip, 7, "the INVITE and its six copies (Timer A), and nothing else");
    world.assert_idle();
}

#[test]
fn trying_only_and_ring_only_never_answer_and_are_cancelled() {
    for (script, first) in [("trying only", "100 Trying"), ("ring only", "180 Ringing")] {
        let mut world = World::with(script);
        world.call();
        world.run(5);
        assert_eq!(world.heard_words(), [first], "{script}");
        world.phone(PhoneCommand::HangUp);
        world.run(1);
        assert_eq!((world.report().status, &world.report().outcome), (Some(487), &Outcome::Canceled));
        world.assert_idle();
    }
}

#[test]
fn a_200_that_crosses_the_cancel_is_acknowledged_and_ended() {
    for delay in ["", " 5ms", " 700ms", " 3s"] {
        let mut world = World::with(&format!("ring, late 200 after cancel{delay}"));
        world.call();
        world.run(2);
        world.phone(PhoneCommand::HangUp);
        world.run(10);
        let report = world.report();
        assert_eq!((report.status, &report.outcome), (Some(200), &Outcome::EndedByPeer), "{delay}");
        assert!(report.times.confirmed.is_some(), "{delay}");
        assert_eq!(world.heard_words().last().unwrap(), "failed: Canceled");
        world.assert_idle();
    }
}

#[test]
fn an_ack_that_never_arrives_ends_the_call_after_64_t1() {
    let mut world = World::with("answer, lost ack");
    world.call();
    world.run(31);
    assert!(world.reports().is_empty());
    world.run(3);
    let report = world.report();
    assert_eq!((&report.outcome, report.times.confirmed), (&Outcome::Lost, None));
    assert_eq!(world.heard_words().last().unwrap(), "ended: Peer");
    world.assert_idle();
}

#[test]
fn a_lost_bye_leaves_the_peer_in_the_call() {
    let mut world = World::with("answer, lost bye 1s");
    world.call();
    world.run(40);
    assert_eq!(world.heard_words(), ["rtp", "200 OK"].map(String::from).into_iter().rev().collect::<Vec<_>>());
    assert_eq!(world.report().outcome, Outcome::EndedByCarrier);
    world.phone(PhoneCommand::HangUp);
    world.assert_idle();
}

#[test]
fn a_carrier_that_vanishes_answers_nothing_any_more() {
    let mut world = World::with("answer, vanish 1s");
    world.call();
    world.run(5);
    let sent = world.network.carried().sip;
    world.phone(PhoneCommand::HangUp);
    world.run(40);
    assert_eq!(world.heard_words().last().unwrap(), "ended: Us");
    assert_eq!(world.network.carried().sip - sent, 11, "BYE and its ten copies (Timer E), and no answer");
    assert_eq!(world.report().outcome, Outcome::EndedByCarrier);
    world.assert_idle();
}

#[test]
fn without_rtp_nothing_is_sent_and_everything_is_heard() {
    let mut world = World::with("answer then no rtp");
    world.call();
    world.run(1);
    world.phone(PhoneCommand::Play("welcome"));
    world.run(3);
    world.phone(PhoneCommand::HangUp);
    world.run(1);
    let report = world.report();
    assert_eq!(report.quality.unwrap().sent.packets, 0);
    assert!(report.heard[0].exact);
    assert!(!world.heard_words().contains(&"rtp".to_owned()));
    world.assert_idle();
}

#[test]
fn the_peers_keys_are_reported() {
    let mut world = World::with("answer");
    world.call();
    world.run(1);
    world.phone(PhoneCommand::Press("12#"));
    world.run(2);
    world.phone(PhoneCommand::HangUp);
    world.run(1);
    assert_eq!((world.report().digits.as_str(), &world.report().outcome), ("12#", &Outcome::EndedByPeer));
    world.assert_idle();
}

#[test]
fn hold_and_resume_are_two_re_invites() {
    let mut world = World::with("answer, hold 1s, resume 2s, hangup 2s");
    world.call();
    world.run(8);
    let invites = world.heard_words().iter().filter(|word| word.starts_with("INVITE")).count();
    assert_eq!(invites, 2, "{:?}", world.heard_words());
    assert_eq!(world.report().outcome, Outcome::EndedByCarrier);
    world.assert_idle();
}

#[test]
fn the_peers_hold_is_answered_and_the_carrier_falls_silent() {
    let mut world = World::with("answer");
    world.call();
    world.run(1);
    world.phone(PhoneCommand::Hold);
    world.run(1);
    let sent = world.network.shard(world.carrier).stats().packets_sent;
    world.run(2);
    assert_eq!(world.network.shard(world.carrier).stats().packets_sent, sent);
    assert!(world.noted(|what| *what == carrier_sim::What::Changed));
    world.phone(PhoneCommand::HangUp);
    world.run(1);
    world.assert_idle();
}

#[test]
fn a_say_is_waited_for_and_a_loop_is_not() {
    let mut world = World::with("answer, say menu, hangup");
    world.call();
    world.run(5);
    let talked = world.report().talked_ms();
    assert!((1_950..2_050).contains(&talked), "{talked}");
    let mut world = World::with("answer, say menu loop, hangup 5s");
    world.call();
    world.run(6);
    assert_eq!(world.report().talked_ms(), 5_000);
}

#[test]
fn an_offer_that_cannot_be_met_is_refused_with_488() {
    let mut world = World::new(1, carrier_sim::CarrierConfig { codecs: Vec::new(), ..config("answer") });
    world.call();
    world.run(1);
    assert_eq!(world.report().status, Some(488));
    world.assert_idle();
}

#[test]
fn a_call_over_tcp_meets_the_same() {
    for script in ["ring, answer, hangup 1s", "busy", "answer, lost bye 1s", "ring, late 200 after cancel"] {
        let mut world = World::with(script);
        let PhoneCommand::Call { to, from, credentials, offers, try_timeout, .. } = PhoneCommand::call() else {
            unreachable!()
        };
        let transport = sip_core::transport::Transport::Tcp;
        world.phone(PhoneCommand::Call { to, from, credentials, transport, offers, try_timeout });
        world.run(3);
        world.phone(PhoneCommand::HangUp);
        // A BYE that is lost with its connection goes once more: twice 64·T1.
        world.run(100);
        assert_eq!(world.reports().len(), 1, "{script}");
        assert_eq!(world.report().status, Some(if script == "busy" { 486 } else { 200 }), "{script}");
        world.assert_idle();
    }
}

#[test]
fn a_carrier_without_ports_or_beyond_its_limits_says_503() {
    let narrow =
        carrier_sim::CarrierConfig { ports: media::PortRange::new(10_000, 10_001).unwrap(), ..config("answer") };
    let limited = carrier_sim::CarrierConfig { max_calls: 1, ..config("answer") };
    let slow = carrier_sim::CarrierConfig { max_cps: Some(1), ..config("answer") };
    for config in [narrow, limited, slow] {
        let mut world = World::new(1, config);
        world.call();
        world.call();
        world.run_ms(900);
        world.phone(PhoneCommand::HangUp);
        world.run(1);
        let mut statuses: Vec<_> = world.reports().iter().map(|report| report.status).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [Some(200), Some(503)]);
        world.assert_idle();
    }
}

#[test]
fn stop_ends_what_stands_and_refuses_what_comes() {
    let mut world = World::with("answer");
    world.call();
    world.run(1);
    world.network.command(world.carrier, world::PartyCommand::Carrier(carrier_sim::Command::Stop));
    world.run(1);
    assert_eq!(world.report().outcome, Outcome::EndedByCarrier);
    world.call();
    world.run(1);
    assert!(world.heard_words().iter().any(|word| word.starts_with("503")), "{:?}", world.heard_words());
    world.assert_idle();
}
