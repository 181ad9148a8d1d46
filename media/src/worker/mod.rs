//! The rim (Linux): threads `media-0`, `media-1`, … each with one loop that owns a shard, its sockets and its clock.
//!
//! No task a leg, no lock between shards: commands and moved endpoints come through a bounded inbox that wakes the
//! loop, events leave through the caller's sink. The loop is a bare epoll one: `epoll_pwait2` sleeps to the
//! nanosecond, while tokio's timer rounds every 1 ms tick up to the next millisecond. Where packets come thick it looks
//! at the sockets once in [`REST`] and takes all that is there.
#![allow(clippy::disallowed_methods, reason = "this is the rim: it reads the clock and starts the threads")]

mod inbox;
mod pair;
mod sockets;
mod thread;
mod writer;

use crate::command::{Command, EndpointId};
use crate::event::Event;
use crate::room::RoomId;
use crate::shard::ShardConfig;
use crate::stats::{ShardReport, ShardStats};
use base::Rng;
use inbox::{Inbox, Message};
use pair::Pair;
use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::{Duration, Instant},
};

pub use inbox::INBOX_LIMIT;
pub use pair::{RECEIVE_BUFFER, STEADY};
pub use thread::{HELD_COMMANDS, MESSAGES_REST, REST};
pub use writer::WRITER_QUEUE;
use writer::Writer;

/// How long the shards' answers are waited for, all together. A shard that is that busy is left out.
const STATS_WAIT: Duration = Duration::from_secs(1);

/// How the engine runs.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Shard threads; 0: one per core.
    pub threads: usize,
    /// The local address of every RTP socket.
    pub bind_ip: IpAddr,
    /// Bounds of each shard.
    pub shard: ShardConfig,
    /// Where monotonic time begins: the same for whoever compares `Event::FirstPacket`'s time with its own.
    pub origin: Instant,
    /// For SSRCs, sequence numbers, timestamps and CNAMEs.
    pub rng: Rng,
}

/// Why the engine did not do it.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A thread, its epoll or its eventfd could not be made.
    #[error("media thread {shard} cannot start: {source}")]
    Start {
        /// Which.
        shard: usize,
        /// The operating system's word.
        source: std::io::Error,
    },
    /// An RTP port that cannot be opened.
    #[error("{0}")]
    Port(String),
    /// `INBOX_LIMIT` commands wait already: refuse new calls. A `Close` is always taken.
    #[error("media shard {0} is overloaded: {INBOX_LIMIT} commands wait")]
    Full(usize),
    /// There is no such shard, or it has stopped.
    #[error("media shard {0} is not running")]
    Stopped(usize),
}

/// Sockets connected to where an endpoint's packets go are a convenience: all shards together take no more than one in so
/// many of the descriptors that the process may have.
const DIRECT_SHARE: u64 = 4;

/// How many of them a shard may have.
fn most_direct(shards: usize) -> usize {
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    usize::try_from(descriptors / DIRECT_SHARE / shards.max(1) as u64).unwrap_or(usize::MAX)
}

/// Where events go that the engine tells by itself.
struct Sink(Box<dyn Fn(Event) + Send>);

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sink")
    }
}

/// The shard threads. Dropped, it closes every endpoint and ends them.
#[derive(Debug)]
pub struct Engine {
    inboxes: Arc<[Inbox]>,
    bind_ip: IpAddr,
    sink: Sink,
    threads: Vec<JoinHandle<()>>,
    /// Endpoints that were moved, until they close: where they are. All others are where `pick` says.
    moved: HashMap<EndpointId, usize>,
    /// Rooms that have members: their shard, and how many; and where each member is.
    rooms: HashMap<RoomId, (usize, usize)>,
    seats: HashMap<EndpointId, RoomId>,
    /// Dropped last: what the shards say at their end is still written.
    _writer: Writer,
}

impl Engine {
    /// Starts the threads. Each calls its own clone of `sink` with every event; it must not block.
    ///
    /// # Errors
    /// [`EngineError::Start`] where a thread or its descriptors cannot be made.
    pub fn start(config: EngineConfig, sink: impl Fn(Event) + Send + Clone + 'static) -> Result<Self, EngineError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if config.threads == 0 { cores } else { config.threads };
        let start = |shard| move |source| EngineError::Start { shard, source };
        let made = (0..threads).map(|shard| Inbox::new().map_err(start(shard))).collect::<Result<Vec<_>, _>>()?;
        let (inboxes, receivers): (Vec<_>, Vec<_>) = made.into_iter().unzip();
        let inboxes: Arc<[Inbox]> = inboxes.into();
        let writer = Writer::start(inboxes.clone(), sink.clone()).map_err(start(threads))?;
        let orders = writer.orders();
        let mut engine = Self {
            inboxes,
            bind_ip: config.bind_ip,
            sink: Sink(Box::new(sink.clone())),
            threads: Vec::new(),
            moved: HashMap::new(),
            rooms: HashMap::new(),
            seats: HashMap::new(),
            _writer: writer,
        };
        let mut rng = config.rng.clone();
        for (shard, receiver) in receivers.into_iter().enumerate() {
            let (inboxes, orders) = (engine.inboxes.clone(), orders.clone());
            let worker =
                thread::Worker::new(shard, &config, rng.fork(), inboxes, receiver, orders, most_direct(threads));
            let worker = worker.map_err(start(shard))?;
            let sink = sink.clone();
            let builder = std::thread::Builder::new().name(format!("media-{shard}"));
            engine.threads.push(builder.spawn(move || worker.run(sink)).map_err(start(shard))?);
        }
        Ok(engine)
    }

    /// How many shards there are.
    #[must_use]
    pub fn shards(&self) -> usize {
        self.inboxes.len()
    }

    /// The shard an endpoint is on: where it was moved to, else where its number says. Ids that count up spread evenly.
    #[must_use]
    pub fn shard_of(&self, id: EndpointId) -> usize {
        let home = || (id.0 % self.inboxes.len().max(1) as u64) as usize;
        self.moved.get(&id).copied().unwrap_or_else(home)
    }

    /// Makes an endpoint, as [`Command::Create`] does, and says so at once: its RTP port is open when this returns, so that
    /// whoever waits for it need not sleep. What is said of it later comes through the sink.
    ///
    /// # Errors
    /// [`EngineError::Port`] where the port cannot be opened; those of [`Self::send`].
    pub fn create(&mut self, id: EndpointId, rtp_port: u16) -> Result<Event, EngineError> {
        let shard = self.shard_of(id);
        let pair = Pair::bind(self.bind_ip, id, rtp_port).map_err(EngineError::Port)?;
        self.inbox(shard)?.create(shard, id, rtp_port, pair)?;
        Ok(Event::Created { id, rtp_port })
    }

    /// Hands a command to the shard that has (or, for `Create`, shall have) its endpoint. A `Bridge` brings both onto one
    /// shard first, a `Join` the member to its room's.
    ///
    /// # Errors
    /// [`EngineError::Full`] where too many wait, never for a `Close`; [`EngineError::Stopped`] after a shutdown.
    pub fn send(&mut self, command: Command) -> Result<(), EngineError> {
        if let Command::Create { id, rtp_port } = command {
            let created = self.create(id, rtp_port).or_else(|error| match error {
                EngineError::Port(error) => Ok(Event::Failed { id, error }),
                error => Err(error),
            })?;
            (self.sink.0)(created);
            return Ok(());
        }
        if let Command::Bridge { id, with } = command {
            self.get_up(id);
            self.get_up(with);
            self.bring_together(id, with)?;
        }
        match &command {
            Command::Join { id, room, .. } => self.sit_down(*id, *room)?,
            Command::Leave { id } | Command::Close { id } => self.get_up(*id),
            _ => {}
        }
        let shard = self.shard_of(command.id());
        if let Command::Close { id } = command {
            self.moved.remove(&id);
        }
        self.inbox(shard)?.command(shard, command)
    }

    /// A member goes to where its room is; the first one decides.
    fn sit_down(&mut self, id: EndpointId, room: RoomId) -> Result<(), EngineError> {
        self.get_up(id);
        let here = self.shard_of(id);
        let shard = self.rooms.get(&room).map_or(here, |(shard, _)| *shard);
        if shard != here {
            // Whom it was joined with stays behind, and is told.
            let part = Message::Command(Command::Unbridge { id });
            self.inbox(here)?.push(part).map_err(|()| EngineError::Stopped(here))?;
        }
        self.move_endpoint(id, shard)?;
        self.rooms.entry(room).or_insert((shard, 0)).1 += 1;
        self.seats.insert(id, room);
        Ok(())
    }

    fn get_up(&mut self, id: EndpointId) {
        let Some(room) = self.seats.remove(&id) else { return };
        if let Some((_, members)) = self.rooms.get_mut(&room) {
            *members -= 1;
            if *members == 0 {
                self.rooms.remove(&room);
            }
        }
    }

    /// Which of the two moves is left to the first one's number, so that callers, whose numbers are all even where each
    /// call takes two, do not draw every call onto half of the shards.
    fn bring_together(&mut self, id: EndpointId, with: EndpointId) -> Result<(), EngineError> {
        const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
        let (mover, host) = if id.0.wrapping_mul(GOLDEN) >> 63 == 0 { (id, with) } else { (with, id) };
        let (from, to) = (self.shard_of(mover), self.shard_of(host));
        if from != to {
            // Whom it was joined with stays behind, and is told.
            let part = Message::Command(Command::Unbridge { id: mover });
            self.inbox(from)?.push(part).map_err(|()| EngineError::Stopped(from))?;
        }
        self.move_endpoint(mover, to)
    }

    /// Moves an endpoint with its sockets to another shard, without losing a packet. That one keeps its commands until
    /// the endpoint has come.
    ///
    /// # Errors
    /// [`EngineError::Stopped`] where either shard is not running.
    pub fn move_endpoint(&mut self, id: EndpointId, to: usize) -> Result<(), EngineError> {
        let from = self.shard_of(id);
        if from == to {
            return Ok(());
        }
        let (source, target) = (self.inbox(from)?, self.inbox(to)?);
        target.push(Message::Expect(id)).map_err(|()| EngineError::Stopped(to))?;
        source.push(Message::Move { id, to }).map_err(|()| EngineError::Stopped(from))?;
        self.moved.insert(id, to);
        Ok(())
    }

    fn inbox(&self, shard: usize) -> Result<&Inbox, EngineError> {
        self.inboxes.get(shard).ok_or(EngineError::Stopped(shard))
    }

    /// What each shard did so far, in order of their numbers.
    #[must_use]
    pub fn stats(&self) -> Vec<ShardStats> {
        self.observer().reports().into_iter().map(|report| report.stats).collect()
    }

    /// Who may ask the shards how they are from any thread.
    #[must_use]
    pub fn observer(&self) -> Observer {
        Observer { inboxes: self.inboxes.clone() }
    }

    /// Closes every endpoint (RTCP BYE, `Event::Closed`) and ends the threads.
    pub fn shutdown(self) {
        drop(self);
    }
}

/// Asks the shards of an engine how they are. It may outlive the engine: then nobody answers.
#[derive(Clone, Debug)]
pub struct Observer {
    inboxes: Arc<[Inbox]>,
}

impl Observer {
    /// What each shard says, in order of their numbers; one that is overloaded or does not
    /// answer within a second is left out. It blocks for the time of one turn of the shards' loops.
    #[must_use]
    pub fn reports(&self) -> Vec<ShardReport> {
        let (sender, reports) = mpsc::channel();
        for (shard, inbox) in self.inboxes.iter().enumerate() {
            // One that has stopped or is overloaded says nothing.
            let _ = inbox.ask(shard, sender.clone());
        }
        drop(sender);
        let end = Instant::now() + STATS_WAIT;
        let next = || reports.recv_timeout(end.saturating_duration_since(Instant::now())).ok();
        let mut reports: Vec<_> = std::iter::from_fn(next).collect();
        reports.sort_by_key(|report| report.shard);
        reports
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        for inbox in self.inboxes.iter() {
            // A thread that is gone already needs no word.
            let _ = inbox.push(Message::Stop);
        }
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a media thread ended in a panic");
            }
        }
    }
}
