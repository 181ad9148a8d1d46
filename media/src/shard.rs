//! A shard: many endpoints on one thread's time, as a plain value.
//!
//! In: commands, packets, and ticks. Out: packets through [`PacketIo`], and events until `poll_event` says `None`.
//! The driver calls `tick` when `next_wake` has come; a late tick is made up for over the next ones, never in a burst.

mod bridge;
mod record;
mod room;

use crate::command::{Command, EndpointId};
use crate::endpoint::{Context, Endpoint, Mute, sooner};
use crate::event::Event;
use crate::events::{Events, Reserve};
use crate::io::{Channel, Leg, PacketIo};
use crate::outbound::MAX_BUILT;
use crate::record::Records;
use crate::room::Rooms;
use crate::stats::ShardStats;
use crate::wheel::Wheel;
use base::{Now, Rng};
use std::{collections::HashMap, net::SocketAddr};

/// Endpoints' packets leave in one of so many milliseconds: a thousand players are 50 packets each millisecond, and not
/// a thousand at once.
pub const PHASES: u64 = 20;

/// Due endpoints that one tick serves, at least. More wait for the next tick, a millisecond later. Of a large shard it
/// is an eighth: two and a half times what is due in a millisecond, so that a backlog melts and never bursts.
pub const FRAMES_A_TICK: usize = 64;

/// Endpoints a shard holds unless told otherwise. Beyond it `Create` is answered by `Failed`.
pub const MAX_ENDPOINTS: usize = 20_000;

/// Bounds of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShardConfig {
    /// Endpoints it holds at most.
    pub max_endpoints: usize,
}

impl Default for ShardConfig {
    fn default() -> Self {
        Self { max_endpoints: MAX_ENDPOINTS }
    }
}

/// An endpoint between two shards: its whole state, without its sockets.
#[derive(Debug)]
pub struct EndpointState(Box<Endpoint>);

impl EndpointState {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> EndpointId {
        self.0.id
    }

    /// Its RTP port.
    #[must_use]
    pub fn rtp_port(&self) -> u16 {
        self.0.rtp_port
    }
}

/// The endpoints of one thread.
#[derive(Debug)]
pub struct Shard {
    config: ShardConfig,
    rng: Rng,
    slots: Vec<Option<Box<Endpoint>>>,
    free: Vec<u32>,
    by_id: HashMap<EndpointId, u32>,
    wheel: Wheel,
    phases: [u32; PHASES as usize],
    events: Events,
    stats: ShardStats,
    records: Records,
    rooms: Rooms,
    scratch: Box<[u8; MAX_BUILT]>,
    /// A tick left work: the next one is a millisecond after it, in milliseconds.
    resume: Option<u64>,
}

impl Shard {
    /// An empty shard.
    #[must_use]
    pub fn new(config: ShardConfig, rng: Rng) -> Self {
        Self {
            config,
            rng,
            slots: Vec::new(),
            free: Vec::new(),
            by_id: HashMap::new(),
            wheel: Wheel::new(),
            phases: [0; PHASES as usize],
            events: Events::default(),
            stats: ShardStats::default(),
            records: Records::default(),
            rooms: Rooms::default(),
            scratch: Box::new([0; MAX_BUILT]),
            resume: None,
        }
    }

    /// Does what a command says. What comes of it comes as events.
    pub fn command(&mut self, command: Command, now: Now, io: &mut dyn PacketIo) {
        match command {
            Command::Create { id, rtp_port } => self.create(id, rtp_port, now, io),
            Command::Close { id } => self.close(id, now, io),
            Command::Configure { id, config } => {
                self.with(id, now, io, |endpoint, ctx| endpoint.configure(config, ctx));
                self.silence_held(id, now, io);
            }
            Command::Play { id, play, prompt, repeat } => {
                self.with(id, now, io, |endpoint, ctx| endpoint.play(play, prompt, repeat, ctx));
            }
            Command::StopPlay { id, play } => self.with(id, now, io, |endpoint, ctx| endpoint.stop_play(play, ctx)),
            Command::SendDigits { id, digits, tone_ms, gap_ms } => {
                self.with(id, now, io, |endpoint, ctx| endpoint.press(&digits, tone_ms, gap_ms, ctx));
            }
            Command::Mute { id, inbound, outbound } => {
                self.with(id, now, io, |endpoint, ctx| endpoint.set_mute(Mute { inbound, outbound }, ctx));
            }
            Command::Echo { id, on } => self.with(id, now, io, |endpoint, _| endpoint.set_echo(on)),
            Command::Bridge { id, with } => self.bridge(id, with, now, io),
            Command::Unbridge { id } => self.unbridge(id, now, io),
            Command::Join { id, room, options, member } => self.join(id, room, options, member, now, io),
            Command::Update { id, member } => self.update(id, member),
            Command::Announce { id, prompt } => self.announce(id, prompt),
            Command::Leave { id } => self.leave(id),
            Command::Detect { id, detect } => self.with(id, now, io, |endpoint, ctx| endpoint.detect(&detect, ctx)),
            Command::Record { id, record, options } => self.record(id, record, options, now, io),
            Command::StopRecord { id, record } => self.stop_record(id, record, now, io),
            Command::PauseRecord { id, record, paused } => self.pause_record(id, record, paused, now, io),
            Command::Capture { id, on } => self.with(id, now, io, |endpoint, ctx| endpoint.set_capture(on, ctx)),
        }
    }

    fn create(&mut self, id: EndpointId, rtp_port: u16, now: Now, io: &mut dyn PacketIo) {
        if let Err(error) = self.try_create(id, rtp_port, now, io) {
            return self.events.push(Event::Failed { id, error });
        }
        self.events.push(Event::Created { id, rtp_port });
    }

    fn try_create(&mut self, id: EndpointId, rtp_port: u16, now: Now, io: &mut dyn PacketIo) -> Result<(), String> {
        if self.by_id.contains_key(&id) {
            return Err(format!("endpoint {} exists already", id.0));
        }
        if self.by_id.len() >= self.config.max_endpoints {
            return Err(format!("the shard holds {} endpoints, its limit", self.config.max_endpoints));
        }
        let slot = self.next_slot();
        io.open(Leg { id, slot }, rtp_port)?;
        let phase = self.quietest_phase();
        let endpoint = Endpoint::new(id, rtp_port, phase, &mut self.rng, now);
        self.insert(Box::new(endpoint));
        Ok(())
    }

    /// The slot `insert` takes next.
    fn next_slot(&self) -> u32 {
        self.free.last().copied().unwrap_or(self.slots.len() as u32)
    }

    fn insert(&mut self, endpoint: Box<Endpoint>) -> Leg {
        let leg = Leg { id: endpoint.id, slot: self.next_slot() };
        if let Some(count) = self.phases.get_mut(endpoint.phase as usize) {
            *count += 1;
        }
        self.by_id.insert(leg.id, leg.slot);
        match self.free.pop().and_then(|slot| self.slots.get_mut(slot as usize)) {
            Some(free) => *free = Some(endpoint),
            None => self.slots.push(Some(endpoint)),
        }
        self.stats.endpoints += 1;
        // Without the time it is asked again as soon as it runs.
        self.schedule(leg.slot, 0);
        leg
    }

    fn remove(&mut self, id: EndpointId) -> Option<(Leg, Box<Endpoint>)> {
        let slot = self.by_id.remove(&id)?;
        let endpoint = self.slots.get_mut(slot as usize)?.take()?;
        self.wheel.stop(slot);
        self.free.push(slot);
        if let Some(count) = self.phases.get_mut(endpoint.phase as usize) {
            *count -= 1;
        }
        self.stats.endpoints -= 1;
        Some((Leg { id, slot }, endpoint))
    }

    fn quietest_phase(&self) -> u64 {
        let quietest = self.phases.iter().enumerate().min_by_key(|(_, count)| **count);
        quietest.map_or(0, |(phase, _)| phase as u64)
    }

    fn close(&mut self, id: EndpointId, now: Now, io: &mut dyn PacketIo) {
        self.part(id, now, io);
        self.leave(id);
        let Some((leg, endpoint)) = self.remove(id) else {
            self.stats.unknown_endpoint += 1;
            return;
        };
        let Self { events, stats, rng, records, rooms, scratch, .. } = self;
        endpoint.close(&mut Context { now, leg, io, events, stats, rng, records, rooms, scratch });
        io.close(leg);
    }

    fn with(
        &mut self,
        id: EndpointId,
        now: Now,
        io: &mut dyn PacketIo,
        act: impl FnOnce(&mut Endpoint, &mut Context<'_>),
    ) {
        match self.by_id.get(&id) {
            Some(&slot) => {
                self.act(Leg { id, slot }, now, io, act);
                self.schedule(slot, now.mono / 1_000_000);
            }
            None => self.stats.unknown_endpoint += 1,
        }
    }

    /// Lends the endpoint in that slot what it works with.
    fn act(&mut self, leg: Leg, now: Now, io: &mut dyn PacketIo, act: impl FnOnce(&mut Endpoint, &mut Context<'_>)) {
        let Self { slots, events, stats, rng, records, rooms, scratch, .. } = self;
        match slots.get_mut(leg.slot as usize).and_then(Option::as_mut).filter(|endpoint| endpoint.id == leg.id) {
            Some(endpoint) => act(endpoint, &mut Context { now, leg, io, events, stats, rng, records, rooms, scratch }),
            None => stats.unknown_endpoint += 1,
        }
    }

    /// Asks an endpoint when it is next to be woken. Apart, so that the way of a packet stays short.
    #[inline(never)]
    fn schedule(&mut self, slot: u32, now_ms: u64) {
        let endpoint = self.slots.get_mut(slot as usize).and_then(Option::as_mut);
        self.wheel.put(slot, endpoint.and_then(|endpoint| endpoint.wake(now_ms)));
    }

    /// Takes a packet that came for an endpoint.
    pub fn receive(
        &mut self,
        id: EndpointId,
        channel: Channel,
        from: SocketAddr,
        packet: &[u8],
        now: Now,
        io: &mut dyn PacketIo,
    ) {
        match self.leg(id) {
            Some(leg) => self.receive_at(leg, channel, from, packet, now, io),
            None => self.stats.unknown_endpoint += 1,
        }
    }

    /// [`Self::receive`] for a driver that knows the slot. A slot that has another endpoint by now takes nothing.
    pub fn receive_at(
        &mut self,
        leg: Leg,
        channel: Channel,
        from: SocketAddr,
        packet: &[u8],
        now: Now,
        io: &mut dyn PacketIo,
    ) {
        self.stats.packets_received += 1;
        if self.slots.get(leg.slot as usize).and_then(Option::as_ref).is_some_and(|endpoint| endpoint.is_secure()) {
            self.receive_secure(leg, channel, from, packet, now, io);
        } else {
            self.receive_clear(leg, channel, from, packet, now, io);
        }
    }

    fn receive_secure(
        &mut self,
        leg: Leg,
        channel: Channel,
        from: SocketAddr,
        packet: &[u8],
        now: Now,
        io: &mut dyn PacketIo,
    ) {
        let mut clear = [0; MAX_BUILT];
        let mut opened = None;
        self.act(leg, now, io, |endpoint, ctx| opened = endpoint.open(channel, from, packet, &mut clear, ctx));
        if let Some(packet) = opened {
            self.receive_clear(leg, channel, from, packet, now, io);
        }
    }

    fn receive_clear(
        &mut self,
        leg: Leg,
        channel: Channel,
        from: SocketAddr,
        packet: &[u8],
        now: Now,
        io: &mut dyn PacketIo,
    ) {
        let (mut digit_down, mut peer, mut passed) = (false, None, None);
        self.act(leg, now, io, |endpoint, ctx| {
            passed = endpoint.hear(channel, from, packet, ctx);
            (digit_down, peer) = (endpoint.digit_is_down(), endpoint.peer);
        });
        if let (Some(passed), Some(peer)) = (passed, peer) {
            self.relay(leg.id, peer, &passed, now, io);
        }
        // Only a key brings a deadline nearer; all others may be found later than they were set.
        if digit_down {
            self.schedule(leg.slot, now.mono / 1_000_000);
        }
    }

    /// Does what is due, at most [`FRAMES_A_TICK`] or an eighth of the endpoints.
    pub fn tick(&mut self, now: Now, io: &mut dyn PacketIo) {
        let now_ms = now.mono / 1_000_000;
        self.stats.ticks += 1;
        self.resume = None;
        self.mix(now);
        let mut served = 0;
        let limit = FRAMES_A_TICK.max(self.by_id.len() / 8);
        while let Some(slot) = self.wheel.expired(now_ms) {
            if let Some(id) = self.slots.get(slot as usize).and_then(Option::as_ref).map(|endpoint| endpoint.id) {
                self.act(Leg { id, slot }, now, io, Endpoint::run);
                let endpoint = self.slots.get_mut(slot as usize).and_then(Option::as_mut);
                self.wheel.put(slot, endpoint.and_then(|endpoint| endpoint.next_wake(now_ms)));
            }
            served += 1;
            if served == limit {
                self.stats.ticks_cut += 1;
                self.resume = Some(now_ms + 1);
                break;
            }
        }
    }

    /// When `tick` is to be called next, monotonic nanoseconds. `None`: not before a command or a packet.
    #[must_use]
    pub fn next_wake(&self) -> Option<u64> {
        let next = self.wheel.next().map(|next| next.max(self.resume.unwrap_or(0)));
        Some(sooner(next, self.rooms.due())? * 1_000_000)
    }

    /// The next event. Call it until `None` after every other call.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop()?;
        if let Some(&slot) = self.by_id.get(&event.id())
            && let Some(endpoint) = self.slots.get_mut(slot as usize).and_then(Option::as_mut)
        {
            endpoint.reserve.give_back(&event);
        }
        Some(event)
    }

    /// Takes an endpoint out, to be adopted by another shard. Poll the events out first: those stay here. It leaves its
    /// room. Of two that are joined, the other follows: until both are on one shard again, neither hears the other.
    pub fn take(&mut self, id: EndpointId) -> Option<EndpointState> {
        self.leave(id);
        let (_, mut endpoint) = self.remove(id)?;
        endpoint.reserve = Reserve::default();
        endpoint.flush_records(&mut self.records);
        Some(EndpointState(endpoint))
    }

    /// Takes in an endpoint that another shard gave up; it goes on where it stood. Its address here is returned. A full
    /// shard adopts it all the same: a call that is up is not dropped for a bound on new ones.
    pub fn adopt(&mut self, state: EndpointState) -> Leg {
        let leg = self.insert(state.0);
        self.rejoin(leg);
        leg
    }

    /// Where an endpoint is.
    #[must_use]
    pub fn leg(&self, id: EndpointId) -> Option<Leg> {
        self.by_id.get(&id).map(|&slot| Leg { id, slot })
    }

    /// All endpoints, in order of their slots.
    #[must_use]
    pub fn ids(&self) -> Vec<EndpointId> {
        self.slots.iter().flatten().map(|endpoint| endpoint.id).collect()
    }

    /// How many endpoints it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// No endpoint: what every test of a leak asks for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// What it did so far.
    #[must_use]
    pub fn stats(&self) -> &ShardStats {
        &self.stats
    }
}
