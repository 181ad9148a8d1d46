//! What is wrong with a request, and what it gets: every line of the issue's *Bad input* that is HTTP's, and more.

use crate::support::{Board, KEY, call, call_with, databases};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use futures_util::StreamExt;
use serde_json::{Value, json};

#[tokio::test]
async fn every_wrong_field_is_named_with_a_stable_code_and_nothing_is_admitted() {
    let board = Board::new().await;
    let table: Vec<(Value, u16, &str, &str)> = vec![
        (json!({ "from": "18325550100" }), 400, "invalid_number", "from"),
        (json!({ "to": "+1 832 555 0100" }), 400, "invalid_number", "to"),
        (json!({ "to": "+08325550100" }), 400, "invalid_number", "to"),
        (json!({ "to": "sip:alice@example.com" }), 400, "invalid_number", "to"),
        (json!({ "to": 18_325_550_100_u64 }), 400, "invalid_value", "to"),
        (json!({ "to": Value::Null }), 400, "missing_field", "to"),
        (json!({ "from": Value::Null }), 400, "missing_field", "from"),
        (json!({ "answer": Value::Null }), 400, "missing_field", "answer"),
        (json!({ "from": "+18325550101" }), 403, "caller_id_not_owned", "from"),
        (json!({ "trunk": "twillio" }), 400, "unknown_trunk", "trunk"),
        (json!({ "trunk": 7 }), 400, "invalid_value", "trunk"),
        (json!({ "answer": { "play": "welcom" } }), 400, "unknown_prompt", "answer"),
        (json!({ "answer": { "play": "broken" } }), 400, "unreadable_prompt", "answer"),
        (json!({ "answer": { "play": "../../etc/passwd" } }), 400, "invalid_answer", "answer.play"),
        (json!({ "answer": { "plai": "welcome" } }), 400, "invalid_answer", "answer.plai"),
        (json!({ "answer": [] }), 400, "invalid_answer", "answer"),
        (json!({ "answer": "hello" }), 400, "invalid_answer", "answer"),
        (json!({ "timeout_s": 0 }), 400, "invalid_value", "timeout_s"),
        (json!({ "timeout_s": 601 }), 400, "invalid_value", "timeout_s"),
        (json!({ "timeout_s": 1.5 }), 400, "invalid_value", "timeout_s"),
        (json!({ "max_duration_s": "60" }), 400, "invalid_value", "max_duration_s"),
        (json!({ "metadata": "x" }), 400, "invalid_value", "metadata"),
        (json!({ "metadata": { "x": "y".repeat(20_000) } }), 400, "invalid_value", "metadata"),
        (json!({ "timeout": 5 }), 400, "unknown_field", "timeout"),
        (json!({ "record": 3 }), 400, "invalid_value", "record"),
        (json!({ "machine_detection": true }), 400, "invalid_value", "machine_detection"),
        (json!({ "machine_detection": "on" }), 400, "invalid_value", "machine_detection"),
        (
            json!({ "machine_detection": { "mode": "enable", "timeout_s": 1 } }),
            400,
            "invalid_value",
            "machine_detection.timeout_s",
        ),
        (
            json!({ "machine_detection": { "mode": "enable", "tmeout_s": 9 } }),
            400,
            "unknown_field",
            "machine_detection.tmeout_s",
        ),
        (json!({ "status_callback": "example.com" }), 400, "invalid_value", "status_callback"),
        (json!({ "status_callback": "file:///etc/passwd" }), 400, "invalid_value", "status_callback"),
        (json!({ "status_callback": 5 }), 400, "invalid_value", "status_callback"),
        (
            json!({ "status_callback": format!("https://a/{}", "x".repeat(2_048)) }),
            400,
            "invalid_value",
            "status_callback",
        ),
        (json!({ "status_callback_events": ["call.ended"] }), 400, "missing_field", "status_callback"),
    ];
    let events = [json!([]), json!("call.ended"), json!(["call.endet"]), json!([7])];
    let events =
        events.map(|events| json!({ "status_callback": "https://a.example", "status_callback_events": events }));
    let events = events.map(|fields| (fields, 400, "invalid_value", "status_callback_events"));
    for (fields, status, code, field) in table.into_iter().chain(events) {
        let refused = board.post("/v1/calls", call_with(fields.clone())).await;
        let problem = refused.is_problem(status, code);
        assert_eq!(problem["field"], field, "{fields}: {problem}");
    }
    assert!(board.inbox.dialled().is_empty());
    assert!(board.ledger.live().is_empty());
}

#[tokio::test]
async fn an_error_says_what_to_write_instead() {
    let board = Board::new().await;
    for (fields, says) in [
        (json!({ "to": "18325550100" }), "+18325550100"),
        (json!({ "timeout": 5 }), "timeout_s"),
        (json!({ "form": "x" }), "`from`"),
        (json!({ "answer": { "play": "welcom" } }), "`welcome`"),
        (json!({ "timeout_s": 9_999 }), "1 to 600"),
    ] {
        let refused = board.post("/v1/calls", call_with(fields)).await;
        assert!(refused.json()["detail"].as_str().unwrap().contains(says), "{}", refused.text);
    }
}

async fn raw(board: &Board, content_type: &str, body: impl Into<Body>) -> crate::support::Answer {
    let request = Request::post("/v1/calls").header("x-api-key", KEY).header(header::CONTENT_TYPE, content_type);
    board.send(request.body(body.into()).unwrap()).await
}

#[tokio::test]
async fn a_body_that_is_no_json_object_of_single_names_is_refused() {
    let board = Board::new().await;
    let twice = r#"{"from":"+18325550100","to":"+18325550199","to":"+18325550198","answer":{"hangup":true}}"#;
    let deep = format!("{{\"answer\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for (body, code) in [
        ("", "bad_json"),
        ("{", "bad_json"),
        ("null", "bad_json"),
        ("[]", "bad_json"),
        ("from=%2B1&to=%2B2", "bad_json"),
        (r#"{"timeout_s":1e400}"#, "bad_json"),
        ("{\"to\":\"\u{1}\"}", "bad_json"),
        (twice, "duplicate_field"),
        (&deep, "bad_json"),
    ] {
        raw(&board, "application/json", body.to_owned()).await.is_problem(400, code);
    }
    for kind in ["application/x-www-form-urlencoded", "text/plain", "", "application/jsonp"] {
        raw(&board, kind, call().to_string()).await.is_problem(415, "unsupported_media_type");
    }
    assert_eq!(raw(&board, "application/json; charset=utf-8", call().to_string()).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_body_beyond_a_mebibyte_gets_413_and_is_not_kept() {
    let board = Board::new().await;
    let body = format!("{{\"metadata\":{{\"x\":\"{}\"}}}}", "y".repeat(10 << 20));
    raw(&board, "application/json", body).await.is_problem(413, "body_too_large");
    let endless = futures_util::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 64 << 10]));
    raw(&board, "application/json", Body::from_stream(endless)).await.is_problem(413, "body_too_large");
}

#[tokio::test]
async fn what_is_not_there_and_what_cannot_be_done_are_problems_too() {
    let board = Board::new().await;
    board.get("/v1/call").await.is_problem(404, "not_found");
    board.get("/nothing").await.is_problem(404, "not_found");
    board.get("/v1/calls/CA0").await.is_problem(404, "call_not_found");
    board.get("/v1/calls/CA00000000000000000000000000000001").await.is_problem(404, "call_not_found");
    board.get("/v1/calls/..%2f..%2fetc%2fpasswd").await.is_problem(404, "call_not_found");
    let request = Request::delete("/v1/calls").header("x-api-key", KEY).body(Body::empty()).unwrap();
    let refused = board.send(request).await;
    refused.is_problem(405, "method_not_allowed");
    assert!(refused.header("allow").contains("POST"), "{:?}", refused.headers);
    let request = Request::post("/health").body(Body::empty()).unwrap();
    board.send(request).await.is_problem(405, "method_not_allowed");
}

#[tokio::test]
async fn parameters_are_known_ones_and_stand_once() {
    let board = Board::new().await;
    for (query, code, field) in [
        ("limit=0", "invalid_parameter", "limit"),
        ("limit=1001", "invalid_parameter", "limit"),
        ("limit=x", "invalid_parameter", "limit"),
        ("cursor=x", "invalid_cursor", "cursor"),
        ("status=done", "invalid_parameter", "status"),
        ("direction=up", "invalid_parameter", "direction"),
        ("limits=5", "unknown_parameter", "limits"),
        ("limit=1&limit=2", "invalid_parameter", "limit"),
        ("api_key=tandem_secret", "unknown_parameter", "api_key"),
    ] {
        let problem = board.get(&format!("/v1/calls?{query}")).await.is_problem(400, code);
        assert_eq!(problem["field"], field, "{problem}");
    }
}

#[tokio::test]
async fn injections_are_text_or_refused_and_never_a_500() {
    for (url, dir) in databases().await {
        inject(&Board::open(dir, &url, 64 << 20).await).await;
    }
}

async fn inject(board: &Board) {
    let sid = board.call().await;
    board.completes(sid);
    board.settle().await;
    for text in ["' OR '1'='1", "'; DROP TABLE calls; --", "\\", "%00", "%27", "\u{202e}", "$1", "a%0d%0ab"] {
        let encoded: String = text.bytes().map(|b| format!("%{b:02x}")).collect();
        for name in ["from", "to", "status", "direction", "cursor", "limit"] {
            let answer = board.get(&format!("/v1/calls?{name}={encoded}")).await;
            assert!([200, 400].contains(&answer.status.as_u16()), "{name}={text}: {}", answer.text);
        }
        board.get(&format!("/v1/calls/{encoded}")).await.is_problem(404, "call_not_found");
    }
    let odd = json!({ "a'; DROP TABLE calls;--": "\u{0}\u{7}", "b": "=cmd()" });
    let made = board.post("/v1/calls", call_with(json!({ "metadata": odd }))).await;
    board.completes(made.sid());
    board.settle().await;
    assert_eq!(board.get(&format!("/v1/calls/{}", made.sid())).await.json()["metadata"], odd);
    assert_eq!(board.get("/v1/calls").await.sids().len(), 2);
}

#[tokio::test]
async fn a_body_that_never_ends_gets_408() {
    let board = Board::new().await;
    board.call().await;
    // From here on time passes as soon as nothing else happens.
    tokio::time::pause();
    let slow =
        futures_util::stream::once(async { Ok::<_, std::io::Error>("{") }).chain(futures_util::stream::pending());
    raw(&board, "application/json", Body::from_stream(slow)).await.is_problem(408, "body_timeout");
}

#[tokio::test]
async fn a_body_in_a_coding_of_http_is_refused_and_one_that_says_it_has_none_is_read() {
    let board = Board::new().await;
    let coded = |coding: &str| {
        let request =
            Request::post("/v1/calls").header("x-api-key", KEY).header(header::CONTENT_TYPE, "application/json");
        request.header(header::CONTENT_ENCODING, coding).body(Body::from(call().to_string())).unwrap()
    };
    board.send(coded("gzip")).await.is_problem(415, "unsupported_media_type");
    assert_eq!(board.send(coded("Identity")).await.status, StatusCode::CREATED);
}

#[tokio::test]
async fn an_error_repeats_little_of_what_was_sent() {
    let board = Board::new().await;
    let long = "x".repeat(70_000);
    for (path, body) in [
        ("/v1/keys", json!({ "scope": long })),
        ("/v1/calls", call_with(json!({ "to": long }))),
        ("/v1/calls", call_with(json!({ "trunk": long }))),
        ("/v1/calls", call_with(json!({ (long.as_str()): 1 }))),
        ("/v1/calls", call_with(json!({ "answer": { "play": long } }))),
        ("/v1/calls", call_with(json!({ "answer": { "flow": long } }))),
        ("/v1/calls", call_with(json!({ "answer": { (long.as_str()): long } }))),
        ("/v1/calls", call_with(json!({ "status_callback": long }))),
        ("/v1/tenants", json!({ "name": long })),
        ("/v1/trunks", json!({ "name": "t", "uri": long })),
        ("/v1/trunks", json!({ "name": "t", "uri": "sip:a", "profile": long })),
        ("/v1/numbers", json!({ "number": long })),
        ("/v1/users", json!({ "name": long, "password": "x" })),
        ("/v1/routes/explain", json!({ "to": long })),
    ] {
        let answer = board.post(path, body).await;
        assert!(answer.status.is_client_error(), "{path}: {}", answer.status);
        assert!(answer.text.len() < 1_000, "{path}: {} octets: {}", answer.text.len(), &answer.text[..300]);
    }
}

#[tokio::test]
async fn a_path_that_is_no_text_leads_nowhere() {
    let board = Board::new().await;
    for path in ["/v1/calls/%ff", "/v1/flows/%c3%28", "/v1/recordings/%ff.wav", "/v1/calls/%80/ladder"] {
        board.get(path).await.is_problem(404, "not_found");
    }
    let mut walked = 0;
    for (path, method, _) in crate::document::operations().filter(|(path, ..)| path.contains('{')) {
        let path: Vec<&str> = path.split('/').map(|part| if part.starts_with('{') { "%ff" } else { part }).collect();
        let request = Request::builder().method(method.to_uppercase().as_str()).uri(path.join("/"));
        let request = request.header("x-api-key", KEY).header(header::CONTENT_TYPE, "application/json");
        board.send(request.body(Body::from("{}")).unwrap()).await.is_problem(404, "not_found");
        walked += 1;
    }
    assert!(walked > 30, "{walked}");
}

#[tokio::test]
async fn a_parameter_that_stands_twice_is_refused_wherever_parameters_are() {
    let board = Board::new().await;
    let explain = json!({ "to": "+18325550199" });
    board.post("/v1/routes/explain?a=1&a=2", explain).await.is_problem(400, "invalid_parameter");
}
