//! The feature specification: everything the builder needs beside the data.

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{Family, Horizon, Location, Recipe, Series, SeriesKind, SeriesName, Time, Zone};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::dataset::Dataset;
use crate::windows::WINDOW_DAYS;

/// The most weekly lags a specification may ask for.
pub const WEEK_LAGS_MAX: u8 = 4;
/// The most daily lags a specification may ask for.
pub const DAY_LAGS_MAX: u8 = 14;
/// How many more weeks than lags are searched for known values, so that a gap does not leave a lag empty.
pub(super) const SPARE_WEEKS: usize = 4;
/// Days over which the level and the clear-sky index are averaged.
pub(super) const LEVEL_DAYS: usize = 7;

/// Which features to build: stored with a model, so that serving builds what training built.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeatureSpec {
    /// What the target measures.
    pub kind: SeriesKind,
    /// The clocks the target's people live by.
    pub zone: Zone,
    /// Where the target is; without it there are no solar features.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Location>,
    /// The region of the public holidays; without it no day is a holiday.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holiday_region: Option<String>,
    /// Where `trend_years` is zero.
    pub epoch: Time,
    /// Weekly lags, 0 to [`WEEK_LAGS_MAX`]; more are cut.
    pub week_lags: u8,
    /// Daily lags, 0 to [`DAY_LAGS_MAX`]; more are cut.
    pub day_lags: u8,
    /// Whether to add the newest values, levels and spreads before the origin.
    pub recent: bool,
    /// Whether to add civil time, holidays and the season.
    pub calendar: bool,
    /// Whether the calendar tells the season and the years. A history that has not seen every season twice cannot
    /// tell it from a trend, and a linear model would extrapolate whatever it took it for.
    pub seasons: bool,
    /// Covariates, in the order of their columns.
    pub covariates: Vec<CovariateSpec>,
    /// Days of the course before the forecast start that are handed over whole; most models need none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub window_days: u8,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_zero(days: &u8) -> bool {
    *days == 0
}

/// A covariate as the features read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CovariateSpec {
    /// Which series.
    pub series: SeriesName,
    /// What it measures; a temperature gets degree days.
    pub kind: SeriesKind,
    /// Its unit, to find the degree-day thresholds.
    #[serde(default)]
    pub unit: String,
    /// Whether values for the time forecast may be known at the origin.
    pub known_ahead: bool,
}

/// Days of history that teach a season.
const SEASON_DAYS_MIN: usize = 548;

impl FeatureSpec {
    /// A sensible choice for a dataset: lags as far as the history teaches them, every covariate that has data.
    #[must_use]
    pub fn for_dataset(dataset: &Dataset, horizon: Horizon) -> Self {
        let series = &dataset.series;
        let grid = dataset.target.grid();
        let history = dataset.target.extent().map_or(0, |(first, last)| last.micros_since(first));
        let days = usize::try_from(history / MICROS_PER_DAY).unwrap_or(0);
        // A lag is worth a column when at least half of the history has it beyond the horizon.
        let beyond = days.saturating_sub(horizon.steps() / dataset.step().steps_per_day());
        let covariates = dataset
            .covariates
            .iter()
            .filter(|c| !c.column.is_empty())
            .map(|c| CovariateSpec::of(&c.series, c.known_ahead))
            .collect();
        Self {
            kind: series.kind,
            zone: series.time_zone.clone(),
            location: series.location,
            holiday_region: series.holiday_region.clone(),
            epoch: grid.start,
            week_lags: u8::try_from((beyond / 14).clamp(1, 4)).unwrap_or(WEEK_LAGS_MAX),
            day_lags: 7,
            recent: true,
            calendar: true,
            seasons: days >= SEASON_DAYS_MIN,
            covariates,
            window_days: 0,
        }
    }

    /// [`FeatureSpec::for_dataset`], and what the recipe's family asks for beside it.
    #[must_use]
    pub fn for_recipe(dataset: &Dataset, recipe: &Recipe) -> Self {
        let mut spec = Self::for_dataset(dataset, recipe.reach());
        if recipe.family == Family::Windows {
            spec.covariates.clear();
            spec.window_days = u8::try_from(WINDOW_DAYS).unwrap_or(u8::MAX);
        }
        spec
    }

    /// Weekly lags after the limit.
    pub(super) fn weeks(&self) -> usize {
        usize::from(self.week_lags.min(WEEK_LAGS_MAX))
    }

    /// Daily lags after the limit.
    pub(super) fn days(&self) -> usize {
        usize::from(self.day_lags.min(DAY_LAGS_MAX))
    }
}

impl CovariateSpec {
    /// A covariate as described by its series.
    #[must_use]
    pub fn of(series: &Series, known_ahead: bool) -> Self {
        Self { series: series.name.clone(), kind: series.kind, unit: series.unit.clone(), known_ahead }
    }
}

/// How far before an origin the data must reach for [`super::build`] to find everything it may read.
///
/// Loading more changes nothing; loading less leaves features empty. Values for the time forecast itself
/// (covariates known ahead) must be loaded up to the end of the local day in which the horizon ends.
#[must_use]
pub fn history_needed(spec: &FeatureSpec, _horizon: Horizon) -> SignedDuration {
    // Lags count from the last week or day before the origin, so the horizon does not add to them.
    let weeks = (spec.weeks() + SPARE_WEEKS) * 7;
    let days = spec.days().max(LEVEL_DAYS).max(usize::from(spec.window_days)) + 1;
    // Two spare days: a change of clocks, a skipped day, and the neighbours of a lag.
    SignedDuration::from_hours(24 * i64::try_from(weeks.max(days) + 2).unwrap_or(0))
}

/// Days of a covariate before the origin that [`super::build`] may read: a day that lives alike lies up to sixteen
/// days back, means and the weekly lag less, and a change of clocks a little further.
const COVARIATE_DAYS: i64 = 18;

/// How far before an origin covariates must reach; see [`history_needed`] for the target.
#[must_use]
pub fn covariate_history_needed() -> SignedDuration {
    SignedDuration::from_hours(24 * COVARIATE_DAYS)
}
