//! `/health`, `/livez`, `/readyz`: how the switch is.

use super::problem::Problem;
use super::{Api, App};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long an answer of the database counts: `/health` asks it once in this time, however often it is asked itself.
const PING_EVERY: Duration = Duration::from_secs(1);

/// How signalling is, as the program last saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SipHealth {
    /// Whether signalling runs and its listeners are bound.
    pub up: bool,
    /// Each trunk.
    pub trunks: BTreeMap<String, TrunkHealth>,
}

/// How a trunk is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TrunkHealth {
    /// What is known of it.
    pub status: TrunkState,
    /// Calls on it now.
    pub active_calls: u32,
}

/// What is known of a trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TrunkState {
    /// Nothing has been tried yet.
    #[default]
    Unknown,
    /// It answered what was last sent to it.
    Connected,
    /// It failed lately and rests, or its registration failed.
    Failing,
}

pub(super) async fn livez() -> &'static str {
    "ok\n"
}

pub(super) async fn readyz(State(app): Api) -> Response {
    match calls_can_be_made(&app) {
        Ok(()) => "ready\n".into_response(),
        Err(problem) => problem.into_response(),
    }
}

fn calls_can_be_made(app: &App) -> Result<(), Problem> {
    if app.draining() {
        return Err(Problem::draining());
    }
    if !app.inner.sip.load().up {
        return Err(Problem::unavailable("sip_down", "signalling does not run", 1));
    }
    if app.inner.commander.congested() {
        return Err(Problem::overloaded());
    }
    Ok(app.inner.ledger.admits()?)
}

pub(super) async fn health(State(app): Api) -> Response {
    let database = database_connected(&app).await;
    let sip = app.inner.sip.load();
    let word = |connected| if connected { "connected" } else { "disconnected" };
    let able = calls_can_be_made(&app);
    let failing = sip.trunks.values().any(|trunk| trunk.status == TrunkState::Failing);
    let healthy = able.is_ok() && database && !failing;
    let mut body = json!({
        "status": if healthy { "healthy" } else { "degraded" },
        "database": { "status": word(database) },
        "redis": { "status": "disabled" },
        "sip": { "status": word(sip.up), "trunks": sip.trunks },
        "freeswitch": { "status": word(sip.up) },
        "ivr": { "activeSessions": app.inner.ledger.live().in_progress() },
        "version": app.inner.version,
    });
    let status = match able {
        Ok(()) => StatusCode::OK,
        Err(problem) => {
            body["reason"] = problem.code().into();
            StatusCode::SERVICE_UNAVAILABLE
        }
    };
    (status, Json(body)).into_response()
}

async fn database_connected(app: &App) -> bool {
    let mut pinged = app.inner.pinged.lock().await;
    if let Some((at, connected)) = *pinged
        && at.elapsed() < PING_EVERY
    {
        return connected;
    }
    let connected = app.inner.ledger.progress().connected && app.inner.ledger.store().ping().await;
    *pinged = Some((Instant::now(), connected));
    connected
}
