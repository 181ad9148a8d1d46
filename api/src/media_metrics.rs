//! What `/metrics` says of the media engine, each shard under its own number: they are asked when somebody reads.

use media::ShardReport;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;
use std::fmt;
use std::sync::Arc;

/// Asks the media shards how they are. It may block for as long as they are busy: call it where that hurts nobody.
pub type AskMedia = Arc<dyn Fn() -> Vec<ShardReport> + Send + Sync>;

/// Upper ends of the buckets of lateness, as powers of two of nanoseconds: 0.13 ms to 0.54 s.
const OCTAVES: std::ops::RangeInclusive<u32> = 17..=29;

const NANOS: f64 = 1e9;

type Read = fn(&ShardReport) -> u64;

/// What only grows, named without the `_total` that the format adds.
const COUNTERS: [(&str, &str, Read); 6] = [
    ("media_packets_sent", "RTP packets that a shard sent", |report| report.stats.packets_sent),
    ("media_packets_received", "RTP and RTCP packets that came, of any worth", |report| report.stats.packets_received),
    ("media_reports_sent", "RTCP packets that a shard sent", |report| report.stats.reports_sent),
    ("media_ticks", "Times that a shard looked for what is due", |report| report.stats.ticks),
    ("media_ticks_cut", "Ticks that left due work for the next one: the shard is behind", |report| {
        report.stats.ticks_cut
    }),
    ("media_events_dropped", "Digits and quality reports that were not told for want of room", |report| {
        report.stats.digits_dropped + report.stats.quality_dropped
    }),
];

/// Packets that went nowhere, by the cause in their label.
const DROPPED: [(&str, Read); 9] = [
    ("blocked", |report| report.stats.blocked),
    ("refused", |report| report.stats.refused),
    ("too_late", |report| report.stats.skipped),
    ("stranger", |report| report.stats.strangers),
    ("flooded", |report| report.stats.flooded),
    ("malformed", |report| report.stats.malformed),
    ("unauthentic", |report| report.stats.unauthentic),
    ("replayed", |report| report.stats.replayed),
    ("gone", |report| report.stats.unknown_endpoint),
];

/// What goes up and down.
const GAUGES: [(&str, &str, Read); 5] = [
    ("media_endpoints", "Endpoints on a shard now", |report| report.stats.endpoints),
    ("media_waiting_commands", "Commands that wait for a shard", |report| report.waiting as u64),
    ("media_held_commands", "Commands kept for endpoints on their way from another shard", |report| report.held as u64),
    (
        "media_connected_sockets",
        "Sockets of their own for far ends that are spoken to for more than a second",
        |report| report.direct as u64,
    ),
    ("media_unwritten_blocks", "Pieces of recordings that wait for the disk", |report| report.unwritten as u64),
];

/// What the shards said.
#[derive(Debug)]
pub(crate) struct Shards(pub Vec<ShardReport>);

impl Collector for Shards {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, read) in COUNTERS {
            self.counter(&mut encoder, name, help, read)?;
        }
        for (name, help, read) in GAUGES {
            let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
            for report in &self.0 {
                metric.encode_family(&shard(report))?.encode_gauge(&read(report))?;
            }
        }
        self.dropped(&mut encoder)?;
        self.cpu(&mut encoder)?;
        self.lateness(&mut encoder)
    }
}

/// The label of a shard.
fn shard(report: &ShardReport) -> [(&'static str, String); 1] {
    [("shard", report.shard.to_string())]
}

impl Shards {
    fn counter(&self, encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, read: Read) -> fmt::Result {
        let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for report in &self.0 {
            metric.encode_family(&shard(report))?.encode_counter::<NoLabelSet, _, u64>(&read(report), None)?;
        }
        Ok(())
    }

    fn dropped(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "Packets that went nowhere, by cause";
        let mut metric = encoder.encode_descriptor("media_packets_dropped", help, None, MetricType::Counter)?;
        for report in &self.0 {
            for (cause, read) in DROPPED {
                let [(name, number)] = shard(report);
                let labels = [(name, number), ("cause", cause.to_owned())];
                metric.encode_family(&labels)?.encode_counter::<NoLabelSet, _, u64>(&read(report), None)?;
            }
        }
        Ok(())
    }

    fn cpu(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "CPU time that a shard's thread used";
        let mut metric = encoder.encode_descriptor("media_cpu", help, Some(&Unit::Seconds), MetricType::Counter)?;
        for report in &self.0 {
            let seconds = report.cpu_ns as f64 / NANOS;
            metric.encode_family(&shard(report))?.encode_counter::<NoLabelSet, _, u64>(&seconds, None)?;
        }
        Ok(())
    }

    fn lateness(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let help = "How late audio packets of our own left against their 20 ms grid";
        let mut metric =
            encoder.encode_descriptor("media_lateness", help, Some(&Unit::Seconds), MetricType::Histogram)?;
        for report in &self.0 {
            let lateness = &report.stats.lateness;
            let mut below = 0;
            let mut buckets: Vec<_> = OCTAVES
                .map(|octave| {
                    let until = lateness.below_octave(octave);
                    let bucket = ((1u64 << octave) as f64 / NANOS, until - below);
                    below = until;
                    bucket
                })
                .collect();
            buckets.push((f64::MAX, lateness.count() - below));
            let sum = lateness.sum_ns() as f64 / NANOS;
            let label = shard(report);
            let mut family = metric.encode_family(&label)?;
            family.encode_histogram::<NoLabelSet>(sum, lateness.count(), &buckets, None)?;
        }
        let help = "The latest of them since the start";
        let mut metric =
            encoder.encode_descriptor("media_lateness_max", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        for report in &self.0 {
            let seconds = report.stats.lateness.max_ns() as f64 / NANOS;
            metric.encode_family(&shard(report))?.encode_gauge(&seconds)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::registry::Registry;

    #[test]
    fn each_shard_has_its_own_numbers_and_its_buckets_add_up() {
        let mut busy = ShardReport { shard: 1, waiting: 7, cpu_ns: 1_500_000_000, ..ShardReport::default() };
        busy.stats.packets_sent = 5;
        busy.stats.strangers = 3;
        let mut registry = Registry::with_prefix("tandem");
        registry.register_collector(Box::new(Shards(vec![ShardReport::default(), busy])));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "tandem_media_packets_sent_total{shard=\"0\"} 0",
            "tandem_media_packets_sent_total{shard=\"1\"} 5",
            "tandem_media_packets_dropped_total{shard=\"1\",cause=\"stranger\"} 3",
            "tandem_media_waiting_commands{shard=\"1\"} 7",
            "tandem_media_cpu_seconds_total{shard=\"1\"} 1.5",
            "tandem_media_lateness_seconds_count{shard=\"1\"} 0",
            "tandem_media_lateness_seconds_bucket{le=\"+Inf\",shard=\"1\"} 0",
        ] {
            assert!(text.lines().any(|there| there == line), "no {line} in\n{text}");
        }
    }
}
