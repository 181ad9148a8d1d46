//! A call that we make, for the API or as the leg of another, up to its answer: queued, its port opened, dialled over one
//! trunk after another.

use super::early::Agreed;
use super::leg::{Hear, Leg, MediaPort, in_order, security};
use super::talking::Talk;
use super::{Call, PORT_ATTEMPTS, Stage, over, stillborn};
use crate::book::Book;
use crate::command::{Originate, Wishes};
use crate::desk::{Desk, Timer, Wake};
use crate::ending::Ending;
use crate::letter::{Called, Letter};
use crate::record::{Admission, CallbackForm, StatusCallback};
use crate::refusal::warning_of;
use crate::trunk::{NoPermit, Trunks, path_failure};
use crate::{CallSid, Direction, Fact, Origin, Status};
use base::Now;
use carrier::{Number, TwilioError, X_TWILIO_CALL_SID, X_TWILIO_ERROR, parse_twilio_error};
use ivr::{Program, Target};
use sip_core::auth::Credentials;
use sip_core::endpoint::{Failure, Invite, MAX_FORWARDS, NextHop, SessionId};
use sip_core::header::NameAddr;
use sip_core::message::Message;
use sip_core::sdp::{self, AudioCodec, SessionDescription};
use sip_core::uri::Uri;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

/// A call that has found no permit for so long ends as `failed`, with a cause that says to try later.
const QUEUE_TIME_LIMIT: Duration = Duration::from_secs(600);

/// Characters of a Call-ID: 142 bits.
const CALL_ID_LENGTH: usize = 24;
/// Headers of a response that programs are told of, and the longest, its name included. The others are left out.
const MAX_HEADERS: usize = 16;
const MAX_HEADER: usize = 256;
/// 199 (Early Dialog Terminated).
const EARLY_DIALOG_TERMINATED: u16 = 199;
/// How much longer than the call the user agent lets it ring.
const RING_MARGIN: Duration = Duration::from_secs(5);

/// Where a call is dialled to.
#[derive(Debug)]
pub(crate) enum Way {
    /// A number, over trunks.
    Trunks {
        /// Caller ID.
        from: Number,
        /// Called.
        to: Number,
        /// Trunks still to be tried, in order.
        candidates: VecDeque<usize>,
    },
    /// A device that a user has registered.
    Device(Box<Device>),
}

/// One binding of a user (RFC 3261 §10.3).
#[derive(Clone, Debug)]
pub(crate) struct Device {
    /// The user.
    pub(crate) user: String,
    /// Its Contact.
    pub(crate) uri: Uri,
    /// How it is reached.
    pub(crate) next_hop: NextHop,
    /// The proxies in front of it.
    pub(crate) routes: Vec<NameAddr>,
    /// Who calls.
    pub(crate) from: NameAddr,
    /// The address-of-record that is called.
    pub(crate) to: NameAddr,
}

/// A call that has not dialled yet, or dials again.
#[derive(Debug)]
pub(crate) struct Waiting {
    way: Way,
    /// What runs when it is answered; the leg of another call runs nothing of its own.
    answer: Option<ivr::Answer>,
    timeout: Duration,
    /// How many more hops the INVITE may make (RFC 3261 §20.22).
    max_forwards: u8,
    /// What else is wanted of it, once it is answered.
    wishes: Wishes,
    /// Of a leg: what its target asks for.
    target: Option<Box<Target>>,
    attempt: u32,
    ports_tried: u32,
}

/// A call whose INVITE is out.
#[derive(Debug)]
pub(crate) struct Dialing {
    session: SessionId,
    waiting: Waiting,
    /// What an 18x described: some carriers describe the media there and not again in the 200.
    early: Option<bytes::Bytes>,
    /// What its early dialog has agreed on since.
    pub(super) agreed: Option<Agreed>,
}

impl Device {
    fn invite(&self, offer: bytes::Bytes) -> Invite {
        Invite {
            uri: self.uri.clone(),
            next_hop: self.next_hop.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            contact_user: self.from.uri.user_unescaped().map(std::borrow::Cow::into_owned),
            call_id: None,
            max_forwards: MAX_FORWARDS,
            routes: self.routes.clone(),
            headers: Vec::new(),
            body: Some((sdp::CONTENT_TYPE.to_owned(), offer)),
            credentials: None,
            try_timeout: None,
            ring_timeout: None,
        }
    }
}

/// The queue took too long.
pub(super) fn queue_limit() -> Ending {
    Ending::new(Status::Failed, Origin::Limit, 503, "waited too long for a trunk's permit").retriable()
}

/// Begins a call that the API asked for.
pub(crate) fn originate(asked: Originate, desk: &mut Desk, now: Now) -> Call {
    let book = Book::new(asked.sid, 1, asked.queued_at, now);
    let candidates = desk.trunks.candidates(&asked.to, asked.trunk.as_deref(), &mut desk.rng);
    let answer = Arc::new(serde_json::to_value(&asked.answer).unwrap_or_default());
    let about = Admission {
        tenant: asked.tenant,
        parent: None,
        direction: Direction::OutboundApi,
        from: asked.from.as_str().to_owned(),
        to: asked.to.as_str().to_owned(),
        trunk: asked.trunk,
        answer,
        metadata: asked.metadata,
        status_callback: None,
        sip_call_id: None,
        leaves: false,
    };
    let mut call = Call::new(asked.sid, about, asked.max_duration, book);
    let refused = desk.admitted_may_leave(&call.about.tenant, &asked.to, now).err();
    desk.tally.begin(&call.about.tenant, true, now);
    if let Some(ending) = refused {
        return over(call, ending, desk, now);
    }
    if candidates.is_empty() {
        let reason = desk.trunks.none_for(&asked.to);
        return stillborn(call, Status::Failed, &reason, desk, now);
    }
    call.dialled = Some(asked.to.clone());
    call.keep_beginning(desk, now);
    call.alarms.wake(Wake::Queue, QUEUE_TIME_LIMIT, desk, now);
    let way = Way::Trunks { from: asked.from, to: asked.to, candidates };
    let waiting = Waiting::new(way, Some(asked.answer), asked.timeout, MAX_FORWARDS);
    call.stage = Stage::Queued(Waiting { wishes: asked.wishes, ..waiting });
    call
}

/// A leg that a call's program asks for.
pub(crate) struct NewLeg {
    pub(crate) boss: CallSid,
    /// The codecs of the call that makes it, the best first.
    pub(crate) codecs: Vec<AudioCodec>,
    pub(crate) tenant: String,
    /// What proves who calls, where that is who the leg shows as its caller.
    pub(crate) identity: Vec<String>,
    pub(crate) from: String,
    pub(crate) target: Target,
    pub(crate) way: Way,
    pub(crate) max_duration: Duration,
    pub(crate) max_forwards: u8,
}

/// Whoever a document names for a leg, as it is written down.
fn told_of_leg(callback: &ivr::Callback) -> Box<StatusCallback> {
    let (url, events, get) = (callback.url.to_string(), callback.events.clone(), callback.method == ivr::Method::Get);
    Box::new(StatusCallback { url, events, form: CallbackForm::Twilio, get })
}

/// Begins a leg of another call; its sid.
pub(crate) fn dial_leg(asked: NewLeg, desk: &mut Desk, now: Now) -> CallSid {
    let sid = CallSid::new(now.wall, &mut desk.rng);
    let about = Admission {
        tenant: asked.tenant,
        parent: Some(asked.boss),
        direction: Direction::OutboundDial,
        from: asked.from,
        to: asked.target.to.clone(),
        trunk: None,
        answer: Arc::default(),
        metadata: serde_json::Value::Null,
        status_callback: asked.target.callback.as_ref().map(told_of_leg),
        sip_call_id: None,
        leaves: matches!(asked.way, Way::Trunks { .. }),
    };
    let mut call = Call::new(sid, about.clone(), asked.max_duration, Book::new(sid, 0, now.wall, now));
    desk.tally.begin(&call.about.tenant, call.about.leaves, now);
    if let Way::Trunks { to, .. } = &asked.way {
        call.dialled = Some(to.clone());
        call.keep_beginning(desk, now);
    }
    call.boss = Some(asked.boss);
    let timeout = Duration::from_secs(asked.target.timeout_s.into());
    call.leg.others = asked.codecs;
    call.identity = asked.identity;
    call.record(Fact::Admitted(Box::new(about)), desk, now);
    // What its program allows counts from here: whoever waits on the other leg hears ringing all along.
    call.alarms.wake(Wake::Ring, timeout, desk, now);
    let waiting = Waiting::new(asked.way, None, timeout, asked.max_forwards);
    call.stage = Stage::Queued(Waiting { target: Some(Box::new(asked.target)), ..waiting });
    desk.born.push_back(call);
    sid
}

impl Waiting {
    fn new(way: Way, answer: Option<ivr::Answer>, timeout: Duration, max_forwards: u8) -> Self {
        let wishes = Wishes::default();
        Self { way, answer, timeout, max_forwards, wishes, target: None, attempt: 0, ports_tried: 0 }
    }

    /// What its target asks of the INVITE: headers of its own, and what answers a challenge in place of the trunk's.
    fn wish_for(&self, invite: &mut Invite) {
        let Some(target) = &self.target else { return };
        invite.headers.extend(target.headers.iter().cloned());
        if let Some((username, password)) = &target.credentials {
            let (username, password) = (username.clone(), password.as_str().into());
            invite.credentials = Some(Credentials { username, password, realm: None });
        }
    }

    /// Whether another trunk is left to be tried.
    fn has_more(&self) -> bool {
        matches!(&self.way, Way::Trunks { candidates, .. } if !candidates.is_empty())
    }
}

impl Call {
    /// A call refused at the door: too many live.
    pub(crate) fn refuse(mut self, reason: &str, desk: &mut Desk, now: Now) -> Call {
        self.alarms.quiet(desk);
        stillborn(self, Status::Failed, reason, desk, now)
    }

    /// True where it waits for trunks that have been taken away.
    pub(crate) fn is_stranded(&self, trunks: &Trunks) -> bool {
        match &self.stage {
            Stage::Queued(Waiting { way: Way::Trunks { candidates, .. }, .. }) => !trunks.has_one_of(candidates),
            _ => false,
        }
    }

    /// The trunks that it waited for are gone.
    pub(crate) fn strand(&mut self, desk: &mut Desk, now: Now) {
        self.end(no_port("the trunk that it waited for was taken away"), desk, now);
    }

    /// Takes a permit of the first trunk that has one, and dials.
    pub(crate) fn try_dial(&mut self, desk: &mut Desk, now: Now) -> Result<(), NoPermit> {
        let mut waiting = match self.take_stage() {
            Stage::Queued(waiting) => waiting,
            stage => {
                self.stage = stage;
                return Ok(());
            }
        };
        let Way::Trunks { candidates, .. } = &mut waiting.way else {
            self.open(waiting, desk, now);
            return Ok(());
        };
        match desk.trunks.permit(candidates, now) {
            Ok(grant) => {
                candidates.retain(|other| *other != grant.trunk);
                self.leg.grant = Some(grant);
                self.open(waiting, desk, now);
                Ok(())
            }
            Err(wait) => {
                self.stage = Stage::Queued(waiting);
                Err(wait)
            }
        }
    }

    fn open(&mut self, mut waiting: Waiting, desk: &mut Desk, now: Now) {
        self.alarms.stop(Wake::Queue, desk);
        waiting.ports_tried += 1;
        if self.leg.media.is_some() {
            return self.dial(waiting, desk, now);
        }
        self.leg.media = desk.open_media(self.sid, now);
        self.stage = Stage::Opening(waiting);
        if self.leg.media.is_none() {
            self.end(no_port("every RTP port is in use or resting"), desk, now);
        }
    }

    /// The port stands: dial. Called again for the next trunk, with the same port.
    pub(super) fn dial(&mut self, waiting: Waiting, desk: &mut Desk, now: Now) {
        let Some(media) = self.leg.media else {
            self.stage = Stage::Opening(waiting);
            return self.end(no_port("no RTP port"), desk, now);
        };
        let peer = match (&waiting.way, &self.leg.grant) {
            (Way::Device(device), _) => device.next_hop.host.parse().ok(),
            (Way::Trunks { .. }, Some(grant)) => desk.trunks.literal_address(grant.trunk),
            (Way::Trunks { .. }, None) => None,
        };
        let encrypts = self.leg.grant.as_ref().is_some_and(|grant| desk.trunks.encrypts(grant.trunk));
        let security = security(encrypts, false, &mut desk.rng);
        let codecs = match &self.leg.grant {
            Some(grant) => desk.trunks.offered_codecs(grant.trunk),
            None => &AudioCodec::ALL,
        };
        let codecs = in_order(codecs, &self.leg.others);
        let local = Leg::describe(media, desk.media.toward(peer), codecs, security, desk.rng.u64() >> 2);
        let Some((name, hear, mut invite)) = self.invite(&waiting, sdp::offer(&local), desk) else {
            self.stage = Stage::Opening(waiting);
            return self.end(no_port("no trunk's permit"), desk, now);
        };
        let sip_call_id = desk.rng.token(CALL_ID_LENGTH);
        invite.call_id = Some(sip_call_id.clone());
        invite.max_forwards = waiting.max_forwards;
        waiting.wish_for(&mut invite);
        // The call's own timer ends it first; the user agent's is there in case that one is lost.
        invite.ring_timeout = Some(waiting.timeout + RING_MARGIN);
        self.stage = Stage::Opening(waiting);
        self.leg.local = Some(local);
        self.hear = hear;
        match desk.endpoint.invite(invite, now) {
            Ok(session) => self.dialed(session, name, sip_call_id, desk, now),
            Err(refused) => self.end(no_port(&refused.to_string()), desk, now),
        }
    }

    /// The INVITE for where it goes: over whom, whose audio is heard, and what is sent.
    fn invite(&mut self, waiting: &Waiting, offer: bytes::Bytes, desk: &Desk) -> Option<(String, Hear, Invite)> {
        match &waiting.way {
            Way::Trunks { from, to, .. } => {
                let trunk = self.leg.grant.as_ref()?.trunk;
                let invite = desk.trunks.invite(trunk, from, to, &self.identity, offer)?;
                let name = desk.trunks.name(trunk).to_owned();
                self.trunk = Some(name.clone());
                Some((name, desk.trunks.hear(trunk), invite))
            }
            Way::Device(device) => {
                self.reaches_trunks = true;
                Some((device.user.clone(), Hear::First, device.invite(offer)))
            }
        }
    }

    fn dialed(&mut self, session: SessionId, trunk: String, sip_call_id: String, desk: &mut Desk, now: Now) {
        let Stage::Opening(mut waiting) = self.take_stage() else { return };
        waiting.attempt += 1;
        self.leg.session = Some(session);
        desk.by_session.insert(session, self.sid);
        self.sip_call_ids.push(sip_call_id.clone());
        if waiting.attempt == 1 && self.boss.is_none() {
            self.alarms.wake(Wake::Ring, waiting.timeout, desk, now);
        }
        self.record(Fact::Dialing { trunk, attempt: waiting.attempt, sip_call_id }, desk, now);
        self.stage = Stage::Dialing(Dialing { session, waiting, early: None, agreed: None });
    }

    /// The RTP port could not be bound: another one, a few times.
    pub(crate) fn on_media_failed(&mut self, error: &str, desk: &mut Desk, now: Now) {
        let Some(media) = self.leg.media.take() else { return };
        tracing::warn!(port = media.port, error, "an RTP port could not be opened");
        desk.free_media(media, now);
        match self.take_stage() {
            Stage::Opening(waiting) if waiting.ports_tried < PORT_ATTEMPTS => self.open(waiting, desk, now),
            Stage::Arriving(arriving) => self.reopen(arriving, desk, now),
            stage @ Stage::Closing(_) => {
                self.stage = stage;
                self.on_media_closed(&media::Quality::default(), desk, now);
            }
            stage => {
                self.stage = stage;
                self.end(no_port(error), desk, now);
            }
        }
    }

    /// A provisional response.
    pub(crate) fn on_progress(&mut self, response: &Message, desk: &mut Desk, now: Now) {
        // 199 says that a fork has ended: our caller has not asked to hear of forks (RFC 6228 §4).
        let says = |code: &u16| *code > 100 && *code != EARLY_DIALOG_TERMINATED;
        let Some(code) = response.status().map(|status| status.code()).filter(says) else { return };
        self.note_carrier(response);
        let Stage::Dialing(dialing) = &mut self.stage else { return };
        let described = !response.body().is_empty() && Agreed::of(dialing.agreed.as_ref(), response).is_none();
        if described {
            dialing.early = Some(response.body().clone());
            let body = response.body().clone();
            self.hear_early(&body, desk);
        }
        let fact = if described { Fact::EarlyMedia { sip_status: code } } else { Fact::Ringing { sip_status: code } };
        self.record(fact, desk, now);
        if let Some(boss) = self.boss {
            let heard = self.leg.media.filter(|_| described).map(|media| (media.id, self.leg.codec));
            desk.letters.push_back((boss, Letter::Rings { leg: self.sid, sip_status: code, heard }));
        }
    }

    /// Early media is heard and counted; an early description that makes no sense is the answer's business.
    fn hear_early(&mut self, body: &[u8], desk: &mut Desk) {
        let Some(local) = &self.leg.local else { return };
        let Ok(negotiated) = SessionDescription::parse(body).and_then(|answer| sdp::accept_answer(local, &answer))
        else {
            return;
        };
        self.listen_early(&negotiated, desk);
    }

    /// A 200 came and was acknowledged.
    pub(crate) fn on_answered(&mut self, response: &Message, desk: &mut Desk, now: Now) {
        self.note_carrier(response);
        let dialing = match self.take_stage() {
            Stage::Dialing(dialing) => dialing,
            stage => {
                self.stage = stage;
                return;
            }
        };
        self.alarms.quiet(desk);
        if let Some(grant) = &self.leg.grant {
            desk.trunks.answered(grant.trunk);
        }
        let body = if response.body().is_empty() {
            dialing.early.clone().unwrap_or_default()
        } else {
            response.body().clone()
        };
        let stands = Agreed::of(dialing.agreed.as_ref(), response).cloned();
        if stands.is_none() {
            // What another fork has said of itself is not this one's word.
            self.leg.asks = sdp::Direction::default();
        }
        let negotiated = match (stands, &self.leg.local) {
            (Some(stands), _) => Ok(stands),
            (None, Some(local)) => {
                SessionDescription::parse(&body).and_then(|answer| sdp::accept_answer(local, &answer))
            }
            (None, None) => return,
        };
        match negotiated {
            Ok(negotiated) => {
                let fact = Fact::Answered {
                    sip_status: response.status().map_or(200, |status| status.code()),
                    codec: negotiated.codec.name().to_owned(),
                    carrier_call_id: self.carrier_call_id.clone(),
                };
                self.record(fact, desk, now);
                self.tell_of_final(response, desk);
                self.begin(dialing.session, dialing.waiting, &negotiated, desk, now);
            }
            Err(error) => {
                self.stage = Stage::Dialing(dialing);
                let reason = format!("the answer's session description cannot be used: {error}");
                self.end(Ending::new(Status::Failed, Origin::Switch, 488, reason), desk, now);
            }
        }
    }

    /// The call that has made this leg is told of the final response.
    fn tell_of_final(&self, response: &Message, desk: &mut Desk) {
        if let Some(boss) = self.boss {
            let (leg, sip_call_id) = (self.sid, self.sip_call_ids.last().cloned());
            let called = Called { leg, sip_call_id, headers: headers_for_programs(response) };
            desk.letters.push_back((boss, Letter::Final(Box::new(called))));
        }
    }

    /// Both sides agree: its program begins, or what is run on a leg before it is joined with its caller.
    fn begin(&mut self, session: SessionId, waiting: Waiting, negotiated: &sdp::Negotiated, desk: &mut Desk, now: Now) {
        let Waiting { answer, wishes, target, .. } = waiting;
        let context = self.context(desk);
        let of_leg = target.as_ref().and_then(|target| target.machine.as_deref().cloned());
        let talk = match target {
            Some(target) => Talk::of_leg(session, Program::before_joining(&target, context)),
            None => Talk::new(session, answer, context),
        };
        let joins = talk.program.is_none();
        self.talk(talk, negotiated, desk, now);
        if let Some(dual) = wishes.record {
            self.record_from_answer(dual, desk, now);
        }
        if !self.detect_machine(of_leg.or(wishes.machine), desk, now) {
            self.on_program(ivr::Input::Start, desk, now);
        }
        if joins {
            self.screened(desk);
        }
        self.meter(desk, now);
    }

    /// A leg is to be joined with its caller.
    pub(super) fn screened(&mut self, desk: &mut Desk) {
        if let (Some(boss), Some(media), Stage::Talking(talk)) = (self.boss, self.leg.media, &mut self.stage) {
            talk.program = None;
            desk.letters.push_back((boss, Letter::Answers { leg: self.sid, media: media.id, codec: self.leg.codec }));
        }
    }

    /// The INVITE came to nothing: another trunk, or the end.
    pub(crate) fn on_failed(&mut self, failure: &Failure, desk: &mut Desk, now: Now) {
        if let Failure::Response(response) = failure {
            self.note_carrier(response);
        }
        let dialing = match self.take_stage() {
            Stage::Dialing(dialing) => dialing,
            stage => {
                self.stage = stage;
                return self.on_session_gone(desk, now);
            }
        };
        let ending = failed(failure);
        let trunk = self.leg.grant.as_ref().map(|grant| grant.trunk);
        let is_final = trunk.is_some_and(|trunk| said_finally(failure, trunk, desk));
        if let Some(trunk) = trunk {
            note(trunk, failure, desk, now);
        }
        let waiting = dialing.waiting;
        self.on_session_gone(desk, now);
        if trunk.is_some() && ending.cause.retry {
            let fact = Fact::AttemptFailed {
                trunk: self.trunk.clone().unwrap_or_default(),
                sip_status: ending.cause.sip_status,
                reason: ending.cause.reason.clone(),
            };
            self.record(fact, desk, now);
        }
        if ending.cause.retry && !is_final && waiting.has_more() {
            self.stage = Stage::Queued(waiting);
            self.alarms.wake(Wake::Queue, QUEUE_TIME_LIMIT, desk, now);
            desk.timers.set(Timer::Queue, now.mono);
        } else {
            if let Failure::Response(response) = failure {
                self.tell_of_final(response, desk);
            }
            self.stage = Stage::Opening(waiting);
            self.end(ending, desk, now);
        }
    }

    fn note_carrier(&mut self, response: &Message) {
        if let Some(id) = response.header_named(X_TWILIO_CALL_SID) {
            self.carrier_call_id = Some(String::from_utf8_lossy(&id).into_owned());
        }
    }
}

/// The `X-` headers of a response, as far as programs are told of them: the first [`MAX_HEADERS`], each of at most
/// [`MAX_HEADER`] octets; the others are left out.
fn headers_for_programs(response: &Message) -> Vec<(String, String)> {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let own = response.headers().filter(|(name, value)| {
        name.first_chunk().is_some_and(|start: &[u8; 2]| start.eq_ignore_ascii_case(b"X-"))
            && name.len() + value.len() <= MAX_HEADER
    });
    own.take(MAX_HEADERS).map(|(name, value)| (text(name), text(&value))).collect()
}

fn no_port(reason: &str) -> Ending {
    Ending::new(Status::Failed, Origin::Switch, 503, reason).retriable()
}

fn twilio_error(response: &Message) -> Option<TwilioError> {
    let value = response.header_named(X_TWILIO_ERROR)?;
    parse_twilio_error(&String::from_utf8_lossy(&value))
}

/// What an INVITE that came to nothing says of the path to its trunk. One that we took back says nothing.
fn note(trunk: usize, failure: &Failure, desk: &mut Desk, now: Now) {
    let broken = match failure {
        Failure::Response(response) | Failure::Auth(_, Some(response)) => path_failure(response),
        Failure::TryTimeout | Failure::Timeout | Failure::Transport(_) | Failure::Unresolved => Some(None),
        Failure::Canceled => return,
        Failure::NoAnswer | Failure::Auth(_, None) => None,
    };
    match broken {
        Some(retry_after) => desk.trunk_failed(trunk, retry_after, now),
        None => desk.trunks.answered(trunk),
    }
}

/// Whether the trunk is configured to be taken at its word.
fn said_finally(failure: &Failure, trunk: usize, desk: &Desk) -> bool {
    let Failure::Response(response) = failure else { return false };
    response.status().is_some_and(|status| desk.trunks.is_final(trunk, status.code()))
}

fn failed(failure: &Failure) -> Ending {
    let carrier = |code, reason: &str| Ending::new(Status::Failed, Origin::Carrier, code, reason).retriable();
    match failure {
        Failure::Response(response) => {
            let code = response.status().map_or(500, |status| status.code());
            let ending = Ending::refused(code, &response.reason_phrase(), twilio_error(response).as_ref());
            Ending { warning: warning_of(response), ..ending }
        }
        Failure::TryTimeout => carrier(408, "the carrier did not answer the INVITE at all"),
        Failure::NoAnswer => Ending::no_answer(),
        Failure::Timeout => carrier(408, "the carrier fell silent"),
        Failure::Transport(reason) => carrier(503, reason),
        Failure::Unresolved => carrier(503, "the trunk's name does not resolve"),
        Failure::Canceled => Ending::canceled(),
        Failure::Auth(auth, response) => {
            let code = response.as_ref().and_then(Message::status).map_or(407, |status| status.code());
            let mut ending = Ending::new(Status::Failed, Origin::Carrier, code, auth.to_string());
            ending.cause.retry = false;
            ending
        }
    }
}

impl Call {
    /// The port stands.
    pub(crate) fn on_media_created(&mut self, media: MediaPort, desk: &mut Desk, now: Now) {
        debug_assert_eq!(self.leg.media, Some(media));
        match self.take_stage() {
            Stage::Opening(waiting) => self.dial(waiting, desk, now),
            Stage::Arriving(arriving) => self.on_port(arriving, desk, now),
            stage => self.stage = stage,
        }
    }
}
