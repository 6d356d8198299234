//! Which series' answers read which other series, so that a write drops what depends on it and nothing else.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use forewatt_domain::SeriesName;

/// By covariate, the targets that read it.
#[derive(Debug, Default)]
pub(crate) struct Readers(Mutex<Index>);

#[derive(Debug, Default)]
struct Index {
    by_covariate: HashMap<SeriesName, BTreeSet<SeriesName>>,
    pairs: u64,
}

impl Readers {
    /// Remembers that a target reads a covariate. With `pairs_max` pairs everything is forgotten and `false` returned:
    /// then all that could be found here must be dropped.
    #[must_use]
    pub(crate) fn add(&self, covariate: &SeriesName, target: &SeriesName, pairs_max: u64) -> bool {
        let mut index = self.0.lock().unwrap_or_else(PoisonError::into_inner); // a panic leaves it whole
        let overfull = index.pairs >= pairs_max;
        if overfull {
            *index = Index::default();
        }
        if index.by_covariate.entry(covariate.clone()).or_default().insert(target.clone()) {
            index.pairs += 1;
        }
        !overfull
    }

    /// Takes out who reads a series.
    pub(crate) fn take(&self, covariate: &SeriesName) -> BTreeSet<SeriesName> {
        let mut index = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let readers = index.by_covariate.remove(covariate).unwrap_or_default();
        index.pairs = index.pairs.saturating_sub(readers.len() as u64);
        readers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_are_taken_once_and_their_number_is_bounded() {
        let name = |text: &str| text.parse::<SeriesName>().unwrap();
        let readers = Readers::default();
        for (covariate, target) in [("wind", "a"), ("wind", "b"), ("wind", "a"), ("sun", "a")] {
            assert!(readers.add(&name(covariate), &name(target), 3));
        }
        assert_eq!(readers.take(&name("wind")), BTreeSet::from([name("a"), name("b")]));
        assert_eq!(readers.take(&name("wind")), BTreeSet::new());
        assert!(readers.add(&name("wind"), &name("a"), 3) && readers.add(&name("wind"), &name("b"), 3));
        assert!(!readers.add(&name("rain"), &name("a"), 3), "no more room: all is forgotten");
        assert_eq!(readers.take(&name("sun")), BTreeSet::new());
        assert_eq!(readers.take(&name("rain")), BTreeSet::from([name("a")]));
    }
}
