//! A gather that runs: digits and speech in, one attempt after the other.
//!
//! The rules are the field's (TWILIO.md §4.3): the first key stops all prompts; patience is counted from the end of the
//! last prompt, then anew from each digit; the finish key pressed first enters nothing.

use super::ends::Outcome;
use super::io::{GatherReason, Gathered, ListenId, Output, PlayId};
use super::outbox::Outbox;
use super::sounding::Sounding;
use super::typed::TypedAhead;
use crate::answer::Gather;
use crate::http::cut_bytes;
use crate::limits::MAX_TRANSCRIPT;
use base::Now;
use std::time::Duration;

/// A gather between two inputs.
#[derive(Clone, Debug)]
pub(super) struct Collecting {
    gather: Box<Gather>,
    attempt: u32,
    digits: String,
    phase: Phase,
    listening: Option<ListenId>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The prompt of this place sounds, no key has been pressed, patience has not begun.
    Prompting { nth: usize, sounding: Sounding },
    /// The next digit is due by then (monotonic nanoseconds).
    Waiting { until: u64 },
    /// The caller speaks; the recogniser owes its result by then.
    Speaking { until: u64 },
}

/// What an input makes of a gather.
#[derive(Clone, Debug)]
pub(super) enum Step {
    /// It goes on.
    More(Collecting),
    /// It is over.
    Over { gather: Box<Gather>, outcome: Outcome, reason: GatherReason },
}

impl Collecting {
    /// Takes what was typed ahead; with nothing there, asks.
    pub(super) fn begin(gather: Box<Gather>, typed: &mut TypedAhead, now: Now, out: &mut Outbox) -> Step {
        let phase = Phase::Waiting { until: patience(&gather, now) };
        let mut collecting = Self { gather, attempt: 1, digits: String::new(), phase, listening: None };
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

    /// True where keys mean something.
    pub(super) fn takes_keys(&self) -> bool {
        self.gather.keys
    }

    /// True for the key that ends this gather.
    pub(super) fn ends_on(&self, key: char) -> bool {
        self.gather.finish_on == Some(key)
    }

    /// When it wants to be woken.
    pub(super) fn deadline(&self) -> Option<u64> {
        match self.phase {
            Phase::Prompting { sounding, .. } => sounding.deadline(),
            Phase::Waiting { until } | Phase::Speaking { until } => Some(until),
        }
    }

    pub(super) fn key(mut self, key: char, now: Now, out: &mut Outbox) -> Step {
        if !self.gather.keys {
            return Step::More(self);
        }
        self.stop_prompt(out);
        self.stop_listening(out);
        if self.ends_on(key) {
            return self.over(GatherReason::FinishKey, None, now, out);
        }
        self.digits.push(key);
        if self.digits.len() >= self.gather.max_digits as usize {
            return self.over(GatherReason::MaxDigits, None, now, out);
        }
        self.phase = Phase::Waiting { until: patience(&self.gather, now) };
        Step::More(self)
    }

    pub(super) fn prompt_ended(self, ended: PlayId, now: Now, out: &mut Outbox) -> Self {
        match self.phase {
            Phase::Prompting { nth, sounding } if sounding == Sounding::Play(ended) => self.sound(nth + 1, now, out),
            _ => self,
        }
    }

    pub(super) fn woken(self, now: Now, out: &mut Outbox) -> Step {
        match self.phase {
            Phase::Waiting { until } if until <= now.mono => {
                let reason = if self.is_empty() { GatherReason::NoInput } else { GatherReason::Timeout };
                self.over(reason, None, now, out)
            }
            Phase::Speaking { until } if until <= now.mono => self.over(GatherReason::NoInput, None, now, out),
            Phase::Prompting { nth, sounding } if sounding.is_over(now) => Step::More(self.sound(nth + 1, now, out)),
            Phase::Waiting { .. } | Phase::Speaking { .. } | Phase::Prompting { .. } => Step::More(self),
        }
    }

    /// The caller begins to speak: the prompts stop, where speaking may stop them, and the recogniser has the floor.
    pub(super) fn speaks(mut self, listen: ListenId, now: Now, out: &mut Outbox) -> Self {
        let Some(speech) = self.gather.speech.as_ref().filter(|_| self.listening == Some(listen)) else { return self };
        if matches!(self.phase, Phase::Prompting { .. }) && !speech.barge_in {
            return self;
        }
        let longest = u64::from(speech.max_s) + u64::from(speech.silence_s.unwrap_or(self.gather.timeout_s));
        self.stop_prompt(out);
        self.phase = Phase::Speaking { until: now.after(Duration::from_secs(longest + crate::limits::SETTLE_S)) };
        self
    }

    /// True where this listener's partial results are wanted.
    pub(super) fn hears(&self, listen: ListenId) -> Option<&Gather> {
        (self.listening == Some(listen)).then_some(&self.gather)
    }

    /// The recogniser's result.
    pub(super) fn said(
        mut self,
        listen: ListenId,
        text: String,
        confidence: Option<u16>,
        now: Now,
        out: &mut Outbox,
    ) -> Step {
        if self.listening != Some(listen) {
            return Step::More(self);
        }
        self.listening = None;
        self.stop_prompt(out);
        if text.trim().is_empty() {
            return self.over(GatherReason::NoInput, None, now, out);
        }
        let text = cut_bytes(&text, MAX_TRANSCRIPT).to_owned();
        self.over(GatherReason::Speech, Some((text, confidence)), now, out)
    }

    /// Stops whatever is heard of it, and the listening.
    pub(super) fn fall_silent(mut self, out: &mut Outbox) {
        self.stop_prompt(out);
        self.stop_listening(out);
    }

    /// It is asked again later, from its beginning: whatever is heard of it stops, and what was entered is forgotten.
    pub(super) fn put_off(mut self, out: &mut Outbox) -> Box<Gather> {
        self.stop_prompt(out);
        self.stop_listening(out);
        self.gather
    }

    /// Its prompts are heard no more; patience begins.
    pub(super) fn hush(mut self, now: Now, out: &mut Outbox) -> Self {
        if let Phase::Prompting { sounding, .. } = self.phase {
            sounding.stop(out);
            self.phase = Phase::Waiting { until: patience(&self.gather, now) };
        }
        self
    }

    fn stop_prompt(&self, out: &mut Outbox) {
        if let Phase::Prompting { sounding, .. } = self.phase {
            sounding.stop(out);
        }
    }

    fn stop_listening(&mut self, out: &mut Outbox) {
        if let Some(listen) = self.listening.take() {
            out.push(Output::StopListen { listen });
        }
    }

    fn ask(mut self, now: Now, out: &mut Outbox) -> Self {
        if let (Some(speech), None) = (&self.gather.speech, self.listening) {
            self.listening = Some(out.listen(speech.clone()));
        }
        self.sound(0, now, out)
    }

    /// The prompt of this place; after the last, patience begins.
    fn sound(mut self, nth: usize, now: Now, out: &mut Outbox) -> Self {
        self.phase = match self.gather.prompts.get(nth) {
            Some(sound) => Phase::Prompting { nth, sounding: Sounding::begin(sound, now, out) },
            None => Phase::Waiting { until: patience(&self.gather, now) },
        };
        self
    }

    /// One attempt is over: the next, or the end.
    fn over(mut self, reason: GatherReason, speech: Option<(String, Option<u16>)>, now: Now, out: &mut Outbox) -> Step {
        self.stop_listening(out);
        out.push(Output::Gathered(Gathered {
            digits: self.digits.clone(),
            reason,
            attempt: self.attempt,
            speech: speech.as_ref().map(|(text, _)| text.clone()),
        }));
        if self.is_empty() && speech.is_none() && self.attempt < self.gather.attempts {
            self.attempt += 1;
            return Step::More(self.ask(now, out));
        }
        let finish = self.gather.finish_on.filter(|_| reason == GatherReason::FinishKey);
        let outcome = Outcome::Gathered { digits: self.digits, reason, finish, speech };
        Step::Over { gather: self.gather, outcome, reason }
    }
}

/// When patience with the next digit ends.
fn patience(gather: &Gather, now: Now) -> u64 {
    now.after(Duration::from_secs(gather.timeout_s.into()))
}
