//! What a start without its database does once that comes: all that only the database knows is taken in.

use crate::process::{DAY_MS, StartError};
use api::{Commander, Keys, Ledger, Registry, Store};
use std::time::Duration;
use switch::Command;

/// How long after a failed attempt the next is made.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// See the head of this file.
pub struct CatchUp {
    /// The database.
    pub store: Store,
    /// What was made over HTTP.
    pub registry: Registry,
    /// The keys.
    pub keys: Keys,
    /// What the database is behind.
    pub ledger: Ledger,
    /// The way to signalling, which counts what tenants use.
    pub commander: Commander,
    /// When this process began, milliseconds since the Unix epoch: what ended later it has counted itself.
    pub began: u64,
}

impl CatchUp {
    /// Returns when all is known.
    pub async fn run(self) {
        let mut said = String::new();
        while let Err(error) = self.all().await {
            let error = error.to_string();
            if error != said {
                tracing::warn!(error, "what only the database knows is not known yet");
                said = error;
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
        tracing::warn!("the database has come: what was made over HTTP is in force");
    }

    async fn all(&self) -> Result<(), StartError> {
        self.store.reach().await?;
        self.keys.catch_up().await?;
        // Only then does the database have the calls that the process before this one had ended and not projected.
        let projected = self.ledger.projected().await;
        let since = self.began / DAY_MS * DAY_MS;
        let used = self.store.used_between(since, self.began).await?;
        self.registry.catch_up().await?;
        // Not before those users are known.
        let _ = self.commander.send(Command::Located(self.store.locations().await?)).await;
        if projected.is_ok() {
            // Where signalling has ended there is nobody to be told.
            let _ = self.commander.send(Command::Used { since, used }).await;
        }
        Ok(())
    }
}
