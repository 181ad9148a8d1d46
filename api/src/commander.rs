//! How the API reaches signalling: by commands through a bounded inbox.
//!
//! When the inbox is full, calls are refused *before* they are admitted. A command that follows an admission is never
//! lost: it waits here, off the request's own path, until the inbox takes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use switch::Command;

/// How long a command waits before the full inbox is tried again.
pub const TRY_AGAIN: Duration = Duration::from_millis(2);

/// Why the inbox does not take a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// It holds as many as it may; it will take it later.
    Now,
    /// Signalling has ended; it will take nothing any more.
    Gone,
}

/// Gives a command to signalling, without waiting; gives it back where the inbox is full.
pub type Send = Arc<dyn Fn(Command) -> Result<(), (Command, Full)> + std::marker::Send + Sync>;

/// The way to signalling. Cloning is cheap; all clones are one.
#[derive(Clone)]
pub struct Commander {
    send: Send,
    waiting: Arc<AtomicUsize>,
}

/// Signalling has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signalling has ended")]
pub struct Gone;

impl Commander {
    /// A way to signalling by `send`.
    #[must_use]
    pub fn new(send: Send) -> Self {
        Self { send, waiting: Arc::default() }
    }

    /// Whether commands wait for a full inbox: no call is admitted then.
    #[must_use]
    pub fn congested(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }

    /// Sends, however long the inbox is full. Commands sent one after the other arrive in that order.
    ///
    /// # Errors
    /// [`Gone`] where signalling has ended.
    pub async fn send(&self, command: Command) -> Result<(), Gone> {
        let mut back = match (self.send)(command) {
            Ok(()) => return Ok(()),
            Err((_, Full::Gone)) => return Err(Gone),
            Err((command, Full::Now)) => command,
        };
        let _waiting = Waiting::on(&self.waiting);
        loop {
            tokio::time::sleep(TRY_AGAIN).await;
            back = match (self.send)(back) {
                Ok(()) => return Ok(()),
                Err((_, Full::Gone)) => return Err(Gone),
                Err((command, Full::Now)) => command,
            };
        }
    }
}

/// Counts one that waits, for as long as it does.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn on(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    /// An inbox that is full for the first `full` tries.
    fn inbox(full: usize) -> (Commander, Arc<Mutex<Vec<Command>>>) {
        let (taken, tries) = (Arc::new(Mutex::new(Vec::new())), AtomicUsize::new(0));
        let into = taken.clone();
        let send = move |command| {
            if tries.fetch_add(1, Ordering::Relaxed) < full {
                return Err((command, Full::Now));
            }
            into.lock().unwrap().push(command);
            Ok(())
        };
        (Commander::new(Arc::new(send)), taken)
    }

    #[tokio::test]
    async fn a_command_to_a_full_inbox_is_not_lost_and_is_told_as_congestion() {
        let (commander, taken) = inbox(3);
        let sending = commander.send(Command::Drain);
        tokio::pin!(sending);
        assert!(tokio::time::timeout(Duration::ZERO, &mut sending).await.is_err());
        assert!(commander.congested());
        assert_eq!(sending.await, Ok(()));
        assert!(!commander.congested());
        assert_eq!(taken.lock().unwrap().len(), 1);
    }

    #[tokio::test]
    async fn an_inbox_that_nobody_reads_any_more_is_an_error() {
        let commander = Commander::new(Arc::new(|command| Err((command, Full::Gone))));
        assert_eq!(commander.send(Command::Drain).await, Err(Gone));
    }
}
