//! `[store]`: where everything is kept, and the limits of the connections to it.

use std::path::PathBuf;

use forewatt_service::{PostgresOptions, StoreOptions};
use serde::{Deserialize, Serialize};

/// `[store]`
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// The folder of database and artifacts.
    pub data_dir: PathBuf,
    /// `postgres://...`; empty for SQLite in the folder. May hold a password.
    pub url: String,
    /// A replica of it; empty for none.
    pub read_url: String,
    /// Connections a server keeps open.
    pub min_connections: u32,
    /// Connections at most.
    pub max_connections: u32,
    /// The wait for a connection, in ms.
    pub acquire_timeout_ms: u64,
    /// The idle time after which a connection closes, in ms.
    pub idle_timeout_ms: u64,
    /// The age at which a connection is replaced, in ms.
    pub max_lifetime_ms: u64,
    /// The longest a statement may take, in ms.
    pub statement_timeout_ms: u64,
    /// The longest it may wait for a lock, in ms.
    pub lock_timeout_ms: u64,
    /// The longest a transaction may stand idle, in ms.
    pub idle_transaction_timeout_ms: u64,
    /// Whether a pooler of transactions lies in between.
    pub transaction_pooling: bool,
    /// How often a server looks after its store, in ms.
    pub upkeep_interval_ms: u64,
    /// Months that have partitions ahead of time.
    pub partitions_ahead_months: u32,
    /// Connections that read at once, of SQLite.
    pub read_connections: u32,
    /// How long to wait for another process's lock, in ms, with SQLite.
    pub busy_timeout_ms: u64,
}

impl std::fmt::Debug for StoreConfig {
    /// Without the URLs, which may hold passwords.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreConfig").field("data_dir", &self.data_dir).finish_non_exhaustive()
    }
}

impl StoreConfig {
    /// How the service opens the store; `url` is a `postgres://` URL or empty.
    #[must_use]
    pub fn options(&self, url: &str) -> StoreOptions {
        let given = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let postgres = given(url).map(|url| PostgresOptions {
            read_url: given(&self.read_url),
            url,
            min_connections: self.min_connections,
            max_connections: self.max_connections,
            acquire_timeout_ms: self.acquire_timeout_ms,
            idle_timeout_ms: self.idle_timeout_ms,
            max_lifetime_ms: self.max_lifetime_ms,
            statement_timeout_ms: self.statement_timeout_ms,
            lock_timeout_ms: self.lock_timeout_ms,
            idle_transaction_timeout_ms: self.idle_transaction_timeout_ms,
            transaction_pooling: self.transaction_pooling,
        });
        StoreOptions {
            read_connections: self.read_connections,
            busy_timeout_ms: self.busy_timeout_ms,
            postgres,
        }
    }
}
