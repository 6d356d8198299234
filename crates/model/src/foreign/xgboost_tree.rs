//! Reading one tree of an XGBoost model.

use std::collections::BTreeMap;

use super::Result;
use super::forest::{Missing, RawTree, Rule, Split};
use super::value::{At, whole};

/// A node without children.
const NONE: f64 = -1.0;

/// The lists that describe the nodes.
struct Nodes<'a> {
    lefts: &'a [f64],
    rights: &'a [f64],
    features: &'a [f64],
    conditions: &'a [f64],
    defaults: &'a [f64],
    /// 1 for splits on categories; empty in old files.
    kinds: &'a [f64],
}

impl<'a> Nodes<'a> {
    fn read(tree: &At<'a>) -> Result<Self> {
        let params = tree.get("tree_param")?;
        let count = params.get("num_nodes")?.count()?;
        if let Some(size) = params.find("size_leaf_vector")
            && size.count()? > 1
        {
            return Err(size.wrong(
                "trees with vectors in their leaves are not read: train with multi_strategy=one_output_per_tree",
            ));
        }
        let list = |key: &str| -> Result<&'a [f64]> {
            let at = tree.get(key)?;
            let numbers = at.numbers()?;
            if numbers.len() == count && count > 0 {
                return Ok(numbers);
            }
            let found = numbers.len();
            Err(at
                .wrong(format!("{found} values for {count} nodes; there must be as many, and at least one")))
        };
        Ok(Self {
            lefts: list("left_children")?,
            rights: list("right_children")?,
            features: list("split_indices")?,
            conditions: list("split_conditions")?,
            defaults: list("default_left")?,
            kinds: if tree.find("split_type").is_some() { list("split_type")? } else { &[] },
        })
    }
}

/// Reads a tree whose leaves count `weight` times.
pub(super) fn read_tree(tree: &At<'_>, weight: f32) -> Result<RawTree> {
    let nodes = Nodes::read(tree)?;
    let mut raw = RawTree::default();
    let sets = read_sets(tree, &mut raw)?;
    let places = places(&nodes);
    for node in 0..nodes.lefts.len() {
        let condition = nodes.conditions[node] as f32;
        if nodes.lefts[node] == NONE {
            let leaf = condition * weight;
            if !leaf.is_finite() {
                return Err(tree.wrong(format!("the leaf at node {node} is not finite")));
            }
            raw.leaves.push(f64::from(leaf));
            continue;
        }
        let child = |of: &[f64]| whole(of[node]).and_then(|child| places.get(child)).copied();
        let feature = whole(nodes.features[node]);
        let (Some(left), Some(right), Some(feature)) = (child(nodes.lefts), child(nodes.rights), feature)
        else {
            return Err(tree.wrong(format!("node {node} has a child or a feature that does not exist")));
        };
        let by_category = nodes.kinds.get(node).is_some_and(|kind| *kind == 1.0);
        let is_left = nodes.defaults[node] != 0.0;
        let feature = feature as u32; // `whole` gives no more
        raw.splits.push(if by_category {
            let set = sets.get(&node);
            let &(from, len) =
                set.ok_or_else(|| tree.wrong(format!("node {node} has no set of categories")))?;
            // Categories of the set go right there, left here.
            let rule = Rule::In { from, len, rounds_up: false };
            Split { feature, rule, default_left: !is_left, left: right, right: left }
        } else {
            if condition.is_nan() || condition == f32::NEG_INFINITY {
                return Err(tree.wrong(format!("the threshold at node {node} is {condition}")));
            }
            let threshold = f64::from(condition.next_down());
            Split {
                feature,
                rule: Rule::UpTo { threshold, missing: Missing::Nan },
                default_left: is_left,
                left,
                right,
            }
        });
    }
    Ok(raw)
}

/// Where every node is to stand: splits count from 0, leaves from -1 down.
fn places(nodes: &Nodes<'_>) -> Vec<i32> {
    let (mut splits, mut leaves) = (0, 0);
    let place = |left: &f64| {
        let (of, at): (&mut i32, fn(i32) -> i32) =
            if *left == NONE { (&mut leaves, |n| !n) } else { (&mut splits, |n| n) };
        *of += 1; // a file of 32 MiB has fewer nodes than 2^31
        at(*of - 1)
    };
    nodes.lefts.iter().map(place).collect()
}

/// The set of categories of every node that has one, as a range of [`RawTree::sets`].
fn read_sets(tree: &At<'_>, raw: &mut RawTree) -> Result<BTreeMap<usize, (u32, u32)>> {
    let mut sets = BTreeMap::new();
    let Some(at) = tree.find("categories_nodes") else { return Ok(sets) };
    let nodes = at.numbers()?;
    let (starts, sizes) = (tree.get("categories_segments")?, tree.get("categories_sizes")?);
    let (starts, sizes) = (starts.numbers()?, sizes.numbers()?);
    let categories = tree.get("categories")?;
    let categories = categories.numbers()?;
    if nodes.len() != starts.len() || nodes.len() != sizes.len() {
        return Err(at.wrong("`categories_nodes`, `_segments` and `_sizes` must be as long as each other"));
    }
    let mut used = 0;
    for (i, node) in nodes.iter().enumerate() {
        let range = whole(starts[i]).zip(whole(sizes[i])).map(|(start, size)| start..start + size);
        let set = range.and_then(|range| categories.get(range));
        let set: Option<Vec<u32>> = set.and_then(|set| set.iter().map(|c| Some(whole(*c)? as u32)).collect());
        let (Some(mut set), Some(node)) = (set, whole(*node)) else {
            return Err(at.wrong(format!("set {i} is not made of whole numbers of `categories`")));
        };
        used += set.len();
        // Sets that overlap could take more memory than the file.
        if used > categories.len() || sets.insert(node, (raw.sets.len() as u32, set.len() as u32)).is_some() {
            return Err(at.wrong(format!("set {i} overlaps another or is a second one for node {node}")));
        }
        set.sort_unstable();
        raw.sets.append(&mut set);
    }
    Ok(sets)
}
