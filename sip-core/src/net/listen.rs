//! Binding: every address, or a sentence that says which one and why not.

use super::tls::{Tls, TlsError};
use super::udp::{self, Datagrams, UdpSender};
use super::{Shared, accept};
use crate::transport::{LocalId, Transport};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use thiserror::Error;
use tokio::runtime::Handle;

/// How many connections the kernel may hold for us to accept; beyond them it lets clients try again.
const BACKLOG: i32 = 1024;

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// How.
    pub transport: Transport,
    /// Where; port 0 lets the system choose.
    pub bind: SocketAddr,
}

/// Why the rim cannot be set up.
#[derive(Debug, Error)]
pub enum BindError {
    /// An address cannot be bound.
    #[error("cannot listen on {transport} {address}: {source}")]
    Address {
        /// How.
        transport: Transport,
        /// Where.
        address: SocketAddr,
        /// What the system said: `Address already in use`, say.
        source: io::Error,
    },
    /// A TLS listener, and no certificate.
    #[error("cannot listen on TLS {0}: no certificate is configured")]
    NoCertificate(SocketAddr),
    /// The certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// More listeners than a [`LocalId`] can number.
    #[error("too many listeners")]
    TooMany,
}

/// One bound socket that nothing reads yet.
pub(super) struct Bound {
    pub local: LocalId,
    pub transport: Transport,
    pub address: SocketAddr,
    socket: Socket,
}

/// The address that a connection to `peer` is opened from, so that the peer sees the one it knows us by: a listener's of
/// the same transport, else any. `None` where all listen on every address, or on loopback only and the peer is elsewhere.
pub(super) fn source(listeners: &[Listener], transport: Transport, peer: SocketAddr) -> Option<IpAddr> {
    let fits = |ip: &IpAddr| {
        ip.is_ipv4() == peer.is_ipv4() && !ip.is_unspecified() && (!ip.is_loopback() || peer.ip().is_loopback())
    };
    let of_the_same = listeners.iter().filter(|listener| listener.transport == transport);
    of_the_same.chain(listeners).map(|listener| listener.bind.ip()).find(fits)
}

/// Binds all of them before anything is read from any.
pub(super) fn bind(listeners: &[Listener], tls: &Tls) -> Result<Vec<Bound>, BindError> {
    listeners.iter().enumerate().map(|(number, listener)| bind_one(number, *listener, tls)).collect()
}

fn bind_one(number: usize, Listener { transport, bind }: Listener, tls: &Tls) -> Result<Bound, BindError> {
    let local = LocalId(u16::try_from(number).map_err(|_| BindError::TooMany)?);
    if transport.is_secure() && !tls.can_accept() {
        return Err(BindError::NoCertificate(bind));
    }
    let socket = socket(transport, bind);
    let address = socket.and_then(|socket| {
        let address = socket.local_addr()?.as_socket().unwrap_or(bind);
        Ok((socket, address))
    });
    let (socket, address) = address.map_err(|source| BindError::Address { transport, address: bind, source })?;
    Ok(Bound { local, transport, address, socket })
}

fn socket(transport: Transport, address: SocketAddr) -> io::Result<Socket> {
    let (kind, protocol) = match transport {
        Transport::Udp => (Type::DGRAM, Protocol::UDP),
        _ => (Type::STREAM, Protocol::TCP),
    };
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        // `[::]` and `0.0.0.0` are two listeners, each with its own number.
        socket.set_only_v6(true)?;
    }
    if transport != Transport::Udp {
        // A port whose last connections are still in TIME-WAIT is free; one that is listened on is not.
        socket.set_reuse_address(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if transport != Transport::Udp {
        socket.listen(BACKLOG)?;
    }
    Ok(socket)
}

impl Bound {
    /// Begins to accept, where it is a stream; gives both halves of what datagrams go by, where it is none.
    pub fn start(
        self,
        handle: &Handle,
        shared: &Arc<Shared>,
        tls: &Arc<Tls>,
    ) -> Result<Option<(UdpSender, Datagrams)>, BindError> {
        let Self { local, transport, address, socket } = self;
        let started = match transport {
            Transport::Udp => udp::halves(local, socket.into(), shared).map(Some),
            stream => {
                let tls = stream.is_secure().then_some(tls);
                accept::start((local, stream), socket.into(), tls, handle, shared).map(|()| None)
            }
        };
        started.map_err(|source| BindError::Address { transport, address, source })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_opened_from_the_address_that_its_peer_knows() {
        let listeners = [
            (Transport::Udp, "192.0.2.1:5060"),
            (Transport::Tcp, "192.0.2.2:5060"),
            (Transport::Tcp, "127.0.0.9:5060"),
            (Transport::Tls, "0.0.0.0:5061"),
            (Transport::Tcp, "[2001:db8::1]:5060"),
        ]
        .map(|(transport, bind)| Listener { transport, bind: bind.parse().unwrap() });
        let from =
            |transport, peer: &str| source(&listeners, transport, peer.parse().unwrap()).map(|ip| ip.to_string());
        assert_eq!(from(Transport::Tcp, "198.51.100.1:5060").as_deref(), Some("192.0.2.2"));
        assert_eq!(from(Transport::Tls, "198.51.100.1:5061").as_deref(), Some("192.0.2.1"));
        assert_eq!(from(Transport::Tcp, "[2001:db8::9]:5060").as_deref(), Some("2001:db8::1"));
        let elsewhere = "198.51.100.1:5060".parse().unwrap();
        assert_eq!(source(&listeners[2..4], Transport::Tcp, elsewhere), None);
        let loopback = "127.0.0.1:5060".parse().unwrap();
        assert_eq!(source(&listeners[2..4], Transport::Tls, loopback), Some([127, 0, 0, 9].into()));
    }
}
