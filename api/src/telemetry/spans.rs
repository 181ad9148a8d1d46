//! Requests and calls as spans. A call is a trace of its own, whose id is its sid; its legs are in it. A request is in its
//! client's trace (`traceparent`, W3C Trace Context), or in one of its own, and links to the call that it is about.
//! No span has a number in it.

use crate::words::direction;
use axum::extract::MatchedPath;
use axum::http::{Request, Response, header};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status, status::StatusCode};
use std::time::{SystemTime, UNIX_EPOCH};
use switch::{CallSid, Cdr, Direction};

/// Nanoseconds of a millisecond.
const MS: u64 = 1_000_000;

/// Octets of a span's id.
const SPAN_ID: usize = 8;

/// Spans with who made them.
pub(super) fn resource(spans: Vec<Span>) -> ResourceSpans {
    let (name, version) = ("tandem".to_owned(), env!("CARGO_PKG_VERSION").to_owned());
    let attributes = vec![text("service.name", &name), text("service.version", &version)];
    let scope = InstrumentationScope { name, version, ..InstrumentationScope::default() };
    ResourceSpans {
        resource: Some(Resource { attributes, ..Resource::default() }),
        scope_spans: vec![ScopeSpans { scope: Some(scope), spans, schema_url: String::new() }],
        schema_url: String::new(),
    }
}

/// The spans of a call: all of it, and within it the time that it waited for a trunk, its INVITE up to the answer, and the
/// conversation, as far as there was each.
pub(super) fn call(cdr: &Cdr) -> Vec<Span> {
    let (trace, own) = (trace_id(cdr.parent.unwrap_or(cdr.sid)), span_id(cdr.sid));
    let at = &cdr.at;
    let end = at.ended.unwrap_or(at.queued);
    let span = |nth: u8, name: &str, from: u64, to: u64| Span {
        trace_id: trace.clone(),
        span_id: nth_id(&own, nth),
        parent_span_id: if nth == 0 { cdr.parent.map(span_id).unwrap_or_default() } else { own.clone() },
        name: name.to_owned(),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: from * MS,
        end_time_unix_nano: to.max(from) * MS,
        ..Span::default()
    };
    let kind = if cdr.direction == Direction::Inbound { SpanKind::Server } else { SpanKind::Client };
    let mut spans = vec![Span {
        kind: kind.into(),
        attributes: attributes(cdr),
        status: Some(status(cdr)),
        ..span(0, "call", at.queued, end)
    }];
    let begun = at.sent.unwrap_or(at.queued);
    if at.sent.is_some() {
        spans.push(span(1, "queued", at.queued, begun));
    }
    if at.sent.is_some() || cdr.direction == Direction::Inbound {
        let heard = [("ringing", at.ringing), ("early media", at.early_media)];
        let events = heard.into_iter().filter_map(|(name, at)| Some(event(name, at?))).collect();
        spans.push(Span { events, ..span(2, "invite", begun, at.answered.unwrap_or(end)) });
    }
    if let Some(answered) = at.answered {
        spans.push(span(3, "answered", answered, end));
    }
    spans
}

fn attributes(cdr: &Cdr) -> Vec<KeyValue> {
    let cause = &cdr.cause;
    let origin = serde_json::to_value(cause.origin).unwrap_or_default();
    let mut attributes = vec![
        text("tandem.call.sid", &cdr.sid.to_string()),
        text("tandem.tenant", &cdr.tenant),
        text("tandem.call.direction", direction(cdr.direction)),
        text("tandem.call.status", cdr.status.as_str()),
        text("tandem.call.ended_by", origin.as_str().unwrap_or_default()),
        number("tandem.call.q850", cause.q850.into()),
    ];
    attributes.extend(cdr.trunk.as_deref().map(|trunk| text("tandem.trunk", trunk)));
    attributes.extend(cause.sip_status.map(|status| number("sip.status_code", status.into())));
    attributes.extend(cdr.sip_call_ids.last().map(|id| text("sip.call_id", id)));
    attributes.extend(cdr.codec.as_deref().map(|codec| text("tandem.codec", codec)));
    attributes.extend(cdr.received.mos.map(|mos| attribute("tandem.mos", Value::DoubleValue(mos))));
    attributes
}

fn status(cdr: &Cdr) -> Status {
    match cdr.status {
        switch::Status::Failed => Status { code: StatusCode::Error.into(), message: cdr.cause.reason.clone() },
        _ => Status { code: StatusCode::Ok.into(), message: String::new() },
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(crate) struct Begun {
    trace_id: Vec<u8>,
    span_id: Vec<u8>,
    parent_span_id: Vec<u8>,
    method: String,
    route: String,
    /// The call that its path names.
    about: Option<CallSid>,
    at: u64,
}

impl Begun {
    /// None for what is no route below `/v1`, and where there is no randomness.
    pub(super) fn new<B>(request: &Request<B>) -> Option<Self> {
        let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned())?;
        let path = request.uri().path().strip_prefix("/v1/")?;
        let mut own = [0; 16 + SPAN_ID];
        getrandom::fill(&mut own).ok()?;
        let (trace, span_id) = own.split_at(16);
        let parent = request.headers().get("traceparent").and_then(|value| traceparent(value.to_str().ok()?));
        let (trace_id, parent_span_id) = parent.unwrap_or_else(|| (trace.to_vec(), Vec::new()));
        Some(Self {
            trace_id,
            span_id: span_id.to_vec(),
            parent_span_id,
            method: request.method().to_string(),
            route,
            about: path.strip_prefix("calls/").and_then(|rest| rest.split('/').next()?.parse().ok()),
            at: now(),
        })
    }

    /// It has been answered.
    pub(super) fn span<B>(self, response: &Response<B>) -> Span {
        let made = || response.headers().get(header::LOCATION)?.to_str().ok()?.strip_prefix("/v1/calls/")?.parse().ok();
        let link = |sid: CallSid| Link { trace_id: trace_id(sid), span_id: span_id(sid), ..Link::default() };
        let status = response.status();
        let code = if status.is_server_error() { StatusCode::Error } else { StatusCode::Unset };
        Span {
            trace_id: self.trace_id,
            span_id: self.span_id,
            parent_span_id: self.parent_span_id,
            name: format!("{} {}", self.method, self.route),
            kind: SpanKind::Server.into(),
            start_time_unix_nano: self.at,
            end_time_unix_nano: now().max(self.at),
            attributes: vec![
                text("http.request.method", &self.method),
                text("http.route", &self.route),
                number("http.response.status_code", status.as_u16().into()),
            ],
            links: self.about.or_else(made).map(link).into_iter().collect(),
            status: Some(Status { code: code.into(), message: String::new() }),
            ..Span::default()
        }
    }
}

/// The trace and the span that a client is in (W3C Trace Context §3.2: `00-TRACE-SPAN-FLAGS`, no id all zeros).
fn traceparent(value: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut parts = value.split('-');
    let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    let ids = (octets(trace, 16)?, octets(span, SPAN_ID)?);
    let is_known = version.len() == 2 && version != "ff";
    (is_known && ids.0.iter().any(|octet| *octet != 0) && ids.1.iter().any(|octet| *octet != 0)).then_some(ids)
}

fn octets(hex: &str, length: usize) -> Option<Vec<u8>> {
    if hex.len() != 2 * length || !hex.bytes().all(|octet| octet.is_ascii_hexdigit()) {
        return None;
    }
    (0..length).map(|n| u8::from_str_radix(hex.get(2 * n..2 * n + 2)?, 16).ok()).collect()
}

/// A sid's sixteen octets.
fn trace_id(sid: CallSid) -> Vec<u8> {
    sid.to_string().get(2..).and_then(|hex| octets(hex, 16)).unwrap_or_default()
}

/// The last eight of them.
fn span_id(sid: CallSid) -> Vec<u8> {
    trace_id(sid).split_off(16 - SPAN_ID)
}

/// The call's own, or that of a part of it.
fn nth_id(own: &[u8], nth: u8) -> Vec<u8> {
    let mut id = own.to_vec();
    if let Some(first) = id.first_mut() {
        *first = first.wrapping_add(nth);
    }
    id
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn event(name: &str, at: u64) -> Event {
    Event { time_unix_nano: at * MS, name: name.to_owned(), ..Event::default() }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::calls;

    #[test]
    fn a_calls_spans_lie_within_it_and_in_the_trace_of_its_sid() {
        let mut cdr = calls::cdr(7, 10_000);
        cdr.at.sent = Some(8_100);
        cdr.at.ringing = Some(8_400);
        let spans = call(&cdr);
        let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
        assert_eq!(names, ["call", "queued", "invite", "answered"]);
        let [whole, rest @ ..] = &spans[..] else { panic!("{spans:?}") };
        assert_eq!(whole.trace_id, 7_u128.to_be_bytes());
        assert_eq!((whole.start_time_unix_nano, whole.end_time_unix_nano), (8_000 * MS, 10_000 * MS));
        for part in rest {
            assert_eq!((&part.trace_id, &part.parent_span_id), (&whole.trace_id, &whole.span_id));
            assert!(part.start_time_unix_nano >= whole.start_time_unix_nano);
            assert!(part.end_time_unix_nano <= whole.end_time_unix_nano);
        }
        assert_eq!(rest[1].events[0].name, "ringing");
        let leg = Cdr { parent: Some(calls::sid(3)), ..calls::cdr(8, 10_000) };
        let leg = &call(&leg)[0];
        assert_eq!((&leg.trace_id[..], &leg.parent_span_id[..]), (&3_u128.to_be_bytes()[..], &3_u64.to_be_bytes()[..]));
        let all = format!("{spans:?}");
        assert!(!all.contains(&cdr.to[1..]) && !all.contains(&cdr.from[1..]), "a number: {all}");
    }

    #[test]
    fn a_traceparent_is_read_and_a_wrong_one_passed_over() {
        let (trace, span) = traceparent("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").unwrap();
        assert_eq!((trace[0], trace.len(), span[7], span.len()), (0x0a, 16, 0x31, 8));
        for wrong in [
            "",
            "00",
            "00-0af7651916cd43dd8448eb211c80319c",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c8031é-b7ad6b7169203331-01",
        ] {
            assert_eq!(traceparent(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_collectors_url_may_have_a_path_and_must_be_one() {
        let url = |text: &str| crate::telemetry::traces_url(text).map(String::from);
        assert_eq!(url("http://127.0.0.1:4318").unwrap(), "http://127.0.0.1:4318/v1/traces");
        assert_eq!(url("https://c.example/otlp/").unwrap(), "https://c.example/otlp/v1/traces");
        assert!(url("127.0.0.1:4318").is_err() && url("ftp://c.example").is_err());
    }
}
