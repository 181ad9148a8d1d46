//! An HTTP client that waits: the API of a running switch, as a client sees it.

use super::until;
use serde_json::{Value, json};
use std::sync::LazyLock;
use std::time::Duration;

/// The longest that one request may take.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);

/// One runtime for all the requests of a test program.
static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    // reqwest wants a provider for TLS even where nothing speaks TLS; a second one is refused, which is as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
});

/// A client with a key.
#[derive(Clone, Debug)]
pub struct Http {
    base: String,
    key: String,
    client: reqwest::Client,
}

/// What came back.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The media type.
    pub content_type: String,
    /// The body, where it was JSON.
    pub body: Value,
}

impl Reply {
    /// The stable `code` of a problem (RFC 9457).
    pub fn code(&self) -> &str {
        assert_eq!(self.content_type, "application/problem+json", "{self:?}");
        self.body["code"].as_str().unwrap_or_default()
    }
}

impl Http {
    /// A client of the switch that listens on this port.
    pub fn new(port: u16, key: &str) -> Self {
        let _entered = RUNTIME.enter();
        let client = reqwest::Client::builder().no_proxy().timeout(REQUEST_LIMIT).build().unwrap();
        Self { base: format!("http://127.0.0.1:{port}"), key: key.to_owned(), client }
    }

    /// The same switch with another key.
    pub fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base)).bearer_auth(&self.key)
    }

    /// GET; an error of the connection is an error.
    pub fn try_get(&self, path: &str) -> Result<Reply, reqwest::Error> {
        RUNTIME.block_on(send(self.request(reqwest::Method::GET, path)))
    }

    /// GET.
    #[track_caller]
    pub fn get(&self, path: &str) -> Reply {
        self.try_get(path).unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// POST of JSON.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Reply {
        self.try_post(path, body).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// GET of what is no JSON: the status and the body.
    #[track_caller]
    pub fn octets(&self, path: &str) -> (u16, Vec<u8>) {
        let request = self.request(reqwest::Method::GET, path);
        let answer = RUNTIME.block_on(async {
            let response = request.send().await?;
            Ok::<_, reqwest::Error>((response.status().as_u16(), response.bytes().await?.to_vec()))
        });
        answer.unwrap_or_else(|error| panic!("GET {path}: {error}"))
    }

    /// PUT of JSON.
    #[track_caller]
    pub fn put(&self, path: &str, body: &Value) -> Reply {
        let request = self.request(reqwest::Method::PUT, path).json(body);
        RUNTIME.block_on(send(request)).unwrap_or_else(|error| panic!("PUT {path}: {error}"))
    }

    /// POST of JSON; an error of the connection is an error.
    pub fn try_post(&self, path: &str, body: &Value) -> Result<Reply, reqwest::Error> {
        RUNTIME.block_on(send(self.request(reqwest::Method::POST, path).json(body)))
    }

    /// POST of JSON with an `Idempotency-Key`.
    #[track_caller]
    pub fn post_keyed(&self, path: &str, body: &Value, key: &str) -> Reply {
        let request = self.request(reqwest::Method::POST, path).header("idempotency-key", key).json(body);
        RUNTIME.block_on(send(request)).unwrap_or_else(|error| panic!("POST {path}: {error}"))
    }

    /// POST of whatever, as JSON.
    pub fn post_bytes(&self, path: &str, body: Vec<u8>) -> Result<Reply, reqwest::Error> {
        let request = self.request(reqwest::Method::POST, path).header("content-type", "application/json").body(body);
        RUNTIME.block_on(send(request))
    }

    /// POSTs all of them at once, at most `at_once` under way; the replies in the order of the bodies. A connection
    /// that broke off is `None`.
    pub fn post_all(&self, path: &str, bodies: Vec<Value>, at_once: usize) -> Vec<Option<Reply>> {
        RUNTIME.block_on(async {
            let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(at_once));
            let tasks: Vec<_> = bodies
                .into_iter()
                .map(|body| {
                    let request = self.request(reqwest::Method::POST, path).json(&body);
                    let gate = gate.clone();
                    tokio::spawn(async move {
                        let _permit = gate.acquire_owned().await.unwrap();
                        send(request).await.ok()
                    })
                })
                .collect();
            let mut replies = Vec::with_capacity(tasks.len());
            for task in tasks {
                replies.push(task.await.unwrap());
            }
            replies
        })
    }

    /// Places a call; it must be admitted. Returns its sid.
    #[track_caller]
    pub fn place(&self, call: &Value) -> String {
        let reply = self.post("/v1/calls", call);
        assert_eq!(reply.status, 201, "{reply:?}");
        assert_eq!(reply.body["status"], "queued", "{reply:?}");
        reply.body["sid"].as_str().unwrap().to_owned()
    }

    /// A call as it stands.
    #[track_caller]
    pub fn call(&self, sid: &str) -> Value {
        let reply = self.get(&format!("/v1/calls/{sid}"));
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.body
    }

    /// Waits until a call has this status.
    #[track_caller]
    pub fn reaches(&self, sid: &str, status: &str, deadline: Duration) -> Value {
        let mut last = json!(null);
        until(&format!("{sid} {status}"), deadline, || {
            last = self.call(sid);
            assert!(!is_final(&last) || last["status"] == status, "not {status} but: {last:#}");
            (last["status"] == status).then(|| last.clone())
        })
    }

    /// Waits until a call has ended.
    #[track_caller]
    pub fn ended(&self, sid: &str, deadline: Duration) -> Value {
        until(&format!("the end of {sid}"), deadline, || Some(self.call(sid)).filter(is_final))
    }

    /// The events of a call, so far.
    #[track_caller]
    pub fn events(&self, sid: &str) -> Vec<Value> {
        self.items(&format!("/v1/calls/{sid}/events"))
    }

    /// Every row of a list, page after page.
    #[track_caller]
    pub fn items(&self, path: &str) -> Vec<Value> {
        let mut items = Vec::new();
        let mut cursor = String::new();
        loop {
            let join = if path.contains('?') { '&' } else { '?' };
            let page = self.get(&format!("{path}{join}limit=1000{cursor}"));
            assert_eq!(page.status, 200, "{page:?}");
            items.extend(page.body["items"].as_array().unwrap().iter().cloned());
            match page.body["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return items,
            }
        }
    }
}

/// Whether a call has one of the statuses that it keeps.
pub fn is_final(call: &Value) -> bool {
    !matches!(call["status"].as_str(), Some("queued" | "ringing" | "in-progress"))
}

async fn send(request: reqwest::RequestBuilder) -> Result<Reply, reqwest::Error> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
    let content_type = content_type.unwrap_or_default().to_owned();
    let body = response.bytes().await?;
    let body = serde_json::from_slice(&body).unwrap_or_else(|_| String::from_utf8_lossy(&body).into_owned().into());
    Ok(Reply { status, content_type, body })
}
