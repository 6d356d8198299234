//! What a forecast is compared with: other rows of the same features, some for each row explained.

use crate::groups::steps_per_day;
use crate::matrix::{FeatureMatrix, RowKey};

/// Reference rows, and which of them each explained row is compared with.
#[derive(Debug, Clone, PartialEq)]
pub struct Background {
    /// The reference rows, with the columns of the explained ones.
    pub rows: FeatureMatrix,
    /// Positions in `rows` for every explained row.
    of_row: Vec<Vec<usize>>,
    /// Whether each explained row is to be told of; the others are there for models that read whole days.
    told: Vec<bool>,
    /// Whether the references are like days, whose mean is the usual.
    usual: bool,
}

impl Background {
    /// The usual: each row is compared with the rows of `earlier` forecasts for the same time of day at the same
    /// lead time. Where the clocks changed in between, the nearest lead with that time of day is taken.
    #[must_use]
    pub fn usual(explained: &FeatureMatrix, earlier: FeatureMatrix) -> Self {
        let reach = steps_per_day(&explained.keys) / 8;
        let forecasts: Vec<(usize, &[RowKey])> = by_origin(&earlier.keys);
        let of_row = explained
            .keys
            .iter()
            .map(|key| {
                let like = |(first, keys): &(usize, &[RowKey])| Some(first + nearest(keys, key, reach)?);
                forecasts.iter().filter_map(like).collect()
            })
            .collect();
        Self { rows: earlier, of_row, told: vec![true; explained.rows()], usual: true }
    }

    /// The same valid times in another forecast; explained rows that it does not have are not told of.
    #[must_use]
    pub fn same_times(explained: &FeatureMatrix, other: FeatureMatrix) -> Self {
        let find = |key: &RowKey| other.keys.iter().position(|known| known.valid_time == key.valid_time);
        let of_row: Vec<Vec<usize>> =
            explained.keys.iter().map(|key| find(key).into_iter().collect()).collect();
        let told = of_row.iter().map(|found| !found.is_empty()).collect();
        Self { rows: other, of_row, told, usual: false }
    }

    /// Tells of the rows of a span alone. A model that reads whole days still needs all of them.
    #[must_use]
    pub fn only(mut self, span: std::ops::Range<usize>) -> Self {
        self.told
            .iter_mut()
            .enumerate()
            .filter(|(row, _)| !span.contains(row))
            .for_each(|(_, told)| *told = false);
        self
    }

    /// Whether a row is to be told of.
    pub(super) fn tells(&self, row: usize) -> bool {
        self.told.get(row).copied().unwrap_or(false)
    }

    /// Whether the references of a row are like days, whose mean is the usual.
    pub(super) fn is_usual(&self) -> bool {
        self.usual
    }

    /// The positions of a row's reference rows; empty for one that has none.
    pub(super) fn of(&self, row: usize) -> &[usize] {
        self.of_row.get(row).map_or(&[], Vec::as_slice)
    }
}

/// Where each origin's rows begin, and their keys.
fn by_origin(keys: &[RowKey]) -> Vec<(usize, &[RowKey])> {
    let mut first = 0;
    keys.chunk_by(|a, b| a.origin == b.origin)
        .map(|chunk| {
            let begin = first;
            first += chunk.len();
            (begin, chunk)
        })
        .collect()
}

/// The row of a forecast that is most like `key`: same lead and same time of day, or another lead within `reach`.
fn nearest(forecast: &[RowKey], key: &RowKey, reach: u32) -> Option<usize> {
    let apart = |other: &RowKey| other.lead.abs_diff(key.lead);
    let same_time = forecast
        .iter()
        .enumerate()
        .filter(|(_, other)| other.slot_of_day == key.slot_of_day && apart(other) <= reach);
    let best = same_time.min_by_key(|(_, other)| apart(other));
    best.or_else(|| forecast.iter().enumerate().find(|(_, other)| other.lead == key.lead)).map(|(i, _)| i)
}
