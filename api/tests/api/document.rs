//! The OpenAPI document: what is in it, and that it is true.

use crate::support::{Answer, Board};
use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::Value;

/// Every operation: path, method, itself.
pub fn operations() -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
    let paths = api::document()["paths"].as_object().unwrap();
    paths.iter().flat_map(|(path, item)| {
        item.as_object().unwrap().iter().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

/// Holds an answer to what the document says of its operation: the status, the content type, a problem's code. What the
/// document does not know is the router's to refuse.
#[track_caller]
pub fn holds(method: &Method, path: &str, answer: &Answer) {
    let method = method.as_str().to_ascii_lowercase();
    let Some((template, _, operation)) =
        operations().find(|(template, known, _)| *known == method && fits(template, path))
    else {
        assert!(matches!(answer.status.as_u16(), 404 | 405) || method == "head", "{method} {path} is not described");
        return;
    };
    let status = answer.status.as_str();
    let said = &operation["responses"][status];
    assert!(said.is_object(), "{method} {template}: nothing is said of {status}: {}", answer.text);
    let kind = answer.header("content-type").split(';').next().unwrap();
    if kind.is_empty() {
        return;
    }
    let content = &said["content"][kind];
    assert!(content.is_object(), "{method} {template}: nothing is said of {status} as {kind}");
    if kind == "application/problem+json" {
        let codes = content["schema"]["allOf"][1]["properties"]["code"]["enum"].as_array().unwrap();
        let code = &answer.json()["code"];
        assert!(codes.contains(code), "{method} {template}: nothing is said of {code}");
    }
}

/// Whether a path is one of a template's, in which `{name}` is any one segment.
fn fits(template: &str, path: &str) -> bool {
    let same = template.split('/').zip(path.split('/')).all(|(told, asked)| told.starts_with('{') || told == asked);
    same && template.split('/').count() == path.split('/').count()
}

#[tokio::test]
async fn it_is_served_to_anybody_and_says_of_each_operation_what_it_wants_and_what_may_go_wrong() {
    let board = Board::new().await;
    let served = board.send(Request::get("/openapi.json").body(Body::empty()).unwrap()).await;
    assert_eq!((served.status.as_u16(), served.header("content-type")), (200, "application/json"));
    assert_eq!(&served.json(), api::document());
    let mut ids = Vec::new();
    for (path, method, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap();
        assert!(!ids.contains(&id), "{id} stands twice");
        ids.push(id);
        assert!(operation["summary"].as_str().is_some_and(|summary| summary.len() > 5), "{method} {path}");
        let keyed = path.starts_with("/v1/");
        assert_eq!(operation["security"].as_array().unwrap().is_empty(), !keyed, "{method} {path}");
        assert_eq!(operation["responses"].get("401").is_some(), keyed, "{method} {path}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            assert!(parameter["description"].is_string(), "{method} {path} {}", parameter["name"]);
        }
    }
}

#[test]
fn every_reference_leads_somewhere_and_every_problem_is_in_the_catalogue() {
    fn references(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let (document, mut found) = (api::document(), Vec::new());
    references(document, &mut found);
    assert!(found.len() > 100);
    for reference in found {
        let place = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(place).is_some(), "{reference} leads nowhere");
    }
    let codes = document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"].as_array().unwrap();
    for (path, method, operation) in operations() {
        for code in operation["x-problems"].as_array().into_iter().flatten() {
            assert!(codes.contains(code), "{method} {path}: {code} is not in the catalogue of problems");
        }
    }
}

#[tokio::test]
async fn its_page_is_whole_and_asks_nobody_else_for_anything() {
    let board = Board::new().await;
    for (path, status) in [("/docs", 308), ("/docs/", 200), ("/docs/swagger-ui-bundle.js", 200), ("/docs/nothing", 404)]
    {
        let response = board.raw(Request::get(path).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status().as_u16(), status, "{path}");
        if status == 200 {
            let policy = response.headers()["content-security-policy"].to_str().unwrap();
            assert!(policy.starts_with("default-src 'self';") && !policy.contains("http"), "{policy}");
        }
    }
}

/// The guide for those who come from FreeSWITCH names routes and verbs: each is one that there is.
#[test]
fn the_guide_from_freeswitch_names_nothing_that_is_not_there() {
    let guide = include_str!("../../../docs/from-freeswitch.md");
    let (mut routes, mut verbs) = (0, 0);
    for code in guide.split('`').skip(1).step_by(2) {
        let (method, path) = code.split_once(' ').unwrap_or(("GET", code));
        if path.starts_with("/v1/") && ["GET", "POST", "PUT", "DELETE"].contains(&method) {
            let path = path.split('?').next().unwrap_or_default();
            let is_it = |(template, known, _): &(&str, &str, &Value)| {
                known.eq_ignore_ascii_case(method) && fits(template, path)
            };
            assert!(operations().any(|operation| is_it(&operation)), "there is no {method} {path}");
            routes += 1;
        }
        let Ok(Value::Object(body)) = serde_json::from_str::<Value>(code) else { continue };
        let is_program =
            body.keys().any(|key| ["play", "say", "pause", "gather", "conference", "refer"].contains(&&**key));
        if is_program || body.get("bridge").is_some_and(|to| to != "{b}") || body.get("reject").is_some() {
            ivr::Answer::parse(&Value::Object(body)).unwrap_or_else(|error| panic!("{code}: {}", error.message));
            verbs += 1;
        }
    }
    assert!(routes > 25 && verbs > 10, "{routes} routes, {verbs} verbs");
}
