//! One shard: binds, waits for the common start, and drives its generator until every call has ended.

use super::media::{self as streams, Engine};
use super::usage::{dropped_by_kernel, thread_cpu, waited_for_processor};
use super::wake::Wake;
use super::{Ended, Heard, INBOX, Setup};
use crate::load::{Command, Generator, LoadConfig, Media, Told};
use crate::net::StartError;
use crate::node::{Input, Node, Output};
use base::{Now, Rng};
use media::Event;
use sip_core::net::{BindError, Full, Listener, Net, Rests};
use sip_core::transport::{Local, Transport};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, oneshot};

/// Inputs taken in one go before the time is looked at again.
const INPUTS_AT_ONCE: usize = 64;
/// How long the thread may rest where answers come thick: a target on the same machine pays for each wake of ours, which
/// is dearer than its answer. It bounds what a rest adds to a latency.
const REST: Duration = Duration::from_micros(100);
/// How often an even port is asked for before an odd one will do: RTP's is even by custom only (RFC 3550 §11).
const SINK_TRIES: usize = 16;

/// What a shard begins with.
pub(super) struct Plan {
    pub(super) setup: Setup,
    pub(super) number: usize,
    /// Where monotonic time begins.
    pub(super) origin: Instant,
    pub(super) rng: Rng,
    /// What stamps of this load begin with.
    pub(super) key: u64,
    pub(super) tell: mpsc::Sender<Heard>,
}

type Ready = oneshot::Sender<Result<mpsc::Sender<Input<Command>>, StartError>>;

/// The whole life of the thread.
pub(super) fn run(plan: Plan, ready: Ready, start_at: oneshot::Receiver<u64>) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = ready.send(Err(StartError::Thread(error)));
            return;
        }
    };
    runtime.block_on(async {
        let number = plan.number;
        match Shard::bind(plan).await {
            Ok((shard, inbox)) => {
                // Where nobody waits any more, the start does not come either.
                let _ = ready.send(Ok(inbox));
                if let Ok(start_at) = start_at.await
                    && let Err(error) = shard.drive(start_at).await
                {
                    tracing::error!(number, %error, "a shard of the load has failed");
                }
            }
            Err(error) => _ = ready.send(Err(error)),
        }
    });
}

/// What it works with.
struct Shard {
    config: LoadConfig,
    net: Net,
    engine: Option<Engine>,
    inbox: mpsc::Receiver<Input<Command>>,
    wake: Wake,
    origin: Instant,
    rng: Rng,
    tell: mpsc::Sender<Heard>,
    rests: Rests,
    /// The last lap has been told.
    over: bool,
    /// Where what nobody hears is sent: bound, and never read.
    _sink: Option<UdpSocket>,
}

impl Shard {
    async fn bind(plan: Plan) -> Result<(Self, mpsc::Sender<Input<Command>>), StartError> {
        let Plan { setup, number, origin, mut rng, key, tell } = plan;
        let (inbox, outlet) = mpsc::channel(INBOX);
        let datagrams = inbox.clone();
        let sink = move |input| {
            let room = datagrams.capacity() > INBOX / 2;
            room.then(|| datagrams.try_send(Input::Sip(input)).ok()).flatten().ok_or(Full)
        };
        // Over TLS we only call: what the far end has to say comes by our own connection.
        let is_tls = setup.transport == Transport::Tls;
        let listeners = [Listener { transport: setup.transport, bind: setup.bind }];
        let listeners = listeners.get(usize::from(is_tls)..).unwrap_or_default();
        let (net, bound) = Net::bind(listeners, setup.tls, sink).await?;
        let mut config = setup.config;
        config.locals = bound
            .into_iter()
            .map(|(id, transport, bound)| Local { id, transport, bound, advertised: bound, inside: bound })
            .collect();
        let mut sink = None;
        let engine = match &mut config.media {
            Media::Sink(at) => {
                let socket = open_sink(setup.bind.ip())?;
                at.set_ip(setup.bind.ip());
                at.set_port(socket.local_addr().map_or(0, |at| at.port()));
                sink = Some(socket);
                None
            }
            Media::Streams { ip, .. } => {
                let setup = streams::Setup { number, ip: *ip, origin, rng: rng.fork(), key };
                let events = inbox.clone();
                // Where the shard has gone, nobody misses it.
                let sink = move |event| _ = events.blocking_send(Input::Media(event));
                Some(Engine::start(setup, sink).map_err(StartError::Thread)?)
            }
        };
        let wake = Wake::new().map_err(StartError::Thread)?;
        Ok((
            Self {
                config,
                net,
                engine,
                inbox: outlet,
                wake,
                origin,
                rng,
                tell,
                rests: Rests::of(REST),
                over: false,
                _sink: sink,
            },
            inbox,
        ))
    }

    async fn drive(mut self, start_at: u64) -> std::io::Result<()> {
        self.config.start_at = start_at;
        let mut node = Generator::new(self.config.clone(), self.rng.fork());
        let mut inputs = Vec::with_capacity(INPUTS_AT_ONCE);
        let (cpu, waited, began) = (thread_cpu(), waited_for_processor(), Instant::now());
        while let Some(wake) = self.drain(&mut node).await {
            let now = self.now();
            if wake.is_some_and(|at| at <= now.mono) {
                node.handle(Input::Timeout, now);
                // The sockets are read by another task of this thread.
                tokio::task::yield_now().await;
                while inputs.len() < INPUTS_AT_ONCE
                    && let Ok(input) = self.inbox.try_recv()
                {
                    inputs.push(input);
                }
            } else {
                self.wake.set(wake, now.mono)?;
                tokio::select! {
                    biased;
                    _ = self.inbox.recv_many(&mut inputs, INPUTS_AT_ONCE) => {}
                    rung = self.wake.rung() => rung?,
                }
            }
            let taken = inputs.len();
            for input in inputs.drain(..) {
                node.handle(input, self.now());
                if self.drain(&mut node).await.is_none() {
                    break;
                }
            }
            self.rest(taken, wake);
        }
        self.end([cpu, waited], began.elapsed()).await;
        Ok(())
    }

    /// The media thread may wait for room in the inbox: its end comes before that thread's.
    async fn end(self, [cpu, waited]: [Duration; 2], ran: Duration) {
        let (cpu, waited) = (thread_cpu().saturating_sub(cpu), waited_for_processor().saturating_sub(waited));
        let (counters, dropped_by_kernel) = (self.net.counters(), dropped_by_kernel(&self.udp()));
        drop(self.inbox);
        let media = self.engine.map(Engine::stop).unwrap_or_default();
        let ended = Ended {
            cpu,
            waited,
            ran,
            counters,
            dropped_by_kernel,
            media: media.stats,
            media_cpu: media.cpu,
            media_waited: media.waited,
        };
        // A reader that has gone wants no more.
        let _ = self.tell.send(Heard::Ended(Box::new(ended))).await;
        self.net.shutdown().await;
    }

    /// After so many inputs: until the end of a stretch of [`REST`] in which they come thick, but not beyond what is due.
    /// Nothing else runs on this thread that could miss it.
    fn rest(&mut self, taken: usize, wake: Option<u64>) {
        let now = self.now().mono;
        let left = self.rests.after(taken, now).unwrap_or_default();
        let due = wake.map_or(left, |at| Duration::from_nanos(at.saturating_sub(now)));
        let left = left.min(due);
        if !left.is_zero() {
            std::thread::sleep(left);
        }
    }

    /// Its UDP sockets.
    fn udp(&self) -> Vec<SocketAddr> {
        let udp = self.config.locals.iter().filter(|local| local.transport == Transport::Udp);
        udp.map(|local| local.bound).collect()
    }

    /// Does what the generator asks for, and tells what it tells: when it wants to be woken, if at all. `None` once it is
    /// over, and again then.
    async fn drain(&mut self, node: &mut Generator) -> Option<Option<u64>> {
        while !self.over {
            match node.poll() {
                Output::Sip(effect) => self.net.execute(effect),
                Output::Media(command) => self.command(node, command),
                // Where nobody reads any more, nobody wants more calls either.
                Output::Report(Told::Lap(mut lap)) => {
                    lap.streams = self.engine.as_ref().map(Engine::seen).unwrap_or_default();
                    self.over = self.tell.send(Heard::Lap(lap)).await.is_err();
                }
                Output::Report(Told::Finished) => self.over = true,
                Output::Timeout(at) => return Some(at),
            }
        }
        None
    }

    fn command(&mut self, node: &mut Generator, command: media::Command) {
        let Some(engine) = &self.engine else { return };
        let (id, creates) = (command.id(), matches!(command, media::Command::Create { .. }));
        if !engine.send(command) && creates {
            let failed = Event::Failed { id, error: "too many commands wait for the media thread".to_owned() };
            node.handle(Input::Media(failed), self.now());
        }
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now::new(self.origin.elapsed().as_nanos() as u64, wall.as_millis() as u64)
    }
}

fn open_sink(ip: IpAddr) -> Result<UdpSocket, StartError> {
    let address = SocketAddr::new(ip, 0);
    let open = || {
        let bound = UdpSocket::bind(address);
        bound.map_err(|source| StartError::Bind(BindError::Address { transport: Transport::Udp, address, source }))
    };
    let mut socket = open()?;
    for _ in 1..SINK_TRIES {
        if socket.local_addr().is_ok_and(|at| at.port() % 2 == 0) {
            break;
        }
        socket = open()?;
    }
    Ok(socket)
}
