//! Our 2xx before its ACK (RFC 3261 §13.3.1.4): repeated from T1 on, doubled up to T2, for 64·T1, over streams too; then
//! BYE.

use super::super::command::Headers;
use super::super::core::Core;
use super::super::event::{EndedBy, Event, Loss};
use super::super::timer::SessionTimer;
use super::super::transactions::ServerId;
use super::confirmed::{Confirmed, Role};
use super::leaving::Last;
use super::{Agreement, At, Session, State, reason};
use crate::dialog::Dialog;
use crate::message::Message;
use std::time::Duration;

/// We sent a 2xx, its ACK has not come.
#[derive(Debug)]
pub(in super::super) struct Accepted {
    server: ServerId,
    pub(super) dialog: Dialog,
    pub(super) user: Option<String>,
    /// Our offer in the 2xx has its answer in the ACK, or the 2xx was the answer.
    pub(super) agreement: Agreement,
    interval: Duration,
    /// The INVITE's number, which its ACK repeats.
    cseq: Option<u32>,
    /// Our user has hung up: BYE must wait for the ACK (§15).
    hung_up: Option<Headers>,
}

impl Accepted {
    pub(super) fn new(
        at: &At,
        core: &mut Core,
        server: ServerId,
        dialog: Dialog,
        user: Option<String>,
        agreement: Agreement,
    ) -> Self {
        let interval = core.config.t1;
        at.start(core, SessionTimer::Repeat2xx, interval);
        at.start(core, SessionTimer::AckWait, core.config.t1.saturating_mul(64));
        let cseq = core.cseq_received(server);
        Self { server, dialog, user, agreement, interval, cseq, hung_up: None }
    }

    pub(super) fn on_timer(mut self, at: At, core: &mut Core, timer: SessionTimer) -> Option<Session> {
        match timer {
            SessionTimer::Repeat2xx => {
                core.repeat_last(self.server);
                self.interval = self.interval.saturating_mul(2).min(core.config.t2);
                at.start(core, SessionTimer::Repeat2xx, self.interval);
                Some(at.session(State::Accepted(self)))
            }
            SessionTimer::AckWait => {
                let (headers, by) = match self.hung_up {
                    Some(headers) => (headers, EndedBy::Us),
                    None => (vec![reason(408, "ACK missing")], EndedBy::Lost(Loss::NoAck)),
                };
                at.leave(core, self.dialog, headers, Last::Ended(by))
            }
            _ => Some(at.session(State::Accepted(self))),
        }
    }

    pub(super) fn hangup(mut self, at: At, headers: Headers) -> Option<Session> {
        self.hung_up.get_or_insert(headers);
        Some(at.session(State::Accepted(self)))
    }

    pub(super) fn on_ack(self, at: At, core: &mut Core, ack: Message) -> Option<Session> {
        if ack.cseq().map(|cseq| cseq.seq).ok() != self.cseq {
            return Some(at.session(State::Accepted(self)));
        }
        at.stop(core, SessionTimer::Repeat2xx);
        at.stop(core, SessionTimer::AckWait);
        core.settled(self.server);
        match self.hung_up {
            Some(headers) => at.leave(core, self.dialog, headers, Last::Ended(EndedBy::Us)),
            None => {
                core.event(Event::Confirmed { session: at.id, ack });
                Some(at.session(State::Confirmed(Confirmed::new(self.dialog, Role::Uas, self.user))))
            }
        }
    }

    pub(super) fn into_dialog(self) -> Dialog {
        self.dialog
    }
}
