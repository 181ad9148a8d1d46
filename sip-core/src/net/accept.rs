//! Who may connect, and how many: connections are the one thing that anybody can make us hold (SECURITY: idle
//! connections use up slots that calls need).

use super::flow::{self, FlowEnd, Table};
use super::tls::Tls;
use super::{Limits, Shared, lock};
use crate::transport::{FlowId, LocalId, Transport};
use std::collections::{BTreeMap, HashMap};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, TcpListener as StdTcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;

/// How long `accept` rests after it has failed: without a free file descriptor it would fail again at once, for ever.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(100);

/// Begins to accept, on one task; with `tls`, each connection begins with a handshake.
pub(super) fn start(
    (local, transport): (LocalId, Transport),
    listener: StdTcpListener,
    tls: Option<&Arc<Tls>>,
    handle: &Handle,
    shared: &Arc<Shared>,
) -> io::Result<()> {
    let acceptor = Acceptor {
        local,
        transport,
        listener: TcpListener::from_std(listener)?,
        tls: tls.map(Arc::clone),
        handle: handle.clone(),
        shared: Arc::clone(shared),
    };
    shared.spawn(handle, async move {
        tokio::select! {
            () = acceptor.run() => {}
            () = acceptor.shared.stopped() => {}
        }
    });
    Ok(())
}

struct Acceptor {
    local: LocalId,
    transport: Transport,
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    handle: Handle,
    shared: Arc<Shared>,
}

impl Acceptor {
    async fn run(&self) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => self.take(stream, peer),
                Err(error) => {
                    self.shared.tally.accept_errors.one();
                    // A connection that was gone before we took it says nothing about the next one.
                    if !matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset) {
                        tracing::warn!(%error, "cannot accept connections");
                        tokio::time::sleep(ACCEPT_BACKOFF).await;
                    }
                }
            }
        }
    }

    fn take(&self, stream: TcpStream, peer: SocketAddr) {
        let shared = &self.shared;
        if !shared.lets_in(&shared.connections, peer.ip()) {
            return shared.tally.refused.one();
        }
        let Some(end) = shared.admission.admit(peer.ip(), &shared.limits, &shared.flows, &shared.tally) else { return };
        shared.tally.accepted.one();
        let guest = flow::Guest { local: self.local, transport: self.transport, peer };
        let task = flow::accepted(Arc::clone(shared), end, self.tls.clone(), stream, guest);
        shared.spawn(&self.handle, task);
    }
}

/// The accepted connections there are.
#[derive(Default)]
pub(super) struct Admission(Mutex<Guests>);

#[derive(Default)]
struct Guests {
    /// How many have been numbered.
    numbered: u64,
    all: HashMap<FlowId, IpAddr>,
    by_source: HashMap<IpAddr, usize>,
    /// Those that have never said anything, the oldest first.
    silent: BTreeMap<FlowId, IpAddr>,
}

impl Admission {
    /// Lets one in, if need be in place of one that has never said anything, and numbers it: odd numbers.
    fn admit(&self, source: IpAddr, limits: &Limits, flows: &Table, tally: &super::Tally) -> Option<FlowEnd> {
        let mut guests = lock(&self.0);
        let from_source = guests.by_source.get(&source).copied().unwrap_or(0);
        let in_its_place = if from_source >= limits.accepted_per_source {
            Some(guests.silent.iter().find(|(_, other)| **other == source))
        } else if guests.all.len() >= limits.accepted {
            Some(guests.silent.first_key_value())
        } else {
            None
        };
        if let Some(silent) = in_its_place {
            tally.refused.one();
            let silent = *silent?.0;
            guests.forget(silent);
            flows.abort(silent, "said nothing, and its place was needed");
        }
        guests.numbered += 1;
        let flow = FlowId(2 * guests.numbered - 1);
        guests.all.insert(flow, source);
        guests.silent.insert(flow, source);
        *guests.by_source.entry(source).or_default() += 1;
        flows.open(flow, usize::MAX)
    }

    /// It has said something.
    pub fn spoke(&self, flow: FlowId) {
        lock(&self.0).silent.remove(&flow);
    }

    /// It is gone. Nothing happens for a flow that was not accepted.
    pub fn left(&self, flow: FlowId) {
        lock(&self.0).forget(flow);
    }
}

impl Guests {
    fn forget(&mut self, flow: FlowId) {
        self.silent.remove(&flow);
        let Some(source) = self.all.remove(&flow) else { return };
        if let Some(count) = self.by_source.get_mut(&source) {
            *count -= 1;
            if *count == 0 {
                self.by_source.remove(&source);
            }
        }
    }
}
