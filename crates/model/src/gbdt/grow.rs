//! Grows one tree leaf by leaf on histograms of exact counts.

use super::binning::{Binned, LANES, MISSING};
use super::predict::{LEAF, Node};

/// Rows and, in the upper half, rows whose target lies below the prediction.
///
/// The pinball gradient of a row is `above - level`, so two counts are all that a split needs, and sums of them are
/// exact in any order. The terms with the level cancel in the gain.
type Counts = u64;

/// The counts of every bin of every lane of a group.
type Histogram = [[Counts; 256]; LANES];

/// A grown tree; leaves are numbered from 0.
pub(super) struct Tree {
    /// Inner nodes, the root first; empty when the rows could not be split.
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

/// Memory that trees reuse.
#[derive(Default)]
pub(super) struct Workspace {
    /// The in-bag rows as `row * 2 + above`, grouped by leaf once the tree has grown.
    pub rows: Vec<u32>,
    right: Vec<u32>,
    histograms: Vec<Histogram>,
}

#[derive(Clone, Copy)]
struct Split {
    gain: f64,
    feature: usize,
    /// Codes up to this go left.
    last_left: u8,
    missing_left: bool,
}

struct OpenLeaf {
    from: usize,
    to: usize,
    /// Which of the workspace's histograms.
    slot: usize,
    best: Option<Split>,
    /// The node that leads here, and whether this is its right child.
    parent: Option<(usize, bool)>,
}

/// Where each leaf's rows lie in [`Workspace::rows`], besides the tree.
pub(super) fn grow(task: &Task<'_>, work: &mut Workspace) -> (Tree, Vec<(usize, usize)>) {
    let groups = task.binned.features.len().div_ceil(LANES);
    work.right.resize(work.rows.len(), 0);
    work.histograms.resize(task.max_leaves * groups, [[0; 256]; LANES]);
    let mut nodes: Vec<Node> = Vec::with_capacity(task.max_leaves);
    let mut leaves = vec![OpenLeaf { from: 0, to: work.rows.len(), slot: 0, best: None, parent: None }];
    build(task, &work.rows, &mut work.histograms[..groups]);
    leaves[0].best = best_split(task, total(&work.rows), &work.histograms[..groups]);
    while leaves.len() < task.max_leaves {
        let Some((chosen, split)) = greatest_gain(&leaves) else {
            break;
        };
        let new = leaves.len();
        let last = new + 1 == task.max_leaves;
        divide(task, work, &mut leaves, &mut nodes, chosen, split);
        if !last {
            update_histograms(task, work, &mut leaves, chosen, new, groups);
        }
    }
    let ranges = leaves.iter().map(|leaf| (leaf.from, leaf.to)).collect();
    let leaves = leaves.len();
    (Tree { nodes, leaves }, ranges)
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

/// Splits a leaf: its rows, the tree's nodes, and the list of leaves (the right half is appended).
fn divide(
    task: &Task<'_>,
    work: &mut Workspace,
    leaves: &mut Vec<OpenLeaf>,
    nodes: &mut Vec<Node>,
    chosen: usize,
    split: Split,
) {
    let new = leaves.len();
    let leaf = &mut leaves[chosen];
    let codes = task.binned.group(split.feature / LANES);
    let lane = split.feature % LANES;
    // At most 256 leaves: positions of nodes and leaves fit in 15 bits.
    let node = Node::new(
        split.feature as u16,
        split.last_left,
        split.missing_left,
        [LEAF | chosen as u16, LEAF | new as u16],
    );
    let (mut left, mut right) = (leaf.from, 0);
    for i in leaf.from..leaf.to {
        let entry = work.rows[i];
        let goes_left = node.goes_left(codes[(entry >> 1) as usize][lane]);
        work.rows[left] = entry;
        work.right[right] = entry;
        left += usize::from(goes_left);
        right += usize::from(!goes_left);
    }
    work.rows[left..leaf.to].copy_from_slice(&work.right[..right]);
    if let Some((parent, is_right)) = leaf.parent {
        nodes[parent].children[usize::from(is_right)] = nodes.len() as u16;
    }
    let to = leaf.to;
    leaf.to = left;
    leaf.best = None;
    leaf.parent = Some((nodes.len(), false));
    leaves.push(OpenLeaf { from: left, to, slot: new, best: None, parent: Some((nodes.len(), true)) });
    nodes.push(node);
}

/// Counts the smaller half, subtracts it from the parent to get the larger, and finds both halves' best splits.
fn update_histograms(
    task: &Task<'_>,
    work: &mut Workspace,
    leaves: &mut [OpenLeaf],
    left: usize,
    right: usize,
    groups: usize,
) {
    let len = |leaf: &OpenLeaf| leaf.to - leaf.from;
    let small_is_left = len(&leaves[left]) <= len(&leaves[right]);
    if small_is_left {
        // The larger half inherits the parent's histograms.
        (leaves[left].slot, leaves[right].slot) = (leaves[right].slot, leaves[left].slot);
    }
    let (small, large) = if small_is_left { (left, right) } else { (right, left) };
    let splittable = |leaf: &OpenLeaf| len(leaf) >= 2 * task.leaf_rows as usize;
    if !splittable(&leaves[large]) {
        return;
    }
    // The new leaf's slot is the last in use, so it lies after the parent's.
    let (before, after) = work.histograms.split_at_mut(leaves[small].slot * groups);
    let counted = &mut after[..groups];
    let inherited = &mut before[leaves[large].slot * groups..][..groups];
    build(task, &work.rows[leaves[small].from..leaves[small].to], counted);
    for (whole, part) in inherited.iter_mut().zip(counted.iter()) {
        subtract(whole, part);
    }
    for (leaf, histograms) in [(small, &*counted), (large, &*inherited)] {
        let leaf = &mut leaves[leaf];
        if splittable(leaf) {
            leaf.best = best_split(task, total(&work.rows[leaf.from..leaf.to]), histograms);
        }
    }
}

/// Counts rows into the histograms of all groups.
fn build(task: &Task<'_>, rows: &[u32], histograms: &mut [Histogram]) {
    for (g, histogram) in histograms.iter_mut().enumerate() {
        *histogram = [[0; 256]; LANES];
        let codes = task.binned.group(g);
        for &entry in rows {
            let lanes = codes[(entry >> 1) as usize];
            let count = 1 + (Counts::from(entry & 1) << 32);
            for (bins, code) in histogram.iter_mut().zip(lanes) {
                bins[usize::from(code)] += count;
            }
        }
    }
}

fn subtract(whole: &mut Histogram, part: &Histogram) {
    for (bins, counted) in whole.iter_mut().zip(part) {
        for (count, taken) in bins.iter_mut().zip(counted) {
            *count -= taken;
        }
    }
}

fn total(rows: &[u32]) -> Counts {
    let above: u64 = rows.iter().map(|&entry| u64::from(entry & 1)).sum();
    rows.len() as u64 + (above << 32)
}

/// The split with the greatest gain; `None` when none leaves enough rows on both sides or none gains.
fn best_split(task: &Task<'_>, total: Counts, histograms: &[Histogram]) -> Option<Split> {
    let mut search = Search {
        total,
        leaf_rows: task.leaf_rows,
        // The gain of leaving the rows together, and a little, so that rounding is no reason to split.
        best: square_share(total) + 1e-6,
        found: None,
    };
    let unsplit = square_share(total);
    for &feature in task.features {
        let bins = task.binned.features[feature].cuts.len() + 1;
        search.scan(feature, &histograms[feature / LANES][feature % LANES], bins);
    }
    search.found.map(|split| Split { gain: split.gain - unsplit, ..split })
}

struct Search {
    total: Counts,
    leaf_rows: u32,
    best: f64,
    found: Option<Split>,
}

impl Search {
    /// Tries every threshold of a feature, with its missing rows on either side.
    fn scan(&mut self, feature: usize, counts: &[Counts; 256], bins: usize) {
        let missing = counts[usize::from(MISSING)];
        if rows(missing) > 0 {
            self.consider(feature, missing, 0, true);
        }
        let mut left: Counts = 0;
        for (code, &count) in counts.iter().enumerate().take(bins).skip(1) {
            if count == 0 {
                continue;
            }
            left += count;
            if rows(left) + rows(missing) < self.leaf_rows {
                continue;
            }
            if rows(self.total - left) < self.leaf_rows {
                break;
            }
            if rows(missing) > 0 {
                self.consider(feature, left + missing, code as u8, true);
                self.consider(feature, left, code as u8, false);
            } else {
                // None is missing here: should one be later, the larger side is the safer guess.
                let left_is_larger = u64::from(rows(left)) * 2 >= u64::from(rows(self.total));
                self.consider(feature, left, code as u8, left_is_larger);
            }
        }
    }

    fn consider(&mut self, feature: usize, left: Counts, last_left: u8, missing_left: bool) {
        let right = self.total - left;
        if rows(left) < self.leaf_rows || rows(right) < self.leaf_rows {
            return;
        }
        let gain = square_share(left) + square_share(right);
        if gain > self.best {
            self.best = gain;
            self.found = Some(Split { gain, feature, last_left, missing_left });
        }
    }
}

fn rows(counts: Counts) -> u32 {
    counts as u32 // the lower half
}

/// Squared sum of the gradients over the rows, without the terms that cancel in a gain.
fn square_share(counts: Counts) -> f64 {
    let above = (counts >> 32) as f64;
    above * above / f64::from(rows(counts))
}
