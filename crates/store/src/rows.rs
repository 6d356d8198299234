//! What goes into and comes out of a store beside the domain's nouns.

use std::collections::BTreeMap;

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{Alias, Forecast, ModelVersion, Recipe, SeriesKind, SeriesName, Time, VersionId};
use serde::{Deserialize, Serialize};

/// A range of valid times of one series, end excluded.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservationRange {
    /// Whose.
    pub series: SeriesName,
    /// The first valid time.
    pub from: Time,
    /// The first valid time not included.
    pub to: Time,
}

/// What a write of observations did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriteOutcome {
    /// New observations.
    pub stored: u64,
    /// Observations that were there already with the same value.
    pub unchanged: u64,
    /// Indexes (in the written slice) of those whose valid time and availability are there with **another** value;
    /// the stored value stays. At most [`WriteOutcome::MAX_CONFLICTS`] are listed.
    pub conflicts: Vec<usize>,
    /// How many conflicts there were.
    pub conflict_count: u64,
}

impl WriteOutcome {
    /// How many conflicts are listed one by one.
    pub const MAX_CONFLICTS: usize = 1_000;
}

/// How far a series' data reach. Changes with every write, so it can key caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SeriesState {
    /// Rises by one with every write that stored something or changed the series' description.
    pub revision: u64,
    /// How many observations are stored, revisions included.
    pub observations: u64,
    /// The first valid time; `None` while empty.
    pub first_valid_time: Option<Time>,
    /// The last valid time.
    pub last_valid_time: Option<Time>,
    /// The greatest `available_at`.
    pub last_available_at: Option<Time>,
}

/// A version to register; the store gives it its id.
#[derive(Debug, Clone, PartialEq)]
pub struct NewVersion {
    /// What it forecasts.
    pub series: SeriesName,
    /// What was to be learned.
    pub recipe: Recipe,
    /// The version it follows.
    pub parent: Option<VersionId>,
    /// Now.
    pub created_at: Time,
    /// The first valid time it learned from.
    pub trained_from: Time,
    /// The last.
    pub trained_to: Time,
    /// It saw only what was known at this instant.
    pub as_of: Time,
    /// Scores of its backtest.
    pub metrics: BTreeMap<String, f64>,
    /// What a reader must know.
    pub notes: Vec<String>,
    /// SHA-256 of the artifact in hex.
    pub artifact_sha256: String,
    /// The artifact's size.
    pub artifact_bytes: u64,
}

impl NewVersion {
    /// The version under the id the store chose.
    #[must_use]
    pub fn with_id(self, id: VersionId) -> ModelVersion {
        ModelVersion {
            id,
            series: self.series,
            recipe_id: self.recipe.id(),
            recipe: self.recipe,
            parent: self.parent,
            created_at: self.created_at,
            trained_from: self.trained_from,
            trained_to: self.trained_to,
            as_of: self.as_of,
            metrics: self.metrics,
            notes: self.notes,
            artifact_sha256: self.artifact_sha256,
            artifact_bytes: self.artifact_bytes,
        }
    }
}

/// One move of an alias.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasMove {
    /// What moved.
    pub alias: Alias,
    /// The version it named before; `None` the first time.
    pub from: Option<VersionId>,
    /// The version it names since.
    pub to: VersionId,
    /// When.
    pub moved_at: Time,
    /// Why, in words.
    pub reason: String,
}

/// Which of the issued forecasts to read back, for valid times `from..to`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ForecastQuery {
    /// The forecast with this start (the last issued, when there are several).
    Start {
        /// The forecast start asked for.
        forecast_start: Time,
    },
    /// For every valid time, the value of the newest forecast issued at or before `at`.
    AsOf {
        /// The instant of knowledge.
        at: Time,
        /// First valid time.
        from: Time,
        /// First valid time not included.
        to: Time,
    },
    /// For every valid time, the value of the newest forecast whose start lies at least `lead_micros` before it.
    FixedLead {
        /// The least distance from forecast start to valid time, in microseconds.
        lead_micros: i64,
        /// First valid time.
        from: Time,
        /// First valid time not included.
        to: Time,
    },
}

/// What tells a series' issued forecasts apart, in the order of lists.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ForecastKey {
    /// Where it starts.
    pub forecast_start: Time,
    /// When it was issued.
    pub issued_at: Time,
    /// Which version made it.
    pub model_version: VersionId,
}

impl ForecastKey {
    /// The key of a forecast.
    #[must_use]
    pub fn of(forecast: &Forecast) -> Self {
        Self {
            forecast_start: forecast.forecast_start,
            issued_at: forecast.issued_at,
            model_version: forecast.model_version.clone(),
        }
    }
}

/// What to do now and then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upkeep {
    /// Now.
    pub now: Time,
    /// For how many months after this one there shall be room.
    pub ahead_months: u32,
    /// Days that observations are kept after their valid time, by the kind of their series; kinds that are not here
    /// are kept for ever.
    pub retention_days: BTreeMap<SeriesKind, u32>,
}

impl Upkeep {
    /// The first valid time that a kind keeps; `None` when it keeps all.
    #[must_use]
    pub fn keeps_from(&self, kind: SeriesKind) -> Option<Time> {
        let days = self.retention_days.get(&kind)?;
        Some(self.now.plus_micros(-i64::from(*days).saturating_mul(MICROS_PER_DAY)))
    }
}

/// What was done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct UpkeepDone {
    /// Observations let go.
    pub observations_dropped: u64,
    /// Partitions made, in a store that has them.
    pub partitions_made: u64,
    /// Partitions dropped.
    pub partitions_dropped: u64,
}

/// The result of a quality check, kept for reading back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct QualityRecord {
    /// Whose.
    pub series: SeriesName,
    /// When it was checked.
    pub checked_at: Time,
    /// [`SeriesState::revision`] it saw.
    pub revision: u64,
    /// 0 (useless) to 1 (complete and plausible).
    pub score: f64,
    /// The findings, as the checker wrote them.
    pub findings: serde_json::Value,
}

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waiting for its turn.
    Queued,
    /// At work.
    Running,
    /// Done.
    Succeeded,
    /// Ended with an error.
    Failed,
}

/// A piece of background work and how far it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobRecord {
    /// A UUID (version 7).
    pub id: String,
    /// What kind of work: `train`.
    pub kind: String,
    /// Its input.
    pub payload: serde_json::Value,
    /// Where it stands.
    pub state: JobState,
    /// 0 to 1.
    pub progress: f64,
    /// What it is doing, or why it failed, in words.
    pub message: String,
    /// What it gave, when it succeeded.
    pub result: Option<serde_json::Value>,
    /// When it was asked for.
    pub created_at: Time,
    /// When this record last changed.
    pub updated_at: Time,
}

/// One value of a forecast read back, with the forecast it belongs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IssuedPoint {
    /// The forecast's start.
    pub forecast_start: Time,
    /// When it was issued.
    pub issued_at: Time,
    /// Which version made it.
    pub model_version: VersionId,
    /// The period it is about.
    pub valid_time: Time,
    /// Expected value.
    pub mean: f64,
    /// The levels of `quantiles`.
    pub levels: Vec<f64>,
    /// One value per level.
    pub quantiles: Vec<f64>,
}
