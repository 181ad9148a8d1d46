//! A session both sides know (RFC 3261 §14, §15). What changes it in mid-flight is in [`super::reoffer`].

use super::super::command::Headers;
use super::super::compose::Answer;
use super::super::core::Core;
use super::super::event::EndedBy;
use super::super::timer::SessionTimer;
use super::leaving::Last;
use super::reoffer::{Ours, Theirs};
use super::{At, Session, State};
use crate::dialog::Dialog;
use crate::message::{Message, StatusCode};

/// Who sent the INVITE that made the dialog: the owner of its Call-ID (§14.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Role {
    Uac,
    Uas,
}

/// Both sides know.
#[derive(Debug)]
pub(in super::super) struct Confirmed {
    pub(super) dialog: Dialog,
    pub(super) role: Role,
    pub(super) user: Option<String>,
    /// Our re-INVITE, if one is on.
    pub(super) ours: Option<Ours>,
    /// The peer's re-INVITE or UPDATE, if one is on.
    pub(super) theirs: Option<Theirs>,
}

impl Confirmed {
    pub(super) const fn new(dialog: Dialog, role: Role, user: Option<String>) -> Self {
        Self { dialog, role, user, ours: None, theirs: None }
    }

    pub(super) fn stay(self, at: At) -> Option<Session> {
        Some(at.session(State::Confirmed(self)))
    }

    pub(super) fn on_timer(self, at: At, core: &mut Core, timer: SessionTimer) -> Option<Session> {
        match timer {
            SessionTimer::Repeat2xx => self.repeat_2xx(at, core),
            SessionTimer::AckWait => self.lost(at, core),
            SessionTimer::Reoffer => self.reoffer_unanswered(at, core),
            SessionTimer::Glare => self.glare_over(at, core),
            SessionTimer::Ring => self.reinvite_unanswered(at, core),
            _ => self.stay(at),
        }
    }

    pub(super) fn hangup(self, at: At, core: &mut Core, headers: Headers) -> Option<Session> {
        self.leave(at, core, headers, EndedBy::Us)
    }

    /// The peer knows the dialog no more, or never acknowledged: BYE, for what is left of it.
    pub(super) fn lost(self, at: At, core: &mut Core) -> Option<Session> {
        self.leave(at, core, Vec::new(), EndedBy::Lost)
    }

    fn leave(self, at: At, core: &mut Core, headers: Headers, by: EndedBy) -> Option<Session> {
        self.refuse_pending(core);
        at.leave(core, self.dialog, headers, Last::Ended(by))
    }

    pub(super) fn on_bye(self, at: At, core: &mut Core, request: Message) -> Option<Session> {
        self.refuse_pending(core);
        at.end(core, [self.dialog], EndedBy::Peer, Some(request))
    }

    /// What is still open when the session ends: what the peer has asked and not heard about gets 487 (§15.1.2), a
    /// re-INVITE of ours is cancelled.
    fn refuse_pending(&self, core: &mut Core) {
        if let Some(exchange) = self.ours.as_ref().and_then(|ours| ours.exchange) {
            core.cancel(exchange, Headers::new());
        }
        if let Some(theirs) = self.theirs.as_ref().filter(|theirs| theirs.is_open()) {
            core.reply(theirs.server, Answer::new(StatusCode::REQUEST_TERMINATED));
        }
    }
}
