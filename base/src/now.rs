//! Time, handed in.

use serde::{Deserialize, Serialize};
use std::time::Duration;

/// One instant, on two clocks: timers and durations use `mono`, records of what happened carry `wall`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Now {
    /// Monotonic nanoseconds since an origin of the driver's choosing. Never steps back.
    pub mono: u64,
    /// Milliseconds since the Unix epoch (UTC). May step either way.
    pub wall: u64,
}

impl Now {
    /// An instant at the given values.
    #[must_use]
    pub const fn new(mono: u64, wall: u64) -> Self {
        Self { mono, wall }
    }

    /// The instant `by` later on both clocks.
    #[must_use]
    pub const fn plus(self, by: Duration) -> Self {
        Self {
            mono: self.mono.saturating_add(by.as_nanos() as u64),
            wall: self.wall.saturating_add(by.as_millis() as u64),
        }
    }

    /// Monotonic nanoseconds of the instant `by` from now: what a timer is set to.
    #[must_use]
    pub const fn after(self, by: Duration) -> u64 {
        self.mono.saturating_add(by.as_nanos() as u64)
    }

    /// Time passed since `earlier` on the monotonic clock, zero where `earlier` lies ahead.
    #[must_use]
    pub const fn since(self, earlier: Now) -> Duration {
        Duration::from_nanos(self.mono.saturating_sub(earlier.mono))
    }
}

/// Nanoseconds in `n` milliseconds.
#[must_use]
pub const fn millis(n: u64) -> u64 {
    n * 1_000_000
}

/// Nanoseconds in `n` seconds.
#[must_use]
pub const fn secs(n: u64) -> u64 {
    n * 1_000_000_000
}
