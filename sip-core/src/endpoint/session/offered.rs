//! A peer's INVITE before our final response (RFC 3261 §13.3, §9.2). Its provisionals are in [`super::reliable`].

use super::super::command::{Body, Headers};
use super::super::compose::Answer;
use super::super::core::Core;
use super::super::event::EndedBy;
use super::super::timer::SessionTimer;
use super::super::transactions::ServerId;
use super::accepted::Accepted;
use super::reliable::Reliable;
use super::{Agreement, At, Session, State};
use crate::dialog::Dialog;
use crate::message::{Message, StatusCode};

/// A peer's INVITE has no final response yet.
#[derive(Debug)]
pub(in super::super) struct Offered {
    pub(super) server: ServerId,
    /// The dialog that our first response with a tag makes.
    pub(super) dialog: Dialog,
    /// The user part of our Contact: the one that was called.
    pub(super) user: Option<String>,
    /// A provisional with our tag has been sent: the dialog is early, and no more ours alone.
    pub(super) told: bool,
    pub(super) agreement: Agreement,
    pub(super) reliable: Reliable,
}

impl Offered {
    pub(in super::super) fn new(core: &mut Core, server: ServerId, dialog: Dialog, invite: &Message) -> Self {
        let user = invite.request_uri().ok().and_then(|uri| uri.user_unescaped().map(std::borrow::Cow::into_owned));
        let agreement = if invite.body().is_empty() { Agreement::Nothing } else { Agreement::Theirs };
        Self { server, dialog, user, told: false, agreement, reliable: Reliable::of(core, invite) }
    }

    pub(super) fn on_timer(self, at: At, core: &mut Core, timer: SessionTimer) -> Option<Session> {
        match timer {
            SessionTimer::Answer => self.reject(at, core, StatusCode::TEMPORARILY_UNAVAILABLE, Vec::new()),
            SessionTimer::RepeatReliable => self.repeat_reliable(at, core),
            SessionTimer::PrackWait => self.prack_missing(at, core),
            // Nothing but a 100, which does not pass a proxy, has been said.
            SessionTimer::Refresh if !self.told => {
                self.progress(at, core, StatusCode::SESSION_PROGRESS, Vec::new(), None)
            }
            SessionTimer::Refresh => self.ring_on(at, core),
            _ => Some(at.session(State::Offered(self))),
        }
    }

    /// Our user's yes: now, or (RFC 3262 §3) once the description that a provisional carried has been acknowledged.
    pub(super) fn accept(
        mut self,
        mut at: At,
        core: &mut Core,
        headers: Headers,
        body: Option<Body>,
    ) -> Option<Session> {
        if self.reliable.holds_2xx() || at.offers.is_asked() {
            self.reliable.accept.get_or_insert_with(|| Box::new((headers, body)));
            return Some(at.session(State::Offered(self)));
        }
        for timer in
            [SessionTimer::Answer, SessionTimer::Refresh, SessionTimer::RepeatReliable, SessionTimer::PrackWait]
        {
            at.stop(core, timer);
        }
        at.unacknowledged = self.reliable.unacknowledged();
        // RFC 6337 §3.1.1: the answer that a reliable provisional has carried is not given twice.
        let body = body.filter(|_| self.agreement != Agreement::Agreed);
        if body.is_some() {
            at.described.clone_from(&body);
        }
        let mut answer = core.dialog_answer(self.server, StatusCode::OK, self.user.as_deref());
        answer.headers.extend(at.agree_as_uas(core, self.server));
        answer.headers.extend(headers);
        answer.body = body;
        core.reply(self.server, answer);
        let agreement = if self.agreement == Agreement::Nothing { Agreement::Ours } else { Agreement::Agreed };
        let state = Accepted::new(&at, core, self.server, self.dialog, self.user, agreement);
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
