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
use serde_json::json;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) async fn metrics(State(app): Api) -> Result<Response, Problem> {
    let text = app.inner.metrics.text(&now(&app)).map_err(|_| Problem::overloaded())?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

fn now(app: &App) -> Now {
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
        trunks: sip.trunks.iter().map(trunk).collect(),
    }
}

/// Only an operator's key drains: every other is a tenant's, and a drain ends the calls of all.
pub(super) async fn drain(State(app): Api, caller: Caller, params: Params) -> Result<Response, Problem> {
    caller.may(Scope::Operator)?;
    params.only(&[])?;
    tracing::info!("a drain was asked for by HTTP");
    app.ask_for_drain();
    let body = json!({ "status": "draining", "live": app.inner.ledger.live().active() });
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}
