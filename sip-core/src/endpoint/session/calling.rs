//! Our INVITE before its final response (RFC 3261 §13.2, §9.1): early dialogs, forks, CANCEL and what crosses it.

use super::super::command::{Body, Headers};
use super::super::config::MAX_FORKS;
use super::super::core::Core;
use super::super::event::{Event, Failure};
use super::super::exchange::ExchangeId;
use super::super::timer::SessionTimer;
use super::super::transactions::ClientId;
use super::confirmed::{Confirmed, Role};
use super::early::Early;
use super::leaving::Last;
use super::{Agreement, At, Session, State};
use crate::dialog::{Dialog, DialogId};
use crate::message::{Message, StatusCode};

/// Our INVITE has no final response yet.
#[derive(Debug)]
pub(in super::super) struct Calling {
    exchange: ExchangeId,
    /// The user part of our Contact.
    pub(super) user: Option<String>,
    /// One early dialog a fork, by To's tag; at most [`MAX_FORKS`]. The one that spoke last stands last.
    early: Vec<Early>,
    /// 100 (Trying) has been told.
    trying_told: bool,
    /// What the INVITE offered.
    offer: Option<Body>,
    /// How often it has met 422.
    pub(super) too_small: u32,
    /// Why it is being cancelled, if it is, and what our user says about it.
    ending: Option<(Ending, Headers)>,
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
    pub(in super::super) const fn new(exchange: ExchangeId, user: Option<String>, offer: Option<Body>) -> Self {
        Self { exchange, user, early: Vec::new(), trying_told: false, offer, too_small: 0, ending: None }
    }

    pub(super) const fn exchange(&self) -> ExchangeId {
        self.exchange
    }

    /// True while nobody has asked for its end.
    pub(super) const fn is_wanted(&self) -> bool {
        self.ending.is_none()
    }

    pub(super) fn early(&mut self, id: &DialogId) -> Option<&mut Early> {
        self.early.iter_mut().find(|early| early.dialog.id() == id)
    }

    pub(super) fn current(&mut self) -> Option<&mut Early> {
        self.early.last_mut().filter(|_| self.ending.is_none())
    }

    /// How the offer stands in this fork's dialog; where none is named, in the one that spoke last.
    pub(super) fn agreement(&self, id: Option<&DialogId>) -> Agreement {
        let mut forks = self.early.iter().rev();
        let fork = forks.find(|early| id.is_none_or(|id| early.dialog.id() == id));
        fork.map_or(Agreement::Nothing, |early| early.agreement)
    }

    pub(super) fn forks(&mut self) -> impl Iterator<Item = &mut Early> {
        self.early.iter_mut()
    }

    pub(super) fn on_timer(self, at: At, core: &mut Core, timer: SessionTimer) -> Option<Session> {
        match timer {
            SessionTimer::Ring => self.end(at, core, Ending::NoAnswer, Vec::new()),
            // An offer that our user does not answer leaves the callee repeating its provisional: the call is off.
            SessionTimer::LateAnswer => self.end(at, core, Ending::HungUp, Vec::new()),
            _ => Some(at.session(State::Calling(self))),
        }
    }

    pub(super) fn cancel(self, at: At, core: &mut Core, headers: Headers) -> Option<Session> {
        self.end(at, core, Ending::HungUp, headers)
    }

    fn end(mut self, at: At, core: &mut Core, why: Ending, headers: Headers) -> Option<Session> {
        at.stop(core, SessionTimer::Ring);
        at.stop(core, SessionTimer::LateAnswer);
        if self.ending.is_none() {
            self.ending = Some((why, headers.clone()));
            core.cancel(self.exchange, headers);
        }
        Some(at.session(State::Calling(self)))
    }

    /// A provisional response.
    pub(super) fn on_progress(
        mut self,
        mut at: At,
        core: &mut Core,
        client: ClientId,
        message: Message,
    ) -> Option<Session> {
        let is_trying = message.status() == Some(StatusCode::TRYING);
        let told_before = is_trying && std::mem::replace(&mut self.trying_told, true);
        at.peer.learn(&message);
        self.open_early(&at, core, client, &message);
        let is_news = self.acknowledge_reliable(&mut at, core, &message);
        if is_news && !told_before && self.ending.is_none() {
            core.event(Event::Progress { session: at.id, response: message });
        }
        Some(at.session(State::Calling(self)))
    }

    /// §12.1: a provisional with a To tag makes an early dialog, one a fork.
    fn open_early(&mut self, at: &At, core: &mut Core, client: ClientId, message: &Message) {
        let Ok(id) = DialogId::of_response(message) else { return };
        if let Some(known) = self.early.iter().position(|early| *early.dialog.id() == id) {
            let spoke_last = self.early.remove(known);
            return self.early.push(spoke_last);
        }
        if id.remote_tag.is_empty() || self.early.len() >= MAX_FORKS {
            return;
        }
        if let Some(origin) = core.origin(client)
            && let Ok(dialog) = Dialog::uac(&origin, message)
        {
            core.register_dialog(&dialog, at.id, core.path_of(client).and_then(|path| path.flow));
            let agreement = if self.offer.is_some() { Agreement::Ours } else { Agreement::Nothing };
            self.early.push(Early::new(client, dialog, agreement));
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
        at.stop(core, SessionTimer::LateAnswer);
        let early = self.take_early(&message);
        let dialog = confirm(early.as_ref().map(|early| &early.dialog), core, client, &message);
        for other in self.early.drain(..) {
            at.forget_dialog(core, other.dialog.id());
            core.unregister_dialog(&other.dialog);
            core.remember_early(other.client, other.dialog);
        }
        if let Some(early) = &early {
            core.unregister_dialog(&early.dialog);
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
        at.peer.learn(&message);
        if at.described.is_none() {
            at.described.clone_from(&self.offer);
        }
        // §13.2.1: without an offer of ours, and none in a reliable provisional, the 2xx carries theirs.
        let is_late = match early {
            Some(early) => early.agreement == Agreement::Nothing,
            None => self.offer.is_none(),
        };
        at.acknowledge_2xx(core, client, &dialog, is_late && self.ending.is_none() && !message.body().is_empty());
        match self.ending {
            Some((why, headers)) => at.leave(core, dialog, headers, Last::Failed(why)),
            None => {
                at.agree_as_uac(core, &message);
                core.event(Event::Answered { session: at.id, response: message });
                Some(at.session(State::Confirmed(Confirmed::new(dialog, Role::Uac, self.user))))
            }
        }
    }

    /// The early dialog of the fork that has answered.
    fn take_early(&mut self, message: &Message) -> Option<Early> {
        let id = DialogId::of_response(message).ok()?;
        let at = self.early.iter().position(|early| *early.dialog.id() == id)?;
        Some(self.early.remove(at))
    }

    /// The end without an answer.
    pub(super) fn on_failure(self, at: At, core: &mut Core, failure: Failure) -> Option<Session> {
        let failure = self.ending.map_or(failure, |(why, _)| why.failure());
        let last = Event::Failed { session: at.id, failure };
        for early in &self.early {
            core.remember_early(early.client, early.dialog.clone());
        }
        at.end_with(core, self.early.into_iter().map(|early| early.dialog), last)
    }
}

/// The dialog of this 2xx: the early one of its fork confirmed, or a new one.
fn confirm(early: Option<&Dialog>, core: &Core, client: ClientId, message: &Message) -> Option<Dialog> {
    let origin = core.origin(client)?;
    match early.cloned() {
        Some(early) => early.confirmed(&origin, message).ok(),
        None => Dialog::uac(&origin, message).ok(),
    }
}
