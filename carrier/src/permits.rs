//! How many calls a trunk may be sent: a second, and at once.
//!
//! A token bucket lets twice its rate through in an unlucky second, and a carrier that counts then refuses with 503. So
//! the times of the last `max_cps` calls are kept, and the next goes when the oldest of them is a second ago: no second,
//! wherever it begins, holds more than `max_cps`.

use base::{Now, millis, secs};
use std::collections::VecDeque;

/// The greatest `max_cps` of a trunk; a greater one counts as this. It bounds what is remembered, 8 bytes a call
/// and 800 kB a trunk.
pub const MAX_CPS: u32 = 100_000;

/// How much longer than a second the window is, in nanoseconds: of two INVITEs a second apart, the network may delay the
/// first more than the second, and the carrier counts where they arrive.
const JITTER_MARGIN: u64 = millis(20);

/// The time in which no more than `max_cps` calls go, in nanoseconds.
const WINDOW: u64 = secs(1) + JITTER_MARGIN;

/// Leave to place one call. It is given back to [`Permits::release`] when the call has ended, once: there is no copying it.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a permit that is dropped occupies its channel for ever"]
pub struct Permit(());

/// Why there is no permit now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// Too many in the last second: ask again at this time (monotonic nanoseconds).
    RetryAt(u64),
    /// Every channel is in use: ask again when one is released.
    AllInUse,
}

/// The permits of one trunk. A request that is sent again with credentials is the same call and needs no second permit.
#[derive(Clone, Debug)]
pub struct Permits {
    max_cps: u32,
    max_calls: u32,
    live: u32,
    /// When the last permits were given, oldest first (monotonic nanoseconds): the last `max_cps`, 8 bytes each.
    given: VecDeque<u64>,
    /// None is given before this time (monotonic nanoseconds).
    held: u64,
}

impl Permits {
    /// Permits for a trunk that takes `max_cps` calls a second (at least 1, at most [`MAX_CPS`]) and `max_calls` at once.
    #[must_use]
    pub fn new(max_cps: u32, max_calls: u32) -> Self {
        Self { max_cps: max_cps.clamp(1, MAX_CPS), max_calls, live: 0, given: VecDeque::new(), held: 0 }
    }

    /// Sets other limits. Permits that are out stay out, also beyond a lower limit.
    pub fn limit(&mut self, max_cps: u32, max_calls: u32) {
        self.max_cps = max_cps.clamp(1, MAX_CPS);
        self.max_calls = max_calls;
    }

    /// Counts the last second as full: what was sent in it, by an earlier process or under another name, nobody knows.
    pub fn spend(&mut self, now: Now) {
        self.held = now.mono.saturating_add(WINDOW);
    }

    /// Whether [`Permits::take`] would give one now: for a call that needs the permits of two at once.
    ///
    /// # Errors
    /// As [`Permits::take`].
    pub fn ready(&self, now: Now) -> Result<(), Denied> {
        if self.live >= self.max_calls {
            return Err(Denied::AllInUse);
        }
        let next = self.next_at();
        if next > now.mono { Err(Denied::RetryAt(next)) } else { Ok(()) }
    }

    /// Takes a permit.
    ///
    /// # Errors
    /// When there is none, with when to ask again.
    pub fn take(&mut self, now: Now) -> Result<Permit, Denied> {
        self.ready(now)?;
        self.given.push_back(now.mono);
        while self.given.len() > self.max_cps as usize {
            self.given.pop_front();
        }
        self.live += 1;
        Ok(Permit(()))
    }

    /// Gives a permit back.
    pub fn release(&mut self, permit: Permit) {
        let Permit(()) = permit;
        self.live = self.live.saturating_sub(1);
    }

    /// Calls that hold a permit.
    #[must_use]
    pub const fn live(&self) -> u32 {
        self.live
    }

    /// When the oldest of the last `max_cps` calls is a second ago, and what is held over.
    fn next_at(&self) -> u64 {
        let oldest = self.given.len().checked_sub(self.max_cps as usize).and_then(|oldest| self.given.get(oldest));
        oldest.map_or(0, |given| given.saturating_add(WINDOW)).max(self.held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Now {
        Now::new(millis(ms), 0)
    }

    #[test]
    fn one_a_second_means_a_second_between_two() {
        let mut permits = Permits::new(1, 10);
        assert!(permits.take(at(500)).is_ok());
        assert_eq!(permits.take(at(500)), Err(Denied::RetryAt(millis(1_520))));
        assert_eq!(permits.take(at(1_519)), Err(Denied::RetryAt(millis(1_520))));
        assert!(permits.take(at(1_520)).is_ok());
    }

    #[test]
    fn a_burst_up_to_the_rate_goes_at_once_and_then_waits() {
        let mut permits = Permits::new(3, 10);
        assert!((0..3).all(|_| permits.take(at(0)).is_ok()));
        assert_eq!(permits.take(at(900)), Err(Denied::RetryAt(millis(1_020))));
        assert!((0..3).all(|_| permits.take(at(1_020)).is_ok()));
        assert!(permits.take(at(1_020)).is_err());
    }

    #[test]
    fn a_channel_is_free_again_when_it_is_released() {
        let mut permits = Permits::new(100, 2);
        let (one, _two) = (permits.take(at(0)).unwrap(), permits.take(at(0)).unwrap());
        assert_eq!(permits.take(at(99_000)), Err(Denied::AllInUse));
        permits.release(one);
        assert_eq!(permits.live(), 1);
        assert!(permits.take(at(99_000)).is_ok());
    }

    #[test]
    fn a_second_that_counts_as_full_lets_nothing_through() {
        let mut permits = Permits::new(2, 10);
        permits.spend(at(500));
        assert_eq!(permits.take(at(500)), Err(Denied::RetryAt(millis(1_520))));
        assert_eq!(permits.take(at(1_519)), Err(Denied::RetryAt(millis(1_520))));
        assert!((0..2).all(|_| permits.take(at(1_520)).is_ok()));
        assert_eq!(permits.take(at(1_521)), Err(Denied::RetryAt(millis(2_540))));
    }

    #[test]
    fn other_limits_leave_what_is_out() {
        let mut permits = Permits::new(2, 2);
        let one = permits.take(at(0)).unwrap();
        let _two = permits.take(at(0)).unwrap();
        permits.limit(1, 1);
        permits.release(one);
        assert_eq!(permits.take(at(5_000)), Err(Denied::AllInUse));
        permits.limit(5, 9);
        assert!((0..5).all(|_| permits.take(at(5_000)).is_ok()));
        permits.limit(0, 9);
        assert_eq!(permits.take(at(5_001)), Err(Denied::RetryAt(millis(6_020))));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        assert_eq!(Permits::new(u32::MAX, 1).max_cps, MAX_CPS);
        let mut permits = Permits::new(50, u32::MAX);
        for second in 0..5 {
            assert_eq!((0..200).filter(|_| permits.take(at(second * 1_100)).is_ok()).count(), 50);
        }
        assert_eq!(permits.given.len(), 50);
        permits.limit(80, u32::MAX);
        assert_eq!((0..200).filter(|_| permits.take(at(4_500)).is_ok()).count(), 30);
    }

    proptest! {
        #[test]
        fn no_second_holds_more_than_the_rate(
            cps in 1u32..20,
            steps in prop::collection::vec((0u64..400, 1u32..4), 1..200),
        ) {
            let mut permits = Permits::new(cps, u32::MAX);
            let (mut ms, mut given) = (0, Vec::new());
            for (passed, asked) in steps {
                ms += passed;
                for _ in 0..asked {
                    match permits.take(at(ms)) {
                        Ok(_permit) => given.push(ms),
                        Err(Denied::RetryAt(later)) => prop_assert!(later > millis(ms) && later <= millis(ms + 1_020)),
                        Err(Denied::AllInUse) => prop_assert!(false, "no limit of channels was set"),
                    }
                }
            }
            for (i, first) in given.iter().enumerate() {
                let within = given[i..].iter().take_while(|t| *t - first < 1_000).count();
                prop_assert!(within <= cps as usize, "{} calls in a second", within);
            }
        }

        #[test]
        fn asking_again_when_told_to_is_granted(cps in 1u32..20, bursts in prop::collection::vec(0u64..3_000, 1..50)) {
            let mut permits = Permits::new(cps, u32::MAX);
            let mut now = at(0);
            for ms in bursts {
                now.mono += millis(ms);
                if let Err(Denied::RetryAt(later)) = permits.take(now) {
                    now.mono = later;
                    prop_assert!(permits.take(now).is_ok());
                }
            }
        }

        #[test]
        fn channels_are_never_exceeded_and_all_come_back(max in 1u32..10, takes in prop::collection::vec(any::<bool>(), 1..200)) {
            let mut permits = Permits::new(MAX_CPS, max);
            let mut held = Vec::new();
            for take in takes {
                if take {
                    held.extend(permits.take(at(0)).ok());
                } else if let Some(permit) = held.pop() {
                    permits.release(permit);
                }
                prop_assert_eq!(permits.live() as usize, held.len());
                prop_assert!(permits.live() <= max);
            }
            held.into_iter().for_each(|permit| permits.release(permit));
            prop_assert_eq!(permits.live(), 0);
        }
    }
}
