//! `/health`, `/livez`, `/readyz`: how the switch is.

use super::problem::Problem;
use super::{Api, App};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use utoipa::ToSchema;

/// How long an answer of the database counts: `/health` asks it once in this time, however often it is asked itself.
const PING_EVERY: Duration = Duration::from_secs(1);

/// What `/health` says of a database that was away at the start and has not been read since.
const NOT_SINCE_START: &str =
    "away at the start: keys, tenants, trunks, numbers and users made over HTTP are not known yet";

/// How signalling is, as the program last saw it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SipHealth {
    /// Whether signalling runs and its listeners are bound.
    pub up: bool,
    /// Each trunk.
    pub trunks: BTreeMap<String, TrunkHealth>,
    /// What they have used today is not known yet: the database has been away since the start.
    pub usage_unknown: bool,
    /// What tenants use.
    pub usage: BTreeMap<String, switch::Usage>,
}

/// How a trunk is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrunkHealth {
    /// What is known of it.
    pub status: TrunkState,
    /// Calls on it now.
    pub active_calls: u32,
    /// Until when it is tried last, in milliseconds since the Unix epoch. Not for who asks without a key.
    #[serde(skip)]
    pub rests_until: Option<u64>,
    /// When it takes the next call, in milliseconds since the Unix epoch, where its calls a second are used up.
    #[serde(skip)]
    pub opens_at: Option<u64>,
}

/// What is known of a trunk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
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

/// How the switch is, and its parts. Some names are those that monitoring of its predecessor asks for.
#[derive(Serialize, ToSchema)]
#[schema(as = Health)]
struct HealthResource<'a> {
    /// `healthy` or `degraded`.
    status: &'static str,
    /// Why no call can be made: the code of a problem.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<&'static str>,
    database: DatabasePart,
    redis: Part,
    sip: SipPart<'a>,
    freeswitch: Part,
    ivr: IvrPart,
    version: &'static str,
}

/// A part of the switch.
#[derive(Serialize, ToSchema)]
struct Part {
    /// `connected`, `disconnected` or `disabled`.
    status: &'static str,
}

/// The database.
#[derive(Serialize, ToSchema)]
struct DatabasePart {
    /// `connected` or `disconnected`.
    status: &'static str,
    /// What is not known while it is away, where that is more than what was.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<&'static str>,
}

/// Signalling.
#[derive(Serialize, ToSchema)]
struct SipPart<'a> {
    /// `connected` or `disconnected`.
    status: &'static str,
    /// Each trunk by its name.
    trunks: &'a BTreeMap<String, TrunkHealth>,
}

/// Programs.
#[derive(Serialize, ToSchema)]
struct IvrPart {
    /// Calls that are answered.
    #[serde(rename = "activeSessions")]
    active_sessions: usize,
}

/// Whether the process lives.
#[utoipa::path(
    get,
    path = "/livez",
    operation_id = "get_livez",
    tag = "operations",
    responses((status = 200, description = "It does.", body = String, content_type = "text/plain")),
)]
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// Whether calls can be made. They can while the database is away: those that need it are answered 503, one by one.
#[utoipa::path(
    get,
    path = "/readyz",
    operation_id = "get_readyz",
    tag = "operations",
    responses((status = 200, description = "They can.", body = String, content_type = "text/plain")),
    extensions(("x-problems" = json!(["draining", "sip_down", "overloaded", "journal_full", "journal_failing"]))),
)]
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

/// How the switch is, and its parts.
#[utoipa::path(
    get,
    path = "/health",
    operation_id = "get_health",
    tag = "operations",
    responses((status = 200, description = "Calls can be made.", body = HealthResource<'_>),
        (status = 503, description = "They cannot; `reason` says why.", body = HealthResource<'_>)),
)]
pub(super) async fn health(State(app): Api) -> Response {
    let database = database_connected(&app).await;
    let sip = app.inner.sip.load();
    let word = |connected| if connected { "connected" } else { "disconnected" };
    let able = calls_can_be_made(&app);
    let failing = sip.trunks.values().any(|trunk| trunk.status == TrunkState::Failing);
    let redis = app.inner.keys.shares();
    let healthy = able.is_ok() && database && app.inner.registry.is_whole() && redis != Some(false) && !failing;
    let part = |connected| Part { status: word(connected) };
    let mut body = HealthResource {
        status: if healthy { "healthy" } else { "degraded" },
        reason: None,
        database: DatabasePart {
            status: word(database),
            detail: (!app.inner.registry.is_whole()).then_some(NOT_SINCE_START),
        },
        redis: redis.map_or(Part { status: "disabled" }, part),
        sip: SipPart { status: word(sip.up), trunks: &sip.trunks },
        freeswitch: part(sip.up),
        ivr: IvrPart { active_sessions: app.inner.ledger.live().in_progress() },
        version: app.inner.version,
    };
    let status = match able {
        Ok(()) => StatusCode::OK,
        Err(problem) => {
            body.reason = Some(problem.code());
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
