//! `bridge`: who is called to be joined with the caller, and how (DESIGN.md §5). What an address means, and who may call
//! it, is the switch's to say.

use super::documents::action;
use super::parse::{Parsed, Table, error, flag, number, prompt, show, wrong};
use super::target::target;
use super::{Callback, MachineDetection, Then, write};
use crate::http::Method;
use crate::limits::{DEFAULT_RING_S, MAX_RING_S, MAX_TALK_S, MAX_TARGET_ADDRESS, MAX_TARGETS};
use crate::prompt::PromptName;
use serde::Serialize;
use serde::ser::SerializeMap;
use serde_json::Value;
use url::Url;

/// `{ "bridge": ["alice", "+15551234567"], "mode": "sequential", "timeout_s": 20 }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bridge {
    /// Who is called: 1 to [`MAX_TARGETS`].
    pub targets: Vec<Target>,
    /// All at once, or one after the other.
    pub mode: Mode,
    /// What the called see as their caller; without it, the caller's own number.
    pub caller_id: Option<String>,
    /// What a caller who is answered already hears while the called ring, over and over.
    pub ringback: PromptName,
    /// Seconds after which it ends, from the answer of the called; none: never.
    pub time_limit_s: Option<u32>,
    /// The caller ends it by pressing `*`, and the caller's program goes on.
    pub hangup_on_star: bool,
    /// A call that is not answered yet rings on, and is answered when the called answers; false: it is answered first.
    pub answer_on_bridge: bool,
    /// How it is recorded.
    pub record: Option<RecordCall>,
    /// What is run next.
    pub then: Then,
    /// Who answers a REFER that the called sends: the URL of a document, and how it is asked for.
    pub on_refer: Option<(Url, Method)>,
}

/// How a bridge is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordCall {
    /// From when on.
    pub from: RecordFrom,
    /// Each side in a channel of its own.
    pub dual: bool,
    /// `inbound`, `outbound` or `both`.
    pub track: String,
    /// Silence at its beginning and end is cut off.
    pub trim: bool,
    /// Who is told of the recording.
    pub callback: Option<Callback>,
}

/// Since when a bridge is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordFrom {
    /// The called rings.
    Ringing,
    /// The called has answered.
    Answer,
}

/// One who is called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Target {
    /// A number, the name of a registered user, a SIP URI, or the sid of a live call of the tenant.
    pub to: String,
    /// How long it may ring, in seconds, the wait for a trunk's permit included.
    pub timeout_s: u32,
    /// The document that is run on the called before both are joined, as
    /// [`Program::screening`](crate::Program::screening).
    #[serde(skip)]
    pub screening: Option<(Url, Method)>,
    /// Keys that are sent once it has answered, with `w` for half a second of silence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_digits: Option<String>,
    /// Who is told of its progress ([`callbacks::status`](crate::callbacks::status)).
    #[serde(skip)]
    pub callback: Option<Callback>,
    /// How it is found out who has answered; nobody waits for it.
    #[serde(skip)]
    pub machine: Option<Box<MachineDetection>>,
    /// Credentials for a SIP target that challenges.
    #[serde(skip)]
    pub credentials: Option<(String, String)>,
    /// Headers of its INVITE, `X-` and `User-to-User` alone.
    #[serde(skip)]
    pub headers: Vec<(String, String)>,
}

impl Target {
    /// Somebody who is called, with nothing else said.
    #[must_use]
    pub fn new(to: impl Into<String>, timeout_s: u32) -> Self {
        Self { to: to.into(), timeout_s, ..Self::default() }
    }
}

/// In what order the targets of a [`Bridge`] are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// All ring; the first to answer has the call.
    Simultaneous,
    /// The next rings when the one before has not answered.
    Sequential,
}

/// The prompt that rings where none is named.
pub const RINGBACK: &str = "ringback";

pub(super) fn parse(argument: &Value, table: &Table, path: &str) -> Parsed<Bridge> {
    let unsaid = number(table, "timeout_s", path, 1..=MAX_RING_S, DEFAULT_RING_S)?;
    Ok(Bridge {
        targets: targets(argument, unsaid, path)?,
        mode: mode(table, path)?,
        caller_id: caller_id(table, path)?,
        ringback: ringback(table, path)?,
        time_limit_s: limit(table, path)?,
        hangup_on_star: flag(table, "hangup_on_star", path, false)?,
        answer_on_bridge: flag(table, "answer_on_bridge", path, true)?,
        record: flag(table, "recorded", path, false)?.then(RecordCall::plain),
        then: action(table, path)?.map_or(Then::Next, Then::Ask),
        on_refer: None,
    })
}

impl RecordCall {
    /// Both sides in one channel, from the answer on.
    fn plain() -> Self {
        Self { from: RecordFrom::Answer, dual: false, track: "both".to_owned(), trim: false, callback: None }
    }
}

/// `time_limit_s`, where it is said.
pub(super) fn limit(table: &Table, path: &str) -> Parsed<Option<u32>> {
    let seconds = number(table, "time_limit_s", path, 1..=MAX_TALK_S, MAX_TALK_S)?;
    Ok(table.contains_key("time_limit_s").then_some(seconds))
}

fn targets(argument: &Value, timeout_s: u32, path: &str) -> Parsed<Vec<Target>> {
    let targets = match argument {
        Value::Array(many) => {
            let each = many.iter().enumerate().map(|(nth, one)| target(one, timeout_s, &format!("{path}[{nth}]")));
            each.take(MAX_TARGETS + 1).collect::<Parsed<Vec<_>>>()?
        }
        one => vec![target(one, timeout_s, path)?],
    };
    match targets.len() {
        0 => wrong(path, "nobody is called: write a number, a user or a SIP URI"),
        n if n > MAX_TARGETS => wrong(path, format!("a bridge calls at most {MAX_TARGETS} targets")),
        _ => Ok(targets),
    }
}

pub(crate) fn address(text: &str, path: &str) -> Parsed<String> {
    let speaks = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | ',');
    if !text.is_empty() && text.len() <= MAX_TARGET_ADDRESS && text.chars().all(speaks) {
        return Ok(text.to_owned());
    }
    let shown = show(&Value::from(text));
    wrong(
        path,
        format!(
            "a number (+15551234567), a user (alice) or a SIP URI of at most {MAX_TARGET_ADDRESS} characters; found {shown}"
        ),
    )
}

fn mode(table: &Table, path: &str) -> Parsed<Mode> {
    match table.get("mode").map(|value| (value, value.as_str())) {
        None | Some((_, Some("simultaneous"))) => Ok(Mode::Simultaneous),
        Some((_, Some("sequential"))) => Ok(Mode::Sequential),
        Some((other, _)) => {
            let message =
                format!("`simultaneous` (all ring) or `sequential` (one after the other); found {}", show(other));
            Err(error(&format!("{path}.mode"), message))
        }
    }
}

fn caller_id(table: &Table, path: &str) -> Parsed<Option<String>> {
    let path = format!("{path}.caller_id");
    match table.get("caller_id") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(number)) => address(number, &path).map(Some),
        Some(other) => wrong(&path, format!("a number of yours such as \"+15551234567\"; found {}", show(other))),
    }
}

fn ringback(table: &Table, path: &str) -> Parsed<PromptName> {
    let unsaid = Value::from(RINGBACK);
    prompt(table.get("ringback").unwrap_or(&unsaid), &format!("{path}.ringback"))
}

pub(super) fn write<M: SerializeMap>(table: &mut M, bridge: &Bridge) -> Result<(), M::Error> {
    table.serialize_entry("bridge", &bridge.targets)?;
    table.serialize_entry("mode", &bridge.mode)?;
    table.serialize_entry("caller_id", &bridge.caller_id)?;
    table.serialize_entry("ringback", &bridge.ringback)?;
    write::optional(table, "time_limit_s", bridge.time_limit_s.as_ref())?;
    write::optional(table, "hangup_on_star", bridge.hangup_on_star.then_some(&true))?;
    write::optional(table, "answer_on_bridge", (!bridge.answer_on_bridge).then_some(&false))?;
    write::optional(table, "recorded", bridge.record.is_some().then_some(&true))?;
    write::then(table, &bridge.then)
}
