//! Connections: how they are had, checked, counted, and what a reader needs behind a pooler.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use sqlx::pool::PoolConnection;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{Connection, PgConnection, Postgres as Driver, Transaction};

use super::PostgresOptions;

/// A connection that was idle for longer is asked whether it still lives before it is used.
const TRUSTED_IDLE: Duration = Duration::from_secs(1);
/// A replica that did not answer is left alone for this long: reads must not all wait for it.
const REPLICA_REST: Duration = Duration::from_secs(5);
/// The longest a read waits for a connection to the replica before it goes to the primary.
const REPLICA_WAIT: Duration = Duration::from_millis(500);

/// Begins a transaction behind a pooler: the server's session may hold statements under the names we would use.
pub(super) const BEGIN_POOLED: &str = "BEGIN; DEALLOCATE ALL";

/// How a pool is used at one moment, and how long it made work wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PoolStatus {
    /// Connections there may be.
    pub max: u32,
    /// Connections at work.
    pub in_use: u32,
    /// Open connections that wait for work.
    pub idle: u32,
    /// Pieces of work that wait for a connection.
    pub waiting: u32,
    /// How many connections were asked for since the start.
    pub acquired: u64,
    /// How long all of them together waited, in microseconds.
    pub waited_micros: u64,
    /// How many gave up waiting.
    pub timed_out: u64,
}

/// Connections to one server. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Pool {
    pool: PgPool,
    meter: Arc<Meter>,
    /// Whether a statement outside a transaction may be torn apart by a pooler.
    transactions_only: bool,
}

#[derive(Debug)]
struct Meter {
    waiting: AtomicU32,
    acquired: AtomicU64,
    waited_micros: AtomicU64,
    timed_out: AtomicU64,
    /// When the pool came to be, and how many milliseconds later it was last found dead (0: never).
    began: Instant,
    failed_at_ms: AtomicU64,
}

impl Pool {
    /// Opens the least number of connections at once: the library's own upkeep only refills what it closes.
    pub(super) async fn open(connect: PgConnectOptions, options: &PostgresOptions) -> sqlx::Result<Self> {
        let wait = Duration::from_millis(options.acquire_timeout_ms);
        let least = options.min_connections.min(options.max_connections);
        let settings = settings(options, wait).min_connections(least);
        let pool = match least {
            0 => settings.connect_lazy_with(connect),
            _ => settings.connect_with(connect).await?,
        };
        Ok(Self::with(pool, options))
    }

    /// Opens nothing yet: a replica that is away must not keep a node from starting.
    pub(super) fn of_replica(connect: PgConnectOptions, options: &PostgresOptions) -> Self {
        let wait = REPLICA_WAIT.min(Duration::from_millis(options.acquire_timeout_ms));
        Self::with(settings(options, wait).connect_lazy_with(connect), options)
    }

    fn with(pool: PgPool, options: &PostgresOptions) -> Self {
        let meter = Meter {
            waiting: AtomicU32::new(0),
            acquired: AtomicU64::new(0),
            waited_micros: AtomicU64::new(0),
            timed_out: AtomicU64::new(0),
            began: Instant::now(),
            failed_at_ms: AtomicU64::new(0),
        };
        Self { pool, meter: Arc::new(meter), transactions_only: options.transaction_pooling }
    }

    /// A connection for reading.
    pub(super) async fn reader(&self) -> sqlx::Result<Reader> {
        if self.transactions_only {
            // Preparing and running a statement are two exchanges: only a transaction keeps them on one server.
            return self.begin().await.map(Reader::Transaction);
        }
        self.timed(self.pool.acquire()).await.map(Reader::Connection)
    }

    /// A transaction for writing. Dropped before its commit, it leaves nothing behind.
    pub(super) async fn begin(&self) -> sqlx::Result<Transaction<'static, Driver>> {
        if self.transactions_only {
            return self.timed(self.pool.begin_with(BEGIN_POOLED)).await;
        }
        self.timed(self.pool.begin()).await
    }

    async fn timed<T>(&self, wait: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
        let meter = &self.meter;
        let _waiting = Waiting::one(&meter.waiting);
        let began = Instant::now();
        let outcome = wait.await;
        meter.acquired.fetch_add(1, Relaxed);
        meter
            .waited_micros
            .fetch_add(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX), Relaxed);
        if matches!(outcome, Err(sqlx::Error::PoolTimedOut)) {
            meter.timed_out.fetch_add(1, Relaxed);
        }
        outcome
    }

    /// Whether it failed so lately that asking again would only cost time.
    pub(super) fn rests(&self) -> bool {
        let failed_at = self.meter.failed_at_ms.load(Relaxed);
        failed_at > 0 && self.age_ms().saturating_sub(failed_at) < millis(REPLICA_REST)
    }

    /// Notes that it does not answer.
    pub(super) fn failed(&self) {
        self.meter.failed_at_ms.store(self.age_ms().max(1), Relaxed);
    }

    fn age_ms(&self) -> u64 {
        millis(self.meter.began.elapsed())
    }

    pub(super) fn status(&self) -> PoolStatus {
        let open = self.pool.size();
        let idle = u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX).min(open);
        PoolStatus {
            max: self.pool.options().get_max_connections(),
            in_use: open - idle,
            idle,
            waiting: self.meter.waiting.load(Relaxed),
            acquired: self.meter.acquired.load(Relaxed),
            waited_micros: self.meter.waited_micros.load(Relaxed),
            timed_out: self.meter.timed_out.load(Relaxed),
        }
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

fn settings(options: &PostgresOptions, wait: Duration) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(options.max_connections.max(1))
        .acquire_timeout(wait)
        .idle_timeout(Duration::from_millis(options.idle_timeout_ms))
        .max_lifetime(Duration::from_millis(options.max_lifetime_ms))
        // Asking before every use would double the round trips of a read.
        .test_before_acquire(false)
        .before_acquire(|connection, meta| {
            Box::pin(async move {
                if meta.idle_for < TRUSTED_IDLE {
                    return Ok(true);
                }
                Ok(connection.ping().await.is_ok())
            })
        })
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Counts one waiter until it is dropped, also when its future is.
struct Waiting<'a>(&'a AtomicU32);

impl<'a> Waiting<'a> {
    fn one(count: &'a AtomicU32) -> Self {
        count.fetch_add(1, Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// A connection that reads: alone, or in a transaction where a pooler asks for one.
pub(super) enum Reader {
    Connection(PoolConnection<Driver>),
    Transaction(Transaction<'static, Driver>),
}

impl Deref for Reader {
    type Target = PgConnection;
    fn deref(&self) -> &PgConnection {
        match self {
            Self::Connection(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}

impl DerefMut for Reader {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Connection(connection) => connection,
            Self::Transaction(transaction) => transaction,
        }
    }
}
