//! Content-Type (RFC 3261 §20.15), and the media ranges of Accept (§20.1).

use super::Params;
use super::scan::Scan;
use crate::message::ParseError;
use std::fmt;

/// A media type with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    /// Before the slash, in lower case; `*` in Accept.
    pub kind: String,
    /// After the slash, in lower case; `*` in Accept.
    pub subtype: String,
    /// The parameters: `charset`, `boundary`, `q`, …
    pub params: Params,
}

impl ContentType {
    /// Reads one media type.
    ///
    /// # Errors
    /// Where it is not `type/subtype` with well-formed parameters.
    pub fn parse(value: &[u8]) -> Result<Self, ParseError> {
        let mut scan = Scan::new(value);
        scan.lws();
        let kind = lower(scan.token("a media type")?);
        if !scan.separator(b'/') {
            return Err(ParseError::syntax("a slash"));
        }
        let subtype = lower(scan.token("a media subtype")?);
        Ok(Self { kind, subtype, params: Params::read(scan)? })
    }

    /// True where it is this type, parameters aside: `is("application/sdp")`.
    #[must_use]
    pub fn is(&self, essence: &str) -> bool {
        essence
            .split_once('/')
            .is_some_and(|(kind, sub)| self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(sub))
    }

    /// True where it, as a range in Accept, covers this type.
    #[must_use]
    pub fn covers(&self, essence: &str) -> bool {
        let (kind, sub) = essence.split_once('/').unwrap_or((essence, ""));
        (self.kind == "*" || self.kind.eq_ignore_ascii_case(kind))
            && (self.subtype == "*" || self.subtype.eq_ignore_ascii_case(sub))
    }
}

fn lower(token: &[u8]) -> String {
    String::from_utf8_lossy(token).to_ascii_lowercase()
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.kind, self.subtype, self.params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_media_type_is_read_and_compared_without_case() {
        let given = ContentType::parse(b"Application / SDP ;charset=\"utf-8\"").unwrap();
        assert!(given.is("application/sdp") && !given.is("application/xml") && !given.is("application"));
        assert!(ContentType::parse(b"*/*").unwrap().covers("application/sdp"));
        assert!(!ContentType::parse(b"text/nobodyKnowsThis").unwrap().covers("application/sdp"));
        assert!(ContentType::parse(b"application").is_err() && ContentType::parse(b"/sdp").is_err());
    }
}
