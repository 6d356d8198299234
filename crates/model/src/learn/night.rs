//! Nights: a solar series is zero while the sun is down, and no model should have to learn that.

use serde::{Deserialize, Serialize};

use crate::matrix::{FeatureMatrix, TrainingSet};
use crate::predict::Predictions;

/// The feature that tells night from day: clear-sky irradiance in W/m2.
pub(super) const IRRADIANCE: &str = "clear_sky_ghi";
/// Up to which irradiance the sun may count as down, brightest first: horizons are not flat.
const CANDIDATES: [f32; 4] = [10.0, 5.0, 1.0, 0.0];
/// So many of the dark values may be more than [`TRACE`] of the highest value: real meters have faults.
const LIT_SHARE_MAX: f64 = 0.03;
/// What counts as nothing, as a share of the highest value.
const TRACE: f32 = 0.002;
/// Fewer dark rows prove nothing.
const DARK_ROWS_MIN: usize = 100;

/// While clear-sky irradiance does not exceed a bound, the answer is zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Night {
    column: u32,
    darkest: f32,
}

impl Night {
    /// The brightest bound under which the targets are zero; `None` for a series that is not dark at night.
    pub(super) fn learn(data: &TrainingSet) -> Option<Self> {
        let column = data.features.column(IRRADIANCE)?;
        let highest = data.target.iter().copied().fold(0.0, f32::max);
        let bound = CANDIDATES.into_iter().find(|&darkest| {
            let rows = (0..data.features.rows()).filter(|&i| data.features.row(i)[column] <= darkest);
            let (dark, lit) = rows.fold((0, 0), |(dark, lit), i| {
                (dark + 1, lit + usize::from(data.target[i].abs() > TRACE * highest))
            });
            dark >= DARK_ROWS_MIN && lit as f64 <= LIT_SHARE_MAX * dark as f64
        });
        bound.zip(u32::try_from(column).ok()).map(|(darkest, column)| Self { column, darkest })
    }

    /// Whether the sun is down in row `i`.
    pub(super) fn is_dark(self, features: &FeatureMatrix, i: usize) -> bool {
        features.row(i).get(self.column as usize).is_some_and(|irradiance| *irradiance <= self.darkest)
    }

    /// Sets the answers of the dark rows to zero.
    pub(super) fn apply(self, features: &FeatureMatrix, predictions: &mut Predictions) {
        let levels = predictions.levels;
        for i in (0..features.rows()).filter(|&i| self.is_dark(features, i)) {
            predictions.mean[i] = 0.0;
            predictions.quantiles[i * levels..(i + 1) * levels].fill(0.0);
        }
    }
}
