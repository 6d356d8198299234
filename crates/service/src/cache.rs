//! The cache: base forecasts and the encoded answers derived from them in memory, base forecasts in Redis too.
//!
//! Keys carry the version, the data revisions and the forecast start, so an answer made from older data cannot
//! be hit: a write changes the key. One computation serves everyone who asks for the same key at once, on every node.

mod breaker;
mod hot;
mod news;
mod readers;
mod remote;
mod tally;
mod wire;

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use forewatt_domain::{Forecast, SeriesName, Time, VersionId};
use forewatt_store::Backend;
use moka::Expiry;
use moka::future::Cache;
use serde::Serialize;
use tokio::task::AbortHandle;

use crate::Config;
use crate::config::CacheConfig;
use crate::error::Error;
use crate::ladder::Rung;
use crate::reconcile::{Rehearsal, Scene};

pub(crate) use readers::Readers;
pub(crate) use remote::Found;
pub use tally::CacheReport;

/// What a base forecast depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct BaseKey {
    /// Whose forecast.
    pub series: SeriesName,
    /// Which model.
    pub version: VersionId,
    /// The data revisions of the target and of every covariate, in the recipe's order.
    pub revisions: Vec<u64>,
    /// Where it starts.
    pub forecast_start: Time,
    /// The instant of knowledge when the request named one.
    pub as_of: Option<Time>,
    /// Whether the start was moved because the data are old.
    pub moved: bool,
    /// Whether the version answers for a champion that cannot: such an answer says so.
    pub rung: Rung,
}

/// What an encoded answer depends on beside its base forecast.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AnswerKey {
    /// The forecast it is cut from.
    pub base: BaseKey,
    /// Steps asked for.
    pub steps: usize,
    /// Bits of the levels asked for.
    pub levels: Vec<u64>,
    /// Bits of the threshold asked for.
    pub threshold: Option<u64>,
}

/// A forecast cut to what was asked, with its JSON.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The forecast.
    pub forecast: Forecast,
    /// `P(value > threshold)` per point, when a threshold was given.
    pub probability_above: Option<Vec<f64>>,
    /// The threshold.
    pub threshold: Option<f64>,
    /// Who answered.
    pub rung: Rung,
    /// The JSON document.
    pub json: Bytes,
    /// A strong entity tag, quotes included: the hash of `json`.
    pub etag: String,
}

/// Something remembered, and until when it need not be made anew.
#[derive(Debug, Clone)]
pub(crate) struct Kept<T> {
    pub value: T,
    pub fresh_until: Instant,
}

impl<T> Kept<T> {
    /// Whether its time is over: it may still be answered, and is made anew meanwhile.
    pub(crate) fn is_stale(&self) -> bool {
        self.fresh_until <= Instant::now()
    }
}

/// How much longer than fresh something is kept.
struct Lasts(Duration);

impl<K, T> Expiry<K, Kept<T>> for Lasts {
    fn expire_after_create(&self, _: &K, kept: &Kept<T>, now: Instant) -> Option<Duration> {
        Some(kept.fresh_until.saturating_duration_since(now) + self.0)
    }
    fn expire_after_update(
        &self,
        key: &K,
        kept: &Kept<T>,
        now: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        self.expire_after_create(key, kept, now)
    }
}

/// What is remembered in memory, what reconciliation remembers, and the level that nodes share.
pub struct Answers {
    pub(crate) bases: Cache<BaseKey, Kept<Arc<Forecast>>>,
    pub(crate) answers: Cache<AnswerKey, Kept<Arc<Answer>>>,
    /// Forecasts that cannot be made, and why.
    pub(crate) refusals: Cache<BaseKey, Arc<Error>>,
    /// Series that nobody can answer for, and why.
    pub(crate) unknown: Cache<SeriesName, Arc<Error>>,
    /// Quick backtests of the parts of hierarchies.
    pub(crate) rehearsals: Cache<Scene, Arc<Rehearsal>>,
    pub(crate) hits: metrics::Counter,
    pub(crate) misses: metrics::Counter,
    pub(crate) tally: Arc<tally::Tally>,
    pub(crate) hot: hot::Hot,
    /// Redis, when there is one.
    pub(crate) remote: Option<remote::Remote>,
    /// Whether the hottest questions are being answered before others are let in.
    pub(crate) warming: AtomicBool,
    renewing: Mutex<HashSet<AnswerKey>>,
    lifetime: Lifetime,
    tasks: Mutex<Vec<AbortHandle>>,
}

/// How long answers are fresh: each a little differently, so that what was made together does not end together.
struct Lifetime {
    longest: Duration,
    jitter_percent: u32,
    /// Of this process, so that nodes differ too.
    hasher: RandomState,
}

impl Lifetime {
    fn of(&self, key: &BaseKey) -> Duration {
        let share = (self.hasher.hash_one(key) >> 32) as f64 / f64::from(u32::MAX);
        let shorter = f64::from(self.jitter_percent.min(100)) / 100.0 * share;
        self.longest.mul_f64(1.0 - shorter)
    }
}

/// Errors that quick backtests keep in memory, some forty bytes each: those of several hierarchies.
const REHEARSED_VALUES_MAX: u64 = 1_000_000;

/// Bytes of a cached value beside its JSON: keys, points and the cache's own books.
const OVERHEAD_BYTES: usize = 512;
/// Answers made anew at once behind stale ones.
const RENEWALS_MAX: usize = 64;

impl Answers {
    /// An empty cache within the configured limits. Redis is not asked before there is need of it.
    ///
    /// # Errors
    /// What is wrong with the URL of Redis.
    pub(crate) fn new(config: &Config, store: &Backend) -> Result<Self, String> {
        let limits = &config.cache;
        let stale = Duration::from_millis(limits.stale_max_ms);
        let point_bytes = |forecast: &Forecast| forecast.points.len() * (40 + 8 * forecast.levels.len());
        let clamp = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let bases = Cache::builder()
            .max_capacity(limits.answers_max_bytes / 2)
            .weigher(move |_, kept: &Kept<Arc<Forecast>>| clamp(point_bytes(&kept.value) + OVERHEAD_BYTES))
            .expire_after(Lasts(stale))
            .build();
        let answers = Cache::builder()
            .max_capacity(limits.answers_max_bytes / 2)
            .weigher(move |_, kept: &Kept<Arc<Answer>>| {
                let answer = &kept.value;
                clamp(answer.json.len() + point_bytes(&answer.forecast) + OVERHEAD_BYTES)
            })
            .expire_after(Lasts(stale))
            .build();
        let rehearsals = Cache::builder()
            .max_capacity(REHEARSED_VALUES_MAX)
            .weigher(move |_, played: &Arc<Rehearsal>| clamp(played.errors.len() + 1))
            .build();
        let counter = |result| metrics::counter!("forewatt_cache_requests_total", "result" => result);
        let tally = Arc::new(tally::Tally::default());
        let shared = !limits.redis_url.trim().is_empty();
        let remote = || remote::Remote::new(config, store.clone(), Arc::clone(&tally));
        Ok(Self {
            bases,
            answers,
            refusals: refusals(limits, limits.refusal_ttl_ms),
            // Another process may write what is missing: never believed for longer than other things of a series.
            unknown: refusals(limits, limits.refusal_ttl_ms.min(limits.series_ttl_ms / 2)),
            rehearsals,
            hits: counter("hit"),
            misses: counter("miss"),
            remote: shared.then(remote).transpose()?,
            tally,
            hot: hot::Hot::default(),
            warming: AtomicBool::new(false),
            renewing: Mutex::default(),
            lifetime: Lifetime {
                longest: Duration::from_millis(limits.answer_ttl_ms),
                jitter_percent: limits.ttl_jitter_percent,
                hasher: RandomState::new(),
            },
            tasks: Mutex::default(),
        })
    }

    /// A forecast made now.
    pub(crate) fn fresh(&self, key: &BaseKey, forecast: Arc<Forecast>) -> Kept<Arc<Forecast>> {
        Kept { value: forecast, fresh_until: Instant::now() + self.lifetime.of(key) }
    }

    /// Whether the caller shall make an answer anew: no other does, and not too many are made.
    pub(crate) fn begin_renewal(&self, key: &AnswerKey) -> bool {
        let mut renewing = self.renewing.lock().unwrap_or_else(PoisonError::into_inner);
        renewing.len() < RENEWALS_MAX && renewing.insert(key.clone())
    }

    /// The answer is made, or could not be.
    pub(crate) fn end_renewal(&self, key: &AnswerKey) {
        self.renewing.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }

    /// Remembers a task to be stopped with the service.
    pub(crate) fn keep_task(&self, task: AbortHandle) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).push(task);
    }

    /// Stops what runs in the background.
    pub(crate) fn stop(&self) {
        self.warming.store(false, Ordering::SeqCst);
        for task in self.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
    }
}

fn refusals<K: std::hash::Hash + Eq + Send + Sync + 'static>(
    limits: &CacheConfig,
    ttl_ms: u64,
) -> Cache<K, Arc<Error>> {
    Cache::builder().max_capacity(limits.series_max).time_to_live(Duration::from_millis(ttl_ms)).build()
}

/// Checks what `cache.redis_url` says; empty means that there is no Redis.
///
/// # Errors
/// What is wrong with it and how to write it. The URL is not repeated: it may hold a password.
pub fn check_redis_url(url: &str) -> Result<(), String> {
    if url.trim().is_empty() { Ok(()) } else { remote::client(url.trim()).map(drop) }
}
