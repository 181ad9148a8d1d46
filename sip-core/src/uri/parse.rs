//! Reading a URI: where its parts lie (RFC 3261 §19.1.1, §25.1; RFC 3966 §3).

use super::{Host, MAX_URI_BYTES, MAX_URI_PARAMS, Scheme, Span, Uri, escape, pairs};
use crate::message::{Fault, ParseError, Part};

impl Uri {
    /// Reads a URI.
    ///
    /// # Errors
    /// On white space, quotes and angle brackets anywhere, a missing scheme or host, a port out of range, empty
    /// parameters, and more than [`MAX_URI_BYTES`].
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        let too_long = ParseError::new(Part::Value, Fault::UriTooLong);
        if text.len() > MAX_URI_BYTES {
            return Err(too_long);
        }
        let colon = memchr::memchr(b':', text).ok_or(ParseError::syntax("a URI scheme"))?;
        let (scheme, rest) = (&text[..colon], &text[colon + 1..]);
        if !is_scheme(scheme) || rest.is_empty() {
            return Err(ParseError::syntax("a URI"));
        }
        let scheme = scheme_of(scheme);
        let verbatim: &[u8] = match scheme {
            Scheme::Other => b"%#\\^`{|}",
            Scheme::Tel => b"#",
            Scheme::Sip | Scheme::Sips => b"",
        };
        let clean = escape::clean(text, verbatim)?;
        match scheme {
            _ if clean.len() > MAX_URI_BYTES => Err(too_long),
            Scheme::Other => Ok(Self::opaque(clean)),
            Scheme::Tel => Self::parse_tel(clean),
            known => Self::parse_sip(known, clean),
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
}

pub(super) fn scheme_of(text: &[u8]) -> Scheme {
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

fn find(text: &str, byte: u8) -> Option<usize> {
    memchr::memchr(byte, text.as_bytes())
}
