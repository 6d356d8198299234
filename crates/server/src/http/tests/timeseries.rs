//! KServe's time series: series sent along, answered by quick families, each failing alone.

use super::*;

fn values(length: usize) -> Vec<f64> {
    (0..length)
        .map(|i| 50.0 + 10.0 * (i as f64 / 24.0 * std::f64::consts::TAU).sin() + (i * 7919 % 7) as f64)
        .collect()
}

fn input(name: &str, series: &Value, frequency: &str) -> Value {
    let kind = if series[0].is_array() { "multivariate_time_series" } else { "univariate_time_series" };
    json!({"type": kind, "name": name, "series": series, "frequency": frequency, "start_timestamp": "2026-01-05T00:00:00"})
}

fn question(model: &str, inputs: &[Value], horizon: u32) -> Value {
    json!({
        "model": model, "inputs": inputs, "metadata": {"who": "me"},
        "options": {"horizon": horizon, "quantiles": [0.1, 0.5, 0.9], "temperature": 1},
    })
}

#[tokio::test]
async fn one_and_many_variables_are_foretold() {
    let server = empty().await;
    assert_eq!(
        server.get("/v1/timeseries/models").await.json(),
        json!(["auto", "linear", "seasonal-empirical", "seasonal-steps"])
    );
    let steps: Vec<[f64; 2]> = values(24 * 8).iter().map(|&v| [v, 2.0 * v]).collect();
    let inputs = [
        input("load", &json!(values(24 * 8)), "H"),
        input("quarters", &json!(values(96 * 3)), "PT15M"),
        input("both", &json!(steps), "hour"),
        input("months", &json!(values(36)), "M"),
    ];
    let answer = server
        .post("/v1/timeseries/forecast", &question("seasonal-empirical", &inputs[..3], 30))
        .await
        .json();
    assert_eq!((&answer["status"], &answer["error"]), (&json!("completed"), &Value::Null), "{answer}");
    let content = &answer["outputs"][0]["content"];
    assert_eq!(content[0]["mean_forecast"].as_array().unwrap().len(), 30);
    assert_eq!(content[0]["start_timestamp"], "2026-01-13T00:00:00Z");
    assert_eq!(content[1]["start_timestamp"], "2026-01-08T00:00:00Z");
    assert_eq!(content[0]["families"], json!(["seasonal-empirical"]));
    let (low, high) = (&content[0]["quantiles"]["0.1"][3], &content[0]["quantiles"]["0.9"][3]);
    assert!(low.as_f64().unwrap() <= high.as_f64().unwrap());
    let both = content[2]["mean_forecast"][5].as_array().unwrap();
    assert!((both[1].as_f64().unwrap() - 2.0 * both[0].as_f64().unwrap()).abs() < 1e-3, "{both:?}");
    assert_eq!(answer["usage"]["completion_tokens"], 30 + 30 + 60);

    let months = server.post("/v1/timeseries/forecast", &question("auto", &inputs[3..], 3)).await.json();
    let content = &months["outputs"][0]["content"][0];
    assert_eq!(
        (&content["families"], &content["frequency"]),
        (&json!(["seasonal-steps"]), &json!("M")),
        "{months}"
    );
    assert_eq!(content["start_timestamp"], "2029-01-05T00:00:00Z");
}

#[tokio::test]
async fn a_series_that_fails_does_so_alone() {
    let server = empty().await;
    let inputs = [input("good", &json!(values(96)), "H"), input("short", &json!([1.0, null]), "H")];
    let answer = server.post("/v1/timeseries/forecast", &question("auto", &inputs, 4)).await.json();
    assert_eq!(answer["status"], "partial", "{answer}");
    assert_eq!(answer["outputs"][0]["content"][0]["name"], "good");
    let failed = &answer["outputs"][1];
    assert_eq!((&failed["status"], &failed["error"]["type"]), (&json!("error"), &json!("insufficient_data")));
    assert_eq!(failed["error"]["param"], "inputs.short");
    let answer = server.post("/v1/timeseries/forecast", &question("auto", &inputs[1..], 4)).await.json();
    assert_eq!(answer["status"], "error");
}

#[tokio::test]
async fn what_is_wrong_is_told_in_kserves_shape() {
    let server = empty().await;
    let good = input("x", &json!(values(96)), "H");
    for (body, status, part) in [
        (question("magic", std::slice::from_ref(&good), 4), 404, "seasonal-empirical"),
        (question("auto", &[], 4), 400, "inputs"),
        (json!({"model": "auto"}), 400, "inputs"),
        (question("auto", &[json!({"type": "image"})], 4), 400, "univariate_time_series"),
    ] {
        let reply = server.post("/v1/timeseries/forecast", &body).await;
        let told = reply.json();
        assert_eq!(reply.status.as_u16(), status, "{told}");
        assert!(told["error"]["message"].as_str().unwrap().contains(part), "{told}");
        assert_eq!(told["error"]["code"], status.to_string());
    }
    for (wrong, part) in [
        (json!({"frequency": "fortnight"}), "PT15M"),
        (json!({"start_timestamp": "soon"}), "start_timestamp"),
        (json!({"type": "multivariate_time_series"}), "list of steps"),
        (json!({"series": [[1.0]]}), "univariate"),
        (json!({"time_zone": "Mars/Base"}), "time_zone"),
    ] {
        let mut input = good.clone();
        wrong.as_object().unwrap().iter().for_each(|(key, value)| input[key] = value.clone());
        let told = server.post("/v1/timeseries/forecast", &question("auto", &[input], 4)).await.json();
        assert!(told["outputs"][0]["error"]["message"].as_str().unwrap().contains(part), "{told}");
    }
    let told = server.post("/v1/timeseries/forecast", &question("auto", &[good], 7_000)).await.json();
    assert!(told["outputs"][0]["error"]["message"].as_str().unwrap().contains("6000"), "{told}");
}
