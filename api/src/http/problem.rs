//! Errors as the API tells them: RFC 9457 `application/problem+json`, with a stable `code` and the field at fault.

use super::doc::problems::is_known;
use crate::commander::Gone;
use crate::ledger::Refused;
use crate::prompts::PromptError;
use crate::store::StoreError;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::borrow::Cow;

/// Seconds after which a client should come again where the switch is busy or its disk is.
const BUSY_S: u64 = 1;

/// Seconds after which a client should come again where the switch is going down or the journal is full.
const LONG_S: u64 = 10;

/// An error, as the client gets it. Its `code` is part of the contract; its `detail` is for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    field: Option<String>,
    errors: Vec<Value>,
    retry_after_s: Option<u64>,
}

impl Problem {
    /// The field at fault, where one is.
    #[must_use]
    pub fn field(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// An error with its status, stable code and explanation.
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        debug_assert!(is_known(status.as_u16(), code), "{status} {code} is not in the catalogue of problems");
        Self { status, code, detail: detail.into(), field: None, errors: Vec::new(), retry_after_s: None }
    }

    /// 400: what was sent is wrong.
    pub(crate) fn bad(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    /// 409: it is not the time for it.
    pub(crate) fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// 503: not now.
    pub(crate) fn unavailable(code: &'static str, detail: impl Into<Cow<'static, str>>, retry_after_s: u64) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).retry_after(retry_after_s)
    }

    /// 404: there is no such call, or it is not the caller's to know.
    pub(super) fn no_such_call() -> Self {
        Self::new(StatusCode::NOT_FOUND, "call_not_found", "there is no call with this sid")
    }

    /// Names the field (or parameter) at fault.
    pub(crate) fn at(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// The field at fault is one inside this one.
    pub(crate) fn below(mut self, table: &str) -> Self {
        self.field = Some(self.field.map_or_else(|| table.to_owned(), |field| format!("{table}.{field}")));
        self
    }

    /// Lists all that is wrong, where that is more than one thing.
    pub(crate) fn with_errors(mut self, errors: Vec<Value>) -> Self {
        self.errors = errors;
        self
    }

    /// Says when to come again.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        self.code
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {}", self.detail),
            None => f.write_str(&self.detail),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "code": self.code,
            "detail": self.detail,
        });
        if let Some(field) = self.field {
            body["field"] = field.into();
        }
        if !self.errors.is_empty() {
            body["errors"] = self.errors.into();
        }
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"tandem\""));
        }
        response
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = refused.to_string();
        match refused {
            Refused::JournalFull => Self::unavailable("journal_full", detail, LONG_S),
            Refused::JournalFailing => Self::unavailable("journal_failing", detail, LONG_S),
            Refused::Overloaded => Self::unavailable("overloaded", detail, BUSY_S),
            Refused::Closed => Self::draining(),
            Refused::TooManyCalls(_) => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_calls", detail).retry_after(BUSY_S)
            }
            Refused::TooManyOfTenant => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "concurrent_calls_reached", detail).retry_after(BUSY_S)
            }
            Refused::TooFastOfTenant => {
                Self::new(StatusCode::TOO_MANY_REQUESTS, "calls_per_second_reached", detail).retry_after(BUSY_S)
            }
        }
    }
}

impl Problem {
    /// 503: the switch goes down and takes no new call.
    pub(crate) fn draining() -> Self {
        Self::unavailable("draining", "the switch is going down and takes no new call", LONG_S)
    }

    /// 503: what was asked for is in the database, and that does not answer.
    pub(crate) fn database_away() -> Self {
        Self::unavailable("database_unavailable", "the database does not answer; live calls are not affected", BUSY_S)
    }

    /// 503: what was made over HTTP is not known, because the database has not been there since the start.
    pub(crate) fn not_known_yet() -> Self {
        let detail = "only what the configuration file names is known: the database has been away since the start";
        Self::unavailable("database_unavailable", detail, BUSY_S)
    }

    /// 503: signalling has more to do than it can.
    pub(crate) fn overloaded() -> Self {
        Self::unavailable("overloaded", "the switch has more to do than it can; try again shortly", BUSY_S)
    }
}

impl From<Gone> for Problem {
    fn from(_: Gone) -> Self {
        Self::draining()
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::warn!(%error, "the database could not answer a request");
        Self::database_away()
    }
}

impl From<PromptError> for Problem {
    fn from(error: PromptError) -> Self {
        let detail = error.to_string();
        match error {
            PromptError::Unknown { .. } => Self::bad("unknown_prompt", detail).at("answer"),
            PromptError::Unreadable { .. } => Self::bad("unreadable_prompt", detail).at("answer"),
            PromptError::TooMany => Self::unavailable("too_many_prompts", detail, LONG_S).at("answer"),
            PromptError::Gone => Self::draining(),
        }
    }
}
