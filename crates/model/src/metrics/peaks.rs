//! How well forecasts tell peaks: exceedances of a threshold, the hour and height of each day's peak, rCRPS.
//!
//! Over the rows whose actual is known, with threshold `x`:
//!
//! | metric | definition | source |
//! |---|---|---|
//! | precision, recall, F1 | of the event "above `x`", told by the forecast mean, or by P(value > x) > 0.5 | |
//! | Brier score | mean (P(value > x) - 1[y > x])^2, 0 at best | Brier, MWR 78 (1950) |
//! | Brier skill | 1 - Brier score / s (1 - s) with the share `s` of actuals above: against a forecast of always `s` | Murphy, JAM 12 (1973) |
//! | hour hit rate | share of local days whose forecast mean is greatest at the step of the greatest actual, or within one step of it | |
//! | magnitude | greatest forecast mean minus greatest actual of each day: mean absolute, and bias | |
//! | rCRPS | CRPS / (quantile .95 - quantile .05 of the actuals) | OpenSTEF's `rcrps` |
//! | peak rCRPS | the same with weight 1 on actuals above `x` and 0 on the others | OpenSTEF's sample weights |
//!
//! A row is above when it is greater than the threshold; equal is not above. The quantile of actuals is linear
//! between order statistics (Hyndman and Fan, TAS 50 (1996), type 7).

use serde::Serialize;

use super::{Scored, row_pinball};
use crate::quantile::probability_above;

/// The quantiles of actuals whose distance scales the rCRPS.
const RANGE_LEVELS: (f64, f64) = (0.05, 0.95);

/// What counts as a peak.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum PeakAt {
    /// Above a value in the series' unit.
    Threshold(f64),
    /// Above a quantile of the known actuals, 0 to 1: 0.95 makes the top twentieth peaks.
    Quantile(f64),
}

/// How well an event was told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Detection {
    /// Rows told to be above.
    pub told: usize,
    /// Of these, rows that were.
    pub hits: usize,
    /// `hits / told`; `None` when none was told.
    pub precision: Option<f64>,
    /// `hits / above`; `None` when no actual is above.
    pub recall: Option<f64>,
    /// Harmonic mean of both; `None` when neither told nor true.
    pub f1: Option<f64>,
}

/// The peaks of whole local days.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DayPeaks {
    /// Forecasts of whole days with every actual known.
    pub days: usize,
    /// Share whose peak was forecast for the very step.
    pub hit_exact: f64,
    /// Share whose peak was forecast within one step.
    pub hit_near: f64,
    /// Mean absolute error of the peak's height, in the series' unit.
    pub magnitude_mae: f64,
    /// Mean of forecast minus actual height, in the series' unit.
    pub magnitude_bias: f64,
}

/// Everything about peaks; see the module for every definition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Peaks {
    /// Above which value a peak begins, in the series' unit.
    pub threshold: f64,
    /// Rows with a known actual.
    pub count: usize,
    /// Of these, rows whose actual is above.
    pub above: usize,
    /// Told by the forecast mean.
    pub by_mean: Detection,
    /// Told by P(value > threshold) > 0.5.
    pub by_probability: Detection,
    /// Brier score of P(value > threshold).
    pub brier: f64,
    /// Brier skill; `None` when all or no actuals are above.
    pub brier_skill: Option<f64>,
    /// Each day's peak; `None` when no forecast covers a whole local day.
    pub days: Option<DayPeaks>,
    /// Relative CRPS; `None` when the actuals have no range.
    pub rcrps: Option<f64>,
    /// Relative CRPS over the actuals above the threshold; `None` as above or when there are none.
    pub rcrps_peaks: Option<f64>,
}

/// Scores peaks. `days` names the spans of `rows` that are forecasts of one whole local day each, in time order.
///
/// `None` when no actual is known, there is no level, or the threshold or quantile is not a number in its range.
#[must_use]
pub fn peaks(
    rows: &[Scored<'_>],
    levels: &[f64],
    at: PeakAt,
    days: &[std::ops::Range<usize>],
) -> Option<Peaks> {
    let known: Vec<&Scored<'_>> = rows.iter().filter(|row| row.actual.is_finite()).collect();
    let mut actuals: Vec<f64> = known.iter().map(|row| row.actual).collect();
    actuals.sort_unstable_by(f64::total_cmp);
    let threshold = match at {
        PeakAt::Threshold(value) => value,
        PeakAt::Quantile(level) if (0.0..=1.0).contains(&level) => quantile_of(&actuals, level)?,
        PeakAt::Quantile(_) => return None,
    };
    if actuals.is_empty() || levels.is_empty() || !threshold.is_finite() {
        return None;
    }
    let above = known.iter().filter(|row| row.actual > threshold).count();
    let chances: Vec<f64> =
        known.iter().map(|row| probability_above(row.quantiles, levels, threshold)).collect();
    let squares = known.iter().zip(&chances).map(|(row, chance)| (chance - event(row, threshold)).powi(2));
    let brier = squares.sum::<f64>() / known.len() as f64;
    let share = above as f64 / known.len() as f64;
    let uncertainty = share * (1.0 - share);
    let range = quantile_of(&actuals, RANGE_LEVELS.1)? - quantile_of(&actuals, RANGE_LEVELS.0)?;
    let relative = |crps: Option<f64>| crps.filter(|_| range > 0.0).map(|crps| crps / range);
    let by_mean = known.iter().map(|row| (row.mean > threshold, row.actual > threshold));
    let by_chance = known.iter().zip(&chances).map(|(row, &chance)| (chance > 0.5, row.actual > threshold));
    Some(Peaks {
        threshold,
        count: known.len(),
        above,
        by_mean: detection(by_mean, above),
        by_probability: detection(by_chance, above),
        brier,
        brier_skill: (uncertainty > 0.0).then(|| 1.0 - brier / uncertainty),
        days: day_peaks(rows, days),
        rcrps: relative(mean_crps(known.iter().copied(), levels)),
        rcrps_peaks: relative(mean_crps(known.iter().copied().filter(|row| row.actual > threshold), levels)),
    })
}

/// The quantile of rising values, linear between order statistics; `None` of no values.
fn quantile_of(rising: &[f64], level: f64) -> Option<f64> {
    let last = rising.len().checked_sub(1)?;
    let place = level * last as f64;
    let low = (place.floor() as usize).min(last);
    let high = (low + 1).min(last);
    Some(rising[low] + (rising[high] - rising[low]) * (place - low as f64))
}

fn event(row: &Scored<'_>, threshold: f64) -> f64 {
    f64::from(u8::from(row.actual > threshold))
}

/// From pairs of (told, true).
fn detection(pairs: impl Iterator<Item = (bool, bool)>, above: usize) -> Detection {
    let (mut told, mut hits) = (0, 0);
    for (says, is) in pairs {
        told += usize::from(says);
        hits += usize::from(says && is);
    }
    let ratio = |part: usize, whole: usize| (whole > 0).then(|| part as f64 / whole as f64);
    Detection {
        told,
        hits,
        precision: ratio(hits, told),
        recall: ratio(hits, above),
        f1: ratio(2 * hits, told + above),
    }
}

/// CRPS by the levels there are: twice the mean pinball loss.
fn mean_crps<'a>(rows: impl Iterator<Item = &'a Scored<'a>>, levels: &[f64]) -> Option<f64> {
    let (count, sum) = rows.fold((0, 0.0), |(n, sum), row| (n + 1, sum + 2.0 * row_pinball(row, levels)));
    (count > 0).then(|| sum / f64::from(count))
}

fn day_peaks(rows: &[Scored<'_>], days: &[std::ops::Range<usize>]) -> Option<DayPeaks> {
    let (mut count, mut exact, mut near, mut absolute, mut signed) = (0_usize, 0, 0, 0.0, 0.0);
    for day in days.iter().filter_map(|span| rows.get(span.clone())) {
        if day.iter().any(|row| !row.actual.is_finite()) {
            continue;
        }
        let (Some(actual), Some(told)) = (highest(day, |row| row.actual), highest(day, |row| row.mean))
        else {
            continue;
        };
        let error = told.1 - actual.1;
        count += 1;
        exact += usize::from(told.0 == actual.0);
        near += usize::from(told.0.abs_diff(actual.0) <= 1);
        absolute += error.abs();
        signed += error;
    }
    let n = count as f64;
    (count > 0).then(|| DayPeaks {
        days: count,
        hit_exact: exact as f64 / n,
        hit_near: near as f64 / n,
        magnitude_mae: absolute / n,
        magnitude_bias: signed / n,
    })
}

/// Place and height of the greatest value; the first of several.
fn highest(day: &[Scored<'_>], value: impl Fn(&Scored<'_>) -> f64) -> Option<(usize, f64)> {
    let all = day.iter().map(value).enumerate();
    all.reduce(|best, next| if next.1 > best.1 { next } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEVELS: [f64; 3] = [0.1, 0.5, 0.9];

    fn row(actual: f64, mean: f64, quantiles: &[f32]) -> Scored<'_> {
        Scored { lead_hours: 0.0, actual, mean, quantiles }
    }

    fn close(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-6, "{a} {b}");
    }

    /// Two days of four steps; the second has a missing actual at its end.
    fn rows() -> [Scored<'static>; 8] {
        [
            row(1.0, 2.0, &[1.0, 2.0, 3.0]),
            row(5.0, 4.0, &[3.0, 4.0, 5.0]),
            row(9.0, 7.0, &[6.0, 7.0, 8.0]),
            row(3.0, 7.5, &[6.0, 7.5, 9.0]),
            row(2.0, 2.0, &[1.0, 2.0, 3.0]),
            row(8.0, 5.0, &[4.0, 5.0, 9.0]),
            row(4.0, 4.0, &[3.0, 4.0, 5.0]),
            row(f64::NAN, 1.0, &[0.0, 1.0, 2.0]),
        ]
    }

    #[test]
    fn exceedances_by_hand() {
        let found = peaks(&rows(), &LEVELS, PeakAt::Threshold(6.0), &[]).unwrap();
        assert_eq!((found.count, found.above), (7, 2));
        // The means above 6 are 7 and 7.5: one hit, one false alarm, one miss (8 was told as 5).
        assert_eq!((found.by_mean.told, found.by_mean.hits), (2, 1));
        close(found.by_mean.precision.unwrap(), 0.5);
        close(found.by_mean.recall.unwrap(), 0.5);
        close(found.by_mean.f1.unwrap(), 0.5);
        // P(above 6): rows 3 and 4 reach level .1 at 6, so .9; row 6 has 6 a quarter from 5 to 9: 1 - (.5 + .4/4) = .4.
        // Far rows: tails of the logistic beyond the outer levels.
        let tail = |gap: f64, slope: f64| 1.0 / (1.0 + (9.0_f64.ln() + gap / slope).exp());
        let slope = 1.0 / 9.0_f64.ln();
        let chances = [tail(3.0, slope), tail(1.0, slope), 0.9, 0.9, tail(3.0, slope), 0.4, tail(1.0, slope)];
        let events = [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0];
        let brier = chances.iter().zip(events).map(|(p, e)| (p - e) * (p - e)).sum::<f64>() / 7.0;
        close(found.brier, brier);
        close(found.brier_skill.unwrap(), 1.0 - brier / (2.0 / 7.0 * 5.0 / 7.0));
        assert_eq!((found.by_probability.told, found.by_probability.hits), (2, 1));
    }

    #[test]
    fn days_by_hand() {
        let two = [0..4, 4..8];
        let found = peaks(&rows(), &LEVELS, PeakAt::Threshold(6.0), &two).unwrap().days.unwrap();
        // The second day lacks an actual. The first peaks with 9 at step 2, told as 7.5 at step 3.
        assert_eq!(found.days, 1);
        close(found.hit_exact, 0.0);
        close(found.hit_near, 1.0);
        close(found.magnitude_mae, 1.5);
        close(found.magnitude_bias, -1.5);
        let shorter = [0..3, 4..7];
        let found = peaks(&rows(), &LEVELS, PeakAt::Threshold(6.0), &shorter).unwrap().days.unwrap();
        assert_eq!(found.days, 2);
        close(found.hit_exact, 1.0);
        close(found.magnitude_mae, 2.5);
        assert!(peaks(&rows(), &LEVELS, PeakAt::Threshold(6.0), &[]).unwrap().days.is_none());
    }

    #[test]
    fn relative_crps_by_hand() {
        let found = peaks(&rows(), &LEVELS, PeakAt::Quantile(0.75), &[]).unwrap();
        // Sorted: 1 2 3 4 5 8 9. Quantile .75 stands at 4.5: 6.5. Range: 8.7 - 1.3 = 7.4.
        close(found.threshold, 6.5);
        // Pinball sums over the three levels: 9 beside 6, 7, 8: .3 + 1 + .9; 8 beside 4, 5, 9: .4 + 1.5 + .1.
        let above = 2.0 * (2.2 + 2.0) / 3.0 / 2.0;
        close(found.rcrps_peaks.unwrap(), above / 7.4);
        // 1: 0 + .5 + .2; 5: .2 + .5 + 0; 3: 2.7 + 2.25 + .6; 2: .1 + 0 + .1; 4: .1 + 0 + .1.
        let all = 2.0 * (0.7 + 0.7 + 2.2 + 5.55 + 0.2 + 2.0 + 0.2) / 3.0 / 7.0;
        close(found.rcrps.unwrap(), all / 7.4);
    }

    #[test]
    fn what_cannot_be_scored_is_none() {
        let unknown = [row(f64::NAN, 1.0, &[0.0, 1.0, 2.0])];
        assert!(peaks(&unknown, &LEVELS, PeakAt::Quantile(0.9), &[]).is_none());
        assert!(peaks(&rows(), &LEVELS, PeakAt::Quantile(1.5), &[]).is_none());
        assert!(peaks(&rows(), &LEVELS, PeakAt::Threshold(f64::NAN), &[]).is_none());
        let found = peaks(&rows(), &LEVELS, PeakAt::Threshold(100.0), &[]).unwrap();
        assert_eq!((found.above, found.by_mean.precision, found.by_mean.f1), (0, None, None));
        assert_eq!((found.brier_skill, found.rcrps_peaks), (None, None));
        let flat = [row(3.0, 3.0, &[3.0, 3.0, 3.0])];
        assert_eq!(peaks(&flat, &LEVELS, PeakAt::Threshold(1.0), &[]).unwrap().rcrps, None);
    }
}
