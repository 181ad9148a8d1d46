//! What a load comes to: the figures, whether the generator was the limit, and whether a threshold was crossed. The JSON
//! is this value as it stands; its form changes only together with its `schema`.

use super::args::{LoadArgs, Share};
use carrier_sim::load::{Counts, Failed, Latency, Reason, Rtp, Second, Stages, Summary};
use carrier_sim::net::load::{Ended, Usage};
use serde::Serialize;
use std::time::Duration;

/// The form of the JSON.
pub const SCHEMA: &str = "tandem-load/1";
/// A call that starts so late, one in a hundred, makes the generator the limit.
const LATE_MS: f64 = 5.0;
/// A shard's thread that is so busy is near its limit.
const BUSY: f64 = 0.9;
/// A shard's thread that waits for a processor for so much of the time shares it with too much else.
const WAITS: f64 = 0.1;

/// Everything.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    schema: &'static str,
    target: &'a str,
    rate: &'a str,
    hold_s: Option<f64>,
    held: Option<u64>,
    shards: u64,
    seed: Option<u64>,
    /// Whether it was ended early.
    pub interrupted: bool,
    /// From the first call due to the last call's end.
    pub ran_s: f64,
    /// Of all calls.
    pub counts: Counts,
    /// Answered calls a second.
    pub goodput: Goodput,
    /// Stage by stage.
    pub latency: &'a Stages,
    /// By reason, the most frequent first.
    pub failures: Vec<FailedFor<'a>>,
    /// Calls that went wrong, of a hundred that were due.
    pub failed_percent: f64,
    /// The most that stood at the end of a second.
    pub most_standing: u64,
    /// The most that stood or were under way at the end of a second.
    pub most_in_flight: u64,
    /// The media, where there was any.
    pub media: Option<Heard<'a>>,
    /// The target's processes.
    pub processes: Vec<Process>,
    /// Ourselves.
    pub generator: Generator,
    /// What was demanded.
    pub thresholds: Vec<Threshold>,
    per_second: &'a [Second],
}

/// Answered calls a second.
#[derive(Debug, Serialize)]
pub struct Goodput {
    /// Over the time in which calls were due.
    pub mean: f64,
    /// In the best second.
    pub max: u64,
}

/// The calls that failed for one reason.
#[derive(Debug, Serialize)]
pub struct FailedFor<'a> {
    /// Why.
    pub reason: Reason,
    /// The SIP status, where it is one.
    pub status: Option<u16>,
    /// How many, and how soon.
    #[serde(flatten)]
    pub failed: &'a Failed,
}

/// What became of the media.
#[derive(Debug, Serialize)]
pub struct Heard<'a> {
    /// Counts.
    #[serde(flatten)]
    pub rtp: Rtp,
    /// Lost, of a hundred that should have come.
    pub loss_percent: f64,
    /// Of each stream (RFC 3550 §6.4.1).
    pub jitter: &'a Latency,
    /// How late our own packets left, 99 of 100.
    pub sent_late_p99_ms: f64,
}

/// What a process of the target used.
#[derive(Debug, Serialize)]
pub struct Process {
    /// Which.
    pub pid: u32,
    /// User and system time while the load ran.
    pub cpu_s: f64,
    /// Of one core.
    pub cpu_percent: f64,
    /// CPU for each answered call.
    pub cpu_ms_per_call: Option<f64>,
    /// Resident memory at the end.
    pub rss_bytes: u64,
    /// The most since the process began.
    pub rss_peak_bytes: u64,
}

/// What the load itself used.
#[derive(Debug, Serialize)]
pub struct Generator {
    /// User and system time.
    pub cpu_s: f64,
    /// Of one core.
    pub cpu_percent: f64,
    /// The busiest shard's thread, of one core.
    pub busiest_shard_percent: f64,
    /// Of the time, how much a shard's thread was ready and the processors did something else; the most of any.
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

/// What was demanded, and whether it held.
#[derive(Debug, Serialize)]
pub struct Threshold {
    /// What.
    pub what: &'static str,
    /// At most this.
    pub limit: String,
    /// It was this.
    pub seen: String,
    /// It held.
    pub held: bool,
}

/// What was looked at beside the calls.
#[derive(Debug)]
pub struct Beside<'a> {
    /// Ended early.
    pub interrupted: bool,
    /// How long it ran.
    pub ran: Duration,
    /// Each shard.
    pub shards: &'a [Ended],
    /// The target's processes: at the start and at the end.
    pub processes: &'a [(u32, Usage, Usage)],
    /// Ours.
    pub own: (Usage, Usage),
}

impl<'a> Report<'a> {
    /// What it comes to.
    pub fn new(args: &'a LoadArgs, summary: &'a Summary, beside: &Beside<'_>) -> Self {
        let (whole, counts) = (summary.whole(), *summary.counts());
        let mut failures: Vec<_> = whole.failures.iter().map(|(reason, failed)| failed_for(*reason, failed)).collect();
        failures.sort_by_key(|failed| std::cmp::Reverse(failed.failed.calls));
        let used = |(before, after): (Usage, Usage)| after.cpu.saturating_sub(before.cpu).as_secs_f64();
        let ran_s = beside.ran.as_secs_f64().max(0.001);
        let process = |(pid, before, after): &(u32, Usage, Usage)| {
            let cpu_s = used((*before, *after));
            Process {
                pid: *pid,
                cpu_s,
                cpu_percent: cpu_s / ran_s * 100.0,
                cpu_ms_per_call: (counts.answered > 0).then(|| cpu_s * 1_000.0 / counts.answered as f64),
                rss_bytes: after.rss,
                rss_peak_bytes: after.rss_peak,
            }
        };
        Self {
            schema: SCHEMA,
            target: &args.target,
            rate: &args.rate,
            hold_s: args.hold.map(|hold| hold.as_secs_f64()),
            held: args.held,
            shards: args.shards,
            seed: args.seed,
            interrupted: beside.interrupted,
            ran_s,
            counts,
            goodput: goodput(summary.seconds()),
            latency: &whole.stages,
            failures,
            failed_percent: summary.bad_share() * 100.0,
            most_standing: summary.most_standing(),
            most_in_flight: summary.most_in_flight(),
            media: (whole.rtp.streams > 0).then(|| heard(summary, beside)),
            processes: beside.processes.iter().map(process).collect(),
            generator: generator(summary, beside, used(beside.own), ran_s),
            thresholds: thresholds(args, summary),
            per_second: summary.seconds(),
        }
    }

    /// Every threshold held.
    pub fn is_good(&self) -> bool {
        self.thresholds.iter().all(|threshold| threshold.held)
    }
}

fn failed_for(reason: Reason, failed: &Failed) -> FailedFor<'_> {
    let status = match reason {
        Reason::Status(status) | Reason::ByeStatus(status) => Some(status),
        _ => None,
    };
    FailedFor { reason, status, failed }
}

/// A second in which no call was due says nothing about how many would have been answered.
fn goodput(seconds: &[Second]) -> Goodput {
    let busy: Vec<u64> = seconds.iter().filter(|second| second.due > 0).map(|second| second.answered).collect();
    let mean = busy.iter().sum::<u64>() as f64 / (busy.len() as f64).max(1.0);
    Goodput { mean, max: seconds.iter().map(|second| second.answered).max().unwrap_or(0) }
}

fn heard<'a>(summary: &'a Summary, beside: &Beside<'_>) -> Heard<'a> {
    let whole = summary.whole();
    let expected = (whole.rtp.received + whole.rtp.lost) as f64;
    let late = beside.shards.iter().map(|shard| shard.media.lateness.quantile_ns(0.99)).max().unwrap_or(0);
    Heard {
        rtp: whole.rtp,
        loss_percent: whole.rtp.lost as f64 / expected.max(1.0) * 100.0,
        jitter: &whole.jitter,
        sent_late_p99_ms: late as f64 / 1e6,
    }
}

fn generator(summary: &Summary, beside: &Beside<'_>, cpu_s: f64, ran_s: f64) -> Generator {
    let most = |part: fn(&Ended) -> Duration| {
        let share = |shard: &Ended| part(shard).as_secs_f64() / shard.ran.as_secs_f64().max(0.001);
        beside.shards.iter().map(share).fold(0.0, f64::max)
    };
    let (busiest, waits) = (most(|shard| shard.cpu), most(|shard| shard.waited));
    let dropped = beside.shards.iter().map(|shard| shard.counters.datagrams_dropped).sum();
    let unsent = beside.shards.iter().map(|shard| shard.counters.datagrams_unsent).sum();
    let by_kernel = beside.shards.iter().map(|shard| shard.dropped_by_kernel).sum();
    let late = summary.whole().stages.lateness.quantile_ms(0.99).unwrap_or(0.0);
    let mut limits = Vec::new();
    if late > LATE_MS {
        limits.push(format!("one call in a hundred started {late:.1} ms late or later"));
    }
    if busiest > BUSY {
        limits.push(format!("a shard's thread used {:.0} % of a core; --shards spreads the load", busiest * 100.0));
    }
    if waits > WAITS {
        limits.push(format!("a shard's thread was kept waiting for a processor {:.0} % of the time", waits * 100.0));
    }
    if dropped + by_kernel > 0 {
        limits.push(format!("{} datagrams came faster than they were read", dropped + by_kernel));
    }
    if unsent > 0 {
        limits.push(format!("{unsent} datagrams were not taken by our own kernel"));
    }
    let not_started = summary.counts().not_started;
    if not_started > 0 {
        limits.push(format!("{not_started} calls were not started, as --max-in-flight were up"));
    }
    Generator {
        cpu_s,
        cpu_percent: cpu_s / ran_s * 100.0,
        busiest_shard_percent: busiest * 100.0,
        longest_wait_percent: waits * 100.0,
        datagrams_dropped: dropped,
        datagrams_unsent: unsent,
        datagrams_dropped_by_kernel: by_kernel,
        limits,
    }
}

fn thresholds(args: &LoadArgs, summary: &Summary) -> Vec<Threshold> {
    let failures = args.max_failures.map(|limit| {
        let (bad, percent) = (summary.bad_calls(), summary.bad_share() * 100.0);
        let held = match limit {
            Share::Calls(most) => bad <= most,
            Share::Percent(most) => percent <= most,
        };
        Threshold { what: "failures", limit: limit.to_string(), seen: format!("{bad} ({percent:.3}%)"), held }
    });
    let p99 = args.max_p99.map(|limit| {
        let seen = summary.answer().quantile_ms(0.99);
        let limit = limit.as_secs_f64() * 1_000.0;
        let words = seen.map_or("no call was answered".to_owned(), |seen| format!("{seen:.3} ms"));
        let held = seen.is_some_and(|seen| seen <= limit);
        Threshold { what: "INVITE to 200, p99", limit: format!("{limit} ms"), seen: words, held }
    });
    failures.into_iter().chain(p99).collect()
}
