//! Trees on their own: as training grows them, and as the forest lists them, leaf by leaf from the left.

use serde::{Deserialize, Serialize};

/// The bit that marks a child as a leaf.
pub(in crate::gbdt) const LEAF: u16 = 1 << 15;
/// No tree has more leaves: their numbers are bytes.
pub(in crate::gbdt) const LEAVES_MAX: usize = 256;

/// An inner node while a tree grows, and in files of format 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "[u16; 5]", into = "[u16; 5]")]
pub(in crate::gbdt) struct Node {
    /// Left and right; [`LEAF`] and a leaf's number, or a node's position within its tree.
    pub children: [u16; 2],
    pub feature: u16,
    /// 0 when missing values go left, 1 when right: their code 0 minus 1 wraps to 255.
    shift: u8,
    threshold: u8,
}

impl Node {
    /// A node whose codes up to `last_left` go left; missing values may go right only if that is 1 or more.
    pub fn new(feature: u16, last_left: u8, missing_left: bool, children: [u16; 2]) -> Self {
        let shift = u8::from(!missing_left);
        Self { children, feature, shift, threshold: last_left.saturating_sub(shift) }
    }

    /// Whether a code goes left.
    pub fn goes_left(&self, code: u8) -> bool {
        code.wrapping_sub(self.shift) <= self.threshold
    }
}

impl From<[u16; 5]> for Node {
    fn from([left, right, feature, shift, threshold]: [u16; 5]) -> Self {
        Self {
            children: [left, right],
            feature,
            shift: u8::from(shift != 0),
            threshold: threshold.min(255) as u8,
        }
    }
}

impl From<Node> for [u16; 5] {
    fn from(node: Node) -> Self {
        let [left, right] = node.children;
        [left, right, node.feature, node.shift.into(), node.threshold.into()]
    }
}

/// The leaf of a growing tree that a row reaches.
#[cfg(test)]
pub(super) fn leaf(nodes: &[Node], code: impl Fn(usize) -> u8) -> usize {
    let mut at = if nodes.is_empty() { LEAF } else { 0 };
    while at & LEAF == 0 {
        let node = &nodes[usize::from(at)];
        let right = !node.goes_left(code(usize::from(node.feature)));
        at = node.children[usize::from(right)];
    }
    usize::from(at & !LEAF)
}

/// What parts leaf `i` from leaf `i + 1`, when leaves are numbered from the left: split `i` of its tree.
///
/// A split needs no children: its left half are the leaves `start..=i`. A row that goes right leaves them behind, so
/// it ends in the first leaf that no split has left behind (after Lucchese et al., "QuickScorer", SIGIR 2015).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::gbdt) struct Split {
    pub feature: u16,
    /// Codes, less one and wrapping where missing values go right, up to this go left.
    pub threshold: u8,
    pub missing_right: bool,
    /// The first leaf of the left half.
    pub start: u8,
}

impl Split {
    /// What parts nothing: every code goes left.
    pub const NONE: Self = Self { feature: 0, threshold: 255, missing_right: false, start: 0 };

    /// Whether a code goes right.
    pub fn goes_right(&self, code: u8) -> bool {
        code.wrapping_sub(u8::from(self.missing_right)) > self.threshold
    }

    /// The last code that goes left; 0 when only missing values do.
    pub fn last_left(&self) -> u8 {
        self.threshold.saturating_add(u8::from(self.missing_right))
    }
}

/// A tree: its splits, and a vector of steps (one a knot) for every leaf.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in crate::gbdt) struct Plain {
    /// One less than leaves.
    pub splits: Vec<Split>,
    /// Leaf after leaf from the left.
    pub values: Vec<f32>,
}

impl Plain {
    /// Puts the leaves of a tree in order; the text says what is wrong with a damaged one. A leaf or node
    /// that several ways lead to, as a set of categories does, comes once for each.
    pub fn from_nodes(nodes: &[Node], values: &[f32], knots: usize) -> Result<Self, String> {
        let leaves = values.len() / knots;
        let mut order =
            Order { nodes, splits: Vec::with_capacity(nodes.len()), leaves: Vec::new(), count: leaves };
        if nodes.len() >= LEAVES_MAX || leaves == 0 || leaves > nodes.len() + 1 {
            return Err("a tree has another number of leaves than its nodes lead to".to_owned());
        }
        order.visit(if nodes.is_empty() { LEAF } else { 0 })?;
        let vector = |&leaf: &usize| values[leaf * knots..(leaf + 1) * knots].iter().copied();
        Ok(Self { values: order.leaves.iter().flat_map(vector).collect(), splits: order.splits })
    }

    /// The leaf a row reaches.
    pub fn leaf(&self, code: impl Fn(usize) -> u8) -> usize {
        let mut at = 0;
        for (i, split) in self.splits.iter().enumerate() {
            if at >= usize::from(split.start) && split.goes_right(code(split.feature.into())) {
                at = i + 1;
            }
        }
        at
    }

    /// Where each split's children are: a split's position, or `!n` for leaf `n`; and the root.
    ///
    /// The splits must be [`are_nested`].
    pub fn children(&self) -> (Vec<[i32; 2]>, i32) {
        let mut children = vec![[0; 2]; self.splits.len()];
        let root = children_of(&self.splits, 0, self.splits.len(), &mut children);
        (children, root)
    }
}

/// The root of the leaves `from..=to`, and what lies below it.
fn children_of(splits: &[Split], from: usize, to: usize, children: &mut [[i32; 2]]) -> i32 {
    // The root is the last split whose left half begins where the leaves do.
    let Some(root) = (from..to).rev().find(|&i| usize::from(splits[i].start) == from) else {
        return !(from as i32);
    };
    let left = children_of(splits, from, root, children);
    let right = children_of(splits, root + 1, to, children);
    children[root] = [left, right];
    root as i32
}

/// Whether the left halves nest as those of a tree do.
pub(super) fn are_nested(starts: impl Iterator<Item = u8>) -> bool {
    let mut open: Vec<u8> = vec![0];
    for (i, start) in starts.enumerate() {
        while open.last().is_some_and(|&last| last > start) {
            open.pop();
        }
        if open.last() != Some(&start) {
            return false;
        }
        open.push(i as u8 + 1); // at most 255 splits
    }
    true
}

/// A walk through a tree from the left.
struct Order<'a> {
    nodes: &'a [Node],
    splits: Vec<Split>,
    leaves: Vec<usize>,
    count: usize,
}

impl Order<'_> {
    fn visit(&mut self, child: u16) -> Result<(), String> {
        if child & LEAF != 0 {
            let leaf = usize::from(child & !LEAF);
            if leaf >= self.count || self.leaves.len() >= LEAVES_MAX {
                return Err("a tree leads to a leaf that it does not have, or too often to some".to_owned());
            }
            self.leaves.push(leaf);
            return Ok(());
        }
        let Some(&node) = self.nodes.get(usize::from(child)) else {
            return Err("a tree leads to a node that it does not have".to_owned());
        };
        // A child that is a node comes after its parent, so every walk ends.
        if node.children.iter().any(|&next| next & LEAF == 0 && next <= child) {
            return Err("a tree leads back to where it came from".to_owned());
        }
        let start = self.leaves.len() as u8; // at most 255
        self.visit(node.children[0])?;
        self.splits.push(Split {
            feature: node.feature,
            threshold: node.threshold,
            missing_right: node.shift != 0,
            start,
        });
        self.visit(node.children[1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> (Vec<Node>, Vec<f32>) {
        // Grown as training does: the root parts leaf 0 from leaf 1, then leaf 0 from 2, then leaf 1 from 3.
        let node = |feature, last, missing_left, children| Node::new(feature, last, missing_left, children);
        let nodes = vec![
            node(0, 10, true, [1, 2]),
            node(1, 5, false, [LEAF, LEAF | 2]),
            node(0, 20, false, [LEAF | 1, LEAF | 3]),
        ];
        (nodes, vec![0.0, 1.0, 2.0, 3.0])
    }

    #[test]
    fn leaves_in_order_answer_as_the_grown_tree() {
        let (nodes, values) = tree();
        let plain = Plain::from_nodes(&nodes, &values, 1).unwrap();
        assert_eq!(plain.values, [0.0, 2.0, 1.0, 3.0]);
        for a in [0, 1, 10, 11, 20, 21, 254] {
            for b in [0, 5, 6] {
                let code = |f: usize| [a, b][f];
                assert_eq!(plain.values[plain.leaf(code)], values[leaf(&nodes, code)], "{a} {b}");
            }
        }
        assert_eq!(plain.children(), (vec![[!0, !1], [0, 2], [!2, !3]], 1));
        assert!(are_nested(plain.splits.iter().map(|s| s.start)));
        assert!(!are_nested([0, 0, 1].into_iter()) && !are_nested([1].into_iter()));
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        let (mut nodes, values) = tree();
        assert!(Plain::from_nodes(&nodes, &values[1..], 1).is_err());
        let mut shared = nodes.clone();
        shared[2].children[1] = LEAF | 2;
        let twice = Plain::from_nodes(&shared, &values[..3], 1).unwrap();
        assert_eq!(twice.values, [0.0, 2.0, 1.0, 2.0], "two ways lead to one leaf");
        nodes[1].children[0] = 1;
        assert!(Plain::from_nodes(&nodes, &values, 1).is_err(), "a loop");
        nodes[1].children[0] = 2;
        let twice = Plain::from_nodes(&nodes, &values, 1).unwrap();
        assert_eq!(
            twice.values,
            [1.0, 3.0, 2.0, 1.0, 3.0],
            "a node that two ways lead to comes once for each"
        );
        nodes[1].children[0] = LEAF | 4;
        assert!(Plain::from_nodes(&nodes, &values, 1).is_err(), "no such leaf");
    }
}
