//! The switch: calls, and the desk they are worked on at. Inputs are led to the call they belong to; nothing else
//! happens here.

use crate::call::{self, Call};
use crate::config::Config;
use crate::desk::{Desk, Timer};
use crate::door::Proved;
use crate::io::{Input, Output};
use crate::provision::Provisioned;
use crate::refusal::Refusal;
use crate::registrar::{Ban, BindingView, UserId};
use crate::tally::Usage;
use crate::trunk::TrunkStatus;
use crate::{CallSid, Command, EndAs, Steer};
use base::{Now, Rng};
use sip_core::endpoint::{self, Event, LadderEntry, ReferId, SessionId, Source};
use sip_core::header::{NameAddr, Replaces};
use sip_core::message::{Message, StatusCode};
use std::collections::{BTreeMap, VecDeque};

/// The most prompts known at once. One beyond it is not taken in, and the call that names it is refused by the API.
pub const MAX_PROMPTS: usize = 10_000;
/// The most lines of the ladder kept for sessions whose INVITE has not been led to a call yet.
const MAX_EARLY_LADDER: usize = 64;

/// Why a switch cannot be made of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The RTP ports.
    #[error("media.ports: {0}")]
    Ports(#[from] media::PortRangeError),
    /// A trunk.
    #[error("trunk: {0}")]
    Trunk(#[from] carrier::TrunkError),
}

/// What the switch holds: all zero once every call has ended and 64·T1 have passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Calls, those whose session has not said its last word included.
    pub calls: usize,
    /// Those of them whose end is not decided.
    pub live: usize,
    /// Those of them that wait for a permit.
    pub queued: usize,
    /// RTP ports in use.
    pub ports: usize,
    /// Timers of calls.
    pub timers: usize,
    /// Requests of trunks (REGISTER, OPTIONS) that are not answered yet.
    pub requests: usize,
    /// The user agent's own.
    pub sip: endpoint::Load,
}

/// A softswitch without a socket.
pub struct Switch {
    /// Boxed: they are large, and a node of the tree holds eleven.
    calls: BTreeMap<CallSid, Box<Call>>,
    /// Calls that wait for a permit, in the order of their admission.
    queue: VecDeque<CallSid>,
    desk: Desk,
    concurrent_calls: usize,
    draining: bool,
    /// Whoever runs it has asked for the end of everything.
    ending: bool,
    /// Facts can be written down.
    admitting: bool,
    /// Ladder lines of sessions that are not a call's yet.
    early: Vec<(SessionId, LadderEntry)>,
}

impl Switch {
    /// A switch with these trunks and numbers.
    ///
    /// # Errors
    /// A range of RTP ports that holds no pair, a trunk that cannot be.
    pub fn new(config: &Config, rng: Rng, now: Now) -> Result<Self, ConfigError> {
        let provisioned = Provisioned::new(config.provisioning.clone())?;
        let mut desk = Desk::new(config, &provisioned, rng, now)?;
        desk.start_trunks(now);
        desk.restore_locations(&config.locations, now);
        Ok(Self {
            calls: BTreeMap::new(),
            queue: VecDeque::new(),
            desk,
            concurrent_calls: provisioned.concurrent_calls,
            draining: false,
            ending: false,
            admitting: true,
            early: Vec::new(),
        })
    }

    /// Takes in what has happened.
    pub fn handle(&mut self, input: Input, now: Now) {
        match input {
            Input::Sip(input) => {
                self.desk.endpoint.handle(input, now);
            }
            Input::Media(event) => self.on_media(*event, now),
            Input::Command(command) => self.on_command(command, now),
            Input::Timeout => self.on_timeout(now),
        }
        self.drain_endpoint(now);
        self.settle(now);
        self.run_due(now);
        self.settle(now);
        // An INVITE and its line of the ladder come out of the user agent together; what is left belongs to nobody.
        self.early.clear();
    }

    /// What is to be done, one thing at a time, until it says [`Output::Timeout`].
    pub fn poll(&mut self) -> Output {
        if let Some(output) = self.desk.out.pop_front() {
            return output;
        }
        let own = self.desk.timers.next();
        Output::Timeout(own.into_iter().chain(self.desk.sip_wake).min())
    }

    /// What it holds.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            calls: self.calls.len(),
            live: self.calls.values().filter(|call| call.is_live()).count(),
            queued: self.calls.values().filter(|call| call.is_queued()).count(),
            ports: self.desk.by_media.len(),
            timers: self.desk.timers.len() - self.desk.standing_timers(),
            requests: self.desk.trunks.open_requests(),
            sip: self.desk.endpoint.load(),
        }
    }

    /// Who is registered where.
    #[must_use]
    pub fn bindings(&self, now: Now) -> Vec<BindingView> {
        self.desk.registrar.bindings(now)
    }

    /// Who is locked out for guessing, and for how long.
    #[must_use]
    pub fn bans(&self, now: Now) -> Vec<Ban> {
        self.desk.registrar.bans(now)
    }

    /// Whether more waits to be taken in than can be done in good time: then new calls are answered 503 (FAULTS 20).
    pub const fn set_overloaded(&mut self, overloaded: bool) {
        self.desk.endpoint.set_overloaded(overloaded);
    }

    /// How its trunks are.
    #[must_use]
    pub fn trunks(&self, now: Now) -> Vec<TrunkStatus> {
        self.desk.trunks.status(now)
    }

    /// What each tenant uses.
    #[must_use]
    pub fn usage(&self) -> BTreeMap<String, Usage> {
        self.desk.tally.usage()
    }

    /// Whether what tenants had used today before this process began is still to be told ([`Command::Used`]).
    #[must_use]
    pub fn lacks_usage(&self) -> bool {
        self.desk.tally.is_unknown()
    }

    /// True once it drains and no call is left.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.draining && self.calls.is_empty()
    }

    /// True once [`Command::EndAll`] was taken and nobody's answer is waited for any more: calls, BYEs, withdrawn registrations.
    #[must_use]
    pub fn is_at_rest(&self) -> bool {
        let load = self.load();
        self.ending && self.calls.is_empty() && load.sip.sessions == 0 && load.requests == 0
    }

    /// Leads what the user agent has to say to the calls, until it has nothing more to say.
    fn drain_endpoint(&mut self, now: Now) {
        loop {
            match self.desk.endpoint.poll() {
                endpoint::Output::Effect(effect) => self.desk.out.push_back(Output::Sip(effect)),
                endpoint::Output::Event(event) => self.on_sip(event, now),
                endpoint::Output::Timeout(at) => {
                    self.desk.sip_wake = at;
                    return;
                }
            }
        }
    }

    /// Fires the timers that are due; what they set in motion is drained with the rest.
    fn run_due(&mut self, now: Now) {
        while let Some(timer) = self.desk.timers.expired(now.mono) {
            match timer {
                Timer::Call(sid, what) => self.with(sid, |call, desk| call.on_wake(what, desk, now)),
                Timer::Queue => self.run_queue(now),
                Timer::Register(trunk) => self.desk.on_register_timer(trunk, now),
                Timer::Ping(trunk) => self.desk.on_ping_timer(trunk, now),
                Timer::Binding => self.desk.on_binding_timer(now),
            }
            self.drain_endpoint(now);
        }
    }

    fn on_timeout(&mut self, now: Now) {
        if self.desk.sip_wake.is_some_and(|at| at <= now.mono) {
            self.desk.endpoint.handle(sip_core::transport::Input::Timeout, now);
        }
    }

    /// Works on a call, and forgets it once nothing of it is left.
    fn with(&mut self, sid: CallSid, work: impl FnOnce(&mut Call, &mut Desk)) {
        let Some(call) = self.calls.get_mut(&sid) else { return };
        let span = call.span.clone();
        span.in_scope(|| work(call, &mut self.desk));
        if call.is_gone() {
            self.calls.remove(&sid);
        }
    }

    /// Takes in the calls that calls have made, and delivers what they tell one another, until nobody has anything to say.
    fn settle(&mut self, now: Now) {
        loop {
            while let Some(call) = self.desk.born.pop_front() {
                self.take_in(call, now);
            }
            let Some((to, letter)) = self.desk.letters.pop_front() else { return };
            self.with(to, |call, desk| call.on_letter(letter, desk, now));
            self.drain_endpoint(now);
        }
    }

    fn take_in(&mut self, mut call: Call, now: Now) {
        if self.calls.len() >= self.concurrent_calls {
            call = call.refuse("concurrent_calls is reached", &mut self.desk, now);
        } else if !self.admitting {
            call = call.refuse("the journal takes no more calls", &mut self.desk, now);
        }
        if call.is_queued() {
            self.queue.push_back(call.sid);
        }
        if !call.is_gone() {
            self.calls.insert(call.sid, Box::new(call));
        }
        self.run_queue(now);
        self.drain_endpoint(now);
    }

    fn with_session(&mut self, session: SessionId, work: impl FnOnce(&mut Call, &mut Desk)) {
        if let Some(sid) = self.desk.by_session.get(&session).copied() {
            self.with(sid, work);
        }
    }

    fn on_media(&mut self, event: media::Event, now: Now) {
        if let media::Event::RecordEnded { record, .. } = &event {
            // It may come after its endpoint's last event.
            if let Some(sid) = self.desk.by_record.get(record).copied() {
                self.with(sid, |call, desk| call.on_media(event, desk, now));
            }
        } else if let Some(sid) = self.desk.by_media.get(&event.id()).copied() {
            self.with(sid, |call, desk| call.on_media(event, desk, now));
        }
    }

    fn on_command(&mut self, command: Command, now: Now) {
        match command {
            Command::Originate(asked) => self.originate(*asked, now),
            Command::End { sid, how } => self.with(sid, |call, desk| call.on_end_request(how, desk, now)),
            Command::Replace { sid, answer } => self.with(sid, |call, desk| call.on_replace(answer, desk, now)),
            Command::Steer { sid, steer } => match *steer {
                Steer::Attend { with } => self.attend(sid, with, now),
                steer => self.with(sid, |call, desk| call.on_steer(steer, desk, now)),
            },
            Command::Confer { tenant, conference, order } => self.desk.confer(&tenant, &conference, order),
            Command::Brought { sid, brought } => self.with(sid, |call, desk| call.on_brought(*brought, desk, now)),
            Command::Prompt(prompt) => self.learn(prompt),
            Command::Located(kept) => self.desk.restore_locations(&kept, now),
            Command::Used { since, used } => self.desk.tally.learn(since, &used, now),
            Command::Admit(admitting) => self.admitting = admitting,
            Command::Provision(provisioned) => self.provision(&provisioned, now),
            Command::Drain => self.drain(),
            Command::EndAll => self.end_all(now),
        }
    }

    /// Calls that wait are tried again: there may be a trunk for them now.
    fn provision(&mut self, provisioned: &Provisioned, now: Now) {
        self.concurrent_calls = provisioned.concurrent_calls;
        self.desk.provision(provisioned, now);
        let trunks = &self.desk.trunks;
        let is_stranded = |sid: &CallSid| self.calls.get(sid).is_some_and(|call| call.is_stranded(trunks));
        let stranded: Vec<CallSid> = self.queue.iter().copied().filter(is_stranded).collect();
        for sid in stranded {
            self.with(sid, |call, desk| call.strand(desk, now));
        }
        // Limits of a day may have come, or be others.
        let sids: Vec<CallSid> = self.calls.keys().copied().collect();
        for sid in sids {
            self.with(sid, |call, desk| call.meter(desk, now));
        }
        self.run_queue(now);
    }

    fn learn(&mut self, prompt: std::sync::Arc<media::Prompt>) {
        let known = &mut self.desk.prompts;
        if known.len() < MAX_PROMPTS || known.contains_key(prompt.name()) {
            known.insert(prompt.name().to_owned(), prompt);
        } else {
            tracing::error!(prompt = prompt.name(), limit = MAX_PROMPTS, "too many prompts: this one is not known");
        }
    }

    fn drain(&mut self) {
        self.draining = true;
        self.desk.endpoint.set_accepting(false);
    }

    fn end_all(&mut self, now: Now) {
        self.ending = true;
        let sids: Vec<CallSid> = self.calls.keys().copied().collect();
        for sid in sids {
            self.with(sid, |call, desk| call.on_shutdown(desk, now));
        }
        self.desk.stop_trunks(now);
    }

    fn originate(&mut self, asked: crate::Originate, now: Now) {
        let sid = asked.sid;
        let full = self.calls.len() >= self.concurrent_calls;
        let mut call = call::originate(asked, &mut self.desk, now);
        if call.is_gone() {
            // Its end is in the books already.
        } else if full {
            call = call.refuse("concurrent_calls is reached", &mut self.desk, now);
        } else if self.draining {
            call = call.refuse("the switch is draining", &mut self.desk, now);
        }
        if call.is_queued() {
            self.queue.push_back(sid);
        }
        if !call.is_gone() {
            self.calls.insert(sid, Box::new(call));
        }
        self.run_queue(now);
    }

    /// Dials what waits, first come first served, as far as permits go. A call that waits for a trunk without a permit
    /// does not hold up one that waits for another.
    fn run_queue(&mut self, now: Now) {
        let mut still = VecDeque::with_capacity(self.queue.len());
        while let Some(sid) = self.queue.pop_front() {
            let Some(call) = self.calls.get_mut(&sid).filter(|call| call.is_queued()) else { continue };
            if call.try_dial(&mut self.desk, now).is_ok() {
                continue;
            }
            still.push_back(sid);
            if self.desk.trunks.all_closed(now) {
                still.append(&mut self.queue);
            }
        }
        self.queue = still;
        match self.desk.trunks.opens_at(now).filter(|_| !self.queue.is_empty()) {
            Some(at) => self.desk.timers.set(Timer::Queue, at),
            None => self.desk.timers.stop(Timer::Queue),
        }
    }

    fn on_sip(&mut self, event: Event, now: Now) {
        match event {
            Event::Incoming { session, request, source, replaces } => {
                self.on_incoming(session, &request, &source, replaces, now);
            }
            Event::Progress { session, response } => {
                self.with_session(session, |call, desk| call.on_progress(&response, desk, now));
            }
            Event::Answered { session, response } => {
                self.with_session(session, |call, desk| call.on_answered(&response, desk, now));
            }
            Event::Failed { session, failure } => self.on_failed(session, &failure, now),
            Event::Confirmed { session, ack } => {
                self.with_session(session, |call, desk| call.on_confirmed(&ack, desk, now));
            }
            Event::Reoffer { session, id, request } => {
                self.with_session(session, |call, desk| call.on_reoffer(id, &request, desk, now));
            }
            Event::Ended { session, by, request } => {
                self.with_session(session, |call, desk| call.on_session_ended(by, request.as_ref(), desk, now));
            }
            Event::Reply { request, cseq, result } => self.desk.on_reply(request, cseq, result, now),
            Event::Ladder { session, entry } => self.on_ladder(session, entry, now),
            Event::ReofferDone { session, result } => {
                self.with_session(session, |call, desk| {
                    call.on_change_done(result.as_ref().ok(), desk, now);
                });
            }
            Event::Arrived { request, message, source } => self.desk.on_arrived(request, &message, &source, now),
            Event::FlowClosed { flow } => self.desk.on_flow_closed(flow, now),
            Event::Request { session, id, request } => {
                self.with_session(session, |call, desk| call.on_request(id, &request, desk, now));
            }
            Event::Refer { session, id, refer_to, replaces, .. } => {
                self.on_refer(session, id, &refer_to, replaces.as_ref(), now);
            }
            Event::ReofferAck { session, ack, answers: true, .. } => {
                self.with_session(session, |call, desk| call.on_late_answer(&ack, desk, now));
            }
            Event::Refreshed { session, response } => {
                self.with_session(session, |call, desk| {
                    call.on_reoffer_done(Some(&response), desk, now);
                });
            }
            Event::ReferProgress { session, status, terminated } => {
                self.with_session(session, |call, desk| call.on_refer_progress(status, terminated, desk, now));
            }
            Event::ReferDone { session, result } => {
                self.with_session(session, |call, desk| call.on_refer_done(&result, desk, now));
            }
            Event::ReofferAck { .. } | Event::ProgressAcked { .. } | Event::RequestDone { .. } => {}
        }
    }

    /// A transfer: of the other leg to somebody who is to be called, or, attended, to the one that the far end talks to in
    /// another call of ours (RFC 3891 §1).
    fn on_refer(&mut self, session: SessionId, id: ReferId, to: &NameAddr, replaces: Option<&Replaces>, now: Now) {
        let Some(replaces) = replaces else {
            let to = to.uri.clone().without_headers().to_string();
            return self.with_session(session, |call, desk| call.on_refer(id, to, desk, now));
        };
        let both = self.desk.endpoint.session_of(replaces).and_then(|other| self.transferable(session, other));
        let Some([(first, stays), (second, goes)]) = both else {
            return self.desk.endpoint.refer_reject(session, id, StatusCode::DECLINE, now);
        };
        let ends = [stays, goes].map(|sid| self.calls.get(&sid).and_then(|call| call.media()));
        self.with(stays, |call, desk| call.hand_over(goes, desk, now));
        self.with(goes, |call, desk| call.hand_over(stays, desk, now));
        if let [Some(id), Some(with)] = ends {
            self.desk.media(media::Command::Bridge { id, with });
        }
        self.with(first, |call, desk| call.handed_over(Some(id), desk, now));
        self.with(second, |call, desk| call.handed_over(None, desk, now));
    }

    /// The one that a call is joined with talks to another live call from now on, and the call itself is over: what REFER
    /// with Replaces asks for, asked for by the API.
    fn attend(&mut self, sid: CallSid, with: CallSid, now: Now) {
        let ends = self.calls.get(&sid).and_then(|call| Some((call.tenant().to_owned(), call.transferable()?)));
        let other = self.calls.get(&with).filter(|call| call.is_talking());
        let both = ends
            .zip(other)
            .filter(|((tenant, stays), other)| other.tenant() == tenant && sid != with && *stays != with);
        let Some(((_, stays), _)) = both else {
            let why = "it is joined with nobody, or the other call is not there to be joined with";
            return self.with(sid, |call, desk| call.not_done("a transfer", why, desk, now));
        };
        self.with(with, |call, desk| call.stand_by(desk, now));
        let media = [stays, with].map(|sid| self.calls.get(&sid).and_then(|call| call.media()));
        self.with(stays, |call, desk| call.hand_over(with, desk, now));
        self.with(with, |call, desk| call.hand_over(stays, desk, now));
        if let [Some(id), Some(with)] = media {
            self.desk.media(media::Command::Bridge { id, with });
        }
        self.with(sid, |call, desk| call.attended(desk, now));
    }

    /// The call whose place a user may take: one of the same tenant that is joined with another (RFC 3891 §3: 481 where
    /// there is none such, 403 where it is not for this caller to take).
    fn replaceable(&self, old: SessionId, user: Option<&UserId>) -> Result<CallSid, StatusCode> {
        let user = user.ok_or(StatusCode::FORBIDDEN)?;
        let sid = *self.desk.by_session.get(&old).ok_or(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST)?;
        let call = self.calls.get(&sid).ok_or(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST)?;
        if call.tenant() != user.tenant {
            return Err(StatusCode::FORBIDDEN);
        }
        call.transferable().map(|_| sid).ok_or(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST)
    }

    /// The two calls of a far end that can be handed over, each with the one that it is joined with.
    fn transferable(&self, session: SessionId, other: SessionId) -> Option<[(CallSid, CallSid); 2]> {
        let first = *self.desk.by_session.get(&session)?;
        let second = *self.desk.by_session.get(&other)?;
        let (one, two) = (self.calls.get(&first)?, self.calls.get(&second)?);
        let (stays, goes) = (one.transferable()?, two.transferable()?);
        let apart = first != second && stays != second;
        (apart && one.tenant() == two.tenant()).then_some([(first, stays), (second, goes)])
    }

    fn on_failed(&mut self, session: SessionId, failure: &endpoint::Failure, now: Now) {
        let Some(sid) = self.desk.by_session.get(&session).copied() else { return };
        self.with(sid, |call, desk| call.on_failed(failure, desk, now));
        if self.calls.get(&sid).is_some_and(|call| call.is_queued()) {
            self.queue.push_front(sid);
        }
    }

    fn on_ladder(&mut self, session: Option<SessionId>, entry: LadderEntry, now: Now) {
        let Some(session) = session else { return };
        if self.desk.by_session.contains_key(&session) {
            self.with_session(session, |call, desk| call.on_ladder(entry, desk, now));
        } else if self.early.len() < MAX_EARLY_LADDER {
            self.early.push((session, entry));
        }
    }

    /// Whom a carrier or a user, whom the door has let in, may call (DESIGN.md §5): a number of ours. Everything else is
    /// refused before a call exists.
    fn on_incoming(
        &mut self,
        session: SessionId,
        request: &Message,
        source: &Source,
        replaces: Option<SessionId>,
        now: Now,
    ) {
        if let Err(Refusal { status, headers }) = self.admit(session, request, source, replaces, now) {
            tracing::info!(from = %source.addr, status = status.code(), "an INVITE was refused at the door");
            self.desk.endpoint.reject(session, status, headers, now);
        }
    }

    fn admit(
        &mut self,
        session: SessionId,
        request: &Message,
        source: &Source,
        replaces: Option<SessionId>,
        now: Now,
    ) -> Result<(), Refusal> {
        let (user, trunk) = match self.desk.callers.remove(&session) {
            Some(Proved::User(user)) => (Some(user), None),
            Some(Proved::Trunk(trunk)) => (None, Some(trunk)),
            None => (None, Some(self.desk.trunks.of_caller(source.addr.ip(), request).ok_or(StatusCode::FORBIDDEN)?)),
        };
        let called = request.request_uri().map_err(|_| StatusCode::BAD_REQUEST)?;
        let replaces = replaces.map(|old| self.replaceable(old, user.as_ref())).transpose()?;
        let listed = match (&replaces, &user) {
            (Some(_), Some(user)) => self.desk.taking_over(&called, user)?,
            _ => self.desk.called(&called, user.as_ref(), trunk)?,
        };
        if !self.admitting || self.calls.len() >= self.concurrent_calls {
            return Err(StatusCode::SERVICE_UNAVAILABLE.into());
        }
        if let Err(reached) = self.desk.has_room(&listed.number.tenant) {
            tracing::info!(tenant = listed.number.tenant, ?reached, "a limit of the tenant refuses a call");
            return Err(StatusCode::SERVICE_UNAVAILABLE.into());
        }
        let from = request.from().map_err(|_| StatusCode::BAD_REQUEST)?;
        let from = crate::route::subscriber(&from.uri).unwrap_or_else(|| "anonymous".to_owned());
        let read = trunk.and_then(|trunk| self.desk.trunks.read(trunk, &from));
        let from = read.map_or(from, |number| number.to_string());
        let arrival = call::Arrival { session, request, source, listed, from, trunk, replaces };
        let mut call = call::arrive(arrival, &mut self.desk, now)?;
        for (_, entry) in self.early.extract_if(.., |(other, _)| *other == session) {
            call.on_ladder(entry, &mut self.desk, now);
        }
        self.calls.insert(call.sid, Box::new(call));
        Ok(())
    }
}

impl Command {
    /// Whether it may be refused where the switch is full: what ends or frees something never is.
    #[must_use]
    pub const fn is_new_work(&self) -> bool {
        matches!(self, Self::Originate(_))
    }
}

impl EndAs {
    /// As in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Canceled => "canceled",
        }
    }
}
