//! Models in memory and batches: a thousand promotions under readers, room for few models, and what a batch refuses.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use common::{DAY, at, config, fresh, hourly, name, quiet, write};
use forewatt_domain::{ForecastPoint, VersionId};
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::train::TrainRequest;
use forewatt_service::{ErrorKind, Service};
use forewatt_store::Sqlite;
use jiff::SignedDuration;

/// Times the champion changes under the readers.
const SWAPS: usize = 1_000;

/// A service on a store in memory with room for so many bytes of models.
async fn service(models_max_bytes: u64) -> Service {
    let mut config = config(at(60 * DAY));
    config.cache.models_max_bytes = models_max_bytes;
    Service::with_store(Sqlite::in_memory().await.unwrap().into(), config, Arc::new(|| at(60 * DAY)))
}

async fn train(service: &Service, series: &str, family: &str) -> VersionId {
    let request = TrainRequest {
        model: Some(family.parse().unwrap()),
        horizon: Some("PT24H".to_owned()),
        backtest_days: Some(3),
        ..TrainRequest::new(name(series))
    };
    service.train(&request, quiet()).await.unwrap().version.id
}

/// Questions that nobody asked before, with the same answer: another microsecond in which nothing became known.
fn fresh_question(serial: &AtomicI64) -> ForecastRequest {
    let later = serial.fetch_add(1, Ordering::Relaxed);
    ForecastRequest { as_of: Some(at(60 * DAY + 1 + later)), ..ForecastRequest::new(name("load")) }
}

async fn answers(service: &Service, ids: &[VersionId]) -> BTreeMap<VersionId, Vec<ForecastPoint>> {
    let mut answers = BTreeMap::new();
    for id in ids {
        let ask = ForecastRequest { version: Some(id.clone()), ..fresh_question(&AtomicI64::new(-1)) };
        answers.insert(id.clone(), service.forecast(&ask).await.unwrap().forecast.points.clone());
    }
    answers
}

async fn swap_under_readers(models_max_bytes: u64) {
    let service = service(models_max_bytes).await;
    write(&service, "load", &hourly(60)).await;
    let ids = [
        train(&service, "load", "seasonal-naive").await,
        train(&service, "load", "seasonal-empirical").await,
    ];
    let expected = Arc::new(answers(&service, &ids).await);
    assert_ne!(expected[&ids[0]], expected[&ids[1]], "the versions answer differently");
    let (serial, done) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
    let readers = (0..4).map(|_| {
        let (service, serial) = (service.clone(), Arc::clone(&serial));
        let (expected, done) = (Arc::clone(&expected), Arc::clone(&done));
        tokio::spawn(async move {
            let mut asked = 0;
            while !done.load(Ordering::Relaxed) {
                let answer = service.forecast(&fresh_question(&serial)).await.unwrap();
                let version = &answer.forecast.model_version;
                assert_eq!(&answer.forecast.points, &expected[version], "an answer of two versions");
                let json = std::str::from_utf8(&answer.json).unwrap();
                assert!(json.contains(&format!("\"model_version\":\"{version}\"")), "{json}");
                asked += 1;
            }
            asked
        })
    });
    let readers: Vec<_> = readers.collect();
    for swap in 0..SWAPS {
        let next = &ids[(swap + 1) % 2];
        service.promote(next, Some("a drill")).await.unwrap();
        let answer = service.forecast(&fresh_question(&serial)).await.unwrap();
        assert_eq!(&answer.forecast.model_version, next, "swap {swap} was not seen at once");
    }
    done.store(true, Ordering::Relaxed);
    let asked: Vec<usize> =
        futures::future::join_all(readers).await.into_iter().map(Result::unwrap).collect();
    assert!(asked.iter().all(|&asked| asked > 0), "a reader that never read: {asked:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_promotions_fail_no_answer_and_mix_none() {
    swap_under_readers(100_000_000).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nor_do_they_where_no_model_fits_in_memory() {
    swap_under_readers(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn models_stay_within_their_bytes() {
    let service = service(100_000_000).await;
    let names = ["a", "b", "c"];
    for series in names {
        write(&service, series, &hourly(60)).await;
        train(&service, series, "seasonal-naive").await;
        service.forecast(&ForecastRequest::new(name(series))).await.unwrap();
    }
    let all = service.resident_models().await;
    assert_eq!(all.models, 3);
    assert!(all.bytes > 3 * 20_000, "bytes, not models, are counted: {all:?}");

    let roomy = self::service(all.bytes * 2 / 3).await;
    for series in names {
        write(&roomy, series, &hourly(60)).await;
        train(&roomy, series, "seasonal-naive").await;
        roomy.forecast(&ForecastRequest::new(name(series))).await.unwrap();
        let now = roomy.resident_models().await;
        assert!(now.bytes <= all.bytes * 2 / 3 && now.models <= 2, "{now:?} of {all:?}");
    }
    assert_eq!(roomy.resident_models().await.models, 2);
    let batch = names.map(|series| ForecastRequest {
        as_of: Some(at(60 * DAY + 1)),
        ..ForecastRequest::new(name(series))
    });
    let answers = roomy.forecast_batch(batch.to_vec()).await.unwrap();
    assert!(answers.iter().all(Result::is_ok), "what made room is loaded again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_answers_as_single_questions_do_and_fails_in_place() {
    let (service, _dir) = fresh(at(60 * DAY)).await;
    write(&service, "weather", &hourly(62)).await;
    for series in ["a", "b"] {
        write(&service, series, &hourly(60)).await;
        let request = TrainRequest {
            model: Some("linear".parse().unwrap()),
            horizon: Some("PT24H".to_owned()),
            backtest_days: Some(3),
            covariates: Some(vec![forewatt_domain::Covariate { series: name("weather"), known_ahead: true }]),
            ..TrainRequest::new(name(series))
        };
        service.train(&request, quiet()).await.unwrap();
    }
    let ask = |series: &str, hours: i64, micros: i64| ForecastRequest {
        horizon: Some(SignedDuration::from_hours(hours)),
        as_of: Some(at(60 * DAY + micros)),
        ..ForecastRequest::new(name(series))
    };
    let batch = vec![ask("a", 24, 7), ask("nobody", 24, 7), ask("b", 6, 7), ask("b", 48, 7), ask("b", 24, 7)];
    let together = service.forecast_batch(batch).await.unwrap();
    let kinds: Vec<_> = together.iter().map(|answer| answer.as_ref().err().map(|error| error.kind)).collect();
    assert_eq!(kinds, [None, Some(ErrorKind::NotFound), None, Some(ErrorKind::InvalidInput), None]);
    for (place, series, hours) in [(0, "a", 24), (2, "b", 6), (4, "b", 24)] {
        // Another microsecond, so that it cannot come from the batch's cache.
        let alone = service.forecast(&ask(series, hours, 8)).await.unwrap();
        assert_eq!(together[place].as_ref().unwrap().forecast.points, alone.forecast.points, "{series}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_with_too_many_values_is_refused_before_it_is_computed() {
    let (service, _dir) = fresh(at(60 * DAY)).await;
    write(&service, "load", &hourly(60)).await;
    let long = |hours| ForecastRequest {
        horizon: Some(SignedDuration::from_hours(hours)),
        ..ForecastRequest::new(name("load"))
    };
    // 10,000 values are allowed: three levels times 3,333 hours.
    let refused = service.forecast_batch(vec![long(3_300), long(34)]).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::TooLarge);
    assert!(refused.message.contains("10002") && refused.message.contains("10000"), "{refused}");
    let allowed = service.forecast_batch(vec![long(3_300), long(33)]).await.unwrap();
    assert!(allowed.iter().all(|answer| answer.as_ref().unwrap_err().kind == ErrorKind::NoModel));
}
