//! Overload (RFC 6357 §5, RFC 7339's aim without its headers): which new calls are refused so that those that are taken, and
//! those that stand, go on as ever.
//!
//! The measure is how long a message has waited for the signalling thread, as in CoDel (RFC 8289): not how many wait, since
//! a message costs a hundredth of a millisecond or a third of one. A thread that was held up for a moment has old messages and
//! soon none; one that has had nothing else for [`STANDING`] is overloaded. From then on a new call that has waited for
//! longer than [`PATIENCE`] is answered 503 at once, which costs a tenth of taking it, and whoever waited less is taken: the
//! thread never idles, and nobody waits much longer. It ends when something has hardly waited at all.

use base::millis;
use std::time::Duration;

/// How long a new call may have waited while the switch is overloaded.
pub const PATIENCE: Duration = Duration::from_millis(10);
/// For how long every message must have waited that long before it is. At twice what the thread can take, the wait grows by
/// half of this meanwhile, and whoever is refused first has waited for all of it.
pub const STANDING: u64 = millis(30);
/// A message that waited less ends it.
pub const RELIEF: Duration = Duration::from_millis(3);
/// For so long after its end it comes back at once: the load that made it is most likely still there.
pub const WARY: u64 = millis(2_000);

/// See the head of this file.
#[derive(Clone, Copy, Debug, Default)]
pub struct Overload {
    /// Since when (monotonic nanoseconds) everything has waited longer than [`PATIENCE`].
    since: Option<u64>,
    is_overloaded: bool,
    /// When it ended last.
    ended: Option<u64>,
}

impl Overload {
    /// Whether the message that has waited this long, where it is a new call, is refused.
    pub fn refuses(&mut self, waited: Duration, mono: u64) -> bool {
        if waited <= PATIENCE {
            self.since = None;
            if self.is_overloaded && waited <= RELIEF {
                self.is_overloaded = false;
                self.ended = Some(mono);
            }
            return false;
        }
        let since = *self.since.get_or_insert(mono);
        let is_wary = self.ended.is_some_and(|ended| mono.saturating_sub(ended) < WARY);
        self.is_overloaded |= is_wary || mono.saturating_sub(since) >= STANDING;
        self.is_overloaded
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_millis(21);

    #[test]
    fn a_thread_that_was_held_up_for_a_moment_refuses_nobody() {
        let mut overload = Overload::default();
        assert!(!overload.refuses(Duration::from_millis(500), millis(500)));
        assert!(!overload.refuses(Duration::from_millis(480), millis(505)));
        assert!(!overload.refuses(PATIENCE, millis(510)));
        assert!(!overload.refuses(LONG, millis(600)), "it is counted anew");
    }

    #[test]
    fn what_stands_is_refused_until_it_is_gone() {
        let mut overload = Overload::default();
        let refused: Vec<u64> = (0..100).filter(|ms| overload.refuses(LONG, millis(*ms))).collect();
        assert_eq!(refused, (30..100).collect::<Vec<_>>());
        assert!(!overload.refuses(PATIENCE, millis(100)), "who has waited less is taken");
        assert!(overload.refuses(LONG, millis(101)), "and it is not over");
        assert!(!overload.refuses(RELIEF, millis(102)));
        assert!(overload.refuses(LONG, millis(103)), "it comes back at once");
        assert!(!overload.refuses(RELIEF, millis(104)));
        assert!(!overload.refuses(LONG, millis(104) + WARY), "now it is over");
    }
}
