//! Who a `bridge` calls, one by one, and what is done with each.

use super::bridge::{Target, address};
use super::parse::{Parsed, Table, is_key, number, show, text, wrong};
use super::{Callback, documents, machine};
use crate::http::Method;
use crate::limits::{MAX_RING_S, MAX_SENT_DIGITS, MAX_SIP_HEADERS, MAX_WORD};
use serde_json::Value;

/// What a target's table may hold.
const KNOWN: [&str; 10] = [
    "to",
    "timeout_s",
    "send_digits",
    "screen_url",
    "status_callback",
    "status_callback_events",
    "username",
    "password",
    "headers",
    "machine_detection",
];

/// The events of a leg that may be asked for (TWILIO.md §3.2).
const PROGRESS: [&str; 4] = ["initiated", "ringing", "answered", "completed"];

pub(super) fn target(value: &Value, timeout_s: u32, path: &str) -> Parsed<Target> {
    match value {
        Value::String(to) => Ok(Target::new(address(to, path)?, timeout_s)),
        Value::Object(table) => of_table(table, timeout_s, path),
        other => {
            wrong(path, format!("a target is a string such as \"+15551234567\" or \"alice\"; found {}", show(other)))
        }
    }
}

fn of_table(table: &Table, timeout_s: u32, path: &str) -> Parsed<Target> {
    if let Some(key) = table.keys().find(|key| !KNOWN.contains(&key.as_str())) {
        return wrong(&format!("{path}.{key}"), format!("a target has {}", super::words::list(&KNOWN)));
    }
    let Some(Value::String(to)) = table.get("to") else {
        return wrong(&format!("{path}.to"), "write whom to call: a number, a user or a SIP URI");
    };
    Ok(Target {
        screening: documents::url(table, "screen_url", path)?.map(|url| (url, Method::Post)),
        send_digits: send_digits(table, path)?,
        callback: callback(table, path)?,
        credentials: credentials(table, path)?,
        headers: headers(table, path)?,
        machine: machine::detection(table, path)?.map(Box::new),
        ..Target::new(address(to, &format!("{path}.to"))?, number(table, "timeout_s", path, 1..=MAX_RING_S, timeout_s)?)
    })
}

/// True for keys that may be sent, `w` and `W` for silence among them.
#[must_use]
pub fn are_sent(keys: &str) -> bool {
    (1..=MAX_SENT_DIGITS).contains(&keys.len()) && keys.chars().all(|key| is_key(key) || matches!(key, 'w' | 'W'))
}

fn send_digits(table: &Table, path: &str) -> Parsed<Option<String>> {
    match text(table, "send_digits", path)? {
        Some(keys) if !are_sent(&keys) => wrong(
            &format!("{path}.send_digits"),
            format!("1 to {MAX_SENT_DIGITS} of 0-9 * # A-D, with w for half a second of silence and W for a whole one"),
        ),
        keys => Ok(keys),
    }
}

fn callback(table: &Table, path: &str) -> Parsed<Option<Callback>> {
    let Some(callback) = documents::callback(table, "status_callback", path)? else { return Ok(None) };
    let path = format!("{path}.status_callback_events");
    let instead = || format!("an array of {}", super::words::list(&PROGRESS));
    match table.get("status_callback_events") {
        None => Ok(Some(callback)),
        Some(Value::Array(words)) => {
            let known = |word: &Value| word.as_str().filter(|word| PROGRESS.contains(word)).map(str::to_owned);
            match words.iter().map(known).collect::<Option<Vec<_>>>() {
                Some(events) if !events.is_empty() => Ok(Some(Callback { events, ..callback })),
                _ => wrong(&path, instead()),
            }
        }
        Some(other) => wrong(&path, format!("{}; found {}", instead(), show(other))),
    }
}

fn credentials(table: &Table, path: &str) -> Parsed<Option<(String, String)>> {
    match (text(table, "username", path)?, text(table, "password", path)?) {
        (None, None) => Ok(None),
        (Some(username), Some(password)) => Ok(Some((username, password))),
        _ => wrong(&format!("{path}.username"), "`username` and `password` come together"),
    }
}

fn headers(table: &Table, path: &str) -> Parsed<Vec<(String, String)>> {
    let path = format!("{path}.headers");
    let entries = match table.get("headers") {
        None => return Ok(Vec::new()),
        Some(Value::Object(entries)) => entries,
        Some(other) => return wrong(&path, format!("a table of names and texts; found {}", show(other))),
    };
    let mut headers = Vec::new();
    for (name, value) in entries {
        let lower = name.to_ascii_lowercase();
        let may = (lower.starts_with("x-") || lower == "user-to-user")
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let value =
            value.as_str().filter(|value| value.chars().count() <= MAX_WORD && !value.contains(char::is_control));
        let (true, Some(value)) = (may, value) else {
            return wrong(
                &format!("{path}.{}", super::parse::shorten(name)),
                format!("a header X-… or User-to-User, with a line of at most {MAX_WORD} characters"),
            );
        };
        headers.push((name.clone(), value.to_owned()));
    }
    if headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() > MAX_SIP_HEADERS {
        return wrong(&path, format!("the headers of a target have at most {MAX_SIP_HEADERS} characters"));
    }
    Ok(headers)
}
