//! What the API does to an answered call while its program runs: sounds and questions in between, keys, hold, mute,
//! recordings, transfers, and joining it with another live call.
//!
//! The API has asked the call's records whether its state allows it; where that has changed meanwhile, the call says so
//! by a warning.

use super::program::Pressing;
use super::room::HOLD_MUSIC;
use super::taping::For;
use super::{Call, Stage};
use crate::command::{RecordOrder, Steer};
use crate::desk::Desk;
use crate::ending::Ending;
use crate::letter::Letter;
use crate::{CallSid, Fact, Origin, Status};
use base::Now;
use ivr::Program;
use media::{PlayId, RecordOptions, RecordSource};
use sip_core::sdp::Direction;

/// The music of a hold of ours: no program numbers its sounds so high.
const HOLD: PlayId = PlayId(u64::MAX - 1);
/// Recordings of the API that run on one call at once. Another one is not begun, with a warning.
const MAX_TAPES: usize = 4;
/// Milliseconds in a second.
const SECOND_MS: u64 = 1_000;

/// The same flow of audio, but that we do not listen.
pub(super) const fn without_listening(flow: Direction) -> Direction {
    match flow {
        Direction::SendRecv | Direction::SendOnly => Direction::SendOnly,
        Direction::RecvOnly | Direction::Inactive => Direction::Inactive,
    }
}

impl Call {
    /// Answered, and not over.
    pub(crate) const fn is_talking(&self) -> bool {
        matches!(self.stage, Stage::Talking(_))
    }

    /// Something that the API asks for.
    pub(crate) fn on_steer(&mut self, steer: Steer, desk: &mut Desk, now: Now) {
        if !self.is_talking() {
            return self.not_done("what was asked for", "the call is not answered, or over", desk, now);
        }
        match steer {
            Steer::Interject(answer) => self.interject(answer, desk, now),
            Steer::Stop => self.hush(desk, now),
            Steer::Digits(keys) => self.press_for_api(&keys, desk, now),
            Steer::Hold(on) => self.hold(on, desk, now),
            Steer::Mute { inbound, outbound } => self.silence(inbound, outbound, desk, now),
            Steer::Record(order) => self.on_record_order(order, desk, now),
            Steer::Member(change) => self.change_member(change, desk, now),
            Steer::LeaveRoom => self.leave_room(desk, now),
            Steer::Refer(to) => self.refer_caller(None, to, desk, now),
            // The switch does it: it takes three calls.
            Steer::Attend { .. } => {}
        }
    }

    /// The call is no longer as it was when the API let this pass.
    pub(crate) fn not_done(&mut self, what: &str, why: &str, desk: &mut Desk, now: Now) {
        if self.is_live() {
            self.warn(0, format!("{what} is not done: {why}"), desk, now);
        }
    }

    fn interject(&mut self, answer: ivr::Answer, desk: &mut Desk, now: Now) {
        let context = self.context(desk);
        let Stage::Talking(talk) = &mut self.stage else { return };
        // A leg that runs nothing of its own can still be spoken to.
        let program = talk.program.get_or_insert_with(|| Program::standing_by(context));
        let done = program.interject(answer, now);
        self.drain_program(desk, now);
        if let Err(why) = done {
            self.not_done("what was to be put in between", &why.to_string(), desk, now);
        }
    }

    fn hush(&mut self, desk: &mut Desk, now: Now) {
        let Stage::Talking(talk) = &mut self.stage else { return };
        if let Some(program) = &mut talk.program {
            program.hush(now);
            self.drain_program(desk, now);
        }
    }

    fn press_for_api(&mut self, keys: &str, desk: &mut Desk, now: Now) {
        let taken = match &mut self.pressing {
            Some(pressing) => pressing.add(keys),
            None => {
                self.pressing = Some(Pressing::of(None, keys));
                self.press_next(desk, now);
                true
            }
        };
        if taken {
            self.record(Fact::Pressed { digits: keys.to_owned() }, desk, now);
        } else {
            self.not_done("pressing keys", "too many keys wait to be pressed", desk, now);
        }
    }

    /// Ours, not the far end's: it is not heard, and hears music where there is some.
    fn hold(&mut self, on: bool, desk: &mut Desk, now: Now) {
        if std::mem::replace(&mut self.on_hold, on) == on {
            return;
        }
        self.record(if on { Fact::PutOnHold } else { Fact::TakenOffHold }, desk, now);
        self.catch_up(desk, now);
        match desk.prompts.get(HOLD_MUSIC).cloned().filter(|_| on) {
            Some(prompt) => self.with_media(desk, |id| media::Command::Play { id, play: HOLD, prompt, repeat: 0 }),
            None => self.with_media(desk, |id| media::Command::StopPlay { id, play: HOLD }),
        }
        self.apply_mute(desk);
    }

    fn silence(&mut self, inbound: bool, outbound: bool, desk: &mut Desk, now: Now) {
        if std::mem::replace(&mut self.mute, (inbound, outbound)) != (inbound, outbound) {
            self.record(Fact::Muted { inbound, outbound }, desk, now);
            self.apply_mute(desk);
        }
    }

    /// A far end that is held without music is not to hear the one that it was talking to.
    fn apply_mute(&self, desk: &mut Desk) {
        let bare = self.on_hold && !desk.prompts.contains_key(HOLD_MUSIC);
        let (inbound, outbound) = (self.mute.0, self.mute.1 || bare);
        self.with_media(desk, |id| media::Command::Mute { id, inbound, outbound });
    }

    fn on_record_order(&mut self, order: RecordOrder, desk: &mut Desk, now: Now) {
        let (meant, paused) = match order {
            RecordOrder::Start { dual, beep, max_s } => return self.start_recording(dual, beep, max_s, desk, now),
            RecordOrder::Stop(recording) => (self.tapes_of_api(recording.as_deref()), None),
            RecordOrder::Pause(recording) => (self.tapes_of_api(recording.as_deref()), Some(true)),
            RecordOrder::Resume(recording) => (self.tapes_of_api(recording.as_deref()), Some(false)),
        };
        if meant.is_empty() {
            return self.not_done("what was asked of a recording", "no such recording of the API's runs", desk, now);
        }
        for (record, recording) in meant {
            self.with_media(desk, |id| match paused {
                None => media::Command::StopRecord { id, record },
                Some(paused) => media::Command::PauseRecord { id, record, paused },
            });
            match paused {
                Some(true) => self.record(Fact::RecordingPaused { recording }, desk, now),
                Some(false) => self.record(Fact::RecordingResumed { recording }, desk, now),
                None => {}
            }
        }
    }

    /// The API has asked for it with the call.
    pub(super) fn record_from_answer(&mut self, dual: bool, desk: &mut Desk, now: Now) {
        self.start_recording(dual, false, None, desk, now);
    }

    fn start_recording(&mut self, dual: bool, beep: bool, max_s: Option<u32>, desk: &mut Desk, now: Now) {
        if self.tapes_of_api(None).len() >= MAX_TAPES {
            let why = format!("{MAX_TAPES} of the API's run on this call already");
            return self.not_done("a recording", &why, desk, now);
        }
        let source = if dual { RecordSource::Dual } else { RecordSource::Mixed };
        let max_ms = max_s.map(|seconds| u64::from(seconds) * SECOND_MS);
        self.tape(For::Api, |tape| RecordOptions { source, beep, max_ms, ..tape }, desk, now);
    }

    /// A bridge of ours names a live call: it is asked for, and comes as a leg that has answered.
    pub(super) fn borrow(&mut self, sid: CallSid, desk: &mut Desk) {
        let own = self.sid;
        let Some(bridge) = &mut self.bridge else { return };
        if sid == own || desk.media_of(&sid.to_string()).is_none() {
            return bridge.failed(refused("there is no such call to be joined with"));
        }
        bridge.await_leg(sid);
        desk.letters.push_back((sid, Letter::Lend { to: own, tenant: self.about.tenant.clone() }));
    }

    /// Another call's bridge wants this one. Whom it is joined with it leaves, and what it ran is over.
    pub(super) fn lend(&mut self, to: CallSid, tenant: &str, desk: &mut Desk, now: Now) {
        let free = self.is_talking() && self.about.tenant == tenant && self.peer != Some(to);
        let Some(media) = self.leg.media.filter(|_| free) else {
            let ending = refused("the call cannot be joined with now");
            return desk.letters.push_back((to, Letter::Over { call: self.sid, ending }));
        };
        self.stand_by(desk, now);
        desk.letters.push_back((to, Letter::Answers { leg: self.sid, media: media.id, codec: self.leg.codec }));
    }

    /// What it runs is over, and whom it is joined with is left; others are to have it.
    pub(crate) fn stand_by(&mut self, desk: &mut Desk, now: Now) {
        let context = self.context(desk);
        let Stage::Talking(talk) = &mut self.stage else { return };
        talk.program.get_or_insert_with(|| Program::standing_by(context)).stand_by();
        self.drain_program(desk, now);
        if let Some(boss) = self.boss.take() {
            // A leg that was answered and not joined yet: its caller hears that it will not be.
            let ending = refused("the leg was joined with another call");
            desk.letters.push_back((boss, Letter::Over { call: self.sid, ending }));
        }
        if let Some(other) = self.peer {
            let ending = Ending::cleared(Origin::Api, "the other leg was joined with another call");
            desk.letters.push_back((other, Letter::Over { call: self.sid, ending }));
            self.unjoin(desk, now);
        }
    }

    /// The one that it was joined with talks to another call now.
    pub(crate) fn attended(&mut self, desk: &mut Desk, now: Now) {
        self.unjoin(desk, now);
        self.end(Ending::cleared(Origin::Api, "transferred"), desk, now);
    }
}

fn refused(why: &str) -> Ending {
    Ending::new(Status::Failed, Origin::Switch, 481, why)
}
