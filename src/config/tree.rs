//! The configuration as a tree in which every value remembers where it was written, so that whatever is wrong with it
//! can be said with file and line. Knows nothing of what the keys mean.

use std::collections::BTreeMap;
use std::fmt;
use toml::de::{DeTable, DeValue};

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the file, on this line (1 for the first).
    Line(usize),
    /// In this environment variable.
    Env(String),
}

/// One thing that is wrong with the configuration, with what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The file, where there is one.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// What, in a sentence.
    pub message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Line(line) => write!(f, "{}:{line}: {}", self.file, self.message),
            Place::Env(name) => write!(f, "environment variable {name}: {}", self.message),
        }
    }
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct Node {
    /// Where.
    pub place: Place,
    /// What.
    pub value: Value,
}

/// TOML's values, as far as a configuration has a use for them.
#[derive(Clone, Debug)]
pub enum Value {
    /// A string.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A fraction.
    Float(f64),
    /// `true` or `false`.
    Bool(bool),
    /// `[…]`.
    List(Vec<Node>),
    /// A table, by key.
    Table(BTreeMap<String, Node>),
}

impl Value {
    /// In words, for a message.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "a string",
            Self::Integer(_) => "a number",
            Self::Float(_) => "a fraction",
            Self::Bool(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// The same value as JSON: `answer` is written in TOML with the words that the API takes in JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Text(text) => serde_json::Value::from(text.as_str()),
            Self::Integer(n) => serde_json::Value::from(*n),
            Self::Float(x) => serde_json::Value::from(*x),
            Self::Bool(b) => serde_json::Value::from(*b),
            Self::List(items) => items.iter().map(|item| item.value.to_json()).collect(),
            Self::Table(map) => map.iter().map(|(key, node)| (key.clone(), node.value.to_json())).collect(),
        }
    }
}

/// Reads TOML into a tree.
pub fn parse(file: &str, text: &str) -> Result<Node, Fault> {
    let lines = Lines(text);
    let table = DeTable::parse(text).map_err(|error| Fault {
        file: file.to_owned(),
        place: Place::Line(error.span().map_or(1, |span| lines.of(span.start))),
        message: format!("this is not TOML: {}", error.message()),
    })?;
    let place = Place::Line(1);
    lines.table(file, place, table.get_ref())
}

struct Lines<'a>(&'a str);

impl Lines<'_> {
    fn of(&self, offset: usize) -> usize {
        1 + self.0.bytes().take(offset).filter(|byte| *byte == b'\n').count()
    }

    fn table(&self, file: &str, place: Place, table: &DeTable<'_>) -> Result<Node, Fault> {
        let mut map = BTreeMap::new();
        for (key, value) in table.iter() {
            let place = Place::Line(self.of(key.span().start));
            map.insert(key.get_ref().to_string(), self.value(file, place, value.get_ref())?);
        }
        Ok(Node { place, value: Value::Table(map) })
    }

    fn value(&self, file: &str, place: Place, value: &DeValue<'_>) -> Result<Node, Fault> {
        let fault = |message: String| Fault { file: file.to_owned(), place: place.clone(), message };
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
                .map(Value::Integer)
                .map_err(|_| fault(format!("the number {} is out of range", digits.as_str())))?,
            DeValue::Float(digits) => digits
                .as_str()
                .parse()
                .map(Value::Float)
                .map_err(|_| fault(format!("{} is not a number", digits.as_str())))?,
            DeValue::Boolean(b) => Value::Bool(*b),
            DeValue::Datetime(_) => return Err(fault("no setting takes a date; put it in quotes".into())),
            DeValue::Array(items) => Value::List(
                items
                    .iter()
                    .map(|item| self.value(file, Place::Line(self.of(item.span().start)), item.get_ref()))
                    .collect::<Result<_, _>>()?,
            ),
            DeValue::Table(table) => return self.table(file, place, table),
        };
        Ok(Node { place, value })
    }
}

/// The prefix of environment variables that set configuration keys.
const ENV_PREFIX: &str = "TANDEM__";

/// Lays `TANDEM__SECTION__KEY=value` over the tree. A number as a part of the name picks from a list of tables
/// (`TANDEM__TRUNK__0__PASSWORD`). A value is read as TOML where it is TOML, as a plain string where it is not.
pub fn overlay(root: &mut Node, variables: impl Iterator<Item = (String, String)>) -> Result<(), Fault> {
    let mut variables: Vec<_> = variables.filter(|(name, _)| name.starts_with(ENV_PREFIX)).collect();
    variables.sort();
    for (name, text) in variables {
        let path: Vec<String> = name[ENV_PREFIX.len()..].split("__").map(str::to_lowercase).collect();
        let place = Place::Env(name);
        let node = from_env(&place, &text);
        insert(root, &path, node).map_err(|message| Fault { file: String::new(), place, message })?;
    }
    Ok(())
}

fn from_env(place: &Place, text: &str) -> Node {
    let wrapped = format!("v={text}");
    let parsed = DeTable::parse(&wrapped).ok().and_then(|table| {
        let value = table.get_ref().get("v")?;
        Lines(&wrapped).value("", place.clone(), value.get_ref()).ok()
    });
    let mut node = parsed.unwrap_or_else(|| Node { place: place.clone(), value: Value::Text(text.to_owned()) });
    relocate(&mut node, place);
    node
}

fn relocate(node: &mut Node, place: &Place) {
    node.place = place.clone();
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(|item| relocate(item, place)),
        Value::Table(map) => map.values_mut().for_each(|value| relocate(value, place)),
        Value::Text(_) | Value::Integer(_) | Value::Float(_) | Value::Bool(_) => {}
    }
}

fn insert(node: &mut Node, path: &[String], value: Node) -> Result<(), String> {
    let Some((first, rest)) = path.split_first() else {
        *node = value;
        return Ok(());
    };
    match &mut node.value {
        Value::Table(map) => {
            let empty = || Node { place: value.place.clone(), value: Value::Table(BTreeMap::new()) };
            insert(map.entry(first.clone()).or_insert_with(empty), rest, value)
        }
        Value::List(items) => {
            let count = items.len();
            let item = first.parse::<usize>().ok().and_then(|index| items.get_mut(index));
            let item =
                item.ok_or_else(|| format!("\"{first}\" is not a place in a list of {count} (counted from 0)"))?;
            insert(item, rest, value)
        }
        other => Err(format!("{} stands where a table is wanted", other.kind())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_the_line_of_a_syntax_error() {
        let fault = parse("t.toml", "[http]\nlisten = \n").unwrap_err();
        assert_eq!((fault.file.as_str(), fault.place), ("t.toml", Place::Line(2)));
    }

    #[test]
    fn the_environment_lies_over_the_file_also_inside_a_list() {
        let mut root = parse("t.toml", "[media]\nthreads = 1\n[[trunk]]\nname = \"a\"\n").unwrap();
        let set = [
            ("TANDEM__MEDIA__THREADS", "4"),
            ("TANDEM__TRUNK__0__PASSWORD", "p=4"),
            ("TANDEM__SIP__LISTEN", "[\"udp://x\"]"),
        ];
        overlay(&mut root, set.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))).unwrap();
        let json = root.value.to_json();
        assert_eq!(json["media"]["threads"], 4);
        assert_eq!(json["trunk"][0]["password"], "p=4");
        assert_eq!(json["sip"]["listen"][0], "udp://x");
    }
}
