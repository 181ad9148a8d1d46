//! An endpoint's sockets.
//!
//! Its RTP port has one that hears everybody, and sends. Once it has sent to one address for a second, a second one on the
//! same port is connected to that address. The kernel then keeps its way there, which a packet would look up each time
//! otherwise (a tenth of what a packet costs on loopback, more where the other half of its way is another machine's),
//! and what that address sends waits in a buffer of its own: whoever floods the port fills the other one's. Who is heard
//! is none of their business: both give whatever comes, and its source, to the shard.

use crate::command::EndpointId;
use crate::io::Channel;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    sync::OnceLock,
};

/// Receive buffer of an RTP socket, in octets: the kernel doubles it, a queued packet takes 832, so that 39 packets
/// (0.8 s) fit. Beyond it the kernel drops the newest. The default would hold 213 KB a call.
pub const RECEIVE_BUFFER: usize = 16 * 1024;

/// Packets that wait in it at most.
const BACKLOG: u8 = 39;

/// The same of an RTCP socket, where a packet comes every few seconds.
const RTCP_RECEIVE_BUFFER: usize = 4 * 1024;

/// RTP packets in a row to one address before a socket is connected to it: a second. To open one costs as much as thirty
/// packets save, and the most calls that are tried end sooner.
pub const STEADY: u8 = 50;

/// Packets after which it is tried again where nobody listened: five seconds.
const AGAIN: u8 = 250;

/// Descriptors that are left to HTTP, the database and SIP's connections: so many, or an eighth of those that there may be.
const LEFT: u64 = 64;

/// What an endpoint's descriptors are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// The RTP port.
    Rtp,
    /// The port above it.
    Rtcp,
    /// The RTP port, connected to where its packets go.
    Direct,
}

/// An endpoint's sockets. That of RTCP is opened once there is something to report on or to be told: the most calls that
/// are tried never have RTP, and a socket costs as much as a packet's whole way.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) id: EndpointId,
    rtp: UdpSocket,
    rtcp: Option<UdpSocket>,
    direct: Option<UdpSocket>,
    /// Its RTCP port; zero once it could not be opened, which is tried once.
    rtcp_port: u16,
    way: Way,
    /// Where the last RTP packet went.
    to: SocketAddr,
    /// Packets that may wait yet in the socket that hears everybody, from before the connected one: they are read first.
    earlier: u8,
}

/// How RTP goes to where the last packet went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// Through the socket that hears everybody, so many times so far.
    Open(u8),
    /// Through the connected one.
    Direct,
    /// Through the one that hears everybody, so many times so far: the other could not be connected, or was told that nobody
    /// listens (ICMP), which costs a packet another try.
    Barred(u8),
}

/// The first descriptor that is not media's. The process has raised its limit before it starts its shards.
fn end_of_media() -> i64 {
    static END: OnceLock<i64> = OnceLock::new();
    *END.get_or_init(|| {
        let all = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX >> 1);
        (all - LEFT.min(all / 8)) as i64
    })
}

fn open(address: SocketAddr, buffer: usize) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    // The kernel gives out the lowest that is free.
    if i64::from(socket.as_raw_fd()) >= end_of_media() {
        let what =
            "all file descriptors but those kept for HTTP and the database are in use: raise LimitNOFILE (ulimit -n)";
        return Err(io::Error::other(what));
    }
    socket.set_recv_buffer_size(buffer)?;
    Ok(socket)
}

fn bound(address: SocketAddr, buffer: usize) -> io::Result<UdpSocket> {
    let socket = open(address, buffer)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

/// The socket's buffer is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || Errno::from_io_error(error) == Some(Errno::NOBUFS)
}

impl Pair {
    /// Opens the RTP port of an endpoint.
    pub(super) fn bind(bind: IpAddr, id: EndpointId, rtp_port: u16) -> Result<Self, String> {
        let rtcp_port = rtp_port.checked_add(1).ok_or_else(|| format!("RTP port {rtp_port} has none above it"))?;
        let address = SocketAddr::new(bind, rtp_port);
        let rtp =
            bound(address, RECEIVE_BUFFER).map_err(|error| format!("RTP port {address} cannot be opened: {error}"))?;
        let nowhere = SocketAddr::new(bind, 0);
        Ok(Self { id, rtp, rtcp: None, direct: None, rtcp_port, way: Way::Open(0), to: nowhere, earlier: 0 })
    }

    pub(super) fn wants_rtcp(&self) -> bool {
        self.rtcp_port != 0
    }

    /// Opens the RTCP port, which is tried once.
    pub(super) fn open_rtcp(&mut self, bind: IpAddr) -> (SocketAddr, io::Result<&UdpSocket>) {
        let address = SocketAddr::new(bind, std::mem::take(&mut self.rtcp_port));
        (address, bound(address, RTCP_RECEIVE_BUFFER).map(|socket| &*self.rtcp.insert(socket)))
    }

    /// One packet, and where it came from.
    pub(super) fn receive(&mut self, line: Line, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        match line {
            Line::Rtp => self.rtp.recv_from(buffer).ok(),
            Line::Rtcp => self.rtcp.as_ref()?.recv_from(buffer).ok(),
            Line::Direct => self.receive_earlier(buffer).or_else(|| self.receive_direct(buffer)),
        }
    }

    /// What came before the socket was connected comes before what it has.
    fn receive_earlier(&mut self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        self.earlier = self.earlier.checked_sub(1)?;
        let received = self.rtp.recv_from(buffer).ok();
        if received.is_none() {
            self.earlier = 0;
        }
        received
    }

    /// Nobody listens there, it may have been told (ICMP). What had come before is still heard, then it is closed: as long
    /// as it is there, each packet's answer would wake it.
    fn receive_direct(&mut self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        let direct = self.direct.as_ref()?;
        match direct.recv_from(buffer) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => self.way = Way::Barred(0),
            received => return received.ok(),
        }
        let before = direct.recv_from(buffer).ok();
        if before.is_none() {
            self.direct = None;
        }
        before
    }

    pub(super) fn sockets(&self) -> impl Iterator<Item = (Line, &UdpSocket)> {
        let others = [(Line::Rtcp, &self.rtcp), (Line::Direct, &self.direct)];
        let others = others.into_iter().filter_map(|(line, socket)| Some((line, socket.as_ref()?)));
        std::iter::once((Line::Rtp, &self.rtp)).chain(others)
    }

    pub(super) const fn has_direct(&self) -> bool {
        self.direct.is_some()
    }

    /// Goes on without.
    pub(super) fn part(&mut self) {
        (self.direct, self.way) = (None, Way::Barred(0));
    }

    /// RTP has gone to one address for long enough to be connected to it.
    pub(super) fn is_steady(&self, to: SocketAddr) -> bool {
        self.way == Way::Open(STEADY) && self.to == to
    }

    /// Connects a second socket of the RTP port to where RTP goes, in place of an older one, and shows it. What the older one
    /// still held came from where nothing has been sent to for a second.
    ///
    /// Two sockets share a port where both say so as the second is bound; for no longer, so that nobody else can.
    pub(super) fn connect(&mut self) -> io::Result<&UdpSocket> {
        (self.direct, self.way) = (None, Way::Barred(0));
        let address = self.rtp.local_addr()?;
        let direct = open(address, RECEIVE_BUFFER)?;
        let rtp = SockRef::from(&self.rtp);
        direct.set_reuse_address(true)?;
        rtp.set_reuse_address(true)?;
        let bound = direct.bind(&address.into());
        rtp.set_reuse_address(false)?;
        direct.set_reuse_address(false)?;
        bound?;
        direct.connect(&self.to.into())?;
        (self.way, self.earlier) = (Way::Direct, BACKLOG);
        Ok(self.direct.insert(direct.into()))
    }

    pub(super) fn send(&mut self, channel: Channel, to: SocketAddr, packet: &[u8]) -> io::Result<usize> {
        if channel == Channel::Rtcp {
            let closed = || io::Error::from(io::ErrorKind::NotConnected);
            return self.rtcp.as_ref().ok_or_else(closed)?.send_to(packet, to);
        }
        if self.to != to {
            (self.to, self.way) = (to, Way::Open(0));
        }
        match (&self.way, &self.direct) {
            (Way::Direct, Some(direct)) => match direct.send(packet) {
                // What is told here may be about an earlier packet: this one has not been sent.
                Err(error) if !is_full(&error) => self.way = Way::Barred(0),
                sent => return sent,
            },
            (Way::Open(sent), _) => self.way = Way::Open((sent + 1).min(STEADY)),
            (Way::Barred(AGAIN), _) => self.way = Way::Open(STEADY),
            (Way::Barred(sent), _) => self.way = Way::Barred(sent + 1),
            (Way::Direct, None) => {}
        }
        self.rtp.send_to(packet, to)
    }
}
