//! A laboratory: shards on a simulated wire and a virtual clock, replayable from one seed.
#![allow(dead_code, reason = "each test file uses its own part")]

use base::{Now, Rng, millis};
use media::{
    Channel, Codec, Command, EndpointId, Event, Latch, Leg, PacketIo, SendResult, Shard, ShardConfig, StreamConfig,
};
use rtp_rs::RtpReader;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// What the wire does to RTP.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    pub loss: f64,
    pub duplicate: f64,
    /// Probability that a packet is held back by `held_ms`.
    pub hold_back: f64,
    pub held_ms: u64,
    pub delay_ms: u64,
    /// Sockets whose buffer is full.
    pub blocked: Vec<EndpointId>,
}

/// A packet as it left.
#[derive(Clone, Debug)]
pub struct Sent {
    pub at_ms: u64,
    pub id: EndpointId,
    pub channel: Channel,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

/// The header of an RTP packet that left, with its payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rtp {
    pub at_ms: u64,
    pub marker: bool,
    pub payload_type: u8,
    pub sequence: u16,
    pub timestamp: u32,
    pub ssrc: u32,
    pub payload: Vec<u8>,
}

#[derive(Debug)]
struct Datagram {
    from: SocketAddr,
    to: SocketAddr,
    bytes: Vec<u8>,
}

/// What the wire did to RTP: the truth that statistics are held against.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    pub sent: u64,
    pub lost: u64,
    pub duplicated: u64,
    pub held_back: u64,
}

/// The network between all endpoints; their addresses are loopback's, by port.
#[derive(Debug)]
pub struct Wire {
    pub rules: Rules,
    pub sent: Vec<Sent>,
    pub truth: Truth,
    /// No record of what is sent: for long runs.
    pub quiet: bool,
    now: Now,
    rng: Rng,
    ports: BTreeMap<EndpointId, u16>,
    owners: BTreeMap<u16, EndpointId>,
    in_flight: BTreeMap<(u64, u64), Datagram>,
    counter: u64,
}

pub fn address(port: u16) -> SocketAddr {
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

impl Wire {
    fn new(rng: Rng) -> Self {
        Self {
            rules: Rules::default(),
            sent: Vec::new(),
            truth: Truth::default(),
            quiet: false,
            now: Now::default(),
            rng,
            ports: BTreeMap::new(),
            owners: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            counter: 0,
        }
    }

    /// Puts a packet on the wire, to arrive after `after_ms`.
    pub fn carry(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8], after_ms: u64) {
        self.counter += 1;
        let at = self.now.mono + millis(after_ms);
        self.in_flight.insert((at, self.counter), Datagram { from, to, bytes: bytes.to_vec() });
    }

    fn impair(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        let Rules { loss, duplicate, hold_back, held_ms, delay_ms, .. } = self.rules;
        self.truth.sent += 1;
        if self.rng.chance(loss) {
            self.truth.lost += 1;
            return;
        }
        let held = self.rng.chance(hold_back);
        self.truth.held_back += u64::from(held);
        self.carry(from, to, bytes, delay_ms + if held { held_ms } else { 0 });
        if self.rng.chance(duplicate) {
            self.truth.duplicated += 1;
            self.carry(from, to, bytes, delay_ms + if held { held_ms } else { 0 });
        }
    }

    fn due(&mut self) -> Option<Datagram> {
        let (&key, _) = self.in_flight.first_key_value()?;
        if key.0 <= self.now.mono { self.in_flight.remove(&key) } else { None }
    }

    /// The RTP an endpoint sent.
    pub fn rtp(&self, id: EndpointId) -> Vec<Rtp> {
        let of = self.sent.iter().filter(|sent| sent.id == id && sent.channel == Channel::Rtp);
        of.map(|sent| {
            let packet = RtpReader::new(&sent.bytes).unwrap();
            Rtp {
                at_ms: sent.at_ms,
                marker: packet.mark(),
                payload_type: packet.payload_type(),
                sequence: packet.sequence_number().into(),
                timestamp: packet.timestamp(),
                ssrc: packet.ssrc(),
                payload: packet.payload().to_vec(),
            }
        })
        .collect()
    }
}

impl PacketIo for Wire {
    fn open(&mut self, leg: Leg, rtp_port: u16) -> Result<(), String> {
        if self.owners.insert(rtp_port, leg.id).is_some() {
            return Err(format!("RTP port {rtp_port} is in use"));
        }
        self.ports.insert(leg.id, rtp_port);
        Ok(())
    }

    fn send(&mut self, leg: Leg, channel: Channel, to: SocketAddr, packet: &[u8]) -> SendResult {
        if self.rules.blocked.contains(&leg.id) {
            return SendResult::Blocked;
        }
        let port = self.ports[&leg.id];
        let from = address(if channel == Channel::Rtp { port } else { port + 1 });
        if !self.quiet {
            let at_ms = self.now.mono / 1_000_000;
            self.sent.push(Sent { at_ms, id: leg.id, channel, to, bytes: packet.to_vec() });
        }
        if channel == Channel::Rtp {
            self.impair(from, to, packet)
        } else {
            self.carry(from, to, packet, 0)
        }
        SendResult::Sent
    }

    fn close(&mut self, leg: Leg) {
        if let Some(port) = self.ports.remove(&leg.id) {
            self.owners.remove(&port);
        }
    }
}

/// Shards, the wire between their endpoints, and what they said.
pub struct Lab {
    pub shards: Vec<Shard>,
    pub wire: Wire,
    pub now: Now,
    pub events: Vec<(u64, Event)>,
    home: BTreeMap<EndpointId, usize>,
}

impl Lab {
    pub fn new(seed: u64) -> Self {
        Self::with_shards(seed, 1)
    }

    pub fn with_shards(seed: u64, count: usize) -> Self {
        let mut rng = Rng::from_u64(seed);
        let shards = (0..count).map(|_| Shard::new(ShardConfig::default(), rng.fork())).collect();
        // Between two packet times, so that n ms of running are n/20 packets.
        let now = Now::new(millis(995), 1_700_000_000_000);
        let mut wire = Wire::new(rng);
        wire.now = now;
        Self { shards, wire, now, events: Vec::new(), home: BTreeMap::new() }
    }

    pub fn ms(&self) -> u64 {
        self.now.mono / 1_000_000
    }

    pub fn command(&mut self, command: Command) {
        let home = *self.home.entry(command.id()).or_insert(0);
        self.shards[home].command(command, self.now, &mut self.wire);
        self.poll();
    }

    /// Two endpoints, 1 on port 10000 and 2 on 10002, that talk to each other; `change` adapts both streams.
    pub fn pair(&mut self, change: impl Fn(&mut StreamConfig)) -> (EndpointId, EndpointId) {
        let (left, right) = (EndpointId(1), EndpointId(2));
        self.command(Command::Create { id: left, rtp_port: 10_000 });
        self.command(Command::Create { id: right, rtp_port: 10_002 });
        self.configure(left, 10_002, &change);
        self.configure(right, 10_000, &change);
        (left, right)
    }

    pub fn configure(&mut self, id: EndpointId, remote: u16, change: impl Fn(&mut StreamConfig)) {
        let mut config = config(remote);
        change(&mut config);
        self.command(Command::Configure { id, config });
    }

    pub fn relocate(&mut self, id: EndpointId, to: usize) {
        let from = self.home[&id];
        let state = self.shards[from].take(id).unwrap();
        self.shards[to].adopt(state);
        self.home.insert(id, to);
    }

    /// Lets time pass, a millisecond at a time.
    pub fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.skip(1);
            self.turn();
        }
    }

    /// Time passes and nobody looks: the shard's thread is not scheduled.
    pub fn skip(&mut self, ms: u64) {
        self.now = self.now.plus(std::time::Duration::from_millis(ms));
        self.wire.now = self.now;
    }

    /// What arrived is delivered, what is due is done.
    pub fn turn(&mut self) {
        while let Some(datagram) = self.wire.due() {
            self.deliver(datagram);
        }
        for shard in &mut self.shards {
            if shard.next_wake().is_some_and(|at| at <= self.now.mono) {
                shard.tick(self.now, &mut self.wire);
            }
        }
        self.poll();
    }

    fn deliver(&mut self, datagram: Datagram) {
        let (port, channel) = match datagram.to.port() {
            odd if odd % 2 == 1 => (odd - 1, Channel::Rtcp),
            even => (even, Channel::Rtp),
        };
        let Some(&id) = self.wire.owners.get(&port) else { return };
        let shard = &mut self.shards[self.home[&id]];
        shard.receive(id, channel, datagram.from, &datagram.bytes, self.now, &mut self.wire);
    }

    fn poll(&mut self) {
        let at = self.ms();
        for shard in &mut self.shards {
            while let Some(event) = shard.poll_event() {
                self.events.push((at, event));
            }
        }
    }

    pub fn digits(&self, wanted: EndpointId) -> String {
        let digit = |(_, event): &(u64, Event)| match event {
            Event::Digit { id, digit, .. } if *id == wanted => Some(*digit),
            _ => None,
        };
        self.events.iter().filter_map(digit).collect()
    }

    pub fn close(&mut self, wanted: EndpointId) -> (media::Quality, Option<media::Capture>) {
        self.command(Command::Close { id: wanted });
        let closed = |(_, event): &(u64, Event)| match event {
            Event::Closed { id, report, capture } if *id == wanted => Some((*report, capture.clone())),
            _ => None,
        };
        self.events.iter().find_map(closed).unwrap()
    }

    pub fn captured(&mut self, wanted: EndpointId) -> media::Capture {
        self.command(Command::Capture { id: wanted, on: false });
        let captured = |(_, event): &(u64, Event)| match event {
            Event::Captured { id, capture } if *id == wanted => Some(capture.clone()),
            _ => None,
        };
        self.events.iter().rev().find_map(captured).unwrap()
    }

    pub fn said(&self, matches: impl Fn(&Event) -> bool) -> Vec<u64> {
        self.events.iter().filter(|(_, event)| matches(event)).map(|(at, _)| *at).collect()
    }
}

/// A plain PCMU stream to a port, telephone-event 101, latched on what was signalled.
pub fn config(remote: u16) -> StreamConfig {
    StreamConfig {
        remote: address(remote),
        remote_rtcp: None,
        rtcp_mux: false,
        codec: Codec::Pcmu,
        payload_type_out: 0,
        payload_type_in: 0,
        dtmf_out: Some(101),
        dtmf_in: Some(101),
        dtmf_clock: 8_000,
        ptime_ms: 20,
        send: true,
        receive: true,
        srtp: None,
        latch: Latch::Signalled,
        timeout: None,
        expects_media: false,
    }
}

/// Audio that is nowhere silent and nowhere repeats: a sum that no frame of it equals another's.
pub fn speech(samples: usize, seed: u64) -> Vec<i16> {
    let mut rng = Rng::from_u64(seed);
    (0..samples).map(|_| 500 + rng.below(20_000) as i16).collect()
}

/// An RTP packet of a far end's.
pub fn packet(payload_type: u8, marker: bool, sequence: u16, timestamp: u32, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    rtp_rs::RtpPacketBuilder::new()
        .payload_type(payload_type)
        .marked(marker)
        .sequence(sequence.into())
        .timestamp(timestamp)
        .ssrc(ssrc)
        .payload(payload)
        .build()
        .unwrap()
}
