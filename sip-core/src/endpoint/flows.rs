//! Stream connections: opened, accepted, reused, bounded and closed (RFC 3261 §18, RFC 5626 §3.5.1 for the ping).
//!
//! A TLS flow is reused only for the name that its certificate was verified for, never for another name at the same
//! address.

use super::config::MAX_UNOPENED_BYTES;
use super::exchange::ExchangeId;
use super::transactions::ClientId;
use crate::transport::framing::StreamFramer;
use crate::transport::{FlowId, LocalId, Transport};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;

/// One stream.
#[derive(Debug)]
pub(super) struct Flow {
    pub(super) transport: Transport,
    pub(super) peer: SocketAddr,
    /// The listener it came to; none for those we opened.
    pub(super) local: Option<LocalId>,
    /// What the peer's certificate must carry; empty for TCP and for accepted flows.
    server_name: Box<str>,
    pub(super) state: FlowState,
    pub(super) framer: StreamFramer,
    /// Dialogs that live on it.
    pins: u32,
    /// Its user keeps it, and is told when it ends.
    pub(super) kept: bool,
    /// Client transactions on it, to be told when it closes.
    pub(super) clients: BTreeSet<ClientId>,
}

/// How far a stream is.
#[derive(Debug)]
pub(super) enum FlowState {
    /// Asked for.
    Opening(Opening),
    /// Stands; our end of it, where that is known.
    Open(Option<SocketAddr>),
}

/// What waits for a stream to stand.
#[derive(Debug, Default)]
pub(super) struct Opening {
    /// Requests, in the order they came.
    pub(super) exchanges: Vec<ExchangeId>,
    /// Responses.
    pub(super) bytes: Vec<Bytes>,
    queued: usize,
}

impl Opening {
    /// Takes bytes that wait; false beyond [`MAX_UNOPENED_BYTES`].
    pub(super) fn queue(&mut self, bytes: Bytes) -> bool {
        self.queued += bytes.len();
        if self.queued > MAX_UNOPENED_BYTES {
            return false;
        }
        self.bytes.push(bytes);
        true
    }
}

impl Flow {
    /// True where a dialog or a client transaction needs it.
    pub(super) fn is_used(&self) -> bool {
        self.pins > 0 || self.kept || !self.clients.is_empty() || matches!(self.state, FlowState::Opening(_))
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, FlowState::Open(_))
    }
}

/// All streams of an endpoint.
#[derive(Debug, Default)]
pub(super) struct Flows {
    table: BTreeMap<FlowId, Flow>,
    opened: HashMap<(Transport, SocketAddr, Box<str>), FlowId>,
    next: u64,
}

impl Flows {
    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn get(&self, id: FlowId) -> Option<&Flow> {
        self.table.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: FlowId) -> Option<&mut Flow> {
        self.table.get_mut(&id)
    }

    /// A flow of ours to this peer, standing or on its way.
    pub(super) fn find(&self, transport: Transport, peer: SocketAddr, server_name: &str) -> Option<FlowId> {
        self.opened.get(&key(transport, peer, server_name)).copied()
    }

    /// Numbers a flow that is asked for: even numbers.
    pub(super) fn open(&mut self, transport: Transport, peer: SocketAddr, server_name: &str) -> FlowId {
        self.next += 2;
        let id = FlowId(self.next);
        let (_, _, server_name) = key(transport, peer, server_name);
        self.opened.insert((transport, peer, server_name.clone()), id);
        let state = FlowState::Opening(Opening::default());
        self.insert(id, transport, peer, None, server_name, state);
        id
    }

    /// A flow that a peer has opened.
    pub(super) fn accept(&mut self, id: FlowId, transport: Transport, peer: SocketAddr, local: LocalId) {
        self.insert(id, transport, peer, Some(local), Box::default(), FlowState::Open(None));
    }

    fn insert(
        &mut self,
        id: FlowId,
        transport: Transport,
        peer: SocketAddr,
        local: Option<LocalId>,
        server_name: Box<str>,
        state: FlowState,
    ) {
        let framer = StreamFramer::default();
        let clients = BTreeSet::new();
        self.table
            .insert(id, Flow { transport, peer, local, server_name, state, framer, pins: 0, kept: false, clients });
    }

    /// It stands: what waited for it.
    pub(super) fn opened(&mut self, id: FlowId, local_addr: SocketAddr) -> Option<Opening> {
        let flow = self.table.get_mut(&id)?;
        match std::mem::replace(&mut flow.state, FlowState::Open(Some(local_addr))) {
            FlowState::Opening(waiting) => Some(waiting),
            FlowState::Open(_) => None,
        }
    }

    /// Forgets it.
    pub(super) fn remove(&mut self, id: FlowId) -> Option<Flow> {
        let flow = self.table.remove(&id)?;
        let key = (flow.transport, flow.peer, flow.server_name.clone());
        if self.opened.get(&key) == Some(&id) {
            self.opened.remove(&key);
        }
        Some(flow)
    }

    /// A dialog lives on it, or no more.
    pub(super) fn pin(&mut self, id: FlowId, on: bool) {
        if let Some(flow) = self.table.get_mut(&id) {
            flow.pins = if on { flow.pins.saturating_add(1) } else { flow.pins.saturating_sub(1) };
        }
    }
}

/// TCP has no name to verify: one flow a peer.
fn key(transport: Transport, peer: SocketAddr, server_name: &str) -> (Transport, SocketAddr, Box<str>) {
    let name = if transport == Transport::Tls { server_name.to_ascii_lowercase() } else { String::new() };
    (transport, peer, name.into())
}
