//! The Diebold-Mariano test: whether one forecast is better than another on average, or only luckier.

use serde::{Deserialize, Serialize};

/// Fewer losses than this decide nothing.
pub(super) const LOSSES_MIN: usize = 8;

/// The outcome of a Diebold-Mariano test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DieboldMariano {
    /// Mean of the first losses minus the second: negative when the first forecast is better.
    pub mean_difference: f64,
    /// The statistic with the small-sample correction.
    pub statistic: f64,
    /// Two-sided p-value of equal accuracy.
    pub p_value: f64,
    /// How many pairs of losses.
    pub count: usize,
}

/// Tests equal accuracy from two equally long sequences of losses in time order.
///
/// Diebold and Mariano, JBES 13 (1995) 253-263, with the correction and Student's t of Harvey, Leybourne and
/// Newbold, IJF 13 (1997) 281-291. `overlap` is the horizon in losses: losses up to `overlap - 1` apart share
/// errors. Their covariances are weighted as by Newey and West, Econometrica 55 (1987), so the variance cannot
/// be negative. Pairs with a loss that is not finite are left out.
///
/// `None` with fewer than eight pairs, with `overlap` not below their number, or when the differences do not vary.
#[must_use]
pub fn diebold_mariano(first: &[f64], second: &[f64], overlap: usize) -> Option<DieboldMariano> {
    let differences: Vec<f64> =
        first.iter().zip(second).map(|(a, b)| a - b).filter(|d| d.is_finite()).collect();
    let (count, overlap) = (differences.len(), overlap.max(1));
    if count < LOSSES_MIN || overlap >= count {
        return None;
    }
    let n = count as f64;
    let mean = differences.iter().sum::<f64>() / n;
    let covariance = |lag: usize| {
        let pairs = differences.iter().zip(&differences[lag..]);
        pairs.map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / n
    };
    let weighted = |lag: usize| 2.0 * (1.0 - lag as f64 / overlap as f64) * covariance(lag);
    let variance = covariance(0) + (1..overlap).map(weighted).sum::<f64>();
    // Rounding alone leaves a spread of about an epsilon of the level.
    if variance.sqrt() <= 1e-12 * mean.abs() || variance <= 0.0 {
        return None;
    }
    let h = overlap as f64;
    let correction = ((n + 1.0 - 2.0 * h + h * (h - 1.0) / n) / n).max(0.0).sqrt();
    let statistic = correction * mean / (variance / n).sqrt();
    let freedom = n - 1.0;
    let p_value = incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + statistic * statistic));
    Some(DieboldMariano { mean_difference: mean, statistic, p_value, count })
}

/// The regularised incomplete beta function by its continued fraction (NIST DLMF 8.17.22, modified Lentz).
fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return x.clamp(0.0, 1.0);
    }
    // The fraction converges fast below this point and its mirror image above (DLMF 8.17.4).
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let front = (a * x.ln() + b * (1.0 - x).ln() + ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b)).exp() / a;
    let away_from_zero = |v: f64| if v.abs() < 1e-300 { 1e-300 } else { v };
    let (mut c, mut d) = (1.0, 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0)));
    let mut fraction = d;
    for m in (1..200).map(f64::from) {
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for term in [even, odd] {
            d = 1.0 / away_from_zero(1.0 + term * d);
            c = away_from_zero(1.0 + term / c);
            change = c * d;
            fraction *= change;
        }
        if (change - 1.0).abs() < 1e-14 {
            break;
        }
    }
    (front * fraction).clamp(0.0, 1.0)
}

/// The logarithm of the gamma function for x > 0: Stirling's series after shifting up (NIST DLMF 5.11.1).
fn ln_gamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 10.0 {
        shift += x.ln();
        x += 1.0;
    }
    let (i, i2) = (1.0 / x, 1.0 / (x * x));
    let series = i * (1.0 / 12.0 - i2 * (1.0 / 360.0 - i2 * (1.0 / 1260.0 - i2 / 1680.0)));
    (x - 0.5) * x.ln() - x + 0.5 * std::f64::consts::TAU.ln() + series - shift
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn student_t_as_in_the_tables() {
        // Two-sided 5 % points of Student's t.
        for (freedom, t) in
            [(1.0, 12.706_204_7), (5.0, 2.570_581_8), (30.0, 2.042_272_5), (727.0, 1.963_236_1)]
        {
            let p = incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t));
            assert!((p - 0.05).abs() < 1e-5, "{freedom} {p}");
        }
        assert!((ln_gamma(0.5) - std::f64::consts::PI.sqrt().ln()).abs() < 1e-12);
        assert!((ln_gamma(11.0) - 3_628_800.0_f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn a_small_case_by_hand() {
        // Differences 1..9: mean 5, variance 60 / 9, statistic sqrt(8 / 9) * 5 / sqrt(60 / 81) = sqrt(30).
        let first: Vec<f64> = (1..=9).map(f64::from).collect();
        let test = diebold_mariano(&first, &[0.0; 9], 1).unwrap();
        assert!((test.statistic - 30.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!((test.mean_difference, test.count), (5.0, 9));
        assert!(test.p_value < 0.001 && test.p_value > 0.0001);
    }

    #[test]
    fn signs_symmetry_and_refusals() {
        let a: Vec<f64> = (0..40).map(|i| f64::from(i * 7 % 11)).collect();
        let b: Vec<f64> = (0..40).map(|i| f64::from(i * 5 % 13)).collect();
        let (ab, ba) = (diebold_mariano(&a, &b, 3).unwrap(), diebold_mariano(&b, &a, 3).unwrap());
        assert_eq!((ab.statistic, ab.p_value), (-ba.statistic, ba.p_value));
        assert!(ab.p_value > 0.0 && ab.p_value <= 1.0);
        assert_eq!(diebold_mariano(&a, &a, 1), None);
        assert_eq!(diebold_mariano(&a[..7], &b[..7], 1), None);
        assert_eq!(diebold_mariano(&a, &b, 40), None);
        let unknown: Vec<f64> = a.iter().map(|_| f64::NAN).collect();
        assert_eq!(diebold_mariano(&unknown, &b, 1), None);
    }
}
