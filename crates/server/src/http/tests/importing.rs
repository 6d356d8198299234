//! Models of other libraries, brought in over HTTP.

use super::*;

const PATH: &str = "/v1/series/city.load/models:import";

/// A linear model of XGBoost's: so many times a feature.
fn linear(feature: &str, weight: f64, more: &Value) -> Value {
    let model = json!({"learner": {
        "feature_names": [feature],
        "objective": {"name": "reg:squarederror"},
        "learner_model_param": {"num_class": "0", "num_feature": "1", "base_score": "0"},
        "gradient_booster": {"name": "gblinear", "model": {"weights": [weight, 0.0]}},
    }});
    let mut body = json!({"files": [{"text": model.to_string()}], "covariates": []});
    let fields = body.as_object_mut().unwrap();
    more.as_object().unwrap().iter().for_each(|(key, value)| {
        fields.insert(key.clone(), value.clone());
    });
    body
}

#[tokio::test]
async fn a_model_is_judged_promoted_served_and_told_of() {
    let server = with_champion().await;
    let known = json!({"trained_to": "2026-02-01T00:00:00Z", "backtest_days": 14});
    let reply = server.post(PATH, &linear("lag_week_1", 1.0, &known)).await;
    assert_eq!(reply.status, 201, "{}", String::from_utf8_lossy(&reply.body));
    let report = reply.json();
    serde_json::from_value::<crate::http::schema::TrainReportDocument>(report.clone()).unwrap();
    let version = &report["version"];
    assert_eq!((&version["id"], &version["recipe"]["family"]), (&json!("city.load-v2"), &json!("imported")));
    assert_eq!(version["trained_to"], "2026-02-01T00:00:00Z");
    // It repeats last week, as the naive does: equally good, so the champion stays.
    let score = |name: &str| version["metrics"][name].as_f64().unwrap();
    assert!((score("mae") - score("seasonal-naive/mae")).abs() < 0.01 * score("mae"), "{version}");
    assert!(score("coverage_80") > 0.6, "{version}");
    let forced = json!({"force": true, "reason": "to see it answer"});
    assert_eq!(server.post("/v1/models/city.load-v2:promote", &forced).await.status, 200);
    let forecast =
        server.get("/v1/series/city.load/forecast?horizon=PT24H&quantiles=0.1,0.5,0.9").await.json();
    assert_eq!(forecast["model_version"], "city.load-v2");
    let explained = server.get("/v1/series/city.load/forecast:explain?horizon=PT24H").await;
    assert_eq!(explained.status, 200, "{}", String::from_utf8_lossy(&explained.body));
    assert_eq!(explained.json()["model_version"], "city.load-v2");
    // Another file is another recipe, and judged against the imported champion by what that answers.
    let better = server.post(PATH, &linear("same_time_mean_4w", 1.0, &known)).await.json();
    assert_ne!(better["version"]["recipe_id"], version["recipe_id"]);
    assert!(
        better["promotion"].as_str().unwrap().contains("of `city.load-v2` on the same backtest"),
        "{better}"
    );
    let trained = server.post("/v1/train", &json!({"series": "city.load", "model": "imported"})).await;
    assert!(trained.problem(400).contains("models:import"));
}

#[tokio::test]
async fn a_model_of_unknown_age_has_no_score() {
    let server = with_champion().await;
    let report =
        server.post(PATH, &linear("theirs", 1.0, &json!({"rename": {"theirs": "lag_day_1"}}))).await.json();
    assert_eq!(report["version"]["metrics"], json!({}));
    assert!(report["version"]["notes"][0].as_str().unwrap().contains("trained_to"), "{report}");
    assert!(!report["promoted"].as_bool().unwrap());
    let refused = server.post("/v1/models/city.load-v2:promote", &json!({})).await.problem(409);
    assert!(refused.contains("no backtest to be judged by"), "{refused}");
}

#[tokio::test]
async fn models_that_cannot_be_are_refused_with_the_mend() {
    let server = with_champion().await;
    let files = |text: &str| json!({"files": [{"text": text}]});
    for (body, status, mend) in [
        (linear("lag_wek_1", 1.0, &json!({})), 400, "did you mean `lag_week_1`?"),
        (linear("lag_week_1", 1.0, &json!({"rename": {"x": "y"}})), 400, "no file has a feature `x`"),
        (
            linear("lag_week_1", 1.0, &json!({"trained_to": "soon", "quantiles": [0.9, 0.1]})),
            400,
            "body.trained_to",
        ),
        (
            linear("lag_week_1", 1.0, &json!({"trained_to": "2020-01-01T00:00:00Z"})),
            400,
            "before the first value",
        ),
        (linear("lag_week_1", 1.0, &json!({"covariates": [{"series": "city.laod"}]})), 404, "city.load"),
        (linear("lag_week_1", 1.0, &json!({"quantiles": [0.7, 0.9]})), 400, "both sides of 0.5"),
        (linear("lag_week_1", 1.0, &json!({"layout": {}})), 400, "missing field `series`"),
        (files("tree\nversion=v4\n"), 400, "body.files[0].text: line 1"),
        (files("pickle"), 400, "save_model"),
        (json!({"files": []}), 400, "0 files"),
        (files(&"x".repeat(BODY_MAX_BYTES)), 413, "larger than the limit"),
    ] {
        let detail = server.post(PATH, &body).await.problem(status);
        assert!(detail.contains(mend), "{mend}: {detail}");
    }
    server
        .post("/v1/series/city.laod/models:import", &linear("lag_week_1", 1.0, &json!({})))
        .await
        .problem(404);
}
