//! Promises about issued forecasts.

use forewatt_domain::{Forecast, ForecastPoint, QuantileLevels, SeriesName, Time, VersionId};
use proptest::prelude::*;

use super::{HOUR, Harness, described, hour, hours, is_missing, named, property, wait, with_series};
use crate::{Error, ForecastKey, ForecastQuery, ForecastStore, IssuedPoint, SeriesStore};

/// A forecast of `steps` hours; its values tell it from others.
fn issue(name: &SeriesName, start: i64, issued: i64, steps: i64, value: f64) -> Forecast {
    let point = |i| ForecastPoint {
        valid_time: hour(start + i),
        mean: value + i as f64,
        quantiles: vec![value - 0.1, value + 1.0 / 3.0],
    };
    Forecast {
        series: name.clone(),
        unit: "MW".to_owned(),
        model_version: VersionId::new(name, 1),
        forecast_start: hour(start),
        issued_at: hour(issued),
        data_watermark: hour(issued - 1),
        quality: 0.75,
        degraded: Some("no weather".to_owned()),
        levels: QuantileLevels::new(vec![0.1, 0.9]).unwrap(),
        points: (0..steps).map(point).collect(),
    }
}

fn points(forecast: &Forecast) -> Vec<IssuedPoint> {
    let point = |p: &ForecastPoint| IssuedPoint {
        forecast_start: forecast.forecast_start,
        issued_at: forecast.issued_at,
        model_version: forecast.model_version.clone(),
        valid_time: p.valid_time,
        mean: p.mean,
        levels: forecast.levels.as_slice().to_vec(),
        quantiles: p.quantiles.clone(),
    };
    forecast.points.iter().map(point).collect()
}

fn started(start: i64) -> ForecastQuery {
    ForecastQuery::Start { forecast_start: hour(start) }
}

/// The last issued with that start, point by point, up to the limit.
pub async fn by_start_is_the_last_issued<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let (early, late) = (issue(&name, 24, 20, 48, 1.0), issue(&name, 24, 23, 24, 2.0));
    for forecast in [&late, &early, &issue(&name, 25, 25, 9, 3.0)] {
        store.put_forecast(forecast).await.unwrap();
    }
    assert_eq!(store.read_forecasts(&name, started(24), 999).await.unwrap(), points(&late));
    assert_eq!(store.read_forecasts(&name, started(24), 5).await.unwrap(), points(&late)[..5]);
    assert!(store.read_forecasts(&name, started(23), 999).await.unwrap().is_empty());
    let nobody = store.read_forecasts(&named("nobody"), started(24), 9).await;
    assert!(is_missing(&nobody, "series"));
}

/// The newest of all points about each valid time in the range that are allowed, by `newest`.
fn reference<K: Ord>(
    all: &[Forecast],
    (from, to): (Time, Time),
    allowed: impl Fn(&IssuedPoint) -> bool,
    newest: impl Fn(&IssuedPoint) -> K,
) -> Vec<IssuedPoint> {
    let mut found: Vec<_> = all.iter().flat_map(points).filter(|p| allowed(p)).collect();
    found.retain(|p| from <= p.valid_time && p.valid_time < to);
    found.sort_by_key(|p| (p.valid_time, newest(p)));
    found.reverse();
    found.dedup_by_key(|p| p.valid_time);
    found.reverse();
    found
}

/// For random forecasts, "as of" and "fixed lead" equal the rule written out.
pub async fn queries_are_the_written_rule<H: Harness>(harness: H) {
    let store = harness.store();
    let one = (0..20_i64, -4..4_i64, 1..12_i64);
    let case = (prop::collection::vec(one, 0..15), -5..28_i64, 0..12_i64, 0..33_i64, 0..33_i64);
    let number = std::sync::atomic::AtomicU32::new(0);
    property(&case, |(made, at, lead, from, to)| {
        let n = number.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let name = named(&format!("case-{n}"));
        let mut all: Vec<Forecast> = Vec::new();
        for (i, (start, delay, steps)) in made.into_iter().enumerate() {
            let forecast = issue(&name, start, start + delay, steps, i as f64);
            // The same start and issue again would change nothing.
            let key = |f: &Forecast| (f.forecast_start, f.issued_at);
            if all.iter().all(|f| key(f) != key(&forecast)) {
                all.push(forecast);
            }
        }
        let (at, lead_micros, from, to) = (hour(at), lead * HOUR, hour(from), hour(to));
        let (known, led) = wait(async {
            store.put_series(&described(name.as_str()), hour(0)).await.unwrap();
            for forecast in &all {
                store.put_forecast(forecast).await.unwrap();
            }
            let known = store.read_forecasts(&name, ForecastQuery::AsOf { at, from, to }, 999).await;
            let led = ForecastQuery::FixedLead { lead_micros, from, to };
            (known.unwrap(), store.read_forecasts(&name, led, 999).await.unwrap())
        });
        let expected =
            reference(&all, (from, to), |p| p.issued_at <= at, |p| (p.issued_at, p.forecast_start));
        prop_assert_eq!(known, expected);
        let far = |p: &IssuedPoint| p.valid_time.micros_since(p.forecast_start) >= lead_micros;
        let expected = reference(&all, (from, to), far, |p| (p.forecast_start, p.issued_at));
        prop_assert_eq!(led, expected);
        Ok(())
    });
}

/// The same start, issue time and version again changes nothing, whatever its values.
pub async fn an_issued_forecast_never_changes<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let first = issue(&name, 0, 0, 24, 1.0);
    store.put_forecast(&first).await.unwrap();
    store.put_forecast(&first).await.unwrap();
    store.put_forecast(&issue(&name, 0, 0, 30, 2.0)).await.unwrap();
    assert_eq!(store.read_forecasts(&name, started(0), 999).await.unwrap(), points(&first));
}

/// NaN, crossing quantiles, repeated valid times and unknown series are refused before anything is kept.
pub async fn invalid_forecasts_are_refused<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let good = issue(&name, 0, 0, 3, 1.0);
    let changes: [fn(&mut Forecast); 4] = [
        |f| f.points[1].mean = f64::NAN,
        |f| f.points[1].quantiles.reverse(),
        |f| f.points[1].valid_time = f.points[0].valid_time,
        |f| f.quality = f64::INFINITY,
    ];
    for change in changes {
        let mut bad = good.clone();
        change(&mut bad);
        let refused = store.put_forecast(&bad).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid { .. }), "{refused}");
    }
    assert!(store.read_forecasts(&name, started(0), 9).await.unwrap().is_empty());
    let nobody = store.put_forecast(&issue(&named("nobody"), 0, 0, 3, 1.0)).await;
    assert!(is_missing(&nobody, "series"));
}

/// A kept forecast is there after a crash.
pub async fn forecasts_outlive_a_crash<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let forecast = issue(&name, 0, 0, 48, 1.0);
    store.put_forecast(&forecast).await.unwrap();
    drop(store);
    let harness = harness.reopen().await;
    let store = harness.store();
    assert_eq!(store.read_forecasts(&name, started(0), 999).await.unwrap(), points(&forecast));
}

/// All that a version issued and nothing else, in order, within the range and up to the limit.
pub async fn a_versions_forecasts_are_its_own<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let second = VersionId::new(&name, 2);
    let (early, late) = (issue(&name, 0, 0, 24, 1.0), issue(&name, 24, 24, 24, 2.0));
    let again = issue(&name, 0, 1, 24, 3.0);
    let other = Forecast { model_version: second.clone(), ..issue(&name, 24, 24, 24, 4.0) };
    for forecast in [&late, &other, &again, &early] {
        store.put_forecast(forecast).await.unwrap();
    }
    let all = hours(&name, -99, 99);
    let ours = store.read_issued_by(&early.model_version, &all, 999).await.unwrap();
    assert_eq!(ours, [points(&early), points(&again), points(&late)].concat());
    assert_eq!(store.read_issued_by(&second, &all, 5).await.unwrap(), points(&other)[..5]);
    let evening = store.read_issued_by(&early.model_version, &hours(&name, 20, 26), 999).await.unwrap();
    assert_eq!(evening, [&points(&early)[20..], &points(&again)[20..], &points(&late)[..2]].concat());
    assert!(store.read_issued_by(&VersionId::new(&name, 3), &all, 9).await.unwrap().is_empty());
    let nobody = store.read_issued_by(&second, &hours(&named("nobody"), 0, 9), 9).await;
    assert!(is_missing(&nobody, "series"));
}

/// All of a series' forecasts come back whole, page by page, by start, issue and version.
pub async fn forecasts_are_listed_as_they_were_put<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let (_, other) = with_series(&harness, "solar").await;
    let second = Forecast { model_version: VersionId::new(&name, 2), ..issue(&name, 24, 20, 3, 5.0) };
    let plain = Forecast { degraded: None, points: Vec::new(), ..issue(&name, 25, 25, 0, 3.0) };
    let all = [issue(&name, 24, 20, 48, 1.0), second, issue(&name, 24, 23, 24, 2.0), plain];
    for forecast in all.iter().rev().chain([&issue(&other, 24, 20, 9, 1.0)]) {
        store.put_forecast(forecast).await.unwrap();
    }
    assert_eq!(store.list_forecasts(&name, None, 9).await.unwrap(), all);
    let after = ForecastKey::of(&all[0]);
    assert_eq!(store.list_forecasts(&name, Some(&after), 2).await.unwrap(), all[1..3]);
    let after = ForecastKey::of(&all[3]);
    assert!(store.list_forecasts(&name, Some(&after), 9).await.unwrap().is_empty());
    assert!(is_missing(&store.list_forecasts(&named("nobody"), None, 9).await, "series"));
}
