//! Datagrams: one socket a listener, read by the thread that owns the endpoint or by one task, written by whoever calls
//! (RFC 3261 §18, RFC 3581 §4).

use super::{Shared, icmp};
use crate::transport::{Input, LocalId};
use bytes::Bytes;
use socket2::SockRef;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket as StdUdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
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

/// The receiving half: for the thread that owns the endpoint ([`super::Outlet::hear`]), or for a task.
pub struct Datagrams {
    local: LocalId,
    socket: StdUdpSocket,
    shared: Arc<Shared>,
    buffer: Box<[u8]>,
}

impl std::fmt::Debug for Datagrams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Datagrams").field("local", &self.local).finish_non_exhaustive()
    }
}

impl AsFd for Datagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Both halves of a listener.
pub(super) fn halves(local: LocalId, socket: StdUdpSocket, shared: &Arc<Shared>) -> io::Result<(UdpSender, Datagrams)> {
    let options = SockRef::from(&socket);
    // Best effort: a smaller buffer is no reason not to start.
    let _ = options.set_recv_buffer_size(SOCKET_BUFFER);
    let _ = options.set_send_buffer_size(SOCKET_BUFFER);
    icmp::ask_for_errors(&socket)?;
    let sender = UdpSender { local, socket: socket.try_clone()? };
    let buffer = vec![0; MAX_DATAGRAM].into();
    Ok((sender, Datagrams { local, socket, shared: Arc::clone(shared), buffer }))
}

impl Datagrams {
    /// Reads what is there, at most `most` datagrams, and hands out those that may come in. True where there may be more.
    pub(super) fn read(&mut self, most: usize, mut take: impl FnMut(Input)) -> bool {
        for _ in 0..most {
            match self.socket.recv_from(&mut self.buffer) {
                Ok((len, from)) => {
                    let bytes = self.buffer.get(..len).unwrap_or_default();
                    if let Some(datagram) = let_in(self.local, from, bytes, &self.shared) {
                        self.shared.tally.datagrams_received.one();
                        take(datagram);
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return false,
                // It tells of an earlier datagram, which the error queue names, and is gone once told.
                Err(_) => {}
            }
        }
        true
    }

    /// Hands out what ICMP has said.
    pub(super) fn errors(&self, mut take: impl FnMut(Input)) {
        while let Ok(error) = icmp::next_error(&self.socket) {
            if let Some(to) = error {
                self.shared.tally.unreachable.one();
                take(Input::Unreachable { local: self.local, to });
            }
        }
    }

    /// Reads on a task from now on; what is read goes to the sink.
    pub(super) fn start(self, handle: &Handle) -> io::Result<()> {
        let receiver = UdpSocket::from_std(self.socket)?;
        let (local, shared) = (self.local, Arc::clone(&self.shared));
        self.shared.spawn(handle, async move {
            tokio::select! {
                () = receive(local, &receiver, &shared) => {}
                () = shared.stopped() => {}
            }
        });
        Ok(())
    }
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

/// A datagram, unless its sender has sent too many.
fn let_in(local: LocalId, from: SocketAddr, bytes: &[u8], shared: &Shared) -> Option<Input> {
    // An empty datagram holds a NAT binding open, and nothing else.
    if bytes.is_empty() {
        return None;
    }
    if !shared.lets_in(&shared.datagrams, from.ip()) {
        shared.tally.datagrams_refused.one();
        return None;
    }
    Some(Input::Datagram { local, from, bytes: Bytes::copy_from_slice(bytes) })
}

fn take(local: LocalId, from: SocketAddr, bytes: &[u8], shared: &Shared) {
    let Some(datagram) = let_in(local, from, bytes, shared) else { return };
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
