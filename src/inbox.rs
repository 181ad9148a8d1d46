//! The signalling thread's inbox: the one bounded queue through which the network, the media shards and the API reach
//! calls (DESIGN.md §3).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// What the inbox holds at most. The upper half belongs to what may not be lost: media events, and commands for calls
/// whose admission is on disk; a sender of those waits where even that is full.
pub const INBOX: usize = 65_536;
/// From here on new work is turned away: datagrams are dropped (their senders retransmit) and the API answers 503.
pub const NEW_WORK_LIMIT: usize = INBOX / 2;

/// With so many items waiting the switch counts as overloaded: at a tenth to a third of a millisecond each, what comes
/// last waits for up to 50 ms. New calls are then answered 503 at once.
pub const OVERLOADED_AT: usize = 192;
/// With so few it does so no more.
pub const RELIEVED_AT: usize = 32;

/// Why an item was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// There is no room now.
    Now,
    /// Nobody reads any more.
    Gone,
}

/// What lies in it.
#[derive(Debug)]
enum Post<T> {
    Item(T),
    End,
}

/// Nothing more will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended;

/// The way in. Cheap to clone.
#[derive(Debug)]
pub struct Inbox<T> {
    sender: SyncSender<Post<T>>,
    depth: Arc<AtomicUsize>,
}

impl<T> Clone for Inbox<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), depth: Arc::clone(&self.depth) }
    }
}

/// The way out.
#[derive(Debug)]
pub struct Outlet<T> {
    receiver: Receiver<Post<T>>,
    depth: Arc<AtomicUsize>,
}

/// An inbox and its outlet.
pub fn inbox<T>() -> (Inbox<T>, Outlet<T>) {
    let (sender, receiver) = sync_channel(INBOX);
    let depth = Arc::new(AtomicUsize::new(0));
    (Inbox { sender, depth: Arc::clone(&depth) }, Outlet { receiver, depth })
}

impl<T> Inbox<T> {
    /// Puts in what may be turned away, and gives it back where it is.
    pub fn offer(&self, item: T) -> Result<(), (T, Full)> {
        if self.depth.load(Ordering::Relaxed) >= NEW_WORK_LIMIT {
            return Err((item, Full::Now));
        }
        self.depth.fetch_add(1, Ordering::Relaxed);
        match self.sender.try_send(Post::Item(item)) {
            Err(TrySendError::Full(Post::Item(item))) => Err((item, self.turned_away(Full::Now))),
            Err(TrySendError::Disconnected(Post::Item(item))) => Err((item, self.turned_away(Full::Gone))),
            // An end is never what was offered here.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn turned_away(&self, full: Full) -> Full {
        self.depth.fetch_sub(1, Ordering::Relaxed);
        full
    }

    /// Tells the reader that nothing more will come, however many may still hold the way in.
    pub fn end(&self) {
        self.depth.fetch_add(1, Ordering::Relaxed);
        if self.sender.send(Post::End).is_err() {
            self.depth.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Puts in what may not be lost; waits for room where there is none.
    pub fn deliver(&self, item: T) {
        self.depth.fetch_add(1, Ordering::Relaxed);
        if self.sender.send(Post::Item(item)).is_err() {
            self.depth.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl<T> Outlet<T> {
    /// How much waits.
    pub fn depth(&self) -> usize {
        self.depth.load(Ordering::Relaxed)
    }

    /// The next item, if one comes within `wait`. An error: there will be none any more.
    pub fn next(&self, wait: Duration) -> Result<Option<T>, Ended> {
        match self.receiver.recv_timeout(wait) {
            Ok(post) => {
                self.depth.fetch_sub(1, Ordering::Relaxed);
                match post {
                    Post::Item(item) => Ok(Some(item)),
                    Post::End => Err(Ended),
                }
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Ended),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_work_is_turned_away_while_there_is_room_for_the_rest() {
        let (inbox, outlet) = inbox();
        for n in 0..NEW_WORK_LIMIT {
            inbox.offer(n).unwrap();
        }
        assert_eq!(inbox.offer(7), Err((7, Full::Now)));
        inbox.deliver(8);
        assert_eq!(outlet.next(Duration::ZERO), Ok(Some(0)));
        assert_eq!(outlet.next(Duration::ZERO), Ok(Some(1)));
        inbox.offer(9).unwrap();
        inbox.end();
        let drained = std::iter::from_fn(|| outlet.next(Duration::ZERO).ok()).count();
        assert_eq!(drained, NEW_WORK_LIMIT);
    }
}
