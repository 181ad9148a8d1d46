//! SIP messages on the wire (RFC 3261 §7, §18.3, §25).
//!
//! [`Message`] is what has arrived: the bytes as they came and an index of their header lines, made in one pass without
//! an allocation. Typed headers are read when they are asked for; those that everybody asks for, once. Reading is lenient (folding, compact names, white
//! space, any bytes in values, RFC 2543), writing ([`RequestBuilder`], [`ResponseBuilder`]) is strict: no value can break out
//! of its line. [`check_request`] and [`check_response`] decide what is fit to be processed, [`Salvage`] what of a broken
//! request can still be answered.
//!
//! Nothing here panics on any input, allocates more than a small multiple of it, or looks at a byte more than a constant
//! number of times.

mod build;
mod check;
mod error;
mod fuzz;
mod header_name;
mod index;
mod lookup;
mod method;
mod name;
mod response;
mod salvage;
mod start_line;
mod status;
mod typed;

pub use build::{HeaderValue, RequestBuilder};
pub use check::{check_request, check_response};
pub use error::{Fault, ParseError, Part, Reject};
#[doc(hidden)]
pub use fuzz::fuzz;
pub use header_name::{BadHeaderName, HeaderName};
pub use method::Method;
pub use name::Name;
pub use response::ResponseBuilder;
pub use salvage::Salvage;
pub use status::StatusCode;
pub use typed::Contacts;

use crate::header::scan::split_list;
use crate::header::{CSeq, NameAddr, Via};
use bytes::Bytes;
use index::{Index, Line, Span};
use start_line::StartLine;
use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// The largest message that is read, in bytes: what a UDP datagram can carry. A larger one is answered 413.
pub const MAX_MESSAGE_BYTES: usize = 65_535;

/// The most header lines a message may have. One with more is answered 400.
pub const MAX_HEADERS: usize = 256;

/// The longest header line with its continuations, in bytes. A longer one makes its message a 400.
pub const MAX_LINE_BYTES: usize = 16_384;

/// A message as it arrived; immutable. A clone is the same message: it is handed from stratum to stratum by its handle.
#[derive(Clone)]
pub struct Message(Arc<Indexed>);

/// The bytes, and where what lies in them.
struct Indexed {
    bytes: Bytes,
    start: StartLine,
    end_of_start: u16,
    lines: Index,
    body_at: Span,
    /// Made when it is first asked for: slicing bytes that nobody shares yet costs an allocation.
    body: OnceLock<Bytes>,
    /// What everybody asks for, read once.
    from: OnceLock<Result<NameAddr, ParseError>>,
    to: OnceLock<Result<NameAddr, ParseError>>,
    top_via: OnceLock<Result<Via, ParseError>>,
    cseq: OnceLock<Result<CSeq, ParseError>>,
    contacts: OnceLock<Result<Vec<NameAddr>, ParseError>>,
}

impl Message {
    /// Reads one datagram (RFC 3261 §18.3). Line ends before the message are skipped; a body longer than Content-Length
    /// is cut, without Content-Length it is the rest of the datagram.
    ///
    /// # Errors
    /// Where no message can be made out: [`ParseError::status`] says what a request is answered, by means of [`Salvage`].
    pub fn parse(bytes: Bytes) -> Result<Self, ParseError> {
        Self::read(bytes, |length, rest| match length {
            None => Ok(rest),
            Some(length) if length <= rest => Ok(length),
            Some(_) => Err(Fault::BodyLength),
        })
    }

    /// Reads one message that framing has cut out of a stream: Content-Length is obligatory where there is a body, and
    /// must be its length (RFC 3261 §18.3, §20.14).
    ///
    /// # Errors
    /// As [`Message::parse`]; after an error the stream's framing is lost.
    pub fn parse_framed(bytes: Bytes) -> Result<Self, ParseError> {
        Self::read(bytes, |length, rest| match length {
            None if rest == 0 => Ok(0),
            None => Err(Fault::Missing),
            Some(length) if length == rest => Ok(length),
            Some(_) => Err(Fault::BodyLength),
        })
    }

    /// Reads a message whose body is as long as `body` makes it of Content-Length and of what there is.
    #[inline]
    fn read(bytes: Bytes, body: impl Fn(Option<usize>, usize) -> Result<usize, Fault>) -> Result<Self, ParseError> {
        if bytes.len() > MAX_MESSAGE_BYTES {
            return Err(ParseError::new(Part::Message, Fault::TooLarge));
        }
        let at = leading_line_ends(&bytes);
        if at == bytes.len() {
            return Err(ParseError::new(Part::Message, Fault::Empty));
        }
        let end = index::line_end(&bytes, at, Part::StartLine)?;
        let start = start_line::parse(&bytes, at, end)?;
        let mut lines = Index::new();
        let at = index::index(&bytes, end + 2, &mut lines)?;
        let length = body(content_length(&bytes, &lines)?, bytes.len() - at)
            .map_err(|fault| ParseError::new(Part::Header(Name::ContentLength), fault))?;
        let body_at = Span::new(at, at + length);
        let end_of_start = end as u16;
        Ok(Self(Arc::new(Indexed {
            start,
            end_of_start,
            lines,
            body_at,
            body: OnceLock::new(),
            from: OnceLock::new(),
            to: OnceLock::new(),
            top_via: OnceLock::new(),
            cseq: OnceLock::new(),
            contacts: OnceLock::new(),
            bytes,
        })))
    }

    fn each(&self, name: Name) -> impl Iterator<Item = &Line> {
        self.0.lines.iter().filter(move |line| line.name == name)
    }

    /// True for a request, false for a response.
    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(self.0.start, StartLine::Request { .. })
    }

    /// The status code of a response.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        match self.0.start {
            StartLine::Response { status, .. } => Some(status),
            StartLine::Request { .. } => None,
        }
    }

    /// The reason phrase of a response, as far as it is UTF-8; empty for a request.
    #[must_use]
    pub fn reason_phrase(&self) -> Cow<'_, str> {
        match self.0.start {
            StartLine::Response { reason, .. } => String::from_utf8_lossy(reason.of(&self.0.bytes)),
            StartLine::Request { .. } => Cow::Borrowed(""),
        }
    }

    /// The first line for ladders and logs: control characters and what is not UTF-8 are escaped.
    #[must_use]
    pub fn start_line(&self) -> Cow<'_, str> {
        let start = leading_line_ends(&self.0.bytes);
        let text =
            String::from_utf8_lossy(self.0.bytes.get(start..usize::from(self.0.end_of_start)).unwrap_or_default());
        if text.chars().any(char::is_control) {
            text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.into() }).collect()
        } else {
            text
        }
    }

    /// The value of the first header line of this name, on one line and trimmed.
    #[must_use]
    pub fn header(&self, name: Name) -> Option<Cow<'_, [u8]>> {
        self.each(name).next().map(|line| line.value(&self.0.bytes))
    }

    /// As [`Message::header`], with what is not UTF-8 replaced.
    #[must_use]
    pub fn header_str(&self, name: Name) -> Option<Cow<'_, str>> {
        self.header(name).map(lossy)
    }

    /// The first header line of any name, known or not: case does not matter, and a compact form finds the long one.
    #[must_use]
    pub fn header_named(&self, name: &str) -> Option<Cow<'_, [u8]>> {
        self.lines_named(name).next()
    }

    /// As [`Message::header_named`], for every line.
    pub fn lines_named<'a, 'n>(&'a self, name: &'n str) -> impl Iterator<Item = Cow<'a, [u8]>> + use<'a, 'n> {
        let known = Name::from_bytes(name.as_bytes());
        self.each(known)
            .filter(move |line| {
                known != Name::Other || line.name_text(&self.0.bytes).eq_ignore_ascii_case(name.as_bytes())
            })
            .map(|line| line.value(&self.0.bytes))
    }

    /// The value of every header line of this name, each on one line and trimmed, in order.
    pub fn lines(&self, name: Name) -> impl Iterator<Item = Cow<'_, [u8]>> {
        self.each(name).map(|line| line.value(&self.0.bytes))
    }

    /// The values of a list header, across lines and across commas, in order. Quotes, angle brackets and comments are
    /// respected.
    pub fn values(&self, name: Name) -> impl Iterator<Item = Cow<'_, [u8]>> {
        self.each(name).flat_map(|line| split_list(line.raw(&self.0.bytes)).map(|value| line.on_one_line(value)))
    }

    /// All header lines in order: the name as it was written, and the value on one line.
    pub fn headers(&self) -> impl Iterator<Item = (&[u8], Cow<'_, [u8]>)> {
        self.0.lines.iter().map(|line| (line.name_text(&self.0.bytes), line.value(&self.0.bytes)))
    }

    /// How many header lines have this name.
    #[must_use]
    pub fn count(&self, name: Name) -> usize {
        self.each(name).count()
    }

    /// The body; of an INVITE or what belongs to one that came to an endpoint in several parts, the session description
    /// alone.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        self.0.body.get_or_init(|| match self.0.body_at.of(&self.0.bytes) {
            [] => Bytes::new(),
            body => self.0.bytes.slice_ref(body),
        })
    }

    /// With this part of its body in place of the whole; a message that is shared stays as it is.
    pub(crate) fn with_part(mut self, part: Bytes) -> Self {
        if let Some(message) = Arc::get_mut(&mut self.0) {
            message.body = OnceLock::from(part);
        }
        self
    }

    /// True where [`Message::body`] is a part of what came.
    pub(crate) fn is_part(&self) -> bool {
        self.body().len() != self.0.body_at.of(&self.0.bytes).len()
    }

    /// All that arrived, line ends before the message and octets after the body included.
    #[must_use]
    pub fn raw(&self) -> &Bytes {
        &self.0.bytes
    }
}

impl fmt::Debug for Message {
    /// The first line and the Call-ID: whole messages carry credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({:?}, Call-ID {:?})", self.start_line(), self.header_str(Name::CallId))
    }
}

/// Content-Length, where there is one; two that differ are a way to smuggle a message past someone (RFC 4475 §3.3.9).
fn content_length(bytes: &[u8], lines: &Index) -> Result<Option<usize>, ParseError> {
    let fault = |fault| ParseError::new(Part::Header(Name::ContentLength), fault);
    let mut found = None;
    for line in lines.iter().filter(|line| line.name == Name::ContentLength) {
        let length = digits(line.raw(bytes)).ok_or(fault(Fault::Syntax("a number")))?;
        if found.is_some_and(|other| other != length) {
            return Err(fault(Fault::Repeated));
        }
        found = Some(length);
    }
    Ok(found)
}

/// How many bytes of line ends come before the message (RFC 3261 §7.5).
fn leading_line_ends(bytes: &[u8]) -> usize {
    bytes.iter().position(|&b| !matches!(b, b'\r' | b'\n')).unwrap_or(bytes.len())
}

/// A number of digits only; one too big for any use is the biggest there is.
fn digits(text: &[u8]) -> Option<usize> {
    let digit =
        |sum: usize, b: &u8| b.is_ascii_digit().then(|| sum.saturating_mul(10).saturating_add(usize::from(b - b'0')));
    text.iter().try_fold(0, digit).filter(|_| !text.is_empty())
}

/// Text of it, what is not UTF-8 replaced.
fn lossy(bytes: Cow<'_, [u8]>) -> Cow<'_, str> {
    match bytes {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    }
}
