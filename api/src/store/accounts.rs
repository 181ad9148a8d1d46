//! Accounts, one a tenant; what is secret of them is sealed before it comes here.

use super::{Store, StoreError, on};
use sqlx::Row;

/// An account as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// Sealed.
    pub auth_token: String,
    /// Sealed.
    pub webhook_secret: String,
}

impl Store {
    /// The account of `tenant`.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn account(&self, tenant: &str) -> Result<Option<AccountRow>, StoreError> {
        const ONE: &str = "SELECT account_sid, auth_token, webhook_secret FROM accounts WHERE tenant = $1";
        Ok(on!(self, pool, Db => {
            let row = sqlx::query(ONE).bind(tenant.to_owned()).fetch_optional(pool).await?;
            row.map(|row| AccountRow { account_sid: row.get(0), auth_token: row.get(1), webhook_secret: row.get(2) })
        }))
    }

    /// Stores the account of a tenant that has none; one that another process has made stays.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn insert_account(&self, tenant: &str, row: &AccountRow) -> Result<(), StoreError> {
        const INSERT: &str = "INSERT INTO accounts (tenant, account_sid, auth_token, webhook_secret)
            VALUES ($1, $2, $3, $4) ON CONFLICT (tenant) DO NOTHING";
        on!(self, pool, Db => {
            sqlx::query(INSERT)
                .bind(tenant.to_owned())
                .bind(&row.account_sid)
                .bind(&row.auth_token)
                .bind(&row.webhook_secret)
                .execute(pool)
                .await?;
        });
        Ok(())
    }

    /// Gives an account another auth token, and another webhook secret, each where one is given.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn rotate_account(
        &self,
        tenant: &str,
        auth_token: Option<String>,
        webhook_secret: Option<String>,
    ) -> Result<(), StoreError> {
        const ROTATE: &str = "UPDATE accounts SET auth_token = coalesce($2, auth_token),
            webhook_secret = coalesce($3, webhook_secret) WHERE tenant = $1";
        on!(self, pool, Db => {
            sqlx::query(ROTATE).bind(tenant.to_owned()).bind(auth_token).bind(webhook_secret).execute(pool).await?;
        });
        Ok(())
    }
}
