//! A call and a CDR as JSON. Every key is always there; what did not happen is null.

use super::time::rfc3339;
use crate::words;
use serde::Serialize;
use serde_json::Value;
use switch::{CallSid, CallView, Cause, Cdr, StreamQuality, Timestamps};

/// When what happened.
#[derive(Serialize)]
pub(super) struct Times {
    pub(super) queued_at: String,
    pub(super) sent_at: Option<String>,
    pub(super) ringing_at: Option<String>,
    pub(super) early_media_at: Option<String>,
    pub(super) answered_at: Option<String>,
    pub(super) ended_at: Option<String>,
}

impl From<&Timestamps> for Times {
    fn from(at: &Timestamps) -> Self {
        Self {
            queued_at: rfc3339(at.queued),
            sent_at: at.sent.map(rfc3339),
            ringing_at: at.ringing.map(rfc3339),
            early_media_at: at.early_media.map(rfc3339),
            answered_at: at.answered.map(rfc3339),
            ended_at: at.ended.map(rfc3339),
        }
    }
}

/// A call: what it is, and, once it has ended, its CDR's fields.
#[derive(Serialize)]
pub(super) struct CallResource<'a> {
    sid: CallSid,
    parent: Option<CallSid>,
    status: &'static str,
    direction: &'static str,
    from: &'a str,
    to: &'a str,
    trunk: Option<&'a str>,
    answer: &'a Value,
    metadata: &'a Value,
    #[serde(flatten)]
    at: Times,
    billable_ms: Option<u64>,
    duration_ms: Option<u64>,
    pdd_ms: Option<u64>,
    cause: Option<&'a Cause>,
    codec: Option<&'a str>,
    received: Option<&'a StreamQuality>,
    sent: Option<&'a StreamQuality>,
    recordings: &'a [String],
    carrier_call_id: Option<&'a str>,
    sip_call_ids: &'a [String],
    price: Option<f64>,
}

impl<'a> From<&'a CallView> for CallResource<'a> {
    fn from(view: &'a CallView) -> Self {
        let cdr = view.cdr.as_deref();
        Self {
            sid: view.sid,
            parent: view.parent,
            status: view.status.as_str(),
            direction: words::direction(view.direction),
            from: &view.from,
            to: &view.to,
            trunk: view.trunk.as_deref(),
            answer: &view.answer,
            metadata: &view.metadata,
            at: Times::from(&view.at),
            billable_ms: cdr.map(|cdr| cdr.billable_ms),
            duration_ms: cdr.map(|cdr| cdr.duration_ms),
            pdd_ms: cdr.and_then(|cdr| cdr.pdd_ms),
            cause: view.cause.as_ref(),
            codec: view.codec.as_deref(),
            received: cdr.map(|cdr| &cdr.received),
            sent: cdr.map(|cdr| &cdr.sent),
            recordings: cdr.map_or(&[], |cdr| &cdr.recordings),
            carrier_call_id: view.carrier_call_id.as_deref(),
            sip_call_ids: &view.sip_call_ids,
            price: cdr.and_then(|cdr| cdr.price),
        }
    }
}

/// A call as `GET` shows it.
pub(crate) fn call_as_json(view: &CallView) -> Value {
    serde_json::to_value(CallResource::from(view)).unwrap_or_default()
}

/// A CDR.
#[derive(Serialize)]
pub(super) struct CdrResource<'a> {
    sid: CallSid,
    parent: Option<CallSid>,
    trunk: Option<&'a str>,
    direction: &'static str,
    from: &'a str,
    to: &'a str,
    status: &'static str,
    #[serde(flatten)]
    at: Times,
    billable_ms: u64,
    duration_ms: u64,
    pdd_ms: Option<u64>,
    cause: &'a Cause,
    codec: Option<&'a str>,
    received: &'a StreamQuality,
    sent: &'a StreamQuality,
    recordings: &'a [String],
    carrier_call_id: Option<&'a str>,
    sip_call_ids: &'a [String],
    price: Option<f64>,
    metadata: &'a Value,
}

impl<'a> From<&'a Cdr> for CdrResource<'a> {
    fn from(cdr: &'a Cdr) -> Self {
        Self {
            sid: cdr.sid,
            parent: cdr.parent,
            trunk: cdr.trunk.as_deref(),
            direction: words::direction(cdr.direction),
            from: &cdr.from,
            to: &cdr.to,
            status: cdr.status.as_str(),
            at: Times::from(&cdr.at),
            billable_ms: cdr.billable_ms,
            duration_ms: cdr.duration_ms,
            pdd_ms: cdr.pdd_ms,
            cause: &cdr.cause,
            codec: cdr.codec.as_deref(),
            received: &cdr.received,
            sent: &cdr.sent,
            recordings: &cdr.recordings,
            carrier_call_id: cdr.carrier_call_id.as_deref(),
            sip_call_ids: &cdr.sip_call_ids,
            price: cdr.price,
            metadata: &cdr.metadata,
        }
    }
}
