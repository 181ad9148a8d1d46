//! `tandem load`: calls at any SIP target, and what became of them: a line a second on standard error, a table on standard
//! output, JSON in a file, an exit code by thresholds.

mod args;
mod plan;
mod report;
mod table;

pub use args::LoadArgs;

use super::raise_files;
use crate::clock::entropy;
use base::Rng;
use carrier_sim::load::Summary;
use carrier_sim::net::load::{Ended, Heard, Running, Usage};
use report::{Beside, Report};
use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;
use tokio::signal::unix::{SignalKind, signal};

/// Why a load could not run.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The exit code where a threshold was crossed.
const CROSSED: u8 = 3;

/// Runs a load to its end, or to the first signal; a second one ends it at once.
pub async fn run(args: &LoadArgs) -> Result<ExitCode, Failure> {
    raise_files();
    let setup = plan::plan(args).await?;
    let before = usages(&args.pids)?;
    let own = Usage::own()?;
    let rng = args.seed.map_or_else(entropy, |seed| Ok(Rng::from_u64(seed)))?;
    let shards = setup.shards;
    let mut running = Running::start(setup, rng).await?;
    let began = Instant::now();
    let mut seen = Seen { summary: Summary::new(shards), ended: Vec::new(), interrupted: false };
    seen.follow(&mut running).await?;
    let ran = began.elapsed();
    if seen.ended.len() < shards {
        return Err("a shard of the load has failed".into());
    }
    let processes = used_since(before)?;
    let own = (own, Usage::own()?);
    let beside = Beside { interrupted: seen.interrupted, ran, shards: &seen.ended, processes: &processes, own };
    let report = Report::new(args, &seen.summary, &beside);
    if let Some(file) = &args.json {
        let text = serde_json::to_vec_pretty(&report)?;
        std::fs::write(file, text).map_err(|error| format!("--json {}: {error}", file.display()))?;
    }
    std::io::stdout().write_all(table::table(&report)?.as_bytes())?;
    Ok(if report.is_good() { ExitCode::SUCCESS } else { ExitCode::from(CROSSED) })
}

/// What has been heard of the shards.
struct Seen {
    summary: Summary,
    ended: Vec<Ended>,
    interrupted: bool,
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
                }
            }
            Heard::Ended(ended) => {
                self.summary.finished();
                self.ended.push(*ended);
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

fn usages(pids: &[u32]) -> Result<Vec<(u32, Usage)>, Failure> {
    pids.iter().map(|pid| Ok((*pid, Usage::of(*pid).map_err(|error| format!("--pid: {error}"))?))).collect()
}

/// A process that has ended meanwhile is a finding: it is said, and the figures are not.
fn used_since(before: Vec<(u32, Usage)>) -> Result<Vec<(u32, Usage, Usage)>, Failure> {
    let mut used = Vec::new();
    for (pid, before) in before {
        match Usage::of(pid) {
            Ok(after) => used.push((pid, before, after)),
            Err(error) => eprintln!("tandem: the target has gone: {error}"),
        }
    }
    Ok(used)
}
