//! Offers under way after the INVITE's own: at most one each way (RFC 3264 §4).

use super::super::ReofferId;
use super::super::command::{Body, Headers};
use super::super::compose::Answer;
use super::super::core::Core;
use super::super::event::{Event, Failure};
use super::super::exchange::ExchangeId;
use super::super::timer::SessionTimer;
use super::super::transactions::ServerId;
use super::At;
use crate::dialog::DialogId;
use crate::message::{Message, Method, StatusCode};
use crate::sdp::CONTENT_TYPE;
use crate::sdp::version::{under_version, version};
use bytes::Bytes;
use std::time::Duration;

/// What both sides want to change.
#[derive(Debug, Default)]
pub(super) struct Offers {
    pub(super) ours: Option<Ours>,
    pub(super) theirs: Option<Theirs>,
    /// What our user has asked for while a refresh is out.
    pub(super) next: Option<(Method, Option<Body>)>,
    /// The last description of ours in a re-INVITE, an UPDATE or a 2xx to one, and its version.
    said: Option<(u64, Bytes)>,
}

/// A re-INVITE or UPDATE of ours.
#[derive(Debug)]
pub(super) struct Ours {
    /// Its number: an answer that comes when it has been given up means nothing.
    pub(super) number: u64,
    /// INVITE or UPDATE.
    pub(super) method: Method,
    pub(super) dialog: DialogId,
    pub(super) body: Option<Body>,
    pub(super) why: Why,
    /// How often it has met 491.
    pub(super) glares: u32,
    /// How often it has met 422.
    pub(super) too_small: u32,
    /// None while it waits out a glare.
    pub(super) exchange: Option<ExchangeId>,
}

/// Who wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// Our user.
    Asked,
    /// The session timer (RFC 4028).
    Refresh,
}

/// A re-INVITE of the peer's; or an UPDATE or a PRACK, with an offer.
#[derive(Debug)]
pub(super) struct Theirs {
    pub(super) id: ReofferId,
    pub(super) server: ServerId,
    pub(super) dialog: DialogId,
    pub(super) phase: Phase,
}

/// How far the peer's question is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// Our user has been asked.
    Asked,
    /// A 2xx was sent to a re-INVITE and is repeated until its ACK.
    AckWait {
        /// At this interval.
        interval: Duration,
        /// It carried our offer: the ACK has the answer (RFC 3261 §13.2.1).
        offers: bool,
    },
}

impl Theirs {
    /// True while it has no final response.
    pub(super) const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Asked)
    }
}

impl Offers {
    /// A description of ours as it goes out: under a version above that of the last one, where it is another one (RFC 3264
    /// §8). An offer that has waited out a glare was written before what we have answered meanwhile.
    pub(super) fn numbered(&mut self, body: Option<Body>) -> Option<Body> {
        let (content_type, mut sdp) = body?;
        let Some(mut version) = version(&sdp).filter(|_| content_type == CONTENT_TYPE) else {
            return Some((content_type, sdp));
        };
        if let Some((last, _)) = self.said.as_ref().filter(|(last, said)| version <= *last && *said != sdp) {
            version = last.saturating_add(1);
            sdp = under_version(&sdp, version);
        }
        self.said = Some((version, sdp.clone()));
        Some((content_type, sdp))
    }

    /// True where nothing is under way.
    pub(super) const fn is_idle(&self) -> bool {
        self.ours.is_none() && self.theirs.is_none()
    }

    /// True while our user owes an answer.
    pub(super) fn is_asked(&self) -> bool {
        self.theirs.as_ref().is_some_and(Theirs::is_open)
    }

    /// The end of the session: what the peer has asked gets 487 (RFC 3261 §15.1.2), a re-INVITE of ours is taken back.
    pub(super) fn close(&mut self, core: &mut Core) {
        if let Some(Ours { method: Method::Invite, exchange: Some(exchange), .. }) = self.ours.take() {
            core.cancel(exchange, Headers::new());
        }
        if let Some(theirs) = self.theirs.take().filter(Theirs::is_open) {
            core.reply(theirs.server, Answer::new(StatusCode::REQUEST_TERMINATED));
        }
    }
}

impl At {
    /// The end of one fork's early dialog, another one having answered: what was under way in it.
    pub(super) fn forget_dialog(&mut self, core: &mut Core, dialog: &DialogId) {
        if let Some(theirs) = self.offers.theirs.take_if(|theirs| theirs.dialog == *dialog) {
            self.stop(core, SessionTimer::Reoffer);
            core.reply(theirs.server, Answer::new(StatusCode::REQUEST_TERMINATED));
        }
        if let Some(ours) = self.offers.ours.take_if(|ours| ours.dialog == *dialog) {
            self.stop(core, SessionTimer::Glare);
            self.tell_reoffer_done(core, ours.why, Err(Failure::Canceled));
        }
    }

    /// The end of our own: our user hears of what it has asked for.
    pub(super) fn tell_reoffer_done(&self, core: &mut Core, why: Why, result: Result<Message, Failure>) {
        match (why, result) {
            (Why::Asked, result) => core.event(Event::ReofferDone { session: self.id, result }),
            (Why::Refresh, Ok(response)) if !response.body().is_empty() => {
                core.event(Event::Refreshed { session: self.id, response });
            }
            (Why::Refresh, _) => {}
        }
    }
}
