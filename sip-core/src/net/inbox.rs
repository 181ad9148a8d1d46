//! What stands before the one thread that owns an endpoint: a bounded queue for what other threads say, and its UDP sockets,
//! which it reads itself. A datagram so costs neither a task nor a second wake; and where inputs come thick, the thread
//! rests between two looks, so that many share one wake (on two cores the wake is dearer than the message).

use super::udp::Datagrams;
use crate::transport::Input;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::time::Timespec;
use std::collections::VecDeque;
use std::io;
use std::mem::MaybeUninit;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

/// What waits at most. The upper half belongs to what may not be lost: media events, and commands for calls whose
/// admission is on disk; a sender of those waits where even that is full.
pub const INBOX: usize = 65_536;

/// From here on new work is turned away: datagrams are left to the kernel, which drops them (their senders retransmit),
/// and the API answers 503.
pub const NEW_WORK_LIMIT: usize = INBOX / 2;

/// Datagrams read of one listener in a row, so that a flood on one holds up no other. What is read is known to wait: what the
/// kernel holds beyond it is not.
pub const DATAGRAMS_A_LOOK: usize = 256;

/// How long the thread may rest while inputs keep coming. It bounds what a rest adds to a message's way, and how late a timer
/// is.
pub const REST: Duration = Duration::from_millis(1);

/// Of so many rests one is followed by a look at what epoll knows; after the others the listeners are read straight away. What
/// ICMP has said waits for that look.
const RESTS_BEFORE_LOOK: u32 = 16;

/// Inputs in one stretch of [`REST`] from which on the thread rests. Fewer are taken as they come.
const INPUTS_BEFORE_REST: usize = 4;

/// How long a sender of what may not be lost waits before it looks again whether there is room.
const FULL_RETRY: Duration = Duration::from_millis(1);

/// The event that means the bell and no socket.
const BELL: u64 = u64::MAX;

/// Sockets looked at in a row.
const EVENTS_A_WAIT: usize = 64;

/// Why an item was turned away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnedAway {
    /// There is no room now.
    Full,
    /// Nobody reads any more.
    Gone,
}

/// Nothing more will come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended;

#[derive(Debug)]
enum Post<T> {
    /// And since when it waits.
    Item(T, Instant),
    End,
}

#[derive(Debug)]
struct Bell {
    waiting: AtomicUsize,
    /// Somebody reads, or is about to: there is no need to ring.
    awake: AtomicBool,
    eventfd: OwnedFd,
}

impl Bell {
    fn ring(&self) {
        if !self.awake.swap(true, Ordering::SeqCst) {
            // It fails only where the counter is full, and then the thread is awake.
            let _ = rustix::io::write(&self.eventfd, &1u64.to_ne_bytes());
        }
    }
}

/// The way in. Cheap to clone.
#[derive(Debug)]
pub struct Inbox<T> {
    sender: Sender<Post<T>>,
    bell: Arc<Bell>,
}

impl<T> Clone for Inbox<T> {
    fn clone(&self) -> Self {
        Self { sender: self.sender.clone(), bell: Arc::clone(&self.bell) }
    }
}

impl<T> Inbox<T> {
    /// Puts in what may be turned away, and gives it back where it is.
    ///
    /// # Errors
    /// The item, and why it is not taken.
    pub fn offer(&self, item: T) -> Result<(), (T, TurnedAway)> {
        if self.bell.waiting.load(Ordering::Relaxed) >= NEW_WORK_LIMIT {
            return Err((item, TurnedAway::Full));
        }
        match self.post(Post::Item(item, Instant::now())) {
            Err(Post::Item(item, _)) => Err((item, TurnedAway::Gone)),
            // An end is never what was offered here.
            Ok(()) | Err(Post::End) => Ok(()),
        }
    }

    /// Puts in what may not be lost; waits for room where there is none. Goes nowhere once nobody reads.
    pub fn deliver(&self, item: T) {
        // A reader that goes leaves nothing waiting.
        while self.bell.waiting.load(Ordering::Relaxed) >= INBOX {
            std::thread::sleep(FULL_RETRY);
        }
        let _ = self.post(Post::Item(item, Instant::now()));
    }

    /// Tells the reader that nothing more will come, however many may still hold the way in.
    pub fn end(&self) {
        let _ = self.post(Post::End);
    }

    fn post(&self, post: Post<T>) -> Result<(), Post<T>> {
        self.bell.waiting.fetch_add(1, Ordering::Relaxed);
        match self.sender.send(post) {
            Ok(()) => {
                self.bell.ring();
                Ok(())
            }
            Err(mpsc::SendError(post)) => {
                self.bell.waiting.fetch_sub(1, Ordering::Relaxed);
                Err(post)
            }
        }
    }
}

/// The way out: what the thread waits at. Datagrams come as `T` made of [`Input`].
pub struct Outlet<T> {
    receiver: Receiver<Post<T>>,
    bell: Arc<Bell>,
    epoll: OwnedFd,
    listeners: Vec<Datagrams>,
    /// Datagrams that were read and not yet handed out, and when they were (nanoseconds since `origin`).
    read: VecDeque<(u64, T)>,
    /// The kernel may hold more.
    more: bool,
    /// Since when what was handed out last had waited.
    since: u64,
    /// The same of what came out of the queue last.
    queued: u64,
    /// What was found in the queue just before a sleep.
    found: Option<Post<T>>,
    /// Whose turn it is: the queue's or the datagrams'.
    queue_next: bool,
    rests: Rests,
    /// Rests since the last look.
    unlooked: u32,
    origin: Instant,
}

/// An inbox and its outlet.
///
/// # Errors
/// Where the system gives no descriptor.
pub fn inbox<T>() -> io::Result<(Inbox<T>, Outlet<T>)> {
    let eventfd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    // Each ring is told once, so that nobody need read it.
    let rings = epoll::EventFlags::IN | epoll::EventFlags::ET;
    epoll::add(&epoll, &eventfd, epoll::EventData::new_u64(BELL), rings)?;
    let bell = Arc::new(Bell { waiting: AtomicUsize::new(0), awake: AtomicBool::new(true), eventfd });
    let (sender, receiver) = channel();
    let outlet = Outlet {
        receiver,
        bell: Arc::clone(&bell),
        epoll,
        listeners: Vec::new(),
        read: VecDeque::new(),
        more: false,
        since: 0,
        queued: 0,
        found: None,
        queue_next: true,
        rests: Rests::of(REST),
        unlooked: 0,
        origin: Instant::now(),
    };
    Ok((Inbox { sender, bell }, outlet))
}

impl<T> std::fmt::Debug for Outlet<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outlet").field("bell", &self.bell).field("listeners", &self.listeners).finish_non_exhaustive()
    }
}

impl<T> Drop for Outlet<T> {
    /// Whoever waits for room need not any more.
    fn drop(&mut self) {
        self.bell.waiting.store(0, Ordering::Relaxed);
    }
}

impl<T: From<Input>> Outlet<T> {
    /// Reads these listeners from now on.
    ///
    /// # Errors
    /// Where the system does not watch one.
    pub fn hear(&mut self, listeners: Vec<Datagrams>) -> io::Result<()> {
        for listener in listeners {
            let data = epoll::EventData::new_u64(self.listeners.len() as u64);
            epoll::add(&self.epoll, &listener, data, epoll::EventFlags::IN)?;
            self.listeners.push(listener);
        }
        Ok(())
    }

    /// To be called once by the thread that will read: without it the kernel may end each rest 50 µs late. Best effort.
    pub fn settle_in(&self) {
        if let Err(error) = rustix::thread::set_current_timer_slack(NonZeroU64::new(1)) {
            tracing::warn!(%error, "timer slack cannot be set");
        }
    }

    /// The next item that is there; queue and datagrams take turns, so that neither holds up the other.
    ///
    /// # Errors
    /// There will be none any more.
    pub fn take(&mut self) -> Result<Option<T>, Ended> {
        self.queue_next = !self.queue_next;
        if self.queue_next
            && let Some(item) = self.take_read()
        {
            return Ok(Some(item));
        }
        match self.found.take().map_or_else(|| self.receiver.try_recv(), Ok) {
            Ok(post) => {
                self.bell.waiting.fetch_sub(1, Ordering::Relaxed);
                match post {
                    Post::Item(item, since) => {
                        self.since = since.saturating_duration_since(self.origin).as_nanos() as u64;
                        self.queued = self.since;
                        Ok(Some(item))
                    }
                    Post::End => Err(Ended),
                }
            }
            Err(TryRecvError::Empty) => Ok(self.take_read()),
            Err(TryRecvError::Disconnected) => Err(Ended),
        }
    }

    fn take_read(&mut self) -> Option<T> {
        let (since, item) = self.read.pop_front()?;
        self.since = since;
        Some(item)
    }

    /// How long the longest has waited of what was taken last and what still waits: queue and datagrams take turns, so that
    /// one of the two may be served at once while the other stands. In the kernel's buffer a datagram may have waited before,
    /// for as long as a turn takes.
    #[must_use]
    pub fn waited(&self) -> Duration {
        let read = self.read.front().map_or(u64::MAX, |(since, _)| *since);
        // Whoever is next in the queue came after the one before.
        let queued = if self.bell.waiting.load(Ordering::Relaxed) > 0 { self.queued } else { u64::MAX };
        Duration::from_nanos(self.mono().saturating_sub(self.since.min(read).min(queued)))
    }

    /// Looks at the sockets; sleeps before that, for at most `most` or a [`REST`], where nothing is there. `taken` is what has been handed
    /// out since the last look.
    pub fn wait(&mut self, most: Duration, taken: usize) {
        let busy =
            self.more || !self.read.is_empty() || self.found.is_some() || self.bell.waiting.load(Ordering::Relaxed) > 0;
        let rest = self.rests.after(taken, self.mono());
        if busy {
            return self.look(Duration::ZERO);
        }
        if let Some(rest) = rest.filter(|rest| !rest.is_zero()) {
            // Nobody rings meanwhile: `awake` stands. Nor does a timer cut it short: thousands a second, each forgetting a
            // transaction of half a minute ago, would be a wake each.
            std::thread::sleep(rest);
            self.unlooked += 1;
            return if self.unlooked < RESTS_BEFORE_LOOK { self.read_all() } else { self.look(Duration::ZERO) };
        }
        self.bell.awake.store(false, Ordering::SeqCst);
        // What came in before it could ring.
        self.found = self.receiver.try_recv().ok();
        self.look(if self.found.is_some() { Duration::ZERO } else { most });
        self.bell.awake.store(true, Ordering::SeqCst);
    }

    fn look(&mut self, timeout: Duration) {
        self.unlooked = 0;
        self.more = false;
        let mut ready = [const { MaybeUninit::uninit() }; EVENTS_A_WAIT];
        let timeout = Timespec::try_from(timeout).ok();
        // A signal ends the wait early, and early is harmless.
        let Ok((ready, _)) = epoll::wait(&self.epoll, &mut ready, timeout.as_ref()) else { return };
        let now = self.origin.elapsed().as_nanos() as u64;
        for event in ready {
            // The bell's number is no listener's.
            let Some(listener) = self.listeners.get_mut(event.data.u64() as usize) else { continue };
            let flags = event.flags;
            if flags.contains(epoll::EventFlags::ERR) {
                listener.errors(|input| self.read.push_back((now, input.into())));
            }
            let room = NEW_WORK_LIMIT.saturating_sub(self.read.len()).min(DATAGRAMS_A_LOOK);
            self.more |= listener.read(room, |input| self.read.push_back((now, input.into())));
        }
    }

    /// After a rest something is there, as a rule: to ask first whether it is would cost a system call.
    fn read_all(&mut self) {
        let (now, read) = (self.mono(), &mut self.read);
        self.more = false;
        for listener in &mut self.listeners {
            let room = NEW_WORK_LIMIT.saturating_sub(read.len()).min(DATAGRAMS_A_LOOK);
            self.more |= listener.read(room, |input| read.push_back((now, input.into())));
        }
    }

    fn mono(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }
}

/// When a thread rests: once inputs come faster than it is worth to be woken for each.
#[derive(Debug)]
pub struct Rests {
    /// How long a stretch is, in nanoseconds: the longest rest.
    length: u64,
    /// Which stretch this is, counted from the beginning.
    stretch: u64,
    inputs: usize,
}

impl Rests {
    /// Rests of at most `length`.
    #[must_use]
    pub fn of(length: Duration) -> Self {
        Self { length: (length.as_nanos() as u64).max(1), stretch: 0, inputs: 0 }
    }

    /// After so many inputs, at `mono` (nanoseconds): how long, if at all.
    pub fn after(&mut self, inputs: usize, mono: u64) -> Option<Duration> {
        let stretch = mono / self.length;
        if stretch != self.stretch {
            (self.stretch, self.inputs) = (stretch, 0);
        }
        self.inputs += inputs;
        (self.inputs >= INPUTS_BEFORE_REST).then(|| Duration::from_nanos((stretch + 1) * self.length - mono))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Item(usize);

    impl From<Input> for Item {
        fn from(_: Input) -> Self {
            Self(usize::MAX)
        }
    }

    #[test]
    fn new_work_is_turned_away_while_there_is_room_for_the_rest() {
        let (inbox, mut outlet) = inbox().unwrap();
        for n in 0..NEW_WORK_LIMIT {
            inbox.offer(Item(n)).unwrap();
        }
        assert_eq!(inbox.offer(Item(7)), Err((Item(7), TurnedAway::Full)));
        inbox.deliver(Item(8));
        assert_eq!(outlet.take(), Ok(Some(Item(0))));
        assert_eq!(outlet.take(), Ok(Some(Item(1))));
        inbox.offer(Item(9)).unwrap();
        inbox.end();
        let drained = std::iter::from_fn(|| outlet.take().ok()).count();
        assert_eq!(drained, NEW_WORK_LIMIT);
        drop(outlet);
        assert_eq!(inbox.offer(Item(1)), Err((Item(1), TurnedAway::Gone)));
    }

    #[test]
    fn a_sleeper_is_woken_by_what_comes_and_by_nothing_else() {
        let (inbox, mut outlet) = inbox::<Item>().unwrap();
        outlet.wait(Duration::ZERO, 0);
        assert_eq!(outlet.take(), Ok(None));
        let sender = std::thread::spawn(move || inbox.deliver(Item(1)));
        // Whether it comes before or during the wait, the wait ends for it and not after a minute.
        let began = Instant::now();
        let mut item = None;
        while item.is_none() && began.elapsed() < Duration::from_secs(30) {
            outlet.wait(Duration::from_secs(60), 0);
            item = outlet.take().unwrap_or(None);
        }
        assert_eq!(item, Some(Item(1)));
        sender.join().unwrap();
        assert_eq!(outlet.take(), Err(Ended), "every way in is gone");
    }

    #[test]
    fn it_rests_to_the_end_of_a_stretch_in_which_inputs_come_thick() {
        let stretch = REST.as_nanos() as u64;
        let mut rests = Rests::of(REST);
        assert_eq!(rests.after(1, 10 * stretch + 1), None, "one input is taken as it comes");
        assert_eq!(rests.after(3, 10 * stretch + 2), Some(REST - Duration::from_nanos(2)));
        assert_eq!(rests.after(0, 11 * stretch), None, "a new stretch begins anew");
        assert!(
            (20..1000).all(|n| rests.after(1, n * stretch).is_none()),
            "an input now and then is never waited with"
        );
    }
}
