//! What one transaction of the projector writes: a fold over a run of the journal's entries. Pure.
//!
//! A call that begins and ends within a run becomes one row. Its facts are one chunk of lines, each the JSON that the
//! journal has: nothing is encoded a second time.

use super::facts;
use super::recordings::{self, RecordingRow};
use crate::idempotency::Keyed;
use crate::journal::Position;
use crate::journal::frame::Entry;
use crate::journal::segment::JournalId;
use crate::journal::tail::Durable;
use crate::webhooks::{Delivery, deliveries};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;
use switch::{CallSid, CallView, Cdr, Fact, Record};

/// Rows to be written together with the position in the journal that they bring the database to.
#[derive(Debug)]
pub struct Batch {
    /// Which journal.
    pub journal: JournalId,
    /// How far the database is when this is written.
    pub position: Position,
    /// The `Idempotency-Key`s that calls were admitted with.
    pub keyed: Vec<Keyed>,
    /// What it says of each call.
    pub parts: HashMap<CallSid, Part>,
}

/// What the database has of a call already.
#[derive(Debug, Default)]
pub struct Known {
    /// Its row.
    pub view: Option<CallView>,
    /// The numbers of the facts it has, from the first to the last of each run.
    pub facts: Vec<(u32, u32)>,
}

impl Known {
    /// What was projected up to the state of `view`.
    #[must_use]
    pub fn up_to(view: CallView) -> Self {
        Self { facts: vec![(0, view.last_seq)], view: Some(view) }
    }

    /// The number of the last fact it has.
    #[must_use]
    pub fn last(&self) -> u32 {
        let of_runs = self.facts.iter().map(|(_, last)| *last).max();
        of_runs.into_iter().chain(self.view.as_ref().map(|view| view.last_seq)).max().unwrap_or(0)
    }

    fn has(&self, seq: u32) -> bool {
        self.facts.iter().any(|(first, last)| (*first..=*last).contains(&seq))
    }
}

/// What a batch says of one call.
#[derive(Debug)]
pub struct Part {
    /// When the call was admitted, milliseconds since the Unix epoch; 0 where the call is unknown.
    pub queued_at: u64,
    /// Whose it is; empty where the call is unknown.
    pub tenant: String,
    /// The segment of the journal that its first fact lies in.
    pub segment: u64,
    /// The numbers of its first and last fact in `lines`.
    pub first: u32,
    /// As `first`.
    pub last: u32,
    /// Its facts, a line each; empty where the database has them already.
    pub lines: String,
    /// What its facts say of its recordings.
    pub recordings: Vec<RecordingRow>,
    /// What its status callback is told.
    pub deliveries: Vec<Delivery>,
    /// What becomes of its row.
    pub row: Row,
}

/// What becomes of a call's row.
#[derive(Debug)]
pub enum Row {
    /// It is written as the call stands.
    Live(Box<CallView>),
    /// It is written for the last time.
    Ended(Ended),
    /// It had been written for the last time; facts that come later are strays.
    Over,
    /// There is none, and the call is none that could have one.
    Unknown,
}

/// The last row of a call.
#[derive(Debug)]
pub struct Ended {
    /// Its last fact: [`Fact::Ended`].
    pub record: Arc<Record>,
    /// The row's `view`.
    pub view: String,
}

impl Ended {
    /// The CDR.
    #[must_use]
    pub fn cdr(&self) -> Option<&Cdr> {
        match &self.record.fact {
            Fact::Ended(cdr) => Some(cdr),
            _ => None,
        }
    }
}

/// `calls.view` of a call that has ended: what its columns do not hold whole.
#[derive(Serialize, Deserialize)]
pub struct EndedView {
    /// What it ran when it was answered.
    pub answer: Arc<Value>,
    /// Its CDR.
    pub cdr: Cdr,
}

impl EndedView {
    /// The call; `last_seq` is the number of its last record.
    #[must_use]
    pub fn view(self, last_seq: u32) -> CallView {
        let cdr = self.cdr;
        CallView {
            sid: cdr.sid,
            tenant: cdr.tenant.clone(),
            status: cdr.status,
            parent: cdr.parent,
            direction: cdr.direction,
            from: cdr.from.clone(),
            to: cdr.to.clone(),
            trunk: cdr.trunk.clone(),
            answer: self.answer,
            metadata: cdr.metadata.clone(),
            status_callback: None,
            at: cdr.at,
            codec: cdr.codec.clone(),
            carrier_call_id: cdr.carrier_call_id.clone(),
            sip_call_ids: cdr.sip_call_ids.clone(),
            cause: Some(cdr.cause.clone()),
            answered_by: None,
            engaged: switch::Engaged::default(),
            cdr: Some(Arc::new(cdr)),
            last_seq,
        }
    }
}

/// Facts with their JSON, by call, in order.
pub type ByCall<'a> = HashMap<CallSid, Vec<(&'a Arc<Record>, &'a Durable)>>;

/// Sorts a run of the journal's entries by call.
#[must_use]
pub fn by_call(entries: &[Durable]) -> ByCall<'_> {
    let mut calls: ByCall<'_> = HashMap::with_capacity(entries.len() / 4);
    for durable in entries {
        if let Entry::Record(record) = &durable.entry {
            calls.entry(record.sid).or_insert_with(|| Vec::with_capacity(16)).push((record, durable));
        }
    }
    calls
}

impl Batch {
    /// What `calls` come to. What the database has of them must be in `known`.
    #[must_use]
    pub fn new(journal: JournalId, position: Position, calls: ByCall<'_>, mut known: HashMap<CallSid, Known>) -> Self {
        let part = |(sid, records): (CallSid, Vec<_>)| (sid, part(known.remove(&sid).unwrap_or_default(), &records));
        Self { journal, position, keyed: Vec::new(), parts: calls.into_iter().map(part).collect() }
    }
}

fn part(known: Known, records: &[(&Arc<Record>, &Durable)]) -> Part {
    let (mut lines, mut first, mut last) = (String::with_capacity(records.len() * 256), None, 0);
    for (record, durable) in records.iter().filter(|(record, _)| !known.has(record.seq)) {
        facts::line(record, &durable.json, durable.to, &mut lines);
        first.get_or_insert(record.seq);
        last = last.max(record.seq);
    }
    let admitted_at = records.iter().find(|(record, _)| record.seq == 0).map(|(record, _)| record.at);
    let queued_at = known.view.as_ref().map(|view| view.at.queued).or(admitted_at);
    let before = known.view.as_ref().map_or(0, |view| view.last_seq);
    let tenant = known.view.as_ref().map(|view| view.tenant.clone());
    let told = |seq| known.facts.iter().any(|(first, last)| (*first..=*last).contains(&seq));
    let deliveries = deliveries(known.view.as_ref(), records.iter().map(|(record, _)| *record), told);
    let row = row(known.view, records);
    let tenant = tenant.or_else(|| match &row {
        Row::Live(view) => Some(view.tenant.clone()),
        Row::Ended(ended) => ended.cdr().map(|cdr| cdr.tenant.clone()),
        Row::Over | Row::Unknown => None,
    });
    let tenant = tenant.unwrap_or_default();
    let of_end = || if let Row::Ended(ended) = &row { ended.cdr().map(|cdr| cdr.at.queued) } else { None };
    let queued_at = queued_at.or_else(of_end).unwrap_or(0);
    let segment = records.first().map_or(0, |(_, durable)| durable.to.segment);
    let recordings = recordings::said(records.iter().map(|(record, _)| record.as_ref()));
    let (first, last) = (first.unwrap_or(last), last.max(before));
    Part { queued_at, tenant, segment, first, last, lines, recordings, deliveries, row }
}

fn row(known: Option<CallView>, records: &[(&Arc<Record>, &Durable)]) -> Row {
    // A call ends once; a second end can only be of a recovery that knew less than the database.
    if known.as_ref().is_some_and(|view| view.cdr.is_some()) {
        return Row::Over;
    }
    let admission = records.iter().find_map(|(record, _)| match &record.fact {
        Fact::Admitted(admission) => Some((&admission.answer, record)),
        _ => None,
    });
    if let Some((end, durable)) = records.iter().find(|(record, _)| matches!(record.fact, Fact::Ended(_))) {
        let answer = known.as_ref().map(|view| &view.answer).or(admission.map(|(answer, _)| answer));
        return Row::Ended(Ended {
            record: Arc::clone(end),
            view: ended_view(answer.map(AsRef::as_ref), end, &durable.json),
        });
    }
    let begun = known.or_else(|| admission.and_then(|(_, record)| CallView::admitted(record)));
    let Some(mut view) = begun else { return Row::Unknown };
    records.iter().for_each(|(record, _)| view.apply(record));
    Row::Live(Box::new(view))
}

/// [`EndedView`] as JSON, of the bytes that the journal has where it can be.
fn ended_view(answer: Option<&Value>, end: &Record, json: &[u8]) -> String {
    let mut view = String::with_capacity(json.len() + 128);
    view.push_str("{\"answer\":");
    view.push_str(&answer.map_or_else(|| "null".to_owned(), Value::to_string));
    view.push_str(",\"cdr\":");
    match facts::data(json) {
        Some(cdr) => view.push_str(cdr),
        None => match &end.fact {
            Fact::Ended(cdr) => view.push_str(&serde_json::to_string(cdr).unwrap_or_default()),
            _ => view.push_str("null"),
        },
    }
    view.push('}');
    view
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::frame::{HEAD, encode};
    use crate::testing::calls;
    use bytes::Bytes;

    fn durable(record: Record) -> Durable {
        let (entry, mut bytes) = (Entry::Record(Arc::new(record)), Vec::new());
        assert!(encode(&entry, &mut bytes));
        let json = Bytes::from(bytes).slice(HEAD..);
        Durable { entry, json, from: Position::default(), to: Position::default() }
    }

    fn batch(records: Vec<Record>, known: Option<CallView>) -> Batch {
        let entries: Vec<_> = records.into_iter().map(durable).collect();
        let known = known.into_iter().map(|view| (view.sid, Known::up_to(view))).collect();
        Batch::new(JournalId([0; 16]), Position::default(), by_call(&entries), known)
    }

    #[test]
    fn a_call_that_begins_and_ends_within_a_batch_is_one_last_row() {
        let batch = batch(vec![calls::admitted(1, 1), calls::ringing(1, 1, 2), calls::ended(1, 2, 9)], None);
        let part = &batch.parts[&calls::sid(1)];
        assert_eq!((part.queued_at, part.first, part.last, part.lines.lines().count()), (1, 0, 2, 3));
        let Row::Ended(ended) = &part.row else { panic!("{:?}", part.row) };
        let view: EndedView = serde_json::from_str(&ended.view).unwrap();
        assert_eq!((Some(&view.cdr), view.answer[0]["play"].as_str()), (ended.cdr(), Some("welcome")));
    }

    #[test]
    fn a_call_that_goes_on_is_as_its_facts_leave_it_and_a_fact_taken_in_twice_changes_it_once() {
        let first = batch(vec![calls::admitted(1, 1), calls::ringing(1, 1, 2)], None);
        let Row::Live(view) = &first.parts[&calls::sid(1)].row else { panic!("it lives") };
        assert_eq!((view.status, view.last_seq), (switch::Status::Ringing, 1));
        let second = batch(vec![calls::ringing(1, 1, 2), calls::answered(1, 2, 5)], Some(CallView::clone(view)));
        let part = &second.parts[&calls::sid(1)];
        assert_eq!((part.first, part.last, part.lines.lines().count()), (2, 2, 1));
    }

    #[test]
    fn a_call_that_is_over_in_the_database_ends_no_second_time() {
        let view = EndedView { answer: Arc::default(), cdr: calls::cdr(1, 9) }.view(3);
        let late = batch(vec![calls::ended(1, 3, 9), calls::message(1, 4, 10), calls::ended(1, 5, 11)], Some(view));
        let part = &late.parts[&calls::sid(1)];
        assert!(matches!(part.row, Row::Over));
        assert_eq!((part.first, part.last), (4, 5));
    }

    #[test]
    fn a_fact_of_a_call_that_nobody_knows_makes_no_row() {
        let stray = batch(vec![calls::message(1, 4, 10)], None);
        assert!(matches!(stray.parts[&calls::sid(1)].row, Row::Unknown));
    }
}
