//! Webhooks: events told to receivers of one's choice, signed, durable, tried again, and never lost unseen.

mod deliver;
mod outbox;
pub mod signature;

use forewatt_domain::{SeriesName, Time};
use forewatt_store::{DeliveryRecord, WebhookRecord, WebhookStore};
use serde::{Deserialize, Serialize};

use crate::Service;
use crate::error::{Error, ErrorKind, Result};
pub use outbox::{Event, Outbox};

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// A forecast was computed and kept as issued.
    #[serde(rename = "forecast.ready")]
    ForecastReady,
    /// A model version was trained and registered.
    #[serde(rename = "model.trained")]
    ModelTrained,
    /// A version became champion.
    #[serde(rename = "model.promoted")]
    ModelPromoted,
}

impl EventKind {
    /// The words that name the events, in the order of the enum.
    pub const NAMES: [&'static str; 3] = ["forecast.ready", "model.trained", "model.promoted"];
    const ALL: [Self; 3] = [Self::ForecastReady, Self::ModelTrained, Self::ModelPromoted];

    /// The word that names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

impl std::str::FromStr for EventKind {
    type Err = Error;
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| {
            Error::invalid(format!("`{text}` is not an event: use one of {}", Self::NAMES.join(", ")))
        })
    }
}

/// Who wants to be told, and of what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWebhook {
    /// Where events are posted.
    pub url: String,
    /// Which; all when empty.
    pub events: Vec<EventKind>,
    /// Of which series; of all when absent.
    pub series: Option<SeriesName>,
}

/// A receiver of events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WebhookInfo {
    /// Its id.
    pub id: String,
    /// Where events are posted.
    pub url: String,
    /// Which.
    pub events: Vec<EventKind>,
    /// Of which series; of all when null.
    pub series: Option<SeriesName>,
    /// When it was added.
    pub created_at: Time,
    /// The key of the signatures: told once, when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

/// A dead letter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadLetter {
    /// The delivery's id.
    pub id: String,
    /// To whom it was.
    pub webhook: String,
    /// The event.
    pub event: String,
    /// What would have been sent.
    pub body: String,
    /// When it happened.
    pub created_at: Time,
    /// How often it was tried.
    pub attempts: u32,
    /// Why the last try failed.
    pub error: String,
}

/// A receiver as the store keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub url: String,
    pub events: Vec<EventKind>,
    #[serde(default)]
    pub series: Option<SeriesName>,
    pub secret: String,
}

impl Service {
    /// Adds a receiver; the answer alone has its secret.
    ///
    /// # Errors
    /// `InvalidInput` for a URL that may not be called, `TooLarge` beyond `outward.webhooks.webhooks_max`.
    pub async fn add_webhook(&self, new: NewWebhook) -> Result<WebhookInfo> {
        self.outward.webhooks.check_url(&new.url)?;
        let max = self.config.outward.webhooks.webhooks_max;
        if self.store.list_webhooks(u32::MAX).await?.len() >= max {
            let message =
                format!("there are {max} webhooks already (outward.webhooks.webhooks_max): remove one");
            return Err(Error::new(ErrorKind::TooLarge, message));
        }
        let events = if new.events.is_empty() { EventKind::ALL.to_vec() } else { new.events };
        let secret = signature::new_secret()?;
        let spec = Spec { url: new.url, events, series: new.series, secret: secret.clone() };
        let record = WebhookRecord {
            id: uuid::Uuid::now_v7().to_string(),
            spec: serde_json::to_value(&spec)
                .map_err(|error| Error::internal(format!("encoding a webhook: {error}")))?,
            created_at: self.now(),
        };
        self.store.put_webhook(&record).await?;
        self.note_change("add webhook", &record.id).await?;
        self.outbox.forget().await;
        Ok(WebhookInfo { secret: Some(secret), ..info_of(&record)? })
    }

    /// All receivers, without their secrets.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn list_webhooks(&self) -> Result<Vec<WebhookInfo>> {
        self.store.list_webhooks(self.config.limits.list_max).await?.iter().map(info_of).collect()
    }

    /// Takes a receiver away, and what still waits for it.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn remove_webhook(&self, id: &str) -> Result<()> {
        let removed = self.store.remove_webhook(id).await?;
        self.outbox.forget().await;
        if removed {
            return self.note_change("remove webhook", id).await;
        }
        let message = format!("there is no webhook `{id}`; `forewatt webhooks list` shows what there is");
        Err(Error::new(ErrorKind::NotFound, message))
    }

    /// Dead letters, the oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn dead_letters(&self, limit: Option<u32>) -> Result<Vec<DeadLetter>> {
        let limit = limit.unwrap_or(100).min(self.config.limits.list_max);
        let dead = |record: DeliveryRecord| DeadLetter {
            id: record.id,
            webhook: record.webhook,
            event: record.event,
            body: record.body,
            created_at: record.created_at,
            attempts: record.attempts,
            error: record.error,
        };
        Ok(self.store.list_deliveries(true, limit).await?.into_iter().map(dead).collect())
    }

    /// Sends a dead letter on its way again.
    ///
    /// # Errors
    /// `NotFound`.
    pub async fn replay_dead_letter(&self, id: &str) -> Result<()> {
        if self.store.replay_delivery(id, self.now()).await? {
            self.outbox.wake();
            return Ok(());
        }
        let message = format!("there is no dead letter `{id}`; `forewatt webhooks dead` shows what there is");
        Err(Error::new(ErrorKind::NotFound, message))
    }
}

/// What the store holds as a receiver.
fn spec_of(record: &WebhookRecord) -> Result<Spec> {
    serde_json::from_value(record.spec.clone())
        .map_err(|error| Error::internal(format!("the webhook `{}` cannot be read back: {error}", record.id)))
}

fn info_of(record: &WebhookRecord) -> Result<WebhookInfo> {
    let Spec { url, events, series, .. } = spec_of(record)?;
    Ok(WebhookInfo {
        id: record.id.clone(),
        url,
        events,
        series,
        created_at: record.created_at,
        secret: None,
    })
}
