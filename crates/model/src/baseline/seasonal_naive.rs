//! Seasonal naive: the value one week earlier, with the spread of its past errors.

use forewatt_domain::QuantileLevels;
use serde::{Deserialize, Serialize};

use crate::groups::{GroupedQuantiles, Groups, LEAD_EDGES_HOURS, median};
use crate::matrix::{FeatureMatrix, RowKey, TrainingSet};
use crate::predict::{Fit, ModelError, Predict, Predictions};

/// The columns asked in turn until one knows a value.
pub(crate) const LADDER: [&str; 10] = [
    "lag_week_1",
    "lag_week_2",
    "lag_day_1",
    "lag_day_2",
    "lag_day_3",
    "lag_day_4",
    "lag_day_5",
    "lag_day_6",
    "lag_day_7",
    "last_1",
];

/// Fewer rows than this show no spread.
const ROWS_MIN: usize = 24;

/// The recipe: it has no settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct SeasonalNaive;

/// A fitted seasonal naive: the expected value is exactly the lag, the quantiles are the lag plus past errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeasonalNaiveModel {
    /// The columns of the ladder the training matrix had.
    ladder: Vec<String>,
    /// What is answered when no lag is known, per slot of the day.
    medians: Vec<f32>,
    /// Quantiles of target minus lag by time of day and lead time.
    errors: GroupedQuantiles,
    levels: usize,
}

impl Fit for SeasonalNaive {
    type Fitted = SeasonalNaiveModel;

    fn fit(&self, data: &TrainingSet, levels: &QuantileLevels) -> Result<SeasonalNaiveModel, ModelError> {
        let features = &data.features;
        if features.rows() < ROWS_MIN {
            return Err(ModelError::TooFewRows {
                family: "seasonal-naive",
                rows: features.rows(),
                needed: ROWS_MIN,
            });
        }
        let groups = Groups::new(&features.keys, 24, &LEAD_EDGES_HOURS);
        let present = LADDER.iter().filter(|name| features.column(name).is_some());
        let ladder: Vec<String> = present.map(|&name| name.to_owned()).collect();
        let columns = positions(&ladder, features)?;
        let medians = slot_medians(&features.keys, &data.target, groups.steps_per_day());
        let (mut keys, mut errors) = (Vec::new(), Vec::new());
        for (i, (key, &actual)) in features.keys.iter().zip(&data.target).enumerate() {
            let error = actual - lag(features.row(i), &columns).unwrap_or(medians[slot(key, medians.len())]);
            if error.is_finite() {
                keys.push(*key);
                errors.push(error);
            }
        }
        Ok(SeasonalNaiveModel {
            ladder,
            medians,
            errors: GroupedQuantiles::new(groups, levels, &keys, &errors),
            levels: levels.len(),
        })
    }
}

impl Predict for SeasonalNaiveModel {
    fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError> {
        let columns = positions(&self.ladder, features)?;
        let mut mean = Vec::with_capacity(features.rows());
        let mut quantiles = Vec::with_capacity(features.rows() * self.levels);
        for (i, key) in features.keys.iter().enumerate() {
            let value =
                lag(features.row(i), &columns).unwrap_or_else(|| self.medians[slot(key, self.medians.len())]);
            mean.push(value);
            quantiles.extend(self.errors.row(key).iter().map(|error| value + error));
        }
        let levels = self.levels;
        Ok(Predictions { mean, quantiles, levels })
    }
}

impl SeasonalNaiveModel {
    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, levels: usize) -> bool {
        self.levels == levels && !self.medians.is_empty() && self.errors.is_sound(levels)
    }

    /// Where the columns it asks in turn lie in a matrix.
    ///
    /// # Errors
    /// [`ModelError::MissingFeature`] naming the first one that is not there.
    pub(crate) fn columns(&self, features: &FeatureMatrix) -> Result<Vec<usize>, ModelError> {
        positions(&self.ladder, features)
    }

    /// What it expects for a row asked as `key`, and the one of `columns` that said so; none when no lag is known.
    pub(crate) fn told(&self, columns: &[usize], key: &RowKey, row: &[f32]) -> (Option<usize>, f32) {
        let known = columns.iter().copied().find(|&c| row[c].is_finite());
        let usual = || self.medians[slot(key, self.medians.len())];
        (known, known.map_or_else(usual, |c| row[c]))
    }
}

fn positions(ladder: &[String], features: &FeatureMatrix) -> Result<Vec<usize>, ModelError> {
    let position = |name: &String| {
        features.column(name).ok_or_else(|| ModelError::MissingFeature { name: name.clone() })
    };
    ladder.iter().map(position).collect()
}

/// The first known value of the ladder.
fn lag(row: &[f32], columns: &[usize]) -> Option<f32> {
    columns.iter().map(|&c| row[c]).find(|value| value.is_finite())
}

fn slot(key: &RowKey, slots: usize) -> usize {
    usize::from(key.slot_of_day).min(slots - 1)
}

/// The median target per slot of the day; that of all rows where a slot has none.
fn slot_medians(keys: &[RowKey], target: &[f32], steps_per_day: usize) -> Vec<f32> {
    let mut by_slot: Vec<Vec<f32>> = vec![Vec::new(); steps_per_day];
    for (key, &value) in keys.iter().zip(target) {
        by_slot[slot(key, steps_per_day)].push(value);
    }
    let overall = median(&mut target.to_vec());
    let of_slot = |values: &mut Vec<f32>| if values.is_empty() { overall } else { median(values) };
    by_slot.iter_mut().map(of_slot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Shape};

    #[test]
    fn the_expected_value_is_exactly_the_lag() {
        let data = synthetic::training(Shape::default());
        let model = SeasonalNaive.fit(&data, &QuantileLevels::deciles()).unwrap();
        let answer = model.predict(&data.features).unwrap();
        for i in 0..data.features.rows() {
            assert_eq!(answer.mean[i], data.features.row(i)[0]);
            assert!(answer.row(i).is_sorted());
        }
    }

    #[test]
    fn quantiles_hold_the_share_they_name() {
        let data = synthetic::training(Shape { horizon: 36, every: 7, ..Shape::default() });
        let (early, late) = synthetic::cut(&data, 0.6);
        let levels = QuantileLevels::parse("0.1,0.5,0.9").unwrap();
        let answer = SeasonalNaive.fit(&early, &levels).unwrap().predict(&late.features).unwrap();
        for (l, level) in levels.as_slice().iter().enumerate() {
            let below = (0..late.target.len()).filter(|&i| late.target[i] <= answer.row(i)[l]).count();
            let share = below as f64 / late.target.len() as f64;
            assert!((share - level).abs() < 0.06, "{share} for {level}");
        }
    }

    #[test]
    fn unknown_lags_fall_down_the_ladder() {
        let mut data = synthetic::training(Shape { days: 60, ..Shape::default() });
        let columns = data.features.columns();
        data.features.values[0] = f32::NAN;
        data.features.values[columns..2 * columns].fill(f32::NAN);
        let model = SeasonalNaive.fit(&data, &QuantileLevels::deciles()).unwrap();
        let answer = model.predict(&data.features).unwrap();
        assert_eq!(answer.mean[0], data.features.row(0)[1], "the week before last stands in");
        assert_eq!(answer.mean[1], model.medians[1], "the median of the slot is the last resort");
        assert!(answer.quantiles.iter().all(|q| q.is_finite()));
    }

    #[test]
    fn a_matrix_without_its_columns_is_refused() {
        let data = synthetic::training(Shape { days: 60, ..Shape::default() });
        let model = SeasonalNaive.fit(&data, &QuantileLevels::deciles()).unwrap();
        let mut other = data.features.clone();
        other.names[0] = "else".to_owned();
        let name = "lag_week_1".to_owned();
        assert_eq!(model.predict(&other), Err(ModelError::MissingFeature { name }));
        let few = data.filter(|i| i < 5);
        assert!(matches!(
            SeasonalNaive.fit(&few, &QuantileLevels::deciles()),
            Err(ModelError::TooFewRows { rows: 5, .. })
        ));
    }
}
