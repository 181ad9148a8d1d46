//! Who is asking: `Authorization: Bearer …` or `X-API-Key: …`, then the key's rate.

use super::App;
use super::problem::Problem;
use crate::keys::{Denied, Identity, Scope};
use crate::rate::Allowance;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;

/// The holder of the request's key.
#[derive(Clone, Debug)]
pub struct Caller(Arc<Identity>);

impl Caller {
    /// Whose key it is.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.0.tenant
    }

    /// 403 where the key may not do what wants `scope`.
    pub(super) fn may(&self, scope: Scope) -> Result<(), Problem> {
        if self.0.may(scope) {
            return Ok(());
        }
        let detail = format!("this wants a key with the scope `{}`", scope.as_str());
        Err(Problem::new(StatusCode::FORBIDDEN, "insufficient_scope", detail))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(missing)
    }
}

/// Lets a request pass that has a key, within its rate; the handler finds a [`Caller`].
pub(super) async fn authenticate(State(app): State<App>, mut request: Request, next: Next) -> Response {
    let identity = match identify(&app, request.headers()).await {
        Ok(identity) => identity,
        Err(problem) => return problem.into_response(),
    };
    let allowance = app.inner.keys.take(&identity, &app.inner.directory.load_full()).await;
    let mut response = match allowance.retry_after_s {
        Some(wait) => too_often(allowance, wait).into_response(),
        None => {
            request.extensions_mut().insert(Caller(identity));
            next.run(request).await
        }
    };
    rate_headers(response.headers_mut(), allowance);
    response
}

async fn identify(app: &App, headers: &HeaderMap) -> Result<Arc<Identity>, Problem> {
    let key = presented(headers).ok_or_else(missing)?;
    let looked_up = tokio::time::timeout(app.patience(), app.inner.keys.authenticate(key)).await;
    looked_up.unwrap_or(Err(Denied::NoDatabase)).map_err(|denied| match denied {
        Denied::Unknown => Problem::new(StatusCode::UNAUTHORIZED, "invalid_key", "no such key"),
        Denied::Busy => {
            let detail = "too many unknown keys are being tried; a right one is taken shortly";
            Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail).retry_after(1)
        }
        Denied::NoDatabase => {
            Problem::unavailable("database_unavailable", "the key is not known here, and the database is away", 1)
        }
    })
}

fn presented(headers: &HeaderMap) -> Option<&str> {
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| key.trim())
    });
    bearer.or_else(|| headers.get("x-api-key")?.to_str().ok().map(str::trim)).filter(|key| !key.is_empty())
}

fn missing() -> Problem {
    let detail = "send a key: Authorization: Bearer tandem_… (or X-API-Key: tandem_…); `tandem key create` makes one";
    Problem::new(StatusCode::UNAUTHORIZED, "missing_key", detail)
}

fn too_often(allowance: Allowance, wait: u64) -> Problem {
    let whose = if allowance.of_tenant { "all keys of this tenant together" } else { "this key" };
    let detail = format!("api_requests_per_minute is {} for {whose}", allowance.limit);
    Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", detail).retry_after(wait)
}

fn rate_headers(headers: &mut HeaderMap, allowance: Allowance) {
    headers.insert("ratelimit-limit", HeaderValue::from(allowance.limit));
    headers.insert("ratelimit-remaining", HeaderValue::from(allowance.remaining));
    headers.insert("ratelimit-reset", HeaderValue::from(allowance.reset_s));
}
