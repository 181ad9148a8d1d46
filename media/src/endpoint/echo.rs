//! Sending what is heard back: the payload as it came, under the endpoint's own SSRC, sequence and clock.
//!
//! The far end's spacing is kept (its losses stay gaps), its clock is mapped onto ours, and ours never steps back: what
//! comes out of order is not echoed.

/// Without a packet for this long the echo is silent, and silence is sent in its place.
const HOLD_MS: u64 = 60;

/// A step of the far end's timestamp beyond this, in milliseconds, is a new mapping.
const MAX_STEP_MS: i32 = 1_000;

/// The packet that was echoed last.
#[derive(Clone, Copy, Debug)]
struct Echoed {
    from: u32,
    to: u64,
    at_ms: u64,
}

/// An echo that is on.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Echo {
    last: Option<Echoed>,
}

impl Echo {
    /// Audio comes in, so that no silence is needed.
    pub(crate) fn flows(&self, now_ms: u64) -> bool {
        self.last.is_some_and(|last| now_ms.saturating_sub(last.at_ms) < HOLD_MS)
    }

    /// The far end's clock says nothing about the next packet: another source, or something else was sent meanwhile.
    pub(crate) fn forget(&mut self) {
        self.last = None;
    }

    /// Our timestamp for the far end's; `None` for what is older than what was echoed. `clock` is ours now, of
    /// `per_ms` ticks a millisecond.
    pub(crate) fn map(&mut self, from: u32, clock: u64, per_ms: u64, now_ms: u64) -> Option<u64> {
        let max_step = MAX_STEP_MS * per_ms as i32;
        let step = self.last.map(|last| from.wrapping_sub(last.from) as i32);
        let to = match (self.last, step) {
            (Some(last), Some(step)) if (1..=max_step).contains(&step) && self.flows(now_ms) => {
                last.to + u64::from(from.wrapping_sub(last.from))
            }
            (Some(_), Some(step)) if (-max_step..=0).contains(&step) => return None,
            _ => clock,
        };
        self.last = Some(Echoed { from, to, at_ms: now_ms });
        Some(to)
    }
}
