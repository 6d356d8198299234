//! How much a caller may ask, and pages of other sites.

use axum::body::Body;
use axum::http::Request;
use forewatt_service::access::config::RateLimitConfig;
use forewatt_service::domain::Scope;
use serde_json::json;

use super::access::{closed, key};
use super::*;

/// A caller has ten units and gets none back during a test.
fn limited() -> HttpOptions {
    let config = RateLimitConfig {
        units_per_minute: 1,
        burst_units: 10,
        units_per_day: 1_000,
        values_per_unit: 100,
        train_units: 5,
        ..crate::config::tests::defaults().rate_limit
    };
    HttpOptions { rate_limit: Some(config), ..closed() }
}

fn with_key(path: &str, key: &str) -> Request<Body> {
    Request::get(path).header("authorization", format!("Bearer {key}")).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_request_costs_what_it_asks_for() {
    let server = with_champion_and(limited()).await;
    let made = key(&server, &[Scope::Read, Scope::Train], "*").await;
    let cheap = server.send(with_key("/v1/series", &made.key)).await;
    assert_eq!(cheap.header("ratelimit-policy"), "\"burst\";q=10;w=600, \"day\";q=1000;w=86400");
    assert!(cheap.header("ratelimit").starts_with("\"burst\";r=9;t="), "{}", cheap.header("ratelimit"));
    assert!(cheap.header("ratelimit").contains("\"day\";r=999;t="));
    // 48 steps at 9 levels are 432 values: 4 units, also when the answer is in memory.
    for left in [5, 1] {
        let dear = server.send(with_key("/v1/series/city.load/forecast?horizon=PT48H", &made.key)).await;
        assert_eq!(dear.status, 200);
        assert!(
            dear.header("ratelimit").starts_with(&format!("\"burst\";r={left};")),
            "{}",
            dear.header("ratelimit")
        );
    }
    // A batch is paid for as its parts, and may leave a debt.
    let batch = json!({"requests": [{"series": "city.load", "horizon": "PT48H"}, {"series": "city.load", "horizon": "PT48H"}]});
    let request = Request::post("/v1/forecasts:batch")
        .header("authorization", format!("Bearer {}", made.key))
        .header("content-type", "application/json");
    assert_eq!(server.send(request.body(batch.to_string().into()).unwrap()).await.status, 200);
    let denied = server.send(with_key("/v1/series", &made.key)).await;
    assert!(denied.problem(429).contains("try again in"));
    let after: u64 = denied.header("retry-after").parse().unwrap();
    assert!((421..=480).contains(&after), "7 units of debt and one to enter, one a minute: {after}");
    assert!(denied.header("ratelimit").starts_with("\"burst\";r=0;"));
    let other = key(&server, &[Scope::Read], "*").await;
    assert_eq!(server.send(with_key("/v1/series", &other.key)).await.status, 200, "others are not held up");
    assert_eq!(server.get("/health/ready").await.status, 200, "health costs nothing");
    assert_eq!(server.get("/health/ready").await.header("ratelimit"), "");
}

#[tokio::test]
async fn a_training_is_dear_even_when_it_is_refused() {
    let server = empty_with(limited()).await;
    let made = key(&server, &[Scope::Train], "*").await;
    let request = Request::post("/v1/train")
        .header("authorization", format!("Bearer {}", made.key))
        .header("content-type", "application/json");
    let reply = server.send(request.body(json!({"series": "nobody"}).to_string().into()).unwrap()).await;
    assert_eq!(reply.status, 404);
    assert!(reply.header("ratelimit").starts_with("\"burst\";r=4;"), "{}", reply.header("ratelimit"));
}

#[tokio::test]
async fn one_caller_cannot_have_all_the_places() {
    let mut options = limited();
    options.rate_limit.as_mut().unwrap().concurrency_per_key_max = 1;
    let server = empty_with(options).await;
    let made = key(&server, &[Scope::Write], "*").await;
    // A body that never ends holds the place.
    let endless = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
    let slow = Request::post("/v1/series/x/observations")
        .header("authorization", format!("Bearer {}", made.key))
        .header("content-type", "text/csv");
    let mut held = Box::pin(server.send(slow.body(endless).unwrap()));
    let read = Request::put("/v1/series/x").header("authorization", format!("Bearer {}", made.key));
    let read = read.body(Body::empty()).unwrap();
    let mut second = Box::pin(server.send(read));
    let denied = std::future::poll_fn(|context| {
        assert!(held.as_mut().poll(context).is_pending());
        second.as_mut().poll(context)
    });
    let denied = denied.await;
    assert!(denied.problem(429).contains("at work"), "{}", denied.header("retry-after"));
    drop(held);
    let again = Request::put("/v1/series/x").header("authorization", format!("Bearer {}", made.key));
    assert_eq!(server.send(again.body(Body::empty()).unwrap()).await.status, 415, "its place is free again");
}

#[tokio::test]
async fn only_named_origins_may_read_and_write() {
    let friend = "https://app.example";
    let server = empty_with(HttpOptions { cors_origins: vec![friend.to_owned()], ..options() }).await;
    let from = |method: &str, origin: &str| {
        Request::builder().method(method).uri("/v1/series").header("origin", origin)
    };
    let preflight = from("OPTIONS", friend).header("access-control-request-method", "PUT");
    let reply = server.send(preflight.body(Body::empty()).unwrap()).await;
    assert_eq!((reply.status.as_u16(), reply.header("access-control-allow-origin")), (204, friend));
    assert!(reply.header("access-control-allow-headers").contains("authorization"));
    assert_eq!(reply.header("access-control-allow-credentials"), "");
    let read = server.send(from("GET", friend).body(Body::empty()).unwrap()).await;
    assert_eq!((read.status.as_u16(), read.header("access-control-allow-origin")), (200, friend));
    assert!(read.header("vary").contains("origin"));
    let write =
        Request::put("/v1/series/a").header("origin", friend).header("content-type", "application/json");
    let write = write.header("sec-fetch-site", "cross-site").body(city().to_string().into()).unwrap();
    assert_eq!(server.send(write).await.status, 201);
    for stranger in ["https://evil.example", "https://app.example.evil.example", "null", "http://app.example"]
    {
        let preflight = from("OPTIONS", stranger).header("access-control-request-method", "PUT");
        let reply = server.send(preflight.body(Body::empty()).unwrap()).await;
        assert!(reply.status.is_client_error(), "{stranger}");
        assert_eq!(reply.header("access-control-allow-origin"), "", "{stranger}");
        let write = Request::put("/v1/series/a").header("origin", stranger).body(Body::empty()).unwrap();
        assert_eq!(server.send(write).await.status, 403, "{stranger}");
    }
}
