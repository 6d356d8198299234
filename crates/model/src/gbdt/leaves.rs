//! Leaf values: residual quantiles of rows the tree has not seen.

use super::levels::quantile;

/// Leaves with fewer out-of-bag rows than this take their in-bag rows.
const MIN_OUTSIDE: usize = 8;
/// Levels a tree moves by less than this share are left alone.
const MIN_WEIGHT: f64 = 0.1;

/// What leaf values are computed from.
pub(super) struct Residuals<'a> {
    /// One target per row.
    pub target: &'a [f32],
    /// Row-major predictions, a value per level.
    pub predicted: &'a [f32],
    /// The levels.
    pub levels: &'a [f64],
}

/// How much a tree grown for `own` moves each level.
pub(super) fn weights(levels: &[f64], own: usize, decay: f64) -> Vec<f64> {
    let weight = |level: &f64| (-decay * (level - levels[own]).abs() / 0.1).exp();
    let cut = |w: f64| if w < MIN_WEIGHT { 0.0 } else { w };
    levels.iter().map(|level| cut(weight(level))).collect()
}

/// Appends one vector of steps, a value per level, for a leaf with these rows.
pub(super) fn append(
    residuals: &Residuals<'_>,
    (outside, inside): (&[u32], &[u32]),
    steps: &[f64],
    buffer: &mut Vec<f32>,
    values: &mut Vec<f32>,
) {
    let rows = if outside.len() < MIN_OUTSIDE { inside } else { outside };
    let count = residuals.levels.len();
    for (level, &step) in steps.iter().enumerate() {
        if step == 0.0 {
            values.push(0.0);
            continue;
        }
        buffer.clear();
        buffer.extend(rows.iter().map(|&row| {
            let row = row as usize;
            residuals.target[row] - residuals.predicted[row * count + level]
        }));
        values.push((step * f64::from(quantile(buffer, residuals.levels[level]))) as f32);
    }
}
