//! What no answer of a series may be: below its physical floor, lit at night, outside its own quantiles.

use forewatt_domain::{Family, QuantileLevels, Recipe};
use serde::{Deserialize, Serialize};

use super::night::Night;
use crate::matrix::{FeatureMatrix, RowKey, TrainingSet};
use crate::predict::{ModelError, Predictions};

/// With so great a share of targets at zero and none below, zero is a physical floor, as for solar power.
const ZERO_SHARE: f64 = 0.02;
/// Quantiles that reach this far out on both sides enclose any mean.
const WIDE: f64 = 0.2;

/// Learned from the targets, applied to every answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bounds {
    /// No answer lies below it.
    floor: Option<f32>,
    /// When the answer is zero because the sun is down.
    night: Option<Night>,
    /// Whether the mean is held inside the quantiles. The naive's mean is a value of the past and stays.
    holds_mean: bool,
}

impl Bounds {
    /// From the targets of the rows to learn from.
    pub(crate) fn learn(data: &TrainingSet, recipe: &Recipe) -> Self {
        let floor = floor(&data.target, recipe.non_negative);
        let night = floor.and_then(|_| Night::learn(data));
        Self { floor, night, holds_mean: recipe.family != Family::SeasonalNaive }
    }

    /// The rows of the day, where the nights are known to be dark; `None` where they are not.
    pub(crate) fn days(&self, data: &TrainingSet) -> Option<TrainingSet> {
        self.night.map(|night| data.filter(|i| !night.is_dark(&data.features, i)))
    }

    /// No answer lies below it; `None` where answers may be as low as they like.
    pub(crate) fn floor(&self) -> Option<f32> {
        self.floor
    }

    /// Whether the answer of row `i` is zero because the sun is down.
    pub(crate) fn is_dark(&self, features: &FeatureMatrix, i: usize) -> bool {
        self.night.is_some_and(|night| night.is_dark(features, i))
    }

    /// Holds the answers above the floor, a mean inside its own quantiles where they span enough to judge it (mean
    /// and quantiles are learned apart), and nights dark.
    /// `features` have the columns the bounds were learned with, in that order.
    pub(crate) fn apply(
        &self,
        features: &FeatureMatrix,
        levels: &QuantileLevels,
        predictions: &mut Predictions,
    ) {
        let levels = levels.as_slice();
        let wide =
            levels.first().is_some_and(|l| *l <= WIDE) && levels.last().is_some_and(|l| *l >= 1.0 - WIDE);
        if wide && self.holds_mean {
            for (mean, row) in
                predictions.mean.iter_mut().zip(predictions.quantiles.chunks_exact(predictions.levels))
            {
                *mean = mean.max(row[0]).min(row[row.len() - 1]);
            }
        }
        if let Some(floor) = self.floor {
            let values = predictions.mean.iter_mut().chain(&mut predictions.quantiles);
            values.for_each(|value| *value = value.max(floor));
        }
        if let Some(night) = self.night {
            night.apply(features, predictions);
        }
    }
}

/// Zero, where the target is never below it, and by nature cannot be or often is on it.
fn floor(target: &[f32], non_negative: bool) -> Option<f32> {
    let zeros = target.iter().filter(|value| **value == 0.0).count();
    let bound = non_negative || zeros as f64 >= ZERO_SHARE * target.len() as f64;
    let physical = bound && target.iter().all(|value| *value >= 0.0);
    (physical && !target.is_empty()).then_some(0.0)
}

/// Refuses answers that are not finite or whose quantiles do not rise.
pub(crate) fn check(keys: &[RowKey], predictions: &Predictions, family: Family) -> Result<(), ModelError> {
    let wrong = (0..keys.len()).find(|&i| {
        let row = predictions.row(i);
        !predictions.mean[i].is_finite() || !row.iter().all(|q| q.is_finite()) || !row.is_sorted()
    });
    match wrong {
        None => Ok(()),
        Some(i) => Err(ModelError::Numeric {
            what: format!(
                "the {family} model has no finite, rising answer for {} from {}; train it again",
                keys[i].valid_time, keys[i].origin
            ),
        }),
    }
}
