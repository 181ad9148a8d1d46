//! What an endpoint's timers are called. Equal deadlines fire in the order of these keys (`base::Timers`).

use super::exchange::ExchangeId;
use super::transactions::{ClientId, ServerId};
use super::{InDialogId, InboundId, ReferId, SessionId};
use crate::transaction::Timer;
use crate::transport::FlowId;

/// One timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum TimerKey {
    /// A client transaction's own.
    Client(ClientId, Timer),
    /// A CANCEL went out for this INVITE: without a final response in 64·T1 it is given up (RFC 3261 §9.1).
    Canceled(ClientId),
    /// A server transaction's own.
    Server(ServerId, Timer),
    /// A stream.
    Flow(FlowId, FlowTimer),
    /// A request of ours on its way to an answer.
    Exchange(ExchangeId, ExchangeTimer),
    /// A session.
    Session(SessionId, SessionTimer),
    /// Our user should have answered this request by now.
    Arrival(InboundId),
}

/// The timers of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum FlowTimer {
    /// It should stand by now.
    Connect,
    /// The message begun should be whole by now.
    Partial,
    /// It may have been idle too long.
    Idle,
}

/// The timers of a request of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum ExchangeTimer {
    /// The name should be resolved by now.
    Resolve,
    /// The address should have said something by now.
    Try,
}

/// The timers of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum SessionTimer {
    /// Our INVITE or re-INVITE has rung long enough.
    Ring,
    /// Our user should have answered the peer's INVITE by now.
    Answer,
    /// The last provisional is to be repeated (§13.3.1.1).
    Refresh,
    /// The 2xx is to be repeated (§13.3.1.4).
    Repeat2xx,
    /// The ACK should have come by now (§13.3.1.4).
    AckWait,
    /// Our user should have answered the peer's re-INVITE by now.
    Reoffer,
    /// A re-INVITE that met 491 is due again (§14.1).
    Glare,
    /// The reliable provisional is to be repeated (RFC 3262 §3).
    RepeatReliable,
    /// Its PRACK should have come by now (RFC 3262 §3).
    PrackWait,
    /// Our user should have answered the offer in a 2xx or a reliable provisional by now.
    LateAnswer,
    /// The session is to be refreshed (RFC 4028 §7.2).
    Renew,
    /// The session has not been refreshed (RFC 4028 §10).
    Expire,
    /// The peer should have told what became of our REFER by now.
    Referral,
    /// Our user should have answered this request of the peer's by now.
    Request(InDialogId),
    /// Our user should have answered this REFER by now; later: its subscription ends.
    Refer(ReferId),
}

impl SessionTimer {
    /// All that are not one request's: what a session stops when it ends.
    pub(super) const ALL: [Self; 13] = [
        Self::Ring,
        Self::Answer,
        Self::Refresh,
        Self::Repeat2xx,
        Self::AckWait,
        Self::Reoffer,
        Self::Glare,
        Self::RepeatReliable,
        Self::PrackWait,
        Self::LateAnswer,
        Self::Renew,
        Self::Expire,
        Self::Referral,
    ];

    /// Its place among [`SessionTimer::ALL`], as a bit; 0 for one request's.
    pub(super) fn bit(self) -> u16 {
        Self::ALL.iter().position(|timer| *timer == self).map_or(0, |place| 1 << place)
    }
}
