//! One call that came to us and was answered at once: the other leg of a call of ours, where the target bridges to us. It
//! is the target's to end.

use super::call::sdp_body;
use super::floor::Floor;
use super::line::Line;
use bytes::Bytes;
use media::{EndpointId, Quality};
use sip_core::endpoint::{ReofferId, SessionId};
use sip_core::message::{Message, StatusCode};

/// Where it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It waits for a port.
    Opening,
    /// It is answered.
    Standing,
    /// The session is over.
    Over,
}

/// One such call.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) number: u64,
    session: SessionId,
    offer: Bytes,
    phase: Phase,
    line: Line,
}

impl Answered {
    /// An INVITE with an offer has come.
    pub(super) fn begin(number: u64, session: SessionId, offer: Bytes, floor: &mut Floor) -> Self {
        floor.by_session.insert(session, number);
        let line = Line::open(number, floor);
        let mut call = Self { number, session, offer, phase: Phase::Opening, line };
        call.answer(floor);
        call
    }

    /// True once nothing of it is left.
    pub(super) const fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Over) && self.line.is_gone()
    }

    /// The 200, once there is a port to be named in it.
    fn answer(&mut self, floor: &mut Floor) {
        if self.line.is_gone() {
            return self.refuse(StatusCode::TEMPORARILY_UNAVAILABLE, floor);
        }
        let (Phase::Opening, Some(open)) = (self.phase, self.line.opened()) else { return };
        match open.answer(&self.offer, floor) {
            Ok(body) => {
                self.phase = Phase::Standing;
                floor.lap.counts.taken += 1;
                floor.endpoint.accept(self.session, Vec::new(), Some(sdp_body(body)), floor.now);
            }
            Err(_) => self.refuse(StatusCode::NOT_ACCEPTABLE_HERE, floor),
        }
    }

    fn refuse(&mut self, status: StatusCode, floor: &mut Floor) {
        floor.lap.counts.refused += 1;
        floor.endpoint.reject(self.session, status, Vec::new(), floor.now);
        self.over(floor);
    }

    /// The session's last word.
    pub(super) fn over(&mut self, floor: &mut Floor) {
        floor.by_session.remove(&self.session);
        self.phase = Phase::Over;
        self.with_line(floor, Line::close);
    }

    /// Nobody else has ended it.
    pub(super) fn hang_up(&mut self, floor: &mut Floor) {
        if self.phase == Phase::Standing {
            floor.endpoint.hangup(self.session, Vec::new(), floor.now);
        }
        self.over(floor);
    }

    /// The far end changes the session: it gets what it asks for, as far as there is an answer to it.
    pub(super) fn on_reoffer(&mut self, id: ReofferId, request: &Message, floor: &mut Floor) {
        let Some(open) = self.line.opened() else { return };
        let body = if request.body().is_empty() { Ok(open.offer()) } else { open.answer(request.body(), floor) };
        let (status, body) = match body {
            Ok(body) => (StatusCode::OK, Some(sdp_body(body))),
            Err(_) => (StatusCode::NOT_ACCEPTABLE_HERE, None),
        };
        floor.endpoint.respond(self.session, id, status, body, floor.now);
    }

    fn with_line(&mut self, floor: &mut Floor, change: impl FnOnce(Line, &mut Floor) -> Line) {
        self.line = change(std::mem::replace(&mut self.line, Line::Gone), floor);
    }

    /// The port is open.
    pub(super) fn port_opened(&mut self, id: EndpointId, floor: &mut Floor) {
        if self.line.id() == Some(id) {
            self.with_line(floor, Line::created);
            self.answer(floor);
        }
    }

    /// A media command has failed.
    pub(super) fn port_failed(&mut self, id: EndpointId, floor: &mut Floor) {
        if self.line.id() != Some(id) {
            return;
        }
        self.with_line(floor, Line::failed);
        if self.phase == Phase::Opening {
            self.answer(floor);
        }
    }

    /// The port is gone, with what its stream was like.
    pub(super) fn port_closed(&mut self, id: EndpointId, quality: &Quality, floor: &mut Floor) {
        if self.line.id() == Some(id) {
            self.with_line(floor, Line::closed);
            floor.lap.hear(quality);
        }
    }
}
