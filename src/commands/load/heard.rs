//! What became of the media: counts, and times of all packets together and of the worst streams.

use super::run::Outcome;
use carrier_sim::load::{Latency, Rtp};
use serde::Serialize;

/// What became of the media.
#[derive(Debug, Serialize)]
pub struct Heard<'a> {
    /// Counts.
    #[serde(flatten)]
    pub rtp: Rtp,
    /// Lost, of a hundred that should have come.
    pub loss_percent: f64,
    /// The same of the stream that lost most.
    pub worst_loss_percent: f64,
    /// Of each stream (RFC 3550 §6.4.1).
    pub jitter: &'a Latency,
    /// How late each packet of the far ends came, against the 20 ms grid of its own stream.
    pub lateness: &'a Latency,
    /// Of each stream: what 99 of 100 of its packets stayed within.
    pub stream_lateness_p99: &'a Latency,
    /// How long each packet of ours was away that came back: through an echo both ways, over a bridge one.
    pub added_delay: &'a Latency,
    /// Of each stream: what 99 of 100 of its packets stayed within.
    pub stream_added_delay_p99: &'a Latency,
    /// How late our own packets left, against their grid.
    pub own_lateness: &'a Latency,
    /// How long packets lay in our kernel before we read them; no other figure contains it.
    pub own_reading: &'a Latency,
    /// SRTP packets that did not authenticate, or came before.
    pub srtp_refused: u64,
    /// Packets for us that our kernel dropped, as we were slow to read.
    pub dropped_by_kernel: u64,
    /// Packets of ours that were let go, as they were too late.
    pub skipped: u64,
    /// Packets of ours that our own kernel did not take.
    pub unsent: u64,
    /// How late our own packets left, 99 of 100.
    pub sent_late_p99_ms: f64,
}

impl<'a> Heard<'a> {
    /// Of a load with streams.
    pub fn of(outcome: &'a Outcome) -> Option<Self> {
        let whole = outcome.summary.whole();
        let (rtp, streams) = (whole.rtp, &whole.streams);
        let expected = ((rtp.received + rtp.lost) as f64).max(1.0);
        let sum = |count: fn(&media::ShardStats) -> u64| outcome.shards.iter().map(|shard| count(&shard.media)).sum();
        (rtp.streams > 0).then(|| Self {
            rtp,
            loss_percent: rtp.lost as f64 / expected * 100.0,
            worst_loss_percent: f64::from(whole.worst_loss_ppm) / 1e4,
            jitter: &whole.jitter,
            lateness: &streams.late,
            stream_lateness_p99: &streams.stream_late,
            added_delay: &streams.away,
            stream_added_delay_p99: &streams.stream_away,
            own_lateness: &streams.sent_late,
            own_reading: &streams.read_late,
            srtp_refused: streams.refused,
            dropped_by_kernel: streams.dropped,
            skipped: sum(|stats| stats.skipped),
            unsent: sum(|stats| stats.blocked + stats.refused),
            sent_late_p99_ms: streams.sent_late.quantile_ms(0.99).unwrap_or(0.0),
        })
    }
}
