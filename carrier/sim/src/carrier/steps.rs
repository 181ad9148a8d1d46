//! Where a call stands in its script: which step is next, and when.

use crate::script::When;
use base::Now;

/// A place in a list of steps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    /// The step to take next.
    pub(super) next: usize,
    began: u64,
    taken: u64,
    /// When the last step was done; `None` while it is still going on.
    done: Option<u64>,
}

impl Cursor {
    /// Before the first step of a phase that begins now.
    pub(super) const fn begin(now: Now) -> Self {
        Self { next: 0, began: now.mono, taken: now.mono, done: Some(now.mono) }
    }

    /// When a step may be taken (monotonic nanoseconds); `None` while it must wait for the one before.
    pub(super) fn due(&self, when: When) -> Option<u64> {
        match when {
            When::Then(wait) => self.done.map(|done| done + wait.as_nanos() as u64),
            When::After(time) => Some((self.began + time.as_nanos() as u64).max(self.taken)),
        }
    }

    /// A step is taken now, and done at that time.
    pub(super) const fn take(&mut self, now: Now, done: Option<u64>) {
        self.next += 1;
        self.taken = now.mono;
        self.done = done;
    }

    /// The step that was going on is done.
    pub(super) fn finish(&mut self, now: Now) {
        self.done.get_or_insert(now.mono);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base::secs;
    use std::time::Duration;

    #[test]
    fn then_waits_for_the_step_before_and_after_only_for_its_beginning() {
        let at = |seconds| Now::new(secs(seconds), 0);
        let [then, after] = [When::Then(Duration::from_secs(2)), When::After(Duration::from_secs(5))];
        let mut cursor = Cursor::begin(at(10));
        assert_eq!((cursor.due(then), cursor.due(after)), (Some(secs(12)), Some(secs(15))));
        cursor.take(at(17), None);
        assert_eq!((cursor.due(then), cursor.due(after)), (None, Some(secs(17))));
        cursor.finish(at(20));
        cursor.finish(at(30));
        assert_eq!((cursor.next, cursor.due(then)), (1, Some(secs(22))));
    }
}
