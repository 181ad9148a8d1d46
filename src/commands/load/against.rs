//! Several targets under the same load: their figures side by side, and each by the first's.

use super::report::Report;
use carrier_sim::load::Latency;
use serde::Serialize;

/// The form of the JSON.
const SCHEMA: &str = "tandem-load-against/1";

/// See the head of this file.
#[derive(Debug, Serialize)]
pub struct Against<'a> {
    schema: &'static str,
    /// Each target's report, in turn.
    pub runs: &'a [Report<'a>],
    /// Figure by figure.
    pub ratios: Vec<Ratio>,
}

/// One figure of every target.
#[derive(Debug, Serialize)]
pub struct Ratio {
    /// What it is.
    pub what: &'static str,
    /// In what it is counted.
    pub unit: &'static str,
    /// Of each target; `None` where it has none.
    pub values: Vec<Option<f64>>,
    /// Each by the first's; `None` where either is none, or the first's is zero.
    pub ratios: Vec<Option<f64>>,
}

type Figure = (&'static str, &'static str, fn(&Report<'_>) -> Option<f64>);

/// What is compared: the target's cost first, as it is what a load is mostly run for.
const FIGURES: [Figure; 16] = [
    ("CPU of the target", "% of a core", |report| Some(report.used.as_ref()?.cpu_percent)),
    ("CPU a second of call", "ms", |report| report.used.as_ref()?.cpu_ms_per_call_second),
    ("CPU an answered call", "ms", |report| report.used.as_ref()?.cpu_ms_per_call),
    ("memory at most", "MB", |report| Some(report.used.as_ref()?.rss_max_bytes as f64 / 1e6)),
    ("answered a second", "", |report| Some(report.goodput.mean)),
    ("calls that went wrong", "%", |report| Some(report.failed_percent)),
    ("INVITE to 200, p50", "ms", |report| report.latency.answer.quantile_ms(0.5)),
    ("INVITE to 200, p99", "ms", |report| report.latency.answer.quantile_ms(0.99)),
    ("BYE to 200, p99", "ms", |report| report.latency.hang_up.quantile_ms(0.99)),
    ("RTP lost", "%", |report| Some(report.media.as_ref()?.loss_percent)),
    ("added delay, p50", "ms", |report| heard(report, 0.5, |media| media.added_delay)),
    ("added delay, p99", "ms", |report| heard(report, 0.99, |media| media.added_delay)),
    ("added delay, max", "ms", |report| heard(report, 1.0, |media| media.added_delay)),
    ("RTP lateness, p50", "ms", |report| heard(report, 0.5, |media| media.lateness)),
    ("RTP lateness, p99", "ms", |report| heard(report, 0.99, |media| media.lateness)),
    ("RTP lateness, max", "ms", |report| heard(report, 1.0, |media| media.lateness)),
];

fn heard(
    report: &Report<'_>,
    quantile: f64,
    what: for<'a> fn(&'a super::heard::Heard<'_>) -> &'a Latency,
) -> Option<f64> {
    what(report.media.as_ref()?).quantile_ms(quantile)
}

impl<'a> Against<'a> {
    /// Of two targets or more.
    pub fn of(runs: &'a [Report<'a>]) -> Option<Self> {
        let ratios =
            FIGURES.iter().map(|figure| ratio(runs, figure)).filter(|ratio| ratio.values.iter().any(Option::is_some));
        (runs.len() > 1).then(|| Self { schema: SCHEMA, runs, ratios: ratios.collect() })
    }
}

fn ratio(runs: &[Report<'_>], (what, unit, of): &Figure) -> Ratio {
    let values: Vec<_> = runs.iter().map(of).collect();
    let ratios = by_the_first(&values);
    Ratio { what, unit, values, ratios }
}

fn by_the_first(values: &[Option<f64>]) -> Vec<Option<f64>> {
    let first = values.first().copied().flatten().filter(|first| *first > 0.0);
    values.iter().map(|value| Some((*value)? / first?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_divided_by_the_firsts_where_there_is_one() {
        assert_eq!(by_the_first(&[Some(2.0), Some(5.0), None]), [Some(1.0), Some(2.5), None]);
        assert_eq!(by_the_first(&[Some(0.0), Some(5.0)]), [None, None]);
        assert_eq!(by_the_first(&[None, Some(5.0)]), [None, None]);
    }
}
