//! Tokens of an issuer in place of keys: what they open, what a refused one is told, and who is written down.

use axum::body::Body;
use axum::http::Request;
use forewatt_service::access::config::RateLimitConfig;
use forewatt_service::access::oidc::config::OidcConfig;
use forewatt_service::system_now;
use serde_json::{Value, json};

use super::access::{closed, plain};
use super::issuer::{AUDIENCE, ISSUER, Signer, claims, published, sealed};
use super::*;

/// An issuer whose keys lie in a file.
pub(crate) struct House {
    signer: Signer,
    keys: tempfile::NamedTempFile,
}

impl House {
    pub(crate) fn new() -> Self {
        let (signer, keys) = (Signer::new("ES256", "one"), tempfile::NamedTempFile::new().unwrap());
        std::fs::write(keys.path(), published(&[&signer])).unwrap();
        Self { signer, keys }
    }

    fn claims(scope: &str, series: &str) -> Value {
        let mut claims = claims(system_now().micros() / 1_000_000);
        claims["scope"] = json!(scope);
        claims["series"] = json!([series]);
        claims
    }

    /// A token that is good now.
    pub(crate) fn token(&self, scope: &str, series: &str) -> String {
        self.signer.token(&Self::claims(scope, series))
    }

    /// A token that somebody else signed.
    pub(crate) fn strangers(&self) -> String {
        Signer::new("ES256", "one").token(&Self::claims("admin", "*"))
    }
}

/// Options of a server that wants a key or a token of this issuer.
pub(crate) fn trusting(house: &House) -> HttpOptions {
    let mut options = closed();
    options.auth.oidc = OidcConfig {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        jwks_file: house.keys.path().to_owned(),
        series_claim: "series".to_owned(),
        ..options.auth.oidc
    };
    options
}

async fn get(server: &TestServer, path: &str, token: &str) -> Reply {
    let request = Request::get(path).header("authorization", format!("Bearer {token}"));
    server.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_token_opens_what_its_claims_say() {
    let house = House::new();
    let server = with_champion_and(trusting(&house)).await;
    assert_eq!(get(&server, "/v1/series/city.load", &house.token("read", "city.*")).await.status, 200);
    get(&server, "/v1/series/city.load", &house.token("read", "town.*")).await.problem(403);
    get(&server, "/v1/series/city.load", &house.token("write", "city.*")).await.problem(403);
    get(&server, "/v1/audit", &house.token("read", "*")).await.problem(403);
    let line = server.service.list_audit(None, Some(1)).await.unwrap().remove(0);
    assert_eq!(line.actor, "https://issuer.example/-anna");
    assert_eq!(line.outcome, "refused: not in its rights");
    let written = Request::put("/v1/series/city.new")
        .header("authorization", format!("Bearer {}", house.token("write", "city.*")))
        .header("content-type", "application/json");
    assert_eq!(server.send(written.body(city().to_string().into()).unwrap()).await.status, 201);
    let line = server.service.list_audit(None, Some(1)).await.unwrap().remove(0);
    assert_eq!((line.actor.as_str(), line.outcome.as_str()), ("https://issuer.example/-anna", "201"));
}

#[tokio::test]
async fn every_token_that_does_not_open_gets_the_answer_of_a_wrong_key() {
    let house = House::new();
    let server = empty_with(trusting(&house)).await;
    let without = server.get("/v1/series").await;
    without.problem(401);
    let changed = |name: &str, value: Value| {
        let mut claims = House::claims("admin", "*");
        claims[name] = value;
        house.signer.token(&claims)
    };
    let unsigned =
        sealed(&json!({"alg": "none", "kid": "one"}), &House::claims("admin", "*"), |_| Vec::new());
    let unknown = Signer::new("ES256", "two").token(&House::claims("admin", "*"));
    for (token, why) in [
        (unsigned, "algorithm of the token"),
        (house.strangers(), "signature of the token"),
        (unknown, "token of an unknown key"),
        (changed("iss", json!("https://evil.example/")), "issuer of the token"),
        (changed("aud", json!("other")), "audience of the token"),
        (changed("exp", json!(1)), "expired token"),
        (changed("nbf", json!(1e12)), "token not yet valid"),
        (changed("series", json!(null)), "claims of the token"),
        (changed("more", json!("x".repeat(9_000))), "token too long"),
        ("opaque".to_owned(), "not a key"),
    ] {
        let reply = get(&server, "/v1/series", &token).await;
        assert_eq!((reply.status.as_u16(), plain(&reply)), (401, plain(&without)), "{why}");
        let line = server.service.list_audit(None, Some(1)).await.unwrap().remove(0);
        assert_eq!((line.outcome, line.actor), (format!("refused: {why}"), "anonymous".to_owned()));
    }
}

#[tokio::test]
async fn limits_count_by_subject() {
    let house = House::new();
    let config = RateLimitConfig {
        units_per_minute: 1,
        burst_units: 2,
        units_per_day: 0,
        ..crate::config::tests::defaults().rate_limit
    };
    let server = empty_with(HttpOptions { rate_limit: Some(config), ..trusting(&house) }).await;
    for status in [200, 200, 429] {
        // Another token of the same subject is no other caller.
        assert_eq!(get(&server, "/v1/series", &house.token("read", "*")).await.status, status);
    }
    let mut other = House::claims("read", "*");
    other["sub"] = json!("berta");
    assert_eq!(get(&server, "/v1/series", &house.signer.token(&other)).await.status, 200);
}

#[tokio::test]
async fn without_the_issuers_keys_a_token_can_be_tried_again() {
    let house = House::new();
    std::fs::write(house.keys.path(), "{}").unwrap();
    let server = empty_with(trusting(&house)).await;
    get(&server, "/v1/series", &house.token("read", "*")).await.problem(503);
    std::fs::write(house.keys.path(), published(&[&house.signer])).unwrap();
    assert_eq!(get(&server, "/v1/series", &house.token("read", "*")).await.status, 200);
}
