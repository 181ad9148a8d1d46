//! What was measured on the streams of a shard, in one second or in all.

use crate::load::Latency;
use serde::Serialize;

/// Times of all packets of all streams together, and of each stream the worst but one in a hundred.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Streams {
    /// How late a far end's audio packet was, against the 20 ms grid of its own stream.
    pub late: Latency,
    /// How long a packet of ours was away until it came back: what the target and the way to it add.
    pub away: Latency,
    /// How late our own packets left, against their grid.
    pub sent_late: Latency,
    /// From a packet's arrival in our kernel to our reading it; no other figure contains it.
    pub read_late: Latency,
    /// Of each stream that ended: the lateness that 99 of 100 of its packets stayed within.
    pub stream_late: Latency,
    /// The same of how long its packets were away.
    pub stream_away: Latency,
    /// SRTP packets that the key did not authenticate, or that came before.
    pub refused: u64,
    /// Packets for us that our own kernel dropped, as we were slow to read.
    pub dropped: u64,
}

impl Streams {
    /// Adds another's.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in [
            (&mut self.late, &other.late),
            (&mut self.away, &other.away),
            (&mut self.sent_late, &other.sent_late),
            (&mut self.read_late, &other.read_late),
            (&mut self.stream_late, &other.stream_late),
            (&mut self.stream_away, &other.stream_away),
        ] {
            mine.merge(theirs);
        }
        self.refused += other.refused;
        self.dropped += other.dropped;
    }
}
