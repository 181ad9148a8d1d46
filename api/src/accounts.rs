//! Accounts: what a tenant is called toward the world (`AC…`), the auth token that its programs' requests are signed
//! with, the secret that its webhooks are. Each is made once, stored sealed, and read from memory.

use crate::secrets::{Sealer, SecretsError, random};
use crate::store::accounts::AccountRow;
use crate::store::{Store, StoreError};
use arc_swap::ArcSwap;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use dashmap::DashMap;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a webhook secret begins with (Standard Webhooks); base64 of the key follows.
pub const SECRET_PREFIX: &str = "whsec_";

/// Octets of a webhook's key (Standard Webhooks: 24 to 64).
const SECRET: usize = 32;

/// A tenant's account. Its secrets are in no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// `AC` and 32 hexadecimal digits.
    pub account_sid: String,
    /// 32 hexadecimal digits, unless the configuration names another.
    pub auth_token: String,
    /// `whsec_` and base64.
    pub webhook_secret: String,
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account").field("account_sid", &self.account_sid).finish_non_exhaustive()
    }
}

/// What the configuration says of a tenant's account; that wins over the database.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// `tenant.account_sid`.
    pub account_sid: Option<String>,
    /// `tenant.auth_token`.
    pub auth_token: Option<String>,
}

/// What can be made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// The auth token.
    AuthToken,
    /// The webhook secret.
    WebhookSecret,
}

/// Why there is no account to be had.
#[derive(Debug, thiserror::Error)]
pub enum AccountError {
    /// The key file, or what it does not open.
    #[error(transparent)]
    Secrets(#[from] SecretsError),
    /// The database is away.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration names it: it is changed there.
    #[error("the configuration names this tenant's auth_token; change it there")]
    ManagedByFile,
}

/// The accounts. Cloning is cheap; all clones are one.
#[derive(Clone)]
pub struct Accounts {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    sealer: Sealer,
    given: ArcSwap<BTreeMap<String, Given>>,
    /// As many as there are tenants.
    known: DashMap<String, Arc<Account>>,
    /// Rotations come one after the other, so that memory has what the database has.
    rotating: tokio::sync::Mutex<()>,
}

impl Accounts {
    /// The accounts of the tenants of `given`, each made where it is missing; those of a database that is away are had when
    /// it comes.
    ///
    /// # Errors
    /// Where the database is away, or holds what the key does not open.
    pub async fn open(store: Store, sealer: Sealer, given: BTreeMap<String, Given>) -> Result<Self, AccountError> {
        let (known, rotating) = (DashMap::new(), tokio::sync::Mutex::default());
        let accounts =
            Self { inner: Arc::new(Inner { store, sealer, given: ArcSwap::from_pointee(given), known, rotating }) };
        if !accounts.inner.store.is_awaited() {
            for tenant in accounts.inner.given.load_full().keys() {
                accounts.of(tenant).await?;
            }
        }
        Ok(accounts)
    }

    /// What the configuration says of accounts from now on, of a file that was read again. An account that it says something
    /// else of is read anew; where that fails, all is as it was. What it said before is given back.
    ///
    /// # Errors
    /// As for [`Accounts::open`].
    pub async fn give(&self, given: BTreeMap<String, Given>) -> Result<BTreeMap<String, Given>, AccountError> {
        let inner = &self.inner;
        let before = inner.given.load_full();
        let changed = before.keys().chain(given.keys()).filter(|tenant| before.get(*tenant) != given.get(*tenant));
        let changed: std::collections::BTreeSet<String> = changed.cloned().collect();
        inner.given.store(Arc::new(given));
        for tenant in changed {
            let old = inner.known.remove(&tenant);
            if let Err(error) = self.of(&tenant).await {
                if let Some((tenant, account)) = old {
                    inner.known.insert(tenant, account);
                }
                inner.given.store(before);
                return Err(error);
            }
        }
        Ok(BTreeMap::clone(&before))
    }

    /// The account of `tenant`: one whose first key was made after the start has it made now.
    ///
    /// # Errors
    /// As for [`Accounts::open`].
    pub async fn of(&self, tenant: &str) -> Result<Arc<Account>, AccountError> {
        if let Some(known) = self.known(tenant) {
            return Ok(known);
        }
        let inner = &self.inner;
        let _one_at_a_time = inner.rotating.lock().await;
        let row = match inner.store.account(tenant).await? {
            Some(row) => row,
            None => {
                inner.store.insert_account(tenant, &self.new_row(tenant)?).await?;
                // Another process may have been first.
                inner.store.account(tenant).await?.ok_or(StoreError::Sql(sqlx::Error::RowNotFound))?
            }
        };
        let account = Arc::new(self.account(tenant, &row)?);
        inner.known.insert(tenant.to_owned(), account.clone());
        Ok(account)
    }

    /// The account of a tenant, where it is in memory.
    #[must_use]
    pub fn known(&self, tenant: &str) -> Option<Arc<Account>> {
        self.inner.known.get(tenant).map(|account| account.value().clone())
    }

    /// Makes `what` of `tenant` anew: from now on the old one is worth nothing.
    ///
    /// # Errors
    /// [`AccountError::ManagedByFile`], and those of [`Accounts::of`].
    pub async fn rotate(&self, tenant: &str, what: What) -> Result<Arc<Account>, AccountError> {
        let inner = &self.inner;
        if what == What::AuthToken && inner.given.load().get(tenant).is_some_and(|given| given.auth_token.is_some()) {
            return Err(AccountError::ManagedByFile);
        }
        let mut account = Account::clone(&*self.of(tenant).await?);
        let _one_at_a_time = inner.rotating.lock().await;
        if let Some(newest) = self.known(tenant) {
            account = Account::clone(&newest);
        }
        let seal = |text: &str| inner.sealer.seal(&purpose(tenant, what), text).map(Some);
        let (auth_token, webhook_secret) = match what {
            What::AuthToken => {
                account.auth_token = hex()?;
                (seal(&account.auth_token)?, None)
            }
            What::WebhookSecret => {
                account.webhook_secret = secret()?;
                (None, seal(&account.webhook_secret)?)
            }
        };
        inner.store.rotate_account(tenant, auth_token, webhook_secret).await?;
        let account = Arc::new(account);
        inner.known.insert(tenant.to_owned(), account.clone());
        Ok(account)
    }

    fn new_row(&self, tenant: &str) -> Result<AccountRow, SecretsError> {
        let seal = |what, text: String| self.inner.sealer.seal(&purpose(tenant, what), &text);
        Ok(AccountRow {
            account_sid: format!("AC{}", hex()?),
            auth_token: seal(What::AuthToken, hex()?)?,
            webhook_secret: seal(What::WebhookSecret, secret()?)?,
        })
    }

    fn account(&self, tenant: &str, row: &AccountRow) -> Result<Account, SecretsError> {
        let given = self.inner.given.load().get(tenant).cloned().unwrap_or_default();
        let unseal = |what, text: &str| self.inner.sealer.unseal(&purpose(tenant, what), text);
        let stored = unseal(What::AuthToken, &row.auth_token)?;
        Ok(Account {
            account_sid: given.account_sid.unwrap_or_else(|| row.account_sid.clone()),
            auth_token: given.auth_token.unwrap_or(stored),
            webhook_secret: unseal(What::WebhookSecret, &row.webhook_secret)?,
        })
    }
}

fn purpose(tenant: &str, what: What) -> String {
    match what {
        What::AuthToken => format!("auth_token of {tenant}"),
        What::WebhookSecret => format!("webhook_secret of {tenant}"),
    }
}

fn hex() -> Result<String, SecretsError> {
    Ok(random::<16>()?.iter().map(|octet| format!("{octet:02x}")).collect())
}

fn secret() -> Result<String, SecretsError> {
    Ok(format!("{SECRET_PREFIX}{}", BASE64_STANDARD.encode(random::<SECRET>()?)))
}
