//! The one feature builder of training, backtest and serving: what a forecast may know, as a matrix.
//!
//! Every number comes from [`Column::as_of`] at the row's origin or from the calendar, so nothing that became
//! known after the origin can reach a row. Forecasts are direct: each lead time is a row of its own and the lead
//! is a feature, so no forecast feeds on another.
//!
//! | columns | meaning |
//! |---|---|
//! | `lag_week_1`.. | the newest known values at the row's weekday and clock time in earlier weeks |
//! | `lag_day_1`.. | the row's clock time on the days before the origin, newest first; unknown stays NaN |
//! | `lag_like_1`, `lag_like_2`, `like_days_back` | the row's clock time on the newest days that live like the row's, and how far back |
//! | `lag_day_1_before`, `lag_day_1_after` | the neighbours of `lag_day_1`, one step away |
//! | `same_time_mean_7d`, `same_time_mean_4w` | the mean of seven daily lags; of the weekly lags |
//! | `last_1`.., `last_known`, `last_known_age_hours` | the newest values; the newest known within two days |
//! | `mean_24h` .. `std_168h`, `day_vs_week` | level and spread before the origin; day's minus week's mean |
//! | `hour_sin` .. `slot_of_day` | civil time, weekday, holidays, season, trend, lead time |
//! | `cov:NAME`, `cov:NAME:before` .. | a covariate known ahead around the row's valid time |
//! | `cov:NAME:heating`, `:cooling`, `:mean_24h` | degree days and inertia of a temperature known ahead |
//! | `wind:HEIGHT:speed`, `:cubed`, `:power_9` .. | speed, power and direction, where a wind series has the wind ahead |
//! | `cov:NAME:last` .. | a covariate of which only the past is known |
//! | `solar_elevation_sin`, `clear_sky_ghi`, `clear_sky_index_24h` .. | the sun over the place |

mod calendar;
mod civil;
mod covariates;
mod keys;
mod lags;
mod past;
mod rows;
mod solar;
mod spec;
mod weather;
mod wind;
mod windows;

#[cfg(test)]
mod leak_tests;
#[cfg(test)]
mod tests;

use forewatt_domain::{Horizon, Time};
use rayon::prelude::*;

use crate::dataset::{Column, Dataset};
use crate::matrix::{FeatureMatrix, RowKey};

pub use keys::keys;
pub use past::{courses, past};
pub use rows::{days_later, gate, target, training_begin, training_origins, training_set};
pub(crate) use rows::{first_known, follows_clocks, starts};
pub use spec::{
    CovariateSpec, DAY_LAGS_MAX, FeatureSpec, WEEK_LAGS_MAX, covariate_history_needed, history_needed,
};

use calendar::{Day, Days};
use civil::{Local, LocalTime};
use solar::Site;

/// With fewer origins than this, waking other threads costs more than the work.
const PARALLEL_FROM: usize = 4;

/// The columns [`build`] makes for a specification, in order.
#[must_use]
pub fn names(spec: &FeatureSpec) -> Vec<String> {
    let mut names = Vec::with_capacity(96);
    lags::names(spec, &mut names);
    calendar::names(spec, &mut names);
    covariates::names(spec, &mut names);
    solar::names(spec, &mut names);
    wind::names(spec, &mut names);
    names
}

/// The features of every lead time of every origin: `origins.len() * horizon` rows by origin and lead.
///
/// Origins are sorted first; each should be an instant of the target's grid. What a dataset does not have
/// (a covariate of the specification, a value not known then) is NaN. The cost is proportional to the rows and
/// the history they touch, not to the dataset; the result does not depend on the number of threads.
#[must_use]
pub fn build(dataset: &Dataset, spec: &FeatureSpec, origins: &[Time], horizon: Horizon) -> FeatureMatrix {
    let names = names(spec);
    let (steps, columns) = (horizon.steps(), names.len());
    let mut origins = origins.to_vec();
    origins.sort_unstable();
    let Some(context) = Context::new(dataset, spec, &origins, horizon) else {
        return FeatureMatrix { names, keys: Vec::new(), values: Vec::new(), windows: None };
    };
    let mut values = vec![f32::NAN; origins.len() * steps * columns];
    let keys = if origins.len() < PARALLEL_FROM {
        let chunks = values.chunks_mut(steps * columns);
        origins.iter().zip(chunks).flat_map(|(&origin, chunk)| context.fill(origin, columns, chunk)).collect()
    } else {
        let chunks = values.par_chunks_mut(steps * columns);
        let filled: Vec<Vec<RowKey>> = origins
            .par_iter()
            .zip(chunks)
            .map(|(&origin, chunk)| context.fill(origin, columns, chunk))
            .collect();
        filled.concat()
    };
    FeatureMatrix { names, keys, values, windows: windows::build(&context, &origins) }
}

/// A column read by steps from the target's first instant; NaN where it has nothing.
#[derive(Debug, Clone, Copy)]
struct View<'a> {
    column: Option<&'a Column>,
    /// Index of the column's first slot.
    shift: i64,
}

impl<'a> View<'a> {
    fn new(column: Option<&'a Column>, base: &Column) -> Self {
        let step = base.grid().step;
        let distance = |c: &Column| c.grid().start.micros_since(base.grid().start);
        // A column off the target's instants cannot be read: its values mean other periods.
        let column = column.filter(|c| c.grid().step == step && distance(c) % step.micros() == 0);
        Self { column, shift: column.map_or(0, |c| distance(c) / step.micros()) }
    }

    /// The value as known at `at`.
    fn get(&self, index: i64, at: Time) -> f32 {
        let slot = usize::try_from(index - self.shift).ok();
        match (self.column, slot) {
            (Some(column), Some(slot)) if slot < column.grid().len => column.as_of(slot, at),
            _ => f32::NAN,
        }
    }
}

/// What all rows of a call share.
#[derive(Debug)]
struct Context<'a> {
    spec: &'a FeatureSpec,
    target: View<'a>,
    covariates: Vec<View<'a>>,
    start: Time,
    step_seconds: u32,
    per_day: i64,
    steps: usize,
    local: LocalTime,
    days: Days,
    site: Option<Site>,
    winds: Vec<wind::Wind>,
}

/// A forecast start.
#[derive(Debug, Clone, Copy)]
struct Origin {
    time: Time,
    /// Index of the first instant at or after it: the first period whose value lies in its future.
    index: i64,
}

/// One lead time of an origin.
#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    origin: Time,
    origin_index: i64,
    valid: Time,
    index: i64,
    lead: u32,
    local: Local,
    slot_of_day: u16,
    day: &'a Day,
    /// Civil days back to the newest same clock time before the origin.
    first_day: i64,
    /// Civil days back to the newest such day that lives like the row's; [`Row::first_day`] when there is none.
    like_day: i64,
}

/// The cells of one row, filled from left to right.
#[derive(Debug)]
struct Cells<'a>(std::slice::IterMut<'a, f32>);

impl Cells<'_> {
    fn put(&mut self, value: f32) {
        let cell = self.0.next();
        debug_assert!(cell.is_some(), "a group writes more cells than it names");
        if let Some(cell) = cell {
            *cell = value;
        }
    }
}

impl<'a> Context<'a> {
    /// `None` without origins.
    fn new(dataset: &'a Dataset, spec: &'a FeatureSpec, origins: &[Time], horizon: Horizon) -> Option<Self> {
        let (first, last) = (*origins.first()?, *origins.last()?);
        let grid = dataset.target.grid();
        let day = jiff::SignedDuration::from_hours(24);
        let end = last.plus_micros(grid.step.micros() * (horizon.steps() as i64 + 1)) + day + day;
        let local = LocalTime::new(&spec.zone, first - history_needed(spec, horizon) - day, end);
        let last_day = local.local(end.seconds()).day;
        let find = |name| dataset.covariates.iter().find(|c| c.series.name == name).map(|c| &c.column);
        let covariates = spec.covariates.iter().map(|c| View::new(find(c.series.clone()), &dataset.target));
        Some(Self {
            spec,
            target: View::new(Some(&dataset.target), &dataset.target),
            covariates: covariates.collect(),
            start: grid.start,
            step_seconds: grid.step.seconds(),
            per_day: grid.step.steps_per_day() as i64,
            steps: horizon.steps(),
            days: Days::new(spec, local.local(first.seconds()).day - 1 - lags::LIKE_DAYS as i32, last_day),
            local,
            site: spec.location.map(Site::new),
            winds: wind::winds(spec),
        })
    }

    /// The instant of an index.
    fn time(&self, index: i64) -> Time {
        self.start.plus_micros(index * i64::from(self.step_seconds) * 1_000_000)
    }

    /// The index of the first instant at or after a time.
    fn first_from(&self, time: Time) -> i64 {
        let micros = i64::from(self.step_seconds) * 1_000_000;
        let distance = time.micros_since(self.start);
        distance.div_euclid(micros) + i64::from(distance.rem_euclid(micros) != 0)
    }

    /// The Unix second of an index.
    fn second(&self, index: i64) -> i64 {
        self.start.seconds() + index * i64::from(self.step_seconds)
    }

    /// The index at which the clocks showed what they show at the row, `days` civil days earlier.
    fn days_before(&self, row: &Row, days: i64) -> i64 {
        let step = i64::from(self.step_seconds);
        let second = self.second(row.index);
        let shift = self.local.offset(second) - self.local.offset(second - days * 86_400);
        // Clocks that move by less than a step keep their slot.
        row.index - days * self.per_day + (shift + step / 2).div_euclid(step)
    }

    /// The indices from the start of a local day to the start of the next.
    fn day_bounds(&self, day: i32) -> (i64, i64) {
        let step = i64::from(self.step_seconds);
        let index = |day: i32| {
            let distance = self.local.day_start(day) - self.start.seconds();
            distance.div_euclid(step) + i64::from(distance.rem_euclid(step) != 0)
        };
        (index(day), index(day + 1))
    }

    fn row(&self, origin: &Origin, lead: u32) -> Row<'_> {
        let micros = i64::from(self.step_seconds) * 1_000_000;
        let valid = origin.time.plus_micros(i64::from(lead) * micros);
        let local = self.local.local(valid.seconds());
        let mut row = Row {
            origin: origin.time,
            origin_index: origin.index,
            valid,
            index: valid.micros_since(self.start).div_euclid(micros),
            lead,
            local,
            slot_of_day: u16::try_from(local.second_of_day / self.step_seconds).unwrap_or(u16::MAX),
            day: self.days.get(local.day),
            first_day: 0,
            like_day: 0,
        };
        row.first_day = lags::first_before(self, &row, 1);
        row.like_day = lags::like_days(self, &row).next().unwrap_or(row.first_day);
        row
    }

    /// Fills the cells of an origin's rows and says what the rows are about.
    fn fill(&self, origin: Time, columns: usize, values: &mut [f32]) -> Vec<RowKey> {
        let origin = Origin { time: origin, index: self.first_from(origin) };
        let recent = lags::Recent::new(self, &origin);
        let clearness = solar::Clearness::new(self, &origin);
        let pairs = self.spec.covariates.iter().zip(&self.covariates);
        let known: Vec<_> = pairs.map(|(c, view)| covariates::Known::new(self, c, view, &origin)).collect();
        let leads = 0..u32::try_from(self.steps).unwrap_or(0);
        let rows = leads.map(|lead| self.row(&origin, lead));
        rows.zip(values.chunks_mut(columns.max(1)))
            .map(|(row, chunk)| {
                let mut cells = Cells(chunk.iter_mut());
                lags::row(self, &recent, &row, &mut cells);
                calendar::row(self.spec, &row, &mut cells);
                covariates::row(self, &known, &row, &mut cells);
                solar::row(self, &clearness, &row, &mut cells);
                wind::row(self, &known, &row, &mut cells);
                debug_assert!(cells.0.len() == 0, "a group names more cells than it writes");
                row.key()
            })
            .collect()
    }
}

impl Row<'_> {
    fn key(&self) -> RowKey {
        RowKey {
            origin: self.origin,
            valid_time: self.valid,
            lead: self.lead,
            slot_of_day: self.slot_of_day,
            day_class: self.day.class,
            day_of_year: self.day.day_of_year,
            local_day: self.local.day,
        }
    }
}
