//! What writing routes do.

use std::io::Write as _;

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use super::*;

fn csv(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path).header("content-type", "text/csv; charset=utf-8").body(body.into()).unwrap()
}

#[tokio::test]
async fn a_series_is_created_then_changed() {
    let server = empty().await;
    let created = server.put("/v1/series/city.load", &city()).await;
    assert_eq!(created.status, 201);
    assert_eq!(created.json()["state"]["observations"], 0);
    let mut changed = city();
    changed["unit"] = json!("kW");
    changed["location"] = json!({"latitude": 40.4, "longitude": -3.7});
    let reply = server.put("/v1/series/city.load", &changed).await;
    assert_eq!(reply.status, 200);
    assert_eq!((&reply.json()["unit"], &reply.json()["location"]["latitude"]), (&json!("kW"), &json!(40.4)));
}

#[tokio::test]
async fn observations_come_as_json_and_change_nothing_twice() {
    let server = empty().await;
    server.put("/v1/series/city.load", &city()).await;
    let path = "/v1/series/city.load/observations";
    let body = json!({"observations": [
        {"valid_time": "2026-01-01T00:00:00Z", "value": 1.5},
        {"valid_time": "2026-01-01T01:00:00+00:00", "value": 2, "available_at": "2026-01-01T03:00:00Z"},
    ]});
    let first = server.post(path, &body).await.json();
    assert_eq!(
        (&first["rows_read"], &first["stored"], &first["unchanged"]),
        (&json!(2), &json!(2), &json!(0))
    );
    let second = server.post(path, &body).await.json();
    assert_eq!((&second["stored"], &second["unchanged"]), (&json!(0), &json!(2)));
    let other = json!({"observations": [{"valid_time": "2026-01-01T00:00:00Z", "value": 9}]});
    let report = server.post(path, &other).await.json();
    assert_eq!(report["rejected"]["conflicts_with_stored"]["count"], 1);

    let read =
        |as_of: &str| format!("{path}?from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&as_of={as_of}");
    assert_eq!(
        server.get(&read("2026-01-01T02:30:00Z")).await.json()["observations"].as_array().unwrap().len(),
        1
    );
    assert_eq!(
        server.get(&read("2026-01-01T03:00:00Z")).await.json()["observations"].as_array().unwrap().len(),
        2
    );
}

#[tokio::test]
async fn observations_come_as_csv_plain_and_packed() {
    let server = empty().await;
    server.put("/v1/series/city.load", &city()).await;
    let text =
        "time;mw\n01/02/2026 00:00;1,5\n01/02/2026 01:00;2,5\n13/02/2026 02:00;NA\n01/02/2026 02:00;3,5\n";
    let path = "/v1/series/city.load/observations?time=time&value=mw&time_zone=Europe/Madrid&decimal=comma&delimiter=;&time_format=%25d/%25m/%25Y%20%25H:%25M";
    let dry = server.send(csv(&format!("{path}&dry_run=true"), text)).await;
    assert_eq!(dry.status, 200, "{}", String::from_utf8_lossy(&dry.body));
    assert_eq!((&dry.json()["stored"], &dry.json()["dry_run"]), (&json!(0), &json!(true)));

    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(text.as_bytes()).unwrap();
    let mut request = csv(path, packer.finish().unwrap());
    request.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
    let report = server.send(request).await.json();
    assert_eq!((&report["stored"], &report["series"][0]["missing"]["count"]), (&json!(3), &json!(1)));
    let read = server
        .get("/v1/series/city.load/observations?from=2026-01-31T00:00:00Z&to=2026-02-02T00:00:00Z")
        .await
        .json();
    assert_eq!(read["observations"][0]["valid_time"], "2026-01-31T23:00:00Z");
    assert_eq!(read["observations"][0]["value"], 1.5);
}

#[tokio::test]
async fn training_is_a_job_that_can_be_followed() {
    let server = with_champion().await;
    let body =
        json!({"series": "city.load", "model": "seasonal-naive", "backtest_days": 7, "promote": false});
    let accepted = server.post("/v1/train", &body).await;
    assert_eq!(accepted.status, 202, "{}", String::from_utf8_lossy(&accepted.body));
    let location = accepted.header("location").to_owned();
    assert_eq!(location, format!("/v1/jobs/{}", accepted.json()["id"].as_str().unwrap()));
    let job = loop {
        let job = server.get(&location).await.json();
        if job["state"] != "queued" && job["state"] != "running" {
            break job;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((&job["state"], &job["progress"]), (&json!("succeeded"), &json!(1.0)), "{job}");
    assert_eq!(job["result"]["version"]["id"], "city.load-v2");
    assert_eq!(server.get("/v1/jobs?limit=1").await.json()["jobs"][0]["id"], job["id"]);

    // Equal scores are not better; a forced promotion needs a reason.
    let detail = server.post("/v1/models/city.load-v2:promote", &json!({})).await.problem(409);
    assert!(detail.contains("\"force\": true"), "{detail}");
    server.post("/v1/models/city.load-v2:promote", &json!({"force": true})).await.problem(400);
    let forced = json!({"force": true, "reason": "to see that it works"});
    let promoted = server.post("/v1/models/city.load-v2:promote", &forced).await;
    assert_eq!(promoted.json()["champion"], "city.load-v2");
    let forecast = server.get("/v1/series/city.load/forecast").await.json();
    assert_eq!(forecast["model_version"], "city.load-v2");
}

#[tokio::test]
async fn a_model_of_whole_days_answers_from_its_midnight() {
    let server = with_champion().await;
    let body = json!({"series": "city.load", "model": "lear", "horizon": "PT24H", "backtest_days": 5, "promote": false});
    let accepted = server.post("/v1/train", &body).await;
    let location = accepted.header("location").to_owned();
    let job = loop {
        let job = server.get(&location).await.json();
        if job["state"] != "queued" && job["state"] != "running" {
            break job;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(job["state"], "succeeded", "{job}");
    let model = server.get("/v1/models/city.load-v2").await.json();
    assert_eq!((&model["recipe"]["daily"], &model["recipe"]["horizon"]["steps"]), (&json!(true), &json!(24)));
    let asked = "/v1/series/city.load/forecast?version=city.load-v2";
    let forecast = server.get(&format!("{asked}&forecast_start=2026-03-01T18:00:00Z")).await.json();
    assert_eq!(forecast["forecast_start"], "2026-03-01T18:00:00Z", "{forecast}");
    assert_eq!(forecast["data_watermark"], "2026-02-28T23:00:00Z", "midnight in Madrid");
    assert_eq!(forecast["points"].as_array().unwrap().len(), 24);
    assert!(server.get(&format!("{asked}&horizon=PT25H")).await.problem(400).contains("24 steps"));

    let hurried = json!({"series": "city.load", "model": "lear", "budget": "5m"});
    assert!(server.post("/v1/train", &hurried).await.problem(400).contains("`auto`"));
    let vague = json!({"series": "city.load", "model": "auto", "budget": "soon"});
    assert!(server.post("/v1/train", &vague).await.problem(400).contains("soon"));
}

#[tokio::test]
async fn a_batch_answers_each_question_on_its_own() {
    let server = with_champion().await;
    let body = json!({"requests": [
        {"series": "city.load", "horizon": "PT3H", "quantiles": [0.5]},
        {"series": "city.laod"},
        {"series": "city.load", "horizon": "PT999H"},
        {"series": "not a name"},
        {"series": "city.load", "horizon": "PT3H", "quantiles": [0.5]},
    ]});
    let results = server.post("/v1/forecasts:batch", &body).await.json();
    let results = results["results"].as_array().unwrap();
    assert_eq!(results[0]["forecast"]["points"].as_array().unwrap().len(), 3);
    assert_eq!(results[1]["problem"]["status"], 404);
    assert!(results[1]["problem"]["detail"].as_str().unwrap().contains("city.load"));
    assert_eq!(results[2]["problem"]["status"], 400);
    assert_eq!(results[3]["problem"]["status"], 400);
    assert_eq!(results[4], results[0]);
    let single = server.get("/v1/series/city.load/forecast?horizon=PT3H&quantiles=0.5").await.json();
    assert_eq!(results[0]["forecast"], single);
}
