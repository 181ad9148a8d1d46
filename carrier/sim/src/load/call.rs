//! One call of a load: its phase, each replaced by the next, and what it tells the tally.

use super::Alarm;
use super::floor::Floor;
use super::line::Line;
use super::tally::{Failed, Reason};
use media::{EndpointId, Quality};
use sip_core::endpoint::{EndedBy, Failure, Invite, LadderEntry, MAX_FORWARDS, ReofferId, SessionId};
use sip_core::header::NameAddr;
use sip_core::message::{Message, Name, StatusCode};
use sip_core::uri::{Host, Uri};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

/// Where a call stands.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// Its INVITE waits for a port.
    Opening,
    /// Its INVITE is out; which provisionals have come.
    Inviting { trying: bool, ringing: bool },
    /// It is answered.
    Standing,
    /// Our BYE was due then, and has been answered so.
    Leaving { due: u64, answered: Option<u16> },
    /// We have given the INVITE up.
    GivingUp,
    /// The session is over, or never was.
    Over,
}

/// One call.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) number: u64,
    /// When it was due (monotonic nanoseconds): what its latencies count from.
    due: u64,
    session: Option<SessionId>,
    pub(super) phase: Phase,
    line: Line,
}

impl Call {
    /// A call that is due, and starts now.
    pub(super) fn start(number: u64, due: u64, floor: &mut Floor) -> Self {
        floor.lap.counts.started += 1;
        let late = floor.since(due);
        floor.lap.stages.lateness.record(late);
        let mut call = Self { number, due, session: None, phase: Phase::Opening, line: Line::open(number, floor) };
        call.dial(floor);
        call
    }

    /// True once nothing of it is left.
    pub(super) const fn is_finished(&self) -> bool {
        matches!(self.phase, Phase::Over) && self.line.is_gone()
    }

    /// The INVITE, once there is a port to be named in it.
    fn dial(&mut self, floor: &mut Floor) {
        if self.line.is_gone() {
            return self.fail(Reason::NoPort, floor);
        }
        let (Phase::Opening, Some(open)) = (self.phase, self.line.opened()) else { return };
        let body = open.offer();
        let invite = invite(self.number, body, floor);
        match floor.endpoint.invite(invite, floor.now) {
            Ok(session) => {
                self.session = Some(session);
                floor.by_session.insert(session, self.number);
                self.phase = Phase::Inviting { trying: false, ringing: false };
            }
            Err(refused) => self.fail_with(Reason::Full, |failed| say(failed, || refused.to_string()), floor),
        }
    }

    fn fail(&mut self, reason: Reason, floor: &mut Floor) {
        self.fail_with(reason, |_| {}, floor);
    }

    /// The INVITE came to nothing.
    fn fail_with(&mut self, reason: Reason, more: impl FnOnce(&mut Failed), floor: &mut Floor) {
        floor.lap.counts.failed += 1;
        more(floor.lap.fail(reason, floor.since(self.due)));
        self.over(floor);
    }

    fn over(&mut self, floor: &mut Floor) {
        floor.timers.stop(Alarm::HangUp(self.number));
        if let Some(session) = self.session.take() {
            floor.by_session.remove(&session);
        }
        self.phase = Phase::Over;
        self.with_line(floor, Line::close);
    }

    fn with_line(&mut self, floor: &mut Floor, change: impl FnOnce(Line, &mut Floor) -> Line) {
        self.line = change(std::mem::replace(&mut self.line, Line::Gone), floor);
    }

    /// A provisional response.
    pub(super) fn on_progress(&mut self, response: &Message, floor: &mut Floor) {
        let Phase::Inviting { trying, ringing } = &mut self.phase else { return };
        floor.met(response);
        let after = floor.since(self.due);
        let is_trying = response.status() == Some(StatusCode::TRYING);
        let (seen, stage) =
            if is_trying { (trying, &mut floor.lap.stages.trying) } else { (ringing, &mut floor.lap.stages.ringing) };
        if !std::mem::replace(seen, true) {
            stage.record(after);
        }
    }

    /// The 2xx.
    pub(super) fn on_answered(&mut self, response: &Message, floor: &mut Floor) {
        floor.met(response);
        let after = floor.since(self.due);
        floor.lap.counts.answered += 1;
        floor.lap.stages.answer.record(after);
        floor.standing += 1;
        self.phase = Phase::Standing;
        let agreed = self.line.opened().is_some_and(|open| open.accept(response.body(), floor).is_ok());
        if !agreed {
            floor.lap.fail(Reason::Description, after);
        }
        match floor.config.hold.filter(|_| agreed && !floor.draining) {
            Some(Duration::ZERO) => self.hang_up(floor.now.mono, floor),
            Some(hold) => floor.timers.set(Alarm::HangUp(self.number), floor.now.after(hold)),
            None if agreed && !floor.draining => {}
            None => self.hang_up(floor.now.mono, floor),
        }
    }

    /// The INVITE came to nothing, and that is the session's last word.
    pub(super) fn on_failed(&mut self, failure: &Failure, floor: &mut Floor) {
        if let Some(reason) = Reason::of(failure).filter(|_| !matches!(self.phase, Phase::GivingUp)) {
            return self.fail_with(reason, |failed| note(failed, failure), floor);
        }
        floor.lap.counts.given_up += 1;
        self.over(floor);
    }

    /// Ends the call, whatever its phase; a BYE was due at `due`.
    pub(super) fn hang_up(&mut self, due: u64, floor: &mut Floor) {
        match self.phase {
            Phase::Standing => self.phase = Phase::Leaving { due, answered: None },
            Phase::Inviting { .. } => self.phase = Phase::GivingUp,
            Phase::Opening => {
                floor.lap.counts.given_up += 1;
                return self.over(floor);
            }
            Phase::Leaving { .. } | Phase::GivingUp | Phase::Over => return,
        }
        self.with_line(floor, Line::close);
        if let Some(session) = self.session {
            floor.endpoint.hangup(session, Vec::new(), floor.now);
        }
    }

    /// What the BYE is answered with is told nowhere else.
    pub(super) fn on_ladder(&mut self, entry: &LadderEntry) {
        if let Phase::Leaving { answered, .. } = &mut self.phase
            && !entry.sent
            && entry.cseq.ends_with(" BYE")
            && let Some(status) = status_of(&entry.line).filter(|status| *status >= 200)
        {
            answered.get_or_insert(status);
        }
    }

    /// The session's last word.
    pub(super) fn on_ended(&mut self, by: EndedBy, floor: &mut Floor) {
        floor.standing = floor.standing.saturating_sub(1);
        match (self.phase, by) {
            (_, EndedBy::Peer) => floor.lap.counts.ended_by_peer += 1,
            (Phase::Leaving { due, answered: Some(200..=299) }, _) => {
                floor.lap.counts.hung_up += 1;
                let after = floor.since(due);
                floor.lap.stages.hang_up.record(after);
            }
            (Phase::Leaving { due, answered }, _) => self.drop_as(bye_failed(answered), due, floor),
            (_, EndedBy::Us | EndedBy::Lost(_)) => self.drop_as(Reason::Lost, self.due, floor),
        }
        self.over(floor);
    }

    fn drop_as(&self, reason: Reason, since: u64, floor: &mut Floor) {
        floor.lap.counts.dropped += 1;
        floor.lap.fail(reason, floor.since(since));
    }

    /// The far end changes the session: it gets what it asks for, as far as there is an answer to it.
    pub(super) fn on_reoffer(&mut self, id: ReofferId, request: &Message, floor: &mut Floor) {
        let (Some(session), Some(open)) = (self.session, self.line.opened()) else { return };
        let body = if request.body().is_empty() { Ok(open.offer()) } else { open.answer(request.body(), floor) };
        let (status, body) = match body {
            Ok(body) => (StatusCode::OK, Some(sdp_body(body))),
            Err(_) => (StatusCode::NOT_ACCEPTABLE_HERE, None),
        };
        floor.endpoint.respond(session, id, status, body, floor.now);
    }

    /// The port is open.
    pub(super) fn port_opened(&mut self, id: EndpointId, floor: &mut Floor) {
        if self.line.id() == Some(id) {
            self.with_line(floor, Line::created);
            self.dial(floor);
        }
    }

    /// A media command has failed.
    pub(super) fn port_failed(&mut self, id: EndpointId, floor: &mut Floor) {
        if self.line.id() != Some(id) {
            return;
        }
        self.with_line(floor, Line::failed);
        if self.line.is_gone() && matches!(self.phase, Phase::Opening) {
            self.fail(Reason::NoPort, floor);
        }
    }

    /// The port is gone, with what its stream was like.
    pub(super) fn port_closed(&mut self, id: EndpointId, quality: &Quality, floor: &mut Floor) {
        if self.line.id() != Some(id) {
            return;
        }
        self.with_line(floor, Line::closed);
        floor.lap.hear(quality);
    }
}

const fn bye_failed(answered: Option<u16>) -> Reason {
    match answered {
        Some(status) => Reason::ByeStatus(status),
        None => Reason::ByeTimeout,
    }
}

/// The status in a start line, where it is a response's.
pub(super) fn status_of(line: &str) -> Option<u16> {
    line.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

pub(super) fn sdp_body(description: bytes::Bytes) -> (String, bytes::Bytes) {
    ("application/sdp".to_owned(), description)
}

fn say(failed: &mut Failed, words: impl FnOnce() -> String) {
    failed.detail.get_or_insert_with(words);
}

/// What a failure says beside its reason.
fn note(failed: &mut Failed, failure: &Failure) {
    match failure {
        Failure::Response(response) => {
            if let Some(seconds) = response.header_str(Name::RetryAfter).as_deref().and_then(leading_number) {
                failed.retry_after += 1;
                failed.retry_after_max_s = failed.retry_after_max_s.max(seconds);
            }
            say(failed, || response.start_line().into_owned());
        }
        Failure::Transport(words) => say(failed, || words.clone()),
        Failure::Auth(why, _) => say(failed, || why.to_string()),
        Failure::TryTimeout | Failure::NoAnswer | Failure::Timeout | Failure::Unresolved | Failure::Canceled => {}
    }
}

/// RFC 3261 §20.33: seconds, perhaps with a comment and parameters behind them.
fn leading_number(value: &str) -> Option<u32> {
    let end = value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len());
    value.get(..end)?.parse().ok()
}

fn invite(number: u64, offer: bytes::Bytes, floor: &Floor) -> Invite {
    let config = &floor.config;
    let from = config.from.of(number);
    let uri = match &config.to {
        Some(to) => config.target.clone().with_user(Some(&to.of(number))),
        None => config.target.clone(),
    };
    let local = config.locals.iter().find(|local| local.transport == config.next_hop.transport);
    let own = local.map_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 5060)), |local| local.advertised);
    Invite {
        to: NameAddr::new(uri.clone()),
        from: NameAddr::new(Uri::sip(Some(&from), Host::from(own.ip()), None)),
        contact_user: Some(from),
        headers: Vec::new(),
        call_id: None,
        max_forwards: MAX_FORWARDS,
        routes: Vec::new(),
        uri,
        next_hop: config.next_hop.clone(),
        body: Some(sdp_body(offer)),
        credentials: config.credentials.clone(),
        try_timeout: None,
        ring_timeout: Some(config.ring_timeout),
    }
}
