//! Issued forecasts in SQLite.
//!
//! "As of" and "fixed lead" walk the valid times of the range and seek one answer for each in an index, so a
//! read costs the same whether a valid time was forecast once or a thousand times.

use forewatt_domain::{Forecast, SeriesName, Time, VersionId};
use sqlx::sqlite::SqliteRow;
use sqlx::{AssertSqlSafe, SqliteConnection};

use super::Sqlite;
use super::failure::when;
use super::row::to_blob;
use super::series::id_of;
use crate::columns;
use crate::given::check_forecast;
use crate::{ForecastKey, ForecastQuery, ForecastStore, IssuedPoint, ObservationRange, Result};

const INSERT: &str = "INSERT INTO forecast (series_id, forecast_start, issued_at, model_version, data_watermark, \
                      unit, quality, degraded, levels) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9) \
                      ON CONFLICT DO NOTHING RETURNING id";
const INSERT_POINT: &str = "INSERT INTO forecast_point (forecast_id, valid_time, series_id, forecast_start, \
                            issued_at, mean, quantiles) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

macro_rules! select_points {
    ($rest:expr) => {
        concat!(
            "SELECT f.forecast_start, f.issued_at, f.model_version, p.valid_time, p.mean, f.levels, p.quantiles ",
            $rest
        )
    };
}
pub(super) const BY_START: &str = select_points!(
    "FROM forecast f JOIN forecast_point p ON p.forecast_id = f.id WHERE f.id = (\
     SELECT id FROM forecast WHERE forecast_start = ?2 \
     AND series_id = (SELECT id FROM series WHERE name = ?1) ORDER BY issued_at DESC, id DESC LIMIT 1) \
     ORDER BY p.valid_time LIMIT ?3"
);
/// ?1 series, ?2 from, ?3 to, ?4 what the condition needs, ?5 limit. `valid` steps from one valid time to the
/// next in the index; the subquery takes the newest forecast for it, and among equals the one stored last.
macro_rules! newest_for_each_valid_time {
    ($condition:literal, $newest_first:literal) => {
        concat!(
            "WITH RECURSIVE target (id) AS (SELECT id FROM series WHERE name = ?1), valid (t) AS (\
             SELECT min(valid_time) FROM forecast_point \
             WHERE series_id = (SELECT id FROM target) AND valid_time >= ?2 AND valid_time < ?3 \
             UNION ALL SELECT (SELECT min(valid_time) FROM forecast_point \
             WHERE series_id = (SELECT id FROM target) AND valid_time > t AND valid_time < ?3) \
             FROM valid WHERE t IS NOT NULL) ",
            select_points!("FROM valid CROSS JOIN forecast f CROSS JOIN forecast_point p "),
            "WHERE f.id = (SELECT forecast_id FROM forecast_point \
             WHERE series_id = (SELECT id FROM target) AND valid_time = t AND ",
            $condition,
            " ORDER BY ",
            $newest_first,
            " LIMIT 1) AND p.forecast_id = f.id AND p.valid_time = t LIMIT ?5"
        )
    };
}
pub(super) const AS_OF: &str =
    newest_for_each_valid_time!("issued_at <= ?4", "issued_at DESC, forecast_start DESC, forecast_id DESC");
pub(super) const FIXED_LEAD: &str = newest_for_each_valid_time!(
    "forecast_start <= t - ?4",
    "forecast_start DESC, issued_at DESC, forecast_id DESC"
);
/// ?1 series, ?2 version, ?3 from, ?4 to, ?5 limit. The series' forecasts come from their index by start and issue.
pub(super) const BY_VERSION: &str = select_points!(
    "FROM forecast f CROSS JOIN forecast_point p ON p.forecast_id = f.id \
     WHERE f.series_id = (SELECT id FROM series WHERE name = ?1) AND f.model_version = ?2 \
     AND p.valid_time >= ?3 AND p.valid_time < ?4 ORDER BY f.forecast_start, f.issued_at, p.valid_time LIMIT ?5"
);

/// ?1 series, ?2 to ?4 the key before, ?5 limit.
pub(super) const LIST: &str = "SELECT id, forecast_start, issued_at, model_version, data_watermark, unit, quality, \
     degraded, levels FROM forecast WHERE series_id = (SELECT id FROM series WHERE name = ?1) \
     AND (forecast_start, issued_at, model_version) > (?2, ?3, ?4) \
     ORDER BY forecast_start, issued_at, model_version LIMIT ?5";
pub(super) const POINTS: &str =
    "SELECT valid_time, mean, quantiles FROM forecast_point WHERE forecast_id = ?1 ORDER BY valid_time";

impl ForecastStore for Sqlite {
    async fn put_forecast(&self, forecast: &Forecast) -> Result<()> {
        check_forecast(forecast)?;
        let doing = "keeping a forecast";
        let mut transaction = self.begin_write(doing).await?;
        let series = id_of(&mut transaction, &forecast.series, doing).await?;
        let id = insert(&mut transaction, series, forecast).await.map_err(when(doing))?;
        let Some(id) = id else {
            return Ok(()); // it is there already, and an issued forecast never changes
        };
        for point in &forecast.points {
            sqlx::query(INSERT_POINT)
                .bind(id)
                .bind(point.valid_time.micros())
                .bind(series)
                .bind(forecast.forecast_start.micros())
                .bind(forecast.issued_at.micros())
                .bind(point.mean)
                .bind(to_blob(&point.quantiles))
                .execute(&mut *transaction)
                .await
                .map_err(when(doing))?;
        }
        transaction.commit().await.map_err(when(doing))
    }

    async fn read_forecasts(
        &self,
        series: &SeriesName,
        query: ForecastQuery,
        limit: u32,
    ) -> Result<Vec<IssuedPoint>> {
        let doing = "reading forecasts";
        let ask = |sql: &'static str| sqlx::query(AssertSqlSafe(sql)).bind(series.as_str());
        let limit = i64::from(limit);
        let bound = match query {
            ForecastQuery::Start { forecast_start } => ask(BY_START).bind(forecast_start.micros()),
            ForecastQuery::AsOf { at, from, to } => {
                ask(AS_OF).bind(from.micros()).bind(to.micros()).bind(at.micros())
            }
            ForecastQuery::FixedLead { lead_micros, from, to } => {
                ask(FIXED_LEAD).bind(from.micros()).bind(to.micros()).bind(lead_micros)
            }
        };
        let points = bound
            .bind(limit)
            .try_map(|row: SqliteRow| columns::issued_point(&row))
            .fetch_all(&self.readers)
            .await
            .map_err(when(doing))?;
        if points.is_empty() {
            self.check_series(series, doing).await?;
        }
        Ok(points)
    }

    async fn list_forecasts(
        &self,
        series: &SeriesName,
        after: Option<&ForecastKey>,
        limit: u32,
    ) -> Result<Vec<Forecast>> {
        let doing = "listing forecasts";
        // No version is empty and no time is before the first: every key follows this one.
        let first = (Time::MIN, Time::MIN, "");
        let (start, issued, version) =
            after.map_or(first, |key| (key.forecast_start, key.issued_at, key.model_version.as_str()));
        let mut all = sqlx::query(LIST)
            .bind(series.as_str())
            .bind(start.micros())
            .bind(issued.micros())
            .bind(version)
            .bind(i64::from(limit))
            .try_map(|row: SqliteRow| columns::forecast(&row, series))
            .fetch_all(&self.readers)
            .await
            .map_err(when(doing))?;
        for (id, forecast) in &mut all {
            let query = sqlx::query(POINTS).bind(*id).try_map(|row: SqliteRow| columns::forecast_point(&row));
            forecast.points = query.fetch_all(&self.readers).await.map_err(when(doing))?;
        }
        if all.is_empty() {
            self.check_series(series, doing).await?;
        }
        Ok(all.into_iter().map(|(_, forecast)| forecast).collect())
    }

    async fn read_issued_by(
        &self,
        version: &VersionId,
        range: &ObservationRange,
        limit: u32,
    ) -> Result<Vec<IssuedPoint>> {
        let doing = "reading the forecasts of a version";
        let points = sqlx::query(BY_VERSION)
            .bind(range.series.as_str())
            .bind(version.as_str())
            .bind(range.from.micros())
            .bind(range.to.micros())
            .bind(i64::from(limit))
            .try_map(|row: SqliteRow| columns::issued_point(&row))
            .fetch_all(&self.readers)
            .await
            .map_err(when(doing))?;
        if points.is_empty() {
            self.check_series(&range.series, doing).await?;
        }
        Ok(points)
    }
}

async fn insert(
    connection: &mut SqliteConnection,
    series: i64,
    forecast: &Forecast,
) -> sqlx::Result<Option<i64>> {
    sqlx::query_scalar(INSERT)
        .bind(series)
        .bind(forecast.forecast_start.micros())
        .bind(forecast.issued_at.micros())
        .bind(forecast.model_version.as_str())
        .bind(forecast.data_watermark.micros())
        .bind(&forecast.unit)
        .bind(forecast.quality)
        .bind(forecast.degraded.as_deref())
        .bind(to_blob(forecast.levels.as_slice()))
        .fetch_optional(connection)
        .await
}
