//! TCP and TLS on the virtual network: connections that lose nothing and keep the order. Certificates are not looked at.

use sip_core::transport::{FlowId, Input, LocalId};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// The first port that connections leave from.
const EPHEMERAL: u16 = 32_768;

/// One end of a connection: the host, and its name for it.
type End = (usize, FlowId);

/// All connections.
#[derive(Default)]
pub(super) struct Streams {
    ends: BTreeMap<End, End>,
    /// By the end where it will come out: what was written and is still gathered.
    gathering: BTreeMap<End, Vec<u8>>,
    opened: u64,
}

impl Streams {
    /// A host connects. What the two ends hear of it, and after how many trips through the network.
    pub(super) fn open(
        &mut self,
        host: usize,
        flow: FlowId,
        local_ip: IpAddr,
        peer: SocketAddr,
        listener: Option<(usize, LocalId)>,
    ) -> Vec<(usize, Input, u32)> {
        let Some((other, local)) = listener else {
            return vec![(host, Input::Closed { flow, reason: format!("nobody listens at {peer}") }, 2)];
        };
        let accepted = FlowId(self.opened * 2 + 1);
        let port = EPHEMERAL.saturating_add((self.opened % 28_000) as u16);
        let local_addr = SocketAddr::new(local_ip, port);
        self.opened += 1;
        self.ends.insert((host, flow), (other, accepted));
        self.ends.insert((other, accepted), (host, flow));
        vec![
            (other, Input::Accepted { flow: accepted, local, peer: local_addr }, 1),
            (host, Input::Opened { flow, local_addr }, 2),
        ]
    }

    /// Where what is written here comes out.
    pub(super) fn other_end(&self, host: usize, flow: FlowId) -> Option<End> {
        self.ends.get(&(host, flow)).copied()
    }

    /// A host closes its end: what the other one hears.
    pub(super) fn close(&mut self, host: usize, flow: FlowId) -> Option<(usize, Input)> {
        let (other, flow) = self.ends.remove(&(host, flow))?;
        self.ends.remove(&(other, flow));
        Some((other, Input::Closed { flow, reason: "closed by the peer".to_owned() }))
    }

    /// Keeps what was written for the end where it comes out, behind a ping (RFC 5626 §4.4.1) where one is wanted. True
    /// where it is the first.
    pub(super) fn gather(&mut self, host: usize, flow: FlowId, pinged: bool, bytes: &[u8]) -> bool {
        let gathered = self.gathering.entry((host, flow)).or_default();
        let first = gathered.is_empty();
        if pinged {
            gathered.extend_from_slice(b"\r\n\r\n");
        }
        gathered.extend_from_slice(bytes);
        first
    }

    /// What was gathered for this end.
    pub(super) fn gathered(&mut self, host: usize, flow: FlowId) -> Vec<u8> {
        self.gathering.remove(&(host, flow)).unwrap_or_default()
    }

    /// All connections of a host break: what it and its peers hear.
    pub(super) fn reset_all_of(&mut self, host: usize) -> Vec<(usize, Input)> {
        let flows: Vec<_> = self.ends.keys().filter(|end| end.0 == host).map(|end| end.1).collect();
        let mut heard = Vec::new();
        for flow in flows {
            if let Some((other, input)) = self.close(host, flow) {
                if let Input::Closed { flow, .. } = &input {
                    self.gathering.remove(&(other, *flow));
                }
                self.gathering.remove(&(host, flow));
                heard.push((other, input));
                heard.push((host, Input::Closed { flow, reason: "reset by the network".to_owned() }));
            }
        }
        heard
    }

    /// A host has died: what all its peers hear.
    pub(super) fn drop_all_of(&mut self, host: usize) -> Vec<(usize, Input)> {
        let flows: Vec<_> = self.ends.keys().filter(|end| end.0 == host).map(|end| end.1).collect();
        flows.into_iter().filter_map(|flow| self.close(host, flow)).collect()
    }
}
