//! The training loop: four trees at a time, early stopping on held-out forecast starts, the final forest.

use forewatt_domain::QuantileLevels;
use forewatt_domain::time::MICROS_PER_DAY;
use rayon::prelude::*;

use super::Params;
use super::binning::Binned;
use super::calibrate::{mean_rule, width};
use super::grow::{Task, Tree, Workspace, grow};
use super::leaves::{Residuals, append, weights};
use super::levels::{knots, pinball, quantile};
use super::predict::{Forest, Stored, leaf};
use crate::matrix::{FeatureMatrix, RowKey, TrainingSet};
use crate::predict::ModelError;
use crate::random::Random;

/// Trees grown from the same predictions; fixed, so that the result does not depend on the number of threads.
const AT_ONCE: usize = 4;
/// With fewer held-out rows than this, the loss on them would choose the number of trees by luck.
const MIN_HELD_OUT: usize = 40;

/// Learns a forest; the rows have been checked.
pub(super) fn train(params: &Params, data: &TrainingSet, levels: &QuantileLevels) -> Forest {
    let levels = levels.as_slice().to_vec();
    let knots = knots(&levels);
    let (center, scale) = standard(&data.target);
    let target: Vec<f32> = data.target.iter().map(|&y| ((f64::from(y) - center) / scale) as f32).collect();
    let binned = Binned::new(&data.features);
    let features = &data.features;
    let levels_learned = knots.iter().map(|&k| levels[k]).collect();
    let chances = chances(features, params.half_life_days);
    let trainer = Trainer { params, levels: levels_learned, target, binned, chances };
    let forest = |grown: Grown| {
        let mut stored =
            Stored::new(levels.clone(), knots.clone(), trainer.binned.features.clone(), (center, scale));
        stored.start = grown.start;
        for (tree, values) in &grown.trees {
            stored.push(tree, values);
        }
        Forest::new(stored)
    };
    let all: Vec<u32> = (0..features.rows() as u32).collect();
    let (rows, held_out) = hold_out(features, params.held_out_share);
    let mut fitted = if held_out.len() < MIN_HELD_OUT {
        forest(trainer.grow(&all, &[], params.trees))
    } else {
        let mut chosen = forest(trainer.grow(&rows, &held_out, params.trees));
        let width = width(&chosen, features, &trainer.target, &held_out);
        if params.refit {
            chosen = forest(trainer.grow(&all, &[], chosen.trees()));
        }
        chosen.set_width(width);
        chosen
    };
    fitted.set_mean(mean_rule(&fitted, features, &trainer.target));
    fitted
}

/// More trees for a forest, grown on rows that have been checked from what it says of them.
pub(super) fn go_on(
    params: &Params,
    forest: &Forest,
    data: &TrainingSet,
    trees: usize,
) -> Result<Forest, ModelError> {
    let features = &data.features;
    let columns = forest.columns(features)?;
    let mut stored = forest.stored().clone();
    let binned = Binned::coded(stored.features.clone(), &columns, features);
    let standardised = |&y: &f32| ((f64::from(y) - stored.center) / stored.scale) as f32;
    let target = data.target.iter().map(standardised).collect();
    let levels = forest.learned_levels();
    let mut predicted = vec![0.0; features.rows() * levels.len()];
    // The stretch of the outer levels is no part of what trees add up to.
    let mut plain = forest.clone();
    plain.set_width(1.0);
    plain.knot_values(features, &columns, 0, &mut predicted);
    let chances = chances(features, params.half_life_days);
    let trainer = Trainer { params, levels, target, binned, chances };
    let rows: Vec<u32> = (0..features.rows() as u32).collect();
    let span = forest.trees()..forest.trees() + trees;
    for (tree, values) in &trainer.grow_from(&rows, &[], &mut predicted, span) {
        stored.push(tree, values);
    }
    Ok(Forest::new(stored))
}

/// The chance of every row to be drawn for a tree: half after so many days before the last forecast start.
fn chances(features: &FeatureMatrix, half_life_days: Option<f64>) -> Option<Vec<f64>> {
    let (half_life, last) = (half_life_days?, features.keys.iter().map(|key| key.origin).max()?);
    let days = |key: &RowKey| last.micros_since(key.origin) as f64 / MICROS_PER_DAY as f64;
    Some(features.keys.iter().map(|key| 0.5_f64.powf(days(key) / half_life)).collect())
}

/// The median of the targets and a scale: the mean absolute deviation from it; 1 when all are equal.
fn standard(target: &[f32]) -> (f64, f64) {
    let center = f64::from(quantile(&mut target.to_vec(), 0.5));
    let deviation: f64 = target.iter().map(|&y| (f64::from(y) - center).abs()).sum();
    let scale = deviation / target.len() as f64;
    (center, if scale > 0.0 { scale } else { 1.0 })
}

/// Rows to learn from and rows held out: those of the last forecast starts.
fn hold_out(features: &FeatureMatrix, share: f64) -> (Vec<u32>, Vec<u32>) {
    let mut origins: Vec<_> = features.keys.iter().map(|key| key.origin).collect();
    origins.sort_unstable();
    origins.dedup();
    let kept = origins.len() - (origins.len() as f64 * share) as usize;
    let first_held = origins.get(kept.max(1)).copied();
    let rows = 0..features.rows() as u32;
    rows.partition(|&row| first_held.is_none_or(|first| features.keys[row as usize].origin < first))
}

/// Trees with their leaf values.
struct Grown {
    start: Vec<f32>,
    trees: Vec<(Tree, Vec<f32>)>,
}

struct Trainer<'a> {
    params: &'a Params,
    /// The levels learned.
    levels: Vec<f64>,
    /// Standardised.
    target: Vec<f32>,
    binned: Binned,
    /// The chance of each row to be drawn for a tree; all are drawn when absent.
    chances: Option<Vec<f64>>,
}

/// What one of the trees grown at once works with.
#[derive(Default)]
struct Slot {
    work: Workspace,
    outside: Vec<u32>,
    /// Rows that were not drawn for the tree.
    passed: Vec<u32>,
    /// The leaf of every row.
    leaf_of: Vec<u16>,
    buffer: Vec<f32>,
}

impl Trainer<'_> {
    /// Grows trees from `rows` until the loss on `held_out` stops falling; with none held out, all the trees.
    fn grow(&self, rows: &[u32], held_out: &[u32], trees: usize) -> Grown {
        let of = |level: &f64| {
            let mut targets: Vec<f32> = rows.iter().map(|&row| self.target[row as usize]).collect();
            quantile(&mut targets, *level)
        };
        let start: Vec<f32> = self.levels.iter().map(of).collect();
        let mut predicted = start.repeat(self.binned.rows);
        let trees = self.grow_from(rows, held_out, &mut predicted, 0..trees);
        Grown { start, trees }
    }

    /// Grows the trees of these numbers from where the predictions stand.
    fn grow_from(
        &self,
        rows: &[u32],
        held_out: &[u32],
        predicted: &mut [f32],
        numbers: std::ops::Range<usize>,
    ) -> Vec<(Tree, Vec<f32>)> {
        let (levels, trees) = (self.levels.len(), numbers.len());
        let mut grown = Vec::with_capacity(trees);
        let mut slots: Vec<Slot> = (0..AT_ONCE).map(|_| Slot::default()).collect();
        let mut cycle = Cycle::new(self.params.seed, levels);
        let mut best = (self.loss(held_out, predicted), 0);
        while grown.len() < trees {
            let owns: Vec<usize> = (0..AT_ONCE).map(|_| cycle.next()).collect();
            let first = grown.len();
            let number = numbers.start + first;
            let (seen, held) = (&*predicted, held_out);
            let mut batch: Vec<(Tree, Vec<f32>)> = slots
                .par_iter_mut()
                .zip(&owns)
                .enumerate()
                .map(|(i, (slot, &own))| self.one_tree(slot, (rows, held), seen, own, number + i))
                .collect();
            batch.truncate(trees - first);
            self.add(predicted, &batch, &slots);
            grown.append(&mut batch);
            if !held_out.is_empty() {
                let loss = self.loss(held_out, predicted);
                if loss < best.0 {
                    best = (loss, grown.len());
                } else if grown.len() >= best.1 + self.params.patience {
                    break;
                }
            }
        }
        if !held_out.is_empty() {
            grown.truncate(best.1);
        }
        grown
    }

    /// Grows one tree for the level `own` and sets its leaves for all levels.
    fn one_tree(
        &self,
        slot: &mut Slot,
        (rows, held_out): (&[u32], &[u32]),
        predicted: &[f32],
        own: usize,
        number: usize,
    ) -> (Tree, Vec<f32>) {
        let levels = self.levels.len();
        let mut random = Random::new(self.params.seed, number as u64 + 1);
        slot.work.rows.clear();
        slot.outside.clear();
        slot.passed.clear();
        for &row in rows {
            let at = row as usize;
            if self.chances.as_ref().is_some_and(|chances| !random.chance(chances[at])) {
                slot.passed.push(row);
                continue;
            }
            if random.chance(self.params.bag_share) {
                let above = predicted[at * levels + own] > self.target[at];
                slot.work.rows.push(row << 1 | u32::from(above));
            } else {
                slot.outside.push(row);
            }
        }
        let task = Task {
            binned: &self.binned,
            features: &self.draw_features(&mut random),
            max_leaves: self.params.leaves,
            leaf_rows: u32::try_from(self.params.leaf_rows).unwrap_or(u32::MAX),
        };
        let (tree, ranges) = grow(&task, &mut slot.work);
        slot.leaf_of.resize(self.binned.rows, 0);
        for (leaf, &(from, to)) in ranges.iter().enumerate() {
            for entry in &slot.work.rows[from..to] {
                slot.leaf_of[(entry >> 1) as usize] = leaf as u16;
            }
        }
        for &row in slot.outside.iter().chain(&slot.passed).chain(held_out) {
            let reached = leaf(&tree.nodes, |feature| self.binned.code(row as usize, feature));
            slot.leaf_of[row as usize] = reached as u16;
        }
        let values = self.leaf_values(slot, &ranges, predicted, own);
        (tree, values)
    }

    fn draw_features(&self, random: &mut Random) -> Vec<usize> {
        let mut features: Vec<usize> = (0..self.binned.features.len()).collect();
        let count = (features.len() as f64 * self.params.feature_share).ceil() as usize;
        random.shuffle(&mut features);
        features.truncate(count);
        features.sort_unstable();
        features
    }

    fn leaf_values(
        &self,
        slot: &mut Slot,
        ranges: &[(usize, usize)],
        predicted: &[f32],
        own: usize,
    ) -> Vec<f32> {
        let mut steps = weights(&self.levels, own, self.params.level_decay);
        steps.iter_mut().for_each(|w| *w *= self.params.learning_rate);
        let residuals = Residuals { target: &self.target, predicted, levels: &self.levels };
        // Stable, so that rows keep their order within a leaf.
        let leaf_of = &slot.leaf_of;
        slot.outside.sort_by_key(|&row| leaf_of[row as usize]);
        let mut values = Vec::with_capacity(ranges.len() * self.levels.len());
        let mut outside: &[u32] = &slot.outside;
        for (leaf, &(from, to)) in ranges.iter().enumerate() {
            let here = outside.partition_point(|&row| usize::from(leaf_of[row as usize]) <= leaf);
            let (own_rows, others) = outside.split_at(here);
            outside = others;
            let inside: Vec<u32> = slot.work.rows[from..to].iter().map(|entry| entry >> 1).collect();
            append(&residuals, (own_rows, &inside), &steps, &mut slot.buffer, &mut values);
        }
        values
    }

    /// Adds a batch of trees to all predictions.
    fn add(&self, predicted: &mut [f32], batch: &[(Tree, Vec<f32>)], slots: &[Slot]) {
        const ROWS: usize = 4096;
        let levels = self.levels.len();
        let chunks = predicted.par_chunks_mut(ROWS * levels).enumerate();
        chunks.for_each(|(chunk, predicted)| {
            for ((_, values), slot) in batch.iter().zip(slots) {
                let leaves = slot.leaf_of[chunk * ROWS..].iter();
                for (row, &leaf) in predicted.chunks_exact_mut(levels).zip(leaves) {
                    let steps = &values[usize::from(leaf) * levels..][..levels];
                    row.iter_mut().zip(steps).for_each(|(sum, step)| *sum += step);
                }
            }
        });
    }

    /// The pinball loss of rows, summed over levels.
    fn loss(&self, rows: &[u32], predicted: &[f32]) -> f64 {
        let levels = self.levels.len();
        let of_row = |&row: &u32| {
            let row = row as usize;
            let values = &predicted[row * levels..(row + 1) * levels];
            let pairs = self.levels.iter().zip(values);
            pairs.map(|(&level, &value)| pinball(level, self.target[row], value)).sum::<f64>()
        };
        rows.iter().map(of_row).sum()
    }
}

/// The levels in a random order, then in another, without end.
struct Cycle {
    order: Vec<usize>,
    at: usize,
    random: Random,
}

impl Cycle {
    fn new(seed: u64, levels: usize) -> Self {
        Self { order: (0..levels).collect(), at: levels, random: Random::new(seed, 0) }
    }

    fn next(&mut self) -> usize {
        if self.at == self.order.len() {
            self.random.shuffle(&mut self.order);
            self.at = 0;
        }
        self.at += 1;
        self.order[self.at - 1]
    }
}
