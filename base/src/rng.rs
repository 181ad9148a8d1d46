//! Randomness, handed in: one seeded CSPRNG (ChaCha12) for tags, branches, Call-IDs, SSRCs, cnonces and keys.

use rand_chacha::ChaCha12Rng;
use rand_core::{Rng as _, SeedableRng};

const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const HEX: &[u8; 16] = b"0123456789abcdef";

/// A cryptographically secure generator. The rim seeds it from the operating system, a test from its seed.
#[derive(Clone, Debug)]
pub struct Rng(ChaCha12Rng);

impl Rng {
    /// A generator from 256 bits of entropy.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(ChaCha12Rng::from_seed(seed))
    }

    /// A generator for tests and simulations, replayable from one printed number.
    #[must_use]
    pub fn from_u64(seed: u64) -> Self {
        Self(ChaCha12Rng::seed_from_u64(seed))
    }

    /// An independent generator, drawn from this one.
    #[must_use]
    pub fn fork(&mut self) -> Self {
        let mut seed = [0; 32];
        self.0.fill_bytes(&mut seed);
        Self::from_seed(seed)
    }

    /// 32 uniform bits.
    pub fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    /// 64 uniform bits.
    pub fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// A number below `bound`, without modulo bias; 0 where `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 {
            return 0;
        }
        let limit = u64::MAX - u64::MAX % bound;
        loop {
            let drawn = self.u64();
            if drawn < limit {
                return drawn % bound;
            }
        }
    }

    /// True with the given probability (0 to 1).
    pub fn chance(&mut self, probability: f64) -> bool {
        (self.u64() >> 11) as f64 / (1u64 << 53) as f64 <= probability && probability > 0.0
    }

    /// Fills `out`.
    pub fn fill(&mut self, out: &mut [u8]) {
        self.0.fill_bytes(out);
    }

    /// `len` letters and digits: a token in SIP's grammar (RFC 3261 §25.1), 5.95 bits each.
    pub fn token(&mut self, len: usize) -> String {
        (0..len).map(|_| ALPHANUMERIC[self.below(62) as usize] as char).collect()
    }

    /// `len` lower-case hexadecimal digits.
    pub fn hex(&mut self, len: usize) -> String {
        (0..len).map(|_| HEX[(self.u32() & 15) as usize] as char).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_tokens() {
        assert_eq!(Rng::from_u64(7).token(20), Rng::from_u64(7).token(20));
        assert_ne!(Rng::from_u64(7).token(20), Rng::from_u64(8).token(20));
    }

    #[test]
    fn below_stays_below_and_zero_is_harmless() {
        let mut rng = Rng::from_u64(1);
        assert!((0..1000).all(|_| rng.below(3) < 3));
        assert_eq!(rng.below(0), 0);
        assert!(!rng.chance(0.0));
        assert!(rng.chance(1.0));
    }
}
