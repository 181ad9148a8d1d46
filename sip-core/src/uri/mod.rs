//! URIs: `sip:`, `sips:`, `tel:`, and any other kept as it is (RFC 3261 §19.1, RFC 3966).
//!
//! A [`Uri`] holds valid text and knows its parts. Escapes are kept as they were written: a user part that unescapes to
//! `bob@evil.example` stays one user part and is never read as a second URI (RFC 4475 §3.1.1.3).

mod change;
mod compare;
mod escape;
mod fuzz;
mod host;
mod parse;

pub(crate) use escape::{escape_header, unescape};
#[doc(hidden)]
pub use fuzz::fuzz;
pub use host::{Host, HostName};
pub(crate) use parse::port;

use crate::message::ParseError;
use crate::transport::Transport;
use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::str::FromStr;

/// The longest URI that is read, in bytes. A longer Request-URI is answered 414, elsewhere it is a malformed header.
pub const MAX_URI_BYTES: usize = 8_192;

/// The most parameters, and the most headers, a URI may have; one with more is malformed. It keeps comparing bounded.
const MAX_URI_PARAMS: usize = 64;

/// What kind of URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`: TLS on every hop.
    Sips,
    /// `tel:` (RFC 3966).
    Tel,
    /// Any other: the text is opaque.
    Other,
}

/// A part of the text.
#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: usize,
    end: usize,
}

impl Span {
    const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    fn of(self, text: &str) -> &str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// A URI. `==` compares the text; [`Uri::equivalent`] compares as RFC 3261 §19.1.4 has it.
#[derive(Clone)]
pub struct Uri {
    text: Box<str>,
    scheme: Scheme,
    /// User of a SIP URI, number of a tel URI.
    user: Option<Span>,
    password: Option<Span>,
    host: Option<Host>,
    port: Option<u16>,
    /// Everything from the first `;` of the parameters to their end.
    params: Span,
    /// Everything after `?`.
    headers: Option<Span>,
}

impl Uri {
    /// Which scheme.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// True for `sip:` and `sips:`.
    #[must_use]
    pub const fn is_sip(&self) -> bool {
        matches!(self.scheme, Scheme::Sip | Scheme::Sips)
    }

    /// All of it, as it is written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The user as it is written, escapes and all; the number of a `tel:` URI.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.map(|span| span.of(&self.text))
    }

    /// The user with its escapes resolved: for comparing and for people, never to be put into a URI as it is. What is not
    /// UTF-8 is replaced.
    #[must_use]
    pub fn user_unescaped(&self) -> Option<Cow<'_, str>> {
        self.user().map(|user| match escape::unescape(user) {
            Cow::Borrowed(_) => Cow::Borrowed(user),
            Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
        })
    }

    /// The password as it is written. Its use is not recommended (RFC 3261 §19.1.1), and it must not be logged.
    #[must_use]
    pub fn password(&self) -> Option<&str> {
        self.password.map(|span| span.of(&self.text))
    }

    /// The host; none for `tel:` and unknown schemes.
    #[must_use]
    pub const fn host(&self) -> Option<&Host> {
        self.host.as_ref()
    }

    /// The port, where one is named.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The value of a parameter as it is written; empty where it has none. Names compare without case, and an escaped name
    /// is not the plain one: `%6C%72` is not `lr`.
    #[must_use]
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.unwrap_or_default())
    }

    /// Name and value of each parameter, in order.
    pub fn params(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        pairs(self.params.of(&self.text), b';')
    }

    /// Name and value of each header after `?`, in order. They are data: making real headers of them is a decision
    /// (RFC 3261 §19.1.5).
    pub fn headers(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        pairs(self.headers.map_or("", |span| span.of(&self.text)), b'&')
    }

    /// True where there is a `?`.
    #[must_use]
    pub const fn has_headers(&self) -> bool {
        self.headers.is_some()
    }

    /// The `transport` parameter, where it is one that this switch speaks.
    #[must_use]
    pub fn transport(&self) -> Option<Transport> {
        let text = self.param("transport")?;
        Transport::ALL.into_iter().find(|t| t.as_str().eq_ignore_ascii_case(text))
    }

    /// True where the `lr` parameter marks a loose router (RFC 3261 §16.12).
    #[must_use]
    pub fn is_lr(&self) -> bool {
        self.param("lr").is_some()
    }

    /// The digits of a `tel:` URI without visual separators (RFC 3966 §5.1.1).
    #[must_use]
    pub fn tel_digits(&self) -> Option<String> {
        let number = self.user().filter(|_| self.scheme == Scheme::Tel)?;
        Some(number.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect())
    }
}

/// `name=value` between separators; a separator before the first does not count.
fn pairs(text: &str, separator: u8) -> impl Iterator<Item = (&str, Option<&str>)> {
    let inner = if text.as_bytes().first() == Some(&separator) { &text[1..] } else { text };
    let mut rest = (!text.is_empty()).then_some(inner);
    std::iter::from_fn(move || {
        let (pair, after) = cut(rest?, separator);
        rest = after;
        Some(cut(pair, b'='))
    })
}

/// What comes before a separator, and what after, where there is one.
fn cut(text: &str, separator: u8) -> (&str, Option<&str>) {
    memchr::memchr(separator, text.as_bytes()).map_or((text, None), |at| (&text[..at], Some(&text[at + 1..])))
}

impl PartialEq for Uri {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Uri {}

impl Hash for Uri {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialOrd for Uri {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Uri {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl FromStr for Uri {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}
