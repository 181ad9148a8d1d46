//! Failures counted by source and by user, and who is locked out for a while (FAULTS 22, SECURITY 8).

use base::Now;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a failure counts.
pub const FAILURE_WINDOW: Duration = Duration::from_secs(60);
/// So many failures from one source within [`FAILURE_WINDOW`] ban it: for [`SOURCE_BAN`] nothing of it is answered.
pub const SOURCE_FAILURES: u32 = 10;
/// How long a source is banned.
pub const SOURCE_BAN: Duration = Duration::from_secs(300);
/// So many failures against one user, from anywhere, guard it: for [`USER_BAN`] only sources where it is registered are
/// listened to, so that a thousand sources with one guess each get no further than one source.
pub const USER_FAILURES: u32 = 30;
/// How long a user is guarded.
pub const USER_BAN: Duration = Duration::from_secs(60);
/// The most sources, and the most users, whose failures are remembered. Beyond it the one that has failed the longest ago
/// is forgotten.
pub const MAX_STRIKES: usize = 65_536;

/// Somebody who is locked out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ban {
    /// `source` or `user`.
    pub kind: &'static str,
    /// The address (of IPv6 the /64 network), or the tenant and the name.
    pub who: String,
    /// Failures that led to it.
    pub failures: u32,
    /// Seconds until it ends.
    pub left_s: u64,
}

#[derive(Clone, Copy, Debug)]
struct Strike {
    count: u32,
    since: u64,
    last: u64,
    until: u64,
}

/// The failures of many.
#[derive(Debug)]
pub(super) struct Strikes<K> {
    allowed: u32,
    ban: Duration,
    table: BTreeMap<K, Strike>,
    by_age: BTreeSet<(u64, K)>,
}

impl<K: Ord + Clone> Strikes<K> {
    pub(super) const fn new(allowed: u32, ban: Duration) -> Self {
        Self { allowed, ban, table: BTreeMap::new(), by_age: BTreeSet::new() }
    }

    pub(super) fn is_banned(&self, who: &K, now: Now) -> bool {
        self.table.get(who).is_some_and(|strike| strike.until > now.mono)
    }

    /// Counts one more failure; true where it is the one that bans.
    pub(super) fn strike(&mut self, who: &K, now: Now) -> bool {
        let fresh = Strike { count: 0, since: now.mono, last: now.mono, until: 0 };
        let mut strike = self.forget(who).unwrap_or(fresh);
        if now.since(Now::new(strike.since, 0)) > FAILURE_WINDOW && strike.until <= now.mono {
            strike = fresh;
        }
        strike.count = strike.count.saturating_add(1);
        strike.last = now.mono;
        let bans = strike.count >= self.allowed && strike.until <= now.mono;
        if bans {
            strike.until = now.after(self.ban);
        }
        self.remember(who.clone(), strike);
        bans
    }

    fn forget(&mut self, who: &K) -> Option<Strike> {
        let strike = self.table.remove(who)?;
        self.by_age.remove(&(strike.last, who.clone()));
        Some(strike)
    }

    fn remember(&mut self, who: K, strike: Strike) {
        if self.table.len() >= MAX_STRIKES
            && let Some((_, oldest)) = self.by_age.pop_first()
        {
            self.table.remove(&oldest);
        }
        self.by_age.insert((strike.last, who.clone()));
        self.table.insert(who, strike);
    }

    /// Who is locked out now.
    pub(super) fn bans(&self, kind: &'static str, name: impl Fn(&K) -> String, now: Now) -> Vec<Ban> {
        let ban = |(who, strike): (&K, &Strike)| {
            let left = Duration::from_nanos(strike.until.checked_sub(now.mono).filter(|left| *left > 0)?);
            Some(Ban { kind, who: name(who), failures: strike.count, left_s: left.as_secs_f64().ceil() as u64 })
        };
        self.table.iter().filter_map(ban).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(s: u64) -> Now {
        Now::new(base::secs(1_000 + s), 0)
    }

    #[test]
    fn the_last_of_the_failures_bans_for_a_while() {
        let mut strikes = Strikes::new(3, Duration::from_secs(100));
        assert_eq!([0, 1, 2].map(|s| strikes.strike(&'a', at(s))), [false, false, true]);
        assert!(strikes.is_banned(&'a', at(101)) && !strikes.is_banned(&'b', at(3)));
        let bans = strikes.bans("source", char::to_string, at(3));
        assert_eq!((bans.len(), bans[0].failures, bans[0].left_s), (1, 3, 99));
        assert!(!strikes.is_banned(&'a', at(102)));
        assert!(strikes.bans("source", char::to_string, at(102)).is_empty());
    }

    #[test]
    fn slow_failures_do_not_add_up() {
        let mut strikes = Strikes::new(3, Duration::from_secs(100));
        for n in 0..20 {
            assert!(!strikes.strike(&'a', at(n * 40)), "failure {n}");
        }
    }

    #[test]
    fn a_failure_while_banned_neither_bans_again_nor_frees() {
        let mut strikes = Strikes::new(2, Duration::from_secs(100));
        assert_eq!([0, 1, 90].map(|s| strikes.strike(&'a', at(s))), [false, true, false]);
        assert!(strikes.is_banned(&'a', at(100)) && !strikes.is_banned(&'a', at(101)));
    }

    #[test]
    fn beyond_the_bound_the_oldest_is_forgotten() {
        let mut strikes = Strikes::new(1, Duration::from_secs(10_000));
        for who in 0..=MAX_STRIKES as u64 {
            strikes.strike(&who, Now::new(who + 1, 0));
        }
        assert_eq!((strikes.table.len(), strikes.by_age.len()), (MAX_STRIKES, MAX_STRIKES));
        assert!(!strikes.is_banned(&0, Now::new(1, 0)) && strikes.is_banned(&1, Now::new(1, 0)));
    }
}
