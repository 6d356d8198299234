//! Groups of rows by time of day and lead time, sample quantiles kept per group, and splits by time.

use std::collections::BTreeSet;

use forewatt_domain::QuantileLevels;
use forewatt_domain::time::MICROS_PER_DAY;
use serde::{Deserialize, Serialize};

use crate::matrix::RowKey;

/// Lead times, in hours, at which errors of energy forecasts tend to change their character.
pub const LEAD_EDGES_HOURS: [u32; 9] = [1, 2, 4, 8, 16, 24, 48, 96, 192];

/// How rows are grouped: adjacent slots of the day times ranges of lead time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Groups {
    steps_per_day: u32,
    slots: u32,
    /// Rising leads in steps; a lead belongs to the group numbered by how many edges do not exceed it.
    lead_edges: Vec<u32>,
}

impl Groups {
    /// Groups for rows like `keys`: at most `slots` groups over the day, lead times split at `edges_hours`.
    ///
    /// Edges beyond the longest lead are left out, so that no group is empty by construction.
    #[must_use]
    pub fn new(keys: &[RowKey], slots: u32, edges_hours: &[u32]) -> Self {
        let steps_per_day = steps_per_day(keys);
        let longest = keys.iter().map(|key| key.lead).max().unwrap_or(0);
        let mut lead_edges: Vec<u32> = edges_hours
            .iter()
            .map(|hours| (hours * steps_per_day).div_ceil(24))
            .filter(|&edge| edge <= longest)
            .collect();
        lead_edges.dedup();
        Self { steps_per_day, slots: slots.clamp(1, steps_per_day), lead_edges }
    }

    /// Steps in a local day.
    #[must_use]
    pub fn steps_per_day(&self) -> usize {
        self.steps_per_day as usize
    }

    /// How many groups there are over the day.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.slots as usize
    }

    /// How many groups of lead times there are.
    #[must_use]
    pub fn leads(&self) -> usize {
        self.lead_edges.len() + 1
    }

    /// How many groups there are in all.
    #[must_use]
    pub fn count(&self) -> usize {
        self.slots() * self.leads()
    }

    /// The group over the day of a row, below [`Groups::slots`].
    #[must_use]
    pub fn slot(&self, key: &RowKey) -> usize {
        (u32::from(key.slot_of_day).min(self.steps_per_day - 1) * self.slots / self.steps_per_day) as usize
    }

    /// The group of a lead, below [`Groups::leads`].
    #[must_use]
    pub fn lead(&self, lead: u32) -> usize {
        self.lead_edges.partition_point(|&edge| edge <= lead)
    }

    /// The group of a row, below [`Groups::count`]: lead-major.
    #[must_use]
    pub fn index(&self, key: &RowKey) -> usize {
        self.lead(key.lead) * self.slots() + self.slot(key)
    }

    /// Whether every row has a group: false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        (1..=1440).contains(&self.steps_per_day)
            && (1..=self.steps_per_day).contains(&self.slots)
            && self.lead_edges.len() <= 64
            && self.lead_edges.is_sorted()
    }
}

/// Steps in a local day, read off the distance between origin and valid time; 1 to 1440.
#[must_use]
pub fn steps_per_day(keys: &[RowKey]) -> u32 {
    let by_lead = keys
        .iter()
        .find(|key| key.lead > 0 && key.valid_time > key.origin)
        .map(|key| MICROS_PER_DAY / (key.valid_time.micros_since(key.origin) / i64::from(key.lead)).max(1));
    // One step ahead only: the greatest slot tells how many there are, once a whole day was seen.
    let by_slot = || keys.iter().map(|key| i64::from(key.slot_of_day) + 1).max().unwrap_or(1);
    u32::try_from(by_lead.unwrap_or_else(by_slot).clamp(1, 1440)).unwrap_or(1)
}

/// The quantile at `level` of rising `sorted`, by the (n + 1) p rule, NaN when there are none.
///
/// The rule (type 6 of Hyndman and Fan, 1996) is the one under which a new value of the same distribution falls
/// below the quantile with probability `level`, which is what conformal prediction asks for.
#[must_use]
pub fn sample_quantile(sorted: &[f32], level: f64) -> f32 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f32::NAN;
    };
    let position = ((sorted.len() as f64 + 1.0) * level - 1.0).clamp(0.0, last as f64);
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    let share = position - below as f64;
    (f64::from(sorted[below]) * (1.0 - share) + f64::from(sorted[above]) * share) as f32
}

/// The middle value, for reordering `values`; NaN when there are none.
#[must_use]
pub fn median(values: &mut [f32]) -> f32 {
    values.sort_unstable_by(f32::total_cmp);
    sample_quantile(values, 0.5)
}

/// One rising row of quantiles per group, each drawn towards a wider group in so far as it has few values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GroupedQuantiles {
    groups: Groups,
    levels: usize,
    /// `groups.count() * levels`.
    table: Vec<f32>,
}

/// A group of this many values weighs as much as the group above it.
const SHRINKAGE: f64 = 40.0;

impl GroupedQuantiles {
    /// Learns from one finite value per key: a cell leans on its time of day, that one on everything.
    #[must_use]
    pub fn new(groups: Groups, levels: &QuantileLevels, keys: &[RowKey], values: &[f32]) -> Self {
        let table = shrunk(&groups, cells(&groups, keys, values), levels.as_slice());
        Self { groups, levels: levels.len(), table }
    }

    /// As [`GroupedQuantiles::new`], with other values for every level.
    #[must_use]
    pub fn by_level(groups: Groups, levels: &QuantileLevels, keys: &[RowKey], values: &[&[f32]]) -> Self {
        let mut table = vec![0.0; groups.count() * levels.len()];
        for (l, (&level, values)) in levels.as_slice().iter().zip(values).enumerate() {
            let column = shrunk(&groups, cells(&groups, keys, values), &[level]);
            for (cell, value) in column.into_iter().enumerate() {
                table[cell * levels.len() + l] = value;
            }
        }
        Self { groups, levels: levels.len(), table }
    }

    /// The quantiles for rows like `key`.
    #[must_use]
    pub fn row(&self, key: &RowKey) -> &[f32] {
        self.of_group(self.groups.index(key))
    }

    /// The quantiles of a group.
    #[must_use]
    pub fn of_group(&self, group: usize) -> &[f32] {
        &self.table[group * self.levels..(group + 1) * self.levels]
    }

    /// The groups.
    #[must_use]
    pub fn groups(&self) -> &Groups {
        &self.groups
    }

    /// The same groups with other values, `count * levels` of them, group-major.
    #[must_use]
    pub fn with_table(&self, table: Vec<f32>) -> Self {
        debug_assert_eq!(table.len(), self.table.len());
        Self { groups: self.groups.clone(), levels: self.levels, table }
    }

    /// Every value times `factor`.
    #[must_use]
    pub fn scaled(mut self, factor: f32) -> Self {
        self.table.iter_mut().for_each(|value| *value *= factor);
        self
    }

    /// Whether the table has the size it must have; false only for a decoded artifact that was not made here.
    #[must_use]
    pub fn is_sound(&self, levels: usize) -> bool {
        self.groups.is_sound() && self.levels == levels && self.table.len() == self.groups.count() * levels
    }
}

/// The values of every group.
fn cells(groups: &Groups, keys: &[RowKey], values: &[f32]) -> Vec<Vec<f32>> {
    let mut cells: Vec<Vec<f32>> = vec![Vec::new(); groups.count()];
    for (key, &value) in keys.iter().zip(values) {
        cells[groups.index(key)].push(value);
    }
    cells
}

/// The quantiles of every cell, shrunk to those of its time of day, which are shrunk to those of all values:
/// `cells.len() * levels.len()`, cell-major.
fn shrunk(groups: &Groups, mut cells: Vec<Vec<f32>>, levels: &[f64]) -> Vec<f32> {
    let slots = groups.slots();
    let mut by_slot: Vec<Vec<f32>> = vec![Vec::new(); slots];
    for (cell, values) in cells.iter().enumerate() {
        by_slot[cell % slots].extend_from_slice(values);
    }
    let mut all: Vec<f32> = by_slot.concat();
    // Sorted once and asked for every level: sorting is nearly all of the work.
    for values in cells.iter_mut().chain(&mut by_slot).chain([&mut all]) {
        values.sort_unstable_by(f32::total_cmp);
    }
    let lean = |sorted: &[f32], level: f64, parent: f32| {
        if sorted.is_empty() {
            return parent;
        }
        let weight = sorted.len() as f64 / (sorted.len() as f64 + SHRINKAGE);
        let own = f64::from(sample_quantile(sorted, level));
        (own * weight + f64::from(parent) * (1.0 - weight)) as f32
    };
    let mut table = vec![0.0; cells.len() * levels.len()];
    for (l, &level) in levels.iter().enumerate() {
        let pooled = if all.is_empty() { 0.0 } else { sample_quantile(&all, level) };
        let of_slot: Vec<f32> = by_slot.iter().map(|values| lean(values, level, pooled)).collect();
        for (cell, values) in cells.iter().enumerate() {
            table[cell * levels.len() + l] = lean(values, level, of_slot[cell % slots]);
        }
    }
    table
}

/// Rows before and after an instant, as positions in rising order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Rows whose value was known before any origin of `late`.
    pub early: Vec<usize>,
    /// Rows of the last origins.
    pub late: Vec<usize>,
}

/// Cuts off the last `share` of the origins, at most `max_days` and at least `min_days` long.
///
/// Early rows that look beyond the first late origin are in neither part: their target would tell the early
/// model what the late rows ask. `None` when the early part would not be at least twice `min_days` long.
#[must_use]
pub fn split_late(keys: &[RowKey], share: f64, min_days: i64, max_days: i64) -> Option<Split> {
    let origins: Vec<_> = keys.iter().map(|key| key.origin).collect::<BTreeSet<_>>().into_iter().collect();
    let (first, last) = (*origins.first()?, *origins.last()?);
    let at = ((origins.len() as f64) * (1.0 - share)).round() as usize;
    let days = |n: i64| last.plus_micros(-n * MICROS_PER_DAY);
    let cut = origins.get(at).copied().unwrap_or(last);
    let cut = cut.min(days(min_days - 1)).max(days(max_days));
    if cut.micros_since(first) < 2 * min_days * MICROS_PER_DAY {
        return None;
    }
    let rows =
        |keep: &dyn Fn(&RowKey) -> bool| (0..keys.len()).filter(|&i| keep(&keys[i])).collect::<Vec<_>>();
    let split = Split {
        early: rows(&|key| key.valid_time < cut && key.origin < cut),
        late: rows(&|key| key.origin >= cut),
    };
    (!split.early.is_empty() && !split.late.is_empty()).then_some(split)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::synthetic::{self, Shape};

    #[test]
    fn sample_quantiles_follow_the_n_plus_one_rule() {
        let nine: Vec<f32> = (1..=9_u8).map(f32::from).collect();
        for i in 1..=9_u8 {
            assert!((sample_quantile(&nine, f64::from(i) / 10.0) - f32::from(i)).abs() < 1e-5);
        }
        assert_eq!(sample_quantile(&nine, 0.001), 1.0);
        assert_eq!(sample_quantile(&nine, 0.999), 9.0);
        assert_eq!(sample_quantile(&[4.0], 0.3), 4.0);
        assert!(sample_quantile(&[], 0.3).is_nan());
    }

    #[test]
    fn groups_cover_slots_and_leads_once() {
        let data = synthetic::training(Shape { horizon: 48, every: 7, ..Shape::default() });
        let groups = Groups::new(&data.features.keys, 24, &LEAD_EDGES_HOURS);
        assert_eq!((groups.steps_per_day(), groups.slots()), (24, 24));
        assert_eq!(groups.leads(), 7, "edges 1, 2, 4, 8, 16 and 24 lie within 47 steps");
        assert_eq!(groups.lead(0), 0);
        assert_eq!(groups.lead(1), 1);
        assert_eq!(groups.lead(23), 5);
        assert_eq!(groups.lead(5000), 6);
        assert!(data.features.keys.iter().all(|key| groups.index(key) < groups.count()));
        assert!(groups.is_sound());
        assert_eq!(Groups::new(&[], 24, &LEAD_EDGES_HOURS).count(), 1);
    }

    #[test]
    fn small_groups_lean_on_the_large_ones() {
        let data = synthetic::training(Shape::default());
        let keys = &data.features.keys[..24 * 200];
        let levels = QuantileLevels::parse("0.1,0.5,0.9").unwrap();
        let values: Vec<f32> = keys.iter().map(|key| f32::from(key.slot_of_day)).collect();
        let all = GroupedQuantiles::new(Groups::new(keys, 24, &[]), &levels, keys, &values);
        let few = GroupedQuantiles::new(Groups::new(keys, 24, &[]), &levels, &keys[..48], &values[..48]);
        let late = keys.iter().find(|key| key.slot_of_day == 23).unwrap();
        assert!(all.row(late)[1] > 20.0, "200 values of 23 outweigh the pool");
        assert!(few.row(late)[1] < 14.0, "two values do not");
        assert!(all.row(late).is_sorted() && few.row(late).is_sorted());
    }

    /// The quantile of one cell, from the definition: its values, its time of day's and all, each sorted anew.
    fn slowly(groups: &Groups, keys: &[RowKey], values: &[f32], cell: usize, level: f64) -> f32 {
        let sorted = |keep: &dyn Fn(usize) -> bool| {
            let pairs = keys.iter().zip(values).filter(|(key, _)| keep(groups.index(key)));
            let mut kept: Vec<f32> = pairs.map(|(_, &value)| value).collect();
            kept.sort_unstable_by(f32::total_cmp);
            kept
        };
        let mut quantile = sample_quantile(&sorted(&|_| true), level);
        let of_slot = sorted(&|other| other % groups.slots() == cell % groups.slots());
        for own in [of_slot, sorted(&|other| other == cell)].iter().filter(|own| !own.is_empty()) {
            let weight = own.len() as f64 / (own.len() as f64 + SHRINKAGE);
            let value = f64::from(sample_quantile(own, level));
            quantile = (value * weight + f64::from(quantile) * (1.0 - weight)) as f32;
        }
        quantile
    }

    #[test]
    fn all_levels_at_once_are_what_each_cell_gives_by_itself() {
        let data = synthetic::training(Shape { horizon: 48, every: 7, ..Shape::default() });
        let keys = &data.features.keys[..48 * 30];
        let values = &data.target[..keys.len()];
        let (levels, groups) = (QuantileLevels::deciles(), Groups::new(keys, 24, &LEAD_EDGES_HOURS));
        let at_once = GroupedQuantiles::new(groups.clone(), &levels, keys, values);
        for cell in 0..groups.count() {
            for (l, &level) in levels.as_slice().iter().enumerate() {
                let slow = slowly(&groups, keys, values, cell, level);
                assert_eq!(at_once.of_group(cell)[l].to_bits(), slow.to_bits(), "cell {cell}, level {level}");
            }
        }
        let one_by_one = GroupedQuantiles::by_level(groups, &levels, keys, &vec![values; levels.len()]);
        assert_eq!(at_once, one_by_one);
    }

    #[test]
    fn a_split_never_lets_the_early_part_see_the_late_one() {
        let data = synthetic::training(Shape { horizon: 48, every: 7, ..Shape::default() });
        let keys = &data.features.keys;
        let split = split_late(keys, 0.2, 14, 90).unwrap();
        let cut = split.late.iter().map(|&i| keys[i].origin).min().unwrap();
        assert!(split.early.iter().all(|&i| keys[i].valid_time < cut));
        assert!(split.late.len() * 3 > keys.len() / 5 && split.early.len() > keys.len() / 2);
        let few: Vec<RowKey> = keys.iter().copied().take(48 * 60).collect();
        assert_eq!(split_late(&few, 0.2, 14, 90), None, "60 origins 7 hours apart are 17 days");
        assert_eq!(split_late(&[], 0.2, 14, 90), None);
    }
}
