//! One call: its phase, its media and its report. Each phase is a struct or value that the next one replaces.

use super::io::What;
use super::plant::{Alarm, CallKey, Plant};
use super::sound::Sound;
use super::steps::Cursor;
use crate::edge::{Deaf, Mute};
use crate::report::{CallReport, Direction, Outcome, Times};
use crate::script::{Before, During, Finally, Script, When};
use bytes::Bytes;
use media::{Capture, PlayId, Quality};
use sip_core::endpoint::{Body, Headers, Invite, SessionId};
use sip_core::message::StatusCode;
use sip_core::sdp::{self, SdpError};
use sip_core::transport;
use std::sync::Arc;
use std::time::Duration;

/// 64·T1 in units of T1: how long an INVITE that nobody answers lives (RFC 3261 §17.1.1.2).
const PATIENCE: u32 = 64;

/// Where a call stands.
#[derive(Debug)]
pub(super) enum Phase {
    /// The peer's INVITE has no final answer.
    Offered(Cursor),
    /// The peer's INVITE will have none.
    Ignoring,
    /// Our INVITE waits for its port.
    Opening(Box<Invite>),
    /// Our INVITE is out.
    Calling,
    /// The call is answered.
    Talking { cursor: Cursor, speaking: Option<PlayId> },
    /// We have refused it or hung up; the session has not said its last word.
    Leaving(Outcome),
    /// The session is over.
    Over,
}

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) key: CallKey,
    pub(super) session: Option<SessionId>,
    pub(super) script: Arc<Script>,
    pub(super) phase: Phase,
    pub(super) sound: Sound,
    /// The offer in the peer's INVITE, where it has one.
    pub(super) offer: Option<Bytes>,
    /// The CANCEL that will come too late.
    pub(super) held_cancel: Option<transport::Input>,
    pub(super) report: CallReport,
}

impl Call {
    pub(super) fn new(key: CallKey, script: Arc<Script>, phase: Phase, direction: Direction, plant: &Plant) -> Self {
        let times = Times { invited: plant.now, ended: plant.now, ..Times::default() };
        let report = CallReport {
            call_id: String::new(),
            call_sid: String::new(),
            from: String::new(),
            to: String::new(),
            direction,
            script: script.to_string(),
            outcome: Outcome::Ignored,
            status: None,
            times,
            heard: Vec::new(),
            digits: String::new(),
            quality: None,
            complaints: Vec::new(),
            capture: None,
        };
        Self { key, session: None, script, phase, sound: Sound::Unopened, offer: None, held_cancel: None, report }
    }

    /// True once its report can be given.
    pub(super) const fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Over) && self.sound.is_gone()
    }

    pub(super) fn note(&self, plant: &mut Plant, what: What) {
        plant.note(&self.report.call_id, what);
    }

    fn headers(&self, plant: &Plant) -> Headers {
        plant.headers(&self.report.call_sid)
    }

    /// Takes every step whose time has come, and asks to be woken for the next.
    pub(super) fn advance(&mut self, plant: &mut Plant) {
        while match &self.phase {
            Phase::Offered(cursor) => self.step_before(*cursor, plant),
            Phase::Talking { cursor, .. } => self.step_during(*cursor, plant),
            _ => false,
        } {}
    }

    /// False where the time has not come; the timer is set.
    fn is_due(&self, cursor: &Cursor, when: When, plant: &mut Plant) -> bool {
        match cursor.due(when) {
            Some(due) if due <= plant.now.mono => true,
            Some(due) => {
                plant.timers.set((self.key, Alarm::Step), due);
                false
            }
            None => false,
        }
    }

    fn step_before(&mut self, cursor: Cursor, plant: &mut Plant) -> bool {
        let script = Arc::clone(&self.script);
        let Some(step) = script.before.get(cursor.next) else {
            return self.finish_before(&script.finally, cursor, plant);
        };
        if !self.is_due(&cursor, step.when, plant) {
            return false;
        }
        match &step.act {
            Before::Ring => self.progress(StatusCode::RINGING, None, plant),
            Before::Progress(status) => {
                let status = StatusCode::new(status.code()).unwrap_or(StatusCode::RINGING);
                self.progress(status, None, plant);
            }
            Before::Early(prompt) => {
                // The port is not open yet: its opening comes back here.
                if matches!(self.sound, Sound::Opening { .. }) {
                    return false;
                }
                let body = match self.answer_to_offer(plant) {
                    Ok(body) => body,
                    Err(error) => return self.refuse_offer(&error, plant),
                };
                self.report.times.early_media.get_or_insert(plant.now);
                self.progress(StatusCode::SESSION_PROGRESS, body, plant);
                if let (Some(prompt), Some(line)) = (prompt, self.sound.line())
                    && line.say_prompt(prompt, true, plant).is_some()
                {
                    self.note(plant, What::Says(prompt.as_str().to_owned()));
                }
            }
        }
        if let Phase::Offered(cursor) = &mut self.phase {
            cursor.take(plant.now, Some(plant.now.mono));
        }
        true
    }

    fn finish_before(&mut self, finally: &Finally, cursor: Cursor, plant: &mut Plant) -> bool {
        match finally {
            Finally::Answer(when) if self.is_due(&cursor, *when, plant) => self.answer(plant),
            Finally::Reject { when, status, retry_after } if self.is_due(&cursor, *when, plant) => {
                let status = StatusCode::new(status.code()).unwrap_or(StatusCode::TEMPORARILY_UNAVAILABLE);
                let retry_after = retry_after.map(|rest| ("Retry-After".to_owned(), rest.as_secs().to_string()));
                self.refuse(status, retry_after.into_iter().collect(), plant)
            }
            Finally::Redirect { when, to } if self.is_due(&cursor, *when, plant) => {
                self.refuse(StatusCode::MOVED_TEMPORARILY, vec![("Contact".to_owned(), format!("<{to}>"))], plant)
            }
            _ => false,
        }
    }

    fn progress(&mut self, status: StatusCode, body: Option<Body>, plant: &mut Plant) {
        let headers = self.headers(plant);
        if let Some(session) = self.session {
            plant.endpoint.progress(session, status, headers, body, plant.now);
        }
        if status == StatusCode::RINGING {
            self.report.times.ringing.get_or_insert(plant.now);
        }
        self.note(plant, What::Status(status.code()));
    }

    /// The description for a 183: none where the INVITE came without an offer, since ours must not stand in an
    /// unreliable response (RFC 3261 §13.2.1).
    fn answer_to_offer(&mut self, plant: &mut Plant) -> Result<Option<Body>, SdpError> {
        match (&self.offer, self.sound.line()) {
            (Some(offer), Some(line)) => line.answer(offer, plant).map(|sdp| Some(body(sdp))),
            _ => Ok(None),
        }
    }

    /// 200. False where the port is not open yet; its opening comes back here.
    pub(super) fn answer(&mut self, plant: &mut Plant) -> bool {
        let (Some(session), Some(line)) = (self.session, self.sound.line()) else { return false };
        line.hush(plant);
        let description = match &self.offer {
            Some(offer) => line.answer(offer, plant),
            None => Ok(line.offer(plant)),
        };
        match description {
            Ok(description) => {
                let headers = self.headers(plant);
                plant.endpoint.accept(session, headers, Some(body(description)), plant.now);
                self.answered(plant);
                true
            }
            Err(error) => self.refuse_offer(&error, plant),
        }
    }

    /// From here on the script's conversation runs.
    pub(super) fn answered(&mut self, plant: &mut Plant) {
        self.report.status = Some(200);
        self.report.times.answered = Some(plant.now);
        self.phase = Phase::Talking { cursor: Cursor::begin(plant.now), speaking: None };
        self.note(plant, What::Status(200));
    }

    fn refuse_offer(&mut self, error: &SdpError, plant: &mut Plant) -> bool {
        let status = StatusCode::new(error.status()).unwrap_or(StatusCode::BAD_REQUEST);
        let mut headers = Vec::new();
        if plant.config.twilio && matches!(error, SdpError::SecureRequired(_)) {
            headers.push(crate::twilio::Error::SecureTransport.header());
        }
        self.refuse(status, headers, plant)
    }

    /// Ends the INVITE with a failure.
    pub(super) fn refuse(&mut self, status: StatusCode, mut headers: Headers, plant: &mut Plant) -> bool {
        headers.extend(self.headers(plant));
        self.report.status = Some(status.code());
        self.note(plant, What::Status(status.code()));
        self.leave(Outcome::Refused, plant);
        if let Some(session) = self.session {
            plant.endpoint.reject(session, status, headers, plant.now);
        }
        false
    }

    /// Never answers: the INVITE's transaction is let go when its peer must have given up.
    pub(super) fn ignore(&mut self, plant: &mut Plant) {
        self.phase = Phase::Ignoring;
        if let Some(rules) = plant.edge.rules(&self.report.call_id) {
            (rules.mute, rules.deaf) = (Mute::Everything, Deaf::Everything);
        }
        plant.timers.set((self.key, Alarm::Ignored), plant.now.after(plant.config.t1 * PATIENCE));
    }

    fn step_during(&mut self, cursor: Cursor, plant: &mut Plant) -> bool {
        let script = Arc::clone(&self.script);
        let Some(step) = script.during.get(cursor.next) else { return false };
        if !self.is_due(&cursor, step.when, plant) {
            return false;
        }
        // Where the offer was ours, the answer comes with the ACK, and that comes back here.
        let speaks = matches!(step.act, During::Say { .. } | During::Press(_));
        if speaks && self.sound.line().is_some_and(|line| !line.is_agreed()) {
            return false;
        }
        let mut done = Some(plant.now.mono);
        let mut spoken = None;
        match &step.act {
            During::Say { prompt, repeat } => {
                spoken = self.sound.line().and_then(|line| line.say_prompt(prompt, *repeat, plant));
                if spoken.is_some() {
                    self.note(plant, What::Says(prompt.as_str().to_owned()));
                    done = done.filter(|_| *repeat);
                }
            }
            During::Press(keys) => {
                if let Some(line) = self.sound.line() {
                    done = Some(plant.now.after(line.press(keys, plant)));
                    self.note(plant, What::Presses(keys.as_str().to_owned()));
                }
            }
            During::Wait => {}
            During::Hold => self.reoffer(true, plant),
            During::Resume => self.reoffer(false, plant),
            During::Hangup => return self.hang_up(plant),
            During::LostBye => return self.hang_up_unheard(Mute::Byes, Deaf::Nothing, plant),
            During::Vanish => return self.hang_up_unheard(Mute::Everything, Deaf::Everything, plant),
        }
        if let Phase::Talking { cursor, speaking } = &mut self.phase {
            cursor.take(plant.now, done);
            if spoken.is_some() {
                *speaking = spoken;
            }
        }
        true
    }

    fn reoffer(&mut self, hold: bool, plant: &mut Plant) {
        let (Some(session), Some(line)) = (self.session, self.sound.line()) else { return };
        line.hold(hold);
        let offer = line.offer(plant);
        plant.endpoint.reoffer(session, Some(body(offer)), plant.now);
    }

    /// Ends the call, whatever its state.
    pub(super) fn hang_up(&mut self, plant: &mut Plant) -> bool {
        let outcome = match self.phase {
            Phase::Talking { .. } => Outcome::EndedByCarrier,
            Phase::Offered(_) => return self.refuse(StatusCode::SERVICE_UNAVAILABLE, Vec::new(), plant),
            Phase::Opening(_) => {
                self.over(Outcome::Canceled, plant);
                return false;
            }
            Phase::Calling => Outcome::Canceled,
            Phase::Ignoring | Phase::Leaving(_) | Phase::Over => return false,
        };
        self.leave(outcome, plant);
        let mut headers = self.headers(plant);
        if plant.config.twilio {
            headers.push(("Reason".to_owned(), "Q.850;cause=16".to_owned()));
        }
        if let Some(session) = self.session {
            plant.endpoint.hangup(session, headers, plant.now);
        }
        false
    }

    fn leave(&mut self, outcome: Outcome, plant: &mut Plant) {
        self.phase = Phase::Leaving(outcome);
        self.report.times.ended = plant.now;
        self.sound.close(plant);
    }

    fn hang_up_unheard(&mut self, mute: Mute, deaf: Deaf, plant: &mut Plant) -> bool {
        if let Some(rules) = plant.edge.rules(&self.report.call_id) {
            (rules.mute, rules.deaf) = (mute, deaf);
        }
        self.hang_up(plant)
    }

    /// The session has said its last word.
    pub(super) fn over(&mut self, outcome: Outcome, plant: &mut Plant) {
        self.report.outcome = match std::mem::replace(&mut self.phase, Phase::Over) {
            // It ended for us when we said so, not when the peer agreed.
            Phase::Leaving(ours) => ours,
            other => {
                self.report.times.ended = plant.now;
                if matches!(other, Phase::Ignoring) { Outcome::Ignored } else { outcome }
            }
        };
        for alarm in [Alarm::Step, Alarm::LateAnswer, Alarm::Ignored] {
            plant.timers.stop((self.key, alarm));
        }
        self.sound.close(plant);
        self.note(plant, What::Ended);
    }

    /// The CANCEL that was held back, and the answer that crosses it.
    pub(super) fn answer_late(&mut self, plant: &mut Plant) {
        if matches!(self.phase, Phase::Offered(_)) && !self.answer(plant) {
            return;
        }
        if let Some(cancel) = self.held_cancel.take() {
            plant.endpoint.handle(cancel, plant.now);
        }
    }

    /// Holds a CANCEL back for as long as the script says; one that came again is lost.
    pub(super) fn hold_cancel(&mut self, cancel: transport::Input, delay: Duration, plant: &mut Plant) {
        if !matches!(self.phase, Phase::Offered(_)) {
            return plant.endpoint.handle(cancel, plant.now);
        }
        if self.held_cancel.is_none() {
            self.held_cancel = Some(cancel);
            plant.timers.set((self.key, Alarm::LateAnswer), plant.now.after(delay));
        }
    }

    /// The media is gone, with what it was like.
    pub(super) fn sound_closed(&mut self, quality: Quality, capture: Option<Capture>, plant: &mut Plant) {
        self.report.quality = Some(quality);
        if let Some(capture) = capture {
            self.report.heard = plant.ear.listen(&capture);
            self.report.capture = plant.config.keeps_captures.then_some(capture);
        }
        self.sound.closed(plant);
    }

    /// A playback has ended.
    pub(super) fn play_ended(&mut self, play: PlayId, plant: &mut Plant) {
        if let Phase::Talking { cursor, speaking } = &mut self.phase
            && *speaking == Some(play)
        {
            *speaking = None;
            cursor.finish(plant.now);
            self.advance(plant);
        }
    }
}

/// A body of SDP.
pub(super) fn body(description: Bytes) -> Body {
    (sdp::CONTENT_TYPE.to_owned(), description)
}
