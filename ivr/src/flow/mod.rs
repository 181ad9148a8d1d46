//! Flows: named documents of states, with menus, variables, time of day, web requests, transfers and flows in flows.
//!
//! A [`Flow`] exists only as the result of [`Flow::parse`], so whatever runs one finds every state that another names,
//! every variable that a text uses, and every limit kept. It runs on the program machine: each state is a verb, and what
//! the verb brings says which state is next. Its version is the digest of its content: a call keeps the one it began
//! with.

mod circles;
mod hours;
mod logic;
mod parse;
mod reach;
mod read;
mod run;
mod spoken;
mod states;
mod template;

pub(crate) use run::{Move, Running};

use crate::signature::sha256_hex;
use serde_json::Value;
use states::State;
use std::collections::BTreeMap;

/// The flow that takes messages: the product's own.
pub const VOICEMAIL: &str = include_str!("../../flows/voicemail.json");

/// A validated flow.
#[derive(Clone, Debug)]
pub struct Flow {
    version: String,
    source: Value,
    start: usize,
    names: Vec<String>,
    states: Vec<State>,
    variables: BTreeMap<String, String>,
    warnings: Vec<FlowError>,
}

/// One thing that is wrong with a flow, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[error("{path}: {message}")]
pub struct FlowError {
    /// The place: `flow.states.menu.on.1`.
    pub path: String,
    /// What is wrong with it and what would be right.
    pub message: String,
}

impl Flow {
    /// Reads a flow.
    ///
    /// # Errors
    /// Everything that is wrong with it, in the order of the document, up to
    /// [`MAX_FLOW_ERRORS`](crate::limits::MAX_FLOW_ERRORS).
    pub fn parse(value: &Value) -> Result<Self, Vec<FlowError>> {
        parse::flow(value)
    }

    /// The digest of its content, in 64 hexadecimal digits: the same for the same words, in whatever order they stand.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// As it was uploaded.
    #[must_use]
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// What in it will end a call, though it is allowed: states that lead back to themselves and leave the caller no moment.
    #[must_use]
    pub fn warnings(&self) -> &[FlowError] {
        &self.warnings
    }

    /// Every prompt that it may play, each once.
    #[must_use]
    pub fn prompts(&self) -> Vec<&str> {
        let mut named: Vec<&str> = Vec::new();
        for prompt in self.states.iter().flat_map(State::prompts) {
            if !named.contains(&prompt) {
                named.push(prompt);
            }
        }
        named
    }

    /// Every flow that it may run, each once.
    #[must_use]
    pub fn flows(&self) -> Vec<&str> {
        let mut named: Vec<&str> = Vec::new();
        for state in &self.states {
            if let State::Flow { name, .. } = state
                && !named.contains(&name.as_str())
            {
                named.push(name);
            }
        }
        named
    }
}

impl PartialEq for Flow {
    fn eq(&self, other: &Self) -> bool {
        self.version == other.version
    }
}

impl Eq for Flow {}

/// The digest of a document whose tables are sorted.
fn version_of(value: &Value) -> String {
    let mut text = String::new();
    canonical(value, &mut text);
    sha256_hex(text.as_bytes())
}

fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(table) => {
            let sorted: BTreeMap<&String, &Value> = table.iter().collect();
            out.push('{');
            for (key, value) in sorted {
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}
