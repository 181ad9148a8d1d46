//! What must hold of every run.

use crate::hosts::Town;
use std::collections::BTreeMap;
use switch::{CallSid, CallView, Cdr, Direction, Fact, Load, Record, Status};

/// Checks every law; a breach names the seed that shows it.
pub fn check(town: &Town, seed: u64) {
    let books = books(town);
    for sid in &town.admitted {
        assert!(books.contains_key(sid), "seed {seed}: {sid} was admitted and has no record");
    }
    for (sid, records) in &books {
        let own = town.admitted.contains(sid);
        if let Err(breach) = one_call(records, own) {
            panic!(
                "seed {seed}: {sid}: {breach}
{records:#?}"
            );
        }
    }
    let outbound = books.len() - begun(&books, Direction::Inbound) - begun(&books, Direction::OutboundDial);
    assert_eq!(outbound, town.admitted.len(), "seed {seed}: a call nobody asked for");
    legs(&books, seed);
    assert!(
        begun(&books, Direction::Inbound) <= town.inbound as usize,
        "seed {seed}: a duplicate INVITE became a call"
    );
    assert_eq!(town.load, Load::default(), "seed {seed}: something is left");
    assert!(town.carrier_idle, "seed {seed}: the carrier still holds a call");
}

/// How many prompts the switch says that it has played to their end in the call with this Call-ID.
pub fn prompts_played_whole(town: &Town, call_id: &str) -> usize {
    let dialed = |record: &Record| matches!(&record.fact, Fact::Dialing { sip_call_id, .. } if sip_call_id == call_id);
    let Some(sid) = town.records.iter().find(|record| dialed(record)).map(|record| record.sid) else { return 0 };
    let whole = |record: &&Record| record.sid == sid && matches!(record.fact, Fact::Played { finished: true, .. });
    town.records.iter().filter(whole).count()
}

fn books(town: &Town) -> BTreeMap<CallSid, Vec<&Record>> {
    let mut books: BTreeMap<CallSid, Vec<&Record>> = BTreeMap::new();
    for record in &town.records {
        books.entry(record.sid).or_default().push(record);
    }
    books
}

/// How many calls the switch itself has admitted that go this way.
fn begun(books: &BTreeMap<CallSid, Vec<&Record>>, direction: Direction) -> usize {
    let goes = |record: &Record| matches!(&record.fact, Fact::Admitted(about) if about.direction == direction);
    books.values().filter(|records| goes(records[0])).count()
}

/// No call is left with one leg: a leg is over as soon as the call it was made for is, and what one says it is joined
/// with says so too.
fn legs(books: &BTreeMap<CallSid, Vec<&Record>>, seed: u64) {
    let cdr_of = |sid: &CallSid| books[sid].iter().find_map(|record| end(record)).expect("an end");
    for (sid, records) in books {
        let cdr = cdr_of(sid);
        for other in records.iter().filter_map(|record| match record.fact {
            Fact::Bridged { with } => Some(with),
            _ => None,
        }) {
            let back = |record: &&&Record| record.fact == (Fact::Bridged { with: *sid });
            assert!(
                books[&other].iter().find(back).is_some(),
                "seed {seed}: {sid} is joined with {other}, not so back"
            );
        }
        let Some(parent) = cdr.parent else { continue };
        let whole = cdr_of(&parent);
        assert!(cdr.at.ended <= whole.at.ended.map(|at| at + 2_100), "seed {seed}: {sid} outlives {parent}");
        assert!(cdr.at.queued >= whole.at.queued, "seed {seed}: {sid} is older than {parent}");
    }
}

/// One call: its records are numbered without a gap, it passes only from a status to one that may follow, and it has
/// exactly one end, which agrees with what went before.
fn one_call(records: &[&Record], outbound: bool) -> Result<(), String> {
    let first = u32::from(outbound);
    for (place, record) in records.iter().enumerate() {
        if record.seq != first + place as u32 {
            return Err(format!("record {place} is number {}", record.seq));
        }
    }
    let ends: Vec<&Cdr> = records.iter().filter_map(|record| end(record)).collect();
    let [cdr] = ends.as_slice() else { return Err(format!("{} ends", ends.len())) };
    let after = records.iter().skip_while(|record| end(record).is_none()).skip(1);
    if let Some(stray) = after.clone().find(|record| !matches!(record.fact, Fact::Message { .. })) {
        return Err(format!("{stray:?} after the end"));
    }
    statuses(records, cdr)?;
    agrees(records, cdr)
}

fn end(record: &Record) -> Option<&Cdr> {
    match &record.fact {
        Fact::Ended(cdr) => Some(cdr),
        _ => None,
    }
}

fn statuses(records: &[&Record], cdr: &Cdr) -> Result<(), String> {
    let mut view = view(records, cdr);
    let mut status = Status::Queued;
    for record in records {
        view.apply(record);
        let legal = view.status == status
            || matches!(
                (status, view.status),
                (Status::Queued, Status::Ringing | Status::InProgress)
                    | (Status::Ringing, Status::InProgress)
                    | (Status::InProgress, Status::Completed | Status::Failed)
                    | (
                        Status::Queued | Status::Ringing,
                        Status::Busy | Status::Failed | Status::NoAnswer | Status::Canceled
                    )
            );
        if !legal {
            return Err(format!("from {status:?} to {:?}", view.status));
        }
        status = view.status;
    }
    if status == cdr.status && status.is_final() { Ok(()) } else { Err(format!("ends as {status:?}")) }
}

/// A view to fold into: outbound calls were admitted by the API, whose record is not the switch's.
fn view(records: &[&Record], cdr: &Cdr) -> CallView {
    let admission = switch::Admission {
        tenant: cdr.tenant.clone(),
        parent: cdr.parent,
        direction: Direction::OutboundApi,
        from: cdr.from.clone(),
        to: cdr.to.clone(),
        trunk: None,
        answer: serde_json::Value::Null,
        metadata: serde_json::Value::Null,
    };
    let made = Record { sid: cdr.sid, seq: 0, at: cdr.at.queued, fact: Fact::Admitted(Box::new(admission)) };
    CallView::admitted(records[0]).or_else(|| CallView::admitted(&made)).expect("an admission")
}

fn agrees(records: &[&Record], cdr: &Cdr) -> Result<(), String> {
    let answered = records.iter().any(|record| matches!(record.fact, Fact::Answered { .. }));
    if answered != cdr.at.answered.is_some() || (!answered && cdr.billable_ms != 0) {
        return Err("the CDR and the answer do not agree".to_owned());
    }
    let unanswered = matches!(cdr.status, Status::Busy | Status::NoAnswer | Status::Canceled);
    if (answered && unanswered) || (!answered && cdr.status == Status::Completed) {
        return Err(format!("answered: {answered}, and it is {:?}", cdr.status));
    }
    let times = [Some(cdr.at.queued), cdr.at.sent, cdr.at.answered, cdr.at.ended];
    if cdr.at.ended.is_none() || !times.iter().flatten().is_sorted() {
        return Err(format!("times {:?}", cdr.at));
    }
    if cdr.billable_ms > cdr.duration_ms || cdr.duration_ms > 60_000 {
        return Err(format!("{} of {} ms", cdr.billable_ms, cdr.duration_ms));
    }
    Ok(())
}
