//! Promises about sources, receivers and deliveries.

use serde_json::json;

use super::{Harness, hour};
use crate::{DeliveryEnd, DeliveryRecord, SourceRecord, SourceStore, WebhookRecord, WebhookStore};

fn source(name: &str, due: i64) -> SourceRecord {
    let spec = json!({"url": "https://host/\u{e9}", "x": 0.1 + 0.2});
    SourceRecord { name: name.to_owned(), spec, due_at: hour(due), failures: 0, last: None }
}

fn delivery(id: &str, due: i64) -> DeliveryRecord {
    DeliveryRecord {
        id: id.to_owned(),
        webhook: "w".to_owned(),
        event: "model.trained".to_owned(),
        body: r#"{"id": "\u00e9"}"#.to_owned(),
        created_at: hour(0),
        due_at: hour(due),
        attempts: 0,
        dead: false,
        error: String::new(),
    }
}

async fn with_receiver<H: Harness>(harness: &H) -> H::Store {
    let store = harness.store();
    let spec = json!({"url": "https://host"});
    let webhook = WebhookRecord { id: "w".to_owned(), spec, created_at: hour(0) };
    store.put_webhook(&webhook).await.unwrap();
    assert_eq!(store.list_webhooks(9).await.unwrap(), [webhook]);
    store
}

fn ids(deliveries: &[DeliveryRecord]) -> Vec<&str> {
    deliveries.iter().map(|d| d.id.as_str()).collect()
}

/// The longest due comes first, and whoever takes it has it alone until it is due again.
pub async fn sources_are_kept_and_taken_once<H: Harness>(harness: H) {
    let store = harness.store();
    for one in [source("b", 1), source("a", 2), source("c", 5)] {
        store.put_source(&one).await.unwrap();
    }
    let listed = store.list_sources(2).await.unwrap();
    assert_eq!(listed, [source("a", 2), source("b", 1)]);
    let mut taken = Vec::new();
    while let Some(one) = store.take_due_source(hour(3), hour(4)).await.unwrap() {
        assert_eq!(one.due_at, hour(4), "it is held until then");
        taken.push(one.name);
    }
    assert_eq!(taken, ["b", "a"]);
    store.end_source_run("b", hour(9), 2, &json!({"ok": false})).await.unwrap();
    let ended = SourceRecord { failures: 2, last: Some(json!({"ok": false})), ..source("b", 9) };
    assert_eq!(store.list_sources(9).await.unwrap()[1], ended);
    let again = store.take_due_source(hour(4), hour(6)).await.unwrap();
    assert_eq!(again.map(|one| one.name).as_deref(), Some("a"), "whoever took it never told the end");
}

/// A run that ends after its source was taken away does not bring it back.
pub async fn a_source_taken_away_stays_away<H: Harness>(harness: H) {
    let store = harness.store();
    store.put_source(&source("a", 1)).await.unwrap();
    store.put_source(&source("a", 3)).await.unwrap();
    assert_eq!(store.list_sources(9).await.unwrap(), [source("a", 3)], "the later takes its place");
    assert!(store.remove_source("a").await.unwrap() && !store.remove_source("a").await.unwrap());
    store.end_source_run("a", hour(9), 0, &json!(null)).await.unwrap();
    assert_eq!(store.list_sources(9).await.unwrap(), []);
}

/// No more wait than may; the same twice is one; nobody's are left out.
pub async fn deliveries_wait_within_their_room<H: Harness>(harness: H) {
    let store = with_receiver(&harness).await;
    let stranger = DeliveryRecord { webhook: "x".to_owned(), ..delivery("0", 1) };
    let all = [stranger, delivery("1", 1), delivery("1", 1), delivery("2", 1), delivery("3", 1)];
    assert_eq!(store.add_deliveries(&all, 2).await.unwrap(), 2);
    assert_eq!(ids(&store.list_deliveries(false, 9).await.unwrap()), ["1", "2"]);
    assert_eq!(store.list_deliveries(false, 1).await.unwrap(), [delivery("1", 1)]);
}

/// Each is taken by one and counts its attempts; done is gone, again is later.
pub async fn deliveries_are_taken_once_and_end<H: Harness>(harness: H) {
    let store = with_receiver(&harness).await;
    store.add_deliveries(&[delivery("1", 2), delivery("2", 1), delivery("3", 9)], 9).await.unwrap();
    let first = store.take_due_deliveries(hour(3), hour(4), 1).await.unwrap();
    assert_eq!(ids(&first), ["2"], "the longest due");
    assert_eq!((first[0].attempts, first[0].due_at), (1, hour(4)));
    assert_eq!(ids(&store.take_due_deliveries(hour(3), hour(4), 9).await.unwrap()), ["1"]);
    assert_eq!(ids(&store.take_due_deliveries(hour(3), hour(4), 9).await.unwrap()), [""; 0]);
    store.end_delivery("1", &DeliveryEnd::Done).await.unwrap();
    store.end_delivery("2", &DeliveryEnd::Again { at: hour(5), error: "500".to_owned() }).await.unwrap();
    assert_eq!(ids(&store.list_deliveries(false, 9).await.unwrap()), ["2", "3"]);
    assert_eq!(ids(&store.take_due_deliveries(hour(4), hour(6), 9).await.unwrap()), [""; 0]);
    let again = store.take_due_deliveries(hour(5), hour(6), 9).await.unwrap();
    assert_eq!((again[0].attempts, again[0].error.as_str()), (2, "500"));
}

/// Dead letters are not taken, only the newest are kept, and replaying begins anew.
pub async fn dead_letters_are_few_and_come_back<H: Harness>(harness: H) {
    let store = with_receiver(&harness).await;
    let all = ["1", "2", "3"].map(|id| delivery(id, 1));
    store.add_deliveries(&all, 9).await.unwrap();
    store.take_due_deliveries(hour(1), hour(2), 9).await.unwrap();
    for one in &all {
        let end = DeliveryEnd::Dead { error: "410".to_owned(), keep: 2 };
        store.end_delivery(&one.id, &end).await.unwrap();
    }
    assert_eq!(ids(&store.list_deliveries(true, 9).await.unwrap()), ["2", "3"]);
    assert_eq!(ids(&store.take_due_deliveries(hour(9), hour(9), 9).await.unwrap()), [""; 0]);
    assert!(store.replay_delivery("3", hour(4)).await.unwrap());
    assert!(!store.replay_delivery("3", hour(4)).await.unwrap(), "it is alive again");
    assert!(!store.replay_delivery("1", hour(4)).await.unwrap(), "it made room");
    assert_eq!(store.list_deliveries(false, 9).await.unwrap(), [delivery("3", 4)]);
}

/// Who is no longer told of anything has nothing waiting either.
pub async fn a_receiver_takes_its_deliveries_along<H: Harness>(harness: H) {
    let store = with_receiver(&harness).await;
    store.add_deliveries(&[delivery("1", 1)], 9).await.unwrap();
    assert!(store.remove_webhook("w").await.unwrap() && !store.remove_webhook("w").await.unwrap());
    assert_eq!(store.list_deliveries(false, 9).await.unwrap(), []);
    store.end_delivery("1", &DeliveryEnd::Done).await.unwrap();
}

/// What was accepted is told after a restart.
pub async fn deliveries_outlive_a_crash<H: Harness>(harness: H) {
    let store = with_receiver(&harness).await;
    store.add_deliveries(&[delivery("1", 1)], 9).await.unwrap();
    drop(store);
    let harness = harness.reopen().await;
    assert_eq!(harness.store().list_deliveries(false, 9).await.unwrap(), [delivery("1", 1)]);
}
