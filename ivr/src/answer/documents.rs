//! `url`, `redirect`, `twiml` and `flow`, and the URLs that other verbs name.

use super::parse::{Parsed, Table, error, show, wrong};
use super::{Action, CallFlow, Callback, Fetch, Inline, Link, write};
use crate::http::{Method, link};
use crate::limits::{MAX_BODY, MAX_VALUE, MAX_VARIABLES, MAX_WORD};
use crate::twiml;
use serde::ser::SerializeMap;
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;
use url::Url;

/// `action` and `method`.
pub(super) fn action(table: &Table, path: &str) -> Parsed<Option<Action>> {
    let method = method(table, "method", path)?;
    let Some(url) = url(table, "action", path)? else {
        return match table.contains_key("method") {
            true => wrong(&format!("{path}.method"), "`method` says how `action` is asked for, and there is none"),
            false => Ok(None),
        };
    };
    Ok(Some(Action { link: Link::Url(url), method }))
}

/// A URL that is told of the end of something.
pub(super) fn callback(table: &Table, option: &str, path: &str) -> Parsed<Option<Callback>> {
    let events = vec!["completed".to_owned()];
    Ok(url(table, option, path)?.map(|url| Callback { url, method: Method::Post, events }))
}

pub(super) fn url(table: &Table, option: &str, path: &str) -> Parsed<Option<Url>> {
    let path = format!("{path}.{option}");
    match table.get(option) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => link(text, None).map(Some).map_err(|why| error(&path, why)),
        Some(other) => wrong(&path, format!("a URL such as \"https://example.com/ivr\"; found {}", show(other))),
    }
}

fn method(table: &Table, option: &str, path: &str) -> Parsed<Method> {
    match table.get(option).map(|value| (value, value.as_str())) {
        None | Some((_, Some("POST"))) => Ok(Method::Post),
        Some((_, Some("GET"))) => Ok(Method::Get),
        Some((other, _)) => wrong(&format!("{path}.{option}"), format!("\"GET\" or \"POST\"; found {}", show(other))),
    }
}

fn fallback(table: &Table, path: &str) -> Parsed<Option<(Url, Method)>> {
    let method = method(table, "fallback_method", path)?;
    Ok(url(table, "fallback_url", path)?.map(|url| (url, method)))
}

pub(super) fn fetch(argument: &Value, table: &Table, path: &str) -> Parsed<Fetch> {
    let Value::String(text) = argument else {
        return wrong(path, format!("a URL such as \"https://example.com/ivr\"; found {}", show(argument)));
    };
    let url = link(text, None).map_err(|why| error(path, why))?;
    let action = Action { link: Link::Url(url), method: method(table, "method", path)? };
    Ok(Fetch { action, fallback: fallback(table, path)? })
}

pub(super) fn twiml(argument: &Value, table: &Table, path: &str) -> Parsed<Inline> {
    let Value::String(source) = argument else {
        return wrong(path, format!("a document such as \"<Response><Hangup/></Response>\"; found {}", show(argument)));
    };
    if source.len() > MAX_BODY {
        return wrong(path, format!("a document has at most {MAX_BODY} bytes, this one has {}", source.len()));
    }
    let document = twiml::compile(source, None).map_err(|why| error(path, why.to_string()))?;
    Ok(Inline { source: source.clone(), document: Arc::new(document), fallback: fallback(table, path)? })
}

/// True for what a flow may be called: 1 to [`MAX_WORD`] characters of `A-Z a-z 0-9 _ - .`.
pub(crate) fn is_flow_name(name: &str) -> bool {
    (1..=MAX_WORD).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c))
}

pub(super) fn flow(argument: &Value, table: &Table, path: &str) -> Parsed<CallFlow> {
    let Some(name) = argument.as_str().filter(|name| is_flow_name(name)) else {
        let instead = "the name of a flow, made of A-Z a-z 0-9 _ - and dots";
        return wrong(path, format!("{instead}; found {}", show(argument)));
    };
    Ok(CallFlow { name: name.to_owned(), with: variables(table, path)? })
}

fn variables(table: &Table, path: &str) -> Parsed<BTreeMap<String, String>> {
    let path = format!("{path}.with");
    let entries = match table.get("with") {
        None => return Ok(BTreeMap::new()),
        Some(Value::Object(entries)) if entries.len() <= MAX_VARIABLES => entries,
        Some(Value::Object(_)) => return wrong(&path, format!("at most {MAX_VARIABLES} variables")),
        Some(other) => return wrong(&path, format!("a table of names and texts; found {}", show(other))),
    };
    let each = entries.iter().map(|(name, value)| match value {
        Value::String(text) if text.len() <= MAX_VALUE => Ok((name.clone(), text.clone())),
        other => {
            wrong(&format!("{path}.{name}"), format!("a text of at most {MAX_VALUE} bytes; found {}", show(other)))
        }
    });
    each.collect()
}

pub(super) fn write_fetch<M: SerializeMap>(table: &mut M, fetch: &Fetch) -> Result<(), M::Error> {
    if let Link::Url(url) = &fetch.action.link {
        table.serialize_entry("url", url.as_str())?;
    }
    table.serialize_entry("method", &fetch.action.method)?;
    write_fallback(table, fetch.fallback.as_ref())
}

fn write_fallback<M: SerializeMap>(table: &mut M, fallback: Option<&(Url, Method)>) -> Result<(), M::Error> {
    write::optional(table, "fallback_url", fallback.map(|(url, _)| url.as_str()).as_ref())?;
    write::optional(table, "fallback_method", fallback.map(|(_, method)| method))
}

pub(super) fn write_twiml<M: SerializeMap>(table: &mut M, inline: &Inline) -> Result<(), M::Error> {
    table.serialize_entry("twiml", &inline.source)?;
    write_fallback(table, inline.fallback.as_ref())
}

pub(super) fn write_flow<M: SerializeMap>(table: &mut M, flow: &CallFlow) -> Result<(), M::Error> {
    table.serialize_entry("flow", &flow.name)?;
    write::optional(table, "with", Some(&flow.with).filter(|with| !with.is_empty()))
}
