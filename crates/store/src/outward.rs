//! What is fetched from others and told to others: rows, and the traits of both nouns.

use std::future::Future;

use forewatt_domain::Time;

use crate::Result;

/// A place that data are fetched from, and when next.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceRecord {
    /// Its name.
    pub name: String,
    /// What is fetched, as the service wrote it.
    pub spec: serde_json::Value,
    /// When it is fetched next.
    pub due_at: Time,
    /// How often it has failed in a row.
    pub failures: u32,
    /// How the last run ended, as the service wrote it.
    pub last: Option<serde_json::Value>,
}

/// Somebody who is told of events.
#[derive(Debug, Clone, PartialEq)]
pub struct WebhookRecord {
    /// A UUID (version 7).
    pub id: String,
    /// Where, what and with which secret, as the service wrote it.
    pub spec: serde_json::Value,
    /// When it was added.
    pub created_at: Time,
}

/// An event on its way to one receiver.
#[derive(Debug, Clone, PartialEq)]
pub struct DeliveryRecord {
    /// A UUID (version 7).
    pub id: String,
    /// To whom.
    pub webhook: String,
    /// The event's name.
    pub event: String,
    /// The bytes that are sent.
    pub body: String,
    /// When it happened.
    pub created_at: Time,
    /// When it is tried next.
    pub due_at: Time,
    /// How often it was tried.
    pub attempts: u32,
    /// Whether it is given up until somebody replays it.
    pub dead: bool,
    /// Why the last try failed; empty before.
    pub error: String,
}

/// How a try ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeliveryEnd {
    /// It arrived: nothing is kept.
    Done,
    /// It is to be tried again.
    Again {
        /// When.
        at: Time,
        /// Why.
        error: String,
    },
    /// It is given up.
    Dead {
        /// Why.
        error: String,
        /// How many dead letters are kept; the oldest make room.
        keep: u32,
    },
}

/// Places that data are fetched from.
pub trait SourceStore {
    /// Adds a source, or takes the place of the one of that name.
    fn put_source(&self, source: &SourceRecord) -> impl Future<Output = Result<()>> + Send;
    /// All by name, at most `limit`.
    fn list_sources(&self, limit: u32) -> impl Future<Output = Result<Vec<SourceRecord>>> + Send;
    /// Takes it away; whether there was one.
    fn remove_source(&self, name: &str) -> impl Future<Output = Result<bool>> + Send;
    /// The one that has been due the longest at `now`, if any; nobody else gets it before `until`.
    fn take_due_source(
        &self,
        now: Time,
        until: Time,
    ) -> impl Future<Output = Result<Option<SourceRecord>>> + Send;
    /// Keeps how a run ended; nothing when the source was taken away meanwhile.
    fn end_source_run(
        &self,
        name: &str,
        due_at: Time,
        failures: u32,
        last: &serde_json::Value,
    ) -> impl Future<Output = Result<()>> + Send;
}

/// Receivers of events, and events on their way.
pub trait WebhookStore {
    /// Adds a receiver, or takes the place of the one of that id.
    fn put_webhook(&self, webhook: &WebhookRecord) -> impl Future<Output = Result<()>> + Send;
    /// All by id, at most `limit`.
    fn list_webhooks(&self, limit: u32) -> impl Future<Output = Result<Vec<WebhookRecord>>> + Send;
    /// Takes a receiver and its deliveries away; whether there was one.
    fn remove_webhook(&self, id: &str) -> impl Future<Output = Result<bool>> + Send;
    /// Adds those that fit: no more than `waiting_max` wait. Those whose receiver is gone, or that are there already,
    /// are left out. Returns how many were added.
    fn add_deliveries(
        &self,
        deliveries: &[DeliveryRecord],
        waiting_max: u32,
    ) -> impl Future<Output = Result<u64>> + Send;
    /// Those due at `now`, the longest due first, at most `limit`, each with one more attempt; nobody else gets them
    /// before `until`.
    fn take_due_deliveries(
        &self,
        now: Time,
        until: Time,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<DeliveryRecord>>> + Send;
    /// Keeps how a try ended; nothing when the delivery is gone.
    fn end_delivery(&self, id: &str, end: &DeliveryEnd) -> impl Future<Output = Result<()>> + Send;
    /// Dead letters or those that wait, by id, at most `limit`.
    fn list_deliveries(
        &self,
        dead: bool,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<DeliveryRecord>>> + Send;
    /// Sends a dead letter on its way again, from its first attempt; whether there was one.
    fn replay_delivery(&self, id: &str, now: Time) -> impl Future<Output = Result<bool>> + Send;
}
