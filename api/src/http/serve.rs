//! Connections: bounded in number, in all and an address, and in how long they may take to say what they want.

use axum::Router;
use axum::extract::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::collections::HashMap;
use std::future::Future;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tower::ServiceExt;

/// Connections at the same time. One more waits in the listener's backlog until another is closed.
pub const MAX_CONNECTIONS: usize = 4_096;

/// Connections of one address at the same time. One more is closed at once. Behind a proxy that is the proxy's.
pub const MAX_PER_ADDRESS: usize = 2_048;

/// How long a request's head may take to arrive, from the connection's opening or the last answer. A slower connection is
/// closed (FAULTS.md row 24); an idle one too.
pub const HEADER_TIME: Duration = Duration::from_secs(10);

/// How long requests under way may take once the server is to end.
pub const SHUTDOWN_TIME: Duration = Duration::from_secs(5);

/// Octets of a request's head. A longer one gets 431.
const MAX_HEAD: usize = 64 << 10;

/// How long no connection is accepted after the operating system refused one (FAULTS.md row 19).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `router` on `listener` until `shutdown` completes; then requests under way are answered, for at most
/// [`SHUTDOWN_TIME`].
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let addresses = Addresses::default();
    let (end, ending) = watch::channel(());
    let mut open = JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept(&listener, &slots) => accepted,
        };
        while open.try_join_next().is_some() {}
        let (stream, address, slot) = accepted;
        let Some(place) = addresses.enter(address) else { continue };
        let (router, ending) = (router.clone(), ending.clone());
        open.spawn(async move {
            connection(stream, router, ending).await;
            drop((place, slot));
        });
    }
    drop(listener);
    drop(end);
    let all = async { while open.join_next().await.is_some() {} };
    if tokio::time::timeout(SHUTDOWN_TIME, all).await.is_err() {
        tracing::warn!("requests under way were broken off");
    }
}

/// Says when the server is to end: for answers that would otherwise go on for ever.
#[derive(Clone)]
pub(super) struct Ending(watch::Receiver<()>);

impl Ending {
    /// Returns when the server is to end.
    pub(super) async fn comes(&mut self) {
        // Nothing is ever sent: the sender goes.
        while self.0.changed().await.is_ok() {}
    }
}

async fn accept(listener: &TcpListener, slots: &Arc<Semaphore>) -> (TcpStream, IpAddr, Option<OwnedSemaphorePermit>) {
    let slot = slots.clone().acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer.ip(), slot),
            Err(error) => {
                tracing::warn!(%error, "no connection could be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router, mut ending: watch::Receiver<()>) {
    // Answers are small and written whole.
    let _ = stream.set_nodelay(true);
    let told = ending.clone();
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Ending(told.clone()));
        router.clone().oneshot(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        _ = ending.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended");
    }
}

/// How many connections each address has.
#[derive(Clone, Default)]
struct Addresses(Arc<Mutex<HashMap<IpAddr, usize>>>);

impl Addresses {
    fn enter(&self, address: IpAddr) -> Option<Place> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(address).or_default();
        if *count >= MAX_PER_ADDRESS {
            return None;
        }
        *count += 1;
        Some(Place { addresses: self.clone(), address })
    }
}

struct Place {
    addresses: Addresses,
    address: IpAddr,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.addresses.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let (addresses, there) = (Addresses::default(), IpAddr::from([127, 0, 0, 1]));
        let places: Vec<_> = (0..MAX_PER_ADDRESS).map(|_| addresses.enter(there).unwrap()).collect();
        assert!(addresses.enter(there).is_none());
        assert!(addresses.enter(IpAddr::from([127, 0, 0, 2])).is_some());
        drop(places);
        assert!(addresses.enter(there).is_some());
    }
}
