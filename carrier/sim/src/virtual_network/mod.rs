//! A network and a clock that exist only as values: hosts by address, SIP datagrams and streams, RTP and RTCP, with
//! delay, loss, duplication and reordering drawn from one seed.
//!
//! A host is a [`Node`] (a carrier, a switch, a test's own client) with a real [`media::Shard`] behind it. Everything
//! happens in one queue, in order of virtual time; the same seed and the same commands give the same run, which
//! [`Network::trace`] proves by a hash of all that arrived. Nothing here reads a clock, opens a socket or sleeps.
//!
//! | file | what it is |
//! |---|---|
//! | `impairment` | what happens to packets |
//! | `queue` | what is on its way |
//! | `host` | one host: node, shard, ports |
//! | `streams` | TCP and TLS connections |
//! | `trace` | the hash |

mod host;
mod impairment;
mod queue;
mod streams;
mod trace;

pub use crate::node::{Input, Node, Output};
pub use host::{Recordings, Site};
pub use impairment::Impairment;
pub use trace::Trace;

use base::{Now, Rng};
use bytes::Bytes;
use host::{Departure, Host, Outbox};
use media::{Shard, ShardConfig};
use queue::Queue;
use sip_core::transport::{Effect, Input as Sip, LocalId, Transport};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use streams::Streams;

/// The wall clock at the beginning of virtual time: 2027-01-15 08:00:00 UTC, in milliseconds.
pub const EPOCH_MS: u64 = 1_800_000_000_000;

/// So many rounds at one instant mean that time does not pass any more: a node asks again and again to be woken at once.
/// The run ends with an assertion.
pub const MAX_ROUNDS_AN_INSTANT: u32 = 100_000;

/// A host of a [`Network`], in order of joining.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(usize);

/// A packet on its way, shown to a [`Tap`] before anything happens to it.
#[derive(Debug)]
pub enum Passing<'a> {
    /// A SIP datagram.
    Sip {
        /// From this address.
        from: SocketAddr,
        /// To this one.
        to: SocketAddr,
        /// All of it; may be replaced.
        bytes: &'a mut Bytes,
    },
    /// An RTP or RTCP packet.
    Media {
        /// From this address.
        from: SocketAddr,
        /// To this one.
        to: SocketAddr,
        /// All of it; may be altered in place.
        packet: &'a mut [u8],
    },
}

/// Somebody at the wire: may read and alter each packet, and loses it by saying `false`.
pub type Tap = Box<dyn FnMut(Passing<'_>, Now) -> bool>;

/// What is on its way to a host.
enum Parcel {
    Sip { host: usize, input: Sip },
    Media { host: usize, port: u16, from: SocketAddr, packet: Vec<u8> },
}

/// What the network has carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// SIP datagrams that left a host.
    pub sip: u64,
    /// Of those, lost on the way.
    pub sip_lost: u64,
    /// RTP and RTCP packets that left a host.
    pub media: u64,
    /// Of those, lost on the way.
    pub media_lost: u64,
    /// Packets of either kind for an address where nobody listens.
    pub undeliverable: u64,
}

/// The network.
pub struct Network<N: Node> {
    now: Now,
    rng: Rng,
    hosts: Vec<Host<N>>,
    by_ip: BTreeMap<IpAddr, usize>,
    names: BTreeMap<String, Vec<SocketAddr>>,
    sip: Impairment,
    media: Impairment,
    queue: Queue<Parcel>,
    streams: Streams,
    outbox: Outbox,
    tap: Option<Tap>,
    trace: Trace,
    carried: Carried,
}

impl<N: Node> Network<N> {
    /// A clean network without hosts, all of whose chances follow from `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            now: Now::new(0, EPOCH_MS),
            rng: Rng::from_u64(seed),
            hosts: Vec::new(),
            by_ip: BTreeMap::new(),
            names: BTreeMap::new(),
            sip: Impairment::CLEAN,
            media: Impairment::CLEAN,
            queue: Queue::default(),
            streams: Streams::default(),
            outbox: Outbox::default(),
            tap: None,
            trace: Trace::default(),
            carried: Carried::default(),
        }
    }

    /// What happens to SIP datagrams from now on. Streams only know the delay.
    pub fn impair_sip(&mut self, impairment: Impairment) {
        self.sip = impairment;
    }

    /// What happens to RTP and RTCP from now on.
    pub fn impair_media(&mut self, impairment: Impairment) {
        self.media = impairment;
    }

    /// Puts somebody at the wire, in place of whoever was there.
    pub fn tap(&mut self, tap: Tap) {
        self.tap = Some(tap);
    }

    /// What a host name resolves to, in the order to be tried.
    pub fn name(&mut self, name: &str, addresses: Vec<SocketAddr>) {
        self.names.insert(name.to_ascii_lowercase(), addresses);
    }

    /// Puts a node on the network. It answers at the addresses of its listeners and of its media.
    pub fn join(&mut self, node: N, site: Site) -> HostId {
        let id = self.hosts.len();
        for ip in site.addresses() {
            self.by_ip.insert(ip, id);
        }
        let shard = Shard::new(ShardConfig::default(), self.rng.fork());
        self.hosts.push(Host::new(id, node, site, shard));
        self.settle(id);
        HostId(id)
    }

    /// Takes a host's node, media and timers away as `kill -9` would, and puts a new node there.
    pub fn restart(&mut self, host: HostId, node: N) {
        let shard = Shard::new(ShardConfig::default(), self.rng.fork());
        if let Some(crashed) = self.hosts.get_mut(host.0) {
            *crashed = Host::new(host.0, node, crashed.site.clone(), shard);
        }
        for (peer, input) in self.streams.drop_all_of(host.0) {
            let at = self.now.after(self.sip.delay);
            self.queue.push(at, Parcel::Sip { host: peer, input });
        }
        self.settle(host.0);
    }

    /// Unplugs a host, or plugs it in again: nothing comes to it and nothing leaves.
    pub fn unplug(&mut self, host: HostId, unplugged: bool) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.unplugged = unplugged;
        }
    }

    /// Tells a node to do something.
    pub fn command(&mut self, host: HostId, command: N::Command) {
        let now = self.now;
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.handle(Input::Command(command), now);
        }
        self.settle(host.0);
    }

    /// Lends a node; whatever it wants to say afterwards is heard.
    pub fn with<R>(&mut self, host: HostId, act: impl FnOnce(&mut N, Now) -> R) -> R {
        let result = act(self.hosts[host.0].lend(), self.now);
        self.settle(host.0);
        result
    }

    /// A node, to be looked at.
    #[must_use]
    pub fn node(&self, host: HostId) -> &N {
        &self.hosts[host.0].node
    }

    /// A host's media shard, to be looked at.
    #[must_use]
    pub fn shard(&self, host: HostId) -> &Shard {
        &self.hosts[host.0].shard
    }

    /// What the host has recorded.
    #[must_use]
    pub fn recordings(&self, host: HostId) -> &Recordings {
        &self.hosts[host.0].recordings
    }

    /// What a node has reported since it was last asked, with the times.
    pub fn reports(&mut self, host: HostId) -> Vec<(Now, N::Report)> {
        self.hosts.get_mut(host.0).map(|host| std::mem::take(&mut host.reports)).unwrap_or_default()
    }

    /// The present.
    #[must_use]
    pub const fn now(&self) -> Now {
        self.now
    }

    /// A hash of everything that has arrived anywhere, in order and with its time.
    #[must_use]
    pub const fn trace(&self) -> u64 {
        self.trace.value()
    }

    /// What was carried so far.
    #[must_use]
    pub const fn carried(&self) -> Carried {
        self.carried
    }

    /// Packets on their way.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.queue.len()
    }

    /// Lets time pass.
    ///
    /// # Panics
    /// Where a node keeps time from passing ([`MAX_ROUNDS_AN_INSTANT`]).
    pub fn run_for(&mut self, time: Duration) {
        let end = self.now.after(time);
        while self.next().is_some_and(|next| next <= end) {
            self.step();
        }
        self.advance(end);
    }

    /// Lets time pass until something is so, and says whether it became so within `limit`.
    ///
    /// # Panics
    /// As [`Network::run_for`].
    pub fn run_until(&mut self, limit: Duration, mut so: impl FnMut(&mut Self) -> bool) -> bool {
        let end = self.now.after(limit);
        while !so(self) {
            match self.next() {
                Some(next) if next <= end => self.step(),
                _ => return false,
            }
        }
        true
    }

    /// When something happens next.
    fn next(&self) -> Option<u64> {
        let wakes = self.hosts.iter().filter_map(Host::next);
        wakes.chain(self.queue.next()).min()
    }

    fn advance(&mut self, mono: u64) {
        let mono = mono.max(self.now.mono);
        self.now = Now::new(mono, EPOCH_MS + mono / base::millis(1));
    }

    /// Everything that is due at the next instant.
    fn step(&mut self) {
        let Some(next) = self.next() else { return };
        self.advance(next);
        let mut rounds = 0;
        while self.next().is_some_and(|next| next <= self.now.mono) {
            while let Some(parcel) = self.queue.pop(self.now.mono) {
                self.deliver(parcel);
            }
            (0..self.hosts.len()).for_each(|host| self.wake(host));
            rounds += 1;
            assert!(rounds < MAX_ROUNDS_AN_INSTANT, "time stands still at {:?}", self.now);
        }
    }

    fn wake(&mut self, id: usize) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(id) else { return };
        host.wake(now, &mut self.outbox);
        self.settle(id);
    }

    fn deliver(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Sip { host, input } => self.deliver_sip(host, input),
            Parcel::Media { host, port, from, packet } => {
                self.trace.number(self.now.mono);
                self.trace.number((host as u64) << 16 | u64::from(port));
                self.trace.octets(&packet);
                let now = self.now;
                if let Some(target) = self.hosts.get_mut(host).filter(|host| !host.unplugged)
                    && !target.receive(port, from, &packet, now, &mut self.outbox)
                {
                    self.carried.undeliverable += 1;
                }
                self.outbox.spare.push(packet);
            }
        }
    }

    fn deliver_sip(&mut self, id: usize, input: Sip) {
        self.trace.number(self.now.mono);
        self.trace.number(id as u64);
        match &input {
            Sip::Datagram { bytes, .. } | Sip::Received { bytes, .. } => self.trace.octets(bytes),
            Sip::Accepted { flow, .. } | Sip::Opened { flow, .. } | Sip::Closed { flow, .. } => {
                self.trace.number(flow.0);
            }
            Sip::Unreachable { .. } | Sip::Resolved { .. } | Sip::Located { .. } | Sip::Timeout => {}
        }
        let now = self.now;
        if let Some(host) = self.hosts.get_mut(id).filter(|host| !host.unplugged) {
            host.handle(Input::Sip(input), now);
            self.settle(id);
        }
    }

    /// Hears all that a host has to say, its media included, until it is quiet.
    fn settle(&mut self, id: usize) {
        let now = self.now;
        loop {
            self.depart();
            let Some(host) = self.hosts.get_mut(id) else { return };
            match host.poll(now, &mut self.outbox) {
                Some(effect) => self.effect(id, effect),
                None if self.outbox.departures.is_empty() => return,
                None => {}
            }
        }
    }

    fn effect(&mut self, id: usize, effect: Effect) {
        match effect {
            Effect::Transmit { local, to, bytes } => self.transmit(id, local, to, bytes),
            Effect::Resolve { query, host, port, transport } => {
                let port_or = |address: SocketAddr| port.map_or(address, |port| SocketAddr::new(address.ip(), port));
                let literal = host.trim_matches(['[', ']']).parse::<IpAddr>().ok();
                let addresses = match literal {
                    Some(ip) => {
                        vec![SocketAddr::new(ip, port.unwrap_or(transport.unwrap_or(Transport::Udp).default_port()))]
                    }
                    None => {
                        let known = self.names.get(&host.to_ascii_lowercase());
                        known.into_iter().flatten().copied().map(port_or).collect()
                    }
                };
                self.send_later(id, Sip::Resolved { query, addresses });
            }
            Effect::Open { flow, transport, peer, .. } => {
                let Some(local_ip) = self.hosts.get(id).and_then(|host| host.site.sip_ip()) else { return };
                let listener = self.by_ip.get(&peer.ip()).and_then(|&other| {
                    let host = self.hosts.get(other).filter(|host| !host.unplugged)?;
                    Some((other, host.site.listener(transport, peer)?))
                });
                for (host, input, trips) in self.streams.open(id, flow, local_ip, peer, listener) {
                    let at = self.now.after(self.sip.delay * trips);
                    self.queue.push(at, Parcel::Sip { host, input });
                }
            }
            Effect::Write { flow, bytes } => {
                if let Some((host, flow)) = self.streams.other_end(id, flow) {
                    self.send_later(host, Sip::Received { flow, bytes });
                }
            }
            Effect::Close { flow } => {
                if let Some((host, input)) = self.streams.close(id, flow) {
                    self.send_later(host, input);
                }
            }
        }
    }

    /// One reliable trip: the delay, and the order of sending.
    fn send_later(&mut self, host: usize, input: Sip) {
        self.queue.push(self.now.after(self.sip.delay), Parcel::Sip { host, input });
    }

    fn transmit(&mut self, id: usize, local: LocalId, to: SocketAddr, mut bytes: Bytes) {
        let Some(from) = self.hosts.get(id).filter(|host| !host.unplugged).and_then(|host| host.site.source(local))
        else {
            return;
        };
        self.carried.sip += 1;
        let passes = match &mut self.tap {
            Some(tap) => tap(Passing::Sip { from, to, bytes: &mut bytes }, self.now),
            None => true,
        };
        let arrivals = if passes { self.sip.fate(&mut self.rng) } else { SmallVec::new() };
        self.carried.sip_lost += u64::from(arrivals.is_empty());
        let Some(&target) = self.by_ip.get(&to.ip()) else {
            self.carried.undeliverable += 1;
            return;
        };
        let listener =
            self.hosts.get(target).and_then(|host| host.site.listener(sip_core::transport::Transport::Udp, to));
        for delay in arrivals {
            let at = self.now.mono + delay;
            match listener {
                Some(local) => {
                    let input = Sip::Datagram { local, from, bytes: bytes.clone() };
                    self.queue.push(at, Parcel::Sip { host: target, input });
                }
                // The host is there and nothing listens: ICMP says so, after the way back.
                None => {
                    self.carried.undeliverable += 1;
                    let input = Sip::Unreachable { local, to };
                    self.queue.push(at + delay, Parcel::Sip { host: id, input });
                }
            }
        }
    }

    /// Sends what shards have put on the wire.
    fn depart(&mut self) {
        if self.outbox.departures.is_empty() {
            return;
        }
        let mut departures = std::mem::take(&mut self.outbox.departures);
        for departure in departures.drain(..) {
            let unplugged = self.hosts.get(departure.host).is_none_or(|host| host.unplugged);
            self.carried.media += 1;
            if unplugged || !self.send_media(departure) {
                self.carried.media_lost += 1;
            }
        }
        self.outbox.departures = departures;
    }

    /// False where the packet was lost.
    fn send_media(&mut self, departure: Departure) -> bool {
        let Departure { from, to, mut packet, .. } = departure;
        let passes = match &mut self.tap {
            Some(tap) => tap(Passing::Media { from, to, packet: &mut packet }, self.now),
            None => true,
        };
        let arrivals = if passes { self.media.fate(&mut self.rng) } else { SmallVec::new() };
        let Some(&host) = self.by_ip.get(&to.ip()) else {
            self.carried.undeliverable += 1;
            return true;
        };
        for &delay in arrivals.iter().skip(1) {
            let packet = self.outbox.buffer(&packet);
            self.queue.push(self.now.mono + delay, Parcel::Media { host, port: to.port(), from, packet });
        }
        match arrivals.first() {
            Some(delay) => {
                self.queue.push(self.now.mono + delay, Parcel::Media { host, port: to.port(), from, packet });
            }
            None => self.outbox.spare.push(packet),
        }
        !arrivals.is_empty()
    }
}

#[cfg(test)]
mod tests;
