//! Replaces (RFC 3891 §6.1): the dialog that an INVITE takes the place of.

use super::Params;
use crate::message::{Message, Name, ParseError, Part};
use crate::uri::{Uri, escape_header, unescape};
use std::fmt;

/// A dialog, as the user agent at one end of it knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replaces {
    /// Its Call-ID.
    pub call_id: String,
    /// The tag of the user agent that is asked to replace it.
    pub to_tag: String,
    /// The tag of that user agent's peer.
    pub from_tag: String,
    /// Only while it is early: a call that has been answered meanwhile is not to be taken (§3).
    pub early_only: bool,
}

impl Replaces {
    /// Reads the header's value.
    ///
    /// # Errors
    /// Where there is no Call-ID, or not exactly one `to-tag` and one `from-tag` (§6.1).
    pub fn parse(value: &[u8]) -> Result<Self, ParseError> {
        let end = memchr::memchr(b';', value).unwrap_or(value.len());
        let (call_id, params) = value.split_at_checked(end).unwrap_or((value, b""));
        let call_id = std::str::from_utf8(call_id.trim_ascii()).unwrap_or_default();
        if call_id.is_empty() || call_id.bytes().any(|byte| matches!(byte, 0..=b' ' | b',' | 0x7f)) {
            return Err(ParseError::syntax("a Call-ID"));
        }
        let params = Params::parse(params)?;
        let only = |name: &str| {
            let mut found = params.iter().filter(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value);
            match (found.next(), found.next()) {
                (Some(Some(tag)), None) => Ok(tag.to_owned()),
                _ => Err(ParseError::syntax("one to-tag and one from-tag")),
            }
        };
        Ok(Self {
            call_id: call_id.to_owned(),
            to_tag: only("to-tag")?,
            from_tag: only("from-tag")?,
            early_only: params.has("early-only"),
        })
    }

    /// What an INVITE asks to replace, if anything.
    ///
    /// # Errors
    /// Where there is more than one Replaces, a Join beside it, or it cannot be read: 400 (§3).
    pub fn of_invite(invite: &Message) -> Result<Option<Self>, ParseError> {
        let at = |error: ParseError| error.at(Part::Header(Name::Replaces));
        let mut values = invite.values(Name::Replaces);
        let Some(value) = values.next() else { return Ok(None) };
        if values.next().is_some() || invite.count(Name::Join) > 0 {
            return Err(at(ParseError::syntax("one Replaces, and no Join")));
        }
        Self::parse(&value).map(Some).map_err(at)
    }

    /// What a Refer-To asks the INVITE it brings about to replace: an attended transfer (RFC 3891 §2, RFC 5589 §7).
    ///
    /// # Errors
    /// Where there is more than one Replaces, or it cannot be read.
    pub fn of_refer_to(uri: &Uri) -> Result<Option<Self>, ParseError> {
        let mut found = uri.headers().filter(|(name, _)| name.eq_ignore_ascii_case("Replaces"));
        let Some((_, value)) = found.next() else { return Ok(None) };
        if found.next().is_some() {
            return Err(ParseError::syntax("one Replaces"));
        }
        Self::parse(&unescape(value.unwrap_or_default())).map(Some)
    }
}

impl Replaces {
    /// The Refer-To of an attended transfer: whom to call, and which call to take the place of there (RFC 5589 §7.1). Nothing
    /// where `target` cannot carry headers.
    #[must_use]
    pub fn refer_to(&self, target: &Uri) -> Option<Uri> {
        let text = format!("{}?Replaces={}", target.clone().without_headers(), escape_header(&self.to_string()));
        Uri::parse(text.as_bytes()).ok().filter(Uri::is_sip)
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)?;
        if self.early_only { f.write_str(";early-only") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replaces_is_read_in_any_order_and_written_back() {
        let read = Replaces::parse(b"12345@149.112.118.3 ;from-tag=5FFE-3994;early-only;to-tag=12345").unwrap();
        assert_eq!(read.to_string(), "12345@149.112.118.3;to-tag=12345;from-tag=5FFE-3994;early-only");
    }

    #[test]
    fn each_tag_must_be_there_once() {
        for bad in [
            "x;to-tag=1",
            "x;from-tag=1",
            "x;to-tag=1;to-tag=2;from-tag=3",
            ";to-tag=1;from-tag=2",
            "x;to-tag;from-tag=2",
        ] {
            assert!(Replaces::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refer_to_carries_it_escaped() {
        let uri: Uri = "sip:b@example.com?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2&Subject=x".parse().unwrap();
        let found = Replaces::of_refer_to(&uri).unwrap().unwrap();
        assert_eq!((found.call_id.as_str(), found.to_tag.as_str(), found.from_tag.as_str()), ("a@b", "1", "2"));
        let plain: Uri = "sip:b@example.com;user=phone".parse().unwrap();
        assert_eq!(Replaces::of_refer_to(&plain), Ok(None));
        let written = found.refer_to(&plain).unwrap();
        assert_eq!(written.as_str(), "sip:b@example.com;user=phone?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2");
        assert_eq!(Replaces::of_refer_to(&written), Ok(Some(found)));
    }
}
