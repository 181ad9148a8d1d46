//! What the strata of an endpoint share: configuration, time, randomness, timers, tables, and what is to be said.
//!
//! [`Core`] knows nothing of sessions. What concerns them it says as a [`Notice`], which the endpoint takes from the
//! queue after each step: so no stratum calls back into the one above it.

use super::authorize::Authorizer;
use super::compose::{Face, Wire};
use super::config::Config;
use super::event::{Event, Failure, LadderEntry, Output};
use super::exchange::{Exchange, ExchangeId, Purpose};
use super::flows::{FlowState, Flows};
use super::rest::Resting;
use super::timer::TimerKey;
use super::transactions::{ClientId, Clients, Servers};
use super::{RequestId, SessionId};
use crate::dialog::DialogId;
use crate::message::Message;
use crate::transport::{Effect, FlowId, LocalId, QueryId, Transport};
use base::{Now, Rng, Timers};
use bytes::Bytes;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;

/// Where bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    /// A datagram.
    Datagram { local: LocalId, to: SocketAddr },
    /// A stream.
    Stream(FlowId),
}

/// Whose request it is: who holds the credentials and hears the outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Owner {
    Session(SessionId),
    Request(RequestId),
}

/// What the lower strata say to the upper ones.
#[derive(Debug)]
pub(super) enum Notice {
    /// A response, to a client transaction that has an exchange or is an INVITE's.
    Response { client: ClientId, exchange: Option<ExchangeId>, message: Message },
    /// A client transaction came to nothing.
    Broken { client: ClientId, exchange: Option<ExchangeId>, failure: Failure },
    /// A provisional response to a request of ours.
    Progress { purpose: Purpose, client: ClientId, message: Message },
    /// The end of a request of ours.
    Done { purpose: Purpose, client: Option<ClientId>, cseq: u32, result: Result<Message, Failure> },
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) config: Config,
    pub(super) rng: Rng,
    pub(super) now: Now,
    pub(super) timers: Timers<TimerKey>,
    pub(super) outputs: VecDeque<Output>,
    pub(super) notices: VecDeque<Notice>,
    pub(super) flows: Flows,
    pub(super) clients: Clients,
    pub(super) servers: Servers,
    pub(super) exchanges: FxHashMap<ExchangeId, Box<Exchange>>,
    pub(super) queries: BTreeMap<QueryId, ExchangeId>,
    pub(super) resting: Resting,
    pub(super) authorizers: BTreeMap<Owner, Authorizer>,
    /// Whose dialog a request is in, and the stream it lives on. Looked up, never listed.
    pub(super) dialogs: HashMap<DialogId, (SessionId, Option<FlowId>)>,
    /// What keys the tags of answers without state (RFC 3261 §8.2.7).
    pub(super) tag_secret: [u8; 32],
    last_id: u64,
}

impl Core {
    pub(super) fn new(config: Config, mut rng: Rng) -> Self {
        let mut tag_secret = [0; 32];
        rng.fill(&mut tag_secret);
        Self {
            config,
            rng,
            now: Now::default(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            notices: VecDeque::new(),
            flows: Flows::default(),
            clients: Clients::default(),
            servers: Servers::default(),
            exchanges: FxHashMap::default(),
            queries: BTreeMap::new(),
            resting: Resting::default(),
            authorizers: BTreeMap::new(),
            dialogs: HashMap::new(),
            tag_secret,
            last_id: 0,
        }
    }

    /// The next of the numbers that name transactions, exchanges, sessions, requests and queries.
    pub(super) const fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn effect(&mut self, effect: Effect) {
        self.outputs.push_back(Output::Effect(effect));
    }

    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    /// Sets a timer to a time from now.
    pub(super) fn start(&mut self, key: TimerKey, after: std::time::Duration) {
        self.timers.set(key, self.now.after(after));
    }

    /// The transport and the other end of a target; nothing where its stream is gone.
    pub(super) fn far_end(&self, target: Target) -> Option<(Transport, SocketAddr)> {
        match target {
            Target::Datagram { to, .. } => Some((Transport::Udp, to)),
            Target::Stream(flow) => self.flows.get(flow).map(|flow| (flow.transport, flow.peer)),
        }
    }

    /// What we name ourselves toward a target: the listener of its transport, or our end of its stream.
    pub(super) fn face(&self, target: Target) -> Option<Face> {
        let (transport, peer) = self.far_end(target)?;
        let ip = peer.ip();
        let (named, own) = match target {
            Target::Datagram { local, .. } => (self.config.local(local), None),
            Target::Stream(flow) => {
                let flow = self.flows.get(flow)?;
                let own = if let FlowState::Open(own) = flow.state { own } else { None };
                (flow.local.and_then(|id| self.config.local(id)), own)
            }
        };
        let local = named.or_else(|| self.config.local_toward(transport, ip));
        let addr = local.map(|local| self.config.face(local, ip)).or(own)?;
        Some(Face { transport, addr })
    }

    /// Puts bytes on the wire, and the ladder; false where the stream is gone or takes no more.
    pub(super) fn transmit(
        &mut self,
        session: Option<SessionId>,
        target: Target,
        wire: &Wire,
        retransmission: bool,
    ) -> bool {
        let Some((transport, peer)) = self.far_end(target) else { return false };
        let bytes = wire.bytes.clone();
        let taken = match target {
            Target::Datagram { local, to } => {
                self.effect(Effect::Transmit { local, to, bytes });
                true
            }
            Target::Stream(flow) => self.write(flow, bytes),
        };
        if taken {
            self.ladder_sent(session, (transport, peer), wire, retransmission);
        }
        taken
    }

    fn write(&mut self, id: FlowId, bytes: Bytes) -> bool {
        match self.flows.get_mut(id).map(|flow| &mut flow.state) {
            None => false,
            Some(FlowState::Opening(waiting)) => waiting.queue(bytes),
            Some(FlowState::Open(_)) => {
                self.effect(Effect::Write { flow: id, bytes });
                self.touch(id);
                true
            }
        }
    }

    fn ladder_sent(&mut self, session: Option<SessionId>, peer: (Transport, SocketAddr), wire: &Wire, again: bool) {
        let entry = LadderEntry {
            at: self.now,
            sent: true,
            transport: peer.0,
            peer: peer.1,
            line: first_line(&wire.bytes),
            cseq: wire.cseq.clone(),
            has_body: wire.has_body,
            retransmission: again,
        };
        self.event(Event::Ladder { session, entry });
    }

    /// A message that has arrived, for the ladder.
    pub(super) fn ladder_received(
        &mut self,
        session: Option<SessionId>,
        peer: (Transport, SocketAddr),
        message: &Message,
        again: bool,
    ) {
        let entry = LadderEntry {
            at: self.now,
            sent: false,
            transport: peer.0,
            peer: peer.1,
            line: message.start_line().into_owned(),
            cseq: message.cseq().map(|cseq| cseq.to_string()).unwrap_or_default(),
            has_body: !message.body().is_empty(),
            retransmission: again,
        };
        self.event(Event::Ladder { session, entry });
    }
}

/// The first line of what we have written ourselves: it holds no control character.
fn first_line(bytes: &Bytes) -> String {
    let end = memchr::memchr(b'\r', bytes).unwrap_or(bytes.len());
    String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned()
}
