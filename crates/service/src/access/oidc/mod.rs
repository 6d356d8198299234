//! Tokens of an issuer (JWT, RFC 7519; OpenID Connect Core 1.0) in place of keys of our own.
//!
//! Whoever the issuer names may do what the token's claims say, in our words by a map. Nothing of a token is believed,
//! nor written down, before its signature is proved.

pub mod config;
mod jws;
mod keyring;

use std::sync::Arc;

use forewatt_domain::time::MICROS_PER_SECOND;
use forewatt_domain::{Reach, Scope, Time};
use serde_json::Value;

use self::config::OidcConfig;
use self::jws::Token;
use self::keyring::Keyring;
use super::Refusal;
use crate::config::OutwardConfig;
use crate::error::Result;

/// The longest subject, in bytes (OpenID Connect Core 1.0 section 2).
const SUBJECT_MAX_BYTES: usize = 255;

/// Somebody whom the issuer vouches for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Issuer and subject with `-` between: for the audit log, and what limits are counted by.
    pub actor: String,
    /// What they may do.
    pub scopes: Vec<Scope>,
    /// Which series they may name.
    pub series: Reach,
}

/// Tells whether a token is good. Cheap to clone: clones share the issuer's keys.
#[derive(Clone)]
pub struct Oidc {
    config: Arc<OidcConfig>,
    scopes: Arc<[(String, Scope)]>,
    keyring: Arc<Keyring>,
}

impl Oidc {
    /// `None` when no issuer is configured. Nobody is asked for keys before the first token comes.
    #[must_use]
    pub fn new(config: &OidcConfig, outward: &OutwardConfig) -> Option<Self> {
        config.is_on().then(|| Self {
            config: Arc::new(config.clone()),
            scopes: config.scopes().into(),
            keyring: Arc::new(Keyring::new(config, outward)),
        })
    }

    /// Who shows a token at `now`, the real clock; else why it does not open.
    ///
    /// # Errors
    /// `Unavailable` when the issuer's keys cannot be had.
    pub async fn open(&self, text: &str, now: Time) -> Result<std::result::Result<Subject, Refusal>> {
        if text.len() > self.config.token_max_bytes {
            return Ok(Err(Refusal::TokenTooLong));
        }
        let token = match Token::read(text).and_then(|token| token.check_algorithm().map(|()| token)) {
            Ok(token) => token,
            Err(why) => return Ok(Err(why)),
        };
        let mut proved = token.prove(&self.keyring.keys(now).await?);
        if proved == Err(Refusal::TokenUnknownKey)
            && let Some(keys) = self.keyring.newer(now).await
        {
            proved = token.prove(&keys);
        }
        Ok(proved.and_then(|claims| self.subject(&claims, now)))
    }

    /// What proved claims say.
    fn subject(&self, claims: &Value, now: Time) -> std::result::Result<Subject, Refusal> {
        if claims["iss"].as_str() != Some(&self.config.issuer) {
            return Err(Refusal::TokenIssuer);
        }
        if !words(&claims["aud"], false).contains(&self.config.audience.as_str()) {
            return Err(Refusal::TokenAudience);
        }
        let now_s = now.micros() as f64 / MICROS_PER_SECOND as f64;
        let leeway_s = f64::from(self.config.leeway_s);
        // A token without an end would open for ever.
        let ends_s = claims["exp"].as_f64().ok_or(Refusal::TokenClaims)?;
        if now_s >= ends_s + leeway_s {
            return Err(Refusal::TokenExpired);
        }
        for begins in [&claims["nbf"], &claims["iat"]] {
            if !begins.is_null() && begins.as_f64().ok_or(Refusal::TokenClaims)? > now_s + leeway_s {
                return Err(Refusal::TokenEarly);
            }
        }
        let subject = claims["sub"].as_str().filter(|sub| {
            // A line of the log must stay a line.
            (1..=SUBJECT_MAX_BYTES).contains(&sub.len()) && !sub.chars().any(char::is_control)
        });
        let subject = subject.ok_or(Refusal::TokenClaims)?;
        Ok(Subject {
            actor: format!("{}-{subject}", self.config.issuer),
            scopes: self.scopes_of(claims),
            series: self.series_of(claims)?,
        })
    }

    fn scopes_of(&self, claims: &Value) -> Vec<Scope> {
        let said = words(claim(claims, &self.config.scopes_claim), true);
        let given = self.scopes.iter().filter(|(value, _)| said.contains(&value.as_str()));
        given.map(|(_, scope)| *scope).collect()
    }

    /// Where a claim is to say which series, one that says nothing gives none.
    fn series_of(&self, claims: &Value) -> std::result::Result<Reach, Refusal> {
        if self.config.series_claim.is_empty() {
            return Ok(Reach::all());
        }
        let said = words(claim(claims, &self.config.series_claim), true);
        let patterns: Vec<String> = said.into_iter().map(str::to_owned).collect();
        Reach::try_from(patterns).map_err(|_| Refusal::TokenClaims)
    }
}

/// A claim by its name or, beginning with `/`, by a JSON pointer.
fn claim<'a>(claims: &'a Value, name: &str) -> &'a Value {
    let found = if name.starts_with('/') { claims.pointer(name) } else { claims.get(name) };
    found.unwrap_or(&Value::Null)
}

/// The texts of a list; of a text, itself or its words.
fn words(value: &Value, split: bool) -> Vec<&str> {
    match value {
        Value::String(text) if split => text.split(' ').filter(|word| !word.is_empty()).collect(),
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}
