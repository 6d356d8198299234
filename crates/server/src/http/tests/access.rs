//! Who may come in: keys that do not open, missing rights, other people's series, and what is written about it.

use axum::body::Body;
use axum::http::{Method, Request};
use forewatt_service::AuditEntry;
use forewatt_service::access::{FORBIDDEN, MadeKey, NewKey};
use forewatt_service::domain::{Reach, Scope};
use serde_json::{Value, json};

use super::*;
use crate::http::rights;

/// Options of a server that wants a key from everybody.
pub(crate) fn closed() -> HttpOptions {
    let mut options = options();
    options.auth.required = true;
    // So that a test sees a revocation by another process at once.
    options.auth.keys_ttl_ms = 1;
    options
}

/// A key with these scopes for these series.
pub(crate) async fn key(server: &TestServer, scopes: &[Scope], pattern: &str) -> MadeKey {
    let series = Reach::try_from(vec![pattern.to_owned()]).unwrap();
    let new = NewKey { name: "tester".to_owned(), scopes: scopes.to_vec(), series, days: Some(1) };
    server.service.create_key(&new, "a test").await.unwrap()
}

fn asked(method: &str, path: &str, key: &str, body: Option<&Value>) -> Request<Body> {
    let request =
        Request::builder().method(method).uri(path).header("authorization", format!("Bearer {key}"));
    match body {
        Some(body) => {
            request.header("content-type", "application/json").body(body.to_string().into()).unwrap()
        }
        None => request.body(Body::empty()).unwrap(),
    }
}

async fn get(server: &TestServer, path: &str, key: &str) -> Reply {
    server.send(asked("GET", path, key, None)).await
}

/// A refusal without the two fields that differ from request to request.
pub(super) fn plain(reply: &Reply) -> Value {
    let mut problem = reply.json();
    problem.as_object_mut().unwrap().retain(|name, _| name != "instance" && name != "request_id");
    problem
}

async fn audit(server: &TestServer) -> Vec<AuditEntry> {
    server.service.list_audit(None, None).await.unwrap()
}

#[tokio::test]
async fn every_key_that_does_not_open_gets_the_same_answer() {
    let server = with_champion_and(closed()).await;
    let good = key(&server, &[Scope::Read], "*").await;
    assert_eq!(get(&server, "/v1/series", &good.key).await.status, 200);
    let revoked = key(&server, &[Scope::Admin], "*").await;
    server.service.revoke_key(&revoked.record.id, "a test").await.unwrap();
    let ended = key(&server, &[Scope::Admin], "*").await;
    // With no hours of overlap the old key ends now.
    server.service.rotate_key(&ended.record.id, 0, None, "a test").await.unwrap();
    let last = if good.key.ends_with('0') { '1' } else { '0' };
    let wrong = format!("{}{last}", &good.key[..good.key.len() - 1]);
    let unknown = format!("fw_000000000000_{}", "0".repeat(64));
    let without = server.get("/v1/series").await;
    without.problem(401);
    assert!(without.header("www-authenticate").starts_with("Bearer"));
    for (bad, why) in [
        (wrong.as_str(), "wrong key"),
        (unknown.as_str(), "unknown key"),
        (revoked.key.as_str(), "revoked key"),
        (ended.key.as_str(), "expired key"),
        ("fw_short", "not a key"),
        (&good.key.to_uppercase(), "not a key"),
        ("eyJhbGciOiJub25lIn0.e30.", "not a key"),
    ] {
        let reply = get(&server, "/v1/series", bad).await;
        assert_eq!((reply.status.as_u16(), plain(&reply)), (401, plain(&without)), "{why}");
        let line = audit(&server).await.remove(0);
        assert_eq!(line.outcome, format!("refused: {why}"));
        assert_eq!((line.action.as_str(), line.count), ("GET /v1/series", 1));
        assert!(
            !serde_json::to_string(&line).unwrap().contains(&bad[bad.len().min(20)..]) || bad.len() <= 20
        );
    }
    let mut twice = asked("GET", "/v1/series", &good.key, None);
    twice.headers_mut().append("authorization", "Bearer x".parse().unwrap());
    assert_eq!(server.send(twice).await.status, 401, "which of two keys counts is not guessed");
}

#[tokio::test]
async fn two_keys_open_while_one_takes_the_others_place() {
    let server = empty_with(closed()).await;
    let old = key(&server, &[Scope::Read], "*").await;
    let new = server.service.rotate_key(&old.record.id, 24, None, "a test").await.unwrap();
    for made in [&old, &new] {
        assert_eq!(get(&server, "/v1/series", &made.key).await.status, 200);
    }
    assert_ne!(old.key, new.key);
    assert!(server.service.rotate_key(&old.record.id, 24, None, "a test").await.is_err(), "once only");
    let kept = serde_json::to_string(&server.service.list_keys().await.unwrap()).unwrap();
    for made in [&old, &new] {
        assert!(!kept.contains(&made.key[16..]), "lists show neither keys nor their digests");
        assert!(!kept.contains(&made.record.sha256) && kept.contains(&made.record.id));
    }
}

#[tokio::test]
async fn every_route_needs_its_scope() {
    let server = with_champion_and(closed()).await;
    let api = server.get("/openapi.json").await.json();
    let keys = [
        key(&server, &[Scope::Read], "*").await,
        key(&server, &[Scope::Write], "*").await,
        key(&server, &[Scope::Train], "*").await,
    ];
    for (path, operations) in api["paths"].as_object().unwrap() {
        for method in ["get", "put", "post"].into_iter().filter(|method| operations.get(*method).is_some()) {
            let upper: Method = method.to_uppercase().parse().unwrap();
            let target = path.replace("{name}", "city.load").replace("{id}", "city.load-v1");
            let target = target.replace("{model}", "city.load").replace("{version}", "1");
            // axum's own name of the route of `:promote` and `:optimize`.
            let route = if path.starts_with("/v1/models/{id}") { "/v1/models/{id}" } else { path };
            let needed = rights::needed(&upper, route);
            let without = server
                .send(
                    Request::builder()
                        .method(method.to_uppercase().as_str())
                        .uri(&target)
                        .body(Body::empty())
                        .unwrap(),
                )
                .await;
            assert_eq!(without.status == 401, needed.is_some(), "{method} {path}");
            for made in &keys {
                let reply =
                    server.send(asked(method.to_uppercase().as_str(), &target, &made.key, None)).await;
                let may = needed.is_none_or(|scope| made.record.scopes.contains(&scope));
                assert_eq!(reply.status != 403, may, "{method} {path} with {:?}", made.record.scopes);
            }
        }
    }
}

#[tokio::test]
async fn anothers_series_is_refused_as_what_is_not_there() {
    let server = with_champion_and(closed()).await;
    let all = [Scope::Read, Scope::Write, Scope::Train];
    let mine = key(&server, &all, "town.*").await;
    let body = json!({"observations": [{"valid_time": "2026-03-02T00:00:00Z", "value": 1}]});
    let described = city();
    let of = |name: &str| {
        vec![
            ("GET", format!("/v1/series/{name}"), None),
            ("PUT", format!("/v1/series/{name}"), Some(described.clone())),
            ("GET", format!("/v1/series/{name}/observations"), None),
            ("POST", format!("/v1/series/{name}/observations"), Some(body.clone())),
            ("GET", format!("/v1/series/{name}/quality"), None),
            ("GET", format!("/v1/series/{name}/forecast"), None),
            ("GET", format!("/v1/series/{name}/forecast?version={name}-v1"), None),
            ("GET", format!("/v1/series/{name}/forecast:explain"), None),
            ("GET", format!("/v1/series/{name}/forecast:reconciled"), None),
            ("GET", format!("/v1/series/{name}/forecasts"), None),
            ("GET", format!("/v1/series/{name}/accuracy"), None),
            ("GET", format!("/v1/series/{name}/holidays"), None),
            ("GET", format!("/v1/models?series={name}"), None),
            ("GET", format!("/v1/models/{name}-v1"), None),
            ("POST", format!("/v1/models/{name}-v1:promote"), Some(json!({}))),
            ("POST", "/v1/train".to_owned(), Some(json!({"series": name}))),
            ("GET", format!("/v2/models/{name}"), None),
            ("GET", format!("/v2/models/{name}-v1/config"), None),
            ("POST", format!("/v2/repository/models/{name}/unload"), Some(json!({}))),
        ]
    };
    // The champion's answer is in memory: a cached answer is guarded too.
    let reader = key(&server, &[Scope::Read], "city.*").await;
    assert_eq!(get(&server, "/v1/series/city.load/forecast", &reader.key).await.status, 200);
    for (there, missing) in of("city.load").into_iter().zip(of("city.nothing")) {
        let first = server.send(asked(there.0, &there.1, &mine.key, there.2.as_ref())).await;
        let second = server.send(asked(missing.0, &missing.1, &mine.key, missing.2.as_ref())).await;
        assert_eq!(first.status, 403, "{} {}: {}", there.0, there.1, String::from_utf8_lossy(&first.body));
        assert_eq!(second.status, 403, "{} {}", missing.0, missing.1);
        let without = |reply: &Reply| {
            let mut document = reply.json();
            let fields = document.as_object_mut().unwrap();
            fields.retain(|name, _| name != "instance" && name != "request_id");
            document
        };
        assert_eq!(without(&first), without(&second), "{}", there.1);
        assert!(String::from_utf8_lossy(&first.body).contains(FORBIDDEN), "{}", there.1);
    }
    let lines = audit(&server).await;
    assert_eq!(lines[0].outcome, "refused: not in its rights");
    assert_eq!(lines[0].actor, format!("key {} (tester)", mine.record.id));
    let refused = lines.iter().filter(|line| line.outcome.starts_with("refused")).count();
    assert_eq!(refused, 2 * of("x").len(), "each of them is written");
    let info = server.service.series(&"city.load".parse().unwrap()).await.unwrap();
    assert_eq!(info.series.unit, "MW", "nothing was changed");
}

#[tokio::test]
async fn lists_and_hints_show_ones_own_alone() {
    let server = with_champion_and(closed()).await;
    server.service.put_series(&described_as("town.load")).await.unwrap();
    let all = [Scope::Read, Scope::Write, Scope::Train];
    let mine = key(&server, &all, "town.*").await;
    get(&server, "/v2/models/city.load/stats", &key(&server, &all, "*").await.key).await;
    for path in ["/v1/series", "/v1/models", "/v1/jobs", "/v2/models/stats", "/v1/timeseries/models"] {
        let text = String::from_utf8_lossy(&get(&server, path, &mine.key).await.body).into_owned();
        assert!(!text.contains("city"), "{path}: {text}");
    }
    let listed = get(&server, "/v1/series?limit=1", &mine.key).await.json();
    assert_eq!(listed["series"][0]["name"], "town.load", "others' do not fill the page");
    let index = server.send(asked("POST", "/v2/repository/index", &mine.key, Some(&json!({})))).await;
    assert!(!String::from_utf8_lossy(&index.body).contains("city"));
    // A name close to another's must not be told it.
    let hint = get(&server, "/v1/series/town.laod", &mine.key).await.problem(404);
    assert!(hint.contains("town.load"), "{hint}");
    let batch = json!({"requests": [{"series": "city.load"}, {"series": "town.load"}]});
    let answered = server.send(asked("POST", "/v1/forecasts:batch", &mine.key, Some(&batch))).await.json();
    assert_eq!(answered["results"][0]["problem"]["status"], 403, "{answered}");
    assert_ne!(answered["results"][1]["problem"]["status"], 403, "{answered}");
    // Another's series must not be read through a model, nor be given a new part.
    let spy = json!({"series": "town.load", "covariates": [{"series": "city.load", "known_ahead": false}]});
    assert_eq!(server.send(asked("POST", "/v1/train", &mine.key, Some(&spy))).await.status, 403);
    let mut part = city();
    part["parent"] = json!("city.load");
    assert_eq!(server.send(asked("PUT", "/v1/series/town.part", &mine.key, Some(&part))).await.status, 403);
}

#[tokio::test]
async fn every_write_leaves_a_line_with_what_was_and_what_is() {
    let server = empty_with(closed()).await;
    let writer = key(&server, &[Scope::Write], "*").await;
    let put = server.send(asked("PUT", "/v1/series/city.load", &writer.key, Some(&city()))).await;
    assert_eq!(put.status, 201);
    let body = json!({"observations": [{"valid_time": "2026-01-01T00:00:00Z", "value": 1}]});
    let path = "/v1/series/city.load/observations";
    for _ in 0..2 {
        assert_eq!(server.send(asked("POST", path, &writer.key, Some(&body))).await.status, 200);
    }
    let lines = audit(&server).await;
    let [again, written, described, made] = lines.as_slice() else { panic!("{lines:#?}") };
    assert_eq!(made.action, "keys create");
    assert_eq!((described.action.as_str(), described.outcome.as_str()), ("PUT /v1/series/{name}", "201"));
    assert_eq!(described.actor, format!("key {} (tester)", writer.record.id));
    assert!(described.before.is_none() && described.after.is_some() && !described.request_id.is_empty());
    assert_eq!(written.before, described.after, "each line goes on where the last one ended");
    assert_ne!(written.before, written.after);
    assert_eq!(again.before, again.after, "the same values again change nothing");
    assert!(lines.iter().all(|line| line.series.is_some() || line.action.starts_with("keys")));
}

#[tokio::test]
async fn the_audit_log_is_for_admins() {
    let server = empty_with(closed()).await;
    let (reader, admin) = (key(&server, &[Scope::Read], "*").await, key(&server, &[Scope::Admin], "*").await);
    get(&server, "/v1/audit", &reader.key).await.problem(403);
    let reply = get(&server, "/v1/audit?limit=1&since=2026-01-01T00:00:00Z", &admin.key).await;
    let read: crate::http::schema::AuditDocument = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(read.entries.len(), 1);
    assert_eq!(read.entries[0].outcome, "refused: not in its rights");
    get(&server, "/v1/audit?since=soon", &admin.key).await.problem(400);
}

#[tokio::test]
async fn without_keys_a_loopback_server_stays_open() {
    let server = with_champion().await;
    assert_eq!(server.get("/v1/series").await.status, 200);
    assert_eq!(server.get("/v1/audit").await.status, 200);
    // A proxy's own credentials are not ours to judge, but a key of ours is.
    let proxied =
        Request::get("/v1/series").header("authorization", "Basic eDp5").body(Body::empty()).unwrap();
    assert_eq!(server.send(proxied).await.status, 200);
    assert_eq!(get(&server, "/v1/series", "fw_nonsense").await.status, 401);
    let narrow = key(&server, &[Scope::Read], "town.*").await;
    assert_eq!(
        get(&server, "/v1/series/city.load", &narrow.key).await.status,
        403,
        "whoever shows a key is bound by it"
    );
}

#[tokio::test]
async fn whoever_may_ask_a_model_may_ask_what_it_reads_but_not_name_it() {
    let server = explaining::with_weather().await;
    let key = key(&server, &[Scope::Read], "city.load").await.key;
    assert_eq!(get(&server, "/v1/series/city.load/forecast", &key).await.status, 200);
    assert_eq!(get(&server, "/v1/series/city.load/forecast:explain", &key).await.status, 200);
    get(&server, "/v1/series/city.temp/observations", &key).await.problem(403);
}

#[tokio::test]
async fn what_others_were_told_of_unknown_series_is_not_told_on() {
    let server = with_champion_and(closed()).await;
    let all = key(&server, &[Scope::Read], "*").await.key;
    let few = key(&server, &[Scope::Read], "city.laod").await.key;
    let path = "/v1/series/city.laod/forecast";
    assert!(get(&server, path, &all).await.problem(404).contains("city.load"));
    assert!(!get(&server, path, &few).await.problem(404).contains("city.load"));
}
