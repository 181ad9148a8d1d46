//! What a status callback is told: a fold over a call's facts. Pure.

use crate::http::{call_as_json, rfc3339};
use crate::store::facts::kind;
use serde_json::json;
use std::sync::Arc;
use switch::{CallView, Fact, Record};

/// The events that `status_callback_events` may name.
pub const EVENTS: [&str; 29] = [
    "call.dialing",
    "call.ringing",
    "call.early_media",
    "call.answered",
    "call.attempt_failed",
    "call.playing",
    "call.played",
    "call.digit",
    "call.gathered",
    "call.bridging",
    "call.bridged",
    "call.unbridged",
    "call.recording",
    "call.recorded",
    "call.joined",
    "call.left",
    "call.recording_paused",
    "call.recording_resumed",
    "call.pressed",
    "call.muted",
    "call.put_on_hold",
    "call.taken_off_hold",
    "call.referred",
    "call.warning",
    "call.held",
    "call.resumed",
    "call.no_media",
    "call.media_resumed",
    "call.ended",
];

/// What is told where `status_callback_events` is not given.
pub const USUAL: &str = "call.ended";

/// One event on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// The `webhook-id`: of the call and the number of the fact, the same for each try.
    pub id: String,
    /// The number of the fact.
    pub seq: u32,
    /// `call.ended`.
    pub kind: String,
    /// Where to.
    pub url: String,
    /// JSON, the same for each try.
    pub body: String,
    /// When it happened, milliseconds since the Unix epoch.
    pub at: u64,
}

/// The deliveries that `records` come to, of a call that was `known` so before them (`None`: they begin with its
/// admission). `told` says of which numbers the database has had the fact, and so the delivery.
pub fn deliveries<'a>(
    known: Option<&CallView>,
    records: impl Iterator<Item = &'a Arc<Record>>,
    told: impl Fn(u32) -> bool,
) -> Vec<Delivery> {
    // Most calls have no callback: nothing of them is copied.
    if known.is_some_and(|view| view.status_callback.is_none()) {
        return Vec::new();
    }
    let (mut view, mut deliveries) = (known.cloned(), Vec::new());
    for record in records {
        if matches!(&record.fact, Fact::Admitted(admission) if admission.status_callback.is_none()) {
            return deliveries;
        }
        let Some(view) = &mut view else {
            view = CallView::admitted(record);
            continue;
        };
        view.apply(record);
        let Some(callback) = &view.status_callback else { return deliveries };
        let event = format!("call.{}", kind(&record.fact));
        if callback.events.contains(&event) && !told(record.seq) {
            deliveries.push(delivery(view, record, event, callback.url.clone()));
        }
    }
    deliveries
}

fn delivery(view: &CallView, record: &Record, kind: String, url: String) -> Delivery {
    let body = json!({ "type": kind, "timestamp": rfc3339(record.at), "data": call_as_json(view) }).to_string();
    let sid = record.sid.to_string();
    let id = format!("msg_{}_{}", sid.trim_start_matches("CA"), record.seq);
    Delivery { id, seq: record.seq, kind, url, body, at: record.at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::calls;
    use switch::StatusCallback;

    fn admitted(events: &[&str]) -> Arc<Record> {
        let mut record = calls::admitted(1, 1);
        if let Fact::Admitted(admission) = &mut record.fact {
            let events = events.iter().map(|event| (*event).to_owned()).collect();
            admission.status_callback = Some(Box::new(StatusCallback { url: "https://a.example/".into(), events }));
        }
        Arc::new(record)
    }

    #[test]
    fn each_event_that_was_asked_for_is_one_delivery_with_the_call_as_it_was_then() {
        let facts = [calls::ringing(1, 1, 2), calls::message(1, 2, 3), calls::answered(1, 3, 5), calls::ended(1, 4, 9)];
        let facts: Vec<_> =
            [admitted(&["call.ringing", "call.ended"])].into_iter().chain(facts.map(Arc::new)).collect();
        let made = deliveries(None, facts.iter(), |_| false);
        let seen: Vec<_> = made.iter().map(|one| (one.seq, &*one.kind, one.at)).collect();
        assert_eq!(seen, [(1, "call.ringing", 2), (4, "call.ended", 9)]);
        let body: serde_json::Value = serde_json::from_str(&made[0].body).unwrap();
        assert_eq!((&body["data"]["status"], &body["data"]["ended_at"]), (&json!("ringing"), &json!(null)));
        assert_eq!(made[1].id, "msg_00000000000000000000000000000001_4");
        let view = CallView::admitted(&facts[0]).unwrap();
        assert_eq!(deliveries(Some(&view), facts[1..].iter(), |_| false), made, "over two batches");
        assert_eq!(deliveries(None, facts.iter(), |seq| seq <= 1), made[1..], "told once");
        assert!(deliveries(None, facts[1..].iter(), |_| false).is_empty(), "of a call that nobody knows");
    }
}
