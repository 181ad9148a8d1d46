//! One table of the configuration, read key by key: what is asked for is known, what is left over is a mistake.

use super::tree::{Fault, Node, Place, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The faults found so far: all of a file's mistakes are said at once.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    file: String,
    list: Rc<RefCell<Vec<Fault>>>,
}

impl Faults {
    /// No fault yet, in this file.
    pub fn new(file: &str) -> Self {
        Self { file: file.to_owned(), list: Rc::default() }
    }

    /// Notes one.
    pub fn add(&self, place: &Place, message: impl Into<String>) {
        let fault = Fault { file: self.file.clone(), place: place.clone(), message: message.into() };
        self.list.borrow_mut().push(fault);
    }

    /// All of them, in the order of the file.
    pub fn take(&self) -> Vec<Fault> {
        let mut list = self.list.take();
        list.sort_by_key(|fault| match &fault.place {
            Place::Line(line) => (*line, String::new()),
            Place::Env(name) => (usize::MAX, name.clone()),
        });
        list
    }
}

/// A value that was found, with its place for a later complaint.
#[derive(Clone, Debug)]
pub struct Found<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Place,
}

/// A table that is being read.
#[derive(Debug)]
pub struct Section {
    name: String,
    /// Where it begins.
    pub place: Place,
    left: BTreeMap<String, Node>,
    asked: Vec<&'static str>,
    faults: Faults,
}

impl Section {
    /// The root of a file.
    pub fn root(node: Node, faults: &Faults) -> Self {
        Self::of(String::new(), node, faults)
    }

    fn of(name: String, node: Node, faults: &Faults) -> Self {
        let Node { place, value } = node;
        let left = match value {
            Value::Table(map) => map,
            other => {
                faults.add(&place, format!("{name} is {}, and wants to be a table: [{name}]", other.kind()));
                BTreeMap::new()
            }
        };
        Self { name, place, left, asked: Vec::new(), faults: faults.clone() }
    }

    fn path(&self, key: &str) -> String {
        if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) }
    }

    fn take(&mut self, key: &'static str) -> Option<Node> {
        self.asked.push(key);
        self.left.remove(key)
    }

    fn typed<T>(&mut self, key: &'static str, wanted: &str, read: impl Fn(&Value) -> Option<T>) -> Option<Found<T>> {
        let node = self.take(key)?;
        let Some(value) = read(&node.value) else {
            self.faults.add(&node.place, format!("{} is {}; write {wanted}", self.path(key), node.value.kind()));
            return None;
        };
        Some(Found { value, place: node.place })
    }

    /// Where faults are noted, for after the section has been read.
    pub fn faults(&self) -> Faults {
        self.faults.clone()
    }

    /// Notes a fault at `place`.
    pub fn fault(&self, place: &Place, message: impl Into<String>) {
        self.faults.add(place, message);
    }

    /// How many faults there are by now: what follows from one need not be said too.
    pub fn faults_so_far(&self) -> usize {
        self.faults.list.borrow().len()
    }

    /// A string.
    pub fn text(&mut self, key: &'static str) -> Option<Found<String>> {
        self.typed(key, "a string in quotes", |value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        })
    }

    /// A string that must be there.
    pub fn required(&mut self, key: &'static str, example: &str) -> Option<Found<String>> {
        let missing = !self.left.contains_key(key);
        let found = self.text(key);
        if missing {
            let path = self.path(key);
            self.faults.add(&self.place, format!("{path} is missing; write {key} = \"{example}\""));
        }
        found
    }

    /// A string read by `parse`, which says what is wrong with it.
    pub fn parsed<T, E: std::fmt::Display>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Found<T>> {
        let found = self.text(key)?;
        self.read(key, found, parse)
    }

    /// As [`Section::parsed`], for a value already taken.
    pub fn read<T, E: std::fmt::Display>(
        &self,
        key: &str,
        found: Found<String>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Found<T>> {
        match parse(&found.value) {
            Ok(value) => Some(Found { value, place: found.place }),
            Err(error) => {
                self.faults.add(&found.place, format!("{} = \"{}\": {error}", self.path(key), found.value));
                None
            }
        }
    }

    /// A whole number within limits, or the default.
    pub fn number(&mut self, key: &'static str, range: std::ops::RangeInclusive<u64>, default: u64) -> u64 {
        let found = self.typed(key, "a whole number", |value| match value {
            Value::Integer(n) => Some(*n),
            _ => None,
        });
        let Some(found) = found else { return default };
        match u64::try_from(found.value).ok().filter(|n| range.contains(n)) {
            Some(n) => n,
            None => {
                let path = self.path(key);
                let (low, high) = (range.start(), range.end());
                self.faults.add(&found.place, format!("{path} = {}; write a number from {low} to {high}", found.value));
                default
            }
        }
    }

    /// A whole number within limits, where it is there.
    pub fn optional_number(&mut self, key: &'static str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let low = *range.start();
        self.left.contains_key(key).then(|| self.number(key, range, low))
    }

    /// `true` or `false`, or the default.
    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        self.typed(key, "true or false", |value| match value {
            Value::Bool(b) => Some(*b),
            _ => None,
        })
        .map_or(default, |found| found.value)
    }

    /// A list of strings, each read by `parse`; `None` where the key is not there.
    pub fn list<T, E: std::fmt::Display>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<Vec<T>> {
        let found = self.typed(key, "a list of strings: [\"…\", \"…\"]", |value| match value {
            Value::List(items) => Some(items.clone()),
            _ => None,
        })?;
        let mut list = Vec::new();
        for item in found.value {
            match item.value {
                Value::Text(text) => {
                    let found = Found { value: text, place: item.place };
                    list.extend(self.read(key, found, &parse).map(|found| found.value));
                }
                other => {
                    let path = self.path(key);
                    self.faults.add(&item.place, format!("{path} holds {}; write strings in quotes", other.kind()));
                }
            }
        }
        Some(list)
    }

    /// A value of any form, as JSON.
    pub fn json(&mut self, key: &'static str) -> Option<Found<serde_json::Value>> {
        let node = self.take(key)?;
        Some(Found { value: node.value.to_json(), place: node.place })
    }

    /// The table `[key]`; an empty one where it is not there.
    pub fn section(&mut self, key: &'static str) -> Self {
        let node = self.take(key);
        self.child(key, node)
    }

    /// The table `[key]`, where it is there.
    pub fn optional_section(&mut self, key: &'static str) -> Option<Self> {
        let node = self.take(key)?;
        Some(self.child(key, Some(node)))
    }

    /// The tables `[[key]]`.
    pub fn sections(&mut self, key: &'static str) -> Vec<Self> {
        let Some(node) = self.take(key) else { return Vec::new() };
        match node.value {
            Value::List(items) => items.into_iter().map(|item| self.child(key, Some(item))).collect(),
            other => {
                self.faults.add(&node.place, format!("{key} is {}; write [[{key}]]", other.kind()));
                Vec::new()
            }
        }
    }

    fn child(&self, key: &str, node: Option<Node>) -> Self {
        let node = node.unwrap_or(Node { place: self.place.clone(), value: Value::Table(BTreeMap::new()) });
        Self::of(self.path(key), node, &self.faults)
    }

    /// Names what nobody asked for, with the nearest key that somebody did.
    pub fn finish(self) {
        self.finish_ref();
    }

    /// As [`Section::finish`], for a section whose place is still needed.
    pub fn finish_ref(&self) {
        for (key, node) in &self.left {
            let path = self.path(key);
            let hint = match nearest(key, &self.asked) {
                Some(known) => format!("did you mean \"{known}\"?"),
                None => format!("known here: {}", self.asked.join(", ")),
            };
            self.faults.add(&node.place, format!("unknown key {path}; {hint}"));
        }
    }
}

/// The word of `known` that `word` was most likely meant to be: at most a third of its letters away.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let closest = known.iter().map(|known| (strsim::damerau_levenshtein(word, known), *known)).min();
    closest.filter(|(distance, _)| *distance <= 1 + word.chars().count() / 3).map(|(_, known)| known)
}
