//! The report as a table for a terminal, and each second as a line.

use super::against::Against;
use super::heard::Heard;
use super::report::Report;
use carrier_sim::load::{Latency, Second};
use std::fmt::{self, Write as _};

/// One line of progress.
pub fn second(second: &Second) -> String {
    let ms = |value: Option<f64>| value.map_or("-".to_owned(), |ms| format!("{ms:.2}"));
    format!(
        "{:>5} s  due {:>6}  answered {:>6}  failed {:>5}  resent {:>5}  up {:>6}  p50 {} ms  p99 {} ms",
        second.second + 1,
        second.due,
        second.answered,
        second.failed,
        second.resent,
        second.in_flight,
        ms(second.answer_p50_ms),
        ms(second.answer_p99_ms),
    )
}

/// All of it.
pub fn table(report: &Report<'_>) -> Result<String, fmt::Error> {
    let mut out = String::new();
    calls(&mut out, report)?;
    latencies(&mut out, report)?;
    failures(&mut out, report)?;
    machine(&mut out, report)?;
    for limit in &report.generator.limits {
        writeln!(out, "the generator was the limit: {limit}")?;
    }
    for threshold in &report.thresholds {
        let verdict = if threshold.held { "held" } else { "CROSSED" };
        writeln!(out, "threshold {}: at most {}, seen {}: {verdict}", threshold.what, threshold.limit, threshold.seen)?;
    }
    Ok(out)
}

fn calls(out: &mut String, report: &Report<'_>) -> fmt::Result {
    let counts = &report.counts;
    if let Some(server) = report.server {
        writeln!(out, "target      {}", server.escape_debug())?;
    }
    let early = if report.interrupted { ", ended early" } else { "" };
    writeln!(out, "calls       {} due, {} started in {:.1} s{early}", counts.due, counts.started, report.ran_s)?;
    writeln!(
        out,
        "            {} answered, {} failed, {} given up, {} not started ({:.3} % went wrong)",
        counts.answered, counts.failed, counts.given_up, counts.not_started, report.failed_percent
    )?;
    writeln!(
        out,
        "            {} hung up, {} ended by the far end, {} dropped; at most {} stood at once",
        counts.hung_up, counts.ended_by_peer, counts.dropped, report.most_standing
    )?;
    writeln!(out, "goodput     {:.1} answered a second, {} in the best", report.goodput.mean, report.goodput.max)?;
    writeln!(
        out,
        "messages    {} sent ({} again), {} received ({} again), {} challenges",
        counts.sent, counts.resent, counts.received, counts.received_again, counts.challenged
    )
}

fn latencies(out: &mut String, report: &Report<'_>) -> fmt::Result {
    let latency = report.latency;
    writeln!(out, "ms                 p50       p90       p99     p99.9       max     count")?;
    row(out, "INVITE → 100", &latency.trying)?;
    row(out, "INVITE → 18x", &latency.ringing)?;
    row(out, "INVITE → 200", &latency.answer)?;
    row(out, "BYE → 200", &latency.hang_up)?;
    row(out, "our lateness", &latency.lateness)?;
    match &report.media {
        Some(media) => streams(out, media, report),
        None => Ok(()),
    }
}

fn streams(out: &mut String, media: &Heard<'_>, report: &Report<'_>) -> fmt::Result {
    row(out, "added delay", media.added_delay)?;
    row(out, "RTP lateness", media.lateness)?;
    row(out, "  by stream", media.stream_lateness_p99)?;
    row(out, "RTP jitter", media.jitter)?;
    row(out, "ours left", media.own_lateness)?;
    row(out, "ours read", media.own_reading)?;
    let (rtp, counts) = (&media.rtp, &report.counts);
    writeln!(
        out,
        "RTP         {} streams, {} packets sent, {} received, {} lost ({:.4} %; the worst stream {:.2} %), {} streams silent",
        rtp.streams, rtp.sent, rtp.received, rtp.lost, media.loss_percent, media.worst_loss_percent, rtp.silent
    )?;
    if counts.digits_sent + counts.digits_heard > 0 {
        writeln!(out, "digits      {} pressed, {} heard", counts.digits_sent, counts.digits_heard)?;
    }
    if counts.taken + counts.refused > 0 {
        writeln!(out, "other legs  {} answered, {} refused", counts.taken, counts.refused)?;
    }
    if media.srtp_refused > 0 {
        writeln!(out, "SRTP        {} packets refused", media.srtp_refused)?;
    }
    Ok(())
}

/// A stage that nobody went through has no row.
fn row(out: &mut String, name: &str, latency: &Latency) -> fmt::Result {
    if latency.count() == 0 {
        return Ok(());
    }
    write!(out, "{name:<12}")?;
    let quantiles = [0.5, 0.9, 0.99, 0.999].map(|quantile| latency.quantile_ms(quantile));
    for value in quantiles.into_iter().chain([latency.max_ms()]) {
        write!(out, "{:>10.3}", value.unwrap_or(0.0))?;
    }
    writeln!(out, "{:>10}", latency.count())
}

fn failures(out: &mut String, report: &Report<'_>) -> fmt::Result {
    for failure in &report.failures {
        let failed = failure.failed;
        let [p50, p99] = [0.5, 0.99].map(|quantile| failed.latency.quantile_ms(quantile).unwrap_or(0.0));
        write!(out, "failed      {} × {}, after {p50:.1} ms (p50), {p99:.1} ms (p99)", failed.calls, failure.reason)?;
        if failed.retry_after > 0 {
            write!(out, "; Retry-After in {}, at most {} s", failed.retry_after, failed.retry_after_max_s)?;
        }
        match &failed.detail {
            Some(detail) if failure.status.is_none() => writeln!(out, "; first: {detail}")?,
            _ => writeln!(out)?,
        }
    }
    Ok(())
}

fn machine(out: &mut String, report: &Report<'_>) -> fmt::Result {
    for process in &report.processes {
        write!(out, "process {}  {:.2} s of CPU ({:.1} % of a core)", process.pid, process.cpu_s, process.cpu_percent)?;
        if let Some(each) = process.cpu_ms_per_call {
            write!(out, ", {each:.3} ms an answered call")?;
        }
        let mb = |bytes: u64| bytes as f64 / 1e6;
        writeln!(out, "; {:.1} MB resident, {:.1} MB at most", mb(process.rss_bytes), mb(process.rss_peak_bytes))?;
    }
    let own = &report.generator;
    writeln!(
        out,
        "generator   {:.2} s of CPU ({:.1} % of a core), the busiest shard {:.1} %, the busiest media thread {:.1} %",
        own.cpu_s, own.cpu_percent, own.busiest_shard_percent, own.busiest_media_percent
    )
}

/// The figures of several targets, and each by the first's.
pub fn ratios(against: &Against<'_>) -> Result<String, fmt::Error> {
    let mut out = String::new();
    write!(out, "{:<24}{:<12}", "ratios", "")?;
    for run in against.runs {
        write!(out, "{:>22}", shortened(run.name))?;
    }
    writeln!(out)?;
    for figure in &against.ratios {
        write!(out, "{:<24}{:<12}", figure.what, figure.unit)?;
        for (place, (value, ratio)) in figure.values.iter().zip(&figure.ratios).enumerate() {
            let value = value.map_or("-".to_owned(), |value| format!("{value:.3}"));
            let ratio = ratio.filter(|_| place > 0).map_or(String::new(), |ratio| format!("{ratio:.2}×"));
            write!(out, "{value:>14}{ratio:>8}")?;
        }
        writeln!(out)?;
    }
    Ok(out)
}

/// The end of a long name, where names differ.
fn shortened(name: &str) -> String {
    let all = name.chars().count();
    name.chars().skip(all.saturating_sub(20)).collect()
}
