//! The sockets of one shard: a UDP pair an endpoint, found by slot, watched by one epoll.

use crate::command::EndpointId;
use crate::io::{Channel, Leg, PacketIo, SendResult};
use rustix::event::epoll;
use socket2::{Domain, Protocol, Socket, Type};
use std::{
    io,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

/// Receive buffer of an RTP socket, in octets: the kernel doubles it, a queued packet takes 832, so that 39 packets
/// (0.8 s) fit. Beyond it the kernel drops the newest. The default would hold 213 KB a call.
pub const RECEIVE_BUFFER: usize = 16 * 1024;

/// The same of an RTCP socket, where a packet comes every few seconds.
const RTCP_RECEIVE_BUFFER: usize = 4 * 1024;

/// The event that means the inbox and no socket.
pub(super) const INBOX_TOKEN: u64 = u64::MAX;

/// An endpoint's two sockets. That of RTCP is opened once there is something to report on or to be told: the most calls that
/// are tried never have RTP, and a socket costs as much as a packet's whole way.
#[derive(Debug)]
pub(super) struct Pair {
    id: EndpointId,
    rtp: UdpSocket,
    rtcp: Option<UdpSocket>,
    /// Its RTCP port; zero once it could not be opened, which is tried once.
    rtcp_port: u16,
}

/// All of a shard's.
#[derive(Debug)]
pub(super) struct Sockets {
    bind: IpAddr,
    epoll: OwnedFd,
    pairs: Vec<Option<Pair>>,
    /// The pair that the next endpoint takes.
    prepared: Option<Pair>,
}

impl Sockets {
    pub(super) fn new(bind: IpAddr) -> io::Result<Self> {
        Ok(Self { bind, epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?, pairs: Vec::new(), prepared: None })
    }

    /// The sockets of the endpoint that is made next.
    pub(super) fn prepare(&mut self, pair: Pair) {
        self.prepared = Some(pair);
    }

    /// The endpoint has not been made: its port is free again.
    pub(super) fn discard_prepared(&mut self) {
        self.prepared = None;
    }

    /// Watches the inbox's eventfd: each ring is told once, so that nobody need read it.
    pub(super) fn watch_inbox(&self, inbox: impl AsFd) -> io::Result<()> {
        let data = epoll::EventData::new_u64(INBOX_TOKEN);
        Ok(epoll::add(&self.epoll, inbox, data, epoll::EventFlags::IN | epoll::EventFlags::ET)?)
    }

    /// Sleeps until a socket is readable, the inbox rings, or `timeout` is over.
    pub(super) fn wait(&self, ready: &mut Vec<epoll::Event>, timeout: Option<Duration>) {
        ready.clear();
        let timeout = timeout.and_then(|timeout| rustix::time::Timespec::try_from(timeout).ok());
        // A signal ends the wait early, and early is harmless: the loop looks at its clock.
        let _ = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(ready), timeout.as_ref());
    }

    /// One packet from the socket an event names; `None`: no more.
    pub(super) fn receive(&mut self, token: u64, buffer: &mut [u8]) -> Option<(Leg, Channel, SocketAddr, usize)> {
        let (slot, channel) = decode(token);
        let pair = self.pairs.get(slot as usize)?.as_ref()?;
        let (length, from) = pair.socket(channel)?.recv_from(buffer).ok()?;
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let leg = Leg { id: pair.id, slot };
        if pair.wants_rtcp() {
            self.open_rtcp(slot);
        }
        Some((leg, channel, from, length))
    }

    /// A peer that sends RTP reports on ours a moment later.
    #[cold]
    fn open_rtcp(&mut self, slot: u32) {
        let Some(Some(pair)) = self.pairs.get_mut(slot as usize) else { return };
        let address = SocketAddr::new(self.bind, std::mem::take(&mut pair.rtcp_port));
        let data = epoll::EventData::new_u64(encode(slot, Channel::Rtcp));
        let opened = open(address, RTCP_RECEIVE_BUFFER)
            .and_then(|socket| Ok(epoll::add(&self.epoll, &socket, data, epoll::EventFlags::IN).map(|()| socket)?));
        match opened {
            Ok(socket) => pair.rtcp = Some(socket),
            Err(error) => tracing::warn!(%address, %error, "the RTCP port cannot be opened: this call has no reports"),
        }
    }

    /// Takes in a pair, its own or another shard's.
    pub(super) fn attach(&mut self, slot: u32, pair: Pair) -> io::Result<()> {
        for (channel, socket) in pair.sockets() {
            let data = epoll::EventData::new_u64(encode(slot, channel));
            epoll::add(&self.epoll, socket, data, epoll::EventFlags::IN)?;
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

    /// Gives a pair away; what waits in its buffers goes with it.
    pub(super) fn detach(&mut self, slot: u32) -> Option<Pair> {
        let pair = self.pairs.get_mut(slot as usize)?.take()?;
        for (_, socket) in pair.sockets() {
            // It can only fail where the socket is not watched, which is what is wanted.
            let _ = epoll::delete(&self.epoll, socket);
        }
        Some(pair)
    }
}

fn open(address: SocketAddr, buffer: usize) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    socket.set_recv_buffer_size(buffer)?;
    socket.bind(&address.into())?;
    Ok(socket.into())
}

impl Pair {
    /// Opens the RTP port of an endpoint.
    pub(super) fn bind(bind: IpAddr, id: EndpointId, rtp_port: u16) -> Result<Self, String> {
        let rtcp_port = rtp_port.checked_add(1).ok_or_else(|| format!("RTP port {rtp_port} has none above it"))?;
        let address = SocketAddr::new(bind, rtp_port);
        let rtp =
            open(address, RECEIVE_BUFFER).map_err(|error| format!("RTP port {address} cannot be opened: {error}"))?;
        Ok(Self { id, rtp, rtcp: None, rtcp_port })
    }

    fn wants_rtcp(&self) -> bool {
        self.rtcp_port != 0
    }

    fn socket(&self, channel: Channel) -> Option<&UdpSocket> {
        match channel {
            Channel::Rtp => Some(&self.rtp),
            Channel::Rtcp => self.rtcp.as_ref(),
        }
    }

    fn sockets(&self) -> impl Iterator<Item = (Channel, &UdpSocket)> {
        let rtcp = self.rtcp.iter().map(|socket| (Channel::Rtcp, socket));
        std::iter::once((Channel::Rtp, &self.rtp)).chain(rtcp)
    }
}

fn encode(slot: u32, channel: Channel) -> u64 {
    u64::from(slot) << 1 | u64::from(channel == Channel::Rtcp)
}

fn decode(token: u64) -> (u32, Channel) {
    ((token >> 1) as u32, if token & 1 == 0 { Channel::Rtp } else { Channel::Rtcp })
}

impl PacketIo for Sockets {
    fn open(&mut self, leg: Leg, rtp_port: u16) -> Result<(), String> {
        let pair = match self.prepared.take() {
            Some(pair) if pair.id == leg.id => pair,
            _ => Pair::bind(self.bind, leg.id, rtp_port)?,
        };
        self.attach(leg.slot, pair).map_err(|error| format!("RTP port {rtp_port} cannot be watched: {error}"))
    }

    fn send(&mut self, leg: Leg, channel: Channel, to: SocketAddr, packet: &[u8]) -> SendResult {
        if channel == Channel::Rtcp
            && self.pairs.get(leg.slot as usize).and_then(Option::as_ref).is_some_and(Pair::wants_rtcp)
        {
            self.open_rtcp(leg.slot);
        }
        let Some(Some(pair)) = self.pairs.get(leg.slot as usize) else { return SendResult::Failed };
        let Some(socket) = pair.socket(channel) else { return SendResult::Failed };
        let to = match (self.bind, to.ip()) {
            // A socket that hears both families speaks to IPv4 by its mapped form (RFC 4291 §2.5.5.2).
            (IpAddr::V6(_), IpAddr::V4(ip)) => SocketAddr::new(ip.to_ipv6_mapped().into(), to.port()),
            _ => to,
        };
        match socket.send_to(packet, to) {
            Ok(_) => SendResult::Sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => SendResult::Blocked,
            Err(error) if rustix::io::Errno::from_io_error(&error) == Some(rustix::io::Errno::NOBUFS) => {
                SendResult::Blocked
            }
            Err(_) => SendResult::Failed,
        }
    }

    fn close(&mut self, leg: Leg) {
        // Closed, they are watched no more.
        drop(self.pairs.get_mut(leg.slot as usize).and_then(Option::take));
    }
}
