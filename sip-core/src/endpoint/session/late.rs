//! Offers that come late: in the 2xx to an INVITE or re-INVITE of ours that had none. The answer goes into the ACK
//! (RFC 3261 §13.2.1, §14.1), which therefore waits for our user, for [`LATE_ANSWER_TIMEOUT`] at most.

use super::super::command::Body;
use super::super::config::LATE_ANSWER_TIMEOUT;
use super::super::core::Core;
use super::super::event::EndedBy;
use super::super::timer::SessionTimer;
use super::super::transactions::ClientId;
use super::leaving::Last;
use super::{At, Session, State};
use crate::dialog::Dialog;

/// An ACK that waits for our user's answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct LateAck {
    client: ClientId,
}

impl At {
    /// Acknowledges the 2xx to an INVITE of ours: now, or (`is_late`) when our user has answered the offer in it.
    pub(super) fn acknowledge_2xx(&mut self, core: &mut Core, client: ClientId, dialog: &Dialog, is_late: bool) {
        core.expect_ack(client, dialog);
        if is_late {
            self.late_ack = Some(LateAck { client });
            self.start(core, SessionTimer::LateAnswer, LATE_ANSWER_TIMEOUT);
        } else {
            core.acknowledge(client, Some(self.id), dialog, &self.path, None);
        }
    }

    /// Sends the ACK that has been waiting, if one has.
    pub(super) fn acknowledge_late(&mut self, core: &mut Core, dialog: &Dialog, body: Option<Body>) {
        if let Some(late) = self.late_ack.take() {
            self.stop(core, SessionTimer::LateAnswer);
            core.acknowledge(late.client, Some(self.id), dialog, &self.path, body);
        }
    }
}

impl Session {
    /// Our user's answer to the offer in a 2xx.
    pub(in super::super) fn acknowledge(mut self, core: &mut Core, body: Option<Body>) -> Option<Self> {
        if let State::Confirmed(state) = &self.state
            && self.at.late_ack.is_some()
        {
            self.at.described.clone_from(&body);
            self.at.acknowledge_late(core, &state.dialog, body);
        }
        Some(self)
    }

    /// Our user's answer to the offer in a reliable provisional.
    pub(in super::super) fn prack_answer(self, core: &mut Core, body: Option<Body>) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Calling(state) => state.prack_answer(at, core, body),
            state => Some(at.session(state)),
        }
    }

    /// Our user has been silent: the 2xx is acknowledged, and the call ended (RFC 3261 §13.2.2.4).
    pub(super) fn late_answer_missing(self, core: &mut Core) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Confirmed(state) if at.late_ack.is_some() => {
                at.leave(core, state.dialog, Vec::new(), Last::Ended(EndedBy::Us))
            }
            State::Calling(state) => state.on_timer(at, core, SessionTimer::LateAnswer),
            state => Some(at.session(state)),
        }
    }
}
