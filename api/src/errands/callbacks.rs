//! Callbacks: requests whose answers nobody waits for. Those of one call arrive in their order; one that fails is tried
//! again a few times, and then given up; none makes a call wait.

use super::web::Web;
use ivr::{FetchFault, HttpRequest};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use switch::CallSid;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

/// Exchanges at the same time; a further one waits.
pub const AT_ONCE: usize = 64;

/// Callbacks that wait, over all calls. One more is dropped, and the log says so.
pub const MAX_WAITING: usize = 10_000;

/// Callbacks of one call that wait. One more is dropped, and the log says so.
pub const MAX_OF_A_CALL: usize = 256;

/// How long after each failure it is tried again; after the last it is given up.
pub const BACKOFF: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(2), Duration::from_secs(8)];

struct Job {
    tenant: String,
    request: HttpRequest,
}

#[derive(Default)]
struct Lines {
    by_call: HashMap<CallSid, VecDeque<Job>>,
    waiting: usize,
}

/// What waits and what is on its way. Cloning is cheap; all clones are one.
#[derive(Clone)]
pub struct Callbacks {
    web: Arc<Web>,
    lines: Arc<Mutex<Lines>>,
    at_once: Arc<Semaphore>,
    runtime: Handle,
}

impl Callbacks {
    pub(super) fn new(web: Arc<Web>, runtime: Handle) -> Self {
        Self { web, lines: Arc::default(), at_once: Arc::new(Semaphore::new(AT_ONCE)), runtime }
    }

    /// How many have not arrived and are not given up.
    pub(super) fn waiting(&self) -> usize {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).waiting
    }

    /// Takes one, behind those of its call that wait.
    pub(super) fn push(&self, sid: CallSid, tenant: String, request: HttpRequest) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let full = lines.waiting >= MAX_WAITING;
        let first = !lines.by_call.contains_key(&sid);
        let line = lines.by_call.entry(sid).or_default();
        if full || line.len() >= MAX_OF_A_CALL {
            if line.is_empty() && first {
                lines.by_call.remove(&sid);
            }
            tracing::error!(%sid, host = request.url.host_str(), "too many callbacks wait: one is dropped");
            return;
        }
        line.push_back(Job { tenant, request });
        lines.waiting += 1;
        drop(lines);
        if first {
            let this = self.clone();
            self.runtime.spawn(async move { this.drain(sid).await });
        }
    }

    /// Does a call's callbacks until none is left.
    async fn drain(self, sid: CallSid) {
        while let Some(job) = self.next(sid) {
            self.deliver(sid, &job).await;
            self.lines.lock().unwrap_or_else(PoisonError::into_inner).waiting -= 1;
        }
    }

    /// The next one of a call; where there is none, the call's line goes.
    fn next(&self, sid: CallSid) -> Option<Job> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let job = lines.by_call.get_mut(&sid)?.pop_front();
        if job.is_none() {
            lines.by_call.remove(&sid);
        }
        job
    }

    async fn deliver(&self, sid: CallSid, job: &Job) {
        let mut backoff = BACKOFF.into_iter();
        loop {
            let failed = match self.attempt(sid, job).await {
                Ok(status) if status == 429 || status >= 500 => format!("status {status}"),
                // What it says beside that is its own.
                Ok(_) => return,
                Err(FetchFault::Refused(why)) => {
                    tracing::warn!(%sid, host = job.request.url.host_str(), why, "a callback is not delivered");
                    return;
                }
                Err(fault) => format!("{fault:?}"),
            };
            let host = job.request.url.host_str();
            let Some(wait) = backoff.next() else {
                tracing::warn!(%sid, host, why = failed, "a callback is given up");
                return;
            };
            tracing::debug!(%sid, host, why = failed, "a callback is tried again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&self, sid: CallSid, job: &Job) -> Result<u16, FetchFault> {
        let Ok(_permit) = self.at_once.acquire().await else { return Err(FetchFault::Timeout) };
        Ok(self.web.exchange(sid, &job.tenant, &job.request).await?.status)
    }
}
