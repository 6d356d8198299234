//! The scores of the public benchmarks, each by its own benchmark's rule.
//!
//! | score | rule |
//! |---|---|
//! | MAE, RMSE | mean of abs(y - f), root of the mean of (y - f)^2 |
//! | MAPE (%), sMAPE (%) | 100 mean(abs(y - f) / abs(y)) without y = 0; 200 mean(abs(y - f) / (abs(y) + abs(f))) |
//! | pinball | mean over levels t of t (y - q) if y >= q, else (1 - t)(q - y): plain, as GEFCom2014 scores |
//! | SQL | twice the pinball loss over the seasonal error, as fev-bench scores |
//! | MASE, MSIS | abs(y - f), or the interval score at 95 %, over the seasonal error, as M4 scores |
//!
//! The seasonal error is the mean of abs(y_i - y_(i - m)) before the test (Hyndman and Koehler, IJF 22 (2006)).

use std::collections::BTreeMap;

use super::exe::{Forecasts, Row};

/// Scores by name; what is not known is left out.
pub type Metrics = BTreeMap<String, f64>;

/// Scores from pairs; what is not finite is left out.
pub fn named(pairs: &[(&str, f64)]) -> Metrics {
    pairs.iter().filter(|(_, v)| v.is_finite()).map(|(name, v)| ((*name).to_owned(), *v)).collect()
}

/// The mean of each score that all sets have; `rows` is summed, for it counts.
pub fn mean_of_all(sets: &[&Metrics]) -> Metrics {
    let Some(first) = sets.first() else { return Metrics::new() };
    let one = |key: &String| {
        let values: Option<Vec<f64>> = sets.iter().map(|set| set.get(key).copied()).collect();
        let values = values?;
        let sum: f64 = values.iter().sum();
        Some((key.clone(), if key == "rows" { sum } else { sum / values.len() as f64 }))
    };
    first.keys().filter_map(one).collect()
}

/// The mean; NaN of nothing.
pub fn mean(values: impl IntoIterator<Item = f64>) -> f64 {
    let (sum, count) = values.into_iter().fold((0.0, 0.0), |(sum, count), v| (sum + v, count + 1.0));
    sum / count
}

/// Mean absolute error of (actual, forecast) where both are known.
pub fn mae(pairs: impl IntoIterator<Item = (f64, f64)>) -> f64 {
    mean(errors(pairs).map(f64::abs))
}

/// Mean squared error of (actual, forecast) where both are known.
pub fn mse(pairs: impl IntoIterator<Item = (f64, f64)>) -> f64 {
    mean(errors(pairs).map(|e| e * e))
}

fn errors(pairs: impl IntoIterator<Item = (f64, f64)>) -> impl Iterator<Item = f64> {
    pairs.into_iter().map(|(actual, forecast)| actual - forecast).filter(|e| e.is_finite())
}

/// Mean absolute percentage error of (actual, forecast) where both are known and the actual is not zero.
pub fn mape(pairs: impl IntoIterator<Item = (f64, f64)>) -> f64 {
    let known = pairs.into_iter().filter(|(actual, _)| *actual != 0.0);
    100.0 * mean(known.map(|(a, f)| ((a - f) / a).abs()).filter(|e| e.is_finite()))
}

/// Symmetric mean absolute percentage error, 0 to 200; two zeros are no error.
pub fn smape(pairs: impl IntoIterator<Item = (f64, f64)>) -> f64 {
    let one = |(a, f): (f64, f64)| if a == f { 0.0 } else { (a - f).abs() / (a.abs() + f.abs()) };
    200.0 * mean(pairs.into_iter().map(one).filter(|e| e.is_finite()))
}

/// Pinball loss of a quantile at a level, not doubled.
pub fn pinball(level: f64, quantile: f64, actual: f64) -> f64 {
    let over = actual - quantile;
    if over >= 0.0 { level * over } else { (level - 1.0) * over }
}

/// Mean pinball loss of quantiles at their levels.
pub fn pinball_of(levels: &[f64], quantiles: &[f64], actual: f64) -> f64 {
    mean(levels.iter().zip(quantiles).map(|(&level, &q)| pinball(level, q, actual)))
}

/// The seasonal error: mean of abs(y_i - y_(i - m)); NaN where nothing repeats.
pub fn seasonal_error(history: &[f64], period: usize) -> f64 {
    let later = history.get(period..).unwrap_or_default();
    mae(later.iter().copied().zip(history.iter().copied()))
}

/// The interval score of a central 1 - `alpha` interval (Gneiting and Raftery, JASA 102 (2007)), unscaled.
pub fn interval_score(alpha: f64, lower: f64, upper: f64, actual: f64) -> f64 {
    (upper - lower) + 2.0 / alpha * ((lower - actual).max(0.0) + (actual - upper).max(0.0))
}

/// A quantile of a rising sample, linear between its points (Hyndman and Fan's type 7).
pub fn sample_quantile(rising: &[f64], level: f64) -> f64 {
    let Some(last) = rising.len().checked_sub(1) else { return f64::NAN };
    let place = level * last as f64;
    let below = (place.floor() as usize).min(last);
    let (a, b) = (rising[below], rising[(below + 1).min(last)]);
    a + (place - below as f64) * (b - a)
}

/// Where a level stands among the forecast's; a thousandth is the finest there is.
pub fn place_of(forecasts: &Forecasts, level: f64) -> Option<usize> {
    forecasts.levels.iter().position(|l| (l - level).abs() < 5e-4)
}

/// The share of known actuals inside the central interval of so many percent, borders included, in percent.
pub fn coverage(forecasts: &Forecasts, percent: f64) -> f64 {
    let tail = (1.0 - percent / 100.0) / 2.0;
    let (Some(low), Some(high)) = (place_of(forecasts, tail), place_of(forecasts, 1.0 - tail)) else {
        return f64::NAN;
    };
    let known = forecasts.rows.iter().filter(|row| row.actual.is_finite());
    let inside = |row: &Row| row.quantiles[low] <= row.actual && row.actual <= row.quantiles[high];
    100.0 * mean(known.map(|row| f64::from(u8::from(inside(row)))))
}

/// Actuals with the median; none when it was not asked for.
pub fn medians(forecasts: &Forecasts) -> impl Iterator<Item = (f64, f64)> + '_ {
    let place = place_of(forecasts, 0.5);
    forecasts.rows.iter().filter_map(move |row| Some((row.actual, row.quantiles[place?])))
}

/// Actuals with the mean forecast.
pub fn means(forecasts: &Forecasts) -> impl Iterator<Item = (f64, f64)> + '_ {
    forecasts.rows.iter().map(|row| (row.actual, row.mean))
}

/// How many rows have a known actual.
pub fn known(forecasts: &Forecasts) -> f64 {
    forecasts.rows.iter().filter(|row| row.actual.is_finite()).count() as f64
}

/// The two-sided p-value of equal accuracy from losses in time order (Diebold and Mariano, JBES 13 (1995)).
///
/// As the day-ahead price benchmark tests (Lago et al., Applied Energy 293 (2021)): one loss a day, so that the
/// losses do not overlap, and the normal limit. NaN with fewer than eight pairs or equal losses.
pub fn diebold_mariano(first: &[f64], second: &[f64]) -> f64 {
    let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
    let n = differences.len() as f64;
    let center = mean(differences.iter().copied());
    let variance = mean(differences.iter().map(|d| (d - center).powi(2)));
    if differences.len() < 8 || variance <= 0.0 {
        return f64::NAN;
    }
    two_sided(center / (variance / n).sqrt())
}

/// The chance that a standard normal lies farther from zero: erfc(z / sqrt 2), to within 1.2e-7 of itself
/// (Numerical Recipes' Chebyshev fit, section 6.2).
fn two_sided(z: f64) -> f64 {
    const TERMS: [f64; 10] = [
        -1.265_512_23,
        1.000_023_68,
        0.374_091_96,
        0.096_784_18,
        -0.186_288_06,
        0.278_868_07,
        -1.135_203_98,
        1.488_515_87,
        -0.822_152_23,
        0.170_872_77,
    ];
    let x = z.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.5 * x);
    let series = TERMS.iter().rev().fold(0.0, |sum, term| sum * t + term);
    t * (-x * x + series).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-9
    }

    #[test]
    fn point_errors_by_hand() {
        let pairs = [(10.0, 8.0), (20.0, 24.0), (f64::NAN, 1.0)];
        assert!(near(mae(pairs), 3.0) && near(mse(pairs), 10.0));
        assert!(near(mape(pairs), 20.0) && near(mape([(0.0, 1.0), (4.0, 5.0)]), 25.0));
        // 2 / 18 and 4 / 44, doubled and in percent.
        assert!(near(smape(pairs), 100.0 * (2.0 / 18.0 + 4.0 / 44.0)));
        assert_eq!(smape([(0.0, 0.0)]), 0.0);
        assert!(mae([]).is_nan());
    }

    #[test]
    fn quantile_scores_by_hand() {
        assert!(near(pinball(0.9, 8.0, 10.0), 1.8) && near(pinball(0.9, 12.0, 10.0), 0.2));
        assert!(near(pinball_of(&[0.1, 0.9], &[8.0, 12.0], 10.0), 0.2));
        // Width 4; one below the interval costs 2 / 0.05.
        assert!(near(interval_score(0.05, 8.0, 12.0, 10.0), 4.0));
        assert!(near(interval_score(0.05, 8.0, 12.0, 7.0), 44.0));
        assert!(near(interval_score(0.05, 8.0, 12.0, 12.5), 24.0));
        assert!(near(sample_quantile(&[1.0, 2.0, 4.0], 0.75), 3.0));
        assert!(near(sample_quantile(&[1.0, 2.0, 4.0], 1.0), 4.0) && sample_quantile(&[], 0.5).is_nan());
    }

    #[test]
    fn the_seasonal_error_by_hand() {
        assert!(near(seasonal_error(&[1.0, 2.0, 4.0, 8.0], 2), 4.5));
        assert!(seasonal_error(&[1.0], 2).is_nan());
    }

    #[test]
    fn coverage_counts_borders_and_skips_the_unknown() {
        let row = |actual: f64| Row { start: 0, valid: 0, actual, mean: 0.0, quantiles: vec![1.0, 2.0, 3.0] };
        let rows = [1.0, 2.5, 3.5, f64::NAN].map(row).to_vec();
        let forecasts = Forecasts { levels: vec![0.25, 0.5, 0.75], rows };
        assert!(near(coverage(&forecasts, 50.0), 200.0 / 3.0));
        assert!(coverage(&forecasts, 80.0).is_nan());
        assert_eq!((known(&forecasts), medians(&forecasts).count()), (3.0, 4));
    }

    #[test]
    fn sets_are_averaged_where_all_know_and_rows_are_summed() {
        let sets = [named(&[("MAE", 1.0), ("rows", 5.0), ("x", 1.0)]), named(&[("MAE", 2.0), ("rows", 7.0)])];
        let all = mean_of_all(&sets.iter().collect::<Vec<_>>());
        assert_eq!(all, named(&[("MAE", 1.5), ("rows", 12.0), ("y", f64::NAN)]));
    }

    #[test]
    fn the_normal_tail_as_in_the_tables() {
        for (z, p) in [(1.959_963_985, 0.05), (2.575_829_304, 0.01), (0.0, 1.0), (-1.959_963_985, 0.05)] {
            assert!((two_sided(z) - p).abs() < 1e-6, "{z} {}", two_sided(z));
        }
    }

    #[test]
    fn the_comparison_by_hand() {
        // Differences 1..9: mean 5, variance 60 / 9, so z = 5 / sqrt(60 / 81) = 5.81.
        let first: Vec<f64> = (1..=9).map(f64::from).collect();
        let p = diebold_mariano(&first, &[0.0; 9]);
        assert!((p - 6.27e-9).abs() < 2e-11, "{p}");
        assert!(diebold_mariano(&first, &first).is_nan() && diebold_mariano(&first[..7], &[0.0; 7]).is_nan());
    }
}
