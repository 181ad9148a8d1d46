//! API keys, by their SHA-256. The key itself is nowhere.

use super::{Store, StoreError, column, integer, on};
use sqlx::Row;

/// Keys that are held in memory at most; one more is looked up in the database each time it is used.
pub const MAX_KEYS: i64 = 100_000;

/// A key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// SHA-256 of the key, in lower-case hexadecimal digits.
    pub hash: String,
    /// Whose.
    pub tenant: String,
    /// What it may do: words separated by commas.
    pub scopes: String,
    /// What people call it; may be empty.
    pub name: String,
    /// Requests a minute that it may make, where it has a rate of its own.
    pub per_minute: Option<u32>,
    /// When it was made, milliseconds since the Unix epoch.
    pub created_at: u64,
}

macro_rules! key {
    ($row:expr) => {
        KeyRow {
            hash: $row.get(0),
            tenant: $row.get(1),
            scopes: $row.get(2),
            name: $row.get(3),
            per_minute: $row.get::<Option<i64>, _>(4).and_then(|n| u32::try_from(n).ok()),
            created_at: u64::try_from($row.get::<i64, _>(5)).unwrap_or(0),
        }
    };
}

const ALL: &str =
    "SELECT hash, tenant, scopes, name, per_minute, created_at FROM keys ORDER BY created_at DESC LIMIT $1";
const ONE: &str = "SELECT hash, tenant, scopes, name, per_minute, created_at FROM keys WHERE hash = $1";
const OF_TENANT: &str =
    "SELECT hash, tenant, scopes, name, per_minute, created_at FROM keys WHERE tenant = $1 ORDER BY hash";
const INSERT: &str =
    "INSERT INTO keys (hash, tenant, scopes, name, per_minute, created_at) VALUES ($1, $2, $3, $4, $5, $6)";

impl Store {
    /// Stores a key.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn insert_key(&self, key: &KeyRow) -> Result<(), StoreError> {
        on!(self, pool, Db => {
            sqlx::query(INSERT)
                .bind(&key.hash)
                .bind(column(&key.tenant))
                .bind(&key.scopes)
                .bind(column(&key.name))
                .bind(key.per_minute.map(i64::from))
                .bind(integer(key.created_at))
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// The key with this hash.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn key(&self, hash: &str) -> Result<Option<KeyRow>, StoreError> {
        Ok(on!(self, pool, Db => {
            let row = sqlx::query(ONE).bind(hash.to_owned()).fetch_optional(pool).await?;
            row.map(|row| key!(row))
        }))
    }

    /// Every key, the newest first, at most `MAX_KEYS`.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        Ok(on!(self, pool, Db => {
            let rows = sqlx::query(ALL).bind(MAX_KEYS).fetch_all(pool).await?;
            rows.into_iter().map(|row| key!(row)).collect()
        }))
    }

    /// Every key of a tenant, by hash.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn keys_of(&self, tenant: &str) -> Result<Vec<KeyRow>, StoreError> {
        Ok(on!(self, pool, Db => {
            let rows = sqlx::query(OF_TENANT).bind(column(tenant)).fetch_all(pool).await?;
            rows.into_iter().map(|row| key!(row)).collect()
        }))
    }

    /// Gives a key another name, other scopes and another rate.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn update_key(&self, key: &KeyRow) -> Result<(), StoreError> {
        on!(self, pool, Db => {
            sqlx::query("UPDATE keys SET scopes = $2, name = $3, per_minute = $4 WHERE hash = $1")
                .bind(&key.hash)
                .bind(&key.scopes)
                .bind(column(&key.name))
                .bind(key.per_minute.map(i64::from))
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// Takes a key away.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn delete_key(&self, hash: &str) -> Result<(), StoreError> {
        on!(self, pool, Db => {
            sqlx::query("DELETE FROM keys WHERE hash = $1").bind(hash.to_owned()).execute(pool).await?;
        });
        Ok(())
    }
}
