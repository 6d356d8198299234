//! Conformal calibration of quantiles by time of day and lead time.
//!
//! Conformalised quantile regression (Romano, Patterson and Candès, 2019), one-sided and for every level by itself:
//! on forecasts the model did not learn from, the distance of the actual value from the quantile, in units of the
//! forecast's own spread, has a quantile of its own; moving the forecast's quantile by it gives the level its
//! coverage. Groups with few forecasts lean on wider ones. How much of the correction is applied is settled by
//! pinball loss on the half of the held-out forecasts it was not learned from, so that it cannot do harm for long.

use forewatt_domain::QuantileLevels;
use serde::{Deserialize, Serialize};

use crate::groups::{GroupedQuantiles, Groups, LEAD_EDGES_HOURS};
use crate::matrix::RowKey;
use crate::metrics::pinball;
use crate::predict::Predictions;

/// Shares of the correction that are tried.
const STRENGTHS: [f32; 3] = [1.0, 0.5, 0.0];
/// What their losses are multiplied by before they are compared: coverage is worth a little sharpness.
const HANDICAPS: [f64; 3] = [1.0, 1.003, 1.01];
/// A spread below this share of the usual one of its group is taken to be that much.
const SPREAD_FLOOR: f32 = 0.05;
/// Fewer held-out rows than this calibrate nothing.
pub(crate) const ROWS_MIN: usize = 100;

/// How often the actual value lay at or below a quantile, on held-out forecasts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// The level: the share wanted.
    pub level: f64,
    /// The share found before calibration.
    pub raw: f64,
    /// The share found after calibration learned from the other half of the held-out forecasts.
    pub calibrated: f64,
}

/// Learned corrections.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Per group and level, in spreads; already multiplied by the strength.
    offsets: GroupedQuantiles,
    /// Per group, in the unit of the target.
    spread_floor: Vec<f32>,
    strength: f32,
    coverage: Vec<Coverage>,
}

/// Forecasts with what happened.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// One key per forecast.
    pub keys: &'a [RowKey],
    /// What was foretold.
    pub predictions: &'a Predictions,
    /// What happened, in the unit of the predictions.
    pub actual: &'a [f32],
}

/// Offsets per group and level in spreads, and the least spread per group.
type Correction = (GroupedQuantiles, Vec<f32>);

impl Calibration {
    /// Learns from forecasts of a model that had not seen their actual values; `None` when there are too few.
    #[must_use]
    pub fn learn(held: Held<'_>, levels: &QuantileLevels) -> Option<Self> {
        let (keys, rows) = (held.keys, held.actual.len());
        if rows < ROWS_MIN {
            return None;
        }
        let groups = Groups::new(keys, 24, &LEAD_EDGES_HOURS);
        let mut origins: Vec<_> = keys.iter().map(|key| key.origin).collect();
        origins.sort_unstable();
        let middle = origins[rows / 2];
        let half =
            |later: bool| (0..rows).filter(|&i| (keys[i].origin >= middle) == later).collect::<Vec<_>>();
        let halves = [half(false), half(true)];
        let mut losses = [0.0; STRENGTHS.len()];
        let mut below = vec![[0_usize; STRENGTHS.len()]; levels.len()];
        // With a single origin both halves are the same rows; that is the best there is.
        let pairs = if halves[0].is_empty() { vec![(1, 1)] } else { vec![(0, 1), (1, 0)] };
        for (from, to) in pairs {
            let correction = correct(held, &halves[from], &groups, levels);
            for (s, &strength) in STRENGTHS.iter().enumerate() {
                losses[s] += judge(held, &halves[to], levels, &correction, strength, |l| below[l][s] += 1);
            }
        }
        let handicapped = |s: usize| losses[s] * HANDICAPS[s];
        // Forecasts without any spread get all of theirs here: half of it would be no interval.
        let flat = (0..rows).all(|i| spread(held.predictions.row(i)) == 0.0);
        let judged = (0..STRENGTHS.len()).min_by(|&a, &b| handicapped(a).total_cmp(&handicapped(b)));
        let best = judged.filter(|_| !flat).unwrap_or(0);
        let share = |count: usize| count as f64 / rows as f64;
        let of_level = |(l, &level): (usize, &f64)| Coverage {
            level,
            raw: share(below[l][STRENGTHS.len() - 1]),
            calibrated: share(below[l][best]),
        };
        let coverage = levels.as_slice().iter().enumerate().map(of_level).collect();
        let all: Vec<usize> = (0..rows).collect();
        let (offsets, spread_floor) = correct(held, &all, &groups, levels);
        let strength = STRENGTHS[best];
        Some(Self { offsets: offsets.scaled(strength), spread_floor, strength, coverage })
    }

    /// The same correction for a successor that was fitted on the held-out rows too.
    ///
    /// What the successor has learned from those rows by itself must not be corrected a second time. So its quantiles
    /// are moved until, on average over each group of the held-out rows, they lie as far from its expected value as
    /// the calibrated quantiles of the forerunner lay from the forerunner's: the distances whose coverage is known.
    #[must_use]
    pub fn transfer(&self, keys: &[RowKey], forerunner: &Predictions, successor: &Predictions) -> Self {
        let groups = self.offsets.groups();
        let mut calibrated = forerunner.clone();
        self.apply(keys, &mut calibrated);
        let mut sums = vec![Gap::new(forerunner.levels); groups.count()];
        let mut of_slot = vec![Gap::new(forerunner.levels); groups.slots()];
        for (i, key) in keys.iter().enumerate() {
            let group = groups.index(key);
            let unit = spread(successor.row(i)).max(self.spread_floor[group]);
            let by = successor.mean[i] - forerunner.mean[i];
            for gap in [&mut sums[group], &mut of_slot[groups.slot(key)]] {
                gap.add(unit, calibrated.row(i), successor.row(i), by);
            }
        }
        let table = sums.iter().enumerate().flat_map(|(group, gap)| {
            let known = if gap.spread > 0.0 { gap } else { &of_slot[group % groups.slots()] };
            known.offsets(self.strength)
        });
        Self { offsets: self.offsets.with_table(table.collect()), ..self.clone() }
    }

    /// Moves the quantiles of every row, the expected values unchanged; they do not cross afterwards.
    pub fn apply(&self, keys: &[RowKey], predictions: &mut Predictions) {
        let groups = self.offsets.groups();
        for (key, row) in keys.iter().zip(predictions.quantiles.chunks_exact_mut(predictions.levels.max(1))) {
            let group = groups.index(key);
            shift(row, self.offsets.of_group(group), self.spread_floor[group], 1.0);
        }
    }

    /// Coverage per level on the held-out forecasts.
    #[must_use]
    pub fn coverage(&self) -> &[Coverage] {
        &self.coverage
    }

    /// The share of the correction that is applied: 0, 0.5 or 1.
    #[must_use]
    pub fn strength(&self) -> f32 {
        self.strength
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, levels: usize) -> bool {
        self.offsets.is_sound(levels) && self.spread_floor.len() == self.offsets.groups().count()
    }
}

/// How far the quantiles of a successor are from where they should be, summed over rows.
#[derive(Debug, Clone)]
struct Gap {
    spread: f64,
    distance: Vec<f64>,
}

impl Gap {
    fn new(levels: usize) -> Self {
        Self { spread: 0.0, distance: vec![0.0; levels] }
    }

    fn add(&mut self, unit: f32, wanted: &[f32], found: &[f32], by: f32) {
        self.spread += f64::from(unit);
        let distances = wanted.iter().zip(found).map(|(w, f)| f64::from(w + by - f));
        self.distance.iter_mut().zip(distances).for_each(|(sum, d)| *sum += d);
    }

    /// In spreads; nothing where there is no spread or no correction is wanted.
    fn offsets(&self, strength: f32) -> Vec<f32> {
        let share =
            |sum: &f64| if self.spread > 0.0 && strength > 0.0 { (sum / self.spread) as f32 } else { 0.0 };
        self.distance.iter().map(share).collect()
    }
}

/// Distance between the outer quantiles.
fn spread(row: &[f32]) -> f32 {
    match (row.first(), row.last()) {
        (Some(&low), Some(&high)) => high - low,
        _ => 0.0,
    }
}

fn shift(row: &mut [f32], offsets: &[f32], floor: f32, strength: f32) {
    let unit = strength * spread(row).max(floor);
    row.iter_mut().zip(offsets).for_each(|(quantile, offset)| *quantile += unit * offset);
    row.sort_unstable_by(f32::total_cmp);
}

fn correct(held: Held<'_>, rows: &[usize], groups: &Groups, levels: &QuantileLevels) -> Correction {
    let keys: Vec<RowKey> = rows.iter().map(|&i| held.keys[i]).collect();
    let floors = spread_floors(held, rows, groups);
    let scores = |level: usize| -> Vec<f32> {
        let score = |&i: &usize| {
            let row = held.predictions.row(i);
            let unit = spread(row).max(floors[groups.index(&held.keys[i])]);
            let score = (held.actual[i] - row[level]) / unit;
            if score.is_finite() { score } else { 0.0 } // no spread and no error: nothing to correct
        };
        rows.iter().map(score).collect()
    };
    let by_level: Vec<Vec<f32>> = (0..levels.len()).map(scores).collect();
    let by_level: Vec<&[f32]> = by_level.iter().map(Vec::as_slice).collect();
    (GroupedQuantiles::by_level(groups.clone(), levels, &keys, &by_level), floors)
}

/// A small share of the greater of mean spread and mean error of every group.
///
/// Where the model is sure and right, as with solar at night, it is zero, and nothing is moved.
fn spread_floors(held: Held<'_>, rows: &[usize], groups: &Groups) -> Vec<f32> {
    let mut sums = vec![(0.0_f64, 0.0_f64, 0_usize); groups.count()];
    for &i in rows {
        let row = held.predictions.row(i);
        let (spreads, errors, count) = &mut sums[groups.index(&held.keys[i])];
        *spreads += f64::from(spread(row));
        *errors += f64::from((held.actual[i] - row[row.len() / 2]).abs());
        *count += 1;
    }
    let floor = |(spreads, errors, count): (f64, f64, usize)| {
        SPREAD_FLOOR * (spreads.max(errors) / count.max(1) as f64) as f32
    };
    sums.into_iter().map(floor).collect()
}

/// Pinball loss over `rows` with so much of the correction; calls `covered` for every level at or above the actual.
fn judge(
    held: Held<'_>,
    rows: &[usize],
    levels: &QuantileLevels,
    (offsets, floors): &Correction,
    strength: f32,
    mut covered: impl FnMut(usize),
) -> f64 {
    let mut loss = 0.0;
    let mut row = vec![0.0; levels.len()];
    for &i in rows {
        let group = offsets.groups().index(&held.keys[i]);
        row.copy_from_slice(held.predictions.row(i));
        shift(&mut row, offsets.of_group(group), floors[group], strength);
        for (l, (&level, &quantile)) in levels.as_slice().iter().zip(&row).enumerate() {
            loss += pinball(level, f64::from(quantile), f64::from(held.actual[i]));
            if held.actual[i] <= quantile {
                covered(l);
            }
        }
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Normal, Shape};

    #[test]
    fn forecasts_without_spread_get_all_of_it() {
        let (keys, mut predictions, mut actual) = forecasts(3);
        let levels = QuantileLevels::parse("0.1,0.5,0.9").unwrap();
        predictions
            .quantiles
            .chunks_exact_mut(3)
            .zip(&predictions.mean)
            .for_each(|(row, mean)| row.fill(*mean));
        // The errors of one half are no guide to the other's: half the correction has the smaller loss.
        let half = actual.len() / 2;
        actual.iter_mut().zip(&predictions.mean).enumerate().for_each(|(i, (value, mean))| {
            *value = mean + if i < half { 10.0 } else { -10.0 } + (*value - mean) / 100.0;
        });
        let held = Held { keys: &keys, predictions: &predictions, actual: &actual };
        assert_eq!(Calibration::learn(held, &levels).unwrap().strength(), 1.0);
    }

    /// Forecasts whose quantiles are too narrow by day and too wide at night, and what happened.
    fn forecasts(seed: u64) -> (Vec<RowKey>, Predictions, Vec<f32>) {
        let keys = synthetic::training(Shape { days: 200, ..Shape::default() }).features.keys;
        let mut normal = Normal(seed);
        let normal_quantiles = [-1.2816_f32, 0.0, 1.2816];
        let (mut mean, mut quantiles, mut actual) = (vec![], vec![], vec![]);
        for key in &keys {
            let wide = 1.0 + 4.0 * normal.uniform() as f32;
            let wrong = if key.slot_of_day < 12 { 0.4 } else { 2.5 };
            mean.push(50.0);
            quantiles.extend(normal_quantiles.iter().map(|q| 50.0 + q * wide * wrong));
            actual.push(50.0 + 0.3 * wide + wide * normal.draw() as f32);
        }
        (keys, Predictions { mean, quantiles, levels: 3 }, actual)
    }

    fn share(predictions: &Predictions, actual: &[f32], keep: impl Fn(usize) -> bool, level: usize) -> f64 {
        let rows: Vec<usize> = (0..actual.len()).filter(|&i| keep(i)).collect();
        let below = rows.iter().filter(|&&i| actual[i] <= predictions.row(i)[level]).count();
        below as f64 / rows.len() as f64
    }

    #[test]
    fn held_out_coverage_becomes_nominal_by_time_of_day() {
        let levels = QuantileLevels::parse("0.1,0.5,0.9").unwrap();
        let (keys, predictions, actual) = forecasts(1);
        let calibration =
            Calibration::learn(Held { keys: &keys, predictions: &predictions, actual: &actual }, &levels)
                .unwrap();
        let (keys, raw, actual) = forecasts(2);
        let mut answer = raw.clone();
        calibration.apply(&keys, &mut answer);
        for (l, &level) in levels.as_slice().iter().enumerate() {
            for night in [true, false] {
                let keep = |i: usize| (keys[i].slot_of_day < 12) == night;
                let (before, after) = (share(&raw, &actual, keep, l), share(&answer, &actual, keep, l));
                assert!((after - level).abs() < 0.03, "{before} -> {after} for {level}");
                assert!((before - level).abs() > 0.05, "the raw forecast is bad on purpose: {before}");
            }
            assert!((calibration.coverage()[l].calibrated - level).abs() < 0.03);
        }
        assert_eq!(calibration.strength(), 1.0);
        assert_eq!(answer.mean, raw.mean);
        assert!((0..keys.len()).all(|i| answer.row(i).is_sorted()));
    }

    #[test]
    fn sure_and_right_stays_as_it_is() {
        let levels = QuantileLevels::parse("0.1,0.5,0.9").unwrap();
        let (keys, mut predictions, mut actual) = forecasts(1);
        for (i, key) in keys.iter().enumerate() {
            if key.slot_of_day < 6 {
                actual[i] = 0.0;
                predictions.quantiles[3 * i..3 * i + 3].fill(0.0);
            }
        }
        let held = Held { keys: &keys, predictions: &predictions, actual: &actual };
        let mut answer = predictions.clone();
        Calibration::learn(held, &levels).unwrap().apply(&keys, &mut answer);
        let night = |i: &usize| keys[*i].slot_of_day < 6;
        assert!((0..keys.len()).filter(night).all(|i| answer.row(i) == [0.0, 0.0, 0.0]));
    }

    #[test]
    fn what_the_successor_learned_itself_is_not_corrected_twice() {
        let levels = QuantileLevels::parse("0.1,0.5,0.9").unwrap();
        let (keys, forerunner, actual) = forecasts(1);
        let held = Held { keys: &keys, predictions: &forerunner, actual: &actual };
        let calibration = Calibration::learn(held, &levels).unwrap();
        let mut right = forerunner.clone();
        calibration.apply(&keys, &mut right);
        let mut answer = right.clone();
        calibration.transfer(&keys, &forerunner, &right).apply(&keys, &mut answer);
        let change = answer.quantiles.iter().zip(&right.quantiles).map(|(a, b)| (a - b).abs());
        assert!(change.fold(0.0, f32::max) < 1e-3, "a successor that is right is left alone");
        let mut answer = forerunner.clone();
        calibration.transfer(&keys, &forerunner, &forerunner).apply(&keys, &mut answer);
        for (l, &level) in levels.as_slice().iter().enumerate() {
            assert!(
                (share(&answer, &actual, |_| true, l) - level).abs() < 0.03,
                "one that is as wrong is corrected"
            );
        }
    }

    #[test]
    fn a_few_rows_calibrate_nothing() {
        let (keys, predictions, actual) = forecasts(1);
        let few =
            Predictions { mean: vec![0.0; 50], quantiles: predictions.quantiles[..150].to_vec(), levels: 3 };
        let held = Held { keys: &keys[..50], predictions: &few, actual: &actual[..50] };
        assert!(Calibration::learn(held, &QuantileLevels::parse("0.1,0.5,0.9").unwrap()).is_none());
    }
}
