//! Writing responses (RFC 3261 §8.2.6, §18.2.1; RFC 3581 §4).

use super::build::Writer;
use super::{HeaderName, HeaderValue, Message, Name, Salvage, StatusCode};
use crate::header::{NameAddr, Via};
use bytes::Bytes;
use std::net::SocketAddr;

/// Writes the response to a request: Vias, From, To, Call-ID and CSeq are the request's own, the rest stands in the order
/// of the calls.
#[derive(Clone, Debug)]
pub struct ResponseBuilder {
    status: StatusCode,
    reason: HeaderValue,
    request: Salvage,
    source: Option<SocketAddr>,
    to_tag: Option<String>,
    with_record_route: bool,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<(HeaderValue, Bytes)>,
}

impl ResponseBuilder {
    /// A response to a request.
    #[must_use]
    pub fn to_request(request: &Message, status: StatusCode) -> Self {
        Self::to_salvage(Salvage::of_message(request), status)
    }

    /// A response to what is left of a request.
    #[must_use]
    pub fn to_salvage(request: Salvage, status: StatusCode) -> Self {
        Self {
            status,
            reason: status.reason().into(),
            request,
            source: None,
            to_tag: None,
            with_record_route: false,
            headers: Vec::new(),
            body: None,
        }
    }

    /// Where the request came from: the top Via gets `received` where its host says otherwise or `rport` is asked for, and
    /// `rport` where it is asked for (RFC 3261 §18.2.1, RFC 3581 §4).
    #[must_use]
    pub const fn received(mut self, source: SocketAddr) -> Self {
        self.source = Some(source);
        self
    }

    /// Our tag for To, where it has none yet (RFC 3261 §8.2.6.2).
    #[must_use]
    pub fn to_tag(mut self, tag: &str) -> Self {
        self.to_tag = Some(tag.to_owned());
        self
    }

    /// Copies Record-Route too, as a response that makes a dialog must (RFC 3261 §12.1.1).
    #[must_use]
    pub const fn record_route(mut self) -> Self {
        self.with_record_route = true;
        self
    }

    /// Another reason phrase.
    #[must_use]
    pub fn reason(mut self, phrase: impl Into<HeaderValue>) -> Self {
        self.reason = phrase.into();
        self
    }

    /// Any further header; names as in [`super::RequestBuilder::header`].
    #[must_use]
    pub fn header(mut self, name: impl Into<HeaderName>, value: impl Into<HeaderValue>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Contact.
    #[must_use]
    pub fn contact(self, contact: &NameAddr) -> Self {
        self.header(Name::Contact, contact)
    }

    /// The body, with its type.
    #[must_use]
    pub fn body(mut self, content_type: impl Into<HeaderValue>, body: Bytes) -> Self {
        self.body = Some((content_type.into(), body));
        self
    }

    /// The message.
    #[must_use]
    pub fn build(self) -> Bytes {
        let mut start = format!("SIP/2.0 {} ", self.status).into_bytes();
        start.extend_from_slice(self.reason.as_bytes());
        let mut writer = Writer::new(&start);
        self.write_copied(&mut writer);
        for (name, value) in &self.headers {
            writer.line(name, value);
        }
        if let Some((content_type, body)) = self.body {
            writer.body(content_type, body);
        }
        writer.finish()
    }

    fn write_copied(&self, writer: &mut Writer) {
        let request = &self.request;
        for (at, via) in request.vias.iter().enumerate() {
            let marked = self.source.filter(|_| at == 0).and_then(|source| mark_source(via, source));
            writer.echo(Name::Via, marked.as_deref().unwrap_or(via));
        }
        for route in request.record_routes.iter().filter(|_| self.with_record_route) {
            writer.echo(Name::RecordRoute, route);
        }
        let tagged = self.to_tag.as_deref().and_then(|tag| add_tag(&request.to, tag));
        let to = tagged.as_deref().unwrap_or(&request.to);
        let copied = [
            (Name::From, request.from.as_slice()),
            (Name::To, to),
            (Name::CallId, &request.call_id),
            (Name::CSeq, &request.cseq),
        ];
        for (name, value) in copied.into_iter().filter(|(_, value)| !value.is_empty()) {
            writer.echo(name, value);
        }
        if self.status == StatusCode::TRYING && !request.timestamp.is_empty() {
            writer.echo(Name::Timestamp, &request.timestamp);
        }
    }
}

/// The Via with what the request's source shows; nothing where it is malformed or right as it is.
fn mark_source(value: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    let mut via = Via::parse(value).ok()?;
    let ip = source.ip().to_canonical();
    let wants_port = via.rport().is_some();
    if !wants_port && via.host.ip() == Some(ip) {
        return None;
    }
    via.params.set("received", Some(&ip.to_string()));
    if wants_port {
        via.params.set("rport", Some(&source.port().to_string()));
    }
    Some(via.to_string().into_bytes())
}

/// To with a tag; nothing where it has one or cannot be read.
fn add_tag(to: &[u8], tag: &str) -> Option<Vec<u8>> {
    NameAddr::parse(to).ok().filter(|to| !to.params.has("tag"))?;
    let tagged = crate::header::Params::new().with("tag", Some(tag)).to_string();
    Some([to, tagged.as_bytes()].concat())
}
