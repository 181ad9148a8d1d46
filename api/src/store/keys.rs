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
}

impl Store {
    /// Stores a key made at `at` (milliseconds since the Unix epoch).
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn insert_key(&self, key: &KeyRow, at: u64) -> Result<(), StoreError> {
        on!(self, pool, Db => {
            sqlx::query("INSERT INTO keys (hash, tenant, scopes, created_at) VALUES ($1, $2, $3, $4)")
                .bind(&key.hash)
                .bind(column(&key.tenant))
                .bind(&key.scopes)
                .bind(integer(at))
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
            let row = sqlx::query("SELECT hash, tenant, scopes FROM keys WHERE hash = $1")
                .bind(hash.to_owned())
                .fetch_optional(pool)
                .await?;
            row.map(|row| KeyRow { hash: row.get(0), tenant: row.get(1), scopes: row.get(2) })
        }))
    }

    /// Every key, the newest first, at most `MAX_KEYS`.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        Ok(on!(self, pool, Db => {
            let rows = sqlx::query("SELECT hash, tenant, scopes FROM keys ORDER BY created_at DESC LIMIT $1")
                .bind(MAX_KEYS)
                .fetch_all(pool)
                .await?;
            rows.into_iter().map(|row| KeyRow { hash: row.get(0), tenant: row.get(1), scopes: row.get(2) }).collect()
        }))
    }
}
