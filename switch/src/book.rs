//! A call's account of itself: the records it has given out, in order, and the times they stand for.

use crate::{CallSid, Fact, Output, Record, Timestamps};
use base::Now;
use std::collections::VecDeque;

/// Numbers and dates the facts of one call. Wall-clock times go into records; durations come from the monotonic clock,
/// so that a clock that is set while a call lives does not change its length (FAULTS.md row 18).
#[derive(Debug)]
pub(crate) struct Book {
    sid: CallSid,
    next: u32,
    /// Wall-clock times of the call's turns.
    pub(crate) at: Timestamps,
    admitted: u64,
    answered: Option<u64>,
    ended: Option<u64>,
    sent: Option<u64>,
    post_dial: Option<u64>,
}

/// Nanoseconds in a millisecond.
const MILLI: u64 = 1_000_000;

impl Book {
    /// The book of a call that was admitted at `queued_at` (wall clock); its next record is number `next`.
    pub(crate) fn new(sid: CallSid, next: u32, queued_at: u64, now: Now) -> Self {
        let at = Timestamps { queued: queued_at, ..Timestamps::default() };
        Self { sid, next, at, admitted: now.mono, answered: None, ended: None, sent: None, post_dial: None }
    }

    /// Gives out a fact.
    pub(crate) fn record(&mut self, fact: Fact, now: Now, out: &mut VecDeque<Output>) {
        self.note(&fact, now);
        let record = Record { sid: self.sid, seq: self.next, at: now.wall, fact };
        self.next += 1;
        out.push_back(Output::Record(Box::new(record)));
    }

    fn note(&mut self, fact: &Fact, now: Now) {
        match fact {
            Fact::Dialing { .. } => {
                self.at.sent.get_or_insert(now.wall);
                self.sent.get_or_insert(now.mono);
            }
            Fact::Ringing { .. } => {
                self.at.ringing.get_or_insert(now.wall);
                self.heard(now);
            }
            Fact::EarlyMedia { .. } => {
                self.at.early_media.get_or_insert(now.wall);
                self.heard(now);
            }
            Fact::Answered { .. } => {
                self.at.answered.get_or_insert(now.wall);
                self.answered.get_or_insert(now.mono);
                self.heard(now);
            }
            _ => {}
        }
    }

    fn heard(&mut self, now: Now) {
        if let (Some(sent), None) = (self.sent, self.post_dial) {
            self.post_dial = Some((now.mono - sent) / MILLI);
        }
    }

    /// The call's end, decided now. What is still waited for after it (the far end's last figures) does not make the call
    /// longer.
    pub(crate) fn end(&mut self, now: Now) {
        self.at.ended.get_or_insert(now.wall);
        self.ended.get_or_insert(now.mono);
    }

    /// Whether the call was answered.
    pub(crate) fn was_answered(&self) -> bool {
        self.answered.is_some()
    }

    /// Since its answer, in milliseconds; `None` where it was not answered.
    pub(crate) fn elapsed_ms(&self, now: Now) -> Option<u64> {
        self.answered.map(|answered| now.mono.saturating_sub(answered) / MILLI)
    }

    /// Answer to end, in milliseconds; 0 where it was not answered.
    pub(crate) fn billable_ms(&self) -> u64 {
        let ended = self.ended.unwrap_or_default();
        self.answered.map_or(0, |answered| ended.saturating_sub(answered) / MILLI)
    }

    /// Admission to end, in milliseconds.
    pub(crate) fn duration_ms(&self) -> u64 {
        self.ended.unwrap_or_default().saturating_sub(self.admitted) / MILLI
    }

    /// INVITE to the first 180, 183 or 200, in milliseconds.
    pub(crate) fn pdd_ms(&self) -> Option<u64> {
        self.post_dial
    }
}
