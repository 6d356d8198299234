//! The trees of a foreign model in one compact layout, and the walk through them.

use super::{CATEGORIES_MAX, DEPTH_MAX, ForeignError, Result, TREES_MAX};

/// Up to this size LightGBM takes a value for zero.
pub(super) const ZERO: f64 = 1e-35_f32 as f64;

/// What a missing value is at a split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    /// Nothing is; NaN counts as zero.
    None,
    /// Zero is, and NaN with it.
    Zero,
    /// NaN is.
    Nan,
}

/// How a split decides. All thresholds are compared by `<=`: a 32-bit `x < t` is `x <=` the number below `t`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    /// Left up to a threshold.
    UpTo {
        /// The greatest value that goes left.
        threshold: f64,
        /// What goes the default way instead.
        missing: Missing,
    },
    /// Left when the category is in a set, a range of [`Forest::sets`].
    In {
        /// Where the set begins.
        from: u32,
        /// How many categories it has.
        len: u32,
        /// Whether a number between -1 and 0 is category 0 (LightGBM) or none (XGBoost).
        rounds_up: bool,
    },
}

/// A split: children are positions of splits, or the complement (`!`) of positions of leaves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Split {
    pub feature: u32,
    pub rule: Rule,
    /// Whether missing values go left.
    pub default_left: bool,
    pub left: i32,
    pub right: i32,
}

impl Split {
    #[inline]
    fn goes_left(&self, value: f64, sets: &[u32]) -> bool {
        match self.rule {
            Rule::UpTo { threshold, missing } => match missing {
                Missing::Nan if value.is_nan() => self.default_left,
                Missing::Nan => value <= threshold,
                Missing::None => zero_for_nan(value) <= threshold,
                Missing::Zero if zero_for_nan(value).abs() <= ZERO => self.default_left,
                Missing::Zero => value <= threshold,
            },
            Rule::In { .. } if value.is_nan() => self.default_left,
            Rule::In { from, len, rounds_up } => {
                let least = if rounds_up { value > -1.0 } else { value >= 0.0 };
                let set = &sets[from as usize..(from + len) as usize];
                least && set.binary_search(&(value as u32)).is_ok()
            }
        }
    }
}

fn zero_for_nan(value: f64) -> f64 {
    if value.is_nan() { 0.0 } else { value }
}

/// A child of a split: the split's position, and whether it is the left one.
type Place = (usize, bool);

/// One tree as a file tells it, not checked yet.
#[derive(Debug, Default)]
pub(super) struct RawTree {
    /// The root is the first; without splits the tree is its first leaf.
    pub splits: Vec<Split>,
    pub leaves: Vec<f64>,
    /// Categories of the splits' sets, each set rising.
    pub sets: Vec<u32>,
}

/// Every tree of a model, one after the other, splits from the root on with left children next.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Forest {
    splits: Vec<Split>,
    leaves: Vec<f64>,
    sets: Vec<u32>,
    /// The root (a child's position) and the output of every tree.
    roots: Vec<(i32, u32)>,
}

impl Forest {
    /// How many trees there are.
    pub fn trees(&self) -> usize {
        self.roots.len()
    }

    /// For every one of `features` features, whether a split asks for it.
    pub fn used(&self, features: usize) -> Vec<bool> {
        let mut used = vec![false; features];
        self.splits.iter().for_each(|split| used[split.feature as usize] = true);
        used
    }

    /// Takes a tree in, after checking that it is one: children exist, no split is reached twice, features exist.
    pub fn push(&mut self, tree: &RawTree, output: u32, features: usize, place: &str) -> Result<()> {
        let wrong = |what: String| ForeignError::new(place, what);
        if self.roots.len() >= TREES_MAX {
            return Err(wrong(format!("more than {TREES_MAX} trees: train a model with fewer")));
        }
        if self.sets.len() + tree.sets.len() > CATEGORIES_MAX {
            return Err(wrong(format!(
                "the sets have more than {CATEGORIES_MAX} categories: train with fewer"
            )));
        }
        let sets_from = self.sets.len() as u32; // below 2^24
        let mut seen = vec![false; tree.splits.len()];
        let first = if tree.splits.is_empty() { !0 } else { 0 };
        let mut root = first;
        // Children with their places (none for the root) and depths.
        let mut waiting: Vec<(i32, Option<Place>, usize)> = vec![(first, None, 0)];
        while let Some((child, parent, depth)) = waiting.pop() {
            let placed = if child < 0 {
                let leaf = tree.leaves.get(!child as usize);
                let leaf = leaf.ok_or_else(|| wrong(format!("there is no leaf {}", !child)))?;
                self.leaves.push(*leaf);
                !position(self.leaves.len() - 1, place)?
            } else {
                let split = tree.splits.get(child as usize);
                let split = split.ok_or_else(|| wrong(format!("there is no split {child}")))?;
                if std::mem::replace(&mut seen[child as usize], true) {
                    return Err(wrong(format!("split {child} is reached twice: this is no tree")));
                }
                if split.feature as usize >= features || depth >= DEPTH_MAX {
                    let limits = format!("there are {features} features and {DEPTH_MAX} levels at most");
                    let feature = split.feature;
                    return Err(wrong(format!(
                        "split {child} asks feature {feature} at depth {depth}; {limits}"
                    )));
                }
                let at = self.splits.len();
                self.splits.push(Split { rule: moved(split.rule, sets_from), ..*split });
                waiting.push((split.right, Some((at, false)), depth + 1));
                waiting.push((split.left, Some((at, true)), depth + 1));
                position(at, place)?
            };
            match parent {
                None => root = placed,
                Some((at, true)) => self.splits[at].left = placed,
                Some((at, false)) => self.splits[at].right = placed,
            }
        }
        self.sets.extend_from_slice(&tree.sets);
        self.roots.push((root, output));
        Ok(())
    }

    /// Adds the leaves of every row to its sums, `outputs` a row, tree by tree; `single` rounds every sum to 32 bits.
    pub fn add(&self, rows: &[f64], width: usize, single: bool, outputs: usize, sums: &mut [f64]) {
        for &(root, output) in &self.roots {
            let rows = (0..sums.len() / outputs).map(|i| &rows[i * width..(i + 1) * width]);
            for (row, sums) in rows.zip(sums.chunks_exact_mut(outputs)) {
                let sum = &mut sums[output as usize];
                *sum += self.leaf(root, row);
                if single {
                    *sum = f64::from(*sum as f32);
                }
            }
        }
    }

    #[inline]
    fn leaf(&self, root: i32, row: &[f64]) -> f64 {
        let mut at = root;
        while at >= 0 {
            let split = &self.splits[at as usize];
            at = if split.goes_left(row[split.feature as usize], &self.sets) {
                split.left
            } else {
                split.right
            };
        }
        self.leaves[!at as usize]
    }
}

fn moved(rule: Rule, by: u32) -> Rule {
    match rule {
        Rule::In { from, len, rounds_up } => Rule::In { from: from + by, len, rounds_up },
        Rule::UpTo { .. } => rule,
    }
}

fn position(at: usize, place: &str) -> Result<i32> {
    i32::try_from(at)
        .map_err(|_| ForeignError::new(place, "the model has too many parts: train a smaller one"))
}
