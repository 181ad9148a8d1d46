//! A running hash of everything that happened, in order: two runs with the same hash were the same run.
//!
//! Not cryptographic; made to keep up with a million packets a second.

/// An odd constant with well-mixed bits (the fractional part of the golden ratio).
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// The hash so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace(u64);

impl Default for Trace {
    fn default() -> Self {
        Self(0x243F_6A88_85A3_08D3)
    }
}

impl Trace {
    /// Adds a number.
    pub const fn number(&mut self, value: u64) {
        self.0 = (self.0 ^ value).wrapping_mul(MULTIPLIER).rotate_left(29);
    }

    /// Adds octets, and how many they are.
    pub fn octets(&mut self, octets: &[u8]) {
        let (words, rest) = octets.as_chunks::<8>();
        words.iter().for_each(|word| self.number(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.number(u64::from_le_bytes(last));
        self.number(octets.len() as u64);
    }

    /// The hash.
    #[must_use]
    pub const fn value(self) -> u64 {
        let folded = self.0 ^ (self.0 >> 32);
        folded.wrapping_mul(MULTIPLIER) ^ (folded >> 29)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[&[u8]]) -> u64 {
        let mut trace = Trace::default();
        parts.iter().for_each(|part| trace.octets(part));
        trace.value()
    }

    #[test]
    fn order_content_and_boundaries_all_count() {
        let runs: [&[&[u8]]; 7] = [&[], &[b""], &[b"a"], &[b"a\0"], &[b"ab", b"c"], &[b"a", b"bc"], &[b"bc", b"a"]];
        let hashes: std::collections::BTreeSet<_> = runs.iter().map(|run| of(run)).collect();
        assert_eq!(hashes.len(), runs.len());
        assert_eq!(of(&[b"0123456789"]), of(&[b"0123456789"]));
    }
}
