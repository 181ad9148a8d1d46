//! Outbound registration (RFC 3261 §10.2) as a pure machine: register, refresh, back off, and leave.
//!
//! It says when to send a REGISTER and for how long; the endpoint sends it (always with the same Call-ID, a rising CSeq
//! and its answer to a challenge) and reports the final outcome. There is never more than one REGISTER out (§10.2.4),
//! and never a loop: each failure is followed by a wait.

mod backoff;
pub mod limits;
mod state;

pub use state::RegistrationState;

use base::{Now, Rng};
use state::{Asking, Held, State};
use std::collections::VecDeque;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Register, and stay registered.
    Start,
    /// The final response to the REGISTER that is out. 401 and 407 mean that the endpoint's credentials were refused; a
    /// transaction that timed out is a 408 (RFC 3261 §8.1.3.1). A provisional one is ignored.
    Reply {
        /// Its status code.
        status: u16,
        /// Seconds granted: the `expires` of our Contact, else the Expires header.
        expires: Option<u32>,
        /// Min-Expires of a 423, in seconds.
        min_expires: Option<u32>,
        /// Retry-After, in seconds.
        retry_after: Option<u32>,
    },
    /// The REGISTER that is out could not be sent.
    TransportFailed,
    /// The time asked for has come. An early one is ignored.
    Timeout,
    /// Take the registration back, and stop.
    Stop,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send a REGISTER for this many seconds; 0 takes the binding back (RFC 3261 §10.2.2).
    SendRegister {
        /// Its Expires.
        expires: u32,
    },
    /// What it is like now: for events and health.
    StateChanged(RegistrationState),
    /// There is nothing more to ask for. Wake the machine with [`Input::Timeout`] at this time (monotonic nanoseconds).
    Timeout(Option<u64>),
}

/// One registration.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Seconds to ask for: as configured, or what a 423 demanded.
    expires: u32,
    rng: Rng,
    state: State,
    said: RegistrationState,
    out: VecDeque<Output>,
}

/// What a reply says, apart from its status.
#[derive(Clone, Copy, Debug, Default)]
struct Reply {
    expires: Option<u32>,
    min_expires: Option<u32>,
    retry_after: Option<u32>,
}

impl Registration {
    /// A registration that waits for [`Input::Start`], for this many seconds at a time.
    #[must_use]
    pub fn new(expires_s: u32, rng: Rng) -> Self {
        let expires = expires_s.clamp(1, limits::MAX_EXPIRES_S);
        Self { expires, rng, state: State::Idle, said: RegistrationState::Unregistered, out: VecDeque::new() }
    }

    /// Takes in what has happened. What no state waits for is ignored.
    pub fn handle(&mut self, input: Input, now: Now) {
        let state = std::mem::replace(&mut self.state, State::Idle);
        self.state = match input {
            Input::Start => self.start(state),
            Input::Stop => self.stop(state, now),
            Input::Timeout => self.woken(state, now),
            Input::TransportFailed => self.replied(state, None, Reply::default(), now),
            Input::Reply { status: 0..=199, .. } => state,
            Input::Reply { status, expires, min_expires, retry_after } => {
                self.replied(state, Some(status), Reply { expires, min_expires, retry_after }, now)
            }
        };
        self.say();
    }

    /// What is asked for, in order; [`Output::Timeout`] once there is nothing more.
    pub fn poll(&mut self) -> Output {
        self.out.pop_front().unwrap_or_else(|| Output::Timeout(self.state.deadline()))
    }

    /// What it is like.
    #[must_use]
    pub const fn state(&self) -> &RegistrationState {
        &self.said
    }

    /// True while the registrar holds our binding, also while a refresh is under way or has failed.
    #[must_use]
    pub fn is_bound(&self, now: Now) -> bool {
        self.state.binding().is_some_and(|until| until > now.mono)
    }

    fn start(&mut self, state: State) -> State {
        match state {
            State::Idle => self.ask(Asking { expires: self.expires, ..Asking::default() }),
            // Whoever stopped has thought better of it, and the REGISTER is still out.
            State::Asking(asking) => State::Asking(Asking { stopping: false, ..asking }),
            State::Leaving { .. } => State::Leaving { restart: true },
            other => other,
        }
    }

    fn stop(&mut self, state: State, now: Now) -> State {
        let bound = state.binding().is_some_and(|until| until > now.mono);
        match state {
            State::Asking(asking) => State::Asking(Asking { stopping: true, ..asking }),
            State::Leaving { .. } => State::Leaving { restart: false },
            State::Held(_) | State::Waiting(_) if bound => self.leave(),
            _ => State::Idle,
        }
    }

    fn woken(&mut self, state: State, now: Now) -> State {
        if state.deadline().is_none_or(|at| at > now.mono) {
            return state;
        }
        match state {
            State::Held(held) => {
                self.ask(Asking { expires: self.expires, binding: Some(held.until), ..Asking::default() })
            }
            State::Waiting(waiting) => self.ask(Asking {
                expires: self.expires,
                binding: waiting.binding,
                failures: waiting.failures,
                ..Asking::default()
            }),
            other => other,
        }
    }

    /// The final outcome of the REGISTER that is out: a status, or none where it was not sent.
    fn replied(&mut self, state: State, status: Option<u16>, reply: Reply, now: Now) -> State {
        match state {
            State::Asking(asking) => self.answered(asking, status, reply, now),
            State::Leaving { restart: true } => self.start(State::Idle),
            State::Leaving { restart: false } => State::Idle,
            other => other,
        }
    }

    fn answered(&mut self, asking: Asking, status: Option<u16>, reply: Reply, now: Now) -> State {
        match (status, reply.min_expires) {
            (Some(200..=299), _) => self.granted(asking, reply, now),
            _ if asking.stopping => self.stop_after_failure(&asking, now),
            (Some(423), Some(least)) if asking.may_ask_for(least) => {
                self.expires = least;
                self.ask(Asking { expires: least, asked_longer: true, ..asking })
            }
            _ => State::Waiting(backoff::wait(&asking, status, reply.retry_after, &mut self.rng, now)),
        }
    }

    fn granted(&mut self, asking: Asking, reply: Reply, now: Now) -> State {
        let seconds = reply.expires.unwrap_or(asking.expires).min(limits::MAX_EXPIRES_S);
        if asking.stopping {
            return if seconds > 0 { self.leave() } else { State::Idle };
        }
        if seconds == 0 {
            let none = Asking { binding: None, ..asking };
            return State::Waiting(backoff::wait(&none, Some(200), reply.retry_after, &mut self.rng, now));
        }
        State::Held(Held::new(seconds, &mut self.rng, now))
    }

    fn stop_after_failure(&mut self, asking: &Asking, now: Now) -> State {
        if asking.binding.is_some_and(|until| until > now.mono) { self.leave() } else { State::Idle }
    }

    fn ask(&mut self, asking: Asking) -> State {
        self.out.push_back(Output::SendRegister { expires: asking.expires });
        State::Asking(asking)
    }

    fn leave(&mut self) -> State {
        self.out.push_back(Output::SendRegister { expires: 0 });
        State::Leaving { restart: false }
    }

    /// Says what has changed, once.
    fn say(&mut self) {
        let now = self.state.shown();
        if now != self.said {
            self.said = now.clone();
            self.out.push_back(Output::StateChanged(now));
        }
    }
}
