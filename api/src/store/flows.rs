//! Flows, by tenant and name.

use super::{Store, StoreError, column, integer, on};
use sqlx::Row;

/// A flow as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRow {
    /// Its name.
    pub name: String,
    /// 1 for the first document of the name, and one more for each that said something else.
    pub version: u64,
    /// The digest of its content, as [`ivr::Flow::version`] has it.
    pub digest: String,
    /// When it came to be as it is, milliseconds since the Unix epoch.
    pub updated_at: u64,
    /// JSON; empty in a list.
    pub document: String,
}

macro_rules! flow {
    ($row:expr) => {
        FlowRow {
            name: $row.get(0),
            version: u64::try_from($row.get::<i64, _>(1)).unwrap_or(0),
            digest: $row.get(2),
            updated_at: u64::try_from($row.get::<i64, _>(3)).unwrap_or(0),
            document: $row.get(4),
        }
    };
}

const PUT: &str = "INSERT INTO flows (tenant, name, version, digest, updated_at, document)
    VALUES ($1, $2, 1, $3, $4, $5)
    ON CONFLICT (tenant, name) DO UPDATE SET version = flows.version + 1, digest = excluded.digest,
    updated_at = excluded.updated_at, document = excluded.document WHERE flows.digest <> excluded.digest";

impl Store {
    /// Stores a flow of `tenant`, by the name, digest, time and document of `row`. The same document again changes
    /// nothing.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn put_flow(&self, tenant: &str, row: &FlowRow) -> Result<(), StoreError> {
        on!(self, pool, Db => {
            sqlx::query(PUT)
                .bind(column(tenant))
                .bind(&row.name)
                .bind(&row.digest)
                .bind(integer(row.updated_at))
                .bind(&row.document)
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// A flow of `tenant`.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn flow(&self, tenant: &str, name: &str) -> Result<Option<FlowRow>, StoreError> {
        const ONE: &str =
            "SELECT name, version, digest, updated_at, document FROM flows WHERE tenant = $1 AND name = $2";
        Ok(on!(self, pool, Db => {
            let row = sqlx::query(ONE).bind(column(tenant)).bind(name.to_owned()).fetch_optional(pool).await?;
            row.map(|row| flow!(row))
        }))
    }

    /// The flows of `tenant`, by name, without their documents.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn flows(&self, tenant: &str) -> Result<Vec<FlowRow>, StoreError> {
        const ALL: &str = "SELECT name, version, digest, updated_at, '' FROM flows WHERE tenant = $1 ORDER BY name";
        Ok(on!(self, pool, Db => {
            let rows = sqlx::query(ALL).bind(column(tenant)).fetch_all(pool).await?;
            rows.into_iter().map(|row| flow!(row)).collect()
        }))
    }

    /// Takes a flow of `tenant` away; whether there was one.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn delete_flow(&self, tenant: &str, name: &str) -> Result<bool, StoreError> {
        Ok(on!(self, pool, Db => {
            let gone = sqlx::query("DELETE FROM flows WHERE tenant = $1 AND name = $2")
                .bind(column(tenant))
                .bind(name.to_owned())
                .execute(pool)
                .await?;
            gone.rows_affected() > 0
        }))
    }
}
