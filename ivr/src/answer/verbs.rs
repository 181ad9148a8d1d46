//! What the verbs say, as values: the same for JSON, TwiML and flows.

use super::{Branches, Sound};
use crate::http::Method;
use crate::limits::{DEFAULT_RECORD_S, DEFAULT_TIMEOUT_S, MAX_GATHER_DIGITS, MAX_MEMBERS};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use url::Url;

/// What is run when a verb is over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Then {
    /// The verb after it.
    #[default]
    Next,
    /// The document that this request brings.
    Ask(Action),
    /// What the flow says, to which the verb belongs.
    Flow,
}

/// A request that brings a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    /// Where.
    pub link: Link,
    /// How.
    pub method: Method,
}

/// Where a document leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// To itself.
    Current,
    /// To this URL.
    Url(Url),
    /// Nowhere: what is written there is no URL, for this reason. Following it is an application error.
    Broken(String),
}

/// `{ "gather": "menu", "max_digits": 1, "timeout_s": 5, "finish_on": "#", "attempts": 1, "on": { … } }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gather {
    /// What is heard while the caller may press already; any key stops all of it.
    pub prompts: Vec<Sound>,
    /// Whether keys are taken.
    pub keys: bool,
    /// What the recogniser is told; none: speech is not listened to.
    pub speech: Option<Speech>,
    /// The gather ends when this many digits have been pressed (1 to
    /// [`MAX_GATHER_DIGITS`](crate::limits::MAX_GATHER_DIGITS)). Not said: the longest digits of `on`.
    pub max_digits: u32,
    /// Seconds of patience, from the end of the prompt to the first digit and from each digit to the next.
    pub timeout_s: u32,
    /// The key that ends the gather and is no digit of it; none (`""`): every key is a digit.
    pub finish_on: Option<char>,
    /// How often it is asked, as long as nothing is entered. Pressing only the finish key enters nothing.
    pub attempts: u32,
    /// What is run next, by what was entered; where nothing matches, the verb after the gather is.
    pub on: Branches,
    /// What is asked for in place of `on`.
    pub then: Then,
    /// It is asked for also where nothing was entered.
    pub asks_when_empty: bool,
}

impl Default for Gather {
    fn default() -> Self {
        Self {
            prompts: Vec::new(),
            keys: true,
            speech: None,
            max_digits: MAX_GATHER_DIGITS,
            timeout_s: DEFAULT_TIMEOUT_S,
            finish_on: Some('#'),
            attempts: 1,
            on: Branches::default(),
            then: Then::Next,
            asks_when_empty: false,
        }
    }
}

/// How a gather listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Speech {
    /// A language tag such as `en-US`.
    pub language: String,
    /// Words that are likely, separated by commas; may be empty.
    pub hints: String,
    /// The recogniser's model.
    pub model: String,
    /// Whether a better model of the same name is wanted.
    pub enhanced: bool,
    /// Whether profanities are masked.
    pub profanity_filter: bool,
    /// Seconds of silence after which an utterance is over; none: the recogniser decides.
    pub silence_s: Option<u32>,
    /// Seconds that an utterance may last.
    pub max_s: u32,
    /// Whether speaking stops the prompts. Keys always do.
    pub barge_in: bool,
    /// Who is told of what is understood so far.
    pub partial: Option<Action>,
}

/// `{ "record": true, "max_s": 120, "timeout_s": 5, "finish_on": "#", "beep": true }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// What the recorder is told.
    pub options: RecordOptions,
    /// The keys that end it.
    pub finish_on: String,
    /// What is run next.
    pub then: Then,
    /// Who is told of the recording itself.
    pub callback: Option<Callback>,
}

/// What the recorder of one caller is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordOptions {
    /// Seconds of silence in what is received after which it ends; 0: never.
    pub silence_s: u32,
    /// Seconds after which it ends.
    pub max_s: u32,
    /// A tone is played before it begins.
    pub beep: bool,
    /// Silence at its beginning and end is cut off.
    pub trim: bool,
}

/// Every key of a telephone keypad: what ends a recording that does not say.
pub(crate) const ALL_KEYS: &str = "1234567890*#";

impl Default for Record {
    fn default() -> Self {
        let options = RecordOptions { silence_s: DEFAULT_TIMEOUT_S, max_s: DEFAULT_RECORD_S, beep: true, trim: true };
        Self { options, finish_on: ALL_KEYS.to_owned(), then: Then::Next, callback: None }
    }
}

/// Somebody who is told of events, and does not answer with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Callback {
    /// Where.
    pub url: Url,
    /// How.
    pub method: Method,
    /// Of which events, in the words of TWILIO.md §3.
    pub events: Vec<String>,
}

/// `{ "conference": "team", "muted": false }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conference {
    /// Its name, within the tenant.
    pub room: String,
    /// How the caller is in it.
    pub options: ConferenceOptions,
    /// Seconds after which the caller leaves; none: never.
    pub time_limit_s: Option<u32>,
    /// The caller leaves by pressing `*`.
    pub hangup_on_star: bool,
    /// What is run next.
    pub then: Then,
}

/// How a caller is in a conference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConferenceOptions {
    /// Is not heard.
    pub muted: bool,
    /// When a tone is played to all.
    pub beep: Beep,
    /// Its coming begins the conference.
    pub start_on_enter: bool,
    /// Its going ends it.
    pub end_on_exit: bool,
    /// What is heard until it begins.
    pub wait: Wait,
    /// Members that it takes.
    pub max_members: u32,
    /// It is recorded from its beginning.
    pub record: bool,
    /// Silence at the beginning and end of the recording is cut off.
    pub trim: bool,
    /// Is heard by the one with this sid only.
    pub coach: Option<String>,
    /// What this member is called in its events.
    pub label: Option<String>,
    /// Who is told of its events.
    pub callback: Option<Callback>,
    /// Who is told of its recording.
    pub recording_callback: Option<Callback>,
}

impl Default for ConferenceOptions {
    fn default() -> Self {
        Self {
            muted: false,
            beep: Beep::Both,
            start_on_enter: true,
            end_on_exit: false,
            wait: Wait::Music,
            max_members: MAX_MEMBERS,
            record: false,
            trim: true,
            coach: None,
            label: None,
            callback: None,
            recording_callback: None,
        }
    }
}

/// When a conference's tone is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Beep {
    /// When the member comes and goes.
    Both,
    /// When it comes.
    OnEnter,
    /// When it goes.
    OnExit,
    /// Never.
    Never,
}

/// What somebody hears who waits for a conference to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// The switch's own hold music.
    Music,
    /// Nothing.
    Silence,
    /// What this document says, run as [`Program::waiting`](crate::Program::waiting).
    Document {
        /// Where it is.
        url: Url,
        /// How it is asked for.
        method: Method,
    },
}

/// `{ "url": "https://…", "method": "POST", "fallback_url": "https://…" }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetch {
    /// Where the document is.
    pub action: Action,
    /// What is asked for where that fails, now and for the rest of the call.
    pub fallback: Option<(Url, Method)>,
}

/// `{ "refer": "sip:bob@example.com" }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refer {
    /// To whom the caller is referred: a SIP URI or a number.
    pub to: String,
    /// What is run next.
    pub then: Then,
}

/// `{ "flow": "voicemail", "with": { "box": "alice" } }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallFlow {
    /// Its name, within the tenant.
    pub name: String,
    /// Variables that it begins with.
    pub with: BTreeMap<String, String>,
}

/// A TwiML document that stands in a program: its text, and what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inline {
    /// As it was written.
    pub source: String,
    pub(crate) document: Arc<crate::twiml::Document>,
    /// What is asked for where a document of the call fails.
    pub fallback: Option<(Url, Method)>,
}
