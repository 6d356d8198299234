//! Columns with their revisions, and the as-of view that training, backtest and serving share.

use std::sync::Arc;

use forewatt_domain::{Observation, Resolution, Series, Time, TimeGrid};

/// All revisions of one series on a regular grid.
///
/// The revisions of a slot lie side by side in rising `available_at`, so "the value known at an instant" is a
/// short backward scan: see [`Column::as_of`]. Cheap to clone: clones share the values.
#[derive(Debug, Clone)]
pub struct Column {
    grid: TimeGrid,
    /// `grid.len + 1` offsets into the two slices below.
    offsets: Arc<[u32]>,
    available: Arc<[Time]>,
    values: Arc<[f32]>,
}

impl Column {
    /// From observations in any order; those off the grid's instants or beyond `f32` are dropped and counted.
    ///
    /// Returns the column and how many observations were dropped.
    #[must_use]
    pub fn new(grid: TimeGrid, observations: &[Observation]) -> (Self, usize) {
        let mut on_grid: Vec<(u32, Time, f32)> = observations
            .iter()
            .filter(|o| (o.value as f32).is_finite())
            .filter_map(|o| {
                Some((u32::try_from(grid.slot(o.valid_time)?).ok()?, o.available_at, o.value as f32))
            })
            .collect();
        on_grid.sort_by_key(|&(slot, available, _)| (slot, available)); // stable: the later of equals stays last
        let mut offsets = vec![0_u32; grid.len + 1];
        on_grid.iter().for_each(|&(slot, _, _)| offsets[slot as usize + 1] += 1);
        (0..grid.len).for_each(|i| offsets[i + 1] += offsets[i]);
        let off_grid = observations.len() - on_grid.len();
        let available = on_grid.iter().map(|&(_, available, _)| available).collect();
        let values = on_grid.iter().map(|&(_, _, value)| value).collect();
        (Self { grid, offsets: offsets.into(), available, values }, off_grid)
    }

    /// The grid.
    #[must_use]
    pub fn grid(&self) -> TimeGrid {
        self.grid
    }

    /// Whether it has no observation at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The value for `slot` with the greatest `available_at` <= `at`; NaN when none was known.
    ///
    /// # Panics
    /// When `slot` is not one of the grid.
    #[must_use]
    pub fn as_of(&self, slot: usize, at: Time) -> f32 {
        let (from, to) = (self.offsets[slot] as usize, self.offsets[slot + 1] as usize);
        let revisions = &self.available[from..to];
        // Measurements have one revision or two, weather forecasts up to hundreds.
        let known = match revisions {
            [] => 0,
            [only] => usize::from(*only <= at),
            many => many.partition_point(|&available| available <= at),
        };
        if known == 0 { f32::NAN } else { self.values[from + known - 1] }
    }

    /// The first and the last instant with a value; `None` without any.
    #[must_use]
    pub fn extent(&self) -> Option<(Time, Time)> {
        let filled = |&slot: &usize| self.offsets[slot + 1] > self.offsets[slot];
        let first = (0..self.grid.len).find(filled)?;
        let last = (0..self.grid.len).rev().find(filled)?;
        Some((self.grid.time(first), self.grid.time(last)))
    }

    /// [`Column::as_of`] by instant; NaN off the grid.
    #[must_use]
    pub fn value_at(&self, valid_time: Time, at: Time) -> f32 {
        self.grid.slot(valid_time).map_or(f32::NAN, |slot| self.as_of(slot, at))
    }

    /// The greatest `available_at` <= `at` of all observations; `None` when nothing was known.
    #[must_use]
    pub fn watermark(&self, at: Time) -> Option<Time> {
        self.available.iter().copied().filter(|&a| a <= at).max()
    }
}

/// A covariate in a dataset.
#[derive(Debug, Clone)]
pub struct CovariateColumn {
    /// The series as described.
    pub series: Series,
    /// Whether values for the time forecast may be known at the forecast start.
    pub known_ahead: bool,
    /// Its revisions, on the target's step.
    pub column: Column,
}

/// A target and its covariates on the target's step.
#[derive(Debug, Clone)]
pub struct Dataset {
    /// The series to forecast: its zone, location and holiday region shape the features.
    pub series: Series,
    /// The target's revisions.
    pub target: Column,
    /// What else may be read.
    pub covariates: Vec<CovariateColumn>,
}

impl Dataset {
    /// The step of every column.
    #[must_use]
    pub fn step(&self) -> Resolution {
        self.target.grid.step
    }
}
