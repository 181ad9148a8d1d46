//! The name of a call: `CA` and 32 hexadecimal digits.

use base::Rng;
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// A call's identifier, as in every answer of the API, every record of the journal and every CDR.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct CallSid(u128);

impl CallSid {
    /// A new one: 48 bits of the wall clock (`at`, milliseconds since the Unix epoch), 80 random ones. What is made together
    /// lies together in every index; which of a second's calls it is, nobody guesses.
    pub fn new(at: u64, rng: &mut Rng) -> Self {
        let random = (u128::from(rng.u64()) << 64) | u128::from(rng.u64());
        Self((u128::from(at) << 80) | (random >> 48))
    }

    /// Its text, on the stack: every record and every row has it.
    #[must_use]
    pub fn text(self) -> SidText {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; LENGTH];
        text[..2].copy_from_slice(b"CA");
        for (pair, octet) in text[2..].chunks_exact_mut(2).zip(self.0.to_be_bytes()) {
            pair[0] = DIGITS[usize::from(octet >> 4)];
            pair[1] = DIGITS[usize::from(octet & 15)];
        }
        SidText(text)
    }
}

/// A sid of another kind: two letters and 32 hexadecimal digits.
pub(crate) fn tagged(prefix: &str, rng: &mut Rng) -> String {
    format!("{prefix}{}", rng.hex(32))
}

/// Characters of a sid.
const LENGTH: usize = 34;

/// A sid as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SidText([u8; LENGTH]);

impl std::ops::Deref for SidText {
    type Target = str;

    fn deref(&self) -> &str {
        // Digits and two letters: always text.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for CallSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text())
    }
}

impl Serialize for CallSid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl fmt::Debug for CallSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What was given is not a call's identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a call's sid is \"CA\" and 32 hexadecimal digits")]
pub struct InvalidSid;

impl FromStr for CallSid {
    type Err = InvalidSid;

    fn from_str(text: &str) -> Result<Self, InvalidSid> {
        let hex = text.strip_prefix("CA").ok_or(InvalidSid)?;
        if hex.len() != 32 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(InvalidSid);
        }
        u128::from_str_radix(hex, 16).map(Self).map_err(|_| InvalidSid)
    }
}

impl TryFrom<String> for CallSid {
    type Error = InvalidSid;

    fn try_from(text: String) -> Result<Self, InvalidSid> {
        text.parse()
    }
}

impl From<CallSid> for String {
    fn from(sid: CallSid) -> Self {
        sid.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_ones_sort_later_and_those_of_one_millisecond_differ() {
        let mut rng = Rng::from_u64(1);
        let [first, twin, later] = [7, 7, 8].map(|at| CallSid::new(at, &mut rng));
        assert!(first != twin && first < later && twin < later);
    }

    #[test]
    fn reads_back_what_it_writes_and_nothing_else() {
        let sid = CallSid::new(1_795_906_502_467, &mut Rng::from_u64(1));
        assert_eq!(&*sid.text(), format!("CA{:032x}", sid.0));
        assert!(sid.text().starts_with("CA01a2245e7f43"), "{sid}");
        assert_eq!(sid.to_string().parse(), Ok(sid));
        for wrong in ["", "CA", "CB00000000000000000000000000000000", "CA+0000000000000000000000000000000", "CA0"] {
            assert_eq!(wrong.parse::<CallSid>(), Err(InvalidSid), "{wrong}");
        }
    }
}
