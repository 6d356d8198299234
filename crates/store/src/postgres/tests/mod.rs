//! PostgreSQL under the contract, and what only it must do.

mod doctor;
mod faults;
mod moves;
mod nodes;
mod plans;
mod server;

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::{Postgres, PostgresOptions};
use crate::Error;
use crate::contract::{self, Harness, contract_suite, described, hour, named, seen};
use crate::sqlite::ARTIFACT_FOLDER;
use server::Database;

struct Private {
    store: Postgres,
    database: Database,
    folder: TempDir,
}

impl contract::Store for Postgres {}

impl Harness for Private {
    type Store = Postgres;
    async fn empty() -> Option<Self> {
        let database = Database::create()?;
        let folder = tempfile::tempdir().unwrap();
        let store = open(&database, folder.path()).await.unwrap();
        Some(Self { store, database, folder })
    }
    fn store(&self) -> Postgres {
        self.store.clone()
    }
    async fn reopen(self) -> Self {
        let Self { store, database, folder } = self;
        drop(store);
        // The server sees soon, not at once, that a node is gone.
        let left = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid()",
            database.name()
        );
        while database.sql(&left) != "0" {}
        let store = open(&database, folder.path()).await.unwrap();
        Self { store, database, folder }
    }
    fn damage_artifact(&self, sha256: &str) {
        let file = self.folder.path().join(ARTIFACT_FOLDER).join(&sha256[..2]).join(sha256);
        let mut bytes = fs::read(&file).unwrap();
        bytes[0] ^= 1;
        fs::write(file, bytes).unwrap();
    }
    async fn carries_out(&self, sql: &'static str) -> bool {
        let mut transaction = self.store.primary.begin().await.unwrap();
        let done = sqlx::query(sql).execute(&mut *transaction).await.is_ok();
        transaction.commit().await.is_ok() && done
    }
}

contract_suite!(Private);

/// Few connections and short waits, so that tests of both are quick.
fn options(url: String) -> PostgresOptions {
    PostgresOptions {
        url,
        read_url: None,
        min_connections: 0,
        max_connections: 4,
        acquire_timeout_ms: 10_000,
        idle_timeout_ms: 600_000,
        max_lifetime_ms: 1_800_000,
        statement_timeout_ms: 20_000,
        lock_timeout_ms: 10_000,
        idle_transaction_timeout_ms: 20_000,
        transaction_pooling: false,
    }
}

async fn open(database: &Database, folder: &Path) -> Result<Postgres, Error> {
    Postgres::open(&folder.join(ARTIFACT_FOLDER), &options(database.url())).await
}
