//! Promises about model versions, aliases and artifacts.

use std::collections::{BTreeMap, BTreeSet};

use forewatt_domain::{
    Alias, Choice, Family, Horizon, QuantileLevels, Recipe, Resolution, SeriesName, VersionId,
};

use super::{Harness, described, hour, is_missing, named, with_series};
use crate::{AliasMove, Error, NewVersion, SeriesStore, VersionStore};

const ARTIFACT: &[u8] = b"a forest";

/// A version of little that can be registered; its artifact is put.
pub async fn trained<S: VersionStore>(store: &S, name: &SeriesName) -> NewVersion {
    NewVersion {
        series: name.clone(),
        recipe: Recipe {
            target: name.clone(),
            family: Family::Gbdt,
            covariates: vec![],
            resolution: Resolution::HOUR,
            horizon: Horizon::from_steps(48, Resolution::HOUR).unwrap(),
            levels: QuantileLevels::new(vec![0.1, 0.1 + 0.2, 0.5]).unwrap(),
            origin_every_steps: 23,
            daily: false,
            any_hour: false,
            training_days: Some(365),
            non_negative: true,
            choice: Choice::default(),
            seed: u64::MAX,
        },
        parent: None,
        created_at: hour(9),
        trained_from: hour(-8_760),
        trained_to: hour(0),
        as_of: hour(1),
        metrics: BTreeMap::from([("mae".to_owned(), 0.1 + 0.2), ("pinball".to_owned(), 1e-17)]),
        notes: vec!["3 days masked: \"flat\"".to_owned()],
        artifact_sha256: store.put_artifact(ARTIFACT).await.unwrap(),
        artifact_bytes: ARTIFACT.len() as u64,
    }
}

/// Numbers rise from 1 within each series, and everything comes back exactly.
pub async fn versions_are_numbered_and_read_back<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let (_, other) = with_series(&harness, "load-v1").await;
    for series in [&name, &other] {
        let mut new = trained(&store, series).await;
        let first = store.add_version(new.clone()).await.unwrap();
        assert_eq!(first.id, VersionId::new(series, 1));
        new.parent = Some(first.id.clone());
        let second = store.add_version(new.clone()).await.unwrap();
        assert_eq!(second, new.with_id(VersionId::new(series, 2)));
        for version in [first, second] {
            assert_eq!(store.get_version(&version.id).await.unwrap(), Some(version));
        }
    }
    assert_eq!(store.get_version(&VersionId::new(&name, 3)).await.unwrap(), None);
}

/// Versions registered at once get different numbers without a gap.
pub async fn numbers_stay_apart_when_registered_at_once<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let new = trained(&store, &name).await;
    let tasks: Vec<_> = (0..12)
        .map(|_| {
            let (store, new) = (store.clone(), new.clone());
            tokio::spawn(async move { store.add_version(new).await.unwrap().id })
        })
        .collect();
    let mut ids = BTreeSet::new();
    for task in tasks {
        ids.insert(task.await.unwrap());
    }
    assert_eq!(ids, (1..=12).map(|n| VersionId::new(&name, n)).collect());
}

/// Of one series or of all, newest first, up to the limit.
pub async fn versions_are_listed_newest_first<H: Harness>(harness: H) {
    let (store, load) = with_series(&harness, "load").await;
    let (_, solar) = with_series(&harness, "solar").await;
    for name in [&load, &solar, &load, &load] {
        let new = trained(&store, name).await;
        store.add_version(new).await.unwrap();
    }
    let ids = async |series: Option<&SeriesName>, limit| -> Vec<String> {
        let listed = store.list_versions(series, limit).await.unwrap();
        listed.into_iter().map(|v| v.id.to_string()).collect()
    };
    assert_eq!(ids(Some(&load), 9).await, ["load-v3", "load-v2", "load-v1"]);
    assert_eq!(ids(Some(&load), 1).await, ["load-v3"]);
    assert_eq!(ids(None, 3).await, ["load-v3", "load-v2", "solar-v1"]);
    assert!(ids(Some(&named("nobody")), 9).await.is_empty());
}

/// A version without its series, parent, artifact or with a metric that is no number is refused.
pub async fn versions_need_what_they_name<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let good = trained(&store, &name).await;
    let with = |change: fn(&mut NewVersion)| {
        let mut bad = good.clone();
        change(&mut bad);
        store.add_version(bad)
    };
    assert!(is_missing(&with(|v| v.series = named("nobody")).await, "series"));
    assert!(is_missing(&with(|v| v.parent = VersionId::from_text("load-v7")).await, "model version"));
    assert!(is_missing(&with(|v| v.artifact_sha256 = "0".repeat(64)).await, "artifact"));
    let refused = with(|v| {
        v.metrics.insert("mape".to_owned(), f64::NAN);
    })
    .await;
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    assert!(store.list_versions(None, 9).await.unwrap().is_empty());
}

/// An alias names one version at a time; every move is kept with its time and reason.
pub async fn aliases_move_and_remember<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    assert!(store.aliases(&name).await.unwrap().is_empty());
    let mut ids = Vec::new();
    for _ in 0..2 {
        let new = trained(&store, &name).await;
        ids.push(store.add_version(new).await.unwrap().id);
    }
    let moves = [
        (Alias::Champion, &ids[0], "first"),
        (Alias::Challenger, &ids[1], "try it"),
        (Alias::Champion, &ids[1], "better by 3 %"),
        (Alias::Champion, &ids[1], "a retry"),
    ];
    for (i, (alias, id, reason)) in (0..).zip(moves) {
        store.set_alias(&name, alias, id, hour(i), reason).await.unwrap();
    }
    let now = BTreeMap::from([(Alias::Champion, ids[1].clone()), (Alias::Challenger, ids[1].clone())]);
    assert_eq!(store.aliases(&name).await.unwrap(), now);
    let kept = |alias, from: Option<&VersionId>, to: &VersionId, at, reason: &str| AliasMove {
        alias,
        from: from.cloned(),
        to: to.clone(),
        moved_at: hour(at),
        reason: reason.to_owned(),
    };
    let expected = [
        kept(Alias::Champion, Some(&ids[0]), &ids[1], 2, "better by 3 %"),
        kept(Alias::Challenger, None, &ids[1], 1, "try it"),
        kept(Alias::Champion, None, &ids[0], 0, "first"),
    ];
    assert_eq!(store.alias_moves(&name, 9).await.unwrap(), expected);
    assert_eq!(store.alias_moves(&name, 1).await.unwrap(), expected[..1]);
}

/// An alias can name only a registered version of its own series.
pub async fn aliases_name_own_versions<H: Harness>(harness: H) {
    let (store, load) = with_series(&harness, "load").await;
    store.put_series(&described("solar"), hour(0)).await.unwrap();
    let new = trained(&store, &named("solar")).await;
    let foreign = store.add_version(new).await.unwrap().id;
    let set = |series: SeriesName, id: VersionId| {
        let store = store.clone();
        async move { store.set_alias(&series, Alias::Champion, &id, hour(0), "").await }
    };
    assert!(is_missing(&set(load.clone(), VersionId::new(&load, 1)).await, "model version"));
    assert!(is_missing(&set(named("nobody"), foreign.clone()).await, "series"));
    let refused = set(load.clone(), foreign).await;
    assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    assert!(store.aliases(&load).await.unwrap().is_empty());
}

/// Bytes come back from their SHA-256; nothing else names an artifact.
pub async fn artifacts_are_found_by_content<H: Harness>(harness: H) {
    let store = harness.store();
    let address = store.put_artifact(b"abc").await.unwrap();
    // FIPS 180-4's own example.
    assert_eq!(address, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(store.put_artifact(b"abc").await.unwrap(), address);
    let large: Vec<u8> = (0..3_000_000_u32).map(|i| i.to_le_bytes()[0]).collect();
    for bytes in [&b""[..], &large] {
        let address = store.put_artifact(bytes).await.unwrap();
        assert_eq!(store.get_artifact(&address).await.unwrap(), bytes);
    }
    for wrong in ["", "../../forewatt.db", "ba78", &address.to_uppercase(), &"f".repeat(64)] {
        assert!(is_missing(&store.get_artifact(wrong).await, "artifact"), "{wrong}");
    }
}

/// A changed byte is an error, never a model; putting the artifact again mends it.
pub async fn damaged_artifacts_are_seen<H: Harness>(harness: H) {
    let store = harness.store();
    let address = store.put_artifact(ARTIFACT).await.unwrap();
    harness.damage_artifact(&address);
    let refused = store.get_artifact(&address).await;
    assert!(matches!(refused, Err(Error::Corrupt { what: "artifact", .. })), "{refused:?}");
    store.put_artifact(ARTIFACT).await.unwrap();
    assert_eq!(store.get_artifact(&address).await.unwrap(), ARTIFACT);
}

/// Version, artifact and alias are there after a crash.
pub async fn versions_outlive_a_crash<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    let new = trained(&store, &name).await;
    let version = store.add_version(new).await.unwrap();
    store.set_alias(&name, Alias::Champion, &version.id, hour(0), "first").await.unwrap();
    drop(store);
    let harness = harness.reopen().await;
    let store = harness.store();
    assert_eq!(store.get_artifact(&version.artifact_sha256).await.unwrap(), ARTIFACT);
    assert_eq!(store.aliases(&name).await.unwrap()[&Alias::Champion], version.id);
    assert_eq!(store.get_version(&version.id).await.unwrap(), Some(version));
}
