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
//! | mixtures of whole days | groups of inputs of the whole day against one reference day (`days`) | group |
//! | any other | groups of features, by asking the model (`grouped`) | group |
//!
//! What a row is about (kind of day, lead time: its key) moves first and counts as calendar. What comes after the
//! model (bounds, the floor, the night) has a line of its own, so that reference + contributions + that line = mean.

mod background;
mod days;
mod game;
mod grouped;
mod member;
mod names;
#[cfg(test)]
mod tests;
pub(crate) mod trees;

pub use background::Background;
pub use names::{Group, Grouping, label};

use std::borrow::Cow;

use crate::learn::{FittedModel, Model};
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
    /// How contributions were found.
    pub method: Method,
}

/// How contributions were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Every part of the model feature by feature.
    Features,
    /// Some parts by groups of features.
    Groups,
    /// By groups of inputs that change for a whole day at once, against one reference day: for the usual the day of
    /// mean inputs, whose forecast is the reference.
    WholeDays {
        /// Groups that differ from the reference.
        groups: usize,
        /// Days the model was asked.
        coalitions: usize,
        /// Orders of joining that were drawn; `None` when all coalitions were asked, which is exact.
        orders: Option<usize>,
    },
}

/// Explains the model's means for `rows` against a background. A model of whole days needs all rows of a forecast
/// start, also where only some are to be told of ([`Background::only`]).
///
/// `evaluations_max` bounds the work: about so many rows may the model be asked. With too many pairs of row and
/// reference, references are thinned out evenly; with too many coalitions of groups, some orders of joining are drawn,
/// which [`Explanation::method`] tells. Deterministic, whatever the number of threads.
///
/// # Errors
/// As [`Predict::predict`]; [`ModelError::Numeric`] when a row has no reference row.
pub fn explain(
    model: &FittedModel,
    rows: &FeatureMatrix,
    background: &Background,
    evaluations_max: usize,
) -> Result<Explanation, ModelError> {
    if matches!(model.model(), Model::Windows(_)) {
        let what = "windows reads the course of two weeks whole and cannot tell what each input did: \
                    train lear, linear, gbdt, ensemble or auto to have forecasts explained";
        return Err(ModelError::Unsuited { what: what.to_owned() });
    }
    let rows = rows.with_columns(model.feature_names())?;
    let mut reference_rows = background.rows.with_columns(model.feature_names())?;
    let grouping = Grouping::new(&rows.names);
    let (keep, whole_days) = effort(model, &grouping, rows.rows(), evaluations_max);
    let mut references = references(model, (&rows, &reference_rows), background, keep, whole_days)?;
    if whole_days && background.is_usual() {
        reference_rows = Cow::Owned(days::mean_day(&rows, &reference_rows, &references));
        references = (0..rows.rows()).map(|row| vec![row]).collect();
    }
    let task = Task {
        rows: &rows,
        background: &reference_rows,
        dark: (0..rows.rows()).map(|i| model.is_dark(&rows, i)).collect(),
        references,
        grouping: &grouping,
        evaluations_max,
    };
    let (shares, method) = attribute(model, &task)?;
    let answers = Answers::new(model, &task)?;
    let told = (0..rows.rows()).filter(|&row| background.tells(row));
    let explained = told.map(|row| row_explanation(model, &task, &shares, &answers, row)).collect();
    Ok(Explanation { features: rows.names.clone(), rows: explained, method, grouping })
}

/// How many references a row may have, and whether the model answers whole days.
fn effort(model: &FittedModel, grouping: &Grouping, rows: usize, evaluations_max: usize) -> (usize, bool) {
    if matches!(model.model(), Model::Days(_)) {
        return (usize::MAX, true); // they become one
    }
    let divisible = member::is_divisible(model.model());
    let per_pair = if divisible { EVALUATIONS_PER_PAIR } else { grouping.groups.len() + 1 };
    ((evaluations_max / (per_pair * rows.max(1))).max(1), false)
}

/// Contributions to the model's own mean, with what a change of keys does, and how they were found.
fn attribute(model: &FittedModel, task: &Task<'_>) -> Result<(Shares, Method), ModelError> {
    if let Model::Days(days) = model.model() {
        let (shares, asked) = days::attribute(days.as_ref(), task)?;
        let days::Asked { groups, coalitions, orders } = asked;
        return Ok((shares, Method::WholeDays { groups, coalitions, orders }));
    }
    let mut shares = member::of_model(model.model(), task)?;
    switch_keys(model, task, &mut shares)?;
    let divisible = member::is_divisible(model.model());
    Ok((shares, if divisible { Method::Features } else { Method::Groups }))
}

fn row_explanation(
    model: &FittedModel,
    task: &Task<'_>,
    shares: &Shares,
    answers: &Answers,
    row: usize,
) -> RowExplanation {
    let (by_feature, undivided) = shares.row(row);
    let mut by_group = undivided.to_vec();
    by_feature.iter().zip(&task.grouping.of_column).for_each(|(share, &group)| by_group[group] += share);
    let references = &task.references[row];
    let reference = mean(references.iter().map(|&r| f64::from(answers.reference[r])));
    let (value, told) = (f64::from(answers.mean[row]), by_group.iter().sum::<f64>());
    RowExplanation {
        key: task.rows.keys[row],
        mean: value,
        reference,
        by_feature: by_feature.to_vec(),
        bound: answers.bound(row, references, task.dark[row], model.floor(), value - reference - told),
        by_group,
        values: task.rows.row(row).to_vec(),
        reference_values: reference_values(task.background, references),
    }
}

/// The references of every row, at most `keep`, evenly; a row by day is not compared with nights unless it must be.
/// Rows that are not told of have some only where a model reads whole days.
fn references(
    model: &FittedModel,
    (rows, reference_rows): (&FeatureMatrix, &FeatureMatrix),
    background: &Background,
    keep: usize,
    whole_days: bool,
) -> Result<Vec<Vec<usize>>, ModelError> {
    let of_row = |i: usize| {
        if !whole_days && !background.tells(i) {
            return Ok(Vec::new());
        }
        let all = background.of(i);
        let dark = model.is_dark(rows, i);
        let alike: Vec<usize> =
            all.iter().copied().filter(|&r| model.is_dark(reference_rows, r) == dark).collect();
        let alike = if alike.is_empty() { all.to_vec() } else { alike };
        let kept = alike.len().min(keep);
        let thinned: Vec<usize> = (0..kept).map(|n| alike[n * alike.len() / kept]).collect();
        if thinned.is_empty() && background.tells(i) {
            let what = format!("there is nothing to compare {} with", rows.keys[i].valid_time);
            return Err(ModelError::Numeric { what });
        }
        Ok(thinned)
    };
    (0..rows.rows()).map(of_row).collect()
}

/// Adds what changes when a reference row is asked as what the explained row is about: kind of day, lead time.
fn switch_keys(model: &FittedModel, task: &Task<'_>, shares: &mut Shares) -> Result<(), ModelError> {
    let pairs =
        || (0..task.rows.rows()).flat_map(|row| task.of(row).iter().map(move |&reference| (row, reference)));
    let before = task.background.select(&pairs().map(|(_, reference)| reference).collect::<Vec<_>>());
    let keys = pairs().map(|(row, _)| task.rows.keys[row]).collect();
    let after = FeatureMatrix { keys, ..before.clone() };
    let (before, after) = (model.model().predict(&before)?.mean, model.model().predict(&after)?.mean);
    for ((row, _), (before, after)) in pairs().zip(before.into_iter().zip(after)) {
        let share = (f64::from(after) - f64::from(before)) / task.of(row).len() as f64;
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
    fn new(model: &FittedModel, task: &Task<'_>) -> Result<Self, ModelError> {
        Ok(Self {
            mean: model.predict(task.rows)?.mean,
            raw: model.model().predict(task.rows)?.mean,
            reference: model.predict(task.background)?.mean,
            raw_reference: model.model().predict(task.background)?.mean,
        })
    }

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
