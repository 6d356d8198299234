//! Smaller forests: leaves in fewer bits, fewer leaves, fewer trees, and no bins or features that nothing asks for.
//!
//! Trees and leaves go by how little they do: a tree by the mean square of what it adds, a pair of sibling leaves by
//! the square of what tells them apart, weighted by rows (the cost-complexity pruning of Breiman et al. 1984, chapter
//! 3, with the forest's own answer as the target). The leaves that stay then take over what is gone: backfitting
//! (Friedman and Stuetzle 1981) brings the sum back to what the whole forest said on the same rows. No target is read,
//! so nothing is learned anew.

use rayon::prelude::*;

use super::wire::coarse;
use super::{Forest, Plain, Precision, Stored, node};
use crate::gbdt::binning::MISSING;
use crate::matrix::FeatureMatrix;
use crate::predict::ModelError;

/// Rows that pruning looks at; more are thinned evenly.
const ROWS_MAX: usize = 8_000;
/// How often every leaf is set anew.
const PASSES: usize = 12;
/// A leaf with fewer rows moves less: as if it had so many more that ask for no change.
const CAUTION: f32 = 4.0;

/// How much of a forest to keep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prune {
    /// The share of trees that stay, above 0 and up to 1.
    pub trees: f64,
    /// The most leaves of a tree, from 2.
    pub leaves: usize,
}

impl Forest {
    /// The same trees with leaves kept as exactly as that. In less than full precision, cuts that no split asks for
    /// go too, with the features that have none left, and the others are kept in 16 bits.
    #[must_use]
    pub fn with_precision(&self, precision: Precision) -> Self {
        let mut stored = self.unpacked();
        if precision != Precision::F32 {
            drop_unused(&mut stored);
            stored.features.iter_mut().for_each(|feature| feature.cuts = coarse(&feature.cuts));
        }
        Self::packed(stored, precision)
    }

    /// A forest with fewer trees and leaves that says about the same for rows like these; as exact as this one.
    ///
    /// # Errors
    /// [`ModelError::MissingFeature`] naming the first feature that the rows lack.
    pub fn pruned(&self, rows: &FeatureMatrix, prune: Prune) -> Result<Self, ModelError> {
        let columns = self.columns(rows)?;
        let mut stored = self.unpacked();
        let stride = rows.rows().div_ceil(ROWS_MAX).max(1);
        let picked: Vec<usize> = (0..rows.rows()).step_by(stride).collect();
        if picked.is_empty() || stored.trees.is_empty() {
            return Ok(self.clone());
        }
        let codes: Vec<Vec<u8>> = picked.par_iter().map(|&row| self.codes(&columns, rows.row(row))).collect();
        let knots = stored.knots.len();
        let whole = Sample { codes: &codes, knots }.sums(&stored.trees);
        keep_trees(&mut stored.trees, &Sample { codes: &codes, knots }, prune.trees);
        let sample = Sample { codes: &codes, knots };
        stored.trees.par_iter_mut().for_each(|tree| sample.merge_leaves(tree, prune.leaves.max(2)));
        sample.backfit(&mut stored.trees, &whole);
        drop_unused(&mut stored);
        Ok(Self::packed(stored, self.packed.precision))
    }

    /// The forest back on the workbench.
    pub(in crate::gbdt) fn unpacked(&self) -> Stored {
        Stored { trees: self.packed.trees(self.knots()), ..(*self.stored).clone() }
    }
}

/// Keeps the trees that do most.
fn keep_trees(trees: &mut Vec<Plain>, sample: &Sample<'_>, share: f64) {
    let keep = ((trees.len() as f64 * share).ceil() as usize).clamp(1, trees.len());
    let effects: Vec<f64> = trees.par_iter().map(|tree| sample.effect(tree)).collect();
    let mut order: Vec<usize> = (0..trees.len()).collect();
    order.sort_by(|&a, &b| effects[b].total_cmp(&effects[a]));
    order.truncate(keep);
    order.sort_unstable();
    *trees = order.into_iter().map(|i| std::mem::take(&mut trees[i])).collect();
}

/// Rows as codes.
struct Sample<'a> {
    codes: &'a [Vec<u8>],
    knots: usize,
}

impl Sample<'_> {
    /// The leaf of every row.
    fn leaves(&self, tree: &Plain) -> Vec<u8> {
        // At most 256 leaves.
        self.codes.iter().map(|codes| tree.leaf(|feature| codes[feature]) as u8).collect()
    }

    fn counts(&self, tree: &Plain) -> Vec<f64> {
        let mut counts = vec![0.0; tree.splits.len() + 1];
        self.leaves(tree).into_iter().for_each(|leaf| counts[usize::from(leaf)] += 1.0);
        counts
    }

    /// What the trees add up to, row after row.
    fn sums(&self, trees: &[Plain]) -> Vec<f32> {
        let mut sums = vec![0.0; self.codes.len() * self.knots];
        sums.par_chunks_exact_mut(self.knots).zip(self.codes).for_each(|(sums, codes)| {
            for tree in trees {
                let leaf = tree.leaf(|feature| codes[feature]) * self.knots;
                sums.iter_mut().zip(&tree.values[leaf..]).for_each(|(sum, value)| *sum += value);
            }
        });
        sums
    }

    /// The sum of squares of what a tree adds.
    fn effect(&self, tree: &Plain) -> f64 {
        let square = |values: &[f32]| values.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>();
        let leaves = tree.values.chunks_exact(self.knots);
        leaves.zip(self.counts(tree)).map(|(values, count)| count * square(values)).sum()
    }

    /// Merges sibling leaves, those first that merging changes least, until no more than `most` are left.
    fn merge_leaves(&self, tree: &mut Plain, most: usize) {
        let mut counts = self.counts(tree);
        while tree.splits.len() + 1 > most {
            let candidates = (0..tree.splits.len()).filter(|&i| parts_leaves(&tree.splits, i));
            let costed = candidates.map(|i| (i, self.cost(tree, &counts, i)));
            let Some((i, _)) = costed.min_by(|a, b| a.1.total_cmp(&b.1)) else { return };
            self.merge(tree, &mut counts, i);
        }
    }

    /// What merging leaves `i` and `i + 1` changes: the squares, weighted by rows.
    fn cost(&self, tree: &Plain, counts: &[f64], i: usize) -> f64 {
        let of = |leaf: usize| &tree.values[leaf * self.knots..(leaf + 1) * self.knots];
        let apart: f64 = of(i).iter().zip(of(i + 1)).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        let (left, right) = (counts[i] + 0.5, counts[i + 1] + 0.5);
        apart * left * right / (left + right)
    }

    fn merge(&self, tree: &mut Plain, counts: &mut Vec<f64>, i: usize) {
        let share = ((counts[i] + 0.5) / (counts[i] + counts[i + 1] + 1.0)) as f32;
        for k in i * self.knots..(i + 1) * self.knots {
            tree.values[k] = tree.values[k] * share + tree.values[k + self.knots] * (1.0 - share);
        }
        tree.values.drain((i + 1) * self.knots..(i + 2) * self.knots);
        counts[i] += counts.remove(i + 1);
        tree.splits.remove(i);
        // Leaves from i + 1 on have moved one to the left.
        let moved = tree.splits.iter_mut().filter(|split| usize::from(split.start) > i);
        moved.for_each(|split| split.start -= 1);
    }

    /// Sets leaf values anew, tree after tree, so that the sums come back to `whole`.
    fn backfit(&self, trees: &mut [Plain], whole: &[f32]) {
        let knots = self.knots;
        let now = self.sums(trees);
        let mut missing: Vec<f32> = whole.iter().zip(now).map(|(a, b)| a - b).collect();
        let leaves: Vec<Vec<u8>> = trees.par_iter().map(|tree| self.leaves(tree)).collect();
        // Levels that a tree leaves alone stay so: its vectors get no wider.
        let moves = |tree: &Plain, k: usize| tree.values.iter().skip(k).step_by(knots).any(|&v| v != 0.0);
        let moved: Vec<Vec<bool>> =
            trees.iter().map(|tree| (0..knots).map(|k| moves(tree, k)).collect()).collect();
        for _ in 0..PASSES {
            for ((tree, leaves), moved) in trees.iter_mut().zip(&leaves).zip(&moved) {
                let mut steps = vec![0.0_f32; tree.values.len()];
                let mut counts = vec![CAUTION; tree.splits.len() + 1];
                for (&leaf, missing) in leaves.iter().zip(missing.chunks_exact(knots)) {
                    let leaf = usize::from(leaf);
                    counts[leaf] += 1.0;
                    steps[leaf * knots..].iter_mut().zip(missing).for_each(|(sum, m)| *sum += m);
                }
                for (steps, count) in steps.chunks_exact_mut(knots).zip(&counts) {
                    steps.iter_mut().zip(moved).for_each(|(s, &m)| *s = if m { *s / count } else { 0.0 });
                }
                tree.values.iter_mut().zip(&steps).for_each(|(value, step)| *value += step);
                for (&leaf, missing) in leaves.iter().zip(missing.chunks_exact_mut(knots)) {
                    let steps = &steps[usize::from(leaf) * knots..];
                    missing.iter_mut().zip(steps).for_each(|(m, step)| *m -= step);
                }
            }
        }
    }
}

/// Whether both halves of a split are leaves.
fn parts_leaves(splits: &[node::Split], i: usize) -> bool {
    let left_is_leaf = usize::from(splits[i].start) == i;
    // The right half begins at leaf i + 1; a split there, of that leaf, means that the leaf is no half of ours.
    let right_is_leaf = splits[i + 1..].iter().all(|split| usize::from(split.start) != i + 1);
    left_is_leaf && right_is_leaf
}

/// Drops cuts that no split asks for, and features without any use. Changes no answer.
pub(super) fn drop_unused(stored: &mut Stored) {
    let mut used = vec![[false; 256]; stored.features.len()];
    let splits =
        |stored: &Stored| stored.trees.iter().flat_map(|tree| tree.splits.clone()).collect::<Vec<_>>();
    for split in splits(stored) {
        used[usize::from(split.feature)][usize::from(split.last_left())] = true;
    }
    let mut features = Vec::new();
    // For every feature its new position, and for every code the new one.
    let mut moved = vec![(0_u16, [0_u8; 256]); used.len()];
    for ((feature, used), moved) in stored.features.iter().zip(&used).zip(&mut moved) {
        let mut codes = [MISSING; 256];
        let mut cuts = Vec::new();
        for code in 1..=feature.cuts.len() + 1 {
            codes[code] = cuts.len() as u8 + 1;
            // The cut of a code lies above it.
            if used[code] && code <= feature.cuts.len() {
                cuts.push(feature.cuts[code - 1]);
            }
        }
        codes[feature.cuts.len() + 2..].fill(255); // above all codes
        *moved = (features.len() as u16, codes);
        if used.contains(&true) {
            features.push(super::Feature { name: feature.name.clone(), cuts });
        }
    }
    for split in stored.trees.iter_mut().flat_map(|tree| &mut tree.splits) {
        let (feature, codes) = &moved[usize::from(split.feature)];
        let last_left = codes[usize::from(split.last_left())];
        let shift = u8::from(split.missing_right);
        split.feature = *feature;
        split.threshold = last_left.saturating_sub(shift);
    }
    stored.features = features;
}
