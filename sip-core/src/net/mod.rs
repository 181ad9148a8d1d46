//! The rim: sockets and DNS. What comes in becomes [`Input`], what the core asks for ([`Effect`]) is done.
//!
//! | file | what it holds |
//! |---|---|
//! | `udp`, `icmp` | datagrams both ways, and what ICMP says about them |
//! | `inbox` | what the thread that owns the endpoint waits at |
//! | `accept` | who may connect, and how many |
//! | `flow` | one task a stream connection: open, read, write, close |
//! | `websocket` | the same for a WebSocket (RFC 7118) |
//! | `tls` | certificates and trust |
//! | `dns` | names to records (RFC 3263 §4) |
//!
//! [`Net::execute`] is called by the signalling thread and never waits: a datagram leaves from the caller's own thread,
//! so that what was sent first leaves first (a CANCEL's 200 is not overtaken by the INVITE's 487), everything else goes
//! through a bounded queue to a task. This module never reads a message, and decides nothing about one.

#![allow(
    clippy::disallowed_methods,
    reason = "the rim is where the clock is: the pace of what comes in is measured here"
)]

mod accept;
mod counters;
mod dns;
mod flow;
mod icmp;
mod inbox;
mod listen;
#[cfg(test)]
mod tests;
mod tls;
mod udp;
mod websocket;

pub use counters::Counters;
pub use dns::{Dns, MAX_RESOLVES, MAX_SERVICES, MAX_SRV_TARGETS, RESOLVE_TIMEOUT};
pub use flow::{CLOSE_TIMEOUT, MAX_QUEUED_BYTES, MAX_QUEUED_WRITES, READ_CHUNK, WRITE_TIMEOUT};
pub use inbox::{DATAGRAMS_A_LOOK, Ended, INBOX, Inbox, NEW_WORK_LIMIT, Outlet, REST, Rests, TurnedAway, inbox};
pub use listen::{BindError, Listener};
pub use tls::{Identity, Roots, TlsConfig, TlsError};
pub use udp::{Datagrams, RECV_BATCH, SOCKET_BUFFER};
pub use websocket::{MAX_FRAME, PING_EVERY};

use crate::endpoint::GateRates;
use crate::endpoint::gate::Gate;
use crate::transport::{Effect, FlowId, Input, LocalId, Transport};
use accept::Admission;
use base::Now;
use counters::Tally;
use dns::Resolver;
use flow::{Table, Target};
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use udp::UdpSender;

/// How soon something that cannot be dropped is offered to a full inbox again; meanwhile nothing more is read from that
/// connection, so TCP slows its peer down.
const SINK_RETRY: Duration = Duration::from_millis(2);

/// What was bound, in the order of the listeners: number, transport, address.
pub type BoundAddresses = Vec<(LocalId, Transport, SocketAddr)>;

/// The UDP ones of them.
fn udp_of(bound: &[(LocalId, Transport, SocketAddr)]) -> impl Iterator<Item = (LocalId, Transport, SocketAddr)> {
    bound.iter().copied().filter(|(_, transport, _)| *transport == Transport::Udp)
}

/// The inbox is full. A datagram is then dropped and counted (its sender retransmits); everything else waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

/// Datagrams a second that are read from one source that is not known; what is beyond never reaches the inbox, where it
/// would stand before what others have sent. Of its connections so many [`STRETCH`]es are read: they stay in the kernel, and TCP
/// slows their peer down.
pub const DATAGRAMS_OF_ONE: u32 = 1_000;
/// Datagrams and stretches a second that are read from all of them together.
pub const DATAGRAMS_OF_STRANGERS: u32 = 20_000;
/// Octets over a connection that are counted as one datagram: a short request.
pub const STRETCH: usize = 512;
/// How soon a connection that was left unread is looked at again.
const PACE: Duration = Duration::from_millis(20);
/// Connections a second that one source which is not known may open; one more is closed at once.
pub const CONNECTIONS_OF_ONE: u32 = 50;
/// Connections a second that all of them may open together.
pub const CONNECTIONS_OF_STRANGERS: u32 = 500;

/// What sources that are not known may send, before anything is read of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strangers {
    /// [`DATAGRAMS_OF_ONE`] and [`DATAGRAMS_OF_STRANGERS`], and who is known.
    pub datagrams: GateRates,
    /// [`CONNECTIONS_OF_ONE`] and [`CONNECTIONS_OF_STRANGERS`], and who is known.
    pub connections: GateRates,
}

impl Strangers {
    /// The named rates for all but these networks (address, prefix length).
    #[must_use]
    pub fn but(known: Vec<(IpAddr, u8)>) -> Self {
        let rates = |source, strangers| GateRates { source, strangers, known: known.clone() };
        Self {
            datagrams: rates(DATAGRAMS_OF_ONE, DATAGRAMS_OF_STRANGERS),
            connections: rates(CONNECTIONS_OF_ONE, CONNECTIONS_OF_STRANGERS),
        }
    }
}

/// How much is allowed of what peers can use up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// What strangers may send; none: as much as they like.
    pub strangers: Option<Strangers>,
    /// Accepted connections. With one more, the oldest that has never said anything is closed; where all have, the new
    /// one is.
    pub accepted: usize,
    /// Accepted connections from one address; the same happens.
    pub accepted_per_source: usize,
    /// Connections that we have opened; one more fails at once.
    pub opened: usize,
    /// How long an accepted connection may say nothing at first.
    pub first_bytes: Duration,
    /// How long a connection may be silent both ways later.
    pub idle: Duration,
    /// How long a TLS handshake of an accepted connection may take.
    pub handshake: Duration,
    /// How long opening a connection may take, its TLS handshake included.
    pub connect: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            strangers: None,
            accepted: 8192,
            accepted_per_source: 1024,
            opened: 2048,
            first_bytes: Duration::from_secs(10),
            idle: Duration::from_secs(600),
            handshake: Duration::from_secs(5),
            // Short enough that the next target is tried within the 4 s that a dead one may cost.
            connect: Duration::from_millis(3500),
        }
    }
}

/// All sockets of an endpoint. A clone is the same sockets.
#[derive(Clone)]
pub struct Net(Arc<Inner>);

struct Inner {
    handle: Handle,
    /// By [`LocalId`]; `None` where that listener is no UDP socket.
    udp: Vec<Option<UdpSender>>,
    listeners: Vec<Listener>,
    shared: Arc<Shared>,
    tls: Arc<tls::Tls>,
    dns: Arc<Resolver>,
}

/// What every task of the rim has a hand on.
struct Shared {
    sink: Box<dyn Fn(Input) -> Result<(), Full> + Send + Sync>,
    limits: Limits,
    tally: Tally,
    flows: Table,
    admission: Admission,
    datagrams: Mutex<Gate>,
    connections: Mutex<Gate>,
    /// What the gates count from.
    origin: Instant,
    stop: watch::Sender<bool>,
    /// All of them; none once [`Net::shutdown`] has begun.
    tasks: Mutex<Option<JoinSet<()>>>,
}

impl std::fmt::Debug for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Net").field("counters", &self.counters()).finish_non_exhaustive()
    }
}

impl Net {
    /// Binds all listeners, in order; the `n`th is [`LocalId`]`(n)`. To be called within the tokio runtime whose workers
    /// are to carry the sockets. `sink` is called from any thread, from within [`Net::execute`] too, and must not block.
    ///
    /// # Errors
    /// [`BindError`]: an address that cannot be bound, by name; a TLS listener without a certificate; an unusable one.
    pub async fn bind<S>(listeners: &[Listener], tls: TlsConfig, sink: S) -> Result<(Self, BoundAddresses), BindError>
    where
        S: Fn(Input) -> Result<(), Full> + Send + Sync + 'static,
    {
        Self::bind_with(listeners, tls, Limits::default(), Dns::System, sink).await
    }

    /// As [`Net::bind`], with other limits and another source of names than the system's.
    ///
    /// # Errors
    /// As [`Net::bind`].
    pub async fn bind_with<S>(
        listeners: &[Listener],
        tls: TlsConfig,
        limits: Limits,
        dns: Dns,
        sink: S,
    ) -> Result<(Self, BoundAddresses), BindError>
    where
        S: Fn(Input) -> Result<(), Full> + Send + Sync + 'static,
    {
        let (net, bound, datagrams) = Self::bind_apart(listeners, tls, limits, dns, sink).await?;
        for (halves, (_, transport, address)) in datagrams.into_iter().zip(udp_of(&bound)) {
            let started = halves.start(&net.0.handle);
            started.map_err(|source| BindError::Address { transport, address, source })?;
        }
        Ok((net, bound))
    }

    /// As [`Net::bind_with`], but datagrams are left to be read by the thread that owns the endpoint, in the order of the
    /// UDP listeners: [`Outlet::hear`].
    ///
    /// # Errors
    /// As [`Net::bind`].
    // Nothing is awaited; `async` ties the call to a runtime, which tokio's sockets need.
    pub async fn bind_apart<S>(
        listeners: &[Listener],
        tls: TlsConfig,
        limits: Limits,
        dns: Dns,
        sink: S,
    ) -> Result<(Self, BoundAddresses, Vec<Datagrams>), BindError>
    where
        S: Fn(Input) -> Result<(), Full> + Send + Sync + 'static,
    {
        let gate =
            |rates: fn(&Strangers) -> &GateRates| Mutex::new(Gate::new(limits.strangers.as_ref().map(rates).cloned()));
        let (datagrams, connections) =
            (gate(|strangers| &strangers.datagrams), gate(|strangers| &strangers.connections));
        let shared = Arc::new(Shared {
            sink: Box::new(sink),
            datagrams,
            connections,
            origin: Instant::now(),
            limits,
            tally: Tally::default(),
            flows: Table::default(),
            admission: Admission::default(),
            stop: watch::Sender::new(false),
            tasks: Mutex::new(Some(JoinSet::new())),
        });
        let tls = Arc::new(tls::Tls::new(tls)?);
        let sockets = listen::bind(listeners, &tls)?;
        let bound: BoundAddresses =
            sockets.iter().map(|socket| (socket.local, socket.transport, socket.address)).collect();
        let dns = Arc::new(Resolver::new(dns));
        let handle = Handle::current();
        let (mut udp, mut datagrams) = (Vec::with_capacity(sockets.len()), Vec::new());
        for socket in sockets {
            let (sender, receiver) = socket.start(&handle, &shared, &tls)?.unzip();
            udp.push(sender);
            datagrams.extend(receiver);
        }
        let listeners = listeners.to_vec();
        Ok((Self(Arc::new(Inner { handle, udp, listeners, shared, tls, dns })), bound, datagrams))
    }

    /// Does what the core asks for. Never waits.
    pub fn execute(&self, effect: Effect) {
        let Inner { shared, udp, .. } = &*self.0;
        match effect {
            Effect::Transmit { local, to, bytes } => match udp.get(usize::from(local.0)) {
                Some(Some(socket)) => socket.send(to, &bytes, shared),
                _ => shared.tally.datagrams_unsent.one(),
            },
            Effect::Open { flow, transport, peer, server_name } => {
                let source = listen::source(&self.0.listeners, transport, peer);
                self.open(flow, Target { transport, peer, server_name, source });
            }
            Effect::Write { flow, bytes } => shared.flows.write(flow, bytes, &shared.tally),
            Effect::Close { flow } => shared.flows.close(flow),
            Effect::Resolve { query, host, port, transport } => {
                let (shared, dns) = (Arc::clone(shared), Arc::clone(&self.0.dns));
                self.0.shared.spawn(&self.0.handle, async move {
                    let records = dns.resolve(&host, port, transport, &shared.tally).await;
                    shared.deliver(Input::Located { query, records }).await;
                });
            }
        }
    }

    fn open(&self, flow: FlowId, target: Target) {
        let Inner { shared, handle, tls, .. } = &*self.0;
        match shared.flows.open(flow, shared.limits.opened) {
            Some(end) => shared.spawn(handle, flow::open(Arc::clone(shared), end, Arc::clone(tls), target)),
            None => {
                let (shared, reason) = (Arc::clone(shared), "too many connections".to_owned());
                self.0.shared.spawn(handle, async move { shared.deliver(Input::Closed { flow, reason }).await });
            }
        }
    }

    /// Other networks (address, prefix length) from now on whose datagrams and connections are not counted
    /// ([`Limits::strangers`]): the carriers'.
    pub fn set_known(&self, known: &[(IpAddr, u8)]) {
        for gate in [&self.0.shared.datagrams, &self.0.shared.connections] {
            lock(gate).set_known(known.to_vec());
        }
    }

    /// What has happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.0.shared.tally.snapshot(self.0.shared.flows.len())
    }

    /// Closes everything: no more is accepted or read, what was written leaves as far as its peer takes it within
    /// [`CLOSE_TIMEOUT`], and all tasks have ended when it returns.
    pub async fn shutdown(self) {
        let shared = &self.0.shared;
        let tasks = lock(&shared.tasks).take();
        shared.stop.send_replace(true);
        shared.flows.close_all();
        let Some(mut tasks) = tasks else { return };
        let all_ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(CLOSE_TIMEOUT * 2, all_ended).await.is_err() {
            tasks.shutdown().await;
        }
    }
}

impl Shared {
    /// Starts a task, unless everything is being closed.
    fn spawn(&self, handle: &Handle, task: impl Future<Output = ()> + Send + 'static) {
        if let Some(tasks) = &mut *lock(&self.tasks) {
            while tasks.try_join_next().is_some() {}
            tasks.spawn_on(task, handle);
        }
    }

    /// Hands the core something that it must not miss; waits while its inbox is full.
    async fn deliver(&self, input: Input) {
        while (self.sink)(input.clone()).is_err() {
            self.tally.inbox_full.one();
            if *self.stop.borrow() {
                return;
            }
            tokio::time::sleep(SINK_RETRY).await;
        }
    }

    /// Whether a gate lets in one more from this source.
    fn lets_in(&self, gate: &Mutex<Gate>, source: IpAddr) -> bool {
        let mono = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        lock(gate).admits(source, Now::new(mono, 0))
    }

    /// Comes back when what a connection's peer has said is paid for.
    async fn pace(&self, peer: IpAddr, octets: usize) {
        let mut is_paced = false;
        for _ in 0..octets.div_ceil(STRETCH) {
            while !self.lets_in(&self.datagrams, peer) {
                if !std::mem::replace(&mut is_paced, true) {
                    self.tally.streams_paced.one();
                }
                tokio::time::sleep(PACE).await;
            }
        }
    }

    /// Comes back when everything is being closed.
    async fn stopped(&self) {
        // The sender lives as long as `self`.
        let _ = self.stop.subscribe().wait_for(|stop| *stop).await;
    }
}

/// A lock of the rim guards values that are whole between any two statements, so a panic elsewhere does not spoil them.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
