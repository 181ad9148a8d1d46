//! The whole process: everything bound, joined and started, and taken apart again in order (DESIGN.md §3).

use crate::catch_up::CatchUp;
use crate::clock::{Clock, entropy};
use crate::config::Config;
use crate::rim::{accounts, errands, given, named, registrar};
use crate::signalling::{Figures, Signalling};
use crate::sounds::SOUNDS;
use api::accounts::{AccountError, Accounts};
use api::errands::{Egress, EgressError, Errands, Policy, SystemLookup};
use api::keys::KeyError;
use api::rate::{Shared, SharedError};
use api::registry::Means;
use api::secrets::Sealer;
use api::telemetry::Telemetry;
use api::webhooks::{Pace, Sender};
use api::{
    App, Commander, Directory, Flows, JournalConfig, Keys, Ledger, LedgerError, Locations, Parts, Prompts, Recordings,
    Registry, RegistryError, SipHealth, SocketFigures, Store, StoreError, TrunkHealth,
};
use arc_swap::ArcSwap;
use media::worker::{Engine, EngineConfig};
use sip_core::message::Method;
use sip_core::net::{
    BindError, BoundAddresses, Counters, Datagrams, Dns, Full, Identity, Inbox, Limits, Listener, Net, Roots,
    Strangers, TlsConfig, TurnedAway, inbox,
};
use sip_core::transport::{Local, LocalId, Transport};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use switch::{Command, Input, Switch};

/// Why the process does not start: what could not be had, and which setting says so.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// HTTP's address.
    #[error("http.listen: cannot listen on {addr}: {error}")]
    Http {
        /// Which.
        addr: SocketAddr,
        /// The system's word.
        error: std::io::Error,
    },
    /// One of SIP's.
    #[error("sip.listen: {0}")]
    Sip(#[from] BindError),
    /// A certificate.
    #[error("tls: {0}")]
    Tls(String),
    /// The media threads.
    #[error("media: {0}")]
    Media(#[from] media::worker::EngineError),
    /// The database.
    #[error("database.url: {0}")]
    Store(#[from] StoreError),
    /// The journal.
    #[error("journal: {0}")]
    Ledger(#[from] LedgerError),
    /// The API's keys.
    #[error("api: {0}")]
    Keys(#[from] KeyError),
    /// The folder of recordings.
    #[error("recordings.dir: cannot make {}: {error}", dir.display())]
    Recordings {
        /// Which.
        dir: std::path::PathBuf,
        /// The system's word.
        error: std::io::Error,
    },
    /// The Redis that rates are shared through.
    #[error("redis.url: {0}")]
    Redis(#[from] SharedError),
    /// The tenants' accounts.
    #[error("accounts: {0}")]
    Accounts(#[from] AccountError),
    /// The way out to web servers.
    #[error("egress: {0}")]
    Egress(#[from] EgressError),
    /// What the configuration says together is not possible.
    #[error("{0}")]
    Config(#[from] switch::ConfigError),
    /// What the file names and what was made over HTTP.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The operating system.
    #[error("{0}")]
    System(#[from] std::io::Error),
}

/// How long a shutdown waits for what has to leave: BYEs answered, registrations withdrawn.
const LAST_WORDS: Duration = Duration::from_secs(3);
/// How long a drain waits for live calls before it ends them (a second SIGTERM ends them at once).
pub const DRAIN_LIMIT: Duration = Duration::from_secs(90);
/// Milliseconds of a day: what a tenant may use in one counts from midnight UTC.
pub const DAY_MS: u64 = 86_400_000;
/// How often a drain looks whether the last call has ended.
const DRAIN_LOOK: Duration = Duration::from_millis(50);

/// A running switch.
pub struct Process {
    /// Where HTTP listens.
    pub http: SocketAddr,
    /// Where SIP listens.
    pub sip: Vec<(Transport, SocketAddr)>,
    inbox: Inbox<Input>,
    figures: Arc<ArcSwap<Figures>>,
    thread: JoinHandle<()>,
    net: Net,
    ledger: Ledger,
    errands: Errands,
    sweep: tokio::task::JoinHandle<()>,
    locations: Locations,
    keeping: tokio::task::JoinHandle<()>,
    catching_up: Option<tokio::task::JoinHandle<()>>,
    registry: Registry,
    accounts: Accounts,
    app: App,
    web: Web,
}

/// The HTTP server's own task.
struct Web {
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

/// The addresses of the listeners as the core knows them.
pub fn locals(config: &Config, bound: &[(LocalId, Transport, SocketAddr)]) -> Vec<Local> {
    let default = outward_address();
    bound
        .iter()
        .map(|(id, transport, addr)| {
            let inside = if addr.ip().is_unspecified() { SocketAddr::new(default, addr.port()) } else { *addr };
            let advertised = config.sip.advertise.map_or(inside, |ip| SocketAddr::new(ip, addr.port()));
            Local { id: *id, transport: *transport, bound: *addr, advertised, inside }
        })
        .collect()
}

/// The address from which this machine reaches the world: asked of the routing table, nothing is sent.
fn outward_address() -> IpAddr {
    let ask = || -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok(socket.local_addr()?.ip())
    };
    ask().unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// Where RTP sockets are bound: to loopback where SIP listens nowhere else, to every address otherwise.
fn media_bind(config: &Config) -> IpAddr {
    let mut ips = config.sip.listen.iter().map(|listen| listen.addr.ip());
    match ips.next() {
        Some(first) if first.is_loopback() && ips.all(|ip| ip == first) => first,
        _ => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

fn media_address(config: &Config, bind: IpAddr) -> switch::MediaAddress {
    let inside = if bind.is_unspecified() {
        config
            .sip
            .listen
            .iter()
            .map(|listen| listen.addr.ip())
            .find(|ip| !ip.is_unspecified())
            .unwrap_or_else(outward_address)
    } else {
        bind
    };
    let advertised = config.media.advertise.or(config.sip.advertise).unwrap_or(inside);
    switch::MediaAddress { advertised, inside, local_net: config.sip.local_net.clone() }
}

/// What sockets prove themselves by, and whom they trust.
pub fn tls(config: &Config) -> Result<TlsConfig, StartError> {
    let server = match &config.tls {
        Some(tls) => {
            let read = |path: &std::path::Path| {
                std::fs::read(path).map_err(|error| StartError::Tls(format!("{}: {error}", path.display())))
            };
            let identity = Identity::from_pem(&read(&tls.cert_file)?, &read(&tls.key_file)?);
            Some(identity.map_err(|error| StartError::Tls(error.to_string()))?)
        }
        None => None,
    };
    Ok(TlsConfig { client: server.clone(), server, roots: Roots::Native })
}

/// What was before this process.
struct Before {
    /// Where users were registered.
    locations: Vec<switch::registrar::KeptLocation>,
    /// What tenants have used today; `None`: the database, which knows, is away.
    used: Option<std::collections::BTreeMap<String, switch::Usage>>,
    /// Whether the journal was there: another process may have sent calls a moment ago.
    process: bool,
}

fn switch_config(
    config: &Config,
    locals: Vec<Local>,
    media: switch::MediaAddress,
    provisioning: switch::Provisioning,
    before: Before,
) -> switch::Config {
    let mut endpoint = sip_core::endpoint::Config::new(locals);
    endpoint.local_net = config.sip.local_net.iter().map(|net| (net.network(), net.prefix_len())).collect();
    endpoint.handed_up = vec![Method::Register, Method::Invite, Method::Message];
    switch::Config {
        endpoint,
        media,
        ports: config.media.ports,
        media_timeout: Duration::from_secs(config.media.timeout_s),
        provisioning,
        locations: before.locations,
        used: before.used,
        succeeds: before.process,
        recordings: config.recordings.dir.clone(),
        api_url: config.api_url(),
    }
}

/// What `/health` and `/v1/trunks` show of the switch's figures.
fn health(figures: &Figures) -> SipHealth {
    let state = |status: &switch::TrunkStatus| match status.state {
        switch::TrunkState::Unknown => api::TrunkState::Unknown,
        switch::TrunkState::Up => api::TrunkState::Connected,
        switch::TrunkState::Down => api::TrunkState::Failing,
    };
    let trunk = |status: &switch::TrunkStatus| {
        let (rests_until, opens_at) = (status.rests_until, status.opens_at);
        let health = TrunkHealth { status: state(status), active_calls: status.calls, rests_until, opens_at };
        (status.name.clone(), health)
    };
    let trunks = figures.trunks.iter().map(trunk).collect();
    SipHealth { up: true, trunks, usage: figures.usage.clone(), usage_unknown: figures.usage_unknown }
}

/// The way from the API into the signalling thread's inbox.
fn commander(inbox: &Inbox<Input>) -> Commander {
    let inbox = inbox.clone();
    Commander::new(Arc::new(move |command: Command| {
        inbox.offer(Input::Command(command)).map_err(|(input, full)| {
            let full = match full {
                TurnedAway::Full => api::Full::Now,
                TurnedAway::Gone => api::Full::Gone,
            };
            match input {
                Input::Command(command) => (command, full),
                // What was offered comes back.
                _ => (Command::Drain, api::Full::Gone),
            }
        })
    }))
}

impl Process {
    /// Binds and starts everything, in an order in which nothing is asked of what does not stand yet.
    pub async fn start(config: &Config) -> Result<Self, StartError> {
        let clock = Clock::start();
        let mut rng = entropy().map_err(std::io::Error::other)?;
        let http = tokio::net::TcpListener::bind(config.http)
            .await
            .map_err(|error| StartError::Http { addr: config.http, error })?;
        let (inbox, mut outlet) = inbox()?;
        let (net, bound, datagrams) = bind_sip(config, &inbox).await?;
        outlet.hear(datagrams)?;
        let bind_ip = media_bind(config);
        let engine = start_media(config, bind_ip, clock, &inbox, rng.fork())?;
        let shards = engine.observer();
        let store = open_store(config).await?;
        let sealer = Sealer::open(&config.key_file).map_err(AccountError::from)?;
        let accounts = accounts(config, &store, sealer.clone()).await?;
        let commander = commander(&inbox);
        let prompts = Prompts::new(SOUNDS, config.prompts_dir.clone(), commander.clone());
        let directory = Arc::new(ArcSwap::from_pointee(Directory::default()));
        let registry = Registry::open(
            Means {
                store: store.clone(),
                sealer,
                accounts: accounts.clone(),
                prompts: prompts.clone(),
                commander: commander.clone(),
                directory: Arc::clone(&directory),
                registrar: registrar(config),
                told: Box::new({
                    let net = net.clone();
                    move |provisioned| net.set_known(&provisioned.carriers())
                }),
            },
            named(config),
        )
        .await?;
        net.set_known(&carriers(&directory.load()));
        let journal = JournalConfig { dir: config.journal_dir.clone(), max_octets: config.journal_max_mb << 20 };
        let dir = config.recordings.dir.clone();
        std::fs::create_dir_all(&dir).map_err(|error| StartError::Recordings { dir: dir.clone(), error })?;
        let recordings = Recordings::new(dir, config.recordings.keep_days);
        let (ledger, recovered) = Ledger::open(journal, store.clone(), &recordings, api::system_wall()).await?;
        if !recovered.interrupted.is_empty() || recovered.recordings > 0 {
            let (calls, recordings) = (recovered.interrupted.len(), recovered.recordings);
            tracing::warn!(calls, recordings, "calls and recordings that the last process left open were closed");
        }
        if let Err(refused) = ledger.admits() {
            tracing::warn!(journal = %config.journal_dir.display(), "no call can be taken: {refused}");
        }
        let provisioning = registry.provisioning();
        let began = clock.now().wall;
        let (used, locations) = match store.is_awaited() {
            true => (None, Vec::new()),
            false => (Some(store.used_between(began / DAY_MS * DAY_MS, u64::MAX).await?), store.locations().await?),
        };
        let before = Before { locations, used, process: recovered.octets > 0 };
        let (capture, feed) = api::capture::Capture::start(&config.capture)?;
        let locals = locals(config, &bound);
        let tap = feed.map(|feed| crate::tap::Tap::new(feed, &locals));
        let switch_config = switch_config(config, locals, media_address(config, bind_ip), provisioning, before);
        let switch = Switch::new(&switch_config, rng.fork(), clock.now())?;
        let figures = Arc::new(ArcSwap::from_pointee(Figures::default()));
        let sip = Arc::new(ArcSwap::from_pointee(SipHealth::default()));
        let publish = {
            let (figures, sip) = (Arc::clone(&figures), Arc::clone(&sip));
            Box::new(move |new: Figures| {
                sip.store(Arc::new(health(&new)));
                figures.store(Arc::new(new));
            })
        };
        let flows = Flows::new(store.clone(), prompts.clone());
        let egress = Egress::new(Policy::new(config.egress_allow.clone()), Arc::new(SystemLookup))?;
        let errands = errands(config, egress.clone(), &accounts, flows.clone(), commander.clone())?;
        let webhooks = Sender {
            store: store.clone(),
            accounts: accounts.clone(),
            egress,
            wall: api::system_wall(),
            progress: ledger.follow(),
            pace: Pace::default(),
        };
        // It ends with the ledger.
        tokio::spawn(webhooks.run());
        let locations = Locations::new(store.clone());
        let keeping = tokio::spawn(locations.clone().run());
        let signalling = Signalling {
            switch,
            outlet,
            overload: crate::overload::Overload::default(),
            tap,
            net: net.clone(),
            engine,
            ledger: ledger.clone(),
            clock,
            admits: true,
            errands: Box::new({
                let errands = errands.clone();
                move |errand| errands.run(errand)
            }),
            locations: Box::new({
                let locations = locations.clone();
                move |kept| locations.put(kept)
            }),
            publish,
        };
        let thread = signalling.start()?;
        registry.load_prompts().await?;
        load_sounds(&prompts).await;
        let sweep = tokio::spawn(recordings.clone().keep(store.clone(), api::system_wall()));
        let bootstrap = config.bootstrap_key.as_deref().zip(config.tenants.first().map(|tenant| tenant.name.as_str()));
        let shared = match &config.redis_url {
            Some(url) => Some(Shared::open(url).await?),
            None => None,
        };
        let keys = Keys::open(store.clone(), bootstrap, shared).await?;
        let catching_up = store.is_awaited().then(|| {
            let (registry, keys, ledger) = (registry.clone(), keys.clone(), ledger.clone());
            let commander = commander.clone();
            tokio::spawn(CatchUp { store, registry, keys, ledger, commander, began }.run())
        });
        let known_accounts = accounts.clone();
        let version = env!("CARGO_PKG_VERSION");
        let telemetry = match &config.otlp_url {
            Some(url) => Telemetry::start(url.clone(), ledger.subscribe())?,
            None => Telemetry::default(),
        };
        let app = App::new(Parts {
            ledger: ledger.clone(),
            directory,
            keys,
            accounts,
            prompts,
            flows,
            recordings,
            registry: registry.clone(),
            capture,
            telemetry,
            commander,
            sip,
            media: Arc::new(move || shards.reports()),
            net: Arc::new({
                let net = net.clone();
                move || seen(net.counters())
            }),
            rng,
            version,
        });
        let addr = http.local_addr()?;
        let web = Web::start(http, &app);
        let sip = bound.into_iter().map(|(_, transport, addr)| (transport, addr)).collect();
        Ok(Self {
            http: addr,
            sip,
            inbox,
            figures,
            thread,
            net,
            ledger,
            errands,
            sweep,
            locations,
            keeping,
            catching_up,
            registry,
            accounts: known_accounts,
            app,
            web,
        })
    }

    /// Other tenants, trunks, numbers, users and limits come into force, of a file that has been read again; or nothing
    /// changes. No live call is touched. What has to stand aside for the file is said, a sentence each.
    pub async fn reload(&self, config: &Config) -> Result<Vec<String>, RegistryError> {
        let before = self.accounts.give(given(config)).await?;
        let reloaded = self.registry.reload(named(config)).await;
        if reloaded.is_err() {
            self.accounts.give(before).await?;
        }
        reloaded
    }

    /// Refuses new calls from now on and lets live ones finish.
    pub fn drain(&self) {
        self.app.drain();
        self.inbox.deliver(Input::Command(Command::Drain));
    }

    /// Resolves when a drain was asked for by HTTP (`POST /v1/admin/drain`).
    pub async fn drain_asked(&self) {
        self.app.drain_asked().await;
    }

    /// Resolves when the last call has ended after [`Process::drain`].
    pub async fn drained(&self) {
        while !self.figures.load().drained {
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    }

    /// How many calls live.
    pub fn live(&self) -> usize {
        self.figures.load().load.live
    }

    /// Ends what lives and takes everything apart: BYEs leave, the journal is on disk, the database has seen it.
    pub async fn stop(self) {
        self.drain();
        self.inbox.deliver(Input::Command(Command::EndAll));
        let quiet = async {
            while !self.figures.load().at_rest {
                tokio::time::sleep(DRAIN_LOOK).await;
            }
        };
        if tokio::time::timeout(LAST_WORDS, quiet).await.is_err() {
            tracing::warn!("some far ends did not answer our last words");
        }
        let left = self.errands.settled(LAST_WORDS).await;
        if left > 0 {
            tracing::warn!(left, "callbacks were not delivered");
        }
        self.sweep.abort();
        self.catching_up.iter().for_each(tokio::task::JoinHandle::abort);
        self.web.stop().await;
        self.net.shutdown().await;
        self.inbox.end();
        let joined = tokio::task::spawn_blocking(move || self.thread.join());
        if !matches!(tokio::time::timeout(LAST_WORDS, joined).await, Ok(Ok(Ok(())))) {
            tracing::error!("the signalling thread did not end in good order");
        }
        self.keeping.abort();
        if !matches!(tokio::time::timeout(LAST_WORDS, self.locations.flush()).await, Ok(Ok(()))) {
            tracing::warn!("where users are registered could not be written: they are found once they register again");
        }
        self.ledger.shutdown().await;
    }
}

/// What SIP's sockets have seen, as the API tells it: each counter of theirs, so that a new one is not forgotten.
fn seen(counters: Counters) -> SocketFigures {
    let Counters {
        flows: connections,
        datagrams_received,
        datagrams_dropped,
        datagrams_refused,
        streams_paced,
        datagrams_sent,
        datagrams_unsent,
        unreachable,
        inbox_full: streams_waited,
        accepted,
        refused,
        accept_errors,
        handshakes_failed,
        opened,
        open_failed,
        overflowed,
        resolved,
        unresolved,
    } = counters;
    SocketFigures {
        connections,
        datagrams_received,
        datagrams_dropped,
        datagrams_refused,
        streams_paced,
        datagrams_sent,
        datagrams_unsent,
        unreachable,
        streams_waited,
        accepted,
        refused,
        accept_errors,
        handshakes_failed,
        opened,
        open_failed,
        overflowed,
        resolved,
        unresolved,
    }
}

/// The networks that carriers call from: nobody counts what comes from there.
fn carriers(directory: &Directory) -> Vec<(IpAddr, u8)> {
    let trunks = directory.trunks.iter().filter_map(|trunk| carrier::Trunk::new(trunk.config.clone()).ok());
    let networks = trunks.flat_map(|trunk| trunk.accept_from().to_vec());
    networks.map(|network| (network.network(), network.prefix_len())).collect()
}

/// The database; a PostgreSQL that is away is waited for while calls go on. It is opened from a thread of the runtime: the
/// thread that SQLite gets is as nice as the one it comes from.
async fn open_store(config: &Config) -> Result<Store, StartError> {
    let url = config.database_url.clone();
    let opening = tokio::spawn(async move { Store::open(&url).await });
    match opening.await.map_err(std::io::Error::other)? {
        Err(error) if error.is_away() => {
            tracing::error!(%error, "starting without the database: calls go on by the configuration file alone until it comes");
            Ok(Store::awaited(&config.database_url)?)
        }
        opened => Ok(opened?),
    }
}

async fn bind_sip(config: &Config, inbox: &Inbox<Input>) -> Result<(Net, BoundAddresses, Vec<Datagrams>), StartError> {
    let listeners: Vec<Listener> =
        config.sip.listen.iter().map(|listen| Listener { transport: listen.transport, bind: listen.addr }).collect();
    let sink = {
        let inbox = inbox.clone();
        move |input| inbox.offer(Input::Sip(input)).map_err(|_| Full)
    };
    let limits = Limits { strangers: Some(Strangers::but(carriers(&named(config)))), ..Limits::default() };
    Ok(Net::bind_apart(&listeners, tls(config)?, limits, Dns::System, sink).await?)
}

fn start_media(
    config: &Config,
    bind_ip: IpAddr,
    clock: Clock,
    inbox: &Inbox<Input>,
    rng: base::Rng,
) -> Result<Engine, StartError> {
    let engine = EngineConfig {
        threads: config.media.threads,
        bind_ip,
        shard: media::ShardConfig::default(),
        origin: clock.origin(),
        rng,
    };
    let inbox = inbox.clone();
    Ok(Engine::start(engine, move |event| inbox.deliver(Input::Media(Box::new(event))))?)
}

/// What is heard that no program names.
async fn load_sounds(prompts: &Prompts) {
    // What a leg hears whose far end transfers it: no program names it.
    for (prompt, whose) in
        [(ivr::RINGBACK, "whoever is transferred"), (switch::HOLD_MUSIC, "who waits for a conference")]
    {
        if let Err(error) = prompts.ensure(vec![prompt]).await {
            tracing::warn!(%error, prompt, "there is nothing to be heard for {whose}");
        }
    }
}

impl Web {
    fn start(listener: tokio::net::TcpListener, app: &App) -> Self {
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let router = api::router(app.clone());
        let task = tokio::spawn(api::serve(listener, router, async {
            // Dropped or sent: either ends it.
            let _ = stopped.await;
        }));
        Self { stop, task }
    }

    async fn stop(self) {
        drop(self.stop);
        if self.task.await.is_err() {
            tracing::error!("the HTTP server ended in a panic");
        }
    }
}
