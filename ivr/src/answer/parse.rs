//! From JSON to a program. Nothing here may panic or recurse deeper than [`MAX_DEPTH`], whatever the input holds.

use super::words::{LATER, VERBS, list, nearest, options};
use super::{AnswerError, Verb, bridge, documents, rooms, sound};
use crate::limits::{MAX_VERBS, MAX_WORD};
use crate::prompt::PromptName;
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

pub(crate) type Parsed<T> = Result<T, AnswerError>;
pub(crate) type Table = Map<String, Value>;

/// Characters of a wrong value that an error repeats.
const MAX_SHOWN: usize = 40;

/// Parses the outermost verb or verbs.
pub(crate) fn answer(value: &Value) -> Parsed<Vec<Verb>> {
    let verbs = Parser { verbs: 0 }.sequence(value, "answer", 1)?;
    if verbs.is_empty() {
        return wrong("answer", "a program has at least one verb: write one such as { \"hangup\": true }");
    }
    Ok(verbs)
}

/// True for a key of a telephone (RFC 4733 §3.2, events 0 to 15).
pub(crate) fn is_key(key: char) -> bool {
    matches!(key, '0'..='9' | '*' | '#' | 'A'..='D')
}

/// Counts the verbs of one program while it is read.
pub(super) struct Parser {
    verbs: usize,
}

impl Parser {
    pub(super) fn sequence(&mut self, value: &Value, path: &str, depth: usize) -> Parsed<Vec<Verb>> {
        match value {
            Value::Array(items) => {
                items.iter().enumerate().map(|(i, item)| self.verb(item, &format!("{path}[{i}]"), depth)).collect()
            }
            Value::Object(_) => Ok(vec![self.verb(value, path, depth)?]),
            other => wrong(
                path,
                format!(
                    "a verb is a table such as {{ \"play\": \"welcome\" }}, or an array of such tables; found {}",
                    show(other)
                ),
            ),
        }
    }

    fn verb(&mut self, value: &Value, path: &str, depth: usize) -> Parsed<Verb> {
        self.verbs += 1;
        if self.verbs > MAX_VERBS {
            return wrong(path, format!("a program has at most {MAX_VERBS} verbs, nested ones included"));
        }
        let Value::Object(table) = value else {
            return wrong(
                path,
                format!("a verb is a table such as {{ \"play\": \"welcome\" }}; found {}", show(value)),
            );
        };
        let (word, argument) = the_verb(table, path)?;
        only_options_of(word, table, path)?;
        let path = format!("{path}.{word}");
        match word {
            "play" => sound::play(argument, table, &path).map(Verb::Hear),
            "say" => sound::say(argument, table, &path).map(Verb::Hear),
            "pause" => sound::pause(argument, &path).map(Verb::Hear),
            "gather" => self.gather(argument, table, &path, depth).map(|gather| Verb::Gather(Box::new(gather))),
            "record" => rooms::record(argument, table, &path).map(|record| Verb::Record(Box::new(record))),
            "bridge" => bridge::parse(argument, table, &path).map(|bridge| Verb::Bridge(Box::new(bridge))),
            "conference" => rooms::conference(argument, table, &path).map(|room| Verb::Conference(Box::new(room))),
            "refer" => rooms::refer(argument, table, &path).map(Verb::Refer),
            "reject" => rooms::reject(argument, &path),
            "url" | "redirect" => documents::fetch(argument, table, &path).map(|fetch| Verb::Fetch(Box::new(fetch))),
            "twiml" => documents::twiml(argument, table, &path).map(Verb::Twiml),
            "flow" => documents::flow(argument, table, &path).map(Verb::Flow),
            "echo" => just_true(argument, &path).map(|()| Verb::Echo),
            _ => just_true(argument, &path).map(|()| Verb::Hangup),
        }
    }
}

/// The one verb in a table, or why there is none.
pub(crate) fn the_verb<'a>(table: &'a Table, path: &str) -> Parsed<(&'a str, &'a Value)> {
    let mut verbs = table.iter().filter(|(key, _)| VERBS.contains(&key.as_str()));
    match (verbs.next(), verbs.next()) {
        (Some((word, argument)), None) => Ok((word.as_str(), argument)),
        (Some((one, _)), Some((two, _))) => {
            wrong(path, format!("one verb to a table, here are `{one}` and `{two}`: write an array of two tables"))
        }
        (None, _) => no_verb(table, path),
    }
}

fn no_verb<T>(table: &Table, path: &str) -> Parsed<T> {
    if let Some(word) = table.keys().find(|key| LATER.contains(&key.as_str())) {
        return wrong(
            &format!("{path}.{word}"),
            format!("`{word}` is not built yet: this version runs {}", list(VERBS)),
        );
    }
    let known = || VERBS.iter().chain(LATER).copied();
    let meant = table.keys().find_map(|key| nearest(key, known()).map(|verb| (key, verb)));
    if let Some((word, verb)) = meant {
        return wrong(
            &format!("{path}.{}", shorten(word)),
            format!("`{}` is no verb: did you mean `{verb}`?", shorten(word)),
        );
    }
    wrong(path, format!("no verb in this table: write one of {}", list(VERBS)))
}

/// Refuses any key beside the verb that is no option of it.
pub(crate) fn only_options_of(verb: &str, table: &Table, path: &str) -> Parsed<()> {
    let known = options(verb);
    let Some(word) = table.keys().find(|key| *key != verb && !known.contains(&key.as_str())) else { return Ok(()) };
    let shown = shorten(word);
    let instead = match (nearest(word, known.iter().copied()), known) {
        (Some(option), _) => format!("did you mean `{option}`?"),
        (None, []) => "it has none".to_owned(),
        (None, known) => format!("it has {}", list(known)),
    };
    let later = if LATER.contains(&word.as_str()) { ", and a table holds one verb" } else { "" };
    wrong(&format!("{path}.{verb}.{shown}"), format!("`{shown}` is no option of `{verb}`{later}: {instead}"))
}

pub(crate) fn prompt(name: &Value, path: &str) -> Parsed<PromptName> {
    let Value::String(name) = name else {
        return wrong(path, format!("the name of a prompt is a string such as \"welcome\"; found {}", show(name)));
    };
    name.parse().map_err(|why: crate::PromptNameError| error(path, why.to_string()))
}

pub(crate) fn number(table: &Table, option: &str, path: &str, range: RangeInclusive<u32>, unsaid: u32) -> Parsed<u32> {
    let Some(value) = table.get(option) else { return Ok(unsaid) };
    let number = value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| range.contains(n));
    number.ok_or_else(|| {
        let (least, most) = range.into_inner();
        let endless = if option == "loop" { " (0: for ever)" } else { "" };
        let message = format!("a whole number from {least} to {most}{endless}; found {}", show(value));
        error(&format!("{path}.{option}"), message)
    })
}

/// A yes or no, or what stands in its place.
pub(crate) fn flag(table: &Table, option: &str, path: &str, unsaid: bool) -> Parsed<bool> {
    match table.get(option) {
        None => Ok(unsaid),
        Some(Value::Bool(said)) => Ok(*said),
        Some(other) => wrong(&format!("{path}.{option}"), format!("true or false; found {}", show(other))),
    }
}

/// A word or a line, where there is one.
pub(crate) fn text(table: &Table, option: &str, path: &str) -> Parsed<Option<String>> {
    match table.get(option) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(said)) if (1..=MAX_WORD).contains(&said.chars().count()) => Ok(Some(said.clone())),
        Some(other) => {
            wrong(&format!("{path}.{option}"), format!("a string of 1 to {MAX_WORD} characters; found {}", show(other)))
        }
    }
}

pub(crate) fn finish_key(table: &Table, path: &str) -> Parsed<Option<char>> {
    let Some(value) = table.get("finish_on") else { return Ok(Some('#')) };
    let keys = value.as_str().map(|keys| keys.chars().collect::<Vec<_>>());
    match keys.as_deref() {
        Some([]) => Ok(None),
        Some([key]) if is_key(*key) => Ok(Some(*key)),
        _ => wrong(
            &format!("{path}.finish_on"),
            format!("one key of 0-9 * # A-D, or \"\" for none; found {}", show(value)),
        ),
    }
}

pub(crate) fn just_true(argument: &Value, path: &str) -> Parsed<()> {
    match argument {
        Value::Bool(true) => Ok(()),
        other => wrong(path, format!("write true, or leave the verb out; found {}", show(other))),
    }
}

pub(crate) fn error(path: &str, message: impl Into<String>) -> AnswerError {
    AnswerError { path: path.to_owned(), message: message.into() }
}

pub(crate) fn wrong<T>(path: &str, message: impl Into<String>) -> Parsed<T> {
    Err(error(path, message))
}

/// A wrong value as an error repeats it: its JSON, cut short; tables and arrays by their kind.
pub(crate) fn show(value: &Value) -> String {
    match value {
        Value::Object(_) => "a table".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        scalar => shorten(&scalar.to_string()),
    }
}

pub(crate) fn shorten(text: &str) -> String {
    if text.chars().count() <= MAX_SHOWN {
        return text.to_owned();
    }
    text.chars().take(MAX_SHOWN).chain(['…']).collect()
}
