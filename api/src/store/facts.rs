//! A call's facts as a chunk has them: a line each, the JSON that the journal has, with its place in the journal as `id`
//! instead of the sid.
//!
//! The line of [`Fact::Ended`] has no data: the call's row has its CDR.

use crate::journal::Position;
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::sync::Arc;
use switch::{CallSid, Cdr, Fact, Record};

/// The kind of a line of the ladder.
pub const MESSAGE: &str = "message";

/// Octets of `{"sid":"CA…",` before what a line keeps of a record's JSON.
const SID: usize = 44;

/// Appends the line of a record, of its JSON in the journal, behind which the journal goes on at `to`.
pub fn line(record: &Record, json: &[u8], to: Position, out: &mut String) {
    let id = to.id();
    if matches!(record.fact, Fact::Ended(_)) {
        let (seq, at) = (record.seq, record.at);
        // A String takes all that is written.
        let _ = writeln!(out, "{{\"id\":{id},\"seq\":{seq},\"at\":{at},\"type\":\"ended\"}}");
        return;
    }
    let rest = json.get(SID..).filter(|rest| rest.starts_with(b"\"seq\":"));
    let _ = write!(out, "{{\"id\":{id},");
    match rest.and_then(|rest| std::str::from_utf8(rest).ok()) {
        Some(rest) => out.push_str(rest),
        // Of another version, whose fields come in another order: the sid stays where it is.
        None => out.push_str(String::from_utf8_lossy(json).get(1..).unwrap_or_default()),
    }
    out.push('\n');
}

/// What stands behind `"data":` in a record's JSON; `None` where it is written otherwise.
#[must_use]
pub fn data(json: &[u8]) -> Option<&str> {
    const DATA: &[u8] = b",\"data\":";
    // Before it stand only numbers, the sid and the kind.
    let at = json.windows(DATA.len()).take(160).position(|found| found == DATA)?;
    std::str::from_utf8(json.get(at + DATA.len()..json.len().checked_sub(1)?)?).ok()
}

#[derive(Deserialize)]
struct Head<'a> {
    /// Lines of version 1 have none.
    #[serde(default)]
    id: u64,
    seq: u32,
    at: u64,
    #[serde(rename = "type")]
    kind: &'a str,
}

#[derive(Deserialize)]
struct Whole {
    #[serde(flatten)]
    fact: Fact,
}

/// A fact and its place, as `GET /v1/events` gives it out.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its place in the journal.
    pub id: u64,
    /// The fact.
    pub record: Arc<Record>,
}

/// Reads a line back with its place: `None` for a line of the ladder, and for what does not lie behind `after`.
///
/// # Errors
/// Where the line is of a version that this one does not understand.
pub fn placed(sid: CallSid, line: &str, cdr: Option<&Cdr>, after: u64) -> Result<Option<Placed>, serde_json::Error> {
    let head: Head<'_> = serde_json::from_str(line)?;
    if head.id <= after {
        return Ok(None);
    }
    let record = read(sid, line, cdr, |_, kind| kind != MESSAGE)?;
    Ok(record.map(|record| Placed { id: head.id, record }))
}

/// Reads a line back: `None` where `take` does not want a fact of its number and kind.
///
/// # Errors
/// Where the line is of a version that this one does not understand.
pub fn read(
    sid: CallSid,
    line: &str,
    cdr: Option<&Cdr>,
    take: impl Fn(u32, &str) -> bool,
) -> Result<Option<Arc<Record>>, serde_json::Error> {
    let head: Head<'_> = serde_json::from_str(line)?;
    if !take(head.seq, head.kind) {
        return Ok(None);
    }
    let fact = match cdr {
        Some(cdr) if head.kind == "ended" => Fact::Ended(Arc::new(cdr.clone())),
        _ => serde_json::from_str::<Whole>(line)?.fact,
    };
    Ok(Some(Arc::new(Record { sid, seq: head.seq, at: head.at, fact })))
}

/// A fact's kind, as the API's `type` has it, and its data. What is owed of a recording is told when it is told.
#[must_use]
pub fn kind_and_data(fact: &Fact) -> (&'static str, Value) {
    let mut data = match serde_json::to_value(fact) {
        Ok(Value::Object(mut tagged)) => tagged.remove("data").unwrap_or(Value::Null),
        _ => Value::Null,
    };
    if let (Fact::Recording { .. }, Some(shown)) = (fact, data.as_object_mut()) {
        shown.remove("owes");
    }
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
        Fact::Recording { .. } => "recording",
        Fact::Recorded { .. } => "recorded",
        Fact::Joined { .. } => "joined",
        Fact::Member { .. } => "member",
        Fact::Left { .. } => "left",
        Fact::RecordingPaused { .. } => "recording_paused",
        Fact::RecordingResumed { .. } => "recording_resumed",
        Fact::Pressed { .. } => "pressed",
        Fact::Muted { .. } => "muted",
        Fact::PutOnHold => "put_on_hold",
        Fact::TakenOffHold => "taken_off_hold",
        Fact::AnsweredBy { .. } => "answered_by",
        Fact::Referred { .. } => "referred",
        Fact::Warning { .. } => "warning",
        Fact::Callback(_) => "callback",
        Fact::Held => "held",
        Fact::Resumed => "resumed",
        Fact::NoMedia => "no_media",
        Fact::MediaResumed => "media_resumed",
        Fact::Message { .. } => MESSAGE,
        Fact::Ended(_) => "ended",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::calls;

    #[test]
    fn a_line_is_read_back_whether_its_json_is_the_journals_or_anothers() {
        let cdr = calls::cdr(1, 9);
        let records =
            [calls::admitted(1, 1), calls::record(1, 1, 2, Fact::Held), calls::message(1, 2, 3), calls::ended(1, 3, 9)];
        for record in records {
            let mut lines = String::new();
            let to = Position { segment: 1, offset: 7 };
            line(&record, &serde_json::to_vec(&record).unwrap(), to, &mut lines);
            assert!(!lines.contains("\"sid\":\"CA00000000000000000000000000000001\",\"seq\""), "{lines}");
            line(&record, &serde_json::to_vec(&serde_json::to_value(&record).unwrap()).unwrap(), to, &mut lines);
            for line in lines.lines() {
                assert_eq!(*read(record.sid, line, Some(&cdr), |_, _| true).unwrap().unwrap(), record);
                assert!(read(record.sid, line, Some(&cdr), |seq, _| seq != record.seq).unwrap().is_none());
            }
        }
    }

    #[test]
    fn the_data_of_a_record_is_cut_out_of_its_json() {
        let record = calls::ended(1, u32::MAX, u64::MAX);
        let json = serde_json::to_vec(&record).unwrap();
        let cut: Cdr = serde_json::from_str(data(&json).unwrap()).unwrap();
        assert_eq!(Fact::Ended(Arc::new(cut)), record.fact);
        assert_eq!(data(b"{\"seq\":1,\"type\":\"held\"}"), None);
    }

    #[test]
    fn a_facts_kind_is_its_name_in_the_journal() {
        for record in [calls::admitted(1, 1), calls::ringing(1, 1, 1), calls::message(1, 2, 1), calls::ended(1, 3, 1)] {
            let written = serde_json::to_value(&record).unwrap();
            let (kind, data) = kind_and_data(&record.fact);
            assert_eq!((written["type"].as_str(), &written["data"]), (Some(kind), &data));
        }
    }
}
