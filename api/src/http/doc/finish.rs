//! What every operation has in common, added to what the handlers say of themselves.

use super::problems::{ALWAYS, KNOWN, Known, WITH_BODY, WITH_KEY, WITH_QUERY, find};
use super::requests;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Where an operation names its own problems.
const OWN_PROBLEMS: &str = "x-problems";

/// Words of HTTP that an item of a path may have as methods.
const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

/// The whole document, of what utoipa made of the handlers and their types.
pub(super) fn finished(mut document: Value) -> Value {
    document["openapi"] = "3.1.0".into();
    document["info"] = json!({
        "title": "Tandem",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "A SIP/RTP softswitch in one binary. Errors are application/problem+json (RFC 9457) with a stable \
                        `code`. What is another tenant's is not there: 404. Lists have `items` and a `next_cursor`, which \
                        the next page takes as `cursor`; null: it was the last.",
        "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
    });
    document["servers"] = json!([{ "url": "/" }]);
    if let Some(paths) = document["paths"].as_object_mut() {
        for (path, item) in paths {
            for method in METHODS {
                if let Some(operation) = item.get_mut(method) {
                    complete(path, operation);
                }
            }
        }
    }
    if let Some(answers) = document["components"]["schemas"].as_object_mut() {
        let all = answers.clone();
        answers.values_mut().for_each(|schema| whole(schema, &all));
        answers.extend(requests::schemas());
        answers.insert("Problem".to_owned(), problem());
    }
    document["components"]["securitySchemes"] = json!({
        "bearer": {
            "type": "http", "scheme": "bearer",
            "description": "`Authorization: Bearer tandem_…`; `tandem key create` makes a key.",
        },
        "key": { "type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same key." },
    });
    document["components"]["headers"] = headers();
    link(&mut document);
    document
}

fn complete(path: &str, operation: &mut Value) {
    let keyed = path.starts_with("/v1/");
    operation["security"] = if keyed { json!([{ "bearer": [] }, { "key": [] }]) } else { json!([]) };
    let mut codes: Vec<&str> = ALWAYS.to_vec();
    if keyed {
        codes.extend(WITH_KEY);
        codes.extend(if operation.get("requestBody").is_some() { WITH_BODY } else { WITH_QUERY });
    }
    let own = operation[OWN_PROBLEMS].as_array().cloned().unwrap_or_default();
    codes.extend(own.iter().filter_map(Value::as_str));
    let mut by_status: BTreeMap<u16, Vec<&Known>> = BTreeMap::new();
    for known in codes.iter().filter_map(|code| find(code)) {
        let known_with_status = by_status.entry(known.status).or_default();
        if !known_with_status.iter().any(|other| other.code == known.code) {
            known_with_status.push(known);
        }
    }
    for (status, known) in by_status {
        merge(&mut operation["responses"][status.to_string()], answer(status, &known));
    }
    if keyed && let Some(responses) = operation["responses"].as_object_mut() {
        for (status, response) in responses {
            // Whoever has no key has no rate.
            if status != "401" {
                for name in ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"] {
                    response["headers"][name] = json!({ "$ref": format!("#/components/headers/{name}") });
                }
            }
        }
    }
}

/// Adds to what an operation says of a status itself.
fn merge(said: &mut Value, answer: Value) {
    if said.is_null() {
        *said = answer;
        return;
    }
    if let (Some(own), Some(more)) = (said["description"].as_str(), answer["description"].as_str()) {
        said["description"] = format!("{own} {more}").into();
    }
    for part in ["content", "headers"] {
        for (name, value) in answer[part].as_object().into_iter().flatten() {
            said[part][name] = value.clone();
        }
    }
}

/// One status with all the problems that an operation has with it.
fn answer(status: u16, known: &[&Known]) -> Value {
    let codes: Vec<&str> = known.iter().map(|known| known.code).collect();
    let lines: Vec<String> = known.iter().map(|known| format!("`{}`: {}", known.code, known.meaning)).collect();
    let examples: Map<String, Value> = known
        .iter()
        .map(|known| {
            let value = json!({
                "type": "about:blank", "title": title(status), "status": status, "code": known.code, "detail": known.meaning,
            });
            (known.code.to_owned(), json!({ "value": value }))
        })
        .collect();
    let schema = json!({ "allOf": [
        { "$ref": "#/components/schemas/Problem" },
        { "properties": { "code": { "enum": codes }, "status": { "const": status } } },
    ] });
    let mut answer = json!({
        "description": lines.join("; "),
        "content": { "application/problem+json": { "schema": schema, "examples": examples } },
    });
    match status {
        401 => answer["headers"]["WWW-Authenticate"] = json!({ "required": true, "schema": { "type": "string" } }),
        429 | 503 => answer["headers"]["Retry-After"] = json!({ "$ref": "#/components/headers/Retry-After" }),
        _ => {}
    }
    answer
}

fn title(status: u16) -> &'static str {
    axum::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error")
}

fn problem() -> Value {
    let codes: Vec<&str> = KNOWN.iter().map(|known| known.code).collect();
    json!({
        "type": "object",
        "description": "An error (RFC 9457). `code` is part of the contract, `detail` is for people.",
        "required": ["type", "title", "status", "code", "detail"],
        "properties": {
            "type": { "const": "about:blank" },
            "title": { "type": "string" },
            "status": { "type": "integer", "minimum": 400, "maximum": 599 },
            "code": { "type": "string", "enum": codes },
            "detail": { "type": "string", "minLength": 1 },
            "field": { "type": "string", "description": "The field, parameter or header at fault." },
            "errors": {
                "type": "array",
                "description": "All that is wrong, where that may be more than one thing.",
                "items": {
                    "type": "object",
                    "required": ["path", "message"],
                    "properties": { "path": { "type": "string" }, "message": { "type": "string" } },
                },
            },
        },
    })
}

fn headers() -> Value {
    let whole =
        |description: &str| json!({ "description": description, "schema": { "type": "integer", "minimum": 0 } });
    json!({
        "RateLimit-Limit": whole("Requests a minute that this key has."),
        "RateLimit-Remaining": whole("How many of them are left."),
        "RateLimit-Reset": whole("Seconds until all of them are."),
        "Retry-After": whole("Seconds after which to come again."),
    })
}

/// Makes an answer's schema say what holds for every answer: each key is there unless it is never null, and no other.
fn whole(schema: &mut Value, all: &Map<String, Value>) {
    one_object(schema, all);
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    let said = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_said = |name: &str| said.iter().any(|said| said == name);
    let required = properties.iter().filter(|(name, property)| is_said(name) || is_nullable(property));
    let required: Vec<Value> = required.map(|(name, _)| name.as_str().into()).collect();
    schema["required"] = required.into();
    schema["additionalProperties"] = false.into();
}

fn is_nullable(property: &Value) -> bool {
    let null = |value: &Value| value == "null";
    property["type"].as_array().is_some_and(|types| types.iter().any(null))
        || property["oneOf"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| null(&kind["type"])))
}

/// What serde flattens comes as `allOf`; it is one object.
fn one_object(schema: &mut Value, all: &Map<String, Value>) {
    let Some(parts) = schema.get("allOf").and_then(Value::as_array).cloned() else { return };
    let (mut properties, mut required) = (Map::new(), Vec::new());
    for part in &parts {
        let named = part.get("$ref").and_then(Value::as_str).and_then(|place| all.get(place.rsplit('/').next()?));
        let part = named.unwrap_or(part);
        properties.extend(part["properties"].as_object().cloned().unwrap_or_default());
        required.extend(part["required"].as_array().cloned().unwrap_or_default());
    }
    let description = schema["description"].clone();
    *schema = json!({ "type": "object", "properties": properties, "required": required });
    if !description.is_null() {
        schema["description"] = description;
    }
}

/// Links from what makes a thing to what can be done with it (OpenAPI's `links`).
fn link(document: &mut Value) {
    let made = [
        ("/v1/calls", "post", "201", "/v1/calls/{sid}", "sid", "$response.body#/sid"),
        ("/v1/flows/{name}", "put", "201", "/v1/flows/{name}", "name", "$request.path.name"),
        ("/v1/flows/{name}", "put", "200", "/v1/flows/{name}", "name", "$request.path.name"),
    ];
    for (path, method, status, about, parameter, from) in made {
        let paths = document["paths"].as_object().into_iter().flatten();
        let below = paths.filter(|(other, _)| *other == about || other.starts_with(&format!("{about}/")));
        let operations = below.flat_map(|(_, item)| METHODS.iter().filter_map(|method| item.get(method)));
        let ids: Vec<String> = operations.filter_map(|op| op["operationId"].as_str().map(str::to_owned)).collect();
        for id in ids {
            document["paths"][path][method]["responses"][status]["links"][&id] =
                json!({ "operationId": id, "parameters": { parameter: from } });
        }
    }
}
