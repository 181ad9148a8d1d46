//! `Idempotency-Key`s: written with the batch that their calls are in, read once at a start.

use super::batch::Batch;
use super::{Store, StoreError, integer, on};
use crate::idempotency::{Keyed, MAX_REMEMBERED, REMEMBERED_MS};
use sqlx::Row;

/// Writes a key; a later use of it takes its place.
pub(super) const KEYED: &str = "INSERT INTO idempotency (tenant, key, body, sid, at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (tenant, key) DO UPDATE SET body = excluded.body, sid = excluded.sid, at = excluded.at";

/// Deletes what is older than a day.
pub(super) const FORGET: &str = "DELETE FROM idempotency WHERE at < $1";

/// When the oldest key was used that a batch leaves in the database; `None` where it has no key to write.
pub(super) fn oldest(batch: &Batch) -> Option<i64> {
    batch.keyed.last().map(|keyed| integer(keyed.at.saturating_sub(REMEMBERED_MS)))
}

impl Store {
    /// The keys used at `since` (milliseconds since the Unix epoch) or later, the newest of them where they are more than
    /// are remembered.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn keyed(&self, since: u64) -> Result<Vec<Keyed>, StoreError> {
        let rows: Vec<(String, String, String, String, i64)> = on!(self, pool, Db => {
            let text = "SELECT tenant, key, body, sid, at FROM idempotency WHERE at >= $1 ORDER BY at DESC LIMIT $2";
            let query = sqlx::query(text).bind(integer(since)).bind(integer(MAX_REMEMBERED as u64));
            let rows = query.fetch_all(pool).await?;
            rows.into_iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4))).collect()
        });
        let keyed = |(tenant, key, body, sid, at): (String, String, String, String, i64)| {
            Some(Keyed { tenant, key, body, sid: sid.parse().ok()?, at: u64::try_from(at).unwrap_or(0) })
        };
        Ok(rows.into_iter().filter_map(keyed).collect())
    }
}
