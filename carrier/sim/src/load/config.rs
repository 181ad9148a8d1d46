//! What a load is told once: whom it calls, how often, for how long, and what a call is like.

use super::LoadError;
use super::pace::Pace;
use media::{PortRange, Prompt};
use sip_core::auth::Credentials;
use sip_core::endpoint::NextHop;
use sip_core::transport::Local;
use sip_core::uri::Uri;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// Calls that stand or are under way at once, in all shards together, unless told otherwise. A call that is due beyond
/// it is not started, and counted as such.
pub const MAX_IN_FLIGHT: u64 = 50_000;
/// How long an INVITE may ring, unless told otherwise; then CANCEL.
pub const RING_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a key is held, and the pause after it, in milliseconds.
pub const DIGIT_MS: u16 = 100;
/// The widest number in a [`Numbering`]; a wider one is refused (no more digits are in 64 bits).
pub const MAX_WIDTH: usize = 20;

/// What one shard of a load is told. [`LoadConfig::new`] gives the defaults.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// The bound listeners of this shard.
    pub locals: Vec<Local>,
    /// Whom every call is for; its user part is [`LoadConfig::to`]'s where there is one.
    pub target: Uri,
    /// Where the INVITEs are sent.
    pub next_hop: NextHop,
    /// The user part of From and Contact.
    pub from: Numbering,
    /// The user part of the Request-URI and To.
    pub to: Option<Numbering>,
    /// What answers a challenge.
    pub credentials: Option<Credentials>,
    /// When calls are due.
    pub pace: Pace,
    /// When the first call is due (monotonic nanoseconds).
    pub start_at: u64,
    /// No more calls than these, in all shards together.
    pub calls: Option<u64>,
    /// No call is due from then on, counted from the start.
    pub duration: Option<Duration>,
    /// How long a call stands after its answer. `None`: until the end of the load.
    pub hold: Option<Duration>,
    /// So many calls are kept up, in all shards together, as fast as the pace allows: a call that is due while they are
    /// up is left out, and not counted as due. `None`: every call that is due is started.
    pub held: Option<u64>,
    /// Calls that stand or are under way at once, in all shards together ([`MAX_IN_FLIGHT`]).
    pub max_in_flight: u64,
    /// Which part of the load this is.
    pub share: Share,
    /// How long an INVITE may ring ([`RING_TIMEOUT`]).
    pub ring_timeout: Duration,
    /// What is sent and heard.
    pub media: Media,
    /// Keys that are pressed once a call is answered (RFC 4733), [`DIGIT_MS`] each and as long between them. They want
    /// [`Media::Streams`].
    pub digits: Option<String>,
    /// Calls offer SRTP and nothing else (RFC 4568).
    pub srtp: bool,
    /// Calls that come are answered: the other leg of a bridge. Otherwise they are refused.
    pub answers: bool,
    /// The network's estimate of the round trip (RFC 3261 §17.1.1.1).
    pub t1: Duration,
}

impl LoadConfig {
    /// One call after the other at this pace, each hung up as soon as it is answered, without media: its description
    /// names `sink`, where nobody listens.
    #[must_use]
    pub fn new(locals: Vec<Local>, target: Uri, next_hop: NextHop, pace: Pace, sink: SocketAddr) -> Self {
        Self {
            locals,
            target,
            next_hop,
            from: Numbering::text("load"),
            to: None,
            credentials: None,
            pace,
            start_at: 0,
            calls: None,
            duration: None,
            hold: Some(Duration::ZERO),
            held: None,
            max_in_flight: MAX_IN_FLIGHT,
            share: Share::WHOLE,
            ring_timeout: RING_TIMEOUT,
            media: Media::Sink(sink),
            digits: None,
            srtp: false,
            answers: false,
            t1: sip_core::transaction::T1,
        }
    }

    /// When call `n` is due (monotonic nanoseconds); `None` where there is no such call any more.
    pub(super) fn due(&self, n: u64) -> Option<u64> {
        let after = self.pace.due(n);
        let wanted = self.calls.is_none_or(|calls| n < calls) && self.duration.is_none_or(|all| after < all);
        wanted.then(|| self.start_at.saturating_add(u64::try_from(after.as_nanos()).unwrap_or(u64::MAX)))
    }
}

/// What is sent and heard while a call stands.
#[derive(Clone, Debug)]
pub enum Media {
    /// Nothing is sent, and what comes is not heard: every description names this one port.
    Sink(SocketAddr),
    /// A port and a stream a call, PCMU at 20 ms.
    Streams {
        /// Where.
        ip: IpAddr,
        /// This shard's ports.
        ports: PortRange,
        /// What is sent.
        source: Source,
    },
}

/// What a stream sends.
#[derive(Clone, Debug)]
pub enum Source {
    /// This, over and over.
    Prompt(Arc<Prompt>),
    /// What it hears.
    Echo,
}

/// Which calls of a load are a shard's: every `of`th, from `shard` on. Shards need not speak with each other for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// From 0.
    pub shard: u64,
    /// How many shards there are, from 1.
    pub of: u64,
}

impl Share {
    /// All of it.
    pub const WHOLE: Self = Self { shard: 0, of: 1 };

    /// The shard's `i`th call of all.
    pub(super) const fn nth(self, i: u64) -> u64 {
        self.shard.saturating_add(i.saturating_mul(self.of))
    }

    /// The shard's part of a number; all parts add up to it.
    #[must_use]
    pub const fn part(self, total: u64) -> u64 {
        let of = if self.of == 0 { 1 } else { self.of };
        total / of + if self.shard < total % of { 1 } else { 0 }
    }
}

/// A user part with the call's number in it: `%n`, or `%6n` for at least six digits; `%%` is a percent sign.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbering(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Number { width: usize },
}

impl Numbering {
    /// The same for every call.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self(vec![Piece::Text(text.to_owned())])
    }

    /// That of call `n`.
    #[must_use]
    pub fn of(&self, n: u64) -> String {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                // Writing to a `String` does not fail.
                Piece::Number { width } => _ = write!(text, "{n:0width$}"),
            }
        }
        text
    }
}

impl FromStr for Numbering {
    type Err = LoadError;

    fn from_str(text: &str) -> Result<Self, LoadError> {
        let bad = || LoadError::Numbering(text.to_owned());
        let mut parts = text.split('%');
        let mut pieces = vec![Piece::Text(parts.next().unwrap_or_default().to_owned())];
        while let Some(part) = parts.next() {
            if part.is_empty() {
                // Between two percent signs; what follows the second is text.
                pieces.push(Piece::Text(format!("%{}", parts.next().ok_or_else(bad)?)));
                continue;
            }
            let (width, rest) = part.split_once('n').ok_or_else(bad)?;
            let width = if width.is_empty() { Some(1) } else { width.parse().ok() };
            pieces
                .push(Piece::Number { width: width.filter(|width| (1..=MAX_WIDTH).contains(width)).ok_or_else(bad)? });
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_numbering_carries_the_calls_number() {
        let of = |text: &str, n| text.parse::<Numbering>().map(|numbering| numbering.of(n));
        assert_eq!(of("+1555%7n", 42).unwrap(), "+15550000042");
        assert_eq!(of("u%n-%n", 7).unwrap(), "u7-7");
        assert_eq!(of("100%%", 7).unwrap(), "100%");
        assert_eq!(of("plain", 7).unwrap(), "plain");
        for bad in ["50%", "%d", "%21n", "%0n", "%-1n"] {
            assert!(of(bad, 1).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_shares_of_a_number_add_up_to_it() {
        for of in 1..7 {
            let parts = (0..of).map(|shard| Share { shard, of }.part(20));
            assert_eq!(parts.sum::<u64>(), 20);
        }
        let second = Share { shard: 1, of: 3 };
        assert_eq!([0, 1, 2].map(|i| second.nth(i)), [1, 4, 7]);
    }
}
