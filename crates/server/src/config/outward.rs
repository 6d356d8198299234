//! `[outward]`: values out of range, each with its key and the mend.

use forewatt_service::config::OutwardConfig;
use forewatt_service::resilience;

use super::check::out_of_range;

/// One line per value that cannot be; empty when all is well.
pub(super) fn problems(config: &OutwardConfig) -> Vec<String> {
    let mut found = ranges(config);
    if let Err(reason) = resilience::guard::Guard::new(&config.allow_networks) {
        found.push(format!("outward.allow_networks: {reason}"));
    }
    let times = [config.connect_timeout_ms, config.request_timeout_ms, config.total_timeout_ms];
    if !times.is_sorted() {
        found.push(
            "outward.connect_timeout_ms, outward.request_timeout_ms and outward.total_timeout_ms must not fall in this order"
                .to_owned(),
        );
    }
    let cdn = &config.cdn;
    if let Err(reason) = resilience::guard::check_method(&cdn.purge_method) {
        found.push(format!("outward.cdn.purge_method: {reason}"));
    }
    let guard = resilience::guard::Guard::new(&config.allow_networks).unwrap_or_default();
    for url in &cdn.purge_urls {
        if let Err(reason) = guard.check_url(url) {
            found.push(format!("outward.cdn.purge_urls: {reason}"));
        }
    }
    found
}

fn ranges(config: &OutwardConfig) -> Vec<String> {
    const DAY_MS: u64 = 86_400_000;
    const YEAR_S: u64 = 31_536_000;
    let OutwardConfig { sources, webhooks, cdn, .. } = config;
    let found = out_of_range(&[
        ("connect_timeout_ms", config.connect_timeout_ms, 10, 60_000),
        ("request_timeout_ms", config.request_timeout_ms, 10, 300_000),
        ("total_timeout_ms", config.total_timeout_ms, 10, 300_000),
        ("retries_max", config.retries_max.into(), 0, 20),
        ("retry_backoff_ms", config.retry_backoff_ms, 1, 60_000),
        ("retry_backoff_max_ms", config.retry_backoff_max_ms, 1, 300_000),
        ("retry_budget_percent", config.retry_budget_percent.into(), 0, 1_000),
        ("breaker_failures", config.breaker_failures.into(), 1, 1_000),
        ("breaker_open_ms", config.breaker_open_ms, 10, DAY_MS),
        ("breaker_open_max_ms", config.breaker_open_max_ms, config.breaker_open_ms, DAY_MS),
        ("breaker_probes", config.breaker_probes.into(), 1, 100),
        ("concurrency_max", config.concurrency_max as u64, 1, 10_000),
        ("waiting_max", config.waiting_max as u64, 0, 100_000),
        ("body_max_bytes", config.body_max_bytes as u64, 1_024, 1 << 30),
        ("sources.sources_max", sources.sources_max as u64, 1, 100_000),
        ("sources.running_max", sources.running_max as u64, 1, 1_000),
        ("sources.poll_interval_ms", sources.poll_interval_ms, 10, DAY_MS),
        ("webhooks.webhooks_max", webhooks.webhooks_max as u64, 1, 10_000),
        ("webhooks.queue_max", webhooks.queue_max.into(), 1, 10_000_000),
        ("webhooks.dead_max", webhooks.dead_max.into(), 1, 10_000_000),
        ("webhooks.attempts_max", webhooks.attempts_max.into(), 1, 1_000),
        ("webhooks.backoff_ms", webhooks.backoff_ms, 1, DAY_MS),
        ("webhooks.backoff_max_ms", webhooks.backoff_max_ms, webhooks.backoff_ms, 7 * DAY_MS),
        ("webhooks.running_max", webhooks.running_max as u64, 1, 1_000),
        ("webhooks.poll_interval_ms", webhooks.poll_interval_ms, 10, DAY_MS),
        ("cdn.client_max_age_s", cdn.client_max_age_s.into(), 0, YEAR_S),
        ("cdn.client_stale_while_revalidate_s", cdn.client_stale_while_revalidate_s.into(), 0, YEAR_S),
        ("cdn.max_age_s", cdn.max_age_s.into(), 0, YEAR_S),
        ("cdn.stale_while_revalidate_s", cdn.stale_while_revalidate_s.into(), 0, YEAR_S),
        ("cdn.stale_if_error_s", cdn.stale_if_error_s.into(), 0, YEAR_S),
        ("cdn.purge_queue_max", cdn.purge_queue_max as u64, 1, 10_000_000),
    ]);
    found.into_iter().map(|problem| format!("outward.{problem}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::defaults;
    use super::*;

    #[test]
    fn every_problem_is_told_with_its_key() {
        let mut config = defaults().outward;
        assert_eq!(problems(&config), Vec::<String>::new());
        config.allow_networks = vec!["10/8".to_owned()];
        config.retries_max = 99;
        config.request_timeout_ms = 100_000;
        config.webhooks.backoff_max_ms = 1;
        config.cdn.purge_method = "PURGE IT".to_owned();
        config.cdn.purge_urls = vec!["http://127.0.0.1/".to_owned()];
        let found = problems(&config).join("\n");
        for key in [
            "outward.allow_networks: ",
            "outward.retries_max: ",
            "outward.request_timeout_ms and",
            "outward.webhooks.backoff_max_ms: ",
            "outward.cdn.purge_method: ",
            "outward.cdn.purge_urls: ",
        ] {
            assert!(found.contains(key), "{key} in {found}");
        }
    }
}
