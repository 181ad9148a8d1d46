//! RAck and RSeq (RFC 3262 §7): which reliable provisional response is meant.

use super::CSeq;
use crate::message::{Message, Name, ParseError, Part};
use std::fmt;

/// What a PRACK acknowledges: the response's number, and its INVITE's CSeq.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RAck {
    /// The response's RSeq.
    pub rseq: u32,
    /// The CSeq of the request that it answers.
    pub cseq: CSeq,
}

impl RAck {
    /// Reads the header's value.
    ///
    /// # Errors
    /// Where it is not a number and a CSeq.
    pub fn parse(value: &[u8]) -> Result<Self, ParseError> {
        let value = value.trim_ascii();
        let end = value.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(value.len());
        let (rseq, cseq) = value.split_at_checked(end).unwrap_or((value, b""));
        Ok(Self { rseq: number(rseq)?, cseq: CSeq::parse(cseq)? })
    }

    /// What a PRACK acknowledges.
    ///
    /// # Errors
    /// Where it has no RAck that can be read.
    pub fn of(prack: &Message) -> Result<Self, ParseError> {
        let value = prack.header(Name::RAck).unwrap_or_default();
        Self::parse(&value).map_err(|error| error.at(Part::Header(Name::RAck)))
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rseq, self.cseq)
    }
}

/// The RSeq of a response that must be acknowledged by PRACK: one above 100 that requires `100rel` (RFC 3262 §4).
#[must_use]
pub fn reliable(response: &Message) -> Option<u32> {
    let status = response.status().filter(|status| status.is_provisional() && status.code() > 100)?;
    let required = response.require().iter().any(|option| option.eq_ignore_ascii_case("100rel"));
    let rseq = response.header(Name::RSeq).filter(|_| required && status.code() > 100)?;
    number(rseq.trim_ascii()).ok()
}

/// A sequence number: §7.1 wants it in 1 to 2³²−1.
fn number(digits: &[u8]) -> Result<u32, ParseError> {
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let number = text.and_then(|text| text.parse().ok()).filter(|number| *number > 0);
    number.ok_or(ParseError::syntax("a number from 1 to 4294967295"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Method;

    #[test]
    fn a_rack_is_a_number_and_a_cseq() {
        let rack = RAck::parse(b" 776656 \t1 INVITE").unwrap();
        assert_eq!(rack, RAck { rseq: 776_656, cseq: CSeq { seq: 1, method: Method::Invite } });
        assert_eq!(rack.to_string(), "776656 1 INVITE");
        for bad in ["", "1", "1 INVITE", "0 1 INVITE", "4294967296 1 INVITE", "+1 1 INVITE", "1 1"] {
            assert!(RAck::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
