//! An answered call: its program runs, its audio flows, and the far end may change the session or end it.

use super::bridge::RINGBACK;
use super::leg::{self, Phase, stream};
use super::program::Playing;
use super::{Call, Stage};
use crate::desk::{Desk, Wake};
use crate::ending::Ending;
use crate::letter::Letter;
use crate::refusal::Refusal;
use crate::{Fact, Origin, Status};
use base::Now;
use ivr::{CallContext, Next, Program};
use media::{Event, PlayId};
use sip_core::endpoint::{EndedBy, ReofferId, SessionId};
use sip_core::message::{Message, Name, StatusCode};
use sip_core::sdp::{self, Direction, Negotiated, SessionDescription};
use std::collections::BTreeMap;

/// What an answered call is made of.
#[derive(Debug)]
pub(crate) struct Talk {
    session: SessionId,
    /// What it runs; the leg of another call runs nothing of its own.
    pub(super) program: Option<Program>,
    /// The sounds that play or are fetched, by the number that the program gave them.
    pub(super) playing: BTreeMap<u32, Playing>,
    /// It was begun before the call was answered, and asks for the answer itself.
    pub(super) early: bool,
}

impl Talk {
    /// What a call is to do once it is answered.
    pub(super) fn new(session: SessionId, answer: Option<ivr::Answer>, context: CallContext) -> Self {
        let program = answer.map(|answer| Program::with_context(answer, context));
        Self { session, program, playing: BTreeMap::new(), early: false }
    }

    pub(super) const fn session(&self) -> SessionId {
        self.session
    }

    /// A leg of another call: what is run on it before both are joined, if anything.
    pub(super) fn of_leg(session: SessionId, program: Option<Program>) -> Self {
        Self { session, program, playing: BTreeMap::new(), early: false }
    }

    /// What its program does next.
    pub(super) fn next(&self) -> Next {
        self.program.as_ref().map_or(Next::End, Program::next)
    }
}

impl Call {
    /// Both sides agree: audio both ways.
    pub(super) fn talk(&mut self, talk: Talk, negotiated: &Negotiated, desk: &mut Desk, now: Now) {
        self.stage = Stage::Talking(talk);
        self.configure(negotiated, desk, now);
        self.catch_up(desk, now);
        self.alarms.wake(Wake::Duration, self.max_duration, desk, now);
    }

    pub(super) fn configure(&mut self, negotiated: &Negotiated, desk: &mut Desk, now: Now) {
        self.leg.codec = Some(negotiated.codec);
        if let Some(local) = &mut self.leg.local {
            // An offer of ours that follows is for the direction, and not for another codec.
            local.codecs = leg::in_order(&local.codecs, &[negotiated.codec]);
        }
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

    pub(super) fn with_media(&self, desk: &mut Desk, command: impl FnOnce(media::EndpointId) -> media::Command) {
        if let Some(media) = self.leg.media {
            desk.media(command(media.id));
        }
    }

    /// Replaces what the call runs.
    pub(crate) fn on_replace(&mut self, answer: ivr::Answer, desk: &mut Desk, now: Now) {
        let Stage::Talking(talk) = &mut self.stage else { return };
        match &mut talk.program {
            Some(program) if !program.is_standing_by() => program.replace(answer, now),
            _ => return self.run_of_its_own(answer, desk, now),
        }
        self.drain_program(desk, now);
        self.catch_up(desk, now);
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
            // Heard as a tone, and told of by INFO: it counts once.
            Event::Digit { digit, .. } if !self.leg.keys_by_rtp && !self.leg.keys.hears(digit, now) => {}
            Event::Digit { digit, .. } if self.leg.keys_by_rtp && !self.leg.keys.hears_event(digit, now) => {}
            Event::Digit { digit, duration_ms, .. } => {
                self.record(Fact::Digit { digit, duration_ms }, desk, now);
                self.on_program(ivr::Input::Digit(digit), desk, now);
                if let Some(peer) = self.peer.filter(|_| !self.leg.keys_by_rtp) {
                    desk.letters.push_back((peer, Letter::Tone(digit)));
                }
            }
            Event::PlayEnded { play, finished, .. } => self.on_play_ended(play, finished, desk, now),
            Event::NoMedia { .. } => self.record(Fact::NoMedia, desk, now),
            Event::MediaResumed { .. } => self.record(Fact::MediaResumed, desk, now),
            Event::TimedOut { .. } => {
                let ending = Ending::cleared(Origin::MediaTimeout, "no audio came from the far end");
                self.end(ending, desk, now);
            }
            Event::Closed { report, .. } => self.on_media_closed(&report, desk, now),
            Event::SpeechStarted { .. } => self.on_speech_started(desk, now),
            Event::SpeechEnded { .. } => self.on_speech_ended(desk, now),
            Event::Captured { capture, .. } => self.on_captured(capture, desk),
            Event::Beep { .. } => self.on_greeting_over("machine_end_beep", desk, now),
            Event::Answered { decision, .. } => self.on_decision(&decision, desk, now),
            Event::FirstPacket { .. }
            | Event::Quality { .. }
            | Event::Joined { .. }
            | Event::Left { .. }
            | Event::Speaker { .. } => {}
            Event::RecordEnded { record, duration_ms, octets, reason, .. } => {
                self.on_recorded(record, (duration_ms, octets), &reason, desk, now);
            }
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
        let Some(playing) = talk.playing.remove(&number) else { return };
        self.record(Fact::Played { prompt: playing.name, finished }, desk, now);
        self.on_program(ivr::Input::PlayEnded { play: ivr::PlayId(number) }, desk, now);
    }

    /// The far end changes the session (RFC 3264 §8): the new description is answered, or refused and the old one kept.
    pub(crate) fn on_reoffer(&mut self, id: ReofferId, request: &Message, desk: &mut Desk, now: Now) {
        let (Stage::Talking(talk), Some(local)) = (&self.stage, &mut self.leg.local) else {
            return self.on_early_offer(id, request, desk, now);
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
            let standing: Vec<_> = self.leg.codec.into_iter().collect();
            leg::answer(&offer, &next, &standing).inspect(|_| *local = next)
        });
        match answered {
            Ok(answered) => {
                let body = Some(("application/sdp".to_owned(), answered.sdp));
                desk.endpoint.respond(session, id, StatusCode::OK, body, now);
                self.configure(&answered.negotiated, desk, now);
                self.on_asked(answered.negotiated.peer_direction, desk);
            }
            Err(error) => {
                let Refusal { status, headers } = Refusal::from(&error);
                desk.endpoint.decline(session, id, status, headers, now);
            }
        }
    }

    /// The far end has said what it does: we do so toward whom we are joined with, also while that one holds us.
    pub(super) fn on_asked(&mut self, asks: Direction, desk: &mut Desk) {
        if std::mem::replace(&mut self.leg.asks, asks) != asks
            && let Some(peer) = self.peer
        {
            desk.letters.push_back((peer, Letter::Flow(asks)));
        }
    }

    /// The far end has answered what we described to its request without a description: what of that it does.
    pub(crate) fn on_late_answer(&mut self, ack: &Message, desk: &mut Desk, now: Now) {
        let Some(negotiated) = self.on_reoffer_done(Some(ack), desk, now) else { return };
        let Some(offered) = self.leg.local.as_ref().map(|local| local.direction) else { return };
        let (says, before) = (negotiated.peer_direction, self.leg.asks);
        // Of what was not offered it says nothing.
        let sends = if offered.receives() { says } else { before }.sends();
        let listens = if offered.sends() { says } else { before }.receives();
        self.on_asked(Direction::of(sends, listens), desk);
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
            EndedBy::Lost(loss) if self.book.was_answered() => Ending::cleared(Origin::Carrier, loss.as_str()),
            EndedBy::Lost(loss) => Ending::new(Status::Failed, Origin::Carrier, 504, loss.as_str()),
            EndedBy::Us if self.book.was_answered() => Ending::cleared(Origin::Switch, "ended"),
            EndedBy::Us => Ending::new(Status::NoAnswer, Origin::Switch, 480, "its program did not answer it in time"),
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
