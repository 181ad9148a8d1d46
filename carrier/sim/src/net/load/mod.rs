//! A load on real sockets, sharded: threads `load-0`, `load-1`, …, each with its own sockets, user agent and, where
//! calls have media, its own media thread. Shards share nothing but the clock's origin, so that a core more is that much
//! load more.
//!
//! A shard's sockets, timer and calls live on one thread (a current-thread tokio runtime): a datagram costs no wake of
//! another thread, and lateness of that thread is the whole lateness there is.

mod media;
mod shard;
mod usage;
mod wake;

pub use usage::{Usage, UsageError};

use super::StartError;
use crate::load::{Command, Lap, LoadConfig, Media, Share};
use crate::node::Input;
use ::media::{PortRange, ShardStats};
use base::{Rng, millis};
use sip_core::net::{BindError, Counters, TlsConfig};
use sip_core::transport::Transport;
use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// What a shard's inbox holds at most. Datagrams are refused from half of it on (their senders retransmit, and
/// [`Counters::datagrams_dropped`] counts them); a media event waits where it is full.
pub const INBOX: usize = 16_384;
/// Laps that wait for whoever reads them; a shard waits where they are not read for so long.
pub const LAPS: usize = 1_024;
/// The most shards.
pub const MAX_SHARDS: usize = 64;
/// Between the last shard's readiness and the first call.
const LEAD: u64 = millis(50);

/// A load, and where it stands.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What is done. Listeners, start, share and ports are filled in for each shard.
    pub config: LoadConfig,
    /// How many shards, 1 to [`MAX_SHARDS`].
    pub shards: usize,
    /// How SIP is sent.
    pub transport: Transport,
    /// The local address; port 0: any, else the first shard's, and one more for each.
    pub bind: SocketAddr,
    /// Whom we believe, for TLS.
    pub tls: TlsConfig,
}

/// What a shard tells.
#[derive(Debug)]
pub enum Heard {
    /// A second is over.
    Lap(Box<Lap>),
    /// It has told its last lap, and is gone.
    Ended(Box<Ended>),
}

/// What a shard was like.
#[derive(Clone, Debug)]
pub struct Ended {
    /// CPU of its thread while calls were made.
    pub cpu: Duration,
    /// How long its thread was ready meanwhile, and the processors did something else.
    pub waited: Duration,
    /// How long that was.
    pub ran: Duration,
    /// What its SIP sockets did.
    pub counters: Counters,
    /// Datagrams for it that the kernel dropped, as it had not read those before them.
    pub dropped_by_kernel: u64,
    /// What its media thread did.
    pub media: ShardStats,
    /// CPU of its media thread.
    pub media_cpu: Duration,
    /// How long its media thread was ready meanwhile, and the processors did something else.
    pub media_waited: Duration,
}

/// A load that runs. Dropped, it ends without a word to the far ends; [`Running::stop`] ends its calls first.
pub struct Running {
    heard: mpsc::Receiver<Heard>,
    inboxes: Vec<mpsc::Sender<Input<Command>>>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// Binds all shards, then starts them together.
    ///
    /// # Errors
    /// [`StartError`], naming the address that cannot be bound or the thread that cannot start; then nothing runs.
    pub async fn start(setup: Setup, mut rng: Rng) -> Result<Self, StartError> {
        let origin = Instant::now();
        let (tell, heard) = mpsc::channel(LAPS);
        let mut running = Self { heard, inboxes: Vec::new(), threads: Vec::new() };
        let key = rng.u64();
        let mut starts = Vec::new();
        for number in 0..setup.shards.clamp(1, MAX_SHARDS) {
            let plan =
                shard::Plan { setup: part(&setup, number)?, number, origin, rng: rng.fork(), key, tell: tell.clone() };
            let (ready, is_ready) = oneshot::channel();
            let (go, start_at) = oneshot::channel();
            let thread = std::thread::Builder::new().name(format!("load-{number}"));
            let thread = thread.spawn(move || shard::run(plan, ready, start_at)).map_err(StartError::Thread)?;
            running.threads.push(thread);
            let gone = || StartError::Thread(std::io::Error::other("the shard has ended"));
            running.inboxes.push(is_ready.await.map_err(|_| gone())??);
            starts.push(go);
        }
        let start_at = origin.elapsed().as_nanos() as u64 + LEAD;
        for go in starts {
            // A shard that has gone meanwhile has said so by its end.
            let _ = go.send(start_at);
        }
        Ok(running)
    }

    /// The next lap or end; `None` once every shard has ended.
    pub async fn heard(&mut self) -> Option<Heard> {
        self.heard.recv().await
    }

    /// No more calls, and an end to those that stand.
    pub fn stop(&self) {
        for inbox in &self.inboxes {
            // Full: it is told again where it is asked again. Gone: it has stopped.
            let _ = inbox.try_send(Input::Command(Command::Stop));
        }
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Running").field("shards", &self.threads.len()).finish_non_exhaustive()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Without a reader a shard ends at its next lap, within a second.
        self.heard.close();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a shard's thread ended in a panic");
            }
        }
    }
}

/// The part of the setup that is one shard's.
fn part(setup: &Setup, number: usize) -> Result<Setup, StartError> {
    let mut part = setup.clone();
    let shards = setup.shards.clamp(1, MAX_SHARDS);
    part.config.share = Share { shard: number as u64, of: shards as u64 };
    if setup.bind.port() != 0 {
        let port = u16::try_from(number).ok().and_then(|number| setup.bind.port().checked_add(number));
        part.bind.set_port(port.ok_or(StartError::Bind(BindError::TooMany))?);
    }
    if let Media::Streams { ports, .. } = &mut part.config.media {
        *ports = slice(*ports, number, shards).ok_or(StartError::Ports)?;
    }
    Ok(part)
}

/// A shard's part of the RTP ports; `None` where there are not enough for one each.
fn slice(ports: PortRange, number: usize, shards: usize) -> Option<PortRange> {
    let pairs: Vec<u16> = ports.pairs().collect();
    let each = pairs.len() / shards;
    let mine = pairs.get(number * each..(number + 1) * each)?;
    PortRange::new(*mine.first()?, mine.last()?.saturating_add(1)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_have_ports_of_their_own() {
        let ports = PortRange::new(10_000, 10_009).unwrap();
        let slices: Vec<_> = (0..2).map(|n| slice(ports, n, 2).unwrap().to_string()).collect();
        assert_eq!(slices, ["10000-10003", "10004-10007"]);
        assert_eq!(slice(ports, 0, 6), None);
    }
}
