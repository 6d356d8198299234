//! The Open Inference Protocol as its clients speak it: JSON and raw tensors, its error shape, the registry.

use std::io::Write as _;

use forewatt_service::admission::Class;

use super::*;

async fn post_raw(server: &TestServer, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
    let mut request = Request::post(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    server.send(request.body(body.into()).unwrap()).await
}

/// The text of an error in the protocol's shape.
fn error(reply: &Reply, status: u16) -> String {
    let body = String::from_utf8_lossy(&reply.body);
    assert_eq!((reply.status.as_u16(), reply.header("content-type")), (status, "application/json"), "{body}");
    let json = reply.json();
    assert_eq!(json.as_object().unwrap().len(), 1, "{body}");
    json["error"].as_str().unwrap().to_owned()
}

/// A server with a gradient-boosted champion: a family that takes features without times.
async fn with_trees() -> TestServer {
    let server = with_champion().await;
    let request = TrainRequest {
        model: Some(Family::Gbdt),
        horizon: Some("PT6H".to_owned()),
        training_days: Some(14),
        backtest_days: Some(1),
        promote: false,
        ..TrainRequest::new("city.load".parse().unwrap())
    };
    server.service.train(&request, std::sync::Arc::new(|_, _| ())).await.unwrap();
    server
}

#[tokio::test]
async fn a_series_is_asked_by_horizon_in_json() {
    let server = with_champion().await;
    let question = json!({
        "id": "q7", "model_name": "city.load",
        "inputs": [
            {"name": "series", "shape": [1], "datatype": "BYTES", "data": ["city.load"]},
            {"name": "horizon", "shape": [1], "datatype": "INT32", "data": [5]},
            {"name": "quantiles", "shape": [2], "datatype": "FP32", "data": [0.1, 0.9]},
        ],
        "outputs": [{"name": "quantiles"}, {"name": "timestamps"}],
    });
    let answer = server.post("/v2/models/city.load/infer", &question).await;
    let told = answer.json();
    assert_eq!((&told["id"], &told["model_version"]), (&json!("q7"), &json!("1")), "{told}");
    let forecast = server.get("/v1/series/city.load/forecast?horizon=PT5H&quantiles=0.1,0.9").await.json();
    let flat: Vec<&Value> = forecast["points"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|p| [&p["quantiles"]["0.1"], &p["quantiles"]["0.9"]])
        .collect();
    assert_eq!(told["outputs"][0]["data"], json!(flat));
    assert_eq!(told["outputs"][0]["shape"], json!([5, 2]));
    let first: Time = forecast["points"][0]["valid_time"].as_str().unwrap().parse().unwrap();
    assert_eq!(told["outputs"][1]["data"][0], first.seconds());
    assert_eq!(told["parameters"]["unit"], "MW");
    let version = server.post("/v2/models/city.load/versions/1/infer", &question).await;
    assert_eq!(version.json()["outputs"], told["outputs"]);
}

#[tokio::test]
async fn raw_tensors_come_and_go_after_the_json() {
    let server = with_champion().await;
    let json = json!({
        "inputs": [{"name": "horizon", "shape": [1], "datatype": "INT64", "parameters": {"binary_data_size": 8}}],
        "outputs": [
            {"name": "mean", "parameters": {"binary_data": true}},
            {"name": "levels", "parameters": {"binary_data": false}},
        ],
        "parameters": {"binary_data_output": true},
    })
    .to_string();
    let length = json.len().to_string();
    let body = [json.as_bytes(), &4_i64.to_le_bytes()].concat();
    let header = ("Inference-Header-Content-Length", length.as_str());
    let answer = post_raw(&server, "/v2/models/city.load/infer", &[header], body.clone()).await;
    let split: usize = answer.header("inference-header-content-length").parse().unwrap();
    let told: Value = serde_json::from_slice(&answer.body[..split]).unwrap();
    assert_eq!(told["outputs"][0]["parameters"]["binary_data_size"], 32);
    assert!(told["outputs"][0].get("data").is_none());
    assert_eq!(told["outputs"][1]["data"].as_array().unwrap().len(), 9);
    assert_eq!(answer.body.len(), split + 32);
    let first = f64::from_le_bytes(answer.body[split..split + 8].try_into().unwrap());
    let forecast = server.get("/v1/series/city.load/forecast?horizon=PT4H").await.json();
    assert_eq!(forecast["points"][0]["mean"], first);

    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(&body).unwrap();
    let packed = packer.finish().unwrap();
    let headers = [header, ("Content-Encoding", "gzip")];
    assert_eq!(post_raw(&server, "/v2/models/city.load/infer", &headers, packed).await.body, answer.body);

    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 50 * BODY_MAX_BYTES]).unwrap();
    let refused = post_raw(&server, "/v2/models/city.load/infer", &headers, bomb.finish().unwrap()).await;
    assert!(error(&refused, 413).contains("limit"));
}

#[tokio::test]
async fn features_are_answered_with_and_without_their_times() {
    let server = with_trees().await;
    let about = server.get("/v2/models/city.load-v2").await.json();
    assert_eq!(about["platform"], "forewatt_gbdt");
    let columns = about["inputs"][0]["shape"][1].as_u64().unwrap() as usize;
    let config = server.get("/v2/models/city.load-v2/config").await.json();
    let names = config["parameters"]["feature_names"]["string_value"].as_str().unwrap();
    assert_eq!(names.split(',').count(), columns);

    let row: Vec<Value> = (0..columns).map(|i| if i == 3 { Value::Null } else { json!(100.0) }).collect();
    let features = json!({"name": "features", "shape": [2, columns], "datatype": "FP64", "data": [row, row]});
    let times = |name: &str, hour: i64| {
        let second = 1_772_409_600 + 3_600 * hour;
        json!({"name": name, "shape": [2], "datatype": "INT64", "data": [second, second]})
    };
    let path = "/v2/models/city.load-v2/infer";
    let plain = server.post(path, &json!({"inputs": [features]})).await.json();
    assert_eq!(plain["outputs"][1]["shape"], json!([2, 9]), "{plain}");
    assert_eq!(plain["parameters"]["calibrated"], "false");
    let timed = json!({"inputs": [features, times("forecast_start", 0), times("valid_time", 2)]});
    let timed = server.post(path, &timed).await.json();
    assert_eq!(timed["parameters"]["calibrated"], "true");
    let raw: Vec<u8> =
        row.iter().flat_map(|v| v.as_f64().map_or(f32::NAN, |v| v as f32).to_le_bytes()).collect();
    let headers = [("inference-header-content-length", "0")];
    let answer = post_raw(&server, path, &headers, [raw.clone(), raw].concat()).await;
    let split: usize = answer.header("inference-header-content-length").parse().unwrap();
    let mean = f32::from_le_bytes(answer.body[split..split + 4].try_into().unwrap());
    assert_eq!(plain["outputs"][0]["data"][0].as_f64().unwrap() as f32, mean);

    let half = json!({"inputs": [features, times("valid_time", 2)]});
    assert!(error(&server.post(path, &half).await, 400).contains("go together"));
    let naive = server.post("/v2/models/city.load-v1/infer", &json!({"inputs": [features]})).await;
    assert!(error(&naive, 400).contains("is not [n,") || error(&naive, 400).contains("valid_time"));
}

#[tokio::test]
async fn the_registry_as_the_clients_read_it() {
    let server = with_champion().await;
    assert_eq!(server.put("/v1/series/bare.load", &city()).await.status, 201);
    let health = server.get("/v2/health/ready").await.json();
    assert_eq!(health, json!({"live": true, "ready": true}));
    let index = post_raw(&server, "/v2/repository/index", &[], Vec::new()).await.json();
    assert_eq!(index[0]["state"], "UNAVAILABLE");
    assert_eq!(index[1], json!({"name": "city.load", "version": "1", "state": "READY", "reason": ""}));
    let ready = server.post("/v2/repository/index", &json!({"ready": true})).await.json();
    assert_eq!(ready.as_array().unwrap().len(), 2);
    assert_eq!(server.get("/v2/models").await.json(), json!({"models": ["city.load", "city.load-v1"]}));
    let unload = json!({"parameters": {"unload_dependents": false}});
    assert_eq!(server.post("/v2/repository/models/city.load/unload", &unload).await.status, 200);
    assert_eq!(server.post("/v2/repository/models/city.load/load", &json!({})).await.status, 200);
    assert_eq!(server.get("/v2/models/city.load/versions/1/ready").await.status, 200);
    assert!(error(&server.get("/v2/models/bare.load/ready").await, 409).contains("train"));

    let question = json!({"inputs": [{"name": "horizon", "shape": [1], "datatype": "INT64", "data": [2]}]});
    server.post("/v2/models/city.load/infer", &question).await;
    let stats = server.get("/v2/models/stats").await.json();
    assert_eq!(stats["model_stats"][0]["inference_stats"]["success"]["count"], 1, "{stats}");
    let one = server.get("/v2/models/city.load-v1/stats").await.json();
    assert_eq!(one["model_stats"][0]["inference_count"], 0);
}

#[tokio::test]
async fn what_is_wrong_is_told_in_the_protocols_shape() {
    let server = with_champion().await;
    let tensor = |name: &str, datatype: &str, data: Value| json!({"inputs": [{"name": name, "shape": [1], "datatype": datatype, "data": data}]});
    let path = "/v2/models/city.load/infer";
    for (body, part) in [
        (tensor("horizon", "INT64", json!([0])), "from 1"),
        (tensor("horizon", "INT64", json!([1, 2])), "shape"),
        (tensor("horizon", "INT64", json!(["x"])), "INT64"),
        (tensor("horizon", "FP16", json!([1])), "FP16"),
        (tensor("horizon", "FP32", json!([1])), "is not INT64"),
        (tensor("horizon", "INT64", json!([i32::MAX])), "horizon"),
        (tensor("series", "BYTES", json!(["other"])), "city.load"),
        (tensor("hours", "INT64", json!([1])), "horizon, quantiles"),
        (tensor("quantiles", "FP64", json!([2.0])), "0.999"),
        (json!({"inputs": [], "outputs": [{"name": "median"}]}), "median"),
        (json!({"inputs": [], "parameters": {"timeout": "soon"}}), "timeout"),
        (json!({"inputs": {}}), "JSON"),
    ] {
        let told = error(&server.post(path, &body).await, 400);
        assert!(told.contains(part), "{body}: {told}");
    }
    for (headers, body, part) in [
        ([("inference-header-content-length", "99999")], "{}", "promises"),
        ([("inference-header-content-length", "x")], "{}", "number"),
        ([("inference-header-content-length", "13")], "{\"inputs\":[]}1", "belong to no input"),
        ([("inference-header-content-length", "0")], "", "one input"),
    ] {
        let told = error(&post_raw(&server, path, &headers, body.into()).await, 400);
        assert!(told.contains(part), "{told}");
    }
    assert!(error(&server.get("/v2/models/city.laod").await, 404).contains("city.load"));
    assert!(error(&server.get("/v2/models/city.load/versions/9").await, 404).contains("city.load-v9"));
    assert!(error(&server.get("/v2/nothing").await, 404).contains("/v2"));
    error(&server.get("/v2/models/city.load/infer").await, 405);
    error(&server.get("/v2/models?x=1").await, 400);
}

#[tokio::test]
async fn patient_questions_wait_for_quieter_times() {
    let server = with_champion().await;
    let question = |priority: u64| {
        let horizon = json!({"name": "horizon", "shape": [1], "datatype": "INT64", "data": [2]});
        json!({"inputs": [horizon], "parameters": {"priority": priority, "timeout": 60_000_000}})
    };
    let path = "/v2/models/city.load/infer";
    assert_eq!(server.post(path, &question(2)).await.status, 200);
    // Of 8; the question itself takes one more.
    let busy: Vec<_> =
        (0..6).map(|_| server.state.admission.try_enter(Class::Interactive).unwrap()).collect();
    assert_eq!(server.post(path, &question(1)).await.status, 200);
    assert!(error(&server.post(path, &question(2)).await, 503).contains("priority 2"));
    drop(busy);
}
