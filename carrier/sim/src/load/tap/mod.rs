//! A media shard with a tap on its wires: what passes is stamped and measured, and goes on as it would without.
//!
//! Every stream that plays carries the time at which each packet left (`stamp`); whatever comes back with one tells how
//! long it was away: through an echo, or through a bridge to a leg that this load has answered itself. What comes and what
//! leaves is held against the grid of its own timestamps (`grid`). SRTP is done here, and the shard behind it sees all in
//! clear, since the stamp is part of what is encrypted.
//!
//! Sans-IO: the rim hands in when the kernel took a packet, and says the time at the moment a packet leaves.

mod grid;
mod spread;
mod stamp;
mod streams;

pub use streams::Streams;

use base::{Now, Rng};
use grid::{Grid, Place};
use media::{Channel, Command, EndpointId, Event, Leg, PacketIo, SendResult, Shard, ShardConfig, ShardStats, Srtp};
use rtp_rs::RtpReader;
use spread::Spread;
use std::net::SocketAddr;
use std::time::Duration;

/// Octets of the longest packet that leaves: an Ethernet frame's worth, tag included.
const ROOM: usize = 1_500;
/// Octets of the header that a shard builds: no CSRC, no extension (RFC 3550 §5.1).
const HEADER: usize = 12;

/// A way out that knows the time: that at which a packet leaves is not that at which its tick began.
pub trait Wire: PacketIo {
    /// The time now (monotonic nanoseconds).
    fn mono(&self) -> u64;
}

/// What a tap works with and does not own.
pub struct Ends<'a> {
    /// The way out.
    pub wire: &'a mut dyn Wire,
    /// Where what is measured is counted.
    pub seen: &'a mut Streams,
    /// The time.
    pub now: Now,
}

impl std::fmt::Debug for Ends<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ends").field("now", &self.now).finish_non_exhaustive()
    }
}

/// What is known of one endpoint's stream.
#[derive(Debug, Default)]
struct Stream {
    srtp: Option<Box<Srtp>>,
    rtcp_mux: bool,
    /// The payload types of audio: ours and the far end's.
    audio: Option<(u8, u8)>,
    /// It plays, and is stamped.
    plays: bool,
    sent: Grid,
    heard: Grid,
    late: Spread,
    away: Spread,
}

/// See the head of this file.
#[derive(Debug)]
pub struct Tap {
    shard: Shard,
    key: u64,
    wires: Wires,
}

#[derive(Debug)]
struct Wires {
    /// By slot of the shard.
    streams: Vec<Option<Box<Stream>>>,
    scratch: Box<[u8; ROOM]>,
}

impl Wires {
    fn at(&mut self, leg: Leg) -> Option<&mut Stream> {
        self.streams.get_mut(leg.slot as usize)?.as_deref_mut()
    }
}

impl Tap {
    /// A shard without endpoints. All shards whose streams may meet have the same `key`.
    #[must_use]
    pub fn new(config: ShardConfig, rng: Rng, key: u64) -> Self {
        let wires = Wires { streams: Vec::new(), scratch: Box::new([0; ROOM]) };
        Self { shard: Shard::new(config, rng), key, wires }
    }

    /// Does what a command says.
    pub fn command(&mut self, mut command: Command, ends: Ends<'_>) {
        if let Some(stream) = self.shard.leg(command.id()).and_then(|leg| self.wires.at(leg)) {
            match &mut command {
                Command::Configure { config, .. } => stream.configure(config),
                Command::Play { .. } => stream.plays = true,
                _ => {}
            }
        }
        let now = ends.now;
        self.shard.command(command, now, &mut Through { ends, key: self.key, wires: &mut self.wires });
    }

    /// Takes a packet that the kernel took at `arrived` (monotonic nanoseconds). It is opened in place.
    pub fn receive(
        &mut self,
        leg: Leg,
        channel: Channel,
        from: SocketAddr,
        packet: &mut [u8],
        arrived: u64,
        ends: Ends<'_>,
    ) {
        let mut length = packet.len();
        if let Some(stream) = self.wires.at(leg) {
            let is_rtcp = stream.is_rtcp(channel, packet);
            match stream.open(is_rtcp, packet) {
                Some(clear) => length = clear,
                None => {
                    ends.seen.refused += 1;
                    return;
                }
            }
            if !is_rtcp {
                stream.hear(packet.get(..length).unwrap_or_default(), self.key, arrived, ends.seen);
            }
        }
        ends.seen.read_late.record(Duration::from_nanos(ends.now.mono.saturating_sub(arrived)));
        let (packet, then) = (packet.get(..length).unwrap_or_default(), Now::new(arrived, ends.now.wall));
        let mut through = Through { ends, key: self.key, wires: &mut self.wires };
        self.shard.receive_at(leg, channel, from, packet, then, &mut through);
    }

    /// Does what is due.
    pub fn tick(&mut self, ends: Ends<'_>) {
        let now = ends.now;
        self.shard.tick(now, &mut Through { ends, key: self.key, wires: &mut self.wires });
    }

    /// When [`Tap::tick`] is to be called next (monotonic nanoseconds). `None`: not before a command or a packet.
    #[must_use]
    pub fn next_wake(&self) -> Option<u64> {
        self.shard.next_wake()
    }

    /// The next event. Call it until `None` after every other call.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.shard.poll_event()
    }

    /// All endpoints.
    #[must_use]
    pub fn ids(&self) -> Vec<EndpointId> {
        self.shard.ids()
    }

    /// What the shard did so far.
    #[must_use]
    pub fn stats(&self) -> &ShardStats {
        self.shard.stats()
    }
}

impl Stream {
    /// Its keys stay here.
    fn configure(&mut self, config: &mut media::StreamConfig) {
        self.rtcp_mux = config.rtcp_mux;
        self.audio = Some((config.payload_type_out, config.payload_type_in));
        match (config.srtp.take(), &mut self.srtp) {
            (Some(keys), Some(srtp)) => srtp.rekey(&keys, false),
            (Some(keys), none) => *none = Some(Box::new(Srtp::new(&keys))),
            (None, srtp) => *srtp = None,
        }
    }

    /// On a shared port, RTCP is what has its packet types where RTP has marker and payload type (RFC 5761 §4).
    fn is_rtcp(&self, channel: Channel, packet: &[u8]) -> bool {
        channel == Channel::Rtcp || self.rtcp_mux && packet.get(1).is_some_and(|kind| (192..=223).contains(kind))
    }

    /// The length of what is in clear; `None`: it is refused.
    fn open(&mut self, is_rtcp: bool, packet: &mut [u8]) -> Option<usize> {
        match &mut self.srtp {
            Some(srtp) if is_rtcp => srtp.open_rtcp(packet).ok(),
            Some(srtp) => srtp.open(packet).ok(),
            None => Some(packet.len()),
        }
    }

    fn hear(&mut self, packet: &[u8], key: u64, arrived: u64, seen: &mut Streams) {
        let Ok(rtp) = RtpReader::new(packet) else { return };
        if self.audio.is_none_or(|(_, audio)| rtp.payload_type() != audio) {
            return;
        }
        let Self { heard, late, away, .. } = self;
        heard.packet(place(&rtp), arrived, &mut |nanos| {
            late.record(nanos);
            seen.late.record(Duration::from_nanos(nanos));
        });
        if let Some(nanos) = stamp::read(rtp.payload(), key, arrived) {
            away.record(nanos);
            seen.away.record(Duration::from_nanos(nanos));
        }
    }

    /// A packet of ours that lies in clear in the buffer.
    fn send(&mut self, packet: &mut [u8], key: u64, at: u64, seen: &mut Streams) {
        let place =
            RtpReader::new(packet).ok().filter(|rtp| self.audio.is_some_and(|(ours, _)| rtp.payload_type() == ours));
        let Some(place) = place.map(|rtp| self::place(&rtp)) else { return };
        self.sent.packet(place, at, &mut |nanos| seen.sent_late.record(Duration::from_nanos(nanos)));
        stamp::write(packet.get_mut(HEADER..).unwrap_or_default(), key, at);
    }

    /// Its last words.
    fn end(&mut self, seen: &mut Streams) {
        let Self { sent, heard, late, away, .. } = self;
        sent.flush(&mut |nanos| seen.sent_late.record(Duration::from_nanos(nanos)));
        heard.flush(&mut |nanos| {
            late.record(nanos);
            seen.late.record(Duration::from_nanos(nanos));
        });
        for (spread, of_streams) in [(late, &mut seen.stream_late), (away, &mut seen.stream_away)] {
            if let Some(p99) = spread.p99() {
                of_streams.record(Duration::from_nanos(p99));
            }
        }
    }
}

fn place(rtp: &RtpReader<'_>) -> Place {
    Place { ssrc: rtp.ssrc(), timestamp: rtp.timestamp(), marker: rtp.mark() }
}

/// The shard's way out.
struct Through<'a, 'b> {
    ends: Ends<'b>,
    key: u64,
    wires: &'a mut Wires,
}

impl PacketIo for Through<'_, '_> {
    fn open(&mut self, leg: Leg, rtp_port: u16) -> Result<(), String> {
        self.ends.wire.open(leg, rtp_port)?;
        let slot = leg.slot as usize;
        if self.wires.streams.len() <= slot {
            self.wires.streams.resize_with(slot + 1, || None);
        }
        if let Some(free) = self.wires.streams.get_mut(slot) {
            *free = Some(Box::default());
        }
        Ok(())
    }

    fn send(&mut self, leg: Leg, channel: Channel, to: SocketAddr, packet: &[u8]) -> SendResult {
        let Wires { streams, scratch } = &mut *self.wires;
        let Some(stream) = streams.get_mut(leg.slot as usize).and_then(Option::as_deref_mut) else {
            return SendResult::Failed;
        };
        let Some(copy) = scratch.get_mut(..packet.len()) else { return SendResult::Failed };
        copy.copy_from_slice(packet);
        let (mut length, is_rtcp) = (packet.len(), stream.is_rtcp(channel, packet));
        if stream.plays && !is_rtcp {
            stream.send(copy, self.key, self.ends.wire.mono(), self.ends.seen);
        }
        if let Some(srtp) = &mut stream.srtp {
            let scratch = scratch.as_mut_slice();
            length = if is_rtcp { srtp.protect_rtcp(scratch, length) } else { srtp.protect(scratch, length) };
        }
        match scratch.get(..length).filter(|packet| !packet.is_empty()) {
            Some(packet) => self.ends.wire.send(leg, channel, to, packet),
            None => SendResult::Failed,
        }
    }

    fn close(&mut self, leg: Leg) {
        if let Some(mut stream) = self.wires.streams.get_mut(leg.slot as usize).and_then(Option::take) {
            stream.end(self.ends.seen);
        }
        self.ends.wire.close(leg);
    }
}

#[cfg(test)]
mod tests;
