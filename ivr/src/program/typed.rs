//! Keys pressed while no gather is open, kept for the next one; and the finish key that people press out of habit.
//!
//! Someone who is asked for one digit and types `1#` has entered `1`: `max_digits` ended the gather, and the `#` that
//! follows must not end the next one as well, unheard.

use super::gather::Collecting;
use super::io::GatherReason;
use crate::answer::is_key;
use crate::limits::MAX_TYPED_AHEAD;
use base::{Now, secs};
use std::collections::VecDeque;

/// How long after the last digit of a full entry a finish key still belongs to it: 2 s, in nanoseconds.
const HABIT: u64 = secs(2);

/// What was typed ahead of the next gather.
#[derive(Clone, Debug, Default)]
pub(super) struct TypedAhead {
    keys: VecDeque<char>,
    /// When the last gather was filled, as long as no key has come since (monotonic nanoseconds).
    filled_at: Option<u64>,
}

impl TypedAhead {
    /// Keeps a key; drops it where [`MAX_TYPED_AHEAD`] are kept already.
    pub(super) fn keep(&mut self, key: char) {
        if is_key(key) && self.keys.len() < MAX_TYPED_AHEAD {
            self.keys.push_back(key);
        }
    }

    /// The next kept key for `gather`. A finish key with nothing before it is dropped: whatever it was meant to end is
    /// over, and the gather has not been heard yet.
    pub(super) fn take_for(&mut self, gather: &Collecting) -> Option<char> {
        if !gather.takes_keys() {
            return None;
        }
        while gather.is_empty() && self.keys.front().is_some_and(|key| gather.ends_on(*key)) {
            self.keys.pop_front();
        }
        self.keys.pop_front()
    }

    /// Notes how a gather ended.
    pub(super) fn gather_over(&mut self, reason: GatherReason, now: Now) {
        self.filled_at = (reason == GatherReason::MaxDigits).then_some(now.mono);
    }

    /// True for a finish key, pressed into an empty `gather`, that belongs to the full entry before it.
    pub(super) fn ends_the_entry_before(&mut self, gather: &Collecting, key: char, now: Now) -> bool {
        let filled = self.filled_at.take().is_some_and(|at| now.mono <= at.saturating_add(HABIT));
        filled && gather.is_empty() && gather.ends_on(key)
    }
}
