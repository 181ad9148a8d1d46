//! The API described: OpenAPI 3.1 at `/openapi.json`, and a page that shows it at `/docs`, all of which is in the binary.
//!
//! A route and its description are one thing: [`routes!`](utoipa_axum::routes) takes handlers with `#[utoipa::path]`, and
//! nothing else puts a route into the router. What every operation has in common is added here, not written at each:
//! the key that it wants, the problems that come of keys, queries and bodies, the headers of rates. An operation names
//! its own problems by their codes in `x-problems`; [`problems`] knows the rest.
//!
//! What a handler answers derives [`ToSchema`](utoipa::ToSchema): every key of it is always there unless it says
//! `#[schema(nullable = false)]` beside its `Option`. What a request sends is in [`requests`], [`flow`] and
//! [`program`], bounds and all.

mod finish;
mod flow;
pub(super) mod page;
pub(super) mod problems;
mod program;
mod provision;
mod requests;
pub(super) mod values;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::Value;
use std::sync::LazyLock;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let described = super::described().into_openapi();
    // It is made of strings and maps: there is nothing in it that JSON has not.
    finish::finished(serde_json::to_value(described).unwrap_or_default())
});

static TEXT: LazyLock<Bytes> = LazyLock::new(|| Bytes::from(DOCUMENT.to_string()));

/// The OpenAPI document of the API, as `/openapi.json` has it.
#[must_use]
pub fn document() -> &'static Value {
    &DOCUMENT
}

/// This document.
#[utoipa::path(
    get,
    path = "/openapi.json",
    operation_id = "get_openapi",
    tag = "operations",
    responses((status = 200, description = "OpenAPI 3.1", body = Object))
)]
pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], TEXT.clone()).into_response()
}
