//! The local cache: base forecasts, and the encoded answers derived from them.
//!
//! Keys carry the version, the data revisions and the forecast start, so an answer made from older data cannot
//! be hit: a write changes the key. One computation serves everyone who asks for the same key at once.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use forewatt_domain::{Forecast, SeriesName, Time, VersionId};
use moka::future::Cache;

use crate::config::CacheConfig;
use crate::ladder::Rung;
use crate::reconcile::{Rehearsal, Scene};

/// What a base forecast depends on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

/// Both levels of what is remembered, and what reconciliation remembers.
pub struct Answers {
    pub(crate) bases: Cache<BaseKey, Arc<Forecast>>,
    pub(crate) answers: Cache<AnswerKey, Arc<Answer>>,
    /// Quick backtests of the parts of hierarchies.
    pub(crate) rehearsals: Cache<Scene, Arc<Rehearsal>>,
    pub(crate) hits: metrics::Counter,
    pub(crate) misses: metrics::Counter,
}

/// Errors that quick backtests keep in memory, some forty bytes each: those of several hierarchies.
const REHEARSED_VALUES_MAX: u64 = 1_000_000;

/// Bytes of a cached value beside its JSON: keys, points and the cache's own books.
const OVERHEAD_BYTES: usize = 512;

impl Answers {
    /// An empty cache within the configured limits.
    #[must_use]
    pub fn new(config: &CacheConfig) -> Self {
        let ttl = Duration::from_millis(config.answer_ttl_ms);
        let point_bytes = |forecast: &Forecast| forecast.points.len() * (40 + 8 * forecast.levels.len());
        let clamp = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
        let bases = Cache::builder()
            .max_capacity(config.answers_max_bytes / 2)
            .weigher(move |_, forecast: &Arc<Forecast>| clamp(point_bytes(forecast) + OVERHEAD_BYTES))
            .time_to_live(ttl)
            .build();
        let answers = Cache::builder()
            .max_capacity(config.answers_max_bytes / 2)
            .weigher(move |_, answer: &Arc<Answer>| {
                clamp(answer.json.len() + point_bytes(&answer.forecast) + OVERHEAD_BYTES)
            })
            .time_to_live(ttl)
            .build();
        let rehearsals = Cache::builder()
            .max_capacity(REHEARSED_VALUES_MAX)
            .weigher(move |_, played: &Arc<Rehearsal>| clamp(played.errors.len() + 1))
            .build();
        let counter = |result| metrics::counter!("forewatt_cache_requests_total", "result" => result);
        Self { bases, answers, rehearsals, hits: counter("hit"), misses: counter("miss") }
    }
}
