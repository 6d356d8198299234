//! The two types every model family has: a recipe to fit and the fitted model.

use forewatt_domain::QuantileLevels;

use crate::matrix::{FeatureMatrix, TrainingSet};

/// Predictions for many rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    /// One expected value per row.
    pub mean: Vec<f32>,
    /// Row-major, `levels` values per row, not falling within a row.
    pub quantiles: Vec<f32>,
    /// Quantile levels per row.
    pub levels: usize,
}

impl Predictions {
    /// The quantiles of row `i`.
    #[must_use]
    pub fn row(&self, i: usize) -> &[f32] {
        &self.quantiles[i * self.levels..(i + 1) * self.levels]
    }

    /// Sorts every row's quantiles, so that they cannot cross (Chernozhukov et al. 2010, rearrangement).
    pub fn rearrange(&mut self) {
        self.quantiles.chunks_exact_mut(self.levels).for_each(|row| row.sort_unstable_by(f32::total_cmp));
    }
}

/// Why a model cannot be fitted or asked.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ModelError {
    /// Too little history.
    #[error(
        "{rows} usable training rows are too few for {family}: at least {needed} are needed; import more history or choose a simpler model"
    )]
    TooFewRows {
        /// The family asked to learn.
        family: &'static str,
        /// Rows there were.
        rows: usize,
        /// Rows it needs.
        needed: usize,
    },
    /// Too few days, for a family that learns whole ones.
    #[error(
        "{days} days of forecast starts are too few for {family}, which learns whole days: at least {needed} are needed; \
         import more history, or choose seasonal-naive, linear or ensemble"
    )]
    TooFewDays {
        /// The family asked to learn.
        family: &'static str,
        /// Days there were.
        days: usize,
        /// Days it needs.
        needed: usize,
    },
    /// What was asked for is nothing for the family: says why, and what to choose.
    #[error("{what}")]
    Unsuited {
        /// Why.
        what: String,
    },
    /// The matrix lacks a column the model was trained with.
    #[error("the feature `{name}` the model was trained with is missing")]
    MissingFeature {
        /// Which.
        name: String,
    },
    /// Numbers that cannot be: say what and where.
    #[error("{what}")]
    Numeric {
        /// What went wrong.
        what: String,
    },
}

/// Something that learns.
pub trait Fit {
    /// What it becomes.
    type Fitted: Predict;

    /// Learns from the rows. Deterministic for equal input, whatever the thread count.
    ///
    /// # Errors
    /// [`ModelError`] when the rows do not suffice.
    fn fit(&self, data: &TrainingSet, levels: &QuantileLevels) -> Result<Self::Fitted, ModelError>;
}

/// Something that has learned.
pub trait Predict {
    /// One finite mean and non-crossing finite quantiles per row, whatever is missing (NaN) in the features.
    ///
    /// # Errors
    /// [`ModelError`] when the matrix does not have the columns the model was trained with, or a row cannot be
    /// answered at all.
    fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError>;
}
