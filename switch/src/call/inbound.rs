//! A call that came to one of our numbers, up to its answer; and how a session in any stage is cleared.
//!
//! It is answered as soon as its program has something to say; while the program calls others it only rings, and what it
//! is told in the end is what came of that.

use super::leg::{self, Hear, Leg, security};
use super::talking::Talk;
use super::{Call, MAX_IDENTITIES, PORT_ATTEMPTS, Stage};
use crate::book::Book;
use crate::desk::Desk;
use crate::ending::Ending;
use crate::record::Admission;
use crate::refusal::Refusal;
use crate::route::Listed;
use crate::trunk::IDENTITY;
use crate::{CallSid, Direction, Fact, Origin, Status};
use base::Now;
use bytes::Bytes;
use ivr::Next;
use sip_core::endpoint::{MAX_FORWARDS, SessionId, Source};
use sip_core::message::{Message, StatusCode};
use sip_core::sdp::{self, AudioCodec, LocalAudio, Negotiated, SessionDescription};
use std::sync::Arc;
use std::time::Duration;

/// How long an inbound call may last: the carriers' own limit is four hours (TWILIO.md §1.7).
const MAX_DURATION: Duration = Duration::from_secs(4 * 3600);

/// Somebody called; the RTP port is on its way.
#[derive(Debug)]
pub(crate) struct Arriving {
    talk: Talk,
    /// What the INVITE described; without it we describe first, in the 200 (RFC 3261 §13.2.1).
    offer: Option<SessionDescription>,
    peer: std::net::IpAddr,
    /// Its audio is encrypted, or there is no call.
    encrypts: bool,
    /// What we take from it.
    codecs: Vec<AudioCodec>,
    ports_tried: u32,
}

/// It rings at others.
#[derive(Debug)]
pub(crate) struct Alerting {
    pub(super) talk: Talk,
    offer: Option<SessionDescription>,
    /// The answer that a provisional response has given already: the 200 says the same (RFC 3261 §13.2.1).
    pub(super) said: Option<(Bytes, Negotiated)>,
}

/// The 200 is out.
#[derive(Debug)]
pub(crate) struct Accepting {
    pub(super) talk: Talk,
    /// What was agreed on; `None` while the ACK is to bring the answer to our offer.
    pub(super) negotiated: Option<Negotiated>,
    /// What the program hears once both sides agree.
    pub(super) then: Option<ivr::Input>,
}

/// An INVITE that has passed the door: whose number it is, and which trunk it came over or else which user it is from.
pub(crate) struct Arrival<'a> {
    pub(crate) session: SessionId,
    pub(crate) request: &'a Message,
    pub(crate) source: &'a Source,
    pub(crate) listed: Arc<Listed>,
    pub(crate) from: String,
    /// None where it is a user's.
    pub(crate) trunk: Option<usize>,
    /// The call whose place it is to take (RFC 3891).
    pub(crate) replaces: Option<CallSid>,
}

/// Begins an inbound call, or says with what to refuse it before anything is kept.
pub(crate) fn arrive(arrival: Arrival<'_>, desk: &mut Desk, now: Now) -> Result<Call, Refusal> {
    let body = arrival.request.body();
    let offer = (!body.is_empty()).then(|| SessionDescription::parse(body)).transpose();
    let offer = offer.map_err(|error| Refusal::from(&error))?;
    let sid = CallSid::new(now.wall, &mut desk.rng);
    let trunk = arrival.trunk.map(|trunk| desk.trunks.name(trunk).to_owned());
    let number = &arrival.listed.number;
    let about = Admission {
        tenant: number.tenant.clone(),
        parent: None,
        direction: Direction::Inbound,
        from: arrival.from,
        to: number.number.clone(),
        trunk: trunk.clone(),
        answer: arrival.listed.shown.clone(),
        metadata: serde_json::Value::Null,
        status_callback: None,
        sip_call_id: arrival.request.call_id().ok().map(|id| id.to_string()),
        leaves: false,
    };
    let mut call = Call::new(sid, about.clone(), MAX_DURATION, Book::new(sid, 0, now.wall, now));
    desk.tally.begin(&call.about.tenant, false, now);
    call.trunk = trunk;
    call.replaces = arrival.replaces;
    call.reaches_trunks = arrival.trunk.is_none();
    call.hear = arrival.trunk.map_or(Hear::First, |trunk| desk.trunks.hear(trunk));
    call.leg.session = Some(arrival.session);
    desk.by_session.insert(arrival.session, sid);
    call.note_caller(arrival.request);
    call.record(Fact::Admitted(Box::new(about)), desk, now);
    // One that takes another's place runs nothing of its own.
    let answer = arrival.replaces.is_none().then(|| number.answer.clone());
    let talk = Talk::new(arrival.session, answer, call.context(desk));
    let encrypts = arrival.trunk.is_some_and(|trunk| desk.trunks.encrypts(trunk));
    let codecs = arrival.trunk.map_or(&AudioCodec::ALL[..], |trunk| desk.trunks.accepted_codecs(trunk)).to_vec();
    let peer = arrival.source.addr.ip();
    call.reopen(Arriving { talk, offer, peer, encrypts, codecs, ports_tried: 0 }, desk, now);
    Ok(call)
}

impl Call {
    /// The codecs of its far end, the best first: the one in use, or those that it has offered.
    pub(super) fn codecs(&self) -> Vec<AudioCodec> {
        match (&self.stage, self.leg.codec) {
            (Stage::Alerting(alerting), None) => {
                alerting.offer.as_ref().map(SessionDescription::audio_codecs).unwrap_or_default()
            }
            (_, codec) => codec.into_iter().collect(),
        }
    }

    fn note_caller(&mut self, request: &Message) {
        self.sip_call_ids.extend(self.about.sip_call_id.clone());
        if let Some(id) = request.header_named(carrier::X_TWILIO_CALL_SID) {
            self.carrier_call_id = Some(String::from_utf8_lossy(&id).into_owned());
        }
        let identities = request.lines_named(IDENTITY).take(MAX_IDENTITIES);
        self.identity = identities.map(|value| String::from_utf8_lossy(&value).into_owned()).collect();
        self.hops = request.max_forwards().ok().flatten().unwrap_or(MAX_FORWARDS);
    }

    /// Asks for an RTP port, again where one could not be bound.
    pub(super) fn reopen(&mut self, mut arriving: Arriving, desk: &mut Desk, now: Now) {
        arriving.ports_tried += 1;
        let media = if arriving.ports_tried <= PORT_ATTEMPTS { desk.open_media(self.sid, now) } else { None };
        self.leg.media = media;
        self.stage = Stage::Arriving(arriving);
        if media.is_none() {
            self.end(Ending::new(Status::Failed, Origin::Switch, 503, "no RTP port"), desk, now);
        }
    }

    /// The port stands: answer, or let others be called first.
    pub(super) fn on_port(&mut self, arriving: Arriving, desk: &mut Desk, now: Now) {
        let Some(media) = self.leg.media else { return };
        let security = security(arriving.encrypts, true, &mut desk.rng);
        let address = desk.media.toward(Some(arriving.peer));
        let Arriving { talk, offer, codecs, .. } = arriving;
        let local = Leg::describe(media, address, codecs, security, desk.rng.u64() >> 2);
        let refused = offer.as_ref().and_then(|offer| sdp::answer(offer, &local).err());
        self.leg.local = Some(local);
        let next = talk.next();
        self.stage = Stage::Alerting(Alerting { talk, offer, said: None });
        if let Some(error) = refused {
            // Nobody's phone is to ring for a call that can only fail once it is answered.
            return self.end(Ending::undescribed(&error), desk, now);
        }
        if let Some(old) = self.replaces {
            self.take_over(old, desk, now);
        } else if next == Next::Bridge {
            self.on_program(ivr::Input::Start, desk, now);
        } else if next == Next::Early {
            if let Some(talk) = self.running() {
                talk.early = true;
            }
            self.on_program(ivr::Input::Early, desk, now);
        } else {
            self.accept(Some(ivr::Input::Start), desk, now);
        }
    }

    /// Our answer to the offer, made once; `None` where the call has ended over it.
    fn describe(&mut self, desk: &mut Desk, now: Now) -> Option<(Bytes, Negotiated)> {
        let (Stage::Alerting(alerting), Some(local)) = (&mut self.stage, &self.leg.local) else { return None };
        if let Some(said) = &alerting.said {
            return Some(said.clone());
        }
        match leg::answer(alerting.offer.as_ref()?, local, &self.leg.others) {
            Ok(answered) => alerting.said.insert((answered.sdp, answered.negotiated)).clone().into(),
            Err(error) => {
                self.end(Ending::undescribed(&error), desk, now);
                None
            }
        }
    }

    /// Answers; `then` is what the program hears once the ACK has come.
    pub(super) fn accept(&mut self, then: Option<ivr::Input>, desk: &mut Desk, now: Now) {
        let said = self.describe(desk, now);
        let Stage::Alerting(alerting) = self.take_stage_if(|stage| matches!(stage, Stage::Alerting(_))) else { return };
        let Some(local) = &self.leg.local else { return };
        let (body, negotiated) = match said {
            Some((body, negotiated)) => (body, Some(negotiated)),
            None => (sdp::offer(local), None),
        };
        let session = alerting.talk.session();
        desk.endpoint.accept(session, Vec::new(), Some((sdp::CONTENT_TYPE.to_owned(), body)), now);
        let codec = negotiated.as_ref().map(|negotiated| negotiated.codec.name().to_owned()).unwrap_or_default();
        let fact = Fact::Answered { sip_status: 200, codec, carrier_call_id: self.carrier_call_id.clone() };
        self.record(fact, desk, now);
        if let Some(negotiated) = negotiated.as_ref().filter(|_| then.is_none()) {
            // Who answered speaks already: the caller hears it from the 200 on, and not from the ACK.
            self.speak_early(negotiated, desk);
        }
        self.stage = Stage::Accepting(Accepting { talk: alerting.talk, negotiated, then });
    }

    /// One of those who are called rings: so does our caller, or hears what the other end sends.
    pub(super) fn announce(&mut self, sip_status: u16, heard: bool, desk: &mut Desk, now: Now) {
        let Stage::Alerting(alerting) = &self.stage else { return };
        let session = alerting.talk.session();
        let described = if heard { self.describe(desk, now) } else { None };
        let status = StatusCode::new(sip_status).unwrap_or(StatusCode::RINGING);
        match described {
            Some((body, negotiated)) => {
                self.speak_early(&negotiated, desk);
                let body = Some((sdp::CONTENT_TYPE.to_owned(), body));
                desk.endpoint.progress(session, StatusCode::SESSION_PROGRESS, Vec::new(), body, now);
                self.record(Fact::EarlyMedia { sip_status: 183 }, desk, now);
            }
            None if self.is_live() => {
                desk.endpoint.progress(session, status, Vec::new(), None, now);
                self.record(Fact::Ringing { sip_status: status.code() }, desk, now);
            }
            None => {}
        }
    }

    /// The ACK came: both sides agree that the call stands, and it is heard from its first sample.
    pub(crate) fn on_confirmed(&mut self, ack: &Message, desk: &mut Desk, now: Now) {
        let Stage::Accepting(accepting) = self.take_stage_if(|stage| matches!(stage, Stage::Accepting(_))) else {
            return;
        };
        let answer = |local: &LocalAudio| {
            SessionDescription::parse(ack.body()).and_then(|answer| sdp::accept_answer(local, &answer))
        };
        let negotiated = match (accepting.negotiated, &self.leg.local) {
            (Some(negotiated), _) => Ok(negotiated),
            (None, Some(local)) => answer(local),
            (None, None) => return,
        };
        match negotiated {
            Ok(negotiated) => {
                let early = accepting.talk.early;
                self.talk(accepting.talk, &negotiated, desk, now);
                if early && accepting.then != Some(ivr::Input::Start) {
                    self.on_program(ivr::Input::Start, desk, now);
                }
                if let Some(input) = accepting.then {
                    self.on_program(input, desk, now);
                }
            }
            Err(error) => {
                self.stage = Stage::Accepting(Accepting { negotiated: None, ..accepting });
                let reason = format!("the ACK's session description cannot be used: {error}");
                self.end(Ending::new(Status::Failed, Origin::Switch, 488, reason), desk, now);
            }
        }
    }
}

/// Clears the session of a call that ends, with the message that its stage asks for: a final response where it was
/// never answered and came to us, else CANCEL or BYE as the user agent sees fit.
pub(super) fn clear(session: SessionId, stage: &Stage, ending: &Ending, desk: &mut Desk, now: Now) {
    if let Stage::Arriving(_) | Stage::Alerting(_) = stage {
        let Refusal { status, mut headers } = Refusal::of(ending);
        headers.push(reason(&format!("Q.850;cause={}", ending.cause.q850)));
        desk.endpoint.reject(session, status, headers, now);
    } else {
        let cause = format!("Q.850;cause={}", ending.cause.q850);
        let value = if ending.elsewhere { format!("{ELSEWHERE}, {cause}") } else { cause };
        desk.endpoint.hangup(session, vec![reason(&value)], now);
    }
}

/// RFC 3326 §2 has this very example.
const ELSEWHERE: &str = "SIP;cause=200;text=\"Call completed elsewhere\"";

fn reason(value: &str) -> (String, String) {
    ("Reason".to_owned(), value.to_owned())
}
