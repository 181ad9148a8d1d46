//! Parameters: `;name=value` after a header value, and `name=value, …` of an authentication scheme (RFC 3261 §7.3.1,
//! §25.1).

use super::scan::{Scan, is_lws, is_token, quote, unquote};
use crate::message::ParseError;
use std::borrow::Cow;
use std::fmt;

/// Header parameters in order. Names are case-insensitive; of two with the same name the first counts. Kept as the text
/// that is written: `;tag=x;lr`, without white space, and without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Params(String);

impl Params {
    /// No parameters.
    #[must_use]
    pub const fn new() -> Self {
        Self(String::new())
    }

    /// Reads parameters to the end of the value.
    ///
    /// # Errors
    /// On an empty parameter (RFC 4475 §3.1.2.1), an unclosed quote, or anything else that is no parameter.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        Self::read(Scan::new(text))
    }

    pub(crate) fn read(mut scan: Scan<'_>) -> Result<Self, ParseError> {
        let mut params = Self(String::with_capacity(scan.rest().len()));
        loop {
            scan.lws();
            if scan.is_empty() {
                return Ok(params);
            }
            if !scan.separator(b';') {
                return Err(ParseError::syntax("a semicolon"));
            }
            let name = scan.token("a parameter name")?;
            let value = if scan.separator(b'=') { read_value(&mut scan)? } else { b"" };
            params.0.push(';');
            push_text(&mut params.0, name);
            if !value.is_empty() {
                params.0.push('=');
                push_text(&mut params.0, value);
            }
        }
    }

    /// The value of a parameter as it is written, quotes included; empty where it has none.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value.unwrap_or_default())
    }

    /// The value of a parameter without quotes and backslashes.
    #[must_use]
    pub fn get_unquoted(&self, name: &str) -> Option<Cow<'_, str>> {
        self.get(name).map(unquote)
    }

    /// True where there is a parameter of this name, with or without a value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Name and value of each, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Option<&str>)> {
        let mut rest = self.0.as_str();
        std::iter::from_fn(move || {
            rest = rest.strip_prefix(';')?;
            let (param, after) = rest.split_at(end_of_param(rest));
            rest = after;
            Some(param.split_once('=').map_or((param, None), |(name, value)| (name, Some(value))))
        })
    }

    /// Bytes that they are when they are written.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    /// True where there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets a parameter: in its place where it is already there, at the end otherwise. A value that is neither a token
    /// nor a host is quoted; a name that is no token changes nothing.
    pub fn set(&mut self, name: &str, value: Option<&str>) {
        if !is_token(name.as_bytes()) {
            return;
        }
        let value = value.filter(|value| !value.is_empty()).map(bare_or_quoted);
        let parts = [";", name, value.as_ref().map_or("", |_| "="), value.as_deref().unwrap_or_default()];
        match self.place(name) {
            Some(place) => self.0.replace_range(place, &parts.concat()),
            None => {
                self.0.reserve(parts.iter().map(|part| part.len()).sum());
                self.0.extend(parts);
            }
        }
    }

    /// This with a parameter set: [`Params::set`] for building.
    #[must_use]
    pub fn with(mut self, name: &str, value: Option<&str>) -> Self {
        self.set(name, value);
        self
    }

    /// Takes away every parameter of this name.
    pub fn remove(&mut self, name: &str) {
        let mut kept = String::with_capacity(self.0.len());
        for (given, value) in self.iter().filter(|(given, _)| !given.eq_ignore_ascii_case(name)) {
            kept.extend([";", given, value.map_or("", |_| "="), value.unwrap_or_default()]);
        }
        self.0 = kept;
    }

    fn place(&self, name: &str) -> Option<std::ops::Range<usize>> {
        let mut at = 0;
        while let Some(param) = self.0.get(at + 1..) {
            let end = at + 1 + end_of_param(param);
            let given = self.0.get(at + 1..end).unwrap_or_default();
            if given.split('=').next().is_some_and(|given| given.eq_ignore_ascii_case(name)) {
                return Some(at..end);
            }
            at = end;
        }
        None
    }
}

impl fmt::Display for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A parameter's value: a quoted string, or anything up to the next separator (a token, a host, a bracketed IPv6).
fn read_value<'a>(scan: &mut Scan<'a>) -> Result<&'a [u8], ParseError> {
    if scan.peek() == Some(b'"') {
        return scan.quoted();
    }
    let value = scan.take_while(|b| !is_lws(b) && !matches!(b, b';' | b',' | b'"' | b'<' | b'>'));
    if value.iter().any(u8::is_ascii_control) { Err(ParseError::syntax("a parameter value")) } else { Ok(value) }
}

fn push_text(out: &mut String, text: &[u8]) {
    match std::str::from_utf8(text) {
        Ok(text) if !text.bytes().any(|b| b.is_ascii_control()) => out.push_str(text),
        _ => out.extend(String::from_utf8_lossy(text).chars().map(|c| if c.is_ascii_control() { ' ' } else { c })),
    }
}

/// Where the parameter that `text` begins with ends: at a semicolon outside of quotes.
fn end_of_param(text: &str) -> usize {
    let (mut quoted, mut escaped) = (false, false);
    let end = text.bytes().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b';' => return !quoted,
            _ => {}
        }
        false
    });
    end.unwrap_or(text.len())
}

fn bare_or_quoted(value: &str) -> Cow<'_, str> {
    let bare = value.bytes().all(|b| is_token(&[b]) || matches!(b, b'[' | b']' | b':'));
    if bare { Cow::Borrowed(value) } else { Cow::Owned(quote(value)) }
}

/// The `name=value` pairs of a challenge or of credentials (RFC 3261 §25.1 `auth-param`, RFC 7616 §3.3): the value
/// without quotes. Stops at the first thing that is no pair.
pub fn auth_params(text: &str) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let mut scan = Scan::new(text.as_bytes());
    std::iter::from_fn(move || {
        while scan.separator(b',') {}
        scan.lws();
        let name = std::str::from_utf8(scan.token("a name").ok()?).ok()?;
        if !scan.separator(b'=') {
            return None;
        }
        let value = match scan.peek() {
            Some(b'"') => scan.quoted().ok()?,
            _ => scan.take_while(|b| !is_lws(b) && b != b','),
        };
        Some((name, unquote(std::str::from_utf8(value).ok()?)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(text: &str) -> Params {
        Params::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn white_space_around_parameters_does_not_matter() {
        assert_eq!(params(" ; tag  =  1918181833n ;\tlr").to_string(), ";tag=1918181833n;lr");
        assert_eq!(params(";q = 0.33").get("Q"), Some("0.33"));
        assert_eq!(params(";rport=").get("rport"), Some(""));
        assert_eq!(params("").iter().count(), 0);
    }

    #[test]
    fn a_quoted_value_may_hold_separators() {
        let params = params(r#";a="x;\"y,=" ;b=2"#);
        assert_eq!(params.get("a"), Some(r#""x;\"y,=""#));
        assert_eq!(params.get_unquoted("a").unwrap(), r#"x;"y,="#);
        assert_eq!(params.get("b"), Some("2"));
    }

    #[test]
    fn text_beyond_ascii_is_kept_and_control_characters_are_not() {
        assert_eq!(params(";a=\u{85}é;b=\"\0x\"").to_string(), ";a=\u{85}é;b=\" x\"");
        assert_eq!(Params::parse(b";a=\xff").unwrap().to_string(), ";a=\u{fffd}");
        assert!(Params::parse(b";a=\0").is_err());
    }

    #[test]
    fn an_empty_parameter_is_refused() {
        for bad in [";;", ";", ";a;;b", ";=b", "a", ";a=\"open", ";a=b c", ";a=\"b\"c"] {
            assert!(Params::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn setting_replaces_in_place_and_quotes_what_needs_it() {
        let mut params = params(";rport;branch=z9hG4bK1");
        params.set("rport", Some("5060"));
        params.set("received", Some("2001:db8::1"));
        params.set("note", Some("a\r\nVia: \"x\""));
        params.set("bad name", Some("x"));
        assert_eq!(params.to_string(), r#";rport=5060;branch=z9hG4bK1;received=2001:db8::1;note="a  Via: \"x\"""#);
        params.remove("BRANCH");
        assert!(!params.has("branch"));
        assert_eq!(params.get("received"), Some("2001:db8::1"));
    }

    #[test]
    fn auth_params_are_unquoted_and_order_does_not_matter() {
        let text = r#"realm="a \"b\", c",qop="auth" , nonce=abc==, stale=TRUE"#;
        let got: Vec<_> = auth_params(text).map(|(n, v)| (n, v.into_owned())).collect();
        let want = [("realm", "a \"b\", c"), ("qop", "auth"), ("nonce", "abc=="), ("stale", "TRUE")];
        assert_eq!(got, want.map(|(n, v)| (n, v.to_owned())));
        assert_eq!(auth_params("realm=\"open").count(), 0);
    }
}
