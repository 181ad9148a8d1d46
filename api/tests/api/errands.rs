//! What calls ask of the world outside, done over real sockets on loopback.

use crate::support::{BUILTIN, Inbox, PATIENCE, commander, until};
use api::errands::callbacks::BACKOFF;
use api::errands::egress::{Content, Exchange, USER_AGENT};
use api::errands::{Egress, Endpoint, Lookup, MAX_OF_TENANT, Means, Policy, Recogniser, SpeechConfig, SystemLookup};
use api::{Errands, Flows, Prompts, Store};
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::future::BoxFuture;
use ivr::limits::MAX_BODY;
use ivr::{FetchFault, FetchId, HttpRequest, ListenId, Method, PlayId, Say, Timeouts};
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use switch::{Asked, Brought, CallSid, Command, Errand, Heard, Utterance};
use tempfile::TempDir;
use tokio::net::TcpListener;
use url::Url;

/// What a web server was asked: method, path and query, headers, body.
type Seen = (String, String, axum::http::HeaderMap, String);

/// A web server on loopback that notes what it is asked.
#[derive(Clone, Default)]
struct Server {
    seen: Arc<Mutex<Vec<Seen>>>,
    /// What it answers, one after the other; the last for ever.
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

type Answer = Arc<dyn Fn() -> Response + Send + Sync>;

fn answers(status: u16, headers: &[(&'static str, &str)], body: impl Into<Bytes>) -> Answer {
    let headers: Vec<(&'static str, String)> = headers.iter().map(|(name, value)| (*name, (*value).into())).collect();
    let body = body.into();
    Arc::new(move || {
        let mut response = Response::builder().status(status).header("connection", "close");
        for (name, value) in &headers {
            response = response.header(*name, value);
        }
        response.body(Body::from(body.clone())).unwrap()
    })
}

async fn asked(State(server): State<Server>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20).await.unwrap();
    let path = head.uri.path_and_query().unwrap().to_string();
    let seen = (head.method.to_string(), path, head.headers, String::from_utf8_lossy(&body).into_owned());
    server.seen.lock().unwrap().push(seen);
    let mut answers = server.answers.lock().unwrap();
    let answer = if answers.len() > 1 { answers.pop_front() } else { answers.front().cloned() };
    drop(answers);
    (answer.unwrap())()
}

impl Server {
    /// One on `ip`, and where it is.
    async fn on(ip: &str, answers: Vec<Answer>) -> (Self, SocketAddr) {
        let server = Self { answers: Arc::new(Mutex::new(answers.into())), ..Self::default() };
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(asked).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (server, addr)
    }

    async fn new(answers: Vec<Answer>) -> (Self, SocketAddr) {
        Self::on("127.0.0.1", answers).await
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

/// Errands, and what they bring.
struct Rim {
    errands: Errands,
    inbox: Arc<Inbox>,
    _dir: TempDir,
}

impl Rim {
    async fn new(speech: SpeechConfig) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&format!("sqlite://{}/test.db", dir.path().display())).await.unwrap();
        let inbox = Arc::new(Inbox::default());
        let commander = commander(inbox.clone());
        let prompts = Prompts::new(BUILTIN, None, commander.clone());
        let policy = Policy::new(vec!["127.0.0.1/32".parse().unwrap()]);
        let errands = Errands::new(Means {
            egress: Egress::new(policy, Arc::new(SystemLookup)).unwrap(),
            tokens: Arc::new(|tenant| (tenant == "default").then(|| "12345".to_owned())),
            speech,
            flows: Flows::new(store, prompts),
            commander,
            runtime: tokio::runtime::Handle::current(),
        });
        Self { errands: errands.unwrap(), inbox, _dir: dir }
    }

    fn run(&self, sid: u8, asked: Asked) {
        self.errands.run(Errand { sid: call(sid), tenant: "default".into(), asked });
    }

    /// Everything that was brought to a call.
    fn brought(&self, to: u8) -> Vec<Brought> {
        let brought = |command| match command {
            Command::Brought { sid, brought } if sid == call(to) => Some(*brought),
            _ => None,
        };
        self.inbox.taken().into_iter().filter_map(brought).collect()
    }

    /// What is brought to a call next.
    async fn bring(&self, sid: u8, asked: Asked) -> Brought {
        let before = self.brought(sid).len();
        self.run(sid, asked);
        until("an errand brings something", async || self.brought(sid).len() > before).await;
        self.brought(sid).pop().unwrap()
    }

    async fn fetch(&self, request: HttpRequest) -> Result<ivr::Response, FetchFault> {
        match self.bring(1, Asked::Fetch { fetch: FetchId(7), request }).await {
            Brought::Response { fetch: FetchId(7), result } => result,
            other => panic!("{other:?}"),
        }
    }

    async fn heard(&self) -> Result<Heard, String> {
        let wav = include_bytes!("../../../sounds/welcome.wav").to_vec();
        let utterance = Box::new(Utterance { wav, language: "en-GB".into(), hints: "yes,no".into() });
        match self.bring(4, Asked::WriteDown { listen: ListenId(5), utterance }).await {
            Brought::WrittenDown { listen: ListenId(5), result } => result,
            other => panic!("{other:?}"),
        }
    }

    async fn sound(&self, asked: Asked) -> Result<Arc<media::Prompt>, String> {
        match self.bring(2, asked).await {
            Brought::Sound { play: PlayId(3), sound } => sound,
            other => panic!("{other:?}"),
        }
    }
}

fn call(sid: u8) -> CallSid {
    format!("CA{sid:032x}").parse().unwrap()
}

fn request(url: &str, method: Method, params: &[(&str, &str)]) -> HttpRequest {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let (url, body, timeouts) = (Url::parse(url).unwrap(), ivr::Body::Form(params), Timeouts::default());
    HttpRequest { url, method, body, timeouts, token: 4 }
}

fn play(url: &str) -> Asked {
    Asked::Sound { play: PlayId(3), url: Url::parse(url).unwrap() }
}

fn say(text: &str) -> Asked {
    Asked::Say { play: PlayId(3), say: Say { text: text.into(), repeat: 1, ..Say::default() } }
}

fn header<'a>(seen: &'a Seen, name: &str) -> &'a str {
    seen.2.get(name).map_or("", |value| value.to_str().unwrap())
}

async fn exchange(egress: &Egress, url: &str) -> Result<u16, FetchFault> {
    let exchange = Exchange {
        method: reqwest::Method::GET,
        url: Url::parse(url).unwrap(),
        headers: Default::default(),
        body: Content::Nothing,
        timeouts: Timeouts::default(),
        most: 100,
    };
    egress.exchange(exchange).await.map(|reply| reply.status)
}

/// A resolver that says what it is told to, one answer after the other.
struct Said(Mutex<VecDeque<Vec<&'static str>>>);

impl Said {
    fn new(answers: &[&[&'static str]]) -> Arc<Self> {
        Arc::new(Self(Mutex::new(answers.iter().map(|answer| answer.to_vec()).collect())))
    }
}

impl Lookup for Said {
    fn lookup(&self, _: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let answer = self.0.lock().unwrap().pop_front().expect("it is asked once a connection");
        Box::pin(async move { Ok(answer.into_iter().map(|address| address.parse().unwrap()).collect()) })
    }
}

#[tokio::test]
async fn nothing_inside_is_reached_however_its_address_is_written() {
    let (server, addr) = Server::new(vec![answers(200, &[], "inside")]).await;
    let egress = Egress::new(Policy::default(), Arc::new(SystemLookup)).unwrap();
    let port = addr.port();
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://localhost:{port}/"),
        format!("http://0x7f.1:{port}/"),
        format!("http://2130706433:{port}/"),
        format!("http://0177.0.0.1:{port}/"),
        format!("http://127.1:{port}/"),
        format!("http://0:{port}/"),
        format!("http://[::1]:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://[::ffff:7f00:1]:{port}/"),
        format!("http://user:password@127.0.0.1:{port}/"),
        format!("http://\u{ff11}27.0.0.1:{port}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://[fd00:ec2::254]/latest/meta-data/".to_owned(),
        "http://[64:ff9b::a9fe:a9fe]/".to_owned(),
        "http://10.0.0.1/".to_owned(),
        "http://224.0.0.1/".to_owned(),
        "file:///etc/passwd".to_owned(),
        format!("gopher://127.0.0.1:{port}/_GET"),
        "ftp://example.com/".to_owned(),
        "data:text/xml,<Response/>".to_owned(),
    ] {
        let result = exchange(&egress, &url).await;
        assert!(matches!(result, Err(FetchFault::Refused(_))), "{url}: {result:?}");
    }
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_name_is_what_it_was_checked_to_be_and_each_connection_checks_anew() {
    let (good, addr) = Server::on("127.0.0.2", vec![answers(200, &[], "")]).await;
    let inside = TcpListener::bind(("127.0.0.1", addr.port())).await.unwrap();
    let said: &[&[&'static str]] =
        &[&["127.0.0.2"], &["127.0.0.1"], &["127.0.0.2", "127.0.0.1"], &["169.254.169.254"], &["::ffff:127.0.0.1"]];
    let policy = Policy::new(vec!["127.0.0.2/32".parse().unwrap()]);
    let egress = Egress::new(policy, Said::new(said)).unwrap();
    let url = format!("http://rebinding.example:{}/", addr.port());
    assert_eq!(exchange(&egress, &url).await, Ok(200));
    for _ in 1..said.len() {
        let result = exchange(&egress, &url).await;
        assert!(
            matches!(&result, Err(FetchFault::Refused(why)) if why.starts_with("rebinding.example: ")),
            "{result:?}"
        );
    }
    assert_eq!((good.seen().len(), header(&good.seen()[0], "host")), (1, &url[7..url.len() - 1]));
    // Nobody knocked: the first to do so is this test.
    let knock = tokio::net::TcpStream::connect(inside.local_addr().unwrap()).await.unwrap();
    let (_, from) = inside.accept().await.unwrap();
    assert_eq!(from, knock.local_addr().unwrap());
}

#[tokio::test]
async fn a_redirection_is_told_to_the_program_and_not_followed() {
    let (inside, secret) = Server::on("127.0.0.3", vec![answers(200, &[], "secret")]).await;
    let location = format!("http://{secret}/");
    let (server, addr) = Server::new(vec![answers(302, &[("location", &location)], "")]).await;
    let rim = Rim::new(SpeechConfig::default()).await;
    let response = rim.fetch(request(&format!("http://{addr}/"), Method::Get, &[])).await.unwrap();
    assert_eq!((response.status, response.location.as_deref()), (302, Some(location.as_str())));
    // Sounds are redirected, and only to where they may be.
    let refused = rim.sound(play(&format!("http://{addr}/x.wav"))).await.unwrap_err();
    assert!(refused.contains("127.0.0.3 is a loopback address"), "{refused}");
    assert_eq!((server.seen().len(), inside.seen().len()), (2, 0));
}

#[tokio::test]
async fn a_request_is_signed_and_carries_its_token_and_the_cookies_of_its_call() {
    let ok = answers(200, &[("content-type", "text/xml; charset=utf-8"), ("set-cookie", "seen=1; Path=/")], "<x/>");
    let (server, addr) = Server::new(vec![ok]).await;
    let rim = Rim::new(SpeechConfig::default()).await;
    let url = format!("http://{addr}/ivr?x=1#rc=2");
    let post = request(&url, Method::Post, &[("Digits", "1 #"), ("From", "+1")]);
    for _ in 0..2 {
        let response = rim.fetch(post.clone()).await.unwrap();
        assert_eq!((response.status, response.content_type.as_str()), (200, "text/xml; charset=utf-8"));
        assert_eq!(response.body, b"<x/>");
    }
    let seen = server.seen();
    let (method, path, _, body) = &seen[0];
    assert_eq!((method.as_str(), path.as_str(), body.as_str()), ("POST", "/ivr?x=1", "Digits=1+%23&From=%2B1"));
    assert_eq!(header(&seen[0], "content-type"), "application/x-www-form-urlencoded");
    assert_eq!(header(&seen[0], "x-twilio-signature"), post.signature("12345"));
    assert_eq!(header(&seen[0], "user-agent"), USER_AGENT);
    assert_eq!(header(&seen[0], "i-twilio-idempotency-token").len(), 36);
    assert_eq!(header(&seen[0], "i-twilio-idempotency-token"), header(&seen[1], "i-twilio-idempotency-token"));
    assert_eq!((header(&seen[0], "cookie"), header(&seen[1], "cookie")), ("", "seen=1"));
    // Another call has other cookies and another token; another tenant no signature.
    rim.errands.run(Errand {
        sid: call(9),
        tenant: "other".into(),
        asked: Asked::Fetch { fetch: FetchId(1), request: request(&url, Method::Get, &[("Digits", "1")]) },
    });
    until("the third request", async || server.seen().len() == 3).await;
    let third = &server.seen()[2];
    assert_eq!((third.0.as_str(), third.1.as_str()), ("GET", "/ivr?x=1&Digits=1"));
    assert_eq!((header(third, "cookie"), header(third, "x-twilio-signature")), ("", ""));
    assert_ne!(header(third, "i-twilio-idempotency-token"), header(&seen[0], "i-twilio-idempotency-token"));
}

#[tokio::test]
async fn a_body_without_end_is_read_to_its_limit_and_a_silent_server_to_its_time() {
    let endless = || Body::from_stream(futures_util::stream::repeat_with(|| Ok::<_, io::Error>(vec![b'x'; 10_000])));
    let (_, addr) = Server::new(vec![Arc::new(move || Response::new(endless()))]).await;
    let rim = Rim::new(SpeechConfig::default()).await;
    let response = rim.fetch(request(&format!("http://{addr}/"), Method::Get, &[])).await.unwrap();
    assert_eq!(response.body.len(), MAX_BODY + 1);
    // Bound, and never accepted: the connection stands, and nothing comes.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut slow = request(&format!("http://{}/", silent.local_addr().unwrap()), Method::Get, &[]);
    slow.timeouts = Timeouts { connect_ms: 1_000, read_ms: 100, total_ms: 1_000 };
    assert_eq!(rim.fetch(slow).await, Err(FetchFault::Timeout));
    let gone = silent.local_addr().unwrap();
    drop(silent);
    let refused = rim.fetch(request(&format!("http://{gone}/"), Method::Get, &[])).await;
    assert!(matches!(refused, Err(FetchFault::Connect(_))), "{refused:?}");
    let (_, garbage) = garbage().await;
    let protocol = rim.fetch(request(&format!("http://{garbage}/"), Method::Get, &[])).await;
    assert!(matches!(protocol, Err(FetchFault::Protocol(_))), "{protocol:?}");
}

/// A server that speaks something that is no HTTP.
async fn garbage() -> (tokio::task::JoinHandle<()>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.read_u8().await.unwrap();
        stream.write_all(b"220 mail.example ESMTP\r\n").await.unwrap();
        // Until the other side has gone.
        while stream.read_u8().await.is_ok() {}
    });
    (task, addr)
}

#[tokio::test]
async fn what_a_tenant_has_no_room_for_fails_at_once_and_another_has_room() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let rim = Rim::new(SpeechConfig::default()).await;
    let url = format!("http://{}/", silent.local_addr().unwrap());
    for _ in 0..MAX_OF_TENANT {
        rim.run(5, Asked::Fetch { fetch: FetchId(1), request: request(&url, Method::Get, &[]) });
    }
    let began = std::time::Instant::now();
    let one_more = rim.fetch(request(&url, Method::Get, &[])).await;
    assert!(matches!(&one_more, Err(FetchFault::Refused(why)) if why.contains("too many")), "{one_more:?}");
    assert!(began.elapsed() < PATIENCE && rim.brought(5).is_empty());
    // Another tenant does not wait for this one's silent server.
    let (server, addr) = Server::new(vec![answers(200, &[], "")]).await;
    let request = request(&format!("http://{addr}/"), Method::Get, &[]);
    let asked = Asked::Fetch { fetch: FetchId(1), request };
    rim.errands.run(Errand { sid: call(6), tenant: "other".into(), asked });
    until("the other tenant's request is answered", async || !rim.brought(6).is_empty()).await;
    assert!(server.seen().len() == 1 && rim.brought(5).is_empty());
}

#[tokio::test]
async fn callbacks_of_a_call_arrive_in_order_and_one_that_fails_again_before_the_next() {
    let (server, addr) = Server::new(vec![answers(500, &[], ""), answers(503, &[], ""), answers(204, &[], "")]).await;
    let rim = Rim::new(SpeechConfig::default()).await;
    for event in ["initiated", "ringing", "answered"] {
        let request = request(&format!("http://{addr}/"), Method::Post, &[("CallStatus", event)]);
        rim.run(1, Asked::Callback { request });
    }
    assert_eq!(rim.errands.settled(PATIENCE).await, 0);
    let bodies: Vec<String> = server.seen().into_iter().map(|seen| seen.3).collect();
    let wanted =
        ["initiated", "initiated", "initiated", "ringing", "answered"].map(|event| format!("CallStatus={event}"));
    assert_eq!(bodies, wanted);
    assert!(rim.brought(1).is_empty());
}

#[tokio::test]
async fn a_callback_that_always_fails_is_given_up_and_one_to_the_inside_is_never_sent() {
    let (server, addr) = Server::new(vec![answers(500, &[], "")]).await;
    let (inside, secret) = Server::on("127.0.0.3", vec![answers(200, &[], "")]).await;
    let rim = Rim::new(SpeechConfig::default()).await;
    for (sid, to) in [(1, addr), (2, secret)] {
        rim.run(sid, Asked::Callback { request: request(&format!("http://{to}/"), Method::Post, &[]) });
    }
    assert_eq!(rim.errands.settled(PATIENCE).await, 0);
    assert_eq!((server.seen().len(), inside.seen().len()), (1 + BACKOFF.len(), 0));
}

#[tokio::test]
async fn a_sound_is_decoded_and_kept_for_as_long_as_its_server_says() {
    let wav = include_bytes!("../../../sounds/welcome.wav").as_slice();
    let kind = ("content-type", "audio/x-wav");
    let (server, addr) = Server::new(vec![
        answers(200, &[kind, ("cache-control", "max-age=600")], wav),
        answers(200, &[kind, ("cache-control", "max-age=0"), ("etag", "\"v1\"")], wav),
        answers(304, &[], ""),
        answers(200, &[("content-type", "text/html")], "<html>no sound</html>"),
        answers(404, &[], ""),
    ])
    .await;
    let rim = Rim::new(SpeechConfig::default()).await;
    let first = rim.sound(play(&format!("http://{addr}/a.wav"))).await.unwrap();
    let again = rim.sound(play(&format!("http://{addr}/a.wav"))).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again) && first.duration_ms() > 500);
    assert_eq!(server.seen().len(), 1);
    let stale = rim.sound(play(&format!("http://{addr}/b.wav"))).await.unwrap();
    let same = rim.sound(play(&format!("http://{addr}/b.wav"))).await.unwrap();
    assert!(Arc::ptr_eq(&stale, &same));
    assert_eq!(header(&server.seen()[2], "if-none-match"), "\"v1\"");
    let html = rim.sound(play(&format!("http://{addr}/c"))).await.unwrap_err();
    assert!(html.contains("is no WAV, MP3"), "{html}");
    let missing = rim.sound(play(&format!("http://{addr}/d"))).await.unwrap_err();
    assert_eq!(missing, "its server answers 404");
}

#[tokio::test]
async fn espeak_speaks_words_and_markup_and_says_which_voice_it_has_not() {
    if std::process::Command::new("espeak-ng").arg("--version").output().is_err() {
        use std::io::Write;
        let _ = std::io::stderr().write_all(b"LEFT OUT: no espeak-ng here; tests/peers.sh installs it\n");
        return;
    }
    let rim = Rim::new(SpeechConfig::default()).await;
    let words = rim.sound(say("Your call is important to us.")).await.unwrap();
    assert!((1_000..6_000).contains(&words.duration_ms()), "{words:?}");
    assert!(words.samples().iter().any(|sample| sample.abs() > 1_000));
    let again = rim.sound(say("Your call is important to us.")).await.unwrap();
    assert!(Arc::ptr_eq(&words, &again));
    let marked = |text: &str| Say { text: text.into(), markup: true, repeat: 1, ..Say::default() };
    let plain = rim.sound(Asked::Say { play: PlayId(3), say: marked("one two") }).await.unwrap();
    let with_pause = marked("one <break time=\"2s\"/> two");
    let paused = rim.sound(Asked::Say { play: PlayId(3), say: with_pause }).await.unwrap();
    assert!(paused.duration_ms() > plain.duration_ms() + 1_500, "{paused:?} {plain:?}");
    let klingon = Say { language: Some("qqq-QQ".into()), text: "x".into(), ..Say::default() };
    let none = rim.sound(Asked::Say { play: PlayId(3), say: klingon }).await.unwrap_err();
    assert!(none.contains("qqq") && none.contains("does not exist"), "{none}");
}

#[tokio::test]
async fn where_nothing_can_speak_the_error_says_what_to_install() {
    let speech = SpeechConfig { espeak: "/nowhere/espeak-ng".into(), ..SpeechConfig::default() };
    let why = Rim::new(speech).await.sound(say("hello")).await.unwrap_err();
    assert!(why.contains("apt-get install espeak-ng") && why.contains("[speech]"), "{why}");
}

#[tokio::test]
async fn an_endpoint_speaks_and_what_it_said_is_on_disk_after_a_restart() {
    let wav = include_bytes!("../../../sounds/welcome.wav").as_slice();
    let (server, addr) =
        Server::new(vec![answers(200, &[("content-type", "audio/wav")], wav), answers(500, &[], "")]).await;
    let dir = tempfile::tempdir().unwrap();
    let endpoint = Endpoint {
        url: Url::parse(&format!("http://{addr}/v1/audio/speech")).unwrap(),
        model: "tts-1".into(),
        voice: "alloy".into(),
        key: Some("secret".into()),
    };
    let cache = Some((dir.path().join("speech"), 1 << 20));
    let speech = SpeechConfig { endpoint: Some(endpoint), cache, ..SpeechConfig::default() };
    let first = Rim::new(speech.clone()).await.sound(say("hello")).await.unwrap();
    let seen = &server.seen()[0];
    let body: serde_json::Value = serde_json::from_str(&seen.3).unwrap();
    let wanted = serde_json::json!({ "model": "tts-1", "input": "hello", "voice": "alloy", "response_format": "wav" });
    assert_eq!((body, header(seen, "authorization")), (wanted, "Bearer secret"));
    let after = Rim::new(speech.clone()).await;
    assert_eq!(after.sound(say("hello")).await.unwrap().samples(), first.samples());
    assert_eq!(server.seen().len(), 1);
    assert_eq!(after.sound(say("other words")).await.unwrap_err(), "the speech endpoint answers 500");
}

#[tokio::test]
async fn a_recogniser_gets_the_utterance_in_the_form_of_openai_and_its_words_come_back() {
    let (server, addr) = Server::new(vec![
        answers(200, &[("content-type", "application/json")], r#"{"text": " Yes please. ", "confidence": 0.87}"#),
        answers(200, &[("content-type", "application/json")], r#"{"text": ""}"#),
        answers(200, &[("content-type", "text/plain")], "yes"),
        answers(503, &[], ""),
    ])
    .await;
    let recogniser = Recogniser {
        url: Url::parse(&format!("http://{addr}/v1/audio/transcriptions")).unwrap(),
        model: "whisper-1".into(),
        key: Some("secret".into()),
    };
    let rim = Rim::new(SpeechConfig { recogniser: Some(recogniser), ..SpeechConfig::default() }).await;
    assert_eq!(rim.heard().await, Ok(Heard { text: "Yes please.".into(), confidence: Some(870) }));
    let seen = &server.seen()[0];
    assert_eq!((seen.0.as_str(), header(seen, "authorization")), ("POST", "Bearer secret"));
    assert!(header(seen, "content-type").starts_with("multipart/form-data; boundary="), "{:?}", seen.2);
    let fields = [("model", "whisper-1"), ("language", "en"), ("prompt", "yes,no"), ("response_format", "json")];
    for (name, value) in fields {
        let field = format!("name=\"{name}\"\r\n\r\n{value}\r\n");
        assert!(seen.3.contains(&field), "{field:?} in {}", seen.3);
    }
    assert!(seen.3.contains("name=\"file\"; filename=\"utterance.wav\"\r\nContent-Type: audio/wav\r\n\r\nRIFF"));
    assert_eq!(rim.heard().await, Ok(Heard::default()));
    let garbage = rim.heard().await.unwrap_err();
    assert!(garbage.contains("is no {\"text\""), "{garbage}");
    assert_eq!(rim.heard().await.unwrap_err(), "the recogniser answers 503");
}

#[tokio::test]
async fn where_nobody_understands_speech_the_error_says_what_to_configure() {
    let why = Rim::new(SpeechConfig::default()).await.heard().await.unwrap_err();
    assert!(why.contains("recogniser_url in [speech]"), "{why}");
    let (_, addr) = garbage().await;
    let url = Url::parse(&format!("http://{addr}/v1/audio/transcriptions")).unwrap();
    let recogniser = Recogniser { url, model: "whisper-1".into(), key: None };
    let rim = Rim::new(SpeechConfig { recogniser: Some(recogniser), ..SpeechConfig::default() }).await;
    let why = rim.heard().await.unwrap_err();
    assert!(why.starts_with("the recogniser: "), "{why}");
}
