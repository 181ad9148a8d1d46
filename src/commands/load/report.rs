//! What a load comes to: the figures, whether the generator was the limit, and whether a threshold was crossed. The JSON
//! is this value as it stands; its form changes only together with its `schema`.

use super::args::{LoadArgs, Share};
use super::generator::Generator;
use super::heard::Heard;
use super::origin::Origin;
use super::run::{Outcome, Sample};
use carrier_sim::load::{Counts, Failed, Reason, Second, Stages, Summary};
use carrier_sim::net::load::Usage;
use serde::Serialize;

/// The form of the JSON.
pub const SCHEMA: &str = "tandem-load/1";

/// Everything.
#[derive(Debug, Serialize)]
pub struct Report<'a> {
    schema: &'static str,
    /// Where it comes from.
    pub origin: &'a Origin,
    /// What the target is called.
    pub name: &'a str,
    target: &'a str,
    /// What the target calls itself.
    pub server: Option<&'a str>,
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
    /// All of them together.
    pub used: Option<Used>,
    /// Ourselves.
    pub generator: Generator,
    /// What was demanded.
    pub thresholds: Vec<Threshold>,
    /// Each second.
    pub per_second: &'a [Second],
    /// What the target used in each.
    pub used_per_second: &'a [Sample],
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

/// What all processes of the target used.
#[derive(Debug, Serialize)]
pub struct Used {
    /// Of one core, while the load ran.
    pub cpu_percent: f64,
    /// CPU for each answered call.
    pub cpu_ms_per_call: Option<f64>,
    /// CPU for each second that a call stood, both its ways included, where calls have media.
    pub cpu_ms_per_call_second: Option<f64>,
    /// The most resident memory that was seen at the end of a second; a page that two processes share counts twice.
    pub rss_max_bytes: u64,
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

impl<'a> Report<'a> {
    /// What it comes to.
    pub fn new(args: &'a LoadArgs, origin: &'a Origin, outcome: &'a Outcome) -> Self {
        let summary = &outcome.summary;
        let (whole, counts) = (summary.whole(), *summary.counts());
        let mut failures: Vec<_> = whole.failures.iter().map(|(reason, failed)| failed_for(*reason, failed)).collect();
        failures.sort_by_key(|failed| std::cmp::Reverse(failed.failed.calls));
        let media = Heard::of(outcome);
        let process = |(pid, before, after): &_| process(*pid, [before, after], outcome);
        Self {
            schema: SCHEMA,
            origin,
            name: &outcome.target.name,
            target: &outcome.target.uri,
            server: whole.server.as_deref(),
            rate: &args.rate,
            hold_s: args.hold.map(|hold| hold.as_secs_f64()),
            held: args.held,
            shards: args.shards,
            seed: args.seed,
            interrupted: outcome.interrupted,
            ran_s: outcome.ran_s(),
            counts,
            goodput: goodput(summary.seconds()),
            latency: &whole.stages,
            failures,
            failed_percent: summary.bad_share() * 100.0,
            most_standing: summary.most_standing(),
            most_in_flight: summary.most_in_flight(),
            processes: outcome.processes.iter().map(process).collect(),
            used: used(outcome),
            generator: Generator::of(outcome, media.as_ref()),
            media,
            thresholds: thresholds(args, summary),
            per_second: summary.seconds(),
            used_per_second: &outcome.samples,
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

fn process(pid: u32, [before, after]: [&Usage; 2], outcome: &Outcome) -> Process {
    let cpu_s = after.cpu.saturating_sub(before.cpu).as_secs_f64();
    let answered = outcome.summary.counts().answered;
    Process {
        pid,
        cpu_s,
        cpu_percent: cpu_s / outcome.ran_s() * 100.0,
        cpu_ms_per_call: (answered > 0).then(|| cpu_s * 1_000.0 / answered as f64),
        rss_bytes: after.rss,
        rss_peak_bytes: after.rss_peak,
    }
}

fn used(outcome: &Outcome) -> Option<Used> {
    let cpu = |(_, before, after): &(u32, Usage, Usage)| after.cpu.saturating_sub(before.cpu).as_secs_f64();
    let cpu_s: f64 = outcome.processes.iter().map(cpu).sum();
    let now: u64 = outcome.processes.iter().map(|(_, _, after)| after.rss).sum();
    let answered = outcome.summary.counts().answered;
    let streams = outcome.summary.whole().rtp.streams > 0;
    let stood: u64 = outcome.summary.seconds().iter().map(|second| second.in_flight).sum();
    (!outcome.processes.is_empty()).then(|| Used {
        cpu_percent: cpu_s / outcome.ran_s() * 100.0,
        cpu_ms_per_call: (answered > 0).then(|| cpu_s * 1_000.0 / answered as f64),
        cpu_ms_per_call_second: (stood > 0 && streams).then(|| cpu_s * 1_000.0 / stood as f64),
        rss_max_bytes: outcome.samples.iter().map(|sample| sample.rss_bytes).max().unwrap_or(now),
    })
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
