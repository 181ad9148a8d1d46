//! A binding as a place to call: the Request-URI, and by which way it goes (RFC 3261 §16.6, RFC 3327 §5.1, RFC 5626 §5.3).

use super::location::Binding;
use sip_core::endpoint::NextHop;
use sip_core::header::NameAddr;
use sip_core::transport::{FlowId, Transport, is_behind_nat};
use sip_core::uri::{Scheme, Uri};
use std::net::SocketAddr;

/// Where one contact of a user is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The Request-URI: the contact, without header fields that its phone may have smuggled into it.
    pub uri: Uri,
    /// Where the request goes.
    pub next_hop: NextHop,
    /// The connection that it registered over, and is reached by alone; the same as the next hop's.
    pub flow: Option<FlowId>,
    /// The proxies in front of it, as Route, first hop first.
    pub path: Vec<NameAddr>,
}

/// The place of a binding; `None` where it is none that SIP reaches.
pub(super) fn target(binding: &Binding) -> Option<Target> {
    let uri = binding.contact.uri.clone();
    if !uri.is_sip() {
        return None;
    }
    let next_hop = match binding.path.first() {
        Some(first) => hop_of(&first.uri),
        None => next_hop(binding, &uri),
    };
    Some(Target { uri: uri.without_headers(), next_hop, flow: binding.flow(), path: binding.path.clone() })
}

fn next_hop(binding: &Binding, uri: &Uri) -> NextHop {
    let source = binding.source;
    let to = |addr: SocketAddr| NextHop::new(addr.ip().to_string(), Some(addr.port()), source.transport);
    match source.flow {
        Some(flow) => to(source.addr).over(flow),
        None if is_behind_nat(uri, &binding.via, source.addr) => to(source.addr).from(source.local),
        None => hop_of(uri),
    }
}

/// What a URI says itself (RFC 3263 §4.1).
fn hop_of(uri: &Uri) -> NextHop {
    let transport = match uri.transport() {
        Some(Transport::Tcp | Transport::Tls) if uri.scheme() == Scheme::Sips => Transport::Tls,
        Some(Transport::Ws) if uri.scheme() == Scheme::Sips => Transport::Wss,
        None if uri.scheme() == Scheme::Sips => Transport::Tls,
        Some(named) => named,
        None => Transport::Udp,
    };
    NextHop::new(uri.host().map(ToString::to_string).unwrap_or_default(), uri.port(), transport)
}
