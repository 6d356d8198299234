//! The splits of a grown tree: how they are written as nodes, and how monotone ones bound the leaves below them.

use super::binning::Binned;
use super::binning::Kind;
use super::predict::{LEAF, Node};
use super::split::Rule;

/// An inner node as it was grown.
pub(super) struct Branch {
    pub feature: usize,
    pub rule: Rule,
    /// Left and right; [`LEAF`] and a leaf's number, or a branch's.
    pub children: [u16; 2],
}

impl Branch {
    /// 1 when its right side may not lie below its left, -1 when not above, else 0.
    fn monotone(&self, binned: &Binned) -> i8 {
        match (binned.kinds[self.feature], self.rule) {
            // Only missing values go left: they have no order.
            (_, Rule::Threshold { last_left: 0, .. }) => 0,
            (Kind::Number(monotone), _) => monotone,
            (Kind::Category, _) => 0,
        }
    }
}

/// How many ways [`nodes`] makes to the left and to the right of a split.
pub(super) fn way_counts(rule: &Rule, feature: usize, binned: &Binned) -> [usize; 2] {
    match rule {
        Rule::Threshold { .. } => [1, 1],
        Rule::Set(_) => {
            let runs = runs(&rule.table(), binned.features[feature].cuts.len() + 1);
            let left = runs.iter().filter(|(_, left)| *left).count();
            [left, runs.len() - left]
        }
    }
}

/// The nodes of a tree: one for a threshold; for a set of categories a balanced search among the ends of its runs.
pub(super) fn nodes(branches: &[Branch], binned: &Binned) -> Vec<Node> {
    let runs = |branch: &Branch| match branch.rule {
        Rule::Threshold { .. } => Vec::new(),
        Rule::Set(_) => runs(&branch.rule.table(), binned.features[branch.feature].cuts.len() + 1),
    };
    let runs: Vec<Vec<(u8, bool)>> = branches.iter().map(runs).collect();
    let mut next = 0;
    let mut first = Vec::with_capacity(branches.len());
    for runs in &runs {
        first.push(next as u16); // at most 255 branches of 64 nodes
        next += runs.len().saturating_sub(1).max(1);
    }
    let mut nodes = Vec::with_capacity(next);
    for (branch, runs) in branches.iter().zip(&runs) {
        let place = |child: u16| if child & LEAF == 0 { first[usize::from(child)] } else { child };
        let children = branch.children.map(place);
        let feature = branch.feature as u16;
        match branch.rule {
            Rule::Threshold { last_left, missing_left } => {
                nodes.push(Node::new(feature, last_left, missing_left, children));
            }
            Rule::Set(_) => {
                search(&mut nodes, feature, runs, children);
            }
        }
    }
    nodes
}

/// Codes up to `last` that follow one another on the same side, as (the last of them, whether they go left).
fn runs(goes_left: &[bool; 256], last: usize) -> Vec<(u8, bool)> {
    let mut runs: Vec<(u8, bool)> = Vec::new();
    for (code, &left) in goes_left.iter().enumerate().take(last + 1) {
        match runs.last_mut() {
            Some(run) if run.1 == left => run.0 = code as u8,
            _ => runs.push((code as u8, left)),
        }
    }
    runs
}

/// Appends the nodes that find a code's run and returns where they begin.
fn search(nodes: &mut Vec<Node>, feature: u16, runs: &[(u8, bool)], children: [u16; 2]) -> u16 {
    if let [(_, left)] = runs {
        return children[usize::from(!left)];
    }
    let (low, high) = runs.split_at(runs.len() / 2);
    let at = nodes.len();
    let last_left = low[low.len() - 1].0;
    nodes.push(Node::new(feature, last_left, true, [LEAF; 2]));
    let found = [search(nodes, feature, low, children), search(nodes, feature, high, children)];
    nodes[at].children = found;
    at as u16
}

/// Leaf values that keep a tree's monotone splits: every value on one side of such a split lies on one side of a bound
/// between the two, which all splits below inherit (as the basic method of LightGBM; bounds nest, so every pair of
/// rows that differ in the feature alone is in order).
pub(super) struct Monotone<'a> {
    pub binned: &'a Binned,
    pub branches: &'a [Branch],
    /// Rows of each leaf.
    pub rows: &'a [usize],
}

impl Monotone<'_> {
    /// Bounds the values of one output, one a leaf.
    pub fn hold(&self, values: &mut [f32]) {
        let free = values.to_vec();
        if !self.branches.is_empty() {
            self.bound(0, (f32::NEG_INFINITY, f32::INFINITY), &free, values);
        }
    }

    fn bound(&self, child: u16, (low, high): (f32, f32), free: &[f32], values: &mut [f32]) {
        if child & LEAF != 0 {
            let leaf = usize::from(child & !LEAF);
            values[leaf] = free[leaf].max(low).min(high);
            return;
        }
        let branch = &self.branches[usize::from(child)];
        let [left, right] = branch.children;
        let monotone = branch.monotone(self.binned);
        if monotone == 0 {
            self.bound(left, (low, high), free, values);
            self.bound(right, (low, high), free, values);
            return;
        }
        let inside = |(sum, rows): (f64, f64)| ((sum / rows.max(1.0)) as f32).max(low).min(high);
        let middle = f32::midpoint(inside(self.sum(left, free)), inside(self.sum(right, free)));
        let (below, above) = ((low, middle), (middle, high));
        let (of_left, of_right) = if monotone > 0 { (below, above) } else { (above, below) };
        self.bound(left, of_left, free, values);
        self.bound(right, of_right, free, values);
    }

    /// The sum of the values below a child, a row each, and how many rows.
    fn sum(&self, child: u16, free: &[f32]) -> (f64, f64) {
        if child & LEAF != 0 {
            let leaf = usize::from(child & !LEAF);
            let rows = self.rows[leaf] as f64;
            return (f64::from(free[leaf]) * rows, rows);
        }
        let [left, right] = self.branches[usize::from(child)].children;
        let (left, right) = (self.sum(left, free), self.sum(right, free));
        (left.0 + right.0, left.1 + right.1)
    }
}
