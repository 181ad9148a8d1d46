//! The peer's re-INVITEs and UPDATEs (RFC 3261 §14.2, RFC 3311 §5.2): glare, the question to our user, its answer, and the
//! ACK of a re-INVITE's 2xx.

use super::super::ReofferId;
use super::super::command::{Body, Headers};
use super::super::compose::Answer;
use super::super::config::REOFFER_TIMEOUT;
use super::super::core::Core;
use super::super::event::{Event, Loss};
use super::super::timer::SessionTimer;
use super::super::transactions::ServerId;
use super::expiry::too_small;
use super::offers::{Phase, Theirs};
use super::{Agreement, At, Session, State, not_now, reason};
use crate::dialog::DialogId;
use crate::header::Warning;
use crate::message::{Message, Method, Name, StatusCode};

impl At {
    /// Asks our user.
    pub(super) fn ask_reoffer(&mut self, core: &mut Core, server: ServerId, dialog: DialogId, request: Message) {
        let id = ReofferId(core.next_id());
        self.offers.theirs = Some(Theirs { id, server, dialog, phase: Phase::Asked });
        self.start(core, SessionTimer::Reoffer, REOFFER_TIMEOUT);
        core.event(Event::Reoffer { session: self.id, id, request });
    }
}

impl Session {
    /// The peer wants to change the session.
    pub(super) fn on_reoffer(mut self, core: &mut Core, server: ServerId, request: Message) -> Option<Self> {
        let Ok(Some(dialog)) = DialogId::of_request(&request) else { return Some(self) };
        if let Some(refusal) = self.in_the_way(core, &dialog, &request).or_else(|| too_small(&core.config, &request)) {
            core.reply(server, refusal);
            return Some(self);
        }
        self.at.peer.learn(&request);
        if request.method() == Method::Update && request.body().is_empty() {
            self.refreshed(core, server, &dialog, &request);
        } else {
            self.at.ask_reoffer(core, server, dialog, request);
        }
        Some(self)
    }

    /// What the peer is answered where another offer is under way.
    fn in_the_way(&self, core: &mut Core, dialog: &DialogId, request: &Message) -> Option<Answer> {
        if let Some(theirs) = &self.at.offers.theirs {
            // §14.2: the earlier one first.
            let status = if theirs.is_open() { StatusCode::SERVER_INTERNAL_ERROR } else { StatusCode::REQUEST_PENDING };
            return Some(not_now(core, status));
        }
        let is_update = request.method() == Method::Update;
        if is_update && request.body().is_empty() {
            return None;
        }
        // §14.1; RFC 3311 §5.2: ours has no answer yet.
        let is_ours = self.at.offers.ours.as_ref().is_some_and(|ours| ours.exchange.is_some());
        let agreement = self.agreement(Some(dialog));
        if is_ours || agreement == Agreement::Ours && is_update {
            return Some(Answer::new(StatusCode::REQUEST_PENDING));
        }
        match &self.state {
            State::Confirmed(_) if agreement == Agreement::Agreed => None,
            State::Accepted(_) if !is_update => Some(not_now(core, StatusCode::REQUEST_PENDING)),
            // RFC 3311 §5.2: theirs has no answer yet; RFC 3261 §14.2: nor has the INVITE.
            _ if !is_update || agreement != Agreement::Agreed => Some(not_now(core, StatusCode::SERVER_INTERNAL_ERROR)),
            _ => None,
        }
    }

    /// An UPDATE without an offer: it moves the target and refreshes (RFC 3311 §5.2, RFC 4028 §9), and asks nothing.
    fn refreshed(&mut self, core: &mut Core, server: ServerId, dialog: &DialogId, request: &Message) {
        self.reply_2xx(core, server, StatusCode::OK, None);
        if let Some(dialog) = self.state.dialog(dialog) {
            dialog.refresh_target(request);
        }
    }

    fn reply_2xx(&mut self, core: &mut Core, server: ServerId, status: StatusCode, body: Option<Body>) {
        let mut answer = core.dialog_answer(server, status, self.state.user());
        answer.record_route = false;
        answer.headers.extend(self.at.agree_as_uas(core, server));
        answer.body = body;
        core.reply(server, answer);
    }

    /// Our user's answer to the peer's question; one to an older question changes nothing.
    pub(in super::super) fn respond(
        mut self,
        core: &mut Core,
        id: ReofferId,
        status: StatusCode,
        headers: Headers,
        body: Option<Body>,
    ) -> Option<Self> {
        let is_it = |theirs: &mut Theirs| theirs.id == id && theirs.is_open() && status.is_final();
        let Some(theirs) = self.at.offers.theirs.take_if(is_it) else { return Some(self) };
        self.at.stop(core, SessionTimer::Reoffer);
        let request = core.servers.table.get(&theirs.server).and_then(|tx| tx.request.clone());
        match request.filter(|_| status.is_success()) {
            Some(request) => self.agreed(core, theirs, &request, status, body),
            None => {
                core.reply(theirs.server, Answer { headers, body, ..Answer::new(status) });
            }
        }
        self.proceed(core)
    }

    /// Our user's yes.
    fn agreed(&mut self, core: &mut Core, theirs: Theirs, request: &Message, status: StatusCode, body: Option<Body>) {
        let body = self.at.offers.numbered(body);
        let offers = body.is_some();
        if offers {
            self.at.described.clone_from(&body);
        }
        match request.method() {
            Method::Prack => {
                core.reply(theirs.server, Answer { body, ..Answer::new(status) });
                return;
            }
            _ => self.reply_2xx(core, theirs.server, status, body),
        }
        if let Some(dialog) = self.state.dialog(&theirs.dialog) {
            dialog.refresh_target(request);
        }
        if request.method() == Method::Invite {
            let interval = core.config.t1;
            self.at.start(core, SessionTimer::Repeat2xx, interval);
            self.at.start(core, SessionTimer::AckWait, core.config.t1.saturating_mul(64));
            let phase = Phase::AckWait { interval, offers: offers && request.body().is_empty() };
            self.at.offers.theirs = Some(Theirs { phase, ..theirs });
        }
    }

    /// An INVITE's answer may have been waiting for this one.
    fn proceed(self, core: &mut Core) -> Option<Self> {
        let (at, state) = self.parts();
        match state {
            State::Offered(state) => state.proceed(at, core),
            state => Some(at.session(state)),
        }
    }

    /// The peer takes its re-INVITE back.
    pub(super) fn on_cancel_reinvite(mut self, core: &mut Core, server: ServerId) -> Option<Self> {
        if self.at.offers.theirs.take_if(|theirs| theirs.server == server && theirs.is_open()).is_some() {
            self.at.stop(core, SessionTimer::Reoffer);
            core.reply(server, Answer::new(StatusCode::REQUEST_TERMINATED));
        }
        Some(self)
    }

    /// Our user has been silent: the old session stands (§14.2).
    pub(super) fn reoffer_unanswered(self, core: &mut Core) -> Option<Self> {
        match self.at.offers.theirs.as_ref().map(|theirs| theirs.id) {
            Some(id) => {
                let warning = Warning::new(Warning::MISCELLANEOUS, "the offer was not answered here in time");
                let headers = vec![(Name::Warning.as_str().to_owned(), warning.to_string())];
                self.respond(core, id, StatusCode::NOT_ACCEPTABLE_HERE, headers, None)
            }
            None => Some(self),
        }
    }

    pub(super) fn repeat_2xx(mut self, core: &mut Core) -> Option<Self> {
        if let Some(Theirs { server, phase: Phase::AckWait { interval, .. }, .. }) = &mut self.at.offers.theirs {
            core.repeat_last(*server);
            *interval = interval.saturating_mul(2).min(core.config.t2);
            let interval = *interval;
            self.at.start(core, SessionTimer::Repeat2xx, interval);
        }
        Some(self)
    }

    /// The ACK of a re-INVITE's 2xx never came.
    pub(super) fn ack_missing(self, core: &mut Core) -> Option<Self> {
        self.lost(core, vec![reason(408, "ACK missing")], Loss::NoAck)
    }

    /// The ACK of a re-INVITE's 2xx.
    pub(super) fn on_reinvite_ack(mut self, core: &mut Core, ack: Message) -> Option<Self> {
        let cseq = ack.cseq().map(|cseq| cseq.seq).ok();
        let is_its = |theirs: &mut Theirs| !theirs.is_open() && core.cseq_received(theirs.server) == cseq;
        if let Some(theirs) = self.at.offers.theirs.take_if(is_its) {
            self.at.stop(core, SessionTimer::Repeat2xx);
            self.at.stop(core, SessionTimer::AckWait);
            let answers = matches!(theirs.phase, Phase::AckWait { offers: true, .. });
            core.event(Event::ReofferAck { session: self.at.id, id: theirs.id, ack, answers });
        }
        Some(self)
    }
}
