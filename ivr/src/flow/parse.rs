//! From JSON to a flow. Everything that is wrong is told, each with its path: whoever writes a flow mends it once.

use super::circles::circles;
use super::hours::zone;
use super::states::{Edge, State};
use super::template::Template;
use super::{Flow, FlowError, version_of};
use crate::answer::nearest;
use crate::answer::parse::{Table, shorten, show};
use crate::limits::{MAX_FLOW, MAX_FLOW_ERRORS, MAX_STATES, MAX_VALUE, MAX_VARIABLES, MAX_WORD};
use jiff::tz::TimeZone;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// The words of a flow's outermost table.
const WORDS: &[&str] = &["start", "states", "variables", "zone", "description"];

/// Reads one flow, and remembers what is wrong with it.
pub(super) struct Reader {
    pub(super) zone: TimeZone,
    pub(super) variables: BTreeSet<String>,
    /// Variables that some state sets.
    set: BTreeSet<String>,
    states: Vec<String>,
    errors: Vec<FlowError>,
    unsaid: usize,
}

pub(super) fn flow(value: &Value) -> Result<Flow, Vec<FlowError>> {
    let mut reader = Reader {
        zone: TimeZone::UTC,
        variables: BTreeSet::new(),
        set: BTreeSet::new(),
        states: Vec::new(),
        errors: Vec::new(),
        unsaid: 0,
    };
    let flow = reader.flow(value);
    if reader.unsaid > 0 {
        let message = format!("and {} more", reader.unsaid);
        reader.errors.push(FlowError { path: "flow".to_owned(), message });
    }
    match flow {
        Some(flow) if reader.errors.is_empty() => Ok(flow),
        _ => Err(reader.errors),
    }
}

impl Reader {
    pub(super) fn wrong(&mut self, path: &str, message: impl Into<String>) {
        if self.errors.len() >= MAX_FLOW_ERRORS {
            self.unsaid += 1;
            return;
        }
        self.errors.push(FlowError { path: path.to_owned(), message: message.into() });
    }

    /// What another reader has made of a part, or what is wrong with it.
    pub(super) fn keep<T>(&mut self, read: Result<T, crate::AnswerError>) -> Option<T> {
        read.map_err(|why| self.wrong(&why.path, why.message)).ok()
    }

    fn flow(&mut self, value: &Value) -> Option<Flow> {
        let Value::Object(table) = value else {
            self.wrong("flow", format!("a flow is a table with `start` and `states`; found {}", show(value)));
            return None;
        };
        if value.to_string().len() > MAX_FLOW {
            self.wrong("flow", format!("a flow has at most {MAX_FLOW} bytes"));
            return None;
        }
        self.only(table, WORDS, "flow");
        self.zone(table);
        let variables = self.given(table);
        let Some(Value::Object(states)) =
            table.get("states").filter(|states| states.as_object().is_some_and(|s| !s.is_empty()))
        else {
            self.wrong("flow.states", "a table from names to states, such as { \"bye\": { \"hangup\": true } }");
            return None;
        };
        if states.len() > MAX_STATES {
            self.wrong("flow.states", format!("a flow has at most {MAX_STATES} states, this one has {}", states.len()));
            return None;
        }
        self.states = states.keys().cloned().collect();
        self.variables.extend(variables.keys().cloned());
        self.set_anywhere(states);
        let start = self.edge(table, "start", "flow");
        if !table.contains_key("start") {
            self.wrong("flow.start", "the name of the state that a call begins with");
        }
        let read: Vec<State> = states.iter().filter_map(|(name, state)| self.one(name, state)).collect();
        let whole = read.len() == states.len();
        whole.then(|| Flow {
            version: version_of(value),
            source: value.clone(),
            start: start.unwrap_or_default(),
            names: self.states.clone(),
            warnings: circles(&self.states, &read),
            states: read,
            variables,
        })
    }

    fn one(&mut self, name: &str, state: &Value) -> Option<State> {
        let path = format!("flow.states.{}", shorten(name));
        if name.is_empty() || name.chars().count() > MAX_WORD {
            self.wrong(&path, format!("a state's name has 1 to {MAX_WORD} characters"));
        }
        match state {
            Value::Object(table) => self.state(table, &path),
            other => {
                self.wrong(&path, format!("a state is a table such as {{ \"hangup\": true }}; found {}", show(other)));
                None
            }
        }
    }

    fn zone(&mut self, table: &Table) {
        match table.get("zone").map(|name| (name, name.as_str().map(zone))) {
            None => {}
            Some((_, Some(Ok(zone)))) => self.zone = zone,
            Some((_, Some(Err(why)))) => self.wrong("flow.zone", why),
            Some((other, None)) => self.wrong("flow.zone", format!("a zone's name; found {}", show(other))),
        }
    }

    /// `variables`: those that the flow begins with.
    fn given(&mut self, table: &Table) -> BTreeMap<String, String> {
        let mut given = BTreeMap::new();
        let entries = match table.get("variables") {
            None => return given,
            Some(Value::Object(entries)) if entries.len() <= MAX_VARIABLES => entries,
            Some(Value::Object(_)) => {
                self.wrong("flow.variables", format!("at most {MAX_VARIABLES} variables"));
                return given;
            }
            Some(other) => {
                self.wrong("flow.variables", format!("a table of names and texts; found {}", show(other)));
                return given;
            }
        };
        for (name, value) in entries {
            let path = format!("flow.variables.{}", shorten(name));
            self.name(name, &path);
            match value {
                Value::String(text) if text.len() <= MAX_VALUE => drop(given.insert(name.clone(), text.clone())),
                other => self.wrong(&path, format!("a text of at most {MAX_VALUE} bytes; found {}", show(other))),
            }
        }
        given
    }

    /// A variable's name.
    pub(super) fn name(&mut self, name: &str, path: &str) {
        let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !plain || !(1..=64).contains(&name.len()) {
            self.wrong(path, format!("a variable is named by 1 to 64 of A-Z a-z 0-9 _, not {:?}", shorten(name)));
        }
    }

    /// Every variable that some state sets may be used in all of them.
    fn set_anywhere(&mut self, states: &Table) {
        for state in states.values().filter_map(Value::as_object) {
            if let Some(into) = state.get("into").and_then(Value::as_str) {
                self.set.insert(into.to_owned());
            }
            if let Some(set) = state.get("set").and_then(Value::as_object) {
                self.set.extend(set.keys().cloned());
            }
        }
        self.variables.extend(self.set.iter().cloned());
        if self.variables.len() > MAX_VARIABLES {
            self.wrong("flow.states", format!("a flow has at most {MAX_VARIABLES} variables"));
        }
    }

    /// True for a variable that the flow begins with and no state sets.
    pub(super) fn is_the_owners(&self, name: &str) -> bool {
        self.variables.contains(name) && !self.set.contains(name)
    }

    /// Refuses words that a table does not have.
    pub(super) fn only(&mut self, table: &Table, known: &[&str], path: &str) {
        for word in table.keys().filter(|word| !known.contains(&word.as_str())) {
            let meant = nearest(word, known.iter().copied()).map(|meant| format!("did you mean `{meant}`?"));
            let instead = meant.unwrap_or_else(|| format!("here may stand {}", known.join(", ")));
            self.wrong(
                &format!("{path}.{}", shorten(word)),
                format!("`{}` means nothing here: {instead}", shorten(word)),
            );
        }
    }

    /// Where an entry leads; nothing said is the end of the flow.
    pub(super) fn edge(&mut self, table: &Table, word: &str, path: &str) -> Edge {
        let to = table.get(word)?;
        self.leads(to, &format!("{path}.{word}"))
    }

    pub(super) fn leads(&mut self, to: &Value, path: &str) -> Edge {
        let Value::String(name) = to else {
            if !to.is_null() {
                self.wrong(path, format!("the name of a state; found {}", show(to)));
            }
            return None;
        };
        let found = self.states.iter().position(|state| state == name);
        if found.is_none() {
            let meant = nearest(name, self.states.iter().map(String::as_str));
            let meant = meant.map(|meant| format!(": did you mean `{meant}`?")).unwrap_or_default();
            self.wrong(path, format!("there is no state `{}`{meant}", shorten(name)));
        }
        found
    }

    /// A text with variables.
    pub(super) fn template(&mut self, value: &Value, path: &str) -> Option<Template> {
        let Value::String(text) = value else {
            self.wrong(path, format!("a text such as \"Hello {{{{from}}}}\"; found {}", show(value)));
            return None;
        };
        if text.len() > MAX_VALUE {
            self.wrong(path, format!("a text has at most {MAX_VALUE} bytes"));
            return None;
        }
        Template::parse(text, &self.variables).map_err(|why| self.wrong(path, why)).ok()
    }

    /// A table of names and texts with variables.
    pub(super) fn templates(&mut self, table: &Table, word: &str, path: &str) -> Vec<(String, Template)> {
        let path = format!("{path}.{word}");
        match table.get(word) {
            None => Vec::new(),
            Some(Value::Object(entries)) if entries.len() <= MAX_VARIABLES => {
                let entries = entries.iter();
                let each = entries.map(|(name, value)| {
                    let text = self.template(value, &format!("{path}.{}", shorten(name)));
                    (name.clone(), text.unwrap_or_default())
                });
                each.collect()
            }
            Some(other) => {
                self.wrong(&path, format!("a table of at most {MAX_VARIABLES} names and texts; found {}", show(other)));
                Vec::new()
            }
        }
    }
}
