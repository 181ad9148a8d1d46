//! One state after the other: what each may say.

use super::parse::Reader;
use super::states::{Ask, Heard, State};
use crate::answer::parse::{Table, finish_key, number, shorten, show};
use crate::answer::{Sound, gather, is_key, sound};
use crate::limits::{DEFAULT_TIMEOUT_S, MAX_ATTEMPTS, MAX_BRANCHES, MAX_GATHER_DIGITS, MAX_TIMEOUT_S};
use serde_json::Value;
use std::collections::BTreeMap;

/// The words that say what a state does.
const KINDS: &[&str] = &[
    "play",
    "say",
    "pause",
    "hear",
    "menu",
    "collect",
    "set",
    "branch",
    "hours",
    "http",
    "transfer",
    "record",
    "conference",
    "flow",
    "hangup",
];

/// What a `menu` may say.
const MENU: &[&str] =
    &["menu", "on", "words", "max_digits", "timeout_s", "finish_on", "attempts", "input", "language", "hints"];

/// What a `collect` may say.
const COLLECT: &[&str] = &[
    "collect",
    "into",
    "next",
    "none",
    "max_digits",
    "timeout_s",
    "finish_on",
    "attempts",
    "input",
    "language",
    "hints",
];

impl Reader {
    pub(super) fn state(&mut self, table: &Table, path: &str) -> Option<State> {
        let mut kinds = KINDS.iter().copied().filter(|kind| table.contains_key(*kind));
        let kind = match (kinds.next(), kinds.next()) {
            (Some(kind), None) => kind,
            (Some(one), Some(two)) => {
                self.wrong(path, format!("a state does one thing, here are `{one}` and `{two}`: make two of it"));
                return None;
            }
            (None, _) => {
                let meant = table.keys().find_map(|word| crate::answer::nearest(word, KINDS.iter().copied()));
                let instead = meant
                    .map_or_else(|| format!("write one of {}", KINDS.join(", ")), |m| format!("did you mean `{m}`?"));
                self.wrong(path, format!("this state does nothing: {instead}"));
                return None;
            }
        };
        let argument = table.get(kind)?;
        match kind {
            "play" | "say" | "pause" | "hear" => self.hear(kind, argument, table, path),
            "menu" => self.menu(argument, table, path),
            "collect" => self.collect(argument, table, path),
            "set" => self.set(table, path),
            "branch" => self.branch(argument, table, path),
            "hours" => self.hours(argument, table, path),
            "http" => self.http(argument, table, path),
            "transfer" => self.transfer(argument, table, path),
            "record" => self.record(argument, table, path),
            "conference" => self.conference(argument, table, path),
            "flow" => self.sub_flow(argument, table, path),
            _ => {
                self.only(table, &["hangup"], path);
                if argument != &Value::Bool(true) {
                    self.wrong(&format!("{path}.hangup"), format!("write true; found {}", show(argument)));
                }
                Some(State::Hangup)
            }
        }
    }

    fn hear(&mut self, kind: &str, argument: &Value, table: &Table, path: &str) -> Option<State> {
        self.only(table, &[kind, "next", "loop", "voice", "language"], path);
        let inner = format!("{path}.{kind}");
        let sounds = match (kind, argument) {
            ("hear", Value::Array(items)) => self.heard(items, &inner)?,
            ("hear", other) => {
                self.wrong(
                    &inner,
                    format!("an array of sounds such as {{ \"say\": \"Hello\" }}; found {}", show(other)),
                );
                return None;
            }
            ("play", name) => vec![self.one_sound(sound::play(name, table, &inner), &inner)?],
            ("say", words) => vec![self.one_sound(sound::say(words, table, &inner), &inner)?],
            (_, seconds) => vec![self.one_sound(sound::pause(seconds, &inner), &inner)?],
        };
        Some(State::Hear { sounds, next: self.edge(table, "next", path) })
    }

    fn heard(&mut self, items: &[Value], path: &str) -> Option<Vec<Heard>> {
        let sounds = self.keep(sound::sounds(items, path))?;
        let each = sounds.into_iter().enumerate();
        each.map(|(nth, sound)| self.one_sound(Ok(sound), &format!("{path}[{nth}].say"))).collect()
    }

    fn one_sound(&mut self, sound: Result<Sound, crate::AnswerError>, path: &str) -> Option<Heard> {
        let sound = self.keep(sound)?;
        let words = match &sound {
            Sound::Say(say) => Some(self.template(&Value::from(say.text.as_str()), path)?),
            _ => None,
        };
        Some(Heard { sound, words })
    }

    /// What `menu` and `collect` ask.
    fn ask(&mut self, argument: &Value, table: &Table, path: &str, longest: u32) -> Option<Ask> {
        let inner = path.to_owned();
        let prompts = match argument {
            Value::Bool(true) => Vec::new(),
            Value::Array(items) => self.heard(items, &inner)?,
            name => vec![self.one_sound(sound::play(name, &Table::new(), &inner), &inner)?],
        };
        let max_digits = self.keep(number(table, "max_digits", path, 1..=MAX_GATHER_DIGITS, longest))?;
        let timeout_s = self.keep(number(table, "timeout_s", path, 1..=MAX_TIMEOUT_S, DEFAULT_TIMEOUT_S))?;
        let attempts = self.keep(number(table, "attempts", path, 1..=MAX_ATTEMPTS, 1))?;
        let finish_on = self.keep(finish_key(table, path))?;
        Some(Ask { prompts, max_digits, timeout_s, finish_on, attempts, input: (true, None) })
    }

    fn menu(&mut self, argument: &Value, table: &Table, path: &str) -> Option<State> {
        self.only(table, MENU, path);
        let mut on = self.edges(table, path, |entered| {
            matches!(entered, "none" | "other") || (!entered.is_empty() && entered.chars().all(is_key))
        });
        if on.is_empty() {
            self.wrong(&format!("{path}.on"), "a menu leads somewhere: { \"1\": \"sales\", \"none\": \"bye\" }");
        }
        let none = on.remove("none").flatten();
        let other = on.remove("other").flatten();
        let longest = on.keys().map(String::len).max().unwrap_or(1);
        let longest = u32::try_from(longest).unwrap_or(MAX_GATHER_DIGITS).min(MAX_GATHER_DIGITS);
        let mut input = self.keep(gather::input(table, &format!("{path}.menu")))?;
        let words = self.phrases(table, path, &on, &mut input);
        let ask = Ask { input, ..self.ask(argument, table, &format!("{path}.menu"), longest)? };
        for entered in on.keys() {
            let place = format!("{path}.on.{}", shorten(entered));
            if entered.len() > ask.max_digits as usize {
                self.wrong(&place, format!("has more digits than `max_digits` lets in, which is {}", ask.max_digits));
            } else if let Some(key) = ask.finish_on.filter(|key| entered.contains(*key)) {
                self.wrong(&place, format!("\"{key}\" ends this menu: set `finish_on` to another key or to \"\""));
            }
        }
        Some(State::Menu { ask, on, words, none, other })
    }

    fn collect(&mut self, argument: &Value, table: &Table, path: &str) -> Option<State> {
        self.only(table, COLLECT, path);
        let into = self.into(table, path);
        if into.is_none() && !table.contains_key("into") {
            self.wrong(&format!("{path}.into"), "the variable that keeps what is entered");
        }
        let input = self.keep(gather::input(table, &format!("{path}.collect")))?;
        let ask = Ask { input, ..self.ask(argument, table, &format!("{path}.collect"), MAX_GATHER_DIGITS)? };
        let (next, none) = (self.edge(table, "next", path), self.edge(table, "none", path));
        Some(State::Collect { ask, into: into?, next, none })
    }

    pub(super) fn into(&mut self, table: &Table, path: &str) -> Option<String> {
        let path = format!("{path}.into");
        match table.get("into")? {
            Value::String(name) => {
                self.name(name, &path);
                Some(name.clone())
            }
            other => {
                self.wrong(&path, format!("the name of a variable; found {}", show(other)));
                None
            }
        }
    }

    /// `on`: where what has happened leads.
    pub(super) fn edges(
        &mut self,
        table: &Table,
        path: &str,
        may: impl Fn(&str) -> bool,
    ) -> BTreeMap<String, Option<usize>> {
        let path = format!("{path}.on");
        let mut on = BTreeMap::new();
        let entries = match table.get("on") {
            None => return on,
            Some(Value::Object(entries)) if entries.len() <= MAX_BRANCHES => entries,
            Some(other) => {
                self.wrong(
                    &path,
                    format!("a table of at most {MAX_BRANCHES} entries to states; found {}", show(other)),
                );
                return on;
            }
        };
        for (entered, to) in entries {
            let place = format!("{path}.{}", shorten(entered));
            if !may(entered) {
                self.wrong(&place, format!("`{}` never happens here", shorten(entered)));
            }
            let edge = self.leads(to, &place);
            on.insert(entered.clone(), edge);
        }
        on
    }

    fn set(&mut self, table: &Table, path: &str) -> Option<State> {
        self.only(table, &["set", "next"], path);
        let values = self.templates(table, "set", path);
        for (name, _) in &values {
            self.name(name, &format!("{path}.set.{}", shorten(name)));
        }
        Some(State::Set { values, next: self.edge(table, "next", path) })
    }
}
