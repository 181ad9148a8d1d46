//! Rates that several processes share: a token bucket each in Redis, of which a process leases a block of requests at a
//! time, so that it asks Redis for one request in some, and a client that was refused not again before there is one.
//!
//! What a process has leased and not given out when its lease is old goes back with the next one. So all processes together
//! never take more than the rate, and what they do not use is nobody's loss for longer than [`LEASE`]. Redis never holds
//! up a request for longer than [`ANSWER`]: whoever does not answer is away, and until it answers again every process
//! counts for itself, as without it.

use super::Allowance;
use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, Script};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How long a lease lasts.
const LEASE: Duration = Duration::from_secs(5);

/// How long an answer of Redis, or a connection to it, may take.
const ANSWER: Duration = Duration::from_millis(250);

/// How often Redis is asked whether it is there, and sought where it is not.
const LOOK: Duration = Duration::from_secs(1);

/// The share of a minute's requests that is leased at once, and the most.
const BLOCK: (u32, u32) = (20, 500);

/// What the buckets are called in Redis.
const PREFIX: &str = "tandem:rate:";

/// Gives back ARGV[3] requests to the bucket KEYS[1] of ARGV[1] a minute and takes up to ARGV[2]. How many it took, how many
/// are left, and milliseconds until there is one where it took none. An idle bucket is full, and forgotten, after a minute.
const SCRIPT: &str = "
local most, want, back = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local held = redis.call('HMGET', KEYS[1], 'left', 'at')
local left = most
if held[1] then left = tonumber(held[1]) + back + math.max(0, now - tonumber(held[2])) * most / 60000 end
left = math.min(most, left)
local took = math.min(want, math.floor(left))
left = left - took
redis.call('HSET', KEYS[1], 'left', string.format('%.6f', left), 'at', string.format('%d', now))
redis.call('PEXPIRE', KEYS[1], 60000)
local wait = 0
if took == 0 then wait = math.ceil((1 - left) * 60000 / most) end
return {took, math.floor(left), wait}
";

/// Why there is no Redis to be had by this URL.
#[derive(Debug, thiserror::Error)]
#[error("write redis://HOST:PORT, or redis://:PASSWORD@HOST:PORT/DATABASE ({0})")]
pub struct SharedError(#[from] RedisError);

/// Whether a URL names a Redis.
///
/// # Errors
/// What to write instead.
pub fn shared_url(url: &str) -> Result<String, SharedError> {
    Client::open(url)?;
    Ok(url.to_owned())
}

/// Redis. Cloning is cheap; all clones are one.
#[derive(Clone)]
pub struct Shared {
    inner: Arc<Inner>,
}

struct Inner {
    client: Client,
    script: Script,
    /// None while it is away.
    connection: ArcSwapOption<MultiplexedConnection>,
}

impl Shared {
    /// The Redis at `url` (`redis://…`), which is sought from now on until nobody holds this any more. It need not be there.
    ///
    /// # Errors
    /// Where the URL is none.
    pub async fn open(url: &str) -> Result<Self, SharedError> {
        let (client, script) = (Client::open(url)?, Script::new(SCRIPT));
        let inner = Arc::new(Inner { client, script, connection: ArcSwapOption::empty() });
        if let Err(error) = inner.connect().await {
            tracing::warn!(%error, "Redis is away: API rates are counted by each process for itself");
        }
        tokio::spawn(keep(Arc::downgrade(&inner)));
        Ok(Self { inner })
    }

    /// Whether it answered when it was last asked.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.inner.connection.load().is_some()
    }

    /// Requests out of the bucket `name`, after `back` that were not needed; none where Redis is away.
    async fn lease(&self, name: &str, per_minute: u32, back: u32) -> Option<Leased> {
        let mut connection = MultiplexedConnection::clone(&*self.inner.connection.load_full()?);
        let mut script = self.inner.script.key(format!("{PREFIX}{name}"));
        script.arg(per_minute).arg((per_minute / BLOCK.0).clamp(1, BLOCK.1)).arg(back);
        match answer(script.invoke_async(&mut connection)).await {
            Ok((took, beyond, wait)) => Some(Leased { took, beyond, wait: Duration::from_millis(wait) }),
            Err(error) => {
                self.inner.lost(&error);
                None
            }
        }
    }
}

impl Inner {
    async fn connect(&self) -> Result<(), RedisError> {
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(ANSWER)).set_response_timeout(Some(ANSWER));
        let mut connection = answer(self.client.get_multiplexed_async_connection_with_config(&config)).await?;
        answer(redis::cmd("PING").query_async::<()>(&mut connection)).await?;
        self.connection.store(Some(Arc::new(connection)));
        Ok(())
    }

    async fn look(&self) {
        match self.connection.load_full() {
            None => {
                if self.connect().await.is_ok() {
                    tracing::warn!("Redis is there: API rates are shared");
                }
            }
            Some(connection) => {
                let mut connection = MultiplexedConnection::clone(&connection);
                if let Err(error) = answer(redis::cmd("PING").query_async::<()>(&mut connection)).await {
                    self.lost(&error);
                }
            }
        }
    }

    fn lost(&self, error: &RedisError) {
        if self.connection.swap(None).is_some() {
            tracing::warn!(%error, "Redis is away: API rates are counted by each process for itself");
        }
    }
}

/// An answer in time.
async fn answer<T>(asked: impl Future<Output = Result<T, RedisError>>) -> Result<T, RedisError> {
    match tokio::time::timeout(ANSWER, asked).await {
        Ok(answer) => answer,
        Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
    }
}

async fn keep(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(inner) = inner.upgrade() else { return };
        inner.look().await;
    }
}

/// What Redis gave.
struct Leased {
    took: u32,
    beyond: u32,
    wait: Duration,
}

/// What this process has leased of a rate.
#[derive(Debug, Default)]
pub(super) struct Lease {
    per_minute: u32,
    left: u32,
    /// How many Redis had left.
    beyond: u32,
    /// When it is old; none where there is none.
    until: Option<Instant>,
    /// Until when there is nothing to be had.
    dry_until: Option<Instant>,
}

impl Lease {
    /// Takes a request out of it, or out of a new one; none where Redis is away.
    pub(super) async fn take(
        &mut self,
        per_minute: u32,
        shared: &Shared,
        name: impl FnOnce() -> String,
    ) -> Option<Allowance> {
        let now = Instant::now();
        if self.per_minute != per_minute {
            *self = Self { per_minute, ..Self::default() };
        }
        if let Some(wait) = self.dry_until.and_then(|until| until.checked_duration_since(now)) {
            return Some(Allowance::refused(per_minute, wait));
        }
        if self.left == 0 || self.until.is_none_or(|until| until <= now) {
            let back = std::mem::take(&mut self.left);
            let leased = shared.lease(&name(), per_minute, back).await?;
            self.until = Some(now + LEASE);
            self.dry_until = (leased.took == 0).then(|| now + leased.wait);
            (self.left, self.beyond) = (leased.took, leased.beyond);
            if leased.took == 0 {
                return Some(Allowance::refused(per_minute, leased.wait));
            }
        }
        self.left -= 1;
        Some(Allowance::taken(per_minute, self.left.saturating_add(self.beyond)))
    }
}
