//! `record` and `machine_detection` of a call that is asked for, and whether its `status_callback` is told in Twilio's own
//! form: where the call runs a document.

use super::fields::Fields;
use super::problem::Problem;
use ivr::{Answer, Callback, Method, Verb};
use serde_json::Value;
use std::time::Duration;
use switch::{MachineDetection, Wishes};
use url::Url;

/// What `machine_detection` may say.
const KNOWN: [&str; 7] =
    ["mode", "async", "timeout_s", "speech_threshold_ms", "speech_end_threshold_ms", "silence_timeout_ms", "callback"];

/// True for a call that runs a TwiML document from its beginning: its callbacks are Twilio's.
pub(super) fn speaks_twiml(answer: &Answer) -> bool {
    matches!(answer.verbs(), [Verb::Fetch(_) | Verb::Twiml(_), ..])
}

/// `record` and `machine_detection`.
pub(super) fn read(fields: &mut Fields) -> Result<Wishes, Problem> {
    Ok(Wishes { record: record(fields)?, machine: machine(fields)? })
}

/// `true` (one channel), `1` or `2`: how many channels.
fn record(fields: &mut Fields) -> Result<Option<bool>, Problem> {
    match fields.take("record") {
        None | Some(Value::Bool(false)) => Ok(None),
        Some(Value::Bool(true)) => Ok(Some(false)),
        Some(Value::Number(channels)) if channels.as_u64() == Some(1) => Ok(Some(false)),
        Some(Value::Number(channels)) if channels.as_u64() == Some(2) => Ok(Some(true)),
        Some(_) => {
            let detail = "`record` is true, false, or how many channels: 1 (mixed) or 2 (a side in each)";
            Err(Problem::bad("invalid_value", detail).at("record"))
        }
    }
}

fn machine(fields: &mut Fields) -> Result<Option<MachineDetection>, Problem> {
    let table = match fields.take("machine_detection") {
        None => return Ok(None),
        Some(Value::String(mode)) => {
            let until_end = until_end(&mode).map_err(|problem| problem.at("machine_detection"))?;
            return Ok(Some(MachineDetection { until_end, ..MachineDetection::default() }));
        }
        Some(Value::Object(table)) => table,
        Some(_) => {
            let detail = "`machine_detection` is \"enable\", \"detect_message_end\" or a table with `mode`";
            return Err(Problem::bad("invalid_value", detail).at("machine_detection"));
        }
    };
    of_table(Fields::of(table, &KNOWN, &[]).map_err(below)?).map_err(below).map(Some)
}

/// A fault of a field inside the table.
fn below(problem: Problem) -> Problem {
    problem.below("machine_detection")
}

fn of_table(mut fields: Fields) -> Result<MachineDetection, Problem> {
    let unsaid = MachineDetection::default();
    let asynchronous = match fields.take("async") {
        None => false,
        Some(Value::Bool(said)) => said,
        Some(_) => return Err(Problem::bad("invalid_value", "`async` is true or false").at("async")),
    };
    let ms = |fields: &mut Fields, name, range: std::ops::RangeInclusive<u64>, unsaid: u32| {
        fields.whole(name, range, u64::from(unsaid)).map(|ms| u32::try_from(ms).unwrap_or(unsaid))
    };
    let callback = match fields.optional_text("callback")? {
        None => None,
        Some(text) => {
            let url = super::callback::address("callback", &text)?;
            let url =
                Url::parse(&url).map_err(|error| Problem::bad("invalid_value", error.to_string()).at("callback"))?;
            Some(Callback { url, method: Method::Post, events: Vec::new() })
        }
    };
    Ok(MachineDetection {
        waits: !asynchronous,
        until_end: until_end(&fields.text("mode")?)?,
        limit: Duration::from_secs(fields.whole("timeout_s", 3..=60, unsaid.limit.as_secs())?),
        speech_ms: ms(&mut fields, "speech_threshold_ms", 1_000..=6_000, unsaid.speech_ms)?,
        speech_end_ms: ms(&mut fields, "speech_end_threshold_ms", 500..=5_000, unsaid.speech_end_ms)?,
        silence_ms: ms(&mut fields, "silence_timeout_ms", 2_000..=10_000, unsaid.silence_ms)?,
        callback,
        ..unsaid
    })
}

fn until_end(mode: &str) -> Result<bool, Problem> {
    match mode {
        "enable" => Ok(false),
        "detect_message_end" => Ok(true),
        _ => {
            let detail =
                "the mode is \"enable\" (who answered) or \"detect_message_end\" (and a machine's greeting is over)";
            Err(Problem::bad("invalid_value", detail).at("mode"))
        }
    }
}
