//! How it is found out whether a person or a machine has answered (TWILIO.md §2.2).

use super::parse::{Parsed, Table, number, show, wrong};
use super::{Callback, documents};
use serde_json::Value;
use std::ops::RangeInclusive;
use std::time::Duration;

/// Seconds in which it may be decided.
pub(crate) const LIMIT_S: RangeInclusive<u32> = 3..=60;
/// How long speech of a machine's may be, in milliseconds.
pub(crate) const SPEECH_MS: RangeInclusive<u32> = 1_000..=6_000;
/// How long the silence behind it may be.
pub(crate) const SPEECH_END_MS: RangeInclusive<u32> = 500..=5_000;
/// How long the silence before anything may be.
pub(crate) const SILENCE_MS: RangeInclusive<u32> = 2_000..=10_000;

/// What the table of a `machine_detection` may hold.
const KNOWN: [&str; 6] =
    ["mode", "timeout_s", "speech_threshold_ms", "speech_end_threshold_ms", "silence_timeout_ms", "callback"];

/// How it is found out who has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MachineDetection {
    /// The program begins when it is decided; else at once, and hears of it when it asks for documents afterwards.
    pub waits: bool,
    /// A machine's greeting is waited out.
    pub until_end: bool,
    /// Later than this nothing is decided: 3 to 60 seconds.
    pub limit: Duration,
    /// Speech that goes on for so long is a machine's greeting, in milliseconds.
    pub speech_ms: u32,
    /// Silence for so long behind a short greeting is a person who waits, in milliseconds.
    pub after_speech_ms: u32,
    /// Silence for so long behind a machine's greeting is its end, in milliseconds.
    pub speech_end_ms: u32,
    /// Silence for so long at first: it is not decided, in milliseconds.
    pub silence_ms: u32,
    /// Who is told of it.
    pub callback: Option<Callback>,
}

impl Default for MachineDetection {
    fn default() -> Self {
        Self {
            waits: true,
            until_end: false,
            limit: Duration::from_secs(30),
            speech_ms: 2_400,
            after_speech_ms: 800,
            speech_end_ms: 1_200,
            silence_ms: 5_000,
            callback: None,
        }
    }
}

/// The `machine_detection` of one who is called, with the words that it has in `POST /v1/calls`: beside the conversation,
/// which does not wait for it.
pub(super) fn detection(table: &Table, path: &str) -> Parsed<Option<MachineDetection>> {
    let path = format!("{path}.machine_detection");
    let table = match table.get("machine_detection") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(table)) => table,
        Some(other) => {
            return wrong(&path, format!("a table such as {{ \"mode\": \"enable\" }}; found {}", show(other)));
        }
    };
    if let Some(key) = table.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return wrong(&format!("{path}.{key}"), format!("it has {}", super::words::list(&KNOWN)));
    }
    let until_end = match table.get("mode").and_then(Value::as_str) {
        Some("enable") => false,
        Some("detect_message_end") => true,
        _ => return wrong(&format!("{path}.mode"), "`enable` (who answered) or `detect_message_end` (and waits)"),
    };
    let unsaid = MachineDetection::default();
    let limit_s = number(table, "timeout_s", &path, LIMIT_S, unsaid.limit.as_secs() as u32)?;
    Ok(Some(MachineDetection {
        waits: false,
        until_end,
        limit: Duration::from_secs(limit_s.into()),
        speech_ms: number(table, "speech_threshold_ms", &path, SPEECH_MS, unsaid.speech_ms)?,
        speech_end_ms: number(table, "speech_end_threshold_ms", &path, SPEECH_END_MS, unsaid.speech_end_ms)?,
        silence_ms: number(table, "silence_timeout_ms", &path, SILENCE_MS, unsaid.silence_ms)?,
        callback: documents::callback(table, "callback", &path)?,
        ..unsaid
    }))
}
