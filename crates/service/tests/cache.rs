//! The cache of one node: stale answers are renewed behind, what cannot be made is remembered, writes end both.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{DAY, HOUR, at, config, fresh, hourly, name, quiet, write};
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::train::TrainRequest;
use forewatt_service::{Config, ErrorKind, Service, StoreOptions};

const NOW: i64 = 60 * DAY;

async fn node(folder: &tempfile::TempDir, change: impl FnOnce(&mut Config)) -> Service {
    let options = StoreOptions { read_connections: 2, busy_timeout_ms: 10_000, postgres: None };
    let mut config = config(at(NOW));
    change(&mut config);
    Service::open(folder.path(), &options, config).await.unwrap()
}

async fn train(service: &Service) {
    let request = TrainRequest {
        model: Some("linear".parse().unwrap()),
        horizon: Some("PT24H".to_owned()),
        backtest_days: Some(7),
        covariates: Some(vec![]),
        ..TrainRequest::new(name("load"))
    };
    service.train(&request, quiet()).await.unwrap();
}

/// A store with a trained series.
async fn trained() -> tempfile::TempDir {
    let (service, folder) = fresh(at(NOW)).await;
    write(&service, "load", &hourly(60)).await;
    train(&service).await;
    service.close().await;
    folder
}

fn question() -> ForecastRequest {
    ForecastRequest::new(name("load"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stale_answer_is_given_and_made_anew_behind_it() {
    let folder = trained().await;
    // Nothing is ever fresh, and everything may be given for an hour.
    let service = node(&folder, |config| {
        config.cache.answer_ttl_ms = 0;
        config.cache.stale_max_ms = 3_600_000;
    })
    .await;
    let first = service.forecast(&question()).await.unwrap();
    let computed = service.cache_report().computed;
    let second = service.forecast(&question()).await.unwrap();
    assert!(Arc::ptr_eq(&first, &second), "given at once");
    let renewed = async {
        while Arc::ptr_eq(&service.forecast(&question()).await.unwrap(), &first) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), renewed).await.unwrap();
    let report = service.cache_report();
    assert!(report.computed > computed && report.stale_hits > 0, "{report:?}");
    assert_eq!(
        service.forecast(&question()).await.unwrap().json,
        first.json,
        "the same data, the same answer"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_bound_for_stale_answers_none_is_given() {
    let folder = trained().await;
    let service = node(&folder, |config| config.cache.answer_ttl_ms = 0).await;
    for asked in 1..4 {
        service.forecast(&question()).await.unwrap();
        let report = service.cache_report();
        assert_eq!((report.computed, report.local_hits), (asked, 0), "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_is_remembered_until_something_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let service = node(&folder, |config| config.cache.refusal_ttl_ms = 3_600_000).await;
    let kind = async || service.forecast(&question()).await.map(drop).unwrap_err().kind;
    assert_eq!((kind().await, kind().await, kind().await), {
        let unknown = ErrorKind::NotFound;
        (unknown, unknown, unknown)
    });
    assert_eq!(service.cache_report().refusal_hits, 2);
    // Every write ends it at once.
    write(&service, "load", &hourly(60)).await;
    assert_eq!((kind().await, kind().await), (ErrorKind::NoModel, ErrorKind::NoModel));
    assert_eq!(service.cache_report().refusal_hits, 3);
    train(&service).await;
    service.forecast(&question()).await.unwrap();

    // Before its data begin nothing can be said, which need not be found out again.
    let early = ForecastRequest { forecast_start: Some(at(-DAY)), ..question() };
    for hits in [3, 4, 5] {
        let refused = service.forecast(&early).await.unwrap_err();
        assert_eq!((refused.kind, service.cache_report().refusal_hits), (ErrorKind::InsufficientData, hits));
    }
    let more = forewatt_service::observations::NewObservation {
        valid_time: at(-DAY - HOUR),
        available_at: Some(at(-DAY)),
        value: 1_000.0,
    };
    service.write_observations(&name("load"), &[more]).await.unwrap();
    service.forecast(&early).await.unwrap();
}

#[tokio::test]
async fn a_url_of_redis_that_is_none_is_refused_without_its_password() {
    let folder = tempfile::tempdir().unwrap();
    let options = StoreOptions { read_connections: 1, busy_timeout_ms: 1_000, postgres: None };
    for url in ["http://:hunter2@cache", "rediss://:hunter2@cache", "cache:6379", "redis://:hunter2@cache:x"]
    {
        let mut config = config(at(NOW));
        config.cache.redis_url = url.to_owned();
        let Err(refused) = Service::open(folder.path(), &options, config).await else {
            panic!("{url} is taken")
        };
        assert!(
            refused.message.contains("cache.redis_url") && !refused.message.contains("hunter2"),
            "{refused}"
        );
    }
}
