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
        Self { rows: earlier, of_row }
    }

    /// The same valid times in another forecast: the explained rows that it has too, and what they are compared with.
    #[must_use]
    pub fn same_times(explained: &FeatureMatrix, other: FeatureMatrix) -> (FeatureMatrix, Self) {
        let find = |key: &RowKey| other.keys.iter().position(|known| known.valid_time == key.valid_time);
        let pairs: Vec<(usize, usize)> =
            explained.keys.iter().enumerate().filter_map(|(i, key)| Some((i, find(key)?))).collect();
        let shared = explained.select(&pairs.iter().map(|pair| pair.0).collect::<Vec<_>>());
        let of_row = pairs.into_iter().map(|(_, found)| vec![found]).collect();
        (shared, Self { rows: other, of_row })
    }

    /// Compares only the rows of a span: the others are there because the model reads them beside it.
    #[must_use]
    pub fn only(mut self, span: std::ops::Range<usize>) -> Self {
        self.of_row.iter_mut().enumerate().filter(|(i, _)| !span.contains(i)).for_each(|(_, of)| of.clear());
        self
    }

    /// The same valid times in another forecast, for all explained rows; none for those it does not have.
    #[must_use]
    pub fn beside(explained: &FeatureMatrix, other: FeatureMatrix) -> Self {
        let find = |key: &RowKey| other.keys.iter().position(|known| known.valid_time == key.valid_time);
        let of_row = explained.keys.iter().map(|key| find(key).into_iter().collect()).collect();
        Self { rows: other, of_row }
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
