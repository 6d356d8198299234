//! The forest as bytes: what walks read is what files hold, so that nothing is parsed.
//!
//! Trees that move the same knots and have about as many splits lie together in a group. Three sections follow each
//! other, each from a multiple of [`LINE`] bytes on:
//!
//! | section | of every tree |
//! |---|---|
//! | splits | planes of `slots` bytes: features; thresholds; first leaves, with the top bit set where missing values go right; and for forests of many features or leaves a fourth, of the features' upper bits and that bit |
//! | trees | first leaf in the group (24 bits) and leaves less one (8 bits); the unit of its leaves, f32 |
//! | leaves | `width` values a leaf: f32, i16 or i8, little-endian as everything |

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::node::{LEAVES_MAX, Plain, Split, are_nested};

/// Sections begin at multiples of this.
pub(super) const LINE: usize = 32;
/// Splits are stored by so many.
const SLOTS: usize = 16;
/// The most leaves of a tree without the fourth plane.
const NARROW_LEAVES: usize = 128;
/// The most trees of a forest.
const TREES_MAX: usize = 1 << 16;
/// No step is greater, in standardised units: sums of all trees stay finite.
const STEP_MAX: f32 = 1e30;
/// Walks read so many values from a leaf's first on, whatever the width.
pub(super) const LANES_MAX: usize = 24;

/// How exactly the leaves of a forest are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Eight bits and a unit per tree: within 0.4 % of the tree's largest step.
    I8,
    /// Sixteen bits and a unit per tree: within 0.002 %.
    I16,
    /// As learned.
    F32,
}

impl Precision {
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::I8 => 1,
            Self::I16 => 2,
            Self::F32 => 4,
        }
    }
}

/// Bytes at an address that suits every number and vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C, align(32))]
pub(super) struct Line([u8; LINE]);

#[expect(unsafe_code, reason = "bytemuck asks for it; the derive would be one more dependency")]
// SAFETY: an array of bytes with an alignment equal to its size: no padding, any bits are valid.
unsafe impl bytemuck::Zeroable for Line {}
#[expect(unsafe_code, reason = "bytemuck asks for it; the derive would be one more dependency")]
// SAFETY: as above, and it is `Copy`, `'static` and `repr(C)`.
unsafe impl bytemuck::Pod for Line {}

/// Trees that lie together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Group {
    /// The first knot they move.
    pub low: u16,
    /// How many they move.
    pub width: u16,
    /// Bytes of a plane.
    pub slots: u16,
    pub trees: u32,
}

/// A group and where its parts begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub group: Group,
    /// In bytes.
    pub splits: usize,
    pub first_tree: usize,
    /// In values from the start of the leaves.
    pub leaves: usize,
}

/// Packed trees; clones share the bytes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Packed {
    pub precision: Precision,
    /// Whether there is a fourth plane.
    pub wide: bool,
    pub places: Vec<Place>,
    lines: Arc<[Line]>,
    /// Where the trees and the leaves begin and the leaves end, in bytes.
    ends: [usize; 3],
}

/// One tree's numbers.
#[derive(Debug, Clone, Copy)]
pub(super) struct TreeRef {
    /// In leaves of the group.
    pub first: usize,
    pub leaves: usize,
    pub unit: f32,
}

impl TreeRef {
    #[inline(always)]
    pub fn new([word, unit]: [u32; 2]) -> Self {
        Self {
            first: (word & 0x00ff_ffff) as usize,
            leaves: (word >> 24) as usize + 1,
            unit: f32::from_bits(unit),
        }
    }
}

impl Packed {
    /// Packs trees of `knots` steps a leaf; the order within a group is kept.
    pub fn new(trees: &[Plain], knots: usize, precision: Precision) -> Self {
        let far = |tree: &Plain| {
            tree.splits.len() >= NARROW_LEAVES || tree.splits.iter().any(|split| split.feature > 255)
        };
        let wide = trees.iter().any(far);
        let key = |tree: &Plain| {
            let (low, width) = span(&tree.values, knots);
            (low as u16, width as u16, tree.splits.len().next_multiple_of(SLOTS).max(SLOTS) as u16)
        };
        let mut sorted: Vec<(_, &Plain)> = trees.iter().map(|tree| (key(tree), tree)).collect();
        sorted.sort_by_key(|(key, _)| *key); // stable
        let (mut groups, mut splits, mut table, mut leaves) = (vec![], vec![], vec![], vec![]);
        for same in sorted.chunk_by(|a, b| a.0 == b.0) {
            let (low, width, slots) = same[0].0;
            groups.push(Group { low, width, slots, trees: same.len() as u32 });
            let mut first = 0;
            for (_, tree) in same {
                push_splits(&mut splits, &tree.splits, slots.into(), wide);
                let rows = tree.values.chunks_exact(knots);
                let kept: Vec<f32> =
                    rows.flat_map(|row| &row[low.into()..usize::from(low + width)]).copied().collect();
                let unit = push_leaves(&mut leaves, &kept, precision);
                let word = first | (tree.splits.len() as u32) << 24;
                table.extend_from_slice(&word.to_le_bytes());
                table.extend_from_slice(&unit.to_le_bytes());
                first += tree.splits.len() as u32 + 1;
            }
        }
        let mut bytes = splits;
        for section in [table, leaves] {
            bytes.resize(bytes.len().next_multiple_of(LINE), 0);
            bytes.extend_from_slice(&section);
        }
        match Self::read(&bytes, &groups, precision, wide) {
            Ok(packed) => packed,
            // It was laid out a moment ago just as reading expects it.
            Err(error) => unreachable!("a forest packed wrongly: {error}"),
        }
    }

    /// Takes bytes as they lie in a file: one copy to an address that suits, and no parse.
    ///
    /// # Errors
    /// A text that says what is wrong, when they are not those of these groups.
    pub fn read(bytes: &[u8], groups: &[Group], precision: Precision, wide: bool) -> Result<Self, String> {
        let mut places = Vec::with_capacity(groups.len());
        let (mut splits, mut trees) = (0_usize, 0_usize);
        for &group in groups {
            let slots = usize::from(group.slots);
            let known = group.trees > 0 && group.trees as usize <= TREES_MAX - trees.min(TREES_MAX);
            if !known || slots == 0 || slots % SLOTS != 0 || slots > LEAVES_MAX {
                return Err("a group of trees is of no possible size".to_owned());
            }
            places.push(Place { group, splits, first_tree: trees, leaves: 0 });
            splits += group.trees as usize * slots * planes(wide);
            trees += group.trees as usize;
        }
        let table = splits.next_multiple_of(LINE);
        let leaves = (table + trees * 8).next_multiple_of(LINE);
        if bytes.len() < leaves {
            return Err("the forest's trees are cut off".to_owned());
        }
        let room = bytes.len() + LANES_MAX * precision.bytes();
        let mut lines = vec![Line([0; LINE]); room.div_ceil(LINE)];
        bytemuck::cast_slice_mut(&mut lines)[..bytes.len()].copy_from_slice(bytes);
        let ends = [table, leaves, bytes.len()];
        let mut packed = Self { precision, wide, places, lines: lines.into(), ends };
        packed.place_leaves()?;
        Ok(packed)
    }

    /// Finds where each group's leaves begin, and checks that every walk stays inside.
    fn place_leaves(&mut self) -> Result<(), String> {
        let mut at = 0;
        let mut places = self.places.clone();
        for place in &mut places {
            place.leaves = at;
            let mut first = 0;
            for (number, tree) in self.trees_of(place).enumerate() {
                if tree.first != first || !is_step(tree.unit) || !self.is_sound(place, number, tree.leaves) {
                    return Err(format!("tree {} of the forest is damaged", place.first_tree + number));
                }
                first += tree.leaves;
            }
            at += first * usize::from(place.group.width);
        }
        if at * self.precision.bytes() != self.ends[2] - self.ends[1] {
            return Err("the forest's leaves do not add up".to_owned());
        }
        if self.precision == Precision::F32 && !self.leaves::<f32>()[..at].iter().all(|&leaf| is_step(leaf)) {
            return Err("the forest's leaves are not numbers".to_owned());
        }
        self.places = places;
        Ok(())
    }

    fn is_sound(&self, place: &Place, number: usize, leaves: usize) -> bool {
        let slots = usize::from(place.group.slots);
        let splits = || (0..slots).map(|i| self.split(place, number, i));
        // Beyond the leaves, nothing may go right.
        leaves <= slots + 1
            && leaves <= LEAVES_MAX
            && splits().skip(leaves - 1).all(|split| split == Split::NONE)
            && are_nested(splits().take(leaves - 1).map(|split| split.start))
    }

    /// The greatest feature that a split reads.
    pub fn greatest_feature(&self) -> usize {
        let mut greatest = 0;
        for place in &self.places {
            for number in 0..place.group.trees as usize {
                let slots = 0..usize::from(place.group.slots);
                let features = slots.map(|i| usize::from(self.split(place, number, i).feature));
                greatest = features.fold(greatest, usize::max);
            }
        }
        greatest
    }

    fn split(&self, place: &Place, number: usize, i: usize) -> Split {
        let slots = usize::from(place.group.slots);
        let planes = &self.splits_of(place)[number * slots * planes(self.wide)..];
        let (feature, threshold, start) = (planes[i], planes[slots + i], planes[2 * slots + i]);
        if self.wide {
            let upper = planes[3 * slots + i];
            let feature = u16::from(feature) | u16::from(upper >> 1) << 8;
            return Split { feature, threshold, start, missing_right: upper & 1 == 1 };
        }
        let missing_right = start >= 0x80;
        Split { feature: feature.into(), threshold, start: start & 0x7f, missing_right }
    }

    /// The trees again, in the order they lie in.
    pub fn trees(&self, knots: usize) -> Vec<Plain> {
        let mut trees = Vec::new();
        for place in &self.places {
            let (low, width) = (usize::from(place.group.low), usize::from(place.group.width));
            for (number, tree) in self.trees_of(place).enumerate() {
                let splits = (0..tree.leaves - 1).map(|i| self.split(place, number, i)).collect();
                let mut values = vec![0.0; tree.leaves * knots];
                for (leaf, row) in values.chunks_exact_mut(knots).enumerate() {
                    let from = place.leaves + (tree.first + leaf) * width;
                    for (k, value) in row[low..low + width].iter_mut().enumerate() {
                        *value = self.value(from + k) * tree.unit;
                    }
                }
                trees.push(Plain { splits, values });
            }
        }
        trees
    }

    fn value(&self, at: usize) -> f32 {
        match self.precision {
            Precision::I8 => f32::from(self.leaves::<i8>()[at]),
            Precision::I16 => f32::from(self.leaves::<i16>()[at]),
            Precision::F32 => self.leaves::<f32>()[at],
        }
    }

    /// How many trees.
    pub fn count(&self) -> usize {
        self.places.last().map_or(0, |last| last.first_tree + last.group.trees as usize)
    }

    fn trees_of(&self, place: &Place) -> impl Iterator<Item = TreeRef> {
        self.table(place).iter().map(|&words| TreeRef::new(words))
    }

    /// The bytes as files hold them.
    pub fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.lines)[..self.ends[2]]
    }

    /// The split planes of a group.
    pub fn splits_of(&self, place: &Place) -> &[u8] {
        let length = place.group.trees as usize * usize::from(place.group.slots) * planes(self.wide);
        &bytemuck::cast_slice(&self.lines)[place.splits..place.splits + length]
    }

    /// The table of a group's trees, for [`TreeRef::new`].
    pub fn table(&self, place: &Place) -> &[[u32; 2]] {
        let lines = &self.lines[self.ends[0] / LINE..self.ends[1] / LINE];
        &bytemuck::cast_slice(lines)[place.first_tree..place.first_tree + place.group.trees as usize]
    }

    /// All leaves, and [`LANES_MAX`] values more.
    pub fn leaves<V: bytemuck::Pod>(&self) -> &[V] {
        bytemuck::cast_slice(&self.lines[self.ends[1] / LINE..])
    }
}

/// Whether a leaf can have such a value, or a tree such a unit.
pub(super) fn is_step(value: f32) -> bool {
    value.abs() <= STEP_MAX // not NaN either
}

/// How many planes a tree has.
pub(super) const fn planes(wide: bool) -> usize {
    if wide { 4 } else { 3 }
}

/// The knots from the first to the last that a leaf moves: where they begin and how many; one at least.
fn span(values: &[f32], knots: usize) -> (usize, usize) {
    let moved = |k: &usize| values.iter().skip(*k).step_by(knots).any(|&value| value != 0.0);
    let low = (0..knots).find(moved).unwrap_or(0);
    let high = (0..knots).rev().find(moved).unwrap_or(0);
    (low, high + 1 - low)
}

fn push_splits(bytes: &mut Vec<u8>, splits: &[Split], slots: usize, wide: bool) {
    let mut plane = |of: &dyn Fn(&Split) -> u8| {
        bytes.extend((0..slots).map(|i| of(splits.get(i).unwrap_or(&Split::NONE))));
    };
    plane(&|split| split.feature as u8);
    plane(&|split| split.threshold);
    if wide {
        plane(&|split| split.start);
        plane(&|split| (((split.feature >> 8) as u8) << 1) | u8::from(split.missing_right));
    } else {
        plane(&|split| split.start | u8::from(split.missing_right) << 7);
    }
}

/// Appends leaf values and returns their unit.
fn push_leaves(bytes: &mut Vec<u8>, values: &[f32], precision: Precision) -> f32 {
    let greatest = values.iter().fold(0.0_f32, |max, v| max.max(v.abs()));
    let unit = |steps: f32| if greatest > 0.0 { (greatest / steps).max(f32::MIN_POSITIVE) } else { 1.0 };
    match precision {
        Precision::F32 => {
            values.iter().for_each(|v| bytes.extend_from_slice(&v.to_le_bytes()));
            1.0
        }
        Precision::I16 => {
            let unit = unit(f32::from(i16::MAX));
            values.iter().for_each(|v| bytes.extend_from_slice(&((v / unit).round() as i16).to_le_bytes()));
            unit
        }
        Precision::I8 => {
            let unit = unit(f32::from(i8::MAX));
            values.iter().for_each(|v| bytes.push((v / unit).round() as i8 as u8));
            unit
        }
    }
}
