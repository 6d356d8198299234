//! Signed tokens (JWS compact form, RFC 7515) and the public keys that prove them (JWK, RFC 7517 and 8037).
//!
//! A key has one algorithm (RFC 8725 section 3.1), told by what the key is. A token that names another is refused before
//! any arithmetic: so neither `none` nor a shared secret made of a public key can ever be tried.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{self, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

use crate::access::Refusal;

/// The shortest RSA modulus, in bytes: 2,048 bits (RFC 7518 section 3.3).
const MODULUS_MIN_BYTES: usize = 256;
/// Bytes of a coordinate of P-256, and of a public key of Ed25519.
const POINT_BYTES: usize = 32;
/// The most keys of one issuer.
const KEYS_MAX: usize = 100;

/// A public key of an issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key {
    id: Option<String>,
    proof: Proof,
}

/// What a key proves with.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Proof {
    Rsa { n: Vec<u8>, e: Vec<u8>, is_pss: bool },
    P256(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// A token that was taken apart and not yet believed.
#[derive(Debug)]
pub(super) struct Token<'a> {
    header: Header,
    /// What was signed: the first two parts as they came.
    signed: &'a str,
    claims: Vec<u8>,
    signature: Vec<u8>,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl<'a> Token<'a> {
    /// Takes a token apart: three parts in base64url, the first a header in JSON.
    ///
    /// # Errors
    /// `Malformed`; also for extensions that must be understood (`crit`, RFC 7515 section 4.1.11): we know none.
    pub(super) fn read(text: &'a str) -> Result<Self, Refusal> {
        let (signed, signature) = text.rsplit_once('.').ok_or(Refusal::Malformed)?;
        let (header, claims) = signed.split_once('.').ok_or(Refusal::Malformed)?;
        let header: Header = serde_json::from_slice(&bytes(header)?).map_err(|_| Refusal::Malformed)?;
        if header.crit.is_some() {
            return Err(Refusal::Malformed);
        }
        Ok(Self { header, signed, claims: bytes(claims)?, signature: bytes(signature)? })
    }

    /// The claims, when one of these keys signed them.
    ///
    /// # Errors
    /// `TokenUnknownKey` when no key has its id, or when it names none and there are several; `TokenAlgorithm` when
    /// the key is for another algorithm; `TokenSignature`.
    pub(super) fn prove(&self, keys: &[Key]) -> Result<Value, Refusal> {
        let key = match &self.header.kid {
            Some(id) => keys.iter().find(|key| key.id.as_ref() == Some(id)),
            None => keys.first().filter(|_| keys.len() == 1),
        };
        let key = key.ok_or(Refusal::TokenUnknownKey)?;
        if key.proof.algorithm() != self.header.alg {
            return Err(Refusal::TokenAlgorithm);
        }
        if !key.proof.holds(self.signed.as_bytes(), &self.signature) {
            return Err(Refusal::TokenSignature);
        }
        serde_json::from_slice(&self.claims).map_err(|_| Refusal::Malformed)
    }

    /// Whether some key could prove its algorithm; asked before anybody is asked for keys.
    pub(super) fn check_algorithm(&self) -> Result<(), Refusal> {
        let known = matches!(self.header.alg.as_str(), "RS256" | "PS256" | "ES256" | "EdDSA");
        if known { Ok(()) } else { Err(Refusal::TokenAlgorithm) }
    }
}

/// Without padding and without spare bits, so that a token has one spelling.
fn bytes(text: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Refusal::Malformed)
}

impl Proof {
    /// The only algorithm that this key is for (RFC 7518 section 3.1).
    const fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa { is_pss: true, .. } => "PS256",
            Self::Rsa { .. } => "RS256",
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    fn holds(&self, message: &[u8], signed: &[u8]) -> bool {
        let proved = match self {
            Self::Rsa { n, e, is_pss: false } => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&signature::RSA_PKCS1_2048_8192_SHA256, message, signed)
            }
            Self::Rsa { n, e, is_pss: true } => {
                RsaPublicKeyComponents { n, e }.verify(&signature::RSA_PSS_2048_8192_SHA256, message, signed)
            }
            Self::P256(point) => {
                UnparsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, point).verify(message, signed)
            }
            Self::Ed25519(point) => {
                UnparsedPublicKey::new(&signature::ED25519, point).verify(message, signed)
            }
        };
        proved.is_ok()
    }
}

/// The keys of a set (JWKS). Keys of other kinds or for other work are left out (RFC 7517 section 5): a shared secret
/// (`oct`) is among those.
///
/// # Errors
/// What is wrong with the set: not one, too large, or without a key that we can use.
pub(super) fn read_keys(text: &[u8]) -> Result<Vec<Key>, String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let set: Set =
        serde_json::from_slice(text).map_err(|error| format!("not a set of keys (JWKS): {error}"))?;
    if set.keys.len() > KEYS_MAX {
        return Err(format!("{} keys, the limit is {KEYS_MAX}", set.keys.len()));
    }
    let keys: Vec<Key> = set.keys.into_iter().filter_map(read_key).collect();
    if keys.is_empty() {
        return Err(
            "no key that we can use: RSA of 2048 bits or more, P-256, or Ed25519, for signatures".to_owned()
        );
    }
    Ok(keys)
}

fn read_key(value: Value) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value).ok()?;
    let signs = jwk.usage.as_deref().is_none_or(|usage| usage == "sig");
    let verifies = jwk.key_ops.as_ref().is_none_or(|ops| ops.iter().any(|op| op == "verify"));
    if !signs || !verifies {
        return None;
    }
    let part = |text: &Option<String>| bytes(text.as_deref()?).ok();
    let proof = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => {
            let (mut n, e) = (part(&jwk.n)?, part(&jwk.e)?);
            let zeros = n.iter().take_while(|byte| **byte == 0).count();
            n.drain(..zeros);
            let is_pss = jwk.alg.as_deref() == Some("PS256");
            (n.len() >= MODULUS_MIN_BYTES).then_some(Proof::Rsa { n, e, is_pss })?
        }
        ("EC", Some("P-256")) => {
            let (x, y) = (part(&jwk.x)?, part(&jwk.y)?);
            let fits = x.len() == POINT_BYTES && y.len() == POINT_BYTES;
            // SEC 1 section 2.3.3: 4 says that both coordinates follow.
            fits.then(|| Proof::P256([&[4], x.as_slice(), y.as_slice()].concat()))?
        }
        ("OKP", Some("Ed25519")) => part(&jwk.x).filter(|x| x.len() == POINT_BYTES).map(Proof::Ed25519)?,
        _ => return None,
    };
    let named = jwk.alg.as_deref().is_none_or(|alg| alg == proof.algorithm());
    named.then_some(Key { id: jwk.kid, proof })
}
