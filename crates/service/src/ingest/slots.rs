//! Sets of slots on a grid, a bit each, for duplicates, steps and gaps in bounded memory.

use std::collections::BTreeMap;

use super::error::ImportError;

const WORDS: usize = 64;
const CHUNK: i64 = 64 * WORDS as i64;
/// What one chunk costs with its place in the tree, in bytes.
const CHUNK_BYTES: usize = 8 * WORDS + 32;

/// A set of slot numbers; memory grows with the stretches covered, not with their distance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SlotSet {
    chunks: BTreeMap<i64, Box<[u64; WORDS]>>,
}

impl SlotSet {
    fn place(slot: i64) -> (i64, usize, u64) {
        let within = slot.rem_euclid(CHUNK);
        let (word, bit) = (within / 64, within % 64);
        (slot.div_euclid(CHUNK), usize::try_from(word).unwrap_or(0), 1 << bit)
    }

    /// Adds a slot; true when it was not there.
    pub(super) fn insert(&mut self, slot: i64) -> bool {
        let (chunk, word, bit) = Self::place(slot);
        let bits = self.chunks.entry(chunk).or_insert_with(|| Box::new([0; WORDS]));
        let new = bits[word] & bit == 0;
        bits[word] |= bit;
        new
    }

    pub(super) fn contains(&self, slot: i64) -> bool {
        let (chunk, word, bit) = Self::place(slot);
        self.chunks.get(&chunk).is_some_and(|bits| bits[word] & bit != 0)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Every slot in rising order.
    pub(super) fn iter(&self) -> impl Iterator<Item = i64> + '_ {
        self.chunks.iter().flat_map(|(chunk, words)| {
            words.iter().zip(0..).flat_map(move |(word, i)| {
                let base = chunk * CHUNK + i * 64;
                let mut rest = *word;
                std::iter::from_fn(move || {
                    let bit = (rest != 0).then(|| i64::from(rest.trailing_zeros()))?;
                    rest &= rest - 1;
                    Some(base + bit)
                })
            })
        })
    }

    /// Bytes held.
    pub(super) fn bytes(&self) -> usize {
        self.chunks.len() * CHUNK_BYTES
    }
}

/// Refuses to remember more than the limit.
pub(super) fn check_memory(bytes: usize, limit: usize) -> Result<(), ImportError> {
    if bytes <= limit {
        return Ok(());
    }
    Err(ImportError::TooMuch {
        what: "the times to remember",
        limit: format!("{} MiB", limit >> 20),
        mend: "import fewer columns or a shorter span at a time",
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_is_a_set(slots in proptest::collection::vec(-20_000_i64..20_000, 0..300)) {
            let mut set = SlotSet::default();
            let mut reference = BTreeSet::new();
            for slot in &slots {
                prop_assert_eq!(set.insert(*slot), reference.insert(*slot));
            }
            prop_assert!(set.iter().eq(reference.iter().copied()));
            prop_assert!(slots.iter().all(|s| set.contains(*s)));
            prop_assert!(set.bytes() <= 10 * CHUNK_BYTES);
        }
    }
}
