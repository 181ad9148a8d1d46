//! What the outside reaches: HTTP, the journal, the store.
//!
//! | module | what it is |
//! |---|---|
//! | [`journal`] | the append-only file that is the truth of what happened |
//! | [`ledger`] | writing facts down and looking them up; recovery; the projector |
//! | [`store`] | SQLite and PostgreSQL |

pub mod journal;
pub mod ledger;
pub mod store;
#[cfg(test)]
mod testing;
mod words;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// A wall clock: milliseconds since the Unix epoch (UTC).
pub type Wall = Arc<dyn Fn() -> u64 + Send + Sync>;

/// The operating system's wall clock.
#[must_use]
pub fn system_wall() -> Wall {
    Arc::new(|| SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64))
}
