//! Who is told of a call's progress in Twilio's form (TWILIO.md §3.2): of a leg by the document that has made it, of a call
//! by whoever asked for it with a document. It is a projection of the call's own facts.

use super::Call;
use crate::desk::Desk;
use crate::{Asked, Fact, Status};
use ivr::Callback;
use ivr::callbacks::{self, CallEvent, FinalStatus, Progress};

/// Milliseconds in a second.
const SECOND_MS: u64 = 1_000;

/// One who is told.
#[derive(Debug)]
pub(super) struct Telling {
    callback: Callback,
    /// Events so far, those that nobody has asked for included.
    sequence: u32,
    rung: bool,
}

impl Telling {
    pub(super) const fn new(callback: Callback) -> Self {
        Self { callback, sequence: 0, rung: false }
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

    /// The event of this fact, where it is one, numbered.
    fn event(&mut self, fact: &Fact, at_ms: u64) -> Option<CallEvent> {
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
    /// Tells of a fact whoever wants to hear of it.
    pub(super) fn tell(&mut self, fact: &Fact, at_ms: u64, desk: &mut Desk) {
        let Some(event) = self.telling.as_mut().and_then(|telling| telling.event(fact, at_ms)) else { return };
        let Some(telling) = &self.telling else { return };
        let wanted = event.progress.event();
        if telling.callback.events.iter().any(|name| name == wanted) {
            let params = callbacks::status(&self.context(desk), &event);
            // Its number is the event's: each try of it says the same.
            let request = callbacks::request(&telling.callback, params, event.sequence);
            self.errand(Asked::Callback { request }, desk);
        }
    }
}
