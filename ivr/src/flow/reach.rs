//! States that reach others: a web server, somebody who is called, a recorder, a conference, another flow.

use super::parse::Reader;
use super::states::{Asking, Calling, Sent, State};
use super::template::Template;
use crate::answer::bridge::address;
use crate::answer::documents::is_flow_name;
use crate::answer::parse::{Table, flag, just_true, number, show};
use crate::answer::{ALL_KEYS, Mode, RecordOptions, is_key};
use crate::http::Method;
use crate::limits::{DEFAULT_RING_S, DEFAULT_TIMEOUT_S, MAX_RING_S, MAX_TALK_S, MAX_TARGETS, MAX_TIMEOUT_S};
use serde_json::Value;

/// Seconds that a web request of a flow may take, where it does not say.
const DEFAULT_HTTP_S: u32 = 10;

impl Reader {
    pub(super) fn http(&mut self, argument: &Value, table: &Table, path: &str) -> Option<State> {
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
            class || (when.len() == 3 && when.parse::<u16>().is_ok_and(|status| (200..=599).contains(&status)))
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

    pub(super) fn transfer(&mut self, argument: &Value, table: &Table, path: &str) -> Option<State> {
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

    pub(super) fn record(&mut self, argument: &Value, table: &Table, path: &str) -> Option<State> {
        self.only(table, &["record", "timeout_s", "max_s", "finish_on", "beep", "trim", "next", "empty"], path);
        self.keep(just_true(argument, &format!("{path}.record")))?;
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

    pub(super) fn conference(&mut self, argument: &Value, table: &Table, path: &str) -> Option<State> {
        self.only(table, &["conference", "next"], path);
        let room = self.template(argument, &format!("{path}.conference"))?;
        Some(State::Conference { room, next: self.edge(table, "next", path) })
    }

    pub(super) fn sub_flow(&mut self, argument: &Value, table: &Table, path: &str) -> Option<State> {
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
