//! The bodies of what is asked of a live call (`live`): read, bounded, and held against the call's state.

use super::fields::{Fields, whole};
use super::problem::Problem;
use ivr::Answer;
use serde_json::{Map, Value, json};
use switch::{CallSid, CallView, RecordOrder, Steer};

/// The longest recording that can be asked for, in seconds: a day.
pub(super) const MAX_RECORD_S: u64 = 86_400;

pub(super) type Body = Map<String, Value>;

/// What a body asks for.
pub(super) enum Asked {
    Steer(Steer),
    /// Takes the place of the program that runs.
    Program(Answer),
}

/// The one verb of a body, by its name.
fn verb(word: &'static str, body: Body) -> Result<Answer, Problem> {
    if !body.contains_key(word) {
        let detail = format!("`{word}` is missing: the body is the verb, as in `answer`");
        return Err(Problem::bad("missing_field", detail).at(word));
    }
    Answer::parse(&Value::Object(body)).map_err(|error| {
        let path = error.path.strip_prefix("answer.").unwrap_or(&error.path).to_owned();
        Problem::bad("invalid_value", error.message).at(path)
    })
}

pub(super) fn heard(word: &'static str, body: Body) -> Result<Asked, Problem> {
    verb(word, body).map(|answer| Asked::Steer(Steer::Interject(answer)))
}

pub(super) fn asks(body: Body, view: &CallView) -> Result<Asked, Problem> {
    let answer = verb("gather", body)?;
    let joined = view.engaged.with.map(|with| format!("it is joined with {with}"));
    let busy =
        joined.or_else(|| view.engaged.conference.as_ref().map(|room| format!("it is in the conference {room}")));
    match busy {
        None => Ok(Asked::Steer(Steer::Interject(answer))),
        Some(state) => Err(Problem::conflict("call_joined", format!("nothing can be asked now: {state}"))),
    }
}

pub(super) fn keys(body: Body) -> Result<Asked, Problem> {
    let keys = Fields::of(body, &["digits"], &[])?.text("digits")?;
    if ivr::are_sent(&keys) {
        return Ok(Asked::Steer(Steer::Digits(keys)));
    }
    let detail = format!(
        "1 to {} of 0-9 * # A-D, with w for half a second of silence and W for a whole one",
        ivr::limits::MAX_SENT_DIGITS
    );
    Err(Problem::bad("invalid_value", detail).at("digits"))
}

pub(super) fn holds(body: Body) -> Result<Asked, Problem> {
    match Fields::of(body, &["hold"], &[])?.required("hold")? {
        Value::Bool(on) => Ok(Asked::Steer(Steer::Hold(on))),
        _ => Err(Problem::bad("invalid_value", "`hold` is true or false").at("hold")),
    }
}

pub(super) fn mutes(body: Body) -> Result<Asked, Problem> {
    let word = Fields::of(body, &["mute"], &[])?.text("mute")?;
    let (inbound, outbound) = match word.as_str() {
        "inbound" => (true, false),
        "outbound" => (false, true),
        "both" => (true, true),
        "none" => (false, false),
        _ => {
            let detail = "`mute` is \"inbound\" (nobody hears the far end), \"outbound\" (it hears nothing), \"both\" or \"none\"";
            return Err(Problem::bad("invalid_value", detail).at("mute"));
        }
    };
    Ok(Asked::Steer(Steer::Mute { inbound, outbound }))
}

pub(super) fn records(body: Body, view: &CallView) -> Result<Asked, Problem> {
    let mut fields = Fields::of(body, &["record", "channels", "beep", "max_s", "recording"], &[])?;
    let word = fields.text("record")?;
    if word == "start" {
        return starts(fields);
    }
    let recording = fields.optional_text("recording")?;
    let order = match word.as_str() {
        "stop" => RecordOrder::Stop(recording.clone()),
        "pause" => RecordOrder::Pause(recording.clone()),
        "resume" => RecordOrder::Resume(recording.clone()),
        _ => {
            let detail = "`record` is \"start\", \"stop\", \"pause\" or \"resume\"";
            return Err(Problem::bad("invalid_value", detail).at("record"));
        }
    };
    let running = &view.engaged.recordings;
    if !running.iter().any(|sid| recording.as_ref().is_none_or(|meant| meant == sid)) {
        let detail = "the call is not being recorded, or not by that recording";
        return Err(Problem::conflict("not_recording", detail));
    }
    Ok(Asked::Steer(Steer::Record(order)))
}

fn starts(mut fields: Fields) -> Result<Asked, Problem> {
    let dual = fields.whole("channels", 1..=2, 1)? == 2;
    let beep = match fields.take("beep") {
        None => false,
        Some(Value::Bool(beep)) => beep,
        Some(_) => return Err(Problem::bad("invalid_value", "`beep` is true or false").at("beep")),
    };
    let max_s = match fields.take("max_s") {
        None => None,
        Some(value) => match whole(&value).filter(|seconds| (1..=MAX_RECORD_S).contains(seconds)) {
            Some(seconds) => u32::try_from(seconds).ok(),
            None => {
                let detail = format!("`max_s` is a whole number from 1 to {MAX_RECORD_S}");
                return Err(Problem::bad("invalid_value", detail).at("max_s"));
            }
        },
    };
    if fields.take("recording").is_some() {
        let detail = "`recording` names one that runs; one that starts gets its sid by the event `recording`";
        return Err(Problem::bad("invalid_value", detail).at("recording"));
    }
    Ok(Asked::Steer(Steer::Record(RecordOrder::Start { dual, beep, max_s })))
}

pub(super) fn transfers(body: Body, view: &CallView) -> Result<Asked, Problem> {
    let mut fields = Fields::of(body, &["transfer", "by", "timeout_s", "caller_id"], &[])?;
    let to = fields.text("transfer")?;
    let by = fields.optional_text("by")?;
    if let Ok(with) = to.parse::<CallSid>() {
        return match (view.engaged.with, by.as_deref()) {
            (_, Some(_)) => {
                Err(Problem::bad("invalid_value", "`by` is for a transfer to somebody who is called; leave it out")
                    .at("by"))
            }
            (None, None) => {
                Err(Problem::conflict("call_not_joined", "the call is joined with nobody who could be transferred"))
            }
            (Some(_), None) => Ok(Asked::Steer(Steer::Attend { with })),
        };
    }
    match by.as_deref() {
        Some("refer") => verb("refer", json_object(json!({ "refer": to })))
            .map_err(|problem| problem.at("transfer"))
            .map(|_| Asked::Steer(Steer::Refer(to))),
        None | Some("bridge") => {
            let mut verb_of = json_object(json!({ "bridge": to }));
            for option in ["timeout_s", "caller_id"] {
                verb_of.extend(fields.take(option).map(|value| (option.to_owned(), value)));
            }
            verb("bridge", verb_of).map_err(|problem| problem.at("transfer")).map(Asked::Program)
        }
        Some(_) => {
            let detail = "`by` is \"bridge\" (we call, and join both) or \"refer\" (the far end calls)";
            Err(Problem::bad("invalid_value", detail).at("by"))
        }
    }
}

fn json_object(value: Value) -> Body {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

pub(super) fn bridges(body: Body) -> Result<Asked, Problem> {
    verb("bridge", body).map(Asked::Program)
}
