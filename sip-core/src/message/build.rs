//! Writing requests, and what both writers share. Whatever a value holds, it stays in its line: control characters become
//! spaces, so that no CR, LF or NUL of a caller reaches the wire.

use super::{HeaderName, Message, Method, Name};
use crate::header::scan::{is_token, trim};
use crate::header::{CSeq, ContentType, NameAddr, Params, Via};
use crate::uri::Uri;
use bytes::Bytes;
use std::borrow::Cow;

/// Room for a usual message, so that writing it allocates once.
const USUAL_BYTES: usize = 1024;

/// What Max-Forwards is where nobody says otherwise (RFC 3261 §8.1.1.6).
const MAX_FORWARDS: u8 = 70;

/// A header value fit to be written: without control characters but tabs, which have become spaces, and trimmed. Bytes
/// that are not UTF-8 stay as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderValue(Vec<u8>);

impl HeaderValue {
    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for HeaderValue {
    fn from(value: &[u8]) -> Self {
        let clean = |&b: &u8| if b.is_ascii_control() && b != b'\t' { b' ' } else { b };
        Self(trim(value).iter().map(clean).collect())
    }
}

macro_rules! header_value_from {
    ($($text:ty),* ; $($shown:ty),*) => {
        $(impl From<$text> for HeaderValue {
            fn from(value: $text) -> Self {
                Self::from(AsRef::<[u8]>::as_ref(&value))
            }
        })*
        $(impl From<$shown> for HeaderValue {
            fn from(value: $shown) -> Self {
                Self::from(value.to_string())
            }
        })*
    };
}

header_value_from! {
    &str, String, &String, Vec<u8>, Bytes;
    u8, u16, u32, u64, &NameAddr, NameAddr, &Via, Via, &CSeq, CSeq, &Uri, Uri, &Params, &ContentType, &Method
}

impl From<Cow<'_, [u8]>> for HeaderValue {
    fn from(value: Cow<'_, [u8]>) -> Self {
        Self::from(&*value)
    }
}

impl From<Cow<'_, str>> for HeaderValue {
    fn from(value: Cow<'_, str>) -> Self {
        Self::from(&*value)
    }
}

/// The header section and the body as they are being written.
#[derive(Clone, Debug, Default)]
pub(super) struct Writer {
    out: Vec<u8>,
    content_type: Option<HeaderValue>,
    body: Bytes,
}

impl Writer {
    pub(super) fn new(start_line: &[u8]) -> Self {
        let mut out = Vec::with_capacity(USUAL_BYTES);
        out.extend_from_slice(start_line);
        out.extend_from_slice(b"\r\n");
        Self { out, content_type: None, body: Bytes::new() }
    }

    pub(super) fn line(&mut self, name: &HeaderName, value: &HeaderValue) {
        match name.known() {
            // The writer alone knows the body's length: a second opinion would be a way to smuggle.
            Name::ContentLength => {}
            Name::ContentType => self.content_type = Some(value.clone()),
            _ => self.write(name.as_str(), value.as_bytes()),
        }
    }

    pub(super) fn write(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.out.extend_from_slice(part);
        }
    }

    /// Writes a value that came from a peer's own message: on one line, but otherwise byte by byte, because the peer
    /// compares it. A NUL in a quoted pair is legal there (RFC 4475 §3.1.1.2).
    pub(super) fn echo(&mut self, name: Name, value: &[u8]) {
        let clean = |&b: &u8| if matches!(b, b'\r' | b'\n') { b' ' } else { b };
        let value: Vec<u8> = value.iter().map(clean).collect();
        self.write(name.as_str(), &value);
    }

    pub(super) fn body(&mut self, content_type: HeaderValue, body: Bytes) {
        self.content_type = Some(content_type);
        self.body = body;
    }

    pub(super) fn finish(mut self) -> Bytes {
        if let Some(content_type) = self.content_type.take() {
            self.write("Content-Type", content_type.as_bytes());
        }
        let length = self.body.len().to_string();
        self.write("Content-Length", length.as_bytes());
        self.out.extend_from_slice(b"\r\n");
        self.out.extend_from_slice(&self.body);
        // What is written is held for as long as its transaction.
        self.out.shrink_to_fit();
        self.out.into()
    }
}

/// Writes a request; headers stand in the order of the calls. Content-Length is always written, Max-Forwards where nobody
/// has set it.
#[derive(Clone, Debug)]
pub struct RequestBuilder {
    writer: Writer,
    has_max_forwards: bool,
}

impl RequestBuilder {
    /// A request line. A method that is no token loses what is none.
    #[must_use]
    pub fn new(method: &Method, uri: &Uri) -> Self {
        let method: String = method.as_str().chars().filter(|c| c.is_ascii() && is_token(&[*c as u8])).collect();
        let writer = Writer::new(format!("{method} {uri} SIP/2.0").as_bytes());
        Self { writer, has_max_forwards: false }
    }

    /// Any header. A name from outside goes through [`HeaderName::parse`]; Content-Length is not to be set.
    #[must_use]
    pub fn header(mut self, name: impl Into<HeaderName>, value: impl Into<HeaderValue>) -> Self {
        let name = name.into();
        self.has_max_forwards |= name.known() == Name::MaxForwards;
        self.writer.line(&name, &value.into());
        self
    }

    /// Every line of this name in another message, as it came: what ACK and CANCEL share with their INVITE
    /// (RFC 3261 §9.1, §17.1.1.3).
    #[must_use]
    pub fn copy(mut self, from: &Message, name: Name) -> Self {
        for value in from.lines(name) {
            self.has_max_forwards |= name == Name::MaxForwards;
            self.writer.echo(name, &value);
        }
        self
    }

    /// A Via; the first call writes the top one.
    #[must_use]
    pub fn via(self, via: &Via) -> Self {
        self.header(Name::Via, via)
    }

    /// Max-Forwards; 70 without this call.
    #[must_use]
    pub fn max_forwards(self, hops: u8) -> Self {
        self.header(Name::MaxForwards, hops)
    }

    /// A Route entry; first hop first.
    #[must_use]
    pub fn route(self, route: &NameAddr) -> Self {
        self.header(Name::Route, route)
    }

    /// From, with its tag.
    #[must_use]
    pub fn from(self, from: &NameAddr) -> Self {
        self.header(Name::From, from)
    }

    /// To.
    #[must_use]
    pub fn to(self, to: &NameAddr) -> Self {
        self.header(Name::To, to)
    }

    /// Call-ID.
    #[must_use]
    pub fn call_id(self, call_id: &str) -> Self {
        self.header(Name::CallId, call_id)
    }

    /// CSeq.
    #[must_use]
    pub fn cseq(self, seq: u32, method: &Method) -> Self {
        self.header(Name::CSeq, CSeq { seq, method: method.clone() })
    }

    /// Contact.
    #[must_use]
    pub fn contact(self, contact: &NameAddr) -> Self {
        self.header(Name::Contact, contact)
    }

    /// The body, with its type.
    #[must_use]
    pub fn body(mut self, content_type: impl Into<HeaderValue>, body: Bytes) -> Self {
        self.writer.body(content_type.into(), body);
        self
    }

    /// The message.
    #[must_use]
    pub fn build(mut self) -> Bytes {
        if !self.has_max_forwards {
            self.writer.write("Max-Forwards", MAX_FORWARDS.to_string().as_bytes());
        }
        self.writer.finish()
    }
}
