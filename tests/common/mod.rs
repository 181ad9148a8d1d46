//! What the whole-switch tests share: `tandem` as a process, the real peers beside it, and the means to look at both.
//!
//! Everything runs on loopback, on ports leased from [`ports`], in a folder of its own that goes when the test ends. A
//! process is ended by whoever started it, by its id, and what it printed is shown where the test failed. Nothing here
//! waits for a fixed time: [`until`] watches an observable fact, with a deadline.

#![allow(dead_code, reason = "each file of tests/ is a crate of its own and uses its part of this module")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test that cannot go on says so and stops"
)]

pub mod app;
pub mod audio;
pub mod baresip;
pub mod callee;
pub mod caller;
pub mod carrier;
pub mod hooks;
pub mod http;
pub mod kamailio;
pub mod linphone;
pub mod ports;
pub mod postgres;
pub mod process;
pub mod rtp;
pub mod sipp;
pub mod switch;

use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How often [`until`] looks.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Looks for a fact until it is there; panics, naming it, once the deadline has passed.
#[track_caller]
pub fn until<T>(what: &str, deadline: Duration, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < deadline, "after {deadline:?} there is still not: {what}");
        std::thread::sleep(LOOK_EVERY);
    }
}

/// Seconds, in one short word.
pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A file or folder of this package.
pub fn in_package(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(path)
}
