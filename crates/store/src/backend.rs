//! The backend the service is built on: whichever the configuration names.

use std::collections::BTreeMap;

use forewatt_domain::{Alias, Forecast, ModelVersion, Observation, Series, SeriesName, Time, VersionId};

use crate::outward::{DeliveryEnd, DeliveryRecord, SourceRecord, SourceStore, WebhookRecord, WebhookStore};
use crate::{
    AliasMove, AuditEntry, AuditStore, ForecastKey, ForecastQuery, ForecastStore, IdentityStore, IssuedPoint,
    JobRecord, JobStore, KeyRecord, KeyStore, Label, LabelKey, LabelStore, NewVersion, ObservationRange,
    ObservationStore, PoolStatus, Postgres, QualityRecord, QualityStore, Result, SeriesState, SeriesStore,
    Sqlite, Upkeep, UpkeepDone, UpkeepStore, VersionStore, WriteOutcome,
};

/// A store of either kind. Cheap to clone.
#[derive(Debug, Clone)]
pub enum Backend {
    /// In one file.
    Sqlite(Sqlite),
    /// In a database server.
    Postgres(Postgres),
}

impl From<Sqlite> for Backend {
    fn from(store: Sqlite) -> Self {
        Self::Sqlite(store)
    }
}

impl From<Postgres> for Backend {
    fn from(store: Postgres) -> Self {
        Self::Postgres(store)
    }
}

/// Passes a call on to the store inside.
macro_rules! ask {
    ($backend:expr, $store:ident => $call:expr) => {
        match $backend {
            Backend::Sqlite($store) => $call.await,
            Backend::Postgres($store) => $call.await,
        }
    };
}

impl Backend {
    /// Asks the database for a row, for health checks.
    ///
    /// # Errors
    /// Whatever keeps a read from being answered.
    pub async fn ping(&self) -> Result<()> {
        ask!(self, s => s.ping())
    }

    /// Waits for running statements and closes. Later calls fail.
    pub async fn close(&self) {
        ask!(self, s => s.close());
    }

    /// How connections to database servers are used now, by name; none for a file.
    #[must_use]
    pub fn pools(&self) -> Vec<(&'static str, PoolStatus)> {
        match self {
            Self::Sqlite(_) => Vec::new(),
            Self::Postgres(store) => store.pools(),
        }
    }
}

impl SeriesStore for Backend {
    async fn put_series(&self, series: &Series, now: Time) -> Result<()> {
        ask!(self, s => s.put_series(series, now))
    }
    async fn get_series(&self, name: &SeriesName) -> Result<Option<(Series, SeriesState)>> {
        ask!(self, s => s.get_series(name))
    }
    async fn list_series(
        &self,
        after: Option<&SeriesName>,
        limit: u32,
    ) -> Result<Vec<(Series, SeriesState)>> {
        ask!(self, s => s.list_series(after, limit))
    }
}

impl ObservationStore for Backend {
    async fn write_observations(&self, series: &SeriesName, given: &[Observation]) -> Result<WriteOutcome> {
        ask!(self, s => s.write_observations(series, given))
    }
    async fn read_as_of(&self, range: &ObservationRange, at: Time) -> Result<Vec<Observation>> {
        ask!(self, s => s.read_as_of(range, at))
    }
    async fn read_revisions(&self, range: &ObservationRange) -> Result<Vec<Observation>> {
        ask!(self, s => s.read_revisions(range))
    }
}

impl ForecastStore for Backend {
    async fn put_forecast(&self, forecast: &Forecast) -> Result<()> {
        ask!(self, s => s.put_forecast(forecast))
    }
    async fn read_forecasts(
        &self,
        series: &SeriesName,
        query: ForecastQuery,
        limit: u32,
    ) -> Result<Vec<IssuedPoint>> {
        ask!(self, s => s.read_forecasts(series, query, limit))
    }
    async fn list_forecasts(
        &self,
        series: &SeriesName,
        after: Option<&ForecastKey>,
        limit: u32,
    ) -> Result<Vec<Forecast>> {
        ask!(self, s => s.list_forecasts(series, after, limit))
    }
    async fn read_issued_by(
        &self,
        version: &VersionId,
        range: &ObservationRange,
        limit: u32,
    ) -> Result<Vec<IssuedPoint>> {
        ask!(self, s => s.read_issued_by(version, range, limit))
    }
}

impl VersionStore for Backend {
    async fn add_version(&self, version: NewVersion) -> Result<ModelVersion> {
        ask!(self, s => s.add_version(version))
    }
    async fn get_version(&self, id: &VersionId) -> Result<Option<ModelVersion>> {
        ask!(self, s => s.get_version(id))
    }
    async fn list_versions(&self, series: Option<&SeriesName>, limit: u32) -> Result<Vec<ModelVersion>> {
        ask!(self, s => s.list_versions(series, limit))
    }
    async fn aliases(&self, series: &SeriesName) -> Result<BTreeMap<Alias, VersionId>> {
        ask!(self, s => s.aliases(series))
    }
    async fn set_alias(
        &self,
        series: &SeriesName,
        alias: Alias,
        id: &VersionId,
        now: Time,
        reason: &str,
    ) -> Result<()> {
        ask!(self, s => s.set_alias(series, alias, id, now, reason))
    }
    async fn alias_moves(&self, series: &SeriesName, limit: u32) -> Result<Vec<AliasMove>> {
        ask!(self, s => s.alias_moves(series, limit))
    }
    async fn put_artifact(&self, bytes: &[u8]) -> Result<String> {
        ask!(self, s => s.put_artifact(bytes))
    }
    async fn get_artifact(&self, sha256: &str) -> Result<Vec<u8>> {
        ask!(self, s => s.get_artifact(sha256))
    }
}

impl QualityStore for Backend {
    async fn put_quality(&self, record: &QualityRecord) -> Result<()> {
        ask!(self, s => s.put_quality(record))
    }
    async fn latest_quality(&self, series: &SeriesName) -> Result<Option<QualityRecord>> {
        ask!(self, s => s.latest_quality(series))
    }
}

impl JobStore for Backend {
    async fn put_job(&self, job: &JobRecord) -> Result<()> {
        ask!(self, s => s.put_job(job))
    }
    async fn get_job(&self, id: &str) -> Result<Option<JobRecord>> {
        ask!(self, s => s.get_job(id))
    }
    async fn list_jobs(&self, limit: u32) -> Result<Vec<JobRecord>> {
        ask!(self, s => s.list_jobs(limit))
    }
    async fn fail_orphans(&self, now: Time, message: &str) -> Result<u64> {
        ask!(self, s => s.fail_orphans(now, message))
    }
}

impl UpkeepStore for Backend {
    async fn upkeep(&self, upkeep: &Upkeep) -> Result<UpkeepDone> {
        ask!(self, s => s.upkeep(upkeep))
    }
}

impl SourceStore for Backend {
    async fn put_source(&self, source: &SourceRecord) -> Result<()> {
        ask!(self, s => s.put_source(source))
    }
    async fn list_sources(&self, limit: u32) -> Result<Vec<SourceRecord>> {
        ask!(self, s => s.list_sources(limit))
    }
    async fn remove_source(&self, name: &str) -> Result<bool> {
        ask!(self, s => s.remove_source(name))
    }
    async fn take_due_source(&self, now: Time, until: Time) -> Result<Option<SourceRecord>> {
        ask!(self, s => s.take_due_source(now, until))
    }
    async fn end_source_run(
        &self,
        name: &str,
        due_at: Time,
        failures: u32,
        last: &serde_json::Value,
    ) -> Result<()> {
        ask!(self, s => s.end_source_run(name, due_at, failures, last))
    }
}

impl WebhookStore for Backend {
    async fn put_webhook(&self, webhook: &WebhookRecord) -> Result<()> {
        ask!(self, s => s.put_webhook(webhook))
    }
    async fn list_webhooks(&self, limit: u32) -> Result<Vec<WebhookRecord>> {
        ask!(self, s => s.list_webhooks(limit))
    }
    async fn remove_webhook(&self, id: &str) -> Result<bool> {
        ask!(self, s => s.remove_webhook(id))
    }
    async fn add_deliveries(&self, deliveries: &[DeliveryRecord], waiting_max: u32) -> Result<u64> {
        ask!(self, s => s.add_deliveries(deliveries, waiting_max))
    }
    async fn take_due_deliveries(&self, now: Time, until: Time, limit: u32) -> Result<Vec<DeliveryRecord>> {
        ask!(self, s => s.take_due_deliveries(now, until, limit))
    }
    async fn end_delivery(&self, id: &str, end: &DeliveryEnd) -> Result<()> {
        ask!(self, s => s.end_delivery(id, end))
    }
    async fn list_deliveries(&self, dead: bool, limit: u32) -> Result<Vec<DeliveryRecord>> {
        ask!(self, s => s.list_deliveries(dead, limit))
    }
    async fn replay_delivery(&self, id: &str, now: Time) -> Result<bool> {
        ask!(self, s => s.replay_delivery(id, now))
    }
}

impl LabelStore for Backend {
    async fn put_label(&self, label: &Label) -> Result<()> {
        ask!(self, s => s.put_label(label))
    }
    async fn remove_label(&self, key: &LabelKey) -> Result<bool> {
        ask!(self, s => s.remove_label(key))
    }
    async fn labels(&self, series: &SeriesName) -> Result<Vec<Label>> {
        ask!(self, s => s.labels(series))
    }
}

impl IdentityStore for Backend {
    async fn identity(&self) -> Result<String> {
        ask!(self, s => s.identity())
    }
    async fn renew_identity(&self) -> Result<()> {
        ask!(self, s => s.renew_identity())
    }
}

impl KeyStore for Backend {
    async fn add_key(&self, key: &KeyRecord) -> Result<()> {
        ask!(self, s => s.add_key(key))
    }
    async fn get_key(&self, id: &str) -> Result<Option<KeyRecord>> {
        ask!(self, s => s.get_key(id))
    }
    async fn list_keys(&self, limit: u32) -> Result<Vec<KeyRecord>> {
        ask!(self, s => s.list_keys(limit))
    }
    async fn revoke_key(&self, id: &str, at: Time) -> Result<()> {
        ask!(self, s => s.revoke_key(id, at))
    }
    async fn rotate_key(&self, id: &str, ends_at: Time, next: &KeyRecord) -> Result<()> {
        ask!(self, s => s.rotate_key(id, ends_at, next))
    }
}

impl AuditStore for Backend {
    async fn append_audit(&self, entries: &[AuditEntry]) -> Result<()> {
        ask!(self, s => s.append_audit(entries))
    }
    async fn list_audit(&self, since: Option<Time>, limit: u32) -> Result<Vec<AuditEntry>> {
        ask!(self, s => s.list_audit(since, limit))
    }
}
