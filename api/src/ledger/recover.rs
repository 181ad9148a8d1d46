//! What a start makes of the journal it finds: which calls were live when the process died, and how they and their
//! recordings ended. Pure.

use crate::idempotency::Keyed;
use crate::journal::frame::Entry;
use crate::recordings::Held;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use switch::{CallSid, CallView, Cause, Cdr, Fact, Origin, Owed, Record, Status, StreamQuality, Timestamps};

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
    /// The recordings that live calls have begun, and the channels of each.
    begun: BTreeMap<CallSid, Vec<(String, u8)>>,
    /// Recordings that are over.
    over: BTreeSet<String>,
}

/// Why a recording is over that was being made when the process died.
pub const INTERRUPTED: &str = "interrupted";

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
            Fact::Recording { recording, channels, .. } => {
                self.begun.entry(record.sid).or_default().push((recording.clone(), *channels));
            }
            Fact::Recorded { recording, .. } => drop(self.over.insert(recording.clone())),
            _ => {}
        }
        match &record.fact {
            Fact::Admitted(_) => {
                self.noted.remove(&record.sid);
                if let Some(view) = CallView::admitted(record) {
                    self.live.entry(record.sid).or_insert(view);
                }
            }
            Fact::Ended(_) => {
                self.live.remove(&record.sid);
                self.begun.remove(&record.sid);
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

    /// The recordings that live calls were making.
    #[must_use]
    pub fn unfinished(&self) -> Vec<String> {
        self.live.values().flat_map(|view| view.engaged.recordings.iter().cloned()).collect()
    }

    /// Whether the journal has the end of this recording.
    #[must_use]
    pub fn is_over(&self, recording: &str) -> bool {
        self.over.contains(recording)
    }

    /// When the process is last known to have been alive, milliseconds since the Unix epoch.
    #[must_use]
    pub const fn alive_at(&self) -> u64 {
        self.alive_at
    }

    /// The end of each call that was live, at the last time that the process is known to have been alive, behind the ends
    /// of its recordings; `held` is what their files hold.
    pub fn interrupted(mut self, held: &BTreeMap<String, Held>) -> Vec<Record> {
        let (live, alive_at) = (std::mem::take(&mut self.live), self.alive_at);
        live.into_values().flat_map(|view| self.ends(&view, alive_at.max(view.at.queued), held)).collect()
    }

    fn ends(&self, view: &CallView, at: u64, held: &BTreeMap<String, Held>) -> Vec<Record> {
        let begun = self.begun.get(&view.sid).map(Vec::as_slice).unwrap_or_default();
        let tape = |sid: &String| {
            let channels = begun.iter().find(|(begun, _)| begun == sid).map(|(_, channels)| *channels);
            recorded(sid, channels.unwrap_or(1), held.get(sid).copied().unwrap_or(Held::NOTHING))
        };
        let mut facts: Vec<Fact> = view.engaged.recordings.iter().map(tape).collect();
        facts.extend(view.engaged.owes.iter().filter_map(|(sid, owed)| told_of(owed, held.get(sid)?)));
        let cdr = Cdr { recordings: all(begun, &view.engaged.recordings), ..interrupted(view, at) };
        facts.push(Fact::Ended(Arc::new(cdr)));
        let seqs = view.last_seq.saturating_add(1)..;
        seqs.zip(facts).map(|(seq, fact)| Record { sid: view.sid, seq, at, fact }).collect()
    }
}

/// The end of a recording that was being made when the process died.
pub fn recorded(recording: &str, channels: u8, held: Held) -> Fact {
    Fact::Recorded {
        recording: recording.to_owned(),
        duration_ms: held.duration_ms,
        octets: held.octets,
        channels: held.channels.unwrap_or(channels),
        reason: INTERRUPTED.to_owned(),
    }
}

/// What was to be told of a recording once it is whole, with what its file holds; nothing where it holds nothing.
fn told_of(owed: &Owed, held: &Held) -> Option<Fact> {
    let mut owed = owed.clone();
    let mut say = |name: &str, value: String| {
        owed.params.iter_mut().filter(|(known, _)| known == name).for_each(|(_, said)| said.clone_from(&value));
    };
    say("RecordingDuration", (held.duration_ms / 1_000).to_string());
    if let Some(channels) = held.channels {
        say("RecordingChannels", channels.to_string());
    }
    (held.octets > 0).then(|| Fact::Callback(Box::new(owed)))
}

/// The recordings of a call: those that the journal still has the beginning of, and those that ran in any case.
fn all(begun: &[(String, u8)], running: &[String]) -> Vec<String> {
    let begun = begun.iter().map(|(sid, _)| sid);
    let older = running.iter().filter(|sid| !begun.clone().any(|begun| begun == *sid));
    older.chain(begun.clone()).cloned().collect()
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
        recovery.interrupted(&BTreeMap::new())
    }

    fn fact(record: Record) -> Entry {
        Entry::Record(Arc::new(record))
    }

    #[test]
    fn a_call_that_came_in_and_was_only_noted_is_closed_with_its_call_id() {
        let mut record = calls::admitted(1, 1_000);
        if let Fact::Admitted(admission) = &mut record.fact {
            admission.direction = switch::Direction::Inbound;
            admission.sip_call_id = Some("of-its-caller@192.0.2.1".to_owned());
        }
        let mut recovery = Recovery::new(vec![(1, record)]);
        recovery.noted().values().for_each(|record| recovery.admit(record));
        let ends = recovery.interrupted(&BTreeMap::new());
        let Fact::Ended(cdr) = &ends[0].fact else { panic!("{ends:?}") };
        assert_eq!(cdr.sip_call_ids, ["of-its-caller@192.0.2.1"]);
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

    #[test]
    fn what_a_call_was_recording_ends_before_it_with_what_its_file_holds() {
        let mut recovery = Recovery::default();
        let owed = |sid: &str, seconds: &str| Owed {
            event: "recording-completed".to_owned(),
            url: format!("https://a.example/{sid}"),
            get: false,
            params: vec![
                ("RecordingSid".to_owned(), sid.to_owned()),
                ("RecordingDuration".to_owned(), seconds.to_owned()),
            ],
        };
        let recording = |seq, sid: &str| {
            let owes = Some(Box::new(owed(sid, "0")));
            let begun = Fact::Recording { recording: sid.into(), channels: 2, owes };
            fact(Record { sid: calls::sid(1), seq, at: 4_000, fact: begun })
        };
        let over = recorded("RE1", 2, Held::NOTHING);
        let facts = [
            fact(calls::admitted(1, 1_000)),
            fact(calls::answered(1, 1, 3_000)),
            recording(2, "RE1"),
            fact(Record { sid: calls::sid(1), seq: 3, at: 5_000, fact: over }),
            recording(4, "RE2"),
            recording(5, "RE3"),
            Entry::Checkpoint(9_000),
        ];
        facts.into_iter().for_each(|entry| recovery.see(entry));
        assert_eq!(recovery.unfinished(), ["RE2", "RE3"]);
        assert!(recovery.is_over("RE1") && !recovery.is_over("RE2"));
        let file = Held { duration_ms: 5_000, octets: 160_044, channels: Some(2) };
        let ends = recovery.interrupted(&[("RE2".to_owned(), file)].into());
        // Whoever is told of RE2 is told of what there is; of RE1 the call itself has told, and of RE3 there is nothing.
        assert_eq!(ends[2].fact, Fact::Callback(Box::new(owed("RE2", "5"))));
        let Fact::Ended(cdr) = &ends[3].fact else { panic!("{ends:?}") };
        assert_eq!(cdr.recordings, ["RE1", "RE2", "RE3"]);
        let absent = Held { channels: Some(2), ..Held::NOTHING };
        let told: Vec<_> = ends.iter().take(2).map(|end| (end.seq, end.at, end.fact.clone())).collect();
        assert_eq!(told, [(6, 9_000, recorded("RE2", 2, file)), (7, 9_000, recorded("RE3", 2, absent))]);
        assert_eq!((ends[2].seq, ends[3].seq, ends.len()), (8, 9, 4));
    }
}
