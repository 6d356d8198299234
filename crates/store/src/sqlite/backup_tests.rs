//! Backups while others write, broken ones, and what comes out of them.

use std::fs;
use std::path::Path;

use crate::contract::versions::trained;
use crate::contract::{described, hour, hours, named, seen};
use crate::sqlite::{ARTIFACT_FOLDER, DATABASE_FILE, Sqlite, SqliteOptions};
use crate::{Error, IdentityStore, ObservationStore, SeriesStore, VersionStore};

async fn open(folder: &Path) -> Sqlite {
    Sqlite::open(folder, SqliteOptions::default()).await.unwrap()
}

async fn with_version(folder: &Path) -> (Sqlite, String) {
    let store = open(folder).await;
    store.put_series(&described("load"), hour(0)).await.unwrap();
    let version = trained(&store, &named("load")).await;
    let artifact = version.artifact_sha256.clone();
    store.add_version(version).await.unwrap();
    (store, artifact)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_under_writes_is_of_one_instant() {
    let house = tempfile::tempdir().unwrap();
    let (store, artifact) = with_version(&house.path().join("data")).await;
    let name = named("load");
    // Another process writes all the while.
    let other = open(&house.path().join("data")).await;
    let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
    let writer = {
        let name = name.clone();
        tokio::spawn(async move {
            for i in 0.. {
                let slice: Vec<_> = (0..20).map(|j| seen(i * 20 + j, i * 20 + j + 1, 1.0)).collect();
                other.write_observations(&name, &slice).await.unwrap();
                if told.send(i * 20 + 20).is_err() {
                    return;
                }
            }
        })
    };
    let acknowledged = heard.recv().await.unwrap() as u64;
    let folder = house.path().join("backups/today");
    fs::create_dir_all(house.path().join("backups")).unwrap();
    let copied = store.backup(&folder).await.unwrap();
    drop(heard);
    writer.await.unwrap();
    assert_eq!((copied.versions, copied.artifact_bytes), (1, 8));

    let restored = house.path().join("restored");
    assert_eq!(Sqlite::restore(&folder, &restored).await.unwrap(), copied);
    let again = open(&restored).await;
    let (_, state) = again.get_series(&name).await.unwrap().unwrap();
    let read = again.read_revisions(&hours(&name, 0, 1_000_000)).await.unwrap();
    assert_eq!(read.len() as u64, state.observations, "what the series says is what is there");
    assert!(state.observations >= acknowledged && state.observations % 20 == 0, "{state:?}");
    assert_eq!(again.get_artifact(&artifact).await.unwrap(), b"a forest");
    assert_ne!(
        again.identity().await.unwrap(),
        store.identity().await.unwrap(),
        "it lives a life of its own"
    );
}

#[tokio::test]
async fn what_is_in_the_way_stays_and_what_is_broken_is_refused() {
    let house = tempfile::tempdir().unwrap();
    let (data, folder) = (house.path().join("data"), house.path().join("backup"));
    let (store, artifact) = with_version(&data).await;
    store.backup(&folder).await.unwrap();
    let again = store.backup(&folder).await;
    assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
    let over = Sqlite::restore(&folder, &data).await;
    assert!(matches!(over, Err(Error::Conflict { .. })), "{over:?}");
    let none = Sqlite::restore(house.path(), &house.path().join("x")).await;
    assert!(matches!(none, Err(Error::NotFound { what: "backup", .. })), "{none:?}");

    let artifact = folder.join(ARTIFACT_FOLDER).join(&artifact[..2]).join(&artifact);
    let whole = fs::read(&artifact).unwrap();
    fs::write(&artifact, b"a foresT").unwrap();
    let target = house.path().join("restored");
    let damaged = Sqlite::restore(&folder, &target).await;
    assert!(matches!(damaged, Err(Error::Corrupt { .. })), "{damaged:?}");
    assert!(!target.exists(), "a folder appears whole or not at all");
    fs::write(&artifact, whole).unwrap();

    let database = folder.join(DATABASE_FILE);
    let mut bytes = fs::read(&database).unwrap();
    let from = bytes.len() / 3 / 4_096 * 4_096;
    bytes[from..from + 8_192].fill(0xff);
    fs::write(&database, bytes).unwrap();
    let damaged = Sqlite::restore(&folder, &target).await;
    assert!(damaged.is_err() && !target.exists(), "{damaged:?}");
}
