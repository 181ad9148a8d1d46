//! `GET /v1/events`: as it happens, from where a reader stopped, told when it lagged, and only a tenant's own.

use crate::connections::serve;
use crate::records;
use crate::support::{Board, KEY, PATIENCE, databases};
use api::Scope;
use api::ledger::EVENTS_BEHIND;
use axum::body::{Body, BodyDataStream};
use axum::http::{Request, StatusCode};
use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use switch::{CallSid, Fact};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// A stream of server-sent events, read as far as the test wants.
pub struct Sse {
    body: BodyDataStream,
    text: String,
}

impl Sse {
    pub async fn open(board: &Board, key: &str, last: Option<u64>) -> Self {
        let mut request = Request::get("/v1/events").header("x-api-key", key);
        if let Some(last) = last {
            request = request.header("last-event-id", last.to_string());
        }
        let response =
            tower::ServiceExt::oneshot(board.router.clone(), request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let mut stream = Self { body: response.into_body().into_data_stream(), text: String::new() };
        assert_eq!(stream.block().await, ": events");
        stream
    }

    async fn block(&mut self) -> String {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                return block;
            }
            let more = tokio::time::timeout(PATIENCE, self.body.next()).await.expect("nothing more comes");
            self.text += std::str::from_utf8(&more.expect("the stream ended").unwrap()).unwrap();
        }
    }

    /// The next event: its name, and its data with the id that the stream gave it. Comments are no events.
    pub async fn next(&mut self) -> (String, Value) {
        tokio::time::timeout(PATIENCE, self.event()).await.expect("no event comes")
    }

    async fn event(&mut self) -> (String, Value) {
        loop {
            let block = self.block().await;
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
            let (Some(event), Some(data)) = (field("event: "), field("data: ")) else { continue };
            let data: Value = serde_json::from_str(&data).unwrap();
            if let Some(id) = field("id: ") {
                assert_eq!(data["id"].to_string(), id);
            }
            return (event, data);
        }
    }

    async fn types(&mut self, count: usize) -> Vec<String> {
        let mut types = Vec::new();
        while types.len() < count {
            types.push(self.next().await.0);
        }
        types
    }
}

async fn other(board: &Board) -> String {
    api::create_key(board.ledger.store(), "other", &[Scope::Calls], 1).await.unwrap()
}

const WHOLE: [&str; 4] = ["admitted", "ringing", "answered", "ended"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_hears_its_own_calls_as_they_happen_and_nobody_elses() {
    let board = Board::new().await;
    let key = other(&board).await;
    let (mut own, mut others) = (Sse::open(&board, KEY, None).await, Sse::open(&board, &key, None).await);
    let sid = board.call().await;
    board.completes(sid);
    let mut last = 0;
    for kind in WHOLE {
        let (event, data) = own.next().await;
        assert_eq!((event.as_str(), data["sid"].as_str()), (kind, Some(sid.to_string().as_str())));
        assert!(data["id"].as_u64().unwrap() > last && data["at"].as_str().unwrap().ends_with('Z'));
        last = data["id"].as_u64().unwrap();
        if kind == "ended" {
            assert_eq!(
                (&data["data"]["cause"]["q850"], &data["data"]["cause"]["origin"]),
                (&16.into(), &"callee".into())
            );
        }
    }
    let body = serde_json::json!({ "from": "+18325550101", "to": "+18325550199", "answer": { "hangup": true } });
    let theirs = board.post_as(&key, "/v1/calls", body).await.sid();
    assert_eq!(others.next().await.1["sid"], theirs.to_string(), "the first that it hears of");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_comes_back_gets_what_it_missed_once_even_after_a_restart() {
    for (url, dir) in databases().await {
        let board = Board::open(dir, &url, 64 << 20).await;
        let mut reader = Sse::open(&board, KEY, None).await;
        let first = board.call().await;
        board.completes(first);
        let seen = [reader.next().await, reader.next().await];
        assert_eq!(seen[1].0, "ringing");
        drop(reader);
        let second = board.call().await;
        board.completes(second);
        let key = other(&board).await;
        for board in [board.again().await] {
            let mut reader = Sse::open(&board, KEY, seen[1].1["id"].as_u64()).await;
            assert_eq!(reader.types(2).await, WHOLE[2..]);
            for kind in WHOLE {
                let (event, data) = reader.next().await;
                assert_eq!((event.as_str(), data["sid"].as_str()), (kind, Some(second.to_string().as_str())));
            }
            let third = board.call().await;
            assert_eq!(reader.next().await.1["sid"], third.to_string());
            // From the very beginning, and never another's.
            assert_eq!(Sse::open(&board, KEY, Some(0)).await.types(9).await[8], "admitted");
            let theirs = board
                .post_as(
                    &key,
                    "/v1/calls",
                    serde_json::json!({ "from": "+18325550101", "to": "+18325550199", "answer": { "hangup": true } }),
                )
                .await;
            assert_eq!(Sse::open(&board, &key, Some(0)).await.next().await.1["sid"], theirs.sid().to_string());
        }
    }
}

fn digits(board: &Board, sid: CallSid, from: u32, count: usize) {
    for seq in (from..).take(count) {
        let mut record = records::record(0, seq, 5, Fact::Digit { digit: '5', duration_ms: 80 });
        record.sid = sid;
        board.ledger.append(record);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_is_too_slow_is_told_and_misses_nothing() {
    let board = Board::new().await;
    let mut reader = Sse::open(&board, KEY, None).await;
    let sid = board.call().await;
    let count = EVENTS_BEHIND * 2;
    digits(&board, sid, 1, count);
    board.settle().await;
    let (mut lagged, mut next) = (0, 0);
    while next <= count as u64 {
        match reader.next().await {
            (event, data) if event == "lagged" => lagged += data["missed"].as_u64().unwrap(),
            (_, data) => {
                assert_eq!(data["seq"], next);
                next += 1;
            }
        }
    }
    assert!(lagged > 0);
    digits(&board, sid, count as u32 + 1, 1);
    assert_eq!(reader.next().await.1["seq"], count + 1, "and it goes on as it happens");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_websocket_tells_the_same_and_ends_with_the_server() {
    let board = Board::new().await;
    let server = serve(&board).await;
    let url = format!("ws://{}/v1/events?last_event_id=0", server.address);
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("x-api-key", KEY.parse().unwrap());
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (mut socket, response) = tokio_tungstenite::client_async(request, stream).await.unwrap();
    assert_eq!(response.status(), 101);
    let sid = board.call().await;
    board.completes(sid);
    socket.send(Message::text("whatever")).await.unwrap();
    for kind in WHOLE {
        let message = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
        let event: Value = serde_json::from_str(message.to_text().unwrap()).unwrap();
        assert_eq!((&event["type"], &event["sid"]), (&kind.into(), &sid.to_string().into()));
    }
    server.stop.send(()).unwrap();
    let end = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap();
    assert!(matches!(end, Some(Ok(Message::Close(_))) | None), "{end:?}");
    server.serving.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_last_event_id_is_none_and_a_wrong_one_is_refused() {
    let board = Board::new().await;
    let status = async |header: &[u8], query: &str| {
        let request =
            Request::get(format!("/v1/events{query}")).header("x-api-key", KEY).header("last-event-id", header);
        let request = request.body(Body::empty()).unwrap();
        tower::ServiceExt::oneshot(board.router.clone(), request).await.unwrap().status()
    };
    for (header, query) in [(&b""[..], ""), (b" ", ""), (b"", "?last_event_id="), (b"1", ""), (b"", "?last_event_id=1")]
    {
        assert_eq!(status(header, query).await, StatusCode::OK, "{header:?} {query:?}");
    }
    for (header, query) in [(&b"x"[..], ""), (b"-1", ""), (b"\xff", ""), (b"", "?last_event_id=x")] {
        assert_eq!(status(header, query).await, StatusCode::BAD_REQUEST, "{header:?} {query:?}");
    }
}

#[tokio::test]
async fn a_tenant_reads_so_often_at_once_and_what_is_wrong_is_said() {
    let board = Board::new().await;
    let mut open = Vec::new();
    for _ in 0..api::MAX_STREAMS_OF_TENANT {
        open.push(Sse::open(&board, KEY, None).await);
    }
    board.get("/v1/events").await.is_problem(429, "too_many_streams");
    drop(open);
    crate::support::until("a stream's place is free again", async || {
        let request = Request::get("/v1/events").header("x-api-key", KEY).body(Body::empty()).unwrap();
        tower::ServiceExt::oneshot(board.router.clone(), request).await.unwrap().status() == StatusCode::OK
    })
    .await;
    board.get("/v1/events?last_event_id=x").await.is_problem(400, "invalid_parameter");
    board.get("/v1/events?since=1").await.is_problem(400, "unknown_parameter");
    let request = Request::get("/v1/events").header("x-api-key", KEY).header("upgrade", "websocket");
    board.send(request.body(Body::empty()).unwrap()).await.is_problem(400, "bad_websocket");
}
