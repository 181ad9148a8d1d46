//! Deterministic timers: one deadline a key, fired in order of time and then of key.

use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::hash::Hash;

/// Deadlines (monotonic nanoseconds) by key. Setting a key again moves it; equal deadlines fire in key order, so that
/// the same inputs give the same outputs on every run. Keys are our own numbers, never a peer's text.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    by_time: BTreeSet<(u64, K)>,
    by_key: FxHashMap<K, u64>,
}

impl<K: Copy + Ord> Default for Timers<K> {
    fn default() -> Self {
        Self { by_time: BTreeSet::new(), by_key: FxHashMap::default() }
    }
}

impl<K: Copy + Ord + Hash> Timers<K> {
    /// Sets `key` to fire at `at`, in place of any earlier setting.
    pub fn set(&mut self, key: K, at: u64) {
        if let Some(old) = self.by_key.insert(key, at) {
            self.by_time.remove(&(old, key));
        }
        self.by_time.insert((at, key));
    }

    /// Stops `key`; nothing happens where it was not set.
    pub fn stop(&mut self, key: K) {
        if let Some(old) = self.by_key.remove(&key) {
            self.by_time.remove(&(old, key));
        }
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes one key whose deadline is `mono` or earlier.
    pub fn expired(&mut self, mono: u64) -> Option<K> {
        let &(at, key) = self.by_time.first()?;
        if at > mono {
            return None;
        }
        self.by_time.pop_first();
        self.by_key.remove(&key);
        Some(key)
    }

    /// The deadline of `key`.
    #[must_use]
    pub fn get(&self, key: K) -> Option<u64> {
        self.by_key.get(&key).copied()
    }

    /// How many timers are set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// True where no timer is set: what every test of a leak asks for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fires_in_order_of_time_then_key_and_only_what_is_due() {
        let mut timers = Timers::default();
        timers.set('c', 5);
        timers.set('b', 5);
        timers.set('a', 9);
        timers.set('a', 7);
        assert_eq!(timers.next(), Some(5));
        assert_eq!([timers.expired(6), timers.expired(6), timers.expired(6)], [Some('b'), Some('c'), None]);
        timers.stop('a');
        assert!(timers.is_empty());
    }
}
