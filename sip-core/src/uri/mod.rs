//! URIs: `sip:`, `sips:`, `tel:`, and any other kept as it is (RFC 3261 §19.1, RFC 3966).
//!
//! A [`Uri`] holds valid text and knows its parts. Escapes are kept as they were written: a user part that unescapes to
//! `bob@evil.example` stays one user part and is never read as a second URI (RFC 4475 §3.1.1.3).

mod compare;
mod escape;
mod fuzz;
mod host;

#[doc(hidden)]
pub use fuzz::fuzz;
pub use host::{Host, HostName};

use crate::message::{Fault, ParseError, Part};
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
    /// Reads a URI.
    ///
    /// # Errors
    /// On white space, quotes and angle brackets anywhere, a missing scheme or host, a port out of range, empty
    /// parameters, and more than [`MAX_URI_BYTES`].
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        if text.len() > MAX_URI_BYTES {
            return Err(ParseError::new(Part::Value, Fault::UriTooLong));
        }
        let colon = memchr::memchr(b':', text).ok_or(ParseError::syntax("a URI scheme"))?;
        let (scheme, rest) = (&text[..colon], &text[colon + 1..]);
        if !is_scheme(scheme) || rest.is_empty() {
            return Err(ParseError::syntax("a URI"));
        }
        match scheme_of(scheme) {
            Scheme::Other => Ok(Self::opaque(escape::clean(text, b"%#\\^`{|}")?)),
            Scheme::Tel => Self::parse_tel(escape::clean(text, b"#")?),
            known => Self::parse_sip(known, escape::clean(text, b"")?),
        }
    }

    /// A SIP URI. The user is plain text and is escaped as needed; without one, `None`.
    #[must_use]
    pub fn sip(user: Option<&str>, host: impl Into<Host>, port: Option<u16>) -> Self {
        Self::assemble("sip", user.map(|user| escape::escape(user, escape::is_user)), host.into(), port)
    }

    /// A SIPS URI, else as [`Uri::sip`].
    #[must_use]
    pub fn sips(user: Option<&str>, host: impl Into<Host>, port: Option<u16>) -> Self {
        Self::assemble("sips", user.map(|user| escape::escape(user, escape::is_user)), host.into(), port)
    }

    fn assemble(scheme: &str, user: Option<Cow<'_, str>>, host: Host, port: Option<u16>) -> Self {
        let user = user.filter(|user| !user.is_empty());
        let mut text = format!("{scheme}:");
        let start = text.len();
        let user = user.map(|user| {
            text.push_str(&user);
            text.push('@');
            Span::new(start, text.len() - 1)
        });
        text.push_str(&host.to_string());
        if let Some(port) = port {
            text.push_str(&format!(":{port}"));
        }
        let end = text.len();
        Self {
            text: text.into(),
            scheme: scheme_of(scheme.as_bytes()),
            user,
            password: None,
            host: Some(host),
            port,
            params: Span::new(end, end),
            headers: None,
        }
    }

    fn opaque(text: String) -> Self {
        let end = text.len();
        Self {
            text: text.into(),
            scheme: Scheme::Other,
            user: None,
            password: None,
            host: None,
            port: None,
            params: Span::new(end, end),
            headers: None,
        }
    }

    /// `tel:number;params` (RFC 3966 §3).
    fn parse_tel(text: String) -> Result<Self, ParseError> {
        let start = find(&text, b':').map_or(0, |colon| colon + 1);
        let semi = find(&text[start..], b';').map_or(text.len(), |at| start + at);
        let number = &text[start..semi];
        let digit = |b: u8| b.is_ascii_hexdigit() || matches!(b, b'*' | b'#');
        let fits = |b: u8| digit(b) || matches!(b, b'-' | b'.' | b'(' | b')');
        let digits = number.strip_prefix('+').unwrap_or(number);
        if !digits.bytes().all(fits) || !digits.bytes().any(digit) {
            return Err(ParseError::syntax("a telephone number"));
        }
        check_params(&text[semi..])?;
        let params = Span::new(semi, text.len());
        Ok(Self { scheme: Scheme::Tel, user: Some(Span::new(start, semi)), params, ..Self::opaque(text) })
    }

    /// `sip:[user[:password]@]host[:port][;params][?headers]` (RFC 3261 §19.1.1).
    fn parse_sip(scheme: Scheme, text: String) -> Result<Self, ParseError> {
        let start = find(&text, b':').map_or(0, |colon| colon + 1);
        let at = find(&text, b'@');
        let userinfo = at.map(|at| Span::new(start, at));
        let (user, password) = split_userinfo(&text, userinfo)?;
        let host_start = at.map_or(start, |at| at + 1);
        if find(&text[host_start..], b'@').is_some() {
            return Err(ParseError::syntax("one @"));
        }
        let question = find(&text[host_start..], b'?').map_or(text.len(), |at| host_start + at);
        let semi = find(&text[host_start..question], b';').map_or(question, |at| host_start + at);
        let (host, port) = host_port(&text[host_start..semi])?;
        check_params(&text[semi..question])?;
        let headers = (question < text.len()).then(|| Span::new(question + 1, text.len()));
        if pairs(headers.map_or("", |span| span.of(&text)), b'&').nth(MAX_URI_PARAMS).is_some() {
            return Err(ParseError::syntax("fewer URI headers"));
        }
        Ok(Self {
            scheme,
            user,
            password,
            host: Some(host),
            port,
            params: Span::new(semi, question),
            headers,
            text: text.into(),
        })
    }

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
        [Transport::Udp, Transport::Tcp, Transport::Tls].into_iter().find(|t| t.as_str().eq_ignore_ascii_case(text))
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

    /// This with another user: plain text, escaped as needed; `None` takes it away, with the password. Unchanged where it
    /// is no SIP URI.
    #[must_use]
    pub fn with_user(self, user: Option<&str>) -> Self {
        self.with_user_text(user.map(|user| escape::escape(user, escape::is_user).into_owned()))
    }

    /// This with a parameter set, in place of any of that name; name and value are escaped as needed. Unchanged where the
    /// name is empty or the scheme unknown.
    #[must_use]
    pub fn with_param(self, name: &str, value: Option<&str>) -> Self {
        if name.is_empty() {
            return self;
        }
        let kept = self.without_param(name);
        let mut params = kept.params.of(&kept.text).to_owned();
        params.push(';');
        params.push_str(&escape::escape(name, escape::is_param));
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            params.push('=');
            params.push_str(&escape::escape(value, escape::is_param));
        }
        kept.with_params(&params)
    }

    /// This without a parameter.
    #[must_use]
    pub fn without_param(self, name: &str) -> Self {
        let mut params = String::new();
        for (given, value) in self.params().filter(|(given, _)| !given.eq_ignore_ascii_case(name)) {
            params.push(';');
            params.push_str(given);
            if let Some(value) = value {
                params.push('=');
                params.push_str(value);
            }
        }
        self.with_params(&params)
    }

    /// This without what stands after `?`: what may be used as a Request-URI (RFC 3261 §19.1.1, table 1).
    #[must_use]
    pub fn without_headers(mut self) -> Self {
        if self.headers.take().is_some() {
            self.text = self.text[..self.params.end].into();
        }
        self
    }

    /// This with these parameters, already escaped and each with its `;`.
    fn with_params(self, params: &str) -> Self {
        if self.scheme == Scheme::Other {
            return self;
        }
        let Span { start, end } = self.params;
        let text = format!("{}{params}{}", &self.text[..start], &self.text[end..]);
        let params = Span::new(start, start + params.len());
        let headers = self.headers.map(|_| Span::new(params.end + 1, text.len()));
        Self { params, headers, text: text.into(), ..self }
    }

    /// This with the user part of another URI, escapes and all; its password is not taken.
    #[must_use]
    pub fn with_user_of(self, other: &Self) -> Self {
        let user = other.user().map(|user| escape::escape(user, |b| escape::is_user(b) || b == b'%').into_owned());
        self.with_user_text(user)
    }

    fn with_user_text(self, user: Option<String>) -> Self {
        let Some(host) = self.host.clone().filter(|_| self.is_sip()) else { return self };
        let scheme = if self.scheme == Scheme::Sips { "sips" } else { "sip" };
        let mut uri =
            Self::assemble(scheme, user.map(Cow::Owned), host, self.port).with_params(self.params.of(&self.text));
        if let Some(headers) = self.headers {
            let start = uri.text.len() + 1;
            uri.text = format!("{}?{}", uri.text, headers.of(&self.text)).into();
            uri.headers = Some(Span::new(start, uri.text.len()));
        }
        uri
    }
}

fn scheme_of(text: &[u8]) -> Scheme {
    match text {
        _ if text.eq_ignore_ascii_case(b"sip") => Scheme::Sip,
        _ if text.eq_ignore_ascii_case(b"sips") => Scheme::Sips,
        _ if text.eq_ignore_ascii_case(b"tel") => Scheme::Tel,
        _ => Scheme::Other,
    }
}

/// `ALPHA *( ALPHA / DIGIT / "+" / "-" / "." )`.
fn is_scheme(text: &[u8]) -> bool {
    text.first().is_some_and(u8::is_ascii_alphabetic)
        && text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

fn split_userinfo(text: &str, userinfo: Option<Span>) -> Result<(Option<Span>, Option<Span>), ParseError> {
    let Some(span) = userinfo else { return Ok((None, None)) };
    let Span { start, end } = span;
    let colon = find(span.of(text), b':').map(|at| start + at);
    let user = Span::new(start, colon.unwrap_or(end));
    let password = colon.map(|colon| Span::new(colon + 1, end));
    let fits = |part: &str| part.bytes().all(|b| escape::is_user(b) || b == b'%');
    let is_well_formed = user.start < user.end && fits(user.of(text)) && password.is_none_or(|p| fits(p.of(text)));
    if is_well_formed { Ok((Some(user), password)) } else { Err(ParseError::syntax("a user")) }
}

fn host_port(text: &str) -> Result<(Host, Option<u16>), ParseError> {
    let after_brackets = memchr::memrchr(b']', text.as_bytes()).map_or(0, |at| at + 1);
    match find(&text[after_brackets..], b':').map(|at| after_brackets + at) {
        None => Ok((Host::parse(text.as_bytes())?, None)),
        Some(colon) => Ok((Host::parse(&text.as_bytes()[..colon])?, Some(port(&text.as_bytes()[colon + 1..])?))),
    }
}

/// A port: digits, 1 to 65,535.
pub(crate) fn port(digits: &[u8]) -> Result<u16, ParseError> {
    let digit = |sum: u16, b: &u8| b.is_ascii_digit().then_some(sum)?.checked_mul(10)?.checked_add(u16::from(b - b'0'));
    digits.iter().try_fold(0, digit).filter(|&port| port > 0).ok_or(ParseError::syntax("a port"))
}

fn check_params(params: &str) -> Result<(), ParseError> {
    let fits = |part: &str| part.bytes().all(|b| escape::is_param(b) || matches!(b, b'%' | b'=' | b'?' | b',' | b'#'));
    let is_well_formed = |(name, value): (&str, Option<&str>)| !name.is_empty() && fits(name) && value.is_none_or(fits);
    let all = pairs(params, b';').enumerate().all(|(n, pair)| n < MAX_URI_PARAMS && is_well_formed(pair));
    if all { Ok(()) } else { Err(ParseError::syntax("URI parameters")) }
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
    find(text, separator).map_or((text, None), |at| (&text[..at], Some(&text[at + 1..])))
}

fn find(text: &str, byte: u8) -> Option<usize> {
    memchr::memchr(byte, text.as_bytes())
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
