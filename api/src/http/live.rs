//! `POST /v1/calls/{sid}/{play,say,stop,gather,digits,hold,mute,record,transfer,bridge}`: what is done to a live call.
//!
//! Each is answered 202 with the call once the switch has been told; what comes of it are events. What the call's state
//! forbids is a 409 that names the state, as far as its records tell it; where the state changes on the way, the call
//! gets a `warning` event instead.
//!
//! `play`, `say` and `gather` take the verb of that name as `answer` has it. They are heard at once: the verb of the
//! program that sounds is over, a gather that runs is asked again afterwards, and then the program goes on. Over a bridge,
//! a conference or a recording of the program only `play` and `say` are heard, and that goes on.

use super::auth::Caller;
use super::calls::find;
use super::fields::Fields;
use super::path::{Named, OfCall};
use super::problem::Problem;
use super::resource::CallResource;
use super::steering::{Asked, Body, asks, bridges, heard, holds, keys, mutes, records, transfers};
use super::{Api, App, json};
use crate::keys::Scope;
use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use ivr::Answer;
use switch::{CallSid, CallView, Command, Status, Steer};

/// Plays a prompt over what is heard.
#[utoipa::path(
    post,
    path = "/calls/{sid}/play",
    operation_id = "play_in_call",
    tag = "calls",
    params(OfCall),
    request_body(content = ref("#/components/schemas/PlayRequest")),
    responses((status = 202, description = "Signalling has been told; what comes of it are events.", body = CallResource<'_>)),
    extensions(("x-problems" = json!(["call_not_found", "call_ended", "call_not_answered", "draining", "overloaded", "unknown_prompt", "unreadable_prompt", "too_many_prompts"]))),
)]
pub(super) async fn play(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    request: Request,
) -> Result<Response, Problem> {
    steer(app, caller, sid, request, |body, _| heard("play", body)).await
}

/// Speaks over what is heard.
#[utoipa::path(
    post,
    path = "/calls/{sid}/say",
    operation_id = "say_in_call",
    tag = "calls",
    params(OfCall),
    request_body(content = ref("#/components/schemas/SayRequest")),
    responses((status = 202, description = "Signalling has been told; what comes of it are events.", body = CallResource<'_>)),
    extensions(("x-problems" = json!(["call_not_found", "call_ended", "call_not_answered", "draining", "overloaded"]))),
)]
pub(super) async fn say(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    request: Request,
) -> Result<Response, Problem> {
    steer(app, caller, sid, request, |body, _| heard("say", body)).await
}

/// Stops what is heard; the program goes on with its next verb.
#[utoipa::path(
    post,
    path = "/calls/{sid}/stop",
    operation_id = "stop_in_call",
    tag = "calls",
    params(OfCall),
    request_body(content = ref("#/components/schemas/StopRequest")),
    responses((status = 202, description = "Signalling has been told; what comes of it are events.", body = CallResource<'_>)),
    extensions(("x-problems" = json!(["call_not_found", "call_ended", "call_not_answered", "draining", "overloaded"]))),
)]
pub(super) async fn stop(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    request: Request,
) -> Result<Response, Problem> {
    steer(app, caller, sid, request, |body, _| Fields::of(body, &[], &[]).map(|_| Asked::Steer(Steer::Stop))).await
}

/// Asks for keys, with a prompt.
#[utoipa::path(
    post,
    path = "/calls/{sid}/gather",
    operation_id = "gather_in_call",
    tag = "calls",
    params(OfCall),
    request_body(content = ref("#/components/schemas/GatherRequest")),
    responses((status = 202, description = "Signalling has been told; what comes of it are events.", body = CallResource<'_>)),
    extensions(("x-problems" = json!(["call_not_found", "call_ended", "call_not_answered", "draining", "overloaded", "call_joined", "unknown_prompt", "unreadable_prompt", "too_many_prompts"]))),
)]
pub(super) async fn gather(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    request: Request,
) -> Result<Response, Problem> {
    steer(app, caller, sid, request, asks).await
}

/// Presses keys for the far end.
#[utoipa::path(
    post,
    path = "/calls/{sid}/digits",
    operation_id = "press_digits",
    tag = "calls",
    params(OfCall),
    request_body(content = ref("#/components/schemas/DigitsRequest")),
    responses((status = 202, description = "Signalling has been told; what comes of it are events.", body = CallResource<'_>)),
    extensions(("x-problems" = json!(["call_not_found", "call_ended", "call_not_answered", "draining", "overloaded"]))),
)]
pub(super) async fn digits(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    request: Request,
) -> Result<Response, Problem> {
    steer(app, caller, sid, request, |body, _| keys(body)).await
}

/// Holds the far end by a re-INVITE, or takes it back.
#[utoipa::path(
    post,
    path = "/calls/{sid}/hold",
    operation_id = "hold_call",
    tag = "calls",
    params(OfCall),
    request_body(content = ref("#/components/schemas/HoldRequest")),
    responses((status = 202, description = "Signalling has been told; what comes of it are events.", body = CallResource<'_>)),
    extensions(("x-problems" = json!(["call_not_found", "call_ended", "call_not_answered", "draining", "overloaded"]))),
)]
pub(super) async fn hold(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    request: Request,
) -> Result<Response, Problem> {
    steer(app, caller, sid, request, |body, _| holds(body)).await
}

/// Silences a direction, both or none.
#[utoipa::path(
    post,
    path = "/calls/{sid}/mute",
    operation_id = "mute_call",
    tag = "calls",
    params(OfCall),
    request_body(content = ref("#/components/schemas/MuteRequest")),
    responses((status = 202, description = "Signalling has been told; what comes of it are events.", body = CallResource<'_>)),
    extensions(("x-problems" = json!(["call_not_found", "call_ended", "call_not_answered", "draining", "overloaded"]))),
)]
pub(super) async fn mute(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    request: Request,
) -> Result<Response, Problem> {
    steer(app, caller, sid, request, |body, _| mutes(body)).await
}

/// Begins, pauses, resumes or ends a recording.
#[utoipa::path(
    post,
    path = "/calls/{sid}/record",
    operation_id = "record_call",
    tag = "calls",
    params(OfCall),
    request_body(content = ref("#/components/schemas/RecordRequest")),
    responses((status = 202, description = "Signalling has been told; what comes of it are events.", body = CallResource<'_>)),
    extensions(("x-problems" = json!(["call_not_found", "call_ended", "call_not_answered", "draining", "overloaded", "not_recording"]))),
)]
pub(super) async fn record(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    request: Request,
) -> Result<Response, Problem> {
    steer(app, caller, sid, request, records).await
}

/// Transfers the far end: to somebody who is called, by REFER, or to another live call.
#[utoipa::path(
    post,
    path = "/calls/{sid}/transfer",
    operation_id = "transfer_call",
    tag = "calls",
    params(OfCall),
    request_body(content = ref("#/components/schemas/TransferRequest")),
    responses((status = 202, description = "Signalling has been told; what comes of it are events.", body = CallResource<'_>)),
    extensions(("x-problems" = json!(["call_not_found", "call_ended", "call_not_answered", "draining", "overloaded", "call_not_joined", "calls_joined", "unknown_prompt", "unreadable_prompt", "too_many_prompts", "other_call_not_answered"]))),
)]
pub(super) async fn transfer(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    request: Request,
) -> Result<Response, Problem> {
    steer(app, caller, sid, request, transfers).await
}

/// Joins the call with another live call, or with whom it calls.
#[utoipa::path(
    post,
    path = "/calls/{sid}/bridge",
    operation_id = "bridge_call",
    tag = "calls",
    params(OfCall),
    request_body(content = ref("#/components/schemas/BridgeRequest")),
    responses((status = 202, description = "Signalling has been told; what comes of it are events.", body = CallResource<'_>)),
    extensions(("x-problems" = json!(["call_not_found", "call_ended", "call_not_answered", "draining", "overloaded", "calls_joined", "other_call_not_answered", "unknown_prompt", "unreadable_prompt", "too_many_prompts"]))),
)]
pub(super) async fn bridge(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    request: Request,
) -> Result<Response, Problem> {
    steer(app, caller, sid, request, |body, _| bridges(body)).await
}

async fn steer(
    app: App,
    caller: Caller,
    sid: String,
    request: Request,
    read: impl FnOnce(Body, &CallView) -> Result<Asked, Problem>,
) -> Result<Response, Problem> {
    caller.may(Scope::Calls)?;
    let body = json::object(request).await?;
    let view = find(&app, &caller, &sid).await?;
    is_answered(&view)?;
    let command = match read(body, &view)? {
        Asked::Steer(Steer::Attend { with }) => {
            other(&app, &caller, &view, with, "transfer").await?;
            Command::Steer { sid: view.sid, steer: Box::new(Steer::Attend { with }) }
        }
        Asked::Steer(steer) => {
            if let Steer::Interject(answer) = &steer {
                app.inner.prompts.ensure(answer.prompts()).await?;
            }
            Command::Steer { sid: view.sid, steer: Box::new(steer) }
        }
        Asked::Program(answer) => {
            for with in named_calls(&answer) {
                other(&app, &caller, &view, with, "bridge").await?;
            }
            app.inner.prompts.ensure(answer.prompts()).await?;
            Command::Replace { sid: view.sid, answer }
        }
    };
    app.inner.commander.send(command).await?;
    let view = app.inner.ledger.live().get(view.sid).unwrap_or(view);
    Ok((StatusCode::ACCEPTED, Json(CallResource::from(&view))).into_response())
}

fn is_answered(view: &CallView) -> Result<(), Problem> {
    match view.status {
        Status::InProgress => Ok(()),
        status if status.is_final() => {
            Err(Problem::conflict("call_ended", format!("the call has ended: {}", status.as_str())))
        }
        status => {
            let detail = format!("the call is {}: this can be done once it is in-progress", status.as_str());
            Err(Problem::conflict("call_not_answered", detail))
        }
    }
}

/// Another live call, which this one can be joined with.
async fn other(app: &App, caller: &Caller, view: &CallView, with: CallSid, field: &'static str) -> Result<(), Problem> {
    let conflict = |code, detail: String| Err(Problem::conflict(code, detail).at(field));
    let other = find(app, caller, &with.to_string()).await.map_err(|problem| problem.at(field))?;
    if with == view.sid {
        return Err(Problem::bad("invalid_value", "a call is not joined with itself: name another one").at(field));
    }
    if view.engaged.with == Some(with) {
        return conflict("calls_joined", "the two calls are joined with each other already".to_owned());
    }
    match other.status {
        Status::InProgress => Ok(()),
        status => conflict("other_call_not_answered", format!("the other call is {}", status.as_str())),
    }
}

/// The live calls that a program's first bridge names.
fn named_calls(answer: &Answer) -> Vec<CallSid> {
    let targets = match answer.verbs() {
        [ivr::Verb::Bridge(bridge), ..] => bridge.targets.as_slice(),
        _ => &[],
    };
    targets.iter().filter_map(|target| target.to.parse().ok()).collect()
}
