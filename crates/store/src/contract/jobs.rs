//! Promises about background jobs and quality checks.

use serde_json::json;

use super::{Harness, hour, is_missing, named, with_series};
use crate::{Error, JobRecord, JobState, JobStore, QualityRecord, QualityStore};

fn job(id: &str, state: JobState, created: i64) -> JobRecord {
    JobRecord {
        id: id.to_owned(),
        kind: "train".to_owned(),
        payload: json!({"series": "load", "seed": u64::MAX, "x": 0.1 + 0.2}),
        state,
        progress: 0.25,
        message: "reading".to_owned(),
        result: None,
        created_at: hour(created),
        updated_at: hour(created),
    }
}

/// A record comes back as put, and a later one takes its place.
pub async fn jobs_are_kept_and_updated<H: Harness>(harness: H) {
    let store = harness.store();
    let mut record = job("a", JobState::Queued, 0);
    for (state, result) in [
        (JobState::Queued, None),
        (JobState::Running, None),
        (JobState::Failed, Some(json!(null))),
        (JobState::Succeeded, Some(json!({"version": "load-v1"}))),
    ] {
        (record.state, record.result) = (state, result);
        record.updated_at = record.updated_at.plus_micros(1);
        store.put_job(&record).await.unwrap();
        assert_eq!(store.get_job("a").await.unwrap().as_ref(), Some(&record));
    }
    assert_eq!(store.get_job("b").await.unwrap(), None);
    assert_eq!(store.list_jobs(9).await.unwrap(), [record.clone()]);
    record.progress = f64::NAN;
    assert!(matches!(store.put_job(&record).await, Err(Error::Invalid { .. })));
}

/// What a stopped process left queued or running has failed, and says why; the rest stays.
pub async fn orphans_fail<H: Harness>(harness: H) {
    let store = harness.store();
    for (id, state) in [
        ("q", JobState::Queued),
        ("r", JobState::Running),
        ("s", JobState::Succeeded),
        ("f", JobState::Failed),
    ] {
        store.put_job(&job(id, state, 0)).await.unwrap();
    }
    drop(store);
    let harness = harness.reopen().await;
    let store_again = harness.store();
    assert_eq!(store_again.fail_orphans(hour(5), "the process stopped").await.unwrap(), 2);
    assert_eq!(store_again.fail_orphans(hour(6), "again").await.unwrap(), 0);
    for id in ["q", "r"] {
        let failed = store_again.get_job(id).await.unwrap().unwrap();
        assert_eq!(failed.state, JobState::Failed);
        assert_eq!((failed.message.as_str(), failed.updated_at), ("the process stopped", hour(5)));
    }
    for (id, state) in [("s", JobState::Succeeded), ("f", JobState::Failed)] {
        assert_eq!(store_again.get_job(id).await.unwrap(), Some(job(id, state, 0)));
    }
}

/// By creation, the newest first, up to the limit.
pub async fn jobs_are_listed_newest_first<H: Harness>(harness: H) {
    let store = harness.store();
    for (id, created) in [("b", 2), ("a", 3), ("c", 1), ("d", 1)] {
        store.put_job(&job(id, JobState::Queued, created)).await.unwrap();
    }
    let listed = store.list_jobs(3).await.unwrap();
    assert_eq!(listed.iter().map(|j| j.id.as_str()).collect::<Vec<_>>(), ["a", "b", "d"]);
}

fn checked(at: i64, score: f64) -> QualityRecord {
    QualityRecord {
        series: named("load"),
        checked_at: hour(at),
        revision: 7,
        score,
        findings: json!([{"kind": "flatline", "severity": 0.1 + 0.2}]),
    }
}

/// The newest by check time, whatever the order of writing.
pub async fn the_newest_quality_is_read<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    assert_eq!(store.latest_quality(&name).await.unwrap(), None);
    for record in [checked(1, 0.5), checked(3, 0.25), checked(2, 1.0), checked(3, 0.75)] {
        store.put_quality(&record).await.unwrap();
    }
    assert_eq!(store.latest_quality(&name).await.unwrap(), Some(checked(3, 0.75)));
}

/// A result of an unknown series or with a score that is no number is refused.
pub async fn quality_needs_its_series<H: Harness>(harness: H) {
    let store = harness.store();
    assert!(is_missing(&store.put_quality(&checked(0, 0.5)).await, "series"));
    let (store, name) = with_series(&harness, "load").await;
    let refused = store.put_quality(&checked(0, f64::NAN)).await;
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    assert_eq!(store.latest_quality(&name).await.unwrap(), None);
}
