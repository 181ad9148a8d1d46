//! Users' phones around the switch, on virtual time: who may call whom, and every way in which a call changes hands.

use crate::hosts::{CARRIER, GOOD, Host, SWITCH, Told, carrier_config, switch_config};
use crate::phone::{Change, PASSWORD, Phone};
use crate::place::rule;
use base::{Now, Rng};
use carrier_sim::Carrier;
use carrier_sim::virtual_network::{HostId, Input, Network, Node as _, Site};
use sip_core::message::Method;
use sip_core::sdp::{Direction, SdpError};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use switch::registrar::{RegistrarConfig, TenantDomain, User};
use switch::{CallSid, Cdr, Fact, Record, Switch};

struct Village {
    network: Network<Host>,
    switch: HostId,
    phones: Vec<HostId>,
}

const TENANT: &str = "default";

/// A switch and these phones, registered.
fn village(names: &[&str]) -> Village {
    village_with(names, |_| {})
}

/// The same, of a switch with another configuration.
fn village_with(names: &[&str], change: impl FnOnce(&mut switch::Config)) -> Village {
    let mut rng = Rng::from_u64(5);
    let mut network = Network::new(5);
    network.impair_sip(GOOD);
    let mut config = switch_config(&[("+18325550100", serde_json::json!({ "echo": true }))]);
    config.endpoint.handed_up = vec![Method::Register, Method::Invite, Method::Message];
    let user = |name: &&str| User { name: (*name).to_owned(), tenant: TENANT.to_owned(), password: PASSWORD.into() };
    config.provisioning.registrar = RegistrarConfig {
        realm: "tandem".to_owned(),
        tenants: vec![TenantDomain { tenant: TENANT.to_owned(), sip_domain: None }],
        users: names.iter().map(user).collect(),
        ..RegistrarConfig::default()
    };
    change(&mut config);
    let switch = Switch::new(&config, rng.fork(), network.now()).expect("a switch");
    let switch = network.join(Host::Switch(Box::new(switch)), Site::at(SWITCH.into()));
    let mut village = Village { network, switch, phones: Vec::new() };
    for (nth, name) in names.iter().enumerate() {
        let ip = [10, 0, 1, nth as u8 + 1];
        let phone = Phone::new(name, ip, rng.fork());
        village.phones.push(village.network.join(Host::Phone(Box::new(phone)), Site::at(ip.into())));
        village.tell(nth, Phone::register);
    }
    village.wait(1);
    for nth in 0..names.len() {
        assert_eq!(village.heard(nth), ["register 200"]);
    }
    village
}

impl Village {
    fn tell(&mut self, phone: usize, act: impl FnOnce(&mut Phone, Now)) {
        self.network.with(self.phones[phone], |host, now| match host {
            Host::Phone(phone) => act(phone, now),
            _ => panic!("a phone"),
        });
    }

    fn wait(&mut self, seconds: u64) {
        self.network.run_for(Duration::from_secs(seconds));
    }

    /// What this phone has heard since it was last asked.
    fn heard(&mut self, phone: usize) -> Vec<String> {
        let mut heard = Vec::new();
        self.tell(phone, |phone, _| heard = std::mem::take(&mut phone.heard));
        heard
    }

    /// Which way audio flows in a phone's first call, seen from it.
    fn flow(&mut self, phone: usize) -> Direction {
        let mut flow = None;
        self.tell(phone, |phone, _| flow = phone.flow(0));
        flow.unwrap_or_default()
    }

    fn load(&self) -> switch::Load {
        match self.network.node(self.switch) {
            Host::Switch(switch) => switch.load(),
            _ => panic!("a switch"),
        }
    }

    fn records(&mut self) -> Vec<Record> {
        let told = self.network.reports(self.switch).into_iter();
        told.filter_map(|(_, told)| if let Told::Record(record) = told { Some(*record) } else { None }).collect()
    }

    /// Everyone hangs up, and nothing is left; the CDRs.
    fn close(mut self) -> Vec<(CallSid, Cdr)> {
        for phone in 0..self.phones.len() {
            self.tell(phone, |phone, now| (0..phone.sessions.len()).for_each(|nth| phone.hangup(nth, now)));
        }
        self.wait(40);
        let load = self.load();
        assert_eq!(
            (load.calls, load.ports, load.timers, load.sip.sessions, load.sip.dialogs),
            (0, 0, 0, 0, 0),
            "{load:?}"
        );
        let records = self.records();
        records
            .into_iter()
            .filter_map(
                |record| if let Fact::Ended(cdr) = record.fact { Some((record.sid, Cdr::clone(&cdr))) } else { None },
            )
            .collect()
    }
}

const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;

/// Alice calls bob, who answers.
fn alice_and_bob() -> Village {
    let mut village = village(&["alice", "bob", "carol"]);
    village.tell(ALICE, |phone, now| phone.dial("bob", Vec::new(), now));
    village.wait(1);
    assert_eq!(village.heard(ALICE), ["answered"]);
    assert_eq!(village.heard(BOB), ["rings", "confirmed"]);
    village
}

#[test]
fn one_user_calls_another_and_either_hangs_up() {
    let mut village = alice_and_bob();
    village.tell(BOB, |phone, now| phone.hangup(0, now));
    village.wait(1);
    assert_eq!(village.heard(ALICE), ["is hung up on"]);
    assert_eq!(village.close().len(), 2);
}

#[test]
fn an_early_dialog_whose_offer_is_answered_may_be_changed_by_either_end() {
    let mut village = village(&["alice", "bob"]);
    village.tell(BOB, |phone, _| phone.answers = false);
    village.tell(ALICE, |phone, now| phone.dial("bob", Vec::new(), now));
    village.wait(1);
    // His description goes reliably, and so does hers that follows from it.
    village.tell(BOB, |phone, now| phone.early(0, now));
    village.wait(1);
    assert_eq!(village.heard(BOB), ["rings"]);
    assert!(village.heard(ALICE).is_empty());
    for phone in [ALICE, BOB] {
        for (change, said) in
            [(Change::Move, "changes"), (Change::Bad, "changes nothing: 400"), (Change::Codec, "changes")]
        {
            village.tell(phone, |phone, now| phone.change_early(0, change, now));
            village.wait(1);
            assert_eq!(village.heard(phone), [said], "{change:?}");
        }
    }
    village.tell(BOB, |phone, now| phone.accept(0, now));
    village.wait(1);
    assert_eq!(village.heard(ALICE), ["answered"]);
    assert_eq!(village.heard(BOB), ["confirmed"]);
    village.tell(ALICE, |phone, now| phone.hangup(0, now));
    village.wait(1);
    assert_eq!(village.heard(BOB), ["is hung up on"]);
    assert_eq!(village.close().len(), 2);
}

#[test]
fn who_is_not_registered_or_not_known_is_said_to_be_so() {
    let mut village = village(&["alice"]);
    village.tell(ALICE, |phone, now| phone.dial("nobody", Vec::new(), now));
    village.wait(1);
    assert_eq!(village.heard(ALICE), ["failed 404"]);
    village.close();
}

#[test]
fn a_blind_transfer_joins_the_one_who_stays_with_the_new_one_and_lets_go_of_who_asked() {
    for (who, other) in [(ALICE, BOB), (BOB, ALICE)] {
        let mut village = alice_and_bob();
        village.tell(who, |phone, now| phone.refer(0, "carol", None, now));
        village.wait(4);
        let heard = village.heard(who);
        assert_eq!(heard, ["refer 202", "transfer 100", "transfer 180", "transfer 200 at last", "is hung up on"]);
        assert_eq!(village.heard(CAROL), ["rings", "confirmed"]);
        assert!(village.heard(other).is_empty());
        village.tell(CAROL, |phone, now| phone.hangup(0, now));
        village.wait(1);
        assert_eq!(village.heard(other), ["is hung up on"]);
        let cdrs = village.close();
        assert_eq!(cdrs.len(), 3);
        assert_eq!(cdrs.iter().filter(|(_, cdr)| cdr.cause.reason == "transferred").count(), 1);
    }
}

#[test]
fn an_address_of_our_own_socket_is_ours_though_a_trunk_has_the_same_host() {
    const DESK: &str = "+15557770001";
    let mut village = village_with(&["alice", "bob", DESK], |config| {
        let uri = format!("sip:{}:5080", IpAddr::from(SWITCH));
        config.provisioning.trunks.push(crate::hosts::trunk("neighbour", &uri, &[]));
    });
    village.tell(ALICE, |phone, now| phone.dial("bob", Vec::new(), now));
    village.wait(1);
    assert_eq!(village.heard(ALICE), ["answered"]);
    village.tell(ALICE, |phone, now| phone.refer(0, DESK, None, now));
    village.wait(4);
    assert_eq!(village.heard(CAROL), ["rings", "confirmed"], "the desk is a phone that is registered here");
    village.tell(CAROL, |phone, now| phone.hangup(0, now));
    village.wait(1);
    assert_eq!(village.close().len(), 3);
}

#[test]
fn who_asks_for_a_transfer_need_not_wait_for_it() {
    let mut village = alice_and_bob();
    village.tell(CAROL, |phone, _| phone.answers = false);
    village.tell(ALICE, |phone, now| phone.refer(0, "carol", None, now));
    village.wait(1);
    village.tell(ALICE, |phone, now| phone.hangup(0, now));
    village.wait(1);
    assert!(village.heard(BOB).is_empty(), "bob hears ringing and waits");
    village.tell(CAROL, |phone, now| phone.hangup(0, now));
    village.wait(2);
    assert_eq!(village.heard(BOB), ["is hung up on"]);
    assert_eq!(village.close().len(), 3);
}

#[test]
fn a_transfer_that_fails_leaves_everybody_where_they_were() {
    let mut village = alice_and_bob();
    village.tell(CAROL, |phone, _| phone.answers = false);
    village.tell(ALICE, |phone, now| phone.refer(0, "carol", None, now));
    village.wait(1);
    village.tell(CAROL, |phone, now| phone.hangup(0, now));
    village.wait(1);
    let heard = village.heard(ALICE);
    assert_eq!(heard, ["refer 202", "transfer 100", "transfer 180", "transfer 480 at last"]);
    village.tell(ALICE, |phone, now| phone.refer(0, "nobody", None, now));
    village.wait(1);
    assert_eq!(village.heard(ALICE), ["refer 404"]);
    assert!(village.heard(BOB).is_empty());
    village.tell(BOB, |phone, now| phone.hangup(0, now));
    village.wait(1);
    assert_eq!(village.heard(ALICE), ["is hung up on"]);
    assert_eq!(village.close().len(), 3);
}

#[test]
fn an_attended_transfer_joins_the_two_and_ends_the_hold_of_either() {
    let mut village = alice_and_bob();
    village.tell(ALICE, |phone, now| phone.change(0, Change::Hold, now));
    village.wait(1);
    assert_eq!(village.heard(BOB), ["is offered sendonly"]);
    village.tell(ALICE, |phone, now| phone.dial("carol", Vec::new(), now));
    village.wait(1);
    village.heard(ALICE);
    village.heard(CAROL);
    village.tell(ALICE, |phone, now| phone.refer(0, "carol", Some(1), now));
    village.wait(1);
    let heard = village.heard(ALICE);
    assert_eq!(heard, ["refer 202", "transfer 100", "transfer 200 at last"]);
    // Who does not hang up then is hung up on.
    village.wait(3);
    assert_eq!(village.heard(ALICE), ["is hung up on", "is hung up on"]);
    assert_eq!(village.heard(BOB), ["is offered sendrecv"]);
    village.tell(BOB, |phone, now| phone.hangup(0, now));
    village.wait(1);
    assert_eq!(village.heard(CAROL), ["is hung up on"]);
    assert_eq!(village.close().len(), 4);
}

#[test]
fn both_ends_hold_and_resume_in_any_order_and_talk_again() {
    let (holds, resumes) = (Change::Hold, Change::Resume);
    for (first, second) in [(ALICE, BOB), (BOB, ALICE)] {
        for last_to_resume in [first, second] {
            let mut village = alice_and_bob();
            let first_to_resume = ALICE + BOB - last_to_resume;
            let steps = [(first, holds), (second, holds), (first_to_resume, resumes), (last_to_resume, resumes)];
            let mut flows = Vec::new();
            for (who, change) in steps {
                village.tell(who, |phone, now| phone.change(0, change, now));
                village.wait(1);
                flows.push((village.flow(first_to_resume), village.flow(last_to_resume)));
            }
            use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
            assert_eq!(flows[1], (Inactive, Inactive), "{steps:?}: nobody listens");
            assert_eq!(flows[2], (RecvOnly, SendOnly), "{steps:?}: who still holds is heard");
            assert_eq!(flows[3], (SendRecv, SendRecv), "{steps:?}");
            // Once more, its end by a re-INVITE that leaves the offer to us (RFC 3725 §7).
            village.tell(first, |phone, now| phone.change(0, holds, now));
            village.wait(1);
            village.tell(first, |phone, now| phone.resume_by_offer_of_others(0, now));
            village.wait(1);
            assert_eq!((village.flow(ALICE), village.flow(BOB)), (SendRecv, SendRecv));
            village.tell(ALICE, |phone, now| phone.hangup(0, now));
            village.wait(1);
            village.close();
        }
    }
}

#[test]
fn a_resume_that_comes_before_the_hold_is_answered_is_passed_on_once_it_is() {
    for (holder, other) in [(ALICE, BOB), (BOB, ALICE)] {
        let mut village = alice_and_bob();
        village.tell(other, |phone, _| phone.hesitates = true);
        for change in [Change::Hold, Change::Resume] {
            village.tell(holder, |phone, now| phone.change(0, change, now));
            village.wait(1);
            assert_eq!(village.heard(holder), ["changes"]);
        }
        village.tell(other, Phone::answer_changes);
        village.wait(1);
        assert_eq!(village.heard(other), ["is offered sendonly", "is offered sendrecv"]);
        assert_eq!((village.flow(holder), village.flow(other)), (Direction::SendRecv, Direction::SendRecv));
        village.close();
    }
}

#[test]
fn who_is_held_by_one_that_hangs_up_is_held_no_more_where_the_call_goes_on() {
    for hold in [Change::Hold, Change::Says(SILENT)] {
        let mut village = village_with(&["alice", "bob"], |config| {
            let answer = serde_json::json!([{ "bridge": "bob" }, { "pause": 30 }]);
            let answer = ivr::Answer::parse(&answer).expect("an answer");
            config.provisioning.numbers[0].answer = answer;
        });
        village.tell(ALICE, |phone, now| phone.dial("+18325550100", Vec::new(), now));
        village.wait(1);
        assert_eq!(village.heard(ALICE), ["answered"]);
        village.tell(BOB, |phone, now| phone.change(0, hold, now));
        village.wait(1);
        assert_eq!(village.heard(ALICE).len(), 1, "she is held");
        village.tell(BOB, |phone, now| phone.hangup(0, now));
        village.wait(1);
        assert_eq!(village.heard(ALICE), ["is offered sendrecv"], "{hold:?}");
        assert_eq!(village.flow(ALICE), Direction::SendRecv);
        village.close();
    }
}

/// What a phone describes that holds and plays nothing.
const SILENT: &str = concat!(
    "v=0\r\no=- 1 9 IN IP4 10.0.1.9\r\ns=-\r\nc=IN IP4 10.0.1.9\r\nt=0 0\r\n",
    "m=audio 20000 RTP/AVP 0\r\na=inactive\r\n"
);

#[test]
fn a_hold_begun_before_the_answer_is_told_to_the_other_end_at_the_answer_and_ends_with_a_resume() {
    use Direction::{Inactive, RecvOnly, SendOnly, SendRecv};
    for (holder, other) in [(ALICE, BOB), (BOB, ALICE)] {
        for (hold, flows) in [(Change::Hold, (SendOnly, RecvOnly)), (Change::Says(SILENT), (Inactive, Inactive))] {
            for resumes_early in [false, true] {
                let case = format!("{holder} {hold:?}, resumes early: {resumes_early}");
                let mut village = village(&["alice", "bob"]);
                village.tell(BOB, |phone, _| phone.answers = false);
                village.tell(ALICE, |phone, now| phone.dial("bob", Vec::new(), now));
                village.wait(1);
                village.tell(BOB, |phone, now| phone.early(0, now));
                village.wait(1);
                village.heard(BOB);
                village.tell(holder, |phone, now| phone.change_early(0, hold, now));
                village.wait(1);
                if resumes_early {
                    village.tell(holder, |phone, now| phone.change_early(0, Change::Resume, now));
                    village.wait(1);
                }
                assert!(village.heard(holder).iter().all(|word| word == "changes"), "{case}");
                assert!(village.heard(other).is_empty(), "{case}: nobody is told before the answer");
                village.tell(BOB, |phone, now| phone.accept(0, now));
                village.wait(1);
                let told = village.heard(other);
                let is_offer = |word: &&String| word.starts_with("is offered");
                if resumes_early {
                    assert_eq!(told.iter().find(is_offer), None, "{case}");
                    village.close();
                    continue;
                }
                let expected = format!("is offered {}", flows.0.as_str());
                assert_eq!(told.iter().find(is_offer), Some(&expected), "{case}");
                assert_eq!((village.flow(holder), village.flow(other)), flows, "{case}");
                village.heard(holder);
                village.tell(holder, |phone, now| phone.change(0, Change::Resume, now));
                village.wait(1);
                assert_eq!(village.heard(other), ["is offered sendrecv"], "{case}");
                assert_eq!(village.heard(holder), ["changes"], "{case}");
                assert_eq!((village.flow(holder), village.flow(other)), (SendRecv, SendRecv), "{case}");
                village.close();
            }
        }
    }
}

#[test]
fn a_call_is_taken_over_by_an_invite_that_replaces_it() {
    let mut village = alice_and_bob();
    let mut replaces = String::new();
    village.tell(ALICE, |phone, _| replaces = phone.replaces(0));
    village.tell(CAROL, |phone, now| phone.dial("bob", vec![("Replaces".to_owned(), replaces)], now));
    village.wait(1);
    assert_eq!(village.heard(CAROL), ["answered"]);
    assert_eq!(village.heard(ALICE), ["is hung up on"]);
    assert!(village.heard(BOB).is_empty());
    village.tell(BOB, |phone, now| phone.hangup(0, now));
    village.wait(1);
    assert_eq!(village.heard(CAROL), ["is hung up on"]);
    assert_eq!(village.close().len(), 3);
}

#[test]
fn a_key_that_comes_by_info_is_a_key() {
    let mut village = alice_and_bob();
    village.records();
    village.tell(ALICE, |phone, now| phone.press(0, '7', now));
    village.wait(1);
    assert_eq!(village.heard(ALICE), ["info 200"]);
    let digits = village.records().into_iter().filter(|record| matches!(record.fact, Fact::Digit { digit: '7', .. }));
    assert_eq!(digits.count(), 1);
    village.close();
}

#[test]
fn inside_a_call_an_unknown_event_package_is_489_and_what_is_not_taken_is_405_with_what_is() {
    const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY, SUBSCRIBE";
    let mut village = alice_and_bob();
    let mut hears = |method: Method, headers: &[(&str, &str)]| {
        village.tell(ALICE, |phone, now| phone.ask(0, method, headers, now));
        village.wait(1);
        village.heard(ALICE).concat()
    };
    let bad_event = "info 489 Allow-Events: refer";
    assert_eq!(hears(Method::Subscribe, &[("Event", "dialog"), ("Expires", "60")]), bad_event);
    assert_eq!(hears(Method::Subscribe, &[]), bad_event);
    assert_eq!(hears(Method::Notify, &[("Event", "message-summary"), ("Subscription-State", "active")]), bad_event);
    assert_eq!(hears(Method::Message, &[]), format!("info 405 Allow: {ALLOW}"));
    assert_eq!(hears(Method::Options, &[]), format!("info 200 Allow: {ALLOW}"));
    assert_eq!(hears(Method::Info, &[]), "info 200");
    village.close();
}

#[test]
fn a_key_that_is_a_tone_in_the_sound_is_pressed_once_for_a_far_end_that_takes_events() {
    let mut village = village(&["alice"]);
    let mut config = carrier_config(CARRIER);
    config.by_number = vec![rule(&("+15557770001", "answer 100ms, wait 60s"))];
    let carrier = Host::Carrier(Box::new(Carrier::new(config, Rng::from_u64(6))));
    let carrier = village.network.join(carrier, Site::at(CARRIER.into()));
    village.network.name("trunk.example", vec![SocketAddr::from((CARRIER, 5060))]);
    // Her phone has no telephone-event, so that our ear listens; the carrier has it.
    village.tell(ALICE, |phone, now| phone.dial("+15557770001", Vec::new(), now));
    village.wait(2);
    let legs = village.network.shard(village.switch).ids();
    assert_eq!((legs.len(), village.heard(ALICE).last().map(String::as_str)), (2, Some("answered")));
    for digit in ['4', '4', '#'] {
        // The carrier's leg has telephone-event: what is heard there says nothing to her.
        for id in legs.clone() {
            village.network.with(village.switch, |host, now| {
                host.handle(Input::Media(media::Event::Digit { id, digit, duration_ms: 100 }), now);
            });
        }
        village.wait(1);
    }
    village.tell(ALICE, |phone, now| phone.hangup(0, now));
    village.wait(2);
    let told = village.network.reports(carrier).into_iter();
    let keys: Vec<_> =
        told.filter_map(|(_, told)| if let Told::Report(report) = told { Some(report.digits) } else { None }).collect();
    assert_eq!(keys, ["44#"]);
    village.close();
}

#[test]
fn a_proof_of_who_calls_goes_on_over_a_trunk_that_is_to_have_it_and_over_no_other() {
    const PROOF: &str =
        "eyJhbGciOiJFUzI1NiJ9.eyJvcmlnIjp7InRuIjoiMTY2NjU1NTAwMDEifX0.c2ln;info=<https://example.com/c.pem>;ppt=shaken";
    for passes in [true, false] {
        let mut rng = Rng::from_u64(5);
        let mut network = Network::new(5);
        network.impair_sip(GOOD);
        let mut config = switch_config(&[("+18325550100", serde_json::json!({ "bridge": "+15557770001" }))]);
        let trunk = |name: &str, ip: u8| {
            let mut trunk = crate::hosts::trunk(name, &format!("sip:10.0.1.{ip}"), &[[10, 0, 1, ip]]);
            trunk.pass_identity = passes;
            trunk
        };
        config.provisioning.trunks = vec![trunk("to", 2), trunk("from", 1)];
        let switch = Switch::new(&config, rng.fork(), network.now()).expect("a switch");
        let switch = network.join(Host::Switch(Box::new(switch)), Site::at(SWITCH.into()));
        let mut village = Village { network, switch, phones: Vec::new() };
        for (nth, name) in ["+16665550001", "+15557770001"].into_iter().enumerate() {
            let ip = [10, 0, 1, nth as u8 + 1];
            let phone = Phone::new(name, ip, rng.fork());
            village.phones.push(village.network.join(Host::Phone(Box::new(phone)), Site::at(ip.into())));
        }
        let headers = vec![("Identity".to_owned(), PROOF.to_owned())];
        village.tell(ALICE, |phone, now| phone.dial("+18325550100", headers, now));
        village.wait(2);
        let shown = format!("is shown {PROOF}");
        let heard = village.heard(BOB);
        assert_eq!(heard.iter().filter(|heard| **heard == shown).count(), usize::from(passes), "{heard:?}");
        assert_eq!(heard.last().map(String::as_str), Some("confirmed"));
        village.close();
    }
}

/// What a phone hears besides a 488.
fn why(error: &SdpError) -> String {
    let warning = error.warning().expect("a 488 says why");
    format!(" ({} {})", warning.code(), warning.text())
}

#[test]
fn a_description_that_is_not_agreed_to_is_488_and_says_why_in_an_invite_a_re_invite_and_an_update() {
    macro_rules! described {
        ($media:literal) => {
            concat!("v=0\r\no=- 1 9 IN IP4 10.1.0.1\r\ns=-\r\nc=IN IP4 10.1.0.1\r\nt=0 0\r\n", $media, "\r\n")
        };
    }
    let table = [
        (described!("m=audio 20000 RTP/AVP 18"), 305, SdpError::NoCommonCodec),
        (described!("m=video 20000 RTP/AVP 96\r\na=rtpmap:96 VP8/90000"), 304, SdpError::NoAudio),
        (described!("m=audio 20000 RTP/SAVP 0\r\na=crypto:1 UNKNOWN inline:QUFB"), 302, SdpError::NoCommonCrypto),
        (described!("m=audio 20000 UDP/TLS/RTP/SAVPF 0"), 302, SdpError::NoCommonCrypto),
    ];
    for (text, code, error) in table {
        let mut village = alice_and_bob();
        assert_eq!(error.warning().map(|warning| warning.code()), Some(code));
        let refused = format!("changes nothing: 488{}", why(&error));
        village.tell(ALICE, |phone, now| phone.change(0, Change::Says(text), now));
        village.wait(2);
        village.tell(ALICE, |phone, now| phone.change_early(0, Change::Says(text), now));
        village.wait(2);
        assert_eq!(village.heard(ALICE), [refused.clone(), refused], "{text}");
        village.tell(CAROL, |phone, now| phone.dial_with("bob", Vec::new(), text.into(), now));
        village.wait(2);
        assert_eq!(village.heard(CAROL), [format!("failed 488{}", why(&error))], "{text}");
        assert!(village.heard(BOB).is_empty(), "{text}: nobody's phone rings for it");
        village.close();
    }
}

#[test]
fn a_fax_that_nobody_takes_is_refused_and_the_voice_goes_on() {
    let mut village = alice_and_bob();
    village.tell(ALICE, |phone, now| phone.change(0, Change::Fax, now));
    village.wait(2);
    assert_eq!(village.heard(ALICE), [format!("changes nothing: 488{}", why(&SdpError::NoAudio))]);
    assert!(village.heard(BOB).is_empty(), "the other leg hears nothing of it");
    // The session stands: it can still be changed, and either may hang up.
    village.tell(ALICE, |phone, now| phone.change(0, Change::Hold, now));
    village.wait(2);
    assert_eq!(village.heard(ALICE), ["changes"]);
    assert_eq!(village.heard(BOB), ["is offered sendonly"]);
    village.tell(BOB, |phone, now| phone.hangup(0, now));
    village.wait(1);
    assert_eq!(village.heard(ALICE), ["is hung up on"]);
    assert_eq!(village.close().len(), 2);
}

#[test]
fn a_message_is_handed_on_to_where_its_receiver_is_and_to_nobody_else() {
    let mut village = village(&["alice", "bob"]);
    village.tell(0, |alice, now| alice.text("bob", "lunch?", now));
    village.wait(1);
    assert_eq!(village.heard(1), ["alice says lunch?"]);
    assert_eq!(village.heard(0), ["register 200"], "the receiver's own answer");
    village.tell(0, |alice, now| alice.text("nobody", "lunch?", now));
    village.wait(1);
    assert_eq!(village.heard(0), ["register 404"]);
    assert_eq!(village.heard(1), Vec::<String>::new());
    village.close();
}
