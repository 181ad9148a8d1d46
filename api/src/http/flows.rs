//! `/v1/flows`: flows of the caller's tenant, validated when they are stored, tried before they are called.

use super::auth::Caller;
use super::fields::Fields;
use super::path::Named;
use super::problem::Problem;
use super::query::Params;
use super::resource::List;
use super::time::rfc3339;
use super::{Api, App, json};
use crate::flows::{PutError, Stored};
use crate::keys::Scope;
use crate::store::flows::FlowRow;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use base::Now;
use ivr::CallContext;
use ivr::limits::MAX_WORD;
use ivr::simulate::{MAX_SCRIPT, Step};
use serde::Serialize;
use serde_json::{Value, json};
use switch::CallSid;
use utoipa::ToSchema;
use utoipa::openapi::Ref;

/// What a simulated caller is called where the request does not say.
const FROM: &str = "+15005550006";

/// What he has called.
const TO: &str = "+15005550001";

/// The name in a path, as `flow` in an answer may name it.
fn name(text: String) -> Result<String, Problem> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if (1..=MAX_WORD).contains(&text.len()) && text.chars().all(fits) {
        return Ok(text);
    }
    let detail = format!("a flow's name is made of 1 to {MAX_WORD} of A-Z a-z 0-9 _ - and dots");
    Err(Problem::bad("invalid_name", detail).at("name"))
}

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "flow_not_found", "there is no flow of this name")
}

async fn find(app: &App, caller: &Caller, name: &str) -> Result<Stored, Problem> {
    app.stored(app.inner.flows.find(caller.tenant(), name)).await?.ok_or_else(unknown)
}

/// What a flow is called, and which one it is.
#[derive(Serialize, ToSchema)]
struct FlowHead {
    name: String,
    /// One more for each document that said something else; 0: it comes with the product.
    version: u64,
    /// The digest of its content.
    digest: String,
    #[schema(format = DateTime)]
    updated_at: Option<String>,
    /// It comes with the product.
    built_in: bool,
}

/// A flow.
#[derive(Serialize, ToSchema)]
#[schema(as = Flow)]
struct FlowResource {
    #[serde(flatten)]
    head: FlowHead,
    /// Its document, as it was stored.
    #[schema(schema_with = document)]
    flow: Value,
    /// What in it will end a call, though it is allowed.
    warnings: Vec<FlowWarning>,
}

fn document() -> Ref {
    Ref::from_schema_name("FlowDocument")
}

/// A place in a flow that will end a call.
#[derive(Serialize, ToSchema)]
struct FlowWarning {
    /// The place: `flow.states.menu`.
    path: String,
    /// What is wrong with it and what would be right.
    message: String,
}

/// What a simulation came to.
#[derive(Serialize, ToSchema)]
struct Transcript {
    transcript: Vec<TranscriptLine>,
}

/// One line of it.
#[derive(Serialize, ToSchema)]
struct TranscriptLine {
    /// Milliseconds since the beginning of the call.
    at_ms: u64,
    /// What the flow does; or, after `> `, the caller.
    text: String,
}

fn head(name: &str, digest: &str, row: Option<&FlowRow>) -> FlowHead {
    FlowHead {
        name: name.to_owned(),
        version: row.map_or(0, |row| row.version),
        digest: digest.to_owned(),
        updated_at: row.map(|row| rfc3339(row.updated_at)),
        built_in: row.is_none(),
    }
}

fn resource(name: &str, stored: &Stored) -> FlowResource {
    let head = head(name, stored.flow.version(), stored.row.as_ref());
    let warnings = stored.flow.warnings().iter();
    let warnings = warnings.map(|w| FlowWarning { path: w.path.clone(), message: w.message.clone() }).collect();
    FlowResource { head, flow: stored.flow.source().clone(), warnings }
}

/// The tenant's flows, and those that come with the product.
#[utoipa::path(
    get,
    path = "/flows",
    operation_id = "list_flows",
    tag = "flows",
    responses((status = 200, description = "All flows.", body = List<FlowHead>)),
)]
pub(super) async fn list(State(app): Api, caller: Caller, params: Params) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    params.only(&[])?;
    let rows = app.stored(app.inner.flows.list(caller.tenant())).await?;
    let mut items: Vec<FlowHead> = rows.iter().map(|row| head(&row.name, &row.digest, Some(row))).collect();
    let own = |name: &str| rows.iter().any(|row| row.name == name);
    let shipped = app.inner.flows.shipped().filter(|(name, _)| !own(name));
    items.extend(shipped.map(|(name, flow)| head(name, flow.version(), None)));
    Ok(Json(List { items, next_cursor: None }).into_response())
}

/// A flow with its document.
#[utoipa::path(
    get,
    path = "/flows/{name}",
    operation_id = "get_flow",
    tag = "flows",
    params(("name" = String, Path, description = "The flow.", pattern = "^[A-Za-z0-9_.-]+$", max_length = 256)),
    responses((status = 200, description = "The flow.", body = FlowResource)),
    extensions(("x-problems" = json!(["invalid_name", "flow_not_found"]))),
)]
pub(super) async fn get(
    State(app): Api,
    caller: Caller,
    Named(path): Named,
    params: Params,
) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    params.only(&[])?;
    let name = name(path)?;
    let stored = find(&app, &caller, &name).await?;
    Ok(Json(resource(&name, &stored)).into_response())
}

/// Stores a flow. Calls that are in it go on with the version that they began.
#[utoipa::path(
    put,
    path = "/flows/{name}",
    operation_id = "put_flow",
    tag = "flows",
    params(("name" = String, Path, description = "The flow.", pattern = "^[A-Za-z0-9_.-]+$", max_length = 256)),
    request_body(content = ref("#/components/schemas/FlowDocument")),
    responses((status = 200, description = "It is stored.", body = FlowResource),
        (status = 201, description = "It is stored, and new.", body = FlowResource)),
    extensions(("x-problems" = json!(["invalid_name", "invalid_flow", "unknown_prompt", "unreadable_prompt", "too_many_prompts", "too_many_flows", "draining"]))),
)]
pub(super) async fn put(
    State(app): Api,
    caller: Caller,
    Named(path): Named,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Scope::Admin)?;
    let name = name(path)?;
    let document = Value::Object(json::object(request).await?);
    let at = app.inner.ledger.wall();
    let putting = app.inner.flows.put(caller.tenant(), &name, &document, at);
    let stored = match tokio::time::timeout(super::REQUEST_TIME, putting).await {
        Ok(put) => put.map_err(problem)?,
        Err(_) => return Err(Problem::database_away()),
    };
    let first = stored.row.as_ref().is_some_and(|row| row.version == 1 && row.updated_at == at);
    let status = if first { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(resource(&name, &stored))).into_response())
}

fn problem(error: PutError) -> Problem {
    let detail = error.to_string();
    match error {
        PutError::Wrong(errors) => {
            let first = errors.first().map_or_else(|| "flow".to_owned(), |error| error.path.clone());
            let errors = errors.iter().map(|error| json!({ "path": error.path, "message": error.message }));
            Problem::bad("invalid_flow", detail).at(first).with_errors(errors.collect())
        }
        PutError::Prompt(error) => Problem::from(error).at("flow"),
        PutError::TooMany => Problem::conflict("too_many_flows", detail),
        PutError::Store(error) => error.into(),
    }
}

/// Deletes a flow of the tenant's own.
#[utoipa::path(
    delete,
    path = "/flows/{name}",
    operation_id = "delete_flow",
    tag = "flows",
    params(("name" = String, Path, description = "The flow.", pattern = "^[A-Za-z0-9_.-]+$", max_length = 256)),
    responses((status = 204, description = "It is deleted.")),
    extensions(("x-problems" = json!(["invalid_name", "flow_not_found", "built_in_flow"]))),
)]
pub(super) async fn delete(
    State(app): Api,
    caller: Caller,
    Named(path): Named,
    params: Params,
) -> Result<Response, Problem> {
    caller.may(Scope::Admin)?;
    params.only(&[])?;
    let name = name(path)?;
    if app.stored(app.inner.flows.delete(caller.tenant(), &name)).await? {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    if app.inner.flows.shipped().any(|(known, _)| known == name) {
        let detail = "this flow comes with the product and cannot be deleted; PUT one of this name in its place";
        return Err(Problem::conflict("built_in_flow", detail));
    }
    Err(unknown())
}

/// Runs a flow before a caller who does what the script says.
#[utoipa::path(
    post,
    path = "/flows/{name}/simulate",
    operation_id = "simulate_flow",
    tag = "flows",
    params(("name" = String, Path, description = "The flow.", pattern = "^[A-Za-z0-9_.-]+$", max_length = 256)),
    request_body(content = ref("#/components/schemas/SimulateRequest")),
    responses((status = 200, description = "What was heard and done.", body = Transcript)),
    extensions(("x-problems" = json!(["invalid_name", "flow_not_found"]))),
)]
pub(super) async fn simulate(
    State(app): Api,
    caller: Caller,
    Named(path): Named,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    let name = name(path)?;
    let mut fields = Fields::of(json::object(request).await?, &["script", "from", "to"], &[])?;
    let script = script(fields.take("script"))?;
    let from = fields.optional_text("from")?.unwrap_or_else(|| FROM.to_owned());
    let to = fields.optional_text("to")?.unwrap_or_else(|| TO.to_owned());
    let stored = find(&app, &caller, &name).await?;
    let reached = app.stored(app.inner.flows.reached(caller.tenant(), &stored.flow)).await?;
    let call_sid = app.new_sid();
    let now = Now { mono: 0, wall: app.inner.ledger.wall() };
    let simulating = tokio::task::spawn_blocking(move || {
        ivr::simulate(&stored.flow, &script, context(call_sid, from, to), &|name| reached.get(name).cloned(), now)
    });
    let lines = simulating.await.map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "a fault of ours; it is in the log")
    })?;
    let line = |line: ivr::simulate::Line| TranscriptLine { at_ms: line.at_ms, text: line.text };
    Ok(Json(Transcript { transcript: lines.into_iter().map(line).collect() }).into_response())
}

fn script(value: Option<Value>) -> Result<Vec<Step>, Problem> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let wrong = |detail: String| Problem::bad("invalid_value", detail).at("script");
    let Value::Array(steps) = value else {
        return Err(wrong(
            "`script` is a list of what the caller does: [{\"press\": \"1\"}, {\"hangup\": true}]".into(),
        ));
    };
    if steps.len() > MAX_SCRIPT {
        return Err(wrong(format!("`script` has at most {MAX_SCRIPT} steps")));
    }
    let step = |(index, step)| Step::parse(step).map_err(|why| wrong(why).at(format!("script.{index}")));
    steps.iter().enumerate().map(step).collect()
}

fn context(sid: CallSid, from: String, to: String) -> CallContext {
    CallContext { call_sid: sid.to_string(), from, to, ..CallContext::default() }
}
