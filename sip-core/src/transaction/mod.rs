//! The four transactions of RFC 3261 §17, with the Accepted states of RFC 6026 and the non-INVITE rules of RFC 4320,
//! as pure state machines: one file a machine, one struct a state, consumed and returned.
//!
//! A machine never sees a message. It is told what *kind* of thing happened ([`ClientInput`], [`ServerInput`]) and
//! answers with what to do ([`Action`]); whoever drives it keeps the bytes, the timers and the addresses. So each
//! machine reads like its figure, and a table test is the figure.
//!
//! [`key`] holds the matching rules (§17.1.3, §17.2.3) and the detection of merged requests (§8.2.2.2).

#[doc(hidden)]
pub mod fuzz;
pub mod invite_client;
pub mod invite_server;
pub mod key;
pub mod non_invite_client;
pub mod non_invite_server;

pub use invite_client::InviteClient;
pub use invite_server::InviteServer;
pub use key::{ClientKey, MergeKey, RequestParts, ServerKey};
pub use non_invite_client::NonInviteClient;
pub use non_invite_server::NonInviteServer;

use smallvec::SmallVec;
use std::time::Duration;

/// The default of T1, the round-trip estimate (RFC 3261 §17.1.1.1).
pub const T1: Duration = Duration::from_millis(500);
/// The default of T2, the longest interval between retransmissions of a non-INVITE request or a response to INVITE
/// (RFC 3261 §17.1.2.2).
pub const T2: Duration = Duration::from_secs(4);
/// The default of T4, the longest that a message stays in the network (RFC 3261 §17.1.2.2).
pub const T4: Duration = Duration::from_secs(5);
/// How long the user of an INVITE server transaction may be silent before 100 (Trying) is sent for it (§17.2.1).
pub const TRYING_AFTER: Duration = Duration::from_millis(200);
/// The least of Timer D on an unreliable transport (RFC 3261 §17.1.1.2).
pub const TIMER_D: Duration = Duration::from_secs(32);

/// What all intervals of a transaction derive from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intervals {
    /// The round-trip estimate.
    pub t1: Duration,
    /// The cap of the doubling.
    pub t2: Duration,
    /// The life of a message in the network.
    pub t4: Duration,
    /// True over TCP and TLS: nothing is retransmitted by the transaction and nothing waited out (§17.1.1.2).
    pub reliable: bool,
}

impl Intervals {
    /// The RFC's defaults over a transport that is reliable or not.
    #[must_use]
    pub const fn defaults(reliable: bool) -> Self {
        Self { t1: T1, t2: T2, t4: T4, reliable }
    }

    /// 64·T1: how long a transaction tries (timers B, F, H, J, L, M).
    #[must_use]
    pub const fn patience(&self) -> Duration {
        self.t1.saturating_mul(64)
    }

    /// Timer D: 32 s or more over UDP, none on a stream. Grows with T1, since it answers to the peer's Timer H.
    fn timer_d(&self) -> Duration {
        if self.reliable { Duration::ZERO } else { self.patience().max(TIMER_D) }
    }

    /// Timers I and K: T4 over UDP, none on a stream.
    fn linger(&self) -> Duration {
        if self.reliable { Duration::ZERO } else { self.t4 }
    }

    /// Twice the interval, at most T2.
    fn backed_off(&self, interval: Duration) -> Duration {
        interval.saturating_mul(2).min(self.t2)
    }
}

/// The timers of RFC 3261 Table 4 and RFC 6026 §8.4, by their letters. Timer C is a proxy's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// INVITE request retransmission, unreliable transports only.
    A,
    /// INVITE client gives up.
    B,
    /// Wait for retransmitted final responses to INVITE.
    D,
    /// Non-INVITE request retransmission, unreliable transports only.
    E,
    /// Non-INVITE client gives up.
    F,
    /// Retransmission of a final response to INVITE.
    G,
    /// Wait for the ACK.
    H,
    /// Wait for retransmitted ACKs.
    I,
    /// Wait for retransmitted non-INVITE requests.
    J,
    /// Wait for retransmitted non-INVITE responses.
    K,
    /// Wait for retransmitted INVITEs after a 2xx (RFC 6026).
    L,
    /// Wait for retransmitted or further 2xx (RFC 6026).
    M,
    /// The 200 ms of §17.2.1 after which 100 (Trying) goes out by itself.
    Trying,
}

/// A response's class, as far as a transaction cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// 1xx.
    Provisional,
    /// 2xx.
    Success,
    /// 3xx, 4xx, 5xx and 6xx.
    Failure,
}

impl Class {
    /// The class of a status code; codes out of range count as failures, as §8.1.3.2 treats what it does not know.
    #[must_use]
    pub const fn of(code: u16) -> Self {
        match code {
            100..=199 => Self::Provisional,
            200..=299 => Self::Success,
            _ => Self::Failure,
        }
    }
}

/// What can happen to a client transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientInput {
    /// A response that matches it.
    Response(Class),
    /// One of its timers.
    Fired(Timer),
    /// The transport could not deliver (§17.1.4).
    TransportError,
    /// Its user has no more use for it: a cancelled INVITE that nobody answered within 64·T1 (§9.1).
    Abandon,
}

/// What can happen to a server transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerInput {
    /// The request that made it, once more.
    Request,
    /// An ACK that matches it (INVITE only).
    Ack,
    /// Its user hands down a response.
    Reply(Class),
    /// One of its timers.
    Fired(Timer),
    /// The transport could not deliver (§17.2.4).
    TransportError,
}

/// What a transaction asks of whoever drives it, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Put the message on the wire: a client's request, or the response that a server's user has just handed down.
    Send,
    /// The same bytes once more.
    Resend,
    /// Make 100 (Trying), keep it as the last response, send it.
    SendTrying,
    /// Make (or repeat) the ACK of the non-2xx final response at hand (§17.1.1.3) and send it.
    SendAck,
    /// Hand the message at hand to the transaction's user.
    Deliver,
    /// Tell the user that nobody answered in time.
    TimedOut,
    /// Tell the user that the transport failed.
    TransportFailed,
    /// Start a timer, in place of an earlier setting.
    Start(Timer, Duration),
    /// Stop a timer.
    Stop(Timer),
}

/// The actions of one transition.
pub type Actions = SmallVec<[Action; 4]>;

/// A non-INVITE or INVITE client, so that one table can hold both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    /// Figure 5.
    Invite(InviteClient),
    /// Figure 6.
    NonInvite(NonInviteClient),
}

impl Client {
    /// The machine for a method, begun: its request is to be sent.
    #[must_use]
    pub fn begin(invite: bool, intervals: &Intervals) -> (Self, Actions) {
        if invite {
            let (machine, actions) = InviteClient::begin(intervals);
            (Self::Invite(machine), actions)
        } else {
            let (machine, actions) = NonInviteClient::begin(intervals);
            (Self::NonInvite(machine), actions)
        }
    }

    /// One step.
    #[must_use]
    pub fn on(self, input: ClientInput, intervals: &Intervals) -> (Self, Actions) {
        match self {
            Self::Invite(machine) => {
                let (machine, actions) = machine.on(input, intervals);
                (Self::Invite(machine), actions)
            }
            Self::NonInvite(machine) => {
                let (machine, actions) = machine.on(input, intervals);
                (Self::NonInvite(machine), actions)
            }
        }
    }

    /// True once it may be forgotten.
    #[must_use]
    pub const fn is_terminated(&self) -> bool {
        matches!(self, Self::Invite(InviteClient::Terminated) | Self::NonInvite(NonInviteClient::Terminated))
    }
}

/// A non-INVITE or INVITE server, so that one table can hold both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// Figure 7.
    Invite(InviteServer),
    /// Figure 8.
    NonInvite(NonInviteServer),
}

impl Server {
    /// The machine for a method, begun: its request is to be delivered.
    #[must_use]
    pub fn begin(invite: bool) -> (Self, Actions) {
        if invite {
            let (machine, actions) = InviteServer::begin();
            (Self::Invite(machine), actions)
        } else {
            let (machine, actions) = NonInviteServer::begin();
            (Self::NonInvite(machine), actions)
        }
    }

    /// One step.
    #[must_use]
    pub fn on(self, input: ServerInput, intervals: &Intervals) -> (Self, Actions) {
        match self {
            Self::Invite(machine) => {
                let (machine, actions) = machine.on(input, intervals);
                (Self::Invite(machine), actions)
            }
            Self::NonInvite(machine) => {
                let (machine, actions) = machine.on(input, intervals);
                (Self::NonInvite(machine), actions)
            }
        }
    }

    /// True once it may be forgotten.
    #[must_use]
    pub const fn is_terminated(&self) -> bool {
        matches!(self, Self::Invite(InviteServer::Terminated) | Self::NonInvite(NonInviteServer::Terminated))
    }
}
