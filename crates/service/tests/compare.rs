//! Comparing through the service: versions by what they issued, third parties by their series, given values.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[expect(dead_code, reason = "this suite needs a clock that goes")]
mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use common::{DAY, HOUR, at, config, hourly, name, quiet, series, write};
use forewatt_domain::{Observation, Resolution, Series, VersionId};
use forewatt_model::compare::{ForecastRow, Forecasts, Loss, MatchedBy, Side};
use forewatt_service::compare::{CompareRequest, Source};
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::train::TrainRequest;
use forewatt_service::{ErrorKind, Service};
use forewatt_store::{Sqlite, SqliteOptions};

/// Days of data before the versions were trained.
const TRAINED: i64 = 60;
/// Days of data in all.
const DAYS: i64 = 85;

fn version(text: &str) -> Source {
    Source::Version(VersionId::from_text(text).unwrap())
}

fn request(a: Source, b: Source) -> CompareRequest {
    CompareRequest { a, b, of: None, from: None, to: None, lead: None, time_zone: None }
}

/// Two versions that issued a day-ahead forecast every day after their training, and the operator's own.
async fn with_forecasts() -> (Service, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let store = Sqlite::open(dir.path(), SqliteOptions::default()).await.unwrap().into();
    let day = Arc::new(AtomicI64::new(TRAINED));
    let clock = Arc::clone(&day);
    let service =
        Service::with_store(store, config(at(0)), Arc::new(move || at(clock.load(Ordering::SeqCst) * DAY)));
    let load = hourly(DAYS);
    let (before, after) = load.split_at((TRAINED * 24) as usize);
    write(&service, "load", before).await;
    for family in ["seasonal-naive", "seasonal-empirical"] {
        let request = TrainRequest {
            model: Some(family.parse().unwrap()),
            horizon: Some("PT24H".to_owned()),
            backtest_days: Some(7),
            promote: false,
            ..TrainRequest::new(name("load"))
        };
        service.train(&request, quiet()).await.unwrap();
    }
    for measured in after.chunks(24) {
        forecast(&service).await;
        write(&service, "load", measured).await;
        day.fetch_add(1, Ordering::SeqCst);
    }
    // The data stand still for ten days: the forecast starts where they end, and nothing came true yet.
    day.fetch_add(10, Ordering::SeqCst);
    forecast(&service).await;
    // Known at noon of the day before, and close to the truth.
    let operator = after.iter().enumerate().map(|(i, o)| Observation {
        valid_time: o.valid_time,
        available_at: at((o.valid_time.micros_since(at(0)) / DAY) * DAY - 12 * HOUR),
        value: o.value + if i % 2 == 0 { 5.0 } else { -5.0 },
    });
    write(&service, "operator", &operator.collect::<Vec<_>>()).await;
    (service, dir)
}

/// Lets both versions issue a forecast as of the clock.
async fn forecast(service: &Service) {
    for id in ["load-v1", "load-v2"] {
        let version = VersionId::from_text(id);
        service.forecast(&ForecastRequest { version, ..ForecastRequest::new(name("load")) }).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_by_what_they_issued_and_the_operators_series() {
    let (service, _dir) = with_forecasts().await;
    let found = service.compare(request(version("load-v1"), version("load-v2"))).await.unwrap();
    let days = (DAYS - TRAINED) as usize;
    assert_eq!((found.days, found.values, found.matched_by), (days, days * 24, MatchedBy::StartAndValidTime));
    assert_eq!((found.of.as_ref().unwrap().as_str(), found.unit.as_str()), ("load", "MW"));
    assert_eq!(found.quantiles.len(), 9, "they are kept at the trained levels");
    assert_eq!(found.losses.len(), 3);
    assert_eq!((found.a.count.rows, found.a.count.without_actual), (days * 24 + 24, 24));
    assert!(
        found.notes.iter().any(|n| n.contains("24 values of `load-v1` were issued after")),
        "{:?}",
        found.notes
    );

    let theirs = Source::Series(name("operator"));
    let found = service.compare(request(version("load-v1"), theirs.clone())).await.unwrap();
    assert_eq!((found.matched_by, found.values), (MatchedBy::ValidTime, days * 24));
    assert_eq!((found.b.kind, found.b.name.as_str(), found.losses.len()), ("series", "operator", 2));
    let absolute = &found.losses[0];
    assert_eq!((absolute.loss, absolute.better), (Loss::Absolute, Some(Side::B)));
    assert!((absolute.overall.b - 5.0).abs() < 1e-9);
    assert!(absolute.by_lead.len() > 3, "the version's leads are known");
    // The operator knew the last hours of a day 36 h ahead, the first ones 12 h.
    let far = CompareRequest {
        lead: Some(jiff::SignedDuration::from_hours(20)),
        ..request(version("load-v1"), theirs)
    };
    let far = service.compare(far).await.unwrap();
    assert_eq!((far.values, far.a.count.too_late), (days * 4, (days + 1) * 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_values_and_a_series_to_hold_them_against() {
    let (service, _dir) = with_forecasts().await;
    let rows = (TRAINED * 24..DAYS * 24).map(|hour| ForecastRow {
        forecast_start: None,
        valid_time: at(hour * HOUR),
        actual: f64::NAN,
        mean: 1_000.0,
        quantiles: vec![],
    });
    let flat = Source::Given {
        name: "flat".to_owned(),
        forecasts: Forecasts { levels: vec![], rows: rows.collect() },
    };
    let theirs = Source::Series(name("operator"));
    let blind = service.compare(request(flat.clone(), theirs.clone())).await.unwrap_err();
    assert_eq!(blind.kind, ErrorKind::InvalidInput);
    assert!(blind.message.contains("`of`"), "{}", blind.message);
    let range = CompareRequest {
        of: Some(name("load")),
        from: Some(at(70 * DAY)),
        to: Some(at(80 * DAY)),
        ..request(flat, theirs)
    };
    let found = service.compare(range).await.unwrap();
    assert_eq!((found.days, found.from, found.to), (10, at(70 * DAY), at(80 * DAY - HOUR)));
    assert!(found.losses[0].by_lead.is_empty());
    assert!(
        found.losses[0].verdict.starts_with("operator is better than flat"),
        "{}",
        found.losses[0].verdict
    );
    assert!(found.losses[0].verdict.contains("needs more days"), "{}", found.losses[0].verdict);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_is_refused_with_the_mend() {
    let (service, _dir) = with_forecasts().await;
    write(&service, "other", &hourly(3)).await;
    let half = Series { resolution: Resolution::from_seconds(1_800).unwrap(), ..series("half") };
    service.put_series(&half).await.unwrap();
    let kilo = Series { unit: "kW".to_owned(), ..series("kilo") };
    service.put_series(&kilo).await.unwrap();
    let with = |of: &str, b: Source| CompareRequest { of: Some(name(of)), ..request(version("load-v1"), b) };
    let by = |text: &str| Source::Series(name(text));
    for (request, kind, mend) in [
        (request(version("load-v9"), by("operator")), ErrorKind::NotFound, "load-v"),
        (request(version("load-v1"), by("operatr")), ErrorKind::NotFound, "did you mean `operator`"),
        (with("other", by("operator")), ErrorKind::InvalidInput, "forecasts `load`, not `other`"),
        (with("load", by("half")), ErrorKind::InvalidInput, "step of what it forecasts"),
        (with("load", by("kilo")), ErrorKind::InvalidInput, "unit of what it forecasts"),
        (with("load", by("other")), ErrorKind::InsufficientData, "about the same time"),
        (
            CompareRequest {
                to: Some(at((TRAINED + 3) * DAY)),
                ..request(version("load-v1"), by("operator"))
            },
            ErrorKind::InsufficientData,
            "at least 8 days",
        ),
        (
            CompareRequest {
                from: Some(at(2)),
                to: Some(at(1)),
                ..request(version("load-v1"), by("operator"))
            },
            ErrorKind::InvalidInput,
            "reversed",
        ),
    ] {
        let error = service.compare(request).await.unwrap_err();
        assert!(error.message.contains(mend), "{mend}: {}", error.message);
        assert_eq!(error.kind, kind, "{}", error.message);
    }
}
