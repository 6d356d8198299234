//! Values out of range of what decides who is served, and how.

use super::Config;
use super::check::out_of_range;

/// One line per value that cannot be; empty when all is well.
pub(super) fn problems(config: &Config) -> Vec<String> {
    const HOUR_MS: u64 = 3_600_000;
    const DAY_MS: u64 = 24 * HOUR_MS;
    let (admission, degradation, batching) = (&config.admission, &config.degradation, &config.batching);
    let mut found = out_of_range(&[
        ("admission.limit_min", admission.limit_min as u64, 0, 100_000),
        ("admission.limit_initial", admission.limit_initial as u64, 0, 100_000),
        ("admission.queue_max", admission.queue_max as u64, 0, 100_000),
        ("admission.queue_wait_max_ms", admission.queue_wait_max_ms, 1, HOUR_MS),
        ("degradation.versions_max", degradation.versions_max.into(), 0, 100),
        ("degradation.retry_after_ms", degradation.retry_after_ms, 1, DAY_MS),
        ("degradation.seasonal_days", degradation.seasonal_days.into(), 7, 3_660),
        ("degradation.seasonal_ttl_ms", degradation.seasonal_ttl_ms, 1, 7 * DAY_MS),
        ("degradation.silence_max_hours", degradation.silence_max_hours.into(), 0, 1_000_000),
        ("batching.rows_max", batching.rows_max as u64, 1, 1_000_000),
        ("batching.delay_max_us", batching.delay_max_us, 0, 1_000_000),
        ("batching.calls_max", batching.calls_max as u64, 0, 10_000),
    ]);
    if !(1.0..=100.0).contains(&admission.tolerance) {
        found.push(format!("admission.tolerance: {} is out of range: 1 to 100", admission.tolerance));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::super::tests::defaults;
    use super::*;

    #[test]
    fn every_problem_is_told_with_its_key() {
        let mut config = defaults();
        assert_eq!(problems(&config), Vec::<String>::new());
        config.admission.limit_initial = 1_000_000;
        config.admission.queue_wait_max_ms = 0;
        config.admission.tolerance = f64::NAN;
        let found = problems(&config).join("\n");
        for key in ["limit_initial", "queue_wait_max_ms", "tolerance"] {
            assert!(found.contains(&format!("admission.{key}: ")), "{key} in {found}");
        }
    }
}
