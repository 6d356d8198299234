//! Events told to a receiver: signed, tried again, buried, replayed; and caches in front told what to forget.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its house must fail")]

#[expect(dead_code, reason = "shared with tests that need more of it")]
mod common;
#[expect(dead_code, reason = "shared with tests that need more of it")]
#[path = "common/peer.rs"]
mod peer;

use std::sync::{Arc, Mutex};

use common::{DAY, at, config, hourly, name, quiet, write};
use forewatt_domain::{Family, Time};
use forewatt_service::forecast::ForecastRequest;
use forewatt_service::train::TrainRequest;
use forewatt_service::webhooks::{EventKind, NewWebhook, signature};
use forewatt_service::{Config, ErrorKind, Service};
use peer::{Asked, Peer, Say};

const NOW: i64 = 60 * DAY;

/// A service with a load of sixty days, whose clock is moved by hand.
async fn service(change: impl FnOnce(&mut Config)) -> (Service, Arc<Mutex<Time>>) {
    let now = Arc::new(Mutex::new(at(NOW)));
    let clock = Arc::clone(&now);
    let store = forewatt_store::Sqlite::in_memory().await.unwrap().into();
    let mut config = config(at(NOW));
    change(&mut config);
    let service = Service::with_store(store, config, Arc::new(move || *clock.lock().unwrap()));
    write(&service, "load", &hourly(60)).await;
    (service, now)
}

async fn train(service: &Service) {
    let request = TrainRequest { model: Some(Family::SeasonalNaive), ..TrainRequest::new(name("load")) };
    service.train(&request, quiet()).await.unwrap();
}

fn told(url: String, events: &[EventKind]) -> NewWebhook {
    NewWebhook { url, events: events.to_vec(), series: Some(name("load")) }
}

fn event(asked: &Asked) -> String {
    let body: serde_json::Value = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(body["event"], asked.header("forewatt-event"));
    assert_eq!(body["id"], asked.header("forewatt-delivery"));
    assert_eq!(body["series"], "load");
    body["event"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_training_its_promotion_and_the_first_forecast_are_told_and_signed() {
    let (service, _) = service(|_| ()).await;
    let peer = Peer::start(Say::Body(204, String::new())).await;
    let hook = service.add_webhook(told(peer.url("/hook"), &[])).await.unwrap();
    let stranger = NewWebhook { series: Some(name("other")), ..told(peer.url("/no"), &[]) };
    service.add_webhook(stranger).await.unwrap();
    service.start_webhooks();
    train(&service).await;
    service.forecast(&ForecastRequest::new(name("load"))).await.unwrap();
    let asked = peer.asked_times(3).await;
    let mut events: Vec<String> = asked.iter().map(event).collect();
    events.sort();
    let mut all = EventKind::NAMES;
    all.sort_unstable();
    assert_eq!(events, all);
    let secret = hook.secret.unwrap();
    for one in &asked {
        assert!(one.head.starts_with("POST /hook "), "{}", one.head);
        let header = one.header(signature::HEADER);
        let seconds = at(NOW).seconds();
        assert_eq!(signature::verify(&secret, &header, one.body.as_bytes(), seconds), Ok(()));
        let late = signature::verify(&secret, &header, one.body.as_bytes(), seconds + 301);
        assert_eq!(late, Err(signature::Distrust::Time), "a replay");
    }
    assert!(service.list_webhooks().await.unwrap().iter().all(|hook| hook.secret.is_none()));
}

#[tokio::test]
async fn what_fails_is_tried_again_then_buried_then_replayed() {
    let (service, clock) = service(|_| ()).await;
    let peer = Peer::start(Say::Body(500, "not today".to_owned())).await;
    service.add_webhook(told(peer.url("/"), &[EventKind::ModelTrained])).await.unwrap();
    service.start_webhooks();
    train(&service).await;
    let first = peer.asked_times(1).await;
    let dead = async || service.dead_letters(None).await.unwrap();
    // The wait is a second at most; the clock moves on until the second and last try has been made, but so slowly beside
    // the store that a try under way is not taken for one whose process is gone.
    while peer.asked().len() < 2 {
        let now = service.now();
        *clock.lock().unwrap() = now.plus_micros(100_000);
        for _ in 0..10 {
            dead().await;
        }
    }
    while dead().await.is_empty() {}
    let letter = dead().await.remove(0);
    assert_eq!((letter.event.as_str(), letter.attempts), ("model.trained", 2));
    assert!(letter.error.contains("500: not today"), "{}", letter.error);
    assert_eq!(letter.body, first[0].body, "the same bytes each time");
    peer.says(Say::Body(200, String::new()));
    service.replay_dead_letter(&letter.id).await.unwrap();
    let all = peer.asked_times(3).await;
    assert_eq!(all[2].body, letter.body);
    assert_eq!(service.replay_dead_letter(&letter.id).await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn events_outlive_the_process_that_met_them() {
    let dir = tempfile::tempdir().unwrap();
    let peer = Peer::start(Say::Body(200, String::new())).await;
    let service = common::open(&dir, at(NOW)).await;
    write(&service, "load", &hourly(60)).await;
    service.add_webhook(told(peer.url("/"), &[EventKind::ModelTrained])).await.unwrap();
    train(&service).await;
    service.close().await;
    drop(service);
    assert_eq!(peer.asked(), [], "nobody delivers yet");
    let again = common::open(&dir, at(NOW)).await;
    again.start_webhooks();
    assert_eq!(event(&peer.asked_times(1).await[0]), "model.trained");
}

#[tokio::test]
async fn receivers_are_few_public_and_known() {
    let (service, _) = service(|config| config.outward.allow_networks.clear()).await;
    let refused =
        service.add_webhook(told("http://169.254.169.254/latest".to_owned(), &[])).await.unwrap_err();
    assert!(refused.kind == ErrorKind::InvalidInput && refused.message.contains("public"), "{refused}");
    for _ in 0..2 {
        service.add_webhook(told("https://example.com/".to_owned(), &[])).await.unwrap();
    }
    let refused = service.add_webhook(told("https://example.com/".to_owned(), &[])).await.unwrap_err();
    assert_eq!(refused.kind, ErrorKind::TooLarge);
    let id = service.list_webhooks().await.unwrap().remove(0).id;
    service.remove_webhook(&id).await.unwrap();
    assert_eq!(service.remove_webhook(&id).await.unwrap_err().kind, ErrorKind::NotFound);
}

#[tokio::test]
async fn caches_in_front_are_told_of_changed_series_at_once_and_once_more() {
    let peer = Peer::start(Say::Body(200, String::new())).await;
    let url = peer.url("/purge");
    let (service, _) = service(|config| {
        config.outward.cdn.purge_urls = vec![url];
        config.cache.series_ttl_ms = 1;
    })
    .await;
    service.close().await;
    let asked = peer.asked_times(2).await;
    for one in &asked[..2] {
        assert!(one.head.starts_with("PURGE /purge "), "{}", one.head);
        assert_eq!(one.header("surrogate-key"), "series-load");
    }
}
