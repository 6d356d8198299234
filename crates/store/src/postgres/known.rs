//! What this node has seen of each series: which revision a replica must have reached, and how to read it best.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use forewatt_domain::{Series, SeriesName};

use crate::SeriesState;

/// Series remembered at most; those beyond are read from the primary.
const SERIES_MAX: usize = 100_000;
/// With more revisions than this for each valid time, seeking the newest of each is cheaper than reading them all.
const CROWDED: u64 = 8;

#[derive(Debug, Clone, Copy)]
struct Seen {
    revision: u64,
    crowded: bool,
}

/// A bounded memory of series.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<HashMap<SeriesName, Seen>>);

impl Known {
    /// Remembers a series as the primary tells it.
    pub(super) fn saw(&self, series: &Series, state: &SeriesState) {
        self.put(&series.name, state.revision, Some(is_crowded(series, state)));
    }

    /// Remembers the revision a write made.
    pub(super) fn wrote(&self, name: &SeriesName, revision: u64) {
        self.put(name, revision, None);
    }

    fn put(&self, name: &SeriesName, revision: u64, crowded: Option<bool>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = all.get_mut(name) {
            // Reads may overtake one another; what was seen once stays seen.
            seen.revision = seen.revision.max(revision);
            seen.crowded = crowded.unwrap_or(seen.crowded);
        } else if all.len() < SERIES_MAX {
            all.insert(name.clone(), Seen { revision, crowded: crowded.unwrap_or(false) });
        }
    }

    /// The revision that whoever answers for the series must have reached; `None` when it was never seen.
    pub(super) fn revision(&self, name: &SeriesName) -> Option<u64> {
        self.get(name).map(|seen| seen.revision)
    }

    /// Whether each valid time has many revisions.
    pub(super) fn is_crowded(&self, name: &SeriesName) -> bool {
        self.get(name).is_some_and(|seen| seen.crowded)
    }

    fn get(&self, name: &SeriesName) -> Option<Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(name).copied()
    }
}

fn is_crowded(series: &Series, state: &SeriesState) -> bool {
    let (Some(first), Some(last)) = (state.first_valid_time, state.last_valid_time) else { return false };
    let times = last.micros_since(first) / series.resolution.micros() + 1;
    state.observations / u64::try_from(times).unwrap_or(1).max(1) > CROWDED
}
