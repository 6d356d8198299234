//! From rows to a forest: checks, standardised targets, the held-out part, the number of trees, calibration.

use forewatt_domain::QuantileLevels;

use super::aim::{Aim, Loss};
use super::binning::Binned;
use super::calibrate::{mean_rule, width};
use super::levels::{knots, quantile};
use super::predict::{Forest, Stored};
use super::train::{Rows, Trainer, Trees};
use super::{Lesson, MAX_ROWS, MIN_ROWS, Params};
use crate::matrix::FeatureMatrix;
use crate::predict::ModelError;

/// With fewer held-out rows than this, the loss on them would choose the number of trees by luck.
const MIN_HELD_OUT: usize = 40;
/// No forest has more trees.
const MAX_TREES: usize = 10_000;

/// Learns the quantiles at some levels; with a forest to begin with, more trees for it.
pub(super) fn quantiles(
    params: &Params,
    lesson: Lesson<'_>,
    levels: &QuantileLevels,
    before: Option<&Forest>,
) -> Result<Forest, ModelError> {
    let levels = levels.as_slice().to_vec();
    let knots = knots(&levels);
    let aim = Aim::Quantiles(knots.iter().map(|&k| levels[k]).collect());
    let scale = before.map_or_else(|| standard(&lesson.data.target), Forest::scale);
    let task = Task::new(params, lesson, aim, scale, before)?;
    let Learned { mut forest, chosen } = task.learn(levels, knots);
    let (features, target) = (&lesson.data.features, &task.trainer.target);
    if let Some((chosen, held_out)) = &chosen
        && !task.trainer.binned.is_bound()
    {
        // Stretching could put two forecasts out of order that are in order now.
        forest.set_width(width(chosen.as_ref().unwrap_or(&forest), features, target, held_out));
    }
    let bounded = task.trainer.binned.is_bound();
    forest.set_mean(mean_rule(&forest, features, target, task.trainer.weights.as_deref(), bounded));
    Ok(forest)
}

/// Learns one number per row; with a forest to begin with, more trees for it.
pub(super) fn point(
    params: &Params,
    loss: Loss,
    lesson: Lesson<'_>,
    before: Option<&Forest>,
) -> Result<Forest, ModelError> {
    let (center, scale) = before.map_or_else(|| standard(&lesson.data.target), Forest::scale);
    let (aim, scale) = match loss {
        Loss::Huber { delta } => {
            require(delta > 0.0 && delta.is_finite(), || {
                format!("the Huber loss needs a delta above 0, not {delta}")
            })?;
            (Loss::Huber { delta: delta / scale }, (center, scale))
        }
        Loss::Tweedie { power } => {
            require(power > 1.0 && power < 2.0, || {
                format!("the Tweedie loss needs a power between 1 and 2, not {power}")
            })?;
            let negative = lesson.data.target.iter().position(|&y| y < 0.0);
            require(negative.is_none(), || {
                let row = negative.unwrap_or_default();
                format!(
                    "the Tweedie loss needs targets of 0 or more, but that of row {row} is below: choose another"
                )
            })?;
            // The logarithm is learned: what it adds up to is not scaled.
            (loss, (0.0, 1.0))
        }
        Loss::Squared | Loss::Absolute => (loss, (center, scale)),
    };
    let task = Task::new(params, lesson, Aim::Point(aim), scale, before)?;
    Ok(task.learn(vec![0.5], vec![0]).forest)
}

fn require(holds: bool, what: impl FnOnce() -> String) -> Result<(), ModelError> {
    if holds { Ok(()) } else { Err(ModelError::Unsuited { what: what() }) }
}

struct Task<'a> {
    lesson: Lesson<'a>,
    scale: (f64, f64),
    before: Option<&'a Forest>,
    trainer: Trainer<'a>,
}

struct Learned {
    forest: Forest,
    /// The forest that has not seen the held-out rows, where it is another, and these rows.
    chosen: Option<(Option<Forest>, Vec<u32>)>,
}

impl<'a> Task<'a> {
    fn new(
        params: &'a Params,
        lesson: Lesson<'a>,
        aim: Aim,
        scale: (f64, f64),
        before: Option<&'a Forest>,
    ) -> Result<Self, ModelError> {
        check(lesson)?;
        let features = &lesson.data.features;
        for name in params.categorical.iter().chain(params.monotone.keys()) {
            if features.column(name).is_none() {
                return Err(ModelError::MissingFeature { name: name.clone() });
            }
        }
        let (mut binned, base) = match before {
            None => (Binned::new(features, params.bins), None),
            Some(forest) => {
                let binned = Binned::coded(features, forest.features().to_vec(), &forest.columns(features)?);
                let base = forest.sums(&binned);
                (binned, Some(base))
            }
        };
        binned.set_kinds(&params.categorical, &params.monotone);
        let standardise = |&y: &f32| ((f64::from(y) - scale.0) / scale.1) as f32;
        let target = lesson.data.target.iter().map(standardise).collect();
        let weights = lesson.weights.map(|weights| {
            let mean = weights.iter().map(|&w| f64::from(w)).sum::<f64>() / weights.len() as f64;
            weights.iter().map(|&w| (f64::from(w) / mean) as f32).collect()
        });
        Ok(Self { lesson, scale, before, trainer: Trainer { params, aim, target, weights, binned, base } })
    }

    fn learn(&self, levels: Vec<f64>, knots: Vec<usize>) -> Learned {
        let (params, trainer) = (self.trainer.params, &self.trainer);
        let empty = match self.before {
            Some(before) => before.unpacked(),
            None => Stored::new(levels, knots, trainer.binned.features.clone(), self.scale),
        };
        let forest = |trees: Trees| {
            let mut stored = empty.clone();
            if self.before.is_none() {
                stored.start = trees.start;
            }
            trees.trees.iter().for_each(|(tree, values)| stored.push(tree, values));
            Forest::new(stored)
        };
        let room = MAX_TREES.saturating_sub(self.before.map_or(0, Forest::trees));
        let limits = if params.separate {
            let outputs = trainer.aim.outputs();
            vec![params.trees.min(room / outputs); outputs]
        } else {
            vec![params.trees.min(room)]
        };
        let heavy = |rows: Vec<u32>| match self.lesson.weights {
            None => rows,
            Some(weights) => rows.into_iter().filter(|&row| weights[row as usize] > 0.0).collect(),
        };
        let features = &self.lesson.data.features;
        let all = heavy((0..features.rows() as u32).collect());
        let (rows, held_out) = hold_out(features, params.held_out_share);
        let (rows, held_out) = (heavy(rows), heavy(held_out));
        let everything = Rows { grown_on: &all, held_out: &[] };
        if held_out.len() < MIN_HELD_OUT || rows.is_empty() {
            return Learned { forest: forest(trainer.grow(everything, &limits)), chosen: None };
        }
        let chosen = trainer.grow(Rows { grown_on: &rows, held_out: &held_out }, &limits);
        let counts = chosen.counts.clone();
        let chosen = forest(chosen);
        if params.refit {
            // More rows bear more trees, in proportion.
            let more = |(&count, &limit): (&usize, &usize)| (count * all.len() / rows.len()).min(limit);
            let counts: Vec<usize> = counts.iter().zip(&limits).map(more).collect();
            let forest = forest(trainer.grow(everything, &counts));
            return Learned { forest, chosen: Some((Some(chosen), held_out)) };
        }
        Learned { forest: chosen, chosen: Some((None, held_out)) }
    }
}

/// Refuses what cannot be learned from.
fn check(Lesson { data, weights }: Lesson<'_>) -> Result<(), ModelError> {
    let rows = data.features.rows();
    let wrong = |what: String| Err(ModelError::Numeric { what });
    if rows > MAX_ROWS {
        return wrong(format!("{rows} training rows are more than {MAX_ROWS}: shorten the training window"));
    }
    if data.target.len() != rows || data.features.values.len() != rows * data.features.columns() {
        return wrong(format!("{rows} rows, but {} targets: give one per row", data.target.len()));
    }
    if let Some(row) = data.target.iter().position(|y| !y.is_finite()) {
        return wrong(format!("the target of training row {row} is not a number: leave the row out"));
    }
    let mut used = rows;
    if let Some(weights) = weights {
        if weights.len() != rows {
            return wrong(format!("{rows} rows, but {} weights: give one per row", weights.len()));
        }
        if let Some(row) = weights.iter().position(|w| !w.is_finite() || *w < 0.0) {
            return wrong(format!("the weight of training row {row} must be a number of 0 or more"));
        }
        used = weights.iter().filter(|w| **w > 0.0).count();
    }
    if used < MIN_ROWS {
        return Err(ModelError::TooFewRows { family: "gbdt", rows: used, needed: MIN_ROWS });
    }
    Ok(())
}

/// The median of the targets and a scale: the mean absolute deviation from it; 1 when all are equal.
fn standard(target: &[f32]) -> (f64, f64) {
    let center = f64::from(quantile(&mut target.to_vec(), 0.5));
    let deviation: f64 = target.iter().map(|&y| (f64::from(y) - center).abs()).sum();
    let scale = deviation / target.len() as f64;
    (center, if scale > 0.0 { scale } else { 1.0 })
}

/// Rows to learn from and rows held out: those of the last forecast starts.
fn hold_out(features: &FeatureMatrix, share: f64) -> (Vec<u32>, Vec<u32>) {
    let mut origins: Vec<_> = features.keys.iter().map(|key| key.origin).collect();
    origins.sort_unstable();
    origins.dedup();
    let kept = origins.len() - (origins.len() as f64 * share) as usize;
    let first_held = origins.get(kept.max(1)).copied();
    let rows = 0..features.rows() as u32;
    rows.partition(|&row| first_held.is_none_or(|first| features.keys[row as usize].origin < first))
}
