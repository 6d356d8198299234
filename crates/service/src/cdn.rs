//! Caches in front of the server: which keys an answer is known by there, and telling them what to forget.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use forewatt_domain::{SeriesName, VersionId};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method};
use tokio::sync::{Notify, watch};

use crate::Service;
use crate::config::Config;
use crate::error::Result;
use crate::resilience::{Call, Outward};

/// The header that names keys, as Fastly and Varnish know it.
const SURROGATE_KEY: HeaderName = HeaderName::from_static("surrogate-key");
/// Keys of one call: their header stays below the 8 KiB that servers take.
const KEYS_AT_ONCE: usize = 50;

/// Tells caches in front what to forget, in the background: a write does not wait for them.
pub struct Purger(Option<Arc<Pending>>);

/// What is to be purged.
struct Pending {
    keys: Mutex<BTreeSet<String>>,
    queue_max: usize,
    wake: Notify,
    /// Whether all that was asked for has been told once.
    idle: watch::Sender<bool>,
}

impl Purger {
    /// Starts the task that tells; none where no URL is configured.
    pub(crate) fn start(config: &Config) -> Self {
        let cdn = &config.outward.cdn;
        if cdn.purge_urls.is_empty() {
            return Self(None);
        }
        let pending = Arc::new(Pending {
            keys: Mutex::default(),
            queue_max: cdn.purge_queue_max,
            wake: Notify::new(),
            idle: watch::channel(true).0,
        });
        let told = Told {
            client: Outward::new("purges", &config.outward),
            // The configuration's check has refused what is no method.
            method: Method::from_bytes(cdn.purge_method.as_bytes()).unwrap_or(Method::POST),
            urls: cdn.purge_urls.clone(),
        };
        let again = Duration::from_millis(config.cache.series_ttl_ms);
        tokio::spawn(work_off(Arc::downgrade(&pending), told, again));
        Self(Some(pending))
    }

    /// Asks that every answer made from a series be forgotten.
    pub(crate) fn purge(&self, series: &SeriesName) {
        let Some(pending) = &self.0 else { return };
        {
            let mut keys = pending.keys.lock().unwrap_or_else(PoisonError::into_inner);
            if keys.len() >= pending.queue_max {
                count("lost");
                tracing::warn!(%series, "too many purges wait: caches in front keep it as long as they may");
                return;
            }
            keys.insert(format!("series-{series}"));
            pending.idle.send_replace(false);
        }
        pending.wake.notify_one();
    }

    /// Waits until everything asked for has been told once.
    pub(crate) async fn flush(&self) {
        if let Some(pending) = &self.0 {
            let mut idle = pending.idle.subscribe();
            let _ = idle.wait_for(|idle| *idle).await; // fails only when the sender is gone, and it is not
        }
    }
}

impl Pending {
    fn take(&self) -> Vec<String> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *keys).into_iter().collect()
    }

    /// Says that all is told, unless more came meanwhile.
    fn rest(&self) {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        self.idle.send_replace(keys.is_empty());
    }
}

/// Whom to tell, and how.
struct Told {
    client: Outward,
    method: Method,
    urls: Vec<String>,
}

/// Tells each key at once, and once more a little later: an answer that was on its way when the data changed, or that
/// another node gave before it saw the change, may have been cached after the first time.
async fn work_off(pending: std::sync::Weak<Pending>, told: Told, again: Duration) {
    let mut later: Vec<String> = Vec::new();
    loop {
        let Some(queue) = pending.upgrade() else { return };
        if later.is_empty() {
            queue.wake.notified().await;
        } else {
            let _ = tokio::time::timeout(again, queue.wake.notified()).await; // either way there is something to tell
        }
        let now = queue.take();
        let mut keys = std::mem::replace(&mut later, now.clone());
        keys.extend(now);
        keys.sort_unstable();
        keys.dedup();
        told.tell(&keys).await;
        queue.rest();
    }
}

impl Told {
    async fn tell(&self, keys: &[String]) {
        for some in keys.chunks(KEYS_AT_ONCE) {
            // Names of series are letters, digits and `._-`, so this is always a header value.
            let Ok(value) = HeaderValue::try_from(some.join(" ")) else { continue };
            for url in &self.urls {
                let headers = HeaderMap::from_iter([(SURROGATE_KEY, value.clone())]);
                let (method, url) = (self.method.clone(), url.clone());
                let call = Call { method, url, headers, body: Bytes::new(), idempotent: true };
                match self.client.send(&call, |_| Ok(())).await {
                    Ok(()) => count("ok"),
                    Err(failure) => {
                        count("failed");
                        tracing::warn!(%failure, keys = some.len(), "a cache in front could not be purged");
                    }
                }
            }
        }
    }
}

fn count(result: &'static str) {
    metrics::counter!("forewatt_purges_total", "result" => result).increment(1);
}

impl Service {
    /// The keys by which a cache in front knows a forecast: its series, the version that made it, and, where such a cache
    /// is configured, every covariate, whose new data change the forecast too.
    ///
    /// # Errors
    /// Those of reading the version.
    pub async fn surrogate_key(&self, series: &SeriesName, version: &VersionId) -> Result<String> {
        let mut key = format!("series-{series} version-{version}");
        if self.config.outward.cdn.max_age_s > 0 {
            for covariate in &self.load_model(version).await?.version.recipe.covariates {
                key.push_str(" series-");
                key.push_str(covariate.series.as_str());
            }
        }
        Ok(key)
    }
}
