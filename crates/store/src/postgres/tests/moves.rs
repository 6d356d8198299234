//! A whole store moved from SQLite to PostgreSQL and back: the same, resumable, and honest about differences.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use forewatt_domain::{Alias, Forecast, ForecastPoint, QuantileLevels, SeriesName, VersionId};
use serde_json::json;

use super::{Private, described, hour, named, seen};
use crate::contract::versions::trained;
use crate::contract::{Harness, hours};
use crate::migrate::{Migrated, migrate};
use crate::{
    Backend, Error, ForecastStore, JobRecord, JobState, JobStore, ObservationStore, QualityRecord,
    QualityStore, Result, SeriesStore, Sqlite, VersionStore,
};

fn issued(name: &SeriesName, start: i64) -> Forecast {
    let point =
        |i| ForecastPoint { valid_time: hour(start + i), mean: i as f64 / 3.0, quantiles: vec![0.1, 7.0] };
    Forecast {
        series: name.clone(),
        unit: "MW".to_owned(),
        model_version: VersionId::new(name, 1),
        forecast_start: hour(start),
        issued_at: hour(start),
        data_watermark: hour(start),
        quality: 0.5,
        degraded: (start % 2 == 0).then(|| "no weather".to_owned()),
        levels: QuantileLevels::new(vec![0.1, 0.9]).unwrap(),
        points: (0..5).map(point).collect(),
    }
}

/// Something of everything.
async fn filled() -> Backend {
    let store: Backend = Sqlite::in_memory().await.unwrap().into();
    for (name, rows) in [("a", 3_000), ("b", 10), ("empty", 0)] {
        let series = described(name);
        store.put_series(&series, hour(0)).await.unwrap();
        let all: Vec<_> = (0..rows).map(|i| seen(i / 2, i, i as f64 / 7.0)).collect();
        store.write_observations(&series.name, &all).await.unwrap();
        for start in 0..rows.min(250) {
            store.put_forecast(&issued(&series.name, start)).await.unwrap();
        }
    }
    let mut parent = None;
    for _ in 0..3 {
        let mut new = trained(&store, &named("a")).await;
        new.parent = parent.take();
        let version = store.add_version(new).await.unwrap().id;
        store.set_alias(&named("a"), Alias::Champion, &version, hour(1), "better").await.unwrap();
        parent = Some(version);
    }
    let record = QualityRecord {
        series: named("a"),
        checked_at: hour(2),
        revision: 3,
        score: 0.5,
        findings: json!([{"kind": "gap"}]),
    };
    store.put_quality(&record).await.unwrap();
    for (id, state) in [("done", JobState::Succeeded), ("queued", JobState::Queued)] {
        let job = JobRecord {
            id: id.to_owned(),
            kind: "train".to_owned(),
            payload: json!({"series": "a"}),
            state,
            progress: 1.0,
            message: String::new(),
            result: None,
            created_at: hour(0),
            updated_at: hour(0),
        };
        store.put_job(&job).await.unwrap();
    }
    store
}

async fn moved(from: &Backend, to: &Backend) -> Result<Migrated> {
    migrate(from, to, hour(0), |_, _, _| ()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_moves_there_and_back() {
    let Some(private) = Private::empty().await else { return };
    let (source, target): (_, Backend) = (filled().await, private.store().into());
    let steps = AtomicUsize::new(0);
    let count = |done, all, _: &SeriesName| {
        assert_eq!((done, all), (steps.fetch_add(1, Ordering::Relaxed), 3));
    };
    let there = migrate(&source, &target, hour(0), count).await.unwrap();
    assert_eq!(steps.into_inner(), 3);
    let counts = there.series.iter().map(|s| (s.observations, s.forecasts, s.was_there));
    assert_eq!(Vec::from_iter(counts), [(3_000, 250, false), (10, 10, false), (0, 0, true)]);
    assert_eq!((there.versions, there.jobs), (3, 1), "a job that waits is not moved");
    // What is there is seen to be there.
    let again = moved(&source, &target).await.unwrap();
    assert!(again.series.iter().all(|series| series.was_there), "{again:#?}");
    let back: Backend = Sqlite::in_memory().await.unwrap().into();
    let returned = moved(&target, &back).await.unwrap();
    let sums = |of: &Migrated| Vec::from_iter(of.series.iter().map(|s| s.sha256.clone()));
    assert_eq!(sums(&returned), sums(&there));
    let a = named("a");
    for store in [&target, &back] {
        assert_eq!(store.list_versions(None, 9).await.unwrap(), source.list_versions(None, 9).await.unwrap());
        assert_eq!(store.alias_moves(&a, 9).await.unwrap(), source.alias_moves(&a, 9).await.unwrap());
        assert_eq!(store.latest_quality(&a).await.unwrap(), source.latest_quality(&a).await.unwrap());
        assert_eq!(
            store.aliases(&a).await.unwrap(),
            BTreeMap::from([(Alias::Champion, VersionId::new(&a, 3))])
        );
        assert!(store.get_job("queued").await.unwrap().is_none());
        let range = hours(&a, 0, 9_999);
        assert_eq!(store.read_revisions(&range).await.unwrap(), source.read_revisions(&range).await.unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_goes_on_and_differences_are_told() {
    let Some(private) = Private::empty().await else { return };
    let (source, target): (_, Backend) = (filled().await, private.store().into());
    // A try that was broken off in the middle of the first series.
    target.put_series(&described("a"), hour(0)).await.unwrap();
    let part = source.read_revisions(&hours(&named("a"), 0, 700)).await.unwrap();
    target.write_observations(&named("a"), &part).await.unwrap();
    moved(&source, &target).await.unwrap();
    let range = hours(&named("a"), 0, 9_999);
    assert_eq!(target.read_revisions(&range).await.unwrap(), source.read_revisions(&range).await.unwrap());
    // One value more, and one that is another.
    target.write_observations(&named("a"), &[seen(3, 9_000, 1.0)]).await.unwrap();
    let refused = moved(&source, &target).await.unwrap_err();
    assert!(
        matches!(refused, Error::Conflict { .. }) && refused.to_string().contains("checksum"),
        "{refused}"
    );
    let Some(other) = Private::empty().await else { return };
    let other: Backend = other.store().into();
    other.put_series(&described("a"), hour(0)).await.unwrap();
    other.write_observations(&named("a"), &[seen(0, 0, -1.0)]).await.unwrap();
    let refused = moved(&source, &other).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict { .. }) && refused.to_string().contains("`a`"), "{refused}");
}
