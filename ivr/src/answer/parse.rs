//! From JSON to a program. Nothing here may panic or recurse deeper than [`MAX_DEPTH`], whatever the input holds.

use super::bridge;
use super::words::{LATER, VERBS, list, nearest, options};
use super::{AnswerError, Branches, Gather, Play, Verb};
use crate::limits::{
    DEFAULT_TIMEOUT_S, MAX_ATTEMPTS, MAX_BRANCHES, MAX_DEPTH, MAX_GATHER_DIGITS, MAX_LOOP, MAX_TIMEOUT_S, MAX_VERBS,
};
use crate::prompt::PromptName;
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

pub(super) type Parsed<T> = Result<T, AnswerError>;
pub(super) type Table = Map<String, Value>;

/// Characters of a wrong value that an error repeats.
const MAX_SHOWN: usize = 40;

/// Parses the outermost verb or verbs.
pub(super) fn answer(value: &Value) -> Parsed<Vec<Verb>> {
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
struct Parser {
    verbs: usize,
}

impl Parser {
    fn sequence(&mut self, value: &Value, path: &str, depth: usize) -> Parsed<Vec<Verb>> {
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
            "play" => play(argument, table, &path).map(Verb::Play),
            "gather" => self.gather(argument, table, &path, depth).map(Verb::Gather),
            "bridge" => bridge::parse(argument, table, &path).map(Verb::Bridge),
            "echo" => just_true(argument, &path).map(|()| Verb::Echo),
            _ => just_true(argument, &path).map(|()| Verb::Hangup),
        }
    }

    fn gather(&mut self, argument: &Value, table: &Table, path: &str, depth: usize) -> Parsed<Gather> {
        let prompt = match argument {
            Value::Bool(true) if table.contains_key("loop") => {
                return wrong(&format!("{path}.loop"), "`loop` repeats a prompt, and this gather names none");
            }
            Value::Bool(true) => None,
            name => Some(play(name, table, path)?),
        };
        let finish_on = finish_key(table, path)?;
        let on = self.branches(table, path, depth)?;
        let longest = on.digits.keys().map(String::len).max();
        let unsaid = longest.map_or(MAX_GATHER_DIGITS, |len| MAX_GATHER_DIGITS.min(len.try_into().unwrap_or(u32::MAX)));
        let max_digits = number(table, "max_digits", path, 1..=MAX_GATHER_DIGITS, unsaid)?;
        each_branch_can_be_reached(&on, max_digits, finish_on, path)?;
        Ok(Gather {
            prompt,
            max_digits,
            timeout_s: number(table, "timeout_s", path, 1..=MAX_TIMEOUT_S, DEFAULT_TIMEOUT_S)?,
            finish_on,
            attempts: number(table, "attempts", path, 1..=MAX_ATTEMPTS, 1)?,
            on,
        })
    }

    fn branches(&mut self, table: &Table, path: &str, depth: usize) -> Parsed<Branches> {
        let path = format!("{path}.on");
        let entries = match table.get("on") {
            None => return Ok(Branches::default()),
            Some(Value::Object(entries)) => entries,
            Some(other) => {
                return wrong(
                    &path,
                    format!(
                        "`on` is a table from what was entered to verbs, such as {{ \"1\": {{ \"hangup\": true }} }}; found {}",
                        show(other)
                    ),
                );
            }
        };
        if depth >= MAX_DEPTH {
            return wrong(&path, format!("gathers are nested at most {MAX_DEPTH} deep"));
        }
        if entries.len() > MAX_BRANCHES {
            return wrong(
                &path,
                format!("a gather has at most {MAX_BRANCHES} branches, this one has {}", entries.len()),
            );
        }
        let mut branches = Branches::default();
        for (entered, verbs) in entries {
            let path = format!("{path}.{}", shorten(entered));
            branch_name(entered, &path)?;
            let verbs = self.sequence(verbs, &path, depth + 1)?;
            match entered.as_str() {
                "none" => branches.none = Some(verbs),
                "other" => branches.other = Some(verbs),
                _ => drop(branches.digits.insert(entered.clone(), verbs)),
            }
        }
        Ok(branches)
    }
}

/// The one verb in a table, or why there is none.
fn the_verb<'a>(table: &'a Table, path: &str) -> Parsed<(&'a str, &'a Value)> {
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
fn only_options_of(verb: &str, table: &Table, path: &str) -> Parsed<()> {
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

fn play(name: &Value, table: &Table, path: &str) -> Parsed<Play> {
    Ok(Play { prompt: prompt(name, path)?, repeat: number(table, "loop", path, 0..=MAX_LOOP, 1)? })
}

pub(super) fn prompt(name: &Value, path: &str) -> Parsed<PromptName> {
    let Value::String(name) = name else {
        return wrong(path, format!("the name of a prompt is a string such as \"welcome\"; found {}", show(name)));
    };
    name.parse().map_err(|why: crate::PromptNameError| error(path, why.to_string()))
}

pub(super) fn number(table: &Table, option: &str, path: &str, range: RangeInclusive<u32>, unsaid: u32) -> Parsed<u32> {
    let Some(value) = table.get(option) else { return Ok(unsaid) };
    let number = value.as_u64().and_then(|n| u32::try_from(n).ok()).filter(|n| range.contains(n));
    number.ok_or_else(|| {
        let (least, most) = range.into_inner();
        let endless = if option == "loop" { " (0: for ever)" } else { "" };
        let message = format!("a whole number from {least} to {most}{endless}; found {}", show(value));
        error(&format!("{path}.{option}"), message)
    })
}

fn finish_key(table: &Table, path: &str) -> Parsed<Option<char>> {
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

fn just_true(argument: &Value, path: &str) -> Parsed<()> {
    match argument {
        Value::Bool(true) => Ok(()),
        other => wrong(path, format!("write true, or leave the verb out; found {}", show(other))),
    }
}

/// A branch is named by digits, `none` or `other`.
fn branch_name(entered: &str, path: &str) -> Parsed<()> {
    let keys = !entered.is_empty() && entered.chars().all(is_key);
    if keys || matches!(entered, "none" | "other") {
        return Ok(());
    }
    let instead = match nearest(entered, ["none", "other"]) {
        Some(word) => format!("did you mean `{word}`?"),
        None => "write the keys that lead here (0-9 * # A-D), `none` or `other`".to_owned(),
    };
    wrong(path, format!("`{}` is nothing a caller can enter: {instead}", shorten(entered)))
}

/// Refuses branches that no caller could reach.
fn each_branch_can_be_reached(on: &Branches, max_digits: u32, finish_on: Option<char>, path: &str) -> Parsed<()> {
    for digits in on.digits.keys() {
        let path = || format!("{path}.on.{}", shorten(digits));
        if digits.len() > max_digits as usize {
            return wrong(&path(), format!("has more digits than `max_digits` lets in, which is {max_digits}"));
        }
        if let Some(key) = finish_on.filter(|key| digits.contains(*key)) {
            return wrong(
                &path(),
                format!(
                    "\"{key}\" ends this gather, so it cannot be entered: set `finish_on` to another key or to \"\""
                ),
            );
        }
    }
    Ok(())
}

pub(super) fn error(path: &str, message: impl Into<String>) -> AnswerError {
    AnswerError { path: path.to_owned(), message: message.into() }
}

pub(super) fn wrong<T>(path: &str, message: impl Into<String>) -> Parsed<T> {
    Err(error(path, message))
}

/// A wrong value as an error repeats it: its JSON, cut short; tables and arrays by their kind.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Object(_) => "a table".to_owned(),
        Value::Array(_) => "an array".to_owned(),
        scalar => shorten(&scalar.to_string()),
    }
}

fn shorten(text: &str) -> String {
    if text.chars().count() <= MAX_SHOWN {
        return text.to_owned();
    }
    text.chars().take(MAX_SHOWN).chain(['…']).collect()
}
