//! A call: one leg toward a carrier or a phone, a program that it runs, and the one account of what happened. Two of
//! them joined are a bridge (`bridge`).
//!
//! A call is worked on by one thread through `&mut` and by nobody else. Its [`Stage`]s are structs that are taken out,
//! consumed and put back, so that a stage that is over cannot be named. It ends once, by [`Call::end`].

mod bridge;
mod early;
mod hearing;
mod inbound;
mod info;
pub(crate) mod leg;
mod live;
mod machine;
mod meter;
mod minutes;
mod outbound;
mod program;
mod referral;
pub(crate) mod room;
mod talking;
pub(crate) mod taping;
pub(crate) mod telling;
mod transfer;
mod waiting;

use crate::book::Book;
use crate::cdr::{Cdr, StreamQuality};
use crate::desk::{Alarms, Desk, Timer, Wake};
use crate::ending::Ending;
use crate::record::Admission;
use crate::tally::Kept;
use crate::{CallSid, Fact, Origin, Status};
use base::Now;
use leg::{Hear, Leg};
use sip_core::endpoint::{LadderEntry, ReferId};
use sip_core::sdp::Direction;
use std::sync::Arc;
use std::time::Duration;
use talking::Talk;

pub(crate) use inbound::{Arrival, arrive};
pub(crate) use outbound::{Device, Way, originate};

/// A media endpoint answers a close at once; one that has not by then died with its shard, and the call's books are
/// closed without its figures.
const MEDIA_CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// Identity fields of one call that are passed on: a caller's own, and one of each who diverted it (RFC 8946). More are
/// left out.
const MAX_IDENTITIES: usize = 4;
/// How many ports are tried where other processes hold them: they take stretches of them, and a try costs microseconds.
const PORT_ATTEMPTS: u32 = 64;

/// What a call is doing.
#[derive(Debug)]
pub(crate) enum Stage {
    /// It waits for a permit.
    Queued(outbound::Waiting),
    /// It waits for its RTP port; then it dials.
    Opening(outbound::Waiting),
    /// The INVITE is out.
    Dialing(outbound::Dialing),
    /// Somebody called; it waits for its RTP port.
    Arriving(inbound::Arriving),
    /// Somebody called, and has not been answered while the program calls others.
    Alerting(inbound::Alerting),
    /// The 200 is out; it waits for the ACK.
    Accepting(inbound::Accepting),
    /// Answered.
    Talking(Talk),
    /// Decided to end; it waits for the media endpoint's last figures.
    Closing(Ending),
    /// The books are closed; the session's last messages may still come.
    Over,
}

/// A call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) sid: CallSid,
    about: Admission,
    max_duration: Duration,
    book: Book,
    leg: Leg,
    stage: Stage,
    sip_call_ids: Vec<String>,
    carrier_call_id: Option<String>,
    /// How many more hops what came to us could make (RFC 3261 §20.22).
    hops: u8,
    /// What proves who calls, as it came (RFC 8224): passed on unread, at most [`MAX_IDENTITIES`].
    identity: Vec<String>,
    /// The call whose program made this one, until the two are joined or one has ended.
    boss: Option<CallSid>,
    /// The call that it is joined with.
    peer: Option<CallSid>,
    /// The far end is a user's device: a transfer that it asks for may reach a trunk.
    reaches_trunks: bool,
    /// Its far end has handed it on, and is to hang up.
    handed_on: bool,
    /// The call whose place this one takes.
    replaces: Option<CallSid>,
    /// The transfer that its far end has asked for.
    referring: Option<ReferId>,
    /// How the bridge ended that its program is just being told of.
    bridged: Option<Ending>,
    /// The bridge that its program has under way.
    bridge: Option<bridge::Bridging>,
    /// What its program still owes to others, after its end.
    after: Option<ivr::Program>,
    /// Keys that the program presses.
    pressing: Option<program::Pressing>,
    /// Recordings that run, or whose files are being finished.
    tapes: Vec<taping::Taping>,
    /// The sids of all that were made.
    recordings: Vec<String>,
    /// The conference that it is in.
    stay: Option<room::Stay>,
    /// What is run for it while its conference has not begun.
    waiting: Option<Box<ivr::Program>>,
    /// It is being found out who has answered.
    detecting: Option<machine::Detecting>,
    /// Who has.
    answered_by: Option<String>,
    /// What its program listens for.
    hearing: hearing::Hearing,
    /// Which directions are silenced, inbound and outbound.
    mute: (bool, bool),
    /// We hold it.
    on_hold: bool,
    /// Which way audio is to flow, as whom it is joined with has it; a hold of ours narrows it.
    wanted: Direction,
    /// The referral that its program, or the API, has asked for.
    refers: Option<referral::Referring>,
    /// The media endpoint's last figures, while a recording's file is waited for.
    figures: Option<Box<media::Quality>>,
    /// Whose RTP is heard.
    hear: Hear,
    /// The trunk's name, once one is chosen.
    trunk: Option<String>,
    /// The number that it calls over a trunk.
    dialled: Option<carrier::Number>,
    /// What is kept for it of its tenant's day.
    kept: Kept,
    /// When it is woken.
    alarms: Alarms,
    /// All that is logged of this call is logged in here.
    pub(crate) span: tracing::Span,
}

impl Call {
    fn new(sid: CallSid, about: Admission, max_duration: Duration, book: Book) -> Self {
        let trunk = about.trunk.clone();
        Self {
            sid,
            about,
            max_duration,
            book,
            leg: Leg::default(),
            stage: Stage::Over,
            sip_call_ids: Vec::new(),
            carrier_call_id: None,
            hops: sip_core::endpoint::MAX_FORWARDS,
            identity: Vec::new(),
            boss: None,
            peer: None,
            reaches_trunks: false,
            handed_on: false,
            replaces: None,
            referring: None,
            bridged: None,
            bridge: None,
            after: None,
            pressing: None,
            tapes: Vec::new(),
            recordings: Vec::new(),
            stay: None,
            waiting: None,
            detecting: None,
            answered_by: None,
            hearing: hearing::Hearing::default(),
            mute: (false, false),
            on_hold: false,
            wanted: Direction::SendRecv,
            refers: None,
            figures: None,
            hear: Hear::NamedHost,
            trunk,
            dialled: None,
            kept: Kept::default(),
            alarms: Alarms::of(sid),
            span: tracing::info_span!("call", %sid),
        }
    }

    fn take_stage(&mut self) -> Stage {
        std::mem::replace(&mut self.stage, Stage::Over)
    }

    /// Takes the stage out where it is the one that is meant; what is given back else is no stage to work on.
    fn take_stage_if(&mut self, is_meant: impl FnOnce(&Stage) -> bool) -> Stage {
        if is_meant(&self.stage) { self.take_stage() } else { Stage::Over }
    }

    fn record(&mut self, fact: Fact, desk: &mut Desk, now: Now) {
        log(&fact);
        self.book.record(fact, now, &mut desk.out);
    }

    /// Nothing of it is left: no record to come, no session, no port.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.stage, Stage::Over)
            && self.leg.session.is_none()
            && self.leg.media.is_none()
            && self.after.is_none()
    }

    /// True until its end is decided.
    pub(crate) fn is_live(&self) -> bool {
        !matches!(self.stage, Stage::Closing(_) | Stage::Over)
    }

    pub(crate) fn is_queued(&self) -> bool {
        matches!(self.stage, Stage::Queued(_))
    }

    /// A message on the wire.
    pub(crate) fn on_ladder(&mut self, entry: LadderEntry, desk: &mut Desk, now: Now) {
        let fact = Fact::Message {
            sent: entry.sent,
            transport: entry.transport.as_str().into(),
            peer: entry.peer.to_string(),
            line: entry.line,
            cseq: entry.cseq,
            retransmission: entry.retransmission,
        };
        self.record(fact, desk, now);
    }

    /// The API asks for the end.
    pub(crate) fn on_end_request(&mut self, how: crate::EndAs, desk: &mut Desk, now: Now) {
        let answered = self.book.was_answered();
        match how {
            crate::EndAs::Canceled if answered => {}
            _ if answered => self.end(Ending::cleared(Origin::Api, "ended by the API"), desk, now),
            _ => self.end(Ending::canceled(), desk, now),
        }
    }

    /// A timer of this call.
    pub(crate) fn on_wake(&mut self, what: Wake, desk: &mut Desk, now: Now) {
        match what {
            Wake::Queue => self.end(outbound::queue_limit(), desk, now),
            Wake::Ring => self.end(Ending::no_answer(), desk, now),
            Wake::Duration => self.end(Ending::cleared(Origin::Limit, "max_duration_s is over"), desk, now),
            Wake::Day => self.meter(desk, now),
            Wake::Program => self.on_program(ivr::Input::Timeout, desk, now),
            Wake::Keys => self.press_next(desk, now),
            Wake::Hearing => self.on_hearing_limit(desk, now),
            Wake::Waiting => self.on_waiting(ivr::Input::Timeout, desk, now),
            Wake::Machine => self.on_machine_limit(desk, now),
            Wake::Afterlife => {
                tracing::warn!("what the program owed to others took too long");
                self.forget_program(desk);
            }
            Wake::HandedOn => self.end(self.end_of_transfer(), desk, now),
            Wake::Release => self.on_release_timeout(desk, now),
        }
    }

    /// The process is about to end.
    pub(crate) fn on_shutdown(&mut self, desk: &mut Desk, now: Now) {
        let ending = if self.book.was_answered() {
            Ending::cleared(Origin::Switch, "the switch is shutting down")
        } else {
            Ending::new(Status::Failed, Origin::Switch, 503, "the switch is shutting down").retriable()
        };
        self.end(ending, desk, now);
    }

    /// The end of the call, whoever asks for it first; who asks later is not heard.
    pub(crate) fn end(&mut self, ending: Ending, desk: &mut Desk, now: Now) {
        let stage = match self.take_stage() {
            stage @ (Stage::Closing(_) | Stage::Over) => {
                self.stage = stage;
                return;
            }
            stage => stage,
        };
        self.book.end(now);
        self.alarms.quiet(desk);
        let mut stage = stage;
        let told = self.last_news(&ending, desk, now);
        let program = match &mut stage {
            Stage::Talking(talk) => talk.program.take(),
            Stage::Alerting(alerting) => alerting.talk.program.take(),
            Stage::Accepting(accepting) => accepting.talk.program.take(),
            _ => None,
        };
        self.part(&ending, desk);
        if let Some(session) = self.leg.session {
            inbound::clear(session, &stage, &ending, desk, now);
        }
        self.close(ending, desk, now);
        self.outlive(program, desk, now);
        for input in told {
            self.on_program(input, desk, now);
        }
    }

    /// What the program is told of that ends with the call: whom it was joined with, and where it was.
    fn last_news(&mut self, ending: &Ending, desk: &mut Desk, now: Now) -> Vec<ivr::Input> {
        let mut told = Vec::new();
        told.extend(self.bridge_news(ending, now));
        told.extend(self.vacate(desk, now).map(|stay| stay.over()));
        told.extend(self.refers.take().and_then(referral::Referring::over));
        told
    }

    /// Waits for the media endpoint's last figures, or closes the books where there is none.
    fn close(&mut self, ending: Ending, desk: &mut Desk, now: Now) {
        self.stage = Stage::Closing(ending);
        match self.leg.media {
            Some(media) => {
                desk.media(media::Command::Close { id: media.id });
                self.alarms.wake(Wake::Release, MEDIA_CLOSE_LIMIT, desk, now);
            }
            None => self.finish(&media::Quality::default(), desk, now),
        }
    }

    fn on_media_closed(&mut self, quality: &media::Quality, desk: &mut Desk, now: Now) {
        self.alarms.stop(Wake::Release, desk);
        if let Some(media) = self.leg.media.take() {
            desk.free_media(media, now);
        }
        if self.tapes_are_whole() {
            return self.finish(quality, desk, now);
        }
        // The file's end is a fact of the call: it comes before the last one.
        self.figures = Some(Box::new(*quality));
        self.alarms.wake(Wake::Release, MEDIA_CLOSE_LIMIT, desk, now);
    }

    /// A file that was waited for is whole.
    fn finish_when_quiet(&mut self, desk: &mut Desk, now: Now) {
        if let Some(quality) = self.figures.take_if(|_| self.tapes.is_empty()) {
            self.alarms.stop(Wake::Release, desk);
            self.finish(&quality, desk, now);
        }
    }

    fn on_release_timeout(&mut self, desk: &mut Desk, now: Now) {
        self.give_up_tapes(desk, now);
        match self.figures.take() {
            Some(quality) => self.finish(&quality, desk, now),
            None => {
                tracing::error!("the media endpoint did not close; the call's figures are lost");
                self.on_media_closed(&media::Quality::default(), desk, now);
            }
        }
    }

    /// Closes the books.
    fn finish(&mut self, quality: &media::Quality, desk: &mut Desk, now: Now) {
        let ending = match self.take_stage() {
            Stage::Closing(ending) => ending,
            stage => {
                self.stage = stage;
                return;
            }
        };
        let mut cdr = self.cdr(ending, quality);
        let leaves = self.outbound() && cdr.trunk.is_some();
        // An answered call has begun its first increment, however short it was.
        let begun = cdr.billable_ms.max(cdr.at.answered.is_some().into());
        let price = self.dialled.as_ref().and_then(|to| desk.plan.rates.price(to, begun)).filter(|_| leaves);
        cdr.price = price.map(|price| price as f64 / carrier::MICRO);
        let billable = if leaves { cdr.billable_ms } else { 0 };
        desk.tally.end(&cdr.tenant, self.kept, (billable, price.unwrap_or_default()), now);
        self.record(Fact::Ended(Arc::new(cdr)), desk, now);
        if self.leg.session.is_none() {
            self.give_back(desk, now);
        }
    }

    /// The session has said its last word.
    fn on_session_gone(&mut self, desk: &mut Desk, now: Now) {
        if let Some(session) = self.leg.session.take() {
            desk.by_session.remove(&session);
        }
        self.give_back(desk, now);
    }

    fn give_back(&mut self, desk: &mut Desk, now: Now) {
        if let Some(grant) = self.leg.grant.take() {
            desk.trunks.release(grant);
            desk.timers.set(Timer::Queue, now.mono);
        }
    }

    fn cdr(&self, ending: Ending, quality: &media::Quality) -> Cdr {
        let (received, sent) = directions(quality);
        Cdr {
            sid: self.sid,
            parent: self.about.parent,
            tenant: self.about.tenant.clone(),
            trunk: self.trunk.clone(),
            direction: self.about.direction,
            from: self.about.from.clone(),
            to: self.about.to.clone(),
            status: ending.status,
            at: self.book.at,
            billable_ms: self.book.billable_ms(),
            duration_ms: self.book.duration_ms(),
            pdd_ms: self.book.pdd_ms(),
            cause: ending.cause,
            codec: self.leg.codec.map(|codec| codec.name().to_owned()),
            received,
            sent,
            recordings: self.recordings.clone(),
            carrier_call_id: self.carrier_call_id.clone(),
            sip_call_ids: self.sip_call_ids.clone(),
            price: None,
            metadata: self.about.metadata.clone(),
        }
    }

    fn outbound(&self) -> bool {
        self.about.direction != crate::Direction::Inbound
    }
}

/// A call's turns, for the log; numbers and names stay in the records.
fn log(fact: &Fact) {
    match fact {
        Fact::Dialing { trunk, attempt, sip_call_id } => tracing::debug!(trunk, attempt, sip_call_id, "dialing"),
        Fact::Answered { sip_status, codec, .. } => tracing::debug!(sip_status, codec, "answered"),
        Fact::AttemptFailed { trunk, sip_status, reason } => {
            tracing::info!(trunk, sip_status, reason, "attempt failed")
        }
        Fact::Ended(cdr) => {
            let Cdr { status, cause, billable_ms, trunk, .. } = cdr.as_ref();
            tracing::info!(status = status.as_str(), ?cause, billable_ms, trunk, "ended");
        }
        _ => {}
    }
}

/// A call that could not even begin: its end is its only record after the admission.
fn stillborn(call: Call, status: Status, reason: &str, desk: &mut Desk, now: Now) -> Call {
    over(call, Ending::new(status, Origin::Switch, 503, reason).retriable(), desk, now)
}

/// As [`stillborn`], for this reason.
fn over(mut call: Call, ending: Ending, desk: &mut Desk, now: Now) -> Call {
    call.book.end(now);
    call.part(&ending, desk);
    call.stage = Stage::Closing(ending);
    call.finish(&media::Quality::default(), desk, now);
    call
}

fn directions(quality: &media::Quality) -> (StreamQuality, StreamQuality) {
    let received = StreamQuality {
        packets: quality.received.packets,
        lost: quality.received.lost,
        loss_percent: f64::from(quality.received.loss_ppm) / 10_000.0,
        jitter_ms: quality.received.jitter_ms,
        mos: quality.received.mos,
    };
    let far = quality.sent.far.unwrap_or_default();
    let lost = u64::try_from(far.lost).unwrap_or(0);
    let sent = StreamQuality {
        packets: quality.sent.packets,
        lost,
        loss_percent: if quality.sent.packets == 0 { 0.0 } else { 100.0 * lost as f64 / quality.sent.packets as f64 },
        jitter_ms: far.jitter_ms,
        mos: quality.sent.mos,
    };
    (received, sent)
}
