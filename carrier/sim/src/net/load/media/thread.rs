//! The loop: wait, take packets, take commands, tick, hand out events.

use super::inbox::{Outlet, Taken};
use super::sockets::{INBOX_TOKEN, Sockets};
use super::{Ended, Setup};
use crate::load::tap::{Ends, Streams, Tap};
use crate::net::load::usage::{thread_cpu, waited_for_processor};
use base::Now;
use media::{Command, Event, ShardConfig};
use rustix::event::epoll;
use std::io;
use std::num::NonZeroU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

/// How long the loop may rest while packets keep coming, so that many share one wake. The kernel has stamped them, so that
/// a rest is in no figure but that of our own reading.
const REST: Duration = Duration::from_micros(300);
/// Packets of one turn from which on the loop rests.
const PACKETS_BEFORE_REST: usize = 2;
/// Commands taken in a row, so that a flood of them cannot hold up the tick.
const COMMANDS_A_TURN: usize = 256;
/// Sockets looked at in a row.
const EVENTS_A_WAIT: usize = 512;
/// What a packet is read into: more than any that is heard.
const MAX_DATAGRAM: usize = 2_048;

/// What the thread works with.
pub(super) struct Worker {
    tap: Tap,
    sockets: Sockets,
    outlet: Outlet,
    seen: Arc<Mutex<Streams>>,
    origin: Instant,
}

impl Worker {
    pub(super) fn new(setup: &Setup, outlet: Outlet, seen: Arc<Mutex<Streams>>) -> io::Result<Self> {
        let sockets = Sockets::new(setup.ip, setup.origin)?;
        sockets.watch_inbox(outlet.as_fd())?;
        let tap = Tap::new(ShardConfig::default(), setup.rng.clone(), setup.key);
        Ok(Self { tap, sockets, outlet, seen, origin: setup.origin })
    }

    pub(super) fn run(mut self, sink: impl Fn(Event)) -> Ended {
        // Without it the kernel may wake the 1 ms tick 50 µs late; where it is refused, the tick is that much later.
        if let Err(error) = rustix::thread::set_current_timer_slack(NonZeroU64::new(1)) {
            tracing::warn!(%error, "timer slack cannot be set");
        }
        let mut ready = Vec::with_capacity(EVENTS_A_WAIT);
        let mut buffer = [0; MAX_DATAGRAM];
        let (mut packets, mut stopping) = (0, false);
        while !stopping {
            let at_once = packets > 0 || self.outlet.waits() || self.outlet.doze();
            let patience = if at_once { Some(Duration::ZERO) } else { self.patience() };
            self.sockets.wait(&mut ready, patience);
            self.outlet.wake(ready.iter().any(|event| event.data.u64() == INBOX_TOKEN));
            packets = self.receive(&ready, &mut buffer);
            stopping = self.commands();
            self.tick();
            self.flush(&sink);
            if packets >= PACKETS_BEFORE_REST && !self.outlet.waits() {
                self.rest();
            }
        }
        for id in self.tap.ids() {
            self.with(|tap, ends| tap.command(Command::Close { id }, ends));
        }
        self.flush(&sink);
        Ended { stats: self.tap.stats().clone(), cpu: thread_cpu(), waited: waited_for_processor() }
    }

    /// Lends the tap what it works with.
    fn with(&mut self, act: impl FnOnce(&mut Tap, Ends<'_>)) {
        let now = self.now();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut self.tap, Ends { wire: &mut self.sockets, seen: &mut seen, now });
    }

    /// Takes one packet of each socket that is ready, and says how many. A socket that has more is ready again at the
    /// next look, which is at once.
    fn receive(&mut self, ready: &[epoll::Event], buffer: &mut [u8; MAX_DATAGRAM]) -> usize {
        let mut packets = 0;
        for token in ready.iter().map(|event| event.data.u64()).filter(|token| *token != INBOX_TOKEN) {
            let Some(packet) = self.sockets.receive(token, buffer) else { continue };
            packets += 1;
            let octets = buffer.get_mut(..packet.length).unwrap_or_default();
            self.with(|tap, ends| {
                ends.seen.dropped += packet.dropped;
                let arrived = ends.now.mono.saturating_sub(packet.waited);
                tap.receive(packet.leg, packet.channel, packet.from, octets, arrived, ends);
            });
        }
        packets
    }

    /// True where the end has come; what is beyond a turn's waits until sockets and tick have had theirs.
    fn commands(&mut self) -> bool {
        for _ in 0..COMMANDS_A_TURN {
            match self.outlet.take() {
                Taken::Command(command) => self.with(|tap, ends| tap.command(command, ends)),
                Taken::Nothing => return false,
                Taken::Stop => return true,
            }
        }
        false
    }

    fn tick(&mut self) {
        let now = self.mono();
        if self.tap.next_wake().is_some_and(|at| at <= now) {
            self.with(Tap::tick);
        }
    }

    fn flush(&mut self, sink: &impl Fn(Event)) {
        while let Some(event) = self.tap.poll_event() {
            sink(event);
        }
    }

    /// How long nothing is due.
    fn patience(&self) -> Option<Duration> {
        let at = self.tap.next_wake()?;
        Some(Duration::from_nanos(at.saturating_sub(self.mono())))
    }

    /// Lets packets gather, but not beyond what is due.
    fn rest(&self) {
        let due = self.patience().unwrap_or(REST);
        let left = due.min(REST);
        if !left.is_zero() {
            std::thread::sleep(left);
        }
    }

    fn mono(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now::new(self.mono(), wall.as_millis() as u64)
    }
}
