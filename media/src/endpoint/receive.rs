//! What comes in: the gate, the statistics, then digits, capture and echo.
//!
//! Nothing a packet holds may end more than that packet: a short one, a strange one or one of a payload type nobody
//! negotiated is counted and goes nowhere (SECURITY.md rows 1-3 and 22).

use super::{Context, Endpoint, Stream};
use crate::capture::Taker;
use crate::codec::Codec;
use crate::digits::Heard;
use crate::event::Event;
use crate::io::Channel;
use crate::reception::Arrival;
use crate::telephone_event::TelephoneEvent;
use rtp_rs::RtpReader;
use std::net::SocketAddr;

/// Payload octets of the longest packet that is heard; a longer one cannot have come in one Ethernet frame.
const MAX_PAYLOAD: usize = 1460;

impl Endpoint {
    /// Takes one packet. Before the stream is configured there is nobody to hear.
    pub(crate) fn hear(&mut self, channel: Channel, from: SocketAddr, packet: &[u8], ctx: &mut Context<'_>) {
        let Some(mut stream) = self.stream.take() else { return };
        if channel == Channel::Rtcp || (stream.config.rtcp_mux && is_rtcp(packet)) {
            self.hear_rtcp(&mut stream, from, packet, ctx);
        } else if stream.gate.admits(from) {
            self.hear_rtp(&mut stream, from, packet, ctx);
        } else {
            self.count_stranger(ctx);
        }
        self.stream = Some(stream);
    }

    /// A key is down, and has a deadline.
    pub(crate) fn digit_is_down(&self) -> bool {
        self.digits.deadline().is_some()
    }

    fn count_stranger(&mut self, ctx: &mut Context<'_>) {
        self.strangers += 1;
        ctx.stats.strangers += 1;
    }

    fn count_malformed(&mut self, ctx: &mut Context<'_>) {
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

    fn hear_rtp(&mut self, stream: &mut Stream, from: SocketAddr, packet: &[u8], ctx: &mut Context<'_>) {
        let Some(rtp) = RtpReader::new(packet).ok().filter(|rtp| rtp.payload().len() <= MAX_PAYLOAD) else {
            return self.count_malformed(ctx);
        };
        let payload_type = rtp.payload_type();
        let audio = payload_type == stream.config.payload_type_in;
        let known = audio || stream.config.dtmf_in == Some(payload_type);
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
        if !arrival.is_fresh() || !known {
            return;
        }
        if audio {
            self.hear_audio(stream, &rtp, ctx);
        } else if stream.config.receive {
            self.hear_event(&rtp, ctx);
        }
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

    fn hear_audio(&mut self, stream: &Stream, rtp: &RtpReader<'_>, ctx: &mut Context<'_>) {
        self.reception.timing(rtp.timestamp(), ctx.now);
        if !stream.config.receive {
            return;
        }
        if self.capturing {
            self.capture(stream.config.codec, rtp, ctx);
        }
        if self.pace.is_some() && self.player.is_none() && self.keys.is_idle() {
            self.echo_back(stream, rtp, ctx);
        }
    }

    fn capture(&mut self, codec: Codec, rtp: &RtpReader<'_>, ctx: &Context<'_>) {
        let taker = self.taker.get_or_insert_with(|| Box::new(Taker::new(codec)));
        let (ssrc, timestamp, payload) = (rtp.ssrc(), rtp.timestamp(), rtp.payload());
        if taker.codec() == codec {
            return taker.push(ssrc, timestamp, payload, ctx.now);
        }
        // The codec changed in mid-capture: the take stays in the one it began with.
        let mut other = [0; MAX_PAYLOAD];
        let kept = taker.codec();
        let octets = other.iter_mut().zip(payload);
        let length = octets.map(|(to, &from)| *to = kept.encode_sample(codec.decode_sample(from))).count();
        taker.push(ssrc, timestamp, other.get(..length).unwrap_or_default(), ctx.now);
    }

    fn echo_back(&mut self, stream: &Stream, rtp: &RtpReader<'_>, ctx: &mut Context<'_>) {
        let Some(echo) = &mut self.echo else { return };
        let (now_ms, payload) = (ctx.ms(), rtp.payload());
        let clock = self.outbound.timestamp_at(now_ms);
        let Some(to) = echo.map(rtp.timestamp(), clock, now_ms) else { return };
        // Something else was sent meanwhile: what would step back waits for the next packet's new mapping.
        if to < self.outbound.end() {
            return echo.forget();
        }
        let length = self.outbound.audio(ctx.scratch, stream.config.payload_type_out, to, payload);
        self.emit(stream, length, payload.len(), ctx);
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
    }
}

/// On a shared port, RTCP is what has its packet types where RTP has marker and payload type (RFC 5761 §4).
fn is_rtcp(packet: &[u8]) -> bool {
    packet.get(1).is_some_and(|kind| (192..=223).contains(kind))
}
