//! Keys of the API: made at random, shown once, kept as a digest, found by their public part.

use std::sync::Arc;
use std::time::Duration;

use forewatt_domain::recipe::hex;
use forewatt_domain::time::{MICROS_PER_DAY, MICROS_PER_HOUR};
use forewatt_domain::{Reach, Scope, Time};
use forewatt_store::{KeyRecord, KeyStore};
use moka::future::Cache;
use serde::Serialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use crate::Service;
use crate::access::Oidc;
use crate::access::config::AuthConfig;
use crate::error::{Error, Result};

/// How every key begins, so that scanners of secrets know one.
pub const KEY_PREFIX: &str = "fw_";
/// Bytes of the public part: enough that two keys hardly ever meet.
const ID_BYTES: usize = 6;
/// Bytes of the secret part: 256 bits cannot be guessed, so a plain SHA-256 keeps them as safe as a slow digest would.
const SECRET_BYTES: usize = 32;
/// Characters of a whole key.
const KEY_CHARS: usize = KEY_PREFIX.len() + 2 * ID_BYTES + 1 + 2 * SECRET_BYTES;
/// The longest name of a key, in bytes.
const NAME_MAX_BYTES: usize = 100;
/// The longest a key may last, in days.
const DAYS_MAX: u32 = 3_660;
/// The longest two keys may overlap, in hours.
const OVERLAP_HOURS_MAX: u32 = 24 * 90;

/// What a new key should be.
#[derive(Debug, Clone)]
pub struct NewKey {
    /// Whose it is.
    pub name: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// Which series it may name.
    pub series: Reach,
    /// Days until it ends; `None` for never.
    pub days: Option<u32>,
}

/// A key at the only moment at which it can be read.
#[derive(Clone, Serialize)]
pub struct MadeKey {
    /// The whole key.
    pub key: String,
    /// What is kept of it.
    #[serde(flatten)]
    pub record: KeyRecord,
}

/// Why a key does not open. For the audit log: a client is told none of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There was none.
    Missing,
    /// It does not look like one.
    Malformed,
    /// No key has this public part.
    Unknown,
    /// The secret part is another.
    Wrong,
    /// It has ended.
    Expired,
    /// It was revoked.
    Revoked,
    /// It is good, but not for this.
    Scope,
    /// A token longer than any is read.
    TokenTooLong,
    /// A token that is not signed, or not as its key signs.
    TokenAlgorithm,
    /// The issuer has no key of that id.
    TokenUnknownKey,
    /// The signature of a token is not its key's.
    TokenSignature,
    /// A token by another issuer.
    TokenIssuer,
    /// A token for another server.
    TokenAudience,
    /// A token that has ended.
    TokenExpired,
    /// A token that does not hold yet.
    TokenEarly,
    /// A token whose claims lack an end, a subject, or series where they must be named.
    TokenClaims,
}

impl Refusal {
    /// A word for the audit log and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "refused: no key",
            Self::Malformed => "refused: not a key",
            Self::Unknown => "refused: unknown key",
            Self::Wrong => "refused: wrong key",
            Self::Expired => "refused: expired key",
            Self::Revoked => "refused: revoked key",
            Self::Scope => "refused: not in its rights",
            Self::TokenTooLong => "refused: token too long",
            Self::TokenAlgorithm => "refused: algorithm of the token",
            Self::TokenUnknownKey => "refused: token of an unknown key",
            Self::TokenSignature => "refused: signature of the token",
            Self::TokenIssuer => "refused: issuer of the token",
            Self::TokenAudience => "refused: audience of the token",
            Self::TokenExpired => "refused: expired token",
            Self::TokenEarly => "refused: token not yet valid",
            Self::TokenClaims => "refused: claims of the token",
        }
    }
}

/// Tells whether a key is good, and remembers what the store said for a moment.
#[derive(Clone)]
pub struct Guard {
    service: Service,
    oidc: Option<Oidc>,
    known: Cache<String, Option<Arc<KeyRecord>>>,
}

impl Guard {
    /// Nothing is remembered yet.
    #[must_use]
    pub fn new(service: Service, config: &AuthConfig) -> Self {
        let ttl = Duration::from_millis(config.keys_ttl_ms);
        let oidc = Oidc::new(&config.oidc, &service.config.outward);
        Self {
            service,
            oidc,
            known: Cache::builder().max_capacity(config.keys_max).time_to_live(ttl).build(),
        }
    }

    /// Tells whether tokens are good; `None` where none opens.
    #[must_use]
    pub const fn oidc(&self) -> Option<&Oidc> {
        self.oidc.as_ref()
    }

    /// The record of a key as a client sends it, if it opens now; else who it claimed to be (its public part) and why
    /// not.
    ///
    /// # Errors
    /// When the store cannot tell.
    pub async fn open(
        &self,
        text: &str,
    ) -> Result<std::result::Result<Arc<KeyRecord>, (Option<String>, Refusal)>> {
        let Some(id) = id_of(text) else { return Ok(Err((None, Refusal::Malformed))) };
        let digest = digest(text);
        let read = async {
            let found = self.service.store.get_key(id).await?;
            Ok::<_, Error>(found.map(Arc::new))
        };
        let found = self.known.try_get_with_by_ref(id, read).await;
        let found = found.map_err(|error: Arc<Error>| (*error).clone())?;
        // An unknown key is compared too, so that its answer takes as long.
        let kept = found.as_ref().map_or("", |record| record.sha256.as_str());
        let same = bool::from(padded(kept).ct_eq(&padded(&digest)));
        let refuse = |why| Ok(Err((Some(id.to_owned()), why)));
        match found {
            None => refuse(Refusal::Unknown),
            Some(_) if !same => refuse(Refusal::Wrong),
            Some(record) => match ended(&record, crate::system_now()) {
                Some(why) => refuse(why),
                None => Ok(Ok(record)),
            },
        }
    }
}

/// Why a key has ended at `now`, if it has.
fn ended(record: &KeyRecord, now: Time) -> Option<Refusal> {
    if record.revoked_at.is_some() {
        return Some(Refusal::Revoked);
    }
    record.expires_at.is_some_and(|at| at <= now).then_some(Refusal::Expired)
}

/// The public part of what looks like a key.
fn id_of(text: &str) -> Option<&str> {
    let (id, secret) = text.strip_prefix(KEY_PREFIX)?.split_once('_')?;
    let hex = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    (text.len() == KEY_CHARS && id.len() == 2 * ID_BYTES && hex(id) && hex(secret)).then_some(id)
}

fn digest(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

/// Digests side by side have the same length, whatever a store says.
fn padded(digest: &str) -> [u8; 64] {
    let mut bytes = [0; 64];
    let given = digest.as_bytes();
    let count = given.len().min(64);
    bytes[..count].copy_from_slice(&given[..count]);
    bytes
}

/// So many random bytes of the operating system, in hex.
fn random_hex<const N: usize>() -> Result<String> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| Error::internal(format!("the system gives no random numbers: {error}")))?;
    Ok(hex(&bytes))
}

impl Service {
    /// Makes a key. The key itself is in the answer and nowhere else.
    ///
    /// # Errors
    /// `InvalidInput` for an empty or long name, no scopes, or a life that cannot be.
    pub async fn create_key(&self, new: &NewKey, by: &str) -> Result<MadeKey> {
        let made = self.make(new)?;
        self.store.add_key(&made.record).await?;
        self.note_key(by, "keys create", &made.record.id).await?;
        Ok(made)
    }

    /// Makes a key in place of another, with its rights. Both open until the old one ends, after `overlap_hours` at the
    /// latest.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` for a key that is revoked or was replaced before; `InvalidInput` for a life or an overlap
    /// that cannot be.
    pub async fn rotate_key(
        &self,
        id: &str,
        overlap_hours: u32,
        days: Option<u32>,
        by: &str,
    ) -> Result<MadeKey> {
        if overlap_hours > OVERLAP_HOURS_MAX {
            let message = format!("{overlap_hours} hours of overlap, the limit is {OVERLAP_HOURS_MAX}");
            return Err(Error::invalid(message));
        }
        let old = self.key(id).await?;
        let ends_at = crate::system_now().plus_micros(i64::from(overlap_hours) * MICROS_PER_HOUR);
        let new = NewKey { name: old.name, scopes: old.scopes, series: old.series, days };
        let made = self.make(&new)?;
        self.store.rotate_key(id, ends_at, &made.record).await?;
        self.note_key(by, "keys rotate", &format!("{id} to {}", made.record.id)).await?;
        Ok(made)
    }

    /// Ends a key for good.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn revoke_key(&self, id: &str, by: &str) -> Result<KeyRecord> {
        self.store.revoke_key(id, crate::system_now()).await?;
        self.note_key(by, "keys revoke", id).await?;
        self.key(id).await
    }

    /// Keys, newest first; revoked ones too.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list_keys(&self) -> Result<Vec<KeyRecord>> {
        Ok(self.store.list_keys(self.config.limits.list_max).await?)
    }

    async fn key(&self, id: &str) -> Result<KeyRecord> {
        let shown: String = id.chars().take(40).collect();
        let missing = || {
            let message = format!("there is no key `{shown}`; `forewatt keys list` shows their ids");
            Error::new(crate::ErrorKind::NotFound, message)
        };
        self.store.get_key(id).await?.ok_or_else(missing)
    }

    fn make(&self, new: &NewKey) -> Result<MadeKey> {
        let name = new.name.trim();
        if name.is_empty() || name.len() > NAME_MAX_BYTES || name.chars().any(char::is_control) {
            return Err(Error::invalid(format!("a key's name has 1 to {NAME_MAX_BYTES} printable bytes")));
        }
        if new.scopes.is_empty() {
            return Err(Error::invalid("a key needs a scope: read, write, train or admin"));
        }
        if new.days.is_some_and(|days| days == 0 || days > DAYS_MAX) {
            return Err(Error::invalid(format!("a key lasts 1 to {DAYS_MAX} days, or for ever")));
        }
        let id = random_hex::<ID_BYTES>()?;
        let key = format!("{KEY_PREFIX}{id}_{}", random_hex::<SECRET_BYTES>()?);
        // Whole days of the real clock: a demonstration's fixed "now" must not make keys that never end.
        let now = crate::system_now();
        let record = KeyRecord {
            id,
            name: name.to_owned(),
            sha256: digest(&key),
            scopes: new.scopes.clone(),
            series: new.series.clone(),
            created_at: now,
            expires_at: new.days.map(|days| now.plus_micros(i64::from(days) * MICROS_PER_DAY)),
            revoked_at: None,
            successor: None,
        };
        Ok(MadeKey { key, record })
    }

    async fn note_key(&self, by: &str, action: &str, what: &str) -> Result<()> {
        self.audit_line(by, action, what, "", 1).await
    }
}
