//! When sources run: whichever is due is taken by one node and fetched, a few at a time.

use std::sync::{Arc, Weak};
use std::time::Duration;

use forewatt_domain::time::MICROS_PER_SECOND;
use forewatt_store::SourceStore;
use tokio::sync::Semaphore;

use crate::{Inner, Service};

/// After a first failure a source is tried again after so long, then twice as long each time, up to its own pace.
const FIRST_WAIT_SECONDS: u32 = 30;
/// A node that took a source and died is believed dead after this long.
const LEASE_SECONDS: i64 = 600;

/// Seconds to the next run, after so many failures in a row.
pub(super) fn wait_seconds(every_seconds: u32, failures: u32) -> u32 {
    match failures {
        0 => every_seconds,
        n => FIRST_WAIT_SECONDS.saturating_mul(1 << (n - 1).min(20)).min(every_seconds),
    }
}

impl Service {
    /// Fetches whatever is due, as long as the service lives; looks every `outward.sources.poll_interval_ms`.
    pub fn start_sources(&self) {
        let sources = &self.config.outward.sources;
        let mut turns = tokio::time::interval(Duration::from_millis(sources.poll_interval_ms.max(1)));
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let places = Arc::new(Semaphore::new(sources.running_max.max(1)));
        let service: Weak<Inner> = Arc::downgrade(&self.0);
        tokio::spawn(async move {
            loop {
                turns.tick().await;
                let Some(service) = service.upgrade().map(Service) else { return };
                service.start_due(&places).await;
            }
        });
    }

    /// Starts what is due, as far as there is room.
    async fn start_due(&self, places: &Arc<Semaphore>) {
        while let Ok(place) = Arc::clone(places).try_acquire_owned() {
            let now = self.now();
            let until = now.plus_micros(LEASE_SECONDS * MICROS_PER_SECOND);
            match self.store.take_due_source(now, until).await {
                Ok(None) => return,
                Ok(Some(record)) => {
                    let service = self.clone();
                    tokio::spawn(async move {
                        let name = record.name.clone();
                        match service.run_taken(record).await {
                            Ok(run) => tracing::info!(source = name, run.message, "fetched"),
                            Err(error) => {
                                tracing::warn!(source = name, %error, "a source could not be fetched");
                            }
                        }
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "sources that are due cannot be found: next time again");
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_tried_soon_and_then_less_often_up_to_the_own_pace() {
        let waits: Vec<u32> = (0..9).map(|failures| wait_seconds(3_600, failures)).collect();
        assert_eq!(waits, [3_600, 30, 60, 120, 240, 480, 960, 1_920, 3_600]);
        assert_eq!(wait_seconds(60, 3), 60);
        assert_eq!(wait_seconds(3_600, u32::MAX), 3_600);
    }
}
