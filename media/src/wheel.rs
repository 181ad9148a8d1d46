//! A timer wheel of 1 ms slots: one deadline a key, set, moved and stopped in constant time without allocation.
//!
//! Lists run through an array of links, so that the steady path never allocates. Deadlines beyond the horizon wait in
//! the wheel's last slot and fire early: whoever is woken looks at its own clock and sets itself again.

/// Slots, one a millisecond: how far ahead a deadline is exact.
const SLOTS: usize = 1024;
const MASK: u64 = SLOTS as u64 - 1;
const NONE: u32 = u32::MAX;

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
    /// The slot it is in; `NONE`: not set.
    slot: u32,
}

const UNSET: Link = Link { previous: NONE, next: NONE, slot: NONE };

/// Keys (small integers) by deadline.
#[derive(Clone, Debug)]
pub(crate) struct Wheel {
    heads: Vec<u32>,
    tails: Vec<u32>,
    occupied: [u64; SLOTS / 64],
    links: Vec<Link>,
    /// The slot being worked on, as a time in ms. All before it are empty.
    current: u64,
}

impl Wheel {
    pub(crate) fn new() -> Self {
        let empty = vec![NONE; SLOTS];
        Self { heads: empty.clone(), tails: empty, occupied: [0; SLOTS / 64], links: Vec::new(), current: 0 }
    }

    /// Sets `key` to fire at `at` (milliseconds), in place of any earlier setting; keys of one slot fire in the order
    /// they were set.
    pub(crate) fn set(&mut self, key: u32, at: u64) {
        self.stop(key);
        let index = key as usize;
        if self.links.len() <= index {
            self.links.resize(index + 1, UNSET);
        }
        let at = at.clamp(self.current, self.current + MASK);
        let slot = (at & MASK) as usize;
        let tail = self.tails[slot];
        self.links[index] = Link { previous: tail, next: NONE, slot: slot as u32 };
        match self.links.get_mut(tail as usize) {
            Some(link) => link.next = key,
            None => self.heads[slot] = key,
        }
        self.tails[slot] = key;
        self.occupied[slot / 64] |= 1 << (slot % 64);
    }

    /// Sets `key`, or stops it.
    pub(crate) fn put(&mut self, key: u32, at: Option<u64>) {
        match at {
            Some(at) => self.set(key, at),
            None => self.stop(key),
        }
    }

    /// Stops `key`; nothing happens where it was not set.
    pub(crate) fn stop(&mut self, key: u32) {
        let Some(link) = self.links.get_mut(key as usize) else { return };
        let Link { previous, next, slot } = std::mem::replace(link, UNSET);
        if slot == NONE {
            return;
        }
        let slot = slot as usize;
        match self.links.get_mut(previous as usize) {
            Some(link) => link.next = next,
            None => self.heads[slot] = next,
        }
        match self.links.get_mut(next as usize) {
            Some(link) => link.previous = previous,
            None => self.tails[slot] = previous,
        }
        if self.heads[slot] == NONE {
            self.occupied[slot / 64] &= !(1 << (slot % 64));
        }
    }

    /// After a sleep of more than the horizon all that is set is due; slots would no longer tell which time they mean.
    fn rebase(&mut self, now: u64) {
        let (old, here) = (self.current, now & MASK);
        self.current = now;
        for slot in (old..=old + MASK).map(|at| at & MASK).filter(|slot| *slot != here) {
            while self.heads[slot as usize] != NONE {
                self.set(self.heads[slot as usize], now);
            }
        }
    }

    /// Takes one key whose deadline is `now` (milliseconds) or earlier, the earliest slot first.
    pub(crate) fn expired(&mut self, now: u64) -> Option<u32> {
        if now > self.current + MASK {
            self.rebase(now);
        }
        let at = match self.next() {
            Some(at) if at <= now => at,
            // Nothing is due: the wheel stands at `now`, so that what is set from here on has its full horizon.
            _ => {
                self.current = self.current.max(now);
                return None;
            }
        };
        self.current = at;
        let key = self.heads[(at & MASK) as usize];
        self.stop(key);
        Some(key)
    }

    /// The earliest deadline, in milliseconds.
    pub(crate) fn next(&self) -> Option<u64> {
        let start = (self.current & MASK) as usize;
        let (word, bit) = (start / 64, start % 64);
        let words = self.occupied.len();
        for step in 0..=words {
            let index = (word + step) % words;
            let mut bits = self.occupied[index];
            if step == 0 {
                bits &= u64::MAX << bit;
            } else if step == words {
                bits &= !(u64::MAX << bit);
            }
            if bits != 0 {
                let slot = (index * 64) as u64 + u64::from(bits.trailing_zeros());
                return Some(self.current + (slot.wrapping_sub(self.current) & MASK));
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fires_what_is_due_in_order_of_time_then_of_setting() {
        let mut wheel = Wheel::new();
        for (key, at) in [(3, 7), (1, 5), (2, 5), (0, 2000)] {
            wheel.set(key, at);
        }
        assert_eq!(wheel.next(), Some(5));
        assert_eq!([wheel.expired(6), wheel.expired(6), wheel.expired(6)], [Some(1), Some(2), None]);
        assert_eq!([wheel.expired(100), wheel.expired(100)], [Some(3), None]);
        // Beyond the horizon: woken early, to set itself again.
        assert_eq!(wheel.next(), Some(1023));
    }

    #[test]
    fn a_deadline_in_the_past_is_due_at_once_even_after_a_long_sleep() {
        let mut wheel = Wheel::new();
        assert_eq!(wheel.expired(1_000_000), None);
        wheel.set(4, 3);
        assert_eq!((wheel.next(), wheel.expired(1_000_000)), (Some(1_000_000), Some(4)));
        assert_eq!(wheel.next(), None);
    }

    #[test]
    fn a_sleep_beyond_the_horizon_makes_everything_due_once() {
        let mut wheel = Wheel::new();
        for key in 0..5 {
            wheel.set(key, u64::from(key) * 300);
        }
        let now = 3_600_000;
        let mut fired = Vec::new();
        while let Some(key) = wheel.expired(now) {
            fired.push(key);
            wheel.set(key, now + 20);
        }
        fired.sort_unstable();
        assert_eq!((fired, wheel.next()), (vec![0, 1, 2, 3, 4], Some(now + 20)));
    }

    proptest! {
        /// Against a list that is searched: the same keys at the same times, whatever is set, moved and stopped.
        #[test]
        fn agrees_with_a_sorted_list(steps in prop::collection::vec((0u32..8, 0u64..1000, 0u64..40, any::<bool>()), 1..200)) {
            let mut wheel = Wheel::new();
            let mut list: Vec<(u64, u32)> = Vec::new();
            let mut now = 0;
            for (key, ahead, passes, stop) in steps {
                list.retain(|entry| entry.1 != key);
                if stop { wheel.stop(key) } else { wheel.set(key, now + ahead); list.push((now + ahead, key)) }
                prop_assert_eq!(wheel.next(), list.iter().map(|entry| entry.0).min());
                now += passes;
                let mut fired: Vec<_> = std::iter::from_fn(|| wheel.expired(now)).collect();
                let mut due: Vec<_> = list.iter().filter(|entry| entry.0 <= now).map(|entry| entry.1).collect();
                list.retain(|entry| entry.0 > now);
                fired.sort_unstable();
                due.sort_unstable();
                prop_assert_eq!(fired, due);
            }
        }
    }
}
