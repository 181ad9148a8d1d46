//! What a status callback is told, in its form: a fold over a call's facts. Pure.

use crate::http::{call_as_json, rfc3339};
use crate::store::facts::kind;
use ivr::CallContext;
use ivr::callbacks::{self, CallEvent};
use serde_json::json;
use std::sync::Arc;
use switch::{CallView, CallbackForm, Direction, Fact, Progression, Record};

/// The events that `status_callback_events` may name.
pub const EVENTS: [&str; 30] = [
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
    "call.answered_by",
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
    /// `call.ended`; in Twilio's form `completed`.
    pub kind: String,
    /// Where to.
    pub url: String,
    /// JSON; in Twilio's form a form, or, behind a `?`, the query of a GET: without the account, which is put in when it is
    /// sent. The same for each try.
    pub body: String,
    /// When it happened, milliseconds since the Unix epoch.
    pub at: u64,
}

/// The deliveries that `records` come to, of a call that was `known` so before them (`None`: they begin with its
/// admission). `told` says of which numbers the database has had the fact, and so the delivery.
pub fn deliveries<'a>(
    known: Option<&CallView>,
    records: impl Iterator<Item = &'a Arc<Record>> + Clone,
    told: impl Fn(u32) -> bool,
) -> Vec<Delivery> {
    let owed = records.clone().filter(|record| !told(record.seq)).filter_map(|record| owed(record));
    let mut deliveries: Vec<Delivery> = owed.collect();
    // Most calls have no callback: nothing of them is copied.
    if known.is_some_and(|view| view.status_callback.is_none()) {
        return deliveries;
    }
    let mut view = known.cloned();
    for record in records {
        if matches!(&record.fact, Fact::Admitted(admission) if admission.status_callback.is_none()) {
            return deliveries;
        }
        let Some(view) = &mut view else {
            view = CallView::admitted(record);
            continue;
        };
        let progress = Progression::of(view).event(&record.fact, record.at);
        view.apply(record);
        let Some(callback) = &view.status_callback else { return deliveries };
        let event = match (callback.form, &progress) {
            _ if matches!(record.fact, Fact::Callback(_)) => continue,
            (CallbackForm::Standard, _) => format!("call.{}", kind(&record.fact)),
            (CallbackForm::Twilio, Some(event)) => event.progress.event().to_owned(),
            (CallbackForm::Twilio, None) => continue,
        };
        if !callback.events.contains(&event) || told(record.seq) {
            continue;
        }
        let (url, get) = (callback.url.clone(), callback.get);
        match progress.filter(|_| callback.form == CallbackForm::Twilio) {
            Some(progress) => deliveries.push(in_twilios_form(view, record, event, (url, get), &progress)),
            None => deliveries.push(delivery(view, record, event, url)),
        }
    }
    deliveries
}

/// What a fact says that somebody is owed.
fn owed(record: &Record) -> Option<Delivery> {
    let Fact::Callback(owed) = &record.fact else { return None };
    let (kind, url, body) = (owed.event.clone(), owed.url.clone(), body(&owed.params, owed.get));
    Some(Delivery { id: id(record), seq: record.seq, kind, url, body, at: record.at })
}

fn body(params: &[(String, String)], get: bool) -> String {
    let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
    if get { format!("?{form}") } else { form }
}

fn in_twilios_form(
    view: &CallView,
    record: &Record,
    kind: String,
    (url, get): (String, bool),
    progress: &CallEvent,
) -> Delivery {
    let call = CallContext {
        call_sid: view.sid.to_string(),
        from: view.from.clone(),
        to: view.to.clone(),
        direction: match view.direction {
            Direction::Inbound => ivr::Direction::Inbound,
            Direction::OutboundApi => ivr::Direction::OutboundApi,
            Direction::OutboundDial => ivr::Direction::OutboundDial,
        },
        parent_call_sid: view.parent.map(|sid| sid.to_string()),
        answered_by: view.answered_by.clone(),
        ..CallContext::default()
    };
    let body = body(&callbacks::status(&call, progress), get);
    Delivery { id: id(record), seq: record.seq, kind, url, body, at: record.at }
}

fn id(record: &Record) -> String {
    format!("msg_{}_{}", record.sid.to_string().trim_start_matches("CA"), record.seq)
}

fn delivery(view: &CallView, record: &Record, kind: String, url: String) -> Delivery {
    let body = json!({ "type": kind, "timestamp": rfc3339(record.at), "data": call_as_json(view) }).to_string();
    Delivery { id: id(record), seq: record.seq, kind, url, body, at: record.at }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::calls;
    use switch::StatusCallback;

    fn admitted(events: &[&str], form: CallbackForm) -> Arc<Record> {
        let mut record = calls::admitted(1, 1);
        if let Fact::Admitted(admission) = &mut record.fact {
            let events = events.iter().map(|event| (*event).to_owned()).collect();
            admission.status_callback =
                Some(Box::new(StatusCallback { url: "https://a.example/".into(), events, form, get: false }));
        }
        Arc::new(record)
    }

    #[test]
    fn each_event_that_was_asked_for_is_one_delivery_with_the_call_as_it_was_then() {
        let facts = [calls::ringing(1, 1, 2), calls::message(1, 2, 3), calls::answered(1, 3, 5), calls::ended(1, 4, 9)];
        let facts: Vec<_> = [admitted(&["call.ringing", "call.ended"], CallbackForm::Standard)]
            .into_iter()
            .chain(facts.map(Arc::new))
            .collect();
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

    #[test]
    fn what_a_call_owes_is_a_delivery_whoever_else_is_told_of_it() {
        let fact = |get| {
            let params = vec![("CallSid".to_owned(), "CA1".to_owned()), ("Label".to_owned(), "a b".to_owned())];
            let (event, url) = ("participant-join".to_owned(), "https://a.example/?x=1".to_owned());
            Fact::Callback(Box::new(switch::Owed { event, url, get, params }))
        };
        let owed = [calls::record(1, 2, 3, fact(false)), calls::record(1, 3, 4, fact(true))].map(Arc::new);
        for admission in [calls::admitted(1, 1).into(), admitted(&["call.ended"], CallbackForm::Standard)] {
            let facts: Vec<_> = [admission, calls::ringing(1, 1, 2).into()].into_iter().chain(owed.clone()).collect();
            let made = deliveries(None, facts.iter(), |_| false);
            let seen: Vec<_> = made.iter().map(|one| (one.seq, &*one.kind, &*one.body)).collect();
            let form = ["CallSid=CA1&Label=a+b", "?CallSid=CA1&Label=a+b"];
            assert_eq!(seen, [(2, "participant-join", form[0]), (3, "participant-join", form[1])]);
            assert_eq!(deliveries(None, facts.iter(), |seq| seq == 2), made[1..], "told once");
        }
    }

    #[test]
    fn in_twilios_form_events_are_counted_and_only_those_that_were_asked_for_are_told() {
        let facts = [calls::ringing(1, 1, 2), calls::message(1, 2, 3), calls::answered(1, 3, 5), calls::ended(1, 4, 9)];
        let told = admitted(&["answered", "completed"], CallbackForm::Twilio);
        let facts: Vec<_> = [told].into_iter().chain(facts.map(Arc::new)).collect();
        let made = deliveries(None, facts.iter(), |_| false);
        let seen: Vec<_> = made.iter().map(|one| (one.seq, &*one.kind, one.at)).collect();
        assert_eq!(seen, [(3, "answered", 5), (4, "completed", 9)]);
        let value = |nth: usize, name: &str| {
            let form = url::form_urlencoded::parse(made[nth].body.as_bytes());
            form.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        // It rang before, and nobody asked for that.
        assert_eq!((value(0, "CallStatus"), value(0, "SequenceNumber")), ("in-progress".to_owned(), "1".to_owned()));
        assert_eq!((value(1, "CallStatus"), value(1, "SequenceNumber")), ("completed".to_owned(), "2".to_owned()));
        assert_eq!(value(1, "CallSid"), facts[0].sid.to_string());
        let mut view = CallView::admitted(&facts[0]).unwrap();
        facts[1..4].iter().for_each(|record| view.apply(record));
        assert_eq!(deliveries(Some(&view), facts[4..].iter(), |_| false), made[1..], "over two batches");
    }
}
