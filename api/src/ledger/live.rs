//! The live view: every call that has not yet been projected as ended, for `GET` to merge over the database.
//!
//! It is a fold over the records that signalling appends, kept beside them; it decides nothing. No guard of the map is
//! ever held across an await, or handed out.

use dashmap::DashMap;
use dashmap::mapref::entry::Entry as Slot;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
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
    /// Admissions and calls that have not ended.
    active: AtomicUsize,
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
        self.active.load(Ordering::Relaxed)
    }

    /// Calls that are answered and have not ended.
    #[must_use]
    pub fn in_progress(&self) -> usize {
        self.in_progress.load(Ordering::Relaxed)
    }

    /// Counts a call that is about to be admitted; false, and not counted, where `limit` are active already. What was
    /// counted is either [`Live::admit`]ted or [`Live::withdraw`]n.
    #[must_use]
    pub(crate) fn reserve(&self, limit: usize) -> bool {
        let more = |active| (active < limit).then_some(active + 1);
        self.active.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }

    /// Takes back a [`Live::reserve`].
    pub(crate) fn withdraw(&self) {
        let _ = self.active.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |active| active.checked_sub(1));
    }

    /// Takes in a call that an earlier process left open; its end follows at once.
    pub(crate) fn restore(&self, view: &CallView) {
        self.active.fetch_add(1, Ordering::Relaxed);
        if view.status == Status::InProgress {
            self.in_progress.fetch_add(1, Ordering::Relaxed);
        }
        self.calls.insert(view.sid, Call { view: view.clone(), facts: VecDeque::new() });
    }

    /// Takes in an admission that has been [`Live::reserve`]d.
    pub(crate) fn admit(&self, record: &Arc<Record>) {
        let Some(view) = CallView::admitted(record) else { return self.withdraw() };
        match self.calls.entry(record.sid) {
            Slot::Occupied(_) => self.withdraw(),
            Slot::Vacant(slot) => slot.insert(Call { view, facts: VecDeque::new() }).keep(record, &self.facts),
        }
    }

    /// Takes in a fact. An admission that comes this way (from a trunk) is counted here.
    pub(crate) fn apply(&self, record: &Arc<Record>) {
        if matches!(record.fact, Fact::Admitted(_)) {
            self.active.fetch_add(1, Ordering::Relaxed);
            return self.admit(record);
        }
        let Some(mut call) = self.calls.get_mut(&record.sid) else { return };
        let before = call.view.status;
        call.view.apply(record);
        let after = call.view.status;
        call.keep(record, &self.facts);
        drop(call);
        self.count(before, after);
    }

    fn count(&self, before: Status, after: Status) {
        let progress = |status| status == Status::InProgress;
        if !progress(before) && progress(after) {
            self.in_progress.fetch_add(1, Ordering::Relaxed);
        }
        if progress(before) && !progress(after) {
            self.in_progress.fetch_sub(1, Ordering::Relaxed);
        }
        if !before.is_final() && after.is_final() {
            self.withdraw();
        }
    }

    /// The facts of `sid` up to `seq` are in the database; where the call has `ended` there, it leaves.
    pub(crate) fn projected(&self, sid: CallSid, seq: u32, ended: bool) {
        if ended {
            if let Some((_, call)) = self.calls.remove(&sid) {
                self.facts.fetch_sub(call.facts.len(), Ordering::Relaxed);
                // The end comes by `apply` before it can be projected; were it not so, the count would leak.
                if !call.view.status.is_final() {
                    self.count(call.view.status, Status::Completed);
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
