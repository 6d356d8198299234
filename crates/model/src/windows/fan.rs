//! The weights of the members and the spread of their errors, learned from windows held out.

use ndarray::Array2;
use serde::{Deserialize, Serialize};

use super::frame::mean;
use super::team::ANSWERS;
use crate::groups::sample_quantile;

/// Members: those of the team, and the series' own.
pub const MEMBERS: usize = ANSWERS + 1;
/// The best weights are sought in whole parts of so many.
const PARTS: usize = 10;
/// What the weights are drawn half-way to: held-out windows lie in one season, and an own regression that missed them
/// is weaker than one that learns from them.
const USUAL: [f32; MEMBERS] = [0.0, 0.1, 0.6, 0.3];
/// Steps of lead time on either side whose errors count for a step too.
const NEAR: usize = 1;
/// A series' own spread counts as much as everyone's once this many days of it were held out.
const OWN_DAYS: f32 = 3.0;

/// What the held-out windows taught.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fan {
    /// The weight of every member; they sum to 1.
    pub weights: [f32; MEMBERS],
    /// Horizon x levels: quantiles of the errors in units.
    pub errors: Array2<f32>,
    /// How many held-out windows.
    pub windows: usize,
}

/// Held-out windows: what every member said and what came, rows x horizon in units.
#[derive(Debug)]
pub struct Held {
    /// By member.
    pub said: [Array2<f32>; MEMBERS],
    /// What came.
    pub came: Array2<f32>,
    /// The course of every row, rising.
    pub courses: Vec<usize>,
}

/// The errors of the weighed members on held-out windows.
#[derive(Debug)]
pub struct Errors {
    weights: [f32; MEMBERS],
    /// Rows x horizon in units.
    errors: Array2<f32>,
    courses: Vec<usize>,
}

impl Held {
    /// Weighs the members.
    #[must_use]
    pub fn weigh(self) -> Errors {
        let weights = self.weights();
        let errors = &self.came - &mix(&self.said, weights);
        Errors { weights, errors, courses: self.courses }
    }

    /// Half-way between the usual weights and those with the least mean absolute error.
    fn weights(&self) -> [f32; MEMBERS] {
        let mut best = (f64::INFINITY, [1.0 / MEMBERS as f32; MEMBERS]);
        for a in 0..=PARTS {
            for b in 0..=PARTS - a {
                for c in 0..=PARTS - a - b {
                    let weights = [a, b, c, PARTS - a - b - c].map(|part| part as f32 / PARTS as f32);
                    let loss = self.loss(weights);
                    if loss < best.0 {
                        best = (loss, weights);
                    }
                }
            }
        }
        std::array::from_fn(|member| 0.5 * (best.1[member] + USUAL[member]))
    }

    fn loss(&self, weights: [f32; MEMBERS]) -> f64 {
        let said = self.said.each_ref().map(|m| m.as_slice().unwrap_or_default());
        let came = self.came.as_slice().unwrap_or_default();
        let error = |i: usize| {
            let sum: f32 = weights.iter().zip(&said).map(|(w, said)| w * said[i]).sum();
            f64::from((came[i] - sum).abs())
        };
        (0..came.len()).map(error).sum()
    }
}

impl Errors {
    /// What one course's model is to know of them; `season` is the steps of a day.
    #[must_use]
    pub fn fan(&self, course: usize, levels: &[f64], season: usize) -> Fan {
        let width = self.width(course, season);
        let horizon = self.errors.ncols();
        let mut quantiles = Array2::zeros((horizon, levels.len()));
        for step in 0..horizon {
            let near = step.saturating_sub(NEAR)..(step + NEAR + 1).min(horizon);
            let mut sorted: Vec<f32> = near.flat_map(|step| self.errors.column(step).to_vec()).collect();
            sorted.sort_unstable_by(f32::total_cmp);
            for (cell, &level) in quantiles.row_mut(step).iter_mut().zip(levels) {
                *cell = width * sample_quantile(&sorted, level);
            }
        }
        Fan { weights: self.weights, errors: quantiles, windows: self.errors.nrows() }
    }

    /// A course's mean absolute error over everyone's, drawn towards 1 where little of it was held out.
    fn width(&self, course: usize, season: usize) -> f32 {
        let all = mean(self.errors.iter().map(|e| e.abs()));
        let place = |course: usize| self.courses.partition_point(|&c| c < course);
        let rows = place(course)..place(course + 1);
        if rows.is_empty() || all <= 0.0 {
            return 1.0;
        }
        // Windows that follow one another by a step tell of about as many days as they span.
        let days = (rows.len() + self.errors.ncols()) as f32 / season as f32;
        let own = mean(rows.flat_map(|row| self.errors.row(row).to_vec()).map(f32::abs));
        (days * own / all + OWN_DAYS) / (days + OWN_DAYS)
    }
}

/// The members' answers by weight.
pub fn mix(said: &[Array2<f32>; MEMBERS], weights: [f32; MEMBERS]) -> Array2<f32> {
    let mut sum = Array2::zeros(said[0].raw_dim());
    for (member, weight) in said.iter().zip(weights) {
        sum.scaled_add(weight, member);
    }
    sum
}

impl Fan {
    /// Whether the parts fit together; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, horizon: usize, levels: usize) -> bool {
        self.weights.iter().all(|w| (0.0..=1.0).contains(w))
            && self.errors.dim() == (horizon, levels)
            && self
                .errors
                .rows()
                .into_iter()
                .all(|row| row.iter().all(|v| v.is_finite()) && row.iter().is_sorted())
    }
}
