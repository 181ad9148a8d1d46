//! Clients of the API: POSTs at a pace, and what each was answered.

use crate::common::http::{Http, Reply};
use crate::common::switch::OWNED;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// POSTs under way at the same time.
const CLIENTS: usize = 4;

/// A POST: its number, when it left, how long it took, and its answer; `None` where nothing came back.
#[derive(Clone, Debug)]
pub struct Posted {
    pub nth: u64,
    pub left: Instant,
    pub took: Duration,
    pub reply: Option<Reply>,
}

/// POSTs at a pace, until it is stopped; a switch that is away is asked all the same.
pub struct Clients {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    next: AtomicUsize,
    admitted: AtomicUsize,
    stop: AtomicBool,
    posted: Mutex<Vec<Posted>>,
}

impl Clients {
    pub fn start(http: &Http, callback: &str, pace: Duration) -> Self {
        let shared = Arc::new(Shared::default());
        let client = |_| {
            let (shared, http, callback) = (Arc::clone(&shared), http.clone(), callback.to_owned());
            std::thread::spawn(move || shared.run(&http, &callback, pace * CLIENTS as u32))
        };
        let threads = (0..CLIENTS).map(client).collect();
        Self { shared, threads }
    }

    /// How many were answered 201 so far.
    pub fn admitted(&self) -> usize {
        self.shared.admitted.load(Ordering::Relaxed)
    }

    /// All of them.
    pub fn stop(self) -> Vec<Posted> {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        std::mem::take(&mut self.shared.posted.lock().unwrap())
    }
}

impl Shared {
    fn run(&self, http: &Http, callback: &str, pace: Duration) {
        let mut due = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            let nth = self.next.fetch_add(1, Ordering::Relaxed);
            let left = Instant::now();
            let reply = http.try_post("/v1/calls", &call(nth, callback)).ok();
            let took = left.elapsed();
            if reply.as_ref().is_some_and(|reply| reply.status == 201) {
                self.admitted.fetch_add(1, Ordering::Relaxed);
            }
            self.posted.lock().unwrap().push(Posted { nth: nth as u64, left, took, reply });
            due = (due + pace).max(Instant::now());
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
        }
    }
}

fn call(nth: usize, callback: &str) -> Value {
    json!({
        "from": OWNED, "to": format!("+1832556{:04}", nth % 10_000), "answer": { "play": "digit-1" },
        "metadata": { "nth": nth }, "status_callback": callback,
        "status_callback_events": ["call.answered", "call.ended"],
    })
}
