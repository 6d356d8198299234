//! Why a forecast is what it is, and what it would be with other inputs.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use std::collections::BTreeMap;

use common::{DAY, HOUR, at, fresh, hourly, name, quiet, series, write};
use forewatt_domain::{Covariate, Observation, Series, VersionId};
use forewatt_service::explain::{ExplainRequest, Explained, FEATURES_DEFAULT, Since};
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::observations::NewObservation;
use forewatt_service::train::TrainRequest;
use forewatt_service::whatif::{Change, Override, WhatIfRequest};
use forewatt_service::{ErrorKind, ForecastQuery, Service};

/// The stopped clock.
const NOW: i64 = 70 * DAY;

/// The temperature of an hour: a day, and a slow wave.
fn temperature(hour: i64) -> f64 {
    let wave = |period: f64| (hour as f64 / period * std::f64::consts::TAU).sin();
    10.0 + 4.0 * wave(24.0) + 6.0 * wave(24.0 * 9.0)
}

/// A load that a degree of temperature moves by eight, and the temperature as it was foretold three days ahead.
async fn house(family: &str) -> (Service, tempfile::TempDir) {
    let (service, dir) = fresh(at(NOW)).await;
    let mut load = hourly(70);
    load.iter_mut().zip(0..).for_each(|(o, hour)| o.value += 8.0 * temperature(hour));
    write(&service, "load", &load).await;
    let foretold: Vec<Observation> = (0..73 * 24)
        .map(|hour| Observation {
            valid_time: at(hour * HOUR),
            available_at: at((hour - 72) * HOUR),
            value: temperature(hour),
        })
        .collect();
    write(&service, "temp", &foretold).await;
    write(&service, "other", &hourly(3)).await;
    train(&service, family).await;
    (service, dir)
}

async fn train(service: &Service, family: &str) {
    let request = TrainRequest {
        model: Some(family.parse().unwrap()),
        horizon: Some("PT24H".to_owned()),
        backtest_days: Some(7),
        covariates: Some(vec![Covariate { series: name("temp"), known_ahead: true }]),
        ..TrainRequest::new(name("load"))
    };
    service.train(&request, quiet()).await.unwrap();
}

fn question(since: Option<Since>) -> ExplainRequest {
    ExplainRequest { forecast: ForecastRequest::new(name("load")), since, features: FEATURES_DEFAULT }
}

fn adds_up(explained: &Explained) {
    for point in &explained.points {
        let groups: f64 = point.groups.iter().map(|share| share.contribution).sum();
        let rest: f64 = point.adjustments.iter().map(|share| share.contribution).sum();
        let gap = point.reference + groups + rest - point.mean;
        assert!(gap.abs() < 1e-2, "{gap} in {point:?}");
    }
    let total = &explained.total;
    assert_eq!(total.steps, explained.points.len());
    let mean: f64 = explained.points.iter().map(|point| point.mean).sum();
    assert!((total.mean - mean).abs() < 0.1);
}

fn share(explained: &Explained, group: &str) -> f64 {
    explained.total.groups.iter().find(|share| share.group == group).unwrap().contribution
}

#[tokio::test(flavor = "multi_thread")]
async fn the_explained_mean_is_the_forecast_and_adds_up() {
    let (service, _dir) = house("linear").await;
    let forecast = service.forecast(&ForecastRequest::new(name("load"))).await.unwrap();
    let explained = service.explain(&question(None)).await.unwrap();
    adds_up(&explained);
    assert_eq!(explained.points.len(), 24);
    for (point, told) in forecast.forecast.points.iter().zip(&explained.points) {
        assert_eq!((point.valid_time, point.mean.to_bits()), (told.valid_time, told.mean.to_bits()));
        assert!(told.features.len() <= FEATURES_DEFAULT);
        assert!(told.groups.is_sorted_by(|a, b| a.contribution.abs() >= b.contribution.abs()));
    }
    assert!(explained.by_feature && explained.reference.kind == "usual");
    assert_eq!(explained.reference.from, at(NOW - 14 * DAY));
    let group = explained.points[0].groups.iter().find(|share| share.group == "covariate:temp").unwrap();
    assert_eq!(group.label, "temp");
    assert!((group.value.unwrap() - temperature(NOW / HOUR)).abs() < 1e-4);
    let usual = (1..=14).map(|day| temperature((NOW - day * DAY) / HOUR)).sum::<f64>() / 14.0;
    assert!((group.reference_value.unwrap() - usual).abs() < 1e-4, "as it was foretold then");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_weather_forecast_is_named_as_what_changed() {
    let (service, _dir) = house("ensemble").await;
    let before = at(NOW - HOUR);
    let ask = ForecastRequest { as_of: Some(before), ..ForecastRequest::new(name("load")) };
    let old = service.forecast(&ask).await.unwrap();
    let warmer: Vec<NewObservation> = (0..48)
        .map(|hour| NewObservation {
            valid_time: at(NOW + hour * HOUR),
            available_at: Some(at(NOW)),
            value: temperature(NOW / HOUR + hour) + 6.0,
        })
        .collect();
    service.write_observations(&name("temp"), &warmer).await.unwrap();
    let explained = service.explain(&question(Some(Since::Instant(before)))).await.unwrap();
    adds_up(&explained);
    assert_eq!(explained.reference.kind, "previous");
    assert_eq!(explained.points.len(), 23, "the earlier forecast ended an hour earlier");
    let told = share(&explained, "covariate:temp");
    assert!(told > 23.0 * 8.0, "six degrees are worth 48 an hour: {told}");
    assert_eq!(explained.total.groups[0].group, "covariate:temp");
    for (point, was) in explained.points.iter().zip(&old.forecast.points[1..]) {
        assert_eq!(point.valid_time, was.valid_time);
        assert!((point.reference - was.mean).abs() < 1e-3, "{} {}", point.reference, was.mean);
    }
    assert!(explained.points.iter().all(|p| p.adjustments.iter().all(|a| a.kind != "version")));
}

/// Daily load that a degree of temperature moves by eight, and a model that answers seven days at once.
async fn house_of_days() -> (Service, tempfile::TempDir) {
    let (service, dir) = fresh(at(NOW)).await;
    for (text, days) in [("load", 70), ("temp", 77)] {
        let daily = Series { resolution: "P1D".parse().unwrap(), ..series(text) };
        service.put_series(&daily).await.unwrap();
        let value = |day: i64| match text {
            "temp" => temperature(day * 24),
            _ => 900.0 + 8.0 * temperature(day * 24) + (day * 7919 % 101) as f64 / 20.0,
        };
        // The temperature is foretold ten days ahead, the load known when its day is over.
        let known = |day: i64| if text == "temp" { day - 10 } else { day + 1 };
        let new = (0..days).map(|day| NewObservation {
            valid_time: at(day * DAY),
            available_at: Some(at(known(day) * DAY)),
            value: value(day),
        });
        service.write_observations(&name(text), &new.collect::<Vec<_>>()).await.unwrap();
    }
    let request = TrainRequest {
        model: Some("lear".parse().unwrap()),
        horizon: Some("P7D".to_owned()),
        backtest_days: Some(14),
        covariates: Some(vec![Covariate { series: name("temp"), known_ahead: true }]),
        ..TrainRequest::new(name("load"))
    };
    service.train(&request, quiet()).await.unwrap();
    (service, dir)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_of_whole_days_is_told_by_groups_and_a_part_as_the_whole() {
    let (service, _dir) = house_of_days().await;
    let week = jiff::SignedDuration::from_hours(7 * 24);
    let ask = ForecastRequest { horizon: Some(week), ..ForecastRequest::new(name("load")) };
    let forecast = service.forecast(&ask).await.unwrap();
    let question = ExplainRequest { forecast: ask, ..question(None) };
    let explained = service.explain(&question).await.unwrap();
    adds_up(&explained);
    assert!(!explained.by_feature && explained.total.features.is_empty());
    assert!(explained.method.contains("exactly: all"), "{}", explained.method);
    assert!(explained.reference.text.contains("mean inputs"), "{}", explained.reference.text);
    assert_eq!(explained.points.len(), 7);
    for (point, told) in forecast.forecast.points.iter().zip(&explained.points) {
        assert_eq!((point.valid_time, point.mean.to_bits()), (told.valid_time, told.mean.to_bits()));
    }
    let mut part = question.clone();
    part.forecast.horizon = Some(jiff::SignedDuration::from_hours(48));
    let part = service.explain(&part).await.unwrap();
    assert_eq!(part.points, explained.points[..2], "the rest is read, though not told");
    let since = ExplainRequest { since: Some(Since::Instant(at(NOW - DAY))), ..question };
    let changed = service.explain(&since).await.unwrap();
    adds_up(&changed);
    assert_eq!((changed.reference.kind, changed.points.len()), ("previous", 6));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_has_a_line_of_its_own() {
    let (service, _dir) = house("linear").await;
    let none = service.explain(&question(Some(Since::Previous))).await.unwrap_err();
    assert_eq!(none.kind, ErrorKind::NotFound);
    assert!(none.message.contains("name the instant"), "{}", none.message);
    // What is kept as issued says who answered: the seasonal naive, now.
    train(&service, "seasonal-naive").await;
    let ask = |version: &str| ForecastRequest {
        version: Some(VersionId::from_text(version).unwrap()),
        ..ForecastRequest::new(name("load"))
    };
    service.forecast(&ask("load-v2")).await.unwrap();
    let request = ExplainRequest {
        forecast: ForecastRequest {
            as_of: Some(at(NOW).plus_micros(1)),
            forecast_start: Some(at(NOW)),
            ..ask("load-v1")
        },
        ..question(Some(Since::Instant(at(NOW))))
    };
    let explained = service.explain(&request).await.unwrap();
    adds_up(&explained);
    assert_eq!(explained.reference.model_version, "load-v2");
    let point = &explained.points[0];
    let version = point.adjustments.iter().find(|a| a.kind == "version").unwrap();
    assert!(version.label.contains("load-v1") && version.label.contains("load-v2"), "{}", version.label);
    assert!((version.contribution - (point.mean - point.reference)).abs() < 1e-3, "nothing else changed");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_previous_forecast_is_the_last_one_issued() {
    let (service, dir) = house("linear").await;
    let issued = service.forecast(&ForecastRequest::new(name("load"))).await.unwrap();
    service.close().await;
    let later = common::open(&dir, at(NOW + 6 * HOUR)).await;
    let explained = later.explain(&question(Some(Since::Previous))).await.unwrap();
    adds_up(&explained);
    assert_eq!(explained.reference.from, at(NOW));
    assert_eq!(explained.points.len(), 18);
    for (point, was) in explained.points.iter().zip(&issued.forecast.points[6..]) {
        assert!((point.reference - was.mean).abs() < 1e-3, "{} {}", point.reference, was.mean);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_explained_says_why() {
    let (service, _dir) = house("seasonal-naive").await;
    for (request, mend) in [
        (question(Some(Since::Instant(at(NOW)))), "must lie before"),
        (question(Some(Since::Instant(at(NOW - 10 * DAY)))), "no valid time in common"),
        (ExplainRequest { features: 0, ..question(None) }, "1 to 50"),
    ] {
        let error = service.explain(&request).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidInput);
        assert!(error.message.contains(mend), "{}", error.message);
    }
    let early = ForecastRequest { as_of: Some(at(DAY)), ..ForecastRequest::new(name("load")) };
    let error = service.explain(&ExplainRequest { forecast: early, ..question(None) }).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InsufficientData, "{}", error.message);
}

fn warmer(by: f64) -> Override {
    let change = Change::Shift { add: by, scale: 1.0 };
    Override { covariate: name("temp"), change, from: None, to: None }
}

fn what_if(overrides: Vec<Override>) -> WhatIfRequest {
    WhatIfRequest { forecast: ForecastRequest::new(name("load")), overrides }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_what_if_answers_beside_the_forecast_and_leaves_no_trace() {
    let (service, _dir) = house("linear").await;
    let answer = service.whatif(&what_if(vec![warmer(2.0)])).await.unwrap();
    let nothing = ForecastQuery::Start { forecast_start: at(NOW) };
    assert!(
        service.read_forecasts(&name("load"), nothing).await.unwrap().is_empty(),
        "nothing is kept as issued"
    );
    let forecast = service.forecast(&ForecastRequest::new(name("load"))).await.unwrap();
    assert!(answer.hypothetical && answer.note.contains("hypothetical"));
    assert_eq!(answer.points.len(), 24);
    for (point, real) in answer.points.iter().zip(&forecast.forecast.points) {
        assert_eq!(
            point.mean.base.to_bits(),
            real.mean.to_bits(),
            "the base is the forecast, before and after"
        );
        assert_eq!(point.base_quantiles.values().copied().collect::<Vec<_>>(), real.quantiles);
    }
    let per_step = answer.total.difference / 24.0;
    assert!(per_step > 8.0 && per_step < 24.0, "two degrees are worth 16: {per_step}");
    let applied = &answer.overrides[0];
    assert!((applied.mean_after - applied.mean_before.unwrap() - 2.0).abs() < 1e-3, "{applied:?}");
    let again = service.whatif(&what_if(vec![warmer(2.0)])).await.unwrap();
    assert_eq!(again, answer);
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_scales_and_values_change_what_they_say() {
    let (service, _dir) = house("linear").await;
    let window = Override { from: Some(at(NOW + 6 * HOUR)), to: Some(at(NOW + 9 * HOUR)), ..warmer(5.0) };
    let answer = service.whatif(&what_if(vec![window])).await.unwrap();
    assert_eq!(answer.overrides[0].steps, 3);
    let values = BTreeMap::from([(at(NOW), 30.0), (at(NOW + HOUR), 31.0)]);
    let set = Override { change: Change::Values(values), ..warmer(0.0) };
    let applied = service.whatif(&what_if(vec![set])).await.unwrap().overrides;
    assert_eq!((applied[0].steps, applied[0].mean_after), (2, 30.5));
    let twice = Override { change: Change::Shift { add: 0.0, scale: 2.0 }, ..warmer(0.0) };
    let applied = &service.whatif(&what_if(vec![twice])).await.unwrap().overrides[0];
    assert!((applied.mean_after - 2.0 * applied.mean_before.unwrap()).abs() < 1e-3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_what_if_that_cannot_be_names_what_can() {
    let (service, _dir) = house("linear").await;
    let named = |text: &str| Override { covariate: name(text), ..warmer(1.0) };
    let shift = |add: f64, scale: f64| Override { change: Change::Shift { add, scale }, ..warmer(0.0) };
    let values = |n: i64| {
        let set = (0..n).map(|hour| (at(NOW + hour * HOUR), 1.0)).collect();
        Override { change: Change::Values(set), ..warmer(0.0) }
    };
    let off_grid = Override { change: Change::Values(BTreeMap::from([(at(NOW + 1), 1.0)])), ..warmer(0.0) };
    for (overrides, kind, mend) in [
        (vec![], ErrorKind::InvalidInput, "`temp`"),
        (vec![named("tmp")], ErrorKind::InvalidInput, "did you mean `temp`"),
        (vec![named("other")], ErrorKind::InvalidInput, "it reads `temp`"),
        (vec![warmer(1.0), warmer(2.0)], ErrorKind::InvalidInput, "changed twice"),
        (vec![warmer(1.0); 4], ErrorKind::TooLarge, "limit is 3"),
        (vec![values(101)], ErrorKind::TooLarge, "limit is 100"),
        (vec![shift(0.0, 1.0)], ErrorKind::InvalidInput, "touches nothing"),
        (vec![shift(f64::NAN, 1.0)], ErrorKind::InvalidInput, "finite"),
        (vec![off_grid], ErrorKind::InvalidInput, "grid"),
        (vec![Override { to: Some(at(NOW)), ..warmer(1.0) }], ErrorKind::InvalidInput, "before it begins"),
    ] {
        let error = service.whatif(&what_if(overrides)).await.unwrap_err();
        assert_eq!(error.kind, kind, "{}", error.message);
        assert!(error.message.contains(mend), "{}", error.message);
    }
}
