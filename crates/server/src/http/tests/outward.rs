//! Sources, webhooks, and what caches in front are told.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::*;
use crate::http::schema::{SourcesDocument, WebhookDocument, WebhooksDocument};

async fn delete(server: &TestServer, path: &str) -> Reply {
    server.send(Request::delete(path).body(Body::empty()).unwrap()).await
}

async fn post_empty(server: &TestServer, path: &str) -> Reply {
    server.send(Request::post(path).body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn sources_are_put_listed_and_taken_away() {
    let server = empty().await;
    let body = json!({"kind": "open-meteo", "url": "https://192.0.9.1/v1?from={from}", "every_seconds": 3600,
        "series": {"temperature_2m": "city.temperature"}});
    let made = server.put("/v1/sources/weather", &body).await;
    assert_eq!(made.status, 200, "{}", String::from_utf8_lossy(&made.body));
    assert_eq!((&made.json()["next_at"], &made.json()["last"]), (&json!(NOW), &json!(null)));
    let listed = server.get("/v1/sources").await;
    let read: SourcesDocument = serde_json::from_slice(&listed.body).unwrap();
    assert!(format!("{read:?}").contains("city.temperature"));
    assert_eq!(delete(&server, "/v1/sources/weather").await.status, 204);
    assert!(delete(&server, "/v1/sources/weather").await.problem(404).contains("no source `weather`"));
    assert!(post_empty(&server, "/v1/sources/weather:run").await.problem(404).contains("no source"));
    assert!(post_empty(&server, "/v1/sources/weather").await.problem(404).contains(":run"));
    for (field, value, told) in [
        ("kind", json!("gopher"), "body.kind"),
        ("series", json!({"t": "no name"}), "body.series"),
        ("every_seconds", json!(1), "60 s"),
        ("url", json!("http://127.0.0.1:1/"), "allow_networks"),
        ("url", json!("https://h/{x}"), "{from}"),
        ("token_env", json!("HOME"), "no {token}"),
    ] {
        let mut wrong = body.clone();
        wrong[field] = value;
        let detail = server.put("/v1/sources/weather", &wrong).await.problem(400);
        assert!(detail.contains(told), "{field}: {detail}");
    }
}

#[tokio::test]
async fn a_webhooks_secret_is_told_once() {
    let server = empty().await;
    let body = json!({"url": "https://example.com/hook", "events": ["model.trained"], "series": "city.load"});
    let made = server.post("/v1/webhooks", &body).await;
    assert_eq!(made.status, 201, "{}", String::from_utf8_lossy(&made.body));
    let _: WebhookDocument = serde_json::from_slice(&made.body).unwrap();
    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    let listed = server.get("/v1/webhooks").await;
    let _: WebhooksDocument = serde_json::from_slice(&listed.body).unwrap();
    assert!(!String::from_utf8_lossy(&listed.body).contains(&secret));
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(delete(&server, &format!("/v1/webhooks/{id}")).await.status, 204);
    assert!(delete(&server, &format!("/v1/webhooks/{id}")).await.problem(404).contains("no webhook"));
    assert_eq!(server.get("/v1/webhooks/dead").await.json(), json!({"dead": []}));
    assert!(post_empty(&server, "/v1/webhooks/dead/x:replay").await.problem(404).contains("no dead letter"));
    for (body, told) in [
        (json!({"url": "http://10.0.0.1/"}), "allow_networks"),
        (json!({"url": "https://u:p@example.com/"}), "password"),
        (json!({"url": "https://example.com/", "events": ["model.eaten"]}), "body.events"),
    ] {
        let detail = server.post("/v1/webhooks", &body).await.problem(400);
        assert!(detail.contains(told), "{detail}");
    }
}

#[tokio::test]
async fn caches_are_told_nothing_by_default_and_what_is_configured_else() {
    let path = "/v1/series/city.load/forecast";
    let plain = with_champion().await.get(path).await;
    assert_eq!((plain.header("cache-control"), plain.header("cdn-cache-control")), ("no-cache", ""));
    assert_eq!(plain.header("surrogate-key"), "series-city.load version-city.load-v1");
    let change = |config: &mut forewatt_service::Config| {
        let cdn = &mut config.outward.cdn;
        (cdn.client_max_age_s, cdn.client_stale_while_revalidate_s) = (5, 20);
        (cdn.max_age_s, cdn.stale_while_revalidate_s, cdn.stale_if_error_s) = (60, 30, 600);
    };
    let server = champion_on(empty_told(options(), change).await).await;
    let told = server.get(path).await;
    let held = Request::get(path).header("if-none-match", told.header("etag")).body(Body::empty()).unwrap();
    let held = server.send(held).await;
    assert_eq!(held.status, 304);
    for reply in [told, held] {
        assert_eq!(reply.header("cache-control"), "max-age=5, stale-while-revalidate=20");
        let expected = "max-age=60, stale-while-revalidate=30, stale-if-error=600";
        assert_eq!(reply.header("cdn-cache-control"), expected);
    }
    let refused = server.get("/v1/series/city.load/forecast?horizon=x").await;
    assert_eq!(refused.header("cdn-cache-control"), "", "errors are not kept");
}
