//! `[cors]` and `[tls]`, and what follows from who can reach the server.

use std::path::PathBuf;

use forewatt_service::access::config::{Mode, RateLimitConfig};
use serde::{Deserialize, Serialize};

use super::Config;
use super::check::out_of_range;

/// `[cors]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CorsConfig {
    /// Origins of pages that may read and write here.
    pub allowed_origins: Vec<String>,
}

/// `[tls]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate chain in PEM; empty for plain HTTP.
    pub cert_file: PathBuf,
    /// Its private key in PEM.
    pub private_key_file: PathBuf,
    /// Authorities in PEM whose certificates clients must show; empty: clients need none.
    pub client_ca_file: PathBuf,
    /// How often the files are looked at for changes, in ms.
    pub reload_interval_ms: u64,
    /// The time a client has to agree on a connection, in ms.
    pub handshake_timeout_ms: u64,
    /// Connections that may be agreed on at once.
    pub handshakes_max: usize,
}

impl TlsConfig {
    /// Whether connections are encrypted.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.cert_file.as_os_str().is_empty()
    }
}

impl Config {
    /// How much a caller may ask; `None` for as much as the server can do.
    #[must_use]
    pub fn limits(&self) -> Option<RateLimitConfig> {
        let on = match self.rate_limit.mode {
            Mode::On => true,
            Mode::Off => false,
            Mode::Auto => !self.is_loopback_only(),
        };
        on.then(|| self.rate_limit.clone())
    }

    /// Whether only this computer can reach the server.
    #[must_use]
    pub fn is_loopback_only(&self) -> bool {
        let local = |address: std::net::SocketAddr| address.ip().is_loopback();
        // What is no address was refused when the configuration was loaded.
        self.listen().is_ok_and(local) && self.grpc_listen().is_ok_and(|grpc| grpc.is_none_or(local))
    }
}

/// What cannot be in these sections, each with its key.
pub(super) fn problems(config: &Config) -> Vec<String> {
    let mut found: Vec<String> = config
        .cors
        .allowed_origins
        .iter()
        .filter(|origin| !is_origin(origin))
        .map(|origin| {
            format!("cors.allowed_origins: `{origin}` is not an origin such as https://app.example, without a path")
        })
        .collect();
    found.extend(ranges(config));
    found.extend(config.auth.oidc.problems());
    let (tls, empty) = (&config.tls, |path: &PathBuf| path.as_os_str().is_empty());
    if empty(&tls.cert_file) != empty(&tls.private_key_file) {
        found.push("tls.cert_file: a certificate and its tls.private_key_file belong together".to_owned());
    }
    if empty(&tls.cert_file) && !empty(&tls.client_ca_file) {
        found.push(
            "tls.client_ca_file: clients can only show certificates over TLS: name tls.cert_file too"
                .to_owned(),
        );
    }
    found
}

fn ranges(config: &Config) -> Vec<String> {
    const HOUR_MS: u64 = 3_600_000;
    let (auth, rate, tls) = (&config.auth, &config.rate_limit, &config.tls);
    out_of_range(&[
        ("auth.keys_ttl_ms", auth.keys_ttl_ms, 1, HOUR_MS),
        ("auth.keys_max", auth.keys_max, 1, 10_000_000),
        ("auth.refusals_logged_per_minute_max", auth.refusals_logged_per_minute_max.into(), 0, 100_000),
        ("auth.oidc.leeway_s", auth.oidc.leeway_s.into(), 0, 600),
        ("auth.oidc.keys_ttl_ms", auth.oidc.keys_ttl_ms, 1_000, 24 * HOUR_MS),
        ("auth.oidc.keys_stale_max_ms", auth.oidc.keys_stale_max_ms, 0, 24 * HOUR_MS),
        ("auth.oidc.keys_ask_again_ms", auth.oidc.keys_ask_again_ms, 1_000, HOUR_MS),
        ("auth.oidc.token_max_bytes", auth.oidc.token_max_bytes as u64, 256, 65_536),
        ("rate_limit.units_per_minute", rate.units_per_minute.into(), 1, 1_000_000_000),
        ("rate_limit.burst_units", rate.burst_units.into(), 1, 1_000_000_000),
        ("rate_limit.units_per_day", rate.units_per_day, 0, i64::MAX as u64),
        ("rate_limit.concurrency_per_key_max", rate.concurrency_per_key_max.into(), 0, 100_000),
        ("rate_limit.values_per_unit", rate.values_per_unit.into(), 1, 1_000_000_000),
        ("rate_limit.train_units", rate.train_units.into(), 0, 1_000_000_000),
        ("rate_limit.callers_max", rate.callers_max, 1, 10_000_000),
        ("tls.reload_interval_ms", tls.reload_interval_ms, 100, 24 * HOUR_MS),
        ("tls.handshake_timeout_ms", tls.handshake_timeout_ms, 100, HOUR_MS),
        ("tls.handshakes_max", tls.handshakes_max as u64, 1, 100_000),
    ])
}

/// `scheme://host[:port]`, as browsers send it.
fn is_origin(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|host| {
        let ok = |b: u8| {
            b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b':' | b'[' | b']')
        };
        !host.is_empty() && host.bytes().all(ok)
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::defaults;
    use super::*;

    #[test]
    fn limits_hold_where_others_can_ask() {
        let mut config = defaults();
        assert!(config.is_loopback_only() && config.limits().is_none());
        config.rate_limit.mode = Mode::On;
        assert!(config.limits().is_some());
        config.rate_limit.mode = Mode::Auto;
        config.auth.required = true;
        config.server.grpc_listen = "0.0.0.0:9090".to_owned();
        assert!(!config.is_loopback_only() && config.limits().is_some());
        config.rate_limit.mode = Mode::Off;
        assert!(config.limits().is_none());
    }

    #[test]
    fn what_does_not_fit_together_is_told() {
        let mut config = defaults();
        assert_eq!(problems(&config), Vec::<String>::new());
        for (origin, good) in [
            ("https://app.example", true),
            ("http://localhost:3000", true),
            ("*", false),
            ("null", false),
            ("https://app.example/", false),
            ("app.example", false),
        ] {
            config.cors.allowed_origins = vec![origin.to_owned()];
            assert_eq!(problems(&config).is_empty(), good, "{origin}");
        }
        config.cors.allowed_origins.clear();
        config.tls.client_ca_file = "ca.pem".into();
        assert!(problems(&config)[0].starts_with("tls.client_ca_file: "));
        config.tls.cert_file = "cert.pem".into();
        assert!(problems(&config)[0].starts_with("tls.cert_file: "));
    }
}
