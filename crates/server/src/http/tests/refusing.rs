//! Bad requests: each gets its status, a problem that says how to mend it, and harms nobody.

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use axum::routing::get;
use serde_json::json;

use forewatt_service::admission::Class;

use super::*;
use crate::http::middleware;

#[tokio::test]
async fn bad_paths_and_parameters() {
    let server = with_champion().await;
    let long = "x".repeat(200);
    let table = [
        ("/v1/serie", 404, "/v1/series"),
        ("/nothing/like/it", 404, "/docs"),
        ("/v1/series/city.laod", 404, "did you mean `city.load`"),
        ("/v1/series/nowhere/forecast", 404, "there is no series `nowhere`"),
        ("/v1/series/no%20name", 400, "is not a series name"),
        ("/v1/series/%ff", 400, "UTF-8"),
        (&format!("/v1/series/{long}"), 400, "is not a series name"),
        ("/v1/series?limit=0", 400, "from 1 to"),
        ("/v1/series?limit=99999999999", 400, "from 1 to"),
        ("/v1/series/city.load?verbose=1", 400, "takes no parameters"),
        ("/v1/series/city.load/forecast?horizn=PT1H", 400, "did you mean `horizon`"),
        ("/v1/series/city.load/forecast?horizon=PT1H&horizon=PT2H", 400, "given twice"),
        ("/v1/series/city.load/forecast?horizon=soon", 400, "is not a duration"),
        ("/v1/series/city.load/forecast?horizon=-PT1H", 400, "is not a duration"),
        ("/v1/series/city.load/forecast?horizon=PT90M", 400, "whole number of steps"),
        ("/v1/series/city.load/forecast?horizon=PT0H", 400, "whole number of steps"),
        ("/v1/series/city.load/forecast?horizon=P9999D", 400, "1 to"),
        ("/v1/series/city.load/forecast?horizon=PT100H", 400, "trained for"),
        ("/v1/series/city.load/forecast?quantiles=0.5,0.5", 400, "must rise"),
        ("/v1/series/city.load/forecast?quantiles=0.9,0.1", 400, "must rise"),
        ("/v1/series/city.load/forecast?quantiles=0,1", 400, "between 0.001 and 0.999"),
        ("/v1/series/city.load/forecast?quantiles=NaN", 400, "between 0.001 and 0.999"),
        ("/v1/series/city.load/forecast?quantiles=a,b", 400, "is not a quantile level"),
        ("/v1/series/city.load/forecast?threshold=inf", 400, "finite"),
        ("/v1/series/city.load/forecast?as_of=yesterday", 400, "RFC 3339"),
        ("/v1/series/city.load/forecast?as_of=9999-01-01T00:00:00Z", 400, "1800 to 2300"),
        ("/v1/series/city.load/forecast?forecast_start=2026-03-01T00:30:00Z", 400, "grid"),
        ("/v1/series/city.load/forecast?forecast_start=2027-03-01T00:00:00Z", 400, "after"),
        ("/v1/series/city.load/forecast?version=no%20id", 400, "is not a version id"),
        ("/v1/series/city.load/forecast?version=city.load-v9", 404, "city.load-v1"),
        (
            "/v1/series/city.load/observations?from=2026-02-01T00:00:00Z&to=2026-01-01T00:00:00Z",
            400,
            "reversed",
        ),
        (
            "/v1/series/city.load/observations?from=1801-01-01T00:00:00Z&to=2299-01-01T00:00:00Z",
            413,
            "shorter range",
        ),
        ("/v1/series/city.load/observations?limit=-1", 400, "from 1 to"),
        ("/v1/series/city.load/forecasts?lead=PT1H&as_of=2026-01-01T00:00:00Z", 400, "one of"),
        (
            "/v1/series/city.load/forecasts?forecast_start=2026-01-01T00:00:00Z&from=2026-01-01T00:00:00Z",
            400,
            "does not go with",
        ),
        ("/v1/series/city.load/holidays?from=2026-01-01&to=2025-01-01", 400, "after `from`"),
        ("/v1/series/city.load/holidays?from=1801-01-01&to=2299-01-01", 400, "ask for less"),
        ("/v1/series/city.load/holidays?from=Easter", 400, "neither a date"),
        ("/v1/models/no%20id", 400, "is not a version id"),
        ("/v1/models/city.load-v7", 404, "city.load-v1"),
        ("/v1/models?series=nowhere", 404, "there is no series"),
        ("/v1/jobs/0190-none", 404, "there is no job"),
        ("/v1/jobs/no%20job", 400, "is not the id of a job"),
        ("/openapi.json?x=1", 400, "takes no parameters"),
    ];
    for (path, status, part) in table {
        let detail = server.get(path).await.problem(status);
        assert!(detail.contains(part), "{path}: {detail}");
    }
    let several = server.get("/v1/series/city.load/forecast?horizon=x&quantiles=y&hm=z").await.json();
    assert_eq!(several["errors"].as_array().unwrap().len(), 3, "all faults are named at once");
}

#[tokio::test]
async fn bad_reconciliations() {
    let server = with_champion().await;
    let table = [
        ("/v1/series/city.load/forecast:reconciled", 400, "--parent city.load"),
        ("/v1/series/city.load/forecast:reconciled?method=magic", 400, "mint"),
        ("/v1/series/city.load/forecast:reconciled?metod=mint", 400, "did you mean `method`"),
        ("/v1/series/city.laod/forecast:reconciled", 404, "did you mean `city.load`"),
        ("/v1/series/city.load/forecast:reconcild", 404, "did you mean"),
    ];
    for (path, status, part) in table {
        let detail = server.get(path).await.problem(status);
        assert!(detail.contains(part), "{path}: {detail}");
    }
}

#[tokio::test]
async fn a_series_without_a_model_says_how_to_get_one() {
    let server = empty().await;
    server.put("/v1/series/city.load", &city()).await;
    let detail = server.get("/v1/series/city.load/forecast").await.problem(409);
    assert!(detail.contains("train"), "{detail}");
    server.get("/v1/series/city.load/accuracy").await.problem(409);
    server.get("/v1/series/city.load/quality").await.problem(422);
}

const OBSERVATIONS: &str = "/v1/series/city.load/observations";

/// Method, path, body, the status it deserves and a part of the words that say why.
const BAD_BODIES: &[(&str, &str, &str, u16, &str)] = &[
    ("PUT", "/v1/series/x", "{}", 400, "missing field `kind`"),
    ("PUT", "/v1/series/x", "{", 400, "is not the JSON expected"),
    ("PUT", "/v1/series/x", "", 400, "is empty"),
    (
        "PUT",
        "/v1/series/x",
        r#"{"kind":"x","resolution":"PT7M","time_zone":"Mars/Base","unit":"","location":{"latitude":99,"longitude":0}}"#,
        400,
        "Mars/Base",
    ),
    (
        "PUT",
        "/v1/series/x",
        r#"{"kind":"load","resolution":"PT1H","time_zone":"UTC","colour":"red"}"#,
        400,
        "unknown field `colour`",
    ),
    (
        "PUT",
        "/v1/series/x",
        r#"{"kind":"load","resolution":"PT1H","time_zone":"UTC","name":"y"}"#,
        400,
        "leave it out",
    ),
    (
        "PUT",
        "/v1/series/x",
        r#"{"kind":"load","resolution":"PT1H","time_zone":"UTC","holiday_region":"XX"}"#,
        400,
        "XX",
    ),
    (
        "PUT",
        "/v1/series/city.load",
        r#"{"kind":"load","resolution":"PT15M","time_zone":"UTC"}"#,
        409,
        "resolution",
    ),
    ("POST", OBSERVATIONS, "[]", 400, "observations"),
    ("POST", OBSERVATIONS, "\u{0}\u{1}", 400, "body"),
    (
        "POST",
        OBSERVATIONS,
        r#"{"observations":[{"valid_time":"2026-01-01T00:30:00Z","value":1}]}"#,
        400,
        "observations[0]",
    ),
    (
        "POST",
        OBSERVATIONS,
        r#"{"observations":[{"valid_time":"2026-01-01T00:00:00Z","value":NaN}]}"#,
        400,
        "observations[0]",
    ),
    (
        "POST",
        OBSERVATIONS,
        r#"{"observations":[{"valid_time":"2026-01-01T00:00:00Z","value":1e400}]}"#,
        400,
        "observations[0]",
    ),
    ("POST", "/v1/series/nowhere/observations", r#"{"observations":[]}"#, 404, "there is no series"),
    ("POST", "/v1/train", r#"{"series":"city.load","model":"oracle","quantiles":[0.9,0.1]}"#, 400, "oracle"),
    ("POST", "/v1/train", r#"{"series":"nowhere"}"#, 404, "there is no series"),
    ("POST", "/v1/train", r#"{"series":"city.load","sed":1}"#, 400, "unknown field `sed`"),
    (
        "POST",
        "/v1/forecasts:batch",
        r#"{"requests":[{"series":"city.load","horizn":"PT1H"}]}"#,
        400,
        "unknown field `horizn`",
    ),
    ("POST", "/v1/models/city.load-v1:retire", "{}", 404, ":promote"),
    ("POST", "/v1/models/city.load-v9:promote", "{}", 404, "city.load-v1"),
    ("POST", "/v1/models/city.load-v1:promote", r#"{"reason":"x"}"#, 400, "force"),
];

#[tokio::test]
async fn bad_bodies() {
    let server = with_champion().await;
    for &(method, path, body, status, part) in BAD_BODIES {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let detail = server.send(request.body(body.to_owned().into()).unwrap()).await.problem(status);
        assert!(detail.contains(part), "{method} {path} {body}: {detail}");
    }
    let many: Vec<_> = (0..1_100).map(|_| json!({"series": "city.load"})).collect();
    let detail = server.post("/v1/forecasts:batch", &json!({"requests": many})).await.problem(413);
    assert!(detail.contains("split it"), "{detail}");
}

#[tokio::test]
async fn bad_encodings_sizes_and_kinds() {
    let server = empty().await;
    server.put("/v1/series/city.load", &city()).await;
    let path = "/v1/series/city.load/observations";
    let send = |kind: &'static str, encoding: &'static str, body: Vec<u8>| {
        let request = Request::post(path).header("content-type", kind).header("content-encoding", encoding);
        server.send(request.body(body.into()).unwrap())
    };
    send("text/plain", "identity", b"x".to_vec()).await.problem(415);
    send("", "identity", b"x".to_vec()).await.problem(415);
    send("application/json", "br", b"x".to_vec()).await.problem(415);
    send("application/json", "gzip", b"not gzip".to_vec()).await.problem(400);
    send("application/json", "identity", vec![b' '; BODY_MAX_BYTES + 1]).await.problem(413);
    send("text/csv", "identity", vec![0xff; 100]).await.problem(400);
    send("text/csv", "identity", b"PK\x03\x04 a workbook".to_vec()).await.problem(400);
    send("text/csv", "identity", Vec::new()).await.problem(400);

    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::Write::write_all(&mut packer, &vec![b' '; 8 << 20]).unwrap();
    let bomb = packer.finish().unwrap();
    assert!(bomb.len() < BODY_MAX_BYTES);
    send("application/json", "gzip", bomb.clone()).await.problem(413);
    send("text/csv", "identity", bomb).await.problem(413);

    let announced =
        Request::post(path).header("content-type", "application/json").header("content-length", "2147483648");
    let reply = server.send(announced.body(Body::empty()).unwrap()).await;
    assert!(reply.problem(413).contains(&BODY_MAX_BYTES.to_string()));
    assert_eq!(reply.header("connection"), "close");

    // A naive time without its zone is refused in this API's words.
    let naive = b"valid_time,value\n2026-01-01 00:00,1\n2026-01-01 01:00,2\n".to_vec();
    let detail = send("text/csv", "identity", naive).await.problem(400);
    assert!(detail.contains("time_zone") && !detail.contains("--"), "{detail}");
    let detail = server
        .send(
            Request::post(format!("{path}?labels=middle&delimiter=xx&value_column=x"))
                .header("content-type", "text/csv")
                .body(Body::empty())
                .unwrap(),
        )
        .await
        .problem(400);
    assert!(
        detail.contains("start or end") && detail.contains("did you mean `value`")
            || detail.contains("known are"),
        "{detail}"
    );
}

#[tokio::test]
async fn wrong_methods_hosts_and_origins() {
    let server = empty().await;
    let ask = |method: &str, headers: &[(&str, &str)]| {
        let mut request = Request::builder().method(method).uri("/v1/series/x");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(Body::from(city().to_string())).unwrap()
    };
    let wrong = server.send(ask("DELETE", &[])).await;
    assert!(wrong.problem(405).contains("DELETE"));
    assert!(wrong.header("allow").contains("PUT"), "{}", wrong.header("allow"));

    for host in ["evil.example", "evil.example:8080", "127.0.0.1.nip.io", "192.168.0.7"] {
        let detail = server.send(ask("GET", &[("host", host)])).await.problem(421);
        assert!(detail.contains("localhost"), "{detail}");
    }
    for host in ["localhost:8080", "127.0.0.1", "[::1]:8080"] {
        server.send(ask("GET", &[("host", host)])).await.problem(404);
    }
    let json = ("content-type", "application/json");
    for headers in [
        [json, ("sec-fetch-site", "cross-site")],
        [json, ("sec-fetch-site", "same-site")],
        [json, ("origin", "https://evil.example")],
        [json, ("origin", "null")],
    ] {
        server.send(ask("PUT", &headers)).await.problem(403);
    }
    let own = [
        json,
        ("host", "localhost:8080"),
        ("origin", "http://localhost:8080"),
        ("sec-fetch-site", "same-origin"),
    ];
    assert_eq!(server.send(ask("PUT", &own)).await.status, 201);
}

#[tokio::test]
async fn panics_and_slow_requests_are_answered() {
    let server = empty_with(HttpOptions { request_timeout: Duration::from_millis(1), ..options() }).await;
    let broken = Router::new()
        .route(
            "/panic",
            get(|| async {
                if true {
                    panic!("as this test wants")
                }
            }),
        )
        .route("/slow", get(std::future::pending::<()>))
        .layer(axum::middleware::from_fn_with_state(server.state.clone(), middleware::gate));
    let ask = |path: &str| Request::get(path).header("x-request-id", "mine-1").body(Body::empty()).unwrap();
    let panicked = send(&broken, ask("/panic")).await;
    assert!(panicked.problem(500).contains("request id"));
    assert_eq!(panicked.json()["request_id"], "mine-1");
    assert_eq!(panicked.header("x-request-id"), "mine-1");
    assert!(send(&broken, ask("/slow")).await.problem(504).contains("1 ms"));
}

#[tokio::test]
async fn a_full_server_says_so_and_still_answers_probes() {
    let server = empty_with(HttpOptions { concurrency_max: 1, ..options() }).await;
    let busy = server.state.admission.try_enter(Class::Interactive).unwrap();
    let refused = server.get("/v1/series").await;
    assert!(refused.problem(503).contains("try again"));
    assert_eq!(refused.header("retry-after"), "1");
    assert_eq!(server.get("/health/ready").await.status, 200);
    drop(busy);
    assert_eq!(server.get("/v1/series").await.status, 200);
}

#[tokio::test]
async fn every_answer_carries_its_headers() {
    let server = empty().await;
    for path in ["/", "/v1/series", "/nothing", "/metrics"] {
        let reply = server.get(path).await;
        for (name, part) in [
            ("content-security-policy", "frame-ancestors 'none'"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert!(reply.header(name).contains(part), "{path}: {name}");
        }
        assert!(!reply.header("x-request-id").is_empty());
        assert_eq!(reply.header("access-control-allow-origin"), "");
    }
}
