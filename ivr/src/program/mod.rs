//! The machine that runs a call program: verbs on a stack of frames, one state at a time.
//!
//! It is driven like every core (DESIGN.md §2): [`Program::handle`] an input, then [`Program::poll`] until it says
//! [`Output::Timeout`]. A program has no jumps, so every verb runs at most once and a run always comes to an end, or to
//! a state that waits for a named input: the end of a prompt, a key, a time, the end of the call. It must never ask
//! anything of a call that is gone.

mod gather;
mod io;
mod typed;

pub use io::{BridgeId, GatherReason, Gathered, Input, Output, PlayId};

use crate::answer::{Answer, Verb, is_key};
use base::Now;
use gather::{Collecting, Step};
use io::Outbox;
use std::vec;
use typed::TypedAhead;

/// A call program that runs.
#[derive(Clone, Debug)]
pub struct Program {
    /// The verbs still to run: those of the innermost branch are last.
    frames: Vec<vec::IntoIter<Verb>>,
    state: State,
    typed: TypedAhead,
    out: Outbox,
}

/// What a program does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Something that the caller hears: the call must be answered before it.
    Heard,
    /// It calls others: the call is answered when they answer.
    Bridge,
    /// It ends.
    End,
}

/// What the machine waits for.
#[derive(Clone, Debug)]
enum State {
    /// [`Input::Start`].
    Fresh,
    /// The end of this prompt.
    Playing(PlayId),
    /// Keys, the end of a prompt, a time.
    Gathering(Collecting),
    /// The end of this bridge.
    Bridging(BridgeId),
    /// The end of the call.
    Echoing,
    /// Nothing more.
    Done,
}

impl Program {
    /// A machine that waits for [`Input::Start`].
    #[must_use]
    pub fn new(answer: Answer) -> Self {
        Self {
            frames: vec![answer.into_verbs().into_iter()],
            state: State::Fresh,
            typed: TypedAhead::default(),
            out: Outbox::default(),
        }
    }

    /// Takes in what has happened. What no state waits for is ignored: a prompt that had been stopped and now ends, a
    /// wake that comes early or twice, a character that is no key.
    pub fn handle(&mut self, input: Input, now: Now) {
        self.state = match (self.take_state(), input) {
            (State::Done, _) => State::Done,
            (_, Input::Ended) => self.gone(),
            (State::Gathering(gather), Input::Digit(key)) if is_key(key) => self.pressed(gather, key, now),
            // What is pressed on a bridge is meant for the one at its other end.
            (State::Bridging(bridge), Input::Digit(_)) => State::Bridging(bridge),
            (state, Input::Digit(key)) => {
                self.typed.keep(key);
                state
            }
            (State::Fresh, Input::Start) => self.advance(now),
            (State::Playing(current), Input::PlayEnded { play }) if play == current => self.advance(now),
            (State::Bridging(current), Input::BridgeEnded { bridge }) if bridge == current => self.advance(now),
            (State::Gathering(gather), Input::PlayEnded { play }) => State::Gathering(gather.prompt_ended(play, now)),
            (State::Gathering(gather), Input::Timeout) => {
                let step = gather.woken(now, &mut self.out);
                self.follow(step, now)
            }
            (state, Input::Start | Input::PlayEnded { .. } | Input::BridgeEnded { .. } | Input::Timeout) => state,
        };
    }

    /// What is asked for, in order; [`Output::Timeout`] once there is nothing more.
    pub fn poll(&mut self) -> Output {
        self.out.take().unwrap_or_else(|| Output::Timeout(self.deadline()))
    }

    /// Puts another program in the place of the one that runs: what is heard now is stopped, what was typed ahead is
    /// forgotten, and the new program begins at once (where this one had not begun, it waits for [`Input::Start`]).
    /// A machine that is done stays done.
    pub fn replace(&mut self, answer: Answer, now: Now) {
        let state = self.take_state();
        if matches!(state, State::Done) {
            return;
        }
        self.frames = vec![answer.into_verbs().into_iter()];
        self.typed = TypedAhead::default();
        self.state = match state {
            State::Fresh => State::Fresh,
            running => {
                running.fall_silent(&mut self.out);
                self.advance(now)
            }
        };
    }

    /// What comes next, for a call that is not answered yet.
    #[must_use]
    pub fn next(&self) -> Next {
        match self.frames.iter().rev().find_map(|frame| frame.as_slice().first()) {
            None | Some(Verb::Hangup) => Next::End,
            Some(Verb::Bridge(_)) => Next::Bridge,
            Some(_) => Next::Heard,
        }
    }

    /// True once the machine will ask for nothing beyond what [`Program::poll`] still holds: it has asked for the
    /// hang-up, or the call is gone.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    fn deadline(&self) -> Option<u64> {
        match &self.state {
            State::Gathering(gather) => gather.deadline(),
            State::Fresh | State::Playing(_) | State::Bridging(_) | State::Echoing | State::Done => None,
        }
    }

    fn take_state(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Done)
    }

    /// Runs verbs until one of them waits.
    fn advance(&mut self, now: Now) -> State {
        while let Some(frame) = self.frames.last_mut() {
            match frame.next() {
                None => drop(self.frames.pop()),
                Some(Verb::Play(play)) => return State::Playing(self.out.play(&play)),
                Some(Verb::Gather(gather)) => match Collecting::begin(gather, &mut self.typed, now, &mut self.out) {
                    Step::More(gather) => return State::Gathering(gather),
                    Step::Over { branch, .. } => self.enter(branch),
                },
                Some(Verb::Bridge(with)) => return State::Bridging(self.out.bridge(with)),
                Some(Verb::Echo) => {
                    self.out.push(Output::Echo(true));
                    return State::Echoing;
                }
                Some(Verb::Hangup) => break,
            }
        }
        self.hang_up()
    }

    fn pressed(&mut self, gather: Collecting, key: char, now: Now) -> State {
        if self.typed.ends_the_entry_before(&gather, key, now) {
            return State::Gathering(gather);
        }
        let step = gather.key(key, now, &mut self.out);
        self.follow(step, now)
    }

    fn follow(&mut self, step: Step, now: Now) -> State {
        match step {
            Step::More(gather) => State::Gathering(gather),
            Step::Over { branch, reason } => {
                self.typed.gather_over(reason, now);
                self.enter(branch);
                self.advance(now)
            }
        }
    }

    fn enter(&mut self, branch: Option<Vec<Verb>>) {
        self.frames.extend(branch.map(Vec::into_iter));
    }

    fn hang_up(&mut self) -> State {
        self.frames.clear();
        self.out.push(Output::Hangup);
        State::Done
    }

    /// The call is gone: what was still to be asked for is not.
    fn gone(&mut self) -> State {
        self.frames.clear();
        self.out.clear();
        State::Done
    }
}

impl State {
    /// Stops whatever is heard in this state.
    fn fall_silent(self, out: &mut Outbox) {
        match self {
            Self::Playing(play) => out.push(Output::StopPlay { play }),
            Self::Gathering(gather) => gather.stop_prompt(out),
            Self::Bridging(bridge) => out.push(Output::Unbridge { bridge }),
            Self::Echoing => out.push(Output::Echo(false)),
            Self::Fresh | Self::Done => {}
        }
    }
}
