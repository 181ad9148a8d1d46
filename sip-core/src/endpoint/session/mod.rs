//! INVITE sessions (RFC 3261 §13, §14, §15): one value each, its state an enum of structs.
//!
//! A session is taken out of the table, consumed by what happened and put back, or not: [`Session::on_bye`] and its like
//! return what is left of it. So no state outlives its session, and each session says exactly one last word.

mod accepted;
mod calling;
mod confirmed;
mod leaving;
mod offered;
mod reoffer;

pub(super) use calling::Calling;
pub(super) use offered::Offered;

use super::SessionId;
use super::command::{Body, Headers, NextHop, ReofferId};
use super::compose::{ALLOW, Answer, Draft};
use super::core::{Core, Owner, Target};
use super::event::{EndedBy, Event, Failure};
use super::exchange::{NewExchange, Purpose, Way, literal};
use super::timer::{SessionTimer, TimerKey};
use super::transactions::{ClientId, ServerId};
use crate::dialog::{Dialog, Origin};
use crate::message::{Message, Method, Name, StatusCode};
use crate::transport::{FlowId, LocalId, Transport};
use crate::uri::{Scheme, Uri};
use accepted::Accepted;
use confirmed::Confirmed;
use leaving::{Last, Leaving};

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) id: SessionId,
    pub(super) path: Path,
    pub(super) state: State,
}

/// Where it stands.
#[derive(Debug)]
pub(super) enum State {
    /// Our INVITE has no final response yet.
    Calling(Calling),
    /// The peer's INVITE has no final response yet.
    Offered(Offered),
    /// We sent a 2xx, its ACK has not come.
    Accepted(Accepted),
    /// Both sides know.
    Confirmed(Confirmed),
    /// Our BYE has no final response yet.
    Leaving(Leaving),
}

/// How the peer is reached, beside what the dialog says.
#[derive(Clone, Debug)]
pub(super) struct Path {
    /// The stream that the last message came by.
    pub(super) flow: Option<FlowId>,
    /// That stream leads to whoever the dialog's first hop is: the peer itself, or a proxy that has recorded its route.
    /// A peer behind a NAT is reached in no other way.
    pub(super) sticky: bool,
    /// The UDP listener.
    pub(super) local: Option<LocalId>,
    /// The transport of the first message.
    pub(super) transport: Transport,
    /// The name that the peer's certificate carries, where it is known: kept for hops that are named by address.
    pub(super) server_name: Option<String>,
}

impl Path {
    /// The way to a URI of the dialog (RFC 3263 §4 for what the URI says itself).
    fn way(&self, core: &Core, uri: &Uri) -> Way {
        let host = uri.host().map(ToString::to_string).unwrap_or_default();
        let transport = self.transport_of(core, uri);
        let port = uri.port();
        let ip = literal(&host);
        let leads_there = |flow: &FlowId| {
            let peer = core.flows.get(*flow).filter(|flow| flow.transport == transport).map(|flow| flow.peer);
            let there = ip.map(|ip| std::net::SocketAddr::new(ip, port.unwrap_or(transport.default_port())));
            self.sticky || (peer.is_some() && peer == there)
        };
        let server_name = self.server_name.clone().filter(|_| ip.is_some()).unwrap_or_else(|| host.clone());
        Way {
            flow: self.flow.filter(leads_there),
            local: self.local,
            server_name,
            hop: NextHop { host, port, transport },
        }
    }

    /// The transport a URI asks for: its parameter, TLS for sips, else UDP where we listen on it.
    fn transport_of(&self, core: &Core, uri: &Uri) -> Transport {
        let has_udp = || core.config.locals.iter().any(|local| local.transport == Transport::Udp);
        match uri.transport() {
            // §26.2.2: sips is TLS at every hop.
            Some(Transport::Tcp) if uri.scheme() == Scheme::Sips => Transport::Tls,
            Some(named) => named,
            None if uri.scheme() == Scheme::Sips => Transport::Tls,
            None if has_udp() => Transport::Udp,
            None => self.transport,
        }
    }
}

impl Session {
    /// Something for the session's own clock.
    pub(super) fn on_timer(self, core: &mut Core, timer: SessionTimer) -> Option<Self> {
        let Self { id, path, state } = self;
        let at = At { id, path };
        match state {
            State::Calling(state) => state.on_timer(at, core, timer),
            State::Offered(state) => state.on_timer(at, core, timer),
            State::Accepted(state) => state.on_timer(at, core, timer),
            State::Confirmed(state) => state.on_timer(at, core, timer),
            State::Leaving(state) => Some(at.session(State::Leaving(state))),
        }
    }

    /// Our user hangs up: what the state asks for.
    pub(super) fn hangup(self, core: &mut Core, headers: Headers) -> Option<Self> {
        let Self { id, path, state } = self;
        let at = At { id, path };
        match state {
            State::Calling(state) => state.cancel(at, core, headers),
            State::Offered(state) => state.reject(at, core, StatusCode::TEMPORARILY_UNAVAILABLE, headers),
            State::Accepted(state) => state.hangup(at, headers),
            State::Confirmed(state) => state.hangup(at, core, headers),
            State::Leaving(state) => Some(at.session(State::Leaving(state))),
        }
    }

    pub(super) fn progress(
        self,
        core: &mut Core,
        status: StatusCode,
        headers: Headers,
        body: Option<Body>,
    ) -> Option<Self> {
        let Self { id, path, state } = self;
        let at = At { id, path };
        match state {
            State::Offered(state) => state.progress(at, core, status, headers, body),
            other => Some(at.session(other)),
        }
    }

    pub(super) fn accept(self, core: &mut Core, headers: Headers, body: Option<Body>) -> Option<Self> {
        let Self { id, path, state } = self;
        let at = At { id, path };
        match state {
            State::Offered(state) => state.accept(at, core, headers, body),
            other => Some(at.session(other)),
        }
    }

    pub(super) fn reject(self, core: &mut Core, status: StatusCode, headers: Headers) -> Option<Self> {
        let Self { id, path, state } = self;
        let at = At { id, path };
        match state {
            State::Offered(state) => state.reject(at, core, status, headers),
            other => Some(at.session(other)),
        }
    }

    pub(super) fn respond(
        self,
        core: &mut Core,
        reoffer: ReofferId,
        status: StatusCode,
        body: Option<Body>,
    ) -> Option<Self> {
        let Self { id, path, state } = self;
        let at = At { id, path };
        match state {
            State::Confirmed(state) => state.respond(at, core, reoffer, status, body),
            other => Some(at.session(other)),
        }
    }

    pub(super) fn reoffer(self, core: &mut Core, body: Option<Body>) -> Option<Self> {
        let Self { id, path, state } = self;
        let at = At { id, path };
        match state {
            State::Confirmed(state) => state.reoffer(at, core, body),
            other => Some(at.session(other)),
        }
    }

    /// A provisional response to our INVITE.
    pub(super) fn on_progress(self, core: &mut Core, client: ClientId, message: Message) -> Option<Self> {
        let Self { id, path, state } = self;
        let at = At { id, path };
        match state {
            State::Calling(state) => state.on_progress(at, core, client, message),
            other => Some(at.session(other)),
        }
    }

    /// The first 2xx to our INVITE.
    pub(super) fn on_success(self, core: &mut Core, client: ClientId, message: Message) -> Option<Self> {
        let Self { id, path, state } = self;
        let at = At { id, path };
        match state {
            State::Calling(state) => state.on_success(at, core, client, message),
            other => Some(at.session(other)),
        }
    }

    /// Our INVITE ended otherwise.
    pub(super) fn on_failure(self, core: &mut Core, failure: Failure) -> Option<Self> {
        let Self { id, path, state } = self;
        let at = At { id, path };
        match state {
            State::Calling(state) => state.on_failure(at, core, failure),
            other => Some(at.session(other)),
        }
    }

    pub(super) fn on_reinvite_done(
        self,
        core: &mut Core,
        client: Option<ClientId>,
        result: Result<Message, Failure>,
    ) -> Option<Self> {
        let Self { id, path, state } = self;
        let at = At { id, path };
        match state {
            State::Confirmed(state) => state.on_reinvite_done(at, core, client, result),
            other => Some(at.session(other)),
        }
    }

    pub(super) fn on_bye_done(self, core: &mut Core) -> Option<Self> {
        let Self { id, path, state } = self;
        let at = At { id, path };
        match state {
            State::Leaving(state) => state.on_done(at, core),
            other => Some(at.session(other)),
        }
    }

    /// The dialog's next CSeq number, where there is one dialog.
    pub(super) fn next_cseq(&mut self) -> Option<u32> {
        match &mut self.state {
            State::Calling(_) => None,
            State::Offered(state) => Some(state.dialog.next_cseq()),
            State::Accepted(state) => Some(state.dialog.next_cseq()),
            State::Confirmed(state) => Some(state.dialog.next_cseq()),
            State::Leaving(state) => Some(state.dialog.next_cseq()),
        }
    }

    /// An ACK in one of the session's dialogs.
    pub(super) fn on_ack(self, core: &mut Core, ack: Message) -> Option<Self> {
        let Self { id, path, state } = self;
        let at = At { id, path };
        match state {
            State::Accepted(state) => state.on_ack(at, core, ack),
            State::Confirmed(state) => state.on_ack(at, core, &ack),
            other => Some(at.session(other)),
        }
    }

    /// A request in one of the session's dialogs, with its transaction. It gets an answer here, or a [`Event::Reoffer`].
    pub(super) fn on_request(mut self, core: &mut Core, server: ServerId) -> Option<Self> {
        let Some(tx) = core.servers.table.get(&server) else { return Some(self) };
        let (request, target) = (tx.request.clone(), tx.target);
        let Ok(cseq) = request.cseq() else { return Some(self) };
        if let Some(dialog) = self.state.dialog_mut(&request) {
            if dialog.receive(cseq.seq).is_err() {
                // §12.2.2: out of order, or the same number by another way.
                core.reply(server, Answer::new(StatusCode::SERVER_INTERNAL_ERROR));
                return Some(self);
            }
            if let Target::Stream(flow) = target {
                core.move_dialog(dialog, flow);
                self.path.flow = Some(flow);
            }
        }
        match cseq.method {
            Method::Bye => self.on_bye(core, server, request),
            Method::Invite | Method::Update => self.on_reoffer(core, server, request),
            Method::Options => {
                core.reply(server, super::answer::options());
                Some(self)
            }
            _ => {
                core.reply(server, super::answer::refused_method(&cseq.method));
                core.event(Event::Request { session: self.id, request });
                Some(self)
            }
        }
    }

    /// CANCEL for this INVITE or re-INVITE of the peer's (§9.2); after a final response it changes nothing.
    pub(super) fn on_cancel(self, core: &mut Core, server: ServerId, cancel: Message) -> Option<Self> {
        let Self { id, path, state } = self;
        let at = At { id, path };
        match state {
            State::Offered(state) if state.server == server => state.on_cancel(at, core, cancel),
            State::Confirmed(state) => state.on_cancel(at, core, server),
            other => Some(at.session(other)),
        }
    }

    fn on_bye(self, core: &mut Core, server: ServerId, request: Message) -> Option<Self> {
        let Self { id, path, state } = self;
        let at = At { id, path };
        match state {
            // Only the caller may end an early dialog (§15).
            State::Calling(state) => {
                core.reply(server, Answer::new(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST));
                Some(at.session(State::Calling(state)))
            }
            State::Offered(state) => {
                core.reply(server, Answer::new(StatusCode::OK));
                state.on_cancel(at, core, request)
            }
            State::Accepted(state) => {
                core.reply(server, Answer::new(StatusCode::OK));
                at.end(core, [state.into_dialog()], EndedBy::Peer, Some(request))
            }
            State::Confirmed(state) => {
                core.reply(server, Answer::new(StatusCode::OK));
                state.on_bye(at, core, request)
            }
            // Our BYE has crossed theirs; ours is still waiting for its answer.
            State::Leaving(state) => {
                core.reply(server, Answer::new(StatusCode::OK));
                Some(at.session(State::Leaving(state)))
            }
        }
    }

    fn on_reoffer(self, core: &mut Core, server: ServerId, request: Message) -> Option<Self> {
        let Self { id, path, state } = self;
        let at = At { id, path };
        match state {
            State::Confirmed(state) => state.on_reoffer(at, core, server, request),
            State::Leaving(state) => {
                core.reply(server, Answer::new(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST));
                Some(at.session(State::Leaving(state)))
            }
            // The first offer and answer are not over (RFC 3261 §14.2, RFC 3311 §5.2).
            other => {
                let status = match &other {
                    State::Accepted(_) => StatusCode::REQUEST_PENDING,
                    _ => StatusCode::SERVER_INTERNAL_ERROR,
                };
                let wait = core.rng.below(10).to_string();
                core.reply(server, Answer::new(status).header(Name::RetryAfter, wait));
                Some(at.session(other))
            }
        }
    }
}

impl State {
    /// The dialog that a peer's request is in.
    fn dialog_mut(&mut self, request: &Message) -> Option<&mut Dialog> {
        match self {
            Self::Calling(state) => {
                let id = crate::dialog::DialogId::of_request(request).ok()??;
                state.early.iter_mut().find(|dialog| *dialog.id() == id)
            }
            Self::Offered(state) => Some(&mut state.dialog),
            Self::Accepted(state) => Some(&mut state.dialog),
            Self::Confirmed(state) => Some(&mut state.dialog),
            Self::Leaving(state) => Some(&mut state.dialog),
        }
    }
}

/// What a session is besides its state.
#[derive(Debug)]
pub(super) struct At {
    pub(super) id: SessionId,
    pub(super) path: Path,
}

impl At {
    fn session(self, state: State) -> Session {
        Session { id: self.id, path: self.path, state }
    }

    fn start(&self, core: &mut Core, timer: SessionTimer, after: std::time::Duration) {
        core.start(TimerKey::Session(self.id, timer), after);
    }

    fn stop(&self, core: &mut Core, timer: SessionTimer) {
        core.timers.stop(TimerKey::Session(self.id, timer));
    }

    /// The end, with `Ended` as its word.
    fn end(
        self,
        core: &mut Core,
        dialogs: impl IntoIterator<Item = Dialog>,
        by: EndedBy,
        request: Option<Message>,
    ) -> Option<Session> {
        let last = Event::Ended { session: self.id, by, request };
        self.end_with(core, dialogs, last)
    }

    /// The end: nothing of it stays but this last word.
    fn end_with(self, core: &mut Core, dialogs: impl IntoIterator<Item = Dialog>, last: Event) -> Option<Session> {
        for dialog in dialogs {
            core.unregister_dialog(&dialog);
        }
        for timer in SessionTimer::ALL {
            self.stop(core, timer);
        }
        core.authorizers.remove(&Owner::Session(self.id));
        core.event(last);
        None
    }

    /// Sends BYE; `last` is said when it has been answered or given up.
    fn leave(self, core: &mut Core, mut dialog: Dialog, headers: Headers, last: Last) -> Option<Session> {
        for timer in SessionTimer::ALL {
            self.stop(core, timer);
        }
        self.send_in_dialog(
            core,
            &mut dialog,
            Purpose::Bye(self.id),
            InDialog { headers, ..InDialog::new(Method::Bye) },
        );
        Some(self.session(State::Leaving(Leaving { dialog, last })))
    }

    /// Sends a request inside a dialog, with the dialog's next CSeq.
    fn send_in_dialog(
        &self,
        core: &mut Core,
        dialog: &mut Dialog,
        purpose: Purpose,
        request: InDialog,
    ) -> super::exchange::ExchangeId {
        let cseq = dialog.next_cseq();
        let owner = Some(Owner::Session(self.id));
        in_dialog(core, (Some(self.id), owner), dialog, &self.path, cseq, purpose, request)
    }
}

/// A request inside a dialog, as far as its sender has a say in it.
pub(super) struct InDialog {
    method: Method,
    contact: Option<Option<String>>,
    headers: Headers,
    body: Option<Body>,
    authorization: Option<Vec<(Name, String)>>,
}

impl InDialog {
    pub(super) const fn new(method: Method) -> Self {
        Self { method, contact: None, headers: Vec::new(), body: None, authorization: None }
    }
}

fn in_dialog(
    core: &mut Core,
    (session, owner): (Option<SessionId>, Option<Owner>),
    dialog: &Dialog,
    path: &Path,
    cseq: u32,
    purpose: Purpose,
    request: InDialog,
) -> super::exchange::ExchangeId {
    let frame = dialog.request(cseq);
    let way = path.way(core, &frame.next_hop);
    let draft = Draft {
        method: request.method,
        uri: frame.uri,
        routes: frame.routes,
        from: frame.from,
        to: frame.to,
        call_id: frame.call_id,
        cseq: frame.cseq,
        contact: request.contact,
        headers: request.headers,
        body: request.body,
    };
    let authorization = request.authorization;
    core.start_exchange(NewExchange { purpose, owner, session, draft, way, try_timeout: None, authorization })
}

impl Core {
    /// What the dialogs of an INVITE of ours derive from.
    fn origin(&self, client: ClientId) -> Option<Origin> {
        let draft = &self.clients.table.get(&client)?.draft;
        Some(Origin { from: draft.from.clone(), uri: draft.uri.clone(), cseq: draft.cseq })
    }

    /// How the peer of an INVITE of ours is reached from now on.
    fn path_of(&self, client: ClientId) -> Option<Path> {
        let tx = self.clients.table.get(&client)?;
        let (transport, _) = self.far_end(tx.target)?;
        let (flow, local) = match tx.target {
            Target::Stream(flow) => (Some(flow), None),
            Target::Datagram { local, .. } => (None, Some(local)),
        };
        Some(Path { flow, sticky: false, local, transport, server_name: tx.server_name.clone() })
    }

    /// §13.2.2.4: the ACK of a 2xx is a request of its own, by the dialog's way, with the INVITE's CSeq and credentials.
    fn acknowledge(&mut self, client: ClientId, session: Option<SessionId>, dialog: &Dialog, path: &Path) {
        let Some(tx) = self.clients.table.get_mut(&client) else { return };
        let tag = dialog.id().remote_tag.clone();
        tx.acks.push(super::transactions::Ack { tag: tag.clone(), sent: None });
        let cseq = tx.draft.cseq;
        let request = InDialog { authorization: Some(tx.authorization.clone()), ..InDialog::new(Method::Ack) };
        let owner = session.map(Owner::Session);
        in_dialog(self, (session, owner), dialog, path, cseq, Purpose::Ack(client, tag), request);
    }

    /// Whether a 2xx of this fork has had its ACK; None where the INVITE is forgotten.
    pub(super) fn acknowledged(&self, client: ClientId, tag: &str) -> Option<bool> {
        let tx = self.clients.table.get(&client)?;
        Some(tx.acks.iter().any(|ack| *ack.tag == *tag))
    }

    /// How many forks of an INVITE have answered.
    pub(super) fn forks(&self, client: ClientId) -> usize {
        self.clients.table.get(&client).map_or(0, |tx| tx.acks.len())
    }

    /// A copy of a 2xx: the same ACK once more (§13.2.2.4).
    pub(super) fn acknowledge_again(&mut self, client: ClientId, tag: &str) {
        let Some(tx) = self.clients.table.get(&client) else { return };
        let session = tx.session;
        let ack = tx.acks.iter().find(|ack| *ack.tag == *tag).and_then(|ack| ack.sent.clone());
        if let Some((target, wire)) = ack {
            self.transmit(session, target, &wire, true);
        }
    }

    /// A 2xx that nobody wants: another fork's, or one that comes after its INVITE was given up. ACK, then BYE
    /// (§13.2.2.4, §15).
    pub(super) fn end_surplus(&mut self, client: ClientId, response: &Message) {
        let (Some(origin), Some(path)) = (self.origin(client), self.path_of(client)) else { return };
        let Ok(mut dialog) = Dialog::uac(&origin, response) else { return };
        let session = self.clients.table.get(&client).and_then(|tx| tx.session);
        self.acknowledge(client, session, &dialog, &path);
        let cseq = dialog.next_cseq();
        let owner = session.map(Owner::Session);
        in_dialog(self, (session, owner), &dialog, &path, cseq, Purpose::Surplus(session), InDialog::new(Method::Bye));
    }

    /// The CSeq number of a peer's request.
    fn cseq_received(&self, server: ServerId) -> Option<u32> {
        self.servers.table.get(&server)?.request.cseq().ok().map(|cseq| cseq.seq)
    }

    /// The Contact toward the peer of a request.
    fn contact_toward(&self, target: Target, user: Option<&str>) -> Option<crate::header::NameAddr> {
        self.face(target).map(|face| face.contact(user))
    }

    /// What a response that makes or refreshes a dialog carries (§12.1.1, §13.3.1).
    fn dialog_answer(&self, server: ServerId, status: StatusCode, user: Option<&str>) -> Answer {
        let target = self.servers.table.get(&server).map(|tx| tx.target);
        let mut answer = Answer::new(status);
        answer.record_route = true;
        answer.contact = target.and_then(|target| self.contact_toward(target, user));
        if status.is_success() { answer.header(Name::Allow, ALLOW) } else { answer }
    }

    /// Enters a dialog in the index of who is meant by a request.
    pub(super) fn register_dialog(&mut self, dialog: &Dialog, session: SessionId, flow: Option<FlowId>) {
        self.dialogs.insert(dialog.id().clone(), (session, flow));
        if let Some(flow) = flow {
            self.flows.pin(flow, true);
        }
    }

    fn unregister_dialog(&mut self, dialog: &Dialog) {
        if let Some((_, Some(flow))) = self.dialogs.remove(dialog.id()) {
            self.flows.pin(flow, false);
            self.touch(flow);
        }
    }

    /// The peer has come by another stream.
    fn move_dialog(&mut self, dialog: &Dialog, flow: FlowId) {
        if let Some((session, old)) = self.dialogs.get(dialog.id()).copied()
            && old != Some(flow)
        {
            self.unregister_dialog(dialog);
            self.register_dialog(dialog, session, Some(flow));
        }
    }
}
