//! The floor on which all calls of a shard stand: what they share, and nothing about any of them.

use super::config::{LoadConfig, Media};
use super::tally::Lap;
use super::{Alarm, Told};
use crate::node::Output;
use base::{Now, Rng, Timers};
use media::PortPool;
use sip_core::endpoint::{Endpoint, SessionId};
use sip_core::message::{Message, Name};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Floor {
    pub(super) config: LoadConfig,
    pub(super) rng: Rng,
    pub(super) now: Now,
    pub(super) endpoint: Endpoint,
    pub(super) timers: Timers<Alarm>,
    pub(super) out: VecDeque<Output<Told>>,
    /// What has happened in this second.
    pub(super) lap: Lap,
    /// Whose session it is. Looked up, never listed.
    pub(super) by_session: HashMap<SessionId, u64>,
    /// Calls that are answered and have not ended.
    pub(super) standing: u64,
    /// No call is to stand any longer than it must.
    pub(super) draining: bool,
    ports: Option<PortPool>,
    /// A response has told what the target calls itself.
    knows_server: bool,
}

impl Floor {
    pub(super) fn new(config: LoadConfig, endpoint: Endpoint, rng: Rng) -> Self {
        let ports = match &config.media {
            Media::Sink(_) => None,
            Media::Streams { ports, .. } => Some(PortPool::new(*ports)),
        };
        Self {
            config,
            rng,
            now: Now::default(),
            endpoint,
            timers: Timers::default(),
            out: VecDeque::new(),
            lap: Lap::default(),
            by_session: HashMap::new(),
            standing: 0,
            draining: false,
            ports,
            knows_server: false,
        }
    }

    pub(super) fn media(&mut self, command: media::Command) {
        self.out.push_back(Output::Media(command));
    }

    pub(super) fn take_port(&mut self) -> Option<u16> {
        self.ports.as_mut()?.take(self.now)
    }

    pub(super) fn release_port(&mut self, port: u16) {
        if let Some(ports) = &mut self.ports {
            ports.release(port, self.now);
        }
    }

    /// A response tells who sent it, where it says so: once is enough.
    pub(super) fn met(&mut self, response: &Message) {
        if !std::mem::replace(&mut self.knows_server, true) {
            self.lap.server = response.header_str(Name::Server).map(|server| server.into_owned());
            self.knows_server = self.lap.server.is_some();
        }
    }

    /// RTP ports that are out.
    pub(super) fn ports_in_use(&self) -> usize {
        self.ports.as_ref().map_or(0, PortPool::in_use)
    }

    /// A timer whose time has come, and when that was.
    pub(super) fn expired(&mut self) -> Option<(Alarm, u64)> {
        let due = self.timers.next()?;
        Some((self.timers.expired(self.now.mono)?, due))
    }

    /// Time passed since then (monotonic nanoseconds).
    pub(super) const fn since(&self, then: u64) -> Duration {
        Duration::from_nanos(self.now.mono.saturating_sub(then))
    }
}
