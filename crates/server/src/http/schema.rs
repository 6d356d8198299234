//! The documents the API answers with, as `/openapi.json` describes them.
//!
//! The service's own types are written to the wire; these mirror them for the description, and a test reads real
//! answers back through them, unknown fields refused, so that neither can change without the other.

#![expect(dead_code, reason = "most of these are only described here and read in tests")]

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

/// A document that is described here and, in tests, read back strictly.
macro_rules! documents {
    ($($(#[$meta:meta])* pub struct $name:ident { $($(#[$field_meta:meta])* $field:ident : $type:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(ToSchema)]
        #[cfg_attr(test, derive(Debug, serde::Deserialize))]
        #[cfg_attr(test, serde(deny_unknown_fields))]
        pub struct $name { $($(#[$field_meta])* pub $field: $type,)* }
    )*};
}

mod audit;
mod explain;
mod import;
pub use audit::*;
mod outward;
pub use explain::*;
pub use import::*;
pub use outward::*;

/// Whether the server can be used.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    /// `live` or `ready`.
    pub status: &'static str,
}

documents! {
/// A forecast.
pub struct ForecastDocument {
    /// Whose future.
    series: String,
    /// The unit of every value.
    unit: String,
    /// Which model version made it.
    model_version: String,
    /// The start of the first period, RFC 3339.
    forecast_start: String,
    /// When it was made.
    issued_at: String,
    /// The newest `available_at` among the data it was allowed to see.
    data_watermark: String,
    /// Quality of the data it read: 0 (useless) to 1 (complete).
    quality: f64,
    /// Why this is not the answer it should be; null when all is well.
    degraded: Option<String>,
    /// Who answered for a champion that could not: `last-good` or `seasonal-empirical`; absent when the champion did.
    fallback: Option<String>,
    /// The threshold asked about.
    threshold: Option<f64>,
    /// One a step, by rising valid time.
    points: Vec<PointDocument>,
}

/// The forecast for one valid time.
pub struct PointDocument {
    /// The start of the period it is about.
    valid_time: String,
    /// The expected value.
    mean: f64,
    /// A value for each level: `{"0.1": 12.5}`; they never cross.
    quantiles: BTreeMap<String, f64>,
    /// P(value > threshold), 0 to 1, when a threshold was given.
    probability_above: Option<f64>,
}

/// A series and its parts, with forecasts that add up.
pub struct ReconciledDocument {
    /// The series that is the sum of the others.
    parent: String,
    /// The unit of every value.
    unit: String,
    /// The start of the first period, RFC 3339.
    forecast_start: String,
    /// When it was made.
    issued_at: String,
    /// The method asked for.
    asked: String,
    /// The method used: `wls-structural` when there are too few past errors for the one asked for.
    method: String,
    /// Why this is not the answer it should be; null when all is well.
    degraded: Option<String>,
    /// What weights and joint samples were made of.
    errors: PastErrorsDocument,
    /// Joint samples that the quantiles were read off.
    samples: u64,
    /// Whether values below zero were ruled out.
    non_negative: bool,
    /// By how much parents and the sums of their parts differed before, on average.
    base_gap: f64,
    /// The parent first, then its parts level by level.
    series: Vec<ReconciledSeriesDocument>,
    /// Series that name the parent and cannot be summed into it.
    left_out: Vec<LeftOutDocument>,
}

/// Past errors of all series together.
pub struct PastErrorsDocument {
    /// `issued` forecasts, a quick `backtest`, or `none`.
    source: String,
    /// Steps at which every series' error is known.
    steps: u64,
    /// How far correlations were shrunk, 0 to 1, for `mint`.
    shrinkage: Option<f64>,
}

/// One series of the hierarchy.
pub struct ReconciledSeriesDocument {
    /// Which.
    series: String,
    /// What it is a part of here; null for the first.
    parent: Option<String>,
    /// Which version made the forecast alone; null for a stand-in.
    model_version: Option<String>,
    /// Which model stood in and why; null when the champion answered.
    stand_in: Option<String>,
    /// Why the forecast alone is not what it should be.
    degraded: Option<String>,
    /// One a step, by rising valid time.
    points: Vec<ReconciledPointDocument>,
}

/// A value before and after.
pub struct ReconciledPointDocument {
    /// The start of the period it is about.
    valid_time: String,
    /// The expected value of the model alone.
    base_mean: f64,
    /// The reconciled expected value: a parent's is the sum of its parts'.
    mean: f64,
    /// A value for each level; they never cross.
    quantiles: BTreeMap<String, f64>,
}

/// A series that is no part.
pub struct LeftOutDocument {
    /// Which.
    series: String,
    /// Why.
    reason: String,
}

/// The results of a batch.
pub struct BatchDocument {
    /// One a question, in their order.
    results: Vec<BatchResult>,
}

/// One of both.
pub struct BatchResult {
    /// The answer.
    forecast: Option<ForecastDocument>,
    /// Why there is none; a problem as of RFC 9457.
    #[schema(value_type = Option<crate::error::Problem>)]
    problem: Option<serde_json::Value>,
}

/// One page of series.
pub struct SeriesPage {
    /// By name.
    series: Vec<SeriesDocument>,
    /// Pass it as `after` for the next page.
    next: Option<String>,
}

/// A series, how far its data reach, and its models.
pub struct SeriesDocument {
    /// The unique name.
    name: String,
    /// `load`, `solar`, `wind`, `price`, `temperature`, `weather`, `other`.
    kind: String,
    /// The unit of its values.
    unit: String,
    /// The step between values: `PT1H`.
    resolution: String,
    /// The IANA time zone.
    time_zone: String,
    /// Where it is.
    location: Option<LocationDocument>,
    /// The region of its public holidays.
    holiday_region: Option<String>,
    /// The series it is a part of.
    parent: Option<String>,
    /// How far the data reach.
    state: StateDocument,
    /// Version ids by alias: `champion`, `challenger`.
    aliases: BTreeMap<String, String>,
}

/// A place on Earth.
pub struct LocationDocument {
    /// Degrees north.
    latitude: f64,
    /// Degrees east.
    longitude: f64,
}

/// How far a series' data reach.
pub struct StateDocument {
    /// Rises with every write.
    revision: u64,
    /// How many observations are stored, revisions included.
    observations: u64,
    /// The first valid time; null while empty.
    first_valid_time: Option<String>,
    /// The last valid time.
    last_valid_time: Option<String>,
    /// The greatest `available_at`.
    last_available_at: Option<String>,
}

/// Observations as known at an instant.
pub struct ObservationsDocument {
    /// Whose.
    series: String,
    /// The unit of the values.
    unit: String,
    /// First valid time asked for.
    from: String,
    /// First valid time not included.
    to: String,
    /// The instant of knowledge.
    as_of: String,
    /// By rising valid time.
    observations: Vec<ObservationDocument>,
    /// Pass it as `from` to read on; absent when nothing is left.
    next: Option<String>,
}

/// A value of a series.
pub struct ObservationDocument {
    /// The start of the period it is about.
    valid_time: String,
    /// When it became known.
    available_at: String,
    /// The value.
    value: f64,
}

/// The result of a quality check.
pub struct QualityDocument {
    /// Whose.
    series: String,
    /// When it was checked.
    checked_at: String,
    /// The data revision that was checked.
    revision: u64,
    /// 0 (useless) to 1 (complete and plausible).
    score: f64,
    /// The checker's report: findings with time ranges, severity and evidence.
    #[schema(value_type = Object)]
    findings: serde_json::Value,
}

/// Issued forecasts.
pub struct IssuedDocument {
    /// Whose.
    series: String,
    /// The unit of the values.
    unit: String,
    /// By rising valid time.
    points: Vec<IssuedPointDocument>,
}

/// One value of an issued forecast.
pub struct IssuedPointDocument {
    /// The forecast's start.
    forecast_start: String,
    /// When it was issued.
    issued_at: String,
    /// Which version made it.
    model_version: String,
    /// The period it is about.
    valid_time: String,
    /// Expected value.
    mean: f64,
    /// A value for each level: `{"0.1": 12.5}`.
    quantiles: BTreeMap<String, f64>,
}

/// Model versions.
pub struct ModelsDocument {
    /// Newest first.
    models: Vec<ModelDocument>,
}

/// One trained recipe and where it came from.
pub struct ModelDocument {
    /// Its id.
    id: String,
    /// What it forecasts.
    series: String,
    /// What was to be learned.
    #[schema(value_type = Object)]
    recipe: serde_json::Value,
    /// Equal recipes have equal ids.
    recipe_id: String,
    /// The version it follows.
    parent: Option<String>,
    /// When it was registered.
    created_at: String,
    /// The first valid time it learned from.
    trained_from: String,
    /// The end of what it learned from.
    trained_to: String,
    /// It saw only what was known at this instant.
    as_of: String,
    /// Scores of its backtest; those of the baselines as `seasonal-naive/mae`.
    metrics: BTreeMap<String, f64>,
    /// What a reader must know.
    notes: Vec<String>,
    /// SHA-256 of the artifact.
    artifact_sha256: String,
    /// The artifact's size.
    artifact_bytes: u64,
}

/// Background jobs.
pub struct JobsDocument {
    /// Newest first.
    jobs: Vec<JobDocument>,
}

/// A piece of background work.
pub struct JobDocument {
    /// Its id, a UUID.
    id: String,
    /// What kind of work: `train`.
    kind: String,
    /// Its input.
    #[schema(value_type = Object)]
    payload: serde_json::Value,
    /// `queued`, `running`, `succeeded`, `failed`.
    state: String,
    /// 0 to 1.
    progress: f64,
    /// What it is doing, or why it failed.
    message: String,
    /// What it gave, when it succeeded.
    #[schema(value_type = Option<Object>)]
    result: Option<serde_json::Value>,
    /// When it was asked for.
    created_at: String,
    /// When this last changed.
    updated_at: String,
}

/// Two forecasts, compared.
pub struct CompareDocument {
    /// The first forecast.
    a: CompareSideDocument,
    /// The second.
    b: CompareSideDocument,
    /// The stored series both are about; null when none is.
    of: Option<String>,
    /// Its unit; empty when not told.
    unit: String,
    /// The zone whose days losses are averaged over.
    time_zone: String,
    /// `start_and_valid_time`, or `valid_time` when no forecast start is shared or a lead was asked for.
    matched_by: String,
    /// Values compared.
    values: usize,
    /// Days they lie on.
    days: usize,
    /// The first valid time compared.
    from: String,
    /// The last.
    to: String,
    /// The levels of the pinball loss: those that both sides have.
    quantiles: Vec<f64>,
    /// A p-value below this counts as a difference.
    significance: f64,
    /// Absolute and squared error; pinball loss when both sides have quantiles.
    losses: Vec<LossDocument>,
    /// What a reader must know.
    notes: Vec<String>,
}

/// One forecast and what became of its values; the counts add up to `rows`.
pub struct CompareSideDocument {
    /// What it is called here.
    name: String,
    /// `version`, `series` or `given`.
    kind: String,
    /// Values there were.
    rows: usize,
    /// Compared.
    matched: usize,
    /// Left out: begun too late for the lead asked for.
    too_late: usize,
    /// Left out: a newer forecast of this side is about the same.
    replaced: usize,
    /// Left out: the other side has nothing about it.
    without_counterpart: usize,
    /// Left out: what came true is not known.
    without_actual: usize,
    /// Mean lead of the compared values in hours; null when forecast starts are not known.
    mean_lead_hours: Option<f64>,
}

/// One loss, tested overall and by lead time.
pub struct LossDocument {
    /// `absolute`, `squared` or `pinball`.
    loss: String,
    /// Over all matched values.
    overall: TestedDocument,
    /// By lead time, shortest first; empty when no side tells its forecast starts.
    by_lead: Vec<LeadTestedDocument>,
    /// `a`, `b`, or null when no difference can be told.
    better: Option<String>,
    /// That in words, with the size of the difference and how likely it is by luck.
    verdict: String,
    /// At which leads it holds, in words.
    leads: String,
}

/// A loss of both sides on the same values.
pub struct TestedDocument {
    /// Values behind it.
    values: usize,
    /// Days they lie on: the pieces of evidence.
    days: usize,
    /// Mean of the first side's daily mean losses.
    a: f64,
    /// The same of the second side.
    b: f64,
    /// `a - b`: negative when the first side is better.
    difference: f64,
    /// The difference in percent of `b`.
    relative_percent: Option<f64>,
    /// The difference in standard deviations of the daily differences.
    standardized: Option<f64>,
    /// About the least difference, in percent of the greater loss, that so many days would show four times in five.
    smallest_told_percent: Option<f64>,
    /// Forecasts of days less than so many apart are partly about the same time; the tests allow for it.
    overlap_days: usize,
    /// Is one better on average? Null when it cannot be tested.
    diebold_mariano: Option<DieboldMarianoDocument>,
    /// Does the last known difference foretell which will be better? Null when it cannot be tested.
    giacomini_white: Option<GiacominiWhiteDocument>,
}

/// The test of Diebold and Mariano (1995), corrected for small samples.
pub struct DieboldMarianoDocument {
    /// Mean daily difference.
    mean_difference: f64,
    /// Student's t.
    statistic: f64,
    /// Two-sided p-value of equal accuracy.
    p_value: f64,
    /// Days.
    count: usize,
}

/// The test of Giacomini and White (2006).
pub struct GiacominiWhiteDocument {
    /// Chi-square with two degrees of freedom.
    statistic: f64,
    /// p-value of equal conditional predictive ability.
    p_value: f64,
    /// The share of days on which the last known difference foretells that the first side is better, 0 to 1.
    first_ahead_share: f64,
    /// Pairs of days.
    count: usize,
}

/// A bucket of lead times.
pub struct LeadTestedDocument {
    /// Hours from the forecast start at which it begins.
    from_hours: f64,
    /// Where it ends (excluded); null for the last.
    to_hours: Option<f64>,
    /// The bucket alone.
    tested: TestedDocument,
    /// p-value of Diebold-Mariano, corrected for all buckets as by Holm.
    diebold_mariano_holm: Option<f64>,
    /// p-value of Giacomini-White, corrected likewise.
    giacomini_white_holm: Option<f64>,
    /// `a`, `b`, or null when no difference can be told here.
    better: Option<String>,
}
}
