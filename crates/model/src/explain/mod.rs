//! Why a forecast is what it is: contributions of the inputs that add up to the difference from a reference.
//!
//! The reference is the mean forecast for a [`Background`] of other rows: earlier forecasts for the same time of day
//! ("the usual"), or the previous forecast of the same valid times ("what changed"). Contributions are Shapley values
//! of the game "these features from the row, the others from the reference row", averaged over the reference rows:
//!
//! | family | how | per |
//! |---|---|---|
//! | `linear` | coefficient times difference; through its transform the straight path of Aumann and Shapley (1974) | feature |
//! | `gbdt` | interventional TreeSHAP, exact (`trees`) | feature |
//! | `seasonal-naive` | the one lag it repeats | feature |
//! | `seasonal-empirical` | like days: counted with what the row is about | group |
//! | `ensemble` | the weighted sum of its members' | as these |
//! | whole days | groups of features of all rows at once (`whole_days`) | group |
//! | any other | groups of features, by asking the model (`grouped`) | group |
//!
//! What a row is about (kind of day, lead time: its key) moves first and counts as calendar. What comes after the
//! model (bounds, the floor, the night) has a line of its own, so that reference + contributions + that line = mean.

mod background;
mod grouped;
mod member;
mod names;
#[cfg(test)]
mod tests;
pub(crate) mod trees;
mod whole_days;

pub use background::Background;
pub use names::{Group, Grouping, label};

use crate::learn::FittedModel;
use crate::matrix::{FeatureMatrix, RowKey};
use crate::predict::{ModelError, Predict};
use member::{Shares, Task};

/// A pair of row and reference costs a model that is explained feature by feature about as much as so many answers.
const EVALUATIONS_PER_PAIR: usize = 8;
/// Differences below this share of the figures involved are rounding.
const ROUNDING: f64 = 1e-6;

/// What a mean was held by after the model had spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Zero, because the sun is down.
    Night,
    /// The lowest value there can be.
    Floor,
    /// The model's own quantiles, between which its mean stays.
    Quantiles,
    /// The order of the quantiles from which the mean is made, and the rounding of single precision.
    Ordering,
}

impl Bound {
    /// In words.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Night => "held at zero: the sun is down",
            Self::Floor => "held at the lowest value there can be",
            Self::Quantiles => "held inside the model's own quantiles",
            Self::Ordering => "quantiles put in order",
        }
    }
}

/// Why one row has its mean; all in the unit of the target.
#[derive(Debug, Clone, PartialEq)]
pub struct RowExplanation {
    /// What the row is about.
    pub key: RowKey,
    /// The expected value that was answered.
    pub mean: f64,
    /// The mean answer for the reference rows.
    pub reference: f64,
    /// A contribution for each feature.
    pub by_feature: Vec<f64>,
    /// A contribution for each group: its features' and what cannot be told apart between them.
    pub by_group: Vec<f64>,
    /// What the bounds after the model add, if anything.
    pub bound: Option<(Bound, f64)>,
    /// The value of each feature, NaN where unknown.
    pub values: Vec<f32>,
    /// The mean of each feature over the reference rows that know it, NaN where none does.
    pub reference_values: Vec<f32>,
}

/// Why every row has its mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Names of the features, in the order of [`RowExplanation::by_feature`].
    pub features: Vec<String>,
    /// Groups, in the order of [`RowExplanation::by_group`], and which group each feature is in.
    pub grouping: Grouping,
    /// One a row.
    pub rows: Vec<RowExplanation>,
    /// Whether every part of the model could be explained feature by feature.
    pub divisible: bool,
}

/// Explains the model's means for `rows` against a background.
///
/// A model that answers whole days ([`FittedModel::answers_whole_days`]) is given all rows of one forecast start, and
/// a background of whole forecasts; rows without a reference are read and not told.
///
/// `evaluations_max` bounds the work: about so many rows may the model be asked, and with too many pairs of row and
/// reference, references are thinned out evenly. Deterministic, whatever the number of threads.
///
/// # Errors
/// As [`Predict::predict`]; [`ModelError::Numeric`] when a row has no reference row.
pub fn explain(
    model: &FittedModel,
    rows: &FeatureMatrix,
    background: &Background,
    evaluations_max: usize,
) -> Result<Explanation, ModelError> {
    let rows = rows.with_columns(model.feature_names())?;
    let reference_rows = background.rows.with_columns(model.feature_names())?;
    let grouping = Grouping::new(&rows.names);
    let divisible = member::is_divisible(model.model());
    let per_pair = if divisible { EVALUATIONS_PER_PAIR } else { grouping.groups.len() + 1 };
    let keep = (evaluations_max / (per_pair * rows.rows().max(1))).max(1);
    let all = references(model, &rows, &reference_rows, background, keep)?;
    let dark: Vec<bool> = (0..rows.rows()).map(|i| model.is_dark(&rows, i)).collect();
    let asked = all.iter().zip(&dark).map(|(of_row, dark)| if *dark { vec![] } else { of_row.clone() });
    let task = Task {
        rows: &rows,
        background: &reference_rows,
        references: asked.collect(),
        grouping: &grouping,
        evaluations_max,
    };
    let shares = if model.answers_whole_days() {
        whole_days::attribute(model.model(), &task)?
    } else {
        let mut shares = member::of_model(model.model(), &task)?;
        switch_keys(model, &task, &mut shares)?;
        shares
    };
    let answers = Answers {
        mean: model.predict(&rows)?.mean,
        raw: model.model().predict(&rows)?.mean,
        reference: model.predict(&reference_rows)?.mean,
        raw_reference: model.model().predict(&reference_rows)?.mean,
    };
    let explained = (0..rows.rows())
        .filter(|&i| !all[i].is_empty())
        .map(|i| {
            let (by_feature, undivided) = shares.row(i);
            let mut by_group = undivided.to_vec();
            by_feature.iter().zip(&grouping.of_column).for_each(|(share, &group)| by_group[group] += share);
            let reference = mean(all[i].iter().map(|&r| f64::from(answers.reference[r])));
            let (value, told) = (f64::from(answers.mean[i]), by_group.iter().sum::<f64>());
            RowExplanation {
                key: rows.keys[i],
                mean: value,
                reference,
                by_feature: by_feature.to_vec(),
                bound: answers.bound(i, &all[i], dark[i], model.floor(), value - reference - told),
                by_group,
                values: rows.row(i).to_vec(),
                reference_values: reference_values(&reference_rows, &all[i]),
            }
        })
        .collect();
    Ok(Explanation { features: rows.names.clone(), rows: explained, grouping, divisible })
}

/// The references of every row, at most `keep`, evenly; a row by day is not compared with nights unless it must be.
fn references(
    model: &FittedModel,
    rows: &FeatureMatrix,
    reference_rows: &FeatureMatrix,
    background: &Background,
    keep: usize,
) -> Result<Vec<Vec<usize>>, ModelError> {
    let of_row = |i: usize| {
        let all = background.of(i);
        let dark = model.is_dark(rows, i);
        let alike: Vec<usize> =
            all.iter().copied().filter(|&r| model.is_dark(reference_rows, r) == dark).collect();
        let alike = if alike.is_empty() { all.to_vec() } else { alike };
        let kept = alike.len().min(keep);
        let thinned: Vec<usize> = (0..kept).map(|n| alike[n * alike.len() / kept]).collect();
        if thinned.is_empty() && !model.answers_whole_days() {
            let what = format!("there is nothing to compare {} with", rows.keys[i].valid_time);
            return Err(ModelError::Numeric { what });
        }
        Ok(thinned)
    };
    (0..rows.rows()).map(of_row).collect()
}

/// Adds what changes when a reference row is asked as what the explained row is about: kind of day, lead time.
fn switch_keys(model: &FittedModel, task: &Task<'_>, shares: &mut Shares) -> Result<(), ModelError> {
    let pairs = || {
        let of_row = |(row, refs): (usize, &Vec<usize>)| refs.iter().map(|&r| (row, r)).collect::<Vec<_>>();
        task.references.iter().enumerate().flat_map(of_row)
    };
    let before = task.background.select(&pairs().map(|(_, reference)| reference).collect::<Vec<_>>());
    let keys = pairs().map(|(row, _)| task.rows.keys[row]).collect();
    let after = FeatureMatrix { keys, ..before.clone() };
    let (before, after) = (model.model().predict(&before)?.mean, model.model().predict(&after)?.mean);
    for ((row, _), (before, after)) in pairs().zip(before.into_iter().zip(after)) {
        let share = (f64::from(after) - f64::from(before)) / task.references[row].len() as f64;
        *shares.group_mut(row, task.grouping.calendar) += share;
    }
    Ok(())
}

/// Answers for the rows and for the references, as given and as the model alone would.
struct Answers {
    mean: Vec<f32>,
    raw: Vec<f32>,
    reference: Vec<f32>,
    raw_reference: Vec<f32>,
}

impl Answers {
    /// The line of what came after the model, `rest` being what contributions leave unexplained.
    fn bound(
        &self,
        row: usize,
        references: &[usize],
        dark: bool,
        floor: Option<f32>,
        rest: f64,
    ) -> Option<(Bound, f64)> {
        let held = |r: &usize| self.reference[*r].to_bits() != self.raw_reference[*r].to_bits();
        let moved = self.mean[row].to_bits() != self.raw[row].to_bits() || references.iter().any(held);
        let bound = match floor {
            _ if dark => Bound::Night,
            Some(floor) if self.mean[row] <= floor && self.raw[row] < floor => Bound::Floor,
            _ if moved => Bound::Quantiles,
            _ => Bound::Ordering,
        };
        let size = f64::from(self.mean[row].abs()) + f64::from(self.raw[row].abs());
        (dark || rest.abs() > ROUNDING * size).then_some((bound, rest))
    }
}

fn reference_values(rows: &FeatureMatrix, references: &[usize]) -> Vec<f32> {
    let of_column = |c: usize| {
        let known = references.iter().map(|&r| f64::from(rows.row(r)[c])).filter(|value| !value.is_nan());
        mean(known) as f32
    };
    (0..rows.columns()).map(of_column).collect()
}

/// NaN for none.
fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (count, sum) = values.fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    sum / count
}
