//! `POST /v1/calls`: authenticate, validate, admit, dial.
//!
//! The order matters (DESIGN.md §4): everything that can be refused is refused before the admission; the admission is on
//! disk before the switch hears of the call and before the client does; and from then on neither a client that goes away
//! nor a full inbox keeps the call from the switch.

use super::auth::Caller;
use super::fields::Fields;
use super::happened::facts;
use super::problem::Problem;
use super::resource::CallResource;
use super::{Api, App, callback, json, wishes};
use crate::directory::Directory;
use crate::idempotency::{Begun, MAX_KEY, UnderWay};
use crate::keys::Scope;
use crate::ledger::Room;
use crate::store::read::Facts;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use carrier::Number;
use ivr::Answer;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use switch::{
    Admission, CallView, CallbackForm, Command, Direction, Fact, Originate, Record, StatusCallback, TenantLimits,
    Wishes,
};

/// `timeout_s` of a call that names none: how long it may ring, in seconds (the field's de-facto default).
pub const DEFAULT_TIMEOUT_S: u64 = 60;

/// The greatest `timeout_s`.
pub const MAX_TIMEOUT_S: u64 = 600;

/// `max_duration_s` of a call that names none: how long it may last once answered, in seconds.
pub const DEFAULT_MAX_DURATION_S: u64 = 14_400;

/// The greatest `max_duration_s`.
pub const MAX_DURATION_S: u64 = 86_400;

/// The greatest `metadata`, as JSON, in octets.
pub const MAX_METADATA: usize = 16 << 10;

const KNOWN: [&str; 11] = [
    "from",
    "to",
    "answer",
    "trunk",
    "timeout_s",
    "max_duration_s",
    "metadata",
    "status_callback",
    "status_callback_events",
    "record",
    "machine_detection",
];

/// Makes a call. It is on disk before this is answered, and dialled after.
#[utoipa::path(
    post,
    path = "/calls",
    operation_id = "create_call",
    tag = "calls",
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body within a day: the first answer again.", min_length = 1, max_length = 255)),
    request_body(content = ref("#/components/schemas/CallRequest")),
    responses((
        status = 201,
        description = "The call is admitted.",
        body = CallResource<'_>,
        headers(
            ("Location" = String, description = "Where the call is."),
            ("Idempotency-Replayed" = Option<String>, description = "`true`: this was answered before.")
        )
    )),
    extensions(("x-problems" = json!([
        "country_not_open", "premium_not_open", "unknown_range", "concurrent_calls_reached", "calls_per_second_reached",
        "minutes_per_day_reached", "spend_per_day_reached","invalid_number", "not_supported_yet", "unknown_trunk", "invalid_answer", "unknown_prompt", "unknown_flow", "unreadable_prompt", "too_many_prompts", "caller_id_not_owned", "no_trunk_access", "too_many_calls", "invalid_idempotency_key", "idempotency_key_reused", "idempotency_under_way", "too_many_idempotency_keys", "draining", "overloaded", "journal_full", "journal_failing"]))),
)]
pub(super) async fn post(State(app): Api, caller: Caller, request: Request) -> Result<Response, Problem> {
    caller.may(Scope::Calls)?;
    let key = idempotency_key(request.headers())?;
    if key.is_none() && app.draining() {
        return Err(Problem::draining());
    }
    let body = json::object(request).await?;
    let under_way = match key {
        Some(key) => match begin(&app, caller.tenant(), &key, &body).await? {
            First::New(under_way) => Some(under_way),
            First::Again(view) => return Ok(([("idempotency-replayed", "true")], created(&view)).into_response()),
        },
        None => None,
    };
    let asked = Asked::read(body)?;
    asked.check(&app, &caller)?;
    if app.draining() {
        return Err(Problem::draining());
    }
    if app.inner.commander.congested() {
        return Err(Problem::overloaded());
    }
    app.inner.ledger.admits()?;
    app.inner.prompts.ensure(asked.answer.prompts()).await?;
    for name in asked.answer.flows() {
        // Without the database nobody knows: the call is taken, and has the flow where it is held in memory.
        if let Ok(None) = app.stored(app.inner.flows.find(caller.tenant(), name)).await {
            let detail = format!("there is no flow {name:?}; PUT /v1/flows/{name} makes one");
            return Err(Problem::bad("unknown_flow", detail).at("answer"));
        }
    }
    let tenant = caller.tenant().to_owned();
    // In a task of its own: a client that hangs up now must not leave an admitted call that nobody dials.
    let admitted = tokio::spawn(async move { admit(&app, tenant, asked, under_way).await });
    let view = admitted.await.map_err(|_| Problem::overloaded())??;
    tracing::info!(sid = %view.sid, tenant = %view.tenant, "a call is admitted");
    Ok(created(&view))
}

fn created(view: &CallView) -> Response {
    let place = format!("/v1/calls/{}", view.sid);
    (StatusCode::CREATED, [(header::LOCATION, place)], Json(CallResource::from(view))).into_response()
}

/// The request's `Idempotency-Key`.
fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().unwrap_or_default().trim();
    if key.is_empty() || key.len() > MAX_KEY || headers.get_all("idempotency-key").iter().count() > 1 {
        let detail = format!("an Idempotency-Key is one to {MAX_KEY} printable characters, and stands once");
        return Err(Problem::bad("invalid_idempotency_key", detail).at("Idempotency-Key"));
    }
    Ok(Some(key.to_owned()))
}

/// Whether a request with a key is the first.
enum First {
    New(UnderWay),
    /// The call that the first led to, as it was answered.
    Again(Box<CallView>),
}

async fn begin(app: &App, tenant: &str, key: &str, body: &Map<String, Value>) -> Result<First, Problem> {
    let (ledger, digest) = (&app.inner.ledger, Sha256::digest(serde_json::to_vec(body).unwrap_or_default()));
    let body = digest.iter().fold(String::with_capacity(64), |hex, octet| hex + &format!("{octet:02x}"));
    let conflict = |code, detail| Problem::conflict(code, detail).at("Idempotency-Key");
    loop {
        return match ledger.remembered().begin(tenant, key, &body, ledger.wall()) {
            Begun::New(under_way) => Ok(First::New(under_way)),
            Begun::OtherBody => {
                Err(conflict("idempotency_key_reused", "this key came with another body; send another key with it"))
            }
            Begun::UnderWay => {
                let detail = "the first request with this key is being answered; try again shortly";
                Err(conflict("idempotency_under_way", detail).retry_after(1))
            }
            Begun::Unknown => Err(Problem::not_known_yet()),
            Begun::Full => {
                let detail = "too many keys of the last day are remembered; without one a call is still taken";
                Err(Problem::unavailable("too_many_idempotency_keys", detail, 60))
            }
            Begun::Again(sid) => match facts(app, sid, Facts::Events, 0, 1).await?.first() {
                Some(record) if record.seq == 0 => {
                    let view = CallView::admitted(record).ok_or_else(Problem::overloaded)?;
                    Ok(First::Again(Box::new(view)))
                }
                _ => {
                    ledger.remembered().forget(tenant, key, sid);
                    continue;
                }
            },
        };
    }
}

async fn admit(app: &App, tenant: String, asked: Asked, under_way: Option<UnderWay>) -> Result<CallView, Problem> {
    let ledger = &app.inner.ledger;
    let queued_at = ledger.wall();
    let record = asked.admission(app.new_sid(), tenant, queued_at);
    let view = CallView::admitted(&record).ok_or_else(Problem::overloaded)?;
    let room = room(&app.inner.directory.load(), &view.tenant);
    let keyed = under_way.as_ref().map(|under_way| under_way.keyed(view.sid, queued_at));
    ledger.admit_within(record, keyed, room).await?;
    if let Some(under_way) = under_way {
        under_way.done(view.sid, queued_at);
    }
    let originate = asked.originate(&view);
    app.inner.commander.send(Command::Originate(Box::new(originate))).await?;
    Ok(view)
}

fn room(directory: &Directory, tenant: &str) -> Room {
    let limits = directory.tenants.get(tenant).map(|tenant| &tenant.limits);
    let most = |limit: Option<u32>| limit.map(|most| most as usize);
    Room {
        all: directory.limits.concurrent_calls as usize,
        tenant: most(limits.and_then(|limits| limits.concurrent_calls)),
        per_second: most(limits.and_then(|limits| limits.calls_per_second)),
    }
}

/// Milliseconds of a day: what a tenant may use in one counts from midnight UTC.
const DAY_MS: u64 = 86_400_000;

/// A call that was asked for, read and bounded.
struct Asked {
    from: Number,
    to: Number,
    answer: Answer,
    trunk: Option<String>,
    timeout: Duration,
    max_duration: Duration,
    metadata: Value,
    status_callback: Option<Box<StatusCallback>>,
    wishes: Wishes,
}

impl Asked {
    fn read(body: Map<String, Value>) -> Result<Self, Problem> {
        let mut fields = Fields::of(body, &KNOWN, &[])?;
        let answer = answer(&fields.required("answer")?)?;
        let form = if wishes::speaks_twiml(&answer) { CallbackForm::Twilio } else { CallbackForm::Standard };
        let status_callback = callback::read(&mut fields, form)?.map(Box::new);
        Ok(Self {
            wishes: wishes::read(&mut fields)?,
            from: number("from", &fields.text("from")?)?,
            to: number("to", &fields.text("to")?)?,
            answer,
            trunk: fields.optional_text("trunk")?,
            timeout: Duration::from_secs(fields.whole("timeout_s", 1..=MAX_TIMEOUT_S, DEFAULT_TIMEOUT_S)?),
            max_duration: Duration::from_secs(fields.whole(
                "max_duration_s",
                1..=MAX_DURATION_S,
                DEFAULT_MAX_DURATION_S,
            )?),
            metadata: metadata(fields.take("metadata"))?,
            status_callback,
        })
    }

    /// What depends on who asks and on what there is. The switch judges again, with what phones and programs do.
    fn check(&self, app: &App, caller: &Caller) -> Result<(), Problem> {
        let (directory, tenant) = (app.inner.directory.load(), caller.tenant());
        let refused = refusals(app, tenant, &directory, Some(&self.from), &self.to, self.trunk.as_deref());
        refused.into_iter().next().map_or(Ok(()), Err)
    }

    fn admission(&self, sid: switch::CallSid, tenant: String, at: u64) -> Record {
        let admission = Admission {
            tenant,
            parent: None,
            direction: Direction::OutboundApi,
            from: self.from.as_str().to_owned(),
            to: self.to.as_str().to_owned(),
            trunk: self.trunk.clone(),
            answer: Arc::new(serde_json::to_value(&self.answer).unwrap_or_default()),
            metadata: self.metadata.clone(),
            status_callback: self.status_callback.clone(),
            sip_call_id: None,
            leaves: false,
        };
        Record { sid, seq: 0, at, fact: Fact::Admitted(Box::new(admission)) }
    }

    fn originate(self, view: &CallView) -> Originate {
        Originate {
            sid: view.sid,
            tenant: view.tenant.clone(),
            from: self.from,
            to: self.to,
            answer: self.answer,
            trunk: self.trunk,
            timeout: self.timeout,
            max_duration: self.max_duration,
            metadata: self.metadata,
            queued_at: view.at.queued,
            wishes: self.wishes,
        }
    }
}

/// All that is against a call of a tenant, but for its calls a second: each limit refuses by its own name.
pub(super) fn refusals(
    app: &App,
    tenant: &str,
    directory: &Directory,
    from: Option<&Number>,
    to: &Number,
    trunk: Option<&str>,
) -> Vec<Problem> {
    let mut refused = Vec::new();
    if let Some(from) = from.filter(|from| !directory.owns(tenant, from.as_str())) {
        let detail = format!("{from} is not a number of this tenant; name it in a [[number]]");
        refused.push(app.unless_unknown(Problem::new(StatusCode::FORBIDDEN, "caller_id_not_owned", detail).at("from")));
    }
    if !directory.tenants.get(tenant).is_some_and(|tenant| tenant.trunk_access) {
        let detail = "this tenant's calls may not leave by a trunk (trunk_access)";
        let problem = Problem::new(StatusCode::FORBIDDEN, "no_trunk_access", detail);
        let known = directory.tenants.contains_key(tenant);
        refused.push(if known { problem } else { app.unless_unknown(problem) });
    }
    if let Some(limits) = directory.tenants.get(tenant).map(|tenant| &tenant.limits) {
        refused.extend(over_limits(app, tenant, limits, to));
    }
    if let Some(trunk) = trunk.filter(|trunk| !directory.has_trunk_or_group(trunk)) {
        let shown: String = trunk.chars().take(64).collect();
        let detail =
            format!("there is no trunk and no group of trunks `{shown}`; GET /v1/trunks lists those there are");
        refused.push(app.unless_unknown(Problem::bad("unknown_trunk", detail).at("trunk")));
    }
    refused
}

fn over_limits(app: &App, tenant: &str, limits: &TenantLimits, to: &Number) -> Vec<Problem> {
    let closed =
        |closed: carrier::NotOpen| Problem::new(StatusCode::FORBIDDEN, closed.code(), closed.to_string()).at("to");
    let mut refused: Vec<Problem> = limits.destinations.check(to).map_err(closed).err().into_iter().collect();
    let usage = app.inner.sip.load().usage.get(tenant).copied().unwrap_or_default();
    let midnight = (DAY_MS - app.inner.ledger.wall() % DAY_MS).div_ceil(1_000);
    if limits.a_day_has_limits() && app.inner.sip.load().usage_unknown {
        let detail = "what this tenant has used of its day is not known: the database has been away since the start";
        refused.push(Problem::unavailable("database_unavailable", detail, 1));
    }
    refused.extend(limits.of_the_day(&usage).map_err(|limit| reached(limit, midnight)).err());
    if let Some(most) = limits.concurrent_calls {
        let live = app.inner.ledger.live().collect(|view| view.tenant == tenant && !view.status.is_final(), |_| ());
        if live.len() >= most as usize {
            refused.push(reached("concurrent_calls", 1));
        }
    }
    refused
}

fn reached(limit: &'static str, retry_after_s: u64) -> Problem {
    let detail = format!("limits.{limit} of this tenant is reached");
    let code = match limit {
        "concurrent_calls" => "concurrent_calls_reached",
        "minutes_per_day" => "minutes_per_day_reached",
        _ => "spend_per_day_reached",
    };
    Problem::new(StatusCode::TOO_MANY_REQUESTS, code, detail).retry_after(retry_after_s)
}

pub(super) fn number(field: &'static str, text: &str) -> Result<Number, Problem> {
    text.parse().map_err(|error: carrier::NumberError| Problem::bad("invalid_number", error.to_string()).at(field))
}

/// A program out of a body.
pub(super) fn answer(value: &Value) -> Result<Answer, Problem> {
    Answer::parse(value).map_err(|error| Problem::bad("invalid_answer", error.message).at(error.path))
}

fn metadata(value: Option<Value>) -> Result<Value, Problem> {
    let wrong = |detail: String| Problem::bad("invalid_value", detail).at("metadata");
    match value.unwrap_or_else(|| Value::Object(Map::new())) {
        Value::Object(map) => {
            let value = Value::Object(map);
            if value.to_string().len() > MAX_METADATA {
                return Err(wrong(format!("`metadata` has at most {MAX_METADATA} octets as JSON")));
            }
            Ok(value)
        }
        _ => Err(wrong("`metadata` is an object".to_owned())),
    }
}
