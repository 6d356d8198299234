//! Logs on standard error and the recorder behind `/metrics`.

use std::io::{self, IsTerminal};

use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

/// Upper bounds of the buckets of every histogram of seconds.
const SECONDS_BUCKETS: [f64; 14] =
    [0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

/// Starts logging to standard error with the given filter; a second start changes nothing.
pub fn start_logs(log: &LogConfig, filter: &str, color: bool) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).with_target(false);
    let terminal = io::stderr().is_terminal();
    let json = log.format == LogFormat::Json || (log.format == LogFormat::Auto && !terminal);
    // The only error is a subscriber that is set already: then logging works as it was.
    let _ = if json {
        builder.json().flatten_event(true).try_init()
    } else {
        builder.with_ansi(color && terminal).try_init()
    };
}

/// Whether a text is a log filter.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn check_filter(text: &str) -> Result<(), String> {
    EnvFilter::try_new(text).map(drop).map_err(|error| {
        format!("`{text}` is not a log filter ({error}): write info, or info,forewatt=debug")
    })
}

/// Installs the process's metrics recorder and returns what renders `/metrics`.
///
/// # Errors
/// When another recorder is installed already.
pub fn start_metrics() -> Result<PrometheusHandle, metrics_exporter_prometheus::BuildError> {
    PrometheusBuilder::new()
        .set_buckets_for_metric(
            metrics_exporter_prometheus::Matcher::Suffix("_seconds".to_owned()),
            &SECONDS_BUCKETS,
        )?
        .install_recorder()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_checked() {
        assert!(check_filter("info").is_ok());
        assert!(check_filter("warn,forewatt=debug").is_ok());
        assert!(check_filter("forewatt=loud").unwrap_err().contains("forewatt=loud"));
    }

    #[test]
    fn seconds_become_histograms() {
        let handle = start_metrics().unwrap();
        metrics::histogram!("forewatt_test_seconds").record(0.003);
        let text = handle.render();
        assert!(text.contains("forewatt_test_seconds_bucket{le=\"0.005\"} 1"), "{text}");
    }
}
