//! An answered call: its program runs, its audio flows, and the far end may change the session or end it.

use super::bridge::RINGBACK;
use super::leg::{Phase, stream};
use super::{Call, Stage};
use crate::desk::{Desk, Timer, Wake};
use crate::ending::Ending;
use crate::letter::Letter;
use crate::{Fact, GatherEnd, Origin, Status};
use base::Now;
use ivr::{GatherReason, Gathered, Next, Program};
use media::{Event, PlayId};
use sip_core::endpoint::{EndedBy, ReofferId, SessionId};
use sip_core::message::{Message, Name, StatusCode};
use sip_core::sdp::{self, Negotiated, SessionDescription};
use std::collections::BTreeMap;

/// What an answered call is made of.
#[derive(Debug)]
pub(crate) struct Talk {
    session: SessionId,
    /// What it runs; the leg of another call runs nothing of its own.
    program: Option<Program>,
    /// The prompts that play, by the number that the program gave them.
    playing: BTreeMap<u32, String>,
}

impl Talk {
    /// What a call is to do once it is answered.
    pub(super) fn new(session: SessionId, answer: Option<ivr::Answer>) -> Self {
        Self { session, program: answer.map(Program::new), playing: BTreeMap::new() }
    }

    pub(super) const fn session(&self) -> SessionId {
        self.session
    }

    /// What its program does next.
    pub(super) fn next(&self) -> Next {
        self.program.as_ref().map_or(Next::End, Program::next)
    }
}

/// A playback's name toward the media engine: the program's own number.
fn playback(play: ivr::PlayId) -> PlayId {
    PlayId(u64::from(play.0))
}

impl Call {
    /// Both sides agree: audio both ways.
    pub(super) fn talk(&mut self, talk: Talk, negotiated: &Negotiated, desk: &mut Desk, now: Now) {
        self.stage = Stage::Talking(talk);
        self.configure(negotiated, desk, now);
        desk.wake(self.sid, Wake::Duration, self.max_duration, now);
    }

    pub(super) fn configure(&mut self, negotiated: &Negotiated, desk: &mut Desk, now: Now) {
        self.leg.codec = Some(negotiated.codec);
        self.leg.flow = Some(negotiated.direction);
        if let Some(local) = self.leg.local.as_mut().filter(|_| negotiated.crypto.is_some()) {
            // What is encrypted once stays so: our own offers ask for it from now on.
            local.security = std::mem::take(&mut local.security).required();
        }
        self.leg.keys_by_rtp = negotiated.telephone_event_in.is_some();
        self.leg.takes_keys = negotiated.telephone_event_out.is_some();
        let was_held = std::mem::replace(&mut self.leg.held, negotiated.held_by_peer);
        match (was_held, negotiated.held_by_peer) {
            (false, true) => self.record(Fact::Held, desk, now),
            (true, false) => self.record(Fact::Resumed, desk, now),
            _ => {}
        }
        if let Some(media) = self.leg.media {
            let config = stream(negotiated, &self.hear, Phase::Answered, desk.media_timeout);
            desk.media(media::Command::Configure { id: media.id, config });
        }
    }

    /// What the call does or is to do: while it rings at others too.
    pub(super) fn running(&mut self) -> Option<&mut Talk> {
        match &mut self.stage {
            Stage::Talking(talk) => Some(talk),
            Stage::Alerting(alerting) => Some(&mut alerting.talk),
            Stage::Accepting(accepting) => Some(&mut accepting.talk),
            _ => None,
        }
    }

    fn program(&mut self) -> Option<&mut Program> {
        self.running()?.program.as_mut()
    }

    /// Tells the program, and does what it asks for.
    pub(crate) fn on_program(&mut self, input: ivr::Input, desk: &mut Desk, now: Now) {
        let Some(program) = self.program() else { return };
        program.handle(input, now);
        self.drain_program(desk, now);
    }

    fn drain_program(&mut self, desk: &mut Desk, now: Now) {
        while let Some(program) = self.program() {
            match program.poll() {
                ivr::Output::Play { play, prompt, repeat } => self.play(play, prompt.as_str(), repeat, desk, now),
                ivr::Output::StopPlay { play } => {
                    self.with_media(desk, |id| media::Command::StopPlay { id, play: playback(play) });
                }
                ivr::Output::Echo(on) => self.with_media(desk, |id| media::Command::Echo { id, on }),
                ivr::Output::Gathered(gathered) => self.record(gathered_fact(gathered), desk, now),
                ivr::Output::Bridge { bridge, with } => self.start_bridge(bridge, *with, desk, now),
                ivr::Output::Unbridge { bridge } => {
                    self.take_bridge_apart(desk, now);
                    let end = ivr::BridgeEnd { bridged: true, ..ivr::BridgeEnd::default() };
                    if let Some(program) = self.program() {
                        // A program that has asked for the end of a conversation waits for it; another does not.
                        program.handle(ivr::Input::BridgeEnded { bridge, end }, now);
                    }
                }
                ivr::Output::Hangup => {
                    let ending = self.end_of_program();
                    self.end(ending, desk, now);
                }
                ivr::Output::Warning(warning) => {
                    tracing::warn!(sid = %self.sid, code = warning.code, message = warning.message, "the program warns");
                }
                ivr::Output::StopListen { .. }
                | ivr::Output::StopRecord { .. }
                | ivr::Output::LeaveConference { .. } => {}
                asked @ (ivr::Output::Answer
                | ivr::Output::PlayUrl { .. }
                | ivr::Output::Say { .. }
                | ivr::Output::SendDigits { .. }
                | ivr::Output::Listen { .. }
                | ivr::Output::Record { .. }
                | ivr::Output::Conference { .. }
                | ivr::Output::Refer { .. }
                | ivr::Output::Fetch { .. }
                | ivr::Output::Flow { .. }
                | ivr::Output::Callback { .. }
                | ivr::Output::Reject { .. }
                | ivr::Output::Join) => self.not_wired(&asked, desk, now),
                ivr::Output::Timeout(at) => {
                    let timer = Timer::Call(self.sid, Wake::Program);
                    match at {
                        Some(at) => desk.timers.set(timer, at),
                        None => desk.timers.stop(timer),
                    }
                    return;
                }
            }
        }
    }

    /// The program asks for what this switch does not do yet: the call says so, and ends.
    fn not_wired(&mut self, asked: &ivr::Output, desk: &mut Desk, now: Now) {
        let line = asked.to_string();
        // The rest of it may hold what the caller has entered.
        let word = line.split(' ').next().unwrap_or_default();
        let reason = format!("the program asks for what this version does not do yet: {word}");
        tracing::error!(sid = %self.sid, reason, "a program cannot go on");
        self.end(Ending::new(Status::Failed, Origin::Program, 501, reason), desk, now);
    }

    pub(super) fn with_media(&self, desk: &mut Desk, command: impl FnOnce(media::EndpointId) -> media::Command) {
        if let Some(media) = self.leg.media {
            desk.media(command(media.id));
        }
    }

    fn play(&mut self, play: ivr::PlayId, name: &str, repeat: u32, desk: &mut Desk, now: Now) {
        let Some(talk) = self.running() else { return };
        match desk.prompts.get(name).cloned() {
            Some(prompt) => {
                talk.playing.insert(play.0, name.to_owned());
                self.record(Fact::Playing { prompt: name.to_owned() }, desk, now);
                self.with_media(desk, |id| media::Command::Play { id, play: playback(play), prompt, repeat });
            }
            None => {
                // The API and the configuration refuse a program whose prompts are not there; this is the last door.
                tracing::error!(prompt = name, "a prompt is not there");
                if let Some(program) = &mut talk.program {
                    program.handle(ivr::Input::PlayEnded { play }, now);
                }
            }
        }
    }

    /// Replaces what the call runs.
    pub(crate) fn on_replace(&mut self, answer: ivr::Answer, desk: &mut Desk, now: Now) {
        let Stage::Talking(talk) = &mut self.stage else { return };
        match &mut talk.program {
            Some(program) => program.replace(answer, now),
            None => return self.run_of_its_own(answer, desk, now),
        }
        self.drain_program(desk, now);
    }

    /// What the media endpoint has seen.
    pub(crate) fn on_media(&mut self, event: Event, desk: &mut Desk, now: Now) {
        match event {
            Event::Created { .. } => {
                if let Some(media) = self.leg.media {
                    self.on_media_created(media, desk, now);
                }
            }
            Event::Failed { error, .. } => self.on_media_fault(&error, desk, now),
            Event::Digit { digit, duration_ms, .. } => {
                self.record(Fact::Digit { digit, duration_ms }, desk, now);
                self.on_program(ivr::Input::Digit(digit), desk, now);
            }
            Event::PlayEnded { play, finished, .. } => self.on_play_ended(play, finished, desk, now),
            Event::NoMedia { .. } => self.record(Fact::NoMedia, desk, now),
            Event::MediaResumed { .. } => self.record(Fact::MediaResumed, desk, now),
            Event::TimedOut { .. } => {
                let ending = Ending::cleared(Origin::MediaTimeout, "no audio came from the far end");
                self.end(ending, desk, now);
            }
            Event::Closed { report, .. } => self.on_media_closed(&report, desk, now),
            Event::FirstPacket { .. } | Event::Quality { .. } | Event::Captured { .. } => {}
        }
    }

    /// A media command could not be done: before the port stands it is the port's fault, after it is ours.
    fn on_media_fault(&mut self, error: &str, desk: &mut Desk, now: Now) {
        match self.stage {
            Stage::Talking(_) | Stage::Dialing(_) | Stage::Alerting(_) | Stage::Accepting(_) => {
                tracing::error!(error, "the media engine refused a command");
                self.end(Ending::new(Status::Failed, Origin::Switch, 500, error), desk, now);
            }
            _ => self.on_media_failed(error, desk, now),
        }
    }

    fn on_play_ended(&mut self, play: PlayId, finished: bool, desk: &mut Desk, now: Now) {
        let Stage::Talking(talk) = &mut self.stage else { return };
        if play == RINGBACK {
            return;
        }
        let Ok(number) = u32::try_from(play.0) else { return };
        let Some(prompt) = talk.playing.remove(&number) else { return };
        self.record(Fact::Played { prompt, finished }, desk, now);
        self.on_program(ivr::Input::PlayEnded { play: ivr::PlayId(number) }, desk, now);
    }

    /// The far end changes the session (RFC 3264 §8): the new description is answered, or refused and the old one kept.
    pub(crate) fn on_reoffer(&mut self, id: ReofferId, request: &Message, desk: &mut Desk, now: Now) {
        let (Stage::Talking(talk), Some(local)) = (&self.stage, &mut self.leg.local) else {
            if let Some(session) = self.leg.session {
                desk.endpoint.respond(session, id, StatusCode::REQUEST_PENDING, None, now);
            }
            return;
        };
        let session = talk.session;
        if request.body().is_empty() {
            // We describe first, and the ACK answers (RFC 3261 §14.2).
            local.version += 1;
            let body = Some((sdp::CONTENT_TYPE.to_owned(), sdp::offer(local)));
            return desk.endpoint.respond(session, id, StatusCode::OK, body, now);
        }
        let answered = SessionDescription::parse(request.body()).and_then(|offer| {
            let mut next = local.clone();
            next.version += 1;
            sdp::answer(&offer, &next).inspect(|_| *local = next)
        });
        match answered {
            Ok(answered) => {
                let body = Some(("application/sdp".to_owned(), answered.sdp));
                desk.endpoint.respond(session, id, StatusCode::OK, body, now);
                let before = self.leg.flow;
                self.configure(&answered.negotiated, desk, now);
                if let Some(peer) = self.peer.filter(|_| before != self.leg.flow) {
                    // What the far end does toward us, we do toward the other.
                    let flow = answered.negotiated.direction.reversed();
                    desk.letters.push_back((peer, Letter::Flow(flow)));
                }
            }
            Err(error) => {
                let status = StatusCode::new(error.status()).unwrap_or(StatusCode::NOT_ACCEPTABLE_HERE);
                desk.endpoint.respond(session, id, status, None, now);
            }
        }
    }

    /// The session has ended: the far end hung up, or what we asked for is done.
    pub(crate) fn on_session_ended(&mut self, by: EndedBy, request: Option<&Message>, desk: &mut Desk, now: Now) {
        let session = self.leg.session.take();
        if let Some(session) = session {
            desk.by_session.remove(&session);
        }
        if self.is_live() {
            let ending = self.ending_of(by, request);
            self.end(ending, desk, now);
        }
        self.give_back(desk, now);
    }

    fn ending_of(&self, by: EndedBy, request: Option<&Message>) -> Ending {
        let far = if self.outbound() { Origin::Callee } else { Origin::Caller };
        let mut ending = match by {
            EndedBy::Lost(loss) => Ending::cleared(Origin::Carrier, loss.as_str()),
            EndedBy::Us => Ending::cleared(Origin::Switch, "ended"),
            EndedBy::Peer if self.handed_on => self.end_of_transfer(),
            EndedBy::Peer if self.book.was_answered() => Ending::cleared(far, "the far end hung up"),
            EndedBy::Peer => Ending::new(Status::Canceled, far, 487, "the caller gave up"),
        };
        if let Some(cause) = request.and_then(q850_of) {
            ending.cause.q850 = cause;
        }
        ending
    }
}

/// The Q.850 cause of a Reason header (RFC 3326 §2).
fn q850_of(request: &Message) -> Option<u8> {
    carrier::reason_cause(&request.header_str(Name::Reason)?)
}

fn gathered_fact(gathered: Gathered) -> Fact {
    let reason = match gathered.reason {
        GatherReason::FinishKey => GatherEnd::FinishKey,
        GatherReason::MaxDigits => GatherEnd::MaxDigits,
        GatherReason::Timeout => GatherEnd::Timeout,
        GatherReason::NoInput => GatherEnd::NoInput,
        GatherReason::Speech => GatherEnd::Speech,
    };
    Fact::Gathered { digits: gathered.digits, reason }
}
