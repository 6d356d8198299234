//! Redis cut, held up, full, restarted and poisoned: answers go on, and what may be stale is forgotten afterwards.

use forewatt_service::Config;
use forewatt_service::cache::CacheReport;

use super::server::{Way, Wire};
use super::{Nodes, ask, correct, listening, until, until_report};

fn errors(report: &CacheReport, kind: &str) -> u64 {
    report.errors.iter().find(|(name, _)| *name == kind).unwrap().1
}

/// Gives up quickly, and stays away until the test is over unless told otherwise.
fn impatient(config: &mut Config) {
    config.cache.redis_timeout_ms = 50;
    config.cache.redis_retry_ms = 3_600_000;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_answers_go_on_and_it_is_soon_left_alone() {
    let Some(nodes) = Nodes::new().await else { return };
    for (way, kind) in [(Way::Cut, "cut"), (Way::Held, "slow")] {
        let wire = Wire::to(&nodes.redis).await;
        wire.set(way);
        let node = nodes.node_with(&wire.url(), impatient).await;
        let known = ask(&nodes.node_with("", |_| ()).await, "load").await;
        assert_eq!(ask(&node, "load").await.json, known.json, "{way:?}");
        for _ in 0..5 {
            ask(&node, "price").await;
            ask(&node, "price").await; // from memory
            correct(&node, "price", 1.0).await;
        }
        let report = node.cache_report();
        assert_eq!((report.redis, errors(&report, kind)), ("open", 3), "{way:?} {report:?}");
        assert!(report.skipped > 0 && report.news_untold > 0, "{report:?}");
        assert_eq!((report.computed, report.local_hits), (6, 5), "{way:?} {report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn when_redis_is_back_what_may_be_stale_is_forgotten() {
    let Some(nodes) = Nodes::new().await else { return };
    for way in [Way::Cut, Way::Held] {
        let (here, there) = (Wire::to(&nodes.redis).await, Wire::to(&nodes.redis).await);
        let quick = |config: &mut Config| config.cache.redis_timeout_ms = 200;
        let (a, b) = (nodes.node_with(&here.url(), quick).await, nodes.node_with(&there.url(), quick).await);
        listening(&a).await;
        listening(&b).await;
        let before = ask(&b, "load").await;
        // Both are cut off, a writes, and b has no way to hear of it: it would believe the old for an hour.
        here.set(way);
        there.set(way);
        until_report(&b, "b has noticed", |report| report.redis != "closed").await;
        correct(&a, "load", if way == Way::Cut { 900.0 } else { 1_100.0 }).await;
        assert_eq!(ask(&b, "load").await.json, before.json, "from memory");
        here.set(Way::Open);
        there.set(Way::Open);
        let now = ask(&a, "load").await;
        assert_ne!(now.json, before.json);
        until("b has looked again", || async { ask(&b, "load").await.json == now.json }).await;
        until_report(&b, "the breaker is closed", |report| report.redis == "closed").await;
        assert!(b.cache_report().flushes > 1);
        a.close().await;
        b.close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn news_that_could_not_be_told_is_told_when_redis_is_back() {
    let Some(nodes) = Nodes::new().await else { return };
    let wire = Wire::to(&nodes.redis).await;
    let (a, b) = (nodes.node_with(&wire.url(), |_| ()).await, nodes.node().await);
    listening(&b).await;
    let before = ask(&b, "load").await;
    // Only the writer is cut off, so that the other has no reason to look.
    wire.set(Way::Cut);
    correct(&a, "load", 5_000.0).await;
    assert!(a.cache_report().news_untold > 0);
    assert_eq!(b.cache_report().news_heard, 0);
    wire.set(Way::Open);
    listening(&a).await;
    until("b has heard", || async { ask(&b, "load").await.json != before.json }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_still_answers_and_is_not_given_up() {
    let Some(nodes) = Nodes::new().await else { return };
    let (a, b) = (nodes.node().await, nodes.node().await);
    ask(&a, "load").await;
    nodes.redis.ask::<redis::Value>(&[b"CONFIG", b"SET", b"maxmemory", b"1"]).await;
    ask(&b, "load").await;
    assert_eq!(b.cache_report().shared_hits, 1, "what is there is read");
    let known = ask(&nodes.node_with("", |_| ()).await, "price").await;
    assert_eq!(ask(&b, "price").await.json, known.json);
    let report = b.cache_report();
    assert!(errors(&report, "full") > 0, "{report:?}");
    assert_eq!((report.redis, report.computed), ("closed", 1), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_redis_is_found_again() {
    let Some(mut nodes) = Nodes::new().await else { return };
    let a = nodes.node().await;
    listening(&a).await;
    ask(&a, "load").await;
    nodes.redis.restart();
    until_report(&a, "the node listens again", |report| report.flushes > 1).await;
    ask(&a, "price").await;
    let b = nodes.node().await;
    until("another node shares again", || async {
        ask(&b, "price").await;
        b.cache_report().shared_hits + b.cache_report().computed > 0
    })
    .await;
    correct(&b, "load", 5_000.0).await;
    until_report(&a, "news come again", |report| report.news_heard > 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_entry_is_refused_counted_and_replaced() {
    let Some(nodes) = Nodes::new().await else { return };
    let known = ask(&nodes.node().await, "load").await;
    let keys = nodes.redis.keys("forecast").await;
    let [key] = keys.as_slice() else { panic!("{keys:?}") };
    let good: Vec<u8> = nodes.redis.ask(&[b"GET", key.as_bytes()]).await;
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    for poison in [bad.as_slice(), b"", b"hello", &good[..good.len() - 1]] {
        nodes.redis.ask::<redis::Value>(&[b"SET", key.as_bytes(), poison, b"PX", b"60000"]).await;
        let node = nodes.node().await;
        assert_eq!(ask(&node, "load").await.json, known.json);
        let report = node.cache_report();
        assert_eq!((report.refused, report.computed, report.shared_hits), (1, 1, 0), "{report:?}");
        let next = nodes.node().await;
        assert_eq!(ask(&next, "load").await.json, known.json);
        assert_eq!(next.cache_report().shared_hits, 1, "a good one has its place");
    }
}
