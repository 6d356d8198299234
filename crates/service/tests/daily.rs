//! Models of whole days in service: trained and asked from local midnight, whatever the hour of the question.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use common::{DAY, HOUR, at, fresh, hourly, name, open, quiet, series, write};
use forewatt_domain::{Choice, Covariate, Family, Observation, Penalty, QuantileLevels, Series, Time};
use forewatt_service::backtest::BacktestRequest;
use forewatt_service::explain::{ExplainRequest, FEATURES_DEFAULT, Since};
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::observations::NewObservation;
use forewatt_service::reconcile::{Method, ReconcileRequest};
use forewatt_service::train::TrainRequest;
use forewatt_service::whatif::{Change, Override, WhatIfRequest};
use forewatt_service::{ErrorKind, ForecastQuery, Refit, Service};
use jiff::SignedDuration;

/// The last midnight, and the stopped clock at eleven.
const GATE: i64 = 66 * DAY;
const NOW: i64 = GATE + 11 * HOUR;

/// Load that follows the temperature, which was foretold three days ahead.
fn wave(hour: i64) -> f64 {
    10.0 + 8.0 * (hour as f64 / (24.0 * 5.0) * std::f64::consts::TAU).sin()
}

fn load(hours: i64) -> Vec<Observation> {
    let mut load = hourly(hours / 24 + 1);
    load.truncate(usize::try_from(hours).unwrap());
    load.iter_mut().zip(0..).for_each(|(o, hour)| o.value += 8.0 * wave(hour));
    load
}

async fn city() -> (Service, tempfile::TempDir) {
    let (service, dir) = fresh(at(NOW)).await;
    write(&service, "load", &load(NOW / HOUR)).await;
    let foretold: Vec<Observation> = (0..GATE / HOUR + 96)
        .map(|hour| Observation {
            valid_time: at(hour * HOUR),
            available_at: at((hour - 72) * HOUR),
            value: wave(hour),
        })
        .collect();
    write(&service, "temp", &foretold).await;
    (service, dir)
}

fn training(family: Family) -> TrainRequest {
    TrainRequest {
        model: Some(family),
        horizon: Some("PT24H".to_owned()),
        backtest_days: Some(5),
        covariates: Some(vec![Covariate { series: name("temp"), known_ahead: true }]),
        ..TrainRequest::new(name("load"))
    }
}

async fn trained(family: Family) -> (Service, tempfile::TempDir) {
    let (service, dir) = city().await;
    let report = service.train(&training(family), quiet()).await.unwrap();
    assert!(report.promoted && report.version.metrics["pinball"] > 0.0, "{:?}", report.version.notes);
    (service, dir)
}

fn ask() -> ForecastRequest {
    ForecastRequest::new(name("load"))
}

fn starting(start: i64) -> ForecastRequest {
    ForecastRequest { forecast_start: Some(at(start)), ..ask() }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_hour_of_the_day_is_answered_from_its_midnight() {
    let (service, dir) = trained(Family::Lear).await;
    let version = &service.list_versions(None, None).await.unwrap()[0];
    let recipe = &version.recipe;
    assert!(recipe.daily && recipe.origin_every_steps == 24, "{recipe:?}");
    assert_eq!(
        (recipe.horizon.steps(), recipe.reach().steps()),
        (24, 48),
        "users are told what they can ask for"
    );
    assert!(version.notes.iter().any(|note| note.contains("local midnight")), "{:?}", version.notes);

    let now = service.forecast(&ask()).await.unwrap().forecast.clone();
    assert_eq!((now.forecast_start, now.issued_at), (at(NOW), at(NOW)));
    assert_eq!(now.data_watermark, at(GATE), "its inputs were known at the gate");
    assert_eq!((now.points.len(), now.points[0].valid_time, now.degraded.clone()), (24, at(NOW), None));
    let midnight = service.forecast(&starting(GATE)).await.unwrap().forecast.clone();
    let evening =
        service.forecast(&ForecastRequest { as_of: Some(at(NOW)), ..starting(GATE + 6 * HOUR) }).await;
    let evening = evening.unwrap().forecast.clone();
    assert_eq!(evening.points[5..], now.points[..19], "one gate, one forecast");
    assert_eq!(midnight.points[11..], now.points[..13]);
    let last = service.forecast(&starting(GATE - HOUR)).await.unwrap().forecast.clone();
    assert_eq!(
        (last.points.len(), last.data_watermark),
        (24, at(GATE - DAY)),
        "the last hour of the day before"
    );
    assert_ne!(last.points[1..], midnight.points[..23]);

    let too_long = ForecastRequest { horizon: Some(SignedDuration::from_hours(25)), ..ask() };
    let refused = service.forecast(&too_long).await.unwrap_err();
    assert!(refused.message.contains("24 steps"), "{refused}");
    let kept = service.read_forecasts(&name("load"), ForecastQuery::Start { forecast_start: at(NOW) }).await;
    let kept = kept.unwrap();
    assert_eq!((kept.len(), kept[0].issued_at), (24, at(NOW)), "what is kept is what was answered");

    let answer = service.forecast(&ask()).await.unwrap();
    service.close().await;
    let reopened = open(&dir, at(NOW)).await;
    assert_eq!(reopened.forecast(&ask()).await.unwrap().json, answer.json, "a restart forgets nothing");
    let batch = reopened.forecast_batch(vec![ask(), too_long]).await.unwrap();
    assert!(batch[0].as_ref().is_ok_and(|a| a.json == answer.json) && batch[1].is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_became_known_after_the_gate_changes_nothing() {
    let (service, _dir) = trained(Family::Gp).await;
    let before = service.forecast(&ask()).await.unwrap();
    let write = async |valid: i64, known: i64, value: f64| {
        let new = NewObservation { valid_time: at(valid), available_at: Some(at(known)), value };
        service.write_observations(&name("load"), &[new]).await.unwrap();
    };
    write(GATE - 5 * HOUR, GATE + HOUR, 9_999.0).await;
    let after = service.forecast(&ask()).await.unwrap();
    assert_eq!(before.json, after.json, "a correction of this morning is for the next gate");
    write(GATE - 5 * HOUR, GATE, 9_998.0).await;
    let corrected = service.forecast(&ask()).await.unwrap();
    assert_ne!(before.forecast.points, corrected.forecast.points, "one known at the gate is for this one");

    let replay = ForecastRequest { as_of: Some(at(GATE - HOUR)), ..ask() };
    let replayed = service.forecast(&replay).await.unwrap().forecast.clone();
    assert_eq!(replayed.forecast_start, at(GATE - HOUR));
    assert_eq!(replayed.data_watermark, at(GATE - DAY), "as of the hour before, the gate is a day back");
    assert!(replayed.degraded.unwrap().contains("a replay"));
    let early = ForecastRequest { as_of: Some(at(GATE).plus_micros(-1)), ..starting(GATE) };
    let early = service.forecast(&early).await.unwrap().forecast.clone();
    assert!(early.data_watermark < at(GATE), "less than the gate may know when the question says so");
}

#[tokio::test(flavor = "multi_thread")]
async fn explanations_and_what_ifs_speak_of_the_same_forecast() {
    let (service, dir) = trained(Family::Lear).await;
    let forecast = service.forecast(&ask()).await.unwrap().forecast.clone();
    let question = |since| ExplainRequest { forecast: ask(), since, features: FEATURES_DEFAULT };
    let explained = service.explain(&question(None)).await.unwrap();
    assert_eq!(explained.points.len(), forecast.points.len());
    for (point, told) in forecast.points.iter().zip(&explained.points) {
        assert_eq!((point.valid_time, point.mean.to_bits()), (told.valid_time, told.mean.to_bits()));
        let groups: f64 = told.groups.iter().map(|share| share.contribution).sum();
        let rest: f64 = told.adjustments.iter().map(|share| share.contribution).sum();
        assert!((told.reference + groups + rest - told.mean).abs() < 1e-2, "{told:?}");
    }
    assert_eq!(explained.reference.to, at(GATE - DAY), "the usual is what was foretold at earlier gates");

    let warmer = Override {
        covariate: name("temp"),
        change: Change::Shift { add: 5.0, scale: 1.0 },
        from: None,
        to: None,
    };
    let what_if = WhatIfRequest { forecast: ask(), overrides: vec![warmer] };
    let changed = service.whatif(&what_if).await.unwrap();
    assert_eq!(changed.points[0].valid_time, at(NOW));
    assert!(
        changed.points.iter().zip(&forecast.points).all(|(a, b)| a.mean.base.to_bits() == b.mean.to_bits())
    );
    assert!(changed.total.difference > 0.0, "warmth is worth load: {:?}", changed.total);

    service.close().await;
    let tomorrow = open(&dir, at(GATE + 27 * HOUR)).await;
    write(&tomorrow, "load", &load(GATE / HOUR + 27)).await;
    tomorrow.forecast(&ask()).await.unwrap();
    let since = tomorrow.explain(&question(Some(Since::Previous))).await.unwrap();
    assert_eq!(
        (since.points.len(), since.reference.from),
        (21, at(GATE)),
        "what today's gate issued is the same"
    );
    for (point, was) in since.points.iter().zip(&forecast.points[16..]) {
        assert_eq!(point.valid_time, was.valid_time);
        assert!((point.reference - was.mean).abs() < 1e-3, "{} {}", point.reference, was.mean);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_from_a_gate_and_parts_from_the_hour_add_up() {
    let (service, _dir) = city().await;
    let half: Vec<Observation> =
        load(NOW / HOUR).into_iter().map(|o| Observation { value: o.value / 2.0, ..o }).collect();
    for part in ["east", "west"] {
        write(&service, part, &half).await;
        service.put_series(&Series { parent: Some(name("load")), ..series(part) }).await.unwrap();
    }
    for (part, family) in [("load", Family::Lear), ("east", Family::SeasonalNaive), ("west", Family::Lear)] {
        let request = TrainRequest { series: name(part), covariates: Some(vec![]), ..training(family) };
        service.train(&request, quiet()).await.unwrap();
    }
    let request = ReconcileRequest { method: Method::BottomUp, ..ReconcileRequest::new(name("load")) };
    let answer = service.reconcile(&request).await.unwrap();
    for i in 0..24 {
        let point = |one: usize| &answer.series[one].points[i];
        assert_eq!(point(0).valid_time, at(NOW + i as i64 * HOUR));
        assert!((point(0).mean - point(1).mean - point(2).mean).abs() < 1e-6);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ensemble_is_scored_as_what_will_answer() {
    let (service, _dir) = city().await;
    let report = service.train(&training(Family::Ensemble), quiet()).await.unwrap();
    let (recipe, metrics) = (&report.version.recipe, &report.version.metrics);
    assert!(recipe.any_hour && !recipe.daily);
    let instant = |key: &str| Time::from_seconds(metrics[key] as i64);
    let request = |any_hour: bool| BacktestRequest {
        family: Family::Ensemble,
        covariates: recipe.covariates.clone(),
        from: instant("backtest_from"),
        to: instant("backtest_to"),
        every: SignedDuration::from_hours(24),
        horizon: SignedDuration::from_hours(24),
        refit: Refit::Never,
        levels: recipe.levels.clone(),
        training_days: None,
        any_hour,
        choice: Choice::default(),
        seed: recipe.seed,
        budget: None,
    };
    let rows = service.backtest(&name("load"), &request(true), quiet()).await.unwrap();
    let days = service.backtest(&name("load"), &request(false), quiet()).await.unwrap();
    assert_eq!(rows.metrics.mae, metrics["mae"], "single rows answer, so single rows are scored");
    assert_ne!(days.metrics.mae, metrics["mae"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_learns_days_where_it_can_and_hours_where_it_cannot() {
    let (service, _dir) = city().await;
    let hurried = TrainRequest { budget: Some("1us".to_owned()), ..training(Family::Auto) };
    let report = service.train(&hurried, quiet()).await.unwrap();
    assert!(report.version.recipe.daily);
    let notes = report.version.notes.join("\n");
    assert!(notes.contains("race over") && notes.contains("not tried"), "{notes}");
    assert_eq!(service.forecast(&ask()).await.unwrap().forecast.points.len(), 24);

    write(&service, "short", &hourly(12)).await;
    let short = TrainRequest { series: name("short"), covariates: Some(vec![]), ..training(Family::Auto) };
    let report = service.train(&short, quiet()).await.unwrap();
    assert!(!report.version.recipe.daily && report.version.recipe.origin_every_steps % 24 != 0);
    assert!(
        report.version.notes.iter().any(|note| note.contains("`ensemble`")),
        "{:?}",
        report.version.notes
    );
    let scored = BacktestRequest {
        family: Family::Auto,
        covariates: vec![],
        from: at(GATE - 4 * DAY),
        to: at(GATE),
        every: SignedDuration::from_hours(24),
        horizon: SignedDuration::from_hours(24),
        refit: Refit::Never,
        levels: QuantileLevels::deciles(),
        training_days: None,
        any_hour: false,
        choice: Choice::default(),
        seed: 1,
        budget: Some(SignedDuration::from_micros(1)),
    };
    let outcome = service.backtest(&name("load"), &scored, quiet()).await.unwrap();
    assert!(outcome.notes.iter().any(|note| note.starts_with("not tried")), "{:?}", outcome.notes);
    for (request, kind, told) in [
        (
            TrainRequest { model: Some(Family::Lear), ..short.clone() },
            ErrorKind::InsufficientData,
            "seasonal-naive",
        ),
        (
            TrainRequest { horizon: Some("P30D".to_owned()), ..training(Family::Mlp) },
            ErrorKind::InvalidInput,
            "15 days",
        ),
        (
            TrainRequest { budget: Some("5m".to_owned()), ..training(Family::Lear) },
            ErrorKind::InvalidInput,
            "`auto`",
        ),
        (
            TrainRequest {
                choice: Choice { penalty: Some(Penalty::Aic), ..Choice::default() },
                ..training(Family::Gp)
            },
            ErrorKind::InvalidInput,
            "`lear`",
        ),
        (
            TrainRequest { budget: Some("soon".to_owned()), ..training(Family::Auto) },
            ErrorKind::InvalidInput,
            "soon",
        ),
    ] {
        let refused = service.train(&request, quiet()).await.unwrap_err();
        assert_eq!(refused.kind, kind, "{refused}");
        assert!(refused.message.contains(told), "{refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_of_23_and_25_hours_keep_the_gate_at_midnight() {
    // 2024 in Madrid: the clocks change on 31 March and 27 October.
    for (change, hours) in [("2024-03-31", 23), ("2024-10-27", 25)] {
        let zone: forewatt_domain::Zone = "Europe/Madrid".parse().unwrap();
        let gate = zone.start_of_day(change.parse().unwrap());
        let last_hour = gate.plus_micros((hours - 1) * HOUR);
        let (service, _dir) = fresh(last_hour).await;
        let begin = zone.plus_days(gate, -45);
        let moved: Vec<Observation> = hourly(46)
            .into_iter()
            .map(|o| {
                let moved = |time: Time| begin.plus_micros(time.micros_since(at(0)));
                Observation { valid_time: moved(o.valid_time), available_at: moved(o.available_at), ..o }
            })
            .filter(|o| o.valid_time < last_hour)
            .collect();
        write(&service, "load", &moved).await;
        service.put_series(&Series { time_zone: zone.clone(), ..series("load") }).await.unwrap();
        let request = TrainRequest { covariates: Some(vec![]), ..training(Family::Lear) };
        service.train(&request, quiet()).await.unwrap();
        let forecast = service.forecast(&ask()).await.unwrap().forecast.clone();
        assert_eq!((forecast.forecast_start, forecast.data_watermark), (last_hour, gate), "{change}");
        assert_eq!((forecast.points.len(), forecast.degraded), (24, None), "{change}");
        let next = ForecastRequest { forecast_start: Some(gate.plus_micros(hours * HOUR)), ..ask() };
        let next = service
            .forecast(&ForecastRequest { as_of: Some(last_hour.plus_micros(1)), ..next })
            .await
            .unwrap();
        assert_eq!(next.forecast.data_watermark, last_hour, "the next gate, as far as anything is known");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_day_of_short_steps_says_what_is_missing() {
    let zone: forewatt_domain::Zone = "Europe/Madrid".parse().unwrap();
    let gate = zone.start_of_day("2024-10-27".parse().unwrap());
    let last_step = gate.plus_micros(25 * HOUR - HOUR / 2);
    let (service, _dir) = fresh(last_step).await;
    let described =
        Series { resolution: "PT30M".parse().unwrap(), time_zone: zone.clone(), ..series("load") };
    service.put_series(&described).await.unwrap();
    let begin = zone.plus_days(gate, -30);
    let halves: Vec<NewObservation> = (0..31 * 48)
        .map(|i| NewObservation {
            valid_time: begin.plus_micros(i * HOUR / 2),
            available_at: None,
            value: 100.0 + (i % 48) as f64 + (i * 7919 % 13) as f64,
        })
        .filter(|o| o.valid_time < last_step)
        .collect();
    service.write_observations(&name("load"), &halves).await.unwrap();
    let request = TrainRequest { covariates: Some(vec![]), ..training(Family::Lear) };
    service.train(&request, quiet()).await.unwrap();
    let forecast = service.forecast(&ask()).await.unwrap().forecast.clone();
    assert_eq!((forecast.forecast_start, forecast.points.len()), (last_step, 47));
    assert!(forecast.degraded.as_deref().unwrap().contains("last 1 steps"), "{:?}", forecast.degraded);
}
