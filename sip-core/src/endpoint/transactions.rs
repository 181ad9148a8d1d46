//! The tables of transactions, and what drives their machines: bytes, addresses and timers (RFC 3261 §17).

use super::SessionId;
use super::command::Headers;
use super::compose::{Answer, Draft, Wire};
use super::core::{Core, Notice, Target};
use super::event::{Failure, Source};
use super::exchange::ExchangeId;
use super::timer::TimerKey;
use crate::header::{NameAddr, Via};
use crate::message::{Message, Method, Name, StatusCode};
use crate::transaction::{
    Action, Actions, Class, Client, ClientInput, ClientKey, Intervals, InviteClient, MergeKey, NonInviteClient, Server,
    ServerInput, ServerKey, Timer,
};
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;

/// A client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ClientId(pub(super) u64);

/// A server transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ServerId(pub(super) u64);

/// A request of ours, sent once.
#[derive(Debug)]
pub(super) struct ClientTx {
    machine: Client,
    intervals: Intervals,
    key: Fingerprint,
    pub(super) target: Target,
    /// Until a final response: from then on it is not sent again, and 64·T1 is long to hold it.
    wire: Option<Wire>,
    pub(super) exchange: Option<ExchangeId>,
    pub(super) session: Option<SessionId>,
    pub(super) draft: Arc<Draft>,
    via: Via,
    pub(super) authorization: Vec<(Name, String)>,
    /// The name that the flow's certificate carries, for what follows in the dialog.
    pub(super) server_name: Option<String>,
    /// It went where a device is known to be, and not where the device's own address says.
    pub(super) is_device: bool,
    nack: Option<Wire>,
    /// The ACKs of its 2xx, one a fork.
    pub(super) acks: Vec<Ack>,
    /// The early dialogs of its forks that have lost; as many as are followed ([`super::config::MAX_FORKS`]).
    pub(super) lost_forks: Vec<crate::dialog::Dialog>,
    /// Provisionals already heard, to know their copies: status and To's tag.
    heard: Vec<(u16, Box<str>)>,
    pub(super) canceled: bool,
}

/// The ACK of one fork's 2xx: sent again with each copy of it (§13.2.2.4).
#[derive(Debug)]
pub(super) struct Ack {
    /// To's tag.
    pub(super) tag: Box<str>,
    /// Nothing while it looks for its way.
    pub(super) sent: Option<(Target, Wire)>,
}

/// What a new client transaction is made of.
pub(super) struct NewClient {
    pub(super) target: Target,
    pub(super) wire: Wire,
    pub(super) via: Via,
    pub(super) draft: Arc<Draft>,
    pub(super) exchange: Option<ExchangeId>,
    pub(super) session: Option<SessionId>,
    pub(super) authorization: Vec<(Name, String)>,
    pub(super) server_name: Option<String>,
    pub(super) is_device: bool,
}

/// All client transactions.
#[derive(Debug, Default)]
pub(super) struct Clients {
    pub(super) table: FxHashMap<ClientId, Box<ClientTx>>,
    keys: FxHashMap<Fingerprint, ClientId>,
    prints: Fingerprints,
    /// Those that wait for an answer to a datagram, by where it went: what an ICMP error is about.
    unanswered: BTreeSet<(Target, ClientId)>,
}

/// A key, or what stands for it over the 64·T1 that a transaction is remembered: the text would be ten times as long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Fingerprint(u64, u64);

/// Makes fingerprints with secrets of its own, so that nobody outside can make two keys have one; by chance, a million live
/// keys do once in 10^26 times.
#[derive(Debug, Default)]
struct Fingerprints(RandomState, RandomState);

impl Fingerprints {
    fn of(&self, key: &impl Hash) -> Fingerprint {
        Fingerprint(self.0.hash_one(key), self.1.hash_one(key))
    }
}

/// A request of a peer's.
#[derive(Debug)]
pub(super) struct ServerTx {
    machine: Server,
    intervals: Intervals,
    key: Fingerprint,
    merge: Option<Fingerprint>,
    /// Until its final response has left: then copies of it are known by their key, and 64·T1 is long to hold it.
    pub(super) request: Option<Message>,
    /// Its CSeq number.
    pub(super) cseq: Option<u32>,
    /// The port of its sent-by.
    sent_by_port: Option<u16>,
    pub(super) target: Target,
    pub(super) source: Source,
    pub(super) session: Option<SessionId>,
    /// Our tag in every response.
    pub(super) tag: String,
    last: Option<Wire>,
}

/// All server transactions.
#[derive(Debug, Default)]
pub(super) struct Servers {
    pub(super) table: FxHashMap<ServerId, Box<ServerTx>>,
    keys: FxHashMap<Fingerprint, ServerId>,
    merges: FxHashMap<Fingerprint, ServerId>,
    prints: Fingerprints,
}

impl Clients {
    /// The transaction that a response is for (§17.1.3).
    pub(super) fn find(&self, response: &Message) -> Option<ClientId> {
        let via = response.top_via().ok()?;
        let cseq = response.cseq().ok()?;
        self.keys.get(&self.prints.of(&ClientKey::new(via.branch()?, cseq.method.as_str()))).copied()
    }
}

impl Servers {
    pub(super) fn find(&self, key: &ServerKey) -> Option<ServerId> {
        self.keys.get(&self.prints.of(key)).copied()
    }

    /// True where the same request has come by another way (§8.2.2.2).
    pub(super) fn is_merged(&self, key: &MergeKey) -> bool {
        self.merges.contains_key(&self.prints.of(key))
    }
}

impl ClientTx {
    /// True until a final response or an end.
    pub(super) const fn is_pending(&self) -> bool {
        matches!(
            self.machine,
            Client::Invite(InviteClient::Calling(_) | InviteClient::Proceeding(_))
                | Client::NonInvite(NonInviteClient::Trying(_) | NonInviteClient::Proceeding(_))
        )
    }

    /// True where only a provisional allows a CANCEL (§9.1) and there is one.
    pub(super) const fn is_proceeding(&self) -> bool {
        matches!(self.machine, Client::Invite(InviteClient::Proceeding(_)))
    }

    /// True while it sends datagrams by itself, so that an ICMP error means it.
    const fn is_sending(&self) -> bool {
        self.is_pending() && !self.is_proceeding()
    }

    /// True for a copy of a response that has been heard.
    fn is_repeated(&mut self, response: &Message) -> bool {
        let Some(status) = response.status() else { return false };
        let to = response.to().ok();
        let tag: Box<str> = to.and_then(NameAddr::tag).unwrap_or_default().into();
        if status.is_final() && !self.is_pending() && !status.is_success() {
            return true;
        }
        let heard = (status.code(), tag);
        if self.heard.contains(&heard) {
            return true;
        }
        // Beyond this the ladder counts copies as new: nothing else depends on it.
        if self.heard.len() < 32 {
            self.heard.push(heard);
        }
        false
    }
}

impl Core {
    /// Sends a request and starts its transaction.
    pub(super) fn start_client(&mut self, new: NewClient) -> ClientId {
        let id = ClientId(self.next_id());
        let transport = self.far_end(new.target).map_or(crate::transport::Transport::Udp, |(transport, _)| transport);
        let intervals = self.config.intervals(transport);
        let invite = new.draft.method == Method::Invite;
        let (machine, actions) = Client::begin(invite, &intervals);
        let key = ClientKey::new(new.via.branch().unwrap_or_default(), new.draft.method.as_str());
        let key = self.clients.prints.of(&key);
        if let Target::Stream(flow) = new.target
            && let Some(flow) = self.flows.get_mut(flow)
        {
            flow.clients.insert(id);
        }
        self.clients.keys.insert(key, id);
        if let Target::Datagram { .. } = new.target {
            self.clients.unanswered.insert((new.target, id));
        }
        let tx = ClientTx {
            machine,
            intervals,
            key,
            target: new.target,
            wire: Some(new.wire),
            exchange: new.exchange,
            session: new.session,
            draft: new.draft,
            via: new.via,
            authorization: new.authorization,
            server_name: new.server_name,
            is_device: new.is_device,
            nack: None,
            acks: Vec::new(),
            lost_forks: Vec::new(),
            heard: Vec::new(),
            canceled: false,
        };
        self.clients.table.insert(id, Box::new(tx));
        self.act_client(id, &actions, None);
        id
    }

    /// One step of a client transaction; `message` is the response, where that is what happened.
    pub(super) fn client_input(&mut self, id: ClientId, input: ClientInput, message: Option<&Message>) {
        let Some(tx) = self.clients.table.get_mut(&id) else { return };
        let (machine, actions) = tx.machine.on(input, &tx.intervals);
        tx.machine = machine;
        if !tx.is_pending() {
            tx.wire = None;
            self.clients.unanswered.remove(&(tx.target, id));
        }
        self.act_client(id, &actions, message);
        if machine.is_terminated() {
            self.forget_client(id);
        }
    }

    /// One of its timers.
    pub(super) fn client_fired(&mut self, id: ClientId, timer: Timer) {
        self.client_input(id, ClientInput::Fired(timer), None);
    }

    /// A response, matched and put on the ladder.
    pub(super) fn client_response(&mut self, id: ClientId, message: &Message) {
        let Some(status) = message.status() else { return };
        let Some(tx) = self.clients.table.get_mut(&id) else { return };
        let (session, target, again) = (tx.session, tx.target, tx.is_repeated(message));
        if let Some(peer) = self.far_end(target) {
            self.ladder_received(session, peer, message, again);
        }
        self.client_input(id, ClientInput::Response(Class::of(status.code())), Some(message));
    }

    fn act_client(&mut self, id: ClientId, actions: &Actions, message: Option<&Message>) {
        for action in actions {
            match action {
                Action::Send | Action::Resend => self.send_request(id, *action == Action::Resend),
                Action::SendAck => self.send_nack(id, message),
                Action::Deliver => self.deliver_response(id, message),
                Action::TimedOut => self.broken(id, Failure::Timeout),
                Action::TransportFailed => self.transport_failed(id),
                Action::Start(timer, after) => self.start(TimerKey::Client(id, *timer), *after),
                Action::Stop(timer) => self.timers.stop(TimerKey::Client(id, *timer)),
                Action::SendTrying => {}
            }
        }
    }

    fn send_request(&mut self, id: ClientId, again: bool) {
        let Some(tx) = self.clients.table.get(&id) else { return };
        let (session, target) = (tx.session, tx.target);
        if let Some(wire) = tx.wire.clone() {
            self.transmit(session, target, &wire, again);
        }
    }

    /// §17.1.1.3: the ACK of a non-2xx goes where its INVITE went, and is the same each time.
    fn send_nack(&mut self, id: ClientId, response: Option<&Message>) {
        let Some(tx) = self.clients.table.get_mut(&id) else { return };
        let again = tx.nack.is_some();
        let wire = tx.nack.take().or_else(|| {
            let to = response?.to().ok()?.clone();
            Some(Draft { method: Method::Ack, to, headers: Vec::new(), ..Draft::clone(&tx.draft) }.follow_up(&tx.via))
        });
        tx.nack.clone_from(&wire);
        let (session, target) = (tx.session, tx.target);
        if let Some(wire) = wire {
            self.transmit(session, target, &wire, again);
        }
    }

    fn deliver_response(&mut self, id: ClientId, message: Option<&Message>) {
        if let Some(message) = message.cloned() {
            let exchange = self.clients.table.get(&id).and_then(|tx| tx.exchange);
            self.notices.push_back(Notice::Response { client: id, exchange, message });
        }
    }

    fn transport_failed(&mut self, id: ClientId) {
        let peer = self.clients.table.get(&id).and_then(|tx| self.far_end(tx.target));
        let text = peer.map_or_else(|| "connection lost".to_owned(), |(t, peer)| format!("{t} {peer}: unreachable"));
        self.broken(id, Failure::Transport(text));
    }

    fn broken(&mut self, id: ClientId, failure: Failure) {
        let exchange = self.clients.table.get(&id).and_then(|tx| tx.exchange);
        self.notices.push_back(Notice::Broken { client: id, exchange, failure });
    }

    /// Sends a CANCEL for an INVITE that has had a provisional (§9.1), once.
    pub(super) fn send_cancel(&mut self, id: ClientId, headers: Headers) {
        let Some(tx) = self.clients.table.get_mut(&id).filter(|tx| tx.is_proceeding() && !tx.canceled) else { return };
        tx.canceled = true;
        let draft = Draft { method: Method::Cancel, headers, ..Draft::clone(&tx.draft) };
        let wire = draft.follow_up(&tx.via);
        let new = NewClient {
            target: tx.target,
            wire,
            via: tx.via.clone(),
            draft: Arc::new(draft),
            exchange: None,
            session: tx.session,
            authorization: Vec::new(),
            server_name: None,
            is_device: tx.is_device,
        };
        let patience = tx.intervals.patience();
        self.start_client(new);
        self.start(TimerKey::Canceled(id), patience);
    }

    /// 64·T1 after the CANCEL, still no final response: the INVITE is given up (§9.1).
    pub(super) fn cancel_unanswered(&mut self, id: ClientId) {
        if self.clients.table.get(&id).is_some_and(|tx| tx.is_pending()) {
            self.broken(id, Failure::Canceled);
            self.client_input(id, ClientInput::Abandon, None);
        }
    }

    /// Stops repeating an INVITE that nobody waits for any more. It stays, for what may come back.
    pub(super) fn mute(&mut self, id: ClientId) {
        self.timers.stop(TimerKey::Client(id, Timer::A));
    }

    /// ICMP: what is being sent from there to there does not arrive (§17.1.4).
    pub(super) fn unreachable(&mut self, target: Target) {
        let there = (target, ClientId(0))..=(target, ClientId(u64::MAX));
        let there = self.clients.unanswered.range(there).map(|(_, id)| *id);
        let is_sending = |id: &ClientId| self.clients.table.get(id).is_some_and(|tx| tx.is_sending());
        for id in there.filter(is_sending).collect::<Vec<_>>() {
            self.client_input(id, ClientInput::TransportError, None);
        }
    }

    fn forget_client(&mut self, id: ClientId) {
        let Some(tx) = self.clients.table.remove(&id) else { return };
        self.clients.keys.remove(&tx.key);
        self.clients.unanswered.remove(&(tx.target, id));
        self.timers.stop(TimerKey::Client(id, Timer::A));
        self.timers.stop(TimerKey::Canceled(id));
        if let Target::Stream(flow) = tx.target
            && let Some(flow) = self.flows.get_mut(flow)
        {
            flow.clients.remove(&id);
        }
    }

    /// Starts the server transaction of a request; the caller has it delivered.
    pub(super) fn start_server(
        &mut self,
        request: Message,
        keys: (ServerKey, Option<MergeKey>),
        source: Source,
        target: Target,
        session: Option<SessionId>,
    ) -> ServerId {
        let id = ServerId(self.next_id());
        let (machine, actions) = Server::begin(request.method() == Method::Invite);
        let intervals = self.config.intervals(source.transport);
        let tag = self.rng.token(16);
        let (key, merge) = (self.servers.prints.of(&keys.0), keys.1.map(|merge| self.servers.prints.of(&merge)));
        self.servers.keys.insert(key, id);
        if let Some(merge) = merge {
            self.servers.merges.insert(merge, id);
        }
        let cseq = request.cseq().ok().map(|cseq| cseq.seq);
        let sent_by_port = request.top_via().ok().map(|via| via.port_or_default());
        let request = Some(request);
        let tx = ServerTx {
            machine,
            intervals,
            key,
            merge,
            request,
            cseq,
            sent_by_port,
            target,
            source,
            session,
            tag,
            last: None,
        };
        self.servers.table.insert(id, Box::new(tx));
        self.act_server(id, &actions, None);
        id
    }

    /// One step of a server transaction; `reply` is the response, where one is handed down. True where the machine hands
    /// an ACK up.
    pub(super) fn server_input(&mut self, id: ServerId, input: ServerInput, reply: Option<Wire>) -> bool {
        let Some(tx) = self.servers.table.get_mut(&id) else { return false };
        let (machine, actions) = tx.machine.on(input, &tx.intervals);
        tx.machine = machine;
        self.act_server(id, &actions, reply);
        if machine.is_terminated() {
            self.forget_server(id);
        }
        actions.contains(&Action::Deliver)
    }

    /// One of its timers.
    pub(super) fn server_fired(&mut self, id: ServerId, timer: Timer) {
        self.server_input(id, ServerInput::Fired(timer), None);
    }

    /// Answers a request by its transaction. To's tag is the transaction's.
    pub(super) fn reply(&mut self, id: ServerId, answer: Answer) -> Option<Wire> {
        let tx = self.servers.table.get(&id)?;
        let is_final = answer.status.is_final();
        let class = Class::of(answer.status.code());
        let wire = answer.tag(&tx.tag).wire(&self.config, tx.request.as_ref()?, tx.source.addr);
        self.server_input(id, ServerInput::Reply(class), Some(wire.clone()));
        if let Some(tx) = self.servers.table.get_mut(&id).filter(|_| is_final) {
            tx.request = None;
        }
        Some(wire)
    }

    /// Sends the last response once more, outside of the machine's own repeats: a 2xx (§13.3.1.4), a provisional
    /// (§13.3.1.1).
    pub(super) fn repeat_last(&mut self, id: ServerId) {
        let Some(tx) = self.servers.table.get(&id) else { return };
        let (session, target) = (tx.session, tx.target);
        if let Some(wire) = tx.last.clone() {
            self.respond_on(id, session, target, &wire, true);
        }
    }

    /// Its 2xx has arrived: it is not sent again.
    pub(super) fn settled(&mut self, id: ServerId) {
        if let Some(tx) = self.servers.table.get_mut(&id) {
            tx.last = None;
        }
    }

    /// Sends a response of this transaction's once more: a reliable provisional that is no more the last (RFC 3262 §3).
    pub(super) fn repeat(&mut self, id: ServerId, wire: &Wire) {
        let Some(tx) = self.servers.table.get(&id) else { return };
        let (session, target) = (tx.session, tx.target);
        self.respond_on(id, session, target, wire, true);
    }

    fn act_server(&mut self, id: ServerId, actions: &Actions, reply: Option<Wire>) {
        let mut reply = reply;
        for action in actions {
            match action {
                Action::Send => self.send_response(id, reply.take()),
                Action::SendTrying => {
                    let trying = self.trying(id);
                    self.send_response(id, trying);
                }
                Action::Resend => self.send_response(id, None),
                Action::Start(timer, after) => self.start(TimerKey::Server(id, *timer), *after),
                Action::Stop(timer) => self.timers.stop(TimerKey::Server(id, *timer)),
                // The session learns of a lost ACK by its own timer, of a lost flow when the flow closes.
                Action::Deliver | Action::TimedOut | Action::TransportFailed | Action::SendAck => {}
            }
        }
    }

    fn trying(&self, id: ServerId) -> Option<Wire> {
        let tx = self.servers.table.get(&id)?;
        Some(Answer::new(StatusCode::TRYING).wire(&self.config, tx.request.as_ref()?, tx.source.addr))
    }

    /// Sends a new response, or the last one again.
    fn send_response(&mut self, id: ServerId, new: Option<Wire>) {
        let Some(tx) = self.servers.table.get_mut(&id) else { return };
        let again = new.is_none();
        if new.is_some() {
            tx.last = new;
        }
        let (session, target) = (tx.session, tx.target);
        if let Some(wire) = tx.last.clone() {
            self.respond_on(id, session, target, &wire, again);
        }
    }

    /// §18.2.2: over the connection the request came by; where that is gone, over a new one to the peer's own port.
    fn respond_on(&mut self, id: ServerId, session: Option<SessionId>, target: Target, wire: &Wire, again: bool) {
        if self.transmit(session, target, wire, again) {
            return;
        }
        let Some(target) = self.reopen_for(id) else { return };
        if let Some(tx) = self.servers.table.get_mut(&id) {
            tx.target = target;
        }
        self.transmit(session, target, wire, again);
    }

    fn reopen_for(&mut self, id: ServerId) -> Option<Target> {
        let tx = self.servers.table.get(&id)?;
        let peer = std::net::SocketAddr::new(tx.source.addr.ip(), tx.sent_by_port?);
        let name = tx.source.addr.ip().to_string();
        self.flow_to(tx.source.transport, peer, &name).map(Target::Stream)
    }

    fn forget_server(&mut self, id: ServerId) {
        let Some(tx) = self.servers.table.remove(&id) else { return };
        self.servers.keys.remove(&tx.key);
        if let Some(merge) = tx.merge.filter(|merge| self.servers.merges.get(merge) == Some(&id)) {
            self.servers.merges.remove(&merge);
        }
    }
}
