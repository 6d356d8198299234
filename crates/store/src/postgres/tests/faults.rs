//! What may go wrong with the server and the connections to it, and what becomes of the writes under way.

use sqlx::{Connection, PgConnection};

use super::server::{self, Database};
use super::{Private, described, hour, named, open, options, seen};
use crate::contract::{Harness, hours};
use crate::postgres::Postgres;
use crate::{Error, ObservationStore, SeriesStore};

#[tokio::test]
async fn what_cannot_be_opened_says_why_and_keeps_passwords() {
    let Some(database) = Database::create() else { return };
    let folder = tempfile::tempdir().unwrap();
    let opened = async |url: String| {
        let refused = Postgres::open(folder.path(), &options(url)).await.unwrap_err();
        assert!(!refused.to_string().contains("hunter2"), "{refused}");
        refused
    };
    let socket = server::folder().display().to_string().replace('/', "%2F");
    let refused = opened(format!("postgres://postgres:hunter2@{socket}/nowhere")).await;
    assert!(matches!(refused, Error::Backend { .. }) && refused.to_string().contains("create the database"));
    let refused = opened("postgres://me:hunter2@127.0.0.1:1/x".to_owned()).await;
    assert!(
        matches!(refused, Error::Busy { .. }) && refused.to_string().contains("127.0.0.1:1"),
        "{refused}"
    );
    for bad in ["mysql://me:hunter2@db/x", "postgres://me:hunter2@db:port/x", ""] {
        let refused = opened(bad.to_owned()).await;
        assert!(matches!(refused, Error::Invalid { .. }), "{refused}");
    }
    let refused = opened(database.url_as("nobody_of_that_name")).await;
    assert!(refused.to_string().contains("user and the password"), "{refused}");
    let text = format!("{:?}", options("postgres://me:hunter2@db/x".to_owned()));
    assert!(!text.contains("hunter2"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_connections_are_replaced() {
    let Some(private) = Private::empty().await else { return };
    let store = &private.store;
    store.put_series(&described("load"), hour(0)).await.unwrap();
    private.database.sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    // The first to use a broken connection learns of it, and says that trying again helps; then all is well.
    for _ in 0..4 {
        match store.write_observations(&named("load"), &[seen(0, 0, 1.0)]).await {
            Ok(_) => break,
            Err(error) => assert!(matches!(error, Error::Busy { .. }), "{error}"),
        }
    }
    store.write_observations(&named("load"), &[seen(1, 1, 1.0)]).await.unwrap();
    store.ping().await.unwrap();
}

/// With every connection taken, work waits as long as it may, is refused as busy, and is counted.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pool_that_is_used_up_refuses_in_time() {
    let Some(private) = Private::empty().await else { return };
    let mut small = options(private.database.url());
    (small.min_connections, small.max_connections) = (2, 2);
    let filled = Postgres::open(private.folder.path(), &small).await.unwrap();
    assert_eq!(
        (filled.pools()[0].1.idle, filled.pools()[0].1.in_use),
        (2, 0),
        "the least number is open at once"
    );
    filled.close().await;
    (small.min_connections, small.acquire_timeout_ms) = (0, 400);
    let store = Postgres::open(private.folder.path(), &small).await.unwrap();
    let taken = (store.primary.begin().await.unwrap(), store.primary.begin().await.unwrap());
    let (_, status) = store.pools()[0];
    assert_eq!((status.max, status.in_use, status.idle, status.waiting), (2, 2, 0, 0));
    let refused = store.ping().await.unwrap_err();
    assert!(matches!(refused, Error::Busy { .. }), "{refused}");
    let (_, status) = store.pools()[0];
    assert_eq!((status.acquired, status.timed_out, status.waiting), (3, 1, 0));
    assert!(status.waited_micros >= 400_000);
    drop(taken);
    store.ping().await.unwrap();
}

/// A statement waits for a lock no longer than it may, and nothing of it stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_is_held_makes_us_busy_not_stuck() {
    let Some(private) = Private::empty().await else { return };
    let mut hasty = options(private.database.url());
    hasty.lock_timeout_ms = 20;
    let store = Postgres::open(private.folder.path(), &hasty).await.unwrap();
    store.put_series(&described("load"), hour(0)).await.unwrap();
    let mut stranger = PgConnection::connect(&private.database.url()).await.unwrap();
    let mut held = stranger.begin().await.unwrap();
    sqlx::query("SELECT FROM series FOR UPDATE").execute(&mut *held).await.unwrap();
    let refused = store.write_observations(&named("load"), &[seen(0, 0, 1.0)]).await.unwrap_err();
    assert!(
        matches!(refused, Error::Busy { .. }) && refused.to_string().contains("lock_timeout_ms"),
        "{refused}"
    );
    let read = store.read_as_of(&hours(&named("load"), 0, 9), hour(9)).await.unwrap();
    assert!(read.is_empty(), "reading goes on");
    held.rollback().await.unwrap();
    store.write_observations(&named("load"), &[seen(0, 0, 1.0)]).await.unwrap();
}

/// The connection dies in the middle of bulk writes, of both ways: each is there whole or not at all, and what was
/// acknowledged is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_cut_off_leaves_nothing_behind() {
    let Some(private) = Private::empty().await else { return };
    let store = private.store.clone();
    let many: Vec<_> = (0..20_000).map(|i| seen(i, i, 1.0)).collect();
    let mut cut = 0;
    for round in 0..12 {
        let name = format!("load-{round}");
        store.put_series(&described(&name), hour(0)).await.unwrap();
        let load = named(&name);
        if round % 2 == 1 {
            // Something between makes the next write go by the staging table.
            store.write_observations(&load, &many[9_000..9_001]).await.unwrap();
        }
        let before = store.read_revisions(&hours(&load, 0, 99_999)).await.unwrap().len();
        let writer = {
            let (store, load, many) = (store.clone(), load.clone(), many.clone());
            tokio::spawn(async move { store.write_observations(&load, &many).await })
        };
        // As soon as a copy is seen at work, its server process is ended.
        let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                    WHERE datname = current_database() AND query LIKE 'COPY%' AND state = 'active'";
        while !writer.is_finished() && private.database.sql(kill) == "0" {}
        let outcome = writer.await.unwrap();
        let left = loop {
            // A connection that broke with it may be met once more.
            if let Ok(read) = store.read_revisions(&hours(&load, 0, 99_999)).await {
                break read.len();
            }
        };
        cut += u32::from(outcome.is_err());
        assert_eq!(left, if outcome.is_ok() { many.len() } else { before }, "{outcome:?}");
        let state = store.get_series(&load).await.unwrap().unwrap().1;
        assert_eq!(state.observations, left as u64);
    }
    assert!(cut > 0, "no write was cut off");
}

/// Behind pgbouncer in transaction mode everything works, with more clients than connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_of_transactions_is_no_hindrance() {
    let Some(private) = Private::empty().await else { return };
    let Some(pooler) = server::Pooler::start(&private.database, 3) else { return };
    let mut options = options(pooler.url());
    (options.transaction_pooling, options.max_connections) = (true, 16);
    let store = Postgres::open(private.folder.path(), &options).await.unwrap();
    let tasks: Vec<_> = (0..16)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let load = named(&format!("load-{task}"));
                store.put_series(&described(load.as_str()), hour(0)).await.unwrap();
                let many: Vec<_> = (0..2_500).map(|i| seen(i, i, 1.0)).collect();
                for (part, stored) in [(&many[..9], 9), (&many[..], 2_491), (&many[..], 0)] {
                    assert_eq!(store.write_observations(&load, part).await.unwrap().stored, stored);
                }
                let read = store.read_as_of(&hours(&load, 0, 9_999), hour(9_999)).await.unwrap();
                assert_eq!(read, many);
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let direct = open(&private.database, private.folder.path()).await.unwrap();
    assert_eq!(direct.list_series(None, 99).await.unwrap().len(), 16);
    store.close().await;
}
