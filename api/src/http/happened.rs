//! `GET /v1/calls/{sid}/{events,ladder,quality}`: what happened, on the wire and to the ear.

use super::auth::Caller;
use super::calls::find;
use super::doc::values;
use super::path::{Named, OfCall};
use super::problem::Problem;
use super::query::{FactsPage, Params};
use super::resource::{List, StreamResource};
use super::time::rfc3339;
use super::{Api, App};
use crate::keys::Scope;
use crate::store::facts::{kind, kind_and_data};
use crate::store::read::Facts;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use switch::{CallSid, Fact, Record};
use utoipa::ToSchema;

/// What happened to a call, in order.
#[utoipa::path(
    get,
    path = "/calls/{sid}/events",
    operation_id = "list_call_events",
    tag = "calls",
    params(OfCall, FactsPage),
    responses((status = 200, description = "A page of events.", body = List<EventResource>)),
    extensions(("x-problems" = json!(["call_not_found", "invalid_cursor"]))),
)]
pub(super) async fn events(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    params: Params,
) -> Result<Response, Problem> {
    list(app, caller, &sid, params, Facts::Events, |record| Some(event(record))).await
}

/// A call's SIP messages, in order.
#[utoipa::path(
    get,
    path = "/calls/{sid}/ladder",
    operation_id = "list_call_ladder",
    tag = "calls",
    params(OfCall, FactsPage),
    responses((status = 200, description = "A page of messages.", body = List<LadderLine>)),
    extensions(("x-problems" = json!(["call_not_found", "invalid_cursor"]))),
)]
pub(super) async fn ladder(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    params: Params,
) -> Result<Response, Problem> {
    list(app, caller, &sid, params, Facts::Ladder, line).await
}

/// How a call sounded, once it has ended.
#[utoipa::path(
    get,
    path = "/calls/{sid}/quality",
    operation_id = "get_call_quality",
    tag = "calls",
    params(OfCall),
    responses((status = 200, description = "Its audio, each way.", body = QualityResource<'_>)),
    extensions(("x-problems" = json!(["call_not_found"]))),
)]
pub(super) async fn quality(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    params: Params,
) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    params.only(&[])?;
    let view = find(&app, &caller, &sid).await?;
    let cdr = view.cdr.as_deref();
    let body = QualityResource {
        sid: view.sid,
        status: view.status.as_str(),
        codec: view.codec.as_deref(),
        received: cdr.map(|cdr| StreamResource::from(&cdr.received)),
        sent: cdr.map(|cdr| StreamResource::from(&cdr.sent)),
    };
    Ok(Json(body).into_response())
}

async fn list<T: Serialize>(
    app: App,
    caller: Caller,
    sid: &str,
    params: Params,
    which: Facts,
    item: fn(&Record) -> Option<T>,
) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    let FactsPage { limit, from } = params.only(&["limit", "cursor"])?.facts_page()?;
    let view = find(&app, &caller, sid).await?;
    let facts = facts(&app, view.sid, which, from, limit + 1).await?;
    let next = facts.get(limit).map(|record| record.seq.to_string());
    let items: Vec<T> = facts.iter().take(limit).filter_map(|record| item(record)).collect();
    Ok(Json(List { items, next_cursor: next }).into_response())
}

/// A call's facts from number `from` on: the database's, and those it does not have yet.
pub(super) async fn facts(
    app: &App,
    sid: CallSid,
    which: Facts,
    from: u32,
    limit: usize,
) -> Result<Vec<Arc<Record>>, Problem> {
    // The live ones first: what is projected in between is in both, never in neither.
    let live = app.inner.ledger.live().facts(sid);
    let whole = live.first().is_some_and(|record| record.seq == 0);
    let stored = match app.stored(app.inner.ledger.store().facts(sid, which, from, limit)).await {
        Ok(stored) => stored,
        // The database is away; but nothing of this call is in it.
        Err(_) if whole => Vec::new(),
        Err(problem) => return Err(problem),
    };
    let live = live.into_iter().filter(|record| record.seq >= from && which.take(kind(&record.fact)));
    let merged: BTreeMap<u32, Arc<Record>> =
        stored.into_iter().chain(live).map(|record| (record.seq, record)).collect();
    Ok(merged.into_values().take(limit).collect())
}

/// One thing that happened to a call.
#[derive(Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct EventResource {
    /// Its number within the call; those that are lines of the ladder are not among the events.
    seq: u32,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// What: `ringing`, `answered`, `ended` …
    #[serde(rename = "type")]
    pub(super) kind: &'static str,
    /// What there is to say of it, by its type.
    data: Value,
}

pub(super) fn event(record: &Record) -> EventResource {
    let (kind, data) = kind_and_data(&record.fact);
    EventResource { seq: record.seq, at: rfc3339(record.at), kind, data }
}

/// One SIP message.
#[derive(Serialize, ToSchema)]
struct LadderLine {
    seq: u32,
    #[schema(format = DateTime)]
    at: String,
    #[schema(schema_with = values::way)]
    direction: &'static str,
    /// `UDP`, `TCP` …
    transport: String,
    /// The address it went to or came from.
    peer: String,
    /// Its first line.
    line: String,
    /// Its CSeq.
    cseq: String,
    /// Whether it was sent or received before.
    retransmission: bool,
}

fn line(record: &Record) -> Option<LadderLine> {
    let Fact::Message { sent, transport, peer, line, cseq, retransmission } = &record.fact else { return None };
    Some(LadderLine {
        seq: record.seq,
        at: rfc3339(record.at),
        direction: if *sent { "sent" } else { "received" },
        transport: transport.to_string(),
        peer: peer.clone(),
        line: line.clone(),
        cseq: cseq.clone(),
        retransmission: *retransmission,
    })
}

/// How a call sounded.
#[derive(Serialize, ToSchema)]
#[schema(as = Quality)]
struct QualityResource<'a> {
    #[schema(schema_with = values::call_sid)]
    sid: CallSid,
    #[schema(schema_with = values::status)]
    status: &'static str,
    codec: Option<&'a str>,
    received: Option<StreamResource>,
    sent: Option<StreamResource>,
}
