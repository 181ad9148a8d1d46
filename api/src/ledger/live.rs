//! The live view: every call that has not yet been projected as ended, for `GET` to merge over the database.
//!
//! It is a fold over the records that signalling appends, kept beside them; it decides nothing. No guard of the map is
//! ever held across an await, or handed out.

use super::count::{Active, Room, Rooms};
use crate::refused::Refused;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Slot;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;
use switch::{CallSid, CallView, Fact, Record, Status};

/// Facts of all live calls kept in memory until they are projected. Beyond it a call's oldest facts are left out of
/// memory, and `GET …/events` has them from the database alone.
pub const FACTS_IN_MEMORY: usize = 500_000;

/// Calls kept here, ended ones that the database has not yet taken included, beyond which no call is admitted.
pub const MAX_CALLS: usize = 200_000;

#[derive(Debug)]
struct Call {
    view: CallView,
    /// Its facts that are not yet projected, in order.
    facts: VecDeque<Arc<Record>>,
}

/// The live view. Lookups copy: nothing that is returned changes any more.
#[derive(Debug, Default)]
pub struct Live {
    calls: DashMap<CallSid, Call>,
    active: Active,
    rooms: Rooms,
    in_progress: AtomicUsize,
    facts: AtomicUsize,
}

impl Live {
    /// A call's view; `None` where it is unknown or has been projected as ended.
    #[must_use]
    pub fn get(&self, sid: CallSid) -> Option<CallView> {
        self.calls.get(&sid).map(|call| call.view.clone())
    }

    /// Whose call a fact is about; `None` for a stray one of a call that is not here.
    #[must_use]
    pub fn tenant(&self, record: &Record) -> Option<String> {
        match &record.fact {
            // An admission is on disk before the call is here.
            Fact::Admitted(admission) => Some(admission.tenant.clone()),
            Fact::Ended(cdr) => Some(cdr.tenant.clone()),
            _ => self.calls.get(&record.sid).map(|call| call.view.tenant.clone()),
        }
    }

    /// What `of` makes of each call that passes `filter`.
    pub fn collect<T>(&self, filter: impl Fn(&CallView) -> bool, of: impl Fn(&CallView) -> T) -> Vec<T> {
        self.calls.iter().filter(|call| filter(&call.view)).map(|call| of(&call.view)).collect()
    }

    /// The facts of a call that are not yet projected, in order.
    #[must_use]
    pub fn facts(&self, sid: CallSid) -> Vec<Arc<Record>> {
        self.calls.get(&sid).map(|call| call.facts.iter().cloned().collect()).unwrap_or_default()
    }

    /// True where the call is here.
    #[must_use]
    pub fn contains(&self, sid: CallSid) -> bool {
        self.calls.contains_key(&sid)
    }

    /// Calls here, ended ones that are not yet projected included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// True where no call is here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Calls that have not ended, and admissions under way.
    #[must_use]
    pub fn active(&self) -> usize {
        self.active.all()
    }

    /// When a conference that is held began, milliseconds since the Unix epoch: whoever began it may have left.
    #[must_use]
    pub fn held_since(&self, conference: &str) -> Option<u64> {
        self.rooms.since(conference)
    }

    /// Calls that are answered and have not ended.
    #[must_use]
    pub fn in_progress(&self) -> usize {
        self.in_progress.load(Ordering::Relaxed)
    }

    /// Counts a call of `tenant` that is about to be admitted. What was counted is either [`Live::admit`]ted or
    /// [`Live::withdraw`]n.
    ///
    /// # Errors
    /// Where as many are active already as `room` has; then it is not counted.
    pub(crate) fn reserve(&self, tenant: &str, room: Room) -> Result<(), Refused> {
        self.active.reserve(tenant, room, Instant::now())
    }

    /// Takes back a [`Live::reserve`].
    pub(crate) fn withdraw(&self, tenant: &str) {
        self.active.withdraw(tenant, Instant::now());
    }

    /// Takes in a call that an earlier process left open; its end follows at once.
    pub(crate) fn restore(&self, view: &CallView) {
        self.active.add(&view.tenant, false, Instant::now());
        if view.status == Status::InProgress {
            self.in_progress.fetch_add(1, Ordering::Relaxed);
        }
        self.calls.insert(view.sid, Call { view: view.clone(), facts: VecDeque::new() });
    }

    /// Takes in an admission that has been [`Live::reserve`]d.
    pub(crate) fn admit(&self, record: &Arc<Record>) {
        let Some(view) = CallView::admitted(record) else { return };
        match self.calls.entry(record.sid) {
            Slot::Occupied(_) => self.withdraw(&view.tenant),
            Slot::Vacant(slot) => slot.insert(Call { view, facts: VecDeque::new() }).keep(record, &self.facts),
        }
    }

    /// Takes in a fact. An admission that comes this way (from a trunk) is counted here.
    pub(crate) fn apply(&self, record: &Arc<Record>) {
        if let Fact::Admitted(admission) = &record.fact {
            self.active.add(&admission.tenant, admission.leaves, Instant::now());
            return self.admit(record);
        }
        let Some(mut call) = self.calls.get_mut(&record.sid) else { return };
        let (before, was_in) = (call.view.status, call.view.engaged.conference.clone());
        call.view.apply(record);
        self.rooms.moves(was_in.as_deref(), call.view.engaged.conference.as_deref(), record.at);
        call.keep(record, &self.facts);
        self.count(&call.view.tenant, before, call.view.status);
    }

    fn count(&self, tenant: &str, before: Status, after: Status) {
        let progress = |status| status == Status::InProgress;
        if !progress(before) && progress(after) {
            self.in_progress.fetch_add(1, Ordering::Relaxed);
        }
        if progress(before) && !progress(after) {
            self.in_progress.fetch_sub(1, Ordering::Relaxed);
        }
        if !before.is_final() && after.is_final() {
            self.withdraw(tenant);
        }
    }

    /// The facts of `sid` up to `seq` are in the database; where the call has `ended` there, it leaves.
    pub(crate) fn projected(&self, sid: CallSid, seq: u32, ended: bool) {
        if ended {
            if let Some((_, call)) = self.calls.remove(&sid) {
                self.facts.fetch_sub(call.facts.len(), Ordering::Relaxed);
                // The end comes by `apply` before it can be projected; were it not so, the count would leak.
                if !call.view.status.is_final() {
                    self.count(&call.view.tenant, call.view.status, Status::Completed);
                }
            }
            return;
        }
        if let Some(mut call) = self.calls.get_mut(&sid) {
            let before = call.facts.len();
            call.facts.retain(|record| record.seq > seq);
            self.facts.fetch_sub(before - call.facts.len(), Ordering::Relaxed);
        }
    }
}

impl Call {
    fn keep(&mut self, record: &Arc<Record>, all: &AtomicUsize) {
        self.facts.push_back(record.clone());
        if all.fetch_add(1, Ordering::Relaxed) >= FACTS_IN_MEMORY {
            self.facts.pop_front();
            all.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
