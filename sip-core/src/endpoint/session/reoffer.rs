//! Our re-INVITEs and UPDATEs (RFC 3261 §14.1, RFC 3311 §5.1), and what glare makes of them.

use super::super::command::Body;
use super::super::config::{MAX_GLARE_RETRIES, MAX_TOO_SMALL};
use super::super::core::Core;
use super::super::event::{Failure, Loss};
use super::super::exchange::{Inside, Purpose};
use super::super::timer::SessionTimer;
use super::super::transactions::ClientId;
use super::confirmed::Role;
use super::offers::{Ours, Why};
use super::{Agreement, InDialog, Session, State};
use crate::dialog::DialogId;
use crate::message::{Message, Method, StatusCode};
use base::Rng;
use std::time::Duration;

impl Session {
    /// Our user wants to change the session by re-INVITE.
    pub(in super::super) fn reoffer(self, core: &mut Core, body: Option<Body>) -> Option<Self> {
        match &self.state {
            State::Confirmed(_) => self.change(core, Method::Invite, body, Why::Asked),
            _ => Some(self),
        }
    }

    /// Our user wants to change the session by UPDATE. Where the peer does not allow it, a session that stands is changed
    /// by re-INVITE; an early dialog is not changed at all.
    pub(in super::super) fn update(self, core: &mut Core, body: Option<Body>) -> Option<Self> {
        let method = match &self.state {
            State::Confirmed(_) if !self.at.peer.update => Method::Invite,
            State::Confirmed(_) => Method::Update,
            State::Leaving(_) => return Some(self),
            _ if self.at.peer.update && (body.is_none() || self.may_offer_early()) => Method::Update,
            _ => {
                self.at.tell_reoffer_done(core, Why::Asked, Err(Failure::Canceled));
                return Some(self);
            }
        };
        self.change(core, method, body, Why::Asked)
    }

    /// RFC 3311 §5.1: while it is early, an offer needs the first one answered, and our answer to it acknowledged.
    fn may_offer_early(&self) -> bool {
        let is_acknowledged = match &self.state {
            State::Offered(state) => !state.reliable.holds_2xx(),
            _ => true,
        };
        is_acknowledged && self.agreement(None) == Agreement::Agreed
    }

    /// How the first offer stands, in this fork's dialog where there are several.
    pub(super) fn agreement(&self, dialog: Option<&DialogId>) -> Agreement {
        match &self.state {
            State::Calling(state) => state.agreement(dialog),
            State::Offered(state) => state.agreement,
            State::Accepted(state) => state.agreement,
            State::Confirmed(_) if self.at.late_ack.is_some() => Agreement::Theirs,
            State::Confirmed(_) | State::Leaving(_) => Agreement::Agreed,
        }
    }

    /// Sends it, or waits with it where the peer is changing the session itself, or where it is being refreshed.
    pub(super) fn change(mut self, core: &mut Core, method: Method, body: Option<Body>, why: Why) -> Option<Self> {
        let is_refreshed = self.at.offers.ours.as_ref().is_some_and(|ours| ours.why == Why::Refresh);
        if why == Why::Asked && is_refreshed && self.at.offers.next.is_none() {
            // Our user knows nothing of refreshes: one is no reason to refuse what it asks for.
            self.at.offers.next = Some((method, body));
            return Some(self);
        }
        let dialog = self.state.current().map(|dialog| dialog.id().clone());
        let (Some(dialog), None, None) = (dialog, &self.at.offers.ours, &self.at.late_ack) else {
            self.at.tell_reoffer_done(core, why, Err(Failure::Canceled));
            return Some(self);
        };
        let number = core.next_id();
        self.at.offers.ours = Some(Ours { number, method, dialog, body, why, glares: 0, too_small: 0, exchange: None });
        if self.at.offers.theirs.is_some() {
            // §14.1: none while one is in progress the other way; wait as if it had met 491.
            self.wait_out_glare(core);
        } else {
            self.send_change(core);
        }
        Some(self)
    }

    fn send_change(&mut self, core: &mut Core) {
        let Some(mut ours) = self.at.offers.ours.take() else { return };
        let headers = self.at.session_headers(core);
        let contact = Some(self.state.user().map(str::to_owned));
        let Some(dialog) = self.state.dialog(&ours.dialog) else {
            // The fork that it was meant for is gone.
            return self.at.tell_reoffer_done(core, ours.why, Err(Failure::Canceled));
        };
        let purpose = if ours.method == Method::Update {
            Purpose::Inside(self.at.id, Inside::Update(ours.number))
        } else {
            self.at.start(core, SessionTimer::Ring, core.config.t1.saturating_mul(64));
            Purpose::Reinvite(self.at.id)
        };
        ours.body = self.at.offers.numbered(ours.body);
        let request = InDialog { contact, headers, body: ours.body.clone(), ..InDialog::new(ours.method.clone()) };
        ours.exchange = Some(self.at.send_in_dialog(core, dialog, purpose, request));
        self.at.offers.ours = Some(ours);
    }

    /// Our re-INVITE has had provisionals at most for 64·T1: it is taken back, and ends with what that brings.
    pub(super) fn reinvite_unanswered(self, core: &mut Core) -> Option<Self> {
        if let Some(exchange) = self.at.offers.ours.as_ref().and_then(|ours| ours.exchange) {
            core.cancel(exchange, Vec::new());
        }
        Some(self)
    }

    /// Our UPDATE has its final response, or none.
    pub(super) fn on_update_done(self, core: &mut Core, number: u64, result: Result<Message, Failure>) -> Option<Self> {
        let is_it = self.at.offers.ours.as_ref().is_some_and(|ours| ours.number == number);
        if is_it { self.on_change_done(core, None, result) } else { Some(self) }
    }

    /// Our re-INVITE or UPDATE has its final response, or none.
    pub(in super::super) fn on_change_done(
        mut self,
        core: &mut Core,
        client: Option<ClientId>,
        result: Result<Message, Failure>,
    ) -> Option<Self> {
        let Some(mut ours) = self.at.offers.ours.take() else { return Some(self) };
        if ours.method == Method::Invite {
            self.at.stop(core, SessionTimer::Ring);
        }
        let refusal = refusal(&result);
        let status = refusal.and_then(Message::status).map_or(0, StatusCode::code);
        match status {
            491 if ours.glares < MAX_GLARE_RETRIES => {
                ours.glares += 1;
                ours.exchange = None;
                self.at.offers.ours = Some(ours);
                self.wait_out_glare(core);
                return Some(self);
            }
            422 if ours.too_small < MAX_TOO_SMALL && self.at.raise_interval(refusal) => {
                ours.too_small += 1;
                self.at.offers.ours = Some(ours);
                self.send_change(core);
                return Some(self);
            }
            // RFC 4028 §7.4: a peer that refuses UPDATE is refreshed by re-INVITE.
            405 | 501 if ours.why == Why::Refresh && ours.method == Method::Update => {
                self.at.peer.update = false;
                return self.renew(core);
            }
            _ => {}
        }
        match &result {
            Ok(response) => self.changed(core, client, &ours, response),
            Err(_) if ours.why == Why::Refresh => self.at.renew_later(core),
            Err(_) => {}
        }
        // §12.2.1.2: nobody there.
        let is_gone = matches!(status, 408 | 481) || matches!(result, Err(Failure::Timeout));
        self.at.tell_reoffer_done(core, ours.why, result);
        if is_gone {
            return self.lost(core, Vec::new(), Loss::Gone);
        }
        match self.at.offers.next.take() {
            Some((method, body)) => self.change(core, method, body, Why::Asked),
            None => Some(self),
        }
    }

    /// A 2xx to our change.
    fn changed(&mut self, core: &mut Core, client: Option<ClientId>, ours: &Ours, response: &Message) {
        self.at.peer.learn(response);
        if let Some(dialog) = self.state.dialog(&ours.dialog) {
            dialog.refresh_target(response);
            if let Some(client) = client.filter(|_| ours.method == Method::Invite) {
                let is_late = ours.body.is_none() && !response.body().is_empty();
                self.at.acknowledge_2xx(core, client, dialog, is_late);
            }
        }
        if ours.body.is_some() {
            self.at.described.clone_from(&ours.body);
        }
        self.at.agree_as_uac(core, response);
    }

    fn wait_out_glare(&self, core: &mut Core) {
        let role = match &self.state {
            State::Confirmed(state) => state.role,
            State::Calling(_) => Role::Uac,
            _ => Role::Uas,
        };
        let wait = glare_wait(role, &mut core.rng);
        self.at.start(core, SessionTimer::Glare, wait);
    }

    pub(super) fn glare_over(mut self, core: &mut Core) -> Option<Self> {
        if let Some(ours) = self.at.offers.ours.as_ref().filter(|ours| ours.exchange.is_none()) {
            // Meanwhile our answer in a PRACK may have been refused, and wait to be sent again.
            let must_wait = ours.body.is_some() && !self.is_confirmed() && !self.may_offer_early();
            if must_wait || self.at.offers.theirs.is_some() {
                self.wait_out_glare(core);
            } else {
                self.send_change(core);
            }
        }
        Some(self)
    }
}

/// The final response that is no 2xx.
const fn refusal(result: &Result<Message, Failure>) -> Option<&Message> {
    match result {
        Err(Failure::Response(response)) => Some(response),
        _ => None,
    }
}

/// §14.1: 2.1 to 4 s for the owner of the Call-ID, up to 2 s for the other, in steps of 10 ms.
fn glare_wait(role: Role, rng: &mut Rng) -> Duration {
    Duration::from_millis(match role {
        Role::Uac => 2_100 + 10 * rng.below(191),
        Role::Uas => 10 * rng.below(201),
    })
}
