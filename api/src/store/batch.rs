//! What one transaction of the projector writes: a fold over a run of the journal's entries. Pure.

use crate::journal::Position;
use crate::journal::segment::JournalId;
use std::collections::BTreeMap;
use std::sync::Arc;
use switch::{CallSid, CallView, Cdr, Fact, Record};

/// Rows to be written together with the position in the journal that they bring the database to.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Which journal.
    pub journal: JournalId,
    /// How far the database is when this is written.
    pub position: Position,
    /// Every fact, in order.
    pub records: Vec<Arc<Record>>,
    /// The calls that these changed, as they stand after them.
    pub calls: BTreeMap<CallSid, CallView>,
}

impl Batch {
    /// A batch of nothing but a position.
    #[must_use]
    pub fn new(journal: JournalId, position: Position) -> Self {
        Self { journal, position, records: Vec::new(), calls: BTreeMap::new() }
    }

    /// Takes in the next fact. The views of calls it speaks of and that were admitted before must be in `calls`.
    pub fn add(&mut self, record: Arc<Record>) {
        match self.calls.get_mut(&record.sid) {
            // A call ends once; a second end can only be of a recovery that knew less than the database.
            Some(view) if view.cdr.is_some() && matches!(record.fact, Fact::Ended(_)) => {}
            Some(view) => view.apply(&record),
            None => {
                if let Some(view) = first_view(&record) {
                    self.calls.insert(record.sid, view);
                }
            }
        }
        self.records.push(record);
    }

    /// The CDRs among the facts.
    pub fn cdrs(&self) -> impl Iterator<Item = &Cdr> {
        self.records.iter().filter_map(|record| match &record.fact {
            Fact::Ended(cdr) => Some(&**cdr),
            _ => None,
        })
    }
}

/// The view of a call that the database does not have: from its admission, or, where the database lost that, its CDR.
fn first_view(record: &Record) -> Option<CallView> {
    match &record.fact {
        Fact::Ended(cdr) => Some(CallView {
            sid: cdr.sid,
            tenant: cdr.tenant.clone(),
            status: cdr.status,
            parent: cdr.parent,
            direction: cdr.direction,
            from: cdr.from.clone(),
            to: cdr.to.clone(),
            trunk: cdr.trunk.clone(),
            answer: serde_json::Value::Null,
            metadata: cdr.metadata.clone(),
            at: cdr.at,
            codec: cdr.codec.clone(),
            carrier_call_id: cdr.carrier_call_id.clone(),
            sip_call_ids: cdr.sip_call_ids.clone(),
            cause: Some(cdr.cause.clone()),
            cdr: Some(cdr.clone()),
            last_seq: record.seq,
        }),
        _ => CallView::admitted(record),
    }
}

/// A fact's kind, as the `kind` column and the API's `type` have it, and its data.
#[must_use]
pub fn kind_and_data(fact: &Fact) -> (&'static str, serde_json::Value) {
    let data = match serde_json::to_value(fact) {
        Ok(serde_json::Value::Object(mut tagged)) => tagged.remove("data").unwrap_or(serde_json::Value::Null),
        _ => serde_json::Value::Null,
    };
    (kind(fact), data)
}

/// A fact's kind: the name it has in the journal.
#[must_use]
pub fn kind(fact: &Fact) -> &'static str {
    match fact {
        Fact::Admitted(_) => "admitted",
        Fact::Dialing { .. } => "dialing",
        Fact::Ringing { .. } => "ringing",
        Fact::EarlyMedia { .. } => "early_media",
        Fact::Answered { .. } => "answered",
        Fact::AttemptFailed { .. } => "attempt_failed",
        Fact::Playing { .. } => "playing",
        Fact::Played { .. } => "played",
        Fact::Digit { .. } => "digit",
        Fact::Gathered { .. } => "gathered",
        Fact::Bridging { .. } => "bridging",
        Fact::Bridged { .. } => "bridged",
        Fact::Unbridged { .. } => "unbridged",
        Fact::Held => "held",
        Fact::Resumed => "resumed",
        Fact::NoMedia => "no_media",
        Fact::MediaResumed => "media_resumed",
        Fact::Message { .. } => MESSAGE,
        Fact::Ended(_) => "ended",
    }
}

/// The kind of a line of the ladder.
pub const MESSAGE: &str = "message";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::calls;

    #[test]
    fn a_facts_kind_is_its_name_in_the_journal() {
        for record in [calls::admitted(1, 1), calls::ringing(1, 1, 1), calls::message(1, 2, 1), calls::ended(1, 3, 1)] {
            let written = serde_json::to_value(&record).unwrap();
            let (kind, data) = kind_and_data(&record.fact);
            assert_eq!((written["type"].as_str(), &written["data"]), (Some(kind), &data));
        }
    }

    #[test]
    fn a_fact_taken_in_twice_changes_a_call_once() {
        let mut batch = Batch::new(JournalId([0; 16]), Position::default());
        for record in [calls::admitted(1, 1), calls::ringing(1, 1, 2), calls::admitted(1, 1), calls::ended(1, 2, 9)] {
            batch.add(Arc::new(record));
        }
        assert_eq!(batch.calls[&calls::sid(1)].last_seq, 2);
        assert_eq!(batch.cdrs().count(), 1);
    }
}
