//! The store in one SQLite file: nothing to install, durable, one writer and many readers at a time.

mod access;
mod backup;
#[cfg(test)]
mod backup_tests;
mod direct;
mod doctor;
mod failure;
mod forecasts;
mod identity;
mod jobs;
mod labels;
mod observations;
mod outward;
mod quality;
mod row;
mod series;
#[cfg(test)]
mod tests;
mod upkeep;
mod versions;

use std::path::Path;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Sqlite as Driver, Transaction};

use crate::artifacts::Artifacts;
use crate::{Error, Result};
use failure::when;

pub use backup::Copied;

/// The database's name in the data folder.
pub const DATABASE_FILE: &str = "forewatt.db";
/// The artifacts' folder in the data folder.
pub const ARTIFACT_FOLDER: &str = "artifacts";

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite");

/// Limits of a [`Sqlite`] store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteOptions {
    /// How many reads may run at once; each connection is a thread and a page cache. At least 1.
    pub read_connections: u32,
    /// How long to wait for another process' write lock, in milliseconds.
    pub busy_timeout_ms: u64,
    /// How long a read or write may wait for its connection, in milliseconds.
    pub acquire_timeout_ms: u64,
    /// The page cache of each connection, in KiB.
    pub cache_kib: u32,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self { read_connections: 4, busy_timeout_ms: 5_000, acquire_timeout_ms: 30_000, cache_kib: 16_384 }
    }
}

/// A store in one SQLite database and a folder of artifacts. Cheap to clone; clones share the connections.
#[derive(Debug, Clone)]
pub struct Sqlite {
    /// One connection: writers queue here, in order, instead of fighting for SQLite's lock.
    writer: SqlitePool,
    readers: SqlitePool,
    artifacts: Artifacts,
}

impl Sqlite {
    /// Opens the store in a folder, creating both when they do not exist.
    ///
    /// # Errors
    /// [`Error::CannotWrite`] for a read-only folder or full disk, [`Error::Corrupt`] for a file that is not a
    /// database, [`Error::NewerSchema`], [`Error::Busy`] when another process writes for longer than the timeout.
    pub async fn open(dir: &Path, options: SqliteOptions) -> Result<Self> {
        Self::open_tuned(dir, options, |connect| connect).await
    }

    /// [`Sqlite::open`] with more settings for the writer, so that tests can bring about a full disk.
    async fn open_tuned(
        dir: &Path,
        options: SqliteOptions,
        tune: impl FnOnce(SqliteConnectOptions) -> SqliteConnectOptions,
    ) -> Result<Self> {
        let artifacts = Artifacts::in_folder(&dir.join(ARTIFACT_FOLDER))?;
        let file = dir.join(DATABASE_FILE);
        let connect = tune(connect_options(&options).filename(&file));
        // FULL and not NORMAL: in WAL mode only FULL syncs every commit, and an acknowledged write must be durable.
        let write = connect
            .clone()
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // Pages, 16 MiB: bulk writes would otherwise copy the log back into the database every 4 MiB.
            .pragma("wal_autocheckpoint", "4096")
            // Bytes: after a very large write the log gives its room back.
            .pragma("journal_size_limit", "67108864")
            .optimize_on_close(true, 400);
        let read = connect.pragma("query_only", "ON");
        let opening = format!("opening {}", file.display());
        let writer = pool(&options, 1).connect_with(write).await.map_err(when(&opening))?;
        migrate(&writer, &opening).await?;
        let readers = pool(&options, options.read_connections.max(1))
            .connect_with(read)
            .await
            .map_err(when(&opening))?;
        Ok(Self { writer, readers, artifacts })
    }

    /// A store that vanishes with its last clone: for tests and trials.
    ///
    /// # Errors
    /// [`Error::Backend`] when SQLite cannot start.
    pub async fn in_memory() -> Result<Self> {
        let options = SqliteOptions::default();
        let connect = connect_options(&options).in_memory(true).filename(":memory:");
        // An in-memory database belongs to its connection: readers and writer share the only one.
        let opening = "opening a database in memory";
        let only = pool(&options, 1).connect_with(connect).await.map_err(when(opening))?;
        migrate(&only, opening).await?;
        Ok(Self { writer: only.clone(), readers: only, artifacts: Artifacts::in_memory() })
    }

    /// Asks the database for a row, for health checks.
    ///
    /// # Errors
    /// Whatever keeps a read from being answered.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT id FROM series LIMIT 1")
            .fetch_optional(&self.readers)
            .await
            .map_err(when("asking the database for a row"))?;
        Ok(())
    }

    /// Waits for running statements, folds the log into the database and closes. Later calls fail. Not closing
    /// loses nothing: the log is read at the next start.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    /// A transaction that holds the write lock from its start, so it can never fail halfway for want of it.
    async fn begin_write(&self, doing: &str) -> Result<Transaction<'static, Driver>> {
        self.writer.begin_with("BEGIN IMMEDIATE").await.map_err(when(doing))
    }
}

fn connect_options(options: &SqliteOptions) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .foreign_keys(true)
        .busy_timeout(Duration::from_millis(options.busy_timeout_ms))
        .statement_cache_capacity(64)
        .pragma("cache_size", format!("-{}", options.cache_kib))
        .pragma("temp_store", "MEMORY")
        // Rows cross from SQLite's thread to ours in a channel; a short one costs two thread switches every few rows.
        .row_buffer_size(1_024)
        .disable_statement_logging()
}

fn pool(options: &SqliteOptions, connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(Duration::from_millis(options.acquire_timeout_ms))
        .idle_timeout(None)
        .max_lifetime(None)
        // A file cannot hang up, so asking before every use whether it did costs a thread switch for nothing.
        .test_before_acquire(false)
}

/// Brings the schema up to date, or refuses one from the future.
async fn migrate(writer: &SqlitePool, opening: &str) -> Result<()> {
    let mut outcome = MIGRATIONS.run(writer).await;
    // Two processes may open a new store at once and the loser finds tables made: the next look sees why. They may meet
    // again at each migration, but each look finds one more of them done.
    for _ in MIGRATIONS.iter() {
        if !matches!(outcome, Err(MigrateError::Execute(_) | MigrateError::ExecuteMigration(..))) {
            break;
        }
        outcome = MIGRATIONS.run(writer).await;
    }
    outcome.map_err(|error| match error {
        MigrateError::VersionMissing(found) => {
            Error::NewerSchema { found, known: MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0) }
        }
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => failure::from_sqlx(opening, &e),
        other => Error::Backend {
            detail: format!("{opening}: the schema cannot be brought up to date: {other}; restore a backup"),
        },
    })
}
