//! `/v1/recordings`: recordings of the caller's tenant, as JSON and as sound.

use super::auth::Caller;
use super::doc::values;
use super::problem::Problem;
use super::query::Params;
use super::resource::List;
use super::time::rfc3339;
use super::{Api, App};
use crate::keys::Scope;
use crate::recordings::is_sid;
use crate::store::Page;
use crate::store::recordings::{RecordingKey, RecordingRow};
use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use tower::ServiceExt;
use tower_http::services::ServeFile;
use utoipa::ToSchema;

fn unknown() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "recording_not_found", "there is no recording with this sid")
}

/// A recording.
#[derive(Serialize, ToSchema)]
#[schema(as = Recording)]
struct RecordingResource {
    #[schema(pattern = "^RE[0-9a-f]{32}$")]
    sid: String,
    /// The call that it is of, or that began it.
    #[schema(schema_with = values::call_sid)]
    call_sid: String,
    #[schema(schema_with = values::recording_status)]
    status: &'static str,
    /// 1, or 2 where each side has its own.
    channels: u8,
    #[schema(format = DateTime)]
    started_at: String,
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    duration_ms: Option<u64>,
    octets: Option<u64>,
    /// Why it ended.
    reason: Option<String>,
    /// Where it is heard.
    media: Option<String>,
}

impl From<&RecordingRow> for RecordingResource {
    fn from(row: &RecordingRow) -> Self {
        let status = match row.octets {
            None => "in-progress",
            Some(0) => "absent",
            Some(_) => "completed",
        };
        Self {
            sid: row.sid.clone(),
            call_sid: row.call_sid.clone(),
            status,
            channels: row.channels,
            started_at: rfc3339(row.started_at),
            ended_at: row.ended_at.map(rfc3339),
            duration_ms: row.duration_ms,
            octets: row.octets,
            reason: row.reason.clone(),
            media: (status == "completed").then(|| format!("/v1/recordings/{}.wav", row.sid)),
        }
    }
}

async fn find(app: &App, caller: &Caller, sid: &str) -> Result<RecordingRow, Problem> {
    if !is_sid(sid) {
        return Err(unknown());
    }
    let store = app.inner.ledger.store();
    if let Some(row) = app.stored(store.recording(caller.tenant(), sid)).await?
        && row.ended_at.is_some()
    {
        return Ok(row);
    }
    // What it was told of just now may be on its way.
    app.up_to_date().await;
    app.stored(store.recording(caller.tenant(), sid)).await?.ok_or_else(unknown)
}

/// Recordings, the newest first.
#[utoipa::path(
    get,
    path = "/recordings",
    operation_id = "list_recordings",
    tag = "recordings",
    params(("call" = Option<String>, Query, description = "Those of this call.", pattern = "^CA[0-9a-f]{32}$"), Page),
    responses((status = 200, description = "A page of recordings.", body = List<RecordingResource>)),
    extensions(("x-problems" = json!(["invalid_cursor"]))),
)]
pub(super) async fn list(State(app): Api, caller: Caller, params: Params) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    let mut params = params.only(&["call", "limit", "cursor"])?;
    let call = match params.text("call") {
        Some(sid) => Some(sid.parse().map_err(|_| {
            Problem::bad("invalid_parameter", "call is a call's sid: CA and 32 hexadecimal digits").at("call")
        })?),
        None => None,
    };
    let (limit, after) = params.cut(read_cursor)?;
    app.up_to_date().await;
    let rows = app.inner.ledger.store().recordings(caller.tenant(), call, after.as_ref(), limit + 1);
    let rows = app.stored(rows).await?;
    let next = (rows.len() > limit).then(|| rows.get(limit - 1).map(write_cursor));
    let items: Vec<RecordingResource> = rows.iter().take(limit).map(RecordingResource::from).collect();
    Ok(Json(List { items, next_cursor: next.flatten() }).into_response())
}

fn write_cursor(row: &RecordingRow) -> String {
    format!("{:x}-{}", row.started_at, row.sid)
}

fn read_cursor(text: &str) -> Option<RecordingKey> {
    let (at, sid) = text.split_once('-').filter(|(_, sid)| is_sid(sid))?;
    Some(RecordingKey { started_at: u64::from_str_radix(at, 16).ok()?, sid: sid.to_owned() })
}

/// `RE…` is what is known of it, `RE….wav` what is heard.
/// What is known of a recording; `.wav` behind its sid: its sound, by ranges where they are asked for.
#[utoipa::path(
    get,
    path = "/recordings/{sid}",
    operation_id = "get_recording",
    tag = "recordings",
    params(("sid" = String, Path, description = "The recording: RE and 32 hexadecimal digits; with .wav behind, its sound.", pattern = r"^RE[0-9a-f]{32}(\.wav)?$")),
    responses((
            status = 200,
            description = "The recording, or its sound.",
            content((RecordingResource = "application/json"), (Vec<u8> = "audio/wav"))
        ),
        (status = 206, description = "A part of its sound.", content((Vec<u8> = "audio/wav"))),
        (status = 304, description = "It is as the condition says."),
        (status = 412, description = "It is not as the condition says."),
        (status = 416, description = "It has no such range.")),
    extensions(("x-problems" = json!(["recording_not_found", "no_such_format", "recording_in_progress", "recording_absent"]))),
)]
pub(super) async fn get(
    State(app): Api,
    caller: Caller,
    Path(path): Path<String>,
    params: Params,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    params.only(&[])?;
    let Some((sid, ending)) = path.split_once('.') else {
        return Ok(Json(RecordingResource::from(&find(&app, &caller, &path).await?)).into_response());
    };
    if !is_sid(sid) {
        return Err(unknown());
    }
    if ending != "wav" {
        let detail = "a recording is had as WAV: write .wav behind its sid";
        return Err(Problem::new(StatusCode::NOT_FOUND, "no_such_format", detail));
    }
    let row = find(&app, &caller, sid).await?;
    match row.octets {
        None => return Err(Problem::conflict("recording_in_progress", "the recording is still being made")),
        Some(0) => return Err(absent()),
        Some(_) => {}
    }
    let file = app.inner.recordings.file(sid).ok_or_else(unknown)?;
    let Ok(served) = ServeFile::new(file).oneshot(request).await;
    if served.status() == StatusCode::NOT_FOUND {
        return Err(absent());
    }
    let mut response = served.into_response();
    if response.status().is_success() {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("audio/wav"));
    }
    Ok(response)
}

fn absent() -> Problem {
    Problem::new(StatusCode::GONE, "recording_absent", "there is no sound of this recording (any more)")
}

/// Deletes a recording that is made.
#[utoipa::path(
    delete,
    path = "/recordings/{sid}",
    operation_id = "delete_recording",
    tag = "recordings",
    params(("sid" = String, Path, description = "The recording: RE and 32 hexadecimal digits.", pattern = "^RE[0-9a-f]{32}$")),
    responses((status = 204, description = "It is deleted.")),
    extensions(("x-problems" = json!(["recording_not_found", "recording_in_progress"]))),
)]
pub(super) async fn delete(
    State(app): Api,
    caller: Caller,
    Path(sid): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    caller.may(Scope::Calls)?;
    params.only(&[])?;
    let row = find(&app, &caller, &sid).await?;
    if row.ended_at.is_none() {
        return Err(Problem::conflict("recording_in_progress", "the recording is still being made"));
    }
    let at = app.inner.ledger.wall();
    if !app.stored(app.inner.ledger.store().delete_recording(caller.tenant(), &sid, at)).await? {
        return Err(unknown());
    }
    if let Err(error) = app.inner.recordings.remove(&sid).await {
        // Nobody finds it any more; the sweep tries again.
        tracing::error!(%error, sid, "a deleted recording's file cannot be removed yet");
    }
    Ok(StatusCode::NO_CONTENT.into_response())
}
