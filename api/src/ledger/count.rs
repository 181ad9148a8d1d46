//! What is counted of live calls: how many there are, of all and of each tenant, and since when each conference is held.

use crate::refused::Refused;
use dashmap::DashMap;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How many calls may be live when another is admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Of all tenants.
    pub all: usize,
    /// Of its own; `None`: as many as of all.
    pub tenant: Option<usize>,
}

impl Room {
    /// Room for any.
    pub const BOUNDLESS: Self = Self { all: usize::MAX, tenant: None };
}

/// Calls that have not ended and admissions under way. A tenant has a line while it has one.
#[derive(Debug, Default)]
pub(super) struct Active {
    all: AtomicUsize,
    of: DashMap<String, usize>,
}

impl Active {
    pub(super) fn all(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }

    /// Counts one more where there is room: two that come at once do not get the same place.
    pub(super) fn reserve(&self, tenant: &str, room: Room) -> Result<(), Refused> {
        let more = |active| (active < room.all).then_some(active + 1);
        if self.all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_err() {
            return Err(Refused::TooManyCalls(room.all));
        }
        let mut own = self.of.entry(tenant.to_owned()).or_default();
        if room.tenant.is_some_and(|most| *own >= most) {
            drop(own);
            self.of.remove_if(tenant, |_, own| *own == 0);
            self.less();
            return Err(Refused::TooManyOfTenant);
        }
        *own += 1;
        Ok(())
    }

    /// Counts one more, come what may.
    pub(super) fn add(&self, tenant: &str) {
        self.all.fetch_add(1, Ordering::Relaxed);
        *self.of.entry(tenant.to_owned()).or_default() += 1;
    }

    /// One is over, or was not admitted.
    pub(super) fn withdraw(&self, tenant: &str) {
        self.less();
        if let Some(mut own) = self.of.get_mut(tenant) {
            *own = own.saturating_sub(1);
        }
        self.of.remove_if(tenant, |_, own| *own == 0);
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
        let (active, room) = (Active::default(), Room { all: 3, tenant: Some(2) });
        assert_eq!(active.reserve("a", room), Ok(()));
        active.add("a");
        assert_eq!(active.reserve("a", room), Err(Refused::TooManyOfTenant));
        assert_eq!(active.reserve("b", room), Ok(()));
        assert_eq!(active.reserve("b", room), Err(Refused::TooManyCalls(3)));
        active.withdraw("a");
        assert_eq!((active.reserve("a", room), active.all()), (Ok(()), 3));
        for tenant in ["a", "a", "b"] {
            active.withdraw(tenant);
        }
        assert_eq!((active.all(), active.of.len()), (0, 0));
        assert_eq!(active.reserve("c", Room { all: 3, tenant: Some(0) }), Err(Refused::TooManyOfTenant));
        assert_eq!((active.all(), active.of.len()), (0, 0));
    }

    #[test]
    fn calls_that_come_at_once_get_the_last_place_once() {
        let (active, room) = (Active::default(), Room { all: usize::MAX, tenant: Some(10) });
        let let_in = |_| (0..100).filter(|_| active.reserve("a", room).is_ok()).count();
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
