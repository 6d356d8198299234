//! The best split of a leaf: thresholds of numbers, and sets of categories.

use super::binning::{Binned, Kind, LANES, MISSING};
use super::predict::Node;
use super::tally::Tally;

/// The sums of every bin of every lane of a group.
pub(super) type Histogram<T> = [[T; 256]; LANES];

/// Categories with fewer rows in a leaf are not asked; they go right with those never seen.
const CATEGORY_ROWS: u32 = 10;
/// Weight added to a side made of categories: many small ones could fit any noise.
const CATEGORY_SMOOTHING: f64 = 10.0;

/// Which codes go left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    /// Those up to one, and missing values or not.
    Threshold { last_left: u8, missing_left: bool },
    /// Those whose bit is set.
    Set([u64; 4]),
}

impl Rule {
    /// Whether each code goes left.
    pub fn table(&self) -> [bool; 256] {
        match *self {
            Self::Threshold { last_left, missing_left } => {
                let node = Node::new(0, last_left, missing_left, [0; 2]);
                std::array::from_fn(|code| node.goes_left(code as u8))
            }
            Self::Set(bits) => std::array::from_fn(|code| bits[code / 64] >> (code % 64) & 1 == 1),
        }
    }
}

/// A way to divide a leaf.
#[derive(Debug, Clone, Copy)]
pub(super) struct Split {
    /// By how much it lowers the sum of squares.
    pub gain: f64,
    pub feature: usize,
    pub rule: Rule,
}

/// The split with the greatest gain; `None` when none leaves enough rows on both sides or none gains.
pub(super) fn best<T: Tally>(
    binned: &Binned,
    features: &[usize],
    leaf_rows: u32,
    total: T,
    histograms: &[Histogram<T>],
) -> Option<Split> {
    let unsplit = total.pull() * total.pull() / total.weight();
    // A little more than leaving the rows together, so that rounding is no reason to split.
    let best = unsplit * (1.0 + 1e-9) + 1e-6;
    let mut search = Search { total, leaf_rows: leaf_rows.max(1), best, found: None };
    for &feature in features {
        let counts = &histograms[feature / LANES][feature % LANES];
        let bins = binned.features[feature].cuts.len() + 1;
        match binned.kinds[feature] {
            Kind::Number(monotone) => search.thresholds(feature, counts, bins, monotone),
            Kind::Category => search.sets(feature, counts, bins, unsplit),
        }
    }
    search.found.map(|split| Split { gain: split.gain - unsplit, ..split })
}

struct Search<T> {
    total: T,
    leaf_rows: u32,
    best: f64,
    found: Option<Split>,
}

impl<T: Tally> Search<T> {
    /// Tries every threshold of a feature, with its missing rows on either side.
    fn thresholds(&mut self, feature: usize, counts: &[T; 256], bins: usize, monotone: i8) {
        let missing = counts[usize::from(MISSING)];
        let some_missing = missing.rows() > 0;
        if some_missing {
            self.threshold(feature, missing, (0, true), 0);
        }
        let all = self.total.rows();
        let mut left = T::default();
        for (code, &count) in counts.iter().enumerate().take(bins).skip(1) {
            if count.rows() == 0 {
                continue;
            }
            left.add(count);
            if left.rows() + missing.rows() < self.leaf_rows {
                continue;
            }
            if all - left.rows() < self.leaf_rows {
                break;
            }
            let code = code as u8;
            if some_missing {
                let mut both = left;
                both.add(missing);
                self.threshold(feature, both, (code, true), monotone);
                self.threshold(feature, left, (code, false), monotone);
            } else {
                // None is missing here: should one be later, the larger side is the safer guess.
                let left_is_larger = u64::from(left.rows()) * 2 >= u64::from(all);
                self.threshold(feature, left, (code, left_is_larger), monotone);
            }
        }
    }

    fn threshold(&mut self, feature: usize, left: T, (last_left, missing_left): (u8, bool), monotone: i8) {
        let rows = left.rows();
        if rows < self.leaf_rows || self.total.rows() - rows < self.leaf_rows {
            return;
        }
        let (pull, weight) = (left.pull(), left.weight());
        let (other_pull, other_weight) = (self.total.pull() - pull, self.total.weight() - weight);
        // pull^2 / weight of both sides on one denominator: a division only where a split is better than all before.
        let top = pull * pull * other_weight + other_pull * other_pull * weight;
        let bottom = weight * other_weight;
        if top > self.best * bottom && bottom > 0.0 {
            // A leaf moves against its pull: rising means that the left side is pulled more.
            let lean = pull * other_weight - other_pull * weight;
            if f64::from(monotone) * lean < 0.0 {
                return;
            }
            self.best = top / bottom;
            let rule = Rule::Threshold { last_left, missing_left };
            self.found = Some(Split { gain: self.best, feature, rule });
        }
    }

    /// Orders the categories by their mean gradient and tries every place to cut that order: of all ways to make two
    /// groups one of these is the best (Fisher 1958, On grouping for maximum homogeneity). Missing is one of them.
    fn sets(&mut self, feature: usize, counts: &[T; 256], bins: usize, unsplit: f64) {
        let mean = self.total.pull() / self.total.weight();
        // From the mean of the leaf, so that smoothing draws towards it.
        let pull = |count: T| count.pull() - mean * count.weight();
        let key = |code: &u8| {
            pull(counts[usize::from(*code)]) / (counts[usize::from(*code)].weight() + CATEGORY_SMOOTHING)
        };
        let is_asked = |code: &u8| counts[usize::from(*code)].rows() >= CATEGORY_ROWS;
        let mut codes: Vec<u8> = (0..=bins.min(255) as u8).filter(is_asked).collect();
        codes.sort_by(|a, b| key(a).total_cmp(&key(b)));
        let (mut left, mut bits) = (T::default(), [0_u64; 4]);
        for &code in &codes {
            left.add(counts[usize::from(code)]);
            bits[usize::from(code) / 64] |= 1 << (code % 64);
            let rows = left.rows();
            if rows < self.leaf_rows || self.total.rows() - rows < self.leaf_rows {
                continue;
            }
            let weights = [left.weight(), self.total.weight() - left.weight()];
            let shares: f64 = weights.iter().map(|weight| 1.0 / (weight + CATEGORY_SMOOTHING)).sum();
            let gain = unsplit + pull(left).powi(2) * shares;
            if gain > self.best {
                self.best = gain;
                self.found = Some(Split { gain, feature, rule: Rule::Set(bits) });
            }
        }
    }
}
