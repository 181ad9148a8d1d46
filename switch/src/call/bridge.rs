//! Two calls joined: a call whose program calls others, the legs it makes, and what passes between the two ends.
//!
//! Each leg is a [`Call`] with books of its own; what one has to tell another it writes as a [`Letter`]. The caller's end
//! hears one final answer, however many were called (RFC 3261 §16.7).

use super::outbound::{NewLeg, dial_leg};
use super::taping::For;
use super::{Call, Stage};
use crate::desk::Desk;
use crate::ending::Ending;
use crate::letter::{Called, Letter, Release};
use crate::route::Caller;
use crate::{CallSid, Fact, Origin, Status};
use base::Now;
use ivr::{Bridge, BridgeId, Mode, Next, Target};
use media::{EndpointId, PlayId};
use sip_core::message::Message;
use sip_core::sdp::{self, AudioCodec, Direction, Negotiated, SessionDescription};
use std::collections::VecDeque;

/// The ringing that an answered caller hears while others are called: no program numbers its prompts so high.
pub(super) const RINGBACK: PlayId = PlayId(u64::MAX);

/// Whether a leg may show this number whosever it is: that of the far end of the call that makes it, which is what it shows
/// where nothing is said (TWILIO.md §4.3, 12).
fn may_show(shown: Option<&str>, about: &crate::Admission) -> bool {
    match about.direction {
        crate::Direction::Inbound => shown.is_none_or(|shown| shown == about.from),
        crate::Direction::OutboundApi => shown == Some(&about.to),
        crate::Direction::OutboundDial => false,
    }
}

/// What a call says that ends because the other end of its bridge did.
const OTHER_ENDED: &str = "the other leg has ended";

/// A bridge of a call's program.
#[derive(Debug)]
pub(crate) struct Bridging {
    /// The program's name for it; a transfer of a leg that runs no program has none.
    id: Option<BridgeId>,
    /// What its legs show as their caller.
    caller_id: Option<String>,
    /// Whether it reaches trunks.
    trunks: bool,
    /// Who has asked for it, by REFER, and is joined with the call until it stands.
    referrer: Option<CallSid>,
    /// Whom to call when everyone who rings has failed.
    next: VecDeque<Target>,
    /// Those that ring.
    legs: Vec<CallSid>,
    /// The best of what has come back (RFC 3261 §16.7, step 6).
    best: Option<Ending>,
    /// Its ringing is played to the caller.
    rings: bool,
    ringback: String,
    /// Who answered, and when (monotonic nanoseconds).
    answered: Option<(CallSid, u64)>,
    /// How it is recorded.
    record: Option<ivr::RecordCall>,
    /// The recording that is made of it.
    recording: Option<ivr::Recording>,
    /// The last leg whose INVITE has its final response.
    called: Option<Box<Called>>,
}

impl Call {
    /// The program calls others.
    pub(super) fn start_bridge(&mut self, id: BridgeId, with: Bridge, desk: &mut Desk, now: Now) {
        let to = with.targets.iter().map(|target| target.to.clone()).collect();
        self.record(Fact::Bridging { to }, desk, now);
        if let Some(record) = &with.record {
            self.warn_of_recording(record, desk, now);
        }
        let mut next: VecDeque<Target> = with.targets.into();
        let first = match with.mode {
            Mode::Simultaneous => std::mem::take(&mut next),
            Mode::Sequential => next.pop_front().into_iter().collect(),
        };
        self.bridge = Some(Bridging {
            id: Some(id),
            caller_id: with.caller_id,
            trunks: true,
            referrer: None,
            next,
            legs: Vec::new(),
            best: None,
            rings: false,
            ringback: with.ringback.as_str().to_owned(),
            answered: None,
            record: with.record,
            recording: None,
            called: None,
        });
        self.call_out(first, desk, now);
    }

    /// What of a recording cannot be had is said, and what can be is recorded.
    fn warn_of_recording(&mut self, record: &ivr::RecordCall, desk: &mut Desk, now: Now) {
        if record.from == ivr::RecordFrom::Ringing {
            let why = "a dial is recorded from its answer on: what is heard while it rings is not in the recording";
            self.warn(0, why.to_owned(), desk, now);
        }
        if record.track == "outbound" {
            self.warn(
                0,
                "a recording has what the caller says, or both sides: this one has both".to_owned(),
                desk,
                now,
            );
        }
    }

    /// The caller and the one who answered hear each other: the program is told, and a recording begins.
    fn bridge_stands(&mut self, leg: CallSid, desk: &mut Desk, now: Now) {
        let Some(bridge) = &mut self.bridge else { return };
        bridge.answered = Some((leg, now.mono));
        let (id, record) = (bridge.id, bridge.record.take());
        if let Some(record) = record {
            let source = match record.track.as_str() {
                "inbound" => media::RecordSource::Received,
                _ if record.dual => media::RecordSource::Dual,
                _ => media::RecordSource::Mixed,
            };
            let told = record.callback.clone().map(|callback| (callback, "DialVerb"));
            let tape = |tape: media::RecordOptions| media::RecordOptions { source, trim: record.trim, ..tape };
            self.tape(For::Others(told), tape, desk, now);
            let recording = self.recording_of_others(desk);
            if let Some(bridge) = &mut self.bridge {
                bridge.recording = recording;
            }
        }
        if let Some(bridge) = id {
            self.on_program(ivr::Input::BridgeAnswered { bridge }, desk, now);
        }
    }

    /// What the program is told of a bridge that ends with its call.
    pub(super) fn bridge_news(&self, ending: &Ending, now: Now) -> Option<ivr::Input> {
        let bridge = self.bridge.as_ref()?;
        let end = match bridge.answered {
            Some(_) => bridge.end(&Ending::cleared(ending.cause.origin, OTHER_ENDED), now),
            None => bridge.end(&Ending::canceled(), now),
        };
        Some(ivr::Input::BridgeEnded { bridge: bridge.id?, end })
    }

    /// Calls these; where none of them can be called, those after them, and then it is over.
    pub(super) fn call_out(&mut self, targets: VecDeque<Target>, desk: &mut Desk, now: Now) {
        for target in targets {
            self.call_one(&target, desk, now);
        }
        let Some(bridge) = &mut self.bridge else { return };
        if !bridge.legs.is_empty() {
            return;
        }
        match bridge.next.pop_front() {
            Some(next) => self.call_out(VecDeque::from([next]), desk, now),
            None => self.nobody_answered(desk, now),
        }
    }

    fn call_one(&mut self, target: &Target, desk: &mut Desk, now: Now) {
        if let Ok(sid) = target.to.parse::<CallSid>() {
            return self.borrow(sid, desk);
        }
        let Some(bridge) = &mut self.bridge else { return };
        let caller = Caller {
            tenant: self.about.tenant.clone(),
            from: bridge.caller_id.clone().unwrap_or_else(|| self.about.from.clone()),
            passes: self.trunk.is_some() && may_show(bridge.caller_id.as_deref(), &self.about),
            trunks: bridge.trunks,
        };
        let routed = match self.hops {
            0 => Err(Ending::new(Status::Failed, Origin::Switch, 483, "Max-Forwards is used up")),
            _ => desk.route(&target.to, &caller, now),
        };
        let ways = match routed {
            Ok(ways) => ways,
            Err(ending) => {
                tracing::info!(to = target.to, reason = ending.cause.reason, "a target cannot be called");
                let reached = (ending.cause.origin == Origin::Limit).then(|| ending.cause.reason.clone());
                bridge.failed(ending);
                if let Some(reason) = reached {
                    self.warn(0, format!("{} is not called: {reason}", target.to), desk, now);
                }
                return;
            }
        };
        let codecs = self.codecs();
        let Some(bridge) = &mut self.bridge else { return };
        for (from, way) in ways {
            let leg = NewLeg {
                boss: self.sid,
                codecs: codecs.clone(),
                identity: if caller.passes { self.identity.clone() } else { Vec::new() },
                tenant: self.about.tenant.clone(),
                from,
                target: target.clone(),
                way,
                max_duration: self.max_duration,
                max_forwards: self.hops - 1,
            };
            bridge.legs.push(dial_leg(leg, desk, now));
        }
    }

    /// A letter from another call.
    pub(crate) fn on_letter(&mut self, letter: Letter, desk: &mut Desk, now: Now) {
        match letter {
            Letter::Rings { leg, sip_status, heard } => self.on_ringing(leg, sip_status, heard, desk, now),
            Letter::Final(called) => self.on_final(called),
            Letter::Answers { leg, media, codec } => self.on_leg_answered(leg, media, codec, desk, now),
            Letter::Joined { with } => self.join(with, desk, now),
            Letter::Over { call, ending } => self.on_other_over(call, ending, desk, now),
            Letter::Release(release) => {
                let ending = Ending::released(&release, self.book.was_answered());
                self.end(ending, desk, now);
            }
            Letter::Flow(flow) => self.on_flow(flow, desk, now),
            Letter::Lend { to, tenant } => self.lend(to, &tenant, desk, now),
            Letter::Transfer { by, to, trunks } => self.transfer(by, to, trunks, desk, now),
            Letter::Replaced { by, media } => self.replaced(by, media, desk, now),
            Letter::Take { with, media } => self.take(with, media, desk, now),
            Letter::Owes(owed) => self.record(Fact::Callback(owed), desk, now),
            Letter::Key(key) => self.press(key, desk, now),
            // Who takes no telephone-events hears the tone itself, as audio.
            Letter::Tone(key) if self.leg.takes_keys => self.press(key, desk, now),
            Letter::Tone(_) => {}
            Letter::Referred { sip_status } => self.on_referred(sip_status, desk, now),
            Letter::Begins => self.end_waiting(desk),
            Letter::Closed => self.leave_room(desk, now),
            Letter::Room(order) => self.on_room_order(order, desk, now),
            Letter::Tape(tape) => self.take_tape(*tape),
        }
    }

    pub(super) fn join(&mut self, with: CallSid, desk: &mut Desk, now: Now) {
        self.boss = None;
        self.wanted = Direction::SendRecv;
        self.peer = Some(with);
        self.record(Fact::Bridged { with }, desk, now);
        // The one before may have held it.
        self.catch_up(desk, now);
        if self.leg.asks != Direction::SendRecv {
            // Our far end has held before there was anybody to hear of it.
            desk.letters.push_back((with, Letter::Flow(self.leg.asks)));
        }
    }

    fn on_final(&mut self, called: Box<Called>) {
        if let Some(bridge) = self.bridge.as_mut().filter(|bridge| bridge.legs.contains(&called.leg)) {
            bridge.called = Some(called);
        }
    }

    fn has_leg(&self, leg: CallSid) -> bool {
        self.bridge.as_ref().is_some_and(|bridge| bridge.legs.contains(&leg))
    }

    fn on_ringing(
        &mut self,
        leg: CallSid,
        status: u16,
        heard: Option<(EndpointId, Option<AudioCodec>)>,
        desk: &mut Desk,
        now: Now,
    ) {
        let Some(bridge) = self.bridge.as_ref().filter(|bridge| bridge.legs.contains(&leg)) else { return };
        if let Some(by) = bridge.referrer {
            desk.letters.push_back((by, Letter::Referred { sip_status: 180 }));
            if self.peer.is_some() {
                return;
            }
        }
        if let (Some((with, codec)), Some(own)) = (heard, self.leg.media) {
            self.leg.others = codec.into_iter().collect();
            self.stop_ringback(desk);
            desk.media(media::Command::Bridge { id: own.id, with });
        }
        match self.stage {
            Stage::Alerting(_) => self.announce(status, heard.is_some(), desk, now),
            Stage::Talking(_) if heard.is_none() => self.play_ringback(desk),
            _ => {}
        }
    }

    fn play_ringback(&mut self, desk: &mut Desk) {
        let (Some(bridge), Some(own)) = (&mut self.bridge, self.leg.media) else { return };
        let prompt = desk.prompts.get(&bridge.ringback).cloned();
        if let Some(prompt) = prompt.filter(|_| !std::mem::replace(&mut bridge.rings, true)) {
            desk.media(media::Command::Play { id: own.id, play: RINGBACK, prompt, repeat: 0 });
        }
    }

    fn stop_ringback(&mut self, desk: &mut Desk) {
        let (Some(bridge), Some(own)) = (&mut self.bridge, self.leg.media) else { return };
        if std::mem::take(&mut bridge.rings) {
            desk.media(media::Command::StopPlay { id: own.id, play: RINGBACK });
        }
    }

    /// The first to answer has the call; whoever answers after it is let go.
    fn on_leg_answered(
        &mut self,
        leg: CallSid,
        media: EndpointId,
        codec: Option<AudioCodec>,
        desk: &mut Desk,
        now: Now,
    ) {
        let referrer = self.bridge.as_ref().and_then(|bridge| bridge.referrer);
        if !self.has_leg(leg) || (self.peer.is_some() && referrer.is_none()) {
            desk.letters.push_back((leg, Letter::Release(Release::answered_elsewhere())));
            return;
        }
        self.stop_ringback(desk);
        if let (Some(by), Some(bridge)) = (referrer, &mut self.bridge) {
            bridge.referrer = None;
            desk.letters.push_back((by, Letter::Referred { sip_status: 200 }));
            self.unjoin(desk, now);
        }
        self.release_legs(Some(leg), &Release::answered_elsewhere(), desk);
        self.leg.others = codec.into_iter().collect();
        if let Stage::Alerting(_) = self.stage {
            self.accept(None, desk, now);
        }
        let Some(own) = self.leg.media.filter(|_| self.is_live()) else {
            let release = Release::new(Origin::Switch, "its caller could not be answered");
            return desk.letters.push_back((leg, Letter::Release(release)));
        };
        desk.media(media::Command::Bridge { id: own.id, with: media });
        desk.letters.push_back((leg, Letter::Joined { with: self.sid }));
        self.join(leg, desk, now);
        self.bridge_stands(leg, desk, now);
    }

    /// Lets go of everyone who rings, but one.
    fn release_legs(&mut self, but: Option<CallSid>, release: &Release, desk: &mut Desk) {
        let Some(bridge) = &mut self.bridge else { return };
        for leg in bridge.legs.drain(..).filter(|leg| Some(*leg) != but) {
            desk.letters.push_back((leg, Letter::Release(release.clone())));
        }
        bridge.next.clear();
    }

    /// One that this call is joined with, or has called, is over.
    fn on_other_over(&mut self, other: CallSid, ending: Ending, desk: &mut Desk, now: Now) {
        if self.peer == Some(other) {
            self.unjoin(desk, now);
            if self.bridge.as_ref().is_some_and(|bridge| !bridge.legs.is_empty()) {
                // Who has asked for a transfer need not wait for it.
                self.play_ringback(desk);
                return self.catch_up(desk, now);
            }
            self.bridge_done(ending, desk, now);
        } else if let Some(bridge) = self.bridge.as_mut().filter(|bridge| bridge.legs.contains(&other)) {
            bridge.legs.retain(|leg| *leg != other);
            bridge.failed(ending);
            self.call_out(VecDeque::new(), desk, now);
        }
    }

    pub(super) fn unjoin(&mut self, desk: &mut Desk, now: Now) {
        let Some(with) = self.peer.take() else { return };
        // A hold of that one's goes with it; our far end is told where the call goes on.
        self.wanted = Direction::SendRecv;
        if let Some(own) = self.leg.media {
            desk.media(media::Command::Unbridge { id: own.id });
        }
        self.record(Fact::Unbridged { with }, desk, now);
    }

    fn nobody_answered(&mut self, desk: &mut Desk, now: Now) {
        self.stop_ringback(desk);
        let Some(bridge) = &mut self.bridge else { return };
        let ending = bridge.best.take().unwrap_or_else(Ending::no_answer).toward_the_caller();
        if let Some(by) = bridge.referrer.take() {
            let sip_status = ending.cause.sip_status.unwrap_or(480);
            desk.letters.push_back((by, Letter::Referred { sip_status }));
            if self.peer.is_some() {
                // All is as it was before the transfer was asked for.
                self.bridge.take_if(|bridge| bridge.id.is_none());
                return;
            }
        }
        if let Some(own) = self.leg.media {
            // Early media of a leg that failed.
            desk.media(media::Command::Unbridge { id: own.id });
        }
        self.bridge_done(ending, desk, now);
    }

    /// What the bridge was for is over: the program's step, or the leg itself where it runs none.
    fn bridge_done(&mut self, ending: Ending, desk: &mut Desk, now: Now) {
        self.stop_recordings_of_others(desk);
        let bridge = self.bridge.take();
        let end = bridge.as_ref().map(|bridge| bridge.end(&ending, now)).unwrap_or_default();
        match bridge.and_then(|bridge| bridge.id) {
            Some(id) => self.bridge_over(id, end, ending, desk, now),
            None => self.end(Ending::cleared(ending.cause.origin, OTHER_ENDED), desk, now),
        }
    }

    /// The program goes on. A caller who has not been answered yet is, where there is something to be heard; where there
    /// is not, the end of the bridge is the end of the call.
    fn bridge_over(&mut self, bridge: BridgeId, end: ivr::BridgeEnd, ending: Ending, desk: &mut Desk, now: Now) {
        let input = ivr::Input::BridgeEnded { bridge, end };
        // One that was begun before the answer asks for it itself.
        let is_heard = self.running().is_some_and(|talk| !talk.early && talk.next() == Next::Heard);
        if matches!(self.stage, Stage::Alerting(_)) && is_heard {
            return self.accept(Some(input), desk, now);
        }
        if let Stage::Accepting(accepting) = &mut self.stage {
            // The ACK is on its way: the program hears of it then.
            accepting.then = Some(input);
            return;
        }
        self.bridged = Some(ending);
        self.on_program(input, desk, now);
        self.bridged = None;
        self.catch_up(desk, now);
    }

    /// How a call ends whose program is over: by the end of the bridge, where that is what ended it.
    pub(super) fn end_of_program(&mut self) -> Ending {
        match self.bridged.take() {
            Some(ending) if matches!(self.stage, Stage::Alerting(_)) => ending,
            Some(ending) => Ending::cleared(ending.cause.origin, OTHER_ENDED),
            None if matches!(self.stage, Stage::Alerting(_)) => {
                Ending::new(Status::Failed, Origin::Program, 603, "the program ended without an answer")
            }
            None => Ending::cleared(Origin::Program, "the program ended"),
        }
    }

    /// The program does something else: whoever was called for it goes.
    pub(super) fn take_bridge_apart(&mut self, desk: &mut Desk, now: Now) {
        self.stop_ringback(desk);
        self.stop_recordings_of_others(desk);
        let release = Release::new(Origin::Program, "the program went on");
        self.release_legs(None, &release, desk);
        if let Some(peer) = self.peer {
            desk.letters.push_back((peer, Letter::Release(release)));
        }
        self.unjoin(desk, now);
        self.bridge = None;
    }

    /// A leg is given a program of its own: it leaves the call that it was joined with.
    pub(super) fn run_of_its_own(&mut self, answer: ivr::Answer, desk: &mut Desk, now: Now) {
        if let Some(other) = self.peer {
            let ending = Ending::cleared(Origin::Api, "the other leg was given something else to do");
            desk.letters.push_back((other, Letter::Over { call: self.sid, ending }));
        }
        self.unjoin(desk, now);
        let context = self.context(desk);
        let Stage::Talking(talk) = &mut self.stage else { return };
        talk.program.get_or_insert_with(|| ivr::Program::standing_by(context)).replace(answer, now);
        self.drain_program(desk, now);
        self.catch_up(desk, now);
    }

    /// Tells every call that has to do with this one that it ends.
    pub(super) fn part(&mut self, ending: &Ending, desk: &mut Desk) {
        if let Some(boss) = self.boss.take() {
            // One that was answered and never joined has come to nothing, as far as its caller is concerned.
            let unjoined = ending.status == Status::Completed;
            let ending = if unjoined { not_joined() } else { ending.clone() };
            desk.letters.push_back((boss, Letter::Over { call: self.sid, ending }));
        }
        if let Some(peer) = self.peer.take() {
            desk.letters.push_back((peer, Letter::Over { call: self.sid, ending: ending.clone() }));
        }
        self.release_legs(None, &Release::new(ending.cause.origin, ending.cause.reason.clone()), desk);
        self.bridge = None;
    }

    /// The other leg's far end holds or resumes: so do we, toward ours; before its ACK, once that has come.
    fn on_flow(&mut self, flow: Direction, desk: &mut Desk, now: Now) {
        self.wanted = flow;
        self.catch_up(desk, now);
    }

    /// Audio is to flow as it is wanted: where we have told our far end otherwise, it is told now, or where it still thinks
    /// about what it was told before, after that.
    pub(super) fn catch_up(&mut self, desk: &mut Desk, now: Now) {
        let (Stage::Talking(talk), Some(local)) = (&self.stage, &mut self.leg.local) else { return };
        let flow = if self.on_hold { super::live::without_listening(self.wanted) } else { self.wanted };
        if local.direction == flow || std::mem::replace(&mut self.leg.changing, true) {
            return;
        }
        local.version += 1;
        local.direction = flow;
        let body = Some((sdp::CONTENT_TYPE.to_owned(), sdp::offer(local)));
        desk.endpoint.reoffer(talk.session(), body, now);
    }

    /// Our offer has come to its end.
    pub(crate) fn on_change_done(&mut self, answer: Option<&Message>, desk: &mut Desk, now: Now) {
        self.leg.changing = false;
        self.on_reoffer_done(answer, desk, now);
        self.catch_up(desk, now);
    }

    /// The far end has answered our offer; one that it refuses leaves the session as it was. What is agreed on now.
    pub(crate) fn on_reoffer_done(
        &mut self,
        answer: Option<&Message>,
        desk: &mut Desk,
        now: Now,
    ) -> Option<Negotiated> {
        let (Stage::Talking(_), Some(local), Some(answer)) = (&self.stage, &self.leg.local, answer) else {
            return None;
        };
        let agreed = SessionDescription::parse(answer.body()).and_then(|answer| sdp::accept_answer(local, &answer));
        match agreed {
            Ok(mut negotiated) => {
                // Who is not talked to cannot say that it listens again.
                negotiated.held_by_peer |= self.leg.held && !local.direction.sends();
                self.configure(&negotiated, desk, now);
                Some(negotiated)
            }
            Err(error) => {
                tracing::warn!(%error, "the answer to our offer cannot be used: the session stays as it was");
                None
            }
        }
    }
}

/// The end of a leg that was answered and not joined with its caller: its screening was not passed.
fn not_joined() -> Ending {
    Ending::new(Status::NoAnswer, Origin::Program, 480, "the called was not joined after the answer")
}

/// How a bridge has ended, as its program hears it.
fn end_of_bridge(ending: &Ending) -> ivr::BridgeEnd {
    let status = match ending.status {
        Status::Busy => ivr::BridgeStatus::Busy,
        Status::NoAnswer => ivr::BridgeStatus::NoAnswer,
        Status::Canceled => ivr::BridgeStatus::Canceled,
        Status::Failed => ivr::BridgeStatus::Failed,
        Status::Completed | Status::InProgress | Status::Ringing | Status::Queued => ivr::BridgeStatus::Completed,
    };
    ivr::BridgeEnd { status, sip_status: ending.cause.sip_status, ..ivr::BridgeEnd::default() }
}

impl Bridging {
    /// What a transfer needs, of a leg that runs no program.
    pub(super) fn of_a_leg() -> Self {
        Self {
            id: None,
            caller_id: None,
            trunks: false,
            referrer: None,
            next: VecDeque::new(),
            legs: Vec::new(),
            best: None,
            rings: false,
            ringback: ivr::RINGBACK.to_owned(),
            answered: None,
            record: None,
            recording: None,
            called: None,
        }
    }

    /// How it has ended, as its program hears it.
    fn end(&self, ending: &Ending, now: Now) -> ivr::BridgeEnd {
        const SECOND: u64 = 1_000_000_000;
        let seconds = |at: u64| u32::try_from(now.mono.saturating_sub(at) / SECOND).unwrap_or(u32::MAX);
        let called = self.called.as_deref();
        ivr::BridgeEnd {
            sid: self.answered.map(|(leg, _)| leg).or(called.map(|called| called.leg)).map(|leg| leg.to_string()),
            duration_s: self.answered.map(|(_, at)| seconds(at)),
            bridged: self.answered.is_some(),
            recording: self.recording.clone(),
            sip_call_id: called.and_then(|called| called.sip_call_id.clone()),
            sip_headers: called.map(|called| called.headers.clone()).unwrap_or_default(),
            ..end_of_bridge(ending)
        }
    }

    /// Whether nobody is being called for it.
    pub(super) fn is_settled(&self) -> bool {
        self.legs.is_empty() && self.referrer.is_none()
    }

    /// It is to bring about a transfer.
    pub(super) fn refer(&mut self, by: CallSid, trunks: bool) {
        self.caller_id = None;
        self.trunks = trunks;
        self.referrer = Some(by);
    }

    /// A live call is wanted in it, as a leg that rings.
    pub(super) fn await_leg(&mut self, sid: CallSid) {
        self.legs.push(sid);
    }

    pub(super) fn failed(&mut self, ending: Ending) {
        self.best = Some(match self.best.take() {
            Some(best) => best.better(ending),
            None => ending,
        });
    }
}
