//! What each feature adds to the mean of a linear model.

use super::scale::Target;
use super::{FeatureMatrix, LinearModel, ModelError, RowKey};

/// Half the step of a numeric slope, in the regression's unit.
const STEP: f64 = 1e-2;
/// Closer ends than this have the slope of their middle.
const NEAR: f64 = 1e-4;

impl LinearModel {
    /// Where the model's features lie in a matrix.
    ///
    /// # Errors
    /// [`ModelError::MissingFeature`] naming the first one that is not there.
    pub(crate) fn columns(&self, features: &FeatureMatrix) -> Result<Vec<usize>, ModelError> {
        let find = |name: &String| {
            features.column(name).ok_or_else(|| ModelError::MissingFeature { name: name.clone() })
        };
        self.names.iter().map(find).collect()
    }

    /// Adds to `shares` (one a feature of the model) by how much each feature moves the mean between two rows that
    /// are asked as `key`.
    ///
    /// The terms of a regression add up in its own unit. The way back is a function of their sum alone, so along the
    /// straight path between the rows every term moves the mean by its difference times the same mean slope: the
    /// prices of Aumann and Shapley (1974), exact with and without compressed tails and at the bounds.
    pub(crate) fn attribute(
        &self,
        columns: &[usize],
        key: &RowKey,
        (to, from): (&[f32], &[f32]),
        shares: &mut [f64],
    ) {
        let regression = &self.regressions[self.route[self.spec.groups.index(key)] as usize];
        let moves = |row: &[f32]| {
            let term = |(column, slope): &(super::scale::Column, f32)| {
                f64::from(column.apply(row[columns[column.source as usize]])) * f64::from(*slope)
            };
            regression.terms.iter().map(term).collect::<Vec<f64>>()
        };
        let (ends, begins) = (moves(to), moves(from));
        let sum = |terms: &[f64]| f64::from(regression.intercept) + terms.iter().sum::<f64>();
        let slope = mean_slope(&self.target, sum(&begins), sum(&ends));
        for ((column, _), (end, begin)) in regression.terms.iter().zip(ends.iter().zip(&begins)) {
            shares[column.source as usize] += slope * (end - begin);
        }
    }
}

/// The slope of the way back to the target's unit, on average between two sums of terms.
fn mean_slope(target: &Target, from: f64, to: f64) -> f64 {
    let back = |value: f64| f64::from(target.back(value as f32));
    let (from, to) = if (to - from).abs() < NEAR {
        let middle = f64::midpoint(from, to);
        (middle - STEP, middle + STEP)
    } else {
        (from, to)
    };
    (back(to) - back(from)) / (to - from)
}
