//! What to learn from the rows: their targets, the usable ones, and the origins to learn from.

use forewatt_domain::{Recipe, Time};
use jiff::SignedDuration;

use crate::dataset::Dataset;
use crate::matrix::{FeatureMatrix, RowKey, TrainingSet};

/// Days of history before the first origin to learn from, when there are enough: without them a row has no lags.
const WARM_UP_DAYS: i64 = 7;

/// The value of every row as known at `cutoff`; NaN where unknown or inside a masked stretch (`from..to`).
#[must_use]
pub fn target(dataset: &Dataset, keys: &[RowKey], cutoff: Time, masked: &[(Time, Time)]) -> Vec<f32> {
    let masked = merge(masked);
    let is_masked = |time: Time| {
        let next = masked.partition_point(|&(from, _)| from <= time);
        next > 0 && time < masked[next - 1].1
    };
    keys.iter()
        .map(|key| {
            if is_masked(key.valid_time) { f32::NAN } else { dataset.target.value_at(key.valid_time, cutoff) }
        })
        .collect()
}

/// Rising stretches that do not overlap.
fn merge(stretches: &[(Time, Time)]) -> Vec<(Time, Time)> {
    let mut sorted = stretches.to_vec();
    sorted.sort_unstable();
    let mut merged: Vec<(Time, Time)> = Vec::with_capacity(sorted.len());
    for (from, to) in sorted {
        match merged.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => merged.push((from, to)),
        }
    }
    merged
}

/// The rows whose target is a number; `target` has one value per row of `matrix`.
#[must_use]
pub fn training_set(matrix: &FeatureMatrix, target: &[f32]) -> TrainingSet {
    let rows: Vec<usize> = (0..matrix.rows().min(target.len())).filter(|&i| target[i].is_finite()).collect();
    TrainingSet {
        features: matrix.select(&rows),
        target: rows.iter().map(|&i| target[i]).collect(),
        past: None,
    }
}

/// The origins to learn from at `cutoff`, rising: every `recipe.origin_every_steps` steps back from `anchor`
/// (the first test origin, or the cutoff itself), from [`training_begin`] to before the cutoff.
#[must_use]
pub fn training_origins(dataset: &Dataset, recipe: &Recipe, anchor: Time, cutoff: Time) -> Vec<Time> {
    let begin = training_begin(dataset, recipe, cutoff);
    lattice(anchor, i64::from(recipe.origin_every_steps.max(1)) * dataset.step().micros(), begin, cutoff)
}

/// The instants from `begin` to before `end` that lie whole strides from the anchor.
pub(crate) fn lattice(anchor: Time, stride_micros: i64, begin: Time, end: Time) -> Vec<Time> {
    let first = begin.plus_micros(anchor.micros_since(begin).rem_euclid(stride_micros));
    let span = end.micros_since(first).max(0);
    let count = usize::try_from((span + stride_micros - 1) / stride_micros).unwrap_or(0);
    (0..count).map(|i| first.plus_micros(i as i64 * stride_micros)).collect()
}

/// The earliest origin worth learning from at `cutoff`: a week after the first value (a day when there are less
/// than four weeks), and not before the recipe's training days.
#[must_use]
pub fn training_begin(dataset: &Dataset, recipe: &Recipe, cutoff: Time) -> Time {
    let begin = first_known(dataset, cutoff).map_or(cutoff, |first| {
        let after = |days: i64| first + SignedDuration::from_hours(24 * days);
        if cutoff < after(4 * WARM_UP_DAYS) { after(1) } else { after(WARM_UP_DAYS) }
    });
    let window = recipe.training_days.map(|days| cutoff - SignedDuration::from_hours(24 * i64::from(days)));
    window.map_or(begin, |window| begin.max(window))
}

/// The first instant whose value was known at `at`.
pub(crate) fn first_known(dataset: &Dataset, at: Time) -> Option<Time> {
    let grid = dataset.target.grid();
    (0..grid.len).find(|&slot| !dataset.target.as_of(slot, at).is_nan()).map(|slot| grid.time(slot))
}
