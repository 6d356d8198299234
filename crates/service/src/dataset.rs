//! From stored observations to the aligned columns that models read.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{Covariate, Observation, Resolution, Series, SeriesKind, SeriesName, Time, TimeGrid};
use forewatt_model::dataset::{Column, CovariateColumn, Dataset};
use forewatt_model::features;
use forewatt_store::{ObservationRange, ObservationStore};
use tokio::sync::OnceCell;

use crate::Service;
use crate::error::{Error, ErrorKind, Result};

/// Valid times to load and what may be known of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum View {
    /// Every revision known at `as_of`, for training and backtests: each row takes what was known at its own origin.
    Revisions {
        /// The instant of knowledge.
        as_of: Time,
    },
    /// What is known at `as_of`, for one forecast that starts at `forecast_start`: all of it may be used, so it
    /// counts as available at the start at the latest.
    Known {
        /// The instant of knowledge.
        as_of: Time,
        /// The forecast start.
        forecast_start: Time,
    },
}

/// A column of a covariate: whose, from where, on which grid and as known when.
type ReadKey = (SeriesName, Time, (Time, u32, usize), View);

/// Covariates that the series of one batch have in common, read once for all of them.
#[derive(Debug, Default)]
pub(crate) struct SharedReads(Mutex<HashMap<ReadKey, Arc<OnceCell<Column>>>>);

/// Columns that one batch keeps to share; further ones are read by whoever needs them.
const SHARED_MAX: usize = 1_024;

impl SharedReads {
    /// Where a column is kept, or will be once it is read; `None` when there is no room for more.
    fn place(&self, key: ReadKey) -> Option<Arc<OnceCell<Column>>> {
        // A poisoned lock only means that another thread panicked while adding: the map is whole.
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = kept.len() < SHARED_MAX;
        match kept.entry(key) {
            Entry::Occupied(place) => Some(Arc::clone(place.get())),
            Entry::Vacant(place) => room.then(|| Arc::clone(place.insert(Arc::default()))),
        }
    }
}

impl Service {
    /// Loads a target and its covariates over the valid times `from..to`; `from` is an instant of the target's grid.
    pub(crate) async fn load_dataset(
        &self,
        target: &Series,
        covariates: &[Covariate],
        range: (Time, Time),
        view: View,
    ) -> Result<Dataset> {
        self.load_shared(target, covariates, range, view, None).await
    }

    /// As [`Service::load_dataset`]; covariates that were read for another series of the batch are not read again.
    pub(crate) async fn load_shared(
        &self,
        target: &Series,
        covariates: &[Covariate],
        (from, to): (Time, Time),
        view: View,
        shared: Option<&SharedReads>,
    ) -> Result<Dataset> {
        let grid = TimeGrid::covering(from, to, target.resolution);
        let target_column = self.load_column(target, grid, from, view).await?;
        let covariates_from = match view {
            View::Revisions { .. } => from,
            View::Known { forecast_start, .. } => {
                from.max(forecast_start - features::covariate_history_needed())
            }
        };
        let mut columns = Vec::with_capacity(covariates.len());
        for covariate in covariates {
            let info = self.found(&covariate.series).await?;
            let series = info.series.clone();
            let (grid, from) = match (view, info.state.first_valid_time) {
                (View::Revisions { .. }, Some(begin)) => {
                    let grid = temperature_grid(grid, series.kind, begin);
                    (grid, covariates_from.min(grid.start))
                }
                _ => (grid, covariates_from),
            };
            let key = || (series.name.clone(), from, (grid.start, grid.step.seconds(), grid.len), view);
            let read = || self.load_column(&series, grid, from, view);
            let column = match shared.and_then(|shared| shared.place(key())) {
                Some(place) => place.get_or_try_init(read).await?.clone(),
                None => read().await?,
            };
            columns.push(CovariateColumn { series, known_ahead: covariate.known_ahead, column });
        }
        Ok(Dataset { series: target.clone(), target: target_column, covariates: columns })
    }

    async fn load_column(&self, series: &Series, grid: TimeGrid, from: Time, view: View) -> Result<Column> {
        // A coarser series' value that covers the first instant may start before it.
        let from = from.plus_micros(-series.resolution.micros());
        let range = ObservationRange { series: series.name.clone(), from, to: grid.end() };
        let mut observations = match view {
            View::Revisions { .. } => self.store.read_revisions(&range).await?,
            View::Known { as_of, .. } => self.store.read_as_of(&range, as_of).await?,
        };
        match view {
            View::Revisions { as_of } => observations.retain(|o| o.available_at <= as_of),
            View::Known { forecast_start, .. } => {
                observations.iter_mut().for_each(|o| o.available_at = o.available_at.min(forecast_start));
            }
        }
        let observations = resample(observations, series.resolution, grid);
        Ok(Column::new(grid, &observations).0)
    }
}

/// The years of temperatures a model may learn from before its target begins; more are left out.
const TEMPERATURE_YEARS_MAX: i64 = 21;

/// The grid of a covariate that begins at `begin`: the target's, and for temperatures the years before it too, because
/// models of months ahead ask what past years' weather would do.
pub(crate) fn temperature_grid(grid: TimeGrid, kind: SeriesKind, begin: Time) -> TimeGrid {
    let begin = begin.max(grid.start.plus_micros(-TEMPERATURE_YEARS_MAX * 366 * MICROS_PER_DAY));
    let earlier = usize::try_from(grid.start.micros_since(begin) / grid.step.micros()).unwrap_or(0);
    if kind != SeriesKind::Temperature {
        return grid;
    }
    let start = grid.start.plus_micros(-(earlier as i64) * grid.step.micros());
    TimeGrid { start, len: grid.len + earlier, ..grid }
}

/// Observations of one step on another: a coarser value holds for every finer step inside it; finer values are
/// averaged once all of a coarser step's are known, again at every revision.
pub(crate) fn resample(observations: Vec<Observation>, from: Resolution, grid: TimeGrid) -> Vec<Observation> {
    let to = grid.step;
    if from == to {
        return observations;
    }
    if from > to {
        let parts = i64::from(from.seconds() / to.seconds());
        let split = |o: Observation| {
            (0..parts)
                .map(move |i| Observation { valid_time: o.valid_time.plus_micros(i * to.micros()), ..o })
        };
        return observations.into_iter().flat_map(split).collect();
    }
    let parts = (to.seconds() / from.seconds()) as usize;
    let mut groups: BTreeMap<Time, Vec<Observation>> = BTreeMap::new();
    observations
        .into_iter()
        .for_each(|o| groups.entry(to.floor(o.valid_time, grid.start)).or_default().push(o));
    let mut means = Vec::new();
    for (valid_time, mut group) in groups {
        group.sort_by_key(|o| o.available_at);
        let mut known: BTreeMap<Time, f64> = BTreeMap::new();
        for (i, observation) in group.iter().enumerate() {
            known.insert(observation.valid_time, observation.value);
            let more_at_once =
                group.get(i + 1).is_some_and(|next| next.available_at == observation.available_at);
            if known.len() == parts && !more_at_once {
                let value = known.values().sum::<f64>() / parts as f64;
                means.push(Observation { valid_time, available_at: observation.available_at, value });
            }
        }
    }
    means
}

/// Covariates as a request names them, checked against the target's step.
pub(crate) fn check_covariates(target: &SeriesName, covariates: &[Covariate]) -> Result<()> {
    let mut seen = std::collections::BTreeSet::new();
    for covariate in covariates {
        if covariate.series == *target {
            let message = format!("`{target}` cannot be a covariate of itself: its own past is always read");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        if !seen.insert(&covariate.series) {
            return Err(Error::invalid(format!("the covariate `{}` is named twice", covariate.series)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(minute: i64, known_minute: i64, value: f64) -> Observation {
        let at = |m: i64| Time::from_seconds(m * 60);
        Observation { valid_time: at(minute), available_at: at(known_minute), value }
    }

    fn grid(minutes: i64) -> TimeGrid {
        TimeGrid {
            start: Time::from_seconds(0),
            step: Resolution::from_seconds(minutes * 60).unwrap(),
            len: 9,
        }
    }

    #[test]
    fn temperatures_keep_the_years_before_the_target() {
        let target = TimeGrid { start: Time::from_seconds(1_000_000_020), ..grid(60) };
        let begin = target.start.plus_micros(-(MICROS_PER_DAY + 1));
        let longer = temperature_grid(target, SeriesKind::Temperature, begin);
        assert_eq!((longer.start, longer.len), (target.start.plus_micros(-MICROS_PER_DAY), 24 + 9));
        assert_eq!(longer.time(24), target.start, "its instants are the target's");
        assert_eq!(temperature_grid(target, SeriesKind::Weather, begin), target);
        let late = target.start.plus_micros(MICROS_PER_DAY);
        assert_eq!(temperature_grid(target, SeriesKind::Temperature, late), target);
        let most = temperature_grid(target, SeriesKind::Temperature, Time::MIN).len;
        assert!(most <= 22 * 366 * 24, "{most}");
    }

    #[test]
    fn coarse_values_hold_for_finer_steps() {
        let fine = resample(vec![seen(0, 60, 5.0)], Resolution::HOUR, grid(30));
        assert_eq!(fine, [seen(0, 60, 5.0), seen(30, 60, 5.0)]);
    }

    #[test]
    fn fine_values_average_once_complete_and_again_when_revised() {
        let half = Resolution::from_seconds(1800).unwrap();
        let fine = vec![seen(0, 30, 2.0), seen(30, 60, 4.0), seen(0, 90, 6.0), seen(60, 90, 1.0)];
        let coarse = resample(fine, half, grid(60));
        assert_eq!(coarse, [seen(0, 60, 3.0), seen(0, 90, 5.0)], "the second hour is never complete");
    }
}
