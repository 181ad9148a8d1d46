//! What happens as spans, for who gathers them with OpenTelemetry: OTLP over HTTP, as protobuf, to `[telemetry] otlp_url`.
//!
//! A call's spans are made of its CDR when that is on disk, and a request's when it has been answered: neither is touched by
//! this while it is under way, and without `otlp_url` nothing of this runs. What a collector is too slow to take is
//! counted and gone.

mod spans;

pub(crate) use spans::Begun;

use crate::errands::egress::{Content, Egress, EgressError, Exchange};
use crate::errands::{Policy, SystemLookup};
use crate::journal::writer::Event;
use ivr::Timeouts;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use switch::Fact;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, mpsc};
use url::Url;

/// Spans of requests that wait to be gathered. One more is dropped.
const REQUESTS: usize = 8_192;

/// Spans that are sent together.
const BATCH: usize = 2_048;

/// Batches that wait for the collector. One more is dropped.
const BATCHES: usize = 16;

/// How long spans wait for company.
const EVERY: Duration = Duration::from_secs(1);

/// How long a collector may take.
const TIMEOUTS: Timeouts = Timeouts { connect_ms: 5_000, read_ms: 10_000, total_ms: 10_000 };

/// Where the collector takes traces, below `otlp_url` (OTLP 1.x, "OTLP/HTTP Request").
const PATH: &str = "v1/traces";

/// The way to the collector. Cloning is cheap; all clones are one. The default goes nowhere, and costs nothing.
#[derive(Clone, Default)]
pub struct Telemetry {
    gatherer: Option<mpsc::Sender<Span>>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    dropped: AtomicU64,
}

/// Where a collector takes traces: `/v1/traces` below what the configuration names.
///
/// # Errors
/// What to write instead.
pub fn traces_url(text: &str) -> Result<Url, &'static str> {
    let instead = "write the collector's URL, like \"http://127.0.0.1:4318\"";
    let mut url = Url::parse(text).map_err(|_| instead)?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(instead);
    }
    url.path_segments_mut().map_err(|()| instead)?.pop_if_empty().extend(PATH.split('/'));
    Ok(url)
}

impl Telemetry {
    /// Begins to send the spans of requests, and of the calls that end in `facts`, to `url` ([`traces_url`]), until `facts`
    /// ends.
    ///
    /// # Errors
    /// Where there is no HTTP client to be had.
    pub fn start(url: Url, facts: broadcast::Receiver<Event>) -> Result<Self, EgressError> {
        // The collector is the operator's own, wherever it is.
        let egress = Egress::new(Policy::everywhere(), Arc::new(SystemLookup))?;
        let (gatherer, requests) = mpsc::channel(REQUESTS);
        let (batches, taken) = mpsc::channel(BATCHES);
        let counts = Arc::<Counts>::default();
        tokio::spawn(Gatherer { batches, waiting: Vec::new(), counts: counts.clone() }.run(requests, facts));
        tokio::spawn(export(url, egress, taken, counts.clone()));
        Ok(Self { gatherer: Some(gatherer), counts })
    }

    /// Notes that a request begins; none where nobody gathers spans.
    pub(crate) fn begins<B>(&self, request: &axum::http::Request<B>) -> Option<Begun> {
        self.gatherer.as_ref()?;
        Begun::new(request)
    }

    /// Takes in a request that has been answered.
    pub(crate) fn answered<B>(&self, begun: Option<Begun>, response: &axum::http::Response<B>) {
        if let (Some(begun), Some(gatherer)) = (begun, &self.gatherer)
            && gatherer.try_send(begun.span(response)).is_err()
        {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Spans that the collector has taken, and those that it was too slow for or did not take.
    #[must_use]
    pub fn counts(&self) -> (u64, u64) {
        (self.counts.sent.load(Ordering::Relaxed), self.counts.dropped.load(Ordering::Relaxed))
    }
}

/// Who makes batches of spans.
struct Gatherer {
    batches: mpsc::Sender<Vec<Span>>,
    waiting: Vec<Span>,
    counts: Arc<Counts>,
}

impl Gatherer {
    async fn run(mut self, mut requests: mpsc::Receiver<Span>, mut facts: broadcast::Receiver<Event>) {
        let mut tick = tokio::time::interval(EVERY);
        loop {
            tokio::select! {
                Some(span) = requests.recv() => self.waiting.push(span),
                event = facts.recv() => match event {
                    Ok(event) => {
                        if let Fact::Ended(cdr) = &event.record.fact {
                            self.waiting.extend(spans::call(cdr));
                        }
                    }
                    // How many of them were ends of calls is not known.
                    Err(RecvError::Lagged(missed)) => drop(self.counts.dropped.fetch_add(missed, Ordering::Relaxed)),
                    Err(RecvError::Closed) => return self.flush(),
                },
                _ = tick.tick() => self.flush(),
            }
            if self.waiting.len() >= BATCH {
                self.flush();
            }
        }
    }

    fn flush(&mut self) {
        let batch = std::mem::take(&mut self.waiting);
        let spans = batch.len() as u64;
        if spans > 0 && self.batches.try_send(batch).is_err() {
            self.counts.dropped.fetch_add(spans, Ordering::Relaxed);
        }
    }
}

async fn export(url: Url, egress: Egress, mut batches: mpsc::Receiver<Vec<Span>>, counts: Arc<Counts>) {
    let mut was_taken = true;
    while let Some(batch) = batches.recv().await {
        let spans = batch.len() as u64;
        let taken = post(&url, &egress, batch).await;
        if let Err(why) = &taken
            && was_taken
        {
            tracing::warn!(%url, why, "the OpenTelemetry collector takes no spans");
        }
        was_taken = taken.is_ok();
        let count = if was_taken { &counts.sent } else { &counts.dropped };
        count.fetch_add(spans, Ordering::Relaxed);
    }
}

async fn post(url: &Url, egress: &Egress, batch: Vec<Span>) -> Result<(), String> {
    let request = ExportTraceServiceRequest { resource_spans: vec![spans::resource(batch)] };
    let exchange = Exchange {
        method: reqwest::Method::POST,
        url: url.clone(),
        headers: HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"))]),
        body: Content::Octets(request.encode_to_vec()),
        timeouts: TIMEOUTS,
        most: 4_096,
    };
    match egress.exchange(exchange).await {
        Ok(reply) if (200..300).contains(&reply.status) => Ok(()),
        Ok(reply) => Err(format!("it answers {}", reply.status)),
        Err(fault) => Err(format!("{fault:?}")),
    }
}
