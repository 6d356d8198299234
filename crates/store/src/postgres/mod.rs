//! The store in PostgreSQL: many nodes write and read at once, observations in a partition a month.

mod access;
mod doctor;
mod failure;
mod forecasts;
mod identity;
mod jobs;
mod known;
mod labels;
mod nodes;
mod observations;
mod outward;
mod partitions;
mod pool;
mod quality;
mod row;
mod series;
mod stamp;
#[cfg(test)]
mod tests;
mod upkeep;
mod versions;

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};

use crate::artifacts::Artifacts;
use crate::{Error, Result};
use failure::when;
use pool::Pool;

pub use pool::PoolStatus;

/// Locks of whole transactions, told apart by their second number; the first says that they are ours.
const LOCK_CLASS: i32 = 0x464f_5245;
const LOCK_MIGRATE: i32 = 1;
const LOCK_PARTITIONS: i32 = 2;
const LOCK_UPKEEP: i32 = 3;

/// Two nodes may start together: the schema is locked by us, for a whole transaction, which also works behind
/// pgbouncer; the library's own lock is one of the session.
static MIGRATIONS: LazyLock<Migrator> = LazyLock::new(|| {
    let mut migrations = sqlx::migrate!("migrations/postgres");
    migrations.set_locking(false);
    migrations
});

/// Where a PostgreSQL store is and how much may be asked of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PostgresOptions {
    /// `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    pub url: String,
    /// A replica of it that answers long reads, when there is one.
    pub read_url: Option<String>,
    /// Connections kept open even when idle.
    pub min_connections: u32,
    /// Connections at most; further work waits.
    pub max_connections: u32,
    /// How long work may wait for a connection, in milliseconds.
    pub acquire_timeout_ms: u64,
    /// Connections above the minimum close after being idle for this long, in milliseconds.
    pub idle_timeout_ms: u64,
    /// Connections are replaced after this long, in milliseconds, so that a failover or a new password spreads.
    pub max_lifetime_ms: u64,
    /// The longest a statement may take, in milliseconds.
    pub statement_timeout_ms: u64,
    /// The longest a statement may wait for a lock, in milliseconds.
    pub lock_timeout_ms: u64,
    /// The longest a transaction may stand idle, in milliseconds.
    pub idle_transaction_timeout_ms: u64,
    /// Whether a pooler hands out connections for single transactions: then nothing may be kept in a session.
    pub transaction_pooling: bool,
}

impl fmt::Debug for PostgresOptions {
    /// Without the URLs, which may hold passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresOptions")
            .field("min_connections", &self.min_connections)
            .field("max_connections", &self.max_connections)
            .field("transaction_pooling", &self.transaction_pooling)
            .finish_non_exhaustive()
    }
}

/// A store in a PostgreSQL database and a folder of artifacts that all nodes share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Postgres {
    primary: Pool,
    replica: Option<Pool>,
    artifacts: Artifacts,
    known: Arc<known::Known>,
    months: Arc<partitions::Months>,
    node: Arc<nodes::Node>,
}

impl Postgres {
    /// Opens the store, creating or upgrading its tables. Artifacts lie in `artifact_folder`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a URL that is none, [`Error::Busy`] when the server cannot be reached,
    /// [`Error::CannotWrite`] without the rights, [`Error::NewerSchema`].
    pub async fn open(artifact_folder: &Path, options: &PostgresOptions) -> Result<Self> {
        let artifacts = Artifacts::in_folder(artifact_folder)?;
        let connect = connect_options(&options.url, options)?;
        let doing = format!("opening {}", place(&connect));
        // On a connection of its own and not from the pool, which would hide why it cannot be had.
        let mut connection = PgConnection::connect_with(&connect).await.map_err(when(&doing))?;
        migrate(&mut connection, &doing).await?;
        connection.close().await.map_err(when(&doing))?;
        let replica = options.read_url.as_ref().map(|url| connect_options(url, options)).transpose()?;
        Ok(Self {
            primary: Pool::open(connect.clone(), options).await.map_err(when(&doing))?,
            replica: replica.map(|connect| Pool::of_replica(connect, options)),
            artifacts,
            known: Arc::default(),
            months: Arc::default(),
            node: Arc::new(nodes::Node::new(connect)),
        })
    }

    /// Asks the primary for a row, for health checks.
    ///
    /// # Errors
    /// Whatever keeps a read from being answered.
    pub async fn ping(&self) -> Result<()> {
        let doing = "asking the database for a row";
        let mut reader = self.primary.reader().await.map_err(when(doing))?;
        sqlx::query("SELECT id FROM series LIMIT 1")
            .fetch_optional(&mut *reader)
            .await
            .map_err(when(doing))?;
        Ok(())
    }

    /// Waits for running statements and closes the connections. Later calls fail.
    pub async fn close(&self) {
        self.node.close().await;
        if let Some(replica) = &self.replica {
            replica.close().await;
        }
        self.primary.close().await;
    }

    /// How the connections are used now: of the primary, and of the replica when there is one.
    #[must_use]
    pub fn pools(&self) -> Vec<(&'static str, PoolStatus)> {
        let mut all = vec![("primary", self.primary.status())];
        all.extend(self.replica.as_ref().map(|replica| ("replica", replica.status())));
        all
    }
}

/// Reads a URL and adds what every session of ours is told.
fn connect_options(url: &str, options: &PostgresOptions) -> Result<PgConnectOptions> {
    let invalid = |detail: String| Error::Invalid { what: "database", name: "url".to_owned(), detail };
    let form = "write postgres://USER:PASSWORD@HOST:5432/DATABASE, with %-escapes in the password";
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(invalid(format!("it does not begin with postgres://; {form}")));
    }
    // The URL itself is not repeated: it may hold a password.
    let connect = PgConnectOptions::from_str(url).map_err(|error| invalid(format!("{error}; {form}")))?;
    let connect = connect.application_name("forewatt");
    if options.transaction_pooling {
        // A pooler refuses settings of the session and loses named statements: neither is used.
        return Ok(connect.extra_float_digits(None).statement_cache_capacity(0));
    }
    Ok(connect.statement_cache_capacity(128).options([
        ("statement_timeout", options.statement_timeout_ms.to_string()),
        ("lock_timeout", options.lock_timeout_ms.to_string()),
        ("idle_in_transaction_session_timeout", options.idle_transaction_timeout_ms.to_string()),
        // Compiling pays for reports over millions of rows; ours are short, and many partitions look dear.
        ("jit", "off".to_owned()),
    ]))
}

/// The database as people call it, without the password.
fn place(connect: &PgConnectOptions) -> String {
    let database = connect.get_database().unwrap_or_else(|| connect.get_username());
    match connect.get_socket() {
        Some(socket) => format!("the database {database} at {}", socket.display()),
        None => format!("the database {database} at {}:{}", connect.get_host(), connect.get_port()),
    }
}

/// Brings the schema up to date, or refuses one from the future. All or nothing, one node at a time.
async fn migrate(connection: &mut PgConnection, doing: &str) -> Result<()> {
    let mut transaction = connection.begin_with(pool::BEGIN_POOLED).await.map_err(when(doing))?;
    // Changing a large table may take longer than any other statement, and so may waiting for a node that does.
    let patience = "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; \
                    SET LOCAL client_min_messages = warning";
    sqlx::raw_sql(patience).execute(&mut *transaction).await.map_err(when(doing))?;
    lock(&mut transaction, LOCK_MIGRATE).await.map_err(when(doing))?;
    let outcome = MIGRATIONS.run_direct(None, &mut *transaction, false).await;
    outcome.map_err(|error| match error {
        MigrateError::VersionMissing(found) => {
            Error::NewerSchema { found, known: MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0) }
        }
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => failure::from_sqlx(doing, &e),
        other => Error::Backend {
            detail: format!("{doing}: the schema cannot be brought up to date: {other}; restore a backup"),
        },
    })?;
    transaction.commit().await.map_err(when(doing))
}

/// Waits until no other transaction of any node holds the lock, and holds it to the end of this one.
async fn lock(connection: &mut PgConnection, what: i32) -> sqlx::Result<()> {
    let query = sqlx::query("SELECT pg_advisory_xact_lock($1, $2)").bind(LOCK_CLASS).bind(what);
    query.execute(connection).await.map(drop)
}
