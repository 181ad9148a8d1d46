//! The way into a shard's thread: a queue that is bounded for what may be refused, and an eventfd that wakes the loop.

use super::EngineError;
use super::pair::Pair;
use crate::command::{Command, EndpointId};
use crate::record::{Block, RecordId};
use crate::shard::EndpointState;
use crate::stats::ShardReport;
use rustix::event::{EventfdFlags, eventfd};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    sync::{Arc, mpsc},
};

/// Commands that may wait for a shard. Beyond it `Engine::send` refuses with `Full`: no new call, while calls that are up
/// still end, since `Close` is exempt (there is one an endpoint at most).
pub const INBOX_LIMIT: usize = 16_384;

/// What a shard's thread is told.
pub(super) enum Message {
    Command(Command),
    /// Make an endpoint of these sockets; that they stand has been told.
    Create {
        id: EndpointId,
        rtp_port: u16,
        pair: Pair,
    },
    /// An endpoint will come: keep its commands.
    Expect(EndpointId),
    /// Give the endpoint away.
    Move {
        id: EndpointId,
        to: usize,
    },
    /// Here it is; `None`: it was not there.
    Adopt {
        id: EndpointId,
        endpoint: Option<Box<(EndpointState, Pair)>>,
    },
    /// A block that was written.
    Recycle(Block),
    /// A recording that could not be.
    RecordFailed {
        id: EndpointId,
        record: RecordId,
        error: String,
    },
    Report(mpsc::Sender<ShardReport>),
    Stop,
}

impl Message {
    /// The endpoints whose order with other messages it must keep. What has come (`Adopt`) waits for nobody.
    pub(super) fn about(&self) -> [Option<EndpointId>; 2] {
        match self {
            Self::Command(Command::Bridge { id, with }) => [Some(*id), Some(*with)],
            Self::Command(command) => [Some(command.id()), None],
            Self::Create { id, .. } | Self::Expect(id) | Self::Move { id, .. } => [Some(*id), None],
            Self::RecordFailed { .. } | Self::Recycle(_) | Self::Adopt { .. } | Self::Report(_) | Self::Stop => {
                [None; 2]
            }
        }
    }
}

#[derive(Debug)]
struct Bell {
    waiting: AtomicUsize,
    /// The loop looks at the queue by itself, or has been told to: there is no need to ring.
    awake: AtomicBool,
    eventfd: OwnedFd,
}

/// The sending end.
#[derive(Debug)]
pub(super) struct Inbox {
    sender: mpsc::Sender<Message>,
    bell: Arc<Bell>,
}

/// The loop's end.
pub(super) struct Receiver {
    receiver: mpsc::Receiver<Message>,
    bell: Arc<Bell>,
}

impl Inbox {
    pub(super) fn new() -> io::Result<(Self, Receiver)> {
        let eventfd = eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?;
        let bell = Arc::new(Bell { waiting: AtomicUsize::new(0), awake: AtomicBool::new(true), eventfd });
        let (sender, receiver) = mpsc::channel();
        Ok((Self { sender, bell: bell.clone() }, Receiver { receiver, bell }))
    }

    pub(super) fn command(&self, shard: usize, command: Command) -> Result<(), EngineError> {
        if !matches!(command, Command::Close { .. }) {
            self.check_room(shard)?;
        }
        self.push(Message::Command(command)).map_err(|()| EngineError::Stopped(shard))
    }

    fn check_room(&self, shard: usize) -> Result<(), EngineError> {
        let is_full = self.bell.waiting.load(Ordering::Relaxed) >= INBOX_LIMIT;
        if is_full { Err(EngineError::Full(shard)) } else { Ok(()) }
    }

    /// Nobody is woken for it: until its endpoint is told something, and the bell rings, its sockets keep what comes.
    pub(super) fn create(&self, shard: usize, id: EndpointId, rtp_port: u16, pair: Pair) -> Result<(), EngineError> {
        self.check_room(shard)?;
        self.put(Message::Create { id, rtp_port, pair }).map_err(|()| EngineError::Stopped(shard))
    }

    /// Asks how the shard is. One that is overloaded already is not asked.
    pub(super) fn ask(&self, shard: usize, reply: mpsc::Sender<ShardReport>) -> Result<(), EngineError> {
        self.check_room(shard)?;
        self.push(Message::Report(reply)).map_err(|()| EngineError::Stopped(shard))
    }

    pub(super) fn push(&self, message: Message) -> Result<(), ()> {
        self.put(message)?;
        self.bell.ring();
        Ok(())
    }

    fn put(&self, message: Message) -> Result<(), ()> {
        self.bell.waiting.fetch_add(1, Ordering::SeqCst);
        self.sender.send(message).map_err(|_| ())
    }
}

impl Bell {
    fn ring(&self) {
        if !self.awake.swap(true, Ordering::SeqCst) {
            // It fails only where the counter is full, and then the loop is awake.
            let _ = rustix::io::write(&self.eventfd, &1u64.to_ne_bytes());
        }
    }
}

impl Receiver {
    /// What the loop's epoll watches.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.bell.eventfd.as_fd()
    }

    /// Before the loop sleeps: what comes from now on rings. True where something waits already.
    pub(super) fn doze(&self) -> bool {
        self.bell.awake.store(false, Ordering::SeqCst);
        self.waits()
    }

    /// After a sleep: nobody need ring.
    pub(super) fn wake(&self) {
        self.bell.awake.store(true, Ordering::SeqCst);
    }

    /// True where a message waits.
    pub(super) fn waits(&self) -> bool {
        self.waiting() > 0
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.bell.waiting.load(Ordering::SeqCst)
    }

    pub(super) fn next(&self) -> Option<Message> {
        let message = self.receiver.try_recv().ok()?;
        self.bell.waiting.fetch_sub(1, Ordering::Relaxed);
        Some(message)
    }
}
