//! The LASSO from covariances: coordinate descent with an active set and warm starts.
//!
//! Friedman, Hastie and Tibshirani, "Regularization paths for generalized linear models via coordinate descent",
//! Journal of Statistical Software 33 (2010), the covariance updates of section 2.2.

use crate::wide::wide;

/// Sweeps over the active coordinates between two looks at all of them, at most.
const SWEEPS_MAX: usize = 40;
/// Looks at all coordinates, at most.
const ROUNDS_MAX: usize = 25;

wide! {
    /// `minimise 1/2 b'Gb - c'b + penalty |b|` from where `slopes` stand.
    ///
    /// `gram` is `G`, row-major and symmetric, `n x n`; `covariances` is `c`, `scratch` has room for `n` values.
    /// Coordinates have converged when none moved the objective by more than `tolerance`.
    pub fn solve(
        gram: &[f64],
        covariances: &[f64],
        penalty: f64,
        tolerance: f64,
        slopes: &mut [f64],
        scratch: &mut [f64],
    ) {
        let n = slopes.len();
        // The gradient of the smooth part, with its sign turned: c - G b.
        let gradient = &mut scratch[..n];
        gradient.copy_from_slice(covariances);
        for (j, &slope) in slopes.iter().enumerate().filter(|(_, slope)| **slope != 0.0) {
            subtract(gradient, &gram[j * n..(j + 1) * n], slope);
        }
        let mut active: Vec<usize> = Vec::with_capacity(n);
        for _ in 0..ROUNDS_MAX {
            let mut greatest = 0.0_f64;
            active.clear();
            for j in 0..n {
                greatest = greatest.max(step(gram, penalty, j, slopes, gradient));
                if slopes[j] != 0.0 {
                    active.push(j);
                }
            }
            if greatest <= tolerance {
                return;
            }
            for _ in 0..SWEEPS_MAX {
                let moved = active.iter().map(|&j| step(gram, penalty, j, slopes, gradient)).fold(0.0, f64::max);
                if moved <= tolerance {
                    break;
                }
            }
        }
    }
}

/// Moves one coordinate to its best place and returns by how much the objective fell, about.
#[inline(always)]
fn step(gram: &[f64], penalty: f64, j: usize, slopes: &mut [f64], gradient: &mut [f64]) -> f64 {
    let n = slopes.len();
    let row = &gram[j * n..(j + 1) * n];
    let own = row[j];
    if own <= f64::MIN_POSITIVE {
        return 0.0; // a constant column
    }
    let pull = gradient[j] + own * slopes[j];
    let next = if pull.abs() <= penalty { 0.0 } else { (pull - penalty * pull.signum()) / own };
    let change = next - slopes[j];
    if change == 0.0 {
        return 0.0;
    }
    slopes[j] = next;
    subtract(gradient, row, change);
    own * change * change
}

#[inline(always)]
fn subtract(gradient: &mut [f64], row: &[f64], factor: f64) {
    gradient.iter_mut().zip(row).for_each(|(g, r)| *g -= r * factor);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_solution_satisfies_the_optimality_conditions() {
        let (n, rows) = (30, 60);
        let mut random = Random::new(5, 0);
        let x: Vec<f64> = (0..rows * n).map(|_| random.normal()).collect();
        let y: Vec<f64> = (0..rows).map(|r| 2.0 * x[r * n] - x[r * n + 7] + 0.3 * random.normal()).collect();
        let gram: Vec<f64> = (0..n * n)
            .map(|i| (0..rows).map(|r| x[r * n + i / n] * x[r * n + i % n]).sum::<f64>() / rows as f64)
            .collect();
        let c: Vec<f64> =
            (0..n).map(|j| (0..rows).map(|r| x[r * n + j] * y[r]).sum::<f64>() / rows as f64).collect();
        for penalty in [0.3, 0.05, 0.005] {
            let (mut slopes, mut scratch) = (vec![0.0; n], vec![0.0; n]);
            solve(&gram, &c, penalty, 1e-20, &mut slopes, &mut scratch);
            for j in 0..n {
                let pull = c[j] - (0..n).map(|k| gram[j * n + k] * slopes[k]).sum::<f64>();
                if slopes[j] == 0.0 {
                    assert!(pull.abs() <= penalty + 1e-9, "{pull} for {penalty}");
                } else {
                    assert!((pull - penalty * slopes[j].signum()).abs() < 1e-9, "{pull} for {penalty}");
                }
            }
        }
    }

    /// Slopes of scikit-learn 1.9.1, `Lasso(alpha, fit_intercept=False, tol=1e-14, max_iter=1000000)`, for the inputs
    /// and targets below, to nine digits.
    const SCIKIT_LEARN: [(f64, [f64; 8]); 3] = [
        (0.5, [0.973_040_725, 0.0, 0.0, -0.492_069_711, 0.0, 0.278_762_41, 0.0, 0.0]),
        (0.1, [1.745_068_984, 0.0, 0.0, -0.879_274_177, 0.0, 0.496_572_212, 0.0, 0.0]),
        (
            0.01,
            [
                1.910_619_793,
                0.0,
                -0.035_446_323,
                -0.961_047_026,
                0.081_296_131,
                0.568_724_854,
                0.0,
                0.004_270_628,
            ],
        ),
    ];

    #[test]
    fn slopes_are_those_of_scikit_learn() {
        let (n, rows) = (8, 40);
        let mut random = Random::new(17, 0);
        let mut x: Vec<f64> = (0..rows * n).map(|_| random.normal()).collect();
        x.chunks_exact_mut(n).for_each(|row| row[1] += 0.8 * row[0]);
        let y: Vec<f64> =
            x.chunks_exact(n).map(|r| 2.0 * r[0] - r[3] + 0.5 * r[5] + 0.3 * random.normal()).collect();
        let mean = |f: &dyn Fn(usize) -> f64| (0..rows).map(f).sum::<f64>() / rows as f64;
        let gram: Vec<f64> = (0..n * n).map(|i| mean(&|r| x[r * n + i / n] * x[r * n + i % n])).collect();
        let c: Vec<f64> = (0..n).map(|j| mean(&|r| x[r * n + j] * y[r])).collect();
        let (mut slopes, mut scratch) = (vec![0.0; n], vec![0.0; n]);
        // Each penalty starts from the slopes of the one before, as learners do.
        for (penalty, expected) in SCIKIT_LEARN {
            solve(&gram, &c, penalty, 1e-22, &mut slopes, &mut scratch);
            for (slope, expected) in slopes.iter().zip(expected) {
                assert!((slope - expected).abs() < 1e-6, "{penalty}: {slopes:?}");
            }
        }
    }
}
