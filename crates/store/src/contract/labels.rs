//! Promises about labels.

use super::{Harness, is_missing, named, with_series};
use crate::labels::{NAME_MAX_BYTES, VALUE_MAX_BYTES};
use crate::{Error, Label, LabelKey, LabelKind, LabelStore};

fn label(version: &str, kind: LabelKind, name: &str, value: &str) -> Label {
    let key = LabelKey { series: named("load"), version: version.to_owned(), kind, name: name.to_owned() };
    Label { key, value: value.to_owned() }
}

/// The last value counts, kinds and versions are apart, and all outlive a crash.
pub async fn labels_are_hung_changed_and_taken_away<H: Harness>(harness: H) {
    let (store, name) = with_series(&harness, "load").await;
    assert_eq!(store.labels(&name).await.unwrap(), []);
    let kept = [
        label("", LabelKind::Alias, "blue", "load-v1"),
        label("", LabelKind::Description, "", "what the city takes"),
        label("", LabelKind::Tag, "Ünlike", "'; DROP TABLE label; --"),
        label("load-v1", LabelKind::Stage, "", "Archived"),
        label("load-v1", LabelKind::Tag, "owner", "grid"),
        label("load-v1", LabelKind::Tag, "quality", "good"),
    ];
    store.put_label(&label("load-v1", LabelKind::Tag, "owner", "nobody")).await.unwrap();
    for label in kept.iter().rev() {
        store.put_label(label).await.unwrap();
    }
    assert_eq!(store.labels(&name).await.unwrap(), kept);
    drop(store);
    let harness = harness.reopen().await;
    let store = harness.store();
    assert_eq!(store.labels(&name).await.unwrap(), kept);
    assert!(store.remove_label(&kept[4].key).await.unwrap());
    assert!(!store.remove_label(&kept[4].key).await.unwrap());
    assert_eq!(store.labels(&name).await.unwrap().len(), 5);
}

/// An unknown series is named; names and values that are too long are refused.
pub async fn labels_need_their_series_and_have_limits<H: Harness>(harness: H) {
    let store = harness.store();
    let good = label("", LabelKind::Tag, "a", "b");
    assert!(is_missing(&store.put_label(&good).await, "series"));
    assert!(is_missing(&store.remove_label(&good.key).await, "series"));
    let (store, name) = with_series(&harness, "load").await;
    for wrong in [
        label("", LabelKind::Tag, &"n".repeat(NAME_MAX_BYTES + 1), "b"),
        label("", LabelKind::Tag, "a", &"v".repeat(VALUE_MAX_BYTES + 1)),
        label("", LabelKind::Tag, "a\0", "b"),
    ] {
        let refused = store.put_label(&wrong).await;
        assert!(matches!(refused, Err(Error::Invalid { .. })), "{refused:?}");
    }
    assert_eq!(store.labels(&name).await.unwrap(), []);
}
