//! The database: a projection of the journal, on SQLite (WAL) or PostgreSQL.
//!
//! | module | what it is |
//! |---|---|
//! | [`accounts`] | accounts by tenant |
//! | [`batch`] | what one transaction writes |
//! | [`write`](self) | its writing |
//! | [`deliveries`] | what status callbacks are told |
//! | [`facts`] | a call's facts, a line each |
//! | [`read`] | calls, CDRs, events, by page |
//! | [`idempotency`](self) | `Idempotency-Key`s |
//! | [`keys`](self) | API keys by hash |
//! | [`flows`] | flows by tenant and name |
//! | [`provisioned`] | tenants, trunks, numbers, users that were made over HTTP |
//! | [`recordings`] | recordings, as their calls' facts have them |
//!
//! The same statements run on both; where the two differ it is in `migrations/`. Nothing here decides anything about a
//! call. No statement is made of anything that came from outside: values are bound.

pub mod accounts;
pub mod batch;
pub mod deliveries;
pub mod facts;
pub mod flows;
mod idempotency;
mod keys;
mod locations;
pub mod provisioned;
pub mod read;
pub mod recordings;
mod write;

pub use keys::KeyRow;
pub use read::{Filter, Key, Page};

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{PgPool, SqlSafeStr, SqlStr, SqlitePool};
use std::borrow::Cow;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Connections to the database. One more statement waits for one to come free, at most [`ACQUIRE_TIME`].
pub const CONNECTIONS: u32 = 8;

/// How long a statement waits for a connection, or SQLite for its lock, before it fails; the projector tries again, an
/// HTTP request is answered with 503.
pub const ACQUIRE_TIME: Duration = Duration::from_secs(5);

/// Octets of a page of a new SQLite database: two or three calls, so that a batch is few writes.
const PAGE: u32 = 8_192;

/// Pages of SQLite's log after which it is brought into the database: 16 MB, so that a page that is written often is
/// brought over once.
const CHECKPOINT_PAGES: &str = "2000";

/// What a connection to SQLite keeps of the database in memory, as SQLite writes it: 32 MB, more than a busy half second
/// changes.
const CACHE: &str = "-32000";

/// How long the database may take to answer `SELECT 1` and still count as connected.
const PING_TIME: Duration = Duration::from_millis(500);

/// What the database says when it says no.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The URL names no database that we speak to.
    #[error("database.url {url:?}: write sqlite://FILE or postgres://USER@HOST/NAME")]
    Url {
        /// The URL, without its password.
        url: String,
    },
    /// A statement failed, or there is no connection.
    #[error("the database: {0}")]
    Sql(#[from] sqlx::Error),
    /// The schema could not be brought to this version's.
    #[error("the database's schema: {0}")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A row holds what this version does not understand.
    #[error("the database holds a row that this version cannot read: {0}")]
    Row(#[from] serde_json::Error),
}

impl StoreError {
    /// Whether nobody answers where the database is to be, or it is only just starting: it may come.
    #[must_use]
    pub fn is_away(&self) -> bool {
        // PostgreSQL's class 57P: it is going down, or starting.
        let comes_or_goes = |code: Option<Cow<'_, str>>| code.is_some_and(|code| code.starts_with("57P"));
        match self {
            Self::Sql(sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut) => true,
            Self::Sql(sqlx::Error::Database(error)) => comes_or_goes(error.code()),
            _ => false,
        }
    }
}

/// The database. Cloning shares its connections.
#[derive(Clone, Debug)]
pub struct Store {
    pools: Pools,
    /// It was away when it was opened.
    awaited: bool,
}

#[derive(Clone, Debug)]
enum Pools {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// Runs the same code on whichever database there is: `$pool` is its pool, `$Db` its type.
macro_rules! on {
    ($store:expr, $pool:ident, $Db:ident => $body:expr) => {
        match &$store.pools {
            $crate::store::Pools::Sqlite($pool) => {
                #[allow(dead_code)]
                type $Db = sqlx::Sqlite;
                $body
            }
            $crate::store::Pools::Postgres($pool) => {
                #[allow(dead_code)]
                type $Db = sqlx::Postgres;
                $body
            }
        }
    };
}
use on;

impl Store {
    /// Connects to `url` (`sqlite://…`, made where it is missing, or `postgres://…`) and brings the schema up to date.
    ///
    /// # Errors
    /// Where the URL is no such thing, the database cannot be reached, or its schema is of a later version.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        if url.starts_with("sqlite:") {
            Self::open_sqlite(url).await
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Self::open_postgres(url).await
        } else {
            Err(StoreError::Url { url: without_password(url) })
        }
    }

    async fn open_sqlite(url: &str) -> Result<Self, StoreError> {
        // FULL: a segment of the journal is deleted once it is projected, so a commit must have reached the disk.
        let options = SqliteConnectOptions::from_str(url)?
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(ACQUIRE_TIME)
            .page_size(PAGE)
            .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
            .pragma("cache_size", CACHE)
            .pragma("temp_store", "memory");
        let pool = SqlitePoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIME)
            .connect_with(options)
            .await?;
        migrator(SQLITE).run(&pool).await?;
        Ok(Self { pools: Pools::Sqlite(pool), awaited: false })
    }

    async fn open_postgres(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)?;
        let pool = PgPoolOptions::new()
            .max_connections(CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIME)
            .connect_with(options)
            .await?;
        migrator(POSTGRES).run(&pool).await?;
        Ok(Self { pools: Pools::Postgres(pool), awaited: false })
    }

    /// The PostgreSQL at `url`, which is away: its first connection brings the schema up to date, and until then every
    /// statement fails.
    ///
    /// # Errors
    /// Where the URL is none of PostgreSQL's.
    pub fn awaited(url: &str) -> Result<Self, StoreError> {
        let options = PgConnectOptions::from_str(url)?;
        let migrated = Arc::new(AtomicBool::new(false));
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(ACQUIRE_TIME);
        let pool = pool.after_connect(move |connection, _| {
            let migrated = Arc::clone(&migrated);
            Box::pin(async move {
                // Before any other statement: none may meet an older schema. Two that come at once wait for each other.
                if !migrated.load(Ordering::Acquire) {
                    migrator(POSTGRES).run_direct(None, connection, false).await?;
                    migrated.store(true, Ordering::Release);
                }
                Ok(())
            })
        });
        Ok(Self { pools: Pools::Postgres(pool.connect_lazy_with(options)), awaited: true })
    }

    /// Whether it was away when it was opened ([`Store::awaited`]): what it holds was not known at the start.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.awaited
    }

    /// Returns when there is a connection to it.
    ///
    /// # Errors
    /// Where it is away, or its schema cannot be brought to this version's.
    pub async fn reach(&self) -> Result<(), StoreError> {
        on!(self, pool, Db => drop(pool.acquire().await?));
        Ok(())
    }

    /// Whether the database answers, and soon.
    pub async fn ping(&self) -> bool {
        let answer = async { on!(self, pool, Db => sqlx::query("SELECT 1").execute(pool).await.is_ok()) };
        tokio::time::timeout(PING_TIME, answer).await.unwrap_or(false)
    }

    /// Closes every connection.
    pub async fn close(&self) {
        on!(self, pool, Db => pool.close().await);
    }
}

/// A URL as an error may show it.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://…@{host}"),
        _ => url.to_owned(),
    }
}

const SQLITE: &[(i64, &str, SqlStr)] = &[
    (1, "calls", SqlStr::from_static(include_str!("../../../migrations/sqlite/0001_calls.sql"))),
    (2, "one row", SqlStr::from_static(include_str!("../../../migrations/sqlite/0002_one_row.sql"))),
    (3, "events", SqlStr::from_static(include_str!("../../../migrations/sqlite/0003_events.sql"))),
    (4, "idempotency", SqlStr::from_static(include_str!("../../../migrations/sqlite/0004_idempotency.sql"))),
    (10, "flows", SqlStr::from_static(include_str!("../../../migrations/sqlite/0010_flows.sql"))),
    (11, "recordings", SqlStr::from_static(include_str!("../../../migrations/sqlite/0011_recordings.sql"))),
    (20, "accounts", SqlStr::from_static(include_str!("../../../migrations/sqlite/0020_accounts.sql"))),
    (21, "deliveries", SqlStr::from_static(include_str!("../../../migrations/sqlite/0021_deliveries.sql"))),
    (30, "provisioned", SqlStr::from_static(include_str!("../../../migrations/sqlite/0030_provisioned.sql"))),
    (40, "locations", SqlStr::from_static(include_str!("../../../migrations/sqlite/0040_locations.sql"))),
];
const POSTGRES: &[(i64, &str, SqlStr)] = &[
    (1, "calls", SqlStr::from_static(include_str!("../../../migrations/postgres/0001_calls.sql"))),
    (2, "one row", SqlStr::from_static(include_str!("../../../migrations/postgres/0002_one_row.sql"))),
    (3, "events", SqlStr::from_static(include_str!("../../../migrations/postgres/0003_events.sql"))),
    (4, "idempotency", SqlStr::from_static(include_str!("../../../migrations/postgres/0004_idempotency.sql"))),
    (10, "flows", SqlStr::from_static(include_str!("../../../migrations/postgres/0010_flows.sql"))),
    (11, "recordings", SqlStr::from_static(include_str!("../../../migrations/postgres/0011_recordings.sql"))),
    (20, "accounts", SqlStr::from_static(include_str!("../../../migrations/postgres/0020_accounts.sql"))),
    (21, "deliveries", SqlStr::from_static(include_str!("../../../migrations/postgres/0021_deliveries.sql"))),
    (30, "provisioned", SqlStr::from_static(include_str!("../../../migrations/postgres/0030_provisioned.sql"))),
    (40, "locations", SqlStr::from_static(include_str!("../../../migrations/postgres/0040_locations.sql"))),
];

fn migrator(migrations: &[(i64, &'static str, SqlStr)]) -> Migrator {
    let migration = |(version, name, sql): &(i64, &'static str, SqlStr)| {
        Migration::new(*version, (*name).into(), MigrationType::Simple, sql.clone().into_sql_str(), false)
    };
    Migrator::with_migrations(migrations.iter().map(migration).collect())
}

/// Milliseconds, counts and sizes as SQL has them.
fn integer(n: u64) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Characters of a text from outside that a column holds; the whole is in the row's JSON. PostgreSQL refuses index
/// entries beyond 2,704 octets.
const COLUMN: usize = 256;

/// A text from outside as a column holds it: NUL, which PostgreSQL refuses, as `\0`; cut at [`COLUMN`].
fn column(text: &str) -> Cow<'_, str> {
    if text.len() <= COLUMN && !text.contains('\0') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.chars().take(COLUMN).collect::<String>().replace('\0', "\\0"))
}

#[cfg(test)]
impl Store {
    /// Runs a statement that changes something; the number of rows it changed.
    pub(crate) async fn execute(&self, statement: &'static str) -> u64 {
        on!(self, pool, Db => sqlx::query(statement).execute(pool).await.unwrap().rows_affected())
    }
}
