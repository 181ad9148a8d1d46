//! What is counted of live calls: how many there are, of all and of each tenant, and since when each conference is held.

use crate::refused::Refused;
use dashmap::DashMap;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Beginnings of calls that are remembered of a tenant; a limit of more calls a second than that counts as this.
const MAX_RECENT: usize = 10_000;

/// How long a call counts among its tenant's of a second.
const SECOND: Duration = Duration::from_secs(1);

/// How many calls may be live when another is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Of all tenants.
    pub all: usize,
    /// Of its own; `None`: as many as of all.
    pub tenant: Option<usize>,
    /// Of its own that leave over a trunk, within any second; `None`: as many as come.
    pub per_second: Option<usize>,
}

impl Room {
    /// Room for any.
    pub const BOUNDLESS: Self = Self { all: usize::MAX, tenant: None, per_second: None };
}

/// Calls that have not ended and admissions under way. A tenant has a line while it has one, and until the next of its calls
/// ends where it has had one within the second.
#[derive(Debug, Default)]
pub(super) struct Active {
    all: AtomicUsize,
    of: DashMap<String, Own>,
}

/// A tenant's.
#[derive(Debug, Default)]
struct Own {
    live: usize,
    /// When those of the last second that leave over a trunk began, in order.
    recent: VecDeque<Instant>,
}

impl Own {
    fn begins(&mut self, now: Instant) {
        self.forget(now);
        if self.recent.len() >= MAX_RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(now);
    }

    fn forget(&mut self, now: Instant) {
        while self.recent.front().is_some_and(|at| now.saturating_duration_since(*at) >= SECOND) {
            self.recent.pop_front();
        }
    }

    fn is_idle(&mut self, now: Instant) -> bool {
        self.forget(now);
        self.live == 0 && self.recent.is_empty()
    }
}

impl Active {
    pub(super) fn all(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }

    /// Counts one more where there is room: two that come at once do not get the same place.
    pub(super) fn reserve(&self, tenant: &str, room: Room, now: Instant) -> Result<(), Refused> {
        let more = |active| (active < room.all).then_some(active + 1);
        if self.all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return Err(Refused::TooManyCalls(room.all));
        }
        let mut own = self.of.entry(tenant.to_owned()).or_default();
        own.forget(now);
        let refused = if room.tenant.is_some_and(|most| own.live >= most) {
            Refused::TooManyOfTenant
        } else if room.per_second.is_some_and(|most| own.recent.len() >= most.min(MAX_RECENT)) {
            Refused::TooFastOfTenant
        } else {
            own.live += 1;
            own.begins(now);
            return Ok(());
        };
        drop(own);
        self.of.remove_if_mut(tenant, |_, own| own.is_idle(now));
        self.less();
        Err(refused)
    }

    /// Counts one more, come what may; `leaves`: over a trunk.
    pub(super) fn add(&self, tenant: &str, leaves: bool, now: Instant) {
        self.all.fetch_add(1, Ordering::Relaxed);
        let mut own = self.of.entry(tenant.to_owned()).or_default();
        own.live += 1;
        if leaves {
            own.begins(now);
        }
    }

    /// One is over, or was not admitted: what it took of its second it has taken.
    pub(super) fn withdraw(&self, tenant: &str, now: Instant) {
        self.less();
        if let Some(mut own) = self.of.get_mut(tenant) {
            own.live = own.live.saturating_sub(1);
        }
        self.of.remove_if_mut(tenant, |_, own| own.is_idle(now));
    }

    fn less(&self) {
        let _ = self.all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |active| active.checked_sub(1));
    }
}

/// The conferences that are held: since when, and how many are in each. One has a line while it has a member.
#[derive(Debug, Default)]
pub(super) struct Rooms {
    held: DashMap<String, (u64, usize)>,
}

impl Rooms {
    pub(super) fn since(&self, conference: &str) -> Option<u64> {
        self.held.get(conference).map(|held| held.0)
    }

    /// A call was in one conference (or none), and is in another (or none) since `at`.
    pub(super) fn moves(&self, from: Option<&str>, to: Option<&str>, at: u64) {
        if from == to {
            return;
        }
        if let Some(to) = to {
            self.held.entry(to.to_owned()).or_insert((at, 0)).1 += 1;
        }
        if let Some(from) = from {
            if let Some(mut held) = self.held.get_mut(from) {
                held.1 = held.1.saturating_sub(1);
            }
            self.held.remove_if(from, |_, (_, members)| *members == 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_are_let_in_as_there_is_room_for_and_what_has_ended_leaves_nothing() {
        let (active, room) = (Active::default(), Room { all: 3, tenant: Some(2), per_second: None });
        let (now, later) = (Instant::now(), Instant::now() + SECOND);
        assert_eq!(active.reserve("a", room, now), Ok(()));
        active.add("a", false, now);
        assert_eq!(active.reserve("a", room, now), Err(Refused::TooManyOfTenant));
        assert_eq!(active.reserve("b", room, now), Ok(()));
        assert_eq!(active.reserve("b", room, now), Err(Refused::TooManyCalls(3)));
        active.withdraw("a", now);
        assert_eq!((active.reserve("a", room, now), active.all()), (Ok(()), 3));
        for tenant in ["a", "a", "b"] {
            active.withdraw(tenant, later);
        }
        assert_eq!((active.all(), active.of.len()), (0, 0));
        let none = Room { tenant: Some(0), ..room };
        assert_eq!(active.reserve("c", none, later), Err(Refused::TooManyOfTenant));
        assert_eq!((active.all(), active.of.len()), (0, 0));
    }

    #[test]
    fn no_second_has_more_calls_than_it_may_whoever_begins_them_and_each_has_room_again_after_its_own() {
        let (active, room) = (Active::default(), Room { per_second: Some(2), ..Room::BOUNDLESS });
        let began = Instant::now();
        let at = |ms| began + Duration::from_millis(ms);
        assert_eq!(active.reserve("a", room, at(0)), Ok(()));
        active.add("a", true, at(900));
        active.add("a", false, at(900));
        assert_eq!(active.reserve("a", room, at(999)), Err(Refused::TooFastOfTenant));
        assert_eq!(active.reserve("b", room, at(999)), Ok(()), "another tenant's");
        assert_eq!(active.reserve("a", room, at(1_000)), Ok(()), "the first is a second ago");
        assert_eq!(active.reserve("a", room, at(1_899)), Err(Refused::TooFastOfTenant));
        assert_eq!(active.reserve("a", room, at(1_900)), Ok(()));
        assert_eq!(active.all(), 6, "what was refused is not counted");
        (0..5).for_each(|_| active.withdraw("a", at(1_900)));
        assert_eq!(active.reserve("a", room, at(1_999)), Err(Refused::TooFastOfTenant), "nor forgotten with its end");
        active.withdraw("b", at(5_000));
        active.add("a", false, at(5_000));
        active.withdraw("a", at(5_000));
        assert_eq!((active.all(), active.of.len()), (0, 0));
    }

    #[test]
    fn calls_that_come_at_once_get_the_last_place_once() {
        let (active, room) = (Active::default(), Room { tenant: Some(10), ..Room::BOUNDLESS });
        let let_in = |_| (0..100).filter(|_| active.reserve("a", room, Instant::now()).is_ok()).count();
        let let_in: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || let_in(n))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!((let_in, active.all()), (10, 10));
    }

    #[test]
    fn a_conference_began_with_its_first_member_and_is_gone_with_its_last() {
        let rooms = Rooms::default();
        rooms.moves(None, Some("x"), 10);
        rooms.moves(None, Some("x"), 20);
        rooms.moves(Some("x"), None, 30);
        assert_eq!(rooms.since("x"), Some(10));
        rooms.moves(Some("x"), Some("y"), 40);
        assert_eq!((rooms.since("x"), rooms.since("y")), (None, Some(40)));
        rooms.moves(Some("y"), None, 50);
        assert!(rooms.held.is_empty());
    }
}
