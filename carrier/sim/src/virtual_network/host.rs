//! One host of the virtual network: a node, its media shard, and the ports that are open.

use crate::node::{Input, Node, Output};
use base::Now;
use media::{Channel, EndpointId, Leg, PacketIo, RecordId, RecordOutput, SendResult, Shard};
use sip_core::transport::{Effect, Local, LocalId, Transport};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

/// Where a host is reached.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its SIP listeners.
    pub locals: Vec<Local>,
    /// The address of its RTP ports.
    pub media_ip: IpAddr,
}

impl Site {
    /// A host with one UDP and one TCP listener on port 5060 of an address, and its media there too.
    #[must_use]
    pub fn at(ip: IpAddr) -> Self {
        let addr = SocketAddr::new(ip, 5060);
        let local = |id, transport| Local { id: LocalId(id), transport, bound: addr, advertised: addr, inside: addr };
        Self { locals: vec![local(0, Transport::Udp), local(1, Transport::Tcp)], media_ip: ip }
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.locals.iter().map(|local| local.bound.ip()).chain([self.media_ip])
    }

    pub(super) fn sip_ip(&self) -> Option<IpAddr> {
        self.locals.first().map(|local| local.bound.ip())
    }

    pub(super) fn source(&self, id: LocalId) -> Option<SocketAddr> {
        self.locals.iter().find(|local| local.id == id).map(|local| local.bound)
    }

    pub(super) fn listener(&self, transport: Transport, addr: SocketAddr) -> Option<LocalId> {
        let here = |local: &&Local| local.transport == transport && local.bound == addr;
        self.locals.iter().find(here).map(|local| local.id)
    }
}

/// A packet that a shard has sent.
pub(super) struct Departure {
    pub host: usize,
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub packet: Vec<u8>,
}

/// What shards have sent since somebody looked, and used buffers for what they send next.
#[derive(Default)]
pub(super) struct Outbox {
    pub departures: Vec<Departure>,
    pub spare: Vec<Vec<u8>>,
}

impl Outbox {
    /// The packet in a buffer that was used before.
    pub(super) fn buffer(&mut self, packet: &[u8]) -> Vec<u8> {
        let mut buffer = self.spare.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(packet);
        buffer
    }
}

/// Files of a virtual host, by the name of the recording.
pub type Recordings = BTreeMap<RecordId, (Arc<Path>, Vec<i16>)>;

/// One host.
pub(super) struct Host<N: Node> {
    pub node: N,
    pub site: Site,
    pub shard: Shard,
    pub reports: Vec<(Now, N::Report)>,
    pub unplugged: bool,
    /// What was recorded: where it would lie, and its samples, those of several channels in turn.
    pub recordings: Recordings,
    ports: Ports,
    /// When the node wants to be woken.
    wake: Option<u64>,
    /// The node has been given something since it was last drained.
    fresh: bool,
}

impl<N: Node> Host<N> {
    pub(super) fn new(host: usize, node: N, site: Site, shard: Shard) -> Self {
        let ports = Ports::new(host, site.media_ip);
        Self {
            node,
            site,
            shard,
            reports: Vec::new(),
            unplugged: false,
            recordings: Recordings::new(),
            ports,
            wake: None,
            fresh: true,
        }
    }

    /// When it next has something to do by itself.
    pub(super) fn next(&self) -> Option<u64> {
        self.wake.into_iter().chain(self.shard.next_wake()).min()
    }

    /// Does what is due.
    pub(super) fn wake(&mut self, now: Now, outbox: &mut Outbox) {
        if self.shard.next_wake().is_some_and(|at| at <= now.mono) {
            self.shard.tick(now, &mut Wire { ports: &mut self.ports, outbox });
        }
        if self.wake.is_some_and(|at| at <= now.mono) {
            self.wake = None;
            self.handle(Input::Timeout, now);
        }
    }

    /// Lends the node, which is heard afterwards.
    pub(super) fn lend(&mut self) -> &mut N {
        self.fresh = true;
        &mut self.node
    }

    pub(super) fn handle(&mut self, input: Input<N::Command>, now: Now) {
        self.node.handle(input, now);
        self.fresh = true;
    }

    /// Takes an RTP or RTCP packet; false where the port is closed.
    pub(super) fn receive(
        &mut self,
        port: u16,
        from: SocketAddr,
        packet: &[u8],
        now: Now,
        outbox: &mut Outbox,
    ) -> bool {
        let Some((leg, channel)) = self.ports.owner(port) else { return false };
        let mut wire = Wire { ports: &mut self.ports, outbox };
        self.shard.receive_at(leg, channel, from, packet, now, &mut wire);
        true
    }

    /// The disk of a virtual host is never slow and never full.
    fn write_records(&mut self) {
        while let Some(output) = self.shard.poll_record() {
            match output {
                RecordOutput::Open { record, file, .. } => drop(self.recordings.insert(record, (file, Vec::new()))),
                RecordOutput::Samples { record, block } => {
                    if let Some((_, samples)) = self.recordings.get_mut(&record) {
                        samples.extend_from_slice(block.samples());
                    }
                    self.shard.recycle(block);
                }
                RecordOutput::Close { record, trim } => {
                    if let Some((_, samples)) = self.recordings.get_mut(&record) {
                        samples.truncate(samples.len().saturating_sub(trim as usize));
                    }
                }
            }
        }
    }

    /// The next thing for the network to do; `None` once the node and its shard are quiet.
    pub(super) fn poll(&mut self, now: Now, outbox: &mut Outbox) -> Option<Effect> {
        loop {
            self.write_records();
            while let Some(event) = self.shard.poll_event() {
                self.handle(Input::Media(event), now);
            }
            if !self.fresh {
                return None;
            }
            match self.node.poll() {
                Output::Sip(effect) => return Some(effect),
                Output::Media(command) => {
                    self.shard.command(command, now, &mut Wire { ports: &mut self.ports, outbox });
                }
                Output::Report(report) => self.reports.push((now, report)),
                Output::Timeout(at) => {
                    self.wake = at;
                    self.fresh = false;
                }
            }
        }
    }
}

/// The open ports of a host's media, both ways.
struct Ports {
    host: usize,
    ip: IpAddr,
    /// By slot of the shard: who is there, and its RTP port.
    by_slot: Vec<Option<(EndpointId, u16)>>,
    /// By port: the slot plus one; zero where it is closed. RTCP ports are their RTP port's.
    by_port: Vec<u32>,
}

impl Ports {
    fn new(host: usize, ip: IpAddr) -> Self {
        Self { host, ip, by_slot: Vec::new(), by_port: vec![0; 1 << 16] }
    }

    fn owner(&self, port: u16) -> Option<(Leg, Channel)> {
        let channel = if port.is_multiple_of(2) { Channel::Rtp } else { Channel::Rtcp };
        let slot = self.by_port.get(usize::from(port & !1))?.checked_sub(1)?;
        let (id, _) = (*self.by_slot.get(slot as usize)?)?;
        Some((Leg { id, slot }, channel))
    }

    fn port_of(&self, leg: Leg) -> Option<u16> {
        self.by_slot.get(leg.slot as usize).copied().flatten().filter(|(id, _)| *id == leg.id).map(|(_, port)| port)
    }
}

/// A host's way out.
struct Wire<'a> {
    ports: &'a mut Ports,
    outbox: &'a mut Outbox,
}

impl PacketIo for Wire<'_> {
    fn open(&mut self, leg: Leg, rtp_port: u16) -> Result<(), String> {
        let Some(by_port) = self.ports.by_port.get_mut(usize::from(rtp_port & !1)).filter(|slot| **slot == 0) else {
            return Err(format!("port {rtp_port} is in use"));
        };
        *by_port = leg.slot + 1;
        let slot = leg.slot as usize;
        if self.ports.by_slot.len() <= slot {
            self.ports.by_slot.resize(slot + 1, None);
        }
        if let Some(place) = self.ports.by_slot.get_mut(slot) {
            *place = Some((leg.id, rtp_port));
        }
        Ok(())
    }

    fn send(&mut self, leg: Leg, channel: Channel, to: SocketAddr, packet: &[u8]) -> SendResult {
        let Some(port) = self.ports.port_of(leg) else { return SendResult::Failed };
        let port = if channel == Channel::Rtp { port } else { port + 1 };
        let from = SocketAddr::new(self.ports.ip, port);
        let packet = self.outbox.buffer(packet);
        self.outbox.departures.push(Departure { host: self.ports.host, from, to, packet });
        SendResult::Sent
    }

    fn close(&mut self, leg: Leg) {
        let Some(port) = self.ports.port_of(leg) else { return };
        if let Some(by_port) = self.ports.by_port.get_mut(usize::from(port)) {
            *by_port = 0;
        }
        if let Some(place) = self.ports.by_slot.get_mut(leg.slot as usize) {
            *place = None;
        }
    }
}
