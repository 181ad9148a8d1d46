//! How a prompt is named. A name is never a path: it holds no separator and no `..`, so that whoever reads the file has
//! nothing to check again.

use crate::limits::MAX_PROMPT_NAME;
use serde::{Deserialize, Deserializer, Serialize};
use std::fmt;
use std::str::FromStr;

/// The name of a prompt: a letter, digit, `_` or `-`, then up to 63 more of these or `.`, without `..`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct PromptName(String);

/// Why a string is no [`PromptName`], in words that say what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PromptNameError {
    /// Nothing between the quotes.
    #[error("a prompt's name is empty: write one such as \"welcome\"")]
    Empty,
    /// Longer than [`MAX_PROMPT_NAME`].
    #[error("a prompt's name has at most {MAX_PROMPT_NAME} characters, this one has {0}")]
    TooLong(usize),
    /// A character that no name has.
    #[error("a prompt's name is made of A-Z a-z 0-9 _ - and, after the first, dots: {0:?} is none of these")]
    Character(char),
    /// A dot in front, or two in a row.
    #[error("a prompt's name neither begins with a dot nor has two in a row: it is a name, not a path")]
    Dots,
}

impl PromptName {
    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PromptName {
    type Err = PromptNameError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        if name.is_empty() {
            return Err(PromptNameError::Empty);
        }
        if let Some(odd) = name.chars().find(|c| !c.is_ascii_alphanumeric() && !"_-.".contains(*c)) {
            return Err(PromptNameError::Character(odd));
        }
        if name.len() > MAX_PROMPT_NAME {
            return Err(PromptNameError::TooLong(name.len()));
        }
        if name.starts_with('.') || name.contains("..") {
            return Err(PromptNameError::Dots);
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for PromptName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<str> for PromptName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for PromptName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_and_refuses_paths() {
        for good in ["welcome", "a", "digit-0", "menu_2.wav", "_x", "-", "v1.2.3"] {
            assert_eq!(good.parse::<PromptName>().unwrap().as_str(), good);
        }
        for (bad, why) in [
            ("", PromptNameError::Empty),
            ("../etc/passwd", PromptNameError::Character('/')),
            ("..", PromptNameError::Dots),
            (".hidden", PromptNameError::Dots),
            ("a..b", PromptNameError::Dots),
            ("/etc/passwd", PromptNameError::Character('/')),
            ("a\\b", PromptNameError::Character('\\')),
            ("%2e%2e", PromptNameError::Character('%')),
            ("a\0b", PromptNameError::Character('\0')),
            ("grüße", PromptNameError::Character('ü')),
            ("a b", PromptNameError::Character(' ')),
        ] {
            assert_eq!(bad.parse::<PromptName>(), Err(why), "{bad:?}");
        }
    }

    #[test]
    fn counts_to_its_limit() {
        assert!("a".repeat(MAX_PROMPT_NAME).parse::<PromptName>().is_ok());
        assert_eq!("a".repeat(MAX_PROMPT_NAME + 1).parse::<PromptName>(), Err(PromptNameError::TooLong(65)));
    }
}
