//! Promises about keys and the audit log.

use forewatt_domain::{Reach, Scope};

use super::{Harness, hour, is_missing, named};
use crate::{AuditEntry, AuditStore, Error, KeyRecord, KeyStore};

fn key(id: &str, created: i64) -> KeyRecord {
    KeyRecord {
        id: id.to_owned(),
        name: "the dashboard's".to_owned(),
        sha256: "ab".repeat(32),
        scopes: vec![Scope::Read, Scope::Train],
        series: Reach::try_from(vec!["city.*".to_owned(), "weather".to_owned()]).unwrap(),
        created_at: hour(created),
        expires_at: Some(hour(created + 100)),
        revoked_at: None,
        successor: None,
    }
}

/// Every field, and each id once.
pub async fn keys_come_back_as_kept<H: Harness>(harness: H) {
    let store = harness.store();
    let endless = KeyRecord { expires_at: None, ..key("b", 0) };
    for record in [key("a", 0), endless] {
        store.add_key(&record).await.unwrap();
        assert_eq!(store.get_key(&record.id).await.unwrap(), Some(record));
    }
    let again = store.add_key(&KeyRecord { name: "another".to_owned(), ..key("a", 5) }).await;
    assert!(matches!(again, Err(Error::Conflict { .. })), "{again:?}");
    drop(store);
    let harness = harness.reopen().await;
    let store = harness.store();
    assert_eq!(store.get_key("a").await.unwrap(), Some(key("a", 0)));
    assert_eq!(store.get_key("A").await.unwrap(), None);
}

/// By creation, up to the limit.
pub async fn keys_are_listed_newest_first<H: Harness>(harness: H) {
    let store = harness.store();
    for (id, created) in [("b", 2), ("a", 3), ("c", 1), ("d", 1)] {
        store.add_key(&key(id, created)).await.unwrap();
    }
    let listed = store.list_keys(3).await.unwrap();
    assert_eq!(listed.iter().map(|k| k.id.as_str()).collect::<Vec<_>>(), ["a", "b", "d"]);
}

/// The first time counts, and nothing brings it back.
pub async fn a_revoked_key_stays_revoked<H: Harness>(harness: H) {
    let store = harness.store();
    store.add_key(&key("a", 0)).await.unwrap();
    store.revoke_key("a", hour(1)).await.unwrap();
    store.revoke_key("a", hour(2)).await.unwrap();
    assert_eq!(store.get_key("a").await.unwrap().unwrap().revoked_at, Some(hour(1)));
    let rotated = store.rotate_key("a", hour(9), &key("b", 3)).await;
    assert!(matches!(rotated, Err(Error::Conflict { .. })), "{rotated:?}");
    assert_eq!(store.get_key("b").await.unwrap(), None, "both or neither");
    assert!(is_missing(&store.revoke_key("z", hour(1)).await, "key"));
}

/// The old one ends at the given time, never later than before; once only.
pub async fn a_rotated_key_ends_soon<H: Harness>(harness: H) {
    let store = harness.store();
    store.add_key(&key("a", 0)).await.unwrap();
    store.rotate_key("a", hour(9), &key("b", 3)).await.unwrap();
    let old = store.get_key("a").await.unwrap().unwrap();
    assert_eq!((old.expires_at, old.successor.as_deref()), (Some(hour(9)), Some("b")));
    assert_eq!(store.get_key("b").await.unwrap(), Some(key("b", 3)));
    assert!(matches!(store.rotate_key("a", hour(9), &key("c", 3)).await, Err(Error::Conflict { .. })));
    store.rotate_key("b", hour(500), &key("c", 4)).await.unwrap();
    assert_eq!(store.get_key("b").await.unwrap().unwrap().expires_at, Some(hour(103)), "not later");
    store.add_key(&KeyRecord { expires_at: None, ..key("d", 0) }).await.unwrap();
    store.rotate_key("d", hour(7), &key("e", 4)).await.unwrap();
    assert_eq!(store.get_key("d").await.unwrap().unwrap().expires_at, Some(hour(7)));
    assert!(is_missing(&store.rotate_key("z", hour(9), &key("y", 3)).await, "key"));
    assert!(matches!(store.rotate_key("e", hour(9), &key("a", 3)).await, Err(Error::Conflict { .. })));
    assert_eq!(store.get_key("e").await.unwrap().unwrap().successor, None, "both or neither");
}

fn line(at: i64, action: &str) -> AuditEntry {
    AuditEntry {
        at: hour(at),
        actor: "key a (the dashboard's)".to_owned(),
        action: action.to_owned(),
        outcome: "200".to_owned(),
        series: Some(named("load")),
        before: None,
        after: Some("cd".repeat(32)),
        request_id: "r-1".to_owned(),
        count: 1,
    }
}

/// Newest first from a time on; what goes past the store cannot change or delete a line either.
pub async fn the_audit_log_only_grows<H: Harness>(harness: H) {
    let store = harness.store();
    let plain = AuditEntry { series: None, after: None, count: 7, ..line(2, "second") };
    store.append_audit(&[line(1, "first"), plain.clone()]).await.unwrap();
    store.append_audit(&[line(2, "third")]).await.unwrap();
    for sql in ["DELETE FROM audit", "UPDATE audit SET actor = 'nobody'"] {
        assert!(!harness.carries_out(sql).await, "{sql}");
    }
    assert!(harness.carries_out("DELETE FROM api_key").await, "other statements are carried out");
    assert_eq!(store.list_audit(None, 9).await.unwrap(), [line(2, "third"), plain, line(1, "first")]);
    assert_eq!(store.list_audit(Some(hour(2)), 1).await.unwrap(), [line(2, "third")]);
    assert!(store.list_audit(Some(hour(3)), 9).await.unwrap().is_empty());
}
