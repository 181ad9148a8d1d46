//! What a bridged leg hears, placed on the other leg's stream: that leg's own SSRC, sequence and clock (RFC 3550 §2.3).
//!
//! A loss stays a gap in the sequence and a reordered packet keeps its place, so that the far end's jitter buffer sees
//! what the network did. Whatever else was sent meanwhile (a prompt, keys, silence) is never overlapped: the stream
//! is one, its clock never steps back, and no change adds delay that stays.

use crate::codec::Codec;
use crate::outbound::Outbound;

/// How far, in milliseconds, a relayed stream may run from our own clock before that follows it: one packet, which is what a
/// relay may lead by where it begins within the last packet of a prompt.
pub(crate) const MAX_LEAD_MS: u64 = 20;

/// Without a packet for so many milliseconds the peer is silent, and silence is sent in its place: beyond what a jitter
/// buffer makes up for, and short of what a listener takes for a dead line.
pub const RELAY_PATIENCE_MS: u64 = 160;

/// A step of the sender's timestamp beyond this, in milliseconds, is a new timeline.
const MAX_STEP_MS: u32 = 1_000;

/// The same of a telephone-event: its next segment begins so much later, and must adjoin (RFC 4733 §2.5.1.3).
const MAX_EVENT_STEP: u32 = 0xFFFF;

/// A step of the sender's sequence beyond this is a new timeline and not loss: more than fits in the patience.
const MAX_GAP: u16 = 64;

/// What comes later than this, in milliseconds, was not held up: its sender's clock stood still.
const MAX_LATE_MS: u64 = 500;

/// What a packet carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Audio,
    TelephoneEvent,
    /// Comfort noise (RFC 3389), on its static payload type.
    Noise,
    /// Of a payload type nobody negotiated: it takes a sequence number and goes nowhere.
    Other,
}

/// A packet that one leg heard, for the other.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passed<'a> {
    pub kind: Kind,
    /// The codec of the leg that heard it, and the packet time it sends by itself.
    pub codec: Codec,
    pub ptime_ms: u16,
    /// Ticks of the stream in one of a telephone-event's durations.
    pub event_scale: u64,
    pub sequence: u16,
    pub timestamp: u32,
    pub marker: bool,
    /// The leg that heard it has no telephone-event: its keys are tones in its audio.
    pub tones: bool,
    /// Another source, or another timeline of the same one, begins.
    pub leaps: bool,
    pub payload: &'a [u8],
}

impl Passed<'_> {
    /// How far its timestamp may be from the one before it on the same timeline.
    fn max_step(&self) -> u32 {
        if self.kind == Kind::TelephoneEvent { MAX_EVENT_STEP } else { MAX_STEP_MS * self.codec.per_ms() as u32 }
    }

    /// Ticks of audio in it.
    pub(super) fn samples(&self) -> u64 {
        if self.kind == Kind::Audio { self.codec.ticks(self.payload) } else { 0 }
    }
}

/// Its place on our stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub sequence: u16,
    pub timestamp: u64,
    pub marker: bool,
}

/// The newest packet of the sender's, and where it went.
#[derive(Clone, Copy, Debug)]
struct Last {
    sequence_in: u16,
    timestamp_in: u32,
    sequence_out: u16,
    timestamp_out: u64,
    /// How many sequence numbers before it belong to the same mapping: what comes late finds its place among them.
    reach: u16,
}

/// The mapping of a bridged peer's stream onto ours.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Relay {
    last: Option<Last>,
    /// The telephone-event that was passed last: all its packets have one timestamp (RFC 4733 §2.5.1.2).
    event: Option<(u32, u64)>,
    heard_ms: Option<u64>,
}

impl Relay {
    /// The peer is another, or silent by agreement.
    pub(crate) fn stop(&mut self) {
        *self = Self::default();
    }

    /// Something came from the peer that could be sent.
    pub(crate) fn heard(&mut self, now_ms: u64) {
        self.heard_ms = Some(now_ms);
    }

    /// Until when, in milliseconds, the floor is the peer's. `None`: it is silent.
    pub(crate) fn flows_until(&self, now_ms: u64) -> Option<u64> {
        self.heard_ms.map(|heard| heard + RELAY_PATIENCE_MS).filter(|until| *until > now_ms)
    }

    /// A packet that is not passed on leaves no gap.
    pub(crate) fn withhold(&mut self, sequence: u16) {
        if let Some(last) = &mut self.last
            && (sequence.wrapping_sub(last.sequence_in) as i16) > 0
        {
            (last.sequence_in, last.reach) = (sequence, 0);
        }
    }

    /// Where the packet goes; `None`: nowhere, something else has its place.
    pub(crate) fn place(&mut self, passed: &Passed<'_>, outbound: &Outbound, now_ms: u64) -> Option<Place> {
        if passed.leaps {
            (self.last, self.event) = (None, None);
        }
        let Some(last) = self.last else { return Some(self.begin(passed, outbound, now_ms)) };
        let ahead = passed.sequence.wrapping_sub(last.sequence_in);
        if ahead as i16 <= 0 {
            return last.place_late(passed, ahead.wrapping_neg());
        }
        // Somebody else took the next sequence number: silence, a prompt, a key.
        let interrupted = outbound.next_sequence() != last.sequence_out.wrapping_add(1);
        let Some(timestamp) = self.timestamp(last, interrupted, passed, outbound, now_ms) else {
            self.withhold(passed.sequence);
            return None;
        };
        let renumbered = interrupted || ahead > MAX_GAP;
        let sequence = if renumbered { outbound.next_sequence() } else { last.sequence_out.wrapping_add(ahead) };
        let reach = if renumbered { 0 } else { last.reach.saturating_add(ahead) };
        let moved = timestamp != last.map(passed.timestamp);
        self.keep(passed, sequence, timestamp, reach);
        let marker = passed.marker || interrupted || (moved && passed.samples() > 0);
        Some(Place { sequence, timestamp, marker })
    }

    /// A new mapping: the packet starts now, or where the audio sent so far ends.
    fn begin(&mut self, passed: &Passed<'_>, outbound: &Outbound, now_ms: u64) -> Place {
        let (sequence, timestamp) = (outbound.next_sequence(), outbound.clock_at(now_ms).max(outbound.end()));
        self.keep(passed, sequence, timestamp, 0);
        Place { sequence, timestamp, marker: true }
    }

    fn keep(&mut self, passed: &Passed<'_>, sequence_out: u16, timestamp_out: u64, reach: u16) {
        let Passed { sequence: sequence_in, timestamp: timestamp_in, .. } = *passed;
        self.last = Some(Last { sequence_in, timestamp_in, sequence_out, timestamp_out, reach });
        if passed.kind == Kind::TelephoneEvent {
            self.event = Some((timestamp_in, timestamp_out));
        }
    }

    /// The timestamp of a packet in order.
    fn timestamp(
        &self,
        last: Last,
        interrupted: bool,
        passed: &Passed<'_>,
        outbound: &Outbound,
        now_ms: u64,
    ) -> Option<u64> {
        let event = self.event.filter(|event| passed.kind == Kind::TelephoneEvent && event.0 == passed.timestamp);
        if let Some((_, timestamp)) = event {
            return Some(timestamp);
        }
        let (clock, end) = (outbound.clock_at(now_ms), outbound.end());
        if last.step(passed.timestamp).unsigned_abs() > passed.max_step() {
            return Some(clock.max(end));
        }
        // An event may begin within the audio it follows; audio may not begin within other audio.
        let floor = if passed.samples() > 0 || interrupted { end } else { last.timestamp_out };
        let mapped = last.map(passed.timestamp);
        if mapped >= floor {
            return Some(mapped);
        }
        if mapped + passed.samples() > floor {
            return Some(floor);
        }
        // What silence has covered meanwhile is too late, unless the sender began anew or its clock had stopped.
        let anew = !interrupted || passed.marker || clock.saturating_sub(mapped) > MAX_LATE_MS * outbound.per_ms();
        anew.then(|| clock.max(end))
    }
}

impl Last {
    fn step(&self, timestamp: u32) -> i32 {
        timestamp.wrapping_sub(self.timestamp_in) as i32
    }

    fn map(&self, timestamp: u32) -> u64 {
        self.timestamp_out.saturating_add_signed(i64::from(self.step(timestamp)))
    }

    /// The place of a packet `back` sequence numbers behind the newest.
    fn place_late(&self, passed: &Passed<'_>, back: u16) -> Option<Place> {
        let known = back <= self.reach && self.step(passed.timestamp).unsigned_abs() <= passed.max_step();
        known.then(|| Place {
            sequence: self.sequence_out.wrapping_sub(back),
            timestamp: self.map(passed.timestamp),
            marker: passed.marker,
        })
    }
}
