//! Events on their way out: each is kept for every receiver that wants it before anybody is called.

use std::sync::Arc;
use std::time::Duration;

use forewatt_domain::{Forecast, ModelVersion, SeriesName, Time};
use forewatt_store::{Backend, DeliveryRecord, WebhookStore};
use moka::future::Cache;
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::{EventKind, Spec, spec_of};
use crate::config::Config;
use crate::error::Result;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    kind: EventKind,
    series: SeriesName,
    data: Value,
}

impl Event {
    /// A forecast was computed and kept as issued.
    #[must_use]
    pub fn forecast_ready(forecast: &Forecast) -> Self {
        let data = json!({
            "model_version": forecast.model_version,
            "forecast_start": forecast.forecast_start,
            "issued_at": forecast.issued_at,
            "data_watermark": forecast.data_watermark,
            "steps": forecast.points.len(),
            "quality": forecast.quality,
            "degraded": forecast.degraded,
        });
        Self { kind: EventKind::ForecastReady, series: forecast.series.clone(), data }
    }

    /// A version was trained and registered.
    #[must_use]
    pub fn model_trained(version: &ModelVersion) -> Self {
        let data = json!({
            "model_version": version.id,
            "family": version.recipe.family,
            "parent": version.parent,
            "metrics": version.metrics,
        });
        Self { kind: EventKind::ModelTrained, series: version.series.clone(), data }
    }

    /// A version became champion.
    #[must_use]
    pub fn model_promoted(version: &ModelVersion, reason: &str) -> Self {
        let data = json!({ "model_version": version.id, "alias": "champion", "reason": reason });
        Self { kind: EventKind::ModelPromoted, series: version.series.clone(), data }
    }
}

/// Where events wait. Cheap to clone: clones are one.
#[derive(Clone)]
pub struct Outbox {
    store: Backend,
    queue_max: u32,
    receivers: Cache<(), Arc<Vec<(String, Spec)>>>,
    news: Arc<Notify>,
}

impl Outbox {
    /// An outbox into a store.
    pub(crate) fn new(store: Backend, config: &Config) -> Self {
        // Receivers that another process added are seen as late as its writes.
        let ttl = Duration::from_millis(config.cache.series_ttl_ms);
        Self {
            store,
            queue_max: config.outward.webhooks.queue_max,
            receivers: Cache::builder().max_capacity(1).time_to_live(ttl).build(),
            news: Arc::default(),
        }
    }

    /// Forgets who is told of what.
    pub(crate) async fn forget(&self) {
        self.receivers.invalidate(&()).await;
    }

    /// Says that something is due.
    pub(crate) fn wake(&self) {
        self.news.notify_one();
    }

    /// Waits for that.
    pub(crate) async fn news(&self) {
        self.news.notified().await;
    }

    /// Keeps an event for all who want it. What led to it is done and must not fail for want of a postman: an event
    /// that cannot be kept is counted and logged.
    pub(crate) async fn tell(&self, event: &Event, now: Time) {
        let kind = event.kind.as_str();
        let lost = match self.keep(event, now).await {
            Ok(0) => return,
            Ok(lost) => {
                tracing::warn!(event = kind, lost, "too many deliveries wait: outward.webhooks.queue_max");
                lost
            }
            Err(error) => {
                tracing::error!(event = kind, %error, "an event could not be kept for its receivers");
                1
            }
        };
        metrics::counter!("forewatt_webhooks_lost_total", "event" => kind).increment(lost);
    }

    /// How many deliveries found no room.
    async fn keep(&self, event: &Event, now: Time) -> Result<u64> {
        let receivers = self.receivers().await?;
        let wants = |spec: &Spec| {
            spec.events.contains(&event.kind)
                && spec.series.as_ref().is_none_or(|series| *series == event.series)
        };
        let deliveries: Vec<DeliveryRecord> = receivers
            .iter()
            .filter(|(_, spec)| wants(spec))
            .map(|(webhook, _)| {
                let id = uuid::Uuid::now_v7().to_string();
                let body = json!({
                    "id": id, "event": event.kind, "series": event.series, "at": now, "data": event.data,
                });
                DeliveryRecord {
                    id,
                    webhook: webhook.clone(),
                    event: event.kind.as_str().to_owned(),
                    body: body.to_string(),
                    created_at: now,
                    due_at: now,
                    attempts: 0,
                    dead: false,
                    error: String::new(),
                }
            })
            .collect();
        if deliveries.is_empty() {
            return Ok(0);
        }
        let kept = self.store.add_deliveries(&deliveries, self.queue_max).await?;
        self.wake();
        Ok((deliveries.len() as u64).saturating_sub(kept))
    }

    /// Who is told of what, as remembered for a moment.
    async fn receivers(&self) -> Result<Arc<Vec<(String, Spec)>>> {
        if let Some(known) = self.receivers.get(&()).await {
            return Ok(known);
        }
        let records = self.store.list_webhooks(u32::MAX).await?;
        let read = records.iter().map(|record| Ok((record.id.clone(), spec_of(record)?)));
        let read = Arc::new(read.collect::<Result<Vec<_>>>()?);
        self.receivers.insert((), Arc::clone(&read)).await;
        Ok(read)
    }

    /// A receiver by its id; one that is not remembered is asked for once more, for another process may have added it.
    pub(crate) async fn receiver(&self, id: &str) -> Result<Option<Spec>> {
        let find =
            |all: &[(String, Spec)]| all.iter().find(|(known, _)| known == id).map(|(_, spec)| spec.clone());
        if let Some(spec) = find(&self.receivers().await?) {
            return Ok(Some(spec));
        }
        self.forget().await;
        Ok(find(&self.receivers().await?))
    }
}
