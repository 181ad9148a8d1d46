//! What stands whatever dies: the switch by `kill -9`, its database for a while or in the middle, both in turn; and when
//! there is no descriptor left.
//!
//! `benches/crash.sh` and `benches/outage.sh` run these at length, with the settings that each file names.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test stops where it cannot go on, and reports"
)]

mod absent;
mod admitted;
mod callbacks;
mod clients;
#[path = "../common/mod.rs"]
mod common;
mod crashes;
mod descriptors;
mod live_calls;
mod outage;
mod scene;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Until the books are complete, and all is told, after the last start.
const COMPLETE_WITHIN: Duration = common::secs(300);

/// Held by the one test that runs: two processors carry the switch, its database, its peers and the load.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number of the environment, or the usual one.
fn setting(name: &str, usual: u64) -> u64 {
    std::env::var(name).map_or(usual, |value| value.parse().unwrap_or_else(|_| panic!("{name}: write a number")))
}
