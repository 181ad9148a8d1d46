//! `/v1/recordings`: recordings of the caller's tenant, as JSON and as sound.

use super::auth::Caller;
use super::doc::values;
use super::path::Named;
use super::problem::Problem;
use super::query::Params;
use super::resource::List;
use super::time::rfc3339;
use super::{Api, App};
use crate::keys::Scope;
use crate::mp3::Mp3Error;
use crate::recordings::is_sid;
use crate::store::Page;
use crate::store::recordings::{RecordingKey, RecordingRow};
use axum::Json;
use axum::body::Body;
use axum::extract::{Request, State};
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

/// What is known of a recording; `.wav` behind its sid: its sound, by ranges where they are asked for; `.mp3`: its sound, whole.
#[utoipa::path(
    get,
    path = "/recordings/{sid}",
    operation_id = "get_recording",
    tag = "recordings",
    params(("sid" = String, Path, description = "The recording: RE and 32 hexadecimal digits; with .wav or .mp3 behind, its sound.", pattern = r"^RE[0-9a-f]{32}(\.(wav|mp3))?$")),
    responses((
            status = 200,
            description = "The recording, or its sound.",
            content((RecordingResource = "application/json"), (Vec<u8> = "audio/wav"), (Vec<u8> = "audio/mpeg"))
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
    Named(path): Named,
    params: Params,
    mut request: Request,
) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    params.only(&[])?;
    let Some((sid, ending)) = path.split_once('.') else {
        return Ok(Json(RecordingResource::from(&find(&app, &caller, &path).await?)).into_response());
    };
    if !is_sid(sid) {
        return Err(unknown());
    }
    if !["wav", "mp3"].contains(&ending) {
        return Err(no_such_format("a recording is had as WAV or MP3: write .wav or .mp3 behind its sid"));
    }
    let row = find(&app, &caller, sid).await?;
    let octets = match row.octets {
        None => return Err(Problem::conflict("recording_in_progress", "the recording is still being made")),
        Some(0) => return Err(absent()),
        Some(octets) => octets,
    };
    let file = app.inner.recordings.file(sid).ok_or_else(unknown)?;
    if ending == "mp3" {
        return as_mp3(&app, &file).await;
    }
    super::range::settle(request.headers_mut(), octets);
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

fn no_such_format(detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no_such_format", detail)
}

/// Made while it is sent: there is no length to say before, and there are no ranges.
async fn as_mp3(app: &App, file: &std::path::Path) -> Result<Response, Problem> {
    if !tokio::fs::try_exists(file).await.unwrap_or(false) {
        return Err(absent());
    }
    match app.inner.recordings.encoders.encode(file).await {
        Ok(mp3) => Ok(([(header::CONTENT_TYPE, "audio/mpeg")], Body::from_stream(mp3)).into_response()),
        Err(error @ Mp3Error::NoEncoder) => Err(no_such_format(error.to_string())),
        Err(error) => {
            tracing::error!(%error, "a recording cannot be encoded");
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "a fault of ours; it is in the log"))
        }
    }
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
    Named(sid): Named,
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
