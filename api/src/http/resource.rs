//! A call and a CDR as JSON. Every key is always there; what did not happen is null.

use super::doc::values;
use super::time::rfc3339;
use crate::words;
use serde::Serialize;
use serde_json::Value;
use switch::{CallSid, CallView, Cause, Cdr, StreamQuality, Timestamps};
use utoipa::ToSchema;

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub(super) struct List<T> {
    /// What is in it.
    pub(super) items: Vec<T>,
    /// What the next page takes as `cursor`; null: this is the last.
    pub(super) next_cursor: Option<String>,
}

/// Why a call ended.
#[derive(Serialize, ToSchema)]
#[schema(as = Cause)]
struct CauseResource<'a> {
    /// The final SIP status, where there was one.
    sip_status: Option<u16>,
    /// Q.850 cause value.
    q850: u8,
    /// Who ended it.
    #[schema(schema_with = values::origin)]
    origin: &'static str,
    /// Whether the same call might succeed later or by another trunk.
    retry: bool,
    /// A short reason in words.
    reason: &'a str,
}

impl<'a> From<&'a Cause> for CauseResource<'a> {
    fn from(cause: &'a Cause) -> Self {
        let Cause { sip_status, q850, origin, retry, reason } = cause;
        Self { sip_status: *sip_status, q850: *q850, origin: words::origin(*origin), retry: *retry, reason }
    }
}

/// One direction of a call's audio.
#[derive(Serialize, ToSchema)]
#[schema(as = StreamQuality)]
pub(super) struct StreamResource {
    /// RTP packets.
    packets: u64,
    /// Packets that were sent and did not arrive.
    lost: u64,
    /// Share of packets lost, in percent.
    loss_percent: f64,
    /// Inter-arrival jitter in milliseconds (RFC 3550 §6.4.1).
    jitter_ms: f64,
    /// Estimated listening quality, 1 to 4.5 (ITU-T G.107); null: nothing was received to judge.
    mos: Option<f64>,
}

impl From<&StreamQuality> for StreamResource {
    fn from(stream: &StreamQuality) -> Self {
        let StreamQuality { packets, lost, loss_percent, jitter_ms, mos } = *stream;
        Self { packets, lost, loss_percent, jitter_ms, mos }
    }
}

/// When what happened.
#[derive(Serialize, ToSchema)]
pub(super) struct Times {
    #[schema(format = DateTime)]
    pub(super) queued_at: String,
    #[schema(format = DateTime)]
    pub(super) sent_at: Option<String>,
    #[schema(format = DateTime)]
    pub(super) ringing_at: Option<String>,
    #[schema(format = DateTime)]
    pub(super) early_media_at: Option<String>,
    #[schema(format = DateTime)]
    pub(super) answered_at: Option<String>,
    #[schema(format = DateTime)]
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
#[derive(Serialize, ToSchema)]
#[schema(as = Call)]
pub(super) struct CallResource<'a> {
    #[schema(schema_with = values::call_sid)]
    sid: CallSid,
    /// The call this is a leg of.
    #[schema(schema_with = values::call_sid_or_null)]
    parent: Option<CallSid>,
    #[schema(schema_with = values::status)]
    status: &'static str,
    #[schema(schema_with = values::direction)]
    direction: &'static str,
    from: &'a str,
    to: &'a str,
    trunk: Option<&'a str>,
    /// The program, every option written out.
    answer: &'a Value,
    #[schema(value_type = Object)]
    metadata: &'a Value,
    #[serde(flatten)]
    at: Times,
    billable_ms: Option<u64>,
    duration_ms: Option<u64>,
    pdd_ms: Option<u64>,
    cause: Option<CauseResource<'a>>,
    codec: Option<&'a str>,
    received: Option<StreamResource>,
    sent: Option<StreamResource>,
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
            cause: view.cause.as_ref().map(CauseResource::from),
            codec: view.codec.as_deref(),
            received: cdr.map(|cdr| StreamResource::from(&cdr.received)),
            sent: cdr.map(|cdr| StreamResource::from(&cdr.sent)),
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
#[derive(Serialize, ToSchema)]
#[schema(as = Cdr)]
pub(super) struct CdrResource<'a> {
    #[schema(schema_with = values::call_sid)]
    sid: CallSid,
    /// The call this is a leg of.
    #[schema(schema_with = values::call_sid_or_null)]
    parent: Option<CallSid>,
    trunk: Option<&'a str>,
    #[schema(schema_with = values::direction)]
    direction: &'static str,
    from: &'a str,
    to: &'a str,
    #[schema(schema_with = values::status)]
    status: &'static str,
    #[serde(flatten)]
    at: Times,
    billable_ms: u64,
    duration_ms: u64,
    pdd_ms: Option<u64>,
    cause: CauseResource<'a>,
    codec: Option<&'a str>,
    received: StreamResource,
    sent: StreamResource,
    recordings: &'a [String],
    carrier_call_id: Option<&'a str>,
    sip_call_ids: &'a [String],
    price: Option<f64>,
    #[schema(value_type = Object)]
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
            cause: CauseResource::from(&cdr.cause),
            codec: cdr.codec.as_deref(),
            received: StreamResource::from(&cdr.received),
            sent: StreamResource::from(&cdr.sent),
            recordings: &cdr.recordings,
            carrier_call_id: cdr.carrier_call_id.as_deref(),
            sip_call_ids: &cdr.sip_call_ids,
            price: cdr.price,
            metadata: &cdr.metadata,
        }
    }
}
