//! Linear: an elastic net per time of day, with quantiles from its errors on rows it had not seen.
//!
//! In the spirit of LEAR (Uniejewski et al., 2016; Lago et al., 2021): one regularised regression per delivery hour
//! on many inputs scaled by median and MAD, tails optionally compressed by the inverse hyperbolic sine. Unlike
//! there, one penalty is chosen for all hours on the last part of the history instead of by an information
//! criterion, and the same rows tell how wide the quantiles are.

mod attribute;
mod coarse;
mod descent;
mod scale;
mod select;

use forewatt_domain::QuantileLevels;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::descent::{MIXES, PENALTIES};
use self::scale::Target;
use self::select::{Choice, Memory, Regression, Spec};
use crate::groups::{GroupedQuantiles, Groups, LEAD_EDGES_HOURS, split_late};
use crate::matrix::{FeatureMatrix, RowKey, TrainingSet};
use crate::predict::{Fit, ModelError, Predict, Predictions};

/// Fewer rows than this teach no regression.
const ROWS_MIN: usize = 200;
/// Share of the origins held back for choosing, and its bounds in days.
const LATE_SHARE: f64 = 0.2;
const LATE_DAYS_MIN: i64 = 3;
const LATE_DAYS_MAX: i64 = 182;

/// The recipe: everything is chosen from the data.
#[derive(Debug, Clone, Copy, Default)]
pub struct Linear;

/// A fitted linear model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LinearModel {
    names: Vec<String>,
    spec: Spec,
    memories: Vec<Memory>,
    target: Target,
    regressions: Vec<Regression>,
    /// Per group the regression that answers it.
    route: Vec<u32>,
    /// Quantiles of actual minus predicted, in the regression's unit.
    errors: GroupedQuantiles,
    levels: usize,
}

impl Fit for Linear {
    type Fitted = LinearModel;

    fn fit(&self, data: &TrainingSet, levels: &QuantileLevels) -> Result<LinearModel, ModelError> {
        let keys = &data.features.keys;
        let too_few =
            || ModelError::TooFewRows { family: "linear", rows: data.target.len(), needed: ROWS_MIN };
        if data.target.len() < ROWS_MIN {
            return Err(too_few());
        }
        let split = split_late(keys, LATE_SHARE, LATE_DAYS_MIN, LATE_DAYS_MAX).ok_or_else(too_few)?;
        let choice = select::choose(data, &split);
        let errors = late_errors(data, &split.late, &choice, levels);
        let all: Vec<usize> = (0..data.target.len()).collect();
        // The target's scale moves a little when all rows count; the errors are kept in its unit.
        let target = Target::new(&data.target, choice.spec.asinh);
        let errors = errors.scaled(choice.target.scale / target.scale);
        let choice = Choice { target, ..choice };
        let cells = select::by_group(&choice.spec.groups, data, &all);
        let route = select::route(&choice.spec.groups, &cells);
        let (regressions, route) = fit_all(data, &cells, &route, &choice);
        Ok(LinearModel {
            names: data.features.names.clone(),
            spec: choice.spec,
            memories: choice.memories,
            target,
            regressions,
            route,
            errors,
            levels: levels.len(),
        })
    }
}

/// Fits every group that is asked, and says which regression answers which group.
fn fit_all(
    data: &TrainingSet,
    cells: &[Vec<usize>],
    route: &[usize],
    choice: &Choice,
) -> (Vec<Regression>, Vec<u32>) {
    let mut used: Vec<usize> = route.to_vec();
    used.sort_unstable();
    used.dedup();
    let regressions = used.par_iter().map(|&cell| select::regression(data, &cells[cell], choice)).collect();
    let position = |cell: &usize| used.partition_point(|other| other < cell) as u32;
    (regressions, route.iter().map(position).collect())
}

fn late_errors(
    data: &TrainingSet,
    late: &[usize],
    choice: &Choice,
    levels: &QuantileLevels,
) -> GroupedQuantiles {
    let keys: Vec<RowKey> = late.iter().map(|&row| data.features.keys[row]).collect();
    let errors: Vec<f32> = late
        .iter()
        .zip(&choice.late)
        .map(|(&row, p)| {
            choice.target.forward(data.target[row]) - p.clamp(choice.target.low, choice.target.high)
        })
        .collect();
    GroupedQuantiles::new(Groups::new(&keys, 24, &LEAD_EDGES_HOURS), levels, &keys, &errors)
}

impl Predict for LinearModel {
    fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError> {
        let features = features.with_columns(&self.names)?;
        let mut mean = Vec::with_capacity(features.rows());
        let mut quantiles = Vec::with_capacity(features.rows() * self.levels);
        for (i, key) in features.keys.iter().enumerate() {
            let regression = &self.regressions[self.route[self.spec.groups.index(key)] as usize];
            let value = regression.apply(features.row(i)).clamp(self.target.low, self.target.high);
            mean.push(self.target.back(value));
            quantiles.extend(self.errors.row(key).iter().map(|error| self.target.back(value + error)));
        }
        let levels = self.levels;
        Ok(Predictions { mean, quantiles, levels })
    }
}

impl LinearModel {
    /// What was chosen, for people.
    #[must_use]
    pub fn describe(&self) -> String {
        let terms: usize = self.regressions.iter().map(|r| r.terms.len()).sum();
        let memory = |memory: &Memory| {
            let penalty = PENALTIES.get(memory.penalty as usize).unwrap_or(&f64::NAN);
            let mix = MIXES.get(memory.mix as usize).unwrap_or(&f64::NAN);
            let days =
                memory.half_life_days.map_or("all rows alike".to_owned(), |d| format!("half-life {d} days"));
            format!("{days}: penalty {penalty} of the strongest, LASSO share {mix}")
        };
        format!(
            "linear: {} regressions with {} of {} features on average, {}; {}",
            self.regressions.len(),
            terms / self.regressions.len().max(1),
            self.names.len(),
            if self.target.asinh { "heavy tails compressed" } else { "target as it is" },
            self.memories.iter().map(memory).collect::<Vec<_>>().join("; "),
        )
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, levels: usize) -> bool {
        let regression = |r: &Regression| r.terms.iter().all(|(column, _)| column.is_sound(self.names.len()));
        self.levels == levels
            && self.spec.groups.is_sound()
            && self.route.len() == self.spec.groups.count()
            && self.route.iter().all(|&r| (r as usize) < self.regressions.len())
            && self.target.is_sound()
            && self.regressions.iter().all(regression)
            && self.errors.is_sound(levels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::SeasonalNaive;
    use crate::synthetic::{self, Shape};

    fn error(data: &TrainingSet, answer: &Predictions) -> f64 {
        let sum: f64 = data.target.iter().zip(&answer.mean).map(|(a, b)| f64::from((a - b).abs())).sum();
        sum / data.target.len() as f64
    }

    #[test]
    fn beats_the_naive_by_far_and_covers() {
        let data = synthetic::training(Shape { horizon: 36, every: 7, ..Shape::default() });
        let (early, late) = synthetic::cut(&data, 0.75);
        let levels = QuantileLevels::parse("0.1,0.5,0.9").unwrap();
        let model = Linear.fit(&early, &levels).unwrap();
        let answer = model.predict(&late.features).unwrap();
        let naive = SeasonalNaive.fit(&early, &levels).unwrap().predict(&late.features).unwrap();
        assert!(error(&late, &answer) < 0.6 * error(&late, &naive), "{}", model.describe());
        for (l, level) in levels.as_slice().iter().enumerate() {
            let below = (0..late.target.len()).filter(|&i| late.target[i] <= answer.row(i)[l]).count();
            let share = below as f64 / late.target.len() as f64;
            assert!((share - level).abs() < 0.1, "{share} for {level}");
        }
        assert!((0..late.target.len()).all(|i| answer.row(i).is_sorted()));
        assert!(model.is_sound(3) && !model.is_sound(4));
    }

    #[test]
    fn wild_and_missing_inputs_give_answers_within_the_range_seen() {
        let mut data = synthetic::training(Shape { days: 120, ..Shape::default() });
        let rows = data.target.len();
        data.target[rows / 2] = 5000.0; // heavy tails
        let model = Linear.fit(&data, &QuantileLevels::deciles()).unwrap();
        for wild in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e30, -1e30] {
            data.features.values.iter_mut().for_each(|value| *value = wild);
            let answer = model.predict(&data.features).unwrap();
            assert!(answer.mean.iter().chain(&answer.quantiles).all(|v| v.is_finite() && v.abs() < 7000.0));
        }
    }

    #[test]
    fn columns_are_found_by_name() {
        let data = synthetic::training(Shape { days: 60, ..Shape::default() });
        let model = Linear.fit(&data, &QuantileLevels::deciles()).unwrap();
        let mut swapped = data.features.clone();
        swapped.names.swap(0, 4);
        let width = swapped.columns();
        swapped.values.chunks_exact_mut(width).for_each(|row| row.swap(0, 4));
        assert_eq!(model.predict(&swapped).unwrap(), model.predict(&data.features).unwrap());
        swapped.names[0] = "else".to_owned();
        assert!(matches!(model.predict(&swapped), Err(ModelError::MissingFeature { .. })));
    }

    #[test]
    fn one_and_four_threads_give_the_same_bits() {
        let data = synthetic::training(Shape { days: 200, ..Shape::default() });
        let fit = || Linear.fit(&data, &QuantileLevels::deciles()).unwrap();
        assert_eq!(synthetic::in_pool(1, fit), synthetic::in_pool(4, fit));
    }

    #[test]
    fn little_history_is_refused_and_a_constant_target_answered() {
        let mut data = synthetic::training(Shape { days: 40, ..Shape::default() });
        let few = data.filter(|i| i < 100);
        assert!(matches!(Linear.fit(&few, &QuantileLevels::deciles()), Err(ModelError::TooFewRows { .. })));
        data.target.fill(3.0);
        let answer = Linear.fit(&data, &QuantileLevels::deciles()).unwrap().predict(&data.features).unwrap();
        assert!(answer.mean.iter().chain(&answer.quantiles).all(|&v| v == 3.0));
    }
}
