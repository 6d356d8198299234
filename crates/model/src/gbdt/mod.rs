//! A histogram gradient booster that learns all quantile levels in one forest.
//!
//! Every tree is grown for one level, but its leaves move all levels, the nearer ones more; leaf values are exact
//! residual quantiles of rows the tree did not see. The method:
//!
//! 1. Features become at most `Params::bins` quantile bins and one bin for missing values (`binning`).
//! 2. Four levels at a time, from a shuffled cycle, each grow one tree leaf by leaf on a random part of the rows and
//!    of the features. The gradient of the pinball loss takes two values only, so histograms are exact counts and the
//!    gain is that of a two-class tree (`tally`, `split`, `grow`). Four is fixed: the result does not depend on the
//!    threads.
//! 3. Each leaf takes, for every level, the residual quantile of its out-of-bag rows, times the learning rate, times
//!    a weight that decays with the distance between the levels (`leaves`).
//! 4. Rounds end when the pinball loss of the last forecast starts, held out, has not improved for a while; the best
//!    number of trees, and more in proportion to the rows, is then grown again from all rows (`turns`, `train`, `learn`).
//! 5. The held-out rows also say by how much each level must move away from the middle to cover its share
//!    (`calibrate`).
//! 6. A forecast is the sum of the leaf vectors, sorted (Chernozhukov et al. 2010) (`predict`).
//!
//! Losses of one number take the same way with one output (`aim`, `point`); `docs/booster.md` is for who calls this.
//!
//! Friedman (2001, 2002) for stochastic gradient boosting with leaf renewal; Ke et al. (2017) for leaf-wise growth on
//! histograms; Koenker and Bassett (1978) for the pinball loss.

mod aim;
mod binning;
mod calibrate;
mod grow;
mod learn;
mod leaves;
mod levels;
mod point;
mod predict;
mod shape;
mod split;
mod tally;
mod train;
mod turns;

use std::collections::BTreeMap;

use forewatt_domain::QuantileLevels;

use crate::matrix::TrainingSet;
use crate::predict::{Fit, ModelError};

pub use aim::Loss;
pub use point::{PointBooster, PointForest};
pub use predict::{Forest, Precision, Prune};

/// The fewest rows a forest learns from.
pub const MIN_ROWS: usize = 100;

/// The most rows it learns from.
pub const MAX_ROWS: usize = 50_000_000;

/// How a forest is grown; the defaults suit years of hourly load.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Params {
    /// The most trees, 1 to 10,000; early stopping usually ends before.
    pub trees: usize,
    /// The share of its leaf values that a tree adds.
    pub learning_rate: f64,
    /// The most leaves of a tree, 2 to 256.
    pub leaves: usize,
    /// The fewest in-bag rows of a leaf.
    pub leaf_rows: usize,
    /// The share of rows a tree is grown on; the rest set its leaf values.
    pub bag_share: f64,
    /// The share of features a tree may split on.
    pub feature_share: f64,
    /// How fast a tree's effect decays with the distance to its level, per tenth of probability.
    pub level_decay: f64,
    /// The share of forecast starts, the last ones, held out to choose the number of trees.
    pub held_out_share: f64,
    /// Trees without improvement before growing stops.
    pub patience: usize,
    /// Grow the chosen number of trees again from all rows, the held-out ones included.
    pub refit: bool,
    /// The most bins of a feature, 8 to 254.
    pub bins: usize,
    /// Features whose values are names that happen to be numbers: split into sets. One with more than 64 values stays
    /// a number.
    pub categorical: Vec<String>,
    /// Features that forecasts must follow one way, at every level.
    pub monotone: BTreeMap<String, Monotone>,
    /// A forest for each level on the same bins: trees move their own level alone, and `trees` and `patience` are those
    /// of a level. Costs several times as much; worth a try where levels have little in common.
    pub separate: bool,
    /// The seed of every random choice.
    pub seed: u64,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            trees: 600,
            learning_rate: 0.05,
            leaves: 31,
            leaf_rows: 30,
            bag_share: 0.6,
            feature_share: 0.8,
            level_decay: 0.3,
            held_out_share: 0.12,
            patience: 80,
            refit: true,
            bins: 127,
            categorical: Vec::new(),
            monotone: BTreeMap::new(),
            separate: false,
            seed: 1,
        }
    }
}

impl Params {
    /// The same with every number inside the range it can have, so that no input makes the growth run away.
    fn clamped(&self) -> Self {
        let share =
            |value: f64, low: f64, high: f64| if value.is_finite() { value.clamp(low, high) } else { low };
        Self {
            trees: self.trees.clamp(1, 10_000),
            learning_rate: share(self.learning_rate, 1e-4, 1.0),
            leaves: self.leaves.clamp(2, 256),
            leaf_rows: self.leaf_rows.max(1),
            bag_share: share(self.bag_share, 0.1, 1.0),
            feature_share: share(self.feature_share, 0.05, 1.0),
            level_decay: share(self.level_decay, 0.0, 100.0),
            held_out_share: share(self.held_out_share, 0.0, 0.5),
            patience: self.patience.max(1),
            refit: self.refit,
            bins: self.bins.clamp(8, binning::MAX_BINS),
            categorical: self.categorical.clone(),
            monotone: self.monotone.clone(),
            separate: self.separate,
            seed: self.seed,
        }
    }

    /// How fast the effect of a tree decays with the distance to its level.
    fn decay(&self) -> f64 {
        if self.separate { 1e6 } else { self.level_decay }
    }
}

/// Which way forecasts may move with a feature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Monotone {
    /// They never fall as it rises.
    Rising,
    /// They never rise as it rises.
    Falling,
}

/// The rows to learn from.
#[derive(Debug, Clone, Copy)]
pub struct Lesson<'a> {
    /// Features and targets.
    pub data: &'a TrainingSet,
    /// How much each row counts, 0 or more, one per row; all alike when there are none.
    pub weights: Option<&'a [f32]>,
}

impl<'a> From<&'a TrainingSet> for Lesson<'a> {
    fn from(data: &'a TrainingSet) -> Self {
        Self { data, weights: None }
    }
}

/// The booster: parameters to fit with.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Booster {
    /// How to grow.
    pub params: Params,
}

impl Booster {
    /// As [`Fit::fit`], from rows that may have weights.
    ///
    /// # Errors
    /// [`ModelError`] when rows or weights cannot be learned from, or a feature of the parameters is not there.
    pub fn learn(&self, lesson: Lesson<'_>, levels: &QuantileLevels) -> Result<Forest, ModelError> {
        learn::quantiles(&self.params.clamped(), lesson, levels, None)
    }

    /// Adds trees to a forest, learned from other rows with the same features; its levels and bins stay as they are.
    ///
    /// # Errors
    /// As [`Booster::learn`]; [`ModelError::MissingFeature`] when the rows lack a feature the forest reads.
    pub fn go_on(&self, before: &Forest, lesson: Lesson<'_>) -> Result<Forest, ModelError> {
        let levels = QuantileLevels::new(before.levels().to_vec())
            .map_err(|error| ModelError::Numeric { what: error.to_string() })?;
        learn::quantiles(&self.params.clamped(), lesson, &levels, Some(before))
    }
}

impl Fit for Booster {
    type Fitted = Forest;

    fn fit(&self, data: &TrainingSet, levels: &QuantileLevels) -> Result<Forest, ModelError> {
        self.learn(data.into(), levels)
    }
}

#[cfg(test)]
mod tests;
