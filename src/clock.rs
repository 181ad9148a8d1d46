//! The process's clock: where [`Now`] comes from.

use base::Now;
use std::time::{Instant, SystemTime};

/// Monotonic time counts from its making.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that begins now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Where monotonic time begins.
    pub fn origin(self) -> Instant {
        self.0
    }

    /// The present.
    pub fn now(self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64);
        Now::new(self.0.elapsed().as_nanos() as u64, wall)
    }
}

/// A generator seeded by the operating system.
pub fn entropy() -> Result<base::Rng, getrandom::Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(base::Rng::from_seed(seed))
}
