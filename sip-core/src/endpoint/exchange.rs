//! A request of ours, from the wish to the final response: found its way (RFC 3263 §4), sent over each address in turn
//! (§4.3), answered to a challenge (RFC 3261 §22), given up.
//!
//! An exchange owns at most one live transaction. Those it has left behind (an address that stayed silent) are strays:
//! what they still bring is ended by [`Core::stray`].

use super::SessionId;
use super::command::{Body, Headers, InDialogId, NextHop, ReferId, RequestId};
use super::compose::Draft;
use super::config::{MAX_ADDRESSES, MAX_DATAGRAM, RESOLVE_TIMEOUT};
use super::core::{Core, Notice, Owner, Target};
use super::event::Failure;
use super::timer::{ExchangeTimer, TimerKey};
use super::transactions::{ClientId, NewClient};
use crate::message::{Message, Method, Name, StatusCode};
use crate::transaction::ClientInput;
use crate::transport::{Effect, FlowId, LocalId, QueryId, Records, Transport, locate};
use crate::uri::Host;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// One request of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ExchangeId(pub(super) u64);

/// What it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The INVITE that opens a session.
    Invite(SessionId),
    /// A re-INVITE.
    Reinvite(SessionId),
    /// The BYE that ends a session.
    Bye(SessionId),
    /// The BYE of a fork that nobody wants.
    Surplus(Option<SessionId>),
    /// The ACK of this INVITE's 2xx with this tag: sent once, kept with the INVITE for the copies of the 2xx.
    Ack(ClientId, Box<str>),
    /// Any other request inside a session's dialog.
    Inside(SessionId, Inside),
    /// A request outside of sessions.
    Outside(RequestId),
}

/// What a request inside a dialog is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inside {
    /// An UPDATE, by the number of the change that it is part of.
    Update(u64),
    /// For the reliable provisional of this RSeq.
    Prack(u32),
    /// Our user's.
    Request(InDialogId),
    Refer,
    /// What has become of a REFER of the peer's.
    Notify(ReferId),
}

/// By which way it goes.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) hop: NextHop,
    /// What a certificate must carry.
    pub(super) server_name: String,
    /// The stream to be used while it stands, whatever the address.
    pub(super) flow: Option<FlowId>,
    /// The UDP listener that the dialog has been using.
    pub(super) local: Option<LocalId>,
}

impl Way {
    /// Toward a configured next hop.
    pub(super) fn to(hop: NextHop) -> Self {
        Self { server_name: name_of(&hop.host), flow: hop.flow, local: hop.local, hop }
    }
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Exchange {
    purpose: Purpose,
    pub(super) owner: Option<Owner>,
    session: Option<SessionId>,
    /// Its transaction has it too.
    draft: Arc<Draft>,
    body: Option<Body>,
    way: Way,
    /// Each address may be silent so long.
    try_timeout: Option<Duration>,
    addresses: VecDeque<(Transport, SocketAddr)>,
    /// The one of them that is being tried.
    trying: Option<(Transport, SocketAddr)>,
    authorization: Option<Vec<(Name, String)>>,
    progress: Step,
    /// The user wants it no more; what its CANCEL carries.
    canceled: Option<Headers>,
    last_failure: Failure,
    /// It is on its way once more, after its connection broke.
    repeated: bool,
}

/// How far it is.
#[derive(Debug)]
enum Step {
    /// The resolver is asked.
    Resolving(QueryId),
    /// A stream is on its way.
    Opening(FlowId),
    /// Sent.
    Sent(Sent),
    /// Between two of these.
    Next,
}

/// The live transaction of an exchange.
#[derive(Clone, Copy, Debug)]
struct Sent {
    client: ClientId,
    target: Target,
    /// A response has come.
    heard: bool,
}

/// What a new exchange is made of.
pub(super) struct NewExchange {
    pub(super) purpose: Purpose,
    pub(super) owner: Option<Owner>,
    pub(super) session: Option<SessionId>,
    pub(super) draft: Draft,
    pub(super) body: Option<Body>,
    pub(super) way: Way,
    pub(super) try_timeout: Option<Duration>,
    /// The credentials' answer where it is already known: an ACK's are its INVITE's (§22.1).
    pub(super) authorization: Option<Vec<(Name, String)>>,
}

impl Core {
    /// Sends a request of ours on its way.
    pub(super) fn start_exchange(&mut self, new: NewExchange) -> ExchangeId {
        let id = ExchangeId(self.next_id());
        let exchange = Exchange {
            purpose: new.purpose,
            owner: new.owner,
            session: new.session,
            draft: Arc::new(new.draft),
            body: new.body,
            way: new.way,
            try_timeout: new.try_timeout,
            addresses: VecDeque::new(),
            trying: None,
            authorization: new.authorization,
            progress: Step::Next,
            canceled: None,
            last_failure: Failure::Unresolved,
            repeated: false,
        };
        self.exchanges.insert(id, Box::new(exchange));
        self.locate(id);
        id
    }

    /// How far a request of ours is.
    fn progress(&self, id: ExchangeId) -> Option<&Step> {
        self.exchanges.get(&id).map(|exchange| &exchange.progress)
    }

    /// The stream at hand, the literal address, or the resolver.
    fn locate(&mut self, id: ExchangeId) {
        let Some(exchange) = self.exchanges.get(&id) else { return };
        if let Some(flow) =
            exchange.way.flow.filter(|flow| self.flows.get(*flow).is_some_and(super::flows::Flow::is_open))
        {
            return self.attempt(id, Target::Stream(flow));
        }
        if exchange.way.hop.flow.is_some() {
            // RFC 5626 §5.3: nobody is at the address that a NAT has lent.
            return self.fail(id, Failure::Transport("the connection is gone".to_owned()));
        }
        let hop = exchange.way.hop.clone();
        match literal(&hop.host) {
            Some(ip) => {
                let port = hop.port.unwrap_or_else(|| hop.transport.default_port());
                self.located(id, vec![(hop.transport, SocketAddr::new(ip, port))]);
            }
            // A URI without a host (`tel:` as a Contact) leads nowhere.
            None if hop.host.is_empty() => self.located(id, Vec::new()),
            None => self.resolve(id, hop),
        }
    }

    fn resolve(&mut self, id: ExchangeId, hop: NextHop) {
        let query = QueryId(self.next_id());
        self.queries.insert(query, id);
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.progress = Step::Resolving(query);
        }
        self.start(TimerKey::Exchange(id, ExchangeTimer::Resolve), RESOLVE_TIMEOUT);
        let transport = (!hop.any_transport).then_some(hop.transport);
        self.effect(Effect::Resolve { query, host: hop.host, port: hop.port, transport });
    }

    /// The resolver's answer, in order.
    pub(super) fn resolved(&mut self, query: QueryId, addresses: Vec<SocketAddr>) {
        let Some(id) = self.answered_query(query) else { return };
        let Some(transport) = self.exchanges.get(&id).map(|exchange| exchange.way.hop.transport) else { return };
        self.located(id, addresses.into_iter().map(|address| (transport, address)).collect());
    }

    /// The resolver's answer, to be put in order (RFC 3263 §4).
    pub(super) fn found(&mut self, query: QueryId, records: &Records) {
        let Some(id) = self.answered_query(query) else { return };
        let Some(hop) = self.exchanges.get(&id).map(|exchange| exchange.way.hop.clone()) else { return };
        let transport = (!hop.any_transport).then_some(hop.transport);
        let mut found = locate::candidates(&hop.host, hop.port, transport, records, &mut self.rng);
        // A datagram cannot leave from a socket of the other family.
        found.retain(|(transport, peer)| {
            transport.is_reliable() || self.config.local_toward(*transport, peer.ip()).is_some()
        });
        self.located(id, found);
    }

    fn answered_query(&mut self, query: QueryId) -> Option<ExchangeId> {
        let id = self.queries.remove(&query)?;
        self.timers.stop(TimerKey::Exchange(id, ExchangeTimer::Resolve));
        Some(id)
    }

    /// The resolver did not answer in time.
    pub(super) fn resolve_timed_out(&mut self, id: ExchangeId) {
        if let Some(&Step::Resolving(query)) = self.progress(id) {
            self.queries.remove(&query);
            self.located(id, Vec::new());
        }
    }

    fn located(&mut self, id: ExchangeId, mut addresses: Vec<(Transport, SocketAddr)>) {
        self.resting.last(&mut addresses, self.now);
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        // Only the next hop its user named may see credentials, never one that a peer's Contact or Record-Route names.
        if matches!(exchange.purpose, Purpose::Invite(_) | Purpose::Outside(_))
            && let Some(authorizer) = exchange.owner.and_then(|owner| self.authorizers.get_mut(&owner))
        {
            authorizer.trust(addresses.iter().map(|(_, address)| address.ip()));
        }
        exchange.addresses = addresses.into_iter().take(MAX_ADDRESSES).collect();
        self.next_address(id);
    }

    /// The next address that has not been tried; without one it is over.
    fn next_address(&mut self, id: ExchangeId) {
        self.timers.stop(TimerKey::Exchange(id, ExchangeTimer::Try));
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        exchange.progress = Step::Next;
        let next = exchange.addresses.pop_front().filter(|_| exchange.canceled.is_none());
        exchange.trying = None;
        let Some(next) = next else {
            let failure = exchange.last_failure.clone();
            return self.finish(id, Err(failure));
        };
        let (transport, peer) = self.transport_for(id, next);
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        exchange.trying = Some((transport, peer));
        let (name, local) = (exchange.way.server_name.clone(), exchange.way.local);
        match self.target(transport, peer, &name, local) {
            Some(target) => self.aim(id, target),
            None => self.fail(id, Failure::Transport(format!("{transport} {peer}: no listener or connection for it"))),
        }
    }

    /// RFC 3261 §18.1.1: what is too large for a datagram goes over TCP, and only where that is refused in a datagram after
    /// all; a transport that somebody named stays.
    fn transport_for(&mut self, id: ExchangeId, (transport, peer): (Transport, SocketAddr)) -> (Transport, SocketAddr) {
        let over_tcp = (Transport::Tcp, peer);
        let is_free = self.exchanges.get(&id).is_some_and(|exchange| exchange.way.hop.any_transport);
        if transport != Transport::Udp || !is_free || self.resting.holds(over_tcp, self.now) || !self.is_large(id, peer)
        {
            return (transport, peer);
        }
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.addresses.push_front((transport, peer));
        }
        over_tcp
    }

    fn is_large(&mut self, id: ExchangeId, peer: SocketAddr) -> bool {
        let fits = |exchange: &Exchange| {
            let credentials = exchange.authorization.iter().flatten().map(|(_, value)| value.len() + 32).sum::<usize>();
            exchange.draft.at_most(&self.config, exchange.body.as_ref()) + credentials <= MAX_DATAGRAM
        };
        // Nearly all are, and need not be written to know it.
        if self.exchanges.get(&id).is_none_or(|exchange| fits(exchange)) {
            return false;
        }
        let Some(local) = self.config.local_toward(Transport::Udp, peer.ip()).map(|local| local.id) else {
            return false;
        };
        let Some(face) = self.face(Target::Datagram { local, to: peer }) else { return false };
        let via = face.via(&mut self.rng);
        let Some(exchange) = self.exchanges.get(&id) else { return false };
        let authorization = exchange.authorization.clone().unwrap_or_default();
        exchange.draft.compose(&self.config, face, &via, &authorization, exchange.body.as_ref()).bytes.len()
            > MAX_DATAGRAM
    }

    fn target(&mut self, transport: Transport, peer: SocketAddr, name: &str, local: Option<LocalId>) -> Option<Target> {
        if transport.is_reliable() {
            return self.flow_to(transport, peer, name).map(Target::Stream);
        }
        let usual = self.config.local_toward(transport, peer.ip()).map(|local| local.id);
        let same_family = |id: &LocalId| self.config.local(*id).is_some_and(|l| l.bound.is_ipv4() == peer.is_ipv4());
        local.filter(same_family).or(usual).map(|local| Target::Datagram { local, to: peer })
    }

    /// Sends it, at once or when the stream stands. The patience with an address counts from here.
    fn aim(&mut self, id: ExchangeId, target: Target) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let patience = exchange.try_timeout;
        if let Target::Stream(flow) = target
            && let Some(super::flows::FlowState::Opening(waiting)) =
                self.flows.get_mut(flow).map(|flow| &mut flow.state)
        {
            waiting.exchanges.push(id);
            exchange.progress = Step::Opening(flow);
        } else {
            self.attempt(id, target);
        }
        if let Some(patience) = patience.filter(|_| self.exchanges.contains_key(&id)) {
            self.start(TimerKey::Exchange(id, ExchangeTimer::Try), patience);
        }
    }

    /// The stream it waited for stands.
    pub(super) fn flow_stands(&mut self, id: ExchangeId, flow: FlowId) {
        if matches!(self.progress(id), Some(Step::Opening(f)) if *f == flow) {
            self.attempt(id, Target::Stream(flow));
        }
    }

    /// The stream it waited for will not stand.
    pub(super) fn flow_failed(&mut self, id: ExchangeId, flow: FlowId, reason: &str) {
        if matches!(self.progress(id), Some(Step::Opening(f)) if *f == flow) {
            self.fail(id, Failure::Transport(reason.to_owned()));
        }
    }

    /// Puts it on the wire: from here a transaction has it.
    fn attempt(&mut self, id: ExchangeId, target: Target) {
        self.preauthorize(id, target);
        let Some(face) = self.face(target) else {
            return self.fail(id, Failure::Transport("no listener to name as our address".to_owned()));
        };
        let via = face.via(&mut self.rng);
        let trusted = self.may_see_credentials(id, target);
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let authorization = exchange.authorization.clone().filter(|_| trusted).unwrap_or_default();
        let wire = exchange.draft.compose(&self.config, face, &via, &authorization, exchange.body.as_ref());
        if let Purpose::Ack(client, tag) = exchange.purpose.clone() {
            return self.send_ack(id, client, &tag, target, &wire);
        }
        let new = NewClient {
            target,
            wire,
            via,
            draft: exchange.draft.clone(),
            exchange: Some(id),
            session: exchange.session,
            authorization,
            server_name: Some(exchange.way.server_name.clone()),
            is_device: exchange.way.hop.flow.is_some() || exchange.way.hop.local.is_some(),
        };
        let client = self.start_client(new);
        if let Some(exchange) = self.exchanges.get_mut(&id) {
            exchange.progress = Step::Sent(Sent { client, target, heard: false });
        }
    }

    fn may_see_credentials(&self, id: ExchangeId, target: Target) -> bool {
        let owner = self.exchanges.get(&id).and_then(|exchange| exchange.owner);
        let authorizer = owner.and_then(|owner| self.authorizers.get(&owner));
        let peer = self.far_end(target).map(|(_, peer)| peer.ip());
        authorizer.zip(peer).is_some_and(|(authorizer, peer): (_, IpAddr)| authorizer.trusts(peer))
    }

    /// A challenge met earlier is answered before it comes again.
    fn preauthorize(&mut self, id: ExchangeId, target: Target) {
        if !self.may_see_credentials(id, target) {
            return;
        }
        let Some(exchange) = self.exchanges.get_mut(&id).filter(|e| e.authorization.is_none()) else { return };
        let Some(authorizer) = exchange.owner.and_then(|owner| self.authorizers.get_mut(&owner)) else { return };
        exchange.authorization = Some(authorizer.preauthorize(&exchange.draft, exchange.body.as_ref(), &mut self.rng));
    }

    /// An ACK has no transaction: it is sent, and kept with its INVITE.
    fn send_ack(&mut self, id: ExchangeId, client: ClientId, tag: &str, target: Target, wire: &super::compose::Wire) {
        let session = self.exchanges.remove(&id).and_then(|exchange| exchange.session);
        self.transmit(session, target, wire, false);
        if let Some(tx) = self.clients.table.get_mut(&client)
            && let Some(ack) = tx.acks.iter_mut().find(|ack| *ack.tag == *tag)
        {
            ack.sent = Some((target, wire.clone()));
        }
    }

    /// The live transaction of an exchange.
    pub(super) fn is_current(&self, id: ExchangeId, client: ClientId) -> bool {
        matches!(self.progress(id), Some(Step::Sent(sent)) if sent.client == client)
    }

    /// A response to the live transaction. A challenge is for [`Core::answer_challenge`].
    pub(super) fn exchange_response(&mut self, id: ExchangeId, client: ClientId, message: Message) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        self.timers.stop(TimerKey::Exchange(id, ExchangeTimer::Try));
        if let Step::Sent(sent) = &mut exchange.progress {
            sent.heard = true;
        }
        let Some(status) = message.status() else { return };
        if let Some(address) = exchange.trying {
            // RFC 3263 §4.3: 503 is the address's own failure; anything else is the word of somebody who lives.
            if status == StatusCode::SERVICE_UNAVAILABLE {
                self.resting.failed(address, retry_after(&message), self.now);
            } else {
                self.resting.answered(address);
            }
        }
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        if status.is_provisional() {
            let purpose = exchange.purpose.clone();
            // §9.1: the CANCEL that was waiting for this.
            if let Some(headers) = exchange.canceled.clone() {
                self.send_cancel(client, headers);
            }
            return self.notices.push_back(Notice::Progress { purpose, client, message });
        }
        if status == StatusCode::SERVICE_UNAVAILABLE && !exchange.addresses.is_empty() && exchange.canceled.is_none() {
            exchange.last_failure = Failure::Response(message);
            return self.next_address(id);
        }
        let result = if status.is_success() { Ok(message) } else { Err(Failure::Response(message)) };
        self.finish(id, result);
    }

    /// True where this response asks for credentials and the request is still wanted.
    pub(super) fn is_challenged(&self, id: ExchangeId, message: &Message) -> bool {
        let asks = matches!(message.status().map(StatusCode::code), Some(401 | 407));
        asks && self.exchanges.get(&id).is_some_and(|exchange| exchange.canceled.is_none())
    }

    /// Sends it again with credentials and this CSeq number, the same Call-ID and From tag (§22.2), or ends it.
    pub(super) fn answer_challenge(&mut self, id: ExchangeId, message: Message, cseq: u32) {
        let Some(Step::Sent(Sent { target, .. })) = self.progress(id) else {
            return;
        };
        let target = *target;
        let trusted = self.may_see_credentials(id, target);
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let authorizer = exchange.owner.filter(|_| trusted).and_then(|owner| self.authorizers.get_mut(&owner));
        let answer = match authorizer {
            None => Err(crate::auth::AuthFailure::NoCredentials),
            Some(authorizer) => authorizer.answer(&message, (&exchange.draft, exchange.body.as_ref()), &mut self.rng),
        };
        match answer {
            Err(why) => self.finish(id, Err(Failure::Auth(why, Some(message)))),
            Ok(authorization) => {
                Arc::make_mut(&mut exchange.draft).cseq = cseq;
                exchange.authorization = Some(authorization);
                self.aim(id, target);
            }
        }
    }

    /// Sends it again with this CSeq number and what `edit` changes: a 422 asks for that (RFC 4028 §7.3).
    pub(super) fn send_changed(&mut self, id: ExchangeId, cseq: u32, edit: impl FnOnce(&mut Headers)) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let Step::Sent(Sent { target, .. }) = exchange.progress else { return };
        Arc::make_mut(&mut exchange.draft).cseq = cseq;
        // Digest covers more than it did, and its count goes on: the answer is made anew.
        exchange.authorization = None;
        edit(&mut Arc::make_mut(&mut exchange.draft).headers);
        self.aim(id, target);
    }

    /// What it is for.
    pub(super) fn purpose_of(&self, id: ExchangeId) -> Option<&Purpose> {
        self.exchanges.get(&id).map(|exchange| &exchange.purpose)
    }

    /// Requests of ours that have not been sent yet.
    pub(super) fn unsent(&self) -> usize {
        self.exchanges.values().filter(|exchange| !matches!(exchange.progress, Step::Sent(_))).count()
    }

    /// The CSeq number it was last sent with.
    pub(super) fn cseq_of(&self, id: ExchangeId) -> u32 {
        self.exchanges.get(&id).map_or(0, |exchange| exchange.draft.cseq)
    }

    /// Not a word within its patience: the address is left to itself and the next one tried.
    pub(super) fn try_timed_out(&mut self, id: ExchangeId) {
        match self.progress(id) {
            Some(Step::Sent(Sent { client, heard: false, .. })) => {
                let client = *client;
                self.mute(client);
                self.fail(id, Failure::TryTimeout);
            }
            Some(Step::Opening(_) | Step::Resolving(_)) => self.fail(id, Failure::TryTimeout),
            _ => {}
        }
    }

    /// This address is of no use: the next one, or the end.
    pub(super) fn fail(&mut self, id: ExchangeId, failure: Failure) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        let is_dead = matches!(failure, Failure::TryTimeout | Failure::Timeout | Failure::Transport(_));
        exchange.last_failure = failure;
        if let Some(address) = exchange.trying.filter(|_| is_dead) {
            self.resting.failed(address, None, self.now);
        }
        // A BYE that is lost with its connection would leave the peer alone on the line: once more, over a new one. Whom it
        // has reached answers 481.
        let ends_a_call = matches!(exchange.purpose, Purpose::Bye(_) | Purpose::Surplus(_));
        let broke =
            matches!(exchange.last_failure, Failure::Transport(_)) && matches!(exchange.progress, Step::Sent(_));
        if ends_a_call && broke && !std::mem::replace(&mut exchange.repeated, true) {
            return self.locate(id);
        }
        self.next_address(id);
    }

    /// The user wants an INVITE no more: CANCEL now, or with the first provisional (§9.1), or nothing where nothing has
    /// been sent.
    pub(super) fn cancel(&mut self, id: ExchangeId, headers: Headers) {
        let Some(exchange) = self.exchanges.get_mut(&id) else { return };
        exchange.canceled = Some(headers.clone());
        self.timers.stop(TimerKey::Exchange(id, ExchangeTimer::Try));
        match exchange.progress {
            Step::Sent(Sent { client, .. }) => self.send_cancel(client, headers),
            _ => self.finish(id, Err(Failure::Canceled)),
        }
    }

    fn finish(&mut self, id: ExchangeId, result: Result<Message, Failure>) {
        let Some(exchange) = self.exchanges.remove(&id) else { return };
        self.timers.stop(TimerKey::Exchange(id, ExchangeTimer::Try));
        self.timers.stop(TimerKey::Exchange(id, ExchangeTimer::Resolve));
        if let Step::Resolving(query) = exchange.progress {
            self.queries.remove(&query);
        }
        let client = if let Step::Sent(sent) = exchange.progress { Some(sent.client) } else { None };
        self.notices.push_back(Notice::Done { purpose: exchange.purpose, client, cseq: exchange.draft.cseq, result });
    }

    /// What a transaction brings that no exchange waits for: a provisional is cancelled; the caller sees to a 2xx.
    pub(super) fn stray(&mut self, client: ClientId, message: &Message) {
        let is_invite = self.clients.table.get(&client).is_some_and(|tx| tx.draft.method == Method::Invite);
        if is_invite && message.status().is_some_and(StatusCode::is_provisional) {
            self.send_cancel(client, Headers::new());
        }
    }

    /// Ends every transaction on a stream that has closed.
    pub(super) fn fail_clients(&mut self, clients: impl IntoIterator<Item = ClientId>) {
        for client in clients {
            self.client_input(client, ClientInput::TransportError, None);
        }
    }
}

/// The seconds of a Retry-After (§20.33).
fn retry_after(response: &Message) -> Option<u32> {
    let value = response.header_str(Name::RetryAfter)?;
    value.split([' ', ';', '(']).next().and_then(|digits| digits.parse().ok())
}

/// What a certificate must carry for this host: the name, or the address without brackets.
pub(super) fn name_of(host: &str) -> String {
    literal(host).map_or_else(|| host.to_owned(), |ip| ip.to_string())
}

/// The address, where a host is one; IPv6 with or without brackets.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    host.parse().ok().or_else(|| Host::parse(host.as_bytes()).ok()?.ip())
}
