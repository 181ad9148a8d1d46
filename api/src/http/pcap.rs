//! `GET /v1/calls/{sid}/pcap`: a call's SIP messages for those who read packets.

use super::Api;
use super::auth::Caller;
use super::calls::find;
use super::path::{Named, OfCall};
use super::problem::Problem;
use super::query::Params;
use crate::capture::pcap;
use crate::keys::Scope;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// A call's SIP messages as a pcap file, each as a UDP packet, as long as they are kept (`capture.keep_mb`); up to a quarter
/// of a second behind. Keys and answers to challenges are made unreadable. RTP is not in it.
#[utoipa::path(
    get,
    path = "/calls/{sid}/pcap",
    operation_id = "get_call_pcap",
    tag = "calls",
    params(OfCall),
    responses((status = 200, description = "The file.", content((Vec<u8> = "application/vnd.tcpdump.pcap")))),
    extensions(("x-problems" = json!(["call_not_found", "not_captured"]))),
)]
pub(super) async fn get(
    State(app): Api,
    caller: Caller,
    Named(sid): Named,
    params: Params,
) -> Result<Response, Problem> {
    caller.may(Scope::Admin)?;
    params.only(&[])?;
    let view = find(&app, &caller, &sid).await?;
    let capture = &app.inner.capture;
    if !capture.keeps() {
        return Err(absent("no messages are kept; write keep_mb = 64 into [capture] of the configuration"));
    }
    let messages = capture.of(&view.sip_call_ids);
    if messages.is_empty() {
        return Err(absent("no message of this call is kept (any more)"));
    }
    Ok(([(header::CONTENT_TYPE, "application/vnd.tcpdump.pcap")], pcap(&messages)).into_response())
}

fn absent(detail: &'static str) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_captured", detail)
}
