//! How far a flow goes on without its caller. A flow may go round through web requests, transfers that fail at once or
//! sounds that cannot be played, and nothing in it would ever wait: what it does between two seconds of the caller's is
//! counted.

use crate::limits::{MAX_HURRIED_ERRANDS, MAX_HURRIED_STATES};
use base::{Now, secs};

/// So much of the caller's time, in nanoseconds, lets a flow begin to count anew.
const UNHURRIED: u64 = secs(1);

/// What a program's flows have done since the caller last had a second, or entered something.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pace {
    states: u32,
    errands: u32,
    /// The caller's time since it last counted anew, in nanoseconds.
    waited: u64,
    /// When something last happened (monotonic nanoseconds).
    last: u64,
}

impl Pace {
    /// Something happens. The time since the last was the caller's where he heard something, was asked, or spoke with
    /// others meanwhile; it was not while a web server was waited for.
    pub(super) fn passes(&mut self, now: Now, callers: bool) {
        let since = now.mono.saturating_sub(std::mem::replace(&mut self.last, now.mono));
        self.waited = self.waited.saturating_add(if callers { since } else { 0 });
        if self.waited >= UNHURRIED {
            self.anew();
        }
    }

    /// The caller has entered something.
    pub(super) fn anew(&mut self) {
        (self.states, self.errands, self.waited) = (0, 0, 0);
    }

    /// Counts a state that begins.
    ///
    /// # Errors
    /// It is one too many: in words, with what to write instead.
    pub(crate) fn enter(&mut self, reaches_others: bool) -> Result<(), String> {
        self.states += 1;
        self.errands += u32::from(reaches_others);
        if self.errands > MAX_HURRIED_ERRANDS {
            return Err(format!(
                "{MAX_HURRIED_ERRANDS} requests, transfers and flows in a row without a second of the caller's; put a \
                 `pause`, a `say` or a `menu` between them"
            ));
        }
        if self.states > MAX_HURRIED_STATES {
            return Err(format!(
                "{MAX_HURRIED_STATES} states in a row without a second of the caller's; put a `pause`, a `say` or a \
                 `menu` between them"
            ));
        }
        Ok(())
    }
}
