//! Daily means of two losses, the size of their difference, and both tests on it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::holm;
use super::matching::Pair;
use super::verdict::Side;
use super::{DieboldMariano, GiacominiWhite, SIGNIFICANCE, diebold_mariano, giacomini_white};
use crate::metrics::lead_buckets;

/// How many standard errors a difference must measure to be found four times in five at the 5 % level: 1.96 + 0.84.
const TOLD_ERRORS: f64 = 2.8;

/// A loss of both sides on the same values, tested.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Tested {
    /// Values behind it.
    pub values: usize,
    /// Days they lie on: the pieces of evidence.
    pub days: usize,
    /// Mean over the days of the first side's daily mean loss.
    pub a: f64,
    /// The same of the second side.
    pub b: f64,
    /// `a - b`: negative when the first side is better.
    pub difference: f64,
    /// The difference in percent of `b`; `None` when `b` is zero.
    pub relative_percent: Option<f64>,
    /// The difference in standard deviations of the daily differences; `None` when they do not vary.
    pub standardized: Option<f64>,
    /// About the least difference, in percent of the greater loss, that so many days would show four times in five;
    /// `None` when it cannot be told.
    pub smallest_told_percent: Option<f64>,
    /// Losses of neighbouring days share forecast errors up to one less than so many days apart.
    pub overlap_days: usize,
    /// Is one better on average? `None` when the test cannot decide.
    pub diebold_mariano: Option<DieboldMariano>,
    /// Does the last known difference foretell which will be better? `None` when the test cannot decide.
    pub giacomini_white: Option<GiacominiWhite>,
}

/// A bucket of lead times, tested; the p-values of the tests within are those of the bucket alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeadTested {
    /// Hours from the forecast start at which the bucket begins.
    pub from_hours: f64,
    /// Where it ends (excluded); `None` for the last, which is open.
    pub to_hours: Option<f64>,
    /// The bucket alone.
    pub tested: Tested,
    /// p-value of the Diebold-Mariano test, corrected for all buckets.
    pub diebold_mariano_holm: Option<f64>,
    /// p-value of the Giacomini-White test, corrected for all buckets.
    pub giacomini_white_holm: Option<f64>,
    /// Which side is better here after the correction; `None` when that cannot be told.
    pub better: Option<Side>,
}

/// Tests pairs, which come in any order; there is at least one.
pub(super) fn test(pairs: &[Pair], loss: &dyn Fn(&Pair) -> [f64; 2]) -> Tested {
    let mut daily: BTreeMap<i64, (f64, [f64; 2])> = BTreeMap::new();
    for pair in pairs {
        let losses = loss(pair);
        let (count, sums) = daily.entry(pair.day).or_default();
        *count += 1.0;
        sums[0] += losses[0];
        sums[1] += losses[1];
    }
    let of = |side: usize| daily.values().map(|(n, sums)| sums[side] / n).collect::<Vec<f64>>();
    let (first, second) = (of(0), of(1));
    let days = daily.len();
    let mean = |losses: &[f64]| losses.iter().sum::<f64>() / days as f64;
    let (a, b) = (mean(&first), mean(&second));
    let difference = a - b;
    let overlap = overlap(pairs);
    let test = diebold_mariano(&first, &second, overlap);
    Tested {
        values: pairs.len(),
        days,
        a,
        b,
        difference,
        relative_percent: (b > 0.0).then(|| 100.0 * difference / b),
        standardized: standardized(&first, &second, difference),
        smallest_told_percent: smallest_told(test, a.max(b)),
        overlap_days: overlap,
        diebold_mariano: test,
        giacomini_white: giacomini_white(&first, &second, overlap),
    }
}

/// Tests each bucket of lead times that has pairs, with Holm's correction over them.
pub(super) fn by_lead(pairs: &[Pair], loss: &dyn Fn(&Pair) -> [f64; 2]) -> Vec<LeadTested> {
    let bucket = |(from_hours, to_hours): (f64, Option<f64>)| {
        let within = |lead: f64| lead >= from_hours && to_hours.is_none_or(|to| lead < to);
        let inside: Vec<Pair> =
            pairs.iter().filter(|pair| pair.lead_hours.is_some_and(within)).copied().collect();
        let bare = |tested| LeadTested {
            from_hours,
            to_hours,
            tested,
            diebold_mariano_holm: None,
            giacomini_white_holm: None,
            better: None,
        };
        (!inside.is_empty()).then(|| bare(test(&inside, loss)))
    };
    let mut buckets: Vec<LeadTested> = lead_buckets().filter_map(bucket).collect();
    let of_average = correct(&buckets, |t| t.diebold_mariano.map(|test| test.p_value));
    let of_foresight = correct(&buckets, |t| t.giacomini_white.map(|test| test.p_value));
    for (bucket, (average, foresight)) in buckets.iter_mut().zip(of_average.into_iter().zip(of_foresight)) {
        bucket.diebold_mariano_holm = average;
        bucket.giacomini_white_holm = foresight;
        bucket.better = better(bucket.tested.difference, average);
    }
    buckets
}

/// Corrected p-values of the buckets that have one.
fn correct(buckets: &[LeadTested], p_value: impl Fn(&Tested) -> Option<f64>) -> Vec<Option<f64>> {
    let alone: Vec<Option<f64>> = buckets.iter().map(|bucket| p_value(&bucket.tested)).collect();
    let mut corrected = holm::adjust(&alone.iter().copied().flatten().collect::<Vec<_>>()).into_iter();
    alone.iter().map(|p| p.and_then(|_| corrected.next())).collect()
}

/// The side with the smaller loss, when luck is an unlikely reason.
pub(super) fn better(difference: f64, p_value: Option<f64>) -> Option<Side> {
    let told = p_value.is_some_and(|p| p < SIGNIFICANCE);
    told.then_some(if difference < 0.0 { Side::A } else { Side::B })
}

/// How many neighbouring days' forecasts are about the same time: the longest lead by the usual distance of days.
pub(super) fn overlap(pairs: &[Pair]) -> usize {
    let days: Vec<i64> = super::days(pairs).into_iter().collect();
    let mut distances: Vec<i64> = days.windows(2).map(|pair| pair[1] - pair[0]).collect();
    distances.sort_unstable();
    let between = distances.get(distances.len() / 2).copied().unwrap_or(1).max(1);
    let longest = pairs.iter().map(|pair| pair.longest_lead_hours).fold(0.0, f64::max);
    // A lead counts to the start of its period: at a lead of 24 h a period lies wholly in the next day.
    (longest / (24 * between) as f64).floor() as usize + 1
}

/// The mean difference in standard deviations of the daily ones (Cohen's d of paired samples).
fn standardized(first: &[f64], second: &[f64], mean: f64) -> Option<f64> {
    let squares = first.iter().zip(second).map(|(a, b)| (a - b - mean).powi(2)).sum::<f64>();
    let deviation = (squares / (first.len() as f64 - 1.0)).sqrt();
    (deviation > 1e-12 * mean.abs() && deviation > 0.0).then(|| mean / deviation)
}

fn smallest_told(test: Option<DieboldMariano>, greater_loss: f64) -> Option<f64> {
    let test = test.filter(|test| test.statistic != 0.0 && greater_loss > 0.0)?;
    let error = (test.mean_difference / test.statistic).abs();
    Some(100.0 * TOLD_ERRORS * error / greater_loss)
}
