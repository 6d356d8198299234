//! SQLite under the contract, and what only a file can suffer: wrong rights, no room, other processes, crashes.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row, SqliteConnection};
use tempfile::TempDir;

use super::{ARTIFACT_FOLDER, DATABASE_FILE, MIGRATIONS, Sqlite, SqliteOptions};
use crate::contract::{self, Harness, contract_suite, described, hour, hours, named, seen};
use crate::{Error, ObservationStore, SeriesStore, VersionStore};

struct Folder {
    store: Sqlite,
    folder: TempDir,
}

impl contract::Store for Sqlite {}

impl Harness for Folder {
    type Store = Sqlite;
    async fn empty() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path()).await.unwrap();
        Some(Self { store, folder })
    }
    fn store(&self) -> Sqlite {
        self.store.clone()
    }
    async fn reopen(self) -> Self {
        let Self { store, folder } = self;
        // What a crash leaves is the files as they are now: nothing is folded back or flushed by a close.
        let copy = tempfile::tempdir().unwrap();
        copy_folder(folder.path(), copy.path());
        drop(store);
        let store = open(copy.path()).await.unwrap();
        Self { store, folder: copy }
    }
    fn damage_artifact(&self, sha256: &str) {
        let file = self.folder.path().join(ARTIFACT_FOLDER).join(&sha256[..2]).join(sha256);
        let mut bytes = fs::read(&file).unwrap();
        bytes[0] ^= 1;
        fs::write(file, bytes).unwrap();
    }
    async fn carries_out(&self, sql: &'static str) -> bool {
        sqlx::query(sql).execute(&self.store.writer).await.is_ok()
    }
}

contract_suite!(Folder);

/// Waits briefly for locks, so that tests of locks are quick.
const SHORT: SqliteOptions =
    SqliteOptions { read_connections: 2, busy_timeout_ms: 20, acquire_timeout_ms: 10_000, cache_kib: 1_024 };

async fn open(folder: &Path) -> Result<Sqlite, Error> {
    Sqlite::open(folder, SHORT).await
}

/// Another process' connection, as far as SQLite's locks can tell.
async fn stranger(folder: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(folder.join(DATABASE_FILE));
    options.connect().await.unwrap()
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let (source, name) = entry.map(|e| (e.path(), e.file_name())).unwrap();
        let target = to.join(name);
        if source.is_dir() {
            fs::create_dir(&target).unwrap();
            copy_folder(&source, &target);
        } else {
            fs::copy(source, target).unwrap();
        }
    }
}

#[tokio::test]
async fn memory_serves_like_a_file() {
    let store = Sqlite::in_memory().await.unwrap();
    store.ping().await.unwrap();
    let other = Sqlite::in_memory().await.unwrap();
    store.put_series(&described("load"), hour(0)).await.unwrap();
    assert!(other.list_series(None, 9).await.unwrap().is_empty(), "two stores in memory share nothing");
    store.write_observations(&named("load"), &[seen(0, 0, 1.0)]).await.unwrap();
    let read = store.read_as_of(&hours(&named("load"), 0, 9), hour(9)).await.unwrap();
    assert_eq!(read, [seen(0, 0, 1.0)]);
    let address = store.put_artifact(b"x").await.unwrap();
    assert_eq!(store.get_artifact(&address).await.unwrap(), b"x");
}

#[tokio::test]
async fn a_closed_store_says_so_and_opens_again() {
    let harness = Folder::empty().await.unwrap();
    harness.store.put_series(&described("load"), hour(0)).await.unwrap();
    harness.store.close().await;
    assert!(matches!(harness.store.ping().await, Err(Error::Backend { .. })));
    assert!(!harness.folder.path().join("forewatt.db-wal").exists(), "closing folds the log in");
    let again = open(harness.folder.path()).await.unwrap();
    assert!(again.get_series(&named("load")).await.unwrap().is_some());
}

#[tokio::test]
async fn every_commit_reaches_the_disk() {
    let harness = Folder::empty().await.unwrap();
    let ask = async |sql: &'static str| -> String {
        let value = sqlx::query_scalar::<_, String>(sql).fetch_one(&harness.store.writer).await;
        value.unwrap()
    };
    assert_eq!(ask("SELECT journal_mode FROM pragma_journal_mode").await, "wal");
    assert_eq!(ask("SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous").await, "2", "2 is FULL");
    assert_eq!(ask("SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys").await, "1");
    let write = sqlx::query("DELETE FROM job").execute(&harness.store.readers).await;
    assert!(write.is_err(), "readers cannot write");
}

#[tokio::test]
async fn every_range_is_a_range_of_an_index() {
    let store = Sqlite::in_memory().await.unwrap();
    for sql in [
        super::observations::AS_OF,
        super::observations::REVISIONS,
        super::forecasts::BY_START,
        super::forecasts::AS_OF,
        super::forecasts::FIXED_LEAD,
        super::forecasts::BY_VERSION,
        super::forecasts::LIST,
        super::forecasts::POINTS,
    ] {
        let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
        let rows = sqlx::query(explain).fetch_all(&store.readers).await.unwrap();
        let plan: Vec<String> = rows.iter().map(|row| row.get::<String, _>(3)).collect();
        for step in &plan {
            // The walk over valid times scans its own result, one row a valid time; nothing else may be scanned.
            let scans = step.starts_with("SCAN") && step != "SCAN valid";
            // Ties of one issue time may be sorted: there is at most one a model version.
            let sorts = step.contains("TEMP B-TREE") && !step.ends_with("FOR LAST TERM OF ORDER BY");
            assert!(!scans && !sorts, "{sql}\n{plan:#?}");
        }
        assert!(plan.iter().any(|step| step.contains("SEARCH")), "{plan:#?}");
    }
}

#[tokio::test]
async fn a_schema_from_the_future_is_refused() {
    let harness = Folder::empty().await.unwrap();
    harness.store.close().await;
    let mut future = stranger(harness.folder.path()).await;
    sqlx::query(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'from the future', 1, x'00', 0)",
    )
    .execute(&mut future)
    .await
    .unwrap();
    future.close().await.unwrap();
    let refused = open(harness.folder.path()).await.unwrap_err();
    let newest = MIGRATIONS.iter().map(|m| m.version).max().unwrap();
    assert!(matches!(refused, Error::NewerSchema { found: 9999, known } if known == newest), "{refused}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(DATABASE_FILE);
    let garbage = b"time,load\n2026-01-01,5\n".repeat(500);
    fs::write(&file, &garbage).unwrap();
    let refused = open(folder.path()).await.unwrap_err();
    assert!(matches!(refused, Error::Corrupt { .. }), "{refused}");
    assert!(refused.to_string().contains("forewatt.db"), "{refused}");
    assert_eq!(fs::read(&file).unwrap(), garbage);
}

#[tokio::test]
async fn a_place_that_is_no_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    let refused = open(&file.join("below")).await.unwrap_err();
    assert!(matches!(refused, Error::CannotWrite { .. }), "{refused}");
    fs::create_dir_all(folder.path().join("taken").join(DATABASE_FILE)).unwrap();
    let refused = open(&folder.path().join("taken")).await.unwrap_err();
    assert!(matches!(refused, Error::CannotWrite { .. }), "{refused}");
    assert!(refused.to_string().contains("taken"), "{refused}");
}

#[cfg(unix)]
#[tokio::test]
async fn a_read_only_folder_is_named() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o555)).unwrap();
    let anyone_else = fs::write(data.join("probe"), b"").is_err();
    let opened = open(&data).await;
    // An administrator may write everywhere, and then opening must work.
    match opened {
        Ok(store) => {
            assert!(!anyone_else);
            store.ping().await.unwrap();
        }
        Err(refused) => {
            assert!(anyone_else, "{refused}");
            assert!(matches!(refused, Error::CannotWrite { .. }), "{refused}");
        }
    }
}

#[tokio::test]
async fn a_read_only_database_says_how_to_mend() {
    let folder = tempfile::tempdir().unwrap();
    open(folder.path()).await.unwrap().close().await;
    let tune = |connect: SqliteConnectOptions| connect.pragma("query_only", "ON");
    let opened = Sqlite::open_tuned(folder.path(), SHORT, tune).await;
    let refused = match opened {
        Ok(store) => store.put_series(&described("load"), hour(0)).await.unwrap_err(),
        Err(error) => error,
    };
    assert!(matches!(refused, Error::CannotWrite { .. }), "{refused}");
    assert!(refused.to_string().contains("right to write"), "{refused}");
}

#[tokio::test]
async fn a_full_disk_loses_only_what_was_not_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let tune = |connect: SqliteConnectOptions| connect.pragma("max_page_count", "60");
    let store = Sqlite::open_tuned(folder.path(), SHORT, tune).await.unwrap();
    let load = named("load");
    store.put_series(&described("load"), hour(0)).await.unwrap();
    let mut acknowledged = 0;
    let refused = loop {
        let given: Vec<_> = (acknowledged..acknowledged + 1_000).map(|i| seen(i, i, 1.5)).collect();
        match store.write_observations(&load, &given).await {
            Ok(outcome) => acknowledged += outcome.stored as i64,
            Err(error) => break error,
        }
        assert!(acknowledged < 100_000, "60 pages cannot hold this");
    };
    assert!(matches!(refused, Error::CannotWrite { .. }), "{refused}");
    assert!(refused.to_string().contains("free space"), "{refused}");
    let (_, state) = store.get_series(&load).await.unwrap().unwrap();
    assert_eq!(state.observations, acknowledged as u64);
    let read = store.read_revisions(&hours(&load, 0, 999_999)).await.unwrap();
    assert_eq!(read.len() as i64, acknowledged);
}

#[tokio::test]
async fn a_stranger_who_writes_makes_us_busy_not_stuck() {
    let harness = Folder::empty().await.unwrap();
    let load = named("load");
    harness.store.put_series(&described("load"), hour(0)).await.unwrap();
    let mut stranger = stranger(harness.folder.path()).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut stranger).await.unwrap();
    let refused = harness.store.write_observations(&load, &[seen(0, 0, 1.0)]).await.unwrap_err();
    assert!(matches!(refused, Error::Busy { .. }), "{refused}");
    let read = harness.store.read_as_of(&hours(&load, 0, 9), hour(9)).await.unwrap();
    assert!(read.is_empty(), "reading goes on");
    sqlx::query("ROLLBACK").execute(&mut stranger).await.unwrap();
    harness.store.write_observations(&load, &[seen(0, 0, 1.0)]).await.unwrap();
}

#[tokio::test]
async fn a_write_that_is_given_up_leaves_nothing_behind() {
    let harness = Folder::empty().await.unwrap();
    let many: Vec<_> = (0..5_000).map(|i| seen(i, i, 1.0)).collect();
    let mut given_up = 0;
    for polls in (0..12).map(|i| 1_u32 << i) {
        let name = format!("load-{polls}");
        harness.store.put_series(&described(&name), hour(0)).await.unwrap();
        let load = named(&name);
        let writing = harness.store.write_observations(&load, &many);
        // Polled some times, then dropped, as when a client leaves.
        let left = async {
            for _ in 0..polls {
                tokio::task::yield_now().await;
            }
        };
        let done = tokio::select! {
            biased;
            outcome = writing => { outcome.unwrap(); true }
            () = left => false,
        };
        given_up += u32::from(!done);
        harness.store.write_observations(&load, &[seen(-1, 0, 1.0)]).await.unwrap();
        let (_, state) = harness.store.get_series(&load).await.unwrap().unwrap();
        let read = harness.store.read_revisions(&hours(&load, -9, 99_999)).await.unwrap();
        assert_eq!(state.observations, read.len() as u64);
        assert!(read.len() == 5_001 || (!done && read.len() == 1), "a part of a write: {}", read.len());
    }
    assert!(given_up > 0, "no write was given up");
}

#[tokio::test]
async fn two_processes_may_open_a_new_folder_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let options = SqliteOptions { busy_timeout_ms: 10_000, ..SHORT };
    let open = || Sqlite::open(folder.path(), options);
    let (one, two) = tokio::join!(open(), open());
    one.unwrap().put_series(&described("load"), hour(0)).await.unwrap();
    assert_eq!(two.unwrap().list_series(None, 9).await.unwrap().len(), 1);
}

/// Tells the child process of the next test where to write.
const CHILD_FOLDER: &str = "FOREWATT_TEST_CHILD_FOLDER";

/// The child writes, acknowledges each write on its output and is killed in the middle; every acknowledged write
/// must be there, whole.
#[test]
fn what_was_acknowledged_survives_a_kill() {
    if let Some(folder) = std::env::var_os(CHILD_FOLDER) {
        write_forever(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "sqlite::tests::what_was_acknowledged_survives_a_kill", "--nocapture"])
        .env(CHILD_FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let acknowledged = lines.filter(|line| line.starts_with("acknowledged")).take(20).count();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(acknowledged, 20, "the child ended early");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = open(folder.path()).await.unwrap();
        let (_, state) = store.get_series(&named("load")).await.unwrap().unwrap();
        let read = store.read_revisions(&hours(&named("load"), 0, 999_999)).await.unwrap();
        assert_eq!(state.observations, read.len() as u64);
        assert!(read.len() >= 20 * 100, "{} rows for 20 acknowledged writes", read.len());
        assert_eq!(read.len() % 100, 0, "a part of a write");
    });
}

fn write_forever(folder: &Path) -> ! {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = open(folder).await.unwrap();
        store.put_series(&described("load"), hour(0)).await.unwrap();
        for write in 0.. {
            let given: Vec<_> = (write * 100..write * 100 + 100).map(|i| seen(i, i, 1.0)).collect();
            store.write_observations(&named("load"), &given).await.unwrap();
            let mut output = std::io::stdout();
            // The parent may be gone: then there is nobody to write for.
            let told = writeln!(output, "acknowledged").and_then(|()| output.flush());
            if told.is_err() {
                break;
            }
        }
    });
    std::process::exit(0)
}
