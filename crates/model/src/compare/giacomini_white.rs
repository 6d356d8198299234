//! The Giacomini-White test: whether the day before tells which of two forecasts will be better.

use serde::{Deserialize, Serialize};

/// Fewer pairs of a difference and the one before it decide nothing: the test is only true for many.
const PAIRS_MIN: usize = 20;

/// The outcome of a Giacomini-White test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GiacominiWhite {
    /// Wald's statistic, chi-square with two degrees of freedom when neither can be told to be better.
    pub statistic: f64,
    /// p-value of equal conditional predictive ability.
    pub p_value: f64,
    /// The share of the pairs on which the last known difference foretells a smaller loss of the first, 0 to 1.
    pub first_ahead_share: f64,
    /// How many pairs of a difference and the one `overlap` losses before it.
    pub count: usize,
}

/// Tests equal conditional predictive ability from two equally long sequences of losses in time order.
///
/// Giacomini and White, Econometrica 74 (2006) 1545-1578, with the test function (1, last known loss difference):
/// the null is that neither the constant nor that difference foretells the sign of the next one. It asks more
/// than Diebold-Mariano: two forecasts equal on average may be better by turns. `overlap` is the horizon in
/// losses, as for [`super::diebold_mariano`]: the last known difference lies that far back, and covariances up to
/// `overlap - 1` apart are weighted as by Newey and West (their section 3.3; not centred, as under the null).
/// `first_ahead_share` is their decision rule (section 4): the share of negative fits of the difference on the
/// test function. Pairs with a loss that is not finite are left out and the rest closes up.
///
/// `None` with fewer than twenty pairs, or when the differences do not vary.
#[must_use]
pub fn giacomini_white(first: &[f64], second: &[f64], overlap: usize) -> Option<GiacominiWhite> {
    let differences: Vec<f64> =
        first.iter().zip(second).map(|(a, b)| a - b).filter(|d| d.is_finite()).collect();
    let overlap = overlap.max(1);
    let count = differences.len().saturating_sub(overlap);
    if count < PAIRS_MIN || overlap >= count {
        return None;
    }
    let (before, now) = (&differences[..count], &differences[overlap..]);
    let moments: Vec<[f64; 2]> = now.iter().zip(before).map(|(d, last)| [*d, d * last]).collect();
    let n = count as f64;
    let mean = [0, 1].map(|i| moments.iter().map(|z| z[i]).sum::<f64>() / n);
    let [[a, b], [_, d]] = long_run(&moments, overlap);
    let determinant = a * d - b * b;
    // Relative to the diagonal it is 1 - correlation^2, whatever the unit of the losses.
    if determinant.is_nan() || determinant <= 1e-12 * a * d {
        return None;
    }
    let statistic = n * (d * mean[0] * mean[0] - 2.0 * b * mean[0] * mean[1] + a * mean[1] * mean[1]);
    let statistic = statistic / determinant;
    // The upper tail of chi-square with two degrees of freedom has this closed form.
    let p_value = (-0.5 * statistic).exp();
    Some(GiacominiWhite { statistic, p_value, first_ahead_share: ahead_share(before, now)?, count })
}

/// The uncentred long-run covariance of the moments with Bartlett weights.
fn long_run(moments: &[[f64; 2]], overlap: usize) -> [[f64; 2]; 2] {
    let n = moments.len() as f64;
    let product = |i: usize, j: usize, lag: usize| {
        moments.iter().zip(&moments[lag..]).map(|(early, late)| late[i] * early[j]).sum::<f64>() / n
    };
    let entry = |i: usize, j: usize| {
        let weight = |lag: usize| 1.0 - lag as f64 / overlap as f64;
        let lagged = (1..overlap).map(|lag| weight(lag) * (product(i, j, lag) + product(j, i, lag)));
        product(i, j, 0) + lagged.sum::<f64>()
    };
    [[entry(0, 0), entry(0, 1)], [entry(0, 1), entry(1, 1)]]
}

/// The share of differences that a line through the last known difference puts below zero.
fn ahead_share(before: &[f64], now: &[f64]) -> Option<f64> {
    let n = now.len() as f64;
    let (mean_x, mean_y) = (before.iter().sum::<f64>() / n, now.iter().sum::<f64>() / n);
    let spread = before.iter().map(|x| (x - mean_x).powi(2)).sum::<f64>();
    if spread <= 0.0 {
        return None;
    }
    let slope = before.iter().zip(now).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>() / spread;
    let below = before.iter().filter(|&&x| mean_y + slope * (x - mean_x) < 0.0).count();
    Some(below as f64 / n)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Losses around 5 whose differences follow `d = rho d + noise`, of operations that every language rounds alike.
    fn losses(count: usize, rho: f64, shift: f64) -> (Vec<f64>, Vec<f64>) {
        let (mut state, mut d) = (7_u64, 0.0);
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            d = rho * d + (state >> 40) as f64 / f64::from(1 << 24) - 0.5;
            5.0 + d + shift
        };
        ((0..count).map(|_| next()).collect(), vec![5.0; count])
    }

    /// Figures of an independent computation with numpy 2.4, scipy 1.17 and statsmodels 0.15 from the same losses:
    /// `Z = column_stack([ones, d[:-tau]]) * d[tau:, None]`, `S = S_hac_simple(Z, nlags=tau - 1) / n`,
    /// `T = n Z.mean(0) @ inv(S) @ Z.mean(0)`, `p = chi2.sf(T, 2)`, share of `OLS(d[tau:], x).fit().fittedvalues < 0`.
    /// With tau = 1, `n` times the R squared of a regression of ones on `Z`, the authors' own form, gave the same.
    #[test]
    fn figures_of_an_independent_computation() {
        for (count, rho, shift, overlap, statistic, p_value, share) in [
            (60, 0.6, 0.05, 1, 17.847_063_825_511_28, 1.332_169_024_343_602_6e-4, 32.0 / 59.0),
            (60, 0.6, -0.1, 1, 18.616_450_151_253_9, 9.067_534_430_889_455e-5, 45.0 / 59.0),
            (120, 0.3, 0.02, 3, 0.756_686_884_084_989_7, 0.684_995_204_110_819_4, 1.0),
            (25, 0.0, -0.2, 2, 6.474_311_627_896_909, 0.039_275_443_059_532_26, 1.0),
        ] {
            let (first, second) = losses(count, rho, shift);
            let test = giacomini_white(&first, &second, overlap).unwrap();
            assert!((test.statistic / statistic - 1.0).abs() < 1e-9, "{test:?}");
            assert!((test.p_value / p_value - 1.0).abs() < 1e-9, "{test:?}");
            assert!((test.first_ahead_share - share).abs() < 1e-12, "{test:?}");
            assert_eq!(test.count, count - overlap);
        }
    }

    #[test]
    fn neither_side_nor_unit_changes_the_p_value() {
        let (a, b) = losses(90, 0.4, 0.1);
        let (ab, ba) = (giacomini_white(&a, &b, 2).unwrap(), giacomini_white(&b, &a, 2).unwrap());
        assert!((ab.p_value - ba.p_value).abs() < 1e-12);
        assert!((ab.first_ahead_share + ba.first_ahead_share - 1.0).abs() < 1e-12);
        let kilo = |losses: &[f64]| losses.iter().map(|l| l * 1e6).collect::<Vec<_>>();
        let scaled = giacomini_white(&kilo(&a), &kilo(&b), 2).unwrap();
        assert!((scaled.statistic - ab.statistic).abs() < 1e-6);
    }

    #[test]
    fn too_few_or_unchanging_differences_decide_nothing() {
        let (a, b) = losses(60, 0.0, 0.0);
        assert_eq!(giacomini_white(&a[..20], &b[..20], 1), None);
        assert!(giacomini_white(&a[..21], &b[..21], 1).is_some());
        assert_eq!(giacomini_white(&a, &b, 45), None);
        assert_eq!(giacomini_white(&a, &a, 1), None);
        let above: Vec<f64> = a.iter().map(|l| l + 1.0).collect();
        assert_eq!(giacomini_white(&a, &above, 1), None);
        let unknown = vec![f64::NAN; 60];
        assert_eq!(giacomini_white(&a, &unknown, 1), None);
    }
}
