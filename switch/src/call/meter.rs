//! A call over a trunk and its tenant's day: minutes and money are kept for it before it uses them, and it is cut where none
//! are left (FAULTS 23).

use super::Call;
use crate::desk::{Desk, Wake};
use crate::tally::{Paid, Reached};
use base::Now;
use std::time::Duration;

/// How long before an increment begins it is decided whether it may, in milliseconds: a call that is cut then has not begun
/// it by the time its BYE is out.
const AHEAD_MS: u64 = 100;

impl Call {
    /// Keeps what the beginning of the call will use. Where there is nothing left it is cut when it is answered: who may not
    /// begin at all has been refused before.
    pub(super) fn keep_beginning(&mut self, desk: &mut Desk, now: Now) {
        let _ = self.keep(0, desk, now);
    }

    /// Keeps more for an answered call, or ends it.
    pub(crate) fn meter(&mut self, desk: &mut Desk, now: Now) {
        let Some(elapsed_ms) = self.book.elapsed_ms(now).filter(|_| self.is_live()) else { return };
        match self.keep(elapsed_ms, desk, now) {
            Ok(Some(until_ms)) => {
                self.alarms.wake(Wake::Day, Duration::from_millis(until_ms.saturating_sub(elapsed_ms)), desk, now);
            }
            Ok(None) => {}
            Err(reached) => self.end(reached.cut(), desk, now),
        }
    }

    fn keep(&mut self, elapsed_ms: u64, desk: &mut Desk, now: Now) -> Result<Option<u64>, Reached> {
        let Some(to) = &self.dialled else { return Ok(None) };
        let Some(limits) = desk.plan.limits_of(&self.about.tenant) else { return Ok(None) };
        let counted = elapsed_ms + AHEAD_MS + 1;
        let price = desk.plan.rates.price(to, counted).zip(desk.plan.rates.paid_ms(to, counted));
        let paid = price.map(|(micros, paid_ms)| Paid { micros, until_ms: paid_ms.saturating_sub(AHEAD_MS) });
        desk.tally.keep(&self.about.tenant, limits, &mut self.kept, elapsed_ms, paid, now)
    }
}
