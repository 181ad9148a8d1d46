//! Hosts: names, IPv4, IPv6 in brackets (RFC 3261 §25.1; RFC 5118 for what IPv6 does to it).

use crate::message::ParseError;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// The longest host name, in bytes (RFC 1035 §2.3.4).
const MAX_NAME_BYTES: usize = 255;

/// A host. Names compare without case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name, to be resolved.
    Name(HostName),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, written in brackets.
    V6(Ipv6Addr),
}

/// A host name: letters, digits, hyphens, dots and (seen in the field) underscores.
#[derive(Clone, Debug, Eq)]
pub struct HostName(Box<str>);

impl HostName {
    /// The name as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl PartialEq for HostName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Hash for HostName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.0.bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
    }
}

impl Host {
    /// Reads a host; an IPv6 address stands in brackets.
    ///
    /// # Errors
    /// Where it is empty or none of the three.
    pub fn parse(text: &[u8]) -> Result<Self, ParseError> {
        if let Some(inner) = text.strip_prefix(b"[") {
            let inner = inner.strip_suffix(b"]").ok_or(ParseError::syntax("a closing bracket"))?;
            return v6(inner).map(Self::V6).ok_or(ParseError::syntax("an IPv6 address"));
        }
        let fits = |&b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        let name = std::str::from_utf8(text).ok().filter(|_| !text.is_empty() && text.iter().all(fits));
        let name = name.filter(|name| name.len() <= MAX_NAME_BYTES).ok_or(ParseError::syntax("a host"))?;
        let v4 = if text.last().is_some_and(u8::is_ascii_digit) { name.parse().ok() } else { None };
        Ok(v4.map_or_else(|| Self::Name(HostName(name.into())), Self::V4))
    }

    /// The address, where it is one.
    #[must_use]
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(ip) => Some(IpAddr::V4(*ip)),
            Self::V6(ip) => Some(IpAddr::V6(*ip)),
        }
    }
}

/// An IPv6 address; a third colon is overlooked, because RFC 3261's grammar makes people write it (RFC 5118 §4.10).
fn v6(text: &[u8]) -> Option<Ipv6Addr> {
    let text = std::str::from_utf8(text).ok()?;
    text.parse().ok().or_else(|| text.replacen(":::", "::", 1).parse().ok())
}

impl From<IpAddr> for Host {
    fn from(ip: IpAddr) -> Self {
        match ip {
            IpAddr::V4(ip) => Self::V4(ip),
            IpAddr::V6(ip) => Self::V6(ip),
        }
    }
}

impl FromStr for Host {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name.as_str()),
            Self::V4(ip) => ip.fmt(f),
            Self::V6(ip) => write!(f, "[{ip}]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_host_is_told_apart() {
        let kinds = [
            ("192.0.2.1", "192.0.2.1"),
            ("[2001:DB8::1]", "[2001:db8::1]"),
            ("[2001:db8:::192.0.2.1]", "[2001:db8::c000:201]"),
            ("[::ffff:192.0.2.10]", "[::ffff:192.0.2.10]"),
            ("Example.COM.", "Example.COM."),
            ("sip_gw-1", "sip_gw-1"),
        ];
        for (text, written) in kinds {
            assert_eq!(text.parse::<Host>().unwrap().to_string(), written);
        }
        assert_eq!("A.b".parse::<Host>(), "a.B".parse::<Host>());
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for bad in ["", "[", "[]", "[::1", "::1", "a b", "a/b", "a%41", "exämple", "[1.2.3.4]", "a\r\n"] {
            assert!(bad.parse::<Host>().is_err(), "{bad:?}");
        }
        assert!("a".repeat(256).parse::<Host>().is_err());
    }
}
