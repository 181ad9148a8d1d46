//! Flows: stored, listed, tried, given to calls; a tenant's own. On SQLite and on PostgreSQL.

use crate::support::{Board, KEY, databases};
use api::{Flows, Prompts, Scope, Store, create_key};
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

fn flow(says: &str) -> Value {
    json!({ "start": "hello", "states": { "hello": { "say": says, "next": "end" }, "end": { "hangup": true } } })
}

impl Board {
    async fn put(&self, key: &str, path: &str, body: &Value) -> crate::support::Answer {
        let request = Request::put(path)
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    async fn delete(&self, key: &str, path: &str) -> crate::support::Answer {
        self.send(Request::delete(path).header("authorization", format!("Bearer {key}")).body(Body::empty()).unwrap())
            .await
    }
}

/// A catalogue of its own on the board's database, as another process has it.
async fn catalogue(board: &Board) -> Flows {
    let store = Store::open(&board.url).await.unwrap();
    let commander = crate::support::commander(board.inbox.clone());
    Flows::new(store, Prompts::new(crate::support::BUILTIN, None, commander))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_is_stored_listed_replaced_and_deleted() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        let first = board.put(KEY, "/v1/flows/menu", &flow("one")).await;
        assert_eq!(first.status, 201, "{}", first.text);
        assert_eq!((first.json()["version"].clone(), first.json()["flow"].clone()), (1.into(), flow("one")));
        let same = board.put(KEY, "/v1/flows/menu", &flow("one")).await;
        assert_eq!((same.status.as_u16(), same.json()["version"].clone()), (200, 1.into()));
        let second = board.put(KEY, "/v1/flows/menu", &flow("two")).await;
        assert_eq!((second.status.as_u16(), second.json()["version"].clone()), (200, 2.into()));
        assert_ne!(first.json()["digest"], second.json()["digest"]);
        let all = board.get("/v1/flows").await.json();
        let named: Vec<_> =
            all["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect();
        assert_eq!(named, ["menu", "voicemail"]);
        assert_eq!(board.get("/v1/flows/menu").await.json()["flow"], flow("two"));
        assert_eq!(board.delete(KEY, "/v1/flows/menu").await.status, 204);
        board.get("/v1/flows/menu").await.is_problem(404, "flow_not_found");
        board.delete(KEY, "/v1/flows/menu").await.is_problem(404, "flow_not_found");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_that_goes_round_without_its_caller_is_warned_of() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        let round = json!({ "start": "ask", "states": { "ask": { "http": "https://a.example/x", "next": "ask" } } });
        let stored = board.put(KEY, "/v1/flows/round", &round).await;
        assert_eq!(stored.status, 201, "{}", stored.text);
        let warnings = stored.json()["warnings"].clone();
        assert_eq!(warnings[0]["path"], "flow.states.ask", "{warnings}");
        assert!(warnings[0]["message"].as_str().is_some_and(|says| says.contains("put a `pause`")), "{warnings}");
        assert_eq!(board.get("/v1/flows/round").await.json()["warnings"], warnings);
        assert_eq!(board.put(KEY, "/v1/flows/menu", &flow("one")).await.json()["warnings"], json!([]));
        let tried = board.post("/v1/flows/round/simulate", json!({})).await.json();
        let lines: Vec<&str> =
            tried["transcript"].as_array().unwrap().iter().map(|line| line["text"].as_str().unwrap()).collect();
        assert_eq!(lines.iter().filter(|line| line.starts_with("fetch")).count(), 20, "{lines:#?}");
        assert!(lines.iter().any(|line| line.contains("goes round in a circle")), "{lines:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_belongs_to_its_tenant_and_the_products_own_is_there_for_all() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        let store = Store::open(&url).await.unwrap();
        let other = create_key(&store, "other", &[Scope::Admin], 1).await.unwrap();
        assert_eq!(board.put(KEY, "/v1/flows/voicemail", &flow("mine")).await.status, 201);
        assert_eq!(board.put(KEY, "/v1/flows/menu", &flow("mine")).await.status, 201);
        board.get_as(&other, "/v1/flows/menu").await.is_problem(404, "flow_not_found");
        board.delete(&other, "/v1/flows/menu").await.is_problem(404, "flow_not_found");
        board.delete(&other, "/v1/flows/voicemail").await.is_problem(409, "built_in_flow");
        let shipped: Value = serde_json::from_str(ivr::VOICEMAIL).unwrap();
        assert_eq!(board.get_as(&other, "/v1/flows/voicemail").await.json()["flow"], shipped);
        // What calls get.
        let flows = catalogue(&board).await;
        assert_eq!(flows.for_call("default", "voicemail").await.unwrap().source(), &flow("mine"));
        assert_eq!(flows.for_call("other", "voicemail").await.unwrap().source(), &shipped);
        assert!(flows.for_call("other", "menu").await.is_none());
        // A key that may not.
        let read = create_key(&store, "default", &[Scope::Read], 2).await.unwrap();
        board.put(&read, "/v1/flows/menu", &flow("x")).await.is_problem(403, "insufficient_scope");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_gets_what_was_read_before_while_the_database_is_away() {
    let board = Board::new().await;
    assert_eq!(board.put(KEY, "/v1/flows/menu", &flow("one")).await.status, 201);
    let store = Store::open(&board.url).await.unwrap();
    let commander = crate::support::commander(board.inbox.clone());
    let flows = Flows::new(store.clone(), Prompts::new(crate::support::BUILTIN, None, commander));
    let first = flows.for_call("default", "menu").await.unwrap();
    board.put(KEY, "/v1/flows/menu", &flow("two")).await;
    let second = flows.for_call("default", "menu").await.unwrap();
    assert_eq!((first.source(), second.source()), (&flow("one"), &flow("two")));
    store.close().await;
    assert_eq!(flows.for_call("default", "menu").await.unwrap().source(), &flow("two"));
    assert!(flows.for_call("default", "voicemail").await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mistake_of_a_flow_is_said_with_its_path() {
    let board = Board::new().await;
    let wrong = json!({ "start": "nowhere", "states": { "a": { "say": 5, "next": "b" } } });
    let body = board.put(KEY, "/v1/flows/menu", &wrong).await.is_problem(400, "invalid_flow");
    let errors = body["errors"].as_array().unwrap();
    assert!(errors.len() >= 2, "{body}");
    assert!(errors.iter().all(|error| error["path"].as_str().is_some_and(|path| path.starts_with("flow"))), "{body}");
    let unknown = json!({ "start": "a", "states": { "a": { "play": "no-such-prompt" } } });
    board.put(KEY, "/v1/flows/menu", &unknown).await.is_problem(400, "unknown_prompt");
    board.put(KEY, "/v1/flows/a%20b", &flow("x")).await.is_problem(400, "invalid_name");
    board.get("/v1/flows/menu").await.is_problem(404, "flow_not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flow_is_tried_without_a_call_also_through_the_flows_it_names() {
    let board = Board::new().await;
    assert_eq!(board.put(KEY, "/v1/flows/inner", &flow("from inside")).await.status, 201);
    let outer = json!({ "start": "a", "states": { "a": { "flow": "inner" } } });
    let put = board.put(KEY, "/v1/flows/outer", &outer).await;
    assert_eq!(put.status, 201, "{}", put.text);
    let tried = board.post("/v1/flows/outer/simulate", json!({ "script": [{ "wait_s": 1 }] })).await;
    assert_eq!(tried.status, 200, "{}", tried.text);
    assert!(tried.text.contains("from inside"), "{}", tried.text);
    let wrong = board.post("/v1/flows/outer/simulate", json!({ "script": [{ "pres": "1" }] })).await;
    assert_eq!(wrong.is_problem(400, "invalid_value")["field"], "script.0");
    for step in [json!({ "hangup": false }), json!({ "press": "xyz" }), json!({ "transfer": "canceled" })] {
        let wrong = json!({ "script": [{ "wait_s": 1 }, step] });
        let wrong = board.post("/v1/flows/outer/simulate", wrong).await.is_problem(400, "invalid_value");
        assert_eq!(wrong["field"], "script.1");
    }
    board.post("/v1/flows/none/simulate", json!({})).await.is_problem(404, "flow_not_found");
    assert!(board.inbox.dialled().is_empty());
}
