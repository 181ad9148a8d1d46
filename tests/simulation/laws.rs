//! What must hold of every run.

use crate::place::{PATIENCE, Town};
use std::collections::BTreeMap;
use std::time::Duration;
use switch::{CallSid, CallView, Cdr, Direction, Fact, Load, Record, Status};

/// Nobody talks alone for longer: 64·T1 for an ACK that never comes, and what is lost of the BYE after it.
const ALONE: Duration = Duration::from_secs(PATIENCE.as_secs() + 2);

/// Checks every law; a breach names the seed that shows it.
pub fn check(town: &Town, seed: u64) {
    let books = books(town);
    for sid in &town.admitted {
        assert!(books.contains_key(sid), "seed {seed}: {sid} was admitted and has no record");
    }
    for (sid, records) in &books {
        let own = town.admitted.contains(sid);
        if let Err(breach) = one_call(records, own, town.longest) {
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
    sides(town, seed);
    finals(&books, seed);
    assert_eq!(town.load, Load::default(), "seed {seed}: something is left");
    assert!(town.busy.is_empty(), "seed {seed}: {:#?}", town.busy);
}

/// How many prompts the switch says that it has played to their end in the call with this Call-ID.
pub fn prompts_played_whole(town: &Town, call_id: &str) -> usize {
    let dialed = |record: &Record| matches!(&record.fact, Fact::Dialing { sip_call_id, .. } if sip_call_id == call_id);
    let Some(sid) = town.records.iter().find(|record| dialed(record)).map(|record| record.sid) else { return 0 };
    let whole = |record: &&Record| record.sid == sid && matches!(record.fact, Fact::Played { finished: true, .. });
    town.records.iter().filter(whole).count()
}

/// What both sides say of their calls, compared.
#[derive(Debug, Default)]
pub struct Sides {
    /// Both have it that the call was answered.
    pub both_answered: u32,
    /// The answer met its CANCEL: one side has it so, the other not.
    pub crossed: u32,
    /// Neither.
    pub unanswered: u32,
    /// Between what one side billed and the other talked, in milliseconds, over all calls that ended in good order.
    apart_ms: u64,
    in_order: u64,
}

/// Compares the switch's books with those of whoever it called or was called by, by Call-ID. A call that only one side
/// holds for answered is ended by it: nobody talks alone for longer than 64·T1.
pub fn sides(town: &Town, seed: u64) -> Sides {
    let mut cdrs: BTreeMap<&str, &Cdr> = BTreeMap::new();
    for cdr in town.records.iter().filter_map(end) {
        for id in &cdr.sip_call_ids {
            assert!(cdrs.insert(id, cdr).is_none(), "seed {seed}: two CDRs of {id}");
        }
    }
    let mut sides = Sides::default();
    for report in &town.reports {
        let wrong = |what: &str| format!("seed {seed}: {what}: {report:#?}\n{:#?}", cdrs.get(report.call_id.as_str()));
        let lonely = report.complaints.iter().any(|complaint| complaint.contains("no RTP for a minute"));
        assert!(!lonely, "{}", wrong("one-legged"));
        let Some(cdr) = cdrs.get(report.call_id.as_str()) else {
            assert!(!report.outcome.was_answered(), "{}", wrong("answered, and in no book"));
            continue;
        };
        // Who vanishes, or does not hear, knows less.
        let silent = ["vanish", "lost"].iter().any(|word| report.script.contains(word));
        // A CDR may be of several attempts; this one need not be the one that was answered.
        let last = cdr.sip_call_ids.last() == Some(&report.call_id);
        match (report.times.answered.is_some(), cdr.at.answered.is_some()) {
            (true, true) if silent || !last => {}
            (true, true) => {
                sides.both_answered += 1;
                sides.apart_ms += report.talked_ms().abs_diff(cdr.billable_ms);
                sides.in_order += 1;
            }
            (true, false) => {
                assert!(silent || u128::from(report.talked_ms()) <= ALONE.as_millis(), "{}", wrong("talks alone"));
                assert!(cdr.billable_ms == 0, "{}", wrong("billed without an answer"));
                sides.crossed += 1;
            }
            (false, true) if last => {
                assert!(u128::from(cdr.billable_ms) <= ALONE.as_millis(), "{}", wrong("billed alone"));
                sides.crossed += 1;
            }
            (false, _) => sides.unanswered += 1,
        }
    }
    sides
}

/// The two sides' times differ by less than a second a call (FAULTS, "always checked").
pub fn durations_agree(town: &Town, seed: u64) {
    let sides = sides(town, seed);
    assert!(sides.apart_ms <= 1_000 * sides.in_order, "seed {seed}: {sides:?}");
}

/// Each INVITE that came, the first or one in mid-call, was answered once and for all.
fn finals(books: &BTreeMap<CallSid, Vec<&Record>>, seed: u64) {
    for (sid, records) in books {
        let mut balance: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        for record in records {
            let Fact::Message { sent, line, cseq, retransmission: false, .. } = &record.fact else { continue };
            let of_invite = balance.entry(cseq).or_default();
            of_invite.0 += u32::from(!sent && line.starts_with("INVITE "));
            let code = line.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..1));
            of_invite.1 += u32::from(*sent && cseq.ends_with("INVITE") && code.is_some_and(|class| class != "1"));
        }
        for (cseq, (came, answered)) in balance {
            assert_eq!(came, answered, "seed {seed}: {sid}: INVITEs and final answers of {cseq}: {records:#?}");
        }
    }
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
fn one_call(records: &[&Record], outbound: bool, longest: Duration) -> Result<(), String> {
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
    agrees(records, cdr, longest)
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
        answer: std::sync::Arc::default(),
        metadata: serde_json::Value::Null,
        status_callback: None,
        sip_call_id: None,
        leaves: false,
    };
    let made = Record { sid: cdr.sid, seq: 0, at: cdr.at.queued, fact: Fact::Admitted(Box::new(admission)) };
    CallView::admitted(records[0]).or_else(|| CallView::admitted(&made)).expect("an admission")
}

fn agrees(records: &[&Record], cdr: &Cdr, longest: Duration) -> Result<(), String> {
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
    if cdr.billable_ms > cdr.duration_ms || u128::from(cdr.duration_ms) > longest.as_millis() + 18_000 {
        return Err(format!("{} of {} ms", cdr.billable_ms, cdr.duration_ms));
    }
    Ok(())
}
