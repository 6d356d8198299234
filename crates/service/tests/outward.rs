//! Calls to a peer that slows, breaks and lies: who is called how often, and what is told of it.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its house must fail")]

#[expect(dead_code, reason = "shared with tests that need more of it")]
mod common;
#[expect(dead_code, reason = "shared with tests that need more of it")]
#[path = "common/peer.rs"]
mod peer;

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::outward;
use forewatt_service::config::OutwardConfig;
use forewatt_service::resilience::{Answer, Call, Failure, Outward};
use hyper::Method;
use peer::{Peer, Say};

fn json(answer: &Answer) -> Result<serde_json::Value, String> {
    serde_json::from_slice(&answer.body).map_err(|error| error.to_string())
}

/// A client whose breakers live by a clock that is moved by hand.
fn client(config: &OutwardConfig) -> (Outward, impl Fn(Duration) + use<>) {
    let now = Arc::new(Mutex::new(Instant::now()));
    let ticks = Arc::clone(&now);
    let client = Outward::with_ticks("test", config, Arc::new(move || *ticks.lock().unwrap()));
    (client, move |by| *now.lock().unwrap() += by)
}

/// Nothing is tried again, so that each call is one question.
fn once() -> OutwardConfig {
    OutwardConfig { retries_max: 0, ..outward() }
}

fn good() -> Say {
    Say::Body(200, r#"{"well": true}"#.to_owned())
}

#[tokio::test]
async fn a_peer_that_fails_is_left_alone_and_used_again_when_it_is_well() {
    let (client, later) = client(&once());
    let peer = Peer::start(Say::Body(500, "oh".to_owned())).await;
    let call = Call::get(peer.url("/data"));
    for _ in 0..3 {
        let failure = client.send(&call, json).await.unwrap_err();
        assert_eq!(failure, Failure::Status { status: 500, detail: ": oh".to_owned() });
    }
    for _ in 0..20 {
        assert!(matches!(client.send(&call, json).await, Err(Failure::Open { .. })));
    }
    assert_eq!(peer.asked().len(), 3, "a peer that fails is not asked");
    // The probe fails, and the rest is twice as long.
    later(Duration::from_secs(60));
    assert!(matches!(client.send(&call, json).await, Err(Failure::Status { .. })));
    later(Duration::from_secs(119));
    assert!(matches!(client.send(&call, json).await, Err(Failure::Open { .. })));
    later(Duration::from_secs(1));
    peer.says(good());
    for _ in 0..5 {
        assert!(client.send(&call, json).await.is_ok());
    }
    assert_eq!(peer.asked().len(), 9);
}

#[tokio::test]
async fn slow_cut_garbled_and_endless_answers_are_all_failures_of_the_peer() {
    let config = OutwardConfig { request_timeout_ms: 30, body_max_bytes: 1_024, ..once() };
    for (say, word) in [
        (Say::Nothing, "timeout"),
        (Say::Cut("{\"well\":".to_owned()), "connection"),
        (Say::Body(200, "<html>".to_owned()), "garbage"),
        (Say::Body(200, "9".repeat(2_000)), "too_large"),
        (Say::Body(503, String::new()), "status"),
    ] {
        let (client, _) = client(&config);
        let peer = Peer::start(say).await;
        let call = Call::get(peer.url("/"));
        for _ in 0..3 {
            assert_eq!(client.send(&call, json).await.unwrap_err().as_str(), word);
        }
        assert_eq!(client.send(&call, json).await.unwrap_err().as_str(), "open", "after {word}");
        assert_eq!(peer.asked().len(), 3);
    }
}

#[tokio::test]
async fn a_refusal_is_no_failure_of_the_peer() {
    let (client, _) = client(&once());
    let peer = Peer::start(Say::Body(404, String::new())).await;
    for _ in 0..10 {
        let failure = client.send(&Call::get(peer.url("/")), json).await.unwrap_err();
        assert!(matches!(failure, Failure::Status { status: 404, .. }), "{failure}");
    }
    assert_eq!(peer.asked().len(), 10);
}

#[tokio::test]
async fn one_peers_failures_leave_the_others_alone() {
    let (client, _) = client(&once());
    let (bad, well) = (Peer::start(Say::Body(500, String::new())).await, Peer::start(good()).await);
    for _ in 0..9 {
        assert!(client.send(&Call::get(bad.url("/")), json).await.is_err());
        assert!(client.send(&Call::get(well.url("/")), json).await.is_ok());
    }
    assert_eq!((bad.asked().len(), well.asked().len()), (3, 9));
}

#[tokio::test]
async fn only_what_may_be_repeated_is_and_within_the_budget() {
    let patient = OutwardConfig { breaker_failures: 1_000, retry_budget_percent: 0, ..outward() };
    let (client, _) = client(&patient);
    let peer = Peer::start(Say::Body(503, String::new())).await;
    let post = Call { method: Method::POST, idempotent: false, ..Call::get(peer.url("/")) };
    assert!(client.send(&post, json).await.is_err());
    assert_eq!(peer.asked().len(), 1, "what may have been done is not asked again");
    assert!(client.send(&Call::get(peer.url("/")), json).await.is_err());
    assert_eq!(peer.asked().len(), 4, "two more tries");
    for _ in 0..20 {
        assert!(client.send(&Call::get(peer.url("/")), json).await.is_err());
    }
    assert_eq!(peer.asked().len(), 4 + 20 + 8, "ten retries were in the budget, and two were spent before");
}

#[tokio::test]
async fn addresses_that_are_not_allowed_are_never_called() {
    let closed = OutwardConfig { allow_networks: Vec::new(), ..once() };
    let (client, _) = client(&closed);
    let peer = Peer::start(good()).await;
    let named = peer.url("/").replace("127.0.0.1", "localhost");
    for url in [peer.url("/"), named] {
        let failure = client.send(&Call::get(url), json).await.unwrap_err();
        assert!(failure.to_string().contains("outward.allow_networks"), "{failure}");
        assert_eq!(failure.as_str(), "forbidden");
    }
    assert_eq!(peer.asked(), []);
}

#[tokio::test]
async fn redirections_are_told_and_not_followed() {
    let (client, _) = client(&once());
    let peer = Peer::start(Say::Body(302, String::new())).await;
    let failure = client.send(&Call::get(peer.url("/")), json).await.unwrap_err();
    assert!(failure.to_string().contains("not followed"), "{failure}");
    assert_eq!(peer.asked().len(), 1);
}
