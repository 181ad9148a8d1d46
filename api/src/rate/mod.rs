//! How often somebody may ask: requests a minute, counted in this process, or leased from Redis where several processes
//! share them ([`Shared`]).

mod shared;

pub use shared::{Shared, SharedError, shared_url};

use arc_swap::ArcSwap;
use governor::clock::DefaultClock;
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use shared::Lease;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

type Bucket = RateLimiter<NotKeyed, InMemoryState, DefaultClock, StateInformationMiddleware>;

/// What is left of a rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Requests a minute.
    pub limit: u32,
    /// Requests that would be taken at once now.
    pub remaining: u32,
    /// Seconds until all of the limit is there again.
    pub reset_s: u64,
    /// Where this request is refused: seconds until one would be taken.
    pub retry_after_s: Option<u64>,
    /// It is the tenant's, whose keys share it, and not the key's.
    pub of_tenant: bool,
}

impl Allowance {
    fn taken(limit: u32, remaining: u32) -> Self {
        let gone = u64::from(limit - remaining.min(limit));
        let reset_s = (gone * 60).div_ceil(u64::from(limit.max(1)));
        Self { limit, remaining, reset_s, retry_after_s: None, of_tenant: false }
    }

    fn refused(limit: u32, wait: Duration) -> Self {
        Self { retry_after_s: Some(wait.as_secs() + 1), ..Self::taken(limit, 0) }
    }

    /// The one of two that is nearer to its end.
    #[must_use]
    pub fn tighter(self, other: Self) -> Self {
        let left = |allowance: &Self| (allowance.retry_after_s.is_none(), allowance.remaining);
        if left(&other) < left(&self) { other } else { self }
    }
}

/// A rate of requests a minute that may become another.
#[derive(Debug)]
pub struct Rate {
    own: ArcSwap<(u32, Bucket)>,
    lease: tokio::sync::Mutex<Lease>,
}

impl Default for Rate {
    fn default() -> Self {
        Self { own: ArcSwap::from_pointee((0, bucket(1))), lease: tokio::sync::Mutex::default() }
    }
}

impl Rate {
    /// Takes one request out of a rate of `per_minute`; out of what all processes share where there is `shared`, which knows
    /// it by `name`. Where that is away, out of this process's own.
    pub async fn take(&self, per_minute: u32, shared: Option<&Shared>, name: impl FnOnce() -> String) -> Allowance {
        let Some(shared) = shared else { return self.take_own(per_minute) };
        let mut lease = self.lease.lock().await;
        if shared.is_connected()
            && let Some(allowance) = lease.take(per_minute, shared, name).await
        {
            return allowance;
        }
        // What was leased is worth nothing to the Redis that comes back.
        *lease = Lease::default();
        self.take_own(per_minute)
    }

    /// Takes one request out of this process's own.
    #[must_use]
    pub fn take_own(&self, per_minute: u32) -> Allowance {
        if self.own.load().0 != per_minute {
            self.own.store(Arc::new((per_minute, bucket(per_minute))));
        }
        match self.own.load().1.check() {
            Ok(state) => Allowance::taken(per_minute, state.remaining_burst_capacity()),
            Err(not_until) => {
                let now = governor::clock::Clock::now(&DefaultClock::default());
                Allowance::refused(per_minute, not_until.wait_time_from(now))
            }
        }
    }
}

fn bucket(per_minute: u32) -> Bucket {
    let quota = Quota::per_minute(NonZeroU32::new(per_minute).unwrap_or(NonZeroU32::MIN));
    RateLimiter::direct(quota).with_middleware()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_runs_out_says_when_it_comes_back_and_changes_with_the_configuration() {
        let rate = Rate::default();
        let first = rate.take_own(2);
        assert_eq!((first.limit, first.remaining, first.retry_after_s), (2, 1, None));
        assert_eq!(rate.take_own(2).remaining, 0);
        let refused = rate.take_own(2);
        assert!(refused.retry_after_s.is_some_and(|wait| (1..=31).contains(&wait)) && refused.reset_s == 60);
        assert_eq!(rate.take_own(5).remaining, 4);
    }

    #[tokio::test]
    async fn without_redis_each_process_has_its_own() {
        // Nobody listens on port 1.
        let shared = Shared::open("redis://127.0.0.1:1").await.unwrap();
        assert!(!shared.is_connected());
        let rate = Rate::default();
        let left = |_| async { rate.take(3, Some(&shared), || "x".to_owned()).await.remaining };
        assert_eq!([left(1).await, left(2).await, left(3).await], [2, 1, 0]);
    }
}
