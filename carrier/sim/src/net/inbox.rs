//! The one bounded queue through which sockets, shards and commands reach the driven node.

use crate::node::Input;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// What the inbox holds at most. A media event or a command waits where it is full.
pub const INBOX: usize = 16_384;
/// From here on datagrams are refused: their senders retransmit.
pub const NEW_WORK_LIMIT: usize = INBOX / 2;

/// What is in it.
#[allow(
    clippy::large_enum_variant,
    reason = "the queue's places are made once: a box would cost an allocation an input"
)]
pub(super) enum Post<C> {
    Input(Input<C>),
    /// The thread is to end.
    End,
}

/// The way in.
#[derive(Debug)]
pub(super) struct Inbox<C> {
    sender: SyncSender<Post<C>>,
    depth: Arc<AtomicUsize>,
}

impl<C> Clone for Inbox<C> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), depth: Arc::clone(&self.depth) }
    }
}

/// The way out.
pub(super) struct Outlet<C> {
    receiver: Receiver<Post<C>>,
    depth: Arc<AtomicUsize>,
}

pub(super) fn inbox<C>() -> (Inbox<C>, Outlet<C>) {
    let (sender, receiver) = sync_channel(INBOX);
    let depth = Arc::new(AtomicUsize::new(0));
    (Inbox { sender, depth: Arc::clone(&depth) }, Outlet { receiver, depth })
}

impl<C> Inbox<C> {
    /// Puts in what may be turned away.
    pub(super) fn offer(&self, input: Input<C>) -> Result<(), ()> {
        if self.depth.load(Ordering::Relaxed) >= NEW_WORK_LIMIT {
            return Err(());
        }
        self.depth.fetch_add(1, Ordering::Relaxed);
        match self.sender.try_send(Post::Input(input)) {
            Ok(()) => Ok(()),
            Err(error) => {
                self.depth.fetch_sub(1, Ordering::Relaxed);
                // Where nobody reads any more, nobody misses it, and its sender must not try again.
                if matches!(error, TrySendError::Full(_)) { Err(()) } else { Ok(()) }
            }
        }
    }

    /// Puts in what must arrive; waits where there is no room. Goes nowhere once the thread has ended.
    pub(super) fn deliver(&self, input: Input<C>) {
        self.post(Post::Input(input));
    }

    /// Ends the thread, behind what is in the inbox already.
    pub(super) fn end(&self) {
        self.post(Post::End);
    }

    fn post(&self, post: Post<C>) {
        self.depth.fetch_add(1, Ordering::Relaxed);
        if self.sender.send(post).is_err() {
            self.depth.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl<C> Outlet<C> {
    /// What comes within `wait`; `None` where nothing does, [`Post::End`] where nobody can send any more.
    pub(super) fn next(&self, wait: Duration) -> Option<Post<C>> {
        match self.receiver.recv_timeout(wait) {
            Ok(post) => {
                self.depth.fetch_sub(1, Ordering::Relaxed);
                Some(post)
            }
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Post::End),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_are_refused_while_there_is_room_for_what_must_arrive() {
        let (inbox, outlet) = inbox::<u8>();
        for _ in 0..NEW_WORK_LIMIT {
            inbox.offer(Input::Timeout).unwrap();
        }
        assert!(inbox.offer(Input::Timeout).is_err());
        inbox.deliver(Input::Command(7));
        inbox.end();
        for _ in 0..NEW_WORK_LIMIT {
            assert!(matches!(outlet.next(Duration::ZERO), Some(Post::Input(Input::Timeout))));
        }
        assert!(inbox.offer(Input::Timeout).is_ok());
        assert!(matches!(outlet.next(Duration::ZERO), Some(Post::Input(Input::Command(7)))));
        assert!(matches!(outlet.next(Duration::ZERO), Some(Post::End)));
        assert!(matches!(outlet.next(Duration::ZERO), Some(Post::Input(Input::Timeout))));
        assert!(outlet.next(Duration::ZERO).is_none());
        drop(inbox);
        assert!(matches!(outlet.next(Duration::ZERO), Some(Post::End)));
    }
}
