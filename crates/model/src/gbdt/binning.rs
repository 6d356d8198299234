//! Features as bytes: quantile bins, and a bin of its own for missing values.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::matrix::FeatureMatrix;

/// The code of a missing value; others start at 1.
pub(super) const MISSING: u8 = 0;
/// The most bins of present values.
const MAX_BINS: usize = 254;
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

/// The training rows as codes.
pub(super) struct Binned {
    /// The features that take more than one value, in column order.
    pub features: Vec<Feature>,
    /// How many rows.
    pub rows: usize,
    /// `ceil(features / LANES)` groups of `rows` entries; a lane beyond the last feature is [`MISSING`].
    pub codes: Vec<[u8; LANES]>,
}

impl Binned {
    /// Finds the bins of a matrix and codes its rows.
    pub fn new(matrix: &FeatureMatrix) -> Self {
        let columns = matrix.columns();
        let found: Vec<Option<Feature>> =
            (0..columns).into_par_iter().map(|c| find_bins(matrix, c)).collect();
        let used: Vec<usize> = (0..columns).filter(|&c| found[c].is_some()).collect();
        Self::coded(found.into_iter().flatten().take(MAX_FEATURES).collect(), &used, matrix)
    }

    /// Codes the rows of a matrix in bins that are there; `used` are the columns of the features.
    pub fn coded(features: Vec<Feature>, used: &[usize], matrix: &FeatureMatrix) -> Self {
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
        Self { features, rows, codes }
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
fn find_bins(matrix: &FeatureMatrix, column: usize) -> Option<Feature> {
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
    let cuts = if distinct.len() <= MAX_BINS {
        distinct.windows(2).map(|w| middle(w[0], w[1])).collect()
    } else {
        quantile_cuts(&sorted)
    };
    let name = matrix.names[column].clone();
    Some(Feature { name, cuts })
}

/// Cuts that leave about equally many values in each bin; a value that fills several bins alone gets one.
fn quantile_cuts(sorted: &[f32]) -> Vec<f32> {
    let mut cuts = Vec::with_capacity(MAX_BINS - 1);
    for i in 1..MAX_BINS {
        let at = sorted[i * sorted.len() / MAX_BINS];
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
