//! A load's own media thread: the sockets of its streams, and the tap that measures them. It is not the switch's engine:
//! that has no time for a measurement, and a load asks the kernel when each packet came.

mod inbox;
mod sockets;
mod thread;

use crate::load::tap::Streams;
use base::Rng;
use inbox::Inbox;
use media::{Command, Event, ShardStats};
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Where a media thread stands.
pub(super) struct Setup {
    /// Which shard's.
    pub(super) number: usize,
    /// The local address of its sockets.
    pub(super) ip: IpAddr,
    /// Where monotonic time begins.
    pub(super) origin: Instant,
    pub(super) rng: Rng,
    /// What stamps of this load begin with.
    pub(super) key: u64,
}

/// What a media thread was like.
#[derive(Clone, Debug, Default)]
pub(super) struct Ended {
    pub(super) stats: ShardStats,
    /// CPU of the thread.
    pub(super) cpu: Duration,
    /// How long it was ready, and the processors did something else.
    pub(super) waited: Duration,
}

/// A media thread that runs. Dropped, it closes every endpoint and ends.
pub(super) struct Engine {
    inbox: Inbox,
    seen: Arc<Mutex<Streams>>,
    thread: Option<JoinHandle<Ended>>,
}

impl Engine {
    /// Starts the thread, which hands every event to `sink`.
    ///
    /// # Errors
    /// The thread, its epoll or its eventfd cannot be made.
    pub(super) fn start(setup: Setup, sink: impl Fn(Event) + Send + 'static) -> io::Result<Self> {
        let (inbox, outlet) = inbox::inbox()?;
        let seen = Arc::new(Mutex::new(Streams::default()));
        let thread = std::thread::Builder::new().name(format!("load-media-{}", setup.number));
        let worker = thread::Worker::new(&setup, outlet, Arc::clone(&seen))?;
        let thread = thread.spawn(move || worker.run(sink))?;
        Ok(Self { inbox, seen, thread: Some(thread) })
    }

    /// Hands over a command; false where there is no room for it ([`inbox::INBOX`]), which is never so for a `Close`.
    pub(super) fn send(&self, command: Command) -> bool {
        self.inbox.send(command)
    }

    /// What was measured since it was last asked.
    pub(super) fn seen(&self) -> Streams {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Closes every endpoint and ends the thread.
    pub(super) fn stop(mut self) -> Ended {
        self.end()
    }

    fn end(&mut self) -> Ended {
        self.inbox.stop();
        let Some(thread) = self.thread.take() else { return Ended::default() };
        thread.join().unwrap_or_else(|_| {
            tracing::error!("a load's media thread ended in a panic");
            Ended::default()
        })
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.end();
    }
}
