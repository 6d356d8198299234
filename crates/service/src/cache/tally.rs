//! What the cache did, counted, for `/metrics` and for whoever asks.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

use super::breaker::State;
use crate::Service;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All counts of one service.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub computed: Count,
    pub local_hits: Count,
    pub stale_hits: Count,
    pub shared_hits: Count,
    pub refusal_hits: Count,
    pub refused: Count,
    pub lease_waits: Count,
    pub news_told: Count,
    pub news_untold: Count,
    pub news_heard: Count,
    pub flushes: Count,
    pub skipped: Count,
    pub cut: Count,
    pub slow: Count,
    pub full: Count,
    pub said: Count,
}

/// What the cache did so far, and whether Redis is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CacheReport {
    /// Base forecasts computed.
    pub computed: u64,
    /// Answers from this node's memory, stale ones included.
    pub local_hits: u64,
    /// Of these, past their time and renewed behind the answer.
    pub stale_hits: u64,
    /// Base forecasts from Redis.
    pub shared_hits: u64,
    /// Answers that something cannot be made, from memory.
    pub refusal_hits: u64,
    /// Entries of Redis that were damaged or not what they should be.
    pub refused: u64,
    /// How often this node waited for another that computed.
    pub lease_waits: u64,
    /// News of writes told to other nodes.
    pub news_told: u64,
    /// News that could not be told; the next that can be says to forget everything.
    pub news_untold: u64,
    /// News heard from other nodes.
    pub news_heard: u64,
    /// How often everything remembered of series was forgotten because news may have been missed.
    pub flushes: u64,
    /// Calls to Redis that were not made because it was left alone.
    pub skipped: u64,
    /// Calls to Redis that failed, by kind: `cut`, `slow`, `full`, `said` (it answered with an error).
    pub errors: [(&'static str, u64); 4],
    /// `off`, `closed` (it is asked), `open` (it is left alone), `half-open` (one call tries).
    pub redis: &'static str,
}

impl Service {
    /// What the cache did so far.
    #[must_use]
    pub fn cache_report(&self) -> CacheReport {
        let tally = &self.answers.tally;
        CacheReport {
            computed: tally.computed.get(),
            local_hits: tally.local_hits.get(),
            stale_hits: tally.stale_hits.get(),
            shared_hits: tally.shared_hits.get(),
            refusal_hits: tally.refusal_hits.get(),
            refused: tally.refused.get(),
            lease_waits: tally.lease_waits.get(),
            news_told: tally.news_told.get(),
            news_untold: tally.news_untold.get(),
            news_heard: tally.news_heard.get(),
            flushes: tally.flushes.get(),
            skipped: tally.skipped.get(),
            errors: [
                ("cut", tally.cut.get()),
                ("slow", tally.slow.get()),
                ("full", tally.full.get()),
                ("said", tally.said.get()),
            ],
            redis: match self.answers.remote.as_ref().map(super::remote::Remote::state) {
                None => "off",
                Some(State::Closed { .. }) => "closed",
                Some(State::Open { .. }) => "open",
                Some(State::HalfOpen { .. }) => "half-open",
            },
        }
    }

    /// Sets the counters and gauges of the cache; call before metrics are read.
    pub fn count_cache(&self) {
        let report = self.cache_report();
        for (level, hits) in [
            ("local", report.local_hits),
            ("stale", report.stale_hits),
            ("redis", report.shared_hits),
            ("refusal", report.refusal_hits),
        ] {
            metrics::counter!("forewatt_cache_hits_total", "level" => level).absolute(hits);
        }
        metrics::counter!("forewatt_forecasts_computed_total").absolute(report.computed);
        if report.redis == "off" {
            return;
        }
        for (kind, errors) in report.errors {
            metrics::counter!("forewatt_redis_errors_total", "kind" => kind).absolute(errors);
        }
        for (event, news) in
            [("told", report.news_told), ("untold", report.news_untold), ("heard", report.news_heard)]
        {
            metrics::counter!("forewatt_cache_news_total", "event" => event).absolute(news);
        }
        metrics::counter!("forewatt_cache_flushes_total").absolute(report.flushes);
        metrics::counter!("forewatt_cache_lease_waits_total").absolute(report.lease_waits);
        metrics::counter!("forewatt_redis_refused_entries_total").absolute(report.refused);
        metrics::counter!("forewatt_redis_skipped_calls_total").absolute(report.skipped);
        for state in ["closed", "half-open", "open"] {
            let here = if report.redis == state { 1.0 } else { 0.0 };
            metrics::gauge!("forewatt_redis_state", "state" => state).set(here);
        }
    }
}
