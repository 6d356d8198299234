//! The issuer's keys: fetched when needed, kept for a while, and used a little longer when the issuer is away.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use forewatt_domain::Time;

use super::config::OidcConfig;
use super::jws::{Key, read_keys};
use crate::config::OutwardConfig;
use crate::error::{Error, ErrorKind, Result};
use crate::resilience::{Call, Outward};

/// Where keys come from.
enum Source {
    Url(Outward, String),
    File(PathBuf, u64),
}

/// Keys and when they were read. One question is under way at a time.
pub(super) struct Keyring {
    source: Source,
    config: OidcConfig,
    held: Mutex<Held>,
    asking: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Clone, Default)]
struct Held {
    /// With the instant at which the issuer gave them.
    keys: Option<(Arc<[Key]>, Time)>,
    tried_at: Option<Time>,
    /// Questions that have ended: whoever waited for one does not ask the same again.
    tries: u64,
}

impl Held {
    /// The keys, when they are not older than this.
    fn within(&self, age_ms: u64, now: Time) -> Option<Arc<[Key]>> {
        let (keys, at) = self.keys.as_ref()?;
        is_within(*at, age_ms, now).then(|| Arc::clone(keys))
    }
}

/// Whether two instants are less than so many ms apart, whichever is first: requests overtake one another, and a clock
/// set far back must not keep keys for ever.
fn is_within(at: Time, age_ms: u64, now: Time) -> bool {
    now.micros_since(at).unsigned_abs() < age_ms.saturating_mul(1_000)
}

impl Keyring {
    pub(super) fn new(config: &OidcConfig, outward: &OutwardConfig) -> Self {
        let source = if config.jwks_url.is_empty() {
            Source::File(config.jwks_file.clone(), outward.body_max_bytes as u64)
        } else {
            Source::Url(Outward::new("oidc", outward), config.jwks_url.clone())
        };
        Self { source, config: config.clone(), held: Mutex::default(), asking: Arc::default() }
    }

    /// The keys in force.
    ///
    /// # Errors
    /// `Unavailable` when the issuer gave none, or none for too long.
    pub(super) async fn keys(self: &Arc<Self>, now: Time) -> Result<Arc<[Key]>> {
        let seen = self.held().clone();
        if let Some(keys) = seen.within(self.config.keys_ttl_ms, now) {
            return Ok(keys);
        }
        let old = seen.within(self.old_max_ms(), now);
        // Who has old keys does not queue for new ones: a slow issuer holds up one request, not all.
        if old.is_none() || self.asking.try_lock().is_ok() {
            self.renew(now, seen.tries, old.is_none()).await;
        }
        let keys = self.held().within(self.old_max_ms(), now);
        keys.ok_or_else(|| Error::new(ErrorKind::Unavailable, "the issuer of tokens gives no keys now"))
    }

    /// The keys after asking the issuer for those that are not known here, if it may be asked again now.
    pub(super) async fn newer(self: &Arc<Self>, now: Time) -> Option<Arc<[Key]>> {
        let tries = self.held().tries;
        self.renew(now, tries, false).await;
        self.held().within(self.old_max_ms(), now)
    }

    fn old_max_ms(&self) -> u64 {
        self.config.keys_ttl_ms.saturating_add(self.config.keys_stale_max_ms)
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks, unless a question has ended since `seen`, or not long ago and the matter is not urgent.
    async fn renew(self: &Arc<Self>, now: Time, seen: u64, urgent: bool) {
        let place = Arc::clone(&self.asking).lock_owned().await;
        {
            let mut held = self.held();
            let rests = held.tried_at.is_some_and(|at| is_within(at, self.config.keys_ask_again_ms, now));
            if held.tries != seen || (rests && !urgent) {
                return;
            }
            held.tried_at = Some(now);
        }
        let ring = Arc::clone(self);
        // In a task of its own: a client that leaves must not take the others' answer along.
        let asked = tokio::spawn(async move {
            let _place = place;
            let read = ring.read().await;
            let mut held = ring.held();
            held.tries += 1;
            match read {
                Ok(keys) => held.keys = Some((keys.into(), now)),
                Err(reason) => tracing::warn!(%reason, "the keys of auth.oidc could not be read"),
            }
        });
        let _ = asked.await; // a panic leaves the old keys in force
    }

    async fn read(&self) -> std::result::Result<Vec<Key>, String> {
        match &self.source {
            Source::Url(client, url) => {
                let call = Call::get(url.clone());
                client
                    .send(&call, |answer| read_keys(&answer.body))
                    .await
                    .map_err(|failure| failure.to_string())
            }
            Source::File(path, max_bytes) => {
                let (path, max_bytes) = (path.clone(), *max_bytes);
                let read = tokio::task::spawn_blocking(move || read_file(&path, max_bytes)).await;
                read.map_err(|error| error.to_string())?
            }
        }
    }
}

fn read_file(path: &Path, max_bytes: u64) -> std::result::Result<Vec<Key>, String> {
    let told = |reason: String| format!("auth.oidc.jwks_file {}: {reason}", path.display());
    let mut text = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| told(error.to_string()))?;
    file.take(max_bytes + 1).read_to_end(&mut text).map_err(|error| told(error.to_string()))?;
    if text.len() as u64 > max_bytes {
        return Err(told(format!("longer than {max_bytes} bytes (outward.body_max_bytes)")));
    }
    read_keys(&text).map_err(told)
}
