//! What a grown forest learns from its errors: the width of its spread, and the mean.

use rayon::prelude::*;

use super::levels::{mean_weights, nearest_to_half, pinball};
use super::predict::{Forest, MeanRule};
use crate::matrix::FeatureMatrix;

/// Rows whose residuals correct the mean.
const MEAN_ROWS: usize = 4_000;
/// With fewer held-out rows than this the width stays as it is.
const WIDTH_ROWS: usize = 200;
/// The widths tried, in hundredths.
const WIDTHS: std::ops::RangeInclusive<u8> = 80..=200;

/// By how much to stretch the distance of all levels from the middle one, to lose least on the held-out rows.
///
/// Trees fit the rows they have seen, so a forest is surer of itself than it should be. One number cannot mistake the
/// held-out season for the year, as one per level could. 1 when too few rows are held out.
pub(super) fn width(forest: &Forest, features: &FeatureMatrix, target: &[f32], held_out: &[u32]) -> f32 {
    let levels = forest.learned_levels();
    if held_out.len() < WIDTH_ROWS {
        return 1.0;
    }
    let middle = nearest_to_half(&levels);
    let rows: Vec<usize> = held_out.iter().map(|&row| row as usize).collect();
    let values = knot_values(forest, features, &rows);
    let loss = |width: f32| -> f64 {
        let row = |(&row, values): (&usize, &[f32])| {
            let at = |value: f32| values[middle] + (value - values[middle]) * width;
            let pairs = levels.iter().zip(values);
            pairs.map(|(&level, &value)| pinball(level, target[row], at(value))).sum::<f64>()
        };
        rows.iter().zip(values.chunks_exact(levels.len())).map(row).sum()
    };
    let widths = WIDTHS.step_by(5).map(|hundredths| f32::from(hundredths) / 100.0);
    let best = widths.map(|w| (w, loss(w))).min_by(|a, b| a.1.total_cmp(&b.1));
    best.map_or(1.0, |(width, _)| width)
}

/// Makes the mean of the forecasts' means that of the targets.
///
/// The quantiles say nothing of the tails beyond them. A correction in proportion to the spread lets it vanish where
/// the forecast is certain (solar at night), which a constant would not. Where forecasts are bound to be monotone, the mean
/// stays a sum of quantiles with weights of 0 or more, so that it is monotone with them.
pub(super) fn mean_rule(
    forest: &Forest,
    features: &FeatureMatrix,
    target: &[f32],
    weights: Option<&[f32]>,
    bound: bool,
) -> MeanRule {
    let levels = forest.learned_levels();
    let knots = levels.len();
    let stride = features.rows().div_ceil(MEAN_ROWS).max(1);
    let rows: Vec<usize> = (0..features.rows()).step_by(stride).collect();
    let values = knot_values(forest, features, &rows);
    let (mut residual, mut spread, mut total) = (0.0, 0.0, 0.0);
    for (&row, values) in rows.iter().zip(values.chunks_exact(knots)) {
        let weight = weights.map_or(1.0, |weights| f64::from(weights[row]));
        residual += weight * (f64::from(target[row]) - f64::from(forest.mean(values)));
        spread += weight * (f64::from(values[knots - 1]) - f64::from(values[0]));
        total += weight;
    }
    if knots == 1 {
        let shift = if total > 0.0 { (residual / total) as f32 } else { 0.0 };
        return MeanRule { spread: 0.0, shift };
    }
    let share = if spread > 0.0 { residual / spread } else { 0.0 };
    let (low, high) = if bound {
        let weights = mean_weights(&levels);
        (-weights[knots - 1].min(0.5), weights[0].min(0.5))
    } else {
        (-0.5, 0.5)
    };
    MeanRule { spread: share.clamp(low, high) as f32, shift: 0.0 }
}

/// Standardised values of the learned levels for some rows.
fn knot_values(forest: &Forest, features: &FeatureMatrix, rows: &[usize]) -> Vec<f32> {
    let knots = forest.learned_levels().len();
    let mut values = vec![0.0; rows.len() * knots];
    // The columns are there: the forest was grown from these features.
    if let Ok(columns) = forest.columns(features) {
        let rows = values.par_chunks_mut(knots).zip(rows);
        rows.for_each(|(values, &row)| forest.knot_values(features, &columns, row, values));
    }
    values
}
