//! A validated call program: what `answer` says in the configuration, in a request body and in a flow.
//!
//! An [`Answer`] exists only as the result of [`Answer::parse`], so whatever runs one finds every limit kept and every
//! prompt named well. It says nothing about whether a prompt exists: that is asked with [`Answer::prompts`].

pub(crate) mod bridge;
pub(crate) mod documents;
pub(crate) mod gather;
pub(crate) mod machine;
pub(crate) mod parse;
mod rooms;
pub(crate) mod sound;
mod target;
mod verbs;
mod words;
mod write;

pub use bridge::{Bridge, Mode, RINGBACK, RecordCall, RecordFrom, Target};
pub use machine::MachineDetection;
pub(crate) use parse::is_key;
pub use sound::{Play, Say, Sound};
pub use target::are_sent;
pub(crate) use verbs::ALL_KEYS;
pub use verbs::{
    Action, Beep, CallFlow, Callback, Conference, ConferenceOptions, Fetch, Gather, Inline, Link, Record,
    RecordOptions, Refer, Speech, Then, Wait,
};
pub(crate) use words::nearest;

use crate::prompt::PromptName;
use serde_json::Value;
use std::collections::BTreeMap;

/// A call program: verbs that are run in order; after the last one the call is hung up. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    verbs: Vec<Verb>,
}

/// Where a program is wrong, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct AnswerError {
    /// The place: `answer[1].gather.max_digits`.
    pub path: String,
    /// What is wrong with it and what would be right.
    pub message: String,
}

/// One step of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Play, say, be silent, or send keys.
    Hear(Sound),
    /// Collect digits or speech, while prompts play and after them.
    Gather(Box<Gather>),
    /// Record the caller.
    Record(Box<Record>),
    /// Call others, and join the caller with the one who answers.
    Bridge(Box<Bridge>),
    /// Join a conference.
    Conference(Box<Conference>),
    /// Ask for a TwiML document and run it in the place of this program.
    Fetch(Box<Fetch>),
    /// Run a TwiML document in the place of this program.
    Twiml(Inline),
    /// Run a flow, and then the next verb.
    Flow(CallFlow),
    /// Refer the caller to somebody else (RFC 3515).
    Refer(Refer),
    /// Do not take the call; once it is answered, end it.
    Reject {
        /// What its INVITE is answered with: 400 to 699.
        status: u16,
    },
    /// Send the caller's audio back, until the caller hangs up.
    Echo,
    /// End the call.
    Hangup,
}

/// The `on` of a [`Gather`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branches {
    /// By the digits entered, all of them.
    pub digits: BTreeMap<String, Vec<Verb>>,
    /// When nothing was entered in any attempt.
    pub none: Option<Vec<Verb>>,
    /// When what was entered has no branch of its own.
    pub other: Option<Vec<Verb>>,
}

impl Branches {
    /// All branches, in the order in which they are written out.
    fn iter(&self) -> impl Iterator<Item = (&str, &Vec<Verb>)> {
        let digits = self.digits.iter().map(|(digits, verbs)| (digits.as_str(), verbs));
        digits
            .chain(self.none.iter().map(|verbs| ("none", verbs)))
            .chain(self.other.iter().map(|verbs| ("other", verbs)))
    }

    /// Takes the branch that what was entered leads to; what was only said leads to `other`.
    pub(crate) fn take(mut self, entered: &str, said: bool) -> Option<Vec<Verb>> {
        match (entered, said) {
            ("", false) => self.none,
            ("", true) => self.other,
            (entered, _) => self.digits.remove(entered).or(self.other),
        }
    }
}

impl Answer {
    /// Reads a program from JSON (or from TOML turned into JSON: the words are the same).
    ///
    /// # Errors
    /// Whatever is wrong first, with its path.
    pub fn parse(value: &Value) -> Result<Self, AnswerError> {
        parse::answer(value).map(|verbs| Self { verbs })
    }

    /// The outermost verbs, in order.
    #[must_use]
    pub fn verbs(&self) -> &[Verb] {
        &self.verbs
    }

    /// A program of these verbs, which are known to be within every limit.
    pub(crate) fn of(verbs: Vec<Verb>) -> Self {
        Self { verbs }
    }

    /// Hands out the outermost verbs.
    pub(crate) fn into_verbs(self) -> Vec<Verb> {
        self.verbs
    }

    /// Every prompt that the program may play, each once, in the order of the program.
    #[must_use]
    pub fn prompts(&self) -> Vec<&str> {
        let mut named = Vec::new();
        collect_prompts(&self.verbs, &mut named);
        named
    }

    /// Every flow that the program may go on to, by name.
    #[must_use]
    pub fn flows(&self) -> Vec<&str> {
        let mut named = Vec::new();
        collect_flows(&self.verbs, &mut named);
        named
    }
}

fn collect_flows<'a>(verbs: &'a [Verb], named: &mut Vec<&'a str>) {
    for verb in verbs {
        match verb {
            Verb::Flow(flow) => named.push(&flow.name),
            Verb::Gather(gather) => gather.on.iter().for_each(|(_, branch)| collect_flows(branch, named)),
            _ => {}
        }
    }
}

fn collect_prompts<'a>(verbs: &'a [Verb], named: &mut Vec<&'a str>) {
    for verb in verbs {
        let prompts: Vec<&PromptName> = match verb {
            Verb::Hear(sound) => sound.prompt().into_iter().collect(),
            Verb::Gather(gather) => gather.prompts.iter().filter_map(Sound::prompt).collect(),
            Verb::Bridge(bridge) => vec![&bridge.ringback],
            _ => Vec::new(),
        };
        for name in prompts.into_iter().map(PromptName::as_str) {
            if !named.contains(&name) {
                named.push(name);
            }
        }
        match verb {
            Verb::Gather(gather) => gather.on.iter().for_each(|(_, branch)| collect_prompts(branch, named)),
            Verb::Twiml(inline) => collect_prompts(&inline.document.verbs, named),
            _ => {}
        }
    }
}
