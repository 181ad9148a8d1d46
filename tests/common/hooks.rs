//! A receiver of webhooks that outlives the switch: takes most of what it is sent at once, and some only when it is sent
//! again, as receivers do.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// One in so many is answered 500 the first time.
const REFUSES: u64 = 8;
/// How long one that connects may say nothing: a switch that was killed has connections that never will.
const SILENCE: Duration = Duration::from_secs(30);

/// What came of an event: its `webhook-id`s, and how often each was taken.
pub type Ids = BTreeMap<String, usize>;

/// The events that were taken, by the call's sid and their type.
pub type Events = BTreeMap<(String, String), Ids>;

/// A receiver on loopback.
#[derive(Clone, Debug)]
pub struct Hooks {
    /// `status_callback`.
    pub url: String,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    taken: Events,
    refused: BTreeSet<String>,
    seen: u64,
}

impl Hooks {
    /// One that listens.
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let hooks = Self { url: format!("http://{}/hook", listener.local_addr().unwrap()), state: Arc::default() };
        let own = hooks.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = own.clone();
                std::thread::spawn(move || own.take(stream));
            }
        });
        hooks
    }

    /// What was taken so far.
    pub fn taken(&self) -> Events {
        self.state.lock().unwrap().taken.clone()
    }

    /// How many were refused once.
    pub fn refused(&self) -> usize {
        self.state.lock().unwrap().refused.len()
    }

    /// Reads one request and answers it.
    fn take(&self, stream: TcpStream) -> Option<()> {
        stream.set_read_timeout(Some(SILENCE)).ok()?;
        let mut reader = BufReader::new(stream.try_clone().ok()?);
        let (mut id, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok()?;
            match line.trim().split_once(':') {
                Some((name, value)) if name.eq_ignore_ascii_case("webhook-id") => value.trim().clone_into(&mut id),
                Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                    length = value.trim().parse().ok()?
                }
                None if line.trim().is_empty() => break,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let event: Value = serde_json::from_slice(&body).ok()?;
        let status = if self.note(&id, &event) { "204 No Content" } else { "500 Not Now" };
        write!(&stream, "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").ok()
    }

    /// Whether it is taken.
    fn note(&self, id: &str, event: &Value) -> bool {
        let mut state = self.state.lock().unwrap();
        state.seen += 1;
        if state.seen.is_multiple_of(REFUSES) && state.refused.insert(id.to_owned()) {
            return false;
        }
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let key = (text(&event["data"]["sid"]), text(&event["type"]));
        *state.taken.entry(key).or_default().entry(id.to_owned()).or_default() += 1;
        true
    }
}
