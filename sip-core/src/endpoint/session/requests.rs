//! Requests inside a session's dialog that neither make, change nor end it: INFO (RFC 6086), MESSAGE (RFC 3428), NOTIFY and
//! SUBSCRIBE (RFC 6665), handed to our user and taken from it.

use super::super::SessionId;
use super::super::answer::{allowed_but, bad_event};
use super::super::command::{Body, Headers, InDialogId, Refused};
use super::super::compose::Answer;
use super::super::config::{MAX_OPEN_REQUESTS, REQUEST_TIMEOUT};
use super::super::core::Core;
use super::super::event::{Event, Failure, Loss};
use super::super::exchange::{Inside, Purpose};
use super::super::timer::{SessionTimer, TimerKey};
use super::super::transactions::ServerId;
use super::{InDialog, Session, not_now};
use crate::message::{Message, Method, Name, StatusCode};
use std::collections::{BTreeMap, BTreeSet};

/// Those that are open.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// The peer's, that wait for our user's answer.
    asked: BTreeMap<InDialogId, ServerId>,
    /// Ours, that wait for the peer's.
    sent: BTreeSet<InDialogId>,
}

impl Requests {
    /// The end of the session: 487 to what the peer has asked (RFC 3261 §15.1.2); what becomes of ours is not told.
    pub(super) fn close(&mut self, core: &mut Core, session: SessionId) {
        self.sent.clear();
        for (id, server) in std::mem::take(&mut self.asked) {
            core.timers.stop(TimerKey::Session(session, SessionTimer::Request(id)));
            core.reply(server, Answer::new(StatusCode::REQUEST_TERMINATED));
        }
    }
}

impl Session {
    /// Hands a request up.
    pub(super) fn ask(mut self, core: &mut Core, server: ServerId, request: Message) -> Option<Self> {
        if self.at.requests.asked.len() >= MAX_OPEN_REQUESTS {
            let answer = not_now(core, StatusCode::SERVER_INTERNAL_ERROR);
            core.reply(server, answer);
            return Some(self);
        }
        let id = InDialogId(core.next_id());
        self.at.requests.asked.insert(id, server);
        self.at.start(core, SessionTimer::Request(id), REQUEST_TIMEOUT);
        core.event(Event::Request { session: self.at.id, id, request });
        Some(self)
    }

    /// Our user's answer; a provisional one is not sent (RFC 4320 §4.1).
    pub(in super::super) fn answer_request(
        mut self,
        core: &mut Core,
        id: InDialogId,
        status: StatusCode,
        headers: Headers,
        body: Option<Body>,
    ) -> Option<Self> {
        if status.is_final()
            && let Some(server) = self.at.requests.asked.remove(&id)
        {
            self.at.stop(core, SessionTimer::Request(id));
            let request = core.servers.table.get(&server).and_then(|tx| tx.request.as_ref());
            let method = request.map(Message::method);
            let is_event = matches!(method, Some(Method::Subscribe | Method::Notify));
            // RFC 6665 §4.1.2.1: whoever subscribes inside a dialog is told where it is reached from now on.
            let contact = core.dialog_answer(server, status, self.state.user()).contact.filter(|_| is_event);
            let answer = Answer { headers, body, contact, ..Answer::new(status) };
            let answer = match (status, method) {
                (StatusCode::METHOD_NOT_ALLOWED, Some(method)) => answer.header(Name::Allow, allowed_but(&method)),
                (StatusCode::BAD_EVENT, _) => bad_event(answer),
                _ => answer,
            };
            core.reply(server, answer);
        }
        Some(self)
    }

    /// Our user has been silent.
    pub(super) fn request_unanswered(self, core: &mut Core, id: InDialogId) -> Option<Self> {
        self.answer_request(core, id, StatusCode::SERVER_INTERNAL_ERROR, Vec::new(), None)
    }

    /// Our user's own.
    pub(in super::super) fn send_request(
        &mut self,
        core: &mut Core,
        method: Method,
        headers: Headers,
        body: Option<Body>,
    ) -> Result<InDialogId, Refused> {
        let is_event = matches!(method, Method::Notify | Method::Subscribe);
        if !is_event && !matches!(method, Method::Info | Method::Message | Method::Options) {
            return Err(Refused::Method);
        }
        if self.at.requests.sent.len() >= MAX_OPEN_REQUESTS {
            return Err(Refused::Full);
        }
        let contact = is_event.then(|| self.state.user().map(str::to_owned));
        let dialog = self.state.current().ok_or(Refused::State)?;
        let id = InDialogId(core.next_id());
        self.at.requests.sent.insert(id);
        let request = InDialog { contact, headers, body, ..InDialog::new(method) };
        self.at.send_in_dialog(core, dialog, Purpose::Inside(self.at.id, Inside::Request(id)), request);
        Ok(id)
    }

    /// It has its final response, or none.
    pub(super) fn on_request_done(
        mut self,
        core: &mut Core,
        id: InDialogId,
        result: Result<Message, Failure>,
    ) -> Option<Self> {
        if !self.at.requests.sent.remove(&id) {
            return Some(self);
        }
        // RFC 5057 §5.1: a 481 to a request of the session's own usage ends it; to a NOTIFY it means that usage alone.
        let is_gone = match &result {
            Err(Failure::Response(response)) => {
                response.status() == Some(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST)
                    && matches!(response.method(), Method::Info | Method::Options)
            }
            _ => false,
        };
        core.event(Event::RequestDone { session: self.at.id, id, result });
        if is_gone { self.lost(core, Vec::new(), Loss::Gone) } else { Some(self) }
    }
}
