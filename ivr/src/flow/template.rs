//! Texts with variables in them: `Your balance is {{reply.balance}}`, `{{pin|digits}}`.

use crate::context::CallContext;
use crate::http::cut_bytes;
use crate::limits::MAX_VALUE;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use url::form_urlencoded;

/// What every call knows from its beginning.
pub(super) const KNOWN: &[&str] = &[
    "from",
    "to",
    "call_sid",
    "account_sid",
    "direction",
    "forwarded_from",
    "caller_name",
    "entered",
    "http_status",
    "transfer_status",
    "recording_url",
    "recording_sid",
    "recording_seconds",
];

/// A text whose variables are named well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable { path: Vec<String>, digits: bool },
}

/// The variables of a flow that runs, and the call.
pub(super) struct Scope<'a> {
    pub(super) variables: &'a BTreeMap<String, Value>,
    pub(super) call: &'a CallContext,
}

impl Scope<'_> {
    fn find(&self, path: &[String]) -> Value {
        let Some((first, rest)) = path.split_first() else { return Value::Null };
        let mut value = self.variables.get(first).cloned().unwrap_or_else(|| self.of_the_call(first));
        for step in rest {
            value = match value {
                Value::Object(mut table) => table.remove(step).unwrap_or_default(),
                Value::Array(mut items) => match step.parse::<usize>() {
                    Ok(nth) if nth < items.len() => items.swap_remove(nth),
                    _ => Value::Null,
                },
                _ => Value::Null,
            };
        }
        value
    }

    fn of_the_call(&self, name: &str) -> Value {
        let call = self.call;
        let optional = |value: &Option<String>| value.clone().unwrap_or_default();
        Value::from(match name {
            "from" => call.from.clone(),
            "to" => call.to.clone(),
            "call_sid" => call.call_sid.clone(),
            "account_sid" => call.account_sid.clone(),
            "direction" => call.direction.as_str().to_owned(),
            "forwarded_from" => optional(&call.forwarded_from),
            "caller_name" => optional(&call.caller_name),
            _ => String::new(),
        })
    }
}

/// A value as a text.
fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

impl Template {
    /// Reads a text; `names` are the variables that there are.
    pub(super) fn parse(text: &str, names: &BTreeSet<String>) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((inside, after)) = after.split_once("}}") else {
                return Err("`{{` without `}}` behind it: a variable is written {{name}}".to_owned());
            };
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(variable(inside, names)?);
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    pub(super) fn text(&self, scope: &Scope<'_>) -> String {
        self.fill(scope, str::to_owned)
    }

    /// The same with the values encoded as parts of a URL; one that stands in front is the URL's beginning, as it is.
    pub(super) fn url(&self, scope: &Scope<'_>) -> String {
        let encoded = |value: &str| -> String { form_urlencoded::byte_serialize(value.as_bytes()).collect() };
        match self.0.split_first() {
            Some((front @ Piece::Variable { .. }, rest)) => {
                let front = Self(vec![front.clone()]).text(scope);
                front + &Self(rest.to_vec()).fill(scope, encoded)
            }
            _ => self.fill(scope, encoded),
        }
    }

    fn fill(&self, scope: &Scope<'_>, written: impl Fn(&str) -> String) -> String {
        let mut filled = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => filled.push_str(text),
                Piece::Variable { path, digits } => {
                    let value = plain(&scope.find(path));
                    let value = if *digits { apart(&value) } else { value };
                    filled.push_str(&written(&value));
                }
            }
            if filled.len() > MAX_VALUE {
                return cut_bytes(&filled, MAX_VALUE).to_owned();
            }
        }
        filled
    }
}

/// Each character by itself, so that a number is read digit by digit.
fn apart(value: &str) -> String {
    value.chars().map(String::from).collect::<Vec<_>>().join(" ")
}

fn variable(inside: &str, names: &BTreeSet<String>) -> Result<Piece, String> {
    let (path, digits) = match inside.split_once('|').map(|(path, filter)| (path, filter.trim())) {
        None => (inside, false),
        Some((path, "digits")) => (path, true),
        Some((_, other)) => return Err(format!("`{}` is no filter: there is `digits`", crate::http::cut(other, 40))),
    };
    let path: Vec<String> = path.trim().split('.').map(str::to_owned).collect();
    check(&path, names)?;
    Ok(Piece::Variable { path, digits })
}

/// A path whose first part is a variable that there is.
pub(super) fn check(path: &[String], names: &BTreeSet<String>) -> Result<(), String> {
    let first = path.first().map(String::as_str).unwrap_or_default();
    if names.contains(first) || KNOWN.contains(&first) {
        return Ok(());
    }
    let all = names.iter().map(String::as_str).chain(KNOWN.iter().copied());
    let meant = crate::answer::nearest(first, all).map(|meant| format!(": did you mean `{meant}`?"));
    let instead = meant.unwrap_or_else(|| ": name it in `variables`, or set it with `set` or `into`".to_owned());
    Err(format!("there is no variable `{}`{instead}", crate::http::cut(first, 40)))
}

/// The value at a path, as a text.
pub(super) fn lookup(path: &[String], scope: &Scope<'_>) -> String {
    plain(&scope.find(path))
}
