//! The load itself, measured: where it, and not the target, was the limit, it says so.

use super::heard::Heard;
use super::run::Outcome;
use carrier_sim::net::load::Ended;
use serde::Serialize;
use std::time::Duration;

/// A call that starts so late, one in a hundred, makes the generator the limit.
const LATE_MS: f64 = 5.0;
/// RTP that leaves so late, one packet in a hundred, makes a target that sends it on look late.
const RTP_LATE_MS: f64 = 2.0;
/// A thread that is so busy is near its limit.
const BUSY: f64 = 0.9;
/// A thread that waits for a processor for so much of the time shares it with too much else.
const WAITS: f64 = 0.1;

/// What the load itself used.
#[derive(Debug, Serialize)]
pub struct Generator {
    /// User and system time.
    pub cpu_s: f64,
    /// Of one core.
    pub cpu_percent: f64,
    /// The busiest shard's thread, of one core.
    pub busiest_shard_percent: f64,
    /// The busiest media thread, of one core.
    pub busiest_media_percent: f64,
    /// Of the time, how much a thread was ready and the processors did something else; the most of any.
    pub longest_wait_percent: f64,
    /// Datagrams that our own inbox had no room for.
    pub datagrams_dropped: u64,
    /// Datagrams that our own kernel did not take.
    pub datagrams_unsent: u64,
    /// Datagrams for us that the kernel dropped, as we were slow to read.
    pub datagrams_dropped_by_kernel: u64,
    /// Why the figures may say more about us than about the target; empty where they do not.
    pub limits: Vec<String>,
}

impl Generator {
    /// What it was like.
    pub fn of(outcome: &Outcome, media: Option<&Heard<'_>>) -> Self {
        let most = |part: fn(&Ended) -> Duration| {
            let share = |shard: &Ended| part(shard).as_secs_f64() / shard.ran.as_secs_f64().max(0.001);
            outcome.shards.iter().map(share).fold(0.0, f64::max)
        };
        let sum = |part: fn(&Ended) -> u64| outcome.shards.iter().map(part).sum();
        let cpu_s = outcome.own.1.cpu.saturating_sub(outcome.own.0.cpu).as_secs_f64();
        let mut generator = Self {
            cpu_s,
            cpu_percent: cpu_s / outcome.ran_s() * 100.0,
            busiest_shard_percent: most(|shard| shard.cpu) * 100.0,
            busiest_media_percent: most(|shard| shard.media_cpu) * 100.0,
            longest_wait_percent: most(|shard| shard.waited.max(shard.media_waited)) * 100.0,
            datagrams_dropped: sum(|shard| shard.counters.datagrams_dropped),
            datagrams_unsent: sum(|shard| shard.counters.datagrams_unsent),
            datagrams_dropped_by_kernel: sum(|shard| shard.dropped_by_kernel),
            limits: Vec::new(),
        };
        generator.judge_calls(outcome);
        if let Some(media) = media {
            generator.judge_media(media);
        }
        generator
    }

    fn limit(&mut self, is_one: bool, words: impl FnOnce(&Self) -> String) {
        if is_one {
            let words = words(self);
            self.limits.push(words);
        }
    }

    fn judge_calls(&mut self, outcome: &Outcome) {
        let late = outcome.summary.whole().stages.lateness.quantile_ms(0.99).unwrap_or(0.0);
        self.limit(late > LATE_MS, |_| format!("one call in a hundred started {late:.1} ms late or later"));
        self.limit(self.busiest_shard_percent > BUSY * 100.0, |own| {
            let percent = own.busiest_shard_percent;
            format!("a shard's thread used {percent:.0} % of a core; --shards spreads the load")
        });
        self.limit(self.longest_wait_percent > WAITS * 100.0, |own| {
            format!("a thread was kept waiting for a processor {:.0} % of the time", own.longest_wait_percent)
        });
        let unread = self.datagrams_dropped + self.datagrams_dropped_by_kernel;
        self.limit(unread > 0, |_| format!("{unread} datagrams came faster than they were read"));
        self.limit(self.datagrams_unsent > 0, |own| {
            format!("{} datagrams were not taken by our own kernel", own.datagrams_unsent)
        });
        let not_started = outcome.summary.counts().not_started;
        self.limit(not_started > 0, |_| format!("{not_started} calls were not started, as --max-in-flight were up"));
    }

    fn judge_media(&mut self, media: &Heard<'_>) {
        self.limit(self.busiest_media_percent > BUSY * 100.0, |own| {
            let percent = own.busiest_media_percent;
            format!("a media thread used {percent:.0} % of a core; --shards spreads the load")
        });
        let late = media.sent_late_p99_ms;
        self.limit(late > RTP_LATE_MS, |_| format!("one RTP packet in a hundred left {late:.1} ms late or later"));
        let dropped = media.dropped_by_kernel;
        self.limit(dropped > 0, |_| {
            format!("{dropped} RTP packets came faster than they were read, and count as lost")
        });
        let (skipped, unsent) = (media.skipped, media.unsent);
        self.limit(skipped > 0, |_| format!("{skipped} RTP packets were not sent, as their time had passed"));
        self.limit(unsent > 0, |_| format!("{unsent} RTP packets were not taken by our own kernel"));
    }
}
