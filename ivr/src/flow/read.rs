//! One state after the other: what each may say.

use super::hours::{Hours, Open, days, time, zone};
use super::parse::Reader;
use super::states::{Ask, Asking, Calling, Heard, Is, Sent, State, Test};
use super::template::{Template, check};
use crate::answer::bridge::address;
use crate::answer::documents::is_flow_name;
use crate::answer::parse::{Table, finish_key, flag, number, shorten, show};
use crate::answer::{ALL_KEYS, Mode, RecordOptions, Sound, is_key, sound};
use crate::http::Method;
use crate::limits::{
    DEFAULT_RING_S, DEFAULT_TIMEOUT_S, MAX_ATTEMPTS, MAX_BRANCHES, MAX_GATHER_DIGITS, MAX_RING_S, MAX_TALK_S,
    MAX_TARGETS, MAX_TIMEOUT_S,
};
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

/// Seconds that a web request of a flow may take, where it does not say.
const DEFAULT_HTTP_S: u32 = 10;

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
            "record" => self.record(table, path),
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
        Some(Ask { prompts, max_digits, timeout_s, finish_on, attempts })
    }

    fn menu(&mut self, argument: &Value, table: &Table, path: &str) -> Option<State> {
        let known = ["menu", "on", "max_digits", "timeout_s", "finish_on", "attempts"];
        self.only(table, &known, path);
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
        let ask = self.ask(argument, table, &format!("{path}.menu"), longest)?;
        for entered in on.keys() {
            let place = format!("{path}.on.{}", shorten(entered));
            if entered.len() > ask.max_digits as usize {
                self.wrong(&place, format!("has more digits than `max_digits` lets in, which is {}", ask.max_digits));
            } else if let Some(key) = ask.finish_on.filter(|key| entered.contains(*key)) {
                self.wrong(&place, format!("\"{key}\" ends this menu: set `finish_on` to another key or to \"\""));
            }
        }
        Some(State::Menu { ask, on, none, other })
    }

    fn collect(&mut self, argument: &Value, table: &Table, path: &str) -> Option<State> {
        let known = ["collect", "into", "next", "none", "max_digits", "timeout_s", "finish_on", "attempts"];
        self.only(table, &known, path);
        let into = self.into(table, path);
        if into.is_none() && !table.contains_key("into") {
            self.wrong(&format!("{path}.into"), "the variable that keeps what is entered");
        }
        let ask = self.ask(argument, table, &format!("{path}.collect"), MAX_GATHER_DIGITS)?;
        let (next, none) = (self.edge(table, "next", path), self.edge(table, "none", path));
        Some(State::Collect { ask, into: into?, next, none })
    }

    fn into(&mut self, table: &Table, path: &str) -> Option<String> {
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
    fn edges(&mut self, table: &Table, path: &str, may: impl Fn(&str) -> bool) -> BTreeMap<String, Option<usize>> {
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

    fn branch(&mut self, argument: &Value, table: &Table, path: &str) -> Option<State> {
        self.only(table, &["branch", "else"], path);
        let Value::Array(items) = argument else {
            self.wrong(&format!("{path}.branch"), format!("an array of tests; found {}", show(argument)));
            return None;
        };
        if items.is_empty() || items.len() > MAX_BRANCHES {
            self.wrong(&format!("{path}.branch"), format!("1 to {MAX_BRANCHES} tests, these are {}", items.len()));
        }
        let tests = items.iter().take(MAX_BRANCHES).enumerate();
        let tests = tests.filter_map(|(nth, item)| self.test(item, &format!("{path}.branch[{nth}]"))).collect();
        Some(State::Branch { tests, otherwise: self.edge(table, "else", path) })
    }

    fn test(&mut self, item: &Value, path: &str) -> Option<(Test, Option<usize>)> {
        let words = ["equals", "in", "begins", "empty", "less", "greater"];
        let Value::Object(table) = item else {
            self.wrong(path, "a test is a table such as { \"var\": \"pin\", \"equals\": \"1234\", \"next\": \"in\" }");
            return None;
        };
        self.only(table, &[&words[..], &["var", "next"]].concat(), path);
        let path_of: Vec<String> =
            table.get("var").and_then(Value::as_str).unwrap_or_default().split('.').map(str::to_owned).collect();
        if let Err(why) = check(&path_of, &self.variables) {
            self.wrong(&format!("{path}.var"), why);
        }
        let mut said = words.iter().copied().filter(|word| table.contains_key(*word));
        let (Some(word), None) = (said.next(), said.next()) else {
            self.wrong(path, format!("one comparison of {}", words.join(", ")));
            return None;
        };
        let value = table.get(word)?;
        let place = format!("{path}.{word}");
        let texts = |value: &Value| -> Option<Vec<String>> {
            value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect()
        };
        let is = match word {
            "equals" => self.template(value, &place).map(Is::Equal),
            "in" => texts(value).filter(|texts| texts.len() <= MAX_BRANCHES).map(Is::In),
            "begins" => value.as_str().map(|text| Is::Begins(text.to_owned())),
            "empty" => value.as_bool().map(Is::Empty),
            "less" => value.as_f64().map(Is::Less),
            _ => value.as_f64().map(Is::Greater),
        };
        if is.is_none() && word != "equals" {
            self.wrong(&place, format!("`{word}` compares with something else; found {}", show(value)));
        }
        let next = self.edge(table, "next", path);
        Some((Test { path: path_of, is: is? }, next))
    }

    fn hours(&mut self, argument: &Value, table: &Table, path: &str) -> Option<State> {
        self.only(table, &["hours", "open", "closed", "zone", "except"], path);
        let inner = format!("{path}.hours");
        let Value::Array(items) = argument else {
            self.wrong(
                &inner,
                format!(
                    "an array such as [{{ \"days\": \"mon-fri\", \"from\": \"09:00\", \"to\": \"17:00\" }}]; found {}",
                    show(argument)
                ),
            );
            return None;
        };
        let items = items.iter().take(MAX_BRANCHES).enumerate();
        let spans = items.filter_map(|(nth, item)| self.span(item, &format!("{inner}[{nth}]"))).collect();
        let place = match table
            .get("zone")
            .map(|name| name.as_str().map_or_else(|| Err(format!("a zone's name; found {}", show(name))), zone))
        {
            None => self.zone.clone(),
            Some(Ok(zone)) => zone,
            Some(Err(why)) => {
                self.wrong(&format!("{path}.zone"), why);
                return None;
            }
        };
        let except = self.dates(table, path);
        let (open, closed) = (self.edge(table, "open", path), self.edge(table, "closed", path));
        Some(State::Hours { hours: Box::new(Hours { zone: place, spans, except }), open, closed })
    }

    fn span(&mut self, item: &Value, path: &str) -> Option<Open> {
        let Value::Object(table) = item else {
            self.wrong(path, "a table with `days`, `from` and `to`");
            return None;
        };
        self.only(table, &["days", "from", "to"], path);
        let said = |word: &str| table.get(word).and_then(Value::as_str);
        let days = match table.get("days") {
            None => days("mon-sun"),
            Some(text) => text.as_str().and_then(days),
        };
        if days.is_none() {
            self.wrong(
                &format!("{path}.days"),
                "days are mon, tue, wed, thu, fri, sat, sun, or a range such as mon-fri",
            );
        }
        let (from, to) = (said("from").and_then(time), said("to").and_then(time));
        if from.is_none() {
            self.wrong(&format!("{path}.from"), "a time such as \"09:00\"");
        }
        if to.is_none() && said("to") != Some("24:00") {
            self.wrong(&format!("{path}.to"), "a time such as \"17:00\"; midnight at the day's end is \"24:00\"");
        }
        Some(Open { days: days?, from: from?, to })
    }

    fn dates(&mut self, table: &Table, path: &str) -> Vec<jiff::civil::Date> {
        let Some(value) = table.get("except") else { return Vec::new() };
        let items = value.as_array().filter(|items| items.len() <= 366);
        let dates =
            items.and_then(|items| items.iter().map(|day| day.as_str()?.parse().ok()).collect::<Option<Vec<_>>>());
        dates.unwrap_or_else(|| {
            self.wrong(&format!("{path}.except"), "an array of at most 366 days such as \"2026-12-25\"");
            Vec::new()
        })
    }

    fn http(&mut self, argument: &Value, table: &Table, path: &str) -> Option<State> {
        let known = ["http", "method", "form", "json", "timeout_s", "into", "on", "next"];
        self.only(table, &known, path);
        let url = self.url(argument, &format!("{path}.http"));
        let method = match table.get("method").map(|value| (value, value.as_str())) {
            None | Some((_, Some("POST"))) => Method::Post,
            Some((_, Some("GET"))) => Method::Get,
            Some((other, _)) => {
                self.wrong(&format!("{path}.method"), format!("\"GET\" or \"POST\"; found {}", show(other)));
                Method::Post
            }
        };
        let body = match (table.contains_key("json"), table.contains_key("form")) {
            (true, true) => {
                self.wrong(path, "`json` or `form`, not both");
                return None;
            }
            (true, false) => Sent::Json(self.templates(table, "json", path)),
            (false, _) => Sent::Form(self.templates(table, "form", path)),
        };
        if method == Method::Get && matches!(body, Sent::Json(_)) {
            self.wrong(
                &format!("{path}.json"),
                "a GET carries no body: write `form`, which becomes its query, or POST",
            );
        }
        let timeout_s = self.keep(number(table, "timeout_s", path, 1..=15, DEFAULT_HTTP_S))?;
        let into = self.into(table, path);
        let on = self.edges(table, path, |when| {
            let class = matches!(when, "2xx" | "3xx" | "4xx" | "5xx" | "failed" | "other");
            class || when.parse::<u16>().is_ok_and(|status| (200..=599).contains(&status))
        });
        let next = self.edge(table, "next", path);
        Some(State::Http { ask: Box::new(Asking { url: url?, method, body, timeout_s }), into, on, next })
    }

    /// A URL whose scheme and host are written out, or one that begins with a variable that only the flow's owner sets:
    /// what a caller enters may not choose the server.
    fn url(&mut self, value: &Value, path: &str) -> Option<Template> {
        let text = value.as_str().unwrap_or_default();
        let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        let host = rest.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
        let written = host.is_some_and(|host| !host.is_empty() && !host.contains("{{"));
        let front = text.strip_prefix("{{").and_then(|rest| rest.split_once("}}")).map(|(name, _)| name.trim());
        if !written && !front.is_some_and(|name| self.is_the_owners(name)) {
            let instead = "a URL with its scheme and host written out, such as \"https://example.com/{{pin}}\", or one that \
                begins with a variable of `variables` that no state sets";
            self.wrong(path, format!("{instead}; found {}", show(value)));
            return None;
        }
        self.template(value, path)
    }

    fn transfer(&mut self, argument: &Value, table: &Table, path: &str) -> Option<State> {
        self.only(table, &["transfer", "timeout_s", "mode", "caller_id", "on", "next"], path);
        let inner = format!("{path}.transfer");
        let items = match argument {
            Value::Array(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        if items.is_empty() || items.len() > MAX_TARGETS {
            self.wrong(&inner, format!("1 to {MAX_TARGETS} targets, these are {}", items.len()));
        }
        let to: Vec<Template> = items.iter().filter_map(|item| self.target(item, &inner)).collect();
        let timeout_s = self.keep(number(table, "timeout_s", path, 1..=MAX_RING_S, DEFAULT_RING_S))?;
        let mode = match table.get("mode").map(|value| (value, value.as_str())) {
            None | Some((_, Some("simultaneous"))) => Mode::Simultaneous,
            Some((_, Some("sequential"))) => Mode::Sequential,
            Some((other, _)) => {
                self.wrong(&format!("{path}.mode"), format!("`simultaneous` or `sequential`; found {}", show(other)));
                Mode::Simultaneous
            }
        };
        let caller_id = match table.get("caller_id") {
            None => None,
            Some(text) => self.template(text, &format!("{path}.caller_id")),
        };
        let on = self.edges(table, path, |when| {
            matches!(when, "completed" | "busy" | "no-answer" | "failed" | "canceled" | "other")
        });
        let next = self.edge(table, "next", path);
        Some(State::Transfer { to, call: Calling { timeout_s, mode, caller_id }, on, next })
    }

    fn target(&mut self, item: &Value, path: &str) -> Option<Template> {
        if let Some(plain) = item.as_str().filter(|text| !text.contains("{{")) {
            self.keep(address(plain, path))?;
        }
        self.template(item, path)
    }

    fn record(&mut self, table: &Table, path: &str) -> Option<State> {
        self.only(table, &["record", "timeout_s", "max_s", "finish_on", "beep", "trim", "next", "empty"], path);
        let options = RecordOptions {
            silence_s: self.keep(number(table, "timeout_s", path, 0..=MAX_TIMEOUT_S, DEFAULT_TIMEOUT_S))?,
            max_s: self.keep(number(table, "max_s", path, 1..=MAX_TALK_S, 120))?,
            beep: self.keep(flag(table, "beep", path, true))?,
            trim: self.keep(flag(table, "trim", path, true))?,
        };
        let finish_on = match table.get("finish_on").map(|value| (value, value.as_str())) {
            None => ALL_KEYS.to_owned(),
            Some((_, Some(keys))) if keys.len() <= 16 && keys.chars().all(is_key) => keys.to_owned(),
            Some((other, _)) => {
                self.wrong(&format!("{path}.finish_on"), format!("keys of 0-9 * # A-D; found {}", show(other)));
                return None;
            }
        };
        let next = self.edge(table, "next", path);
        let empty = if table.contains_key("empty") { self.edge(table, "empty", path) } else { next };
        Some(State::Record { options, finish_on, next, empty })
    }

    fn conference(&mut self, argument: &Value, table: &Table, path: &str) -> Option<State> {
        self.only(table, &["conference", "next"], path);
        let room = self.template(argument, &format!("{path}.conference"))?;
        Some(State::Conference { room, next: self.edge(table, "next", path) })
    }

    fn sub_flow(&mut self, argument: &Value, table: &Table, path: &str) -> Option<State> {
        self.only(table, &["flow", "with", "next"], path);
        let with = self.templates(table, "with", path);
        let next = self.edge(table, "next", path);
        match argument.as_str().filter(|name| is_flow_name(name)) {
            Some(name) => Some(State::Flow { name: name.to_owned(), with, next }),
            None => {
                self.wrong(&format!("{path}.flow"), format!("the name of a flow; found {}", show(argument)));
                None
            }
        }
    }
}
