//! What reading routes answer, and how clients keep it.

use axum::body::Body;
use axum::http::Request;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::*;
use crate::http::schema;

/// Reads an answer through its published description, unknown fields refused.
pub(super) fn described<T: DeserializeOwned>(reply: &Reply) -> T {
    let text = String::from_utf8_lossy(&reply.body);
    assert_eq!(reply.status, 200, "{text}");
    assert_eq!(reply.header("content-type"), "application/json");
    serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{error} in {text}"))
}

#[tokio::test]
async fn every_document_is_as_described() {
    let server = with_champion().await;
    described::<schema::SeriesPage>(&server.get("/v1/series").await);
    described::<schema::SeriesDocument>(&server.get("/v1/series/city.load").await);
    described::<schema::ObservationsDocument>(&server.get("/v1/series/city.load/observations").await);
    described::<schema::QualityDocument>(&server.get("/v1/series/city.load/quality").await);
    described::<schema::ForecastDocument>(&server.get("/v1/series/city.load/forecast").await);
    described::<schema::IssuedDocument>(&server.get("/v1/series/city.load/forecasts").await);
    described::<schema::ModelsDocument>(&server.get("/v1/models?series=city.load&limit=5").await);
    described::<schema::ModelDocument>(&server.get("/v1/models/city.load-v1").await);
    described::<schema::JobsDocument>(&server.get("/v1/jobs").await);
    let batch = json!({"requests": [{"series": "city.load"}, {"series": "nowhere"}]});
    described::<schema::BatchDocument>(&server.post("/v1/forecasts:batch", &batch).await);
    assert_eq!(server.get("/health/live").await.json(), json!({"status": "live"}));
    assert_eq!(server.get("/health/ready").await.json(), json!({"status": "ready"}));
}

#[tokio::test]
async fn a_forecast_is_what_was_asked() {
    let server = with_champion().await;
    let path = "/v1/series/city.load/forecast?horizon=PT24H&quantiles=0.1,0.5,0.9&threshold=120";
    let forecast = server.get(path).await.json();
    assert_eq!(forecast["forecast_start"], NOW);
    assert_eq!(forecast["model_version"], "city.load-v1");
    assert_eq!(forecast["unit"], "MW");
    let points = forecast["points"].as_array().unwrap();
    assert_eq!(points.len(), 24);
    for point in points {
        let q = |level: &str| point["quantiles"][level].as_f64().unwrap();
        assert!(q("0.1") <= q("0.5") && q("0.5") <= q("0.9"));
        assert!((0.0..=1.0).contains(&point["probability_above"].as_f64().unwrap()));
    }
    let default = server.get("/v1/series/city.load/forecast").await.json();
    assert_eq!(default["points"].as_array().unwrap().len(), 48);
    assert!(default["points"][0].get("probability_above").is_none());

    let earlier = "/v1/series/city.load/forecast?horizon=24h&forecast_start=2026-02-25T00:00:00%2B00:00&as_of=2026-02-25T00:00:00Z";
    assert_eq!(server.get(earlier).await.json()["forecast_start"], "2026-02-25T00:00:00Z");
}

#[tokio::test]
async fn issued_forecasts_can_be_read_back() {
    let server = with_champion().await;
    let now = server.get("/v1/series/city.load/forecast").await.json();
    for query in [
        "forecast_start=2026-03-02T00:00:00Z",
        "as_of=2026-03-02T00:00:00Z&from=2026-03-02T00:00:00Z",
        "lead=PT0S",
    ] {
        let issued = server.get(&format!("/v1/series/city.load/forecasts?{query}")).await.json();
        let points = issued["points"].as_array().unwrap();
        assert_eq!(points.len(), 48, "{query}");
        assert_eq!(points[5]["mean"], now["points"][5]["mean"]);
        assert_eq!(points[5]["quantiles"]["0.5"], now["points"][5]["quantiles"]["0.5"]);
    }
    let day_ahead = server.get("/v1/series/city.load/forecasts?lead=24h").await.json();
    assert_eq!(day_ahead["points"].as_array().unwrap().len(), 24);
}

#[tokio::test]
async fn a_held_forecast_is_not_sent_again() {
    let server = with_champion().await;
    let path = "/v1/series/city.load/forecast";
    let first = server.get(path).await;
    let etag = first.header("etag").to_owned();
    assert!(etag.starts_with('"') && etag.len() > 10, "{etag}");
    assert_eq!(first.header("cache-control"), "no-cache");
    assert_eq!(first.header("surrogate-key"), "series-city.load version-city.load-v1");
    assert_eq!(server.get(path).await.body, first.body, "cached and computed answers are the same bytes");

    let ask = |tag: String| Request::get(path).header("if-none-match", tag).body(Body::empty()).unwrap();
    for tag in [etag.clone(), format!("W/{etag}, \"x\""), "*".to_owned()] {
        let held = server.send(ask(tag)).await;
        assert_eq!((held.status.as_u16(), held.body.len(), held.header("etag")), (304, 0, etag.as_str()));
    }
    assert_eq!(server.send(ask("\"other\"".to_owned())).await.status, 200);

    // Another revision of the data is another answer.
    let body = json!({"observations": [{"valid_time": "2026-02-23T12:00:00Z", "value": 500, "available_at": "2026-03-01T00:00:00Z"}]});
    assert_eq!(server.post("/v1/series/city.load/observations", &body).await.json()["stored"], 1);
    assert_eq!(server.send(ask(etag)).await.status, 200);
}

#[tokio::test]
async fn large_answers_are_packed_under_a_tag_of_their_own() {
    let server = with_champion().await;
    let path = "/v1/series/city.load/forecast";
    let plain = server.get(path).await;
    let ask = |name: &'static str, value: &str| {
        let request = Request::get(path).header("accept-encoding", "gzip").header(name, value);
        request.body(Body::empty()).unwrap()
    };
    let packed = server.send(ask("accept", "*/*")).await;
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.header("vary").to_lowercase().contains("accept-encoding"));
    assert!(packed.body.len() < plain.body.len() / 2);
    let tag = packed.header("etag").to_owned();
    assert_eq!(tag, format!("{}-gzip\"", plain.header("etag").trim_end_matches('"')));
    assert_eq!(server.send(ask("if-none-match", &tag)).await.status, 304);
    let small = Request::get("/health/live").header("accept-encoding", "gzip").body(Body::empty()).unwrap();
    assert_eq!(server.send(small).await.header("content-encoding"), "");
}

#[tokio::test]
async fn lists_and_observations_come_in_pages() {
    let server = with_champion().await;
    for name in ["a", "b", "c"] {
        assert_eq!(server.put(&format!("/v1/series/{name}"), &city()).await.status, 201);
    }
    let mut names = Vec::new();
    let mut path = "/v1/series?limit=3".to_owned();
    loop {
        let page = server.get(&path).await.json();
        names.extend(
            page["series"].as_array().unwrap().iter().map(|s| s["name"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/series?limit=3&after={next}");
    }
    assert_eq!(names, ["a", "b", "c", "city.load"]);

    let range = "to=2026-03-02T00:00:00Z&limit=20";
    let first = server
        .get(&format!("/v1/series/city.load/observations?from=2026-03-01T00:00:00Z&{range}"))
        .await
        .json();
    assert_eq!(first["observations"].as_array().unwrap().len(), 20);
    assert_eq!(first["next"], "2026-03-01T20:00:00Z");
    let rest = server
        .get(&format!("/v1/series/city.load/observations?from=2026-03-01T20:00:00Z&{range}"))
        .await
        .json();
    assert_eq!(rest["observations"].as_array().unwrap().len(), 4);
    assert!(rest.get("next").is_none());
}

#[tokio::test]
async fn accuracy_sets_the_champion_beside_the_baselines() {
    let server = with_champion().await;
    let table = server.get("/v1/series/city.load/accuracy").await.json();
    let rows = table["rows"].as_array().unwrap();
    assert_eq!(rows[0]["champion"], true);
    assert_eq!(rows[0]["model"], "seasonal-naive");
    assert!(rows.iter().any(|row| row["model"] == "seasonal-empirical" && row["champion"] == false));
    for row in rows {
        assert!(row["metrics"]["pinball"].as_f64().unwrap() > 0.0);
        assert!(row["metrics"].get("backtest_from").is_none());
    }
    assert!(table["from"].as_str().unwrap() < table["to"].as_str().unwrap());
}

#[tokio::test]
async fn holidays_are_local_days() {
    let server = empty().await;
    assert_eq!(server.put("/v1/series/city.load", &city()).await.status, 201);
    let year = server.get("/v1/series/city.load/holidays?from=2026-01-01&to=2027-01-01").await.json();
    let days = year["days"].as_array().unwrap();
    let christmas = days.iter().find(|day| day["date"] == "2026-12-25").unwrap();
    assert_eq!(christmas["kind"], "holiday");
    assert_eq!(christmas["start"], "2026-12-24T23:00:00Z");
    assert_eq!(christmas["end"], "2026-12-25T23:00:00Z");
    assert_eq!(year["region"], "ES");

    let mut nowhere = city();
    nowhere.as_object_mut().unwrap().remove("holiday_region");
    assert_eq!(server.put("/v1/series/plain", &nowhere).await.status, 201);
    assert_eq!(server.get("/v1/series/plain/holidays").await.json()["days"], json!([]));
}

#[tokio::test]
async fn the_page_and_its_scripts_are_served_and_kept() {
    let server = empty().await;
    for (path, kind) in [
        ("/", "text/html"),
        ("/docs", "text/html"),
        ("/assets/app.js", "text/javascript"),
        ("/assets/style.css", "text/css"),
    ] {
        let reply = server.get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        assert!(reply.header("content-type").starts_with(kind), "{path}");
        assert!(reply.header("content-security-policy").contains("script-src 'self'"), "{path}");
        assert!(!reply.header("content-security-policy").contains("unsafe"), "{path}");
        let again =
            Request::get(path).header("if-none-match", reply.header("etag")).body(Body::empty()).unwrap();
        assert_eq!(server.send(again).await.status, 304, "{path}");
    }
    let gzip = Request::get("/assets/plotly.min.js")
        .header("accept-encoding", "gzip, br")
        .body(Body::empty())
        .unwrap();
    let packed = server.send(gzip).await;
    assert_eq!((packed.status.as_u16(), packed.header("content-encoding")), (200, "gzip"));
    assert!(packed.header("cache-control").contains("max-age="));
    assert!(server.get("/assets/plotly.min.js").await.body.len() > packed.body.len() * 2);

    let hidden = empty_with(HttpOptions { dashboard: false, ..options() }).await;
    hidden.get("/").await.problem(404);
    assert_eq!(hidden.get("/health/live").await.status, 200);
}
