//! Where users were registered last ([`crate::locations`]).

use super::{Store, StoreError, on};
use sqlx::Row;
use switch::registrar::KeptLocation;

const PUT: &str = "INSERT INTO locations (tenant, name, bindings) VALUES ($1, $2, $3)
    ON CONFLICT (tenant, name) DO UPDATE SET bindings = excluded.bindings";
const DELETE: &str = "DELETE FROM locations WHERE tenant = $1 AND name = $2";
const ALL: &str = "SELECT tenant, name, bindings FROM locations";

impl Store {
    /// Keeps these, all or none; one without bindings is forgotten.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn keep_locations(&self, kept: &[KeptLocation]) -> Result<(), StoreError> {
        on!(self, pool, Db => {
            let mut transaction = pool.begin().await?;
            for location in kept {
                let (tenant, name) = (location.tenant.clone(), location.user.clone());
                let query = if location.bindings.is_empty() {
                    sqlx::query(DELETE).bind(tenant).bind(name)
                } else {
                    sqlx::query(PUT).bind(tenant).bind(name).bind(serde_json::to_string(&location.bindings)?)
                };
                query.execute(&mut *transaction).await?;
            }
            transaction.commit().await?;
        });
        Ok(())
    }

    /// All that are kept. One that this version cannot read is left out, with a word in the log: its phone registers again.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn locations(&self) -> Result<Vec<KeptLocation>, StoreError> {
        let rows: Vec<(String, String, String)> = on!(self, pool, Db => {
            let rows = sqlx::query(ALL).fetch_all(pool).await?;
            rows.into_iter().map(|row| (row.get(0), row.get(1), row.get(2))).collect()
        });
        let read = |(tenant, user, bindings): (String, String, String)| match serde_json::from_str(&bindings) {
            Ok(bindings) => Some(KeptLocation { tenant, user, bindings }),
            Err(error) => {
                tracing::warn!(%error, tenant, user, "a kept binding cannot be read");
                None
            }
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }
}
