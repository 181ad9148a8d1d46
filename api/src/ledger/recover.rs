//! What a start makes of the journal it finds: which calls were live when the process died, and how they ended. Pure.

use crate::idempotency::Keyed;
use crate::journal::frame::Entry;
use std::collections::BTreeMap;
use std::sync::Arc;
use switch::{CallSid, CallView, Cause, Cdr, Fact, Origin, Record, Status, StreamQuality, Timestamps};

/// Q.850 cause 41, temporary failure: a call that this switch's own death ended.
const TEMPORARY_FAILURE: u8 = 41;

/// A fold over the journal's entries.
#[derive(Debug, Default)]
pub struct Recovery {
    live: BTreeMap<CallSid, CallView>,
    alive_at: u64,
    keyed: Vec<Keyed>,
    /// What the daybook holds and no entry so far, with its number.
    noted: BTreeMap<CallSid, (u64, Record)>,
}

impl Recovery {
    /// Begins with what the daybook holds.
    pub fn new(noted: Vec<(u64, Record)>) -> Self {
        let noted = noted.into_iter().map(|(number, record)| (record.sid, (number, record)));
        Self { noted: noted.collect(), ..Self::default() }
    }

    /// What the daybook held and the journal does not, by number.
    pub fn noted(&mut self) -> BTreeMap<u64, Record> {
        std::mem::take(&mut self.noted).into_values().collect()
    }

    /// Takes in an admission that only the daybook had.
    pub fn admit(&mut self, record: &Record) {
        let alive_at = self.alive_at.max(record.at);
        self.fact(record);
        self.alive_at = alive_at;
    }

    /// Takes in the next entry. Facts of calls whose admission is gone belong to calls that have ended.
    pub fn see(&mut self, entry: Entry) {
        match entry {
            Entry::Checkpoint(at) => self.alive_at = at,
            Entry::Carried(view) => {
                let newest = self.live.get(&view.sid).is_none_or(|known| known.last_seq <= view.last_seq);
                if newest {
                    self.live.insert(view.sid, *view);
                }
            }
            Entry::Record(record) => self.fact(&record),
            Entry::Keyed(keyed) => self.keyed.push(*keyed),
        }
    }

    fn fact(&mut self, record: &Record) {
        self.alive_at = record.at;
        match &record.fact {
            Fact::Admitted(_) => {
                self.noted.remove(&record.sid);
                if let Some(view) = CallView::admitted(record) {
                    self.live.entry(record.sid).or_insert(view);
                }
            }
            Fact::Ended(_) => {
                self.live.remove(&record.sid);
            }
            _ => {
                if let Some(view) = self.live.get_mut(&record.sid) {
                    view.apply(record);
                }
            }
        }
    }

    /// The `Idempotency-Key`s in the journal, in order.
    pub fn keyed(&mut self) -> Vec<Keyed> {
        std::mem::take(&mut self.keyed)
    }

    /// The calls that were live.
    pub fn live(&self) -> impl Iterator<Item = &CallView> {
        self.live.values()
    }

    /// The end of each call that was live, at the last time that the process is known to have been alive.
    pub fn interrupted(self) -> impl Iterator<Item = Record> {
        let end = self.alive_at;
        self.live.into_values().map(move |view| Record {
            sid: view.sid,
            seq: view.last_seq.saturating_add(1),
            at: end.max(view.at.queued),
            fact: Fact::Ended(Arc::new(interrupted(&view, end.max(view.at.queued)))),
        })
    }
}

/// The CDR of a call that the process's death ended at `end` (milliseconds since the Unix epoch). Durations are by the
/// wall clock, since no other outlives a process.
fn interrupted(view: &CallView, end: u64) -> Cdr {
    let heard = view.at.ringing.or(view.at.early_media).or(view.at.answered);
    Cdr {
        sid: view.sid,
        parent: view.parent,
        tenant: view.tenant.clone(),
        trunk: view.trunk.clone(),
        direction: view.direction,
        from: view.from.clone(),
        to: view.to.clone(),
        status: if view.at.answered.is_some() { Status::Completed } else { Status::Failed },
        at: Timestamps { ended: Some(end), ..view.at },
        billable_ms: view.at.answered.map_or(0, |answered| end.saturating_sub(answered)),
        duration_ms: end.saturating_sub(view.at.queued),
        pdd_ms: heard.zip(view.at.sent).map(|(heard, sent)| heard.saturating_sub(sent)),
        cause: Cause {
            sip_status: view.at.answered.map(|_| 200),
            q850: TEMPORARY_FAILURE,
            origin: Origin::Interrupted,
            retry: view.at.answered.is_none(),
            reason: "the switch stopped while the call was live".to_owned(),
        },
        codec: view.codec.clone(),
        received: StreamQuality::default(),
        sent: StreamQuality::default(),
        recordings: Vec::new(),
        carrier_call_id: view.carrier_call_id.clone(),
        sip_call_ids: view.sip_call_ids.clone(),
        price: None,
        metadata: view.metadata.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::calls;
    use std::sync::Arc;

    fn recovered(entries: Vec<Entry>) -> Vec<Record> {
        let mut recovery = Recovery::default();
        entries.into_iter().for_each(|entry| recovery.see(entry));
        recovery.interrupted().collect()
    }

    fn fact(record: Record) -> Entry {
        Entry::Record(Arc::new(record))
    }

    #[test]
    fn an_answered_call_is_completed_and_another_failed_at_the_last_checkpoint() {
        let ends = recovered(vec![
            fact(calls::admitted(1, 1_000)),
            fact(calls::admitted(2, 1_500)),
            fact(calls::answered(1, 1, 3_000)),
            Entry::Checkpoint(9_000),
        ]);
        let cdrs: Vec<_> = ends
            .iter()
            .map(|record| match &record.fact {
                Fact::Ended(cdr) => (record.seq, cdr.status, cdr.billable_ms, cdr.at.ended, cdr.cause.origin),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(
            cdrs,
            [
                (2, Status::Completed, 6_000, Some(9_000), Origin::Interrupted),
                (1, Status::Failed, 0, Some(9_000), Origin::Interrupted),
            ]
        );
    }

    #[test]
    fn a_call_that_ended_is_left_alone_and_one_carried_over_is_closed() {
        let carried = CallView::admitted(&calls::admitted(3, 10)).unwrap();
        let ends = recovered(vec![
            fact(calls::admitted(1, 1_000)),
            fact(calls::ended(1, 1, 2_000)),
            fact(calls::answered(3, 5, 2_000)),
            Entry::Carried(Box::new(carried)),
        ]);
        assert_eq!(ends.iter().map(|record| record.sid).collect::<Vec<_>>(), [calls::sid(3)]);
    }

    #[test]
    fn a_wall_clock_that_stepped_back_gives_no_negative_duration() {
        let ends = recovered(vec![fact(calls::admitted(1, 9_000)), fact(calls::answered(1, 1, 500))]);
        let Fact::Ended(cdr) = &ends[0].fact else { panic!("no end") };
        assert_eq!((cdr.duration_ms, cdr.at.ended), (0, Some(9_000)));
    }
}
