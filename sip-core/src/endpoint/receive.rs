//! What arrives, and where it belongs: transaction, dialog, session, or an answer at once (RFC 3261 §8.2, §12.2.2,
//! §17.2.3, §18.2).
//!
//! Requests that open nothing are answered without state (§8.2.7): a flood of them costs what their answers cost.

use super::answer;
use super::compose::{Answer, Wire};
use super::config::{ANSWER_TIMEOUT, IN_DIALOG_RESERVE, PROVISIONAL_REFRESH};
use super::core::Target;
use super::event::{Event, Source};
use super::session::{Offered, Path, Session, State, too_small};
use super::timer::SessionTimer;
use super::transactions::ServerId;
use super::{Endpoint, SessionId, content};
use crate::dialog::{Dialog, DialogId};
use crate::message::{
    Message, Method, Name, ParseError, ResponseBuilder, Salvage, StatusCode, check_request, check_response,
};
use crate::transaction::{MergeKey, RequestParts, ServerInput, ServerKey};
use crate::transport::framing::FrameError;
use crate::transport::{FlowId, LocalId, Transport, is_behind_nat};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::net::SocketAddr;

/// By which way a message has come.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub(super) source: Source,
}

impl Arrival {
    pub(super) const fn peer(&self) -> (Transport, SocketAddr) {
        (self.source.transport, self.source.addr)
    }

    /// Where an answer goes when nothing else is known: back to the packet's source.
    const fn back(&self) -> Target {
        match self.source.flow {
            Some(flow) => Target::Stream(flow),
            None => Target::Datagram { local: self.source.local, to: self.source.addr },
        }
    }

    /// Where a request's responses go: its connection; over UDP the packet's own address, at the source's port where
    /// `rport` asks for it, else at sent-by's (§18.2.2, RFC 3581 §4). `maddr` is not followed: it would let a stranger
    /// aim our answers.
    fn answers_to(&self, request: &Message) -> Target {
        match (self.source.flow, request.top_via()) {
            (None, Ok(via)) if via.rport().is_none() => {
                let to = SocketAddr::new(self.source.addr.ip(), via.port_or_default());
                Target::Datagram { local: self.source.local, to }
            }
            _ => self.back(),
        }
    }
}

/// A request that is fit to be processed, with its keys.
pub(super) struct Request {
    pub(super) message: Message,
    pub(super) method: Method,
    pub(super) arrival: Arrival,
}

impl Request {
    /// What places it; nothing of a request that was not checked.
    fn parts(&self) -> Option<RequestParts<'_>> {
        RequestParts::of(&self.message).ok()
    }
}

impl Endpoint {
    pub(super) fn on_datagram(&mut self, local: LocalId, from: SocketAddr, bytes: Bytes) {
        // A keep-alive, or nothing at all.
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return;
        }
        let arrival = Arrival { source: Source { local, transport: Transport::Udp, addr: from, flow: None } };
        match Message::parse(bytes.clone()) {
            Ok(message) => self.on_message(message, arrival),
            Err(error) => self.on_malformed(&bytes, error, arrival),
        }
    }

    pub(super) fn on_stream(&mut self, flow: FlowId, bytes: Bytes) {
        if self.core.flows.get(flow).is_some_and(|flow| flow.transport.is_websocket()) {
            return self.on_frame(flow, bytes);
        }
        let bytes: &[u8] = &bytes;
        let framed = self.core.flow_received(flow, bytes);
        for message in framed {
            let Some(arrival) = self.arrival_on(flow) else { return };
            match message {
                Err(error) => self.on_lost_framing(flow, &error, arrival),
                Ok(bytes) => match Message::parse_framed(bytes.clone()) {
                    Ok(message) => self.on_message(message, arrival),
                    Err(error) => self.on_malformed(&bytes, error, arrival),
                },
            }
            self.pump();
        }
    }

    /// RFC 7118 §4.2: as whole as a datagram; Content-Length is not needed.
    fn on_frame(&mut self, flow: FlowId, bytes: Bytes) {
        let Some(bytes) = self.core.frame_received(flow, bytes) else { return };
        let Some(arrival) = self.arrival_on(flow) else { return };
        match Message::parse(bytes.clone()) {
            Ok(message) => self.on_message(message, arrival),
            Err(error) => self.on_malformed(&bytes, error, arrival),
        }
    }

    fn arrival_on(&self, id: FlowId) -> Option<Arrival> {
        let flow = self.core.flows.get(id)?;
        let same = |local: &&crate::transport::Local| local.transport == flow.transport;
        let local = flow.local.or_else(|| self.core.config.locals.iter().find(same).map(|local| local.id));
        let local = local.unwrap_or(LocalId(0));
        Some(Arrival { source: Source { local, transport: flow.transport, addr: flow.peer, flow: Some(id) } })
    }

    /// §18.3: after this the stream cannot be read any further.
    fn on_lost_framing(&mut self, flow: FlowId, error: &FrameError, arrival: Arrival) {
        if let Some(status) = StatusCode::new(error.fault.status()) {
            self.answer_salvage(&error.salvage, &Answer::new(status), arrival);
        }
        self.core.close_flow(flow, "unreadable stream");
    }

    fn on_malformed(&mut self, bytes: &Bytes, error: ParseError, arrival: Arrival) {
        self.answer_salvage(bytes, &answer::rejected(error.into()), arrival);
    }

    /// Answers what cannot be read, where enough of it can be copied. Never an ACK, never a response.
    fn answer_salvage(&mut self, bytes: &[u8], answer: &Answer, arrival: Arrival) {
        if !self.lets_in(&arrival) {
            return;
        }
        let Some(salvage) = Salvage::of(bytes) else { return };
        let builder = ResponseBuilder::to_salvage(salvage, answer.status).received(arrival.source.addr);
        let answer = answer.clone().tag(&self.stateless_tag(&[bytes]));
        let wire = answer.fill(builder, &self.core.config, String::new());
        self.core.transmit(None, arrival.back(), &wire, false);
    }

    fn on_message(&mut self, message: Message, arrival: Arrival) {
        let message = content::described(message);
        if message.is_request() { self.on_request(message, arrival) } else { self.on_response(&message, arrival) }
    }

    /// §17.1.3, §18.1.2: a response that no transaction of ours waits for is dropped.
    fn on_response(&mut self, message: &Message, arrival: Arrival) {
        if check_response(message).is_err() {
            return;
        }
        match self.core.clients.find(message) {
            Some(client) => self.core.client_response(client, message),
            None => self.core.ladder_received(None, arrival.peer(), message, false),
        }
    }

    fn on_request(&mut self, message: Message, arrival: Arrival) {
        let method = message.method();
        if let Err(reject) = check_request(&message) {
            if self.lets_in(&arrival) {
                self.core.ladder_received(None, arrival.peer(), &message, false);
                if method != Method::Ack {
                    self.answer_stateless(&message, answer::rejected(reject), arrival);
                }
            }
            return;
        }
        let request = Request { message, method, arrival };
        match request.method {
            Method::Ack => self.on_ack(request),
            Method::Cancel => self.on_cancel(request),
            _ => self.on_transaction(request),
        }
    }

    /// Whether the sender of something that belongs to nothing may have it looked at.
    fn lets_in(&mut self, arrival: &Arrival) -> bool {
        self.gate.admits(arrival.source.addr.ip(), self.core.now)
    }

    /// Everything that a server transaction is for: a repeat of its request, or a new one.
    fn on_transaction(&mut self, request: Request) {
        let Some(parts) = request.parts() else { return };
        let (key, dialog) = (ServerKey::of(&parts), parts.dialog());
        if let Some(server) = self.core.servers.find(&key) {
            let session = self.core.servers.table.get(&server).and_then(|tx| tx.session);
            self.core.ladder_received(session, request.arrival.peer(), &request.message, true);
            self.core.server_input(server, ServerInput::Request, None);
            return;
        }
        if self.arrivals.find(&key).is_some() {
            return self.core.ladder_received(None, request.arrival.peer(), &request.message, true);
        }
        match dialog {
            Some(dialog) => self.on_in_dialog(request, key, &dialog),
            None => self.on_out_of_dialog(request, key),
        }
    }

    fn on_in_dialog(&mut self, request: Request, key: ServerKey, dialog: &DialogId) {
        let found = self.core.dialogs.get(dialog).map(|(session, _)| *session);
        if found.is_none() && !self.lets_in(&request.arrival) {
            return;
        }
        self.core.ladder_received(found, request.arrival.peer(), &request.message, false);
        let Some(session) = found else {
            // §12.2.2. What a dead process's peers still send is answered the same way.
            let gone = Answer::new(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
            return self.answer_stateless(&request.message, gone, request.arrival);
        };
        if let Err(answer) = self.check_in_dialog(&request) {
            return self.answer_stateless(&request.message, *answer, request.arrival);
        }
        let server = self.start_server(request, (key, None), Some(session));
        self.with_session(session, |session, core| session.on_request(core, server));
    }

    fn check_in_dialog(&self, request: &Request) -> answer::Checked {
        // FAULTS 20: what ends or steers a call that stands comes before new calls.
        if self.transactions() >= self.core.config.max_transactions.saturating_add(IN_DIALOG_RESERVE) {
            return Err(Box::new(answer::unavailable()));
        }
        answer::check_require(&self.core.config, &request.message)?;
        match request.method {
            Method::Invite | Method::Update => answer::check_content(&request.message),
            _ => Ok(()),
        }
    }

    fn on_out_of_dialog(&mut self, request: Request, key: ServerKey) {
        if !self.lets_in(&request.arrival) {
            return;
        }
        let Some(merge) = request.parts().map(|parts| MergeKey::of(&parts)) else { return };
        let checked = self.check_out_of_dialog(&request, &merge);
        if checked.is_ok() && self.is_handed_up(&request.message) {
            if request.method != Method::Invite {
                self.core.ladder_received(None, request.arrival.peer(), &request.message, false);
            }
            return self.arrive(request, key, merge);
        }
        if let (Ok(()), Method::Invite) = (&checked, &request.method) {
            self.on_invite(request, key, merge);
            return;
        }
        self.core.ladder_received(None, request.arrival.peer(), &request.message, false);
        let answer = match (checked, &request.method) {
            (Err(answer), _) => *answer,
            (Ok(()), Method::Options) => answer::options(&self.core.config, answer::allowed_outside(&self.core.config)),
            // Without a dialog there is nothing to end, change or tell (§15.1.2, RFC 3311 §5.2, RFC 3262 §3, RFC 6086 §4.2.2,
            // RFC 6665 §4.1.3).
            (Ok(()), Method::Bye | Method::Update | Method::Prack | Method::Info | Method::Notify) => {
                Answer::new(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST)
            }
            (Ok(()), Method::Subscribe) => answer::refused_subscription(&request.message),
            // RFC 3515 §2.4.2: whom it is to be done for is not known outside of a call.
            (Ok(()), Method::Refer) => Answer::new(StatusCode::FORBIDDEN),
            (Ok(()), method) => answer::refused_method(method, answer::allowed_outside(&self.core.config)),
        };
        self.answer_stateless(&request.message, answer, request.arrival);
    }

    /// §8.2.1 to §8.2.3, in that order.
    fn check_out_of_dialog(&self, request: &Request, merge: &MergeKey) -> answer::Checked {
        let message = &request.message;
        let opens =
            matches!(request.method, Method::Invite | Method::Options | Method::Register) || self.is_handed_up(message);
        if opens && (!self.accepting || self.overloaded) {
            return Err(Box::new(answer::unavailable()));
        }
        if !opens {
            return Ok(());
        }
        answer::check_destination(&self.core.config, message)?;
        if self.core.servers.is_merged(merge) || self.arrivals.is_merged(merge) {
            return Err(Box::new(Answer::new(StatusCode::LOOP_DETECTED)));
        }
        if request.method == Method::Register {
            return if self.is_handed_up(message) { answer::check_registration(message) } else { Ok(()) };
        }
        answer::check_require(&self.core.config, message)?;
        if request.method == Method::Invite {
            answer::check_contact(message)?;
            answer::check_content(message)?;
            if let Some(refusal) = too_small(&self.core.config, message) {
                return Err(Box::new(refusal));
            }
            self.check_room()?;
        }
        Ok(())
    }

    fn check_room(&self) -> answer::Checked {
        let is_full = self.sessions.len() >= self.core.config.max_sessions
            || self.transactions() >= self.core.config.max_transactions;
        if is_full { Err(Box::new(answer::unavailable())) } else { Ok(()) }
    }

    /// A new session (§13.3.1).
    pub(super) fn on_invite(&mut self, request: Request, key: ServerKey, merge: MergeKey) -> Option<SessionId> {
        let replaces = match self.replaced_by(&request.message) {
            Ok(replaces) => replaces,
            Err(status) => {
                self.core.ladder_received(None, request.arrival.peer(), &request.message, false);
                self.answer_stateless(&request.message, Answer::new(status), request.arrival);
                return None;
            }
        };
        let id = SessionId(self.core.next_id());
        self.core.ladder_received(Some(id), request.arrival.peer(), &request.message, false);
        let message = request.message.clone();
        let arrival = request.arrival;
        let server = self.start_server(request, (key, Some(merge)), Some(id));
        let tag = self.core.servers.table.get(&server).map(|tx| tx.tag.clone()).unwrap_or_default();
        let Ok(dialog) = Dialog::uas(&message, &tag) else {
            self.core.reply(server, Answer::new(StatusCode::BAD_REQUEST));
            return None;
        };
        let path = path_of(&message, &arrival);
        self.core.register_dialog(&dialog, id, path.flow);
        let state = State::Offered(Offered::new(&mut self.core, server, dialog, &message));
        let session = Session::new(id, path, state).heard(&message);
        let session = session.within(&mut self.core, SessionTimer::Refresh, PROVISIONAL_REFRESH);
        self.sessions.insert(id, session.within(&mut self.core, SessionTimer::Answer, ANSWER_TIMEOUT));
        self.core.event(Event::Incoming { session: id, request: message, source: arrival.source, replaces });
        Some(id)
    }

    pub(super) fn start_server(
        &mut self,
        request: Request,
        keys: (ServerKey, Option<MergeKey>),
        session: Option<SessionId>,
    ) -> ServerId {
        let target = request.arrival.answers_to(&request.message);
        self.core.start_server(request.message, keys, request.arrival.source, target, session)
    }

    /// §17.2.3: an ACK belongs to its INVITE's transaction, or (for a 2xx) to its dialog. It is never answered.
    fn on_ack(&mut self, request: Request) {
        let Some(parts) = request.parts() else { return };
        let found = parts.dialog().and_then(|id| self.core.dialogs.get(&id).map(|(session, _)| *session));
        let server = self.core.servers.find(&ServerKey::of(&parts));
        let owner = server.and_then(|server| self.core.servers.table.get(&server)).and_then(|tx| tx.session);
        self.core.ladder_received(owner.or(found), request.arrival.peer(), &request.message, false);
        let goes_up = server.is_none_or(|server| self.core.server_input(server, ServerInput::Ack, None));
        if let Some(session) = found.filter(|_| goes_up) {
            self.with_session(session, |session, core| session.on_ack(core, request.message));
        }
    }

    /// §9.2: 200 to the CANCEL wherever its INVITE is known, 487 to the INVITE where it has no final response yet.
    fn on_cancel(&mut self, request: Request) {
        let Some(key) = request.parts().map(|parts| ServerKey::canceled_by(&parts)) else { return };
        let server = self.core.servers.find(&key);
        let tx = server.and_then(|server| self.core.servers.table.get(&server));
        let (session, tag) = (tx.and_then(|tx| tx.session), tx.map(|tx| tx.tag.clone()));
        self.core.ladder_received(session, request.arrival.peer(), &request.message, false);
        let (Some(server), Some(tag)) = (server, tag) else {
            if self.cancel_arrival(&key, &request) {
                return;
            }
            let unknown = Answer::new(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST);
            if self.lets_in(&request.arrival) {
                self.answer_stateless(&request.message, unknown, request.arrival);
            }
            return;
        };
        self.answer_as(session, &request.message, Answer::new(StatusCode::OK).tag(&tag), request.arrival);
        if let Some(session) = session {
            self.with_session(session, |session, core| session.on_cancel(core, server, request.message));
        }
    }

    /// §8.2.7: no state, and so the same tag for each copy.
    pub(super) fn answer_stateless(&mut self, request: &Message, answer: Answer, arrival: Arrival) {
        let from = request.header(crate::message::Name::From).unwrap_or_default();
        let call_id = request.call_id().unwrap_or_default();
        let cseq = request.header(crate::message::Name::CSeq).unwrap_or_default();
        let tag = self.stateless_tag(&[&from, call_id.as_bytes(), &cseq]);
        self.answer_as(None, request, answer.tag(&tag), arrival);
    }

    fn answer_as(&mut self, session: Option<SessionId>, request: &Message, answer: Answer, arrival: Arrival) {
        let mut wire: Wire = answer.wire(&self.core.config, request, arrival.source.addr);
        // FAULTS 36: nobody is to send more to a third party through us than by himself.
        if session.is_none() && arrival.source.flow.is_none() && wire.bytes.len() > request.raw().len() {
            wire = answer.terse().wire(&self.core.config, request, arrival.source.addr);
        }
        self.core.transmit(session, arrival.answers_to(request), &wire, false);
    }

    fn stateless_tag(&self, parts: &[&[u8]]) -> String {
        let mut hash = Sha256::new_with_prefix(self.core.tag_secret);
        for part in parts {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
        hash.finalize().iter().take(8).fold(String::new(), |mut tag, byte| {
            let _ = write!(tag, "{byte:02x}");
            tag
        })
    }
}

/// How the sender of an INVITE is reached. A connection leads to the peer itself where the INVITE has come straight from
/// it, and to the first hop of the route set where a proxy has recorded its route; a proxy that has not does not want to
/// see the rest of the dialog.
fn path_of(invite: &Message, arrival: &Arrival) -> Path {
    let is_direct = invite.values(Name::Via).nth(1).is_none();
    let is_recorded = invite.values(Name::RecordRoute).next().is_some();
    Path {
        flow: arrival.source.flow,
        sticky: arrival.source.flow.is_some() && (is_direct || is_recorded),
        local: arrival.source.flow.is_none().then_some(arrival.source.local),
        device: device_of(invite, arrival).filter(|_| is_direct && !is_recorded),
        transport: arrival.source.transport,
        server_name: None,
    }
}

/// Where the sender of an INVITE over UDP is, where its Contact names another address than that.
fn device_of(invite: &Message, arrival: &Arrival) -> Option<SocketAddr> {
    let source = arrival.source;
    let (via, contact) = (invite.top_via().ok()?, invite.contacts().ok()?.first()?);
    (source.flow.is_none() && is_behind_nat(&contact.uri, via, source.addr)).then_some(source.addr)
}
