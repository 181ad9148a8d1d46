//! Our provisionals, those sent reliably among them (RFC 3262 §3): numbered, repeated from T1 on and doubled until their
//! PRACK, one at a time; after 64·T1 without a PRACK the INVITE is refused.

use super::super::answer;
use super::super::command::{Body, Headers};
use super::super::compose::{ALLOW, Answer, Wire};
use super::super::config::{MAX_UNACKNOWLEDGED, PROVISIONAL_REFRESH, ReliableProvisionals};
use super::super::core::Core;
use super::super::event::{EndedBy, Event, Loss};
use super::super::timer::SessionTimer;
use super::super::transactions::ServerId;
use super::offered::Offered;
use super::{Agreement, At, Session, State};
use crate::header::{CSeq, RAck};
use crate::message::{Message, Method, Name, StatusCode};
use std::collections::VecDeque;
use std::time::Duration;

/// Which of our provisionals go reliably.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Policy {
    /// None: the caller does not support it, or we do not.
    Never,
    /// Those with a session description.
    Described,
    /// All but 100: the caller requires it, or we do.
    Always,
}

impl Policy {
    fn of(config: ReliableProvisionals, invite: &Message) -> Self {
        let requires = invite.require().iter().any(|option| option.eq_ignore_ascii_case("100rel"));
        match config {
            ReliableProvisionals::Off => Self::Never,
            _ if requires => Self::Always,
            _ if !invite.supports("100rel") => Self::Never,
            ReliableProvisionals::Supported => Self::Described,
            ReliableProvisionals::Required => Self::Always,
        }
    }
}

/// The reliable provisionals of one INVITE.
#[derive(Debug)]
pub(super) struct Reliable {
    policy: Policy,
    /// The number of the next one.
    rseq: u32,
    /// The status of the last provisional, where it went reliably.
    last: Option<StatusCode>,
    /// The one that waits for its PRACK.
    open: Option<Open>,
    /// Those that wait for it; at most [`MAX_UNACKNOWLEDGED`].
    waiting: VecDeque<Waiting>,
    /// The 2xx that waits too: the last provisional carried a description (§3).
    pub(super) accept: Option<Box<(Headers, Option<Body>)>>,
}

/// A provisional that waits for its PRACK.
#[derive(Debug)]
struct Open {
    rack: RAck,
    wire: Wire,
    interval: Duration,
    is_described: bool,
}

/// A provisional that waits for an earlier one.
#[derive(Debug)]
struct Waiting {
    status: StatusCode,
    headers: Headers,
    body: Option<Body>,
}

impl Reliable {
    /// What holds for an INVITE that has just come. The first number is drawn from the lower half (§3).
    pub(super) fn of(core: &mut Core, invite: &Message) -> Self {
        let policy = Policy::of(core.config.reliable_provisionals, invite);
        let rseq = 1 + u32::try_from(core.rng.below(1 << 30)).unwrap_or(0);
        Self { policy, rseq, last: None, open: None, waiting: VecDeque::new(), accept: None }
    }

    const fn wants(&self, body: Option<&Body>) -> bool {
        match self.policy {
            Policy::Never => false,
            Policy::Described => body.is_some(),
            Policy::Always => true,
        }
    }

    /// True where a 2xx must wait (§3).
    pub(super) fn holds_2xx(&self) -> bool {
        self.open.as_ref().is_some_and(|open| open.is_described)
    }

    /// What may still be acknowledged after the final response.
    pub(super) fn unacknowledged(&self) -> Option<RAck> {
        self.open.as_ref().map(|open| open.rack.clone())
    }

    fn queue(&mut self, waiting: Waiting) {
        if self.waiting.len() < MAX_UNACKNOWLEDGED {
            self.waiting.push_back(waiting);
        } else if waiting.body.is_some() {
            self.waiting.pop_back();
            self.waiting.push_back(waiting);
        }
    }
}

impl Offered {
    /// Our user's provisional.
    pub(super) fn progress(
        mut self,
        mut at: At,
        core: &mut Core,
        status: StatusCode,
        headers: Headers,
        body: Option<Body>,
    ) -> Option<Session> {
        if status == StatusCode::TRYING {
            core.reply(self.server, Answer { headers, ..Answer::new(status) });
        } else if status.is_provisional() && self.reliable.accept.is_none() {
            if !self.reliable.wants(body.as_ref()) {
                self.send_plain(&at, core, status, headers, body);
            } else if self.reliable.open.is_some() {
                self.reliable.queue(Waiting { status, headers, body });
            } else {
                self.send_reliably(&mut at, core, Waiting { status, headers, body });
            }
        }
        Some(at.session(State::Offered(self)))
    }

    fn send_plain(&mut self, at: &At, core: &mut Core, status: StatusCode, headers: Headers, body: Option<Body>) {
        at.start(core, SessionTimer::Refresh, PROVISIONAL_REFRESH);
        self.told = true;
        self.reliable.last = None;
        let answer = core.dialog_answer(self.server, status, self.user.as_deref());
        core.reply(self.server, Answer { headers, body, ..answer });
    }

    fn send_reliably(&mut self, at: &mut At, core: &mut Core, waiting: Waiting) {
        let Some(cseq) = core.cseq_received(self.server) else { return };
        let Waiting { status, headers, body } = waiting;
        let rack = RAck { rseq: self.reliable.rseq, cseq: CSeq { seq: cseq, method: Method::Invite } };
        self.reliable.rseq = self.reliable.rseq.saturating_add(1);
        at.start(core, SessionTimer::Refresh, PROVISIONAL_REFRESH);
        self.told = true;
        self.reliable.last = Some(status);
        // §5: once the first answer has gone, a provisional carries no further description.
        let body = body.filter(|_| matches!(self.agreement, Agreement::Nothing | Agreement::Theirs));
        if let Some(body) = &body {
            self.agreement = if self.agreement == Agreement::Theirs { Agreement::Agreed } else { Agreement::Ours };
            at.described = Some(body.clone());
        }
        let is_described = body.is_some();
        let mut answer = core.dialog_answer(self.server, status, self.user.as_deref());
        answer = answer.header(Name::Require, "100rel").header(Name::RSeq, rack.rseq.to_string());
        // RFC 3311 §5.2: so that the caller knows what the early dialog can do.
        answer = answer.header(Name::Allow, ALLOW);
        answer.headers.extend(headers);
        answer.body = body;
        let Some(wire) = core.reply(self.server, answer) else { return };
        let interval = core.config.t1;
        at.start(core, SessionTimer::RepeatReliable, interval);
        at.start(core, SessionTimer::PrackWait, interval.saturating_mul(64));
        self.reliable.open = Some(Open { rack, wire, interval, is_described });
    }

    /// The provisional of each minute (RFC 3261 §13.3.1.1): the last one again, or, where that one went reliably and was
    /// acknowledged, one of its own number (§3).
    pub(super) fn ring_on(mut self, mut at: At, core: &mut Core) -> Option<Session> {
        at.start(core, SessionTimer::Refresh, PROVISIONAL_REFRESH);
        match self.reliable.last {
            None => core.repeat_last(self.server),
            // It is still repeated.
            Some(_) if self.reliable.open.is_some() => {}
            Some(status) => self.send_reliably(&mut at, core, Waiting { status, headers: Headers::new(), body: None }),
        }
        Some(at.session(State::Offered(self)))
    }

    /// §3: T1, doubled each time, without a cap.
    pub(super) fn repeat_reliable(mut self, at: At, core: &mut Core) -> Option<Session> {
        if let Some(open) = &mut self.reliable.open {
            core.repeat(self.server, &open.wire);
            open.interval = open.interval.saturating_mul(2);
            at.start(core, SessionTimer::RepeatReliable, open.interval);
        }
        Some(at.session(State::Offered(self)))
    }

    /// §3: no PRACK for 64·T1. The INVITE is refused.
    pub(super) fn prack_missing(self, at: At, core: &mut Core) -> Option<Session> {
        core.reply(self.server, Answer::new(StatusCode::SERVER_TIMEOUT));
        at.end(core, [self.dialog], EndedBy::Lost(Loss::NoPrack), None)
    }

    /// The peer's PRACK (§3): 200 where it is for the open provisional, else 481. Its body is the answer to our offer, or
    /// an offer of its own (§5).
    pub(super) fn on_prack(mut self, mut at: At, core: &mut Core, server: ServerId, prack: Message) -> Option<Session> {
        let rack = RAck::of(&prack).ok();
        if self.reliable.open.take_if(|open| Some(&open.rack) == rack.as_ref()).is_none() {
            core.reply(server, Answer::new(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST));
            return Some(at.session(State::Offered(self)));
        }
        at.stop(core, SessionTimer::RepeatReliable);
        at.stop(core, SessionTimer::PrackWait);
        let offers = !prack.body().is_empty() && self.agreement != Agreement::Ours;
        if self.agreement == Agreement::Ours {
            self.agreement = Agreement::Agreed;
        }
        core.event(Event::ProgressAcked { session: at.id, prack: prack.clone() });
        if offers {
            // RFC 6337 §2.2: an offer needs the earlier one answered, and none of ours under way.
            if self.agreement != Agreement::Agreed || !at.offers.is_idle() {
                core.reply(server, Answer::new(StatusCode::BAD_REQUEST));
            } else {
                let dialog = self.dialog.id().clone();
                at.ask_reoffer(core, server, dialog, prack);
            }
        } else {
            core.reply(server, Answer::new(StatusCode::OK));
        }
        self.proceed(at, core)
    }

    /// What has been waiting for a PRACK, or for the answer to its offer.
    pub(super) fn proceed(mut self, mut at: At, core: &mut Core) -> Option<Session> {
        if self.reliable.open.is_some() || at.offers.is_asked() {
            return Some(at.session(State::Offered(self)));
        }
        if let Some(held) = self.reliable.accept.take() {
            let (headers, body) = *held;
            return self.accept(at, core, headers, body);
        }
        if let Some(waiting) = self.reliable.waiting.pop_front() {
            self.send_reliably(&mut at, core, waiting);
        }
        Some(at.session(State::Offered(self)))
    }
}

impl Session {
    /// A PRACK, in whatever state.
    pub(super) fn on_prack(self, core: &mut Core, server: ServerId, prack: Message) -> Option<Self> {
        if let Err(refusal) = answer::check_content(&prack) {
            core.reply(server, *refusal);
            return Some(self);
        }
        let (mut at, state) = self.parts();
        match state {
            State::Offered(state) => state.on_prack(at, core, server, prack),
            // §3: the provisional that a 2xx has overtaken.
            state => {
                let rack = RAck::of(&prack).ok();
                let is_it = at.unacknowledged.take_if(|open| Some(&*open) == rack.as_ref()).is_some();
                let status = if is_it { StatusCode::OK } else { StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST };
                core.reply(server, Answer::new(status));
                Some(at.session(state))
            }
        }
    }
}
