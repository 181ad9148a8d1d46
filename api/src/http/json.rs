//! Reading a JSON body: bounded in size, time and depth, every name once.
//!
//! serde_json keeps the last of two equal names and says nothing; a body in which one reader sees one `to` and another
//! reader another is refused here. Depth is bounded by [`MAX_DEPTH`].

use super::problem::Problem;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::StreamExt;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;
use std::time::Duration;

/// The longest body, in octets. A longer one gets 413.
pub const MAX_BODY: usize = 1 << 20;

/// Arrays and objects inside one another, the outermost included: what serde_json reads. A deeper body gets 400.
pub const MAX_DEPTH: usize = 127;

/// How long a body may take to arrive. A slower one gets 408.
pub const BODY_TIME: Duration = Duration::from_secs(10);

/// Octets of a body that is too long which are read and thrown away, so that a client that sends before it reads gets
/// its 413 instead of a broken connection. What is longer gets the connection closed.
const DISCARD: usize = 16 << 20;

/// How long that may take.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// The JSON object in a request's body.
///
/// # Errors
/// 413, 415, 408, or 400 where it is no JSON, no object, or has a name twice.
pub async fn object(request: Request) -> Result<Map<String, Value>, Problem> {
    let (head, body) = request.into_parts();
    is_json(&head.headers)?;
    let expected = head.headers.get(header::CONTENT_LENGTH).and_then(|n| n.to_str().ok()?.parse::<usize>().ok());
    let waits = head.headers.contains_key(header::EXPECT);
    let bytes = if expected.is_some_and(|length| length > MAX_BODY) {
        if !waits {
            discard(body).await;
        }
        return Err(too_large());
    } else {
        tokio::time::timeout(BODY_TIME, read(body)).await.map_err(|_| too_slow())??
    };
    match parse(&bytes)? {
        Value::Object(map) => Ok(map),
        _ => Err(Problem::bad("bad_json", "the body is a JSON object: { … }")),
    }
}

fn too_large() -> Problem {
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", format!("a body has at most {MAX_BODY} octets"))
}

fn too_slow() -> Problem {
    let detail = format!("the body did not arrive within {} seconds", BODY_TIME.as_secs());
    Problem::new(StatusCode::REQUEST_TIMEOUT, "body_timeout", detail)
}

fn is_json(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity"))
    {
        // RFC 9110 §15.5.16.
        let detail = "the body is sent as it is: leave Content-Encoding away";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail));
    }
    if essence == "application/json" || essence.starts_with("application/") && essence.ends_with("+json") {
        return Ok(());
    }
    let detail = "the body is JSON: send the header Content-Type: application/json";
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", detail))
}

async fn read(body: Body) -> Result<Vec<u8>, Problem> {
    let mut stream = body.into_data_stream();
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.map_err(|_| Problem::bad("bad_body", "the body broke off"))?;
        if bytes.len() + chunk.len() > MAX_BODY {
            discard(Body::from_stream(stream)).await;
            return Err(too_large());
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

async fn discard(body: Body) {
    let mut stream = body.into_data_stream();
    let reading = async {
        let mut left = DISCARD;
        while let Some(Ok(chunk)) = stream.next().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(DISCARD_TIME, reading).await;
}

/// Parses JSON in which no object has a name twice.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = Once.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| {
        let detail = error.to_string();
        match detail.strip_prefix(TWICE) {
            Some(named) => {
                Problem::bad("duplicate_field", format!("a name stands once in an object, twice is {named}"))
            }
            None if detail.starts_with(TOO_DEEP) => {
                let instead = "arrays and objects are nested at most";
                Problem::bad("bad_json", format!("the body is too deep: {instead} {MAX_DEPTH} deep"))
            }
            None => Problem::bad("bad_json", format!("the body is no JSON: {detail}")),
        }
    })
}

/// How serde_json's error begins for what is nested too deep.
const TOO_DEEP: &str = "recursion limit exceeded";

const TWICE: &str = "twice: ";

/// Builds a [`Value`], refusing a name that stands twice.
struct Once;

impl<'de> DeserializeSeed<'de> for Once {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        serde_json::Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(Once)? {
            array.push(item);
        }
        Ok(array.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = entries.next_key::<String>()? {
            if map.contains_key(&name) {
                return Err(A::Error::custom(format!("{TWICE}{name:?}")));
            }
            map.insert(name, entries.next_value_seed(Once)?);
        }
        Ok(map.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_serde_json_reads_and_refuses_a_name_that_stands_twice() {
        let text = br#"{"a":[1,-2,3.5,"x",true,null],"b":{"a":{}}}"#;
        assert_eq!(parse(text).unwrap(), serde_json::from_slice::<Value>(text).unwrap());
        assert_eq!(parse(br#"{"to":"+1","to":"+2"}"#).unwrap_err().code(), "duplicate_field");
        assert_eq!(parse(br#"{"a":[{"x":1,"x":1}]}"#).unwrap_err().code(), "duplicate_field");
    }

    #[test]
    fn a_body_that_is_too_deep_is_told_how_deep_it_may_be() {
        let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
        assert!(parse(&nested(MAX_DEPTH)).is_ok());
        let problem = parse(&nested(MAX_DEPTH + 1)).unwrap_err();
        assert_eq!(problem.code(), "bad_json");
        let said = format!("{problem:?}");
        assert!(said.contains("at most 127 deep"), "{said}");
    }

    #[test]
    fn depth_range_and_garbage_are_refused() {
        let deep = [b"[".repeat(10_000), b"]".repeat(10_000)].concat();
        for wrong in [&deep[..], b"1e400", b"{", b"", b"{}x", b"\xff", b"{\"a\":NaN}", b"'a'"] {
            assert_eq!(parse(wrong).unwrap_err().code(), "bad_json");
        }
    }
}
