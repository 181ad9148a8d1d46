//! What an endpoint is told once: who it is, and how much it may hold.

use super::gate::GateRates;
use crate::message::Method;
use crate::transaction;
use crate::transport::{Local, LocalId, Transport};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Max-Forwards of a request that begins with us (RFC 3261 §8.1.1.6).
pub const MAX_FORWARDS: u8 = 70;

/// The most transactions at once, client and server together: two a call, and four of one that is bridged, each remembered
/// for 64·T1 with about a kilobyte. Beyond it a new request is answered 503 without state, and a request of ours is refused
/// ([`super::Refused::Full`]).
pub const MAX_TRANSACTIONS: usize = 500_000;
/// The most INVITE sessions at once. Beyond it a new INVITE is answered 503 with Retry-After, and
/// [`super::Endpoint::invite`] is refused.
pub const MAX_SESSIONS: usize = 20_000;
/// The most stream connections at once, opened and accepted. Beyond it an accepted one is closed, and one that we need
/// counts as a transport failure.
pub const MAX_FLOWS: usize = 10_000;
/// How long a stream that no dialog and no transaction uses is kept. Shorter than 64·T1, so that an endpoint at rest
/// holds nothing.
pub const FLOW_IDLE: Duration = Duration::from_secs(30);
/// How long a stream may take to stand before the next address is tried.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// How long a message may be in pieces on a stream before the stream is closed (slow senders hold buffers).
pub const PARTIAL_MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a name may take to resolve before it counts as unresolved.
pub const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an INVITE of ours may ring where its caller names no limit (what Timer C is to a proxy, RFC 3261 §16.6).
pub const RING_TIMEOUT: Duration = Duration::from_secs(180);
/// How long an INVITE of a peer's may stay without a final answer from our user before it is answered 480.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
/// How long our user may take over a re-INVITE or UPDATE before it is answered 488, the old session standing (§14.2).
/// Below the 32 s after which a peer gives up a non-INVITE request.
pub const REOFFER_TIMEOUT: Duration = Duration::from_secs(20);
/// How long our user may take over a request outside of sessions before it is answered 500. Below the time after which
/// its sender has stopped doubling its retransmissions (T2).
pub const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(4);
/// The most requests outside of sessions that wait for our user's answer at once. Beyond them 503, without state.
pub const MAX_ARRIVALS: usize = 1_024;
/// How often an unanswered INVITE's last provisional is repeated, so that no proxy gives up (§13.3.1.1). Where there has been
/// none but a 100, 183 (Session Progress) is the first.
pub const PROVISIONAL_REFRESH: Duration = Duration::from_secs(60);
/// The most addresses of one next hop that one request tries.
pub const MAX_ADDRESSES: usize = 4;
/// The largest request, in bytes, that goes in a datagram where its transport is ours to choose (RFC 3261 §18.1.1).
pub const MAX_DATAGRAM: usize = 1_300;
/// The most forks of one INVITE that are followed; 2xx of further ones go without an ACK, and end by themselves.
pub const MAX_FORKS: usize = 16;
/// How many transactions beyond [`MAX_TRANSACTIONS`] are kept for requests inside dialogs, so that a flood of new calls
/// leaves room for the BYEs of those that stand. Beyond them 503.
pub const IN_DIALOG_RESERVE: usize = 4_096;
/// How long our user may take over a request inside a dialog (INFO, MESSAGE, NOTIFY, SUBSCRIBE, REFER) before it is answered
/// 500. Far below the 32 s after which its sender gives up.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(4);
/// The most requests of a peer's inside one session that wait for our user, and the most of ours that wait for the peer. A
/// further one of the peer's is answered 500 with Retry-After, one of ours is refused ([`super::Refused::Full`]).
pub const MAX_OPEN_REQUESTS: usize = 8;
/// The most REFERs of a peer's in one session that are being followed at once. A further one is answered 500.
pub const MAX_REFERS: usize = 4;
/// How long the implicit subscription of a REFER lasts, either way (RFC 3515 §2.4.4): longer than the call it brings about
/// may ring. One of ours then ends with a 408 of our own making, one of the peer's with a NOTIFY that says so.
pub const REFER_EXPIRES: Duration = Duration::from_secs(240);
/// How long our user may take over an offer that came in an answer to an offerless INVITE of ours (in a 2xx or a reliable
/// provisional) before the call is ended: its sender repeats itself until the answer comes.
pub const LATE_ANSWER_TIMEOUT: Duration = Duration::from_secs(4);
/// The most provisional responses that wait for an earlier one's PRACK (RFC 3262 §3). A further one without a description
/// is not sent; one with a description takes the place of the last.
pub const MAX_UNACKNOWLEDGED: usize = 4;
/// How often a request that met 422 is sent again with a longer interval (RFC 4028 §7.3).
pub const MAX_TOO_SMALL: u32 = 2;
/// How often a re-INVITE that met 491 is tried again.
pub const MAX_GLARE_RETRIES: u32 = 3;
/// The most bytes that wait for one stream to open. A message beyond them counts as a transport failure.
pub const MAX_UNOPENED_BYTES: usize = 256 * 1024;
/// Seconds in the Retry-After of a 503.
pub const RETRY_AFTER: u32 = 10;
/// The most timers that fire on one wake; those left ask to be woken at once, so that inputs come between.
pub const MAX_FIRED_PER_WAKE: usize = 1_024;

/// Whether provisional responses other than 100 are acknowledged (RFC 3262).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReliableProvisionals {
    /// Not spoken of, and a peer that requires it is answered 420. (One that sends them unasked gets its PRACK.)
    Off,
    /// Supported. As callee those with a session description are sent reliably to a caller that supports it, all of them
    /// to one that requires it.
    #[default]
    Supported,
    /// Required: a caller that does not support it is answered 421.
    Required,
}

/// How long a session lives without a refresh (RFC 4028).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionInterval {
    /// Seconds that we ask for.
    pub session_expires: u32,
    /// The least that we agree to, in seconds; not below 90 (§4).
    pub min_se: u32,
}

impl Default for SessionInterval {
    fn default() -> Self {
        Self { session_expires: 1_800, min_se: 90 }
    }
}

/// What an endpoint is told once.
#[derive(Clone, Debug)]
pub struct Config {
    /// The bound listeners.
    pub locals: Vec<Local>,
    /// Networks (address, prefix length) whose peers are told [`Local::inside`] in place of [`Local::advertised`].
    pub local_net: Vec<(IpAddr, u8)>,
    /// Host names that are us, beside our addresses. Where there are none, any host in a Request-URI is us; else a
    /// request for another name is answered 404 (RFC 3261 §8.2.2.1).
    pub domains: Vec<String>,
    /// The methods of which requests outside of dialogs are told to the user before anything is done for them
    /// ([`super::Event::Arrived`]). Of the others, INVITE opens a session at once, OPTIONS is answered 200, and the rest
    /// is refused.
    pub handed_up: Vec<Method>,
    /// How much is let in of strangers; none lets everything in.
    pub gate: Option<GateRates>,
    /// User-Agent and Server.
    pub user_agent: String,
    /// The round-trip estimate (RFC 3261 §17.1.1.1).
    pub t1: Duration,
    /// The longest interval between retransmissions.
    pub t2: Duration,
    /// The life of a message in the network.
    pub t4: Duration,
    /// PRACK.
    pub reliable_provisionals: ReliableProvisionals,
    /// Session timers; nothing: not spoken of, and a peer that requires them is answered 420.
    pub session_timer: Option<SessionInterval>,
    /// [`MAX_TRANSACTIONS`].
    pub max_transactions: usize,
    /// [`MAX_SESSIONS`].
    pub max_sessions: usize,
    /// [`MAX_FLOWS`].
    pub max_flows: usize,
    /// [`FLOW_IDLE`].
    pub flow_idle: Duration,
    /// [`CONNECT_TIMEOUT`].
    pub connect_timeout: Duration,
}

impl Config {
    /// The defaults over these listeners.
    #[must_use]
    pub fn new(locals: Vec<Local>) -> Self {
        Self {
            locals,
            local_net: Vec::new(),
            domains: Vec::new(),
            handed_up: Vec::new(),
            gate: None,
            user_agent: format!("Tandem/{}", env!("CARGO_PKG_VERSION")),
            t1: transaction::T1,
            t2: transaction::T2,
            t4: transaction::T4,
            reliable_provisionals: ReliableProvisionals::default(),
            session_timer: Some(SessionInterval::default()),
            max_transactions: MAX_TRANSACTIONS,
            max_sessions: MAX_SESSIONS,
            max_flows: MAX_FLOWS,
            flow_idle: FLOW_IDLE,
            connect_timeout: CONNECT_TIMEOUT,
        }
    }

    /// The intervals of a transaction over this transport.
    #[must_use]
    pub const fn intervals(&self, transport: Transport) -> transaction::Intervals {
        transaction::Intervals { t1: self.t1, t2: self.t2, t4: self.t4, reliable: transport.is_reliable() }
    }

    /// The extensions that a peer may require, as Supported lists them (RFC 3261 §20.37).
    #[must_use]
    pub const fn supported(&self) -> &'static str {
        match (self.reliable_provisionals, self.session_timer) {
            (ReliableProvisionals::Off, None) => "replaces, norefersub",
            (ReliableProvisionals::Off, Some(_)) => "timer, replaces, norefersub",
            (_, None) => "100rel, replaces, norefersub",
            (_, Some(_)) => "100rel, timer, replaces, norefersub",
        }
    }

    /// True for an extension that is among them.
    #[must_use]
    pub fn supports(&self, option: &str) -> bool {
        self.supported().split(", ").any(|known| known.eq_ignore_ascii_case(option))
    }

    /// The listener of this number.
    #[must_use]
    pub fn local(&self, id: LocalId) -> Option<&Local> {
        self.locals.iter().find(|local| local.id == id)
    }

    /// The listener from which this peer is reached: the same family, and a loopback address only for loopback peers.
    #[must_use]
    pub fn local_toward(&self, transport: Transport, peer: IpAddr) -> Option<&Local> {
        let fits = |local: &&Local| {
            let ip = local.bound.ip();
            local.transport == transport && ip.is_ipv4() == peer.is_ipv4() && (!ip.is_loopback() || peer.is_loopback())
        };
        self.locals.iter().find(fits)
    }

    /// What Via and Contact name of a listener toward a peer.
    #[must_use]
    pub fn face(&self, local: &Local, peer: IpAddr) -> SocketAddr {
        let inside = self.local_net.iter().any(|(net, prefix)| is_within(peer, *net, *prefix));
        if inside { local.inside } else { local.advertised }
    }
}

/// True for an address whose first `prefix` bits are those of `net`.
pub(super) fn is_within(ip: IpAddr, net: IpAddr, prefix: u8) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        let host_bits = width.saturating_sub(u32::from(prefix));
        a.checked_shr(host_bits).unwrap_or(0) == b.checked_shr(host_bits).unwrap_or(0)
    };
    match (ip.to_canonical(), net) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_shares_its_prefix() {
        let within = |ip: &str, net: &str, prefix| is_within(ip.parse().unwrap(), net.parse().unwrap(), prefix);
        assert!(within("10.1.2.3", "10.0.0.0", 8));
        assert!(within("::ffff:10.1.2.3", "10.0.0.0", 8));
        assert!(within("203.0.113.9", "0.0.0.0", 0));
        assert!(within("fd00::1", "fd00::", 8));
        assert!(!within("11.1.2.3", "10.0.0.0", 8));
        assert!(!within("10.0.0.2", "10.0.0.1", 32));
        assert!(!within("fe80::1", "10.0.0.0", 0));
    }
}
