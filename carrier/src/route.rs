//! Which trunk a number is sent over: the longest prefix, then the least cost, then the priority, then the weight.
//!
//! Every trunk that takes the number stays in the list: those behind are what a call fails over to.

use crate::config::TrunkName;
use crate::number::Number;
use base::Rng;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Prefixes of one trunk, and entries of its costs.
pub const MAX_PREFIXES: usize = 10_000;

/// The priority of a trunk that names none, as of an origination URL (TWILIO.md §1.7).
pub const DEFAULT_PRIORITY: u16 = 10;

/// What becomes of a call for a trunk that takes no more of them now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum WhenFull {
    /// It goes to the next trunk; where there is none it waits.
    #[default]
    Next,
    /// It waits for this one.
    Wait,
}

/// What a trunk is chosen by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteConfig {
    /// The group that it belongs to: a call may ask for the group instead of a trunk.
    pub group: Option<TrunkName>,
    /// The least is tried first.
    pub priority: u16,
    /// Its share among its equals. 0: it comes after those that have one, in the order of the configuration.
    pub weight: u16,
    /// Digits that numbers begin with which it takes; none: it takes all.
    pub prefixes: BTreeSet<String>,
    /// What a minute costs, in millionths, by the digits that numbers begin with.
    pub costs: BTreeMap<String, u64>,
    /// What becomes of a call for it while it is full.
    pub when_full: WhenFull,
    /// Final responses, 300 to 699, after which no other trunk is tried.
    pub final_codes: Vec<u16>,
}

impl Default for RouteConfig {
    fn default() -> Self {
        Self {
            group: None,
            priority: DEFAULT_PRIORITY,
            weight: 0,
            prefixes: BTreeSet::new(),
            costs: BTreeMap::new(),
            when_full: WhenFull::Next,
            final_codes: Vec::new(),
        }
    }
}

impl RouteConfig {
    pub(crate) fn check(&self) -> Result<(), RouteError> {
        let is_prefix =
            |digits: &String| (1..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        if self.prefixes.len() > MAX_PREFIXES || self.costs.len() > MAX_PREFIXES {
            let key = if self.costs.len() > MAX_PREFIXES { "costs" } else { "prefixes" };
            return Err(RouteError::TooMany(key));
        }
        if !self.prefixes.iter().all(is_prefix) {
            return Err(RouteError::Prefix("prefixes"));
        }
        if !self.costs.keys().all(is_prefix) {
            return Err(RouteError::Prefix("costs"));
        }
        let odd = self.final_codes.iter().find(|code| !(300..700).contains(*code));
        odd.map_or(Ok(()), |code| Err(RouteError::FinalCode(*code)))
    }
}

/// What is wrong with a [`RouteConfig`], in words that say what to write instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Of a list of prefixes.
    #[error("write how numbers begin, as in \"+1\" or \"+4930\"")]
    Prefix(&'static str),
    /// Of a list of prefixes.
    #[error("a trunk has at most {MAX_PREFIXES} of them")]
    TooMany(&'static str),
    /// Of `final_codes`.
    #[error("{0} is no final response that could be failed over from: write codes from 300 to 699, as in [503]")]
    FinalCode(u16),
}

impl RouteError {
    /// The key of the configuration that is at fault.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Prefix(key) | Self::TooMany(key) => key,
            Self::FinalCode(_) => "final_codes",
        }
    }
}

/// What speaks for a trunk, for one number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fit {
    /// Digits of the longest of its prefixes that the number begins with.
    pub prefix: usize,
    /// What a minute costs, in millionths; one without a cost comes after all that have one.
    pub cost: Option<u64>,
    /// See [`RouteConfig::priority`].
    pub priority: u16,
    /// See [`RouteConfig::weight`].
    pub weight: u16,
}

impl RouteConfig {
    /// What speaks for it; `None` where it does not take the number.
    #[must_use]
    pub fn fit(&self, to: &Number) -> Option<Fit> {
        let digits = to.digits();
        let begins = || (1..=digits.len()).rev().filter_map(|length| digits.get(..length));
        let prefix = match begins().find(|digits| self.prefixes.contains(*digits)) {
            None if !self.prefixes.is_empty() => return None,
            longest => longest.map_or(0, str::len),
        };
        let cost = begins().find_map(|digits| self.costs.get(digits));
        Some(Fit { prefix, cost: cost.copied(), priority: self.priority, weight: self.weight })
    }
}

impl Fit {
    /// What puts one before another, all but chance.
    fn rank(self) -> (Reverse<usize>, u64, u16) {
        (Reverse(self.prefix), self.cost.unwrap_or(u64::MAX), self.priority)
    }

    /// Whether nothing but the weight decides between them.
    #[must_use]
    pub fn equals(self, other: Self) -> bool {
        self.rank() == other.rank()
    }
}

/// Trunks in the order in which they are tried. Equals come by chance, each as often before the others as its weight says
/// (RFC 2782, Weight); those without a weight after them, in the order in which they stand.
pub fn in_order<T>(mut fits: Vec<(T, Fit)>, rng: &mut Rng) -> Vec<T> {
    fits.sort_by_key(|(_, fit)| (fit.rank(), fit.weight == 0));
    let mut order = Vec::with_capacity(fits.len());
    let mut left = VecDeque::from(fits);
    while let Some((_, first)) = left.front() {
        let first = *first;
        let equals: Vec<u64> =
            left.iter().map(|(_, fit)| *fit).take_while(|fit| fit.equals(first)).map(|fit| fit.weight.into()).collect();
        let drawn = draw(&equals, rng);
        order.extend(left.remove(drawn).map(|(trunk, _)| trunk));
    }
    order
}

/// The same trunks in the likeliest order, each with how often it is the first among its equals (0 to 1).
#[must_use]
pub fn by_likelihood<T>(mut fits: Vec<(T, Fit)>) -> Vec<(T, Fit, f64)> {
    fits.sort_by_key(|(_, fit)| (fit.rank(), Reverse(fit.weight)));
    let all: Vec<Fit> = fits.iter().map(|(_, fit)| *fit).collect();
    let share = |nth: usize, fit: Fit| {
        let equals = || all.iter().enumerate().filter(|(_, other)| other.equals(fit));
        let total: u32 = equals().map(|(_, other)| u32::from(other.weight)).sum();
        let is_first = equals().next().is_some_and(|(first, _)| first == nth);
        match total {
            0 => f64::from(u8::from(is_first)),
            total => f64::from(fit.weight) / f64::from(total),
        }
    };
    fits.into_iter().enumerate().map(|(nth, (trunk, fit))| (trunk, fit, share(nth, fit))).collect()
}

/// One of these by its weight; the first where none has one. Nothing is drawn where there is nothing to choose.
fn draw(weights: &[u64], rng: &mut Rng) -> usize {
    let total: u64 = weights.iter().sum();
    if total == 0 || weights.len() < 2 {
        return 0;
    }
    let mut drawn = rng.below(total);
    let falls_here = |weight: &u64| match drawn.checked_sub(*weight) {
        None => true,
        Some(rest) => {
            drawn = rest;
            false
        }
    };
    weights.iter().position(falls_here).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::Rng;
    use proptest::prelude::*;

    fn fit(prefix: usize, cost: Option<u64>, priority: u16, weight: u16) -> Fit {
        Fit { prefix, cost, priority, weight }
    }

    #[test]
    fn the_longest_prefix_that_fits_counts_and_none_that_does_not() {
        let route = RouteConfig {
            prefixes: ["1", "1832", "44"].map(str::to_owned).into(),
            costs: [("1".to_owned(), 9), ("18325".to_owned(), 5)].into(),
            ..RouteConfig::default()
        };
        let of = |number: &str| route.fit(&number.parse().unwrap()).map(|fit| (fit.prefix, fit.cost));
        assert_eq!(of("+18325550100"), Some((4, Some(5))));
        assert_eq!(of("+14165550100"), Some((1, Some(9))));
        assert_eq!(of("+442079460018"), Some((2, None)));
        assert_eq!(of("+49301234567"), None);
        assert_eq!(RouteConfig::default().fit(&"+49301234567".parse().unwrap()).map(|fit| fit.prefix), Some(0));
    }

    #[test]
    fn prefix_goes_before_cost_before_priority_before_the_order_they_stand_in() {
        let fits = vec![
            ("stands later", fit(1, Some(5), 10, 0)),
            ("no cost", fit(1, None, 1, 0)),
            ("prefix", fit(4, None, 10, 0)),
            ("cost", fit(1, Some(4), 10, 0)),
            ("priority", fit(1, Some(5), 1, 0)),
            ("stands last", fit(1, Some(5), 10, 0)),
        ];
        let order = in_order(fits, &mut Rng::from_u64(1));
        assert_eq!(order, ["prefix", "cost", "priority", "stands later", "stands last", "no cost"]);
    }

    #[test]
    fn equals_are_first_as_often_as_their_weights_say() {
        let (mut rng, mut first) = (Rng::from_u64(7), BTreeMap::new());
        for _ in 0..10_000 {
            let fits = vec![("none", fit(0, None, 1, 0)), ("one", fit(0, None, 1, 1)), ("three", fit(0, None, 1, 3))];
            let order = in_order(fits, &mut rng);
            assert_eq!(order[2], "none");
            *first.entry(order[0]).or_insert(0) += 1;
        }
        assert!((2_300..2_700).contains(&first["one"]), "{first:?}");
        assert_eq!(first["one"] + first["three"], 10_000);
    }

    #[test]
    fn the_likeliest_order_says_how_likely_it_is() {
        let fits = vec![
            ("alone", fit(0, None, 2, 0)),
            ("one", fit(0, None, 1, 1)),
            ("none", fit(0, None, 1, 0)),
            ("three", fit(0, None, 1, 3)),
        ];
        let told: Vec<_> = by_likelihood(fits).into_iter().map(|(trunk, _, share)| (trunk, share)).collect();
        assert_eq!(told, [("three", 0.75), ("one", 0.25), ("none", 0.0), ("alone", 1.0)]);
    }

    proptest! {
        #[test]
        fn everyone_is_in_it_once_and_nobody_before_a_better_one(
            fits in prop::collection::vec((0usize..3, prop::option::of(0u64..3), 0u16..3, 0u16..3), 0..12),
            seed in any::<u64>(),
        ) {
            let fits: Vec<Fit> = fits.into_iter().map(|(p, c, o, w)| fit(p, c, o, w)).collect();
            let order = in_order(fits.iter().copied().enumerate().collect(), &mut Rng::from_u64(seed));
            let mut all = order.clone();
            all.sort_unstable();
            prop_assert_eq!(all, (0..fits.len()).collect::<Vec<_>>());
            prop_assert!(order.windows(2).all(|two| fits[two[0]].rank() <= fits[two[1]].rank()));
        }
    }
}
