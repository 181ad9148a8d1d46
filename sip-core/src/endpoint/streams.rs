//! What happens to streams: asked for, standing, read, idle, closed (RFC 3261 §18, RFC 5626 §4.4.1).

use super::config::PARTIAL_MESSAGE_TIMEOUT;
use super::core::Core;
use super::event::Event;
use super::flows::FlowState;
use super::timer::{FlowTimer, TimerKey};
use crate::transport::framing::{FrameError, Framed};
use crate::transport::{Effect, FlowId, LocalId, Transport};
use bytes::Bytes;
use std::net::SocketAddr;

/// The shortest ping (RFC 5626 §3.5.1).
const PING: &[u8] = b"\r\n\r\n";
/// What answers a ping.
const PONG: Bytes = Bytes::from_static(b"\r\n");

impl Core {
    /// A stream to this peer: the one that stands, or a new one on its way. None where there are too many.
    pub(super) fn flow_to(&mut self, transport: Transport, peer: SocketAddr, server_name: &str) -> Option<FlowId> {
        // RFC 7118 §5.3: a WebSocket is its client's to open.
        if transport.is_websocket() {
            return None;
        }
        if let Some(flow) = self.flows.find(transport, peer, server_name) {
            return Some(flow);
        }
        if self.flows.len() >= self.config.max_flows {
            return None;
        }
        let flow = self.flows.open(transport, peer, server_name);
        self.effect(Effect::Open { flow, transport, peer, server_name: server_name.to_owned() });
        self.start(TimerKey::Flow(flow, FlowTimer::Connect), self.config.connect_timeout);
        Some(flow)
    }

    /// A stream that we asked for stands: what waited for it goes out.
    pub(super) fn flow_opened(&mut self, id: FlowId, local_addr: SocketAddr) {
        self.timers.stop(TimerKey::Flow(id, FlowTimer::Connect));
        let Some(waiting) = self.flows.opened(id, local_addr) else { return };
        for bytes in waiting.bytes {
            self.effect(Effect::Write { flow: id, bytes });
        }
        self.touch(id);
        for exchange in waiting.exchanges {
            self.flow_stands(exchange, id);
        }
    }

    /// A peer has connected. Beyond the bound it is closed at once.
    pub(super) fn flow_accepted(&mut self, id: FlowId, local: LocalId, peer: SocketAddr) {
        let transport = self.config.local(local).map(|local| local.transport);
        match transport.filter(|_| self.flows.len() < self.config.max_flows) {
            Some(transport) => {
                self.flows.accept(id, transport, peer, local);
                self.touch(id);
            }
            None => self.effect(Effect::Close { flow: id }),
        }
    }

    /// A stream has ended, or could not be opened.
    pub(super) fn flow_closed(&mut self, id: FlowId, reason: &str) {
        let Some(flow) = self.flows.remove(id) else { return };
        for timer in [FlowTimer::Connect, FlowTimer::Partial, FlowTimer::Idle] {
            self.timers.stop(TimerKey::Flow(id, timer));
        }
        if let FlowState::Opening(waiting) = flow.state {
            for exchange in waiting.exchanges {
                self.flow_failed(exchange, id, reason);
            }
        }
        self.fail_clients(flow.clients);
        if flow.kept {
            self.event(Event::FlowClosed { flow: id });
        }
    }

    /// Closes a stream from our side.
    pub(super) fn close_flow(&mut self, id: FlowId, reason: &str) {
        if self.flows.get(id).is_some() {
            self.effect(Effect::Close { flow: id });
            self.flow_closed(id, reason);
        }
    }

    /// A message of a WebSocket: one of SIP's as it is (RFC 7118 §4.2), or a keep-alive, which is answered.
    pub(super) fn frame_received(&mut self, id: FlowId, bytes: Bytes) -> Option<Bytes> {
        self.touch(id);
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n')) {
            if bytes.len() >= PING.len() {
                self.effect(Effect::Write { flow: id, bytes: PONG });
            }
            return None;
        }
        Some(bytes)
    }

    /// Bytes from a stream: the messages that are whole now. Pings are answered.
    pub(super) fn flow_received(&mut self, id: FlowId, bytes: &[u8]) -> Vec<Result<Bytes, FrameError>> {
        let Some(flow) = self.flows.get_mut(id) else { return Vec::new() };
        flow.framer.push(bytes);
        let mut messages = Vec::new();
        let mut pings = 0;
        for framed in &mut flow.framer {
            match framed {
                Ok(Framed::Message(message)) => messages.push(Ok(message)),
                Ok(Framed::KeepAlivePing) => pings += 1,
                Ok(Framed::Pong) => {}
                Err(error) => messages.push(Err(error)),
            }
        }
        let is_partial = flow.framer.has_partial();
        // However many pings came in one piece, one pong says that we live.
        if pings > 0 {
            self.effect(Effect::Write { flow: id, bytes: PONG });
        }
        self.watch_partial(id, is_partial, !messages.is_empty());
        self.touch(id);
        messages
    }

    /// A message in pieces has [`PARTIAL_MESSAGE_TIMEOUT`] from its first piece.
    fn watch_partial(&mut self, id: FlowId, is_partial: bool, is_new: bool) {
        let key = TimerKey::Flow(id, FlowTimer::Partial);
        if !is_partial {
            self.timers.stop(key);
        } else if is_new || self.timers.get(key).is_none() {
            self.start(key, PARTIAL_MESSAGE_TIMEOUT);
        }
    }

    pub(super) fn flow_timer(&mut self, id: FlowId, timer: FlowTimer) {
        match timer {
            FlowTimer::Connect => self.close_flow(id, "no connection in time"),
            FlowTimer::Partial => self.close_flow(id, "a message was never finished"),
            FlowTimer::Idle if self.flows.get(id).is_some_and(super::flows::Flow::is_used) => self.touch(id),
            FlowTimer::Idle => self.close_flow(id, "idle"),
        }
    }

    /// It has just been used.
    pub(super) fn touch(&mut self, id: FlowId) {
        if self.flows.get(id).is_some() {
            self.start(TimerKey::Flow(id, FlowTimer::Idle), self.config.flow_idle);
        }
    }
}
