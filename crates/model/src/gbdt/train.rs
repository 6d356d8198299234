//! The training loop: four trees at a time, early stopping on held-out forecast starts, leaf values for all outputs.

use rayon::prelude::*;

use super::Params;
use super::aim::Aim;
use super::binning::Binned;
use super::grow::{Grown, Part, Task, Tree, Workspace, grow};
use super::leaves::{Buffer, Residuals, weights};
use super::shape::Monotone;
use super::tally::{Entry, SmallVote, Step, Unit, Vote, Weighted};
use super::turns::Turns;
use crate::random::Random;

/// Trees grown from the same predictions; fixed, so that the result does not depend on the number of threads.
const AT_ONCE: usize = 4;

/// Trees with their leaf values, and how many of each course.
pub(super) struct Trees {
    pub start: Vec<f32>,
    pub trees: Vec<(Tree, Vec<f32>)>,
    pub counts: Vec<usize>,
}

/// Everything trees are grown from.
pub(super) struct Trainer<'a> {
    pub params: &'a Params,
    pub aim: Aim,
    /// Standardised.
    pub target: Vec<f32>,
    /// One per row, with a mean of 1; all alike when there are none.
    pub weights: Option<Vec<f32>>,
    pub binned: Binned,
    /// Row-major predictions to go on from.
    pub base: Option<Vec<f32>>,
}

/// What one of the trees grown at once works with.
struct Slot<E: Entry> {
    work: Workspace<E>,
    /// The leaf of every row.
    leaf_of: Vec<u16>,
    slopes: Vec<(f32, f32)>,
    inside: Vec<u32>,
    buffer: Buffer,
}

impl<E: Entry> Default for Slot<E> {
    fn default() -> Self {
        let (leaf_of, slopes, inside) = (Vec::new(), Vec::new(), Vec::new());
        Self { work: Workspace::default(), leaf_of, slopes, inside, buffer: Buffer::default() }
    }
}

/// Rows to grow on and rows to be judged on.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub grown_on: &'a [u32],
    pub held_out: &'a [u32],
}

impl Trainer<'_> {
    /// Grows at most `limits` trees, one number for all outputs together or one for each, until the loss on the
    /// held-out rows stops falling; with none held out, all the trees.
    pub fn grow(&self, rows: Rows<'_>, limits: &[usize]) -> Trees {
        match (self.weights.is_some() || self.aim.curves(), self.aim.votes()) {
            (true, _) => self.grow_by::<Weighted>(rows, limits),
            (false, false) => self.grow_by::<Step>(rows, limits),
            (false, true) if rows.grown_on.len() < 1 << 16 => self.grow_by::<SmallVote>(rows, limits),
            (false, true) => self.grow_by::<Vote>(rows, limits),
        }
    }

    fn grow_by<E: Entry>(&self, rows: Rows<'_>, limits: &[usize]) -> Trees {
        let start = if self.base.is_some() { Vec::new() } else { self.start(rows.grown_on) };
        let mut predicted = self.base.clone().unwrap_or_else(|| start.repeat(self.binned.rows));
        let mut trees: Vec<(usize, (Tree, Vec<f32>))> = Vec::new();
        let mut slots: Vec<Slot<E>> = (0..AT_ONCE).map(|_| Slot::default()).collect();
        let mut turns = Turns::new(self.params.seed, &self.aim, limits);
        let judged = !rows.held_out.is_empty();
        loop {
            if judged {
                let loss = |outputs: &_| self.loss(rows.held_out, &predicted, outputs);
                turns.judge(self.params.patience, loss);
            }
            let picks = turns.next(AT_ONCE);
            if picks.is_empty() {
                break;
            }
            let first = trees.len();
            let work = slots.par_iter_mut().zip(&picks).enumerate();
            let batch: Vec<(Tree, Vec<f32>)> = work
                .map(|(i, (slot, &(own, _)))| self.one_tree(slot, rows, &predicted, own, first + i))
                .collect();
            self.add(&mut predicted, &batch, &slots);
            trees.extend(picks.iter().map(|&(_, course)| course).zip(batch));
        }
        let counts = turns.best();
        let mut left = counts.clone();
        trees.retain(|&(course, _)| {
            let keep = left[course] > 0;
            left[course] = left[course].saturating_sub(1);
            keep
        });
        Trees { start, trees: trees.into_iter().map(|(_, tree)| tree).collect(), counts }
    }

    /// The best constant for every output.
    fn start(&self, rows: &[u32]) -> Vec<f32> {
        let nothing = vec![0.0; self.target.len() * self.aim.outputs()];
        let residuals = self.residuals(&nothing);
        let mut buffer = Buffer::default();
        (0..self.aim.outputs()).map(|output| residuals.wanted(rows, output, &mut buffer) as f32).collect()
    }

    fn residuals<'a>(&'a self, predicted: &'a [f32]) -> Residuals<'a> {
        Residuals { aim: &self.aim, target: &self.target, weights: self.weights.as_deref(), predicted }
    }

    /// Grows one tree for the output `own` and sets its leaves for all outputs.
    fn one_tree<E: Entry>(
        &self,
        slot: &mut Slot<E>,
        rows: Rows<'_>,
        predicted: &[f32],
        own: usize,
        number: usize,
    ) -> (Tree, Vec<f32>) {
        let mut random = Random::new(self.params.seed, number as u64 + 1);
        self.deal(slot, rows, predicted, own, &mut random);
        let task = Task {
            binned: &self.binned,
            features: &self.draw_features(&mut random),
            max_leaves: self.params.leaves,
            leaf_rows: u32::try_from(self.params.leaf_rows).unwrap_or(u32::MAX),
        };
        let grown = grow(&task, &mut slot.work);
        slot.leaf_of.resize(self.binned.rows, 0);
        for (leaf, part) in grown.parts.iter().enumerate() {
            let leaf = leaf as u16;
            let work = &slot.work;
            work.rows[part.rows.clone()].iter().for_each(|e| slot.leaf_of[e.row() as usize] = leaf);
            let others =
                work.outside[part.outside.clone()].iter().chain(&work.held_out[part.held_out.clone()]);
            others.for_each(|&row| slot.leaf_of[row as usize] = leaf);
        }
        let values = self.leaf_values(slot, &grown, predicted, own);
        (grown.tree, values)
    }

    /// Deals the rows out to those a tree is grown on and those that set its leaf values.
    fn deal<E: Entry>(
        &self,
        slot: &mut Slot<E>,
        rows: Rows<'_>,
        predicted: &[f32],
        own: usize,
        random: &mut Random,
    ) {
        let outputs = self.aim.outputs();
        let slope = |row: u32| {
            let at = row as usize;
            let (gradient, curve) = self.aim.slope(self.target[at], predicted[at * outputs + own]);
            let weight = self.weights.as_ref().map_or(1.0, |weights| weights[at]);
            (gradient * weight, curve * weight)
        };
        let unit = if E::IS_VOTE {
            Unit::default()
        } else {
            slot.slopes.clear();
            slot.slopes.extend(rows.grown_on.iter().map(|&row| slope(row)));
            let greatest = |of: fn(&(f32, f32)) -> f32| slot.slopes.iter().map(of).fold(0.0, f32::max);
            Unit::new(rows.grown_on.len(), greatest(|s| s.0.abs()), greatest(|s| s.1))
        };
        let work = &mut slot.work;
        work.rows.resize(rows.grown_on.len(), E::default());
        work.outside.resize(rows.grown_on.len(), 0);
        let (mut inside, mut outside) = (0, 0);
        for (i, &row) in rows.grown_on.iter().enumerate() {
            let (gradient, weight) = if E::IS_VOTE { slope(row) } else { slot.slopes[i] };
            let is_inside = random.chance(self.params.bag_share);
            // Both are written and one is kept: a branch would be guessed wrong almost half of the time.
            work.rows[inside] = E::new(row, gradient, weight, unit);
            work.outside[outside] = row;
            inside += usize::from(is_inside);
            outside += usize::from(!is_inside);
        }
        work.rows.truncate(inside);
        work.outside.truncate(outside);
        work.held_out.clear();
        work.held_out.extend_from_slice(rows.held_out);
    }

    fn draw_features(&self, random: &mut Random) -> Vec<usize> {
        let mut features: Vec<usize> = (0..self.binned.features.len()).collect();
        let count = (features.len() as f64 * self.params.feature_share).ceil() as usize;
        random.shuffle(&mut features);
        features.truncate(count);
        features.sort_unstable();
        features
    }

    fn leaf_values<E: Entry>(
        &self,
        slot: &mut Slot<E>,
        grown: &Grown,
        predicted: &[f32],
        own: usize,
    ) -> Vec<f32> {
        let mut steps = match &self.aim {
            Aim::Quantiles(levels) => weights(levels, own, self.params.decay()),
            Aim::Point(_) => vec![1.0],
        };
        steps.iter_mut().for_each(|w| *w *= self.params.learning_rate);
        let residuals = self.residuals(predicted);
        let mut values = Vec::with_capacity(grown.parts.len() * steps.len());
        for Part { rows, outside, .. } in &grown.parts {
            slot.inside.clear();
            slot.inside.extend(slot.work.rows[rows.clone()].iter().map(|entry| entry.row()));
            let outside = &slot.work.outside[outside.clone()];
            residuals.append((outside, &slot.inside), &steps, &mut slot.buffer, &mut values);
        }
        if self.binned.is_bound() {
            let rows: Vec<usize> = grown.parts.iter().map(|part| part.rows.len()).collect();
            let monotone = Monotone { binned: &self.binned, branches: &grown.branches, rows: &rows };
            hold(&monotone, &mut values, steps.len());
        }
        values
    }

    /// Adds a batch of trees to all predictions.
    fn add<E: Entry>(&self, predicted: &mut [f32], batch: &[(Tree, Vec<f32>)], slots: &[Slot<E>]) {
        const ROWS: usize = 4096;
        let outputs = self.aim.outputs();
        let chunks = predicted.par_chunks_mut(ROWS * outputs).enumerate();
        chunks.for_each(|(chunk, predicted)| {
            for ((_, values), slot) in batch.iter().zip(slots) {
                let leaves = slot.leaf_of[chunk * ROWS..].iter();
                for (row, &leaf) in predicted.chunks_exact_mut(outputs).zip(leaves) {
                    let steps = &values[usize::from(leaf) * outputs..][..outputs];
                    row.iter_mut().zip(steps).for_each(|(sum, step)| *sum += step);
                }
            }
        });
    }

    /// The loss of rows, summed over some outputs.
    fn loss(&self, rows: &[u32], predicted: &[f32], outputs: &std::ops::Range<usize>) -> f64 {
        let count = self.aim.outputs();
        let of_row = |&row: &u32| {
            let row = row as usize;
            let weight = self.weights.as_ref().map_or(1.0, |weights| f64::from(weights[row]));
            let of = |output| self.aim.loss(output, self.target[row], predicted[row * count + output]);
            weight * outputs.clone().map(of).sum::<f64>()
        };
        rows.iter().map(of_row).sum()
    }
}

/// Holds the values of every output of a tree's leaves, leaf-major, within the bounds of its monotone splits.
fn hold(monotone: &Monotone<'_>, values: &mut [f32], outputs: usize) {
    for output in 0..outputs {
        let mut own: Vec<f32> = values.iter().skip(output).step_by(outputs).copied().collect();
        monotone.hold(&mut own);
        values.iter_mut().skip(output).step_by(outputs).zip(own).for_each(|(value, held)| *value = held);
    }
}
