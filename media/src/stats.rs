//! What a shard did, counted: its packets, its drops, and how late it was.

use serde::{Deserialize, Serialize};

/// Sub-divisions of each doubling: a bucket is at most a quarter wider than its lower end.
const STEPS: usize = 4;

/// Buckets: up to 2^34 ns, 17 s; what is later counts as that.
const BUCKETS: usize = 34 * STEPS;

/// How late packets left against the ideal grid, in buckets of a quarter of an octave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lateness {
    buckets: Vec<u64>,
    count: u64,
    sum_ns: u64,
    max_ns: u64,
}

impl Default for Lateness {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, sum_ns: 0, max_ns: 0 }
    }
}

impl Lateness {
    /// Counts one.
    pub(crate) fn record(&mut self, nanos: u64) {
        if let Some(bucket) = self.buckets.get_mut(bucket_of(nanos)) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum_ns = self.sum_ns.saturating_add(nanos);
        self.max_ns = self.max_ns.max(nanos);
    }

    /// Adds another's.
    pub fn merge(&mut self, other: &Self) {
        self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, theirs)| *mine += theirs);
        self.count += other.count;
        self.sum_ns = self.sum_ns.saturating_add(other.sum_ns);
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// How many were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All of it together, in nanoseconds.
    #[must_use]
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// How many were less late than 2^`octave` nanoseconds: exact, since buckets end there.
    #[must_use]
    pub fn below_octave(&self, octave: u32) -> u64 {
        self.buckets.iter().take(octave as usize * STEPS).sum()
    }

    /// The latest, in nanoseconds.
    #[must_use]
    pub fn max_ns(&self) -> u64 {
        self.max_ns
    }

    /// The lateness, in nanoseconds, that a share of `quantile` (0 to 1) stayed within: the upper end of its bucket.
    #[must_use]
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        let wanted = (quantile.clamp(0.0, 1.0) * self.count as f64).ceil() as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted && seen > 0 {
                return upper_end(index).min(self.max_ns);
            }
        }
        self.max_ns
    }
}

fn bucket_of(nanos: u64) -> usize {
    let octave = nanos.max(4).ilog2() as usize;
    let step = (nanos.max(4) >> (octave - 2)) as usize & (STEPS - 1);
    (octave * STEPS + step).min(BUCKETS - 1)
}

fn upper_end(bucket: usize) -> u64 {
    let (octave, step) = (bucket / STEPS, bucket % STEPS);
    if octave < 2 { 4 } else { ((STEPS + step + 1) as u64) << (octave - 2) }
}

/// Counts of one shard since it began. None is ever reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardStats {
    /// Endpoints now.
    pub endpoints: u64,
    /// Calls of `tick`.
    pub ticks: u64,
    /// Ticks that left due work for the next one (`FRAMES_A_TICK`).
    pub ticks_cut: u64,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// RTP and RTCP packets received, of any worth.
    pub packets_received: u64,
    /// RTCP compounds sent.
    pub reports_sent: u64,
    /// Packets dropped since their socket's buffer was full.
    pub blocked: u64,
    /// Packets the network refused.
    pub refused: u64,
    /// Packet times let go, too late to be made up (`MAX_BEHIND`).
    pub skipped: u64,
    /// Packets from sources a latch refused.
    pub strangers: u64,
    /// RTP packets beyond what an endpoint hears in a second.
    pub flooded: u64,
    /// Packets that are no RTP or RTCP.
    pub malformed: u64,
    /// SRTP and SRTCP packets that their key did not authenticate.
    pub unauthentic: u64,
    /// SRTP and SRTCP packets that came before.
    pub replayed: u64,
    /// `Quality` events dropped for want of room.
    pub quality_dropped: u64,
    /// Digits dropped: a flood.
    pub digits_dropped: u64,
    /// Commands and packets for an endpoint that is not here (any more).
    pub unknown_endpoint: u64,
    /// How late each audio packet left.
    pub lateness: Lateness,
}

impl ShardStats {
    /// Adds another shard's counts.
    pub fn merge(&mut self, other: &Self) {
        self.endpoints += other.endpoints;
        self.ticks += other.ticks;
        self.ticks_cut += other.ticks_cut;
        self.packets_sent += other.packets_sent;
        self.packets_received += other.packets_received;
        self.reports_sent += other.reports_sent;
        self.blocked += other.blocked;
        self.refused += other.refused;
        self.skipped += other.skipped;
        self.strangers += other.strangers;
        self.flooded += other.flooded;
        self.malformed += other.malformed;
        self.unauthentic += other.unauthentic;
        self.replayed += other.replayed;
        self.quality_dropped += other.quality_dropped;
        self.digits_dropped += other.digits_dropped;
        self.unknown_endpoint += other.unknown_endpoint;
        self.lateness.merge(&other.lateness);
    }
}

/// What a shard's thread says of itself when it is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShardReport {
    /// Its number: the thread is named `media-N`.
    pub shard: usize,
    /// What it did.
    pub stats: ShardStats,
    /// Commands and moved endpoints that wait for it, of `INBOX_LIMIT`.
    pub waiting: usize,
    /// Commands it keeps for endpoints that are on their way to it, of `HELD_COMMANDS`.
    pub held: usize,
    /// Pieces of recordings that wait until the thread that writes files has room.
    pub unwritten: usize,
    /// Sockets that are connected to where an endpoint's packets go, beside the one that hears everybody.
    pub direct: usize,
    /// CPU time its thread used, in nanoseconds.
    pub cpu_ns: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_its_value_within_a_quarter() {
        let mut lateness = Lateness::default();
        for micros in 1..=1000u64 {
            lateness.record(micros * 1000);
        }
        for (quantile, micros) in [(0.5, 500.0), (0.99, 990.0), (1.0, 1000.0)] {
            let got = lateness.quantile_ns(quantile) as f64 / 1000.0;
            assert!(got >= micros && got <= micros * 1.25, "{quantile}: {got}");
        }
        assert_eq!((lateness.max_ns(), Lateness::default().quantile_ns(0.99)), (1_000_000, 0));
        lateness.record(u64::MAX);
        lateness.record(0);
        assert_eq!(lateness.count(), 1002);
    }

    #[test]
    fn what_is_below_an_octave_is_counted_exactly() {
        let mut lateness = Lateness::default();
        for nanos in [0, 3, (1 << 20) - 1, 1 << 20, 1 << 21, u64::MAX] {
            lateness.record(nanos);
        }
        assert_eq!([19, 20, 21, 22, 34].map(|octave| lateness.below_octave(octave)), [2, 3, 4, 5, 6]);
    }

    #[test]
    fn two_shards_counts_add_up() {
        let mut both = Lateness::default();
        for nanos in [1_000, 5_000] {
            let mut one = Lateness::default();
            one.record(nanos);
            both.merge(&one);
        }
        assert_eq!((both.count(), both.sum_ns(), both.max_ns()), (2, 6_000, 5_000));
    }
}
