//! One stream connection: one task, one bounded queue of what is to be written, and exactly one [`Input::Closed`].

use super::tls::Tls;
use super::{Shared, Tally, lock, websocket};
use crate::transport::{FlowId, Input, LocalId, Transport};
use bytes::Bytes;
use socket2::{SockRef, TcpKeepalive};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

/// The most writes that wait for one connection; one more closes it: its peer does not read.
pub const MAX_QUEUED_WRITES: usize = 1024;

/// The most bytes that wait for one connection; beyond them it is closed.
pub const MAX_QUEUED_BYTES: usize = 1 << 20;

/// The most bytes read at once, and so the memory that a silent connection holds.
pub const READ_CHUNK: usize = 4096;

/// How long a peer may leave one write unread before its connection is closed.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection that is being closed may take to send what was written.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a silent peer is believed to be there before the kernel asks.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);

/// All connections, as the core's thread reaches them.
#[derive(Default)]
pub(super) struct Table(Mutex<Queues>);

#[derive(Default)]
struct Queues {
    all: HashMap<FlowId, Queue>,
    /// How many of them we have opened.
    ours: usize,
}

impl Queues {
    fn remove(&mut self, flow: FlowId) -> Option<Queue> {
        let queue = self.all.remove(&flow)?;
        self.ours -= usize::from(is_ours(flow));
        Some(queue)
    }
}

/// The core numbers those it asks for evenly.
const fn is_ours(flow: FlowId) -> bool {
    flow.0.is_multiple_of(2)
}

/// The core's end of one connection. Dropped, it has the connection closed once everything is written.
struct Queue {
    writes: mpsc::Sender<Bytes>,
    control: Arc<Control>,
}

/// What both ends of a connection see.
#[derive(Default)]
pub(super) struct Control {
    queued: AtomicUsize,
    /// Grows with each write that has left.
    written: AtomicU64,
    abort: Notify,
    why: OnceLock<&'static str>,
}

impl Control {
    fn abort(&self, why: &'static str) {
        let _ = self.why.set(why);
        self.abort.notify_one();
    }

    /// So many bytes have been written.
    pub(super) fn has_left(&self, bytes: usize) {
        self.queued.fetch_sub(bytes, Ordering::Relaxed);
        self.written.fetch_add(1, Ordering::Relaxed);
    }

    /// Comes back when the connection is to end at once, with the reason.
    pub(super) async fn aborted(&self) -> String {
        self.abort.notified().await;
        self.why.get().copied().unwrap_or_default().to_owned()
    }
}

/// The task's end of one connection.
pub(super) struct FlowEnd {
    pub(super) flow: FlowId,
    pub(super) writes: mpsc::Receiver<Bytes>,
    pub(super) control: Arc<Control>,
}

impl Table {
    /// A new connection; `None` where the core asks for one and there are `most_of_ours` of them.
    pub fn open(&self, flow: FlowId, most_of_ours: usize) -> Option<FlowEnd> {
        let (sender, writes) = mpsc::channel(MAX_QUEUED_WRITES);
        let control = Arc::new(Control::default());
        let mut table = lock(&self.0);
        if table.all.contains_key(&flow) || (is_ours(flow) && table.ours >= most_of_ours) {
            return None;
        }
        table.ours += usize::from(is_ours(flow));
        table.all.insert(flow, Queue { writes: sender, control: Arc::clone(&control) });
        Some(FlowEnd { flow, writes, control })
    }

    /// Queues some bytes; a queue that is full closes its connection.
    pub fn write(&self, flow: FlowId, bytes: Bytes, tally: &Tally) {
        let mut table = lock(&self.0);
        let Some(queue) = table.all.get(&flow) else { return };
        let len = bytes.len();
        let queued = queue.control.queued.fetch_add(len, Ordering::Relaxed) + len;
        if queued > MAX_QUEUED_BYTES || queue.writes.try_send(bytes).is_err() {
            tally.overflowed.one();
            queue.control.abort("the peer does not read");
            table.remove(flow);
        }
    }

    /// Closes a connection once everything is written.
    pub fn close(&self, flow: FlowId) {
        lock(&self.0).remove(flow);
    }

    /// Closes a connection at once.
    pub fn abort(&self, flow: FlowId, why: &'static str) {
        if let Some(queue) = lock(&self.0).remove(flow) {
            queue.control.abort(why);
        }
    }

    /// Closes all of them once everything is written.
    pub fn close_all(&self) {
        *lock(&self.0) = Queues::default();
    }

    pub fn len(&self) -> usize {
        lock(&self.0).all.len()
    }

    fn contains(&self, flow: FlowId) -> bool {
        lock(&self.0).all.contains_key(&flow)
    }
}

/// Who has connected, and to what.
#[derive(Clone, Copy)]
pub(super) struct Guest {
    pub local: LocalId,
    pub transport: Transport,
    pub peer: SocketAddr,
}

/// The life of a connection that a peer has opened.
pub(super) async fn accepted(
    shared: Arc<Shared>,
    end: FlowEnd,
    tls: Option<Arc<Tls>>,
    stream: TcpStream,
    guest: Guest,
) {
    let flow = end.flow;
    tune(&stream);
    match tls {
        None => welcome(&shared, end, stream, guest).await,
        Some(tls) => {
            let handshake = tokio::select! {
                done = tls.accept(stream, &shared.limits, &shared.tally) => done.ok(),
                _ = end.control.aborted() => None,
                () = shared.stopped() => None,
            };
            match handshake {
                Some(stream) => welcome(&shared, end, stream, guest).await,
                // The core has not heard of it, and need not.
                None => shared.flows.close(flow),
            }
        }
    }
    shared.admission.left(flow);
}

/// Where SIP begins at once, or a WebSocket does first. Boxed, because a connection of one kind need not be as large as one
/// of the other.
async fn welcome<S>(shared: &Shared, end: FlowEnd, stream: S, guest: Guest)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let Guest { local, transport, peer } = guest;
    let announce = Input::Accepted { flow: end.flow, local, peer };
    if transport.is_websocket() {
        return Box::pin(websocket::run(shared, end, stream, announce, peer.ip())).await;
    }
    shared.deliver(announce).await;
    run(shared, end, stream, Some(peer.ip())).await;
}

/// What the core has asked for, and where to open it from.
pub(super) struct Target {
    pub transport: Transport,
    pub peer: SocketAddr,
    pub server_name: String,
    /// The address that the peer is to see; `None` leaves it to the system.
    pub source: Option<IpAddr>,
}

/// The life of a connection that the core has asked for.
pub(super) async fn open(shared: Arc<Shared>, end: FlowEnd, tls: Arc<Tls>, target: Target) {
    let flow = end.flow;
    let connecting = timeout(shared.limits.connect, connect(&tls, &target, &shared.tally));
    let opened = tokio::select! {
        opened = connecting => opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        why = end.control.aborted() => Err(io::Error::other(why)),
        () = shared.stopped() => Err(io::ErrorKind::Interrupted.into()),
    };
    match opened {
        Ok((local_addr, stream)) if shared.flows.contains(flow) => {
            shared.tally.opened.one();
            shared.deliver(Input::Opened { flow, local_addr }).await;
            match stream {
                Opened::Tcp(stream) => run(&shared, end, stream, None).await,
                Opened::Tls(stream) => run(&shared, end, stream, None).await,
            }
        }
        Ok(_) => closed(&shared, flow, "closed before it stood".to_owned()).await,
        Err(error) => {
            shared.tally.open_failed.one();
            closed(&shared, flow, format!("cannot connect to {}: {error}", target.peer)).await;
        }
    }
}

enum Opened {
    Tcp(TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

async fn connect(tls: &Tls, target: &Target, tally: &Tally) -> io::Result<(SocketAddr, Opened)> {
    let socket = if target.peer.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    if let Some(source) = target.source {
        socket.bind(SocketAddr::new(source, 0))?;
    }
    let stream = socket.connect(target.peer).await?;
    tune(&stream);
    let local_addr = stream.local_addr()?;
    let opened = match target.transport {
        Transport::Tls => Opened::Tls(Box::new(tls.connect(stream, &target.server_name, tally).await?)),
        _ => Opened::Tcp(stream),
    };
    Ok((local_addr, opened))
}

/// Reads and writes until either side has had enough; `guest` has opened it, where we have not.
async fn run<S>(shared: &Shared, end: FlowEnd, stream: S, guest: Option<IpAddr>)
where
    S: AsyncRead + AsyncWrite,
{
    let FlowEnd { flow, mut writes, control } = end;
    let (mut reader, mut writer) = tokio::io::split(stream);
    let reason = tokio::select! {
        // An end that was decided on is not put off by a socket that still takes something.
        biased;
        reason = control.aborted() => reason,
        reason = read(shared, flow, &mut reader, &control, guest) => reason,
        reason = write(&mut writes, &mut writer, &control) => reason,
    };
    // TLS says goodbye, TCP sends what the kernel still holds.
    let _ = timeout(CLOSE_TIMEOUT, writer.shutdown()).await;
    closed(shared, flow, reason).await;
}

pub(super) async fn closed(shared: &Shared, flow: FlowId, reason: String) {
    shared.flows.close(flow);
    shared.deliver(Input::Closed { flow, reason }).await;
}

async fn read<S>(
    shared: &Shared,
    flow: FlowId,
    reader: &mut ReadHalf<S>,
    control: &Control,
    guest: Option<IpAddr>,
) -> String
where
    S: AsyncRead,
{
    let mut buffer = [0; READ_CHUNK];
    let mut spoken = guest.is_none();
    loop {
        let patience = if spoken { shared.limits.idle } else { shared.limits.first_bytes };
        let written = control.written.load(Ordering::Relaxed);
        match timeout(patience, reader.read(&mut buffer)).await {
            Ok(Ok(0)) => return "closed by the peer".to_owned(),
            Ok(Ok(len)) => {
                if !spoken {
                    spoken = true;
                    shared.admission.spoke(flow);
                }
                let bytes = Bytes::copy_from_slice(buffer.get(..len).unwrap_or_default());
                shared.deliver(Input::Received { flow, bytes }).await;
                if let Some(guest) = guest {
                    shared.pace(guest, len).await;
                }
            }
            Ok(Err(error)) => return format!("cannot read: {error}"),
            // Where we have written meanwhile, it was not idle.
            Err(_) if spoken && control.written.load(Ordering::Relaxed) != written => {}
            Err(_) => return "nothing was said for too long".to_owned(),
        }
    }
}

async fn write<S>(writes: &mut mpsc::Receiver<Bytes>, writer: &mut WriteHalf<S>, control: &Control) -> String
where
    S: AsyncWrite,
{
    while let Some(bytes) = writes.recv().await {
        // Once the core has let go, there is less patience.
        let patience = if writes.is_closed() { CLOSE_TIMEOUT } else { WRITE_TIMEOUT };
        match timeout(patience, write_one(writer, &bytes)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return format!("cannot write: {error}"),
            Err(_) => return "the peer does not read".to_owned(),
        }
        control.has_left(bytes.len());
    }
    "closed by us".to_owned()
}

async fn write_one<S: AsyncWrite>(writer: &mut WriteHalf<S>, bytes: &[u8]) -> io::Result<()> {
    writer.write_all(bytes).await?;
    writer.flush().await
}

/// A message leaves when it is written, and a peer that is gone is noticed. Best effort.
fn tune(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let _ = SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(TCP_KEEPALIVE));
}
