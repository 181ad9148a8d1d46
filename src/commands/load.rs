//! `tandem load`: calls at any SIP target, and what became of them: a line a second on standard error, a table on standard
//! output, JSON and a page in files, an exit code by thresholds.

mod against;
mod args;
mod generator;
mod heard;
mod html;
mod origin;
mod plan;
mod report;
mod run;
mod table;

pub use args::LoadArgs;

use super::raise_files;
use against::Against;
use args::Named;
use origin::Origin;
use report::Report;
use run::Outcome;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Why a load could not run.
type Failure = Box<dyn std::error::Error + Send + Sync>;

/// The exit code where the command line is wrong, as for what its parser finds.
const WRONG: u8 = 2;
/// The exit code where a threshold was crossed.
const CROSSED: u8 = 3;
/// Between two targets: what the first is still to say to its end is not to be the second's burden.
const PAUSE: Duration = Duration::from_secs(2);

/// Runs the load on every target in turn, and reports.
pub async fn run(args: &LoadArgs) -> Result<ExitCode, Failure> {
    raise_files();
    let targets = match check(args) {
        Ok(targets) => targets,
        Err(error) => {
            eprintln!("tandem: {error}");
            return Ok(ExitCode::from(WRONG));
        }
    };
    for (option, file) in [("--json", &args.json), ("--html", &args.html)] {
        file.as_deref().map_or(Ok(()), |file| try_writing(option, file))?;
    }
    let origin = Origin::here();
    let mut outcomes: Vec<Outcome> = Vec::new();
    for (target, pids) in targets {
        if let Some(before) = outcomes.last() {
            if before.interrupted {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        outcomes.push(run::run(args, target, &pids).await?);
    }
    let reports: Vec<_> = outcomes.iter().map(|outcome| Report::new(args, &origin, outcome)).collect();
    tell(args, &reports)?;
    Ok(if reports.iter().all(Report::is_good) { ExitCode::SUCCESS } else { ExitCode::from(CROSSED) })
}

/// The targets of a command line that is right.
fn check(args: &LoadArgs) -> Result<Vec<(Named, Vec<u32>)>, Failure> {
    let targets = args.targets()?;
    for (target, _) in &targets {
        plan::check(args, &target.uri)?;
    }
    Ok(targets)
}

/// The table, and the files that are asked for: of one target its report, of several all of them and their ratios.
fn tell(args: &LoadArgs, reports: &[Report<'_>]) -> Result<(), Failure> {
    let against = Against::of(reports);
    if let Some(file) = &args.json {
        let text = match (reports, &against) {
            ([only], None) => serde_json::to_vec_pretty(only),
            (_, against) => serde_json::to_vec_pretty(against),
        };
        write("--json", file, &text?)?;
    }
    if let Some(file) = &args.html {
        write("--html", file, html::page(reports, against.as_ref()).as_bytes())?;
    }
    let mut text = String::new();
    for report in reports {
        if against.is_some() {
            text += &format!("{}\n", report.name);
        }
        text += &table::table(report)?;
    }
    text += &against.map(|against| table::ratios(&against)).transpose()?.unwrap_or_default();
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// A report that cannot be written is known before the load is made for it. No file is left where there was none.
fn try_writing(option: &str, file: &Path) -> Result<(), Failure> {
    let is_new = !file.exists();
    let opened = std::fs::OpenOptions::new().append(true).create(true).open(file);
    opened.map_err(|error| format!("{option} {}: {error}", file.display()))?;
    if is_new {
        std::fs::remove_file(file)?;
    }
    Ok(())
}

fn write(option: &str, file: &Path, text: &[u8]) -> Result<(), Failure> {
    Ok(std::fs::write(file, text).map_err(|error| format!("{option} {}: {error}", file.display()))?)
}
