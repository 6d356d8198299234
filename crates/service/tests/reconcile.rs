//! A whole and its parts through the service: they add up, and every fallback is told.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use common::{DAY, HOUR, at, fresh, hourly, name, open, quiet, series, write};
use forewatt_domain::{Observation, QuantileLevels, Series};
use forewatt_service::domain::SeriesKind;
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::observations::NewObservation;
use forewatt_service::reconcile::{ErrorSource, Method, ReconcileRequest, Reconciled};
use forewatt_service::train::TrainRequest;
use forewatt_service::{ErrorKind, Service};

const HOMES: [&str; 3] = ["home-1", "home-2", "home-3"];

/// A home's load: the common rhythm on its own scale, and a wave of its own.
fn home(place: usize, days: i64) -> Vec<Observation> {
    let mut all = hourly(days);
    for (hour, o) in all.iter_mut().enumerate() {
        let own = (hour as f64 * (0.31 + 0.17 * place as f64)).sin();
        o.value = (0.1 + 0.2 * place as f64) * o.value + 20.0 * own;
    }
    all
}

/// A district of three homes with `days` of data.
async fn district(service: &Service, days: i64) {
    let homes: Vec<Vec<Observation>> = (0..3).map(|place| home(place, days)).collect();
    let mut total = homes[0].clone();
    for (hour, o) in total.iter_mut().enumerate() {
        o.value = homes.iter().map(|home| home[hour].value).sum();
    }
    write(service, "district", &total).await;
    for (home, observations) in HOMES.into_iter().zip(homes) {
        write(service, home, &observations).await;
        part(service, home, "district").await;
    }
}

async fn part(service: &Service, of: &str, parent: &str) {
    let described = Series { parent: Some(name(parent)), ..series(of) };
    service.put_series(&described).await.unwrap();
}

async fn train(service: &Service, of: &[&str]) {
    for one in of {
        let request = TrainRequest {
            model: "seasonal-naive".parse().ok(),
            horizon: Some("PT24H".to_owned()),
            backtest_days: Some(7),
            ..TrainRequest::new(name(one))
        };
        assert!(service.train(&request, quiet()).await.unwrap().promoted);
    }
}

const ALL: [&str; 4] = ["district", "home-1", "home-2", "home-3"];

fn check(answer: &Reconciled, steps: usize) {
    assert!(answer.series.iter().all(|one| one.points.len() == steps));
    for i in 0..steps {
        let parts: f64 = answer.series[1..].iter().map(|one| one.points[i].mean).sum();
        assert_eq!(answer.series[0].points[i].mean.to_bits(), parts.to_bits(), "step {i}");
        for one in &answer.series {
            let quantiles: Vec<f64> = one.points[i].quantiles.values().copied().collect();
            assert!(quantiles.is_sorted() && quantiles[0] >= 0.0, "{quantiles:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_district_and_its_homes_add_up() {
    let (service, _dir) = fresh(at(60 * DAY)).await;
    district(&service, 60).await;
    train(&service, &ALL).await;
    let request = ReconcileRequest {
        levels: QuantileLevels::parse("0.05,0.5,0.95").ok(),
        ..ReconcileRequest::new(name("district"))
    };
    let answer = service.reconcile(&request).await.unwrap();
    check(&answer, 24);
    assert_eq!((answer.asked, answer.method, answer.degraded.as_deref()), (Method::Mint, Method::Mint, None));
    assert_eq!(answer.errors.source, ErrorSource::Backtest, "one forecast was issued: too few to weigh by");
    assert!(answer.errors.steps >= 600 && answer.errors.shrinkage.is_some(), "{:?}", answer.errors);
    assert!(answer.non_negative);
    let alone = service.forecast(&ForecastRequest::new(name("home-2"))).await.unwrap();
    assert_eq!(answer.series[2].points[5].base_mean.to_bits(), alone.forecast.points[5].mean.to_bits());
    assert_eq!(answer.series[2].model_version.as_ref(), Some(&alone.forecast.model_version));
    assert_eq!(answer.series[2].parent, Some(name("district")));
    assert_eq!(service.reconcile(&request).await.unwrap(), answer, "the same question, the same answer");
    for method in Method::ALL {
        let answer = service.reconcile(&ReconcileRequest { method, ..request.clone() }).await.unwrap();
        assert_eq!((answer.method, answer.degraded.as_deref()), (method, None));
        check(&answer, 24);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_home_without_a_champion_is_stood_in_for_and_told() {
    let (service, _dir) = fresh(at(60 * DAY)).await;
    district(&service, 60).await;
    let nobody = service.reconcile(&ReconcileRequest::new(name("district"))).await.unwrap_err();
    assert_eq!(nobody.kind, ErrorKind::NoModel);
    assert!(nobody.message.contains("forewatt train"), "{nobody}");
    train(&service, &["district", "home-1", "home-3"]).await;
    let answer = service.reconcile(&ReconcileRequest::new(name("district"))).await.unwrap();
    check(&answer, 24);
    assert!(answer.degraded.as_ref().unwrap().contains("1 of 4 series"), "{:?}", answer.degraded);
    let told = answer.series[2].stand_in.as_ref().unwrap();
    assert!(told.contains("no champion") && told.starts_with("linear"), "{told}");
    assert_eq!(answer.series[2].model_version, None);
    // The home lies near 300; its stand-in knows it.
    assert!(
        (150.0..450.0).contains(&answer.series[2].points[0].base_mean),
        "{:?}",
        answer.series[2].points[0]
    );

    write(&service, "empty", &[]).await;
    part(&service, "empty", "district").await;
    let refused = service.reconcile(&ReconcileRequest::new(name("district"))).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InsufficientData);
    assert!(refused.message.contains("`empty` has no stand-in"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn issued_forecasts_weigh_once_there_are_enough() {
    let dir = tempfile::tempdir().unwrap();
    let service = open(&dir, at(56 * DAY)).await;
    district(&service, 60).await;
    train(&service, &ALL).await;
    service.close().await;
    for day in 56..60 {
        let service = open(&dir, at(day * DAY)).await;
        for one in ALL {
            service.forecast(&ForecastRequest::new(name(one))).await.unwrap();
        }
        service.close().await;
    }
    let service = open(&dir, at(60 * DAY)).await;
    let answer = service.reconcile(&ReconcileRequest::new(name("district"))).await.unwrap();
    check(&answer, 24);
    // Four forecasts of a day each: only the second half of each lies half the horizon ahead.
    assert_eq!((answer.errors.source, answer.errors.steps), (ErrorSource::Issued, 48));
    assert_eq!(answer.method, Method::Mint);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_past_errors_weights_are_structural_and_told() {
    let (service, _dir) = fresh(at(60 * DAY)).await;
    district(&service, 60).await;
    train(&service, &ALL).await;
    let early =
        ReconcileRequest { as_of: Some(at(DAY + 12 * HOUR)), ..ReconcileRequest::new(name("district")) };
    let answer = service.reconcile(&early).await.unwrap();
    check(&answer, 24);
    assert_eq!((answer.asked, answer.method), (Method::Mint, Method::WlsStructural));
    let told = answer.degraded.unwrap();
    assert!(told.contains("wls-structural in place of mint") && told.contains("independently"), "{told}");
    assert_eq!((answer.errors.source, answer.errors.steps), (ErrorSource::None, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_hierarchy_is_refused_with_the_mend() {
    let (service, _dir) = fresh(at(60 * DAY)).await;
    district(&service, 60).await;
    train(&service, &ALL).await;
    let unknown = service.reconcile(&ReconcileRequest::new(name("distrct"))).await.unwrap_err();
    assert!(unknown.kind == ErrorKind::NotFound && unknown.message.contains("`district`"), "{unknown}");
    let leaf = service.reconcile(&ReconcileRequest::new(name("home-1"))).await.unwrap_err();
    assert!(leaf.message.contains("--parent home-1"), "{leaf}");
    let sun = Series { kind: SeriesKind::Solar, parent: Some(name("district")), ..series("roof") };
    service.put_series(&sun).await.unwrap();
    let answer = service.reconcile(&ReconcileRequest::new(name("district"))).await.unwrap();
    assert_eq!(answer.left_out[0].series, name("roof"));
    // A correction makes one home ten times what it was: the homes make more than the district.
    let wrong = home(2, 60).into_iter().map(|o| NewObservation {
        valid_time: o.valid_time,
        available_at: Some(o.available_at.plus_micros(1)),
        value: 10.0 * o.value,
    });
    service.write_observations(&name("home-3"), &wrong.collect::<Vec<_>>()).await.unwrap();
    let refused = service.reconcile(&ReconcileRequest::new(name("district"))).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::InvalidInput);
    assert!(refused.message.contains("did not add up"), "{refused}");
}
