//! Grows one tree leaf by leaf on histograms of exact sums.

use std::ops::Range;

use super::binning::{Binned, LANES};
use super::predict::{LEAF, LEAVES_MAX, Node};
use super::shape::{Branch, nodes, way_counts};
use super::split::{Histogram, Split, best};
use super::tally::{Entry, Tally};

/// A grown tree; leaves are numbered from 0.
pub(super) struct Tree {
    /// Inner nodes, the root first; empty when the rows could not be split. A set of categories takes several, which
    /// lead to the same two places, so a node or a leaf may be reached in more than one way.
    pub nodes: Vec<Node>,
    /// How many leaves.
    pub leaves: usize,
}

/// What a tree is grown from.
pub(super) struct Task<'a> {
    pub binned: &'a Binned,
    /// The features it may split on, rising.
    pub features: &'a [usize],
    pub max_leaves: usize,
    pub leaf_rows: u32,
}

/// The rows of a tree, grouped by leaf once it has grown, and memory that trees reuse.
#[derive(Default)]
pub(super) struct Workspace<E: Entry> {
    /// The rows the tree is grown on.
    pub rows: Vec<E>,
    /// Those that set its leaf values.
    pub outside: Vec<u32>,
    /// Those it is judged on.
    pub held_out: Vec<u32>,
    spare: Vec<E>,
    spare_rows: Vec<u32>,
    histograms: Vec<Histogram<E::Tally>>,
}

/// Where a leaf's rows lie in the three lists of [`Workspace`].
#[derive(Clone, Default)]
pub(super) struct Part {
    pub rows: Range<usize>,
    pub outside: Range<usize>,
    pub held_out: Range<usize>,
}

struct OpenLeaf {
    part: Part,
    /// Which of the workspace's histograms.
    slot: usize,
    best: Option<Split>,
    /// The branch that leads here, and whether this is its right child.
    parent: Option<(usize, bool)>,
}

/// A grown tree before it is written down.
pub(super) struct Grown {
    pub tree: Tree,
    /// The splits, the root first.
    pub branches: Vec<Branch>,
    /// The rows of each leaf.
    pub parts: Vec<Part>,
}

/// Grows a tree on the rows of the workspace.
pub(super) fn grow<E: Entry>(task: &Task<'_>, work: &mut Workspace<E>) -> Grown {
    let groups = task.binned.features.len().div_ceil(LANES);
    work.spare.resize(work.rows.len(), E::default());
    work.spare_rows.resize(work.outside.len().max(work.held_out.len()), 0);
    work.histograms.resize(task.max_leaves * groups, [[E::Tally::default(); 256]; LANES]);
    let mut branches: Vec<Branch> = Vec::with_capacity(task.max_leaves);
    let part =
        Part { rows: 0..work.rows.len(), outside: 0..work.outside.len(), held_out: 0..work.held_out.len() };
    let mut leaves = vec![OpenLeaf { part, slot: 0, best: None, parent: None }];
    build(task, &work.rows, &mut work.histograms[..groups]);
    leaves[0].best = best_split(task, &work.rows, &work.histograms[..groups]);
    // How many ways lead to each leaf: as many leaves it will be once the tree is packed.
    let (mut ways, mut all_ways) = (vec![1], 1);
    while leaves.len() < task.max_leaves {
        let Some((chosen, split)) = greatest_gain(&leaves) else {
            break;
        };
        let [left, right] = way_counts(&split.rule, split.feature, task.binned).map(|n| n * ways[chosen]);
        all_ways += left + right - ways[chosen];
        if all_ways > LEAVES_MAX {
            break; // sets of many categories have used up the leaves a tree may have
        }
        ways[chosen] = left;
        ways.push(right);
        let new = leaves.len();
        let last = new + 1 == task.max_leaves;
        divide(task.binned, work, &mut leaves, &mut branches, (chosen, split));
        if !last {
            update_histograms(task, work, &mut leaves, (chosen, new), groups);
        }
    }
    let tree = Tree { nodes: nodes(&branches, task.binned), leaves: leaves.len() };
    Grown { tree, branches, parts: leaves.into_iter().map(|leaf| leaf.part).collect() }
}

fn greatest_gain(leaves: &[OpenLeaf]) -> Option<(usize, Split)> {
    let mut best: Option<(usize, Split)> = None;
    for (i, leaf) in leaves.iter().enumerate() {
        if let Some(split) = leaf.best
            && best.is_none_or(|(_, b)| split.gain > b.gain)
        {
            best = Some((i, split));
        }
    }
    best
}

/// Splits a leaf: its rows, the tree's branches, and the list of leaves (the right half is appended).
fn divide<E: Entry>(
    binned: &Binned,
    work: &mut Workspace<E>,
    leaves: &mut Vec<OpenLeaf>,
    branches: &mut Vec<Branch>,
    (chosen, split): (usize, Split),
) {
    let new = leaves.len();
    let leaf = &mut leaves[chosen];
    let (codes, lane) = (binned.group(split.feature / LANES), split.feature % LANES);
    let table = split.rule.table();
    let goes_left = |row: u32| table[usize::from(codes[row as usize][lane])];
    let part = leaf.part.clone();
    let cuts = [
        partition(&mut work.rows[part.rows.clone()], &mut work.spare, |entry| goes_left(entry.row())),
        partition(&mut work.outside[part.outside.clone()], &mut work.spare_rows, |&row| goes_left(row)),
        partition(&mut work.held_out[part.held_out.clone()], &mut work.spare_rows, |&row| goes_left(row)),
    ];
    let [rows, outside, held_out] =
        [cut(&part.rows, cuts[0]), cut(&part.outside, cuts[1]), cut(&part.held_out, cuts[2])];
    // At most 256 leaves: numbers of branches and leaves fit in 15 bits.
    let children = [LEAF | chosen as u16, LEAF | new as u16];
    if let Some((parent, is_right)) = leaf.parent {
        branches[parent].children[usize::from(is_right)] = branches.len() as u16;
    }
    leaf.part = Part { rows: rows.0, outside: outside.0, held_out: held_out.0 };
    leaf.best = None;
    leaf.parent = Some((branches.len(), false));
    let part = Part { rows: rows.1, outside: outside.1, held_out: held_out.1 };
    leaves.push(OpenLeaf { part, slot: new, best: None, parent: Some((branches.len(), true)) });
    branches.push(Branch { feature: split.feature, rule: split.rule, children });
}

fn cut(range: &Range<usize>, left: usize) -> (Range<usize>, Range<usize>) {
    (range.start..range.start + left, range.start + left..range.end)
}

/// Moves those that go left to the front, in their order, and the others behind them, in theirs; how many go left.
fn partition<T: Copy>(items: &mut [T], spare: &mut [T], goes_left: impl Fn(&T) -> bool) -> usize {
    let (mut left, mut right) = (0, 0);
    let spare = &mut spare[..items.len()];
    for i in 0..items.len() {
        let item = items[i];
        let is_left = goes_left(&item);
        // Both are written and one is kept: a branch would be guessed wrong half of the time.
        items[left] = item;
        spare[right] = item;
        left += usize::from(is_left);
        right += usize::from(!is_left);
    }
    items[left..].copy_from_slice(&spare[..right]);
    left
}

/// Counts the smaller half, subtracts it from the parent to get the larger, and finds both halves' best splits.
fn update_histograms<E: Entry>(
    task: &Task<'_>,
    work: &mut Workspace<E>,
    leaves: &mut [OpenLeaf],
    (left, right): (usize, usize),
    groups: usize,
) {
    let small_is_left = leaves[left].part.rows.len() <= leaves[right].part.rows.len();
    if small_is_left {
        // The larger half inherits the parent's histograms.
        (leaves[left].slot, leaves[right].slot) = (leaves[right].slot, leaves[left].slot);
    }
    let (small, large) = if small_is_left { (left, right) } else { (right, left) };
    let splittable = |leaf: &OpenLeaf| leaf.part.rows.len() >= 2 * task.leaf_rows as usize;
    if !splittable(&leaves[large]) {
        return;
    }
    // The new leaf's slot is the last in use, so it lies after the parent's.
    let (before, after) = work.histograms.split_at_mut(leaves[small].slot * groups);
    let counted = &mut after[..groups];
    let inherited = &mut before[leaves[large].slot * groups..][..groups];
    build(task, &work.rows[leaves[small].part.rows.clone()], counted);
    for (g, (whole, part)) in inherited.iter_mut().zip(counted.iter()).enumerate() {
        subtract(whole, part, task.binned.codes_used(g));
    }
    for (leaf, histograms) in [(small, &*counted), (large, &*inherited)] {
        let leaf = &mut leaves[leaf];
        if splittable(leaf) {
            leaf.best = best_split(task, &work.rows[leaf.part.rows.clone()], histograms);
        }
    }
}

/// Sums rows into the histograms of all groups.
fn build<E: Entry>(task: &Task<'_>, rows: &[E], histograms: &mut [Histogram<E::Tally>]) {
    for (g, histogram) in histograms.iter_mut().enumerate() {
        let used = task.binned.codes_used(g);
        histogram.iter_mut().for_each(|bins| bins[..used].fill(E::Tally::default()));
        let codes = task.binned.group(g);
        for entry in rows {
            let lanes = codes[entry.row() as usize];
            let tally = entry.tally();
            for (bins, code) in histogram.iter_mut().zip(lanes) {
                bins[usize::from(code)].add(tally);
            }
        }
    }
}

fn subtract<T: Tally>(whole: &mut Histogram<T>, part: &Histogram<T>, used: usize) {
    for (bins, counted) in whole.iter_mut().zip(part) {
        for (count, &taken) in bins[..used].iter_mut().zip(&counted[..used]) {
            count.take(taken);
        }
    }
}

fn best_split<E: Entry>(task: &Task<'_>, rows: &[E], histograms: &[Histogram<E::Tally>]) -> Option<Split> {
    let mut total = E::Tally::default();
    rows.iter().for_each(|entry| total.add(entry.tally()));
    best(task.binned, task.features, task.leaf_rows, total, histograms)
}
