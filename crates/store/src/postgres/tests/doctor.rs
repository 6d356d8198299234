//! The doctor at a live server: what it must see, and that it changes nothing.

use std::collections::BTreeSet;

use super::server::Database;
use super::{Postgres, open, options};
use crate::doctor::{Finding, Weight};

fn of<'a>(findings: &'a [Finding], check: &str) -> &'a Finding {
    findings.iter().find(|finding| finding.check == check).unwrap()
}

async fn examine(database: &Database) -> Vec<Finding> {
    Postgres::examine(&options(database.url())).await.unwrap()
}

#[tokio::test]
async fn an_empty_database_gets_no_tables() {
    let Some(database) = Database::create() else { return };
    let findings = examine(&database).await;
    assert_eq!(of(&findings, "schema").weight, Weight::Bad);
    assert_eq!(database.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
    // The tests' server does without, for speed.
    assert_eq!(of(&findings, "fsync").weight, Weight::Bad);
}

#[tokio::test]
async fn a_store_is_well_until_an_index_is_gone() {
    let Some(database) = Database::create() else { return };
    let folder = tempfile::tempdir().unwrap();
    let _store = open(&database, folder.path()).await.unwrap();
    let findings = examine(&database).await;
    for check in ["schema", "indexes", "partitions", "dead rows", "connections", "transaction age"] {
        assert_eq!(of(&findings, check).weight, Weight::Good, "{:?}", of(&findings, check));
    }
    database.sql("DROP INDEX forecast_by_version");
    let findings = examine(&database).await;
    let indexes = of(&findings, "indexes");
    assert_eq!(indexes.weight, Weight::Bad);
    assert!(indexes.found.ends_with("forecast_by_version"), "{indexes:?}");
}

#[tokio::test]
async fn every_index_is_on_the_list() {
    let Some(database) = Database::create() else { return };
    let folder = tempfile::tempdir().unwrap();
    let _store = open(&database, folder.path()).await.unwrap();
    let listed: BTreeSet<&str> = crate::postgres::doctor::INDEXES.iter().copied().collect();
    let made = database.sql(crate::postgres::doctor::USABLE);
    assert_eq!(made.lines().collect::<BTreeSet<_>>(), listed);
}

#[tokio::test]
async fn pools_that_do_not_fit_are_told() {
    let Some(database) = Database::create() else { return };
    let greedy = crate::PostgresOptions { max_connections: 100_000, ..options(database.url()) };
    let findings = Postgres::examine(&greedy).await.unwrap();
    let connections = of(&findings, "connections");
    assert_eq!(connections.weight, Weight::Bad);
    assert!(connections.mend.contains("pgbouncer"), "{connections:?}");
}

#[tokio::test]
async fn a_primary_is_no_replica() {
    let Some(database) = Database::create() else { return };
    let doubled = crate::PostgresOptions { read_url: Some(database.url()), ..options(database.url()) };
    let findings = Postgres::examine(&doubled).await.unwrap();
    assert_eq!(of(&findings, "store.read_url").weight, Weight::Note);
}
