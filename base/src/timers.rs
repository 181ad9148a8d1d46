//! Deterministic timers: one deadline a key, fired in order of time and then of key.

use rustc_hash::FxHashMap;
use std::collections::{BTreeSet, VecDeque};
use std::hash::Hash;

/// Queues beside the tree. Nearly all deadlines of a busy switch are "now and one of a few constants" (64·T1, T4, a ring
/// time): those of one constant come in order, and a queue takes them without a search.
const LANES: usize = 8;

/// Nanoseconds by which a deadline may lie behind the last of a queue and still belong to it.
const GAP: u64 = 250_000_000;

/// A queue of no more entries than this is no constant's: it makes room for another, and its entries go to the tree.
const SPARSE: usize = 4;

/// Entries that were stopped or moved and still lie in a queue, beyond which, and beyond as many as are
/// set, they are swept out.
const STALE: usize = 1_024;

/// The tree's number, as the table has it.
const TREE: u8 = LANES as u8;

/// Deadlines (monotonic nanoseconds) by key. Setting a key again moves it; equal deadlines fire in key order, so that
/// the same inputs give the same outputs on every run. Keys are our own numbers, never a peer's text.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    /// Each in order; what is not in `by_key` with the same deadline and lane is stale. The first of each is not.
    lanes: [VecDeque<(u64, K)>; LANES],
    tree: BTreeSet<(u64, K)>,
    by_key: FxHashMap<K, (u64, u8)>,
    /// Stale entries in all lanes.
    stale: usize,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self {
            lanes: std::array::from_fn(|_| VecDeque::new()),
            tree: BTreeSet::new(),
            by_key: FxHashMap::default(),
            stale: 0,
        }
    }
}

impl<K: Copy + Ord + Hash> Timers<K> {
    /// Sets `key` to fire at `at`, in place of any earlier setting.
    pub fn set(&mut self, key: K, at: u64) {
        let lane = self.lane_for((at, key));
        if let Some((old, was)) = self.by_key.insert(key, (at, lane)) {
            if (old, was) == (at, lane) && lane != TREE {
                // The entry that lies there is as good as a new one.
                return;
            }
            self.gone(key, old, was);
        }
        match self.lanes.get_mut(usize::from(lane)) {
            Some(queue) => queue.push_back((at, key)),
            None => {
                self.tree.insert((at, key));
            }
        }
        self.tidy();
    }

    /// Stops `key`; nothing happens where it was not set.
    pub fn stop(&mut self, key: K) {
        if let Some((old, was)) = self.by_key.remove(&key) {
            self.gone(key, old, was);
            self.tidy();
        }
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.first().map(|((at, _), _)| at)
    }

    /// Takes one key whose deadline is `mono` or earlier.
    pub fn expired(&mut self, mono: u64) -> Option<K> {
        let ((at, key), lane) = self.first()?;
        if at > mono {
            return None;
        }
        self.by_key.remove(&key);
        match self.lanes.get_mut(lane) {
            Some(queue) => {
                queue.pop_front();
                self.uncover(lane);
            }
            None => {
                self.tree.pop_first();
            }
        }
        self.tidy();
        Some(key)
    }

    /// The deadline of `key`.
    #[must_use]
    pub fn get(&self, key: K) -> Option<u64> {
        self.by_key.get(&key).map(|(at, _)| *at)
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

    /// The queue that ends nearest before `entry`; else an empty one, made empty where there is none; else the tree.
    fn lane_for(&mut self, entry: (u64, K)) -> u8 {
        let mut nearest: Option<(u64, usize)> = None;
        let mut shortest = (usize::MAX, 0);
        for (lane, queue) in self.lanes.iter().enumerate() {
            if let Some(last) = queue.back()
                && *last <= entry
                && entry.0 - last.0 <= GAP
                && nearest.is_none_or(|(at, _)| at < last.0)
            {
                nearest = Some((last.0, lane));
            }
            shortest = shortest.min((queue.len(), lane));
        }
        let lane = nearest.map_or(shortest.1, |(_, lane)| lane);
        if nearest.is_none() && shortest.0 > SPARSE {
            return TREE;
        }
        if nearest.is_none() {
            self.clear(lane);
        }
        u8::try_from(lane).unwrap_or(TREE)
    }

    /// Moves what a queue has to the tree.
    fn clear(&mut self, lane: usize) {
        let Some(queue) = self.lanes.get_mut(lane) else { return };
        for (at, key) in queue.drain(..) {
            match self.by_key.get_mut(&key) {
                Some(set) if *set == (at, lane as u8) => {
                    set.1 = TREE;
                    self.tree.insert((at, key));
                }
                _ => self.stale -= 1,
            }
        }
    }

    /// The first entry of all, and which lane's it is.
    fn first(&self) -> Option<((u64, K), usize)> {
        let queues = self.lanes.iter().map(VecDeque::front).chain(std::iter::once(self.tree.first()));
        queues.enumerate().filter_map(|(lane, entry)| entry.map(|entry| (*entry, lane))).min()
    }

    /// An entry no longer counts.
    fn gone(&mut self, key: K, at: u64, lane: u8) {
        let Some(queue) = self.lanes.get_mut(usize::from(lane)) else {
            self.tree.remove(&(at, key));
            return;
        };
        self.stale += 1;
        if queue.front() == Some(&(at, key)) {
            self.uncover(usize::from(lane));
        } else if queue.back() == Some(&(at, key)) {
            queue.pop_back();
            self.stale -= 1;
        }
    }

    /// Takes what is stale from the front of a queue.
    fn uncover(&mut self, lane: usize) {
        let Some(queue) = self.lanes.get_mut(lane) else { return };
        while let Some((at, key)) = queue.front()
            && !is_set(&self.by_key, *key, *at, lane)
        {
            queue.pop_front();
            self.stale -= 1;
        }
    }

    /// Sweeps what is stale out of all queues, once there is enough of it to be worth the walk.
    fn tidy(&mut self) {
        if self.stale <= STALE.max(self.by_key.len()) {
            return;
        }
        for (lane, queue) in self.lanes.iter_mut().enumerate() {
            let mut last = None;
            queue.retain(|entry| {
                let (at, key) = *entry;
                is_set(&self.by_key, key, at, lane) && last.replace(*entry) != Some(*entry)
            });
        }
        self.stale = 0;
    }
}

fn is_set<K: Eq + Hash>(by_key: &FxHashMap<K, (u64, u8)>, key: K, at: u64, lane: usize) -> bool {
    by_key.get(&key).is_some_and(|&(set, there)| set == at && usize::from(there) == lane)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Rng;

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

    /// What it is held against: a tree of all that is set.
    #[derive(Default)]
    struct Model(BTreeSet<(u64, u32)>);

    impl Model {
        fn stop(&mut self, key: u32) {
            self.0.retain(|(_, other)| *other != key);
        }

        fn set(&mut self, key: u32, at: u64) {
            self.stop(key);
            self.0.insert((at, key));
        }

        fn expired(&mut self, mono: u64) -> Option<u32> {
            let first = *self.0.first()?;
            (first.0 <= mono).then(|| self.0.remove(&first)).map(|_| first.1)
        }
    }

    /// One walk: constants and odd times, set, moved to where they are, stopped, fired.
    fn walk(seed: u64, keys: u64, steps: usize) {
        let constants = [0, 4_000_000_000, 32_000_000_000, 500_000_000, 180_000_000_000];
        let (mut rng, mut now) = (Rng::from_u64(seed), 1_000);
        let (mut timers, mut model) = (Timers::default(), Model::default());
        for step in 0..steps {
            let key = rng.below(keys) as u32;
            match rng.below(8) {
                0 => {
                    timers.stop(key);
                    model.stop(key);
                }
                1 => {
                    let odd = now + rng.below(90_000_000_000);
                    timers.set(key, odd);
                    model.set(key, odd);
                }
                2 => now += rng.below(3_000_000_000 / keys),
                _ => {
                    let at = now + constants[rng.below(5) as usize];
                    timers.set(key, at);
                    model.set(key, at);
                }
            }
            assert_eq!(
                (timers.next(), timers.len()),
                (model.0.first().map(|(at, _)| *at), model.0.len()),
                "step {step}"
            );
            while let Some(key) = model.expired(now) {
                assert_eq!(
                    (timers.get(key).is_some(), timers.expired(now)),
                    (true, Some(key)),
                    "seed {seed}, step {step}"
                );
            }
            assert_eq!(timers.expired(now), None, "seed {seed}, step {step}");
            let held: usize = timers.lanes.iter().map(VecDeque::len).sum();
            assert_eq!(held + timers.tree.len(), timers.len() + timers.stale, "seed {seed}, step {step}");
            assert!(timers.stale <= STALE.max(timers.len()), "seed {seed}: {} stale", timers.stale);
        }
    }

    #[test]
    fn what_is_set_moved_and_stopped_fires_as_one_tree_of_all_would_have_it() {
        (0..40).for_each(|seed| walk(seed, 12, 2_000));
        (0..4).for_each(|seed| walk(seed, 3_000, 20_000));
    }
}
