//! Session timers, in both roles (RFC 4028): who refreshes the session, when, and what happens where nobody does.
//!
//! Each re-INVITE and UPDATE refreshes, whoever sends it and for whatever reason. Where it is our turn and nothing else has
//! done it, half of the interval brings an UPDATE without a body where the peer allows it, else a re-INVITE that repeats
//! our last description (§7.4).

use super::super::command::Headers;
use super::super::compose::Answer;
use super::super::config::{Config, MAX_TOO_SMALL, ReliableProvisionals, SessionInterval};
use super::super::core::Core;
use super::super::event::Loss;
use super::super::exchange::ExchangeId;
use super::super::timer::SessionTimer;
use super::super::transactions::ServerId;
use super::offers::Why;
use super::{At, Session, State, reason};
use crate::header::{Refresher, SessionExpires, min_se};
use crate::message::{Message, Method, Name, StatusCode};
use std::time::Duration;

/// The least interval there is, in seconds (§4).
const LEAST: u32 = 90;
/// The longest before its end that a session is given up, in seconds (§10).
const MARGIN: u32 = 32;

/// What has been agreed on.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Expiry {
    agreed: Option<Agreed>,
    /// The highest Min-SE that a 422 has asked for, in seconds.
    min_se: u32,
}

/// A timer that runs.
#[derive(Clone, Copy, Debug)]
struct Agreed {
    /// Seconds.
    interval: u32,
    /// True where the next refresh is ours.
    is_ours: bool,
}

/// What an INVITE of ours says about extensions: Supported, and what it requires and asks for.
pub(in super::super) fn invite_headers(config: &Config) -> Headers {
    let mut headers = vec![supported(config)];
    if config.reliable_provisionals == ReliableProvisionals::Required {
        headers.push((Name::Require.as_str().to_owned(), "100rel".to_owned()));
    }
    if let Some(timer) = config.session_timer {
        set_interval(&mut headers, timer.session_expires, timer.min_se, None);
    }
    headers
}

fn supported(config: &Config) -> (String, String) {
    (Name::Supported.as_str().to_owned(), config.supported().to_owned())
}

/// Session-Expires, and Min-SE where it says more than its default (§5), in place of any.
fn set_interval(headers: &mut Headers, interval: u32, min_se: u32, refresher: Option<Refresher>) {
    let names = [Name::SessionExpires, Name::MinSe];
    headers.retain(|(given, _)| names.iter().all(|name| name.as_str() != given));
    let min_se = min_se.max(LEAST);
    let value = SessionExpires { interval: interval.max(min_se), refresher };
    headers.push((Name::SessionExpires.as_str().to_owned(), value.to_string()));
    if min_se > LEAST {
        headers.push((Name::MinSe.as_str().to_owned(), min_se.to_string()));
    }
}

/// 422, where a request asks for less than we agree to and its sender can be told so (§9).
pub(in super::super) fn too_small(config: &Config, request: &Message) -> Option<Answer> {
    let least = config.session_timer?.min_se.max(LEAST);
    SessionExpires::of(request).filter(|asked| asked.interval < least && request.supports("timer"))?;
    Some(Answer::new(StatusCode::SESSION_INTERVAL_TOO_SMALL).header(Name::MinSe, least.to_string()))
}

impl At {
    /// What a re-INVITE or UPDATE of ours says about extensions (§7.4).
    pub(super) fn session_headers(&self, core: &Core) -> Headers {
        // A provisional to a re-INVITE would only delay it: nothing is asked to be reliable there.
        let options = core.config.supported().trim_start_matches("100rel, ");
        let mut headers = vec![(Name::Supported.as_str().to_owned(), options.to_owned())];
        if let (Some(_), Some(agreed)) = (core.config.session_timer, self.expiry.agreed) {
            let refresher = if agreed.is_ours { Refresher::Uac } else { Refresher::Uas };
            set_interval(&mut headers, agreed.interval, self.expiry.min_se, Some(refresher));
        }
        headers
    }

    /// A 2xx to a request of ours says what holds (§7.2): without Session-Expires, nothing.
    pub(super) fn agree_as_uac(&mut self, core: &mut Core, response: &Message) {
        let Some(SessionInterval { min_se, .. }) = core.config.session_timer else { return };
        self.expiry.agreed = SessionExpires::of(response).map(|given| Agreed {
            // Below what we have asked for it would only have us send the faster.
            interval: given.interval.max(min_se),
            is_ours: given.refresher != Some(Refresher::Uas),
        });
        self.arm(core);
    }

    /// What our 2xx to a request of the peer's says, and from then on holds (§9, table 2).
    pub(super) fn agree_as_uas(&mut self, core: &mut Core, server: ServerId) -> Headers {
        let mut headers = vec![supported(&core.config)];
        let request = core.servers.table.get(&server).and_then(|tx| tx.request.as_ref());
        let (Some(timer), Some(request)) = (core.config.session_timer, request) else { return headers };
        let is_known = request.supports("timer");
        let (asked, least) = (SessionExpires::of(request), min_se(request).unwrap_or(LEAST));
        let ours = timer.session_expires.max(least);
        let granted = match asked {
            Some(asked) => Some(SessionExpires {
                interval: asked.interval.min(ours).max(least).max(LEAST),
                // A peer that does not know of timers refreshes nothing; one that leaves it open leaves it to us.
                refresher: Some(asked.refresher.filter(|_| is_known).unwrap_or(Refresher::Uas)),
            }),
            None if is_known => Some(SessionExpires { interval: ours, refresher: Some(Refresher::Uas) }),
            None => None,
        };
        if let Some(granted) = granted {
            headers.push((Name::SessionExpires.as_str().to_owned(), granted.to_string()));
            if granted.refresher == Some(Refresher::Uac) {
                headers.push((Name::Require.as_str().to_owned(), "timer".to_owned()));
            }
        }
        self.expiry.agreed = granted
            .map(|granted| Agreed { interval: granted.interval, is_ours: granted.refresher == Some(Refresher::Uas) });
        self.arm(core);
        headers
    }

    /// §10: half of the interval where the refresh is ours; and in any case an end, the lesser of 32 s and a third of the
    /// interval before the peer's.
    fn arm(&self, core: &mut Core) {
        self.stop(core, SessionTimer::Renew);
        self.stop(core, SessionTimer::Expire);
        if let Some(Agreed { interval, is_ours }) = self.expiry.agreed {
            let end = interval.saturating_sub(MARGIN.min(interval / 3));
            self.start(core, SessionTimer::Expire, Duration::from_secs(end.into()));
            if is_ours {
                self.start(core, SessionTimer::Renew, Duration::from_secs((interval / 2).into()));
            }
        }
    }

    /// A refresh that came to nothing is tried again, while there is time.
    pub(super) fn renew_later(&self, core: &mut Core) {
        if let Some(Agreed { interval, is_ours: true }) = self.expiry.agreed {
            self.start(core, SessionTimer::Renew, Duration::from_secs((interval / 8).into()));
        }
    }

    /// A 422 says how long it must be at least (§7.3); false where it says nothing that we could follow.
    pub(super) fn raise_interval(&mut self, refusal: Option<&Message>) -> bool {
        let Some(least) = refusal.and_then(min_se).filter(|least| *least > self.expiry.min_se) else { return false };
        self.expiry.min_se = least;
        true
    }
}

impl Session {
    /// Our INVITE has met 422: it is sent again with what the peer wants (§7.3). False where it is left as it is.
    pub(in super::super) fn ask_for_longer(
        &mut self,
        core: &mut Core,
        exchange: ExchangeId,
        refusal: &Message,
    ) -> bool {
        let (State::Calling(state), Some(timer)) = (&mut self.state, core.config.session_timer) else { return false };
        if !state.is_wanted() || state.too_small >= MAX_TOO_SMALL || !self.at.raise_interval(Some(refusal)) {
            return false;
        }
        state.too_small += 1;
        let (min_se, cseq) = (self.at.expiry.min_se, core.cseq_of(exchange) + 1);
        core.send_changed(exchange, cseq, |headers| set_interval(headers, timer.session_expires, min_se, None));
        true
    }

    /// It is our turn to refresh.
    pub(super) fn renew(self, core: &mut Core) -> Option<Self> {
        if !self.is_confirmed() || !self.at.offers.is_idle() || self.at.late_ack.is_some() {
            self.at.renew_later(core);
            return Some(self);
        }
        match self.at.described.clone().filter(|_| !self.at.peer.update) {
            Some(described) => self.change(core, Method::Invite, Some(described), Why::Refresh),
            None => self.change(core, Method::Update, None, Why::Refresh),
        }
    }

    /// Nobody has refreshed it (§10).
    pub(super) fn expired(self, core: &mut Core) -> Option<Self> {
        self.lost(core, vec![reason(408, "Session expired")], Loss::Expired)
    }
}
