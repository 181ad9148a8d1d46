//! The report as one page: plots, figures, and where they come from. It needs nothing but itself: no script, no font, no
//! other file, so that it can be sent on and opened in ten years.
//!
//! Names, reasons and the command line come from outside, and are escaped ([`escaped`]) wherever they are written.

mod plot;
mod plots;

use super::against::Against;
use super::report::Report;
use carrier_sim::load::Latency;
use std::fmt::{self, Write as _};

const STYLE: &str = include_str!("page.css");

/// The page.
pub fn page(runs: &[Report<'_>], against: Option<&Against<'_>>) -> String {
    let mut out = String::new();
    // Writing to a `String` does not fail.
    let _ = write_page(&mut out, runs, against);
    out
}

/// Text as it may stand between tags and in quoted attributes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            c => safe.push(c),
        }
    }
    safe
}

fn write_page(out: &mut String, runs: &[Report<'_>], against: Option<&Against<'_>>) -> fmt::Result {
    let names: Vec<_> = runs.iter().map(|run| escaped(run.name)).collect();
    let names = names.join(" against ");
    writeln!(out, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">")?;
    writeln!(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">")?;
    writeln!(out, "<title>tandem load: {names}</title>\n<style>\n{STYLE}</style></head><body>")?;
    writeln!(out, "<h1>tandem load: {names}</h1>")?;
    for run in runs {
        headline(out, run)?;
    }
    for run in runs {
        limits(out, run)?;
    }
    match (against, runs) {
        (Some(against), _) => ratios(out, against)?,
        (None, [only]) => tiles(out, only)?,
        (None, _) => {}
    }
    writeln!(out, "<div class=\"plots\">")?;
    for plot in plots::plots(runs) {
        plot.write(out)?;
    }
    writeln!(out, "</div>")?;
    for run in runs {
        details(out, run)?;
    }
    if let Some(run) = runs.first() {
        origin(out, run)?;
    }
    writeln!(out, "</body></html>")
}

/// What was done.
fn headline(out: &mut String, run: &Report<'_>) -> fmt::Result {
    let counts = &run.counts;
    let early = if run.interrupted { ", ended early" } else { "" };
    let server = run.server.map(|server| format!(" ({})", escaped(server))).unwrap_or_default();
    writeln!(
        out,
        "<p class=\"soft\">{}{server}: {} calls due, {} answered, at most {} at once, in {:.1} s{early}</p>",
        escaped(run.name),
        counts.due,
        counts.answered,
        run.most_standing,
        run.ran_s
    )
}

/// Where the load itself was in the way.
fn limits(out: &mut String, run: &Report<'_>) -> fmt::Result {
    if run.generator.limits.is_empty() {
        return Ok(());
    }
    writeln!(out, "<div class=\"warn\">{}: the generator, not the target, was the limit:<ul>", escaped(run.name))?;
    for limit in &run.generator.limits {
        writeln!(out, "<li>{}</li>", escaped(limit))?;
    }
    writeln!(out, "</ul></div>")
}

fn tiles(out: &mut String, run: &Report<'_>) -> fmt::Result {
    let p99 = |latency: &Latency| latency.quantile_ms(0.99).map(|ms| format!("{ms:.2} ms"));
    let media = run.media.as_ref();
    let tiles = [
        ("answered a second", Some(format!("{:.1}", run.goodput.mean))),
        ("calls that went wrong", Some(format!("{:.3} %", run.failed_percent))),
        ("INVITE to 200, p99", p99(&run.latency.answer)),
        ("RTP lost", media.map(|media| format!("{:.4} %", media.loss_percent))),
        ("added delay, p99", media.and_then(|media| p99(media.added_delay))),
        ("RTP lateness, p99", media.and_then(|media| p99(media.lateness))),
        ("CPU of the target", run.used.as_ref().map(|used| format!("{:.1} %", used.cpu_percent))),
        ("memory at most", run.used.as_ref().map(|used| format!("{:.1} MB", used.rss_max_bytes as f64 / 1e6))),
    ];
    writeln!(out, "<div class=\"tiles\">")?;
    for (what, value) in tiles.into_iter().filter_map(|(what, value)| Some((what, value?))) {
        writeln!(out, "<div class=\"tile\"><b>{value}</b><span>{what}</span></div>")?;
    }
    writeln!(out, "</div>")
}

fn ratios(out: &mut String, against: &Against<'_>) -> fmt::Result {
    writeln!(out, "<h2>Side by side</h2><div class=\"wide\"><table><tr><th></th>")?;
    for run in against.runs {
        write!(out, "<th>{}</th>", escaped(run.name))?;
    }
    writeln!(out, "</tr>")?;
    for figure in &against.ratios {
        write!(out, "<tr><td>{}<i>{}</i></td>", figure.what, figure.unit)?;
        for (place, (value, ratio)) in figure.values.iter().zip(&figure.ratios).enumerate() {
            let value = value.map_or("–".to_owned(), |value| format!("{value:.3}"));
            let ratio = ratio.filter(|_| place > 0).map_or(String::new(), |ratio| format!("<i>{ratio:.2}×</i>"));
            write!(out, "<td>{value}{ratio}</td>")?;
        }
        writeln!(out, "</tr>")?;
    }
    writeln!(out, "</table></div>")
}

/// All that the table on the terminal says.
fn details(out: &mut String, run: &Report<'_>) -> fmt::Result {
    writeln!(out, "<h2>{}</h2><div class=\"wide\"><table>", escaped(run.name))?;
    writeln!(out, "<tr><th>ms</th><th>p50</th><th>p90</th><th>p99</th><th>p99.9</th><th>max</th><th>count</th></tr>")?;
    let calls = [
        ("INVITE to 100", &run.latency.trying),
        ("INVITE to 18x", &run.latency.ringing),
        ("INVITE to 200", &run.latency.answer),
        ("BYE to 200", &run.latency.hang_up),
        ("our calls started late", &run.latency.lateness),
    ];
    let media = run.media.iter().flat_map(|media| {
        [
            ("added delay", media.added_delay),
            ("added delay, p99 of each stream", media.stream_added_delay_p99),
            ("RTP lateness", media.lateness),
            ("RTP lateness, p99 of each stream", media.stream_lateness_p99),
            ("jitter of each stream", media.jitter),
            ("our RTP left late", media.own_lateness),
            ("RTP lay unread with us", media.own_reading),
        ]
    });
    for (what, latency) in calls.into_iter().chain(media).filter(|(_, latency)| latency.count() > 0) {
        row(out, what, latency)?;
    }
    writeln!(out, "</table></div>")?;
    counts(out, run)?;
    failures(out, run)
}

fn row(out: &mut String, what: &str, latency: &Latency) -> fmt::Result {
    write!(out, "<tr><td>{what}</td>")?;
    let quantiles = [0.5, 0.9, 0.99, 0.999].map(|quantile| latency.quantile_ms(quantile));
    for value in quantiles.into_iter().chain([latency.max_ms()]) {
        write!(out, "<td>{:.3}</td>", value.unwrap_or(0.0))?;
    }
    writeln!(out, "<td>{}</td></tr>", latency.count())
}

fn counts(out: &mut String, run: &Report<'_>) -> fmt::Result {
    let counts = &run.counts;
    write!(
        out,
        "<p class=\"soft\">{} messages sent ({} again), {} received ({} again), {} challenges; {} calls hung up, {} ended by \
         the far end, {} dropped",
        counts.sent,
        counts.resent,
        counts.received,
        counts.received_again,
        counts.challenged,
        counts.hung_up,
        counts.ended_by_peer,
        counts.dropped
    )?;
    if counts.taken > 0 {
        write!(out, "; {} other legs answered", counts.taken)?;
    }
    if counts.digits_sent + counts.digits_heard > 0 {
        write!(out, "; {} keys pressed, {} heard", counts.digits_sent, counts.digits_heard)?;
    }
    if let Some(media) = &run.media {
        let rtp = &media.rtp;
        write!(
            out,
            "; {} RTP packets sent, {} received on {} streams, {} lost on {} of them, {} streams silent",
            rtp.sent, rtp.received, rtp.streams, rtp.lost, rtp.lossy, rtp.silent
        )?;
    }
    let own = &run.generator;
    writeln!(out, "; the load itself used {:.0} % of a core.</p>", own.cpu_percent)
}

fn failures(out: &mut String, run: &Report<'_>) -> fmt::Result {
    if run.failures.is_empty() {
        return Ok(());
    }
    writeln!(out, "<div class=\"wide\"><table><tr><th>failed</th><th>calls</th><th>p50 ms</th><th>first</th></tr>")?;
    for failure in &run.failures {
        let p50 = failure.failed.latency.quantile_ms(0.5).unwrap_or(0.0);
        let detail = failure.failed.detail.as_deref().unwrap_or_default();
        writeln!(
            out,
            "<tr><td class=\"bad\">{}</td><td>{}</td><td>{p50:.1}</td><td class=\"words\">{}</td></tr>",
            escaped(&failure.reason.to_string()),
            failure.failed.calls,
            escaped(detail)
        )?;
    }
    writeln!(out, "</table></div>")
}

fn origin(out: &mut String, run: &Report<'_>) -> fmt::Result {
    let origin = run.origin;
    writeln!(out, "<h2>Where this comes from</h2><p><code>{}</code></p>", escaped(&origin.command))?;
    writeln!(
        out,
        "<p class=\"soft\">tandem {}, {}; {}, {:.1} GB, {}</p>",
        origin.version,
        escaped(&origin.began),
        escaped(&origin.processor),
        origin.memory_bytes as f64 / 1e9,
        escaped(&origin.kernel)
    )
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn nothing_that_comes_from_outside_is_a_tag() {
        assert_eq!(escaped("<b a=\"1\" c='2'>&"), "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;");
    }
}
