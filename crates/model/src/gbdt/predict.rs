//! The fitted forest: a compact layout, and the walk through it.

mod scalar;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::binning::Feature;
use super::grow::Tree;
use super::levels::{interpolation, mean_weights, nearest_to_half};
use crate::matrix::FeatureMatrix;
use crate::predict::{ModelError, Predict, Predictions};

/// The bit that marks a child as a leaf.
pub(super) const LEAF: u16 = 1 << 15;
/// Rows that walk a tree together, so that the tree stays in the cache.
const BLOCK_ROWS: usize = 64;
/// Trees that one row walks together, so that the loads of one hide those of the others.
const ABREAST: usize = 8;

/// An inner node: eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u16; 5]", into = "[u16; 5]")]
pub(super) struct Node {
    /// Left and right; [`LEAF`] and a leaf's number, or a node's position within its tree.
    pub children: [u16; 2],
    feature: u16,
    /// 0 when missing values go left, 1 when right: their code 0 minus 1 wraps to 255.
    shift: u8,
    threshold: u8,
}

impl Node {
    /// A node whose codes up to `last_left` go left; missing values may go right only if that is 1 or more.
    pub fn new(feature: u16, last_left: u8, missing_left: bool, children: [u16; 2]) -> Self {
        let shift = u8::from(!missing_left);
        Self { children, feature, shift, threshold: last_left.saturating_sub(shift) }
    }

    /// Whether a code goes left.
    pub fn goes_left(&self, code: u8) -> bool {
        code.wrapping_sub(self.shift) <= self.threshold
    }
}

impl From<[u16; 5]> for Node {
    fn from([left, right, feature, shift, threshold]: [u16; 5]) -> Self {
        Self {
            children: [left, right],
            feature,
            shift: u8::from(shift != 0),
            threshold: threshold.min(255) as u8,
        }
    }
}

impl From<Node> for [u16; 5] {
    fn from(node: Node) -> Self {
        let [left, right] = node.children;
        [left, right, node.feature, node.shift.into(), node.threshold.into()]
    }
}

/// The leaf of a tree that a row reaches.
pub(super) fn leaf(nodes: &[Node], code: impl Fn(usize) -> u8) -> usize {
    let mut at = if nodes.is_empty() { LEAF } else { 0 };
    while at & LEAF == 0 {
        let node = &nodes[usize::from(at)];
        let right = !node.goes_left(code(usize::from(node.feature)));
        at = node.children[usize::from(right)];
    }
    usize::from(at & !LEAF)
}

/// Where a tree lies in the forest's vectors.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Span {
    first_node: u32,
    nodes: u16,
    /// In leaves, of one vector of steps each.
    first_leaf: u32,
    leaves: u16,
    /// What a step of 1 in a leaf's integers is worth.
    unit: f32,
}

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
/// Leaf values are 16-bit integers with a unit per tree, which halves the memory and errs by less than 1/65,000 of
/// the tree's largest step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored", into = "Stored")]
pub struct Forest {
    stored: Stored,
    /// For every level, the knot below and the share of the next.
    places: Vec<(usize, f32)>,
    /// The weight of every knot in the mean.
    weights: Vec<f32>,
    /// The knot nearest to one half.
    middle: usize,
}

/// What is written of a forest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
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
    trees: Vec<Span>,
    nodes: Vec<Node>,
    leaves: Vec<i16>,
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
            nodes: Vec::new(),
            leaves: Vec::new(),
        }
    }

    /// Appends a tree with its leaf values, a vector per leaf.
    pub fn push(&mut self, tree: &Tree, values: &[f32]) {
        let greatest = values.iter().fold(0.0_f32, |max, v| max.max(v.abs()));
        let unit = if greatest > 0.0 { greatest / f32::from(i16::MAX) } else { 1.0 };
        // At most 10,000 trees of 256 leaves: the positions fit.
        self.trees.push(Span {
            first_node: self.nodes.len() as u32,
            nodes: tree.nodes.len() as u16,
            first_leaf: (self.leaves.len() / self.knots.len()) as u32,
            leaves: tree.leaves as u16,
            unit,
        });
        self.nodes.extend_from_slice(&tree.nodes);
        self.leaves.extend(values.iter().map(|v| (v / unit).round() as i16));
    }

    /// Checks everything that walking relies on; the text says what is wrong.
    fn check(&self) -> Result<(), String> {
        let (levels, knots) = (self.levels.len(), self.knots.len());
        let rising =
            self.levels.windows(2).all(|w| w[0] < w[1]) && self.knots.windows(2).all(|w| w[0] < w[1]);
        let inside =
            self.levels.iter().all(|&l| l > 0.0 && l < 1.0) && self.knots.iter().all(|&k| k < levels);
        if knots == 0 || !rising || !inside {
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
        let mut next = (0, 0);
        for (i, tree) in self.trees.iter().enumerate() {
            if (tree.first_node as usize, tree.first_leaf as usize) != next || !self.is_sound(tree) {
                return Err(format!("tree {i} of the forest is damaged"));
            }
            next = (next.0 + usize::from(tree.nodes), next.1 + usize::from(tree.leaves));
        }
        if next.0 != self.nodes.len() || next.1 * knots != self.leaves.len() {
            return Err("the forest's trees do not add up".to_owned());
        }
        Ok(())
    }

    fn is_sound(&self, tree: &Span) -> bool {
        let from = tree.first_node as usize;
        let Some(nodes) = self.nodes.get(from..from + usize::from(tree.nodes)) else {
            return false;
        };
        // A child that is a node comes after its parent, so every walk ends.
        let child_is_sound = |position: usize, child: u16| match child & LEAF {
            0 => usize::from(child) > position && child < tree.nodes,
            _ => child & !LEAF < tree.leaves,
        };
        let node_is_sound = |(position, node): (usize, &Node)| {
            usize::from(node.feature) < self.features.len()
                && node.children.iter().all(|&child| child_is_sound(position, child))
        };
        tree.leaves > 0 && tree.unit.is_finite() && nodes.iter().enumerate().all(node_is_sound)
    }
}

impl TryFrom<Stored> for Forest {
    type Error = String;
    fn try_from(stored: Stored) -> Result<Self, String> {
        stored.check()?;
        Ok(Self::new(stored))
    }
}

impl From<Forest> for Stored {
    fn from(forest: Forest) -> Self {
        forest.stored
    }
}

impl Forest {
    pub(super) fn new(stored: Stored) -> Self {
        let mut forest = Self {
            places: interpolation(&stored.levels, &stored.knots),
            weights: Vec::new(),
            middle: 0,
            stored,
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
        self.stored.trees.len()
    }

    /// The levels it learned; the others are interpolated.
    pub(super) fn learned_levels(&self) -> Vec<f64> {
        self.stored.knots.iter().map(|&k| self.stored.levels[k]).collect()
    }

    fn knots(&self) -> usize {
        self.stored.knots.len()
    }

    /// Where the features lie in a matrix.
    pub(super) fn columns(&self, matrix: &FeatureMatrix) -> Result<Vec<usize>, ModelError> {
        let find = |feature: &Feature| {
            matrix
                .column(&feature.name)
                .ok_or_else(|| ModelError::MissingFeature { name: feature.name.clone() })
        };
        self.stored.features.iter().map(find).collect()
    }

    /// What is written of it.
    pub(super) fn stored(&self) -> &Stored {
        &self.stored
    }

    /// Standardised values of the knots, sorted, for a block of consecutive rows.
    pub(super) fn knot_values(
        &self,
        matrix: &FeatureMatrix,
        columns: &[usize],
        first: usize,
        values: &mut [f32],
    ) {
        let (forest, knots) = (&self.stored, self.knots());
        let rows = values.len() / knots;
        let mut codes = Vec::with_capacity(rows * columns.len());
        for row in first..first + rows {
            let cells = matrix.row(row);
            let pairs = forest.features.iter().zip(columns);
            codes.extend(pairs.map(|(feature, &column)| feature.code(cells[column])));
        }
        values.chunks_exact_mut(knots).for_each(|v| v.copy_from_slice(&forest.start));
        for trees in forest.trees.chunks(ABREAST) {
            for (row, sums) in values.chunks_exact_mut(knots).enumerate() {
                self.add_trees(trees, &codes[row * columns.len()..(row + 1) * columns.len()], sums);
            }
        }
        for row in values.chunks_exact_mut(knots) {
            row.sort_unstable_by(f32::total_cmp);
            let middle = row[self.middle];
            for value in row {
                *value = middle + (*value - middle) * forest.width;
            }
        }
    }

    /// Adds the leaf vectors of a few trees to a row's sums, walking the trees abreast.
    fn add_trees(&self, trees: &[Span], codes: &[u8], sums: &mut [f32]) {
        let mut at = [LEAF; ABREAST];
        let mut first = [0_usize; ABREAST];
        for (i, tree) in trees.iter().enumerate() {
            at[i] = if tree.nodes == 0 { LEAF } else { 0 };
            first[i] = tree.first_node as usize;
        }
        let mut walking = trees.len();
        while walking > 0 {
            walking = 0;
            for i in 0..trees.len() {
                if at[i] & LEAF == 0 {
                    let node = &self.stored.nodes[first[i] + usize::from(at[i])];
                    let right = !node.goes_left(codes[usize::from(node.feature)]);
                    at[i] = node.children[usize::from(right)];
                    walking += 1;
                }
            }
        }
        for (tree, reached) in trees.iter().zip(at) {
            let leaf = (tree.first_leaf as usize + usize::from(reached & !LEAF)) * sums.len();
            let steps = &self.stored.leaves[leaf..leaf + sums.len()];
            for (sum, &step) in sums.iter_mut().zip(steps) {
                *sum += f32::from(step) * tree.unit;
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

    fn predict_block(
        &self,
        matrix: &FeatureMatrix,
        columns: &[usize],
        first: usize,
        means: &mut [f32],
        out: &mut [f32],
    ) {
        let knots = self.knots();
        let mut values = vec![0.0; means.len() * knots];
        self.knot_values(matrix, columns, first, &mut values);
        let rows = values.chunks_exact(knots).zip(out.chunks_exact_mut(self.places.len()));
        for ((row, out), mean) in rows.zip(means) {
            *mean = self.restore(self.mean(row));
            for (out, &(below, share)) in out.iter_mut().zip(&self.places) {
                let next = row[(below + 1).min(knots - 1)];
                *out = self.restore(row[below] + (next - row[below]) * share);
            }
        }
    }
}

impl Predict for Forest {
    fn predict(&self, features: &FeatureMatrix) -> Result<Predictions, ModelError> {
        let columns = self.columns(features)?;
        let levels = self.places.len();
        let mut mean = vec![0.0; features.rows()];
        let mut quantiles = vec![0.0; features.rows() * levels];
        let blocks = mean.par_chunks_mut(BLOCK_ROWS).zip(quantiles.par_chunks_mut(BLOCK_ROWS * levels));
        if features.rows() <= BLOCK_ROWS {
            self.predict_block(features, &columns, 0, &mut mean, &mut quantiles);
        } else {
            blocks.enumerate().for_each(|(i, (mean, quantiles))| {
                self.predict_block(features, &columns, i * BLOCK_ROWS, mean, quantiles);
            });
        }
        Ok(Predictions { mean, quantiles, levels })
    }
}
