//! What to learn from the rows: their targets, the usable ones, and the origins to learn from.

use forewatt_domain::time::MICROS_PER_DAY;
use forewatt_domain::{Recipe, Resolution, Time};
use jiff::SignedDuration;

use crate::dataset::Dataset;
use crate::matrix::{FeatureMatrix, RowKey, TrainingSet};

/// Days of history before the first origin to learn from, when there are enough: without them a row has no lags.
const WARM_UP_DAYS: i64 = 7;

/// The value of every row as known at `cutoff`; NaN where unknown or inside a masked stretch (`from..to`).
#[must_use]
pub fn target(dataset: &Dataset, keys: &[RowKey], cutoff: Time, masked: &[(Time, Time)]) -> Vec<f32> {
    let is_masked = is_masked(masked);
    keys.iter()
        .map(|key| {
            if is_masked(key.valid_time) { f32::NAN } else { dataset.target.value_at(key.valid_time, cutoff) }
        })
        .collect()
}

/// Whether an instant lies in one of the stretches (`from..to`, in any order).
pub(super) fn is_masked(stretches: &[(Time, Time)]) -> impl Fn(Time) -> bool + use<> {
    let masked = merge(stretches);
    move |time| {
        let next = masked.partition_point(|&(from, _)| from <= time);
        next > 0 && time < masked[next - 1].1
    }
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
        courses: None,
    }
}

/// The origins to learn from at `cutoff`, rising: every `recipe.origin_every_steps` steps back from `anchor`
/// (the first test origin, the last daily gate, or the cutoff itself), from [`training_begin`] to before the cutoff;
/// whole days as `starts` counts them.
#[must_use]
pub fn training_origins(dataset: &Dataset, recipe: &Recipe, anchor: Time, cutoff: Time) -> Vec<Time> {
    let begin = training_begin(dataset, recipe, cutoff);
    let stride = i64::from(recipe.origin_every_steps.max(1)) * dataset.step().micros();
    starts(dataset, anchor, stride, begin, cutoff)
}

/// The last daily gate of a series at or before an instant of its grid, as serving finds it.
#[must_use]
pub fn gate(dataset: &Dataset, time: Time) -> Time {
    dataset.series.time_zone.gate(time, dataset.step(), dataset.target.grid().start)
}

/// The forecast start so many days later (or earlier, below zero), as daily starts are counted: by the series' clocks.
#[must_use]
pub fn days_later(dataset: &Dataset, start: Time, days: i64) -> Time {
    let step = dataset.step();
    if !follows_clocks(step, MICROS_PER_DAY) {
        return start.plus_micros(days * MICROS_PER_DAY);
    }
    step.ceil(dataset.series.time_zone.plus_days(start, days), start)
}

/// Whether strides of so many microseconds count days of the series' clocks: whole days do, but for steps that are
/// too long to follow the clocks' hour.
pub(crate) fn follows_clocks(step: Resolution, stride_micros: i64) -> bool {
    step <= Resolution::HOUR && stride_micros % MICROS_PER_DAY == 0
}

/// Forecast starts from `begin` to before `end` that lie whole strides from the anchor, rising. Strides of whole days
/// keep the anchor's time on the clock, so that starts at midnight stay at midnight when the clocks change.
pub(crate) fn starts(
    dataset: &Dataset,
    anchor: Time,
    stride_micros: i64,
    begin: Time,
    end: Time,
) -> Vec<Time> {
    let step = dataset.step();
    if !follows_clocks(step, stride_micros) {
        return lattice(anchor, stride_micros, begin, end);
    }
    let at = |stride: i64| days_later(dataset, anchor, stride * (stride_micros / MICROS_PER_DAY));
    // The clocks move a start by less than a stride.
    let first = begin.micros_since(anchor).div_euclid(stride_micros) - 1;
    let last = end.micros_since(anchor).div_euclid(stride_micros) + 1;
    let mut found: Vec<Time> = (first..=last).map(at).filter(|time| (begin..end).contains(time)).collect();
    found.dedup(); // a day that a zone skipped
    found
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
