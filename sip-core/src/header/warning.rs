//! Warning (RFC 3261 §20.43): why a response is what it is, in a code for machines and a sentence for people.

use super::scan::{is_lws, quote, trim, unquote};
use crate::message::ParseError;
use std::fmt;

/// Who gives a warning: a pseudonym, because a host name would say where we are.
const AGENT: &str = "tandem";
/// Characters of a warning's text; what follows is cut off. A peer's text is passed on by us.
const MAX_TEXT: usize = 200;

/// One warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    code: u16,
    text: String,
}

impl Warning {
    /// Anything else than what the other codes say: for people only, no system acts on it (§20.43).
    pub const MISCELLANEOUS: u16 = 399;

    /// A warning of this code, from 300 to 399 (another one becomes 399), with this text, cut off after 200 characters.
    #[must_use]
    pub fn new(code: u16, text: &str) -> Self {
        let code = if matches!(code, 300..=399) { code } else { Self::MISCELLANEOUS };
        Self { code, text: text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_TEXT).collect() }
    }

    /// The code: 300 to 399.
    #[must_use]
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// The sentence.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Reads one warning, whoever gives it.
    ///
    /// # Errors
    /// Where it is not three digits from 300 to 399, an agent and a quoted text.
    pub fn parse(value: &[u8]) -> Result<Self, ParseError> {
        let bad = || ParseError::syntax("a warn-code, a warn-agent and a quoted text");
        let value = std::str::from_utf8(trim(value)).map_err(|_| bad())?;
        let mut parts = value.splitn(3, |c: char| u8::try_from(c).is_ok_and(is_lws));
        let (Some(code), Some(agent), Some(text)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad());
        };
        let (code, text) = (code.parse().map_err(|_| bad())?, text.trim());
        let is_quoted = text.len() > 1 && text.starts_with('"') && text.ends_with('"');
        if !matches!(code, 300..=399) || agent.is_empty() || !is_quoted {
            return Err(bad());
        }
        Ok(Self::new(code, &unquote(text)))
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {AGENT} {}", self.code, quote(&self.text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_written_with_a_pseudonym_and_read_again() {
        let warning = Warning::new(305, "say \"opus\" \\ or\nPCMU");
        assert_eq!(warning.to_string(), r#"305 tandem "say \"opus\" \\ or PCMU""#);
        assert_eq!(Warning::parse(warning.to_string().as_bytes()), Ok(warning));
    }

    #[test]
    fn reads_a_peers_and_nothing_that_is_none() {
        // RFC 3261 §20.43.
        let peers = Warning::parse(br#"301 isi.edu "Incompatible network address type 'E.164'""#);
        assert_eq!(peers, Ok(Warning::new(301, "Incompatible network address type 'E.164'")));
        for bad in ["", "305", "305 x", "305 x y", "305 x \"", "499 x \"y\"", "99999999 x \"y\"", "305  \"y\""] {
            assert!(Warning::parse(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(Warning::parse(b"305 x \"\xff\"").is_err());
    }

    #[test]
    fn what_is_too_long_or_out_of_range_is_made_to_fit() {
        let warning = Warning::new(488, &"é".repeat(1_000));
        assert_eq!((warning.code(), warning.text().chars().count()), (399, MAX_TEXT));
    }
}
