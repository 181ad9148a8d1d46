//! `GET /v1/cdrs`: a page as JSON, or all of it as CSV, by `Accept`.

use super::auth::Caller;
use super::problem::Problem;
use super::query::{LIST, MAX_LIMIT, Params, write_cursor};
use super::resource::{CdrResource, List, Times};
use super::{Api, csv};
use crate::keys::Scope;
use crate::store::{Filter, Key, Page, Store, StoreError};
use crate::words;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use switch::{Cdr, StreamQuality};

/// CDRs, the newest first: a page as JSON, or all as CSV.
#[utoipa::path(
    get,
    path = "/cdrs",
    operation_id = "list_cdrs",
    tag = "cdrs",
    params(Page, Filter),
    responses((
        status = 200,
        description = "A page of CDRs; by `Accept: text/csv`, all of them from the cursor on, or as many as `limit` says.",
        content((List<CdrResource<'_>> = "application/json"), (String = "text/csv"))
    )),
    extensions(("x-problems" = json!(["invalid_cursor"]))),
)]
pub(super) async fn list(
    State(app): Api,
    caller: Caller,
    params: Params,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    let mut params = params.only(&LIST)?;
    app.up_to_date().await;
    let (filter, store) = (params.filter(caller.tenant())?, app.inner.ledger.store().clone());
    if wants_csv(&headers) {
        let rows = params.limit()?;
        return Ok(as_csv(store, filter, params.page()?.after, rows));
    }
    let page = params.page()?;
    let mut cdrs = app.stored(store.cdrs(&filter, Page { limit: page.limit + 1, ..page })).await?;
    let more = cdrs.len() > page.limit;
    cdrs.truncate(page.limit);
    let next = cdrs.last().filter(|_| more).map(key).map(write_cursor);
    let items: Vec<_> = cdrs.iter().map(CdrResource::from).collect();
    Ok(Json(List { items, next_cursor: next }).into_response())
}

fn key(cdr: &Cdr) -> Key {
    Key { queued_at: cdr.at.queued, sid: cdr.sid }
}

fn wants_csv(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept.split(',').any(|kind| kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("text/csv"))
}

/// Streams pages as they are read; between two of them nothing is held but the place. Where the database goes away in
/// the middle, the connection is broken off: a short file must not look whole.
fn as_csv(store: Store, filter: Filter, after: Option<Key>, rows: Option<usize>) -> Response {
    let begin = Export { store, filter, after, left: rows.unwrap_or(usize::MAX), header: true };
    let pages = stream::try_unfold(begin, Export::page);
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"cdrs.csv\""),
    ];
    (headers, Body::from_stream(pages)).into_response()
}

struct Export {
    store: Store,
    filter: Filter,
    after: Option<Key>,
    /// Rows still to be written.
    left: usize,
    header: bool,
}

impl Export {
    async fn page(mut self) -> Result<Option<(String, Self)>, StoreError> {
        let mut text = String::new();
        if std::mem::take(&mut self.header) {
            csv::row(COLUMNS, &mut text);
        }
        if self.left > 0 {
            let limit = self.left.min(MAX_LIMIT);
            let cdrs = self.store.cdrs(&self.filter, Page { limit, after: self.after }).await?;
            self.left = if cdrs.len() < limit { 0 } else { self.left - cdrs.len() };
            self.after = cdrs.last().map(key).or(self.after);
            cdrs.iter().for_each(|cdr| row(cdr, &mut text));
        }
        Ok(if text.is_empty() { None } else { Some((text, self)) })
    }
}

const COLUMNS: [&str; 36] = [
    "sid",
    "parent",
    "trunk",
    "direction",
    "from",
    "to",
    "status",
    "queued_at",
    "sent_at",
    "ringing_at",
    "early_media_at",
    "answered_at",
    "ended_at",
    "billable_ms",
    "duration_ms",
    "pdd_ms",
    "sip_status",
    "q850",
    "origin",
    "retry",
    "reason",
    "codec",
    "received_packets",
    "received_lost",
    "received_loss_percent",
    "received_jitter_ms",
    "received_mos",
    "sent_packets",
    "sent_lost",
    "sent_loss_percent",
    "sent_jitter_ms",
    "sent_mos",
    "carrier_call_id",
    "sip_call_ids",
    "price",
    "metadata",
];

fn row(cdr: &Cdr, out: &mut String) {
    let at = Times::from(&cdr.at);
    let mut cells = vec![
        cdr.sid.to_string(),
        cdr.parent.map(|sid| sid.to_string()).unwrap_or_default(),
        cdr.trunk.clone().unwrap_or_default(),
        words::direction(cdr.direction).to_owned(),
        cdr.from.clone(),
        cdr.to.clone(),
        cdr.status.as_str().to_owned(),
        at.queued_at,
        at.sent_at.unwrap_or_default(),
        at.ringing_at.unwrap_or_default(),
        at.early_media_at.unwrap_or_default(),
        at.answered_at.unwrap_or_default(),
        at.ended_at.unwrap_or_default(),
        cdr.billable_ms.to_string(),
        cdr.duration_ms.to_string(),
        or_empty(cdr.pdd_ms),
        or_empty(cdr.cause.sip_status),
        cdr.cause.q850.to_string(),
        words::origin(cdr.cause.origin).to_owned(),
        cdr.cause.retry.to_string(),
        cdr.cause.reason.clone(),
        cdr.codec.clone().unwrap_or_default(),
    ];
    cells.extend(stream_cells(&cdr.received));
    cells.extend(stream_cells(&cdr.sent));
    cells.push(cdr.carrier_call_id.clone().unwrap_or_default());
    cells.push(cdr.sip_call_ids.join(" "));
    cells.push(or_empty(cdr.price));
    cells.push(cdr.metadata.to_string());
    csv::row(cells.iter().map(String::as_str), out);
}

fn stream_cells(stream: &StreamQuality) -> [String; 5] {
    [
        stream.packets.to_string(),
        stream.lost.to_string(),
        stream.loss_percent.to_string(),
        stream.jitter_ms.to_string(),
        or_empty(stream.mos),
    ]
}

fn or_empty(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
