//! MLflow's registry routes: the bytes its clients read, its words for failures, what may not be done.

use super::*;

const BASE: &str = "/api/2.0/mlflow";

/// The error code and the status of a refusal.
fn refusal(reply: &Reply) -> (u16, String) {
    let json = reply.json();
    assert_eq!(json.as_object().unwrap().len(), 2, "{json}");
    assert!(!json["message"].as_str().unwrap().is_empty());
    (reply.status.as_u16(), json["error_code"].as_str().unwrap().to_owned())
}

impl TestServer {
    async fn mlflow(&self, method: &str, path: &str, body: Value) -> Reply {
        let request = Request::builder().method(method).uri(format!("{BASE}/{path}"));
        let request = request.header("content-type", "application/json");
        self.send(request.body(body.to_string().into()).unwrap()).await
    }

    async fn good(&self, method: &str, path: &str, body: Value) -> Value {
        let reply = self.mlflow(method, path, body).await;
        assert_eq!(reply.status, 200, "{}", String::from_utf8_lossy(&reply.body));
        reply.json()
    }
}

/// Two versions: the first is champion.
async fn with_two() -> TestServer {
    let server = with_champion().await;
    let request = TrainRequest {
        model: Some(Family::SeasonalEmpirical),
        backtest_days: Some(7),
        ..TrainRequest::new("city.load".parse().unwrap())
    };
    server.service.train(&request, std::sync::Arc::new(|_, _| ())).await.unwrap();
    let first = forewatt_service::domain::VersionId::from_text("city.load-v1").unwrap();
    server.service.promote(&first, Some("this test begins so")).await.unwrap();
    server
}

#[tokio::test]
async fn models_and_versions_are_found() {
    let server = with_two().await;
    let model = server.good("GET", "registered-models/get?name=city.load", json!({})).await;
    let model = &model["registered_model"];
    assert_eq!(model["name"], "city.load");
    assert_eq!(model["aliases"], json!([{"alias": "champion", "version": "1"}]));
    let stages: Vec<_> = model["latest_versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (&v["version"], &v["current_stage"]))
        .collect();
    assert_eq!(stages, [(&json!("2"), &json!("None")), (&json!("1"), &json!("Production"))]);

    let found =
        "registered-models/search?filter=tag.%60mlflow.prompt.is_prompt%60+%21%3D+%27true%27&max_results=100";
    let all = server.good("GET", found, json!({})).await;
    assert_eq!(
        (all["registered_models"].as_array().unwrap().len(), &all["next_page_token"]),
        (1, &json!(""))
    );
    let none = server.good("GET", "registered-models/search?filter=name+%3D+%27x%27", json!({})).await;
    assert_eq!(none["registered_models"], json!([]));

    let version = server.good("GET", "model-versions/get?name=city.load&version=2", json!({})).await;
    let version = &version["model_version"];
    assert_eq!((&version["status"], &version["source"]), (&json!("READY"), &json!("forewatt:/city.load-v2")));
    let tags = version["tags"].as_array().unwrap();
    assert!(tags.contains(&json!({"key": "forewatt.family", "value": "seasonal-empirical"})), "{tags:?}");
    let uri = server.good("GET", "model-versions/get-download-uri?name=city.load&version=2", json!({})).await;
    assert_eq!(uri["artifact_uri"], "forewatt:/city.load-v2");

    let first = server
        .good("GET", "model-versions/search?filter=name%3D%27city.load%27&max_results=1", json!({}))
        .await;
    assert_eq!(first["model_versions"][0]["version"], "2");
    let token = first["next_page_token"].as_str().unwrap();
    let second = format!("model-versions/search?filter=&max_results=1&page_token={token}");
    let second = server.good("GET", &second, json!({})).await;
    assert_eq!(
        (&second["model_versions"][0]["version"], &second["next_page_token"]),
        (&json!("1"), &json!(""))
    );
    let tagged = "model-versions/search?filter=tags.%60forewatt.family%60+LIKE+%27seasonal-n%25%27";
    assert_eq!(server.good("GET", tagged, json!({})).await["model_versions"][0]["version"], "1");
    let latest = json!({"name": "city.load", "stages": ["Production"]});
    let latest = server.good("POST", "registered-models/get-latest-versions", latest).await;
    assert_eq!(latest["model_versions"][0]["version"], "1");
}

#[tokio::test]
async fn tags_descriptions_and_aliases_are_kept() {
    let server = with_two().await;
    let second = |rest: Value| {
        let mut body = json!({"name": "city.load", "version": "2"});
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        body
    };
    server.good("POST", "model-versions/set-tag", second(json!({"key": "owner", "value": "grid"}))).await;
    server.good("PATCH", "model-versions/update", second(json!({"description": "for summer"}))).await;
    server
        .good("POST", "registered-models/set-tag", json!({"name": "city.load", "key": "a", "value": "b"}))
        .await;
    server.good("POST", "registered-models/alias", second(json!({"alias": "blue"}))).await;
    let found = server.good("GET", "registered-models/alias?name=city.load&alias=blue", json!({})).await;
    let found = &found["model_version"];
    assert_eq!((&found["version"], &found["description"]), (&json!("2"), &json!("for summer")));
    assert_eq!(found["aliases"], json!(["blue"]));
    assert!(found["tags"].as_array().unwrap().contains(&json!({"key": "owner", "value": "grid"})));
    server.good("DELETE", "model-versions/delete-tag", second(json!({"key": "owner"}))).await;
    server.good("DELETE", "registered-models/alias", json!({"name": "city.load", "alias": "blue"})).await;
    let gone = server.mlflow("GET", "registered-models/alias?name=city.load&alias=blue", json!({})).await;
    assert_eq!(refusal(&gone), (404, "RESOURCE_DOES_NOT_EXIST".to_owned()));

    // The champion of MLflow is the one that answers.
    server.good("POST", "registered-models/alias", second(json!({"alias": "champion"}))).await;
    assert_eq!(server.get("/v1/series/city.load/forecast").await.json()["model_version"], "city.load-v2");
    let back = json!({"name": "city.load", "version": "1", "stage": "Production", "archive_existing_versions": false});
    let back = server.good("POST", "model-versions/transition-stage", back).await;
    assert_eq!(back["model_version"]["current_stage"], "Production");
    assert_eq!(server.get("/v1/series/city.load/forecast").await.json()["model_version"], "city.load-v1");
    let archived =
        server.good("POST", "model-versions/transition-stage", second(json!({"stage": "Archived"}))).await;
    assert_eq!(archived["model_version"]["current_stage"], "Archived");
}

#[tokio::test]
async fn what_cannot_be_is_told_in_mlflows_words() {
    let server = with_two().await;
    let named = |rest: Value| {
        let mut body = json!({"name": "city.load"});
        body.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        body
    };
    for (method, path, body, status, code) in [
        ("GET", "registered-models/get?name=nobody", json!({}), 404, "RESOURCE_DOES_NOT_EXIST"),
        ("GET", "registered-models/get?name=%20%2F", json!({}), 404, "RESOURCE_DOES_NOT_EXIST"),
        ("GET", "registered-models/get", json!({}), 400, "INVALID_PARAMETER_VALUE"),
        ("GET", "registered-models/search?filter=size+%3E+3", json!({}), 400, "INVALID_PARAMETER_VALUE"),
        ("GET", "registered-models/search?max_results=0", json!({}), 400, "INVALID_PARAMETER_VALUE"),
        ("GET", "model-versions/search?page_token=x", json!({}), 400, "INVALID_PARAMETER_VALUE"),
        ("GET", "model-versions/get?name=city.load&version=9", json!({}), 404, "RESOURCE_DOES_NOT_EXIST"),
        ("GET", "model-versions/get?name=city.load&version=x", json!({}), 400, "INVALID_PARAMETER_VALUE"),
        ("POST", "registered-models/create", named(json!({})), 400, "RESOURCE_ALREADY_EXISTS"),
        ("POST", "registered-models/create", json!({"name": "new"}), 400, "INVALID_PARAMETER_VALUE"),
        ("POST", "model-versions/create", named(json!({"source": "s3://x"})), 400, "INVALID_PARAMETER_VALUE"),
        ("DELETE", "registered-models/alias", named(json!({"alias": "champion"})), 409, "INVALID_STATE"),
        (
            "POST",
            "registered-models/alias",
            named(json!({"alias": "a/b", "version": "1"})),
            400,
            "INVALID_PARAMETER_VALUE",
        ),
        (
            "POST",
            "model-versions/set-tag",
            named(json!({"version": "9", "key": "a", "value": "b"})),
            404,
            "RESOURCE_DOES_NOT_EXIST",
        ),
        (
            "POST",
            "model-versions/set-tag",
            named(json!({"version": "1", "key": "forewatt.id", "value": "b"})),
            400,
            "INVALID_PARAMETER_VALUE",
        ),
        (
            "POST",
            "model-versions/transition-stage",
            named(json!({"version": "1", "stage": "None"})),
            409,
            "INVALID_STATE",
        ),
        (
            "POST",
            "model-versions/transition-stage",
            named(json!({"version": "1", "stage": "Moon"})),
            400,
            "INVALID_PARAMETER_VALUE",
        ),
        ("POST", "registered-models/set-tag", json!([]), 400, "INVALID_PARAMETER_VALUE"),
        ("GET", "registered-models/nothing", json!({}), 404, "RESOURCE_DOES_NOT_EXIST"),
    ] {
        let reply = server.mlflow(method, path, body).await;
        assert_eq!(refusal(&reply), (status, code.to_owned()), "{method} {path}");
    }
}
