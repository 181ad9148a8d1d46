//! The user agent core (RFC 3261 §8, §13–§15): everything below a call and above a socket, as one value.
//!
//! In: [`Endpoint::handle`] (what the sockets have seen) and the calls (`invite`, `accept`, `hangup`, …). Out:
//! [`Endpoint::poll`], until it says [`Output::Timeout`]. The same inputs give the same outputs, byte for byte.
//!
//! ```text
//! receive ─┬─ transactions ── exchange ─┐        a request of ours: located, tried, authenticated
//! streams ─┘        │                   ├─ notices ── sessions ── events
//!                   └───────────────────┘
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `config`, `command`, `event` | what goes in once, what is asked, what is told |
//! | `gate` | how much is let in of strangers |
//! | `receive`, `answer`, `arrivals` | where a message belongs; answers that need no session; requests that the user answers |
//! | `transactions`, `exchange` | tables around the pure machines; one request of ours until its final response |
//! | `streams`, `flows` | connections |
//! | `user`, `notices` | the calls of whoever uses the endpoint; what the lower strata say to sessions |
//! | `session/` | INVITE sessions, one state a file |
//!
//! Absent on purpose: media (an SDP is bytes here), routing, users, a registrar, and any wish to know who may call.

mod answer;
mod arrivals;
mod authorize;
mod command;
mod compose;
mod config;
mod content;
mod core;
mod event;
mod exchange;
mod flows;
#[doc(hidden)]
pub mod fuzz;
pub(crate) mod gate;
mod notices;
mod receive;
mod rest;
mod session;
mod streams;
mod timer;
mod transactions;
mod user;

pub use command::{
    Body, Headers, InDialogId, InboundId, Invite, NextHop, OutOfDialog, ReferId, Refused, ReofferId, RequestId,
    SessionId,
};
pub use config::*;
pub use event::{EndedBy, Event, Failure, LadderEntry, Load, Loss, Output, Source};
pub use gate::{BURST, GateRates, MAX_SOURCES, SOURCE_RATE, STRANGERS_RATE, customer_of};
pub use rest::{MAX_REST, MAX_RESTING, REST};

use self::core::{Core, Target};
use crate::transport::Input;
use arrivals::Arrivals;
use base::{Now, Rng};
use gate::Gate;
use session::{Session, Sessions};
use timer::{ExchangeTimer, TimerKey};

/// See the head of this module.
pub struct Endpoint {
    core: Core,
    sessions: Sessions,
    arrivals: Arrivals,
    gate: Gate,
    accepting: bool,
    overloaded: bool,
}

impl std::fmt::Debug for Endpoint {
    /// What it holds, in numbers: what it holds in fact are whole messages, and they carry credentials.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").field("load", &self.load()).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An endpoint at rest. All its randomness (tags, branches, Call-IDs, cnonces) is drawn from `rng`.
    #[must_use]
    pub fn new(config: Config, rng: Rng) -> Self {
        let gate = Gate::new(config.gate.clone());
        let (sessions, arrivals) = (Sessions::default(), Arrivals::default());
        Self { core: Core::new(config, rng), sessions, arrivals, gate, accepting: true, overloaded: false }
    }

    /// Takes what the sockets have seen. Drain [`Endpoint::poll`] after it: what waits there is bounded by what one input
    /// can bring about (a datagram a few outputs, a closed stream one for each request on it, a wake
    /// [`MAX_FIRED_PER_WAKE`] timers), and is not dropped.
    pub fn handle(&mut self, input: Input, now: Now) {
        self.core.now = now;
        match input {
            Input::Datagram { local, from, bytes } => self.on_datagram(local, from, bytes),
            Input::Unreachable { local, to } => self.core.unreachable(Target::Datagram { local, to }),
            Input::Accepted { flow, local, peer } => self.core.flow_accepted(flow, local, peer),
            Input::Opened { flow, local_addr } => self.core.flow_opened(flow, local_addr),
            Input::Received { flow, bytes } => self.on_stream(flow, bytes),
            Input::Closed { flow, reason } => self.core.flow_closed(flow, &reason),
            Input::Resolved { query, addresses } => self.core.resolved(query, addresses),
            Input::Located { query, records } => self.core.found(query, &records),
            Input::Timeout => self.on_time(),
        }
        self.pump();
    }

    /// The next thing to do or to know. After [`Output::Timeout`] there is nothing more until the next input or call.
    pub fn poll(&mut self) -> Output {
        self.core.outputs.pop_front().unwrap_or_else(|| Output::Timeout(self.core.timers.next()))
    }

    /// What it holds.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            transactions: self.transactions() + self.core.unsent() + self.arrivals.len(),
            sessions: self.sessions.len(),
            dialogs: self.core.dialogs.len(),
            flows: self.core.flows.len(),
            timers: self.core.timers.len(),
        }
    }

    fn transactions(&self) -> usize {
        self.core.clients.table.len() + self.core.servers.table.len()
    }

    /// Fires what is due, at most [`MAX_FIRED_PER_WAKE`] at once.
    fn on_time(&mut self) {
        for _ in 0..MAX_FIRED_PER_WAKE {
            let Some(key) = self.core.timers.expired(self.core.now.mono) else { return };
            self.fire(key);
            self.pump();
        }
    }

    fn fire(&mut self, key: TimerKey) {
        match key {
            TimerKey::Client(id, timer) => self.core.client_fired(id, timer),
            TimerKey::Canceled(id) => self.core.cancel_unanswered(id),
            TimerKey::Server(id, timer) => self.core.server_fired(id, timer),
            TimerKey::Flow(id, timer) => self.core.flow_timer(id, timer),
            TimerKey::Exchange(id, ExchangeTimer::Resolve) => self.core.resolve_timed_out(id),
            TimerKey::Exchange(id, ExchangeTimer::Try) => self.core.try_timed_out(id),
            TimerKey::Arrival(id) => self.arrival_timed_out(id),
            TimerKey::Session(id, timer) => self.with_session(id, |session, core| session.on_timer(core, timer)),
        }
    }

    /// What one session makes of something.
    fn with_session(&mut self, id: SessionId, f: impl FnOnce(Session, &mut Core) -> Option<Session>) {
        self.sessions.with(id, &mut self.core, f);
    }
}
