//! A call's progress in Twilio's form (TWILIO.md §3.2): a projection of the call's own facts, made out of the journal, of a
//! call as of a leg. What else somebody is told of is a fact by itself. So a switch that dies owes it still.

use super::Call;
use crate::desk::Desk;
use crate::{CallView, Fact, Owed, Status};
use base::Now;
use ivr::HttpRequest;
use ivr::callbacks::{CallEvent, FinalStatus, Progress};

/// Milliseconds in a second.
const SECOND_MS: u64 = 1_000;

/// How far a call is, as its callbacks count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progression {
    /// Events so far, those that nobody has asked for included.
    sequence: u32,
    rung: bool,
}

impl Progression {
    /// Of a call that is seen so.
    #[must_use]
    pub fn of(view: &CallView) -> Self {
        let rung = view.at.ringing.is_some() || view.at.early_media.is_some();
        let events = [view.at.sent.is_some(), rung, view.at.answered.is_some()];
        Self { sequence: events.into_iter().map(u32::from).sum(), rung }
    }

    /// The event that a fact is, and the status that it brings.
    fn progress(&mut self, fact: &Fact) -> Option<(Progress, Option<u16>)> {
        match fact {
            Fact::Dialing { attempt: 1, .. } => Some((Progress::Initiated, None)),
            Fact::Ringing { .. } | Fact::EarlyMedia { .. } if !self.rung => {
                self.rung = true;
                Some((Progress::Ringing, None))
            }
            Fact::Answered { .. } => Some((Progress::Answered, None)),
            Fact::Ended(cdr) => {
                let status = final_status(cdr.status);
                let duration_s = u32::try_from(cdr.billable_ms.div_ceil(SECOND_MS)).unwrap_or(u32::MAX);
                let failed = status != FinalStatus::Completed;
                Some((Progress::Completed { status, duration_s }, cdr.cause.sip_status.filter(|_| failed)))
            }
            _ => None,
        }
    }

    /// The event of this fact, where it is one, numbered. `at_ms`: when it happened, milliseconds since the Unix epoch.
    pub fn event(&mut self, fact: &Fact, at_ms: u64) -> Option<CallEvent> {
        let (progress, sip_status) = self.progress(fact)?;
        let sequence = self.sequence;
        self.sequence += 1;
        Some(CallEvent { progress, at_ms, sequence, sip_status, recording: None })
    }
}

const fn final_status(status: Status) -> FinalStatus {
    match status {
        Status::Busy => FinalStatus::Busy,
        Status::NoAnswer => FinalStatus::NoAnswer,
        Status::Canceled => FinalStatus::Canceled,
        Status::Failed => FinalStatus::Failed,
        Status::Completed | Status::InProgress | Status::Ringing | Status::Queued => FinalStatus::Completed,
    }
}

impl Call {
    /// Somebody is to be told of this, in Twilio's form.
    pub(super) fn owe(&mut self, event: impl Into<String>, request: &HttpRequest, desk: &mut Desk, now: Now) {
        self.record(Fact::Callback(Box::new(Owed::new(event, request))), desk, now);
    }
}
