//! A histogram gradient booster that learns all quantile levels in one forest.
//!
//! Every tree is grown for one level, but its leaves move all levels, the nearer ones more; leaf values are exact
//! residual quantiles of rows the tree did not see. The method:
//!
//! 1. Features become at most 254 quantile bins and one bin for missing values (`binning`).
//! 2. Four levels at a time, from a shuffled cycle, each grow one tree leaf by leaf on a random part of the rows and
//!    of the features. The gradient of the pinball loss takes two values only, so histograms are exact counts and the
//!    gain is that of a two-class tree (`grow`). Four is fixed: the result does not depend on the threads.
//! 3. Each leaf takes, for every level, the residual quantile of its out-of-bag rows, times the learning rate, times
//!    a weight that decays with the distance between the levels (`leaves`).
//! 4. Rounds end when the pinball loss of the last forecast starts, held out, has not improved for a while; the best
//!    number of trees is then grown again from all rows (`train`).
//! 5. The held-out rows also say by how much each level must move away from the middle to cover its share
//!    (`calibrate`).
//! 6. A forecast is the sum of the leaf vectors, sorted (Chernozhukov et al. 2010) (`predict`).
//!
//! Friedman (2001, 2002) for stochastic gradient boosting with leaf renewal; Ke et al. (2017) for leaf-wise growth on
//! histograms; Koenker and Bassett (1978) for the pinball loss.

mod binning;
mod calibrate;
mod grow;
mod leaves;
mod levels;
mod predict;
mod train;

use forewatt_domain::QuantileLevels;

use crate::matrix::TrainingSet;
use crate::predict::{Fit, ModelError};

pub use predict::Forest;

/// The fewest rows a forest learns from.
pub const MIN_ROWS: usize = 100;

/// The most rows it learns from.
pub const MAX_ROWS: usize = 50_000_000;

/// The most trees of a forest.
const TREES_MAX: usize = 10_000;

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
    /// Days after which a forecast start counts half: rows are drawn for each tree with that chance, so that counts stay
    /// exact; all count alike when absent.
    pub half_life_days: Option<f64>,
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
            level_decay: 0.5,
            held_out_share: 0.12,
            patience: 80,
            refit: true,
            half_life_days: None,
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
            trees: self.trees.clamp(1, TREES_MAX),
            learning_rate: share(self.learning_rate, 1e-4, 1.0),
            leaves: self.leaves.clamp(2, 256),
            leaf_rows: self.leaf_rows.max(1),
            bag_share: share(self.bag_share, 0.1, 1.0),
            feature_share: share(self.feature_share, 0.05, 1.0),
            level_decay: share(self.level_decay, 0.0, 100.0),
            held_out_share: share(self.held_out_share, 0.0, 0.5),
            patience: self.patience.max(1),
            refit: self.refit,
            half_life_days: self.half_life_days.map(|days| share(days, 1.0, 1e6)),
            seed: self.seed,
        }
    }
}

/// The booster: parameters to fit with.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Booster {
    /// How to grow.
    pub params: Params,
}

impl Fit for Booster {
    type Fitted = Forest;

    fn fit(&self, data: &TrainingSet, levels: &QuantileLevels) -> Result<Forest, ModelError> {
        check(data)?;
        Ok(train::train(&self.params.clamped(), data, levels))
    }
}

impl Booster {
    /// A forest with `trees` more, grown on other rows from what it says of them: what is new since it was grown. It
    /// keeps its features, bins, scale and mean.
    ///
    /// # Errors
    /// As [`Fit::fit`]; [`ModelError::MissingFeature`] when the rows lack one of the forest's features.
    pub fn go_on(&self, forest: &Forest, data: &TrainingSet, trees: usize) -> Result<Forest, ModelError> {
        check(data)?;
        train::go_on(
            &self.params.clamped(),
            forest,
            data,
            trees.min(TREES_MAX.saturating_sub(forest.trees())),
        )
    }
}

/// Refuses rows that no forest can learn from.
fn check(data: &TrainingSet) -> Result<(), ModelError> {
    let rows = data.features.rows();
    if rows < MIN_ROWS {
        return Err(ModelError::TooFewRows { family: "gbdt", rows, needed: MIN_ROWS });
    }
    if rows > MAX_ROWS {
        return Err(ModelError::Numeric {
            what: format!("{rows} training rows are more than {MAX_ROWS}: shorten the training window"),
        });
    }
    if data.target.len() != rows || data.features.values.len() != rows * data.features.columns() {
        return Err(ModelError::Numeric {
            what: format!("{rows} rows, but {} targets: give one per row", data.target.len()),
        });
    }
    if let Some(row) = data.target.iter().position(|y| !y.is_finite()) {
        return Err(ModelError::Numeric {
            what: format!("the target of training row {row} is not a number: leave the row out"),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
