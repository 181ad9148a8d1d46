//! What arrives, counted: RFC 3550 appendix A.1 (sequence), A.3 (loss) and A.8 (jitter).
//!
//! The first source is believed from its first packet, since its address already passed the gate; another SSRC must
//! bring [`MIN_SEQUENTIAL`] packets in order before it takes over, and then starts from zero. No count is ever negative.

use crate::bursts::{BurstLoss, Bursts};
use crate::quality::Received;
use base::Now;

/// Packets in order before a new SSRC, or a leap in the sequence, is believed (RFC 3550 §A.1).
pub const MIN_SEQUENTIAL: u32 = 2;

/// A step ahead of up to this many packets is loss, a larger one a restart (RFC 3550 §A.1).
pub const MAX_DROPOUT: u16 = 3000;

/// A step back of up to this many packets is reordering, a larger one a restart (RFC 3550 §A.1).
pub const MAX_MISORDER: u16 = 100;

/// A packet that much behind the stream's own best transit time is late: a jitter buffer would have gone on without it.
pub const LATE_MS: u32 = 60;

/// A change of transit time beyond this, in milliseconds, is a new timeline and not jitter.
const NEW_TIMELINE_MS: u32 = 2_000;

/// What a packet is to the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Seen for the first time, perhaps out of order.
    Fresh,
    /// Fresh, and the sequence leapt: a new timeline of the same source.
    NewTimeline,
    /// Fresh, and from another SSRC than before.
    NewSource,
    /// Seen before.
    Duplicate,
    /// From a source, or of a sequence, that is not believed yet.
    Probation,
}

impl Arrival {
    /// Its payload is to be heard.
    pub(crate) fn is_fresh(self) -> bool {
        matches!(self, Self::Fresh | Self::NewTimeline | Self::NewSource)
    }
}

/// One SSRC's sequence and clock.
#[derive(Clone, Copy, Debug)]
struct Source {
    ssrc: u32,
    base: i64,
    max: i64,
    /// Bit n: the packet n before `max` was seen.
    window: u128,
    received: u64,
    /// Runs of loss: steps ahead of more than one.
    runs: u64,
    /// What must follow for a leap to be believed.
    leap: Option<u16>,
    transit: Option<u32>,
    /// Sixteen times the jitter (§A.8).
    jitter: u32,
    /// The best transit of this and of the last window.
    best: [Option<u32>; 2],
    expected_prior: u64,
    received_prior: u64,
    /// Every packet, duplicates too: what a report block counts (§A.3).
    arrived: u64,
}

impl Source {
    fn new(ssrc: u32, base: u16) -> Self {
        Self {
            ssrc,
            base: i64::from(base),
            max: i64::from(base),
            window: 1,
            received: 1,
            runs: 0,
            leap: None,
            transit: None,
            jitter: 0,
            best: [None; 2],
            expected_prior: 0,
            received_prior: 0,
            arrived: 1,
        }
    }

    fn expected(&self) -> u64 {
        (self.max - self.base + 1).unsigned_abs()
    }
}

/// What a report block says about the source (RFC 3550 §6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub ssrc: u32,
    pub fraction_lost: u8,
    /// Signed 24 bits.
    pub cumulative_lost: u32,
    pub extended_sequence: u32,
    pub jitter: u32,
}

/// All that an endpoint heard.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reception {
    /// Ticks a millisecond of the RTP clock.
    per_ms: u32,
    source: Option<Source>,
    /// Another SSRC on probation: the sequence number that must follow, and how many came in order.
    candidate: Option<(u32, u16, u32)>,
    /// Of sources before this one.
    past_expected: u64,
    past_received: u64,
    past_runs: u64,
    octets: u64,
    bursts: Bursts,
    reordered: u64,
    duplicates: u64,
    late: u64,
    pub unknown_payload: u64,
    ssrc_changes: u32,
}

impl Default for Reception {
    fn default() -> Self {
        Self {
            per_ms: 8,
            source: None,
            candidate: None,
            past_expected: 0,
            past_received: 0,
            past_runs: 0,
            octets: 0,
            bursts: Bursts::default(),
            reordered: 0,
            duplicates: 0,
            late: 0,
            unknown_payload: 0,
            ssrc_changes: 0,
        }
    }
}

impl Reception {
    /// Another codec's clock: transit times on the old one say nothing any more.
    pub(crate) fn set_clock(&mut self, per_ms: u64) {
        if u64::from(self.per_ms) == per_ms {
            return;
        }
        self.per_ms = per_ms as u32;
        if let Some(source) = &mut self.source {
            (source.transit, source.jitter, source.best) = (None, 0, [None; 2]);
        }
    }

    /// Takes one packet's sequence number. `known`: its payload type was negotiated; no other may start a source.
    #[inline(always)]
    pub(crate) fn sequence(&mut self, ssrc: u32, sequence: u16, octets: usize, known: bool) -> Arrival {
        let arrival = match &mut self.source {
            Some(source) if source.ssrc == ssrc => {
                Self::follow(source, sequence, &mut self.bursts, &mut self.reordered)
            }
            _ if !known => Arrival::Probation,
            Some(_) => self.audition(ssrc, sequence),
            None => {
                self.source = Some(Source::new(ssrc, sequence));
                Arrival::Fresh
            }
        };
        match arrival {
            Arrival::NewTimeline | Arrival::NewSource => self.restart(ssrc, sequence),
            Arrival::Duplicate => self.duplicates += 1,
            Arrival::Fresh | Arrival::Probation => {}
        }
        if arrival.is_fresh() {
            self.octets += octets as u64;
        }
        arrival
    }

    fn follow(source: &mut Source, sequence: u16, bursts: &mut Bursts, reordered: &mut u64) -> Arrival {
        let ahead = sequence.wrapping_sub(source.max as u16);
        if ahead != 0 && ahead < MAX_DROPOUT {
            source.max += i64::from(ahead);
            source.window = source.window.checked_shl(u32::from(ahead)).unwrap_or(0) | 1;
            source.runs += u64::from(ahead > 1);
            bursts.lost(u32::from(ahead - 1));
            bursts.received();
        } else if (MAX_DROPOUT..=u16::MAX - MAX_MISORDER).contains(&ahead) {
            let believed = source.leap == Some(sequence);
            source.leap = Some(sequence.wrapping_add(1));
            return if believed { Arrival::NewTimeline } else { Arrival::Probation };
        } else {
            let bit = 1u128 << (ahead.wrapping_neg() % 128);
            source.arrived += 1;
            if source.window & bit != 0 {
                return Arrival::Duplicate;
            }
            source.window |= bit;
            source.base = source.base.min(source.max - i64::from(ahead.wrapping_neg()));
            source.received += 1;
            *reordered += 1;
            return Arrival::Fresh;
        }
        source.leap = None;
        source.received += 1;
        source.arrived += 1;
        Arrival::Fresh
    }

    fn audition(&mut self, ssrc: u32, sequence: u16) -> Arrival {
        let in_order = match self.candidate {
            Some((candidate, next, count)) if (candidate, next) == (ssrc, sequence) => count + 1,
            _ => 1,
        };
        if in_order < MIN_SEQUENTIAL {
            self.candidate = Some((ssrc, sequence.wrapping_add(1), in_order));
            return Arrival::Probation;
        }
        self.ssrc_changes += 1;
        Arrival::NewSource
    }

    /// The totals keep what the old timeline told; the new one starts with the packet that made it believed.
    fn restart(&mut self, ssrc: u32, sequence: u16) {
        if let Some(old) = self.source.replace(Source::new(ssrc, sequence)) {
            self.past_expected += old.expected();
            self.past_received += old.received;
            self.past_runs += old.runs;
        }
        self.candidate = None;
    }

    /// Takes the timing of an audio packet (§A.8). Telephone events repeat their timestamp and say nothing here.
    #[inline(always)]
    pub(crate) fn timing(&mut self, timestamp: u32, now: Now) {
        let per_ms = self.per_ms;
        let Some(source) = &mut self.source else { return };
        // 8 kHz, as nearly always, without a multiplication.
        let ticks = if per_ms == 8 { now.mono / 125_000 } else { now.mono * u64::from(per_ms) / 1_000_000 };
        let transit = (ticks as u32).wrapping_sub(timestamp);
        let change = source.transit.map_or(0, |before| transit.wrapping_sub(before) as i32).unsigned_abs();
        if change > NEW_TIMELINE_MS * per_ms {
            source.best = [None; 2];
        } else {
            source.jitter = source.jitter + change - ((source.jitter + 8) >> 4);
        }
        source.transit = Some(transit);
        let behind = |best: u32| transit.wrapping_sub(best) as i32;
        if source.best[0].is_none_or(|best| behind(best) < 0) {
            source.best[0] = Some(transit);
        }
        let lateness = source.best.iter().flatten().map(|&best| behind(best)).max().unwrap_or(0);
        self.late += u64::from(lateness > (LATE_MS * per_ms) as i32);
    }

    /// Starts a new window for the best transit time, so that a clock that drifts is not taken for lateness.
    pub(crate) fn forget_best(&mut self) {
        if let Some(source) = &mut self.source {
            source.best = [None, source.best[0]];
        }
    }

    /// The report block about the current source, and the start of its next interval (§A.3).
    pub(crate) fn block(&mut self) -> Option<Block> {
        let source = self.source.as_mut()?;
        let expected = source.expected();
        let interval = expected.saturating_sub(source.expected_prior);
        let lost = interval.saturating_sub(source.arrived - source.received_prior);
        (source.expected_prior, source.received_prior) = (expected, source.arrived);
        let fraction_lost = (lost << 8).checked_div(interval).unwrap_or(0).min(255) as u8;
        let total = (expected as i64 - source.arrived as i64).clamp(-0x80_0000, 0x7F_FFFF);
        Some(Block {
            ssrc: source.ssrc,
            fraction_lost,
            cumulative_lost: total as u32 & 0xFF_FFFF,
            extended_sequence: source.max as u32,
            jitter: source.jitter >> 4,
        })
    }

    /// Bursts and gaps, at the mean packet time (8 octets a millisecond; Opus, whose octets tell no time, is taken to have
    /// packets of 20 ms).
    fn burst_loss(&self) -> BurstLoss {
        if self.per_ms != 8 {
            return self.bursts.report(20.0);
        }
        let received = self.past_received + self.source.map_or(0, |source| source.received);
        self.bursts.report(self.octets as f64 / 8.0 / received.max(1) as f64)
    }

    /// Everything so far. MOS is the caller's: it needs the delay.
    pub(crate) fn report(&self) -> Received {
        let (expected, received, runs) = self.source.map_or((0, 0, 0), |s| (s.expected(), s.received, s.runs));
        let (expected, packets) = (self.past_expected + expected, self.past_received + received);
        let lost = expected.saturating_sub(packets);
        let fraction = if expected == 0 { 0.0 } else { lost as f64 / expected as f64 };
        let runs = self.past_runs + runs;
        let mean_run = if runs == 0 { 1.0 } else { lost as f64 / runs as f64 };
        let jitter = self.source.map_or(0, |source| source.jitter >> 4);
        Received {
            packets,
            octets: self.octets,
            expected,
            lost,
            loss_ppm: (fraction * 1e6).round() as u32,
            bursts: self.burst_loss(),
            burst_ratio: (mean_run * (1.0 - fraction)).max(1.0),
            jitter,
            jitter_ms: f64::from(jitter) / f64::from(self.per_ms),
            reordered: self.reordered,
            duplicates: self.duplicates,
            late: self.late,
            unknown_payload: self.unknown_payload,
            ssrc: self.source.map(|source| source.ssrc),
            ssrc_changes: self.ssrc_changes,
            mos: None,
        }
    }
}

#[cfg(test)]
mod tests;
