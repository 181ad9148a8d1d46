//! Calls that change while they stand: re-INVITEs of every kind from either end, against each other and against a BYE; and
//! calls that are answered twice, or whose PRACKs are lost (FAULTS rows 9, 10 and 11).

use crate::fork::Fork;
use crate::hosts::{BAD, CARRIER, Host, switch_config, trunk};
use crate::phone::{Change, PASSWORD, Phone};
use crate::place::{PATIENCE, Place, Town, order};
use base::Now;
use carrier_sim::virtual_network::{HostId, Passing};
use sip_core::message::Method;
use std::collections::BTreeSet;
use std::time::Duration;
use switch::registrar::{RegistrarConfig, TenantDomain, User};
use switch::{CallSid, EndAs, Fact};

const FORK: [u8; 4] = [10, 0, 2, 1];
const ALICE: usize = 0;
const BOB: usize = 1;
const CAROL: usize = 2;
const DAVE: usize = 3;
const NAMES: [&str; 4] = ["alice", "bob", "carol", "dave"];
/// Calls that one village sees before the next is founded.
const VILLAGE: u32 = 24;
/// Time for whatever was asked: three glares (RFC 3261 §14.1: up to 4 s each), and what is lost meanwhile.
const CONVERGED: Duration = Duration::from_secs(16);
/// Time for a BYE or an answer and what is lost of them.
const SOON: Duration = Duration::from_secs(20);
const CHANGES: [Change; 7] =
    [Change::Hold, Change::Resume, Change::Move, Change::Codec, Change::Offerless, Change::Bad, Change::Fax];

pub fn run(seed: u64, calls: u32) -> Vec<Town> {
    let villages = calls.div_ceil(VILLAGE);
    (0..villages).map(|nth| village(seed + u64::from(nth), VILLAGE.min(calls - nth * VILLAGE))).collect()
}

struct Village {
    place: Place,
    phones: Vec<HostId>,
    seed: u64,
}

fn village(seed: u64, calls: u32) -> Town {
    let mut village = Village::found(seed);
    for n in 0..calls {
        match n % 6 {
            0 => village.both_change_at_once(),
            1 => village.one_changes(ALICE),
            2 => village.one_changes(BOB),
            3 => village.fork_answers_twice(n),
            4 => village.pracks_are_lost(n),
            _ => village.change_meets_bye(),
        }
    }
    village.place.finish(Duration::from_secs(60))
}

impl Village {
    /// Alice and bob are users of ours; carol and dave are both called by whoever calls the trunk `fork`.
    fn found(seed: u64) -> Self {
        let mut config = switch_config(&[]);
        config.provisioning.trunks.insert(0, trunk("fork", "sip:fork.example", &[CARRIER]));
        config.endpoint.handed_up = vec![Method::Register, Method::Invite];
        // Phones have no RTP.
        config.media_timeout = Duration::from_secs(3_600);
        let user =
            |name: &&str| User { name: (*name).to_owned(), tenant: "default".to_owned(), password: PASSWORD.into() };
        config.provisioning.registrar = RegistrarConfig {
            realm: "tandem".to_owned(),
            tenants: vec![TenantDomain { tenant: "default".to_owned(), sip_domain: None }],
            users: NAMES[..2].iter().map(user).collect(),
            ..RegistrarConfig::default()
        };
        let mut place = Place::new(seed, BAD, &config);
        let ips = [1, 2, 3, 4].map(|last| [10, 0, 1, last]);
        let mut phones = Vec::new();
        for (name, ip) in NAMES.into_iter().zip(ips) {
            let phone = Phone::new(name, ip, place.rng.fork());
            phones.push(place.join(Host::Phone(Box::new(phone)), ip, name));
        }
        place.join(Host::Fork(Box::new(Fork::new(FORK, &ips[2..]))), FORK, "fork.example");
        Self { place, phones, seed }
    }

    fn tell<R>(&mut self, phone: usize, act: impl FnOnce(&mut Phone, Now) -> R) -> R {
        self.place.network.with(self.phones[phone], |host, now| match host {
            Host::Phone(phone) => act(phone, now),
            _ => panic!("a phone"),
        })
    }

    /// What this phone has heard since it was last asked.
    fn heard(&mut self, phone: usize) -> Vec<String> {
        self.tell(phone, |phone, _| std::mem::take(&mut phone.heard))
    }

    #[track_caller]
    fn assert_heard(&mut self, phone: usize, word: &str) {
        let heard = self.heard(phone);
        assert!(heard.iter().any(|heard| heard == word), "seed {}: {} heard {heard:?}", self.seed, NAMES[phone]);
    }

    /// The same moment, or up to so much later.
    fn some(&mut self, more: u64) {
        self.place.wait_about(Duration::ZERO, Duration::from_millis(more));
    }

    /// Alice calls bob, who answers; the number of the call with each.
    fn alice_and_bob(&mut self) -> [usize; 2] {
        for who in [ALICE, BOB] {
            self.tell(who, Phone::register);
        }
        self.place.wait(SOON);
        for who in [ALICE, BOB] {
            self.assert_heard(who, "register 200");
        }
        self.place.town.inbound += 1;
        self.tell(ALICE, |phone, now| phone.dial("bob", Vec::new(), now));
        self.place.wait(SOON);
        self.assert_heard(ALICE, "answered");
        self.assert_heard(BOB, "confirmed");
        [ALICE, BOB].map(|who| self.tell(who, |phone, _| phone.sessions.len() - 1))
    }

    /// One hangs up, and the other is hung up on: so both were still there.
    fn part(&mut self, calls: [usize; 2]) {
        let who = self.place.rng.below(2) as usize;
        for phone in [ALICE, BOB] {
            self.heard(phone);
        }
        self.tell(who, |phone, now| phone.hangup(calls[who], now));
        self.place.wait(SOON);
        self.assert_heard(1 - who, "is hung up on");
        self.assert_heard(who, "ended");
    }

    fn both_change_at_once(&mut self) {
        let calls = self.alice_and_bob();
        let pick = |village: &mut Self| CHANGES[village.place.rng.below(4) as usize];
        let (first, second) = (pick(self), pick(self));
        self.tell(ALICE, |phone, now| phone.change(calls[ALICE], first, now));
        self.some(60);
        self.tell(BOB, |phone, now| phone.change(calls[BOB], second, now));
        self.place.wait(CONVERGED);
        for who in [ALICE, BOB] {
            self.assert_heard(who, "changes");
        }
        self.part(calls);
    }

    fn one_changes(&mut self, who: usize) {
        let calls = self.alice_and_bob();
        for _ in 0..3 {
            let change = CHANGES[self.place.rng.below(CHANGES.len() as u64) as usize];
            self.tell(who, |phone, now| phone.change(calls[who], change, now));
            self.place.wait(CONVERGED);
            match change {
                Change::Bad | Change::Fax => {
                    let heard = self.heard(who);
                    let refused = heard.iter().any(|heard| heard.starts_with("changes nothing: 4"));
                    assert!(refused, "seed {}: {heard:?}", self.seed);
                }
                _ => self.assert_heard(who, "changes"),
            }
        }
        self.part(calls);
    }

    fn change_meets_bye(&mut self) {
        let calls = self.alice_and_bob();
        let (one, other) = if self.place.rng.below(2) == 0 { (ALICE, BOB) } else { (BOB, ALICE) };
        let change = CHANGES[self.place.rng.below(CHANGES.len() as u64) as usize];
        self.tell(one, |phone, now| phone.change(calls[one], change, now));
        self.some(150);
        self.tell(other, |phone, now| phone.hangup(calls[other], now));
        self.place.wait(SOON);
        // A change that comes after the BYE is 481, and that is an end too (RFC 3261 §12.2.1.2).
        let heard = self.heard(one);
        let over = heard.iter().any(|heard| heard == "is hung up on" || heard == "ended");
        assert!(over, "seed {}: {heard:?}", self.seed);
        self.assert_heard(other, "ended");
    }

    /// The API calls the trunk that forks; carol and dave ring.
    fn call_fork(&mut self, n: u32) -> CallSid {
        for who in [CAROL, DAVE] {
            self.tell(who, |phone, _| {
                phone.answers = false;
                phone.heard.clear();
            });
        }
        let now = self.place.network.now();
        let mut order = order(3, &mut self.place.rng, now);
        order.to = format!("+1555{n:07}").parse().expect("a number");
        order.trunk = Some("fork".to_owned());
        order.timeout = Duration::from_secs(90);
        order.max_duration = Duration::from_secs(60);
        let sid = self.place.call(order);
        self.place.wait(SOON);
        for who in [CAROL, DAVE] {
            self.assert_heard(who, "rings");
        }
        sid
    }

    /// Two 183 and two 200: both are acknowledged, and one of the two is let go of at once.
    fn fork_answers_twice(&mut self, n: u32) {
        let sid = self.call_fork(n);
        let order = if self.place.rng.below(2) == 0 { [CAROL, DAVE] } else { [DAVE, CAROL] };
        for act in [Phone::early as fn(&mut Phone, usize, Now), Phone::accept] {
            for who in order {
                self.tell(who, |phone, now| act(phone, phone.sessions.len() - 1, now));
                self.some(40);
            }
            self.place.wait(Duration::from_secs(3));
        }
        self.place.wait(SOON);
        let mut heard = order.map(|who| self.heard(who));
        let prack_was_late = heard.iter().any(Vec::is_empty);
        if prack_was_late {
            // Its 200 waits for a PRACK that nobody owes it once the other has answered: it gives up (RFC 3262 §3).
            self.place.wait(PATIENCE);
            heard.iter_mut().zip(order).for_each(|(heard, who)| heard.extend(self.heard(who)));
        }
        let count = |word| heard.iter().filter(|heard| heard.iter().any(|heard| heard == word)).count();
        // Where the ACK of the one that is let go of was lost, its BYE says as much.
        let over = count("is hung up on") + count("ended");
        assert!(count("confirmed") >= 1 && over == 1, "seed {}: {heard:?}", self.seed);
        assert!(prack_was_late || self.acknowledged(sid) == 2, "seed {}", self.seed);
        self.place.end(sid, EndAs::Completed);
        self.place.wait(SOON);
        let parted = order.map(|who| self.heard(who)).concat();
        assert_eq!(parted, ["is hung up on"], "seed {}", self.seed);
    }

    /// To how many an ACK was sent in this call.
    fn acknowledged(&self, sid: CallSid) -> usize {
        let acks = self.place.town.records.iter().filter_map(|record| match &record.fact {
            Fact::Message { sent: true, line, peer, .. } if record.sid == sid && line.starts_with("ACK ") => Some(peer),
            _ => None,
        });
        acks.collect::<BTreeSet<_>>().len()
    }

    /// Two of three PRACKs do not arrive, and the call is answered all the same.
    fn pracks_are_lost(&mut self, n: u32) {
        let mut seen = 0;
        self.place.network.tap(Box::new(move |passing, _| match passing {
            Passing::Sip { bytes, .. } if bytes.starts_with(b"PRACK ") => {
                seen += 1;
                seen % 3 == 0
            }
            _ => true,
        }));
        let sid = self.call_fork(n);
        self.tell(CAROL, |phone, now| phone.early(phone.sessions.len() - 1, now));
        self.some(2_000);
        self.tell(CAROL, |phone, now| phone.accept(phone.sessions.len() - 1, now));
        self.place.wait(PATIENCE);
        self.assert_heard(CAROL, "confirmed");
        self.place.end(sid, EndAs::Completed);
        self.place.wait(SOON);
        self.assert_heard(CAROL, "is hung up on");
        self.place.network.tap(Box::new(|_, _| true));
        self.tell(DAVE, |phone, now| phone.hangup(phone.sessions.len() - 1, now));
    }
}
