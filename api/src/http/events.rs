//! `GET /v1/events`: everything that happens to a tenant's calls, as it happens: as server-sent events, or over a
//! WebSocket where the request asks for one.
//!
//! Each event has an id that grows. Whoever comes back with the last one it saw (`Last-Event-ID`, or `last_event_id` in
//! the query) gets what it missed from the store first. A reader that is too slow for what happens is told so
//! (`lagged`), and then gets that from the store as well; it costs no call anything. Lines of the ladder are not among
//! the events.

use super::auth::Caller;
use super::happened::event;
use super::problem::Problem;
use super::query::Params;
use super::serve::Ending;
use super::{Api, App};
use crate::keys::Scope;
use crate::ledger::Event;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt, stream};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use switch::{Fact, Record};
use tokio::sync::{broadcast, mpsc};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

/// Streams at the same time. One more gets 429.
pub const MAX_STREAMS: usize = 1_000;

/// Streams of one tenant at the same time. One more gets 429.
pub const MAX_STREAMS_OF_TENANT: usize = 100;

/// How long a stream is silent at most: then a comment is sent, or a ping.
pub const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a WebSocket may take to accept what is sent to it; a slower one is closed.
const SEND_TIME: Duration = Duration::from_secs(10);

/// Events between what reads them and what sends them. When it is full, reading waits, and then lags.
const READY: usize = 64;

/// How long a database that does not answer is left alone.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// Octets of a message that a WebSocket's client may send us; there is nothing that it should say.
const MAX_SAID: usize = 4 << 10;

/// How many streams there are, by tenant.
#[derive(Clone, Default)]
pub(super) struct Streams(Arc<Mutex<HashMap<String, usize>>>);

impl Streams {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).values().sum()
    }

    fn enter(&self, tenant: &str) -> Result<Place, Problem> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, own) = (counts.values().sum::<usize>(), counts.get(tenant).copied().unwrap_or(0));
        if all >= MAX_STREAMS || own >= MAX_STREAMS_OF_TENANT {
            let detail =
                format!("a tenant reads events {MAX_STREAMS_OF_TENANT} times at once, all together {MAX_STREAMS}");
            return Err(Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_streams", detail).retry_after(1));
        }
        counts.insert(tenant.to_owned(), own + 1);
        Ok(Place { streams: self.clone(), tenant: tenant.to_owned() })
    }
}

/// One stream's place, given back when it ends.
struct Place {
    streams: Streams,
    tenant: String,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.streams.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.tenant);
            }
        }
    }
}

/// Everything that happens to the tenant's calls, as it happens: server-sent events, or a WebSocket.
#[utoipa::path(
    get,
    path = "/events",
    operation_id = "stream_events",
    tag = "events",
    params((
            "last_event_id" = Option<u64>, Query,
            description = "The last event that was seen: what was missed since comes first."
        ),
        ("Last-Event-ID" = Option<u64>, Header, description = "The same, as browsers send it; it counts before the other.")),
    responses((status = 200, description = "Events, without an end.", content((String = "text/event-stream"))),
        (status = 101, description = "A WebSocket, where the request asks for one: each message is an event.")),
    extensions(("x-problems" = json!(["bad_websocket", "too_many_streams"]))),
)]
pub(super) async fn stream(
    State(app): Api,
    caller: Caller,
    params: Params,
    mut request: Request,
) -> Result<Response, Problem> {
    caller.may(Scope::Read)?;
    let mut params = params.only(&["last_event_id"])?;
    let after = last_event_id(request.headers(), params.take("last_event_id"))?;
    let socket = websocket(request.headers())?;
    let place = app.inner.streams.enter(caller.tenant())?;
    let ending = request.extensions().get::<Ending>().cloned();
    let told = Reader::start(app, caller.tenant().to_owned(), after, place, ending);
    let Some(accept) = socket else { return Ok(as_sse(told)) };
    let upgrade = hyper::upgrade::on(&mut request);
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => over_websocket(TokioIo::new(upgraded), told).await,
            Err(error) => tracing::debug!(%error, "a WebSocket did not come about"),
        }
    });
    let headers = [
        (header::UPGRADE, HeaderValue::from_static("websocket")),
        (header::CONNECTION, HeaderValue::from_static("upgrade")),
        (header::SEC_WEBSOCKET_ACCEPT, accept),
    ];
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}

/// The last event that a client has seen; an empty one is none (HTML §9.2.4, "last event ID string").
fn last_event_id(headers: &HeaderMap, query: Option<String>) -> Result<Option<u64>, Problem> {
    let header = headers.get("last-event-id").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let wrong = || {
        let detail = "the last event's id is the number that it came with";
        Problem::bad("invalid_parameter", detail).at("last_event_id")
    };
    let said = |text: &String| !text.trim().is_empty();
    let last = header.filter(said).or(query.filter(said));
    last.map(|text| text.trim().parse().map_err(|_| wrong())).transpose()
}

/// What a WebSocket's opening is answered with (RFC 6455 §4.2.2); `None` where none is asked for.
fn websocket(headers: &HeaderMap) -> Result<Option<HeaderValue>, Problem> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !text(header::UPGRADE).eq_ignore_ascii_case("websocket") {
        return Ok(None);
    }
    let wrong = || Problem::bad("bad_websocket", "a WebSocket is opened with version 13 and a key (RFC 6455 §4.1)");
    let key = text(header::SEC_WEBSOCKET_KEY);
    if text(header::SEC_WEBSOCKET_VERSION) != "13" || key.is_empty() {
        return Err(wrong());
    }
    HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map(Some).map_err(|_| wrong())
}

/// What a stream tells.
enum Told {
    Event(u64, Value),
    /// So many were too many at once; they follow from the store.
    Lagged(u64),
}

fn told(id: u64, record: &Record) -> Told {
    let mut body = serde_json::to_value(event(record)).unwrap_or_default();
    body["id"] = id.into();
    body["sid"] = record.sid.to_string().into();
    Told::Event(id, body)
}

/// Reads events for one stream.
struct Reader {
    app: App,
    tenant: String,
    live: broadcast::Receiver<Event>,
    /// The id of the last event that was told.
    last: u64,
    /// There is something in the store to be told first.
    behind: bool,
    /// The store has everything that `live` lacks.
    settled: bool,
    out: mpsc::Sender<Told>,
    _place: Place,
}

impl Reader {
    fn start(
        app: App,
        tenant: String,
        after: Option<u64>,
        place: Place,
        ending: Option<Ending>,
    ) -> mpsc::Receiver<Told> {
        let (out, told) = mpsc::channel(READY);
        let live = app.inner.ledger.subscribe();
        // Whoever asks for nothing older gets what is not yet on disk now.
        let last = after.unwrap_or_else(|| app.inner.ledger.durable().id());
        let reader =
            Self { app, tenant, live, last, behind: after.is_some(), settled: false, out: out.clone(), _place: place };
        tokio::spawn(async move {
            let ends = async {
                match ending {
                    Some(mut ending) => ending.comes().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = reader.run() => {}
                () = out.closed() => {}
                () = ends => {}
            }
        });
        told
    }

    async fn run(mut self) {
        loop {
            let went = if self.behind { self.tell_stored().await } else { self.tell_live().await };
            if went.is_none() {
                return;
            }
        }
    }

    /// Tells what the store has behind `last`; `None` where nobody listens any more.
    async fn tell_stored(&mut self) -> Option<()> {
        let ledger = &self.app.inner.ledger;
        if !self.settled {
            // From then on the store has whatever happened before `live` began, and `live` the rest, or it says that it
            // lagged.
            ledger.settle().await.ok()?;
            self.settled = true;
        }
        match ledger.store().events(&self.tenant, self.last).await {
            Ok(events) if events.is_empty() => self.behind = false,
            Ok(events) => {
                for event in events {
                    self.last = event.id;
                    self.out.send(told(event.id, &event.record)).await.ok()?;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "a stream of events waits for the database");
                tokio::time::sleep(TRY_AGAIN).await;
            }
        }
        Some(())
    }

    async fn tell_live(&mut self) -> Option<()> {
        match self.live.recv().await {
            Ok(Event { position, tenant, record }) => {
                let ladder = matches!(record.fact, Fact::Message { .. });
                if !ladder && position.id() > self.last && tenant.as_ref() == Some(&self.tenant) {
                    self.last = position.id();
                    self.out.send(told(self.last, &record)).await.ok()?;
                }
            }
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                self.live = self.live.resubscribe();
                (self.behind, self.settled) = (true, false);
                self.out.send(Told::Lagged(missed)).await.ok()?;
            }
            Err(broadcast::error::RecvError::Closed) => return None,
        }
        Some(())
    }
}

fn as_sse(told: mpsc::Receiver<Told>) -> Response {
    let begin = stream::once(async { Ok::<_, std::convert::Infallible>(": events\n\n".to_owned()) });
    let rest = stream::unfold(told, |mut told| async {
        let text = match tokio::time::timeout(KEEP_ALIVE, told.recv()).await {
            Ok(Some(Told::Event(id, body))) => {
                format!("id: {id}\nevent: {}\ndata: {body}\n\n", body["type"].as_str().unwrap_or_default())
            }
            Ok(Some(Told::Lagged(missed))) => format!("event: lagged\ndata: {{\"missed\":{missed}}}\n\n"),
            Ok(None) => return None,
            Err(_) => ": still here\n\n".to_owned(),
        };
        Some((Ok(text), told))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, Body::from_stream(begin.chain(rest))).into_response()
}

async fn over_websocket(stream: TokioIo<hyper::upgrade::Upgraded>, mut told: mpsc::Receiver<Told>) {
    let config = WebSocketConfig::default().max_message_size(Some(MAX_SAID)).max_frame_size(Some(MAX_SAID));
    let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    // Something was heard since the last ping.
    let mut heard = true;
    loop {
        let message = tokio::select! {
            next = tokio::time::timeout(KEEP_ALIVE, told.recv()) => match next {
                Ok(Some(Told::Event(_, body))) => Message::text(body.to_string()),
                Ok(Some(Told::Lagged(missed))) => Message::text(json!({ "type": "lagged", "missed": missed }).to_string()),
                Ok(None) => break,
                Err(_) if std::mem::take(&mut heard) => Message::Ping(Default::default()),
                Err(_) => break,
            },
            said = socket.next() => match said {
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {
                    heard = true;
                    continue;
                }
            },
        };
        match tokio::time::timeout(SEND_TIME, socket.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return,
        }
    }
    // Whoever is gone does not take it.
    let _ = tokio::time::timeout(SEND_TIME, socket.close(None)).await;
}
