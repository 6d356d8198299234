//! An issuer of tokens with keys of its own; those of RSA are a file, for ring makes none.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair};
use serde_json::{Value, json};

/// Who it says it is, and for whom.
pub const ISSUER: &str = "https://issuer.example/";
/// The server that its tokens are for.
pub const AUDIENCE: &str = "forewatt";
/// A key of no other use than these tests.
const RSA: &[u8] = include_bytes!("rsa_for_tests.der");

enum Pair {
    Rsa(RsaKeyPair, &'static str),
    P256(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// A key and its id.
pub struct Signer {
    id: String,
    pair: Pair,
}

impl Signer {
    /// A new key for an algorithm by its name in a token.
    pub fn new(algorithm: &str, id: &str) -> Self {
        let random = SystemRandom::new();
        let pair = match algorithm {
            "RS256" => Pair::Rsa(RsaKeyPair::from_der(RSA).unwrap(), "RS256"),
            "PS256" => Pair::Rsa(RsaKeyPair::from_der(RSA).unwrap(), "PS256"),
            "ES256" => {
                let kind = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                let made = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
                Pair::P256(EcdsaKeyPair::from_pkcs8(kind, made.as_ref(), &random).unwrap())
            }
            "EdDSA" => {
                let made = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8(made.as_ref()).unwrap())
            }
            other => panic!("no key for {other}"),
        };
        Self { id: id.to_owned(), pair }
    }

    /// The algorithm that a token of this key names.
    pub fn algorithm(&self) -> &'static str {
        match &self.pair {
            Pair::Rsa(_, name) => name,
            Pair::P256(_) => "ES256",
            Pair::Ed25519(_) => "EdDSA",
        }
    }

    /// The public key as the issuer shows it.
    pub fn public(&self) -> Value {
        let mut jwk = match &self.pair {
            Pair::Rsa(pair, _) => {
                let PublicKeyComponents { n, e }: PublicKeyComponents<Vec<u8>> = pair.public().into();
                json!({"kty": "RSA", "n": text(n), "e": text(e)})
            }
            Pair::P256(pair) => {
                let point = pair.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "x": text(&point[1..33]), "y": text(&point[33..])})
            }
            Pair::Ed25519(pair) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key())})
            }
        };
        jwk["kid"] = json!(self.id);
        jwk["use"] = json!("sig");
        jwk["alg"] = json!(self.algorithm());
        jwk
    }

    /// A token with the header that a client expects.
    pub fn token(&self, claims: &Value) -> String {
        self.token_with(&json!({"alg": self.algorithm(), "kid": self.id, "typ": "JWT"}), claims)
    }

    /// A token with a header of one's own, signed as this key signs.
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        sealed(header, claims, |message| self.sign(message))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair, name) => {
                let mut signed = vec![0; pair.public().modulus_len()];
                let padding: &dyn signature::RsaEncoding =
                    if *name == "PS256" { &signature::RSA_PSS_SHA256 } else { &signature::RSA_PKCS1_SHA256 };
                pair.sign(padding, &random, message, &mut signed).unwrap();
                signed
            }
            Pair::P256(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Pair::Ed25519(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }
}

/// A token with any signature.
pub fn sealed(header: &Value, claims: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", text(header.to_string()), text(claims.to_string()));
    format!("{message}.{}", text(sign(message.as_bytes())))
}

/// Base64url without padding.
pub fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// What the issuer publishes.
pub fn published(signers: &[&Signer]) -> String {
    let keys: Vec<Value> = signers.iter().map(|signer| signer.public()).collect();
    json!({ "keys": keys }).to_string()
}

/// Claims that open from `now_s` (seconds since 1970) on for five minutes.
pub fn claims(now_s: i64) -> Value {
    json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "anna", "iat": now_s, "nbf": now_s, "exp": now_s + 300, "scope": "openid read"})
}
