//! Our INVITE before its final response (RFC 3261 §13.2, §9.1): early dialogs, forks, CANCEL and what crosses it.

use super::super::command::Headers;
use super::super::config::MAX_FORKS;
use super::super::core::Core;
use super::super::event::{Event, Failure};
use super::super::exchange::ExchangeId;
use super::super::timer::SessionTimer;
use super::super::transactions::ClientId;
use super::confirmed::{Confirmed, Role};
use super::leaving::Last;
use super::{At, Session, State};
use crate::dialog::{Dialog, DialogId};
use crate::message::{Message, StatusCode};

/// Our INVITE has no final response yet.
#[derive(Debug)]
pub(in super::super) struct Calling {
    pub(in super::super) exchange: ExchangeId,
    /// The user part of our Contact.
    pub(in super::super) user: Option<String>,
    /// One early dialog a fork, by To's tag; at most [`MAX_FORKS`].
    pub(in super::super) early: Vec<Dialog>,
    /// 100 (Trying) has been told.
    pub(in super::super) trying_told: bool,
    /// Why it is being cancelled, if it is.
    pub(in super::super) ending: Option<Ending>,
}

/// Why our INVITE is being cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Ending {
    HungUp,
    NoAnswer,
}

impl Ending {
    pub(super) const fn failure(self) -> Failure {
        match self {
            Self::HungUp => Failure::Canceled,
            Self::NoAnswer => Failure::NoAnswer,
        }
    }
}

impl Calling {
    pub(in super::super) const fn new(exchange: ExchangeId, user: Option<String>) -> Self {
        Self { exchange, user, early: Vec::new(), trying_told: false, ending: None }
    }

    pub(super) fn on_timer(self, at: At, core: &mut Core, timer: SessionTimer) -> Option<Session> {
        match timer {
            SessionTimer::Ring => self.end(at, core, Ending::NoAnswer, Vec::new()),
            _ => Some(at.session(State::Calling(self))),
        }
    }

    pub(super) fn cancel(self, at: At, core: &mut Core, headers: Headers) -> Option<Session> {
        self.end(at, core, Ending::HungUp, headers)
    }

    fn end(mut self, at: At, core: &mut Core, why: Ending, headers: Headers) -> Option<Session> {
        at.stop(core, SessionTimer::Ring);
        if self.ending.is_none() {
            self.ending = Some(why);
            core.cancel(self.exchange, headers);
        }
        Some(at.session(State::Calling(self)))
    }

    /// A provisional response.
    pub(super) fn on_progress(
        mut self,
        at: At,
        core: &mut Core,
        client: ClientId,
        message: Message,
    ) -> Option<Session> {
        let is_trying = message.status() == Some(StatusCode::TRYING);
        let told_before = is_trying && std::mem::replace(&mut self.trying_told, true);
        self.open_early(&at, core, client, &message);
        if !told_before && self.ending.is_none() {
            core.event(Event::Progress { session: at.id, response: message });
        }
        Some(at.session(State::Calling(self)))
    }

    /// §12.1: a provisional with a To tag makes an early dialog, one a fork.
    fn open_early(&mut self, at: &At, core: &mut Core, client: ClientId, message: &Message) {
        let Ok(id) = DialogId::of_response(message) else { return };
        let known = self.early.iter().any(|dialog| *dialog.id() == id);
        if id.remote_tag.is_empty() || known || self.early.len() >= MAX_FORKS {
            return;
        }
        if let Some(origin) = core.origin(client)
            && let Ok(dialog) = Dialog::uac(&origin, message)
        {
            core.register_dialog(&dialog, at.id, core.path_of(client).and_then(|path| path.flow));
            self.early.push(dialog);
        }
    }

    /// The first 2xx: ACK; then the session, or BYE where it is not wanted any more.
    pub(super) fn on_success(
        mut self,
        mut at: At,
        core: &mut Core,
        client: ClientId,
        message: Message,
    ) -> Option<Session> {
        at.stop(core, SessionTimer::Ring);
        let dialog = self.confirm(core, client, &message);
        for early in self.early.drain(..) {
            core.unregister_dialog(&early);
        }
        let Some(dialog) = dialog else {
            // A 2xx that cannot be read cannot be acknowledged either.
            let last = Event::Failed { session: at.id, failure: Failure::Response(message) };
            return at.end_with(core, [], last);
        };
        if let Some(path) = core.path_of(client) {
            at.path = path;
        }
        core.register_dialog(&dialog, at.id, at.path.flow);
        core.acknowledge(client, Some(at.id), &dialog, &at.path);
        match self.ending {
            Some(why) => at.leave(core, dialog, Vec::new(), Last::Failed(why)),
            None => {
                core.event(Event::Answered { session: at.id, response: message });
                Some(at.session(State::Confirmed(Confirmed::new(dialog, Role::Uac, self.user))))
            }
        }
    }

    /// The dialog of this 2xx: the early one of its fork confirmed, or a new one.
    fn confirm(&self, core: &Core, client: ClientId, message: &Message) -> Option<Dialog> {
        let origin = core.origin(client)?;
        let id = DialogId::of_response(message).ok()?;
        match self.early.iter().find(|dialog| *dialog.id() == id).cloned() {
            Some(early) => early.confirmed(&origin, message).ok(),
            None => Dialog::uac(&origin, message).ok(),
        }
    }

    /// The end without an answer.
    pub(super) fn on_failure(self, at: At, core: &mut Core, failure: Failure) -> Option<Session> {
        let failure = self.ending.map_or(failure, Ending::failure);
        let last = Event::Failed { session: at.id, failure };
        at.end_with(core, self.early, last)
    }
}
