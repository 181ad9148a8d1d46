//! The sockets of one shard: a few an endpoint, found by slot, watched by one epoll.

use super::pair::{Line, Pair, is_full};
use crate::io::{Channel, Leg, PacketIo, SendResult};
use rustix::event::epoll;
use std::{
    io,
    net::{IpAddr, SocketAddr},
    os::fd::{AsFd, OwnedFd},
    time::Duration,
};

/// Sockets connected in one turn of the loop, so that a thousand calls that began together do not hold up a tick.
const CONNECTS_A_TURN: usize = 8;

/// The event that means the inbox and no socket.
pub(super) const INBOX_TOKEN: u64 = u64::MAX;

/// All of a shard's.
#[derive(Debug)]
pub(super) struct Sockets {
    bind: IpAddr,
    epoll: OwnedFd,
    pairs: Vec<Option<Pair>>,
    /// The pair that the next endpoint takes.
    prepared: Option<Pair>,
    /// Connected sockets, of `most_direct`. Endpoints beyond send through the socket that hears everybody.
    direct: usize,
    most_direct: usize,
    /// What may be connected in this turn yet.
    connects: usize,
}

impl Sockets {
    pub(super) fn new(bind: IpAddr, most_direct: usize) -> io::Result<Self> {
        Ok(Self {
            bind,
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            pairs: Vec::new(),
            prepared: None,
            direct: 0,
            most_direct,
            connects: CONNECTS_A_TURN,
        })
    }

    /// How many sockets are connected to where their packets go.
    pub(super) const fn direct(&self) -> usize {
        self.direct
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
    pub(super) fn wait(&mut self, ready: &mut Vec<epoll::Event>, timeout: Option<Duration>) {
        ready.clear();
        self.connects = CONNECTS_A_TURN;
        let timeout = timeout.and_then(|timeout| rustix::time::Timespec::try_from(timeout).ok());
        // A signal ends the wait early, and early is harmless: the loop looks at its clock.
        let _ = epoll::wait(&self.epoll, rustix::buffer::spare_capacity(ready), timeout.as_ref());
    }

    /// One packet from the socket an event names; `None`: no more.
    pub(super) fn receive(&mut self, token: u64, buffer: &mut [u8]) -> Option<(Leg, Channel, SocketAddr, usize)> {
        let (slot, line) = decode(token);
        let pair = self.pairs.get_mut(slot as usize)?.as_mut()?;
        let before = pair.has_direct();
        let received = pair.receive(line, buffer);
        self.direct -= usize::from(before != pair.has_direct());
        let (length, from) = received?;
        let from = SocketAddr::new(from.ip().to_canonical(), from.port());
        let leg = Leg { id: pair.id, slot };
        if pair.wants_rtcp() {
            self.open_rtcp(slot);
        }
        let channel = if line == Line::Rtcp { Channel::Rtcp } else { Channel::Rtp };
        Some((leg, channel, from, length))
    }

    /// A peer that sends RTP reports on ours a moment later.
    #[cold]
    fn open_rtcp(&mut self, slot: u32) {
        let Some(Some(pair)) = self.pairs.get_mut(slot as usize) else { return };
        let (address, opened) = pair.open_rtcp(self.bind);
        if let Err(error) = opened.and_then(|socket| watch(&self.epoll, slot, Line::Rtcp, socket)) {
            tracing::warn!(%address, %error, "the RTCP port cannot be opened: this call has no reports");
        }
    }

    /// Its packets have gone to one address for a while.
    #[cold]
    fn connect(&mut self, slot: u32) {
        let Some(Some(pair)) = self.pairs.get_mut(slot as usize) else { return };
        let before = pair.has_direct();
        if self.connects == 0 || (!before && self.direct >= self.most_direct) {
            return;
        }
        self.connects -= 1;
        let connected = pair.connect().and_then(|socket| watch(&self.epoll, slot, Line::Direct, socket));
        if let Err(error) = connected {
            tracing::debug!(%error, "a media socket cannot be connected: it sends without");
            pair.part();
        }
        self.direct += usize::from(pair.has_direct());
        self.direct -= usize::from(before);
    }

    /// Takes in a pair, its own or another shard's.
    pub(super) fn attach(&mut self, slot: u32, pair: Pair) -> io::Result<()> {
        for (line, socket) in pair.sockets() {
            watch(&self.epoll, slot, line, socket)?;
        }
        self.direct += usize::from(pair.has_direct());
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
        self.direct -= usize::from(pair.has_direct());
        for (_, socket) in pair.sockets() {
            // It can only fail where the socket is not watched, which is what is wanted.
            let _ = epoll::delete(&self.epoll, socket);
        }
        Some(pair)
    }
}

fn watch(epoll: &OwnedFd, slot: u32, line: Line, socket: impl AsFd) -> io::Result<()> {
    let data = epoll::EventData::new_u64(encode(slot, line));
    Ok(epoll::add(epoll, socket, data, epoll::EventFlags::IN)?)
}

fn encode(slot: u32, line: Line) -> u64 {
    u64::from(slot) << 2 | line as u64
}

fn decode(token: u64) -> (u32, Line) {
    let line = match token & 3 {
        0 => Line::Rtp,
        1 => Line::Rtcp,
        _ => Line::Direct,
    };
    ((token >> 2) as u32, line)
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
        let to = match (self.bind, to.ip()) {
            // A socket that hears both families speaks to IPv4 by its mapped form (RFC 4291 §2.5.5.2).
            (IpAddr::V6(_), IpAddr::V4(ip)) => SocketAddr::new(ip.to_ipv6_mapped().into(), to.port()),
            _ => to,
        };
        let Some(Some(pair)) = self.pairs.get_mut(leg.slot as usize) else { return SendResult::Failed };
        let sent = match pair.send(channel, to, packet) {
            Ok(_) => SendResult::Sent,
            Err(error) if is_full(&error) => SendResult::Blocked,
            Err(_) => SendResult::Failed,
        };
        if channel == Channel::Rtp && pair.is_steady(to) {
            self.connect(leg.slot);
        }
        sent
    }

    fn close(&mut self, leg: Leg) {
        // Closed, they are watched no more.
        let closed = self.pairs.get_mut(leg.slot as usize).and_then(Option::take);
        self.direct -= usize::from(closed.is_some_and(|pair| pair.has_direct()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::pair::STEADY;
    use super::*;
    use crate::command::EndpointId;
    use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

    const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// Legs on free ports.
    fn legs(sockets: &mut Sockets, legs: u32) -> Vec<Leg> {
        let mut port = 45_000;
        let mut open = |slot| {
            let leg = Leg { id: EndpointId(u64::from(slot)), slot };
            while sockets.open(leg, port).is_err() {
                port += 2;
            }
            port += 2;
            leg
        };
        (0..legs).map(&mut open).collect()
    }

    #[test]
    fn only_so_many_sockets_are_connected_and_who_goes_makes_room() {
        let far = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        let to = far.local_addr().unwrap();
        let mut sockets = Sockets::new(LOOPBACK, 1).unwrap();
        let legs = legs(&mut sockets, 2);
        for _ in 0..2 * STEADY {
            for leg in &legs {
                assert_eq!(sockets.send(*leg, Channel::Rtp, to, &[0; 172]), SendResult::Sent);
            }
        }
        assert_eq!(sockets.direct(), 1);
        sockets.close(legs[0]);
        assert_eq!(sockets.direct(), 0);
        assert_eq!(sockets.send(legs[1], Channel::Rtp, to, &[0; 172]), SendResult::Sent);
        assert_eq!(sockets.direct(), 1);
    }

    /// Nothing comes twice, nor from elsewhere, whatever the ports are bound to.
    #[test]
    fn a_connected_socket_hears_its_far_end_where_the_ports_are_bound_to_every_address_too() {
        let addresses = [LOOPBACK, Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        // A machine may have no IPv6.
        for bind in addresses.into_iter().filter(|address| UdpSocket::bind((*address, 0)).is_ok()) {
            let far = UdpSocket::bind((LOOPBACK, 0)).unwrap();
            let from = far.local_addr().unwrap();
            let mut sockets = Sockets::new(bind, 1).unwrap();
            let Some(leg) = legs(&mut sockets, 1).pop() else { unreachable!("one was asked for") };
            let mut buffer = [0; 200];
            let mut heard_at = from;
            for _ in 0..=STEADY {
                assert_eq!(sockets.send(leg, Channel::Rtp, from, &[0; 172]), SendResult::Sent, "{bind}");
                heard_at = far.recv_from(&mut buffer).unwrap().1;
            }
            assert_eq!(sockets.direct(), 1, "{bind}");
            far.send_to(&[7; 20], heard_at).unwrap();
            let mut ready = Vec::with_capacity(4);
            sockets.wait(&mut ready, Some(Duration::from_secs(60)));
            let token = ready.first().map(|event| event.data.u64()).unwrap();
            assert_eq!(decode(token), (leg.slot, Line::Direct), "{bind}");
            assert_eq!(sockets.receive(token, &mut buffer), Some((leg, Channel::Rtp, from, 20)), "{bind}");
            assert_eq!(sockets.receive(token, &mut buffer), None, "{bind}");
        }
    }

    #[test]
    fn what_waits_as_a_socket_is_connected_is_read_before_what_comes_after() {
        let far = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        let to = far.local_addr().unwrap();
        let mut sockets = Sockets::new(LOOPBACK, 1).unwrap();
        let Some(leg) = legs(&mut sockets, 1).pop() else { unreachable!("one was asked for") };
        let mut buffer = [0; 200];
        for _ in 0..STEADY {
            sockets.send(leg, Channel::Rtp, to, &[0; 172]);
        }
        let port = far.recv_from(&mut buffer).unwrap().1;
        let say = |numbers: std::ops::RangeInclusive<u8>| numbers.for_each(|n| drop(far.send_to(&[n; 20], port)));
        say(1..=5);
        sockets.send(leg, Channel::Rtp, to, &[0; 172]);
        assert_eq!(sockets.direct(), 1);
        say(6..=9);
        let (mut heard, mut ready) = (Vec::new(), Vec::with_capacity(4));
        while heard.len() < 9 {
            sockets.wait(&mut ready, Some(Duration::from_secs(60)));
            assert!(!ready.is_empty(), "{heard:?}");
            for token in ready.iter().map(|event| event.data.u64()) {
                heard.extend(sockets.receive(token, &mut buffer).map(|_| buffer[0]));
            }
        }
        assert_eq!(heard, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn a_turn_connects_a_few_and_the_next_turns_the_others() {
        let far = UdpSocket::bind((LOOPBACK, 0)).unwrap();
        let to = far.local_addr().unwrap();
        let mut sockets = Sockets::new(LOOPBACK, 100).unwrap();
        let legs = legs(&mut sockets, 2 * CONNECTS_A_TURN as u32);
        for _ in 0..2 * STEADY {
            for leg in &legs {
                sockets.send(*leg, Channel::Rtp, to, &[0; 172]);
            }
        }
        assert_eq!(sockets.direct(), CONNECTS_A_TURN);
        sockets.wait(&mut Vec::with_capacity(4), Some(Duration::ZERO));
        for leg in &legs {
            sockets.send(*leg, Channel::Rtp, to, &[0; 172]);
        }
        assert_eq!(sockets.direct(), 2 * CONNECTS_A_TURN);
    }
}
