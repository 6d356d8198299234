//! Comparing two forecasts over HTTP.

use serde_json::{Value, json};

use super::*;
use crate::http::schema;

/// Noon and midnight of so many days before the fixture's end, with forecasts off by `error` and, at noon, twice that.
fn points(days: i64, error: f64) -> Vec<Value> {
    let end: Time = NOW.parse().unwrap();
    let point = |i: i64| {
        let half_day = 12 * 3_600_000_000_i64;
        let valid_time = end.plus_micros((i - 2 * days) * half_day);
        let start = valid_time.plus_micros(-(i % 2) * half_day);
        let wobble = ((i * 7919 + error as i64 * i * i) % 5) as f64 - 2.0;
        let mean = 100.0 + error * (1 + i % 2) as f64 + wobble;
        json!({"forecast_start": start, "valid_time": valid_time, "mean": mean, "quantiles": [mean - 1.0, mean + 1.0], "actual": 100.0})
    };
    (0..2 * days).map(point).collect()
}

fn given(days: i64, error: f64) -> Value {
    json!({"name": "sent", "quantiles": [0.1, 0.9], "points": points(days, error)})
}

#[tokio::test]
async fn values_sent_along_are_compared_as_described() {
    let server = empty().await;
    let body = json!({"a": given(30, 3.0), "b": given(30, 20.0), "lead": null});
    let reply = server.post("/v1/compare", &body).await;
    assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
    serde_json::from_slice::<schema::CompareDocument>(&reply.body).unwrap();
    let found = reply.json();
    assert_eq!((&found["values"], &found["days"]), (&json!(60), &json!(30)));
    assert_eq!((&found["a"]["name"], &found["b"]["name"]), (&json!("sent"), &json!("sent (b)")));
    assert_eq!(found["matched_by"], "start_and_valid_time");
    assert_eq!(found["losses"].as_array().unwrap().len(), 3);
    for loss in found["losses"].as_array().unwrap() {
        assert_eq!(loss["better"], "a");
        assert!(loss["verdict"].as_str().unwrap().starts_with("sent is better than sent (b) by "), "{loss}");
        assert_eq!(loss["by_lead"].as_array().unwrap().len(), 2);
    }
}

#[tokio::test]
async fn a_stored_series_is_compared_with_values_sent_along() {
    let server = with_champion().await;
    assert_eq!(server.put("/v1/series/theirs", &city()).await.status, 201);
    let name = "theirs".parse().unwrap();
    let theirs: Vec<NewObservation> =
        observations().into_iter().map(|o| NewObservation { value: o.value + 1.0, ..o }).collect();
    server.service.write_observations(&name, &theirs).await.unwrap();
    let mut sent = given(20, 1.0);
    let bare = |point: &mut Value| {
        point.as_object_mut().unwrap().retain(|field, _| field == "valid_time" || field == "mean");
    };
    sent["points"].as_array_mut().unwrap().iter_mut().for_each(bare);
    sent.as_object_mut().unwrap().remove("quantiles");
    let body = json!({"a": {"series": "theirs"}, "b": sent, "of": "city.load"});
    let found = server.post("/v1/compare", &body).await.json();
    assert_eq!((&found["of"], &found["unit"]), (&json!("city.load"), &json!("MW")), "{found}");
    assert_eq!(found["time_zone"], "Europe/Madrid");
    assert_eq!(found["losses"][0]["better"], "a");
    assert!((found["losses"][0]["overall"]["a"].as_f64().unwrap() - 1.0).abs() < 1e-9);
    assert_eq!(found["a"]["without_counterpart"], DAYS * 24 - 40);
    let notes = found["notes"].to_string();
    assert!(notes.contains("matched by valid time") && notes.contains("--available-at"), "{notes}");
}

#[tokio::test]
async fn comparisons_that_cannot_be_are_refused_with_the_mend() {
    let server = with_champion().await;
    let version = json!({"version": "city.load-v1"});
    let both = json!({"version": "city.load-v1", "series": "city.load"});
    for (body, status, mend) in [
        (json!({"a": version}), 400, "missing field `b`"),
        (json!({"a": version, "b": {}}), 400, "body.b: give exactly one of"),
        (json!({"a": both, "b": {}}), 400, "body.a: give exactly one of"),
        (json!({"a": version, "b": {"series": "x", "name": "y"}}), 400, "go with `points`"),
        (json!({"a": version, "b": version, "of": "/", "lead": "soon", "from": "x"}), 400, "body.lead"),
        (json!({"a": version, "b": version, "time_zone": "Mars"}), 400, "body.time_zone"),
        (json!({"a": version, "b": version, "horizon": 1}), 400, "horizon"),
        (json!({"a": version, "b": {"version": "city.load-v9"}}), 404, "city.load-v"),
        (json!({"a": version, "b": {"series": "city.laod"}}), 404, "did you mean `city.load`?"),
        (json!({"a": version, "b": version}), 422, "has issued no forecast"),
        (json!({"a": given(7, 1.0), "b": given(7, 2.0)}), 422, "at least 8 days"),
        (
            json!({"a": given(9, 1.0), "b": {"points": [{"valid_time": NOW, "mean": 1}]}}),
            422,
            "about the same time",
        ),
        (json!({"a": {"points": [], "quantiles": [0.9, 0.1]}, "b": version}), 400, "must rise"),
        (json!({"a": {"points": points(9, 1.0)}, "b": given(9, 1.0)}), 400, "2 quantiles for 0 levels"),
    ] {
        let detail = server.post("/v1/compare", &body).await.problem(status);
        assert!(detail.contains(mend), "{mend}: {detail}");
    }
    let text =
        Request::post("/v1/compare").header("content-type", "text/csv").body(Body::from("a,b")).unwrap();
    server.send(text).await.problem(415);
    let large = json!({"a": given(2_000, 1.0), "b": version});
    server.post("/v1/compare", &large).await.problem(413);
    server.post("/v1/compare?x=1", &json!({})).await.problem(400);
}
