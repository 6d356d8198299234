//! What the use cases can be told. Defaults live in `config/default.toml` alone.

mod outward;

use serde::{Deserialize, Serialize};

use crate::batching::BatchingConfig;
use crate::ladder::DegradationConfig;
pub use outward::{CdnConfig, OutwardConfig, SourcesConfig, WebhooksConfig};

/// The service's part of the configuration.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Forecast answers.
    pub forecast: ForecastConfig,
    /// The local cache.
    pub cache: CacheConfig,
    /// Training and backtests.
    pub train: TrainConfig,
    /// Limits on reads and writes.
    pub limits: LimitsConfig,
    /// Explanations and what-if questions.
    pub explain: ExplainConfig,
    /// Calls to others: sources, webhooks, purges.
    pub outward: OutwardConfig,
    /// Who answers when the champion cannot.
    pub degradation: DegradationConfig,
    /// Questions of rows that are answered together.
    pub batching: BatchingConfig,
}

/// `[forecast]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ForecastConfig {
    /// The horizon when a request names none and the model allows it: `PT48H`.
    pub horizon: String,
    /// The quantile levels when a request names none.
    pub levels: Vec<f64>,
    /// When the newest observation is older than this many hours, a forecast without `forecast_start` starts
    /// where the data end, and says so.
    pub data_age_max_hours: u32,
    /// Below this share of known values in the week before the start, the answer is labelled degraded.
    pub completeness_min: f64,
    /// A fixed "now" (RFC 3339) for demonstrations and replays; empty for the real clock.
    pub fixed_now: String,
    /// Most forecasts in one batch request.
    pub batch_max: usize,
    /// Most values in one batch's answer: forecasts times steps times levels.
    pub batch_values_max: usize,
    /// Issued forecasts waiting to be written; beyond it answers wait.
    pub issued_queue_max: usize,
}

/// `[cache]`
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheConfig {
    /// Encoded answers kept in memory, in bytes.
    pub answers_max_bytes: u64,
    /// How long an answer is kept, in ms.
    pub answer_ttl_ms: u64,
    /// By how much of that, at most, single answers are kept shorter, in percent.
    pub ttl_jitter_percent: u32,
    /// For how long after that an answer from the same data is still given while it is made anew, in ms.
    pub stale_max_ms: u64,
    /// How long it is remembered that an answer cannot be made, in ms.
    pub refusal_ttl_ms: u64,
    /// How long a series' description, state and champion may be believed before the store is asked again, in ms:
    /// the bound on how late a write of another process is seen. Writes of this process are seen at once.
    pub series_ttl_ms: u64,
    /// Series whose description is kept in memory.
    pub series_max: u64,
    /// Loaded models kept in memory, in bytes: those not asked for the longest make room.
    pub models_max_bytes: u64,
    /// Where Redis is; empty for none. May hold a password.
    pub redis_url: String,
    /// The longest that a call to Redis may take, in ms.
    pub redis_timeout_ms: u64,
    /// Failures in a row after which Redis is left alone.
    pub redis_failures_max: u32,
    /// For how long, in ms, before one call tries it again; also how often a quiet connection is tested.
    pub redis_retry_ms: u64,
    /// Forecasts with more bytes are not shared.
    pub redis_value_max_bytes: usize,
    /// Forecasts from so many bytes on are compressed.
    pub redis_compress_min_bytes: usize,
    /// How long one node may compute while the others wait, in ms.
    pub lease_ms: u64,
    /// The hottest questions that are answered ahead.
    pub warm_max: usize,
    /// The time for that, in ms.
    pub warm_timeout_ms: u64,
}

impl std::fmt::Debug for CacheConfig {
    /// Without the URL, which may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CacheConfig")
            .field("answers_max_bytes", &self.answers_max_bytes)
            .finish_non_exhaustive()
    }
}

/// `[train]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainConfig {
    /// The model family when none is named.
    pub family: String,
    /// Days at the end of the data that a training's backtest covers.
    pub backtest_days: u32,
    /// About how many rows (forecast starts times steps) a training reads at most.
    pub rows_max: usize,
    /// The seed when none is given.
    pub seed: u64,
    /// Jobs that may wait.
    pub jobs_queue_max: usize,
    /// Jobs that run at once.
    pub jobs_running_max: usize,
}

/// `[limits]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Observations one read may return.
    pub read_points_max: usize,
    /// Observations one JSON write may carry, and values of one forecast sent along to be compared.
    pub write_points_max: usize,
    /// Series one list returns at most.
    pub list_max: u32,
}

/// `[explain]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainConfig {
    /// Days before the start whose forecasts for the same time of day are the usual a forecast is compared with.
    pub background_days: u32,
    /// About how many rows one explanation may ask a model at most; with more to do, it compares with fewer days. A
    /// row of a model of whole days counts as 64; with more groups of inputs than fit, orders of joining are sampled.
    pub evaluations_max: usize,
    /// Covariates one what-if question may change.
    pub overrides_max: usize,
    /// Values it may set, over all covariates.
    pub override_values_max: usize,
}
