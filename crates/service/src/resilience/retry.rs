//! Retries: exponential back-off with full jitter, and a budget so that retries never multiply a peer's trouble.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::config::OutwardConfig;

/// A retry costs this many hundredths of the budget.
const COST: i64 = 100;
/// The budget never holds more than so many retries, and begins full: a rare call may be retried at once.
const BUDGET_RETRIES_MAX: i64 = 10;

/// When and how often to try again.
#[derive(Debug)]
pub struct Retry {
    kind: &'static str,
    /// Tries beyond the first.
    max: u32,
    first: Duration,
    longest: Duration,
    /// Hundredths of a retry that every call earns.
    earned: i64,
    budget: AtomicI64,
}

impl Retry {
    /// The configured retries.
    #[must_use]
    pub fn new(kind: &'static str, config: &OutwardConfig) -> Self {
        Self {
            kind,
            max: config.retries_max,
            first: Duration::from_millis(config.retry_backoff_ms),
            longest: Duration::from_millis(config.retry_backoff_max_ms),
            earned: i64::from(config.retry_budget_percent),
            budget: AtomicI64::new(BUDGET_RETRIES_MAX * COST),
        }
    }

    /// A first try adds its share to the budget.
    pub fn earn(&self) {
        let add = |held: i64| Some((held + self.earned).min(BUDGET_RETRIES_MAX * COST));
        let _ = self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add); // the update never declines
    }

    /// How long to wait before try number `tries + 1`; `None` when there are no more, or the budget is spent.
    #[must_use]
    pub fn pause(&self, tries: u32) -> Option<Duration> {
        if tries >= self.max {
            return None;
        }
        let spend = |held: i64| (held >= COST).then_some(held - COST);
        let result = match self.budget.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend) {
            Ok(_) => "tried",
            Err(_) => "budget_spent",
        };
        metrics::counter!("forewatt_outward_retries_total", "kind" => self.kind, "result" => result)
            .increment(1);
        (result == "tried").then(|| jittered(self.first, self.longest, tries, entropy()))
    }
}

/// A wait drawn evenly from nothing to `first` times 2^`tries`, at most `longest` ("full jitter"): callers that failed
/// together do not come back together.
#[must_use]
pub fn jittered(first: Duration, longest: Duration, tries: u32, random: u64) -> Duration {
    let ceiling = first.saturating_mul(1 << tries.min(20)).min(longest);
    let share = (random >> 11) as f64 / (1_u64 << 53) as f64; // 53 bits: every value is exact, 0 <= share < 1
    ceiling.mul_f64(share)
}

/// A random number that need not be secret: the keys of a hash map, which the standard library draws.
#[must_use]
pub fn entropy() -> u64 {
    RandomState::new().hash_one(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(max: u32, earned: i64) -> Retry {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        Retry { kind: "test", max, first, longest, earned, budget: AtomicI64::new(2 * COST) }
    }

    #[test]
    fn waits_grow_up_to_the_longest_and_are_spread() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(1));
        let at = |tries, random| jittered(first, longest, tries, random);
        assert_eq!(at(0, 0), Duration::ZERO);
        assert!(at(0, u64::MAX) > Duration::from_micros(99_999) && at(0, u64::MAX) <= first);
        assert!(at(2, u64::MAX) > Duration::from_millis(399) && at(2, u64::MAX) <= 4 * first);
        assert!(at(90, u64::MAX) <= longest);
        assert_eq!(at(1, 1 << 63), first, "half of twice the first");
    }

    #[test]
    fn retries_end_at_the_number_allowed() {
        let retry = retry(1, 0);
        assert!(retry.pause(0).is_some());
        assert!(retry.pause(1).is_none());
    }

    #[test]
    fn a_spent_budget_stops_retries_until_calls_earn_more() {
        let retry = retry(9, 50);
        assert!(retry.pause(0).is_some() && retry.pause(0).is_some());
        assert!(retry.pause(0).is_none(), "two were in the budget");
        retry.earn();
        assert!(retry.pause(0).is_none(), "half a retry is none");
        retry.earn();
        assert!(retry.pause(0).is_some());
        for _ in 0..100 {
            retry.earn();
        }
        let mut left = 0;
        while retry.pause(0).is_some() {
            left += 1;
        }
        assert_eq!(left, BUDGET_RETRIES_MAX);
    }
}
