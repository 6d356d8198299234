//! A copy of a whole store while it is used, and a store made of such a copy.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sqlx::AssertSqlSafe;

use super::failure::when;
use super::{ARTIFACT_FOLDER, DATABASE_FILE, Sqlite, SqliteOptions};
use crate::artifacts::Artifacts;
use crate::{Error, IdentityStore, Result, VersionStore};

/// What was copied.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied {
    /// Model versions whose artifacts were copied and checked.
    pub versions: usize,
    /// Bytes of their artifacts, each counted once a version.
    pub artifact_bytes: u64,
}

impl Sqlite {
    /// Copies everything that is acknowledged now into a new folder, while this and other processes go on reading and
    /// writing. The folder appears when it is whole and on the disk; what a broken copy leaves is called `NAME.partial`.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the folder exists, [`Error::CannotWrite`], [`Error::Corrupt`] for a damaged artifact or
    /// database.
    pub async fn backup(&self, folder: &Path) -> Result<Copied> {
        let partial = begin(folder)?;
        let database = partial.join(DATABASE_FILE);
        let doing = format!("copying the database to {}", database.display());
        // Of one instant, and without what deletions left behind. The artifacts come after it: they are never deleted, so
        // all that this instant names are there.
        let quoted = database.display().to_string().replace('\'', "''");
        sqlx::query(AssertSqlSafe(format!("VACUUM INTO '{quoted}'")))
            .execute(&self.writer)
            .await
            .map_err(when(&doing))?;
        let copy = Self::open(&partial, SqliteOptions::default()).await?;
        let copied = async {
            copy.check_whole().await?;
            copy.take_artifacts(&self.artifacts).await
        };
        let copied = copied.await;
        copy.close().await;
        let copied = copied?;
        finish(&partial, folder).map_err(|e| cannot_write(folder, &e))?;
        Ok(copied)
    }

    /// Makes the store of a data folder out of a backup, which stays as it is. Every artifact is checked, the schema is
    /// brought up to date, and the store gets a new identity: its revisions go on from where the backup was made.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the backup is none, [`Error::Conflict`] when there is a store in the folder already,
    /// [`Error::Corrupt`] for a damaged backup, [`Error::CannotWrite`].
    pub async fn restore(backup: &Path, folder: &Path) -> Result<Copied> {
        let database = backup.join(DATABASE_FILE);
        if !database.is_file() {
            return Err(Error::NotFound { what: "backup", name: backup.display().to_string() });
        }
        let partial = begin(folder)?;
        let file = partial.join(DATABASE_FILE);
        fs::copy(&database, &file).map_err(|e| cannot_write(&partial, &e))?;
        let from = Artifacts::open_folder(&backup.join(ARTIFACT_FOLDER))?;
        let copy = Self::open(&partial, SqliteOptions::default()).await?;
        let copied = async {
            copy.check_whole().await?;
            let copied = copy.take_artifacts(&from).await?;
            copy.renew_identity().await?;
            Ok(copied)
        };
        let copied = copied.await;
        copy.close().await;
        let copied = copied?;
        finish(&partial, folder).map_err(|e| cannot_write(folder, &e))?;
        Ok(copied)
    }

    /// Copies the artifacts that the database names, each checked against its address.
    async fn take_artifacts(&self, from: &Artifacts) -> Result<Copied> {
        let mut copied = Copied::default();
        for version in self.list_versions(None, u32::MAX).await? {
            let bytes = from.get(&version.artifact_sha256).await?;
            self.artifacts.put(&bytes).await?;
            copied.versions += 1;
            copied.artifact_bytes += bytes.len() as u64;
        }
        Ok(copied)
    }

    /// Reads the whole database and checks its structure.
    async fn check_whole(&self) -> Result<()> {
        let doing = "checking the copied database";
        let said: String = sqlx::query_scalar("PRAGMA integrity_check(1)")
            .fetch_one(&self.writer)
            .await
            .map_err(when(doing))?;
        if said == "ok" {
            return Ok(());
        }
        Err(Error::Corrupt { what: "database", name: DATABASE_FILE.to_owned(), detail: said })
    }
}

/// An empty folder beside the one that is to come. What an earlier attempt left there goes.
fn begin(folder: &Path) -> Result<PathBuf> {
    let empty = |path: &Path| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    if folder.exists() && !empty(folder) {
        return Err(Error::Conflict {
            what: "folder",
            name: folder.display().to_string(),
            difference: "it is not empty: name another, or move it away first".to_owned(),
        });
    }
    let mut name = folder.as_os_str().to_owned();
    name.push(".partial");
    let partial = PathBuf::from(name);
    let fresh = || {
        if partial.exists() {
            fs::remove_dir_all(&partial)?;
        }
        fs::create_dir_all(&partial)
    };
    fresh().map_err(|e| cannot_write(&partial, &e))?;
    Ok(partial)
}

/// Puts the finished folder in its place, durably.
fn finish(partial: &Path, folder: &Path) -> io::Result<()> {
    File::open(partial.join(DATABASE_FILE))?.sync_all()?;
    if folder.exists() {
        fs::remove_dir(folder)?; // empty, or this fails
    }
    fs::rename(partial, folder)?;
    match folder.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

fn cannot_write(folder: &Path, error: &io::Error) -> Error {
    let folder = folder.display();
    Error::CannotWrite { detail: format!("{folder}: {error}; check the path, its rights and the free space") }
}
