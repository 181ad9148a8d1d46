//! The same carrier on real sockets: one thread named `carrier` drives it between `sip_core::net` and the media engine.
//!
//! This is the rim: it reads the clock and starts a thread. It never looks into a message or a packet, and decides
//! nothing about a call.
#![allow(clippy::disallowed_methods, reason = "this is the rim: it reads the clock and starts the thread")]

mod driver;
pub mod load;

use crate::carrier::{Carrier, Command, Load, Told};
use crate::config::CarrierConfig;
use crate::node::Input;
use base::Rng;
use driver::Driver;
use media::ShardConfig;
use media::worker::{Engine, EngineConfig, EngineError};
use sip_core::net::{BindError, Counters, Dns, Full, Inbox, Limits, Listener, Net, TlsConfig, inbox};
use sip_core::transport::Local;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What waits for whoever listens to a carrier. Notes are left out while it is half full; where it is full, reports are
/// dropped too, and [`Running::untold`] counts both.
pub const TOLD: usize = 65_536;

/// Where a carrier stands.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Its SIP listeners; they become [`CarrierConfig::locals`].
    pub listeners: Vec<Listener>,
    /// Certificates, for TLS.
    pub tls: TlsConfig,
    /// The address that Via and Contact name; without one, the bound address.
    pub advertise: Option<IpAddr>,
    /// The local address of its RTP sockets.
    pub media_bind: IpAddr,
    /// Media threads; 0: one per core.
    pub media_threads: usize,
}

impl Setup {
    /// One listener, and media on the same address and one thread.
    #[must_use]
    pub fn at(listener: Listener) -> Self {
        Self {
            listeners: vec![listener],
            tls: TlsConfig::default(),
            advertise: None,
            media_bind: listener.bind.ip(),
            media_threads: 1,
        }
    }
}

/// Why a carrier cannot be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A SIP address.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The media threads.
    #[error(transparent)]
    Media(#[from] EngineError),
    /// The carrier's own thread, or a load's.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// A load has more shards than its RTP ports can be shared among.
    #[error("there are not enough RTP ports for every shard")]
    Ports,
}

/// What the thread lets others see.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    load: Load,
    idle: bool,
    untold: u64,
}

/// A carrier that runs. Dropped, it ends at once; [`Running::stop`] lets its calls end first.
pub struct Running {
    locals: Vec<Local>,
    inbox: Inbox<Input<Command>>,
    told: mpsc::Receiver<Told>,
    seen: Arc<Mutex<Seen>>,
    net: Net,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Binds, starts the threads, and answers calls from then on. To be called within a tokio runtime, whose workers
    /// carry the SIP sockets.
    ///
    /// # Errors
    /// [`StartError`], naming the address that cannot be bound or the thread that cannot start.
    pub async fn start(setup: Setup, mut config: CarrierConfig, mut rng: Rng) -> Result<Self, StartError> {
        let (inbox, mut outlet) = inbox().map_err(StartError::Thread)?;
        let sink = inbox.clone();
        let sink = move |input| sink.offer(Input::Sip(input)).map_err(|_| Full);
        let (net, bound, datagrams) =
            Net::bind_apart(&setup.listeners, setup.tls, Limits::default(), Dns::System, sink).await?;
        outlet.hear(datagrams).map_err(StartError::Thread)?;
        let locals: Vec<_> = bound
            .into_iter()
            .map(|(id, transport, bound)| {
                let named = setup.advertise.map_or(bound, |ip| SocketAddr::new(ip, bound.port()));
                Local { id, transport, bound, advertised: named, inside: named }
            })
            .collect();
        config.locals.clone_from(&locals);
        let origin = Instant::now();
        let engine = EngineConfig {
            threads: setup.media_threads,
            bind_ip: setup.media_bind,
            shard: ShardConfig::default(),
            origin,
            rng: rng.fork(),
        };
        let events = inbox.clone();
        let engine = Engine::start(engine, move |event| events.deliver(Input::Media(event)))?;
        let driver = Driver { node: Carrier::new(config, rng), outlet, net: net.clone(), engine, origin };
        let (sender, told) = mpsc::channel(TOLD);
        let seen = Arc::new(Mutex::new(Seen::default()));
        let (tell, look) = (teller(sender, Arc::clone(&seen)), looker(Arc::clone(&seen)));
        let thread = std::thread::Builder::new().name("carrier".to_owned());
        let thread = thread.spawn(move || driver.run(tell, look)).map_err(StartError::Thread)?;
        Ok(Self { locals, inbox, told, seen, net, thread: Some(thread) })
    }

    /// The bound listeners, in the order they were asked for.
    #[must_use]
    pub fn locals(&self) -> &[Local] {
        &self.locals
    }

    /// The next report or note; `None` once the carrier has ended.
    pub async fn told(&mut self) -> Option<Told> {
        self.told.recv().await
    }

    /// Tells the carrier to do something.
    pub fn command(&self, command: Command) {
        self.inbox.deliver(Input::Command(command));
    }

    /// What it holds and has done, as of its last turn (at most a quarter of a second ago).
    #[must_use]
    pub fn load(&self) -> Load {
        self.seen().load
    }

    /// No call, port, transaction or timer, as of its last turn.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.seen().idle
    }

    /// Reports and notes that nobody took in time ([`TOLD`]).
    #[must_use]
    pub fn untold(&self) -> u64 {
        self.seen().untold
    }

    /// What the SIP sockets did.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.net.counters()
    }

    fn seen(&self) -> Seen {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the calls, takes in what is still reported, and closes everything, within about `patience`.
    pub async fn stop(mut self, patience: Duration) -> Vec<Told> {
        self.command(Command::Stop);
        let mut last = Vec::new();
        let until = tokio::time::Instant::now() + patience;
        while self.load().calls > 0
            && let Ok(told) = tokio::time::timeout_at(until, self.told.recv()).await
        {
            last.extend(told);
        }
        self.inbox.end();
        // The thread hangs up the receiver's other end when it is gone.
        while let Some(told) = self.told.recv().await {
            last.push(told);
        }
        self.net.clone().shutdown().await;
        last
    }
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Running").field("locals", &self.locals).field("seen", &self.seen()).finish_non_exhaustive()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.inbox.end();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the carrier's thread ended in a panic");
        }
    }
}

/// Passes on what the carrier tells, as far as there is room.
fn teller(sender: mpsc::Sender<Told>, seen: Arc<Mutex<Seen>>) -> impl FnMut(Told) {
    move |told| {
        let room = sender.capacity() > TOLD / 2 || matches!(told, Told::Report(_));
        if !room || sender.try_send(told).is_err() {
            seen.lock().unwrap_or_else(PoisonError::into_inner).untold += 1;
        }
    }
}

/// Shows what the carrier holds.
fn looker(seen: Arc<Mutex<Seen>>) -> impl FnMut(&Carrier) {
    move |carrier| {
        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        (seen.load, seen.idle) = (carrier.load(), carrier.is_idle());
    }
}
