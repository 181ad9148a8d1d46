//! What was made over HTTP: tenants, trunks, numbers and users, as documents.

use super::{Store, StoreError, integer, on};
use sqlx::Row;
use std::collections::BTreeMap;

/// Something that was made over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvisionedRow {
    /// `tenant`, `trunk`, `number` or `user`.
    pub kind: String,
    /// The tenant whose name `name` is; empty where the whole switch knows it by that.
    pub scope: String,
    /// Its name.
    pub name: String,
    /// JSON, as the API takes it, without what is secret.
    pub document: String,
    /// What is secret of it, sealed.
    pub secret: Option<String>,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_at: u64,
    /// When it came to be as it is.
    pub updated_at: u64,
}

const PUT: &str = "INSERT INTO provisioned (kind, scope, name, document, secret, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7)
    ON CONFLICT (kind, scope, name) DO UPDATE SET document = excluded.document, secret = excluded.secret,
    updated_at = excluded.updated_at";

impl Store {
    /// All of it, in the order in which it was made.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn provisioned(&self) -> Result<Vec<ProvisionedRow>, StoreError> {
        const ALL: &str = "SELECT kind, scope, name, document, secret, created_at, updated_at FROM provisioned
            ORDER BY created_at, kind, scope, name";
        let time = |at: i64| u64::try_from(at).unwrap_or(0);
        Ok(on!(self, pool, Db => {
            let rows = sqlx::query(ALL).fetch_all(pool).await?;
            let row = |row: <Db as sqlx::Database>::Row| ProvisionedRow {
                kind: row.get(0),
                scope: row.get(1),
                name: row.get(2),
                document: row.get(3),
                secret: row.get(4),
                created_at: time(row.get(5)),
                updated_at: time(row.get(6)),
            };
            rows.into_iter().map(row).collect()
        }))
    }

    /// Makes it, or makes it what the row says; when it was made stays.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn put_provisioned(&self, row: &ProvisionedRow) -> Result<(), StoreError> {
        on!(self, pool, Db => {
            sqlx::query(PUT)
                .bind(&row.kind)
                .bind(&row.scope)
                .bind(&row.name)
                .bind(&row.document)
                .bind(row.secret.as_deref())
                .bind(integer(row.created_at))
                .bind(integer(row.updated_at))
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// What each tenant's calls over trunks have used that ended at `since` or later and before `until` (milliseconds since
    /// the Unix epoch).
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn used_between(&self, since: u64, until: u64) -> Result<BTreeMap<String, switch::Usage>, StoreError> {
        const SUM: &str =
            "SELECT tenant, CAST(sum(billable_ms) AS BIGINT), CAST(sum(coalesce(price, 0)) AS DOUBLE PRECISION)
            FROM calls WHERE ended_at >= $1 AND ended_at < $2 AND trunk IS NOT NULL AND direction <> 'inbound' GROUP BY tenant";
        Ok(on!(self, pool, Db => {
            let rows = sqlx::query(SUM).bind(integer(since)).bind(integer(until)).fetch_all(pool).await?;
            let usage = |row: <Db as sqlx::Database>::Row| {
                let (billable_ms, price) = (row.get::<i64, _>(1), row.get::<f64, _>(2));
                let spent = (price * carrier::MICRO).round().max(0.0) as u64;
                let usage = switch::Usage { live: 0, billable_ms: u64::try_from(billable_ms).unwrap_or(0), spent };
                (row.get(0), usage)
            };
            rows.into_iter().map(usage).collect()
        }))
    }

    /// Takes it away.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn delete_provisioned(&self, kind: &str, scope: &str, name: &str) -> Result<(), StoreError> {
        on!(self, pool, Db => {
            sqlx::query("DELETE FROM provisioned WHERE kind = $1 AND scope = $2 AND name = $3")
                .bind(kind.to_owned())
                .bind(scope.to_owned())
                .bind(name.to_owned())
                .execute(pool)
                .await?;
        });
        Ok(())
    }
}
