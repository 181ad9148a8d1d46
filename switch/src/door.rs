//! The door: who may register, and who may call in (DESIGN.md §5, SECURITY 8, FAULTS 22 and 23). A request from outside of
//! any call comes here before anything is kept of it; whoever has no business here is refused and leaves nothing behind.

use crate::desk::{Desk, Timer};
use crate::registrar::{Reply, UserId, Verdict};
use base::Now;
use sip_core::endpoint::{Failure, Headers, InboundId, OutOfDialog, RequestId, Source};
use sip_core::header::NameAddr;
use sip_core::message::{Message, Method, Name, StatusCode};
use sip_core::transport::FlowId;

/// The most messages between users that wait for their receivers at once. Beyond it 503.
const MAX_MESSAGES: usize = 1_024;

/// Who has proved by credentials that it may call in.
#[derive(Clone, Debug)]
pub(crate) enum Proved {
    /// A user.
    User(UserId),
    /// The carrier of this trunk.
    Trunk(usize),
}

impl Desk {
    /// A request from outside of any call.
    pub(crate) fn on_arrived(&mut self, id: InboundId, request: &Message, source: &Source, now: Now) {
        match request.method() {
            Method::Register => self.on_register(id, request, source, now),
            Method::Invite => self.on_knock(id, request, source, now),
            Method::Message => self.on_message(id, request, source, now),
            _ => self.endpoint.refuse(id, StatusCode::METHOD_NOT_ALLOWED, Headers::new(), now),
        }
    }

    fn on_register(&mut self, id: InboundId, request: &Message, source: &Source, now: Now) {
        match self.registrar.register(request, source, now) {
            Reply::Answer(status, headers) => self.endpoint.answer(id, status, headers, None, now),
            Reply::Refuse(status, headers) => self.endpoint.refuse(id, status, headers, now),
            Reply::Ignore => self.endpoint.ignore(id),
        }
        self.follow_registrar(now);
    }

    /// An INVITE: a carrier's, by where it comes from or what it can prove; a user's, by what it can prove; else nobody's.
    fn on_knock(&mut self, id: InboundId, request: &Message, source: &Source, now: Now) {
        if self.trunks.of_caller(source.addr.ip(), request).is_some() {
            self.endpoint.admit(id, now);
            return;
        }
        match self.registrar.authenticate(request, source, now) {
            Verdict::User(user) => self.let_in(id, Proved::User(user), now),
            Verdict::Trunk(name) => match self.trunks.named(&name) {
                Some(trunk) => self.let_in(id, Proved::Trunk(trunk), now),
                None => self.turn_away(id, Verdict::Stranger, source, now),
            },
            verdict => self.turn_away(id, verdict, source, now),
        }
    }

    fn let_in(&mut self, id: InboundId, proved: Proved, now: Now) {
        if let Some(session) = self.endpoint.admit(id, now) {
            self.callers.insert(session, proved);
        }
    }

    /// Whoever is no user, or not the one that it says.
    fn turn_away(&mut self, id: InboundId, verdict: Verdict, source: &Source, now: Now) {
        let (status, headers) = match verdict {
            Verdict::Challenge(headers) => (StatusCode::UNAUTHORIZED, headers),
            Verdict::Malformed => (StatusCode::BAD_REQUEST, Headers::new()),
            Verdict::Later => (StatusCode::SERVICE_UNAVAILABLE, Headers::new()),
            Verdict::Banned => return self.endpoint.ignore(id),
            Verdict::User(_) | Verdict::Trunk(_) | Verdict::Stranger => (StatusCode::FORBIDDEN, Headers::new()),
        };
        if status == StatusCode::FORBIDDEN {
            // At whatever pace strangers knock, the log of a switch at work stays its own (FAULTS 21).
            tracing::debug!(from = %source.addr, "a stranger was refused at the door");
        }
        self.endpoint.refuse(id, status, headers, now);
    }

    /// RFC 3428: a message from one user to another of the same tenant, handed on to the place where that one prefers to
    /// be reached; the sender hears what the receiver's phone says.
    fn on_message(&mut self, id: InboundId, request: &Message, source: &Source, now: Now) {
        let sender = match self.registrar.authenticate(request, source, now) {
            Verdict::User(sender) => sender,
            verdict => return self.turn_away(id, verdict, source, now),
        };
        match self.message_for(&sender, request, now) {
            Err(status) => self.endpoint.refuse(id, status, Headers::new(), now),
            Ok(message) => match self.endpoint.request(message, now) {
                Ok(request) => drop(self.messages.insert(request, id)),
                Err(_) => self.endpoint.refuse(id, StatusCode::SERVICE_UNAVAILABLE, Headers::new(), now),
            },
        }
    }

    fn message_for(&self, sender: &UserId, request: &Message, now: Now) -> Result<OutOfDialog, StatusCode> {
        if self.messages.len() >= MAX_MESSAGES {
            return Err(StatusCode::SERVICE_UNAVAILABLE);
        }
        let uri = request.request_uri().map_err(|_| StatusCode::BAD_REQUEST)?;
        let receiver = self.registrar.find_address(&NameAddr::new(uri)).filter(|user| user.tenant == sender.tenant);
        let receiver = receiver.ok_or(StatusCode::NOT_FOUND)?;
        let target = self.registrar.targets(&receiver, now).into_iter().next();
        let target = target.ok_or(StatusCode::TEMPORARILY_UNAVAILABLE)?;
        let mut from = request.from().map_err(|_| StatusCode::BAD_REQUEST)?.clone();
        from.params.remove("tag");
        let content_type = request.header_str(Name::ContentType).unwrap_or("text/plain".into()).into_owned();
        Ok(OutOfDialog {
            method: Method::Message,
            uri: target.uri,
            next_hop: target.next_hop,
            from,
            to: request.to().map_err(|_| StatusCode::BAD_REQUEST)?.clone(),
            call_id: None,
            cseq: None,
            headers: Headers::new(),
            body: Some((content_type, request.body().clone())),
            credentials: None,
        })
    }

    /// A message has been answered, or not.
    pub(crate) fn on_message_done(&mut self, request: RequestId, result: &Result<Message, Failure>, now: Now) {
        let Some(id) = self.messages.remove(&request) else { return };
        let status = match result {
            Ok(response) | Err(Failure::Response(response)) => response.status(),
            Err(_) => None,
        };
        // RFC 4320 §4.2: silence is no 408 for anything but an INVITE.
        self.endpoint.answer(id, status.unwrap_or(StatusCode::TEMPORARILY_UNAVAILABLE), Headers::new(), None, now);
    }

    /// A connection has ended over which somebody was registered.
    pub(crate) fn on_flow_closed(&mut self, flow: FlowId, now: Now) {
        self.registrar.flow_closed(flow);
        self.follow_registrar(now);
    }

    /// Bindings have come to their end.
    pub(crate) fn on_binding_timer(&mut self, now: Now) {
        self.registrar.expire(now);
        self.follow_registrar(now);
    }

    /// Connections and the timer follow what is bound now.
    pub(crate) fn follow_registrar(&mut self, now: Now) {
        for kept in self.registrar.take_moved(now) {
            self.out.push_back(crate::Output::Location(Box::new(kept)));
        }
        for (flow, kept) in self.registrar.take_changes() {
            self.endpoint.keep(flow, kept, now);
        }
        for (customer, is_guest) in self.registrar.take_acquaintances() {
            self.endpoint.acquaint(customer, is_guest);
        }
        match self.registrar.next_expiry() {
            Some(at) => self.timers.set(Timer::Binding, at),
            None => self.timers.stop(Timer::Binding),
        }
    }

    /// Timers that stand while nothing happens.
    pub(crate) fn standing_timers(&self) -> usize {
        self.trunks.standing_timers(&self.timers) + usize::from(self.timers.get(Timer::Binding).is_some())
    }
}
