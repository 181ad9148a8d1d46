//! Query parameters: known ones only, each once; cursors.

use super::problem::Problem;
use crate::store::{Filter, Key, Page};
use crate::words::{DIRECTIONS, STATUSES, direction, nearest};
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use std::collections::BTreeMap;
use switch::Status;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, Required};

/// The greatest `limit` of a list.
pub const MAX_LIMIT: usize = 1_000;

/// The `limit` of a list that names none.
const DEFAULT_LIMIT: usize = 50;

/// A request's query parameters, each of which is taken once.
pub(super) struct Params(BTreeMap<String, String>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|_| Problem::bad("invalid_parameter", "the query string cannot be read"))?;
        let mut params = BTreeMap::new();
        for (name, value) in pairs {
            if params.insert(name.clone(), value).is_some() {
                return Err(Problem::bad("invalid_parameter", "a parameter stands once").at(name));
            }
        }
        Ok(Self(params))
    }
}

impl Params {
    /// Refuses parameters other than these.
    pub(super) fn only(self, known: &[&str]) -> Result<Self, Problem> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(self),
            Some(name) => {
                let detail = match nearest(name, known.iter().copied()) {
                    Some(near) => format!("there is no such parameter; did you mean `{near}`?"),
                    None if known.is_empty() => "this takes no parameters".to_owned(),
                    None => format!("there is no such parameter; there are {}", known.join(", ")),
                };
                Err(Problem::bad("unknown_parameter", detail).at(name.chars().take(64).collect::<String>()))
            }
        }
    }

    /// A parameter's text, where it is given.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// `limit`, where it is given.
    pub(super) fn limit(&mut self) -> Result<Option<usize>, Problem> {
        let parse = |text: String| text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
        let wrong =
            || Problem::bad("invalid_parameter", format!("limit is a number from 1 to {MAX_LIMIT}")).at("limit");
        self.take("limit").map(|text| parse(text).ok_or_else(wrong)).transpose()
    }

    /// `limit` and `cursor` of a list of calls.
    pub(super) fn page(&mut self) -> Result<Page, Problem> {
        let limit = self.limit()?.unwrap_or(DEFAULT_LIMIT);
        let after = self.take("cursor").map(|text| read_cursor(&text).ok_or_else(bad_cursor)).transpose()?;
        Ok(Page { limit, after })
    }

    /// A parameter's text, where it is given.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        self.take(name)
    }

    /// `limit`, and `cursor` as `read` reads it.
    pub(super) fn cut<T>(&mut self, read: impl Fn(&str) -> Option<T>) -> Result<(usize, Option<T>), Problem> {
        let limit = self.limit()?.unwrap_or(DEFAULT_LIMIT);
        let after = self.take("cursor").map(|text| read(&text).ok_or_else(bad_cursor)).transpose()?;
        Ok((limit, after))
    }

    /// `limit` and `cursor` of a list of facts.
    pub(super) fn facts_page(&mut self) -> Result<FactsPage, Problem> {
        let limit = self.limit()?.unwrap_or(MAX_LIMIT);
        let from = self.take("cursor").map(|text| text.parse().map_err(|_| bad_cursor())).transpose()?;
        Ok(FactsPage { limit, from: from.unwrap_or(0) })
    }

    /// `status`, `from`, `to` and `direction`, for the calls of `tenant`.
    pub(super) fn filter(&mut self, tenant: &str) -> Result<Filter, Problem> {
        let statuses = STATUSES.map(|status| (status.as_str(), status));
        let directions = DIRECTIONS.map(|way| (direction(way), way));
        Ok(Filter {
            tenant: tenant.to_owned(),
            status: one_of("status", self.take("status"), &statuses)?,
            from: self.take("from").map(number),
            to: self.take("to").map(number),
            direction: one_of("direction", self.take("direction"), &directions)?,
        })
    }
}

/// A page of a call's facts.
pub(super) struct FactsPage {
    /// How many at most.
    pub(super) limit: usize,
    /// The number of the first.
    pub(super) from: u32,
}

impl IntoParams for FactsPage {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let cursor = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9]{1,9}$"));
        vec![limit_of(MAX_LIMIT), parameter("cursor", CURSOR, cursor)]
    }
}

impl IntoParams for Page {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let cursor = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9a-f]{1,16}-[A-Za-z0-9_]+$"));
        vec![limit_of(DEFAULT_LIMIT), parameter("cursor", CURSOR, cursor)]
    }
}

impl IntoParams for Filter {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let text = || ObjectBuilder::new().schema_type(Type::String);
        vec![
            parameter("status", "Those with this status.", text().enum_values(Some(STATUSES.map(Status::as_str)))),
            parameter("direction", "Those that go this way.", text().enum_values(Some(DIRECTIONS.map(direction)))),
            parameter("from", "Those of this caller.", text()),
            parameter("to", "Those to this number.", text()),
        ]
    }
}

const CURSOR: &str = "`next_cursor` of the page before.";

fn limit_of(unsaid: usize) -> Parameter {
    let limit = ObjectBuilder::new().schema_type(Type::Integer);
    let limit = limit.minimum(Some(1)).maximum(Some(MAX_LIMIT)).default(Some(unsaid.into()));
    parameter("limit", "How many at most.", limit)
}

fn parameter(name: &str, description: &str, schema: ObjectBuilder) -> Parameter {
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(description))
        .schema(Some(RefOr::T(Schema::from(schema.build()))))
        .build()
}

/// What [`Params::filter`] and [`Params::page`] take.
pub(super) const LIST: [&str; 6] = ["limit", "cursor", "status", "from", "to", "direction"];

/// A number whose `+` came out of the query string as the space that a bare `+` means there.
fn number(text: String) -> String {
    match text.strip_prefix(' ') {
        Some(digits) if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) => format!("+{digits}"),
        _ => text,
    }
}

fn one_of<T: Copy>(name: &'static str, text: Option<String>, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
    let Some(text) = text else { return Ok(None) };
    let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    let listed = || words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
    found.map(Some).ok_or_else(|| Problem::bad("invalid_parameter", format!("{name} is one of {}", listed())).at(name))
}

fn bad_cursor() -> Problem {
    Problem::bad("invalid_cursor", "a cursor is what next_cursor of the page before said").at("cursor")
}

/// A place in a list of calls, as a client carries it.
pub(super) fn write_cursor(key: Key) -> String {
    format!("{:x}-{}", key.queued_at, key.sid)
}

fn read_cursor(text: &str) -> Option<Key> {
    let (at, sid) = text.split_once('-')?;
    Some(Key { queued_at: u64::from_str_radix(at, 16).ok()?, sid: sid.parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_another_is_refused() {
        let key = Key { queued_at: 1_709_210_096_007, sid: "CA00000000000000000000000000000007".parse().unwrap() };
        assert_eq!(read_cursor(&write_cursor(key)), Some(key));
        for wrong in ["", "-", "1", "1-CA", "x-CA00000000000000000000000000000007", "1-' OR 1=1"] {
            assert_eq!(read_cursor(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_bare_plus_in_the_query_is_still_a_plus() {
        assert_eq!(number(" 18325550100".into()), "+18325550100");
        assert_eq!(number("menu".into()), "menu");
    }
}
