//! A call that came to one of our numbers, up to its answer; and how a session in any stage is cleared.

use super::leg::Leg;
use super::talking::Talk;
use super::{Call, PORT_ATTEMPTS, Stage};
use crate::book::Book;
use crate::config::Number;
use crate::desk::Desk;
use crate::ending::Ending;
use crate::record::Admission;
use crate::{CallSid, Direction, Fact, Origin, Status};
use base::Now;
use sip_core::endpoint::{SessionId, Source};
use sip_core::message::{Message, StatusCode};
use sip_core::sdp::{self, Negotiated, SdpError, SessionDescription};
use std::time::Duration;

/// How long an inbound call may last: the carriers' own limit is four hours (TWILIO.md §1.7).
const MAX_DURATION: Duration = Duration::from_secs(4 * 3600);

/// Somebody called; the RTP port is on its way.
#[derive(Debug)]
pub(crate) struct Arriving {
    session: SessionId,
    answer: ivr::Answer,
    offer: SessionDescription,
    peer: std::net::IpAddr,
    ports_tried: u32,
}

/// The 200 is out.
#[derive(Debug)]
pub(crate) struct Accepting {
    session: SessionId,
    answer: ivr::Answer,
    negotiated: Negotiated,
}

/// An INVITE that has passed the door: whose number it is and which trunk it came over are known.
pub(crate) struct Arrival<'a> {
    pub(crate) session: SessionId,
    pub(crate) request: &'a Message,
    pub(crate) source: &'a Source,
    pub(crate) number: &'a Number,
    pub(crate) from: String,
    pub(crate) trunk: usize,
}

/// Begins an inbound call, or says with which response to refuse it before anything is kept.
pub(crate) fn arrive(arrival: Arrival<'_>, desk: &mut Desk, now: Now) -> Result<Call, StatusCode> {
    if arrival.request.body().is_empty() {
        // A late offer (RFC 3261 §13.2.1) is not taken in this version: 488 says so, where 400 would blame the caller.
        return Err(StatusCode::NOT_ACCEPTABLE_HERE);
    }
    let offer = SessionDescription::parse(arrival.request.body()).map_err(|error| refusal(&error))?;
    let sid = CallSid::new(&mut desk.rng);
    let trunk = desk.trunks.name(arrival.trunk).to_owned();
    let about = Admission {
        tenant: arrival.number.tenant.clone(),
        direction: Direction::Inbound,
        from: arrival.from,
        to: arrival.number.number.clone(),
        trunk: Some(trunk.clone()),
        answer: serde_json::to_value(&arrival.number.answer).unwrap_or_default(),
        metadata: serde_json::Value::Null,
    };
    let mut call = Call::new(sid, about.clone(), MAX_DURATION, Book::new(sid, 0, now.wall, now));
    call.trunk = Some(trunk);
    call.hear = desk.trunks.hear(arrival.trunk);
    call.leg.session = Some(arrival.session);
    desk.by_session.insert(arrival.session, sid);
    call.note_caller(arrival.request);
    call.record(Fact::Admitted(Box::new(about)), desk, now);
    let arriving = Arriving {
        session: arrival.session,
        answer: arrival.number.answer.clone(),
        offer,
        peer: arrival.source.addr.ip(),
        ports_tried: 0,
    };
    call.reopen(arriving, desk, now);
    Ok(call)
}

fn refusal(error: &SdpError) -> StatusCode {
    StatusCode::new(error.status()).unwrap_or(StatusCode::NOT_ACCEPTABLE_HERE)
}

impl Call {
    fn note_caller(&mut self, request: &Message) {
        self.sip_call_ids.extend(request.call_id().ok().map(|id| id.to_string()));
        if let Some(id) = request.header_named(carrier::X_TWILIO_CALL_SID) {
            self.carrier_call_id = Some(String::from_utf8_lossy(&id).into_owned());
        }
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

    /// The port stands: answer.
    pub(super) fn accept(&mut self, arriving: Arriving, desk: &mut Desk, now: Now) {
        let Some(media) = self.leg.media else { return };
        let session_id = desk.rng.u64() >> 2;
        let local = Leg::describe(media, desk.media.toward(Some(arriving.peer)), session_id);
        match sdp::answer(&arriving.offer, &local) {
            Ok(answered) => {
                let body = Some(("application/sdp".to_owned(), answered.sdp));
                desk.endpoint.accept(arriving.session, Vec::new(), body, now);
                let codec = answered.negotiated.codec.name().to_owned();
                let fact = Fact::Answered { sip_status: 200, codec, carrier_call_id: self.carrier_call_id.clone() };
                self.record(fact, desk, now);
                self.leg.local = Some(local);
                self.stage = Stage::Accepting(Accepting {
                    session: arriving.session,
                    answer: arriving.answer,
                    negotiated: answered.negotiated,
                });
            }
            Err(error) => {
                self.stage = Stage::Arriving(arriving);
                let code = error.status();
                self.end(Ending::new(Status::Failed, Origin::Switch, code, error.to_string()), desk, now);
            }
        }
    }

    /// The ACK came: both sides agree that the call stands, and it is heard from its first sample.
    pub(crate) fn on_confirmed(&mut self, desk: &mut Desk, now: Now) {
        match self.take_stage() {
            Stage::Accepting(accepting) => {
                let talk = Talk::new(accepting.session, accepting.answer);
                self.talk(talk, &accepting.negotiated, desk, now);
            }
            stage => self.stage = stage,
        }
    }
}

/// Clears the session of a call that ends, with the message that its stage asks for: a final response where it was
/// never answered and came to us, else CANCEL or BYE as the user agent sees fit.
pub(super) fn clear(session: SessionId, stage: &Stage, ending: &Ending, desk: &mut Desk, now: Now) {
    if let Stage::Arriving(_) = stage {
        let code = ending.cause.sip_status.and_then(StatusCode::new).unwrap_or(StatusCode::SERVER_INTERNAL_ERROR);
        desk.endpoint.reject(session, code, Vec::new(), now);
    } else {
        let reason = format!("Q.850;cause={}", ending.cause.q850);
        desk.endpoint.hangup(session, vec![("Reason".to_owned(), reason)], now);
    }
}
