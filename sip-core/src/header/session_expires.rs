//! Session-Expires and Min-SE (RFC 4028 §4, §5).

use super::Params;
use super::scan::Scan;
use crate::message::{Fault, Message, Name, ParseError, Part};
use std::fmt;

/// Who refreshes the session, named by the roles in the request that carries the header or whose answer does (§4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refresher {
    /// Whoever sent the request.
    Uac,
    /// Whoever answers it.
    Uas,
}

/// How long a session lives without a refresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionExpires {
    /// Seconds.
    pub interval: u32,
    /// Who refreshes it; where it is open, the other side says.
    pub refresher: Option<Refresher>,
}

impl SessionExpires {
    /// Reads the header's value. An unknown refresher counts as none.
    ///
    /// # Errors
    /// Where it does not begin with a number of seconds.
    pub fn parse(value: &[u8]) -> Result<Self, ParseError> {
        let mut scan = Scan::new(value);
        scan.lws();
        let interval = seconds(scan.take_while(|byte| byte.is_ascii_digit()))?;
        let params = Params::read(scan)?;
        let refresher = match params.get("refresher") {
            Some(role) if role.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(role) if role.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            _ => None,
        };
        Ok(Self { interval, refresher })
    }

    /// A message's, where it has one that can be read.
    #[must_use]
    pub fn of(message: &Message) -> Option<Self> {
        Self::parse(&message.header(Name::SessionExpires)?).ok()
    }
}

/// The least interval that a message allows, in seconds (§5); without a Min-SE that can be read, nothing.
#[must_use]
pub fn min_se(message: &Message) -> Option<u32> {
    let value = message.header(Name::MinSe)?;
    let mut scan = Scan::new(&value);
    scan.lws();
    seconds(scan.take_while(|byte| byte.is_ascii_digit())).ok()
}

/// A number of seconds; one that is too big is the biggest there is.
fn seconds(digits: &[u8]) -> Result<u32, ParseError> {
    if digits.is_empty() {
        return Err(ParseError::new(Part::Value, Fault::Syntax("a number of seconds")));
    }
    let digit = |sum: u32, byte: &u8| sum.saturating_mul(10).saturating_add(u32::from(byte.wrapping_sub(b'0')));
    Ok(digits.iter().fold(0, digit))
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.interval)?;
        match self.refresher {
            Some(Refresher::Uac) => f.write_str(";refresher=uac"),
            Some(Refresher::Uas) => f.write_str(";refresher=uas"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_and_who_refreshes_are_read_and_written() {
        for (text, interval, refresher) in [
            ("4000;refresher=uac", 4_000, Some(Refresher::Uac)),
            (" 1800 ; Refresher=UAS;x=y", 1_800, Some(Refresher::Uas)),
            ("90", 90, None),
            ("90;refresher=nobody", 90, None),
            ("99999999999", u32::MAX, None),
        ] {
            assert_eq!(SessionExpires::parse(text.as_bytes()), Ok(SessionExpires { interval, refresher }), "{text}");
        }
        assert!(SessionExpires::parse(b"soon").is_err());
        let uas = SessionExpires { interval: 1_800, refresher: Some(Refresher::Uas) };
        assert_eq!(uas.to_string(), "1800;refresher=uas");
    }
}
