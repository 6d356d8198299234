//! Quantile regression averaging: quantiles regressed on what the members say.
//!
//! Nowotarski and Weron, Computational Statistics 30 (2015). Members speak as distances to the mixture in units of its
//! usual error, so that one regression serves calm and wild days: where they disagree it learns which way to lean and
//! how far to open. One regression per level and stretch of the day, on a rolling window.

use std::collections::VecDeque;

use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::crps::GRID;
use super::errors::Outlook;
use super::quantreg::{self, Design};

/// Days of the window.
const DAYS: usize = 364;
/// Fewer days than this teach nothing.
const DAYS_MIN: usize = 56;
/// Days between two fits.
const REFIT_DAYS: usize = 14;
/// Stretches of the outputs with coefficients of their own, at most.
const BLOCKS_MAX: usize = 6;
/// No distance and no error counts for more units than this.
const UNITS_MAX: f32 = 30.0;

/// Rolling regressions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Averaging {
    outputs: usize,
    members: usize,
    days: VecDeque<PastDay>,
    /// Days since the last fit.
    age: usize,
    /// `stretches x grid`, a constant and one coefficient per member each; empty before the first fit.
    coefficients: Vec<Vec<f64>>,
}

/// A day to learn from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct PastDay {
    /// `outputs x members`: distances to the level, in units.
    apart: Vec<f32>,
    /// Actual minus level in units, NaN where unknown.
    ratio: Vec<f32>,
}

impl Averaging {
    /// Of so many members' answers to so many outputs.
    #[must_use]
    pub fn new(members: usize, outputs: usize) -> Self {
        Self { outputs, members, days: VecDeque::new(), age: 0, coefficients: Vec::new() }
    }

    fn blocks(&self) -> usize {
        self.outputs.clamp(1, BLOCKS_MAX)
    }

    fn block(&self, output: usize) -> usize {
        output * self.blocks() / self.outputs
    }

    /// How far each member is from the level in units, 0 where it says nothing.
    fn apart(&self, members: &Array2<f32>, outlook: &Outlook) -> Vec<f32> {
        let at = |h: usize, m: usize| {
            let apart = (members[(m, h)] - outlook.level[h]) / outlook.unit[h];
            if apart.is_finite() { apart.clamp(-UNITS_MAX, UNITS_MAX) } else { 0.0 }
        };
        (0..self.outputs)
            .flat_map(|h| (0..self.members).map(move |m| (h, m)))
            .map(|(h, m)| at(h, m))
            .collect()
    }

    /// The quantiles of a day, `outputs x grid`, from `members x outputs`; `None` before the first fit.
    #[must_use]
    pub fn quantiles(&self, members: &Array2<f32>, outlook: &Outlook) -> Option<Array2<f32>> {
        if self.coefficients.is_empty() {
            return None;
        }
        let apart = self.apart(members, outlook);
        let mut all = Array2::zeros((self.outputs, GRID.len()));
        for (h, mut row) in all.rows_mut().into_iter().enumerate() {
            let said = &apart[h * self.members..(h + 1) * self.members];
            let of_level = |l: usize| {
                let fitted = &self.coefficients[self.block(h) * GRID.len() + l];
                let sum: f64 = fitted[1..].iter().zip(said).map(|(c, a)| c * f64::from(*a)).sum();
                outlook.level[h] + outlook.unit[h] * (fitted[0] + sum) as f32
            };
            let mut quantiles: Vec<f32> = (0..GRID.len()).map(of_level).collect();
            quantiles.sort_unstable_by(f32::total_cmp); // every level has a plane of its own, and planes cross
            row.iter_mut().zip(quantiles).for_each(|(to, q)| *to = q);
        }
        Some(all)
    }

    /// Learns from a day: what was said and what happened (NaN where unknown).
    pub fn learn(&mut self, members: &Array2<f32>, outlook: &Outlook, actual: &[f32]) {
        let ratio =
            |h: usize| ((actual[h] - outlook.level[h]) / outlook.unit[h]).clamp(-UNITS_MAX, UNITS_MAX);
        let ratio = (0..self.outputs).map(ratio).collect();
        self.days.push_back(PastDay { apart: self.apart(members, outlook), ratio });
        if self.days.len() > DAYS {
            self.days.pop_front();
        }
        self.age += 1;
        if self.days.len() >= DAYS_MIN && (self.age >= REFIT_DAYS || self.coefficients.is_empty()) {
            self.fit();
            self.age = 0;
        }
    }

    /// Fits every stretch and level; a fit that fails leaves what was there.
    fn fit(&mut self) {
        let samples: Vec<(Vec<f64>, Vec<f64>)> = (0..self.blocks()).map(|block| self.sample(block)).collect();
        let columns = self.members + 1;
        let fit = |i: usize| {
            let (rows, values) = &samples[i / GRID.len()];
            quantreg::fit(Design { rows, values, columns }, GRID[i % GRID.len()])
        };
        let fitted: Option<Vec<Vec<f64>>> =
            (0..samples.len() * GRID.len()).into_par_iter().map(fit).collect();
        if let Some(fitted) = fitted {
            self.coefficients = fitted;
        }
    }

    /// Rows of a stretch, with a constant first, and their values.
    fn sample(&self, block: usize) -> (Vec<f64>, Vec<f64>) {
        let (mut rows, mut values) = (Vec::new(), Vec::new());
        for day in &self.days {
            for h in (0..self.outputs).filter(|h| self.block(*h) == block && day.ratio[*h].is_finite()) {
                values.push(f64::from(day.ratio[h]));
                rows.push(1.0);
                let apart = &day.apart[h * self.members..(h + 1) * self.members];
                rows.extend(apart.iter().map(|a| f64::from(*a)));
            }
        }
        (rows, values)
    }

    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, members: usize, outputs: usize) -> bool {
        self.members == members
            && self.outputs == outputs
            && self.days.len() <= DAYS
            && self.days.iter().all(|day| day.apart.len() == outputs * members && day.ratio.len() == outputs)
            && (self.coefficients.is_empty() || self.coefficients.len() == self.blocks() * GRID.len())
            && self.coefficients.iter().all(|c| c.len() == members + 1 && c.iter().all(|v| v.is_finite()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    const HOURS: usize = 8;

    fn outlook(unit: f32) -> Outlook {
        Outlook { level: vec![50.0; HOURS], unit: vec![unit; HOURS] }
    }

    /// The truth follows the first member; the level is between both, and the unit is that of the day.
    fn taught(days: usize) -> Averaging {
        let (mut averaging, mut random) = (Averaging::new(2, HOURS), Random::new(7, 0));
        for day in 0..days {
            let unit = if day % 3 == 0 { 4.0 } else { 1.0 };
            let lean = unit * random.normal() as f32;
            let members = members(lean);
            let noise = |_| 50.0 + lean + 0.2 * unit * random.normal() as f32;
            let actual: Vec<f32> = (0..HOURS).map(noise).collect();
            averaging.learn(&members, &outlook(unit), &actual);
        }
        averaging
    }

    fn members(lean: f32) -> Array2<f32> {
        Array2::from_shape_fn((2, HOURS), |(m, _)| if m == 0 { 50.0 + lean } else { 50.0 - lean })
    }

    #[test]
    fn quantiles_lean_with_the_member_that_knows_and_do_not_cross() {
        let averaging = taught(DAYS + 8);
        for unit in [1.0, 4.0] {
            let quantiles = averaging.quantiles(&members(unit), &outlook(unit)).unwrap();
            for row in quantiles.rows() {
                assert!(row.to_vec().is_sorted());
                assert!((row[8] - (50.0 + unit)).abs() < 0.1 * unit, "median {} of unit {unit}", row[8]);
                let width = (row[13] - row[3]) / unit;
                assert!((width - 0.2 * 2.563).abs() < 0.12, "80 % within {width} units");
            }
        }
        assert!(averaging.is_sound(2, HOURS) && !averaging.is_sound(3, HOURS));
    }

    #[test]
    fn a_few_days_teach_nothing_and_a_member_without_numbers_does_no_harm() {
        assert!(taught(DAYS_MIN - 1).quantiles(&members(1.0), &outlook(1.0)).is_none());
        let mut averaging = taught(DAYS_MIN);
        let mut failed = members(1.0);
        failed.row_mut(0).fill(f32::NAN);
        let quantiles = averaging.quantiles(&failed, &outlook(1.0)).unwrap();
        assert!(quantiles.iter().all(|q| q.is_finite() && (q - 50.0).abs() < 10.0), "{quantiles}");
        averaging.learn(&failed, &outlook(1.0), &[f32::NAN; HOURS]);
        assert!(averaging.is_sound(2, HOURS));
    }
}
