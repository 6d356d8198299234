//! Shapley values of groups of features for any model: it is only asked, never opened.
//!
//! Every coalition of groups takes its features from the row and the others from the reference (`game`).

use crate::matrix::FeatureMatrix;
use crate::predict::{ModelError, Predict};

use super::game::{Coalition, Game};
use super::member::{Shares, Task};
use super::names::Grouping;

/// Contributions by group, for a model of which nothing else is known.
pub(super) fn attribute(model: &impl Predict, task: &Task<'_>) -> Result<Shares, ModelError> {
    let mut shares = Shares::new(task);
    let budget = task.evaluations_max / task.pairs().max(1);
    for row in 0..task.rows.rows() {
        let references = task.of(row);
        for (n, &reference) in references.iter().enumerate() {
            let pair = Pair { task, row, reference, active: active(task, row, reference) };
            let found = pair.shares(model, budget, n as u64)?;
            for (&group, share) in pair.active.iter().zip(found) {
                *shares.group_mut(row, group) += share / references.len() as f64;
            }
        }
    }
    Ok(shares)
}

/// Groups in which the two rows differ: the others contribute nothing.
fn active(task: &Task<'_>, row: usize, reference: usize) -> Vec<usize> {
    differing(task.grouping, &[(task.rows.row(row), task.background.row(reference))])
}

/// Groups in which any of the pairs of rows differ, rising.
pub(super) fn differing(grouping: &Grouping, pairs: &[(&[f32], &[f32])]) -> Vec<usize> {
    let differ = |a: f32, b: f32| a.to_bits() != b.to_bits() && !(a.is_nan() && b.is_nan());
    let moves = |c: usize| pairs.iter().any(|(a, b)| differ(a[c], b[c]));
    (0..grouping.groups.len())
        .filter(|&g| (0..grouping.of_column.len()).any(|c| grouping.of_column[c] == g && moves(c)))
        .collect()
}

struct Pair<'a> {
    task: &'a Task<'a>,
    row: usize,
    reference: usize,
    active: Vec<usize>,
}

impl Pair<'_> {
    /// One share per active group.
    fn shares(&self, model: &impl Predict, budget: usize, seed: u64) -> Result<Vec<f64>, ModelError> {
        let players = self.active.len();
        if players == 0 {
            return Ok(Vec::new());
        }
        let game = Game::new(players, budget, seed);
        Ok(game.shares(&self.ask(model, &game.coalitions())?))
    }

    /// The expected value of every coalition of active groups, which are the row's.
    fn ask(&self, model: &impl Predict, coalitions: &[Coalition]) -> Result<Vec<f64>, ModelError> {
        let (row, reference) = (self.task.rows.row(self.row), self.task.background.row(self.reference));
        let place: Vec<Option<usize>> =
            self.task.grouping.of_column.iter().map(|g| self.active.iter().position(|a| a == g)).collect();
        let mut values = Vec::with_capacity(coalitions.len() * row.len());
        for coalition in coalitions {
            let of_row = |c: usize| place[c].is_some_and(|place| coalition[place]);
            values.extend((0..row.len()).map(|c| if of_row(c) { row[c] } else { reference[c] }));
        }
        let matrix = FeatureMatrix {
            names: self.task.rows.names.clone(),
            keys: vec![self.task.rows.keys[self.row]; coalitions.len()],
            values,
            windows: None,
        };
        Ok(model.predict(&matrix)?.mean.into_iter().map(f64::from).collect())
    }
}
