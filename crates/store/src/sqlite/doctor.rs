//! A look at the database file of a store. Nothing is changed.

use std::collections::BTreeSet;
use std::path::Path;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::failure::when;
use super::{ARTIFACT_FOLDER, DATABASE_FILE, MIGRATIONS, Sqlite};
use crate::doctor::{Finding, bytes_text};
use crate::{Error, Result};

/// A log beyond this many bytes was not folded back: somebody reads for very long, or nobody closed.
const LOG_MAX_BYTES: u64 = 256 << 20;
/// Faults named at most.
const FAULTS_MAX: i64 = 10;

impl Sqlite {
    /// Looks at the store in a folder, without creating or upgrading it. Reads the whole database file.
    ///
    /// # Errors
    /// [`Error::Invalid`] where there is no store; those of [`Sqlite::open`] when it cannot be read.
    pub async fn examine(dir: &Path) -> Result<Vec<Finding>> {
        let file = dir.join(DATABASE_FILE);
        if !file.is_file() {
            return Err(Error::Invalid {
                what: "store",
                name: dir.display().to_string(),
                detail: format!(
                    "it holds no {DATABASE_FILE}: name the folder with --data-dir or store.data_dir"
                ),
            });
        }
        let doing = format!("looking at {}", file.display());
        let connect = SqliteConnectOptions::new()
            .filename(&file)
            .pragma("query_only", "ON")
            .disable_statement_logging();
        let mut connection = connect.connect().await.map_err(when(&doing))?;
        let mut findings = look(&mut connection).await.map_err(when(&doing))?;
        let wanted = artifacts_wanted(&mut connection).await.map_err(when(&doing))?;
        connection.close().await.map_err(when(&doing))?;
        findings
            .push(log(std::fs::metadata(dir.join(format!("{DATABASE_FILE}-wal"))).map_or(0, |m| m.len())));
        findings.push(artifacts(&wanted, &dir.join(ARTIFACT_FOLDER)));
        Ok(findings)
    }
}

async fn look(connection: &mut SqliteConnection) -> sqlx::Result<Vec<Finding>> {
    let check = format!("PRAGMA quick_check({FAULTS_MAX})");
    let faults: Vec<String> =
        sqlx::query_scalar(sqlx::AssertSqlSafe(check)).fetch_all(&mut *connection).await?;
    let mode: String = sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await?;
    let there = "SELECT count(*) FROM sqlite_master WHERE name = '_sqlx_migrations'";
    let there: i64 = sqlx::query_scalar(there).fetch_one(&mut *connection).await?;
    let applied: Option<i64> = if there == 0 {
        None
    } else {
        let applied = "SELECT max(version) FROM _sqlx_migrations WHERE success";
        sqlx::query_scalar(applied).fetch_one(&mut *connection).await?
    };
    let pages = "SELECT page_count, freelist_count, page_size \
         FROM pragma_page_count(), pragma_freelist_count(), pragma_page_size()";
    let pages: (i64, i64, i64) = sqlx::query_as(pages).fetch_one(&mut *connection).await?;
    let known = MIGRATIONS.iter().map(|m| m.version).max().unwrap_or(0);
    Ok(vec![integrity(&faults), journal(&mode), Finding::schema(applied, known), size(pages)])
}

/// The addresses of the artifacts that versions name.
async fn artifacts_wanted(connection: &mut SqliteConnection) -> sqlx::Result<BTreeSet<String>> {
    let there = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = 'version'";
    let there: i64 = sqlx::query_scalar(there).fetch_one(&mut *connection).await?;
    if there == 0 {
        return Ok(BTreeSet::new());
    }
    let wanted = sqlx::query_scalar("SELECT artifact_sha256 FROM version").fetch_all(connection).await?;
    Ok(wanted.into_iter().collect())
}

fn integrity(faults: &[String]) -> Finding {
    if faults.iter().all(|fault| fault == "ok") {
        return Finding::good("integrity", "every page is sound");
    }
    Finding::bad("integrity", faults.join("; "), "stop the server and restore a backup; keep the broken file")
}

fn journal(mode: &str) -> Finding {
    if mode.eq_ignore_ascii_case("wal") {
        return Finding::good("journal", "write-ahead log");
    }
    Finding::note("journal", mode, "open the store once with this forewatt: it turns the write-ahead log on")
}

fn size((pages, free, page_bytes): (i64, i64, i64)) -> Finding {
    let found = format!(
        "{}, {} of it free",
        bytes_text((pages * page_bytes) as f64),
        bytes_text((free * page_bytes) as f64)
    );
    if free * 2 > pages && free * page_bytes > 64 << 20 {
        return Finding::note(
            "file size",
            found,
            "stop the server and run `VACUUM` in sqlite3 to give room back",
        );
    }
    Finding::good("file size", found)
}

fn log(bytes: u64) -> Finding {
    let found = bytes_text(bytes as f64);
    if bytes > LOG_MAX_BYTES {
        return Finding::note(
            "log size",
            found,
            "look for a program that keeps reading; a clean stop folds the log back",
        );
    }
    Finding::good("log size", found)
}

fn artifacts(wanted: &BTreeSet<String>, folder: &Path) -> Finding {
    let is_there =
        |sha256: &&String| sha256.get(..2).is_some_and(|two| folder.join(two).join(sha256).is_file());
    let missing: Vec<&str> = wanted
        .iter()
        .filter(|sha256| !is_there(sha256))
        .map(|sha256| &sha256[..12.min(sha256.len())])
        .collect();
    if missing.is_empty() {
        return Finding::good("artifacts", format!("all {} there", wanted.len()));
    }
    let few = missing[..missing.len().min(5)].join(", ");
    let found = format!("{} of {} missing: {few}", missing.len(), wanted.len());
    Finding::bad("artifacts", found, "restore them from a backup, or train these series anew")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Weight;
    use crate::sqlite::SqliteOptions;

    fn worst(findings: &[Finding]) -> Weight {
        findings.iter().map(|finding| finding.weight).max().unwrap()
    }

    #[tokio::test]
    async fn a_fresh_store_is_well_and_nothing_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Sqlite::examine(folder.path()).await.unwrap_err();
        assert!(missing.to_string().contains("--data-dir"), "{missing}");
        assert!(!folder.path().join(DATABASE_FILE).exists(), "looking makes nothing");
        Sqlite::open(folder.path(), SqliteOptions::default()).await.unwrap().close().await;
        let findings = Sqlite::examine(folder.path()).await.unwrap();
        assert_eq!(worst(&findings), Weight::Good, "{findings:?}");
    }

    #[tokio::test]
    async fn damaged_pages_are_found() {
        let folder = tempfile::tempdir().unwrap();
        Sqlite::open(folder.path(), SqliteOptions::default()).await.unwrap().close().await;
        let file = folder.path().join(DATABASE_FILE);
        let mut bytes = std::fs::read(&file).unwrap();
        let page = 4096 * 3;
        bytes[page..page + 512].fill(0xA5);
        std::fs::write(&file, bytes).unwrap();
        match Sqlite::examine(folder.path()).await {
            Ok(findings) => assert_eq!(worst(&findings), Weight::Bad, "{findings:?}"),
            Err(error) => assert!(matches!(error, Error::Corrupt { .. }), "{error}"),
        }
    }

    #[test]
    fn artifacts_that_are_gone_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let (there, gone) = ("ab".repeat(32), "cd".repeat(32));
        std::fs::create_dir(folder.path().join("ab")).unwrap();
        std::fs::write(folder.path().join("ab").join(&there), "x").unwrap();
        let finding = artifacts(&[there, gone].into(), folder.path());
        assert_eq!(finding.weight, Weight::Bad);
        assert!(finding.found.starts_with("1 of 2 missing: cdcd"), "{finding:?}");
    }

    #[test]
    fn size_and_log_have_bounds() {
        assert_eq!(size((100_000, 60_000, 4096)).weight, Weight::Note);
        assert_eq!(size((100, 60, 4096)).weight, Weight::Good);
        assert_eq!((log(0).weight, log(1 << 30).weight), (Weight::Good, Weight::Note));
    }
}
