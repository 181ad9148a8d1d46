//! Which plots a page has: of one target its stages, of several each target under the same light.

use super::plot::{Across, Plot, Series};
use crate::commands::load::report::Report;
use carrier_sim::load::{Latency, Second};

/// How many colours the page has; more targets than these share them.
const HUES: usize = 4;

/// The colour of what is only there to be compared with.
const PALE: usize = HUES;

/// What a second shows, where it shows it.
type OfSecond = fn(&Second) -> Option<f64>;

/// What a run shows, and what of the load's own belongs beside it.
type OfRun = for<'a> fn(&'a Report<'_>) -> Option<(&'a Latency, Option<&'a Latency>)>;

/// All plots, in order.
pub fn plots(runs: &[Report<'_>]) -> Vec<Plot> {
    let mut plots = vec![rates(runs), setup(runs)];
    plots.extend([
        seconds("Set-up over time", "INVITE to 200, ms: 99 of 100 of each second", runs, |second| second.answer_p99_ms),
        shares("Added delay", "ms: how long our packets were away", runs, |report| {
            Some((report.media.as_ref()?.added_delay, None))
        }),
        shares("Lateness", "ms: what comes and, dashed, what we sent, against 20 ms", runs, |report| {
            let media = report.media.as_ref()?;
            Some((media.lateness, Some(media.own_lateness)))
        }),
        seconds("Lateness over time", "ms: 99 of 100 of each second", runs, |second| second.late_p99_ms),
        used("CPU of the target", "% of a core", runs, |sample| sample.cpu_percent),
        used("Memory of the target", "MB resident", runs, |sample| sample.rss_bytes as f64 / 1e6),
    ]);
    plots
}

fn name(runs: &[Report<'_>], run: &Report<'_>, what: &str) -> String {
    match (runs.len(), what) {
        (1, what) => what.to_owned(),
        (_, "") => run.name.to_owned(),
        (_, what) => format!("{}: {what}", run.name),
    }
}

fn over_time(run: &Report<'_>, of: OfSecond) -> Vec<(f64, f64)> {
    run.per_second.iter().filter_map(|second| Some((second.second as f64 + 1.0, of(second)?))).collect()
}

/// Calls a second: what was due, what was answered, what failed.
fn rates(runs: &[Report<'_>]) -> Plot {
    let mut series = Vec::new();
    for (place, run) in runs.iter().enumerate() {
        let lines: [(&str, OfSecond, usize, bool); 3] = [
            ("due", |second| Some(second.due as f64), 0, true),
            ("answered", |second| Some(second.answered as f64), 0, false),
            ("failed", |second| Some(second.failed as f64), 1, false),
        ];
        for (what, of, hue, dashed) in lines {
            let fails = run.per_second.iter().any(|second| second.failed > 0);
            // The same calls are due at every target, and a line of zeros says what its absence says.
            if what == "due" && place > 0 || what == "failed" && runs.len() > 1 && !fails {
                continue;
            }
            let hue = if runs.len() > 1 { place } else { hue };
            let dashed = dashed || what == "failed" && runs.len() > 1;
            let (name, hue) = if what == "due" { (what.to_owned(), PALE) } else { (name(runs, run, what), hue % HUES) };
            series.push(Series { name, hue, dashed, points: over_time(run, of) });
        }
    }
    Plot { title: "Calls", unit: "a second", across: Across::Time, series }
}

/// How long calls took to set up: of one target every stage, of several the answer.
fn setup(runs: &[Report<'_>]) -> Plot {
    let series = match runs {
        [only] => [
            ("INVITE to 18x", &only.latency.ringing),
            ("INVITE to 200", &only.latency.answer),
            ("BYE to 200", &only.latency.hang_up),
        ]
        .into_iter()
        .enumerate()
        .map(|(hue, (what, latency))| curve(what.to_owned(), hue, false, latency))
        .collect(),
        runs => runs
            .iter()
            .enumerate()
            .map(|(hue, run)| curve(name(runs, run, ""), hue, false, &run.latency.answer))
            .collect(),
    };
    let unit = if runs.len() == 1 { "ms" } else { "INVITE to 200, ms" };
    Plot { title: "Set-up", unit, across: Across::Share, series }
}

fn curve(name: String, hue: usize, dashed: bool, latency: &Latency) -> Series {
    let lowest = latency.quantile_ms(0.0).map(|lowest| (0.0, lowest));
    Series { name, hue: hue % HUES, dashed, points: lowest.into_iter().chain(latency.curve()).collect() }
}

/// A line of the target's, and one of our own beside it.
fn shares(title: &'static str, unit: &'static str, runs: &[Report<'_>], of: OfRun) -> Plot {
    let mut series = Vec::new();
    for (hue, run) in runs.iter().enumerate() {
        let Some((theirs, ours)) = of(run) else { continue };
        let what = if ours.is_some() { "what comes" } else { "" };
        series.push(curve(name(runs, run, what), hue, false, theirs));
        if let Some(ours) = ours {
            series.push(curve(name(runs, run, "what we sent"), hue, true, ours));
        }
    }
    Plot { title, unit, across: Across::Share, series }
}

fn seconds(title: &'static str, unit: &'static str, runs: &[Report<'_>], of: OfSecond) -> Plot {
    let line = |(hue, run): (usize, &Report<'_>)| Series {
        name: name(runs, run, ""),
        hue: hue % HUES,
        dashed: false,
        points: over_time(run, of),
    };
    Plot { title, unit, across: Across::Time, series: runs.iter().enumerate().map(line).collect() }
}

fn used(
    title: &'static str,
    unit: &'static str,
    runs: &[Report<'_>],
    of: fn(&crate::commands::load::run::Sample) -> f64,
) -> Plot {
    let line = |(hue, run): (usize, &Report<'_>)| {
        let points = run.used_per_second.iter().map(|sample| (sample.at_s, of(sample))).collect();
        Series { name: name(runs, run, ""), hue: hue % HUES, dashed: false, points }
    };
    Plot { title, unit, across: Across::Time, series: runs.iter().enumerate().map(line).collect() }
}
