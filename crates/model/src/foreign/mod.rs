//! Models that LightGBM and XGBoost made, read from their own files and answered as those libraries answer.
//!
//! | file | what is read |
//! |---|---|
//! | LightGBM text (`save_model`), formats v3 and v4 | gbdt, dart, rf; splits on numbers and categories; every treatment of missing values |
//! | XGBoost JSON and UBJSON (`save_model`), since 1.6 | gbtree, dart, gblinear; splits on numbers and categories; several quantile levels in one file |
//!
//! Refused with a reason: classifiers, rankers, several targets, linear trees, trees with vectors in their leaves, and
//! categories that the library would translate from words first. The arithmetic is that of the libraries: 64-bit
//! thresholds and sums for LightGBM, 32-bit for XGBoost, in the order of the trees, so that answers agree to the last
//! bit but for `exp`, which may differ in the last place.
//!
//! A reader takes no more memory than a fixed multiple of the file, and no file makes it panic.

mod forest;
mod imported;
mod json;
mod lightgbm;
mod text;
mod ubjson;
mod value;
mod xgboost;
mod xgboost_tree;

use std::fmt;

use forest::Forest;

pub use imported::{ImportedModel, Part};

/// No file to read is longer, in bytes.
pub const FILE_BYTES_MAX: usize = 32 << 20;
/// The most features a model may name.
pub const FEATURES_MAX: usize = 10_000;
/// The most trees of a model.
pub const TREES_MAX: usize = 100_000;
/// The most categories in all sets of a model.
pub const CATEGORIES_MAX: usize = 1 << 24;
/// The most splits from the root of a tree to a leaf.
pub const DEPTH_MAX: usize = 1_024;
/// The most quantile levels in one file.
pub const OUTPUTS_MAX: usize = 99;

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {what}")]
pub struct ForeignError {
    /// `line 12`, `byte 80`, or `trees[3].split_conditions`.
    pub place: String,
    /// What, and how to mend it.
    pub what: String,
}

impl ForeignError {
    pub(crate) fn new(place: impl fmt::Display, what: impl Into<String>) -> Self {
        Self { place: place.to_string(), what: what.into() }
    }
}

type Result<T> = std::result::Result<T, ForeignError>;

/// Which library wrote a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Library {
    /// LightGBM.
    LightGbm,
    /// XGBoost.
    XgBoost,
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LightGbm => "LightGBM",
            Self::XgBoost => "XGBoost",
        })
    }
}

/// What becomes of the sum of the trees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    /// It is the answer.
    Identity,
    /// The answer is its exponential.
    Exp,
    /// The answer is its square, with its sign: LightGBM's `reg_sqrt`.
    SignedSquare,
}

/// What is summed.
#[derive(Debug, Clone, PartialEq)]
enum Core {
    /// Trees.
    Trees(Forest),
    /// One weight per feature and output, feature-major; a missing feature adds nothing.
    Linear(Vec<f32>),
}

/// A model as its file tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct ForeignModel {
    library: Library,
    objective: String,
    names: Vec<String>,
    used: Vec<bool>,
    levels: Vec<f64>,
    core: Core,
    /// What each output begins with.
    base: Vec<f64>,
    /// Sums are rounded to 32 bits after every step.
    single: bool,
    /// What sums are divided by: the number of trees of a random forest.
    divisor: f64,
    link: Link,
}

impl ForeignModel {
    /// Reads a model file of either library, told apart by its first bytes.
    ///
    /// # Errors
    /// [`ForeignError`]: what in the file is not understood or not supported, and where.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        if bytes.len() > FILE_BYTES_MAX {
            let what = format!("the file has {} bytes, more than the {FILE_BYTES_MAX} allowed", bytes.len());
            return Err(ForeignError::new("whole file", what));
        }
        match bytes {
            [b'{', next, ..] if ubjson::is_marker(*next) => xgboost::read(&ubjson::read(bytes)?),
            [b'{', ..] => xgboost::read(&json::read(bytes)?),
            _ if bytes.starts_with(b"tree") => lightgbm::read(bytes),
            _ => Err(ForeignError::new(
                "byte 0",
                "this is neither a text model of LightGBM, which begins with `tree`, nor a JSON or UBJSON model of \
                 XGBoost, which begins with `{`: write one with the library's `save_model`",
            )),
        }
    }

    /// Which library wrote it.
    #[must_use]
    pub fn library(&self) -> Library {
        self.library
    }

    /// What it was trained to minimise, in the library's words; `custom` when the file does not tell.
    #[must_use]
    pub fn objective(&self) -> &str {
        &self.objective
    }

    /// The features it was trained with, in order; empty when the file has no names.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// For every feature, whether an answer depends on it.
    #[must_use]
    pub fn used(&self) -> &[bool] {
        &self.used
    }

    /// The quantile levels it answers, in its own order; empty when it answers one central value.
    #[must_use]
    pub fn levels(&self) -> &[f64] {
        &self.levels
    }

    /// How many values it answers for a row.
    #[must_use]
    pub fn outputs(&self) -> usize {
        self.base.len()
    }

    /// How many trees it has; none when it is linear.
    #[must_use]
    pub fn trees(&self) -> usize {
        match &self.core {
            Core::Trees(forest) => forest.trees(),
            Core::Linear(_) => 0,
        }
    }

    /// Answers rows: `rows` are row-major with one value per feature (NaN when missing), `answers` gets
    /// [`ForeignModel::outputs`] values per row. Allocates nothing. XGBoost reads features as 32-bit floats, so its
    /// rows must hold such values.
    pub fn answer(&self, rows: &[f64], answers: &mut [f64]) {
        let (width, outputs) = (self.used.len(), self.outputs());
        answers.chunks_exact_mut(outputs).for_each(|row| row.copy_from_slice(&self.base));
        match &self.core {
            Core::Trees(forest) => forest.add(rows, width, self.single, outputs, answers),
            Core::Linear(weights) => {
                let pairs = rows.chunks_exact(width).zip(answers.chunks_exact_mut(outputs));
                pairs.for_each(|(row, sums)| add_linear(weights, row, sums));
            }
        }
        answers.iter_mut().for_each(|sum| *sum = self.finish(*sum));
    }

    fn finish(&self, sum: f64) -> f64 {
        let sum = sum / self.divisor;
        match self.link {
            Link::Identity => sum,
            Link::Exp if self.single => f64::from((sum as f32).exp()),
            Link::Exp => sum.exp(),
            Link::SignedSquare => sum.signum() * sum * sum,
        }
    }
}

/// Adds the weighted features one by one in 32 bits.
fn add_linear(weights: &[f32], row: &[f64], sums: &mut [f64]) {
    let outputs = sums.len();
    for (weights, &value) in weights.chunks_exact(outputs).zip(row) {
        if value.is_nan() {
            continue;
        }
        for (sum, weight) in sums.iter_mut().zip(weights) {
            *sum = f64::from(*sum as f32 + value as f32 * weight);
        }
    }
}

#[cfg(test)]
mod tests;
