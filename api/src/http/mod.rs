//! HTTP: the routes of DESIGN.md §5 that exist so far.
//!
//! | module | routes |
//! |---|---|
//! | `originate` | `POST /v1/calls` |
//! | `calls` | `GET /v1/calls`, `GET` and `POST /v1/calls/{sid}` |
//! | `live` | `POST /v1/calls/{sid}/{play,say,stop,gather,digits,hold,mute,record,transfer,bridge}` |
//! | `happened` | `GET /v1/calls/{sid}/{events,ladder,quality}` |
//! | `recordings` | `/v1/recordings` |
//! | `conferences` | `/v1/conferences`, their participants |
//! | `flows` | `/v1/flows`, `POST /v1/flows/{name}/simulate` |
//! | `account` | `GET /v1/account`, `POST /v1/account/rotate` |
//! | `webhooks` | `GET /v1/webhooks`, `POST /v1/webhooks/{id}/replay` |
//! | `events` | `GET /v1/events`, as server-sent events and over a WebSocket |
//! | `cdrs` | `GET /v1/cdrs`, as JSON and CSV |
//! | `admin` | `/metrics`, `POST /v1/admin/drain` |
//! | `provision` | `/v1/tenants`, `/v1/trunks`, `/v1/numbers`, `/v1/users` |
//! | `explain` | `POST /v1/routes/explain` |
//! | `keys` | `/v1/keys` |
//! | `status` | `/health`, `/livez`, `/readyz` |
//! | `doc` | `/openapi.json`, `/docs` |
//!
//! and beside them `auth` (keys, rates), `json` and `fields` (bodies), `path` and `query` (parameters, cursors), `resource` (a call
//! and a CDR as JSON), `problem` (errors), `serve` (connections). A handler parses, asks the ledger or tells the switch,
//! and answers; it holds no state of a call.

mod account;
mod admin;
mod auth;
mod callback;
mod calls;
mod cdrs;
mod conferences;
mod csv;
mod doc;
mod events;
mod explain;
mod fields;
mod flows;
mod happened;
mod json;
mod keys;
mod live;
mod originate;
mod path;
mod pcap;
mod problem;
mod provision;
mod query;
mod range;
mod recordings;
mod resource;
mod serve;
mod status;
mod steering;
mod time;
mod webhooks;
mod wishes;

pub(crate) use fields::Fields;
pub(crate) use resource::call_as_json;
pub(crate) use time::rfc3339;

pub use auth::Caller;
pub use doc::document;
pub use events::{KEEP_ALIVE, MAX_STREAMS, MAX_STREAMS_OF_TENANT};
pub use json::{BODY_TIME, MAX_BODY};
pub use originate::{DEFAULT_MAX_DURATION_S, DEFAULT_TIMEOUT_S, MAX_DURATION_S, MAX_METADATA, MAX_TIMEOUT_S};
pub use problem::Problem;
pub use query::MAX_LIMIT;
pub use serve::{HEADER_TIME, MAX_CONNECTIONS, MAX_PER_ADDRESS, SHUTDOWN_TIME, serve};
pub use status::{SipHealth, TrunkHealth, TrunkState};

use crate::accounts::Accounts;
use crate::capture::Capture;
use crate::commander::Commander;
use crate::directory::Directory;
use crate::flows::Flows;
use crate::keys::Keys;
use crate::ledger::Ledger;
use crate::media_metrics::AskMedia;
use crate::metrics::Metrics;
use crate::net_metrics::AskNet;
use crate::prompts::Prompts;
use crate::recordings::Recordings;
use crate::registry::Registry;
use crate::telemetry::Telemetry;
use arc_swap::ArcSwap;
use axum::extract::{MatchedPath, Request, State};
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, body::Body};
use base::Rng;
use provision::routes::{numbers, tenants, trunks, users};
use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use switch::CallSid;
use tokio::sync::watch;
use tower_http::catch_panic::CatchPanicLayer;
use tracing::Instrument;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How long a request may take, all in all. A slower one gets 503.
pub const REQUEST_TIME: Duration = Duration::from_secs(30);

/// How long a database that is known to be away is waited for before a request that needs it gets 503.
pub const AWAY_TIME: Duration = Duration::from_millis(500);

/// What the API works with.
pub struct Parts {
    /// Where facts go and come from.
    pub ledger: Ledger,
    /// Who may do what; the program replaces it when the configuration is reloaded.
    pub directory: Arc<ArcSwap<Directory>>,
    /// Who is asking.
    pub keys: Keys,
    /// What tenants are called and prove themselves by.
    pub accounts: Accounts,
    /// What calls may play.
    pub prompts: Prompts,
    /// The flows they may run.
    pub flows: Flows,
    /// What was recorded.
    pub recordings: Recordings,
    /// How tenants, trunks, numbers and users are made and changed.
    pub registry: Registry,
    /// What was on the wire.
    pub capture: Capture,
    /// Where spans go.
    pub telemetry: Telemetry,
    /// The way to signalling.
    pub commander: Commander,
    /// How signalling and its trunks are; the program keeps it fresh.
    pub sip: Arc<ArcSwap<SipHealth>>,
    /// How the media shards are, asked.
    pub media: AskMedia,
    /// What SIP's sockets have seen, asked.
    pub net: AskNet,
    /// Randomness for sids.
    pub rng: Rng,
    /// The program's version, as `/health` names it.
    pub version: &'static str,
}

/// The API. Cloning is cheap; all clones are one.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    ledger: Ledger,
    directory: Arc<ArcSwap<Directory>>,
    keys: Keys,
    accounts: Accounts,
    prompts: Prompts,
    flows: Flows,
    recordings: Recordings,
    registry: Registry,
    capture: Capture,
    telemetry: Telemetry,
    commander: Commander,
    sip: Arc<ArcSwap<SipHealth>>,
    media: AskMedia,
    net: AskNet,
    rng: Mutex<Rng>,
    version: &'static str,
    draining: AtomicBool,
    pinged: tokio::sync::Mutex<Option<(Instant, bool)>>,
    streams: events::Streams,
    metrics: Metrics,
    drain: watch::Sender<bool>,
}

impl App {
    /// An API of these parts.
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        let Parts {
            ledger,
            directory,
            keys,
            accounts,
            prompts,
            flows,
            recordings,
            registry,
            capture,
            telemetry,
            commander,
            sip,
            media,
            net,
            rng,
            version,
        } = parts;
        let metrics = Metrics::new(ledger.counts().clone());
        let inner = Inner {
            ledger,
            directory,
            keys,
            accounts,
            prompts,
            flows,
            recordings,
            registry,
            capture,
            telemetry,
            commander,
            sip,
            media,
            net,
            rng: Mutex::new(rng),
            version,
            draining: AtomicBool::new(false),
            pinged: tokio::sync::Mutex::default(),
            streams: events::Streams::default(),
            metrics,
            drain: watch::Sender::new(false),
        };
        Self { inner: Arc::new(inner) }
    }

    /// From now on no call is admitted (503 `draining`), and `/readyz` says so; everything else is served.
    pub fn drain(&self) {
        self.inner.draining.store(true, Ordering::Relaxed);
    }

    /// Drains, and lets the program know that it is to end when the last call has.
    fn ask_for_drain(&self) {
        self.drain();
        self.inner.drain.send_replace(true);
    }

    /// Returns when a drain was asked for by HTTP.
    pub async fn drain_asked(&self) {
        // The sender is ours: it outlives this.
        let _ = self.inner.drain.subscribe().wait_for(|asked| *asked).await;
    }

    fn draining(&self) -> bool {
        self.inner.draining.load(Ordering::Relaxed)
    }

    /// How long the database is waited for.
    fn patience(&self) -> Duration {
        if self.inner.ledger.progress().connected { REQUEST_TIME } else { AWAY_TIME }
    }

    /// What the database answers to `asking`; without long waiting where it is known to be away.
    async fn stored<T, E: Into<Problem>>(&self, asking: impl Future<Output = Result<T, E>>) -> Result<T, Problem> {
        match tokio::time::timeout(self.patience(), asking).await {
            Ok(answer) => answer.map_err(Into::into),
            Err(_) => Err(Problem::database_away()),
        }
    }

    /// Returns when the database has what is on disk, for lists that it alone answers; without long waiting.
    async fn up_to_date(&self) {
        if self.inner.ledger.progress().connected {
            // Where it does not come that far in time, the list lacks the newest.
            let _ = tokio::time::timeout(AWAY_TIME, self.inner.ledger.projected()).await;
        }
    }

    /// 503 where what was made over HTTP is not known.
    fn known(&self) -> Result<(), Problem> {
        if self.inner.registry.is_whole() { Ok(()) } else { Err(Problem::not_known_yet()) }
    }

    /// What is wrong; unless it may be right, as far as is known: of what was made over HTTP nothing is.
    fn unless_unknown(&self, problem: Problem) -> Problem {
        if self.inner.registry.is_whole() { problem } else { Problem::not_known_yet() }
    }

    fn new_sid(&self) -> CallSid {
        let at = self.inner.ledger.wall();
        CallSid::new(at, &mut self.inner.rng.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What wants a key.
fn with_key() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(calls::list, originate::post))
        .routes(routes!(calls::get, calls::post))
        .routes(routes!(happened::events))
        .routes(routes!(happened::ladder))
        .routes(routes!(happened::quality))
        .routes(routes!(pcap::get))
        .routes(routes!(live::play))
        .routes(routes!(live::say))
        .routes(routes!(live::stop))
        .routes(routes!(live::gather))
        .routes(routes!(live::digits))
        .routes(routes!(live::hold))
        .routes(routes!(live::mute))
        .routes(routes!(live::record))
        .routes(routes!(live::transfer))
        .routes(routes!(live::bridge))
        .routes(routes!(flows::list))
        .routes(routes!(flows::get, flows::put, flows::delete))
        .routes(routes!(flows::simulate))
        .routes(routes!(recordings::list))
        .routes(routes!(recordings::get, recordings::delete))
        .routes(routes!(conferences::list))
        .routes(routes!(conferences::get, conferences::post))
        .routes(routes!(conferences::participants))
        .routes(routes!(conferences::participant, conferences::change, conferences::kick))
        .routes(routes!(cdrs::list))
        .routes(routes!(events::stream))
        .routes(routes!(account::get))
        .routes(routes!(account::rotate))
        .routes(routes!(webhooks::list))
        .routes(routes!(webhooks::replay))
        .routes(routes!(tenants::list, tenants::create))
        .routes(routes!(tenants::get, tenants::change, tenants::delete))
        .routes(routes!(trunks::list, trunks::create))
        .routes(routes!(trunks::get, trunks::change, trunks::delete))
        .routes(routes!(numbers::list, numbers::create))
        .routes(routes!(numbers::get, numbers::change, numbers::delete))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::get, users::change, users::delete))
        .routes(routes!(keys::list, keys::create))
        .routes(routes!(keys::get, keys::change, keys::delete))
        .routes(routes!(explain::post))
        .routes(routes!(admin::drain))
}

/// What wants none.
fn without_key() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(status::health))
        .routes(routes!(status::livez))
        .routes(routes!(status::readyz))
        .routes(routes!(admin::metrics))
        .routes(routes!(doc::openapi))
}

/// Everything that the document describes: all routes but those of the page that shows it.
fn described() -> OpenApiRouter<App> {
    OpenApiRouter::new().nest("/v1", with_key()).merge(without_key())
}

/// All routes.
pub fn router(app: App) -> Router {
    let v1 = with_key().layer(from_fn_with_state(app.clone(), auth::authenticate));
    OpenApiRouter::new()
        .nest("/v1", v1)
        .merge(without_key())
        .route("/docs", get(doc::page::moved))
        .route("/docs/", get(doc::page::index))
        .route("/docs/{*path}", get(doc::page::asset))
        .split_for_parts()
        .0
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .layer(from_fn(within_time))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(app.clone(), traced))
        .with_state(app)
}

async fn no_route(uri: Uri) -> Problem {
    let path: String = uri.path().chars().take(100).collect();
    Problem::new(StatusCode::NOT_FOUND, "not_found", format!("there is nothing at {path}"))
}

async fn no_method(method: Method) -> Problem {
    let detail = format!("{method} is not for this; the header Allow says what is");
    Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", detail)
}

async fn within_time(request: Request, next: Next) -> Response {
    let late = || Problem::unavailable("timeout", "the request took too long", 1).into_response();
    tokio::time::timeout(REQUEST_TIME, next.run(request)).await.unwrap_or_else(|_| late())
}

fn panicked(_: Box<dyn std::any::Any + Send + 'static>) -> axum::http::Response<Body> {
    tracing::error!("a request's handler panicked");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "a fault of ours; it is in the log").into_response()
}

/// One span a request: its method and its route, never its query, headers or body.
async fn traced(State(app): State<App>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().cloned();
    let route = matched.as_ref().map_or("none", MatchedPath::as_str);
    let span = tracing::info_span!("http", method = %request.method(), route);
    let (began, method) = (Instant::now(), request.method().clone());
    let begun = app.inner.telemetry.begins(&request);
    async {
        let response = next.run(request).await;
        let (status, took) = (response.status().as_u16(), began.elapsed());
        app.inner.metrics.answered(&method, route, status, took);
        app.inner.telemetry.answered(begun, &response);
        tracing::debug!(status, ms = took.as_millis() as u64, "answered");
        response
    }
    .instrument(span)
    .await
}

/// The API as handlers get it.
type Api = State<App>;
