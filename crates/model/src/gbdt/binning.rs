//! Features as bytes: quantile bins, and a bin of its own for missing values.

use std::collections::BTreeMap;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Monotone;
use crate::matrix::FeatureMatrix;

/// The code of a missing value; others start at 1.
pub(super) const MISSING: u8 = 0;
/// The most bins of present values.
pub(super) const MAX_BINS: usize = 254;
/// A feature with more values than this is a number even where it is called a category.
const MAX_CATEGORIES: usize = 64;
/// Rows that decide the cuts; more would not move them.
const MAX_SAMPLE: usize = 200_000;
/// The most features: their positions are 16-bit.
const MAX_FEATURES: usize = 1 << 16;
/// Features whose codes lie side by side.
pub(super) const LANES: usize = 8;

/// A feature and where its bins end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Feature {
    /// The column's name.
    pub name: String,
    /// Rising upper ends of all bins but the last; 1 to 253 of them.
    pub cuts: Vec<f32>,
}

impl Feature {
    /// The code of a value: [`MISSING`] for NaN, else 1 + the number of cuts below it.
    pub fn code(&self, value: f32) -> u8 {
        if value.is_nan() {
            return MISSING;
        }
        let value = finite(value);
        // At most 253 cuts, so the code fits.
        (1 + self.cuts.partition_point(|&cut| cut < value)) as u8
    }

    /// Whether the cuts are what [`Feature::code`] assumes.
    pub fn is_valid(&self) -> bool {
        self.cuts.len() < MAX_BINS
            && self.cuts.iter().all(|cut| cut.is_finite())
            && self.cuts.windows(2).all(|w| w[0] < w[1])
    }
}

/// How a feature may be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// At thresholds; forecasts may not fall with it (1), may not rise (-1), or may do as they like (0).
    Number(i8),
    /// Into sets: each value has a bin of its own.
    Category,
}

/// The training rows as codes.
pub(super) struct Binned {
    /// The features that take more than one value, in column order.
    pub features: Vec<Feature>,
    /// How each may be split.
    pub kinds: Vec<Kind>,
    /// How many rows.
    pub rows: usize,
    /// `ceil(features / LANES)` groups of `rows` entries; a lane beyond the last feature is [`MISSING`].
    pub codes: Vec<[u8; LANES]>,
}

impl Binned {
    /// Finds at most `most` bins of each column of a matrix and codes its rows.
    pub fn new(matrix: &FeatureMatrix, most: usize) -> Self {
        let columns = (0..matrix.columns()).into_par_iter();
        let found: Vec<Option<Feature>> = columns.map(|column| find_bins(matrix, column, most)).collect();
        let used: Vec<usize> = (0..found.len()).filter(|&column| found[column].is_some()).collect();
        Self::coded(matrix, found.into_iter().flatten().take(MAX_FEATURES).collect(), &used)
    }

    /// Codes the rows of a matrix by bins that were found before, which lie in the given columns.
    pub fn coded(matrix: &FeatureMatrix, features: Vec<Feature>, used: &[usize]) -> Self {
        let (rows, columns) = (matrix.rows(), matrix.columns());
        let mut codes = vec![[MISSING; LANES]; features.len().div_ceil(LANES) * rows];
        codes.par_chunks_mut(rows.max(1)).enumerate().for_each(|(g, group)| {
            let from = g * LANES;
            for f in from..features.len().min(from + LANES) {
                for (row, lanes) in group.iter_mut().enumerate() {
                    lanes[f - from] = features[f].code(matrix.values[row * columns + used[f]]);
                }
            }
        });
        let kinds = vec![Kind::Number(0); features.len()];
        Self { features, kinds, rows, codes }
    }

    /// Says how the features are to be split.
    pub fn set_kinds(&mut self, categorical: &[String], monotone: &BTreeMap<String, Monotone>) {
        for (feature, kind) in self.features.iter().zip(&mut self.kinds) {
            *kind = match monotone.get(&feature.name) {
                Some(Monotone::Rising) => Kind::Number(1),
                Some(Monotone::Falling) => Kind::Number(-1),
                None if categorical.contains(&feature.name) && feature.cuts.len() < MAX_CATEGORIES => {
                    Kind::Category
                }
                None => Kind::Number(0),
            };
        }
    }

    /// Whether forecasts must be monotone in some feature.
    pub fn is_bound(&self) -> bool {
        self.kinds.iter().any(|kind| matches!(kind, Kind::Number(-1 | 1)))
    }

    /// One more than the greatest code of a group of features.
    pub fn codes_used(&self, group: usize) -> usize {
        let features = &self.features[group * LANES..self.features.len().min((group + 1) * LANES)];
        features.iter().map(|feature| feature.cuts.len() + 2).max().unwrap_or(1)
    }

    /// The code of one cell.
    pub fn code(&self, row: usize, feature: usize) -> u8 {
        self.codes[feature / LANES * self.rows + row][feature % LANES]
    }

    /// The codes of one group of features, an entry per row.
    pub fn group(&self, group: usize) -> &[[u8; LANES]] {
        &self.codes[group * self.rows..(group + 1) * self.rows]
    }
}

/// The bins of one column; `None` when it cannot split rows (one value at most, none missing beside it).
fn find_bins(matrix: &FeatureMatrix, column: usize, most: usize) -> Option<Feature> {
    let stride = matrix.rows().div_ceil(MAX_SAMPLE).max(1);
    let cells = matrix.values.iter().skip(column).step_by(matrix.columns() * stride);
    let mut sorted: Vec<f32> = cells.filter(|value| !value.is_nan()).map(|&value| finite(value)).collect();
    let some_missing = sorted.len() < matrix.rows().div_ceil(stride);
    sorted.sort_unstable_by(f32::total_cmp);
    let mut distinct = sorted.clone();
    distinct.dedup_by(|a, b| a == b); // by value: -0 equals 0
    if distinct.is_empty() || (distinct.len() == 1 && !some_missing) {
        return None;
    }
    let cuts = if distinct.len() <= most {
        distinct.windows(2).map(|w| middle(w[0], w[1])).collect()
    } else {
        quantile_cuts(&sorted, most)
    };
    let name = matrix.names[column].clone();
    Some(Feature { name, cuts })
}

/// Cuts that leave about equally many values in each bin; a value that fills several bins alone gets one.
fn quantile_cuts(sorted: &[f32], most: usize) -> Vec<f32> {
    let mut cuts = Vec::with_capacity(most - 1);
    for i in 1..most {
        let at = sorted[i * sorted.len() / most];
        // The cut lies between this value and the one before it, so that equal values share a bin.
        let next = sorted.partition_point(|&v| v < at);
        let cut = if next == 0 { at } else { middle(sorted[next - 1], at) };
        if cuts.last().is_none_or(|&last| cut > last) {
            cuts.push(cut);
        }
    }
    cuts
}

/// Infinities as the greatest numbers, so that cuts are numbers.
fn finite(value: f32) -> f32 {
    value.clamp(f32::MIN, f32::MAX)
}

/// A value at or above `low` and below `high`.
fn middle(low: f32, high: f32) -> f32 {
    let middle = low / 2.0 + high / 2.0; // the sum first could overflow
    if middle >= low && middle < high { middle } else { low }
}
