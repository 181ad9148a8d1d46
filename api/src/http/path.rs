//! The parameters of a path.

use super::problem::Problem;
use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, Required};

/// The one parameter of a route's path, decoded. Where that is no text, there is nothing at the path.
pub(super) struct Named(pub(super) String);

/// The two parameters of a route's path, in their order, as [`Named`].
pub(super) struct Pair(pub(super) String, pub(super) String);

/// A sid in a path: of what it is, and the two letters that it begins with.
fn sid(name: &str, of: &str, letters: &str) -> Parameter {
    let pattern = format!("^{letters}[0-9a-f]{{32}}$");
    let schema = ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern));
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Path)
        .required(Required::True)
        .description(Some(format!("The {of}: {letters} and 32 hexadecimal digits.")))
        .schema(Some(RefOr::T(Schema::from(schema.build()))))
        .build()
}

/// `sid`: the call that a path is about.
pub(super) struct OfCall;

impl IntoParams for OfCall {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![sid("sid", "call", "CA")]
    }
}

/// `sid`: the conference that a path is about.
pub(super) struct OfConference;

impl IntoParams for OfConference {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![sid("sid", "conference", "CF")]
    }
}

/// `sid` and `call`: the conference and the member of it that a path is about.
pub(super) struct OfMember;

impl IntoParams for OfMember {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![sid("sid", "conference", "CF"), sid("call", "member", "CA")]
    }
}

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
