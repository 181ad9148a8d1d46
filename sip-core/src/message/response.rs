//! Writing responses (RFC 3261 §8.2.6, §18.2.1; RFC 3581 §4).

use super::build::Writer;
use super::salvage::MAX_VIAS;
use super::{HeaderName, HeaderValue, Message, Name, Salvage, StatusCode};
use crate::header::scan::is_token;
use crate::header::{NameAddr, Params, Via};
use bytes::Bytes;
use std::net::SocketAddr;

/// Writes the response to a request: Vias, From, To, Call-ID and CSeq are the request's own, the rest stands in the order
/// of the calls.
#[derive(Clone, Debug)]
pub struct ResponseBuilder {
    status: StatusCode,
    reason: Option<HeaderValue>,
    request: Request,
    source: Option<SocketAddr>,
    to_tag: Option<String>,
    with_record_route: bool,
    /// What comes after what is copied.
    rest: Writer,
}

/// What is answered.
#[derive(Clone, Debug)]
enum Request {
    /// One that could be read.
    Whole(Message),
    /// What is left of one.
    Salvaged(Salvage),
}

impl ResponseBuilder {
    /// A response to a request.
    #[must_use]
    pub fn to_request(request: &Message, status: StatusCode) -> Self {
        Self::to(Request::Whole(request.clone()), status)
    }

    /// A response to what is left of a request.
    #[must_use]
    pub fn to_salvage(request: Salvage, status: StatusCode) -> Self {
        Self::to(Request::Salvaged(request), status)
    }

    fn to(request: Request, status: StatusCode) -> Self {
        let rest = Writer::new();
        Self { status, reason: None, request, source: None, to_tag: None, with_record_route: false, rest }
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
        self.reason = Some(phrase.into());
        self
    }

    /// Any further header; names as in [`super::RequestBuilder::header`].
    #[must_use]
    pub fn header(mut self, name: impl Into<HeaderName>, value: impl Into<HeaderValue>) -> Self {
        self.rest.text(name.into().as_str(), value.into().as_bytes());
        self
    }

    /// As [`super::RequestBuilder::text`].
    #[must_use]
    pub fn text(mut self, name: &str, value: &str) -> Self {
        if is_token(name.as_bytes()) {
            self.rest.text(name, value.as_bytes());
        }
        self
    }

    /// Contact.
    #[must_use]
    pub fn contact(mut self, contact: &NameAddr) -> Self {
        self.rest.show(Name::Contact, contact);
        self
    }

    /// The body, with its type.
    #[must_use]
    pub fn body(mut self, content_type: impl Into<HeaderValue>, body: Bytes) -> Self {
        self.rest.body(content_type.into(), body);
        self
    }

    /// The message.
    #[must_use]
    pub fn build(self) -> Bytes {
        let mut writer = Writer::new();
        writer.push(b"SIP/2.0 ");
        writer.push_shown(&self.status);
        writer.push(b" ");
        writer.push(self.reason.as_ref().map_or(self.status.reason().as_bytes(), HeaderValue::as_bytes));
        writer.push(b"\r\n");
        match &self.request {
            Request::Whole(message) => self.copy_message(message, &mut writer),
            Request::Salvaged(salvage) => self.copy_salvage(salvage, &mut writer),
        }
        writer.append(self.rest);
        writer.finish()
    }

    fn copy_message(&self, request: &Message, writer: &mut Writer) {
        let first = |name| request.lines(name).find(|value| !value.is_empty());
        let read = (request.top_via().ok(), request.to().ok());
        let vias = request.values(Name::Via).take(MAX_VIAS);
        self.copy(vias, request.lines(Name::RecordRoute), first, read, writer);
    }

    fn copy_salvage(&self, request: &Salvage, writer: &mut Writer) {
        let first = |name| {
            let value = match name {
                Name::From => &request.from,
                Name::To => &request.to,
                Name::CallId => &request.call_id,
                Name::CSeq => &request.cseq,
                Name::Timestamp => &request.timestamp,
                _ => return None,
            };
            Some(value).filter(|value| !value.is_empty())
        };
        let via = request.vias.first().and_then(|value| Via::parse(value).ok());
        let to = NameAddr::parse(&request.to).ok();
        self.copy(request.vias.iter(), request.record_routes.iter(), first, (via.as_ref(), to.as_ref()), writer);
    }

    /// What a response has of its request (RFC 3261 §8.2.6), in its order; `read` are the top Via and To where they can be read.
    fn copy<V: AsRef<[u8]>>(
        &self,
        vias: impl Iterator<Item = V>,
        routes: impl Iterator<Item = V>,
        first: impl Fn(Name) -> Option<V>,
        (top, to): (Option<&Via>, Option<&NameAddr>),
        writer: &mut Writer,
    ) {
        for (at, via) in vias.enumerate() {
            self.via(via.as_ref(), top.filter(|_| at == 0), writer);
        }
        if self.with_record_route {
            routes.for_each(|route| writer.echo(Name::RecordRoute, route.as_ref()));
        }
        let copied = |name, writer: &mut Writer| {
            if let Some(value) = first(name) {
                writer.echo(name, value.as_ref());
            }
        };
        copied(Name::From, writer);
        if let Some(value) = first(Name::To) {
            self.to_header(value.as_ref(), to, writer);
        }
        copied(Name::CallId, writer);
        copied(Name::CSeq, writer);
        if self.status == StatusCode::TRYING {
            copied(Name::Timestamp, writer);
        }
    }

    /// A Via; the top one, which is read, says where the request came from, where that is to be said.
    fn via(&self, value: &[u8], top: Option<&Via>, writer: &mut Writer) {
        match self.source.zip(top).filter(|(source, via)| says_more(via, *source)) {
            Some((source, via)) => mark_source(via, source, writer),
            None => writer.echo(Name::Via, value),
        }
    }

    /// To, with our tag where it has none. Whatever cannot be read stays as it is.
    fn to_header(&self, value: &[u8], read: Option<&NameAddr>, writer: &mut Writer) {
        writer.push(b"To: ");
        writer.push_echo(value);
        if let Some(tag) = self.to_tag.as_deref().filter(|_| read.is_some_and(|to| !to.params.has("tag"))) {
            writer.push_shown(&Params::new().with("tag", Some(tag)));
        }
        writer.push(b"\r\n");
    }
}

/// True where the request's source shows something that its Via does not say.
fn says_more(via: &Via, source: SocketAddr) -> bool {
    via.rport().is_some() || via.host.ip() != Some(source.ip().to_canonical())
}

/// The Via with what the request's source shows.
fn mark_source(via: &Via, source: SocketAddr, writer: &mut Writer) {
    let ip = source.ip().to_canonical();
    writer.push(b"Via: ");
    writer.push_shown(&via.without_params());
    let mut has_received = false;
    for (name, value) in via.params.iter() {
        let is_received = name.eq_ignore_ascii_case("received");
        writer.push(b";");
        writer.push(name.as_bytes());
        match value {
            // Of two the first counts.
            _ if is_received && !has_received => writer.push_shown(&format_args!("={ip}")),
            _ if name.eq_ignore_ascii_case("rport") => writer.push_shown(&format_args!("={}", source.port())),
            Some(value) => writer.push_shown(&format_args!("={value}")),
            None => {}
        }
        has_received |= is_received;
    }
    if !has_received {
        writer.push_shown(&format_args!(";received={ip}"));
    }
    writer.push(b"\r\n");
}
