//! Nodes that share one store and a real Redis: one computation, news of writes, and all that can go wrong with Redis.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

#[path = "../common/mod.rs"]
mod common;
mod faults;
mod server;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use common::{DAY, HOUR, at, config, fresh, hourly, name, quiet, write};
use forewatt_domain::Covariate;
use forewatt_service::cache::{Answer, CacheReport};
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::observations::NewObservation;
use forewatt_service::train::TrainRequest;
use forewatt_service::{Config, Service, StoreOptions};
use server::Redis;

const NOW: i64 = 60 * DAY;

/// Nodes on one data folder.
struct Nodes {
    folder: tempfile::TempDir,
    redis: Redis,
}

impl Nodes {
    /// A folder with a trained series `load`, which reads `wind`, and a trained series `price`, which reads nothing.
    async fn new() -> Option<Self> {
        let redis = Redis::start()?;
        let (alone, folder) = fresh(at(NOW)).await;
        for series in ["load", "wind", "price"] {
            write(&alone, series, &hourly(60)).await;
        }
        train(&alone, "load", &["wind"]).await;
        train(&alone, "price", &[]).await;
        alone.close().await;
        Some(Self { folder, redis })
    }

    async fn node(&self) -> Service {
        self.node_with(&self.redis.url(), |_| ()).await
    }

    async fn node_with(&self, url: &str, change: impl FnOnce(&mut Config)) -> Service {
        let options = StoreOptions { read_connections: 2, busy_timeout_ms: 10_000, postgres: None };
        let mut config = config(at(NOW));
        config.cache.redis_url = url.to_owned();
        // Longer than any test: nothing ends by itself.
        (config.cache.answer_ttl_ms, config.cache.series_ttl_ms) = (3_600_000, 3_600_000);
        change(&mut config);
        Service::open(self.folder.path(), &options, config).await.unwrap()
    }
}

async fn train(service: &Service, series: &str, covariates: &[&str]) -> String {
    let covariate = |text: &&str| Covariate { series: name(text), known_ahead: false };
    let request = TrainRequest {
        model: Some("linear".parse().unwrap()),
        horizon: Some("PT24H".to_owned()),
        backtest_days: Some(7),
        covariates: Some(covariates.iter().map(covariate).collect()),
        ..TrainRequest::new(name(series))
    };
    service.train(&request, quiet()).await.unwrap().version.id.to_string()
}

async fn ask(service: &Service, series: &str) -> Arc<Answer> {
    service.forecast(&ForecastRequest::new(name(series))).await.unwrap()
}

/// Another value for an hour that is known, known a little later than any before it.
async fn correct(service: &Service, series: &str, value: f64) {
    static NUMBER: AtomicI64 = AtomicI64::new(0);
    let available_at = at(NOW - HOUR + NUMBER.fetch_add(1, Ordering::SeqCst) + 1);
    let new = NewObservation { valid_time: at(NOW - 2 * HOUR), available_at: Some(available_at), value };
    let written = service.write_observations(&name(series), &[new]).await.unwrap();
    assert_eq!(written.stored, 1, "{written:?}");
}

/// Looks until something is so. What never comes fails by the deadline.
async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let look = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), look).await.unwrap_or_else(|_| panic!("never: {what}"));
}

async fn until_report(service: &Service, what: &str, is_so: impl Fn(&CacheReport) -> bool) {
    until(what, || std::future::ready(is_so(&service.cache_report()))).await;
}

/// Starts listening and waits until the node hears.
async fn listening(service: &Service) {
    service.start_cache();
    until_report(service, "the node listens", |report| report.flushes > 0).await;
    until("the node is ready", || async { service.ready().await.is_ok() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_clients_of_two_nodes_cost_one_computation() {
    let Some(nodes) = Nodes::new().await else { return };
    let (a, b) = (nodes.node().await, nodes.node().await);
    let clients = (0..1_000).map(|i| {
        let node = if i % 2 == 0 { a.clone() } else { b.clone() };
        tokio::spawn(async move { ask(&node, "load").await.json.clone() })
    });
    let mut answers = BTreeSet::new();
    for client in clients.collect::<Vec<_>>() {
        answers.insert(client.await.unwrap());
    }
    assert_eq!(answers.len(), 1, "all got the same bytes");
    let (a, b) = (a.cache_report(), b.cache_report());
    assert_eq!(a.computed + b.computed, 1, "{a:?} {b:?}");
    assert_eq!(a.shared_hits + b.shared_hits, 1, "the other node took it from Redis: {a:?} {b:?}");
    assert_eq!(nodes.redis.keys("lease").await, [""; 0], "the lease is given back");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_answer_has_the_bytes_of_a_computed_one() {
    let Some(nodes) = Nodes::new().await else { return };
    let computed = ask(&nodes.node_with("", |_| ()).await, "load").await;
    for compress_min in [0, usize::MAX] {
        nodes.redis.ask::<redis::Value>(&[b"FLUSHALL"]).await;
        let change = |config: &mut Config| config.cache.redis_compress_min_bytes = compress_min;
        let (a, b) = (nodes.node_with(&nodes.redis.url(), change).await, nodes.node().await);
        let (first, second) = (ask(&a, "load").await, ask(&b, "load").await);
        assert_eq!(b.cache_report().shared_hits, 1);
        assert_eq!((&first.json, &second.json), (&computed.json, &computed.json));
        assert_eq!((&second.etag, &second.forecast), (&computed.etag, &computed.forecast));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_or_promotion_drops_what_depends_on_it_on_every_node() {
    let Some(nodes) = Nodes::new().await else { return };
    // What is remembered would be believed for an hour: only the news can shorten it.
    let (a, b) = (nodes.node().await, nodes.node().await);
    listening(&b).await;
    let (load, price) = (ask(&b, "load").await, ask(&b, "price").await);
    let heard = |count| move |report: &CacheReport| report.news_heard >= count;

    correct(&a, "load", 5_000.0).await;
    until_report(&b, "news of the target", heard(1)).await;
    let after = ask(&b, "load").await;
    assert_ne!(after.json, load.json);
    assert_eq!(after.json, ask(&a, "load").await.json);

    correct(&a, "wind", 9_000.0).await;
    until_report(&b, "news of the covariate", heard(2)).await;
    let with_wind = ask(&b, "load").await;
    assert_ne!(with_wind.json, after.json);

    let id = train(&a, "load", &[]).await;
    a.promote(&id.parse_version(), Some("to see it")).await.unwrap();
    until_report(&b, "news of the promotion", heard(3)).await;
    until("the new champion answers", || async {
        ask(&b, "load").await.forecast.model_version.as_str() == id
    })
    .await;

    assert!(Arc::ptr_eq(&ask(&b, "price").await, &price), "what does not depend on it stays");
    assert_eq!(b.cache_report().flushes, 1, "nothing else was forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_notification_is_made_up_for_by_the_revisions() {
    let Some(nodes) = Nodes::new().await else { return };
    let short = |config: &mut Config| config.cache.series_ttl_ms = 100;
    let (a, deaf) = (nodes.node().await, nodes.node_with(&nodes.redis.url(), short).await);
    let before = ask(&deaf, "load").await;
    for series in ["load", "wind"] {
        correct(&a, series, 7_000.0).await;
        let now = ask(&a, "load").await;
        assert_ne!(now.json, before.json);
        until("the node looks itself", || async { ask(&deaf, "load").await.json == now.json }).await;
    }
    assert_eq!(deaf.cache_report().news_heard, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_made_of_a_backup_does_not_read_what_the_old_one_shared() {
    let Some(nodes) = Nodes::new().await else { return };
    let a = nodes.node().await;
    let house = tempfile::tempdir().unwrap();
    a.backup(&house.path().join("backup")).await.unwrap();
    let before = ask(&a, "load").await;
    // The old store and the new one go on to the same revision with other values.
    correct(&a, "load", 900.0).await;
    let old = ask(&a, "load").await;
    forewatt_service::backup::restore(&house.path().join("backup"), &house.path().join("data"))
        .await
        .unwrap();
    let restored = Nodes { folder: house, redis: Redis::start().unwrap() };
    let options = StoreOptions { read_connections: 2, busy_timeout_ms: 10_000, postgres: None };
    let mut config = config(at(NOW));
    config.cache.redis_url = nodes.redis.url();
    let new = Service::open(&restored.folder.path().join("data"), &options, config).await.unwrap();
    assert_eq!(ask(&new, "load").await.json, before.json, "byte for byte as before");
    correct(&new, "load", 1_100.0).await;
    assert_ne!(ask(&new, "load").await.json, old.json);
    assert_eq!(new.cache_report().shared_hits, 0);
}

#[tokio::test]
async fn a_starting_node_answers_the_hottest_ahead_before_it_is_ready() {
    let Some(nodes) = Nodes::new().await else { return };
    let a = nodes.node().await;
    for _ in 0..3 {
        ask(&a, "load").await;
    }
    ask(&a, "price").await;
    a.tell_questions().await;
    let first_only = |config: &mut Config| config.cache.warm_max = 1;
    let b = nodes.node_with(&nodes.redis.url(), first_only).await;
    b.start_cache();
    let refused = b.ready().await.unwrap_err(); // on one thread nothing else has run since
    assert!(refused.message.contains("ready"), "{refused}");
    until("it is ready", || async { b.ready().await.is_ok() }).await;
    let warmed = b.cache_report();
    assert_eq!((warmed.shared_hits, warmed.computed), (1, 0), "taken from Redis: {warmed:?}");
    ask(&b, "load").await;
    assert_eq!(b.cache_report().local_hits, 1, "the hottest was there");
    ask(&b, "price").await;
    assert_eq!(b.cache_report().local_hits, 1, "there was no room for the next");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_promotion_answers_its_hottest_ahead() {
    let Some(nodes) = Nodes::new().await else { return };
    let a = nodes.node_with("", |_| ()).await;
    ask(&a, "load").await;
    let id = train(&a, "load", &[]).await;
    let before = a.cache_report();
    a.promote(&id.parse_version(), Some("to see it")).await.unwrap();
    until_report(&a, "the new champion has computed", |report| report.computed > before.computed).await;
    until("its answer is there", || async {
        let hits = a.cache_report().local_hits;
        ask(&a, "load").await.forecast.model_version.as_str() == id && a.cache_report().local_hits > hits
    })
    .await;
    assert_eq!(a.cache_report().computed, before.computed + 1);
}

trait ParseVersion {
    fn parse_version(&self) -> forewatt_domain::VersionId;
}

impl ParseVersion for String {
    fn parse_version(&self) -> forewatt_domain::VersionId {
        forewatt_domain::VersionId::from_text(self).unwrap()
    }
}
