//! From the lower strata to the sessions: each [`Notice`] finds whom it concerns.

use super::config::MAX_FORKS;
use super::core::{Notice, Owner};
use super::event::{Event, Failure};
use super::exchange::{ExchangeId, Purpose};
use super::transactions::ClientId;
use super::{Endpoint, SessionId};
use crate::dialog::DialogId;
use crate::message::{Message, Method, StatusCode};

impl Endpoint {
    /// Passes on everything that waits to be passed on.
    pub(super) fn pump(&mut self) {
        while let Some(notice) = self.core.notices.pop_front() {
            self.on_notice(notice);
        }
    }

    fn on_notice(&mut self, notice: Notice) {
        match notice {
            Notice::Response { client, exchange, message } => {
                match exchange.filter(|exchange| self.core.is_current(*exchange, client)) {
                    Some(exchange) if self.core.is_challenged(exchange, &message) => {
                        self.on_challenge(exchange, message)
                    }
                    Some(exchange) if self.is_asked_for_longer(exchange, &message) => {}
                    Some(exchange) => self.core.exchange_response(exchange, client, message),
                    None => self.on_stray(client, &message),
                }
            }
            Notice::Broken { client, exchange, failure } => {
                if let Some(exchange) = exchange.filter(|exchange| self.core.is_current(*exchange, client)) {
                    self.core.fail(exchange, failure);
                }
            }
            Notice::Progress { purpose, client, message } => {
                if let Purpose::Invite(session) = purpose {
                    self.with_session(session, |session, core| session.on_progress(core, client, message));
                }
            }
            Notice::Done { purpose, client, cseq, result } => self.on_done(purpose, client, cseq, result),
        }
    }

    /// §22.2: the request is sent again with the next CSeq of its dialog, or of itself.
    fn on_challenge(&mut self, exchange: ExchangeId, message: Message) {
        let own = self.core.cseq_of(exchange) + 1;
        let session = match self.core.purpose_of(exchange) {
            Some(Purpose::Bye(session) | Purpose::Reinvite(session) | Purpose::Inside(session, _)) => {
                self.sessions.get_mut(*session)
            }
            _ => None,
        };
        let dialog = DialogId::of_response(&message).ok();
        let cseq = session.zip(dialog).and_then(|(session, id)| session.next_cseq(&id)).unwrap_or(own);
        self.core.answer_challenge(exchange, message, cseq);
    }

    /// 422 to our INVITE, followed (RFC 4028 §7.3): the INVITE is on its way again.
    fn is_asked_for_longer(&mut self, exchange: ExchangeId, message: &Message) -> bool {
        let Some(Purpose::Invite(session)) = self.core.purpose_of(exchange) else { return false };
        message.status() == Some(StatusCode::SESSION_INTERVAL_TOO_SMALL)
            && self.sessions.get_mut(*session).is_some_and(|s| s.ask_for_longer(&mut self.core, exchange, message))
    }

    /// A response that no exchange waits for: a 2xx is acknowledged, and ended where it is no copy; a provisional of an
    /// INVITE left behind is cancelled.
    fn on_stray(&mut self, client: ClientId, message: &Message) {
        let is_success = message.status().is_some_and(StatusCode::is_success);
        if !is_success || message.method() != Method::Invite {
            return self.core.stray(client, message);
        }
        let Ok(id) = DialogId::of_response(message) else { return };
        match self.core.acknowledged(client, &id.remote_tag) {
            Some(true) => self.core.acknowledge_again(client, &id.remote_tag),
            Some(false) if self.core.forks(client) < MAX_FORKS => self.core.end_surplus(client, message),
            _ => {}
        }
    }

    fn on_done(&mut self, purpose: Purpose, client: Option<ClientId>, cseq: u32, result: Result<Message, Failure>) {
        match purpose {
            Purpose::Invite(session) => self.on_invite_done(session, client, result),
            Purpose::Reinvite(session) => self.on_reinvite_done(session, client, result),
            Purpose::Bye(session) => {
                self.with_session(session, |session, core| session.on_bye_done(core));
            }
            Purpose::Inside(session, what) => {
                self.with_session(session, |session, core| session.on_inside_done(core, what, cseq, result));
            }
            Purpose::Outside(request) => {
                self.core.authorizers.remove(&Owner::Request(request));
                self.core.event(Event::Reply { request, cseq, result });
            }
            Purpose::Surplus(_) | Purpose::Ack(..) => {}
        }
    }

    fn on_invite_done(&mut self, session: SessionId, client: Option<ClientId>, result: Result<Message, Failure>) {
        self.with_session(session, |session, core| match (result, client) {
            (Ok(message), Some(client)) => session.on_success(core, client, message),
            (Ok(message), None) => session.on_failure(core, Failure::Response(message)),
            (Err(failure), _) => session.on_failure(core, failure),
        });
    }

    fn on_reinvite_done(&mut self, id: SessionId, client: Option<ClientId>, result: Result<Message, Failure>) {
        let is_confirmed = self.sessions.get(id).is_some_and(super::session::Session::is_confirmed);
        match (&result, client) {
            // The session has been left meanwhile; its 2xx wants an ACK all the same.
            (Ok(message), Some(client)) if !is_confirmed => self.core.end_surplus(client, message),
            _ => self.with_session(id, |session, core| session.on_change_done(core, client, result)),
        }
    }
}
