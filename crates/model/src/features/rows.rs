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
            if is_masked(key.valid_time) {
                f32::NAN
            } else {
                dataset.target.value_at(key.valid_time, cutoff)
            }
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
    let rows: Vec<usize> = (0..matrix.rows().min(target.len()))
        .filter(|&i| target[i].is_finite())
        .collect();
    TrainingSet {
        features: matrix.select(&rows),
        target: rows.iter().map(|&i| target[i]).collect(),
    }
}

/// The origins to learn from at `cutoff`, rising: every `recipe.origin_every_steps` steps back from `anchor`
/// (the first test origin, or the cutoff itself), later than the data's first week, within the recipe's training
/// days, and before the cutoff.
#[must_use]
pub fn training_origins(dataset: &Dataset, recipe: &Recipe, anchor: Time, cutoff: Time) -> Vec<Time> {
    let begin = first_known(dataset, cutoff).map_or(cutoff, |first| {
        let after = |days: i64| first + SignedDuration::from_hours(24 * days);
        if cutoff < after(4 * WARM_UP_DAYS) {
            after(1)
        } else {
            after(WARM_UP_DAYS)
        }
    });
    let window = recipe
        .training_days
        .map(|days| cutoff - SignedDuration::from_hours(24 * i64::from(days)));
    let begin = window.map_or(begin, |window| begin.max(window));
    let stride = i64::from(recipe.origin_every_steps.max(1)) * dataset.step().micros();
    // The first instant at or after `begin` that lies whole strides from the anchor.
    let first = begin.plus_micros(anchor.micros_since(begin).rem_euclid(stride));
    let count = usize::try_from((cutoff.micros_since(first) + stride - 1).div_euclid(stride)).unwrap_or(0);
    (0..count).map(|i| first.plus_micros(i as i64 * stride)).collect()
}

/// The first instant whose value was known at `at`.
fn first_known(dataset: &Dataset, at: Time) -> Option<Time> {
    let grid = dataset.target.grid();
    (0..grid.len)
        .find(|&slot| !dataset.target.as_of(slot, at).is_nan())
        .map(|slot| grid.time(slot))
}
