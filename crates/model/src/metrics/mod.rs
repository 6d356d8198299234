//! How good forecasts were: point errors, quantile scores, interval coverage; overall and by lead time.
//!
//! With actual `y`, forecast mean `f`, quantile `q` at level `t`, over the rows whose actual is known:
//!
//! | metric | definition | source |
//! |---|---|---|
//! | MAE, RMSE, bias | mean of abs(y - f), root mean of (y - f)^2, mean of f - y | |
//! | MAPE (%) | 100 mean(abs(y - f) / abs(y)); rows with y = 0 are skipped and counted | |
//! | sMAPE (%) | 200 mean(abs(y - f) / (abs(y) + abs(f))); 0 where both are 0 | Makridakis et al., IJF 36 (2020), M4 |
//! | MASE | MAE / mean abs(y_i - y_(i-m)) of the history before the test | Hyndman and Koehler, IJF 22 (2006) |
//! | rMAE | MAE / MAE of the baseline on the same rows | Lago et al., Applied Energy 293 (2021) |
//! | pinball | mean over rows and levels of (y - q) t if y >= q, else (q - y)(1 - t): plain, not doubled | Koenker and Bassett, Econometrica 46 (1978) |
//! | CRPS | 2 mean pinball: the integral over all levels by the levels there are; good when they are dense and even | Gneiting and Ranjan, JBES 29 (2011) |
//! | coverage, width | share of y inside the central interval of two levels t and 1 - t; its mean width | |
//! | skill | 1 - pinball / pinball of the baseline on the same rows | Murphy, MWR 116 (1988) |

mod lead;
mod peaks;

use serde::{Deserialize, Serialize};

pub use lead::{LeadMetrics, by_lead, lead_buckets};
pub use peaks::{DayPeaks, Detection, PeakAt, Peaks, peaks};

/// One forecast and what came true.
#[derive(Debug, Clone, Copy)]
pub struct Scored<'a> {
    /// Hours from the forecast start to the valid time.
    pub lead_hours: f64,
    /// What came true; NaN when it is not known: the row is skipped.
    pub actual: f64,
    /// The forecast mean.
    pub mean: f64,
    /// One value per level, not falling.
    pub quantiles: &'a [f32],
}

/// A central interval between two symmetric levels.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower level `t`.
    pub lower: f64,
    /// The upper level `1 - t`.
    pub upper: f64,
    /// The share of actuals inside, borders included; should be `upper - lower`.
    pub coverage: f64,
    /// Mean width in the series' unit.
    pub width: f64,
}

/// The scores of a set of forecasts; see the module for every definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Rows scored.
    pub count: usize,
    /// Rows skipped because the actual is not known.
    pub missing: usize,
    /// Mean absolute error.
    pub mae: f64,
    /// Root mean squared error.
    pub rmse: f64,
    /// Mean of forecast minus actual.
    pub bias: f64,
    /// Mean absolute percentage error; `None` when every actual is zero.
    pub mape: Option<f64>,
    /// Rows the MAPE leaves out because the actual is zero.
    pub mape_skipped: usize,
    /// Symmetric mean absolute percentage error, 0 to 200.
    pub smape: f64,
    /// Mean absolute scaled error; `None` without a usable history.
    pub mase: Option<f64>,
    /// MAE relative to the baseline's; `None` before [`Metrics::against`] or when the baseline is perfect.
    pub rmae: Option<f64>,
    /// Mean pinball loss over all levels.
    pub pinball: f64,
    /// Mean pinball loss of each level.
    pub pinball_by_level: Vec<f64>,
    /// Continuous ranked probability score, approximated by the levels.
    pub crps: f64,
    /// Every pair of symmetric levels, widest first.
    pub intervals: Vec<Interval>,
    /// Pinball skill against the baseline, 1 at best; `None` as for `rmae`.
    pub skill: Option<f64>,
}

/// Pinball loss of a quantile at a level, not doubled.
#[must_use]
pub fn pinball(level: f64, quantile: f64, actual: f64) -> f64 {
    let over = actual - quantile;
    if over >= 0.0 { level * over } else { (level - 1.0) * over }
}

/// Mean pinball loss of one row over all levels.
#[must_use]
pub fn row_pinball(row: &Scored<'_>, levels: &[f64]) -> f64 {
    let losses =
        levels.iter().zip(row.quantiles).map(|(&level, &q)| pinball(level, f64::from(q), row.actual));
    losses.sum::<f64>() / levels.len().max(1) as f64
}

/// The scale of MASE: the mean absolute change over `period` steps where both ends are known.
///
/// `None` when no pair is known or nothing ever changes.
#[must_use]
pub fn naive_scale(history: &[f32], period: usize) -> Option<f64> {
    let pairs = history.iter().zip(history.get(period..)?);
    let changes = pairs.map(|(&a, &b)| (f64::from(b) - f64::from(a)).abs()).filter(|c| c.is_finite());
    let (count, sum) = changes.fold((0.0, 0.0), |(count, sum), change| (count + 1.0, sum + change));
    (sum > 0.0).then(|| sum / count)
}

/// Scores forecasts; `scale` is that of [`naive_scale`]. `None` when no actual is known.
#[must_use]
pub fn score<'a>(
    rows: impl IntoIterator<Item = Scored<'a>>,
    levels: &[f64],
    scale: Option<f64>,
) -> Option<Metrics> {
    let mut sums = Sums::new(levels);
    rows.into_iter().for_each(|row| sums.add(&row, levels));
    sums.finish(levels, scale)
}

impl Metrics {
    /// Adds what compares with a baseline scored on the same rows: rMAE and skill.
    #[must_use]
    pub fn against(self, baseline: &Self) -> Self {
        let ratio = |ours: f64, theirs: f64| (theirs > 0.0).then(|| ours / theirs);
        let (rmae, skill) =
            (ratio(self.mae, baseline.mae), ratio(self.pinball, baseline.pinball).map(|r| 1.0 - r));
        Self { rmae, skill, ..self }
    }

    /// The numbers by name, as a model version keeps them: `mae`, `pinball`, `coverage_80`, `width_80`, ...
    #[must_use]
    pub fn named(&self) -> Vec<(String, f64)> {
        let always = [
            ("count", self.count as f64),
            ("mae", self.mae),
            ("rmse", self.rmse),
            ("bias", self.bias),
            ("smape", self.smape),
            ("pinball", self.pinball),
            ("crps", self.crps),
        ];
        let sometimes =
            [("mape", self.mape), ("mase", self.mase), ("rmae", self.rmae), ("skill", self.skill)];
        let single = always.into_iter().chain(sometimes.into_iter().filter_map(|(name, v)| Some((name, v?))));
        let mut named: Vec<(String, f64)> = single.map(|(name, value)| (name.to_owned(), value)).collect();
        for interval in &self.intervals {
            // Rounded to a tenth of a percent, written as short as it goes: 80, 95, 99.9.
            let percent = (1000.0 * (interval.upper - interval.lower)).round() / 10.0;
            named.push((format!("coverage_{percent}"), interval.coverage));
            named.push((format!("width_{percent}"), interval.width));
        }
        named
    }
}

/// Running sums of every metric.
struct Sums {
    count: usize,
    missing: usize,
    absolute: f64,
    squared: f64,
    signed: f64,
    percent: f64,
    zeros: usize,
    symmetric: f64,
    pinball: Vec<f64>,
    /// Places of symmetric levels, with rows inside and the sum of widths.
    pairs: Vec<(usize, usize, usize, f64)>,
}

impl Sums {
    fn new(levels: &[f64]) -> Self {
        let pairs = (0..levels.len()).filter(|&i| levels[i] < 0.5).filter_map(|i| {
            Some((i, levels.iter().position(|l| (l - (1.0 - levels[i])).abs() < 1e-9)?, 0, 0.0))
        });
        Self {
            count: 0,
            missing: 0,
            absolute: 0.0,
            squared: 0.0,
            signed: 0.0,
            percent: 0.0,
            zeros: 0,
            symmetric: 0.0,
            pinball: vec![0.0; levels.len()],
            pairs: pairs.collect(),
        }
    }

    fn add(&mut self, row: &Scored<'_>, levels: &[f64]) {
        let (actual, mean) = (row.actual, row.mean);
        if actual.is_nan() {
            self.missing += 1;
            return;
        }
        let error = mean - actual;
        self.count += 1;
        self.absolute += error.abs();
        self.squared += error * error;
        self.signed += error;
        if actual == 0.0 {
            self.zeros += 1;
        } else {
            self.percent += error.abs() / actual.abs();
        }
        if error != 0.0 {
            self.symmetric += error.abs() / (actual.abs() + mean.abs());
        }
        let quantile = |i: usize| row.quantiles.get(i).map_or(f64::NAN, |&q| f64::from(q));
        for (i, (&level, sum)) in levels.iter().zip(&mut self.pinball).enumerate() {
            *sum += pinball(level, quantile(i), actual);
        }
        for (lower, upper, inside, width) in &mut self.pairs {
            let (lower, upper) = (quantile(*lower), quantile(*upper));
            *inside += usize::from((lower..=upper).contains(&actual));
            *width += upper - lower;
        }
    }

    fn finish(self, levels: &[f64], scale: Option<f64>) -> Option<Metrics> {
        if self.count == 0 {
            return None;
        }
        let count = self.count as f64;
        let nonzero = self.count - self.zeros;
        let by_level: Vec<f64> = self.pinball.iter().map(|sum| sum / count).collect();
        let pinball = by_level.iter().sum::<f64>() / levels.len().max(1) as f64;
        let intervals = self.pairs.iter().map(|&(lower, upper, inside, width)| Interval {
            lower: levels[lower],
            upper: levels[upper],
            coverage: inside as f64 / count,
            width: width / count,
        });
        let mae = self.absolute / count;
        Some(Metrics {
            count: self.count,
            missing: self.missing,
            mae,
            rmse: (self.squared / count).sqrt(),
            bias: self.signed / count,
            mape: (nonzero > 0).then(|| 100.0 * self.percent / nonzero as f64),
            mape_skipped: self.zeros,
            smape: 200.0 * self.symmetric / count,
            mase: scale.map(|scale| mae / scale),
            rmae: None,
            pinball,
            pinball_by_level: by_level,
            crps: 2.0 * pinball,
            intervals: intervals.collect(),
            skill: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LEVELS: [f64; 3] = [0.1, 0.5, 0.9];

    fn row(actual: f64, mean: f64, quantiles: &[f32]) -> Scored<'_> {
        Scored { lead_hours: 0.0, actual, mean, quantiles }
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-9, "{a} {b}");
    }

    #[test]
    fn a_small_case_by_hand() {
        let rows = [
            row(10.0, 12.0, &[8.0, 12.0, 14.0]),
            row(0.0, 1.0, &[1.0, 2.0, 3.0]),
            row(f64::NAN, 5.0, &[1.0, 2.0, 3.0]),
            row(-4.0, -8.0, &[-9.0, -7.0, -5.0]),
        ];
        let m = score(rows, &LEVELS, Some(2.0)).unwrap();
        assert_eq!((m.count, m.missing, m.mape_skipped), (3, 1, 1));
        close(m.mae, 7.0 / 3.0);
        close(m.rmse, 7.0_f64.sqrt());
        close(m.bias, -1.0 / 3.0);
        close(m.mape.unwrap(), 100.0 * (0.2 + 1.0) / 2.0);
        close(m.smape, 200.0 * (2.0 / 22.0 + 1.0 + 4.0 / 12.0) / 3.0);
        close(m.mase.unwrap(), 7.0 / 6.0);
        // Level .1: 0.2, 0.9, 0.5; level .5: 1, 1, 1.5; level .9: 0.4, 0.3, 0.9.
        for (got, sum) in m.pinball_by_level.iter().zip([1.6, 3.5, 1.6]) {
            close(*got, sum / 3.0);
        }
        close(m.pinball, 6.7 / 9.0);
        close(m.crps, 2.0 * 6.7 / 9.0);
        assert_eq!(m.intervals.len(), 1);
        close(m.intervals[0].coverage, 1.0 / 3.0);
        close(m.intervals[0].width, 4.0 + 0.0 * 3.0 - 4.0 / 3.0 + 2.0 / 3.0 + 2.0 / 3.0);
        let names: Vec<String> = m.named().into_iter().map(|(name, _)| name).collect();
        assert!(names.contains(&"coverage_80".to_owned()) && names.contains(&"mape".to_owned()));
        assert!(!names.contains(&"skill".to_owned()));
    }

    #[test]
    fn comparisons_and_their_absence() {
        let ours = score([row(1.0, 2.0, &[1.0, 1.0, 1.0])], &LEVELS, None).unwrap();
        let theirs = score([row(1.0, 5.0, &[5.0, 5.0, 5.0])], &LEVELS, None).unwrap();
        assert!(ours.mase.is_none() && ours.rmae.is_none());
        let compared = ours.clone().against(&theirs);
        assert_eq!((compared.rmae, compared.skill), (Some(0.25), Some(1.0)));
        assert_eq!(theirs.against(&ours).skill, None, "a perfect baseline cannot be compared with");
        assert!(score([row(f64::NAN, 1.0, &[1.0, 1.0, 1.0])], &LEVELS, None).is_none());
    }

    #[test]
    fn scale_of_mase_skips_the_unknown() {
        assert_eq!(naive_scale(&[1.0, 2.0, 4.0, f32::NAN, 10.0], 2), Some((3.0 + 6.0) / 2.0));
        assert_eq!(naive_scale(&[1.0, 1.0], 1), None);
        assert_eq!(naive_scale(&[1.0], 7), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Gneiting and Raftery, JASA 102 (2007), eq. 21: the CRPS of a sample; dense quantiles must come near.
        #[test]
        fn dense_levels_give_the_crps(low in -5.0_f64..5.0, span in 0.5_f64..5.0, place in -0.5_f64..1.5) {
            let levels: Vec<f64> = (1..=99).map(|i| f64::from(i) / 100.0).collect();
            let quantiles: Vec<f32> = levels.iter().map(|l| (low + span * l) as f32).collect();
            let actual = low + span * place;
            let m = score([row(actual, low, &quantiles)], &levels, None).unwrap();
            // Uniform on 0..1: (z - p)^2 ... closed form of Jordan, Krueger and Lerch, JSS 90 (2019).
            let p = place.clamp(0.0, 1.0);
            let exact = span * ((place - p).abs() + p * p - p + 1.0 / 3.0);
            prop_assert!((m.crps - exact).abs() < 0.02 * span, "{} {}", m.crps, exact);
        }
    }
}
