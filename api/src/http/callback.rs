//! `status_callback` and `status_callback_events` of a call that is asked for.

use super::fields::Fields;
use super::problem::Problem;
use crate::webhooks::{EVENTS, MAX_URL, USUAL};
use crate::words::nearest;
use serde_json::Value;
use switch::{CallbackForm, StatusCallback};
use url::Url;

/// The events of a call in Twilio's form, and the one that is told where none is named.
const TWILIO: [&str; 4] = ["completed", "initiated", "ringing", "answered"];

/// Both fields, read and checked; whether the address may be reached is asked when it is reached.
pub(super) fn read(fields: &mut Fields, form: CallbackForm) -> Result<Option<StatusCallback>, Problem> {
    let (url, events) = (fields.optional_text("status_callback")?, fields.take("status_callback_events"));
    let Some(url) = url else {
        return match events {
            None => Ok(None),
            Some(_) => {
                let detail = "`status_callback` says where they go, and is missing";
                Err(Problem::bad("missing_field", detail).at("status_callback"))
            }
        };
    };
    let (known, usual) = match form {
        CallbackForm::Standard => (&EVENTS[..], USUAL),
        CallbackForm::Twilio => (&TWILIO[..], TWILIO[0]),
    };
    let events = events.map_or_else(|| Ok(vec![usual.to_owned()]), |events| named(events, known, usual))?;
    Ok(Some(StatusCallback { url: address("status_callback", &url)?, events, form, get: false }))
}

/// A URL that is told something.
pub(super) fn address(field: &'static str, text: &str) -> Result<String, Problem> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    let url = url.map(String::from).filter(|url| url.len() <= MAX_URL);
    url.ok_or_else(|| {
        let detail = format!("`{field}` is an http:// or https:// URL of at most {MAX_URL} octets");
        Problem::bad("invalid_value", detail).at(field)
    })
}

fn named(value: Value, known: &[&'static str], usual: &str) -> Result<Vec<String>, Problem> {
    let wrong = |detail: String| Problem::bad("invalid_value", detail).at("status_callback_events");
    let Value::Array(words) = value else {
        return Err(wrong(format!("`status_callback_events` is a list of {}", known.join(", "))));
    };
    let mut events = Vec::new();
    for word in words {
        let word = word.as_str().unwrap_or_default();
        if !known.contains(&word) {
            let shown: String = word.chars().take(64).collect();
            return Err(wrong(match nearest(word, known.iter().copied()) {
                Some(near) => format!("there is no event `{shown}`; did you mean `{near}`?"),
                None => format!("there is no event `{shown}`; there are {}", known.join(", ")),
            }));
        }
        if !events.iter().any(|event| event == word) {
            events.push(word.to_owned());
        }
    }
    if events.is_empty() {
        return Err(wrong(format!("`status_callback_events` names at least one event; leave it out for {usual}")));
    }
    Ok(events)
}
