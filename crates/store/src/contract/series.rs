//! Promises about series.

use forewatt_domain::{Location, Resolution, SeriesKind};

use super::{Harness, described, hour, is_missing, named, seen, with_series};
use crate::{Error, ObservationStore, SeriesStore};

/// Every property comes back, and the state of a new series is empty.
pub async fn what_is_put_is_read<H: Harness>(harness: H) {
    let store = harness.store();
    let mut full = described("roof");
    full.kind = SeriesKind::Solar;
    full.unit = "kWh · ½".to_owned();
    full.resolution = Resolution::from_seconds(900).unwrap();
    full.time_zone = "Asia/Kathmandu".parse().unwrap();
    full.location = Some(Location::new(-37.8136, 144.9631).unwrap());
    full.holiday_region = Some("AU-VIC".to_owned());
    full.parent = Some(named("district"));
    for series in [full, described("plain")] {
        store.put_series(&series, hour(0)).await.unwrap();
        let (read, state) = store.get_series(&series.name).await.unwrap().unwrap();
        assert_eq!(read, series);
        assert_eq!((state.observations, state.first_valid_time), (0, None));
        assert_eq!((state.last_valid_time, state.last_available_at), (None, None));
    }
}

/// Describing a series the same way twice is describing it once.
pub async fn the_same_again_changes_nothing<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let before = store.get_series(&name).await.unwrap();
    store.put_series(&described("load"), hour(9)).await.unwrap();
    assert_eq!(store.get_series(&name).await.unwrap(), before);
}

/// A changed description is read back under a new revision.
pub async fn a_change_raises_the_revision<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let (_, before) = store.get_series(&name).await.unwrap().unwrap();
    let mut changed = described("load");
    changed.unit = "kW".to_owned();
    changed.resolution = Resolution::from_seconds(1_800).unwrap();
    store.put_series(&changed, hour(1)).await.unwrap();
    let (read, after) = store.get_series(&name).await.unwrap().unwrap();
    assert_eq!(read, changed);
    assert_eq!(after.revision, before.revision + 1);
}

/// Once there are observations, the step between them cannot change; the rest still can.
pub async fn a_resolution_with_data_stays<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    store.write_observations(&name, &[seen(0, 1, 5.0)]).await.unwrap();
    let mut changed = described("load");
    changed.resolution = Resolution::from_seconds(900).unwrap();
    let refused = store.put_series(&changed, hour(1)).await.unwrap_err();
    assert!(matches!(refused, Error::Conflict { .. }), "{refused}");
    changed.resolution = Resolution::HOUR;
    changed.unit = "kW".to_owned();
    store.put_series(&changed, hour(1)).await.unwrap();
    let (read, state) = store.get_series(&name).await.unwrap().unwrap();
    assert_eq!((read, state.observations), (changed, 1));
}

/// Pages follow each other by name and neither skip nor repeat.
pub async fn lists_go_by_name_and_page<H: Harness>(harness: H) {
    let store = harness.store();
    for name in ["b", "a", "C", "d-1", "0"] {
        store.put_series(&described(name), hour(0)).await.unwrap();
    }
    let mut names = Vec::new();
    loop {
        let page = store.list_series(names.last(), 2).await.unwrap();
        assert!(page.len() <= 2);
        if page.is_empty() {
            break;
        }
        names.extend(page.into_iter().map(|(series, _)| series.name));
    }
    let expected: Vec<_> = ["0", "C", "a", "b", "d-1"].map(named).into();
    assert_eq!(names, expected, "by bytes, as names are compared");
    assert!(store.list_series(None, 0).await.unwrap().is_empty());
}

/// An unknown series is `None` where one is asked for and an error where one is needed.
pub async fn unknown_series_are_named<H: Harness>(harness: H) {
    let store = harness.store();
    let name = named("nobody");
    assert_eq!(store.get_series(&name).await.unwrap(), None);
    let range = super::hours(&name, 0, 9);
    assert!(is_missing(&store.write_observations(&name, &[seen(0, 0, 1.0)]).await, "series"));
    assert!(is_missing(&store.read_as_of(&range, hour(9)).await, "series"));
    assert!(is_missing(&store.read_revisions(&range).await, "series"));
}

/// A crash after the acknowledgement loses nothing.
pub async fn series_outlive_a_crash<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let before = store.get_series(&name).await.unwrap();
    drop(store);
    let harness = harness.reopen().await;
    assert_eq!(harness.store().get_series(&name).await.unwrap(), before);
}
