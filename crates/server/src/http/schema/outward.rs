//! The documents of sources and webhooks.

use std::collections::BTreeMap;

use utoipa::ToSchema;

documents! {
/// A place that data are fetched from, and how it does.
pub struct SourceDocument {
    /// Its name.
    name: String,
    /// `open-meteo` or `entsoe`.
    kind: String,
    /// Where, with places for the window and the token.
    url: String,
    /// Which column of the answer goes to which series.
    series: BTreeMap<String, String>,
    /// Seconds from one run to the next.
    every_seconds: u32,
    /// Hours before now that `{from}` stands for.
    past_hours: u32,
    /// Hours after now that `{to}` stands for.
    ahead_hours: u32,
    /// The environment variable that holds `{token}`, when there is one.
    token_env: Option<String>,
    /// When it is fetched next, RFC 3339.
    next_at: String,
    /// How often it has failed in a row.
    failures: u32,
    /// How the last run ended; null before the first.
    last: Option<SourceRunDocument>,
}

/// How a run of a source ended.
pub struct SourceRunDocument {
    /// When it was done.
    at: String,
    /// Whether something could be fetched and kept.
    ok: bool,
    /// In words: what came, or why nothing did.
    message: String,
    /// What each series got.
    series: Vec<SeriesRunDocument>,
}

/// What one series got from a run.
pub struct SeriesRunDocument {
    /// Which.
    series: String,
    /// Values in the answer.
    read: u64,
    /// Values that were new or had changed: kept as known since the run.
    stored: u64,
    /// Values that were known already.
    unchanged: u64,
}

/// All sources.
pub struct SourcesDocument {
    /// By name.
    sources: Vec<SourceDocument>,
}

/// A receiver of events.
pub struct WebhookDocument {
    /// Its id.
    id: String,
    /// Where events are posted.
    url: String,
    /// Which: `forecast.ready`, `model.trained`, `model.promoted`.
    events: Vec<String>,
    /// Of which series; null for all.
    series: Option<String>,
    /// When it was added, RFC 3339.
    created_at: String,
    /// The key of the signatures; only in the answer that makes it.
    secret: Option<String>,
}

/// All receivers.
pub struct WebhooksDocument {
    /// By age.
    webhooks: Vec<WebhookDocument>,
}

/// A delivery that was given up.
pub struct DeadLetterDocument {
    /// Its id.
    id: String,
    /// To whom it was.
    webhook: String,
    /// The event.
    event: String,
    /// What would have been sent.
    body: String,
    /// When it happened, RFC 3339.
    created_at: String,
    /// How often it was tried.
    attempts: u32,
    /// Why the last try failed.
    error: String,
}

/// Dead letters.
pub struct DeadLettersDocument {
    /// The oldest first.
    dead: Vec<DeadLetterDocument>,
}
}
