//! A service on a temporary folder with a stopped clock, and data for it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use std::sync::Arc;

use forewatt_domain::{Location, Observation, Resolution, Series, SeriesKind, SeriesName, Time, Zone};
use forewatt_service::batching::BatchingConfig;
use forewatt_service::config::{
    CacheConfig, CdnConfig, Config, ExplainConfig, ForecastConfig, LimitsConfig, OutwardConfig,
    SourcesConfig, TrainConfig, WebhooksConfig,
};
use forewatt_service::jobs::Progress;
use forewatt_service::ladder::DegradationConfig;
use forewatt_service::observations::NewObservation;
use forewatt_service::{Service, StoreOptions};

/// Microseconds in an hour.
pub const HOUR: i64 = 3_600_000_000;
/// Microseconds in a day.
pub const DAY: i64 = 24 * HOUR;

/// An instant this many microseconds after 2024-01-01T00:00:00Z.
pub fn at(micros: i64) -> Time {
    Time::from_seconds(1_704_067_200).plus_micros(micros)
}

pub fn name(text: &str) -> SeriesName {
    text.parse().unwrap()
}

pub fn quiet() -> Progress {
    Arc::new(|_, _| ())
}

pub fn config(now: Time) -> Config {
    Config {
        forecast: ForecastConfig {
            horizon: "PT48H".to_owned(),
            levels: vec![0.1, 0.5, 0.9],
            data_age_max_hours: 168,
            completeness_min: 0.9,
            fixed_now: now.to_string(),
            batch_max: 10,
            batch_values_max: 10_000,
            issued_queue_max: 8,
        },
        cache: CacheConfig {
            answers_max_bytes: 10_000_000,
            answer_ttl_ms: 60_000,
            series_ttl_ms: 60_000,
            series_max: 100,
            models_max_bytes: 100_000_000,
            ttl_jitter_percent: 0,
            stale_max_ms: 0,
            refusal_ttl_ms: 500,
            redis_url: String::new(),
            redis_timeout_ms: 1_000,
            redis_failures_max: 3,
            redis_retry_ms: 20,
            redis_value_max_bytes: 1_000_000,
            redis_compress_min_bytes: 1_000,
            lease_ms: 60_000,
            warm_max: 10,
            warm_timeout_ms: 60_000,
        },
        train: TrainConfig {
            family: "linear".to_owned(),
            backtest_days: 14,
            rows_max: 20_000,
            seed: 1,
            jobs_queue_max: 4,
            jobs_running_max: 1,
        },
        limits: LimitsConfig { read_points_max: 10_000, write_points_max: 10_000, list_max: 100 },
        explain: ExplainConfig {
            background_days: 14,
            evaluations_max: 100_000,
            overrides_max: 3,
            override_values_max: 100,
        },
        degradation: DegradationConfig {
            enabled: true,
            versions_max: 3,
            retry_after_ms: 60_000,
            seasonal_days: 56,
            seasonal_ttl_ms: 60_000,
            silence_max_hours: 24,
        },
        batching: BatchingConfig { enabled: false, rows_max: 256, delay_max_us: 0, calls_max: 1 },
        outward: outward(),
    }
}

/// Calls to this computer, with short waits and little room.
pub fn outward() -> OutwardConfig {
    OutwardConfig {
        connect_timeout_ms: 2_000,
        request_timeout_ms: 5_000,
        total_timeout_ms: 10_000,
        retries_max: 2,
        retry_backoff_ms: 1,
        retry_backoff_max_ms: 2,
        retry_budget_percent: 20,
        breaker_failures: 3,
        breaker_open_ms: 60_000,
        breaker_open_max_ms: 600_000,
        breaker_probes: 1,
        concurrency_max: 4,
        waiting_max: 4,
        body_max_bytes: 100_000,
        allow_networks: vec!["127.0.0.0/8".to_owned()],
        sources: SourcesConfig { sources_max: 3, running_max: 2, poll_interval_ms: 5 },
        webhooks: WebhooksConfig {
            webhooks_max: 2,
            queue_max: 50,
            dead_max: 10,
            attempts_max: 2,
            backoff_ms: 1_000,
            backoff_max_ms: 1_000,
            running_max: 4,
            poll_interval_ms: 5,
        },
        cdn: CdnConfig {
            client_max_age_s: 0,
            client_stale_while_revalidate_s: 0,
            max_age_s: 0,
            stale_while_revalidate_s: 0,
            stale_if_error_s: 0,
            purge_urls: Vec::new(),
            purge_method: "PURGE".to_owned(),
            purge_queue_max: 10,
        },
    }
}

pub async fn open(dir: &tempfile::TempDir, now: Time) -> Service {
    let options = StoreOptions { read_connections: 2, busy_timeout_ms: 1_000, postgres: None };
    Service::open(dir.path(), &options, config(now)).await.unwrap()
}

pub async fn fresh(now: Time) -> (Service, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (open(&dir, now).await, dir)
}

/// `days` of hourly load with a daily and a weekly rhythm and some noise, known an hour after each start.
pub fn hourly(days: i64) -> Vec<Observation> {
    let mut state = 7_u64;
    let mut noise = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / f64::from(1 << 24) - 0.5
    };
    let value = |hour: i64, noise: f64| {
        let weekend = (hour / 24) % 7 >= 5;
        let angle = (hour % 24) as f64 / 24.0 * std::f64::consts::TAU;
        1_000.0 + 200.0 * (angle - 2.0).sin() - if weekend { 150.0 } else { 0.0 } + 60.0 * noise
    };
    (0..days * 24)
        .map(|hour| Observation {
            valid_time: at(hour * HOUR),
            available_at: at((hour + 1) * HOUR),
            value: value(hour, noise()),
        })
        .collect()
}

pub fn series(text: &str) -> Series {
    Series {
        name: name(text),
        kind: SeriesKind::Load,
        unit: "MW".to_owned(),
        resolution: Resolution::HOUR,
        time_zone: Zone::utc(),
        location: Some(Location::new(52.0, 5.0).unwrap()),
        holiday_region: Some("NL".to_owned()),
        parent: None,
    }
}

pub async fn write(service: &Service, text: &str, observations: &[Observation]) {
    service.put_series(&series(text)).await.unwrap();
    let new: Vec<NewObservation> = observations
        .iter()
        .map(|o| NewObservation {
            valid_time: o.valid_time,
            available_at: Some(o.available_at),
            value: o.value,
        })
        .collect();
    service.write_observations(&name(text), &new).await.unwrap();
}
