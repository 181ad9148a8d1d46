//! Drives any node between real sockets and real media threads: input by input, each drained to its next wake.

use crate::node::{Input, Node, Output};
use base::Now;
use media::worker::{Engine, EngineError};
use media::{Command, Event};
use sip_core::net::{Ended, Net, Outlet};
use std::time::{Duration, Instant, SystemTime};

/// Inputs taken in one go before what follows from them is shown: they share wakes, and none waits long.
const INPUTS_AT_ONCE: usize = 64;
/// The longest sleep where nobody asked to be woken: what is shown is never older.
const LONGEST_SLEEP: Duration = Duration::from_millis(250);

/// A node and what it works with.
pub(super) struct Driver<N: Node> {
    pub(super) node: N,
    pub(super) outlet: Outlet<Input<N::Command>>,
    pub(super) net: Net,
    pub(super) engine: Engine,
    /// Where monotonic time begins.
    pub(super) origin: Instant,
}

impl<N: Node> Driver<N> {
    /// Until the inbox says that it is over. `tell` is given what the node reports, `look` the node itself after each
    /// turn.
    pub(super) fn run(mut self, mut tell: impl FnMut(N::Report), mut look: impl FnMut(&N)) {
        self.outlet.settle_in();
        let mut taken = 0;
        loop {
            let wake = self.drain(&mut tell);
            look(&self.node);
            let now = self.now();
            let until = wake.map_or(LONGEST_SLEEP, |at| Duration::from_nanos(at.saturating_sub(now.mono)));
            self.outlet.wait(until.min(LONGEST_SLEEP), taken);
            match self.turn(wake, &mut tell) {
                Ok(inputs) => taken = inputs,
                Err(Ended) => break,
            }
        }
        // The media threads may wait for room in the inbox: its end comes before theirs.
        drop(self.outlet);
        self.engine.shutdown();
    }

    /// Takes what is there, and the time where it has come; how many inputs that was.
    fn turn(&mut self, wake: Option<u64>, tell: &mut impl FnMut(N::Report)) -> Result<usize, Ended> {
        let mut taken = 0;
        while taken < INPUTS_AT_ONCE
            && let Some(input) = self.outlet.take()?
        {
            taken += 1;
            self.node.handle(input, self.now());
            self.drain(tell);
        }
        let now = self.now();
        if wake.is_some_and(|at| at <= now.mono) {
            self.node.handle(Input::Timeout, now);
        }
        Ok(taken)
    }

    /// Does what the node asks for, until it only asks to be woken.
    fn drain(&mut self, tell: &mut impl FnMut(N::Report)) -> Option<u64> {
        loop {
            match self.node.poll() {
                Output::Sip(effect) => self.net.execute(effect),
                Output::Media(command) => self.media(command),
                Output::Report(report) => tell(report),
                Output::Timeout(at) => return at,
            }
        }
    }

    fn media(&mut self, command: Command) {
        let (id, creates) = (command.id(), matches!(command, Command::Create { .. }));
        if let Err(error) = self.engine.send(command) {
            tracing::warn!(endpoint = id.0, %error, "a media command was refused");
            if creates || matches!(error, EngineError::Stopped(_)) {
                let failed = Event::Failed { id, error: error.to_string() };
                self.node.handle(Input::Media(failed), self.now());
            }
        }
    }

    fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Now::new(self.origin.elapsed().as_nanos() as u64, wall.as_millis() as u64)
    }
}
