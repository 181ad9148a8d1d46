//! Schemas of values that more than one answer has.

use crate::http::webhooks;
use crate::words::{DIRECTIONS, ORIGINS, STATUSES};
use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};

fn one_of<'a>(words: impl IntoIterator<Item = &'a str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}

/// A call's sid.
pub(in crate::http) fn call_sid() -> Object {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some("^CA[0-9a-f]{32}$")).build()
}

/// A call's sid, or null.
pub(in crate::http) fn call_sid_or_null() -> Object {
    let kinds = SchemaType::from_iter([Type::String, Type::Null]);
    ObjectBuilder::new().schema_type(kinds).pattern(Some("^CA[0-9a-f]{32}$")).build()
}

/// A call's status.
pub(in crate::http) fn status() -> Object {
    one_of(STATUSES.map(switch::Status::as_str))
}

/// Which way a call goes.
pub(in crate::http) fn direction() -> Object {
    one_of(DIRECTIONS.map(crate::words::direction))
}

/// Who ended a call.
pub(in crate::http) fn origin() -> Object {
    one_of(ORIGINS.map(crate::words::origin))
}

/// Which way a message went.
pub(in crate::http) fn way() -> Object {
    one_of(["sent", "received"])
}

/// How a recording stands.
pub(in crate::http) fn recording_status() -> Object {
    one_of(["in-progress", "completed", "absent"])
}

/// How a delivery stands.
pub(in crate::http) fn delivery_status() -> Object {
    one_of(webhooks::STATUSES)
}
