//! Telephone numbers as carriers exchange them: ITU-T E.164, with the `+` (TWILIO.md §1.4).

use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::str::FromStr;

/// An E.164 number: `+` and 8 to 15 digits, the first of them not 0.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Number(String);

/// Why a string is no [`Number`], in words that say what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    /// No `+` in front.
    #[error("a number begins with + and the country code, as in \"+18325550100\"")]
    NoPlus,
    /// A character that is no digit: separators are not guessed at.
    #[error("a number is + and digits only, as in \"+18325550100\": {0:?} is no digit")]
    NoDigit(char),
    /// 0 after the `+`: a national prefix, and no country code begins with it.
    #[error("no country code begins with 0: write the number as it is dialled from abroad, as in \"+18325550100\"")]
    LeadingZero,
    /// Fewer than 8 or more than 15 digits.
    #[error("a number has 8 to 15 digits after the +, as in \"+18325550100\": this one has {0}")]
    Length(usize),
}

impl Number {
    /// The number with its `+`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its digits, without the `+`.
    #[must_use]
    pub fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }
}

impl FromStr for Number {
    type Err = NumberError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix('+').ok_or(NumberError::NoPlus)?;
        if let Some(odd) = digits.chars().find(|c| !c.is_ascii_digit()) {
            return Err(NumberError::NoDigit(odd));
        }
        if digits.starts_with('0') {
            return Err(NumberError::LeadingZero);
        }
        if !(8..=15).contains(&digits.len()) {
            return Err(NumberError::Length(digits.len()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_e164_and_says_what_else_to_write() {
        for good in ["+18325550100", "+49301234", "+12345678", "+123456789012345"] {
            assert_eq!(good.parse::<Number>().unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("", NumberError::NoPlus),
            ("18325550100", NumberError::NoPlus),
            ("0018325550100", NumberError::NoPlus),
            ("sip:+18325550100@x", NumberError::NoPlus),
            ("+1 832 555 0100", NumberError::NoDigit(' ')),
            ("+1-832-555-0100", NumberError::NoDigit('-')),
            ("++18325550100", NumberError::NoDigit('+')),
            ("+1832555010٣", NumberError::NoDigit('٣')),
            ("+18325550100\r\nX: y", NumberError::NoDigit('\r')),
            ("+018325550100", NumberError::LeadingZero),
            ("+1234567", NumberError::Length(7)),
            ("+1234567890123456", NumberError::Length(16)),
            ("+", NumberError::Length(0)),
        ] {
            assert_eq!(bad.parse::<Number>(), Err(why.clone()), "{bad:?}");
            assert!(why.to_string().contains("+"), "{why}");
        }
    }

    #[test]
    fn hands_out_its_digits() {
        assert_eq!("+18325550100".parse::<Number>().unwrap().digits(), "18325550100");
    }
}
