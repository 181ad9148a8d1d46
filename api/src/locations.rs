//! Where users are registered, brought to the database: the last word on each, half a second after it was said at most, and
//! later where the database is away. It is no history and in no journal: what is lost with the process is a REGISTER that
//! the phone repeats.

use crate::store::{Store, StoreError};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use switch::registrar::KeptLocation;
use tokio::sync::Notify;

/// How long a change waits for others.
const EVERY: Duration = Duration::from_millis(500);
/// How long after a failure the next attempt is made.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Users in one transaction.
const AT_ONCE: usize = 1_000;

type Waiting = BTreeMap<(String, String), KeptLocation>;

/// See the head of this file. Cloning is cheap; all clones are one. What waits is a location a user at most
/// ([`switch::registrar::MAX_LOCATIONS`]), whatever comes meanwhile.
#[derive(Clone, Debug)]
pub struct Locations {
    store: Store,
    waiting: Arc<Mutex<Waiting>>,
    rings: Arc<Notify>,
}

impl Locations {
    /// Nothing waits yet.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, waiting: Arc::default(), rings: Arc::default() }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Every change is a single insertion or removal: a panic elsewhere leaves it whole.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is to be kept of a user from now on. Never waits for the database.
    pub fn put(&self, kept: KeptLocation) {
        self.waiting().insert((kept.tenant.clone(), kept.user.clone()), kept);
        self.rings.notify_one();
    }

    /// Writes what comes, until it is aborted.
    pub async fn run(self) {
        loop {
            self.rings.notified().await;
            tokio::time::sleep(EVERY).await;
            while let Err(error) = self.flush().await {
                tracing::warn!(%error, "where users are registered is not written yet");
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        }
    }

    /// Writes what waits now.
    ///
    /// # Errors
    /// Where the database is away: it waits on.
    pub async fn flush(&self) -> Result<(), StoreError> {
        loop {
            let next: Vec<KeptLocation> = {
                let mut waiting = self.waiting();
                std::iter::from_fn(|| waiting.pop_first()).take(AT_ONCE).map(|(_, kept)| kept).collect()
            };
            if next.is_empty() {
                return Ok(());
            }
            if let Err(error) = self.store.keep_locations(&next).await {
                let mut waiting = self.waiting();
                for kept in next {
                    // What has been said since is newer.
                    waiting.entry((kept.tenant.clone(), kept.user.clone())).or_insert(kept);
                }
                return Err(error);
            }
        }
    }
}
