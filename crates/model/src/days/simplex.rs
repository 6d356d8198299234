//! Constrained least squares: the weights, none negative and summing to one, whose mixture errs least.
//!
//! Combining forecasts by constrained regression is as old as Granger and Ramanathan, Journal of Forecasting 3 (1984).
//! The problem is solved by accelerated projected gradients (Beck and Teboulle, SIAM Journal on Imaging Sciences 2,
//! 2009) with the projection of Duchi et al., ICML 2008; yesterday's weights are the start.

/// Steps at most.
const STEPS_MAX: usize = 400;
/// It is done when no weight moves by more.
const MOVE_MIN: f64 = 1e-7;

/// The point of the simplex nearest to `values`.
#[must_use]
pub fn project(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(|a, b| b.total_cmp(a));
    let (mut sum, mut shift) = (0.0, 0.0);
    for (i, value) in sorted.iter().enumerate() {
        sum += value;
        let candidate = (sum - 1.0) / (i + 1) as f64;
        if *value > candidate {
            shift = candidate;
        }
    }
    values.iter().map(|v| (v - shift).max(0.0)).collect()
}

/// The weights `w` of the simplex with the least `w' moment w + pull |w - towards|^2`, from `start` on.
///
/// `moment` is the symmetric matrix, row-major, of the experts' error products: as the weights sum to one, its form
/// is the squared error of the mixture.
#[must_use]
pub fn least_squares(moment: &[f64], pull: f64, towards: &[f64], start: &[f64]) -> Vec<f64> {
    let k = towards.len();
    let row_sum = |row: &[f64]| row.iter().map(|v| v.abs()).sum::<f64>();
    // No eigenvalue is greater than the greatest row sum.
    let steepest = moment.chunks_exact(k.max(1)).map(row_sum).fold(0.0, f64::max) + pull;
    if steepest.is_nan() || steepest <= 0.0 || steepest.is_infinite() {
        return start.to_vec();
    }
    let (mut weights, mut ahead, mut momentum) = (start.to_vec(), start.to_vec(), 1.0_f64);
    for _ in 0..STEPS_MAX {
        let slope = slope(moment, pull, towards, &ahead);
        let stepped: Vec<f64> = ahead.iter().zip(&slope).map(|(w, g)| w - g / steepest).collect();
        let next = project(&stepped);
        let faster = f64::midpoint(1.0, 4.0f64.mul_add(momentum * momentum, 1.0).sqrt());
        let carry = (momentum - 1.0) / faster;
        ahead = next.iter().zip(&weights).map(|(n, w)| n + carry * (n - w)).collect();
        let moved = next.iter().zip(&weights).map(|(n, w)| (n - w).abs()).fold(0.0, f64::max);
        (weights, momentum) = (next, faster);
        if moved < MOVE_MIN {
            break;
        }
    }
    weights
}

/// Half of the gradient.
fn slope(moment: &[f64], pull: f64, towards: &[f64], weights: &[f64]) -> Vec<f64> {
    let of_row = |(i, row): (usize, &[f64])| {
        let dot: f64 = row.iter().zip(weights).map(|(m, w)| m * w).sum();
        dot + pull * (weights[i] - towards[i])
    };
    moment.chunks_exact(towards.len().max(1)).enumerate().map(of_row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn the_projection_is_the_nearest_point() {
        assert_eq!(project(&[0.2, 0.8]), [0.2, 0.8]);
        assert_eq!(project(&[2.0, 0.0]), [1.0, 0.0]);
        let point = project(&[0.9, 0.5, -1.0]);
        assert!((point[0] - 0.7).abs() < 1e-12 && (point[1] - 0.3).abs() < 1e-12 && point[2] == 0.0);
    }

    /// Karush, Kuhn and Tucker: where a weight is positive the slope is the least there is.
    #[test]
    fn the_optimum_fulfils_its_conditions() {
        let (k, mut random) = (12, Random::new(9, 0));
        let errors: Vec<Vec<f64>> = (0..60)
            .map(|_| {
                let common = random.normal();
                (0..k).map(|i| common + (0.3 + 0.1 * f64::from(i)) * random.normal()).collect()
            })
            .collect();
        let product = |i: usize, j: usize| errors.iter().map(|e| e[i] * e[j]).sum::<f64>();
        let k = k as usize;
        let moment: Vec<f64> = (0..k * k).map(|ij| product(ij / k, ij % k)).collect();
        let even = vec![1.0 / k as f64; k];
        for pull in [0.0, 3.0] {
            let weights = least_squares(&moment, pull, &even, &even);
            assert!((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9 && weights.iter().all(|w| *w >= 0.0));
            let slopes = slope(&moment, pull, &even, &weights);
            let least = slopes.iter().copied().fold(f64::INFINITY, f64::min);
            let scale = slopes.iter().map(|s| s.abs()).fold(0.0, f64::max);
            for (weight, slope) in weights.iter().zip(&slopes) {
                assert!(
                    *weight == 0.0 || slope - least < 1e-3 * scale,
                    "{weight} with slope {slope}, {least}"
                );
            }
            assert!(weights.contains(&0.0) || pull > 0.0, "{weights:?}: the worst have no weight");
        }
    }

    #[test]
    fn opposite_errors_cancel() {
        // Errors of +1 and -3 on every day.
        let weights = least_squares(&[1.0, -3.0, -3.0, 9.0], 0.0, &[0.5, 0.5], &[0.5, 0.5]);
        assert!((weights[0] - 0.75).abs() < 1e-4, "{weights:?}");
        assert_eq!(least_squares(&[f64::NAN; 4], 0.0, &[0.5, 0.5], &[0.2, 0.8]), [0.2, 0.8]);
    }
}
