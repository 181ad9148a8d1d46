//! One shard of a load: starts its calls when they are due, sees them through, and tells what it saw once a second.

use super::answered::Answered;
use super::call::{Call, Phase, status_of};
use super::config::LoadConfig;
use super::floor::Floor;
use super::tally::Lap;
use super::{Alarm, line};
use crate::node::{Input, Node, Output};
use base::{Now, Rng, secs};
use sip_core::endpoint::{self, Endpoint, Event, LadderEntry, SessionId};
use sip_core::message::{Message, StatusCode};
use sip_core::transport;
use std::collections::BTreeMap;
use std::time::Duration;

/// The most calls that are started on one wake; those left ask to be woken at once, so that answers come between.
pub const STARTS_A_WAKE: usize = 32;
/// The most transactions of a shard at once; a call beyond them fails by our own fault
/// ([`super::Reason::Full`]). An answered INVITE's is kept for 64·T1 (RFC 6026 §8.4): at 3,000 calls a second 96,000.
pub const MAX_TRANSACTIONS: usize = 1_000_000;
/// At an early end, and at that of a load whose calls stand until then, the calls are hung up over so much time, not all
/// at one instant: that burst would be the generator's own doing.
pub const HANG_UP_WITHIN: Duration = Duration::from_secs(2);

/// A call that came to us and that nobody has ended so long after the last of our own is hung up by us: the target's BYE
/// follows at once on ours, where it follows at all.
pub const ABANDON_AFTER: Duration = Duration::from_secs(2);

/// What a load can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// To start no more calls, and to end those that stand.
    Stop,
}

/// What a load tells.
#[derive(Clone, Debug)]
pub enum Told {
    /// A second is over.
    Lap(Box<Lap>),
    /// Every call has ended, and the last lap has been told.
    Finished,
}

/// What a shard still holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// Calls.
    pub calls: usize,
    /// RTP ports out of the pool.
    pub ports: usize,
    /// What its user agent holds.
    pub sip: endpoint::Load,
    /// Timers of its own.
    pub timers: usize,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Generator {
    floor: Floor,
    /// In order of their numbers.
    calls: BTreeMap<u64, Call>,
    /// Calls that came to us, by numbers of their own.
    answered: BTreeMap<u64, Answered>,
    /// How many have come.
    arrived: u64,
    /// Calls of this shard whose time has come.
    ticks: u64,
    /// No more calls will be due.
    exhausted: bool,
    finished: bool,
    endpoint_wake: Option<u64>,
}

impl Generator {
    /// A shard that waits for its first call. All its randomness is drawn from `rng`.
    #[must_use]
    pub fn new(config: LoadConfig, mut rng: Rng) -> Self {
        let mut sip = endpoint::Config::new(config.locals.clone());
        (sip.max_transactions, sip.max_sessions) = (MAX_TRANSACTIONS, MAX_TRANSACTIONS);
        sip.t1 = config.t1;
        sip.user_agent = format!("tandem-load/{}", env!("CARGO_PKG_VERSION"));
        // A plain caller: what it asks of every target alike is an INVITE, an ACK and a BYE.
        (sip.reliable_provisionals, sip.session_timer) = (endpoint::ReliableProvisionals::Off, None);
        let endpoint = Endpoint::new(sip, rng.fork());
        let mut floor = Floor::new(config, endpoint, rng);
        let (start_at, config) = (floor.config.start_at, &floor.config);
        floor.timers.set(Alarm::Start, config.due(config.share.nth(0)).unwrap_or(start_at));
        floor.timers.set(Alarm::Lap, start_at + secs(1));
        if let (None, Some(duration)) = (config.hold, config.duration) {
            floor.timers.set(Alarm::End, start_at.saturating_add(duration.as_nanos() as u64));
        }
        let (calls, answered) = (BTreeMap::new(), BTreeMap::new());
        Self { floor, calls, answered, arrived: 0, ticks: 0, exhausted: false, finished: false, endpoint_wake: None }
    }

    /// What it still holds: nothing, 64·T1 after the last call has ended.
    #[must_use]
    pub fn remains(&self) -> Remains {
        Remains {
            calls: self.calls.len() + self.answered.len(),
            ports: self.floor.ports_in_use(),
            sip: self.floor.endpoint.load(),
            timers: self.floor.timers.len(),
        }
    }

    fn time(&mut self) {
        let now = self.floor.now;
        if self.endpoint_wake.is_some_and(|at| at <= now.mono) {
            self.floor.endpoint.handle(transport::Input::Timeout, now);
        }
        let mut starts = 0;
        while starts < STARTS_A_WAKE
            && let Some((alarm, due)) = self.floor.expired()
        {
            match alarm {
                Alarm::Lap => self.end_lap(due),
                Alarm::End => self.drain(),
                Alarm::Abandon => self.abandon(),
                Alarm::HangUp(number) => self.with(number, |call, floor| call.hang_up(due, floor)),
                Alarm::Start => {
                    starts += 1;
                    self.tick(due);
                }
            }
        }
    }

    /// The time of a call has come.
    fn tick(&mut self, due: u64) {
        let number = self.floor.config.share.nth(self.ticks);
        // The first of this shard may already be beyond the last of all.
        if self.floor.config.due(number).is_some() {
            self.ticks += 1;
            self.come_due(number, due);
        }
        match self.floor.config.due(self.floor.config.share.nth(self.ticks)) {
            Some(next) => self.floor.timers.set(Alarm::Start, next),
            None => self.exhausted = true,
        }
    }

    fn come_due(&mut self, number: u64, due: u64) {
        let config = &self.floor.config;
        let under_way = self.calls.len() as u64;
        if config.held.is_some_and(|held| under_way >= config.share.part(held)) {
            return;
        }
        self.floor.lap.counts.due += 1;
        if under_way >= config.share.part(config.max_in_flight) {
            self.floor.lap.counts.not_started += 1;
            return;
        }
        let call = Call::start(number, due, &mut self.floor);
        self.put(call);
    }

    /// No more calls, and an end to those there are: INVITEs are given up at once, calls hung up one after the other.
    fn drain(&mut self) {
        self.exhausted = true;
        self.floor.draining = true;
        self.floor.timers.stop(Alarm::Start);
        let is_standing = |call: &Call| matches!(call.phase, Phase::Standing);
        let (standing, under_way): (Vec<_>, Vec<_>) = self.calls.values().partition(|call| is_standing(call));
        let numbers = |calls: Vec<&Call>| calls.into_iter().map(|call| call.number).collect::<Vec<_>>();
        let (standing, under_way) = (numbers(standing), numbers(under_way));
        let now = self.floor.now.mono;
        for number in under_way {
            self.with(number, |call, floor| call.hang_up(now, floor));
        }
        let gap = HANG_UP_WITHIN.as_nanos() as u64 / (standing.len() as u64).max(1);
        for (place, number) in standing.into_iter().enumerate() {
            self.floor.timers.set(Alarm::HangUp(number), now + gap * place as u64);
        }
    }

    /// Lends a call to `act`, and lets it go where that was its end.
    fn with(&mut self, number: u64, act: impl FnOnce(&mut Call, &mut Floor)) {
        if let Some(mut call) = self.calls.remove(&number) {
            act(&mut call, &mut self.floor);
            self.put(call);
        }
    }

    fn put(&mut self, call: Call) {
        if !call.is_finished() {
            self.calls.insert(call.number, call);
        }
    }

    fn of_session(&mut self, session: SessionId, act: impl FnOnce(&mut Call, &mut Floor)) {
        if let Some(number) = self.floor.by_session.get(&session).copied() {
            self.with(number, act);
        }
    }

    /// A call for us: the other leg of one of ours, where the load is told so.
    fn incoming(&mut self, session: SessionId, request: &Message) {
        let room = (self.answered.len() as u64) < self.floor.config.max_in_flight;
        if !self.floor.config.answers || !room || request.body().is_empty() {
            self.floor.lap.counts.refused += 1;
            let status = StatusCode::TEMPORARILY_UNAVAILABLE;
            return self.floor.endpoint.reject(session, status, Vec::new(), self.floor.now);
        }
        let number = line::ANSWERED | self.arrived;
        self.arrived += 1;
        let call = Answered::begin(number, session, request.body().clone(), &mut self.floor);
        self.keep(call);
    }

    fn with_answered(&mut self, number: u64, act: impl FnOnce(&mut Answered, &mut Floor)) {
        if let Some(mut call) = self.answered.remove(&number) {
            act(&mut call, &mut self.floor);
            self.keep(call);
        }
    }

    fn of_answered(&mut self, session: SessionId, act: impl FnOnce(&mut Answered, &mut Floor)) {
        if let Some(number) = self.floor.by_session.get(&session).copied() {
            self.with_answered(number, act);
        }
    }

    fn keep(&mut self, call: Answered) {
        if !call.is_finished() {
            self.answered.insert(call.number, call);
        }
    }

    /// No call of ours is left; those that came to us follow.
    fn end(&mut self) {
        if self.answered.is_empty() {
            return self.finish();
        }
        if self.floor.timers.get(Alarm::Abandon).is_none() {
            let at = self.floor.now.after(ABANDON_AFTER);
            self.floor.timers.set(Alarm::Abandon, at);
        }
    }

    fn abandon(&mut self) {
        let numbers: Vec<_> = self.answered.keys().copied().collect();
        for number in numbers {
            self.with_answered(number, Answered::hang_up);
        }
    }

    /// Hears the user agent out.
    fn pump(&mut self) {
        loop {
            match self.floor.endpoint.poll() {
                endpoint::Output::Event(event) => self.event(event),
                endpoint::Output::Effect(effect) => self.floor.out.push_back(Output::Sip(effect)),
                endpoint::Output::Timeout(at) => {
                    self.endpoint_wake = at;
                    break;
                }
            }
        }
        if self.exhausted && self.calls.is_empty() && !self.finished {
            self.end();
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Ladder { session, entry } => self.ladder(session, &entry),
            Event::Progress { session, response } => {
                self.of_session(session, |call, floor| call.on_progress(&response, floor));
            }
            Event::Answered { session, response } => {
                self.of_session(session, |call, floor| call.on_answered(&response, floor));
            }
            Event::Failed { session, failure } => {
                self.of_answered(session, Answered::over);
                self.of_session(session, |call, floor| call.on_failed(&failure, floor));
            }
            Event::Ended { session, by, .. } => {
                self.of_answered(session, Answered::over);
                self.of_session(session, |call, floor| call.on_ended(by, floor));
            }
            Event::Reoffer { session, id, request } => {
                self.of_answered(session, |call, floor| call.on_reoffer(id, &request, floor));
                self.of_session(session, |call, floor| call.on_reoffer(id, &request, floor));
            }
            Event::Incoming { session, request, .. } => self.incoming(session, &request),
            // The user agent answers by itself what nobody here wants to know.
            _ => {}
        }
    }

    fn ladder(&mut self, session: Option<SessionId>, entry: &LadderEntry) {
        let counts = &mut self.floor.lap.counts;
        let copies = u64::from(entry.retransmission);
        if entry.sent {
            counts.sent += 1;
            counts.resent += copies;
            return;
        }
        counts.received += 1;
        counts.received_again += copies;
        match session {
            Some(session) if entry.cseq.ends_with(" BYE") => self.of_session(session, |call, _| call.on_ladder(entry)),
            Some(_) if entry.cseq.ends_with(" INVITE") && matches!(status_of(&entry.line), Some(401 | 407)) => {
                counts.challenged += 1 - copies;
            }
            _ => {}
        }
    }

    fn media(&mut self, event: &media::Event) {
        use media::Event as Media;
        let number = line::owner(event.id());
        match event {
            Media::Digit { .. } => self.floor.lap.counts.digits_heard += 1,
            Media::Created { id, .. } if number & line::ANSWERED != 0 => {
                self.with_answered(number, |call, floor| call.port_opened(*id, floor));
            }
            Media::Failed { id, .. } if number & line::ANSWERED != 0 => {
                self.with_answered(number, |call, floor| call.port_failed(*id, floor));
            }
            Media::Closed { id, report, .. } if number & line::ANSWERED != 0 => {
                self.with_answered(number, |call, floor| call.port_closed(*id, report, floor));
            }
            Media::Created { id, .. } => self.with(number, |call, floor| call.port_opened(*id, floor)),
            Media::Failed { id, .. } => self.with(number, |call, floor| call.port_failed(*id, floor)),
            Media::Closed { id, report, .. } => {
                self.with(number, |call, floor| call.port_closed(*id, report, floor));
            }
            _ => {}
        }
    }

    fn end_lap(&mut self, due: u64) {
        self.floor.timers.set(Alarm::Lap, due + secs(1));
        self.tell_lap();
    }

    fn tell_lap(&mut self) {
        let next = Lap { second: self.floor.lap.second + 1, ..Lap::default() };
        let mut lap = std::mem::replace(&mut self.floor.lap, next);
        (lap.in_flight, lap.standing) = (self.calls.len() as u64, self.floor.standing);
        self.floor.out.push_back(Output::Report(Told::Lap(Box::new(lap))));
    }

    fn finish(&mut self) {
        self.finished = true;
        self.floor.timers.stop(Alarm::Lap);
        self.floor.timers.stop(Alarm::End);
        self.floor.timers.stop(Alarm::Abandon);
        self.tell_lap();
        self.floor.out.push_back(Output::Report(Told::Finished));
    }
}

impl Node for Generator {
    type Command = Command;
    type Report = Told;

    fn handle(&mut self, input: Input<Command>, now: Now) {
        self.floor.now = now;
        match input {
            Input::Sip(input) => self.floor.endpoint.handle(input, now),
            Input::Media(event) => self.media(&event),
            Input::Command(Command::Stop) => self.drain(),
            Input::Timeout => self.time(),
        }
        self.pump();
    }

    fn poll(&mut self) -> Output<Told> {
        let wake = || self.endpoint_wake.into_iter().chain(self.floor.timers.next()).min();
        let wake = wake();
        self.floor.out.pop_front().unwrap_or(Output::Timeout(wake))
    }
}
