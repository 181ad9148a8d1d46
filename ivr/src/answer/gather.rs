//! `gather`: what is asked, and where what was entered leads.

use super::documents::action;
use super::parse::{Parsed, Parser, Table, finish_key, flag, number, shorten, show, text, wrong};
use super::words::nearest;
use super::{Branches, Gather, Sound, Speech, Then, is_key, sound, write};
use crate::limits::{
    DEFAULT_TIMEOUT_S, MAX_ATTEMPTS, MAX_BRANCHES, MAX_DEPTH, MAX_GATHER_DIGITS, MAX_SPEECH_S, MAX_TIMEOUT_S,
};
use serde::ser::SerializeMap;
use serde_json::Value;

impl Parser {
    pub(super) fn gather(&mut self, argument: &Value, table: &Table, path: &str, depth: usize) -> Parsed<Gather> {
        let prompts = match argument {
            Value::Bool(true) | Value::Array(_) if table.contains_key("loop") => {
                return wrong(&format!("{path}.loop"), "`loop` repeats a prompt, and this gather names none");
            }
            Value::Bool(true) => Vec::new(),
            Value::Array(items) => sound::sounds(items, path)?,
            name => vec![sound::play(name, table, path)?],
        };
        let (keys, speech) = input(table, path)?;
        let finish_on = finish_key(table, path)?;
        let on = self.branches(table, path, depth)?;
        let longest = on.digits.keys().map(String::len).max();
        let unsaid = longest.map_or(MAX_GATHER_DIGITS, |len| MAX_GATHER_DIGITS.min(len.try_into().unwrap_or(u32::MAX)));
        let max_digits = number(table, "max_digits", path, 1..=MAX_GATHER_DIGITS, unsaid)?;
        each_branch_can_be_reached(&on, max_digits, finish_on, path)?;
        Ok(Gather {
            prompts,
            keys,
            speech,
            max_digits,
            timeout_s: number(table, "timeout_s", path, 1..=MAX_TIMEOUT_S, DEFAULT_TIMEOUT_S)?,
            finish_on,
            attempts: number(table, "attempts", path, 1..=MAX_ATTEMPTS, 1)?,
            on,
            then: action(table, path)?.map_or(Then::Next, Then::Ask),
            asks_when_empty: flag(table, "action_on_empty", path, false)?,
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

/// Whether keys are taken, and how speech is listened to.
pub(crate) fn input(table: &Table, path: &str) -> Parsed<(bool, Option<Speech>)> {
    let (keys, speaks) = match table.get("input").map(|value| (value, value.as_str())) {
        None | Some((_, Some("keys"))) => (true, false),
        Some((_, Some("speech"))) => (false, true),
        Some((_, Some("both"))) => (true, true),
        Some((other, _)) => {
            return wrong(&format!("{path}.input"), format!("`keys`, `speech` or `both`; found {}", show(other)));
        }
    };
    let speech = Speech {
        language: text(table, "language", path)?.unwrap_or_else(|| "en-US".to_owned()),
        hints: text(table, "hints", path)?.unwrap_or_default(),
        model: "default".to_owned(),
        enhanced: false,
        profanity_filter: true,
        silence_s: None,
        max_s: MAX_SPEECH_S,
        barge_in: true,
        partial: None,
    };
    Ok((keys, speaks.then_some(speech)))
}

/// Writes every entry of a gather's table.
pub(super) fn write<M: SerializeMap>(table: &mut M, gather: &Gather) -> Result<(), M::Error> {
    match gather.prompts.as_slice() {
        [] => table.serialize_entry("gather", &true)?,
        [Sound::Prompt(play)] => sound::write_play(table, "gather", play)?,
        sounds => table.serialize_entry("gather", sounds)?,
    }
    table.serialize_entry("max_digits", &gather.max_digits)?;
    table.serialize_entry("timeout_s", &gather.timeout_s)?;
    table.serialize_entry("finish_on", &gather.finish_on.map(String::from).unwrap_or_default())?;
    table.serialize_entry("attempts", &gather.attempts)?;
    table.serialize_entry("on", &gather.on)?;
    if let Some(speech) = &gather.speech {
        table.serialize_entry("input", if gather.keys { "both" } else { "speech" })?;
        table.serialize_entry("language", &speech.language)?;
        write::optional(table, "hints", Some(&speech.hints).filter(|hints| !hints.is_empty()))?;
    }
    write::then(table, &gather.then)?;
    if gather.asks_when_empty {
        table.serialize_entry("action_on_empty", &true)?;
    }
    Ok(())
}
