//! Copying a store as a whole while it is used, and making a store of such a copy.

use std::path::Path;

use forewatt_store::sqlite::Copied;
use forewatt_store::{Backend, Sqlite};
use serde::Serialize;

use crate::Service;
use crate::error::{Error, Result};

/// What was copied and checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Backup {
    /// Model versions whose artifacts were copied and checked against their addresses.
    pub versions: usize,
    /// Bytes of their artifacts.
    pub artifact_bytes: u64,
}

impl From<Copied> for Backup {
    fn from(copied: Copied) -> Self {
        Self { versions: copied.versions, artifact_bytes: copied.artifact_bytes }
    }
}

/// What to do for a store in PostgreSQL instead.
pub const POSTGRES: &str = "this store lies in PostgreSQL: back up its database with pg_dump or archived WAL, then copy \
                            the folder of artifacts, as docs/postgresql.md and docs/backup.md say";

impl Service {
    /// Copies everything that is acknowledged now into a new folder, while servers go on reading and writing.
    ///
    /// # Errors
    /// `Conflict` when the folder exists and is not empty, `Unavailable` when it cannot be written, `Corrupt` for a damaged
    /// store, `InvalidInput` for a store in PostgreSQL.
    pub async fn backup(&self, folder: &Path) -> Result<Backup> {
        self.issued.flush().await;
        match &self.store {
            Backend::Sqlite(store) => Ok(store.backup(folder).await?.into()),
            Backend::Postgres(_) => Err(Error::invalid(POSTGRES)),
        }
    }
}

/// Makes the store of a data folder out of a backup, which stays as it is.
///
/// # Errors
/// `NotFound` when the backup is none, `Conflict` when the folder holds something, `Corrupt` for a damaged backup,
/// `Unavailable` when the folder cannot be written.
pub async fn restore(backup: &Path, data_dir: &Path) -> Result<Backup> {
    Ok(Sqlite::restore(backup, data_dir).await?.into())
}
