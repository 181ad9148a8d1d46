//! What an endpoint is asked to do, as values.

use crate::auth::Credentials;
use crate::header::NameAddr;
use crate::message::Method;
use crate::transport::{FlowId, LocalId, Transport};
use crate::uri::Uri;
use bytes::Bytes;
use std::time::Duration;

/// One INVITE session, in either role, from its first message to its last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// One request outside of sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// One request of a peer's outside of sessions that its user has been told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InboundId(pub u64);

/// One re-INVITE or UPDATE of a peer's that waits for an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReofferId(pub u64);

/// One request inside a session's dialog, of a peer's or of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InDialogId(pub u64);

/// One REFER of a peer's, and the subscription it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReferId(pub u64);

/// Header fields by name and value. A name that is no token or is the endpoint's own business (Via, From, To, Call-ID,
/// CSeq, Contact, Route, Max-Forwards, Content-Length, Supported, Session-Expires, …) is left out; line breaks in a value cannot leave it.
pub type Headers = Vec<(String, String)>;

/// A body: its Content-Type and its bytes.
pub type Body = (String, Bytes);

/// Where a request is sent, whatever its Request-URI says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// A host name or an address (IPv6 with or without brackets). A name is asked of the resolver, and is what a TLS
    /// certificate must carry.
    pub host: String,
    /// The port; without one the transport's default, or for a name what SRV says.
    pub port: Option<u16>,
    /// The transport.
    pub transport: Transport,
    /// Nobody named the transport: NAPTR and SRV may choose another (RFC 3263 §4.1), and a request that is too large for a
    /// datagram goes over TCP (RFC 3261 §18.1.1).
    pub any_transport: bool,
    /// The connection to be used and no other: whoever is behind it is reached in no other way (RFC 5626 §5.3). Where it
    /// is gone, the request fails at once.
    pub flow: Option<FlowId>,
    /// The UDP listener to send from: a NAT lets in only what comes from where its client has sent to. With it, what
    /// follows in a dialog goes to this hop as well, whatever address the device's Contact names.
    pub local: Option<LocalId>,
}

impl NextHop {
    /// A next hop that is reached as its address says.
    #[must_use]
    pub fn new(host: impl Into<String>, port: Option<u16>, transport: Transport) -> Self {
        Self { host: host.into(), port, transport, any_transport: false, flow: None, local: None }
    }

    /// Over UDP, or what else the name's records or the request's size ask for.
    #[must_use]
    pub const fn any_transport(mut self) -> Self {
        self.any_transport = true;
        self
    }

    /// Over this connection and no other.
    #[must_use]
    pub const fn over(mut self, flow: FlowId) -> Self {
        self.flow = Some(flow);
        self
    }

    /// From this UDP listener.
    #[must_use]
    pub const fn from(mut self, local: LocalId) -> Self {
        self.local = Some(local);
        self
    }
}

/// A call to place.
#[derive(Clone, Debug)]
pub struct Invite {
    /// The Request-URI, its host kept as it is.
    pub uri: Uri,
    /// Where it is sent. Several addresses are tried in order on transport errors and timeouts.
    pub next_hop: NextHop,
    /// From, its tag chosen by the endpoint.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// The user part of Contact.
    pub contact_user: Option<String>,
    /// The Call-ID, for a caller that writes it down before the INVITE leaves; without one the endpoint draws it.
    pub call_id: Option<String>,
    /// How many hops it may make ([`super::MAX_FORWARDS`] where we are the first): what a leg of a bridge passes on, less
    /// one, so that a loop through us ends (RFC 3261 §16.3).
    pub max_forwards: u8,
    /// The proxies it is to pass, first hop first (RFC 3327 §5.3: the Path of a registration); the next hop is the first of
    /// them.
    pub routes: Vec<NameAddr>,
    /// Further header fields.
    pub headers: Headers,
    /// The offer.
    pub body: Option<Body>,
    /// What answers a challenge from the next hop; never one from elsewhere.
    pub credentials: Option<Credentials>,
    /// How long an address may be silent, without even a provisional, before the next one is tried; after the last,
    /// [`super::Failure::TryTimeout`].
    pub try_timeout: Option<Duration>,
    /// How long it may ring: then CANCEL and [`super::Failure::NoAnswer`]. [`super::RING_TIMEOUT`] where none is given.
    pub ring_timeout: Option<Duration>,
}

/// A request outside of sessions: OPTIONS, REGISTER, …
#[derive(Clone, Debug)]
pub struct OutOfDialog {
    /// The method; neither INVITE, ACK, CANCEL nor BYE.
    pub method: Method,
    /// The Request-URI.
    pub uri: Uri,
    /// Where it is sent.
    pub next_hop: NextHop,
    /// From, its tag chosen by the endpoint unless it has one.
    pub from: NameAddr,
    /// To. Contact's user part is To's for REGISTER (§10.2), else From's.
    pub to: NameAddr,
    /// The Call-ID; REGISTER keeps one for all its refreshes (RFC 3261 §10.2).
    pub call_id: Option<String>,
    /// The CSeq number; a challenge answered takes the next.
    pub cseq: Option<u32>,
    /// Further header fields.
    pub headers: Headers,
    /// The body.
    pub body: Option<Body>,
    /// What answers a challenge from the next hop.
    pub credentials: Option<Credentials>,
}

/// Why a call to the endpoint did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A table is full: try later.
    #[error("too many transactions or sessions at once")]
    Full,
    /// The method belongs to a session, or has a call of its own.
    #[error("this method is not sent by this call")]
    Method,
    /// The session is over or has no dialog yet, the peer has said that it does not do this, or the same is on already.
    #[error("not in this state of the session")]
    State,
}
