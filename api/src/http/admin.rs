//! `/metrics` and `POST /v1/admin/drain`: what the one who runs the switch asks.

use super::auth::Caller;
use super::problem::Problem;
use super::query::Params;
use super::{Api, App, TrunkState};
use crate::keys::Scope;
use crate::metrics::Now;
use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Metrics for Prometheus.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "get_metrics",
    tag = "operations",
    responses((status = 200, description = "OpenMetrics.", body = String, content_type = "application/openmetrics-text")),
    extensions(("x-problems" = json!(["overloaded"]))),
)]
pub(super) async fn metrics(State(app): Api) -> Result<Response, Problem> {
    let ask = app.inner.media.clone();
    let media = tokio::task::spawn_blocking(move || ask()).await.map_err(|_| Problem::overloaded())?;
    let text = app.inner.metrics.text(now(&app, media)).map_err(|_| Problem::overloaded())?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

fn now(app: &App, media: Vec<media::ShardReport>) -> Now {
    let ledger = &app.inner.ledger;
    let (durable, progress, (journal, journal_max)) = (ledger.durable(), ledger.progress(), ledger.octets());
    let behind = match durable.segment == progress.position.segment {
        true => durable.offset.saturating_sub(progress.position.offset),
        // Segments away: all of the journal at most.
        false if durable > progress.position => journal,
        false => 0,
    };
    let sip = app.inner.sip.load();
    let trunk = |(name, health): (&String, &super::TrunkHealth)| {
        (name.clone(), health.status == TrunkState::Failing, u64::from(health.active_calls))
    };
    Now {
        live: ledger.live().active() as u64,
        in_progress: ledger.live().in_progress() as u64,
        journal,
        journal_max,
        waiting: ledger.waiting() as u64,
        behind,
        commits: ledger.commits(),
        database: progress.connected,
        draining: app.draining(),
        streams: app.inner.streams.count() as u64,
        spans: app.inner.telemetry.counts(),
        captured: app.inner.capture.counts(),
        trunks: sip.trunks.iter().map(trunk).collect(),
        media,
        net: (app.inner.net)(),
    }
}

/// A drain that has begun.
#[derive(Serialize, ToSchema)]
struct Draining {
    /// `draining`.
    status: &'static str,
    /// Calls that it waits for.
    live: usize,
}

/// From now on no call is admitted; the switch ends when the last call has. Only for an operator's key:
/// every other is a tenant's, and a drain ends the calls of all.
#[utoipa::path(
    post,
    path = "/admin/drain",
    operation_id = "drain",
    tag = "operations",
    responses((status = 202, description = "It drains.", body = Draining)),
)]
pub(super) async fn drain(State(app): Api, caller: Caller, params: Params) -> Result<Response, Problem> {
    caller.may(Scope::Operator)?;
    params.only(&[])?;
    tracing::info!("a drain was asked for by HTTP");
    app.ask_for_drain();
    let body = Draining { status: "draining", live: app.inner.ledger.live().active() };
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}
