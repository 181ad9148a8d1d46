//! `GET /v1/calls/{sid}/{events,ladder,quality}`: what happened, on the wire and to the ear.

use super::auth::Caller;
use super::calls::find;
use super::problem::Problem;
use super::query::Params;
use super::time::rfc3339;
use super::{Api, App};
use crate::keys::Scope;
use crate::store::facts::{kind, kind_and_data};
use crate::store::read::Facts;
use axum::Json;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use switch::{CallSid, Fact, Record};

pub(super) async fn events(
    State(app): Api,
    caller: Caller,
    Path(sid): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    list(app, caller, &sid, params, Facts::Events, event).await
}

pub(super) async fn ladder(
    State(app): Api,
    caller: Caller,
    Path(sid): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    list(app, caller, &sid, params, Facts::Ladder, line).await
}

pub(super) async fn quality(
    State(app): Api,
    caller: Caller,
    Path(sid): Path<String>,
    params: Params,
) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    params.only(&[])?;
    let view = find(&app, &caller, &sid).await?;
    let cdr = view.cdr.as_deref();
    let body = json!({
        "sid": view.sid,
        "status": view.status.as_str(),
        "codec": view.codec,
        "received": cdr.map(|cdr| &cdr.received),
        "sent": cdr.map(|cdr| &cdr.sent),
    });
    Ok(Json(body).into_response())
}

async fn list(
    app: App,
    caller: Caller,
    sid: &str,
    params: Params,
    which: Facts,
    item: fn(&Record) -> Value,
) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    let (limit, from) = params.only(&["limit", "cursor"])?.facts_page()?;
    let view = find(&app, &caller, sid).await?;
    let facts = facts(&app, view.sid, which, from, limit + 1).await?;
    let next = facts.get(limit).map(|record| record.seq.to_string());
    let items: Vec<Value> = facts.iter().take(limit).map(|record| item(record)).collect();
    Ok(Json(json!({ "items": items, "next_cursor": next })).into_response())
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

pub(super) fn event(record: &Record) -> Value {
    let (kind, data) = kind_and_data(&record.fact);
    json!({ "seq": record.seq, "at": rfc3339(record.at), "type": kind, "data": data })
}

fn line(record: &Record) -> Value {
    let Fact::Message { sent, transport, peer, line, cseq, retransmission } = &record.fact else { return Value::Null };
    json!({
        "seq": record.seq,
        "at": rfc3339(record.at),
        "direction": if *sent { "sent" } else { "received" },
        "transport": transport,
        "peer": peer,
        "line": line,
        "cseq": cseq,
        "retransmission": retransmission,
    })
}
