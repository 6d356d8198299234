//! What clients and operators rely on, snapshotted: a change of a contract is seen in review.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;

use super::*;

const METHODS: [&str; 5] = ["get", "put", "post", "delete", "patch"];

#[tokio::test]
async fn the_openapi_document() {
    let server = empty().await;
    let reply = server.get("/openapi.json").await;
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (200, "application/json"));
    let again = Request::get("/openapi.json")
        .header("if-none-match", reply.header("etag"))
        .body(Body::empty())
        .unwrap();
    assert_eq!(server.send(again).await.status, 304);
    insta::assert_json_snapshot!("openapi", reply.json());
}

#[tokio::test]
async fn every_described_route_is_served_and_every_reference_leads_somewhere() {
    let server = with_champion().await;
    let api = server.get("/openapi.json").await.json();
    for (path, operations) in api["paths"].as_object().unwrap() {
        for method in METHODS.iter().filter(|method| operations.get(**method).is_some()) {
            let target = path.replace("{name}", "city.load").replace("{id}", "city.load-v1");
            let request = Request::builder()
                .method(method.to_uppercase().as_str())
                .uri(target)
                .body(Body::empty())
                .unwrap();
            let reply = server.send(request).await;
            let text = String::from_utf8_lossy(&reply.body);
            assert!(reply.status != 405 && !text.contains("there is nothing at"), "{method} {path}: {text}");
        }
    }
    let schemas = &api["components"]["schemas"];
    for reference in references(&api) {
        let name = reference.rsplit('/').next().unwrap();
        assert!(schemas.get(name).is_some(), "{reference} is not described");
    }
}

/// Every `$ref` in a document.
fn references(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("$ref").and_then(Value::as_str).map(str::to_owned);
            own.into_iter().chain(fields.values().flat_map(references)).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => BTreeSet::new(),
    }
}

#[test]
fn metric_names_and_labels() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let handle = recorder.handle();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let server = with_champion().await;
            server.get("/v1/series/city.load/forecast").await;
            server.get("/v1/series/city.load/forecast").await;
            server.get("/v1/series/some-stranger/forecast").await;
            server.get("/wp-admin/setup.php").await;
            server
                .send(Request::builder().method("BREW").uri("/v1/series").body(Body::empty()).unwrap())
                .await;
            server.service.close().await; // what was issued is kept, and counted, in the background
        });
    });
    let text = handle.render();
    assert!(
        !text.contains("stranger") && !text.contains("wp-admin"),
        "paths of strangers are no labels: {text}"
    );
    // Names and labels without their figures; what is timed varies, so only HTTP lines are kept whole.
    let series: BTreeSet<String> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(series, _)| series.to_owned())
        .filter(|series| !series.contains("quantile=") && !series.contains("le="))
        .collect();
    insta::assert_snapshot!("metrics", series.into_iter().collect::<Vec<_>>().join("\n"));
}
