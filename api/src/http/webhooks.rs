//! `GET /v1/webhooks`, `POST /v1/webhooks/{id}/replay`: deliveries to status callbacks, and how they stand.

use super::Api;
use super::auth::Caller;
use super::doc::values;
use super::problem::Problem;
use super::query::Params;
use super::resource::List;
use super::time::rfc3339;
use crate::keys::Scope;
use crate::store::Page;
use crate::store::deliveries::DeliveryRow;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

/// The `limit` of a list that names none.
const DEFAULT_LIMIT: usize = 50;

/// How a delivery may stand.
pub(super) const STATUSES: [&str; 3] = ["pending", "delivered", "dead"];

/// The longest id that is looked for, in octets.
const MAX_ID: usize = 64;

/// Deliveries to status callbacks, the newest first.
#[utoipa::path(
    get,
    path = "/webhooks",
    operation_id = "list_deliveries",
    tag = "webhooks",
    params(("status" = Option<String>, Query, description = "`pending`, `delivered` or `dead`.", pattern = "^(pending|delivered|dead)$"), Page),
    responses((status = 200, description = "A page of deliveries.", body = List<DeliveryResource<'_>>)),
    extensions(("x-problems" = json!(["invalid_cursor"]))),
)]
pub(super) async fn list(State(app): Api, caller: Caller, params: Params) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    let mut params = params.only(&["limit", "cursor", "status"])?;
    let limit = params.limit()?.unwrap_or(DEFAULT_LIMIT);
    let status = match params.take("status") {
        None => "",
        Some(text) => STATUSES.into_iter().find(|status| *status == text).ok_or_else(|| {
            Problem::bad("invalid_parameter", format!("status is one of {}", STATUSES.join(", "))).at("status")
        })?,
    };
    let bad = || Problem::bad("invalid_cursor", "a cursor is what next_cursor of the page before said").at("cursor");
    let after = params.take("cursor").map(|text| read_cursor(&text).ok_or_else(bad)).transpose()?;
    app.up_to_date().await;
    let store = app.inner.ledger.store();
    let mut rows = app.stored(store.deliveries(caller.tenant(), status, after, limit + 1)).await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| format!("{:x}-{}", row.delivery.at, row.delivery.id));
    let items: Vec<_> = rows.iter().map(resource).collect();
    Ok(Json(List { items, next_cursor: next }).into_response())
}

/// Delivers once more, from the first try on.
#[utoipa::path(
    post,
    path = "/webhooks/{id}/replay",
    operation_id = "replay_delivery",
    tag = "webhooks",
    params(("id" = String, Path, description = "The delivery, as webhook-id names it.", pattern = "^[A-Za-z0-9_]+$", max_length = 64)),
    responses((status = 202, description = "It will be tried.", body = DeliveryResource<'_>)),
    extensions(("x-problems" = json!(["delivery_not_found"]))),
)]
pub(super) async fn replay(
    State(app): Api,
    caller: Caller,
    Path(id): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    caller.may(Scope::Calls)?;
    params.only(&[])?;
    let unknown = || Problem::new(StatusCode::NOT_FOUND, "delivery_not_found", "there is no delivery with this id");
    if !is_id(&id) {
        return Err(unknown());
    }
    let (store, now) = (app.inner.ledger.store(), app.inner.ledger.wall());
    let row = app.stored(store.replay_delivery(caller.tenant(), &id, now)).await?.ok_or_else(unknown)?;
    Ok((StatusCode::ACCEPTED, Json(resource(&row))).into_response())
}

fn is_id(text: &str) -> bool {
    text.len() <= MAX_ID && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

fn read_cursor(text: &str) -> Option<(u64, String)> {
    let (at, id) = text.split_once('-')?;
    Some((u64::from_str_radix(at, 16).ok()?, Some(id).filter(|id| is_id(id))?.to_owned()))
}

/// A delivery to a status callback.
#[derive(Serialize, ToSchema)]
#[schema(as = Delivery)]
struct DeliveryResource<'a> {
    /// The `webhook-id`.
    id: &'a str,
    #[schema(schema_with = values::call_sid)]
    sid: &'a str,
    /// `call.ended`.
    #[serde(rename = "type")]
    kind: &'a str,
    url: &'a str,
    #[schema(schema_with = values::delivery_status)]
    status: &'a str,
    /// How often it was tried.
    attempts: u32,
    #[schema(format = DateTime)]
    created_at: String,
    /// When it is tried next.
    #[schema(format = DateTime)]
    due_at: Option<String>,
    /// What the last try came to.
    outcome: Option<&'a str>,
}

fn resource(row: &DeliveryRow) -> DeliveryResource<'_> {
    DeliveryResource {
        id: &row.delivery.id,
        sid: &row.sid,
        kind: &row.delivery.kind,
        url: &row.delivery.url,
        status: &row.status,
        attempts: row.attempts,
        created_at: rfc3339(row.delivery.at),
        due_at: (row.status == "pending").then(|| rfc3339(row.due_at)),
        outcome: Some(row.outcome.as_str()).filter(|outcome| !outcome.is_empty()),
    }
}
