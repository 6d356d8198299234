//! Deliveries: what is due is posted, what fails waits longer each time, what fails too often is a dead letter.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use forewatt_domain::Time;
use forewatt_domain::time::MICROS_PER_SECOND;
use forewatt_store::{DeliveryEnd, DeliveryRecord, WebhookStore};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method};
use tokio::sync::Semaphore;

use super::signature;
use crate::config::WebhooksConfig;
use crate::error::Result;
use crate::resilience::{Call, Failure, retry};
use crate::{Inner, Service};

/// A node that took a delivery and died is believed dead after this long.
const LEASE_SECONDS: i64 = 600;

impl Service {
    /// Posts whatever is due, as long as the service lives.
    pub fn start_webhooks(&self) {
        let webhooks = &self.config.outward.webhooks;
        let mut turns = tokio::time::interval(Duration::from_millis(webhooks.poll_interval_ms.max(1)));
        turns.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let places = Arc::new(Semaphore::new(webhooks.running_max.max(1)));
        let (service, outbox): (Weak<Inner>, _) = (Arc::downgrade(&self.0), self.outbox.clone());
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = turns.tick() => {}
                    () = outbox.news() => {}
                }
                let Some(service) = service.upgrade().map(Service) else { return };
                if let Err(error) = service.start_deliveries(&places).await {
                    tracing::warn!(%error, "deliveries that are due cannot be found: next time again");
                }
            }
        });
    }

    /// Starts what is due, as far as there is room.
    async fn start_deliveries(&self, places: &Arc<Semaphore>) -> Result<()> {
        loop {
            let room = u32::try_from(places.available_permits()).unwrap_or(u32::MAX);
            if room == 0 {
                return Ok(());
            }
            let now = self.now();
            let until = now.plus_micros(LEASE_SECONDS * MICROS_PER_SECOND);
            let due = self.store.take_due_deliveries(now, until, room).await?;
            if due.is_empty() {
                return Ok(());
            }
            for delivery in due {
                // Only this task takes places, so there are as many as were counted.
                let Ok(place) = Arc::clone(places).try_acquire_owned() else { return Ok(()) };
                let service = self.clone();
                tokio::spawn(async move {
                    service.deliver(&delivery).await;
                    drop(place);
                    service.outbox.wake(); // there is room for another
                });
            }
        }
    }

    /// One try, and what becomes of it.
    async fn deliver(&self, delivery: &DeliveryRecord) {
        let end = match self.post(delivery).await {
            Ok(end) => end,
            Err(error) => {
                tracing::warn!(%error, "a delivery could not be prepared: later again");
                return; // its lease ends, and it is due again
            }
        };
        let result = match &end {
            DeliveryEnd::Done => "delivered",
            DeliveryEnd::Again { .. } => "failed",
            DeliveryEnd::Dead { .. } => "dead",
        };
        metrics::counter!("forewatt_webhook_deliveries_total", "result" => result).increment(1);
        if let Err(error) = self.store.end_delivery(&delivery.id, &end).await {
            // It will be delivered twice rather than not at all; receivers tell by its id.
            tracing::warn!(%error, delivery = delivery.id, "the end of a delivery could not be kept");
        }
    }

    async fn post(&self, delivery: &DeliveryRecord) -> Result<DeliveryEnd> {
        let Some(spec) = self.outbox.receiver(&delivery.webhook).await? else {
            return Ok(DeliveryEnd::Done); // taken away meanwhile, and its deliveries with it
        };
        let now = self.now();
        let signed = signature::sign(&spec.secret, now.seconds(), delivery.body.as_bytes());
        let headers = [
            (CONTENT_TYPE, "application/json"),
            (HeaderName::from_static("forewatt-event"), delivery.event.as_str()),
            (HeaderName::from_static("forewatt-delivery"), delivery.id.as_str()),
            (HeaderName::from_static(signature::HEADER), signed.as_str()),
        ];
        // All of these are letters, digits and punctuation of our own.
        let headers =
            headers.into_iter().filter_map(|(name, text)| Some((name, HeaderValue::from_str(text).ok()?)));
        let call = Call {
            method: Method::POST,
            url: spec.url,
            headers: headers.collect::<HeaderMap>(),
            body: Bytes::from(delivery.body.clone()),
            idempotent: false, // tried again by the queue, which outlives this process
        };
        let outcome = self.outward.webhooks.send(&call, |_| Ok(())).await;
        Ok(end_of(outcome, delivery.attempts, now, &self.config.outward.webhooks, retry::entropy()))
    }
}

/// What becomes of a delivery after a try.
fn end_of(
    outcome: std::result::Result<(), Failure>,
    attempts: u32,
    now: Time,
    config: &WebhooksConfig,
    random: u64,
) -> DeliveryEnd {
    let Err(failure) = outcome else { return DeliveryEnd::Done };
    let error = failure.to_string();
    // 410: the receiver wants no more of it. Forbidden: no waiting makes the address another.
    let hopeless = matches!(failure, Failure::Forbidden(_) | Failure::Status { status: 410, .. });
    if hopeless || attempts >= config.attempts_max {
        return DeliveryEnd::Dead { error, keep: config.dead_max };
    }
    let first = Duration::from_millis(config.backoff_ms);
    let longest = Duration::from_millis(config.backoff_max_ms);
    // At least half of the wait is fixed, so that a receiver in trouble is left alone for a while.
    let tries = attempts.saturating_sub(1);
    let whole = retry::jittered(first, longest, tries, u64::MAX);
    let wait = whole / 2 + retry::jittered(first, longest, tries, random) / 2;
    let micros = i64::try_from(wait.as_micros()).unwrap_or(i64::MAX / 2);
    DeliveryEnd::Again { at: now.plus_micros(micros), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: WebhooksConfig = WebhooksConfig {
        webhooks_max: 1,
        queue_max: 1,
        dead_max: 7,
        attempts_max: 4,
        backoff_ms: 10_000,
        backoff_max_ms: 30_000,
        running_max: 1,
        poll_interval_ms: 1_000,
    };

    fn failed(status: u16, attempts: u32, random: u64) -> DeliveryEnd {
        let failure = Failure::Status { status, detail: String::new() };
        end_of(Err(failure), attempts, Time::from_seconds(0), &CONFIG, random)
    }

    fn wait_seconds(attempts: u32, random: u64) -> i64 {
        let DeliveryEnd::Again { at, .. } = failed(500, attempts, random) else { panic!("{attempts}") };
        (at.micros() + MICROS_PER_SECOND / 2) / MICROS_PER_SECOND
    }

    #[test]
    fn waits_double_up_to_the_longest_and_are_spread_over_their_half() {
        assert_eq!([1, 2, 3].map(|n| wait_seconds(n, u64::MAX)), [10, 20, 30]);
        assert_eq!([1, 2, 3].map(|n| wait_seconds(n, 0)), [5, 10, 15]);
    }

    #[test]
    fn too_many_tries_and_a_receiver_that_is_gone_end_it() {
        let dead = |end| matches!(end, DeliveryEnd::Dead { keep: 7, .. });
        assert!(dead(failed(500, 4, 0)) && dead(failed(410, 1, 0)));
        assert!(!dead(failed(404, 3, 0)), "it may be there again later");
        assert_eq!(end_of(Ok(()), 9, Time::from_seconds(0), &CONFIG, 0), DeliveryEnd::Done);
    }
}
