//! What can be wrong with a message, where, and what a server answers to it (RFC 3261 §8.2, §21.4; RFC 4475).

use super::{Name, StatusCode};
use std::borrow::Cow;
use std::fmt;

/// A fault in a message and the place it was found. A request is answered with [`ParseError::status`], a response is
/// discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{part}: {fault}")]
pub struct ParseError {
    /// Where.
    pub part: Part,
    /// What.
    pub fault: Fault,
}

/// A place in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The message as a whole.
    Message,
    /// Its first line.
    StartLine,
    /// The Request-URI.
    RequestUri,
    /// A URI or a value that stands by itself.
    Value,
    /// A header field.
    Header(Name),
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Message => f.write_str("message"),
            Self::StartLine => f.write_str("start line"),
            Self::RequestUri => f.write_str("Request-URI"),
            Self::Value => f.write_str("value"),
            Self::Header(name) => name.fmt(f),
        }
    }
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Nothing but line ends: a keep-alive (RFC 5626 §3.5.1), to be dropped without an answer.
    #[error("empty")]
    Empty,
    /// More than [`super::MAX_MESSAGE_BYTES`].
    #[error("too large")]
    TooLarge,
    /// More than [`super::MAX_HEADERS`] header lines.
    #[error("too many header fields")]
    TooManyHeaders,
    /// A header line of more than [`super::MAX_LINE_BYTES`].
    #[error("line too long")]
    LineTooLong,
    /// A CR or LF that is not a CRLF: read differently by different elements, so read by none.
    #[error("bare CR or LF")]
    BareLineBreak,
    /// The header section does not end.
    #[error("no empty line after the header fields")]
    NoEndOfHeaders,
    /// A line of the header section without a colon.
    #[error("header line without a colon")]
    NoColon,
    /// A header name that is no token.
    #[error("header name is no token")]
    BadHeaderName,
    /// SIP, but not 2.0.
    #[error("not SIP/2.0")]
    Version,
    /// A URI scheme that this switch does not route.
    #[error("unsupported URI scheme")]
    UriScheme,
    /// A URI of more than [`crate::uri::MAX_URI_BYTES`].
    #[error("URI too long")]
    UriTooLong,
    /// Obligatory and not there.
    #[error("missing")]
    Missing,
    /// There more than once where once is all that is allowed.
    #[error("repeated")]
    Repeated,
    /// A number out of its range.
    #[error("out of range")]
    Range,
    /// Content-Length promises more than there is, or not what there is.
    #[error("does not match the body")]
    BodyLength,
    /// Not what the grammar has (RFC 3261 §25.1); in words, what was expected.
    #[error("malformed: {0}")]
    Syntax(&'static str),
}

impl ParseError {
    pub(crate) const fn new(part: Part, fault: Fault) -> Self {
        Self { part, fault }
    }

    /// A fault in a value whose place is yet unknown.
    pub(crate) const fn syntax(expected: &'static str) -> Self {
        Self::new(Part::Value, Fault::Syntax(expected))
    }

    /// The same fault, at a known place.
    #[must_use]
    pub const fn at(self, part: Part) -> Self {
        Self { part, fault: self.fault }
    }

    /// What a server answers to a request with this fault (RFC 3261 §21).
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        match self.fault {
            Fault::TooLarge => StatusCode::REQUEST_ENTITY_TOO_LARGE,
            Fault::Version => StatusCode::VERSION_NOT_SUPPORTED,
            Fault::UriScheme => StatusCode::UNSUPPORTED_URI_SCHEME,
            Fault::UriTooLong => StatusCode::REQUEST_URI_TOO_LONG,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// The reason phrase for that answer: where a 400 came from is what its receiver needs to know (RFC 3261 §21.4.1).
    #[must_use]
    pub fn reason(&self) -> Cow<'static, str> {
        match (self.fault, self.part) {
            (Fault::TooLarge | Fault::Version | Fault::UriScheme | Fault::UriTooLong, _) => {
                self.status().reason().into()
            }
            (Fault::Missing, part) => format!("Missing {part}").into(),
            (Fault::Repeated, part) => format!("Repeated {part}").into(),
            (_, part) => format!("Bad {part}").into(),
        }
    }
}

/// A request that is answered and not processed: the response it gets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{status} {reason}")]
pub struct Reject {
    /// The status code.
    pub status: StatusCode,
    /// The reason phrase.
    pub reason: Cow<'static, str>,
    /// Header fields the response must carry (`Retry-After`, `Unsupported`, …).
    pub headers: Vec<(Name, String)>,
}

impl Reject {
    /// An answer with the default reason phrase.
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self { status, reason: status.reason().into(), headers: Vec::new() }
    }
}

impl From<ParseError> for Reject {
    fn from(error: ParseError) -> Self {
        Self { status: error.status(), reason: error.reason(), headers: Vec::new() }
    }
}
