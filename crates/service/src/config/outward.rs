//! `[outward]`: how others are called, and what for.

use serde::{Deserialize, Serialize};

/// `[outward]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutwardConfig {
    /// From dialling to a connection, in ms.
    pub connect_timeout_ms: u64,
    /// One try, to the last byte of the answer, in ms.
    pub request_timeout_ms: u64,
    /// All tries of a call with the waits between them, in ms.
    pub total_timeout_ms: u64,
    /// Tries beyond the first, of calls that may be repeated.
    pub retries_max: u32,
    /// The first wait before a retry at most, in ms; it doubles each time, and is drawn at random below that.
    pub retry_backoff_ms: u64,
    /// The longest such wait, in ms.
    pub retry_backoff_max_ms: u64,
    /// Retries for each hundred calls, at most, in the long run.
    pub retry_budget_percent: u32,
    /// Failures in a row after which a peer is left alone.
    pub breaker_failures: u32,
    /// For how long at first, in ms.
    pub breaker_open_ms: u64,
    /// And at most, in ms.
    pub breaker_open_max_ms: u64,
    /// Calls at once that try whether it is well again.
    pub breaker_probes: u32,
    /// Calls of one kind at once.
    pub concurrency_max: usize,
    /// Calls of one kind that wait for a place.
    pub waiting_max: usize,
    /// The longest answer that is read, in bytes.
    pub body_max_bytes: usize,
    /// Networks beside the public ones that may be called: `10.0.0.0/8`.
    pub allow_networks: Vec<String>,
    /// Where data are fetched.
    pub sources: SourcesConfig,
    /// Who is told of events.
    pub webhooks: WebhooksConfig,
    /// Caches in front of the server.
    pub cdn: CdnConfig,
}

/// `[outward.sources]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourcesConfig {
    /// Sources there may be.
    pub sources_max: usize,
    /// Sources that are fetched at once.
    pub running_max: usize,
    /// How often a server looks for sources that are due, in ms.
    pub poll_interval_ms: u64,
}

/// `[outward.webhooks]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhooksConfig {
    /// Receivers there may be.
    pub webhooks_max: usize,
    /// Deliveries that may wait; beyond it events are lost and counted.
    pub queue_max: u32,
    /// Dead letters that are kept, the newest.
    pub dead_max: u32,
    /// Tries before a delivery is a dead letter.
    pub attempts_max: u32,
    /// The wait after the first failed try, in ms; it doubles each time, and a random part is added.
    pub backoff_ms: u64,
    /// The longest wait, in ms.
    pub backoff_max_ms: u64,
    /// Deliveries under way at once.
    pub running_max: usize,
    /// How often a server looks for deliveries that are due, in ms; its own are seen at once.
    pub poll_interval_ms: u64,
}

/// `[outward.cdn]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CdnConfig {
    /// How long clients may keep a forecast without asking, in s; 0: they ask each time.
    pub client_max_age_s: u32,
    /// How long they may show it while they ask, in s.
    pub client_stale_while_revalidate_s: u32,
    /// How long a cache in front may keep a forecast, in s; 0: it is told nothing.
    pub max_age_s: u32,
    /// How long it may answer with it while it asks, in s.
    pub stale_while_revalidate_s: u32,
    /// How long it may answer with it while the server does not, in s.
    pub stale_if_error_s: u32,
    /// What is called when forecasts of a series have changed, with `Surrogate-Key`.
    pub purge_urls: Vec<String>,
    /// The method of that call.
    pub purge_method: String,
    /// Keys that may wait to be purged.
    pub purge_queue_max: usize,
}
