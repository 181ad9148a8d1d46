//! Taking a body apart: every field by name and type, none left over.

use super::problem::Problem;
use crate::words::nearest;
use serde_json::{Map, Value};
use std::ops::RangeInclusive;

/// A body's fields, of which each is taken once.
pub(crate) struct Fields {
    map: Map<String, Value>,
}

impl Fields {
    /// The fields of `map`, all of which must be `known`. `later` are fields of the contract that this version does not
    /// serve yet: saying so beats ignoring what somebody relies on.
    pub(crate) fn of(map: Map<String, Value>, known: &[&str], later: &[&str]) -> Result<Self, Problem> {
        for name in map.keys() {
            if later.contains(&name.as_str()) {
                let detail = format!("`{name}` is not supported yet; leave it out");
                return Err(Problem::bad("not_supported_yet", detail).at(name));
            }
            if !known.contains(&name.as_str()) {
                return Err(unknown(name, known));
            }
        }
        Ok(Self { map })
    }

    /// A field; null is as good as none.
    pub(crate) fn take(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    /// A field that must be there.
    pub(crate) fn required(&mut self, name: &'static str) -> Result<Value, Problem> {
        self.take(name).ok_or_else(|| Problem::bad("missing_field", format!("`{name}` is missing")).at(name))
    }

    /// A field that holds text, and must be there.
    pub(crate) fn text(&mut self, name: &'static str) -> Result<String, Problem> {
        text(name, self.required(name)?)
    }

    /// A field that holds text, where it is there.
    pub(crate) fn optional_text(&mut self, name: &'static str) -> Result<Option<String>, Problem> {
        self.take(name).map(|value| text(name, value)).transpose()
    }

    /// A field that holds a whole number of `range`, where it is there.
    pub(crate) fn whole(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
        unsaid: u64,
    ) -> Result<u64, Problem> {
        let Some(value) = self.take(name) else { return Ok(unsaid) };
        whole(&value).filter(|n| range.contains(n)).ok_or_else(|| {
            let detail = format!("`{name}` is a whole number from {} to {}", range.start(), range.end());
            Problem::bad("invalid_value", detail).at(name)
        })
    }
}

/// A whole number; for JSON `5.0` is one too (RFC 8259 §6).
pub(super) fn whole(value: &Value) -> Option<u64> {
    let exact = |n: &f64| n.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(n);
    value.as_u64().or_else(|| value.as_f64().filter(exact).map(|n| n as u64))
}

impl Fields {
    /// A field that holds `true` or `false`, where it is there.
    pub(crate) fn flag(&mut self, name: &'static str, unsaid: bool) -> Result<bool, Problem> {
        match self.take(name) {
            None => Ok(unsaid),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(Problem::bad("invalid_value", format!("`{name}` is true or false")).at(name)),
        }
    }

    /// A field that holds a whole number of `range`; none where it is not there.
    pub(crate) fn optional_whole(
        &mut self,
        name: &'static str,
        range: RangeInclusive<u64>,
    ) -> Result<Option<u64>, Problem> {
        match self.map.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.whole(name, range, 0).map(Some),
        }
    }

    /// A field that holds a list of strings, where it is there.
    pub(crate) fn texts(&mut self, name: &'static str) -> Result<Option<Vec<String>>, Problem> {
        let wrong = || Problem::bad("invalid_value", format!("`{name}` is a list of strings")).at(name);
        let Some(value) = self.take(name) else { return Ok(None) };
        let Value::Array(items) = value else { return Err(wrong()) };
        let text = |item| match item {
            Value::String(text) => Ok(text),
            _ => Err(wrong()),
        };
        items.into_iter().map(text).collect::<Result<_, _>>().map(Some)
    }
}

fn text(name: &'static str, value: Value) -> Result<String, Problem> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err(Problem::bad("invalid_value", format!("`{name}` is a string")).at(name)),
    }
}

/// Characters of an unknown name that the error repeats.
const SHOWN: usize = 64;

fn unknown(name: &str, known: &[&str]) -> Problem {
    let shown: String = name.chars().take(SHOWN).collect();
    let detail = match nearest(name, known.iter().copied()) {
        Some(near) => format!("there is no field `{shown}`; did you mean `{near}`?"),
        None => format!("there is no field `{shown}`; there are {}", known.join(", ")),
    };
    Problem::bad("unknown_field", detail).at(shown)
}
