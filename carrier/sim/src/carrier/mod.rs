//! The carrier: an honest SIP user agent, a script for each call, and an edge that does the dishonest part.
//!
//! ```text
//! wire ── edge (faults, Twilio's manners) ── endpoint ── calls ── media commands
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | `io` | what goes in and comes out |
//! | `incoming`, `outgoing` | how a call begins, either way |
//! | `call`, `steps` | a call's phases, and its place in its script |
//! | `hears` | what a call makes of what it hears |
//! | `sound` | a call's port, descriptions and stream |
//! | `plant` | what all calls share |
//! | `node` | the carrier on a network |
//!
//! Sans-IO: no socket, no clock, no thread. The same value runs on the virtual network and on real sockets.

mod call;
mod hears;
mod incoming;
mod io;
mod node;
mod outgoing;
mod plant;
mod sound;
mod steps;

pub use io::{Command, Input, Note, Output, What};
pub use node::Told;

use crate::config::{CarrierConfig, Choice};
use crate::edge::{Edge, Inbound};
use crate::listen::Ear;
use crate::script::OnCancel;
use base::{Now, Rng, Timers};
use bytes::Bytes;
use call::Call;
use media::PortPool;
use plant::{Alarm, CallKey, Plant};
use sip_core::auth::{Algorithm, ServerAuth, ServerPolicy};
use sip_core::endpoint::{self, Endpoint, Event, SessionId};
use sip_core::message::StatusCode;
use sip_core::transport::framing::{Framed, StreamFramer};
use sip_core::transport::{self, Effect, FlowId};
use std::collections::{BTreeMap, HashMap, VecDeque};

/// What a carrier holds, and what it has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Calls now, those included whose media is still closing.
    pub calls: usize,
    /// RTP ports out of the pool now.
    pub ports: usize,
    /// What its user agent holds.
    pub sip: endpoint::Load,
    /// Timers of its own.
    pub timers: usize,
    /// What it has done.
    pub tally: Tally,
}

/// Counts since the carrier was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// INVITEs answered 407.
    pub challenged: u64,
    /// INVITEs refused before they were calls.
    pub turned_away: u64,
    /// Calls begun, either way.
    pub calls: u64,
    /// Reports given.
    pub reports: u64,
}

/// See the head of this module.
#[derive(Debug)]
pub struct Carrier {
    plant: Plant,
    choice: Choice,
    auth: Option<ServerAuth>,
    calls: BTreeMap<CallKey, Call>,
    /// Looked up, never listed.
    by_call_id: HashMap<String, CallKey>,
    framers: HashMap<FlowId, StreamFramer>,
    endpoint_wake: Option<u64>,
    /// The current second, and the calls that have come in it.
    this_second: (u64, u32),
    tally: Tally,
}

impl Carrier {
    /// A carrier at rest. All its randomness is drawn from `rng`.
    #[must_use]
    pub fn new(config: CarrierConfig, mut rng: Rng) -> Self {
        let mut sip = endpoint::Config::new(config.locals.clone());
        sip.t1 = config.t1;
        // Twilio's Allow has no PRACK, and its INVITEs do not support 100rel.
        sip.reliable_provisionals = endpoint::ReliableProvisionals::Off;
        if config.twilio {
            sip.user_agent = "Twilio Gateway".to_owned();
        }
        let auth = config.credentials.as_ref().map(|_| {
            let policy = ServerPolicy {
                algorithms: vec![Algorithm::Md5],
                name_md5: false,
                opaque: Some(rng.hex(32)),
                ..ServerPolicy::new(config.realm())
            };
            ServerAuth::new(policy, &mut rng)
        });
        let choice = Choice::new(&config, &mut rng);
        let plant = Plant {
            endpoint: Endpoint::new(sip, rng.fork()),
            edge: Edge::new(config.twilio),
            ports: PortPool::new(config.ports),
            now: Now::default(),
            timers: Timers::default(),
            out: VecDeque::new(),
            by_session: HashMap::new(),
            ear: Ear::new(&config.prompts),
            salt: rng.u64(),
            last_id: 0,
            rng,
            config,
        };
        Self {
            plant,
            choice,
            auth,
            calls: BTreeMap::new(),
            by_call_id: HashMap::new(),
            framers: HashMap::new(),
            endpoint_wake: None,
            this_second: (0, 0),
            tally: Tally::default(),
        }
    }

    /// Takes one input. Drain [`Carrier::poll`] after it.
    pub fn handle(&mut self, input: Input, now: Now) {
        self.plant.now = now;
        match input {
            Input::Sip(input) => self.sip(input),
            Input::Media(event) => self.media(event),
            Input::Command(Command::Call { from, to, script }) => self.call(from, to, script),
            Input::Command(Command::Stop) => self.stop(),
            Input::Timeout => self.time(),
        }
        self.pump();
    }

    /// The next thing to do or to know. After [`Output::Timeout`] there is nothing more until the next input.
    pub fn poll(&mut self) -> Output {
        let wakes = self.endpoint_wake.into_iter().chain(self.plant.timers.next());
        self.plant.out.pop_front().unwrap_or_else(|| Output::Timeout(wakes.min()))
    }

    /// No call, no port, no transaction, no timer.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        let load = self.load();
        load.calls == 0 && load.ports == 0 && load.sip == endpoint::Load::default() && load.timers == 0
    }

    /// What it holds and has done.
    #[must_use]
    pub fn load(&self) -> Load {
        Load {
            calls: self.calls.len(),
            ports: self.plant.ports.in_use(),
            sip: self.plant.endpoint.load(),
            timers: self.plant.timers.len(),
            tally: self.tally,
        }
    }

    /// A message, through the edge; anything else straight to the user agent.
    fn sip(&mut self, input: transport::Input) {
        match input {
            transport::Input::Datagram { local, from, bytes } => {
                self.message(bytes, |bytes| transport::Input::Datagram { local, from, bytes });
            }
            transport::Input::Received { flow, bytes } => self.stream(flow, &bytes),
            transport::Input::Closed { flow, reason } => {
                self.framers.remove(&flow);
                self.plant.endpoint.handle(transport::Input::Closed { flow, reason }, self.plant.now);
            }
            other => self.plant.endpoint.handle(other, self.plant.now),
        }
    }

    /// Cuts a stream into messages, which then meet the edge one by one.
    fn stream(&mut self, flow: FlowId, bytes: &Bytes) {
        let framer = self.framers.entry(flow).or_default();
        framer.push(bytes);
        let framed: Vec<_> = framer.collect();
        for framed in framed {
            let now = self.plant.now;
            match framed {
                Ok(Framed::Message(message)) => {
                    self.message(message, |bytes| transport::Input::Received { flow, bytes });
                }
                Ok(Framed::KeepAlivePing | Framed::Pong) => {
                    let bytes = Bytes::from_static(b"\r\n");
                    self.plant.endpoint.handle(transport::Input::Received { flow, bytes }, now);
                }
                Err(error) => {
                    self.framers.remove(&flow);
                    self.plant.out.push_back(Output::Sip(Effect::Close { flow }));
                    let reason = error.to_string();
                    return self.plant.endpoint.handle(transport::Input::Closed { flow, reason }, now);
                }
            }
        }
    }

    fn message(&mut self, bytes: Bytes, as_input: impl Fn(Bytes) -> transport::Input) {
        let now = self.plant.now;
        match self.plant.edge.inbound(bytes.clone()) {
            Inbound::Pass(bytes) => self.plant.endpoint.handle(as_input(bytes), now),
            Inbound::Lost => {}
            Inbound::Unroutable { call_id, complaint } => {
                self.plant.note(&call_id, What::Complaint(complaint.clone()));
                if let Some(call) = self.by_call_id.get(&call_id).and_then(|key| self.calls.get_mut(key)) {
                    call.report.complain(complaint);
                }
            }
            Inbound::Cancel { call_id } => {
                let key = self.by_call_id.get(&call_id).copied();
                match key.and_then(|key| self.calls.get(&key)).map(|call| call.script.on_cancel) {
                    Some(OnCancel::Answer(delay)) => {
                        self.with(key, |call, plant| call.hold_cancel(as_input(bytes), delay, plant));
                    }
                    _ => self.plant.endpoint.handle(as_input(bytes), now),
                }
            }
        }
    }

    fn time(&mut self) {
        if self.endpoint_wake.is_some_and(|at| at <= self.plant.now.mono) {
            self.plant.endpoint.handle(transport::Input::Timeout, self.plant.now);
        }
        while let Some((key, alarm)) = self.plant.timers.expired(self.plant.now.mono) {
            self.with(Some(key), |call, plant| match alarm {
                Alarm::Step => call.advance(plant),
                Alarm::LateAnswer => call.answer_late(plant),
                Alarm::Ignored => {
                    if let Some(session) = call.session {
                        let status = StatusCode::TEMPORARILY_UNAVAILABLE;
                        plant.endpoint.reject(session, status, Vec::new(), plant.now);
                    }
                }
            });
        }
    }

    /// Hears the user agent out, and sends what passes the edge.
    fn pump(&mut self) {
        let mut effects = Vec::new();
        loop {
            match self.plant.endpoint.poll() {
                endpoint::Output::Event(event) => self.event(event),
                endpoint::Output::Effect(effect) => effects.push(effect),
                endpoint::Output::Timeout(at) => {
                    self.endpoint_wake = at;
                    break;
                }
            }
        }
        for effect in effects {
            self.send(effect);
        }
    }

    fn send(&mut self, effect: Effect) {
        let passed = match effect {
            Effect::Transmit { local, to, bytes } => {
                self.plant.edge.outbound(bytes).map(|bytes| Effect::Transmit { local, to, bytes })
            }
            Effect::Write { flow, bytes } => self.plant.edge.outbound(bytes).map(|bytes| Effect::Write { flow, bytes }),
            Effect::Close { flow } => {
                self.framers.remove(&flow);
                Some(Effect::Close { flow })
            }
            other => Some(other),
        };
        self.plant.out.extend(passed.map(Output::Sip));
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Incoming { session, request, source, .. } => self.incoming(session, &request, source),
            Event::Progress { session, response } => {
                self.of_session(session, |call, plant| call.on_progress(&response, plant));
            }
            Event::Answered { session, response } => {
                self.of_session(session, |call, plant| call.on_answered(&response, plant));
            }
            Event::Failed { session, failure } => {
                self.of_session(session, |call, plant| call.on_failed(failure, plant));
            }
            Event::Confirmed { session, ack } => self.of_session(session, |call, plant| call.on_ack(&ack, plant)),
            Event::Reoffer { session, id, request } => {
                self.of_session(session, |call, plant| call.on_reoffer(session, id, &request, plant));
            }
            Event::ReofferDone { session, result: Ok(response) } => {
                self.of_session(session, |call, plant| call.on_reoffered(&response, plant));
            }
            Event::Ended { session, by, request } => {
                self.of_session(session, |call, plant| call.on_ended(by, request.as_ref(), plant));
            }
            Event::ReofferDone { .. }
            | Event::ReofferAck { .. }
            | Event::Refreshed { .. }
            | Event::ProgressAcked { .. }
            | Event::Refer { .. }
            | Event::ReferProgress { .. }
            | Event::ReferDone { .. }
            | Event::RequestDone { .. }
            | Event::Request { .. }
            | Event::Reply { .. }
            | Event::Arrived { .. }
            | Event::FlowClosed { .. }
            | Event::Ladder { .. } => {}
        }
    }

    fn of_session(&mut self, session: SessionId, act: impl FnOnce(&mut Call, &mut Plant)) {
        let key = self.plant.by_session.get(&session).copied();
        self.with(key, act);
    }

    /// Lends a call to `act`, and lets it go where that was its end.
    fn with(&mut self, key: Option<CallKey>, act: impl FnOnce(&mut Call, &mut Plant)) {
        if let Some(mut call) = key.and_then(|key| self.calls.remove(&key)) {
            act(&mut call, &mut self.plant);
            self.put(call);
        }
    }

    /// Keeps a call, or gives its report where it is over.
    fn put(&mut self, call: Call) {
        if !call.is_finished() {
            self.calls.insert(call.key, call);
            return;
        }
        self.tally.reports += 1;
        // Another INVITE may have taken the Call-ID over; then it and its rules are that one's.
        if self.by_call_id.get(&call.report.call_id) == Some(&call.key) {
            self.plant.edge.forget(&call.report.call_id);
            self.by_call_id.remove(&call.report.call_id);
        }
        if let Some(session) = call.session {
            self.plant.by_session.remove(&session);
        }
        self.plant.out.push_back(Output::Report(Box::new(call.report)));
    }

    fn media(&mut self, event: media::Event) {
        use media::Event as Media;
        let key = Some(sound::owner(event.id()));
        match event {
            Media::Created { .. } => self.with(key, |call, plant| {
                call.sound.created(plant, call.script.sends_rtp);
                call.sound_opened(plant);
            }),
            Media::Failed { id, .. } => self.with(key, |call, plant| call.sound_failed(id, plant)),
            Media::FirstPacket { from, at, .. } => self.with(key, |call, plant| {
                call.report.times.first_packet.get_or_insert(at);
                call.note(plant, What::FirstPacket(from));
            }),
            Media::Digit { digit, .. } => self.with(key, |call, plant| call.heard_key(digit, plant)),
            Media::PlayEnded { play, .. } => self.with(key, |call, plant| call.play_ended(play, plant)),
            Media::TimedOut { .. } => self.with(key, |call, plant| {
                call.complain("no RTP for a minute".to_owned(), plant);
                call.hang_up(plant);
            }),
            Media::Closed { report, capture, .. } => {
                self.with(key, |call, plant| call.sound_closed(report, capture, plant));
            }
            Media::NoMedia { .. }
            | Media::MediaResumed { .. }
            | Media::Quality { .. }
            | Media::Captured { .. }
            | Media::SpeechStarted { .. }
            | Media::SpeechEnded { .. }
            | Media::Beep { .. }
            | Media::Answered { .. }
            | Media::Joined { .. }
            | Media::Left { .. }
            | Media::Speaker { .. }
            | Media::RecordEnded { .. } => {}
        }
    }

    fn stop(&mut self) {
        self.plant.endpoint.set_accepting(false);
        let all: Vec<_> = self.calls.keys().copied().collect();
        for key in all {
            self.with(Some(key), |call, plant| {
                call.hang_up(plant);
            });
        }
    }
}
