//! Contributions by family: exact where the family is known, by groups where it is not.

use rayon::prelude::*;

use crate::baseline::SeasonalNaiveModel;
use crate::ensemble::EnsembleModel;
use crate::gbdt::Forest;
use crate::learn::Model;
use crate::matrix::FeatureMatrix;
use crate::member::Member;
use crate::predict::ModelError;

use super::names::Grouping;
use super::trees::Walker;
use super::{days, grouped};

/// Rows to explain and what they are compared with; all matrices have the model's columns.
pub(super) struct Task<'a> {
    pub rows: &'a FeatureMatrix,
    pub background: &'a FeatureMatrix,
    /// Positions in the background for every row; empty for rows that are not compared.
    pub references: Vec<Vec<usize>>,
    /// Rows that are answered zero whatever the model says: they need no explanation.
    pub dark: Vec<bool>,
    pub grouping: &'a Grouping,
    /// Rows a model that is only asked may be asked, in all.
    pub evaluations_max: usize,
}

impl Task<'_> {
    /// How many pairs of row and reference there are.
    pub fn pairs(&self) -> usize {
        (0..self.rows.rows()).map(|row| self.of(row).len()).sum()
    }

    /// The references a row is to be explained against; none when it needs no explanation.
    pub fn of(&self, row: usize) -> &[usize] {
        if self.dark[row] { &[] } else { &self.references[row] }
    }
}

/// Contributions: per row one a column, and one a group for what cannot be told apart further.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shares {
    columns: usize,
    width: usize,
    values: Vec<f64>,
}

impl Shares {
    pub fn new(task: &Task<'_>) -> Self {
        let columns = task.rows.columns();
        let width = columns + task.grouping.groups.len();
        Self { columns, width, values: vec![0.0; task.rows.rows() * width] }
    }

    /// The columns' contributions and the groups' undivided ones.
    pub fn row(&self, row: usize) -> (&[f64], &[f64]) {
        self.values[row * self.width..(row + 1) * self.width].split_at(self.columns)
    }

    pub fn column_mut(&mut self, row: usize, column: usize) -> &mut f64 {
        &mut self.values[row * self.width + column]
    }

    pub fn group_mut(&mut self, row: usize, group: usize) -> &mut f64 {
        &mut self.values[row * self.width + self.columns + group]
    }

    fn add(&mut self, other: &Self, weight: impl Fn(usize) -> f64) {
        let rows = self.values.chunks_exact_mut(self.width).zip(other.values.chunks_exact(self.width));
        for (i, (own, other)) in rows.enumerate() {
            let weight = weight(i);
            own.iter_mut().zip(other).for_each(|(a, b)| *a += weight * b);
        }
    }
}

/// Whether every part of the model is explained feature by feature.
pub(super) fn is_divisible(model: &Model) -> bool {
    let known = |member: &Member| {
        matches!(
            member,
            Member::SeasonalNaive(_)
                | Member::SeasonalEmpirical(_)
                | Member::Linear(_)
                | Member::Gbdt(_)
                | Member::Scenario(_)
        )
    };
    if let Model::Single(member) = model {
        return known(member);
    }
    if let Model::Ensemble(mixture) = model {
        return mixture.members().iter().all(known);
    }
    false
}

/// Contributions to the model's own mean, before calibration and bounds.
pub(super) fn of_model(model: &Model, task: &Task<'_>) -> Result<Shares, ModelError> {
    // No `match`: a family added later is explained by groups until it has a way of its own.
    if let Model::Single(member) = model {
        return of_member(member, task);
    }
    if let Model::Ensemble(mixture) = model {
        return of_mixture(mixture, task);
    }
    if let Model::Days(model) = model {
        // Its inputs are those of a whole day: single rows of many coalitions mean nothing to it.
        return Ok(days::attribute(model.as_ref(), task)?.0);
    }
    grouped::attribute(model, task)
}

/// The mean of a mixture is linear in its members', and so are the contributions.
fn of_mixture(mixture: &EnsembleModel, task: &Task<'_>) -> Result<Shares, ModelError> {
    let mut total = Shares::new(task);
    for (m, member) in mixture.members().iter().enumerate() {
        let shares = of_member(member, task)?;
        total.add(&shares, |row| f64::from(mixture.weights().at(task.rows.keys[row].lead)[m]));
    }
    Ok(total)
}

fn of_member(member: &Member, task: &Task<'_>) -> Result<Shares, ModelError> {
    if let Member::Linear(model) = member {
        let columns = model.columns(task.rows)?;
        return Ok(by_pair(task, columns.len(), &columns, |row, reference, out| {
            let (to, from) = (task.rows.row(row), task.background.row(reference));
            model.attribute(&columns, &task.rows.keys[row], (to, from), out);
        }));
    }
    if let Member::Gbdt(forest) = member {
        return of_forest(forest, task);
    }
    if let Member::SeasonalNaive(model) = member {
        return of_naive(model, task);
    }
    if let Member::SeasonalEmpirical(_) | Member::Scenario(_) = member {
        // It reads no features: everything it says comes from what the row is about, which is counted elsewhere.
        return Ok(Shares::new(task));
    }
    grouped::attribute(member, task)
}

/// The whole difference belongs to the one lag that is repeated.
fn of_naive(model: &SeasonalNaiveModel, task: &Task<'_>) -> Result<Shares, ModelError> {
    let columns = model.columns(task.rows)?;
    let mut shares = Shares::new(task);
    for (row, key) in task.rows.keys.iter().enumerate() {
        let references = task.of(row);
        let (column, value) = model.told(&columns, key, task.rows.row(row));
        let usual = |&r: &usize| f64::from(model.told(&columns, key, task.background.row(r)).1);
        let count = references.len().max(1) as f64;
        let share = references.iter().map(|r| f64::from(value) - usual(r)).sum::<f64>() / count;
        match column {
            Some(column) => *shares.column_mut(row, column) += share,
            // No lag is known: it repeats what is usual at this time of day.
            None => *shares.group_mut(row, task.grouping.calendar) += share,
        }
    }
    Ok(shares)
}

fn of_forest(forest: &Forest, task: &Task<'_>) -> Result<Shares, ModelError> {
    let columns = forest.positions(task.rows)?;
    let trees = forest.mean_trees();
    let walker = Walker::new(&trees);
    let codes = |matrix: &FeatureMatrix| -> Vec<Vec<u8>> {
        (0..matrix.rows()).map(|i| forest.codes(&columns, matrix.row(i))).collect()
    };
    let (of_rows, of_background) = (codes(task.rows), codes(task.background));
    Ok(by_pair(task, columns.len(), &columns, |row, reference, out| {
        walker.add(&of_rows[row], &of_background[reference], out);
    }))
}

/// The mean over each row's references of what `add` adds for a pair; `places` says which column each entry is.
fn by_pair(
    task: &Task<'_>,
    entries: usize,
    places: &[usize],
    add: impl Fn(usize, usize, &mut [f64]) + Sync,
) -> Shares {
    let mut shares = Shares::new(task);
    let width = shares.width;
    shares.values.par_chunks_mut(width).enumerate().for_each(|(row, out)| {
        let references = task.of(row);
        let mut found = vec![0.0; entries];
        references.iter().for_each(|&reference| add(row, reference, &mut found));
        for (&column, share) in places.iter().zip(found) {
            out[column] += share / references.len().max(1) as f64;
        }
    });
    shares
}
