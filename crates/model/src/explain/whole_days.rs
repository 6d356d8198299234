//! Shapley values of groups of features for models that answer whole days: all rows of a forecast start change sides
//! together, because one answer reads them all.
//!
//! Of each reference day the rows that are compared with are put in place of the explained ones, group by group, and
//! the model is asked about the day so mixed. As in `grouped`, few groups are exact and many are drawn.

use rayon::prelude::*;

use crate::matrix::FeatureMatrix;
use crate::predict::{ModelError, Predict};

use super::grouped::{chain, exact, orders};
use super::member::{Shares, Task};

/// Orders of joining per reference day, at most: a day costs as much as many rows.
const ORDERS_MAX: usize = 4;

/// Contributions by group; `task.rows` are all rows of one forecast start and the background is made of whole
/// forecasts. What a row is about moves first and counts as calendar.
pub(super) fn attribute(model: &(impl Predict + Sync), task: &Task<'_>) -> Result<Shares, ModelError> {
    let mut shares = Shares::new(task);
    let days = days(task);
    let raw = model.predict(task.background)?.mean;
    let budget = task.evaluations_max / (days.len() * task.rows.rows()).max(1);
    let found: Vec<Result<Found, ModelError>> =
        days.par_iter().enumerate().map(|(i, day)| day.explain(model, budget, i as u64)).collect();
    for (day, found) in days.iter().zip(found) {
        let found = found?;
        for (i, &(row, reference)) in day.pairs.iter().enumerate() {
            let count = task.references[row].len() as f64;
            for (&group, share) in day.active.iter().zip(&found.shares[i]) {
                *shares.group_mut(row, group) += share / count;
            }
            let moved = found.before[i] - f64::from(raw[reference]);
            *shares.group_mut(row, task.grouping.calendar) += moved / count;
        }
    }
    Ok(shares)
}

/// A reference day: which explained rows are compared with which of its rows.
struct Day<'a> {
    task: &'a Task<'a>,
    pairs: Vec<(usize, usize)>,
    /// Groups in which some pair differs: the others contribute nothing.
    active: Vec<usize>,
}

/// What a reference day tells of each of its pairs.
struct Found {
    /// The answer with the reference's features, asked as the explained day.
    before: Vec<f64>,
    /// One share per active group.
    shares: Vec<Vec<f64>>,
}

/// The reference days that anything is compared with.
fn days<'a>(task: &'a Task<'a>) -> Vec<Day<'a>> {
    let mut first = 0;
    let mut days = Vec::new();
    for keys in task.background.keys.chunk_by(|a, b| a.origin == b.origin) {
        let span = first..first + keys.len();
        first = span.end;
        let of_row = |(row, references): (usize, &Vec<usize>)| {
            references.iter().find(|r| span.contains(r)).map(|&reference| (row, reference))
        };
        let pairs: Vec<(usize, usize)> = task.references.iter().enumerate().filter_map(of_row).collect();
        if !pairs.is_empty() {
            let active = active(task, &pairs);
            days.push(Day { task, pairs, active });
        }
    }
    days
}

fn active(task: &Task<'_>, pairs: &[(usize, usize)]) -> Vec<usize> {
    let mut differs = vec![false; task.grouping.groups.len()];
    for &(row, reference) in pairs {
        let both = task.rows.row(row).iter().zip(task.background.row(reference));
        for ((a, b), &group) in both.zip(&task.grouping.of_column) {
            differs[group] |= a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan());
        }
    }
    (0..differs.len()).filter(|&group| differs[group]).collect()
}

impl Day<'_> {
    fn explain(&self, model: &impl Predict, budget: usize, seed: u64) -> Result<Found, ModelError> {
        let players = self.active.len();
        let chains = ORDERS_MAX * (players + 1);
        if players < ORDERS_MAX * 2 && 1 << players <= chains.min(budget) {
            let values = self.ask(model, &(0..1_u64 << players).collect::<Vec<_>>())?;
            let of_pair = |i: usize| exact(&values.iter().map(|day| day[i]).collect::<Vec<_>>(), players);
            let shares = (0..self.pairs.len()).map(of_pair).collect();
            return Ok(Found { before: values[0].clone(), shares });
        }
        let orders = orders(players, (budget / (players + 1)).clamp(1, ORDERS_MAX), seed);
        let coalitions: Vec<u64> = orders.iter().flat_map(|order| chain(order)).collect();
        let values = self.ask(model, &coalitions)?;
        let mut shares = vec![vec![0.0; players]; self.pairs.len()];
        for (order, values) in orders.iter().zip(values.chunks_exact(players + 1)) {
            for (step, &player) in order.iter().enumerate() {
                for (i, share) in shares.iter_mut().enumerate() {
                    share[player] += (values[step + 1][i] - values[step][i]) / orders.len() as f64;
                }
            }
        }
        Ok(Found { before: values[0].clone(), shares })
    }

    /// The expected value of every pair's row for every coalition: bit `i` says that the `i`-th active group is the
    /// explained day's.
    fn ask(&self, model: &impl Predict, coalitions: &[u64]) -> Result<Vec<Vec<f64>>, ModelError> {
        let task = self.task;
        let columns = task.rows.columns();
        let bit: Vec<Option<usize>> =
            task.grouping.of_column.iter().map(|g| self.active.iter().position(|a| a == g)).collect();
        let ask = |&coalition: &u64| {
            let theirs = |c: usize| bit[c].is_some_and(|bit| coalition >> bit & 1 == 0);
            let mut values = task.rows.values.clone();
            for &(row, reference) in &self.pairs {
                let cells = values[row * columns..(row + 1) * columns].iter_mut();
                let cells = cells.zip(task.background.row(reference)).enumerate();
                cells.filter(|(c, _)| theirs(*c)).for_each(|(_, (cell, &value))| *cell = value);
            }
            // One coalition at a time: rows of one forecast start are one question.
            let day = FeatureMatrix { values, names: task.rows.names.clone(), keys: task.rows.keys.clone() };
            let mean = model.predict(&day)?.mean;
            Ok(self.pairs.iter().map(|&(row, _)| f64::from(mean[row])).collect())
        };
        coalitions.iter().map(ask).collect()
    }
}
