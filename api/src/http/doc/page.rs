//! `/docs`: Swagger UI over `/openapi.json`. Its files are in the binary, and its policy lets it ask nobody else.

use crate::http::problem::Problem;
use axum::extract::Path;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use std::sync::{Arc, LazyLock};
use utoipa_swagger_ui::{Config, serve};

/// Swagger UI sets styles of its own; nothing is fetched from elsewhere, and no other page holds this one.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'";

// Its validator is a server of somebody else's.
static CONFIG: LazyLock<Arc<Config<'static>>> =
    LazyLock::new(|| Arc::new(Config::new(["/openapi.json"]).validator_url("none").deep_linking(true)));

/// The page's files are asked for beside it.
pub(in crate::http) async fn moved() -> Redirect {
    Redirect::permanent("/docs/")
}

pub(in crate::http) async fn index() -> Response {
    file("index.html")
}

pub(in crate::http) async fn asset(Path(path): Path<String>) -> Response {
    file(&path)
}

fn file(path: &str) -> Response {
    let Ok(Some(file)) = serve(path, CONFIG.clone()) else {
        return Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such page").into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, file.content_type.as_str()),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    let mut response = (headers, file.bytes).into_response();
    if file.gzpipped {
        // Whatever shows such a page unpacks it.
        response.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}
