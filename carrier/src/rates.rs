//! A rate deck: what a call costs, by how its number begins.

use crate::number::Number;
use std::collections::BTreeMap;

/// Millionths of the deck's currency.
pub const MICRO: f64 = 1_000_000.0;

/// What calls to one range of numbers cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// A minute, in millionths.
    pub per_minute: u64,
    /// Seconds by which an answered call is counted, each begun one whole; at least 1.
    pub increment_s: u32,
    /// Seconds that an answered call is counted at least.
    pub minimum_s: u32,
}

/// Rates, by the digits that numbers begin with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deck {
    rates: BTreeMap<String, Rate>,
}

impl Deck {
    /// Adds the rate of numbers that begin with these digits (`49`, `1900`), in place of an earlier one.
    pub fn insert(&mut self, prefix: &str, rate: Rate) {
        self.rates.insert(prefix.to_owned(), rate);
    }

    /// The rate of the longest prefix that a number begins with.
    #[must_use]
    pub fn rate(&self, to: &Number) -> Option<&Rate> {
        let digits = to.digits();
        (1..=digits.len()).rev().find_map(|length| self.rates.get(digits.get(..length)?))
    }

    /// What a call costs that was answered for so long, in millionths; `None` where no rate is known. One that was not
    /// answered costs nothing.
    #[must_use]
    pub fn price(&self, to: &Number, billable_ms: u64) -> Option<u64> {
        let rate = self.rate(to)?;
        if billable_ms == 0 {
            return Some(0);
        }
        Some(rate.per_minute.saturating_mul(rate.counted_s(billable_ms)).div_ceil(60))
    }

    /// How long, in milliseconds, a call may last for what it costs that was answered for so long.
    #[must_use]
    pub fn paid_ms(&self, to: &Number, billable_ms: u64) -> Option<u64> {
        self.rate(to).map(|rate| rate.counted_s(billable_ms).saturating_mul(1_000))
    }
}

impl Rate {
    /// The seconds that a call is counted for.
    fn counted_s(&self, billable_ms: u64) -> u64 {
        let increment = u64::from(self.increment_s.max(1));
        let seconds = billable_ms.div_ceil(1_000).max(self.minimum_s.into());
        seconds.div_ceil(increment) * increment
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_counts_by_begun_increments_and_an_unanswered_call_is_free() {
        let mut deck = Deck::default();
        deck.insert("1", Rate { per_minute: 6_000, increment_s: 60, minimum_s: 60 });
        deck.insert("1832", Rate { per_minute: 60_000, increment_s: 6, minimum_s: 0 });
        let price = |number: &str, ms| deck.price(&number.parse().unwrap(), ms);
        assert_eq!(price("+18325550100", 0), Some(0));
        assert_eq!(price("+18325550100", 1), Some(6_000), "six seconds");
        assert_eq!(price("+18325550100", 6_001), Some(12_000));
        assert_eq!(price("+14165550100", 1), Some(6_000), "a minute");
        assert_eq!(price("+14165550100", 60_001), Some(12_000));
        assert_eq!(price("+4930901820", 1), None);
        let paid = |number: &str, ms| deck.paid_ms(&number.parse().unwrap(), ms);
        assert_eq!((paid("+18325550100", 6_000), paid("+18325550100", 6_001)), (Some(6_000), Some(12_000)));
        assert_eq!(paid("+14165550100", 1), Some(60_000));
    }
}
