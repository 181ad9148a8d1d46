//! Offer and answer as they go over the wire (RFC 3264 §4, RFC 6337 §2): whatever two users ask for and whatever the
//! network does, neither endpoint makes an offer while one is open that it knows of, nor answers one twice.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may fail")]

mod pair;

use base::Rng;
use pair::{A, B, IntoStatus as _, Net, Weather, hop, invite_to, ms, sdp, secs};
use sip_core::endpoint::{Endpoint, Event, Invite, LadderEntry, ReofferId, SessionId};
use sip_core::transport::Transport;
use std::collections::BTreeMap;

/// One transaction with a description in it, by who began it and its CSeq.
type Key = (bool, String);

/// What one endpoint knows is open, from its own ladder. (All provisionals with a description are reliable here.)
#[derive(Default)]
struct Book {
    /// Offers without an answer: true where it is our own.
    open: BTreeMap<Key, bool>,
    /// Transactions whose offer has had its answer, or that had none in their request.
    answered: BTreeMap<Key, bool>,
    /// PRACKs with an answer, and what they answer: one that is refused has answered nothing.
    pracks: BTreeMap<Key, Key>,
    offers: u32,
}

impl Book {
    fn read(&mut self, entry: &LadderEntry, what: &str) {
        if entry.retransmission {
            return;
        }
        let (number, method) = entry.cseq.split_once(' ').unwrap();
        match entry.line.strip_prefix("SIP/2.0 ") {
            None => self.request(entry, number, method, what),
            Some(status) => {
                // A response belongs to whoever did not send it.
                let key = (!entry.sent, format!("{number} {method}"));
                self.response(entry, key, status.get(..3).unwrap().parse().unwrap(), what);
            }
        }
    }

    fn request(&mut self, entry: &LadderEntry, number: &str, method: &str, what: &str) {
        let key = (entry.sent, format!("{number} {method}"));
        match method {
            "INVITE" | "UPDATE" if entry.has_body => self.offer(key, entry.sent, what),
            // The answer to an offer in the 2xx or the provisional; nothing else of these carries a description here.
            "ACK" => {
                self.open.remove(&(entry.sent, format!("{number} INVITE")));
            }
            "PRACK" if entry.has_body => {
                let other = self.open.iter().find(|(_, is_ours)| **is_ours != entry.sent).map(|(key, _)| key.clone());
                let answers = other.unwrap_or_else(|| panic!("{what}: a PRACK with an answer to nothing"));
                self.open.remove(&answers);
                self.answered.insert(answers.clone(), true);
                self.pracks.insert(key, answers);
            }
            _ => {}
        }
    }

    fn response(&mut self, entry: &LadderEntry, key: Key, status: u16, what: &str) {
        if let Some(answers) = self.pracks.remove(&key).filter(|_| status >= 300) {
            self.answered.remove(&answers);
            self.open.insert(answers, !key.0);
        }
        match (status, entry.has_body) {
            (100..=299, true) if self.open.remove(&key).is_some() => {
                self.answered.insert(key, true);
            }
            // No offer in the request: this is one.
            (100..=299, true) => {
                assert!(!entry.sent || !self.answered.contains_key(&key), "{what}: {key:?} is answered twice");
                if !self.answered.contains_key(&key) {
                    self.offer(key, entry.sent, what);
                }
            }
            (200..=699, _) => {
                self.open.remove(&key);
            }
            _ => {}
        }
    }

    fn offer(&mut self, key: Key, is_ours: bool, what: &str) {
        // What the peer sends meanwhile is glare, and its answer's business.
        assert!(!is_ours || self.open.is_empty(), "{what}: {key:?} while {:?}", self.open);
        self.offers += u32::from(is_ours);
        self.open.insert(key, is_ours);
    }
}

/// What a user has been told and has not answered.
#[derive(Default)]
struct User {
    session: Option<SessionId>,
    question: Option<(ReofferId, bool)>,
    late: bool,
    late_early: bool,
    read: usize,
}

impl User {
    fn hear(&mut self, events: &[Event], offered: bool) {
        for event in &events[self.read..] {
            match event {
                Event::Incoming { session, .. } => self.session = Some(*session),
                Event::Reoffer { id, request, .. } => self.question = Some((*id, !request.body().is_empty())),
                Event::Progress { response, .. } => self.late_early |= !offered && !response.body().is_empty(),
                Event::Answered { response, .. } => {
                    self.late |= !offered && !self.late_early && !response.body().is_empty();
                }
                Event::ReofferDone { result: Ok(response), .. } => self.late |= !response.body().is_empty(),
                _ => {}
            }
        }
        self.read = events.len();
    }

    fn act(&mut self, dice: &mut Rng, endpoint: &mut Endpoint, now: base::Now) {
        let Some(session) = self.session else { return };
        match dice.below(12) {
            0 => endpoint.progress(session, 183.into_status(), Vec::new(), Some(sdp()), now),
            1 => endpoint.accept(session, Vec::new(), Some(sdp()), now),
            2 => endpoint.reoffer(session, Some(sdp()), now),
            3 => endpoint.reoffer(session, None, now),
            4 => endpoint.update(session, Some(sdp()), now),
            5 => endpoint.update(session, None, now),
            6 | 7 if std::mem::take(&mut self.late) => endpoint.acknowledge(session, Some(sdp()), now),
            8 if self.late_early => endpoint.prack_answer(session, Some(sdp()), now),
            9..=11 => {
                if let Some((id, _)) = self.question.take() {
                    let (status, body) = if dice.chance(0.8) { (200, Some(sdp())) } else { (488, None) };
                    endpoint.respond(session, id, status.into_status(), body, now);
                }
            }
            _ => {}
        }
    }
}

fn run(seed: u64) -> u32 {
    let mut dice = Rng::from_u64(seed);
    let mut net = Net::new(seed);
    net.weather = if seed.is_multiple_of(3) {
        Weather { delay: (1, 40), loss: 0.0, duplicates: 0.0 }
    } else {
        Weather { delay: (1, 120), loss: 0.05, duplicates: 0.1 }
    };
    let offered = dice.chance(0.7);
    let body = offered.then(sdp);
    let invite = Invite { body, ..invite_to(hop("192.0.2.2", Transport::Udp)) };
    let a = net.place(A, invite);
    let mut users = [User { session: Some(a), ..User::default() }, User::default()];
    for _ in 0..150 {
        net.run_for(ms(dice.below(120)));
        for node in [A, B] {
            // B sees no answer to the INVITE of its own: what it is told of is only questions.
            users[node].hear(&net.nodes[node].events, offered || node == B);
            if dice.chance(0.5) {
                let (user, dice) = (&mut users[node], &mut dice);
                net.with(node, |endpoint, now| user.act(dice, endpoint, now));
            }
        }
    }
    let mut offers = 0;
    for node in [A, B] {
        let mut book = Book::default();
        for entry in net.nodes[node].ladder() {
            book.read(entry, &format!("seed {seed}, node {node}"));
        }
        offers += book.offers;
        if let Some(session) = users[node].session {
            net.with(node, |endpoint, now| endpoint.hangup(session, Vec::new(), now));
        }
    }
    net.run_for(secs(200));
    net.assert_at_rest();
    offers
}

#[test]
fn no_offer_is_made_while_another_is_open() {
    // The last ones have found something once.
    let offers: u32 = (0..400).chain([2_382, 3_028, 5_707]).map(run).sum();
    assert!(offers > 1_500, "{offers}");
}
