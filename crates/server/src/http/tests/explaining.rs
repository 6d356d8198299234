//! Explanations and what-if questions over HTTP: as described, adding up, and refused with a mend.

use forewatt_service::domain::Covariate;
use serde_json::json;

use super::*;
use crate::http::schema;

/// A server with `city.load`, which follows `city.temp`, foretold two days ahead, and a linear champion that reads it.
pub(crate) async fn with_weather() -> TestServer {
    let server = empty().await;
    let weather =
        json!({"kind": "temperature", "unit": "degC", "resolution": "PT1H", "time_zone": "Europe/Madrid"});
    assert_eq!(server.put("/v1/series/city.load", &city()).await.status, 201);
    assert_eq!(server.put("/v1/series/city.temp", &weather).await.status, 201);
    let degrees = |hour: i64| 12.0 + 6.0 * (hour as f64 / 100.0).sin();
    let load: Vec<NewObservation> = observations()
        .into_iter()
        .zip(0..)
        .map(|(o, hour)| NewObservation { value: o.value - 3.0 * degrees(hour), ..o })
        .collect();
    let first = load[0].valid_time;
    let at = |hour: i64| first.plus_micros(hour * 3_600_000_000);
    let foretold: Vec<NewObservation> = (0..(DAYS + 3) * 24)
        .map(|hour| NewObservation {
            valid_time: at(hour),
            available_at: Some(at(hour - 72)),
            value: degrees(hour),
        })
        .collect();
    let (load_name, weather_name) = ("city.load".parse().unwrap(), "city.temp".parse().unwrap());
    server.service.write_observations(&load_name, &load).await.unwrap();
    server.service.write_observations(&weather_name, &foretold).await.unwrap();
    let request = TrainRequest {
        model: Some(Family::Linear),
        backtest_days: Some(7),
        covariates: Some(vec![Covariate { series: weather_name, known_ahead: true }]),
        ..TrainRequest::new(load_name)
    };
    server.service.train(&request, std::sync::Arc::new(|_, _| ())).await.unwrap();
    server
}

const EXPLAIN: &str = "/v1/series/city.load/forecast:explain";
const WHAT_IF: &str = "/v1/series/city.load/forecast:whatif";

#[tokio::test]
async fn explanations_are_as_described_and_explain_the_forecast() {
    let server = with_weather().await;
    let forecast = server.get("/v1/series/city.load/forecast?horizon=PT24H").await.json();
    let reply = server.get(&format!("{EXPLAIN}?horizon=PT24H&features=3")).await;
    let text = String::from_utf8_lossy(&reply.body);
    serde_json::from_slice::<schema::ExplainDocument>(&reply.body)
        .unwrap_or_else(|error| panic!("{error} in {text}"));
    assert_eq!(reply.header("cache-control"), "no-store");
    let explained = reply.json();
    assert_eq!(explained["points"].as_array().unwrap().len(), 24);
    for (point, told) in
        forecast["points"].as_array().unwrap().iter().zip(explained["points"].as_array().unwrap())
    {
        assert_eq!((&point["valid_time"], &point["mean"]), (&told["valid_time"], &told["mean"]));
        let sum = |field: &str| -> f64 {
            told[field].as_array().unwrap().iter().map(|s| s["contribution"].as_f64().unwrap()).sum()
        };
        let told_sum = told["reference"].as_f64().unwrap() + sum("groups") + sum("adjustments");
        assert!((told_sum - told["mean"].as_f64().unwrap()).abs() < 1e-2, "{told}");
        assert!(told["features"].as_array().unwrap().len() <= 3);
    }
    let since =
        server.get(&format!("{EXPLAIN}?horizon=PT24H&since=2026-03-01T18:00:00%2B00:00")).await.json();
    assert_eq!(since["reference"]["kind"], "previous");
    assert_eq!(since["reference"]["from"], "2026-03-01T18:00:00Z");
}

#[tokio::test]
async fn what_ifs_are_as_described_and_change_nothing() {
    let server = with_weather().await;
    let body = json!({"horizon": "PT24H", "quantiles": [0.1, 0.9], "overrides": {"city.temp": {"add": 4}}});
    let reply = server.post(WHAT_IF, &body).await;
    let text = String::from_utf8_lossy(&reply.body);
    serde_json::from_slice::<schema::WhatIfDocument>(&reply.body)
        .unwrap_or_else(|error| panic!("{error} in {text}"));
    let answer = reply.json();
    assert_eq!(answer["hypothetical"], true);
    assert!(
        answer["total"]["difference"].as_f64().unwrap() < -24.0,
        "warmer means less load: {}",
        answer["total"]
    );
    let forecast = server.get("/v1/series/city.load/forecast?horizon=PT24H&quantiles=0.1,0.9").await.json();
    for (point, real) in
        answer["points"].as_array().unwrap().iter().zip(forecast["points"].as_array().unwrap())
    {
        assert_eq!((&point["base"], &point["base_quantiles"]), (&real["mean"], &real["quantiles"]));
    }
    let set = json!({"horizon": "PT24H", "overrides": {"city.temp": {"values": {"2026-03-02T01:00:00+01:00": 40.0}}}});
    let answer = server.post(WHAT_IF, &set).await.json();
    assert_eq!(
        (&answer["overrides"][0]["steps"], &answer["overrides"][0]["mean_after"]),
        (&json!(1), &json!(40.0))
    );
}

#[tokio::test]
async fn what_cannot_be_explained_or_imagined_is_refused() {
    let server = with_weather().await;
    for (query, status, mend) in [
        ("horizn=PT1H", 400, "did you mean `horizon`"),
        ("features=0", 400, "from 1 to 50"),
        ("features=51", 400, "from 1 to 50"),
        ("since=soon", 400, "write `previous`"),
        ("since=previous&since=previous", 400, "given twice"),
        ("since=2026-03-02T00:00:00Z", 400, "must lie before"),
        ("since=2026-01-10T00:00:00Z", 400, "no valid time in common"),
        ("since=previous", 404, "name the instant"),
        ("version=city.load-v9", 404, "city.load-v1"),
        ("quantiles=0.5", 400, "not known here"),
    ] {
        let detail = server.get(&format!("{EXPLAIN}?{query}")).await.problem(status);
        assert!(detail.contains(mend), "{query}: {detail}");
    }
    for (body, status, mend) in [
        (json!({}), 400, "overrides"),
        (json!({"overrides": {}}), 400, "`city.temp`"),
        (json!({"overrides": {"city.tmp": {"add": 1}}}), 400, "did you mean `city.temp`"),
        (json!({"overrides": {"no name": {"add": 1}}}), 400, "is not a series name"),
        (json!({"overrides": {"city.temp": {}}}), 400, "give `add` or `scale`"),
        (json!({"overrides": {"city.temp": {"add": 1, "values": {}}}}), 400, "`values` alone"),
        (json!({"overrides": {"city.temp": {"ad": 1}}}), 400, "unknown field `ad`"),
        (json!({"overrides": {"city.temp": {"values": {"noon": 1}}}}), 400, "RFC 3339"),
        (json!({"overrides": {"city.temp": {"values": {"2027-01-01T00:00:00Z": 1}}}}), 400, "cannot be set"),
        (json!({"overrides": {"city.temp": {"scale": 1}}}), 400, "touches nothing"),
        (json!({"horizon": "soon", "as_of": "x", "overrides": {}}), 400, "body.horizon"),
    ] {
        let detail = server.post(WHAT_IF, &body).await.problem(status);
        assert!(detail.contains(mend), "{body}: {detail}");
    }
    let plain = with_champion().await;
    let body = json!({"overrides": {"city.temp": {"add": 1}}});
    assert!(plain.post(WHAT_IF, &body).await.problem(400).contains("reads no covariates"));
    let nowhere = plain.post("/v1/series/nowhere/forecast:whatif", &body).await;
    assert!(nowhere.problem(404).contains("there is no series `nowhere`"));
}
