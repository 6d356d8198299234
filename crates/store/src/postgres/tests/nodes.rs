//! Several nodes on one database: starting, writing, reading from a replica, jobs, upkeep, a role without rights.

use std::collections::BTreeMap;

use forewatt_domain::SeriesKind;
use serde_json::json;
use sqlx::{Connection, PgConnection};

use super::server::Database;
use super::{Private, described, hour, named, open, options, seen};
use crate::contract::{Harness, hours};
use crate::postgres::{LOCK_UPKEEP, MIGRATIONS, Postgres, lock, partitions};
use crate::{
    Error, JobRecord, JobState, JobStore, ObservationStore, SeriesStore, Upkeep, UpkeepDone, UpkeepStore,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_may_start_together_on_a_new_database() {
    let Some(database) = Database::create() else { return };
    let folder = tempfile::tempdir().unwrap();
    let start = || open(&database, folder.path());
    let (one, two, three) = tokio::join!(start(), start(), start());
    one.unwrap().put_series(&described("load"), hour(0)).await.unwrap();
    assert_eq!(two.unwrap().list_series(None, 9).await.unwrap().len(), 1);
    three.unwrap().ping().await.unwrap();
    let applied = database.sql("SELECT count(*) FROM _sqlx_migrations");
    assert_eq!(applied, MIGRATIONS.iter().count().to_string());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_from_the_future_is_refused() {
    let Some(private) = Private::empty().await else { return };
    private.database.sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time) \
         VALUES (9999, 'from the future', true, '', 0)",
    );
    let refused = open(&private.database, private.folder.path()).await.unwrap_err();
    let newest = MIGRATIONS.iter().map(|m| m.version).max().unwrap();
    assert!(matches!(refused, Error::NewerSchema { found: 9999, known } if known == newest), "{refused}");
}

/// Two nodes write to one series at once: nothing is lost, and every write that stored something has its own revision.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn revisions_are_the_databases() {
    let Some(private) = Private::empty().await else { return };
    let other = open(&private.database, private.folder.path()).await.unwrap();
    private.store.put_series(&described("load"), hour(0)).await.unwrap();
    let load = named("load");
    let write = async |store: &Postgres, first: i64| {
        for part in 0..10 {
            let given: Vec<_> = (0..100).map(|i| first + part * 100 + i).map(|i| seen(i, i, 1.0)).collect();
            store.write_observations(&named("load"), &given).await.unwrap();
        }
    };
    let (_, before) = private.store.get_series(&load).await.unwrap().unwrap();
    tokio::join!(write(&private.store, 0), write(&other, 2_000));
    for store in [&private.store, &other] {
        let (_, state) = store.get_series(&load).await.unwrap().unwrap();
        assert_eq!((state.observations, state.revision), (2_000, before.revision + 20));
    }
}

/// A replica answers when it has what this node has seen of the series, and only then.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_lags_is_not_asked() {
    let (Some(private), Some(replica)) = (Private::empty().await, Private::empty().await) else { return };
    let load = named("load");
    // A replica in all but the replication: its values tell it from the primary.
    for (store, value) in [(&private.store, 1.0), (&replica.store, 2.0)] {
        store.put_series(&described("load"), hour(0)).await.unwrap();
        store.write_observations(&load, &[seen(0, 0, value)]).await.unwrap();
    }
    let mut both = options(private.database.url());
    both.read_url = Some(replica.database.url());
    let store = Postgres::open(private.folder.path(), &both).await.unwrap();
    let read = async || store.read_as_of(&hours(&load, 0, 9), hour(9)).await.unwrap()[0].value;
    assert_eq!(read().await, 1.0, "a series that was never looked at comes from the primary");
    store.get_series(&load).await.unwrap();
    assert_eq!(read().await, 2.0, "the replica has caught up");
    store.write_observations(&load, &[seen(1, 1, 1.0)]).await.unwrap();
    assert_eq!(read().await, 1.0, "it has not seen this node's write");
    replica.store.write_observations(&load, &[seen(1, 1, 2.0)]).await.unwrap();
    assert_eq!(read().await, 2.0);
    // Another node writes: what it wrote is asked for once it was seen here.
    private.store.write_observations(&load, &[seen(2, 2, 1.0)]).await.unwrap();
    assert_eq!(read().await, 2.0, "not seen yet, so the answer belongs to the revision seen");
    store.get_series(&load).await.unwrap();
    assert_eq!(read().await, 1.0);
    // And a replica that is gone is no reason to fail.
    drop(replica);
    store.read_as_of(&hours(&load, 0, 9), hour(9)).await.unwrap();
    assert_eq!(read().await, 1.0);
    assert_eq!(store.pools().len(), 2);
}

fn job(id: &str) -> JobRecord {
    JobRecord {
        id: id.to_owned(),
        kind: "train".to_owned(),
        payload: json!({}),
        state: JobState::Running,
        progress: 0.5,
        message: String::new(),
        result: None,
        created_at: hour(0),
        updated_at: hour(0),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_living_nodes_jobs_are_no_orphans() {
    let Some(private) = Private::empty().await else { return };
    let other = open(&private.database, private.folder.path()).await.unwrap();
    private.store.put_job(&job("mine")).await.unwrap();
    other.put_job(&job("theirs")).await.unwrap();
    let third = open(&private.database, private.folder.path()).await.unwrap();
    assert_eq!(third.fail_orphans(hour(1), "gone").await.unwrap(), 0, "both nodes live");
    assert_eq!(
        private.store.fail_orphans(hour(1), "stopping").await.unwrap(),
        1,
        "a node's own, when it stops"
    );
    assert_eq!(other.get_job("theirs").await.unwrap().unwrap().state, JobState::Running);
    // A broken connection is mended by the next record, under the same number.
    private.database.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
    );
    other.put_job(&job("theirs")).await.unwrap();
    assert_eq!(third.fail_orphans(hour(2), "gone").await.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_owns_the_database_needs_no_other_right() {
    let Some(database) = Database::create() else { return };
    let role = format!("role_{}", database.name());
    database.sql(&format!("CREATE ROLE {role} LOGIN"));
    database.sql(&format!("ALTER DATABASE {} OWNER TO {role}", database.name()));
    let folder = tempfile::tempdir().unwrap();
    let store = Postgres::open(folder.path(), &options(database.url_as(&role))).await.unwrap();
    store.put_series(&described("load"), hour(0)).await.unwrap();
    let many: Vec<_> = (0..3_000).map(|i| seen(i, i, 1.0)).collect();
    for _ in 0..2 {
        store.write_observations(&named("load"), &many).await.unwrap();
    }
    store.put_job(&job("a")).await.unwrap();
    store.fail_orphans(hour(0), "").await.unwrap();
    let all = BTreeMap::from([(SeriesKind::Load, 1)]);
    let upkeep = Upkeep { now: hour(99_999), ahead_months: 1, retention_days: all };
    assert!(store.upkeep(&upkeep).await.unwrap().partitions_dropped > 0);
    store.close().await;
    database.sql(&format!("DROP OWNED BY {role} CASCADE"));
}

/// Partitions: one a month of what is written, those to come ahead of time, whole ones dropped, and made again by a node
/// that does not know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_come_and_go() {
    let Some(private) = Private::empty().await else { return };
    let store = &private.store;
    let other = open(&private.database, private.folder.path()).await.unwrap();
    let months = async || {
        let mut reader = store.primary.reader().await.unwrap();
        let months = partitions::attached(&mut reader).await.unwrap();
        Vec::from_iter(months.into_iter().map(|month| month.table()))
    };
    store.put_series(&described("load"), hour(0)).await.unwrap();
    assert!(months().await.is_empty());
    let given = [seen(0, 0, 1.0), seen(24 * 40, 0, 1.0)];
    store.write_observations(&named("load"), &given).await.unwrap();
    assert_eq!(months().await, ["observation_y2026m01", "observation_y2026m02"]);
    let keep = |days| BTreeMap::from([(SeriesKind::Load, days)]);
    let upkeep = Upkeep { now: hour(24 * 62), ahead_months: 1, retention_days: keep(25) };
    let expected = UpkeepDone { observations_dropped: 1, partitions_made: 2, partitions_dropped: 1 };
    assert_eq!(other.upkeep(&upkeep).await.unwrap(), expected);
    assert_eq!(months().await, ["observation_y2026m02", "observation_y2026m03", "observation_y2026m04"]);
    let outcome = store.write_observations(&named("load"), &given).await.unwrap();
    assert_eq!((outcome.stored, outcome.unchanged), (1, 1), "the dropped month was made again");
    // Another node that is at it is not waited for.
    let mut connection = PgConnection::connect(&private.database.url()).await.unwrap();
    let mut turn = connection.begin().await.unwrap();
    lock(&mut turn, LOCK_UPKEEP).await.unwrap();
    assert_eq!(store.upkeep(&upkeep).await.unwrap(), UpkeepDone::default());
}
