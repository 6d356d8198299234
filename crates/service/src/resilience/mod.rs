//! Calls to machines that are not ours: guard, timeouts, retries, breaker and bulkhead, one idea a file.
//!
//! From the outside in, a call passes: **bulkhead** (so many at once, so many waiting), **total time**, then for each
//! try the **breaker** of its peer and the **request time**; below that the **guard** chooses the address that is
//! dialled, within the **connect time**. Between tries lie **back-off and budget**.

pub mod breaker;
pub mod bulkhead;
pub mod call;
pub mod guard;
pub mod retry;
pub mod timeouts;
mod wire;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use breaker::{Breaker, BreakerLimits};
use bulkhead::Bulkhead;
pub use call::{Answer, Call, Failure};
use guard::Guard;
use retry::Retry;
use timeouts::Timeouts;
use wire::Wire;

use crate::config::OutwardConfig;
use crate::error::{Error, Result};

/// Peers whose breaker is remembered; beyond it the healthy ones are forgotten.
const PEERS_MAX: usize = 1_000;

/// Tells the time of breakers; tests move it by hand.
pub type Ticks = Arc<dyn Fn() -> Instant + Send + Sync>;

/// A client for one kind of call outward. Cheap to clone: clones share connections, breakers and places.
#[derive(Clone)]
pub struct Outward(Arc<Inner>);

struct Inner {
    /// What it calls, as metrics name it: `sources`, `webhooks`, `purges`.
    kind: &'static str,
    guard: Arc<Guard>,
    wire: Wire,
    timeouts: Timeouts,
    retry: Retry,
    bulkhead: Bulkhead,
    breaker_limits: BreakerLimits,
    peers: Mutex<HashMap<String, Arc<Breaker>>>,
    ticks: Ticks,
}

impl Outward {
    /// A client within the configured limits. It opens no connection before the first call.
    #[must_use]
    pub fn new(kind: &'static str, config: &OutwardConfig) -> Self {
        Self::with_ticks(kind, config, Arc::new(Instant::now))
    }

    /// The same with a clock of one's own for the breakers.
    #[must_use]
    pub fn with_ticks(kind: &'static str, config: &OutwardConfig, ticks: Ticks) -> Self {
        // The configuration's check has told of it; whoever passed by it calls public addresses only.
        let guard = Arc::new(Guard::new(&config.allow_networks).unwrap_or_default());
        let timeouts = Timeouts::new(config);
        Self(Arc::new(Inner {
            kind,
            wire: Wire::new(Arc::clone(&guard), timeouts.connect, config.body_max_bytes),
            guard,
            timeouts,
            retry: Retry::new(kind, config),
            bulkhead: Bulkhead::new(kind, config.concurrency_max, config.waiting_max),
            breaker_limits: BreakerLimits::new(config),
            peers: Mutex::default(),
            ticks,
        }))
    }

    /// Whether a URL may be called at all, as far as can be told without asking for its address.
    ///
    /// # Errors
    /// `InvalidInput` with what is wrong with it.
    pub fn check_url(&self, url: &str) -> Result<()> {
        self.0.guard.check_url(url).map(drop).map_err(|refused| Error::invalid(refused.to_string()))
    }

    /// Calls, and reads the answer with `read`; what `read` refuses counts as a fault of the peer.
    ///
    /// # Errors
    /// [`Failure`], after the retries that the call allows.
    pub async fn send<T>(
        &self,
        call: &Call,
        read: impl Fn(&Answer) -> std::result::Result<T, String>,
    ) -> std::result::Result<T, Failure> {
        let outcome = self.attempts(call, &read).await;
        let result = outcome.as_ref().err().map_or("ok", Failure::as_str);
        metrics::counter!("forewatt_outward_calls_total", "kind" => self.0.kind, "result" => result)
            .increment(1);
        outcome
    }

    async fn attempts<T>(
        &self,
        call: &Call,
        read: &impl Fn(&Answer) -> std::result::Result<T, String>,
    ) -> std::result::Result<T, Failure> {
        let inner = &self.0;
        let url = inner.guard.check_url(&call.url)?;
        let deadline = inner.timeouts.deadline();
        let _place = inner.bulkhead.enter(deadline).await?;
        let breaker = self.breaker_of(url.authority().map_or("", |a| a.as_str()));
        inner.retry.earn();
        let mut tries = 0;
        loop {
            let permit = breaker.admit((inner.ticks)())?;
            let outcome = inner.timeouts.within(deadline, inner.wire.send(call, &url)).await;
            let outcome = outcome.and_then(|answer| call::judge(&answer, read));
            let healthy = outcome.as_ref().err().is_none_or(|failure| !failure.is_peers_fault());
            permit.report(healthy, (inner.ticks)());
            match outcome {
                Err(failure) if call.idempotent && failure.is_transient() => {
                    let Some(pause) = inner.retry.pause(tries) else { return Err(failure) };
                    if !timeouts::pause(pause, deadline).await {
                        return Err(failure);
                    }
                    tries += 1;
                }
                outcome => return outcome,
            }
        }
    }

    /// The breaker of a peer: a host and port.
    fn breaker_of(&self, peer: &str) -> Arc<Breaker> {
        // A panic while the map was held cannot leave it half changed: every change is one call.
        let mut peers = self.0.peers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = peers.get(peer) {
            return Arc::clone(known);
        }
        if peers.len() >= PEERS_MAX {
            peers.retain(|_, breaker| !breaker.is_untouched());
        }
        let made = Arc::new(Breaker::new(self.0.kind, self.0.breaker_limits));
        if peers.len() < PEERS_MAX {
            peers.insert(peer.to_owned(), Arc::clone(&made));
        }
        made
    }
}
