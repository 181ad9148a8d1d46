//! API keys: who is asking, what they may do, how often.
//!
//! A key is 256 random bits; what is stored is its SHA-256. Keys are served from memory. One that is not there is looked
//! up in the database, so that a key made by another process works at once; how often is bounded, and a wrong key is
//! remembered as wrong, so that a flood of them reaches the database as a trickle. The key itself is never logged.

use crate::directory::Directory;
use crate::rate::{Allowance, Rate, Shared};
use crate::store::{KeyRow, Store, StoreError};
use base::Rng;
use dashmap::DashMap;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;

/// The least length of `api.bootstrap_key`, in characters.
pub const LEAST_BOOTSTRAP: usize = 32;

/// Look-ups of unknown keys a second. One more is answered with 429, without a look.
pub const LOOKUPS_PER_SECOND: u32 = 50;

/// How long a wrong key is known to be wrong.
pub const WRONG_FOR: Duration = Duration::from_secs(5);

/// Wrong keys remembered. When there are as many, all are forgotten; the look-ups are bounded all the same.
pub const WRONG_KEYS: usize = 10_000;

/// How often the keys in memory are compared with the database's: after that long, one that was deleted there no longer
/// opens anything.
pub const REFRESH: Duration = Duration::from_secs(30);

/// What a key of ours begins with.
const PREFIX: &str = "tandem_";

/// What a key's id begins with.
const ID_PREFIX: &str = "key_";

/// Digits of its hash that a key's id shows: 128 bits.
const ID_LENGTH: usize = 32;

/// Letters and digits behind it: 43 of them are 256 bits.
const LENGTH: usize = 43;

/// What a key may do. Each includes those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// See.
    Read,
    /// Make calls and end them.
    Calls,
    /// Everything within its tenant.
    Admin,
    /// Everything of every tenant, and what is nobody's: tenants, trunks, numbers, the switch itself.
    Operator,
}

impl Scope {
    /// As in `--scope` and in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Calls => "calls",
            Self::Admin => "admin",
            Self::Operator => "operator",
        }
    }
}

/// Characters of a wrong scope that an error repeats.
const SHOWN: usize = 64;

/// No such scope, as far as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no scope: write `operator`, `admin`, `calls` or `read`")]
pub struct UnknownScope(pub String);

impl std::str::FromStr for Scope {
    type Err = UnknownScope;

    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        let found =
            [Self::Read, Self::Calls, Self::Admin, Self::Operator].into_iter().find(|scope| scope.as_str() == text);
        found.ok_or_else(|| UnknownScope(text.chars().take(SHOWN).collect()))
    }
}

/// A key, made at the moment and shown once.
///
/// # Errors
/// Where there is no randomness, or the database is away.
pub async fn create_key(store: &Store, tenant: &str, scopes: &[Scope], at: u64) -> Result<String, KeyError> {
    let (key, row) = new_key(tenant, scopes, at)?;
    store.insert_key(&row).await?;
    Ok(key)
}

/// A key and what is stored of it.
fn new_key(tenant: &str, scopes: &[Scope], at: u64) -> Result<(String, KeyRow), KeyError> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|_| KeyError::NoRandomness)?;
    let key = format!("{PREFIX}{}", Rng::from_seed(seed).token(LENGTH));
    let scopes = scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(",");
    let row = KeyRow {
        hash: hex(&digest(&key)),
        tenant: tenant.to_owned(),
        scopes,
        name: String::new(),
        per_minute: None,
        created_at: at,
    };
    Ok((key, row))
}

/// What a key is called over HTTP: the first half of its hash, which tells nothing of the key.
#[must_use]
pub fn key_id(hash: &str) -> String {
    format!("{ID_PREFIX}{}", hash.get(..ID_LENGTH).unwrap_or(hash))
}

/// Why there is no key, or no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The operating system gave no entropy.
    #[error("the operating system gave no randomness for a key")]
    NoRandomness,
    /// The configured key is too short.
    #[error("api.bootstrap_key has {0} characters; it wants {LEAST_BOOTSTRAP} or more")]
    ShortBootstrap(usize),
    /// The database is away.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a request's key opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// No key is this.
    Unknown,
    /// Too many unknown keys are being tried; whether this one is right was not looked up.
    Busy,
    /// The database is away, and the key is not in memory.
    NoDatabase,
}

/// SHA-256 of a key. Two are compared in constant time, wherever they are: there is no other comparison.
#[derive(Clone, Copy, Debug)]
struct Digest256([u8; 32]);

impl PartialEq for Digest256 {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Digest256 {}

impl Hash for Digest256 {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

/// A key that is known: whose, for what, and how much of its rate is left.
#[derive(Debug)]
pub struct Identity {
    hash: Digest256,
    /// Whose.
    pub tenant: Arc<str>,
    scope: Option<Scope>,
    /// Requests a minute of its own, in place of its tenant's.
    pub per_minute: Option<u32>,
    rate: Rate,
    /// Made by the configuration: the database does not know it.
    configured: bool,
}

impl Identity {
    fn new(hash: Digest256, tenant: &str, scope: Option<Scope>, configured: bool) -> Arc<Self> {
        Arc::new(Self { hash, tenant: tenant.into(), scope, per_minute: None, rate: Rate::default(), configured })
    }

    /// As the database has it.
    fn of(row: &KeyRow) -> Option<Arc<Self>> {
        let (hash, scope) = (unhex(&row.hash)?, scope_of(&row.scopes));
        let identity = Self::new(hash, &row.tenant, scope, false);
        Arc::into_inner(identity).map(|identity| Arc::new(Self { per_minute: row.per_minute, ..identity }))
    }

    /// What it is called over HTTP.
    #[must_use]
    pub fn id(&self) -> String {
        key_id(&hex(&self.hash))
    }

    /// What it may do at most.
    #[must_use]
    pub const fn scope(&self) -> Option<Scope> {
        self.scope
    }

    /// Whether the key may do what wants `scope`.
    #[must_use]
    pub fn may(&self, scope: Scope) -> bool {
        self.scope.is_some_and(|has| has >= scope)
    }
}

/// The keys. Cloning is cheap; all clones are one.
#[derive(Clone)]
pub struct Keys {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    known: DashMap<Digest256, Arc<Identity>>,
    /// By tenant, where it has a rate of its own: as many as there are tenants.
    tenants: DashMap<String, Arc<Rate>>,
    /// Where rates are shared with other processes.
    shared: Option<Shared>,
    wrong: Mutex<HashMap<Digest256, Instant>>,
    lookups: DefaultDirectRateLimiter,
}

impl Keys {
    /// Loads the keys, makes `bootstrap` (`api.bootstrap_key` and the tenant it is for) an operator's key, and keeps up with
    /// the database from now on. Their rates are those of all processes that have the same `shared`.
    ///
    /// # Errors
    /// Where the bootstrap key is too short, or the database is away.
    pub async fn open(store: Store, bootstrap: Option<(&str, &str)>, shared: Option<Shared>) -> Result<Self, KeyError> {
        let known = DashMap::new();
        if let Some((key, tenant)) = bootstrap {
            let length = key.chars().count();
            if length < LEAST_BOOTSTRAP {
                return Err(KeyError::ShortBootstrap(length));
            }
            let hash = digest(key);
            known.insert(hash, Identity::new(hash, tenant, Some(Scope::Operator), true));
        }
        let per_second = Quota::per_second(NonZeroU32::new(LOOKUPS_PER_SECOND).unwrap_or(NonZeroU32::MIN));
        let lookups = RateLimiter::direct(per_second);
        let (tenants, wrong) = (DashMap::new(), Mutex::default());
        let keys = Self { inner: Arc::new(Inner { store, known, tenants, shared, wrong, lookups }) };
        if !keys.inner.store.is_awaited() {
            keys.inner.refresh().await?;
        }
        tokio::spawn(keep_up(Arc::downgrade(&keys.inner)));
        Ok(keys)
    }

    /// Takes a request out of the rate of a key and, where its tenant has one of its own, out of that, which all of its
    /// keys share. What is said is the one that is nearer to its end.
    pub async fn take(&self, identity: &Identity, directory: &Directory) -> Allowance {
        let of_tenant = directory.tenants.get(&*identity.tenant).and_then(|tenant| tenant.api_requests_per_minute);
        let per_minute = identity.per_minute.unwrap_or_else(|| directory.requests_per_minute(&identity.tenant));
        let shared = self.inner.shared.as_ref();
        let own = identity.rate.take(per_minute.max(1), shared, || identity.id()).await;
        let Some(most) = of_tenant.filter(|_| own.retry_after_s.is_none()) else { return own };
        let rate = self.inner.tenants.entry(identity.tenant.to_string()).or_default().value().clone();
        let all = rate.take(most.max(1), shared, || format!("tenant:{}", identity.tenant)).await;
        own.tighter(Allowance { of_tenant: true, ..all })
    }

    /// Brings the keys in memory to those of a database that was away at the start.
    ///
    /// # Errors
    /// Where it is away still.
    pub async fn catch_up(&self) -> Result<(), StoreError> {
        self.inner.refresh().await
    }

    /// Whether the Redis that rates are shared through is there; none where they are not shared.
    #[must_use]
    pub fn shares(&self) -> Option<bool> {
        self.inner.shared.as_ref().map(Shared::is_connected)
    }

    /// Who holds `key`.
    ///
    /// # Errors
    /// [`Denied`], where nobody is known to.
    pub async fn authenticate(&self, key: &str) -> Result<Arc<Identity>, Denied> {
        let hash = digest(key);
        if let Some(known) = self.inner.known(&hash) {
            return Ok(known);
        }
        if !could_be_ours(key) || self.inner.known_wrong(&hash) {
            return Err(Denied::Unknown);
        }
        if self.inner.lookups.check().is_err() {
            return Err(Denied::Busy);
        }
        match self.inner.store.key(&hex(&hash)).await {
            Ok(Some(row)) => self.inner.learn(&row).ok_or(Denied::Unknown),
            Ok(None) => {
                self.inner.remember_wrong(hash);
                Err(Denied::Unknown)
            }
            Err(error) => {
                tracing::warn!(%error, "an API key could not be looked up");
                Err(Denied::NoDatabase)
            }
        }
    }
}

impl Keys {
    /// Makes a key of a tenant, called `name` by people, with a rate of its own where one is given; the key, which is
    /// nowhere else, and its row.
    ///
    /// # Errors
    /// Where there is no randomness, or the database is away.
    pub async fn create(
        &self,
        tenant: &str,
        scope: Scope,
        name: &str,
        per_minute: Option<u32>,
        at: u64,
    ) -> Result<(String, KeyRow), KeyError> {
        let (key, row) = new_key(tenant, &[scope], at)?;
        let row = KeyRow { name: name.to_owned(), per_minute, ..row };
        self.inner.store.insert_key(&row).await?;
        self.inner.learn(&row);
        Ok((key, row))
    }

    /// The keys of a tenant, by id; that of the configuration is not among them.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn list(&self, tenant: &str) -> Result<Vec<KeyRow>, StoreError> {
        self.inner.store.keys_of(tenant).await
    }

    /// The key that the configuration made, where it is this tenant's.
    #[must_use]
    pub fn configured(&self, tenant: &str) -> Option<Arc<Identity>> {
        let is_meant = |known: &Arc<Identity>| known.configured && &*known.tenant == tenant;
        self.inner.known.iter().find(|known| is_meant(known.value())).map(|known| known.value().clone())
    }

    /// Makes a key what the row says; it counts from now on.
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn change(&self, row: &KeyRow) -> Result<(), StoreError> {
        self.inner.store.update_key(row).await?;
        self.inner.learn(row);
        Ok(())
    }

    /// Takes a key away; from now on it opens nothing. Other processes know it within [`REFRESH`].
    ///
    /// # Errors
    /// Where the database is away.
    pub async fn delete(&self, row: &KeyRow) -> Result<(), StoreError> {
        self.inner.store.delete_key(&row.hash).await?;
        if let Some(hash) = unhex(&row.hash) {
            self.inner.known.remove(&hash);
        }
        Ok(())
    }
}

/// The greatest of the scopes of a row.
#[must_use]
pub fn scope_of(scopes: &str) -> Option<Scope> {
    scopes.split(',').filter_map(|scope| scope.trim().parse().ok()).max()
}

impl Inner {
    fn known(&self, hash: &Digest256) -> Option<Arc<Identity>> {
        self.known.get(hash).map(|known| known.value().clone())
    }

    fn learn(&self, row: &KeyRow) -> Option<Arc<Identity>> {
        let new = Identity::of(row)?;
        let mut known = self.known.entry(new.hash).or_insert_with(|| new.clone());
        if !known.configured && (known.scope, known.per_minute) != (new.scope, new.per_minute) {
            *known = new;
        }
        Some(known.clone())
    }

    fn known_wrong(&self, hash: &Digest256) -> bool {
        let wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        wrong.get(hash).is_some_and(|since| since.elapsed() < WRONG_FOR)
    }

    fn remember_wrong(&self, hash: Digest256) {
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if wrong.len() >= WRONG_KEYS {
            wrong.clear();
        }
        wrong.insert(hash, Instant::now());
    }

    /// Brings the keys in memory to those of the database.
    async fn refresh(&self) -> Result<(), StoreError> {
        let rows = self.store.keys().await?;
        let there: std::collections::HashSet<Digest256> = rows.iter().filter_map(|row| unhex(&row.hash)).collect();
        self.known.retain(|hash, known| known.configured || there.contains(hash));
        for row in &rows {
            self.learn(row);
        }
        Ok(())
    }
}

async fn keep_up(keys: Weak<Inner>) {
    loop {
        tokio::time::sleep(REFRESH).await;
        let Some(keys) = keys.upgrade() else { return };
        if let Err(error) = keys.refresh().await {
            tracing::debug!(%error, "the keys in memory stay as they are");
        }
    }
}

/// Whether a string has the shape of a key that [`create_key`] makes; another is no key without a look.
fn could_be_ours(key: &str) -> bool {
    let rest = key.strip_prefix(PREFIX).unwrap_or_default();
    rest.len() == LENGTH && rest.bytes().all(|b| b.is_ascii_alphanumeric())
}

fn digest(key: &str) -> Digest256 {
    Digest256(Sha256::digest(key.as_bytes()).into())
}

fn hex(hash: &Digest256) -> String {
    hash.0.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn unhex(text: &str) -> Option<Digest256> {
    let mut hash = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (i, octet) in hash.iter_mut().enumerate() {
        *octet = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(Digest256(hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::store;

    const BOOTSTRAP: &str = "an-admin-key-of-thirty-two-chars";

    #[tokio::test]
    async fn a_key_made_by_another_process_works_at_once_and_a_deleted_one_not_for_long() {
        let (_dir, store) = store::sqlite().await;
        let keys = Keys::open(store.clone(), None, None).await.unwrap();
        let key = create_key(&store, "acme", &[Scope::Read, Scope::Calls], 1).await.unwrap();
        let known = keys.authenticate(&key).await.unwrap();
        assert_eq!((&*known.tenant, known.may(Scope::Calls), known.may(Scope::Admin)), ("acme", true, false));
        store::execute(&store, "DELETE FROM keys").await;
        keys.inner.refresh().await.unwrap();
        assert_eq!(keys.authenticate(&key).await.unwrap_err(), Denied::Unknown);
    }

    #[tokio::test]
    async fn the_bootstrap_key_needs_no_database_and_has_thirty_two_characters() {
        let (_dir, store) = store::sqlite().await;
        let keys = Keys::open(store.clone(), Some((BOOTSTRAP, "default")), None).await.unwrap();
        store.close().await;
        assert!(keys.authenticate(BOOTSTRAP).await.unwrap().may(Scope::Admin));
        assert_eq!(keys.authenticate(&BOOTSTRAP[1..]).await.unwrap_err(), Denied::Unknown);
        let (_dir, store) = store::sqlite().await;
        assert!(matches!(Keys::open(store, Some(("short", "default")), None).await, Err(KeyError::ShortBootstrap(5))));
    }

    #[tokio::test]
    async fn how_much_of_a_guess_is_right_shows_in_nothing_that_is_compared() {
        let (_dir, store) = store::sqlite().await;
        let keys = Keys::open(store.clone(), None, None).await.unwrap();
        let key = create_key(&store, "acme", &[Scope::Read], 1).await.unwrap();
        assert!(keys.authenticate(&key).await.is_ok());
        let right = digest(&key);
        for place in PREFIX.len()..key.len() {
            // Right in all but one character.
            let mut guess = key.clone();
            guess.replace_range(place..=place, if &key[place..=place] == "a" { "b" } else { "a" });
            let wrong = digest(&guess);
            let differ: u32 = right.0.iter().zip(wrong.0).map(|(right, wrong)| (right ^ wrong).count_ones()).sum();
            assert!(right != wrong && (64..=192).contains(&differ), "{differ} of 256 bits, as of any two");
            assert!(keys.authenticate(&guess).await.is_err());
        }
        for octet in 0..32 {
            let mut other = right;
            other.0[octet] ^= 1;
            assert_ne!(other, right, "octet {octet} counts");
        }
    }

    #[tokio::test]
    async fn a_flood_of_wrong_keys_reaches_the_database_as_a_trickle() {
        let (_dir, store) = store::sqlite().await;
        let keys = Keys::open(store, None, None).await.unwrap();
        let mut rng = Rng::from_u64(1);
        let mut busy = 0;
        for _ in 0..10 * LOOKUPS_PER_SECOND {
            busy += usize::from(
                keys.authenticate(&format!("{PREFIX}{}", rng.token(LENGTH))).await.unwrap_err() == Denied::Busy,
            );
        }
        assert!(busy > 0);
        assert!(keys.inner.wrong.lock().unwrap().len() < 10 * LOOKUPS_PER_SECOND as usize);
    }
}
