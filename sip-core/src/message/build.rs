//! Writing requests, and what both writers share. Whatever a value holds, it stays in its line: control characters become
//! spaces, so that no CR, LF or NUL of a caller reaches the wire.

use super::{HeaderName, Message, Method, Name};
use crate::header::scan::{is_token, trim};
use crate::header::{CSeq, ContentType, NameAddr, Params, Via};
use crate::uri::Uri;
use bytes::Bytes;
use std::borrow::Cow;
use std::fmt;
use std::io::Write as _;

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

/// What has no place in a line.
const fn is_stray(byte: u8) -> bool {
    byte.is_ascii_control() && byte != b'\t'
}

/// Spaces in place of what has no place in a line.
fn clean(value: &mut [u8]) {
    for byte in value.iter_mut().filter(|byte| is_stray(**byte)) {
        *byte = b' ';
    }
}

impl From<Vec<u8>> for HeaderValue {
    fn from(mut value: Vec<u8>) -> Self {
        clean(&mut value);
        let (start, end) = (value.len() - value.trim_ascii_start().len(), value.trim_ascii_end().len());
        value.truncate(end);
        value.drain(..start.min(end));
        Self(value)
    }
}

impl From<&[u8]> for HeaderValue {
    fn from(value: &[u8]) -> Self {
        Self::from(trim(value).to_vec())
    }
}

impl From<String> for HeaderValue {
    fn from(value: String) -> Self {
        Self::from(value.into_bytes())
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
    &str, &String, Bytes;
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
    /// With room for a usual message.
    pub(super) fn new() -> Self {
        Self { out: Vec::with_capacity(USUAL_BYTES), content_type: None, body: Bytes::new() }
    }

    /// Any header, of a name that is a token.
    pub(super) fn text(&mut self, name: &str, value: &[u8]) {
        match Name::from_bytes(name.as_bytes()) {
            // The writer alone knows the body's length: a second opinion would be a way to smuggle.
            Name::ContentLength => {}
            Name::ContentType => self.content_type = Some(value.into()),
            _ => {
                self.push(name.as_bytes());
                self.push(b": ");
                let start = self.out.len();
                self.push(trim(value));
                clean(self.out.get_mut(start..).unwrap_or_default());
                self.push(b"\r\n");
            }
        }
    }

    /// A header of ours, whose value cannot end its line.
    pub(super) fn write(&mut self, name: &str, value: &[u8]) {
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.out.extend_from_slice(part);
        }
    }

    /// Text as it is: of a line that is put together of several.
    pub(super) fn push(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }

    /// What a value shows of itself, fit for a line.
    pub(super) fn push_shown(&mut self, value: &impl fmt::Display) {
        let start = self.out.len();
        // A Vec takes all that is written.
        let _ = write!(self.out, "{value}");
        clean(self.out.get_mut(start..).unwrap_or_default());
    }

    /// A header with a value of ours.
    pub(super) fn show(&mut self, name: Name, value: &impl fmt::Display) {
        self.push(name.as_str().as_bytes());
        self.push(b": ");
        self.push_shown(value);
        self.push(b"\r\n");
    }

    /// Writes a value that came from a peer's own message: on one line, but otherwise byte by byte, because the peer
    /// compares it. A NUL in a quoted pair is legal there (RFC 4475 §3.1.1.2).
    pub(super) fn echo(&mut self, name: Name, value: &[u8]) {
        self.push(name.as_str().as_bytes());
        self.push(b": ");
        self.push_echo(value);
        self.push(b"\r\n");
    }

    /// The value alone.
    pub(super) fn push_echo(&mut self, value: &[u8]) {
        let start = self.out.len();
        self.push(value);
        for byte in self.out.iter_mut().skip(start).filter(|byte| matches!(byte, b'\r' | b'\n')) {
            *byte = b' ';
        }
    }

    /// All that another has written, and its body.
    pub(super) fn append(&mut self, other: Self) {
        self.push(&other.out);
        self.content_type = other.content_type;
        self.body = other.body;
    }

    pub(super) fn body(&mut self, content_type: HeaderValue, body: Bytes) {
        self.content_type = Some(content_type);
        self.body = body;
    }

    pub(super) fn finish(mut self) -> Bytes {
        if let Some(content_type) = self.content_type.take() {
            self.write("Content-Type", content_type.as_bytes());
        }
        let length = self.body.len();
        self.show(Name::ContentLength, &length);
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
        let mut writer = Writer::new();
        method.as_str().bytes().filter(|byte| is_token(&[*byte])).for_each(|byte| writer.push(&[byte]));
        writer.push(b" ");
        writer.push_shown(uri);
        writer.push(b" SIP/2.0\r\n");
        Self { writer, has_max_forwards: false }
    }

    /// Any header. A name from outside goes through [`HeaderName::parse`]; Content-Length is not to be set.
    #[must_use]
    pub fn header(mut self, name: impl Into<HeaderName>, value: impl Into<HeaderValue>) -> Self {
        let name = name.into();
        self.has_max_forwards |= name.known() == Name::MaxForwards;
        self.writer.text(name.as_str(), value.into().as_bytes());
        self
    }

    /// As [`RequestBuilder::header`]; a name that is no token is left out.
    #[must_use]
    pub fn text(mut self, name: &str, value: &str) -> Self {
        if is_token(name.as_bytes()) {
            self.has_max_forwards |= Name::from_bytes(name.as_bytes()) == Name::MaxForwards;
            self.writer.text(name, value.as_bytes());
        }
        self
    }

    /// A header of ours, written where it stands.
    fn show(mut self, name: Name, value: &impl fmt::Display) -> Self {
        self.writer.show(name, value);
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
        self.show(Name::Via, via)
    }

    /// Max-Forwards; 70 without this call.
    #[must_use]
    pub fn max_forwards(mut self, hops: u8) -> Self {
        self.has_max_forwards = true;
        self.show(Name::MaxForwards, &hops)
    }

    /// A Route entry; first hop first.
    #[must_use]
    pub fn route(self, route: &NameAddr) -> Self {
        self.show(Name::Route, route)
    }

    /// From, with its tag.
    #[must_use]
    pub fn from(self, from: &NameAddr) -> Self {
        self.show(Name::From, from)
    }

    /// To.
    #[must_use]
    pub fn to(self, to: &NameAddr) -> Self {
        self.show(Name::To, to)
    }

    /// Call-ID.
    #[must_use]
    pub fn call_id(self, call_id: &str) -> Self {
        self.show(Name::CallId, &call_id)
    }

    /// CSeq.
    #[must_use]
    pub fn cseq(self, seq: u32, method: &Method) -> Self {
        self.show(Name::CSeq, &format_args!("{seq} {method}"))
    }

    /// Contact.
    #[must_use]
    pub fn contact(self, contact: &NameAddr) -> Self {
        self.show(Name::Contact, contact)
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
            self.writer.show(Name::MaxForwards, &MAX_FORWARDS);
        }
        self.writer.finish()
    }
}
