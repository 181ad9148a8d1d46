//! Addresses in headers: From, To, Contact, Route, Record-Route, Refer-To, Diversion, P-Asserted-Identity and their like
//! (RFC 3261 §20.10, §25.1 `name-addr / addr-spec`).

use super::Params;
use super::scan::{Scan, is_lws, is_token, quote, trim, unquote};
use crate::message::ParseError;
use crate::uri::Uri;
use std::fmt;

/// A URI with a display name and the header's own parameters. Without angle brackets, what follows a semicolon belongs to
/// the header and not to the URI (RFC 3261 §20.10); written, the URI always stands in brackets.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NameAddr {
    /// The display name without quotes and backslashes.
    pub display_name: Option<String>,
    /// The address.
    pub uri: Uri,
    /// The header's parameters: `tag`, `expires`, `q`, …
    pub params: Params,
}

impl NameAddr {
    /// An address alone.
    #[must_use]
    pub const fn new(uri: Uri) -> Self {
        Self { display_name: None, uri, params: Params::new() }
    }

    /// This with a display name; any text, it is quoted when written.
    #[must_use]
    pub fn with_display_name(mut self, name: &str) -> Self {
        self.display_name = Some(name.to_owned()).filter(|name| !name.is_empty());
        self
    }

    /// This with a tag (RFC 3261 §19.3), in place of any other.
    #[must_use]
    pub fn with_tag(self, tag: &str) -> Self {
        self.with_param("tag", Some(tag))
    }

    /// This with a parameter.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: Option<&str>) -> Self {
        self.params.set(name, value);
        self
    }

    /// The tag, where there is one that is not empty.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag").filter(|tag| !tag.is_empty())
    }

    /// Bytes that it does not exceed when it is written: each character of the display name may need a backslash.
    pub(crate) fn at_most(&self) -> usize {
        let name = self.display_name.as_ref().map_or(0, |name| 2 * name.len() + 3);
        name + self.uri.as_str().len() + self.params.len() + 2
    }

    /// Reads one address.
    ///
    /// # Errors
    /// On an unclosed quote or bracket, a comma or semicolon in an unquoted display name, a URI without brackets that
    /// needs them (RFC 4475 §3.1.2.13), or a malformed URI or parameter.
    pub fn parse(value: &[u8]) -> Result<Self, ParseError> {
        let mut scan = Scan::new(value);
        scan.lws();
        let display_name = read_display_name(&mut scan)?;
        let uri = match display_name {
            Some(_) => read_bracketed(&mut scan)?,
            None => read_bare(&mut scan)?,
        };
        let params = Params::read(scan)?;
        Ok(Self { display_name: display_name.filter(|name| !name.is_empty()), uri: Uri::parse(uri)?, params })
    }
}

/// The display name, which may be empty, where the URI is in brackets; nothing where it stands alone. The scan is then at
/// the URI.
fn read_display_name(scan: &mut Scan<'_>) -> Result<Option<String>, ParseError> {
    if scan.peek() == Some(b'"') {
        let quoted = String::from_utf8_lossy(scan.quoted()?).into_owned();
        return Ok(Some(unquote(&quoted).into_owned()));
    }
    let Some(bracket) = memchr::memchr2(b'<', b'"', scan.rest()).filter(|&at| scan.rest().get(at) == Some(&b'<'))
    else {
        return Ok(None);
    };
    let name = trim(scan.take(bracket));
    if name.iter().any(|&b| matches!(b, b',' | b';' | b'>') || b.is_ascii_control() && b != b'\t') {
        return Err(ParseError::syntax("a quoted display name"));
    }
    Ok(Some(String::from_utf8_lossy(name).into_owned()))
}

fn read_bracketed<'a>(scan: &mut Scan<'a>) -> Result<&'a [u8], ParseError> {
    scan.lws();
    if !scan.eat(b'<') {
        return Err(ParseError::syntax("a URI in angle brackets"));
    }
    let uri = scan.take_while(|b| b != b'>');
    if scan.eat(b'>') { Ok(uri) } else { Err(ParseError::syntax("a closing angle bracket")) }
}

fn read_bare<'a>(scan: &mut Scan<'a>) -> Result<&'a [u8], ParseError> {
    let uri = scan.take_while(|b| !is_lws(b) && b != b';');
    if memchr::memchr2(b',', b'?', uri).is_some() {
        return Err(ParseError::syntax("angle brackets around a URI with a comma or a question mark"));
    }
    Ok(uri)
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.display_name.as_deref() {
            None | Some("") => {}
            Some(name) if is_token(name.as_bytes()) => write!(f, "{name} ")?,
            Some(name) => write!(f, "{} ", quote(name))?,
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> NameAddr {
        NameAddr::parse(text.as_bytes()).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn parameters_belong_to_the_header_without_brackets_and_to_the_uri_within() {
        let bare = read("sip:+19725552222@gw1.example.net;unknownparam");
        assert_eq!((bare.uri.param("unknownparam"), bare.params.get("unknownparam")), (None, Some("")));
        let within = read("<sip:+19725552222@gw1.example.net;unknownparam>;tag=1");
        assert_eq!((within.uri.param("unknownparam"), within.tag()), (Some(""), Some("1")));
    }

    #[test]
    fn display_names_are_read_in_every_form() {
        let table = [
            (r#""J Rosenberg \\\""       <sip:j@example.com> ; tag = 98asjd8"#, Some(r#"J Rosenberg \""#)),
            ("caller<sip:caller@example.com>;tag=323", Some("caller")),
            ("A. Bell <sip:a@b>", Some("A. Bell")),
            ("<sip:a@b>", None),
            ("\"\" <sip:a@b>", None),
            ("sip:a@b", None),
            ("1001@pbx <sip:a@b>", Some("1001@pbx")),
            ("Zoë <sip:a@b>", Some("Zoë")),
        ];
        for (text, name) in table {
            assert_eq!(read(text).display_name.as_deref(), name, "{text}");
        }
    }

    #[test]
    fn ambiguous_addresses_are_refused() {
        for bad in [
            "Bell, Alexander <sip:a@b>;tag=43",
            "\"Mr. J. User <sip:j@b>",
            "\"T\" < sip:t@b >",
            "sip:u@b?Route=%3Csip:s%3E",
            "sip:a@b,sip:c@d",
            "<sip:a@b",
            "<sip:a@b>;;",
            "\"A\" sip:a@b",
            "<sip:a@b>, <sip:c@d>",
            "alan@jasomi.com",
            "",
            "<>",
        ] {
            assert!(NameAddr::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn writing_always_brackets_and_quotes() {
        let uri: Uri = "sip:a@b;x=1".parse().unwrap();
        let address = NameAddr::new(uri).with_display_name("a \"b\"\r\nVia: x").with_tag("t");
        assert_eq!(address.to_string(), r#""a \"b\"  Via: x" <sip:a@b;x=1>;tag=t"#);
    }
}
