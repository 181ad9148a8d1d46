//! `GET /v1/calls`, `GET /v1/calls/{sid}`, `POST /v1/calls/{sid}`.

use super::auth::Caller;
use super::fields::Fields;
use super::originate::answer;
use super::path::{Named, OfCall};
use super::problem::Problem;
use super::query::{LIST, Params, write_cursor};
use super::resource::{CallResource, List};
use super::{Api, App, json};
use crate::keys::Scope;
use crate::store::{Filter, Key, Page};
use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use std::cmp::Reverse;
use std::collections::BTreeMap;
use switch::{CallSid, CallView, Command, EndAs, Status};

/// A call of the caller's tenant, live or ended. Another's is not there.
pub(super) async fn find(app: &App, caller: &Caller, sid: &str) -> Result<CallView, Problem> {
    let sid: CallSid = sid.parse().map_err(|_| Problem::no_such_call())?;
    let view = match app.inner.ledger.live().get(sid) {
        Some(view) => Some(view),
        None => app.stored(app.inner.ledger.store().call(sid)).await?,
    };
    view.filter(|view| view.tenant == caller.tenant()).ok_or_else(Problem::no_such_call)
}

/// A call, live or ended.
#[utoipa::path(
    get,
    path = "/calls/{sid}",
    operation_id = "get_call",
    tag = "calls",
    params(OfCall),
    responses((status = 200, description = "The call.", body = CallResource<'_>)),
    extensions(("x-problems" = json!(["call_not_found"]))),
)]
pub(super) async fn get(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    params: Params,
) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    params.only(&[])?;
    let view = find(&app, &caller, &sid).await?;
    Ok(Json(CallResource::from(&view)).into_response())
}

/// Calls, live and ended, the newest first.
#[utoipa::path(
    get,
    path = "/calls",
    operation_id = "list_calls",
    tag = "calls",
    params(Page, Filter),
    responses((status = 200, description = "A page of calls.", body = List<CallResource<'_>>)),
    extensions(("x-problems" = json!(["invalid_cursor"]))),
)]
pub(super) async fn list(State(app): Api, caller: Caller, params: Params) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    let mut params = params.only(&LIST)?;
    let (filter, page) = (params.filter(caller.tenant())?, params.page()?);
    let (views, next) = merged(&app, &filter, page).await?;
    let items: Vec<_> = views.iter().map(CallResource::from).collect();
    Ok(Json(List { items, next_cursor: next }).into_response())
}

fn key(view: &CallView) -> Key {
    Key { queued_at: view.at.queued, sid: view.sid }
}

/// A page of calls: the live view over the database, each call once.
///
/// The live view is read first: a call that is projected as ended in between is in both, never in neither. Where the
/// database has more than a page, nothing beyond its last row is given out, so that the next page misses nothing.
async fn merged(app: &App, filter: &Filter, page: Page) -> Result<(Vec<CallView>, Option<String>), Problem> {
    let live = app.inner.ledger.live();
    let behind = |view: &CallView| page.after.is_none_or(|after| key(view) < after);
    let mut keys = live.collect(|view| behind(view) && filter.takes(view), key);
    keys.sort_unstable_by_key(|key| Reverse(*key));
    keys.truncate(page.limit + 1);
    let mut views: BTreeMap<Reverse<Key>, CallView> =
        keys.into_iter().filter_map(|key| live.get(key.sid).map(|view| (Reverse(key), view))).collect();
    let rows = app.stored(app.inner.ledger.store().calls(filter, Page { limit: page.limit + 1, ..page })).await?;
    let horizon = (rows.len() > page.limit).then(|| rows.last().map(key)).flatten();
    for row in rows {
        // What is live is as the live view has it, also where that no longer passes the filter.
        if !live.contains(row.sid) {
            views.entry(Reverse(key(&row))).or_insert(row);
        }
    }
    let more = views.len() > page.limit || horizon.is_some();
    let mut views: Vec<CallView> = views.into_values().take(page.limit).collect();
    views.retain(|view| horizon.is_none_or(|horizon| key(view) >= horizon));
    let last = views.last().map(key).or(horizon);
    Ok((views, last.filter(|_| more).map(write_cursor)))
}

/// Ends a call, or gives it another program.
#[utoipa::path(
    post,
    path = "/calls/{sid}",
    operation_id = "change_call",
    tag = "calls",
    params(OfCall),
    request_body(content = ref("#/components/schemas/CallChange")),
    responses((status = 200, description = "The call as it was when signalling was told.", body = CallResource<'_>)),
    extensions(("x-problems" = json!(["call_not_found", "call_ended", "call_answered", "call_not_answered", "invalid_answer", "unknown_prompt", "unreadable_prompt", "too_many_prompts", "draining", "overloaded"]))),
)]
pub(super) async fn post(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    request: Request,
) -> Result<Response, Problem> {
    caller.may(Scope::Calls)?;
    let asked = Change::read(json::object(request).await?)?;
    let view = find(&app, &caller, &sid).await?;
    if view.status.is_final() {
        return Err(Problem::conflict("call_ended", format!("the call has ended: {}", view.status.as_str())));
    }
    let command = asked.command(&app, &view).await?;
    app.inner.commander.send(command).await?;
    let view = app.inner.ledger.live().get(view.sid).unwrap_or(view);
    Ok(Json(CallResource::from(&view)).into_response())
}

/// What is to become of a call.
enum Change {
    End(EndAs),
    Answer(ivr::Answer),
}

impl Change {
    fn read(body: serde_json::Map<String, Value>) -> Result<Self, Problem> {
        let mut fields = Fields::of(body, &["status", "answer"], &[])?;
        match (fields.optional_text("status")?, fields.take("answer")) {
            (Some(status), None) => match status.as_str() {
                "completed" => Ok(Self::End(EndAs::Completed)),
                "canceled" => Ok(Self::End(EndAs::Canceled)),
                _ => Err(Problem::bad("invalid_value", "`status` is \"completed\" or \"canceled\"").at("status")),
            },
            (None, Some(value)) => answer(&value).map(Self::Answer),
            (None, None) => {
                let detail = "say what is to become of the call: {\"status\": \"completed\"} or {\"answer\": …}";
                Err(Problem::bad("missing_field", detail).at("status"))
            }
            (Some(_), Some(_)) => {
                Err(Problem::bad("invalid_value", "a call is ended or given another program, not both").at("answer"))
            }
        }
    }

    async fn command(self, app: &App, view: &CallView) -> Result<Command, Problem> {
        let (sid, answered) = (view.sid, view.status == Status::InProgress);
        match self {
            Self::End(EndAs::Canceled) if answered => {
                Err(Problem::conflict("call_answered", "the call is answered: end it with {\"status\": \"completed\"}"))
            }
            Self::End(how) => Ok(Command::End { sid, how }),
            Self::Answer(_) if !answered => {
                Err(Problem::conflict("call_not_answered", "only an answered call's program can be replaced"))
            }
            Self::Answer(answer) => {
                app.inner.prompts.ensure(answer.prompts()).await?;
                Ok(Command::Replace { sid, answer })
            }
        }
    }
}
