//! Webhooks: what a receiver gets, however it behaves, over real sockets on loopback.

use crate::records;
use crate::support::{Board, PATIENCE, call, call_with, databases, until};
use api::errands::{Egress, Policy, SystemLookup};
use api::webhooks::{AT_ONCE, AT_ONCE_OF_A_TENANT, Pace, Sender, sign};
use api::{Scope, system_wall};
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use futures_util::StreamExt as _;
use ivr::Timeouts;
use serde_json::{Value, json};
use std::io::Write as _;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;

/// What a receiver was sent: path, headers, body.
type Seen = (String, HeaderMap, String);

/// A receiver that behaves by path: `/well` takes what it is sent once it `works`, `/hang` never answers, `/away`
/// redirects to `/well`, `/endless` never ends.
#[derive(Clone)]
struct Receiver {
    seen: Arc<Mutex<Vec<Seen>>>,
    works: Arc<AtomicBool>,
    url: String,
}

async fn received(State(receiver): State<Receiver>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = head.uri.path().to_owned();
    receiver.seen.lock().unwrap().push((path.clone(), head.headers, String::from_utf8(body.to_vec()).unwrap()));
    let response = Response::builder().header("connection", "close");
    match path.as_str() {
        "/hang" => std::future::pending().await,
        "/away" => {
            response.status(302).header("location", format!("{}/well", receiver.url)).body(Body::empty()).unwrap()
        }
        "/endless" => {
            let chunk = || async { Ok::<_, std::io::Error>(Bytes::from_static(&[b'x'; 1_024])) };
            response.body(Body::from_stream(futures_util::stream::repeat(()).then(move |()| chunk()))).unwrap()
        }
        _ if receiver.works.load(Ordering::Relaxed) => response.status(204).body(Body::empty()).unwrap(),
        _ => response.status(500).body(Body::empty()).unwrap(),
    }
}

impl Receiver {
    async fn new(works: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let receiver = Self { seen: Arc::default(), works: Arc::new(works.into()), url };
        let router = axum::Router::new().fallback(received).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        receiver
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    fn to(&self, path: &str) -> Value {
        call_with(json!({ "status_callback": format!("{}{path}", self.url) }))
    }
}

fn header(seen: &Seen, name: &str) -> String {
    seen.1.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
}

/// Sends what `board` has to send; `allow` may be reached beside the internet.
fn sends(board: &Board, attempts: u32, allow: &[&str]) {
    sends_within(board, attempts, allow, Timeouts { connect_ms: 2_000, read_ms: 300, total_ms: 600 });
}

fn sends_within(board: &Board, attempts: u32, allow: &[&str], timeouts: Timeouts) {
    let policy = Policy::new(allow.iter().map(|net| net.parse().unwrap()).collect());
    let sender = Sender {
        store: board.ledger.store().clone(),
        accounts: board.accounts.clone(),
        egress: Egress::new(policy, Arc::new(SystemLookup)).unwrap(),
        wall: system_wall(),
        progress: board.ledger.follow(),
        pace: Pace {
            first: Duration::from_millis(5),
            longest: Duration::from_millis(20),
            attempts,
            look: Duration::from_millis(5),
            timeouts,
        },
    };
    tokio::spawn(sender.run());
}

const LOOPBACK: &[&str] = &["127.0.0.0/8"];

/// For ever, as far as a test goes.
const MANY: u32 = 1_000_000;

async fn listed(board: &Board, status: &str) -> Vec<Value> {
    let list = board.get(&format!("/v1/webhooks?status={status}")).await;
    assert_eq!(list.status, StatusCode::OK, "{}", list.text);
    list.json()["items"].as_array().unwrap().clone()
}

async fn made(board: &Board, body: Value) -> switch::CallSid {
    let made = board.post("/v1/calls", body).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    made.sid()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_arrive_in_order_signed_under_one_id_until_they_are_taken() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        sends(&board, MANY, LOOPBACK);
        let receiver = Receiver::new(false).await;
        let mut body = receiver.to("/well");
        body["status_callback_events"] = json!(["call.ended", "call.ringing", "call.answered"]);
        let sid = made(&board, body).await;
        board.completes(sid);
        until("a second try", async || receiver.seen().len() > 1).await;
        let failed = receiver.seen();
        assert!(failed.iter().all(|seen| header(seen, "webhook-id") == header(&failed[0], "webhook-id")), "in order");
        receiver.works.store(true, Ordering::Relaxed);
        until("all are delivered", async || listed(&board, "delivered").await.len() == 3).await;
        let secret = board.get("/v1/account").await.json()["webhook_secret"].as_str().unwrap().to_owned();
        let (mut types, mut ids) = (Vec::new(), Vec::new());
        for seen in receiver.seen() {
            let (id, at) = (header(&seen, "webhook-id"), header(&seen, "webhook-timestamp"));
            assert_eq!(header(&seen, "content-type"), "application/json");
            let signature = sign(&secret, &id, at.parse().unwrap(), &seen.2).unwrap();
            assert_eq!(header(&seen, "webhook-signature"), signature);
            let event: Value = serde_json::from_str(&seen.2).unwrap();
            assert_eq!(event["data"]["sid"], sid.to_string());
            types.push(event["type"].as_str().unwrap().to_owned());
            ids.push(id);
        }
        types.dedup();
        ids.dedup();
        assert_eq!(types, ["call.ringing", "call.answered", "call.ended"]);
        assert_eq!(ids.len(), 3);
        let last: Value = serde_json::from_str(&receiver.seen().pop().unwrap().2).unwrap();
        assert_eq!(last["timestamp"], "2025-11-24T16:00:03.000Z");
        let mut shown = board.get(&format!("/v1/calls/{sid}")).await.json();
        assert_eq!(shown["status"], "completed");
        assert_eq!(last["data"]["ended_at"], shown["ended_at"].take());
        verified_by_the_official_library(&secret, &receiver.seen());
    }
}

/// What the Python library of Standard Webhooks says; left out, and said so, where pip cannot install it.
fn verified_by_the_official_library(secret: &str, seen: &[Seen]) {
    let dir = tempfile::tempdir().unwrap();
    let pip = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"])
        .arg(dir.path())
        .arg("standardwebhooks")
        .output();
    if !pip.is_ok_and(|done| done.status.success()) {
        let told = "LEFT OUT: pip cannot install standardwebhooks here; signatures are checked by our own code alone\n";
        let _ = std::io::stderr().write_all(told.as_bytes());
        return;
    }
    const VERIFY: &str = "import json, sys
from standardwebhooks.webhooks import Webhook
asked = json.load(sys.stdin)
for body, headers in asked['seen']:
    Webhook(asked['secret']).verify(body, headers)
    try:
        Webhook(asked['secret']).verify(body + ' ', headers)
    except Exception:
        continue
    sys.exit('a changed body was taken')
";
    let names = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    let headers = |one: &Seen| names.map(|name| (name.to_owned(), json!(header(one, name)))).into_iter().collect();
    let pairs: Vec<_> = seen.iter().map(|one| json!([one.2, Value::Object(headers(one))])).collect();
    let input = dir.path().join("asked.json");
    std::fs::write(&input, json!({ "secret": secret, "seen": pairs }).to_string()).unwrap();
    let file = std::fs::File::open(&input).unwrap();
    let done = Command::new("python3").args(["-c", VERIFY]).env("PYTHONPATH", dir.path()).stdin(file).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_runs_a_document_is_told_of_in_twilios_form_until_it_is_taken_also_after_a_restart() {
    for (url, dir) in databases().await {
        let receiver = Receiver::new(false).await;
        let board = Board::open(dir, &url, 64 << 20).await;
        let mut body = receiver.to("/well");
        body["answer"] = json!({ "url": "https://app.example/voice" });
        body["status_callback_events"] = json!(["initiated", "ringing", "answered", "completed"]);
        let sid = made(&board, body).await;
        board.happens(sid, vec![records::ringing(0, 0, 1_764_000_001_000), records::answered(0, 0, 1_764_000_002_000)]);
        sends(&board, MANY, LOOPBACK);
        until("a second try", async || receiver.seen().len() > 1).await;
        // It ends while the call lives: the next start writes the call's end, and tells it.
        let board = board.again().await;
        assert_eq!(board.recovered.interrupted, [sid]);
        receiver.works.store(true, Ordering::Relaxed);
        sends(&board, MANY, LOOPBACK);
        until("all are delivered", async || listed(&board, "delivered").await.len() == 3).await;
        let account = board.get("/v1/account").await.json();
        let token = account["auth_token"].as_str().unwrap();
        let mut statuses = Vec::new();
        for seen in receiver.seen() {
            let params: Vec<(String, String)> = url::form_urlencoded::parse(seen.2.as_bytes()).into_owned().collect();
            let value = |name: &str| params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
            assert_eq!(header(&seen, "content-type"), "application/x-www-form-urlencoded");
            assert_eq!(header(&seen, "user-agent"), api::errands::egress::USER_AGENT);
            assert_eq!(
                header(&seen, "x-twilio-signature"),
                ivr::signature(token, &format!("{}/well", receiver.url), &params)
            );
            assert_eq!(value("AccountSid"), account["account_sid"].as_str());
            assert_eq!(
                (value("CallSid"), value("CallbackSource")),
                (Some(&*sid.to_string()), Some("call-progress-events"))
            );
            let told = ["CallStatus", "SequenceNumber"].map(|name| value(name).unwrap_or_default().to_owned());
            statuses.push((told, header(&seen, "i-twilio-idempotency-token")));
        }
        statuses.dedup();
        let told: Vec<[&str; 2]> = statuses.iter().map(|(told, _)| told.each_ref().map(String::as_str)).collect();
        assert_eq!(
            told,
            [["ringing", "0"], ["in-progress", "1"], ["completed", "2"]],
            "each under one token, in order"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_hangs_redirects_or_never_ends_holds_nobody_up() {
    let board = Board::new().await;
    sends(&board, 2, LOOPBACK);
    let receiver = Receiver::new(true).await;
    for path in ["/hang", "/away", "/endless", "/well"] {
        let sid = made(&board, receiver.to(path)).await;
        board.completes(sid);
    }
    until("all are settled", async || {
        listed(&board, "pending").await.is_empty() && listed(&board, "dead").await.len() == 2
    })
    .await;
    let of = |items: Vec<Value>| -> Vec<(String, String)> {
        let item = |item: &Value| {
            let path = item["url"].as_str().unwrap().rsplit_once('/').unwrap().1.to_owned();
            (path, item["outcome"].as_str().unwrap().to_owned())
        };
        let mut items: Vec<_> = items.iter().map(item).collect();
        items.sort();
        items
    };
    let pair = |path: &str, outcome: &str| (path.to_owned(), outcome.to_owned());
    let redirect = "HTTP 302: redirections are not followed";
    assert_eq!(of(listed(&board, "dead").await), [pair("away", redirect), pair("hang", "no answer in time")]);
    assert_eq!(of(listed(&board, "delivered").await), [pair("endless", "HTTP 200"), pair("well", "HTTP 204")]);
    let seen = |path: &str| receiver.seen().iter().filter(|seen| seen.0 == path).count();
    assert_eq!((seen("/well"), seen("/away"), seen("/hang")), (1, 2, 2), "only what was meant for it");
    for path in ["/away", "/hang"] {
        let mut ids: Vec<_> =
            receiver.seen().iter().filter(|seen| seen.0 == path).map(|seen| header(seen, "webhook-id")).collect();
        ids.dedup();
        assert_eq!(ids.len(), 1, "{path} was sent {ids:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn however_much_waits_for_a_receiver_that_hangs_calls_are_made_and_another_tenants_are_told() {
    let board = Board::new().await;
    let receiver = Receiver::new(true).await;
    let other = api::create_key(board.ledger.store(), "other", &[Scope::Admin], 1).await.unwrap();
    // More than are looked at in one go, and all of them due before the other tenant's.
    for _ in 0..4 * AT_ONCE + AT_ONCE_OF_A_TENANT {
        let sid = made(&board, receiver.to("/hang")).await;
        board.completes(sid);
    }
    board.settle().await;
    let mut body = receiver.to("/well");
    body["from"] = json!("+18325550101");
    let told = board.post_as(&other, "/v1/calls", body).await;
    board.completes(told.sid());
    board.settle().await;
    // Nothing that hangs is given up within this test.
    sends_within(&board, MANY, LOOPBACK, Timeouts { connect_ms: 2_000, read_ms: 600_000, total_ms: 600_000 });
    until("the other tenant's is told", async || receiver.seen().iter().any(|seen| seen.0 == "/well")).await;
    let hanging = receiver.seen().iter().filter(|seen| seen.0 == "/hang").count();
    assert!(hanging <= AT_ONCE_OF_A_TENANT, "{hanging} of one tenant at once");
    let sid = made(&board, receiver.to("/hang")).await;
    board.completes(sid);
    board.settle().await;
    assert_eq!(board.get(&format!("/v1/calls/{sid}")).await.json()["status"], "completed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_events_only_the_end_is_told_and_a_private_address_is_not_reached() {
    let board = Board::new().await;
    sends(&board, 1, &[]);
    let receiver = Receiver::new(true).await;
    let sid = made(&board, receiver.to("/well")).await;
    board.completes(sid);
    let silent = board.call().await;
    board.completes(silent);
    until("it is given up", async || listed(&board, "dead").await.len() == 1).await;
    let all = board.get("/v1/webhooks").await.json();
    assert_eq!(all["items"].as_array().unwrap().len(), 1, "{all}");
    assert_eq!(all["items"][0]["type"], "call.ended");
    assert!(all["items"][0]["outcome"].as_str().unwrap().contains("loopback"), "{all}");
    assert!(receiver.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_delivered_before_a_restart_is_delivered_after_it_under_the_same_id() {
    let board = Board::new().await;
    sends(&board, MANY, LOOPBACK);
    let receiver = Receiver::new(false).await;
    let mut body = receiver.to("/well");
    body["status_callback_events"] = json!(["call.answered", "call.ended"]);
    let sid = made(&board, body.clone()).await;
    board.completes(sid);
    // One that lives when the process goes: the next one ends it, and its end is told too.
    let open = made(&board, body).await;
    board.happens(open, vec![crate::records::ringing(0, 0, 1_764_000_001_000)]);
    until("a try fails", async || !receiver.seen().is_empty()).await;
    let id = header(&receiver.seen()[0], "webhook-id");
    let board = board.again().await;
    assert_eq!(board.recovered.interrupted, [open]);
    receiver.works.store(true, Ordering::Relaxed);
    sends(&board, MANY, LOOPBACK);
    until("all are delivered", async || listed(&board, "delivered").await.len() == 3).await;
    let again = listed(&board, "delivered").await;
    assert!(again.iter().any(|item| item["id"] == id));
    assert!(again.iter().any(|item| item["sid"] == open.to_string() && item["type"] == "call.ended"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_delivery_is_replayed_by_its_own_tenant_alone() {
    let board = Board::new().await;
    sends(&board, 2, LOOPBACK);
    let receiver = Receiver::new(false).await;
    let sid = made(&board, receiver.to("/well")).await;
    board.completes(sid);
    until("it is given up", async || listed(&board, "dead").await.len() == 1).await;
    let dead = listed(&board, "dead").await.remove(0);
    assert_eq!((&dead["attempts"], &dead["outcome"], &dead["due_at"]), (&json!(2), &json!("HTTP 500"), &json!(null)));
    let path = format!("/v1/webhooks/{}/replay", dead["id"].as_str().unwrap());
    let other = api::create_key(board.ledger.store(), "other", &[Scope::Admin], 1).await.unwrap();
    let read = api::create_key(board.ledger.store(), "default", &[Scope::Read], 1).await.unwrap();
    let theirs = board.get_as(&other, "/v1/webhooks").await.json();
    assert_eq!(theirs["items"], json!([]));
    board.post_as(&other, &path, Value::Null).await.is_problem(404, "delivery_not_found");
    board.post_as(&read, &path, Value::Null).await.is_problem(403, "insufficient_scope");
    board.post("/v1/webhooks/msg_%27%20OR%201/replay", Value::Null).await.is_problem(404, "delivery_not_found");
    assert_eq!(listed(&board, "dead").await.len(), 1, "nothing of that changed it");
    receiver.works.store(true, Ordering::Relaxed);
    let replayed = board.post(&path, Value::Null).await;
    assert_eq!(replayed.status, StatusCode::ACCEPTED, "{}", replayed.text);
    // It is shown as it stands when it is answered: the sender may have been faster.
    assert!([json!("pending"), json!("delivered")].contains(&replayed.json()["status"]), "{}", replayed.text);
    until("it is delivered", async || listed(&board, "delivered").await.len() == 1).await;
    let ids: Vec<String> = receiver.seen().iter().map(|seen| header(seen, "webhook-id")).collect();
    assert!(ids.len() == 3 && ids.iter().all(|id| *id == dead["id"]), "{ids:?}");
}

#[tokio::test]
async fn deliveries_are_listed_by_page_and_bad_parameters_are_refused() {
    let board = Board::new().await;
    for _ in 0..3 {
        let sid = made(&board, call_with(json!({ "status_callback": "https://example.com/hook" }))).await;
        board.completes(sid);
    }
    board.settle().await;
    let (mut seen, mut path) = (Vec::new(), "/v1/webhooks?limit=2".to_owned());
    tokio::time::timeout(PATIENCE, async {
        loop {
            let page = board.get(&path).await.json();
            seen.extend(page["items"].as_array().unwrap().iter().map(|item| item["id"].to_string()));
            let Some(next) = page["next_cursor"].as_str() else { break };
            path = format!("/v1/webhooks?limit=2&cursor={next}");
        }
    })
    .await
    .unwrap();
    assert_eq!(seen.len(), 3);
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 3, "each once");
    board.get("/v1/webhooks?status=late").await.is_problem(400, "invalid_parameter");
    board.get("/v1/webhooks?cursor=1-%27").await.is_problem(400, "invalid_cursor");
    board.get("/v1/webhooks?state=dead").await.is_problem(400, "unknown_parameter");
    assert_eq!(board.post("/v1/calls", call()).await.status, StatusCode::CREATED);
}
