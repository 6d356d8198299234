//! Exact Shapley values of trees against reference rows.
//!
//! Interventional TreeSHAP (Lundberg et al., "From local explanations to global understanding with explainable AI for
//! trees", Nature Machine Intelligence 2, 2020, algorithm 3): one walk of a tree for each pair of row and reference.
//! The path-dependent variant would need the number of training rows of every node, which a forest does not keep;
//! this one needs reference rows, which explanations have anyway, and is the exact Shapley value of the game "take
//! these features from the row and the others from the reference".

/// An inner node: where a code of a feature leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Split {
    /// Position of the feature.
    pub feature: u32,
    /// Codes from here on, counted modulo 256, ...
    pub shift: u8,
    /// ... up to this one go left.
    pub threshold: u8,
    /// Left and right: the position of a split, or `!n` for leaf `n`.
    pub children: [i32; 2],
}

/// A tree of one number per leaf.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tree {
    /// The root first; empty when there is one leaf only.
    pub splits: Vec<Split>,
    /// The leaves.
    pub values: Vec<f64>,
}

/// Trees whose values add up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Trees {
    /// The trees.
    pub trees: Vec<Tree>,
    /// How many features the splits name.
    pub features: usize,
}

impl Split {
    fn goes_left(&self, code: u8) -> bool {
        code.wrapping_sub(self.shift) <= self.threshold
    }
}

/// Whose side of a split a path has taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Open,
    Row,
    Reference,
}

/// What walks share.
pub(super) struct Walker<'a> {
    trees: &'a Trees,
    /// `weights[u * order + v]`: (u - 1)! v! / (u + v)!, the share of a leaf that asks u features of the row and v of
    /// the reference.
    weights: Vec<f64>,
    order: usize,
}

/// One pair on its way through a tree.
struct Walk<'a> {
    walker: &'a Walker<'a>,
    tree: &'a Tree,
    row: &'a [u8],
    reference: &'a [u8],
    sides: &'a mut [Side],
    shares: &'a mut [f64],
}

impl<'a> Walker<'a> {
    pub fn new(trees: &'a Trees) -> Self {
        let deepest = trees.trees.iter().map(|tree| tree.splits.len()).max().unwrap_or(0);
        let order = deepest.min(trees.features) + 1;
        let mut weights = vec![0.0; order * order];
        for u in 1..order {
            let mut weight = 1.0 / u as f64;
            for v in 0..order {
                if v > 0 {
                    weight *= v as f64 / (u + v) as f64;
                }
                weights[u * order + v] = weight;
            }
        }
        Self { trees, weights, order }
    }

    /// Adds to `shares` (one a feature) by how much each feature moves the sum from `reference` to `row` (codes).
    pub fn add(&self, row: &[u8], reference: &[u8], shares: &mut [f64]) {
        let mut sides = vec![Side::Open; self.trees.features];
        for tree in self.trees.trees.iter().filter(|tree| !tree.splits.is_empty()) {
            let mut walk = Walk { walker: self, tree, row, reference, sides: &mut sides, shares };
            walk.go(0, 0, 0);
        }
    }

    fn weight(&self, own: usize, other: usize) -> f64 {
        self.weights[own * self.order + other]
    }
}

impl Walk<'_> {
    /// What the leaves below are worth to a feature taken from the row, and to one taken from the reference, when
    /// `rows` features above were the row's and `references` the reference's.
    fn go(&mut self, at: i32, rows: usize, references: usize) -> (f64, f64) {
        let Ok(position) = usize::try_from(at) else {
            let value = self.tree.values[!at as usize];
            return (
                value * self.walker.weight(rows, references),
                value * self.walker.weight(references, rows),
            );
        };
        let split = self.tree.splits[position];
        let feature = split.feature as usize;
        let child = |code: u8| split.children[usize::from(!split.goes_left(code))];
        let (of_row, of_reference) = (child(self.row[feature]), child(self.reference[feature]));
        match self.sides[feature] {
            _ if of_row == of_reference => self.go(of_row, rows, references),
            Side::Row => self.go(of_row, rows, references),
            Side::Reference => self.go(of_reference, rows, references),
            Side::Open => {
                self.sides[feature] = Side::Row;
                let with = self.go(of_row, rows + 1, references);
                self.sides[feature] = Side::Reference;
                let without = self.go(of_reference, rows, references + 1);
                self.sides[feature] = Side::Open;
                self.shares[feature] += with.0 - without.1;
                (with.0 + without.0, with.1 + without.1)
            }
        }
    }
}
