//! Tenants, trunks, numbers, users and keys, made and changed over HTTP: who may, what the file names, what another tenant
//! sees, and that what was made is there after a restart.

use crate::support::{Answer, Board, KEY, call_with, databases};
use api::Scope;
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use serde_json::{Value, json};
use switch::Command;

async fn key(board: &Board, tenant: &str, scope: Scope) -> String {
    api::create_key(board.ledger.store(), tenant, &[scope], 1).await.unwrap()
}

async fn delete_as(board: &Board, key: &str, path: &str) -> Answer {
    let request = Request::delete(path).header(header::AUTHORIZATION, format!("Bearer {key}"));
    board.send(request.body(Body::empty()).unwrap()).await
}

#[track_caller]
fn made(answer: &Answer) -> Value {
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    answer.json()
}

/// How often the switch was told of other tenants, trunks, numbers and users.
fn told(board: &Board) -> usize {
    board.inbox.taken().iter().filter(|command| matches!(command, Command::Provision(_))).count()
}

fn trunk() -> Value {
    json!({ "name": "second", "profile": "generic", "uri": "sip:sbc.example.com;transport=tcp", "username": "us",
            "password": "a-secret-of-the-trunk", "max_cps": 5, "accept_from": ["192.0.2.0/24"] })
}

#[tokio::test]
async fn what_was_made_is_in_force_at_once_and_after_a_restart_on_both_databases() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        made(&board.post("/v1/tenants", json!({ "name": "acme", "sip_domain": "ACME.example.com" })).await);
        made(&board.post("/v1/trunks", trunk()).await);
        let number = json!({ "number": "+18325550177", "tenant": "acme", "answer": { "play": "welcome" } });
        let answer = board.post("/v1/numbers", number).await;
        assert_eq!(answer.header("location"), "/v1/numbers/+18325550177");
        made(&answer);
        made(&board.post("/v1/users?tenant=acme", json!({ "name": "alice", "password": "wonderland" })).await);
        assert_eq!(told(&board), 4, "the switch hears of each");
        let acme = key(&board, "acme", Scope::Admin).await;
        let call = call_with(json!({ "from": "+18325550177", "trunk": "second" }));
        assert_eq!(board.post_as(&acme, "/v1/calls", call.clone()).await.status, StatusCode::CREATED);

        let board = board.again().await;
        let provisioning = board.registry.provisioning();
        assert_eq!(provisioning.numbers.iter().filter(|number| number.tenant == "acme").count(), 1);
        let trunk = provisioning.trunks.iter().find(|trunk| trunk.name.as_str() == "second").unwrap();
        assert_eq!((trunk.password.as_ref().unwrap().expose(), trunk.max_cps), ("a-secret-of-the-trunk", 5));
        let alice = provisioning.registrar.users.iter().find(|user| user.name == "alice").unwrap();
        assert_eq!((alice.password.expose(), &*alice.tenant), ("wonderland", "acme"));
        assert_eq!(provisioning.tenants["acme"].account_sid.len(), 34);
        assert_eq!(board.post_as(&acme, "/v1/calls", call).await.status, StatusCode::CREATED);
        let shown = board.get("/v1/trunks/second").await;
        assert_eq!(shown.json()["config"]["username"], "us");
        assert!(!shown.text.contains("a-secret") && !board.get("/v1/users?tenant=acme").await.text.contains("wonder"));
    }
}

#[tokio::test]
async fn secrets_are_sealed_in_the_database() {
    let board = Board::new().await;
    made(&board.post("/v1/trunks", trunk()).await);
    made(&board.post("/v1/users", json!({ "name": "bob", "password": "builder" })).await);
    let sealed = "SELECT count(*) FROM provisioned WHERE secret IS NOT NULL";
    assert_eq!(crate::support::number(&board.url, sealed).await, 2);
    let plain = "SELECT count(*) FROM provisioned WHERE document LIKE '%secret%' OR secret LIKE '%builder%'";
    assert_eq!(crate::support::number(&board.url, plain).await, 0);
}

#[tokio::test]
async fn what_the_file_names_is_read_only_and_wins_over_what_was_made() {
    let board = Board::new().await;
    for (path, body) in [
        ("/v1/tenants/other", json!({ "trunk_access": false })),
        ("/v1/trunks/sim", json!({ "max_cps": 3 })),
        ("/v1/numbers/+18325550100", json!({ "answer": { "hangup": true } })),
    ] {
        board.post(path, body).await.is_problem(409, "managed_by_file");
        delete_as(&board, KEY, path).await.is_problem(409, "managed_by_file");
    }
    board
        .post("/v1/trunks", json!({ "name": "sim", "uri": "sip:x.example.com" }))
        .await
        .is_problem(409, "trunk_exists");
    assert_eq!(told(&board), 0, "nothing has changed");

    made(&board.post("/v1/numbers", json!({ "number": "desk", "answer": { "echo": true } })).await);
    let mut file = crate::support::directory();
    file.numbers.insert("desk".into(), file.numbers["menu"].clone());
    let aside = board.registry.reload(file).await.unwrap();
    assert_eq!(aside.len(), 1);
    assert!(aside[0].contains("\"desk\" is in the configuration file, which wins"), "{aside:?}");
    let desk = board.get("/v1/numbers/desk").await.json();
    assert_eq!((&desk["answer"], &desk["managed_by"]), (&Value::Null, &json!("file")));
    board.registry.reload(crate::support::directory()).await.unwrap();
    assert_eq!(board.get("/v1/numbers/desk").await.json()["managed_by"], "api", "it comes forth again");
}

#[tokio::test]
async fn a_change_says_what_is_given_and_keeps_the_rest() {
    let board = Board::new().await;
    made(&board.post("/v1/trunks", trunk()).await);
    let changed = board.post("/v1/trunks/second", json!({ "max_cps": 9, "accept_from": null })).await.json();
    assert_eq!((&changed["config"]["max_cps"], &changed["config"]["username"]), (&json!(9), &json!("us")));
    assert_eq!(changed["config"]["accept_from"], json!([]));
    let trunk = board.registry.provisioning().trunks.pop().unwrap();
    assert_eq!(trunk.password.unwrap().expose(), "a-secret-of-the-trunk", "what was not given stays");
    assert_eq!(delete_as(&board, KEY, "/v1/trunks/second").await.status, StatusCode::NO_CONTENT);
    board.get("/v1/trunks/second").await.is_problem(404, "trunk_not_found");
    let call = call_with(json!({ "trunk": "second" }));
    board.post("/v1/calls", call).await.is_problem(400, "unknown_trunk");
}

#[tokio::test]
async fn what_is_wrong_is_named_with_its_field_and_changes_nothing() {
    let board = Board::new().await;
    for (path, body, code, field) in [
        ("/v1/tenants", json!({}), "missing_field", "name"),
        ("/v1/tenants", json!({ "name": "a/b" }), "invalid_value", "name"),
        ("/v1/tenants", json!({ "name": "a", "trunk_acess": true }), "unknown_field", "trunk_acess"),
        ("/v1/tenants", json!({ "name": "a", "sip_domain": "a b" }), "invalid_value", "sip_domain"),
        ("/v1/trunks", json!({ "name": "t" }), "missing_field", "uri"),
        ("/v1/trunks", json!({ "name": "t", "uri": "http://x" }), "invalid_value", "uri"),
        ("/v1/trunks", json!({ "name": "t", "uri": "sip:x.example", "username": "u" }), "invalid_value", "password"),
        ("/v1/trunks", json!({ "name": "t", "uri": "sip:x.example", "max_cps": 0 }), "invalid_value", "max_cps"),
        ("/v1/trunks", json!({ "name": "t", "uri": "sip:x", "accept_from": ["x"] }), "invalid_value", "accept_from.0"),
        ("/v1/numbers", json!({ "number": "+1832" }), "invalid_number", "number"),
        ("/v1/numbers", json!({ "number": "a b" }), "invalid_value", "number"),
        ("/v1/numbers", json!({ "number": "x", "tenant": "nobody" }), "unknown_tenant", "tenant"),
        ("/v1/numbers", json!({ "number": "x", "answer": { "paly": "welcome" } }), "invalid_answer", "answer"),
        ("/v1/numbers", json!({ "number": "x", "answer": { "play": "nothing" } }), "unknown_prompt", "answer"),
        ("/v1/users", json!({ "name": "a" }), "missing_field", "password"),
        ("/v1/users", json!({ "name": "a@b", "password": "x" }), "invalid_value", "name"),
        ("/v1/keys", json!({}), "missing_field", "scope"),
        ("/v1/keys", json!({ "scope": "root" }), "invalid_value", "scope"),
    ] {
        let problem = board.post(path, body.clone()).await.is_problem(400, code);
        assert!(problem["field"].as_str().unwrap().starts_with(field), "{path} {body}: {problem}");
    }
    assert_eq!(told(&board), 0);
    assert_eq!(crate::support::number(&board.url, "SELECT count(*) FROM provisioned").await, 0);
}

#[tokio::test]
async fn an_operator_makes_tenants_trunks_and_numbers_and_an_admin_what_is_its_tenants() {
    let board = Board::new().await;
    let (admin, calls) = (key(&board, "other", Scope::Admin).await, key(&board, "other", Scope::Calls).await);
    for (path, body) in [
        ("/v1/tenants", json!({ "name": "mine" })),
        ("/v1/trunks", trunk()),
        ("/v1/numbers", json!({ "number": "+18325550188" })),
        ("/v1/keys", json!({ "scope": "operator" })),
    ] {
        board.post_as(&admin, path, body).await.is_problem(403, "insufficient_scope");
    }
    let user = json!({ "name": "carol", "password": "secret" });
    board.post_as(&calls, "/v1/users", user.clone()).await.is_problem(403, "insufficient_scope");
    assert_eq!(made(&board.post_as(&admin, "/v1/users", user).await)["tenant"], "other");
    made(&board.post("/v1/numbers?tenant=other", json!({ "number": "+18325550188" })).await);
    let path = "/v1/numbers/+18325550188";
    let changed = board.post_as(&admin, path, json!({ "answer": { "play": "welcome" } })).await;
    assert_eq!(changed.json()["answer"][0]["play"], "welcome", "{}", changed.text);
    board.post_as(&admin, path, json!({ "tenant": "default" })).await.is_problem(403, "insufficient_scope");
    delete_as(&board, &admin, path).await.is_problem(403, "insufficient_scope");
    let trunks = board.get_as(&admin, "/v1/trunks").await.json();
    assert_eq!(trunks["items"][0].as_object().unwrap().keys().collect::<Vec<_>>(), ["name", "status"]);
}

#[tokio::test]
async fn another_tenants_is_not_there() {
    let board = Board::new().await;
    let stranger = key(&board, "inward", Scope::Admin).await;
    made(&board.post("/v1/users?tenant=other", json!({ "name": "dave", "password": "secret" })).await);
    let id = made(&board.post("/v1/keys?tenant=other", json!({ "scope": "read" })).await)["id"].clone();
    let id = format!("/v1/keys/{}", id.as_str().unwrap());
    for (path, code) in [
        ("/v1/tenants/other", "tenant_not_found"),
        ("/v1/numbers/+18325550101", "number_not_found"),
        ("/v1/users/dave", "user_not_found"),
        ("/v1/users?tenant=other", "tenant_not_found"),
        ("/v1/numbers?tenant=other", "tenant_not_found"),
        ("/v1/keys?tenant=other", "tenant_not_found"),
        (&id, "key_not_found"),
    ] {
        board.get_as(&stranger, path).await.is_problem(404, code);
        if !path.contains('?') {
            board.post_as(&stranger, path, json!({})).await.is_problem(404, code);
            delete_as(&board, &stranger, path).await.is_problem(404, code);
        }
    }
    for list in ["/v1/tenants", "/v1/numbers", "/v1/users", "/v1/keys"] {
        let text = board.get_as(&stranger, list).await.text;
        assert!(!text.contains("other") && !text.contains("dave"), "{list}: {text}");
    }
}

#[tokio::test]
async fn a_key_is_shown_once_changed_and_gone_at_once() {
    let board = Board::new().await;
    let created = made(&board.post("/v1/keys", json!({ "scope": "calls", "name": "billing" })).await);
    let (secret, id) = (created["key"].as_str().unwrap(), created["id"].as_str().unwrap());
    let path = format!("/v1/keys/{id}");
    let shown = board.get(&path).await;
    assert!(!shown.text.contains(secret));
    assert_eq!((&shown.json()["name"], &shown.json()["scope"]), (&json!("billing"), &json!("calls")));
    assert_eq!(board.get_as(secret, "/v1/calls").await.header("ratelimit-limit"), "100000");
    let changed = board.post(&path, json!({ "scope": "read", "api_requests_per_minute": 7 })).await;
    assert_eq!(changed.json()["name"], "billing", "{}", changed.text);
    board.post_as(secret, "/v1/calls", call_with(json!({}))).await.is_problem(403, "insufficient_scope");
    assert_eq!(board.get_as(secret, "/v1/calls").await.header("ratelimit-limit"), "7");
    assert_eq!(delete_as(&board, KEY, &path).await.status, StatusCode::NO_CONTENT);
    board.get_as(secret, "/v1/calls").await.is_problem(401, "invalid_key");
    let listed = board.get("/v1/keys").await.json();
    let bootstrap = &listed["items"][0];
    assert_eq!((&bootstrap["name"], &bootstrap["scope"]), (&json!("api.bootstrap_key"), &json!("operator")));
    let path = format!("/v1/keys/{}", bootstrap["id"].as_str().unwrap());
    delete_as(&board, KEY, &path).await.is_problem(409, "managed_by_file");
}

#[tokio::test]
async fn a_tenant_goes_last() {
    let board = Board::new().await;
    made(&board.post("/v1/tenants", json!({ "name": "brief" })).await);
    made(&board.post("/v1/users?tenant=brief", json!({ "name": "eve", "password": "secret" })).await);
    delete_as(&board, KEY, "/v1/tenants/brief").await.is_problem(409, "tenant_in_use");
    assert_eq!(delete_as(&board, KEY, "/v1/users/eve?tenant=brief").await.status, StatusCode::NO_CONTENT);
    assert_eq!(delete_as(&board, KEY, "/v1/tenants/brief").await.status, StatusCode::NO_CONTENT);
    board.get("/v1/tenants/brief").await.is_problem(404, "tenant_not_found");
}

#[tokio::test]
async fn lists_come_in_pages_and_from_memory_while_the_database_is_away() {
    let board = Board::new().await;
    for name in ["u1", "u2", "u3"] {
        made(&board.post("/v1/users", json!({ "name": name, "password": "secret" })).await);
    }
    board.ledger.store().close().await;
    let first = board.get("/v1/users?limit=2").await.json();
    assert_eq!((first["items"].as_array().unwrap().len(), &first["next_cursor"]), (2, &json!("u2")));
    let second = board.get("/v1/users?limit=2&cursor=u2").await.json();
    assert_eq!((second["items"].as_array().unwrap().len(), &second["next_cursor"]), (1, &Value::Null));
    let before = told(&board);
    let refused = board.post("/v1/users", json!({ "name": "u4", "password": "secret" })).await;
    refused.is_problem(503, "database_unavailable");
    board.get("/v1/users/u4").await.is_problem(404, "user_not_found");
    assert_eq!(told(&board), before, "what is not kept is not in force");
}

#[tokio::test]
async fn a_tenants_keys_share_its_rate() {
    let board = Board::new().await;
    made(&board.post("/v1/tenants", json!({ "name": "slow", "api_requests_per_minute": 3 })).await);
    let (one, two) = (key(&board, "slow", Scope::Read).await, key(&board, "slow", Scope::Read).await);
    assert_eq!(board.get_as(&one, "/v1/calls").await.header("ratelimit-remaining"), "2");
    assert_eq!(board.get_as(&two, "/v1/calls").await.header("ratelimit-remaining"), "1");
    assert_eq!(board.get_as(&one, "/v1/calls").await.header("ratelimit-remaining"), "0");
    let refused = board.get_as(&two, "/v1/calls").await;
    let problem = refused.is_problem(429, "rate_limited");
    assert!(problem["detail"].as_str().unwrap().contains("all keys of this tenant together"), "{problem}");
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 0);
    assert_eq!(board.get("/v1/calls").await.status, StatusCode::OK, "another tenant is not held up");
}

/// A tenant with limits and a number, and a key of it.
async fn limited(board: &Board, limits: Value) -> String {
    made(&board.post("/v1/tenants", json!({ "name": "tight", "limits": limits })).await);
    made(&board.post("/v1/numbers?tenant=tight", json!({ "number": "+18325550155" })).await);
    key(board, "tight", Scope::Calls).await
}

async fn call_to(board: &Board, key: &str, to: &str) -> Answer {
    board.post_as(key, "/v1/calls", call_with(json!({ "from": "+18325550155", "to": to }))).await
}

#[tokio::test]
async fn a_tenants_calls_go_where_they_are_let_and_the_limit_that_refuses_is_named() {
    let board = Board::new().await;
    let key = limited(&board, json!({ "countries": ["DE"], "premium_ranges": ["+1900555"] })).await;
    for (to, code) in [
        ("+18325550199", "country_not_open"),
        ("+442079460018", "country_not_open"),
        ("+4900000000", "unknown_range"),
        ("+499001234567", "premium_not_open"),
    ] {
        assert_eq!(call_to(&board, &key, to).await.is_problem(403, code)["field"], "to");
    }
    for to in ["+4930901820", "+19005551234"] {
        assert_eq!(call_to(&board, &key, to).await.status, StatusCode::CREATED, "{to}");
    }
    let unsaid = call_with(json!({ "to": "+19005551234" }));
    board.post("/v1/calls", unsaid).await.is_problem(403, "premium_not_open");
}

#[tokio::test]
async fn a_tenant_has_so_many_calls_at_once_a_second_and_a_day() {
    let board = Board::new().await;
    let key = limited(&board, json!({ "concurrent_calls": 1 })).await;
    let sid = call_to(&board, &key, "+18325550199").await.sid();
    let refused = call_to(&board, &key, "+18325550199").await;
    refused.is_problem(429, "concurrent_calls_reached");
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(board.post("/v1/calls", call_with(json!({}))).await.status, StatusCode::CREATED, "another tenant's");
    board.completes(sid);
    // Whoever asks at the same time does not get the same place.
    let asked: Vec<_> = (0..8).map(|_| call_to(&board, &key, "+18325550199")).collect();
    let answers: Vec<u16> = futures_util::future::join_all(asked).await.iter().map(|a| a.status.as_u16()).collect();
    assert_eq!(answers.iter().filter(|status| **status == 201).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 429).count(), 7, "{answers:?}");

    // None a second: what any other number lets in depends on how fast this is run.
    let change = json!({ "limits": { "calls_per_second": 0, "minutes_per_day": 10, "spend_per_day": "12.50" } });
    let changed = board.post("/v1/tenants/tight", change).await.json();
    assert_eq!(changed["limits"]["spend_per_day"], 12.5);
    let refused = call_to(&board, &key, "+18325550199").await;
    refused.is_problem(429, "calls_per_second_reached");
    assert_eq!(refused.header("retry-after"), "1");
    for (billable_ms, spent, code) in
        [(600_000, 0, "minutes_per_day_reached"), (0, 12_500_000, "spend_per_day_reached")]
    {
        let mut sip = api::SipHealth::clone(&board.sip.load());
        sip.usage.insert("tight".into(), switch::Usage { live: 0, billable_ms, spent });
        board.sip.store(sip.into());
        let refused = call_to(&board, &key, "+18325550199").await;
        refused.is_problem(429, code);
        assert!((1..=86_400).contains(&refused.header("retry-after").parse::<u64>().unwrap()));
    }
    for (limits, field) in [
        (json!({ "countries": ["Germany"] }), "limits.countries"),
        (json!({ "premium_ranges": ["1900"] }), "limits.premium_ranges"),
        (json!({ "spend_per_day": "much" }), "limits.spend_per_day"),
        (json!({ "minutes_per_day": -1 }), "limits.minutes_per_day"),
        (json!({ "minutes_a_day": 1 }), "limits.minutes_a_day"),
    ] {
        let answer = board.post("/v1/tenants/tight", json!({ "limits": limits })).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["field"]), (400, &json!(field)), "{}", answer.text);
    }
}

#[tokio::test]
async fn what_a_tenant_has_used_today_is_known_after_a_restart() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        let sid = board.call().await;
        board.completes(sid);
        board.settle().await;
        let used = board.ledger.store().used_between(0, u64::MAX).await.unwrap();
        assert!(used.get("default").is_some_and(|used| used.billable_ms > 0), "{used:?}");
        assert!(board.ledger.store().used_between(u64::MAX >> 2, u64::MAX).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_user_of_another_tenant_is_not_taken_over_by_one_of_the_same_name() {
    let board = Board::new().await;
    for (name, domain) in [("mine", json!(null)), ("theirs", json!(null)), ("apart", json!("apart.example.com"))] {
        made(&board.post("/v1/tenants", json!({ "name": name, "sip_domain": domain })).await);
    }
    let user = json!({ "name": "vic", "password": "victim" });
    made(&board.post("/v1/users?tenant=mine", user.clone()).await);
    let refused = board.post("/v1/users?tenant=theirs", user.clone()).await;
    assert_eq!(refused.is_problem(409, "user_exists")["field"], "name");
    made(&board.post("/v1/users?tenant=apart", user).await);
    let joined = board.post("/v1/tenants/apart", json!({ "sip_domain": null })).await;
    assert_eq!(joined.is_problem(409, "user_exists")["field"], "sip_domain");
    let trunk = json!({ "name": "sly", "uri": "sip:127.0.0.1", "username": "u\r\nX: y" });
    assert_eq!(board.post("/v1/trunks", trunk).await.is_problem(400, "invalid_value")["field"], "username");
}
