//! What a simulated caller, and the world, do: one step after the other.

use crate::answer::parse::{Table, shorten, show};
use crate::answer::{is_key, nearest};
use crate::limits::{MAX_GATHER_DIGITS, MAX_TRANSCRIPT};
use crate::program::BridgeStatus;
use serde_json::Value;

/// Steps of one script. A longer one is refused.
pub const MAX_SCRIPT: usize = 500;

/// Seconds in one step, for which the caller does nothing or speaks: as many as a simulated call may last. More are
/// refused.
pub const MAX_STEP_S: u32 = 4 * 3_600;

/// How a transfer may end by itself. `canceled` is not among them: a caller who hangs up makes it.
pub const TRANSFER_ENDS: [BridgeStatus; 4] =
    [BridgeStatus::Completed, BridgeStatus::Busy, BridgeStatus::NoAnswer, BridgeStatus::Failed];

/// The words of a step.
const WORDS: &[&str] = &["press", "speak", "wait_s", "hangup", "http", "transfer", "record_s"];

/// What the caller, or the world, does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Presses these keys, at once, when keys are next waited for.
    Press(String),
    /// Says this, when speech is next listened to; empty: and is not understood.
    Speak(String),
    /// Does nothing for so many seconds.
    WaitS(u32),
    /// Hangs up. Of the steps after it only the answers of web servers count: a flow may still ask.
    Hangup,
    /// How the next web request is answered. Without it, 200 with an empty body.
    Http(Reply),
    /// How the next transfer ends. Without it, or where it is completed, it is answered at once and lasts 30 seconds; one
    /// that nobody answers rings for its time, any other end comes after a second.
    Transfer(BridgeStatus),
    /// For how many seconds the caller speaks into the next recording; the next step comes after them, and after a
    /// [`Step::WaitS`] that still runs. Without it, he says nothing. It ends as a live one does: by silence, its greatest
    /// length, a key or the end of the call.
    RecordS(u32),
}

/// How a web request is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Its status, 200 to 599; none: there is no response.
    pub status: Option<u16>,
    /// Its body.
    pub body: String,
}

impl Step {
    /// Reads one step: `{ "press": "1" }`.
    ///
    /// # Errors
    /// What is wrong with it and what to write instead.
    pub fn parse(value: &Value) -> Result<Self, String> {
        let Value::Object(table) = value else {
            return Err(format!("a step is a table such as {{ \"press\": \"1\" }}; found {}", show(value)));
        };
        let mut entries = table.iter();
        let (Some((word, argument)), None) = (entries.next(), entries.next()) else {
            let known = WORDS.join(", ");
            return Err(format!("a step does one thing: one of {known}; found {} of them", table.len()));
        };
        match word.as_str() {
            "press" => keys(argument).map(Self::Press),
            "speak" => speech(argument).map(Self::Speak),
            "wait_s" => seconds(argument, word).map(Self::WaitS),
            "record_s" => seconds(argument, word).map(Self::RecordS),
            "hangup" if argument == &Value::Bool(true) => Ok(Self::Hangup),
            "hangup" => Err(format!(
                "write {{ \"hangup\": true }}, or leave the step out where nobody hangs up; found {}",
                show(argument)
            )),
            "http" => reply(argument).map(Self::Http),
            "transfer" => transfer(argument).map(Self::Transfer),
            other => {
                let meant = nearest(other, WORDS.iter().copied()).map(|meant| format!("did you mean `{meant}`?"));
                let instead = meant.unwrap_or_else(|| format!("write one of {}", WORDS.join(", ")));
                Err(format!("`{}` is no step: {instead}", shorten(other)))
            }
        }
    }
}

fn keys(value: &Value) -> Result<String, String> {
    let fits = |keys: &&str| (1..=MAX_GATHER_DIGITS as usize).contains(&keys.len()) && keys.chars().all(is_key);
    value.as_str().filter(fits).map(str::to_owned).ok_or_else(|| {
        format!("`press` is 1 to {MAX_GATHER_DIGITS} keys of 0-9 * # A-D, such as \"12#\"; found {}", show(value))
    })
}

fn speech(value: &Value) -> Result<String, String> {
    value.as_str().filter(|text| text.len() <= MAX_TRANSCRIPT).map(str::to_owned).ok_or_else(|| {
        let instead = format!("`speak` is a text of at most {MAX_TRANSCRIPT} bytes, such as \"sales, please\"");
        format!("{instead}; \"\" is not understood; found {}", show(value))
    })
}

fn seconds(value: &Value, word: &str) -> Result<u32, String> {
    let seconds = value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| *n <= MAX_STEP_S);
    seconds
        .ok_or_else(|| format!("`{word}` is a whole number of seconds from 0 to {MAX_STEP_S}; found {}", show(value)))
}

fn transfer(value: &Value) -> Result<BridgeStatus, String> {
    let said = value.as_str().unwrap_or_default();
    if said == BridgeStatus::Canceled.as_str() {
        return Err(
            "a transfer is canceled by a caller who hangs up while it rings: write { \"transfer\": \"no-answer\" }, \
                    { \"wait_s\": 5 }, { \"hangup\": true }"
                .to_owned(),
        );
    }
    TRANSFER_ENDS.into_iter().find(|status| status.as_str() == said).ok_or_else(|| {
        let known: Vec<&str> = TRANSFER_ENDS.into_iter().map(BridgeStatus::as_str).collect();
        format!("`transfer` is how it ends, one of {}; found {}", known.join(", "), show(value))
    })
}

fn reply(value: &Value) -> Result<Reply, String> {
    let instead = "`http` is a web server's answer such as { \"status\": 200, \"body\": \"{}\" }, or { \"status\": null } \
                   where none comes";
    let wrong = |why: String| format!("{instead}: {why}");
    let Value::Object(table) = value else { return Err(wrong(format!("found {}", show(value)))) };
    if let Some(other) = table.keys().find(|word| !matches!(word.as_str(), "status" | "body")) {
        return Err(wrong(format!("`{}` means nothing here", shorten(other))));
    }
    let status = status(table).map_err(wrong)?;
    match table.get("body") {
        None => Ok(Reply { status, body: String::new() }),
        Some(_) if status.is_none() => Err(wrong("a body comes with a status".to_owned())),
        Some(Value::String(body)) => Ok(Reply { status, body: body.clone() }),
        Some(other) => Err(wrong(format!("`body` is a text (JSON in quotation marks); found {}", show(other)))),
    }
}

fn status(table: &Table) -> Result<Option<u16>, String> {
    let value = match table.get("status") {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    let status = value.as_u64().and_then(|n| u16::try_from(n).ok()).filter(|n| (200..=599).contains(n));
    status.map(Some).ok_or_else(|| format!("`status` is a whole number from 200 to 599; found {}", show(value)))
}
