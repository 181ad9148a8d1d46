//! What `/metrics` says, in the OpenMetrics text format that Prometheus reads.
//!
//! Counters count where a thing happens; what can be asked is asked when somebody reads. Names and label values are from
//! the configuration or from lists of ours: nothing that a client sends becomes a label.

use crate::media_metrics::Shards;
use crate::net_metrics::{SocketFigures, Sockets};
use crate::words::direction;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::collections::HashSet;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use switch::{Cdr, Direction, Fact};

/// Names of trunks and users that are told apart. What is beyond counts under `other`.
pub const MAX_TRUNKS: usize = 1_000;

/// Seconds from the INVITE to the first sign of the far end.
const PDD: [f64; 9] = [0.1, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 15.0];

/// Listening quality (ITU-T G.107).
const MOS: [f64; 6] = [2.0, 3.0, 3.6, 4.0, 4.2, 4.4];

/// Seconds that a request takes.
const REQUEST: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Way {
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct End {
    direction: &'static str,
    trunk: String,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Trunk {
    trunk: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempt {
    trunk: String,
    sip_status: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: &'static str,
    route: String,
    status: u32,
}

/// Counts of calls, kept by the ledger.
#[derive(Clone, Debug)]
pub struct Calls {
    /// Trunks that have a label of their own.
    names: Arc<Mutex<HashSet<String>>>,
    admitted: Family<Way, Counter>,
    ended: Family<End, Counter>,
    failed: Family<Attempt, Counter>,
    billable: Family<Trunk, Counter<f64, AtomicU64>>,
    received: Family<Trunk, Counter>,
    lost: Family<Trunk, Counter>,
    pdd: Family<Trunk, Histogram>,
    mos: Family<Trunk, Histogram>,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            names: Arc::default(),
            admitted: Family::default(),
            ended: Family::default(),
            failed: Family::default(),
            billable: Family::default(),
            received: Family::default(),
            lost: Family::default(),
            pdd: Family::new_with_constructor(|| Histogram::new(PDD)),
            mos: Family::new_with_constructor(|| Histogram::new(MOS)),
        }
    }
}

impl Calls {
    /// Takes in a fact.
    pub(crate) fn count(&self, fact: &Fact) {
        match fact {
            Fact::Admitted(admission) => self.admitted(admission.direction),
            Fact::Ended(cdr) => self.ended(cdr),
            Fact::AttemptFailed { trunk, sip_status, .. } => {
                let attempt = Attempt { trunk: self.name(trunk), sip_status: sip_status.unwrap_or(0).into() };
                self.failed.get_or_create(&attempt).inc();
            }
            _ => {}
        }
    }

    fn admitted(&self, way: Direction) {
        self.admitted.get_or_create(&Way { direction: direction(way) }).inc();
    }

    /// The label of a trunk.
    fn name(&self, trunk: &str) -> String {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if names.contains(trunk) {
            return trunk.to_owned();
        }
        if names.len() >= MAX_TRUNKS {
            return "other".to_owned();
        }
        names.insert(trunk.to_owned());
        trunk.to_owned()
    }

    fn ended(&self, cdr: &Cdr) {
        let trunk = self.name(cdr.trunk.as_deref().unwrap_or_default());
        let (direction, status) = (direction(cdr.direction), cdr.status.as_str());
        self.ended.get_or_create(&End { direction, trunk: trunk.clone(), status }).inc();
        let trunk = Trunk { trunk };
        self.billable.get_or_create(&trunk).inc_by(Duration::from_millis(cdr.billable_ms).as_secs_f64());
        self.received.get_or_create(&trunk).inc_by(cdr.received.packets);
        self.lost.get_or_create(&trunk).inc_by(cdr.received.lost);
        if let Some(pdd) = cdr.pdd_ms {
            self.pdd.get_or_create(&trunk).observe(Duration::from_millis(pdd).as_secs_f64());
        }
        if let Some(mos) = cdr.received.mos {
            self.mos.get_or_create(&trunk).observe(mos);
        }
    }
}

/// How things are at the moment that somebody asks.
#[derive(Clone, Debug, Default)]
pub struct Now {
    /// Calls that have not ended.
    pub live: u64,
    /// Calls that are answered and have not ended.
    pub in_progress: u64,
    /// Octets in the journal.
    pub journal: u64,
    /// Octets that it may hold.
    pub journal_max: u64,
    /// Entries that are not on disk yet.
    pub waiting: u64,
    /// Octets on disk that the database has not taken, as far as one segment says.
    pub behind: u64,
    /// Syncs of the journal since the start.
    pub commits: u64,
    /// Whether the database took the last transaction.
    pub database: bool,
    /// Whether no call is taken any more.
    pub draining: bool,
    /// Streams of events.
    pub streams: u64,
    /// SIP messages that went to the HEP collector, and captured ones that found no way.
    pub captured: (u64, u64),
    /// Spans that the OpenTelemetry collector has taken, and those that it has not.
    pub spans: (u64, u64),
    /// Each trunk: whether it is known to fail, and its calls.
    pub trunks: Vec<(String, bool, u64)>,
    /// Each media shard.
    pub media: Vec<media::ShardReport>,
    /// SIP's sockets.
    pub net: SocketFigures,
}

/// All metrics of the API.
#[derive(Debug)]
pub struct Metrics {
    calls: Calls,
    requests: Family<Route, Counter>,
    took: Family<RouteOnly, Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteOnly {
    route: String,
}

impl Metrics {
    /// The metrics of an API whose ledger counts `calls`.
    #[must_use]
    pub fn new(calls: Calls) -> Self {
        Self { calls, requests: Family::default(), took: Family::new_with_constructor(|| Histogram::new(REQUEST)) }
    }

    /// Takes note of a request that was answered. `route` is one of ours, not what the client wrote.
    pub(crate) fn answered(&self, method: &axum::http::Method, route: &str, status: u16, took: Duration) {
        let known = ["GET", "POST", "DELETE", "PUT", "PATCH", "HEAD", "OPTIONS"];
        let method = known.into_iter().find(|known| *known == method.as_str()).unwrap_or("other");
        let route = route.to_owned();
        self.took.get_or_create(&RouteOnly { route: route.clone() }).observe(took.as_secs_f64());
        self.requests.get_or_create(&Route { method, route, status: u32::from(status) }).inc();
    }

    /// All of it as text.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub fn text(&self, now: Now) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("tandem");
        self.register(&mut registry);
        register_now(&mut registry, &now);
        registry.register_collector(Box::new(Shards(now.media)));
        registry.register_collector(Box::new(Sockets(now.net)));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry)?;
        Ok(text)
    }

    fn register(&self, registry: &mut Registry) {
        let Calls { admitted, ended, failed, billable, received, lost, pdd, mos, .. } = self.calls.clone();
        registry.register("calls_admitted", "Calls that began", admitted);
        registry.register("calls_ended", "Calls that ended, by their last status", ended);
        registry.register("trunk_attempts_failed", "INVITEs whose path failed, by their final status", failed);
        registry.register_with_unit("call_billable", "Time between answer and end", Unit::Seconds, billable);
        registry.register("rtp_received_packets", "RTP packets that far ends sent and we received", received);
        registry.register("rtp_lost_packets", "RTP packets that far ends sent and we did not receive", lost);
        registry.register_with_unit("call_pdd", "Post-dial delay", Unit::Seconds, pdd);
        registry.register("call_mos", "Estimated listening quality of what far ends sent (G.107)", mos);
        registry.register("http_requests", "Requests answered", self.requests.clone());
        registry.register_with_unit("http_request", "What answers took", Unit::Seconds, self.took.clone());
    }
}

fn register_now(registry: &mut Registry, now: &Now) {
    let mut gauge = |name: &str, help: &str, value: u64| {
        let gauge: Gauge = Gauge::default();
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        registry.register(name, help, gauge);
    };
    gauge("calls_live", "Calls that have not ended", now.live);
    gauge("calls_in_progress", "Calls that are answered and have not ended", now.in_progress);
    gauge("journal_octets", "Octets in the journal", now.journal);
    gauge("journal_max_octets", "Octets that the journal may hold", now.journal_max);
    gauge("journal_waiting_entries", "Entries that are not on disk yet", now.waiting);
    gauge("journal_commits", "Syncs of the journal since the start", now.commits);
    gauge("database_behind_octets", "Octets of the journal that the database has not taken", now.behind);
    gauge("database_connected", "1 where the database took the last transaction", u64::from(now.database));
    gauge("draining", "1 where no call is taken any more", u64::from(now.draining));
    gauge("event_streams", "Streams of GET /v1/events", now.streams);
    gauge("capture_exported_messages", "SIP messages sent to hep.collector since the start", now.captured.0);
    gauge("capture_dropped_messages", "SIP messages that capture or export could not keep up with", now.captured.1);
    gauge("telemetry_exported_spans", "Spans that the OpenTelemetry collector has taken since the start", now.spans.0);
    gauge("telemetry_dropped_spans", "Spans that found no way to the collector", now.spans.1);
    let (failing, calls) = (Family::<Trunk, Gauge>::default(), Family::<Trunk, Gauge>::default());
    for (trunk, fails, active) in &now.trunks {
        let label = Trunk { trunk: trunk.clone() };
        failing.get_or_create(&label).set(i64::from(*fails));
        calls.get_or_create(&label).set(i64::try_from(*active).unwrap_or(i64::MAX));
    }
    registry.register("trunk_failing", "1 where a trunk failed lately and rests", failing);
    registry.register("trunk_calls", "Calls on a trunk", calls);
}
