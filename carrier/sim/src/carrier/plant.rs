//! The plant: what all calls share, and nothing about any of them.

use super::io::{Note, Output, What};
use crate::config::{CarrierConfig, hash};
use crate::edge::Edge;
use crate::listen::Ear;
use base::{Now, Rng, Timers};
use media::PortPool;
use sip_core::endpoint::{Endpoint, Headers, SessionId};
use std::collections::{HashMap, VecDeque};

/// One call, counted up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct CallKey(pub(super) u64);

/// What a call can be woken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Alarm {
    /// The next step of its script.
    Step,
    /// The answer that crosses the CANCEL.
    LateAnswer,
    /// The peer of a silent carrier has given up by now.
    Ignored,
}

/// See the head of this file.
#[derive(Debug)]
pub(super) struct Plant {
    pub(super) config: CarrierConfig,
    pub(super) rng: Rng,
    pub(super) now: Now,
    pub(super) endpoint: Endpoint,
    pub(super) edge: Edge,
    pub(super) ports: PortPool,
    pub(super) timers: Timers<(CallKey, Alarm)>,
    pub(super) out: VecDeque<Output>,
    /// Whose session it is. Looked up, never listed.
    pub(super) by_session: HashMap<SessionId, CallKey>,
    pub(super) ear: Ear,
    pub(super) salt: u64,
    pub(super) last_id: u64,
}

impl Plant {
    /// The next of the numbers that name calls, media endpoints and playbacks.
    pub(super) const fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub(super) fn media(&mut self, command: media::Command) {
        self.out.push_back(Output::Media(command));
    }

    pub(super) fn note(&mut self, call_id: &str, what: What) {
        let note = Note { at: self.now, call_id: call_id.to_owned(), what };
        self.out.push_back(Output::Note(note));
    }

    /// `X-Twilio-CallSid`: it follows from the Call-ID, so that the challenge and the call name the same.
    pub(super) fn call_sid(&self, call_id: &str) -> String {
        format!("CA{:016x}{:016x}", hash(self.salt, call_id), hash(!self.salt, call_id))
    }

    /// What every response of a call carries.
    pub(super) fn headers(&self, call_sid: &str) -> Headers {
        if self.config.twilio { vec![("X-Twilio-CallSid".to_owned(), call_sid.to_owned())] } else { Vec::new() }
    }
}
