//! The body of the fuzz target `endpoint_ops`: two endpoints, a wire between them that does what the input says, and
//! users that ask for anything at any time. Compiled with the crate, so that a change of interface breaks its build; a
//! test runs it on random inputs.
//!
//! What must hold, whatever came: nothing panics; each session says one last word; and once everything has been hung up
//! and every timer has run, nothing is left.

use super::{
    Body, Config, EndedBy, Endpoint, Event, Headers, InDialogId, Invite, Load, NextHop, OutOfDialog, Output, ReferId,
    ReliableProvisionals, ReofferId, SessionId, SessionInterval,
};
use crate::auth::Credentials;
use crate::header::NameAddr;
use crate::message::{Method, StatusCode};
use crate::transport::{Effect, FlowId, Input, Local, LocalId, QueryId, Transport};
use crate::uri::Uri;
use base::{Now, Rng};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Packets and streams that are remembered for the input to choose from; older ones are forgotten.
const REMEMBERED: usize = 64;

/// One endpoint with its user.
struct Side {
    endpoint: Endpoint,
    ip: Ipv4Addr,
    /// When it wants to be woken.
    wake: Option<u64>,
    /// Last words by session.
    sessions: BTreeMap<SessionId, u32>,
    reoffers: Vec<(SessionId, ReofferId)>,
    requests: Vec<(SessionId, InDialogId)>,
    refers: Vec<(SessionId, ReferId)>,
    /// Requests of ours inside dialogs that have had their end.
    done: BTreeSet<InDialogId>,
    queries: Vec<QueryId>,
    flows: Vec<(FlowId, SocketAddr)>,
}

/// See the head of this file.
struct Bench {
    now: Now,
    sides: [Side; 2],
    /// Datagrams on the way: from which side, to where.
    packets: Vec<(usize, SocketAddr, Bytes)>,
    /// Stream writes: from which side, on which flow.
    writes: Vec<(usize, FlowId, Bytes)>,
    seen: Seen,
}

/// How far a run has come: a run that gets nowhere shows nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    /// Calls answered, as their caller sees it.
    pub answered: u32,
    /// Calls acknowledged, as their callee sees it.
    pub confirmed: u32,
    /// Questions asked in mid-call.
    pub reoffers: u32,
    /// Sessions ended by the other side.
    pub ended_by_peer: u32,
    /// Reliable provisionals acknowledged, as the callee sees it.
    pub progress_acked: u32,
    /// Requests inside dialogs, as whoever got them sees it.
    pub requests: u32,
    /// REFERs followed to their end, as their sender sees it.
    pub referred: u32,
    /// Our own changes that were agreed to.
    pub changed: u32,
    /// Answers to an offerless re-INVITE, as whoever offered sees it.
    pub late_answers: u32,
}

impl Seen {
    /// Counts another run's.
    pub fn add(&mut self, other: Self) {
        self.answered += other.answered;
        self.confirmed += other.confirmed;
        self.reoffers += other.reoffers;
        self.ended_by_peer += other.ended_by_peer;
        self.progress_acked += other.progress_acked;
        self.requests += other.requests;
        self.referred += other.referred;
        self.changed += other.changed;
        self.late_answers += other.late_answers;
    }
}

/// Runs one input.
///
/// # Panics
/// Where something does not hold that must.
pub fn endpoint_ops(data: &[u8]) -> Seen {
    let mut bytes = data.iter().copied();
    let mut bench = Bench::new(bytes.next().unwrap_or(0));
    while let Some(op) = bytes.next() {
        bench.step(op, &mut bytes);
    }
    bench.finish();
    bench.seen
}

impl Bench {
    /// `mix` says which extensions each side has.
    fn new(mix: u8) -> Self {
        let side = |last: u8, mix: u8| {
            let ip = Ipv4Addr::new(192, 0, 2, last);
            let mut config = Config::new(locals(ip));
            config.max_sessions = 32;
            config.max_transactions = 64;
            config.max_flows = 8;
            config.reliable_provisionals = match mix & 3 {
                0 => ReliableProvisionals::Off,
                1 => ReliableProvisionals::Required,
                _ => ReliableProvisionals::Supported,
            };
            let least = SessionInterval { session_expires: 90, min_se: 90 };
            config.session_timer = match mix & 12 {
                0 => None,
                4 => Some(SessionInterval { session_expires: 200, min_se: 150 }),
                _ => Some(least),
            };
            let endpoint = Endpoint::new(config, Rng::from_u64(last.into()));
            let (sessions, reoffers, queries, flows) = (BTreeMap::new(), Vec::new(), Vec::new(), Vec::new());
            let (requests, refers, done) = (Vec::new(), Vec::new(), BTreeSet::new());
            Side { endpoint, ip, wake: None, sessions, reoffers, requests, refers, done, queries, flows }
        };
        let now = Now::new(1_000, 1_700_000_000_000);
        Self {
            now,
            sides: [side(1, mix), side(2, mix >> 4)],
            packets: Vec::new(),
            writes: Vec::new(),
            seen: Seen::default(),
        }
    }

    fn step(&mut self, op: u8, bytes: &mut impl Iterator<Item = u8>) {
        let (side, choice) = (usize::from(op & 1), bytes.next().unwrap_or(0));
        match (op >> 1) % 32 {
            0 => self.invite(side, choice),
            1 | 2 => self.deliver(choice),
            3 => self.deliver_mutated(choice, bytes),
            4 => self.advance(Duration::from_millis(1 << (choice % 20))),
            5 => self.on_session(side, choice, |e, id, now| e.accept(id, Vec::new(), None, now)),
            6 => self.on_session(side, choice, |e, id, now| e.hangup(id, Vec::new(), now)),
            7 => self.refuse(side, choice),
            8 => self.on_session(side, choice, |e, id, now| e.reoffer(id, None, now)),
            9 => self.respond(side, choice),
            10 => self.request(side, choice),
            11 => self.resolve(side, choice),
            12 => self.flow(side, choice),
            13 => self.deliver_written(choice, bytes),
            14 => self.noise(side, bytes),
            15 => self.sides[side].endpoint.set_accepting(choice % 4 != 0),
            16 => self.on_session(side, choice, |e, id, now| {
                let status = [StatusCode::RINGING, StatusCode::SESSION_PROGRESS][usize::from(choice & 1)];
                e.progress(id, status, Vec::new(), Some(description()), now);
            }),
            17 => self.on_session(side, choice, |e, id, now| e.accept(id, Vec::new(), Some(description()), now)),
            18 => self.send_request(side, choice),
            19 => self.answer_request(side, choice),
            20 => self.on_session(side, choice, |e, id, now| {
                e.update(id, (choice & 1 == 0).then(description), now);
            }),
            21 => self.refer(side, choice),
            22 => self.follow(side, choice),
            23 => self.on_session(side, choice, |e, id, now| e.acknowledge(id, Some(description()), now)),
            24 => self.on_session(side, choice, |e, id, now| e.prack_answer(id, Some(description()), now)),
            25 => self.on_session(side, choice, |e, id, now| e.reoffer(id, Some(description()), now)),
            26 => self.replace(side, choice),
            27 => self.advance(Duration::from_secs(choice.into())),
            _ => self.deliver(choice),
        }
    }

    fn invite(&mut self, side: usize, choice: u8) {
        self.place(side, choice, Vec::new());
    }

    fn place(&mut self, side: usize, choice: u8, headers: Headers) {
        let other = self.sides[1 - side].ip;
        let transport = [Transport::Udp, Transport::Udp, Transport::Tcp, Transport::Tls][usize::from(choice % 4)];
        let host = if choice & 16 == 0 { other.to_string() } else { "trunk.example".to_owned() };
        let invite = Invite {
            uri: uri("sip:b@example.com"),
            next_hop: NextHop::new(host, None, transport),
            from: NameAddr::new(uri("sip:a@example.com")),
            to: NameAddr::new(uri("sip:b@example.com")),
            contact_user: None,
            call_id: None,
            max_forwards: super::MAX_FORWARDS,
            routes: Vec::new(),
            headers,
            body: (choice & 8 == 0).then(description),
            credentials: (choice & 32 != 0).then(credentials),
            try_timeout: (choice & 64 != 0).then_some(Duration::from_secs(2)),
            ring_timeout: (choice & 128 != 0).then_some(Duration::from_secs(9)),
        };
        let now = self.now;
        if let Ok(id) = self.sides[side].endpoint.invite(invite, now) {
            self.sides[side].sessions.insert(id, 0);
        }
        self.drain(side);
    }

    fn request(&mut self, side: usize, choice: u8) {
        let method = [Method::Options, Method::Register, Method::Bye, Method::Info][usize::from(choice % 4)].clone();
        let host = self.sides[1 - side].ip.to_string();
        let request = OutOfDialog {
            method,
            uri: uri("sip:example.com"),
            next_hop: NextHop::new(host, None, Transport::Udp),
            from: NameAddr::new(uri("sip:a@example.com")),
            to: NameAddr::new(uri("sip:a@example.com")),
            call_id: None,
            cseq: None,
            headers: Vec::new(),
            body: None,
            credentials: (choice & 32 != 0).then(credentials),
        };
        let now = self.now;
        let _ = self.sides[side].endpoint.request(request, now);
        self.drain(side);
    }

    fn send_request(&mut self, side: usize, choice: u8) {
        let methods = [Method::Info, Method::Message, Method::Notify, Method::Subscribe, Method::Prack];
        let method = methods[usize::from(choice) % methods.len()].clone();
        self.on_session(side, choice, |e, id, now| {
            let event = vec![("Event".to_owned(), "refer".to_owned())];
            let _ = e.send_request(id, method, event, Some(description()), now);
        });
    }

    fn answer_request(&mut self, side: usize, choice: u8) {
        let now = self.now;
        if let Some((session, id)) = self.sides[side].requests.pop() {
            let status = [StatusCode::OK, StatusCode::BAD_EVENT, StatusCode::RINGING][usize::from(choice % 3)];
            self.sides[side].endpoint.answer_request(session, id, status, Vec::new(), None, now);
            self.drain(side);
        }
    }

    fn refer(&mut self, side: usize, choice: u8) {
        let to = NameAddr::new(uri("sip:c@example.com"));
        let silent = (choice & 1 == 1).then(|| ("Refer-Sub".to_owned(), "false".to_owned()));
        self.on_session(side, choice, |e, id, now| {
            let _ = e.refer(id, &to, silent.into_iter().collect(), now);
        });
    }

    /// What a user does with a REFER.
    fn follow(&mut self, side: usize, choice: u8) {
        let now = self.now;
        let Some((session, id)) = self.sides[side].refers.iter().rev().nth(usize::from(choice >> 4)).copied() else {
            return;
        };
        let endpoint = &mut self.sides[side].endpoint;
        match choice % 4 {
            0 => endpoint.refer_reject(session, id, StatusCode::DECLINE, now),
            1 | 2 => endpoint.refer_accept(session, id, now),
            _ => endpoint.refer_notify(session, id, StatusCode::OK, "OK", choice & 4 == 0, now),
        }
        self.drain(side);
    }

    /// A call that asks to take a session's place.
    fn replace(&mut self, side: usize, choice: u8) {
        let known = self.sides[side].sessions.keys().nth(usize::from(choice >> 4)).copied();
        let Some(value) = known.and_then(|id| self.sides[side].endpoint.replaces_header(id)) else { return };
        self.place(side, choice, vec![("Replaces".to_owned(), value)]);
    }

    fn on_session(&mut self, side: usize, choice: u8, f: impl FnOnce(&mut Endpoint, SessionId, Now)) {
        let now = self.now;
        let chosen = self.sides[side].sessions.keys().nth(usize::from(choice)).copied();
        let fallback = self.sides[side].sessions.keys().next_back().copied();
        if let Some(id) = chosen.or(fallback) {
            f(&mut self.sides[side].endpoint, id, now);
            self.drain(side);
        }
    }

    fn refuse(&mut self, side: usize, choice: u8) {
        let status = StatusCode::new(100 + 7 * u16::from(choice % 85)).unwrap_or(StatusCode::RINGING);
        let challenge = vec![("WWW-Authenticate".to_owned(), "Digest realm=\"r\",nonce=\"n\",qop=\"auth\"".to_owned())];
        self.on_session(side, choice, |endpoint, id, now| match status.code() {
            100..=199 => endpoint.progress(id, status, Vec::new(), None, now),
            200..=399 => endpoint.reject(id, StatusCode::UNAUTHORIZED, challenge, now),
            _ => endpoint.reject(id, status, Vec::new(), now),
        });
    }

    fn respond(&mut self, side: usize, choice: u8) {
        let now = self.now;
        if let Some((session, id)) = self.sides[side].reoffers.pop() {
            let status = if choice & 1 == 0 { StatusCode::OK } else { StatusCode::NOT_ACCEPTABLE_HERE };
            let body = (choice & 2 == 0).then(description);
            self.sides[side].endpoint.respond(session, id, status, body, now);
            self.drain(side);
        }
    }

    /// A packet that was sent: delivered and forgotten, or (odd choices) delivered and kept, to come again.
    fn deliver(&mut self, choice: u8) {
        if self.packets.is_empty() {
            return;
        }
        let at = usize::from(choice >> 1) % self.packets.len();
        let packet = if choice & 1 == 0 { self.packets.remove(at) } else { self.packets[at].clone() };
        let (from, _, bytes) = packet;
        self.datagram(1 - from, bytes);
    }

    fn deliver_mutated(&mut self, choice: u8, input: &mut impl Iterator<Item = u8>) {
        let Some((from, _, bytes)) = self.packets.get(usize::from(choice) % self.packets.len().max(1)).cloned() else {
            return;
        };
        let mut bytes = bytes.to_vec();
        for _ in 0..=(choice % 4) {
            let at = usize::from(input.next().unwrap_or(0)) << 2;
            let value = input.next().unwrap_or(b' ');
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        self.datagram(1 - from, bytes.into());
    }

    fn noise(&mut self, side: usize, input: &mut impl Iterator<Item = u8>) {
        let length = usize::from(input.next().unwrap_or(0));
        let bytes: Vec<u8> = input.take(length).collect();
        self.datagram(side, bytes.into());
    }

    fn datagram(&mut self, side: usize, bytes: Bytes) {
        let from = SocketAddr::from((self.sides[1 - side].ip, 5060));
        self.input(side, Input::Datagram { local: LocalId(0), from, bytes });
    }

    fn resolve(&mut self, side: usize, choice: u8) {
        let other = SocketAddr::from((self.sides[1 - side].ip, 5060));
        if let Some(query) = self.sides[side].queries.pop() {
            let addresses = vec![other; usize::from(choice % 4)];
            self.input(side, Input::Resolved { query, addresses });
        }
    }

    /// A stream stands, breaks, or comes from nowhere.
    fn flow(&mut self, side: usize, choice: u8) {
        let peer = SocketAddr::from((self.sides[1 - side].ip, 40_000 + u16::from(choice)));
        let known = self.sides[side].flows.get(usize::from(choice >> 2)).copied();
        match (choice % 4, known) {
            (0 | 1, Some((flow, local_addr))) => self.input(side, Input::Opened { flow, local_addr }),
            (2, Some((flow, _))) => {
                self.sides[side].flows.retain(|(f, _)| *f != flow);
                self.input(side, Input::Closed { flow, reason: String::new() });
            }
            _ => {
                let flow = FlowId(u64::from(choice) * 2 + 1);
                self.sides[side].flows.push((flow, peer));
                self.input(side, Input::Accepted { flow, local: LocalId(1 + u16::from(choice & 1)), peer });
            }
        }
    }

    /// Bytes written to a stream come out of one at the other side, cut where the input says.
    fn deliver_written(&mut self, choice: u8, input: &mut impl Iterator<Item = u8>) {
        if self.writes.is_empty() {
            return;
        }
        let (from, _, bytes) = self.writes.remove(usize::from(choice) % self.writes.len());
        let cut = usize::from(input.next().unwrap_or(255)).min(bytes.len());
        let flow = self.sides[1 - from].flows.first().map(|(flow, _)| *flow);
        if let Some(flow) = flow {
            self.input(1 - from, Input::Received { flow, bytes: bytes.slice(..cut) });
            self.input(1 - from, Input::Received { flow, bytes: bytes.slice(cut..) });
        }
    }

    fn advance(&mut self, by: Duration) {
        self.now = self.now.plus(by);
        for side in 0..2 {
            self.input(side, Input::Timeout);
        }
    }

    fn input(&mut self, side: usize, input: Input) {
        let now = self.now;
        self.sides[side].endpoint.handle(input, now);
        self.drain(side);
    }

    fn drain(&mut self, side: usize) {
        loop {
            match self.sides[side].endpoint.poll() {
                Output::Timeout(at) => {
                    self.sides[side].wake = at;
                    return;
                }
                Output::Effect(effect) => self.carry_out(side, effect),
                Output::Event(event) => self.hear(side, event),
            }
        }
    }

    fn carry_out(&mut self, side: usize, effect: Effect) {
        match effect {
            Effect::Transmit { to, bytes, .. } => remember(&mut self.packets, (side, to, bytes)),
            Effect::Write { flow, bytes } => remember(&mut self.writes, (side, flow, bytes)),
            Effect::Open { flow, peer, .. } => remember(&mut self.sides[side].flows, (flow, peer)),
            Effect::Close { flow } => self.sides[side].flows.retain(|(f, _)| *f != flow),
            Effect::Resolve { query, .. } => remember(&mut self.sides[side].queries, query),
        }
    }

    fn hear(&mut self, side: usize, event: Event) {
        match &event {
            Event::Answered { .. } => self.seen.answered += 1,
            Event::Confirmed { .. } => self.seen.confirmed += 1,
            Event::Reoffer { .. } => self.seen.reoffers += 1,
            Event::Ended { by: EndedBy::Peer, .. } => self.seen.ended_by_peer += 1,
            Event::ProgressAcked { .. } => self.seen.progress_acked += 1,
            Event::Request { .. } => self.seen.requests += 1,
            Event::ReferProgress { terminated: true, .. } => self.seen.referred += 1,
            Event::ReofferDone { result: Ok(_), .. } => self.seen.changed += 1,
            Event::ReofferAck { ack, answers: true, .. } if !ack.body().is_empty() => self.seen.late_answers += 1,
            _ => {}
        }
        let side = &mut self.sides[side];
        match event {
            Event::Incoming { session, .. } => {
                assert_eq!(side.sessions.insert(session, 0), None, "a session opens once");
            }
            Event::Reoffer { session, id, .. } => {
                side.assert_speaks(session);
                remember(&mut side.reoffers, (session, id));
            }
            Event::Request { session, id, .. } => {
                side.assert_speaks(session);
                remember(&mut side.requests, (session, id));
            }
            Event::Refer { session, id, .. } => {
                side.assert_speaks(session);
                remember(&mut side.refers, (session, id));
            }
            Event::RequestDone { session, id, .. } => {
                side.assert_speaks(session);
                assert!(side.done.insert(id), "one end a request");
            }
            Event::Failed { session, .. } | Event::Ended { session, .. } => {
                let words = side.sessions.entry(session).or_default();
                *words += 1;
                assert_eq!(*words, 1, "one last word a session");
            }
            Event::Progress { session, .. }
            | Event::Answered { session, .. }
            | Event::Confirmed { session, .. }
            | Event::ReofferDone { session, .. }
            | Event::ReofferAck { session, .. }
            | Event::Refreshed { session, .. }
            | Event::ProgressAcked { session, .. }
            | Event::ReferProgress { session, .. }
            | Event::ReferDone { session, .. } => side.assert_speaks(session),
            Event::Arrived { .. } | Event::FlowClosed { .. } | Event::Reply { .. } | Event::Ladder { .. } => {}
        }
    }

    /// Everything is hung up, nothing arrives any more, and time passes.
    fn finish(&mut self) {
        for side in 0..2 {
            let now = self.now;
            let ids: Vec<SessionId> = self.sides[side].sessions.keys().copied().collect();
            for id in ids {
                self.sides[side].endpoint.hangup(id, Vec::new(), now);
            }
            self.drain(side);
        }
        // From wake to wake: whatever waits, waits for a time.
        let end = self.now.after(Duration::from_secs(400));
        while let Some(at) = self.sides.iter().filter_map(|side| side.wake).min() {
            assert!(at <= end, "something waits for longer than anything may");
            self.advance(Duration::from_nanos(at.saturating_sub(self.now.mono)));
        }
        for side in &self.sides {
            assert_eq!(side.endpoint.load(), Load::default(), "something is left");
            assert!(side.sessions.values().all(|words| *words == 1), "each session has had its last word");
        }
    }
}

impl Side {
    #[track_caller]
    fn assert_speaks(&self, session: SessionId) {
        assert_eq!(self.sessions.get(&session).copied().unwrap_or(0), 0, "nothing after the last word");
    }
}

fn description() -> Body {
    ("application/sdp".to_owned(), Bytes::from_static(b"v=0\r\n"))
}

fn remember<T>(list: &mut Vec<T>, item: T) {
    if list.len() == REMEMBERED {
        list.remove(0);
    }
    list.push(item);
}

fn locals(ip: Ipv4Addr) -> Vec<Local> {
    let local = |id, transport: Transport| {
        let addr = SocketAddr::from((ip, transport.default_port()));
        Local { id: LocalId(id), transport, bound: addr, advertised: addr, inside: addr }
    };
    vec![local(0, Transport::Udp), local(1, Transport::Tcp), local(2, Transport::Tls)]
}

fn credentials() -> Credentials {
    Credentials { username: "u".to_owned(), password: "p".into(), realm: None }
}

fn uri(text: &str) -> Uri {
    Uri::parse(text.as_bytes()).unwrap_or_else(|_| Uri::sip(None, crate::uri::Host::V4(Ipv4Addr::LOCALHOST), None))
}
