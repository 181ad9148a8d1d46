//! The words' values: statuses, digits, prompt names, times; each valid from birth.

use super::MAX_TIME;
use super::parse::ScriptError;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The longest string of keys one step may press.
pub const MAX_DIGITS: usize = 32;
/// The longest name of a prompt, in bytes.
pub const MAX_NAME: usize = 64;

/// A SIP status code that a script may send: 101 to 699.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Status(u16);

impl Status {
    pub(super) const BUSY_HERE: Self = Self(486);
    pub(super) const NOT_FOUND: Self = Self(404);
    pub(super) const REQUEST_TIMEOUT: Self = Self(408);
    pub(super) const TEMPORARILY_UNAVAILABLE: Self = Self(480);
    pub(super) const SERVICE_UNAVAILABLE: Self = Self(503);
    pub(super) const DECLINE: Self = Self(603);

    /// The code.
    #[must_use]
    pub const fn code(self) -> u16 {
        self.0
    }

    /// A provisional code, 101 to 199.
    pub(super) fn provisional(word: &str) -> Result<Self, ScriptError> {
        Self::within(word, 101, 199)
    }

    /// A failure's code, 400 to 699.
    pub(super) fn failure(word: &str) -> Result<Self, ScriptError> {
        Self::within(word, 400, 699)
    }

    fn within(word: &str, low: u16, high: u16) -> Result<Self, ScriptError> {
        match word.parse() {
            Ok(code) if (low..=high).contains(&code) => Ok(Self(code)),
            _ => Err(ScriptError::Status { word: word.to_owned(), low, high }),
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Keys of a telephone: `0`-`9`, `*`, `#`, `A`-`D`; one to [`MAX_DIGITS`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Digits(String);

impl Digits {
    /// The keys, in order.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Digits {
    type Err = ScriptError;

    fn from_str(word: &str) -> Result<Self, ScriptError> {
        let key = |c: char| c.is_ascii_digit() || matches!(c, '*' | '#' | 'A'..='D');
        if (1..=MAX_DIGITS).contains(&word.len()) && word.chars().all(key) {
            Ok(Self(word.to_owned()))
        } else {
            Err(ScriptError::Digits(word.to_owned()))
        }
    }
}

/// The name of a prompt: letters, digits, `-`, `_` and `.`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PromptName(String);

impl PromptName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PromptName {
    type Err = ScriptError;

    fn from_str(word: &str) -> Result<Self, ScriptError> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let times = parse_time(word).is_ok();
        if (1..=MAX_NAME).contains(&word.len()) && word.chars().all(legal) && !times {
            Ok(Self(word.to_owned()))
        } else {
            Err(ScriptError::Name(word.to_owned()))
        }
    }
}

/// A time: a number of up to three decimals with `us`, `ms`, `s`, `m` or `h`, in whole microseconds.
///
/// # Errors
/// [`ScriptError::Time`] where it is none, or longer than [`MAX_TIME`].
pub fn parse_time(word: &str) -> Result<Duration, ScriptError> {
    let bad = || ScriptError::Time(word.to_owned());
    let split = word.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(bad)?;
    let (number, unit) = word.split_at(split);
    let micros_per_unit: u64 = match unit {
        "us" => 1,
        "ms" => 1_000,
        "s" => 1_000_000,
        "m" => 60_000_000,
        "h" => 3_600_000_000,
        _ => return Err(bad()),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let all_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    if !all_digits(whole) || !all_digits(fraction) || whole.len() > 9 || fraction.len() > 3 {
        return Err(bad());
    }
    let thousandths: u64 = format!("{whole}{fraction:0<3}").parse().map_err(|_| bad())?;
    let time = Duration::from_micros(thousandths.saturating_mul(micros_per_unit) / 1_000);
    if time <= MAX_TIME { Ok(time) } else { Err(bad()) }
}

/// Writes a time in the largest unit that holds it whole.
pub(super) struct Time(pub(super) Duration);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_micros() {
            micros if micros % 1_000_000 == 0 => write!(f, "{}s", micros / 1_000_000),
            micros if micros % 1_000 == 0 => write!(f, "{}ms", micros / 1_000),
            micros => write!(f, "{micros}us"),
        }
    }
}
