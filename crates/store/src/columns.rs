//! From rows to what they hold, the same for both databases: each says how it keeps instants and lists of numbers.

use std::fmt::Display;
use std::str::FromStr;

use forewatt_domain::{
    Forecast, ForecastPoint, Location, ModelVersion, QuantileLevels, Resolution, Series, SeriesName, Time,
    VersionId,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::given::{state_of, undecodable};
use crate::{
    AliasMove, AuditEntry, DeliveryRecord, Error, IssuedPoint, JobRecord, KeyRecord, QualityRecord, Result,
    SeriesState, SourceRecord, WebhookRecord,
};

/// A row whose columns are asked by their place.
pub(crate) trait Columns {
    /// A text that is there.
    fn text(&self, column: usize) -> sqlx::Result<&str>;
    /// A text that may be missing.
    fn maybe_text(&self, column: usize) -> sqlx::Result<Option<&str>>;
    /// A whole number.
    fn integer(&self, column: usize) -> sqlx::Result<i64>;
    /// Yes or no.
    fn flag(&self, column: usize) -> sqlx::Result<bool>;
    /// A number.
    fn number(&self, column: usize) -> sqlx::Result<f64>;
    /// A number that may be missing.
    fn maybe_number(&self, column: usize) -> sqlx::Result<Option<f64>>;
    /// An instant that may be missing.
    fn maybe_time(&self, column: usize) -> sqlx::Result<Option<Time>>;
    /// A list of numbers.
    fn numbers(&self, column: usize) -> sqlx::Result<Vec<f64>>;
    /// An instant.
    fn instant(&self, column: usize) -> sqlx::Result<Time>;
}

/// A text column as the type it was written from.
pub(crate) fn parse<T: FromStr<Err: Display>>(row: &impl Columns, column: usize) -> sqlx::Result<T> {
    row.text(column)?.parse().map_err(undecodable)
}

/// A column that counts something.
pub(crate) fn count(row: &impl Columns, column: usize) -> sqlx::Result<u64> {
    u64::try_from(row.integer(column)?).map_err(undecodable)
}

/// A column that holds an instant.
pub(crate) fn time(row: &impl Columns, column: usize) -> sqlx::Result<Time> {
    row.instant(column)
}

/// A column that holds JSON, read as text.
pub(crate) fn json<T: DeserializeOwned>(row: &impl Columns, column: usize) -> sqlx::Result<T> {
    serde_json::from_str(row.text(column)?).map_err(undecodable)
}

/// A value as JSON text for a column.
pub(crate) fn to_json<T: Serialize>(value: &T) -> Result<String> {
    let failed = |e| Error::Backend { detail: format!("a value does not become JSON: {e}") };
    serde_json::to_string(value).map_err(failed)
}

/// A column that counts little.
fn small(row: &impl Columns, column: usize) -> sqlx::Result<u32> {
    u32::try_from(row.integer(column)?).map_err(undecodable)
}

fn maybe_owned(row: &impl Columns, column: usize) -> sqlx::Result<Option<String>> {
    Ok(row.maybe_text(column)?.map(str::to_owned))
}

fn maybe_json(row: &impl Columns, column: usize) -> sqlx::Result<Option<serde_json::Value>> {
    row.maybe_text(column)?.map(serde_json::from_str).transpose().map_err(undecodable)
}

fn owned(row: &impl Columns, column: usize) -> sqlx::Result<String> {
    row.text(column).map(str::to_owned)
}

/// A column that names a model version.
pub(crate) fn version_id(row: &impl Columns, column: usize) -> sqlx::Result<VersionId> {
    to_version_id(row.text(column)?)
}

fn to_version_id(text: &str) -> sqlx::Result<VersionId> {
    VersionId::from_text(text).ok_or_else(|| undecodable(format!("`{text}` is not a version id")))
}

/// Name, kind, unit, resolution, zone, latitude, longitude, holiday region, parent; revision, number of observations,
/// first and last valid time, last time of knowledge.
pub(crate) fn series(row: &impl Columns) -> sqlx::Result<(Series, SeriesState)> {
    let location = match (row.maybe_number(5)?, row.maybe_number(6)?) {
        (Some(latitude), Some(longitude)) => Some(Location::new(latitude, longitude).map_err(undecodable)?),
        _ => None,
    };
    let parent = row.maybe_text(8)?;
    let series = Series {
        name: parse(row, 0)?,
        kind: parse(row, 1)?,
        unit: owned(row, 2)?,
        resolution: Resolution::from_seconds(row.integer(3)?).map_err(undecodable)?,
        time_zone: parse(row, 4)?,
        location,
        holiday_region: maybe_owned(row, 7)?,
        parent: parent.map(str::parse::<SeriesName>).transpose().map_err(undecodable)?,
    };
    let state = SeriesState {
        revision: count(row, 9)?,
        observations: count(row, 10)?,
        first_valid_time: row.maybe_time(11)?,
        last_valid_time: row.maybe_time(12)?,
        last_available_at: row.maybe_time(13)?,
    };
    Ok((series, state))
}

/// Id, kind, payload, state, progress, message, result, created, updated.
pub(crate) fn job(row: &impl Columns) -> sqlx::Result<JobRecord> {
    Ok(JobRecord {
        id: owned(row, 0)?,
        kind: owned(row, 1)?,
        payload: json(row, 2)?,
        state: state_of(row.text(3)?)?,
        progress: row.number(4)?,
        message: owned(row, 5)?,
        result: maybe_json(row, 6)?,
        created_at: time(row, 7)?,
        updated_at: time(row, 8)?,
    })
}

/// When it was checked, the revision, the score, what was found.
pub(crate) fn quality(row: &impl Columns, series: &SeriesName) -> sqlx::Result<QualityRecord> {
    Ok(QualityRecord {
        series: series.clone(),
        checked_at: time(row, 0)?,
        revision: count(row, 1)?,
        score: row.number(2)?,
        findings: json(row, 3)?,
    })
}

/// Name, series, recipe and its id, parent; created, trained from and to, as of; metrics, notes; the artifact's address
/// and bytes.
pub(crate) fn version(row: &impl Columns) -> sqlx::Result<ModelVersion> {
    Ok(ModelVersion {
        id: version_id(row, 0)?,
        series: parse(row, 1)?,
        recipe: json(row, 2)?,
        recipe_id: owned(row, 3)?,
        parent: row.maybe_text(4)?.map(to_version_id).transpose()?,
        created_at: time(row, 5)?,
        trained_from: time(row, 6)?,
        trained_to: time(row, 7)?,
        as_of: time(row, 8)?,
        metrics: json(row, 9)?,
        notes: json(row, 10)?,
        artifact_sha256: owned(row, 11)?,
        artifact_bytes: count(row, 12)?,
    })
}

/// Alias, version, the version before, when, why.
pub(crate) fn alias_move(row: &impl Columns) -> sqlx::Result<AliasMove> {
    Ok(AliasMove {
        alias: parse(row, 0)?,
        to: version_id(row, 1)?,
        from: row.maybe_text(2)?.map(to_version_id).transpose()?,
        moved_at: time(row, 3)?,
        reason: owned(row, 4)?,
    })
}

/// The key of the points, and the forecast without them: start, issued, version, watermark, unit, quality, degraded,
/// levels.
pub(crate) fn forecast(row: &impl Columns, series: &SeriesName) -> sqlx::Result<(i64, Forecast)> {
    let forecast = Forecast {
        series: series.clone(),
        forecast_start: time(row, 1)?,
        issued_at: time(row, 2)?,
        model_version: version_id(row, 3)?,
        data_watermark: time(row, 4)?,
        unit: owned(row, 5)?,
        quality: row.number(6)?,
        degraded: maybe_owned(row, 7)?,
        levels: QuantileLevels::new(row.numbers(8)?).map_err(undecodable)?,
        points: Vec::new(),
    };
    Ok((row.integer(0)?, forecast))
}

/// Valid time, mean, quantiles.
pub(crate) fn forecast_point(row: &impl Columns) -> sqlx::Result<ForecastPoint> {
    Ok(ForecastPoint { valid_time: time(row, 0)?, mean: row.number(1)?, quantiles: row.numbers(2)? })
}

/// Start, issued, version, valid time, mean, levels, quantiles.
pub(crate) fn issued_point(row: &impl Columns) -> sqlx::Result<IssuedPoint> {
    Ok(IssuedPoint {
        forecast_start: time(row, 0)?,
        issued_at: time(row, 1)?,
        model_version: version_id(row, 2)?,
        valid_time: time(row, 3)?,
        mean: row.number(4)?,
        levels: row.numbers(5)?,
        quantiles: row.numbers(6)?,
    })
}

/// Id, name, digest, scopes, series; created, expires, revoked; successor.
pub(crate) fn key(row: &impl Columns) -> sqlx::Result<KeyRecord> {
    Ok(KeyRecord {
        id: owned(row, 0)?,
        name: owned(row, 1)?,
        sha256: owned(row, 2)?,
        scopes: json(row, 3)?,
        series: json(row, 4)?,
        created_at: time(row, 5)?,
        expires_at: row.maybe_time(6)?,
        revoked_at: row.maybe_time(7)?,
        successor: maybe_owned(row, 8)?,
    })
}

/// When, who, what, how it ended, series, before, after, request, number.
pub(crate) fn audit_entry(row: &impl Columns) -> sqlx::Result<AuditEntry> {
    Ok(AuditEntry {
        at: time(row, 0)?,
        actor: owned(row, 1)?,
        action: owned(row, 2)?,
        outcome: owned(row, 3)?,
        series: row.maybe_text(4)?.map(str::parse::<SeriesName>).transpose().map_err(undecodable)?,
        before: maybe_owned(row, 5)?,
        after: maybe_owned(row, 6)?,
        request_id: owned(row, 7)?,
        count: small(row, 8)?,
    })
}

/// Name, what it is, when due, failures, the last run.
pub(crate) fn source(row: &impl Columns) -> sqlx::Result<SourceRecord> {
    Ok(SourceRecord {
        name: owned(row, 0)?,
        spec: json(row, 1)?,
        due_at: time(row, 2)?,
        failures: small(row, 3)?,
        last: maybe_json(row, 4)?,
    })
}

/// Id, what it is, when it was made.
pub(crate) fn webhook(row: &impl Columns) -> sqlx::Result<WebhookRecord> {
    Ok(WebhookRecord { id: owned(row, 0)?, spec: json(row, 1)?, created_at: time(row, 2)? })
}

/// Id, receiver, event, body, created, due, attempts, whether dead, the last error.
pub(crate) fn delivery(row: &impl Columns) -> sqlx::Result<DeliveryRecord> {
    Ok(DeliveryRecord {
        id: owned(row, 0)?,
        webhook: owned(row, 1)?,
        event: owned(row, 2)?,
        body: owned(row, 3)?,
        created_at: time(row, 4)?,
        due_at: time(row, 5)?,
        attempts: small(row, 6)?,
        dead: row.flag(7)?,
        error: owned(row, 8)?,
    })
}
