//! Tokens of an issuer: those that open, every kind that does not and why, and keys that come and go.
#![expect(clippy::unwrap_used, reason = "a test that cannot set up its house must fail")]

#[expect(dead_code, reason = "shared with tests that need more of it")]
mod common;
#[path = "common/issuer.rs"]
mod issuer;
#[expect(dead_code, reason = "shared with tests that need more of it")]
#[path = "common/peer.rs"]
mod peer;

use common::outward;
use forewatt_domain::{Scope, Time};
use forewatt_service::access::oidc::config::OidcConfig;
use forewatt_service::access::{Oidc, Refusal, Subject};
use forewatt_service::config::OutwardConfig;
use issuer::{AUDIENCE, ISSUER, Signer, claims, published, sealed, text};
use peer::{Peer, Say};
use ring::hmac;
use serde_json::{Value, json};

/// The instant of most questions, in seconds since 1970.
const NOW_S: i64 = 1_780_000_000;

fn at(seconds: i64) -> Time {
    Time::from_seconds(NOW_S + seconds)
}

fn config(jwks_url: String) -> OidcConfig {
    OidcConfig {
        issuer: ISSUER.to_owned(),
        audience: AUDIENCE.to_owned(),
        jwks_url,
        jwks_file: "".into(),
        scopes_claim: "scope".to_owned(),
        scope_map: vec!["read=read".to_owned(), "ops=admin".to_owned()],
        series_claim: String::new(),
        leeway_s: 10,
        keys_ttl_ms: 300_000,
        keys_stale_max_ms: 3_600_000,
        keys_ask_again_ms: 60_000,
        token_max_bytes: 2_048,
    }
}

/// An issuer that is asked once, a server that believes it, and a key of it.
struct House {
    peer: Peer,
    oidc: Oidc,
    signer: Signer,
}

impl House {
    async fn new() -> Self {
        Self::told(|_| ()).await
    }

    async fn told(change: impl FnOnce(&mut OidcConfig)) -> Self {
        let signer = Signer::new("EdDSA", "one");
        let peer = Peer::start(publishes(&[&signer])).await;
        let mut config = config(peer.url("/keys"));
        change(&mut config);
        Self { oidc: open(&config), peer, signer }
    }

    async fn ask(&self, token: &str) -> Result<Subject, Refusal> {
        self.oidc.open(token, at(0)).await.unwrap()
    }

    /// What becomes of a token of the issuer whose claims are changed so.
    async fn changed(&self, change: impl FnOnce(&mut Value)) -> Result<Subject, Refusal> {
        let mut claims = claims(NOW_S);
        change(&mut claims);
        self.ask(&self.signer.token(&claims)).await
    }
}

fn open(config: &OidcConfig) -> Oidc {
    Oidc::new(config, &OutwardConfig { retries_max: 0, breaker_failures: 100, ..outward() }).unwrap()
}

fn publishes(signers: &[&Signer]) -> Say {
    Say::Body(200, published(signers))
}

#[tokio::test]
async fn every_algorithm_of_the_list_opens() {
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        let signer = Signer::new(algorithm, "key");
        let peer = Peer::start(publishes(&[&Signer::new("ES256", "other"), &signer])).await;
        let opened = open(&config(peer.url("/"))).open(&signer.token(&claims(NOW_S)), at(0)).await.unwrap();
        let subject = opened.unwrap_or_else(|why| panic!("{algorithm}: {why:?}"));
        assert_eq!(subject.actor, "https://issuer.example/-anna");
        assert_eq!((subject.scopes, subject.series.is_all()), (vec![Scope::Read], true), "{algorithm}");
    }
}

#[tokio::test]
async fn no_issuer_no_token() {
    let config = OidcConfig { issuer: String::new(), ..config(String::new()) };
    assert!(Oidc::new(&config, &outward()).is_none());
}

#[tokio::test]
async fn a_token_that_is_not_signed_is_refused() {
    let house = House::new().await;
    for name in ["none", "None", "NONE", ""] {
        let header = json!({"alg": name, "kid": "one"});
        let unsigned = sealed(&header, &claims(NOW_S), |_| Vec::new());
        assert_eq!(house.ask(&unsigned).await, Err(Refusal::TokenAlgorithm), "{name}");
        let signed = house.signer.token_with(&header, &claims(NOW_S));
        assert_eq!(house.ask(&signed).await, Err(Refusal::TokenAlgorithm), "{name}");
    }
    assert_eq!(house.peer.asked().len(), 0, "the issuer is not asked about such tokens");
}

#[tokio::test]
async fn a_public_key_is_no_shared_secret() {
    let signer = Signer::new("RS256", "one");
    let peer = Peer::start(publishes(&[&signer])).await;
    let oidc = open(&config(peer.url("/")));
    let public = signer.public();
    for secret in [public["n"].as_str().unwrap().as_bytes().to_vec(), public.to_string().into_bytes()] {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        let header = json!({"alg": "HS256", "kid": "one"});
        let token = sealed(&header, &claims(NOW_S), |message| hmac::sign(&secret, message).as_ref().to_vec());
        assert_eq!(oidc.open(&token, at(0)).await.unwrap(), Err(Refusal::TokenAlgorithm));
    }
}

#[tokio::test]
async fn the_key_and_not_the_token_says_the_algorithm() {
    let (pkcs, pss) = (Signer::new("RS256", "one"), Signer::new("PS256", "one"));
    let peer = Peer::start(publishes(&[&pkcs])).await;
    let oidc = open(&config(peer.url("/")));
    assert!(oidc.open(&pkcs.token(&claims(NOW_S)), at(0)).await.unwrap().is_ok());
    // The same RSA key in the other padding: a good signature, but not what this key is for.
    let other = oidc.open(&pss.token(&claims(NOW_S)), at(0)).await.unwrap();
    assert_eq!(other, Err(Refusal::TokenAlgorithm));
    let lying = pkcs.token_with(&json!({"alg": "ES256", "kid": "one"}), &claims(NOW_S));
    assert_eq!(oidc.open(&lying, at(0)).await.unwrap(), Err(Refusal::TokenAlgorithm));
}

#[tokio::test]
async fn keys_for_other_work_open_nothing() {
    let signer = Signer::new("EdDSA", "one");
    let changed = |name: &str, value: Value| {
        let mut key = signer.public();
        key[name] = value;
        key
    };
    let short = json!({"kty": "RSA", "kid": "one", "n": text([0xff; 128]), "e": "AQAB"});
    for key in [
        json!({"kty": "oct", "kid": "one", "k": "c2VjcmV0"}),
        changed("use", json!("enc")),
        changed("key_ops", json!(["sign"])),
        changed("alg", json!("ES256")),
        changed("crv", json!("X25519")),
        changed("x", json!("c2hvcnQ")),
        short,
    ] {
        let peer = Peer::start(Say::Body(200, json!({ "keys": [&key] }).to_string())).await;
        let failed = open(&config(peer.url("/"))).open(&signer.token(&claims(NOW_S)), at(0)).await;
        assert!(failed.is_err(), "{key}");
        // Beside a good key it does no harm.
        let both = json!({ "keys": [&key, signer.public()] }).to_string();
        let peer = Peer::start(Say::Body(200, both)).await;
        let opened = open(&config(peer.url("/"))).open(&signer.token(&claims(NOW_S)), at(0)).await;
        assert!(opened.unwrap().is_ok(), "{key}");
    }
}

#[tokio::test]
async fn a_changed_token_is_refused() {
    let house = House::new().await;
    let token = house.signer.token(&claims(NOW_S));
    let mut parts: Vec<&str> = token.split('.').collect();
    let mut other = claims(NOW_S);
    other["sub"] = json!("root");
    let other = text(other.to_string());
    parts[1] = &other;
    assert_eq!(house.ask(&parts.join(".")).await, Err(Refusal::TokenSignature));
    let stranger = Signer::new("EdDSA", "one").token(&claims(NOW_S));
    assert_eq!(house.ask(&stranger).await, Err(Refusal::TokenSignature), "the same id, another key");
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let house = House::new().await;
    let token = house.signer.token(&claims(NOW_S));
    let critical = json!({"alg": "EdDSA", "kid": "one", "crit": ["b64"], "b64": false});
    for bad in [
        "",
        "opaque",
        "a.b.c",
        "..",
        &format!("{token}="),
        &format!("{token}.x"),
        &token[..token.rfind('.').unwrap()],
        &house.signer.token_with(&critical, &claims(NOW_S)),
    ] {
        assert_eq!(house.ask(bad).await, Err(Refusal::Malformed), "{bad}");
    }
}

#[tokio::test]
async fn a_long_token_is_refused_unread() {
    let house = House::new().await;
    let long = house.changed(|claims| claims["more"] = json!("x".repeat(2_048))).await;
    assert_eq!(long, Err(Refusal::TokenTooLong));
    assert_eq!(house.peer.asked().len(), 0);
}

#[tokio::test]
async fn another_issuer_is_refused() {
    let house = House::new().await;
    for issuer in
        [json!("https://issuer.example"), json!("https://evil.example/"), json!([ISSUER]), json!(null)]
    {
        let told = house.changed(|claims| claims["iss"] = issuer.clone()).await;
        assert_eq!(told, Err(Refusal::TokenIssuer), "{issuer}");
    }
}

#[tokio::test]
async fn a_token_for_another_server_is_refused() {
    let house = House::new().await;
    for audience in [json!("other"), json!(["other"]), json!([]), json!("forewatt other"), json!(null)] {
        let told = house.changed(|claims| claims["aud"] = audience.clone()).await;
        assert_eq!(told, Err(Refusal::TokenAudience), "{audience}");
    }
    assert!(house.changed(|claims| claims["aud"] = json!(["other", AUDIENCE])).await.is_ok());
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    let house = House::new().await;
    assert!(house.changed(|claims| claims["exp"] = json!(NOW_S - 9)).await.is_ok(), "within the leeway");
    for end in [json!(NOW_S - 10), json!(0), json!(-1.5)] {
        let told = house.changed(|claims| claims["exp"] = end.clone()).await;
        assert_eq!(told, Err(Refusal::TokenExpired), "{end}");
    }
    for end in [json!(null), json!("never")] {
        let told = house.changed(|claims| claims["exp"] = end.clone()).await;
        assert_eq!(told, Err(Refusal::TokenClaims), "{end}: what never ends is not taken");
    }
}

#[tokio::test]
async fn a_token_of_tomorrow_is_refused() {
    let house = House::new().await;
    for name in ["nbf", "iat"] {
        assert!(house.changed(|claims| claims[name] = json!(NOW_S + 10)).await.is_ok(), "within the leeway");
        let told = house.changed(|claims| claims[name] = json!(NOW_S + 11)).await;
        assert_eq!(told, Err(Refusal::TokenEarly), "{name}");
        let told = house.changed(|claims| claims[name] = json!("now")).await;
        assert_eq!(told, Err(Refusal::TokenClaims), "{name}");
        assert!(house.changed(|claims| drop(claims.as_object_mut().unwrap().remove(name))).await.is_ok());
    }
}

#[tokio::test]
async fn a_token_needs_a_subject_that_fits_a_line() {
    let house = House::new().await;
    for subject in [json!(null), json!(""), json!(7), json!("a\nb"), json!("x".repeat(256))] {
        let told = house.changed(|claims| claims["sub"] = subject.clone()).await;
        assert_eq!(told, Err(Refusal::TokenClaims), "{subject}");
    }
    assert!(house.changed(|claims| claims["sub"] = json!("x".repeat(255))).await.is_ok());
}

#[tokio::test]
async fn scopes_are_what_the_map_makes_of_the_claim() {
    for (claim, said, given) in [
        ("scope", json!({"scope": "read ops write"}), vec![Scope::Read, Scope::Admin]),
        ("scope", json!({"scope": ["read"]}), vec![Scope::Read]),
        ("scope", json!({"scope": "admin write"}), vec![]),
        ("scope", json!({}), vec![]),
        ("/realm_access/roles", json!({"realm_access": {"roles": ["ops"]}}), vec![Scope::Admin]),
        ("https://x.example/roles", json!({"https://x.example/roles": ["ops"]}), vec![Scope::Admin]),
    ] {
        let house = House::told(|config| config.scopes_claim = claim.to_owned()).await;
        let subject = house.changed(|claims| {
            claims.as_object_mut().unwrap().remove("scope");
            claims.as_object_mut().unwrap().extend(said.as_object().unwrap().clone());
        });
        assert_eq!(subject.await.unwrap().scopes, given, "{claim} {said}");
    }
}

#[tokio::test]
async fn a_claim_names_the_series() {
    let house = House::told(|config| config.series_claim = "series".to_owned()).await;
    for said in [json!("city.* town.load"), json!(["city.*", "town.load"])] {
        let subject = house.changed(|claims| claims["series"] = said).await.unwrap();
        assert_eq!(subject.series.patterns(), ["city.*", "town.load"]);
    }
    for said in [json!(null), json!(""), json!([]), json!("a b/c")] {
        let told = house.changed(|claims| claims["series"] = said.clone()).await;
        assert_eq!(told, Err(Refusal::TokenClaims), "{said}: what says nothing gives nothing");
    }
}

#[tokio::test]
async fn an_unknown_key_is_asked_for_once_a_minute() {
    let house = House::new().await;
    let stranger = Signer::new("EdDSA", "two");
    let token = stranger.token(&claims(NOW_S));
    for _ in 0..20 {
        assert_eq!(house.ask(&token).await, Err(Refusal::TokenUnknownKey));
    }
    assert_eq!(house.peer.asked().len(), 1);
    house.oidc.open(&token, at(59)).await.unwrap().unwrap_err();
    assert_eq!(house.peer.asked().len(), 1);
    house.oidc.open(&token, at(60)).await.unwrap().unwrap_err();
    house.oidc.open(&token, at(61)).await.unwrap().unwrap_err();
    assert_eq!(house.peer.asked().len(), 2);
}

#[tokio::test]
async fn a_token_that_names_no_key_needs_a_set_of_one() {
    let house = House::new().await;
    let nameless = |signer: &Signer| signer.token_with(&json!({"alg": "EdDSA"}), &claims(NOW_S));
    assert!(house.ask(&nameless(&house.signer)).await.is_ok());
    let second = Signer::new("EdDSA", "two");
    let peer = Peer::start(publishes(&[&house.signer, &second])).await;
    let oidc = open(&config(peer.url("/")));
    let told = oidc.open(&nameless(&house.signer), at(0)).await.unwrap();
    assert_eq!(told, Err(Refusal::TokenUnknownKey), "which of two is not guessed");
}

#[tokio::test]
async fn the_issuer_changes_its_keys() {
    let house = House::new().await;
    let next = Signer::new("ES256", "two");
    let (old_token, new_token) = (house.signer.token(&claims(NOW_S)), next.token(&claims(NOW_S)));
    assert!(house.ask(&old_token).await.is_ok());
    house.peer.says(publishes(&[&house.signer, &next]));
    assert!(
        house.oidc.open(&new_token, at(60)).await.unwrap().is_ok(),
        "a new key is asked for when it comes"
    );
    assert!(house.oidc.open(&old_token, at(60)).await.unwrap().is_ok(), "both open meanwhile");
    house.peer.says(publishes(&[&next]));
    assert!(house.oidc.open(&old_token, at(61)).await.unwrap().is_ok(), "believed for keys_ttl_ms");
    let late = old_token.replace(&old_token, &house.signer.token(&claims(NOW_S + 360)));
    assert_eq!(house.oidc.open(&late, at(360)).await.unwrap(), Err(Refusal::TokenUnknownKey));
    assert_eq!(house.peer.asked().len(), 3);
}

#[tokio::test]
async fn old_keys_open_while_the_issuer_is_away_but_not_for_ever() {
    let house = House::new().await;
    let opens = async |seconds: i64| {
        let token = house.signer.token(&claims(NOW_S + seconds));
        house.oidc.open(&token, at(seconds)).await.map(|opened| opened.is_ok())
    };
    assert!(opens(0).await.unwrap());
    house.peer.says(Say::Body(500, String::new()));
    for seconds in [300, 301, 359, 3_899] {
        assert!(opens(seconds).await.unwrap(), "{seconds} s");
    }
    assert_eq!(house.peer.asked().len(), 3, "at 0, 300 and 3,899 s: not with every request");
    let told = opens(3_900).await.unwrap_err();
    assert_eq!(told.kind, forewatt_service::ErrorKind::Unavailable, "{told}");
    house.peer.says(publishes(&[&house.signer]));
    assert!(opens(3_900).await.unwrap(), "and again as soon as it is back");
}

#[tokio::test]
async fn many_at_once_ask_once() {
    let house = House::new().await;
    let token = house.signer.token(&claims(NOW_S));
    let all = futures::future::join_all((0..50).map(|_| house.ask(&token))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(house.peer.asked().len(), 1);
}

#[tokio::test]
async fn keys_may_lie_in_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let signer = Signer::new("ES256", "one");
    let config = OidcConfig { jwks_file: path.clone(), ..config(String::new()) };
    let oidc = open(&config);
    assert!(oidc.open(&signer.token(&claims(NOW_S)), at(0)).await.is_err(), "there is no file yet");
    std::fs::write(&path, published(&[&signer])).unwrap();
    assert!(oidc.open(&signer.token(&claims(NOW_S)), at(0)).await.unwrap().is_ok());
    std::fs::write(&path, "x".repeat(outward().body_max_bytes + 1)).unwrap();
    assert!(open(&config).open(&signer.token(&claims(NOW_S)), at(0)).await.is_err(), "longer than is read");
}

#[tokio::test]
async fn an_address_that_is_not_public_is_not_asked() {
    let signer = Signer::new("EdDSA", "one");
    let peer = Peer::start(publishes(&[&signer])).await;
    let closed = OutwardConfig { allow_networks: Vec::new(), ..outward() };
    let oidc = Oidc::new(&config(peer.url("/")), &closed).unwrap();
    assert!(oidc.open(&signer.token(&claims(NOW_S)), at(0)).await.is_err());
    assert_eq!(peer.asked().len(), 0);
}
