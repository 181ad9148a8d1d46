//! A gather that runs: digits in, one attempt after the other.
//!
//! The rules are the field's (TWILIO.md §4.3): the first key stops the prompt; patience is counted from the end of the
//! prompt, then anew from each digit; the finish key pressed first enters nothing.

use super::io::{GatherReason, Gathered, Outbox, Output, PlayId};
use super::typed::TypedAhead;
use crate::answer::{Gather, Verb};
use base::Now;
use std::time::Duration;

/// A gather between two inputs.
#[derive(Clone, Debug)]
pub(super) struct Collecting {
    gather: Gather,
    attempt: u32,
    digits: String,
    phase: Phase,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The prompt plays, no key has been pressed, patience has not begun.
    Prompting(PlayId),
    /// The next digit is due by then (monotonic nanoseconds).
    Waiting { until: u64 },
}

/// What an input makes of a gather.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// It goes on.
    More(Collecting),
    /// It is over, and leads to this branch.
    Over { branch: Option<Vec<Verb>>, reason: GatherReason },
}

impl Collecting {
    /// Takes what was typed ahead; with nothing there, asks.
    pub(super) fn begin(gather: Gather, typed: &mut TypedAhead, now: Now, out: &mut Outbox) -> Step {
        let phase = Phase::Waiting { until: patience(&gather, now) };
        let mut collecting = Self { gather, attempt: 1, digits: String::new(), phase };
        while let Some(key) = typed.take_for(&collecting) {
            match collecting.key(key, now, out) {
                Step::More(next) => collecting = next,
                over @ Step::Over { reason, .. } => {
                    typed.gather_over(reason, now);
                    return over;
                }
            }
        }
        Step::More(if collecting.is_empty() { collecting.ask(now, out) } else { collecting })
    }

    /// True where no digit has been entered.
    pub(super) fn is_empty(&self) -> bool {
        self.digits.is_empty()
    }

    /// True for the key that ends this gather.
    pub(super) fn ends_on(&self, key: char) -> bool {
        self.gather.finish_on == Some(key)
    }

    /// When it wants to be woken.
    pub(super) fn deadline(&self) -> Option<u64> {
        match self.phase {
            Phase::Prompting(_) => None,
            Phase::Waiting { until } => Some(until),
        }
    }

    pub(super) fn key(mut self, key: char, now: Now, out: &mut Outbox) -> Step {
        self.stop_prompt(out);
        if self.ends_on(key) {
            return self.over(GatherReason::FinishKey, now, out);
        }
        self.digits.push(key);
        if self.digits.len() >= self.gather.max_digits as usize {
            return self.over(GatherReason::MaxDigits, now, out);
        }
        self.phase = Phase::Waiting { until: patience(&self.gather, now) };
        Step::More(self)
    }

    pub(super) fn prompt_ended(mut self, ended: PlayId, now: Now) -> Self {
        if matches!(self.phase, Phase::Prompting(play) if play == ended) {
            self.phase = Phase::Waiting { until: patience(&self.gather, now) };
        }
        self
    }

    pub(super) fn woken(self, now: Now, out: &mut Outbox) -> Step {
        match self.phase {
            Phase::Waiting { until } if until <= now.mono => {
                let reason = if self.is_empty() { GatherReason::NoInput } else { GatherReason::Timeout };
                self.over(reason, now, out)
            }
            Phase::Waiting { .. } | Phase::Prompting(_) => Step::More(self),
        }
    }

    pub(super) fn stop_prompt(&self, out: &mut Outbox) {
        if let Phase::Prompting(play) = self.phase {
            out.push(Output::StopPlay { play });
        }
    }

    fn ask(mut self, now: Now, out: &mut Outbox) -> Self {
        self.phase = match &self.gather.prompt {
            Some(prompt) => Phase::Prompting(out.play(prompt)),
            None => Phase::Waiting { until: patience(&self.gather, now) },
        };
        self
    }

    /// One attempt is over: the next, or the branch.
    fn over(mut self, reason: GatherReason, now: Now, out: &mut Outbox) -> Step {
        out.push(Output::Gathered(Gathered { digits: self.digits.clone(), reason, attempt: self.attempt }));
        if self.is_empty() && self.attempt < self.gather.attempts {
            self.attempt += 1;
            return Step::More(self.ask(now, out));
        }
        Step::Over { branch: self.gather.on.take(&self.digits), reason }
    }
}

/// When patience with the next digit ends.
fn patience(gather: &Gather, now: Now) -> u64 {
    now.after(Duration::from_secs(gather.timeout_s.into()))
}
