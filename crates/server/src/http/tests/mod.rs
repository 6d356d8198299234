//! The router as clients meet it: a real service on a real store in a temporary folder, without a network.

pub(crate) mod access;
mod admitting;
mod comparing;
mod contract;
mod explaining;
mod falling;
mod importing;
#[path = "../../../../service/tests/common/issuer.rs"]
pub(crate) mod issuer;
mod limiting;
mod mlflow;
mod optimizing;
mod outward;
mod reading;
mod reconciling;
mod refusing;
mod tensors;
mod timeseries;
pub(crate) mod tokens;
mod writing;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use forewatt_service::admission::AdmissionConfig;
use forewatt_service::domain::{Family, Series, Time};
use forewatt_service::observations::NewObservation;
use forewatt_service::train::TrainRequest;
use forewatt_service::{Service, StoreOptions};
use metrics_exporter_prometheus::PrometheusBuilder;
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt as _;

use super::{AppState, HttpOptions, router};

/// The end of the fixture's data and its "now".
pub(crate) const NOW: &str = "2026-03-02T00:00:00Z";
/// Days of hourly data in the fixture.
pub(crate) const DAYS: i64 = 60;
/// The largest body the test server takes, in bytes.
pub(crate) const BODY_MAX_BYTES: usize = 64 * 1024;

/// A server without a socket.
pub(crate) struct TestServer {
    pub(crate) router: Router,
    pub(crate) state: AppState,
    pub(crate) service: Service,
    _folder: tempfile::TempDir,
}

/// What came back.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Checks that this is a problem with this status, and returns its detail.
    pub(crate) fn problem(&self, status: u16) -> String {
        let text = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status.as_u16(), status, "{text}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{text}");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        for field in ["type", "title", "detail", "instance", "request_id"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "no {field} in {text}");
        }
        problem["detail"].as_str().unwrap().to_owned()
    }
}

impl TestServer {
    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        send(&self.router, request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Reply {
        let request = Request::post(path).header("content-type", "application/json");
        self.send(request.body(body.to_string().into()).unwrap()).await
    }

    pub(crate) async fn put(&self, path: &str, body: &Value) -> Reply {
        let request = Request::put(path).header("content-type", "application/json");
        self.send(request.body(body.to_string().into()).unwrap()).await
    }
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Reply {
    let response = router.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let body = axum::body::to_bytes(response.into_body(), 64 << 20).await.unwrap();
    Reply { status, headers, body }
}

pub(crate) fn options() -> HttpOptions {
    HttpOptions {
        body_max_bytes: BODY_MAX_BYTES,
        request_timeout: Duration::from_secs(60),
        concurrency_max: 8,
        admission: fixed_admission(0),
        loopback_only: true,
        dashboard: true,
        grpc: true,
        auth: crate::config::tests::defaults().auth,
        rate_limit: None,
        cors_origins: Vec::new(),
    }
}

/// Limits that do not move, and queues of this length.
pub(crate) fn fixed_admission(queue_max: usize) -> AdmissionConfig {
    AdmissionConfig { adaptive: false, queue_max, ..crate::config::tests::defaults().admission }
}

/// A server with an empty store.
pub(crate) async fn empty() -> TestServer {
    empty_with(options()).await
}

pub(crate) async fn empty_with(options: HttpOptions) -> TestServer {
    empty_told(options, |_| ()).await
}

/// A server with an empty store and a change to its configuration.
pub(crate) async fn empty_told(
    options: HttpOptions,
    change: impl FnOnce(&mut forewatt_service::Config),
) -> TestServer {
    let folder = tempfile::tempdir().unwrap();
    let mut config = crate::config::tests::defaults().service();
    config.forecast.fixed_now = NOW.to_owned();
    change(&mut config);
    let store = StoreOptions { read_connections: 2, busy_timeout_ms: 1_000, postgres: None };
    let service = Service::open(folder.path(), &store, config).await.unwrap();
    let metrics = PrometheusBuilder::new().build_recorder().handle();
    let state = AppState::new(service.clone(), metrics, options);
    TestServer { router: router(state.clone()), state, service, _folder: folder }
}

/// A description of a series as a client puts it.
pub(crate) fn city() -> Value {
    json!({"kind": "load", "unit": "MW", "resolution": "PT1H", "time_zone": "Europe/Madrid", "holiday_region": "ES"})
}

/// A series described as [`city`].
pub(crate) fn described_as(name: &str) -> Series {
    let mut fields = city();
    fields["name"] = json!(name);
    serde_json::from_value(fields).unwrap()
}

/// A server with `city.load`: 60 days of a daily and weekly shape, and a seasonal-naive champion.
pub(crate) async fn with_champion() -> TestServer {
    with_champion_and(options()).await
}

/// The same with other options.
pub(crate) async fn with_champion_and(options: HttpOptions) -> TestServer {
    champion_on(empty_with(options).await).await
}

/// The same on a server that is empty still.
pub(crate) async fn champion_on(server: TestServer) -> TestServer {
    server.service.put_series(&described_as("city.load")).await.unwrap();
    let name = "city.load".parse().unwrap();
    server.service.write_observations(&name, &observations()).await.unwrap();
    let request = TrainRequest {
        model: Some(Family::SeasonalNaive),
        backtest_days: Some(7),
        ..TrainRequest::new(name)
    };
    let report = server.service.train(&request, std::sync::Arc::new(|_, _| ())).await.unwrap();
    assert!(report.promoted, "{}", report.promotion);
    server
}

pub(crate) fn observations() -> Vec<NewObservation> {
    let end: Time = NOW.parse().unwrap();
    let hours = DAYS * 24;
    let value = |hour: i64| {
        let (of_day, of_week) = ((hour % 24) as f64, (hour / 24 % 7) as f64);
        100.0
            + 30.0 * (of_day / 24.0 * std::f64::consts::TAU).sin()
            + 5.0 * of_week
            + (hour * 7919 % 13) as f64
    };
    let time = |hour: i64| end.plus_micros((hour - hours) * 3_600_000_000);
    (0..hours)
        .map(|hour| NewObservation { valid_time: time(hour), available_at: None, value: value(hour) })
        .collect()
}
