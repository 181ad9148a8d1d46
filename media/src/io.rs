//! The way out: how a shard's packets leave it. Two implementations: real sockets (`worker`) and a simulated network.

use crate::command::EndpointId;
use std::net::SocketAddr;

/// Which of an endpoint's two ports. With rtcp-mux both kinds of packet use [`Channel::Rtp`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// The even port.
    Rtp,
    /// The port above it.
    Rtcp,
}

/// An endpoint as its shard addresses it: by name, and by the slot it occupies in this shard, so that the rim finds its
/// socket without a lookup. The slot changes when the endpoint moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Leg {
    /// Its name.
    pub id: EndpointId,
    /// Its place in the shard's slab.
    pub slot: u32,
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendResult {
    /// Handed to the network.
    Sent,
    /// The socket's buffer is full: this packet is dropped and counted; only its own call hears it.
    Blocked,
    /// The network refused it (unreachable, not permitted): dropped and counted.
    Failed,
}

/// Where a shard's packets go. Nothing here may block.
pub trait PacketIo {
    /// Makes the endpoint's ports ready. The error says which port and why, for `Event::Failed`.
    ///
    /// # Errors
    /// A sentence that names the port and the cause.
    fn open(&mut self, leg: Leg, rtp_port: u16) -> Result<(), String> {
        let _ = (leg, rtp_port);
        Ok(())
    }

    /// Sends one packet from the endpoint's port.
    fn send(&mut self, leg: Leg, channel: Channel, to: SocketAddr, packet: &[u8]) -> SendResult;

    /// Closes the endpoint's ports: nothing is sent from them after this.
    fn close(&mut self, leg: Leg) {
        let _ = leg;
    }
}
