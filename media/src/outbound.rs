//! The RTP stream an endpoint sends: one SSRC, one sequence, one clock, whatever feeds it.
//!
//! The timestamp is the clock's: it runs on through silence, holds and pauses (RFC 3550 §5.1) and never steps back. It
//! is kept in 64 bits and cut to 32 on the wire, so that it wraps in one place only.

use crate::endpoint::{MAX_LEAD_MS, Place};
use base::Rng;
use rtp_rs::{RtpPacketBuilder, Seq};

/// Ticks a millisecond until a stream is configured.
const PER_MS: u64 = 8;

/// Milliseconds that what was sent may be ahead of the clock: a relayed packet of [`MAX_BUILT`] octets of G.711, and one
/// packet more.
const MAX_AHEAD_MS: u64 = 207;

/// Octets of the longest packet we build: an Ethernet frame's worth, which an echo may need, tag included.
pub(crate) const MAX_BUILT: usize = 1500;

/// The stream's state.
#[derive(Clone, Debug)]
pub(crate) struct Outbound {
    pub ssrc: u32,
    sequence: u16,
    /// The timestamp at the clock's origin, and that origin in milliseconds.
    origin: u64,
    origin_ms: u64,
    /// Ticks a millisecond.
    per_ms: u64,
    /// Where the audio sent so far ends: the next packet's timestamp if nothing is left out.
    end: u64,
    /// Something was sent: before it, the first packet starts a talkspurt.
    pub started: bool,
    pub packets: u64,
    pub octets: u64,
    pub dropped: u64,
    pub skipped: u64,
}

impl Outbound {
    /// A stream with random SSRC, sequence and timestamp (RFC 3550 §5.1). The sequence begins in its lower half, so that
    /// a receiver that loses the first packets still knows the rollover counter (RFC 3711 §3.3.1).
    pub(crate) fn new(rng: &mut Rng, now_ms: u64) -> Self {
        // Room below it, so that a clock that follows a slow sender never reaches zero.
        let origin = u64::from(rng.u32()) + (1 << 32);
        Self {
            ssrc: rng.u32(),
            sequence: rng.u32() as u16 >> 1,
            origin,
            origin_ms: now_ms,
            per_ms: PER_MS,
            end: origin,
            started: false,
            packets: 0,
            octets: 0,
            dropped: 0,
            skipped: 0,
        }
    }

    /// Another codec's clock from now on: it goes on from where this one stands, or from where the audio sent so far ends.
    pub(crate) fn set_clock(&mut self, per_ms: u64, now_ms: u64) {
        if self.per_ms != per_ms {
            (self.origin, self.origin_ms) = (self.clock_at(now_ms).max(self.end), now_ms);
            self.per_ms = per_ms;
        }
    }

    /// Ticks a millisecond.
    pub(crate) fn per_ms(&self) -> u64 {
        self.per_ms
    }

    /// The timestamp of what starts at `ms`. Where a relay ran ahead of the clock, the clock goes on from there.
    pub(crate) fn timestamp_at(&mut self, ms: u64) -> u64 {
        let clock = self.clock_at(ms);
        self.origin += self.end.saturating_sub(clock);
        clock.max(self.end)
    }

    /// The timestamp of the clock at `ms`, whatever was sent.
    pub(crate) fn clock_at(&self, ms: u64) -> u64 {
        self.origin + ms.saturating_sub(self.origin_ms) * self.per_ms
    }

    /// The millisecond, from `now_ms` on, at which the audio sent so far ends. No packet ends later than
    /// [`MAX_AHEAD_MS`] from now; a clock that is further behind catches up instead.
    pub(crate) fn ends_at(&self, now_ms: u64) -> u64 {
        let ahead = self.end.saturating_sub(self.clock_at(now_ms)).div_ceil(self.per_ms);
        now_ms + ahead.min(MAX_AHEAD_MS)
    }

    /// The sequence number of the next packet of our own.
    pub(crate) fn next_sequence(&self) -> u16 {
        self.sequence
    }

    /// The timestamp at `ms` for a sender report (RFC 3550 §6.4.1), which may lie between packets.
    pub(crate) fn clock(&self, ms: u64) -> u32 {
        self.clock_at(ms) as u32
    }

    /// Where the audio sent so far ends.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Builds an audio packet that lasts `ticks` into `buffer`; returns its length. The marker says that a talkspurt starts: the first
    /// packet, and the first after a stretch in which no audio left (RFC 3551 §4.1).
    pub(crate) fn audio(
        &mut self,
        buffer: &mut [u8; MAX_BUILT],
        payload_type: u8,
        timestamp: u64,
        ticks: u64,
        payload: &[u8],
    ) -> usize {
        let marker = !self.started || timestamp != self.end;
        self.end = timestamp + ticks;
        self.write(buffer, payload_type, marker, timestamp, payload)
    }

    /// Builds a packet of another stream's at its place on ours; returns its length. What is late moves nothing.
    pub(crate) fn relay(
        &mut self,
        buffer: &mut [u8; MAX_BUILT],
        payload_type: u8,
        place: Place,
        samples: u64,
        payload: &[u8],
    ) -> usize {
        let next = self.sequence;
        self.sequence = place.sequence;
        let length = self.write(buffer, payload_type, place.marker || !self.started, place.timestamp, payload);
        if (place.sequence.wrapping_sub(next) as i16) < 0 {
            self.sequence = next;
        }
        self.end = self.end.max(place.timestamp + samples);
        length
    }

    /// Keeps the clock within [`MAX_LEAD_MS`] of a relayed stream's, so that what follows it follows at once: a sender's
    /// clock may drift from ours for hours.
    pub(crate) fn follow(&mut self, timestamp: u64, now_ms: u64) {
        let clock = self.clock_at(now_ms);
        let lead = MAX_LEAD_MS * self.per_ms;
        self.origin += timestamp.saturating_sub(clock + lead);
        self.origin = self.origin.saturating_sub(clock.saturating_sub(timestamp + lead));
    }

    /// Builds a packet into `buffer`; returns its length, 0 where the payload does not fit.
    pub(crate) fn write(
        &mut self,
        buffer: &mut [u8; MAX_BUILT],
        payload_type: u8,
        marker: bool,
        timestamp: u64,
        payload: &[u8],
    ) -> usize {
        let built = RtpPacketBuilder::new()
            .payload_type(payload_type)
            .marked(marker)
            .sequence(Seq::from(self.sequence))
            .timestamp(timestamp as u32)
            .ssrc(self.ssrc)
            .payload(payload)
            .build_into(buffer);
        self.sequence = self.sequence.wrapping_add(1);
        // A key takes no audio's place, but nothing after it may be older.
        self.end = self.end.max(timestamp);
        self.started = true;
        built.unwrap_or(0)
    }

    /// Sets where sequence and timestamp stand, so that tests reach the wraps.
    #[cfg(test)]
    pub(crate) fn wind(&mut self, sequence: u16, timestamp: u32) {
        self.sequence = sequence;
        self.origin = u64::from(timestamp);
        self.end = self.origin;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtp_rs::RtpReader;

    fn sent(outbound: &mut Outbound, ms: u64) -> (u16, u32, bool) {
        let mut buffer = [0; MAX_BUILT];
        let timestamp = outbound.timestamp_at(ms);
        let length = outbound.audio(&mut buffer, 0, timestamp, 160, &[0xFF; 160]);
        let packet = RtpReader::new(&buffer[..length]).unwrap();
        (u16::from(packet.sequence_number()), packet.timestamp(), packet.mark())
    }

    #[test]
    fn sequence_and_timestamp_wrap_and_only_gaps_are_marked() {
        let mut outbound = Outbound::new(&mut Rng::from_u64(1), 1000);
        outbound.wind(u16::MAX, u32::MAX - 159);
        assert_eq!(sent(&mut outbound, 1000), (u16::MAX, u32::MAX - 159, true));
        assert_eq!(sent(&mut outbound, 1020), (0, 0, false));
        assert_eq!(sent(&mut outbound, 1060), (1, 320, true));
    }

    #[test]
    fn another_codecs_clock_goes_on_from_where_this_one_stands() {
        let mut outbound = Outbound::new(&mut Rng::from_u64(1), 1000);
        outbound.wind(0, 0);
        assert_eq!(sent(&mut outbound, 1000).1, 0);
        outbound.set_clock(48, 1020);
        assert_eq!([outbound.timestamp_at(1020), outbound.timestamp_at(1040)], [160, 1120]);
    }

    #[test]
    fn the_clock_goes_on_from_where_a_relay_left_it() {
        let mut outbound = Outbound::new(&mut Rng::from_u64(1), 0);
        outbound.wind(0, 0);
        outbound.audio(&mut [0; MAX_BUILT], 0, 0, 400, &[0; 400]);
        assert_eq!([outbound.timestamp_at(20), outbound.timestamp_at(40)], [400, 560]);
    }
}
