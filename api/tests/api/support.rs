//! A switchboard for tests: everything of the API, with signalling played by the test.

use crate::records;
use api::accounts::Accounts;
use api::secrets::Sealer;
use api::{App, Commander, Directory, Full, JournalConfig, Keys, Ledger, Limits, OwnedNumber, Parts, Prompts, Store};
use api::{Origin, Registry, SipHealth, Tenant, Trunk, TrunkHealth, TrunkState};
use arc_swap::ArcSwap;
use axum::body::Body;
use axum::http::{HeaderMap, Request, StatusCode, header};
use base::Rng;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use switch::{CallSid, Command, Record};
use tempfile::TempDir;
use tower::ServiceExt;

/// The key of the tenant `default`.
pub const KEY: &str = "test-key-of-the-first-tenant-0123";

/// How long a fact may take to come about before a test fails.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A sound that is built in, and one that is no sound.
pub const BUILTIN: &[api::Builtin] =
    &[("welcome", include_bytes!("../../../sounds/welcome.wav")), ("broken", b"RIFF\0\0\0\0WAVE nothing")];

/// Commands that signalling got, and whether its inbox is full.
#[derive(Default)]
pub struct Inbox {
    commands: Mutex<Vec<Command>>,
    pub full: AtomicBool,
}

impl Inbox {
    pub fn taken(&self) -> Vec<Command> {
        self.commands.lock().unwrap().clone()
    }

    pub fn dialled(&self) -> Vec<CallSid> {
        let sid = |command| match command {
            Command::Originate(originate) => Some(originate.sid),
            _ => None,
        };
        self.taken().into_iter().filter_map(sid).collect()
    }
}

/// An API, its journal and its database.
pub struct Board {
    pub dir: Arc<TempDir>,
    pub url: String,
    pub ledger: Ledger,
    pub app: App,
    pub accounts: Accounts,
    pub router: axum::Router,
    pub inbox: Arc<Inbox>,
    pub directory: Arc<ArcSwap<Directory>>,
    pub sip: Arc<ArcSwap<SipHealth>>,
    pub registry: Registry,
    pub recovered: api::Recovered,
}

/// The directory that tests begin with: two tenants, one trunk.
pub fn directory() -> Directory {
    let number = |tenant: &str| OwnedNumber { tenant: tenant.into(), answer: None, origin: Origin::File };
    let tenant = |trunk_access, rank| Tenant { trunk_access, rank, ..Tenant::default() };
    let uri = carrier::Uri::parse(b"sip:127.0.0.1").unwrap();
    let config = carrier::TrunkConfig::new("sim".parse().unwrap(), carrier::Profile::Generic, uri);
    Directory {
        tenants: [
            ("default".into(), tenant(true, 0)),
            ("other".into(), tenant(true, 1)),
            ("inward".into(), tenant(false, 2)),
        ]
        .into(),
        numbers: [
            ("+18325550100".into(), number("default")),
            ("+18325550101".into(), number("other")),
            ("+18325550102".into(), number("inward")),
            ("menu".into(), number("default")),
        ]
        .into(),
        users: [].into(),
        rates: carrier::Deck::default(),
        trunks: vec![Trunk { config, origin: Origin::File }],
        limits: Limits { api_requests_per_minute: 100_000, ..Limits::default() },
    }
}

impl Board {
    /// A new one on SQLite.
    pub async fn new() -> Self {
        let dir = Arc::new(tempfile::tempdir().unwrap());
        let url = format!("sqlite://{}/test.db", dir.path().display());
        Self::open(dir, &url, 64 << 20).await
    }

    /// What a start finds in `dir` and at `url`.
    pub async fn open(dir: Arc<TempDir>, url: &str, max_octets: u64) -> Self {
        let store = Store::open(url).await.unwrap();
        let clock = Arc::new(AtomicU64::new(1_764_000_000_000));
        let wall = clock.clone();
        let config = JournalConfig { dir: dir.path().join("journal"), max_octets };
        let wall: api::Wall = Arc::new(move || wall.fetch_add(1, Ordering::Relaxed));
        let recordings = api::Recordings::new(dir.path().join("recordings"), 30);
        let (ledger, recovered) = Ledger::open(config, store.clone(), &recordings, wall).await.unwrap();
        let inbox = Arc::new(Inbox::default());
        let commander = commander(inbox.clone());
        let keys = Keys::open(store.clone(), Some((KEY, "default")), None).await.unwrap();
        let sealer = Sealer::open(&dir.path().join("tandem.key")).unwrap();
        let accounts = Accounts::open(store.clone(), sealer.clone(), [].into()).await.unwrap();
        let prompts = Prompts::new(BUILTIN, Some(dir.path().join("prompts")), commander.clone());
        let published = Arc::new(ArcSwap::from_pointee(Directory::default()));
        let means = api::registry::Means {
            store: store.clone(),
            sealer,
            accounts: accounts.clone(),
            prompts: prompts.clone(),
            commander: commander.clone(),
            directory: published.clone(),
            registrar: switch::registrar::RegistrarConfig::default(),
            told: Box::new(|_| {}),
        };
        let registry = Registry::open(means, directory()).await.unwrap();
        let directory = published;
        let trunk = TrunkHealth { status: TrunkState::Connected, active_calls: 3, ..TrunkHealth::default() };
        let sip = Arc::new(ArcSwap::from_pointee(SipHealth {
            up: true,
            trunks: [("sim".into(), trunk)].into(),
            usage: [].into(),
            usage_unknown: false,
        }));
        let app = App::new(Parts {
            ledger: ledger.clone(),
            directory: directory.clone(),
            keys,
            accounts: accounts.clone(),
            flows: api::Flows::new(store, prompts.clone()),
            recordings,
            prompts,
            registry: registry.clone(),
            capture: api::capture::Capture::default(),
            telemetry: api::telemetry::Telemetry::default(),
            commander,
            sip: sip.clone(),
            media: Arc::new(|| vec![media::ShardReport::default()]),
            net: Arc::new(seen),
            rng: Rng::from_seed(seed()),
            version: "0.0.0-test",
        });
        let router = api::router(app.clone());
        Self { url: url.to_owned(), dir, ledger, app, accounts, router, inbox, directory, sip, registry, recovered }
    }

    /// The same directory and database, started again.
    pub async fn again(self) -> Self {
        let (dir, url) = (self.dir.clone(), self.url.clone());
        self.ledger.shutdown().await;
        Self::open(dir, &url, 64 << 20).await
    }

    pub async fn raw(&self, request: Request<Body>) -> axum::response::Response {
        self.router.clone().oneshot(request).await.unwrap()
    }

    /// What a request is answered with, which is what the OpenAPI document says of it.
    pub async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let (head, body) = self.raw(request).await.into_parts();
        let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let answer = Answer { status: head.status, headers: head.headers, text };
        crate::document::holds(&method, &path, &answer);
        answer
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.get_as(KEY, path).await
    }

    pub async fn get_as(&self, key: &str, path: &str) -> Answer {
        self.send(with_key(Request::get(path), key).body(Body::empty()).unwrap()).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.post_as(KEY, path, body).await
    }

    pub async fn post_as(&self, key: &str, path: &str, body: Value) -> Answer {
        let request = with_key(Request::post(path), key).header(header::CONTENT_TYPE, "application/json");
        self.send(request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// Makes a call and takes its sid.
    pub async fn call(&self) -> CallSid {
        let made = self.post("/v1/calls", call()).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
        made.sid()
    }

    /// What signalling would append for a call: `facts` from number 1 on.
    pub fn happens(&self, sid: CallSid, facts: Vec<Record>) {
        for (seq, mut record) in (1..).zip(facts) {
            record.sid = sid;
            record.seq = seq;
            self.fit(&mut record);
            self.ledger.append(record);
        }
    }

    /// Makes a CDR say of its call's admission what that said, as the switch's do; what a test has set to be odd stays.
    pub fn fit(&self, record: &mut Record) {
        let sid = record.sid;
        if let switch::Fact::Ended(cdr) = &mut record.fact {
            let (view, plain) = (self.ledger.live().get(sid).unwrap(), records::cdr(0, 0));
            let cdr = std::sync::Arc::make_mut(cdr);
            cdr.sid = sid;
            cdr.tenant = view.tenant;
            cdr.at.queued = view.at.queued;
            cdr.metadata = view.metadata;
            if (&cdr.from, &cdr.to) == (&plain.from, &plain.to) {
                (cdr.from, cdr.to) = (view.from, view.to);
            }
        }
    }

    /// A whole call, from ringing to its end.
    pub fn completes(&self, sid: CallSid) {
        let facts = vec![
            records::ringing(0, 0, 1_764_000_001_000),
            records::message(0, 0, 1_764_000_001_001),
            records::answered(0, 0, 1_764_000_002_000),
            records::ended(0, 0, 1_764_000_003_000),
        ];
        self.happens(sid, facts);
    }

    /// The end of a call whose next fact has this number.
    pub fn ends_at(&self, sid: CallSid, seq: u32, at: u64) {
        let mut record = records::ended(0, seq, at);
        record.sid = sid;
        self.fit(&mut record);
        self.ledger.append(record);
    }

    pub async fn settle(&self) {
        tokio::time::timeout(PATIENCE, self.ledger.settle()).await.expect("the projection stands still").unwrap();
    }
}

/// What SIP's sockets are said to have seen.
fn seen() -> api::SocketFigures {
    api::SocketFigures {
        connections: 2,
        datagrams_dropped: 3,
        datagrams_refused: 4,
        streams_paced: 5,
        refused: 6,
        accept_errors: 7,
        ..api::SocketFigures::default()
    }
}

/// The way to a signalling that only notes what it is told.
pub fn commander(inbox: Arc<Inbox>) -> Commander {
    Commander::new(Arc::new(move |command| {
        if inbox.full.load(Ordering::Relaxed) {
            return Err((command, Full::Now));
        }
        inbox.commands.lock().unwrap().push(command);
        Ok(())
    }))
}

/// The body of a call that is in order.
pub fn call() -> Value {
    json!({ "from": "+18325550100", "to": "+18325550199", "answer": { "play": "welcome" } })
}

/// The same with some fields others; null takes one away.
pub fn call_with(fields: Value) -> Value {
    let mut body = call();
    for (name, value) in fields.as_object().unwrap() {
        match value {
            Value::Null => drop(body.as_object_mut().unwrap().remove(name)),
            value => body[name] = value.clone(),
        }
    }
    body
}

fn with_key(request: axum::http::request::Builder, key: &str) -> axum::http::request::Builder {
    request.header(header::AUTHORIZATION, format!("Bearer {key}"))
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub fn sid(&self) -> CallSid {
        self.json()["sid"].as_str().unwrap().parse().unwrap()
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Holds that this is a problem (RFC 9457) with this status and code, as every error must be; its body.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(
            (self.status.as_u16(), self.header("content-type")),
            (status, "application/problem+json"),
            "{}",
            self.text
        );
        let body = self.json();
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status, "{body}");
        assert!(
            body["title"].is_string() && body["detail"].as_str().is_some_and(|detail| !detail.is_empty()),
            "{body}"
        );
        body
    }

    /// The sids of a list's items.
    pub fn sids(&self) -> Vec<String> {
        self.json()["items"].as_array().unwrap().iter().map(|item| item["sid"].as_str().unwrap().to_owned()).collect()
    }
}

/// Asks until `fact` holds; fails after [`PATIENCE`].
pub async fn until(what: &str, mut fact: impl AsyncFnMut() -> bool) {
    let began = std::time::Instant::now();
    while !fact().await {
        assert!(began.elapsed() < PATIENCE, "never came about: {what}");
        tokio::task::yield_now().await;
    }
}

/// URLs of new, empty databases: SQLite, and PostgreSQL where there is one. Each with what keeps it.
pub async fn databases() -> Vec<(String, Arc<TempDir>)> {
    let dir = Arc::new(tempfile::tempdir().unwrap());
    let mut all = vec![(format!("sqlite://{}/test.db", dir.path().display()), dir)];
    if let Some(url) = crate::postgres::url().await {
        let name = format!("tandem_test_{}", Rng::from_seed(seed()).hex(16));
        let pool = sqlx::PgPool::connect(&url).await.unwrap();
        sqlx::query(sqlx::AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&pool).await.unwrap();
        pool.close().await;
        let base = url.rsplit_once('/').unwrap().0;
        all.push((format!("{base}/{name}"), Arc::new(tempfile::tempdir().unwrap())));
    }
    all
}

fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).unwrap();
    seed
}

/// The one number that a statement selects.
pub async fn number(url: &str, statement: &'static str) -> i64 {
    if url.starts_with("sqlite") {
        let pool = sqlx::SqlitePool::connect(url).await.unwrap();
        let number = sqlx::query_scalar(statement).fetch_one(&pool).await.unwrap();
        pool.close().await;
        number
    } else {
        let pool = sqlx::PgPool::connect(url).await.unwrap();
        let number = sqlx::query_scalar(statement).fetch_one(&pool).await.unwrap();
        pool.close().await;
        number
    }
}

/// Runs a statement that changes something.
pub async fn execute(url: &str, statement: &'static str) {
    execute_text(url, statement.to_owned()).await;
}

/// Runs a statement that changes something, made by the test.
pub async fn execute_text(url: &str, statement: String) {
    let query = sqlx::AssertSqlSafe(statement);
    if url.starts_with("sqlite") {
        let pool = sqlx::SqlitePool::connect(url).await.unwrap();
        sqlx::query(query).execute(&pool).await.unwrap();
        pool.close().await;
    } else {
        let pool = sqlx::PgPool::connect(url).await.unwrap();
        sqlx::query(query).execute(&pool).await.unwrap();
        pool.close().await;
    }
}
