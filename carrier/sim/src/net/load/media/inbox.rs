//! The way into a media thread: a queue that is bounded for what may be refused, and an eventfd that wakes the loop.

use media::Command;
use rustix::event::{EventfdFlags, eventfd};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

/// Commands that may wait. Beyond it a command is refused, and its call fails by our own fault; a `Close` is exempt, of
/// which there is one an endpoint.
pub(super) const INBOX: usize = 16_384;

/// What the thread is told.
enum Message {
    Command(Command),
    Stop,
}

#[derive(Debug)]
struct Bell {
    waiting: AtomicUsize,
    /// The loop looks at the queue by itself, or has been told to.
    awake: AtomicBool,
    eventfd: OwnedFd,
}

/// The sending end.
pub(super) struct Inbox {
    sender: mpsc::Sender<Message>,
    bell: Arc<Bell>,
}

/// The loop's end.
pub(super) struct Outlet {
    receiver: mpsc::Receiver<Message>,
    bell: Arc<Bell>,
}

/// What the loop takes out.
pub(super) enum Taken {
    Command(Command),
    /// There is nothing, for now.
    Nothing,
    /// The end has come.
    Stop,
}

/// Both ends.
pub(super) fn inbox() -> io::Result<(Inbox, Outlet)> {
    let eventfd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
    let bell = Arc::new(Bell { waiting: AtomicUsize::new(0), awake: AtomicBool::new(true), eventfd });
    let (sender, receiver) = mpsc::channel();
    Ok((Inbox { sender, bell: Arc::clone(&bell) }, Outlet { receiver, bell }))
}

impl Inbox {
    /// False where there is no room for it.
    pub(super) fn send(&self, command: Command) -> bool {
        let is_exempt = matches!(command, Command::Close { .. });
        let has_room = is_exempt || self.bell.waiting.load(Ordering::Relaxed) < INBOX;
        if has_room {
            self.push(Message::Command(command));
        }
        has_room
    }

    pub(super) fn stop(&self) {
        self.push(Message::Stop);
    }

    fn push(&self, message: Message) {
        self.bell.waiting.fetch_add(1, Ordering::SeqCst);
        // A thread that has ended misses nothing.
        let _ = self.sender.send(message);
        if !self.bell.awake.swap(true, Ordering::SeqCst) {
            // It fails only where the counter is full, and then the loop is awake.
            let _ = rustix::io::write(&self.bell.eventfd, &1u64.to_ne_bytes());
        }
    }
}

impl Outlet {
    /// What the loop's epoll watches.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.eventfd.as_fd()
    }

    /// Before the loop sleeps: what comes from now on rings. True where something waits already.
    pub(super) fn doze(&self) -> bool {
        self.bell.awake.store(false, Ordering::SeqCst);
        self.waits()
    }

    /// After a sleep: nobody need ring, and the bell is silent.
    pub(super) fn wake(&self, rung: bool) {
        self.bell.awake.store(true, Ordering::SeqCst);
        if rung {
            let _ = rustix::io::read(&self.bell.eventfd, &mut [0u8; 8]);
        }
    }

    /// True where something waits.
    pub(super) fn waits(&self) -> bool {
        self.bell.waiting.load(Ordering::SeqCst) > 0
    }

    pub(super) fn take(&self) -> Taken {
        let message = match self.receiver.try_recv() {
            Ok(message) => message,
            Err(mpsc::TryRecvError::Empty) => return Taken::Nothing,
            Err(mpsc::TryRecvError::Disconnected) => return Taken::Stop,
        };
        self.bell.waiting.fetch_sub(1, Ordering::Relaxed);
        match message {
            Message::Command(command) => Taken::Command(command),
            Message::Stop => Taken::Stop,
        }
    }
}
