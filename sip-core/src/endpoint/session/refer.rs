//! Our REFER, and the subscription it makes (RFC 3515 §2.4, RFC 4488): one at a time.

use super::super::command::{Headers, Refused};
use super::super::compose::Answer;
use super::super::config::REFER_EXPIRES;
use super::super::core::Core;
use super::super::event::{Event, Failure};
use super::super::exchange::{Inside, Purpose};
use super::super::timer::SessionTimer;
use super::super::transactions::ServerId;
use super::{InDialog, Session, State};
use crate::header::{NameAddr, Params};
use crate::message::{Message, Method, Name, StatusCode};

/// What a NOTIFY of a REFER's subscription carries (RFC 3420).
pub(super) const SIPFRAG: &str = "message/sipfrag";

/// A REFER of ours.
#[derive(Clone, Copy, Debug)]
pub(super) struct Referral {
    /// Its CSeq number, once it has its 2xx: the `id` of its NOTIFYs (§2.4.6).
    cseq: Option<u32>,
    /// The last status heard of.
    status: u16,
}

impl Session {
    /// Our user asks the peer to call someone.
    pub(in super::super) fn refer(
        &mut self,
        core: &mut Core,
        refer_to: &NameAddr,
        mut headers: Headers,
    ) -> Result<(), Refused> {
        let State::Confirmed(state) = &mut self.state else { return Err(Refused::State) };
        if self.at.referral.is_some() {
            return Err(Refused::State);
        }
        self.at.referral = Some(Referral { cseq: None, status: 100 });
        let supported = core.config.supported().to_owned();
        headers.insert(0, (Name::ReferTo.as_str().to_owned(), refer_to.to_string()));
        headers.push((Name::Supported.as_str().to_owned(), supported));
        let request = InDialog { contact: Some(state.user.clone()), headers, ..InDialog::new(Method::Refer) };
        let purpose = Purpose::Inside(self.at.id, Inside::Refer);
        self.at.send_in_dialog(core, &mut state.dialog, purpose, request);
        // The peer ends the subscription first, where it is there to do so.
        let patience = core.config.t1.saturating_mul(64);
        self.at.start(core, SessionTimer::Referral, REFER_EXPIRES.saturating_add(patience));
        Ok(())
    }

    /// It has its final response, or none.
    pub(super) fn on_refer_done(
        mut self,
        core: &mut Core,
        cseq: u32,
        result: Result<Message, Failure>,
    ) -> Option<Self> {
        // A NOTIFY that said it all may have come first (RFC 6665 §4.1.2.4): then this is the last of it.
        if let Some(referral) = &mut self.at.referral {
            // RFC 4488 §4: no subscription, where both sides have agreed on none.
            let is_silent = |response: &Message| {
                response.header(Name::ReferSub).is_some_and(|value| value.eq_ignore_ascii_case(b"false"))
            };
            match &result {
                Ok(response) if !is_silent(response) => referral.cseq = Some(cseq),
                _ => self.end_referral(core),
            }
        }
        core.event(Event::ReferDone { session: self.at.id, result });
        Some(self)
    }

    fn end_referral(&mut self, core: &mut Core) {
        self.at.referral = None;
        self.at.stop(core, SessionTimer::Referral);
    }

    /// A NOTIFY with `Event: refer` (§2.4.4, §2.4.5): 200 where it belongs to our REFER, else 481 (RFC 6665 §4.1.3).
    pub(super) fn on_refer_notify(mut self, core: &mut Core, server: ServerId, notify: &Message) -> Option<Self> {
        let is_ours = |referral: &Referral| match (event_id(notify), referral.cseq) {
            (Some(id), Some(cseq)) => id == cseq,
            _ => true,
        };
        let Some(mut referral) = self.at.referral.filter(is_ours) else {
            core.reply(server, Answer::new(StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST));
            return Some(self);
        };
        let state = notify.header_str(Name::SubscriptionState).unwrap_or_default();
        let terminated = state.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("terminated");
        let status = sipfrag_status(notify);
        if status.is_none() && !terminated {
            // §2.4.5: each NOTIFY says how far it is.
            core.reply(server, Answer::new(StatusCode::BAD_REQUEST));
            return Some(self);
        }
        core.reply(server, Answer::new(StatusCode::OK));
        referral.status = status.unwrap_or(referral.status);
        self.at.referral = Some(referral);
        if terminated {
            self.end_referral(core);
        }
        core.event(Event::ReferProgress { session: self.at.id, status: referral.status, terminated });
        Some(self)
    }

    /// The peer has fallen silent about it.
    pub(super) fn referral_expired(mut self, core: &mut Core) -> Option<Self> {
        if self.at.referral.take().is_some() {
            let status = StatusCode::REQUEST_TIMEOUT.code();
            core.event(Event::ReferProgress { session: self.at.id, status, terminated: true });
        }
        Some(self)
    }
}

/// True for a request about the subscription of a REFER.
pub(in super::super) fn is_about_refer(request: &Message) -> bool {
    let event = request.header(Name::Event).unwrap_or_default();
    let package = event.split(|byte| *byte == b';').next().unwrap_or_default();
    package.trim_ascii().eq_ignore_ascii_case(b"refer")
}

/// The `id` of Event: the CSeq number of the REFER that is meant (§2.4.6).
pub(super) fn event_id(request: &Message) -> Option<u32> {
    let event = request.header(Name::Event)?;
    let params = event.iter().position(|byte| *byte == b';').and_then(|at| event.get(at..))?;
    Params::parse(params).ok()?.get("id")?.parse().ok()
}

/// The status line that a message/sipfrag begins with (§2.4.5).
fn sipfrag_status(notify: &Message) -> Option<u16> {
    notify.content_type().ok()?.filter(|given| given.is(SIPFRAG))?;
    let line = notify.body().strip_prefix(b"SIP/2.0 ")?;
    let code = std::str::from_utf8(line.get(..3)?).ok()?.parse().ok()?;
    StatusCode::new(code).map(StatusCode::code)
}
