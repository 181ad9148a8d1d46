//! Every route, walked by one tenant with another's ids. The walk is made of the OpenAPI document: a route that is new is
//! walked, and a parameter that is new fails the test until [`Theirs::id`] says what of another tenant's goes there.

use crate::document::operations;
use crate::events::Sse;
use crate::records;
use crate::support::{Answer, Board, KEY, call_with};
use api::{Scope, create_key};
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

/// Routes that do not belong to a tenant, so that both see the same, and why.
const OF_THE_SWITCH: [(&str, &str); 4] = [
    ("/v1/trunks", "trunks are the switch's: who may use them is trunk_access"),
    ("/v1/tenants", "a tenant sees itself"),
    ("/v1/numbers", "a tenant sees its own number"),
    ("/v1/keys", "a tenant sees the key that it asks with"),
];

/// Routes without an id that another tenant may ask for with effects of its own, and what it is answered.
const OWN_EFFECTS: [(&str, &str, u16); 9] = [
    ("post", "/v1/calls", 403), // the example's `from` is the first tenant's
    ("post", "/v1/account/rotate", 200),
    ("post", "/v1/routes/explain", 200), // what the asking tenant's call would meet
    ("post", "/v1/admin/drain", 403),
    ("post", "/v1/tenants", 403), // these three are an operator's to make
    ("post", "/v1/trunks", 403),
    ("post", "/v1/numbers", 403),
    ("post", "/v1/users", 201),
    ("post", "/v1/keys", 201),
];

/// Routes whose ids are a tenant's own names: a PUT of another tenant makes that tenant's own.
const OWN_NAMES: [&str; 1] = ["/v1/flows/{name}"];

/// What the first tenant has.
struct Theirs {
    call: String,
    /// A call of theirs that is in a conference, and which.
    member: String,
    conference: String,
    recording: String,
    flow: String,
    delivery: String,
    user: String,
    key: String,
}

impl Theirs {
    async fn make(board: &Board) -> Self {
        let ended = call_with(json!({ "status_callback": "https://example.com/theirs" }));
        let made = board.post("/v1/calls", ended).await;
        assert_eq!(made.status, 201, "{}", made.text);
        board.completes(made.sid());
        let call = board.recorded(&[(7, Some(100))]).await;
        let (member, conference) = (board.call().await, format!("CF{:032x}", 7));
        let joined = switch::Fact::Joined { conference: conference.clone(), name: "theirs".into() };
        let facts = vec![records::answered(0, 0, 1_764_000_002_000), records::record(0, 0, 1_764_000_003_000, joined)];
        board.happens(member, facts);
        board.settle().await;
        let flow = json!({ "start": "end", "states": { "end": { "hangup": true } } });
        assert_eq!(ask(board, KEY, "put", "/v1/flows/theirs", Some(&flow)).await.status, 201);
        let delivery = board.get("/v1/webhooks").await.json()["items"][0]["id"].as_str().unwrap().to_owned();
        let user = json!({ "name": "theirs", "password": "secret" });
        assert_eq!(board.post("/v1/users", user).await.status, 201);
        let key = board.post("/v1/keys", json!({ "scope": "read", "name": "theirs" })).await.json();
        let (user, key) = ("theirs".to_owned(), key["id"].as_str().unwrap().to_owned());
        Self {
            call: call.to_string(),
            member: member.to_string(),
            conference,
            recording: format!("RE{:032x}", 7),
            flow: "theirs".to_owned(),
            delivery,
            user,
            key,
        }
    }

    /// Their id for the first parameter of a path.
    fn id(&self, path: &str) -> &str {
        match path {
            path if path.starts_with("/v1/conferences/{sid}") => &self.conference,
            path if path.starts_with("/v1/calls/{sid}") => &self.call,
            path if path.starts_with("/v1/recordings/{sid}") => &self.recording,
            path if path.starts_with("/v1/flows/{name}") => &self.flow,
            path if path.starts_with("/v1/webhooks/{id}") => &self.delivery,
            "/v1/tenants/{name}" => "default",
            "/v1/trunks/{name}" => "sim",
            "/v1/numbers/{number}" => "+18325550100",
            "/v1/users/{name}" => &self.user,
            "/v1/keys/{id}" => &self.key,
            path => panic!("{path} is new: say here which id of another tenant's it is walked with"),
        }
    }

    /// A path with their id in it.
    fn path(&self, path: &str) -> String {
        let Some((before, rest)) = path.split_once('{') else { return path.to_owned() };
        let after = rest.split_once('}').unwrap().1.replace("/{call}", &format!("/{}", self.member));
        assert!(!after.contains('{'), "{path} has a second parameter that this walk does not know");
        format!("{before}{}{after}", self.id(path))
    }
}

async fn ask(board: &Board, key: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
    let request = Request::builder().method(method.to_ascii_uppercase().as_str()).uri(path).header("x-api-key", key);
    let request = match body {
        Some(body) => request.header("content-type", "application/json").body(Body::from(body.to_string())),
        None => request.body(Body::empty()),
    };
    board.send(request.unwrap()).await
}

/// What signalling was told of calls.
fn told(board: &Board) -> usize {
    board.inbox.taken().iter().filter(|command| !matches!(command, switch::Command::Provision(_))).count()
}

/// The first example of what an operation takes.
fn example(operation: &Value) -> Option<Value> {
    let reference = operation.pointer("/requestBody/content/application~1json/schema/$ref")?.as_str()?;
    let schema = api::document().pointer(reference.strip_prefix('#')?)?;
    Some(schema["examples"].get(0).unwrap_or_else(|| panic!("{reference} has no example")).clone())
}

/// Everything that can be asked for without changing anything, but for streams, as `key` sees it.
async fn seen(board: &Board, key: &str, theirs: Option<&Theirs>) -> Vec<(String, String)> {
    let mut seen = Vec::new();
    for (path, method, _) in operations().filter(|(path, ..)| path.starts_with("/v1/") && *path != "/v1/events") {
        let path = match theirs {
            Some(theirs) => theirs.path(path),
            None if path.contains('{') => continue,
            None => path.to_owned(),
        };
        if method == "get" {
            let text = ask(board, key, method, &path, None).await.text;
            seen.push((path, text));
        }
    }
    seen
}

#[tokio::test]
async fn with_another_tenants_ids_there_is_nothing_on_any_route() {
    let board = Board::new().await;
    let other = create_key(board.ledger.store(), "other", &[Scope::Admin], 1).await.unwrap();
    let nothing = seen(&board, &other, None).await;
    let theirs = Theirs::make(&board).await;
    let before = seen(&board, KEY, Some(&theirs)).await;
    let (commands, mut walked) = (told(&board), 0);
    for (path, method, operation) in operations().filter(|(path, ..)| path.starts_with("/v1/")) {
        let (body, place) = (example(operation), theirs.path(path));
        if method == "put" && OWN_NAMES.contains(&path) {
            assert_eq!(ask(&board, &other, "put", &place, body.as_ref()).await.status, 201, "{path}");
            assert_eq!(ask(&board, &other, "delete", &place, None).await.status, 204, "{path}");
        } else if path.contains('{') {
            let answer = ask(&board, &other, method, &place, body.as_ref()).await;
            assert_eq!(answer.status, 404, "{method} {path} is not 404, but: {}", answer.text);
            let code = answer.json()["code"].as_str().unwrap().to_owned();
            assert!(code.ends_with("_not_found"), "{method} {path}: {code}");
            walked += 1;
        } else if method != "get" {
            let known = OWN_EFFECTS.iter().find(|(known, at, _)| (*known, *at) == (method, path));
            let (.., status) = known.unwrap_or_else(|| panic!("{method} {path} is new: say what another tenant gets"));
            let answer = ask(&board, &other, method, &place, body.as_ref()).await;
            assert_eq!(answer.status.as_u16(), *status, "{method} {path}: {}", answer.text);
            walked += 1;
        }
    }
    assert!(walked >= 14, "the walk is not over the document: {walked}");
    assert_eq!(told(&board), commands, "signalling was told something");
    assert_eq!(seen(&board, KEY, Some(&theirs)).await, before, "the first tenant sees another's doing");
    let own = |seen: Vec<(String, String)>| -> Vec<_> {
        // Its account, and the user and the key that it has made on the way.
        seen.into_iter().filter(|(path, _)| !["/v1/account", "/v1/users", "/v1/keys"].contains(&&**path)).collect()
    };
    assert_eq!(own(seen(&board, &other, None).await), own(nothing), "a tenant sees another's doing");
}

#[tokio::test]
async fn lists_of_a_tenant_without_anything_are_empty_however_much_another_has() {
    let board = Board::new().await;
    let other = create_key(board.ledger.store(), "other", &[Scope::Admin], 1).await.unwrap();
    let theirs = Theirs::make(&board).await;
    let account = board.get("/v1/account").await.json();
    let secrets =
        ["account_sid", "auth_token", "webhook_secret"].map(|name| account[name].as_str().unwrap().to_owned());
    let marks = [&theirs.call, &theirs.recording, &theirs.flow, &theirs.delivery, "+18325550100", "example.com"]
        .map(str::to_owned);
    for (path, text) in seen(&board, &other, None).await {
        for mark in marks.iter().chain(&secrets) {
            assert!(!text.contains(mark.as_str()), "{path} tells of another tenant's {mark}: {text}");
        }
        let items = serde_json::from_str::<Value>(&text).unwrap()["items"].as_array().cloned();
        let of_nobody = |item: &Value| item["built_in"] == true;
        let switchs = OF_THE_SWITCH.iter().any(|(route, _)| *route == path);
        assert!(switchs || items.unwrap_or_default().iter().all(of_nobody), "{path} is not empty: {text}");
    }
    let by_call = ask(&board, &other, "get", &format!("/v1/recordings?call={}", theirs.call), None).await;
    assert!(by_call.sids().is_empty(), "{}", by_call.text);
}

#[tokio::test]
async fn a_stream_of_events_is_silent_about_another_tenants_calls() {
    let board = Board::new().await;
    let other = create_key(board.ledger.store(), "other", &[Scope::Read, Scope::Calls], 1).await.unwrap();
    let (mut live, mut resumed) = (Sse::open(&board, &other, None).await, Sse::open(&board, &other, Some(0)).await);
    let theirs = board.call().await;
    board.happens(theirs, vec![records::ringing(0, 0, 1_764_000_001_000)]);
    let own = board.post_as(&other, "/v1/calls", call_with(json!({ "from": "+18325550101" }))).await;
    for stream in [&mut live, &mut resumed] {
        let (name, first) = stream.next().await;
        assert_eq!((name.as_str(), first["sid"].as_str()), ("admitted", Some(own.sid().to_string().as_str())));
    }
}

/// The files of the HTTP surface.
fn sources(dir: &std::path::Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else {
            found.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn no_route_is_served_that_the_document_and_so_the_walk_does_not_know() {
    let mut files = Vec::new();
    sources(&std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http"), &mut files);
    let mut beside = Vec::new();
    for (file, text) in &files {
        // `routes!` takes a handler with its description; these take one without.
        let ways = [".route(", ".route_service(", ".nest_service(", ".fallback_service("];
        let lines = text.lines().filter(|line| ways.iter().any(|way| line.contains(way)));
        beside.extend(lines.map(|line| format!("{file}: {}", line.trim())));
    }
    assert_eq!(beside.len(), 3, "{beside:#?}");
    assert!(beside.iter().all(|line| line.contains("\"/docs")), "not in the document: {beside:#?}");
}

#[tokio::test]
async fn a_route_whose_id_the_walk_does_not_know_fails_it() {
    let theirs = Theirs::make(&Board::new().await).await;
    for new in ["/v1/queues/{name}", "/v1/calls/{sid}/legs/{leg}"] {
        let walked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| theirs.path(new)));
        assert!(walked.is_err(), "{new} is walked with nobody's id");
    }
    assert_eq!(theirs.path("/v1/calls/{sid}/events"), format!("/v1/calls/{}/events", theirs.call));
}
