//! Deliveries to status callbacks: written with their facts, read when they are due.

use super::{Store, StoreError, column, integer, on};
use crate::webhooks::{AT_ONCE, AT_ONCE_OF_A_TENANT, Delivery};
use sqlx::Row;

/// Writes a delivery; one of the same fact that is there stays.
pub(super) const DELIVERY: &str = "INSERT INTO deliveries
    (id, tenant, sid, seq, type, url, body, created_at, status, attempts, due_at, outcome)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 'pending', 0, $8, '') ON CONFLICT (id) DO NOTHING";

/// Tenants that [`Store::due_deliveries`] can be told to leave out.
pub const LEFT_OUT: usize = AT_ONCE / AT_ONCE_OF_A_TENANT;

// The statement below has a place for each.
const _: () = assert!(LEFT_OUT == 4);

/// The first that is not settled of each call, where its time has come, but for those of some tenants.
const DUE: &str = "SELECT id, tenant, sid, seq, type, url, body, created_at, status, attempts, due_at, outcome
    FROM deliveries AS due WHERE status = 'pending' AND due_at <= $1 AND tenant NOT IN ($3, $4, $5, $6) AND NOT EXISTS
    (SELECT 1 FROM deliveries AS earlier
        WHERE earlier.sid = due.sid AND earlier.seq < due.seq AND earlier.status = 'pending')
    ORDER BY due_at LIMIT $2";

const LIST: &str = "SELECT id, tenant, sid, seq, type, url, '', created_at, status, attempts, due_at, outcome
    FROM deliveries WHERE tenant = $1 AND ($2 = '' OR status = $2) AND (created_at, id) < ($3, $4)
    ORDER BY created_at DESC, id DESC LIMIT $5";

const ONE: &str = "SELECT id, tenant, sid, seq, type, url, '', created_at, status, attempts, due_at, outcome
    FROM deliveries WHERE tenant = $1 AND id = $2";

const REPLAY: &str =
    "UPDATE deliveries SET status = 'pending', attempts = 0, due_at = $3 WHERE tenant = $1 AND id = $2";

/// Not where it was replayed meanwhile: that one counts from the beginning.
const SETTLE: &str = "UPDATE deliveries SET status = $3, attempts = $2 + 1, due_at = $4, outcome = $5
    WHERE id = $1 AND attempts = $2 AND status = 'pending'";

const TIDY: &str = "DELETE FROM deliveries WHERE status <> 'pending' AND created_at < $1";

/// A delivery and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliveryRow {
    /// What is delivered; its body is empty in a list.
    pub delivery: Delivery,
    /// Whose.
    pub tenant: String,
    /// The call's sid.
    pub sid: String,
    /// `pending`, `delivered` or `dead`.
    pub status: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, milliseconds since the Unix epoch.
    pub due_at: u64,
    /// What the last try came to; empty before the first.
    pub outcome: String,
}

macro_rules! delivery {
    ($row:expr) => {
        DeliveryRow {
            delivery: Delivery {
                id: $row.get(0),
                seq: u32::try_from($row.get::<i64, _>(3)).unwrap_or(0),
                kind: $row.get(4),
                url: $row.get(5),
                body: $row.get(6),
                at: u64::try_from($row.get::<i64, _>(7)).unwrap_or(0),
            },
            tenant: $row.get(1),
            sid: $row.get(2),
            status: $row.get(8),
            attempts: u32::try_from($row.get::<i64, _>(9)).unwrap_or(0),
            due_at: u64::try_from($row.get::<i64, _>(10)).unwrap_or(0),
            outcome: $row.get(11),
        }
    };
}

impl Store {
    /// What is due at `now`, at most `limit`: of each call the first that is not settled. Nothing of the tenants in `full`:
    /// however much one has that waits, what others have is found.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn due_deliveries(
        &self,
        now: u64,
        full: [&str; LEFT_OUT],
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        Ok(on!(self, pool, Db => {
            let mut query = sqlx::query(DUE).bind(integer(now)).bind(integer(limit as u64));
            for tenant in full {
                query = query.bind(column(tenant));
            }
            let rows = query.fetch_all(pool).await?;
            rows.into_iter().map(|row| delivery!(row)).collect()
        }))
    }

    /// Writes down what a try of `row` came to: its status from now on, and when it is tried again.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn settle_delivery(
        &self,
        row: &DeliveryRow,
        status: &'static str,
        due_at: u64,
        outcome: &str,
    ) -> Result<(), StoreError> {
        on!(self, pool, Db => {
            sqlx::query(SETTLE)
                .bind(&row.delivery.id)
                .bind(i64::from(row.attempts))
                .bind(status)
                .bind(integer(due_at))
                .bind(column(outcome))
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// A page of the deliveries of `tenant`, the newest first, those with `status` where that is not empty; `after` is
    /// the time and id of the last one of the page before.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn deliveries(
        &self,
        tenant: &str,
        status: &'static str,
        after: Option<(u64, String)>,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>, StoreError> {
        // No id comes after it.
        let (at, id) = after.unwrap_or_else(|| (u64::MAX, "~".to_owned()));
        Ok(on!(self, pool, Db => {
            let query = sqlx::query(LIST).bind(column(tenant)).bind(status).bind(integer(at)).bind(id);
            let rows = query.bind(integer(limit as u64)).fetch_all(pool).await?;
            rows.into_iter().map(|row| delivery!(row)).collect()
        }))
    }

    /// Makes a delivery of `tenant` due at `now` as if it had never been tried; `None` where there is none.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn replay_delivery(&self, tenant: &str, id: &str, now: u64) -> Result<Option<DeliveryRow>, StoreError> {
        Ok(on!(self, pool, Db => {
            let again = sqlx::query(REPLAY).bind(column(tenant)).bind(id.to_owned()).bind(integer(now));
            again.execute(pool).await?;
            let row = sqlx::query(ONE).bind(column(tenant)).bind(id.to_owned()).fetch_optional(pool).await?;
            row.map(|row| delivery!(row))
        }))
    }

    /// Deletes what was settled and is older than `before`.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn tidy_deliveries(&self, before: u64) -> Result<(), StoreError> {
        on!(self, pool, Db => {
            sqlx::query(TIDY).bind(integer(before)).execute(pool).await?;
        });
        Ok(())
    }
}
