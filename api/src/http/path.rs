//! The parameters of a path.

use super::problem::Problem;
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;

/// The one parameter of a route's path, decoded. Where that is no text, there is nothing at the path.
pub(super) struct Named(pub(super) String);

/// The two parameters of a route's path, in their order, as [`Named`].
pub(super) struct Pair(pub(super) String, pub(super) String);

fn nothing<E>(_: E) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "not_found", "there is nothing at this path")
}

impl<S: Send + Sync> FromRequestParts<S> for Pair {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Path::from_request_parts(parts, state).await.map(|Path((one, other))| Self(one, other)).map_err(nothing)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Path::from_request_parts(parts, state).await.map(|Path(name)| Self(name)).map_err(nothing)
    }
}
