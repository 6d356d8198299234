//! What keys, the audit log and limits can be told. Defaults live in `config/default.toml` alone.

use super::oidc::config::OidcConfig;
use serde::{Deserialize, Serialize};

/// `[auth]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuthConfig {
    /// Whether every request needs a key; without it, requests without a key may do everything.
    pub required: bool,
    /// How long a key may be believed before the store is asked again, in ms: how late a revocation by another process
    /// may be seen.
    pub keys_ttl_ms: u64,
    /// Keys that are remembered.
    pub keys_max: u64,
    /// Refused requests a minute that get a line of their own in the audit log; further ones are only counted.
    pub refusals_logged_per_minute_max: u32,
    /// Tokens of an issuer.
    pub oidc: OidcConfig,
}

/// `[rate_limit]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimitConfig {
    /// When limits hold: `on`, `off`, or `auto`: only when others than this computer can ask.
    pub mode: Mode,
    /// Units a caller gets back each minute.
    pub units_per_minute: u32,
    /// Units a caller may use at once.
    pub burst_units: u32,
    /// Units a caller may use from midnight to midnight (UTC); 0 for no quota.
    pub units_per_day: u64,
    /// Requests of one caller that are worked on at once; 0 for no limit.
    pub concurrency_per_key_max: u32,
    /// Values (steps times levels, observations) that one unit pays for; a request costs at least one unit.
    pub values_per_unit: u32,
    /// Units that a training, an import or a promotion of a model costs.
    pub train_units: u32,
    /// Callers that are remembered; those not seen for the longest are forgotten.
    pub callers_max: u64,
}

/// When limits hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// When the server can be reached from other computers.
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}
