//! What a server does for its store now and then, and what it tells of its connections.

use std::sync::Weak;
use std::time::Duration;

use forewatt_store::UpkeepStore;

use crate::error::Result;
use crate::{Inner, Service, Upkeep, UpkeepDone};

impl Service {
    /// Lets go of observations that are older than their kind is kept, and makes room for those to come. One node does
    /// it at a time; for the others it is a look.
    ///
    /// # Errors
    /// When the store fails. What was done before stays done.
    pub async fn upkeep(&self, upkeep: &Upkeep) -> Result<UpkeepDone> {
        let done = self.store.upkeep(upkeep).await?;
        if done.observations_dropped > 0 {
            self.forget_everywhere().await;
        }
        Ok(done)
    }

    /// Does this every `interval`, at first at once, as long as the service lives. `plan` gives what to do then.
    pub fn start_upkeep(&self, interval: Duration, plan: impl Fn(&Self) -> Upkeep + Send + 'static) {
        let service: Weak<Inner> = std::sync::Arc::downgrade(&self.0);
        tokio::spawn(async move {
            let mut turns = tokio::time::interval(interval);
            turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                turns.tick().await;
                let Some(service) = service.upgrade().map(Service) else { return };
                match service.upkeep(&plan(&service)).await {
                    Ok(done) if done == UpkeepDone::default() => {}
                    Ok(done) => tracing::info!(?done, "looked after the store"),
                    Err(error) => {
                        tracing::warn!(%error, "the store could not be looked after: next time again");
                    }
                }
            }
        });
    }

    /// Sets the gauges and counters of the connections to database servers; call before metrics are read.
    pub fn count_connections(&self) {
        for (pool, status) in self.store.pools() {
            let gauge = |state, count: u32| {
                metrics::gauge!("forewatt_database_connections", "pool" => pool, "state" => state)
                    .set(f64::from(count));
            };
            gauge("in_use", status.in_use);
            gauge("idle", status.idle);
            metrics::gauge!("forewatt_database_connections_max", "pool" => pool).set(f64::from(status.max));
            metrics::gauge!("forewatt_database_waiting", "pool" => pool).set(f64::from(status.waiting));
            let counter = |name, count| metrics::counter!(name, "pool" => pool).absolute(count);
            counter("forewatt_database_acquired_total", status.acquired);
            counter("forewatt_database_acquire_timeouts_total", status.timed_out);
            counter("forewatt_database_wait_microseconds_total", status.waited_micros);
        }
    }
}
