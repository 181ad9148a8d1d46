//! Datagrams: one socket a listener, read by one task, written by whoever calls (RFC 3261 §18, RFC 3581 §4).

use super::{Shared, icmp};
use crate::transport::{Input, LocalId};
use bytes::Bytes;
use socket2::SockRef;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket as StdUdpSocket};
use std::sync::Arc;
use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::runtime::Handle;

/// The socket buffer asked for, in bytes each way; the kernel gives what `net.core.rmem_max` and `wmem_max` allow. What
/// does not fit is lost, and retransmitted by its sender.
pub const SOCKET_BUFFER: usize = 4 << 20;

/// How many datagrams are read before others get a turn on the same worker.
pub const RECV_BATCH: usize = 64;

/// The largest datagram there is.
const MAX_DATAGRAM: usize = 65_535;

/// The sending half.
pub(super) struct UdpSender {
    local: LocalId,
    socket: StdUdpSocket,
}

/// Begins to read, on one task.
pub(super) fn start(
    local: LocalId,
    socket: StdUdpSocket,
    handle: &Handle,
    shared: &Arc<Shared>,
) -> io::Result<UdpSender> {
    let options = SockRef::from(&socket);
    // Best effort: a smaller buffer is no reason not to start.
    let _ = options.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = options.set_send_buffer_size(SOCKET_BUFFER);
    icmp::ask_for_errors(&socket)?;
    let sender = UdpSender { local, socket: socket.try_clone()? };
    let receiver = UdpSocket::from_std(socket)?;
    let task_shared = Arc::clone(shared);
    shared.spawn(handle, async move {
        tokio::select! {
            () = receive(local, &receiver, &task_shared) => {}
            () = task_shared.stopped() => {}
        }
    });
    Ok(sender)
}

impl UdpSender {
    /// Sends at once or not at all: a full socket buffer loses the datagram, as a network does.
    pub fn send(&self, to: SocketAddr, bytes: &Bytes, shared: &Shared) {
        let mut sent = self.socket.send_to(bytes, to);
        if matches!(&sent, Err(error) if is_about_an_earlier_one(error)) {
            // The call has only told of an earlier datagram, to whomever; this one has not been sent.
            sent = self.socket.send_to(bytes, to);
        }
        match sent {
            Ok(_) => shared.tally.datagrams_sent.one(),
            Err(error) => {
                shared.tally.datagrams_unsent.one();
                if error.kind() != ErrorKind::WouldBlock {
                    tracing::debug!(%to, %error, "datagram not sent");
                    unreachable(self.local, to, shared);
                }
            }
        }
    }
}

/// Tells the core, if it has room to hear it: its own timers find out as well, only later.
fn unreachable(local: LocalId, to: SocketAddr, shared: &Shared) {
    shared.tally.unreachable.one();
    if (shared.sink)(Input::Unreachable { local, to }).is_err() {
        shared.tally.inbox_full.one();
    }
}

async fn receive(local: LocalId, socket: &UdpSocket, shared: &Shared) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        match socket.ready(Interest::READABLE | Interest::ERROR).await {
            Ok(ready) if ready.is_error() => read_errors(local, socket, shared),
            Ok(_) => {}
            Err(error) => return tracing::error!(%error, "a UDP listener has failed"),
        }
        for _ in 0..RECV_BATCH {
            match socket.try_recv_from(&mut buffer) {
                Ok((len, from)) => take(local, from, buffer.get(..len).unwrap_or_default(), shared),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                // It tells of an earlier datagram, which the error queue has named, and is gone once told.
                Err(_) => {}
            }
        }
        tokio::task::yield_now().await;
    }
}

fn take(local: LocalId, from: SocketAddr, bytes: &[u8], shared: &Shared) {
    // An empty datagram holds a NAT binding open, and nothing else.
    if bytes.is_empty() {
        return;
    }
    if !shared.lets_in(&shared.datagrams, from.ip()) {
        return shared.tally.datagrams_refused.one();
    }
    let datagram = Input::Datagram { local, from, bytes: Bytes::copy_from_slice(bytes) };
    match (shared.sink)(datagram) {
        Ok(()) => shared.tally.datagrams_received.one(),
        Err(super::Full) => shared.tally.datagrams_dropped.one(),
    }
}

fn read_errors(local: LocalId, socket: &UdpSocket, shared: &Shared) {
    // `try_io` takes note of the `WouldBlock` that ends the queue.
    while let Ok(error) = socket.try_io(Interest::ERROR, || icmp::next_error(socket)) {
        if let Some(to) = error {
            unreachable(local, to, shared);
        }
    }
}

fn is_about_an_earlier_one(error: &io::Error) -> bool {
    use ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    matches!(error.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable)
}
