//! What to test: the origins, the refits, and why a plan cannot be carried out.

use forewatt_domain::grid::GridError;
use forewatt_domain::time::{MICROS_PER_DAY, duration_micros};
use forewatt_domain::{Family, Horizon, Recipe, Resolution, Time};
use jiff::SignedDuration;

use crate::dataset::Dataset;
use crate::features;
use crate::predict::ModelError;

/// The most feature values a backtest keeps: one gibibyte of them.
pub const VALUES_MAX: usize = 1 << 28;
/// The most origins a backtest tests.
pub const ORIGINS_MAX: usize = 1_000_000;

/// When the model is fitted anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refit {
    /// Once, before the first origin.
    Never,
    /// At the first origin of every such span counted from the first.
    Every(SignedDuration),
}

/// What to test.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The first forecast start.
    pub from: Time,
    /// No forecast starts at or after this.
    pub to: Time,
    /// Distance between forecast starts: whole steps. Whole days keep the time on the series' clocks.
    pub every: SignedDuration,
    /// How far each forecast goes; it replaces the recipe's.
    pub horizon: Horizon,
    /// When the model is fitted anew.
    pub refit: Refit,
    /// What to compare with, on the same rows.
    pub baseline: Family,
}

/// Why a backtest cannot be run.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum BacktestError {
    /// The end does not follow the beginning.
    #[error("the backtest would end at {to}, not after its beginning {from}: give a later end")]
    Range {
        /// The beginning.
        from: Time,
        /// The end.
        to: Time,
    },
    /// The distance between origins is not a whole number of steps.
    #[error(
        "forecasts every {every} do not fit a resolution of {resolution}: give a positive number of whole steps"
    )]
    Every {
        /// What was given.
        every: String,
        /// The series' step.
        resolution: Resolution,
    },
    /// The refit interval is not positive.
    #[error("a model cannot be fitted anew every {interval}: give a positive interval or never")]
    Refit {
        /// What was given.
        interval: String,
    },
    /// The beginning is not an instant of the series.
    #[error("the series has no value at {from}, its instants are {resolution} apart: begin at {nearest}")]
    OffGrid {
        /// What was given.
        from: Time,
        /// The series' step.
        resolution: Resolution,
        /// The next instant that will do.
        nearest: Time,
    },
    /// The recipe is for another resolution.
    #[error(
        "the recipe forecasts steps of {recipe}, but the data has steps of {data}: use the data's resolution"
    )]
    Resolution {
        /// The recipe's.
        recipe: Resolution,
        /// The data's.
        data: Resolution,
    },
    /// Nothing was known when the backtest begins.
    #[error("nothing is known of {series} before {from}: {}", match .begins {
        Some(begins) => format!("its data begins at {begins}, so begin some weeks later"),
        None => "it has no data at all, so import some".to_owned(),
    })]
    NoHistory {
        /// Whose data.
        series: String,
        /// The beginning.
        from: Time,
        /// The first valid time there is.
        begins: Option<Time>,
    },
    /// No forecast can be compared with what came true.
    #[error(
        "no actual value of {series} is known from {from} on, so there is nothing to score: its data ends at {ends}"
    )]
    NoActuals {
        /// Whose data.
        series: String,
        /// The beginning.
        from: Time,
        /// The end of its data.
        ends: Time,
    },
    /// More than fits in memory or patience.
    #[error(
        "{origins} forecast starts of {steps} steps and {columns} features are too many: more than {max} values; \
         use origins further apart, fewer training days, a shorter span or a shorter horizon"
    )]
    TooLarge {
        /// Forecast starts to learn from and to test.
        origins: usize,
        /// Steps of each.
        steps: usize,
        /// Columns.
        columns: usize,
        /// The limit.
        max: usize,
    },
    /// A model could not be fitted or asked.
    #[error("the model fitted with what was known at {cutoff} failed: {source}")]
    Model {
        /// When it was fitted.
        cutoff: Time,
        /// Why.
        source: ModelError,
    },
    /// The horizon or another length does not fit.
    #[error(transparent)]
    Grid(#[from] GridError),
    /// The progress report said to stop.
    #[error("the backtest was cancelled")]
    Cancelled,
}

impl Plan {
    /// The origins to test, rising.
    pub(super) fn origins(&self, dataset: &Dataset, recipe: &Recipe) -> Result<Vec<Time>, BacktestError> {
        let (from, to, resolution) = (self.from, self.to, dataset.step());
        if recipe.resolution != resolution {
            return Err(BacktestError::Resolution { recipe: recipe.resolution, data: resolution });
        }
        if to <= from {
            return Err(BacktestError::Range { from, to });
        }
        let every = duration_micros(self.every);
        if every <= 0 || every % resolution.micros() != 0 {
            return Err(BacktestError::Every { every: self.every.to_string(), resolution });
        }
        if let Refit::Every(span) = self.refit
            && duration_micros(span) <= 0
        {
            return Err(BacktestError::Refit { interval: span.to_string() });
        }
        let start = dataset.target.grid().start;
        let off = from.micros_since(start).rem_euclid(resolution.micros());
        if off != 0 {
            let nearest = from.plus_micros(resolution.micros() - off);
            return Err(BacktestError::OffGrid { from, resolution, nearest });
        }
        if features::first_known(dataset, from).is_none() {
            let begins = features::first_known(dataset, Time::MAX);
            return Err(BacktestError::NoHistory { series: dataset.series.name.to_string(), from, begins });
        }
        // Forecasts of what nobody will ever compare are not worth their time: the data's end bounds the origins.
        let end = to.min(dataset.target.grid().end());
        if end <= from {
            let ends = dataset.target.grid().end();
            return Err(BacktestError::NoActuals { series: dataset.series.name.to_string(), from, ends });
        }
        let origins = usize::try_from(end.micros_since(from) / every + 1).unwrap_or(usize::MAX);
        check_size(origins, self.horizon.steps(), 1)?;
        Ok(features::starts(dataset, from, every, from, end))
    }

    /// Microseconds from the plan's beginning to a forecast start, as the starts count them: where they keep the time
    /// on the clock, a day of 23 or 25 hours is a day.
    fn elapsed(&self, dataset: &Dataset, time: Time) -> i64 {
        let by_clock = features::follows_clocks(dataset.step(), duration_micros(self.every));
        let zone = &dataset.series.time_zone;
        let moved = if by_clock { zone.offset_micros(time) - zone.offset_micros(self.from) } else { 0 };
        time.micros_since(self.from) + moved
    }

    /// The number of the span between refits in which a forecast start lies.
    pub(super) fn block(&self, dataset: &Dataset, time: Time) -> i64 {
        match self.refit {
            Refit::Never => 0,
            Refit::Every(span) => self.elapsed(dataset, time).div_euclid(duration_micros(span).max(1)),
        }
    }

    /// The number of the day in which a forecast start lies.
    pub(super) fn day(&self, dataset: &Dataset, time: Time) -> i64 {
        self.elapsed(dataset, time).div_euclid(MICROS_PER_DAY)
    }
}

/// Refuses what would need more than [`VALUES_MAX`] values or [`ORIGINS_MAX`] origins.
pub(super) fn check_size(origins: usize, steps: usize, columns: usize) -> Result<(), BacktestError> {
    let values = origins.saturating_mul(steps).saturating_mul(columns);
    if values > VALUES_MAX || origins > ORIGINS_MAX {
        return Err(BacktestError::TooLarge { origins, steps, columns, max: VALUES_MAX });
    }
    Ok(())
}
