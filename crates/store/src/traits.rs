//! One trait per noun. A backend is whatever implements them all and passes the contract suite.

use std::collections::BTreeMap;
use std::future::Future;

use forewatt_domain::{Alias, Forecast, ModelVersion, Observation, Series, SeriesName, Time, VersionId};

use crate::Result;
use crate::rows::{
    AliasMove, ForecastKey, ForecastQuery, IssuedPoint, JobRecord, NewVersion, ObservationRange,
    QualityRecord, SeriesState, Upkeep, UpkeepDone, WriteOutcome,
};

/// Series and how far their data reach.
pub trait SeriesStore {
    /// Creates the series, or changes its description when it exists. A changed resolution is a [`crate::Error::Conflict`]
    /// once observations are stored.
    fn put_series(&self, series: &Series, now: Time) -> impl Future<Output = Result<()>> + Send;
    /// One series and its state; `None` when there is none of that name.
    fn get_series(
        &self,
        name: &SeriesName,
    ) -> impl Future<Output = Result<Option<(Series, SeriesState)>>> + Send;
    /// All series by name, at most `limit`, from the name after `after` on.
    fn list_series(
        &self,
        after: Option<&SeriesName>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<(Series, SeriesState)>>> + Send;
}

/// Observations with all their revisions.
pub trait ObservationStore {
    /// Writes observations in one durable transaction. Idempotent: see [`WriteOutcome`].
    fn write_observations(
        &self,
        series: &SeriesName,
        observations: &[Observation],
    ) -> impl Future<Output = Result<WriteOutcome>> + Send;
    /// For every valid time in the range, the newest value known at `at`; equals [`forewatt_domain::observation::as_of`].
    fn read_as_of(
        &self,
        range: &ObservationRange,
        at: Time,
    ) -> impl Future<Output = Result<Vec<Observation>>> + Send;
    /// Every revision in the range, by valid time and availability.
    fn read_revisions(
        &self,
        range: &ObservationRange,
    ) -> impl Future<Output = Result<Vec<Observation>>> + Send;
}

/// Forecasts as they were issued.
pub trait ForecastStore {
    /// Keeps an issued forecast. The same series, version, forecast start and issue time again: nothing changes.
    fn put_forecast(&self, forecast: &Forecast) -> impl Future<Output = Result<()>> + Send;
    /// Reads issued forecasts back, by valid time; at most `limit` points.
    fn read_forecasts(
        &self,
        series: &SeriesName,
        query: ForecastQuery,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<IssuedPoint>>> + Send;
    /// A series' forecasts as they were put, by forecast start, issue and version, from the one after `after` on; at
    /// most `limit` forecasts.
    fn list_forecasts(
        &self,
        series: &SeriesName,
        after: Option<&ForecastKey>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Forecast>>> + Send;
    /// Everything a version issued for valid times in the range, by forecast start, issue and valid time; at most
    /// `limit` points.
    fn read_issued_by(
        &self,
        version: &VersionId,
        range: &ObservationRange,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<IssuedPoint>>> + Send;
}

/// Model versions, their artifacts and aliases.
pub trait VersionStore {
    /// Registers a version under the series' next number. Its artifact must be kept already, its parent be
    /// registered and its metrics be finite.
    fn add_version(&self, version: NewVersion) -> impl Future<Output = Result<ModelVersion>> + Send;
    /// One version.
    fn get_version(&self, id: &VersionId) -> impl Future<Output = Result<Option<ModelVersion>>> + Send;
    /// Versions, newest first; of one series or of all; at most `limit`.
    fn list_versions(
        &self,
        series: Option<&SeriesName>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<ModelVersion>>> + Send;
    /// Which version each alias of a series names.
    fn aliases(&self, series: &SeriesName)
    -> impl Future<Output = Result<BTreeMap<Alias, VersionId>>> + Send;
    /// Moves an alias; the move, its time and its reason are kept. Moving it to where it is changes nothing.
    fn set_alias(
        &self,
        series: &SeriesName,
        alias: Alias,
        id: &VersionId,
        now: Time,
        reason: &str,
    ) -> impl Future<Output = Result<()>> + Send;
    /// How a series' aliases moved, the latest move first, at most `limit`.
    fn alias_moves(
        &self,
        series: &SeriesName,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<AliasMove>>> + Send;
    /// Keeps an artifact's bytes under their SHA-256 (hex), which it returns.
    fn put_artifact(&self, bytes: &[u8]) -> impl Future<Output = Result<String>> + Send;
    /// An artifact's bytes, verified against their address.
    fn get_artifact(&self, sha256: &str) -> impl Future<Output = Result<Vec<u8>>> + Send;
}

/// Quality checks.
pub trait QualityStore {
    /// Keeps a check's result.
    fn put_quality(&self, record: &QualityRecord) -> impl Future<Output = Result<()>> + Send;
    /// The newest result for a series.
    fn latest_quality(
        &self,
        series: &SeriesName,
    ) -> impl Future<Output = Result<Option<QualityRecord>>> + Send;
}

/// Background jobs.
pub trait JobStore {
    /// Creates or updates a job's record.
    fn put_job(&self, job: &JobRecord) -> impl Future<Output = Result<()>> + Send;
    /// One job.
    fn get_job(&self, id: &str) -> impl Future<Output = Result<Option<JobRecord>>> + Send;
    /// Jobs, newest first, at most `limit`.
    fn list_jobs(&self, limit: u32) -> impl Future<Output = Result<Vec<JobRecord>>> + Send;
    /// Marks every job that a stopped process left queued or running as failed; returns how many.
    fn fail_orphans(&self, now: Time, message: &str) -> impl Future<Output = Result<u64>> + Send;
}

/// Which store this is.
pub trait IdentityStore {
    /// 32 hex digits by which caches tell this store from every other. A copy of a store has its identity until it is
    /// renewed.
    fn identity(&self) -> impl Future<Output = Result<String>> + Send;
    /// Gives it a new one: after a restore, and whenever revisions may name other data than they did.
    fn renew_identity(&self) -> impl Future<Output = Result<()>> + Send;
}

/// What is done now and then.
pub trait UpkeepStore {
    /// Lets go of observations that are older than their series' kind is kept, and makes room for those to come. A
    /// series that lost some has a new revision; its `last_available_at` stays. Another node at the same work: nothing.
    fn upkeep(&self, upkeep: &Upkeep) -> impl Future<Output = Result<UpkeepDone>> + Send;
}
