//! Leaf values: by how much a leaf's rows want each output to move.

use super::aim::{Aim, Loss};
use super::levels::quantile;

/// Leaves with fewer out-of-bag rows than this take their in-bag rows.
const MIN_OUTSIDE: usize = 8;
/// Levels a tree moves by less than this share are left alone.
const MIN_WEIGHT: f64 = 0.1;
/// No step of a logarithm is larger: rows that are all zero want it to fall for ever.
const LOG_STEP_MAX: f64 = 4.0;

/// What leaf values are computed from.
pub(super) struct Residuals<'a> {
    pub aim: &'a Aim,
    /// One target per row.
    pub target: &'a [f32],
    /// One weight per row; all alike when there are none.
    pub weights: Option<&'a [f32]>,
    /// Row-major predictions, a value per output.
    pub predicted: &'a [f32],
}

/// Memory that leaves reuse.
#[derive(Default)]
pub(super) struct Buffer {
    residuals: Vec<f32>,
    pairs: Vec<(f32, f32)>,
}

/// How much a tree grown for `own` moves each level.
pub(super) fn weights(levels: &[f64], own: usize, decay: f64) -> Vec<f64> {
    let weight = |level: &f64| (-decay * (level - levels[own]).abs() / 0.1).exp();
    let cut = |w: f64| if w < MIN_WEIGHT { 0.0 } else { w };
    levels.iter().map(|level| cut(weight(level))).collect()
}

impl Residuals<'_> {
    /// Appends one vector of steps, a value per output, for a leaf with these rows.
    pub fn append(
        &self,
        (outside, inside): (&[u32], &[u32]),
        steps: &[f64],
        buffer: &mut Buffer,
        values: &mut Vec<f32>,
    ) {
        let rows = if outside.len() < MIN_OUTSIDE { inside } else { outside };
        for (output, &step) in steps.iter().enumerate() {
            let wanted = if step == 0.0 { 0.0 } else { step * self.wanted(rows, output, buffer) };
            values.push(wanted as f32);
        }
    }

    /// The change of an output that loses least on the rows.
    pub fn wanted(&self, rows: &[u32], output: usize, buffer: &mut Buffer) -> f64 {
        match self.aim {
            Aim::Quantiles(levels) => self.quantile(rows, output, levels[output], buffer),
            Aim::Point(Loss::Absolute) => self.quantile(rows, output, 0.5, buffer),
            Aim::Point(Loss::Squared) => self.mean(rows, |residual| residual),
            // One step from the median (Friedman 2001, algorithm 4).
            Aim::Point(Loss::Huber { delta }) => {
                let median = self.quantile(rows, output, 0.5, buffer);
                median + self.mean(rows, |residual| (residual - median).clamp(-delta, *delta))
            }
            Aim::Point(Loss::Tweedie { power }) => self.log_step(rows, *power),
        }
    }

    fn residual(&self, row: u32, output: usize) -> f32 {
        let row = row as usize;
        self.target[row] - self.predicted[row * self.aim.outputs() + output]
    }

    fn weight(&self, row: u32) -> f32 {
        self.weights.map_or(1.0, |weights| weights[row as usize])
    }

    fn mean(&self, rows: &[u32], of: impl Fn(f64) -> f64) -> f64 {
        let (mut sum, mut weight) = (0.0, 0.0);
        for &row in rows {
            let w = f64::from(self.weight(row));
            sum += w * of(f64::from(self.residual(row, 0)));
            weight += w;
        }
        if weight > 0.0 { sum / weight } else { 0.0 }
    }

    fn quantile(&self, rows: &[u32], output: usize, level: f64, buffer: &mut Buffer) -> f64 {
        let residuals = rows.iter().map(|&row| self.residual(row, output));
        if self.weights.is_none() {
            buffer.residuals.clear();
            buffer.residuals.extend(residuals);
            return f64::from(quantile(&mut buffer.residuals, level));
        }
        buffer.pairs.clear();
        buffer.pairs.extend(residuals.zip(rows.iter().map(|&row| self.weight(row))));
        weighted_quantile(&mut buffer.pairs, level)
    }

    /// The logarithm of what the mean must be multiplied by: the minimum of the deviance has a closed form.
    fn log_step(&self, rows: &[u32], power: f64) -> f64 {
        let (mut wanted, mut had) = (0.0, 0.0);
        for &row in rows {
            let (y, f) = (f64::from(self.target[row as usize]), f64::from(self.predicted[row as usize]));
            let w = f64::from(self.weight(row));
            wanted += w * y * ((1.0 - power) * f).exp();
            had += w * ((2.0 - power) * f).exp();
        }
        if had > 0.0 { (wanted / had).ln().clamp(-LOG_STEP_MAX, LOG_STEP_MAX) } else { 0.0 }
    }
}

/// The quantile of values with weights above 0, by linear interpolation; of equal weights that of [`quantile`]. 0 for
/// none.
///
/// The k-th of n values in order stands at (k - 1) w_k + (n - 1) (w_1 + ... + w_(k-1)). Reorders the pairs.
fn weighted_quantile(pairs: &mut [(f32, f32)], level: f64) -> f64 {
    pairs.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let Some(&(last, last_weight)) = pairs.last() else {
        return 0.0;
    };
    let n = (pairs.len() - 1) as f64;
    let total: f64 = pairs.iter().map(|&(_, w)| f64::from(w)).sum();
    let wanted = level * n * total; // where the last one stands, whatever its weight
    debug_assert!(last_weight > 0.0);
    let (mut before, mut sum) = ((f64::from(pairs[0].0), 0.0), 0.0);
    for (k, &(value, weight)) in pairs.iter().enumerate() {
        let place = k as f64 * f64::from(weight) + n * sum;
        if place >= wanted && place > before.1 {
            let share = ((wanted - before.1) / (place - before.1)).clamp(0.0, 1.0);
            return before.0 + (f64::from(value) - before.0) * share;
        }
        before = (f64::from(value), place);
        sum += f64::from(weight);
    }
    f64::from(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weighted_quantiles_of_equal_weights_are_the_plain_ones() {
        let values = [3.0_f32, 1.0, 7.0, 2.0, 5.0];
        for level in [0.0, 0.1, 0.25, 0.5, 0.77, 0.9, 1.0] {
            let mut pairs = values.map(|value| (value, 0.3));
            let plain = f64::from(quantile(&mut values.to_vec(), level));
            let found = weighted_quantile(&mut pairs, level);
            assert!((found - plain).abs() < 1e-5, "{level}: {found} {plain}");
        }
        assert_eq!(weighted_quantile(&mut [], 0.5), 0.0);
        assert_eq!(weighted_quantile(&mut [(4.0, 2.0)], 0.9), 4.0);
        let heavy = weighted_quantile(&mut [(0.0, 1.0), (10.0, 1000.0), (20.0, 1.0)], 0.3);
        assert!((heavy - 10.0).abs() < 5.0, "{heavy}");
    }
}
