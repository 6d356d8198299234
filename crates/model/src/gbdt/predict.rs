//! The fitted forest: packed trees, the walk through them, and quantiles and mean from what they add up to.

#[cfg(target_arch = "x86_64")]
mod avx2;
mod coder;
mod node;
mod pack;
mod resume;
mod scalar;
mod shrink;
mod walk;
mod wire;

use std::cell::RefCell;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use self::coder::Coder;
use self::pack::Packed;
use self::walk::{BLOCK, Sums};
use super::binning::Feature;
use super::grow::Tree;
use super::levels::{interpolation, mean_weights, nearest_to_half};
use crate::matrix::FeatureMatrix;
use crate::predict::{ModelError, Predict, Predictions};

pub(super) use self::node::{LEAF, LEAVES_MAX, Node, Plain};
pub use self::pack::Precision;
pub use self::shrink::Prune;

/// Rows that one thread answers at once.
const ROWS_AT_ONCE: usize = 4 * BLOCK;

/// The mean as a linear function of the learned quantiles: their integral, plus `spread` times the distance between
/// the outermost two, plus `shift`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct MeanRule {
    /// What the tails beyond the outermost levels add.
    pub spread: f32,
    /// What is added when there is one level only.
    pub shift: f32,
}

/// A fitted forest for all its levels.
///
/// Leaf values are kept as learned, or in 16 or 8 bits with a unit per tree. Asking it allocates nothing but the
/// answer, and [`Forest::predict_into`] not even that.
#[derive(Debug, Clone, PartialEq)]
pub struct Forest {
    /// Everything but the trees.
    stored: Box<Stored>,
    packed: Packed,
    coder: Coder,
    /// For every level, the knot below and the share of the next.
    places: Vec<(usize, f32)>,
    /// The weight of every knot in the mean.
    weights: Vec<f32>,
    /// The knot nearest to one half.
    middle: usize,
}

/// A forest on the workbench: what training fills, and what pruning takes apart.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    /// The levels forecast.
    pub levels: Vec<f64>,
    /// The positions of the levels learned.
    pub knots: Vec<usize>,
    pub features: Vec<Feature>,
    /// Values are learned as `(value - center) / scale`.
    pub center: f64,
    pub scale: f64,
    /// A start value per knot.
    pub start: Vec<f32>,
    /// By how much the distance of the knots from the middle one is stretched.
    pub width: f32,
    pub mean: MeanRule,
    trees: Vec<Plain>,
}

impl Stored {
    /// A forest without trees.
    pub fn new(
        levels: Vec<f64>,
        knots: Vec<usize>,
        features: Vec<Feature>,
        (center, scale): (f64, f64),
    ) -> Self {
        Self {
            start: vec![0.0; knots.len()],
            width: 1.0,
            levels,
            knots,
            features,
            center,
            scale,
            mean: MeanRule::default(),
            trees: Vec::new(),
        }
    }

    /// Appends a tree with its leaf values, a vector per leaf.
    pub fn push(&mut self, tree: &Tree, values: &[f32]) {
        let knots = self.knots.len();
        let plain = Plain::from_nodes(&tree.nodes, &values[..tree.leaves * knots], knots);
        self.trees.push(plain.expect("a grown tree has at most LEAVES_MAX ways to its leaves"));
    }

    /// Checks everything but the trees; the text says what is wrong.
    fn check(&self) -> Result<(), String> {
        let (levels, knots) = (self.levels.len(), self.knots.len());
        let rising =
            self.levels.windows(2).all(|w| w[0] < w[1]) && self.knots.windows(2).all(|w| w[0] < w[1]);
        let inside =
            self.levels.iter().all(|&l| l > 0.0 && l < 1.0) && self.knots.iter().all(|&k| k < levels);
        if knots == 0 || knots > pack::LANES_MAX || !rising || !inside {
            return Err("the forest's levels do not rise between 0 and 1".to_owned());
        }
        let rule = [self.width, self.mean.spread, self.mean.shift].map(f64::from);
        let numbers = rule.iter().chain([&self.center, &self.scale]);
        if self.start.len() != knots
            || !self.start.iter().all(|v| v.is_finite())
            || !numbers.into_iter().all(|v| v.is_finite())
            || self.width < 0.0
        {
            return Err("the forest's start values are not numbers".to_owned());
        }
        if !self.features.iter().all(Feature::is_valid) {
            return Err("a feature's bins do not rise".to_owned());
        }
        Ok(())
    }
}

thread_local! {
    /// What a thread asks forests with; kept, so that asking allocates nothing.
    static SCRATCH: RefCell<Scratch> = const { RefCell::new(Scratch { codes: Vec::new(), values: Vec::new() }) };
}

struct Scratch {
    codes: Vec<[u8; BLOCK]>,
    values: Vec<f32>,
}

impl Forest {
    /// Packs what training made, as it was learned.
    pub(super) fn new(stored: Stored) -> Self {
        Self::packed(stored, Precision::F32)
    }

    fn packed(mut stored: Stored, precision: Precision) -> Self {
        let trees = std::mem::take(&mut stored.trees);
        let packed = Packed::new(&trees, stored.knots.len(), precision);
        Self::with(stored, packed)
    }

    /// A forest that was read; the text says what is wrong with it.
    fn checked(stored: Stored, packed: Packed) -> Result<Self, String> {
        stored.check()?;
        let knots = stored.knots.len();
        let spans = |place: &pack::Place| (usize::from(place.group.low), usize::from(place.group.width));
        let inside = |place: &pack::Place| spans(place).1 > 0 && spans(place).0 + spans(place).1 <= knots;
        if !packed.places.iter().all(inside) {
            return Err("the forest's trees move levels that it does not learn".to_owned());
        }
        if packed.count() > 0 && packed.greatest_feature() >= stored.features.len().max(1) {
            return Err("the forest's trees read features that it does not have".to_owned());
        }
        Ok(Self::with(stored, packed))
    }

    fn with(stored: Stored, packed: Packed) -> Self {
        let mut forest = Self {
            places: interpolation(&stored.levels, &stored.knots),
            coder: Coder::new(&stored.features),
            weights: Vec::new(),
            middle: 0,
            stored: Box::new(stored),
            packed,
        };
        let knots = forest.learned_levels();
        forest.weights = mean_weights(&knots).iter().map(|&w| w as f32).collect();
        forest.middle = nearest_to_half(&knots);
        forest
    }

    pub(super) fn set_width(&mut self, width: f32) {
        self.stored.width = width;
    }

    pub(super) fn set_mean(&mut self, mean: MeanRule) {
        self.stored.mean = mean;
    }

    /// The levels it forecasts, rising.
    #[must_use]
    pub fn levels(&self) -> &[f64] {
        &self.stored.levels
    }

    /// How many trees it has.
    #[must_use]
    pub fn trees(&self) -> usize {
        self.packed.count()
    }

    /// The names of the features it reads.
    pub fn feature_names(&self) -> impl Iterator<Item = &str> {
        self.stored.features.iter().map(|feature| feature.name.as_str())
    }

    /// How exactly its leaves are kept.
    #[must_use]
    pub fn precision(&self) -> Precision {
        self.packed.precision
    }

    /// How many bytes it is written in.
    #[must_use]
    pub fn bytes(&self) -> usize {
        postcard::to_allocvec(self).map_or(0, |bytes| bytes.len())
    }

    /// The levels it learned; the others are interpolated.
    pub(super) fn learned_levels(&self) -> Vec<f64> {
        self.stored.knots.iter().map(|&k| self.stored.levels[k]).collect()
    }

    fn knots(&self) -> usize {
        self.stored.knots.len()
    }

    /// Where the features lie in a matrix, for [`Forest::predict_into`].
    ///
    /// # Errors
    /// [`ModelError::MissingFeature`] naming the first one that is not there.
    pub fn columns(&self, matrix: &FeatureMatrix) -> Result<Vec<usize>, ModelError> {
        let find = |feature: &Feature| {
            matrix
                .column(&feature.name)
                .ok_or_else(|| ModelError::MissingFeature { name: feature.name.clone() })
        };
        self.stored.features.iter().map(find).collect()
    }

    /// Standardised values of the knots, sorted, for consecutive rows.
    pub(super) fn knot_values(
        &self,
        matrix: &FeatureMatrix,
        columns: &[usize],
        first: usize,
        values: &mut [f32],
    ) {
        let width = matrix.columns();
        let cells = &matrix.values[first * width..];
        SCRATCH.with_borrow_mut(|scratch| self.add_up(cells, width, columns, &mut scratch.codes, values));
    }

    fn add_up(
        &self,
        cells: &[f32],
        width: usize,
        columns: &[usize],
        codes: &mut Vec<[u8; BLOCK]>,
        values: &mut [f32],
    ) {
        let knots = self.knots();
        // Forests of splits on nothing still ask for a code.
        codes.resize(columns.len().max(1), [0; BLOCK]);
        for (block, values) in values.chunks_mut(BLOCK * knots).enumerate() {
            let rows = values.len() / knots;
            let cells = &cells[block * BLOCK * width..];
            for (feature, (codes, &column)) in codes.iter_mut().zip(columns).enumerate() {
                for (row, code) in codes[..rows].iter_mut().enumerate() {
                    *code = self.coder.code(feature, cells[row * width + column]);
                }
            }
            values.chunks_exact_mut(knots).for_each(|v| v.copy_from_slice(&self.stored.start));
            walk::add(&self.packed, codes, &mut Sums { values, knots, rows });
        }
        for row in values.chunks_exact_mut(knots) {
            row.sort_unstable_by(f32::total_cmp);
            let middle = row[self.middle];
            for value in row {
                *value = middle + (*value - middle) * self.stored.width;
            }
        }
    }

    /// The standardised mean from sorted knot values.
    pub(super) fn mean(&self, knots: &[f32]) -> f32 {
        let rule = self.stored.mean;
        let integral: f32 = knots.iter().zip(&self.weights).map(|(v, w)| v * w).sum();
        integral + rule.spread * (knots[knots.len() - 1] - knots[0]) + rule.shift
    }

    fn restore(&self, value: f32) -> f32 {
        let value = f64::from(value) * self.stored.scale + self.stored.center;
        (value as f32).clamp(f32::MIN, f32::MAX)
    }

    /// Answers rows on this thread without allocating (once it has seen as many): `means.len()` rows of `width`
    /// values in `cells`, of which `columns` are the forest's, as [`Forest::columns`] found them. Fills a mean a row,
    /// and row-major quantiles, one a level, that do not fall.
    ///
    /// # Panics
    /// When the slices are of other lengths than that.
    pub fn predict_into(
        &self,
        cells: &[f32],
        width: usize,
        columns: &[usize],
        means: &mut [f32],
        quantiles: &mut [f32],
    ) {
        let (knots, levels) = (self.knots(), self.places.len());
        let sizes = (cells.len(), columns.len(), quantiles.len());
        let expected = (means.len() * width, self.stored.features.len(), means.len() * levels);
        assert_eq!(sizes, expected, "cells, columns and quantiles for these rows");
        SCRATCH.with_borrow_mut(|Scratch { codes, values }| {
            values.resize(means.len() * knots, 0.0);
            self.add_up(cells, width, columns, codes, values);
            let rows = values.chunks_exact(knots).zip(quantiles.chunks_exact_mut(levels));
            for ((row, out), mean) in rows.zip(means) {
                *mean = self.restore(self.mean(row));
                for (out, &(below, share)) in out.iter_mut().zip(&self.places) {
                    let next = row[(below + 1).min(knots - 1)];
                    *out = self.restore(row[below] + (next - row[below]) * share);
                }
            }
        });
    }
}

impl Predict for Forest {
    fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError> {
        let columns = self.columns(features)?;
        let (levels, width) = (self.places.len(), features.columns());
        let mut mean = vec![0.0; features.rows()];
        let mut quantiles = vec![0.0; features.rows() * levels];
        if features.rows() <= BLOCK || width == 0 {
            self.predict_into(&features.values, width, &columns, &mut mean, &mut quantiles);
        } else {
            let cells = features.values.par_chunks(ROWS_AT_ONCE * width);
            let out = mean.par_chunks_mut(ROWS_AT_ONCE).zip(quantiles.par_chunks_mut(ROWS_AT_ONCE * levels));
            cells.zip(out).for_each(|(cells, (mean, quantiles))| {
                self.predict_into(cells, width, &columns, mean, quantiles);
            });
        }
        Ok(Predictions { mean, quantiles, levels })
    }
}

#[cfg(test)]
mod tests;
