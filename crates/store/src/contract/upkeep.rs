//! Promises about what is done now and then.

use std::collections::BTreeMap;

use forewatt_domain::{Series, SeriesKind};

use super::{Harness, described, hour, hours, named, seen};
use crate::{ObservationStore, SeriesStore, Upkeep, UpkeepStore};

/// Observations go by the age their series' kind allows, the state follows, and nothing else changes.
pub async fn old_observations_go_by_kind<H: Harness>(harness: H) {
    let store = harness.store();
    let weather = Series { kind: SeriesKind::Weather, ..described("wind") };
    for series in [&described("load"), &weather] {
        store.put_series(series, hour(0)).await.unwrap();
        let all: Vec<_> = (0..24 * 100).map(|i| seen(i, i + 1, 1.0)).collect();
        store.write_observations(&series.name, &all).await.unwrap();
    }
    let before = store.get_series(&named("load")).await.unwrap();
    let (_, whole) = store.get_series(&named("wind")).await.unwrap().unwrap();
    let upkeep = Upkeep {
        now: hour(24 * 100),
        ahead_months: 2,
        retention_days: BTreeMap::from([(SeriesKind::Weather, 10), (SeriesKind::Price, 1)]),
    };
    let done = store.upkeep(&upkeep).await.unwrap();
    assert_eq!(done.observations_dropped, 24 * 90);
    assert_eq!(store.get_series(&named("load")).await.unwrap(), before);
    let (_, state) = store.get_series(&named("wind")).await.unwrap().unwrap();
    assert_eq!((state.observations, state.revision), (240, whole.revision + 1));
    assert_eq!(state.first_valid_time, Some(hour(24 * 90)));
    assert_eq!(
        (state.last_valid_time, state.last_available_at),
        (whole.last_valid_time, whole.last_available_at)
    );
    let kept = store.read_revisions(&hours(&named("wind"), 0, 9_999)).await.unwrap();
    assert_eq!((kept.len(), kept[0].valid_time), (240, hour(24 * 90)));
    let again = store.upkeep(&upkeep).await.unwrap();
    assert_eq!((again.observations_dropped, again.partitions_made, again.partitions_dropped), (0, 0, 0));
    assert_eq!(store.get_series(&named("wind")).await.unwrap().unwrap().1, state);
}

/// When every kind lets go, whole months go, a series may be left empty, and it can be written again.
pub async fn an_emptied_series_goes_on<H: Harness>(harness: H) {
    let store = harness.store();
    store.put_series(&described("load"), hour(0)).await.unwrap();
    let all: Vec<_> = (0..24 * 100).map(|i| seen(i, i + 1, 1.0)).collect();
    store.write_observations(&named("load"), &all).await.unwrap();
    let retention_days = BTreeMap::from([(SeriesKind::Load, 10)]);
    let upkeep = Upkeep { now: hour(24 * 400), ahead_months: 1, retention_days };
    assert_eq!(store.upkeep(&upkeep).await.unwrap().observations_dropped, 2_400);
    let (_, state) = store.get_series(&named("load")).await.unwrap().unwrap();
    assert_eq!((state.observations, state.first_valid_time, state.last_valid_time), (0, None, None));
    assert!(store.read_revisions(&hours(&named("load"), 0, 9_999)).await.unwrap().is_empty());
    assert_eq!(store.write_observations(&named("load"), &all).await.unwrap().stored, 2_400);
    assert_eq!(store.read_revisions(&hours(&named("load"), 0, 9_999)).await.unwrap(), all);
}
