//! Which series are parts of which: the tree below a parent, and whether it adds up in what was measured.

use std::collections::{BTreeMap, BTreeSet};

use forewatt_domain::{Series, SeriesName, Time};
use forewatt_model::hierarchy::{NODES_MAX, Tree};
use forewatt_store::{ObservationRange, ObservationStore, SeriesState, SeriesStore};
use serde::Serialize;

use crate::Service;
use crate::error::{Error, ErrorKind, Result};

/// How far measured parts may add up to something else than their parent, as a share of it.
const GAP_SHARE_MAX: f64 = 0.02;

/// A series that has the right parent and still is no part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Which.
    pub series: SeriesName,
    /// Why.
    pub reason: String,
}

/// A parent and everything below it; the parent comes first.
pub(super) struct Parts {
    /// Descriptions and states.
    pub series: Vec<(Series, SeriesState)>,
    /// Each one's parent, by place; none for the first.
    pub parents: Vec<Option<usize>>,
    /// The same as a tree.
    pub tree: Tree,
    /// Who has the right parent and is no part.
    pub left_out: Vec<LeftOut>,
}

/// What was measured of every part, by valid time.
pub(super) type Measured = Vec<BTreeMap<Time, f64>>;

impl Parts {
    /// The name of the part at a place.
    pub fn name(&self, place: usize) -> &SeriesName {
        &self.series[place].0.name
    }
}

impl Service {
    /// The tree below a series: parts have its kind, unit and resolution.
    pub(super) async fn parts(&self, parent: &SeriesName) -> Result<Parts> {
        let info = self.series(parent).await?;
        let mut by_parent: BTreeMap<SeriesName, Vec<(Series, SeriesState)>> = BTreeMap::new();
        let (mut after, limit) = (None, self.config.limits.list_max);
        loop {
            let page = self.store.list_series(after.as_ref(), limit).await?;
            after = page.last().map(|(series, _)| series.name.clone());
            let full = page.len() >= limit as usize;
            for (series, state) in page {
                if let Some(parent) = series.parent.clone() {
                    by_parent.entry(parent).or_default().push((series, state));
                }
            }
            if !full {
                break;
            }
        }
        gather((info.series.clone(), info.state), by_parent)
    }

    /// What was measured of every part in `from..to`, as known at `as_of`.
    pub(super) async fn measured(
        &self,
        parts: &Parts,
        (from, to): (Time, Time),
        as_of: Time,
    ) -> Result<Measured> {
        let mut all = Vec::with_capacity(parts.series.len());
        for (series, _) in &parts.series {
            let range = ObservationRange { series: series.name.clone(), from, to };
            let read = self.store.read_as_of(&range, as_of).await?;
            all.push(read.into_iter().map(|o| (o.valid_time, o.value)).collect());
        }
        Ok(all)
    }
}

/// From a root and all series by their parents to the tree.
fn gather(
    root: (Series, SeriesState),
    mut by_parent: BTreeMap<SeriesName, Vec<(Series, SeriesState)>>,
) -> Result<Parts> {
    let (like, mut left_out) = (root.0.clone(), Vec::new());
    let mut seen = BTreeSet::from([like.name.clone()]);
    let (mut series, mut parents) = (vec![root], vec![None]);
    let mut place = 0;
    while place < series.len() {
        for child in by_parent.remove(&series[place].0.name).unwrap_or_default() {
            if !seen.insert(child.0.name.clone()) {
                continue; // a circle of parents: it is in already
            }
            if let Some(reason) = unlike(&like, &child.0) {
                left_out.push(LeftOut { series: child.0.name, reason });
                continue;
            }
            series.push(child);
            parents.push(Some(place));
            if series.len() > NODES_MAX {
                let message = format!(
                    "`{}` has more than {} parts, the most that are reconciled at once: reconcile a smaller part of it",
                    like.name,
                    NODES_MAX - 1
                );
                return Err(Error::new(ErrorKind::TooLarge, message));
            }
        }
        place += 1;
    }
    if series.len() == 1 {
        let name = &like.name;
        let others = left_out.iter().map(|other| format!("; `{}` {}", other.series, other.reason));
        return Err(Error::invalid(format!(
            "`{name}` has no parts to reconcile with: name them with `forewatt series set PART --parent {name}`{}",
            others.take(3).collect::<String>()
        )));
    }
    let tree = Tree::new(&parents)?;
    Ok(Parts { series, parents, tree, left_out })
}

/// Why a series cannot be summed into another; `None` when it can.
fn unlike(like: &Series, other: &Series) -> Option<String> {
    if other.kind != like.kind {
        return Some(format!("is of kind {}, not {}", other.kind, like.kind));
    }
    if other.unit != like.unit {
        return Some(format!("is in `{}`, not `{}`", other.unit, like.unit));
    }
    (other.resolution != like.resolution)
        .then(|| format!("has steps of {}, not {}", other.resolution, like.resolution))
}

/// Refuses parts that did not add up where all of them were measured: reconciling would bend every forecast.
pub(super) fn check_sums(parts: &Parts, measured: &Measured) -> Result<()> {
    for &node in parts.tree.inner() {
        let children = parts.tree.children(node);
        let (mut size, mut whole, mut sum, mut gap) = (0.0, 0.0, 0.0, 0.0);
        for (time, value) in &measured[node] {
            let theirs: Option<f64> = children.iter().map(|&child| measured[child].get(time)).sum();
            if let Some(theirs) = theirs {
                size += value.abs();
                whole += value;
                sum += theirs;
                gap += (value - theirs).abs();
            }
        }
        if gap > GAP_SHARE_MAX * size {
            let share = if whole == 0.0 { 0.0 } else { 100.0 * sum / whole };
            let name = parts.name(node);
            return Err(Error::invalid(format!(
                "the parts of `{name}` did not add up to it in the last weeks: {} of them make about {share:.0} % of it; \
                 import what is missing as a part with `forewatt series set PART --parent {name}`, or correct the data",
                children.len()
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use forewatt_domain::{Resolution, SeriesKind, Zone};

    use super::*;

    fn series(name: &str, parent: Option<&str>) -> (Series, SeriesState) {
        let series = Series {
            name: name.parse().unwrap(),
            kind: SeriesKind::Load,
            unit: "kW".to_owned(),
            resolution: Resolution::HOUR,
            time_zone: Zone::utc(),
            location: None,
            holiday_region: None,
            parent: parent.map(|p| p.parse().unwrap()),
        };
        let state = SeriesState {
            revision: 1,
            observations: 0,
            first_valid_time: None,
            last_valid_time: None,
            last_available_at: None,
        };
        (series, state)
    }

    fn family(root: &str, others: &[(&str, &str)]) -> Result<Parts> {
        let mut by_parent: BTreeMap<SeriesName, Vec<_>> = BTreeMap::new();
        for (name, parent) in others {
            let mut item = series(name, Some(parent));
            if name.starts_with("sun") {
                item.0.kind = SeriesKind::Solar;
            }
            by_parent.entry(parent.parse().unwrap()).or_default().push(item);
        }
        gather(series(root, None), by_parent)
    }

    #[test]
    fn parts_are_found_level_by_level_and_strangers_are_named() {
        let all = [("a", "city"), ("b", "city"), ("a1", "a"), ("a2", "a"), ("sun", "city"), ("x", "other")];
        let parts = family("city", &all).unwrap();
        let names: Vec<&str> = parts.series.iter().map(|(s, _)| s.name.as_str()).collect();
        assert_eq!(names, ["city", "a", "b", "a1", "a2"]);
        assert_eq!(parts.parents, [None, Some(0), Some(0), Some(1), Some(1)]);
        assert_eq!(parts.left_out.len(), 1);
        assert!(parts.left_out[0].reason.contains("solar"), "{:?}", parts.left_out);
        let circle = family("city", &[("a", "city"), ("city", "a")]).unwrap();
        assert_eq!(circle.series.len(), 2);
    }

    #[test]
    fn nobody_and_too_many_are_refused() {
        let none = family("city", &[("sun", "city")]).err().unwrap();
        assert!(none.message.contains("--parent city") && none.message.contains("solar"), "{none}");
        let names: Vec<String> = (0..NODES_MAX).map(|i| format!("h{i}")).collect();
        let many: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "city")).collect();
        assert_eq!(family("city", &many).err().unwrap().kind, ErrorKind::TooLarge);
    }

    #[test]
    fn parts_that_do_not_add_up_are_refused_with_their_share() {
        let parts = family("city", &[("a", "city"), ("b", "city")]).unwrap();
        let values = |list: [f64; 3]| -> BTreeMap<Time, f64> {
            list.into_iter().enumerate().map(|(i, v)| (Time::from_seconds(i as i64), v)).collect()
        };
        let good = vec![values([10.0, 20.0, 30.0]), values([4.0, 8.0, 12.0]), values([6.0, 12.0, 18.0])];
        assert!(check_sums(&parts, &good).is_ok());
        let bad = vec![values([10.0, 20.0, 30.0]), values([4.0, 8.0, 12.0]), values([1.0, 2.0, 3.0])];
        let told = check_sums(&parts, &bad).unwrap_err().message;
        assert!(told.contains("50 %") && told.contains("`city`"), "{told}");
        let apart = vec![values([10.0, 20.0, 30.0]), BTreeMap::new(), values([1.0, 2.0, 3.0])];
        assert!(check_sums(&parts, &apart).is_ok(), "nothing was measured together");
    }
}
