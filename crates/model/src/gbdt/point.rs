//! A forest of one number per row under a loss, beside the forest of quantiles.

use serde::{Deserialize, Serialize};

use super::aim::Loss;
use super::predict::Forest;
use super::{Lesson, Params, learn};
use crate::matrix::FeatureMatrix;
use crate::predict::{ModelError, Predict as _};

/// A booster that learns one number per row.
#[derive(Debug, Clone, PartialEq)]
pub struct PointBooster {
    /// How to grow; levels play no part.
    pub params: Params,
    /// What to minimise.
    pub loss: Loss,
}

/// What a [`PointBooster`] learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PointForest {
    loss: Loss,
    /// Its one level stands for the number, or for its logarithm under Tweedie's loss.
    forest: Forest,
}

impl PointBooster {
    /// Learns from the rows. Deterministic for equal input, whatever the thread count.
    ///
    /// # Errors
    /// [`ModelError`] when rows or weights cannot be learned from, or the loss does not suit the targets.
    pub fn learn(&self, lesson: Lesson<'_>) -> Result<PointForest, ModelError> {
        let forest = learn::point(&self.params.clamped(), self.loss, lesson, None)?;
        Ok(PointForest { loss: self.loss, forest })
    }

    /// Adds trees to a forest, learned from other rows with the same features; its bins stay as they are.
    ///
    /// # Errors
    /// As [`PointBooster::learn`]; [`ModelError::Unsuited`] when the forest was learned under another loss,
    /// [`ModelError::MissingFeature`] when the rows lack a feature it reads.
    pub fn go_on(&self, before: &PointForest, lesson: Lesson<'_>) -> Result<PointForest, ModelError> {
        if before.loss != self.loss {
            let what =
                format!("a forest of {:?} cannot go on with {:?}: choose the same", before.loss, self.loss);
            return Err(ModelError::Unsuited { what });
        }
        let forest = learn::point(&self.params.clamped(), self.loss, lesson, Some(&before.forest))?;
        Ok(PointForest { loss: self.loss, forest })
    }
}

impl PointForest {
    /// How many trees it has.
    #[must_use]
    pub fn trees(&self) -> usize {
        self.forest.trees()
    }

    /// One finite number per row, whatever is missing (NaN) in the features.
    ///
    /// # Errors
    /// [`ModelError::MissingFeature`] when the matrix lacks a feature the forest reads.
    pub fn predict(&self, features: &FeatureMatrix) -> Result<Vec<f32>, ModelError> {
        let mut values = self.forest.predict(features)?.mean;
        if matches!(self.loss, Loss::Tweedie { .. }) {
            values.iter_mut().for_each(|value| *value = value.exp().min(f32::MAX));
        }
        Ok(values)
    }
}
