//! One load on one target, from its first call to its last, and what was seen beside it.

use super::args::{LoadArgs, Named};
use super::{Failure, plan, table};
use crate::clock::entropy;
use base::Rng;
use carrier_sim::load::Summary;
use carrier_sim::net::load::{Ended, Heard, Running, Usage};
use serde::Serialize;
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// A load that has run.
#[derive(Debug)]
pub struct Outcome {
    /// Its target.
    pub target: Named,
    /// All that was counted.
    pub summary: Summary,
    /// Each shard.
    pub shards: Vec<Ended>,
    /// Ended early.
    pub interrupted: bool,
    /// How long it ran.
    pub ran: Duration,
    /// The target's processes: at the start and at the end.
    pub processes: Vec<(u32, Usage, Usage)>,
    /// All of them together, each second.
    pub samples: Vec<Sample>,
    /// Ours.
    pub own: (Usage, Usage),
}

/// What the target's processes used in one second, all together.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Sample {
    /// Seconds from the start to the end of it.
    pub at_s: f64,
    /// CPU, of one core.
    pub cpu_percent: f64,
    /// Resident memory, in bytes; a page that two processes share counts twice.
    pub rss_bytes: u64,
}

impl Outcome {
    /// Seconds it ran, and never none.
    pub fn ran_s(&self) -> f64 {
        self.ran.as_secs_f64().max(0.001)
    }
}

/// Runs a load to its end, or to the first signal; a second one ends it at once.
pub async fn run(args: &LoadArgs, target: Named, pids: &[u32]) -> Result<Outcome, Failure> {
    let setup = plan::plan(args, &target.uri).await?;
    let before = usages(pids)?;
    let own = Usage::own()?;
    let rng = args.seed.map_or_else(entropy, |seed| Ok(Rng::from_u64(seed)))?;
    let shards = setup.shards;
    let mut running = Running::start(setup, rng).await?;
    let began = Instant::now();
    let mut seen = Seen {
        summary: Summary::new(shards),
        shards: Vec::new(),
        interrupted: false,
        watch: Watch { pids: pids.to_vec(), began, last: (began, before.clone()), samples: Vec::new() },
    };
    seen.follow(&mut running).await?;
    let ran = began.elapsed();
    if seen.shards.len() < shards {
        return Err("a shard of the load has failed".into());
    }
    let Seen { summary, shards, interrupted, watch } = seen;
    let own = (own, Usage::own()?);
    let processes = used_since(before);
    Ok(Outcome { target, summary, shards, interrupted, ran, processes, samples: watch.samples, own })
}

/// What has been heard of the shards.
struct Seen {
    summary: Summary,
    shards: Vec<Ended>,
    interrupted: bool,
    watch: Watch,
}

impl Seen {
    /// Until every shard has ended.
    async fn follow(&mut self, running: &mut Running) -> Result<(), Failure> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        loop {
            tokio::select! {
                heard = running.heard() => match heard {
                    Some(heard) => self.hear(heard),
                    None => return Ok(()),
                },
                _ = interrupt.recv() => self.stop(running)?,
                _ = terminate.recv() => self.stop(running)?,
            }
        }
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Lap(lap) => {
                if let Some(second) = self.summary.lap(&lap) {
                    eprintln!("{}", table::second(&second));
                    self.watch.look();
                }
            }
            Heard::Ended(ended) => {
                self.summary.finished();
                self.shards.push(*ended);
            }
        }
    }

    fn stop(&mut self, running: &Running) -> Result<(), Failure> {
        if std::mem::replace(&mut self.interrupted, true) {
            return Err("ended by a second signal; what stood was left as it was".into());
        }
        eprintln!("ending: what stands is hung up (once more: at once)");
        running.stop();
        Ok(())
    }
}

/// The target's processes, looked at once a second.
struct Watch {
    pids: Vec<u32>,
    began: Instant,
    last: (Instant, Vec<(u32, Usage)>),
    samples: Vec<Sample>,
}

impl Watch {
    fn look(&mut self) {
        let full = self.samples.len() >= carrier_sim::load::MAX_SECONDS;
        // One that has gone is said at the end.
        let Some(now) = usages(&self.pids).ok().filter(|usages| !usages.is_empty() && !full) else { return };
        let at = Instant::now();
        let cpu = |usages: &[(u32, Usage)]| usages.iter().map(|(_, usage)| usage.cpu).sum::<Duration>();
        let passed = at.duration_since(self.last.0).as_secs_f64().max(0.001);
        self.samples.push(Sample {
            at_s: at.duration_since(self.began).as_secs_f64(),
            cpu_percent: cpu(&now).saturating_sub(cpu(&self.last.1)).as_secs_f64() / passed * 100.0,
            rss_bytes: now.iter().map(|(_, usage)| usage.rss).sum(),
        });
        self.last = (at, now);
    }
}

fn usages(pids: &[u32]) -> Result<Vec<(u32, Usage)>, Failure> {
    pids.iter().map(|pid| Ok((*pid, Usage::of(*pid).map_err(|error| format!("--pid: {error}"))?))).collect()
}

/// A process that has ended meanwhile is a finding: it is said, and the figures are not.
fn used_since(before: Vec<(u32, Usage)>) -> Vec<(u32, Usage, Usage)> {
    let mut used = Vec::new();
    for (pid, before) in before {
        match Usage::of(pid) {
            Ok(after) => used.push((pid, before, after)),
            Err(error) => eprintln!("tandem: the target has gone: {error}"),
        }
    }
    used
}
