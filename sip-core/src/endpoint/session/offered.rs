//! A peer's INVITE before our final response (RFC 3261 §13.3, §9.2).

use super::super::command::{Body, Headers};
use super::super::compose::Answer;
use super::super::config::PROVISIONAL_REFRESH;
use super::super::core::Core;
use super::super::event::EndedBy;
use super::super::timer::SessionTimer;
use super::super::transactions::ServerId;
use super::accepted::Accepted;
use super::{At, Session, State};
use crate::dialog::Dialog;
use crate::message::{Message, StatusCode};

/// A peer's INVITE has no final response yet.
#[derive(Debug)]
pub(in super::super) struct Offered {
    pub(in super::super) server: ServerId,
    /// The dialog that our first response with a tag makes.
    pub(in super::super) dialog: Dialog,
    /// The user part of our Contact: the one that was called.
    pub(in super::super) user: Option<String>,
}

impl Offered {
    pub(super) fn on_timer(self, at: At, core: &mut Core, timer: SessionTimer) -> Option<Session> {
        match timer {
            SessionTimer::Answer => self.reject(at, core, StatusCode::TEMPORARILY_UNAVAILABLE, Vec::new()),
            SessionTimer::Refresh => {
                core.repeat_last(self.server);
                at.start(core, SessionTimer::Refresh, PROVISIONAL_REFRESH);
                Some(at.session(State::Offered(self)))
            }
            _ => Some(at.session(State::Offered(self))),
        }
    }

    pub(super) fn progress(
        self,
        at: At,
        core: &mut Core,
        status: StatusCode,
        headers: Headers,
        body: Option<Body>,
    ) -> Option<Session> {
        if status.is_provisional() {
            let answer = if status == StatusCode::TRYING {
                Answer::new(status)
            } else {
                at.start(core, SessionTimer::Refresh, PROVISIONAL_REFRESH);
                core.dialog_answer(self.server, status, self.user.as_deref())
            };
            core.reply(self.server, Answer { headers, body, ..answer });
        }
        Some(at.session(State::Offered(self)))
    }

    pub(super) fn accept(self, at: At, core: &mut Core, headers: Headers, body: Option<Body>) -> Option<Session> {
        at.stop(core, SessionTimer::Answer);
        at.stop(core, SessionTimer::Refresh);
        let mut answer = core.dialog_answer(self.server, StatusCode::OK, self.user.as_deref());
        answer.headers.extend(headers);
        answer.body = body;
        core.reply(self.server, answer);
        let state = Accepted::new(&at, core, self.server, self.dialog, self.user);
        Some(at.session(State::Accepted(state)))
    }

    /// Our user's no. A status that is no final refusal is sent as 480.
    pub(super) fn reject(self, at: At, core: &mut Core, status: StatusCode, headers: Headers) -> Option<Session> {
        let refusal = if status.class() >= 3 { status } else { StatusCode::TEMPORARILY_UNAVAILABLE };
        core.reply(self.server, Answer { headers, ..Answer::new(refusal) });
        at.end(core, [self.dialog], EndedBy::Us, None)
    }

    /// CANCEL (§9.2), or BYE in the early dialog (§15.1.2): 487, and the peer's words are handed up.
    pub(super) fn on_cancel(self, at: At, core: &mut Core, request: Message) -> Option<Session> {
        core.reply(self.server, Answer::new(StatusCode::REQUEST_TERMINATED));
        at.end(core, [self.dialog], EndedBy::Peer, Some(request))
    }
}
