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

/// There is no room.
#[derive(Debug)]
pub struct Full;

/// The way in. Cheap to clone.
#[derive(Debug)]
pub struct Inbox<T> {
    sender: SyncSender<T>,
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
    receiver: Receiver<T>,
    depth: Arc<AtomicUsize>,
}

/// An inbox and its outlet.
pub fn inbox<T>() -> (Inbox<T>, Outlet<T>) {
    let (sender, receiver) = sync_channel(INBOX);
    let depth = Arc::new(AtomicUsize::new(0));
    (Inbox { sender, depth: Arc::clone(&depth) }, Outlet { receiver, depth })
}

impl<T> Inbox<T> {
    /// Puts in what may be turned away.
    pub fn offer(&self, item: T) -> Result<(), Full> {
        self.try_offer(item).map_err(|_| Full)
    }

    /// As [`Inbox::offer`], and gives back what found no room.
    pub fn try_offer(&self, item: T) -> Result<(), T> {
        if self.depth.load(Ordering::Relaxed) >= NEW_WORK_LIMIT {
            return Err(item);
        }
        self.depth.fetch_add(1, Ordering::Relaxed);
        self.sender.try_send(item).map_err(|error| {
            self.depth.fetch_sub(1, Ordering::Relaxed);
            let (TrySendError::Full(item) | TrySendError::Disconnected(item)) = error;
            item
        })
    }

    /// Puts in what may not be lost; waits for room where there is none.
    pub fn deliver(&self, item: T) {
        self.depth.fetch_add(1, Ordering::Relaxed);
        if self.sender.send(item).is_err() {
            self.depth.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl<T> Outlet<T> {
    /// The next item, if one comes within `wait`. An error means that nobody can send any more.
    pub fn next(&self, wait: Duration) -> Result<Option<T>, ()> {
        match self.receiver.recv_timeout(wait) {
            Ok(item) => {
                self.depth.fetch_sub(1, Ordering::Relaxed);
                Ok(Some(item))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(()),
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
        assert_eq!(inbox.try_offer(7), Err(7));
        inbox.deliver(8);
        assert_eq!(outlet.next(Duration::ZERO), Ok(Some(0)));
        assert_eq!(outlet.next(Duration::ZERO), Ok(Some(1)));
        inbox.offer(9).unwrap();
    }
}
