//! Every SIP message between the sockets and the switch, handed on to whoever keeps or exports it ([`api::capture`]).
//! Messages go in batches, so that signalling wakes nobody for a single one.

use api::capture::{Feed, Message};
use base::Now;
use bytes::Bytes;
use sip_core::transport::framing::{Framed, StreamFramer};
use sip_core::transport::{Effect, FlowId, Input, Local, LocalId, Transport};
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;

/// Messages that are handed over together at the latest; what there is goes at each [`Tap::flush`] anyway.
const BATCH: usize = 64;

/// What a datagram is at least that is no keep-alive (RFC 5626 §4.4).
const LEAST: usize = 5;

/// A stream that stands.
struct Flow {
    stream: bool,
    local: SocketAddr,
    peer: SocketAddr,
    /// What has come of a message; none on a WebSocket, whose messages come whole.
    framer: Option<StreamFramer>,
}

/// See the head of this file. It has a line for each stream that stands or is being opened, as the sockets' side bounds them.
pub struct Tap {
    feed: Feed,
    locals: BTreeMap<LocalId, (Transport, SocketAddr)>,
    opening: HashMap<FlowId, (Transport, SocketAddr)>,
    flows: HashMap<FlowId, Flow>,
    batch: Vec<Message>,
}

impl Tap {
    /// One on these listeners.
    pub fn new(feed: Feed, locals: &[Local]) -> Self {
        let locals = locals.iter().map(|local| (local.id, (local.transport, local.inside))).collect();
        Self { feed, locals, opening: HashMap::new(), flows: HashMap::new(), batch: Vec::new() }
    }

    /// What the sockets say.
    pub fn comes(&mut self, input: &Input, now: Now) {
        match input {
            Input::Datagram { local, from, bytes } => {
                if let Some((_, to)) = self.locals.get(local).copied() {
                    self.take(Message { at: now.wall, stream: false, from: *from, to, bytes: bytes.clone() });
                }
            }
            Input::Accepted { flow, local, peer } => {
                if let Some((transport, addr)) = self.locals.get(local).copied() {
                    self.stands(*flow, transport, addr, *peer);
                }
            }
            Input::Opened { flow, local_addr } => {
                if let Some((transport, peer)) = self.opening.remove(flow) {
                    self.stands(*flow, transport, *local_addr, peer);
                }
            }
            Input::Received { flow, bytes } => self.received(*flow, bytes, now),
            Input::Closed { flow, .. } => {
                self.opening.remove(flow);
                self.flows.remove(flow);
            }
            Input::Unreachable { .. } | Input::Resolved { .. } | Input::Located { .. } | Input::Timeout => {}
        }
    }

    /// What the switch sends.
    pub fn leaves(&mut self, effect: &Effect, now: Now) {
        match effect {
            Effect::Transmit { local, to, bytes } => {
                if let Some((_, from)) = self.locals.get(local).copied() {
                    self.take(Message { at: now.wall, stream: false, from, to: *to, bytes: bytes.clone() });
                }
            }
            Effect::Open { flow, transport, peer, .. } => drop(self.opening.insert(*flow, (*transport, *peer))),
            Effect::Write { flow, bytes } => {
                if let Some(Flow { stream, local, peer, .. }) = self.flows.get(flow) {
                    let (from, to) = (*local, *peer);
                    self.take(Message { at: now.wall, stream: *stream, from, to, bytes: bytes.clone() });
                }
            }
            Effect::Close { flow } => {
                self.opening.remove(flow);
                self.flows.remove(flow);
            }
            Effect::Resolve { .. } => {}
        }
    }

    fn stands(&mut self, flow: FlowId, transport: Transport, local: SocketAddr, peer: SocketAddr) {
        let framer = (!transport.is_websocket()).then(StreamFramer::default);
        self.flows.insert(flow, Flow { stream: transport.is_reliable(), local, peer, framer });
    }

    fn received(&mut self, flow: FlowId, bytes: &Bytes, now: Now) {
        let Some(Flow { stream, local, peer, framer }) = self.flows.get_mut(&flow) else { return };
        let whole: Vec<Bytes> = match framer {
            None => vec![bytes.clone()],
            Some(framer) => {
                framer.push(bytes);
                // What cannot be framed is the end of the stream: nothing comes after it.
                let message = |framed| match framed {
                    Ok(Framed::Message(bytes)) => Some(bytes),
                    _ => None,
                };
                framer.by_ref().filter_map(message).collect()
            }
        };
        let (stream, from, to) = (*stream, *peer, *local);
        for bytes in whole {
            self.take(Message { at: now.wall, stream, from, to, bytes });
        }
    }

    fn take(&mut self, message: Message) {
        if message.bytes.len() < LEAST {
            return;
        }
        self.batch.push(message);
        if self.batch.len() >= BATCH {
            self.flush();
        }
    }

    /// Hands over what there is.
    pub fn flush(&mut self) {
        if !self.batch.is_empty() {
            self.feed.offer(std::mem::take(&mut self.batch));
        }
    }
}
