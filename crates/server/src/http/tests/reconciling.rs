//! A series and its parts over HTTP: described, adding up, with stand-ins told.

use serde_json::json;

use super::reading::described;
use super::*;
use crate::http::schema;

/// The part of the city that is this share of it, without a champion.
async fn part(server: &TestServer, name: &str, share: f64) {
    let mut description = city();
    description["parent"] = json!("city.load");
    assert_eq!(server.put(&format!("/v1/series/{name}"), &description).await.status, 201);
    let values: Vec<NewObservation> =
        observations().into_iter().map(|o| NewObservation { value: share * o.value, ..o }).collect();
    server.service.write_observations(&name.parse().unwrap(), &values).await.unwrap();
}

#[tokio::test]
async fn parts_without_champions_add_up_and_are_told() {
    let server = with_champion().await;
    part(&server, "city.north", 0.25).await;
    part(&server, "city.south", 0.75).await;
    let path = "/v1/series/city.load/forecast:reconciled?method=wls&horizon=PT12H&quantiles=0.1,0.5,0.9";
    let reply = server.get(path).await;
    described::<schema::ReconciledDocument>(&reply);
    let answer = reply.json();
    assert_eq!(
        (answer["method"].as_str(), answer["errors"]["source"].as_str()),
        (Some("wls"), Some("backtest"))
    );
    assert!(answer["degraded"].as_str().unwrap().contains("2 of 3 series"), "{answer}");
    assert_eq!(answer["series"][0]["series"], "city.load");
    for i in 0..12 {
        let mean = |place: usize| answer["series"][place]["points"][i]["mean"].as_f64().unwrap();
        assert_eq!(mean(0).to_bits(), (mean(1) + mean(2)).to_bits(), "step {i} adds up on the wire");
    }
    part(&server, "city.west", 0.5).await;
    let detail = server.get(path).await.problem(400);
    assert!(detail.contains("150 %"), "{detail}");
}
