//! Values out of range, each with its key and the mend.

use std::net::SocketAddr;

use forewatt_domain::time::parse_duration;
use forewatt_domain::{Family, QuantileLevels, Time};

use super::Config;

/// One line per value that cannot be; empty when all is well.
pub(super) fn problems(config: &Config) -> Vec<String> {
    let mut found = ranges(config);
    found.extend(super::outward::problems(&config.outward));
    found.extend(super::serving::problems(config));
    found.extend(super::security::problems(config));
    let mut text = |key: &str, result: Result<(), String>| {
        if let Err(reason) = result {
            found.push(format!("{key}: {reason}"));
        }
    };
    if let Err(reason) = listen(&config.server.listen, config.auth.required) {
        text("server.listen", Err(reason));
    }
    let grpc = config.server.grpc_listen.trim();
    if !grpc.is_empty() {
        text("server.grpc_listen", listen(grpc, config.auth.required).map(drop));
    }
    let horizon = parse_duration(&config.forecast.horizon).map_err(|e| e.to_string());
    let positive = horizon
        .and_then(|h| if h.is_zero() { Err("must be longer than nothing".to_owned()) } else { Ok(()) });
    text("forecast.horizon", positive);
    let levels = QuantileLevels::new(config.forecast.levels.clone());
    text("forecast.levels", levels.map(drop).map_err(|e| e.to_string()));
    let now = config.forecast.fixed_now.trim();
    if !now.is_empty() {
        text("forecast.fixed_now", now.parse::<Time>().map(drop).map_err(|e| e.to_string()));
    }
    text("train.family", config.train.family.parse::<Family>().map(drop).map_err(|e| e.to_string()));
    text("log.level", crate::telemetry::check_filter(&config.log.level));
    if config.store.data_dir.as_os_str().is_empty() {
        text("store.data_dir", Err("is empty: name a folder such as forewatt-data".to_owned()));
    }
    text("store.url", postgres_url(&config.store.url));
    text("cache.redis_url", forewatt_service::cache::check_redis_url(&config.cache.redis_url));
    text("store.read_url", postgres_url(&config.store.read_url));
    if !config.store.read_url.trim().is_empty() && config.store.url.trim().is_empty() {
        text("store.read_url", Err("names a replica, but store.url names no primary".to_owned()));
    }
    if !(0.0..=1.0).contains(&config.forecast.completeness_min) {
        let value = config.forecast.completeness_min;
        text("forecast.completeness_min", Err(format!("{value} is out of range: 0 to 1")));
    }
    found
}

/// Empty, or a URL of PostgreSQL. The text is not repeated: it may hold a password.
fn postgres_url(text: &str) -> Result<(), String> {
    let text = text.trim();
    if text.is_empty() || text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return Ok(());
    }
    Err("is no URL of PostgreSQL: write postgres://USER:PASSWORD@HOST:5432/DATABASE, or nothing for SQLite"
        .to_owned())
}

/// Reads an address to listen on.
///
/// # Errors
/// A text without the key: not an address, or one that others could reach without showing a key.
pub(super) fn listen(text: &str, auth_required: bool) -> Result<SocketAddr, String> {
    let standard = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    let address: SocketAddr = standard
        .as_deref()
        .unwrap_or(text)
        .parse()
        .map_err(|_| format!("`{text}` is not an address and a port such as 127.0.0.1:8080"))?;
    if auth_required || address.ip().is_loopback() {
        return Ok(address);
    }
    Err(format!(
        "refusing to listen on {address}: other computers could reach it without a key. Make a key with \
         `forewatt keys create NAME` and set auth.required = true (FOREWATT_AUTH__REQUIRED=true), or listen on \
         127.0.0.1:{}",
        address.port()
    ))
}

fn ranges(config: &Config) -> Vec<String> {
    const GIB: u64 = 1 << 30;
    const HOUR_MS: u64 = 3_600_000;
    let (server, store, cache) = (&config.server, &config.store, &config.cache);
    let (forecast, train, limits) = (&config.forecast, &config.train, &config.limits);
    let explain = &config.explain;
    out_of_range(&[
        ("server.body_max_bytes", server.body_max_bytes, 1_024, GIB),
        ("server.request_timeout_ms", server.request_timeout_ms, 10, HOUR_MS),
        ("server.concurrency_max", server.concurrency_max as u64, 1, 100_000),
        ("server.shutdown_timeout_ms", server.shutdown_timeout_ms, 0, HOUR_MS),
        ("server.drain_ms", server.drain_ms, 0, HOUR_MS),
        ("store.min_connections", store.min_connections.into(), 0, store.max_connections.into()),
        ("store.max_connections", store.max_connections.into(), 2, 1_000),
        ("store.acquire_timeout_ms", store.acquire_timeout_ms, 10, HOUR_MS),
        ("store.idle_timeout_ms", store.idle_timeout_ms, 1_000, 24 * HOUR_MS),
        ("store.max_lifetime_ms", store.max_lifetime_ms, 1_000, 24 * HOUR_MS),
        ("store.statement_timeout_ms", store.statement_timeout_ms, 100, HOUR_MS),
        ("store.lock_timeout_ms", store.lock_timeout_ms, 10, HOUR_MS),
        ("store.idle_transaction_timeout_ms", store.idle_transaction_timeout_ms, 1_000, HOUR_MS),
        ("store.upkeep_interval_ms", store.upkeep_interval_ms, 1_000, 24 * HOUR_MS),
        ("store.partitions_ahead_months", store.partitions_ahead_months.into(), 0, 120),
        ("store.read_connections", store.read_connections.into(), 1, 256),
        ("store.busy_timeout_ms", store.busy_timeout_ms, 0, HOUR_MS),
        ("forecast.data_age_max_hours", forecast.data_age_max_hours.into(), 1, 1_000_000),
        ("forecast.batch_max", forecast.batch_max as u64, 1, 100_000),
        ("forecast.batch_values_max", forecast.batch_values_max as u64, 1, 100_000_000),
        ("forecast.issued_queue_max", forecast.issued_queue_max as u64, 1, 10_000_000),
        ("cache.answers_max_bytes", cache.answers_max_bytes, 0, 1_024 * GIB),
        ("cache.answer_ttl_ms", cache.answer_ttl_ms, 1, 24 * HOUR_MS),
        ("cache.ttl_jitter_percent", cache.ttl_jitter_percent.into(), 0, 50),
        ("cache.stale_max_ms", cache.stale_max_ms, 0, HOUR_MS),
        ("cache.refusal_ttl_ms", cache.refusal_ttl_ms, 0, HOUR_MS),
        ("cache.redis_timeout_ms", cache.redis_timeout_ms, 1, 60_000),
        ("cache.redis_failures_max", cache.redis_failures_max.into(), 1, 1_000),
        ("cache.redis_retry_ms", cache.redis_retry_ms, 10, HOUR_MS),
        ("cache.redis_value_max_bytes", cache.redis_value_max_bytes as u64, 1_024, GIB / 4),
        ("cache.redis_compress_min_bytes", cache.redis_compress_min_bytes as u64, 0, GIB),
        ("cache.lease_ms", cache.lease_ms, 10, HOUR_MS),
        ("cache.warm_max", cache.warm_max as u64, 0, 10_000),
        ("cache.warm_timeout_ms", cache.warm_timeout_ms, 0, HOUR_MS),
        ("cache.series_ttl_ms", cache.series_ttl_ms, 1, 24 * HOUR_MS),
        ("cache.series_max", cache.series_max, 1, 10_000_000),
        ("cache.models_max_bytes", cache.models_max_bytes, 1 << 20, 1 << 40),
        ("train.backtest_days", train.backtest_days.into(), 1, 3_660),
        ("train.rows_max", train.rows_max as u64, 1_000, 100_000_000),
        ("train.jobs_queue_max", train.jobs_queue_max as u64, 1, 100_000),
        ("train.jobs_running_max", train.jobs_running_max as u64, 1, 1_000),
        ("limits.read_points_max", limits.read_points_max as u64, 1, 100_000_000),
        ("limits.write_points_max", limits.write_points_max as u64, 1, 100_000_000),
        ("limits.list_max", limits.list_max.into(), 1, 1_000_000),
        ("explain.background_days", explain.background_days.into(), 1, 366),
        ("explain.evaluations_max", explain.evaluations_max as u64, 1_000, 100_000_000),
        ("explain.overrides_max", explain.overrides_max as u64, 1, 1_000),
        ("explain.override_values_max", explain.override_values_max as u64, 1, 1_000_000),
        ("train.seed", train.seed, 0, i64::MAX as u64),
    ])
}

/// A key, its value, and the least and the greatest that may be.
pub(super) type Range = (&'static str, u64, u64, u64);

/// One line per value outside its range.
pub(super) fn out_of_range(rows: &[Range]) -> Vec<String> {
    rows.iter()
        .filter(|(_, value, low, high)| !(low..=high).contains(&value))
        .map(|(key, value, low, high)| format!("{key}: {value} is out of range: {low} to {high}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::defaults;
    use super::*;

    #[test]
    fn every_problem_is_told_with_its_key() {
        let mut config = defaults();
        assert_eq!(problems(&config), Vec::<String>::new());
        config.server.body_max_bytes = 0;
        config.server.grpc_listen = "0.0.0.0:9090".to_owned();
        config.forecast.horizon = "tomorrow".to_owned();
        config.forecast.levels = vec![0.5, 0.5];
        config.forecast.completeness_min = f64::NAN;
        config.forecast.fixed_now = "now".to_owned();
        config.train.family = "magic".to_owned();
        config.store.data_dir = "".into();
        config.store.url = "mysql://me:hunter2@db".to_owned();
        config.store.max_connections = 10;
        config.cache.redis_url = "http://:hunter2@cache".to_owned();
        config.log.level = "forewatt=loud".to_owned();
        let found = problems(&config).join("\n");
        assert!(!found.contains("hunter2"), "{found}");
        for key in [
            "server.body_max_bytes",
            "server.grpc_listen",
            "forecast.horizon",
            "forecast.levels",
            "forecast.completeness_min",
            "forecast.fixed_now",
            "train.family",
            "store.data_dir",
            "store.url",
            "store.min_connections",
            "cache.redis_url",
            "log.level",
        ] {
            assert!(found.contains(&format!("{key}: ")), "{key} in {found}");
        }
    }

    #[test]
    fn only_this_computer_is_listened_to() {
        for good in ["127.0.0.1:8080", "[::1]:0", "localhost:80", "127.0.0.2:1"] {
            assert!(listen(good, false).is_ok(), "{good}");
        }
        for bad in ["0.0.0.0:8080", "[::]:80", "192.168.1.4:80"] {
            let told = listen(bad, false).unwrap_err();
            assert!(told.contains("auth.required = true") && told.contains("forewatt keys create"), "{told}");
            assert!(listen(bad, true).is_ok(), "{bad}");
        }
        for bad in ["", "8080", "127.0.0.1", "127.0.0.1:99999", "host:80"] {
            assert!(listen(bad, true).unwrap_err().contains("127.0.0.1:8080"), "{bad}");
        }
    }
}
