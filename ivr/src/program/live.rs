//! What an operator does to a program that runs: sounds and questions in between, silence, and standing by while others
//! have the caller.

use super::sounding::Sounding;
use super::{Frame, Program, State};
use crate::answer::{Answer, Sound, Verb};
use crate::context::CallContext;
use crate::limits::MAX_FRAMES;
use crate::program::outbox::Outbox;
use base::Now;
use std::collections::VecDeque;

/// Why nothing can be put in between now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    /// The call is not answered yet.
    #[error("the call is not answered yet")]
    NotAnswered,
    /// It is in a bridge, a conference or a recording: sounds are heard over it, and nothing is asked.
    #[error(
        "nothing is asked while the call is joined with others or recorded by its program: only sounds are heard over it"
    )]
    Joined,
    /// So much was put in between already that is not over.
    #[error("too much was put in between already: at most {MAX_FRAMES} branches are open at once")]
    TooDeep,
    /// The program is over.
    #[error("the program is over")]
    Over,
}

/// Sounds that are heard while the program waits for something else: the end of a bridge, a conference, a document.
#[derive(Clone, Debug, Default)]
pub(super) struct Aside {
    rest: VecDeque<Sound>,
    sounding: Option<Sounding>,
}

impl Aside {
    fn begin(&mut self, sounds: VecDeque<Sound>, now: Now, out: &mut Outbox) {
        self.stop(out);
        self.rest = sounds;
        self.go_on(now, out);
    }

    fn go_on(&mut self, now: Now, out: &mut Outbox) {
        self.sounding = self.rest.pop_front().map(|sound| Sounding::begin(&sound, now, out));
    }

    /// True where what has ended was one of these.
    pub(super) fn ended(&mut self, ended: Sounding, now: Now, out: &mut Outbox) -> bool {
        let own = self.sounding == Some(ended);
        if own {
            self.go_on(now, out);
        }
        own
    }

    /// At its time: a silence may be over.
    pub(super) fn woken(&mut self, now: Now, out: &mut Outbox) {
        while self.sounding.is_some_and(|sounding| sounding.is_over(now)) {
            self.go_on(now, out);
        }
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.sounding.and_then(Sounding::deadline)
    }

    pub(super) fn stop(&mut self, out: &mut Outbox) {
        self.rest.clear();
        if let Some(sounding) = self.sounding.take() {
            sounding.stop(out);
        }
    }
}

impl Program {
    /// A machine that does nothing by itself, for a call that others have joined: sounds may be put in between
    /// ([`Program::interject`]), and it may be given something to do ([`Program::replace`]).
    #[must_use]
    pub fn standing_by(call: CallContext) -> Self {
        let mut program = Self::with(Vec::new(), call, super::Role::Call);
        program.state = State::StandingBy;
        program.life = super::Life::Answered;
        program
    }

    /// True for one that does nothing by itself.
    #[must_use]
    pub const fn is_standing_by(&self) -> bool {
        matches!(self.state, State::StandingBy)
    }

    /// Ends what it does and was to do: others have the caller from now on.
    pub fn stand_by(&mut self) {
        if self.life == super::Life::Gone || self.is_done() {
            return;
        }
        let state = self.take_state();
        self.aside.stop(&mut self.out);
        self.forget_all();
        if !matches!(state, State::Fresh | State::Answering(_)) {
            state.fall_silent(&mut self.out);
        }
        self.life = super::Life::Answered;
        self.state = State::StandingBy;
    }

    /// Runs these verbs at once, and then goes on. What is heard now is stopped and its verb is over; a gather that runs is
    /// asked again from its beginning afterwards. While the caller is in a bridge, a conference or a recording, or a
    /// document is waited for, that goes on: sounds are heard over it, for as long as it lasts.
    ///
    /// # Errors
    /// Where the state of the program forbids it; nothing has changed then.
    pub fn interject(&mut self, answer: Answer, now: Now) -> Result<(), NotNow> {
        if self.frames.len() >= MAX_FRAMES {
            return Err(NotNow::TooDeep);
        }
        match self.state {
            State::Fresh | State::Answering(_) => return Err(NotNow::NotAnswered),
            State::Done => return Err(NotNow::Over),
            State::Talking(_) | State::Fetching(_) | State::StandingBy => {
                let sounds = only_sounds(answer).ok_or(NotNow::Joined)?;
                self.aside.begin(sounds, now, &mut self.out);
                return Ok(());
            }
            State::Sounding(_) | State::Gathering(_) | State::Echoing => {}
        }
        let again = match self.take_state() {
            State::Gathering(gather) => Some(Verb::Gather(gather.put_off(&mut self.out))),
            State::Echoing => {
                State::Echoing.fall_silent(&mut self.out);
                Some(Verb::Echo)
            }
            other => {
                other.fall_silent(&mut self.out);
                None
            }
        };
        self.drop_finished_frames();
        self.frames.extend(again.map(|verb| Frame::Verbs(vec![verb].into_iter())));
        self.frames.push(Frame::Verbs(answer.into_verbs().into_iter()));
        self.state = self.advance(now);
        Ok(())
    }

    /// Stops what is heard: the verb that sounds is over and the next begins; a gather waits for keys without its prompts;
    /// what was put over a bridge or a conference is heard no more.
    pub fn hush(&mut self, now: Now) {
        self.aside.stop(&mut self.out);
        self.state = match self.take_state() {
            State::Sounding(sounding) => {
                sounding.stop(&mut self.out);
                self.advance(now)
            }
            State::Gathering(gather) => State::Gathering(gather.hush(now, &mut self.out)),
            state => state,
        };
    }

    /// What an answering-machine detection has found: every request from now on says so.
    pub fn set_answered_by(&mut self, who: impl Into<String>) {
        self.call.answered_by = Some(who.into());
    }

    /// Verbs of which none is left.
    fn drop_finished_frames(&mut self) {
        while matches!(self.frames.last(), Some(Frame::Verbs(verbs)) if verbs.as_slice().is_empty()) {
            self.frames.pop();
        }
    }

    /// What was put over something else ends with it.
    pub(super) fn settle_aside(&mut self) {
        if !matches!(self.state, State::Talking(_) | State::Fetching(_) | State::StandingBy) {
            self.aside.stop(&mut self.out);
        }
    }
}

/// The sounds of a program that has nothing else.
fn only_sounds(answer: Answer) -> Option<VecDeque<Sound>> {
    let sound = |verb| match verb {
        Verb::Hear(sound) => Some(sound),
        _ => None,
    };
    answer.into_verbs().into_iter().map(sound).collect()
}
