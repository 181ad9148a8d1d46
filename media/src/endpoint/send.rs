//! What goes out: one packet each packet time, from whatever has the floor, and the chores between.
//!
//! The floor: a key that is down, then a prompt, then a bridged peer or an echo that flows, then silence. Falling behind never makes a
//! burst: an endpoint that is late sends a packet each half packet time until it is back on its grid, each with the
//! timestamp of its place there. What is later than [`MAX_BEHIND`] is let go: the timestamp leaps to the clock, and no
//! sample of a prompt is lost by it.

use super::{Context, Endpoint, Pace, QUALITY_EVERY, Stream};
use crate::codec::{Codec, opus};
use crate::event::Event;
use crate::io::{Channel, SendResult};
use crate::prompt::Frame;
use crate::watch::Silence;
use base::Now;

/// Milliseconds for which an endpoint that sends is not asked again what else is due: what was due last holds until then,
/// and a key or a command asks at once. A deadline that a packet set anew is further off than this.
const ASKED_EVERY: u64 = 100;

/// How late, in milliseconds, a packet is still made up for.
pub const MAX_BEHIND: u64 = 200;

/// Octets in the longest packet time, 60 ms, of all but Opus.
const MAX_FRAME: usize = 480;

static SILENT_PCMU: [u8; MAX_FRAME] = [Codec::Pcmu.silence(); MAX_FRAME];
static SILENT_PCMA: [u8; MAX_FRAME] = [Codec::Pcma.silence(); MAX_FRAME];
/// Both bands of G.722 at their smallest step: a decoder settles on zero.
static SILENT_G722: [u8; MAX_FRAME] = [0xFD; MAX_FRAME];

pub(super) fn silence(codec: Codec, ms: u16) -> &'static [u8] {
    let silent: &[u8] = match codec {
        Codec::Pcmu => &SILENT_PCMU,
        Codec::Pcma => &SILENT_PCMA,
        Codec::G722 => &SILENT_G722,
        Codec::Opus => return opus::silence(ms),
    };
    silent.get(..usize::from(ms) * 8).unwrap_or(silent)
}

/// The earlier of two times, where there is one. Written out: it is asked for every packet.
pub(crate) fn sooner(left: Option<u64>, right: Option<u64>) -> Option<u64> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(right)),
        (one, other) => one.or(other),
    }
}

/// When something but a packet is due, as it was when the endpoint was asked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Chores {
    /// Milliseconds.
    at: Option<u64>,
    asked_at: u64,
}

impl Chores {
    /// It is to be asked again: one is due, or it was asked too long ago.
    fn are_due(self, now_ms: u64) -> bool {
        now_ms >= self.asked_at + ASKED_EVERY || self.at.is_some_and(|at| at <= now_ms)
    }
}

impl Endpoint {
    /// Does what is due.
    pub(crate) fn run(&mut self, ctx: &mut Context<'_>) {
        if let Some(pace) = self.pace.filter(|pace| pace.at <= ctx.ms()) {
            self.send_due(pace, ctx);
        }
        if self.audio.is_some() {
            self.run_ear(ctx);
            self.run_records(ctx);
        }
        if self.chores.are_due(ctx.ms()) {
            self.chores(ctx);
        }
    }

    /// The next millisecond at which something is due. `None`: nothing until a command comes.
    pub(crate) fn wake(&mut self, now_ms: u64) -> Option<u64> {
        let worked = if self.audio.is_some() { sooner(self.record_wake(), self.ear_wake()) } else { None };
        let reports = sooner(self.reports.due, self.quality_due);
        let chore = sooner(sooner(self.digits.deadline(), self.watch.deadline()), reports);
        self.chores = Chores { at: chore.map(|at| at.div_ceil(1_000_000)), asked_at: now_ms };
        sooner(sooner(self.chores.at, worked), self.pace.map(|pace| pace.at))
    }

    /// The same after it has run. While it only sends, what it is asked for otherwise lies in a dozen cache lines, and has not
    /// changed.
    pub(crate) fn next_wake(&mut self, now_ms: u64) -> Option<u64> {
        match self.pace {
            Some(pace) if self.audio.is_none() && !self.chores.are_due(now_ms) => sooner(self.chores.at, Some(pace.at)),
            _ => self.wake(now_ms),
        }
    }

    fn send_due(&mut self, pace: Pace, ctx: &mut Context<'_>) {
        if let Some(until) = self.floor_is_the_peers(ctx.ms()) {
            self.pace = Some(Pace { due: until, at: until });
            return;
        }
        let Some(stream) = self.stream.take() else { return };
        let ptime = u64::from(stream.config.ptime_ms);
        let behind = ctx.ms() - pace.due;
        let skipped = if behind > MAX_BEHIND { behind / ptime } else { 0 };
        self.outbound.skipped += skipped;
        ctx.stats.skipped += skipped;
        let due = pace.due + skipped * ptime;
        ctx.stats.lateness.record(ctx.now.mono - due * 1_000_000);
        self.send_frame(&stream, due, ctx);
        let next = due + ptime;
        self.pace = Some(Pace { due: next, at: next.max(ctx.ms() + ptime / 2) });
        self.stream = Some(stream);
        self.end_play_if_over(ctx);
    }

    fn send_frame(&mut self, stream: &Stream, due: u64, ctx: &mut Context<'_>) {
        let ticks = u64::from(stream.config.ptime_ms) * self.outbound.per_ms();
        let timestamp = self.outbound.timestamp_at(due);
        if let Some(payload_type) = stream.config.dtmf_out
            && let Some(key) = self.keys.next(timestamp, ticks)
        {
            let payload = key.event.to_bytes();
            let length = self.outbound.write(ctx.scratch, payload_type, key.marker, key.timestamp, &payload);
            return self.emit(stream, length, payload.len(), ctx);
        }
        if self.keys.is_idle() && self.echo.is_some_and(|echo| self.player.is_none() && echo.flows(ctx.ms())) {
            return;
        }
        if self.audio.is_some() {
            self.release_passed(stream, ctx.now);
        }
        self.send_audio(stream, due, timestamp, ticks, ctx);
    }

    /// A frame of the prompt, of what it is joined with, or of silence. What plays goes on where nobody may hear it.
    fn send_audio(&mut self, stream: &Stream, due: u64, timestamp: u64, ticks: u64, ctx: &mut Context<'_>) {
        let (codec, ms) = (stream.config.codec, stream.config.ptime_ms);
        let Self { player, keys, audio, mute, .. } = self;
        let player = player.as_mut().filter(|_| keys.is_idle());
        let silent = silence(codec, ms);
        let mut padded;
        let payload = match player.and_then(|player| player.next(codec, ms)) {
            Some(Frame::Ready(frame)) if frame.len() >= silent.len() || codec == Codec::Opus => frame,
            Some(Frame::Ready(frame)) => {
                padded = [0; MAX_FRAME];
                pad(&mut padded, frame, silent)
            }
            Some(Frame::Raw { samples, rate }) => {
                let made = audio.get_or_insert_default().encode(codec, rate, ms, samples);
                if made.is_empty() { silent } else { made }
            }
            None => {
                let due = Now::new(due * 1_000_000, ctx.now.wall);
                audio.as_mut().and_then(|audio| audio.next(codec, ms, due, ctx.rooms)).unwrap_or(silent)
            }
        };
        let payload = if mute.outbound { silent } else { payload };
        let payload_type = stream.config.payload_type_out;
        let length = self.outbound.audio(ctx.scratch, payload_type, timestamp, ticks, payload);
        let octets = payload.len();
        self.emit(stream, length, octets, ctx);
    }

    /// Hands the packet in the scratch buffer to the network, protected where keys were agreed.
    pub(super) fn emit(&mut self, stream: &Stream, length: usize, octets: usize, ctx: &mut Context<'_>) {
        if self.audio.is_some() {
            self.send_for_records(stream, length, ctx);
        }
        let length = match self.srtp.as_mut().filter(|_| stream.config.srtp.is_some()) {
            Some(srtp) => srtp.protect(ctx.scratch, length),
            None => length,
        };
        let Some(packet) = ctx.scratch.get(..length).filter(|packet| !packet.is_empty()) else { return };
        match ctx.io.send(ctx.leg, Channel::Rtp, stream.gate.rtp(), packet) {
            SendResult::Sent => {
                self.outbound.packets += 1;
                self.outbound.octets += octets as u64;
                ctx.stats.packets_sent += 1;
            }
            SendResult::Blocked => {
                self.outbound.dropped += 1;
                ctx.stats.blocked += 1;
            }
            SendResult::Failed => {
                self.outbound.dropped += 1;
                ctx.stats.refused += 1;
            }
        }
    }

    fn chores(&mut self, ctx: &mut Context<'_>) {
        let mono = ctx.now.mono;
        if let Some(heard) = self.digits.expire(mono) {
            self.say_digit(heard, ctx);
        }
        while let Some(silence) = self.watch.expire(mono) {
            let id = self.id;
            let event = match silence {
                Silence::NoMedia => Event::NoMedia { id },
                Silence::TimedOut => Event::TimedOut { id },
            };
            ctx.events.push_reserved(&mut self.reserve, event);
        }
        if self.reports.due.is_some_and(|due| due <= mono) {
            self.report(false, ctx);
            self.reports.schedule(ctx.rng, mono);
        }
        if self.quality_due.is_some_and(|due| due <= mono) {
            self.quality_due = Some(mono + QUALITY_EVERY);
            self.reception.forget_best();
            let event = Event::Quality { id: self.id, report: self.quality() };
            ctx.stats.quality_dropped += u64::from(!ctx.events.push_quality(event));
        }
    }
}

/// A short frame at the end of a prompt, filled up with silence.
fn pad<'a>(padded: &'a mut [u8; MAX_FRAME], frame: &[u8], silence: &[u8]) -> &'a [u8] {
    let samples = silence.len().min(MAX_FRAME);
    padded[..samples].copy_from_slice(&silence[..samples]);
    let length = frame.len().min(samples);
    padded[..length].copy_from_slice(&frame[..length]);
    &padded[..samples]
}
