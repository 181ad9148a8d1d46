//! Header names on their way out.

use super::Name;
use crate::header::scan::is_token;
use std::borrow::Cow;

/// A name fit to be written: a token (RFC 3261 §25.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderName(Cow<'static, str>);

/// The name is no token, and could be read as something else on the wire.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a header name: letters, digits and -.!%*_+`'~ only")]
pub struct BadHeaderName(String);

impl HeaderName {
    /// A name from outside.
    ///
    /// # Errors
    /// [`BadHeaderName`] where it is empty or holds anything but token characters.
    pub fn parse(text: &str) -> Result<Self, BadHeaderName> {
        if is_token(text.as_bytes()) { Ok(Self(text.to_owned().into())) } else { Err(BadHeaderName(text.to_owned())) }
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which of the known names it is.
    #[must_use]
    pub fn known(&self) -> Name {
        Name::from_bytes(self.0.as_bytes())
    }
}

impl From<Name> for HeaderName {
    /// The known name; [`Name::Other`] has none and becomes `X-Other`.
    fn from(name: Name) -> Self {
        Self(if name == Name::Other { "X-Other" } else { name.as_str() }.into())
    }
}

impl From<&'static str> for HeaderName {
    /// A name written in the source. What is no token character becomes `-`: names from outside go through
    /// [`HeaderName::parse`].
    fn from(text: &'static str) -> Self {
        if is_token(text.as_bytes()) {
            return Self(text.into());
        }
        let clean: String = text.bytes().map(|b| if is_token(&[b]) { char::from(b) } else { '-' }).collect();
        Self(if clean.is_empty() { "X-Other".into() } else { clean.into() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_a_line_break_cannot_be_made() {
        assert!(HeaderName::parse("X-Good").is_ok());
        for bad in ["", "X Bad", "X:Bad", "X\r\nVia", "Xé", "X\0"] {
            assert!(HeaderName::parse(bad).is_err(), "{bad:?}");
        }
        assert_eq!(HeaderName::from("X\r\nVia").as_str(), "X--Via");
    }
}
