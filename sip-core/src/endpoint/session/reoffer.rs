//! Re-INVITE and UPDATE, both ways (RFC 3261 §14, RFC 3311), and their glare.

use super::super::ReofferId;
use super::super::command::Body;
use super::super::compose::Answer;
use super::super::config::{MAX_GLARE_RETRIES, REOFFER_TIMEOUT};
use super::super::core::Core;
use super::super::event::{Event, Failure};
use super::super::exchange::{ExchangeId, Purpose};
use super::super::timer::SessionTimer;
use super::super::transactions::{ClientId, ServerId};
use super::confirmed::{Confirmed, Role};
use super::{At, InDialog, Session};
use crate::message::{Message, Method, Name, StatusCode};
use base::Rng;
use std::time::Duration;

/// A re-INVITE of ours.
#[derive(Debug)]
pub(in super::super) struct Ours {
    body: Option<Body>,
    /// How often it has met 491.
    glares: u32,
    /// None while it waits out a glare.
    pub(super) exchange: Option<ExchangeId>,
}

/// A re-INVITE or UPDATE of the peer's.
#[derive(Debug)]
pub(in super::super) struct Theirs {
    id: ReofferId,
    pub(super) server: ServerId,
    phase: Phase,
}

/// How far the peer's question is.
#[derive(Debug)]
enum Phase {
    /// Our user has been asked.
    Asked,
    /// A 2xx was sent to a re-INVITE and is repeated at this interval until its ACK.
    AckWait(Duration),
}

impl Theirs {
    /// True while it has no final response.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Asked)
    }
}

impl Confirmed {
    /// Our user wants to change the session.
    pub(super) fn reoffer(mut self, at: At, core: &mut Core, body: Option<Body>) -> Option<Session> {
        if self.ours.is_some() {
            core.event(Event::ReofferDone { session: at.id, result: Err(Failure::Canceled) });
            return self.stay(at);
        }
        let mut ours = Ours { body, glares: 0, exchange: None };
        if self.theirs.is_some() {
            // §14.1: no INVITE while one is in progress the other way; wait as if it had met 491.
            self.wait_out_glare(&at, core);
        } else {
            self.send_reinvite(&at, core, &mut ours);
        }
        self.ours = Some(ours);
        self.stay(at)
    }

    fn send_reinvite(&mut self, at: &At, core: &mut Core, ours: &mut Ours) {
        let request =
            InDialog { contact: Some(self.user.clone()), body: ours.body.clone(), ..InDialog::new(Method::Invite) };
        ours.exchange = Some(at.send_in_dialog(core, &mut self.dialog, Purpose::Reinvite(at.id), request));
        at.start(core, SessionTimer::Ring, core.config.t1.saturating_mul(64));
    }

    /// Our re-INVITE has had provisionals at most for 64·T1: it is taken back, and ends with what that brings.
    pub(super) fn reinvite_unanswered(self, at: At, core: &mut Core) -> Option<Session> {
        if let Some(exchange) = self.ours.as_ref().and_then(|ours| ours.exchange) {
            core.cancel(exchange, Vec::new());
        }
        self.stay(at)
    }

    /// Our re-INVITE has its final response, or none.
    pub(super) fn on_reinvite_done(
        mut self,
        at: At,
        core: &mut Core,
        client: Option<ClientId>,
        result: Result<Message, Failure>,
    ) -> Option<Session> {
        let Some(mut ours) = self.ours.take() else { return self.stay(at) };
        at.stop(core, SessionTimer::Ring);
        if let (Ok(response), Some(client)) = (&result, client) {
            self.dialog.refresh_target(response);
            core.acknowledge(client, Some(at.id), &self.dialog, &at.path);
        }
        let status = match &result {
            Err(Failure::Response(response)) => response.status().map(StatusCode::code),
            _ => None,
        };
        if status == Some(491) && ours.glares < MAX_GLARE_RETRIES {
            ours.glares += 1;
            ours.exchange = None;
            self.ours = Some(ours);
            self.wait_out_glare(&at, core);
            return self.stay(at);
        }
        // §12.2.1.2: nobody there.
        let is_gone = matches!(status, Some(408 | 481)) || matches!(result, Err(Failure::Timeout));
        core.event(Event::ReofferDone { session: at.id, result });
        if is_gone { self.lost(at, core) } else { self.stay(at) }
    }

    fn wait_out_glare(&self, at: &At, core: &mut Core) {
        let wait = glare_wait(self.role, &mut core.rng);
        at.start(core, SessionTimer::Glare, wait);
    }

    pub(super) fn glare_over(mut self, at: At, core: &mut Core) -> Option<Session> {
        if let Some(mut ours) = self.ours.take() {
            if self.theirs.is_some() {
                self.wait_out_glare(&at, core);
            } else {
                self.send_reinvite(&at, core, &mut ours);
            }
            self.ours = Some(ours);
        }
        self.stay(at)
    }

    /// The peer wants to change the session.
    pub(super) fn on_reoffer(mut self, at: At, core: &mut Core, server: ServerId, request: Message) -> Option<Session> {
        if let Some(theirs) = &self.theirs {
            // §14.2: the earlier one first.
            let status = if theirs.is_open() { StatusCode::SERVER_INTERNAL_ERROR } else { StatusCode::REQUEST_PENDING };
            let wait = core.rng.below(10).to_string();
            core.reply(server, Answer::new(status).header(Name::RetryAfter, wait));
            return self.stay(at);
        }
        if self.ours.as_ref().is_some_and(|ours| ours.exchange.is_some()) {
            core.reply(server, Answer::new(StatusCode::REQUEST_PENDING));
            return self.stay(at);
        }
        let id = ReofferId(core.next_id());
        self.theirs = Some(Theirs { id, server, phase: Phase::Asked });
        at.start(core, SessionTimer::Reoffer, REOFFER_TIMEOUT);
        core.event(Event::Reoffer { session: at.id, id, request });
        self.stay(at)
    }

    /// Our user's answer to the peer's question; one to an older question changes nothing.
    pub(super) fn respond(
        mut self,
        at: At,
        core: &mut Core,
        id: ReofferId,
        status: StatusCode,
        body: Option<Body>,
    ) -> Option<Session> {
        let asked = self.theirs.take_if(|theirs| theirs.id == id && theirs.is_open() && status.is_final());
        let Some(Theirs { server, .. }) = asked else { return self.stay(at) };
        let request = core.servers.table.get(&server).map(|tx| tx.request.clone());
        at.stop(core, SessionTimer::Reoffer);
        let mut answer = core.dialog_answer(server, status, self.user.as_deref());
        answer.record_route = false;
        answer.body = body;
        core.reply(server, answer);
        if let Some(request) = request.filter(|_| status.is_success()) {
            self.dialog.refresh_target(&request);
            if request.method() == Method::Invite {
                let interval = core.config.t1;
                at.start(core, SessionTimer::Repeat2xx, interval);
                at.start(core, SessionTimer::AckWait, core.config.t1.saturating_mul(64));
                self.theirs = Some(Theirs { id, server, phase: Phase::AckWait(interval) });
            }
        }
        self.stay(at)
    }

    /// The peer takes its re-INVITE back.
    pub(super) fn on_cancel(mut self, at: At, core: &mut Core, server: ServerId) -> Option<Session> {
        if self.theirs.take_if(|theirs| theirs.server == server && theirs.is_open()).is_some() {
            at.stop(core, SessionTimer::Reoffer);
            core.reply(server, Answer::new(StatusCode::REQUEST_TERMINATED));
        }
        self.stay(at)
    }

    /// Our user has been silent: the old session stands (§14.2).
    pub(super) fn reoffer_unanswered(self, at: At, core: &mut Core) -> Option<Session> {
        match self.theirs.as_ref().map(|theirs| theirs.id) {
            Some(id) => self.respond(at, core, id, StatusCode::NOT_ACCEPTABLE_HERE, None),
            None => self.stay(at),
        }
    }

    pub(super) fn repeat_2xx(mut self, at: At, core: &mut Core) -> Option<Session> {
        if let Some(Theirs { server, phase: Phase::AckWait(interval), .. }) = &mut self.theirs {
            core.repeat_last(*server);
            *interval = interval.saturating_mul(2).min(core.config.t2);
            at.start(core, SessionTimer::Repeat2xx, *interval);
        }
        self.stay(at)
    }

    pub(super) fn on_ack(mut self, at: At, core: &mut Core, ack: &Message) -> Option<Session> {
        let cseq = ack.cseq().map(|cseq| cseq.seq).ok();
        let is_its = |theirs: &mut Theirs| !theirs.is_open() && core.cseq_received(theirs.server) == cseq;
        if self.theirs.take_if(is_its).is_some() {
            at.stop(core, SessionTimer::Repeat2xx);
            at.stop(core, SessionTimer::AckWait);
        }
        self.stay(at)
    }
}

/// §14.1: 2.1 to 4 s for the owner of the Call-ID, up to 2 s for the other, in steps of 10 ms.
fn glare_wait(role: Role, rng: &mut Rng) -> Duration {
    Duration::from_millis(match role {
        Role::Uac => 2_100 + 10 * rng.below(191),
        Role::Uas => 10 * rng.below(201),
    })
}
