//! What comes in: the gate, the statistics, then digits, capture, echo and the peer.
//!
//! Nothing a packet holds may end more than that packet: a short one, a strange one or one of a payload type nobody
//! negotiated is counted and goes nowhere (SECURITY.md rows 1-3 and 22).

use super::{Context, Endpoint, Kind, Passed, Stream, hush, transcode};
use crate::capture::Taker;
use crate::codec::Codec;
use crate::command::StreamConfig;
use crate::digits::Heard;
use crate::event::Event;
use crate::io::Channel;
use crate::reception::Arrival;
use crate::telephone_event::TelephoneEvent;
use base::Now;
use rtp_rs::RtpReader;
use std::net::SocketAddr;

/// Payload octets of the longest packet that is heard; a longer one cannot have come in one Ethernet frame.
const MAX_PAYLOAD: usize = 1460;

/// The static payload type of comfort noise at 8 kHz (RFC 3389 §4); nobody needs to offer it to send it.
const COMFORT_NOISE: u8 = 13;

/// Octets of the header we build (RFC 3550 §5.1): no CSRC, no extension.
const HEADER: usize = 12;

/// RTP packets of one endpoint's own far end that are heard in a second: fifty times what the shortest packet time makes, so
/// that a backlog comes through, and two far ends that answer each packet with one. More are counted and dropped. It is what
/// bounds media whose far end is another endpoint of ours, or itself: that would go round as fast as a core can.
const MAX_HEARD_A_SECOND: u32 = 5_000;

/// How much a far end sends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pressure {
    second: u64,
    heard: u32,
}

impl Pressure {
    fn is_too_much(&mut self, now: Now) -> bool {
        let second = now.mono / 1_000_000_000;
        if second != self.second {
            *self = Self { second, heard: 0 };
        }
        self.heard = self.heard.saturating_add(1);
        self.heard > MAX_HEARD_A_SECOND
    }
}

impl Endpoint {
    /// Takes one packet; gives back what a peer is to hear. Before the stream is configured there is nobody to hear.
    pub(crate) fn hear<'a>(
        &mut self,
        channel: Channel,
        from: SocketAddr,
        packet: &'a [u8],
        ctx: &mut Context<'_>,
    ) -> Option<Passed<'a>> {
        let mut stream = self.stream.take()?;
        let mut passed = None;
        if channel == Channel::Rtcp || (stream.config.rtcp_mux && is_rtcp(packet)) {
            self.hear_rtcp(&mut stream, from, packet, ctx);
        } else if stream.gate.admits(from) {
            passed = self.hear_rtp(&mut stream, from, packet, ctx);
        } else {
            self.count_stranger(ctx);
        }
        self.stream = Some(stream);
        passed
    }

    /// A key is down, and has a deadline.
    pub(crate) fn digit_is_down(&self) -> bool {
        self.digits.deadline().is_some()
    }

    pub(super) fn count_stranger(&mut self, ctx: &mut Context<'_>) {
        self.strangers += 1;
        ctx.stats.strangers += 1;
    }

    pub(super) fn count_malformed(&mut self, ctx: &mut Context<'_>) {
        self.malformed += 1;
        ctx.stats.malformed += 1;
    }

    fn hear_rtcp(&mut self, stream: &mut Stream, from: SocketAddr, packet: &[u8], ctx: &mut Context<'_>) {
        if !stream.gate.admits_rtcp(from) {
            self.count_stranger(ctx);
        } else if !self.reports.hear(packet, self.outbound.ssrc, ctx.now.mono) {
            self.count_malformed(ctx);
        }
    }

    fn hear_rtp<'a>(
        &mut self,
        stream: &mut Stream,
        from: SocketAddr,
        packet: &'a [u8],
        ctx: &mut Context<'_>,
    ) -> Option<Passed<'a>> {
        let Some(rtp) = RtpReader::new(packet).ok().filter(|rtp| rtp.payload().len() <= MAX_PAYLOAD) else {
            self.count_malformed(ctx);
            return None;
        };
        if self.pressure.is_too_much(ctx.now) {
            ctx.stats.flooded += 1;
            return None;
        }
        let kind = stream.kind_of(rtp.payload_type());
        let known = !matches!(kind, Kind::Noise | Kind::Other);
        self.reception.unknown_payload += u64::from(!known);
        if known {
            self.meet(stream, from, ctx);
        }
        if stream.config.receive && self.met && self.watch.heard(ctx.now.mono) {
            ctx.events.push_reserved(&mut self.reserve, Event::MediaResumed { id: self.id });
        }
        let sequence = u16::from(rtp.sequence_number());
        let arrival = self.reception.sequence(rtp.ssrc(), sequence, rtp.payload().len(), known);
        if arrival == Arrival::NewSource {
            self.forget_source(ctx);
        }
        if !arrival.is_fresh() {
            return None;
        }
        match kind {
            Kind::Audio => self.hear_audio(stream, &rtp, arrival != Arrival::Fresh, ctx),
            Kind::TelephoneEvent if stream.config.receive => self.hear_event(&rtp, ctx),
            Kind::Noise if stream.config.receive => self.hear_noise(rtp.payload()),
            Kind::TelephoneEvent | Kind::Noise | Kind::Other => {}
        }
        let muted = self.mute.inbound && kind != Kind::TelephoneEvent;
        let heard = stream.config.receive && !muted && self.peer.is_some();
        heard.then(|| passed(&stream.config, kind, sequence, arrival != Arrival::Fresh, &rtp))
    }

    /// The first valid packet locks its source, and is announced.
    fn meet(&mut self, stream: &mut Stream, from: SocketAddr, ctx: &mut Context<'_>) {
        stream.gate.lock(from);
        if !std::mem::replace(&mut self.met, true) {
            let event = Event::FirstPacket { id: self.id, from, at: ctx.now };
            ctx.events.push_reserved(&mut self.reserve, event);
        }
    }

    fn forget_source(&mut self, ctx: &mut Context<'_>) {
        if let Some(heard) = self.digits.restart(ctx.now.mono) {
            self.say_digit(heard, ctx);
        }
        if let Some(echo) = &mut self.echo {
            echo.forget();
        }
    }

    fn hear_audio(&mut self, stream: &Stream, rtp: &RtpReader<'_>, leaps: bool, ctx: &mut Context<'_>) {
        self.reception.timing(rtp.timestamp(), ctx.now);
        if !stream.config.receive || self.mute.inbound {
            return;
        }
        if self.capturing {
            self.capture(stream.config.codec, rtp, ctx);
        }
        if self.audio.is_some() && self.work_on(stream, rtp, leaps, ctx) {
            return;
        }
        if self.peer.is_none() && self.pace.is_some() && self.player.is_none() && self.keys.is_idle() {
            self.echo_back(stream, rtp, ctx);
        }
    }

    /// Hands it to whoever decodes it; true where a room has it, and nobody else is to. Apart, so that the way of a packet
    /// that is only passed on stays short.
    #[cold]
    #[inline(never)]
    fn work_on(&mut self, stream: &Stream, rtp: &RtpReader<'_>, leaps: bool, ctx: &Context<'_>) -> bool {
        self.hear_for_records(stream, rtp, leaps, ctx);
        self.hear_for_ear(stream, rtp, leaps, ctx);
        let seat = self.seat();
        let seated = seat.is_some();
        if let Some(seat) = seat {
            seat.hear(stream.config.codec, rtp.timestamp(), leaps, rtp.payload(), ctx.now);
        }
        seated
    }

    #[cold]
    fn hear_noise(&mut self, payload: &[u8]) {
        if let (Some(seat), Some(&level)) = (self.seat(), payload.first()) {
            seat.hear_noise(level);
        }
    }

    fn capture(&mut self, codec: Codec, rtp: &RtpReader<'_>, ctx: &Context<'_>) {
        let taker = self.taker.get_or_insert_with(|| Box::new(Taker::new(codec)));
        taker.take(codec, rtp.ssrc(), rtp.timestamp(), rtp.payload(), ctx.now);
    }

    fn echo_back(&mut self, stream: &Stream, rtp: &RtpReader<'_>, ctx: &mut Context<'_>) {
        let Some(echo) = self.echo.as_mut().filter(|_| !self.mute.outbound) else { return };
        let (now_ms, payload) = (ctx.ms(), rtp.payload());
        let clock = self.outbound.timestamp_at(now_ms);
        let Some(to) = echo.map(rtp.timestamp(), clock, self.outbound.per_ms(), now_ms) else { return };
        // Something else was sent meanwhile: what would step back waits for the next packet's new mapping.
        if to < self.outbound.end() {
            return echo.forget();
        }
        let ticks = stream.config.codec.ticks(payload);
        let length = self.outbound.audio(ctx.scratch, stream.config.payload_type_out, to, ticks, payload);
        self.emit(stream, length, payload.len(), ctx);
    }

    /// Sends what the peer heard, unless something else has the floor.
    pub(crate) fn relay(&mut self, passed: &Passed<'_>, ctx: &mut Context<'_>) {
        if self.mute.outbound && passed.kind != Kind::TelephoneEvent {
            return self.relay.withhold(passed.sequence);
        }
        let Some(stream) = self.stream.take() else { return };
        if transcode::is_needed(passed, &stream.config) {
            self.transcode(passed, &stream, ctx);
            self.stream = Some(stream);
            return;
        }
        let payload_type = match passed.kind {
            Kind::Audio => Some(stream.config.payload_type_out),
            Kind::TelephoneEvent => stream.config.dtmf_out,
            Kind::Noise | Kind::Other => None,
        };
        match payload_type.filter(|_| !passed.payload.is_empty()) {
            Some(payload_type) => self.relay_as(payload_type, &stream, passed, ctx),
            None => self.relay.withhold(passed.sequence),
        }
        self.stream = Some(stream);
    }

    fn relay_as(&mut self, payload_type: u8, stream: &Stream, passed: &Passed<'_>, ctx: &mut Context<'_>) {
        self.relay.heard(ctx.ms());
        if self.pace.is_none() || self.player.is_some() || !self.keys.is_idle() {
            return self.relay.withhold(passed.sequence);
        }
        let Some(place) = self.relay.place(passed, &self.outbound, ctx.ms()) else { return };
        let length = self.outbound.relay(ctx.scratch, payload_type, place, passed.samples(), passed.payload);
        if passed.kind == Kind::Audio {
            self.outbound.follow(place.timestamp, ctx.ms());
            let payload = ctx.scratch.get_mut(HEADER..length).unwrap_or_default();
            passed.codec.transcode(stream.config.codec, payload);
            if passed.codec.is_g711() && hush::is_wanted(passed, &stream.config) {
                self.hush_relayed(stream, payload);
            }
        } else if passed.event_scale != stream.config.dtmf_scale() {
            let payload = ctx.scratch.get_mut(HEADER..length).unwrap_or_default();
            recount(payload, passed.event_scale, stream.config.dtmf_scale());
        }
        self.emit(stream, length, passed.payload.len(), ctx);
    }

    fn hear_event(&mut self, rtp: &RtpReader<'_>, ctx: &mut Context<'_>) {
        let Some(event) = TelephoneEvent::parse(rtp.payload()) else {
            return self.count_malformed(ctx);
        };
        let flooded = self.digits.flooded;
        for heard in self.digits.push(rtp.timestamp(), event, ctx.now.mono).into_iter().flatten() {
            self.say_digit(heard, ctx);
        }
        ctx.stats.digits_dropped += self.digits.flooded - flooded;
    }

    pub(super) fn say_digit(&mut self, heard: Heard, ctx: &mut Context<'_>) {
        let event = Event::Digit { id: self.id, digit: heard.key, duration_ms: heard.duration_ms };
        ctx.stats.digits_dropped += u64::from(!ctx.events.push_reserved(&mut self.reserve, event));
        self.key_to_records(heard.key, ctx);
    }
}

impl Stream {
    fn kind_of(&self, payload_type: u8) -> Kind {
        if payload_type == self.config.payload_type_in {
            Kind::Audio
        } else if self.config.dtmf_in == Some(payload_type) {
            Kind::TelephoneEvent
        } else if payload_type == COMFORT_NOISE && self.config.codec.clock_rate() == 8_000 {
            Kind::Noise
        } else {
            Kind::Other
        }
    }
}

fn passed<'a>(config: &StreamConfig, kind: Kind, sequence: u16, leaps: bool, rtp: &RtpReader<'a>) -> Passed<'a> {
    let StreamConfig { codec, ptime_ms, .. } = *config;
    Passed {
        kind,
        codec,
        ptime_ms,
        event_scale: config.dtmf_scale(),
        sequence,
        timestamp: rtp.timestamp(),
        marker: rtp.mark(),
        tones: config.dtmf_in.is_none(),
        leaps,
        payload: rtp.payload(),
    }
}

/// An event's duration on the other leg's clock. One that is too long for it is cut: its segments no longer adjoin, and
/// the far end hears the key for that long.
#[cold]
fn recount(payload: &mut [u8], from: u64, to: u64) {
    if let Some(event) = TelephoneEvent::parse(payload)
        && let Some(to_write) = payload.get_mut(..4)
    {
        let duration = (u64::from(event.duration) * from / to.max(1)).min(u16::MAX.into()) as u16;
        to_write.copy_from_slice(&TelephoneEvent { duration, ..event }.to_bytes());
    }
}

/// On a shared port, RTCP is what has its packet types where RTP has marker and payload type (RFC 5761 §4).
pub(super) fn is_rtcp(packet: &[u8]) -> bool {
    packet.get(1).is_some_and(|kind| (192..=223).contains(kind))
}
