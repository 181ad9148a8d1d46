//! Where messages travel: transports, local listeners, stream flows, and what crosses between the pure core and the
//! sockets at the rim (RFC 3261 §18, RFC 3581).
//!
//! Nothing here owns a socket: [`Input`] is what the rim has seen, [`Effect`] is what it is asked to do.

pub mod framing;
pub mod locate;
mod nat;

pub use locate::Records;
pub use nat::is_behind_nat;

use bytes::Bytes;
use std::fmt;
use std::net::SocketAddr;

/// A transport protocol (RFC 3261 §18, RFC 7118).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams, one message each.
    Udp,
    /// A stream.
    Tcp,
    /// A stream inside TLS.
    Tls,
    /// Messages over a WebSocket (RFC 7118), one SIP message each; only its client opens one.
    Ws,
    /// The same inside TLS.
    Wss,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];

    /// True where each message of the transport is one SIP message, so that nothing has to be framed (RFC 7118 §4.2).
    #[must_use]
    pub const fn is_websocket(self) -> bool {
        matches!(self, Self::Ws | Self::Wss)
    }

    /// True inside TLS.
    #[must_use]
    pub const fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }

    /// What a URI's `transport` parameter says: over TLS, `sips` says the rest (RFC 7118 §5.4 and RFC 3261 §26.2.2).
    #[must_use]
    pub const fn in_uri(self) -> Option<&'static str> {
        match self {
            Self::Udp => None,
            Self::Tcp => Some("tcp"),
            Self::Tls => Some("tls"),
            Self::Ws | Self::Wss => Some("ws"),
        }
    }

    /// True where the transport does not lose messages, which turns retransmission off (RFC 3261 §17.1.1.2).
    #[must_use]
    pub const fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// The port used when none is named (RFC 3261 §19.1.2, RFC 7118 §5.4).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }

    /// The name in a Via header: `UDP`, `TCP`, `TLS`, `WS`, `WSS`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One bound listener, numbered by its place in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalId(pub u16);

/// A listener as the core knows it: what is bound, and what peers are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Local {
    /// Its number.
    pub id: LocalId,
    /// Its transport.
    pub transport: Transport,
    /// The address that is bound (the port is known, also where 0 was asked for).
    pub bound: SocketAddr,
    /// What Via and Contact name toward peers: the advertised address, or the bound one.
    pub advertised: SocketAddr,
    /// What they name toward peers inside `local_net`.
    pub inside: SocketAddr,
}

/// One stream connection. The core numbers those it asks to open (even numbers), the rim those it accepts (odd ones).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u64);

/// A question for the resolver, numbered by the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u64);

/// What the rim has seen.
#[derive(Clone, Debug)]
pub enum Input {
    /// A datagram.
    Datagram {
        /// The listener it came to.
        local: LocalId,
        /// The packet's own source, whatever Via says.
        from: SocketAddr,
        /// All of it.
        bytes: Bytes,
    },
    /// ICMP says that a datagram sent from `local` to `to` did not arrive.
    Unreachable {
        /// The listener it left from.
        local: LocalId,
        /// Where it was going.
        to: SocketAddr,
    },
    /// A peer has connected to a listener.
    Accepted {
        /// Its number, odd.
        flow: FlowId,
        /// The listener.
        local: LocalId,
        /// The peer.
        peer: SocketAddr,
    },
    /// A flow that was asked for with [`Effect::Open`] stands (for TLS: the name is verified).
    Opened {
        /// Which.
        flow: FlowId,
        /// Our end of it.
        local_addr: SocketAddr,
    },
    /// Bytes from a stream, as they came.
    Received {
        /// From which flow.
        flow: FlowId,
        /// Some bytes, cut anywhere; of a WebSocket, one message of it.
        bytes: Bytes,
    },
    /// A flow could not be opened, or has ended; it will say nothing more.
    Closed {
        /// Which.
        flow: FlowId,
        /// Why, in words for a log.
        reason: String,
    },
    /// The answer to [`Effect::Resolve`] of a rim without DNS: addresses in the order to be tried, empty where there are
    /// none.
    Resolved {
        /// Which question.
        query: QueryId,
        /// The addresses.
        addresses: Vec<SocketAddr>,
    },
    /// The answer to [`Effect::Resolve`] as DNS gives it, in no order yet.
    Located {
        /// Which question.
        query: QueryId,
        /// What was found.
        records: Records,
    },
    /// The time asked for has come.
    Timeout,
}

/// What the rim is asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send one datagram.
    Transmit {
        /// From this listener.
        local: LocalId,
        /// To this address.
        to: SocketAddr,
        /// All of it.
        bytes: Bytes,
    },
    /// Open a stream.
    Open {
        /// Its number, even.
        flow: FlowId,
        /// TCP or TLS.
        transport: Transport,
        /// The peer's address.
        peer: SocketAddr,
        /// The name that its certificate must carry (TLS): the one the request was meant for, never the address it resolved to.
        server_name: String,
    },
    /// Write to a stream; after a [`Input::Closed`] it goes nowhere.
    Write {
        /// Which flow.
        flow: FlowId,
        /// The bytes.
        bytes: Bytes,
    },
    /// Close a stream, after what was written has left.
    Close {
        /// Which flow.
        flow: FlowId,
    },
    /// Look up what there is of a host (RFC 3263 §4).
    Resolve {
        /// Its number.
        query: QueryId,
        /// The host.
        host: String,
        /// The port, where one is named; without one, SRV records are asked first.
        port: Option<u16>,
        /// The transport it is meant for; without one, NAPTR records are asked before SRV (RFC 3263 §4.1).
        transport: Option<Transport>,
    },
}
