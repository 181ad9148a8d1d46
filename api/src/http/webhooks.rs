//! `GET /v1/webhooks`, `POST /v1/webhooks/{id}/replay`: deliveries to status callbacks, and how they stand.

use super::Api;
use super::auth::Caller;
use super::problem::Problem;
use super::query::Params;
use super::time::rfc3339;
use crate::keys::Scope;
use crate::store::deliveries::DeliveryRow;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// The `limit` of a list that names none.
const DEFAULT_LIMIT: usize = 50;

/// How a delivery may stand.
const STATUSES: [&str; 3] = ["pending", "delivered", "dead"];

/// The longest id that is looked for, in octets.
const MAX_ID: usize = 64;

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
    let items: Vec<Value> = rows.iter().map(resource).collect();
    Ok(Json(json!({ "items": items, "next_cursor": next })).into_response())
}

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

fn resource(row: &DeliveryRow) -> Value {
    json!({
        "id": row.delivery.id,
        "sid": row.sid,
        "type": row.delivery.kind,
        "url": row.delivery.url,
        "status": row.status,
        "attempts": row.attempts,
        "created_at": rfc3339(row.delivery.at),
        "due_at": (row.status == "pending").then(|| rfc3339(row.due_at)),
        "outcome": (!row.outcome.is_empty()).then_some(&row.outcome),
    })
}
