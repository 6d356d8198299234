//! What must not happen behind a user's back: a narrower champion, two grids in one series, silent corrections.

mod common;

use std::sync::Arc;

use common::{DAY, at, fresh, hourly, name, quiet, write};
use forewatt_domain::{QuantileLevels, Zone};
use forewatt_service::ErrorKind;
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::ingest::{BytesSource, ColumnMap, ImportOptions, SeriesDefaults};
use forewatt_service::observations::ObservationQuery;
use forewatt_service::train::TrainRequest;

fn naive(series: &str) -> TrainRequest {
    TrainRequest {
        model: "seasonal-naive".parse().ok(),
        horizon: Some("PT24H".to_owned()),
        backtest_days: Some(7),
        ..TrainRequest::new(name(series))
    }
}

fn levels(text: &str) -> Option<QuantileLevels> {
    QuantileLevels::parse(text).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_champion_gives_way_only_to_one_that_answers_as_much() {
    let (service, _dir) = fresh(at(60 * DAY)).await;
    write(&service, "load", &hourly(60)).await;
    assert!(service.train(&naive("load"), quiet()).await.is_ok_and(|report| report.promoted));
    let shorter = TrainRequest { horizon: Some("PT12H".to_owned()), ..naive("load") };
    let less = TrainRequest { quantiles: levels("0.3,0.5,0.7"), ..naive("load") };
    for request in [shorter, less] {
        let report = service.train(&request, quiet()).await;
        assert!(report.as_ref().is_ok_and(|r| !r.promoted && r.promotion.contains("champion")), "{report:?}");
    }
    for quantiles in ["0.1", "0.1,0.2", "0.9"] {
        let request = TrainRequest { quantiles: levels(quantiles), ..naive("load") };
        let refused = service.train(&request, quiet()).await.map(|_| ()).map_err(|error| error.kind);
        assert_eq!(refused, Err(ErrorKind::InvalidInput), "{quantiles}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tails_keep_the_floor_and_replays_say_so() {
    let (service, _dir) = fresh(at(60 * DAY)).await;
    let mut small = hourly(60);
    small.iter_mut().for_each(|o| o.value = (o.value - 1_000.0).max(0.0));
    write(&service, "load", &small).await;
    assert!(service.train(&naive("load"), quiet()).await.is_ok());
    let wide = ForecastRequest { levels: levels("0.001,0.5"), ..ForecastRequest::new(name("load")) };
    let answer = service.forecast(&wide).await;
    assert!(answer.is_ok_and(|a| a.forecast.points.iter().all(|p| p.quantiles[0] >= 0.0)));
    let replay = ForecastRequest { as_of: Some(at(50 * DAY)), ..ForecastRequest::new(name("load")) };
    let degraded = service.forecast(&replay).await.ok().and_then(|answer| answer.forecast.degraded.clone());
    assert!(degraded.as_ref().is_some_and(|reason| reason.contains("replay")), "{degraded:?}");
    let before_all = ForecastRequest { as_of: Some(at(-5_000 * DAY)), ..ForecastRequest::new(name("load")) };
    let refused = service.forecast(&before_all).await.map(|_| ()).map_err(|error| error.kind);
    assert_eq!(refused, Err(ErrorKind::InsufficientData));
}

/// Six hours of values from 2024-01-01 on, starting at a minute.
fn csv(minute: u32, values: [u32; 6]) -> Arc<BytesSource> {
    let rows: String = values
        .iter()
        .enumerate()
        .map(|(hour, value)| format!("2024-01-01T{hour:02}:{minute:02}:00Z,{value}\n"))
        .collect();
    Arc::new(BytesSource(format!("time,mw\n{rows}").into_bytes().into()))
}

#[tokio::test(flavor = "multi_thread")]
async fn imports_keep_one_grid_and_correct_only_when_told() {
    let (service, _dir) = fresh(at(60 * DAY)).await;
    let column = ColumnMap { column: "mw".to_owned(), series: name("city") };
    let options = ImportOptions { time_zone: Some(Zone::utc()), ..ImportOptions::new("time", vec![column]) };
    let defaults = SeriesDefaults::default();
    let first =
        service.import(csv(0, [1, 2, 3, 4, 5, 6]), options.clone(), &defaults, false, |_, _| ()).await;
    assert!(first.is_ok_and(|report| report.stored == 6));
    let other_grid =
        service.import(csv(30, [1, 2, 3, 4, 5, 6]), options.clone(), &defaults, false, |_, _| ()).await;
    assert!(other_grid.is_err_and(|error| error.message.contains("phase")));

    let corrected = csv(0, [1, 2, 30, 4, 5, 6]);
    let kept = service.import(corrected.clone(), options.clone(), &defaults, false, |_, _| ()).await;
    assert!(kept.is_ok_and(|report| report.stored == 0 && report.rejected_count() == 1));
    let revising = ImportOptions { revise: true, ..options };
    let revised = service.import(corrected.clone(), revising.clone(), &defaults, false, |_, _| ()).await;
    assert!(revised.is_ok_and(|report| report.stored == 1 && report.rejected_count() == 0));
    let value_known = async |as_of| {
        let query = ObservationQuery { series: name("city"), from: Some(at(0)), to: Some(at(DAY)), as_of };
        service
            .read_observations(&query)
            .await
            .ok()
            .and_then(|page| page.observations.get(2).map(|o| o.value))
    };
    assert_eq!(value_known(None).await, Some(30.0));
    assert_eq!(value_known(Some(at(30 * DAY))).await, Some(3.0), "what was known before is not forgotten");
    let unit = SeriesDefaults { unit: "MW".to_owned(), ..SeriesDefaults::default() };
    let told = service.import(corrected, revising, &unit, false, |_, _| ()).await;
    assert!(told.is_ok_and(|report| report.warnings.iter().any(|w| w.contains("series set"))));
}
