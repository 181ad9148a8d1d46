//! CSeq (RFC 3261 §8.1.1.5, §20.16).

use super::scan::Scan;
use crate::message::{Fault, Method, ParseError, Part};
use std::fmt;

/// The largest sequence number: "less than 2**31" (RFC 3261 §8.1.1.5).
const MAX: u32 = (1 << 31) - 1;

/// A request's place in its dialog, and its method.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CSeq {
    /// The sequence number, below 2³¹.
    pub seq: u32,
    /// The method.
    pub method: Method,
}

impl CSeq {
    /// Reads `CSeq`'s value.
    ///
    /// # Errors
    /// Where it is not a number below 2³¹ and a method.
    pub fn parse(value: &[u8]) -> Result<Self, ParseError> {
        let mut scan = Scan::new(value);
        scan.lws();
        let digits = scan.take_while(|b| b.is_ascii_digit());
        if digits.is_empty() || !scan.lws() {
            return Err(ParseError::syntax("a sequence number and a method"));
        }
        let digit = |sum: u32, b: &u8| sum.checked_mul(10)?.checked_add(u32::from(b - b'0')).filter(|&sum| sum <= MAX);
        let seq = digits.iter().try_fold(0, digit).ok_or(ParseError::new(Part::Value, Fault::Range))?;
        let method = Method::from_token(scan.token("a method")?);
        scan.end()?;
        Ok(Self { seq, method })
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.seq, self.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_zeros_and_white_space_are_read() {
        assert_eq!(CSeq::parse(b"0009   INVITE"), Ok(CSeq { seq: 9, method: Method::Invite }));
        assert_eq!(CSeq::parse(b"2147483647 ACK").unwrap().to_string(), "2147483647 ACK");
    }

    #[test]
    fn what_is_no_sequence_number_below_2_to_the_31_is_refused() {
        for bad in
            ["2147483648 ACK", "36893488147419103232 REGISTER", "-1 BYE", "1", "1 ", " ACK", "1 A B", "1ACK", "x"]
        {
            assert!(CSeq::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
