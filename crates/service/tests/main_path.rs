//! The main job through the service: write, train, forecast, read back, promote.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod common;

use common::{DAY, HOUR, at, fresh, hourly, name, quiet, write};
use forewatt_domain::QuantileLevels;
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::observations::{NewObservation, ObservationQuery};
use forewatt_service::train::TrainRequest;
use forewatt_service::{ErrorKind, ForecastQuery, JobState};
use jiff::SignedDuration;

/// A quick training, so that the suite stays quick.
fn training(series: &str, model: &str) -> TrainRequest {
    TrainRequest {
        model: Some(model.parse().unwrap()),
        horizon: Some("PT24H".to_owned()),
        backtest_days: Some(7),
        ..TrainRequest::new(name(series))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_observations_to_a_forecast_and_back() {
    let (service, _dir) = fresh(at(100 * DAY)).await;
    write(&service, "load", &hourly(100)).await;
    let report = service.train(&training("load", "linear"), quiet()).await.unwrap();
    assert!(report.promoted, "{}", report.promotion);
    assert_eq!(report.version.id.as_str(), "load-v1");
    assert!(report.version.metrics["mae"] < report.version.metrics["seasonal-naive/mae"] * 1.1);

    let answer = service.forecast(&ForecastRequest::new(name("load"))).await.unwrap();
    let forecast = &answer.forecast;
    assert_eq!(forecast.forecast_start, at(100 * DAY));
    assert_eq!(forecast.points.len(), 24);
    assert_eq!(forecast.degraded, None);
    assert!((forecast.quality - 1.0).abs() < 1e-9);
    assert!(forecast.check().is_ok());
    let again = service.forecast(&ForecastRequest::new(name("load"))).await.unwrap();
    assert_eq!(answer.json, again.json, "invariant 5: cached answers are byte-identical");
    assert_eq!(answer.etag, again.etag);

    let start = ForecastQuery::Start { forecast_start: at(100 * DAY) };
    let kept = service.read_forecasts(&name("load"), start).await.unwrap();
    assert_eq!(kept.len(), 24, "an issued forecast can be read back");
    assert_eq!(kept[0].mean.to_bits(), forecast.points[0].mean.to_bits());
    let lead = ForecastQuery::FixedLead { lead_micros: 12 * HOUR, from: at(100 * DAY), to: at(101 * DAY) };
    assert_eq!(service.read_forecasts(&name("load"), lead).await.unwrap().len(), 12);
    let before = ForecastQuery::AsOf { at: at(99 * DAY), from: at(100 * DAY), to: at(101 * DAY) };
    assert!(service.read_forecasts(&name("load"), before).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_changes_the_answer_and_what_was_known_does_not() {
    let (service, _dir) = fresh(at(60 * DAY)).await;
    write(&service, "load", &hourly(60)).await;
    service.train(&training("load", "seasonal-naive"), quiet()).await.unwrap();
    let ask = ForecastRequest::new(name("load"));
    let before = service.forecast(&ask).await.unwrap();
    // A correction of the hour a week before the first step, known only now.
    let correction =
        NewObservation { valid_time: at(53 * DAY), available_at: Some(at(60 * DAY)), value: 9_999.0 };
    service.write_observations(&name("load"), &[correction]).await.unwrap();
    let after = service.forecast(&ask).await.unwrap();
    assert_ne!(before.forecast.points[0].mean.to_bits(), after.forecast.points[0].mean.to_bits());
    assert!((after.forecast.points[0].mean - 9_999.0).abs() < 1e-6);
    let back_then = ForecastRequest {
        as_of: Some(at(60 * DAY).plus_micros(-1)),
        forecast_start: Some(at(60 * DAY)),
        ..ask
    };
    let replayed = service.forecast(&back_then).await.unwrap();
    assert_eq!(
        before.forecast.points, replayed.forecast.points,
        "as of the moment before, nothing has changed"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fallbacks_are_labelled() {
    let (service, _dir) = fresh(at(500 * DAY)).await;
    write(&service, "load", &hourly(60)).await;
    service.train(&training("load", "seasonal-naive"), quiet()).await.unwrap();
    let stale = service.forecast(&ForecastRequest::new(name("load"))).await.unwrap();
    assert_eq!(stale.forecast.forecast_start, at(60 * DAY), "it starts where the data end");
    assert!(stale.forecast.degraded.as_deref().unwrap().contains("hours old"));

    let mut holes = hourly(60);
    holes.retain(|o| o.valid_time < at(57 * DAY));
    write(&service, "holes", &holes).await;
    service.train(&training("holes", "seasonal-naive"), quiet()).await.unwrap();
    let request =
        ForecastRequest { forecast_start: Some(at(60 * DAY)), ..ForecastRequest::new(name("holes")) };
    let answer = service.forecast(&request).await.unwrap();
    assert!(answer.forecast.quality < 0.6);
    assert!(answer.forecast.degraded.as_deref().unwrap().contains("missing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_says_why() {
    let (service, _dir) = fresh(at(60 * DAY)).await;
    let unknown = service.forecast(&ForecastRequest::new(name("lod"))).await.unwrap_err();
    assert_eq!(unknown.kind, ErrorKind::NotFound);
    write(&service, "load", &hourly(60)).await;
    let near = service.forecast(&ForecastRequest::new(name("lod"))).await.unwrap_err();
    assert!(near.message.contains("did you mean `load`"), "{near}");
    let untrained = service.forecast(&ForecastRequest::new(name("load"))).await.unwrap_err();
    assert_eq!(untrained.kind, ErrorKind::NoModel);
    service.train(&training("load", "seasonal-naive"), quiet()).await.unwrap();
    let ask = ForecastRequest::new(name("load"));
    let bad = [
        ForecastRequest { horizon: Some(SignedDuration::from_hours(25)), ..ask.clone() },
        ForecastRequest { horizon: Some(SignedDuration::from_mins(90)), ..ask.clone() },
        ForecastRequest { horizon: Some(SignedDuration::ZERO), ..ask.clone() },
        ForecastRequest { threshold: Some(f64::NAN), ..ask.clone() },
        ForecastRequest { forecast_start: Some(at(60 * DAY + 1)), ..ask.clone() },
        ForecastRequest { forecast_start: Some(at(70 * DAY)), ..ask.clone() },
    ];
    for request in bad {
        let error = service.forecast(&request).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidInput, "{request:?}: {error}");
    }
    let reversed =
        ObservationQuery { series: name("load"), from: Some(at(DAY)), to: Some(at(0)), as_of: None };
    assert_eq!(service.read_observations(&reversed).await.unwrap_err().kind, ErrorKind::InvalidInput);
    let huge = ObservationQuery { from: Some(at(-100_000 * DAY)), to: Some(at(DAY)), ..reversed };
    assert_eq!(service.read_observations(&huge).await.unwrap_err().kind, ErrorKind::TooLarge);
    let nan = NewObservation { valid_time: at(0), available_at: None, value: f64::NAN };
    assert_eq!(
        service.write_observations(&name("load"), &[nan]).await.unwrap_err().kind,
        ErrorKind::InvalidInput
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn levels_thresholds_and_batches() {
    let (service, _dir) = fresh(at(100 * DAY)).await;
    write(&service, "load", &hourly(100)).await;
    service.train(&training("load", "seasonal-naive"), quiet()).await.unwrap();
    let ask = ForecastRequest::new(name("load"));
    let wide = ForecastRequest {
        levels: Some(QuantileLevels::parse("0.01,0.25,0.5,0.99").unwrap()),
        threshold: Some(0.0),
        ..ask.clone()
    };
    let answer = service.forecast(&wide).await.unwrap();
    assert_eq!(answer.forecast.points[0].quantiles.len(), 4);
    assert!(answer.forecast.check().is_ok());
    assert!(
        answer.probability_above.as_ref().unwrap().iter().all(|p| (0.99..=1.0).contains(p)),
        "load is above zero"
    );
    let missing = ForecastRequest::new(name("nothing"));
    let all = service.forecast_batch(vec![ask.clone(), missing, wide]).await.unwrap();
    assert_eq!(all.iter().map(|answer| answer.is_ok()).collect::<Vec<_>>(), [true, false, true]);
    let too_many = vec![ask; service.config().forecast.batch_max + 1];
    assert_eq!(service.forecast_batch(too_many).await.unwrap_err().kind, ErrorKind::TooLarge);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_champion_changes_only_for_a_better_one_or_on_somebodys_word() {
    let (service, _dir) = fresh(at(100 * DAY)).await;
    write(&service, "load", &hourly(100)).await;
    service.train(&training("load", "linear"), quiet()).await.unwrap();
    let worse = service.train(&training("load", "seasonal-naive"), quiet()).await.unwrap();
    assert!(!worse.promoted, "{}", worse.promotion);
    assert_eq!(worse.version.parent.as_ref().unwrap().as_str(), "load-v1");
    let refused = service.promote(&worse.version.id, None).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::Conflict);
    assert_eq!(
        service.promote(&worse.version.id, Some(" ")).await.unwrap_err().kind,
        ErrorKind::InvalidInput
    );
    service.promote(&worse.version.id, Some("a drill")).await.unwrap();
    let answer = service.forecast(&ForecastRequest::new(name("load"))).await.unwrap();
    assert_eq!(
        answer.forecast.model_version, worse.version.id,
        "the next answer comes from the new champion"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_trainings_give_equal_models_and_a_restart_forgets_nothing() {
    let (service, dir) = fresh(at(100 * DAY)).await;
    write(&service, "load", &hourly(100)).await;
    let first = service.train(&training("load", "gbdt"), quiet()).await.unwrap();
    let second = service.train(&training("load", "gbdt"), quiet()).await.unwrap();
    assert_eq!(first.version.artifact_sha256, second.version.artifact_sha256);
    let before = service.forecast(&ForecastRequest::new(name("load"))).await.unwrap();
    service.close().await;
    let reopened = common::open(&dir, at(100 * DAY)).await;
    let after = reopened.forecast(&ForecastRequest::new(name("load"))).await.unwrap();
    assert_eq!(before.json, after.json);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_reports_its_end() {
    let (service, _dir) = fresh(at(60 * DAY)).await;
    write(&service, "load", &hourly(60)).await;
    write(&service, "short", &hourly(1)).await;
    for (series, expected) in [("load", JobState::Succeeded), ("short", JobState::Failed)] {
        let work = forewatt_service::jobs::Work::Train(Box::new(training(series, "seasonal-naive")));
        let submitted = service.submit(work).await.unwrap();
        let ended = loop {
            let job = service.job(&submitted.id).await.unwrap();
            if matches!(job.state, JobState::Succeeded | JobState::Failed) {
                break job;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!(ended.state, expected, "{}", ended.message);
    }
    assert_eq!(service.job("nope").await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_computation_serves_all_who_ask_at_once() {
    let (service, _dir) = fresh(at(60 * DAY)).await;
    write(&service, "load", &hourly(60)).await;
    service.train(&training("load", "seasonal-naive"), quiet()).await.unwrap();
    let asks = (0..100).map(|_| {
        let service = service.clone();
        tokio::spawn(async move { service.forecast(&ForecastRequest::new(name("load"))).await.unwrap() })
    });
    let answers: Vec<_> = futures::future::join_all(asks).await.into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|answer| std::sync::Arc::ptr_eq(answer, &answers[0])), "all share one answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn periods_may_begin_at_half_past() {
    let half = 30 * 60 * 1_000_000;
    let (service, _dir) = fresh(at(60 * DAY + half + 600_000_000)).await;
    let mut india = hourly(60);
    for observation in &mut india {
        observation.valid_time = observation.valid_time.plus_micros(half);
        observation.available_at = observation.available_at.plus_micros(half);
    }
    write(&service, "india", &india).await;
    service.train(&training("india", "seasonal-naive"), quiet()).await.unwrap();
    let answer = service.forecast(&ForecastRequest::new(name("india"))).await.unwrap();
    assert_eq!(answer.forecast.forecast_start, at(60 * DAY + half));
    assert!((answer.forecast.quality - 1.0).abs() < 1e-9, "the week before is complete");
    let off = NewObservation { valid_time: at(61 * DAY), available_at: None, value: 1.0 };
    assert_eq!(
        service.write_observations(&name("india"), &[off]).await.unwrap_err().kind,
        ErrorKind::InvalidInput
    );
}
