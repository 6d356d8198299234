//! The elastic net by coordinate descent over covariances, with warm starts along the penalties.
//!
//! Friedman, Hastie and Tibshirani, "Regularization paths for generalized linear models via coordinate descent"
//! (2010), the "covariance updates" of section 2.2: after the covariances are known no row is read again.

/// Rows summed in single precision before they are added up in double precision.
const BLOCK_ROWS: usize = 1024;
/// Sweeps over all coordinates per penalty, at most.
const SWEEPS_MAX: usize = 60;
/// Coordinates that move the fit by less than this share of the target's variance have converged.
const TOLERANCE: f64 = 1e-6;

/// Penalties as shares of the smallest one that leaves no coefficient, strongest first.
pub(super) const PENALTIES: [f64; 14] =
    [0.5, 0.25, 0.12, 0.06, 0.03, 0.015, 0.008, 0.004, 0.002, 0.001, 0.0005, 0.00025, 0.0001, 0.00003];
/// Shares of the penalty that are absolute (LASSO), the rest is quadratic (ridge).
pub(super) const MIXES: [f64; 2] = [0.9, 0.1];

/// Covariances of standardised columns with each other and with the target.
pub(super) struct Covariance {
    /// Row-major, `columns * columns`.
    gram: Vec<f64>,
    with_target: Vec<f64>,
    /// Weighted means of columns and target.
    means: Vec<f64>,
    target_mean: f64,
    variance: f64,
}

/// Coefficients of one penalty.
#[derive(Debug, Clone)]
pub(super) struct Coefficients {
    pub intercept: f64,
    pub slopes: Vec<f64>,
}

impl Covariance {
    /// From a column-major design, which is used up as scratch, with one weight per row (none: all alike).
    pub fn new(mut design: Vec<f32>, target: &[f32], weights: Option<&[f32]>) -> Self {
        let rows = target.len();
        let columns = design.len() / rows.max(1);
        let weight = |i: usize| weights.map_or(1.0, |w| f64::from(w[i]));
        let total: f64 = (0..rows).map(weight).sum();
        let mean = |values: &[f32]| {
            values.iter().enumerate().map(|(i, &v)| weight(i) * f64::from(v)).sum::<f64>() / total
        };
        let root: Option<Vec<f32>> = weights.map(|w| w.iter().map(|v| v.sqrt()).collect());
        let center = |values: &mut [f32], mean: f64| {
            values.iter_mut().for_each(|v| *v -= mean as f32);
            if let Some(root) = &root {
                values.iter_mut().zip(root).for_each(|(v, r)| *v *= r);
            }
        };
        let mut target = target.to_vec();
        let target_mean = mean(&target);
        center(&mut target, target_mean);
        let mut means = Vec::with_capacity(columns);
        for column in design.chunks_exact_mut(rows.max(1)) {
            means.push(mean(column));
            center(column, means[means.len() - 1]);
        }
        let (mut gram, mut with_target) = (vec![0.0; columns * columns], vec![0.0; columns]);
        for from in (0..rows).step_by(BLOCK_ROWS) {
            let to = rows.min(from + BLOCK_ROWS);
            for j in 0..columns {
                let a = &design[j * rows + from..j * rows + to];
                with_target[j] += dot(a, &target[from..to]) / total;
                for k in 0..=j {
                    gram[j * columns + k] += dot(a, &design[k * rows + from..k * rows + to]) / total;
                }
            }
        }
        for j in 0..columns {
            (0..j).for_each(|k| gram[k * columns + j] = gram[j * columns + k]);
        }
        let variance = dot(&target, &target) / total;
        Self { gram, with_target, means, target_mean, variance }
    }

    /// Coefficients along [`PENALTIES`] for one mix, from none to many; `until` stops after that penalty.
    pub fn path(&self, mix: f64, until: usize) -> Vec<Coefficients> {
        let columns = self.with_target.len();
        let strongest = self.with_target.iter().fold(0.0_f64, |most, c| most.max(c.abs())) / mix;
        let mut slopes = vec![0.0; columns];
        let mut gradient = self.with_target.clone();
        PENALTIES
            .iter()
            .take(until + 1)
            .map(|share| {
                let penalty = strongest * share;
                self.descend(penalty * mix, penalty * (1.0 - mix), &mut slopes, &mut gradient);
                let offset: f64 = slopes.iter().zip(&self.means).map(|(b, m)| b * m).sum();
                Coefficients { intercept: self.target_mean - offset, slopes: slopes.clone() }
            })
            .collect()
    }

    /// Minimises `1/2 b'Gb - c'b + l1 |b| + l2/2 |b|^2` from where `slopes` stand; `gradient` is `c - Gb`.
    fn descend(&self, l1: f64, l2: f64, slopes: &mut [f64], gradient: &mut [f64]) {
        let columns = slopes.len();
        let enough = TOLERANCE * self.variance;
        for _ in 0..SWEEPS_MAX {
            let mut greatest = 0.0_f64;
            for j in 0..columns {
                let row = &self.gram[j * columns..(j + 1) * columns];
                let own = row[j];
                let pull = gradient[j] + own * slopes[j];
                let next = pull.signum() * (pull.abs() - l1).max(0.0) / (own + l2).max(f64::MIN_POSITIVE);
                let step = next - slopes[j];
                if step == 0.0 || !next.is_finite() {
                    continue;
                }
                slopes[j] = next;
                gradient.iter_mut().zip(row).for_each(|(g, c)| *g -= c * step);
                greatest = greatest.max(own * step * step);
            }
            if greatest <= enough {
                break;
            }
        }
    }
}

/// Inner product with eight sums side by side, which the compiler turns into vector instructions.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    let (mut sums, mut rest) = ([0.0_f32; 8], 0.0_f32);
    let (left, right) = (a.chunks_exact(8), b.chunks_exact(8));
    left.remainder().iter().zip(right.remainder()).for_each(|(x, y)| rest += x * y);
    for (x, y) in left.zip(right) {
        for lane in 0..8 {
            sums[lane] += x[lane] * y[lane];
        }
    }
    f64::from(sums.iter().sum::<f32>() + rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::Normal;

    fn problem(rows: usize) -> (Vec<f32>, Vec<f32>) {
        let mut normal = Normal(3);
        let design: Vec<f32> = (0..rows * 6).map(|_| normal.draw() as f32).collect();
        let target = (0..rows).map(|i| 2.0 + 3.0 * design[i] - 1.5 * design[2 * rows + i]).collect();
        (design, target)
    }

    #[test]
    fn a_weak_penalty_finds_the_coefficients_and_a_strong_one_leaves_few() {
        let (design, target) = problem(3000);
        let path = Covariance::new(design, &target, None).path(0.9, PENALTIES.len() - 1);
        let last = &path[PENALTIES.len() - 1];
        for (found, true_slope) in last.slopes.iter().zip([3.0, 0.0, -1.5, 0.0, 0.0, 0.0]) {
            assert!((found - true_slope).abs() < 0.01, "{found} for {true_slope}");
        }
        assert!((last.intercept - 2.0).abs() < 0.01);
        let used = path[0].slopes.iter().filter(|b| **b != 0.0).count();
        assert!((1..=2).contains(&used), "half the strongest penalty leaves {used}");
    }

    #[test]
    fn the_solution_satisfies_the_optimality_conditions() {
        let (design, target) = problem(500);
        let covariance = Covariance::new(design, &target, None);
        let mix = 0.5;
        let path = covariance.path(mix, 5);
        let strongest = covariance.with_target.iter().fold(0.0_f64, |m, c| m.max(c.abs())) / mix;
        let (slopes, penalty) = (&path[5].slopes, strongest * PENALTIES[5]);
        for j in 0..6 {
            let fit: f64 = (0..6).map(|k| covariance.gram[j * 6 + k] * slopes[k]).sum();
            let pull = covariance.with_target[j] - fit - penalty * (1.0 - mix) * slopes[j];
            let bound = penalty * mix;
            if slopes[j] == 0.0 {
                assert!(pull.abs() <= bound + 1e-2);
            } else {
                assert!((pull - bound * slopes[j].signum()).abs() < 1e-2);
            }
        }
    }

    #[test]
    fn weights_of_zero_hide_rows() {
        let (design, target) = problem(400);
        let half: Vec<f32> = design.chunks_exact(400).flat_map(|column| column[..200].to_vec()).collect();
        let weights: Vec<f32> = (0..400).map(|i| f32::from(u8::from(i < 200))).collect();
        let weighted = Covariance::new(design, &target, Some(&weights)).path(0.9, 8);
        let plain = Covariance::new(half, &target[..200], None).path(0.9, 8);
        for (a, b) in weighted[8].slopes.iter().zip(&plain[8].slopes) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn nothing_to_learn_from_gives_the_mean() {
        let path = Covariance::new(vec![], &[1.0, 3.0], None).path(0.9, 0);
        assert_eq!((path[0].intercept, path[0].slopes.len()), (2.0, 0));
    }
}
