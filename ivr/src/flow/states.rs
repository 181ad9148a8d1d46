//! What a state of a flow says.

use super::hours::Hours;
use super::spoken::Phrase;
use super::template::Template;
use crate::answer::{Mode, RecordOptions, Sound, Speech};
use crate::http::Method;
use crate::prompt::PromptName;
use std::collections::BTreeMap;

/// The place of a state; none: the end of the flow.
pub(super) type Edge = Option<usize>;

/// One state.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum State {
    /// Sounds, one after the other.
    Hear { sounds: Vec<Heard>, next: Edge },
    /// A question whose answer is one of its choices: by a key, or by words that stand for one.
    Menu { ask: Ask, on: BTreeMap<String, Edge>, words: Vec<Phrase>, none: Edge, other: Edge },
    /// A question whose answer is kept.
    Collect { ask: Ask, into: String, next: Edge, none: Edge },
    /// Variables.
    Set { values: Vec<(String, Template)>, next: Edge },
    /// The first test that holds.
    Branch { tests: Vec<(Test, Edge)>, otherwise: Edge },
    /// Time of day.
    Hours { hours: Box<Hours>, open: Edge, closed: Edge },
    /// A web request.
    Http { ask: Box<Asking>, into: Option<String>, on: BTreeMap<String, Edge>, next: Edge },
    /// Others are called.
    Transfer { to: Vec<Template>, call: Calling, on: BTreeMap<String, Edge>, next: Edge },
    /// A message.
    Record { options: RecordOptions, finish_on: String, next: Edge, empty: Edge },
    /// A conference.
    Conference { room: Template, next: Edge },
    /// A flow in this one.
    Flow { name: String, with: Vec<(String, Template)>, next: Edge },
    /// The end of the call.
    Hangup,
}

/// A sound whose words may have variables.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Heard {
    pub(super) sound: Sound,
    pub(super) words: Option<Template>,
}

/// A question.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ask {
    pub(super) prompts: Vec<Heard>,
    pub(super) max_digits: u32,
    pub(super) timeout_s: u32,
    pub(super) finish_on: Option<char>,
    pub(super) attempts: u32,
    /// Whether keys are taken, and how speech is listened to.
    pub(super) input: (bool, Option<Speech>),
}

/// A web request.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Asking {
    pub(super) url: Template,
    pub(super) method: Method,
    pub(super) body: Sent,
    pub(super) timeout_s: u32,
}

/// What a web request carries.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Sent {
    Form(Vec<(String, Template)>),
    Json(Vec<(String, Template)>),
}

/// How others are called.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Calling {
    pub(super) timeout_s: u32,
    pub(super) mode: Mode,
    pub(super) caller_id: Option<Template>,
}

/// A question about a variable.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Test {
    pub(super) path: Vec<String>,
    pub(super) is: Is,
}

/// What a variable is compared with.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Is {
    Equal(Template),
    In(Vec<String>),
    Begins(String),
    Empty(bool),
    Less(f64),
    Greater(f64),
}

impl State {
    /// True for a state that has others do something.
    pub(super) const fn reaches_others(&self) -> bool {
        matches!(
            self,
            Self::Http { .. }
                | Self::Transfer { .. }
                | Self::Record { .. }
                | Self::Conference { .. }
                | Self::Flow { .. }
        )
    }

    /// The prompts that it may play.
    pub(super) fn prompts(&self) -> Vec<&str> {
        let sounds = match self {
            Self::Hear { sounds, .. } => sounds,
            Self::Menu { ask, .. } | Self::Collect { ask, .. } => &ask.prompts,
            _ => return Vec::new(),
        };
        let named = sounds.iter().filter_map(|heard| match &heard.sound {
            Sound::Prompt(play) => Some(&play.prompt),
            _ => None,
        });
        named.map(PromptName::as_str).collect()
    }
}
