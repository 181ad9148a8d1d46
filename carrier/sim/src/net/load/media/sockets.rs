//! The sockets of a media thread: a UDP pair an endpoint, found by slot, watched by one epoll. The kernel says of each
//! packet when it took it, and of each socket what it had no room for (socket(7): SO_TIMESTAMPNS, SO_RXQ_OVFL).

use crate::load::tap::Wire;
use media::{Channel, EndpointId, Leg, PacketIo, SendResult};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, recvmsg, setsockopt, sockopt};
use rustix::event::epoll;
use rustix::time::{ClockId, clock_gettime};
use socket2::{Domain, Protocol, Socket, Type};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Receive buffer of an RTP socket, in octets: a second of packets. Beyond it the kernel drops and counts.
const RECEIVE_BUFFER: usize = 32 * 1024;
/// The same of an RTCP socket, where a packet comes every few seconds.
const RTCP_RECEIVE_BUFFER: usize = 4 * 1024;
/// An arrival that lies further back is no arrival: the wall clock was set.
const LONGEST_WAIT: u64 = base::secs(2);
/// The event that means the inbox and no socket.
pub(super) const INBOX_TOKEN: u64 = u64::MAX;

/// An endpoint's two sockets.
struct Pair {
    id: EndpointId,
    rtp: UdpSocket,
    rtcp: UdpSocket,
    /// What the kernel has said that it dropped of its RTP.
    dropped: u32,
}

/// A packet that was read.
pub(super) struct Packet {
    pub(super) leg: Leg,
    pub(super) channel: Channel,
    pub(super) from: SocketAddr,
    pub(super) length: usize,
    /// How long before this reading the kernel took it, in nanoseconds.
    pub(super) waited: u64,
    /// Packets that the kernel dropped since the socket was last read.
    pub(super) dropped: u64,
}

/// All of a thread's.
pub(super) struct Sockets {
    bind: IpAddr,
    origin: Instant,
    epoll: OwnedFd,
    pairs: Vec<Option<Pair>>,
    control: Vec<u8>,
}

impl Sockets {
    pub(super) fn new(bind: IpAddr, origin: Instant) -> io::Result<Self> {
        let control = nix::cmsg_space!(nix::sys::time::TimeSpec, u32);
        Ok(Self { bind, origin, epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, pairs: Vec::new(), control })
    }

    /// Watches the inbox's eventfd.
    pub(super) fn watch_inbox(&self, inbox: impl AsFd) -> io::Result<()> {
        let data = epoll::EventData::new_u64(INBOX_TOKEN);
        Ok(epoll::add(&self.epoll, inbox, data, epoll::EventFlags::IN)?)
    }

    /// Sleeps until a socket is readable, the inbox rings, or `timeout` is over.
    pub(super) fn wait(&self, ready: &mut Vec<epoll::Event>, timeout: Option<Duration>) {
        ready.clear();
        let timeout = timeout.and_then(|timeout| rustix::time::Timespec::try_from(timeout).ok());
        // A signal ends the wait early, and early is harmless: the loop looks at its clock.
        let _ = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(ready), timeout.as_ref());
    }

    /// One packet from the socket that an event names; `None`: no more.
    pub(super) fn receive(&mut self, token: u64, buffer: &mut [u8]) -> Option<Packet> {
        let (slot, channel) = ((token >> 1) as u32, if token & 1 == 0 { Channel::Rtp } else { Channel::Rtcp });
        let pair = self.pairs.get_mut(slot as usize)?.as_mut()?;
        let fd = pair.socket(channel).as_raw_fd();
        let mut buffers = [IoSliceMut::new(buffer)];
        let read =
            recvmsg::<SockaddrStorage>(fd, &mut buffers, Some(&mut self.control), MsgFlags::MSG_DONTWAIT).ok()?;
        let (mut waited, mut dropped) = (0, 0);
        for message in read.cmsgs().into_iter().flatten() {
            match message {
                ControlMessageOwned::ScmTimestampns(at) => waited = since(at.tv_sec(), at.tv_nsec()),
                ControlMessageOwned::RxqOvfl(count) => dropped = u64::from(count.wrapping_sub(pair.dropped)),
                _ => {}
            }
        }
        pair.dropped = pair.dropped.wrapping_add(dropped as u32);
        let (from, length) = (address(&read.address?)?, read.bytes);
        Some(Packet { leg: Leg { id: pair.id, slot }, channel, from, length, waited, dropped })
    }

    fn attach(&mut self, slot: u32, pair: Pair) -> io::Result<()> {
        for channel in [Channel::Rtp, Channel::Rtcp] {
            let data = epoll::EventData::new_u64(u64::from(slot) << 1 | u64::from(channel == Channel::Rtcp));
            epoll::add(&self.epoll, pair.socket(channel), data, epoll::EventFlags::IN)?;
        }
        let index = slot as usize;
        if self.pairs.len() <= index {
            self.pairs.resize_with(index + 1, || None);
        }
        if let Some(free) = self.pairs.get_mut(index) {
            *free = Some(pair);
        }
        Ok(())
    }

    fn open(&self, id: EndpointId, rtp_port: u16) -> Result<Pair, String> {
        let rtcp_port = rtp_port.checked_add(1).ok_or_else(|| format!("RTP port {rtp_port} has none above it"))?;
        let socket = |port: u16, buffer: usize| {
            let address = SocketAddr::new(self.bind, port);
            open(address, buffer).map_err(|error| format!("port {address} cannot be opened: {error}"))
        };
        let rtp = socket(rtp_port, RECEIVE_BUFFER)?;
        let told =
            setsockopt(&rtp, sockopt::ReceiveTimestampns, &true).and_then(|()| setsockopt(&rtp, sockopt::RxqOvfl, &1));
        told.map_err(|error| format!("port {rtp_port} does not tell when packets came: {error}"))?;
        Ok(Pair { id, rtp, rtcp: socket(rtcp_port, RTCP_RECEIVE_BUFFER)?, dropped: 0 })
    }
}

impl Pair {
    fn socket(&self, channel: Channel) -> &UdpSocket {
        match channel {
            Channel::Rtp => &self.rtp,
            Channel::Rtcp => &self.rtcp,
        }
    }
}

/// Nanoseconds since that time of the wall clock, by which the kernel stamps packets.
fn since(seconds: i64, nanos: i64) -> u64 {
    let now = clock_gettime(ClockId::Realtime);
    let waited = (now.tv_sec - seconds) * 1_000_000_000 + (now.tv_nsec - nanos);
    u64::try_from(waited).ok().filter(|waited| *waited < LONGEST_WAIT).unwrap_or(0)
}

fn address(storage: &SockaddrStorage) -> Option<SocketAddr> {
    let v4 = storage.as_sockaddr_in().map(|at| SocketAddr::new(at.ip().into(), at.port()));
    v4.or_else(|| storage.as_sockaddr_in6().map(|at| SocketAddr::new(at.ip().to_canonical(), at.port())))
}

fn open(address: SocketAddr, buffer: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(buffer)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

impl PacketIo for Sockets {
    fn open(&mut self, leg: Leg, rtp_port: u16) -> Result<(), String> {
        let pair = Self::open(self, leg.id, rtp_port)?;
        self.attach(leg.slot, pair).map_err(|error| format!("RTP port {rtp_port} cannot be watched: {error}"))
    }

    fn send(&mut self, leg: Leg, channel: Channel, to: SocketAddr, packet: &[u8]) -> SendResult {
        let Some(Some(pair)) = self.pairs.get(leg.slot as usize) else { return SendResult::Failed };
        match pair.socket(channel).send_to(packet, to) {
            Ok(_) => SendResult::Sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => SendResult::Blocked,
            Err(error) if rustix::io::Errno::from_io_error(&error) == Some(rustix::io::Errno::NOBUFS) => {
                SendResult::Blocked
            }
            Err(_) => SendResult::Failed,
        }
    }

    fn close(&mut self, leg: Leg) {
        // What is dropped is closed, and what is closed is watched no more.
        drop(self.pairs.get_mut(leg.slot as usize).and_then(Option::take));
    }
}

impl Wire for Sockets {
    fn mono(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }
}
