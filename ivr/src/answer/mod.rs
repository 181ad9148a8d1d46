//! A validated call program: what `answer` says in the configuration, in a request body and in a flow.
//!
//! An [`Answer`] exists only as the result of [`Answer::parse`], so whatever runs one finds every limit kept and every
//! prompt named well. It says nothing about whether a prompt exists: that is asked with [`Answer::prompts`].

mod bridge;
mod parse;
mod words;
mod write;

pub use bridge::{Bridge, Mode, RINGBACK, Target};
pub(crate) use parse::is_key;

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
    /// Play a prompt to its end.
    Play(Play),
    /// Collect digits, while a prompt plays and after it.
    Gather(Gather),
    /// Call others, and join the caller with the one who answers.
    Bridge(Bridge),
    /// Send the caller's audio back, until the caller hangs up.
    Echo,
    /// End the call.
    Hangup,
}

/// `{ "play": "welcome", "loop": 1 }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Play {
    /// Which prompt.
    pub prompt: PromptName,
    /// How often, in a row; 0: for ever. At most [`MAX_LOOP`](crate::limits::MAX_LOOP).
    pub repeat: u32,
}

/// `{ "gather": "menu", "max_digits": 1, "timeout_s": 5, "finish_on": "#", "attempts": 1, "on": { … } }`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gather {
    /// What is played while the caller may press already, and how often (0: for ever); any key stops it.
    pub prompt: Option<Play>,
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

    /// Takes the branch that what was entered leads to.
    pub(crate) fn take(mut self, entered: &str) -> Option<Vec<Verb>> {
        if entered.is_empty() { self.none } else { self.digits.remove(entered).or(self.other) }
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
}

fn collect_prompts<'a>(verbs: &'a [Verb], named: &mut Vec<&'a str>) {
    for verb in verbs {
        let prompt = match verb {
            Verb::Play(play) => Some(&play.prompt),
            Verb::Gather(gather) => gather.prompt.as_ref().map(|play| &play.prompt),
            Verb::Bridge(bridge) => Some(&bridge.ringback),
            Verb::Echo | Verb::Hangup => None,
        };
        if let Some(name) = prompt.map(PromptName::as_str)
            && !named.contains(&name)
        {
            named.push(name);
        }
        if let Verb::Gather(gather) = verb {
            gather.on.iter().for_each(|(_, branch)| collect_prompts(branch, named));
        }
    }
}
