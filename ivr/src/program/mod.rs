//! The machine that runs a call program: verbs on a stack of frames, one state at a time. JSON programs, TwiML documents
//! and flows run on it alike.
//!
//! It is driven like every core (DESIGN.md §2): [`Program::handle`] an input, then [`Program::poll`] until it says
//! [`Output::Timeout`]. A document may lead to another, and a flow round in a circle; both are counted
//! ([`limits`](crate::limits)), so that a run always comes to an end, or to a state that waits for a named input: the
//! end of a prompt, a key, a time, a report, the end of the call. Of a call that is gone it must never ask what a caller
//! could hear.

mod ends;
mod fetch;
mod gather;
mod io;
mod live;
mod outbox;
mod pace;
mod run;
mod show;
mod sounding;
mod talk;
mod typed;

pub(crate) use ends::Outcome;
pub use ends::{BridgeEnd, BridgeStatus, ConferenceEnd, Recording, ReferEnd};
pub use io::{
    BridgeId, ConferenceId, FetchId, GatherReason, Gathered, Input, ListenId, Output, PlayId, RecordId, ReferId,
    Warning,
};
pub use live::NotNow;
pub(crate) use pace::Pace;

use crate::answer::{Action, Answer, Fetch, Link, Sound, Target, Verb, is_key};
use crate::context::CallContext;
use crate::flow::Running;
use base::Now;
use fetch::{Documents, Fetching};
use gather::{Collecting, Step};
use live::Aside;
use outbox::Outbox;
use sounding::Sounding;
use std::vec;
use talk::{End, Talking};
use typed::TypedAhead;

/// A call program that runs.
#[derive(Clone, Debug)]
pub struct Program {
    /// The verbs still to run: those of the innermost branch are last.
    frames: Vec<Frame>,
    state: State,
    typed: TypedAhead,
    out: Outbox,
    call: CallContext,
    role: Role,
    life: Life,
    documents: Documents,
    /// What is heard over something that goes on.
    aside: Aside,
    /// Verbs and states that have run.
    steps: u32,
    pace: Pace,
}

/// What a program does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Something that the caller hears: the call must be answered before it.
    Heard,
    /// It calls others: the call is answered when they answer.
    Bridge,
    /// Something that the caller need not be answered for, and that may lead to anything: give it [`Input::Early`].
    Early,
    /// It ends.
    End,
}

/// Whose verbs are run.
#[derive(Clone, Debug)]
enum Frame {
    Verbs(vec::IntoIter<Verb>),
    Flow(Box<Running>),
}

/// What the end of a program means.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Role {
    /// The end of the call.
    Call,
    /// The called is joined with the caller.
    Screening,
    /// It begins again.
    Waiting(Box<Fetch>),
}

/// How far the call is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    Ringing,
    Answered,
    Gone,
}

/// What the machine waits for.
#[derive(Clone, Debug)]
enum State {
    /// [`Input::Start`] or [`Input::Early`].
    Fresh,
    /// [`Input::Start`], and then this verb is run.
    Answering(Box<Verb>),
    /// The end of this sound.
    Sounding(Sounding),
    /// Keys, speech, the end of a prompt, a time.
    Gathering(Collecting),
    /// The end of what the caller does with others.
    Talking(Talking),
    /// A document, or what a flow has asked for.
    Fetching(Box<Fetching>),
    /// The end of the call.
    Echoing,
    /// Others have the caller; it waits for what it is given to do.
    StandingBy,
    /// Nothing more.
    Done,
}

impl Program {
    /// A machine that waits for [`Input::Start`] or [`Input::Early`], for a call of which nothing is known.
    #[must_use]
    pub fn new(answer: Answer) -> Self {
        Self::with_context(answer, CallContext::default())
    }

    /// A machine whose requests say this of the call.
    #[must_use]
    pub fn with_context(answer: Answer, call: CallContext) -> Self {
        Self::with(answer.into_verbs(), call, Role::Call)
    }

    /// What is run on somebody who was called, before both are joined (TWILIO.md §4.3, 9): the document of
    /// [`Target::screening`](crate::Target::screening). It says [`Output::Join`] at its end, and [`Output::Hangup`] where
    /// they are not to be joined. It calls nobody.
    #[must_use]
    pub fn screening(fetch: Fetch, call: CallContext) -> Self {
        Self::with(vec![Verb::Fetch(Box::new(fetch))], call, Role::Screening)
    }

    /// All that is to be run on a target before both are joined: its keys, then its document; none where there is neither.
    #[must_use]
    pub fn before_joining(target: &Target, call: CallContext) -> Option<Self> {
        let keys = target.send_digits.clone().map(|keys| Verb::Hear(Sound::Digits(keys)));
        let document = target.screening.clone().map(|(url, method)| {
            Verb::Fetch(Box::new(Fetch { action: Action { link: Link::Url(url), method }, fallback: None }))
        });
        let verbs: Vec<Verb> = keys.into_iter().chain(document).collect();
        (!verbs.is_empty()).then(|| Self::with(verbs, call, Role::Screening))
    }

    /// What is run for somebody who waits, over and over: the document of [`Wait::Document`](crate::Wait::Document).
    /// It calls nobody; [`Output::Hangup`] ends the call.
    #[must_use]
    pub fn waiting(fetch: Fetch, call: CallContext) -> Self {
        let role = Role::Waiting(Box::new(fetch.clone()));
        Self::with(vec![Verb::Fetch(Box::new(fetch))], call, role)
    }

    fn with(verbs: Vec<Verb>, call: CallContext, role: Role) -> Self {
        Self {
            frames: vec![Frame::Verbs(verbs.into_iter())],
            state: State::Fresh,
            typed: TypedAhead::default(),
            out: Outbox::default(),
            call,
            role,
            life: Life::Ringing,
            documents: Documents::default(),
            aside: Aside::default(),
            steps: 0,
            pace: Pace::default(),
        }
    }

    /// Takes in what has happened. What no state waits for is ignored: a prompt that had been stopped and now ends, a
    /// wake that comes early or twice, a character that is no key.
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::PlayEnded { play } if self.aside.ended(Sounding::Play(play), now, &mut self.out) => return,
            Input::Timeout => self.aside.woken(now, &mut self.out),
            _ => {}
        }
        self.take_in(input, now);
        self.settle_aside();
    }

    fn take_in(&mut self, input: Input, now: Now) {
        let state = self.take_state();
        self.pace.passes(now, state.is_the_callers());
        self.state = match (state, input) {
            (State::Done, _) => State::Done,
            (state, Input::Ended) => self.gone(state, now),
            (state, Input::Start) => self.answered(state, now),
            (state, Input::Early) => self.early(state, now),
            (state, Input::Digit(key)) => self.key(state, key, now),
            (State::Sounding(sounding), Input::PlayEnded { play }) if sounding == Sounding::Play(play) => {
                self.advance(now)
            }
            (State::Sounding(sounding), Input::Timeout) if sounding.is_over(now) => self.advance(now),
            (State::Gathering(gather), input) => self.gathering(gather, input, now),
            (State::Talking(talking), input) => self.talking(talking, input, now),
            (State::Fetching(fetching), input) => self.fetching(fetching, input, now),
            (state, _) => state,
        };
    }

    /// What is asked for, in order; [`Output::Timeout`] once there is nothing more.
    pub fn poll(&mut self) -> Output {
        self.out.take().unwrap_or_else(|| Output::Timeout(self.deadline()))
    }

    /// Puts another program in the place of the one that runs: what is heard now is stopped, what was typed ahead is
    /// forgotten, and the new program begins at once (where this one had not begun, it waits for [`Input::Start`]).
    /// A machine that is done, or whose caller has gone, stays as it is.
    pub fn replace(&mut self, answer: Answer, now: Now) {
        if self.life == Life::Gone || self.is_done() {
            return;
        }
        let state = self.take_state();
        self.aside.stop(&mut self.out);
        self.forget_all();
        self.frames = vec![Frame::Verbs(answer.into_verbs().into_iter())];
        self.state = match state {
            // An answer that was asked for comes with a start.
            State::Fresh | State::Answering(_) => State::Fresh,
            running => {
                running.fall_silent(&mut self.out);
                self.advance(now)
            }
        };
    }

    /// Nothing of what it was to do, and of what was typed ahead for it, is left.
    fn forget_all(&mut self) {
        self.frames.clear();
        self.typed = TypedAhead::default();
        self.documents.forget();
    }

    /// What comes next, for a call that is not answered yet.
    #[must_use]
    pub fn next(&self) -> Next {
        let upcoming = self.frames.iter().rev().find_map(|frame| match frame {
            Frame::Verbs(verbs) => verbs.as_slice().first().map(run::next_of),
            Frame::Flow(_) => Some(Next::Early),
        });
        upcoming.unwrap_or(if self.role == Role::Call { Next::End } else { Next::Early })
    }

    /// True once the machine will ask for nothing beyond what [`Program::poll`] still holds: it has asked for the
    /// hang-up, or the call is gone and nothing is owed for it.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// True while keys are waited for: by a gather, or by a recording that they end.
    pub(crate) fn takes_keys(&self) -> bool {
        match &self.state {
            State::Gathering(gather) => gather.takes_keys(),
            State::Talking(talking) => talking.recording().is_some(),
            _ => false,
        }
    }

    fn deadline(&self) -> Option<u64> {
        self.own_deadline().into_iter().chain(self.aside.deadline()).min()
    }

    fn own_deadline(&self) -> Option<u64> {
        match &self.state {
            State::Gathering(gather) => gather.deadline(),
            State::Sounding(sounding) => sounding.deadline(),
            State::Talking(talking) => talking.deadline(),
            State::Fetching(fetching) => Some(fetching.until()),
            State::Fresh | State::Answering(_) | State::Echoing | State::StandingBy | State::Done => None,
        }
    }

    fn take_state(&mut self) -> State {
        std::mem::replace(&mut self.state, State::Done)
    }

    fn answered(&mut self, state: State, now: Now) -> State {
        if self.life == Life::Ringing {
            self.life = Life::Answered;
        }
        match state {
            State::Fresh => self.advance(now),
            State::Answering(verb) => self.run_or_advance(*verb, now),
            running => running,
        }
    }

    fn early(&mut self, state: State, now: Now) -> State {
        match state {
            State::Fresh => self.advance(now),
            running => running,
        }
    }

    fn key(&mut self, state: State, key: char, now: Now) -> State {
        match state {
            State::Gathering(gather) if is_key(key) => self.pressed(gather, key, now),
            // What is pressed while others are on the line is meant for them, or for what the caller does with them.
            State::Talking(mut talking) => {
                if is_key(key) && self.life != Life::Gone {
                    talking.key(key, now, &mut self.out);
                }
                State::Talking(talking)
            }
            State::StandingBy => State::StandingBy,
            state => {
                self.typed.keep(key);
                state
            }
        }
    }

    fn pressed(&mut self, gather: Collecting, key: char, now: Now) -> State {
        if self.typed.ends_the_entry_before(&gather, key, now) {
            return State::Gathering(gather);
        }
        let step = gather.key(key, now, &mut self.out);
        self.follow(step, now)
    }

    fn gathering(&mut self, gather: Collecting, input: Input, now: Now) -> State {
        let step = match input {
            Input::PlayEnded { play } => Step::More(gather.prompt_ended(play, now, &mut self.out)),
            Input::Timeout => gather.woken(now, &mut self.out),
            Input::SpeechStarted { listen } => Step::More(gather.speaks(listen, now, &mut self.out)),
            Input::SpeechPartial { listen, stable, unstable } => {
                self.tell_partial(&gather, listen, &stable, unstable);
                Step::More(gather)
            }
            Input::SpeechResult { listen, text, confidence } => {
                gather.said(listen, text, confidence, now, &mut self.out)
            }
            _ => Step::More(gather),
        };
        self.follow(step, now)
    }

    fn talking(&mut self, mut talking: Talking, input: Input, now: Now) -> State {
        let gone = self.life == Life::Gone;
        let outcome = match input {
            Input::BridgeAnswered { bridge } => {
                talking.answered(bridge, now);
                None
            }
            Input::RecordStarted { record, recording } => {
                self.record_started(&talking, record, &recording);
                None
            }
            Input::RecordEnded { record, recording } => talking.ended(End::Record(record, recording), gone, now),
            Input::BridgeEnded { bridge, end } => talking.ended(End::Bridge(bridge, end), gone, now),
            Input::ConferenceEnded { conference, end } => talking.ended(End::Conference(conference, end), gone, now),
            Input::ReferEnded { refer, end } => talking.ended(End::Refer(refer, end), gone, now),
            Input::Timeout => talking.woken(now, gone, &mut self.out),
            _ => None,
        };
        match outcome {
            None => State::Talking(talking),
            Some(outcome) => self.talk_over(talking, outcome, now),
        }
    }

    /// The call is gone: what was still to be asked for is not, but for what is owed to others.
    fn gone(&mut self, state: State, now: Now) -> State {
        self.life = Life::Gone;
        self.aside = Aside::default();
        self.out.keep_what_is_owed();
        match state {
            State::Talking(mut talking) if self.is_owed(&talking) => {
                talking.gone(now);
                State::Talking(talking)
            }
            State::Fetching(fetching) if fetching.is_for_a_flow() => State::Fetching(fetching),
            _ => {
                self.out.drop_fetches();
                self.frames.clear();
                State::Done
            }
        }
    }
}

impl State {
    /// True while the caller hears something, is asked, or is with others.
    const fn is_the_callers(&self) -> bool {
        matches!(self, Self::Sounding(_) | Self::Gathering(_) | Self::Talking(_) | Self::Echoing | Self::StandingBy)
    }

    /// Stops whatever is heard in this state.
    fn fall_silent(self, out: &mut Outbox) {
        match self {
            Self::Sounding(sounding) => sounding.stop(out),
            Self::Gathering(gather) => gather.fall_silent(out),
            Self::Talking(talking) => talking.stop(out),
            Self::Echoing => out.push(Output::Echo(false)),
            Self::Fresh | Self::Answering(_) | Self::Fetching(_) | Self::StandingBy | Self::Done => {}
        }
    }
}
